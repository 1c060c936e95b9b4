//! Names, user, environment, kernel command line, package and service managers.

use super::Sections;
use super::sections::assignment;
use crate::value::{Map, Value};

pub fn add(sections: &Sections, facts: &mut Map) {
    names(sections, facts);
    user(sections, facts);
    let mut env = Map::new();
    for line in sections.lines("env") {
        if let Some((name, value)) = line.split_once('=') {
            // Newlines travelled as a control character.
            env.insert(name, value.replace('\u{1}', "\n"));
        }
    }
    facts.insert("ansible_env", env);
    command_line(sections, facts);
    if let Some(text) = sections.line("uptime")
        && let Some(secs) = text.split(['.', ' ']).next().and_then(|s| s.parse::<i64>().ok())
    {
        facts.insert("ansible_uptime_seconds", secs);
    }
    if let Some(text) = sections.line("loadavg") {
        let loads: Map = ["1m", "5m", "15m"]
            .into_iter()
            .zip(text.split(' '))
            .filter_map(|(name, load)| Some((name, Value::Float(load.parse().ok()?))))
            .collect();
        facts.insert("ansible_loadavg", loads);
    }
    security(sections, facts);
    dns(sections, facts);
    for (kind, lines) in sections.all("hostkey") {
        let mut words = lines.first().map(|l| l.as_str()).unwrap_or_default().split(' ');
        if let (Some(key_type), Some(key)) = (words.next(), words.next()) {
            facts.insert(format!("ansible_ssh_host_key_{kind}_public"), key);
            facts.insert(format!("ansible_ssh_host_key_{kind}_public_keytype"), key_type);
        }
    }
}

fn names(sections: &Sections, facts: &mut Map) {
    let uname = sections.lines("uname");
    let field = |i: usize| uname.get(i).map(|l| l.trim()).unwrap_or_default();
    let (system, node, release, machine) = (field(0), field(1), field(2), field(3));
    let fqdn = resolved(sections).or(sections.line("fqdn")).unwrap_or(node);
    // As Ansible does it: whichever name has a dot tells the domain.
    let long = if fqdn.contains('.') { fqdn } else { node };
    let (short, domain) = long.split_once('.').unwrap_or((long, ""));
    facts.insert("ansible_system", system);
    facts.insert("ansible_kernel", release);
    facts.insert("ansible_kernel_version", field(4));
    facts.insert("ansible_machine", machine);
    facts.insert(
        "ansible_architecture",
        match machine {
            "i386" | "i486" | "i586" | "i686" => "i386",
            "amd64" => "x86_64",
            other => other,
        },
    );
    facts.insert("ansible_userspace_architecture", machine);
    facts.insert(
        "ansible_userspace_bits",
        if machine.contains("64") || machine == "s390x" { "64" } else { "32" },
    );
    facts.insert("ansible_nodename", node);
    facts.insert("ansible_hostname", node.split('.').next().filter(|h| !h.is_empty()).unwrap_or(short));
    facts.insert("ansible_fqdn", fqdn);
    facts.insert("ansible_domain", domain);
    if let Some(id) = sections.line("file machine-id") {
        facts.insert("ansible_machine_id", id);
    }
}

/// Returns the first of the resolver's names for the host that has a domain, else the first.
fn resolved(sections: &Sections) -> Option<&str> {
    let mut names = sections.line("names")?.split_whitespace().skip(1);
    let first = names.next()?;
    Some(std::iter::once(first).chain(names).find(|name| name.contains('.')).unwrap_or(first))
}

fn user(sections: &Sections, facts: &mut Map) {
    let ids = sections.lines("id");
    let number = |i: usize| ids.get(i).and_then(|l| l.trim().parse::<i64>().ok());
    facts.insert("ansible_user_id", ids.get(4).map(|l| l.trim().to_string()));
    let passwd: Vec<&str> = sections.line("passwd").unwrap_or_default().split(':').collect();
    if let [_, _, uid, gid, gecos, dir, shell] = passwd.as_slice() {
        facts.insert("ansible_user_uid", uid.parse::<i64>().ok());
        facts.insert("ansible_user_gid", gid.parse::<i64>().ok());
        facts.insert("ansible_user_gecos", *gecos);
        facts.insert("ansible_user_dir", *dir);
        facts.insert("ansible_user_shell", *shell);
    } else {
        facts.insert("ansible_user_uid", number(2));
        facts.insert("ansible_user_gid", number(3));
    }
    facts.insert("ansible_real_user_id", number(0));
    facts.insert("ansible_real_group_id", number(1));
    facts.insert("ansible_effective_user_id", number(2));
    facts.insert("ansible_effective_group_id", number(3));
}

fn command_line(sections: &Sections, facts: &mut Map) {
    let Some(text) = sections.line("cmdline") else { return };
    let (mut last, mut all) = (Map::new(), Map::new());
    for word in text.split_whitespace() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Value::str(value.trim_matches('"'))),
            None => (word, Value::Bool(true)),
        };
        last.insert(name, value.clone());
        let several = match all.get(name) {
            None => value,
            Some(Value::List(list)) => {
                let mut list = list.to_vec();
                list.push(value);
                Value::list(list)
            }
            Some(first) => Value::list(vec![first.clone(), value]),
        };
        all.insert(name, several);
    }
    facts.insert("ansible_cmdline", last);
    facts.insert("ansible_proc_cmdline", all);
}

fn security(sections: &Sections, facts: &mut Map) {
    let exists = |path: &str| sections.lines("exists").iter().any(|l| l == path);
    let mut selinux = Map::new();
    if exists("/sys/fs/selinux/enforce") || exists("/selinux/enforce") {
        let config = sections.lines("selinux-config");
        selinux.insert("status", "enabled");
        selinux.insert("policyvers", sections.line("selinux-policyvers").and_then(|v| v.parse::<i64>().ok()));
        selinux.insert("config_mode", assignment(config, "SELINUX").unwrap_or_else(|| "unknown".into()));
        selinux.insert(
            "mode",
            if sections.line("selinux-enforce") == Some("1") { "enforcing" } else { "permissive" },
        );
        selinux.insert("type", assignment(config, "SELINUXTYPE").unwrap_or_else(|| "unknown".into()));
    } else {
        selinux.insert("status", "disabled");
    }
    facts.insert("ansible_selinux", selinux);
    facts.insert("ansible_selinux_python_present", true);
    let apparmor = if exists("/sys/kernel/security/apparmor") { "enabled" } else { "disabled" };
    facts.insert("ansible_apparmor", [("status", apparmor)].into_iter().collect::<Map>());
    facts.insert("ansible_fips", sections.line("fips") == Some("1"));
}

fn dns(sections: &Sections, facts: &mut Map) {
    let mut dns = Map::new();
    let mut servers = Vec::new();
    for line in sections.lines("file resolv.conf") {
        let mut words = line.split_whitespace();
        let Some(word) = words.next() else { continue };
        let rest: Vec<String> = words.map(str::to_string).collect();
        match word {
            "nameserver" => servers.extend(rest),
            "domain" => {
                dns.insert("domain", rest.join(" "));
            }
            "search" | "sortlist" => {
                dns.insert(word, rest);
            }
            "options" => {
                let options: Map = rest
                    .iter()
                    .map(|o| match o.split_once(':') {
                        Some((name, value)) => (name.to_string(), Value::str(value)),
                        None => (o.clone(), Value::Bool(true)),
                    })
                    .collect();
                dns.insert("options", options);
            }
            _ => {}
        }
    }
    if !servers.is_empty() {
        dns.insert("nameservers", servers);
    }
    facts.insert("ansible_dns", dns);
}
