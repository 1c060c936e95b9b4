//! Plans look at what the next tasks will ask about in one go: nothing that a plan does changes the answers.
//!
//! Comes between a worker and its task. The answers are kept by the text of the questions, so that a task that comes to ask
//! something else after all asks by itself.

use std::collections::HashMap;
use std::sync::Arc;

use super::ahead::{arranged, candidate, look};
use super::execute::Execution;
use super::item::{Condition, ItemRun};
use super::once::place;
use super::play::PlayRun;
use super::prepared::Prepared;
use super::shared::lock;
use super::worker::Job;
use crate::modules;
use crate::playbook::{Action, Entry, Task};
use crate::transport::Output;

/// So many tasks are looked at together.
const MOST: usize = 64;

/// What is known ahead, by the place where it was asked.
pub type Glances = HashMap<String, HashMap<String, Output>>;

/// The tasks that a worker looks at before its own.
#[derive(Default)]
pub struct Forward {
    /// Hosts that get to the next task were reached before.
    began: bool,
    /// Tasks for which this was done.
    covered: usize,
    pub tasks: Vec<Arc<Task>>,
}

impl PlayRun<'_> {
    /// Finds out which tasks can be looked at with the first of these. Plans only: nothing changes in between.
    pub fn look_forward(&mut self, entries: &[Entry]) {
        self.forward.tasks.clear();
        if !self.shared.options.planning {
            return;
        }
        if self.forward.covered > 0 {
            self.forward.covered -= 1;
            return;
        }
        let began = std::mem::replace(&mut self.forward.began, true);
        let mut run: Vec<Arc<Task>> = Vec::new();
        for entry in entries.iter().take(MOST) {
            let Entry::Task(task) = entry else { break };
            if !began || !can_be_glanced_at(task) {
                break;
            }
            run.push(task.clone());
            if task.register.is_some() {
                break;
            }
        }
        if run.len() > 1 {
            self.forward.covered = run.len() - 1;
            self.forward.tasks = run;
        }
    }
}

/// Whether the task asks a target one question that depends on nothing that a task before it does.
fn can_be_glanced_at(task: &Task) -> bool {
    let Action::Module { name, dynamic: None, file: None, .. } = &task.action else { return false };
    let ahead = modules::find(name).is_some_and(|module| module.spec().goes_ahead);
    let plain = task.loop_.is_none() && task.async_.is_none() && task.directives.delegate_to.is_none();
    ahead && plain
}

impl Job {
    /// Looks at what the tasks will ask about. Whatever goes wrong comes up again in their turns.
    pub async fn glance(&self) {
        // Lookups that run or write something wait for the turns of their tasks, wherever they stand.
        let templar = Arc::new(self.shared.templar.without_effects());
        let items: Vec<ItemRun> = self
            .upcoming
            .iter()
            .map(|(task, scope)| ItemRun {
                templar: templar.clone(),
                ..ItemRun::new(self.shared.clone(), task.clone(), self.header.clone(), scope.clone())
            })
            .collect();
        let mut prepared: Vec<(usize, Prepared)> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if matches!(item.conditions(), Ok(Condition::Holds))
                && let Some(one) = arranged(item)
                && prepared.first().is_none_or(|(_, first)| first.reach.is_same(&one.reach))
            {
                prepared.push((index, one));
            }
        }
        let Some((first, one)) = prepared.first().filter(|_| prepared.len() > 1) else { return };
        let execution = one.execution(&items[*first], None);
        let place = place(&one.reach);
        let Ok(lease) = execution.lease().await else { return };
        let mut lease = Some(lease);
        let Ok(target) = execution.target(&mut lease).await else { return };
        let candidates: Vec<_> = prepared
            .into_iter()
            .filter_map(|(index, prepared)| candidate(&items[index], index, prepared, &target))
            .collect();
        let outputs = look(&mut lease, &items, &candidates).await;
        if let Some(lease) = lease {
            lease.done();
        }
        let asked = candidates
            .iter()
            .map(|c| c.prepared.execution(&items[c.index], None).with_environment(&c.script));
        lock(&self.shared.glances).insert(place, asked.zip(outputs).collect());
    }
}

impl Execution<'_> {
    /// Takes the answer to a question that was asked ahead.
    pub(super) fn glanced(&self, script: &str) -> Option<Output> {
        if !self.shared.options.planning {
            return None;
        }
        lock(&self.shared.glances).get_mut(&place(self.reach))?.remove(&self.with_environment(script))
    }
}
