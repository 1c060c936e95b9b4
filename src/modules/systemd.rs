//! `systemd` and `systemd_service`: units of systemd, as it tells about them; also in a root tree that is not running.

use super::sh::{Report, expand_path, q};
use super::write::attr_diff;
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Known, Module, ModuleSpec, Outcome, Prediction, Rule, Run,
    Seen, Thing, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

const STATE: ArgSpec = ArgSpec::new("state", ArgKind::Str, "Whether it runs.").choices(&[
    "reloaded",
    "restarted",
    "started",
    "stopped",
]);
const SYSTEMD_ARGS: &[ArgSpec] = &[
    ArgSpec::new("name", ArgKind::Str, "The unit.").aliases(&["service", "unit"]),
    STATE,
    ArgSpec::new("enabled", ArgKind::Bool, "Whether it starts at boot."),
    ArgSpec::new("masked", ArgKind::Bool, "Whether it cannot be started at all."),
    ArgSpec::new("daemon_reload", ArgKind::Bool, "Let systemd read its unit files again first.")
        .default("no")
        .aliases(&["daemon-reload"]),
    ArgSpec::new("daemon_reexec", ArgKind::Bool, "Restart systemd itself first.")
        .default("no")
        .aliases(&["daemon-reexec"]),
    ArgSpec::new("scope", ArgKind::Str, "Whose units.")
        .default("system")
        .choices(&["system", "user", "global"]),
    ArgSpec::new("no_block", ArgKind::Bool, "Do not wait until it is done.").default("no"),
    ArgSpec::new("force", ArgKind::Bool, "Replace links that are in the way."),
    ROOT,
];
/// A tree to work on instead of the running system; of all modules about services.
pub const ROOT: ArgSpec = ArgSpec::new(
    "root",
    ArgKind::Path,
    "A root tree that is not running, such as an image; only enabled and masked can be set there. (xplay)",
);

static SYSTEMD: ModuleSpec = SYSTEMD_SPEC;
static SYSTEMD_SERVICE: ModuleSpec = ModuleSpec { name: "systemd_service", ..SYSTEMD_SPEC };
const SYSTEMD_SPEC: ModuleSpec = ModuleSpec {
    name: "systemd",
    about: "Controls units of systemd.",
    args: SYSTEMD_ARGS,
    rules: &[Rule::OneOf(&["state", "enabled", "masked", "daemon_reload", "daemon_reexec"])],
    returns: &[
        ("name", "the unit"),
        ("state", "started or stopped, when it was asked for"),
        ("enabled", "whether it starts at boot, when it was asked for"),
        ("status", "what systemd told before the change"),
    ],
    ..ModuleSpec::BASE
};

pub struct Systemd;
pub struct SystemdService;

macro_rules! systemd_module {
    ($module:ty, $spec:expr) => {
        impl Module for $module {
            fn spec(&self) -> &'static ModuleSpec {
                &$spec
            }

            fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
                check(&call.args)?;
                if let Some(root) = call.args.str("root") {
                    return tree_probe(call, root).map(Some);
                }
                Ok(Some(format!(
                    "command -v systemctl >/dev/null 2>&1 || xp_fail 'Failed to find required executable \"systemctl\" on the target'\n{}",
                    probe(&call.args)
                )))
            }

            fn prepare(&self, call: &Call, seen: &Seen) -> Result<Option<Run>, Failure> {
                Report::of(seen)?;
                Ok(prepare(&call.args))
            }

            fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
                if call.args.has("root") {
                    return tree_plan(call, &Report::of(seen)?);
                }
                plan(call, seen)
            }

            fn finish(
                &self,
                call: &Call,
                prediction: Prediction,
                ran: &[Output],
            ) -> Result<Outcome, Failure> {
                finish(call, prediction, ran)
            }
        }
    };
}
systemd_module!(Systemd, SYSTEMD);
systemd_module!(SystemdService, SYSTEMD_SERVICE);

fn check(args: &Args) -> Result<(), Failure> {
    let Some(name) = args.str("name") else {
        for other in ["state", "enabled", "masked"] {
            if args.has(other) {
                return Err(Failure::new(format!("missing parameter(s) required by '{other}': name")));
            }
        }
        return Ok(());
    };
    match ["*", "?", "["].iter().find(|c| name.contains(**c)) {
        Some(glob) => Err(Failure::new(format!(
            "This module does not currently support using glob patterns, found '{glob}' in service name: {name}"
        ))),
        None => Ok(()),
    }
}

fn systemctl(args: &Args) -> String {
    let mut line = String::from("systemctl");
    match args.str("scope") {
        Some("user") => line += " --user",
        Some("global") => line += " --global",
        _ => {}
    }
    if args.flag("no_block") {
        line += " --no-block";
    }
    if args.flag("force") {
        line += " --force";
    }
    line
}

const RUNTIME: &str =
    "export LC_ALL=C; XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}; export XDG_RUNTIME_DIR\n";

/// Returns the lines that tell what systemd knows of the unit.
pub fn probe(args: &Args) -> String {
    let ctl = systemctl(args);
    let mut script = String::from(RUNTIME);
    script += "if [ \"${SYSTEMD_OFFLINE-}\" = 1 ] || { [ -e /proc/1/root/. ] && [ ! / -ef /proc/1/root/. ]; }; then printf 'offline yes\\n'; fi\n";
    let Some(name) = args.str("name") else { return script };
    add!(
        script,
        "xp_n={}\n\
         for xp_d in /etc/init.d /sbin/init.d /etc/rc.d/init.d; do if [ -e \"$xp_d/$xp_n\" ]; then printf 'initd yes\\n'; break; fi; done\n\
         for xp_f in /etc/rc[0-9S].d/S[0-9][0-9]\"$xp_n\"; do if [ -e \"$xp_f\" ]; then printf 'rcd yes\\n'; break; fi; done\n\
         xp_o=$({ctl} show -- \"$xp_n\" 2>&1 </dev/null); printf 'rc %s\\n' $?\nprintf '%s\\n' \"$xp_o\" | sed 's/^/show /'\n\
         xp_o=$({ctl} is-enabled -l -- \"$xp_n\" 2>/dev/null </dev/null); printf 'enabled %s %s\\n' $? \"$xp_o\"\n\
         case $xp_o in '') xp_o=$({ctl} is-enabled -- \"$xp_n\" 2>/dev/null </dev/null) ;; esac; printf 'word %s\\n' \"$xp_o\"\n\
         if {ctl} list-unit-files -- \"$xp_n\" >/dev/null 2>&1 </dev/null; then printf 'listed yes\\n'; fi\n\
         printf 'active %s\\n' \"$({ctl} is-active -- \"$xp_n\" 2>/dev/null </dev/null)\"\n",
        q(name)
    );
    script
}

/// Returns the script that lets systemd read its files again and looks anew.
pub fn prepare(args: &Args) -> Option<Run> {
    let mut script = String::from(RUNTIME);
    let mut any = false;
    for (flag, verb) in [("daemon_reload", "daemon-reload"), ("daemon_reexec", "daemon-reexec")] {
        if args.flag(flag) && !args.has("root") {
            any = true;
            add!(
                script,
                "xp_e=$({} {verb} 2>&1 </dev/null); xp_rc=$?\nif [ $xp_rc -ne 0 ]; then\n\
                 if [ \"${{SYSTEMD_OFFLINE-}}\" = 1 ] || {{ [ -e /proc/1/root/. ] && [ ! / -ef /proc/1/root/. ]; }}; then printf 'warning {verb} failed, but target is a chroot or systemd is offline. Continuing. Error was: %s / %s\\n' $xp_rc \"$(xp_why \"$xp_e\")\"\n\
                 else xp_fail \"failure $xp_rc during {verb}: $xp_e\"; fi; fi\n",
                systemctl(args)
            );
        }
    }
    any.then(|| Run { script: script + &probe(args), ..Run::default() })
}

/// Predicts from what systemd told.
pub fn plan(call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
    let args = &call.args;
    let report = Report::of(seen.more.as_deref().unwrap_or(seen))?;
    let name = args.str("name").unwrap_or_default();
    let mut result = Map::from_iter([("name", Value::from(args.str("name").map(str::to_string)))]);
    let mut warnings: Vec<String> = report.all("warning").map(str::to_string).collect();
    if name.is_empty() {
        result.insert("status", Map::new());
        let mut prediction = Prediction::same(result);
        prediction.warnings = warnings;
        return Ok(prediction);
    }
    let unit = Unit::of(&report);
    if let Some(error) = &unit.load_error {
        return Err(Failure::new(format!("Error loading unit file '{name}': {error}")));
    }
    result.insert("status", unit.status.clone());
    if unit.is_initd && !unit.is_systemd {
        warnings.push(format!(
            "The service ({name}) is actually an init script but the system is managed by systemd"
        ));
    }
    let (foreseen_runs, foreseen_enabled, made) = foreseen(call, name)?;
    let found = unit.is_systemd || unit.is_initd || made;
    let missing = || -> Failure {
        let failure = Failure::new(format!("Could not find the requested service {name}: host"));
        call.world.installs().filter(|_| call.check).map_or(failure, Failure::unknown)
    };
    let mut work = Work { call, name, script: String::new(), before: Map::new(), after: Map::new() };
    if args.has("masked") {
        call.needs_same(&mask(name))?;
    }
    if let Some(masked) = args.bool("masked")
        && masked != (unit.word == "masked")
    {
        let verb = if masked { "mask" } else { "unmask" };
        // Some versions can mask what is not there; only their refusal tells.
        let prefix = match found {
            true => format!("Failed to {verb} the service ({name}): "),
            false => format!("Could not find the requested service {name}: host: "),
        };
        work.add(verb, &prefix);
        work.differs("masked", !masked, masked);
    }
    if let Some(wanted) = args.bool("enabled") {
        if !found {
            return Err(missing());
        }
        let enabled = foreseen_enabled.unwrap_or_else(|| unit.enabled(args));
        if enabled != wanted {
            let verb = if wanted { "enable" } else { "disable" };
            work.add(verb, &format!("Unable to {verb} service {name}: "));
            work.differs("enabled", enabled, wanted);
        }
        result.insert("enabled", wanted);
    }
    if let Some(state) = args.str("state") {
        if !found {
            return Err(missing());
        }
        result.insert("state", state);
        let active = match foreseen_runs {
            Some(true) => Some("active"),
            Some(false) => Some("inactive"),
            None if made && !unit.is_systemd => Some("inactive"),
            None => unit.active.as_deref(),
        };
        if let Some(active) = active {
            let runs = matches!(active, "active" | "activating");
            let verb = match state {
                "started" => (!runs).then_some("start"),
                "stopped" => (runs || active == "deactivating").then_some("stop"),
                _ if !runs => Some("start"),
                "restarted" => Some("restart"),
                _ => Some("reload"),
            };
            if matches!(state, "restarted" | "reloaded") {
                result.insert("state", "started");
            }
            if let Some(verb) = verb {
                work.add(verb, &format!("Unable to {verb} service {name}: "));
                work.differs("state", if runs { "started" } else { "stopped" }, state);
            }
        } else if report.get("offline").is_some() {
            warnings.push("Target is a chroot or systemd is offline. This can lead to false positives or prevent the init system tools from working.".to_string());
        } else {
            return Err(Failure::new("Service is in unknown state").with("status", unit.status));
        }
    }
    let mut prediction = work.prediction(result);
    prediction.warnings = warnings;
    Ok(prediction)
}

/// Returns what earlier steps of a plan leave: whether it runs, is enabled, and whether its unit file is made.
pub fn foreseen(call: &Call, name: &str) -> Result<(Option<bool>, Option<bool>, bool), Failure> {
    let (runs, enabled) = match call.world.service(name) {
        Known::Untouched => (None, None),
        Known::Known(known) => known,
        Known::Unknown(unknown) => return Err(Failure::unknown(unknown)),
    };
    let full = if name.contains('.') { name.to_string() } else { format!("{name}.service") };
    let made = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"].iter().any(|dir| {
        matches!(call.world.file(&format!("{dir}/{full}")), Known::Known(after) if after.stat().is_some())
    });
    Ok((runs, enabled, made || runs.is_some()))
}

/// The commands of a change, and what they change.
struct Work<'a> {
    call: &'a Call<'a>,
    name: &'a str,
    script: String,
    before: Map,
    after: Map,
}

impl Work<'_> {
    fn add(&mut self, verb: &str, complaint: &str) {
        if self.script.is_empty() {
            self.script += RUNTIME;
        }
        add!(
            self.script,
            "xp_e=$({} {verb} -- {} 2>&1 </dev/null) || {{ printf '%s%s\\n' {} \"$xp_e\" >&2; exit 1; }}\n",
            systemctl(&self.call.args),
            q(self.name),
            q(complaint)
        );
    }

    fn differs(&mut self, what: &str, before: impl Into<Value>, after: impl Into<Value>) {
        self.before.insert(what, before);
        self.after.insert(what, after);
    }

    fn prediction(self, result: Map) -> Prediction {
        if self.script.is_empty() {
            return Prediction::same(result);
        }
        let touch = touched(self.name, &self.after);
        let masks = self.after.contains("masked").then(|| Touch::Thing(mask(self.name)));
        let mut prediction = Prediction::change(result, vec![Action::run(self.script)])
            .diff(attr_diff(self.name, self.before, self.after))
            .touch(touch);
        prediction.touches.extend(masks);
        prediction
    }
}

/// Whether a unit is masked, as later steps of a plan ask for it.
fn mask(name: &str) -> Thing {
    Thing { kind: "mask of service", name: name.to_string() }
}

/// Returns what a change leaves of a service.
pub fn touched(name: &str, after: &Map) -> Touch {
    Touch::Service {
        name: name.to_string(),
        running: after.get("state").map(|state| state.as_str() != Some("stopped")),
        enabled: after.get("enabled").and_then(Value::as_bool),
    }
}

/// What systemd told about a unit.
#[derive(Debug, Default)]
struct Unit {
    status: Map,
    is_systemd: bool,
    is_initd: bool,
    load_error: Option<String>,
    active: Option<String>,
    /// `is-enabled`: its exit code and its word.
    enabled: (i32, String),
    word: String,
    rc_links: bool,
}

impl Unit {
    fn of(report: &Report) -> Self {
        let shown: Vec<&str> = report.all("show").collect();
        let rc: i32 = report.get("rc").and_then(|rc| rc.trim().parse().ok()).unwrap_or(1);
        let text = shown.join("\n");
        let ignored =
            !text.contains('=') && (text.contains("ignoring request") || text.contains("ignoring command"));
        let (code, word) = report.get("enabled").and_then(|l| l.split_once(' ')).unwrap_or(("1", ""));
        let mut unit = Unit {
            is_initd: report.get("initd").is_some(),
            rc_links: report.get("rcd").is_some(),
            enabled: (code.parse().unwrap_or(1), word.lines().next().unwrap_or_default().trim().to_string()),
            word: report.get("word").unwrap_or_default().trim().to_string(),
            ..Unit::default()
        };
        if rc == 0 && !ignored {
            unit.status = parse_show(&shown);
            let load = unit.status.get("LoadState").map(Value::to_text);
            unit.is_systemd = load.as_deref().is_some_and(|l| l != "not-found");
            let masked = load.as_deref() == Some("masked");
            unit.load_error =
                unit.status.get("LoadError").map(Value::to_text).filter(|_| unit.is_systemd && !masked);
        } else if text.contains("Failed to parse bus message") {
            unit.status = parse_show(&shown);
            unit.is_systemd = report.get("listed").is_some();
            unit.status.insert("ActiveState", report.get("active").unwrap_or_default());
        } else {
            let known = [
                "enabled",
                "enabled-runtime",
                "linked",
                "linked-runtime",
                "masked",
                "masked-runtime",
                "static",
                "indirect",
                "disabled",
                "generated",
                "transient",
            ];
            unit.is_systemd = known.contains(&unit.word.as_str()) || report.get("listed").is_some();
        }
        unit.active = unit.status.get("ActiveState").map(Value::to_text);
        unit
    }

    fn enabled(&self, args: &Args) -> bool {
        match self.enabled.0 {
            // These are to be enabled as asked for, whatever systemd thinks of them.
            0 => !matches!(self.enabled.1.as_str(), "enabled-runtime" | "indirect" | "alias"),
            1 => {
                args.str("scope") == Some("system")
                    && self.is_initd
                    && !self.enabled.1.ends_with("disabled")
                    && self.rc_links
            }
            _ => false,
        }
    }
}

/// Reads lines of properties; values of `Exec...` may go over several.
fn parse_show(lines: &[&str]) -> Map {
    let mut map = Map::new();
    let mut open: Option<(String, Vec<&str>)> = None;
    for line in lines {
        if let Some((_, values)) = &mut open {
            values.push(line);
            if line.trim_end().ends_with('}')
                && let Some((key, values)) = open.take()
            {
                map.insert(key, values.join("\n").trim());
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        if key.starts_with("Exec") && value.trim_start().starts_with('{') && !value.trim_end().ends_with('}')
        {
            open = Some((key.to_string(), vec![value]));
            continue;
        }
        map.insert(key, value.trim());
    }
    map
}

/// Returns the lines that tell about a unit or an init script in a root tree.
pub fn tree_probe(call: &Call, root: &str) -> Result<String, Failure> {
    if call.args.has("state") {
        return Err(Failure::new("state cannot be set in a root tree that is not running"));
    }
    let (root, name) = (q(&expand_path(call, root)?), q(call.args.str("name").unwrap_or_default()));
    Ok(format!(
        "xp_root={root}\nxp_n={name}\n[ -d \"$xp_root\" ] || xp_fail \"there is no root tree $xp_root\"\n\
         if [ -e \"$xp_root/usr/lib/systemd/systemd\" ] || [ -e \"$xp_root/lib/systemd/systemd\" ]; then printf 'init systemd\\n'\n\
         xp_e=$(systemctl --root=\"$xp_root\" is-enabled -- \"$xp_n\" 2>/dev/null); [ -n \"$xp_e\" ] || xp_e=not-found\nprintf 'enabled %s\\n' \"$xp_e\"\n\
         else printf 'init sysv\\n'\nif [ -e \"$xp_root/etc/init.d/$xp_n\" ]; then\n\
         if ls \"$xp_root\"/etc/rc[2-5].d/S[0-9][0-9]\"$xp_n\" >/dev/null 2>&1 || ls \"$xp_root\"/etc/rc.d/rc[2-5].d/S[0-9][0-9]\"$xp_n\" >/dev/null 2>&1; then printf 'enabled enabled\\n'; else printf 'enabled disabled\\n'; fi\n\
         else printf 'enabled not-found\\n'; fi\nfi\n"
    ))
}

/// Predicts for a root tree.
pub fn tree_plan(call: &Call, report: &Report) -> Result<Prediction, Failure> {
    let args = &call.args;
    let name = args.str("name").unwrap_or_default();
    let mut result = Map::from_iter([("name", name)]);
    let word = report.need("enabled")?;
    if word == "not-found" {
        // What is not there does not start at boot.
        if args.bool("enabled") == Some(false) {
            result.insert("enabled", false);
            result.insert("msg", format!("there is no service {name}"));
            return Ok(Prediction::same(result));
        }
        return Err(Failure::new(format!("Could not find the requested service {name}: host")));
    }
    let root = q(&expand_path(call, args.str("root").unwrap_or_default())?);
    let is_systemd = report.need("init")? == "systemd";
    let (mut script, mut before, mut after) = (String::new(), Map::new(), Map::new());
    if let Some(masked) = args.bool("masked").filter(|m| *m != word.starts_with("masked")) {
        let verb = if masked { "mask" } else { "unmask" };
        add!(script, "xp_do \"{verb} the service \"{0} systemctl --root={root} {verb} -- {0}\n", q(name));
        before.insert("masked", !masked);
        after.insert("masked", masked);
    }
    if let Some(enabled) = args.bool("enabled") {
        let is = matches!(word, "enabled" | "enabled-runtime" | "alias");
        // These cannot be enabled; they start when something else needs them.
        let fixed = matches!(word, "static" | "indirect" | "generated" | "transient");
        if is != enabled && !fixed {
            let (verb, switch) = if enabled { ("enable", "on") } else { ("disable", "off") };
            match is_systemd {
                true => {
                    let force = if args.flag("force") { " --force" } else { "" };
                    add!(
                        script,
                        "xp_do \"{verb} the service \"{0} systemctl --root={root} {verb}{force} -- {0}\n",
                        q(name)
                    );
                }
                false => add!(
                    script,
                    "xp_do \"{verb} the service \"{0} chroot {root} chkconfig {0} {switch}\n",
                    q(name)
                ),
            }
            before.insert("enabled", is);
            after.insert("enabled", enabled);
        }
        result.insert("enabled", enabled || (fixed && is));
    }
    if script.is_empty() {
        return Ok(Prediction::same(result));
    }
    Ok(Prediction::change(result, vec![Action::run(script)]).diff(attr_diff(name, before, after)))
}

/// Makes the result; a failure tells the service.
pub fn finish(call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
    if let Some(output) = ran.iter().find(|o| o.rc != 0) {
        let name = call.args.str("name").unwrap_or_default();
        return Err(Failure::from_output(output).with("name", name));
    }
    Ok(prediction.into_outcome())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Effect;
    use crate::modules::testing::{Case, args, scripts};

    fn check(given: &[(&str, &str)], seen: &str, expect: &[&str]) {
        let mut given = given.to_vec();
        given.push(("name", "dhcpd"));
        let got = match Case::new(&Systemd, args(&given)).plan(seen) {
            Err(failure) => vec![failure.msg],
            Ok(prediction) => {
                assert_eq!(prediction.effect == Effect::Same, expect.is_empty(), "{given:?}");
                let script = scripts(&prediction).first().map(|s| s.to_string()).unwrap_or_default();
                script
                    .lines()
                    .filter(|l| !l.starts_with("export"))
                    .map(|l| {
                        l.split(" 2>&1").next().unwrap_or_default().trim_start_matches("xp_e=$(").to_string()
                    })
                    .collect()
            }
        };
        assert_eq!(got, expect, "{given:?}");
    }

    const ON: &str = "rc 0\nshow LoadState=loaded\nshow ActiveState=active\nshow ExecStart={ path=/a ; argv[]=/a\nshow b ; }\nenabled 0 enabled\nword enabled\n";
    const OFF: &str =
        "rc 0\nshow LoadState=loaded\nshow ActiveState=inactive\nenabled 1 disabled\nword disabled\n";
    const NONE: &str = "rc 0\nshow LoadState=not-found\nshow ActiveState=inactive\nenabled 1 \nword \n";

    #[test]
    fn units() {
        check(&[("state", "started"), ("enabled", "yes")], ON, &[]);
        check(
            &[("state", "started"), ("enabled", "yes")],
            OFF,
            &["systemctl enable -- 'dhcpd'", "systemctl start -- 'dhcpd'"],
        );
        check(&[("state", "reloaded")], ON, &["systemctl reload -- 'dhcpd'"]);
        check(&[("state", "reloaded")], OFF, &["systemctl start -- 'dhcpd'"]);
        check(
            &[("state", "restarted"), ("no_block", "yes"), ("scope", "user")],
            ON,
            &["systemctl --user --no-block restart -- 'dhcpd'"],
        );
        check(&[("state", "stopped")], OFF, &[]);
        check(&[("state", "stopped")], NONE, &["Could not find the requested service dhcpd: host"]);
        check(&[("masked", "yes")], NONE, &["systemctl mask -- 'dhcpd'"]);
        check(
            &[("masked", "no")],
            "rc 0\nshow LoadState=masked\nenabled 1 masked\nword masked\n",
            &["systemctl unmask -- 'dhcpd'"],
        );
        check(
            &[("enabled", "yes")],
            "rc 0\nshow LoadState=loaded\nenabled 0 indirect\nword indirect\n",
            &["systemctl enable -- 'dhcpd'"],
        );
        check(&[("enabled", "yes")], "rc 0\nshow LoadState=loaded\nenabled 0 static\nword static\n", &[]);
        check(
            &[("enabled", "yes")],
            "initd yes\nrcd yes\nrc 0\nshow LoadState=loaded\nenabled 1 \nword \n",
            &[],
        );
        check(
            &[("state", "started")],
            "rc 0\nshow LoadState=bad\nshow LoadError=no\n",
            &["Error loading unit file 'dhcpd': no"],
        );
        check(
            &[("state", "started")],
            "offline yes\nrc 0\nshow Running in chroot, ignoring request: show\nword enabled\n",
            &[],
        );
        let status = parse_show(&["ExecStart={ path=/a ;", "b }", "Description={x"]);
        assert_eq!(Value::map(status).repr(), "{'ExecStart': '{ path=/a ;\\nb }', 'Description': '{x'}");
    }

    #[test]
    fn trees_that_do_not_run() {
        let plan = |seen: &str| {
            let given = [("name", "dhcpd"), ("enabled", "no"), ("root", "/img")];
            Case::new(&Systemd, args(&given)).plan(seen).unwrap()
        };
        assert_eq!(
            scripts(&plan("init systemd\nenabled enabled\n")),
            ["xp_do \"disable the service \"'dhcpd' systemctl --root='/img' disable -- 'dhcpd'\n"]
        );
        assert_eq!(
            scripts(&plan("init sysv\nenabled enabled\n")),
            ["xp_do \"disable the service \"'dhcpd' chroot '/img' chkconfig 'dhcpd' off\n"]
        );
        assert_eq!(plan("init sysv\nenabled not-found\n").effect, Effect::Same);
    }

    #[test]
    fn reloads_before_it_looks() {
        let case = Case::new(&Systemd, args(&[("daemon_reload", "yes")]));
        assert!(case.prepare("").unwrap().unwrap().script.contains("systemctl daemon-reload"));
        assert_eq!(case.plan("").unwrap().effect, Effect::Same);
        let none = Case::new(&Systemd, args(&[("name", "a*"), ("state", "started")])).probe().unwrap_err();
        assert!(
            none.msg.starts_with("This module does not currently support using glob patterns, found '*'")
        );
        let nameless = Case::new(&Systemd, args(&[("state", "started")])).probe().unwrap_err();
        assert_eq!(nameless.msg, "missing parameter(s) required by 'state': name");
    }
}
