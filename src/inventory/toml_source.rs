//! Inventories in TOML form: the same groups as in YAML, with lists of names as children.

use std::path::Path;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::builder::Builder;
use super::vars_files::unlocked;
use super::yaml_source;
use crate::diag::{Diagnostic, Span};
use crate::yaml;

/// Reads a file. Its groups go the way of those in YAML, so that both mean the same.
pub(super) fn read(builder: &mut Builder<'_>, path: &Path) {
    let text = match unlocked(builder.templar, path) {
        Ok(Some(plain)) => Ok(plain),
        Ok(None) => std::fs::read_to_string(path).map_err(|error| {
            Diagnostic::error("XP0501", format!("cannot read the inventory `{}`: {error}", path.display()))
        }),
        Err(diagnostic) => Err(diagnostic),
    };
    let text = match text {
        Ok(text) => text,
        Err(diagnostic) => return builder.errors.push(diagnostic),
    };
    let table = match DeTable::parse(&text) {
        Ok(table) => table,
        Err(error) => {
            let file = builder.sources.add(path, text.as_str());
            let at = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
            let range = error.span().unwrap_or(text.len()..text.len());
            let span = Span { file, start: at(range.start), end: at(range.end) };
            let message = format!("the inventory `{}` is not valid TOML", path.display());
            return builder.errors.push(Diagnostic::error("XP0501", message).at(span, error.message()));
        }
    };
    let groups: Map<String, Value> =
        in_order(table.get_ref()).into_iter().map(|(name, group)| (name, of_group(value(group)))).collect();
    let file = builder.sources.add(path, Value::Object(groups).to_string());
    match yaml::parse(builder.sources, file) {
        Ok(parsed) => {
            if let Some(node) = parsed.documents.first() {
                yaml_source::read(builder, node);
            }
        }
        Err(diagnostic) => builder.errors.push(diagnostic),
    }
}

/// Children are a list here, and the names of a mapping in YAML.
fn of_group(mut group: Value) -> Value {
    if let Some(children) = group.get_mut("children")
        && let Some(names) = children.as_array()
    {
        let named = names.iter().filter_map(|name| Some((name.as_str()?.to_string(), Value::Null)));
        *children = Value::Object(named.collect());
    }
    group
}

/// Returns the members of a table as they are written.
fn in_order<'t, 'v>(table: &'t DeTable<'v>) -> Vec<(String, &'t Spanned<DeValue<'v>>)> {
    let mut members: Vec<_> = table.iter().collect();
    members.sort_by_key(|(name, _)| name.span().start);
    members.into_iter().map(|(name, value)| (name.get_ref().to_string(), value)).collect()
}

fn value(written: &Spanned<DeValue<'_>>) -> Value {
    match written.get_ref() {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(value).collect()),
        DeValue::Table(table) => {
            Value::Object(in_order(table).into_iter().map(|(name, member)| (name, value(member))).collect())
        }
    }
}
