//! `xcat_copycds`: the distribution's packages copied from ISO files, never twice.
//!
//! A repeated `copycds` would reset the stock osimages, so a complete distribution is left alone and `-w` is given
//! always.

use super::common::{self, NAMESPACES};
use super::parse::{self, Medium};
use super::relations;
use super::sh::{Sections, add, quote, script};
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Locks, Module, ModuleSpec, Outcome, Prediction, Relations, Run,
    Seen,
};
use crate::transport::Output;
use crate::value::Map;

pub struct Copycds;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_copycds",
    namespaces: NAMESPACES,
    about: "Copies installation media into xCAT's install directory, only when the distribution is not complete",
    args: &[
        ArgSpec::new("iso", ArgKind::StrList, "Absolute paths of the ISO files on the management node")
            .required()
            .aliases(&["isos"]),
        ArgSpec::new(
            "osvers",
            ArgKind::Str,
            "Name of the distribution (copycds -n); found in the medium when not given",
        )
        .aliases(&["name"]),
        ArgSpec::new("osarch", ArgKind::Str, "Architecture; found in the medium when not given")
            .aliases(&["arch"]),
        ArgSpec::new(
            "path",
            ArgKind::Path,
            "Where to copy to (copycds -p); default INSTALLDIR/OSVERS/OSARCH",
        ),
        ArgSpec::new("installdir", ArgKind::Path, "xCAT's install directory").default("/install"),
        ArgSpec::new("timeout", ArgKind::Int, "Seconds that the copying of all media may take")
            .default("7200"),
    ],
    returns: &[
        ("osvers", "name of the distribution"),
        ("osarch", "its architecture"),
        ("path", "its directory"),
        ("osimages", "osimages of the distribution"),
        ("reasons", "why it was or would be copied"),
    ],
    ..ModuleSpec::BASE
};

/// What the call asks for.
struct Wanted {
    isos: Vec<String>,
    osvers: Option<String>,
    osarch: Option<String>,
    path: Option<String>,
    installdir: String,
}

impl Wanted {
    fn of(call: &Call) -> Result<Self, Failure> {
        let isos = call.args.texts("iso");
        if isos.is_empty() {
            return Err(Failure::new("iso is empty: no medium to copy"));
        }
        if let Some(bad) = isos.iter().find(|i| !i.starts_with('/')) {
            return Err(Failure::new(format!("copycds needs absolute paths: {bad}")));
        }
        let text = |name: &str| call.args.str(name).filter(|t| !t.is_empty()).map(str::to_string);
        Ok(Wanted {
            isos,
            osvers: text("osvers"),
            osarch: text("osarch"),
            path: text("path"),
            installdir: text("installdir").unwrap_or_else(|| "/install".into()),
        })
    }

    /// Prints what is there of the distribution; `$n` and `$a` hold its name and architecture.
    fn look(&self) -> String {
        let path = self.path.as_deref().map_or_else(
            || format!("d={}/$n/$a", quote(self.installdir.trim_end_matches('/'))),
            |p| format!("d={}", quote(p)),
        );
        format!(
            "{path}\nxc_say path \"$d\"\nif [ -d \"$d\" ]; then xc_say directory yes; fi\n\
             if [ -s \"$d/.fingerprint\" ]; then xc_run fingerprint cat \"$d/.fingerprint\"; fi\n\
             xc_run osdistro xcat tabdump osdistro\nxc_run images xcat lsdef -t osimage"
        )
    }
}

impl Module for Copycds {
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
        let mut body = String::new();
        for iso in &wanted.isos {
            add(
                &mut body,
                format_args!("xc_cap {} xcat copycds -i {}\n", quote(&format!("medium {iso}")), quote(iso)),
            );
            body.push_str("m=${m:-$xc_out}\n");
        }
        let given = |value: &Option<String>, key: &str| match value {
            Some(v) => quote(v),
            None => format!("$(printf '%s\\n' \"$m\" | sed -n 's/^[[:space:]]*{key}://p' | sed -n 1p)"),
        };
        add(
            &mut body,
            format_args!("n={}\na={}\n", given(&wanted.osvers, "DISTNAME"), given(&wanted.osarch, "ARCH")),
        );
        body.push_str(&wanted.look());
        Ok(Some(script(&body)))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let wanted = Wanted::of(call)?;
        let sections = Sections::of_probe(seen)?;
        let media: Vec<(&str, Option<Medium>)> =
            sections.named("medium").map(|(iso, s)| (iso, parse::medium(&s.out))).collect();
        let first = media.iter().find_map(|(_, m)| m.clone()).unwrap_or_default();
        let osvers = wanted.osvers.clone().unwrap_or(first.name.clone());
        let osarch = wanted.osarch.clone().unwrap_or(first.arch.clone());
        let state = State::of(&sections, &osvers, &osarch, wanted.isos.len());
        let mut result = Map::new();
        result.insert("osvers", osvers.clone());
        result.insert("osarch", osarch.clone());
        result.insert("path", state.path.clone());
        result.insert("osimages", state.osimages.clone());
        if state.missing.is_empty() && !osvers.is_empty() {
            return Ok(Prediction::same(result));
        }
        for (iso, medium) in &media {
            let section = sections.get(&format!("medium {iso}"));
            let Some(medium) = medium else {
                let text = section.map(|s| parse::error_text(&s.out, "")).unwrap_or_default();
                return Err(Failure::new(format!("cannot use the medium {iso}: {text}")));
            };
            if medium.arch != osarch {
                return Err(Failure::new(format!(
                    "the medium {iso} is {}, but {osarch} is asked for",
                    medium.arch
                )));
            }
        }
        result.insert("reasons", state.missing.clone());
        let prediction = Prediction::change(
            result,
            vec![
                Action::Run(Run {
                    script: change_script(&wanted, &osvers, &osarch),
                    long: true,
                    timeout_secs: call.args.int("timeout").and_then(|t| u64::try_from(t).ok()),
                    ..Run::default()
                }),
                Action::run(verify_script(&wanted, &osvers, &osarch)),
            ],
        );
        let header = format!("distribution {osvers} {osarch} in {}", state.path);
        Ok(prediction.diff(common::state_diff(
            &header,
            [(
                "state",
                state.missing.join("; "),
                format!("complete, copied from {}", wanted.isos.join(", ")),
            )],
        )))
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if ran.is_empty() {
            return Ok(prediction.into_outcome());
        }
        let wanted = Wanted::of(call)?;
        let said = Sections::of_long(ran, "copycds failed")?;
        let sections = Sections::of_change(ran, 1)?;
        let mut outcome = prediction.into_outcome();
        let text = |key: &str| outcome.result.get(key).map(|v| v.to_text()).unwrap_or_default();
        let (osvers, osarch) = (text("osvers"), text("osarch"));
        let known = said.matches("already been copied in").count();
        let copied = said.matches("Media copy operation successful").count();
        if known + copied < wanted.isos.len() {
            return Err(Failure::new("copycds ended with rc 0 but did not say that it copied each medium")
                .with("stdout", said));
        }
        let state = State::of(&sections, &osvers, &osarch, 1);
        if !state.missing.is_empty() {
            return Err(Failure::new(format!(
                "copycds ended without an error, but of {osvers} {osarch} {}",
                common::listed(&state.missing)
            ))
            .with("stdout", said));
        }
        outcome.changed = copied > 0;
        outcome.result.insert("path", state.path);
        outcome.result.insert("osimages", state.osimages);
        outcome.result.insert("copied", wanted.isos);
        Ok(outcome)
    }
}

/// What is there of a distribution.
struct State {
    path: String,
    osimages: Vec<String>,
    /// What is missing, in words.
    missing: Vec<String>,
}

impl State {
    fn of(sections: &Sections, osvers: &str, osarch: &str, media: usize) -> Self {
        let path = sections.line("path").to_string();
        let mut missing = Vec::new();
        let fingerprints = sections.text("fingerprint").split(',').filter(|f| !f.trim().is_empty()).count();
        if sections.get("directory").is_none() {
            missing.push(format!("the directory {path} is missing"));
        } else if fingerprints == 0 {
            missing.push(format!("{path} has no .fingerprint, so no medium was copied to the end"));
        } else if fingerprints < media {
            missing.push(format!("{fingerprints} of {media} media were copied to {path}"));
        }
        let name = format!("{osvers}-{osarch}");
        let row = parse::table(sections.text("osdistro"))
            .into_iter()
            .find(|row| row.get("osdistroname").is_some_and(|n| *n == name));
        match row {
            None => missing.push(format!("the osdistro table has no row {name}")),
            Some(row) => {
                let dirs = row.get("dirpaths").map(String::as_str).unwrap_or_default();
                if !dirs.split(',').any(|d| d.trim_end_matches('/') == path.trim_end_matches('/')) {
                    missing.push(format!("the osdistro row {name} does not name {path}"));
                }
            }
        }
        let prefix = format!("{name}-");
        let osimages = parse::object_names(sections.text("images"))
            .into_iter()
            .filter(|image| image.starts_with(&prefix))
            .collect();
        State { path, osimages, missing }
    }
}

fn change_script(wanted: &Wanted, osvers: &str, osarch: &str) -> String {
    let mut options = format!("-w -n {} -a {}", quote(osvers), quote(osarch));
    if let Some(path) = &wanted.path {
        add(&mut options, format_args!(" -p {}", quote(path)));
    }
    let mut body = String::from(
        // copycds counts with carriage returns and no newline; each count becomes one progress line, the words stay.
        "xc_copy() {\n  xc_label=$1; shift\n  { xc_rc=$( { { \"$@\" 2>&1; printf '%s' \"$?\" >&4; } | tr '\\r' '\\n' | \
         while IFS= read -r xc_line || [ -n \"$xc_line\" ]; do\n      case $xc_line in\n        \
         [0-9]*.[0-9][0-9]%) printf 'xplay:progress %s: %s\\n' \"$xc_label\" \"$xc_line\" >&3 ;;\n        \
         [0-9]*.[0-9][0-9]%*) printf '%s\\n' \"${xc_line#*%}\" >&3 ;;\n        *) printf '%s\\n' \"$xc_line\" >&3 ;;\n      \
         esac\n    done; } 4>&1 ); } 3>&1\n}\n",
    );
    for iso in &wanted.isos {
        let name = iso.rsplit('/').next().unwrap_or(iso);
        add(
            &mut body,
            format_args!(
                "xc_copy {} xcat copycds {options} {}\n[ \"$xc_rc\" = 0 ] || exit \"$xc_rc\"\n",
                quote(&format!("copycds {name}")),
                quote(iso),
            ),
        );
    }
    script(&body)
}

fn verify_script(wanted: &Wanted, osvers: &str, osarch: &str) -> String {
    script(&format!("n={}\na={}\n{}", quote(osvers), quote(osarch), wanted.look()))
}

#[cfg(test)]
mod tests {
    use super::super::common::tests::with_call;
    use super::super::sh::tests::{printed, run_with, seen};
    use super::*;
    use crate::modules::Effect;
    use std::os::unix::fs::PermissionsExt;

    const MEDIUM: &str = "OS Image:/iso/d.iso\nDISTNAME:rhels9.4.0\nARCH:x86_64\n\n";
    const ROW: &str = "#osdistroname,basename,majorversion,minorversion,arch,type,dirpaths,comments,disable\n\
                       \"rhels9.4-x86_64\",\"rhels\",\"9\",\"4\",\"x86_64\",\"Linux\",\"/install/rhels9.4/x86_64\",,\n";

    fn args() -> serde_json::Value {
        serde_json::json!({ "iso": ["/iso/d.iso"], "osvers": "rhels9.4", "osarch": "x86_64" })
    }

    #[test]
    fn a_complete_distribution_is_left_alone_even_without_its_iso() {
        let seen = printed(&[
            (
                "medium /iso/d.iso",
                "Error: [mn]: The management server was unable to find/read /iso/d.iso.\n",
                1,
                "",
            ),
            ("path", "/install/rhels9.4/x86_64\n", 0, ""),
            ("directory", "yes\n", 0, ""),
            ("fingerprint", "bcb83f674779bf06954c088451101720,", 0, ""),
            ("osdistro", ROW, 0, ""),
            ("images", "rhels9.4-x86_64-netboot-compute  (osimage)\nmine  (osimage)\n", 0, ""),
        ]);
        let prediction = with_call(&Copycds, args(), false, |c| Copycds.plan(c, &seen)).expect("planned");
        assert_eq!(prediction.effect, Effect::Same);
        assert_eq!(
            prediction.result.get("osimages").map(|v| v.to_text()).as_deref(),
            Some("['rhels9.4-x86_64-netboot-compute']")
        );
    }

    #[test]
    fn says_what_is_missing() {
        let seen = printed(&[
            ("medium /iso/d.iso", MEDIUM, 0, ""),
            ("path", "/install/rhels9.4/x86_64\n", 0, ""),
            ("osdistro", "#osdistroname,basename\n", 0, ""),
            ("images", "Could not find any object definitions to display.\n", 0, ""),
        ]);
        let prediction = with_call(&Copycds, args(), false, |c| Copycds.plan(c, &seen)).expect("planned");
        assert_eq!(prediction.effect, Effect::Change);
        assert_eq!(
            prediction.result.get("reasons").map(|v| v.to_text()).as_deref(),
            Some(
                "['the directory /install/rhels9.4/x86_64 is missing', 'the osdistro table has no row rhels9.4-x86_64']"
            )
        );
    }

    #[test]
    fn refuses_a_medium_of_another_architecture() {
        let seen =
            printed(&[("medium /iso/d.iso", MEDIUM, 0, ""), ("path", "/install/rhels9.4/ppc64\n", 0, "")]);
        let args = serde_json::json!({ "iso": ["/iso/d.iso"], "osvers": "rhels9.4", "osarch": "ppc64" });
        let failure = with_call(&Copycds, args, false, |c| Copycds.plan(c, &seen)).expect_err("refused");
        assert_eq!(failure.msg, "the medium /iso/d.iso is x86_64, but ppc64 is asked for");
    }

    /// A pretended copycds with the counting of the real one.
    fn fake(dir: &std::path::Path) {
        let bin = dir.join("xcat/bin");
        std::fs::create_dir_all(&bin).expect("made");
        let install = dir.join("install/rhels9.4/x86_64");
        let install = install.to_string_lossy();
        let text = format!(
            "#!/bin/sh\ncase \"$1 $*\" in\n-i*) printf 'OS Image:%s\\nDISTNAME:rhels9.4.0\\nARCH:x86_64\\n\\n' \"$2\" ;;\n\
             *) mkdir -p {install}; echo 'Copying media to {install}'; printf '0.00%%\\r50.00%%\\r97.83%%\\rMedia copy operation successful\\n'; echo abc, >{install}/.fingerprint ;;\nesac\n"
        );
        let tab =
            format!("#!/bin/sh\nprintf '#osdistroname,dirpaths\\n\"rhels9.4-x86_64\",\"{install}\"\\n'\n");
        for (name, text) in [
            ("copycds", text.as_str()),
            ("tabdump", &tab),
            ("lsdef", "#!/bin/sh\necho 'rhels9.4-x86_64-netboot-compute  (osimage)'\n"),
        ] {
            std::fs::write(bin.join(name), text).expect("written");
            std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).expect("set");
        }
    }

    #[test]
    fn copies_with_counts_as_progress_and_reads_back() {
        let dir = tempfile::tempdir().expect("a folder");
        fake(dir.path());
        let xcat = dir.path().join("xcat").to_string_lossy().into_owned();
        let install = dir.path().join("install").to_string_lossy().into_owned();
        let replace = [("/opt/xcat", xcat.as_str()), ("/install", install.as_str())];
        with_call(&Copycds, args(), false, |call| {
            let probe = Copycds.probe(call).expect("probed").expect("a script");
            let looked = seen(&run_with("sh", &probe, &replace));
            let prediction = Copycds.plan(call, &looked).expect("planned");
            assert_eq!(prediction.effect, Effect::Change);
            let scripts: Vec<&Run> = prediction
                .change
                .iter()
                .flat_map(|c| &c.actions)
                .map(|a| match a {
                    Action::Run(run) => run,
                    other => panic!("{other:?}"),
                })
                .collect();
            for sh in ["sh", "bash"] {
                let ran: Vec<Output> =
                    scripts.iter().map(|run| run_with(sh, &run.script, &replace)).collect();
                let text = String::from_utf8_lossy(&ran[0].stdout).into_owned();
                assert!(text.contains("xplay:progress copycds d.iso: 50.00%\n"), "{sh}: {text}");
                let outcome = Copycds.finish(call, prediction.clone(), &ran).expect("copied");
                assert!(outcome.changed);
            }
        });
    }
}
