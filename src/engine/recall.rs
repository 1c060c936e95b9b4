//! An item and the journal: what is known of it before it runs, and what is written down.

use std::sync::Arc;

use super::event::{Event, Status, TaskHeader};
use super::item::ItemRun;
use super::jobs;
use super::journal::{Journal, Left, Past, Sent, StepKey, can_keep};
use super::prepared::MAY_STILL_RUN;
use super::result::{TaskResult, Trouble};
use crate::value::{Map, Value};

/// What an earlier part of the run began of a step.
#[derive(Debug)]
pub struct Earlier {
    /// Sent without a verdict.
    pub open: Option<Sent>,
    /// Counts verdicts that do not count any more.
    pub round: u32,
}

/// What is longer is kept only of results that variables hold: bytes of a text, members of a list.
const LONGEST_TEXT: usize = 64 * 1024;
const LONGEST_LIST: usize = 4096;

/// One attempt of a step, to be written down.
pub struct Stepped {
    journal: Arc<Journal>,
    key: StepKey,
    header: Arc<TaskHeader>,
    attempt: u32,
    earlier: Option<Arc<Earlier>>,
}

impl Stepped {
    /// Begins a record of what is sent.
    pub fn sent(&self) -> Sent {
        Sent { attempt: self.attempt, repeatable: true, ..Sent::default() }
    }

    /// Writes down that something will be sent together with what other steps send; [`Journal::settle`] waits until that
    /// is safe.
    pub fn announce_with_others(&self) -> Result<(), Trouble> {
        let written = self.journal.sending(&self.key, &self.header, self.sent());
        written.map(drop).map_err(|e| Trouble::msg(format!("nothing was sent: {e}")))
    }

    /// Writes down that something is sent, and waits until that is safe.
    pub async fn announce(&self, sent: &Sent) -> Result<(), Trouble> {
        let written = self.journal.sent(&self.key, &self.header, sent.clone()).await;
        written.map_err(|e| Trouble::msg(format!("nothing was sent: {e}")))
    }

    /// Whether this very attempt may have been sent by an earlier part of the run.
    pub fn began_before(&self) -> bool {
        let open = self.earlier.as_ref().and_then(|earlier| earlier.open.as_ref());
        open.is_some_and(|sent| sent.attempt == self.attempt)
    }

    /// Long commands that an earlier part of the run sent without seeing their end.
    pub fn earlier_jobs(&self) -> &[String] {
        let open = self.earlier.as_ref().and_then(|earlier| earlier.open.as_ref());
        open.map_or(&[], |sent| &sent.jobs)
    }

    /// Names what the step leaves on its target.
    pub fn name(&self) -> String {
        name(&self.key)
    }
}

/// Returns the result without texts and lists that are long; nothing when there are none.
fn without_long_texts(result: &TaskResult) -> Option<TaskResult> {
    let long = |value: &Value| {
        value.as_str().is_some_and(|text| text.len() > LONGEST_TEXT)
            || value.as_list().is_some_and(|list| list.len() > LONGEST_LIST)
    };
    result.result.iter().any(|(_, value)| long(value)).then(|| {
        let mut short = result.clone();
        let kept = short.result.iter().filter(|(_, value)| !long(value));
        short.result = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        short
    })
}

fn name(key: &StepKey) -> String {
    format!("{} {} {} {:?}", key.task, key.host, key.turn, key.item)
}

impl ItemRun {
    /// Runs the item, unless the journal has its result.
    pub async fn run(&self) -> TaskResult {
        let result = self.run_or_recall().await;
        self.remember_started_anew(&result.result);
        result
    }

    async fn run_or_recall(&self) -> TaskResult {
        let (Some(journal), Some(key)) = (&self.shared.journal, &self.key) else {
            return self.run_anew().await;
        };
        let (result, earlier) = match journal.recall(key) {
            Err(e) => return TaskResult::from_trouble(Trouble::msg(e.to_string())),
            Ok(Past::Settled { result, left, over }) => return self.replay(*result, &left, over).await,
            Ok(Past::New) => (self.run_anew().await, None),
            Ok(Past::AssumedDone { left }) => {
                self.leave(&left);
                (self.assumed(), None)
            }
            Ok(Past::Open { open, round, left }) => {
                self.leave(&left);
                let earlier = Arc::new(Earlier { open, round });
                let again = ItemRun { earlier: Some(earlier.clone()), ..self.clone() };
                (Box::pin(again.run_anew()).await, Some(earlier))
            }
        };
        let result = self.with_what_was_done_before(result, earlier.as_deref());
        let result = self.with_help(result, earlier.is_some());
        self.write_down(journal, key, &result).await;
        result
    }

    /// Whether no earlier part of the run had to do with the item.
    pub fn is_new(&self) -> bool {
        match (&self.shared.journal, &self.key) {
            (Some(journal), Some(key)) => !journal.knows(key),
            _ => true,
        }
    }

    /// Says how one attempt is written down.
    pub fn stepped(&self, attempt: u32) -> Option<Stepped> {
        Some(Stepped {
            journal: self.shared.journal.clone()?,
            key: self.key.clone()?,
            header: self.header.clone(),
            attempt,
            earlier: self.earlier.clone(),
        })
    }

    /// Gives a result of the journal. What runs in the background is looked after again.
    async fn replay(&self, result: TaskResult, left: &Left, over: bool) -> TaskResult {
        if jobs::goes_on(&result.result) && !over {
            jobs::look_after(self, &result.result);
            return result;
        }
        // The program may have ended before it could remove these.
        self.leave(left);
        self.tidy().await;
        result
    }

    /// Remembers what earlier attempts left on the target.
    fn leave(&self, left: &Left) {
        if left.marks.is_empty() && left.jobs.is_empty() {
            return;
        }
        if let (Some(key), Ok((reach, _))) = (&self.key, self.reach()) {
            self.shared.leave_all(&name(key), &reach, left);
        }
    }

    fn assumed(&self) -> TaskResult {
        let result = Map::from_iter([("rc", 0)]);
        let mut done = TaskResult::new(Status::Changed, result);
        for stream in ["stdout", "stderr"] {
            done.result.insert(stream, "");
            done.result.insert(format!("{stream}_lines"), Vec::<String>::new());
        }
        done.result.insert("assumed_done", true);
        done.effects.notify =
            self.task.notify.iter().filter_map(|n| n.as_text().map(str::to_string)).collect();
        done
    }

    /// A change that was sent before the interruption and is in place now was made by this run.
    fn with_what_was_done_before(&self, mut result: TaskResult, earlier: Option<&Earlier>) -> TaskResult {
        let sent = earlier.and_then(|earlier| earlier.open.as_ref());
        if sent.is_some() && result.status == Status::Ok && self.task.changed_when.is_empty() {
            result.status = Status::Changed;
            result.result.insert("changed", true);
            result.result.insert("changed_before_interruption", true);
        }
        result
    }

    /// Tells how to go on where the outcome is unknown.
    fn with_help(&self, mut result: TaskResult, asked_before: bool) -> TaskResult {
        if let (Status::Lost, Some(journal), Some(key)) = (result.status, &self.shared.journal, &self.key) {
            let msg = result.result.get("msg").map(Value::to_text).unwrap_or_default();
            let (run, host) = (journal.id(), &key.host);
            let digest = key.task.rsplit_once('#').map_or(&*key.task, |(_, digest)| digest);
            let help = if asked_before {
                format!(
                    "look at {host}, then go on with xplay resume {run} --assume-done {digest}@{host}, or --redo {digest}@{host}"
                )
            } else {
                format!("xplay resume {run} asks {host} about it")
            };
            result.result.insert("msg", format!("{msg}; {help}"));
        }
        result
    }

    async fn write_down(&self, journal: &Journal, key: &StepKey, result: &TaskResult) {
        if result.halted || !can_keep(result) {
            return;
        }
        let settled = match result.status {
            Status::Ok | Status::Changed | Status::Skipped | Status::Ignored => true,
            Status::Failed => self.rescued || self.flag(|d| &d.ignore_errors).unwrap_or(false),
            Status::Unreachable => self.flag(|d| &d.ignore_unreachable).unwrap_or(false),
            Status::Lost => false,
        };
        // What no variable holds nobody asks for later.
        let unseen = self.task.register.is_none() && !result.is_failure();
        let short = if unseen { without_long_texts(result) } else { None };
        journal.verdict(key, &self.header, short.as_ref().unwrap_or(result), settled);
        if let Some(reason) = journal.trouble() {
            let text = format!("the run cannot be resumed from here: {reason}");
            self.shared.emit(Event::Warning(text)).await;
        }
        // What is open is needed to find out what became of it; a host that does not answer is not asked once more.
        let open = result.status == Status::Lost || result.result.contains(MAY_STILL_RUN);
        if !open && !jobs::goes_on(&result.result) {
            self.tidy().await;
        }
    }

    /// Notes that the item's job in the background has ended.
    pub async fn job_ended(&self) {
        if let (Some(journal), Some(key)) = (&self.shared.journal, &self.key) {
            journal.job_ended(key, &self.header);
            self.tidy().await;
        }
    }

    /// Removes what the item left on its target.
    pub async fn tidy(&self) {
        if let Some(key) = &self.key {
            self.shared.tidy(&name(key)).await;
        }
    }
}
