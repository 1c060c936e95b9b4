//! Hosts whose key changes while a step of the playbook starts them anew: an sshd that comes back with another one.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::ssh_environments::{Site, executable, host_line};
use crate::support::sshd::Sshd;

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

/// `vars` are added to the host's line; `CA` and `NEW` there stand for the keys. `certified` says that the new key has a
/// certificate of the authority.
fn reboot(test: &str, vars: &str, certified: bool) -> Option<Rebooted> {
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
    let tasks = format!(
        "    - command: echo before\n    - reboot: {{reboot_command: {}, boot_time_command: \"cat {}\", reboot_timeout: 60}}\n    \
         - command: echo after\n    - meta: reset_connection\n    - command: echo again\n",
        path("reboot"),
        path("boot")
    );
    let site = Site::new(&line, &tasks);
    let output = site.command(&["-v"]).output().unwrap();
    if let Ok(pid) = std::fs::read_to_string(server.path("pid")) {
        let _ = Command::new("kill").arg(pid.trim()).stderr(Stdio::null()).status();
    }
    let said = [output.stdout, output.stderr].concat();
    Some(Rebooted {
        code: output.status.code().unwrap(),
        said: String::from_utf8_lossy(&said).into_owned(),
        known_hosts: std::fs::read_to_string(server.path("known_hosts")).unwrap(),
        keys,
        prints: ["host_key.pub", "new_key.pub"].map(|name| print(&server.path(name))),
    })
}

#[test]
fn a_changed_key_after_a_reboot_is_refused_unless_that_was_declared() {
    for vars in
        ["", "xplay_key_after_reboot=same", "xplay_key_after_reboot=ca xplay_host_keys='@cert-authority CA'"]
    {
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
