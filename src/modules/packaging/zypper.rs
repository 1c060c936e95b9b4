//! `zypper`: packages of SUSE.

use super::set::{Foreseen, SetChange, foreseen, not_found_yet, text};
use crate::modules::sh::{Report, q};
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Effect, Failure, Module, ModuleSpec, Outcome, Prediction, Run,
    Seen, Touch, words,
};
use crate::transport::Output;
use crate::value::{Map, Unknown, Value};

pub static SPEC: ModuleSpec = ModuleSpec {
    name: "zypper",
    namespaces: &["community.general"],
    about: "Installs and removes packages of SUSE.",
    args: &[
        ArgSpec::new("name", ArgKind::StrList, "Packages, with versions, as files or URLs; * means all.")
            .required()
            .aliases(&["pkg"]),
        ArgSpec::new("state", ArgKind::Str, "Whether they are installed, or newest.")
            .default("present")
            .choices(&["absent", "installed", "latest", "present", "removed", "dist-upgrade"]),
        ArgSpec::new("type", ArgKind::Str, "What the names are names of.").default("package").choices(&[
            "package",
            "patch",
            "pattern",
            "product",
            "srcpackage",
            "application",
        ]),
        ArgSpec::new("extra_args_precommand", ArgKind::Str, "More options before the command."),
        ArgSpec::new("disable_gpg_check", ArgKind::Bool, "Do not check signatures.").default("no"),
        ArgSpec::new("disable_recommends", ArgKind::Bool, "Do not install what packages recommend.")
            .default("yes"),
        ArgSpec::new("force", ArgKind::Bool, "Allow downgrades and changes of vendor or architecture.")
            .default("no"),
        ArgSpec::new("force_resolution", ArgKind::Bool, "Let the tool solve conflicts.").default("no"),
        ArgSpec::new("update_cache", ArgKind::Bool, "Fetch the lists of packages first.")
            .default("no")
            .aliases(&["refresh"]),
        ArgSpec::new("oldpackage", ArgKind::Bool, "Allow downgrades.").default("no"),
        ArgSpec::new("extra_args", ArgKind::Str, "More options after the command."),
        ArgSpec::new("allow_vendor_change", ArgKind::Bool, "With dist-upgrade: allow changes of vendor.")
            .default("no"),
        ArgSpec::new("replacefiles", ArgKind::Bool, "Allow files of other packages to be replaced.")
            .default("no"),
        ArgSpec::new("clean_deps", ArgKind::Bool, "Remove what nothing needs any more.").default("no"),
        ArgSpec::new("simple_errors", ArgKind::Bool, "Return messages as text instead of XML.").default("no"),
        ArgSpec::new("quiet", ArgKind::Bool, "Let the tool say little.").default("yes"),
    ],
    returns: &[
        ("name", "the packages as given"),
        ("state", "as asked for"),
        ("update_cache", "as asked for"),
        ("cmd", "the command"),
        ("rc", "its exit code"),
        ("stdout", "what it printed"),
        ("stderr", "what it printed on standard error"),
    ],
    ..ModuleSpec::BASE
};

pub struct Zypper;

/// A package as asked for.
struct Package {
    /// Removes it in a run that installs others.
    removes: bool,
    prefix: &'static str,
    name: String,
    version: String,
}

impl Package {
    fn parse(text: &str) -> Self {
        let (prefix, rest) = match text.chars().next() {
            Some('-' | '~') => ("-", &text[1..]),
            Some('+') => ("+", &text[1..]),
            _ => ("", text),
        };
        let at = rest.find(['<', '>', '=']).unwrap_or(rest.len());
        let plain = rest[at..].trim_start_matches(['<', '>', '=']);
        let (name, version) = if plain.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-')) {
            rest.split_at(at)
        } else {
            (rest, "")
        };
        Package { removes: prefix == "-", prefix, name: name.to_string(), version: version.to_string() }
    }
}

fn names(args: &Args) -> Vec<String> {
    args.texts("name").into_iter().filter(|n| !n.is_empty()).collect()
}

fn is_file(name: &str) -> bool {
    name.contains("://") || name.ends_with(".rpm")
}

/// What is to do.
enum Job {
    Nothing,
    Run(Vec<String>),
}

impl Module for Zypper {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        check(args)?;
        let packages: String = names(args)
            .iter()
            .filter(|n| !is_file(n) && *n != "*")
            .map(|n| format!(" {}", q(&Package::parse(n).name)))
            .collect();
        let mut script = String::from(
            "export LC_ALL=C LANG=C LC_MESSAGES=C\ncommand -v zypper >/dev/null 2>&1 || xp_fail 'Failed to find required executable \"zypper\" on the target'\n\
             if [ -e /usr/sbin/transactional-update ] && grep -q '^[^ ]* / btrfs ro[, ]' /proc/mounts; then printf 'transactional yes\\n'; fi\n",
        );
        if !packages.is_empty() {
            add!(
                script,
                "xp_o=$(zypper --non-interactive --xmlout --quiet --disable-repositories search --type {} --match-exact --details --installed-only{packages} </dev/null 2>/dev/null); xp_rc=$?\n\
                 case $xp_rc in 0|104) ;; *) xp_fail \"Zypper run command failed with return code $xp_rc.\" ;; esac\nprintf 'content\\n%s\\n' \"$xp_o\"\n",
                q(args.str("type").unwrap_or("package"))
            );
        }
        Ok(Some(script))
    }

    fn simulate(&self, call: &Call, seen: &Seen) -> Result<Option<String>, Failure> {
        let report = Report::of(seen)?;
        Ok(match job(call, &report)? {
            Job::Nothing => None,
            Job::Run(_) if report.get("transactional").is_some() => None,
            Job::Run(mut words) => {
                let at = words.iter().position(|w| COMMANDS.contains(&w.as_str())).unwrap_or(0);
                words.insert(at + 1, "--dry-run".to_string());
                Some(format!("export LC_ALL=C\n{}", run(&words)))
            }
        })
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let mut result = Map::from_iter([
            ("name", Value::from(names(args))),
            ("state", Value::from(args.str("state").map(str::to_string))),
            ("update_cache", args.flag("update_cache").into()),
        ]);
        let long = |script: String| Action::Run(Run { script, long: true, ..Run::default() });
        let refresh = args.flag("update_cache").then(|| {
            let words = command(args, "refresh", report.get("transactional").is_some());
            long(format!("export LC_ALL=C\n{}", run(&words)))
        });
        let words = match job(call, &report)? {
            Job::Run(words) => words,
            Job::Nothing => {
                result.insert("rc", 0);
                let Some(refresh) = refresh else { return Ok(Prediction::same(result)) };
                let mut prediction = Prediction::change(result, vec![refresh]);
                prediction.effect = Effect::Same;
                return Ok(prediction);
            }
        };
        result.insert("cmd", words.clone());
        let mut actions: Vec<Action> = refresh.into_iter().collect();
        actions.push(long(format!("export LC_ALL=C\n{}", run(&words))));
        let mut prediction = Prediction::unknown(result, actions);
        let installed = !matches!(args.str("state"), Some("absent" | "removed"));
        for name in names(args).iter().filter(|n| !is_file(n) && *n != "*") {
            let package = Package::parse(name);
            prediction
                .touches
                .push(Touch::Package { installed: installed && !package.removes, name: package.name });
        }
        if let (true, Some(more)) = (call.check, &seen.more) {
            let output = Output { rc: more.rc, stdout: more.stdout.clone(), ..Output::default() };
            take(args, &mut prediction, &output).map_err(|failure| not_found_yet(call, failure))?;
        }
        Ok(prediction)
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let planned = prediction.change.as_ref().map_or(0, |c| c.actions.len());
        if ran.len() < planned || prediction.effect == Effect::Same {
            if let Some(output) = ran.iter().find(|o| o.rc != 0) {
                let (_, stdout) = split_rc(&text(&output.stdout));
                return Err(Failure::new("Zypper refresh run failed.")
                    .with("rc", output.rc)
                    .with("stdout", stdout)
                    .with("stderr", text(&output.stderr)));
            }
            return Ok(prediction.into_outcome());
        }
        if let Some(output) = ran.last() {
            take(&call.args, &mut prediction, output)?;
        }
        Ok(prediction.into_outcome())
    }
}

fn check(args: &Args) -> Result<(), Failure> {
    let names = names(args);
    let absent = matches!(args.str("state"), Some("absent" | "removed"));
    if args.str("state") == Some("dist-upgrade") && names != ["*"] {
        return Err(Failure::new("Can not dist-upgrade specific packages."));
    }
    if absent && names.iter().any(|n| n.starts_with('+')) {
        return Err(Failure::new("Can not combine '+' prefix with state=remove/absent."));
    }
    if absent && names.iter().any(|n| is_file(n)) {
        return Err(Failure::new("Can not remove via URL."));
    }
    if absent && args.str("type") == Some("patch") {
        return Err(Failure::new("Can not remove patches."));
    }
    Ok(())
}

fn job(call: &Call, report: &Report) -> Result<Job, Failure> {
    let args = &call.args;
    let names = names(args);
    let transactional = report.get("transactional").is_some();
    let state = args.str("state").unwrap_or_default();
    if names == ["*"] && matches!(state, "latest" | "dist-upgrade") {
        let verb = match (args.str("type"), state) {
            (Some("patch"), _) => "patch",
            (_, "dist-upgrade") => "dist-upgrade",
            _ => "update",
        };
        return Ok(Job::Run(command(args, verb, transactional)));
    }
    let xml = text(report.content.as_deref().unwrap_or_default());
    let installed: Vec<String> =
        solvables(&xml).iter().filter_map(|s| s.get("name").map(str::to_string)).collect();
    let is_there = |package: &Package| -> Result<bool, Failure> {
        Ok(match foreseen(call, &package.name)? {
            Foreseen::Installed => true,
            Foreseen::Removed => false,
            Foreseen::AsSeen => installed.contains(&package.name),
        })
    };
    let absent = matches!(state, "absent" | "removed");
    let mut chosen = Vec::new();
    for name in names.iter().filter(|n| !is_file(n)) {
        let package = Package::parse(name);
        let there = is_there(&package)?;
        // The world knows that it will be there, not in which version.
        let asks_version = !absent && !package.removes && (state == "latest" || !package.version.is_empty());
        if asks_version && foreseen(call, &package.name)? == Foreseen::Installed {
            let cause = format!("which version of {} an earlier step installs", package.name);
            return Err(Failure::unknown(Unknown { cause: cause.into() }));
        }
        let wanted = match state {
            _ if absent => there,
            "latest" => true,
            _ => !package.version.is_empty() || package.removes == there,
        };
        if wanted {
            chosen.push(package);
        }
    }
    let files: Vec<&String> = names.iter().filter(|n| is_file(n)).collect();
    if chosen.is_empty() && files.is_empty() {
        return Ok(Job::Nothing);
    }
    let mut words = command(args, if absent { "remove" } else { "install" }, transactional);
    if absent {
        words.extend(chosen.iter().map(|p| format!("{}{}", p.name, p.version)));
        return Ok(Job::Run(words));
    }
    let versions = names.iter().any(|n| !is_file(n) && !Package::parse(n).version.is_empty());
    if versions && !args.flag("oldpackage") {
        words.push("--oldpackage".to_string());
    }
    words.push("--".to_string());
    words.extend(files.into_iter().cloned());
    words.extend(chosen.iter().map(|p| {
        let prefix = if p.prefix.is_empty() { "+" } else { p.prefix };
        format!("{prefix}{}{}", p.name, p.version)
    }));
    Ok(Job::Run(words))
}

const COMMANDS: &[&str] = &["install", "update", "patch", "dist-upgrade", "remove", "refresh"];

/// Returns the words of a command up to its packages.
fn command(args: &Args, verb: &str, transactional: bool) -> Vec<String> {
    let is_install = matches!(verb, "install" | "update" | "patch" | "dist-upgrade");
    let mut words: Vec<String> = Vec::new();
    let mut push = |word: &str| words.push(word.to_string());
    if transactional {
        ["transactional-update", "--continue", "--drop-if-no-change", "--quiet", "run"]
            .into_iter()
            .for_each(&mut push);
    }
    ["zypper", "--non-interactive", "--xmlout"].into_iter().for_each(&mut push);
    if args.flag("quiet") {
        push("--quiet");
    }
    args.str("extra_args_precommand").unwrap_or_default().split_whitespace().for_each(&mut push);
    if (is_install || verb == "refresh") && args.flag("disable_gpg_check") {
        push("--no-gpg-checks");
    }
    push(verb);
    if !matches!(verb, "patch" | "dist-upgrade" | "refresh") {
        push("--type");
        push(args.str("type").unwrap_or("package"));
    }
    if is_install {
        push("--auto-agree-with-licenses");
        for (name, option) in [
            ("disable_recommends", "--no-recommends"),
            ("force", "--force"),
            ("force_resolution", "--force-resolution"),
            ("oldpackage", "--oldpackage"),
            ("replacefiles", "--replacefiles"),
        ] {
            if args.flag(name) {
                push(option);
            }
        }
    }
    if verb == "remove" && args.flag("clean_deps") {
        push("--clean-deps");
    }
    if verb == "dist-upgrade" && args.flag("allow_vendor_change") {
        push("--allow-vendor-change");
    }
    if verb != "refresh" {
        let extra = args.str("extra_args").unwrap_or_default();
        // Quotes in them count as in a shell; broken ones are left to the tool to complain about.
        let split = words::split(extra).unwrap_or_else(|_| extra.split(' ').map(str::to_string).collect());
        split.iter().for_each(|word| push(word));
    }
    words
}

/// Returns the script of a command: run again when the tool replaced itself, its exit code on the last line.
fn run(words: &[String]) -> String {
    let line: String = words.iter().map(|w| format!(" {}", q(w))).collect();
    format!(
        "set --{line}\n\"$@\" </dev/null; xp_rc=$?\nif [ $xp_rc -eq 103 ]; then \"$@\" </dev/null; xp_rc=$?; fi\nprintf '\\nxp_rc %s\\n' $xp_rc\n\
         case $xp_rc in 0|102|106) exit 0 ;; *) exit $xp_rc ;; esac\n"
    )
}

fn split_rc(stdout: &str) -> (i32, String) {
    match stdout.rsplit_once("\nxp_rc ") {
        Some((text, rc)) => (rc.trim().parse().unwrap_or(1), text.to_string()),
        None => (1, stdout.to_string()),
    }
}

/// Puts what the tool said into a prediction.
fn take(args: &Args, prediction: &mut Prediction, output: &Output) -> Result<(), Failure> {
    let (rc, stdout) = split_rc(&text(&output.stdout));
    let messages = messages(&stdout);
    let shown = if args.flag("simple_errors") && !messages.is_empty() {
        messages.join(" \n")
    } else {
        stdout.clone()
    };
    let command = prediction.result.get("cmd").cloned().unwrap_or_default();
    if !matches!(rc, 0 | 102 | 103) {
        let msg = match rc {
            104 => messages.last().cloned().unwrap_or_default(),
            _ => format!("Zypper run command failed with return code {rc}."),
        };
        return Err(Failure::new(msg)
            .with("rc", rc)
            .with("stdout", shown)
            .with("stderr", text(&output.stderr))
            .with("cmd", command));
    }
    let mut change = SetChange::default();
    let mut prepared: Vec<(&str, Vec<String>)> =
        vec![("installed", vec![]), ("removed", vec![]), ("upgraded", vec![])];
    for solvable in solvables(&stdout) {
        let (Some(name), Some(edition)) = (solvable.get("name"), solvable.get("edition")) else { continue };
        let arch = solvable.get("arch").unwrap_or("noarch");
        let key = format!("{name}.{arch}");
        match solvable.parent.as_str() {
            "to-install" => {
                change.add(&key, edition);
                prepared[0].1.push(name.to_string());
            }
            "to-remove" => {
                change.remove(&key, edition);
                prepared[1].1.push(name.to_string());
            }
            group if group.starts_with("to-upgrade") || group.starts_with("to-downgrade") => {
                let old = solvable.get("edition-old").unwrap_or_default();
                change.remove(&key, old);
                change.add(&key, edition);
                prepared[2].1.push(format!("{name} ({old} => {edition})"));
            }
            _ => {}
        }
    }
    prediction.result.insert("rc", rc);
    prediction.touches.extend(change.touches());
    prediction.effect = if change.is_empty() { Effect::Same } else { Effect::Change };
    if change.is_empty() {
        prediction.touches.clear();
        return Ok(());
    }
    prediction.diff = change.diff().into_iter().collect();
    prediction.result.insert("stdout", shown);
    prediction.result.insert("stderr", text(&output.stderr));
    let lines: String = prepared
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(state, names)| format!("{state}: {}\n", names.join(", ")))
        .collect();
    prediction.result.insert("diff", Map::from_iter([("prepared", lines)]));
    Ok(())
}

/// An element `solvable` of the tool's XML.
#[derive(Debug, Default)]
struct Solvable {
    parent: String,
    attributes: Vec<(String, String)>,
}

impl Solvable {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }
}

/// Reads the tool's XML as far as needed: elements, their attributes and parents.
fn solvables(xml: &str) -> Vec<Solvable> {
    let mut found = Vec::new();
    let mut open: Vec<String> = Vec::new();
    for tag in xml.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if tag.starts_with('/') {
            open.pop();
            continue;
        }
        let name = tag.split([' ', '/', '\n', '\t']).next().unwrap_or_default();
        if name == "solvable" {
            let parent = open.last().cloned().unwrap_or_default();
            found.push(Solvable { parent, attributes: attributes(&tag[name.len()..]) });
        }
        if !tag.ends_with('/') {
            open.push(name.to_string());
        }
    }
    found
}

fn attributes(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let Some((value, next)) = after.split_once('"') else { break };
        let value =
            value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
        found.push((name.trim().to_string(), value));
        rest = next;
    }
    found
}

fn messages(xml: &str) -> Vec<String> {
    xml.split("<message")
        .skip(1)
        .filter_map(|part| Some(part.split_once('>')?.1.split("</message>").next()?.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    const SEEN: &str = "content\n<?xml version='1.0'?>\n<stream>\n<search-result version=\"0.0\">\n<solvable-list>\n<solvable status=\"installed\" name=\"vim\" kind=\"package\" edition=\"9.0-1\" arch=\"x86_64\" repository=\"x\"/>\n</solvable-list>\n</search-result>\n</stream>\n";

    fn check(given: &[(&str, &str)], expect: &str) {
        let got = match Case::new(&Zypper, args(given)).plan(SEEN) {
            Err(failure) => failure.msg,
            Ok(prediction) => scripts(&prediction)
                .last()
                .map_or("-".to_string(), |s| s.lines().nth(1).unwrap_or_default().replace(['\''], "")),
        };
        assert_eq!(got, expect, "{given:?}");
    }

    #[test]
    fn installs_and_removes() {
        let start = "set -- zypper --non-interactive --xmlout --quiet";
        check(&[("name", "vim")], "-");
        check(
            &[("name", "vim,git"), ("disable_gpg_check", "yes")],
            &format!(
                "{start} --no-gpg-checks install --type package --auto-agree-with-licenses --no-recommends -- +git"
            ),
        );
        check(
            &[("name", "vim>=9.1"), ("disable_recommends", "no")],
            &format!("{start} install --type package --auto-agree-with-licenses --oldpackage -- +vim>=9.1"),
        );
        check(
            &[("name", "vim"), ("state", "absent"), ("clean_deps", "yes")],
            &format!("{start} remove --type package --clean-deps vim"),
        );
        check(&[("name", "git"), ("state", "removed")], "-");
        check(
            &[("name", "-vim,+git")],
            &format!(
                "{start} install --type package --auto-agree-with-licenses --no-recommends -- -vim +git"
            ),
        );
        check(
            &[("name", "*"), ("state", "dist-upgrade"), ("extra_args", "--allow-arch-change")],
            &format!("{start} dist-upgrade --auto-agree-with-licenses --no-recommends --allow-arch-change"),
        );
        check(&[("name", "x"), ("state", "dist-upgrade")], "Can not dist-upgrade specific packages.");
        check(&[("name", "x.rpm"), ("state", "absent")], "Can not remove via URL.");
    }

    #[test]
    fn output_is_judged() {
        let mut prediction = Prediction::unknown(Map::new(), Vec::new());
        let xml = "<stream>\n<install-summary>\n<to-upgrade>\n<solvable type=\"package\" name=\"vim\" edition=\"9.1-1\" arch=\"x86_64\" edition-old=\"9.0-1\"/>\n</to-upgrade>\n<to-install>\n<solvable type=\"package\" name=\"git\" edition=\"2-1\" arch=\"noarch\"/>\n</to-install>\n</install-summary>\n</stream>\n\nxp_rc 0\n";
        let args = Args::default();
        take(&args, &mut prediction, &Output { stdout: xml.into(), ..Output::default() }).unwrap();
        assert_eq!(prediction.effect, Effect::Change);
        assert_eq!(
            prediction.result.get("diff").unwrap().repr(),
            "{'prepared': 'installed: git\\nupgraded: vim (9.0-1 => 9.1-1)\\n'}"
        );
        take(
            &args,
            &mut prediction,
            &Output { stdout: b"<stream>\n</stream>\n\nxp_rc 0\n".to_vec(), ..Output::default() },
        )
        .unwrap();
        assert_eq!(prediction.effect, Effect::Same);
        let missing = b"<stream>\n<message type=\"error\">No provider of &apos;x&apos; found.</message>\n</stream>\n\nxp_rc 104\n";
        let failure =
            take(&args, &mut prediction, &Output { rc: 104, stdout: missing.to_vec(), ..Output::default() })
                .unwrap_err();
        assert_eq!(failure.msg, "No provider of &apos;x&apos; found.");
    }
}
