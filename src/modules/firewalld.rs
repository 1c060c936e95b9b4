//! `firewalld`: services, ports and rules of firewalld's zones, by firewall-cmd.

use super::sh::{Report, q};
use super::tool::missing;
use super::write::named_diff;
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Prediction, Rule, Seen, Thing, Touch,
};
use crate::value::{Map, Value};

const STR: ArgKind = ArgKind::Str;
const BOOL: ArgKind = ArgKind::Bool;
const THINGS: &[&str] = &[
    "icmp_block",
    "icmp_block_inversion",
    "service",
    "protocol",
    "port",
    "port_forward",
    "rich_rule",
    "interface",
    "forward",
    "masquerade",
    "source",
    "target",
];

static SPEC: ModuleSpec = ModuleSpec {
    name: "firewalld",
    namespaces: &["ansible.posix"],
    about: "Changes zones of firewalld.",
    args: &[
        ArgSpec::new("state", STR, "enabled or disabled; for a zone itself present or absent.")
            .required()
            .choices(&["absent", "disabled", "enabled", "present"]),
        ArgSpec::new("zone", STR, "The zone; the default one when not given."),
        ArgSpec::new("permanent", BOOL, "Keep it for the next start.").default("no"),
        ArgSpec::new("immediate", BOOL, "With permanent: apply it now too.").default("no"),
        ArgSpec::new("offline", BOOL, "Also where firewalld does not run.").default("no"),
        ArgSpec::new("timeout", ArgKind::Int, "Seconds that it stays, when not permanent.").default("0"),
        ArgSpec::new("service", STR, "A service."),
        ArgSpec::new("protocol", STR, "A protocol."),
        ArgSpec::new("port", STR, "A port or range with a protocol, such as 80/tcp."),
        ArgSpec::new("port_forward", ArgKind::List, "One map of port, proto, toport and maybe toaddr."),
        ArgSpec::new("rich_rule", STR, "A rule in firewalld's own language."),
        ArgSpec::new("source", STR, "A network."),
        ArgSpec::new("interface", STR, "An interface."),
        ArgSpec::new("icmp_block", STR, "A type of ICMP to block."),
        ArgSpec::new("icmp_block_inversion", BOOL, "Block the other types of ICMP."),
        ArgSpec::new("masquerade", BOOL, "Hide senders behind the host's address."),
        ArgSpec::new("forward", BOOL, "Forward inside of the zone."),
        ArgSpec::new("target", STR, "What happens to all other packets.").choices(&[
            "default",
            "ACCEPT",
            "DROP",
            "%%REJECT%%",
        ]),
    ],
    rules: &[Rule::Exclusive(THINGS)],
    returns: &[("msg", "what was done")],
    ..ModuleSpec::BASE
};

pub struct Firewalld;

/// What is asked for: options without the verb in front, and whether they are to hold.
struct Wanted {
    /// Such as `service=ssh`; nothing for a zone and its target.
    option: Option<String>,
    on: bool,
    /// For the message.
    shown: String,
}

impl Wanted {
    fn of(args: &Args) -> Result<Wanted, Failure> {
        let enabled = matches!(args.str("state"), Some("enabled" | "present"));
        let thing = THINGS.iter().find(|name| args.has(name)).copied();
        if thing.is_some_and(|t| t != "target") && matches!(args.str("state"), Some("absent" | "present")) {
            return Err(Failure::new("absent and present state can only be used in zone level operations"));
        }
        if thing.is_none() && matches!(args.str("state"), Some("enabled" | "disabled")) {
            return Err(Failure::new(
                "state enabled and disabled need something to enable, such as a service or a port",
            ));
        }
        for (name, needs) in [("interface", "zone"), ("target", "zone"), ("source", "permanent")] {
            if args.has(name) && !args.has(needs) {
                return Err(Failure::new(format!("missing parameter(s) required by '{name}': {needs}")));
            }
        }
        let Some(thing) = thing.filter(|t| *t != "target") else {
            if !args.flag("permanent") {
                return Err(Failure::new(
                    "Zone operations must be permanent. Make sure you didn't set the 'permanent' flag to 'false' or the 'immediate' flag to 'true'.",
                ));
            }
            if !args.has("zone") {
                return Err(Failure::new("a zone is needed"));
            }
            return Ok(Wanted { option: None, on: enabled, shown: String::new() });
        };
        let word = thing.replace('_', "-");
        let text = args.str(thing).unwrap_or_default();
        let (option, on, shown) = match thing {
            "icmp_block_inversion" | "masquerade" | "forward" => {
                let on = enabled == args.flag(thing);
                (word.clone(), on, format!("{word} {}", if args.flag(thing) { "True" } else { "False" }))
            }
            "port" => {
                let port = text.trim();
                if port.split_once('/').is_none_or(|(_, protocol)| protocol.is_empty()) {
                    return Err(Failure::new("improper port format (missing protocol?)"));
                }
                (format!("port={port}"), enabled, format!("port {port}"))
            }
            "port_forward" => {
                let list = args.list(thing).unwrap_or_default();
                let [one] = list else {
                    return Err(Failure::new("Only one port forward supported at a time"));
                };
                let get = |key: &str| one.get(key).map(Value::to_text).filter(|t| !t.is_empty());
                let need = |key: &str| {
                    get(key).ok_or_else(|| Failure::new(format!("{key} must be specified for port forward")))
                };
                let mut rule =
                    format!("port={}:proto={}:toport={}", need("port")?, need("proto")?, need("toport")?);
                if let Some(address) = get("toaddr") {
                    add!(rule, ":toaddr={address}");
                }
                let shown = format!("port_forward {rule}");
                (format!("forward-port={rule}"), enabled, shown)
            }
            _ => (format!("{word}={text}"), enabled, format!("{thing} {text}")),
        };
        Ok(Wanted { option: Some(option), on, shown })
    }
}

impl Module for Firewalld {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let wanted = Wanted::of(args)?;
        if args.flag("offline") && !args.flag("permanent") {
            return Err(Failure::new("offline cannot be enabled unless permanent changes are allowed"));
        }
        let zone = match args.str("zone") {
            Some(zone) => q(zone),
            None => "$($xp_c --get-default-zone 2>/dev/null)".to_string(),
        };
        let mut script = format!(
            "export LC_ALL=C\ncommand -v firewall-cmd >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\n\
             xp_c=firewall-cmd xp_p=--permanent\nif ! firewall-cmd --state >/dev/null 2>&1; then printf 'offline yes\\n'; xp_c=firewall-offline-cmd xp_p=; fi\n\
             command -v $xp_c >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\nxp_z={zone}\nxp_tell zone \"$xp_z\"\n\
             case \" $($xp_c $xp_p --get-zones 2>/dev/null | tr '\\n' ' ') \" in *\" $xp_z \"*) printf 'known yes\\n' ;; esac\n"
        );
        match &wanted.option {
            Some(option) => {
                let option = q(&format!("--query-{option}"));
                add!(
                    script,
                    "if $xp_c $xp_p --zone=\"$xp_z\" {option} >/dev/null 2>&1; then printf 'permanent yes\\n'; fi\n\
                     if [ $xp_c = firewall-cmd ] && firewall-cmd --zone=\"$xp_z\" {option} >/dev/null 2>&1; then printf 'running yes\\n'; fi\n"
                );
            }
            None => {
                script +=
                    "printf 'target %s\\n' \"$($xp_c $xp_p --zone=\"$xp_z\" --get-target 2>/dev/null)\"\n"
            }
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let wanted = Wanted::of(args)?;
        if report.get("missing").is_some() {
            return Err(missing(call, "there is no firewall-cmd on the target; install firewalld"));
        }
        let offline = report.get("offline").is_some();
        let permanent = args.flag("permanent");
        let immediate = (!permanent || args.flag("immediate")) && !(args.flag("offline") && offline);
        if offline && (immediate || !args.flag("offline")) {
            return Err(Failure::new(
                "firewall is not currently running, unable to perform immediate actions without a running firewall daemon",
            ));
        }
        let zone = report.word("zone").unwrap_or_default();
        let what = format!("zone {zone} {}", wanted.shown);
        let thing = Thing { kind: "firewalld", name: what.clone() };
        call.needs_same(&thing)?;
        let known = report.get("known").is_some();
        let program = if offline { "firewall-offline-cmd" } else { "firewall-cmd --permanent" };
        let mut script = String::new();
        let mut messages = vec![
            match (permanent, immediate) {
                (true, true) => "Permanent and Non-Permanent(immediate) operation",
                (true, false) => "Permanent operation",
                (false, _) => "Non-permanent operation",
            }
            .to_string(),
        ];
        let (mut before, mut after) = (Map::new(), Map::new());
        match &wanted.option {
            Some(option) => {
                if !known && permanent {
                    return Err(Failure::new(format!("ERROR: Exception caught: INVALID_ZONE: {zone}")));
                }
                let verb = match (wanted.on, option.split_once('=')) {
                    // An interface is in one zone only: it moves.
                    (true, Some(("interface", _))) => "change",
                    (true, _) => "add",
                    (false, _) => "remove",
                };
                let change = q(&format!("--{verb}-{option}"));
                for (side, applies, now) in [
                    ("permanent", permanent, report.get("permanent").is_some()),
                    ("running", immediate, report.get("running").is_some()),
                ] {
                    if !applies || now == wanted.on {
                        continue;
                    }
                    before.insert(side, now);
                    after.insert(side, wanted.on);
                    let program = if side == "permanent" { program } else { "firewall-cmd" };
                    let timeout = args.int("timeout").filter(|t| *t > 0 && wanted.on && side == "running");
                    let timeout = timeout.map(|t| format!(" --timeout={t}")).unwrap_or_default();
                    add!(script, "xp_tool {program} --zone={} {change}{timeout}\n", q(&zone));
                }
                if !script.is_empty() {
                    let state = args.str("state").unwrap_or_default();
                    messages.push(format!("Changed {} to {state}", wanted.shown));
                }
            }
            None if args.has("target") => {
                let target = if wanted.on { args.str("target").unwrap_or_default() } else { "default" };
                let now = report.get("target").unwrap_or_default();
                if now != target {
                    before.insert("target", now);
                    after.insert("target", target);
                    add!(script, "xp_tool {program} --zone={} --set-target={}\n", q(&zone), q(target));
                    messages.push(format!("Changed zone {zone} to {target}"));
                }
            }
            None if known != wanted.on => {
                before.insert("exists", known);
                after.insert("exists", wanted.on);
                let verb = if wanted.on { "new" } else { "delete" };
                add!(script, "xp_tool {program} --{verb}-zone={}\n", q(&zone));
                let state = args.str("state").unwrap_or_default();
                messages.push(format!("Changed zone {zone} to {state}"));
            }
            None => {}
        }
        if offline {
            messages.push("(offline operation: only on-disk configs were altered)".to_string());
        }
        let result = Map::from_iter([("msg", messages.join(", "))]);
        if script.is_empty() {
            return Ok(Prediction::same(result));
        }
        Ok(Prediction::change(result, vec![Action::run(script)]).touch(Touch::Thing(thing)).diff(named_diff(
            what.trim_end(),
            Some(before),
            Some(after),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    fn check(given: &[(&str, &str)], seen: &str, lines: &[&str], msg: &str) {
        let seen = format!("zone =public\nknown yes\n{seen}");
        let prediction = Case::new(&Firewalld, args(given)).plan(seen).unwrap();
        let script = scripts(&prediction).concat();
        assert_eq!(script.lines().collect::<Vec<_>>(), lines, "{given:?}");
        assert_eq!(prediction.result.get("msg").unwrap().to_text(), msg);
    }

    #[test]
    fn zones_hold_things() {
        let ssh = [("service", "ssh"), ("state", "enabled")];
        check(&ssh, "running yes\n", &[], "Non-permanent operation");
        check(
            &ssh,
            "permanent yes\n",
            &["xp_tool firewall-cmd --zone='public' '--add-service=ssh'"],
            "Non-permanent operation, Changed service ssh to enabled",
        );
        let mut both = ssh.to_vec();
        both.extend([("permanent", "yes"), ("immediate", "yes")]);
        check(
            &both,
            "running yes\n",
            &["xp_tool firewall-cmd --permanent --zone='public' '--add-service=ssh'"],
            "Permanent and Non-Permanent(immediate) operation, Changed service ssh to enabled",
        );
        check(
            &[("port", "80/tcp"), ("state", "disabled"), ("permanent", "yes")],
            "permanent yes\n",
            &["xp_tool firewall-cmd --permanent --zone='public' '--remove-port=80/tcp'"],
            "Permanent operation, Changed port 80/tcp to disabled",
        );
        check(
            &[("masquerade", "no"), ("state", "enabled"), ("permanent", "yes"), ("offline", "yes")],
            "offline yes\npermanent yes\n",
            &["xp_tool firewall-offline-cmd --zone='public' '--remove-masquerade'"],
            "Permanent operation, Changed masquerade False to enabled, (offline operation: only on-disk configs were altered)",
        );
        check(
            &[("interface", "eth1"), ("zone", "public"), ("state", "enabled"), ("timeout", "5")],
            "",
            &["xp_tool firewall-cmd --zone='public' '--change-interface=eth1' --timeout=5"],
            "Non-permanent operation, Changed interface eth1 to enabled",
        );
    }

    #[test]
    fn zones_themselves() {
        check(
            &[("zone", "public"), ("state", "absent"), ("permanent", "yes")],
            "",
            &["xp_tool firewall-cmd --permanent --delete-zone='public'"],
            "Permanent operation, Changed zone public to absent",
        );
        check(
            &[("zone", "public"), ("target", "DROP"), ("state", "present"), ("permanent", "yes")],
            "target default\n",
            &["xp_tool firewall-cmd --permanent --zone='public' --set-target='DROP'"],
            "Permanent operation, Changed zone public to DROP",
        );
    }

    #[test]
    fn refusals() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(Case::new(&Firewalld, args(given)).plan(seen).unwrap_err().msg, expect);
        };
        fails(&[("port", "80"), ("state", "enabled")], "", "improper port format (missing protocol?)");
        fails(
            &[("service", "x"), ("state", "present")],
            "",
            "absent and present state can only be used in zone level operations",
        );
        fails(
            &[("service", "x"), ("state", "enabled")],
            "offline yes\nzone =public\nknown yes\n",
            "firewall is not currently running, unable to perform immediate actions without a running firewall daemon",
        );
    }
}
