//! Lookups that rearrange what they are given; they stand behind `with_*`.

use super::{Call, Lookup};
use crate::template::error::{Fail, R};
use crate::template::filters::lists::{cartesian, flatten_into, items, longest_rows};
use crate::template::filters::pairs_with_members;
use crate::template::interp::Interp;
use crate::template::python_format;
use crate::template::random::Random;
use crate::template::runtime::V;
use crate::value::{Map, Value};

pub(super) const TABLE: &[(&str, Lookup)] = &[
    ("cartesian", nested),
    ("dict", dict),
    ("flattened", flattened),
    ("indexed_items", indexed_items),
    ("items", items_lookup),
    ("list", list),
    ("nested", nested),
    ("random_choice", random_choice),
    ("sequence", sequence),
    ("subelements", subelements),
    ("together", together),
];

fn values(found: Vec<Value>) -> Vec<V> {
    found.into_iter().map(V::Val).collect()
}

/// Opens lists one level.
fn items_lookup(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    let mut out = Vec::new();
    for term in &call.terms {
        match term {
            V::Val(Value::Unknown(u)) => return Err(Fail::unknown(u.clone())),
            list if list.is_list() || matches!(list, V::Tuple(_)) => out.extend(interp.items(list)?),
            other => out.push(other.clone()),
        }
    }
    Ok(out)
}

fn list(_: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    if let [term] = &call.terms[..]
        && term.is_dict()
    {
        return Err(Fail::failed("with_list expects a list"));
    }
    Ok(call.terms)
}

fn flattened(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    let mut out = Vec::new();
    flatten_into(&call.values(interp)?, None, true, &mut out);
    Ok(values(out))
}

fn dict(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    let mut terms = Vec::new();
    for term in call.terms {
        if term.is_list() { terms.extend(interp.items(&term)?) } else { terms.push(term) }
    }
    let mut out = Vec::new();
    for term in terms {
        if !term.is_dict() {
            if let V::Undef(u) = &term {
                return Err(u.fail.clone());
            }
            return Err(Fail::failed("with_dict expects a dict"));
        }
        for (key, value) in interp.members(&term)? {
            let members = [("key".into(), V::Val(key.to_value())), ("value".into(), value)];
            out.push(V::dict(members.into_iter().collect()));
        }
    }
    Ok(out)
}

fn indexed_items(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    if let [term] = &call.terms[..]
        && term.is_dict()
    {
        return Err(Fail::failed("with_indexed_items expects a list"));
    }
    let found = items_lookup(interp, call)?;
    Ok(found.into_iter().enumerate().map(|(i, v)| V::list(vec![V::int(i), v])).collect())
}

fn lists(interp: &mut Interp<'_>, call: &Call) -> R<Vec<Vec<Value>>> {
    let terms = call.values(interp)?;
    terms
        .iter()
        .map(|t| match t {
            Value::List(_) => items(t),
            other => Ok(vec![other.clone()]),
        })
        .collect()
}

fn nested(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    let lists = lists(interp, &call)?;
    if lists.is_empty() {
        return Err(Fail::failed("with_nested requires at least one element in the nested list"));
    }
    // Rows of rows are flattened, as the original does by joining step by step.
    let rows = cartesian(&lists)?;
    let flat = rows.into_iter().map(|row| {
        let mut out = Vec::new();
        flatten_into(row.as_list().unwrap_or_default(), Some(1), false, &mut out);
        Value::list(out)
    });
    Ok(values(flat.collect()))
}

fn together(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    let lists = lists(interp, &call)?;
    if lists.is_empty() {
        return Err(Fail::failed("with_together requires at least one element in each list"));
    }
    Ok(values(longest_rows(&lists, &Value::Null)))
}

fn random_choice(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    let all = call.values(interp)?;
    let i = Random::System.below(all.len() as u64) as usize;
    Ok(all.get(i).cloned().map(V::Val).into_iter().collect())
}

fn subelements(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    let terms = call.values(interp)?;
    let terms = match terms.as_slice() {
        [Value::List(inner)] if inner.len() > 1 && inner[1].as_str().is_some() => inner.to_vec(),
        _ => terms,
    };
    let wrong =
        |what: &str| Fail::failed(format!("subelements lookup expects a list of two or three items, {what}"));
    if !(2..=3).contains(&terms.len()) {
        return Err(wrong(&format!("got {}", terms.len())));
    }
    let one;
    let over = match &terms[0] {
        Value::List(_) | Value::Map(_) => &terms[0],
        // As with any list, one thing alone stands for a list of it.
        other => {
            one = Value::list(vec![other.clone()]);
            &one
        }
    };
    let (Value::List(_) | Value::Map(_), Some(path)) = (over, terms[1].as_str()) else {
        return Err(wrong("first a dict or a list, second a string pointing to the subkey"));
    };
    if terms.get(2).is_some_and(|flags| flags.as_map().is_none()) {
        return Err(wrong("the optional third item must be a dict with flags ('skip_missing',)"));
    }
    if over.get("skipped").is_some_and(Value::is_truthy) {
        // A task that was skipped as a whole.
        return Ok(Vec::new());
    }
    let items = over.as_list().map_or_else(
        || over.as_map().map(|map| map.values().cloned().collect()).unwrap_or_default(),
        <[Value]>::to_vec,
    );
    if let Some(item) = items.iter().find(|item| item.as_map().is_none()) {
        let text = item.to_text();
        return Err(Fail::failed(format!("subelements lookup expects a dictionary, got '{text}'")));
    }
    let skip = terms.get(2).and_then(|o| o.get("skip_missing")).is_some_and(Value::is_truthy);
    let path: Vec<String> = path.split('.').map(str::to_string).collect();
    // Items that were skipped have no members.
    let over = match over {
        Value::List(items) => Value::list(
            items.iter().filter(|i| !i.get("skipped").is_some_and(Value::is_truthy)).cloned().collect(),
        ),
        Value::Map(map) => Value::map(
            map.iter()
                .filter(|(_, i)| !i.get("skipped").is_some_and(Value::is_truthy))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect::<Map>(),
        ),
        other => other.clone(),
    };
    let mut pairs = pairs_with_members(&over, &path, skip)?;
    // The lookup, unlike the filter, takes the list out of the item.
    for pair in &mut pairs {
        if let Some([item, member]) = pair.as_list() {
            *pair = Value::list(vec![without(item, &path), member.clone()]);
        }
    }
    Ok(values(pairs))
}

/// Returns the item without the member under a path.
fn without(item: &Value, path: &[String]) -> Value {
    let (Value::Map(map), Some((first, rest))) = (item, path.split_first()) else { return item.clone() };
    let mut map = (**map).clone();
    if rest.is_empty() {
        map.remove(first);
    } else if let Some(inner) = map.get(first).map(|v| without(v, rest)) {
        map.insert(first.as_str(), inner);
    }
    Value::map(map)
}

/// The longest sequence.
const MAX_SEQUENCE: usize = 1_000_000;

/// `start=1 end=9 stride=2 format=host%02d`, or `5`, `2-8`, `0-10/2:name%d`.
fn sequence(interp: &mut Interp<'_>, mut call: Call) -> R<Vec<V>> {
    let mut out = Vec::new();
    let mut texts = call.texts(interp)?;
    let mut named = Vec::new();
    for name in ["start", "end", "count", "stride", "format"] {
        if let Some(v) = call.option(interp, name)? {
            named.push((name, v.to_text()));
        }
    }
    if texts.is_empty() {
        texts.push(String::new());
    }
    for text in texts {
        let mut options: Vec<(String, String)> =
            named.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
        options.extend(sequence_options(&text)?);
        let option = |name: &str| options.iter().rev().find(|(k, _)| k == name).map(|(_, v)| v.as_str());
        let number = |name: &str| -> R<Option<i128>> {
            let Some(text) = option(name) else { return Ok(None) };
            let digits = text.strip_prefix("0x");
            let parsed = match digits {
                Some(hex) => i128::from_str_radix(hex, 16),
                None => text.parse(),
            };
            parsed.map(Some).map_err(|_| {
                Fail::failed(format!("Invalid type for {name}: \"{text}\" cannot be converted to an int"))
            })
        };
        let start = number("start")?.unwrap_or(1);
        let (count, end) = (number("count")?, number("end")?);
        let stride = number("stride")?;
        let (end, stride) = match (count, end) {
            (Some(_), Some(_)) => {
                return Err(Fail::failed("can't specify both count and end in with_sequence"));
            }
            (None, None) => return Err(Fail::failed("must specify count or end in with_sequence")),
            (Some(0), None) => continue,
            (Some(count), None) => {
                let stride = stride.unwrap_or(1);
                (start + stride * count - stride, stride)
            }
            (None, Some(end)) => (end, stride.unwrap_or(1)),
        };
        if stride == 0 {
            continue;
        }
        if stride > 0 && end < start {
            return Err(Fail::failed("to count backwards make stride negative"));
        }
        if stride < 0 && end > start {
            return Err(Fail::failed("to count forward don't make stride negative"));
        }
        let format = option("format").unwrap_or("%d");
        if format.matches('%').count() != 1 {
            return Err(Fail::failed(format!("bad formatting string: {format}")));
        }
        let mut i = start;
        while (stride > 0 && i <= end) || (stride < 0 && i >= end) {
            if out.len() >= MAX_SEQUENCE {
                return Err(Fail::failed(format!("a sequence has at most {MAX_SEQUENCE} items")));
            }
            let text = python_format::percent(format, None, &Value::Int(i))
                .map_err(|_| Fail::failed(format!("problem formatting {i} with '{format}'")))?;
            out.push(V::str(text));
            i = i.saturating_add(stride);
        }
    }
    Ok(out)
}

fn sequence_options(text: &str) -> R<Vec<(String, String)>> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if text.contains('=') {
        let mut out = Vec::new();
        for word in text.split_whitespace() {
            let Some((key, value)) = word.split_once('=') else {
                return Err(Fail::failed(format!("unknown option '{word}' of with_sequence")));
            };
            if !["start", "end", "count", "stride", "format"].contains(&key) {
                return Err(Fail::failed(format!("unrecognized arguments to with_sequence: ['{key}']")));
            }
            out.push((key.to_string(), value.to_string()));
        }
        return Ok(out);
    }
    let (range, format) = text.split_once(':').map_or((text, None), |(r, f)| (r, Some(f)));
    let (range, stride) = range.split_once('/').map_or((range, None), |(r, s)| (r, Some(s)));
    let (start, end) = match range[1.min(range.len())..].find('-') {
        Some(i) => (Some(&range[..=i]), &range[i + 2..]),
        None => (None, range),
    };
    let mut out = vec![("end".to_string(), end.to_string())];
    out.extend(start.map(|s| ("start".to_string(), s.to_string())));
    out.extend(stride.map(|s| ("stride".to_string(), s.to_string())));
    out.extend(format.map(|f| ("format".to_string(), f.to_string())));
    Ok(out)
}
