//! What all workers share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::ask::Answers;
use super::event::Event;
use super::glance::Glances;
use super::halt::Halt;
use super::jobs::Jobs;
use super::journal::Journal;
use super::login::Reach;
use super::once::Leftover;
use super::options::RunOptions;
use super::pool::Pool;
use crate::diag::SourceMap;
use crate::modules::{Certainty, Touch, World};
use crate::plan::Guide;
use crate::playbook::Loader;
use crate::template::Templar;
use crate::vars::RunVars;

/// Shared by reference; nothing in it is per host.
pub struct Shared {
    pub options: RunOptions,
    pub templar: Arc<Templar>,
    pub sources: SourceMap,
    pub loader: Loader,
    pub pool: Pool,
    pub events: mpsc::Sender<Event>,
    pub vars: Arc<RunVars>,
    /// Told every text that must not be shown.
    pub secrets: Arc<dyn Fn(&str) + Send + Sync>,
    /// What runs in the background.
    pub jobs: Jobs,
    /// Answers questions that come up while running.
    pub answers: Arc<dyn Answers>,
    /// Names this run on targets.
    pub run_id: String,
    /// What predicted changes leave behind, by the host that they are made on.
    pub worlds: Mutex<HashMap<String, World>>,
    /// What a plan looked at ahead of the tasks that ask for it.
    pub glances: Mutex<Glances>,
    /// The plan that this run follows.
    pub guide: Option<Arc<Guide>>,
    /// Where the run is written down, so that it can be resumed.
    pub journal: Option<Arc<Journal>>,
    pub halt: Halt,
    /// Held by the host that the user looks at with the debugger.
    pub debugging: tokio::sync::Mutex<()>,
    /// What steps left on targets until their verdicts are written.
    pub leftovers: Mutex<HashMap<String, Vec<Leftover>>>,
    /// Marks that are needed no more, by the place where they are.
    pub old_marks: Mutex<HashMap<String, (Reach, Vec<String>)>>,
    /// Tokens of locks whose shells were lost with their connections.
    pub lost_claims: Mutex<Vec<String>>,
}

impl Shared {
    /// Returns what predicted changes leave on a host.
    pub fn world(&self, host: &str) -> World {
        lock(&self.worlds).get(host).cloned().unwrap_or_default()
    }

    /// Remembers what a predicted change leaves on a host.
    pub fn foresee(&self, host: &str, step: &str, touches: Vec<Touch>, certain: Certainty) {
        if !touches.is_empty() {
            lock(&self.worlds).entry(host.to_string()).or_default().add(&step.into(), touches, certain);
        }
    }

    /// Tells what templates were found to be odd about since the last time.
    pub async fn tell_template_warnings(&self) {
        for text in self.templar.take_warnings() {
            self.emit(Event::Warning(text)).await;
        }
    }

    /// Sends an event; an engine whose listener is gone goes on silently.
    pub async fn emit(&self, event: Event) {
        let _ = self.events.send(event).await;
    }
}

/// Locks a mutex whose content no panic leaves half done.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
