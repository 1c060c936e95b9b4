//! `xcat_sync_install`: /install on service nodes, mounted from the management node or else copied there and compared.
//!
//! `prsync` and `pscp` end with 0 whatever happened, so both sides are compared by digests before and after.

use std::collections::BTreeMap;

use super::common::{self, NAMESPACES};
use super::parse;
use super::relations;
use super::sh::{Sections, add, quote, script};
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Locks, Module, ModuleSpec, Outcome, Prediction, Relations, Run,
    Seen,
};
use crate::transport::Output;
use crate::value::{Map, Value};

pub struct SyncInstall;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_sync_install",
    namespaces: NAMESPACES,
    about: "Makes the install directory of service nodes that do not mount it equal to the management node's, by digests",
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
            "Compare the content of files over 1 MiB too; false takes equal names and sizes for equal files",
        )
        .default("true"),
        ArgSpec::new("timeout", ArgKind::Int, "Seconds that it may take").default("7200"),
    ],
    returns: &[
        ("mounted", "nodes that mount the directory"),
        ("synced", "nodes that hold a copy of their own, each with the number of files that are alike"),
        ("files", "how many files there are"),
        ("removed", "files of each node that the management node does not have, the first ten by name"),
    ],
    ..ModuleSpec::BASE
};

impl Module for SyncInstall {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn relations(&self, call: &Call) -> Relations {
        relations::of(SPEC.name, call)
    }

    fn locks(&self, call: &Call) -> Locks {
        relations::locks(SPEC.name, call)
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
        let booted_first = relations::changed_first(call, relations::RUNNING, &wanted.range).is_some();
        let boots = |node: &str| booted_first && state.copies(node);
        let differing: Vec<String> = nodes.iter().filter(|n| boots(n) || state.differs(n)).cloned().collect();
        let mut todo = differing;
        todo.extend(silent.into_iter().cloned());
        if todo.is_empty() {
            return Ok(Prediction::same(result));
        }
        result.insert("to_sync", todo.clone());
        result.insert("removed", state.extra(&todo));
        let run = Run {
            script: script(&wanted.change(&todo)),
            long: true,
            timeout_secs: call.args.int("timeout").and_then(|t| u64::try_from(t).ok()),
            ..Run::default()
        };
        let diff = common::state_diff(
            &format!("{} on service nodes", wanted.dir),
            todo.iter().map(|n| {
                let now = if boots(n) { "lost when it boots".to_string() } else { state.describe(n) };
                (n.as_str(), now, format!("{} files alike", state.files))
            }),
        );
        let look = Action::run(script(&wanted.look()));
        let prediction = Prediction::change(result, vec![Action::Run(run), look]).diff(diff);
        // A node that is down now may mount the directory once it is up.
        if todo.iter().all(|n| !state.nodes.contains_key(n)) {
            return Ok(Prediction { effect: crate::modules::Effect::Unknown, ..prediction });
        }
        Ok(prediction)
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if ran.is_empty() {
            return Ok(prediction.into_outcome());
        }
        let said = parse::by_node(&Sections::of_long(ran, "cannot copy the directory")?);
        let sections = Sections::of_change(ran, 1)?;
        let state = State::of(&sections)?;
        let mut outcome = prediction.into_outcome();
        let todo = outcome.result.get("to_sync").and_then(|v| v.as_list()).unwrap_or_default().to_vec();
        let mut wrong = Vec::new();
        for node in todo.iter().map(|v| v.to_text()) {
            if state.nodes.contains_key(&node) && !state.differs(&node) {
                continue;
            }
            let last = said
                .get(&node)
                .and_then(|lines| lines.iter().rev().find(|l| !l.starts_with("Remote_command_rc")));
            wrong.push(format!(
                "{node}: {}{}",
                state.describe(&node),
                last.map(|l| format!(" ({l})")).unwrap_or_default()
            ));
        }
        if !wrong.is_empty() {
            let dir = Wanted::of(call)?.dir;
            return Err(Failure::new(format!("after copying, {dir} still differs on {}", wrong.join("; "))));
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
    timeout_secs: i128,
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
            timeout_secs: call.args.int("timeout").unwrap_or(7200).max(1),
        })
    }

    /// The beginning of find's conditions: what is excluded is not looked into.
    fn prune(&self) -> String {
        let names: Vec<String> = self.exclude.iter().map(|e| format!("-path ./{}", quote(e))).collect();
        if names.is_empty() { String::new() } else { format!("\\( {} \\) -prune -o ", names.join(" -o ")) }
    }

    /// One line of sh that prints the directory's links with their targets and its files with digests, or big files
    /// with their size only.
    fn manifest(&self) -> String {
        let prune = self.prune();
        let links = format!(
            "find . {prune}-type l -exec ls -ld {{}} + | awk '{{ print \"link \" substr($0, index($0, \" ./\") + 1) }}'"
        );
        let files = if self.full {
            format!("find . {prune}-type f -exec cksum {{}} +")
        } else {
            format!(
                "{{ find . {prune}-type f -size +2047 -exec wc -c {{}} + | sed '/ total$/d'; \
                 find . {prune}-type f ! -size +2047 -exec cksum {{}} +; }}"
            )
        };
        format!("{{ {links}; {files} | sed 's/^ */file /'; }}")
    }

    /// Prints how many files there are, and of each node how many of them it has alike, or what it mounts. The lists
    /// themselves stay on the management node.
    fn look(&self) -> String {
        let remote = format!(
            "( while read d m t o; do [ \"$m\" = {dir} ] && echo \"mounted $d $t\" && exit; done </proc/mounts; cd {dir} 2>/dev/null && {manifest}; true )",
            dir = quote(&self.dir),
            manifest = self.manifest(),
        );
        format!(
            "x_here() {{ cd {dir} || return; {manifest}; }}\n\
             x_compare() {{\n  {{ ( x_here ) | sed 's/^/= /'; xcat xdsh {range} -t {timeout} -z {remote}; }} | awk '\n\
             function path(l) {{ if (l ~ /^link /) sub(/ -> .*/, \"\", l); return substr(l, index(l, \" ./\") + 1) }}\n\
             /^= (file|link) / {{ l = substr($0, 3); if (!(l in want)) {{ want[l] = 1; list[++n] = l; known[path(l)] = 1 }} next }}\n\
             {{ i = index($0, \": \"); node = substr($0, 1, i - 1); l = substr($0, i + 2)\n\
             if (l !~ /^(file|link) /) print\n\
             else if (l in want) {{ have[node, l] = 1; count[node]++ }}\n\
             else if (!(path(l) in known)) {{ if (extra[node]++ < 10) print node \": more \" path(l) }} }}\n\
             /: Remote_command_rc = / {{ nodes[node] = 1 }}\n\
             END {{ print \"= \" n + 0; for (node in nodes) {{ print node \": alike \" count[node] + 0; print node \": extra \" extra[node] + 0\n\
             for (k = 1; k <= n; k++) if (!((node, list[k]) in have)) {{ print node \": first \" list[k]; break }} }} }}'\n}}\n\
             xc_run here test -d {dir}\nxc_run there x_compare",
            dir = quote(&self.dir),
            manifest = self.manifest(),
            range = quote(&self.range),
            timeout = self.timeout_secs,
            remote = quote(&remote),
        )
    }

    /// Copies to each node that does not mount the directory meanwhile: by rsync, else by tar, which knows nothing of
    /// what a node has besides. A list of what it should have then goes there, and the rest is removed.
    fn change(&self, nodes: &[String]) -> String {
        let excludes = |below: &str| -> String {
            self.exclude.iter().map(|e| format!(" --exclude={}", quote(&format!("{below}/{e}")))).collect()
        };
        let dir = quote(&self.dir);
        let all = format!("find . {}-print", self.prune());
        // Backwards, so that a directory comes after what is in it.
        let remove = format!(
            "( cd {dir} && {{ cat; echo //; {all}; }} | awk '$0 == \"//\" {{ here = 1; next }} !here {{ want[$0]; next }} !($0 in want)' \
             | LC_ALL=C sort -r | while IFS= read -r f; do \
             if [ -d \"$f\" ] && [ ! -h \"$f\" ]; then rmdir \"$f\"; else rm -f \"$f\"; fi; done )"
        );
        let mounts =
            format!("( while read a m o; do [ \"$m\" = {dir} ] && echo mounted; done </proc/mounts; true )");
        let mut body = format!(
            "d={dir}\nx_ssh() {{ ssh -o BatchMode=yes \"$@\"; }}\n\
             x_rsync() {{ rsync -a{checksum} --delete{not_below_root} -e 'ssh -o BatchMode=yes' \"$d/\" \"$1:$d/\"; }}\n\
             x_tar() {{\n  ( cd \"$d\" && tar -cf -{not_below_dot} . ) | x_ssh \"$1\" {unpack} || return\n  ( cd \"$d\" && {all} ) | x_ssh \"$1\" {remove}\n}}\n\
             x_mounted() {{ xcat xdsh \"$1\" -t 60 -z {mounts} 2>/dev/null </dev/null | grep -q ': mounted$'; }}\n\
             x_copy() {{\n  if x_mounted \"$1\"; then echo 'mounted now'; return; fi\n  command -v rsync >/dev/null 2>&1 && x_rsync \"$1\" || x_tar \"$1\"\n}}\n",
            // Without it a file of the same size and time is taken for equal, whatever is in it.
            checksum = if self.full { "c" } else { "" },
            not_below_root = excludes(""),
            not_below_dot = excludes("."),
            unpack = quote(&format!("mkdir -p {dir} && cd {dir} && tar -xpf -")),
            remove = quote(&remove),
            mounts = quote(&mounts),
        );
        for node in nodes {
            add(
                &mut body,
                format_args!(
                    "xc_progress {}\n{{ x_copy {node} || echo \"ended with rc $?\"; }} 2>&1 </dev/null | sed {}\n",
                    quote(&format!("{node}: copying {}", self.dir)),
                    quote(&format!("s/^\\({node}: \\)\\{{0,1\\}}/{node}: /")),
                    node = quote(node),
                ),
            );
        }
        body
    }
}

struct State {
    /// How many files the management node's directory has.
    files: u64,
    nodes: BTreeMap<String, Node>,
}

/// What a node that answered said.
#[derive(Default)]
struct Node {
    /// Where the directory is mounted from.
    mounted: Option<String>,
    /// How many files are the same.
    alike: u64,
    /// The first file that is not.
    first: Option<String>,
    /// How many files it has that the management node does not have, and the first of them.
    extra: u64,
    more: Vec<String>,
}

impl State {
    fn of(sections: &Sections) -> Result<Self, Failure> {
        let here = sections.get("here").ok_or_else(|| Failure::new("the directory was not read"))?;
        if here.rc != 0 {
            return Err(Failure::new("the install directory does not exist on the management node"));
        }
        let there = sections.text("there");
        let files = there.lines().find_map(|l| l.strip_prefix("= ")?.trim().parse().ok()).unwrap_or(0);
        let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
        for (node, lines) in parse::by_node(there) {
            if !lines.iter().any(|l| l.starts_with("Remote_command_rc = ")) {
                continue;
            }
            let after = |key: &str| lines.iter().find_map(|l| l.strip_prefix(key)).map(str::to_string);
            let first = after("first ").and_then(|l| l.find(" ./").map(|at| l[at + 3..].to_string()));
            let number = |key: &str| after(key).and_then(|n| n.trim().parse().ok()).unwrap_or(0);
            let more = lines.iter().filter_map(|l| l.strip_prefix("more ./")).map(str::to_string).collect();
            let (mounted, alike, extra) = (after("mounted "), number("alike "), number("extra "));
            nodes.insert(node, Node { mounted, alike, first, extra, more });
        }
        Ok(State { files, nodes })
    }

    /// Whether a node keeps files of its own, which end with its system: its root is a tmpfs.
    fn copies(&self, node: &str) -> bool {
        self.nodes.get(node).is_some_and(|n| n.mounted.is_none())
    }

    fn differs(&self, node: &str) -> bool {
        self.nodes.get(node).is_some_and(|n| n.mounted.is_none() && (n.alike < self.files || n.extra > 0))
    }

    fn describe(&self, node: &str) -> String {
        match self.nodes.get(node) {
            None => "does not answer".into(),
            Some(Node { mounted: Some(from), .. }) => format!("mounted from {from}"),
            Some(Node { alike, first, extra, more, .. }) => {
                let mut text = format!("{alike} of {} files alike", self.files);
                if let Some(first) = first {
                    add(&mut text, format_args!(", {first} is not"));
                }
                if *extra > 0 {
                    let all = if more.len() as u64 == *extra { "" } else { " and others" };
                    add(
                        &mut text,
                        format_args!(
                            ", {extra} more than on the management node: {}{all}",
                            common::listed(more)
                        ),
                    );
                }
                text
            }
        }
    }

    /// What nodes have too many, by name.
    fn extra(&self, nodes: &[String]) -> Map {
        let found = nodes.iter().filter_map(|name| Some((name, self.nodes.get(name)?)));
        let having = found.filter(|(_, node)| node.extra > 0);
        having.map(|(name, node)| (name.as_str(), Value::from(node.more.clone()))).collect()
    }

    fn result(&self) -> Map {
        let mut mounted = Map::new();
        let mut synced = Map::new();
        for (name, node) in &self.nodes {
            match &node.mounted {
                Some(from) => mounted.insert(name.as_str(), from.as_str()),
                None => synced.insert(name.as_str(), node.alike),
            };
        }
        let mut result = Map::new();
        result.insert("mounted", mounted);
        result.insert("synced", synced);
        result.insert("files", self.files);
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
            &dir.path().join("ssh"),
            &format!(
                "#!/bin/sh\nfor c; do :; done\nexec sh -c \"$(printf '%s' \"$c\" | sed 's|{install}|{base}/sn1/install|g')\"\n"
            ),
        );
        put(&dir.path().join("install/custom/a"), "a");
        put(&dir.path().join("install/.hidden"), "h");
        std::os::unix::fs::symlink("custom/a", dir.path().join("install/link")).expect("linked");
        put(&dir.path().join("install/autoinst/mn"), "only here");
        put(&dir.path().join("sn1/install/autoinst/sn"), "only there");
        put(&dir.path().join("install/big"), &"x".repeat(2_000_000));
        let replace = [
            ("/opt/xcat/bin", format!("{base}/xcat/bin")),
            ("command -v rsync", "false".to_string()),
            ("ssh -o", format!("{base}/ssh -o")),
        ];
        let replace: Vec<(&str, &str)> = replace.iter().map(|(a, b)| (*a, b.as_str())).collect();
        let converge = |sh: &str, full: bool| {
            let args = json!({ "nodes": "sn1", "installdir": install, "full_digest": full });
            with_call(&SyncInstall, args, false, |call| {
                let probe = SyncInstall.probe(call).expect("probed").expect("a script");
                let prediction =
                    SyncInstall.plan(call, &seen(&run_with(sh, &probe, &replace))).expect("planned");
                let effect = prediction.effect.clone();
                let Some(change) = prediction.change.clone() else { return (effect, String::new()) };
                let ran: Vec<Output> = change
                    .actions
                    .iter()
                    .map(|a| match a {
                        Action::Run(run) => run_with(sh, &run.script, &replace),
                        other => panic!("{other:?}"),
                    })
                    .collect();
                let outcome = SyncInstall.finish(call, prediction, &ran).expect("copied");
                (effect, outcome.result.get("removed").map(|r| r.to_text()).unwrap_or_default())
            })
        };
        assert_eq!(converge("sh", true), (Effect::Change, "{}".into()));
        assert_eq!(converge("bash", true).0, Effect::Same);
        // A byte of a big file, its size as before.
        put(&dir.path().join("sn1/install/big"), &format!("{}y", "x".repeat(1_999_999)));
        assert_eq!(converge("sh", false).0, Effect::Same);
        assert_eq!(converge("bash", true), (Effect::Change, "{}".into()));
        assert_eq!(converge("sh", true).0, Effect::Same);
        // What the node has besides goes, and only that.
        put(&dir.path().join("sn1/install/custom/old/b c"), "b");
        put(&dir.path().join("sn1/install/left"), "l");
        for full in [false, true] {
            let (effect, removed) = converge("sh", full);
            let expect = if full { Effect::Same } else { Effect::Change };
            assert_eq!(effect, expect);
            let names = if full { "" } else { "{'sn1': ['left', 'custom/old/b c']}" };
            let sorted = |text: &str| {
                let mut words: Vec<String> =
                    text.split(['[', ']', ',']).map(|w| w.trim().to_string()).collect();
                words.sort();
                words
            };
            assert_eq!(sorted(&removed), sorted(names));
        }
        assert!(!dir.path().join("sn1/install/custom/old").exists());
        assert!(dir.path().join("sn1/install/custom/a").exists());
        // What was a link must be one there.
        let link = dir.path().join("sn1/install/link");
        std::fs::remove_file(&link).expect("removed");
        put(&link, "a");
        assert_eq!(converge("bash", true).0, Effect::Change);
        assert_eq!(std::fs::read_link(link).expect("a link"), Path::new("custom/a"));
        assert!(
            dir.path().join("sn1/install/autoinst/sn").exists()
                && !dir.path().join("sn1/install/autoinst/mn").exists()
        );
    }

    #[test]
    fn a_mounted_directory_needs_no_copy() {
        let seen = printed(&[
            ("members", "sn1\n", 0, ""),
            ("here", "", 0, ""),
            (
                "there",
                "sn1: mounted 10.0.0.1:/install nfs\nsn1: Remote_command_rc = 0\n= 7\nsn1: alike 0\nsn1: extra 0\n",
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
            ("here", "", 0, ""),
            ("there", "sn1: Remote_command_rc = 0\n= 7\nsn1: alike 7\n", 0, ""),
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
