//! Copies of /install on service nodes: damage that keeps a file's size, and what is there besides, with rsync and without.

use crate::support::rehearse::{Mode, PLAYBOOK, Rehearsal, can};
use crate::support::{find_program, skip};

const BIG: &str = "/install/custom/big";

fn repairs(test: &str, prepare: &str) {
    if !can(test, Mode::Namespaces) {
        return;
    }
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    rehearsal.shell("mn1", &format!("{prepare}; head -c 3000000 /dev/urandom >{BIG}; ln -s big {BIG}.link"));
    rehearsal.run(&[PLAYBOOK]).assert_success();
    let digest = |host: &str| {
        let said = rehearsal.shell(host, &format!("cksum <{BIG}; readlink {BIG}.link"));
        said.lines().filter(|l| l.ends_with("3000000") || *l == "big").map(str::to_string).collect::<Vec<_>>()
    };
    let whole = digest("mn1");
    assert_eq!((digest("sn1"), whole.len()), (whole.clone(), 2));

    // Size and time of the file stay as they were.
    rehearsal.shell(
        "sn1",
        &format!(
            "touch -r {BIG} /t; printf damage | dd of={BIG} bs=1 seek=2000000 conv=notrunc; touch -r /t {BIG}; \
             rm /t; mkdir -p '/install/old stuff'; echo x >'/install/old stuff/left'"
        ),
    );
    assert_ne!(digest("sn1"), whole);
    let repaired = rehearsal.run(&[PLAYBOOK]);
    repaired.assert_success();
    assert_eq!(repaired.changed(), ["xcat_sync_install"]);
    let result = repaired.result("Service nodes have the install directory");
    assert_eq!(result["to_sync"], serde_json::json!(["sn1"]));
    assert_eq!(result["removed"], serde_json::json!({ "sn1": ["old stuff/left"] }));
    assert_eq!(digest("sn1"), whole);
    let left = rehearsal.shell("sn1", "ls -d /install/old* /install/autoinst; echo end");
    assert!(!left.contains("old stuff"), "{left}");
    rehearsal.run(&[PLAYBOOK]).assert_nothing_changed();
}

#[test]
fn with_rsync() {
    if find_program("rsync").is_none() {
        skip("with_rsync", "there is no rsync");
        return;
    }
    repairs("with_rsync", "command -v rsync");
}

#[test]
fn without_rsync() {
    repairs("without_rsync", "rm -f /usr/bin/rsync");
}
