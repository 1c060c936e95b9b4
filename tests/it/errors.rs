//! What people read when something in a project is wrong: whole texts of stdout, stderr and the exit code.
//!
//! `tests/cases/errors/*.case` holds the files of a project, each after a line `--- NAME`; `args` has what follows
//! `xplay run`. What is expected stands after `=== expected` and is written anew with `UPDATE_CASES=1`. In
//! `tests/cases/looks` the words follow `xplay` alone: commands that look at a project.

use std::path::Path;
use std::process::Command;

const EXPECTED: &str = "\n=== expected\n";

/// Lays out a case's files and returns the words of the command line.
fn lay_out(files: &str, dir: &Path) -> Vec<String> {
    let mut args = vec!["site.yml".to_string()];
    for file in format!("\n{files}\n").split("\n--- ").skip(1) {
        let (name, text) = file.split_once('\n').unwrap_or((file, ""));
        if name == "args" {
            args = text.lines().filter(|l| !l.is_empty()).map(str::to_string).collect();
            continue;
        }
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // `\e` stands for the escape character, which the case's own file should not hold.
        std::fs::write(path, text.trim_end_matches('\n').replace("\\e", "\u{1b}") + "\n").unwrap();
    }
    args
}

fn run(case: &Path, command: &[&str], files: &str) -> String {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("project");
    std::fs::create_dir(&dir).unwrap();
    let args = lay_out(files, &dir);
    let output = Command::new(env!("CARGO_BIN_EXE_xplay"))
        .args(command)
        .args(&args)
        .current_dir(&dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", tmp.path())
        .env("XPLAY_NO_REPORT", "1")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let mut text = String::new();
    for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
        let bytes = String::from_utf8(bytes).unwrap();
        assert!(!bytes.contains('\u{1b}'), "{}: an escape character in {name}", case.display());
        text.extend([format!("[{name}]\n{bytes}")]);
    }
    text.extend([format!("[exit {}]\n", output.status.code().unwrap_or(-1))]);
    let canonical = tmp.path().canonicalize().unwrap();
    text.replace(&canonical.display().to_string(), "TMP").replace(&tmp.path().display().to_string(), "TMP")
}

#[test]
fn messages_stay_as_they_are() {
    compare("errors", &["run"]);
}

#[test]
fn looks_at_projects_stay_as_they_are() {
    compare("looks", &[]);
}

fn compare(folder: &str, command: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder);
    let mut cases: Vec<_> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    let times = fancy_regex::Regex::new(r#""(delta|start|end)": "[^"]*""#).unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let text = std::fs::read_to_string(&case).unwrap();
        let (files, expected) = text.split_once(EXPECTED).unwrap_or((&text, ""));
        let got = times.replace_all(&run(&case, command, files), "\"$1\": VARIES").into_owned();
        if std::env::var_os("UPDATE_CASES").is_some() {
            std::fs::write(&case, format!("{}{EXPECTED}{got}", files.trim_end_matches('\n'))).unwrap();
        } else if got != expected {
            let diff = similar::TextDiff::from_lines(expected, &got);
            wrong.push(format!("{}\n{}", case.display(), diff.unified_diff().context_radius(2)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const BOOK: &str = r#"
- hosts: localhost
  gather_facts: false
  vars:
    plain: "x{{ token }}y"
    token: !vault |
SEALED
  tasks:
    - command: echo {{ token }} {{ plain }}
      register: out
    - debug: {var: out}
    - debug: {msg: "{{ token }}"}
    - copy: {content: "{{ token }}\n", dest: DIR/file, mode: "0600"}
    - shell: cat DIR/file >&2; exit 3
      ignore_errors: true
    - fail: {msg: "it was {{ token }}"}
"#;

/// A vault value stays hidden in every output, also when a program on the host prints it.
#[test]
fn secrets_are_masked_everywhere() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    std::fs::write(dir.join("pw"), "password\n").unwrap();
    let password = xplay::vault::Password::new(b"password");
    let sealed =
        xplay::vault::encrypt(b"TopSecret-4711", &password, None, &xplay::vault::Salt::Random).unwrap();
    let encrypted: String = sealed.lines().map(|l| format!("      {l}\n")).collect();
    let book = BOOK.replace("SEALED\n", &encrypted).replace("DIR", &dir.display().to_string());
    std::fs::write(dir.join("site.yml"), book).unwrap();
    for json in [false, true] {
        let report = dir.join("report.html");
        let mut command = Command::new(env!("CARGO_BIN_EXE_xplay"));
        command
            .args(["run", "site.yml", "-vvv", "--diff", "--vault-password-file", "pw", "--report"])
            .arg(&report)
            .current_dir(dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", dir);
        if json {
            command.arg("--json");
        }
        let _ = std::fs::remove_file(dir.join("file"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(std::fs::read_to_string(dir.join("file")).unwrap(), "TopSecret-4711\n");
        let html = std::fs::read(&report).unwrap();
        for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr), ("report", html)] {
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains("TopSecret"), "json {json}, {name}:\n{text}");
        }
    }
}
