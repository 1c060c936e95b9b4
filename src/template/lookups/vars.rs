//! Lookups over variables and the inventory.

use std::sync::Arc;

use super::{Call, Lookup};
use crate::template::error::{Fail, R};
use crate::template::filters::regex::compile;
use crate::template::interp::Interp;
use crate::template::lookups::fnmatch;
use crate::template::runtime::V;
use crate::value::{Key, Value};

pub(super) const TABLE: &[(&str, Lookup)] =
    &[("inventory_hostnames", inventory_hostnames), ("varnames", varnames), ("vars", vars)];

fn vars(interp: &mut Interp<'_>, mut call: Call) -> R<Vec<V>> {
    let default = call.named.iter().position(|(n, _)| &**n == "default").map(|i| call.named.remove(i).1);
    let mut out = Vec::new();
    for term in call.values(interp)? {
        if !matches!(term, Value::Str(_) | Value::Secret(_)) {
            let text = term.to_text();
            let class = term.type_name();
            return Err(Fail::failed(format!(
                "Invalid setting identifier, \"{text}\" is not a string, its a <class '{class}'>"
            )));
        }
        let name = term.to_text();
        let found = interp.global(&Arc::from(name.as_str()))?;
        out.push(match (found, &default) {
            (V::Undef(_), Some(default)) => default.clone(),
            (V::Undef(u), None) if u.fail.chain.is_empty() => {
                let message = format!("No variable found with this name: {name}");
                return Err(Fail::undefined(name, message));
            }
            (V::Undef(u), None) => return Err(u.fail.clone()),
            (found, _) => found,
        });
    }
    Ok(out)
}

fn varnames(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    // In the order in which they were set, as far as one layer is concerned.
    let names: indexmap::IndexSet<Arc<str>> = interp.scope.names().into_iter().collect();
    let mut out = Vec::new();
    for term in call.values(interp)? {
        if !matches!(term, Value::Str(_) | Value::Secret(_)) {
            let (text, class) = (term.to_text(), term.type_name());
            return Err(Fail::failed(format!(
                "Invalid setting identifier, \"{text}\" is not a string, it is a <class '{class}'>"
            )));
        }
        let pattern = term.to_text();
        let regex = compile(&pattern, false, false).map_err(|fail| {
            let reason = &fail.message;
            Fail::failed(format!("Unable to use \"{pattern}\" as a search parameter: {reason}"))
        })?;
        for name in &names {
            let fits = regex.is_match(&**name);
            if fits.map_err(|e| Fail::failed(format!("the pattern '{pattern}' gave up: {e}")))? {
                out.push(V::str(name.clone()));
            }
        }
    }
    Ok(out)
}

/// Host names that a pattern selects, out of the variable `groups`.
fn inventory_hostnames(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    let groups = interp.global(&"groups".into())?;
    let mut selected: Vec<String> = Vec::new();
    for text in call.texts(interp)? {
        for part in text.split([',', ';']).flat_map(|p| split_colons(p)).filter(|p| !p.is_empty()) {
            let (sign, pattern) = match part.chars().next() {
                Some(c @ ('!' | '&')) => (c, &part[1..]),
                _ => ('+', part),
            };
            let hosts = hosts_of(interp, &groups, pattern)?;
            match sign {
                '!' => selected.retain(|h| !hosts.contains(h)),
                '&' => selected.retain(|h| hosts.contains(h)),
                _ => {
                    for host in hosts {
                        if !selected.contains(&host) {
                            selected.push(host);
                        }
                    }
                }
            }
        }
    }
    Ok(selected.into_iter().map(V::str).collect())
}

/// Splits a pattern at its colons; those of an address belong to it.
fn split_colons(text: &str) -> Vec<&str> {
    let text = text.trim();
    if text.parse::<std::net::Ipv6Addr>().is_ok() { vec![text] } else { text.split(':').collect() }
}

fn hosts_of(interp: &mut Interp<'_>, groups: &V, pattern: &str) -> R<Vec<String>> {
    let mut out = Vec::new();
    let all = if pattern == "*" { "all" } else { pattern };
    for key in interp.keys(groups)? {
        let Key::Str(group) = &key else { continue };
        let Some(members) = interp.member(groups, &key)? else { continue };
        let members = interp.value(&members)?;
        let hosts = members.as_list().unwrap_or_default().iter().map(Value::to_text);
        if &**group == all || fnmatch(all, group) {
            out.extend(hosts);
        } else if &**group == "all" {
            out.extend(hosts.filter(|h| fnmatch(pattern, h)));
        }
    }
    let mut seen = std::collections::HashSet::new();
    out.retain(|h| seen.insert(h.clone()));
    Ok(out)
}
