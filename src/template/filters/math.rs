//! Numbers and sizes.

use super::Filter::{self, Plain};
use super::convert::{parse_float, spelled_flag, wanted};
use crate::template::args::{ValueArgs, int_or, text_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::template::ir::MathOp;
use crate::template::ops::{self, Num};
use crate::value::Value;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("abs", Plain(abs)),
    ("filesizeformat", Plain(filesizeformat)),
    ("human_readable", Plain(human_readable)),
    ("human_to_bytes", Plain(human_to_bytes)),
    ("log", Plain(log)),
    ("pow", Plain(pow)),
    ("root", Plain(root)),
    ("round", Plain(round)),
];

fn number(v: &Value) -> R<Num> {
    Num::of(v).ok_or_else(|| wanted("a number", v))
}

fn abs(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    Ok(match number(&v)? {
        Num::Int(i) => Value::Int(i.checked_abs().ok_or_else(|| Fail::failed("the integer is too large"))?),
        Num::Float(f) => Value::Float(f.abs()),
    })
}

/// Rounds to even like Python for `common`, up or down for `ceil` and `floor`; gives a float.
fn round(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [precision, method] = args.bind(["precision", "method"])?;
    let precision = int_or(precision, "precision", 0)?;
    let n = number(&v)?;
    let f = n.float();
    let places = i32::try_from(precision).unwrap_or(0).clamp(-300, 300);
    let scale = 10f64.powi(places);
    let rounded = match text_or(method, "common").as_str() {
        "common" => {
            if let Num::Int(i) = n {
                if places >= 0 {
                    return Ok(Value::Int(i));
                }
                return Ok(Value::Int(((i as f64 * scale).round_ties_even() / scale) as i128));
            }
            // Formatting rounds the exact binary value half to even, as Python does.
            match usize::try_from(places) {
                Ok(places) => format!("{f:.places$}").parse().unwrap_or(f),
                Err(_) => (f * scale).round_ties_even() / scale,
            }
        }
        "ceil" => (f * scale).ceil() / scale,
        "floor" => (f * scale).floor() / scale,
        other => return Err(Fail::failed(format!("method must be common, ceil or floor, not '{other}'"))),
    };
    Ok(Value::Float(rounded))
}

/// Reads a number, in the words that Ansible has for one of its own filters.
fn number_of(v: &Value, filter: &str) -> R<Num> {
    Num::of(v).ok_or_else(|| {
        let shown = v.type_name();
        Fail::failed(format!("{filter}() can only be used on numbers: must be real number, not {shown}"))
    })
}

fn log(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [base] = args.bind(["base"])?;
    let x = number_of(&v, "log")?.float();
    if x <= 0.0 {
        return Err(Fail::failed("math domain error"));
    }
    let base = base.as_ref().map(number).transpose()?.map(Num::float);
    Ok(Value::Float(match base {
        None => x.ln(),
        Some(10.0) => x.log10(),
        Some(b) => x.ln() / b.ln(),
    }))
}

fn pow(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [exponent] = args.bind(["y"])?;
    let x = number_of(&v, "pow")?.float();
    let y = number(&exponent.unwrap_or(Value::Null))?.float();
    // Python's `math.pow` computes with floats.
    ops::math(MathOp::Pow, &Value::Float(x), &Value::Float(y))
}

fn root(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [base] = args.bind(["base"])?;
    let x = number_of(&v, "root")?.float();
    let base = base.as_ref().map(number).transpose()?.map_or(2.0, Num::float);
    Ok(Value::Float(if base == 2.0 { x.sqrt() } else { x.powf(1.0 / base) }))
}

const UNITS: [(char, u32); 8] =
    [('Y', 80), ('Z', 70), ('E', 60), ('P', 50), ('T', 40), ('G', 30), ('M', 20), ('K', 10)];

fn human_readable(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [isbits, unit] = args.bind(["isbits", "unit"])?;
    let bits = spelled_flag(isbits, false);
    let size = match Num::of(&v) {
        Some(n) => n.float(),
        None => parse_float(&v.to_text()).ok_or_else(|| {
            Fail::failed(format!("human_readable() failed on bad input: '{}' is no number", v.to_text()))
        })?,
    };
    let unit = text_or(unit, "").to_uppercase().chars().next();
    let base = if bits { "bits" } else { "Bytes" };
    let chosen = UNITS.iter().find(|(letter, shift)| match unit {
        Some(u) => u == *letter,
        None => size >= 2f64.powi(*shift as i32),
    });
    Ok(Value::str(match chosen {
        Some((letter, shift)) => {
            let suffix = if bits { 'b' } else { 'B' };
            format!("{:.2} {letter}{suffix}", size / 2f64.powi(*shift as i32))
        }
        None => format!("{size:.2} {base}"),
    }))
}

fn human_to_bytes(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [default_unit, isbits] = args.bind(["default_unit", "isbits"])?;
    let bits = spelled_flag(isbits, false);
    let text = v.to_text();
    let bad = || Fail::failed(format!("human_to_bytes() can't interpret following string: {text}"));
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let number: f64 = trimmed[..end].parse().map_err(|_| bad())?;
    let mut unit = trimmed[end..].trim().to_string();
    if unit.is_empty() {
        unit = text_or(default_unit, "");
    }
    let Some(letter) = unit.chars().next() else { return Ok(Value::Int(number.round_ties_even() as i128)) };
    let letter = letter.to_ascii_uppercase();
    let rest = &unit[1..];
    let expected = if bits { ["b", "bit"] } else { ["B", "byte"] };
    if letter == 'B' {
        let fits = unit == expected[0]
            || rest.is_empty()
            || unit.eq_ignore_ascii_case(expected[1])
            || unit.eq_ignore_ascii_case(&format!("{}s", expected[1]));
        return if fits { Ok(Value::Int(number.round_ties_even() as i128)) } else { Err(bad()) };
    }
    let Some((_, shift)) = UNITS.iter().find(|(l, _)| *l == letter) else {
        return Err(Fail::failed(format!(
            "human_to_bytes() failed to convert {text}. The suffix must be one of Y, Z, E, P, T, G, M, K, B"
        )));
    };
    if !rest.is_empty() && rest != expected[0] && !rest.to_lowercase().ends_with(expected[1]) {
        return Err(Fail::failed(format!(
            "human_to_bytes() failed to convert {text}. Value is not a valid string ({} expected)",
            expected[0]
        )));
    }
    Ok(Value::Int((number * 2f64.powi(*shift as i32)).round_ties_even() as i128))
}

/// Jinja2's sizes with decimal or binary prefixes.
fn filesizeformat(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [binary] = args.bind(["binary"])?;
    let binary = spelled_flag(binary, false);
    let bytes = match Num::of(&v) {
        Some(n) => n.float(),
        None => parse_float(&v.to_text()).ok_or_else(|| wanted("a number", &v))?,
    };
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    let names = if binary {
        ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    } else {
        ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
    };
    if bytes == 1.0 {
        return Ok(Value::str("1 Byte"));
    }
    if bytes < base {
        return Ok(Value::str(format!("{} Bytes", bytes.trunc())));
    }
    let mut unit = base;
    for (i, name) in names.iter().enumerate() {
        unit = base.powi(i as i32 + 2);
        if bytes < unit {
            return Ok(Value::str(format!("{:.1} {name}", base * bytes / unit)));
        }
    }
    Ok(Value::str(format!("{:.1} {}", base * bytes / unit, names[7])))
}
