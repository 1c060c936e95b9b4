//! Filters that change a type or stand in for missing values.

use super::Filter::{self, Plain, Raw};
use crate::template::Texts;
use crate::template::args::{VArgs, ValueArgs, flag_or, int_or, need, text_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::template::ops::Num;
use crate::template::runtime::{Undef, V, text_of};
use crate::value::Value;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("bool", Plain(bool_filter)),
    ("default", Raw(default)),
    ("d", Raw(default)),
    ("float", Plain(float)),
    ("int", Plain(int)),
    ("mandatory", Raw(mandatory)),
    ("string", Plain(string)),
    ("ternary", Raw(ternary)),
    ("type_debug", Raw(type_debug)),
    ("undef", Raw(undef)),
];

fn default(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [value, boolean] = args.bind(["default_value", "boolean"])?;
    let value = value.unwrap_or_else(|| V::str(""));
    if v.is_undef() {
        return Ok(value);
    }
    let boolean = match boolean {
        Some(b) => interp.is_true(&b)?,
        None => false,
    };
    // What is not known yet may turn out to be anything: no default for it.
    if boolean && v.as_unknown().is_none() && !interp.is_true(&v)? {
        return Ok(value);
    }
    Ok(v)
}

fn mandatory(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [message] = args.bind(["msg"])?;
    let V::Undef(u) = &v else { return Ok(v) };
    let text = match message {
        Some(m) if !m.is_null() => interp.value(&m)?.to_text(),
        _ => match &u.fail.kind {
            crate::template::RenderErrorKind::Undefined { name } => {
                // Up to 2.18 with two spaces.
                let gap = if interp.templar.settings().texts == Texts::Kept { " " } else { "  " };
                format!("Mandatory variable '{name}'{gap}not defined.")
            }
            _ => "Mandatory variable not defined.".to_string(),
        },
    };
    let mut fail = u.fail.clone();
    fail.kind = crate::template::RenderErrorKind::Failed;
    fail.message = text;
    Err(fail)
}

fn undef(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    args.bind([])?;
    let hint = interp.value(&v)?.to_text();
    Ok(V::undef("undef", hint))
}

fn type_debug(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    args.bind([])?;
    if let V::Undef(u) = &v {
        let u: &Undef = u;
        return Err(u.fail.clone());
    }
    Ok(V::str(match &v {
        V::Val(Value::Secret(_)) => "AnsibleVaultEncryptedUnicode",
        V::Val(Value::Str(text)) if interp.templar.settings().texts != Texts::Kept => {
            text.kind().class_name()
        }
        v => v.type_name(),
    }))
}

fn ternary(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [yes, no, null] = args.bind(["true_val", "false_val", "none_val"])?;
    if let Some(u) = v.as_unknown() {
        return Ok(V::unknown(u));
    }
    let (yes, no) = (need(yes, "true_val")?, need(no, "false_val")?);
    if let (true, Some(null)) = (v.is_null(), null) {
        return Ok(if null.is_null() { no } else { null });
    }
    Ok(if interp.is_true(&v)? { yes } else { no })
}

fn string(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    Ok(Value::str(v.to_text()))
}

/// Ansible's `bool` filter: what does not say true is false.
fn bool_filter(interp: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    if v.is_null() && interp.templar.settings().texts != Texts::Kept {
        return Ok(v);
    }
    Ok(Value::Bool(match &v {
        Value::Str(s) => matches!(s.to_lowercase().as_str(), "yes" | "on" | "1" | "true"),
        other => to_bool(other).unwrap_or(false),
    }))
}

/// Returns the truth that a value spells out: yes and no, on and off, 1 and 0.
pub(in crate::template) fn to_bool(v: &Value) -> Option<bool> {
    match v {
        Value::Bool(b) => Some(*b),
        Value::Int(1) => Some(true),
        Value::Int(0) => Some(false),
        Value::Float(f) if *f == 1.0 => Some(true),
        Value::Float(f) if *f == 0.0 => Some(false),
        Value::Str(s) => match s.trim().to_lowercase().as_str() {
            "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Some(true),
            "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn int(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [default, base] = args.bind(["default", "base"])?;
    let base = int_or(base, "base", 10)?;
    let default = default.unwrap_or(Value::Int(0));
    let found = match &v {
        Value::Float(f) if f.is_finite() => Some(f.trunc() as i128),
        Value::Float(_) => None,
        other => match (Num::of(other), text_of(other)) {
            (Some(Num::Int(i)), _) => Some(i),
            (_, Some(text)) => parse_int(text, base)
                .or_else(|| parse_float(text).filter(|f| f.is_finite()).map(|f| f.trunc() as i128)),
            _ => None,
        },
    };
    Ok(found.map_or(default, Value::Int))
}

/// Python's `int(text, base)`.
pub(super) fn parse_int(text: &str, base: i128) -> Option<i128> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_lowercase();
    let prefixed = |p: &str| lower.strip_prefix(p).map(str::to_string);
    let (digits, base) = match base {
        16 => (prefixed("0x").unwrap_or(lower), 16),
        8 => (prefixed("0o").unwrap_or(lower), 8),
        2 => (prefixed("0b").unwrap_or(lower), 2),
        0 => match (prefixed("0x"), prefixed("0o"), prefixed("0b")) {
            (Some(d), _, _) => (d, 16),
            (_, Some(d), _) => (d, 8),
            (_, _, Some(d)) => (d, 2),
            _ => (lower, 10),
        },
        3..=36 => (lower, u32::try_from(base).ok()?),
        _ => return None,
    };
    if digits.starts_with(['_', '+', '-']) || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let n = i128::from_str_radix(&digits.replace('_', ""), base).ok()?;
    Some(if negative { -n } else { n })
}

/// Python's `float(text)`.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.trim_start_matches(['+', '-']).to_lowercase();
    match plain.as_str() {
        "inf" | "infinity" | "nan" => {}
        _ if plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {}
        _ => return None,
    }
    text.replace('_', "").parse().ok()
}

fn float(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [default] = args.bind(["default"])?;
    let default = default.unwrap_or(Value::Float(0.0));
    let found = match (Num::of(&v), text_of(&v)) {
        (Some(n), _) => Some(n.float()),
        (_, Some(text)) => parse_float(text),
        _ => None,
    };
    Ok(found.map_or(default, Value::Float))
}

/// Returns an error that names the type a filter wanted.
pub(super) fn wanted(what: &str, v: &Value) -> Box<Fail> {
    Fail::failed(format!("expected {what}, got '{}'", v.type_name()))
}

/// Returns a flag argument that may be spelled out.
pub(super) fn spelled_flag(v: Option<Value>, default: bool) -> bool {
    match v {
        Some(Value::Str(s)) => to_bool(&Value::Str(s)).unwrap_or(true),
        other => flag_or(other, default),
    }
}

/// Returns a text argument that must be there.
pub(super) fn text_arg(v: Option<Value>, name: &str) -> R<String> {
    need(v, name).map(|v| text_or(Some(v), ""))
}
