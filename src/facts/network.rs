//! Interfaces, addresses and default routes.

use std::net::{IpAddr, Ipv4Addr};

use super::Sections;
use super::sections::field;
use crate::value::{Map, Value};

/// An address as `ip -o addr` prints it.
struct Address {
    interface: String,
    v6: bool,
    address: String,
    prefix: u32,
    broadcast: String,
    scope: String,
    secondary: bool,
}

pub fn add(sections: &Sections, facts: &mut Map) {
    let addresses = if sections.has("addr") { ip_addresses(sections) } else { ifconfig_addresses(sections) };
    let mut names = Vec::new();
    let mut interfaces: Vec<(String, Map)> = Vec::new();
    for (name, lines) in sections.all("net") {
        names.push(name.to_string());
        interfaces.push((name.to_string(), interface(name, lines, &addresses)));
    }
    names.sort();
    facts.insert("ansible_interfaces", names);
    for version in [4, 6] {
        let default = default_route(sections, version, &interfaces);
        facts.insert(format!("ansible_default_ipv{version}"), default);
    }
    let all = |v6: bool| -> Vec<String> {
        addresses
            .iter()
            .filter(|a| a.v6 == v6 && a.scope != "host")
            .filter(|a| !a.address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()))
            .map(|a| a.address.clone())
            .collect()
    };
    facts.insert("ansible_all_ipv4_addresses", all(false));
    facts.insert("ansible_all_ipv6_addresses", all(true));
    for (name, map) in interfaces {
        // Names of facts hold letters, digits and underscores.
        let key: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        facts.insert(format!("ansible_{key}"), map);
    }
}

fn interface(name: &str, lines: &[String], addresses: &[Address]) -> Map {
    let mut map = Map::new();
    map.insert("device", name);
    map.insert("active", field(lines, "operstate").is_none_or(|s| s != "down" && s != "notpresent"));
    if let Some(mac) = field(lines, "address").filter(|a| !a.is_empty() && *a != "00:00:00:00:00:00") {
        map.insert("macaddress", mac);
    }
    if let Some(mtu) = field(lines, "mtu").and_then(|m| m.parse::<i64>().ok()) {
        map.insert("mtu", mtu);
    }
    if let Some(speed) = field(lines, "speed").and_then(|s| s.parse::<i64>().ok()) {
        map.insert("speed", speed);
    }
    if let Some(flags) =
        field(lines, "flags").and_then(|f| i64::from_str_radix(f.trim_start_matches("0x"), 16).ok())
    {
        map.insert("promisc", flags & 0x100 != 0);
    }
    let kind = if field(lines, "bonding/mode").is_some() {
        "bonding"
    } else if field(lines, "bridge/bridge_id").is_some() {
        "bridge"
    } else {
        match field(lines, "type") {
            Some("1") => "ether",
            Some("32") => "infiniband",
            Some("512") => "ppp",
            Some("772") => "loopback",
            Some("65534") => "tunnel",
            _ => "unknown",
        }
    };
    map.insert("type", kind);
    if kind == "bridge" {
        map.insert("id", field(lines, "bridge/bridge_id").unwrap_or_default());
        if let Some(stp) = field(lines, "bridge/stp_state") {
            map.insert("stp", stp == "1");
            map.insert("interfaces", words_of(lines, "port"));
        }
    }
    if let Some(module) = field(lines, "module") {
        map.insert("module", module.rsplit('/').next().unwrap_or_default());
    }
    if let Some(address) = field(lines, "bonding_slave/perm_hwaddr") {
        map.insert("perm_macaddress", address);
    }
    ethtool(lines, &mut map);
    if let Some(slaves) = field(lines, "bonding/slaves") {
        map.insert("slaves", slaves.split_whitespace().map(str::to_string).collect::<Vec<_>>());
        let mode = field(lines, "bonding/mode").and_then(|m| m.split(' ').next()).unwrap_or_default();
        map.insert("mode", mode);
        for (key, file) in
            [("miimon", "bonding/miimon"), ("lacp_rate", "bonding/lacp_rate"), ("primary", "bonding/primary")]
        {
            if let Some(value) = field(lines, file) {
                map.insert(key, value.split(' ').next().unwrap_or_default());
            }
        }
        if let Some(all) = field(lines, "bonding/all_slaves_active") {
            map.insert("all_slaves_active", all == "1");
        }
    }
    if let Some(device) = field(lines, "device") {
        map.insert("pciid", device.rsplit('/').next().unwrap_or_default());
    }
    let mut own = addresses.iter().filter(|a| a.interface == name && !a.v6).map(ipv4);
    if let Some(first) = own.next() {
        map.insert("ipv4", first);
    }
    let more: Vec<Value> = own.map(Value::map).collect();
    if !more.is_empty() {
        map.insert("ipv4_secondaries", Value::list(more));
    }
    let v6: Vec<Value> = addresses
        .iter()
        .filter(|a| a.interface == name && a.v6)
        .map(|a| {
            let mut map = Map::new();
            map.insert("address", a.address.as_str());
            map.insert("prefix", a.prefix.to_string());
            map.insert("scope", a.scope.as_str());
            Value::map(map)
        })
        .collect();
    if !v6.is_empty() {
        map.insert("ipv6", Value::list(v6));
    }
    map
}

/// Returns the rest of all lines that start with a word.
fn words_of(lines: &[String], word: &str) -> Vec<Value> {
    let found = lines.iter().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    found.map(|rest| Value::str(rest.trim())).collect()
}

/// Adds offload features and time stamping, where the program that tells them is there.
fn ethtool(lines: &[String], map: &mut Map) {
    let features: Map = lines
        .iter()
        .filter_map(|line| line.strip_prefix("feature ")?.split_once(": "))
        .map(|(name, value)| (name.trim().replace('-', "_"), Value::str(value.trim())))
        .collect();
    if features.is_empty() {
        return;
    }
    map.insert("features", features);
    let lower = |word: &str| -> Vec<Value> {
        words_of(lines, word).iter().map(|v| Value::str(v.to_text().to_lowercase())).collect()
    };
    map.insert("timestamping", lower("stamping"));
    map.insert("hw_timestamp_filters", lower("stampfilter"));
    if let Some(clock) = field(lines, "clock").and_then(|c| c.parse::<i64>().ok()) {
        map.insert("phc_index", clock);
    }
}

fn ipv4(address: &Address) -> Map {
    let mut map = Map::new();
    map.insert("address", address.address.as_str());
    map.insert("broadcast", address.broadcast.as_str());
    let mask = u32::MAX.checked_shl(32 - address.prefix.min(32)).unwrap_or(0);
    map.insert("netmask", Ipv4Addr::from(mask).to_string());
    if let Ok(ip) = address.address.parse::<Ipv4Addr>() {
        map.insert("network", Ipv4Addr::from(u32::from(ip) & mask).to_string());
    }
    map.insert("prefix", address.prefix.to_string());
    map
}

/// Reads `2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0`.
fn ip_addresses(sections: &Sections) -> Vec<Address> {
    let mut found = Vec::new();
    for line in sections.lines("addr") {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, interface, family @ ("inet" | "inet6"), address, rest @ ..] = words.as_slice() else {
            continue;
        };
        let (address, prefix) =
            address.split_once('/').unwrap_or((address, if *family == "inet" { "32" } else { "128" }));
        let after = |word: &str| {
            rest.iter().position(|w| *w == word).and_then(|i| rest.get(i + 1)).copied().unwrap_or_default()
        };
        found.push(Address {
            interface: interface.split('@').next().unwrap_or_default().trim_end_matches(':').to_string(),
            v6: *family == "inet6",
            address: address.to_string(),
            prefix: prefix.parse().unwrap_or(32),
            broadcast: after("brd").to_string(),
            scope: after("scope").to_string(),
            secondary: rest.contains(&"secondary"),
        });
    }
    // The first address of an interface comes first whatever the kernel's order is.
    found.sort_by_key(|a| a.secondary);
    found
}

/// Reads `ifconfig -a` of old and new net-tools and of busybox.
fn ifconfig_addresses(sections: &Sections) -> Vec<Address> {
    let mut found = Vec::new();
    let mut interface = String::new();
    for line in sections.lines("ifconfig") {
        if !line.starts_with([' ', '\t']) && !line.is_empty() {
            interface = line.split([' ', '\t']).next().unwrap_or_default().trim_end_matches(':').to_string();
        }
        let text =
            line.replace("addr:", "addr ").replace("Mask:", "netmask ").replace("Bcast:", "broadcast ");
        let words: Vec<&str> = text.split_whitespace().filter(|w| *w != "addr").collect();
        let after =
            |word: &str| words.iter().position(|w| *w == word).and_then(|i| words.get(i + 1)).copied();
        if let Some(address) = after("inet") {
            let mask: u32 =
                after("netmask").and_then(|m| m.parse::<Ipv4Addr>().ok()).map_or(u32::MAX, u32::from);
            found.push(Address {
                interface: interface.clone(),
                v6: false,
                address: address.to_string(),
                prefix: mask.count_ones(),
                broadcast: after("broadcast").unwrap_or_default().to_string(),
                scope: if address.starts_with("127.") { "host" } else { "global" }.to_string(),
                secondary: false,
            });
        }
    }
    found
}

fn default_route(sections: &Sections, version: u8, interfaces: &[(String, Map)]) -> Map {
    let mut map = Map::new();
    let sources: &[&str] = if version == 4 { &["route4", "route4default"] } else { &["route6"] };
    let Some(line) = sources.iter().find_map(|s| sections.line(s)) else { return map };
    if line.starts_with("unreachable") || line.contains(" dev lo") {
        return map;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |word: &str| words.iter().position(|w| *w == word).and_then(|i| words.get(i + 1)).copied();
    let Some(device) = after("dev") else { return map };
    let found = interfaces.iter().find(|(name, _)| name == device).map(|(_, map)| map);
    let own = |key: &str| found.and_then(|m| m.get(key)).cloned();
    if let Some(gateway) = after("via") {
        map.insert("gateway", gateway);
    }
    map.insert("interface", device);
    let key = if version == 4 { "ipv4" } else { "ipv6" };
    let mut list = match own(key) {
        Some(Value::List(list)) => list.to_vec(),
        Some(single) => vec![single],
        None => Vec::new(),
    };
    if let Some(Value::List(more)) = own("ipv4_secondaries").filter(|_| version == 4) {
        list.extend(more.iter().cloned());
    }
    let source = after("src").map(str::to_string);
    let chosen = list
        .iter()
        .find(|a| source.is_some() && a.get("address").and_then(Value::as_str) == source.as_deref())
        .or(list.first());
    if let Some(Value::Map(address)) = chosen {
        map.extend(address.iter().map(|(k, v)| (k.clone(), v.clone())));
    } else if let Some(source) = source {
        map.insert("address", source);
    }
    for key in ["macaddress", "mtu", "type"] {
        if let Some(value) = own(key) {
            map.insert(key, value);
        }
    }
    if version == 4 {
        map.insert("alias", device);
    }
    map
}
