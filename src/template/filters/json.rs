//! JSON and YAML as filters.

use super::Filter::{self, Plain};
use super::convert::{spelled_flag, wanted};
use super::text::sort_keys;
use crate::template::args::{ValueArgs, flag_or, size_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::template::runtime::text_of;
use crate::value::{self, Value, float_repr, write_json_text};
use crate::yaml::{self, EmitOptions, FlowStyle, LineBreaks, Secrets};

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("from_json", Plain(from_json)),
    ("from_yaml", Plain(from_yaml)),
    ("from_yaml_all", Plain(from_yaml_all)),
    ("to_json", Plain(to_json)),
    ("to_nice_json", Plain(to_nice_json)),
    ("to_nice_yaml", Plain(to_nice_yaml)),
    ("to_yaml", Plain(to_yaml)),
    ("tojson", Plain(tojson)),
];

/// How `json.dumps` writes.
struct Style {
    indent: Option<usize>,
    item_separator: String,
    key_separator: String,
    ascii: bool,
}

fn write(v: &Value, style: &Style, level: usize, out: &mut String) -> R<()> {
    match v {
        Value::Null | Value::Omit => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) => out.push_str(&i.to_string()),
        Value::Float(f) if f.is_nan() => out.push_str("NaN"),
        Value::Float(f) if f.is_infinite() => out.push_str(if *f > 0.0 { "Infinity" } else { "-Infinity" }),
        Value::Float(f) => out.push_str(&float_repr(*f)),
        Value::Str(s) => write_json_text(s, style.ascii, out),
        Value::Secret(s) => write_json_text(s.expose(), style.ascii, out),
        Value::Unknown(u) => return Err(Fail::unknown(u.clone())),
        Value::List(items) => {
            if items.is_empty() {
                out.push_str("[]");
                return Ok(());
            }
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(&style.item_separator);
                }
                new_line(style, level + 1, out);
                write(item, style, level + 1, out)?;
            }
            new_line(style, level, out);
            out.push(']');
        }
        Value::Map(map) => {
            if map.is_empty() {
                out.push_str("{}");
                return Ok(());
            }
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push_str(&style.item_separator);
                }
                new_line(style, level + 1, out);
                write_json_text(&key.json_name(), style.ascii, out);
                out.push_str(&style.key_separator);
                write(item, style, level + 1, out)?;
            }
            new_line(style, level, out);
            out.push('}');
        }
    }
    Ok(())
}

fn new_line(style: &Style, level: usize, out: &mut String) {
    if let Some(indent) = style.indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * level));
    }
}

fn dump(v: &Value, args: ValueArgs, indent: Option<usize>, sort: bool) -> R<String> {
    let [indent_arg, sort_arg, ensure_ascii, separators, _, _] = args.bind([
        "indent",
        "sort_keys",
        "ensure_ascii",
        "separators",
        "vault_to_text",
        "preprocess_unsafe",
    ])?;
    let indent = match indent_arg {
        Some(Value::Null) => None,
        Some(i) => Some(size_or(Some(i), "indent", 4)?.min(100)),
        None => indent,
    };
    let (mut item, mut key) = (if indent.is_some() { "," } else { ", " }.to_string(), ": ".to_string());
    if let Some([i, k]) = separators.as_ref().and_then(Value::as_list) {
        (item, key) = (i.to_text(), k.to_text());
    }
    let style =
        Style { indent, item_separator: item, key_separator: key, ascii: flag_or(ensure_ascii, true) };
    let v = if spelled_flag(sort_arg, sort) { sort_keys(v) } else { v.clone() };
    let mut out = String::new();
    write(&v, &style, 0, &mut out)?;
    Ok(out)
}

fn to_json(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    dump(&v, args, None, false).map(Value::str)
}

fn to_nice_json(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    dump(&v, args, Some(4), true).map(Value::str)
}

/// Jinja2's own filter: keys in order, and safe inside of HTML.
fn tojson(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [indent] = args.bind(["indent"])?;
    let mut inner = ValueArgs::default();
    if let Some(indent) = indent {
        inner.named.push(("indent".into(), indent));
    }
    let text = dump(&v, inner, None, true)?;
    let safe =
        text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027");
    Ok(Value::str(safe))
}

fn from_json(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [_] = args.bind(["profile"])?;
    let text = text_of(&v).ok_or_else(|| wanted("a string", &v))?;
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|e| Fail::failed(format!("this is not JSON: {e}")))?;
    Ok(value::from_json(&json))
}

fn from_yaml(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    match text_of(&v) {
        Some(text) => yaml::parse_value(text).map_err(|e| Fail::failed(format!("this is not YAML: {e}"))),
        None => Ok(v),
    }
}

fn from_yaml_all(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    match text_of(&v) {
        Some(text) => yaml::parse_values(text)
            .map(Value::list)
            .map_err(|e| Fail::failed(format!("this is not YAML: {e}"))),
        None => Ok(v),
    }
}

fn emit(v: &Value, args: ValueArgs, defaults: EmitOptions) -> R<Value> {
    let [indent, width, sort_keys, flow, start, unicode, _, _, _] = args.bind([
        "indent",
        "width",
        "sort_keys",
        "default_flow_style",
        "explicit_start",
        "allow_unicode",
        "default_style",
        "canonical",
        "line_break",
    ])?;
    let options = EmitOptions {
        indent: size_or(indent, "indent", defaults.indent)?,
        width: size_or(width, "width", defaults.width)?,
        sort_keys: spelled_flag(sort_keys, defaults.sort_keys),
        line_breaks: LineBreaks::Quoted,
        explicit_start: spelled_flag(start, false),
        allow_unicode: spelled_flag(unicode, true),
        default_flow_style: match flow {
            Some(Value::Null) => FlowStyle::Leaves,
            Some(f) if f.is_truthy() => FlowStyle::Always,
            Some(_) => FlowStyle::Never,
            None => defaults.default_flow_style,
        },
        secrets: Secrets::Expose,
    };
    Ok(Value::str(yaml::to_yaml(v, &options)))
}

fn to_yaml(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    emit(&v, args, EmitOptions::default())
}

fn to_nice_yaml(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let defaults = EmitOptions { indent: 4, default_flow_style: FlowStyle::Never, ..EmitOptions::default() };
    emit(&v, args, defaults)
}
