//! `make`: targets of a makefile.

use super::sh::{Report, expand_path, q};
use super::tool::missing;
use super::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Run, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "make",
    namespaces: &["community.general"],
    about: "Makes targets of a makefile that are out of date.",
    args: &[
        ArgSpec::new("chdir", ArgKind::Path, "The folder of the makefile.").required(),
        ArgSpec::new("target", ArgKind::Str, "The target."),
        ArgSpec::new("targets", ArgKind::StrList, "Several targets."),
        ArgSpec::new("params", ArgKind::Dict, "Variables for the makefile."),
        ArgSpec::new("file", ArgKind::Path, "The makefile."),
        ArgSpec::new("make", ArgKind::Path, "The make program."),
        ArgSpec::new("jobs", ArgKind::Int, "How many commands run at a time."),
    ],
    rules: &[Rule::Exclusive(&["target", "targets"])],
    returns: &[
        ("command", "the command"),
        ("stdout", "what it printed"),
        ("stderr", "what it complained about"),
    ],
    ..ModuleSpec::BASE
};

pub struct Make;

impl Module for Make {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let folder = q(&folder(call)?);
        Ok(Some(format!(
            "cd -- {folder} 2>/dev/null || {{ printf 'absent yes\\n'; exit 0; }}\n{}\
             command -v \"$xp_make\" >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\n\
             xp_m() {{ \"$xp_make\" \"$@\"; }}\nxp_o=$(xp_m{} -q 2>&1 </dev/null)\nprintf 'question %s\\n' \"$?\"\n\
             printf 'content\\n%s' \"$xp_o\"\n",
            program(call)?,
            words(call)
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let folder = folder(call)?;
        call.needs_untouched(&folder)?;
        let report = Report::of(seen)?;
        if report.get("absent").is_some() {
            return Err(missing(call, format!("there is no folder {folder} on the target")));
        }
        if report.get("missing").is_some() {
            return Err(missing(call, "there is no make on the target"));
        }
        let mut result = Map::new();
        for name in ["target", "targets", "params", "chdir", "file", "jobs"] {
            result.insert(name, args.get(name).cloned().unwrap_or(Value::Null));
        }
        let program = args.str("make").unwrap_or("make");
        result.insert("command", format!("{program}{}", words(call)));
        if report.get("question") == Some("0") {
            let printed = String::from_utf8_lossy(report.content.as_deref().unwrap_or_default()).into_owned();
            result.insert("stdout", printed.trim_end_matches(['\r', '\n']));
            result.insert("stderr", "");
            return Ok(Prediction::same(result));
        }
        let script = format!(
            "cd -- {} || exit 1\n{}\"$xp_make\"{} </dev/null\n",
            q(&folder),
            self::program(call)?,
            words(call)
        );
        // What a makefile does is known only to itself.
        Ok(Prediction::unknown(result, vec![Action::Run(Run { script, long: true, ..Run::default() })])
            .touch(Touch::Anything))
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let mut outcome = prediction.into_outcome();
        for output in ran {
            if output.rc != 0 {
                return Err(Failure::from_output(output));
            }
            let text =
                |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches(['\r', '\n']).to_string();
            outcome.result.insert("stdout", text(&output.stdout));
            outcome.result.insert("stderr", text(&output.stderr));
        }
        Ok(outcome)
    }
}

fn folder(call: &Call) -> Result<String, Failure> {
    expand_path(call, call.args.str("chdir").unwrap_or_default())
}

/// Returns the line that sets `xp_make` to the program: gmake where there is one.
fn program(call: &Call) -> Result<String, Failure> {
    Ok(match call.args.str("make") {
        Some(path) => format!("xp_make={}\n", q(&expand_path(call, path)?)),
        None => "xp_make=gmake\ncommand -v gmake >/dev/null 2>&1 || xp_make=make\n".to_string(),
    })
}

fn words(call: &Call) -> String {
    let args = &call.args;
    let mut words = String::new();
    if let Some(jobs) = args.int("jobs") {
        add!(words, " -j {jobs}");
    }
    if let Some(file) = args.str("file") {
        add!(words, " -f {}", q(file));
    }
    for target in args.str("target").map(str::to_string).into_iter().chain(args.texts("targets")) {
        add!(words, " {}", q(&target));
    }
    for (name, value) in args.get("params").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
        let name = name.json_name();
        let word = if value.is_null() { name.to_string() } else { format!("{name}={}", value.to_text()) };
        add!(words, " {}", q(&word));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    #[test]
    fn makes_what_is_out_of_date() {
        let given = args(&[
            ("chdir", "/src"),
            ("target", "install"),
            ("jobs", "2"),
            ("params", "{\"PREFIX\": \"/opt/a b\", \"-s\": null}"),
        ]);
        let case = Case::new(&Make, given);
        let same = case.plan("question 0\ncontent\nmake: up to date.\n").unwrap();
        assert!(!same.changes());
        assert_eq!(same.result.get("stdout").unwrap().to_text(), "make: up to date.");
        let work = case.plan("question 1\ncontent\n").unwrap();
        assert_eq!(work.effect, crate::modules::Effect::Unknown);
        let script = scripts(&work).concat();
        assert_eq!(
            script.lines().last(),
            Some("\"$xp_make\" -j 2 'install' 'PREFIX=/opt/a b' '-s' </dev/null")
        );
    }

    #[test]
    fn failures() {
        let fails = |seen: &str, expect: &str| {
            let case = Case::new(&Make, args(&[("chdir", "/src")]));
            assert_eq!(case.plan(seen).unwrap_err().msg, expect);
        };
        fails("absent yes\n", "there is no folder /src on the target");
        fails("missing yes\n", "there is no make on the target");
    }
}
