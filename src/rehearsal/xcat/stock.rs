//! The packages of the fake media and of the xCAT tarballs, with just enough in them to be seen in an image.

use super::packages::{Package, PackageFile};
use super::seed::{CHKCONFIG_SHIM, RPM_SHIM, SERVICE_SHIM, SYSTEMCTL_SHIM};

/// Packages that belong to the smallest system, with the tools that every image has.
const CORE: &str = "basesystem redhat-release bash coreutils util-linux hostname openssl openssh-server \
                    openssh-clients rsyslog vim-minimal rpm rsync tar bzip2 gzip xz wget ethtool parted e2fsprogs bc \
                    iputils dracut dracut-network nfs-utils bind httpd perl-DBD-MySQL perl-DBD-Pg procps tzdata";

/// Packages of either age, and extra ones that people like to add to images.
const MODERN: &str = "systemd chrony net-tools python3 dhclient dhcp-server dhcp-relay dnf NetworkManager \
                      nfs-utils-coreos sssd";
const OLD: &str = "chkconfig initscripts ntp busybox dash dhcp dhclient ppc64-utils lsvpd irqbalance yum";
const EXTRAS: &str =
    "tmux screen strace lsof tcpdump nano htop vim-enhanced lldpd ipmitool numactl pciutils gdb";

/// Says which services a package brings and whether they start at boot.
const SERVICES: &[(&str, &[(&str, bool)])] = &[
    ("bind", &[("named", false)]),
    ("chrony", &[("chronyd", true)]),
    ("dhcp", &[("dhcpd", true), ("dhcpd6", false), ("dhcrelay", true), ("dhcrelay6", false)]),
    ("dhcp-relay", &[("dhcrelay", false)]),
    ("dhcp-server", &[("dhcpd", true), ("dhcpd6", false)]),
    ("goconserver", &[("goconserver", false)]),
    ("httpd", &[("httpd", true)]),
    ("nfs-utils", &[("nfs-server", true)]),
    ("ntp", &[("ntpd", true)]),
    ("openssh-server", &[("sshd", true)]),
    ("rsyslog", &[("rsyslog", true)]),
    ("xCAT-server", &[("xcatd", true)]),
];

/// Returns the words of a release, as `/etc/redhat-release` and `.discinfo` begin.
pub(super) fn release_words(os: &str) -> String {
    format!("Red Hat Enterprise Linux {}", version_of(os))
}

fn version_of(os: &str) -> &str {
    os.trim_start_matches(|c: char| !c.is_ascii_digit())
}

fn major_of(os: &str) -> u32 {
    version_of(os).split('.').next().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Returns the version of the kernel that a release brings.
pub(super) fn kernel_version(os: &str, arch: &str) -> String {
    match major_of(os) {
        0..=6 => format!("2.6.32-358.el6.{arch}"),
        7 => format!("3.10.0-1160.el7.{arch}"),
        8 => format!("4.18.0-553.el8_10.{arch}"),
        _ => format!("5.14.0-427.13.1.el9_4.{arch}"),
    }
}

/// Returns all packages of a release's medium.
pub(super) fn medium_packages(os: &str, arch: &str) -> Vec<Package> {
    let major = major_of(os);
    let age = if major >= 7 { MODERN } else { OLD };
    let mut all: Vec<Package> = [CORE, age, EXTRAS]
        .iter()
        .flat_map(|names| names.split_whitespace())
        .map(|name| package(name, os, arch))
        .collect();
    all.push(kernel(os, arch));
    all
}

fn package(name: &str, os: &str, arch: &str) -> Package {
    let major = major_of(os);
    let is_core = CORE.split_whitespace().any(|one| one == name) || matches!(name, "systemd" | "initscripts");
    let minimal =
        is_core && !matches!(name, "bind" | "httpd" | "nfs-utils" | "perl-DBD-MySQL" | "perl-DBD-Pg");
    let (version, release) = match name {
        "redhat-release" => (version_of(os).to_string(), format!("0.5.el{major}")),
        "tmux" => ("3.2a".into(), format!("5.el{major}")),
        "basesystem" => ("11".into(), format!("13.el{major}")),
        _ => ("1.0".into(), format!("1.el{major}")),
    };
    let mut files = vec![PackageFile::new(
        &format!("/usr/share/doc/{name}/README"),
        0o644,
        format!("{name} {version}-{release} of a rehearsal\n"),
    )];
    files.extend(special_files(name, os));
    files.extend(service_files(name, major));
    if EXTRAS.split_whitespace().any(|one| one == name) {
        let body = format!("#!/bin/sh\necho \"{name} {version}\"\n");
        files.push(PackageFile::new(&format!("/usr/bin/{name}"), 0o755, body));
    }
    Package {
        name: name.into(),
        epoch: 0,
        version,
        release,
        arch: arch.into(),
        requires: if name == "basesystem" {
            vec!["redhat-release".into(), "tzdata".into()]
        } else {
            vec!["basesystem".into()]
        },
        groups: if minimal { vec!["minimal-environment".into(), "core".into()] } else { Vec::new() },
        files,
    }
}

fn special_files(name: &str, os: &str) -> Vec<PackageFile> {
    let major = major_of(os);
    match name {
        "basesystem" => {
            let mut files = vec![
                PackageFile::config(
                    "/etc/passwd",
                    "root:x:0:0:root:/root:/bin/sh\ndaemon:x:2:2:daemon:/sbin:/sbin/nologin\n",
                ),
                PackageFile::config("/etc/group", "root:x:0:\ndaemon:x:2:\n"),
                PackageFile::config(
                    "/etc/shadow",
                    "root:*:15513:0:99999:7:::\ndaemon:*:15513:0:99999:7:::\n",
                ),
                PackageFile::config("/etc/hosts", "127.0.0.1 localhost\n"),
                PackageFile::link("/etc/init.d", "rc.d/init.d"),
            ];
            for dir in
                ["proc", "sys", "dev", "run", "tmp", "var/lock/subsys", "var/log", "mnt", "etc/rc.d/init.d"]
            {
                files.push(PackageFile::new(&format!("/{dir}/.keep"), 0o644, ""));
            }
            files
        }
        "redhat-release" => {
            let words = release_words(os);
            vec![
                PackageFile::new("/etc/redhat-release", 0o644, format!("{words}\n")),
                PackageFile::new(
                    "/etc/os-release",
                    0o644,
                    format!(
                        "NAME=\"Red Hat Enterprise Linux\"\nID=\"rhel\"\nVERSION_ID=\"{}\"\nPRETTY_NAME=\"{words}\"\n",
                        version_of(os)
                    ),
                ),
            ]
        }
        "tzdata" => ["Universal", "Etc/UTC", "UTC"]
            .map(|zone| PackageFile::new(&format!("/usr/share/zoneinfo/{zone}"), 0o644, "TZif2\n"))
            .into(),
        "systemd" => vec![PackageFile::new("/usr/bin/systemctl", 0o755, SYSTEMCTL_SHIM)],
        "chkconfig" => vec![PackageFile::new("/sbin/chkconfig", 0o755, CHKCONFIG_SHIM)],
        "initscripts" => vec![PackageFile::new("/sbin/service", 0o755, SERVICE_SHIM)],
        "rpm" => vec![PackageFile::new("/usr/bin/rpm", 0o755, RPM_SHIM)],
        "nfs-utils" if major < 7 => vec![PackageFile::config("/etc/exports", "")],
        _ => Vec::new(),
    }
}

/// Returns unit files and enabling links, or init scripts and runlevel links.
fn service_files(name: &str, major: u32) -> Vec<PackageFile> {
    let Some((_, services)) = SERVICES.iter().find(|(package, _)| *package == name) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for (service, enabled) in *services {
        if major >= 7 || name == "xCAT-server" {
            let unit = format!("/usr/lib/systemd/system/{service}.service");
            let body = format!(
                "[Unit]\nDescription={service}\n[Service]\nExecStart=/usr/sbin/{service}\n[Install]\n\
                 WantedBy=multi-user.target\n"
            );
            files.push(PackageFile::new(&unit, 0o644, body));
            if *enabled {
                let link = format!("/etc/systemd/system/multi-user.target.wants/{service}.service");
                files.push(PackageFile::link(&link, &unit));
            }
        }
        if major < 7 || name == "xCAT-server" {
            let script = format!("/etc/rc.d/init.d/{service}");
            files.push(PackageFile::new(&script, 0o755, include_str!("shims/init.sh")));
            for level in 2..=5 {
                let (dir, script) = (format!("/etc/rc.d/rc{level}.d"), format!("../init.d/{service}"));
                let link =
                    if *enabled { format!("{dir}/S65{service}") } else { format!("{dir}/K35{service}") };
                files.push(PackageFile::link(&link, &script));
            }
        }
    }
    files
}

fn kernel(os: &str, arch: &str) -> Package {
    let full = kernel_version(os, arch);
    let stem = full.trim_end_matches(&format!(".{arch}")).to_string();
    let (version, release) = stem.split_once('-').unwrap_or((&stem, "1"));
    let mut files = vec![PackageFile::new(
        &format!("/boot/vmlinuz-{full}"),
        0o755,
        format!("kernel {full}\n").repeat(2048),
    )];
    for driver in ["net/e1000", "net/virtio_net", "net/tg3", "block/virtio_blk"] {
        let path = format!("/lib/modules/{full}/kernel/drivers/{driver}.ko");
        files.push(PackageFile::new(&path, 0o644, format!("module {driver} of {full}\n")));
    }
    Package {
        name: "kernel".into(),
        epoch: 0,
        version: version.into(),
        release: release.into(),
        arch: arch.into(),
        requires: vec!["basesystem".into()],
        groups: Vec::new(),
        files,
    }
}

type Repositories = Vec<(String, Vec<Package>)>;

/// Returns the directories of xcat-core and of xcat-dep with their packages.
pub(super) fn xcat_repositories(version: &str) -> (Repositories, Repositories) {
    let number = version.replace('.', "");
    let release = match number.as_str() {
        "2170" => "snap202411131111".to_string(),
        "2171" => "snap202506010101".to_string(),
        other => format!("snap2013{other:0>8}"),
    };
    let make = |name: &str, arch: &str, requires: &[&str], files: Vec<PackageFile>| Package {
        name: name.into(),
        epoch: 4,
        version: version.into(),
        release: release.clone(),
        arch: arch.into(),
        requires: requires.iter().map(|name| (*name).to_string()).collect(),
        groups: Vec::new(),
        files,
    };
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let version_file = PackageFile::new(
        "/opt/xcat/share/xcat/version",
        0o644,
        format!("Version {version} (git commit {commit})\n"),
    );
    let client = vec![
        PackageFile::new("/opt/xcat/bin/lsxcatd", 0o755, include_str!("shims/lsxcatd.sh")),
        PackageFile::new("/opt/xcat/sbin/tabdump", 0o755, include_str!("shims/tabdump.sh")),
        PackageFile::new(
            "/etc/profile.d/xcat.sh",
            0o644,
            "XCATROOT=/opt/xcat\nPATH=$XCATROOT/bin:$XCATROOT/sbin:$PATH\nexport XCATROOT PATH\n",
        ),
    ];
    let mut server = service_files("xCAT-server", 9);
    server.push(PackageFile::new("/opt/xcat/sbin/xcatd", 0o755, "#!/bin/sh\nexec sleep 1000000\n"));
    let mut core = vec![
        make("perl-xCAT", "noarch", &[], vec![version_file]),
        make("xCAT-client", "noarch", &["perl-xCAT"], client),
        make("xCAT-server", "noarch", &["perl-xCAT", "xCAT-client"], server),
        make("xCAT-probe", "noarch", &[], Vec::new()),
    ];
    const NEEDS: &[&str] = &[
        "xCAT-server",
        "xCAT-client",
        "perl-xCAT",
        "httpd",
        "bind",
        "dhcp-server",
        "dhcp",
        "nfs-utils",
        "rsync",
    ];
    for arch in ["x86_64", "ppc64", "ppc64le"] {
        let mark = PackageFile::new("/etc/xCATSN", 0o644, "");
        core.push(make("xCATsn", arch, NEEDS, vec![mark]));
        core.push(make("xCAT", arch, NEEDS, vec![PackageFile::new("/etc/xCATMN", 0o644, "")]));
    }
    let mut dep = Repositories::new();
    for (dir, arch) in [("rh6", "x86_64"), ("rh6", "ppc64"), ("rh9", "x86_64"), ("rh9", "ppc64le")] {
        let console = if dir == "rh6" { ("conserver-xcat", "8.1.16") } else { ("goconserver", "0.3.3") };
        let major = if dir == "rh6" { 6 } else { 9 };
        let mut packages = Vec::new();
        for (name, version, arch) in [
            (console.0, console.1, arch),
            ("grub2-xcat", "2.02", "noarch"),
            ("ipmitool-xcat", "1.8.18", arch),
            ("xnba-undi", "1.21.1", "noarch"),
            ("yaboot-xcat", "1.3.17", "noarch"),
        ] {
            packages.push(Package {
                name: name.into(),
                epoch: 0,
                version: version.into(),
                release: "snap202202232336".into(),
                arch: arch.into(),
                requires: Vec::new(),
                groups: Vec::new(),
                files: service_files(name, major),
            });
        }
        dep.push((format!("{dir}/{arch}"), packages));
    }
    (vec![(String::new(), core)], dep)
}
