//! Plan files as they are written, and what becomes of every way to spoil one.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use flate2::{Compression, GzBuilder};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use super::container::{Entry, encode, entries, unpack};
use super::*;
use crate::plan::model::{Group, Invocation, Risk, State, Step, StepKind, Unit};

fn now() -> Timestamp {
    "2026-11-25T08:00:00.25Z".parse().unwrap()
}

fn plan(risk: Risk, state: State) -> Plan {
    Plan {
        format_version: "1.0".into(),
        invocation: Invocation { playbooks: vec!["project/site.yml".into()], ..Invocation::default() },
        steps: vec![Step {
            id: "motd#1".into(),
            turn: 1,
            play: 0,
            batch: 0,
            name: "motd".into(),
            role: None,
            module: "copy".into(),
            place: "site.yml:3".into(),
            kind: StepKind::Task,
            risk,
            no_log: false,
            groups: vec![Group {
                hosts: vec!["sn[01-06]".into()],
                units: vec![Unit { state, ..Unit::default() }],
            }],
        }],
        ..Plan::default()
    }
}

/// A plan with one step, made at eight o'clock.
pub(in crate::plan) fn planned(risk: Risk, state: State) -> PlanFile {
    let plan = plan(risk, state);
    let created = Created::at(now(), &plan);
    PlanFile::new(plan, Bundle::default(), BTreeMap::new(), created)
}

pub(in crate::plan) fn sample() -> PlanFile {
    let plan = plan(Risk::Low, State::Change);
    let mut bundle = Bundle::default();
    bundle.add_file("project", Path::new("site.yml"), 0o644, b"- hosts: all\n".to_vec()).unwrap();
    let deep = format!("roles/{}/files/{}", "r".repeat(90), "f".repeat(120));
    bundle.add_file("project", Path::new(&deep), 0o755, b"#!/bin/sh\n".to_vec()).unwrap();
    bundle.add_reference("project", Path::new("big.iso"), 0o600, 9 << 30, &sha256(b"iso")).unwrap();
    bundle.add_directory("inventory", Path::new("empty"), 0o755).unwrap();
    let blobs = BTreeMap::from([(sha256(b"welcome\n"), b"welcome\n".to_vec())]);
    let mut created = Created::at(now(), &plan);
    created.xplay = "0.1.0".into();
    PlanFile::new(plan, bundle, blobs, created)
}

fn with_approval() -> PlanFile {
    let mut file = sample();
    let statement = Statement::about(&file, "ann", now(), "looks right").text();
    file.add_approval(Approval { statement, signature: "-----BEGIN SSH SIGNATURE-----".into() }).unwrap();
    file
}

fn parts(file: &PlanFile) -> Vec<Entry> {
    let bytes = file.to_bytes().unwrap();
    entries(&bytes, &unpack(&bytes).unwrap()).unwrap()
}

fn packed(parts: &[Entry]) -> Vec<u8> {
    let pieces: Vec<Piece> = parts.iter().map(|e| (e.name.as_str(), e.mode, e.content.as_slice())).collect();
    encode(&pieces).unwrap()
}

fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut out = GzBuilder::new().operating_system(0xff).write(Vec::new(), Compression::default());
    out.write_all(tar).unwrap();
    out.finish().unwrap()
}

fn refusal(bytes: &[u8]) -> String {
    PlanFile::from_bytes(bytes).map(|f| f.id).map_err(|e| e.to_string()).unwrap_err()
}

#[test]
fn what_is_written_is_read() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.xplan");
    let file = with_approval();
    std::fs::write(&path, "older").unwrap();
    file.write(&path).unwrap();
    let read = PlanFile::read(&path).unwrap();
    assert!(read == file);
    assert_eq!(read.plan().steps[0].name, "motd");
    assert_eq!(read.blob(&sha256(b"welcome\n")), Some(&b"welcome\n"[..]));
    assert_eq!(read.approvals()[0].parse().unwrap().note, "looks right");
    assert_eq!(read.to_bytes().unwrap(), std::fs::read(&path).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let names: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["a.xplan"]);
}

#[test]
fn entries_have_a_fixed_order() {
    let names: Vec<String> = parts(&with_approval()).into_iter().map(|e| e.name).collect();
    let blob = format!("blobs/{}", sha256(b"welcome\n"));
    let deep = format!("bundle/project/roles/{}/files/{}", "r".repeat(90), "f".repeat(120));
    let expect = [
        "manifest.json",
        &blob,
        &deep,
        "bundle/project/site.yml",
        "plan.json",
        "approvals/1.json",
        "created.json",
        "seal.json",
    ];
    assert_eq!(names, expect);
}

#[test]
fn time_is_not_in_the_id() {
    let file = sample();
    let mut created = file.created.clone();
    created.at += SignedDuration::from_hours(1);
    created.sources.insert("project".into(), "/elsewhere".into());
    let later = PlanFile::new(file.plan.clone(), file.bundle.clone(), file.blobs.clone(), created);
    assert_eq!((later.id(), later.digest()), (file.id(), file.digest()));
    assert_eq!(file.id(), format!("p-{}", &file.digest()[..12]));
    let (one, two) = (parts(&file), parts(&later));
    let differ = one.iter().zip(&two).filter(|(a, b)| a != b).map(|(a, _)| a.name.as_str());
    assert_eq!(differ.collect::<Vec<_>>(), ["created.json", "seal.json"]);
    assert_eq!(sample().to_bytes().unwrap(), file.to_bytes().unwrap());
    let mut other = file.bundle.clone();
    other.add_directory("project", Path::new("x"), 0o755).unwrap();
    let other = PlanFile::new(file.plan.clone(), other, file.blobs.clone(), file.created.clone());
    assert_ne!(other.digest(), file.digest());
}

#[test]
fn risky_plans_end_sooner() {
    let check = |risk: Risk, state: State, hours: i64| {
        let created = Created::at(now(), &plan(risk, state));
        assert_eq!(created.at, now());
        let whole = Timestamp::from_second(now().as_second()).unwrap();
        assert_eq!(created.expires.duration_since(whole), SignedDuration::from_hours(hours));
    };
    check(Risk::Opaque, State::Change, 24);
    check(Risk::Disruptive, State::Maybe, 4);
    check(Risk::Destructive, State::ChangeUnknown, 4);
    check(Risk::Disruptive, State::Same, 24);
}

#[test]
fn approvals_are_about_this_plan() {
    let mut file = sample();
    let mut statement = Statement::about(&file, "ann", now(), "");
    statement.plan = "0".repeat(64);
    let error = file.add_approval(Approval { statement: statement.text(), signature: String::new() });
    assert_eq!(
        error.unwrap_err().to_string(),
        "the approval cannot be part of a plan: it is about another plan, p-000000000000"
    );
    let text = Statement::about(&file, "ann", now(), "a\nb").text();
    let expect = format!(
        "{{\"at\":\"2026-11-25T08:00:00Z\",\"expires\":\"2026-11-26T08:00:00Z\",\"note\":\"a\\nb\",\
         \"plan\":\"{}\",\"who\":\"ann\"}}",
        file.digest()
    );
    assert_eq!(text, expect);
}

/// Whether an entry stands beside the hashed part.
fn is_outside(entry: &Entry) -> bool {
    entry.name.starts_with("approvals/") || ["created.json", "notes.md"].contains(&entry.name.as_str())
}

/// Writes the manifest's and the seal's digests again, as somebody would who edits with care.
fn resealed(mut parts: Vec<Entry>) -> Vec<Entry> {
    let last = parts.len() - 1;
    let inside = parts[1..last].iter().filter(|e| !is_outside(e));
    let digests: BTreeMap<_, _> = inside.map(|e| (e.name.clone(), Content::of(e.mode, &e.content))).collect();
    set_member(&mut parts[0], "entries", serde_json::to_value(digests).unwrap());
    let sealed = parts[..last].iter().enumerate().filter(|(at, e)| *at == 0 || is_outside(e));
    let seal = manifest::seal(sealed.map(|(_, e)| (e.name.as_str(), e.content.as_slice())));
    parts[last].content = seal;
    parts
}

fn set_member(entry: &mut Entry, name: &str, value: Value) {
    let mut json: Value = serde_json::from_slice(&entry.content).unwrap();
    json[name] = value;
    entry.content = json::canonical(&json);
}

fn index(parts: &[Entry], name: &str) -> usize {
    parts.iter().position(|e| e.name == name).unwrap()
}

fn entry(name: &str, content: &str) -> Entry {
    Entry { name: name.into(), mode: MODE, content: content.into() }
}

#[test]
fn newer_minor_versions_are_read_and_kept() {
    let mut parts = parts(&with_approval());
    set_member(&mut parts[0], "format_version", "1.7".into());
    set_member(&mut parts[0], "invented", serde_json::json!({"later": [1.5]}));
    for name in ["plan.json", "created.json"] {
        let at = index(&parts, name);
        set_member(&mut parts[at], "invented", "later".into());
    }
    let at = index(&parts, "plan.json");
    parts.insert(at, entry("graphs/a.svg", "<svg/>"));
    let at = index(&parts, "seal.json");
    parts.insert(at, entry("notes.md", "note"));
    // The approval is about the plan before it was changed; that is for those to say who verify it.
    let bytes = packed(&resealed(parts));
    let file = PlanFile::from_bytes(&bytes).unwrap();
    assert_eq!(file.plan(), sample().plan());
    assert!(file.to_bytes().unwrap() == bytes);
}

#[test]
fn other_major_versions_are_refused() {
    let check = |version: &str, expect: &str| {
        let manifest = format!("{{\"format_version\":\"{version}\",\"other\":1}}");
        let bytes = packed(&[entry("manifest.json", &manifest), entry("something", "else")]);
        assert_eq!(refusal(&bytes), expect);
    };
    check("2.0", "has format 2.0, but this xplay reads only formats 1.x; a newer xplay is needed");
    check("0.9", "has format 0.9, but this xplay reads only formats 1.x; make the plan again");
    check("one", "is damaged: \"one\" is no format version");
    check("1", "is damaged: \"1\" is no format version");
}

#[test]
fn edits_are_named() {
    let check = |edit: &dyn Fn(&mut Vec<Entry>), expect: &str| {
        let mut parts = parts(&with_approval());
        edit(&mut parts);
        assert_eq!(refusal(&packed(&parts)), expect);
    };
    let all: Vec<String> = parts(&with_approval()).into_iter().map(|e| e.name).collect();
    for name in &all {
        let expect = match name.as_str() {
            "manifest.json" => {
                "is no plan file: it begins with \"blobs/X\" instead of \"manifest.json\"".into()
            }
            other => format!("was edited: \"{other}\" is missing"),
        };
        let expect = expect.replace('X', &sha256(b"welcome\n"));
        check(&|p: &mut Vec<Entry>| p.retain(|e| e.name != *name), &expect);
        let twice = format!("was edited: \"{name}\" is in it twice");
        check(&|p: &mut Vec<Entry>| p.push(p[index(p, name)].clone()), &twice);
    }
    for name in
        ["blobs/X".replace('X', &sha256(b"welcome\n")).as_str(), "bundle/project/site.yml", "plan.json"]
    {
        let expect = format!("was edited: \"{name}\" is not as \"manifest.json\" says");
        check(
            &|p: &mut Vec<Entry>| {
                let at = index(p, name);
                p[at].content.push(b' ')
            },
            &expect,
        );
        check(
            &|p: &mut Vec<Entry>| {
                let at = index(p, name);
                p[at].mode = 0o777
            },
            &expect,
        );
    }
    for name in ["approvals/1.json", "created.json"] {
        let expect = format!("was edited: \"{name}\" is not as it was sealed");
        check(
            &|p: &mut Vec<Entry>| {
                let at = index(p, name);
                p[at].content.push(b' ')
            },
            &expect,
        );
    }
    for name in ["approvals/1.json", "created.json", "manifest.json", "seal.json"] {
        let expect = format!("was edited: \"{name}\" has another mode");
        check(
            &|p: &mut Vec<Entry>| {
                let at = index(p, name);
                p[at].mode = 0o777
            },
            &expect,
        );
    }
    check(&|p| p[0].content.push(b' '), "was edited: \"manifest.json\" is not in the form that xplay writes");
    check(
        &|p| set_member(&mut p[0], "semantics", 7.into()),
        "was edited: \"manifest.json\" is not as it was sealed",
    );
    check(
        &|p| p.last_mut().unwrap().content.push(b' '),
        "was edited: \"seal.json\" is not in the form that xplay writes",
    );
    check(&|p| p.push(entry("zzz", "")), "was edited: \"zzz\" was added");
    check(&|p| p.insert(1, entry("blobs/zzz", "")), "was edited: \"blobs/zzz\" was added");
    check(&|p| p.swap(1, 2), "was edited: its entries are in another order");
    check(
        &|p| p.insert(0, entry("a", "")),
        "is no plan file: it begins with \"a\" instead of \"manifest.json\"",
    );
}

#[test]
fn careful_edits_still_have_to_fit() {
    let check = |edit: &dyn Fn(&mut Vec<Entry>), expect: &str| {
        let mut parts = parts(&with_approval());
        edit(&mut parts);
        assert_eq!(refusal(&packed(&resealed(parts))), expect);
    };
    let with = |name: &str| {
        let name = name.to_string();
        move |p: &mut Vec<Entry>| {
            p.insert(1, entry(&name, ""));
            let end = index(p, "approvals/1.json");
            p[1..end].sort_by(|a, b| a.name.cmp(&b.name));
        }
    };
    check(
        &with("bundle/project/site.yml/x"),
        "was edited: project/site.yml/x cannot be part of a plan: project/site.yml is a file",
    );
    check(&with("bundle/x"), "was edited: x/ cannot be part of a plan: it names no file");
    check(&with("blobs/x"), "was edited: \"blobs/x\" does not have that digest");
    check(
        &|p| {
            set_member(
                &mut p[0],
                "references",
                serde_json::json!({"project/../x": {"mode": "0644", "size": 1, "sha256": sha256(b"")}}),
            )
        },
        "was edited: project/../x cannot be part of a plan: it leads upwards",
    );
    check(
        &|p| set_member(&mut p[0], "directories", serde_json::json!({"project/a//b": "0755"})),
        "was edited: project/a//b cannot be part of a plan: it should be written \"project/a/b\"",
    );
    check(
        &|p| set_member(&mut p[0], "directories", serde_json::json!({"project/a": "rwx"})),
        "is damaged: \"manifest.json\" is not what it should be: \"rwx\" is no file mode at line 1 column 34",
    );
    check(
        &|p| {
            let at = index(p, "approvals/1.json");
            p[at].name = "approvals/2.json".into()
        },
        "was edited: approvals are missing before \"approvals/2.json\"",
    );
    check(
        &|p| {
            let at = index(p, "plan.json");
            p[at].content = b"{}".to_vec()
        },
        "is damaged: \"plan.json\" is not what it should be: missing field `format_version` at line 1 column 2",
    );
}

#[test]
fn files_of_other_kinds_are_told_apart() {
    let whole = sample().to_bytes().unwrap();
    assert_eq!(refusal(b""), "is damaged: it is empty");
    assert_eq!(refusal(b"---\n- hosts: all\n"), "is no plan file: it does not begin as one");
    assert_eq!(refusal(&whole[..whole.len() / 2]), "is damaged: its end is missing");
    assert_eq!(refusal(&whole[..whole.len() - 1]), "is damaged: its end is missing");
    assert_eq!(refusal(&[whole.as_slice(), b"x"].concat()), "was edited: 1 bytes follow its end");
    assert_eq!(
        refusal(&[whole.as_slice(), &whole].concat()),
        format!("was edited: {} bytes follow its end", whole.len())
    );
    assert_eq!(refusal(&gzip(b"")), "is no plan file: there is nothing in it");
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "manifest.json", "/etc/passwd").unwrap();
    let link = builder.into_inner().unwrap();
    assert_eq!(refusal(&gzip(&link)), "was edited: \"manifest.json\" is not an ordinary file");
}

#[test]
fn bytes_that_belong_to_nothing_are_noticed() {
    let whole = sample().to_bytes().unwrap();
    let tar = unpack(&whole).unwrap();
    let check = |tar: &[u8]| assert_eq!(refusal(&gzip(tar)), "was edited: it is not packed as xplay packs");
    // More zeros at the end, fewer of them, a letter behind a name.
    check(&[tar.as_slice(), &[0; 512]].concat());
    check(&tar[..tar.len() - 512]);
    let mut padded = tar.clone();
    let end = tar.len() - 1024 - 1;
    padded[end] = b'x';
    check(&padded);
    let mut head = whole.clone();
    head[4] = 1;
    assert_eq!(refusal(&head), "was edited: it is not packed as xplay packs");
}

#[test]
fn bombs_do_not_go_off() {
    let mut out = GzBuilder::new().operating_system(0xff).write(Vec::new(), Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..513 {
        out.write_all(&zeros).unwrap();
    }
    assert_eq!(refusal(&out.finish().unwrap()), "is too large: more than 536870912 bytes when unpacked");
    // An entry that claims to be large without being so.
    let mut header = tar::Header::new_gnu();
    header.set_path("manifest.json").unwrap();
    header.set_size(1 << 40);
    header.set_mode(MODE);
    header.set_cksum();
    let tar = [header.as_bytes().as_slice(), &[0; 1024]].concat();
    let expect = "is damaged: \"manifest.json\" is not what it should be: expected value at line 1 column 1";
    assert_eq!(refusal(&gzip(&tar)), expect);
}

/// Bytes with something wrong: flipped, cut, repeated or put elsewhere.
#[derive(Clone, Debug)]
enum Spoil {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index, usize),
    Splice(prop::sample::Index, prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        (place(), 1..=255u8).prop_map(|(at, bits)| Spoil::Flip(at, bits)),
        (place(), 1..2000usize).prop_map(|(at, n)| Spoil::Cut(at, n)),
        (place(), place(), 1..2000usize).prop_map(|(from, to, n)| Spoil::Splice(from, to, n)),
        (place(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, b)| Spoil::Insert(at, b)),
    ]
}

fn spoiled(mut bytes: Vec<u8>, ways: &[Spoil]) -> Vec<u8> {
    for way in ways {
        if bytes.is_empty() {
            return bytes;
        }
        let len = bytes.len();
        match way {
            Spoil::Flip(at, bits) => bytes[at.index(len)] ^= bits,
            Spoil::Cut(at, n) => drop(bytes.drain(at.index(len)..(at.index(len) + n).min(len))),
            Spoil::Splice(from, to, n) => {
                let piece = bytes[from.index(len)..(from.index(len) + n).min(len)].to_vec();
                let at = to.index(len);
                bytes.splice(at..(at + piece.len()).min(len), piece);
            }
            Spoil::Insert(at, more) => drop(bytes.splice(at.index(len)..at.index(len), more.iter().copied())),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is read is what was written.
    #[test]
    fn spoiled_files_are_refused(ways in prop::collection::vec(spoil(), 1..4)) {
        let file = with_approval();
        let whole = file.to_bytes().unwrap();
        if let Ok(read) = PlanFile::from_bytes(&spoiled(whole, &ways)) {
            prop_assert!(read == file);
        }
    }

    /// The same, where the checksum of the compression does not help.
    #[test]
    fn spoiled_contents_are_refused(ways in prop::collection::vec(spoil(), 1..4)) {
        let file = with_approval();
        let tar = unpack(&file.to_bytes().unwrap()).unwrap();
        let other = spoiled(tar.clone(), &ways);
        let read = PlanFile::from_bytes(&gzip(&other));
        prop_assert_eq!(read.is_ok(), other == tar);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert!(PlanFile::from_bytes(&bytes).is_err());
        prop_assert!(PlanFile::from_bytes(&gzip(&bytes)).is_err());
    }
}
