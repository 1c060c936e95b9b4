//! `service` and `systemd`: whether services run and start at boot; also in a root tree that is not running.

use super::sh::{Report, expand_path, q};
use super::write::attr_diff;
use super::{Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Seen};
use crate::transport::Output;
use crate::value::{Map, Value};

const NAME: ArgSpec = ArgSpec::new("name", ArgKind::Str, "The service.").aliases(&["service", "unit"]);
const STATE: ArgSpec = ArgSpec::new("state", ArgKind::Str, "Whether it runs.").choices(&[
    "reloaded",
    "restarted",
    "started",
    "stopped",
]);
const ENABLED: ArgSpec = ArgSpec::new("enabled", ArgKind::Bool, "Whether it starts at boot.");
const ROOT: ArgSpec = ArgSpec::new(
    "root",
    ArgKind::Path,
    "A root tree that is not running, such as an image; only enabled and masked can be set there. (xplay)",
);

static SERVICE: ModuleSpec = ModuleSpec {
    name: "service",
    about: "Controls services.",
    args: &[
        NAME.required(),
        STATE,
        ENABLED,
        ArgSpec::new("pattern", ArgKind::Str, "Accepted for old playbooks; does nothing."),
        ArgSpec::new("sleep", ArgKind::Int, "Seconds between stop and start of a restart."),
        ArgSpec::new("runlevel", ArgKind::Str, "Accepted for old playbooks; does nothing.")
            .default("default"),
        ArgSpec::new("arguments", ArgKind::Str, "More arguments for the service's script.")
            .default("")
            .aliases(&["args"]),
        ArgSpec::new("use", ArgKind::Str, "Accepted; what the target has is found out.").default("auto"),
        ROOT,
    ],
    returns: &[
        ("name", "the service"),
        ("state", "started or stopped"),
        ("enabled", "whether it starts at boot"),
    ],
    ..ModuleSpec::BASE
};

const SYSTEMD_ARGS: &[ArgSpec] = &[
    NAME,
    STATE,
    ENABLED,
    ArgSpec::new("masked", ArgKind::Bool, "Whether it cannot be started at all."),
    ArgSpec::new("daemon_reload", ArgKind::Bool, "Let systemd read its unit files again first.")
        .default("no")
        .aliases(&["daemon-reload"]),
    ArgSpec::new("daemon_reexec", ArgKind::Bool, "Restart systemd itself first.")
        .default("no")
        .aliases(&["daemon-reexec"]),
    ArgSpec::new("scope", ArgKind::Str, "Whose services.")
        .default("system")
        .choices(&["system", "user", "global"]),
    ArgSpec::new("no_block", ArgKind::Bool, "Do not wait until it is done.").default("no"),
    ArgSpec::new("force", ArgKind::Bool, "Replace links that are in the way."),
    ROOT,
];

static SYSTEMD: ModuleSpec = SYSTEMD_SPEC;
static SYSTEMD_SERVICE: ModuleSpec = ModuleSpec { name: "systemd_service", ..SYSTEMD_SPEC };
const SYSTEMD_SPEC: ModuleSpec = ModuleSpec {
    name: "systemd",
    about: "Controls units of systemd.",
    args: SYSTEMD_ARGS,
    returns: &[("name", "the unit"), ("state", "started or stopped"), ("status", "what systemd tells")],
    ..ModuleSpec::BASE
};

pub struct Service;
pub struct Systemd;
pub struct SystemdService;

macro_rules! service_module {
    ($module:ty, $spec:expr) => {
        impl Module for $module {
            fn spec(&self) -> &'static ModuleSpec {
                &$spec
            }

            fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
                probe(call).map(Some)
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
                finish(call, prediction, ran)
            }
        }
    };
}
service_module!(Service, SERVICE);
service_module!(Systemd, SYSTEMD);
service_module!(SystemdService, SYSTEMD_SERVICE);

fn systemctl(call: &Call) -> &'static str {
    match call.args.str("scope") {
        Some("user") => "systemctl --user",
        Some("global") => "systemctl --global",
        _ => "systemctl",
    }
}

/// Returns the lines that tell: which init system, whether the service is there, runs, and starts at boot.
fn probe(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let name = q(args.str("name").unwrap_or_default());
    if let Some(root) = args.str("root") {
        let root = q(&expand_path(call, root)?);
        if args.has("state") {
            return Err(Failure::new("state cannot be set in a root tree that is not running"));
        }
        return Ok(format!(
            "xp_root={root}\nxp_n={name}\n[ -d \"$xp_root\" ] || xp_fail \"there is no root tree $xp_root\"\n\
             if [ -e \"$xp_root/usr/lib/systemd/systemd\" ] || [ -e \"$xp_root/lib/systemd/systemd\" ]; then printf 'init systemd\\n'\n\
             xp_e=$(systemctl --root=\"$xp_root\" is-enabled -- \"$xp_n\" 2>/dev/null); [ -n \"$xp_e\" ] || xp_e=not-found\nprintf 'enabled %s\\n' \"$xp_e\"\n\
             else printf 'init sysv\\n'\nif [ -e \"$xp_root/etc/init.d/$xp_n\" ]; then\n\
             if ls \"$xp_root\"/etc/rc[2-5].d/S[0-9][0-9]\"$xp_n\" >/dev/null 2>&1 || ls \"$xp_root\"/etc/rc.d/rc[2-5].d/S[0-9][0-9]\"$xp_n\" >/dev/null 2>&1; then printf 'enabled enabled\\n'; else printf 'enabled disabled\\n'; fi\n\
             else printf 'enabled not-found\\n'; fi\nfi\n"
        ));
    }
    let ctl = systemctl(call);
    Ok(format!(
        "xp_n={name}\nif [ -d /run/systemd/system ] || [ -n \"${{XDG_RUNTIME_DIR-}}\" ] && {ctl} show -p Version >/dev/null 2>&1; then printf 'init systemd\\n'\n\
         if [ -n \"$xp_n\" ]; then {ctl} show -p LoadState,ActiveState,SubState,UnitFileState -- \"$xp_n\" 2>/dev/null | sed 's/^/show /'\n\
         xp_e=$({ctl} is-enabled -- \"$xp_n\" 2>/dev/null); [ -n \"$xp_e\" ] || xp_e=not-found\nprintf 'enabled %s\\n' \"$xp_e\"; fi\n\
         elif command -v rc-service >/dev/null 2>&1; then printf 'init openrc\\n'\n\
         if rc-service -e \"$xp_n\"; then printf 'there yes\\n'; fi\nrc-service \"$xp_n\" status >/dev/null 2>&1; printf 'status %s\\n' $?\n\
         if rc-update show default 2>/dev/null | grep -q \"^ *$xp_n \"; then printf 'enabled enabled\\n'; else printf 'enabled disabled\\n'; fi\n\
         else printf 'init sysv\\n'\nif [ -x \"/etc/init.d/$xp_n\" ]; then printf 'there yes\\n'; \"/etc/init.d/$xp_n\" status >/dev/null 2>&1 </dev/null; printf 'status %s\\n' $?; fi\n\
         if command -v chkconfig >/dev/null 2>&1; then if chkconfig \"$xp_n\" >/dev/null 2>&1; then printf 'enabled enabled\\n'; else printf 'enabled disabled\\n'; fi\n\
         elif ls /etc/rc[2-5].d/S[0-9][0-9]\"$xp_n\" >/dev/null 2>&1; then printf 'enabled enabled\\n'; else printf 'enabled disabled\\n'; fi\nfi\n"
    ))
}

/// The commands of an init system.
struct Verbs {
    control: Box<dyn Fn(&str) -> String>,
    enable: String,
    disable: String,
}

fn plan(call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
    let args = &call.args;
    let report = Report::of(seen)?;
    let name = args.str("name").unwrap_or_default();
    let init = report.need("init")?;
    let mut script = String::new();
    let mut result = Map::new();
    result.insert("name", name);
    let (mut before, mut after) = (Map::new(), Map::new());
    if init == "systemd" && args.str("root").is_none() {
        for (flag, verb) in [("daemon_reexec", "daemon-reexec"), ("daemon_reload", "daemon-reload")] {
            if args.flag(flag) {
                add!(script, "xp_do \"reload systemd\" {} {verb}\n", systemctl(call));
            }
        }
    }
    let reloads = !script.is_empty();
    if name.is_empty() {
        if args.has("state") || args.has("enabled") || args.has("masked") {
            return Err(Failure::new("name is required with state, enabled and masked"));
        }
        return Ok(if reloads { quiet(result, script) } else { Prediction::same(result) });
    }
    let show = |key: &str| report.all("show").find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
    let enabled_word = report.get("enabled").unwrap_or("not-found");
    let there = match (init, args.str("root")) {
        (_, Some(_)) => enabled_word != "not-found",
        ("systemd", None) => show("LoadState").is_some_and(|s| s != "not-found"),
        _ => report.get("there").is_some(),
    };
    if !there {
        let wants_nothing = matches!(args.str("state"), None | Some("stopped")) && !args.flag("enabled");
        if wants_nothing && (args.bool("enabled") == Some(false) || args.has("state")) {
            result.insert("state", "stopped");
            result.insert("enabled", false);
            result.insert("msg", format!("there is no service {name}"));
            return Ok(Prediction::same(result));
        }
        return Err(Failure::new(format!("Could not find the requested service {name}: host")));
    }
    let verbs = verbs(call, init, name)?;
    if let Some(masked) = args.bool("masked") {
        let is = enabled_word.starts_with("masked") || show("LoadState") == Some("masked");
        if is != masked {
            let verb = if masked { "mask" } else { "unmask" };
            add!(
                script,
                "xp_do \"{verb} the service \"{} {} {verb} -- {}\n",
                q(name),
                offline(call)?,
                q(name)
            );
            before.insert("masked", is);
            after.insert("masked", masked);
        }
    }
    if let Some(enabled) = args.bool("enabled") {
        let is = matches!(enabled_word, "enabled" | "enabled-runtime" | "alias");
        // These cannot be enabled; they start when something else needs them.
        let fixed = matches!(enabled_word, "static" | "indirect" | "generated" | "transient");
        if is != enabled && !fixed {
            script += if enabled { &verbs.enable } else { &verbs.disable };
            before.insert("enabled", is);
            after.insert("enabled", enabled);
        }
        result.insert("enabled", enabled || (fixed && is));
    }
    if let Some(state) = args.str("state") {
        let runs = match init {
            "systemd" => matches!(show("ActiveState"), Some("active" | "activating" | "reloading")),
            _ => report.get("status") == Some("0"),
        };
        let verb = match (state, runs) {
            ("started", false) | ("reloaded", false) => Some("start"),
            ("stopped", true) => Some("stop"),
            ("restarted", _) => Some("restart"),
            ("reloaded", true) => Some("reload"),
            _ => None,
        };
        if let Some(verb) = verb {
            script += &(verbs.control)(verb);
            before.insert("state", if runs { "started" } else { "stopped" });
            after.insert("state", state);
        }
        result.insert("state", if state == "stopped" { "stopped" } else { "started" });
    }
    if before.is_empty() && after.is_empty() {
        return Ok(if reloads { quiet(result, script) } else { Prediction::same(result) });
    }
    Ok(Prediction::change(result, vec![Action::run(script)]).diff(attr_diff(name, before, after)))
}

/// Something to do that does not count as a change (`daemon_reload` alone).
fn quiet(result: Map, script: String) -> Prediction {
    let mut prediction = Prediction::change(result, vec![Action::run(script)]);
    prediction.effect = super::Effect::Same;
    prediction
}

fn offline(call: &Call) -> Result<String, Failure> {
    Ok(match call.args.str("root") {
        Some(root) => format!("systemctl --root={}", q(&expand_path(call, root)?)),
        None => systemctl(call).to_string(),
    })
}

fn verbs(call: &Call, init: &str, name: &str) -> Result<Verbs, Failure> {
    let args = &call.args;
    let unit = q(name);
    let line = |verb: &str, command: String| format!("xp_do \"{verb} the service \"{} {command}\n", q(name));
    if init == "systemd" {
        let ctl = offline(call)?;
        let block = if args.flag("no_block") { " --no-block" } else { "" };
        let force = if args.flag("force") { " --force" } else { "" };
        let (enable, disable) = (
            line("enable", format!("{ctl} enable{force} -- {unit}")),
            line("disable", format!("{ctl} disable{force} -- {unit}")),
        );
        let name = name.to_string();
        let control = move |verb: &str| {
            format!("xp_do \"{verb} the service \"{0} {ctl}{block} {verb} -- {0}\n", q(&name))
        };
        return Ok(Verbs { control: Box::new(control), enable, disable });
    }
    if let Some(root) = args.str("root") {
        let root = q(&expand_path(call, root)?);
        return Ok(Verbs {
            control: Box::new(|_| String::new()),
            enable: line("enable", format!("chroot {root} chkconfig {unit} on")),
            disable: line("disable", format!("chroot {root} chkconfig {unit} off")),
        });
    }
    let extra: String = match args.str("arguments") {
        None | Some("") => String::new(),
        Some(text) => super::words::split(text)
            .map_err(|e| Failure::new(format!("arguments: {e}")))?
            .iter()
            .map(|w| format!(" {}", q(w)))
            .collect(),
    };
    let sleep = args.int("sleep").unwrap_or(0).max(0);
    let runner = if init == "openrc" { format!("rc-service {unit}") } else { format!("/etc/init.d/{unit}") };
    let shown = name.to_string();
    let control = move |verb: &str| {
        let one = |verb: &str| format!("xp_do \"{verb} the service \"{} {runner} {verb}{extra}\n", q(&shown));
        if verb == "restart" && sleep > 0 {
            format!("{}sleep {sleep}\n{}", one("stop"), one("start"))
        } else {
            one(verb)
        }
    };
    let (enable, disable) = if init == "openrc" {
        (format!("rc-update add {unit} default"), format!("rc-update del {unit} default"))
    } else {
        let pick = |on: &str, update: &str| {
            format!(
                "sh -c 'if command -v chkconfig >/dev/null 2>&1; then chkconfig \"$0\" {on}; else update-rc.d \"$0\" {update}; fi' {unit}"
            )
        };
        (pick("on", "enable"), pick("off", "disable"))
    };
    Ok(Verbs {
        control: Box::new(control),
        enable: line("enable", enable),
        disable: line("disable", disable),
    })
}

fn finish(call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
    if let Some(output) = ran.iter().find(|o| o.rc != 0) {
        let name = call.args.str("name").unwrap_or_default();
        return Err(Failure::from_output(output).with("name", Value::str(name)));
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
        let prediction = Case::new(&Systemd, args(&given)).plan(seen).unwrap();
        assert_eq!(scripts(&prediction), expect, "{given:?}");
        assert_eq!(prediction.effect == Effect::Same, expect.is_empty());
    }

    const ON: &str = "init systemd\nshow LoadState=loaded\nshow ActiveState=active\nenabled enabled\n";
    const OFF: &str = "init systemd\nshow LoadState=loaded\nshow ActiveState=inactive\nenabled disabled\n";
    const NONE: &str = "init systemd\nshow LoadState=not-found\nenabled not-found\n";

    #[test]
    fn units() {
        check(&[("state", "started"), ("enabled", "yes")], ON, &[]);
        check(
            &[("state", "started"), ("enabled", "yes")],
            OFF,
            &["xp_do \"enable the service \"'dhcpd' systemctl enable -- 'dhcpd'\n\
               xp_do \"start the service \"'dhcpd' systemctl start -- 'dhcpd'\n"],
        );
        check(&[("state", "stopped")], NONE, &[]);
        check(
            &[("enabled", "no"), ("root", "/img")],
            "init systemd\nenabled enabled\n",
            &["xp_do \"disable the service \"'dhcpd' systemctl --root='/img' disable -- 'dhcpd'\n"],
        );
        check(
            &[("enabled", "no"), ("root", "/img")],
            "init sysv\nenabled enabled\n",
            &["xp_do \"disable the service \"'dhcpd' chroot '/img' chkconfig 'dhcpd' off\n"],
        );
        let failure =
            Case::new(&Service, args(&[("name", "x"), ("state", "started")])).plan(NONE).unwrap_err();
        assert_eq!(failure.msg, "Could not find the requested service x: host");
    }
}
