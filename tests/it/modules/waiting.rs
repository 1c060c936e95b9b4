//! Modules that wait for something: what `wait_for` finds, and `expect`, which talks with programs.

use std::io::Write;
use std::net::TcpListener;

use super::harness::{Bench, shells};
use xplay::modules::{Effect, Failure, Outcome};

fn run(bench: &Bench, module: &str, args: &str) -> Result<Outcome, Failure> {
    let prediction = bench.plan(module, args, false)?;
    bench.apply(module, args, prediction)
}

#[test]
fn what_is_waited_for_is_told() {
    for shell in shells() {
        let bench = Bench::new(&shell);
        bench.sh("printf 'one\\nport 8080 of web\\n' >'a f'");
        let args = r#"{"path": "$D/a f", "search_regex": "port (?P<number>\\d+) (of)"}"#;
        let found = run(&bench, "wait_for", args).unwrap();
        let get = |name: &str| found.result.get(name).unwrap().repr();
        assert_eq!(get("match_groups"), "['8080', 'of']", "{}", shell.name);
        assert_eq!(get("match_groupdict"), "{'number': '8080'}");
        // It comes while it is waited for, and goes while that is waited for.
        bench.sh("(sleep 1; : >late) >/dev/null 2>&1 &");
        let late = run(&bench, "wait_for", r#"{"path": "$D/late", "timeout": 30}"#).unwrap();
        assert!(late.result.get("elapsed").unwrap().as_int().unwrap() >= 1, "{}", shell.name);
        bench.sh("(sleep 1; rm late) >/dev/null 2>&1 &");
        run(&bench, "wait_for", r#"{"path": "$D/late", "state": "absent", "timeout": 30}"#).unwrap();
        let absent =
            run(&bench, "wait_for", r#"{"path": "$D/a f", "state": "absent", "timeout": 0}"#).unwrap_err();
        assert!(absent.msg.ends_with("a f to be absent."), "{}", absent.msg);
        let own = r#"{"path": "$D/none", "timeout": 0, "msg": "no web"}"#;
        assert_eq!(run(&bench, "wait_for", own).unwrap_err().msg, "no web");
    }
}

#[test]
fn what_servers_say_is_waited_for() {
    for shell in shells() {
        let bench = Bench::new(&shell);
        if !bench.has("bash") && !bench.has("nc") {
            println!("skipped: {} has nothing to connect with", shell.name);
            continue;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"SSH-2.0-web\r\n").unwrap();
            // Kept open until the other side has seen enough.
            std::thread::sleep(std::time::Duration::from_secs(1));
        });
        let args =
            format!(r#"{{"port": {port}, "search_regex": "SSH-2", "timeout": 30, "connect_timeout": 3}}"#);
        run(&bench, "wait_for", &args).unwrap();
        server.join().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let drained = format!(r#"{{"port": {port}, "state": "drained", "timeout": 0}}"#);
        let failed = run(&bench, "wait_for", &drained).unwrap_err();
        assert_eq!(failed.msg, format!("Timeout when waiting for 127.0.0.1:{port} to drain"));
        let without =
            format!(r#"{{"port": {port}, "state": "drained", "timeout": 0, "exclude_hosts": "127.0.0.1"}}"#);
        run(&bench, "wait_for", &without).unwrap();
        drop(client);
    }
}

#[test]
fn programs_are_answered() {
    for shell in shells() {
        let bench = Bench::new(&shell);
        if !bench.has("script") {
            println!("skipped: {} has no script(1)", shell.name);
            continue;
        }
        bench.sh("printf '%s\\n' 'stty -echo' 'printf \"Name: \"' 'read -r a' 'printf \"\\nAgain (y/N)? \"' 'read -r b' 'echo; echo \"<$a> <$b>\"; [ -t 0 ] && [ -t 1 ]' >ask");
        let ask = |responses: &str, more: &str| {
            let args = format!(r#"{{"command": "sh '$D/ask'", "responses": {responses}{more}}}"#);
            let preview = bench.plan("expect", &args, true).unwrap();
            assert!(more.contains("creates") || preview.effect == Effect::Unknown);
            run(&bench, "expect", &args)
        };
        let said = ask(r#"{"(?i)name: $": "it's $(touch pwned)", "\\(y/N\\)\\?": "y"}"#, "").unwrap();
        let stdout = said.result.get("stdout").unwrap().to_text();
        assert!(stdout.ends_with("<it's $(touch pwned)> <y>"), "{}: {stdout:?}", shell.name);
        assert!(said.changed && said.result.get("rc").unwrap().repr() == "0");
        let both = ask(r#"{"[?:] ": ["one", "two"]}"#, "").unwrap();
        assert!(both.result.get("stdout").unwrap().to_text().ends_with("<one> <two>"));
        let failed = ask(r#"{"[?:] ": ["one"]}"#, "").unwrap_err();
        assert!(
            failed.msg.starts_with("No remaining responses for '[?:] ', output was 'Name: "),
            "{}",
            failed.msg
        );
        let failed = ask(r#"{"nothing": "x"}"#, r#", "timeout": 1"#).unwrap_err();
        assert_eq!(failed.msg, "command exceeded timeout");
        let there = ask(r#"{"x": "y"}"#, r#", "creates": "$D/ask", "chdir": "$D""#);
        assert!(!there.is_ok_and(|outcome| outcome.changed), "creates");
        // The last words look like a prompt, and nobody is there to be answered.
        let args = r#"{"command": "ls '$D/none'", "responses": {"none": "y"}}"#;
        assert_eq!(run(&bench, "expect", args).unwrap_err().msg, "non-zero return code");
        assert_eq!(bench.leftovers(), Vec::<String>::new());
    }
}
