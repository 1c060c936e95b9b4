//! A management node that cannot build the image: another host does, or nothing is touched.

use std::fs;

use crate::support::rehearse::{Mode, PLAYBOOK, Rehearsal, can};

fn delegated(site: &'static str, arch: &str) {
    if !can("builder", Mode::Namespaces) {
        return;
    }
    let rehearsal = Rehearsal::new(site, Mode::Namespaces);
    let first = rehearsal.run(&[PLAYBOOK, "--builder"]);
    first.assert_success();
    for (task, host) in [("The image is made on a host of its kind", "build1"), ("The image is packed", "")] {
        let event = first.results().find(|r| r["name"].as_str().is_some_and(|n| n.ends_with(task))).unwrap();
        assert_eq!(event["status"], "changed", "{event}");
        assert_eq!(event["delegated_to"].as_str().unwrap_or_default(), host, "{event}");
    }
    let kind = |host: &str| rehearsal.shell(host, "uname -m; head -n 1 /etc/redhat-release");
    assert_ne!(kind("mn1"), kind("build1"));
    assert!(kind("build1").starts_with(arch), "{}", kind("build1"));
    let id = |host: &str, tree: &str| {
        rehearsal.shell(host, &format!("grep IMAGEUUID= /install/netboot/*/*/{tree}opt/xcat/xcatinfo"))
    };
    let booted = rehearsal.shell("sn2", "grep IMAGEUUID= /opt/xcat/xcatinfo; rpm -q strace");
    let packed = id("build1", "*/rootimg/");
    assert!(packed.contains("IMAGEUUID=") && booted.contains("strace-"), "{packed}{booted}");
    assert!(booted.lines().any(|line| line == packed.trim()), "packed {packed}, booted {booted}");
    // A kept cluster goes on as it is.
    rehearsal.run(&[PLAYBOOK]).assert_nothing_changed();
}

#[test]
fn el9_is_built_elsewhere() {
    delegated("el9", "x86_64");
}

#[test]
fn seed_is_built_elsewhere() {
    delegated("seed", "ppc64");
}

#[test]
fn no_host_can_build_the_image() {
    if !can("no_host_can_build_the_image", Mode::Namespaces) {
        return;
    }
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    rehearsal.run(&["--builder", "--shell", "mn1"]);
    let before = rehearsal.disks();
    let ran = rehearsal.run(&[PLAYBOOK, "-e", "xcat_osarch=aarch64"]);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.failures(),
        [
            "xcat_preconditions : Stop when no host can build the image: the image rhels9.4 aarch64 cannot be built on \
          mn1 (this host runs rhel8, the image is rhel9 (rhels9.4); this host is ppc64le, the image is aarch64), and no \
          host of the inventory group image_builders has its operating system and architecture"
        ]
    );
    assert_eq!(rehearsal.disks(), before, "the refusal wrote something");
}

#[test]
fn a_plan_before_the_image_exists() {
    if !can("a_plan_before_the_image_exists", Mode::Namespaces) {
        return;
    }
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    rehearsal.run(&["--builder", "--shell", "mn1"]);
    let before = rehearsal.disks();
    let check = rehearsal.run(&[PLAYBOOK, "--check"]);
    check.assert_success();
    assert_eq!(rehearsal.disks(), before, "check mode wrote something");
    assert!(check.changed().iter().any(|m| m == "xcat_genimage"), "{:?}", check.changed());
}

/// The durable job is found again on the host that builds, not on the one that delegated.
#[test]
fn the_connection_to_the_builder_is_cut() {
    if !can("the_connection_to_the_builder_is_cut", Mode::Namespaces) {
        return;
    }
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    let cut = rehearsal.run(&[PLAYBOOK, "--builder", "--fault", "connection-cut-during-genimage"]);
    cut.assert_success();
    let lost = |text: &str| text.contains("lost build1 while a script was running");
    assert!(cut.events.iter().any(|e| e["event"] == "warning" && e["text"].as_str().is_some_and(lost)));
}

#[test]
fn a_builder_needs_mounts() {
    if !can("a_builder_needs_mounts", Mode::Chroot) {
        return;
    }
    let rehearsal = Rehearsal::new("el9", Mode::Chroot);
    let refused = rehearsal.run(&[PLAYBOOK, "--builder"]);
    assert_eq!(refused.code, 1);
    assert_eq!(
        refused.stderr,
        "error: cannot start the build host: it mounts /install of the management node, which hosts entered by plain \
         chroot cannot do\n"
    );
    assert!(!fs::exists(rehearsal.keep().join("hosts")).unwrap());
}
