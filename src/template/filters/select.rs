//! Filters that pick, order and map the items of a list. Items keep their identity and stay lazy.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Filter::{self, Raw};
use crate::template::Truth;
use crate::template::args::{VArgs, need, size_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::template::ops;
use crate::template::runtime::{V, holds_secret, make_secret, text_of};
use crate::value::Value;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("attr", Raw(attr)),
    ("batch", Raw(batch)),
    ("count", Raw(length)),
    ("dictsort", Raw(dictsort)),
    ("first", Raw(first)),
    ("groupby", Raw(groupby)),
    ("items", Raw(items)),
    ("join", Raw(join)),
    ("last", Raw(last)),
    ("length", Raw(length)),
    ("list", Raw(list)),
    ("map", Raw(map)),
    ("max", Raw(|i, v, a| extreme(i, v, a, Ordering::Greater))),
    ("min", Raw(|i, v, a| extreme(i, v, a, Ordering::Less))),
    ("reject", Raw(|i, v, a| select(i, v, a, false))),
    ("rejectattr", Raw(|i, v, a| selectattr(i, v, a, false))),
    ("reverse", Raw(reverse)),
    ("select", Raw(|i, v, a| select(i, v, a, true))),
    ("selectattr", Raw(|i, v, a| selectattr(i, v, a, true))),
    ("slice", Raw(slice)),
    ("sort", Raw(sort)),
    ("sum", Raw(sum)),
];

/// Wraps a filter's body: an unknown input gives an unknown result.
fn known(v: &V) -> Option<V> {
    v.as_unknown().map(V::unknown)
}

fn text_item(interp: &mut Interp<'_>, v: Option<V>) -> R<Option<String>> {
    match v {
        Some(v) if !v.is_null() => Ok(Some(interp.value(&v)?.to_text())),
        _ => Ok(None),
    }
}

fn flag(interp: &mut Interp<'_>, v: Option<V>) -> R<bool> {
    v.map_or(Ok(false), |v| interp.is_true(&v))
}

/// Follows a dotted attribute path as Jinja2's filters do: parts that are numbers are indexes.
pub(super) fn follow(interp: &mut Interp<'_>, item: &V, path: &V) -> R<V> {
    let path = interp.value(path)?;
    match text_of(&path) {
        None => interp.item(item, &V::Val(path)),
        Some(text) => {
            let mut v = item.clone();
            for part in text.split('.') {
                v = match part.parse::<i128>() {
                    Ok(i) => match interp.item(&v, &V::Val(Value::Int(i)))? {
                        V::Undef(_) => interp.item(&v, &V::str(part))?,
                        found => found,
                    },
                    Err(_) => interp.item_or_attr(&v, part)?,
                };
            }
            Ok(v)
        }
    }
}

fn length(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    args.bind([])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    if let Some(text) = v.as_text() {
        return Ok(V::int(text.chars().count()));
    }
    let n = match &v {
        V::Undef(u) => return Err(u.fail.clone()),
        V::List(l) => l.borrow().len(),
        V::Val(Value::List(l)) => l.len(),
        V::TreeList(l, _) => l.len(),
        V::Tuple(t) => t.len(),
        v if v.is_dict() => interp.keys(v)?.len(),
        other => return Err(Fail::failed(format!("object of type '{}' has no len()", other.type_name()))),
    };
    Ok(V::int(n))
}

fn list(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    args.bind([])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    interp.items(&v).map(V::list)
}

fn first(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    args.bind([])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    let found = interp.items(&v)?.into_iter().next();
    Ok(found.unwrap_or_else(|| V::undef("first", "No first item, sequence was empty.")))
}

fn last(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    args.bind([])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    let found = interp.items(&v)?.pop();
    Ok(found.unwrap_or_else(|| V::undef("last", "No last item, sequence was empty.")))
}

fn reverse(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    args.bind([])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    if let Some(text) = v.as_text() {
        return Ok(V::Val(ops::like(&v, text.chars().rev().collect())));
    }
    let mut items = interp.items(&v)?;
    items.reverse();
    Ok(V::list(items))
}

fn items(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    args.bind([])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    if v.is_undef() {
        return Ok(V::list(Vec::new()));
    }
    let members = interp.members(&v)?;
    Ok(V::list(members.into_iter().map(|(k, x)| V::tuple(vec![V::Val(k.to_value()), x])).collect()))
}

fn attr(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [name] = args.bind(["name"])?;
    let name = interp.value(&need(name, "name")?)?.to_text();
    interp.attr(&v, &Arc::from(name))
}

fn join(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [separator, attribute] = args.bind(["d", "attribute"])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    let separator = text_item(interp, separator)?.unwrap_or_default();
    let mut secret = false;
    let mut parts = Vec::new();
    for item in interp.items(&v)? {
        let item = match &attribute {
            Some(path) if !path.is_null() => follow(interp, &item, path)?,
            _ => item,
        };
        let value = interp.value(&item)?;
        if let Some(u) = value.find_unknown() {
            return Ok(V::unknown(u));
        }
        secret = secret || holds_secret(&value);
        parts.push(value.to_text());
    }
    let text = Value::str(parts.join(&separator));
    Ok(V::Val(if secret { make_secret(text) } else { text }))
}

fn map(interp: &mut Interp<'_>, v: V, mut args: VArgs) -> R<V> {
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    let items = interp.items(&v)?;
    if args.pos.is_empty()
        && let Some(path) = args.take("attribute")
    {
        let [default] = args.bind(["default"])?;
        let mut out = Vec::with_capacity(items.len());
        for item in &items {
            let found = follow(interp, item, &path)?;
            out.push(match (&found, &default) {
                (V::Undef(_), Some(default)) => default.clone(),
                _ => found,
            });
        }
        return Ok(V::list(out));
    }
    if args.pos.is_empty() {
        return Err(Fail::failed("map requires a filter argument"));
    }
    let name = interp.value(&args.pos.remove(0))?.to_text();
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        out.push(interp.filter_by_name(&name, item, args.clone())?);
    }
    Ok(V::list(out))
}

/// Keeps the items for which a test holds. An item whose answer is unknown makes the whole list unknown.
fn pick(
    interp: &mut Interp<'_>,
    items: Vec<V>,
    keep: bool,
    mut subject: impl FnMut(&mut Interp<'_>, &V) -> R<V>,
    mut args: VArgs,
) -> R<V> {
    let test = if args.pos.is_empty() {
        None
    } else {
        let name = args.pos.remove(0);
        Some(interp.value(&name)?.to_text())
    };
    let mut out = Vec::new();
    for item in items {
        let tested = subject(interp, &item)?;
        let answer = match &test {
            Some(name) => interp.test_by_name(name, tested, args.clone())?,
            None => tested,
        };
        match interp.truth(&answer)? {
            Truth::Unknown(u) => return Ok(V::unknown(&u)),
            truth if (truth == Truth::True) == keep => out.push(item),
            _ => {}
        }
    }
    Ok(V::list(out))
}

fn select(interp: &mut Interp<'_>, v: V, args: VArgs, keep: bool) -> R<V> {
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    let items = interp.items(&v)?;
    pick(interp, items, keep, |_, item| Ok(item.clone()), args)
}

fn selectattr(interp: &mut Interp<'_>, v: V, mut args: VArgs, keep: bool) -> R<V> {
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    if args.pos.is_empty() {
        return Err(Fail::failed("missing parameter for attribute name"));
    }
    let path = args.pos.remove(0);
    let items = interp.items(&v)?;
    pick(interp, items, keep, |interp, item| follow(interp, item, &path), args)
}

/// Returns what items are ordered by: the attribute, in lower case unless case counts.
fn sort_key(interp: &mut Interp<'_>, item: &V, path: Option<&V>, case_sensitive: bool) -> R<Value> {
    let key = match path {
        Some(path) if !path.is_null() => {
            let text = interp.value(path)?;
            match text_of(&text).filter(|t| t.contains(',')) {
                // Several attributes order like a tuple of them.
                Some(paths) => {
                    let mut keys = Vec::new();
                    for part in paths.split(',') {
                        let found = follow(interp, item, &V::str(part.trim()))?;
                        keys.push(interp.value(&found)?);
                    }
                    return Ok(Value::list(keys.into_iter().map(|k| fold(k, case_sensitive)).collect()));
                }
                None => follow(interp, item, path)?,
            }
        }
        _ => item.clone(),
    };
    Ok(fold(interp.value(&key)?, case_sensitive))
}

fn fold(key: Value, case_sensitive: bool) -> Value {
    match text_of(&key) {
        Some(text) if !case_sensitive => Value::str(text.to_lowercase()),
        _ => key,
    }
}

/// Orders items by keys, stable; keys that Python cannot compare are an error.
pub(in crate::template) fn sort_values<T>(items: Vec<T>, keys: Vec<Value>, reverse: bool) -> R<Vec<T>> {
    if let Some(u) = keys.iter().find_map(Value::find_unknown) {
        return Err(Fail::unknown(u.clone()));
    }
    let mut pairs: Vec<(Value, T)> = keys.into_iter().zip(items).collect();
    let mut failed = None;
    pairs.sort_by(|(a, _), (b, _)| match ops::order(a, b) {
        Some(ordering) => {
            let ordering = ordering.unwrap_or(Ordering::Equal);
            if reverse { ordering.reverse() } else { ordering }
        }
        None => {
            failed.get_or_insert_with(|| {
                format!("'<' not supported between instances of '{}' and '{}'", b.type_name(), a.type_name())
            });
            Ordering::Equal
        }
    });
    match failed {
        Some(message) => Err(Fail::failed(message)),
        None => Ok(pairs.into_iter().map(|(_, item)| item).collect()),
    }
}

fn keys_of(interp: &mut Interp<'_>, items: &[V], path: Option<&V>, case_sensitive: bool) -> R<Vec<Value>> {
    items.iter().map(|x| sort_key(interp, x, path, case_sensitive)).collect()
}

fn sort(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [reverse, case_sensitive, attribute] = args.bind(["reverse", "case_sensitive", "attribute"])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    let (reverse, case_sensitive) = (flag(interp, reverse)?, flag(interp, case_sensitive)?);
    let items = interp.items(&v)?;
    let keys = keys_of(interp, &items, attribute.as_ref(), case_sensitive)?;
    if let Some(u) = keys.iter().find_map(Value::find_unknown) {
        return Ok(V::unknown(u));
    }
    sort_values(items, keys, reverse).map(V::list)
}

fn extreme(interp: &mut Interp<'_>, v: V, args: VArgs, wanted: Ordering) -> R<V> {
    let [case_sensitive, attribute] = args.bind(["case_sensitive", "attribute"])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    let case_sensitive = flag(interp, case_sensitive)?;
    let items = interp.items(&v)?;
    let keys = keys_of(interp, &items, attribute.as_ref(), case_sensitive)?;
    if let Some(u) = keys.iter().find_map(Value::find_unknown) {
        return Ok(V::unknown(u));
    }
    let mut best: Option<usize> = None;
    for i in 0..keys.len() {
        let better = match best {
            None => true,
            Some(b) => match ops::order(&keys[i], &keys[b]) {
                Some(ordering) => ordering == Some(wanted),
                None => {
                    return Err(Fail::failed(format!(
                        "'{}' not supported between instances of '{}' and '{}'",
                        if wanted == Ordering::Greater { ">" } else { "<" },
                        keys[i].type_name(),
                        keys[b].type_name()
                    )));
                }
            },
        };
        if better {
            best = Some(i);
        }
    }
    Ok(best.map_or_else(|| V::undef("item", "No aggregated item, sequence was empty."), |i| items[i].clone()))
}

fn sum(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [attribute, start] = args.bind(["attribute", "start"])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    let mut total = start.unwrap_or_else(|| V::int(0));
    for item in interp.items(&v)? {
        let item = match &attribute {
            Some(path) if !path.is_null() => follow(interp, &item, path)?,
            _ => item,
        };
        total = interp.math(crate::template::ir::MathOp::Add, &total, &item)?;
    }
    Ok(total)
}

fn groupby(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [attribute, default, case_sensitive] = args.bind(["attribute", "default", "case_sensitive"])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    let path = need(attribute, "attribute")?;
    let case_sensitive = flag(interp, case_sensitive)?;
    let items = interp.items(&v)?;
    let mut shown = Vec::with_capacity(items.len());
    for item in &items {
        let mut found = follow(interp, item, &path)?;
        if let (V::Undef(_), Some(default)) = (&found, &default) {
            found = default.clone();
        }
        shown.push(interp.value(&found)?);
    }
    if let Some(u) = shown.iter().find_map(Value::find_unknown) {
        return Ok(V::unknown(u));
    }
    let keys: Vec<Value> = shown.iter().map(|k| fold(k.clone(), case_sensitive)).collect();
    let rows: Vec<(Value, Value, V)> =
        keys.iter().cloned().zip(shown).zip(items).map(|((k, s), x)| (k, s, x)).collect();
    let mut groups: Vec<(Value, Value, Vec<V>)> = Vec::new();
    for (key, shown, item) in sort_values(rows, keys, false)? {
        match groups.last_mut() {
            Some((last, _, members)) if *last == key => members.push(item),
            _ => groups.push((key, shown, vec![item])),
        }
    }
    Ok(V::list(
        groups
            .into_iter()
            .map(|(_, shown, members)| V::tuple(vec![V::Val(shown), V::list(members)]))
            .collect(),
    ))
}

fn dictsort(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [case_sensitive, by, reverse] = args.bind(["case_sensitive", "by", "reverse"])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    let (case_sensitive, reverse) = (flag(interp, case_sensitive)?, flag(interp, reverse)?);
    let by = text_item(interp, by)?.unwrap_or_else(|| "key".to_string());
    let members = interp.members(&v)?;
    let mut keys = Vec::with_capacity(members.len());
    for (key, value) in &members {
        let key = match by.as_str() {
            "key" => key.to_value(),
            "value" => interp.value(value)?,
            _ => return Err(Fail::failed("You can only sort by either \"key\" or \"value\"")),
        };
        keys.push(fold(key, case_sensitive));
    }
    let sorted = sort_values(members, keys, reverse)?;
    Ok(V::list(sorted.into_iter().map(|(k, x)| V::tuple(vec![V::Val(k.to_value()), x])).collect()))
}

fn batch(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [size, fill] = args.bind(["linecount", "fill_with"])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    let size = size_arg(interp, size, "linecount")?;
    let items = interp.items(&v)?;
    let mut out = Vec::new();
    for chunk in items.chunks(size) {
        let mut row = chunk.to_vec();
        if let Some(fill) = fill.as_ref().filter(|f| !f.is_null()) {
            row.resize(size, fill.clone());
        }
        out.push(V::list(row));
    }
    Ok(V::list(out))
}

fn slice(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [count, fill] = args.bind(["slices", "fill_with"])?;
    if let Some(u) = known(&v) {
        return Ok(u);
    }
    let count = size_arg(interp, count, "slices")?;
    let items = interp.items(&v)?;
    let (base, extra) = (items.len() / count, items.len() % count);
    let mut out = Vec::new();
    let mut at = 0;
    for i in 0..count {
        let n = base + usize::from(i < extra);
        let mut row = items[at..at + n].to_vec();
        at += n;
        if let Some(fill) = fill.as_ref().filter(|f| !f.is_null())
            && i >= extra
            && extra > 0
        {
            row.push(fill.clone());
        }
        out.push(V::list(row));
    }
    Ok(V::list(out))
}

fn size_arg(interp: &mut Interp<'_>, v: Option<V>, name: &str) -> R<usize> {
    let value = interp.value(&need(v, name)?)?;
    match size_or(Some(value), name, 1)? {
        0 => Err(Fail::failed(format!("'{name}' must be positive"))),
        n if n > 1_000_000 => Err(Fail::failed(format!("'{name}' is too large"))),
        n => Ok(n),
    }
}
