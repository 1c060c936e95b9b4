//! `at`: commands that run once, later.

use super::sh::{PRIVATE_DIR, Report, expand_path, q};
use super::tool::{TELL_OUT, missing};
use super::write::named_diff;
use super::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Rule, Seen, Thing, Touch,
};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "at",
    namespaces: &["ansible.posix"],
    about: "Has a command run once at a later time.",
    args: &[
        ArgSpec::new("command", ArgKind::Str, "The command."),
        ArgSpec::new("script_file", ArgKind::Str, "A script on the target in place of a command."),
        ArgSpec::new("chdir", ArgKind::Path, "The folder in which it will run."),
        ArgSpec::new("count", ArgKind::Int, "In how many units."),
        ArgSpec::new("units", ArgKind::Str, "What is counted.")
            .choices(&["minutes", "hours", "days", "weeks"]),
        ArgSpec::new("state", ArgKind::Str, "Whether it is to wait there.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("unique", ArgKind::Bool, "One that waits already is enough.").default("no"),
    ],
    rules: &[Rule::Exclusive(&["command", "script_file"]), Rule::OneOf(&["command", "script_file"])],
    returns: &[
        ("state", "the state that was asked for"),
        ("script_file", "the script, where one was given"),
        ("count", "in how many units it runs"),
        ("units", "what is counted"),
    ],
    own_check: Some(check),
    ..ModuleSpec::BASE
};

pub struct At;

fn check(given: &Map) -> Result<(), Failure> {
    let text = |name: &str| given.get(name).filter(|value| !value.is_unknown()).map(Value::to_text);
    let none = |name: &str| match given.get(name) {
        None | Some(Value::Null | Value::Omit) => true,
        Some(value) => value.as_int() == Some(0),
    };
    let present = text("state").is_none_or(|state| state == "present");
    if present && !given.get("state").is_some_and(Value::is_unknown) && (none("count") || none("units")) {
        return Err(Failure::new("present state requires count and units"));
    }
    Ok(())
}

/// Takes the white space at both ends of `$xp_job` away.
const STRIP: &str = "while case $xp_job in [[:space:]]*) : ;; *) false ;; esac; do xp_job=${xp_job#?}; done\n\
    while case $xp_job in *[[:space:]]) : ;; *) false ;; esac; do xp_job=${xp_job%?}; done\n";

impl Module for At {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let mut script = String::from(
            "for xp_p in at atq; do command -v $xp_p >/dev/null 2>&1 || printf 'missing %s\\n' $xp_p; done\n",
        );
        if looks(call) {
            match call.args.str("command") {
                Some(command) => add!(script, "xp_job={}\n", q(command.trim())),
                None => {
                    let file = q(&script_file(call)?);
                    add!(script, "xp_job=$(cat -- {file}) || exit 1\n{STRIP}");
                }
            }
            script += "for xp_n in $(atq 2>/dev/null | sed 's/[[:space:]].*//'); do\n\
                case $(at -c \"$xp_n\" 2>/dev/null) in *\"$xp_job\"*) printf 'job %s\\n' \"$xp_n\" ;; esac\ndone\n";
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        if let Some(tool) = report.get("missing") {
            return Err(missing(
                call,
                format!("Failed to find required executable \"{tool}\" on the target"),
            ));
        }
        let queue = Thing { kind: "queue", name: "at".to_string() };
        if looks(call) {
            call.needs_same(&queue)?;
            if args.has("script_file") {
                call.needs_untouched(&script_file(call)?)?;
            }
        }
        let what = args.str("command").or(args.str("script_file")).unwrap_or_default();
        let jobs: Vec<&str> = report.all("job").collect();
        let absent = args.str("state") == Some("absent");
        let mut result = Map::new();
        result.insert("state", if absent { "absent" } else { "present" });
        if absent == jobs.is_empty() && looks(call) {
            return Ok(Prediction::same(result));
        }
        let mut script = String::new();
        let side = |when: String| Map::from_iter([("command", what.to_string()), ("jobs", when)]);
        let (before, after) = if absent {
            for job in &jobs {
                add!(script, "xp_tool at -r {}\n", q(job));
            }
            (Some(side(jobs.join(", "))), None)
        } else {
            let (count, units) = (args.int("count").unwrap_or(0), args.str("units").unwrap_or_default());
            if let Some(file) = args.str("script_file") {
                result.insert("script_file", file);
            }
            result.insert("count", count);
            result.insert("units", units);
            let file = match args.str("command") {
                Some(command) => {
                    add!(script, "{PRIVATE_DIR}printf '%s\\n' {} >\"$xp_dir/job\" || exit 1\n", q(command));
                    "\"$xp_dir/job\"".to_string()
                }
                None => q(&script_file(call)?),
            };
            if let Some(dir) = args.str("chdir") {
                add!(script, "cd -- {} || exit 1\n", q(&expand_path(call, dir)?));
            }
            add!(script, "xp_tool at -f {file} now + {count} {}\n", q(units));
            (None, Some(side(format!("now + {count} {units}"))))
        };
        script += TELL_OUT;
        Ok(Prediction::change(result, vec![Action::run(script)])
            .touch(Touch::Thing(queue))
            .diff(named_diff("at", before, after)))
    }
}

/// Whether it counts what waits already.
fn looks(call: &Call) -> bool {
    call.args.flag("unique") || call.args.str("state") == Some("absent")
}

fn script_file(call: &Call) -> Result<String, Failure> {
    expand_path(call, call.args.str("script_file").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    fn planned(given: &[(&str, &str)], seen: &str) -> Vec<String> {
        let prediction = Case::new(&At, args(given)).plan(seen).unwrap();
        let script = scripts(&prediction).concat();
        script
            .lines()
            .filter(|line| line.starts_with("xp_tool ") || line.starts_with("cd "))
            .map(str::to_string)
            .collect()
    }

    #[test]
    fn schedules_and_removes() {
        let later = [("command", "ls 'x'"), ("count", "20"), ("units", "minutes")];
        let at = "xp_tool at -f \"$xp_dir/job\" now + 20 'minutes'";
        assert_eq!(planned(&later, ""), [at]);
        let with = |more: &[(&'static str, &'static str)]| [&later[..], more].concat();
        assert_eq!(planned(&with(&[("unique", "yes")]), "job 3\n"), Vec::<String>::new());
        assert_eq!(
            planned(&with(&[("unique", "yes"), ("chdir", "/srv")]), ""),
            ["cd -- '/srv' || exit 1", at]
        );
        assert_eq!(
            planned(&with(&[("state", "absent")]), "job 3\njob 5\n"),
            ["xp_tool at -r '3'", "xp_tool at -r '5'"]
        );
        assert_eq!(planned(&with(&[("state", "absent")]), ""), Vec::<String>::new());
        assert_eq!(
            planned(&[("script_file", "/s"), ("count", "1"), ("units", "days")], ""),
            ["xp_tool at -f '/s' now + 1 'days'"]
        );
    }

    #[test]
    fn refuses() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            let failure = Case::new(&At, args(given)).plan(seen).unwrap_err();
            assert_eq!(failure.msg, expect, "{given:?}");
        };
        fails(&[("command", "x")], "", "present state requires count and units");
        fails(&[("state", "absent")], "", "one of the following is required: command, script_file");
        fails(
            &[("command", "x"), ("state", "absent")],
            "missing at\n",
            "Failed to find required executable \"at\" on the target",
        );
    }
}
