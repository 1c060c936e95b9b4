//! Modules for real: probe, plan and actions by local shells in a folder of their own.
//!
//! The laws: a preview writes nothing; what was predicted is what comes out; after a change there is nothing to do.

mod apt;
mod covered;
mod dnf;
mod generated;
mod generated_system;
mod git;
mod harness;
mod net;
mod pip;
mod subversion;
mod system;
mod waiting;

use harness::{Bench, shells};
use xplay::modules::Effect;

/// One story: what is there, what is asked for, what is expected.
struct Case {
    name: &'static str,
    module: &'static str,
    /// JSON; `$D` is the folder.
    args: &'static str,
    /// Shell lines that prepare the folder.
    before: &'static str,
    /// A shell condition that holds afterwards.
    after: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "copy a new file",
        module: "copy",
        args: r#"{"content": "hello\n", "dest": "$D/f", "mode": "0640"}"#,
        before: "",
        after: r#"[ "$(cat f)" = hello ] && [ "$(stat -c %a f)" = 640 ]"#,
    },
    Case {
        name: "copy replaces, keeps mode, keeps a backup",
        module: "copy",
        args: r#"{"content": "new", "dest": "$D/f", "backup": true}"#,
        before: "printf old >f; chmod 4711 f",
        after: r#"[ "$(cat f)" = new ] && [ "$(stat -c %a f)" = 4711 ] && [ "$(cat f.*~)" = old ]"#,
    },
    Case {
        name: "copy changes only attributes",
        module: "copy",
        args: r#"{"content": "same", "dest": "$D/f", "mode": "u=rw,go="}"#,
        before: "printf same >f; chmod 644 f",
        after: r#"[ "$(stat -c %a f)" = 600 ]"#,
    },
    Case {
        name: "copy with hostile names",
        module: "copy",
        args: r#"{"content": "$(touch pwned) `x` 'q' \"d\" \\ \n", "dest": "$D/-rf $(touch pwned) 'a\" \n*"}"#,
        before: "",
        after: r#"[ ! -e pwned ] && [ "$(ls | wc -l)" -ge 1 ] && grep -q '`x`' ./-rf*"#,
    },
    Case {
        name: "copy replaces a link",
        module: "copy",
        args: r#"{"content": "new", "dest": "$D/l"}"#,
        before: "printf old >f; ln -s f l",
        after: r#"[ ! -h l ] && [ "$(cat l)" = new ] && [ "$(cat f)" = old ]"#,
    },
    Case {
        name: "copy follows a link",
        module: "copy",
        args: r#"{"content": "new", "dest": "$D/l", "follow": true}"#,
        before: "printf old >'f g'; ln -s 'f g' l",
        after: r#"[ -h l ] && [ "$(cat 'f g')" = new ]"#,
    },
    Case {
        name: "copy a project file into a folder",
        module: "copy",
        args: r#"{"src": "plain.txt", "dest": "$D/"}"#,
        before: "",
        after: "cmp -s plain.txt ../files/plain.txt",
    },
    Case {
        name: "copy makes the folders of dest/",
        module: "copy",
        args: r#"{"src": "plain.txt", "dest": "$D/a/b c/", "directory_mode": "0750"}"#,
        before: "",
        after: r#"cmp -s 'a/b c/plain.txt' ../files/plain.txt && [ "$(stat -c %a a)" = 750 ]"#,
    },
    Case {
        name: "copy a folder",
        module: "copy",
        args: r#"{"src": "tree", "dest": "$D", "mode": "0600", "directory_mode": "0700"}"#,
        before: "mkdir tree; printf stale >tree/one",
        after: r#"diff -r tree ../files/tree && [ "$(stat -c %a tree/one)" = 600 ] && [ "$(stat -c %a "tree/sub dir")" = 700 ]"#,
    },
    Case {
        name: "copy a folder's contents",
        module: "copy",
        args: r#"{"src": "tree/", "dest": "$D/out", "mode": "preserve"}"#,
        before: "",
        after: r#"diff -r out ../files/tree && [ -x out/run ]"#,
    },
    Case {
        name: "copy on the target",
        module: "copy",
        args: r#"{"src": "$D/a b", "dest": "$D/c", "remote_src": true}"#,
        before: "printf x >'a b'; chmod 751 'a b'",
        after: r#"[ "$(cat c)" = x ] && [ "$(stat -c %a c)" = 751 ]"#,
    },
    Case {
        name: "copy a folder on the target",
        module: "copy",
        args: r#"{"src": "$D/from/", "dest": "$D/to", "remote_src": true, "local_follow": false}"#,
        before: "mkdir -p 'from/s d' to; printf 1 >from/a; printf 2 >'from/s d/-b'; ln -s a from/l; printf 0 >to/a",
        after: "diff -r from to && [ -h to/l ]",
    },
    Case {
        name: "template",
        module: "template",
        args: r#"{"src": "motd.j2", "dest": "$D/motd", "newline_sequence": "\r\n"}"#,
        before: "",
        after: r#"[ "$(od -An -tx1 motd | tr -d ' \n')" = 68690d0a ]"#,
    },
    Case {
        name: "validate sees the new file",
        module: "copy",
        args: r#"{"content": "good\n", "dest": "$D/f", "validate": "grep -q good %s"}"#,
        before: "",
        after: "[ -e f ]",
    },
    Case {
        name: "file makes folders",
        module: "file",
        args: r#"{"path": "$D/a/b c/d", "state": "directory", "mode": "2750"}"#,
        before: "",
        after: r#"[ "$(stat -c %a 'a/b c/d')" = 2750 ] && [ "$(stat -c %a a)" = 2750 ]"#,
    },
    Case {
        name: "file clears a folder's setgid bit",
        module: "file",
        args: r#"{"path": "$D/a", "state": "directory", "mode": "0755"}"#,
        before: "mkdir a; chmod 2700 a",
        after: r#"[ "$(stat -c %a a)" = 755 ]"#,
    },
    Case {
        name: "file sets attributes below",
        module: "file",
        args: r#"{"path": "$D/a", "recurse": true, "mode": "u=rwX,go="}"#,
        before: "mkdir -p 'a/b c'; touch 'a/b c/x' a/-y; chmod 755 a/-y; ln -s /nonexistent a/l",
        after: r#"[ "$(stat -c %a 'a/b c/x')" = 600 ] && [ "$(stat -c %a a/-y)" = 700 ] && [ "$(stat -c %a 'a/b c')" = 700 ]"#,
    },
    Case {
        name: "file removes a tree",
        module: "file",
        args: r#"{"path": "$D/-a b", "state": "absent"}"#,
        before: "mkdir -p './-a b/c'; touch './-a b/c/d'",
        after: "[ ! -e './-a b' ]",
    },
    Case {
        name: "file removes a link, not what it leads to",
        module: "file",
        args: r#"{"path": "$D/l", "state": "absent"}"#,
        before: "mkdir d; touch d/x; ln -s d l",
        after: "[ ! -h l ] && [ -e d/x ]",
    },
    Case {
        name: "file makes a link",
        module: "file",
        args: r#"{"src": "it's $(x)", "dest": "$D/l", "state": "link", "force": true}"#,
        before: "ln -s elsewhere l",
        after: r#"[ "$(readlink l)" = "it's \$(x)" ]"#,
    },
    Case {
        name: "file replaces a link to a folder",
        module: "file",
        args: r#"{"src": "new", "dest": "$D/l", "state": "link"}"#,
        before: "mkdir old new; ln -s old l",
        after: r#"[ "$(readlink l)" = new ] && [ -z "$(ls old new | grep xplay)" ]"#,
    },
    Case {
        name: "file makes a hard link",
        module: "file",
        args: r#"{"src": "$D/a", "dest": "$D/b", "state": "hard"}"#,
        before: "touch a",
        after: r#"[ "$(stat -c %i a)" = "$(stat -c %i b)" ]"#,
    },
    Case {
        name: "file touches with times",
        module: "file",
        args: r#"{"path": "$D/t", "state": "touch", "modification_time": "202001020304.05", "access_time": "preserve", "mode": "0600"}"#,
        before: "",
        after: r#"[ "$(date -r t +%Y%m%d%H%M.%S)" = 202001020304.05 ]"#,
    },
    Case {
        name: "lineinfile adds a line",
        module: "lineinfile",
        args: r#"{"path": "$D/f", "line": "x=$(y) 'z'", "regexp": "^x="}"#,
        before: "printf 'a\\nx=1\\n' >f; chmod 600 f",
        after: r#"[ "$(sed -n 2p f)" = "x=\$(y) 'z'" ] && [ "$(stat -c %a f)" = 600 ]"#,
    },
    Case {
        name: "lineinfile makes file and folder",
        module: "lineinfile",
        args: r#"{"path": "$D/d/f", "line": "x", "create": true, "mode": "0600"}"#,
        before: "",
        after: r#"[ "$(cat d/f)" = x ] && [ "$(stat -c %a d/f)" = 600 ]"#,
    },
    Case {
        name: "lineinfile keeps other bytes and follows links",
        module: "lineinfile",
        args: r#"{"path": "$D/l", "line": "é", "backup": true}"#,
        before: "printf 'caf\\351\\n' >f; ln -s f l",
        after: r#"[ -h l ] && [ "$(od -An -tx1 f | tr -d ' \n')" = 636166e90ac3a90a ] && ls f.*~ >/dev/null"#,
    },
    Case {
        name: "blockinfile",
        module: "blockinfile",
        args: r#"{"path": "$D/f", "block": "one\ntwo", "insertbefore": "BOF"}"#,
        before: "printf 'tail' >f",
        after: r#"[ "$(sed -n 2p f)" = one ] && [ "$(sed -n 5p f)" = tail ]"#,
    },
    Case {
        name: "replace",
        module: "replace",
        args: r#"{"path": "$D/f", "regexp": "^(\\w+) = \\d+$", "replace": "\\1 = n"}"#,
        before: "printf 'a = 1\\nb = 22\\n' >f",
        after: r#"[ "$(cat f | tr '\n' ' ')" = "a = n b = n " ]"#,
    },
    Case {
        name: "assemble on the target",
        module: "assemble",
        args: r#"{"src": "$D/parts", "dest": "$D/whole", "delimiter": "--"}"#,
        before: "mkdir parts; printf 'b\\n' >parts/2; printf a >'parts/1 x'",
        after: r#"[ "$(cat whole | tr '\n' ' ')" = "a -- b " ]"#,
    },
    Case {
        name: "unarchive a tar.gz of the project",
        module: "unarchive",
        args: r#"{"src": "tree.tar.gz", "dest": "$D"}"#,
        before: "",
        after: "diff -r tree ../files/tree",
    },
    Case {
        name: "command with creates",
        module: "command",
        args: r#"{"_raw_params": "touch 'a b'", "chdir": "$D", "creates": "a*b"}"#,
        before: "",
        after: "[ -e 'a b' ]",
    },
    Case {
        name: "shell with a check",
        module: "shell",
        args: r#"{"_raw_params": "echo done > '$D/x'", "check": "test -e '$D/x'"}"#,
        before: "",
        after: r#"[ "$(cat x)" = "done" ]"#,
    },
];

#[test]
fn laws() {
    for shell in shells() {
        for case in CASES {
            check(&Bench::new(&shell), case, &format!("{}: {}", shell.name, case.name));
        }
    }
}

/// Checks the laws in one story.
fn check(bench: &Bench, case: &Case, what: &str) {
    bench.sh(case.before);
    let before = bench.digest();
    let preview = bench.plan(case.module, case.args, true).unwrap_or_else(|f| panic!("{what}: {}", f.msg));
    assert_eq!(preview.effect, Effect::Change, "{what}");
    assert_eq!(bench.digest(), before, "{what}: the preview wrote");
    let prediction = bench.plan(case.module, case.args, false).unwrap();
    let predicted = prediction.result.clone();
    let outcome =
        bench.apply(case.module, case.args, prediction).unwrap_or_else(|f| panic!("{what}: {}", f.msg));
    assert!(outcome.changed, "{what}");
    bench.expect(case.after, what);
    harness::compare(&predicted, &outcome.result, what);
    assert_eq!(bench.leftovers(), Vec::<String>::new(), "{what}");
    let again = bench.plan(case.module, case.args, false).unwrap();
    assert_eq!(again.effect, Effect::Same, "{what}: a second time: {:?}", again.diff);
    assert!(again.change.is_none(), "{what}");
}

#[test]
fn nothing_is_left_when_a_write_fails() {
    for shell in shells() {
        let fails = |before: &str, args: &str, interfere: &str, expect: &str| {
            let bench = Bench::new(&shell);
            bench.sh(before);
            let prediction = bench.plan("copy", args, false).unwrap();
            bench.sh(interfere);
            let digest = bench.content();
            let failure = bench.apply("copy", args, prediction).unwrap_err();
            assert_eq!(failure.msg.replace(&bench.dir(), "$D"), expect, "{}", shell.name);
            assert_eq!(bench.content(), digest, "{}: {expect}", shell.name);
            assert_eq!(bench.leftovers(), Vec::<String>::new());
        };
        let args = r#"{"content": "new", "dest": "$D/f"}"#;
        fails(
            "printf old >f",
            args,
            "printf other >f",
            "$D/f was changed by somebody else in the meantime; it was left alone",
        );
        fails(
            "",
            args,
            "printf other >f",
            "$D/f was made by somebody else in the meantime; it was left alone",
        );
        fails("", args, "mkdir f", "cannot write $D/f: it is a directory");
        let deep = r#"{"content": "new", "dest": "$D/d/f"}"#;
        fails("mkdir d", deep, "rmdir d", "cannot write $D/d/f: there is no directory $D/d");
        let checked = r#"{"content": "new", "dest": "$D/f", "validate": "grep old %s"}"#;
        fails("printf old >f", checked, "", "failed to validate");
    }
}

#[test]
fn commands_tell_what_they_did() {
    for shell in shells() {
        let bench = Bench::new(&shell);
        let run = |module: &str, args: &str| {
            let prediction = bench.plan(module, args, false).unwrap();
            bench.apply(module, args, prediction)
        };
        let get = |map: &xplay::value::Map, key: &str| map.get(key).map(|v| v.repr()).unwrap_or_default();
        let done = run("command", r#"{"_raw_params": "printf '%s|' 'a b' $HOME \"$NOTHING\" '*'"}"#).unwrap();
        assert_eq!(
            get(&done.result, "stdout"),
            format!("'a b|{}|$NOTHING|*|'", bench.dir()),
            "{}",
            shell.name
        );
        assert!(done.changed);
        let done =
            run("shell", r#"{"_raw_params": "cat; echo err >&2; echo; echo", "stdin": "in"}"#).unwrap();
        assert_eq!(get(&done.result, "stdout_lines"), "['in']", "{}", shell.name);
        assert_eq!(get(&done.result, "stderr"), "'err'");
        let failed = run("shell", r#"{"_raw_params": "echo out; exit 3"}"#).unwrap_err();
        assert_eq!(failed.msg, "non-zero return code");
        assert_eq!(get(&failed.result, "rc") + &get(&failed.result, "stdout"), "3'out'");
        let failed = run("command", r#"{"_raw_params": "true", "chdir": "$D/none"}"#).unwrap_err();
        assert_eq!(
            failed.msg,
            format!("Unable to change directory before execution: {}/none", bench.dir()),
            "{}",
            shell.name
        );
        for (line, rc, reason) in [
            ("nosuch --x", "2", "[Errno 2] No such file or directory: b'nosuch'"),
            ("/nosuch", "2", "[Errno 2] No such file or directory: b'/nosuch'"),
            ("/etc/passwd", "13", "[Errno 13] Permission denied: b'/etc/passwd'"),
        ] {
            let args = format!(r#"{{"_raw_params": "{line}"}}"#);
            let failed = run("command", &args).unwrap_err();
            assert_eq!((get(&failed.result, "rc").as_str(), &*failed.msg), (rc, reason), "{}", shell.name);
            assert_eq!([get(&failed.result, "stdout"), get(&failed.result, "stderr")], ["''", "''"]);
            assert_eq!(get(&failed.result, "changed"), "");
        }
        // A program that did start may say the same of another one.
        let failed = run("command", r#"{"_raw_params": "sh -c nosuch"}"#).unwrap_err();
        assert_eq!((get(&failed.result, "rc").as_str(), &*failed.msg), ("127", "non-zero return code"));
        let script = run("script", r#"{"_raw_params": "hello.sh 'x y'"}"#).unwrap();
        assert_eq!(get(&script.result, "stdout"), "'hello x y\\n'", "{}", shell.name);
        let read = bench.plan("command", r#"{"_raw_params": "echo seen", "reads": true}"#, true).unwrap();
        assert_eq!((read.effect, get(&read.result, "stdout")), (Effect::Read, "'seen'".into()));
        let failed = bench.plan("shell", r#"{"_raw_params": "exit 4", "reads": true}"#, true).unwrap_err();
        assert_eq!(get(&failed.result, "rc"), "4");
        assert_eq!(bench.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn readers_read() {
    for shell in shells() {
        let bench = Bench::new(&shell);
        bench.sh("printf 'hello' >'a b'; chmod 640 'a b'; ln -s 'a b' l; mkdir d; printf 'needle\\nx' >d/n.txt; touch d/.h \"d/new\nline\"");
        let read = |module: &str, args: &str| {
            let prediction = bench.plan(module, args, true).unwrap_or_else(|f| panic!("{module}: {}", f.msg));
            assert_eq!(prediction.effect, Effect::Read);
            prediction.result
        };
        let stat = read("stat", r#"{"path": "$D/a b"}"#);
        let stat = stat.get("stat").unwrap();
        assert_eq!(stat.get("mode").unwrap().to_text(), "0640");
        assert_eq!(stat.get("checksum").unwrap().to_text(), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
        let link = read("stat", r#"{"path": "$D/l"}"#);
        assert_eq!(link.get("stat").unwrap().get("lnk_target").unwrap().to_text(), "a b");
        let slurped = read("slurp", r#"{"src": "$D/l"}"#);
        assert_eq!(slurped.get("content").unwrap().to_text(), "aGVsbG8=");
        let found = read("find", r#"{"paths": "$D", "recurse": true, "patterns": "n*"}"#);
        assert_eq!(found.get("matched").unwrap().to_text(), "2", "{}", shell.name);
        let found = read("find", r#"{"paths": "$D", "recurse": true, "contains": "need.e"}"#);
        assert_eq!(found.get("matched").unwrap().to_text(), "1", "{}", shell.name);
        assert_eq!(read("ping", "{}").get("ping").unwrap().to_text(), "pong");
        assert!(bench.plan("slurp", r#"{"src": "$D/none"}"#, true).is_err());
    }
}

#[test]
fn facts_are_gathered() {
    for shell in shells() {
        let bench = Bench::new(&shell);
        bench.sh(r#"mkdir facts; printf '{"a": [1]}' >'facts/x y.fact'
            printf '%s\n' '#!/bin/sh' "echo '{\"b\": 2}'" >facts/run.fact; chmod +x facts/run.fact"#);
        let result = bench.plan("setup", r#"{"fact_path": "$D/facts"}"#, false).unwrap().result;
        let facts = result.get("ansible_facts").unwrap();
        let get = |name: &str| facts.get(name).unwrap_or_else(|| panic!("{}: no {name}", shell.name)).clone();
        assert_eq!(get("ansible_system").to_text(), "Linux");
        assert_eq!(get("ansible_env").get("HOME").unwrap().to_text(), bench.dir(), "{}", shell.name);
        assert_eq!(get("ansible_local").repr(), "{'run': {'b': 2}, 'x y': {'a': [1]}}", "{}", shell.name);
        assert!(get("ansible_memtotal_mb").as_int().unwrap() > 0, "{}", shell.name);
        assert!(get("ansible_processor_vcpus").as_int().unwrap() > 0, "{}", shell.name);
        for name in
            ["distribution", "os_family", "date_time", "mounts", "interfaces", "default_ipv4", "user_id"]
        {
            get(&format!("ansible_{name}"));
        }
        let small = r#"{"gather_subset": ["!all"], "filter": ["ansible_dist*", "kernel"]}"#;
        let result = bench.plan("setup", small, false).unwrap().result;
        let facts = result.get("ansible_facts").unwrap().as_map().unwrap();
        assert!(facts.contains("ansible_kernel") && !facts.contains("ansible_system"));
    }
}

#[test]
fn mounts_are_told() {
    for shell in shells() {
        let bench = Bench::new(&shell);
        bench.sh("printf '/dev/none /my\\\\040data xfs defaults 0 0\\n' >fstab");
        let points = |args: &str| {
            let prediction = bench.plan("mount_facts", args, false).unwrap();
            assert_eq!(prediction.effect, Effect::Read);
            let facts = prediction.result.get("ansible_facts").unwrap().clone();
            facts.get("mount_points").unwrap().as_map().unwrap().clone()
        };
        let all = points("{}");
        let proc = all.get("/proc").unwrap();
        assert_eq!(proc.get("fstype").unwrap().to_text(), "proc", "{}", shell.name);
        let own = points(r#"{"sources": ["$D/fstab"]}"#);
        assert_eq!(own.get("/my data").unwrap().get("device").unwrap().to_text(), "/dev/none");
        assert!(points(r#"{"fstypes": ["none*"]}"#).is_empty());
    }
}

#[test]
fn fetch_brings_files_here() {
    for shell in shells() {
        let bench = Bench::new(&shell);
        bench.sh("printf 'a\\000b' >'x y'");
        let args = r#"{"src": "$D/x y", "dest": "$D/here/", "flat": true}"#;
        let prediction = bench.plan("fetch", args, false).unwrap();
        assert!(bench.apply("fetch", args, prediction).unwrap().changed);
        bench.expect("cmp 'x y' 'here/x y'", &shell.name);
        assert_eq!(bench.plan("fetch", args, false).unwrap().effect, Effect::Same);
    }
}

#[test]
fn waiting_ends() {
    for shell in shells() {
        let bench = Bench::new(&shell);
        bench.sh("printf 'ready 42\\n' >f");
        let run = |args: &str| {
            let prediction = bench.plan("wait_for", args, false).unwrap();
            bench.apply("wait_for", args, prediction)
        };
        let done = run(r#"{"path": "$D/f", "search_regex": "ready \\d+"}"#).unwrap();
        assert!(!done.changed);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        run(&format!(r#"{{"port": {port}, "timeout": 20}}"#)).unwrap();
        drop(listener);
        run(&format!(r#"{{"port": {port}, "state": "stopped", "timeout": 20}}"#)).unwrap();
        let failed = run(r#"{"path": "$D/none", "timeout": 0}"#).unwrap_err();
        assert_eq!(failed.msg.replace(&bench.dir(), "$D"), "Timeout when waiting for file $D/none");
    }
}

#[test]
fn archives_on_the_target() {
    for shell in shells() {
        if shell.name == "busybox" {
            continue; // its tar cannot compare, so that every run unpacks again
        }
        let bench = Bench::new(&shell);
        bench.sh("mkdir out; cp ../files/tree.tar.gz .");
        let args = r#"{"src": "$D/tree.tar.gz", "dest": "$D/out", "remote_src": true, "list_files": true}"#;
        let prediction = bench.plan("unarchive", args, false).unwrap();
        assert_eq!(prediction.effect, Effect::Change);
        bench.apply("unarchive", args, prediction).unwrap();
        bench.expect("diff -r out/tree ../files/tree", &shell.name);
        assert_eq!(bench.plan("unarchive", args, false).unwrap().effect, Effect::Same);
        bench.sh("head -c 100 tree.tar.gz >cut.tar.gz");
        let cut = r#"{"src": "$D/cut.tar.gz", "dest": "$D/out", "remote_src": true}"#;
        assert!(bench.plan("unarchive", cut, false).unwrap_err().msg.ends_with("tar cannot read it"));
    }
}
