//! The laboratory where the recordings were made, as far as the emulator sees it: tables, media, nodes, BMCs.

use super::{Entry, OTHER_PROGRAMS};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use xplay::rehearsal::xcat::{
    self, BootDevice, COMMANDS, Caller, IsoSpec, NodeAccess, NodeOutput, NodeUnreachable, Pace, PowerAction,
    PowerError, PowerState, PutFile, Site, SystemClock, World, run,
};

/// Shell scripts of the recordings that are run here too, with the laboratory's directories put in place of "/".
const REPLAYED_SCRIPTS: &[(&str, &[usize])] = &[
    ("exlist", &[0]),
    ("genimage", &[21]),
    ("nodeset", &[14, 27]),
    ("packimage", &[9]),
    ("xdsh_xdcp", &[23]),
];

const MASTER: &str = "10.20.0.1";
const SERVICE_LISTS: &str = "/install/custom/netboot/rhels9.4/service";

pub struct Lab {
    file: String,
    dir: tempfile::TempDir,
    world: World,
    hardware: Arc<Mutex<Hardware>>,
    held_lock: Option<fs::File>,
}

/// Is the state of the machines that xCAT manages.
#[derive(Default)]
struct Hardware {
    /// Nodes that answer on port 22, and why the others do not.
    unreachable: BTreeMap<String, String>,
    default_unreachable: Option<String>,
    power: BTreeMap<String, PowerState>,
    boot_device_error: bool,
}

struct LabNodes {
    hardware: Arc<Mutex<Hardware>>,
    dir: PathBuf,
}

impl LabNodes {
    fn refused(&self, node: &str) -> Option<NodeUnreachable> {
        let hardware = self.hardware.lock().unwrap();
        hardware
            .unreachable
            .get(node)
            .or(hardware.default_unreachable.as_ref().filter(|_| node.starts_with('x')))
            .map(|reason| NodeUnreachable(reason.clone()))
    }

    fn controller_error(node: &str) -> PowerError {
        if node == "obmc1" {
            return PowerError(vec![
                "[500] Login to BMC failed: 500 Can't connect to 10.20.0.211:443 (No route to host).".into(),
                "BMC did not respond. Validate BMC configuration and retry the command.".into(),
            ]);
        }
        PowerError(vec!["ERROR: timeout".into()])
    }

    /// Returns the node's own directory for a path that a script may name.
    fn place(&self, node: &str) -> PathBuf {
        self.dir.join(node)
    }
}

impl NodeAccess for LabNodes {
    fn run(&self, node: &str, script: &str, stdin: &[u8]) -> Result<NodeOutput, NodeUnreachable> {
        if let Some(refused) = self.refused(node) {
            return Err(refused);
        }
        let place = self.place(node);
        fs::create_dir_all(place.join("tmp")).unwrap();
        let bin = place.join("bin");
        fs::create_dir_all(&bin).unwrap();
        let hostname = bin.join("hostname");
        fs::write(&hostname, format!("#!/bin/sh\necho {node}\n")).unwrap();
        fs::set_permissions(&hostname, fs::Permissions::from_mode(0o755)).unwrap();
        let mut script = script.to_string();
        for dir in ["/tmp", "/opt/xcat", "/run/xplay-rehearsal", "/var/lock/subsys", "/nosuchdir"] {
            script = script.replace(dir, &format!("{}{dir}", place.display()));
        }
        let input = self.dir.join(format!("{node}.input"));
        fs::write(&input, stdin).unwrap();
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()))
            .stdin(fs::File::open(&input).unwrap())
            .output()
            .unwrap();
        let clean = |bytes: Vec<u8>| {
            String::from_utf8_lossy(&bytes).replace(&place.display().to_string(), "").into_bytes()
        };
        Ok(NodeOutput {
            rc: output.status.code().unwrap_or(255),
            stdout: clean(output.stdout),
            stderr: clean(output.stderr),
        })
    }

    fn put(&self, node: &str, file: &PutFile) -> Result<NodeOutput, NodeUnreachable> {
        if let Some(refused) = self.refused(node) {
            return Err(refused);
        }
        let target = self.place(node).join(file.path.trim_start_matches('/'));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, &file.content).unwrap();
        Ok(NodeOutput::default())
    }

    fn power(&self, node: &str, action: PowerAction) -> Result<PowerState, PowerError> {
        self.power_state(node)?;
        let state = if action == PowerAction::Off { PowerState::Off } else { PowerState::On };
        self.hardware.lock().unwrap().power.insert(node.into(), state);
        Ok(state)
    }

    fn power_state(&self, node: &str) -> Result<PowerState, PowerError> {
        self.hardware.lock().unwrap().power.get(node).copied().ok_or_else(|| Self::controller_error(node))
    }

    /// The laboratory's simulated BMC first refused and later never reported a device.
    fn set_boot_device(&self, node: &str, _: BootDevice) -> Result<String, PowerError> {
        self.power_state(node)?;
        if self.hardware.lock().unwrap().boot_device_error {
            return Err(PowerError(vec!["Invalid data field in Request".into()]));
        }
        Ok("boot override inactive".into())
    }
}

impl Lab {
    /// Prepares the state in which the recordings of a file begin.
    pub fn new(file: &str) -> Lab {
        let dir = tempfile::tempdir().unwrap();
        let hardware = Arc::new(Mutex::new(Hardware::default()));
        let nodes = LabNodes { hardware: Arc::clone(&hardware), dir: dir.path().join("nodes") };
        fs::create_dir_all(&nodes.dir).unwrap();
        let world = World {
            root: dir.path().join("mn"),
            nodes: Box::new(nodes),
            clock: Box::new(SystemClock),
            pace: Pace::Off,
            caller: Caller::root(),
            bypass: false,
        };
        let mut lab = Lab { file: file.into(), dir, world, hardware, held_lock: None };
        lab.base();
        match file {
            "lsdef_empty_db" | "lsdef_nodes_groups" => {}
            "copycds" => lab.media(),
            "lsdef_osimage" | "mkdef_chdef_rmdef" | "setup" => lab.distributions(),
            "genimage" => {
                lab.distributions();
                lab.my_service();
            }
            _ => {
                lab.distributions();
                lab.my_service();
                lab.nodes();
                match file {
                    "exlist" | "packimage" | "update_later" | "locks_interrupts" => lab.build(),
                    _ => lab.built_stand_in(),
                }
                lab.state_of(file);
            }
        }
        lab
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.world.root.join(inside.trim_start_matches('/'))
    }

    fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs a preparing command, which must succeed.
    fn must(&self, line: &str) {
        let words: Vec<String> = line.split(' ').map(str::to_string).collect();
        let (rc, out, err) = self.command(&words[0], &words[1..], "");
        assert_eq!(rc, 0, "{line}: {out}{err}");
    }

    fn command(&self, name: &str, args: &[String], stdin: &str) -> (i32, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let rc = run(&self.world, name, args, &mut stdin.as_bytes(), &mut out, &mut err);
        (rc, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    /// The management node right after xCAT was installed.
    fn base(&self) {
        self.write("/etc/hostname", "mn\n");
        self.write("/etc/debian_version", "12\n");
        let hosts = [
            (MASTER, "mn"),
            ("10.20.0.11", "sn1"),
            ("10.20.0.12", "sn2"),
            ("10.20.0.21", "cn1"),
            ("10.20.0.99", "dead1"),
        ];
        let lines: String =
            hosts.iter().map(|(ip, name)| format!("{ip} {name}.cluster.test {name}\n")).collect();
        self.write("/etc/hosts", &format!("127.0.0.1 localhost\n{lines}"));
        xcat::seed(&self.world.root, Site::El9).unwrap();
        let tables = self.path("/etc/xcat/tables");
        fs::remove_dir_all(&tables).unwrap();
        self.write("/etc/hosts", &format!("127.0.0.1 localhost\n{lines}"));
        self.write("/etc/hostname", "mn\n");
        self.write(
            "/etc/xcat/rehearsal/version",
            "Version 2.19.0 (git commit 7733d16f8de0fc36b80638c04a7033931fa13304)\n",
        );
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/xcat/lab");
        for entry in fs::read_dir(own).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            fs::create_dir_all(&tables).unwrap();
            fs::copy(entry.path(), tables.join(name)).unwrap();
        }
    }

    /// Media are made once and shared by all laboratories.
    fn media(&self) {
        static MEDIA: OnceLock<tempfile::TempDir> = OnceLock::new();
        let made = MEDIA.get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            let iso = dir.path();
            xcat::write_iso(&iso.join("rhel-9.4-x86_64-dvd.iso"), "rhels9.4", "x86_64", None).unwrap();
            xcat::write_iso(&iso.join("RHEL6.3-Server-ppc64-dvd1.iso"), "rhels6.3", "ppc64", Some(1))
                .unwrap();
            let bogus = IsoSpec { os: "rhels9.4".into(), arch: "x86_64".into(), disc: None, discinfo: false };
            xcat::write_iso_with(&iso.join("bogus.iso"), &bogus).unwrap();
            fs::write(iso.join("garbage.iso"), [42u8; 4096]).unwrap();
            xcat::write_xcat_tarballs(iso, "2.17.0").unwrap();
            xcat::write_xcat_tarballs(iso, "2.17.1").unwrap();
            dir
        });
        let iso = self.path("/iso");
        fs::create_dir_all(&iso).unwrap();
        for entry in fs::read_dir(made.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), iso.join(entry.file_name())).unwrap();
        }
    }

    fn distributions(&self) {
        self.media();
        self.must("copycds -n rhels9.4 -a x86_64 /iso/rhel-9.4-x86_64-dvd.iso");
        self.must("copycds /iso/RHEL6.3-Server-ppc64-dvd1.iso");
    }

    fn my_service(&self) {
        self.must(&format!(
            "mkdef -t osimage -o myservice imagetype=linux osarch=x86_64 osdistroname=rhels9.4-x86_64 osname=Linux \
             osvers=rhels9.4 otherpkgdir=/install/post/otherpkgs/rhels9.4/x86_64 pkgdir=/install/rhels9.4/x86_64 \
             profile=service provmethod=netboot rootimgdir=/install/netboot/rhels9.4/x86_64/myservice \
             addkcmdline=R::quiet exlist={SERVICE_LISTS}/service.exlist \
             otherpkglist={SERVICE_LISTS}/service.otherpkgs.pkglist pkglist={SERVICE_LISTS}/service.pkglist \
             postinstall={SERVICE_LISTS}/service.postinstall"
        ));
    }

    fn netboot_service(&self) {
        self.must(
            "mkdef -t osimage -o rhels9.4-x86_64-netboot-service --template rhels9.4-x86_64-netboot-compute \
             profile=service provmethod=netboot postscripts=servicenode",
        );
    }

    fn nodes(&self) {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/xcat/transcripts/lsdef_nodes_groups.json");
        let entries: Vec<Entry> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        for entry in entries.iter().filter(|entry| matches!(entry.argv[0].as_str(), "mkdef" | "chdef")) {
            self.command(&entry.argv[0], &entry.argv[1..], "");
        }
    }

    fn lists(&self) {
        for part in ["pkglist", "exlist", "otherpkgs.pkglist", "postinstall"] {
            let from = self.path(&format!("/opt/xcat/share/xcat/netboot/rh/service.rhels9.x86_64.{part}"));
            let to = self.path(&format!("{SERVICE_LISTS}/service.{part}"));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(from, to).unwrap();
        }
    }

    fn unpack_xcat(&self, version: &str) {
        let target = self.path("/install/post/otherpkgs/rhels9.4/x86_64/xcat");
        fs::create_dir_all(&target).unwrap();
        for part in ["core", "dep"] {
            let file = self.path(&format!("/iso/xcat-{part}-{version}-linux.tar.gz"));
            xcat::unpack(&file, &target).unwrap();
        }
    }

    fn build(&self) {
        self.lists();
        self.unpack_xcat("2.17.0");
        self.must("genimage myservice");
        if self.file != "packimage" {
            self.must("packimage myservice");
        }
    }

    /// The files of a built image, for recordings that only boot it.
    fn built_stand_in(&self) {
        let dir = "/install/netboot/rhels9.4/x86_64/myservice";
        for name in ["kernel", "initrd-stateless.gz", "initrd-statelite.gz", "rootimg.cpio.gz"] {
            self.write(&format!("{dir}/{name}"), "stand-in\n");
        }
        let info = "IMAGENAME='myservice'\nIMAGEUUID=''\nTIMESTAMP=''\n";
        self.write(&format!("{dir}/rootimg/opt/xcat/xcatinfo"), info);
    }

    fn set_unreachable(&self, node: &str, reason: &str) {
        self.hardware.lock().unwrap().unreachable.insert(node.into(), reason.into());
    }

    fn state_of(&mut self, file: &str) {
        const AWAY: &str = "No route to host";
        self.set_unreachable("dead1", AWAY);
        match file {
            "nodeset" => {
                self.netboot_service();
                self.set_unreachable("sn1", AWAY);
            }
            "rmimage" => self.netboot_service(),
            "makedns_makedhcp" => self.write("/etc/dhcp/dhcpd.conf", ""),
            "power_boot" | "power_boot_ipmisim" | "update_later" | "locks_interrupts" => {
                self.must("nodeset service osimage=myservice");
                self.report("ping");
            }
            "updatenode" | "status_reports" => {
                self.must("nodeset service osimage=myservice");
                self.report("booted");
                self.must("chdef dead1 provmethod=myservice");
                self.updatenode_files();
            }
            "xdsh_many_nodes" => {
                self.hardware.lock().unwrap().default_unreachable = Some("Connection refused".into());
            }
            _ => {}
        }
        if file == "power_boot_ipmisim" || file == "update_later" {
            let mut hardware = self.hardware.lock().unwrap();
            hardware.boot_device_error = file == "power_boot_ipmisim";
            for node in ["sn1", "sn2"] {
                hardware.power.insert(node.into(), PowerState::Off);
            }
        }
        self.write(
            "/install/custom/s.synclist",
            "/etc/hosts -> /tmp/synced/hosts\n/etc/xcat/conf.orig/* -> /tmp/synced/\n",
        );
        self.write("/etc/xcat/conf.orig/xcat.conf", "a\n");
        self.write("/etc/xcat/conf.orig/xcat.conf.apach24", "b\n");
        let info =
            fs::read(self.path("/install/netboot/rhels9.4/x86_64/myservice/rootimg/opt/xcat/xcatinfo"));
        if let Ok(info) = info {
            for node in ["sn1", "sn2"] {
                let dir = self.dir.path().join("nodes").join(node).join("opt/xcat");
                fs::create_dir_all(&dir).unwrap();
                let mut info = info.clone();
                if file == "update_later" {
                    for one in xcat::node_files(&self.world.root, node).unwrap() {
                        info.extend(one.content.into_iter().take_while(|_| one.path.ends_with("xcatinfo")));
                    }
                }
                fs::write(dir.join("xcatinfo"), &info).unwrap();
                let synced = self.dir.path().join("nodes").join(node).join("tmp/synced");
                if file == "updatenode" {
                    fs::create_dir_all(&synced).unwrap();
                    fs::write(synced.join("h2"), "from an earlier synclist\n").unwrap();
                }
            }
        }
    }

    fn report(&self, word: &str) {
        for node in ["sn1", "sn2"] {
            xcat::report_status(&self.world.root, node, "booted").unwrap();
            if word != "booted" {
                self.must(&format!("chdef {node} status={word}"));
            }
        }
    }

    fn updatenode_files(&self) {
        self.write(
            "/install/custom/bad.synclist",
            "/etc/nosuch1 -> /tmp/synced/\n/etc/hosts -> /tmp/synced/h2\n",
        );
        for (name, body) in [
            ("okscript", "echo hello from $(hostname)"),
            ("badscript", "echo going wrong; exit 5"),
            ("syncfiles", "echo 'Statelite does not support syncfiles, nothing to do...'"),
            ("ospkgs", "echo \"Please install yum or dnf on $(hostname).\"; exit 1"),
        ] {
            self.write(&format!("/install/postscripts/{name}"), &format!("#!/bin/sh\n{body}\n"));
        }
    }

    /// Does what happened in the laboratory between two recordings of the file.
    pub fn before(&mut self, id: usize) {
        match (self.file.as_str(), id) {
            ("copycds", 27) => {
                self.my_service();
                self.netboot_service();
            }
            ("lsdef_osimage", 30) => {
                self.my_service();
                self.must(
                    "chdef -t osimage -o myservice permission=755 synclists=/install/custom/s.synclist",
                );
                let words =
                    ["-t", "osimage", "-o", "myservice", "addkcmdline=console=ttyS0 crashkernel=auto"];
                self.command("chdef", &words.map(str::to_string), "");
                self.must(
                    "chdef -t osimage -o rhels9.4-x86_64-netboot-compute addkcmdline=console=ttyS1 permission=700",
                );
            }
            ("mkdef_chdef_rmdef", 56) => self.must("rmdef -t osimage -o rhels9.4-x86_64-netboot-service"),
            ("genimage", 4) => self.lists(),
            ("genimage", 13) => self.unpack_xcat("2.17.0"),
            ("rmimage", 4) => {
                fs::create_dir_all(self.path("/install/netboot/rhels6.3/ppc64/compute/rootimg")).unwrap();
            }
            ("nodestat", 10) => self.write("/usr/bin/fping", ""),
            ("power_boot_ipmisim", 32) => self.hardware.lock().unwrap().boot_device_error = false,
            ("status_reports", 0..=7) => {
                let words = [
                    "netbooting",
                    "installing",
                    "booting",
                    "postbooting",
                    "booted",
                    "failed",
                    "bogusword",
                    "booted",
                ];
                xcat::report_status(&self.world.root, "sn1", words[id]).unwrap();
            }
            ("update_later", 1) => self.unpack_xcat("2.17.1"),
            ("update_later", 3) => {
                let exports = "/install/netboot/rhels9.4/x86_64/myservice/rootimg/etc/exports";
                self.write(exports, "/install *(ro,no_root_squash,sync,fsid=13)\n");
            }
            ("updatenode", 17) => self.write("/etc/xcat/rehearsal/faults", "httpd-down\n"),
            ("updatenode", 20) => fs::remove_file(self.path("/etc/xcat/rehearsal/faults")).unwrap(),
            ("xcatd_down_permissions", 28) => self.write("/home/bob/.xcat/client-cert.pem", ""),
            ("locks_interrupts", 0) => self.hold_lock(),
            // Not by closing: a program that another test starts just now may hold a copy of the descriptor.
            ("locks_interrupts", 11) => self.held_lock.take().unwrap().unlock().unwrap(),
            _ => {}
        }
    }

    /// Holds the image's lock under the very name that the real genimage gave it.
    fn hold_lock(&mut self) {
        let name = ".install.netboot.rhels9.4.x86_64.myservice.rootimg.91ee2ded4a77efe4e01ee8a99948b998";
        let path = self.path(&format!("/var/lock/xcat/{name}"));
        fs::write(&path, "43555").unwrap();
        let file = fs::File::open(path).unwrap();
        file.lock().unwrap();
        self.held_lock = Some(file);
    }

    /// Runs what was recorded; nothing when it is a program that has no part in this test.
    pub fn replay(&mut self, entry: &Entry) -> Option<(i32, String, String)> {
        let env = entry.env.clone().unwrap_or_default();
        let has = |text: &str| env.iter().any(|one| one == text);
        self.world.bypass = has("XCATBYPASS=1");
        self.world.caller = match has("USER=bob") {
            true => Caller { uid: 1000, name: "bob".into(), home: "/home/bob".into() },
            false => Caller::root(),
        };
        let program = entry.argv[0].rsplit('/').next().unwrap();
        if OTHER_PROGRAMS.contains(&program) {
            return self.replay_other(program, entry);
        }
        if !COMMANDS.iter().any(|(name, _)| *name == program)
            || has("PATH=/usr/bin:/bin") && program == entry.argv[0]
        {
            return Some((127, String::new(), format!("{program}: command not found\n")));
        }
        let args = &entry.argv[1..];
        Some(self.command(program, args, entry.stdin.as_deref().unwrap_or_default()))
    }

    fn replay_other(&self, program: &str, entry: &Entry) -> Option<(i32, String, String)> {
        let replayed =
            REPLAYED_SCRIPTS.iter().any(|(file, ids)| *file == self.file && ids.contains(&entry.id));
        let simple = match program {
            "bash" | "sh" => replayed,
            "mv" => entry.argv[1].starts_with("/install"),
            "ls" => entry.argv[1] == "-a",
            "cat" => entry.argv[1].starts_with("/tftpboot") || entry.argv[1].ends_with("xcatinfo"),
            _ => false,
        };
        if !simple {
            return None;
        }
        let root = self.world.root.display().to_string();
        let words = entry.argv[1..].iter().map(|word| below(&root, word));
        let output = Command::new(program).args(words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&root, "");
        Some((output.status.code().unwrap_or(255), text(&output.stdout), text(&output.stderr)))
    }
}

/// Puts the laboratory's directories in place of the real ones in a word of a shell command.
fn below(root: &str, word: &str) -> String {
    let mut word = word.to_string();
    for dir in ["/install", "/tftpboot", "/opt/xcat"] {
        if word.starts_with(dir) {
            return format!("{root}{word}");
        }
        word = word.replace(&format!(" {dir}"), &format!(" {root}{dir}"));
    }
    word
}
