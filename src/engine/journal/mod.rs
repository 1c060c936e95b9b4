//! The journal of a run: what was sent and what came of it, so that an interrupted run goes on where it stopped.
//!
//! Resuming is running again: every step whose verdict is in the journal gives that verdict without being executed, so
//! variables, facts, handlers and failed hosts are what they were. [`log`] keeps records in a file, [`record`] says what
//! they are, [`codec`] and [`seal`] keep results, [`store`] is the folder of all runs.

mod codec;
mod log;
mod outputs;
mod record;
mod seal;
mod store;

pub use codec::can_keep;
pub use log::{JournalError, Parsed, Wrong, parse};
pub use outputs::{Hiding, Kept, Outputs};
pub use record::{Decision, EndKind, FORMAT, Head, Record, Sent, StepKey, Verdict};
pub use seal::Sealing;
pub use store::{RunFile, RunState, Runs, Summary, new_id};

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use super::event::TaskHeader;
use super::result::TaskResult;
use super::shared::lock;
use log::Log;

/// Hides secrets in the texts of records that people read.
pub type Masking = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What is known of a step before it runs.
pub enum Past {
    /// Nothing: it never began.
    New,
    /// It ended, and its result counts. `over` says that of the job in the background which it started.
    Settled { result: Box<TaskResult>, left: Left, over: bool },
    /// It was asked for before: `open` is what was sent without a verdict, `round` counts verdicts that no longer count.
    Open { open: Option<Sent>, round: u32, left: Left },
    /// The user says that it was done.
    AssumedDone { left: Left },
}

/// A task's id and a host.
type TaskOnHost = (Arc<str>, Arc<str>);

/// The journal of one run. All workers write to it.
pub struct Journal {
    log: Log,
    id: String,
    sealing: Sealing,
    masking: Masking,
    past: Mutex<HashMap<StepKey, Known>>,
    /// Loops that ended as a whole.
    done: Mutex<HashSet<StepKey>>,
    /// How often a task was begun on a host in this process.
    turns: Mutex<HashMap<TaskOnHost, u32>>,
    /// Numbers of steps that are described in the file.
    steps: Mutex<HashMap<Arc<str>, u32>>,
    /// The first reason for which a record could not be written.
    broken: Mutex<Option<String>>,
    /// Takes outputs that are too long for results.
    outputs: Option<Outputs>,
}

/// Names of what the attempts of a step leave on its target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    pub marks: Vec<String>,
    pub jobs: Vec<String>,
}

/// What the file says of one step on one host.
#[derive(Default)]
struct Known {
    open: Option<Sent>,
    /// Everything that was sent may have left something on its target.
    left: Left,
    over: bool,
    round: u32,
    verdict: Option<Verdict>,
    assumed: bool,
}

impl Journal {
    /// Begins the journal of a new run.
    pub fn begin(
        file: RunFile,
        head: Head,
        sealing: Sealing,
        masking: Masking,
    ) -> Result<Self, JournalError> {
        let log = Log::create(file)?;
        let journal = Journal {
            id: head.id.clone(),
            log,
            sealing,
            masking,
            past: Mutex::default(),
            done: Mutex::default(),
            turns: Mutex::default(),
            steps: Mutex::default(),
            broken: Mutex::default(),
            outputs: None,
        };
        journal.log.append(&Record::Begun(Box::new(head)))?;
        Ok(journal)
    }

    /// Opens the journal of an interrupted run to go on with it.
    pub fn resume(
        file: RunFile,
        sealing: Sealing,
        masking: Masking,
        decisions: &[Decision],
        now: jiff::Timestamp,
    ) -> Result<Self, JournalError> {
        let (log, records) = Log::open(file)?;
        let mut past = HashMap::new();
        let mut done = HashSet::new();
        let mut steps: HashMap<Arc<str>, u32> = HashMap::new();
        let mut names: HashMap<u32, Arc<str>> = HashMap::new();
        let mut id = String::new();
        for record in records {
            match record {
                Record::Begun(head) => id = head.id,
                Record::Step { number, id, .. } => {
                    let id: Arc<str> = id.into();
                    steps.insert(id.clone(), number);
                    names.insert(number, id);
                }
                Record::Sent(sent) => {
                    if let Some(key) = sent.at.named(&names) {
                        let known: &mut Known = past.entry(key).or_default();
                        known.left.marks.extend(sent.marks.iter().cloned());
                        known.left.jobs.extend(sent.jobs.iter().cloned());
                        known.open = Some(sent);
                    }
                }
                Record::Verdict(verdict) => {
                    if let Some(key) = verdict.at.named(&names) {
                        past.entry(key).or_default().judge(verdict);
                    }
                }
                Record::Done { step, host, turn } => {
                    if let Some(name) = names.get(&step) {
                        let (task, host) = (name.clone(), host.into());
                        done.insert(StepKey { task, host, turn, item: None });
                    }
                }
                Record::JobEnded(at) => {
                    if let Some(key) = at.named(&names) {
                        past.entry(key).or_default().over = true;
                    }
                }
                Record::Decided(decision) => decide(&mut past, &decision),
                Record::Inputs { .. }
                | Record::Prompted { .. }
                | Record::Resumed { .. }
                | Record::Stopping { .. }
                | Record::Ended { .. } => {}
            }
        }
        log.append(&Record::Resumed { at: now, pid: std::process::id() })?;
        for decision in decisions {
            if decide_count(&mut past, decision) == 0 {
                return Err(JournalError::NoSuchStep(decision.step.clone()));
            }
            log.append(&Record::Decided(decision.clone()))?;
        }
        Ok(Journal {
            log,
            id,
            sealing,
            masking,
            past: Mutex::new(past),
            done: Mutex::new(done),
            turns: Mutex::default(),
            steps: Mutex::new(steps),
            broken: Mutex::default(),
            outputs: None,
        })
    }

    /// Keeps outputs that are too long for results in files beside the journal.
    pub fn keeping_outputs(mut self, hiding: Hiding) -> Self {
        self.outputs = Some(Outputs { dir: store::outputs_of(self.log.path()), hiding });
        self
    }

    pub fn outputs(&self) -> Option<&Outputs> {
        self.outputs.as_ref()
    }

    /// Returns the name of the run, which is part of names on targets.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Counts another execution of a task on a host and returns its number, from 1.
    pub fn turn(&self, task: &Arc<str>, host: &Arc<str>) -> u32 {
        let mut turns = lock(&self.turns);
        let turn = turns.entry((task.clone(), host.clone())).or_default();
        *turn += 1;
        *turn
    }

    /// Whether the next execution of a task on a host has ended already.
    pub fn has_ended(&self, task: &Arc<str>, host: &Arc<str>) -> bool {
        let turn = lock(&self.turns).get(&(task.clone(), host.clone())).copied().unwrap_or(0) + 1;
        let key = StepKey { task: task.clone(), host: host.clone(), turn, item: None };
        lock(&self.done).contains(&key)
            || lock(&self.past).get(&key).is_some_and(|known| known.verdict.is_some())
    }

    /// Whether an earlier part of the run had to do with a step.
    pub fn knows(&self, key: &StepKey) -> bool {
        lock(&self.past).contains_key(key)
    }

    /// Returns what earlier parts of the run know of a step.
    pub fn recall(&self, key: &StepKey) -> Result<Past, JournalError> {
        let past = lock(&self.past);
        let Some(known) = past.get(key) else { return Ok(Past::New) };
        if known.assumed {
            return Ok(Past::AssumedDone { left: known.left.clone() });
        }
        match &known.verdict {
            Some(verdict) => {
                let text = self.sealing.open(&verdict.result)?;
                let result = codec::decode(&text).ok_or_else(|| JournalError::unreadable(&key.task))?;
                Ok(Past::Settled { result: Box::new(result), left: known.left.clone(), over: known.over })
            }
            None => {
                let left = known.left.clone();
                Ok(Past::Open { open: known.open.clone(), round: known.round, left })
            }
        }
    }

    /// Writes down that something is about to be changed, and waits until that is safe on the disk.
    pub async fn sent(&self, key: &StepKey, header: &TaskHeader, sent: Sent) -> Result<(), JournalError> {
        let number = self.sending(key, header, sent)?;
        self.log.synced(number).await
    }

    /// Writes down the same without waiting; returns the record's number.
    pub fn sending(&self, key: &StepKey, header: &TaskHeader, sent: Sent) -> Result<u64, JournalError> {
        let at = record::At::new(self.step(header)?, key);
        self.log.append(&Record::Sent(Sent { at, ..sent }))
    }

    /// Writes down what came of a step. `settled` says that it is not tried again when the run is resumed.
    pub fn verdict(&self, key: &StepKey, header: &TaskHeader, result: &TaskResult, settled: bool) {
        let written = self.step(header).and_then(|step| {
            let note = (result.is_failure() && !header.no_log)
                .then(|| result.result.get("msg").map(|msg| (self.masking)(&msg.to_text())))
                .flatten();
            let verdict = Verdict {
                at: record::At::new(step, key),
                status: result.status,
                settled,
                note,
                result: self.sealing.seal(codec::encode(result).as_bytes())?,
            };
            self.log.append(&Record::Verdict(verdict))
        });
        self.noted(written);
    }

    /// Writes down that a loop ended as a whole.
    pub fn done(&self, key: &StepKey, header: &TaskHeader) {
        let written = self.step(header).and_then(|step| {
            self.log.append(&Record::Done { step, host: key.host.to_string(), turn: key.turn })
        });
        self.noted(written);
    }

    /// Writes down that a job in the background ended.
    pub fn job_ended(&self, key: &StepKey, header: &TaskHeader) {
        let written =
            self.step(header).and_then(|step| self.log.append(&Record::JobEnded(record::At::new(step, key))));
        self.noted(written);
    }

    /// Writes down something about the run as a whole.
    pub fn note(&self, record: &Record) {
        self.noted(self.log.append(record));
    }

    /// Keeps answers to the run's questions, sealed.
    pub fn prompted(&self, answers: &str) -> Result<(), JournalError> {
        let answers = self.sealing.seal(answers.as_bytes())?;
        self.log.append(&Record::Prompted { answers }).map(|_| ())
    }

    /// Waits until everything that was written is safe on the disk.
    pub async fn settle(&self) -> Result<(), JournalError> {
        self.log.synced(self.log.last()).await
    }

    /// Returns why the journal is incomplete, once.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.broken).take()
    }

    fn noted(&self, written: Result<u64, JournalError>) {
        if let Err(e) = written {
            lock(&self.broken).get_or_insert(e.to_string());
        }
    }

    /// Returns the number of a step in the file; a new one is described there first.
    fn step(&self, header: &TaskHeader) -> Result<u32, JournalError> {
        let mut steps = lock(&self.steps);
        if let Some(number) = steps.get(&*header.id) {
            return Ok(*number);
        }
        let number = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        self.log.append(&Record::Step {
            number,
            id: header.id.clone(),
            name: (self.masking)(&header.name),
            module: header.module.clone(),
            place: header.place.clone().unwrap_or_default(),
        })?;
        steps.insert(header.id.as_str().into(), number);
        Ok(number)
    }
}

impl Known {
    fn judge(&mut self, verdict: Verdict) {
        if verdict.settled {
            self.verdict = Some(verdict);
            self.open = None;
        } else if verdict.status == super::event::Status::Lost {
            // Whether it happened is still open.
        } else {
            self.verdict = None;
            self.open = None;
            self.round += 1;
        }
    }
}

fn decide(past: &mut HashMap<StepKey, Known>, decision: &Decision) {
    decide_count(past, decision);
}

/// Carries out what the user decided about steps of unknown outcome, and returns how many there were.
fn decide_count(past: &mut HashMap<StepKey, Known>, decision: &Decision) -> usize {
    let mut count = 0;
    for (key, known) in past.iter_mut() {
        if known.verdict.is_some() || known.assumed || known.open.is_none() || !decision.means(key) {
            continue;
        }
        count += 1;
        if decision.done {
            known.assumed = true;
        } else {
            known.open = None;
            known.round += 1;
        }
    }
    count
}

/// Returns the names of inputs that differ between two times, with what happened to them.
pub fn differences(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let mut all = Vec::new();
    for (name, digest) in before {
        match now.get(name) {
            None => all.push(format!("{name} was removed")),
            Some(found) if found != digest => all.push(format!("{name} was changed")),
            Some(_) => {}
        }
    }
    all.extend(now.keys().filter(|name| !before.contains_key(*name)).map(|name| format!("{name} was added")));
    all
}

#[cfg(test)]
mod tests;
