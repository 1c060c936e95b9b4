//! Handlers: who was notified, and the order in which they run.

use std::sync::Arc;

use indexmap::IndexSet;

use super::play::{Failed, Host, Place, PlayRun};
use crate::playbook::{Entry, Task};
use crate::template::{Scope, Templar};
use crate::value::Value;

/// All handlers of a play in definition order, with the hosts that wait for each.
#[derive(Default)]
pub struct Handlers {
    slots: Vec<Slot>,
}

struct Slot {
    task: Arc<Task>,
    pending: IndexSet<Host>,
}

impl Handlers {
    pub fn new(tasks: &[Arc<Task>]) -> Self {
        let mut handlers = Handlers::default();
        handlers.add(tasks);
        handlers
    }

    /// Adds handlers that came with an included role; known ones keep their place.
    pub fn add(&mut self, tasks: &[Arc<Task>]) {
        for task in tasks {
            if !self.slots.iter().any(|s| Arc::ptr_eq(&s.task, task)) {
                self.slots.push(Slot { task: task.clone(), pending: IndexSet::new() });
            }
        }
    }

    /// Notifies by name or topic. Of handlers with the same name the last one counts; all that listen to a topic do.
    pub fn notify(&mut self, name: &str, hosts: &[Host], templar: &Templar, scope: &Arc<dyn Scope>) -> bool {
        let mut found = false;
        for slot in self.slots.iter_mut().rev() {
            if is_called(&slot.task, name, templar, scope) {
                slot.pending.extend(hosts.iter().cloned());
                found = true;
                break;
            }
        }
        for slot in &mut self.slots {
            let listens = slot.task.listen.iter().any(|topic| match templar.render(topic, scope) {
                Ok(Value::List(topics)) => topics.iter().any(|t| t.as_str() == Some(name)),
                Ok(topic) => topic.as_str() == Some(name),
                Err(_) => false,
            });
            if listens {
                slot.pending.extend(hosts.iter().cloned());
                found = true;
            }
        }
        found
    }

    /// Names and topics as they are written, for suggestions.
    pub fn names(&self) -> Vec<String> {
        let trees = self.slots.iter().flat_map(|s| s.task.name.iter().chain(&s.task.listen));
        trees.filter_map(|t| t.as_text().map(str::to_string)).collect()
    }

    /// Lets hosts wait for a handler again.
    fn put_back(&mut self, task: &Arc<Task>, hosts: IndexSet<Host>) {
        if let Some(slot) = self.slots.iter_mut().find(|s| Arc::ptr_eq(&s.task, task)) {
            slot.pending.extend(hosts);
        }
    }

    fn next(&mut self) -> Option<(Arc<Task>, IndexSet<Host>)> {
        let slot = self.slots.iter_mut().find(|s| !s.pending.is_empty())?;
        Some((slot.task.clone(), std::mem::take(&mut slot.pending)))
    }
}

fn is_called(task: &Task, name: &str, templar: &Templar, scope: &Arc<dyn Scope>) -> bool {
    let Some(tree) = &task.name else { return false };
    let own = templar
        .render(tree, scope)
        .map_or_else(|_| tree.as_text().unwrap_or_default().to_string(), |v| v.to_text());
    if own == name {
        return true;
    }
    task.role
        .as_ref()
        .is_some_and(|role| name.strip_prefix(&*role.name).and_then(|r| r.strip_prefix(" : ")) == Some(&own))
}

impl PlayRun<'_> {
    /// Runs all notified handlers in definition order until none is left. Failed hosts run theirs only if forced.
    pub async fn flush(&mut self, place: Place) -> Vec<Failed> {
        let forced = self.forces_handlers();
        let mut failed = Vec::new();
        let mut refused = Vec::new();
        while self.stop.is_none() {
            let Some((task, pending)) = self.handlers.next() else { break };
            let hosts: Vec<Host> = self
                .hosts
                .iter()
                .filter(|(h, alive)| {
                    pending.contains(*h) && (**alive || (forced && self.failed.contains(*h)))
                })
                .map(|(h, _)| h.clone())
                .collect();
            if hosts.is_empty() {
                continue;
            }
            self.gate.refused = None;
            let entry = [Entry::Task(task.clone())];
            let flow = self.entries(&entry, hosts, Place { handlers: true, ..place }).await;
            failed.extend(flow.failed);
            if self.gate.refused.as_deref() == Some(&*task.id.to_string()) {
                refused.push((task, pending));
            }
        }
        // Refused now is not done: the next round asks again, as in Ansible.
        for (task, pending) in refused {
            self.handlers.put_back(&task, pending);
        }
        failed
    }

    fn forces_handlers(&self) -> bool {
        if self.shared.options.force_handlers {
            return true;
        }
        let Some(first) = self.hosts.keys().next() else { return false };
        let scope = self.play_scope(first);
        self.flag(&self.play.force_handlers, &scope)
    }
}
