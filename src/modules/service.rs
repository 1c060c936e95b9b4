//! `service` and `sysvinit`: whether services run and start at boot, by what the target has: systemd, OpenRC, upstart or
//! init scripts.

use super::sh::{Report, q};
use super::systemd::{self, ROOT, finish, foreseen, touched};
use super::write::attr_diff;
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Run, Seen,
    words,
};
use crate::transport::Output;
use crate::value::{Map, Value};

const NAME: ArgSpec =
    ArgSpec::new("name", ArgKind::Str, "The service.").aliases(&["service", "unit"]).required();
const ENABLED: ArgSpec = ArgSpec::new("enabled", ArgKind::Bool, "Whether it starts at boot.");
const PATTERN: ArgSpec =
    ArgSpec::new("pattern", ArgKind::Str, "What to look for among processes, for services without a status.");
const SLEEP: ArgSpec = ArgSpec::new("sleep", ArgKind::Int, "Seconds between stop and start of a restart.");

static SERVICE: ModuleSpec = ModuleSpec {
    name: "service",
    about: "Controls services.",
    args: &[
        NAME,
        ArgSpec::new("state", ArgKind::Str, "Whether it runs.").choices(&[
            "reloaded",
            "restarted",
            "started",
            "stopped",
        ]),
        ENABLED,
        PATTERN,
        SLEEP,
        ArgSpec::new("runlevel", ArgKind::Str, "With OpenRC: the runlevel to enable it in.")
            .default("default"),
        ArgSpec::new("arguments", ArgKind::Str, "More arguments for the service's script.")
            .default("")
            .aliases(&["args"]),
        ArgSpec::new("use", ArgKind::Str, "The manager of services; found out by default.").default("auto"),
        ArgSpec::new("daemon_reload", ArgKind::Bool, "With systemd: let it read its unit files again first.")
            .aliases(&["daemon-reload"]),
        ArgSpec::new("daemon_reexec", ArgKind::Bool, "With systemd: restart it first.")
            .aliases(&["daemon-reexec"]),
        ArgSpec::new("masked", ArgKind::Bool, "With systemd: whether it cannot be started at all."),
        ArgSpec::new("no_block", ArgKind::Bool, "With systemd: do not wait until it is done."),
        ArgSpec::new("force", ArgKind::Bool, "With systemd: replace links that are in the way."),
        ArgSpec::new("scope", ArgKind::Str, "With systemd: whose units.")
            .default("system")
            .choices(&["system", "user", "global"]),
        ROOT,
    ],
    rules: &[Rule::OneOf(&["state", "enabled", "masked", "daemon_reload", "daemon_reexec"])],
    returns: &[
        ("name", "the service"),
        ("state", "started or stopped"),
        ("enabled", "whether it starts at boot"),
        ("status", "with systemd: what it told before the change"),
    ],
    ..ModuleSpec::BASE
};

static SYSVINIT: ModuleSpec = ModuleSpec {
    name: "sysvinit",
    about: "Controls services by their init scripts.",
    args: &[
        NAME,
        ArgSpec::new("state", ArgKind::Str, "Whether it runs.").choices(&[
            "started",
            "stopped",
            "restarted",
            "reloaded",
        ]),
        ENABLED,
        SLEEP,
        PATTERN,
        ArgSpec::new("runlevels", ArgKind::StrList, "The runlevels to enable it in."),
        ArgSpec::new("arguments", ArgKind::Str, "More arguments for the script.").aliases(&["args"]),
        ArgSpec::new("daemonize", ArgKind::Bool, "The script does not put itself into the background.")
            .default("no"),
    ],
    rules: &[Rule::OneOf(&["state", "enabled"])],
    returns: &[("name", "the service"), ("status", "what was done, by subject")],
    ..ModuleSpec::BASE
};

pub struct Service;
pub struct Sysvinit;

impl Module for Service {
    fn spec(&self) -> &'static ModuleSpec {
        &SERVICE
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        if let Some(root) = args.str("root") {
            return systemd::tree_probe(call, root).map(Some);
        }
        let asked = match args.str("use").unwrap_or("auto").to_lowercase().as_str() {
            "systemd" => "systemd",
            "openrc" => "openrc",
            "upstart" => "upstart",
            "sysvinit" | "service" => "sysv",
            _ => "",
        };
        Ok(Some(format!(
            "xp_init={asked}\nif [ -n \"$xp_init\" ]; then :\n\
             elif command -v systemctl >/dev/null 2>&1 && {{ [ -d /run/systemd/system ] || [ -d /dev/.run/systemd ] || [ -d /dev/.systemd ] || [ \"${{SYSTEMD_OFFLINE-}}\" = 1 ]; }}; then xp_init=systemd\n\
             elif command -v rc-service >/dev/null 2>&1; then xp_init=openrc\n\
             elif command -v initctl >/dev/null 2>&1 && [ -e /etc/init/{0}.conf ]; then xp_init=upstart\nelse xp_init=sysv; fi\n\
             printf 'init %s\\n' \"$xp_init\"\ncase $xp_init in systemd)\n{1};;\n*)\n{2};;\nesac\n",
            q(args.str("name").unwrap_or_default()),
            systemd::probe(args),
            probe(args)
        )))
    }

    fn prepare(&self, call: &Call, seen: &Seen) -> Result<Option<Run>, Failure> {
        let is_systemd = Report::of(seen)?.get("init") == Some("systemd") && !call.args.has("root");
        Ok(systemd::prepare(&call.args).filter(|_| is_systemd))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let report = Report::of(seen)?;
        if call.args.has("root") {
            return systemd::tree_plan(call, &report);
        }
        if report.need("init")? != "systemd" {
            return plan(call, &report);
        }
        let mut prediction = systemd::plan(call, seen)?;
        for name in ["pattern", "sleep", "runlevel", "arguments"] {
            let default = SERVICE.arg(name).and_then(|arg| arg.default);
            if let Some(value) = call.args.get(name)
                && Some(value.to_text().as_str()) != default
            {
                prediction.warnings.push(format!("Ignoring \"{name}\" as it is not used in \"systemd\""));
            }
        }
        Ok(prediction)
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        finish(call, prediction, ran)
    }
}

impl Module for Sysvinit {
    fn spec(&self) -> &'static ModuleSpec {
        &SYSVINIT
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        Ok(Some(format!("xp_init=sysv\nprintf 'init sysv\\n'\n{}", probe(&call.args))))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let mut prediction = plan(call, &Report::of(seen)?)?;
        let after = prediction.diff.first().map(|diff| diff.after.clone());
        let changes = |what: &str| {
            let differs = matches!(&after, Some(super::DiffSide::Attributes(map)) if map.contains(what));
            Value::map(Map::from_iter([
                ("changed", Value::Bool(differs)),
                ("rc", Value::Null),
                ("stdout", Value::Null),
                ("stderr", Value::Null),
            ]))
        };
        let mut status = Map::from_iter([("enabled", changes("enabled"))]);
        if let Some(state) = call.args.str("state") {
            status.insert(state, changes("state"));
        }
        prediction.result = Map::from_iter([
            ("name", Value::str(call.args.str("name").unwrap_or_default())),
            ("status", Value::map(status)),
        ]);
        Ok(prediction)
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        finish(call, prediction, ran)
    }
}

/// Returns the lines that tell about a service outside of systemd; `xp_init` says whose it is.
fn probe(args: &Args) -> String {
    let mut script = format!(
        "xp_n={}\nxp_ps() {{ ps auxww 2>/dev/null || ps -ef 2>/dev/null || ps w; }}\n\
         xp_script=; for xp_d in /etc/init.d /etc/rc.d/init.d /sbin/init.d; do if [ -e \"$xp_d/$xp_n\" ]; then xp_script=$xp_d/$xp_n; break; fi; done\n\
         case $xp_init in\n\
         openrc) if rc-service -e \"$xp_n\" 2>/dev/null; then printf 'there yes\\n'; fi\n\
         xp_o=$(rc-service \"$xp_n\" status 2>&1 </dev/null); printf 'status %s %s\\n' $? \"$(printf '%s' \"$xp_o\" | tr '\\n' ' ')\"\n\
         rc-update show {} 2>/dev/null | sed 's/|.*//; s/ //g' | grep -qxF \"$xp_n\" && printf 'enabled yes\\n' ;;\n\
         upstart) if [ -e \"/etc/init/$xp_n.conf\" ]; then printf 'there yes\\n'; fi\n\
         xp_o=$(initctl status \"$xp_n\" 2>&1 </dev/null); printf 'status %s %s\\n' $? \"$xp_o\"\n\
         grep -qs '^[ \\t]*manual' \"/etc/init/$xp_n.override\" \"/etc/init/$xp_n.conf\" || printf 'enabled yes\\n' ;;\n\
         *) if [ -n \"$xp_script\" ]; then printf 'there yes\\nscript '; xp_word \"$xp_script\"; printf '\\n'\n",
        q(args.str("name").unwrap_or_default()),
        q(args.str("runlevel").unwrap_or("default")),
    );
    if !args.has("pattern") {
        script += "xp_o=$(\"$xp_script\" status 2>/dev/null </dev/null); printf 'status %s %s\\n' $? \"$(printf '%s' \"$xp_o\" | tr '\\n' '\\001' | sed 's/\\001$//' | tr '\\001' '|')\"\n";
    }
    script += "fi\nif command -v update-rc.d >/dev/null 2>&1; then printf 'switch update-rc.d\\n'; elif command -v chkconfig >/dev/null 2>&1; then printf 'switch chkconfig\\n'; chkconfig --list \"$xp_n\" >/dev/null 2>&1 || printf 'unlisted yes\\n'; fi\n\
         for xp_f in /etc/rc[0-9S].d/S[0-9][0-9]\"$xp_n\" /etc/rc.d/rc[0-9].d/S[0-9][0-9]\"$xp_n\"; do if [ -e \"$xp_f\" ]; then xp_l=${xp_f%.d/*}; printf 'level %s\\n' \"${xp_l##*rc}\"; fi; done ;;\nesac\n";
    if let Some(pattern) = args.str("pattern") {
        add!(
            script,
            "if xp_ps | grep -v grep | grep -qF -- {}; then printf 'process yes\\n'; fi\n",
            q(pattern)
        );
    }
    script + ":\n"
}

fn plan(call: &Call, report: &Report) -> Result<Prediction, Failure> {
    let args = &call.args;
    let name = args.str("name").unwrap_or_default();
    let init = report.need("init")?;
    let (will_run, will_start, made) = foreseen(call, name)?;
    if report.get("there").is_none() && !made {
        let failure = Failure::new(format!("Could not find the requested service {name}: host"));
        return Err(call.world.installs().filter(|_| call.check).map_or(failure, Failure::unknown));
    }
    let manager = Manager { args, report, init, name };
    let mut result = Map::from_iter([("name", name)]);
    let (mut script, mut before, mut after) = (String::new(), Map::new(), Map::new());
    if let Some(wanted) = args.bool("enabled") {
        let is = will_start.unwrap_or_else(|| manager.enabled());
        if is != wanted {
            script += &manager.enable(wanted);
            before.insert("enabled", is);
            after.insert("enabled", wanted);
        }
        result.insert("enabled", wanted);
    }
    if let Some(state) = args.str("state") {
        let runs = will_run.unwrap_or_else(|| manager.runs());
        let verb = match (state, runs) {
            ("started" | "reloaded", false) => Some("start"),
            ("stopped", true) => Some("stop"),
            ("restarted", _) => Some("restart"),
            ("reloaded", true) => Some("reload"),
            _ => None,
        };
        if let Some(verb) = verb {
            script += &manager.control(verb)?;
            before.insert("state", if runs { "started" } else { "stopped" });
            after.insert("state", state);
        }
        result.insert("state", if state == "stopped" { "stopped" } else { "started" });
    }
    if script.is_empty() {
        return Ok(Prediction::same(result));
    }
    let touch = touched(name, &after);
    Ok(Prediction::change(result, vec![Action::run(script)])
        .diff(attr_diff(name, before, after))
        .touch(touch))
}

/// A service outside of systemd: what was told of it, and the commands for it.
struct Manager<'a> {
    args: &'a Args,
    report: &'a Report,
    init: &'a str,
    name: &'a str,
}

impl Manager<'_> {
    /// Reads messages of status commands, which are more to be trusted than their exit codes.
    fn runs(&self) -> bool {
        if self.args.has("pattern") {
            return self.report.get("process").is_some();
        }
        let (rc, said) = self.report.get("status").and_then(|s| s.split_once(' ')).unwrap_or(("1", ""));
        let rc: i32 = rc.parse().unwrap_or(1);
        let said = said.to_lowercase().replace(&self.name.to_lowercase(), "");
        match self.init {
            "openrc" => return rc == 0 && !said.contains("stopped"),
            "upstart" => return said.contains("start/"),
            _ => {}
        }
        if self.name == "iptables" && said.contains("accept") {
            return true;
        }
        if !said.contains('|') {
            let stopped = ["stop", "is dead ", "dead but ", "could not access pid file", "inactive"];
            if stopped.iter().any(|word| said.contains(word)) {
                return false;
            }
            let started = ["run", "start", "active"];
            if started.iter().any(|word| said.contains(word)) && !said.contains("not ") {
                return true;
            }
        }
        rc == 0
    }

    fn levels(&self) -> Vec<&str> {
        self.report.all("level").collect()
    }

    fn enabled(&self) -> bool {
        if self.init != "sysv" {
            return self.report.get("enabled").is_some();
        }
        let levels = self.levels();
        match self.args.texts("runlevels").as_slice() {
            [] => !levels.is_empty(),
            wanted => wanted.iter().all(|level| levels.contains(&level.as_str())),
        }
    }

    fn enable(&self, on: bool) -> String {
        let (verb, name) = (if on { "enable" } else { "disable" }, q(self.name));
        let line = |command: String| format!("xp_do \"{verb} the service \"{name} {command}\n");
        let levels = self.args.texts("runlevels");
        match self.init {
            "openrc" => {
                let level = q(self.args.str("runlevel").unwrap_or("default"));
                line(format!("rc-update -q {} {name} {level}", if on { "add" } else { "delete" }))
            }
            "upstart" if on => format!(
                "xp_f=/etc/init/{name}.override; if [ -e \"$xp_f\" ]; then xp_o=$(sed '/^[ \\t]*manual/d' \"$xp_f\"); if [ -n \"$xp_o\" ]; then printf '%s\\n' \"$xp_o\" >\"$xp_f\"; else rm -f -- \"$xp_f\"; fi; fi\n"
            ),
            "upstart" => format!("printf 'manual\\n' >>/etc/init/{name}.override\n"),
            _ if self.report.get("switch") == Some("chkconfig") => {
                let add = if on && self.report.get("unlisted").is_some() {
                    line(format!("chkconfig --add {name}"))
                } else {
                    String::new()
                };
                let level = if levels.is_empty() {
                    String::new()
                } else {
                    format!(" --level {}", q(&levels.concat()))
                };
                add + &line(format!("chkconfig{level} {name} {}", if on { "on" } else { "off" }))
            }
            _ => {
                let which: String = levels.iter().map(|level| format!(" {}", q(level))).collect();
                let defaults = if on { line(format!("update-rc.d {name} defaults")) } else { String::new() };
                let verb = if on { "enable" } else { "disable" };
                defaults + &line(format!("update-rc.d {name} {verb}{which}"))
            }
        }
    }

    fn control(&self, verb: &str) -> Result<String, Failure> {
        let extra: String = words::split(self.args.str("arguments").unwrap_or_default())
            .map_err(|e| Failure::new(format!("arguments: {e}")))?
            .iter()
            .map(|word| format!(" {}", q(word)))
            .collect();
        let name = q(self.name);
        let script = self.report.word("script").unwrap_or_else(|| format!("/etc/init.d/{}", self.name));
        let one = |verb: &str| {
            let command = match self.init {
                "openrc" => format!("rc-service {name} {verb}{extra}"),
                "upstart" => format!("initctl {verb} {name}{extra}"),
                _ if self.args.flag("daemonize") => {
                    format!(
                        "sh -c 'nohup \"$0\" \"$@\" >/dev/null 2>&1 </dev/null &' {} {verb}{extra}",
                        q(&script)
                    )
                }
                _ => format!("{} {verb}{extra}", q(&script)),
            };
            format!("xp_do \"{verb} the service \"{name} {command}\n")
        };
        let sleep = self.args.int("sleep").unwrap_or(0).max(0);
        // Restarting a job of upstart that does not run is a failure.
        let apart = verb == "restart" && (sleep > 0 || (self.init == "upstart" && !self.runs()));
        if !apart {
            return Ok(one(verb));
        }
        let stop = if self.runs() { one("stop") } else { String::new() };
        Ok(format!("{stop}sleep {sleep}\n{}", one("start")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    fn check(given: &[(&str, &str)], seen: &str, expect: &[&str]) {
        let mut given = given.to_vec();
        given.push(("name", "ntpd"));
        let got = match Case::new(&Service, args(&given)).plan(seen) {
            Err(failure) => vec![failure.msg],
            Ok(prediction) => scripts(&prediction)
                .iter()
                .flat_map(|s| s.lines())
                .map(|l| l.replace("the service \"'ntpd' ", "").replace("xp_do \"", ""))
                .collect(),
        };
        assert_eq!(got, expect, "{given:?}");
    }

    #[test]
    fn init_scripts() {
        let el6 = "init sysv\nthere yes\nscript =/etc/rc.d/init.d/ntpd\nstatus 3 ntpd is stopped\nswitch chkconfig\n";
        check(
            &[("state", "started"), ("enabled", "yes")],
            el6,
            &["enable chkconfig 'ntpd' on", "start '/etc/rc.d/init.d/ntpd' start"],
        );
        check(
            &[("enabled", "yes")],
            &format!("{el6}unlisted yes\n"),
            &["enable chkconfig --add 'ntpd'", "enable chkconfig 'ntpd' on"],
        );
        check(&[("enabled", "yes"), ("state", "stopped")], &format!("{el6}level 3\n"), &[]);
        let on = "init sysv\nthere yes\nstatus 0 ntpd (pid 1) is running...\nlevel 2\nswitch update-rc.d\n";
        check(&[("state", "started")], on, &[]);
        check(
            &[("state", "restarted"), ("sleep", "2"), ("arguments", "-x 'a b'")],
            on,
            &[
                "stop '/etc/init.d/ntpd' stop '-x' 'a b'",
                "sleep 2",
                "start '/etc/init.d/ntpd' start '-x' 'a b'",
            ],
        );
        check(&[("enabled", "no")], on, &["disable update-rc.d 'ntpd' disable"]);
        check(&[("state", "started"), ("pattern", "ntp")], &format!("{on}process yes\n"), &[]);
        check(&[("state", "started"), ("pattern", "ntp")], on, &["start '/etc/init.d/ntpd' start"]);
        check(&[("state", "started")], "init sysv\n", &["Could not find the requested service ntpd: host"]);
    }

    #[test]
    fn other_managers() {
        let openrc = "init openrc\nthere yes\nstatus 3  * status: stopped \n";
        check(
            &[("state", "started"), ("enabled", "yes"), ("runlevel", "boot")],
            openrc,
            &["enable rc-update -q add 'ntpd' 'boot'", "start rc-service 'ntpd' start"],
        );
        let upstart = "init upstart\nthere yes\nstatus 0 ntpd start/running, process 1\nenabled yes\n";
        check(
            &[("state", "stopped"), ("enabled", "no")],
            upstart,
            &["printf 'manual\\n' >>/etc/init/'ntpd'.override", "stop initctl stop 'ntpd'"],
        );
        check(
            &[("state", "restarted")],
            "init upstart\nthere yes\nstatus 0 ntpd stop/waiting\n",
            &["sleep 0", "start initctl start 'ntpd'"],
        );
    }

    #[test]
    fn systemd_ignores_what_it_does_not_know() {
        let given = args(&[("name", "x"), ("state", "started"), ("sleep", "1")]);
        let prediction = Case::new(&Service, given)
            .plan("init systemd\nrc 0\nshow LoadState=loaded\nshow ActiveState=active\n")
            .unwrap();
        assert_eq!(prediction.warnings, ["Ignoring \"sleep\" as it is not used in \"systemd\""]);
    }

    #[test]
    fn sysvinit_tells_by_subject() {
        let given = args(&[("name", "x"), ("state", "stopped"), ("enabled", "no")]);
        let prediction =
            Case::new(&Sysvinit, given).plan("init sysv\nthere yes\nstatus 0 \nswitch chkconfig\n").unwrap();
        let changed = |what: &str| {
            prediction.result.get("status").unwrap().get(what).unwrap().get("changed").unwrap().to_text()
        };
        assert_eq!((changed("stopped"), changed("enabled")), ("True".into(), "False".into()));
    }
}
