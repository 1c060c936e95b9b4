//! Python's view of a value: truth, `str()`, `repr()`, numbers.

use super::{Key, Value};

impl Value {
    /// Python's truth. An unknown counts as true: callers that can meet one must ask [`Value::is_unknown`] first.
    pub fn is_truthy(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(b) => *b,
            Value::Int(i) => *i != 0,
            Value::Float(f) => *f != 0.0,
            Value::Str(s) => !s.is_empty(),
            Value::Secret(s) => !s.expose().is_empty(),
            Value::List(l) => !l.is_empty(),
            Value::Map(m) => !m.is_empty(),
            Value::Omit | Value::Unknown(_) => true,
        }
    }

    /// Returns integers and booleans as an exact number.
    pub(super) fn exact_number(&self) -> Option<i128> {
        match self {
            Value::Int(i) => Some(*i),
            Value::Bool(b) => Some(i128::from(*b)),
            _ => None,
        }
    }

    /// Returns any number as a float; nothing for other types.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Float(f) => Some(*f),
            _ => self.exact_number().map(|i| i as f64),
        }
    }

    /// Returns Python's `str()` of the value. A secret gives its text: callers that print use the masking writer.
    pub fn to_text(&self) -> String {
        match self {
            Value::Str(s) => s.to_string(),
            Value::Secret(s) => s.expose().to_string(),
            other => other.repr(),
        }
    }

    /// Returns Python's `repr()` of the value.
    pub fn repr(&self) -> String {
        let mut out = String::new();
        write_repr(self, &mut out);
        out
    }
}

fn write_repr(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(i) => out.push_str(&i.to_string()),
        Value::Float(f) => out.push_str(&float_repr(*f)),
        Value::Str(s) => write_str_repr(s, out),
        Value::Secret(s) => write_str_repr(s.expose(), out),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_repr(item, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                match key {
                    Key::Str(s) => write_str_repr(s, out),
                    other => write_repr(&other.to_value(), out),
                }
                out.push_str(": ");
                write_repr(item, out);
            }
            out.push('}');
        }
        Value::Omit => out.push_str("omit"),
        Value::Unknown(_) => out.push_str("(known after apply)"),
    }
}

/// Returns a float as Python prints it: shortest digits, exponent from 1e16 up and below 1e-4.
pub fn float_repr(f: f64) -> String {
    if f.is_nan() {
        return "nan".into();
    }
    if f.is_infinite() {
        return if f > 0.0 { "inf".into() } else { "-inf".into() };
    }
    // Of two shortest forms equally near, Python takes the even one; rounding the exact value does so too.
    let shortest = format!("{f:e}");
    let digits = shortest.bytes().take_while(|b| *b != b'e').filter(u8::is_ascii_digit).count();
    let scientific = format!("{f:.*e}", digits.saturating_sub(1));
    let magnitude = f.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    let exponent = scientific.split_once('e').and_then(|(_, e)| e.parse::<i64>().ok()).unwrap_or(0);
    let decimals = usize::try_from(digits as i64 - 1 - exponent).unwrap_or(0);
    let text = format!("{f:.decimals$}");
    if text.contains('.') { text } else { text + ".0" }
}

fn write_str_repr(s: &str, out: &mut String) {
    use std::fmt::Write;
    let quote = if s.contains('\'') && !s.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in s.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || (0x7f..0xa1).contains(&(c as u32)) || c == '\u{ad}' => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Map;

    fn check(value: impl Into<Value>, expect: &str) {
        assert_eq!(value.into().repr(), expect);
    }

    #[test]
    fn prints_as_python_does() {
        check(1e20, "1e+20");
        check(1e-7, "1e-07");
        check(1.5, "1.5");
        check(-0.0, "-0.0");
        check(0.1, "0.1");
        check(1_269_733_243_545_955.2, "1269733243545955.2");
        check(9007199254740992.0, "9007199254740992.0");
        check(100.0, "100.0");
        check(0.00012, "0.00012");
        check(3.0, "3.0");
        check(1e16, "1e+16");
        check(123456789012345680.0, "1.2345678901234568e+17");
        check("it's", "\"it's\"");
        check("a\n'\"", "'a\\n\\'\"'");
        check(vec![Value::Null, Value::Bool(true), 7.into()], "[None, True, 7]");
        check(Map::from_iter([("a", Value::str("b"))]), "{'a': 'b'}");
    }

    #[test]
    fn compares_as_python_does() {
        assert_eq!(Value::Int(1), Value::Bool(true));
        assert_eq!(Value::Int(1), Value::Float(1.0));
        assert_ne!(Value::str("1"), Value::Int(1));
    }
}
