//! Python's operators on plain values.

use std::cmp::Ordering;

use super::args::MAX_SIZE;
use super::error::{Fail, R};
use super::ir::{CompareOp, MathOp};
use super::runtime::{Obj, V, holds_secret, text_of};
use crate::value::{Secret, Value};

/// A number as Python sees it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Num {
    Int(i128),
    Float(f64),
}

impl Num {
    pub fn of(value: &Value) -> Option<Num> {
        match value {
            Value::Int(i) => Some(Num::Int(*i)),
            Value::Bool(b) => Some(Num::Int(i128::from(*b))),
            Value::Float(f) => Some(Num::Float(*f)),
            _ => None,
        }
    }

    pub fn float(self) -> f64 {
        match self {
            Num::Int(i) => i as f64,
            Num::Float(f) => f,
        }
    }
}

/// Returns a text that is as secret as the one it was made from.
pub(super) fn like(from: &V, text: String) -> Value {
    match from {
        V::Val(Value::Secret(_)) => Value::Secret(Secret::new(text)),
        _ => Value::str(text),
    }
}

/// Returns the place of a Python index: negative ones count from the end.
pub(super) fn position(index: i128, len: usize) -> Option<usize> {
    let i = if index < 0 { index + len as i128 } else { index };
    usize::try_from(i).ok().filter(|i| *i < len)
}

/// Returns the positions that a Python slice picks.
pub(super) fn slice_positions([start, stop, step]: [Option<i128>; 3], len: usize) -> R<Vec<usize>> {
    let step = step.unwrap_or(1);
    let len = len as i128;
    if step == 0 {
        return Err(Fail::failed("slice step cannot be zero"));
    }
    let clamp = |i: i128, low: i128, high: i128| {
        let i = if i < 0 { i.saturating_add(len) } else { i };
        i.clamp(low, high)
    };
    let mut out = Vec::new();
    if step > 0 {
        let mut i = start.map_or(0, |s| clamp(s, 0, len));
        let end = stop.map_or(len, |s| clamp(s, 0, len));
        while i < end {
            out.push(i as usize);
            i = i.saturating_add(step);
        }
    } else {
        let mut i = start.map_or(len - 1, |s| clamp(s, -1, len - 1));
        let end = stop.map_or(-1, |s| clamp(s, -1, len - 1));
        while i > end {
            out.push(i as usize);
            i = i.saturating_add(step);
        }
    }
    Ok(out)
}

pub(super) fn repeat_list(items: &[V], times: i128) -> R<Vec<V>> {
    let times = usize::try_from(times).unwrap_or(0);
    if items.len().saturating_mul(times) > MAX_SIZE / 64 {
        return Err(too_large());
    }
    Ok(std::iter::repeat_n(items, times).flatten().cloned().collect())
}

pub(super) fn repeat_text(text: &str, times: i128) -> R<String> {
    let times = usize::try_from(times).unwrap_or(0);
    if text.len().saturating_mul(times) > MAX_SIZE {
        return Err(too_large());
    }
    Ok(text.repeat(times))
}

fn too_large() -> Box<Fail> {
    Fail::failed("the result would be too large")
}

pub(super) fn negate(value: &Value) -> R<Value> {
    match Num::of(value) {
        Some(Num::Int(i)) => i.checked_neg().map(Value::Int).ok_or_else(too_large),
        Some(Num::Float(f)) => Ok(Value::Float(-f)),
        None => Err(Fail::failed(format!("bad operand type for unary -: '{}'", value.type_name()))),
    }
}

pub(super) fn math(op: MathOp, l: &Value, r: &Value) -> R<Value> {
    if op == MathOp::Concat {
        let text = l.to_text() + &r.to_text();
        let secret = holds_secret(l) || holds_secret(r);
        return Ok(text_like(text, secret));
    }
    let secret = matches!(l, Value::Secret(_)) || matches!(r, Value::Secret(_));
    match (op, text_of(l), text_of(r)) {
        (MathOp::Add, Some(a), Some(b)) => return Ok(text_like(a.to_string() + b, secret)),
        (MathOp::Mul, Some(text), None) | (MathOp::Mul, None, Some(text)) => {
            let times = if text_of(l).is_some() { r } else { l };
            if let Some(Num::Int(times)) = Num::of(times) {
                return Ok(text_like(repeat_text(text, times)?, secret));
            }
        }
        _ => {}
    }
    let (Some(a), Some(b)) = (Num::of(l), Num::of(r)) else { return Err(unsupported(op, l, r)) };
    match (a, b) {
        (Num::Int(a), Num::Int(b)) => int_math(op, a, b),
        _ => float_math(op, a.float(), b.float()),
    }
}

fn text_like(text: String, secret: bool) -> Value {
    if secret { Value::Secret(Secret::new(text)) } else { Value::str(text) }
}

fn unsupported(op: MathOp, l: &Value, r: &Value) -> Box<Fail> {
    let (left, right) = (l.type_name(), r.type_name());
    if op == MathOp::Add && (text_of(l).is_some() || l.as_list().is_some()) {
        return Fail::failed(format!("can only concatenate {left} (not \"{right}\") to {left}"));
    }
    let sign = match op {
        MathOp::Add => "+",
        MathOp::Sub => "-",
        MathOp::Mul => "*",
        MathOp::Div => "/",
        MathOp::FloorDiv => "//",
        MathOp::Rem => "%",
        MathOp::Pow => "** or pow()",
        MathOp::Concat => "~",
    };
    Fail::failed(format!("unsupported operand type(s) for {sign}: '{left}' and '{right}'"))
}

fn int_math(op: MathOp, a: i128, b: i128) -> R<Value> {
    let result = match op {
        MathOp::Add => a.checked_add(b),
        MathOp::Sub => a.checked_sub(b),
        MathOp::Mul => a.checked_mul(b),
        MathOp::Div => {
            return if b == 0 {
                Err(by_zero("division by zero"))
            } else {
                Ok(Value::Float(a as f64 / b as f64))
            };
        }
        MathOp::FloorDiv | MathOp::Rem if b == 0 => {
            return Err(by_zero("integer division or modulo by zero"));
        }
        MathOp::FloorDiv => {
            let q = a.wrapping_div(b);
            Some(if a.wrapping_rem(b) != 0 && (a < 0) != (b < 0) { q - 1 } else { q })
        }
        MathOp::Rem => {
            let m = a.wrapping_rem(b);
            Some(if m != 0 && (m < 0) != (b < 0) { m + b } else { m })
        }
        MathOp::Pow if b < 0 => {
            return if a == 0 {
                Err(by_zero("0.0 cannot be raised to a negative power"))
            } else {
                Ok(Value::Float((a as f64).powf(b as f64)))
            };
        }
        MathOp::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        MathOp::Concat => None,
    };
    result.map(Value::Int).ok_or_else(|| Fail::failed("the integer is too large"))
}

fn float_math(op: MathOp, a: f64, b: f64) -> R<Value> {
    Ok(Value::Float(match op {
        MathOp::Add => a + b,
        MathOp::Sub => a - b,
        MathOp::Mul => a * b,
        MathOp::Div if b == 0.0 => return Err(by_zero("float division by zero")),
        MathOp::Div => a / b,
        MathOp::FloorDiv if b == 0.0 => return Err(by_zero("float floor division by zero")),
        MathOp::FloorDiv => (a / b).floor(),
        MathOp::Rem if b == 0.0 => return Err(by_zero("float modulo")),
        MathOp::Rem => a - b * (a / b).floor(),
        MathOp::Pow | MathOp::Concat => a.powf(b),
    }))
}

fn by_zero(message: &str) -> Box<Fail> {
    Fail::failed(message)
}

/// Python's `<`, `<=`, `>`, `>=`.
pub(super) fn ordered(op: CompareOp, left: &V, l: &Value, right: &V, r: &Value) -> R<bool> {
    let sign = match op {
        CompareOp::Lt => "<",
        CompareOp::Le => "<=",
        CompareOp::Gt => ">",
        _ => ">=",
    };
    if let (V::Obj(a), V::Obj(b)) = (left, right)
        && let Some(ordering) = time_order(a, b)
    {
        return Ok(holds(op, Some(ordering)));
    }
    let Some(ordering) = order(l, r) else {
        return Err(Fail::failed(format!(
            "'{sign}' not supported between instances of '{}' and '{}'",
            left.type_name(),
            right.type_name()
        )));
    };
    Ok(holds(op, ordering))
}

fn holds(op: CompareOp, ordering: Option<Ordering>) -> bool {
    match op {
        CompareOp::Lt => ordering == Some(Ordering::Less),
        CompareOp::Le => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        CompareOp::Gt => ordering == Some(Ordering::Greater),
        _ => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// Returns the order of two values; the outer nothing says that Python cannot compare them, the inner one that a
/// NaN is involved.
pub(super) fn order(l: &Value, r: &Value) -> Option<Option<Ordering>> {
    if let (Some(a), Some(b)) = (text_of(l), text_of(r)) {
        return Some(Some(a.cmp(b)));
    }
    if let (Some(a), Some(b)) = (Num::of(l), Num::of(r)) {
        return Some(match (a, b) {
            (Num::Int(a), Num::Int(b)) => Some(a.cmp(&b)),
            _ => a.float().partial_cmp(&b.float()),
        });
    }
    let (a, b) = (l.as_list()?, r.as_list()?);
    for (x, y) in a.iter().zip(b) {
        if x != y {
            return order(x, y);
        }
    }
    Some(Some(a.len().cmp(&b.len())))
}

fn time_order(a: &Obj, b: &Obj) -> Option<Ordering> {
    match (a, b) {
        (Obj::Time(a, _), Obj::Time(b, _)) => Some(a.cmp(b)),
        (Obj::Span(a), Obj::Span(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

pub(super) fn same_time(a: &Obj, b: &Obj) -> bool {
    time_order(a, b) == Some(Ordering::Equal)
}
