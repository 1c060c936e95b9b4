//! The whole job: the service-node procedure rehearsed, as a user would run it, through the binary.

use crate::support::rehearse::{Mode, PLAYBOOK, Rehearsal, can};

/// Steps that must not run again when nothing changed.
const EXPENSIVE: [&str; 5] = ["xcat_copycds", "xcat_genimage", "xcat_packimage", "xcat_nodeset", "xcat_boot"];

fn first_and_second_run(site: &'static str, mode: Mode) {
    if !can("service_node", mode) {
        return;
    }
    let rehearsal = Rehearsal::new(site, mode);
    let first = rehearsal.run(&[PLAYBOOK]);
    first.assert_success();
    let changed = first.changed();
    for module in EXPENSIVE {
        assert!(changed.iter().any(|m| m == module), "{module} did not change anything: {changed:?}");
    }
    assert!(rehearsal.dir().join("report.html").exists());
    look_at_booted_node(&rehearsal);

    rehearsal.run(&[PLAYBOOK]).assert_nothing_changed();
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

#[test]
fn check_mode_changes_nothing_and_predicts() {
    if !can("service_node", Mode::Namespaces) {
        return;
    }
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    // Starting the cluster once lays out its disks.
    rehearsal.shell("mn1", "true");
    let before = rehearsal.disks();
    let check = rehearsal.run(&[PLAYBOOK, "--check", "--diff"]);
    check.assert_success();
    assert_eq!(rehearsal.disks(), before, "check mode wrote something");
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
    if !can("service_node", Mode::Namespaces) {
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
    rehearsal.run(&[PLAYBOOK]).assert_nothing_changed();
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
    if !can("service_node", Mode::Namespaces) {
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
