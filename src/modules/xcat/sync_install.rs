//! `xcat_sync_install`: /install on service nodes, mounted from the management node or else copied there and compared.
//!
//! `prsync` and `pscp` end with 0 whatever happened, so both sides are compared by digests before and after.

use std::collections::BTreeMap;

use super::common::{self, NAMESPACES};
use super::parse::{self, Answer};
use super::sh::{Sections, add, quote, script};
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Run, Seen,
};
use crate::transport::Output;
use crate::value::Map;

pub struct SyncInstall;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_sync_install",
    namespaces: NAMESPACES,
    about: "Brings the install directory to service nodes that do not mount it, and checks the copy by digests",
    args: &[
        ArgSpec::new("nodes", ArgKind::StrList, "The service nodes").required().aliases(&["noderange"]),
        ArgSpec::new("installdir", ArgKind::Path, "The directory").default("/install"),
        ArgSpec::new(
            "exclude",
            ArgKind::StrList,
            "Names in the directory that stay as they are on each side",
        )
        .default("autoinst"),
        ArgSpec::new(
            "full_digest",
            ArgKind::Bool,
            "Compare the content of big files too, not only name and size",
        )
        .default("false"),
        ArgSpec::new("timeout", ArgKind::Int, "Seconds that it may take").default("7200"),
    ],
    returns: &[
        ("mounted", "nodes that mount the directory"),
        ("synced", "nodes that hold a copy of their own, each with its digest"),
        ("digest", "the digest of the management node's directory"),
    ],
    ..ModuleSpec::BASE
};

impl Module for SyncInstall {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let wanted = Wanted::of(call)?;
        Ok(Some(script(&format!("xc_run members xcat nodels {}\n{}", quote(&wanted.range), wanted.look()))))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let wanted = Wanted::of(call)?;
        let sections = Sections::of_probe(seen)?;
        let members = sections.get("members").ok_or_else(|| Failure::new("nodels printed nothing"))?;
        if members.rc != 0 {
            return Err(common::command_failed("cannot read the nodes", members));
        }
        let nodes: Vec<String> = members.lines().map(|l| l.trim().to_string()).collect();
        let state = State::of(&sections)?;
        let silent: Vec<&String> = nodes.iter().filter(|n| !state.nodes.contains_key(*n)).collect();
        if !silent.is_empty() {
            common::unless_predicting(call, || {
                Failure::new(format!("{} did not answer xdsh", common::listed(&silent)))
            })?;
        }
        let mut result = state.result();
        let differing: Vec<String> = nodes.iter().filter(|n| state.differs(n)).cloned().collect();
        let mut todo = differing;
        todo.extend(silent.into_iter().cloned());
        if todo.is_empty() {
            return Ok(Prediction::same(result));
        }
        result.insert("to_sync", todo.clone());
        let run = Run {
            script: script(&wanted.change(&todo)),
            long: true,
            timeout_secs: call.args.int("timeout").and_then(|t| u64::try_from(t).ok()),
            ..Run::default()
        };
        let diff = common::state_diff(
            &format!("{} on service nodes", wanted.dir),
            todo.iter().map(|n| (n.as_str(), state.describe(n), state.digest.clone())),
        );
        let prediction = Prediction::change(result, vec![Action::Run(run)]).diff(diff);
        // A node that is down now may mount the directory once it is up.
        if todo.iter().all(|n| !state.nodes.contains_key(n)) {
            return Ok(Prediction { effect: crate::modules::Effect::Unknown, ..prediction });
        }
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if ran.is_empty() {
            return Ok(prediction.into_outcome());
        }
        let sections = Sections::of_change(ran, 0)?;
        let state = State::of(&sections)?;
        let mut outcome = prediction.into_outcome();
        let todo = outcome.result.get("to_sync").and_then(|v| v.as_list()).unwrap_or_default().to_vec();
        let mut wrong = Vec::new();
        for node in todo.iter().map(|v| v.to_text()) {
            if state.nodes.contains_key(&node) && !state.differs(&node) {
                continue;
            }
            let said = sections
                .named("copy")
                .find(|(n, _)| *n == node)
                .map(|(_, s)| parse::error_text(&s.out, &s.err));
            wrong.push(format!("{node}: {} ({})", state.describe(&node), said.unwrap_or_default()));
        }
        if !wrong.is_empty() {
            return Err(Failure::new(format!(
                "after copying, the directory still differs on {}",
                wrong.join("; ")
            )));
        }
        outcome.result.extend(state.result());
        Ok(outcome)
    }
}

struct Wanted {
    range: String,
    dir: String,
    exclude: Vec<String>,
    full: bool,
}

impl Wanted {
    fn of(call: &Call) -> Result<Self, Failure> {
        let dir = call.args.str("installdir").unwrap_or("/install").trim_end_matches('/').to_string();
        if !dir.starts_with('/') || dir.contains('\'') {
            return Err(Failure::new(format!("installdir must be an absolute path, got {dir:?}")));
        }
        let exclude = call.args.texts("exclude");
        if let Some(bad) =
            exclude.iter().find(|e| e.is_empty() || e.contains(['/', '\'']) || *e == "." || *e == "..")
        {
            return Err(Failure::new(format!("{bad:?} is no name in {dir}")));
        }
        Ok(Wanted {
            range: common::noderange(call, "nodes")?,
            dir,
            exclude,
            full: call.args.flag("full_digest"),
        })
    }

    /// One line of sh that prints the digest of the directory: names with content digests, big files with their size.
    fn digest(&self) -> String {
        let prune: Vec<String> = self.exclude.iter().map(|e| format!("-path ./{}", quote(e))).collect();
        let prune = if prune.is_empty() {
            String::new()
        } else {
            format!("\\( {} \\) -prune -o ", prune.join(" -o "))
        };
        let big = if self.full {
            String::new()
        } else {
            format!("find . {prune}-type f -size +2047 -exec wc -c {{}} + | sed \"/ total\\$/d\"; ")
        };
        let small = if self.full { "" } else { "! -size +2047 " };
        format!(
            "{{ {big}find . {prune}-type f {small}-exec cksum {{}} +; }} | sed \"s/^ *//\" | LC_ALL=C sort | cksum"
        )
    }

    fn look(&self) -> String {
        format!(
            "x_here() {{ cd {dir} || return; {digest}; }}\nxc_run here x_here\n\
             xc_run there xcat xdsh {range} -t 900 -z {remote}",
            dir = quote(&self.dir),
            digest = self.digest(),
            range = quote(&self.range),
            remote = quote(&format!(
                "( while read d m t o; do [ \"$m\" = {dir} ] && echo \"mounted $d $t\"; done </proc/mounts; cd {dir} 2>/dev/null && echo \"digest $({digest})\"; true )",
                dir = quote(&self.dir),
                digest = self.digest(),
            )),
        )
    }

    fn change(&self, nodes: &[String]) -> String {
        let excludes: Vec<String> =
            self.exclude.iter().map(|e| format!("--exclude={}", quote(&format!("/{e}")))).collect();
        let keep: Vec<String> = self.exclude.iter().map(|e| quote(e)).collect();
        let mut body = format!(
            "d={dir}\nx_rsync() {{ rsync -a --delete {excludes} -e 'ssh -o BatchMode=yes' \"$d/\" \"$1:$d/\"; }}\n\
             x_xdcp() {{\n  xcat xdsh \"$1\" -z \"( mkdir -p '$d' )\" || return\n  for e in \"$d\"/*; do\n    case ${{e##*/}} in {keep}) continue ;; esac\n    \
             [ -e \"$e\" ] || continue\n    if [ -d \"$e\" ]; then xcat xdcp \"$1\" -R \"$e\" \"$d/\"; else xcat xdcp \"$1\" \"$e\" \"$d/\"; fi || return\n  done\n}}\n\
             x_mounted() {{ xcat xdsh \"$1\" -t 60 -z \"( while read a m o; do [ \\\"\\$m\\\" = '$d' ] && echo mounted; done </proc/mounts; true )\" 2>/dev/null </dev/null | grep -q ': mounted$'; }}\n\
             x_copy() {{\n  if x_mounted \"$1\"; then echo 'mounted now'; return; fi\n  if command -v rsync >/dev/null 2>&1 && command -v ssh >/dev/null 2>&1; then x_rsync \"$1\" || x_xdcp \"$1\"\n  else x_xdcp \"$1\"; fi\n}}\n",
            dir = quote(&self.dir),
            excludes = excludes.join(" "),
            keep = if keep.is_empty() { "''".to_string() } else { keep.join("|") },
        );
        for node in nodes {
            add(
                &mut body,
                format_args!(
                    "xc_progress {}\nxc_run {} x_copy {}\n",
                    quote(&format!("{node}: copying {}", self.dir)),
                    quote(&format!("copy {node}")),
                    quote(node)
                ),
            );
        }
        body.push_str(&self.look());
        body
    }
}

struct State {
    digest: String,
    /// What each node that answered said: where the directory is mounted from, and its digest.
    nodes: BTreeMap<String, (Option<String>, String)>,
}

impl State {
    fn of(sections: &Sections) -> Result<Self, Failure> {
        let here = sections.get("here").ok_or_else(|| Failure::new("the directory was not read"))?;
        if here.rc != 0 {
            return Err(common::command_failed("cannot read the directory", here));
        }
        let answers: BTreeMap<String, Answer> = parse::answers(sections.text("there"));
        let nodes = answers
            .into_iter()
            .map(|(node, answer)| {
                let after =
                    |key: &str| answer.lines.iter().find_map(|l| l.strip_prefix(key)).map(str::to_string);
                (node, (after("mounted "), after("digest ").unwrap_or_default()))
            })
            .collect();
        Ok(State { digest: here.line().to_string(), nodes })
    }

    fn differs(&self, node: &str) -> bool {
        self.nodes.get(node).is_some_and(|(mounted, digest)| mounted.is_none() && *digest != self.digest)
    }

    fn describe(&self, node: &str) -> String {
        match self.nodes.get(node) {
            None => "does not answer".into(),
            Some((Some(from), _)) => format!("mounted from {from}"),
            Some((None, digest)) if digest.is_empty() => "no such directory".into(),
            Some((None, digest)) => digest.clone(),
        }
    }

    fn result(&self) -> Map {
        let mut result = Map::new();
        let mounted: Map =
            self.nodes.iter().filter_map(|(n, (from, _))| Some((n.as_str(), from.clone()?))).collect();
        let synced: Map = self
            .nodes
            .iter()
            .filter(|(n, (from, _))| from.is_none() && !self.differs(n))
            .map(|(n, (_, digest))| (n.as_str(), digest.as_str()))
            .collect();
        result.insert("mounted", mounted);
        result.insert("synced", synced);
        result.insert("digest", self.digest.clone());
        result
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::tests::with_call;
    use super::super::sh::tests::{printed, run_with, seen};
    use super::*;
    use crate::modules::Effect;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn put(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("set");
    }

    /// Nodes are folders; xdsh runs a command with the paths of the node's own folder.
    #[test]
    fn copies_what_differs_and_leaves_autoinst() {
        let dir = tempfile::tempdir().expect("a folder");
        let base = dir.path().to_string_lossy().into_owned();
        let install = format!("{base}/install");
        put(&dir.path().join("xcat/bin/nodels"), "#!/bin/sh\necho sn1\n");
        put(
            &dir.path().join("xcat/bin/xdsh"),
            &format!(
                "#!/bin/sh\nn=$1\nfor c; do :; done\nsh -c \"$(printf '%s' \"$c\" | sed 's|{install}|{base}/sn1/install|g')\" | sed \"s/^/sn1: /\"\necho 'sn1: Remote_command_rc = 0'\n"
            ),
        );
        put(
            &dir.path().join("xcat/bin/xdcp"),
            &format!(
                "#!/bin/sh\nshift\n[ \"$1\" != -R ] || shift\nmkdir -p {base}/sn1/install\ncp -R \"$1\" {base}/sn1/install/\n"
            ),
        );
        put(&dir.path().join("install/custom/a"), "a");
        put(&dir.path().join("install/autoinst/mn"), "only here");
        put(&dir.path().join("sn1/install/autoinst/sn"), "only there");
        put(&dir.path().join("install/big"), &"x".repeat(2_000_000));
        let args = json!({ "nodes": "sn1", "installdir": install });
        let replace =
            [("/opt/xcat/bin", format!("{base}/xcat/bin")), ("command -v rsync", "false".to_string())];
        let replace: Vec<(&str, &str)> = replace.iter().map(|(a, b)| (*a, b.as_str())).collect();
        with_call(&SyncInstall, args, false, |call| {
            for (sh, effect) in [("sh", Effect::Change), ("bash", Effect::Same)] {
                let probe = SyncInstall.probe(call).expect("probed").expect("a script");
                let prediction =
                    SyncInstall.plan(call, &seen(&run_with(sh, &probe, &replace))).expect("planned");
                assert_eq!(prediction.effect, effect);
                let Some(change) = &prediction.change else { continue };
                let Action::Run(run) = &change.actions[0] else { panic!() };
                let ran = run_with(sh, &run.script, &replace);
                SyncInstall.finish(call, prediction.clone(), &[ran]).expect("copied");
            }
        });
        assert!(
            dir.path().join("sn1/install/autoinst/sn").exists()
                && !dir.path().join("sn1/install/autoinst/mn").exists()
        );
    }

    #[test]
    fn a_mounted_directory_needs_no_copy() {
        let seen = printed(&[
            ("members", "sn1\n", 0, ""),
            ("here", "123 45\n", 0, ""),
            (
                "there",
                "sn1: mounted 10.0.0.1:/install nfs\nsn1: digest 9 9\nsn1: Remote_command_rc = 0\n",
                0,
                "",
            ),
        ]);
        let args = json!({ "nodes": "service" });
        let prediction =
            with_call(&SyncInstall, args, false, |call| SyncInstall.plan(call, &seen)).expect("planned");
        assert_eq!(prediction.effect, Effect::Same);
        assert_eq!(
            prediction.result.get("mounted").map(|v| v.to_text()).as_deref(),
            Some("{'sn1': '10.0.0.1:/install nfs'}")
        );
    }

    #[test]
    fn a_silent_node_is_named() {
        let seen = printed(&[
            ("members", "sn1\nsn2\n", 0, ""),
            ("here", "123 45\n", 0, ""),
            ("there", "sn1: digest 123 45\nsn1: Remote_command_rc = 0\n", 0, ""),
        ]);
        let plan = |check| {
            with_call(&SyncInstall, json!({ "nodes": "service" }), check, |call| {
                SyncInstall.plan(call, &seen)
            })
        };
        assert_eq!(plan(false).expect_err("refused").msg, "sn2 did not answer xdsh");
        assert_eq!(plan(true).expect("predicted").effect, Effect::Unknown);
    }
}
