//! Methods of lists.

use std::rc::Rc;

use crate::template::args::{VArgs, need};
use crate::template::error::{Fail, R};
use crate::template::filters::select::sort_values;
use crate::template::interp::Interp;
use crate::template::runtime::V;
use crate::template::{Truth, args, ops};
use crate::value::Value;

pub(super) const NAMES: &[&str] =
    &["append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse", "index", "count", "copy"];

/// Calls a method of a list. Lists of templates that change them are changeable; others are copied before.
pub(super) fn call(interp: &mut Interp<'_>, v: &V, name: &str, args: VArgs) -> R<V> {
    let owned = match v {
        V::List(items) => items.clone(),
        other => match interp.own(other.clone())? {
            V::List(items) => items,
            _ => return Err(Fail::failed("expected a list")),
        },
    };
    match name {
        "append" => {
            let [item] = args.bind(["object"])?;
            owned.borrow_mut().push(need(item, "object")?);
        }
        "extend" => {
            let [more] = args.bind(["iterable"])?;
            let more = interp.items(&need(more, "iterable")?)?;
            owned.borrow_mut().extend(more);
        }
        "insert" => {
            let [index, item] = args.bind(["index", "object"])?;
            let index = integer(interp, index, 0)?;
            let item = need(item, "object")?;
            let len = owned.borrow().len() as i128;
            let at = if index < 0 { (index + len).max(0) } else { index.min(len) };
            owned.borrow_mut().insert(at as usize, item);
        }
        "pop" => {
            let [index] = args.bind(["index"])?;
            let index = integer(interp, index, -1)?;
            let len = owned.borrow().len();
            let Some(at) = ops::position(index, len) else {
                return Err(Fail::failed(if len == 0 {
                    "pop from empty list"
                } else {
                    "pop index out of range"
                }));
            };
            return Ok(owned.borrow_mut().remove(at));
        }
        "remove" => {
            let [item] = args.bind(["value"])?;
            let item = need(item, "value")?;
            let items = owned.borrow().clone();
            let Some(at) = find(interp, &items, &item)? else {
                return Err(Fail::failed("list.remove(x): x not in list"));
            };
            // Comparing ran no template code, so the list is as long as it was.
            owned.borrow_mut().remove(at);
        }
        "clear" => owned.borrow_mut().clear(),
        "reverse" => owned.borrow_mut().reverse(),
        "sort" => {
            let [reverse] = args.bind(["reverse"])?;
            let reverse = match reverse {
                Some(r) => interp.is_true(&r)?,
                None => false,
            };
            let items = owned.borrow().clone();
            let keys = items.iter().map(|x| interp.value(x)).collect::<R<Vec<Value>>>()?;
            *owned.borrow_mut() = sort_values(items, keys, reverse)?;
        }
        "copy" => return Ok(V::list(owned.borrow().clone())),
        _ => {
            let items = Rc::new(owned.borrow().clone());
            return search(interp, &items, name, args);
        }
    }
    Ok(V::null())
}

/// `index` and `count`, of lists and tuples.
pub(super) fn search(interp: &mut Interp<'_>, items: &[V], name: &str, args: VArgs) -> R<V> {
    let [item] = args.bind(["value"])?;
    let item = need(item, "value")?;
    if name == "count" {
        let mut count = 0;
        for x in items {
            match interp.equal(x, &item)? {
                Truth::True => count += 1,
                Truth::False => {}
                Truth::Unknown(u) => return Ok(V::unknown(&u)),
            }
        }
        return Ok(V::int(count));
    }
    match find(interp, items, &item)? {
        Some(i) => Ok(V::int(i)),
        None => {
            let shown = interp.value(&item)?.repr();
            Err(Fail::failed(format!("{shown} is not in list")))
        }
    }
}

fn find(interp: &mut Interp<'_>, items: &[V], item: &V) -> R<Option<usize>> {
    for (i, x) in items.iter().enumerate() {
        match interp.equal(x, item)? {
            Truth::True => return Ok(Some(i)),
            Truth::False => {}
            Truth::Unknown(u) => return Err(Fail::unknown(u)),
        }
    }
    Ok(None)
}

fn integer(interp: &mut Interp<'_>, v: Option<V>, default: i128) -> R<i128> {
    match v {
        None => Ok(default),
        Some(v) => args::int(&interp.value(&v)?, "index"),
    }
}
