//! `expect`: runs a program on a terminal and answers what it asks.
//!
//! The terminal is that of `script`(1), which nearly every system has; prompts are found on the target by awk, so their
//! expressions are translated, and what POSIX cannot say is refused before anything runs.

use super::command::{enter, finish, guarded, probe_guards, unknown_output};
use super::expect_pattern::translate;
use super::sh::{PRIVATE_DIR, Report, expanded, q};
use super::tool::missing;
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Run, Seen, words,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "expect",
    about: "Runs a program on a terminal and answers what it asks.",
    args: &[
        ArgSpec::new("command", ArgKind::Str, "The program and its arguments; no shell reads it.").required(),
        ArgSpec::new(
            "responses",
            ArgKind::Dict,
            "Answers by the expressions of prompts; a list gives one after the other.",
        )
        .required(),
        ArgSpec::new("creates", ArgKind::Path, "A file; when it exists, nothing is run."),
        ArgSpec::new("removes", ArgKind::Path, "A file; when it does not exist, nothing is run."),
        ArgSpec::new("chdir", ArgKind::Path, "The folder to run it in."),
        ArgSpec::new("timeout", ArgKind::Raw, "Seconds to wait for the next prompt; null waits for ever.")
            .default("30"),
        ArgSpec::new("echo", ArgKind::Bool, "Show answers in the output.").default("no"),
    ],
    returns: &[
        ("cmd", "the command"),
        ("rc", "its exit code"),
        ("stdout", "what it printed"),
        ("stdout_lines", "the same, line by line"),
        ("start", "when it started"),
        ("end", "when it ended"),
        ("delta", "how long it took"),
        ("msg", "why it failed"),
    ],
    ..ModuleSpec::BASE
};

pub struct Expect;

impl Module for Expect {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        talk(call)?;
        Ok(Some(format!(
            "command -v script >/dev/null 2>&1 || printf 'missing script\\n'\ncommand -v awk >/dev/null 2>&1 || printf 'missing awk\\n'\n{}",
            probe_guards(call)?
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let report = Report::of(seen)?;
        let cmd = call.args.get("command").cloned().unwrap_or_default();
        if let Some(mut result) = guarded(call, &report)? {
            result.insert("cmd", cmd);
            return Ok(Prediction::same(result));
        }
        if let Some(tool) = report.get("missing") {
            return Err(missing(
                call,
                format!("there is no {} on the target, which gives programs a terminal here", tool.trim()),
            ));
        }
        let run = Run { script: talk(call)?, ..Run::default() };
        let mut result = unknown_output(cmd);
        result.remove("stderr");
        result.remove("stderr_lines");
        let actions = vec![Action::Run(run)];
        Ok(if call.args.has("creates") || call.args.has("removes") {
            Prediction::change(result, actions)
        } else {
            Prediction::unknown(result, actions)
        })
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let Some(output) = ran.first() else { return finish(call, prediction, ran) };
        if output.rc != 0 {
            return Err(Failure::from_output(output));
        }
        let report = Report::parse(&output.stdout);
        let stdout = report.content.clone().unwrap_or_default();
        if std::str::from_utf8(&stdout).is_err() {
            return Err(Failure::new(
                "The expect module returned non UTF-8 data; pipe the output through base64",
            ));
        }
        let ended = report.need("ended")?;
        let code: i32 = report.get("rc").and_then(|rc| rc.trim().parse().ok()).unwrap_or(1);
        let own = Output { rc: code, stdout, stderr: Vec::new(), ..output.clone() };
        if let Some(number) = ended.strip_prefix("none ") {
            let asked = call.args.get("responses").and_then(Value::as_map).and_then(|all| {
                all.iter().nth(number.trim().parse().ok()?).map(|(key, _)| key.to_value().to_text())
            });
            let text = String::from_utf8_lossy(&own.stdout).into_owned();
            return Err(Failure::new(format!(
                "No remaining responses for '{}', output was '{}'",
                asked.unwrap_or_default(),
                text.trim_end_matches(['\r', '\n'])
            )));
        }
        let strip = |mut result: Map| {
            result.remove("stderr");
            result.remove("stderr_lines");
            result
        };
        if ended.trim() == "late" {
            let late = Output { rc: 1, ..own };
            let failure = finish(call, prediction, &[late]).err().unwrap_or_default();
            let mut result = strip(failure.result);
            result.insert("rc", Value::Null);
            result.insert("msg", "command exceeded timeout");
            return Err(Failure { msg: "command exceeded timeout".into(), result, ..Failure::default() });
        }
        match finish(call, prediction, &[own]) {
            Ok(outcome) => Ok(Outcome { result: strip(outcome.result), ..outcome }),
            Err(failure) => Err(Failure { result: strip(failure.result.clone()), ..failure }),
        }
    }
}

/// Seconds to wait for a prompt; nothing means for ever.
fn limit(args: &Args) -> Result<Option<i128>, Failure> {
    match args.get("timeout") {
        None => Ok(None),
        Some(value) => {
            let number = value.as_int().or_else(|| value.to_text().trim().parse().ok());
            number.map(Some).ok_or_else(|| {
                Failure::new(format!(
                    "argument 'timeout' is of type {} and we were unable to convert to int: {}",
                    value.type_name(),
                    value.to_text()
                ))
            })
        }
    }
}

/// Returns the script that runs the program and talks with it.
fn talk(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let text = args.str("command").unwrap_or_default();
    if text.trim().is_empty() {
        return Err(Failure::new("no command given").with("rc", 256));
    }
    let list =
        words::split(text).map_err(|e| Failure::new(format!("cannot split the command into words: {e}")))?;
    let Some((program, rest)) = list.split_first() else {
        return Err(Failure::new("no command given").with("rc", 256));
    };
    let program = expanded(call.target, call.environment, program);
    let line: String = rest.iter().fold(q(&program), |line, word| format!("{line} {}", q(word)));
    if line.contains('\0') {
        return Err(Failure::new("a command cannot hold a NUL character"));
    }
    let echo = if args.flag("echo") { "echo" } else { "-echo" };
    let begin = format!("stty {echo} 2>/dev/null\n{line}\necho $? >\"$0.rc\"\n");
    let mut script = format!("{}{PRIVATE_DIR}", enter(call)?);
    let mut answers = String::new();
    let mut count = 0;
    for (key, value) in args.get("responses").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
        let pattern = translate(&key.to_value().to_text()).map_err(|why| {
            Failure::new(format!("the prompt '{}' cannot be looked for: {why}", key.to_value().to_text()))
        })?;
        add!(script, "xp_pattern{count}={}; export xp_pattern{count}\n", q(&pattern));
        let text = |value: &Value| q(value.to_text().trim_end_matches('\n'));
        match value {
            Value::List(list) => {
                add!(script, "xp_asked{count}=0\n");
                add!(answers, "{count}) xp_asked{count}=$((xp_asked{count} + 1)); case $xp_asked{count} in ");
                for (at, value) in list.iter().enumerate() {
                    add!(answers, "{}) xp_a={} ;; ", at + 1, text(value));
                }
                add!(answers, "*) xp_end=\"none {count}\"; return 1 ;; esac ;;\n");
            }
            value => add!(answers, "{count}) xp_a={} ;;\n", text(value)),
        }
        count += 1;
    }
    let limit = limit(args)?.map(|seconds| seconds.to_string()).unwrap_or_default();
    add!(
        script,
        "printf '%s' {} >\"$xp_dir/run\"\nxp_limit={limit} xp_count={count}; export xp_count\n\
         xp_answer() {{ case $1 in\n{answers}esac; }}\n{TALK}",
        q(&begin)
    );
    Ok(script)
}

/// Starts the program and answers it until it ends.
const TALK: &str = r#"mkfifo "$xp_dir/in" || exit 1
: >"$xp_dir/out"
script -q -c "exec sh '$xp_dir/run'" /dev/null <"$xp_dir/in" >"$xp_dir/out" 2>"$xp_dir/err" &
xp_pid=$!
# An answer to a program that has just ended is lost, and ends nothing here.
trap '' PIPE
exec 7>"$xp_dir/in"
xp_step=0.1
sleep 0.05 2>/dev/null || xp_step=1
xp_off=0 xp_end= xp_since=$(date +%s)
# Says which prompt is the first in what was not looked at yet, and how far it goes.
xp_match() {
	xp_size=$(($(wc -c <"$xp_dir/out")))
	[ "$xp_size" -gt "$xp_off" ] || return 1
	xp_from=$xp_off
	[ $((xp_size - xp_from)) -le 8192 ] || xp_from=$((xp_size - 8192))
	xp_m=$({ tail -c +$((xp_from + 1)) "$xp_dir/out"; printf '\001'; } | LC_ALL=C awk 'BEGIN { RS = "\001" } NR == 1 { text = $0 }
		END { for (i = 0; i < ENVIRON["xp_count"]; i++) if (match(text, ENVIRON["xp_pattern" i]) && RLENGTH > 0 && (!best || RSTART < best)) {
			best = RSTART; which = i; last = RSTART + RLENGTH - 1 }
		if (best) print which, last }')
	[ -n "$xp_m" ]
}
xp_talk() {
	while xp_match; do
		xp_off=$((xp_from + ${xp_m#* }))
		xp_answer "${xp_m%% *}" || return 1
		printf '%s\n' "$xp_a" >&7 2>/dev/null || :
		xp_since=$(date +%s)
	done
}
while xp_talk; do
	if [ -e "$xp_dir/run.rc" ] || ! kill -0 "$xp_pid" 2>/dev/null; then
		xp_end=ended
		break
	fi
	if [ -n "$xp_limit" ] && [ $(($(date +%s) - xp_since)) -ge "$xp_limit" ]; then
		xp_end=late
		break
	fi
	sleep $xp_step
done
if [ "$xp_end" = ended ]; then
	exec 7>&-
	wait "$xp_pid"
	xp_code=$?
	[ ! -s "$xp_dir/run.rc" ] || xp_code=$(cat "$xp_dir/run.rc")
	if [ ! -e "$xp_dir/run.rc" ] && [ -s "$xp_dir/err" ]; then xp_fail "there is no terminal for the program: $(cat "$xp_dir/err")"; fi
	printf 'rc %s\n' "$xp_code"
else
	kill "$xp_pid" 2>/dev/null
	exec 7>&-
	wait "$xp_pid" 2>/dev/null
fi
printf 'ended %s\ncontent\n' "$xp_end"
cat "$xp_dir/out"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Effect;
    use crate::modules::testing::{Case, args, scripts};

    fn case(given: &[(&str, &str)], responses: &[(&str, Value)]) -> Case {
        let mut all = args(given);
        let map: Map = responses.iter().map(|(key, value)| (*key, value.clone())).collect();
        all.insert("responses", Value::map(map));
        Case::new(&Expect, all)
    }

    #[test]
    fn answers_stand_in_the_script() {
        let list = Value::from(vec!["one".to_string(), "it's\n".to_string()]);
        let case = case(&[("command", "prog 'a b'")], &[("Name", Value::str("x")), ("(?i)pass", list)]);
        let prediction = case.plan("").unwrap();
        assert_eq!(prediction.effect, Effect::Unknown);
        let script = scripts(&prediction).concat();
        for part in [
            "xp_pattern0='Name'",
            "xp_pattern1='[pP][aA][sS][sS]'",
            "0) xp_a='x' ;;",
            "1) xp_a='one' ;; 2) xp_a='it'\\''s' ;; *) xp_end=\"none 1\"",
            "xp_limit=30 ",
        ] {
            assert!(script.contains(part), "{part}:\n{script}");
        }
    }

    #[test]
    fn ends() {
        let case = case(&[("command", "prog")], &[("Name", Value::str("x"))]);
        let ran = |stdout: &str| Output { stdout: stdout.into(), ..Output::default() };
        let good = case.finish("", &[ran("rc 0\nended ended\ncontent\nhi\r\n")]).unwrap();
        assert_eq!(good.result.get("stdout").unwrap().to_text(), "hi");
        assert!(good.changed && !good.result.contains("stderr"));
        let fails = |stdout: &str, expect: &str| {
            assert_eq!(case.finish("", &[ran(stdout)]).unwrap_err().msg, expect);
        };
        fails("rc 3\nended ended\ncontent\n", "non-zero return code");
        fails("ended late\ncontent\n", "command exceeded timeout");
        fails("ended none 0\ncontent\nName\r\n", "No remaining responses for 'Name', output was 'Name'");
    }

    #[test]
    fn refuses() {
        let fails = |given: &[(&str, &str)], pattern: &str, expect: &str| {
            assert_eq!(case(given, &[(pattern, Value::str("x"))]).plan("").unwrap_err().msg, expect);
        };
        fails(&[("command", " ")], "x", "no command given");
        fails(
            &[("command", "x")],
            "a(?=b)",
            "the prompt 'a(?=b)' cannot be looked for: groups that begin with (? are not known on targets",
        );
        fails(
            &[("command", "x"), ("timeout", "soon")],
            "x",
            "argument 'timeout' is of type str and we were unable to convert to int: soon",
        );
    }
}
