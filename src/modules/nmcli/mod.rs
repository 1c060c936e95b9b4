//! `nmcli`: connections of NetworkManager.
//!
//! `args` is the table of arguments, `options` the tool's settings that they stand for.

mod args;
mod options;

use super::sh::{Report, q};
use super::tool::{TELL_OUT, insert_printed, missing};
use super::write::named_diff;
use super::{Action, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, Thing, Touch};
use crate::transport::Output;
use crate::value::{Map, Value};

use options::{For, SECRETS, Settings, TUNNELS, compared, shown, wanted};

static SPEC: ModuleSpec = ModuleSpec {
    name: "nmcli",
    namespaces: &["community.general"],
    about: "Makes, changes and removes connections of NetworkManager.",
    args: args::ARGS,
    rules: &[
        Rule::Exclusive(&["never_default4", "gw4"]),
        Rule::Exclusive(&["routes4_extended", "routes4"]),
        Rule::Exclusive(&["routes6_extended", "routes6"]),
        Rule::If { arg: "type", value: "wifi", needs: &["ssid"] },
        Rule::If { arg: "type", value: "team-slave", needs: &["master", "ifname"] },
        Rule::If { arg: "slave_type", value: "team", needs: &["master", "ifname"] },
    ],
    returns: &[
        ("conn_name", "the connection"),
        ("state", "the state that was asked for"),
        ("Connection", "said of a connection that is made"),
        ("Exists", "said of a connection that was there"),
        ("stdout", "what the tool printed"),
        ("stderr", "what it complained about"),
    ],
    own_check: Some(check),
    ..ModuleSpec::BASE
};

pub struct Nmcli;

fn check(given: &Map) -> Result<(), Failure> {
    let text = |name: &str| match given.get(name) {
        None | Some(Value::Null | Value::Omit) => None,
        Some(value) => Some(value.to_text()),
    };
    let kind = text("type").unwrap_or_default();
    if !kind.ends_with("-slave") && text("slave_type").is_some() && text("master").is_none() {
        return Err(Failure::new("'master' option is required when 'slave_type' is specified."));
    }
    if kind == "team" {
        let runner = text("runner").unwrap_or_default();
        if text("runner_hwaddr_policy").is_some() && runner != "activebackup" {
            return Err(Failure::new("Runner-hwaddr-policy is only allowed for runner activebackup"));
        }
        if text("runner_fast_rate").is_some() && runner != "lacp" {
            return Err(Failure::new("runner-fast-rate is only allowed for runner lacp"));
        }
    }
    Ok(())
}

impl Module for Nmcli {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let name = q(call.args.str("conn_name").unwrap_or_default());
        // Secrets stay on the target unless the task compares one.
        let with_secrets = ["wifi_sec", "wireguard", "vpn", "gsm"].iter().any(|arg| call.args.has(arg));
        let secrets = if with_secrets { "--show-secrets " } else { "" };
        Ok(Some(format!(
            "command -v nmcli >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\nexport LC_ALL=C LANG=C\n\
             xp_o=$(nmcli --fields name --terse con show 2>&1) || xp_fail \"$xp_o\"\nxp_tell names \"$xp_o\"\n\
             xp_o=$(nmcli --fields name --terse con show --active 2>/dev/null) && xp_tell active \"$xp_o\"\n\
             xp_o=$(nmcli {secrets}con show {name} 2>/dev/null) && xp_tell shown \"$xp_o\"\n:\n"
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let name = args.str("conn_name").unwrap_or_default();
        if report.get("missing").is_some() {
            return Err(missing(call, "Failed to find required executable \"nmcli\" on the target"));
        }
        let thing = Thing { kind: "connection", name: name.to_string() };
        call.needs_same(&thing)?;
        let listed = |tag: &str| {
            let names = report.word(tag).unwrap_or_default();
            names.lines().any(|line| line.replace("\\:", ":").replace("\\\\", "\\") == name)
        };
        let there = listed("names");
        let state = args.str("state").unwrap_or_default();
        let mut result = Map::from_iter([("conn_name", name), ("state", state)]);
        let work = match (state, there) {
            ("absent" | "up" | "down", false) => return Ok(Prediction::same(result)),
            ("absent", true) => removed(name),
            ("up" | "down", true) => switched(args.flag("conn_reload"), name, state, listed("active")),
            (_, true) => {
                let show = shown(&report.word("shown").unwrap_or_default());
                match changed(call, name, &show)? {
                    Some(work) => {
                        result.insert("Exists", "Connections do exist so we are modifying them");
                        work
                    }
                    None => {
                        result.insert("Exists", "Connections already exist and no changes made");
                        return Ok(Prediction::same(result));
                    }
                }
            }
            _ => {
                let kind = args.str("type").unwrap_or("None");
                result.insert("Connection", format!("Connection {name} of Type {kind} is being added"));
                made(call, name)?
            }
        };
        let script = format!("{}{TELL_OUT}", work.script);
        let mut prediction = Prediction::change(result, vec![Action::run(script)])
            .touch(Touch::Thing(thing))
            .diff(named_diff(&format!("connection {name}"), work.before, work.after));
        prediction.warnings = work.warnings;
        Ok(prediction)
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let name = call.args.str("conn_name").unwrap_or_default();
        for output in ran {
            if output.rc != 0 {
                let said = match call.args.str("state") {
                    Some("absent") => format!("Error removing connection named {name}"),
                    Some("up") => format!("Error bringing up connection named {name}"),
                    Some("down") => format!("Error bringing down connection named {name}"),
                    _ => name.to_string(),
                };
                return Err(Failure::from_output(output).with("name", said));
            }
            insert_printed(&mut prediction.result, &Report::parse(&output.stdout), output);
        }
        Ok(prediction.into_outcome())
    }
}

/// What is done to a connection.
#[derive(Default)]
struct Work {
    script: String,
    before: Option<Map>,
    after: Option<Map>,
    warnings: Vec<String>,
}

fn removed(name: &str) -> Work {
    let name = q(name);
    Work {
        script: format!(
            "LC_ALL=C nmcli con down {name} >/dev/null 2>&1 </dev/null\nxp_tool nmcli con del {name}\n"
        ),
        before: Some(Map::from_iter([("state", "present")])),
        ..Work::default()
    }
}

fn switched(reload: bool, name: &str, state: &str, active: bool) -> Work {
    let reload = if reload { "xp_tool nmcli con reload\n" } else { "" };
    let side = |state: &str| Some(Map::from_iter([("state", state)]));
    let was = if active { "up" } else { "down" };
    Work {
        script: format!("{reload}xp_tool nmcli con {state} {}\n", q(name)),
        before: side(was),
        after: if was == state { side(&format!("{state}, once more")) } else { side(state) },
        ..Work::default()
    }
}

fn made(call: &Call, name: &str) -> Result<Work, Failure> {
    let args = &call.args;
    let Some(kind) = args.str("type") else {
        return Err(
            Failure::new("type is required for a connection that is not there yet").with("name", name)
        );
    };
    let (mut settings, warnings) = wanted(args, kind, For::Tool)?;
    if kind != "vpn" || args.has("ifname") {
        let ifname = args.str("ifname").unwrap_or(name).to_string();
        settings.insert(0, ("connection.interface-name".to_string(), options::Setting::Text(ifname)));
    }
    let tool_kind = if TUNNELS.contains(&kind) { "ip-tunnel" } else { kind };
    let mut script =
        format!("xp_tool nmcli con add type {} con-name {}{}\n", q(tool_kind), q(name), words(&settings));
    script += &edit(name, &settings)?;
    let dns = args.has("dns4") || args.has("dns6");
    let brings_up = match kind {
        "bond" | "dummy" | "ethernet" | "infiniband" | "wifi" => dns || args.has("mtu"),
        "team" => dns,
        _ => false,
    };
    if brings_up {
        add!(script, "xp_tool nmcli con up {}\n", q(name));
    }
    let (_, mut after, _) = compared(&settings, kind, &[]);
    after.insert("connection.type", kind);
    Ok(Work { script, before: None, after: Some(after), warnings })
}

/// Returns what differs; nothing when all is as wanted.
fn changed(
    call: &Call,
    name: &str,
    show: &[(String, Option<options::Setting>)],
) -> Result<Option<Work>, Failure> {
    let args = &call.args;
    let kind = match args.str("type") {
        Some(kind) => kind.to_string(),
        None => {
            let found = show.iter().find(|(setting, _)| setting == "connection.type");
            let found =
                found.and_then(|(_, value)| value.as_ref()).map(options::Setting::word).unwrap_or_default();
            if found == "802-11-wireless" { "wifi".to_string() } else { found }
        }
    };
    let with_interface = |mut settings: Settings| {
        if let Some(ifname) = args.str("ifname") {
            let ifname = options::Setting::Text(ifname.to_string());
            settings.insert(0, ("connection.interface-name".to_string(), ifname));
        }
        settings
    };
    let (settings, warnings) = wanted(args, &kind, For::Comparison)?;
    let (before, after, differs) = compared(&with_interface(settings), &kind, show);
    if !differs {
        return Ok(None);
    }
    let (settings, _) = wanted(args, &kind, For::Tool)?;
    let mut settings = with_interface(settings);
    let mtu = options::mtu_setting(&kind);
    if after.get(mtu).is_some() && !args.has("mtu") && before.get(mtu).is_some_and(|now| !now.is_null()) {
        settings.push((mtu.to_string(), options::Setting::Text("0".to_string())));
    }
    let mut script = format!("xp_tool nmcli con modify {}{}\n", q(name), words(&settings));
    script += &edit(name, &settings)?;
    if args.flag("conn_reload") {
        script += "xp_tool nmcli con reload\n";
    }
    Ok(Some(Work { script, before: Some(before), after: Some(after), warnings }))
}

/// Returns the settings as arguments of the tool.
fn words(settings: &Settings) -> String {
    let mut line = String::new();
    for (name, value) in settings.iter().filter(|(name, _)| !SECRETS.contains(&name.as_str())) {
        match name.as_str() {
            "xmit_hash_policy" | "fail_over_mac" => {
                add!(line, " +bond.options {}", q(&format!("{name}={}", value.word())));
            }
            name => add!(line, " {name} {}", q(&value.word())),
        }
    }
    line
}

/// Returns the lines that give the tool's editor the secrets, which are no arguments that others could see.
fn edit(name: &str, settings: &Settings) -> Result<String, Failure> {
    let secrets: Vec<_> = settings.iter().filter(|(name, _)| SECRETS.contains(&name.as_str())).collect();
    if secrets.is_empty() {
        return Ok(String::new());
    }
    let mut lines = String::new();
    for (setting, value) in secrets {
        let value = value.word();
        if value.contains(['\n', '\r']) {
            return Err(Failure::new(format!("{setting} cannot hold a line break")));
        }
        add!(lines, " {}", q(&format!("set {setting} {value}")));
    }
    Ok(format!(
        "xp_o=$(printf '%s\\n'{lines} save quit | LC_ALL=C nmcli con edit {}) || {{ xp_rc=$?; printf '%s\\n' \"$xp_o\"; exit \"$xp_rc\"; }}\n",
        q(name)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::hex;
    use crate::modules::testing::{Case, args, scripts};

    fn seen(names: &str, show: &str) -> String {
        let word = |text: &str| format!("%{}", hex(text.as_bytes()));
        format!("names {}\nactive {}\nshown {}\n", word(names), word(""), word(show))
    }

    fn planned(given: &[(&str, &str)], seen: &str) -> Result<Vec<String>, String> {
        let prediction = Case::new(&Nmcli, args(given)).plan(seen).map_err(|f| f.msg)?;
        let script = scripts(&prediction).concat();
        Ok(script.lines().filter(|line| line.contains("nmcli")).map(str::to_string).collect())
    }

    const ETHERNET: [(&str, &str); 5] = [
        ("conn_name", "office"),
        ("state", "present"),
        ("type", "ethernet"),
        ("ifname", "eth0"),
        ("ip4", "10.0.0.1/24"),
    ];

    const SHOWN: &str = "connection.id:                          office\nconnection.interface-name:              eth0\n\
        connection.autoconnect:                 yes\n802-3-ethernet.mtu:                     auto\n\
        ipv4.method:                            manual\nipv4.addresses:                         10.0.0.1/24\n\
        ipv4.ignore-auto-dns:                   no\nipv4.ignore-auto-routes:                no\nipv4.never-default:                     no\n\
        ipv4.may-fail:                          yes\nipv6.ignore-auto-dns:                   no\nipv6.ignore-auto-routes:                no\n\
        ipv4.routes:                            { ip = 10.1.0.0/16, nh = 10.0.0.254, mt = 5 }\nipv4.dns:                               --\n";

    fn with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        [&ETHERNET[..], more].concat()
    }

    #[test]
    fn makes_and_compares() {
        assert_eq!(
            planned(&ETHERNET, &seen("other", "")).unwrap(),
            [
                "xp_tool nmcli con add type 'ethernet' con-name 'office' connection.interface-name 'eth0' connection.autoconnect 'yes' \
              ipv4.addresses '10.0.0.1/24' ipv4.ignore-auto-dns 'no' ipv4.ignore-auto-routes 'no' ipv4.never-default 'no' \
              ipv4.method 'manual' ipv4.may-fail 'yes' ipv6.ignore-auto-dns 'no' ipv6.ignore-auto-routes 'no'"
            ]
        );
        let there = seen("office", SHOWN);
        let same = |more: &[(&'static str, &'static str)]| {
            assert_eq!(planned(&with(more), &there).unwrap(), Vec::<String>::new(), "{more:?}");
        };
        same(&[]);
        same(&[("routes4", "10.1.0.0/16 10.0.0.254 5")]);
        same(&[("dns4", "")]);
        let differs = |more: &[(&'static str, &'static str)], word: &str| {
            let lines = planned(&with(more), &there).unwrap();
            assert!(
                lines[0].starts_with("xp_tool nmcli con modify 'office'") && lines[0].contains(word),
                "{lines:?}"
            );
        };
        differs(&[("dns4", "10.0.0.2,10.0.0.3")], "ipv4.dns '10.0.0.2,10.0.0.3'");
        differs(&[("mtu", "9000")], "802-3-ethernet.mtu '9000'");
        differs(&[("gw4", "10.0.0.254")], "ipv4.gateway '10.0.0.254'");
    }

    #[test]
    fn goes_up_down_and_away() {
        let there = seen("a\\:b", "");
        let run = |state: &str| planned(&[("conn_name", "a:b"), ("state", state)], &there).unwrap();
        assert_eq!(run("up"), ["xp_tool nmcli con up 'a:b'"]);
        assert_eq!(run("absent")[1], "xp_tool nmcli con del 'a:b'");
        assert_eq!(planned(&[("conn_name", "c"), ("state", "down")], &there).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn kinds() {
        let check = |given: &[(&str, &str)], words: &[&str]| {
            let lines =
                planned(&[&[("conn_name", "x"), ("state", "present")], given].concat(), &seen("", ""))
                    .unwrap();
            for word in words {
                assert!(lines.concat().contains(word), "{word}: {lines:?}");
            }
        };
        check(
            &[("type", "bond"), ("mode", "802.3ad"), ("xmit_hash_policy", "layer3+4"), ("miimon", "100")],
            &[
                "con add type 'bond'",
                " miimon '100' mode '802.3ad' +bond.options 'xmit_hash_policy=layer3+4'",
            ],
        );
        check(
            &[("type", "bond-slave"), ("master", "bond0"), ("ifname", "eth1")],
            &["connection.master 'bond0' connection.slave-type 'bond'", "connection.interface-name 'eth1'"],
        );
        check(&[("type", "vlan"), ("vlanid", "5"), ("vlandev", "eth0")], &["vlan.id '5' vlan.parent 'eth0'"]);
        check(
            &[("type", "gre"), ("ip_tunnel_dev", "eth0")],
            &["type 'ip-tunnel'", "ip-tunnel.mode 'gre' ip-tunnel.parent 'eth0'"],
        );
        check(
            &[
                ("type", "wifi"),
                ("ssid", "s"),
                ("wifi_sec", r#"{"key-mgmt": "wpa-psk", "psk": "secret"}"#),
                ("wifi", r#"{"hidden": true}"#),
            ],
            &[
                "802-11-wireless.ssid 's' 802-11-wireless.hidden 'yes' 802-11-wireless-security.key-mgmt 'wpa-psk'",
                "printf '%s\\n' 'set 802-11-wireless-security.psk secret' save quit | LC_ALL=C nmcli con edit 'x'",
            ],
        );
        check(
            &[("type", "infiniband"), ("transport_mode", "connected"), ("dns4", "1.1.1.1")],
            &["infiniband.transport-mode 'connected'", "con up 'x'"],
        );
    }

    #[test]
    fn refuses() {
        let fails = |given: &[(&str, &str)], expect: &str| {
            let given = [&[("conn_name", "x"), ("state", "present")], given].concat();
            assert_eq!(planned(&given, &seen("", "")).unwrap_err(), expect, "{given:?}");
        };
        fails(
            &[("type", "ethernet"), ("slave_type", "bond")],
            "'master' option is required when 'slave_type' is specified.",
        );
        fails(&[("type", "wifi")], "type is wifi but all of the following are missing: ssid");
        fails(
            &[("type", "team"), ("runner_fast_rate", "yes")],
            "runner-fast-rate is only allowed for runner lacp",
        );
        fails(&[], "type is required for a connection that is not there yet");
        fails(&[("type", "macvlan")], "type is macvlan but all of the following are missing: macvlan");
    }
}
