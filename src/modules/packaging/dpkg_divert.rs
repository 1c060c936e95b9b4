//! `dpkg_divert`: which files of packages are put aside.

use crate::modules::sh::{Report, expand_path, q};
use crate::modules::tool::missing;
use crate::modules::write::named_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Seen, Thing, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "dpkg_divert",
    namespaces: &["community.general", "debops.debops"],
    about: "Has packages put their version of a file somewhere else.",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The file.").required(),
        ArgSpec::new("state", ArgKind::Str, "Whether it is diverted.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("holder", ArgKind::Str, "The package whose own version stays; LOCAL without one."),
        ArgSpec::new("divert", ArgKind::Path, "Where the others go; the path with .distrib without one."),
        ArgSpec::new("rename", ArgKind::Bool, "Move the file that is there, too.").default("no"),
        ArgSpec::new("force", ArgKind::Bool, "Move it even where a file is lost by it.").default("no"),
    ],
    returns: &[
        ("commands", "the commands"),
        ("messages", "what they said"),
        ("diversion", "path, state, divert and holder afterwards"),
    ],
    ..ModuleSpec::BASE
};

/// A diversion of a path: who holds it, and where the file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Diversion {
    holder: String,
    divert: String,
}

pub struct DpkgDivert;

impl Module for DpkgDivert {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let path = path(call)?;
        let wanted = wanted(call, &path)?;
        let there = wanted.as_ref().map(|w| w.divert.as_str()).unwrap_or_default();
        let main = command(call, &path, wanted.as_ref(), "$xp_no", call.args.flag("rename"));
        Ok(Some(format!(
            "command -v dpkg-divert >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\nLC_ALL=C; export LC_ALL\n{NO_RENAME}\
             printf 'renames %s\\n' \"${{xp_no:-none}}\"\n{SHOW}xp_show {path}\n[ ! -e {path} ] || printf 'there yes\\n'\n\
             [ ! -e {there} ] || printf 'taken yes\\n'\n\
             if [ -n \"$xp_to\" ] && [ -e \"$xp_to\" ]; then printf 'aside yes\\n'; fi\n\
             xp_o=$({} 2>&1); printf 'try %s\\n' $?; xp_tell said \"$xp_o\"\n",
            main.replacen("dpkg-divert", "dpkg-divert --test", 1),
            path = q(&path),
            there = q(there),
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let path = path(call)?;
        let report = Report::of(seen)?;
        if report.get("missing").is_some() {
            return Err(missing(call, "there is no dpkg-divert on the target"));
        }
        if report.get("renames") == Some("old") {
            return Err(Failure::new("Unsupported dpkg version (<1.15.0)."));
        }
        let thing = Thing { kind: "diversion", name: path.clone() };
        call.needs_same(&thing)?;
        let rename = call.args.flag("rename");
        if rename {
            call.needs_untouched(&path)?;
        }
        let wanted = wanted(call, &path)?;
        let before = shown(&report);
        let no = report.get("renames").filter(|word| *word != "none").unwrap_or_default();
        let line = |rename: bool| command(call, &path, wanted.as_ref(), no, rename);
        let plain = |text: &str| text.replace('\'', "").replace("  ", " ");
        let said = report.word("said").unwrap_or_default();
        let mut result = Map::from_iter([("diversion", diversion(&path, wanted.as_ref()))]);
        result.insert("commands", vec![plain(&line(rename))]);
        result.insert("messages", vec![said.trim_end().to_string()]);
        if wanted == before {
            return Ok(Prediction::same(result));
        }
        let tried = report.need("try")? == "0";
        let mut script = format!("LC_ALL=C; export LC_ALL\n{SHOW}");
        let mut aside = None;
        if tried {
            add!(script, "xp_say {}\n", line(rename));
        } else if wanted.is_some() != before.is_some() {
            let lost = if wanted.is_some() { report.get("taken") } else { report.get("aside") };
            let failed = |msg: &str| {
                Failure::new(msg)
                    .with("cmd", plain(&line(rename)))
                    .with("stderr", said.as_str())
                    .with("diversion", diversion(&path, before.as_ref()))
            };
            if !(rename && report.get("there").is_some() && lost.is_some()) {
                return Err(failed("Unexpected error while changing state of the diversion."));
            }
            if !call.args.flag("force") {
                return Err(failed("Set 'force' param to True to force renaming of files."));
            }
            let removed = wanted.as_ref().map_or(path.as_str(), |w| w.divert.as_str());
            add!(script, "xp_do \"remove \"{0} rm {0}\nxp_say {1}\n", q(removed), line(rename));
            aside = Some(removed.to_string());
        } else if let (Some(wanted), Some(before)) = (&wanted, &before) {
            // The holder or the place changes: the tool only knows how to forget a diversion and make another.
            let forget = format!("dpkg-divert {no} --remove {}", q(&path));
            result.insert("commands", vec![plain(&forget), plain(&line(false))]);
            add!(script, "xp_say {forget}\nxp_say {}\n", line(false));
            if wanted.divert != before.divert {
                let (old, new) = (q(&before.divert), q(&wanted.divert));
                add!(
                    script,
                    "if [ -e {old} ] && [ ! -e {new} ]; then mv -- {old} {new} 2>/dev/null || :; fi\n"
                );
                aside = Some(before.divert.clone());
            }
        }
        add!(script, "xp_show {}\n", q(&path));
        let side = |diversion: &Option<Diversion>| {
            let known = diversion.as_ref()?;
            Some(Map::from_iter([("holder", known.holder.as_str()), ("divert", known.divert.as_str())]))
        };
        let mut prediction = Prediction::change(result, vec![Action::run(script)])
            .touch(Touch::Thing(thing))
            .diff(named_diff(&format!("diversion of {path}"), side(&before), side(&wanted)));
        if rename || aside.is_some() {
            let places = [&wanted, &before].into_iter().flatten().map(|d| d.divert.clone());
            for path in places.chain([path.clone()]).chain(aside) {
                prediction = prediction.touch(Touch::Tree { path });
            }
        }
        Ok(prediction)
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let mut outcome = prediction.into_outcome();
        for output in ran {
            if output.rc != 0 {
                return Err(Failure::from_output(output));
            }
            let report = Report::parse(&output.stdout);
            let path = path(call)?;
            let after = shown(&report);
            if after != wanted(call, &path)? {
                return Err(Failure::new("Unexpected error: see stdout and stderr for details.")
                    .with("stdout", String::from_utf8_lossy(&output.stdout).into_owned())
                    .with("diversion", diversion(&path, after.as_ref())));
            }
            let said: Vec<String> = report
                .all("said")
                .filter_map(crate::modules::sh::word)
                .map(|t| t.trim_end().to_string())
                .collect();
            outcome.result.insert("messages", said);
        }
        Ok(outcome)
    }
}

/// Sets `xp_no` to the option that forbids moving, where there is one.
const NO_RENAME: &str = "xp_no=$(dpkg-divert --version | awk 'NR == 1 { for (i = 1; i <= NF; i++) if ($i ~ /^[0-9]+[.][0-9]/) { split($i, v, \".\"); \
n = v[1] * 1000000 + v[2] * 1000 + v[3]; print n < 1015000 ? \"old\" : n >= 1019001 ? \"--no-rename\" : \"\"; exit } }')\n";

/// `xp_show PATH` tells about a diversion; `xp_say COMMAND...` runs the tool and tells what it said.
const SHOW: &str = "xp_show() { xp_to=; xp_h=$(dpkg-divert --listpackage \"$1\") || exit 1\n[ -n \"$xp_h\" ] || return 0\n\
xp_to=$(dpkg-divert --truename \"$1\"); xp_tell holder \"$xp_h\"; xp_tell divert \"$xp_to\"; }\n\
xp_say() { xp_o=$(\"$@\" 2>&1) || { printf '%s\\n' \"$xp_o\" >&2; exit 1; }\nxp_tell said \"$xp_o\"; }\n";

fn path(call: &Call) -> Result<String, Failure> {
    expand_path(call, call.args.str("path").unwrap_or_default())
}

/// Returns the diversion that is asked for; nothing where there is to be none.
fn wanted(call: &Call, path: &str) -> Result<Option<Diversion>, Failure> {
    let args = &call.args;
    if args.str("state") == Some("absent") {
        return Ok(None);
    }
    let divert = match args.str("divert").filter(|d| !d.is_empty()) {
        Some(divert) => expand_path(call, divert)?,
        None => format!("{path}.distrib"),
    };
    let holder = args.str("holder").filter(|h| !h.is_empty()).unwrap_or("LOCAL").to_string();
    Ok(Some(Diversion { holder, divert }))
}

/// Returns the command that brings the wanted state about.
fn command(call: &Call, path: &str, wanted: Option<&Diversion>, no: &str, rename: bool) -> String {
    let mut line = format!("dpkg-divert {}", if rename { "--rename" } else { no });
    match wanted {
        None => add!(line, " --remove {}", q(path)),
        Some(wanted) => {
            match wanted.holder.as_str() {
                "LOCAL" => line += " --local",
                holder => add!(line, " --package {}", q(holder)),
            }
            if call.args.str("divert").is_some_and(|d| !d.is_empty()) {
                add!(line, " --divert {}", q(&wanted.divert));
            }
            add!(line, " --add {}", q(path));
        }
    }
    line
}

/// Reads what `xp_show` told.
fn shown(report: &Report) -> Option<Diversion> {
    Some(Diversion { holder: report.word("holder")?, divert: report.word("divert").unwrap_or_default() })
}

/// Returns a diversion as results tell it.
fn diversion(path: &str, known: Option<&Diversion>) -> Value {
    let text = |of: fn(&Diversion) -> &String| Value::from(known.map(|d| of(d).clone()));
    Value::map(Map::from_iter([
        ("path", Value::str(path)),
        ("state", Value::str(if known.is_some() { "present" } else { "absent" })),
        ("divert", text(|d| &d.divert)),
        ("holder", text(|d| &d.holder)),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    const NONE: &str = "renames --no-rename\ntry 0\nsaid =ok\n";
    const LOCAL: &str = "renames --no-rename\nholder =LOCAL\ndivert =/f.distrib\ntry 0\nsaid =ok\n";

    fn planned(given: &[(&str, &str)], seen: &str) -> Result<Vec<String>, String> {
        let mut given = given.to_vec();
        given.push(("path", "/f"));
        let prediction = Case::new(&DpkgDivert, args(&given)).plan(seen).map_err(|f| f.msg)?;
        let lines = scripts(&prediction).concat();
        Ok(lines
            .lines()
            .filter(|l| l.starts_with("xp_say ") || l.starts_with("xp_do ") || l.starts_with("if "))
            .map(str::to_string)
            .collect())
    }

    #[test]
    fn makes_changes_and_removes() {
        let check = |given: &[(&str, &str)], seen: &str, expect: &[&str]| {
            assert_eq!(planned(given, seen).unwrap(), expect, "{given:?}");
        };
        check(&[], NONE, &["xp_say dpkg-divert --no-rename --local --add '/f'"]);
        check(&[], LOCAL, &[]);
        check(&[("state", "absent")], NONE, &[]);
        check(
            &[("state", "absent"), ("rename", "yes")],
            LOCAL,
            &["xp_say dpkg-divert --rename --remove '/f'"],
        );
        check(
            &[("holder", "web"), ("divert", "/g")],
            &LOCAL.replace("try 0", "try 2"),
            &[
                "xp_say dpkg-divert --no-rename --remove '/f'",
                "xp_say dpkg-divert --no-rename --package 'web' --divert '/g' --add '/f'",
                "if [ -e '/f.distrib' ] && [ ! -e '/g' ]; then mv -- '/f.distrib' '/g' 2>/dev/null || :; fi",
            ],
        );
        let both = "renames none\nthere yes\ntaken yes\ntry 2\nsaid =no\n";
        check(
            &[("rename", "yes"), ("force", "yes")],
            both,
            &[
                "xp_do \"remove \"'/f.distrib' rm '/f.distrib'",
                "xp_say dpkg-divert --rename --local --add '/f'",
            ],
        );
        let refused = planned(&[("rename", "yes")], both).unwrap_err();
        assert_eq!(refused, "Set 'force' param to True to force renaming of files.");
    }
}
