//! `command`, `shell` and `raw`: run a command. What it does is unknown unless `creates`, `removes`, `check` or
//! `reads` tell.

use super::sh::{Report, expand_path, q, variable_at};
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Effect, Failure, FileAfter, Module, ModuleSpec, Outcome,
    Prediction, Run, Seen, words,
};
use crate::transport::{Content, Output};
use crate::value::{Map, Value};

const CMD: ArgSpec = ArgSpec::new("cmd", ArgKind::Str, "The command.");
const CHDIR: ArgSpec = ArgSpec::new("chdir", ArgKind::Path, "The folder to run it in.");
const CREATES: ArgSpec =
    ArgSpec::new("creates", ArgKind::Path, "A file name or pattern; when it exists, nothing is run.");
const REMOVES: ArgSpec =
    ArgSpec::new("removes", ArgKind::Path, "A file name or pattern; when it does not exist, nothing is run.");
const STDIN: ArgSpec = ArgSpec::new("stdin", ArgKind::Str, "The command's standard input.");
const STDIN_NEWLINE: ArgSpec =
    ArgSpec::new("stdin_add_newline", ArgKind::Bool, "End stdin with a newline.").default("yes");
const STRIP: ArgSpec =
    ArgSpec::new("strip_empty_ends", ArgKind::Bool, "Cut newlines off the ends of the output.")
        .default("yes");
const EXECUTABLE: ArgSpec = ArgSpec::new("executable", ArgKind::Path, "The shell to use instead of /bin/sh.");
const CHECK: ArgSpec = ArgSpec::new(
    "check",
    ArgKind::Str,
    "A command that only looks: exit code 0 means already done, 1 means to do. (xplay)",
);
const READS: ArgSpec =
    ArgSpec::new("reads", ArgKind::Bool, "The command only reads: it runs in previews too. (xplay)")
        .default("no");
const LONG: ArgSpec = ArgSpec::new(
    "long",
    ArgKind::Bool,
    "It takes minutes: it survives a lost connection, and its output is shown while it runs. (xplay)",
)
.default("no");
const WARN: ArgSpec = ArgSpec::new("warn", ArgKind::Bool, "Accepted for old playbooks; does nothing.");

const RETURNS: &[(&str, &str)] = &[
    ("cmd", "the command"),
    ("rc", "its exit code"),
    ("stdout", "its standard output"),
    ("stdout_lines", "the same, line by line"),
    ("stderr", "its standard error"),
    ("stderr_lines", "the same, line by line"),
    ("start", "when it started"),
    ("end", "when it ended"),
    ("delta", "how long it took"),
    ("msg", "why it failed or was not run"),
];

static COMMAND: ModuleSpec = ModuleSpec {
    name: "command",
    about: "Runs a program without a shell.",
    args: &[
        CMD,
        ArgSpec::new("argv", ArgKind::StrList, "The program and its arguments as a list."),
        CHDIR,
        CREATES,
        REMOVES,
        STDIN,
        STDIN_NEWLINE,
        STRIP,
        ArgSpec::new("expand_argument_vars", ArgKind::Bool, "Replace $NAME in arguments.").default("yes"),
        ArgSpec::new("executable", ArgKind::Str, "Accepted for old playbooks; does nothing."),
        CHECK,
        READS,
        LONG,
        WARN,
    ],
    own_check: Some(one_command),
    free_form: Some("cmd"),
    returns: RETURNS,
    ..ModuleSpec::BASE
};

static SHELL: ModuleSpec = ModuleSpec {
    name: "shell",
    about: "Runs a command line by a shell.",
    args: &[
        CMD.required(),
        CHDIR,
        CREATES,
        REMOVES,
        STDIN,
        STDIN_NEWLINE,
        STRIP,
        EXECUTABLE,
        CHECK,
        READS,
        LONG,
        WARN,
    ],
    own_check: Some(shell_command),
    free_form: Some("cmd"),
    returns: RETURNS,
    ..ModuleSpec::BASE
};

static RAW: ModuleSpec = ModuleSpec {
    name: "raw",
    about: "Runs a command line as it is.",
    args: &[CMD.required(), EXECUTABLE, CHECK, READS, LONG],
    free_form: Some("cmd"),
    returns: RETURNS,
    ..ModuleSpec::BASE
};

/// How the failure begins when the folder of `chdir` cannot be entered.
const NO_FOLDER: &str = "Unable to change directory before execution: ";

pub struct Command;
pub struct Shell;
pub struct Raw;

impl Module for Command {
    fn spec(&self) -> &'static ModuleSpec {
        &COMMAND
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let (line, _) = command_line(call)?;
        probe(call, &line)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let (line, cmd) = command_line(call)?;
        let mut prediction = plan(call, seen, &line, cmd)?;
        if let Some(program) = call.args.str("executable") {
            prediction.warnings.push(format!(
                "As of Ansible 2.4, the parameter 'executable' is no longer supported with the 'command' module. Not \
                 using '{program}'."
            ));
        }
        Ok(prediction)
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        finish(call, prediction, ran)
    }
}

impl Module for Shell {
    fn spec(&self) -> &'static ModuleSpec {
        &SHELL
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        probe(call, &shell_line(&call.args)?)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let cmd = call.args.get("cmd").cloned().unwrap_or_default();
        plan(call, seen, &shell_line(&call.args)?, cmd)
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        finish(call, prediction, ran)
    }
}

impl Module for Raw {
    fn spec(&self) -> &'static ModuleSpec {
        &RAW
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        probe(call, &shell_line(&call.args)?)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let cmd = call.args.get("cmd").cloned().unwrap_or_default();
        plan(call, seen, &shell_line(&call.args)?, cmd)
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        finish_with(call, prediction, ran, Ends::Kept)
    }
}

/// Says that there is no command, or more than one, as the program on a target would.
fn one_command(given: &Map) -> Result<(), Failure> {
    let filled = |name: &str| match given.get(name) {
        None | Some(Value::Null | Value::Omit) => false,
        Some(Value::Str(text)) => !text.trim().is_empty(),
        Some(Value::List(words)) => !words.is_empty(),
        Some(_) => true,
    };
    let complaint = match (filled("cmd") || filled("_raw_params"), filled("argv")) {
        (false, false) => "no command given",
        (true, true) => "only command or argv can be given, not both",
        _ => return Ok(()),
    };
    Err(Failure::new(complaint).with("rc", 256))
}

fn shell_command(given: &Map) -> Result<(), Failure> {
    if given.contains("expand_argument_vars") {
        return Err(Failure::new("Unsupported parameters for (shell) module: expand_argument_vars"));
    }
    one_command(given)
}

/// Returns the script that executes the program, and its words for the result.
fn command_line(call: &Call) -> Result<(String, Value), Failure> {
    let args = &call.args;
    let list = match args.str("cmd") {
        Some(text) => words::split(text)
            .map_err(|e| Failure::new(format!("cannot split the command into words: {e}")))?,
        None => args.texts("argv"),
    };
    if list.is_empty() || list[0].is_empty() {
        return Err(Failure::new("no command given").with("rc", 256));
    }
    no_nul(&list.concat())?;
    let mut before = String::new();
    let mut line = String::from("exec");
    for (i, text) in list.iter().enumerate() {
        line.push(' ');
        if args.flag("expand_argument_vars") {
            line.push_str(&with_variables(text, i, &call.target.home, &mut before));
        } else {
            line.push_str(&q(text));
        }
    }
    Ok((format!("{before}{line}"), Value::list(list.into_iter().map(Value::from).collect())))
}

/// Quotes a word in which the target replaces `$NAME`; one that is not set there stays as written.
fn with_variables(text: &str, number: usize, home: &str, before: &mut String) -> String {
    let expanded;
    let text = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            expanded = format!("{home}{rest}");
            expanded.as_str()
        }
        _ => text,
    };
    if !text.contains('$') {
        return q(text);
    }
    let mut out = String::new();
    let mut plain = String::new();
    let mut rest = text;
    let mut count = 0;
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let (name, len) = variable_at(rest);
        if let Some(name) = name {
            let fallback = format!("xp_v{number}_{count}");
            add!(before, "{fallback}={}\n", q(&rest[..len]));
            if !plain.is_empty() {
                out.push_str(&q(&std::mem::take(&mut plain)));
            }
            add!(out, "\"${{{name}-${fallback}}}\"");
            count += 1;
        } else {
            plain.push_str(&rest[..len]);
        }
        rest = &rest[len..];
    }
    plain.push_str(rest);
    if !plain.is_empty() || out.is_empty() {
        out.push_str(&q(&plain));
    }
    out
}

fn shell_line(args: &Args) -> Result<String, Failure> {
    let text = args.str("cmd").unwrap_or_default();
    no_nul(text)?;
    Ok(format!("exec {} -c {}", q(args.str("executable").unwrap_or("/bin/sh")), q(text)))
}

fn no_nul(text: &str) -> Result<(), Failure> {
    if text.contains('\0') { Err(Failure::new("a command cannot hold a NUL character")) } else { Ok(()) }
}

/// Returns the lines that enter `chdir`.
pub(super) fn enter(call: &Call) -> Result<String, Failure> {
    match call.args.str("chdir") {
        None => Ok(String::new()),
        Some(dir) => {
            let dir = q(&expand_path(call, dir)?);
            Ok(format!("cd -P -- {dir} || xp_fail {}{dir}\n", q(NO_FOLDER)))
        }
    }
}

/// Returns a path or pattern as shell text in which `*`, `?` and brackets match files.
pub(super) fn pattern(call: &Call, text: &str) -> Result<String, Failure> {
    let text = expand_path(call, text)?;
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '*' | '?' | '[' | ']' => out.push(c),
            c if c.is_ascii_alphanumeric() || "/._-".contains(c) => out.push(c),
            c => out.push_str(&q(&c.to_string())),
        }
    }
    Ok(out)
}

/// Returns the lines that print whether `creates` and `removes` match anything.
pub(super) fn probe_guards(call: &Call) -> Result<String, Failure> {
    let mut script = String::new();
    for name in ["creates", "removes"] {
        if let Some(text) = call.args.str(name) {
            add!(
                script,
                "xp_r=no; for xp_p in {}; do if [ -e \"$xp_p\" ] || [ -h \"$xp_p\" ]; then xp_r=yes; fi; done\n\
                 printf '{name} %s\\n' \"$xp_r\"\n",
                pattern(call, text)?
            );
        }
    }
    Ok(script)
}

fn stdin(args: &Args) -> Option<Content> {
    let mut text = args.str("stdin")?.to_string();
    if args.flag("stdin_add_newline") || !args.has("stdin_add_newline") {
        text.push('\n');
    }
    Some(Content::Bytes(text.into_bytes().into()))
}

fn probe(call: &Call, line: &str) -> Result<Option<String>, Failure> {
    let args = &call.args;
    let guards = probe_guards(call)?;
    if guards.is_empty() && !args.has("check") && !args.flag("reads") {
        return Ok(None);
    }
    let enter = enter(call)?;
    let mut script = format!("{enter}{guards}");
    if args.flag("reads") {
        // The command itself is the probe: its output follows, its exit code is in a last line on stderr.
        let input = match args.str("stdin") {
            None => "</dev/null".to_string(),
            Some(_) => {
                let text = match stdin(args) {
                    Some(Content::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
                    _ => String::new(),
                };
                add!(script, "xp_in={}\n", q(&text));
                String::new()
            }
        };
        let feed = if args.has("stdin") { "printf '%s' \"$xp_in\" | " } else { "" };
        let skip = "if [ \"${xp_skip-}\" ]; then exit 0; fi\n";
        add!(
            script,
            "{}{skip}printf 'content\\n'\n{feed}({line}\n) {input}\nxp_rc=$?\nprintf '\\nxp_rc %s\\n' \"$xp_rc\" >&2\n",
            skip_guards(args)
        );
    } else if let Some(check) = args.str("check") {
        no_nul(check)?;
        add!(
            script,
            "{}if [ \"${{xp_skip-}}\" ]; then exit 0; fi\n/bin/sh -c {} </dev/null >/dev/null\nprintf 'check %s\\n' $?\n",
            skip_guards(args),
            q(check)
        );
    }
    Ok(Some(script))
}

/// Returns the lines that decide on the target whether `creates` or `removes` make running pointless.
fn skip_guards(args: &Args) -> String {
    let mut script = "xp_skip=\n".to_string();
    // Both guards leave their answer in xp_r; asking again is cheap and keeps the lines independent.
    if args.has("creates") && !args.has("removes") {
        script += "[ \"$xp_r\" = no ] || xp_skip=1\n";
    } else if args.has("removes") && !args.has("creates") {
        script += "[ \"$xp_r\" = yes ] || xp_skip=1\n";
    }
    script
}

/// Says why nothing is to be run, when `creates` or `removes` say so.
pub(super) fn guarded(call: &Call, report: &Report) -> Result<Option<Map>, Failure> {
    let did = if call.check { "Would" } else { "Did" };
    let (reason, short) = match (call.args.str("creates"), call.args.str("removes")) {
        (Some(path), _) if is_there(call, path, report.get("creates"))? => {
            (format!("'{path}' exists"), format!("{path} exists"))
        }
        (_, Some(path)) if !is_there(call, path, report.get("removes"))? => {
            (format!("'{path}' does not exist"), format!("{path} does not exist"))
        }
        _ => return Ok(None),
    };
    let mut result = Map::new();
    result.insert("msg", format!("{did} not run command since {reason}"));
    result.insert("rc", 0);
    insert_output(&mut result, "stdout", format!("skipped, since {short}"));
    insert_output(&mut result, "stderr", String::new());
    for key in ["start", "end", "delta"] {
        result.insert(key, Value::Null);
    }
    Ok(Some(result))
}

/// Whether a guard's pattern matches anything, as far as earlier steps of a plan leave it.
fn is_there(call: &Call, pattern: &str, seen: Option<&str>) -> Result<bool, Failure> {
    let path = expand_path(call, pattern)?;
    if path.contains(['*', '?', '[']) {
        let fixed =
            path.find(['*', '?', '[']).and_then(|at| path[..at].rfind('/')).map_or(".", |at| &path[..at]);
        call.needs_untouched(if fixed.is_empty() { "/" } else { fixed })?;
        return Ok(seen == Some("yes"));
    }
    Ok(match call.foreseen_file(&path)? {
        Some(after) => after != FileAfter::Absent,
        None => seen == Some("yes") || call.world.makes_folder(&path),
    })
}

fn plan(call: &Call, seen: &Seen, line: &str, cmd: Value) -> Result<Prediction, Failure> {
    let args = &call.args;
    let report = if probe(call, line)?.is_some() { Report::of(seen)? } else { Report::default() };
    if let Some(mut result) = guarded(call, &report)? {
        result.insert("cmd", cmd);
        return Ok(Prediction::same(result));
    }
    if args.flag("reads") {
        return read(call, seen, report, cmd);
    }
    let mut to_do = false;
    if args.has("check") {
        match report.need("check")? {
            "0" => {
                let mut result = Map::new();
                result.insert("cmd", cmd);
                result.insert("rc", 0);
                insert_output(&mut result, "stdout", String::new());
                insert_output(&mut result, "stderr", String::new());
                result.insert("msg", "Did not run command since its check says that it is done");
                return Ok(Prediction::same(result));
            }
            "1" => to_do = true,
            other => {
                return Err(Failure::new(format!(
                    "the check command ended with rc {other}; 0 means done, 1 to do"
                ))
                .with("check_rc", other)
                .with("check_stderr", String::from_utf8_lossy(&seen.stderr).trim_end()));
            }
        }
    }
    let run = Run {
        script: format!(
            "{}{}{line}{}\n",
            enter(call)?,
            // A module's script has the session's functions; the command must not see their settings.
            "",
            if args.has("stdin") { "" } else { " </dev/null" }
        ),
        stdin: stdin(args),
        long: args.flag("long"),
        timeout_secs: None,
        ..Run::default()
    };
    let mut result = unknown_output(cmd);
    if call.check && (args.has("creates") || args.has("removes")) {
        result.insert("msg", "Command would have run if not in check mode");
    }
    let prediction = if to_do || args.has("creates") || args.has("removes") {
        Prediction::change(result, vec![Action::Run(run)])
    } else {
        Prediction::unknown(result, vec![Action::Run(run)])
    };
    Ok(prediction)
}

/// Returns what is known before of a command that will run.
pub(super) fn unknown_output(cmd: Value) -> Map {
    let mut result = Map::new();
    let name = match &cmd {
        Value::List(words) => words.first().map(Value::to_text).unwrap_or_default(),
        other => other.to_text().split_whitespace().next().unwrap_or_default().to_string(),
    };
    result.insert("cmd", cmd);
    for key in ["rc", "stdout", "stdout_lines", "stderr", "stderr_lines", "start", "end", "delta"] {
        result.insert(key, Value::unknown(format!("{key} of {name}, which has not run")));
    }
    result
}

/// Makes the result of a command that ran as its own probe.
fn read(call: &Call, seen: &Seen, report: Report, cmd: Value) -> Result<Prediction, Failure> {
    let stderr = String::from_utf8_lossy(&seen.stderr);
    let (stderr, rc) = stderr
        .trim_end_matches('\n')
        .rsplit_once("\nxp_rc ")
        .map(|(text, rc)| (text.to_string(), rc.trim().parse::<i32>().unwrap_or(1)))
        .ok_or_else(|| Failure::new("the command did not end as expected"))?;
    let output = Output {
        rc,
        stdout: report.content.unwrap_or_default(),
        stderr: stderr.into_bytes(),
        truncated: seen.truncated,
        ..Output::default()
    };
    let mut result = Map::new();
    result.insert("cmd", cmd);
    fill(call, &mut result, &output, Ends::AsAsked)?;
    let mut prediction = Prediction::read(result);
    prediction.warnings.extend(too_long(&output));
    Ok(prediction)
}

/// So much of a command's output is kept, and so many lines of it; each line costs more than its bytes.
pub const MOST_OUTPUT: usize = 16 << 20;
const MOST_LINES: usize = 400_000;

pub(super) fn finish(call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
    finish_with(call, prediction, ran, Ends::AsAsked)
}

/// What becomes of line ends at the end of an output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// Stripped unless the task says otherwise.
    AsAsked,
    Kept,
}

pub(super) fn finish_with(
    call: &Call,
    mut prediction: Prediction,
    ran: &[Output],
    ends: Ends,
) -> Result<Outcome, Failure> {
    if let Some(output) = ran.first() {
        let mut result = std::mem::take(&mut prediction.result);
        let too_long = too_long(output);
        fill(call, &mut result, output, ends).map_err(|failure| match &too_long {
            Some(text) => failure.with("warnings", Value::list(vec![text.as_str().into()])),
            None => failure,
        })?;
        prediction.result = result;
        prediction.warnings.extend(too_long);
        if std::str::from_utf8(&output.stdout).is_err() {
            prediction
                .warnings
                .push("the output is no UTF-8 text; other bytes are shown as \u{fffd}".to_string());
        }
        // A change that was only guessed counts as a change once it ran.
        prediction.effect = match prediction.effect {
            Effect::Unknown => Effect::Change,
            other => other,
        };
    }
    Ok(prediction.into_outcome())
}

/// Says of an output that is not all in the result where the rest is.
fn too_long(output: &Output) -> Option<String> {
    let files: Vec<String> = [&output.whole.stdout, &output.whole.stderr]
        .into_iter()
        .flatten()
        .map(|p| p.display().to_string())
        .collect();
    if !files.is_empty() {
        return Some(format!("the output is too long for a result; all of it is in {}", files.join(" and ")));
    }
    (output.truncated || is_cut(&output.stdout) || is_cut(&output.stderr))
        .then(|| "the output was too long; its end is missing".to_string())
}

/// Puts a command's outputs into a result; an exit code other than 0 is a failure.
fn fill(call: &Call, result: &mut Map, output: &Output, ends: Ends) -> Result<(), Failure> {
    let strip = ends == Ends::AsAsked && call.args.bool("strip_empty_ends").unwrap_or(true);
    for (key, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let text = String::from_utf8_lossy(cut(bytes));
        let text = if strip { text.trim_end_matches(['\r', '\n']) } else { &text };
        insert_output(result, key, text.to_string());
    }
    for (key, file) in [("stdout_file", &output.whole.stdout), ("stderr_file", &output.whole.stderr)] {
        if let Some(path) = file {
            result.insert(key, path.display().to_string());
        }
    }
    result.insert("rc", output.rc);
    let end = jiff::Zoned::now();
    let start = end.saturating_sub(output.elapsed);
    result.insert("start", start.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string());
    result.insert("end", end.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string());
    let secs = output.elapsed.as_secs();
    let delta = format!(
        "{}:{:02}:{:02}.{:06}",
        secs / 3600,
        secs / 60 % 60,
        secs % 60,
        output.elapsed.subsec_micros()
    );
    result.insert("delta", delta);
    if output.rc != 0
        && call.args.has("chdir")
        && let Some(reason) = String::from_utf8_lossy(&output.stderr).lines().last()
        && reason.starts_with(NO_FOLDER)
    {
        let cmd = result.get("cmd").cloned().unwrap_or_default();
        let mut failure = Failure::new(reason).with("cmd", cmd);
        for key in ["rc", "start", "end", "delta"] {
            failure = failure.with(key, Value::Null);
        }
        insert_output(&mut failure.result, "stdout", String::new());
        insert_output(&mut failure.result, "stderr", String::new());
        return Err(failure);
    }
    if let Some((code, reason)) = not_started(result, output) {
        // The module itself fails, so nothing changed and there is no output.
        let words = result.get("cmd").and_then(Value::as_list).unwrap_or_default();
        let cmd: Vec<String> = words.iter().map(|word| shown_word(&word.to_text())).collect();
        let failure = Failure::new(reason).with("cmd", cmd.join(" ")).with("rc", code);
        let empty = ["stdout", "stderr"].map(|key| (key, ""));
        return Err(empty.into_iter().fold(failure, |f, (key, text)| f.with(key, text)));
    }
    if output.rc != 0 {
        result.insert("msg", "non-zero return code");
        // A command fails, but it ran: the task counts as changed.
        result.insert("changed", true);
        return Err(Failure {
            msg: "non-zero return code".to_string(),
            result: std::mem::take(result),
            ..Failure::default()
        });
    }
    result.insert("msg", "");
    Ok(())
}

/// Returns a word as a shell would take it, with quotes only where it needs them.
fn shown_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_string() } else { q(word) }
}

/// The error of a program that could not be started: its number, and Python's words for it, which playbooks look for.
///
/// What the shell says of `exec` is the whole of stderr then; a program that was started and says the like of another
/// one, as `sh -c` does, is not meant.
fn not_started(result: &Map, output: &Output) -> Option<(i32, String)> {
    let program = result.get("cmd")?.as_list()?.first()?.to_text();
    if !matches!(output.rc, 126 | 127) || !output.stdout.is_empty() {
        return None;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let named = format!(": {program}: ");
    if said.is_empty() || !said.lines().all(|line| line.contains(&named)) {
        return None;
    }
    let (_, reason) = said.trim_end().rsplit_once(": ")?;
    let (code, words) = match (reason, output.rc) {
        ("Permission denied", _) => (13, "Permission denied"),
        (_, 127) => (2, "No such file or directory"),
        _ => return None,
    };
    Some((code, format!("[Errno {code}] {words}: b'{program}'")))
}

/// Returns the output up to the most lines that are kept.
fn cut(bytes: &[u8]) -> &[u8] {
    let mut ends = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at);
    ends.nth(MOST_LINES).map_or(bytes, |end| &bytes[..end])
}

/// Tells whether a result has no room for an output because of its lines.
pub fn is_cut(bytes: &[u8]) -> bool {
    cut(bytes).len() < bytes.len()
}

fn insert_output(result: &mut Map, key: &str, text: String) {
    let lines: Vec<Value> = text.lines().map(Value::from).collect();
    result.insert(key, text);
    result.insert(format!("{key}_lines"), Value::list(lines));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    fn check(module: &'static dyn Module, given: &[(&str, &str)], expect: &str) {
        let prediction = Case::new(module, args(given)).plan("").unwrap();
        assert_eq!(scripts(&prediction), [expect], "{given:?}");
        assert_eq!(prediction.effect, Effect::Unknown);
    }

    #[test]
    fn words_reach_the_program_as_they_are() {
        check(
            &Command,
            &[("_raw_params", "ls -l 'a b' \"it's\"")],
            "exec 'ls' '-l' 'a b' 'it'\\''s' </dev/null\n",
        );
        check(
            &Command,
            &[("cmd", "echo $HOME/x '$(id)' ${A}b ~/y")],
            "xp_v1_0='$HOME'\nxp_v3_0='${A}'\n\
             exec 'echo' \"${HOME-$xp_v1_0}\"'/x' '$(id)' \"${A-$xp_v3_0}\"'b' '/root/y' </dev/null\n",
        );
        check(
            &Command,
            &[("cmd", "echo $X"), ("expand_argument_vars", "no"), ("chdir", "/tmp")],
            "cd -P -- '/tmp' || xp_fail 'Unable to change directory before execution: ''/tmp'\nexec 'echo' '$X' </dev/null\n",
        );
        check(&Shell, &[("_raw_params", "a | b")], "exec '/bin/sh' -c 'a | b' </dev/null\n");
        check(&Raw, &[("cmd", "x"), ("executable", "/bin/bash")], "exec '/bin/bash' -c 'x' </dev/null\n");
    }

    #[test]
    fn guards_decide() {
        let given = args(&[("cmd", "make"), ("creates", "/a b*")]);
        let case = Case::new(&Shell, given);
        let probe = case.probe().unwrap().unwrap();
        assert!(probe.starts_with("xp_r=no; for xp_p in /a' 'b*; do"), "{probe}");
        let there = case.plan("creates yes\n").unwrap();
        assert_eq!(there.effect, Effect::Same);
        assert_eq!(there.result.get("msg").unwrap().to_text(), "Did not run command since '/a b*' exists");
        assert_eq!(case.plan("creates no\n").unwrap().effect, Effect::Change);
        let checked = Case::new(&Shell, args(&[("cmd", "make"), ("check", "test -e x")]));
        assert_eq!(checked.plan("check 0\n").unwrap().effect, Effect::Same);
        assert_eq!(checked.plan("check 1\n").unwrap().effect, Effect::Change);
        assert_eq!(
            checked.plan("check 2\n").unwrap_err().msg,
            "the check command ended with rc 2; 0 means done, 1 to do"
        );
    }

    #[test]
    fn outputs_that_are_not_there_yet_are_unknown() {
        let prediction = Case::new(&Shell, args(&[("cmd", "make all")])).plan("").unwrap();
        assert_eq!(
            prediction.result.get("stdout").unwrap().find_unknown().unwrap().cause.as_ref(),
            "stdout of make, which has not run"
        );
    }

    #[test]
    fn complaints_are_those_of_ansible() {
        let fails = |module: &'static dyn Module, given: &[(&str, &str)], expect: &str| {
            assert_eq!(Case::new(module, args(given)).plan("").unwrap_err().msg, expect);
        };
        fails(&Command, &[("chdir", "/")], "no command given");
        fails(&Shell, &[("_raw_params", " ")], "no command given");
        fails(
            &Shell,
            &[("cmd", "x"), ("expand_argument_vars", "yes")],
            "Unsupported parameters for (shell) module: expand_argument_vars",
        );
        let mut both = args(&[("cmd", "x")]);
        both.insert("argv", Value::list(vec!["y".into()]));
        let failure = Case::new(&Command, both).plan("").unwrap_err();
        assert_eq!(failure.msg, "only command or argv can be given, not both");
        assert_eq!(failure.result.get("rc").unwrap().to_text(), "256");
        let warned = Case::new(&Command, args(&[("cmd", "ls"), ("executable", "/bogus")])).plan("").unwrap();
        assert_eq!(
            warned.warnings,
            [
                "As of Ansible 2.4, the parameter 'executable' is no longer supported with the 'command' module. Not using \
              '/bogus'."
            ]
        );
    }

    #[test]
    fn a_folder_that_cannot_be_entered_is_told() {
        let case = Case::new(&Shell, args(&[("cmd", "x"), ("chdir", "/no")]));
        let output = Output {
            rc: 1,
            stderr: b"sh: cd: /no: no such file\nUnable to change directory before execution: /no\n".to_vec(),
            ..Output::default()
        };
        let failure = case.finish("", &[output]).unwrap_err();
        assert_eq!(failure.msg, "Unable to change directory before execution: /no");
        assert_eq!(failure.result.get("rc"), Some(&Value::Null));
    }
}
