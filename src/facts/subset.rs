//! Which facts are asked for: Ansible's collectors, the names by which they are asked for, and whose each fact is.

/// A collector of Ansible's: what is gathered or left out as a whole.
struct Collector {
    name: &'static str,
    /// Other names for it in `gather_subset`.
    ids: &'static [&'static str],
    /// Gathered unless it is left out by name, or `!min` is given.
    minimal: bool,
    /// Collectors that are gathered too, even those that were left out.
    requires: &'static [&'static str],
    /// The names of its facts, without `ansible_`; one that ends with `*` stands for all that begin so.
    facts: &'static [&'static str],
}

const fn minimal(name: &'static str, facts: &'static [&'static str]) -> Collector {
    Collector { name, ids: &[], minimal: true, requires: &[], facts }
}

const fn other(name: &'static str, facts: &'static [&'static str]) -> Collector {
    Collector { name, ids: &[], minimal: false, requires: &[], facts }
}

const COLLECTORS: [Collector; 28] = [
    Collector {
        ids: &[
            "system",
            "kernel",
            "kernel_version",
            "machine",
            "python_version",
            "architecture",
            "machine_id",
        ],
        ..minimal(
            "platform",
            &[
                "system",
                "kernel",
                "kernel_version",
                "machine",
                "python_version",
                "architecture",
                "machine_id",
                "fqdn",
                "hostname",
                "nodename",
                "domain",
                "userspace_*",
            ],
        )
    },
    Collector {
        ids: &["distribution_version", "distribution_release", "distribution_major_version", "os_family"],
        ..minimal("distribution", &["distribution", "distribution_*", "os_family"])
    },
    Collector {
        ids: &["system_capabilities", "system_capabilities_enforced"],
        ..minimal("caps", &["system_capabilities", "system_capabilities_enforced"])
    },
    Collector {
        ids: &[
            "ssh_host_pub_keys",
            "ssh_host_key_dsa_public",
            "ssh_host_key_rsa_public",
            "ssh_host_key_ecdsa_public",
            "ssh_host_key_ed25519_public",
        ],
        ..minimal("ssh_pub_keys", &["ssh_host_key_*"])
    },
    Collector {
        ids: &[
            "user_id",
            "user_uid",
            "user_gid",
            "user_gecos",
            "user_dir",
            "user_shell",
            "real_user_id",
            "effective_user_id",
            "effective_group_ids",
        ],
        ..minimal(
            "user",
            &["user_*", "real_user_id", "real_group_id", "effective_user_id", "effective_group_id"],
        )
    },
    Collector { requires: &["distribution"], ..minimal("pkg_mgr", &["pkg_mgr"]) },
    Collector { requires: &["platform", "distribution"], ..minimal("service_mgr", &["service_mgr"]) },
    minimal("apparmor", &["apparmor"]),
    minimal("cmdline", &["cmdline", "proc_cmdline"]),
    minimal("date_time", &["date_time"]),
    minimal("dns", &["dns"]),
    minimal("env", &["env"]),
    minimal("fips", &["fips"]),
    minimal("local", &["local"]),
    minimal("lsb", &["lsb"]),
    minimal("python", &["python"]),
    minimal("selinux", &["selinux", "selinux_python_present"]),
    Collector { ids: &["is_chroot"], ..other("chroot", &["is_chroot"]) },
    other("loadavg", &["loadavg"]),
    other("systemd", &["systemd"]),
    other("iscsi", &["iscsi_iqn"]),
    other("nvme", &["hostnqn"]),
    other("fibre_channel_wwn", &["fibre_channel_wwn"]),
    Collector {
        ids: &["processor", "processor_cores", "processor_count", "mounts", "devices"],
        requires: &["platform"],
        ..other(
            "hardware",
            &[
                "processor",
                "processor_*",
                "mounts",
                "devices",
                "device_links",
                "flags",
                "form_factor",
                "lvm",
                "mem*",
                "swap*",
                "system_vendor",
                "uptime_seconds",
                "bios_*",
                "board_*",
                "chassis_*",
                "product_*",
            ],
        )
    },
    Collector {
        ids: &["interfaces", "default_ipv4", "default_ipv6", "all_ipv4_addresses", "all_ipv6_addresses"],
        requires: &["distribution", "platform"],
        ..other(
            "network",
            &[
                "interfaces",
                "default_ipv4",
                "default_ipv6",
                "all_ipv4_addresses",
                "all_ipv6_addresses",
                "locally_reachable_ips",
            ],
        )
    },
    Collector {
        ids: &[
            "virtualization_type",
            "virtualization_role",
            "virtualization_tech_guest",
            "virtualization_tech_host",
        ],
        ..other("virtual", &["virtualization_*"])
    },
    // Those of other programs, which are not asked.
    other("facter", &[]),
    other("ohai", &[]),
];

/// Which collectors' facts are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subset(u32);

impl Subset {
    pub const NONE: Subset = Subset(0);
    pub const ALL: Subset = Subset((1 << COLLECTORS.len()) - 1);

    /// Returns the collectors that are gathered where nothing is said of them.
    pub fn minimal() -> Subset {
        let bits = COLLECTORS.iter().enumerate().filter(|(_, c)| c.minimal).map(|(at, _)| 1 << at);
        Subset(bits.sum())
    }

    fn named(name: &str) -> Option<usize> {
        COLLECTORS.iter().position(|c| c.name == name)
    }

    /// Whether a collector's facts are asked for.
    pub fn has(self, name: &str) -> bool {
        Subset::named(name).is_some_and(|at| self.0 & 1 << at != 0)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether any of the small facts are asked for, which one part of the probe looks at.
    pub fn has_small(self) -> bool {
        let large = ["hardware", "network", "virtual"].iter().filter_map(|name| Subset::named(name));
        self.0 & !large.map(|at| 1 << at).sum::<u32>() != 0
    }

    /// Asks for the collector that a fact comes from; tells whether one is known.
    pub fn add_fact(&mut self, fact: &str) -> bool {
        let at = owner(fact);
        self.0 |= at.map_or(0, |at| 1 << at);
        at.is_some()
    }

    /// Returns the shortest list for `gather_subset` that says the same; nothing where nothing is asked for.
    pub fn words(self) -> Vec<&'static str> {
        if self.is_empty() {
            return Vec::new();
        }
        if self == Subset::ALL {
            return vec!["all"];
        }
        let mut words = vec!["!all"];
        if !self.has("local") {
            words.push("!local");
        }
        let more = COLLECTORS.iter().filter(|c| !c.minimal && self.has(c.name));
        words.extend(more.map(|c| c.name));
        words
    }

    /// Whether a fact is asked for. Those that no list names are interfaces.
    pub fn holds(self, fact: &str) -> bool {
        let fact = fact.strip_prefix("ansible_").unwrap_or(fact);
        match owner(fact) {
            Some(at) => self.0 & 1 << at != 0,
            None => self.has("network"),
        }
    }

    /// Reads `gather_subset`, as Ansible's `get_collector_names` does: the minimal facts are asked for to begin with, what
    /// is asked for by a name of its own is gathered whatever is left out, and so is what that needs.
    pub fn parse<S: AsRef<str>>(names: &[S]) -> Result<Subset, String> {
        let mut added: Vec<&str> = COLLECTORS.iter().filter(|c| c.minimal).map(|c| c.name).collect();
        let minimal = added.clone();
        let mut excluded: Vec<&str> = Vec::new();
        let mut explicit: Vec<&str> = Vec::new();
        let valid = || COLLECTORS.iter().flat_map(|c| std::iter::once(c.name).chain(c.ids.iter().copied()));
        let given = names.iter().map(|name| name.as_ref().trim());
        let given: Vec<&str> = if names.is_empty() { vec!["all"] } else { given.collect() };
        for name in given {
            match name.strip_prefix('!') {
                None if name == "min" => added.extend(&minimal),
                None if name == "all" => added.extend(valid()),
                Some("min") => excluded.extend(&minimal),
                Some("all") => excluded.extend(valid().filter(|name| !minimal.contains(name))),
                Some(name) => {
                    let ids = COLLECTORS.iter().find(|c| c.name == name).map_or(&[][..], |c| c.ids);
                    excluded.extend(ids);
                    excluded.push(name);
                }
                None => {
                    let Some(name) = valid().find(|known| *known == name) else {
                        let mut all: Vec<&str> = valid().collect();
                        all.sort_unstable();
                        return Err(format!(
                            "Bad subset '{name}' given to Ansible. gather_subset options allowed: all, {}",
                            all.join(", ")
                        ));
                    };
                    added.push(name);
                    explicit.push(name);
                }
            }
        }
        let wanted =
            |name: &str| added.contains(&name) && (explicit.contains(&name) || !excluded.contains(&name));
        let mut subset = Subset::NONE;
        for (at, collector) in COLLECTORS.iter().enumerate() {
            if wanted(collector.name) || collector.ids.iter().any(|id| wanted(id)) {
                subset.0 |= 1 << at;
            }
        }
        let chosen = subset;
        for collector in COLLECTORS.iter().filter(|c| chosen.has(c.name)) {
            let needed = collector.requires.iter().filter_map(|name| Subset::named(name));
            subset.0 |= needed.map(|at| 1 << at).fold(0, |bits, bit| bits | bit);
        }
        Ok(subset)
    }
}

/// Returns the collector that a fact comes from.
fn owner(fact: &str) -> Option<usize> {
    COLLECTORS.iter().position(|collector| {
        collector.facts.iter().any(|known| match known.strip_suffix('*') {
            Some(begin) => fact.starts_with(begin),
            None => fact == *known,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], has: &[&str], lacks: &[&str]) {
        let subset = Subset::parse(names).unwrap();
        for name in has {
            assert!(subset.has(name), "{names:?}: {name}");
        }
        for name in lacks {
            assert!(!subset.has(name), "{names:?}: {name}");
        }
    }

    #[test]
    fn subsets() {
        assert_eq!(Subset::parse::<&str>(&[]), Ok(Subset::ALL));
        assert_eq!(Subset::parse(&["all"]), Ok(Subset::ALL));
        let minimal = Ok(Subset::minimal());
        for names in [["min"], ["!all"], ["!hardware"]] {
            assert_eq!(Subset::parse(&names), minimal, "{names:?}");
        }
        assert_eq!(Subset::parse(&["!all", "!min"]), Ok(Subset::NONE));
        check(&["all", "!hardware"], &["network", "virtual", "local", "systemd"], &["hardware"]);
        check(&["!all", "network"], &["network", "env", "local"], &["hardware", "loadavg", "chroot"]);
        // What is asked for by name wins, in either order, and brings its collector as a whole.
        check(&["!hardware", "mounts"], &["hardware", "env"], &["network"]);
        check(&["mounts", "!all", "!min"], &["hardware", "platform"], &["env", "distribution"]);
        // What another one needs is there in spite of all.
        check(&["!all", "!min", "network"], &["network", "platform", "distribution"], &["user", "local"]);
        check(&["!all", "!min", "pkg_mgr"], &["pkg_mgr", "distribution"], &["platform"]);
        check(&["all", "!platform"], &["platform"], &[]);
        // A part of a collector cannot be left out.
        check(&["all", "!mounts"], &["hardware"], &[]);
        check(&["!date_time"], &["env"], &["date_time", "hardware"]);
        check(&["!all", "!min", "user_id"], &["user"], &["env"]);
        assert!(Subset::parse(&["!nonsense"]).is_ok());
        assert_eq!(
            Subset::parse(&["nonsense"]).unwrap_err(),
            "Bad subset 'nonsense' given to Ansible. gather_subset options allowed: all, all_ipv4_addresses, all_ipv6_addresses, \
             apparmor, architecture, caps, chroot, cmdline, date_time, default_ipv4, default_ipv6, devices, distribution, \
             distribution_major_version, distribution_release, distribution_version, dns, effective_group_ids, effective_user_id, \
             env, facter, fibre_channel_wwn, fips, hardware, interfaces, is_chroot, iscsi, kernel, kernel_version, loadavg, local, \
             lsb, machine, machine_id, mounts, network, nvme, ohai, os_family, pkg_mgr, platform, processor, processor_cores, \
             processor_count, python, python_version, real_user_id, selinux, service_mgr, ssh_host_key_dsa_public, \
             ssh_host_key_ecdsa_public, ssh_host_key_ed25519_public, ssh_host_key_rsa_public, ssh_host_pub_keys, ssh_pub_keys, \
             system, system_capabilities, system_capabilities_enforced, systemd, user, user_dir, user_gecos, user_gid, user_id, \
             user_shell, user_uid, virtual, virtualization_role, virtualization_tech_guest, virtualization_tech_host, \
             virtualization_type"
        );
    }

    #[test]
    fn words_say_the_same() {
        let mut subset = Subset::minimal();
        for fact in ["loadavg", "memtotal_mb", "default_ipv4"] {
            assert!(subset.add_fact(fact));
        }
        assert_eq!(subset.words(), ["!all", "loadavg", "hardware", "network"]);
        assert_eq!(Subset::parse(&subset.words()), Ok(subset));
        assert!(Subset::NONE.words().is_empty());
    }
}
