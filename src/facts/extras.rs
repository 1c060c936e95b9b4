//! Facts that need a program or a file of their own: Python, systemd, capabilities, chroot, initiators, LVM.

use super::Sections;
use crate::value::{Map, Value};

/// Adds what is always gathered.
pub fn add(sections: &Sections, facts: &mut Map) {
    python(sections, facts);
    if let [first, features, ..] = sections.lines("systemd")
        && let Some(version) = first.split_whitespace().nth(1).and_then(|v| v.parse::<i64>().ok())
    {
        let map =
            Map::from_iter([("version", Value::from(version)), ("features", Value::str(features.trim()))]);
        facts.insert("ansible_systemd", map);
    }
    match sections.line("chroot") {
        Some("no") => drop(facts.insert("ansible_is_chroot", false)),
        Some("yes") => drop(facts.insert("ansible_is_chroot", true)),
        // Who may not look compares with the number that roots usually have.
        Some(line) => {
            let inode = line.split_whitespace().next().unwrap_or_default();
            facts.insert("ansible_is_chroot", !matches!(inode, "2" | "128" | "256"));
        }
        None => {}
    }
    if sections.has("caps") {
        capabilities(sections, facts);
    }
}

fn python(sections: &Sections, facts: &mut Map) {
    let fields: Vec<&str> = sections.line("python").unwrap_or_default().split('|').collect();
    let [executable, major, minor, micro, level, serial, kind, ssl] = fields.as_slice() else { return };
    let number = |text: &str| Value::from(text.parse::<i64>().unwrap_or(0));
    let version = [
        ("major", number(major)),
        ("minor", number(minor)),
        ("micro", number(micro)),
        ("releaselevel", Value::str(*level)),
        ("serial", number(serial)),
    ];
    let info: Vec<Value> = version.iter().map(|(_, value)| value.clone()).collect();
    let map = Map::from_iter([
        ("version", Value::map(version.into_iter().collect())),
        ("version_info", Value::list(info)),
        ("executable", Value::str(*executable)),
        ("has_sslcontext", Value::from(*ssl == "True")),
        ("type", Value::str(*kind)),
    ]);
    facts.insert("ansible_python", map);
    facts.insert("ansible_python_version", format!("{major}.{minor}.{micro}"));
}

fn capabilities(sections: &Sections, facts: &mut Map) {
    let (mut enforced, mut list) = (Value::str("N/A"), Value::str("N/A"));
    if let Some(line) = sections.line("caps") {
        let what = line.split_once(':').map_or("", |(_, rest)| rest.trim());
        let on = what != "=ep";
        enforced = Value::str(if on { "True" } else { "False" });
        let names = line.split('=').nth(1).unwrap_or_default().split(',').map(|c| Value::str(c.trim()));
        list = Value::list(if on { names.collect() } else { Vec::new() });
    }
    facts.insert("ansible_system_capabilities_enforced", enforced);
    facts.insert("ansible_system_capabilities", list);
}

/// Adds the names by which storage on the network knows the host.
pub fn initiators(sections: &Sections, facts: &mut Map) {
    let value = |section: &str, start: &str| {
        let line = sections.lines(section).iter().map(|l| l.trim()).find(|l| l.starts_with(start));
        line.map(str::to_string).unwrap_or_default()
    };
    facts.insert("ansible_iscsi_iqn", value("iscsi", "InitiatorName=").trim_start_matches("InitiatorName="));
    facts.insert("ansible_hostnqn", value("nvme", "nqn."));
    facts.insert("ansible_fibre_channel_wwn", Vec::<Value>::new());
}

/// Adds what belongs to the network.
pub fn network(sections: &Sections, facts: &mut Map) {
    if !sections.has("local4") {
        return;
    }
    let reachable = |section: &str| -> Vec<Value> {
        let lines = sections.lines(section).iter();
        lines.filter_map(|l| l.trim().strip_prefix("local ")?.split(' ').next()).map(Value::str).collect()
    };
    let map = Map::from_iter([
        ("ipv4", Value::list(reachable("local4"))),
        ("ipv6", Value::list(reachable("local6"))),
    ]);
    facts.insert("ansible_locally_reachable_ips", map);
}

/// Adds what belongs to the hardware: processor flags, LVM, links to devices.
pub fn hardware(sections: &Sections, facts: &mut Map) {
    if let Some(flags) = sections.line("flags") {
        facts.insert("ansible_flags", flags.split_whitespace().map(Value::str).collect::<Vec<_>>());
    }
    if !sections.has("ids") {
        return;
    }
    facts.insert("ansible_lvm", if sections.has("lvs") { lvm(sections) } else { Value::str("N/A") });
    let mut links = Map::new();
    for name in ["ids", "uuids", "labels"] {
        links.insert(name, Value::map(grouped(device_links(sections, name))));
    }
    let masters = sections.lines("masters").iter().filter_map(|l| l.trim().split_once(' '));
    links.insert(
        "masters",
        Value::map(grouped(masters.map(|(d, m)| (d.to_string(), m.to_string())).collect())),
    );
    facts.insert("ansible_device_links", links);
}

/// Returns devices with the names of links to them, out of a long listing.
pub fn device_links(sections: &Sections, section: &str) -> Vec<(String, String)> {
    let lines = sections.lines(section).iter();
    lines
        .filter_map(|line| {
            let (left, target) = line.split_once(" -> ")?;
            let device = target.trim().rsplit('/').next()?;
            Some((device.to_string(), left.rsplit(' ').next()?.to_string()))
        })
        .collect()
}

fn grouped(mut pairs: Vec<(String, String)>) -> Map {
    pairs.sort();
    let mut map: Vec<(String, Vec<Value>)> = Vec::new();
    for (device, name) in pairs {
        match map.last_mut().filter(|(d, _)| *d == device) {
            Some((_, names)) => names.push(Value::str(name)),
            None => map.push((device, vec![Value::str(name)])),
        }
    }
    map.into_iter().map(|(device, names)| (device, Value::list(names))).collect()
}

fn lvm(sections: &Sections) -> Value {
    let rows = |section: &str| -> Vec<Vec<String>> {
        let lines = sections.lines(section).iter();
        lines.map(|l| l.trim().split(',').map(str::to_string).collect()).collect()
    };
    let (mut groups, mut volumes, mut disks) = (Map::new(), Map::new(), Map::new());
    let text =
        |pairs: &[(&str, &String)]| pairs.iter().map(|(k, v)| (*k, Value::str(v.as_str()))).collect::<Map>();
    for row in rows("vgs") {
        if let [name, pvs, lvs, _, _, size, free, ..] = row.as_slice() {
            groups.insert(
                name.as_str(),
                text(&[("size_g", size), ("free_g", free), ("num_lvs", lvs), ("num_pvs", pvs)]),
            );
        }
    }
    for row in rows("lvs") {
        if let [name, group, _, size, ..] = row.as_slice() {
            volumes.insert(name.as_str(), text(&[("size_g", size), ("vg", group)]));
        }
    }
    for row in rows("pvs") {
        if let [name, group, _, _, size, free, ..] = row.as_slice() {
            disks.insert(name.as_str(), text(&[("size_g", size), ("free_g", free), ("vg", group)]));
        }
    }
    Value::map(Map::from_iter([("lvs", volumes), ("vgs", groups), ("pvs", disks)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_tell() {
        let sections = Sections::parse(
            b"@python\n /usr/bin/python3|3|11|7|final|0|cpython|True\n@systemd\n systemd 252 (252.30-1)\n +PAM -AUDIT\n@chroot\n 2 /\n\
              @caps\n Current: cap_chown,cap_kill=ep cap_x-ep\n",
        );
        let mut facts = Map::new();
        add(&sections, &mut facts);
        assert_eq!(
            Value::map(facts).repr(),
            "{'ansible_python': {'version': {'major': 3, 'minor': 11, 'micro': 7, 'releaselevel': 'final', 'serial': 0}, \
             'version_info': [3, 11, 7, 'final', 0], 'executable': '/usr/bin/python3', 'has_sslcontext': True, 'type': 'cpython'}, \
             'ansible_python_version': '3.11.7', 'ansible_systemd': {'version': 252, 'features': '+PAM -AUDIT'}, \
             'ansible_is_chroot': False, 'ansible_system_capabilities_enforced': 'True', 'ansible_system_capabilities': ['ep cap_x-ep']}"
        );
    }

    #[test]
    fn disks_and_networks() {
        let sections = Sections::parse(
            b"@flags\n fpu vme\n@ids\n total 0\n lrwxrwxrwx 1 root root 9 Jan 1 00:00 ata-X -> ../../sda\n@uuids\n@labels\n@masters\n sda dm-0\n\
              @vgs\n vg0,1,2,0,wz--n-,9.00,1.00\n@lvs\n root,vg0,-wi-ao----,8.00\n@pvs\n /dev/sda,vg0,lvm2,a--,9.00,1.00\n\
              @local4\n local 127.0.0.0/8 dev lo scope host\n broadcast 10.0.0.255 dev eth0\n@local6\n local ::1 dev lo\n@iscsi\n InitiatorName=iqn.x\n",
        );
        let mut facts = Map::new();
        hardware(&sections, &mut facts);
        initiators(&sections, &mut facts);
        network(&sections, &mut facts);
        assert_eq!(
            Value::map(facts).repr(),
            "{'ansible_flags': ['fpu', 'vme'], 'ansible_lvm': {'lvs': {'root': {'size_g': '8.00', 'vg': 'vg0'}}, \
             'vgs': {'vg0': {'size_g': '9.00', 'free_g': '1.00', 'num_lvs': '2', 'num_pvs': '1'}}, \
             'pvs': {'/dev/sda': {'size_g': '9.00', 'free_g': '1.00', 'vg': 'vg0'}}}, \
             'ansible_device_links': {'ids': {'sda': ['ata-X']}, 'uuids': {}, 'labels': {}, 'masters': {'sda': ['dm-0']}}, \
             'ansible_iscsi_iqn': 'iqn.x', 'ansible_hostnqn': '', 'ansible_fibre_channel_wwn': [], \
             'ansible_locally_reachable_ips': {'ipv4': ['127.0.0.0/8'], 'ipv6': ['::1']}}"
        );
    }
}
