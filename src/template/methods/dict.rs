//! Methods of dicts.

use crate::template::args::{VArgs, need};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::template::runtime::V;
use crate::value::Key;

pub(super) const NAMES: &[&str] = &[
    "get",
    "keys",
    "values",
    "items",
    "update",
    "pop",
    "setdefault",
    "copy",
    "clear",
    "popitem",
    "fromkeys",
];

/// Calls a method of a dict. Reading does not render members that are not asked for.
pub(super) fn call(interp: &mut Interp<'_>, v: &V, name: &str, args: VArgs) -> R<V> {
    match name {
        "keys" => {
            args.bind([])?;
            let keys = interp.keys(v)?;
            Ok(V::list(keys.iter().map(|k| V::Val(k.to_value())).collect()))
        }
        "values" => {
            args.bind([])?;
            Ok(V::list(interp.members(v)?.into_iter().map(|(_, x)| x).collect()))
        }
        "items" => {
            args.bind([])?;
            let members = interp.members(v)?;
            Ok(V::list(members.into_iter().map(|(k, x)| V::tuple(vec![V::Val(k.to_value()), x])).collect()))
        }
        "get" => {
            let [key, default] = args.bind(["key", "default"])?;
            let key = need(key, "key")?;
            if let Some(u) = key.as_unknown() {
                return Ok(V::unknown(u));
            }
            let key = key_of(interp, &key)?;
            let found = interp.member(v, &key)?;
            Ok(found.or(default).unwrap_or_else(V::null))
        }
        "copy" => {
            args.bind([])?;
            let members = interp.members(v)?;
            Ok(V::dict(members.into_iter().collect()))
        }
        _ => change(interp, v, name, args),
    }
}

fn change(interp: &mut Interp<'_>, v: &V, name: &str, mut args: VArgs) -> R<V> {
    let owned = match v {
        V::Dict(items) => items.clone(),
        other => match interp.own(other.clone())? {
            V::Dict(items) => items,
            _ => {
                return Err(Fail::failed(
                    "this mapping cannot be changed; combine it with another one instead",
                ));
            }
        },
    };
    match name {
        "update" => {
            let named = std::mem::take(&mut args.named);
            let [other] = args.bind(["other"])?;
            let mut more = Vec::new();
            match other {
                Some(other) if other.is_dict() => more = interp.members(&other)?,
                Some(other) => {
                    for pair in interp.items(&other)? {
                        let pair = interp.items(&pair)?;
                        let [key, value] = pair.as_slice() else {
                            return Err(Fail::failed("dictionary update sequence element has not length 2"));
                        };
                        more.push((key_of(interp, key)?, value.clone()));
                    }
                }
                None => {}
            }
            more.extend(named.into_iter().map(|(n, x)| (Key::Str(n), x)));
            owned.borrow_mut().extend(more);
            Ok(V::null())
        }
        "pop" => {
            let [key, default] = args.bind(["key", "default"])?;
            let key = key_of(interp, &need(key, "key")?)?;
            let found = owned.borrow_mut().shift_remove(&key);
            match found.or(default) {
                Some(x) => Ok(x),
                None => Err(Fail::failed(format!("KeyError: {}", key.to_value().repr()))),
            }
        }
        "popitem" => {
            args.bind([])?;
            match owned.borrow_mut().pop() {
                Some((k, x)) => Ok(V::tuple(vec![V::Val(k.to_value()), x])),
                None => Err(Fail::failed("popitem(): dictionary is empty")),
            }
        }
        "setdefault" => {
            let [key, default] = args.bind(["key", "default"])?;
            let key = key_of(interp, &need(key, "key")?)?;
            let default = default.unwrap_or_else(V::null);
            Ok(owned.borrow_mut().entry(key).or_insert(default).clone())
        }
        "clear" => {
            args.bind([])?;
            owned.borrow_mut().clear();
            Ok(V::null())
        }
        _ => {
            let [keys, value] = args.bind(["iterable", "value"])?;
            let value = value.unwrap_or_else(V::null);
            let keys = interp.items(&need(keys, "iterable")?)?;
            let members = keys.iter().map(|k| Ok((key_of(interp, k)?, value.clone())));
            Ok(V::dict(members.collect::<R<_>>()?))
        }
    }
}

pub(in crate::template) fn key_of(interp: &mut Interp<'_>, v: &V) -> R<Key> {
    let value = interp.value(v)?;
    Key::from_value(&value).ok_or_else(|| Fail::failed(format!("unhashable type: '{}'", value.type_name())))
}
