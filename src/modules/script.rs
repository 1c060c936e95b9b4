//! `script`: runs a script from this side on the target.

use super::command::{Ends, enter, finish_with, guarded, probe_guards, unknown_output};
use super::sh::{PRIVATE_DIR, Report, q};
use super::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Run, Seen, words,
};
use crate::transport::{Content, Output};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "script",
    about: "Runs a script of the project on the target.",
    args: &[
        ArgSpec::new("cmd", ArgKind::Str, "The script's file and its arguments.").required(),
        ArgSpec::new("chdir", ArgKind::Path, "The folder to run it in."),
        ArgSpec::new("creates", ArgKind::Path, "A file name or pattern; when it exists, nothing is run."),
        ArgSpec::new(
            "removes",
            ArgKind::Path,
            "A file name or pattern; when it does not exist, nothing is run.",
        ),
        ArgSpec::new("executable", ArgKind::Str, "The program that runs the script."),
        ArgSpec::new("decrypt", ArgKind::Bool, "Decrypt the script with the vault.").default("yes"),
        ArgSpec::new("long", ArgKind::Bool, "It takes minutes; see command. (xplay)").default("no"),
    ],
    own_check: Some(some_script),
    free_form: Some("cmd"),
    returns: &[
        ("rc", "its exit code"),
        ("stdout", "its standard output"),
        ("stdout_lines", "the same, line by line"),
        ("stderr", "its standard error"),
        ("stderr_lines", "the same, line by line"),
    ],
    ..ModuleSpec::BASE
};

fn some_script(given: &Map) -> Result<(), Failure> {
    if given.contains("cmd") || given.contains("_raw_params") {
        return Ok(());
    }
    Err(Failure::new("one of the following is required: _raw_params, cmd"))
}

pub struct Script;

impl Module for Script {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let guards = probe_guards(call)?;
        if guards.is_empty() { Ok(None) } else { Ok(Some(format!("{}{guards}", enter(call)?))) }
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let list = words::split(args.str("cmd").unwrap_or_default())
            .map_err(|e| Failure::new(format!("cannot split the command into words: {e}")))?;
        let Some((name, rest)) = list.split_first() else {
            return Err(Failure::new("no script given"));
        };
        let report = Report::of(seen)?;
        if guarded(call, &report)?.is_some() {
            let (path, what) = match (args.str("creates"), args.str("removes")) {
                (Some(path), _) if report.get("creates") == Some("yes") => {
                    (path, "exists, matching creates option")
                }
                (_, path) => (path.unwrap_or_default(), "does not exist, matching removes option"),
            };
            let reason = format!("{path} {what}");
            let result = Map::from_iter([("msg", Value::str(reason.as_str()))]);
            return Ok(Prediction::skip(reason, result));
        }
        let path = call.local.find("files", name).map_err(Failure::new)?;
        let content = call.local.read(&path).map_err(Failure::new)?;
        let base =
            path.file_name().map_or_else(|| "script".to_string(), |n| n.to_string_lossy().into_owned());
        let interpreter = match args.str("executable") {
            None => String::new(),
            Some(text) => {
                let parts = words::split(text).map_err(|e| Failure::new(format!("executable: {e}")))?;
                parts.iter().map(|p| q(p) + " ").collect()
            }
        };
        let words: String = rest.iter().map(|word| format!(" {}", q(word))).collect();
        let script = format!(
            "{PRIVATE_DIR}xp_f=$xp_dir/{0}\n(umask 077 && cat >\"$xp_f\") || xp_fail 'cannot store the script'\n\
             [ $(($(wc -c <\"$xp_f\"))) -eq {1} ] || xp_fail 'cannot store the script: it did not arrive complete'\n\
             chmod 0700 \"$xp_f\"\n{2}{interpreter}\"$xp_f\"{words} </dev/null\n",
            q(&base),
            content.len(),
            enter(call)?,
        );
        let cmd = args.get("cmd").cloned().unwrap_or_default();
        let mut result = unknown_output(cmd);
        result.remove("cmd");
        let run = Run {
            script,
            stdin: Some(Content::Bytes(content.into())),
            long: args.flag("long"),
            timeout_secs: None,
            ..Run::default()
        };
        let actions = vec![Action::Run(run)];
        Ok(if args.has("creates") || args.has("removes") {
            Prediction::change(result, actions)
        } else {
            Prediction::unknown(result, actions)
        })
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let mut outcome = finish_with(call, prediction, ran, Ends::Kept)?;
        for key in ["start", "end", "delta"] {
            if outcome.result.get(key).is_some_and(Value::is_unknown) {
                outcome.result.remove(key);
            }
        }
        Ok(outcome)
    }
}
