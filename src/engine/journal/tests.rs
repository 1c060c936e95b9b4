//! Journals as files: written, read again, cut off, damaged, resumed.

use super::log::parse;
use super::*;
use crate::engine::event::Status;
use crate::value::{Map, Secret, Value};

fn head(id: &str) -> Head {
    Head {
        format: FORMAT,
        id: id.into(),
        started: jiff::Timestamp::UNIX_EPOCH,
        version: "0".into(),
        user: "me".into(),
        controller: "here".into(),
        pid: 1,
        title: "run site.yml".into(),
        cwd: "/p".into(),
        command: String::new(),
        by_vault: false,
        salt: "s".into(),
    }
}

fn sealing(key: &str) -> Sealing {
    Sealing::new(&Secret::new(key), "s").unwrap()
}

fn plain() -> Masking {
    Arc::new(|text: &str| text.to_string())
}

fn header(id: &str) -> TaskHeader {
    TaskHeader { id: id.into(), name: "a step".into(), module: "command".into(), ..TaskHeader::default() }
}

fn key(task: &str, turn: u32) -> StepKey {
    StepKey { task: task.into(), host: "n1".into(), turn, item: None }
}

fn result(status: Status, secret: &str) -> TaskResult {
    TaskResult::new(status, Map::from_iter([("stdout", Value::str(secret))]))
}

/// A run with two verdicts, one of which failed, and a third step that was sent only.
async fn written(runs: &Runs) {
    let journal = Journal::begin(runs.create("r1").unwrap(), head("r1"), sealing("k"), plain()).unwrap();
    journal.verdict(&key("p/one#1", 1), &header("p/one#1"), &result(Status::Changed, "hunter2"), true);
    journal.verdict(&key("p/two#2", 1), &header("p/two#2"), &result(Status::Failed, "x"), false);
    let sent = Sent { attempt: 2, ..Sent::default() };
    journal.sent(&key("p/three#3", 1), &header("p/three#3"), sent).await.unwrap();
}

fn resumed(runs: &Runs, decisions: &[Decision]) -> Result<Journal, JournalError> {
    let now = jiff::Timestamp::UNIX_EPOCH;
    Journal::resume(runs.take("r1")?, sealing("k"), plain(), decisions, now)
}

#[tokio::test]
async fn what_was_written_is_known_again() {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::new(dir.path().join("runs"));
    written(&runs).await;
    let text = std::fs::read_to_string(dir.path().join("runs/r1.journal")).unwrap();
    assert!(!text.contains("hunter2"), "results are sealed: {text}");
    assert_eq!(runs.read("r1").unwrap().state, RunState::Interrupted);

    let journal = resumed(&runs, &[]).unwrap();
    let Past::Settled { result, over: false, .. } = journal.recall(&key("p/one#1", 1)).unwrap() else {
        panic!()
    };
    assert_eq!(result.status, Status::Changed);
    assert_eq!(result.result.get("stdout"), Some(&Value::str("hunter2")));
    assert!(matches!(journal.recall(&key("p/one#1", 2)).unwrap(), Past::New));
    // A failure that took the host out is tried again, under another name on the target.
    assert!(matches!(journal.recall(&key("p/two#2", 1)).unwrap(), Past::Open { open: None, round: 1, .. }));
    let Past::Open { open: Some(sent), round: 0, .. } = journal.recall(&key("p/three#3", 1)).unwrap() else {
        panic!()
    };
    assert_eq!(sent.attempt, 2);
    let (one, host) = ("p/one#1".into(), "n1".into());
    assert!(journal.has_ended(&one, &host));
    assert_eq!((journal.turn(&one, &host), journal.turn(&one, &host)), (1, 2));
    assert!(!journal.has_ended(&one, &host));
    assert!(matches!(runs.take("r1"), Err(JournalError::Busy(_))));
    assert_eq!(runs.read("r1").unwrap().state, RunState::Running);
    drop(journal);

    let other = Journal::resume(
        runs.take("r1").unwrap(),
        sealing("another"),
        plain(),
        &[],
        jiff::Timestamp::UNIX_EPOCH,
    );
    assert!(matches!(other.unwrap().recall(&key("p/one#1", 1)), Err(JournalError::Key)));
}

#[tokio::test]
async fn the_user_decides_what_nobody_knows() {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::new(dir.path());
    written(&runs).await;
    let wrong = resumed(&runs, &[Decision::parse("one", true)]).err().unwrap();
    assert_eq!(wrong.to_string(), "no step of unknown outcome is called \"one\"");
    assert!(resumed(&runs, &[Decision::parse("3@n2", true)]).is_err());
    let journal = resumed(&runs, &[Decision::parse("3@n1", false)]).unwrap();
    let past = journal.recall(&key("p/three#3", 1)).unwrap();
    assert!(matches!(past, Past::Open { open: None, round: 1, .. }));
    journal.sent(&key("p/three#3", 1), &header("p/three#3"), Sent::default()).await.unwrap();
    drop(journal);
    let journal = resumed(&runs, &[Decision::parse("three", true)]).unwrap();
    assert!(matches!(journal.recall(&key("p/three#3", 1)).unwrap(), Past::AssumedDone { .. }));
    drop(journal);
    // It stays decided.
    let journal = resumed(&runs, &[]).unwrap();
    assert!(matches!(journal.recall(&key("p/three#3", 1)).unwrap(), Past::AssumedDone { .. }));
}

#[tokio::test]
async fn a_torn_end_is_dropped_and_other_damage_refused() {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::new(dir.path());
    written(&runs).await;
    let path = dir.path().join("r1.journal");
    let whole = std::fs::read(&path).unwrap();
    let lines: Vec<usize> =
        whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
    let records = parse(&whole).unwrap().records;
    assert_eq!(records.len(), lines.len());
    // Cut at every byte: whole lines count.
    for end in 1..whole.len() {
        let complete = lines.iter().filter(|at| **at <= end).count();
        match parse(&whole[..end]) {
            Ok(parsed) => assert_eq!(parsed.records[..], records[..complete], "cut at {end}"),
            Err(_) => assert_eq!(complete, 0, "cut at {end}"),
        }
    }
    // Space that was reserved on the disk and never written.
    let mut zeros = whole.clone();
    zeros.extend([0; 100]);
    assert_eq!(parse(&zeros).unwrap().records.len(), records.len());
    // A flipped bit anywhere but in the last line.
    let last = lines[lines.len() - 2];
    for at in (0..last).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        std::fs::write(&path, &damaged).unwrap();
        let error = runs.read("r1").unwrap_err().to_string();
        let line = lines.iter().filter(|end| **end <= at).count() + 1;
        let place = format!("the journal {} is damaged in line {line}: ", path.display());
        assert!(error.starts_with(&place), "{at}: {error}");
    }
    // A line that is missing in the middle.
    let mut shorter = whole[..lines[1]].to_vec();
    shorter.extend(&whole[lines[2]..]);
    std::fs::write(&path, &shorter).unwrap();
    assert_eq!(
        runs.read("r1").unwrap_err().to_string(),
        format!("the journal {} is damaged in line 3: its checksum does not fit", path.display())
    );
    // What was torn is cut off, and the journal goes on behind it.
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    drop(resumed(&runs, &[]).unwrap());
    let now = runs.read("r1").unwrap().records;
    assert_eq!(now[..records.len() - 1], records[..records.len() - 1]);
    assert!(matches!(now[records.len() - 1], Record::Resumed { .. }));
}

#[test]
fn runs_are_found_by_the_beginning_of_their_ids() {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::new(dir.path());
    assert_eq!(runs.find("last").unwrap_err().to_string(), "no run is called \"last\"");
    for id in ["20260101-aa", "20260101-ab", "20260201-aa"] {
        drop(Journal::begin(runs.create(id).unwrap(), head(id), sealing("k"), plain()).unwrap());
    }
    assert_eq!(runs.find("last").unwrap(), "20260201-aa");
    assert_eq!(runs.find("202602").unwrap(), "20260201-aa");
    assert_eq!(
        runs.find("20260101").unwrap_err().to_string(),
        "\"20260101\" may be any of several runs: 20260101-ab, 20260101-aa"
    );
}

#[test]
fn old_journals_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::new(dir.path());
    let end = |how| Record::Ended { at: jiff::Timestamp::UNIX_EPOCH, how, hosts: BTreeMap::new() };
    for number in 0..103 {
        let id = format!("r{number:03}");
        let journal = Journal::begin(runs.create(&id).unwrap(), head(&id), sealing("k"), plain()).unwrap();
        journal.note(&end(if number == 1 { EndKind::Stopped } else { EndKind::Complete }));
    }
    let ids = runs.ids().unwrap();
    // The newest hundred, and one that could still be resumed.
    assert_eq!(
        (ids.len(), ids.first().unwrap().as_str(), ids.last().unwrap().as_str()),
        (101, "r102", "r001")
    );
}

#[test]
fn differences_name_what_changed() {
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect()
    };
    let (before, now) =
        (map(&[("a", "1"), ("b", "1"), ("c", "1")]), map(&[("b", "2"), ("c", "1"), ("d", "1")]));
    assert_eq!(differences(&before, &now), ["a was removed", "b was changed", "d was added"]);
    assert!(differences(&now, &now).is_empty());
}
