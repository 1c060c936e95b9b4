//! `dnf`, `dnf5` and `yum`: packages of Red Hat's family by the tool that the target has, down to yum on EL6.

use super::dnf_output::{is_idle, not_found, transaction};
use super::dnf_state::{Kind, Look, Package, Presence, Spec, look_script, names};
use super::set::{Foreseen, SetChange, foreseen, not_found_yet, text};
use crate::modules::sh::{Report, q};
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Effect, Failure, Module, ModuleSpec, Outcome, Prediction, Rule,
    Run, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

const BACKENDS: &[&str] = &["auto", "dnf", "yum", "yum4", "dnf4", "dnf5"];
const BASE: ModuleSpec = ModuleSpec {
    name: "dnf",
    about: "Installs and removes packages with dnf or yum.",
    args: &[
        ArgSpec::new("name", ArgKind::StrList, "Packages, groups, files or URLs of packages.")
            .aliases(&["pkg"])
            .default(""),
        ArgSpec::new(
            "list",
            ArgKind::Str,
            "Only list packages: installed, updates, available, repos, or a name.",
        ),
        ArgSpec::new("state", ArgKind::Str, "Whether they are installed, or newest.").choices(&[
            "absent",
            "installed",
            "latest",
            "present",
            "removed",
        ]),
        ArgSpec::new("enablerepo", ArgKind::StrList, "Repositories to use besides the enabled ones.")
            .default(""),
        ArgSpec::new("disablerepo", ArgKind::StrList, "Repositories not to use.").default(""),
        ArgSpec::new("conf_file", ArgKind::Str, "Another configuration file."),
        ArgSpec::new("disable_gpg_check", ArgKind::Bool, "Do not check signatures.").default("no"),
        ArgSpec::new("installroot", ArgKind::Str, "The root of the tree to install into.").default("/"),
        ArgSpec::new("releasever", ArgKind::Str, "The distribution's release to take packages from."),
        ArgSpec::new("autoremove", ArgKind::Bool, "Remove what nothing needs any more.").default("no"),
        ArgSpec::new("exclude", ArgKind::StrList, "Packages to leave alone.").default(""),
        ArgSpec::new("skip_broken", ArgKind::Bool, "Leave out what cannot be installed.").default("no"),
        ArgSpec::new("update_cache", ArgKind::Bool, "Fetch the lists of packages first.")
            .default("no")
            .aliases(&["expire-cache"]),
        ArgSpec::new("update_only", ArgKind::Bool, "Do not install what is not installed.").default("no"),
        ArgSpec::new("security", ArgKind::Bool, "With state latest: only security updates.").default("no"),
        ArgSpec::new("bugfix", ArgKind::Bool, "With state latest: only corrections.").default("no"),
        ArgSpec::new("enable_plugin", ArgKind::StrList, "Plugins to use.").default(""),
        ArgSpec::new("disable_plugin", ArgKind::StrList, "Plugins not to use.").default(""),
        ArgSpec::new(
            "disable_excludes",
            ArgKind::Str,
            "Do not heed configured exclusions: all, main or a repository.",
        ),
        ArgSpec::new("validate_certs", ArgKind::Bool, "Check certificates of servers of package files.")
            .default("yes"),
        ArgSpec::new("sslverify", ArgKind::Bool, "Check certificates of repositories.").default("yes"),
        ArgSpec::new("allow_downgrade", ArgKind::Bool, "Install older versions over newer ones.")
            .default("no"),
        ArgSpec::new("install_repoquery", ArgKind::Bool, "Accepted; nothing is needed on the target.")
            .default("yes"),
        ArgSpec::new("download_only", ArgKind::Bool, "Only fetch the packages.").default("no"),
        ArgSpec::new("lock_timeout", ArgKind::Int, "How long to wait for other package tools, in seconds.")
            .default("30"),
        ArgSpec::new("install_weak_deps", ArgKind::Bool, "Install what packages recommend.").default("yes"),
        ArgSpec::new("download_dir", ArgKind::Str, "Where to put fetched packages."),
        ArgSpec::new("allowerasing", ArgKind::Bool, "Remove installed packages that are in the way.")
            .default("no"),
        ArgSpec::new("nobest", ArgKind::Bool, "Take older versions where the newest cannot be installed."),
        ArgSpec::new("best", ArgKind::Bool, "Take the newest version or fail."),
        ArgSpec::new("cacheonly", ArgKind::Bool, "Fetch no lists of packages.").default("no"),
        ArgSpec::new("use_backend", ArgKind::Str, "The tool; found out by default.")
            .default("auto")
            .choices(BACKENDS),
        ArgSpec::new("use", ArgKind::Str, "The same.").choices(BACKENDS),
        ArgSpec::new("auto_install_module_deps", ArgKind::Bool, "Accepted; nothing is needed on the target."),
    ],
    rules: &[
        Rule::OneOf(&["name", "list", "update_cache"]),
        Rule::Exclusive(&["best", "nobest"]),
        Rule::Exclusive(&["use", "use_backend"]),
    ],
    returns: &[("results", "what was done, one sentence a package"), ("msg", "what it came to"), ("rc", "0")],
    ..ModuleSpec::BASE
};

pub static DNF: ModuleSpec = BASE;
static DNF5: ModuleSpec = ModuleSpec { name: "dnf5", ..BASE };
static YUM: ModuleSpec = ModuleSpec { name: "yum", ..BASE };

pub struct Dnf;
pub struct Dnf5;
pub struct Yum;

macro_rules! dnf_module {
    ($module:ty, $spec:expr) => {
        impl Module for $module {
            fn spec(&self) -> &'static ModuleSpec {
                &$spec
            }

            fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
                probe(call, $spec.name).map(Some)
            }

            fn simulate(&self, call: &Call, seen: &Seen) -> Result<Option<String>, Failure> {
                simulate(call, seen)
            }

            fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
                plan(call, seen)
            }

            fn finish(
                &self,
                call: &Call,
                prediction: Prediction,
                ran: &[Output],
            ) -> Result<Outcome, Failure> {
                finish(&call.args, prediction, ran)
            }
        }
    };
}
dnf_module!(Dnf, DNF);
dnf_module!(Dnf5, DNF5);
dnf_module!(Yum, YUM);

/// What is wanted, with the default filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Present,
    Latest,
    Absent,
}

fn state(args: &Args) -> Result<State, Failure> {
    let state = match args.str("state") {
        None if args.flag("autoremove") => State::Absent,
        None | Some("present" | "installed") => State::Present,
        Some("latest") => State::Latest,
        Some(_) => State::Absent,
    };
    if args.flag("autoremove") && state != State::Absent {
        return Err(Failure::new("Autoremove should be used alone or with state=absent")
            .with("results", Vec::<Value>::new()));
    }
    Ok(state)
}

fn root(args: &Args) -> &str {
    args.str("installroot").unwrap_or("/")
}

fn probe(call: &Call, module: &str) -> Result<String, Failure> {
    let args = &call.args;
    let specs = names(&args.texts("name"))?;
    if args.has("list") && !specs.is_empty() {
        return Err(Failure::new("parameters are mutually exclusive: name|list"));
    }
    let state = state(args)?;
    if state == State::Absent && specs.iter().any(|s| matches!(s.kind, Kind::File | Kind::Url)) {
        return Err(Failure::new("Cannot remove paths -- please specify package name.")
            .with("results", Vec::<Value>::new()));
    }
    let backend = match (args.str("use").or(args.str("use_backend")), module) {
        (Some("dnf5"), _) | (_, "dnf5") => "dnf5",
        (Some("dnf" | "dnf4" | "yum4"), _) => "dnf",
        _ => "auto",
    };
    let mut script = format!(
        "export LC_ALL=C LANG=C LANGUAGE=C\ncase {backend} in\n\
         dnf5) if command -v dnf5 >/dev/null 2>&1; then xp_tool=dnf5; fi ;;\n\
         dnf) if command -v dnf-3 >/dev/null 2>&1; then xp_tool=dnf-3; elif command -v dnf >/dev/null 2>&1; then xp_tool=dnf; fi ;;\n\
         *) for xp_tool in dnf dnf5 microdnf yum ''; do if [ -n \"$xp_tool\" ] && command -v \"$xp_tool\" >/dev/null 2>&1; then break; fi; done ;;\nesac\n\
         [ -n \"${{xp_tool-}}\" ] || xp_fail 'there is neither dnf nor yum on the target'\n\
         xp_path=$(command -v \"$xp_tool\"); if xp_real \"$xp_path\"; then xp_path=$xp_t; fi\n\
         case $xp_path in */dnf5) xp_kind=dnf5 ;; */yum) xp_kind=yum ;; *) xp_kind=dnf ;; esac\nprintf 'tool %s %s\\n' \"$xp_kind\" \"$xp_tool\"\n\
         command -v rpm >/dev/null 2>&1 || xp_fail 'there is no rpm on the target'\n"
    );
    if let Some(command) = args.str("list") {
        script += &list_script(args, command);
    } else {
        script += &look_script(&specs, root(args));
    }
    Ok(script)
}

/// Returns the lines that list packages or repositories.
fn list_script(args: &Args, command: &str) -> String {
    let options = |kind| options(args, kind);
    let query = |what: &str| {
        format!(
            "case $xp_kind in\n\
             dnf5) \"$xp_tool\" -q{} repoquery {what} --qf '%{{name}}\\t%{{epoch}}\\t%{{version}}\\t%{{release}}\\t%{{arch}}\\t%{{repoid}}\\n' ;;\n\
             dnf) \"$xp_tool\" -q{} repoquery {what} --qf '%{{name}}\\t%{{epoch}}\\t%{{version}}\\t%{{release}}\\t%{{arch}}\\t%{{repoid}}' ;;\n\
             *) command -v repoquery >/dev/null 2>&1 || xp_fail 'listing with yum needs repoquery from yum-utils'; repoquery -q {} --qf '%{{name}}\\t%{{epoch}}\\t%{{version}}\\t%{{release}}\\t%{{arch}}\\t%{{repoid}}' ;;\nesac </dev/null | tr -s '\\n' | sed 's/^/available /'\n",
            options(Tool::Dnf5),
            options(Tool::Dnf),
            what.replace("--upgrades", "--pkgnarrow=updates -a").replace("--available", "-a")
        )
    };
    let rpm = |what: &str| {
        format!(
            "LC_ALL=C rpm --root {} -qa --qf '{}' {what} | sed 's/^/installed /'\n",
            q(root(args)),
            super::dnf_state::FORMAT
        )
    };
    match command {
        "installed" => rpm(""),
        "updates" | "upgrades" => query("--upgrades"),
        "available" => query("--available"),
        "repos" | "repositories" => format!(
            "case $xp_kind in dnf5) \"$xp_tool\" -q{} repo list --enabled ;; dnf) \"$xp_tool\" -q{} repolist --enabled ;; *) \"$xp_tool\" -q{} repolist enabled ;; esac </dev/null | sed '1d; /^repolist:/d; s/^/repo /'\n",
            options(Tool::Dnf5),
            options(Tool::Dnf),
            options(Tool::Yum)
        ),
        name => format!("{}{}", rpm(&q(name)), query(&q(name))),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Dnf5,
    Dnf,
    Yum,
}

/// Returns the options that all commands of a call get.
fn options(args: &Args, tool: Tool) -> String {
    let mut out = String::new();
    let pick =
        |dnf5: &str, other: &str| if tool == Tool::Dnf5 { dnf5.to_string() } else { other.to_string() };
    let mut set = |name: &str, on: bool| add!(out, " --setopt={name}={}", i32::from(on));
    if let Some(best) = args.bool("best").or(args.bool("nobest").map(|n| !n)) {
        set("best", best);
    }
    if tool != Tool::Yum {
        set("clean_requirements_on_remove", args.flag("autoremove"));
        if !args.flag("install_weak_deps") {
            set("install_weak_deps", false);
        }
    }
    if args.flag("skip_broken") && tool == Tool::Dnf {
        set("strict", false);
    }
    if !args.flag("sslverify") {
        set("sslverify", false);
        set("*.sslverify", false);
    }
    if args.flag("disable_gpg_check") {
        out += &pick(" --no-gpgchecks", " --nogpgcheck");
    }
    if args.flag("skip_broken") {
        out += &pick(" --skip-broken --skip-unavailable", " --skip-broken");
    }
    if args.flag("allowerasing") && tool != Tool::Yum {
        out += " --allowerasing";
    }
    if args.flag("cacheonly") {
        out += " -C";
    }
    if args.flag("update_cache") && tool != Tool::Yum {
        out += " --refresh";
    }
    let mut one = |name: &str, option: &str| {
        if let Some(value) = args.str(name) {
            add!(out, " {option}={}", q(value));
        }
    };
    one("conf_file", "--config");
    one("releasever", "--releasever");
    if root(args) != "/" {
        one("installroot", "--installroot");
    }
    if let Some(value) = args.str("disable_excludes") {
        add!(out, " {}={}", pick("--setopt=disable_excludes", "--disableexcludes"), q(value));
    }
    for (name, dnf5, other) in [
        ("disablerepo", "--disable-repo", "--disablerepo"),
        ("enablerepo", "--enable-repo", "--enablerepo"),
        ("exclude", "--exclude", "--exclude"),
        ("disable_plugin", "--disable-plugin", "--disableplugin"),
        ("enable_plugin", "--enable-plugin", "--enableplugin"),
    ] {
        for value in
            args.texts(name).iter().flat_map(|v| v.split(',')).map(str::trim).filter(|v| !v.is_empty())
        {
            add!(out, " {}={}", pick(dnf5, other), q(value));
        }
    }
    out
}

/// What is to do with the tool.
#[derive(Debug, Default)]
struct Job {
    install: Vec<String>,
    upgrade: Vec<String>,
    remove: Vec<String>,
    upgrade_all: bool,
    autoremove: bool,
    /// Only the tool knows whether it changes anything.
    unclear: bool,
    /// Sentences about what is not done.
    results: Vec<String>,
}

impl Job {
    fn of(call: &Call, specs: &[Spec], look: &Look) -> Result<Job, Failure> {
        let args = &call.args;
        let mut job = Job::default();
        let state = state(args)?;
        if let ([spec], State::Latest) = (specs, state)
            && spec.text == "*"
        {
            return Ok(Job { upgrade_all: true, unclear: true, ..job });
        }
        for (index, spec) in specs.iter().enumerate() {
            let presence = look.presence(index, spec);
            match (foreseen(call, spec.name())?, state) {
                (Foreseen::Installed, State::Present | State::Latest)
                | (Foreseen::Removed, State::Absent) => continue,
                (Foreseen::Removed, _) => {
                    job.install.push(spec.word());
                    continue;
                }
                (Foreseen::Installed, State::Absent) => {
                    job.remove.push(spec.word());
                    continue;
                }
                (Foreseen::AsSeen, _) => {}
            }
            match state {
                State::Absent => job.remove(index, spec, look),
                _ if args.flag("update_only") && !look.is_there(index) && presence != Presence::Unclear => {
                    job.results.push(format!(
                        "Packages providing {} not installed due to update_only specified",
                        spec.text
                    ));
                }
                State::Latest if presence == Presence::Fits && !matches!(spec.kind, Kind::File) => {
                    job.unclear = true;
                    job.upgrade.push(spec.word());
                }
                State::Present if args.flag("update_only") && presence != Presence::Newer => {
                    job.unclear = true;
                    job.upgrade.push(spec.word());
                }
                _ => match presence {
                    Presence::Fits => {}
                    Presence::Newer if !args.flag("allow_downgrade") => {}
                    Presence::Unclear => {
                        job.unclear = true;
                        job.install.push(spec.word());
                    }
                    Presence::Newer | Presence::Missing => job.install.push(spec.word()),
                },
            }
        }
        if state == State::Absent && args.flag("autoremove") {
            job.autoremove = true;
            job.unclear |= job.remove.is_empty();
        }
        Ok(job)
    }

    fn remove(&mut self, index: usize, spec: &Spec, look: &Look) {
        match spec.kind {
            Kind::Group => {
                self.unclear = true;
                self.remove.push(spec.word());
            }
            _ if !look.is_there(index) || look.presence(index, spec) == Presence::Missing => {
                self.results.push(format!("No match for argument: {}", spec.text));
            }
            Kind::Path | Kind::Pattern => self.remove.extend(look.names(index)),
            _ => self.remove.push(spec.word()),
        }
    }

    fn is_empty(&self) -> bool {
        self.install.is_empty()
            && self.upgrade.is_empty()
            && self.remove.is_empty()
            && !self.upgrade_all
            && !self.autoremove
    }

    /// Returns the commands in their order.
    fn commands(&self, args: &Args, tool: Tool, program: &str, ask: bool) -> Vec<String> {
        let answer = match (ask, tool) {
            (false, _) => " -y",
            // Old yum has no option that says no; it reads it.
            (true, Tool::Yum) => "",
            (true, _) => " --assumeno",
        };
        let mut options = options(args, tool);
        if args.flag("download_only") {
            options += " --downloadonly";
            if let Some(dir) = args.str("download_dir") {
                let name = if tool == Tool::Dnf5 { "--destdir" } else { "--downloaddir" };
                add!(options, " {name}={}", q(dir));
            }
        }
        let mut updates = String::new();
        for (name, option) in [("security", " --security"), ("bugfix", " --bugfix")] {
            if args.flag(name) {
                updates += option;
            }
        }
        let stdin = if ask && tool == Tool::Yum { "printf 'N\\n' | " } else { "" };
        let end = if stdin.is_empty() { " </dev/null" } else { "" };
        let line = |verb: &str, more: &str, words: &[String]| {
            let words: String = words.iter().map(|w| format!(" {}", q(w))).collect();
            format!("{stdin}{program}{answer}{options} {verb}{more}{words}{end}")
        };
        let mut commands = Vec::new();
        if self.upgrade_all {
            commands.push(line(if tool == Tool::Yum { "update" } else { "upgrade" }, &updates, &[]));
        }
        if !self.upgrade.is_empty() {
            commands.push(line(
                if tool == Tool::Yum { "update" } else { "upgrade" },
                &updates,
                &self.upgrade,
            ));
        }
        if !self.install.is_empty() {
            commands.push(line("install", "", &self.install));
        }
        if !self.remove.is_empty() {
            commands.push(line("remove", "", &self.remove));
        }
        if self.autoremove {
            commands.push(line("autoremove", "", &[]));
        }
        commands
    }
}

fn tool(report: &Report) -> Result<(Tool, String), Failure> {
    let (kind, program) = report.need("tool")?.split_once(' ').unwrap_or_default();
    let tool = match kind {
        "dnf5" => Tool::Dnf5,
        "yum" => Tool::Yum,
        _ => Tool::Dnf,
    };
    Ok((tool, program.to_string()))
}

/// Prints one line for each installed package.
fn list_rpm(args: &Args) -> String {
    format!(
        "LC_ALL=C rpm --root {} -qa --qf '%{{NAME}}.%{{ARCH}} %|EPOCH?{{%{{EPOCH}}:}}:{{}}|%{{VERSION}}-%{{RELEASE}}\\n' 2>/dev/null\n",
        q(root(args))
    )
}

const LOCALE: &str = "export LC_ALL=C LANG=C LANGUAGE=C\n";

fn simulate(call: &Call, seen: &Seen) -> Result<Option<String>, Failure> {
    let args = &call.args;
    let report = Report::of(seen)?;
    let specs = names(&args.texts("name"))?;
    if args.has("list") {
        return Ok(None);
    }
    let job = Job::of(call, &specs, &Look::of(&report))?;
    if job.is_empty() {
        return Ok(None);
    }
    let (tool, program) = tool(&report)?;
    let mut script = format!("{LOCALE}printf '%s\\n' installed\n{}", list_rpm(args));
    for command in job.commands(args, tool, &program, true) {
        add!(script, "printf '%s\\n' command\n{{ {command}; }} 2>&1\n");
    }
    Ok(Some(script + "exit 0\n"))
}

fn plan(call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
    let args = &call.args;
    let report = Report::of(seen)?;
    if args.has("list") {
        return Ok(Prediction::read(listed(&report)));
    }
    let specs = names(&args.texts("name"))?;
    let (tool, program) = tool(&report)?;
    let mut result = Map::from_iter([("msg", Value::str("")), ("rc", 0.into())]);
    if specs.is_empty() && !args.flag("autoremove") {
        let verb = if tool == Tool::Yum { "makecache" } else { "makecache --refresh" };
        let mut prediction = Prediction::change(
            Map::new(),
            vec![long(format!(
                "{LOCALE}{program} -y{} {verb} </dev/null\n",
                options(args, tool).replace(" --refresh", "")
            ))],
        );
        prediction.effect = Effect::Same;
        result.insert("msg", "Cache updated");
        result.insert("results", Vec::<Value>::new());
        prediction.result = result;
        return Ok(prediction);
    }
    if !args.flag("download_only") && call.target.uid != 0 {
        return Err(Failure::new("This command has to be run under the root user.")
            .with("results", Vec::<Value>::new()));
    }
    let job = Job::of(call, &specs, &Look::of(&report))?;
    result.insert("results", job.results.clone());
    if job.is_empty() {
        result.insert("msg", "Nothing to do");
        return Ok(Prediction::same(result));
    }
    let mut actions = vec![Action::run(list_rpm(args))];
    if args.flag("update_cache") && tool == Tool::Yum {
        actions.push(long(format!(
            "{LOCALE}{program} -q -y{} clean expire-cache </dev/null\n",
            options(args, tool)
        )));
    }
    let commands = job.commands(args, tool, &program, false);
    actions.push(long(format!("{LOCALE}{}\n", commands.join(" && "))));
    actions.push(Action::run(list_rpm(args)));
    let mut prediction =
        if job.unclear { Prediction::unknown(result, actions) } else { Prediction::change(result, actions) };
    let touch = |word: &String, installed| Touch::Package { name: word.clone(), installed };
    prediction.touches.extend(job.install.iter().map(|word| touch(word, true)));
    prediction.touches.extend(job.remove.iter().map(|word| touch(word, false)));
    if let (true, Some(more)) = (call.check, &seen.more) {
        predict(args, &mut prediction, &text(&more.stdout))
            .map_err(|failure| not_found_yet(call, failure))?;
    }
    Ok(prediction)
}

fn long(script: String) -> Action {
    Action::Run(Run { script, long: true, ..Run::default() })
}

/// Reads what the tool would do.
fn predict(args: &Args, prediction: &mut Prediction, simulated: &str) -> Result<(), Failure> {
    let (installed, rest) = simulated
        .strip_prefix("installed\n")
        .and_then(|s| s.split_once("command\n"))
        .unwrap_or(("", simulated));
    let mut all = SetChange::default();
    for output in rest.split("\ncommand\n") {
        complain(args, output)?;
        match transaction(output, installed) {
            Some(change) => all.extend(change),
            None if is_idle(output) => {}
            None => return Err(depsolve(output)),
        }
    }
    if all.is_empty() {
        prediction.effect = Effect::Same;
        prediction.result.insert("msg", "Nothing to do");
        return Ok(());
    }
    prediction.effect = Effect::Change;
    prediction.result.insert("msg", "Check mode: No changes made, but would have if not in check mode");
    results(args, &mut prediction.result, &all);
    prediction.diff = all.diff().into_iter().collect();
    prediction.touches.extend(all.touches());
    Ok(())
}

/// Fails when a repository does not have something that was asked for.
fn complain(args: &Args, output: &str) -> Result<(), Failure> {
    let missing = not_found(output);
    if missing.is_empty() || args.flag("skip_broken") || state(args)? == State::Absent {
        return Ok(());
    }
    let failures: Vec<String> = missing.iter().map(|name| format!("No package {name} available.")).collect();
    Err(Failure::new("Failed to install some of the specified packages")
        .with("failures", failures)
        .with("results", Vec::<Value>::new())
        .with("rc", 1))
}

fn depsolve(output: &str) -> Failure {
    let words: Vec<&str> = output
        .lines()
        .map(str::trim)
        .skip_while(|l| !(l.starts_with("Error") || l.starts_with("Problem") || l.starts_with("Failed")))
        .filter(|l| !l.is_empty())
        .collect();
    let said = if words.is_empty() { output.trim().to_string() } else { words.join("\n") };
    let msg = match said.strip_prefix("Error: ").or_else(|| said.strip_prefix("Error:\n")) {
        Some(rest) if rest.contains("Problem") || rest.contains("requires") => {
            format!("Depsolve Error occurred: {rest}")
        }
        Some(rest) => rest.to_string(),
        None => said,
    };
    Failure::new(msg).with("results", Vec::<Value>::new()).with("rc", 1)
}

/// Adds one sentence for each package that came or went.
fn results(args: &Args, result: &mut Map, change: &SetChange) {
    let mut sentences = match result.get("results") {
        Some(Value::List(list)) => list.to_vec(),
        _ => Vec::new(),
    };
    let verb = if args.flag("download_only") { "Downloaded" } else { "Installed" };
    sentences.extend(change.added().map(|line| Value::str(format!("{verb}: {}", nevra(line)))));
    sentences.extend(change.removed().map(|line| Value::str(format!("Removed: {}", nevra(line)))));
    result.insert("results", sentences);
}

/// Makes `name-version-release.arch` of `name.arch version-release`.
fn nevra(line: &str) -> String {
    match line.split_once(' ').and_then(|(key, version)| Some((key.rsplit_once('.')?, version))) {
        Some(((name, arch), version)) => format!("{name}-{version}.{arch}"),
        None => line.to_string(),
    }
}

fn finish(args: &Args, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
    if prediction.effect == Effect::Same {
        return match ran.iter().find(|o| o.rc != 0) {
            None => Ok(prediction.into_outcome()),
            Some(output) => Err(depsolve(&format!("{}\n{}", text(&output.stdout), text(&output.stderr)))),
        };
    }
    let planned = prediction.change.as_ref().map_or(0, |c| c.actions.len());
    if let Some(failed) = ran.iter().find(|o| o.rc != 0) {
        let said = format!("{}\n{}", text(&failed.stdout), text(&failed.stderr));
        let missing = not_found(&said);
        if !(is_idle(&said) && missing.is_empty()) {
            let failure = match missing.as_slice() {
                [] => depsolve(&said),
                names => Failure::new("Failed to install some of the specified packages")
                    .with(
                        "failures",
                        names.iter().map(|n| format!("No package {n} available.")).collect::<Vec<_>>(),
                    )
                    .with("results", Vec::<Value>::new())
                    .with("rc", failed.rc),
            };
            return Err(failure.with("stdout", text(&failed.stdout)).with("stderr", text(&failed.stderr)));
        }
    }
    let (Some(before), Some(after)) = (ran.first(), ran.get(planned.wrapping_sub(1))) else {
        prediction.effect = Effect::Same;
        prediction.result.insert("msg", "Nothing to do");
        return Ok(prediction.into_outcome());
    };
    let change = SetChange::between(&before.stdout, &after.stdout);
    let fetched = ran.get(planned.wrapping_sub(2)).is_some_and(|o| !is_idle(&text(&o.stdout)));
    if change.is_empty() && !(args.flag("download_only") && fetched) {
        prediction.effect = Effect::Same;
        prediction.result.insert("msg", "Nothing to do");
    } else {
        prediction.effect = Effect::Change;
        results(args, &mut prediction.result, &change);
        prediction.diff = change.diff().into_iter().collect();
    }
    Ok(prediction.into_outcome())
}

/// Makes the result of a list.
fn listed(report: &Report) -> Map {
    let mut found = Vec::new();
    for (tag, yumstate) in [("installed", "installed"), ("available", "available")] {
        for line in report.all(tag) {
            let (line, repo) = match line.split('\t').count() {
                6 => line.rsplit_once('\t').unwrap_or((line, "")),
                _ => (line, "@System"),
            };
            let Some(p) = Package::parse(line) else { continue };
            let envra = format!("{}:{}-{}-{}.{}", p.epoch, p.name, p.version, p.release, p.arch);
            found.push(Value::map(Map::from_iter([
                ("name", p.name.as_str()),
                ("arch", &p.arch),
                ("epoch", &p.epoch),
                ("release", &p.release),
                ("version", &p.version),
                ("repo", repo),
                ("envra", &envra),
                ("nevra", &envra),
                ("yumstate", yumstate),
            ])));
        }
    }
    for line in report.all("repo") {
        if let Some(id) = line.split_whitespace().next() {
            // yum marks repositories by a prefix and adds the architecture.
            let id = id.trim_start_matches(['!', '*']).split('/').next().unwrap_or(id);
            found.push(Value::map(Map::from_iter([("repoid", id), ("state", "enabled")])));
        }
    }
    Map::from_iter([("msg", Value::str("")), ("results", Value::list(found))])
}

#[cfg(test)]
#[path = "dnf_tests.rs"]
mod tests;
