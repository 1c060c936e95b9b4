//! `get_url` and `uri` with the clients of this machine and a server on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use super::harness::{Bench, Shell, shell_without, shells};
use xplay::modules::{Effect, Failure, Outcome};

/// Serves a few paths; returns the address. The thread ends with the test's process.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let mut reader = BufReader::new(stream);
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                    break;
                }
                head.push(line.trim_end().to_string());
            }
            let header = |name: &str| {
                head.iter().find_map(|l| {
                    let (n, v) = l.split_once(": ")?;
                    n.eq_ignore_ascii_case(name).then(|| v.to_string())
                })
            };
            let length = header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let request: Vec<&str> = head.first().map(|l| l.split(' ').collect()).unwrap_or_default();
            let plain = |text: &str| ("200 OK", "Content-Type: text/plain\r\n".to_string(), text.to_string());
            let (status, headers, content) = match request[..] {
                [_, "/f", _] if header("if-modified-since").is_some() => {
                    ("304 Not Modified", String::new(), String::new())
                }
                [_, "/f" | "/new", _] => plain("hello\n"),
                [_, "/named", _] => (
                    "200 OK",
                    "Content-Disposition: attachment; filename=\"other name.txt\"\r\n".to_string(),
                    "named\n".to_string(),
                ),
                [_, "/sums", _] => {
                    plain("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03  f\n")
                }
                [_, "/away", _] => ("302 Found", "Location: /f\r\n".to_string(), String::new()),
                [method, "/echo", _] => {
                    let text = format!(
                        "{{\"method\": \"{method}\", \"type\": \"{}\", \"agent\": \"{}\", \"auth\": \"{}\", \"body\": \"{}\"}}",
                        header("content-type").unwrap_or_default(),
                        header("user-agent").unwrap_or_default(),
                        header("authorization").unwrap_or_default(),
                        String::from_utf8_lossy(&body).replace('"', "'")
                    );
                    (
                        "200 OK",
                        "Content-Type: application/json\r\nSet-Cookie: id=7; Path=/\r\n".to_string(),
                        text,
                    )
                }
                _ => ("404 Not Found", String::new(), "nothing here\n".to_string()),
            };
            let _ = write!(
                reader.get_mut(),
                "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{content}",
                content.len()
            );
        }
    });
    address
}

fn run(bench: &Bench, module: &str, args: &str) -> Result<Outcome, Failure> {
    let prediction = bench.plan(module, args, false)?;
    bench.apply(module, args, prediction)
}

fn text(outcome: &Outcome, key: &str) -> String {
    outcome.result.get(key).map(|v| v.repr()).unwrap_or_default()
}

/// Returns the shells, and one that has only wget.
fn clients() -> Vec<Shell> {
    let mut all = shells();
    all.push(shell_without("curl"));
    all
}

/// Returns the benches whose shell finds a client for the network.
fn with_clients(shells: &[Shell]) -> impl Iterator<Item = (Bench<'_>, &str)> {
    shells.iter().filter_map(|shell| {
        let bench = Bench::new(shell);
        let has = bench.has("curl") || bench.has("wget");
        if !has {
            println!("skipped: {} finds neither curl nor wget", shell.name);
        }
        has.then_some((bench, shell.name.as_str()))
    })
}

#[test]
fn files_come_from_the_net() {
    let server = serve();
    for (bench, shell) in with_clients(&clients()) {
        let args = format!(r#"{{"url": "{server}/f", "dest": "$D/a b", "mode": "0640"}}"#);
        assert_eq!(bench.plan("get_url", &args, true).unwrap().effect, Effect::Change, "{shell}");
        let done = run(&bench, "get_url", &args).unwrap();
        assert!(done.changed, "{shell}");
        assert_eq!(text(&done, "msg") + &text(&done, "status_code"), "'OK (6 bytes)'200", "{shell}");
        assert_eq!(text(&done, "checksum_src"), "'f572d396fae9206628714fb2ce00f72e94f2258f'");
        bench.expect(r#"[ "$(cat 'a b')" = hello ] && [ "$(stat -c %a 'a b')" = 640 ]"#, shell);
        assert_eq!(bench.plan("get_url", &args, true).unwrap().effect, Effect::Same, "{shell}");
        assert!(!run(&bench, "get_url", &args).unwrap().changed, "{shell}: 304");
        // A server that knows no dates sends all, and nothing is written.
        bench.sh("printf 'hello\\n' >new");
        let new = format!(r#"{{"url": "{server}/new", "dest": "$D/new"}}"#);
        assert_eq!(bench.plan("get_url", &new, true).unwrap().effect, Effect::Same, "{shell}");
        assert!(!run(&bench, "get_url", &new).unwrap().changed, "{shell}");
        bench.sh("printf old >new");
        assert_eq!(bench.plan("get_url", &new, true).unwrap().effect, Effect::Change, "{shell}");
        assert!(run(&bench, "get_url", &new).unwrap().changed, "{shell}");
        let sums = format!(
            r#"{{"url": "{server}/f", "dest": "$D/a b", "force": true, "checksum": "sha256:{server}/sums"}}"#
        );
        assert!(!run(&bench, "get_url", &sums).unwrap().changed, "{shell}");
        let wrong = format!(r#"{{"url": "{server}/f", "dest": "$D/wrong", "checksum": "md5:00"}}"#);
        let failure = run(&bench, "get_url", &wrong).unwrap_err();
        assert!(
            failure.msg.ends_with("did not match 00; it was b1946ac92492d2347c6235b4d2611184."),
            "{}",
            failure.msg
        );
        let missing = format!(r#"{{"url": "{server}/none", "dest": "$D/none"}}"#);
        let failure = run(&bench, "get_url", &missing).unwrap_err();
        assert_eq!(
            (failure.msg.as_str(), failure.result.get("response").unwrap().to_text().as_str()),
            ("Request failed", "HTTP Error 404: Not Found"),
            "{shell}"
        );
        let named = format!(r#"{{"url": "{server}/named", "dest": "$D"}}"#);
        run(&bench, "get_url", &named).unwrap();
        bench.expect("[ \"$(cat 'other name.txt')\" = named ] && [ ! -e none ] && [ ! -e wrong ]", shell);
        assert_eq!(bench.leftovers(), Vec::<String>::new(), "{shell}");
    }
}

#[test]
fn services_are_asked() {
    let server = serve();
    for (bench, shell) in with_clients(&clients()) {
        let get = format!(r#"{{"url": "{server}/f", "return_content": true}}"#);
        let read = bench.plan("uri", &get, true).unwrap();
        assert_eq!(read.effect, Effect::Read, "{shell}");
        assert_eq!(read.result.get("content").unwrap().repr(), r"'hello\n'", "{shell}");
        let away = format!(r#"{{"url": "{server}/away"}}"#);
        let read = bench.plan("uri", &away, false).unwrap().result;
        assert_eq!(read.get("status").unwrap().repr(), "200", "{shell}");
        let failure = bench.plan("uri", &format!(r#"{{"url": "{server}/none"}}"#), false).unwrap_err();
        assert_eq!(failure.msg, "Status code was 404 and not [200]: HTTP Error 404: Not Found", "{shell}");
        let refused = r#"{"url": "http://127.0.0.1:9/"}"#;
        let failure = bench.plan("uri", refused, false).unwrap_err();
        assert!(
            failure.msg.starts_with("Status code was -1 and not [200]: Request failed: "),
            "{}",
            failure.msg
        );
        if shell == "busybox" {
            continue; // its wget can only get
        }
        let post = format!(
            r#"{{"url": "{server}/echo", "method": "POST", "body_format": "json", "body": {{"a": "it's"}}, "user": "ada", "password": "s3\"cret", "force_basic_auth": true}}"#
        );
        let done = run(&bench, "uri", &post).unwrap();
        assert!(!done.changed);
        assert_eq!(
            text(&done, "json"),
            "{'method': 'POST', 'type': 'application/json', 'agent': 'ansible-httpget', 'auth': 'Basic YWRhOnMzImNyZXQ=', \
             'body': \"{'a': 'it's'}\"}",
            "{shell}"
        );
        assert_eq!(text(&done, "cookies"), "{'id': '7'}");
        let to_file = format!(r#"{{"url": "{server}/f", "dest": "$D/out", "mode": "0600"}}"#);
        assert!(run(&bench, "uri", &to_file).unwrap().changed);
        bench.expect(r#"[ "$(cat out)" = hello ] && [ "$(stat -c %a out)" = 600 ]"#, shell);
        assert!(
            !run(&bench, "uri", &to_file.replace("\"mode\"", "\"status_code\": 304, \"mode\""))
                .unwrap()
                .changed
        );
        assert_eq!(bench.leftovers(), Vec::<String>::new(), "{shell}");
    }
}
