//! The playbooks beside the main job, after it: update, verification alone, and a compute image by the same roles.

use serde_json::Value;

use crate::support::rehearse::{Mode, PLAYBOOK, Ran, Rehearsal, can};

const UPDATE: &str = "playbooks/update-service-node.yml";
const VERIFY: &str = "playbooks/verify-service-node.yml";

/// A site whose service nodes run; nothing where this machine cannot rehearse.
fn rehearsed(test: &str, site: &'static str) -> Option<Rehearsal> {
    if !can(test, Mode::Namespaces) {
        return None;
    }
    let rehearsal = Rehearsal::new(site, Mode::Namespaces);
    rehearsal.run(&[PLAYBOOK]).assert_success();
    Some(rehearsal)
}

#[track_caller]
fn assert_nothing_changed(ran: &Ran) {
    ran.assert_success();
    assert_eq!(ran.recap()["mn1"]["changed"], 0, "{:?}", ran.changed());
}

/// What a task said while it ran.
fn progress(ran: &Ran) -> Vec<&str> {
    ran.events.iter().filter(|e| e["event"] == "progress").filter_map(|e| e["line"].as_str()).collect()
}

/// The most nodes that were between "booting" and "booted" at any moment.
fn most_down(lines: &[&str]) -> usize {
    let mut down: Vec<&str> = Vec::new();
    let mut most = 0;
    for (node, text) in lines.iter().filter_map(|line| line.split_once(": ")) {
        if text == "booting" {
            down.push(node);
        } else if text.starts_with("booted after") {
            down.retain(|n| *n != node);
        }
        most = most.max(down.len());
    }
    most
}

/// The result of the task whose name ends so.
fn result<'a>(ran: &'a Ran, task: &str) -> &'a Value {
    let found = ran.results().find(|r| r["name"].as_str().is_some_and(|n| n.ends_with(task)));
    &found.unwrap_or_else(|| panic!("no task {task}: {}", ran.stderr))["result"]
}

fn update(site: &'static str, version: &str, next: &str) {
    let Some(rehearsal) = rehearsed("update", site) else { return };
    // Compute nodes that load their image from the service nodes must be set again when these lose their files.
    let compute = ["-e", "xcat_profile=compute"];
    rehearsal.run(&[&[PLAYBOOK], &compute[..]].concat()).assert_success();
    let installed = |node: &str| rehearsal.shell(node, "rpm -q xCATsn");
    for node in ["sn1", "sn2"] {
        assert!(installed(node).contains(&format!("xCATsn-{version}-")), "{}", installed(node));
    }
    let boot_id = |node: &str| rehearsal.shell(node, "cat /run/boot_id");
    let (service_before, compute_before) = (boot_id("sn1"), boot_id("cn1"));

    let core = format!("xcat_core_tarball=/root/media/update/xcat-core-{next}-linux.tar.gz");
    let dep = format!("xcat_dep_tarball=/root/media/update/xcat-dep-{next}-linux.tar.gz");
    let args = [UPDATE, "-e", &core, "-e", &dep, "-e", "xcat_boot_at_a_time=1"];
    let first = rehearsal.run(&args);
    first.assert_success();
    let changed = first.changed();
    for module in ["xcat_otherpkgs", "xcat_genimage", "xcat_packimage", "xcat_boot"] {
        assert!(changed.iter().any(|m| m == module), "{module} did not change anything: {changed:?}");
    }
    assert!(!changed.iter().any(|m| m == "xcat_copycds" || m == "xcat_osimage"), "{changed:?}");
    assert_eq!(most_down(&progress(&first)), 1, "{:?}", progress(&first));
    for node in ["sn1", "sn2"] {
        assert!(installed(node).contains(&format!("xCATsn-{next}-")), "{}", installed(node));
    }
    assert_ne!(boot_id("sn1"), service_before, "sn1 was not booted");
    assert_eq!(boot_id("cn1"), compute_before, "cn1 was booted");
    let served = result(&first, "Compute nodes find their boot files on their service nodes");
    assert_eq!(served["changed"], true, "{served}");
    let boot_file = rehearsal.shell("sn1", "find /tftpboot -name cn1 -exec grep -o imgurl.*rootimg {} +");
    assert!(boot_file.contains("compute-site/rootimg"), "{boot_file}");

    let second = rehearsal.run(&args);
    assert_nothing_changed(&second);
    assert_eq!(progress(&second), [""; 0]);
}

#[test]
fn el9_gets_a_newer_xcat() {
    update("el9", "2.17.0", "2.17.1");
}

#[test]
fn seed_gets_a_newer_xcat() {
    update("seed", "2.8.2", "2.8.3");
}

/// Breaks something on a node; the verification names node and check, and is content after it was put right.
fn broken(rehearsal: &Rehearsal, node: &str, break_it: &str, check: &str, detail: &str, repair: &str) {
    rehearsal.shell(node, break_it);
    let ran = rehearsal.run(&[VERIFY, "-e", "xcat_verify_retries=1"]);
    assert_eq!(ran.code, 2, "{check} on {node} went unnoticed");
    let words = result(&ran, "Every check holds")["msg"].as_str().unwrap_or_default();
    assert_eq!(words, format!("{node} {check}: {detail}"));
    rehearsal.shell(node, repair);
    assert_nothing_changed(&rehearsal.run(&[VERIFY]));
}

#[test]
fn verification_names_node_and_check() {
    let Some(rehearsal) = rehearsed("verification", "el9") else { return };
    assert_nothing_changed(&rehearsal.run(&[VERIFY]));
    let wants = "/etc/systemd/system/multi-user.target.wants";
    broken(
        &rehearsal,
        "sn2",
        &format!("mkdir -p {wants}; ln -s /usr/lib/systemd/system/dhcpd.service {wants}/dhcpd.service"),
        "services",
        "dhcpd starts at boot",
        &format!("rm {wants}/dhcpd.service"),
    );
    broken(
        &rehearsal,
        "sn1",
        "cp /etc/exports /root/exports; sed -i /install/d /etc/exports",
        "exports",
        "/etc/exports lacks /install *(ro,no_root_squash,sync,fsid=13)",
        "cp /root/exports /etc/exports",
    );
    let id = "00000000-0000-4000-8000-000000000000";
    broken(
        &rehearsal,
        "sn1",
        &format!(
            "cp /opt/xcat/xcatinfo /root/info; sed -i \"s/^IMAGEUUID=.*/IMAGEUUID='{id}'/\" /opt/xcat/xcatinfo"
        ),
        "image",
        "?",
        "cp /root/info /opt/xcat/xcatinfo",
    );
}

#[test]
fn verification_without_a_node() {
    let Some(rehearsal) = rehearsed("verification_without_a_node", "seed") else { return };
    rehearsal.shell("mn1", "/opt/xcat/bin/rpower sn2 off");
    let ran = rehearsal.run(&[VERIFY, "-e", "xcat_verify_retries=1"]);
    assert_eq!(ran.code, 2);
    let words = result(&ran, "Every check holds")["msg"].as_str().unwrap_or_default();
    assert!(words.starts_with("sn2 ssh: ") && !words.contains("sn1 "), "{words}");
}

/// The same roles make a compute image and boot a compute node behind its service node.
fn compute(site: &'static str) {
    let Some(rehearsal) = rehearsed("compute", site) else { return };
    let args = [PLAYBOOK, "-e", "xcat_profile=compute", "-e", "xcat_nodes=cn1"];
    let first = rehearsal.run(&args);
    first.assert_success();
    let seen = rehearsal.shell("cn1", "cat /etc/exports /opt/xcat/xcatinfo; rpm -q strace xCATsn; echo end");
    assert!(
        seen.contains("IMAGENAME") && seen.contains("compute-site") && seen.contains("strace-"),
        "{seen}"
    );
    assert!(!seen.contains("/install") && !seen.contains("xCATsn-2"), "that is for service nodes: {seen}");
    assert_nothing_changed(&rehearsal.run(&args));
    // One image does not disturb the other.
    assert_nothing_changed(&rehearsal.run(&[PLAYBOOK]));
}

#[test]
fn el9_compute_image() {
    compute("el9");
}

#[test]
fn seed_compute_image() {
    compute("seed");
}
