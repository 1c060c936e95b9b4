//! JSON text as Python's `json.dumps` writes it, which is what Ansible's outputs and filters show.

use std::fmt::Write;

use super::{Value, python};

/// Options of `json.dumps`.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonStyle {
    /// Spaces per level; nothing puts all on one line.
    pub indent: Option<usize>,
    pub sort_keys: bool,
    /// Write everything beyond ASCII as `\uXXXX`.
    pub ascii: bool,
}

/// Returns the value as JSON text in Python's layout: `", "` and `": "` as separators. Secrets become asterisks.
pub fn to_python_json(value: &Value, style: JsonStyle) -> String {
    let mut out = String::new();
    write_value(value, style, 0, &mut out);
    out
}

fn write_value(value: &Value, style: JsonStyle, depth: usize, out: &mut String) {
    match value {
        Value::Null | Value::Omit => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) => out.push_str(&i.to_string()),
        Value::Float(f) if f.is_nan() => out.push_str("NaN"),
        Value::Float(f) if f.is_infinite() => out.push_str(if *f > 0.0 { "Infinity" } else { "-Infinity" }),
        Value::Float(f) => out.push_str(&python::float_repr(*f)),
        Value::Str(s) => write_json_text(s, style.ascii, out),
        Value::Secret(_) => out.push_str("\"********\""),
        Value::Unknown(_) => out.push_str("\"(known after apply)\""),
        Value::List(items) if items.is_empty() => out.push_str("[]"),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                separate(i, style, depth, out);
                write_value(item, style, depth + 1, out);
            }
            close(']', style, depth, out);
        }
        Value::Map(map) if map.is_empty() => out.push_str("{}"),
        Value::Map(map) => {
            let mut members: Vec<_> = map.iter().map(|(k, v)| (k.json_name(), v)).collect();
            if style.sort_keys {
                members.sort_by(|a, b| a.0.cmp(&b.0));
            }
            out.push('{');
            for (i, (name, item)) in members.iter().enumerate() {
                separate(i, style, depth, out);
                write_json_text(name, style.ascii, out);
                out.push_str(": ");
                write_value(item, style, depth + 1, out);
            }
            close('}', style, depth, out);
        }
    }
}

fn separate(index: usize, style: JsonStyle, depth: usize, out: &mut String) {
    if index > 0 {
        out.push_str(if style.indent.is_some() { "," } else { ", " });
    }
    new_line(style, depth + 1, out);
}

fn close(bracket: char, style: JsonStyle, depth: usize, out: &mut String) {
    new_line(style, depth, out);
    out.push(bracket);
}

fn new_line(style: JsonStyle, depth: usize, out: &mut String) {
    if let Some(indent) = style.indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * depth));
    }
}

/// Writes a text as a JSON string; `ascii` writes everything beyond ASCII as `\uXXXX`.
pub fn write_json_text(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || (ascii && !c.is_ascii()) => {
                let mut units = [0u16; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Map;

    fn check(value: Value, style: JsonStyle, expect: &str) {
        assert_eq!(to_python_json(&value, style), expect);
    }

    #[test]
    fn writes_what_json_dumps_writes() {
        let map = Map::from_iter([
            ("b", Value::from(vec![1, 2])),
            ("a", Value::str("ü\u{1f600}\"")),
            ("c", Value::Null),
        ]);
        let value = Value::map(map);
        check(value.clone(), JsonStyle::default(), "{\"b\": [1, 2], \"a\": \"ü😀\\\"\", \"c\": null}");
        check(
            value.clone(),
            JsonStyle { sort_keys: true, ascii: true, indent: None },
            "{\"a\": \"\\u00fc\\ud83d\\ude00\\\"\", \"b\": [1, 2], \"c\": null}",
        );
        check(
            value,
            JsonStyle { indent: Some(4), ..JsonStyle::default() },
            "{\n    \"b\": [\n        1,\n        2\n    ],\n    \"a\": \"ü😀\\\"\",\n    \"c\": null\n}",
        );
        check(Value::Float(1.0), JsonStyle::default(), "1.0");
    }
}
