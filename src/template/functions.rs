//! Global functions of templates.

use std::cell::{Cell, RefCell};

use super::args::VArgs;
use super::error::{Fail, R};
use super::interp::Interp;
use super::lookups;
use super::methods;
use super::runtime::{Dict, Obj, V};
use crate::value::{Key, Value};

const NAMES: &[&str] =
    &["cycler", "dict", "joiner", "lookup", "namespace", "now", "q", "query", "range", "undef"];

/// The longest range; Jinja2's sandbox stops at 100,000 too.
const MAX_RANGE: usize = 1_000_000;

pub(super) fn find(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|n| **n == name).copied()
}

pub(super) fn call(interp: &mut Interp<'_>, name: &str, args: VArgs) -> R<V> {
    match name {
        "lookup" | "query" | "q" => lookups::function(interp, name, args),
        "range" => range(interp, args),
        "dict" => dict(interp, args),
        "namespace" => {
            let members = dict(interp, args)?;
            let members: Dict = interp.members(&members)?.into_iter().collect();
            Ok(V::obj(Obj::Namespace(RefCell::new(members))))
        }
        "cycler" => {
            if args.pos.is_empty() {
                return Err(Fail::failed("at least one item has to be provided"));
            }
            Ok(V::obj(Obj::Cycler(args.pos, Cell::new(0))))
        }
        "joiner" => {
            let [sep] = args.bind(["sep"])?;
            Ok(V::obj(Obj::Joiner(sep.unwrap_or_else(|| V::str(", ")), Cell::new(false))))
        }
        "undef" => {
            let [hint] = args.bind(["hint"])?;
            let hint = match hint {
                Some(h) if !h.is_null() => interp.value(&h)?.to_text(),
                _ => "undefined value".to_string(),
            };
            Ok(V::undef("undef", hint))
        }
        _ => now(interp, args),
    }
}

fn range(interp: &mut Interp<'_>, args: VArgs) -> R<V> {
    let args = interp.value_args(args)?;
    if let Some(u) = args.pos.iter().find_map(Value::find_unknown) {
        return Ok(V::unknown(u));
    }
    let mut numbers = Vec::new();
    for v in &args.pos {
        numbers.push(match v {
            Value::Int(i) => *i,
            Value::Bool(b) => i128::from(*b),
            other => {
                return Err(Fail::failed(format!(
                    "'{}' object cannot be interpreted as an integer",
                    other.type_name()
                )));
            }
        });
    }
    let (start, stop, step) = match numbers.as_slice() {
        [stop] => (0, *stop, 1),
        [start, stop] => (*start, *stop, 1),
        [start, stop, step] => (*start, *stop, *step),
        _ => return Err(Fail::failed(format!("range expected 1 to 3 arguments, got {}", numbers.len()))),
    };
    if step == 0 {
        return Err(Fail::failed("range() arg 3 must not be zero"));
    }
    let mut items = Vec::new();
    let mut i = start;
    while (step > 0 && i < stop) || (step < 0 && i > stop) {
        if items.len() >= MAX_RANGE {
            return Err(Fail::failed(format!("range too big: at most {MAX_RANGE} items")));
        }
        items.push(V::Val(Value::Int(i)));
        i = i.saturating_add(step);
    }
    Ok(V::list(items))
}

fn dict(interp: &mut Interp<'_>, mut args: VArgs) -> R<V> {
    let named = std::mem::take(&mut args.named);
    let [from] = args.bind(["mapping"])?;
    let mut out = Dict::new();
    match from {
        Some(from) if from.is_dict() => out.extend(interp.members(&from)?),
        Some(from) => {
            for pair in interp.items(&from)? {
                let pair = interp.items(&pair)?;
                let [key, value] = pair.as_slice() else {
                    return Err(Fail::failed("dictionary update sequence element has not length 2"));
                };
                out.insert(methods::key_of(interp, key)?, value.clone());
            }
        }
        None => {}
    }
    out.extend(named.into_iter().map(|(n, v)| (Key::Str(n), v)));
    Ok(V::dict(out))
}

/// `now(utc=False, fmt=None)`.
fn now(interp: &mut Interp<'_>, args: VArgs) -> R<V> {
    let [utc, fmt] = args.bind(["utc", "fmt"])?;
    let utc = match utc {
        Some(v) => interp.is_true(&v)?,
        None => false,
    };
    let zone = if utc { jiff::tz::TimeZone::UTC } else { jiff::tz::TimeZone::system() };
    let time = jiff::Timestamp::now().to_zoned(zone);
    match fmt {
        Some(fmt) if !fmt.is_null() => {
            let fmt = interp.value(&fmt)?.to_text();
            super::filters::time::strftime(&time, &fmt).map(V::str)
        }
        _ => Ok(V::obj(Obj::Time(time.datetime(), None))),
    }
}
