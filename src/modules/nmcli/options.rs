//! From a task's arguments to the tool's settings, and from what the tool shows to the same.

use crate::modules::{Args, Failure};
use crate::value::{Map, Value};

/// A setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    Text(String),
    List(Vec<String>),
}

impl Setting {
    /// Returns the value as the tool takes it.
    pub fn word(&self) -> String {
        match self {
            Setting::Text(text) => text.clone(),
            Setting::List(items) => items.join(","),
        }
    }

    pub fn value(&self) -> Value {
        match self {
            Setting::Text(text) => Value::str(text.as_str()),
            Setting::List(items) => Value::from(items.clone()),
        }
    }
}

/// Settings by name, in the order in which the tool is given them.
pub type Settings = Vec<(String, Setting)>;

/// What the settings are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// To give them to the tool.
    Tool,
    /// To compare them with what the tool shows.
    Comparison,
}

/// Settings that nobody may see; the tool reads them from its editor's input.
pub const SECRETS: [&str; 6] = [
    "802-11-wireless-security.leap-password",
    "802-11-wireless-security.psk",
    "802-11-wireless-security.wep-key0",
    "802-11-wireless-security.wep-key1",
    "802-11-wireless-security.wep-key2",
    "802-11-wireless-security.wep-key3",
];

const LISTS: [&str; 18] = [
    "ipv4.addresses",
    "ipv6.addresses",
    "ipv4.dns",
    "ipv4.dns-search",
    "ipv4.dns-options",
    "ipv4.routes",
    "ipv4.routing-rules",
    "ipv6.dns",
    "ipv6.dns-search",
    "ipv6.dns-options",
    "ipv6.routes",
    "ipv6.routing-rules",
    "802-11-wireless-security.group",
    "802-11-wireless-security.leap-password-flags",
    "802-11-wireless-security.pairwise",
    "802-11-wireless-security.proto",
    "802-11-wireless-security.psk-flags",
    "802-11-wireless.mac-address-blacklist",
];

/// Lists of which the order counts: the first address or name server is the one that is used.
pub const ORDERED: [&str; 6] =
    ["ipv4.addresses", "ipv6.addresses", "ipv4.dns", "ipv6.dns", "ipv4.dns-search", "ipv6.dns-search"];

const WITH_ADDRESSES: [&str; 20] = [
    "bond",
    "bridge",
    "dummy",
    "ethernet",
    "802-3-ethernet",
    "generic",
    "gre",
    "infiniband",
    "ipip",
    "sit",
    "team",
    "vlan",
    "wifi",
    "802-11-wireless",
    "gsm",
    "macvlan",
    "wireguard",
    "vpn",
    "loopback",
    "vrf",
];
const WITH_MTU: [&str; 7] = ["bond", "bond-slave", "dummy", "ethernet", "infiniband", "team-slave", "vlan"];
const WITH_MASTER: [&str; 13] = [
    "ethernet",
    "bridge",
    "bond",
    "vlan",
    "team",
    "wifi",
    "bond-slave",
    "bridge-slave",
    "team-slave",
    "infiniband",
    "ovs-port",
    "ovs-interface",
    "vxlan",
];
pub const TUNNELS: [&str; 3] = ["gre", "ipip", "sit"];

/// Returns the setting that holds the largest packet.
pub fn mtu_setting(kind: &str) -> &'static str {
    if kind == "infiniband" { "infiniband.mtu" } else { "802-3-ethernet.mtu" }
}

/// Returns the setting that holds the hardware address.
pub fn mac_setting(kind: &str) -> &'static str {
    if kind == "bridge" { "bridge.mac-address" } else { "802-3-ethernet.cloned-mac-address" }
}

struct Build<'a> {
    args: &'a Args,
    out: Settings,
}

impl Build<'_> {
    fn put(&mut self, setting: &str, value: Setting) {
        match self.out.iter_mut().find(|(known, _)| known == setting) {
            Some((_, old)) => *old = value,
            None => self.out.push((setting.to_string(), value)),
        }
    }

    fn text(&mut self, setting: &str, text: impl Into<String>) {
        self.put(setting, Setting::Text(text.into()));
    }

    /// Takes an argument that may be absent: text, number or switch.
    fn take(&mut self, setting: &str, arg: &str) {
        if let Some(value) = self.args.get(arg) {
            let value = plain(value);
            self.text(setting, value);
        }
    }

    fn list(&mut self, setting: &str, arg: &str) {
        if self.args.has(arg) {
            // An empty text is an empty list.
            let items = self.args.texts(arg).into_iter().filter(|item| !item.is_empty()).collect();
            self.put(setting, Setting::List(items));
        }
    }

    /// Takes all options of a dict as settings of one kind.
    fn dict(&mut self, prefix: &str, arg: &str) {
        let Some(map) = self.args.get(arg).and_then(Value::as_map).cloned() else { return };
        for (name, value) in &map {
            let setting = format!("{prefix}.{}", name.json_name());
            match value {
                Value::Null => {}
                Value::List(items) => {
                    let items: Vec<String> = items.iter().map(plain).collect();
                    let value =
                        if is_list(&setting) { Setting::List(items) } else { Setting::Text(items.join(",")) };
                    self.put(&setting, value);
                }
                value if is_list(&setting) => self.put(&setting, Setting::List(vec![plain(value)])),
                value => self.text(&setting, plain(value)),
            }
        }
    }

    fn addresses(&mut self, kind: &str) -> Result<(), Failure> {
        for (family, whole) in [("4", "/32"), ("6", "/128")] {
            let arg = |name: &str| format!("{name}{family}");
            let setting = |name: &str| format!("ipv{family}.{name}");
            if self.args.has(&arg("ip")) {
                let given = self.args.texts(&arg("ip"));
                let whole = |a: String| if a.contains('/') { a } else { format!("{a}{whole}") };
                self.put(&setting("addresses"), Setting::List(given.into_iter().map(whole).collect()));
            }
            if family == "4" {
                self.take("ipv4.dhcp-client-id", "dhcp_client_id");
            }
            self.list(&setting("dns"), &arg("dns"));
            self.list(&setting("dns-search"), &format!("dns{family}_search"));
            self.list(&setting("dns-options"), &format!("dns{family}_options"));
            self.take(&setting("ignore-auto-dns"), &format!("dns{family}_ignore_auto"));
            self.take(&setting("gateway"), &arg("gw"));
            self.take(&setting("ignore-auto-routes"), &format!("gw{family}_ignore_auto"));
            self.list(&setting("routes"), &arg("routes"));
            if let Some(routes) = self.args.list(&format!("routes{family}_extended")) {
                let routes = routes.iter().map(extended_route).collect::<Result<_, _>>()?;
                self.put(&setting("routes"), Setting::List(routes));
            }
            self.take(&setting("route-metric"), &arg("route_metric"));
            self.list(&setting("routing-rules"), &arg("routing_rules"));
            if family == "4" {
                self.take("ipv4.never-default", "never_default4");
            }
            let closed = ["dummy", "macvlan", "wireguard"].contains(&kind);
            let given = !self.args.texts(&arg("ip")).is_empty();
            match self.args.str(&arg("method")) {
                Some(method) => {
                    let method = method.to_string();
                    self.text(&setting("method"), method);
                }
                None if given => self.text(&setting("method"), "manual"),
                None if closed => self.text(&setting("method"), "disabled"),
                None => {}
            }
            if family == "4" {
                self.take("ipv4.may-fail", "may_fail4");
            }
        }
        self.take("ipv6.ip6-privacy", "ip_privacy6");
        self.take("ipv6.addr-gen-mode", "addr_gen_mode6");
        Ok(())
    }

    fn of_kind(&mut self, kind: &str) -> Result<(), Failure> {
        let takes: &[(&str, &str)] = match kind {
            "bond" => &[
                ("arp-interval", "arp_interval"),
                ("arp-ip-target", "arp_ip_target"),
                ("downdelay", "downdelay"),
                ("miimon", "miimon"),
                ("mode", "mode"),
                ("primary", "primary"),
                ("updelay", "updelay"),
                ("xmit_hash_policy", "xmit_hash_policy"),
                ("fail_over_mac", "fail_over_mac"),
            ],
            "bridge" => &[
                ("bridge.ageing-time", "ageingtime"),
                ("bridge.forward-delay", "forwarddelay"),
                ("bridge.hello-time", "hellotime"),
                ("bridge.max-age", "maxage"),
                ("bridge.priority", "priority"),
                ("bridge.stp", "stp"),
            ],
            "bridge-slave" => &[
                ("bridge-port.path-cost", "path_cost"),
                ("bridge-port.hairpin-mode", "hairpin"),
                ("bridge-port.priority", "slavepriority"),
            ],
            "team" => &[
                ("team.runner", "runner"),
                ("team.runner-hwaddr-policy", "runner_hwaddr_policy"),
                ("team.runner-fast-rate", "runner_fast_rate"),
            ],
            "vlan" => &[
                ("vlan.id", "vlanid"),
                ("vlan.parent", "vlandev"),
                ("vlan.flags", "flags"),
                ("vlan.ingress", "ingress"),
                ("vlan.egress", "egress"),
            ],
            "vxlan" => &[
                ("vxlan.id", "vxlan_id"),
                ("vxlan.parent", "vxlan_parent"),
                ("vxlan.local", "vxlan_local"),
                ("vxlan.remote", "vxlan_remote"),
            ],
            "infiniband" => &[
                ("infiniband.transport-mode", "transport_mode"),
                ("infiniband.mac-address", "infiniband_mac"),
            ],
            "vrf" => &[("table", "table")],
            "wifi" => &[("802-11-wireless.ssid", "ssid")],
            _ => &[],
        };
        for (setting, arg) in takes {
            self.take(setting, arg);
        }
        match kind {
            "gre" | "ipip" | "sit" => {
                self.take("ip-tunnel.local", "ip_tunnel_local");
                self.text("ip-tunnel.mode", kind);
                self.take("ip-tunnel.parent", "ip_tunnel_dev");
                self.take("ip-tunnel.remote", "ip_tunnel_remote");
                if kind == "gre" {
                    self.take("ip-tunnel.input-key", "ip_tunnel_input_key");
                    self.take("ip-tunnel.output-key", "ip_tunnel_output_key");
                }
            }
            "wifi" => {
                if self.args.has("master") && !self.args.has("slave_type") {
                    self.text("connection.slave-type", "bond");
                }
                self.dict("802-11-wireless", "wifi");
                self.dict("802-11-wireless-security", "wifi_sec");
            }
            "gsm" => self.dict("gsm", "gsm"),
            "macvlan" if !self.args.has("macvlan") => {
                return Err(Failure::new("type is macvlan but all of the following are missing: macvlan"));
            }
            "macvlan" => self.dict("macvlan", "macvlan"),
            "wireguard" => self.dict("wireguard", "wireguard"),
            "ethernet" => self.dict("sriov", "sriov"),
            "vpn" => self.vpn(),
            _ => {}
        }
        Ok(())
    }

    fn vpn(&mut self) {
        let Some(map) = self.args.get("vpn").and_then(Value::as_map).cloned() else { return };
        let mut data = Vec::new();
        for (name, value) in &map {
            match &*name.json_name() {
                "service-type" => self.text("vpn.service-type", plain(value)),
                "permissions" => self.text("connection.permissions", plain(value)),
                name => data.push(format!("{name}={}", plain(value))),
            }
        }
        self.text("vpn.data", data.join(", "));
    }
}

/// Returns what a task asks for; the warnings go with it.
pub fn wanted(args: &Args, kind: &str, what: For) -> Result<(Settings, Vec<String>), Failure> {
    let mut build = Build { args, out: Vec::new() };
    let mut warnings = Vec::new();
    build.take("connection.autoconnect", "autoconnect");
    build.take("connection.autoconnect-priority", "autoconnect_priority");
    build.take("connection.autoconnect-retries", "autoconnect_retries");
    build.take("connection.zone", "zone");
    let alone = !args.has("master") || args.str("slave_type") == Some("vrf");
    if WITH_ADDRESSES.contains(&kind) && alone || kind == "ovs-interface" {
        build.addresses(kind)?;
    }
    if args.str("mac").is_some_and(|mac| !mac.is_empty()) {
        build.take(mac_setting(kind), "mac");
    }
    if WITH_MTU.contains(&kind) {
        match (args.int("mtu").filter(|mtu| *mtu != 0), what) {
            (Some(mtu), _) => build.text(mtu_setting(kind), mtu.to_string()),
            (None, For::Comparison) => build.text(mtu_setting(kind), "auto"),
            (None, For::Tool) => build.take(mtu_setting(kind), "mtu"),
        }
    }
    if WITH_MASTER.contains(&kind) {
        build.take("connection.master", "master");
        build.take("connection.slave-type", "slave_type");
    }
    if let Some(master) = kind.strip_suffix("-slave") {
        match args.str("slave_type") {
            Some(other) if other != master => {
                return Err(Failure::new(format!(
                    "Connection type '{kind}' cannot be combined with '{other}' slave-type. Allowed slave-type for '{kind}' \
                     is '{master}'."
                )));
            }
            Some(_) => {}
            None => {
                warnings.push(format!(
                    "Connection 'slave-type' property automatically set to '{master}' because of using '{kind}' connection type."
                ));
                build.text("connection.slave-type", master);
            }
        }
    }
    build.of_kind(kind)?;
    if what == For::Comparison {
        for (setting, value) in &mut build.out {
            if setting == "ipv6.ip6-privacy"
                && let Setting::Text(text) = value
            {
                *text = match text.as_str() {
                    "disabled" => "0",
                    "prefer-public-addr" => "1 (enabled, prefer public IP)",
                    "prefer-temp-addr" => "2 (enabled, prefer temporary IP)",
                    _ => "-1",
                }
                .to_string();
            }
        }
    }
    Ok((build.out, warnings))
}

fn is_list(setting: &str) -> bool {
    LISTS.contains(&setting)
}

/// Returns a value as the tool writes it.
fn plain(value: &Value) -> String {
    match value {
        Value::Bool(true) => "yes".to_string(),
        Value::Bool(false) => "no".to_string(),
        other => other.to_text(),
    }
}

/// Returns a route that is given in parts, as one text.
fn extended_route(route: &Value) -> Result<String, Failure> {
    let map = route.as_map().ok_or_else(|| Failure::new("a route in parts must be a dict"))?;
    let text = |name: &str| map.get(name).filter(|value| !value.is_null()).map(Value::to_text);
    let ip = text("ip").ok_or_else(|| Failure::new("missing required arguments: ip found in routes"))?;
    let mut others: Vec<(String, String)> = Vec::new();
    for (name, value) in map {
        let name = name.json_name();
        if !matches!(&*name, "ip" | "next_hop" | "metric") && !value.is_null() {
            others.push((name.to_string(), value.to_text().to_lowercase()));
        }
    }
    Ok(route_text(&ip, text("next_hop").as_deref(), text("metric").as_deref(), others))
}

fn route_text(
    ip: &str,
    next: Option<&str>,
    metric: Option<&str>,
    mut others: Vec<(String, String)>,
) -> String {
    others.sort();
    let parts = [Some(ip), next, metric].into_iter().flatten().map(str::to_string);
    let others = others.into_iter().map(|(name, value)| format!("{name}={value}"));
    parts.chain(others).collect::<Vec<_>>().join(" ")
}

/// Reads what the tool shows of a connection; settings that hold nothing have no value.
pub fn shown(text: &str) -> Vec<(String, Option<Setting>)> {
    let mut out = Vec::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let (name, value) = (name.trim(), value.trim_start());
        let split =
            |value: &str, at: char| value.split(at).map(|part| part.trim().to_string()).collect::<Vec<_>>();
        if value == "--" {
            out.push((name.to_string(), is_list(name).then(|| Setting::List(Vec::new()))));
        } else if name == "bond.options" {
            for (name, value) in value.split(',').filter_map(|option| option.split_once('=')) {
                out.push((name.to_string(), Some(Setting::Text(value.to_string()))));
            }
        } else if matches!(name, "ipv4.routes" | "ipv6.routes") {
            let routes = split(value, ';').iter().map(|route| route_shown(route)).collect();
            out.push((name.to_string(), Some(Setting::List(routes))));
        } else if is_list(name) {
            out.push((name.to_string(), Some(Setting::List(split(value, ',')))));
        } else {
            out.push((name.to_string(), Some(Setting::Text(number_of_enum(value).to_string()))));
        }
    }
    out
}

/// Returns the number of `2 (word)`, any other text as it is.
fn number_of_enum(value: &str) -> &str {
    let Some((number, word)) = value.split_once(" (") else { return value };
    let is_number = number.strip_prefix('-').unwrap_or(number).bytes().all(|b| b.is_ascii_digit());
    let is_word = word.strip_suffix(')').is_some_and(|w| w.chars().all(|c| c.is_alphanumeric() || c == '_'));
    if is_number && is_word && !number.is_empty() { number } else { value }
}

/// Returns a route that the tool shows as `{ ip = ..., nh = ... }`, in the form of a task.
fn route_shown(text: &str) -> String {
    let inside = text.trim().trim_start_matches('{').trim_end_matches('}');
    let (mut ip, mut next, mut metric, mut others) = (String::new(), None, None, Vec::new());
    for part in inside.split([',', ' ']).collect::<Vec<_>>().join(" ").replace(" = ", "=").split_whitespace()
    {
        let Some((name, value)) = part.split_once('=') else {
            // As a task writes it.
            match (ip.is_empty(), &next) {
                (true, _) => ip = part.to_string(),
                (false, None) => next = Some(part.to_string()),
                (false, Some(_)) => metric = Some(part.to_string()),
            }
            continue;
        };
        match name {
            "ip" => ip = value.to_string(),
            "nh" => next = Some(value.to_string()),
            "mt" => metric = Some(value.to_string()),
            name => others.push((name.to_string(), value.to_string())),
        }
    }
    route_text(&ip, next.as_deref(), metric.as_deref(), others)
}

/// Compares; returns what is there and what is wanted of each setting, and whether anything differs.
pub fn compared(settings: &Settings, kind: &str, now: &[(String, Option<Setting>)]) -> (Map, Map, bool) {
    let (mut before, mut after, mut changed) = (Map::new(), Map::new(), false);
    for (name, value) in settings {
        if *value == Setting::Text(String::new()) {
            continue;
        }
        let current = now.iter().rev().find(|(known, _)| known == name).and_then(|(_, value)| value.clone());
        let same = match (&current, value) {
            (Some(Setting::List(now)), Setting::List(wanted)) if ORDERED.contains(&name.as_str()) => {
                now == wanted
            }
            (Some(Setting::List(now)), Setting::List(wanted)) => sorted(now) == sorted(wanted),
            (None, Setting::List(wanted)) => wanted.is_empty(),
            (None, Setting::Text(text)) => name == mtu_setting(kind) && text == "auto" && kind == "dummy",
            (Some(now), wanted) => {
                let (now, wanted) = (now.word(), wanted.word());
                if name == mac_setting(kind) {
                    now.eq_ignore_ascii_case(&wanted)
                } else if name == "gsm.apn" {
                    now.trim_matches('"') == wanted
                } else if name == "vpn.data" {
                    let parts =
                        |text: &str| sorted(&text.split(',').map(|p| p.replace(' ', "")).collect::<Vec<_>>());
                    parts(&now) == parts(&wanted)
                } else if name == "802-11-wireless.wake-on-wlan" {
                    let number = |text: &str| {
                        text.strip_prefix("0x")
                            .and_then(|hex| u64::from_str_radix(hex.split(' ').next()?, 16).ok())
                    };
                    now == wanted || number(&now).is_some_and(|now| now.to_string() == wanted)
                } else {
                    now == wanted
                }
            }
        };
        changed |= !same;
        let (was, will) = if SECRETS.contains(&name.as_str()) {
            (Value::str("(hidden)"), Value::str(if same { "(hidden)" } else { "(another one, hidden)" }))
        } else {
            (current.map_or(Value::Null, |value| value.value()), value.value())
        };
        before.insert(name.as_str(), was);
        after.insert(name.as_str(), will);
    }
    (before, after, changed)
}

fn sorted(items: &[String]) -> Vec<String> {
    let mut items = items.to_vec();
    items.sort();
    items
}
