//! Records in a file: one line each, behind a checksum that also covers the line before.
//!
//! A line is written by one call. What was written is made safe on the disk by a thread of its own, one `fdatasync` for
//! all that waits; what nobody waits for follows within moments. A last line that was cut off is dropped; damage before it is an error.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::record::{FORMAT, Record};
use super::store::RunFile;
use crate::engine::shared::lock;

/// How long a record may wait for others before it is made safe.
const SOON: Duration = Duration::from_millis(50);
/// Hexadecimal digits of a checksum.
const SUM: usize = 16;

/// Why a journal cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("cannot {action} the journal {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the journal {} is damaged in line {line}: {reason}", path.display())]
    Damaged { path: PathBuf, line: usize, reason: &'static str },
    #[error("the journal {} has format {found}; this program knows {FORMAT}", path.display())]
    Format { path: PathBuf, found: u32 },
    #[error("the run {0} is still going on")]
    Busy(String),
    #[error("no run is called \"{0}\"")]
    NoSuchRun(String),
    #[error("\"{0}\" may be any of several runs: {1}")]
    Ambiguous(String, String),
    #[error("no step of unknown outcome is called \"{0}\"")]
    NoSuchStep(String),
    /// The sealed parts cannot be opened.
    #[error(
        "the journal's results cannot be opened: the key or the vault passwords are not those of the run"
    )]
    Key,
    #[error("the journal's result of \"{0}\" makes no sense")]
    Unreadable(String),
    #[error("cannot get random bytes: {0}")]
    Random(String),
    /// An earlier write failed.
    #[error("the journal could not be written: {0}")]
    Broken(String),
}

impl JournalError {
    pub fn unreadable(task: &str) -> Self {
        JournalError::Unreadable(task.to_string())
    }
}

/// A journal that is open for writing.
pub struct Log {
    path: PathBuf,
    inner: Mutex<Inner>,
    shared: Arc<Syncing>,
    synced: watch::Receiver<Result<u64, String>>,
    thread: Option<JoinHandle<()>>,
}

struct Inner {
    file: File,
    sum: String,
    written: u64,
    fault: Option<Fault>,
}

/// Ends this process at a chosen write: how crashes are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub at: u64,
    /// The record is written in part only.
    pub torn: bool,
}

/// What the thread that syncs is told.
#[derive(Default)]
struct Syncing {
    wanted: Mutex<Wanted>,
    wake: Condvar,
}

#[derive(Default)]
struct Wanted {
    /// Somebody waits for this one.
    number: u64,
    /// Nobody waits for this one, but it must not stay unsafe for long.
    soon: u64,
    ends: bool,
}

impl Log {
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    pub fn create(file: RunFile) -> Result<Self, JournalError> {
        Self::start(file, String::new())
    }

    /// Opens a journal that nobody writes to, and returns what is in it. A torn end is cut off.
    pub fn open(file: RunFile) -> Result<(Self, Vec<Record>), JournalError> {
        let failed = |action| {
            let path = file.path.clone();
            move |source| JournalError::File { action, path, source }
        };
        let mut bytes = Vec::new();
        (&file.file).read_to_end(&mut bytes).map_err(failed("read"))?;
        let read = parse(&bytes).map_err(|e| e.at(&file.path))?;
        file.file.set_len(read.good as u64).map_err(failed("cut the torn end of"))?;
        let log = Self::start(file, read.sum)?;
        Ok((log, read.records))
    }

    fn start(run: RunFile, sum: String) -> Result<Self, JournalError> {
        let RunFile { path, file, fault } = run;
        let failed = |source| JournalError::File { action: "open", path: path.clone(), source };
        let own = file.try_clone().map_err(failed)?;
        let shared = Arc::new(Syncing::default());
        let (tell, synced) = watch::channel(Ok(0));
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || sync_when_asked(&own, &for_thread, &tell))
            .map_err(failed)?;
        let inner = Mutex::new(Inner { file, sum, written: 0, fault });
        Ok(Log { path, inner, shared, synced, thread: Some(thread) })
    }

    /// Writes a record and returns its number. It is safe on the disk some time later.
    pub fn append(&self, record: &Record) -> Result<u64, JournalError> {
        let failed = |source| JournalError::File { action: "write", path: self.path.clone(), source };
        let text = serde_json::to_string(record).map_err(|e| failed(e.into()))?;
        let mut inner = lock(&self.inner);
        let sum = checksum(&inner.sum, &text);
        let line = format!("{sum} {text}\n");
        let number = inner.written + 1;
        if let Some(fault) = inner.fault.filter(|fault| fault.at == number) {
            let length = if fault.torn { line.len() / 2 } else { line.len() };
            let _ = inner.file.write_all(&line.as_bytes()[..length]);
            end_this_process();
        }
        let before = inner.file.metadata().map(|m| m.len());
        if let Err(e) = inner.file.write_all(line.as_bytes()) {
            // Half a line would make everything after it unreadable.
            if let Ok(length) = before {
                let _ = inner.file.set_len(length);
            }
            return Err(failed(e));
        }
        inner.sum = sum;
        inner.written = number;
        drop(inner);
        if is_worth_a_sync(record) {
            lock(&self.shared.wanted).soon = number;
            self.shared.wake.notify_one();
        }
        Ok(number)
    }

    /// Returns the number of the last record.
    pub fn last(&self) -> u64 {
        lock(&self.inner).written
    }

    /// Waits until a record is safe on the disk.
    pub async fn synced(&self, number: u64) -> Result<(), JournalError> {
        self.want(number);
        let mut synced = self.synced.clone();
        let reached = synced.wait_for(|state| state.as_ref().map_or(true, |done| *done >= number)).await;
        match reached.as_deref() {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(reason)) => Err(JournalError::Broken(reason.clone())),
            Err(_) => Err(JournalError::Broken("the thread that writes it has ended".into())),
        }
    }

    fn want(&self, number: u64) {
        let mut wanted = lock(&self.shared.wanted);
        wanted.number = wanted.number.max(number);
        self.shared.wake.notify_one();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let last = self.last();
        let mut wanted = lock(&self.shared.wanted);
        wanted.number = wanted.number.max(last);
        wanted.ends = true;
        drop(wanted);
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say that anybody could hear.
            let _ = thread.join();
        }
        let _ = lock(&self.inner).file.unlock();
    }
}

/// Losing the verdict of a step that changed nothing costs another look; it is synced with whatever comes next.
fn is_worth_a_sync(record: &Record) -> bool {
    use crate::engine::event::Status;
    match record {
        Record::Verdict(v) => !matches!(v.status, Status::Ok | Status::Skipped),
        Record::Step { .. } | Record::Done { .. } | Record::Inputs { .. } => false,
        _ => true,
    }
}

fn sync_when_asked(file: &File, shared: &Syncing, tell: &watch::Sender<Result<u64, String>>) {
    let mut done = 0;
    let mut asked: Option<Instant> = None;
    loop {
        let mut wanted = lock(&shared.wanted);
        while wanted.number <= done && !wanted.ends {
            if wanted.soon <= done {
                wanted = shared.wake.wait(wanted).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let since = asked.get_or_insert_with(Instant::now).elapsed();
            if since >= SOON {
                wanted.number = wanted.soon;
                continue;
            }
            let waited = shared.wake.wait_timeout(wanted, SOON - since);
            wanted = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        asked = None;
        let (number, ends) = (wanted.number, wanted.ends);
        drop(wanted);
        if number > done {
            match file.sync_data() {
                Ok(()) => done = number,
                Err(e) => {
                    let _ = tell.send(Err(e.to_string()));
                    return;
                }
            }
            if tell.send(Ok(done)).is_err() {
                return;
            }
        }
        if ends {
            return;
        }
    }
}

/// Ends this process as a power cut would.
fn end_this_process() -> ! {
    use rustix::process::{Signal, getpid, kill_process};
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

/// A checksum over a line and everything before it.
fn checksum(before: &str, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(before.as_bytes());
    hash.update(text.as_bytes());
    let mut sum = crate::modules::hex(&hash.finalize());
    sum.truncate(SUM);
    sum
}

/// What a journal holds.
#[derive(Debug, Default)]
pub struct Parsed {
    pub records: Vec<Record>,
    /// Bytes up to the last good record.
    pub good: usize,
    /// The checksum of the last good record.
    pub sum: String,
}

/// What is wrong with the bytes of a journal.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    Damaged { line: usize, reason: &'static str },
    Format(u32),
}

impl Wrong {
    pub fn at(self, path: &std::path::Path) -> JournalError {
        let path = path.to_path_buf();
        match self {
            Wrong::Damaged { line, reason } => JournalError::Damaged { path, line, reason },
            Wrong::Format(found) => JournalError::Format { path, found },
        }
    }
}

/// Reads the bytes of a journal.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Wrong> {
    let mut parsed = Parsed::default();
    let mut line = 0;
    while parsed.good < bytes.len() {
        line += 1;
        let rest = &bytes[parsed.good..];
        let end = rest.iter().position(|b| *b == b'\n');
        let text = &rest[..end.unwrap_or(rest.len())];
        match (end, record(text, &parsed.sum)) {
            (Some(end), Ok((record, sum))) => {
                if let Record::Begun(head) = &record
                    && head.format != FORMAT
                {
                    return Err(Wrong::Format(head.format));
                }
                parsed.records.push(record);
                parsed.sum = sum;
                parsed.good += end + 1;
            }
            // The end of the file may be cut off, or not have reached the disk.
            (None, _) => break,
            (Some(end), Err(_)) if rest[end..].iter().all(|b| matches!(b, b'\n' | 0)) => break,
            (Some(_), Err(reason)) => return Err(Wrong::Damaged { line, reason }),
        }
    }
    match parsed.records.first() {
        Some(Record::Begun(_)) => Ok(parsed),
        _ => Err(Wrong::Damaged { line: 1, reason: "it does not say what was run" }),
    }
}

fn record(line: &[u8], before: &str) -> Result<(Record, String), &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "it is no text")?;
    let (sum, json) = text.split_once(' ').ok_or("it has no checksum")?;
    if checksum(before, json) != sum {
        return Err("its checksum does not fit");
    }
    let record = serde_json::from_str(json).map_err(|_| "it is no record that this program knows")?;
    Ok((record, sum.to_string()))
}
