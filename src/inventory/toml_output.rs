//! TOML of `ansible-inventory --list --toml`, laid out as the library tomli-w does it.

use crate::value::{Key, Map, Value, float_repr};

/// The width up to which a table in a list stands on one line.
const WIDTH: usize = 100;
const INDENT: &str = "    ";

/// Returns a map as a TOML document. The error names a value that TOML cannot hold.
pub fn to_toml(map: &Map) -> Result<String, String> {
    let mut out = String::new();
    table(map, "", Heading::Table, &mut out)?;
    Ok(out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Heading {
    Table,
    /// One of a list of tables.
    Item,
}

/// Writes a table with all below it.
fn table(map: &Map, name: &str, heading: Heading, out: &mut String) -> Result<(), String> {
    let mut literals = Vec::new();
    let mut tables = Vec::new();
    for (key, value) in map {
        match value {
            Value::Map(inner) => tables.push((key, &**inner, Heading::Table)),
            Value::List(items) if is_list_of_tables(items)? => {
                tables.extend(items.iter().filter_map(|item| Some((key, item.as_map()?, Heading::Item))));
            }
            value => literals.push((key, value)),
        }
    }
    let mut written = false;
    if heading == Heading::Item || !name.is_empty() && (!literals.is_empty() || tables.is_empty()) {
        written = true;
        let line = if heading == Heading::Item { format!("[[{name}]]\n") } else { format!("[{name}]\n") };
        out.push_str(&line);
    }
    for (key, value) in literals {
        written = true;
        let line = format!("{} = {}\n", key_part(key), literal(value, 0)?);
        out.push_str(&line);
    }
    for (key, inner, heading) in tables {
        if written {
            out.push('\n');
        }
        written = true;
        let part = key_part(key);
        let name = if name.is_empty() { part } else { format!("{name}.{part}") };
        table(inner, &name, heading, out)?;
    }
    Ok(())
}

/// Whether a list becomes tables with headings: it holds nothing but tables, one of which is too long for a line.
fn is_list_of_tables(items: &[Value]) -> Result<bool, String> {
    if items.is_empty() || !items.iter().all(|item| item.as_map().is_some()) {
        return Ok(false);
    }
    for item in items {
        let line = format!("{INDENT}{},", literal(item, 0)?);
        if line.chars().count() > WIDTH || line.contains('\n') {
            return Ok(true);
        }
    }
    Ok(false)
}

fn literal(value: &Value, level: usize) -> Result<String, String> {
    Ok(match value {
        Value::Bool(on) => on.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => float_repr(*number),
        Value::List(items) if items.is_empty() => "[]".to_string(),
        Value::List(items) => {
            let mut lines = Vec::new();
            for item in items.iter() {
                lines.push(format!("{}{}", INDENT.repeat(level + 1), literal(item, level + 1)?));
            }
            format!("[\n{},\n{}]", lines.join(",\n"), INDENT.repeat(level))
        }
        Value::Map(map) if map.is_empty() => "{}".to_string(),
        Value::Map(map) => {
            let mut parts = Vec::new();
            for (key, value) in map.iter() {
                parts.push(format!("{} = {}", key_part(key), literal(value, 0)?));
            }
            format!("{{ {} }}", parts.join(", "))
        }
        Value::Str(text) => quoted(text),
        other => return Err(format!("TOML cannot hold {}", other.type_name())),
    })
}

fn key_part(key: &Key) -> String {
    let name = key.json_name();
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.chars().all(bare) { name.to_string() } else { quoted(&name) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\u{8}' => out.push_str("\\b"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\t' => out.push('\t'),
            c if u32::from(c) < 32 || u32::from(c) == 127 => {
                let escape = format!("\\u{:04x}", u32::from(c));
                out.push_str(&escape);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
