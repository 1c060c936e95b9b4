//! Playbooks against the text that ansible-core printed for them (`tests/cases/record.sh`).
//!
//! A case is a folder: `playbook.yml`, perhaps `inventory` and `args`, and `expected.txt` with stdout and exit code.
//! A case with a file `ours` has no counterpart in Ansible; its text is ours.

use std::path::Path;
use std::process::Command;

/// Runs one case and returns what it printed, with the parts that vary replaced.
fn run(case: &Path) -> String {
    let tmp = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xplay"));
    command.arg("run").arg("playbook.yml").current_dir(case);
    if case.join("inventory").exists() {
        command.args(["-i", "inventory"]);
    }
    if let Ok(args) = std::fs::read_to_string(case.join("args")) {
        command.args(args.split_whitespace());
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
    text += &format!("exit {}\n", output.status.code().unwrap_or(-1));
    if output.status.code() == Some(1) {
        text.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    text.replace(&tmp.path().display().to_string(), "CASE_TMP").replace(&case.display().to_string(), "CASE")
}

/// Replaces times and the name of this machine's shell interpreter.
fn steady(text: &str) -> String {
    let times = fancy_regex::Regex::new(
        r#""(delta|start|end|atime|ctime|mtime)": ("[^"]*"|[0-9.]+)|"(inode|dev|uid|gid)": [0-9]+"#,
    )
    .unwrap();
    let text = times.replace_all(text, "\"$1$3\": TIME");
    text.split("\n\n").map(in_order).collect::<Vec<_>>().join("\n\n")
}

/// Sorts the results of one task by host: they come as they are ready.
fn in_order(paragraph: &str) -> String {
    let mut lines = paragraph.split_inclusive('\n');
    let Some(banner) = lines.next().filter(|b| b.starts_with("TASK [") || b.starts_with("RUNNING HANDLER ["))
    else {
        return paragraph.to_string();
    };
    let mut results: Vec<String> = Vec::new();
    for line in lines {
        let begins =
            ["ok: ", "changed: ", "skipping: ", "fatal: ", "failed: "].iter().any(|w| line.starts_with(w));
        match results.last_mut() {
            Some(last) if !begins => last.push_str(line),
            _ => results.push(line.trim_end_matches('\n').to_string() + "\n"),
        }
    }
    let host = |r: &String| {
        r.split_once('[').and_then(|(_, r)| r.split_once([']', ' '])).map(|(h, _)| h.to_string())
    };
    results.sort_by_key(host);
    format!("{banner}{}", results.concat())
}

#[test]
fn cases_print_what_ansible_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/playbooks");
    let mut cases: Vec<_> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    let mut wrong = Vec::new();
    for case in cases {
        let expected = std::fs::read_to_string(case.join("expected.txt")).unwrap();
        let got = run(&case);
        if steady(&got) != steady(&expected) {
            let (expected, got) = (steady(&expected), steady(&got));
            let diff = similar::TextDiff::from_lines(&expected, &got);
            wrong.push(format!("{}\n{}", case.display(), diff.unified_diff().context_radius(2)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
