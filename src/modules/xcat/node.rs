//! `xcat_node`: attributes of nodes, compared with `lsdef -z` before and after.

use std::collections::BTreeMap;

use super::common::{self, NAMESPACES};
use super::parse::{self, Attrs};
use super::relations;
use super::sh::{Sections, add, quote, script};
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Relations, Run, Seen,
};
use crate::transport::{Content, Output};
use crate::value::Map;

pub struct Node;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_node",
    namespaces: NAMESPACES,
    about: "Sets attributes of nodes that are defined in xCAT",
    args: &[
        ArgSpec::new("nodes", ArgKind::StrList, "Node range").required().aliases(&["name", "noderange"]),
        ArgSpec::new("attributes", ArgKind::Dict, "Attributes and their values; an empty one is cleared")
            .aliases(&["attrs"]),
        ArgSpec::new(
            "add",
            ArgKind::Dict,
            "Words that comma separated attributes shall hold, such as groups",
        ),
        ArgSpec::new("remove", ArgKind::Dict, "Words that comma separated attributes shall not hold"),
    ],
    returns: &[("changed_nodes", "the nodes that differed, each with the attributes that were set")],
    ..ModuleSpec::BASE
};

impl Module for Node {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn relations(&self, call: &Call) -> Relations {
        relations::of(SPEC.name, call)
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        // Stanzas show a node's own postscripts; the long form would show them merged with those of xcatdefaults.
        Ok(Some(script(&look(&common::noderange(call, "nodes")?))))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let sections = Sections::of_probe(seen)?;
        let section = sections.get("nodes").ok_or_else(|| Failure::new("lsdef printed nothing"))?;
        let nodes = common::nodes(section)?;
        let wanted = Wanted::of(call)?;
        let mut changes: BTreeMap<Vec<(String, String)>, Vec<String>> = BTreeMap::new();
        let mut before = Attrs::new();
        let mut after = Attrs::new();
        let mut changed_nodes = Map::new();
        for (node, attrs) in &nodes {
            let differing = wanted.differing(attrs);
            if differing.is_empty() {
                continue;
            }
            for (key, value) in &differing {
                let old = attrs.get(key).cloned().unwrap_or_default();
                let shown =
                    |v: &str| if common::is_secret(key) { "********".to_string() } else { v.to_string() };
                before.insert(format!("{node} {key}"), shown(&old));
                after.insert(format!("{node} {key}"), shown(value));
            }
            changed_nodes.insert(node.as_str(), differing.iter().map(|(k, _)| k.clone()).collect::<Vec<_>>());
            changes.entry(differing).or_default().push(node.clone());
        }
        let mut result = Map::new();
        result.insert("changed_nodes", changed_nodes);
        if changes.is_empty() {
            return Ok(Prediction::same(result));
        }
        let mut run = change(&changes);
        run.script = script(&(run.script + &look(&common::noderange(call, "nodes")?)));
        Ok(Prediction::change(result, vec![Action::Run(run)])
            .diff(common::attrs_diff("nodes", &before, &after)))
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if ran.is_empty() {
            return Ok(prediction.into_outcome());
        }
        let sections = Sections::of_change(ran, 0)?;
        for (names, section) in sections.named("chdef") {
            if section.rc != 0 {
                return Err(common::command_failed(&format!("cannot change the nodes {names}"), section));
            }
        }
        let section = sections.get("nodes").ok_or_else(|| Failure::new("the change printed nothing"))?;
        let wanted = Wanted::of(call)?;
        for (node, attrs) in common::nodes(section)? {
            let left: Vec<String> = wanted.differing(&attrs).into_iter().map(|(k, _)| k).collect();
            if !left.is_empty() {
                return Err(Failure::new(format!(
                    "chdef reported success, but {} of {node} did not change",
                    common::listed(&left)
                )));
            }
        }
        Ok(prediction.into_outcome())
    }
}

/// Returns the commands that set attributes of nodes. Passwords are no arguments, which everybody on the management node can
/// see: they go to chdef as stanzas on its input.
fn change(changes: &BTreeMap<Vec<(String, String)>, Vec<String>>) -> Run {
    let (mut script, mut stanzas, mut holders) = (String::new(), String::new(), Vec::new());
    for (pairs, names) in changes {
        let hides = |(key, value): &&(String, String)| common::is_secret(key) && !value.is_empty();
        let (secret, open): (Vec<_>, Vec<_>) = pairs.iter().partition(hides);
        let open: Vec<String> = open.iter().map(|(k, v)| format!("{k}={v}")).collect();
        if !open.is_empty() {
            add(
                &mut script,
                format_args!(
                    "xc_run {} xcat chdef -t node -o {} {}\n",
                    quote(&format!("chdef {}", names.join(","))),
                    quote(&names.join(",")),
                    common::words(&open)
                ),
            );
        }
        if !secret.is_empty() {
            let attrs: Attrs = secret.into_iter().cloned().collect();
            stanzas.extend(names.iter().map(|name| parse::stanza(name, "node", &attrs)));
            holders.extend(names.iter().map(String::as_str));
        }
    }
    if holders.is_empty() {
        return Run { script, ..Run::default() };
    }
    let label = quote(&format!("chdef {}", holders.join(",")));
    let script = format!("exec 9<&0\nx_chdef() {{ xcat chdef -z <&9; }}\n{script}xc_run {label} x_chdef\n");
    Run { script, stdin: Some(Content::bytes(stanzas.into_bytes())), ..Run::default() }
}

fn look(range: &str) -> String {
    format!("xc_run nodes xcat lsdef -z {}", quote(range))
}

struct Wanted {
    set: Attrs,
    add: Attrs,
    remove: Attrs,
}

impl Wanted {
    fn of(call: &Call) -> Result<Self, Failure> {
        let wanted = Wanted {
            set: common::attrs_arg(call, "attributes")?,
            add: common::attrs_arg(call, "add")?,
            remove: common::attrs_arg(call, "remove")?,
        };
        if wanted.set.is_empty() && wanted.add.is_empty() && wanted.remove.is_empty() {
            return Err(Failure::new("one of attributes, add and remove is needed"));
        }
        Ok(wanted)
    }

    /// Returns the attributes to set on a node that has these.
    fn differing(&self, attrs: &Attrs) -> Vec<(String, String)> {
        let mut wanted = self.set.clone();
        for (key, value) in &self.add {
            let current = wanted.get(key).or_else(|| attrs.get(key)).cloned().unwrap_or_default();
            let mut words = split(&current);
            words.extend(split(value).into_iter().filter(|w| !split(&current).contains(w)));
            wanted.insert(key.clone(), words.join(","));
        }
        for (key, value) in &self.remove {
            let current = wanted.get(key).or_else(|| attrs.get(key)).cloned().unwrap_or_default();
            let dropped = split(value);
            wanted.insert(
                key.clone(),
                split(&current).into_iter().filter(|w| !dropped.contains(w)).collect::<Vec<_>>().join(","),
            );
        }
        wanted
            .into_iter()
            .filter(|(key, value)| {
                let now = attrs.get(key).map(String::as_str).unwrap_or_default();
                // xCAT keeps groups in its own order.
                if key == "groups" { sorted(now) != sorted(value) } else { now != value }
            })
            .collect()
    }
}

fn split(text: &str) -> Vec<String> {
    parse::comma(text)
}

fn sorted(text: &str) -> Vec<String> {
    let mut words = split(text);
    words.sort();
    words
}

#[cfg(test)]
mod tests {
    use super::super::common::tests::with_call;
    use super::super::sh::tests::printed;
    use super::*;
    use crate::modules::Effect;
    use serde_json::json;

    const NODES: &str = "# <xCAT data object stanza file>\n\nsn1:\n    objtype=node\n    arch=x86_64\n    groups=service,all\n    setupnfs=1\n\nsn2:\n    objtype=node\n    arch=x86_64\n    groups=all\n";

    fn plan(args: serde_json::Value) -> Prediction {
        let seen = printed(&[("nodes", NODES, 0, "")]);
        with_call(&Node, args, false, |call| Node.plan(call, &seen)).expect("planned")
    }

    #[test]
    fn groups_nodes_that_need_the_same() {
        let prediction = plan(
            json!({ "nodes": "sn1,sn2", "attributes": { "setupnfs": 1 }, "add": { "groups": "service" } }),
        );
        let Some(Action::Run(run)) = prediction.change.as_ref().and_then(|c| c.actions.first()) else {
            panic!()
        };
        assert!(
            run.script.contains(
                "xc_run 'chdef sn2' xcat chdef -t node -o 'sn2' 'groups=all,service' 'setupnfs=1'\n"
            )
        );
        assert!(!run.script.contains("-o 'sn1'"));
    }

    #[test]
    fn passwords_are_no_arguments() {
        let prediction =
            plan(json!({ "nodes": "sn1,sn2", "attributes": { "bmcpassword": "se cret", "setupnfs": 1 } }));
        let Some(Action::Run(run)) = prediction.change.as_ref().and_then(|c| c.actions.first()) else {
            panic!()
        };
        assert!(!run.script.contains("se cret"), "{}", run.script);
        assert!(run.script.contains("xc_run 'chdef sn2' xcat chdef -t node -o 'sn2' 'setupnfs=1'\n"));
        assert!(run.script.contains("xc_run 'chdef sn1,sn2' x_chdef\n"), "{}", run.script);
        let Some(Content::Bytes(stanzas)) = &run.stdin else { panic!() };
        let expect = ["sn1", "sn2"].map(|n| format!("{n}:\n    objtype=node\n    bmcpassword=se cret\n"));
        assert_eq!(String::from_utf8_lossy(stanzas), expect.concat());
    }

    #[test]
    fn a_set_is_a_set() {
        let prediction = plan(
            json!({ "nodes": "sn1", "attributes": { "groups": "all,service" }, "remove": { "postscripts": "x" } }),
        );
        assert_eq!(prediction.effect, Effect::Change, "sn2 lacks the group");
        let seen = printed(&[("nodes", NODES.split("\n\nsn2").next().expect("a part"), 0, "")]);
        let args = json!({ "nodes": "sn1", "attributes": { "groups": "all,service" } });
        let prediction = with_call(&Node, args, false, |call| Node.plan(call, &seen)).expect("planned");
        assert_eq!(prediction.effect, Effect::Same);
    }

    #[test]
    fn an_undefined_node_is_named() {
        let seen = printed(&[(
            "nodes",
            "# <xCAT data object stanza file>\n",
            1,
            "Error: [mn]: Could not find an object named 'nosuch' of type 'node'.",
        )]);
        let args = json!({ "nodes": "nosuch", "attributes": { "os": "x" } });
        let failure = with_call(&Node, args, true, |call| Node.plan(call, &seen)).expect_err("refused");
        assert_eq!(
            failure.msg,
            "cannot read the nodes: Could not find an object named 'nosuch' of type 'node'."
        );
    }
}
