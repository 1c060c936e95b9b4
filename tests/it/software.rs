//! The ways in which xCAT's packages come to the image: a directory, tarballs there, tarballs sent.

use std::path::PathBuf;

use crate::support::rehearse::{Mode, PLAYBOOK, Ran, Rehearsal, can};

/// Takes the repodata out of both repositories of an unpacked xCAT, so that it must be made.
const WITHOUT_REPODATA: &str = "find . -name repodata -prune -exec rm -rf {} +";

fn rehearse(test: &str, prepare: &str, args: impl Fn(&Rehearsal) -> Vec<String>) -> Option<(Rehearsal, Ran)> {
    if !can(test, Mode::Namespaces) {
        return None;
    }
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    let said = rehearsal.shell("mn1", &format!("set -e; {prepare}; echo prepared"));
    assert!(said.contains("prepared"), "{said}");
    let args = args(&rehearsal);
    let mut words = vec![PLAYBOOK];
    words.extend(args.iter().flat_map(|a| ["-e", a]));
    let first = rehearsal.run(&words);
    first.assert_success();
    let installed = rehearsal.shell("sn1", "rpm -q xCATsn goconserver");
    assert!(installed.contains("xCATsn-2.17.0-") && installed.contains("goconserver-"), "{installed}");
    let found = rehearsal.shell(
        "mn1",
        "cd /install/post/otherpkgs/rhels9.4/x86_64/xcat && ls xcat-core/repodata/repomd.xml xcat-dep/rh9/x86_64/repodata/repomd.xml | wc -l",
    );
    assert!(found.lines().any(|l| l.trim() == "2"), "{found}");
    rehearsal.run(&words).assert_nothing_changed();
    Some((rehearsal, first))
}

fn made_repodata(ran: &Ran) -> Vec<&str> {
    let lines = ran.events.iter().filter(|e| e["event"] == "progress").filter_map(|e| e["line"].as_str());
    lines.filter(|l| l.starts_with("making repodata of ")).collect()
}

#[test]
fn a_directory_without_repodata() {
    let prepare = format!(
        "mkdir -p /root/software; cd /root/software; for t in /root/media/xcat-*.tar.gz; do tar -xf $t; done; \
         {WITHOUT_REPODATA}; rm /root/media/xcat-*.tar.gz"
    );
    let args = |_: &Rehearsal| {
        ["xcat_software_dir=/root/software", "xcat_core_tarball=", "xcat_dep_tarball="]
            .map(String::from)
            .to_vec()
    };
    let Some((_, first)) = rehearse("a_directory_without_repodata", &prepare, args) else { return };
    let copied = first.result("The packages are copied from a directory");
    assert_eq!(copied["changed"], true, "{copied}");
    assert_eq!(
        made_repodata(&first),
        ["making repodata of xcat-core", "making repodata of xcat-dep/rh9/x86_64"]
    );
}

#[test]
fn tarballs_on_the_management_node() {
    let Some((_, first)) = rehearse("tarballs_on_the_management_node", "true", |_| Vec::new()) else {
        return;
    };
    let unpacked = first.result("The packages are unpacked from tarballs");
    assert_eq!(unpacked["changed"], true, "{unpacked}");
    assert_eq!(made_repodata(&first), [""; 0]);
}

/// They lie beside the one who runs the playbook, and hold no repodata.
#[test]
fn tarballs_that_are_sent() {
    let prepare = format!(
        "cd /root; for t in /root/media/xcat-*.tar.gz; do mkdir w; cd w; tar -xf $t; {WITHOUT_REPODATA}; \
         tar -czf /root/${{t##*/}} *; cd ..; rm -rf w $t; done"
    );
    let args = |rehearsal: &Rehearsal| {
        let taken: Vec<PathBuf> = ["core", "dep"]
            .iter()
            .map(|part| {
                let name = format!("xcat-{part}-2.17.0-linux.tar.gz");
                let here = rehearsal.dir().join(&name);
                std::fs::rename(rehearsal.keep().join("hosts/mn1/root/root").join(&name), &here).unwrap();
                here
            })
            .collect();
        vec![
            "xcat_software_send=true".into(),
            format!("xcat_core_tarball={}", taken[0].display()),
            format!("xcat_dep_tarball={}", taken[1].display()),
        ]
    };
    let Some((rehearsal, first)) = rehearse("tarballs_that_are_sent", &prepare, args) else { return };
    let sent = first.result("The tarballs are sent");
    assert_eq!(sent["changed"], true, "{sent}");
    let staged = rehearsal.shell("mn1", "ls /var/cache/xplay");
    assert!(staged.contains("xcat-core-2.17.0-linux.tar.gz"), "{staged}");
    assert_eq!(
        made_repodata(&first),
        ["making repodata of xcat-core", "making repodata of xcat-dep/rh9/x86_64"]
    );
}
