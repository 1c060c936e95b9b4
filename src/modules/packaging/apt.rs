//! `apt`: packages of Debian and Ubuntu, by `apt-get` and `aptitude`.

use super::apt_deb;
use super::apt_state::{CACHE_TIME, ENVIRONMENT, Look, Spec, look_script, update_script};
use super::set::{Foreseen, LIST_DPKG, SetChange, foreseen, not_found_yet, put_output, text};
use crate::modules::sh::{Report, q};
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Effect, Failure, Module, ModuleSpec, Outcome, Prediction, Rule,
    Run, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

pub static SPEC: ModuleSpec = ModuleSpec {
    name: "apt",
    about: "Installs and removes packages of Debian and Ubuntu.",
    args: &[
        ArgSpec::new("package", ArgKind::StrList, "Names; name=version, name>=version and patterns too.")
            .aliases(&["pkg", "name"]),
        ArgSpec::new("state", ArgKind::Str, "Whether they are installed, or newest.")
            .default("present")
            .choices(&["absent", "build-dep", "fixed", "latest", "present"]),
        ArgSpec::new("update_cache", ArgKind::Bool, "Fetch the lists of packages first.")
            .aliases(&["update-cache"]),
        ArgSpec::new("update_cache_retries", ArgKind::Int, "How often to try that.").default("5"),
        ArgSpec::new(
            "update_cache_retry_max_delay",
            ArgKind::Int,
            "The longest wait between tries, in seconds.",
        )
        .default("12"),
        ArgSpec::new(
            "cache_valid_time",
            ArgKind::Int,
            "Fetch lists only when they are older than these seconds.",
        )
        .default("0"),
        ArgSpec::new("purge", ArgKind::Bool, "Remove configuration too.").default("no"),
        ArgSpec::new("deb", ArgKind::Path, "A package file on the target, or its URL."),
        ArgSpec::new("default_release", ArgKind::Str, "The release to take packages from.")
            .aliases(&["default-release"]),
        ArgSpec::new("install_recommends", ArgKind::Bool, "Install what packages recommend.")
            .aliases(&["install-recommends"]),
        ArgSpec::new("force", ArgKind::Bool, "Do it against all warnings.").default("no"),
        ArgSpec::new("upgrade", ArgKind::Str, "Upgrade everything.")
            .default("no")
            .choices(&["dist", "full", "no", "safe", "yes"]),
        ArgSpec::new("dpkg_options", ArgKind::Str, "Options for dpkg.")
            .default("force-confdef,force-confold"),
        ArgSpec::new("autoremove", ArgKind::Bool, "Remove what nothing needs any more.").default("no"),
        ArgSpec::new("autoclean", ArgKind::Bool, "Remove package files that cannot be fetched any more.")
            .default("no"),
        ArgSpec::new("fail_on_autoremove", ArgKind::Bool, "Fail when something would have to be removed.")
            .default("no"),
        ArgSpec::new("policy_rc_d", ArgKind::Int, "The answer to packages that want to start services."),
        ArgSpec::new("only_upgrade", ArgKind::Bool, "Install only over an older version.").default("no"),
        ArgSpec::new("force_apt_get", ArgKind::Bool, "Never use aptitude.").default("no"),
        ArgSpec::new("clean", ArgKind::Bool, "Remove fetched package files.").default("no"),
        ArgSpec::new("allow_unauthenticated", ArgKind::Bool, "Take packages without valid signatures.")
            .default("no")
            .aliases(&["allow-unauthenticated"]),
        ArgSpec::new("allow_downgrade", ArgKind::Bool, "Install older versions over newer ones.")
            .default("no")
            .aliases(&["allow-downgrade", "allow_downgrades", "allow-downgrades"]),
        ArgSpec::new("allow_change_held_packages", ArgKind::Bool, "Change packages that are on hold.")
            .default("no"),
        ArgSpec::new("lock_timeout", ArgKind::Int, "How long to wait for other package tools, in seconds.")
            .default("60"),
        ArgSpec::new("auto_install_module_deps", ArgKind::Bool, "Accepted; nothing is needed on the target.")
            .default("yes"),
    ],
    rules: &[
        Rule::Exclusive(&["deb", "package", "upgrade"]),
        Rule::OneOf(&["autoremove", "deb", "package", "update_cache", "upgrade"]),
    ],
    returns: &[
        ("cache_updated", "whether the lists of packages were fetched"),
        ("cache_update_time", "when they were fetched last, in seconds"),
        ("stdout", "what the tool printed"),
        ("stderr", "what it printed on standard error"),
    ],
    ..ModuleSpec::BASE
};

/// What makes a command only tell what it would do; without the last part it would write a log.
pub const SIMULATE: &str = " --simulate -o Dir::Log::Planner=/dev/null";

pub struct Apt;

/// What is to do after the lists of packages are as wanted.
enum Job {
    /// Nothing more.
    Nothing,
    Install {
        words: Vec<String>,
        mark: Vec<String>,
    },
    Remove(Vec<String>),
    BuildDep(Vec<String>),
    Upgrade,
    /// `autoremove` or `autoclean`.
    Cleanup(&'static str),
    Deb(String),
    Clean,
}

impl Module for Apt {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        check(&call.args)?;
        Ok(Some(format!(
            "{ENVIRONMENT}command -v apt-get >/dev/null 2>&1 || xp_fail 'there is no apt-get on the target'\n\
             printf 'arch %s\\nnow %s\\n' \"$(dpkg --print-architecture)\" \"$(date +%s)\"\n\
             if command -v aptitude >/dev/null 2>&1; then printf 'aptitude yes\\n'; fi\n{CACHE_TIME}{}",
            look_script(&specs(&call.args), call.args.str("default_release"))
        )))
    }

    fn simulate(&self, call: &Call, seen: &Seen) -> Result<Option<String>, Failure> {
        let report = Report::of(seen)?;
        let job = job(call, &Look::of(&report)?)?;
        if let Job::Deb(file) = &job {
            return Ok((!file.contains("://"))
                .then(|| format!("{ENVIRONMENT}{}", apt_deb::script(&call.args, file, true))));
        }
        Ok(command(&call.args, &report, &job, true)
            .map(|command| format!("{ENVIRONMENT}{command} </dev/null\n")))
    }

    fn prepare(&self, call: &Call, seen: &Seen) -> Result<Option<Run>, Failure> {
        let report = Report::of(seen)?;
        if !must_update(&call.args, &report, &Look::of(&report)?)? {
            return Ok(None);
        }
        Ok(Some(Run {
            script: format!(
                "{ENVIRONMENT}{}printf 'arch %s\\n' \"$(dpkg --print-architecture)\"\n{CACHE_TIME}{}",
                update_script(&call.args),
                look_script(&specs(&call.args), call.args.str("default_release"))
            ),
            long: true,
            ..Run::default()
        }))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let first = Look::of(&report)?;
        let fetched_before = first.cache_time;
        let updates = must_update(args, &report, &first)?;
        let mut warnings = Vec::new();
        let look = match &seen.more {
            Some(more) if updates && !call.check => {
                let again = Report::of(more)?;
                warnings.extend(again.all("warning").map(str::to_string));
                Look::of(&again)?
            }
            _ => first,
        };
        let updated = updates && (call.check || look.cache_time != fetched_before);
        let mut cache = Map::new();
        cache.insert("cache_updated", updated);
        cache.insert("cache_update_time", look.cache_time as i128);
        let job = job(call, &look)?;
        let mut prediction = of_job(call, &report, &job, seen.more.as_deref())?;
        if matches!(job, Job::Nothing | Job::Install { .. } | Job::BuildDep(_)) {
            cache.extend(prediction.result);
            prediction.result = cache;
        }
        if matches!(job, Job::Nothing) && args.list("package").is_none_or(<[Value]>::is_empty) && updated {
            prediction.effect = Effect::Change;
        }
        prediction.warnings.extend(warnings);
        Ok(prediction)
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let args = &call.args;
        // The marks of packages: nothing that counts.
        if prediction.effect == Effect::Same {
            return failed_first(ran).map_or_else(|| Ok(prediction.into_outcome()), Err);
        }
        let [before, done, rest @ ..] = ran else {
            return failed_first(ran).map_or_else(|| Ok(prediction.into_outcome()), Err);
        };
        if args.has("deb") {
            return apt_deb::finish(prediction, before, done, rest);
        }
        put_output(&mut prediction.result, done);
        if done.rc != 0 {
            return Err(failure(
                prediction.result.remove("cmd").map(|c| c.to_text()).unwrap_or_default().as_str(),
                done,
            ));
        }
        prediction.result.remove("cmd");
        if let Some(after) = rest.first() {
            let change = SetChange::between(&before.stdout, &after.stdout);
            prediction.diff = change.diff().into_iter().collect();
        }
        judge(call, &mut prediction, &text(&done.stdout));
        Ok(prediction.into_outcome())
    }
}

/// Refuses what no target has to be asked for.
fn check(args: &Args) -> Result<(), Failure> {
    if args.has("deb") && args.str("state") != Some("present") {
        return Err(Failure::new("deb only supports state=present"));
    }
    let names: Vec<String> = args.texts("package");
    if names.iter().any(|n| n == "*") && args.str("state") == Some("latest") && names.iter().any(|n| n != "*")
    {
        return Err(Failure::new(
            "unable to install additional packages when upgrading all installed packages",
        ));
    }
    match names.iter().find(|n| n.matches('=').count() > 1) {
        Some(name) => Err(Failure::new(format!("invalid package spec: {name}"))),
        None => Ok(()),
    }
}

fn specs(args: &Args) -> Vec<Spec> {
    args.texts("package")
        .iter()
        .map(|n| n.trim())
        .filter(|n| *n != "*" && !n.is_empty())
        .map(Spec::parse)
        .collect()
}

/// Whether the lists of packages are to be fetched.
fn must_update(args: &Args, report: &Report, look: &Look) -> Result<bool, Failure> {
    let valid = i64::try_from(args.int("cache_valid_time").unwrap_or(0)).unwrap_or(i64::MAX);
    if !args.flag("update_cache") && valid == 0 {
        return Ok(false);
    }
    let now: i64 = report.need("now")?.trim().parse().unwrap_or(i64::MAX);
    Ok(look.cache_time.saturating_add(valid) < now || valid == 0)
}

fn job(call: &Call, look: &Look) -> Result<Job, Failure> {
    let args = &call.args;
    let specs = specs(args);
    let upgrades = args.str("upgrade").is_some_and(|u| u != "no");
    let nothing_else = specs.is_empty() && !upgrades && !args.has("deb");
    let all = args.texts("package").iter().any(|n| n == "*");
    if nothing_else && !all && args.flag("clean") {
        return Ok(Job::Clean);
    }
    if nothing_else && !all && (args.flag("update_cache") || args.int("cache_valid_time").unwrap_or(0) > 0) {
        return Ok(Job::Nothing);
    }
    if upgrades || (all && args.str("state") == Some("latest")) {
        return Ok(Job::Upgrade);
    }
    if let Some(file) = args.str("deb") {
        return Ok(Job::Deb(crate::modules::sh::expand_path(call, file)?.replacen("./http", "http", 1)));
    }
    if specs.is_empty() {
        return Ok(match () {
            () if args.flag("autoclean") => Job::Cleanup("autoclean"),
            () if args.flag("autoremove") => Job::Cleanup("autoremove"),
            () => Job::Nothing,
        });
    }
    let (specs, removed) = foresee(call, look.expand(&specs).map_err(|f| not_found_yet(call, f))?)?;
    let job = match args.str("state") {
        Some("absent") => Job::Remove(look.to_remove(&specs, args.flag("purge"))?),
        Some("build-dep") => Job::BuildDep(specs.into_iter().map(|s| s.text).collect()),
        state => {
            let latest = state == Some("latest");
            let words = look.to_install(&specs, latest, args.flag("only_upgrade"));
            Job::Install {
                words: [words.map_err(|f| not_found_yet(call, f))?, removed].concat(),
                mark: specs.iter().map(|s| s.name.clone()).filter(|n| look.is_automatic(n)).collect(),
            }
        }
    };
    Ok(job)
}

/// Takes out what earlier steps of a plan will have done; the second part are packages that they take away and that are
/// wanted again.
fn foresee(call: &Call, specs: Vec<Spec>) -> Result<(Vec<Spec>, Vec<String>), Failure> {
    let absent = call.args.str("state") == Some("absent");
    let (mut kept, mut removed) = (Vec::new(), Vec::new());
    for spec in specs {
        match (foreseen(call, &spec.name)?, absent) {
            (Foreseen::AsSeen, _) | (Foreseen::Installed, true) => kept.push(spec),
            (Foreseen::Installed, false) | (Foreseen::Removed, true) => {}
            (Foreseen::Removed, false) => removed.push(spec.text),
        }
    }
    Ok((kept, removed))
}

/// Returns the command of a job; nothing when there is nothing to run.
fn command(args: &Args, report: &Report, job: &Job, simulate: bool) -> Option<String> {
    let mut dpkg = String::new();
    for option in args.str("dpkg_options").unwrap_or_default().split(',').filter(|o| !o.is_empty()) {
        add!(dpkg, " -o {}", q(&format!("Dpkg::Options::=--{option}")));
    }
    add!(dpkg, " -o DPkg::Lock::Timeout={}", args.int("lock_timeout").unwrap_or(60));
    let flag = |name: &str, option: &str| if args.flag(name) { format!(" {option}") } else { String::new() };
    let quoted = |words: &[String]| words.iter().map(|w| format!(" {}", q(w))).collect::<String>();
    let simulate = if simulate { SIMULATE } else { "" };
    let force = flag("force", "--force-yes");
    let release = args.str("default_release").map(|r| format!(" -t {}", q(r))).unwrap_or_default();
    let tail = || {
        let recommends = match args.bool("install_recommends") {
            Some(true) => " -o APT::Install-Recommends=yes",
            Some(false) => " -o APT::Install-Recommends=no",
            None => "",
        };
        format!(
            "{release}{recommends}{}{}{}",
            flag("allow_unauthenticated", "--allow-unauthenticated"),
            flag("allow_downgrade", "--allow-downgrades"),
            flag("allow_change_held_packages", "--allow-change-held-packages")
        )
    };
    let common = || {
        format!(
            "{}{}{force}{}{simulate}",
            flag("only_upgrade", "--only-upgrade"),
            if args.str("state") == Some("fixed") { " --fix-broken" } else { "" },
            flag("fail_on_autoremove", "--no-remove")
        )
    };
    Some(match job {
        Job::Nothing | Job::Deb(_) => return None,
        Job::Install { words, .. } | Job::Remove(words) if words.is_empty() => return None,
        Job::Install { words, .. } => format!(
            "apt-get -y{dpkg}{}{} install{}{}",
            common(),
            flag("autoremove", "--auto-remove"),
            quoted(words),
            tail()
        ),
        Job::BuildDep(words) => format!("apt-get -y{dpkg}{} build-dep{}{}", common(), quoted(words), tail()),
        Job::Remove(words) => format!(
            "apt-get -q -y{dpkg}{}{force}{}{simulate}{} remove{}",
            flag("purge", "--purge"),
            flag("autoremove", "--auto-remove"),
            flag("allow_change_held_packages", "--allow-change-held-packages"),
            quoted(words)
        ),
        Job::Cleanup(verb) => {
            format!("apt-get -y{dpkg}{}{force} {verb}{simulate}", flag("purge", "--purge"))
        }
        // This one cannot be simulated.
        Job::Clean if !simulate.is_empty() => return None,
        Job::Clean => "apt-get clean".to_string(),
        Job::Upgrade => {
            let aptitude = report.get("aptitude").is_some() && !args.flag("force_apt_get");
            let unauthenticated = flag("allow_unauthenticated", "--allow-unauthenticated");
            let no_remove = flag("fail_on_autoremove", "--no-remove");
            let downgrade = flag("allow_downgrade", "--allow-downgrades");
            let autoremove = flag("autoremove", "--auto-remove");
            match (args.str("upgrade"), aptitude) {
                (Some("dist"), _) | (Some("full"), false) => format!(
                    "apt-get -y{dpkg}{force}{no_remove}{unauthenticated}{downgrade}{simulate} dist-upgrade{autoremove}{release}"
                ),
                (mode, true) => format!(
                    "aptitude -y{dpkg}{}{unauthenticated}{simulate} {}{release}",
                    if force.is_empty() { "" } else { " --assume-yes --allow-untrusted" },
                    if mode == Some("full") { "full-upgrade" } else { "safe-upgrade" }
                ),
                _ => format!(
                    "apt-get -y{dpkg}{force}{no_remove}{unauthenticated}{downgrade}{simulate} upgrade --with-new-pkgs{autoremove}{release}"
                ),
            }
        }
    })
}

/// Predicts one job; `more` is what a simulation said.
fn of_job(call: &Call, report: &Report, job: &Job, more: Option<&Seen>) -> Result<Prediction, Failure> {
    let args = &call.args;
    if let Job::Deb(file) = job {
        return apt_deb::plan(call, file, more.filter(|_| call.check));
    }
    let Some(command) = command(args, report, job, false) else {
        let mark = match job {
            Job::Install { mark, .. } => mark.as_slice(),
            _ => &[],
        };
        return Ok(match mark {
            [] => Prediction::same(Map::new()),
            names => {
                let mut prediction = Prediction::change(Map::new(), vec![mark_manual(names)]);
                prediction.effect = Effect::Same;
                prediction
            }
        });
    };
    let mut actions = vec![
        Action::run(if args.flag("clean") {
            format!("apt-get clean >/dev/null\n{LIST_DPKG}")
        } else {
            LIST_DPKG.to_string()
        }),
        Action::Run(Run {
            script: format!("{ENVIRONMENT}{}", with_policy(args, &format!("{command} </dev/null\n"))),
            long: true,
            ..Run::default()
        }),
        Action::run(LIST_DPKG),
    ];
    if let Job::Install { words, mark } = job {
        let names: Vec<String> =
            words.iter().filter_map(|w| w.split('=').next()).map(str::to_string).collect();
        let automatic = mark.iter().filter(|m| !names.contains(m)).cloned().collect();
        actions.push(mark_manual(&[names, automatic].concat()));
    }
    let touches = match job {
        Job::Install { words, .. } => touched(words, true),
        Job::Remove(words) => touched(words, false),
        _ => Vec::new(),
    };
    let mut prediction = match job {
        Job::Install { .. } | Job::Remove(_) | Job::Clean => Prediction::change(Map::new(), actions),
        _ => Prediction::unknown(Map::new(), actions),
    };
    prediction.touches = touches;
    if !call.check {
        // Needed for the message of a failure; taken out again.
        prediction.result.insert("cmd", command);
        return Ok(prediction);
    }
    if let Some(simulated) = more {
        let output = text(&simulated.stdout);
        prediction.result.insert("stdout", output.as_str());
        prediction.result.insert("stderr", text(&simulated.stderr));
        if simulated.rc != 0 {
            let shown = Output {
                rc: simulated.rc,
                stdout: simulated.stdout.clone(),
                stderr: simulated.stderr.clone(),
                ..Output::default()
            };
            return Err(failure(&command, &shown));
        }
        let change = simulated_change(&output, report.get("arch").unwrap_or_default());
        prediction.touches.extend(change.touches());
        prediction.diff = change.diff().into_iter().collect();
        prediction.effect = Effect::Change;
        judge(call, &mut prediction, &output);
    }
    Ok(prediction)
}

fn touched(words: &[String], installed: bool) -> Vec<Touch> {
    let name = |word: &String| word.split(['=', '>']).next().unwrap_or_default().to_string();
    words.iter().map(|word| Touch::Package { name: name(word), installed }).collect()
}

/// Decides from the tool's words whether anything changes, and shows what it prepared.
fn judge(call: &Call, prediction: &mut Prediction, output: &str) {
    let args = &call.args;
    let upgrades =
        args.str("upgrade").is_some_and(|u| u != "no") || args.texts("package").iter().any(|n| n == "*");
    let idle = (output.contains("\n0 upgraded, 0 newly installed, 0 to remove")
        || output.contains("\n0 packages upgraded, 0 newly installed, 0 to remove"))
        && !output.contains("not fully installed or removed.");
    let changes = if !upgrades && specs(args).is_empty() {
        if args.flag("autoclean") {
            output.contains("Del ")
        } else {
            !args.flag("autoremove") || output.contains("The following packages will be REMOVED")
        }
    } else {
        !idle
    };
    prediction.effect = if changes { Effect::Change } else { Effect::Same };
    if upgrades {
        prediction.result.insert("msg", output);
    }
    if call.diff && changes {
        prediction.result.insert("diff", Map::from_iter([("prepared", prepared(output))]));
    }
}

/// Returns what a tool said that it would do: from the end of its considerations to the sum.
fn prepared(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let start = ["Resolving dependencies...", "Reading state information..."]
        .iter()
        .find_map(|mark| lines.iter().position(|l| l == mark))
        .map_or(0, |at| at + 1);
    let sum = |line: &&str| {
        let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
        rest.len() < line.len() && (rest.starts_with(" upgraded") || rest.starts_with(" packages upgraded"))
    };
    let end = lines.iter().position(sum).map_or(lines.len(), |at| at + 1);
    lines.get(start..end).unwrap_or_default().join("\n")
}

/// Reads the lines of a simulation.
pub fn simulated_change(output: &str, native: &str) -> SetChange {
    let mut change = SetChange::default();
    for line in output.lines() {
        let mut words = line.split(' ');
        let (Some(verb), Some(name)) = (words.next(), words.next()) else { continue };
        let old = line.split_once(" [").and_then(|(_, rest)| rest.split_once(']')).map(|(v, _)| v);
        let (bare, foreign) = name.split_once(':').unwrap_or((name, native));
        let full = |arch: &str| {
            if arch == native || arch == "all" { bare.to_string() } else { format!("{bare}:{arch}") }
        };
        match verb {
            "Inst" => {
                let Some((_, rest)) = line.split_once(" (") else { continue };
                let inside = rest.split(')').next().unwrap_or_default();
                let version = inside.split(' ').next().unwrap_or_default();
                let arch = inside.rsplit_once('[').map_or(native, |(_, a)| a.trim_end_matches(']'));
                let full = full(arch);
                if let Some(old) = old.filter(|_| line.find(" [") < line.find(" (")) {
                    change.remove(&full, old);
                }
                change.add(&full, version);
            }
            // Without a version only configuration is left of it.
            "Remv" | "Purg" => {
                if let Some(old) = old {
                    change.remove(&full(foreign), old);
                }
            }
            _ => {}
        }
    }
    change
}

/// Wraps a command so that packages that want to start services get this answer meanwhile.
pub fn with_policy(args: &Args, command: &str) -> String {
    let Some(code) = args.int("policy_rc_d") else { return command.to_string() };
    format!(
        "xp_policy=/usr/sbin/policy-rc.d; xp_kept=\n\
         if [ -e \"$xp_policy\" ]; then xp_kept=$(mktemp -d) && xp_do 'put policy-rc.d aside' mv \"$xp_policy\" \"$xp_kept/policy-rc.d\"; fi\n\
         trap 'if [ -n \"$xp_kept\" ]; then mv -f \"$xp_kept/policy-rc.d\" \"$xp_policy\"; rmdir \"$xp_kept\"; else rm -f \"$xp_policy\"; fi' EXIT\n\
         trap 'exit 129' HUP\ntrap 'exit 130' INT\ntrap 'exit 143' TERM\n\
         printf '#!/bin/sh\\nexit {code}\\n' >\"$xp_policy\" && chmod 755 \"$xp_policy\"\n{command}"
    )
}

fn mark_manual(names: &[String]) -> Action {
    let words: String = names.iter().map(|n| format!(" {}", q(n))).collect();
    Action::run(format!(
        "{ENVIRONMENT}if command -v apt-mark >/dev/null 2>&1; then xp_do 'mark packages as manually installed' apt-mark manual{words}; fi\n"
    ))
}

pub fn failure(command: &str, output: &Output) -> Failure {
    let stderr = text(&output.stderr);
    Failure::new(format!("'{command}' failed: {stderr}"))
        .with("rc", output.rc)
        .with("stdout", text(&output.stdout))
        .with("stderr", stderr)
}

fn failed_first(ran: &[Output]) -> Option<Failure> {
    ran.iter().find(|o| o.rc != 0).map(Failure::from_output)
}

#[cfg(test)]
#[path = "apt_tests.rs"]
mod tests;
