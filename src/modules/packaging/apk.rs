//! `apk`: packages of Alpine.

use super::set::{Foreseen, SetChange, foreseen, not_found_yet, text};
use crate::modules::sh::{Report, q};
use crate::modules::write::named_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Effect, Failure, Module, ModuleSpec, Outcome, Prediction, Rule,
    Run, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

pub static SPEC: ModuleSpec = ModuleSpec {
    name: "apk",
    namespaces: &["community.general"],
    about: "Installs and removes packages of Alpine.",
    args: &[
        ArgSpec::new("name", ArgKind::StrList, "Packages."),
        ArgSpec::new("state", ArgKind::Str, "Whether they are installed, or newest.")
            .default("present")
            .choices(&["present", "absent", "latest", "installed", "removed"]),
        ArgSpec::new("available", ArgKind::Bool, "With upgrade: replace what is no longer to be had.")
            .default("no"),
        ArgSpec::new("no_cache", ArgKind::Bool, "Use no cache.").default("no"),
        ArgSpec::new("repository", ArgKind::StrList, "Repositories to use instead of the system's."),
        ArgSpec::new("update_cache", ArgKind::Bool, "Fetch the lists of packages first.").default("no"),
        ArgSpec::new("upgrade", ArgKind::Bool, "Upgrade everything.").default("no"),
        ArgSpec::new("world", ArgKind::Str, "The file of packages that somebody asked for.")
            .default("/etc/apk/world"),
    ],
    rules: &[Rule::OneOf(&["name", "update_cache", "upgrade"]), Rule::Exclusive(&["name", "upgrade"])],
    returns: &[
        ("packages", "packages that changed"),
        ("msg", "what it came to"),
        ("stdout", "what the tool printed"),
        ("stderr", "what it printed on standard error"),
    ],
    ..ModuleSpec::BASE
};

pub struct Apk;

fn names(args: &Args) -> Vec<String> {
    args.texts("name").into_iter().filter(|n| !n.trim().is_empty()).collect()
}

/// Returns the program with its general options.
fn program(args: &Args) -> String {
    let mut line = String::from("apk");
    if args.flag("no_cache") {
        line += " --no-cache";
    }
    for repository in args.texts("repository") {
        add!(line, " --repository {} --repositories-file /dev/null", q(&repository));
    }
    line
}

impl Module for Apk {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let apk = program(args);
        let mut script = String::from(
            "export LANG=C LC_ALL=C LC_MESSAGES=C LC_CTYPE=C\ncommand -v apk >/dev/null 2>&1 || xp_fail 'Failed to find required executable \"apk\" on the target'\n",
        );
        let absent = matches!(args.str("state"), Some("absent" | "removed"));
        if !absent && args.has("name") {
            let world = args.str("world").unwrap_or_default();
            add!(script, "tr -s ' \\t\\n' '\\n' <{} | sed '/^$/d; s/^/world /'\n", q(world));
        }
        for name in names(args) {
            let name = q(&name);
            if absent {
                add!(
                    script,
                    "if {apk} -v info --installed {name} >/dev/null 2>&1; then printf 'installed '; xp_word {name}; printf '\\n'; fi\n"
                );
                continue;
            }
            add!(
                script,
                "if {apk} -v info --description {name} 2>/dev/null | grep -q -F {name}': virtual meta package'; then printf 'virtual '; xp_word {name}; printf '\\n'; {apk} -v info --depends {name} 2>/dev/null | sed '1d; /^$/d; s/^/depends /'; xp_d=$({apk} -v info --depends {name} 2>/dev/null | sed '1d'); else xp_d={name}; fi\n\
                 for xp_n in $xp_d; do {apk} version \"$xp_n\" 2>/dev/null | sed -n 's/^/version /p'; done\n"
            );
        }
        Ok(Some(script))
    }

    fn simulate(&self, call: &Call, seen: &Seen) -> Result<Option<String>, Failure> {
        Ok(job(call, &Report::of(seen)?)?
            .command(&call.args, true)
            .map(|line| format!("export LC_ALL=C\n{line} </dev/null\n")))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let job = job(call, &Report::of(seen)?)?;
        let long = |script: String| Action::Run(Run { script, long: true, ..Run::default() });
        let update = args
            .flag("update_cache")
            .then(|| long(format!("export LC_ALL=C\n{} update </dev/null\n", program(args))));
        let mut actions: Vec<Action> = update.into_iter().collect();
        let Some(line) = job.command(args, false) else {
            if matches!(job, Job::Nothing(_)) && !actions.is_empty() && names(args).is_empty() {
                let result = Map::from_iter([("msg", "updated repository indexes")]);
                return Ok(Prediction::change(result, actions));
            }
            let msg = if let Job::Nothing(msg) = &job { msg } else { "" };
            let mut prediction = Prediction::change(Map::from_iter([("msg", msg)]), actions);
            if prediction.change.as_ref().is_some_and(|c| c.actions.is_empty()) {
                prediction.change = None;
            }
            prediction.effect = Effect::Same;
            return Ok(prediction);
        };
        actions.push(long(format!("export LC_ALL=C\n{line} </dev/null\n")));
        if let Job::Remove(names) = &job {
            let check: String = names.iter().map(|n| format!(" {}", q(n))).collect();
            actions.push(Action::run(format!(
                "for xp_n in{check}; do if {} -v info --installed \"$xp_n\" >/dev/null 2>&1; then exit 1; fi; done\n",
                program(args)
            )));
        }
        let mut prediction = match job {
            Job::Upgrade => Prediction::unknown(Map::new(), actions),
            _ => Prediction::change(Map::new(), actions),
        };
        prediction.touches = job.touches();
        if let (true, Some(more)) = (call.check, &seen.more) {
            let output = Output {
                rc: more.rc,
                stdout: more.stdout.clone(),
                stderr: more.stderr.clone(),
                ..Output::default()
            };
            take(&job, &mut prediction, &output).map_err(|failure| not_found_yet(call, failure))?;
        }
        Ok(prediction)
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let updates = usize::from(call.args.flag("update_cache"));
        if let Some(output) = ran.first().filter(|o| updates == 1 && o.rc != 0) {
            return Err(Failure::new("could not update package db")
                .with("stdout", text(&output.stdout))
                .with("stderr", text(&output.stderr)));
        }
        let Some(output) = ran.get(updates) else { return Ok(prediction.into_outcome()) };
        let job = of_touches(call, &prediction);
        let still_there = ran.get(updates + 1).is_some_and(|o| o.rc != 0);
        let seen = Output { rc: if still_there { 1 } else { output.rc }, ..output.clone() };
        take(&job, &mut prediction, &seen)?;
        Ok(prediction.into_outcome())
    }
}

/// What is to do.
enum Job {
    Nothing(&'static str),
    Install { names: Vec<String>, upgrade: bool },
    Remove(Vec<String>),
    Upgrade,
}

impl Job {
    fn command(&self, args: &Args, simulate: bool) -> Option<String> {
        let apk = program(args);
        let simulate = if simulate { " --simulate" } else { "" };
        let quoted = |names: &[String]| names.iter().map(|n| format!(" {}", q(n))).collect::<String>();
        Some(match self {
            Job::Nothing(_) => return None,
            Job::Install { names, upgrade } => {
                format!("{apk} add{}{simulate}{}", if *upgrade { " --upgrade" } else { "" }, quoted(names))
            }
            Job::Remove(names) => format!("{apk} del --purge{simulate}{}", quoted(names)),
            Job::Upgrade => {
                format!("{apk} upgrade{simulate}{}", if args.flag("available") { " --available" } else { "" })
            }
        })
    }

    fn touches(&self) -> Vec<Touch> {
        let touch = |names: &[String], installed| {
            let name = |n: &String| n.split(['@', '=', '<', '>', '~']).next().unwrap_or_default().to_string();
            names.iter().map(|n| Touch::Package { name: name(n), installed }).collect()
        };
        match self {
            Job::Install { names, .. } => touch(names, true),
            Job::Remove(names) => touch(names, false),
            Job::Nothing(_) | Job::Upgrade => Vec::new(),
        }
    }

    fn names(&self) -> String {
        match self {
            Job::Install { names, .. } | Job::Remove(names) => names.join(" "),
            Job::Nothing(_) | Job::Upgrade => String::new(),
        }
    }
}

/// Returns the job that a prediction was made for, for the words of its result.
fn of_touches(call: &Call, prediction: &Prediction) -> Job {
    if call.args.flag("upgrade") {
        return Job::Upgrade;
    }
    let names = prediction.touches.iter().filter_map(|touch| match touch {
        Touch::Package { name, .. } => Some(name.clone()),
        _ => None,
    });
    match call.args.str("state") {
        Some("absent" | "removed") => Job::Remove(names.collect()),
        _ => Job::Install { names: names.collect(), upgrade: false },
    }
}

fn job(call: &Call, report: &Report) -> Result<Job, Failure> {
    let args = &call.args;
    if args.flag("upgrade") {
        return Ok(Job::Upgrade);
    }
    let names = names(args);
    if names.is_empty() {
        return match args.has("name") {
            true => Err(Failure::new("Package name(s) cannot be empty or whitespace-only")),
            false => Ok(Job::Nothing("updated repository indexes")),
        };
    }
    let word = |line: &str| crate::modules::sh::word(line).unwrap_or_default();
    if matches!(args.str("state"), Some("absent" | "removed")) {
        let mut there = Vec::new();
        for name in names {
            let seen = report.all("installed").any(|line| word(line) == name);
            if matches!((foreseen(call, &name)?, seen), (Foreseen::AsSeen, true) | (Foreseen::Installed, _)) {
                there.push(name);
            }
        }
        return Ok(if there.is_empty() {
            Job::Nothing("package(s) already removed")
        } else {
            Job::Remove(there)
        });
    }
    let latest = args.str("state") == Some("latest");
    // Lines such as: foo-1.0-r0 < 1.1-r0
    let outdated = |name: &str| {
        report.all("version").any(|line| {
            let mut words = line.split_whitespace();
            let own = words.next().and_then(|w| w.strip_prefix(name)?.strip_prefix('-'));
            own.is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit())) && words.next() == Some("<")
        })
    };
    let (mut install, mut upgrade) = (Vec::new(), Vec::new());
    for name in names {
        if report.all("virtual").any(|line| word(line) == name) {
            let old = report.all("depends").map(str::trim).filter(|d| latest && outdated(d));
            upgrade.extend(old.map(str::to_string));
            continue;
        }
        let asked = report.all("world").any(|entry| {
            entry
                .strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['@', '=', '<', '>', '~']))
        });
        match foreseen(call, &name)? {
            Foreseen::Installed => {}
            Foreseen::Removed => install.push(name),
            Foreseen::AsSeen if !asked => install.push(name),
            Foreseen::AsSeen if latest && outdated(&name) => upgrade.push(name),
            Foreseen::AsSeen => {}
        }
    }
    if install.is_empty() && upgrade.is_empty() {
        return Ok(Job::Nothing("package(s) already installed"));
    }
    Ok(Job::Install { upgrade: !upgrade.is_empty(), names: [install, upgrade].concat() })
}

/// Puts what the tool said into a prediction.
fn take(job: &Job, prediction: &mut Prediction, output: &Output) -> Result<(), Failure> {
    let stdout = text(&output.stdout);
    let (change, packages) = steps(&stdout);
    let names = job.names();
    let (failed, done) = match job {
        Job::Upgrade | Job::Nothing(_) => {
            ("failed to upgrade packages".to_string(), "upgraded packages".to_string())
        }
        Job::Install { .. } => {
            (format!("failed to install {names}"), format!("installed {names} package(s)"))
        }
        Job::Remove(_) => {
            (format!("failed to remove {names} package(s)"), format!("removed {names} package(s)"))
        }
    };
    if output.rc != 0 {
        return Err(Failure::new(failed)
            .with("stdout", stdout)
            .with("stderr", text(&output.stderr))
            .with("packages", packages));
    }
    let idle = matches!(job, Job::Upgrade) && stdout.starts_with("OK");
    prediction.effect = if idle { Effect::Same } else { Effect::Change };
    prediction.result.insert("msg", if idle { "packages already upgraded".to_string() } else { done });
    prediction.result.insert("packages", packages);
    prediction.result.insert("stdout", stdout);
    prediction.result.insert("stderr", text(&output.stderr));
    prediction.diff = change.diff().into_iter().collect();
    if prediction.diff.is_empty() && !idle && !names.is_empty() {
        // It is there because others need it; now somebody asked for it.
        let side = |asked| Map::from_iter([("asked for", Value::Bool(asked))]);
        prediction.diff.push(named_diff(&names, Some(side(false)), Some(side(true))));
    }
    Ok(())
}

/// Reads lines such as `(1/2) Installing foo (1.0-r0)`: what changes, and the names.
fn steps(output: &str) -> (SetChange, Vec<Value>) {
    let mut change = SetChange::default();
    let mut names = Vec::new();
    for line in output.lines() {
        let Some((count, rest)) =
            line.split_once(") ").filter(|(c, _)| c.starts_with('(') && c.contains('/'))
        else {
            continue;
        };
        if count[1..].chars().any(|c| !c.is_ascii_digit() && c != '/' && c != ' ') {
            continue;
        }
        let mut words = rest.split_whitespace();
        let (Some(verb), Some(name)) = (words.next(), words.next()) else { continue };
        names.push(Value::str(name));
        let versions = rest.split_once('(').map_or("", |(_, v)| v.trim_end_matches(')'));
        match (verb, versions.split_once(" -> ")) {
            ("Installing", _) => change.add(name, versions),
            ("Purging" | "Removing", _) => change.remove(name, versions),
            (_, Some((old, new))) => {
                change.remove(name, old);
                change.add(name, new);
            }
            _ => {}
        }
    }
    (change, names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    const SEEN: &str =
        "world alpine-base\nworld bash\nworld curl@edge\nversion bash-5.2-r0 < 5.2-r1\ninstalled =bash\n";

    fn check(given: &[(&str, &str)], expect: &str) {
        let got = match Case::new(&Apk, args(given)).plan(SEEN) {
            Err(failure) => failure.msg,
            Ok(prediction) => scripts(&prediction)
                .iter()
                .map(|s| s.lines().last().unwrap_or_default().replace(" </dev/null", ""))
                .find(|line| line.starts_with("apk"))
                .unwrap_or("-".to_string()),
        };
        assert_eq!(got, expect, "{given:?}");
    }

    #[test]
    fn installs_and_removes() {
        check(&[("name", "bash,curl")], "-");
        check(&[("name", "bash,vim")], "apk add 'vim'");
        check(&[("name", "bash"), ("state", "latest")], "apk add --upgrade 'bash'");
        check(&[("name", "bas")], "apk add 'bas'");
        check(&[("name", "bash"), ("state", "absent")], "apk del --purge 'bash'");
        check(&[("name", "vim"), ("state", "removed")], "-");
        check(&[("upgrade", "yes"), ("available", "yes")], "apk upgrade --available");
        check(&[("update_cache", "yes")], "apk update");
        check(
            &[("name", "vim"), ("repository", "http://x"), ("no_cache", "yes")],
            "apk --no-cache --repository 'http://x' --repositories-file /dev/null add 'vim'",
        );
        check(&[("name", " ")], "Package name(s) cannot be empty or whitespace-only");
    }

    #[test]
    fn output_is_judged() {
        let (change, names) = steps(
            "(1/3) Upgrading musl (1.0-r0 -> 1.1-r0)\n(2/3) Installing vim (9.0-r0)\n(3/3) Purging nano (7-r0)\nExecuting busybox-1.36.trigger\nOK: 10 MiB in 20 packages\n",
        );
        assert_eq!(Value::list(names).repr(), "['musl', 'vim', 'nano']");
        assert_eq!(change.added().collect::<Vec<_>>(), ["musl 1.1-r0", "vim 9.0-r0"]);
        assert_eq!(change.removed().collect::<Vec<_>>(), ["musl 1.0-r0", "nano 7-r0"]);
        let mut case = Case::new(&Apk, args(&[("upgrade", "yes")]));
        case.check = true;
        let idle = case.plan_more("", 0, "OK: 10 MiB in 20 packages\n").unwrap();
        assert_eq!(idle.effect, Effect::Same);
    }
}
