//! Which programs manage packages and services.

use super::Sections;
use crate::value::{Map, Value};

/// Package managers by their programs; the last that is there counts, as in Ansible.
const PACKAGE_MANAGERS: &[(&str, &str)] = &[
    ("/usr/bin/rpm-ostree", "atomic_container"),
    ("/usr/bin/yum", "yum"),
    ("/usr/bin/dnf-3", "dnf"),
    ("/usr/bin/dnf", "dnf"),
    ("/usr/bin/dnf5", "dnf5"),
    ("/usr/bin/apt-get", "apt"),
    ("/usr/bin/zypper", "zypper"),
    ("/usr/bin/pacman", "pacman"),
    ("/sbin/apk", "apk"),
    ("/usr/bin/emerge", "portage"),
];

/// Adds both; the distribution's family must be known by now.
pub fn add(sections: &Sections, facts: &mut Map) {
    let family = facts.get("ansible_os_family").map(Value::to_text).unwrap_or_default();
    facts.insert("ansible_pkg_mgr", package_manager(sections, &family));
    facts.insert("ansible_service_mgr", service_manager(sections));
}

fn exists(sections: &Sections, path: &str) -> bool {
    sections.lines("exists").iter().any(|line| line == path)
}

fn package_manager(sections: &Sections, family: &str) -> &'static str {
    let last =
        PACKAGE_MANAGERS.iter().rev().find(|(path, _)| exists(sections, path)).map_or("unknown", |(_, n)| n);
    match family {
        "RedHat" if exists(sections, "/run/ostree-booted") => "atomic_container",
        // The same name can lead to different versions.
        "RedHat" => match sections.line("dnf") {
            Some(real) if real.ends_with("/dnf5") => "dnf5",
            Some(_) => "dnf",
            None if exists(sections, "/usr/bin/dnf") => "dnf",
            None if exists(sections, "/usr/bin/microdnf") => "dnf",
            // Old releases, for which Ansible has no module any more.
            None if exists(sections, "/usr/bin/yum") => "yum",
            None => "unknown",
        },
        // Others can be installed there, which does not make them the system's.
        "Debian" => "apt",
        "Altlinux" if last == "apt" => "apt_rpm",
        _ if last == "apt" && sections.line("apt-of-rpm").is_some() => "apt_rpm",
        _ => last,
    }
}

fn service_manager(sections: &Sections) -> String {
    let has = |program: &str| sections.lines("have").iter().any(|line| line == program);
    let first = sections.line("comm1").unwrap_or_default();
    let first = first.rsplit('/').next().unwrap_or_default();
    // A shell or something called init says nothing.
    if !first.is_empty() && first != "init" && first != "COMMAND" && !first.ends_with("sh") {
        return match first {
            "procd" => "openwrt_init",
            "runit-init" => "runit",
            "svscan" => "svc",
            "openrc-init" => "openrc",
            other => other,
        }
        .to_string();
    }
    let running = ["/run/systemd/system", "/dev/.run/systemd", "/dev/.systemd"];
    if running.iter().any(|path| exists(sections, path)) {
        "systemd"
    } else if (has("initctl") || exists(sections, "/sbin/initctl")) && exists(sections, "/etc/init") {
        "upstart"
    } else if exists(sections, "/run/openrc")
        || exists(sections, "/sbin/openrc")
        || exists(sections, "/sbin/openrc-run")
    {
        "openrc"
    } else if has("systemctl") && sections.line("init").is_some_and(|i| i.ends_with("systemd")) {
        "systemd"
    } else if exists(sections, "/etc/init.d") {
        "sysvinit"
    } else if has("dinitctl") {
        "dinit"
    } else {
        "service"
    }
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(family: &str, paths: &str, more: &str, expect: &str) {
        let text = format!("@exists\n {}\n{more}", paths.replace(' ', "\n "));
        let sections = Sections::parse(text.as_bytes());
        let mut facts = Map::from_iter([("ansible_os_family", family)]);
        add(&sections, &mut facts);
        let get = |name: &str| facts.get(name).unwrap().to_text();
        assert_eq!(format!("{} {}", get("ansible_pkg_mgr"), get("ansible_service_mgr")), expect);
    }

    #[test]
    fn managers_of_distributions() {
        check("RedHat", "/usr/bin/yum /etc/init.d /etc/init /sbin/initctl", "@comm1\n init\n", "yum upstart");
        check(
            "RedHat",
            "/usr/bin/yum /usr/bin/dnf /run/systemd/system",
            "@comm1\n systemd\n@dnf\n /usr/bin/dnf-3\n",
            "dnf systemd",
        );
        check(
            "RedHat",
            "/usr/bin/dnf /usr/bin/dnf5",
            "@comm1\n systemd\n@dnf\n /usr/bin/dnf5\n",
            "dnf5 systemd",
        );
        check("Debian", "/usr/bin/apt-get /usr/bin/zypper /usr/bin/dnf", "@comm1\n bash\n", "apt service");
        check("Suse", "/usr/bin/zypper /etc/init.d", "@comm1\n init\n", "zypper sysvinit");
        check("Alpine", "/sbin/apk /sbin/openrc /etc/init.d", "@comm1\n init\n", "apk openrc");
        check("Archlinux", "/usr/bin/pacman", "@comm1\n runit-init\n", "pacman runit");
        check(
            "Other",
            "",
            "@comm1\n sh\n@have\n systemctl\n@init\n /lib/systemd/systemd\n",
            "unknown systemd",
        );
    }
}
