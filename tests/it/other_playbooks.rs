//! The playbooks beside the main job, after it: update, verification alone, and a compute image by the same roles.

use crate::support::rehearse::{Mode, PLAYBOOK, Ran, Rehearsal, can};

const UPDATE: &str = "playbooks/update-service-node.yml";
const VERIFY: &str = "playbooks/verify-service-node.yml";

/// One cluster for all stories of a site, because the first rehearsal is what takes time.
fn after_the_job(site: &'static str, version: &str, next: &str) {
    if !can("other_playbooks", Mode::Namespaces) {
        return;
    }
    let rehearsal = Rehearsal::new(site, Mode::Namespaces);
    rehearsal.run(&[PLAYBOOK]).assert_success();
    verification(&rehearsal, site);
    compute_image(&rehearsal);
    update(&rehearsal, version, next);
    verification_without_a_node(&rehearsal);
}

#[test]
fn el9_after_the_job() {
    after_the_job("el9", "2.17.0", "2.17.1");
}

#[test]
fn seed_after_the_job() {
    after_the_job("seed", "2.8.2", "2.8.3");
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

/// A newer xCAT. The compute node that loads its image from a service node is set again, because that node loses its
/// files when it is booted.
fn update(rehearsal: &Rehearsal, version: &str, next: &str) {
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
    let served = first.result("Compute nodes find their boot files on their service nodes");
    assert_eq!(served["changed"], true, "{served}");
    let boot_file = rehearsal.shell("sn1", "find /tftpboot -name cn1 -exec grep -o imgurl.*rootimg {} +");
    assert!(boot_file.contains("compute-site/rootimg"), "{boot_file}");

    let second = rehearsal.run(&args);
    second.assert_nothing_changed();
    assert_eq!(progress(&second), [""; 0]);
}

/// Breaks something on a node; the verification names node and check, and is content after it was put right.
fn broken(rehearsal: &Rehearsal, node: &str, break_it: &str, failed: &str, repair: &str) {
    rehearsal.shell(node, break_it);
    let ran = rehearsal.run(&[VERIFY, "-e", "xcat_verify_retries=1"]);
    assert_eq!(ran.code, 2, "{node} {failed} went unnoticed");
    let words = ran.result("Every check holds")["msg"].as_str().unwrap_or_default();
    assert_eq!(words, format!("{node} {failed}"));
    rehearsal.shell(node, repair);
    rehearsal.run(&[VERIFY]).assert_nothing_changed();
}

fn verification(rehearsal: &Rehearsal, site: &str) {
    rehearsal.run(&[VERIFY]).assert_nothing_changed();
    let (enable, disable) = match site {
        "seed" => ("ln -s ../init.d/dhcpd /etc/rc.d/rc3.d/S65dhcpd", "rm /etc/rc.d/rc3.d/S65dhcpd"),
        _ => (
            "cd /etc/systemd/system && mkdir -p multi-user.target.wants && \
             ln -s /usr/lib/systemd/system/dhcpd.service multi-user.target.wants/",
            "rm /etc/systemd/system/multi-user.target.wants/dhcpd.service",
        ),
    };
    broken(rehearsal, "sn2", enable, "services: dhcpd starts at boot", disable);
    broken(
        rehearsal,
        "sn1",
        "cp /etc/exports /root/exports; sed -i /install/d /etc/exports",
        "exports: /etc/exports lacks /install *(ro,no_root_squash,sync,fsid=13)",
        "cp /root/exports /etc/exports",
    );
}

fn verification_without_a_node(rehearsal: &Rehearsal) {
    rehearsal.shell("mn1", "/opt/xcat/bin/rpower sn2 off");
    let ran = rehearsal.run(&[VERIFY, "-e", "xcat_verify_retries=1"]);
    assert_eq!(ran.code, 2);
    let words = ran.result("Every check holds")["msg"].as_str().unwrap_or_default();
    assert!(words.starts_with("sn2 ssh: ") && !words.contains("sn1 "), "{words}");
}

/// The same roles make a compute image and boot a compute node behind its service node.
fn compute_image(rehearsal: &Rehearsal) {
    let args = [PLAYBOOK, "-e", "xcat_profile=compute", "-e", "xcat_nodes=cn1"];
    rehearsal.run(&args).assert_success();
    let seen = rehearsal.shell("cn1", "cat /etc/exports /opt/xcat/xcatinfo; rpm -q strace xCATsn; echo end");
    assert!(
        seen.contains("IMAGENAME") && seen.contains("compute-site") && seen.contains("strace-"),
        "{seen}"
    );
    assert!(!seen.contains("/install") && !seen.contains("xCATsn-2"), "that is for service nodes: {seen}");
    rehearsal.run(&args).assert_nothing_changed();
    // One image does not disturb the other; but the service nodes' copies of /install are older now.
    let service = rehearsal.run(&[PLAYBOOK]);
    service.assert_success();
    assert_eq!(service.changed(), ["xcat_sync_install"]);
}
