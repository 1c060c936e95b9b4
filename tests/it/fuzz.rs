//! Every parser of texts that others write, with the corpus of the fuzz targets and mutations of it that are the same in
//! each run. `XPLAY_FUZZ_SECS=600` spends so long on each parser.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;

#[path = "../../fuzz/src/lib.rs"]
mod harness;

/// No input may take longer, in time of the processor.
const LONGEST: Duration = Duration::from_secs(4);
/// So many inputs for each parser, unless a time was asked for: the same on every machine that is fast enough.
const INPUTS: usize = 130;
/// Mutated inputs are at most so long.
const MOST_BYTES: usize = 64 << 10;
/// All of it gets along with so much memory, the program's own addresses included.
const MEMORY_KIB: u64 = 6 << 20;

/// Pieces that parsers treat in special ways.
const PIECES: [&[u8]; 34] = [
    b"{{",
    b"}}",
    b"{%",
    b"%}",
    b"{#",
    b"[",
    b"]",
    b"{",
    b"}",
    b":",
    b"- ",
    b"\n",
    b"\r\n",
    b"\t",
    b"\"",
    b"'",
    b"\\",
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"0",
    b"-1",
    b"4294967296",
    b"99999999999999999999",
    b"!",
    b"&a",
    b"*a",
    b"<<: ",
    b"|",
    b">",
    b"#",
    b"../",
    b"\x1b[2J",
];

/// A generator that gives the same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (limit.max(1) as u64)).unwrap()
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = (length - start).min(64);
        start..start + self.below(most + 1)
    }
}

fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(6) {
        let at = random.range(bytes.len());
        match random.below(8) {
            0 if !bytes.is_empty() => {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            1 => drop(bytes.drain(at)),
            2 => {
                let piece = bytes[at.clone()].to_vec();
                for _ in 0..1 + random.below(40) {
                    bytes.splice(at.start..at.start, piece.iter().copied());
                }
            }
            3 => drop(bytes.splice(at, PIECES[random.below(PIECES.len())].iter().copied())),
            4 => {
                let other = &seeds[random.below(seeds.len())];
                let piece = random.range(other.len());
                bytes.splice(at, other[piece].iter().copied());
            }
            5 => bytes.truncate(random.below(bytes.len() + 1)),
            6 => {
                let piece = PIECES[random.below(PIECES.len())];
                for _ in 0..1 + random.below(300) {
                    bytes.splice(at.start..at.start, piece.iter().copied());
                }
            }
            _ => {
                let byte = u8::try_from(random.below(256)).unwrap();
                bytes.splice(at.start..at.start, [byte]);
            }
        }
        bytes.truncate(MOST_BYTES);
    }
    bytes
}

/// The time of the processor that this thread has had.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_default())
}

/// The corpus of a parser, and for files that only this program writes one that it writes now.
fn seeds(name: &str, made: &[(&str, Vec<u8>)]) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut paths: Vec<_> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut seeds: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    seeds.extend(made.iter().filter(|(target, _)| *target == name).map(|(_, bytes)| bytes.clone()));
    assert!(!seeds.is_empty(), "{name} has no corpus");
    seeds
}

fn written_now(dir: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let xplay = |args: &[&str]| {
        let status = Command::new(env!("CARGO_BIN_EXE_xplay"))
            .args(args)
            .current_dir(dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(matches!(status.unwrap().code(), Some(0..=3)), "{args:?}");
    };
    let play = "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {content: x, dest: \"{{ lookup('env', 'HOME') }}/x\"}\n    - command: echo hello\n      register: r\n";
    std::fs::write(dir.join("site.yml"), play).unwrap();
    xplay(&["plan", "-i", "localhost,", "-c", "local", "site.yml", "-o", "p.xplan"]);
    xplay(&["run", "-i", "localhost,", "-c", "local", "site.yml", "--no-report"]);
    let plan = std::fs::read(dir.join("p.xplan")).unwrap();
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&plan[..]), &mut tar).unwrap();
    let runs = std::fs::read_dir(dir.join(".local/state/xplay/runs")).unwrap().flatten();
    let journal =
        runs.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "journal"));
    vec![("plan_file", plan), ("plan_file", tar), ("journal", std::fs::read(journal.unwrap()).unwrap())]
}

/// Runs in a process of its own whose memory is limited.
#[test]
#[ignore = "started by no_input_breaks_a_parser"]
fn replay() {
    let asked: Option<f64> = std::env::var("XPLAY_FUZZ_SECS").ok().and_then(|text| text.parse().ok());
    let (secs, most) = asked.map_or((0.7, INPUTS), |secs| (secs, usize::MAX));
    let only = std::env::var("XPLAY_FUZZ_ONLY").ok();
    let dir = tempfile::tempdir().unwrap();
    let last = std::env::var_os("XPLAY_FUZZ_LAST").map_or_else(|| dir.path().join("last"), Into::into);
    let made = written_now(dir.path());
    for (name, target) in harness::TARGETS {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let seeds = seeds(name, &made);
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let begun = Instant::now();
        let mut count = 0;
        while count < seeds.len() || count < most && begun.elapsed().as_secs_f64() < secs {
            let input = seeds.get(count).cloned().unwrap_or_else(|| mutate(&seeds, &mut random));
            count += 1;
            // What ends the whole process can be looked at afterwards.
            std::fs::write(&last, &input).unwrap();
            let before = processor_time();
            let ended = std::panic::catch_unwind(|| target(&input));
            let taken = processor_time() - before;
            if ended.is_err() || taken > LONGEST {
                let shown = base64::engine::general_purpose::STANDARD.encode(&input);
                panic!("{name}, input {count}, after {taken:?}: {shown}");
            }
        }
        // Each line reaches who waits for a long run at once.
        let _ = writeln!(std::io::stderr(), "{name}: {count} inputs");
    }
}

#[test]
fn no_input_breaks_a_parser() {
    let program = std::env::current_exe().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let last = dir.path().join("last");
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -v {MEMORY_KIB}; exec \"$0\" fuzz::replay --exact --ignored --nocapture"),
        ])
        .arg(program)
        .env("XPLAY_FUZZ_LAST", &last)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let input =
            base64::engine::general_purpose::STANDARD.encode(std::fs::read(&last).unwrap_or_default());
        panic!("{}\n{said}\nthe last input: {input}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(said.matches(" inputs\n").count(), harness::TARGETS.len(), "{said}");
    println!("{said}");
}
