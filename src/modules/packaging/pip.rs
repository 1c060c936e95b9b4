//! `pip`: Python packages, by the pip of the target or of a virtual environment.

use std::collections::BTreeMap;

use super::pep440::{Requirement, canonical};
use super::set::{SetChange, put_output, text};
use crate::modules::sh::{Report, expand_path, q};
use crate::modules::write::attr_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Effect, Failure, Module, ModuleSpec, Outcome, Prediction, Row,
    Rule, Run, Seen, Thing, Touch, foreseen, words,
};
use crate::transport::Output;
use crate::value::{Map, Unknown, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "pip",
    about: "Installs and removes Python packages.",
    args: &[
        ArgSpec::new("name", ArgKind::StrList, "Packages, with versions or as URLs."),
        ArgSpec::new("version", ArgKind::Str, "The package's version."),
        ArgSpec::new("requirements", ArgKind::Str, "A file of requirements on the target."),
        ArgSpec::new("virtualenv", ArgKind::Path, "The virtual environment; made when it is not there."),
        ArgSpec::new("virtualenv_site_packages", ArgKind::Bool, "It sees the system's packages.")
            .default("no"),
        ArgSpec::new("virtualenv_command", ArgKind::Path, "The command that makes it.").default("virtualenv"),
        ArgSpec::new("virtualenv_python", ArgKind::Str, "The Python that it gets."),
        ArgSpec::new("state", ArgKind::Str, "Whether they are installed, or newest.")
            .default("present")
            .choices(&["present", "absent", "latest", "forcereinstall"]),
        ArgSpec::new("extra_args", ArgKind::Str, "More arguments for pip."),
        ArgSpec::new("editable", ArgKind::Bool, "Install in editable form.").default("no"),
        ArgSpec::new("chdir", ArgKind::Path, "The folder to work in."),
        ArgSpec::new("executable", ArgKind::Path, "The pip to use."),
        ArgSpec::new("umask", ArgKind::Str, "The umask for new files."),
        ArgSpec::new(
            "break_system_packages",
            ArgKind::Bool,
            "Change an installation that the system manages.",
        )
        .default("no"),
    ],
    rules: &[
        Rule::Exclusive(&["name", "requirements"]),
        Rule::Exclusive(&["executable", "virtualenv"]),
        Rule::OneOf(&["name", "requirements"]),
    ],
    returns: &[
        ("cmd", "the command"),
        ("name", "the packages as given"),
        ("version", "the version as given"),
        ("requirements", "the file of requirements"),
        ("virtualenv", "the virtual environment"),
        ("state", "as asked for"),
        ("stdout", "what pip printed"),
        ("stderr", "what it printed on standard error"),
    ],
    ..ModuleSpec::BASE
};

pub struct Pip;

/// What the arguments mean.
struct Job {
    /// Words for pip after its own options.
    words: Vec<String>,
    /// Nothing when a package is no plain name with versions.
    requirements: Option<Vec<Requirement>>,
    extra: Vec<String>,
    from_vcs: bool,
}

impl Job {
    fn of(args: &Args) -> Result<Self, Failure> {
        let state = args.str("state").unwrap_or_default();
        let version = args.str("version").map(str::trim_start);
        if state == "latest" && version.is_some() {
            return Err(Failure::new("version is incompatible with state=latest"));
        }
        if let Some(umask) = args.str("umask")
            && u32::from_str_radix(umask.trim_start_matches("0o"), 8).is_err()
        {
            return Err(Failure::new("umask must be an octal integer"));
        }
        let mut names = recover(&args.texts("name"));
        if let Some(version) = version.filter(|v| !v.is_empty()) {
            if names.len() > 1 {
                return Err(Failure::new(
                    "'version' argument is ambiguous when installing multiple package distributions. Please specify version restrictions next to each package in 'name' argument.",
                ));
            }
            if names.first().and_then(|n| Requirement::parse(n)).is_some_and(|r| r.has_demands()) {
                return Err(Failure::new(
                    "The 'version' argument conflicts with any version specifier provided along with a package name. Please keep the version specifier, but remove the 'version' argument.",
                ));
            }
            let separator = if version.starts_with(|c: char| c.is_ascii_digit()) { "==" } else { "" };
            for name in &mut names {
                *name = format!("{name}{separator}{version}");
            }
        }
        let mut extra = words::split(args.str("extra_args").unwrap_or_default())
            .map_err(|e| Failure::new(format!("extra_args: {e}")))?;
        if args.flag("editable") && !extra.iter().any(|w| w == "-e") {
            extra.push("-e".to_string());
        }
        let words = match args.str("requirements") {
            Some(file) => vec!["-r".to_string(), file.to_string()],
            None => names.clone(),
        };
        Ok(Job {
            words,
            requirements: if args.has("requirements") {
                None
            } else {
                names.iter().map(|n| Requirement::parse(n)).collect()
            },
            extra,
            from_vcs: names.iter().any(|n| ["svn+", "git+", "hg+", "bzr+"].iter().any(|p| n.starts_with(p))),
        })
    }

    /// Returns what comes and goes as far as the arguments tell, without what packages need.
    fn change(&self, args: &Args, installed: &Installed) -> SetChange {
        let mut change = SetChange::default();
        for requirement in self.requirements.iter().flatten() {
            let now = installed.get(&requirement.name).map(String::as_str);
            match args.str("state") {
                Some("absent") => change.replace(&requirement.name, now, None),
                Some("present") if now.is_some_and(|version| requirement.accepts(version)) => {}
                _ => change.replace(&requirement.name, now, Some(&requirement.demanded())),
            }
        }
        change
    }

    /// Returns pip's words for the state.
    fn command(args: &Args) -> &'static [&'static str] {
        match args.str("state") {
            Some("absent") => &["uninstall", "-y"],
            Some("latest") => &["install", "-U"],
            Some("forcereinstall") => &["install", "-U", "--force-reinstall"],
            _ => &["install"],
        }
    }

    fn shell_words(&self, args: &Args, more: &[&str]) -> String {
        let all = Job::command(args).iter().chain(more).copied();
        let all =
            all.chain(self.extra.iter().map(String::as_str)).chain(self.words.iter().map(String::as_str));
        all.map(|word| format!(" {}", q(word))).collect()
    }
}

/// Puts names together that a list or commas took apart from their versions.
fn recover(given: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut in_brackets = false;
    for part in given.iter().flat_map(|name| name.split(',')) {
        let is_demand =
            ["==", ">=", "<=", ">", "<", "!=", "~="].iter().any(|op| part.trim_start().starts_with(op));
        match names.last_mut() {
            Some(last) if is_demand || in_brackets => {
                last.push(',');
                last.push_str(part);
            }
            _ => names.push(part.to_string()),
        }
        if part.contains('[') {
            in_brackets = true;
        }
        if in_brackets && part.contains(']') {
            in_brackets = false;
        }
    }
    names
        .iter()
        .map(|n| n.trim().replacen(",", "", usize::from(n.starts_with(','))))
        .filter(|n| !n.is_empty())
        .collect()
}

/// Returns the lines that every script starts with: folder, environment, and pip as the function `xp_pip`.
fn setting(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let mut script =
        String::from("export LC_ALL=C LANG=C LC_MESSAGES=C PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1\n");
    let dir = match args.str("chdir") {
        Some(dir) => q(&expand_path(call, dir)?),
        None => "\"${TMPDIR:-/tmp}\"".to_string(),
    };
    add!(script, "cd {dir} || xp_fail \"Unable to change directory to \"{dir}\n");
    if let Some(umask) = args.str("umask") {
        add!(script, "umask {}\n", umask.trim_start_matches("0o"));
    }
    if args.flag("break_system_packages") {
        script += "export PIP_BREAK_SYSTEM_PACKAGES=1\n";
    }
    script += "xp_python=$(command -v python3 || command -v python)\n";
    match (args.str("virtualenv"), args.str("executable")) {
        (Some(env), _) => {
            let env = expand_path(call, env)?;
            add!(
                script,
                "xp_env={}\nxp_find() {{ for xp_n in pip3 pip; do if [ -x \"$xp_env/bin/$xp_n\" ]; then xp_p=$xp_env/bin/$xp_n; return 0; fi; done; xp_fail \"Unable to find pip in the virtualenv, $xp_env, under any of these names: pip3, pip. Make sure pip is present in the virtualenv.\"; }}\n\
                 PATH=$xp_env/bin:$PATH; xp_shown() {{ xp_find; printf '%s' \"$xp_p\"; }}; xp_pip() {{ xp_find; \"$xp_p\" \"$@\"; }}\n",
                q(&env)
            );
        }
        (None, Some(executable)) => {
            let executable = if executable.contains('/') {
                expand_path(call, executable)?
            } else {
                executable.to_string()
            };
            add!(
                script,
                "xp_p=$(command -v {0}) || xp_fail 'Unable to find any of '{0}' to use.  pip needs to be installed.'\n\
                 xp_shown() {{ printf '%s' \"$xp_p\"; }}; xp_pip() {{ \"$xp_p\" \"$@\"; }}\n",
                q(&executable)
            );
        }
        (None, None) => {
            script += "if [ -n \"$xp_python\" ] && \"$xp_python\" -c 'import pip' 2>/dev/null; then xp_shown() { printf '%s -m pip' \"$xp_python\"; }; xp_pip() { \"$xp_python\" -m pip \"$@\"; }\n\
                 else xp_p=$(command -v pip3) || xp_fail 'Unable to find any of pip3 to use.  pip needs to be installed.'\n\
                 xp_shown() { printf '%s' \"$xp_p\"; }; xp_pip() { \"$xp_p\" \"$@\"; }; fi\n";
        }
    }
    script +=
        "xp_list() { xp_pip list --format=freeze 2>/dev/null </dev/null || xp_pip freeze </dev/null; }\n";
    Ok(script)
}

/// Returns the lines that make the virtual environment.
fn make_virtualenv(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let command = args.str("virtualenv_command").unwrap_or_default();
    let command = words::split(command).map_err(|e| Failure::new(format!("virtualenv_command: {e}")))?;
    let Some((program, rest)) = command.split_first() else {
        return Err(Failure::new("virtualenv_command is empty"));
    };
    let program = if program.contains('/') { expand_path(call, program)? } else { program.clone() };
    let is_venv =
        program.rsplit('/').next() == Some("pyvenv") || rest.windows(2).any(|w| w == ["-m", "venv"]);
    if is_venv && args.has("virtualenv_python") {
        return Err(Failure::new(
            "virtualenv_python should not be used when using the venv module or pyvenv as virtualenv_command",
        ));
    }
    let rest: String = rest.iter().map(|w| format!(" {}", q(w))).collect();
    let mut script = format!(
        "xp_make=$(command -v {0}) || xp_fail 'Failed to find required executable \"'{0}'\" on the target'\nset --{rest}\n",
        q(&program)
    );
    script += if args.flag("virtualenv_site_packages") {
        "set -- \"$@\" --system-site-packages\n"
    } else {
        "case $(\"$xp_make\" --help 2>/dev/null) in *--no-site-packages*) set -- \"$@\" --no-site-packages ;; esac\n"
    };
    match args.str("virtualenv_python") {
        Some(python) => add!(script, "set -- \"$@\" {}\n", q(&format!("-p{python}"))),
        None if !is_venv => script += "set -- \"$@\" \"-p$xp_python\"\n",
        None => {}
    }
    script += "\"$xp_make\" \"$@\" \"$xp_env\" </dev/null\n";
    Ok(script)
}

impl Module for Pip {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        Job::of(&call.args)?;
        let mut script = setting(call)?;
        if call.args.has("virtualenv") {
            script += "[ -e \"$xp_env/bin/activate\" ] || { printf 'venv absent\\n'; exit 0; }\n";
        }
        script += "printf 'pip '; xp_word \"$(xp_shown)\"; printf '\\n'; xp_list | sed 's/^/have /'\n";
        Ok(Some(script))
    }

    fn simulate(&self, call: &Call, seen: &Seen) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let job = Job::of(args)?;
        let installs = args.str("state") != Some("absent");
        let report = Report::of(seen)?;
        if self.settled(args, &job, report.get("venv").is_some(), &installed(&report)).is_some()
            || job.from_vcs
            || args.flag("editable")
            || !installs
        {
            return Ok(None);
        }
        Ok(Some(format!(
            "{}xp_pip{} </dev/null 2>&1\nprintf 'xp_rc %s\\n' $?\n",
            setting(call)?,
            job.shell_words(args, &["--dry-run", "--no-cache-dir"])
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let job = Job::of(args)?;
        let report = Report::of(seen)?;
        let text_or_null = |name: &str| Value::from(args.str(name).map(str::to_string));
        let mut result = Map::from_iter([
            ("name", args.get("name").cloned().unwrap_or_default()),
            ("version", text_or_null("version")),
            ("state", text_or_null("state")),
            ("requirements", text_or_null("requirements")),
            ("virtualenv", text_or_null("virtualenv")),
        ]);
        let earlier = Earlier::of(call)?;
        let makes = report.get("venv").is_some() && !earlier.makes;
        let installed = earlier.over(installed(&report));
        for name in job.requirements.iter().flatten().map(|r| r.name.as_str()).chain(["."]) {
            foreseen(call.world.row(&thing(&earlier.place, name)))?;
        }
        let chosen_by_pip =
            |r: &Requirement| r.has_demands() && installed.get(&r.name).is_some_and(|v| v == ANY);
        if job.requirements.iter().flatten().any(chosen_by_pip) {
            earlier.needs_none()?;
        }
        let mut settled = self.settled(args, &job, makes, &installed);
        let mut change = job.change(args, &installed);
        if settled.is_none()
            && let Some(more) = &seen.more
        {
            // What pip was asked is how it is now.
            earlier.needs_none()?;
            let said = text(&more.stdout);
            settled = dry_run(&said)?;
            change = would_install(&said, &installed);
        }
        if let Some(pip) = report.word("pip") {
            let command: Vec<String> = pip
                .split(' ')
                .map(str::to_string)
                .chain(Job::command(args).iter().map(|w| (*w).to_string()))
                .chain(job.extra.iter().chain(&job.words).cloned())
                .collect();
            result.insert("cmd", command);
        }
        if settled == Some(Settled::Same) {
            return Ok(Prediction::same(result));
        }
        let setting = setting(call)?;
        let mut actions = Vec::new();
        let long = |script: String| Action::Run(Run { script, long: true, ..Run::default() });
        if makes {
            actions.push(long(format!("{setting}{}", make_virtualenv(call)?)));
        }
        let list = Action::run(format!("{setting}xp_list\n"));
        actions.push(list.clone());
        actions.push(long(format!("{setting}xp_pip{} </dev/null\n", job.shell_words(args, &[]))));
        actions.push(list);
        let mut prediction = if makes || settled == Some(Settled::Change) {
            Prediction::change(result, actions)
        } else {
            Prediction::unknown(result, actions)
        };
        if makes {
            let env = args.str("virtualenv").unwrap_or_default();
            let side = |state: &str| Map::from_iter([("state", state)]);
            prediction.diff.push(attr_diff(env, side("absent"), side("directory")));
        }
        prediction.diff.extend(change.diff());
        prediction.touches = earlier.touches(makes, &job, &change);
        Ok(prediction)
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let args = &call.args;
        let planned = prediction.change.as_ref().map_or(0, |change| change.actions.len());
        let made = planned == 4;
        let mut all = Output::default();
        let outputs = ran.iter().enumerate().filter(|(i, _)| planned - i == 2 || (made && *i == 0));
        for (_, output) in outputs {
            all.stdout.extend(&output.stdout);
            all.stderr.extend(&output.stderr);
            all.rc = output.rc;
        }
        let pip = ran.get(planned.wrapping_sub(2));
        let said = pip.map(|o| format!("{}{}", text(&o.stdout), text(&o.stderr))).unwrap_or_default();
        put_output(&mut prediction.result, &all);
        let absent = args.str("state") == Some("absent");
        if let Some(failed) = ran.iter().find(|o| o.rc != 0) {
            if !(absent && failed.rc == 1 && said.contains("not installed")) {
                return Err(failure(&prediction, failed, &all));
            }
            prediction.effect = Effect::Same;
            return Ok(prediction.into_outcome());
        }
        let lists = (ran.get(planned.wrapping_sub(3)), ran.get(planned.wrapping_sub(1)));
        let changed = match lists {
            (Some(before), Some(after)) if args.has("requirements") || Job::of(args)?.from_vcs => {
                before.stdout != after.stdout
            }
            _ if absent => said.contains("Successfully uninstalled"),
            _ => said.contains("Successfully installed"),
        };
        if let (Some(before), Some(after)) = lists {
            let change = SetChange::between(&as_shown(&before.stdout), &as_shown(&after.stdout));
            prediction.diff.truncate(usize::from(made));
            prediction.diff.extend(change.diff());
        }
        prediction.effect = if changed || made { Effect::Change } else { Effect::Same };
        Ok(prediction.into_outcome())
    }
}

/// What is certain of a call before pip is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    Same,
    Change,
}

impl Pip {
    /// Compares what is asked for with the list of what is installed; nothing when only pip can tell.
    fn settled(&self, args: &Args, job: &Job, makes: bool, installed: &Installed) -> Option<Settled> {
        if makes {
            return Some(Settled::Change);
        }
        let requirements = job.requirements.as_ref().filter(|_| job.extra.is_empty())?;
        let present = |r: &Requirement| installed.get(&r.name).is_some_and(|version| r.accepts(version));
        match args.str("state") {
            Some("present") if requirements.iter().all(present) => Some(Settled::Same),
            Some("absent") if !requirements.iter().any(present) => Some(Settled::Same),
            Some("present" | "absent" | "forcereinstall") => Some(Settled::Change),
            _ => None,
        }
    }
}

/// Packages with their versions.
type Installed = BTreeMap<String, String>;

fn installed(report: &Report) -> Installed {
    let pairs = report.all("have").filter_map(|line| line.split_once("=="));
    pairs.map(|(name, version)| (canonical(name), version.to_string())).collect()
}

/// Returns pip's list in the form in which changes are shown: names as indexes write them, and versions.
fn as_shown(list: &[u8]) -> Vec<u8> {
    let plain = |line: &str| match line.split_once("==") {
        Some((name, version)) => format!("{} {version}\n", canonical(name)),
        None => format!("{line}\n"),
    };
    text(list).lines().map(plain).collect::<String>().into_bytes()
}

/// What earlier steps of a plan leave of the place where the packages go.
struct Earlier {
    /// The virtual environment, or the pip.
    place: String,
    makes: bool,
    packages: BTreeMap<String, Option<String>>,
}

const KIND: &str = "Python packages";
/// Stands for a version that pip chooses.
const ANY: &str = "newest";

impl Earlier {
    fn of(call: &Call) -> Result<Self, Failure> {
        let args = &call.args;
        let place = match args.str("virtualenv").or(args.str("executable")) {
            Some(path) => expand_path(call, path)?,
            None => "the system's".to_string(),
        };
        call.needs_same(&thing(&place, ""))?;
        let own = format!("{place} ");
        let mut earlier = Earlier { place, makes: false, packages: BTreeMap::new() };
        for (name, row) in call.world.rows(KIND) {
            match name.strip_prefix(&own) {
                Some(".") => earlier.makes = true,
                Some(package) => {
                    let version = row.and_then(|row| row.get("version").cloned());
                    earlier.packages.insert(package.to_string(), version);
                }
                None => {}
            }
        }
        Ok(earlier)
    }

    fn over(&self, mut installed: Installed) -> Installed {
        for (name, version) in &self.packages {
            match version {
                Some(version) => installed.insert(name.clone(), version.clone()),
                None => installed.remove(name),
            };
        }
        installed
    }

    fn needs_none(&self) -> Result<(), Failure> {
        if self.packages.is_empty() {
            return Ok(());
        }
        let cause = format!("what pip will say when an earlier step has changed {}", self.place);
        Err(Failure::unknown(Unknown { cause: cause.into() }))
    }

    /// Returns what later steps are to know.
    fn touches(&self, makes: bool, job: &Job, change: &SetChange) -> Vec<Touch> {
        let row = |name: &str, row| Touch::Row { thing: thing(&self.place, name), row };
        let mut touches = Vec::new();
        if makes {
            touches.push(row(".", Some(Row::new())));
        }
        // What files of requirements and repositories come to is not known by name.
        if job.requirements.is_none() && change.is_empty() {
            touches.push(Touch::Thing(thing(&self.place, "")));
        }
        touches.extend(change.removed().filter_map(|line| Some(row(line.split_once(' ')?.0, None))));
        for (name, version) in change.added().filter_map(|line| line.split_once(' ')) {
            let version = if version.starts_with(|c: char| c.is_ascii_digit()) { version } else { ANY };
            touches.push(row(name, Some(Row::from([("version".to_string(), version.to_string())]))));
        }
        touches
    }
}

fn thing(place: &str, package: &str) -> Thing {
    Thing { kind: KIND, name: format!("{place} {package}") }
}

/// Reads the line `Would install a-1.0 b-2`.
fn would_install(said: &str, installed: &Installed) -> SetChange {
    let mut change = SetChange::default();
    let lists = said.lines().filter_map(|line| line.strip_prefix("Would install "));
    for (name, version) in lists.flat_map(str::split_whitespace).filter_map(|word| word.rsplit_once('-')) {
        change.replace(&canonical(name), installed.get(&canonical(name)).map(String::as_str), Some(version));
    }
    change
}

/// Reads what pip would install; nothing when it is too old to tell.
fn dry_run(output: &str) -> Result<Option<Settled>, Failure> {
    let (said, rc) = output.trim_end().rsplit_once("xp_rc ").unwrap_or((output, "0"));
    if said.contains("no such option: --dry-run") {
        return Ok(None);
    }
    if rc != "0" {
        return Err(Failure::new(format!("stdout: {said}")));
    }
    Ok(Some(if said.contains("Would install") { Settled::Change } else { Settled::Same }))
}

fn failure(prediction: &Prediction, failed: &Output, all: &Output) -> Failure {
    let (stdout, stderr) = (text(&all.stdout), text(&all.stderr));
    let own = text(&failed.stderr);
    let mut msg = String::new();
    if !stdout.is_empty() {
        add!(msg, "stdout: {stdout}");
    }
    if !stderr.is_empty() {
        add!(msg, "\n:stderr: {stderr}");
    }
    let msg = if msg.is_empty() { own.trim().to_string() } else { msg };
    let mut failure = Failure::new(msg).with("rc", failed.rc);
    if let Some(command) = prediction.result.get("cmd") {
        failure = failure.with("cmd", command.clone());
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    const SEEN: &str =
        "pip %2f62696e2f707974686f6e33202d6d20706970\nhave six==1.16.0\nhave Zope.Interface==5.0\n";

    fn check(given: &[(&str, &str)], expect: &str) {
        let got = match Case::new(&Pip, args(given)).plan(SEEN) {
            Err(failure) => failure.msg,
            Ok(prediction) => match &scripts(&prediction)[..] {
                [] => "-".to_string(),
                [.., pip, _] => pip.lines().last().unwrap_or_default().replace(" </dev/null", ""),
                other => format!("{other:?}"),
            },
        };
        assert_eq!(got, expect, "{given:?}");
    }

    #[test]
    fn installs_and_removes() {
        check(&[("name", "six")], "-");
        check(&[("name", "zope-interface>=4,<6")], "-");
        check(&[("name", "six"), ("version", "1.15")], "xp_pip 'install' 'six==1.15'");
        check(&[("name", "six>1,<1.10,other")], "xp_pip 'install' 'six>1,<1.10' 'other'");
        check(&[("name", "six"), ("state", "latest")], "xp_pip 'install' '-U' 'six'");
        check(&[("name", "six"), ("state", "absent")], "xp_pip 'uninstall' '-y' 'six'");
        check(&[("name", "gone"), ("state", "absent")], "-");
        check(
            &[("requirements", "r.txt"), ("extra_args", "-i 'http://x y'")],
            "xp_pip 'install' '-i' 'http://x y' '-r' 'r.txt'",
        );
        check(&[("name", "git+https://x/y"), ("editable", "yes")], "xp_pip 'install' '-e' 'git+https://x/y'");
        check(&[("name", "six[a,b]==1")], "xp_pip 'install' 'six[a,b]==1'");
        check(
            &[("name", "six"), ("state", "latest"), ("version", "1")],
            "version is incompatible with state=latest",
        );
        check(&[("name", "six"), ("umask", "9x")], "umask must be an octal integer");
    }

    #[test]
    fn virtual_environments_are_made() {
        let given = [("name", "six"), ("virtualenv", "/v"), ("virtualenv_command", "python3 -m venv")];
        let prediction = Case::new(&Pip, args(&given)).plan("venv absent\n").unwrap();
        assert_eq!((prediction.effect.clone(), scripts(&prediction).len()), (Effect::Change, 4));
        assert!(scripts(&prediction)[0].contains("set -- '-m' 'venv'\n"));
        let mut wrong = given.to_vec();
        wrong.push(("virtualenv_python", "python3.9"));
        let failure = Case::new(&Pip, args(&wrong)).plan("venv absent\n").unwrap_err();
        assert!(failure.msg.starts_with("virtualenv_python should not be used"));
    }

    #[test]
    fn dry_runs_are_read() {
        assert_eq!(dry_run("Would install six-1.16\nxp_rc 0\n").unwrap(), Some(Settled::Change));
        assert_eq!(dry_run("Requirement already satisfied: six\nxp_rc 0\n").unwrap(), Some(Settled::Same));
        assert_eq!(dry_run("no such option: --dry-run\nxp_rc 2\n").unwrap(), None);
        assert!(dry_run("ERROR: no\nxp_rc 1\n").is_err());
    }
}
