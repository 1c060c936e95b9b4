//! Replays the recordings of a real xCAT against the emulated one and compares stdout, stderr and exit code.
//!
//! `tests/xcat/differences.tsv` lists every recording that is not reproduced exactly, with its reason. An unlisted
//! difference fails the test, and so does a listed one that has gone.

mod lab;
mod normal;

use lab::Lab;
use normal::normalised;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Deserialize)]
struct Entry {
    argv: Vec<String>,
    stdin: Option<String>,
    stdout: String,
    stderr: String,
    rc: i32,
    id: usize,
    env: Option<Vec<String>>,
}

/// Programs beside xCAT that the recordings also hold. Most prepared something, which `lab` does in its own way.
const OTHER_PROGRAMS: &[&str] =
    &["bash", "sh", "cat", "ls", "find", "mv", "grep", "tail", "useradd", "chroot"];

#[test]
fn recordings_are_reproduced() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/xcat");
    let mut files: Vec<String> = fs::read_dir(dir.join("transcripts"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().trim_end_matches(".json").to_string())
        .collect();
    files.sort();
    let next = AtomicUsize::new(0);
    let results: Vec<(usize, Differences)> = std::thread::scope(|scope| {
        let worker = || {
            let (mut compared, mut different) = (0, Differences::new());
            while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                compared += replay_file(&dir, file, &mut different);
            }
            (compared, different)
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let compared: usize = results.iter().map(|(compared, _)| compared).sum();
    let different: Differences = results.into_iter().flat_map(|(_, different)| different).collect();
    let listed: BTreeMap<(String, usize), String> = fs::read_to_string(dir.join("differences.tsv"))
        .unwrap()
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            assert_eq!(cells.len(), 3, "file, id and reason: {line}");
            assert!(cells[2].len() > 10, "a reason: {line}");
            ((cells[0].to_string(), cells[1].parse().unwrap()), cells[2].to_string())
        })
        .collect();
    println!("{compared} recordings compared, {} differ as listed", listed.len());
    let mut report = String::new();
    for ((file, id), text) in different.iter().filter(|(key, _)| !listed.contains_key(*key)) {
        writeln!(report, "--- {file} {id}: {text}").unwrap();
    }
    for (file, id) in listed.keys().filter(|key| !different.contains_key(*key)) {
        writeln!(report, "--- {file} {id} is listed as different but is reproduced").unwrap();
    }
    assert!(report.is_empty(), "{report}");
}

/// Replays one file and returns how many recordings were compared.
fn replay_file(dir: &Path, file: &str, different: &mut Differences) -> usize {
    let text = fs::read_to_string(dir.join(format!("transcripts/{file}.json"))).unwrap();
    let entries: Vec<Entry> = serde_json::from_str(&text).unwrap();
    let mut lab = Lab::new(file);
    let mut compared = 0;
    for entry in &entries {
        lab.before(entry.id);
        let Some(got) = lab.replay(entry) else { continue };
        compared += 1;
        let cell = |text: &str| normalised(&entry.argv, text);
        let expect = (entry.rc, cell(&entry.stdout), cell(&entry.stderr));
        let got = (got.0, cell(&got.1), cell(&got.2));
        if let Some(text) = difference(&expect, &got) {
            different.insert((file.to_string(), entry.id), format!("{}\n{text}", entry.argv.join(" ")));
        }
    }
    compared
}

/// Holds what differs, by file and recording.
type Differences = BTreeMap<(String, usize), String>;

type Outcome = (i32, String, String);

fn difference(expect: &Outcome, got: &Outcome) -> Option<String> {
    let mut out = String::new();
    if expect.0 != got.0 {
        writeln!(out, "  rc: expected {}, got {}", expect.0, got.0).unwrap();
    }
    for (name, expect, got) in [("stdout", &expect.1, &got.1), ("stderr", &expect.2, &got.2)] {
        // The recorder cut very long output; what it kept must be there.
        let same = match expect.contains("cut by the recorder") {
            true => expect.lines().filter(|line| !line.contains("cut by")).all(|line| got.contains(line)),
            false => expect == got,
        };
        if !same {
            writeln!(out, "  {name}:").unwrap();
            for change in similar::TextDiff::from_lines(expect, got).iter_all_changes() {
                if change.tag() != similar::ChangeTag::Equal {
                    write!(out, "    {}{}", change.tag(), change.to_string_lossy()).unwrap();
                }
            }
        }
    }
    (!out.is_empty()).then_some(out)
}
