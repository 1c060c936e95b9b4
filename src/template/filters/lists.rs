//! Filters that rearrange lists.

use super::Filter::{self, Plain, Shape};
use super::convert::wanted;
use crate::template::args::{ValueArgs, flag_or, int_or, need, size_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::template::random::Random;
use crate::template::runtime::text_of;
use crate::value::{Key, Value};

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("combinations", Shape(combinations)),
    ("flatten", Shape(flatten)),
    ("permutations", Shape(permutations)),
    ("product", Shape(product)),
    ("random", Plain(random)),
    ("shuffle", Plain(shuffle)),
    ("zip", Shape(zip)),
    ("zip_longest", Shape(zip_longest)),
];

/// The longest result of a filter that multiplies.
const MAX_ITEMS: usize = 2_000_000;

fn too_many() -> Box<Fail> {
    Fail::failed(format!("the result would have more than {MAX_ITEMS} items"))
}

/// Returns the items of anything that Python would iterate.
pub(in crate::template) fn items(v: &Value) -> R<Vec<Value>> {
    match v {
        Value::List(items) => Ok(items.to_vec()),
        Value::Map(map) => Ok(map.keys().map(Key::to_value).collect()),
        _ => match text_of(v) {
            Some(text) => Ok(text.chars().map(|c| Value::str(c.to_string())).collect()),
            None => Err(Fail::failed(format!("'{}' object is not iterable", v.type_name()))),
        },
    }
}

fn flatten(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [levels, skip_nulls] = args.bind(["levels", "skip_nulls"])?;
    let levels = match levels {
        None | Some(Value::Null) => None,
        Some(l) => Some(size_or(Some(l), "levels", 1)?),
    };
    let Value::List(list) = &v else { return Err(wanted("a list", &v)) };
    let mut out = Vec::new();
    flatten_into(list, levels, flag_or(skip_nulls, true), &mut out);
    Ok(Value::list(out))
}

/// Appends the items, lists among them opened up to a number of levels.
pub(in crate::template) fn flatten_into(
    list: &[Value],
    levels: Option<usize>,
    skip_nulls: bool,
    out: &mut Vec<Value>,
) {
    for item in list {
        match item {
            Value::Null if skip_nulls => {}
            Value::Str(s) if skip_nulls && (&**s == "None" || &**s == "null") => {}
            Value::List(inner) if levels != Some(0) => {
                flatten_into(inner, levels.map(|l| l - 1), skip_nulls, out);
            }
            other => out.push(other.clone()),
        }
    }
}

fn zip(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let mut args = args;
    args.take("strict");
    let lists = lists(v, args.pos)?;
    let n = lists.iter().map(Vec::len).min().unwrap_or(0);
    let row = |i: usize| Value::list(lists.iter().map(|l| l[i].clone()).collect());
    Ok(Value::list((0..n).map(row).collect()))
}

fn zip_longest(_: &mut Interp<'_>, v: Value, mut args: ValueArgs) -> R<Value> {
    let fill = args.take("fillvalue").unwrap_or(Value::Null);
    let lists = lists(v, args.pos)?;
    Ok(Value::list(longest_rows(&lists, &fill)))
}

/// Returns rows across the lists, short ones filled up.
pub(in crate::template) fn longest_rows(lists: &[Vec<Value>], fill: &Value) -> Vec<Value> {
    let n = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row = |i: usize| Value::list(lists.iter().map(|l| l.get(i).unwrap_or(fill).clone()).collect());
    (0..n).map(row).collect()
}

fn lists(first: Value, more: Vec<Value>) -> R<Vec<Vec<Value>>> {
    [first].iter().chain(&more).map(items).collect()
}

fn product(_: &mut Interp<'_>, v: Value, mut args: ValueArgs) -> R<Value> {
    let repeat = size_or(args.take("repeat"), "repeat", 1)?;
    let lists = lists(v, args.pos)?;
    let repeated: Vec<Vec<Value>> = std::iter::repeat_n(lists, repeat.min(64)).flatten().collect();
    cartesian(&repeated).map(Value::list)
}

/// Returns all rows with one item of each list, the last list running fastest.
pub(in crate::template) fn cartesian(lists: &[Vec<Value>]) -> R<Vec<Value>> {
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for list in lists {
        if rows.len().saturating_mul(list.len()) > MAX_ITEMS {
            return Err(too_many());
        }
        rows = rows
            .iter()
            .flat_map(|row| {
                list.iter().map(move |x| {
                    let mut row = row.clone();
                    row.push(x.clone());
                    row
                })
            })
            .collect();
    }
    Ok(rows.into_iter().map(Value::list).collect())
}

fn permutations(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [size] = args.bind(["r"])?;
    let list = items(&v)?;
    let size = size_or(size.filter(|s| !s.is_null()), "r", list.len())?;
    let mut out = Vec::new();
    pick(&list, size, &mut Vec::new(), false, &mut out)?;
    Ok(Value::list(out))
}

fn combinations(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [size] = args.bind(["r"])?;
    let list = items(&v)?;
    let size = size_or(Some(need(size, "r")?), "r", 1)?;
    let mut out = Vec::new();
    pick(&list, size, &mut Vec::new(), true, &mut out)?;
    Ok(Value::list(out))
}

fn pick(list: &[Value], size: usize, chosen: &mut Vec<usize>, ordered: bool, out: &mut Vec<Value>) -> R<()> {
    if size > list.len() {
        return Ok(());
    }
    if chosen.len() == size {
        if out.len() >= MAX_ITEMS {
            return Err(too_many());
        }
        out.push(Value::list(chosen.iter().map(|i| list[*i].clone()).collect()));
        return Ok(());
    }
    let from = if ordered { chosen.last().map_or(0, |l| l + 1) } else { 0 };
    for i in from..list.len() {
        if !chosen.contains(&i) {
            chosen.push(i);
            pick(list, size, chosen, ordered, out)?;
            chosen.pop();
        }
    }
    Ok(())
}

fn random(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [start, step, seed] = args.bind(["start", "step", "seed"])?;
    let mut random = Random::new(seed.as_ref())?;
    match &v {
        Value::Int(end) => {
            let start = int_or(start, "start", 0)?;
            let step = int_or(step, "step", 1)?;
            let count = match step {
                1.. => (end - start + step - 1).max(0) / step,
                0 => 0,
                _ => (end - start + step + 1).min(0) / step,
            };
            let Ok(count @ 1..) = u64::try_from(count) else {
                return Err(Fail::failed(format!("empty range for random: {start} to {end}")));
            };
            Ok(Value::Int(start + step * i128::from(random.below(count))))
        }
        _ => {
            let list =
                items(&v).map_err(|_| Fail::failed("random can only be used on sequences and integers"))?;
            if start.is_some() || step.is_some() {
                return Err(Fail::failed("start and step can only be used with integer values"));
            }
            let i = random.below(list.len() as u64) as usize;
            list.get(i).cloned().ok_or_else(|| Fail::failed("cannot choose from an empty sequence"))
        }
    }
}

fn shuffle(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [seed] = args.bind(["seed"])?;
    // What has no items stays as it is.
    let Ok(mut list) = items(&v) else { return Ok(v) };
    let mut random = Random::new(seed.as_ref().filter(|seed| seed.is_truthy()))?;
    for i in (1..list.len()).rev() {
        let j = random.below(i as u64 + 1) as usize;
        list.swap(i, j);
    }
    Ok(Value::list(list))
}
