//! Handlers: who was notified, and the order in which they run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::play::{Failed, Host, Place, PlayRun};
use crate::playbook::{Entry, Task};
use crate::template::{Scope, Templar};
use crate::value::{Unknown, Value};

/// All handlers of a play in definition order, with the hosts that wait for each.
#[derive(Default)]
pub struct Handlers {
    slots: Vec<Slot>,
    /// Names and topics that wait for the next flush, with the hosts that notified them.
    later: IndexMap<String, IndexMap<Host, Option<Unknown>>>,
    /// Handlers whose names cannot be told, as they are written.
    unusable: IndexSet<String>,
    warned: IndexSet<String>,
    missed: Vec<String>,
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

    /// Takes a host out of all that waits.
    fn forget(&mut self, host: &Host) {
        for slot in &mut self.slots {
            slot.pending.shift_remove(host);
        }
        for hosts in self.later.values_mut() {
            hosts.shift_remove(host);
        }
    }

    /// Remembers a notification until the next flush. Returns whether anything answers to it by now.
    pub fn notify_later(
        &mut self,
        name: &str,
        hosts: &[Host],
        templar: &Templar,
        scope: &Arc<dyn Scope>,
        doubt: Option<&Unknown>,
    ) -> bool {
        let found = self.notify(name, &[], templar, scope, None);
        if found {
            let waiting = self.later.entry(name.to_string()).or_default();
            for host in hosts {
                // One that is certain to notify takes the doubt away.
                let known = waiting.entry(host.clone()).or_insert_with(|| doubt.cloned());
                if doubt.is_none() {
                    *known = None;
                }
            }
        }
        found
    }

    /// Calls what waited for a flush, for hosts that may take part.
    fn call_waiting(&mut self, may: impl Fn(&Host) -> bool, templar: &Templar, scope: &Arc<dyn Scope>) {
        for (name, hosts) in std::mem::take(&mut self.later) {
            let (ready, left): (IndexMap<_, _>, IndexMap<_, _>) =
                hosts.into_iter().partition(|(h, _)| may(h));
            for (host, doubt) in ready {
                self.notify(&name, &[host], templar, scope, doubt.as_ref());
            }
            if !left.is_empty() {
                self.later.insert(name, left);
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
            // Topics are no templates.
            let listens = slot.task.listen.iter().any(|topic| match (topic.as_value(), topic.as_text()) {
                (Some(Value::List(topics)), _) => topics.iter().any(fits),
                (Some(topic), _) => fits(topic),
                (None, text) => text.is_some_and(|text| is_named(&slot.task, text, name)),
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

    /// Remembers a name that nothing answers to.
    pub fn miss(&mut self, name: &str) {
        self.missed.push(name.to_string());
    }

    /// Returns the names that nothing answered to since the last time.
    pub fn newly_missed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.missed)
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

    /// Takes the first handler from a place on that some of the hosts wait for, and these hosts.
    fn next(&mut self, from: usize, may: impl Fn(&Host) -> bool) -> Option<Called> {
        let mut slots = self.slots.iter_mut().enumerate().skip(from);
        let (index, slot) = slots.find(|(_, slot)| slot.pending.iter().any(&may))?;
        let (hosts, left) = std::mem::take(&mut slot.pending).into_iter().partition(|host| may(host));
        slot.pending = left;
        let (doubts, left) = std::mem::take(&mut slot.doubts).into_iter().partition(|(host, _)| may(host));
        slot.doubts = left;
        Some(Called { index, task: slot.task.clone(), hosts, doubts })
    }

    /// Lets hosts wait for a handler again.
    fn put_back(&mut self, task: &Arc<Task>, hosts: IndexSet<Host>) {
        if let Some(slot) = self.slots.iter_mut().find(|s| Arc::ptr_eq(&s.task, task)) {
            slot.pending.extend(hosts);
        }
    }
}

/// A handler that runs now, and for whom.
struct Called {
    index: usize,
    task: Arc<Task>,
    hosts: IndexSet<Host>,
    doubts: HashMap<Host, Unknown>,
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
    /// Runs all notified handlers in definition order. Failed hosts run theirs only if forced.
    pub async fn flush(&mut self, place: Place) -> Vec<Failed> {
        self.flush_for(&[], place).await
    }

    /// Runs notified handlers; `asking` are hosts that a task flushes them for, failed or not.
    pub async fn flush_for(&mut self, asking: &[Host], place: Place) -> Vec<Failed> {
        let forced = self.forces_handlers();
        let mut failed: Vec<Failed> = Vec::new();
        let mut refused = Vec::new();
        let may_be_called = |run: &Self, host: &Host| match asking.is_empty() {
            false => asking.contains(host),
            true => run.hosts.get(host) == Some(&true) || (forced && run.failed.contains(host)),
        };
        let called: HashSet<Host> = self.hosts.keys().filter(|h| may_be_called(self, h)).cloned().collect();
        if let Some(first) = self.hosts.keys().next().cloned() {
            let scope = self.play_scope(&first).boxed();
            let templar = self.shared.templar.clone();
            self.handlers.call_waiting(|host| called.contains(host), &templar, &scope);
        }
        // Once through all handlers: one that a later handler notifies waits for the next time.
        let mut from = 0;
        while self.stop.is_none() {
            let lost: HashSet<&Host> = failed.iter().map(|f| &f.host).collect();
            let may: HashSet<Host> = self
                .hosts
                .iter()
                .filter(|(host, alive)| match asking.contains(host) {
                    true => !lost.contains(host) && !self.unreachable.contains(*host),
                    false => asking.is_empty() && (**alive || (forced && self.failed.contains(*host))),
                })
                .map(|(host, _)| host.clone())
                .collect();
            let found = self.handlers.next(from, |host| may.contains(host));
            let Some(Called { index, task, hosts: pending, doubts }) = found else { break };
            from = index + 1;
            let hosts: Vec<Host> =
                self.hosts.keys().filter(|host| pending.contains(*host)).cloned().collect();
            self.gate.refused = None;
            let entry = [Entry::Task(task.clone())];
            let before = self.doubts.clone();
            for (host, doubt) in doubts {
                self.doubts.entry(host).or_insert(doubt);
            }
            let flow = self.entries(&entry, hosts, Place { handlers: true, ..place }).await;
            self.doubts = before;
            // A host that fails in a handler is done with all of them, also where handlers are forced.
            flow.failed.iter().for_each(|f| self.handlers.forget(&f.host));
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
        self.play_flag(&self.play.force_handlers, &scope).unwrap_or(asked)
    }
}
