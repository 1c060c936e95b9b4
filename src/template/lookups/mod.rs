//! Lookups by name: values from files, variables, programs and lists.

use std::sync::Arc;

use super::Texts;
use super::args::VArgs;
use super::error::{Fail, R, RenderErrorKind};
use super::filters::short_name;
use super::interp::Interp;
use super::runtime::V;
use crate::value::Value;

mod config;
mod data;
mod files;
mod password;
mod process;
mod tables;
mod url;
mod vars;

pub use config::SettingValue;
pub use files::{FOLDER as FIRST_FOUND_FOLDER, fnmatch, glob};

/// What a lookup is given.
pub(super) struct Call {
    pub terms: Vec<V>,
    pub named: Vec<(Arc<str>, V)>,
}

type Lookup = fn(&mut Interp<'_>, Call) -> R<Vec<V>>;

const CONFIG: &[(&str, Lookup)] = &[("config", config::config)];

/// All lookups.
fn table() -> impl Iterator<Item = &'static (&'static str, Lookup)> {
    [
        CONFIG,
        data::TABLE,
        files::TABLE,
        password::TABLE,
        process::TABLE,
        tables::TABLE,
        url::TABLE,
        vars::TABLE,
    ]
    .into_iter()
    .flatten()
}

fn find(name: &str) -> Option<Lookup> {
    let name = short_name(name);
    table().find(|(n, _)| *n == name).map(|(_, f)| *f)
}

pub(super) fn exists(name: &str) -> bool {
    find(name).is_some()
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    table().map(|(n, _)| *n)
}

/// Runs a lookup and returns its list of results.
pub(super) fn run(
    interp: &mut Interp<'_>,
    name: &str,
    terms: Vec<V>,
    named: Vec<(Arc<str>, V)>,
) -> R<Vec<V>> {
    let Some(lookup) = find(name) else {
        let fail = Fail::failed(format!("the lookup plugin '{name}' was not found"));
        return Err(match crate::diag::did_you_mean(name, names()) {
            Some(best) => fail.help(format!("did you mean `{best}`?")),
            None => fail,
        });
    };
    let found = lookup(interp, Call { terms, named })?;
    Ok(match interp.templar.settings().texts {
        Texts::Kept => found,
        Texts::Read | Texts::Native => found.into_iter().map(made_unsafe).collect(),
    })
}

/// Marks texts as coming from a lookup, for who asks for their kind; lazy values are let alone.
fn made_unsafe(v: V) -> V {
    match v {
        V::Val(value) => V::Val(value.made_unsafe()),
        V::List(items) => V::list(items.borrow().iter().cloned().map(made_unsafe).collect()),
        V::Dict(members) => {
            let members = members.borrow();
            V::dict(members.iter().map(|(key, value)| (key.clone(), made_unsafe(value.clone()))).collect())
        }
        other => other,
    }
}

/// The functions `lookup`, `query` and `q`.
pub(super) fn function(interp: &mut Interp<'_>, function: &str, mut args: VArgs) -> R<V> {
    if args.pos.is_empty() {
        return Err(Fail::failed("missing 1 required argument: the name of the lookup"));
    }
    let name = args.pos.remove(0);
    if let Some(u) = name.as_unknown() {
        return Ok(V::unknown(u));
    }
    let name = interp.value(&name)?.to_text();
    let wantlist = match args.take("wantlist") {
        Some(v) => interp.is_true(&v)?,
        None => function != "lookup",
    };
    let errors = match args.take("errors") {
        Some(v) => interp.value(&v)?.to_text(),
        None => "strict".to_string(),
    };
    if !matches!(errors.as_str(), "strict" | "warn" | "ignore") {
        return Err(Fail::failed(format!("errors must be strict, warn or ignore, not '{errors}'")));
    }
    // What is searched for must be known; only lists of alternatives may hold undefined members.
    if let Some(u) = args.pos.iter().find_map(V::as_unknown) {
        return Ok(V::unknown(u));
    }
    let found = run(interp, &name, args.pos, args.named).map_err(|mut fail| {
        if fail.kind == RenderErrorKind::Failed && fail.at.is_none() && exists(&name) {
            fail.message = format!("the lookup plugin '{name}' failed: {}", fail.message);
        }
        fail
    });
    let found = match found {
        Ok(found) => found,
        Err(fail) => match fail.kind {
            RenderErrorKind::Unknown(u) => return Ok(V::unknown(&u)),
            RenderErrorKind::Failed if errors == "ignore" => {
                return Ok(if wantlist { V::list(Vec::new()) } else { V::null() });
            }
            RenderErrorKind::Failed if errors == "warn" => {
                interp.templar.warn(fail.message.clone());
                return Ok(if wantlist { V::list(Vec::new()) } else { V::null() });
            }
            _ => return Err(fail),
        },
    };
    if wantlist {
        return Ok(V::list(found));
    }
    joined(interp, found)
}

/// Returns what `lookup` makes of a list: one item alone, texts with commas between, else the list.
fn joined(interp: &mut Interp<'_>, mut found: Vec<V>) -> R<V> {
    if found.len() == 1 {
        return Ok(found.remove(0));
    }
    if found.is_empty() {
        return Ok(V::list(Vec::new()));
    }
    let mut texts = Vec::new();
    let mut secret = false;
    for v in &found {
        match v {
            V::Val(Value::Str(s)) => texts.push(s.to_string()),
            V::Val(Value::Secret(s)) => {
                secret = true;
                texts.push(s.expose().to_string());
            }
            _ => return Ok(V::list(found)),
        }
    }
    let text = Value::str(texts.join(","));
    Ok(V::Val(match interp.templar.settings().texts {
        _ if secret => super::runtime::make_secret(text),
        Texts::Kept => text,
        Texts::Read | Texts::Native => text.made_unsafe(),
    }))
}

impl Call {
    /// Takes a named option out.
    pub fn option(&mut self, interp: &mut Interp<'_>, name: &str) -> R<Option<Value>> {
        let Some(i) = self.named.iter().position(|(n, _)| &**n == name) else { return Ok(None) };
        let (_, v) = self.named.remove(i);
        let value = interp.value(&v)?;
        match value.find_unknown() {
            Some(u) => Err(Fail::unknown(u.clone())),
            None => Ok(Some(value)),
        }
    }

    /// Returns the terms as plain data.
    pub fn values(&self, interp: &mut Interp<'_>) -> R<Vec<Value>> {
        let mut out = Vec::with_capacity(self.terms.len());
        for term in &self.terms {
            let value = interp.value(term)?;
            if let Some(u) = value.find_unknown() {
                return Err(Fail::unknown(u.clone()));
            }
            out.push(value);
        }
        Ok(out)
    }

    /// Returns the terms as texts, lists among them flattened.
    pub fn texts(&self, interp: &mut Interp<'_>) -> R<Vec<String>> {
        let mut out = Vec::new();
        for value in self.values(interp)? {
            match value {
                Value::List(items) => out.extend(items.iter().map(Value::to_text)),
                other => out.push(other.to_text()),
            }
        }
        Ok(out)
    }
}
