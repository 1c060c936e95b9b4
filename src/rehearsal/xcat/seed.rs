//! The two sites of a rehearsal: what xCAT's installation and an administrator have left before the job starts.

use super::stock::release_words;
use super::tables::{Access, Db};
use super::world::below;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Where a template of a small userland is looked for (below the management node's root); genimage copies it into
/// new images, so that `chroot` can enter them.
pub const USERLAND: &str = "/usr/share/xplay-rehearsal/userland";

/// Is a `systemctl` for trees without systemd; `--root=DIR` works too.
pub const SYSTEMCTL_SHIM: &str = include_str!("shims/systemctl.sh");
/// Is a `chkconfig` that works on the links of `/etc/rc.d`.
pub const CHKCONFIG_SHIM: &str = include_str!("shims/chkconfig.sh");
/// Is a `service` over init scripts or units.
pub const SERVICE_SHIM: &str = include_str!("shims/service.sh");
/// Is an `rpm` that can query.
pub const RPM_SHIM: &str = include_str!("shims/rpm.sh");

/// Names the cluster to be rehearsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// xCAT 2.8 on rhels6.4 ppc64: LPARs behind an HMC, yaboot, init scripts.
    Seed,
    /// xCAT 2.17 on rhels9.4 x86_64: IPMI, xnba, systemd.
    El9,
}

impl Site {
    /// Returns the operating system and architecture of its nodes.
    pub fn os_arch(self) -> (&'static str, &'static str) {
        match self {
            Site::Seed => ("rhels6.4", "ppc64"),
            Site::El9 => ("rhels9.4", "x86_64"),
        }
    }

    /// Returns the version of xCAT.
    pub fn xcat_version(self) -> &'static str {
        match self {
            Site::Seed => "2.8.2",
            Site::El9 => "2.17.0",
        }
    }
}

/// Lays out tables, share directory, postscripts and the management node's own files below `root`. What exists
/// already is kept, so that a kept rehearsal goes on where it was.
pub fn seed(root: &Path, site: Site) -> io::Result<()> {
    let (os, arch) = site.os_arch();
    seed_machine(root, site, arch)?;
    let commit = if site == Site::Seed {
        "git commit 4a7b1c"
    } else {
        "git commit 9ff3e4b2a2d9b0b8a3d7b1f3c0de5d55c1a9b77e"
    };
    write(
        root,
        "/etc/xcat/rehearsal/version",
        0o644,
        &format!("Version {} ({commit})\n", site.xcat_version()),
    )?;
    write(root, "/etc/hostname", 0o644, "mn1\n")?;
    write(root, "/etc/redhat-release", 0o644, &format!("{}\n", release_words(os)))?;
    write(
        root,
        "/etc/profile.d/xcat.sh",
        0o644,
        "XCATROOT=/opt/xcat\nPATH=$XCATROOT/bin:$XCATROOT/sbin:$PATH\nexport XCATROOT PATH\n",
    )?;
    for dir in [
        "/install/post/otherpkgs",
        "/install/custom",
        "/install/autoinst",
        "/tftpboot/xcat",
        "/var/lock/xcat",
    ] {
        fs::create_dir_all(below(root, Path::new(dir)))?;
    }
    share(root)?;
    postscripts(root)?;
    hosts(root)?;
    if below(root, Path::new("/etc/xcat/tables/site.csv")).exists() {
        return Ok(());
    }
    let mut db = Db::open(root, Access::Write)?;
    site_tables(&mut db);
    nodes(&mut db, site);
    db.save()
}

/// Says which site a host belongs to, and of what architecture it is; what was said already is kept.
pub fn seed_machine(root: &Path, site: Site, arch: &str) -> io::Result<()> {
    let name = if site == Site::Seed { "seed" } else { "el9" };
    write(root, "/etc/xcat/rehearsal/site", 0o644, &format!("{name}\n"))?;
    write(root, "/etc/xcat/rehearsal/arch", 0o644, &format!("{arch}\n"))
}

const ADDRESSES: &[(&str, &str)] = &[
    ("mn1", "10.20.0.1"),
    ("sn1", "10.20.0.11"),
    ("sn2", "10.20.0.12"),
    ("cn1", "10.20.0.21"),
    ("cn2", "10.20.0.22"),
];

fn hosts(root: &Path) -> io::Result<()> {
    let path = below(root, Path::new("/etc/hosts"));
    let mut text = fs::read_to_string(&path).unwrap_or_else(|_| "127.0.0.1 localhost\n".into());
    for (name, address) in ADDRESSES {
        if !text.split_whitespace().any(|word| word == *name) {
            text.extend([address, " ", name, " ", name, ".cluster.test\n"]);
        }
    }
    fs::write(path, text)
}

pub(super) fn site_tables(db: &mut Db) {
    for (key, value) in [
        ("SNsyncfiledir", "/var/xcat/syncfiles"),
        ("databaseloc", "/var/lib"),
        ("dhcplease", "43200"),
        ("dnshandler", "ddns"),
        ("domain", "cluster.test"),
        ("installdir", "/install"),
        ("ipmimaxp", "64"),
        ("ipmiretries", "3"),
        ("ipmitimeout", "2"),
        ("master", "10.20.0.1"),
        ("maxssh", "8"),
        ("nameservers", "10.20.0.1"),
        ("nodesyncfiledir", "/var/xcat/node/syncfiles"),
        ("sharedtftp", "0"),
        ("sshbetweennodes", "ALLGROUPS"),
        ("tftpdir", "/tftpboot"),
        ("timezone", "Universal"),
        ("xcatconfdir", "/etc/xcat"),
        ("xcatdport", "3001"),
        ("xcatiport", "3002"),
    ] {
        db.set("site", "key", key, &[("value", value)]);
    }
    db.set(
        "networks",
        "netname",
        "10_20_0_0-255_255_255_0",
        &[
            ("net", "10.20.0.0"),
            ("mask", "255.255.255.0"),
            ("mgtifname", "eth0"),
            ("gateway", "<xcatmaster>"),
            ("tftpserver", "<xcatmaster>"),
        ],
    );
    db.set("passwd", "key", "system", &[("username", "root"), ("password", "rehearsal")]);
    db.set(
        "postscripts",
        "node",
        "xcatdefaults",
        &[("postscripts", "syslog,remoteshell,syncfiles"), ("postbootscripts", "otherpkgs")],
    );
    db.set("postscripts", "node", "service", &[("postscripts", "servicenode")]);
    db.set("policy", "priority", "1", &[("name", "root"), ("rule", "allow")]);
    db.set("policy", "priority", "1.2", &[("name", "mn"), ("rule", "trusted")]);
    for (priority, command) in [
        ("2", "getbmcconfig"),
        ("2.1", "remoteimmsetup"),
        ("2.3", "lsxcatd"),
        ("3", "nextdestiny"),
        ("4", "getdestiny"),
        ("4.4", "getpostscript"),
        ("4.5", "getcredentials"),
        ("4.6", "syncfiles"),
        ("4.7", "litefile"),
        ("4.8", "litetree"),
        ("4.9", "getadapter"),
    ] {
        db.set("policy", "priority", priority, &[("commands", command), ("rule", "allow")]);
    }
}

fn nodes(db: &mut Db, site: Site) {
    let (os, arch) = site.os_arch();
    for (index, (name, address)) in ADDRESSES.iter().skip(1).enumerate() {
        let service = name.starts_with("sn");
        let profile = if service { "service" } else { "compute" };
        db.set("nodelist", "node", name, &[("groups", &format!("{profile},all"))]);
        db.set("nodetype", "node", name, &[("os", os), ("arch", arch), ("profile", profile)]);
        let server = match *name {
            "cn1" => "sn1",
            "cn2" => "sn2",
            _ => "10.20.0.1",
        };
        let netboot = if site == Site::Seed { "yaboot" } else { "xnba" };
        db.set(
            "noderes",
            "node",
            name,
            &[
                ("netboot", netboot),
                ("tftpserver", server),
                ("nfsserver", server),
                ("monserver", server),
                ("xcatmaster", server),
            ],
        );
        if !service {
            db.set("noderes", "node", name, &[("servicenode", server)]);
        }
        db.set("mac", "node", name, &[("mac", &format!("52:54:00:aa:00:{}", &address[8..]))]);
        db.set("hosts", "node", name, &[("ip", address)]);
        if service {
            let console = if site == Site::Seed { "1" } else { "2" };
            db.set(
                "servicenode",
                "node",
                name,
                &[
                    ("nameserver", "1"),
                    ("dhcpserver", "1"),
                    ("tftpserver", "1"),
                    ("nfsserver", "1"),
                    ("conserver", console),
                ],
            );
        }
        match site {
            Site::El9 => {
                db.set("nodehm", "node", name, &[("mgt", "ipmi"), ("cons", "ipmi")]);
                db.set(
                    "ipmi",
                    "node",
                    name,
                    &[
                        ("bmc", &format!("10.20.0.2{:02}", index + 1)),
                        ("username", "ADMIN"),
                        ("password", "bmc-secret"),
                    ],
                );
            }
            Site::Seed => {
                db.set("nodehm", "node", name, &[("mgt", "hmc"), ("cons", "hmc")]);
                db.set("nodetype", "node", name, &[("nodetype", "ppc,osi")]);
                db.set(
                    "ppc",
                    "node",
                    name,
                    &[
                        ("hcp", "hmc1"),
                        ("id", &(index + 2).to_string()),
                        ("pprofile", &format!("{name}-profile")),
                        ("parent", "cec1"),
                        ("nodetype", "lpar"),
                    ],
                );
            }
        }
    }
    for group in ["service", "compute", "all"] {
        db.set("nodegroup", "groupname", group, &[("grouptype", "static")]);
    }
    if site == Site::Seed {
        for (name, kind) in [("hmc1", "hmc"), ("cec1", "cec")] {
            db.set("nodelist", "node", name, &[("groups", kind)]);
            db.set("nodetype", "node", name, &[("nodetype", "ppc")]);
            db.set("nodehm", "node", name, &[("mgt", "hmc")]);
            db.set(
                "ppc",
                "node",
                name,
                &[("nodetype", kind), ("hcp", if kind == "hmc" { "" } else { "hmc1" })],
            );
        }
        db.set("ppchcp", "hcp", "hmc1", &[("username", "hscroot"), ("password", "hmc-secret")]);
        db.set("vpd", "node", "cec1", &[("serial", "10F5D7P"), ("mtm", "8233-E8B")]);
    }
}

/// The package lists, exclusion lists and scripts that xCAT ships, per release and architecture.
pub(super) fn share(root: &Path) -> io::Result<()> {
    const NETBOOT: &str = "/opt/xcat/share/xcat/netboot/rh";
    const INSTALL: &str = "/opt/xcat/share/xcat/install/rh";
    for (os, arch) in [("rhels6", "ppc64"), ("rhels6", "x86_64"), ("rhels9", "x86_64"), ("rhels9", "ppc64le")]
    {
        let modern = os == "rhels9";
        for profile in ["compute", "service"] {
            let stem = format!("{NETBOOT}/{profile}.{os}.{arch}");
            let base =
                if modern { include_str!("share/el9.pkglist") } else { include_str!("share/el6.pkglist") };
            let more = match (profile, modern) {
                ("service", true) => "perl-DBD-MySQL\nperl-DBD-Pg\nbind\nhttpd\ndhcp-server\n",
                ("service", false) => "perl-DBD-MySQL\nbind\nhttpd\ndhcp\n",
                _ => "",
            };
            write(root, &format!("{stem}.pkglist"), 0o644, &format!("{base}{more}"))?;
            write(root, &format!("{stem}.exlist"), 0o644, include_str!("share/exlist"))?;
            let script = if modern {
                include_str!("share/el9.postinstall")
            } else {
                include_str!("share/el6.postinstall")
            };
            write(root, &format!("{stem}.postinstall"), 0o755, script)?;
        }
        let dep =
            if modern { format!("rh9/{arch}/goconserver") } else { format!("rh6/{arch}/conserver-xcat") };
        let others = format!("xcat/xcat-core/xCATsn\nxcat/xcat-dep/{dep}\n");
        write(root, &format!("{NETBOOT}/service.{os}.{arch}.otherpkgs.pkglist"), 0o644, &others)?;
        write(root, &format!("{INSTALL}/service.{os}.{arch}.otherpkgs.pkglist"), 0o644, &others)?;
        for profile in ["compute", "service"] {
            let stem = if modern {
                format!("{INSTALL}/{profile}.{os}")
            } else {
                format!("{INSTALL}/{profile}.{os}.{arch}")
            };
            write(root, &format!("{stem}.tmpl"), 0o644, "#INCLUDE_DEFAULT_PKGLIST#\n")?;
            write(root, &format!("{stem}.pkglist"), 0o644, "openssh-server\nrsync\nwget\n")?;
        }
    }
    Ok(())
}

fn postscripts(root: &Path) -> io::Result<()> {
    for (name, body) in [
        ("syslog", "#!/bin/sh\nexit 0\n"),
        ("remoteshell", "#!/bin/sh\nexit 0\n"),
        ("syncfiles", "#!/bin/sh\necho \"Perform Syncing File\"\nexit 0\n"),
        (
            "servicenode",
            "#!/bin/sh\n[ -e /etc/xCATSN ] || { echo \"xCATsn is not installed\"; exit 1; }\nexit 0\n",
        ),
        ("otherpkgs", "#!/bin/sh\nexit 0\n"),
        ("ospkgs", "#!/bin/sh\nexit 0\n"),
        ("setuppostbootscripts", "#!/bin/sh\nexit 0\n"),
        ("syscloneimgupdate", "#!/bin/sh\nexit 0\n"),
        ("xcatlib.sh", "#!/bin/sh\n"),
        ("xcatdsklspost", "#!/bin/sh\nexit 0\n"),
    ] {
        write(root, &format!("/install/postscripts/{name}"), 0o755, body)?;
    }
    Ok(())
}

/// Writes a file unless it exists.
fn write(root: &Path, inside: &str, mode: u32, text: &str) -> io::Result<()> {
    let path = below(root, Path::new(inside));
    if path.exists() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
