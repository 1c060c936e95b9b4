//! `setup`: the facts of a host.

use super::sh::{expand_path, q};
use super::{ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Seen};
use crate::facts::{self, Subset};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "setup",
    about: "Gathers facts of the host in one round trip.",
    args: &[
        ArgSpec::new("gather_subset", ArgKind::StrList, "Groups of facts; with ! those to leave out.")
            .default("all"),
        ArgSpec::new("gather_timeout", ArgKind::Int, "Accepted; slow parts have limits of their own.")
            .default("10"),
        ArgSpec::new("filter", ArgKind::StrList, "Only facts whose names match one of these patterns.")
            .default(""),
        ArgSpec::new("fact_path", ArgKind::Path, "The folder of the site's own facts.")
            .default("/etc/ansible/facts.d"),
    ],
    returns: &[("ansible_facts", "the facts, under ansible_ names")],
    ..ModuleSpec::BASE
};

pub struct Setup;

impl Module for Setup {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let dir = expand_path(call, call.args.str("fact_path").unwrap_or_default())?;
        Ok(Some(facts::probe(subset(call)?, &q(&dir))))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        if seen.stdout.is_empty() {
            return Err(Failure::new("the host told nothing about itself")
                .with("stderr", String::from_utf8_lossy(&seen.stderr).into_owned()));
        }
        let mut found = facts::parse(&seen.stdout, subset(call)?);
        found.insert("gather_subset", call.args.get("gather_subset").cloned().unwrap_or_default());
        found.insert("module_setup", true);
        let found = facts::filter(found, &call.args.texts("filter"));
        let mut result = Map::new();
        result.insert("ansible_facts", Value::map(found));
        Ok(Prediction::read(result))
    }
}

fn subset(call: &Call) -> Result<Subset, Failure> {
    Subset::parse(&call.args.texts("gather_subset")).map_err(Failure::new)
}
