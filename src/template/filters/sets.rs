//! Filters and tests that treat lists as sets. Order is that of the first list, as Ansible keeps it.

use std::collections::HashSet;

use super::Filter::{self, Plain, Raw};
use crate::template::Truth;
use crate::template::args::{VArgs, ValueArgs, need};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::template::runtime::V;
use crate::value::{Key, Value};

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("difference", Plain(|_, v, a| kept(&v, a, false))),
    ("intersect", Plain(|_, v, a| kept(&v, a, true))),
    ("symmetric_difference", Plain(symmetric)),
    ("union", Plain(union)),
    ("unique", Raw(unique)),
];

/// Items for quick membership: scalars by key, others by comparison.
#[derive(Default)]
struct Set {
    keys: HashSet<Key>,
    others: Vec<Value>,
}

/// Numbers and booleans that are equal get the same key.
fn key(v: &Value) -> Option<Key> {
    match Key::from_value(v) {
        Some(Key::Bool(b)) => Some(Key::Int(i128::from(b))),
        other => other,
    }
}

impl Set {
    fn of(items: &[Value]) -> Self {
        let mut set = Set::default();
        for item in items {
            set.insert(item);
        }
        set
    }

    fn contains(&self, v: &Value) -> bool {
        match key(v) {
            Some(k) => self.keys.contains(&k),
            None => self.others.contains(v),
        }
    }

    /// Returns whether it was new.
    fn insert(&mut self, v: &Value) -> bool {
        match key(v) {
            Some(k) => self.keys.insert(k),
            None => {
                let new = !self.others.contains(v);
                if new {
                    self.others.push(v.clone());
                }
                new
            }
        }
    }
}

fn items(v: &Value) -> R<Vec<Value>> {
    match v {
        Value::List(items) => Ok(items.to_vec()),
        Value::Map(map) => Ok(map.keys().map(Key::to_value).collect()),
        Value::Str(text) => Ok(text.chars().map(|c| Value::str(c.to_string())).collect()),
        other => Err(Fail::failed(format!("'{}' object is not iterable", other.type_name()))),
    }
}

fn other(args: ValueArgs) -> R<Vec<Value>> {
    let [b] = args.bind(["b"])?;
    items(&need(b, "b")?)
}

fn distinct(items: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut seen = Set::default();
    items.into_iter().filter(|x| seen.insert(x)).collect()
}

/// Keeps the items that are in the other list, or those that are not.
fn kept(v: &Value, args: ValueArgs, inside: bool) -> R<Value> {
    let b = Set::of(&other(args)?);
    Ok(Value::list(distinct(items(v)?.into_iter().filter(|x| b.contains(x) == inside))))
}

fn union(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    Ok(Value::list(distinct(items(&v)?.into_iter().chain(other(args)?))))
}

fn symmetric(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let (a, b) = (items(&v)?, other(args)?);
    let (in_a, in_b) = (Set::of(&a), Set::of(&b));
    let only_a = a.into_iter().filter(|x| !in_b.contains(x));
    let only_b = b.into_iter().filter(|x| !in_a.contains(x));
    Ok(Value::list(distinct(only_a.chain(only_b))))
}

fn unique(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [case_sensitive, attribute] = args.bind(["case_sensitive", "attribute"])?;
    if let Some(u) = v.as_unknown() {
        return Ok(V::unknown(u));
    }
    let plain = case_sensitive.is_none() && attribute.is_none();
    let case_sensitive = match case_sensitive {
        Some(c) => interp.truth(&c)? == Truth::True,
        None => false,
    };
    let mut seen = Set::default();
    let mut out = Vec::new();
    for item in interp.items(&v)? {
        let key = match &attribute {
            Some(path) if !path.is_null() => {
                let found = super::select::follow(interp, &item, path)?;
                interp.value(&found)?
            }
            _ => interp.value(&item)?,
        };
        if let Some(u) = key.find_unknown() {
            return Ok(V::unknown(u));
        }
        if !plain && matches!(key, Value::List(_) | Value::Map(_)) {
            return Err(Fail::failed(
                "Jinja2's unique filter takes no lists and dicts, and cannot fall back to Ansible's, which knows neither \
                 case_sensitive nor attribute",
            ));
        }
        let key = match &key {
            Value::Str(text) if !case_sensitive => Value::str(text.to_lowercase()),
            _ => key,
        };
        if seen.insert(&key) {
            out.push(item);
        }
    }
    Ok(V::list(out))
}

pub(in crate::template) fn is_subset(v: &Value, args: ValueArgs) -> R<bool> {
    let b = Set::of(&other(args)?);
    Ok(items(v)?.iter().all(|x| b.contains(x)))
}

pub(in crate::template) fn is_superset(v: &Value, args: ValueArgs) -> R<bool> {
    let a = Set::of(&items(v)?);
    Ok(other(args)?.iter().all(|x| a.contains(x)))
}
