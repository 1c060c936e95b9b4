//! Methods of Python's types, as templates call them.

mod dict;
mod list;
mod text;

pub(super) use dict::key_of;
pub(super) use text::{call as text_call, capitalize, center, lines, replace, strip};

use std::sync::Arc;

use super::args::{Args, VArgs};
use super::error::{Fail, R};
use super::interp::Interp;
use super::runtime::{Obj, V, expose, holds_secret, make_secret};
use crate::value::Value;

/// Whether values of this type have a method of this name.
pub(super) fn exists(v: &V, name: &str) -> bool {
    if v.as_text().is_some() {
        return text::NAMES.contains(&name);
    }
    if v.is_list() {
        return list::NAMES.contains(&name);
    }
    if v.is_dict() {
        return dict::NAMES.contains(&name);
    }
    match v {
        V::Tuple(_) => matches!(name, "index" | "count"),
        V::Val(Value::Int(_) | Value::Bool(_)) => matches!(name, "bit_length"),
        V::Val(Value::Float(_)) => matches!(name, "is_integer"),
        V::Obj(o) => match &**o {
            Obj::Namespace(_) => false,
            Obj::Loop(_) => matches!(name, "cycle" | "changed"),
            Obj::Cycler(..) => matches!(name, "next" | "reset"),
            Obj::Time(..) | Obj::Span(_) => super::filters::time::METHODS.contains(&name),
            _ => false,
        },
        _ => false,
    }
}

/// Calls a method that exists.
pub(super) fn call(interp: &mut Interp<'_>, v: &V, name: &Arc<str>, args: VArgs) -> R<V> {
    if v.as_text().is_some() {
        return on_text(interp, v, name, args);
    }
    if v.is_list() {
        return list::call(interp, v, name, args);
    }
    if v.is_dict() {
        return dict::call(interp, v, name, args);
    }
    match v {
        V::Tuple(items) => list::search(interp, items, name, args),
        V::Val(Value::Int(i)) => Ok(V::int((128 - i.unsigned_abs().leading_zeros()) as usize)),
        V::Val(Value::Bool(b)) => Ok(V::int(usize::from(*b))),
        V::Val(Value::Float(f)) => Ok(V::bool(f.fract() == 0.0)),
        V::Obj(o) => match &**o {
            Obj::Loop(state) if &**name == "cycle" => {
                if args.pos.is_empty() {
                    return Err(Fail::failed("no items for cycling given"));
                }
                Ok(args.pos[state.index.get() % args.pos.len()].clone())
            }
            Obj::Loop(state) => {
                let now = interp.value_args(args)?.pos;
                let changed = state.last_changed.borrow().as_ref() != Some(&now);
                *state.last_changed.borrow_mut() = Some(now);
                Ok(V::bool(changed))
            }
            Obj::Cycler(items, next) => {
                if &**name == "reset" {
                    next.set(0);
                    return Ok(V::null());
                }
                let item = items.get(next.get() % items.len().max(1)).cloned();
                next.set(next.get() + 1);
                Ok(item.unwrap_or_else(V::null))
            }
            Obj::Time(..) | Obj::Span(_) => {
                let args = interp.value_args(args)?;
                super::filters::time::method(o, name, args)
            }
            _ => Err(missing(v, name)),
        },
        _ => Err(missing(v, name)),
    }
}

fn missing(v: &V, name: &str) -> Box<Fail> {
    Fail::failed(format!("'{}' object has no method '{name}'", v.type_name()))
}

/// Methods of texts work on plain data; what they make of a secret is secret.
fn on_text(interp: &mut Interp<'_>, v: &V, name: &str, args: VArgs) -> R<V> {
    let subject = v.as_text().unwrap_or_default();
    if name == "join" {
        let [items] = args.bind(["iterable"])?;
        let items = interp.items(&super::args::need(items, "iterable")?)?;
        let mut parts = Vec::with_capacity(items.len());
        for item in &items {
            match interp.value(item)? {
                Value::Unknown(u) => return Ok(V::unknown(&u)),
                part => parts.push(part),
            }
        }
        let secret = matches!(v, V::Val(Value::Secret(_))) || parts.iter().any(holds_secret);
        let mut texts = Vec::with_capacity(parts.len());
        for (i, part) in parts.iter().enumerate() {
            match super::runtime::text_of(part) {
                Some(text) => texts.push(text.to_string()),
                None => {
                    return Err(Fail::failed(format!(
                        "sequence item {i}: expected str instance, {} found",
                        part.type_name()
                    )));
                }
            }
        }
        let text = Value::str(texts.join(subject));
        return Ok(V::Val(if secret { make_secret(text) } else { text }));
    }
    let args = interp.value_args(args)?;
    let all = || args.pos.iter().chain(args.named.iter().map(|(_, v)| v));
    if let Some(u) = all().find_map(Value::find_unknown) {
        return Ok(V::unknown(u));
    }
    let secret = matches!(v, V::Val(Value::Secret(_))) || all().any(holds_secret);
    if !secret {
        return text::call(subject, name, args);
    }
    let args = Args {
        pos: args.pos.into_iter().map(expose).collect(),
        named: args.named.into_iter().map(|(n, v)| (n, expose(v))).collect(),
    };
    Ok(taint(text::call(subject, name, args)?))
}

/// Makes the texts in what a method returned secret.
fn taint(v: V) -> V {
    match v {
        V::Val(value) => V::Val(make_secret(value)),
        V::Tuple(items) => V::tuple(items.iter().cloned().map(taint).collect()),
        V::List(items) => V::list(items.borrow().iter().cloned().map(taint).collect()),
        other => other,
    }
}
