//! Which value a plain scalar is: YAML 1.1 as PyYAML implements it.

use std::sync::Arc;

use crate::value::{Text, TextKind, Value};

/// Returns the value of a plain scalar.
pub(super) fn resolve_plain(text: &Arc<str>) -> Value {
    implicit(text).unwrap_or_else(|| text_of(text))
}

/// Returns a scalar that is a text.
pub(super) fn text_of(text: &Arc<str>) -> Value {
    Value::Str(Text::new(text.clone(), TextKind::Yaml))
}

/// Returns the value if the text is not read as a string when written plainly.
pub(super) fn implicit(text: &str) -> Option<Value> {
    match text.bytes().next() {
        None => Some(Value::Null),
        Some(b'~' | b'n' | b'N' | b'y' | b'Y' | b't' | b'T' | b'f' | b'F' | b'o' | b'O') => {
            if matches!(text, "~" | "null" | "Null" | "NULL") {
                return Some(Value::Null);
            }
            boolean(text).map(Value::Bool)
        }
        Some(b'-' | b'+' | b'.' | b'0'..=b'9') => number(text),
        _ => None,
    }
}

/// Returns whether a plain `text` would get a type other than string, in PyYAML's eyes; more than what
/// [`implicit`] gives a value for (timestamps, `=`, `<<`).
pub(super) fn looks_typed(text: &str) -> bool {
    matches!(text, "=" | "<<") || implicit_pattern(text) || is_timestamp(text)
}

fn implicit_pattern(text: &str) -> bool {
    implicit(text).is_some() || is_float(text) || is_int(text)
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<Value> {
    if is_float(text) {
        return float(text).map(Value::Float);
    }
    // An integer beyond 128 bits keeps all its digits as a string.
    if is_int(text) { int(text).map(Value::Int) } else { None }
}

/// Returns the boolean that `!!bool` gives.
pub(super) fn explicit_bool(text: &str) -> Option<bool> {
    boolean(&text.to_ascii_lowercase())
}

fn unsigned(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

/// Returns the integer that PyYAML makes of a text matching its pattern, or tagged `!!int`.
pub(super) fn int(text: &str) -> Option<i128> {
    let clean: String = text.chars().filter(|c| *c != '_').collect();
    let (negative, digits) = unsigned(&clean);
    let magnitude = if digits == "0" {
        0
    } else if let Some(binary) = digits.strip_prefix("0b") {
        radix(binary, 2)?
    } else if let Some(hex) = digits.strip_prefix("0x") {
        radix(hex, 16)?
    } else if digits.starts_with('0') {
        radix(digits, 8)?
    } else if digits.contains(':') {
        digits.split(':').try_fold(0i128, |sum, part| sum.checked_mul(60)?.checked_add(radix(part, 10)?))?
    } else {
        radix(digits, 10)?
    };
    Some(if negative { -magnitude } else { magnitude })
}

fn radix(digits: &str, radix: u32) -> Option<i128> {
    // The standard parser would accept one more sign here.
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    i128::from_str_radix(digits, radix).ok()
}

/// Returns the float that PyYAML makes of a text matching its pattern, or tagged `!!float`.
pub(super) fn float(text: &str) -> Option<f64> {
    let clean: String = text.chars().filter(|c| *c != '_').collect::<String>().to_ascii_lowercase();
    let (negative, digits) = unsigned(&clean);
    let magnitude = match digits {
        ".inf" | "inf" | "infinity" => f64::INFINITY,
        ".nan" | "nan" => f64::NAN,
        _ if digits.contains(':') => {
            digits.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + decimal(part)?))?
        }
        _ => decimal(digits)?,
    };
    Some(if negative { -magnitude } else { magnitude })
}

fn decimal(digits: &str) -> Option<f64> {
    let plain = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'+' | b'-'));
    (plain && !digits.starts_with(['+', '-'])).then(|| digits.parse().ok()).flatten()
}

/// Returns the length of the longest prefix whose bytes all pass.
fn run(bytes: &[u8], pass: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|b| pass(**b)).count()
}

fn digit_or_underscore(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

/// PyYAML's pattern for integers.
fn is_int(text: &str) -> bool {
    let (_, digits) = unsigned(text);
    let bytes = digits.as_bytes();
    let all = |rest: &[u8], pass: fn(u8) -> bool| !rest.is_empty() && rest.iter().all(|b| pass(*b));
    match bytes {
        [b'0'] => true,
        [b'0', b'b', rest @ ..] if all(rest, |b| matches!(b, b'0' | b'1' | b'_')) => true,
        [b'0', b'x', rest @ ..] => all(rest, |b| b.is_ascii_hexdigit() || b == b'_'),
        [b'0', rest @ ..] => all(rest, |b| matches!(b, b'0'..=b'7' | b'_')),
        [b'1'..=b'9', ..] => {
            let rest = &bytes[run(bytes, digit_or_underscore)..];
            rest.is_empty() || sixties(rest) == Some(rest.len())
        }
        _ => false,
    }
}

/// Returns the length of one or more `:NN` groups, each below 60, at the start of `bytes`.
fn sixties(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while bytes.get(at) == Some(&b':') {
        let digits = run(&bytes[at + 1..], |b| b.is_ascii_digit());
        match (digits, bytes.get(at + 1)) {
            (1, _) | (2, Some(b'0'..=b'5')) => at += 1 + digits,
            _ => return None,
        }
    }
    (at > 0).then_some(at)
}

/// PyYAML's pattern for floats: it needs a dot, and a sign in the exponent.
fn is_float(text: &str) -> bool {
    let (_, digits) = unsigned(text);
    let signed = digits.len() != text.len();
    let bytes = digits.as_bytes();
    match bytes {
        [b'0'..=b'9', ..] => {
            let rest = &bytes[run(bytes, digit_or_underscore)..];
            if let Some(fraction) = rest.strip_prefix(b".") {
                return exponent_or_end(&fraction[run(fraction, digit_or_underscore)..]);
            }
            let Some(length) = sixties(rest) else { return false };
            matches!(&rest[length..], [b'.', fraction @ ..] if fraction.iter().all(|b| digit_or_underscore(*b)))
        }
        b".inf" | b".Inf" | b".INF" => true,
        _ if signed => false,
        b".nan" | b".NaN" | b".NAN" => true,
        [b'.', b'0'..=b'9', ..] => exponent_or_end(&bytes[1 + run(&bytes[1..], digit_or_underscore)..]),
        _ => false,
    }
}

fn exponent_or_end(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b'e' | b'E', b'-' | b'+', digits @ ..] => {
            !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

/// PyYAML's pattern for timestamps. They stay strings when read; only the emitter must quote them.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |b: &[u8], least: usize, most: usize| {
        let n = run(b, |c| c.is_ascii_digit());
        (least..=most).contains(&n).then_some(n)
    };
    let date = || -> Option<usize> {
        let mut at = digits(bytes, 4, 4)?;
        for _ in 0..2 {
            at += usize::from(bytes.get(at) == Some(&b'-')).checked_sub(1).map(|_| 1)?;
            at += digits(&bytes[at..], 1, 2)?;
        }
        Some(at)
    };
    let Some(date_end) = date() else { return false };
    if date_end == bytes.len() {
        // The short form wants two digits everywhere.
        return bytes.len() == 10;
    }
    let time = || -> Option<bool> {
        let rest = &bytes[date_end..];
        let mut at = match rest {
            [b'T' | b't', ..] => 1,
            _ => Some(run(rest, |b| matches!(b, b' ' | b'\t'))).filter(|n| *n > 0)?,
        };
        at += digits(&rest[at..], 1, 2)?;
        for _ in 0..2 {
            (rest.get(at) == Some(&b':')).then_some(())?;
            at += 1 + digits(&rest[at + 1..], 2, 2)?;
        }
        if rest.get(at) == Some(&b'.') {
            at += 1 + run(&rest[at + 1..], |b| b.is_ascii_digit());
        }
        if at == rest.len() {
            return Some(true);
        }
        at += run(&rest[at..], |b| matches!(b, b' ' | b'\t'));
        match rest.get(at)? {
            b'Z' => Some(at + 1 == rest.len()),
            b'+' | b'-' => {
                at += 1 + digits(&rest[at + 1..], 1, 2)?;
                if at == rest.len() {
                    return Some(true);
                }
                (rest[at] == b':').then_some(())?;
                at += 1 + digits(&rest[at + 1..], 2, 2)?;
                Some(at == rest.len())
            }
            _ => Some(false),
        }
    };
    time().unwrap_or(false)
}
