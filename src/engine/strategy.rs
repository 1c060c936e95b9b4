//! Strategies: whether hosts wait for one another after each task.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use indexmap::IndexSet;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::event::Recap;
use super::gate::Gate;
use super::inventory::LiveInventory;
use super::play::{Host, Place, PlayRun, Stop};
use super::shared::{Shared, lock};
use crate::playbook::{Entry, Play, StepId, Task};
use crate::vars::PlayVars;

/// How hosts go through a play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// A task is done on all hosts before the next one begins.
    #[default]
    Linear,
    /// Each host goes on by itself.
    Free,
    /// Like free; as many hosts as there are forks are brought to the end before others begin.
    HostPinned,
    /// Like linear; tasks that fail start the debugger.
    Debug,
}

impl Strategy {
    /// All names as playbooks write them.
    pub const NAMES: [&'static str; 4] = ["debug", "free", "host_pinned", "linear"];

    /// Reads a name, with or without its namespace.
    pub fn parse(name: &str) -> Option<Self> {
        let short = name.strip_prefix("ansible.builtin.").or_else(|| name.strip_prefix("ansible.legacy."));
        match short.unwrap_or(name) {
            "linear" => Some(Strategy::Linear),
            "free" => Some(Strategy::Free),
            "host_pinned" => Some(Strategy::HostPinned),
            "debug" => Some(Strategy::Debug),
            _ => None,
        }
    }

    /// Returns the name as playbooks write it.
    pub fn word(self) -> &'static str {
        match self {
            Strategy::Linear => "linear",
            Strategy::Free => "free",
            Strategy::HostPinned => "host_pinned",
            Strategy::Debug => "debug",
        }
    }

    pub fn is_lockstep(self) -> bool {
        matches!(self, Strategy::Linear | Strategy::Debug)
    }
}

/// What a host that goes by itself shares with the others.
#[derive(Clone, Default)]
pub struct Alone {
    /// A host ended the play for all.
    ended: Arc<AtomicBool>,
    /// Places at tasks that only some hosts may do at a time (`throttle`).
    places: Arc<Mutex<HashMap<StepId, Arc<Semaphore>>>>,
}

impl Alone {
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Returns the places at a task that at most `limit` hosts may do at a time.
    pub fn permits(&self, task: &Task, limit: usize) -> Arc<Semaphore> {
        let places = || Arc::new(Semaphore::new(limit));
        lock(&self.places).entry(task.id.clone()).or_insert_with(places).clone()
    }

    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// How a batch ended.
pub struct BatchEnd {
    pub failed: IndexSet<Host>,
    pub unreachable: IndexSet<Host>,
    pub stop: Option<Stop>,
}

/// What a batch runs with.
pub struct Batch {
    pub shared: Arc<Shared>,
    pub play: Arc<Play>,
    pub inventory: Arc<LiveInventory>,
    pub vars: Arc<PlayVars>,
    /// Those whose facts were gathered.
    pub alive: Vec<Host>,
}

impl Batch {
    /// Runs each host by itself, as many at once as there are forks.
    pub async fn each_alone(&self, recap: &mut Recap, gate: &mut Gate) -> BatchEnd {
        let permits = Arc::new(Semaphore::new(self.shared.options.forks.max(1)));
        let alone = Alone::default();
        let mut hosts = JoinSet::new();
        for host in &self.alive {
            let (shared, play) = (self.shared.clone(), self.play.clone());
            let (inventory, vars) = (self.inventory.clone(), self.vars.clone());
            let (permits, alone, host) = (permits.clone(), alone.clone(), host.clone());
            let mut own = Gate { searching: gate.searching, ..Gate::default() };
            hosts.spawn(async move {
                let _permit = permits.acquire_owned().await;
                let mut recap = Recap::default();
                let batch = [host];
                let mut run = PlayRun::new(shared, play, inventory, vars, &batch, &mut recap, &mut own);
                run.alone = Some(alone);
                run.sections().await;
                let end = run.end();
                (end, recap, own.searching)
            });
        }
        let mut all = BatchEnd { failed: IndexSet::new(), unreachable: IndexSet::new(), stop: None };
        while let Some(joined) = hosts.join_next().await {
            let Ok((end, own, still_searching)) = joined else { continue };
            all.failed.extend(end.failed);
            all.unreachable.extend(end.unreachable);
            if all.stop.is_none() || matches!(end.stop, Some(Stop::Error(_))) {
                all.stop = end.stop;
            }
            recap.absorb(own);
            gate.searching &= still_searching;
        }
        all
    }
}

impl PlayRun<'_> {
    /// Runs all sections of the play with their handlers.
    pub async fn sections(&mut self) {
        let play = self.play.clone();
        // Roles and tasks share one round of handlers.
        let groups: [&[&[Entry]]; 3] = [&[&play.pre_tasks], &[&play.roles, &play.tasks], &[&play.post_tasks]];
        for sections in groups {
            for section in sections {
                self.section(section).await;
            }
            self.flush(Place { rescued: false, guarded: false, handlers: true }).await;
        }
    }

    /// Takes what became of the hosts out.
    pub fn end(&mut self) -> BatchEnd {
        BatchEnd {
            failed: std::mem::take(&mut self.failed),
            unreachable: std::mem::take(&mut self.unreachable),
            stop: self.stop.take(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_namespace_or_not() {
        assert_eq!(Strategy::parse("free"), Some(Strategy::Free));
        assert_eq!(Strategy::parse("ansible.builtin.host_pinned"), Some(Strategy::HostPinned));
        assert_eq!(Strategy::parse("mitogen_linear"), None);
    }
}
