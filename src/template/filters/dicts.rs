//! Filters over dicts.

use std::sync::Arc;

use super::Filter::{self, Raw, Shape};
use super::convert::{text_arg, wanted};
use crate::template::args::{VArgs, ValueArgs, flag_or, need, text_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::template::runtime::V;
use crate::value::{Key, Map, Value};

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("combine", Shape(combine)),
    ("dict2items", Shape(dict2items)),
    ("dict_kv", Shape(dict_kv)),
    ("extract", Raw(extract)),
    ("items2dict", Shape(items2dict)),
    ("rekey_on_member", Shape(rekey)),
    ("subelements", Shape(subelements)),
];

#[derive(Clone, Copy)]
enum ListMerge {
    Replace,
    Keep,
    Append,
    Prepend,
    AppendNew,
    PrependNew,
}

fn combine(_: &mut Interp<'_>, v: Value, mut args: ValueArgs) -> R<Value> {
    let recursive = flag_or(args.take("recursive"), false);
    let list_merge = match text_or(args.take("list_merge"), "replace").as_str() {
        "replace" => ListMerge::Replace,
        "keep" => ListMerge::Keep,
        "append" => ListMerge::Append,
        "prepend" => ListMerge::Prepend,
        "append_rp" => ListMerge::AppendNew,
        "prepend_rp" => ListMerge::PrependNew,
        other => {
            return Err(Fail::failed(format!(
                "'list_merge' must be replace, keep, append, prepend, append_rp or prepend_rp, not '{other}'"
            )));
        }
    };
    if let Some((name, _)) = args.named.first() {
        return Err(Fail::failed("'recursive' and 'list_merge' are the only valid keyword arguments")
            .help(format!("take out '{name}'")));
    }
    let mut dicts = Vec::new();
    for value in [v].into_iter().chain(args.pos) {
        // A list of dicts stands for its members, a list in a list for itself.
        match value {
            Value::List(items) => dicts.extend(items.iter().filter(|x| !x.is_null()).cloned()),
            Value::Null => {}
            other => dicts.push(other),
        }
    }
    if let Some(wrong) = dicts.iter().position(|dict| dict.as_map().is_none()) {
        let dict = |at: usize| dicts.get(at).map_or("dict", Value::type_name);
        let (a, b) =
            if wrong + 1 < dicts.len() { (wrong, wrong + 1) } else { (wrong.saturating_sub(1), wrong) };
        let shown = [a, b].map(|at| dicts.get(at).map(crate::value::to_json_text).unwrap_or_default());
        return Err(Fail::failed(format!(
            "failed to combine variables, expected dicts but got a '{}' and a '{}': \n{}\n{}",
            dict(a),
            dict(b),
            shown[0],
            shown[1]
        )));
    }
    let mut out = Map::new();
    for dict in dicts.iter().filter_map(Value::as_map) {
        merge(&mut out, dict, recursive, list_merge);
    }
    Ok(Value::map(out))
}

fn merge(out: &mut Map, other: &Map, recursive: bool, list_merge: ListMerge) {
    for (key, new) in other {
        let merged = match (out.get_key(key), new) {
            (Some(Value::Map(old)), Value::Map(new)) if recursive => {
                let mut inner = (**old).clone();
                merge(&mut inner, new, recursive, list_merge);
                Value::map(inner)
            }
            (Some(Value::List(old)), Value::List(new)) => Value::list(merge_lists(old, new, list_merge)),
            _ => new.clone(),
        };
        out.insert(key.clone(), merged);
    }
}

fn merge_lists(old: &[Value], new: &[Value], how: ListMerge) -> Vec<Value> {
    let without = |from: &[Value], other: &[Value]| -> Vec<Value> {
        from.iter().filter(|x| !other.contains(x)).cloned().collect()
    };
    match how {
        ListMerge::Replace => new.to_vec(),
        ListMerge::Keep => old.to_vec(),
        ListMerge::Append => [old, new].concat(),
        ListMerge::Prepend => [new, old].concat(),
        ListMerge::AppendNew => [without(old, new), new.to_vec()].concat(),
        ListMerge::PrependNew => [new.to_vec(), without(old, new)].concat(),
    }
}

fn dict2items(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [key_name, value_name] = args.bind(["key_name", "value_name"])?;
    let Value::Map(map) = &v else {
        return Err(Fail::failed(format!(
            "dict2items requires a dictionary, got {} instead.",
            v.type_name()
        )));
    };
    let (key_name, value_name) = (text_or(key_name, "key"), text_or(value_name, "value"));
    let item = |(k, x): (&Key, &Value)| {
        Value::map(Map::from_iter([(key_name.as_str(), k.to_value()), (value_name.as_str(), x.clone())]))
    };
    Ok(Value::list(map.iter().map(item).collect()))
}

fn items2dict(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [key_name, value_name] = args.bind(["key_name", "value_name"])?;
    let Value::List(items) = &v else {
        return Err(Fail::failed(format!("items2dict requires a list, got {} instead.", v.type_name())));
    };
    let (key_name, value_name) = (text_or(key_name, "key"), text_or(value_name, "value"));
    let mut out = Map::new();
    for item in items.iter() {
        if item.as_map().is_none() {
            return Err(Fail::failed(format!(
                "items2dict requires a list of dictionaries, got {} instead.",
                item.repr()
            )));
        }
        let (Some(key), Some(value)) = (item.get(&key_name), item.get(&value_name)) else {
            return Err(Fail::failed(format!(
                "items2dict requires each dictionary in the list to contain the keys '{key_name}' and '{value_name}', got {} instead.",
                item.repr()
            )));
        };
        out.insert(key_of(key)?, value.clone());
    }
    Ok(Value::map(out))
}

fn key_of(v: &Value) -> R<Key> {
    Key::from_value(v).ok_or_else(|| Fail::failed(format!("unhashable type: '{}'", v.type_name())))
}

fn dict_kv(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [key] = args.bind(["key"])?;
    Ok(Value::map(Map::from_iter([(key_of(&need(key, "key")?)?, v)])))
}

/// `key | extract(container, morekeys)`: looks the input up, without rendering the rest of the container.
fn extract(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [container, more] = args.bind(["container", "morekeys"])?;
    let container = need(container, "container")?;
    let mut found = interp.item(&container, &v)?;
    match more {
        None => {}
        Some(more) if more.is_null() => {}
        Some(more) if more.is_list() => {
            for key in interp.items(&more)? {
                found = interp.item(&found, &key)?;
            }
        }
        Some(key) => found = interp.item(&found, &key)?,
    }
    Ok(found)
}

fn rekey(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [key, duplicates] = args.bind(["key", "duplicates"])?;
    let key = text_arg(key, "key")?;
    let duplicates = text_or(duplicates, "error");
    if !matches!(duplicates.as_str(), "error" | "overwrite") {
        return Err(Fail::failed(format!(
            "duplicates parameter to rekey_on_member has unknown value: {duplicates}"
        )));
    }
    let items: Vec<Value> = match &v {
        Value::Map(map) => map.values().cloned().collect(),
        Value::List(items) => items.to_vec(),
        _ => return Err(Fail::failed("Type is not a valid list, set, or dict")),
    };
    let mut out = Map::new();
    for item in items {
        if item.as_map().is_none() {
            return Err(Fail::failed("List item is not a valid dict"));
        }
        let Some(member) = item.get(&key) else {
            return Err(Fail::failed(format!("Key {key} was not found")));
        };
        let member = key_of(member)?;
        if out.get_key(&member).is_some() && duplicates == "error" {
            return Err(Fail::failed(format!(
                "Key {} is not unique, cannot correctly turn into dict",
                member.json_name()
            )));
        }
        out.insert(member, item);
    }
    Ok(Value::map(out))
}

fn subelements(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [path, skip_missing] = args.bind(["subelements", "skip_missing"])?;
    if !matches!(v, Value::List(_) | Value::Map(_)) {
        return Err(Fail::failed("obj must be a list of dicts or a nested dict"));
    }
    let path = match need(path, "subelements")? {
        Value::List(parts) => parts.iter().map(Value::to_text).collect(),
        Value::Str(text) => text.split('.').map(str::to_string).collect::<Vec<_>>(),
        _ => return Err(Fail::failed("subelements must be a list or a string")),
    };
    pairs_with_members(&v, &path, flag_or(skip_missing, false)).map(Value::list)
}

/// Returns `[item, member]` for each member of the list under `path` in each item.
pub(in crate::template) fn pairs_with_members(
    v: &Value,
    path: &[String],
    skip_missing: bool,
) -> R<Vec<Value>> {
    let items: Arc<Vec<Value>> = match v {
        Value::Map(map) => Arc::new(map.values().cloned().collect()),
        Value::List(items) => items.clone(),
        other => return Err(wanted("a list of dicts or a dict of dicts", other)),
    };
    let mut out = Vec::new();
    for item in items.iter() {
        let mut at = Some(item.clone());
        for (i, part) in path.iter().enumerate() {
            let Some(whole) = at else { break };
            at = match whole.get(part) {
                Some(found) if i + 1 < path.len() && found.as_map().is_none() => {
                    if !skip_missing {
                        return Err(Fail::failed(format!(
                            "the key {part} should point to a dictionary, got '{}'",
                            found.to_text()
                        )));
                    }
                    None
                }
                Some(found) => Some(found.clone()),
                None if skip_missing => None,
                None => {
                    return Err(Fail::failed(format!(
                        "could not find '{part}' key in iterated item '{}'",
                        whole.repr()
                    )));
                }
            };
        }
        match at {
            None => {}
            Some(Value::List(members)) => {
                out.extend(members.iter().map(|m| Value::list(vec![item.clone(), m.clone()])));
            }
            Some(other) => {
                return Err(Fail::failed(format!(
                    "the key '{}' should point to a list, got '{}'",
                    path.join("."),
                    other.repr()
                )));
            }
        }
    }
    Ok(out)
}
