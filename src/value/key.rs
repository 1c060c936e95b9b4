//! Map keys and the ordered map.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use indexmap::{Equivalent, IndexMap};

use super::Value;

/// A key of a [`Map`]. YAML and Python allow more than strings; JSON output turns the others into text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Str(Arc<str>),
    Int(i128),
    Bool(bool),
    /// A float by its bits.
    Float(u64),
    Null,
}

// A string key hashes like the plain string, so that a map can be asked with a `&str`.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Key::Str(s) => (**s).hash(state),
            Key::Int(i) => i.hash(state),
            Key::Bool(b) => i128::from(*b).hash(state),
            Key::Float(f) => f.hash(state),
            Key::Null => 0u8.hash(state),
        }
    }
}

impl Equivalent<Key> for str {
    fn equivalent(&self, key: &Key) -> bool {
        matches!(key, Key::Str(s) if &**s == self)
    }
}

impl Key {
    /// Returns the key for a scalar value, nothing for containers.
    pub fn from_value(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Str(s) => Key::Str(s.shared()),
            Value::Secret(s) => Key::Str(s.expose().into()),
            Value::Int(i) => Key::Int(*i),
            Value::Bool(b) => Key::Bool(*b),
            Value::Float(f) if f.fract() == 0.0 && f.abs() < 1e15 => Key::Int(*f as i128),
            Value::Float(f) => Key::Float(f.to_bits()),
            Value::Null => Key::Null,
            Value::List(_) | Value::Map(_) | Value::Omit | Value::Unknown(_) => return None,
        })
    }

    pub fn to_value(&self) -> Value {
        match self {
            Key::Str(s) => Value::Str(s.into()),
            Key::Int(i) => Value::Int(*i),
            Key::Bool(b) => Value::Bool(*b),
            Key::Float(f) => Value::Float(f64::from_bits(*f)),
            Key::Null => Value::Null,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Key::Str(s) => Some(s),
            _ => None,
        }
    }

    /// Returns the key as JSON object member name, as Python's `json.dumps` writes it.
    pub fn json_name(&self) -> Arc<str> {
        match self {
            Key::Str(s) => s.clone(),
            Key::Null => "null".into(),
            Key::Bool(b) => if *b { "true" } else { "false" }.into(),
            other => other.to_value().to_text().into(),
        }
    }
}

impl From<&str> for Key {
    fn from(s: &str) -> Self {
        Key::Str(s.into())
    }
}
impl From<String> for Key {
    fn from(s: String) -> Self {
        Key::Str(s.into())
    }
}
impl From<Arc<str>> for Key {
    fn from(s: Arc<str>) -> Self {
        Key::Str(s)
    }
}

/// A map that keeps insertion order, as Python's dict does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(IndexMap<Key, Value>);

impl Map {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub fn get_key(&self, key: &Key) -> Option<&Value> {
        self.0.get(key)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0.get_mut(name)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Sets a member; an existing one keeps its place. Returns the value that was there.
    pub fn insert(&mut self, key: impl Into<Key>, value: impl Into<Value>) -> Option<Value> {
        self.0.insert(key.into(), value.into())
    }

    /// Removes a member and keeps the order of the others.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name)
    }

    /// Removes a member of any key type and keeps the order of the others.
    pub fn remove_key(&mut self, key: &Key) -> Option<Value> {
        self.0.shift_remove(key)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> indexmap::map::Iter<'_, Key, Value> {
        self.0.iter()
    }

    pub fn keys(&self) -> indexmap::map::Keys<'_, Key, Value> {
        self.0.keys()
    }

    pub fn values(&self) -> indexmap::map::Values<'_, Key, Value> {
        self.0.values()
    }

    pub fn extend(&mut self, other: impl IntoIterator<Item = (Key, Value)>) {
        self.0.extend(other);
    }
}

impl<K: Into<Key>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(iter: T) -> Self {
        Self(iter.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl IntoIterator for Map {
    type Item = (Key, Value);
    type IntoIter = indexmap::map::IntoIter<Key, Value>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a Key, &'a Value);
    type IntoIter = indexmap::map::Iter<'a, Key, Value>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
