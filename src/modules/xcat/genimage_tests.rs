//! Tests of `xcat_genimage` with a pretended genimage under a real sh.

use super::super::common::tests::with_call;
use super::super::sh::tests::{printed, run_with, seen};
use super::*;
use crate::modules::Effect;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A management node's tree whose genimage makes what a real one leaves, unless the script in `extra` says otherwise.
struct Node {
    dir: tempfile::TempDir,
}

impl Node {
    fn new(extra: &str) -> Self {
        let node = Node { dir: tempfile::tempdir().expect("a folder") };
        let base = node.base();
        let root = format!("{base}/install/netboot/svc");
        node.put("xcat/bin/lsdef", &format!(
            "#!/bin/sh\ncat <<'E'\n# <xCAT data object stanza file>\n\nsvc:\n    objtype=osimage\n    osarch=x86_64\n    osvers=rhels9.4\n    \
             otherpkglist={base}/o.pkglist\n    permission=$RANDOM\n    pkgdir={base}/pkgs\n    pkglist={base}/p.pkglist\n    profile=service\n    \
             provmethod=netboot\n    rootimgdir={root}\nE\n"
        ));
        node.put("xcat/sbin/genimage", &format!(
            "#!/bin/sh\necho 'Generating image: '\n{extra}\nmkdir -p {root}/rootimg/etc\necho 'ID=rhel' >{root}/rootimg/etc/os-release\n\
             echo k >{root}/kernel\necho i >{root}/initrd-stateless.gz\n"
        ));
        node.put("bin/rpm", "#!/bin/sh\nshift 3\nr=0\nfor p; do case $p in absent*) echo \"package $p is not installed\"; r=1 ;; *) echo \"$p-1-1.noarch\" ;; esac; done\nexit $r\n");
        node.put("p.pkglist", "bash\n");
        node.put("o.pkglist", "xcat/xcat-core/xCATsn\n# no\nxcat/xcat-dep/goconserver, other\n");
        node.put("pkgs/repodata/repomd.xml", "1");
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

    fn run(&self, sh: &str, script: &str) -> Output {
        let base = self.base();
        let path = format!("PATH={base}/bin:$PATH:");
        run_with(
            sh,
            script,
            &[
                ("/opt/xcat", &format!("{base}/xcat")),
                ("PATH=$PATH:", &path),
                ("/var/lock/xcat", &format!("{base}/lock")),
            ],
        )
    }

    fn converge(&self, args: serde_json::Value, sh: &str) -> Result<(Effect, String), Failure> {
        with_call(&Genimage, args, false, |call| {
            let probe = Genimage.probe(call)?.expect("a script");
            let prediction = Genimage.plan(call, &seen(&self.run(sh, &probe)))?;
            let reasons = prediction.result.get("reasons").map(|r| r.to_text()).unwrap_or_default();
            let effect = prediction.effect.clone();
            let mut ran = Vec::new();
            for action in prediction.change.iter().flat_map(|c| &c.actions) {
                let Action::Run(run) = action else { panic!() };
                ran.push(self.run(sh, &run.script));
                if ran.last().is_some_and(|o| o.rc != 0) {
                    break;
                }
            }
            let outcome = Genimage.finish(call, prediction, &ran)?;
            assert_eq!(outcome.changed, effect == Effect::Change);
            Ok((effect, reasons.replace(&self.base(), "")))
        })
    }
}

fn args() -> serde_json::Value {
    json!({ "name": "svc" })
}

#[test]
fn runs_once_and_again_for_each_changed_input() {
    let node = Node::new("");
    let missing =
        "['the tree rootimg holds no system', 'the kernel is missing', 'the initial ramdisk is missing']";
    assert_eq!(node.converge(args(), "sh").expect("made"), (Effect::Change, missing.into()));
    assert_eq!(node.converge(args(), "bash").expect("looked"), (Effect::Same, String::new()));
    node.put("p.pkglist", "bash\nvim\n");
    node.put("pkgs/extra/repodata/repomd.xml", "2");
    let changed = "['the list /p.pkglist changed', 'the repository /pkgs/extra is new']";
    assert_eq!(node.converge(args(), "sh").expect("made"), (Effect::Change, changed.into()));
    assert_eq!(node.converge(args(), "sh").expect("looked").0, Effect::Same);
}

#[test]
fn a_late_failure_shows_the_last_words_of_stdout_and_leaves_no_stamp() {
    let node = Node::new(
        "mkdir -p $0.d; echo 'No match for argument: nosuch'; echo 'RPM package manager invocation failed'; echo 'Error: [mn]: Command failed: ...' >&2; exit 1",
    );
    let failure = node.converge(args(), "sh").expect_err("failed");
    assert_eq!(
        failure.msg,
        "genimage of svc failed: RPM package manager invocation failed (no repository holds nosuch)"
    );
    assert!(!node.dir.path().join("install/netboot/svc/.xplay-genimage").exists());
}

#[test]
fn a_success_that_is_none_is_a_failure() {
    let node = Node::new("exit 0");
    let failure = node.converge(args(), "sh").expect_err("failed");
    assert_eq!(
        failure.msg,
        "genimage of svc ended with rc 0, but the tree rootimg holds no system, the kernel is missing and the initial \
         ramdisk is missing"
    );
    let node = Node::new("");
    let failure =
        node.converge(json!({ "name": "svc", "packages": ["bash", "absent1"] }), "sh").expect_err("failed");
    assert_eq!(failure.msg, "genimage of svc ended with rc 0, but the tree lacks absent1");
    assert!(!node.dir.path().join("install/netboot/svc/.xplay-genimage").exists());
}

#[test]
fn asks_for_the_packages_of_the_list() {
    let node = Node::new("");
    node.put("o.pkglist", "xcat/xcat-core/xCATsn\nxcat/absent2, other\n");
    let failure = node.converge(args(), "bash").expect_err("failed");
    assert_eq!(failure.msg, "genimage of svc ended with rc 0, but the tree lacks absent2");
}

#[test]
fn a_lock_that_stays_is_named() {
    let node = Node::new("");
    node.converge(args(), "sh").expect("made");
    node.put("p.pkglist", "other\n");
    // A process whose command line says genimage, as the lock's holder has.
    node.put("bin/genimage-holder", "#!/bin/sh\nwhile :; do sleep 1; done\n");
    let mut holder =
        std::process::Command::new(node.dir.path().join("bin/genimage-holder")).spawn().expect("started");
    let lock =
        format!("lock/{}.0123", format!("{}/install/netboot/svc/rootimg", node.base()).replace('/', "."));
    node.put(&lock, &format!("{}\n", holder.id()));
    let args = json!({ "name": "svc", "lock_timeout": 0 });
    let failure = node.converge(args, "sh").expect_err("failed");
    holder.kill().expect("killed");
    holder.wait().expect("ended");
    assert!(failure.msg.contains(&format!("process {} holds the lock of", holder.id())), "{}", failure.msg);
}

#[test]
fn plans_before_anything_exists() {
    let args = json!({ "name": "svc", "rootimgdir": "/install/netboot/svc" });
    let seen = printed(&[(
        "definition",
        "# <xCAT data object stanza file>\nError: [mn]: Could not find an object named 'svc' of type 'osimage'.\n",
        1,
        "",
    )]);
    let plan = |check| with_call(&Genimage, args.clone(), check, |call| Genimage.plan(call, &seen));
    assert_eq!(plan(true).expect("predicted").effect, Effect::Change);
    assert_eq!(plan(false).expect_err("refused").msg, "the osimage svc does not exist");
}

#[test]
fn mounts_left_behind_are_refused() {
    let left = mounts("x\nleft mounted: /i/rootimg/proc\n", "/i").expect_err("refused");
    assert_eq!(left.msg, "genimage left mounts behind: /i/rootimg/proc");
    let other = mounts("left mounted: /run/user/0\n", "/i").expect("fine");
    assert_eq!(other, ["/run/user/0 was mounted while genimage ran"]);
}
