//! The laws over generated states for modules that work by tools of a system: in a mount namespace with own folders, by
//! the tools themselves where they can be had, else by doubles of them (`doubles.sh`).
//!
//! `covered.rs` says where each module of the registry is checked.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::generated::{Wanted, hold, some_of};
use super::harness::Bench;

/// A test of each module, by the law in the table that stands beside.
macro_rules! laws_of {
    ($($module:ident),* $(,)?) => {
        $(#[test] fn $module() {
            let law = LAWS.iter().find(|law| law.module == stringify!($module)).unwrap();
            crate::modules::generated_system::check(law);
        })*
    };
}

mod files;
mod packages;
mod servers;
mod storage;

/// A module with what its laws need.
struct Law {
    module: &'static str,
    /// Tools that doubles stand for.
    doubles: &'static [&'static str],
    /// Tools that must be there.
    needs: &'static [&'static str],
    /// A condition without which nothing is checked.
    possible: &'static str,
    /// Whether it changes nothing outside of the folder that it is given, so that none of the system's is replaced.
    inside: bool,
    /// Lines that are run first.
    begin: &'static str,
    /// Lines of which any may have been run before.
    states: &'static [&'static str],
    always: &'static str,
    choices: &'static [(&'static str, &'static [&'static str])],
    /// The part of the cases that is made where each takes long.
    share: u32,
}

impl Law {
    const BASE: Law = Law {
        module: "",
        doubles: &[],
        needs: &[],
        possible: ":",
        inside: false,
        begin: "",
        states: &[],
        always: "{}",
        choices: &[],
        share: 1,
    };
}

const YES_NO: &[&str] = &["yes", "no"];
const THERE: &[&str] = &["present", "absent"];

const LAWS: &[Law] = &[
    Law {
        module: "systemd",
        doubles: &["systemctl"],
        states: &[
            "mkdir -p unit.web; echo inactive >unit.web/active; echo disabled >unit.web/enabled",
            "mkdir -p unit.web; echo active >unit.web/active; echo enabled >unit.web/enabled",
            "mkdir -p unit.web; echo failed >unit.web/active; echo static >unit.web/enabled",
            "mkdir -p unit.web; echo inactive >unit.web/active; echo masked >unit.web/enabled",
        ],
        always: r#"{"name": "web"}"#,
        choices: &[
            ("state", &["started", "stopped"]),
            ("enabled", YES_NO),
            ("masked", YES_NO),
            ("daemon_reload", YES_NO),
        ],
        ..Law::BASE
    },
    Law {
        module: "systemd_service",
        doubles: &["systemctl"],
        states: &["mkdir -p unit.db; echo inactive >unit.db/active; echo disabled >unit.db/enabled"],
        always: r#"{"name": "db"}"#,
        choices: &[("state", &["started", "stopped"]), ("enabled", YES_NO)],
        ..Law::BASE
    },
    Law {
        module: "service",
        doubles: &["service", "update-rc.d"],
        states: SCRIPTS,
        always: r#"{"name": "web", "use": "sysvinit"}"#,
        choices: &[("state", &["started", "stopped"]), ("enabled", YES_NO)],
        ..Law::BASE
    },
    Law {
        module: "sysvinit",
        doubles: &["service", "update-rc.d"],
        states: SCRIPTS,
        always: r#"{"name": "web"}"#,
        choices: &[("state", &["started", "stopped"]), ("enabled", YES_NO)],
        ..Law::BASE
    },
    Law {
        module: "firewalld",
        doubles: &["firewall-cmd", "firewall-offline-cmd"],
        states: &[
            ": >zone.public.permanent; : >zone.public.running",
            "echo service=ssh >zone.public.permanent; : >zone.public.running",
            ": >zone.public.permanent; echo port=80/tcp >zone.public.running",
            ": >zone.dmz.permanent; : >zone.dmz.running",
            ": >firewall.off",
        ],
        always: r#"{"service": "ssh", "state": "enabled", "permanent": true}"#,
        choices: &[
            ("state", &["enabled", "disabled"]),
            ("immediate", YES_NO),
            ("zone", &["public", "dmz"]),
            ("permanent", YES_NO),
        ],
        ..Law::BASE
    },
    Law {
        module: "iptables",
        doubles: &["iptables", "ip6tables"],
        states: &[
            "for c in INPUT OUTPUT; do echo ACCEPT >iptables.filter.$c; echo ACCEPT >ip6tables.filter.$c; done",
            "echo ACCEPT >iptables.filter.INPUT; echo '-p tcp -j ACCEPT --destination-port 22' >>iptables.filter.INPUT",
            "echo DROP >iptables.filter.INPUT; echo DROP >ip6tables.filter.INPUT",
        ],
        always: r#"{"chain": "INPUT", "protocol": "tcp", "destination_port": "22", "jump": "ACCEPT"}"#,
        choices: &[
            ("state", THERE),
            ("chain", &["OUTPUT"]),
            ("action", &["insert", "append"]),
            ("comment", &["it's ssh"]),
            ("source", &["10.0.0.0/8"]),
        ],
        ..Law::BASE
    },
    Law {
        module: "nmcli",
        doubles: &["nmcli"],
        states: &[
            "nmcli con add type ethernet con-name office connection.interface-name eth0 ipv4.method manual ipv4.addresses 10.0.0.1/24",
            "nmcli con add type bond con-name bond0 connection.interface-name bond0 mode active-backup miimon 100",
            "[ ! -e con.office ] || nmcli con modify office ipv4.dns 10.0.0.2,10.0.0.3 802-3-ethernet.mtu 9000",
            "[ ! -e con.office ] || nmcli con up office",
        ],
        always: r#"{"conn_name": "office", "state": "present", "type": "ethernet", "ifname": "eth0"}"#,
        choices: &[
            ("state", THERE),
            ("conn_name", &["it's new", "bond0"]),
            ("type", &["bond", "vlan"]),
            ("ip4", &["10.0.0.1/24", "10.0.0.1", "10.0.0.1/24,10.0.0.4/24"]),
            ("dns4", &["10.0.0.2,10.0.0.3", "10.0.0.3,10.0.0.2", ""]),
            ("routes4", &["10.1.0.0/16 10.0.0.254 5", "10.2.0.0/16 10.0.0.254,10.1.0.0/16 10.0.0.254"]),
            ("mtu", &["9000", "1500"]),
            ("autoconnect", YES_NO),
            ("zone", &["internal"]),
            ("conn_reload", YES_NO),
        ],
        ..Law::BASE
    },
    Law {
        module: "at",
        doubles: &["at", "atq"],
        states: &[
            "echo 'touch x' >job.1",
            "printf 'umask 22\\nHOME=/root; export HOME\\n%s\\n' \"echo 'it is'\" >job.7",
            "echo 'other' >job.9; printf '\\n  echo in a file\\n' >script",
        ],
        // Without `unique` there is one job more each time.
        always: r#"{"command": "touch x", "count": 20, "units": "minutes", "unique": true}"#,
        choices: &[
            ("command", &["echo 'it is'", "new $(touch pwned)"]),
            ("units", &["days"]),
            ("state", THERE),
            ("chdir", &["$D", "$D/none"]),
        ],
        ..Law::BASE
    },
    Law {
        module: "seboolean",
        doubles: &["getsebool", "setsebool", "semanage"],
        states: &[
            "mkdir -p /sys/fs/selinux; echo 1 >/sys/fs/selinux/enforce",
            "echo on >bool.web_net",
            "echo off >bool.web_net",
            "echo off >bool.web_net; echo on >kept.web_net",
        ],
        always: r#"{"name": "web_net", "state": true, "ignore_selinux_state": true}"#,
        choices: &[("state", YES_NO), ("persistent", YES_NO)],
        ..Law::BASE
    },
    Law {
        module: "selinux",
        doubles: &["setenforce"],
        states: &[
            "mkdir -p /sys/fs/selinux; echo 1 >/sys/fs/selinux/enforce",
            "mkdir -p /sys/fs/selinux; echo 0 >/sys/fs/selinux/enforce",
            "mkdir -p /etc/selinux/targeted/policy; printf 'SELINUX=enforcing\\nSELINUXTYPE=targeted\\n' >/etc/selinux/config",
            "mkdir -p /etc/selinux/minimum/policy; printf '# mine\\nSELINUX=disabled\\nSELINUXTYPE=minimum' >/etc/selinux/config",
        ],
        always: r#"{"state": "enforcing", "policy": "targeted"}"#,
        choices: &[("state", &["permissive", "enforcing"]), ("policy", &["minimum", "targeted"])],
        ..Law::BASE
    },
    Law {
        module: "sefcontext",
        doubles: &["semanage"],
        states: &[
            "echo '/srv(/.*)?  all files  system_u:object_r:etc_t:s0' >labels",
            "echo '/srv(/.*)?  regular file  staff_u:object_r:usr_t:s0' >>labels",
            "mkdir -p /sys/fs/selinux; echo 1 >/sys/fs/selinux/enforce",
        ],
        always: r#"{"target": "/srv(/.*)?", "setype": "usr_t", "ignore_selinux_state": true}"#,
        choices: &[
            ("setype", &["etc_t", "usr_t"]),
            ("ftype", &["a", "f", "d"]),
            ("seuser", &["staff_u"]),
            ("state", THERE),
            ("reload", YES_NO),
        ],
        ..Law::BASE
    },
    Law {
        module: "locale_gen",
        doubles: &["locale", "locale-gen"],
        states: &[
            "printf '# de_DE.UTF-8 UTF-8\\nen_US.UTF-8 UTF-8\\n# fr_FR.UTF-8 UTF-8' >/etc/locale.gen; echo en_US.utf8 >locales",
            "printf 'de_DE.UTF-8 UTF-8\\n# en_US.UTF-8 UTF-8\\n' >/etc/locale.gen; echo de_DE.utf8 >locales",
        ],
        always: r#"{"name": "de_DE.UTF-8"}"#,
        choices: &[("name", &["de_DE.UTF-8", "en_US.UTF-8"]), ("state", THERE)],
        ..Law::BASE
    },
    Law {
        module: "timezone",
        doubles: &["timedatectl"],
        states: &[
            "echo Europe/Paris >zone; echo no >rtc",
            "echo Etc/UTC >zone; echo yes >rtc",
            "echo Etc/UTC >zone; echo no >rtc",
        ],
        always: r#"{"name": "Europe/Berlin"}"#,
        choices: &[("name", &["Europe/Paris", "Etc/UTC", "No/Where"]), ("hwclock", &["local", "UTC"])],
        ..Law::BASE
    },
    Law {
        module: "debconf",
        needs: &["debconf-show", "debconf-set-selections"],
        // The tool makes its files when it is first asked.
        begin: "echo 'tzdata tzdata/Zones/Etc select UTC' | debconf-set-selections",
        states: &["echo 'tzdata tzdata/Areas select Europe' | debconf-set-selections"],
        always: r#"{"name": "tzdata", "question": "tzdata/Areas", "vtype": "select", "value": "Etc"}"#,
        choices: &[("value", &["Europe", "Asia"]), ("question", &["tzdata/Other"]), ("unseen", YES_NO)],
        ..Law::BASE
    },
    Law {
        module: "dpkg_selections",
        needs: &["dpkg", "apt-get"],
        states: &[
            "printf 'Package: hello\\nStatus: install ok installed\\nMaintainer: x <x@x>\\nArchitecture: all\\nVersion: 1\\nDescription: x\\n\\n' >/var/lib/dpkg/status",
            "if [ -s /var/lib/dpkg/status ]; then echo hello hold | dpkg --set-selections; fi",
        ],
        always: r#"{"name": "hello", "selection": "hold"}"#,
        choices: &[("selection", &["hold", "install", "deinstall", "purge"]), ("name", &["none"])],
        ..Law::BASE
    },
    Law {
        module: "apt_repository",
        needs: &["apt-get"],
        states: &[
            "printf '# mine\\ndeb http://h/debian stable main\\n' >/etc/apt/sources.list",
            "printf 'deb http://x/y ./\\n# deb http://z/ a b\\n' >/etc/apt/sources.list.d/other.list",
        ],
        always: r#"{"repo": "deb http://x/y ./", "update_cache": false, "codename": "stable"}"#,
        choices: &[
            (
                "repo",
                &[
                    "deb http://h/debian stable main",
                    "deb [arch=amd64] http://new/ a b c",
                    "deb http://z/ a b",
                ],
            ),
            ("filename", &["named"]),
            ("state", THERE),
            ("mode", &["0600", "0644"]),
        ],
        ..Law::BASE
    },
    Law {
        module: "deb822_repository",
        needs: &["apt-get"],
        states: &[
            "printf 'X-Repolib-Name: r\\nTypes: deb\\nURIs: http://old/\\nSuites: a\\n' >/etc/apt/sources.list.d/r.sources",
            "mkdir -p /etc/apt/keyrings",
        ],
        always: r#"{"name": "r", "uris": "http://h/debian", "suites": "stable", "components": "main"}"#,
        choices: &[
            ("uris", &["http://other/"]),
            ("types", &["deb-src"]),
            ("enabled", YES_NO),
            ("state", THERE),
            ("mode", &["0600"]),
        ],
        ..Law::BASE
    },
    Law {
        module: "hostname",
        states: &[
            "mkdir -p /etc/sysconfig; echo NETWORKING=yes >/etc/sysconfig/network",
            "mkdir -p /etc/sysconfig; echo HOSTNAME=old >>/etc/sysconfig/network",
        ],
        // A way that only writes a file: the others would rename the machine that runs the tests.
        always: r#"{"name": "n1.example.org", "use": "redhat"}"#,
        choices: &[("name", &["old", "n2"])],
        ..Law::BASE
    },
    Law {
        module: "alternatives",
        needs: &["update-alternatives"],
        states: &[
            "update-alternatives --quiet --install \"$PWD/link\" try \"$PWD/one\" 30",
            "update-alternatives --quiet --install \"$PWD/link\" try \"$PWD/two\" 40",
        ],
        always: r#"{"name": "try", "path": "$D/two", "link": "$D/link"}"#,
        choices: &[("path", &["$D/one"]), ("priority", &["10", "50"])],
        ..Law::BASE
    },
];

/// An init script that keeps its own state, running or not, at some levels or at none.
const SCRIPTS: &[&str] = &[
    "mkdir -p /etc/init.d /etc/rc2.d /etc/rc3.d /etc/rc4.d /etc/rc5.d; printf '%s\\n' '#!/bin/sh' 'case $1 in start) : >/var/lib/web.on ;; stop) rm -f /var/lib/web.on ;; status) if [ -e /var/lib/web.on ]; then echo web is running; else echo web is stopped; exit 3; fi ;; esac' >/etc/init.d/web; chmod 755 /etc/init.d/web",
    ": >/var/lib/web.on",
    "mkdir -p /etc/rc2.d /etc/rc3.d /etc/rc4.d /etc/rc5.d; for l in 2 3 4 5; do ln -sf ../init.d/web /etc/rc$l.d/S01web; done",
];

/// Folders that every state begins with.
const BEGIN: &str = "mkdir -p /etc/apt/sources.list.d /etc/apt/keyrings /var/cache/debconf /var/lib/dpkg/info /var/lib/dpkg/updates \
    /var/lib/dpkg/triggers /var/lib/dpkg/alternatives /etc/alternatives; touch one two /var/lib/dpkg/status; chmod 644 /var/lib/dpkg/status\n";

fn check(law: &'static Law) {
    check_in(law, |bench, _| Some(bench));
}

/// The same on benches that are made ready for it, with the name of the shell; nothing where that is not possible.
fn check_in(law: &'static Law, ready: impl for<'s> Fn(Bench<'s>, &str) -> Option<Bench<'s>>) {
    let states = || {
        let begin = if law.inside { "" } else { BEGIN };
        subsequence(law.states, 0..=law.states.len())
            .prop_map(move |lines| format!("{begin}{}\n{}", law.begin, lines.join("\n")))
            .boxed()
    };
    let wanted = || {
        let always = serde_json::from_str(law.always).unwrap();
        some_of(always, law.choices).prop_map(Wanted::from).boxed()
    };
    hold(
        law.module,
        law.share,
        |shell| {
            let bench = if law.inside { Bench::new(shell) } else { Bench::rooted(shell)? };
            let bench = ready(bench.with_doubles(law.doubles), &shell.name)?;
            let possible = law.needs.iter().all(|tool| bench.has(tool)) && bench.holds(law.possible);
            possible.then_some(bench)
        },
        states,
        wanted,
    );
}

/// The modules whose laws are checked here.
pub fn modules() -> impl Iterator<Item = &'static str> {
    LAWS.iter()
        .chain(files::LAWS)
        .chain(packages::LAWS)
        .chain(servers::LAWS)
        .chain(storage::LAWS)
        .map(|law| law.module)
}

laws_of!(
    systemd,
    systemd_service,
    service,
    sysvinit,
    firewalld,
    iptables,
    nmcli,
    at,
    seboolean,
    selinux,
    sefcontext,
    locale_gen,
    timezone,
    debconf,
    dpkg_selections,
    apt_repository,
    deb822_repository,
    hostname,
    alternatives,
);
