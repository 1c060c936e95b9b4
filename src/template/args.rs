//! Arguments of filters, tests, functions and methods, bound to names as Python does.

use std::sync::Arc;

use super::error::{Fail, R};
use super::runtime::V;
use crate::value::{Map, Value};

/// Positional and named arguments.
#[derive(Clone, Debug)]
pub(super) struct Args<T> {
    pub pos: Vec<T>,
    pub named: Vec<(Arc<str>, T)>,
}

impl<T> Default for Args<T> {
    fn default() -> Self {
        Args { pos: Vec::new(), named: Vec::new() }
    }
}

impl<T> Args<T> {
    /// Gives each argument its name's place. Unknown names and too many arguments are errors.
    pub fn bind<const N: usize>(self, names: [&str; N]) -> R<[Option<T>; N]> {
        let mut bound = [const { None }; N];
        if self.pos.len() > N {
            return Err(Fail::failed(format!("takes at most {N} arguments, {} given", self.pos.len())));
        }
        for (slot, value) in bound.iter_mut().zip(self.pos) {
            *slot = Some(value);
        }
        for (name, value) in self.named {
            let Some(i) = names.iter().position(|n| *n == &*name) else {
                return Err(Fail::failed(format!("got an unexpected keyword argument '{name}'")));
            };
            if bound[i].is_some() {
                return Err(Fail::failed(format!("got multiple values for argument '{name}'")));
            }
            bound[i] = Some(value);
        }
        Ok(bound)
    }

    /// Takes a named argument out.
    pub fn take(&mut self, name: &str) -> Option<T> {
        let i = self.named.iter().position(|(n, _)| &**n == name)?;
        Some(self.named.remove(i).1)
    }
}

impl Args<Value> {
    /// Returns the named arguments as a map.
    pub fn named_map(self) -> Map {
        self.named.into_iter().collect()
    }
}

/// Returns a required argument.
pub(super) fn need<T>(value: Option<T>, name: &str) -> R<T> {
    value.ok_or_else(|| Fail::failed(format!("missing 1 required argument: '{name}'")))
}

/// Returns an integer argument; Python takes booleans, and filters often texts.
pub(super) fn int(value: &Value, name: &str) -> R<i128> {
    match value {
        Value::Int(i) => Ok(*i),
        Value::Bool(b) => Ok(i128::from(*b)),
        Value::Float(f) if f.fract() == 0.0 && f.abs() < 1e30 => Ok(*f as i128),
        Value::Str(s) => s.trim().parse().map_err(|_| not_int(value, name)),
        _ => Err(not_int(value, name)),
    }
}

fn not_int(value: &Value, name: &str) -> Box<Fail> {
    Fail::failed(format!("'{name}' must be an integer, not {}", value.repr()))
}

/// Returns an optional integer argument or its default.
pub(super) fn int_or(value: Option<Value>, name: &str, default: i128) -> R<i128> {
    value.map_or(Ok(default), |v| int(&v, name))
}

/// Returns an optional size argument, bounded so that no template can exhaust memory.
pub(super) fn size_or(value: Option<Value>, name: &str, default: usize) -> R<usize> {
    let Some(value) = value else { return Ok(default) };
    let i = int(&value, name)?;
    if i > MAX_SIZE as i128 {
        return Err(Fail::failed(format!("'{name}' is too large: {i}")));
    }
    Ok(usize::try_from(i).unwrap_or(0))
}

/// The longest text or list that an operator makes from a number.
pub(super) const MAX_SIZE: usize = 64 << 20;

/// Returns an optional text argument or its default.
pub(super) fn text_or(value: Option<Value>, default: &str) -> String {
    match value {
        None | Some(Value::Null) => default.to_string(),
        Some(v) => v.to_text(),
    }
}

/// Returns an optional flag; Python's truth.
pub(super) fn flag_or(value: Option<Value>, default: bool) -> bool {
    value.map_or(default, |v| v.is_truthy())
}

pub(super) type VArgs = Args<V>;
pub(super) type ValueArgs = Args<Value>;
