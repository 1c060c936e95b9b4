//! `xcat_updatenode`: the synclists of an osimage brought to running nodes, verified file by file.
//!
//! `updatenode -F` may name fewer failed nodes than there are and says the same whether anything was copied, so the
//! files' digests on each node decide.

use std::collections::BTreeMap;

use super::common::{self, NAMESPACES};
use super::osimage::check_name;
use super::parse;
use super::relations;
use super::sh::{Sections, quote, script};
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Relations, Run, Seen,
};
use crate::transport::Output;
use crate::value::Map;

pub struct Updatenode;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_updatenode",
    namespaces: NAMESPACES,
    about: "Brings the files of an osimage's synclists to running nodes (updatenode -F) and verifies them",
    args: &[
        ArgSpec::new("nodes", ArgKind::StrList, "Node range").required().aliases(&["noderange"]),
        ArgSpec::new("image", ArgKind::Str, "The osimage whose synclists count")
            .required()
            .aliases(&["osimage"]),
        ArgSpec::new("timeout", ArgKind::Int, "Seconds that it may take").default("1800"),
    ],
    returns: &[
        ("files", "files that the synclists bring, with their targets"),
        ("stale", "nodes where a file differed, each with the files"),
    ],
    ..ModuleSpec::BASE
};

/// Prints `SUM TARGET<TAB>SOURCE<TAB>RANGE` for each plain file of a synclist, and `skipped LINE` for the rest.
const LISTS: &str = r#"x_tab=$(printf '\t')
x_synclist() {
  [ -f "$1" ] || { echo "missing $1"; return; }
  while IFS= read -r x_line || [ -n "$x_line" ]; do
    case $x_line in ''|'#'*) continue ;; esac
    case $x_line in
    [A-Z]*:*) echo "skipped what follows $x_line"; return ;;
    *'->'*) ;;
    *) continue ;;
    esac
    x_left=${x_line%%->*}
    x_right=$(printf '%s\n' "${x_line#*->}" | sed -e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//')
    x_range=
    case $x_right in '('*) x_range=${x_right#(}; x_range=${x_range%%)*}; x_right=${x_right#*)}; x_right=${x_right# } ;; esac
    x_several=no
    x_n=0
    for x_src in $x_left; do x_n=$((x_n + 1)); done
    [ "$x_n" -le 1 ] || x_several=yes
    case $x_right in */) x_several=yes; x_right=${x_right%/} ;; esac
    for x_src in $x_left; do
      if [ -f "$x_src" ]; then
        if [ "$x_several" = yes ]; then x_dst=$x_right/${x_src##*/}; else x_dst=$x_right; fi
        x_c=$(cksum <"$x_src")
        printf '%s %s\t%s\t%s\n' "$x_c" "$x_dst" "$x_src" "$x_range"
      elif [ -d "$x_src" ]; then echo "skipped the directory $x_src"
      else echo "absent $x_src"; fi
    done
  done <"$1"
}
x_check() {
  x_cmd=
  for x_t in $(printf '%s\n' "$x_files" | sed -n 's/^[0-9]* [0-9]* \([^\t]*\)\t.*/\1/p' | sort -u); do
    x_cmd="$x_cmd '$x_t'"
  done
  [ -n "$x_cmd" ] || return 0
  xcat xdsh "$1" -t 120 -z "( for f in$x_cmd; do if [ -f \"\$f\" ]; then echo \"\$(cksum <\"\$f\") \$f\"; else echo \"absent \$f\"; fi; done; true )"
}
"#;

impl Module for Updatenode {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn relations(&self, call: &Call) -> Relations {
        relations::of(SPEC.name, call)
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let image = call.args.str("image").unwrap_or_default();
        check_name(image)?;
        let range = quote(&common::noderange(call, "nodes")?);
        Ok(Some(script(&format!(
            "{LISTS}xc_run members xcat nodels {range}\n[ \"$xc_rc\" = 0 ] || exit 0\nxc_image {}\n\
             x_files=$(xc_comma x_synclist \"$(xc_attr synclists)\")\nxc_say files \"$x_files\"\n{}xc_run there x_check {range}",
            quote(image),
            RANGES
        ))))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let image = call.args.str("image").unwrap_or_default();
        let sections = Sections::of_probe(seen)?;
        let members = sections.get("members").ok_or_else(|| Failure::new("nodels printed nothing"))?;
        if members.rc != 0 {
            return Err(common::command_failed("cannot read the nodes", members));
        }
        let nodes: Vec<String> = members.lines().map(|l| l.trim().to_string()).collect();
        let mut result = Map::new();
        if common::definition(call, &sections, image)?.is_none() {
            common::unless_predicting(call, || Failure::new(format!("the osimage {image} does not exist")))?;
            result.insert("files", crate::value::Value::unknown("the osimage does not exist yet"));
            return Ok(Prediction::unknown(result, Vec::new()));
        }
        let lists = Lists::of(&sections);
        for (list, what) in [(&lists.missing, "the synclist"), (&lists.absent, "the source")] {
            if let Some(file) = list.first() {
                common::unless_predicting(call, || Failure::new(format!("{what} {file} does not exist")))?;
            }
        }
        result.insert("files", lists.shown());
        let stale = lists.stale(&nodes, &sections);
        let warnings = lists.skipped.clone();
        if stale.is_empty() {
            return Ok(Prediction { warnings, ..Prediction::same(result) });
        }
        result.insert("stale", stale.iter().map(|(n, f)| (n.as_str(), f.clone())).collect::<Map>());
        let silent: Vec<&String> =
            stale.iter().filter(|(_, f)| f.first().is_some_and(|f| f == SILENT)).map(|(n, _)| n).collect();
        if !silent.is_empty() {
            common::unless_predicting(call, || {
                Failure::new(format!("{} did not answer xdsh", common::listed(&silent)))
            })?;
        }
        let names: Vec<&str> = stale.iter().map(|(n, _)| n.as_str()).collect();
        let names = quote(&names.join(","));
        let body = format!(
            "{LISTS}xc_image {}\nx_files=$(xc_comma x_synclist \"$(xc_attr synclists)\")\nxc_say files \"$x_files\"\n{RANGES}\
             xc_run updatenode xcat updatenode {names} -F\nxc_run there x_check {names}",
            quote(image)
        );
        let run = Run {
            script: script(&body),
            timeout_secs: call.args.int("timeout").and_then(|t| u64::try_from(t).ok()),
            ..Run::default()
        };
        let diff = common::state_diff(
            &format!("synced files of {image}"),
            stale
                .iter()
                .map(|(n, files)| (n.as_str(), files.join(", "), "as on the management node".to_string())),
        );
        let prediction = Prediction::change(result, vec![Action::Run(run)]).diff(diff);
        Ok(Prediction { warnings, ..prediction })
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if ran.is_empty() {
            return Ok(prediction.into_outcome());
        }
        let sections = Sections::of_change(ran, 0)?;
        let outcome = prediction.into_outcome();
        let nodes: Vec<String> = outcome
            .result
            .get("stale")
            .and_then(|s| s.as_map())
            .map(|m| m.keys().filter_map(|k| k.as_str().map(str::to_string)).collect())
            .unwrap_or_default();
        let stale = Lists::of(&sections).stale(&nodes, &sections);
        if stale.is_empty() {
            return Ok(outcome);
        }
        let said = sections.get("updatenode").cloned().unwrap_or_default();
        let each: Vec<String> = stale
            .iter()
            .map(|(node, files)| {
                let lines = parse::by_node(&said.out).remove(node).unwrap_or_default();
                let why = lines.iter().find(|l| !l.is_empty()).map(|l| format!(" ({l})")).unwrap_or_default();
                format!("{node}: {}{why}", files.join(", "))
            })
            .collect();
        let text = each.join("; ");
        Err(Failure::new(format!(
            "updatenode -F ended with rc {}, but files still differ on {text}",
            said.rc
        ))
        .with("rc", said.rc)
        .with("failed_nodes", stale.into_iter().map(|(n, _)| n).collect::<Vec<_>>())
        .with("stdout", said.out)
        .with("stderr", said.err))
    }
}

/// Prints the nodes of each node range that a synclist names.
const RANGES: &str = "printf '%s\\n' \"$x_files\" | sed -n 's/.*\\t\\([^\\t][^\\t]*\\)$/\\1/p' | sort -u | while IFS= read -r x_r; do \
                      xc_run \"range $x_r\" xcat nodels \"$x_r\"; done\n";

const SILENT: &str = "no answer";

/// The files of synclists.
#[derive(Default)]
struct Lists {
    /// Digest, target, source, node range.
    files: Vec<[String; 4]>,
    missing: Vec<String>,
    absent: Vec<String>,
    skipped: Vec<String>,
    ranges: BTreeMap<String, Vec<String>>,
}

impl Lists {
    fn of(sections: &Sections) -> Self {
        let mut lists = Lists::default();
        for line in sections.text("files").lines() {
            if let Some(file) = line.strip_prefix("missing ") {
                lists.missing.push(file.to_string());
            } else if let Some(file) = line.strip_prefix("absent ") {
                lists.absent.push(file.to_string());
            } else if let Some(what) = line.strip_prefix("skipped ") {
                lists.skipped.push(format!("{what} is not verified"));
            } else if let [left, source, range] = line.split('\t').collect::<Vec<_>>()[..] {
                let at = left.match_indices(' ').nth(1).map_or(left.len(), |(at, _)| at);
                let target = left[at..].trim_start();
                lists.files.push([left[..at].into(), target.into(), source.into(), range.into()]);
            }
        }
        for (range, section) in sections.named("range") {
            lists.ranges.insert(range.to_string(), section.lines().map(|l| l.trim().to_string()).collect());
        }
        lists
    }

    fn shown(&self) -> Vec<String> {
        self.files.iter().map(|[_, target, source, _]| format!("{source} -> {target}")).collect()
    }

    /// Returns the nodes on which a file differs, with the files.
    fn stale(&self, nodes: &[String], sections: &Sections) -> Vec<(String, Vec<String>)> {
        if self.files.is_empty() {
            return Vec::new();
        }
        let answers = parse::answers(sections.text("there"));
        let mut found = Vec::new();
        for node in nodes {
            let Some(answer) = answers.get(node) else {
                found.push((node.clone(), vec![SILENT.to_string()]));
                continue;
            };
            let files: Vec<String> = self
                .files
                .iter()
                .filter(|[_, _, _, range]| {
                    range.is_empty() || self.ranges.get(range).is_some_and(|r| r.contains(node))
                })
                .filter(|[sum, target, _, _]| !answer.lines.contains(&format!("{sum} {target}")))
                .map(|[_, target, _, _]| target.clone())
                .collect();
            if !files.is_empty() {
                found.push((node.clone(), files));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::tests::with_call;
    use super::super::sh::tests::{run_with, seen};
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

    /// Nodes are folders; updatenode copies to sn1 always and to sn2 only when the file `good` exists.
    fn cluster() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        let base = dir.path().to_string_lossy().into_owned();
        let bin = |name: &str, text: String| put(&dir.path().join("xcat/bin").join(name), &text);
        bin("nodels", "#!/bin/sh\ncase $1 in only) echo sn2 ;; *) echo sn1; echo sn2 ;; esac\n".into());
        bin(
            "lsdef",
            format!("#!/bin/sh\nprintf 'svc:\\n    objtype=osimage\\n    synclists={base}/s.synclist\\n'\n"),
        );
        bin(
            "xdsh",
            format!(
                "#!/bin/sh\nfor c; do :; done\nfor n in $(echo $1 | tr , ' '); do [ $n != service ] || continue; sh -c \"$(printf '%s' \"$c\" | sed \"s|/T/|{base}/$n/|g\")\" | sed -e \"s/^/$n: /\" -e \"s|{base}/$n/|/T/|\"; echo \"$n: Remote_command_rc = 0\"; done\n"
            ),
        );
        bin(
            "updatenode",
            format!(
                "#!/bin/sh\nfor n in $(echo $1 | tr , ' '); do\n if [ $n = sn1 ] || [ -f {base}/good ]; then mkdir -p {base}/$n/etc {base}/$n/d; cp {base}/a {base}/$n/etc/a; cp {base}/a {base}/b {base}/$n/d/; \
             [ $n = sn1 ] || cp {base}/b {base}/$n/etc/b; else echo \"$n: rsync: [sender] link_stat failed\"; fi\ndone\necho 'File synchronization has completed for nodes: \"sn1,sn2\"'\n"
            ),
        );
        put(&dir.path().join("a"), "one");
        put(&dir.path().join("b"), "two");
        put(
            &dir.path().join("s.synclist"),
            &format!(
                "# files\n{base}/a -> /T/etc/a\n{base}/a {base}/b -> /T/d/\n{base}/b -> (only) /T/etc/b\nEXECUTE:\n/x/y\n"
            ),
        );
        dir
    }

    fn converge(dir: &Path, sh: &str) -> Result<(Effect, String, Vec<String>), Failure> {
        let bin = format!("{}/xcat/bin", dir.to_string_lossy());
        let replace = [("/opt/xcat/bin", bin.as_str())];
        with_call(&Updatenode, json!({ "nodes": "sn1,sn2", "image": "svc" }), false, |call| {
            let probe = Updatenode.probe(call)?.expect("a script");
            let prediction = Updatenode.plan(call, &seen(&run_with(sh, &probe, &replace)))?;
            let effect = prediction.effect.clone();
            let ran: Vec<Output> = prediction
                .change
                .iter()
                .flat_map(|c| &c.actions)
                .map(|a| match a {
                    Action::Run(run) => run_with(sh, &run.script, &replace),
                    other => panic!("{other:?}"),
                })
                .collect();
            let outcome = Updatenode.finish(call, prediction, &ran)?;
            Ok((
                effect,
                outcome.result.get("stale").map(|s| s.to_text()).unwrap_or_default(),
                outcome.warnings,
            ))
        })
    }

    #[test]
    fn brings_files_and_verifies_them() {
        let dir = cluster();
        put(&dir.path().join("good"), "");
        let (effect, stale, warnings) = converge(dir.path(), "sh").expect("synced");
        assert_eq!(effect, Effect::Change);
        assert_eq!(
            stale,
            "{'sn1': ['/T/etc/a', '/T/d/a', '/T/d/b'], 'sn2': ['/T/etc/a', '/T/d/a', '/T/d/b', '/T/etc/b']}"
        );
        assert_eq!(warnings, ["what follows EXECUTE: is not verified"]);
        assert_eq!(converge(dir.path(), "bash").expect("looked").0, Effect::Same);
    }

    #[test]
    fn does_not_believe_the_exit_code() {
        let dir = cluster();
        let failure = converge(dir.path(), "sh").expect_err("failed");
        assert_eq!(
            failure.msg,
            "updatenode -F ended with rc 0, but files still differ on sn2: /T/etc/a, /T/d/a, /T/d/b, /T/etc/b (rsync: \
             [sender] link_stat failed)"
        );
    }

    #[test]
    fn a_missing_source_is_named_before() {
        let dir = cluster();
        std::fs::remove_file(dir.path().join("b")).expect("removed");
        let failure = converge(dir.path(), "sh").expect_err("refused");
        assert_eq!(failure.msg, format!("the source {}/b does not exist", dir.path().to_string_lossy()));
    }
}
