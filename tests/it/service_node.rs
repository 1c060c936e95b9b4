//! The whole job: the service-node procedure rehearsed, as a user would run it, through the binary.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::skip;

/// Steps that must not run again when nothing changed.
const EXPENSIVE: [&str; 5] = ["xcat_copycds", "xcat_genimage", "xcat_packimage", "xcat_nodeset", "xcat_boot"];

/// How the rehearsal's hosts are entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Namespaces,
    Chroot,
    /// As an ordinary user, in user namespaces.
    Unprivileged,
}

/// What one run of the binary gave.
struct Ran {
    code: i32,
    events: Vec<Value>,
    stderr: String,
}

struct Rehearsal {
    dir: tempfile::TempDir,
    site: &'static str,
    mode: Mode,
}

impl Rehearsal {
    fn new(site: &'static str, mode: Mode) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if mode == Mode::Unprivileged {
            let chown = Command::new("chown").arg("65534:65534").arg(dir.path()).status().unwrap();
            assert!(chown.success());
        }
        Rehearsal { dir, site, mode }
    }

    fn keep(&self) -> PathBuf {
        self.dir.path().join("cluster")
    }

    fn command(&self, args: &[&str]) -> Command {
        let binary = env!("CARGO_BIN_EXE_xplay");
        let mut command = match self.mode {
            Mode::Unprivileged => {
                let mut c = Command::new("setpriv");
                c.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", binary]);
                c
            }
            _ => Command::new(binary),
        };
        command.arg("rehearse").args(args).args(["--site", self.site, "--keep"]).arg(self.keep());
        if self.mode == Mode::Chroot {
            command.args(["--root-mode", "chroot"]);
        }
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("TMPDIR", self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        let report = self.dir.path().join("report.html");
        let output = self.command(args).arg("--json").arg("--report").arg(&report).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let events =
            stdout.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect();
        Ran {
            code: output.status.code().unwrap_or(-1),
            events,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a script on a host of the kept cluster, over SSH.
    fn shell(&self, host: &str, script: &str) -> String {
        let mut child = self
            .command(&["--shell", host])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(format!("{script}\nexit 0\n").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Ran {
    fn results(&self) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(|e| e["event"] == "result")
    }

    fn recap(&self) -> BTreeMap<String, Value> {
        let end = self
            .events
            .iter()
            .find(|e| e["event"] == "run_ended")
            .unwrap_or_else(|| panic!("{}", self.stderr));
        end["hosts"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Modules that changed something, in order.
    fn changed(&self) -> Vec<String> {
        let module_of: BTreeMap<&str, &str> = self
            .events
            .iter()
            .filter(|e| e["event"] == "task_started")
            .map(|e| (e["task"]["id"].as_str().unwrap(), e["task"]["module"].as_str().unwrap()))
            .collect();
        self.results()
            .filter(|r| r["status"] == "changed")
            .map(|r| module_of.get(r["task"].as_str().unwrap()).copied().unwrap_or("?").to_string())
            .collect()
    }

    fn failures(&self) -> Vec<String> {
        self.results()
            .filter(|r| matches!(r["status"].as_str(), Some("failed" | "unreachable" | "lost")))
            .map(|r| {
                format!(
                    "{}: {}",
                    r["name"].as_str().unwrap_or_default(),
                    r["result"]["msg"].as_str().unwrap_or_default()
                )
            })
            .collect()
    }

    #[track_caller]
    fn assert_success(&self) {
        assert_eq!(self.code, 0, "failures: {:#?}\nstderr: {}", self.failures(), self.stderr);
    }
}

/// Tells whether this machine can enter roots that way, and prints why not.
fn can(mode: Mode) -> bool {
    let root = rustix::process::geteuid().is_root();
    match mode {
        Mode::Chroot if !root => skip("service_node", "chroot rehearsal needs root"),
        Mode::Unprivileged if !root => {
            skip("service_node", "only root can become another user for this test")
        }
        Mode::Unprivileged if Command::new("setpriv").arg("--version").output().is_err() => {
            skip("service_node", "setpriv is missing")
        }
        Mode::Unprivileged if !unprivileged_namespaces() => {
            skip("service_node", "this kernel lets ordinary users make no namespaces")
        }
        Mode::Namespaces if root && !namespaces(&["unshare", "-mpf", "true"]) => {
            skip("service_node", "namespaces are forbidden here")
        }
        _ => return true,
    }
    false
}

fn namespaces(argv: &[&str]) -> bool {
    Command::new(argv[0]).args(&argv[1..]).status().is_ok_and(|s| s.success())
}

fn unprivileged_namespaces() -> bool {
    namespaces(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Urmpf", "true"])
}

const PLAYBOOK: &str = "playbooks/service-node.yml";

fn first_and_second_run(site: &'static str, mode: Mode) {
    if !can(mode) {
        return;
    }
    let rehearsal = Rehearsal::new(site, mode);
    let first = rehearsal.run(&[PLAYBOOK]);
    first.assert_success();
    let changed = first.changed();
    for module in EXPENSIVE {
        assert!(changed.iter().any(|m| m == module), "{module} did not change anything: {changed:?}");
    }
    assert!(rehearsal.dir.path().join("report.html").exists());
    look_at_booted_node(&rehearsal);

    let second = rehearsal.run(&[PLAYBOOK]);
    second.assert_success();
    for (host, counts) in second.recap() {
        assert_eq!(counts["changed"], 0, "{host}: {:?}", second.changed());
    }
}

/// What the playbook put into the image is there on the node that booted it.
fn look_at_booted_node(rehearsal: &Rehearsal) {
    let seen = rehearsal.shell(
        "sn1",
        "grep '^/install' /etc/exports; cat /opt/xcat/xcatinfo; rpm -q strace; \
         ls /etc/systemd/system/multi-user.target.wants /etc/rc.d/rc3.d 2>/dev/null; echo end",
    );
    assert!(seen.contains("/install"), "{seen}");
    assert!(seen.contains("IMAGEUUID="), "{seen}");
    assert!(seen.contains("strace-"), "the additional package is missing: {seen}");
    assert!(
        !seen.contains("dhcpd.service") && !seen.lines().any(|l| l.starts_with('S') && l.ends_with("dhcpd")),
        "{seen}"
    );
    let packed = rehearsal.shell("mn1", "cat /install/netboot/*/*/*/rootimg/opt/xcat/xcatinfo");
    let uuid = seen.lines().find(|l| l.starts_with("IMAGEUUID=")).unwrap();
    assert!(packed.contains(uuid), "the node runs {uuid}, packed is {packed}");
}

#[test]
fn el9_in_namespaces() {
    first_and_second_run("el9", Mode::Namespaces);
}

#[test]
fn seed_in_namespaces() {
    first_and_second_run("seed", Mode::Namespaces);
}

#[test]
fn el9_in_chroot() {
    first_and_second_run("el9", Mode::Chroot);
}

#[test]
fn seed_in_chroot() {
    first_and_second_run("seed", Mode::Chroot);
}

#[test]
fn el9_as_ordinary_user() {
    first_and_second_run("el9", Mode::Unprivileged);
}

#[test]
fn seed_as_ordinary_user() {
    first_and_second_run("seed", Mode::Unprivileged);
}

/// A digest of everything on the cluster's disks that a playbook could change.
fn digest(keep: &Path) -> String {
    let script = "find . \\( -name run -o -name '*.sock' -o -name '*.pid' -o -name '*.lock' \\) -prune -o -type f -print0 \
         | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum; find . -type d -name run -prune -o \\( -type d -o -type l \\) -print | LC_ALL=C sort | sha256sum";
    let output = Command::new("sh").args(["-c", script]).current_dir(keep).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn check_mode_changes_nothing_and_predicts() {
    if !can(Mode::Namespaces) {
        return;
    }
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    // Starting the cluster once lays out its disks; ports and process ids beside them change with every start.
    rehearsal.shell("mn1", "true");
    let disks = rehearsal.keep().join("hosts");
    let before = digest(&disks);
    let check = rehearsal.run(&[PLAYBOOK, "--check", "--diff"]);
    check.assert_success();
    assert_eq!(digest(&disks), before, "check mode wrote something");
    let predicted = check.changed();
    for module in EXPENSIVE {
        assert!(predicted.iter().any(|m| m == module), "{module} is not predicted: {predicted:?}");
    }
    let real = rehearsal.run(&[PLAYBOOK]);
    real.assert_success();
    let happened = real.changed();
    let missed: Vec<_> = happened.iter().filter(|m| !predicted.contains(m)).collect();
    assert!(missed.is_empty(), "not predicted: {missed:?}");
}

/// Injects a fault: the run fails and says where and why; without it a further run completes.
fn fault(name: &str, step: &str, words: &[&str]) {
    if !can(Mode::Namespaces) {
        return;
    }
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    let broken = rehearsal.run(&[PLAYBOOK, "--fault", name]);
    assert_ne!(broken.code, 0, "{name} went unnoticed");
    let failures = broken.failures();
    let text = failures.join("\n");
    assert!(failures.iter().any(|f| f.contains(step)), "{name}: step {step} is not named: {text}");
    for word in words {
        assert!(text.contains(word), "{name}: \"{word}\" is not named: {text}");
    }
    let repaired = rehearsal.run(&[PLAYBOOK]);
    repaired.assert_success();
    let again = rehearsal.run(&[PLAYBOOK]);
    again.assert_success();
    assert!(again.changed().is_empty(), "{name}: {:?}", again.changed());
}

#[test]
fn fault_packimage_truncated() {
    fault("packimage-truncated", "ack", &["rootimg"]);
}

#[test]
fn fault_packimage_does_nothing() {
    fault("packimage-rc0-nothing-done", "ack", &["rootimg"]);
}

#[test]
fn fault_genimage_fails_late() {
    fault("genimage-fails-late", "enimage", &[]);
}

#[test]
fn fault_nodeset_one_bad_node() {
    fault("nodeset-one-bad-node", "odeset", &["sn2"]);
}

#[test]
fn fault_node_never_boots() {
    fault("node-never-boots", "oot", &["sn2"]);
}

#[test]
fn fault_node_boots_old_image() {
    fault("node-boots-old-image", "oot", &["sn2"]);
}

#[test]
fn fault_xcatd_down() {
    fault("xcatd-down", "", &["not ready"]);
}

#[test]
fn fault_disk_full() {
    fault("disk-full", "", &[]);
}

/// A cut connection is no failure: the command goes on on its host and is found again.
#[test]
fn connection_cut_during_genimage() {
    if !can(Mode::Namespaces) {
        return;
    }
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    let cut = rehearsal.run(&[PLAYBOOK, "--fault", "connection-cut-during-genimage"]);
    cut.assert_success();
    assert!(
        cut.events
            .iter()
            .any(|e| e["event"] == "warning" && e["text"].as_str().is_some_and(|t| t.contains("lost"))),
        "the connection was not cut"
    );
}
