//! `xcat_image_list`: a package list or exclusion list of an image, copied from xCAT's share directory when absent and
//! then edited by line.

use super::common::{self, NAMESPACES};
use super::list_file::{self, Edit, Files, Kind};
use super::sh::{Sections, quote, script};
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Run, Seen,
};
use crate::transport::{Content, Output};
use crate::value::Map;

pub struct ImageList;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_image_list",
    namespaces: NAMESPACES,
    about: "Keeps a site's own pkglist, otherpkgs.pkglist or exlist: copied once from xCAT's, then edited by line",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The site's list").required().aliases(&["dest"]),
        ArgSpec::new("kind", ArgKind::Str, "What is in the list").required().choices(&[
            "pkglist",
            "otherpkgs",
            "exlist",
        ]),
        ArgSpec::new("src", ArgKind::StrList, "Lists to begin with; the first that exists is copied"),
        ArgSpec::new("profile", ArgKind::Str, "Look for xCAT's own list of this profile"),
        ArgSpec::new("osvers", ArgKind::Str, "Operating system of the image, to find xCAT's own list"),
        ArgSpec::new("osarch", ArgKind::Str, "Architecture of the image, to find xCAT's own list"),
        ArgSpec::new("share", ArgKind::Path, "xCAT's share directory")
            .default("/opt/xcat/share/xcat/netboot"),
        ArgSpec::new("present", ArgKind::StrList, "Entries that the list shall hold").aliases(&["lines"]),
        ArgSpec::new("absent", ArgKind::StrList, "Entries that the list shall not hold"),
        ArgSpec::new("empty", ArgKind::Bool, "Begin with an empty list when there is nothing to copy")
            .default("false"),
        ArgSpec::new("mode", ArgKind::Str, "Mode of a new list").default("0644"),
    ],
    returns: &[
        ("path", "the site's list"),
        ("copied_from", "the list that it was or would be copied from"),
        ("entries", "entries of the list with its includes"),
    ],
    ..ModuleSpec::BASE
};

impl Module for ImageList {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let path = path(call)?;
        Ok(Some(script(&look(path, &sources(call)))))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let path = path(call)?;
        let kind = kind(call);
        let sections = Sections::of_probe(seen)?;
        let files = files(call, path, &sections)?;
        let current = files.get(path).map(String::as_str);
        let mut result = Map::new();
        result.insert("path", path);
        let start = match current {
            Some(text) => text.to_string(),
            None => match sections.get("source") {
                Some(source) => {
                    let from = source.line();
                    result.insert("copied_from", from);
                    list_file::moved(from, files.get(from).map(String::as_str).unwrap_or_default())
                }
                None if call.args.flag("empty") || sources(call).is_empty() => String::new(),
                None => {
                    return Err(Failure::new(format!(
                        "{path} does not exist, and neither does one of {}",
                        common::listed(&sources(call))
                    )));
                }
            },
        };
        let edit = Edit { present: call.args.texts("present"), absent: call.args.texts("absent") };
        if let Some(bad) =
            edit.present.iter().chain(&edit.absent).find(|e| e.contains('\n') || e.trim().is_empty())
        {
            return Err(Failure::new(format!("{bad:?} cannot be an entry of a list")));
        }
        let wanted = list_file::edited(kind, path, &start, &files, &edit);
        let mut all: Vec<String> =
            wanted.lines().flat_map(|l| list_file::entries(kind, l)).map(str::to_string).collect();
        all.extend(list_file::included(kind, path, &wanted, &files));
        result.insert("entries", all);
        let warnings: Vec<String> = list_file::missing_includes(path, &wanted, &files)
            .into_iter()
            .map(|include| {
                format!("{path} includes {include}, which does not exist: xCAT ignores that silently")
            })
            .collect();
        if current == Some(wanted.as_str()) {
            return Ok(Prediction { warnings, ..Prediction::same(result) });
        }
        let mode = call.args.str("mode").unwrap_or("0644");
        let prediction = Prediction::change(result, vec![Action::Run(write_file(path, &wanted, mode)?)])
            .touch(common::text_touch(path, &wanted, mode))
            .diff(common::text_diff(path, current, &wanted));
        Ok(Prediction { warnings, ..prediction })
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        finish_written(prediction, ran)
    }
}

/// Checks that what was written is what stands in the file now.
pub fn finish_written(prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
    if ran.is_empty() {
        return Ok(prediction.into_outcome());
    }
    let sections = Sections::of_change(ran, 0)?;
    let wrote = sections.get("write").ok_or_else(|| Failure::new("the change printed nothing"))?;
    if wrote.rc != 0 {
        return Err(common::command_failed("cannot write the file", wrote));
    }
    let outcome = prediction.into_outcome();
    for diff in &outcome.diff {
        if let crate::modules::DiffSide::Text(wanted) = &diff.after
            && sections.text("now") != wanted
        {
            return Err(Failure::new(format!("{} does not hold what was written to it", diff.after_header)));
        }
    }
    Ok(outcome)
}

/// Returns the action that writes a whole file beside itself and renames it, then prints it.
pub fn write_file(path: &str, text: &str, mode: &str) -> Result<Run, Failure> {
    if mode.is_empty() || mode.len() > 4 || !mode.chars().all(|c| ('0'..='7').contains(&c)) {
        return Err(Failure::new(format!("{mode:?} is no octal mode")));
    }
    let dir = path.rsplit_once('/').map_or("/", |(dir, _)| if dir.is_empty() { "/" } else { dir });
    let body = format!(
        "p={path}\nd={dir}\nexec 9<&0\nx_write() {{\n  mkdir -p \"$d\" || return\n  t=$d/.xplay.$$\n  set -C\n  \
         cat <&9 >\"$t\" || return\n  set +C\n  if [ \"$(wc -c <\"$t\")\" -ne {size} ]; then rm -f \"$t\"; \
         echo 'the content did not arrive whole' >&2; return 1; fi\n  chmod {mode} \"$t\" && mv -f \"$t\" \"$p\" || {{ \
         rm -f \"$t\"; return 1; }}\n}}\nxc_run write x_write\nxc_run now cat \"$p\"",
        path = quote(path),
        dir = quote(dir),
        size = text.len(),
    );
    Ok(Run { script: script(&body), stdin: Some(Content::bytes(text.as_bytes().to_vec())), ..Run::default() })
}

fn path<'a>(call: &'a Call) -> Result<&'a str, Failure> {
    let path = call.args.str("path").unwrap_or_default();
    if !path.starts_with('/') || path.ends_with('/') {
        return Err(Failure::new(format!("path must be an absolute file name, got {path:?}")));
    }
    Ok(path)
}

fn kind(call: &Call) -> Kind {
    if call.args.str("kind") == Some("exlist") { Kind::Exclusions } else { Kind::Packages }
}

fn sources(call: &Call) -> Vec<String> {
    let extension = match call.args.str("kind") {
        Some("otherpkgs") => "otherpkgs.pkglist",
        Some("exlist") => "exlist",
        _ => "pkglist",
    };
    let mut all = call.args.texts("src");
    all.extend(shipped(call, extension));
    all
}

/// Returns where xCAT keeps its own file of this kind for an image, in the order in which xCAT looks.
pub fn shipped(call: &Call, extension: &str) -> Vec<String> {
    let text = |name: &str| call.args.str(name).filter(|t| !t.is_empty());
    let (Some(profile), Some(osvers)) = (text("profile"), text("osvers")) else { return Vec::new() };
    let share = text("share").unwrap_or("/opt/xcat/share/xcat/netboot").trim_end_matches('/').to_string();
    let at = osvers.find(|c: char| c.is_ascii_digit()).unwrap_or(osvers.len());
    let id = osvers[..at].trim_end_matches('-');
    let platform = match id {
        "rhel" | "rhels" | "rhelhpc" => "rh",
        "sles" | "sle" => "sles",
        other => other,
    };
    let major: String = osvers[at..].chars().take_while(char::is_ascii_digit).collect();
    let generic = format!("{}{major}", &osvers[..at]);
    let mut names = Vec::new();
    for version in [osvers, generic.as_str(), id, ""] {
        for arch in [text("osarch"), None] {
            let parts = [Some(profile), Some(version).filter(|v| !v.is_empty()), arch, Some(extension)];
            names.push(parts.into_iter().flatten().collect::<Vec<_>>().join("."));
        }
    }
    let mut platforms = vec![platform];
    // Derived distributions use Red Hat's lists where xCAT has none of their own.
    if !matches!(platform, "rh" | "sles" | "ubuntu" | "debian") {
        platforms.push("rh");
        for suffix in [format!("rhels{major}"), "rhels".into()] {
            for arch in [text("osarch"), None] {
                names.push(
                    [Some(profile), Some(&suffix), arch, Some(extension)]
                        .into_iter()
                        .flatten()
                        .collect::<Vec<_>>()
                        .join("."),
                );
            }
        }
    }
    let mut found = Vec::new();
    for platform in platforms {
        for name in &names {
            let path = format!("{share}/{platform}/{name}");
            if !found.contains(&path) {
                found.push(path);
            }
        }
    }
    found
}

/// Prints the list, or else the first source that exists, each with what it includes.
pub fn look(path: &str, sources: &[String]) -> String {
    format!(
        "x_show() {{ [ -f \"$1\" ] && xc_run \"file $1\" cat \"$1\"; }}\np={}\nif [ -f \"$p\" ]; then xc_includes x_show \"$p\"\n\
         else for s in {}; do [ -f \"$s\" ] || continue; xc_say source \"$s\"; xc_includes x_show \"$s\"; break; done\nfi",
        quote(path),
        if sources.is_empty() { "''".to_string() } else { common::words(sources) },
    )
}

/// Returns the files that [`look`] printed, the one at `path` as earlier steps of a plan leave it.
pub fn files(call: &Call, path: &str, sections: &Sections) -> Result<Files, Failure> {
    let mut files: Files = sections
        .named("file")
        .filter(|(_, s)| s.rc == 0)
        .map(|(p, s)| (p.to_string(), s.out.clone()))
        .collect();
    if let Some(after) = call.foreseen_file(path)? {
        let found = files.remove(path).map(String::into_bytes);
        if let Some(content) = after.content(path, found)? {
            files.insert(path.to_string(), String::from_utf8_lossy(&content).into_owned());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::super::common::tests::with_call;
    use super::super::sh::tests::{run_with, seen};
    use super::*;
    use crate::modules::Effect;
    use serde_json::json;
    use std::io::Write;
    use std::process::{Command, Stdio};

    pub fn run_stdin(sh: &str, run: &Run) -> Output {
        let mut child = Command::new(sh)
            .args(["-c", &run.script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sh is there");
        if let Some(Content::Bytes(bytes)) = &run.stdin {
            child.stdin.take().expect("piped").write_all(bytes).expect("written");
        }
        let out = child.wait_with_output().expect("ended");
        Output {
            rc: out.status.code().unwrap_or(-1),
            stdout: out.stdout,
            stderr: out.stderr,
            ..Output::default()
        }
    }

    #[test]
    fn looks_for_lists_as_xcat_does() {
        let args = json!({ "path": "/x", "kind": "otherpkgs", "profile": "service", "osvers": "rhels9.4", "osarch": "x86_64" });
        let found = with_call(&ImageList, args, false, sources);
        assert_eq!(
            found[..4],
            [
                "/opt/xcat/share/xcat/netboot/rh/service.rhels9.4.x86_64.otherpkgs.pkglist",
                "/opt/xcat/share/xcat/netboot/rh/service.rhels9.4.otherpkgs.pkglist",
                "/opt/xcat/share/xcat/netboot/rh/service.rhels9.x86_64.otherpkgs.pkglist",
                "/opt/xcat/share/xcat/netboot/rh/service.rhels9.otherpkgs.pkglist",
            ]
        );
        assert!(
            found.contains(
                &"/opt/xcat/share/xcat/netboot/rh/service.rhels.ppc64.otherpkgs.pkglist"
                    .replace("ppc64", "x86_64")
            )
        );
    }

    #[test]
    fn copies_edits_and_then_leaves_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let base = dir.path().to_string_lossy().into_owned();
        std::fs::create_dir_all(dir.path().join("share/rh")).expect("made");
        std::fs::write(dir.path().join("share/rh/service.rhels9.pkglist"), "#INCLUDE:common#\nbash\n")
            .expect("written");
        std::fs::write(dir.path().join("share/rh/common"), "vim\n").expect("written");
        let args = json!({
            "path": format!("{base}/custom/my list.pkglist"), "kind": "pkglist", "share": format!("{base}/share"),
            "profile": "service", "osvers": "rhels9.4", "osarch": "x86_64", "present": ["vim", "it's"], "absent": ["bash"],
        });
        let expect = format!("#INCLUDE:{base}/share/rh/common#\nit's\n");
        with_call(&ImageList, args, false, |call| {
            let probe = ImageList.probe(call).expect("probed").expect("a script");
            for (sh, effect) in [("sh", Effect::Change), ("bash", Effect::Same)] {
                let prediction = ImageList.plan(call, &seen(&run_with(sh, &probe, &[]))).expect("planned");
                assert_eq!(prediction.effect, effect);
                let Some(change) = &prediction.change else { continue };
                let Action::Run(run) = &change.actions[0] else { panic!() };
                let ran = run_stdin(sh, run);
                let outcome = ImageList.finish(call, prediction.clone(), &[ran]).expect("written");
                assert!(outcome.changed);
            }
        });
        let written = std::fs::read_to_string(dir.path().join("custom/my list.pkglist")).expect("there");
        assert_eq!(written, expect);
    }

    #[test]
    fn without_a_source_it_is_refused_unless_empty_is_asked_for() {
        let args = |empty: bool| json!({ "path": "/nosuch/x", "kind": "exlist", "src": ["/nosuch/y"], "present": ["./boot*"], "empty": empty });
        let plan =
            |empty| with_call(&ImageList, args(empty), true, |call| ImageList.plan(call, &Seen::default()));
        assert_eq!(
            plan(false).expect_err("refused").msg,
            "/nosuch/x does not exist, and neither does one of /nosuch/y"
        );
        assert_eq!(plan(true).expect("planned").effect, Effect::Change);
    }
}
