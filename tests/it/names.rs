//! The table of ansible-core's names in COMPATIBILITY.md: none is missing without a reason, and the text is as it is made
//! from the binary's own lists. `UPDATE_CASES=1` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const BEGIN: &str = "<!-- names: begin -->\n";
const END: &str = "<!-- names: end -->\n";

/// Kinds that `xplay doc -l` does not list, because there is only one of each.
const SINGLE: [(&str, &[&str]); 2] = [("vars", &["host_group_vars"]), ("shell", &["sh"])];

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The cells of a table.
fn lines(path: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root(path)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').map(str::to_string).collect()).collect()
}

/// What the binary has of a kind, without the collection in front.
fn own(kind: &str) -> BTreeSet<String> {
    if let Some((_, names)) = SINGLE.iter().find(|(single, _)| *single == kind) {
        return names.iter().map(ToString::to_string).collect();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_xplay"))
        .args(["doc", "-l", "-t", kind])
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    names.map(|name| name.strip_prefix("ansible.builtin.").unwrap_or(name).to_string()).collect()
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((before, after)) => {
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        }
        None => pattern == name,
    }
}

#[test]
fn no_name_of_ansible_core_is_missing_silently() {
    let core = lines("tests/conformance/names.tsv");
    let reasons = lines("tests/conformance/names_missing.tsv");
    let mut kinds: Vec<&str> = Vec::new();
    for line in &core {
        if !kinds.contains(&line[0].as_str()) {
            kinds.push(&line[0]);
        }
    }
    let mut wrong = Vec::new();
    let mut used: BTreeSet<usize> = BTreeSet::new();
    let mut text = String::from("| kind | there | not there, and why |\n|---|---|---|\n");
    for kind in kinds {
        let own = own(kind);
        let names: Vec<&String> = core.iter().filter(|line| line[0] == kind).map(|line| &line[1]).collect();
        let (there, missing): (Vec<&String>, Vec<&String>) =
            names.iter().copied().partition(|name| own.contains(*name));
        let mut why: Vec<(usize, Vec<&str>)> = Vec::new();
        for name in missing {
            let Some(at) = reasons.iter().position(|line| line[0] == kind && fits(&line[1], name)) else {
                wrong.push(format!(
                    "{kind} {name}: not there, and tests/conformance/names_missing.tsv says not why"
                ));
                continue;
            };
            used.insert(at);
            match why.iter_mut().find(|(known, _)| reasons[*known][2] == reasons[at][2]) {
                Some((_, names)) => names.push(name),
                None => why.push((at, vec![name])),
            }
        }
        for name in &there {
            if let Some(line) = reasons.iter().find(|line| line[0] == kind && line[1] == **name) {
                wrong.push(format!("{kind} {name}: there, and also missing because \"{}\"", line[2]));
            }
        }
        let why: Vec<String> =
            why.iter().map(|(at, names)| format!("{}: {}", names.join(", "), reasons[*at][2])).collect();
        let there: Vec<&str> = there.iter().map(|name| name.as_str()).collect();
        let _ = writeln!(
            text,
            "| {kind} ({} of {}) | {} | {} |",
            there.len(),
            names.len(),
            there.join(", "),
            if why.is_empty() { "-".to_string() } else { why.join("<br>") }
        );
    }
    for (at, line) in reasons.iter().enumerate().filter(|(at, _)| !used.contains(at)) {
        wrong.push(format!("line {} of the reasons explains nothing: {} {}", at + 1, line[0], line[1]));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let path = root("COMPATIBILITY.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (found, tail) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{text}{END}{tail}")).unwrap();
    } else {
        assert_eq!(found, text, "UPDATE_CASES=1 writes the table anew");
    }
}
