//! `xcat_otherpkgs`: the xCAT packages in an image's otherpkgdir, from tarballs or from a directory, with repodata.
//!
//! A tarball is unpacked beside the tree that it replaces and renamed into place, so packages of an older release do
//! not stay behind. What was unpacked is remembered by the tarballs' digests in `.xplay-otherpkgs`.

use std::collections::BTreeMap;

use super::common::{self, NAMESPACES};
use super::sh::{Sections, add, quote, script};
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Locks, Module, ModuleSpec, Outcome, Prediction, Rule, Run, Seen,
    Touch,
};
use crate::transport::Output;
use crate::value::Map;

pub struct Otherpkgs;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_otherpkgs",
    namespaces: NAMESPACES,
    about: "Puts xCAT's packages into an image's otherpkgdir, from tarballs or a directory, each repository with repodata",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The directory to fill, such as OTHERPKGDIR/xcat")
            .required()
            .aliases(&["dest"]),
        ArgSpec::new("tarballs", ArgKind::StrList, "Tarballs on this host, such as xcat-core and xcat-dep"),
        ArgSpec::new("src", ArgKind::Path, "A directory on this host whose content is copied"),
        ArgSpec::new(
            "repositories",
            ArgKind::StrList,
            "Directories below path that must hold packages and repodata, such as xcat-core",
        ),
        ArgSpec::new("timeout", ArgKind::Int, "Seconds that unpacking and createrepo may take")
            .default("3600"),
    ],
    rules: &[Rule::Exclusive(&["tarballs", "src"]), Rule::OneOf(&["tarballs", "src", "repositories"])],
    returns: &[
        ("path", "the directory"),
        ("reasons", "why it was or would be filled"),
        ("repositories", "the repositories, each with the digest of its repomd.xml"),
    ],
    ..ModuleSpec::BASE
};

const STAMP: &str = ".xplay-otherpkgs";

impl Module for Otherpkgs {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn locks(&self, call: &Call) -> Locks {
        super::relations::locks(SPEC.name, call)
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        Ok(Some(script(&Wanted::of(call)?.look())))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let wanted = Wanted::of(call)?;
        let sections = Sections::of_probe(seen)?;
        let state = State::of(&wanted, &sections);
        for source in &state.no_source {
            common::unless_predicting(call, || {
                Failure::new(format!("{source} does not exist on this host"))
            })?;
        }
        let mut result = Map::new();
        result.insert("path", wanted.path.clone());
        result.insert("repositories", state.digests.clone());
        if state.reasons.is_empty() {
            return Ok(Prediction::same(result));
        }
        result.insert("reasons", state.reasons.clone());
        let run = Run {
            script: script(&wanted.change(&state)),
            long: true,
            timeout_secs: call.args.int("timeout").and_then(|t| u64::try_from(t).ok()),
            ..Run::default()
        };
        let diff = common::state_diff(
            &wanted.path,
            [("packages", state.reasons.join("; "), format!("from {}, with repodata", wanted.sources()))],
        );
        let look = Action::run(script(&wanted.look()));
        let left = Touch::Tree { path: wanted.path.clone() };
        Ok(Prediction::change(result, vec![Action::Run(run), look]).touch(left).diff(diff))
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if ran.is_empty() {
            return Ok(prediction.into_outcome());
        }
        let wanted = Wanted::of(call)?;
        Sections::of_long(ran, &format!("cannot fill {}", wanted.path))?;
        let sections = Sections::of_change(ran, 1)?;
        let state = State::of(&wanted, &sections);
        if !state.reasons.is_empty() {
            return Err(Failure::new(format!(
                "{} is still not complete: {}",
                wanted.path,
                state.reasons.join("; ")
            )));
        }
        let mut outcome = prediction.into_outcome();
        outcome.result.insert("repositories", state.digests);
        Ok(outcome)
    }
}

struct Wanted {
    path: String,
    tarballs: Vec<String>,
    src: Option<String>,
    repositories: Vec<String>,
}

impl Wanted {
    fn of(call: &Call) -> Result<Self, Failure> {
        let wanted = Wanted {
            path: call.args.str("path").unwrap_or_default().trim_end_matches('/').to_string(),
            tarballs: call.args.texts("tarballs").into_iter().filter(|t| !t.is_empty()).collect(),
            src: call.args.str("src").filter(|s| !s.is_empty()).map(|s| s.trim_end_matches('/').to_string()),
            repositories: call
                .args
                .texts("repositories")
                .into_iter()
                .map(|r| r.trim_matches('/').to_string())
                .collect(),
        };
        let all = wanted.tarballs.iter().chain(&wanted.src).chain(std::iter::once(&wanted.path));
        if let Some(bad) = all.into_iter().find(|p| !p.starts_with('/') || p.len() < 2) {
            return Err(Failure::new(format!("a path must be absolute, got {bad:?}")));
        }
        if let Some(bad) =
            wanted.repositories.iter().find(|r| r.split('/').any(|part| part == ".." || part.is_empty()))
        {
            return Err(Failure::new(format!("{bad:?} is no directory below {}", wanted.path)));
        }
        Ok(wanted)
    }

    fn sources(&self) -> String {
        match &self.src {
            Some(src) => src.clone(),
            None if self.tarballs.is_empty() => "what is there".into(),
            None => common::listed(&self.tarballs),
        }
    }

    fn look(&self) -> String {
        let mut body = format!(
            "p={}\nif [ -f \"$p/{STAMP}\" ]; then xc_run stamp cat \"$p/{STAMP}\"; fi\n",
            quote(&self.path)
        );
        for tarball in &self.tarballs {
            add(
                &mut body,
                format_args!(
                    "f={}\nif [ -f \"$f\" ]; then xc_say \"tarball $f\" \"$(xc_sum \"$f\")\"; fi\n",
                    quote(tarball)
                ),
            );
        }
        if let Some(src) = &self.src {
            // Sums of the source's files, and of the same files here; a repository's own data is made here.
            add(
                &mut body,
                format_args!(
                    "s={}\nx_sums() {{ cd \"$1\" 2>/dev/null || return 1; find . -type f ! -path '*/repodata/*' ! -name '.xplay-*' \
                 -exec cksum {{}} + | sort -k 3; }}\nxc_run source x_sums \"$s\"\nxc_run copy x_sums \"$p\"\n",
                    quote(src)
                ),
            );
        }
        for repository in &self.repositories {
            add(
                &mut body,
                format_args!(
                    "r={repo}\nif [ -d \"$p/$r\" ]; then\n  xc_say \"packages $r\" \"$(find \"$p/$r\" -name '*.rpm' | wc -l)\"\n  \
                 m=$p/$r/repodata/repomd.xml\n  if [ -s \"$m\" ]; then xc_say \"repomd $r\" \"$(xc_sum \"$m\")\"\n    \
                 xc_say \"newer $r\" \"$(find \"$p/$r\" -name '*.rpm' -newer \"$m\" | sed -n 1p)\"; fi\nfi\n",
                    repo = quote(repository)
                ),
            );
        }
        body
    }

    fn change(&self, state: &State) -> String {
        let mut body = format!("p={}\n", quote(&self.path));
        body.push_str(
            "x_step() {\n  x_label=$1; shift\n  x_said=$(\"$@\" </dev/null 2>&1) && return\n  x_rc=$?\n  \
             echo \"cannot $x_label: $(printf '%s' \"$x_said\" | tr '\\n' ' ')\" >&2\n  exit \"$x_rc\"\n}\n\
             x_step 'make the directory' mkdir -p \"$p\"\n",
        );
        if state.fill {
            if let Some(src) = &self.src {
                add(
                    &mut body,
                    format_args!(
                        "x_copy() {{ cp -Rp \"$1/.\" \"$p/\"; }}\nxc_progress copying {src}\nx_step 'copy the packages' x_copy {src}\n",
                        src = quote(src)
                    ),
                );
            }
            if !self.tarballs.is_empty() {
                // Each tarball's top directories take the place of what was there under the same name.
                add(
                    &mut body,
                    format_args!(
                        "x_unpack() {{\n  n=$p/.xplay-new\n  rm -rf \"$n\" && mkdir -m 755 \"$n\" && tar -xf \"$1\" -C \"$n\" || {{ rm -rf \"$n\"; return 1; }}\n  \
                     for e in \"$n\"/*; do\n    [ -e \"$e\" ] || {{ echo \"$1 is empty\" >&2; rm -rf \"$n\"; return 1; }}\n    \
                     t=$p/${{e##*/}}\n    rm -rf \"$p/.xplay-old\"\n    if [ -e \"$t\" ]; then mv \"$t\" \"$p/.xplay-old\" || return; fi\n    \
                     mv \"$e\" \"$t\" || {{ mv \"$p/.xplay-old\" \"$t\"; return 1; }}\n    rm -rf \"$p/.xplay-old\"\n  done\n  rm -rf \"$n\"\n}}\n\
                     rm -f \"$p/{STAMP}\"\nx_stamp=\n"
                    ),
                );
                for tarball in &self.tarballs {
                    let name = tarball.rsplit('/').next().unwrap_or(tarball);
                    add(
                        &mut body,
                        format_args!(
                            "f={}\nxc_progress unpacking {}\nh=$(xc_sum \"$f\")\nx_step {} x_unpack \"$f\"\nx_stamp=\"$x_stamp$h $f$xc_nl\"\n",
                            quote(tarball),
                            quote(name),
                            quote(&format!("unpack {name}")),
                        ),
                    );
                }
            }
        }
        for repository in &self.repositories {
            add(
                &mut body,
                format_args!(
                    "r={repo}\nm=$p/$r/repodata/repomd.xml\nif [ -d \"$p/$r\" ] && {{ [ ! -s \"$m\" ] || [ -n \"$(find \"$p/$r\" -name '*.rpm' -newer \"$m\" | sed -n 1p)\" ]; }}; then\n  \
                 c=$(command -v createrepo_c || command -v createrepo)\n  xc_progress \"making repodata of $r\"\n  \
                 if [ -n \"$c\" ]; then x_step \"make repodata of $r\" \"$c\" -q \"$p/$r\"\n  else x_step \"make repodata of $r\" sh -c \
                 'echo \"neither createrepo_c nor createrepo is installed\" >&2; exit 127'; fi\nfi\n",
                    repo = quote(repository)
                ),
            );
        }
        if state.fill && !self.tarballs.is_empty() {
            add(&mut body, format_args!("printf '%s' \"$x_stamp\" >\"$p/{STAMP}\"\n"));
        }
        body
    }
}

struct State {
    reasons: Vec<String>,
    /// Whether packages are to be copied or unpacked, besides repodata.
    fill: bool,
    no_source: Vec<String>,
    digests: Map,
}

impl State {
    fn of(wanted: &Wanted, sections: &Sections) -> Self {
        let mut reasons = Vec::new();
        let mut no_source = Vec::new();
        let stamp: BTreeMap<&str, &str> =
            sections.text("stamp").lines().filter_map(|l| l.split_once(' ')).map(|(h, f)| (f, h)).collect();
        for tarball in &wanted.tarballs {
            let digest = sections.line(&format!("tarball {tarball}"));
            let name = tarball.rsplit('/').next().unwrap_or(tarball);
            // The same bytes under another name are the same packages.
            let known = stamp.values().any(|h| *h == digest);
            if digest.is_empty() {
                no_source.push(tarball.clone());
                reasons.push(format!("{name} is not here yet"));
            } else if stamp.is_empty() {
                reasons.push(format!("{name} was not unpacked here by xplay"));
            } else if !known {
                reasons.push(format!("{name} is another than the one that was unpacked"));
            }
        }
        if let Some(src) = &wanted.src {
            let source = sums(sections.text("source"));
            if sections.get("source").is_none_or(|s| s.rc != 0) || source.is_empty() {
                no_source.push(src.clone());
                reasons.push(format!("{src} is not here yet"));
            }
            let copy = sums(sections.text("copy"));
            let differing: Vec<&&str> =
                source.iter().filter(|(f, s)| copy.get(*f) != Some(s)).map(|(f, _)| f).collect();
            if let Some(first) = differing.first() {
                reasons.push(format!(
                    "{} of {} files differ from {src} or are missing, {first} first",
                    differing.len(),
                    source.len()
                ));
            }
        }
        let fill = !reasons.is_empty();
        let mut digests = Map::new();
        let mut incomplete = false;
        for repository in &wanted.repositories {
            let line = |what: &str| sections.line(&format!("{what} {repository}"));
            if matches!(line("packages"), "" | "0") {
                reasons.push(format!("{repository} holds no packages"));
                incomplete = true;
            } else if line("repomd").is_empty() {
                reasons.push(format!("{repository} has no repodata"));
            } else if !line("newer").is_empty() {
                reasons.push(format!("{} is newer than the repodata of {repository}", line("newer")));
            }
            if !line("repomd").is_empty() {
                digests.insert(repository.as_str(), line("repomd"));
            }
        }
        // Somebody took packages away after they were unpacked.
        let fill = fill || incomplete && (!wanted.tarballs.is_empty() || wanted.src.is_some());
        State { reasons, fill, no_source, digests }
    }
}

fn sums(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| {
            let at = line.match_indices(' ').nth(1)?.0;
            Some((&line[at + 1..], &line[..at]))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::common::tests::with_call;
    use super::super::sh::tests::{run_with, seen};
    use super::*;
    use crate::modules::Effect;
    use serde_json::json;
    use std::path::Path;
    use std::process::Command;

    fn tarball(dir: &Path, name: &str, version: &str) -> String {
        let work = dir.join(format!("work-{version}"));
        let repo = work.join("xcat-core/repodata");
        std::fs::create_dir_all(&repo).expect("made");
        std::fs::write(work.join(format!("xcat-core/xCATsn-{version}.rpm")), version).expect("written");
        std::fs::write(repo.join("repomd.xml"), version).expect("written");
        let path = dir.join(name);
        let status = Command::new("tar").arg("-cf").arg(&path).arg("-C").arg(&work).arg("xcat-core").status();
        assert!(status.expect("tar is there").success());
        path.to_string_lossy().into_owned()
    }

    fn converge(args: &serde_json::Value, sh: &str) -> (Effect, String) {
        with_call(&Otherpkgs, args.clone(), false, |call| {
            let probe = Otherpkgs.probe(call).expect("probed").expect("a script");
            let prediction = Otherpkgs.plan(call, &seen(&run_with(sh, &probe, &[]))).expect("planned");
            let reasons = prediction.result.get("reasons").map(|r| r.to_text()).unwrap_or_default();
            let effect = prediction.effect.clone();
            if let Some(change) = &prediction.change {
                let ran: Vec<Output> = change
                    .actions
                    .iter()
                    .map(|a| match a {
                        Action::Run(run) => run_with(sh, &run.script, &[]),
                        other => panic!("{other:?}"),
                    })
                    .collect();
                Otherpkgs.finish(call, prediction, &ran).expect("filled");
            }
            (effect, reasons)
        })
    }

    #[test]
    fn unpacks_once_and_replaces_an_older_release() {
        let dir = tempfile::tempdir().expect("a folder");
        let old = tarball(dir.path(), "core-1.tar", "1");
        let new = tarball(dir.path(), "core-2.tar", "2");
        let dest = dir.path().join("otherpkgs/xcat");
        let args = |tar: &str| json!({ "path": dest.to_string_lossy(), "tarballs": [tar], "repositories": ["xcat-core"] });
        assert_eq!(
            converge(&args(&old), "sh"),
            (
                Effect::Change,
                "['core-1.tar was not unpacked here by xplay', 'xcat-core holds no packages']".into()
            )
        );
        assert_eq!(converge(&args(&old), "bash").0, Effect::Same);
        assert_eq!(
            converge(&args(&new), "sh"),
            (Effect::Change, "['core-2.tar is another than the one that was unpacked']".into())
        );
        assert!(
            !dest.join("xcat-core/xCATsn-1.rpm").exists() && dest.join("xcat-core/xCATsn-2.rpm").exists()
        );
        assert_eq!(converge(&args(&new), "sh").0, Effect::Same);
        std::fs::remove_file(dest.join("xcat-core/xCATsn-2.rpm")).expect("removed");
        assert_eq!(converge(&args(&new), "sh"), (Effect::Change, "['xcat-core holds no packages']".into()));
    }

    #[test]
    fn copies_a_directory() {
        let dir = tempfile::tempdir().expect("a folder");
        tarball(dir.path(), "x.tar", "7");
        let src = dir.path().join("work-7");
        let dest = dir.path().join("other pkgs");
        let args = json!({ "path": dest.to_string_lossy(), "src": src.to_string_lossy(), "repositories": ["xcat-core"] });
        assert_eq!(converge(&args, "sh").0, Effect::Change);
        assert_eq!(converge(&args, "sh").0, Effect::Same);
        std::fs::write(src.join("xcat-core/new.txt"), "n").expect("written");
        assert_eq!(
            converge(&args, "bash").1,
            format!(
                "['1 of 2 files differ from {} or are missing, ./xcat-core/new.txt first']",
                src.to_string_lossy()
            )
        );
    }

    #[test]
    fn a_tarball_that_an_earlier_step_sends_is_predicted() {
        let args = json!({ "path": "/nosuch/xcat", "tarballs": ["/nosuch/core.tar"] });
        let plan =
            |check| with_call(&Otherpkgs, args.clone(), check, |call| Otherpkgs.plan(call, &Seen::default()));
        assert_eq!(plan(true).expect("predicted").effect, Effect::Change);
        assert_eq!(plan(false).expect_err("refused").msg, "/nosuch/core.tar does not exist on this host");
    }
}
