//! The runtime value: what variables, facts, results and module arguments hold.
//!
//! Comes in from YAML, JSON, hosts and templates; knows none of them. Strings here are plain data: nothing in a
//! `Value` is ever compiled as a template.

pub mod charset;
mod convert;
mod json;
pub mod literal;
mod key;
mod python;
pub mod python_regex;
mod text;

pub use convert::{from_json, to_json, to_json_text};
pub use json::{JsonStyle, to_python_json, write_json_text};
pub use key::{Key, Map};
pub use python::float_repr;
pub use text::{Text, TextKind};

use std::sync::Arc;

/// A value as playbooks see it. Cloning is cheap: containers and strings are shared.
#[derive(Clone, Debug, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Text),
    List(Arc<Vec<Value>>),
    Map(Arc<Map>),
    /// A text that must not be shown; see [`Secret`].
    Secret(Secret),
    /// The argument is to be left out, as if never given (Ansible's `omit`).
    Omit,
    /// Not known while planning.
    Unknown(Unknown),
}

/// Why a value is not known in a plan, for example the result of a step that has not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    pub cause: Arc<str>,
}

/// A text without `Display`; `Debug` shows no content. [`Secret::expose`] marks every place that reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself. The caller must register it with the masking writer before output can see it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Value {
    pub fn str(text: impl Into<Arc<str>>) -> Self {
        Value::Str(text.into().into())
    }

    pub fn list(items: Vec<Value>) -> Self {
        Value::List(Arc::new(items))
    }

    pub fn map(map: Map) -> Self {
        Value::Map(Arc::new(map))
    }

    pub fn unknown(cause: impl Into<Arc<str>>) -> Self {
        Value::Unknown(Unknown { cause: cause.into() })
    }

    /// Returns the text of a string; secrets are not strings here, see [`Secret::expose`].
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(s) => Some(s),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(l) => Some(l),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(m) => Some(m),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i128> {
        match self {
            Value::Int(i) => Some(*i),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn is_unknown(&self) -> bool {
        matches!(self, Value::Unknown(_))
    }

    /// Returns the first unknown inside, at any depth.
    pub fn find_unknown(&self) -> Option<&Unknown> {
        match self {
            Value::Unknown(u) => Some(u),
            Value::List(l) => l.iter().find_map(Value::find_unknown),
            Value::Map(m) => m.values().find_map(Value::find_unknown),
            _ => None,
        }
    }

    /// Returns the member `name` of a map.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_map()?.get(name)
    }

    /// Returns the same value with every text in it as one that came from a lookup; its keys stay.
    pub fn made_unsafe(&self) -> Value {
        match self {
            Value::Str(text) => Value::Str(text.of_kind(text.kind().made_unsafe())),
            Value::List(items) => Value::list(items.iter().map(Value::made_unsafe).collect()),
            Value::Map(map) => {
                Value::map(map.iter().map(|(key, value)| (key.clone(), value.made_unsafe())).collect::<Map>())
            }
            other => other.clone(),
        }
    }

    /// Returns the name of the type as Ansible's messages use it (Python's names).
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Str(_) | Value::Secret(_) => "str",
            Value::List(_) => "list",
            Value::Map(_) => "dict",
            Value::Omit => "omit",
            Value::Unknown(_) => "unknown",
        }
    }
}

/// Python's `==`: numbers and booleans compare by number, containers by content.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) | (Value::Omit, Value::Omit) => true,
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Secret(a), Value::Secret(b)) => a == b,
            (Value::Secret(a), Value::Str(b)) | (Value::Str(b), Value::Secret(a)) => a.expose() == &**b,
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a == b,
            (Value::Unknown(a), Value::Unknown(b)) => a == b,
            _ => match (self.exact_number(), other.exact_number()) {
                (Some(a), Some(b)) => a == b,
                _ => match (self.number(), other.number()) {
                    (Some(a), Some(b)) => a == b,
                    _ => false,
                },
            },
        }
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::str(s)
    }
}
impl From<String> for Value {
    fn from(s: String) -> Self {
        Value::str(s)
    }
}
impl From<Arc<str>> for Value {
    fn from(s: Arc<str>) -> Self {
        Value::Str(s.into())
    }
}
impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Value::Str(text)
    }
}
impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}
impl From<f64> for Value {
    fn from(f: f64) -> Self {
        Value::Float(f)
    }
}
macro_rules! from_int {
    ($($t:ty),*) => { $(impl From<$t> for Value { fn from(i: $t) -> Self { Value::Int(i as i128) } })* };
}
from_int!(i32, i64, u8, u16, u32, u64, usize, i128);
impl From<Map> for Value {
    fn from(m: Map) -> Self {
        Value::map(m)
    }
}
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(v: Vec<T>) -> Self {
        Value::list(v.into_iter().map(Into::into).collect())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Value::Null, Into::into)
    }
}
