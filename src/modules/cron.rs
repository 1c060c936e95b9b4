//! `cron`: jobs and variables in a user's crontab or a file of cron.

use super::sh::{Look, Report, expand_path, q};
use super::write::{Edit, content_diff, side};
use super::{
    Action, ArgKind, ArgSpec, Args, Call, DiffSide, Failure, FileAfter, Module, ModuleSpec, Outcome,
    Prediction, Rule, Run, Seen, Thing, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

const TIMES: [&str; 5] = ["minute", "hour", "day", "month", "weekday"];
/// Stands before the name of a job, in a line of its own.
const MARK: &str = "#Ansible: ";

static SPEC: ModuleSpec = ModuleSpec {
    name: "cron",
    about: "Adds, changes and removes jobs and variables of cron.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "What the job is called, or the variable's name.").required(),
        ArgSpec::new("user", ArgKind::Str, "Whose crontab; in a file, as whom the job runs."),
        ArgSpec::new("job", ArgKind::Str, "The command, or the variable's value.").aliases(&["value"]),
        ArgSpec::new("cron_file", ArgKind::Path, "A file of cron, in /etc/cron.d unless it is a whole path."),
        ArgSpec::new("state", ArgKind::Str, "Whether it is to be there.")
            .default("present")
            .choices(&["present", "absent"]),
        ArgSpec::new("backup", ArgKind::Bool, "Keep the old crontab in a file.").default("no"),
        ArgSpec::new("minute", ArgKind::Str, "The minute.").default("*"),
        ArgSpec::new("hour", ArgKind::Str, "The hour.").default("*"),
        ArgSpec::new("day", ArgKind::Str, "The day of the month.").default("*").aliases(&["dom"]),
        ArgSpec::new("month", ArgKind::Str, "The month.").default("*"),
        ArgSpec::new("weekday", ArgKind::Str, "The day of the week.").default("*").aliases(&["dow"]),
        ArgSpec::new("special_time", ArgKind::Str, "A time with a name, instead of minute and the others.")
            .choices(&["reboot", "yearly", "annually", "monthly", "weekly", "daily", "hourly"]),
        ArgSpec::new("disabled", ArgKind::Bool, "Write the job as a comment.").default("no"),
        ArgSpec::new("env", ArgKind::Bool, "It is a variable, not a job.").default("no"),
        ArgSpec::new("insertafter", ArgKind::Str, "Put a new variable after this one."),
        ArgSpec::new("insertbefore", ArgKind::Str, "Put a new variable before this one."),
    ],
    rules: &[Rule::Exclusive(&["insertafter", "insertbefore"])],
    returns: &[
        ("jobs", "the names of all jobs"),
        ("envs", "the names of all variables"),
        ("cron_file", "the argument"),
        ("backup_file", "the old crontab"),
        ("state", "with a file that was removed: absent"),
    ],
    ..ModuleSpec::BASE
};

pub struct Cron;

impl Module for Cron {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        validate(&call.args)?;
        if let Some(path) = file(call)? {
            let path = q(&path);
            return Ok(Some(format!(
                "xp_p={path}\nxp_look \"$xp_p\"\nif [ -f \"$xp_p\" ]; then printf 'content\\n'; cat -- \"$xp_p\"; fi\n"
            )));
        }
        // The exit code must come before the content, whose last newline matters.
        Ok(Some(format!(
            "command -v crontab >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\n\
             xp_o=$(crontab{} -l 2>/dev/null; printf 'x%s' $?)\nprintf 'rc %s\\ncontent\\n' \"${{xp_o##*x}}\"\nprintf '%s' \"${{xp_o%x*}}\"\n",
            whose(call)
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let mut report = Report::of(seen)?;
        if report.get("missing").is_some() {
            return Err(super::tool::missing(call, "there is no crontab on the target; install cron"));
        }
        let mut content = report.content.take();
        let path = file(call)?;
        let mut look = Look::default();
        match &path {
            Some(path) => {
                look = Look::of(&report)?;
                if let Some(after) = call.foreseen_file(path)? {
                    content = after.content(path, content)?;
                    look = after.look(&look);
                }
            }
            None => {
                let owner = args.str("user").unwrap_or(&call.target.user);
                if let Some(unknown) = call.world.thing(&Thing { kind: "crontab", name: owner.into() }) {
                    return Err(Failure::unknown(unknown));
                }
                // 1 also means that there is no crontab yet.
                if !matches!(report.need("rc")?, "0" | "1") {
                    return Err(Failure::new("Unable to read crontab"));
                }
            }
        }
        let before = String::from_utf8_lossy(content.as_deref().unwrap_or_default()).into_owned();
        let mut tab = Tab::read(&before, path.is_none());
        let changed = tab.edit(args, path.is_some())?;
        let mut result = Map::new();
        if let (Some(path), true, true, false) =
            (&path, changed, args.str("state") == Some("absent"), args.flag("env"))
            && tab.is_empty()
        {
            result.insert("cron_file", args.str("cron_file").unwrap_or_default());
            result.insert("state", "absent");
            let script = format!("xp_do \"remove \"{0} rm -f -- {0}\n", q(path));
            return Ok(Prediction::change(result, vec![Action::run(script)])
                .touch(Touch::File { path: path.clone(), after: FileAfter::Absent })
                .diff(content_diff(path, side(content.as_deref()), DiffSide::Absent)));
        }
        result.insert("jobs", Value::from(tab.jobs()));
        result.insert("envs", Value::from(tab.variables()));
        if let Some(file) = args.str("cron_file") {
            result.insert("cron_file", file);
        }
        let unfinished = !before.is_empty() && !before.ends_with(['\n', '\r']);
        let mut prediction = if !changed && !unfinished {
            Prediction::same(result)
        } else {
            let after = tab.render();
            match &path {
                Some(path) => {
                    let mut prediction = Edit {
                        shown: path,
                        path,
                        look: &look,
                        report: &report,
                        before: content.as_deref(),
                        after: after.into_bytes(),
                        msg: String::new(),
                    }
                    .plan(call, args, result)?;
                    prediction.result.remove("msg");
                    prediction
                }
                None => install(call, result, &before, &after),
            }
        };
        prediction.warnings.extend(warnings(args));
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        super::write::finish(prediction, ran, "backup_file", false)
    }
}

/// Replaces a user's crontab.
fn install(call: &Call, result: Map, before: &str, after: &str) -> Prediction {
    let args = &call.args;
    let whose = whose(call);
    let mut script = String::new();
    if args.flag("backup") {
        add!(
            script,
            "xp_b=$(mktemp \"${{TMPDIR:-/tmp}}/crontabXXXXXXXX\") || xp_fail 'cannot make a file for the backup'\n\
             crontab{whose} -l >\"$xp_b\" 2>/dev/null\nxp_tell backup \"$xp_b\"\n"
        );
    }
    add!(
        script,
        "xp_e=$(LC_ALL=C crontab{whose} - 2>&1) || xp_fail \"Failed to install new cronfile: $(xp_why \"$xp_e\")\"\n"
    );
    let run = Run { script, stdin: Some(super::write::bytes(after.as_bytes())), ..Run::default() };
    let shown = args.str("user").map_or("crontab".to_string(), |user| format!("crontab for user \"{user}\""));
    let owner = args.str("user").unwrap_or(&call.target.user).to_string();
    Prediction::change(result, vec![Action::Run(run)])
        .touch(Touch::Thing(Thing { kind: "crontab", name: owner }))
        .diff(super::Diff {
            before_header: shown.clone(),
            after_header: shown,
            before: DiffSide::Text(before.to_string()),
            after: DiffSide::Text(after.to_string()),
        })
}

fn validate(args: &Args) -> Result<(), Failure> {
    if args.str("cron_file") == Some("/etc/crontab") {
        return Err(Failure::new("Will not manage /etc/crontab via cron_file, see documentation."));
    }
    if args.has("special_time") && TIMES.iter().any(|t| args.str(t) != Some("*")) {
        return Err(Failure::new(
            "You cannot combine special_time with any of the time or day/date parameters.",
        ));
    }
    if args.str("state") == Some("present") {
        if args.has("cron_file") && !args.has("user") {
            return Err(Failure::new("To use cron_file=... parameter you must specify user=... as well"));
        }
        if !args.has("job") {
            return Err(Failure::new("You must specify 'job' to install a new cron job or variable"));
        }
        if (args.has("insertafter") || args.has("insertbefore")) && !args.flag("env") {
            return Err(Failure::new("Insertafter and insertbefore parameters are valid only with env=yes"));
        }
    }
    if args.flag("env") && args.str("name").is_some_and(|n| n.contains(' ')) {
        return Err(Failure::new("Invalid name for environment variable"));
    }
    Ok(())
}

fn warnings(args: &Args) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(file) = args.str("cron_file") {
        let base = file.rsplit('/').next().unwrap_or(file);
        if base.is_empty() || !base.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
            warnings.push(format!(
                "Filename portion of cron_file (\"{base}\") should consist solely of upper- and lower-case letters, digits, underscores, and hyphens"
            ));
        }
    }
    if !args.flag("env")
        && args.str("job").is_some_and(|j| j.trim_matches(['\r', '\n']).contains(['\r', '\n']))
    {
        warnings.push("Job should not contain line breaks".to_string());
    }
    warnings
}

/// Returns the path of the file, when it is about one.
fn file(call: &Call) -> Result<Option<String>, Failure> {
    let Some(file) = call.args.str("cron_file") else { return Ok(None) };
    if file.starts_with(['/', '~', '$']) {
        return expand_path(call, file).map(Some);
    }
    Ok(Some(format!("/etc/cron.d/{file}")))
}

/// Returns the option that names the owner of the crontab.
fn whose(call: &Call) -> String {
    match call.args.str("user") {
        Some(user) if user != call.target.user => format!(" -u {}", q(user)),
        _ => String::new(),
    }
}

/// A crontab's lines.
struct Tab {
    lines: Vec<String>,
}

impl Tab {
    /// Takes the lines; `crontab -l` may put its own notes before them.
    fn read(text: &str, listed: bool) -> Tab {
        let note = |line: &str| {
            line.starts_with("# DO NOT EDIT THIS FILE - edit the master and reinstall.")
                || (line.starts_with("# (/tmp/") && line.contains("installed on") && line.ends_with(')'))
                || (line.starts_with("# (") && line.contains("version") && line.ends_with(')'))
        };
        let lines = text
            .lines()
            .enumerate()
            .filter(|(at, line)| !(listed && *at < 3 && note(line)))
            .map(|(_, line)| line.to_string())
            .collect();
        Tab { lines }
    }

    fn is_empty(&self) -> bool {
        self.lines.iter().all(|l| l.trim().is_empty())
    }

    fn render(&self) -> String {
        let text = self.lines.join("\n");
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() { String::new() } else { format!("{text}\n") }
    }

    fn jobs(&self) -> Vec<String> {
        self.lines.iter().filter_map(|l| l.strip_prefix(MARK)).map(str::to_string).collect()
    }

    fn variables(&self) -> Vec<String> {
        self.lines
            .iter()
            .filter_map(|l| l.split_once('='))
            .map(|(name, _)| name)
            .filter(|n| !n.is_empty() && !n.contains(char::is_whitespace))
            .map(str::to_string)
            .collect()
    }

    /// Makes it as wanted; returns whether anything changed.
    fn edit(&mut self, args: &Args, in_file: bool) -> Result<bool, Failure> {
        let name = args.str("name").unwrap_or_default();
        let job = args.str("job").unwrap_or_default();
        let present = args.str("state") == Some("present");
        if args.flag("env") {
            return self.edit_variable(args, name, job, present);
        }
        let mark = format!("{MARK}{name}");
        if !present {
            let there = self.find(name).is_some();
            self.replace(&mark, None);
            return Ok(there);
        }
        let line = job_line(args, job, in_file);
        if let Some(old) = self.find(name) {
            if old == line {
                return Ok(false);
            }
            self.replace(&mark, Some(&line));
            return Ok(true);
        }
        // A job without a name, or with an empty one, gets it.
        if let Some(at) = self.lines.iter().position(|l| *l == line) {
            match at.checked_sub(1).map(|above| (above, self.lines[above].as_str())) {
                Some((above, MARK)) => self.lines[above] = mark,
                Some((_, above)) if above.starts_with(MARK) => self.lines.extend([mark, line]),
                _ => self.lines.insert(at, mark),
            }
            return Ok(true);
        }
        self.lines.extend([mark, line]);
        Ok(true)
    }

    /// Returns the line after the one with the job's name.
    fn find(&self, name: &str) -> Option<String> {
        let mut lines = self.lines.iter();
        while let Some(line) = lines.next() {
            if let Some(found) = line.strip_prefix(MARK) {
                let job = lines.next()?;
                if found == name {
                    return Some(job.clone());
                }
            }
        }
        None
    }

    /// Replaces or removes every job under this mark.
    fn replace(&mut self, mark: &str, line: Option<&str>) {
        let mut lines = Vec::with_capacity(self.lines.len());
        let mut old = self.lines.drain(..);
        while let Some(current) = old.next() {
            if current != mark {
                lines.push(current);
                continue;
            }
            old.next();
            if let Some(line) = line {
                lines.extend([current, line.to_string()]);
            }
        }
        drop(old);
        self.lines = lines;
    }

    fn edit_variable(
        &mut self,
        args: &Args,
        name: &str,
        value: &str,
        present: bool,
    ) -> Result<bool, Failure> {
        let declares = |line: &str, name: &str| line.strip_prefix(name).is_some_and(|r| r.starts_with('='));
        let wanted = format!("{name}=\"{value}\"");
        let there = self.lines.iter().find(|l| declares(l, name)).cloned();
        match (there, present) {
            (Some(old), true) if old == wanted => Ok(false),
            (Some(_), true) => {
                for line in self.lines.iter_mut().filter(|l| declares(l, name)) {
                    line.clone_from(&wanted);
                }
                Ok(true)
            }
            (Some(_), false) => {
                self.lines.retain(|l| !declares(l, name));
                Ok(true)
            }
            (None, false) => Ok(false),
            (None, true) => {
                let (other, shift) = match (args.str("insertafter"), args.str("insertbefore")) {
                    (Some(other), _) => (other, 1),
                    (None, Some(other)) => (other, 0),
                    (None, None) => {
                        self.lines.insert(0, wanted);
                        return Ok(true);
                    }
                };
                let at = self
                    .lines
                    .iter()
                    .position(|l| declares(l, other))
                    .ok_or_else(|| Failure::new(format!("Variable named '{other}' not found.")))?;
                self.lines.insert(at + shift, wanted);
                Ok(true)
            }
        }
    }
}

/// Returns the line of a job; in a file it names the user.
fn job_line(args: &Args, job: &str, in_file: bool) -> String {
    let text = |name: &str| args.str(name).unwrap_or_default();
    let mut line = String::from(if args.flag("disabled") { "#" } else { "" });
    match args.str("special_time") {
        Some(special) => add!(line, "@{special}"),
        None => line += &TIMES.map(text).join(" "),
    }
    if in_file {
        add!(line, " {}", text("user"));
    }
    add!(line, " {}", job.trim_matches(['\r', '\n']));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts, stdin};

    fn check(given: &[(&str, &str)], before: &str, after: &str, result: &str) {
        let case = Case::new(&Cron, args(given));
        let prediction = case.plan(format!("rc 0\ncontent\n{before}")).unwrap();
        assert_eq!(stdin(&prediction).unwrap_or_else(|| before.to_string()), after, "{given:?}");
        assert_eq!(Value::map(prediction.result).repr(), result, "{given:?}");
        let again = case.plan(format!("rc 0\ncontent\n{after}")).unwrap();
        assert!(again.change.is_none(), "not idempotent: {given:?}");
    }

    #[test]
    fn jobs() {
        let job = [("name", "a"), ("job", "run"), ("minute", "5")];
        let result = "{'jobs': ['a'], 'envs': []}";
        check(&job, "", "#Ansible: a\n5 * * * * run\n", result);
        check(&job, "#Ansible: a\n5 * * * * run\n", "#Ansible: a\n5 * * * * run\n", result);
        check(&job, "#Ansible: a\n1 1 * * * old\nx\n", "#Ansible: a\n5 * * * * run\nx\n", result);
        check(&job, "5 * * * * run\n", "#Ansible: a\n5 * * * * run\n", result);
        check(&job, "#Ansible: \n5 * * * * run\n", "#Ansible: a\n5 * * * * run\n", result);
        check(
            &job,
            "# DO NOT EDIT THIS FILE - edit the master and reinstall.\n# (/tmp/x installed on Mon)\nA=1\n",
            "A=1\n#Ansible: a\n5 * * * * run\n",
            "{'jobs': ['a'], 'envs': ['A']}",
        );
        check(
            &[("name", "a"), ("job", "run"), ("special_time", "daily"), ("disabled", "yes")],
            "",
            "#Ansible: a\n#@daily run\n",
            result,
        );
        check(&[("name", "a"), ("state", "absent")], "#Ansible: a\nx\ny", "y\n", "{'jobs': [], 'envs': []}");
        check(&[("name", "b"), ("state", "absent")], "y", "y\n", "{'jobs': [], 'envs': []}");
    }

    #[test]
    fn variables() {
        let set = [("name", "P"), ("env", "yes"), ("value", "/b")];
        check(&set, "A=1\n", "P=\"/b\"\nA=1\n", "{'jobs': [], 'envs': ['P', 'A']}");
        check(&set, "A=1\nP=2\n", "A=1\nP=\"/b\"\n", "{'jobs': [], 'envs': ['A', 'P']}");
        let after = [("name", "P"), ("env", "yes"), ("value", "/b"), ("insertafter", "A")];
        check(&after, "A=1\nB=2\n", "A=1\nP=\"/b\"\nB=2\n", "{'jobs': [], 'envs': ['A', 'P', 'B']}");
        check(
            &[("name", "P"), ("env", "yes"), ("state", "absent")],
            "P=2\nA=1\n",
            "A=1\n",
            "{'jobs': [], 'envs': ['A']}",
        );
        let failure = Case::new(&Cron, args(&after)).plan("rc 1\ncontent\n").unwrap_err();
        assert_eq!(failure.msg, "Variable named 'A' not found.");
    }

    #[test]
    fn files() {
        let file = |content: &str| {
            format!(
                "umask 0022\nlstat 81a4 0 0 {} 1 1 1 9 1 1 0 0 8 4096 :root:root:\ncontent\n{content}",
                content.len()
            )
        };
        let given = [("name", "a"), ("job", "run"), ("user", "ada"), ("cron_file", "x")];
        let case = Case::new(&Cron, args(&given));
        assert_eq!(stdin(&case.plan_absent().unwrap()).unwrap(), "#Ansible: a\n* * * * * ada run\n");
        let absent = [("name", "a"), ("state", "absent"), ("cron_file", "/etc/cron.d/x.y")];
        let prediction = Case::new(&Cron, args(&absent)).plan(file("#Ansible: a\nz\n")).unwrap();
        assert_eq!(scripts(&prediction), ["xp_do \"remove \"'/etc/cron.d/x.y' rm -f -- '/etc/cron.d/x.y'\n"]);
        assert_eq!(
            Value::map(prediction.result).repr(),
            "{'cron_file': '/etc/cron.d/x.y', 'state': 'absent'}"
        );
    }

    #[test]
    fn refusals() {
        let fails = |given: &[(&str, &str)], expect: &str| {
            assert_eq!(Case::new(&Cron, args(given)).probe().unwrap_err().msg, expect);
        };
        fails(&[("name", "a")], "You must specify 'job' to install a new cron job or variable");
        fails(
            &[("name", "a"), ("job", "x"), ("special_time", "daily"), ("hour", "1")],
            "You cannot combine special_time with any of the time or day/date parameters.",
        );
        fails(
            &[("name", "a"), ("job", "x"), ("cron_file", "y")],
            "To use cron_file=... parameter you must specify user=... as well",
        );
        fails(&[("name", "a b"), ("job", "x"), ("env", "yes")], "Invalid name for environment variable");
    }
}
