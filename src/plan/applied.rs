//! Which plans were applied: one record for each, so that none is applied twice.
//!
//! A record appears whole and only once, and the program that applies holds its kernel lock as long as it lives. So two
//! programs cannot both begin, and one that died is told from one that works.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::file::{Created, PlanFile};
use super::guide::Score;

/// A record is never larger.
const MAX_RECORD: u64 = 1 << 20;

/// What is known of applying a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The plan's full id.
    pub plan: String,
    pub started: Timestamp,
    /// Nothing while it is in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    #[serde(default)]
    pub outcome: Outcome,
}

/// How applying ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How many results there are of each kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, usize>,
    /// How often predictions came true.
    #[serde(default)]
    pub score: Score,
}

/// How far applying is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Running,
    /// It began, and the program that did so is gone.
    Interrupted,
    Done,
}

/// A record that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub record: Record,
    pub progress: Progress,
}

impl Found {
    /// Whether a plan was made after this: the same plan made again is a new one, since somebody put back what it had
    /// changed.
    pub fn is_past_for(&self, created: &Created) -> bool {
        let last = self.record.ended.unwrap_or(self.record.started);
        self.progress != Progress::Running && created.at > last
    }
}

/// Why the records cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AppliedError {
    #[error("cannot {action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the record {} is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    /// Somebody else was first.
    #[error("the plan is being applied or was applied already")]
    Taken(Box<Found>),
}

/// The folder of records.
#[derive(Clone, Debug)]
pub struct Applied {
    dir: PathBuf,
}

impl Applied {
    /// Takes the folder, which need not exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Applied { dir: dir.into() }
    }

    /// Returns the record of a plan.
    pub fn find(&self, plan: &PlanFile) -> Result<Option<Found>, AppliedError> {
        read(&self.path(plan))
    }

    /// Begins to apply a plan, unless it was begun before.
    pub fn begin(&self, plan: &PlanFile, now: Timestamp) -> Result<Claim, AppliedError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        made.map_err(failed("make", &self.dir))?;
        let path = self.path(plan);
        let record = Record {
            plan: plan.digest().to_string(),
            started: now,
            ended: None,
            outcome: Outcome::default(),
        };
        let file = self.written(&record, &path)?;
        // The lock is taken before the record has its name: nobody sees it without.
        file.as_file().try_lock().map_err(|e| failed("lock", &path)(e.into()))?;
        match file.persist_noclobber(&path) {
            Ok(lock) => {
                // After a crash of this machine the plan still has to be known as begun.
                File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed("write", &self.dir))?;
                Ok(Claim { applied: self.clone(), path, record, _lock: Locked(lock) })
            }
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => {
                let lock = replace(e.file, &path, plan.created())?;
                Ok(Claim { applied: self.clone(), path, record, _lock: Locked(lock) })
            }
            Err(e) => Err(failed("create", &path)(e.error)),
        }
    }

    fn path(&self, plan: &PlanFile) -> PathBuf {
        self.dir.join(format!("{}.json", plan.digest()))
    }

    fn written(&self, record: &Record, path: &Path) -> Result<NamedTempFile, AppliedError> {
        let write = || {
            let mut file = NamedTempFile::new_in(&self.dir)?;
            serde_json::to_writer_pretty(&mut file, record)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        write().map_err(failed("write", path))
    }
}

/// The right to apply a plan. Dropped without an end, it leaves the record of an interruption.
#[derive(Debug)]
pub struct Claim {
    applied: Applied,
    path: PathBuf,
    record: Record,
    /// Held as long as this lives.
    _lock: Locked,
}

impl Claim {
    /// Writes down how it ended.
    pub fn finish(mut self, outcome: Outcome, now: Timestamp) -> Result<(), AppliedError> {
        self.record.ended = Some(now);
        self.record.outcome = outcome;
        let file = self.applied.written(&self.record, &self.path)?;
        file.persist(&self.path).map(|_| ()).map_err(|e| failed("write", &self.path)(e.error))
    }

    /// Takes it back: nothing was done, and the plan may be applied later.
    pub fn abandon(self) -> Result<(), AppliedError> {
        fs::remove_file(&self.path).map_err(failed("remove", &self.path))
    }
}

/// Puts a new record in the place of one that is past; its lock makes sure that only one does.
fn replace(new: NamedTempFile, path: &Path, created: &Created) -> Result<File, AppliedError> {
    let gone = || failed("create", path)(io::ErrorKind::NotFound.into());
    let taken = |found: Option<Found>| found.map_or_else(gone, |f| AppliedError::Taken(Box::new(f)));
    let old = File::open(path).map_err(failed("read", path))?;
    let held = match old.try_lock() {
        Ok(()) => Locked(old),
        Err(TryLockError::WouldBlock) => return Err(taken(read(path)?)),
        Err(TryLockError::Error(e)) => return Err(failed("lock", path)(e)),
    };
    let inode =
        |meta: io::Result<fs::Metadata>| meta.map(|m| (m.dev(), m.ino())).map_err(failed("read", path));
    // Somebody may have been faster between opening and locking.
    if inode(held.0.metadata())? != inode(fs::metadata(path))? {
        return Err(taken(read(path)?));
    }
    let record = parse(&held.0, path)?;
    let progress = if record.ended.is_some() { Progress::Done } else { Progress::Interrupted };
    let found = Found { record, progress };
    if !found.is_past_for(created) {
        return Err(taken(Some(found)));
    }
    new.persist(path).map_err(|e| failed("create", path)(e.error))
}

/// A file whose lock is given back in the end.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing is not enough: a program that is just being started may hold a copy of the descriptor.
        let _ = self.0.unlock();
    }
}

fn parse(file: &File, path: &Path) -> Result<Record, AppliedError> {
    let mut text = Vec::new();
    file.take(MAX_RECORD).read_to_end(&mut text).map_err(failed("read", path))?;
    serde_json::from_slice(&text)
        .map_err(|e| AppliedError::Damaged { path: path.to_path_buf(), reason: e.to_string() })
}

fn read(path: &Path) -> Result<Option<Found>, AppliedError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed("read", path)(e)),
    };
    let record = parse(&file, path)?;
    let progress = match (record.ended, file.try_lock_shared()) {
        (Some(_), _) => Progress::Done,
        (None, Ok(())) => Progress::Interrupted,
        (None, Err(TryLockError::WouldBlock)) => Progress::Running,
        (None, Err(TryLockError::Error(e))) => return Err(failed("lock", path)(e)),
    };
    Ok(Some(Found { record, progress }))
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> AppliedError + 'a {
    move |source| AppliedError::File { action, path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::file::tests::sample;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn progress(applied: &Applied) -> Option<Progress> {
        applied.find(&sample()).unwrap().map(|f| f.progress)
    }

    #[test]
    fn a_plan_is_applied_once() {
        let home = tempfile::tempdir().unwrap();
        let (applied, plan) = (Applied::new(home.path().join("state/applied")), sample());
        assert_eq!(progress(&applied), None);
        let claim = applied.begin(&plan, time("2026-11-25T08:00:00Z")).unwrap();
        assert_eq!(progress(&applied), Some(Progress::Running));
        let second = applied.begin(&plan, time("2026-11-25T08:01:00Z")).unwrap_err();
        assert!(matches!(second, AppliedError::Taken(f) if f.progress == Progress::Running));
        let score = Score { modules: BTreeMap::from([("copy".into(), (3, 2))]), unforeseen: 1 };
        let outcome = Outcome { counts: BTreeMap::from([("changed".into(), 3)]), score };
        claim.finish(outcome.clone(), time("2026-11-25T08:05:00Z")).unwrap();
        let found = applied.find(&plan).unwrap().unwrap();
        let record = Record {
            plan: plan.digest().into(),
            started: time("2026-11-25T08:00:00Z"),
            ended: Some(time("2026-11-25T08:05:00Z")),
            outcome,
        };
        assert_eq!(found, Found { record, progress: Progress::Done });
        let third = applied.begin(&plan, time("2026-11-25T09:00:00Z")).unwrap_err();
        assert!(matches!(third, AppliedError::Taken(f) if f.progress == Progress::Done));
        let names: Vec<_> = fs::read_dir(&applied.dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, [format!("{}.json", plan.digest()).as_str()]);
    }

    #[test]
    fn one_that_died_is_told_from_one_that_works() {
        let home = tempfile::tempdir().unwrap();
        let (applied, plan) = (Applied::new(home.path()), sample());
        drop(applied.begin(&plan, time("2026-11-25T08:00:01Z")).unwrap());
        assert_eq!(progress(&applied), Some(Progress::Interrupted));
        let again = applied.begin(&plan, time("2026-11-25T08:00:02Z")).unwrap_err();
        assert!(matches!(again, AppliedError::Taken(f) if f.progress == Progress::Interrupted));
    }

    #[test]
    fn the_same_plan_made_again_may_be_applied() {
        let home = tempfile::tempdir().unwrap();
        let applied = Applied::new(home.path());
        let first = sample();
        let made = first.created().at;
        let soon = made.saturating_add(jiff::SignedDuration::from_secs(2)).unwrap();
        applied.begin(&first, made).unwrap().finish(Outcome::default(), soon).unwrap();
        let again = |at: Timestamp| {
            let created = Created { at, ..first.created().clone() };
            let blobs = BTreeMap::from([(crate::modules::sha256(b"welcome\n"), b"welcome\n".to_vec())]);
            let file = PlanFile::new(first.plan().clone(), first.bundle().clone(), blobs, created);
            assert_eq!(file.digest(), first.digest());
            applied.begin(&file, at)
        };
        assert!(matches!(again(soon), Err(AppliedError::Taken(f)) if f.progress == Progress::Done));
        let later = soon.saturating_add(jiff::SignedDuration::from_nanos(1)).unwrap();
        let claims: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| again(later))).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(claims.iter().filter(|c| c.is_ok()).count(), 1);
    }

    #[test]
    fn nothing_done_is_nothing_recorded() {
        let home = tempfile::tempdir().unwrap();
        let (applied, plan) = (Applied::new(home.path()), sample());
        applied.begin(&plan, Timestamp::UNIX_EPOCH).unwrap().abandon().unwrap();
        assert_eq!(progress(&applied), None);
        applied.begin(&plan, Timestamp::UNIX_EPOCH).unwrap();
    }

    #[test]
    fn of_many_one_begins() {
        let home = tempfile::tempdir().unwrap();
        let (applied, plan) = (Applied::new(home.path()), sample());
        let claims: Vec<_> = std::thread::scope(|scope| {
            let begin = || applied.begin(&plan, Timestamp::UNIX_EPOCH);
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(claims.iter().filter(|c| c.is_ok()).count(), 1);
    }

    #[test]
    fn a_damaged_record_is_no_missing_one() {
        let home = tempfile::tempdir().unwrap();
        let (applied, plan) = (Applied::new(home.path()), sample());
        fs::write(applied.path(&plan), "{").unwrap();
        let shown = applied.path(&plan).display().to_string();
        let expect = format!("the record {shown} is damaged: EOF while parsing an object at line 1 column 1");
        assert_eq!(applied.find(&plan).unwrap_err().to_string(), expect);
        assert_eq!(applied.begin(&plan, Timestamp::UNIX_EPOCH).unwrap_err().to_string(), expect);
    }
}
