//! Tests of `xcat_packimage` with a pretended packimage under a real sh.

use super::super::common::tests::with_call;
use super::super::sh::tests::{printed, run_with, seen};
use super::*;
use crate::modules::Effect;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

struct Node {
    dir: tempfile::TempDir,
}

/// What a good packimage does, as tar because not every machine has cpio.
const PACK: &str = "echo \"IMAGEUUID='$$-$(date +%N)'\" >$r/rootimg/opt/xcat/xcatinfo; rm -f $r/rootimg.*; sleep 0.05; tar -czf $r/rootimg.tar.gz -C $r/rootimg .";

impl Node {
    fn new(pack: &str) -> Self {
        let node = Node { dir: tempfile::tempdir().expect("a folder") };
        let base = node.base();
        let root = format!("{base}/install/svc");
        node.put("xcat/bin/lsdef", &format!(
            "#!/bin/sh\ncase $* in *node*) echo 'sn1  (node)'; exit ;; esac\nprintf 'svc:\\n    objtype=osimage\\n    exlist={base}/x.exlist\\n    osarch=x86_64\\n    provmethod=netboot\\n    rootimgdir={root}\\n'\n"
        ));
        node.put("xcat/sbin/packimage", &format!("#!/bin/sh\nr={root}\n{pack}\n"));
        node.put("x.exlist", "./boot*\n");
        node.put("install/postscripts/syslog", "s");
        node.put("install/svc/rootimg/etc/os-release", "ID=rhel\n");
        node.put("install/svc/rootimg/opt/xcat/xcatinfo", "IMAGEUUID='old'\n");
        let noise: String =
            (0..3000u64).map(|i| format!("{:x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        node.put("install/svc/rootimg/data", &noise);
        node.put("install/svc/kernel", "k");
        node.put("install/svc/initrd-stateless.gz", "i");
        node
    }

    fn base(&self) -> String {
        self.dir.path().to_string_lossy().into_owned()
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("made");
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
    }

    fn args(&self) -> serde_json::Value {
        json!({ "name": "svc", "method": "tar", "minimum_size": 100, "installdir": format!("{}/install", self.base()) })
    }

    /// Where the scripts find what they call.
    fn tools(&self) -> [(&'static str, String); 2] {
        let xcat = format!("{}/xcat", self.base());
        [("/opt/xcat/bin", format!("{xcat}/bin")), ("/opt/xcat/sbin", format!("{xcat}/sbin"))]
    }

    fn plan(&self) -> Prediction {
        let tools = self.tools();
        let replace: Vec<(&str, &str)> = tools.iter().map(|(a, b)| (*a, b.as_str())).collect();
        with_call(&Packimage, self.args(), true, |call| {
            let probe = Packimage.probe(call)?.expect("a script");
            Packimage.plan(call, &seen(&run_with("sh", &probe, &replace)))
        })
        .expect("planned")
    }

    fn converge(&self, args: serde_json::Value, sh: &str) -> Result<(Effect, String), Failure> {
        let base = self.base();
        let tools = self.tools();
        let replace: Vec<(&str, &str)> = tools.iter().map(|(a, b)| (*a, b.as_str())).collect();
        with_call(&Packimage, args, false, |call| {
            let probe = Packimage.probe(call)?.expect("a script");
            let prediction = Packimage.plan(call, &seen(&run_with(sh, &probe, &replace)))?;
            let reasons = prediction.result.get("reasons").map(|r| r.to_text()).unwrap_or_default();
            let effect = prediction.effect.clone();
            let ran: Vec<Output> = prediction
                .change
                .iter()
                .flat_map(|c| &c.actions)
                .map(|a| match a {
                    Action::Run(run) => run_with(sh, &run.script, &replace),
                    other => panic!("{other:?}"),
                })
                .collect();
            Packimage.finish(call, prediction, &ran)?;
            Ok((effect, reasons.replace(&base, "")))
        })
    }
}

#[test]
fn packs_once_and_again_for_each_change() {
    let node = Node::new(PACK);
    let check = |sh: &str, effect: Effect, reasons: &str| {
        assert_eq!(node.converge(node.args(), sh).map_err(|f| f.msg), Ok((effect, reasons.to_string())));
    };
    check("sh", Effect::Change, "['nothing is packed']");
    check("bash", Effect::Same, "");
    node.put("x.exlist", "./boot*\n./usr/share/man*\n");
    check("sh", Effect::Change, "['the exclusion list /x.exlist changed']");
    check("sh", Effect::Same, "");
    node.put("install/svc/rootimg/etc/exports", "/install *(ro)\n");
    check("sh", Effect::Change, "['/install/svc/rootimg/etc is newer than rootimg.tar.gz']");
    node.put("install/postscripts/syslog", "other");
    check("bash", Effect::Change, "['the directory /install/postscripts changed']");
    check("sh", Effect::Same, "");
}

#[test]
fn says_who_boots_from_what_is_packed_anew() {
    let node = Node::new(PACK);
    assert!(node.plan().warnings.is_empty());
    node.converge(node.args(), "sh").expect("packed");
    node.put("x.exlist", "./other*\n");
    let plan = node.plan();
    assert_eq!(plan.warnings, ["sn1 boot from svc: none of them can boot while it is packed"]);
    let told: Vec<String> = plan.consequences.iter().map(|c| c.replace(&node.base(), "")).collect();
    assert_eq!(told, ["/install/svc/rootimg.tar.gz is replaced; sn1 boot from it now"]);
}

#[test]
fn a_success_that_is_none_is_a_failure() {
    let check = |pack: &str, expect: &str| {
        let failure = Node::new(pack).converge_failing();
        assert_eq!(failure, expect);
    };
    check("exit 0", "packimage of svc ended with rc 0, but rootimg.tar.gz does not exist");
    check(
        &format!("{PACK}; head -c 3000 $r/rootimg.tar.gz >$r/x; mv $r/x $r/rootimg.tar.gz"),
        "packimage of svc ended with rc 0, but rootimg.tar.gz is not complete: gzip -t says gzip: BASE/install/svc/rootimg.tar.gz: unexpected end of file",
    );
    check(
        &format!("{PACK}; head -c 20 $r/rootimg.tar.gz >$r/x; mv $r/x $r/rootimg.tar.gz"),
        "packimage of svc ended with rc 0, but rootimg.tar.gz has only 20 bytes (at least 100 are expected)",
    );
    check(
        "echo \"IMAGEUUID='new'\" >$r/rootimg/opt/xcat/xcatinfo; mkdir $r/e; head -c 4000 /dev/urandom >$r/e/f; tar -czf $r/rootimg.tar.gz -C $r/e f",
        "packimage of svc ended with rc 0, but rootimg.tar.gz does not hold a system (neither etc/os-release nor etc/redhat-release)",
    );
    check(
        "tar -czf $r/rootimg.tar.gz -C $r/rootimg .",
        "packimage of svc ended with rc 0, but rootimg/opt/xcat/xcatinfo has no new build id",
    );
    check(
        "echo \"Error: [mn]: Invalid archive method 'tar' requested\" >&2; exit 1",
        "packimage of svc failed: Invalid archive method 'tar' requested",
    );
}

impl Node {
    fn converge_failing(&self) -> String {
        let failure = self.converge(self.args(), "sh").expect_err("refused");
        assert!(!self.dir.path().join("install/svc/.xplay-packimage").exists());
        failure.msg.replace(&self.base(), "BASE")
    }
}

#[test]
fn an_old_archive_is_not_taken_for_a_new_one() {
    let node = Node::new("exit 0");
    node.put("install/svc/rootimg.tar.gz", "an old archive");
    let archive =
        std::fs::File::options().write(true).open(node.dir.path().join("install/svc/rootimg.tar.gz"));
    archive.expect("opened").set_modified(std::time::SystemTime::UNIX_EPOCH).expect("set");
    node.put("install/svc/rootimg/etc/later", "x");
    let failure = node.converge(node.args(), "sh").expect_err("refused");
    assert_eq!(
        failure.msg,
        "packimage of svc ended with rc 0, but rootimg.tar.gz is older than the start of packimage: nothing was packed"
    );
}

/// Returns a cpio archive of the `newc` kind with one entry for each name.
fn newc(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (inode, name) in names.iter().chain(&["TRAILER!!!"]).enumerate() {
        let size = if *name == "TRAILER!!!" { 0 } else { 8 };
        let fields = [inode + 1, 0o100_644, 0, 0, 1, 0, size, 0, 0, 0, 0, name.len() + 1, 0];
        bytes.extend(b"070701");
        for field in fields {
            bytes.extend(format!("{field:08X}").bytes());
        }
        bytes.extend(name.bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(&b"ID=rhel\n"[..size]);
    }
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// With and without cpio on this machine.
#[test]
fn cpio_archives_are_read_to_their_end() {
    let pack = "echo \"IMAGEUUID='$(date +%N)'\" >$r/rootimg/opt/xcat/xcatinfo; sleep 0.05; gzip -c $r/cpio >$r/rootimg.cpio.gz";
    let check = |archive: Vec<u8>| {
        let node = Node::new(pack);
        std::fs::write(node.dir.path().join("install/svc/cpio"), archive).expect("written");
        let mut args = node.args();
        args["method"] = "cpio".into();
        args["minimum_size"] = 10.into();
        node.converge(args, "sh").map(|_| ()).map_err(|f| f.msg)
    };
    assert_eq!(check(newc(&["etc/hosts", "./etc/os-release", "sbin/init"])), Ok(()));
    assert!(check(newc(&["etc/hosts"])).expect_err("refused").contains("does not hold a system"));
    let cut = newc(&["etc/os-release", "etc/hosts"])[..200].to_vec();
    assert!(check(cut).expect_err("refused").contains("is not complete"));
}

#[test]
fn an_archive_that_was_refused_is_packed_again() {
    let node = Node::new(&format!("{PACK}; head -c 3000 $r/rootimg.tar.gz >$r/x; mv $r/x $r/rootimg.tar.gz"));
    node.converge(node.args(), "sh").expect_err("refused");
    node.put("xcat/sbin/packimage", &format!("#!/bin/sh\nr={}/install/svc\n{PACK}\n", node.base()));
    assert_eq!(
        node.converge(node.args(), "sh").map_err(|f| f.msg),
        Ok((
            Effect::Change,
            "['the last packing did not end well, so rootimg.tar.gz cannot be trusted']".to_string()
        ))
    );
    assert_eq!(node.converge(node.args(), "sh").map_err(|f| f.msg), Ok((Effect::Same, String::new())));
}

#[test]
fn refuses_a_tree_that_was_never_made() {
    let node = Node::new(PACK);
    std::fs::remove_file(node.dir.path().join("install/svc/rootimg/etc/os-release")).expect("removed");
    let failure = node.converge(node.args(), "sh").expect_err("refused");
    assert_eq!(
        failure.msg.replace(&node.base(), ""),
        "/install/svc/rootimg holds no system: run genimage first"
    );
    let node = Node::new(PACK);
    std::fs::remove_file(node.dir.path().join("x.exlist")).expect("removed");
    let failure = node.converge(node.args(), "sh").expect_err("refused");
    assert_eq!(
        failure.msg.replace(&node.base(), ""),
        "the exclusion list /x.exlist does not exist; packimage would ignore that silently"
    );
}

#[test]
fn plans_before_anything_exists() {
    let absent = ("definition", "No object definitions have been found\n", 1, "");
    let args = json!({ "name": "svc", "rootimgdir": "/install/svc" });
    let plan =
        |check| with_call(&Packimage, args.clone(), check, |call| Packimage.plan(call, &printed(&[absent])));
    assert_eq!(plan(true).expect("predicted").effect, Effect::Change);
    assert_eq!(plan(false).expect_err("refused").msg, "the osimage svc does not exist");
}

#[test]
fn refuses_a_full_disk() {
    let seen = printed(&[
        ("definition", "svc:\n    provmethod=netboot\n    rootimgdir=/i\n", 0, ""),
        ("archive", "rootimg.cpio.gz\n", 0, ""),
        ("size", "104857600\n", 0, ""),
        ("release", "etc/os-release\n", 0, ""),
        ("kernel", "yes\n", 0, ""),
        ("initrd", "initrd-stateless.gz\n", 0, ""),
        ("space", "10240 500000\n", 0, ""),
    ]);
    let failure = with_call(&Packimage, json!({ "name": "svc" }), false, |call| Packimage.plan(call, &seen))
        .expect_err("refused");
    assert_eq!(failure.msg, "/i has 10 MB free, but the archive needs about 125 MB");
}
