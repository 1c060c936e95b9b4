//! The folder of journals: one file for each run, named by time, locked while its run goes on.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::log::{self, Fault, JournalError, Parsed};
use super::record::{EndKind, Head, Record};

const ENDING: &str = ".journal";
/// Journals that are kept; older ones are removed when a run begins.
const KEPT: usize = 100;
/// A run that can be resumed is kept longer than that.
const KEPT_UNFINISHED: Duration = Duration::from_secs(30 * 24 * 3600);

/// All journals of a user.
#[derive(Clone, Debug)]
pub struct Runs {
    dir: PathBuf,
    fault: Option<Fault>,
}

/// A journal that is locked by this process.
#[derive(Debug)]
pub struct RunFile {
    pub path: PathBuf,
    pub file: File,
    pub fault: Option<Fault>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    Running,
    /// It began, and the program that did so is gone.
    Interrupted,
    Ended(EndKind),
}

impl RunState {
    /// Returns the word for people and programs.
    pub fn word(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Interrupted => "interrupted",
            RunState::Ended(EndKind::Complete) => "complete",
            RunState::Ended(EndKind::Failed) => "failed",
            RunState::Ended(EndKind::Stopped) => "stopped",
            RunState::Ended(EndKind::Mistake) => "mistake",
        }
    }
}

/// A run as its journal tells it.
#[derive(Clone, Debug)]
pub struct Summary {
    pub head: Head,
    pub state: RunState,
    pub records: Vec<Record>,
}

impl Runs {
    /// Takes the folder, which need not exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Runs { dir: dir.into(), fault: None }
    }

    /// Makes this process end at the n-th write to a journal, which may be written in part only.
    pub fn ending_at(mut self, at: u64, torn: bool) -> Self {
        self.fault = Some(Fault { at, torn });
        self
    }

    /// Makes the file of a new run and removes old ones.
    pub fn create(&self, id: &str) -> Result<RunFile, JournalError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        made.map_err(failed("make the folder of", &self.dir))?;
        self.prune();
        let path = self.path(id);
        let file = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(failed("create", &path))?;
        file.try_lock().map_err(|e| failed("lock", &path)(e.into()))?;
        // After a crash of this machine the file must still be there.
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed("write", &self.dir))?;
        Ok(RunFile { path, file, fault: self.fault })
    }

    /// Takes the journal of a run to go on with it.
    pub fn take(&self, id: &str) -> Result<RunFile, JournalError> {
        let path = self.path(id);
        let file = OpenOptions::new().read(true).append(true).open(&path).map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(RunFile { path, file, fault: self.fault }),
            Err(TryLockError::WouldBlock) => Err(JournalError::Busy(id.to_string())),
            Err(TryLockError::Error(e)) => Err(failed("lock", &path)(e)),
        }
    }

    /// Returns the ids of all runs, newest first.
    pub fn ids(&self) -> Result<Vec<String>, JournalError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed("read the folder of", &self.dir)(e)),
        };
        let mut ids: Vec<String> = entries
            .flatten()
            .filter_map(|e| Some(e.file_name().to_str()?.strip_suffix(ENDING)?.to_string()))
            .collect();
        ids.sort_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    /// Finds a run by its id, the beginning of it, or `last`.
    pub fn find(&self, text: &str) -> Result<String, JournalError> {
        let ids = self.ids()?;
        if text == "last" {
            return ids.into_iter().next().ok_or_else(|| JournalError::NoSuchRun(text.into()));
        }
        let found: Vec<&String> = ids.iter().filter(|id| id.starts_with(text)).collect();
        match found[..] {
            [] => Err(JournalError::NoSuchRun(text.into())),
            [one] => Ok(one.clone()),
            _ if found.iter().any(|id| *id == text) => Ok(text.to_string()),
            _ => {
                let names: Vec<&str> = found.iter().take(5).map(|id| id.as_str()).collect();
                Err(JournalError::Ambiguous(text.into(), names.join(", ")))
            }
        }
    }

    /// Reads a journal, without its right to write.
    pub fn read(&self, id: &str) -> Result<Summary, JournalError> {
        let path = self.path(id);
        let file = File::open(&path).map_err(failed("open", &path))?;
        let Parsed { records, .. } =
            log::parse(&std::fs::read(&path).map_err(failed("read", &path))?).map_err(|e| e.at(&path))?;
        let Some(Record::Begun(head)) = records.first() else {
            return Err(JournalError::NoSuchRun(id.to_string()));
        };
        let ended = records.iter().rev().find_map(|record| match record {
            Record::Ended { how, .. } => Some(Some(*how)),
            Record::Resumed { .. } => Some(None),
            _ => None,
        });
        let state = match (ended.flatten(), file.try_lock_shared()) {
            (Some(how), _) => RunState::Ended(how),
            (None, Ok(())) => RunState::Interrupted,
            (None, Err(TryLockError::WouldBlock)) => RunState::Running,
            (None, Err(TryLockError::Error(e))) => return Err(failed("lock", &path)(e)),
        };
        Ok(Summary { head: Head::clone(head), state, records })
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}{ENDING}"))
    }

    /// Removes journals beyond the newest, unless their run goes on or could be resumed for some time.
    fn prune(&self) {
        for id in self.ids().unwrap_or_default().into_iter().skip(KEPT - 1) {
            let path = self.path(&id);
            let Ok(file) = File::open(&path) else { continue };
            if file.try_lock().is_err() {
                continue;
            }
            let age = file.metadata().and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
            let fresh = age.is_none_or(|age| age < KEPT_UNFINISHED);
            let resumable = matches!(self.state_of(&path), Some(state) if state != EndKind::Complete);
            if !(fresh && resumable) {
                // Somebody else may have removed it.
                let _ = std::fs::remove_file(&path);
                let _ = std::fs::remove_dir_all(outputs_of(&path));
            }
        }
    }

    /// Returns how an unlocked run ended; one that was interrupted counts as stopped.
    fn state_of(&self, path: &Path) -> Option<EndKind> {
        let parsed = log::parse(&std::fs::read(path).ok()?).ok()?;
        Some(match parsed.records.last()? {
            Record::Ended { how, .. } => *how,
            _ => EndKind::Stopped,
        })
    }
}

/// Returns the folder for outputs that are too long for a journal.
pub(super) fn outputs_of(journal: &Path) -> PathBuf {
    journal.with_extension("outputs")
}

/// Returns a new id: the time, so that names sort by age, and something random.
pub fn new_id(now: Timestamp) -> String {
    let mut random = [0u8; 3];
    if getrandom::fill(&mut random).is_err() {
        random.copy_from_slice(&now.subsec_nanosecond().to_be_bytes()[1..]);
    }
    format!("{}-{}", now.strftime("%Y%m%d-%H%M%S"), crate::modules::hex(&random))
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> JournalError + 'a {
    move |source| JournalError::File { action, path: path.to_path_buf(), source }
}
