//! Hosts whose key changes while a step of the playbook starts them anew: an sshd that comes back with another one.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::ssh_environments::{Site, executable, host_line};
use crate::support::sshd::Sshd;
use crate::support::{can_mount, with_xcat};

fn print(key: &Path) -> String {
    let output = Command::new("ssh-keygen").arg("-lf").arg(key).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
}

fn public(key: &Path) -> String {
    let text = std::fs::read_to_string(key).unwrap();
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// What came of a playbook that reboots a host which comes back with another key.
struct Rebooted {
    code: i32,
    said: String,
    known_hosts: String,
    /// The keys of before and after, in known_hosts' form, and their fingerprints.
    keys: [String; 2],
    prints: [String; 2],
}

/// A server whose host can be started anew by a script, `reboot`, after which it has another key.
struct Host {
    server: Sshd,
    keys: [String; 2],
    /// Its line in an inventory.
    line: String,
}

impl Host {
    /// `vars` are added to the host's line; `CA` and `NEW` there stand for the keys. `certified` says that the new key has a
    /// certificate of the authority.
    fn new(test: &str, vars: &str, certified: bool) -> Option<Self> {
        let server = Sshd::start_with(test, "")?;
        let keygen = |args: &[&str]| {
            assert!(Command::new("ssh-keygen").arg("-q").args(args).status().unwrap().success());
        };
        let path = |name: &str| server.path(name).display().to_string();
        keygen(&["-t", "ed25519", "-N", "", "-f", &path("new_key")]);
        keygen(&["-t", "ed25519", "-N", "", "-f", &path("ca")]);
        keygen(&["-s", &path("ca"), "-h", "-I", "sn1", "-n", "127.0.0.1", &path("new_key.pub")]);
        let config = std::fs::read_to_string(server.path("sshd_config")).unwrap();
        let mut config = config.replace(&path("host_key"), &path("new_key"));
        config = config.replace("PidFile none", &format!("PidFile {}", path("pid")));
        if certified {
            let _ = writeln!(config, "HostCertificate {}", path("new_key-cert.pub"));
        }
        std::fs::write(server.path("new_config"), config).unwrap();
        std::fs::write(server.path("boot"), "first\n").unwrap();
        let sshd = crate::support::find_program("sshd").unwrap();
        let script = format!(
            "#!/bin/sh\nkill {} || exit 1\nsleep 0.3\n{} -f {} -E {} || exit 1\necho second >{}\n",
            server.pid(),
            sshd.display(),
            path("new_config"),
            path("new_log"),
            path("boot")
        );
        executable(&server.path("reboot"), &script);
        let keys = ["host_key.pub", "new_key.pub"].map(|name| public(&server.path(name)));
        let vars = vars.replace("CA", &public(&server.path("ca.pub"))).replace("NEW", &keys[1]);
        let line = host_line(&server, "sn1").trim_end().to_string() + " " + &vars + "\n";
        Some(Host { server, keys, line })
    }

    fn rebooted(&self, output: Output) -> Rebooted {
        let said = [output.stdout, output.stderr].concat();
        Rebooted {
            code: output.status.code().unwrap(),
            said: String::from_utf8_lossy(&said).into_owned(),
            known_hosts: std::fs::read_to_string(self.server.path("known_hosts")).unwrap(),
            keys: self.keys.clone(),
            prints: ["host_key.pub", "new_key.pub"].map(|name| print(&self.server.path(name))),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Ok(pid) = std::fs::read_to_string(self.server.path("pid")) {
            let _ = Command::new("kill").arg(pid.trim()).stderr(Stdio::null()).status();
        }
    }
}

fn reboot(test: &str, vars: &str, certified: bool) -> Option<Rebooted> {
    let host = Host::new(test, vars, certified)?;
    let path = |name: &str| host.server.path(name).display().to_string();
    let tasks = format!(
        "    - command: echo before\n    - reboot: {{reboot_command: {}, boot_time_command: \"cat {}\", reboot_timeout: 60}}\n    \
         - command: echo after\n    - meta: reset_connection\n    - command: echo again\n",
        path("reboot"),
        path("boot")
    );
    let site = Site::new(&host.line, &tasks);
    Some(host.rebooted(site.command(&["-v"]).output().unwrap()))
}

/// xCAT's commands for one node whose state is in files below `@DIR@`.
const XCAT: [(&str, &str); 6] = [
    (
        "lsdef",
        r#"case $* in *osimage*) printf 'svc:\n    objtype=osimage\n    rootimgdir=@DIR@/image\n'; exit ;; esac
echo "sn1: currstate=netboot x"; echo "sn1: mgt=ipmi"; echo "sn1: provmethod=svc"
echo "sn1: status=booted"; echo "sn1: statustime=$(cat @DIR@/time)""#,
    ),
    ("nodels", ":"),
    ("nodestat", "echo 'sn1: sshd'"),
    (
        "xdsh",
        r#"echo "sn1: IMAGENAME='svc'"; echo "sn1: IMAGEUUID='$(cat @DIR@/boot)'"; echo 'sn1: Remote_command_rc = 0'"#,
    ),
    ("rsetboot", "echo 'sn1: Network'"),
    (
        "rpower",
        "@DIR@/reboot >/dev/null 2>&1 </dev/null; date '+%m-%d-%Y %H:%M:%S' >@DIR@/time; echo 'sn1: on reset'",
    ),
];

/// A node that `xcat_boot` starts anew while a connection to it is open. The run is interrupted when the node is up again,
/// and resumed, if `resumes`.
fn booted(test: &str, vars: &str, resumes: bool) -> Option<Rebooted> {
    if !can_mount(test) {
        return None;
    }
    let host = Host::new(test, vars, false)?;
    let dir = host.server.path("");
    let here = |text: &str| text.replace("@DIR@", dir.display().to_string().trim_end_matches('/'));
    let bin = dir.join("xcat");
    std::fs::create_dir_all(&bin).unwrap();
    for (name, body) in XCAT {
        executable(&bin.join(name), &here(&format!("#!/bin/sh\n{body}\n")));
    }
    std::fs::write(dir.join("time"), "01-01-2020 00:00:00\n").unwrap();
    let image = dir.join("image/rootimg/opt/xcat");
    std::fs::create_dir_all(&image).unwrap();
    std::fs::write(image.join("xcatinfo"), "IMAGENAME='svc'\nIMAGEUUID='second'\n").unwrap();
    let inventory = format!("mn1 ansible_connection=local\n{}", host.line);
    let site = Site::new(&inventory, "");
    // Begun, inputs, then step, sent and verdict of each task: the tenth write is what the third one would send.
    const AFTER_THE_BOOT: &str = "10";
    let playbook = "- hosts: sn1\n  gather_facts: false\n  tasks:\n    - command: echo before\n\
                    - hosts: mn1\n  gather_facts: false\n  tasks:\n    \
                    - xcat_boot: {nodes: sn1, image: svc, interval: 0.1, timeout: 60, console_dir: @DIR@}\n    \
                    - command: echo between\n\
                    - hosts: sn1\n  gather_facts: false\n  tasks:\n    - command: echo after\n    \
                    - meta: reset_connection\n    - command: echo again\n";
    std::fs::write(site.dir.path().join("site.yml"), here(playbook)).unwrap();
    if resumes {
        let mut first = site.command(&["-v"]);
        first.env("XPLAY_END_AT_WRITE", AFTER_THE_BOOT);
        let first = with_xcat(&bin, &first).output().unwrap();
        let said = String::from_utf8_lossy(&[first.stdout, first.stderr].concat()).into_owned();
        assert_eq!(first.status.code(), None, "{said}");
        assert_eq!(std::fs::read_to_string(dir.join("boot")).unwrap(), "second\n", "{said}");
    }
    let last = if resumes { site.xplay(&["resume", "last"]) } else { site.command(&["-v"]) };
    Some(host.rebooted(with_xcat(&bin, &last).output().unwrap()))
}

#[test]
fn a_node_that_xcat_boots_may_change_its_key_where_that_was_declared() {
    let test = "a_node_that_xcat_boots_may_change_its_key_where_that_was_declared";
    for resumes in [false, true] {
        for kind in ["", "ansible_connection=ssh-binary "] {
            let Some(found) = booted(test, &format!("{kind}xplay_key_after_reboot=repin"), resumes) else {
                return;
            };
            assert_eq!(found.code, 0, "{kind} {resumes}: {}", found.said);
            assert!(found.said.contains("\"again\""), "{kind} {resumes}: {}", found.said);
            let [old, new] = &found.keys;
            assert!(!found.known_hosts.contains(old) && found.known_hosts.contains(new), "{kind} {resumes}");
            let told = format!("{} was replaced by ssh-ed25519 {}", found.prints[0], found.prints[1]);
            assert!(found.said.contains(&told), "{kind} {resumes}: {}", found.said);
        }
        let Some(found) = booted(test, "", resumes) else { return };
        assert_eq!(found.code, 4, "{resumes}: {}", found.said);
        assert!(found.said.contains("host key of sn1 has changed: "), "{resumes}: {}", found.said);
        assert!(!found.said.contains("\"after\""), "{resumes}: {}", found.said);
    }
}

#[test]
fn a_changed_key_after_a_reboot_is_refused_unless_that_was_declared() {
    for vars in [
        "",
        "xplay_key_after_reboot=same",
        "xplay_key_after_reboot=ca xplay_host_keys='@cert-authority CA'",
        "ansible_connection=ssh-binary",
        "ansible_connection=ssh-binary xplay_key_after_reboot=ca xplay_host_keys='@cert-authority CA'",
    ] {
        let Some(found) = reboot("a_changed_key_after_a_reboot_is_refused", vars, false) else { return };
        assert_eq!(found.code, 2, "{vars}: {}", found.said);
        let [old, new] = &found.prints;
        let expect = format!("host key of sn1 has changed: ssh-ed25519 {new}, but ");
        assert!(
            found.said.contains(&expect) && found.said.contains(&format!("has {old}")),
            "{vars}: {}",
            found.said
        );
        assert!(found.said.contains("xplay_key_after_reboot"), "{vars}: {}", found.said);
        assert!(!found.said.contains("\"after\""), "{vars}: {}", found.said);
        assert!(
            found.known_hosts.contains(&found.keys[0]) && !found.known_hosts.contains(&found.keys[1]),
            "{vars}"
        );
    }
}

#[test]
fn a_declared_key_is_taken_after_a_reboot() {
    for (vars, certified) in [
        ("xplay_key_after_reboot=group xplay_host_keys='NEW'", false),
        ("xplay_key_after_reboot=ca xplay_host_keys='@cert-authority CA'", true),
        ("xplay_key_after_reboot=repin", false),
        ("ansible_connection=ssh-binary xplay_key_after_reboot=group xplay_host_keys='NEW'", false),
        (
            "ansible_connection=ssh-binary xplay_key_after_reboot=ca xplay_host_keys='@cert-authority CA'",
            true,
        ),
        ("ansible_connection=ssh-binary xplay_key_after_reboot=repin", false),
    ] {
        let Some(found) = reboot("a_declared_key_is_taken_after_a_reboot", vars, certified) else { return };
        assert_eq!(found.code, 0, "{vars}: {}", found.said);
        assert!(found.said.contains("\"again\""), "later connections too: {vars}: {}", found.said);
        let [old, new] = &found.keys;
        if vars.contains("repin") {
            assert!(
                !found.known_hosts.contains(old) && found.known_hosts.contains(new),
                "{}",
                found.known_hosts
            );
            let told = format!("{} was replaced by ssh-ed25519 {}", found.prints[0], found.prints[1]);
            assert!(found.said.contains(&told), "{}", found.said);
        } else {
            assert!(
                found.known_hosts.contains(old) && !found.known_hosts.contains(new),
                "{}",
                found.known_hosts
            );
        }
    }
}

#[test]
fn a_policy_that_cannot_be_is_named() {
    let test = "a_policy_that_cannot_be_is_named";
    for (vars, expect) in [
        (
            "xplay_key_after_reboot=any",
            "xplay_key_after_reboot of host sn1 is \"any\"; it can be same, group, ca, repin",
        ),
        (
            "xplay_key_after_reboot=group",
            "xplay_key_after_reboot of host sn1 is \"group\", but xplay_host_keys lists no key",
        ),
    ] {
        let Some(found) = reboot(test, vars, false) else { return };
        assert!(
            found.code != 0 && found.said.replace("\\\"", "\"").contains(expect),
            "{vars}: {}",
            found.said
        );
        assert!(!found.said.contains("\"before\""), "{vars}: {}", found.said);
    }
}
