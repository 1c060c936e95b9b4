//! `subversion` with the svn of this machine and a repository in files.

use super::harness::{Bench, compare, shells};
use xplay::modules::{Effect, Outcome};

fn run(bench: &Bench, args: &str) -> Outcome {
    let before = bench.digest();
    let preview = bench.plan("subversion", args, true).unwrap_or_else(|f| panic!("{args}: {}", f.msg));
    let prediction = bench.plan("subversion", args, false).unwrap_or_else(|f| panic!("{args}: {}", f.msg));
    assert_eq!(bench.digest(), before, "{args}: planning wrote");
    assert_eq!(preview.effect, prediction.effect, "{args}");
    let predicted = preview.result.clone();
    let done = bench.apply("subversion", args, prediction).unwrap_or_else(|f| panic!("{args}: {}", f.msg));
    if preview.effect != Effect::Unknown {
        assert_eq!(done.changed, preview.effect == Effect::Change, "{args}");
    }
    compare(&predicted, &done.result, args);
    assert_eq!(bench.leftovers(), Vec::<String>::new(), "{args}");
    done
}

#[test]
fn working_copies_follow_their_repository() {
    for shell in shells() {
        let bench = Bench::new(&shell);
        if !bench.has("svn") || !bench.has("svnadmin") {
            println!("skipped: {} finds no svn", shell.name);
            continue;
        }
        bench.sh(
            "svnadmin create 'r 1' && svn -q mkdir -m begin \"file://$HOME/r 1/trunk\" \
            && svn -q checkout \"file://$HOME/r 1/trunk\" own && cd own && echo 1 >f && svn -q add f && svn -q commit -m one \
            && svn -q copy -m side \"file://$HOME/r 1/trunk\" \"file://$HOME/r 1/side\"",
        );
        let args =
            |more: &str| format!(r#"{{"repo": "file://$D/r%201/trunk", "dest": "$D/deep/w c"{more}}}"#);
        bench.sh("mkdir deep");
        assert!(run(&bench, &args("")).changed);
        bench.expect("[ \"$(cat 'deep/w c/f')\" = 1 ]", &shell.name);
        assert!(!run(&bench, &args("")).changed);
        bench.sh("cd own && echo 2 >f && svn -q commit -m two");
        assert!(!run(&bench, &args(r#", "update": false"#)).changed);
        assert!(!run(&bench, &args(r#", "revision": "3""#)).changed);
        assert!(run(&bench, &args("")).changed);
        bench.expect("[ \"$(cat 'deep/w c/f')\" = 2 ]", &shell.name);
        assert!(run(&bench, &args(r#", "revision": "2""#)).changed);
        assert!(!run(&bench, &args(r#", "revision": "2""#)).changed);
        bench.expect("[ \"$(cat 'deep/w c/f')\" = 1 ]", &shell.name);
        bench.sh("echo mine >'deep/w c/f'");
        let failure = bench.plan("subversion", &args(""), true).unwrap_err();
        assert_eq!(failure.msg, "ERROR: modified files exist in the repository.");
        assert!(run(&bench, &args(r#", "force": true"#)).changed);
        bench.expect("[ \"$(cat 'deep/w c/f')\" = 2 ]", &shell.name);
        // Another folder of the same repository, and back.
        let side = args("").replace("trunk", "side");
        assert!(run(&bench, &side).changed);
        bench.expect("[ \"$(cat 'deep/w c/f')\" = 1 ]", &shell.name);
        assert!(!run(&bench, &side).changed);
        assert!(run(&bench, &args("")).changed);
    }
}

#[test]
fn exports_and_folders_that_are_there() {
    for shell in shells() {
        let bench = Bench::new(&shell);
        if !bench.has("svn") || !bench.has("svnadmin") {
            println!("skipped: {} finds no svn", shell.name);
            continue;
        }
        bench.sh("svnadmin create r && svn -q checkout \"file://$HOME/r\" own && cd own && echo 1 >f && svn -q add f && svn -q commit -m one");
        let args = |more: &str| format!(r#"{{"repo": "file://$D/r", "dest": "$D/w"{more}}}"#);
        let looked = run(&bench, &args(r#", "checkout": false, "update": false"#));
        assert_eq!(looked.result.get("after").map(xplay::value::Value::to_text), Some("Revision: 1".into()));
        assert!(!run(&bench, &args(r#", "checkout": false"#)).changed);
        assert!(run(&bench, &args(r#", "export": true"#)).changed);
        bench.expect("[ \"$(cat w/f)\" = 1 ] && [ ! -e w/.svn ]", &shell.name);
        let failure = bench.plan("subversion", &args(""), true).unwrap_err();
        assert!(failure.msg.ends_with("/w folder already exists, but its not a subversion repository."));
        assert!(run(&bench, &args(r#", "in_place": true, "force": true"#)).changed);
        assert!(!run(&bench, &args("")).changed);
        bench.expect("[ -e w/.svn ]", &shell.name);
    }
}
