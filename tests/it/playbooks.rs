//! Playbooks against the text that ansible-core printed for them (`tests/cases/record.sh`).
//!
//! A case is a folder: `playbook.yml`, perhaps `inventory`, `args` and `stdin`, and `expected.txt` with stdout and exit code.
//! A case with a file `ours` differs from Ansible on purpose, for the reason that stands in it; its text is ours and
//! is written anew with `UPDATE_CASES=1`.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Runs one case and returns what it printed, with the parts that vary replaced.
fn run(case: &Path) -> String {
    let tmp = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xplay"));
    let args = std::fs::read_to_string(case.join("args")).unwrap_or_default();
    // A preview by xplay's own name predicts each step from the ones before; by Ansible's, from what is there.
    if args.contains("--check") && !case.join("ours").exists() {
        command.arg0("ansible-playbook");
    } else {
        command.arg("run");
    }
    command.arg("playbook.yml").args(args.split_whitespace()).current_dir(case);
    if case.join("inventory").exists() {
        command.args(["-i", "inventory"]);
    }
    if let Ok(answers) = std::fs::File::open(case.join("stdin")) {
        command.stdin(answers);
    }
    let output = command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", tmp.path())
        .env("CASE_TMP", tmp.path())
        .env("XPLAY_NO_REPORT", "1")
        .output()
        .unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    let ended = format!("exit {}\n", output.status.code().unwrap_or(-1));
    text.push_str(&ended);
    if output.status.code() == Some(1) {
        text.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    text.replace(&tmp.path().display().to_string(), "CASE_TMP").replace(&case.display().to_string(), "CASE")
}

/// Takes out what varies from run to run, and what is said in other words on purpose.
fn steady(text: &str) -> String {
    const RULES: &[(&str, &str)] = &[
        (
            r#""(delta|start|end|atime|ctime|mtime)": ("[^"]*"|[0-9.]+)|"(inode|dev|uid|gid)": [0-9]+"#,
            "\"$1$3\": VARIES",
        ),
        // Why a host cannot be reached is said by ssh there and by the transport here.
        (r"UNREACHABLE! => .*", "UNREACHABLE!"),
        // Mistakes: a frame here, a traceback and an appendix to the message there.
        (r"(?m)^An exception occurred during task execution.*\n", ""),
        (r"(?ms)^error\[XP\d+\].*?^((fatal|failed): )", "$1"),
        (r#"\\n\\nThe error appears to be in .*?("[,}])"#, "$1"),
        (r"The task includes an option with an undefined variable\.(\.| The error was:) ", ""),
        (r#"(?m)^((?:fatal|failed): .*?)"changed": false, "#, "$1"),
        (r"of type <class '[a-z.A-Z]*'>", "of type str"),
        // A new version of a file is called by its destination here, by its source there.
        (r"(?m)^\+\+\+ after: .*", "+++ after"),
        // Said on stderr there.
        (r"(?m)^(\[WARNING\]: |No config file found).*\n", ""),
    ];
    let mut text = text.to_string();
    for (pattern, replacement) in RULES {
        text = fancy_regex::Regex::new(pattern).unwrap().replace_all(&text, *replacement).into_owned();
    }
    let mut paragraphs: Vec<(String, Vec<String>)> = Vec::new();
    for paragraph in text.split("\n\n").map(|p| p.trim_matches('\n')).filter(|p| !p.is_empty()) {
        let (banner, results) = results(paragraph);
        match paragraphs.last_mut() {
            // Some banners are printed once for each host there.
            Some((last, all)) if *last == banner && banner.ends_with('*') => all.extend(results),
            _ => paragraphs.push((banner, results)),
        }
    }
    let mut out = String::new();
    for (banner, mut results) in paragraphs {
        if banner.starts_with("TASK [") || banner.starts_with("RUNNING HANDLER [") {
            results.sort_by_key(|r| host(r));
        }
        out.extend([format!("{banner}\n{}\n", results.concat())]);
    }
    out
}

/// Splits a paragraph into its first line and the results below it, each with a line break at its end.
fn results(paragraph: &str) -> (String, Vec<String>) {
    const BEGINNINGS: [&str; 7] =
        ["Perform task: ", "ok: ", "changed: ", "skipping: ", "fatal: ", "failed: ", "FAILED - "];
    let mut lines = paragraph.lines();
    let banner = lines.next().unwrap_or_default().to_string();
    let mut results: Vec<String> = Vec::new();
    for line in lines {
        match results.last_mut() {
            Some(last) if !BEGINNINGS.iter().any(|b| line.starts_with(b)) => last.push_str(line),
            _ => results.push(line.to_string()),
        }
        if let Some(last) = results.last_mut() {
            last.push('\n');
        }
    }
    (banner, results)
}

/// Returns the host of a result: results come as they are ready.
fn host(result: &str) -> Option<String> {
    result.split_once('[').and_then(|(_, r)| r.split_once([']', ' '])).map(|(h, _)| h.to_string())
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

#[test]
fn cases_print_what_ansible_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/playbooks");
    let mut cases: Vec<_> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    let mut wrong = Vec::new();
    for case in cases {
        if case.join("needs_root").exists() && !is_root() {
            crate::support::skip(&case.display().to_string(), "not run by root");
            continue;
        }
        let got = run(&case);
        let path = case.join("expected.txt");
        if case.join("ours").exists() && std::env::var_os("UPDATE_CASES").is_some() {
            std::fs::write(&path, &got).unwrap();
        }
        let expected = std::fs::read_to_string(path).unwrap();
        if steady(&got) != steady(&expected) {
            let (expected, got) = (steady(&expected), steady(&got));
            let diff = similar::TextDiff::from_lines(&expected, &got);
            wrong.push(format!("{}\n{}", case.display(), diff.unified_diff().context_radius(2)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
