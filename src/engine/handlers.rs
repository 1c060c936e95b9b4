//! Handlers: who was notified, and the order in which they run.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexSet;

use super::play::{Failed, Host, Place, PlayRun};
use crate::playbook::{Entry, Task};
use crate::template::{Scope, Templar};
use crate::value::{Unknown, Value};

/// All handlers of a play in definition order, with the hosts that wait for each.
#[derive(Default)]
pub struct Handlers {
    slots: Vec<Slot>,
    /// Handlers whose names cannot be told, as they are written.
    unusable: IndexSet<String>,
    warned: IndexSet<String>,
}

struct Slot {
    task: Arc<Task>,
    pending: IndexSet<Host>,
    /// In a plan: hosts for which it is not known whether they were notified.
    doubts: HashMap<Host, Unknown>,
}

impl Slot {
    fn call(&mut self, hosts: &[Host], doubt: Option<&Unknown>) {
        for host in hosts {
            let new = self.pending.insert(host.clone());
            match doubt {
                Some(doubt) if new => drop(self.doubts.insert(host.clone(), doubt.clone())),
                Some(_) => {}
                None => drop(self.doubts.remove(host)),
            }
        }
    }
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
                self.slots.push(Slot {
                    task: task.clone(),
                    pending: IndexSet::new(),
                    doubts: HashMap::new(),
                });
            }
        }
    }

    /// Notifies by name or topic. Of handlers with the same name one counts; all that listen to a topic do, unless
    /// they have the same name too.
    pub fn notify(
        &mut self,
        name: &str,
        hosts: &[Host],
        templar: &Templar,
        scope: &Arc<dyn Scope>,
        doubt: Option<&Unknown>,
    ) -> bool {
        let mut found = false;
        let order = self.searched();
        for &index in &order {
            let slot = &mut self.slots[index];
            if slot.task.listen.is_empty()
                && let Some(tree) = &slot.task.name
                && templar.render(tree, scope).is_err()
            {
                self.unusable.insert(tree.as_text().unwrap_or_default().to_string());
                continue;
            }
            if is_called(&slot.task, name, templar, scope) {
                slot.call(hosts, doubt);
                found = true;
                break;
            }
        }
        let mut seen: Vec<String> = Vec::new();
        for index in order {
            let slot = &mut self.slots[index];
            let own = slot.task.name.as_ref().and_then(|n| n.as_text()).map(str::to_string);
            if own.as_ref().is_some_and(|own| seen.contains(own)) {
                continue;
            }
            let fits = |topic: &Value| topic.as_str().is_some_and(|topic| is_named(&slot.task, topic, name));
            let listens = slot.task.listen.iter().any(|topic| match templar.render(topic, scope) {
                Ok(Value::List(topics)) => topics.iter().any(fits),
                Ok(topic) => fits(&topic),
                Err(_) => false,
            });
            if listens {
                slot.call(hosts, doubt);
                found = true;
                seen.extend(own);
            }
        }
        found
    }

    /// Returns handlers that could not be called, each once.
    pub fn newly_unusable(&mut self) -> Vec<String> {
        let found = std::mem::take(&mut self.unusable);
        found.into_iter().filter(|name| self.warned.insert(name.clone())).collect()
    }

    /// The order in which Ansible looks: what was defined together in file order, the last of these groups first.
    fn searched(&self) -> Vec<usize> {
        let role = |slot: &Slot| slot.task.role.as_ref().map(Arc::as_ptr);
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (index, slot) in self.slots.iter().enumerate() {
            match groups.last_mut() {
                Some(group) if role(&self.slots[group[0]]) == role(slot) => group.push(index),
                _ => groups.push(vec![index]),
            }
        }
        groups.into_iter().rev().flatten().collect()
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

    fn next(&mut self) -> Option<(Arc<Task>, IndexSet<Host>, HashMap<Host, Unknown>)> {
        let slot = self.slots.iter_mut().find(|s| !s.pending.is_empty())?;
        Some((slot.task.clone(), std::mem::take(&mut slot.pending), std::mem::take(&mut slot.doubts)))
    }
}

fn is_called(task: &Task, name: &str, templar: &Templar, scope: &Arc<dyn Scope>) -> bool {
    let Some(tree) = &task.name else { return false };
    let own = templar
        .render(tree, scope)
        .map_or_else(|_| tree.as_text().unwrap_or_default().to_string(), |v| v.to_text());
    is_named(task, &own, name)
}

/// Whether a name or topic of a handler is what was notified: as it is, or behind the name of its role.
fn is_named(task: &Task, own: &str, name: &str) -> bool {
    if own == name {
        return true;
    }
    let prefixed = |role: &str| name.strip_prefix(role).and_then(|r| r.strip_prefix(" : ")) == Some(own);
    task.role.as_ref().is_some_and(|role| {
        prefixed(&role.name) || prefixed(role.name.rsplit('.').next().unwrap_or(&role.name))
    })
}

impl PlayRun<'_> {
    /// Runs all notified handlers in definition order until none is left. Failed hosts run theirs only if forced.
    pub async fn flush(&mut self, place: Place) -> Vec<Failed> {
        let forced = self.forces_handlers();
        let mut failed = Vec::new();
        let mut refused = Vec::new();
        while self.stop.is_none() {
            let Some((task, pending, doubts)) = self.handlers.next() else { break };
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
            let before = self.doubts.clone();
            for (host, doubt) in doubts {
                self.doubts.entry(host).or_insert(doubt);
            }
            let flow = self.entries(&entry, hosts, Place { handlers: true, ..place }).await;
            self.doubts = before;
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
        let asked = self.shared.options.force_handlers;
        let Some(first) = self.hosts.keys().next().filter(|_| self.play.force_handlers.is_some()) else {
            return asked;
        };
        let scope = self.play_scope(first);
        self.flag(&self.play.force_handlers, &scope)
    }
}
