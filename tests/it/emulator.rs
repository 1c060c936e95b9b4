//! The service-node procedure by hand on both emulated sites, and what each fault does to it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use xplay::rehearsal::xcat::{
    self, Caller, NodeAccess, NodeOutput, NodeUnreachable, Pace, PowerAction, PowerError, PowerState, Site,
    SystemClock, World, run,
};

#[derive(Default)]
struct Machines(Mutex<BTreeMap<String, PowerState>>);

impl NodeAccess for Machines {
    fn run(&self, _: &str, _: &str, _: &[u8]) -> Result<NodeOutput, NodeUnreachable> {
        Err(NodeUnreachable("No route to host".into()))
    }

    fn power(&self, node: &str, action: PowerAction) -> Result<PowerState, PowerError> {
        let state = if action == PowerAction::Off { PowerState::Off } else { PowerState::On };
        self.0.lock().unwrap().insert(node.into(), state);
        Ok(state)
    }

    fn power_state(&self, node: &str) -> Result<PowerState, PowerError> {
        Ok(self.0.lock().unwrap().get(node).copied().unwrap_or(PowerState::Off))
    }
}

struct Cluster {
    dir: tempfile::TempDir,
    world: World,
    site: Site,
}

impl Cluster {
    fn new(site: Site) -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("mn");
        fs::create_dir_all(&root).unwrap();
        xcat::seed(&root, site).unwrap();
        let (os, arch) = site.os_arch();
        xcat::write_iso(&root.join("iso/dvd.iso"), os, arch, Some(1)).unwrap();
        xcat::write_xcat_tarballs(&root.join("iso"), site.xcat_version()).unwrap();
        let world = World {
            root,
            nodes: Box::new(Machines::default()),
            clock: Box::new(SystemClock),
            pace: Pace::Off,
            caller: Caller::root(),
            bypass: false,
        };
        Cluster { dir, world, site }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.world.root.join(inside.trim_start_matches('/'))
    }

    fn run(&self, line: &str) -> (i32, String, String) {
        let words: Vec<String> = line.split(' ').map(str::to_string).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let rc = run(&self.world, &words[0], &words[1..], &mut std::io::empty(), &mut out, &mut err);
        (rc, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn must(&self, line: &str) -> String {
        let (rc, out, err) = self.run(line);
        assert_eq!((rc, err.as_str()), (0, ""), "{line}: {out}");
        out
    }

    fn fault(&self, name: &str) {
        fs::write(self.path("/etc/xcat/rehearsal/faults"), name).unwrap();
    }

    /// Everything up to a generated and packed image `sn-image`.
    fn prepare(&self) {
        let (os, arch) = self.site.os_arch();
        self.must(&format!("copycds -n {os} -a {arch} /iso/dvd.iso"));
        let stock = format!("{os}-{arch}-netboot-service");
        if self.site == Site::El9 {
            self.must(&format!(
                "mkdef -t osimage -o {stock} --template {os}-{arch}-netboot-compute profile=service provmethod=netboot \
                 postscripts=servicenode"
            ));
        }
        let dir = "/install/custom/service";
        let (major, dep) = if self.site == Site::Seed { ("rhels6", "rh6") } else { ("rhels9", "rh9") };
        for part in ["pkglist", "exlist", "otherpkgs.pkglist", "postinstall"] {
            let from = self.path(&format!("/opt/xcat/share/xcat/netboot/rh/service.{major}.{arch}.{part}"));
            fs::create_dir_all(self.path(dir)).unwrap();
            fs::copy(from, self.path(&format!("{dir}/service.{part}"))).unwrap();
        }
        let list = self.path(&format!("{dir}/service.pkglist"));
        let text = fs::read_to_string(&list).unwrap();
        fs::write(list, format!("{text}tmux\n")).unwrap();
        self.must(&format!(
            "mkdef -t osimage -o sn-image --template {stock} rootimgdir=/install/netboot/sn-image \
             pkglist={dir}/service.pkglist exlist={dir}/service.exlist otherpkglist={dir}/service.otherpkgs.pkglist \
             postinstall={dir}/service.postinstall"
        ));
        let others = self.path(&format!("/install/post/otherpkgs/{os}/{arch}/xcat"));
        fs::create_dir_all(&others).unwrap();
        for part in ["core", "dep"] {
            let file = format!("/iso/xcat-{part}-{}-linux.tar.gz", self.site.xcat_version());
            xcat::unpack(&self.path(&file), &others).unwrap();
        }
        assert!(others.join(format!("xcat-dep/{dep}/{arch}/repodata/repomd.xml")).is_file());
    }

    fn image(&self, inside: &str) -> PathBuf {
        self.path(&format!("/install/netboot/sn-image/rootimg{inside}"))
    }

    fn sh(&self, script: &str, args: &[&str]) -> (i32, String) {
        let output = Command::new("sh").args(["-c", script, "shim"]).args(args).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }
}

#[test]
fn a_service_image_is_built_packed_and_booted_on_both_sites() {
    for site in [Site::El9, Site::Seed] {
        let cluster = Cluster::new(site);
        cluster.prepare();
        let out = cluster.must("genimage sn-image");
        assert!(out.ends_with("/initrd-statelite.gz\n"), "{out}");
        let tree = cluster.image("");
        let root = tree.display().to_string();
        for name in ["xCATsn", "tmux", "kernel", "httpd"] {
            let (rc, out) = cluster.sh(xcat::RPM_SHIM, &["--root", &root, "-q", name]);
            assert_eq!(rc, 0, "{site:?} {name}: {out}");
        }
        assert_eq!(cluster.sh(xcat::RPM_SHIM, &["--root", &root, "-q", "nosuch"]).0, 1);
        assert!(fs::read_to_string(cluster.image("/etc/fstab")).unwrap().contains("devpts"));

        // Services are off in the image, and stay off when it is generated again.
        match site {
            Site::El9 => {
                let systemctl = |verb: &str| {
                    cluster.sh(xcat::SYSTEMCTL_SHIM, &[&format!("--root={root}"), verb, "dhcpd"])
                };
                assert_eq!(systemctl("is-enabled"), (0, "enabled\n".into()));
                assert_eq!(systemctl("disable").0, 0);
                assert_eq!(systemctl("is-enabled"), (1, "disabled\n".into()));
                cluster.must("genimage sn-image");
                assert_eq!(systemctl("is-enabled"), (1, "disabled\n".into()));
            }
            Site::Seed => {
                let link = cluster.image("/etc/rc.d/rc3.d/S65dhcpd");
                assert!(fs::symlink_metadata(&link).is_ok());
                fs::remove_file(&link).unwrap();
                cluster.must("genimage sn-image");
                assert!(fs::symlink_metadata(&link).is_err());
            }
        }

        cluster.must("packimage sn-image");
        let packed = if site == Site::Seed { "rootimg.gz" } else { "rootimg.cpio.gz" };
        let packed = cluster.path(&format!("/install/netboot/sn-image/{packed}"));
        assert_eq!(fs::metadata(&packed).unwrap().permissions().mode() & 0o777, 0o644);
        let (os, arch) = site.os_arch();
        let out = cluster.must("nodeset service osimage=sn-image");
        assert!(out.starts_with(&format!("sn1: netboot {os}-{arch}-service\nsn2: netboot ")), "{out}");
        let target = xcat::boot_target(&cluster.world.root, "sn1").unwrap().unwrap();
        assert_eq!((target.image.as_str(), &target.archive), ("sn-image", &packed));
        assert!(target.kernel.is_file());
        assert!(target.kcmdline.contains("XCAT=10.20.0.1:3001 NODE=sn1"), "{}", target.kcmdline);
        let boot = if site == Site::Seed { "rnetboot service" } else { "rinstall service osimage=sn-image" };
        cluster.must(boot);
        assert!(cluster.must("lsdef sn1 -i status").contains("status=powering-on"));

        let node = cluster.dir.path().join("sn1");
        xcat::unpack(&target.archive, &node).unwrap();
        let info = fs::read_to_string(node.join("opt/xcat/xcatinfo")).unwrap();
        assert!(info.starts_with("IMAGENAME='sn-image'\nIMAGEUUID='"), "{info}");
        assert!(!node.join("boot").exists(), "the exclusion list was applied");
        let started = xcat::start_services(&node).unwrap();
        let name = |name: &str| if site == Site::Seed { name.to_string() } else { format!("{name}.service") };
        assert!(started.contains(&name("xcatd")) && !started.contains(&name("dhcpd")), "{started:?}");
        assert!(xcat::report_status(&cluster.world.root, "sn1", "booted").unwrap());
        assert_eq!(cluster.must("nodels sn1 nodelist.status"), "sn1: booted\n");
        let files = xcat::node_files(&cluster.world.root, "sn1").unwrap();
        assert!(files.iter().any(|file| file.path == "/etc/xcat/tables/site.csv"));
    }
}

/// Copies a few programs of this machine with their libraries, as a rehearsal's userland.
fn make_userland(to: &Path) {
    for program in ["sh", "sed", "ls", "ln", "rm", "mkdir", "cat", "readlink", "tr"] {
        let found = Command::new("sh")
            .args(["-c", &format!("readlink -f $(command -v {program})")])
            .output()
            .unwrap();
        let real = String::from_utf8(found.stdout).unwrap().trim().to_string();
        fs::create_dir_all(to.join("bin")).unwrap();
        fs::copy(&real, to.join("bin").join(program)).unwrap();
        let libraries = Command::new("ldd").arg(&real).output().unwrap();
        for word in
            String::from_utf8(libraries.stdout).unwrap().split_whitespace().filter(|w| w.starts_with('/'))
        {
            let target = to.join(word.trim_start_matches('/'));
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(word, target).unwrap();
        }
    }
}

#[test]
fn the_image_can_be_entered_and_its_services_switched_off() {
    let may_chroot =
        Command::new("chroot").args(["/", "true"]).output().is_ok_and(|output| output.status.success());
    if !may_chroot {
        println!("skipped: this user may not chroot");
        return;
    }
    for (site, off, show) in [
        (Site::Seed, "chkconfig dhcpd off", "chkconfig --list dhcpd"),
        (Site::El9, "systemctl disable dhcpd", "systemctl is-enabled dhcpd"),
    ] {
        let cluster = Cluster::new(site);
        make_userland(&cluster.path(xcat::USERLAND));
        cluster.prepare();
        cluster.must("genimage sn-image");
        let enter = |line: &str| {
            let output = Command::new("chroot")
                .arg(cluster.image(""))
                .args(["sh", "-c", line])
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .output()
                .unwrap();
            (output.status.code().unwrap(), [output.stdout, output.stderr].concat())
        };
        let text = |(rc, out): (i32, Vec<u8>)| (rc, String::from_utf8(out).unwrap());
        let (on, gone) = match site {
            Site::Seed => {
                let line = |state| {
                    format!("dhcpd\t0:off\t1:off\t2:{state}\t3:{state}\t4:{state}\t5:{state}\t6:off\n")
                };
                ((0, line("on")), (0, line("off")))
            }
            Site::El9 => ((0, "enabled\n".to_string()), (1, "disabled\n".to_string())),
        };
        assert_eq!(text(enter(show)), on);
        let said = match site {
            Site::Seed => "",
            Site::El9 => "Removed \"/etc/systemd/system/multi-user.target.wants/dhcpd.service\".\n",
        };
        assert_eq!(text(enter(off)), (0, said.to_string()));
        assert_eq!(text(enter(show)), gone);
        let absent = match site {
            Site::Seed => (1, "error reading information on service nosuch: No such file or directory\n"),
            Site::El9 => (0, "Failed to disable unit, unit nosuch.service does not exist.\n"),
        };
        assert_eq!(text(enter(&off.replace("dhcpd", "nosuch"))), (absent.0, absent.1.to_string()));
    }
}

#[test]
fn faults_do_what_they_say() {
    let cluster = Cluster::new(Site::El9);
    cluster.prepare();
    let files = |name: &str| cluster.path(&format!("/install/netboot/sn-image/{name}")).exists();

    cluster.fault("genimage-fails-late\n");
    let (rc, out, err) = cluster.run("genimage sn-image");
    assert_eq!(rc, 1);
    assert!(out.ends_with("the initial ramdisk for stateless could not be generated\n"), "{out}");
    assert!(err.ends_with("\nError: [mn1]: genimage command failed with rc 1.\n") && !files("kernel"));
    cluster.fault("disk-full\n");
    assert_eq!(cluster.run("genimage sn-image").0, 1);
    cluster.fault("");
    cluster.must("genimage sn-image");

    cluster.fault("packimage-rc0-nothing-done\n");
    cluster.must("packimage sn-image");
    assert!(!files("rootimg.cpio.gz"));
    cluster.fault("packimage-truncated\n");
    cluster.must("packimage sn-image");
    let packed = cluster.path("/install/netboot/sn-image/rootimg.cpio.gz");
    assert!(xcat::unpack(&packed, &cluster.dir.path().join("t")).is_err());
    cluster.fault("disk-full\n");
    assert_eq!(cluster.run("packimage sn-image").0, 1);
    cluster.fault("");
    cluster.must("packimage sn-image");
    xcat::unpack(&packed, &cluster.dir.path().join("u")).unwrap();

    cluster.fault("nodeset-one-bad-node\n");
    let (rc, out, err) = cluster.run("nodeset service osimage=sn-image");
    assert_eq!(rc, 1);
    assert!(
        out.starts_with("sn1: netboot rhels9.4-x86_64-service\n")
            && err.starts_with("sn2: [mn1]: Error: No MAC")
    );
    cluster.fault("xcatd-down\n");
    assert_eq!(cluster.run("lsdef -t osimage").0, 111);
}

#[test]
fn every_command_answers_without_words() {
    let cluster = Cluster::new(Site::Seed);
    for (name, dir) in xcat::COMMANDS {
        assert!(Path::new(dir).is_absolute());
        let (rc, out, err) = cluster.run(name);
        assert!(rc <= 1, "{name}: {rc} {out} {err}");
        assert!(!err.contains("failed:"), "{name}: {err}");
    }
}

#[test]
fn seeding_again_keeps_the_tables() {
    let cluster = Cluster::new(Site::El9);
    cluster.must("chdef -t node -o sn1 usercomment=kept");
    xcat::seed(&cluster.world.root, Site::El9).unwrap();
    assert!(cluster.must("lsdef sn1 -i usercomment").contains("usercomment=kept"));
}
