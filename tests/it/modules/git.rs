//! `git` with the git of this machine and repositories in files.

use super::harness::{Bench, compare, shells};
use xplay::modules::{Effect, Outcome};

const SETUP: &str = "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@x GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@x\n";

fn run(bench: &Bench, args: &str) -> Outcome {
    let prediction = bench.plan("git", args, false).unwrap_or_else(|f| panic!("{args}: {}", f.msg));
    let predicted = prediction.result.clone();
    let changes = prediction.changes();
    let done = bench.apply("git", args, prediction).unwrap_or_else(|f| panic!("{args}: {}", f.msg));
    assert_eq!(done.changed, changes, "{args}");
    compare(&predicted, &done.result, args);
    done
}

#[test]
fn working_copies_follow_their_repository() {
    for shell in shells() {
        let bench = Bench::new(&shell);
        if !bench.has("git") {
            println!("skipped: {} finds no git", shell.name);
            continue;
        }
        let sh = |script: &str| bench.sh(&format!("{SETUP}{script}"));
        sh(
            "git init -q -b main 'r 1' && cd 'r 1' && echo 1 >f && git add f && git commit -qm one && git tag -a v1 -m v1 \
            && git checkout -qb dev && echo dev >f && git commit -qam dev && git checkout -q main",
        );
        let args = |more: &str| format!(r#"{{"repo": "$D/r 1", "dest": "$D/deep/w c"{more}}}"#);
        let before = bench.digest();
        let preview = bench.plan("git", &args(""), true).unwrap();
        assert_eq!(preview.effect, Effect::Change);
        assert_eq!(bench.digest(), before, "the preview wrote");
        assert!(run(&bench, &args("")).changed);
        bench.expect("[ \"$(cat 'deep/w c/f')\" = 1 ]", &shell.name);
        assert_eq!(bench.plan("git", &args(""), false).unwrap().effect, Effect::Same);
        sh("cd 'r 1' && echo 2 >f && git commit -qam two");
        assert_eq!(bench.plan("git", &args(""), true).unwrap().effect, Effect::Change);
        assert!(run(&bench, &args("")).changed);
        bench.expect("[ \"$(cat 'deep/w c/f')\" = 2 ]", &shell.name);
        assert!(run(&bench, &args(r#", "version": "dev""#)).changed);
        assert!(!run(&bench, &args(r#", "version": "dev""#)).changed);
        bench.expect("[ \"$(cat 'deep/w c/f')\" = dev ]", &shell.name);
        assert!(run(&bench, &args(r#", "version": "v1""#)).changed);
        assert!(!run(&bench, &args(r#", "version": "v1""#)).changed);
        bench.expect("[ \"$(cat 'deep/w c/f')\" = 1 ]", &shell.name);
        bench.sh("echo mine >'deep/w c/f'");
        let failure = bench.plan("git", &args(""), true).unwrap_err();
        assert!(failure.msg.starts_with("Local modifications exist in the destination: "), "{}", failure.msg);
        assert!(run(&bench, &args(r#", "force": true, "version": "main""#)).changed);
        bench.expect("[ \"$(cat 'deep/w c/f')\" = 2 ]", &shell.name);
        // The same commit under another name is checked out and counts as no change.
        sh("cd 'r 1' && git branch same");
        let same = run(&bench, &args(r#", "version": "same""#));
        assert!(!same.changed);
        bench.expect("[ \"$(cd 'deep/w c' && git symbolic-ref --short HEAD)\" = same ]", &shell.name);
        let archive = args(r#", "version": "dev", "archive": "$D/a.tar.gz", "archive_prefix": "p/""#);
        assert!(run(&bench, &archive).changed);
        bench.expect("tar tzf a.tar.gz | grep -qx p/f", &shell.name);
        assert_eq!(bench.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn shallow_bare_and_submodules() {
    for shell in shells() {
        let bench = Bench::new(&shell);
        if !bench.has("git") {
            println!("skipped: {} finds no git", shell.name);
            continue;
        }
        let sh = |script: &str| bench.sh(&format!("{SETUP}{script}"));
        sh("git init -q -b main s && cd s && echo 1 >s && git add s && git commit -qm one && cd .. \
            && git init -q -b main r && cd r && echo 1 >f && git add f && git commit -qm one && echo 2 >f && git commit -qam two");
        let shallow = r#"{"repo": "$D/r", "dest": "$D/w", "depth": 1, "version": "main"}"#;
        assert!(run(&bench, shallow).changed);
        bench.expect("[ \"$(cd w && git rev-list --count HEAD)\" = 1 ]", &shell.name);
        assert!(!run(&bench, shallow).changed);
        sh("cd r && git checkout -qb new && echo 3 >f && git commit -qam three && git checkout -q main");
        assert!(run(&bench, &shallow.replace("main", "new")).changed);
        bench.expect("[ \"$(cat w/f)\" = 3 ]", &shell.name);
        let bare = r#"{"repo": "$D/r", "dest": "$D/b.git", "bare": true, "umask": "077"}"#;
        assert!(run(&bench, bare).changed);
        assert!(!run(&bench, bare).changed);
        bench.expect("[ \"$(stat -c %a b.git)\" = 700 ]", &shell.name);
        let apart = r#"{"repo": "$D/r", "dest": "$D/apart", "separate_git_dir": "$D/repository"}"#;
        assert!(run(&bench, apart).changed);
        assert!(!run(&bench, apart).changed);
        let moved = apart.replace("$D/repository", "$D/moved");
        let done = run(&bench, &moved);
        assert_eq!(done.result.get("git_dir_now").unwrap().to_text(), format!("{}/moved", bench.dir()));
        assert!(!run(&bench, &moved).changed);
        // Files as the addresses of submodules must be allowed.
        sh(
            "git config -f .gitconfig protocol.file.allow always; cd r && git -c protocol.file.allow=always submodule add -q \"$HOME/s\" sub && git commit -qm sub",
        );
        let full = r#"{"repo": "$D/r", "dest": "$D/m"}"#;
        assert!(run(&bench, full).changed);
        bench.expect("[ \"$(cat m/sub/s)\" = 1 ]", &shell.name);
        assert!(!run(&bench, full).changed);
        bench.sh("rm -rf m/sub/.git m/sub/s");
        assert!(run(&bench, &full.replace('}', r#", "force": true}"#)).changed);
        assert_eq!(bench.leftovers(), Vec::<String>::new());
    }
}
