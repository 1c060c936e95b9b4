//! Blocks: what fails in one is rescued, and its `always` runs for everybody.

use std::collections::HashSet;

use super::play::{Failed, Flow, Host, Place, PlayRun};
use crate::playbook::{Block, Role};
use crate::value::{Map, Value};

impl PlayRun<'_> {
    pub(super) async fn block(&mut self, block: &Block, hosts: Vec<Host>, place: Place) -> Flow {
        let (hosts, done_before) = self.split_by_role(block.role.as_deref(), hosts);
        let rescued = place.rescued || !block.rescue.is_empty();
        let ends = place.guarded || !block.always.is_empty();
        let guarded = ends || !block.rescue.is_empty();
        let mut flow = self.entries(&block.body, hosts, Place { rescued, guarded, ..place }).await;
        if !block.rescue.is_empty() && !flow.failed.is_empty() && self.stop.is_none() {
            let failed = std::mem::take(&mut flow.failed);
            let revived = self.revive(failed);
            let saved = self.entries(&block.rescue, revived, Place { guarded: ends, ..place }).await;
            flow.ok = self.in_order(flow.ok.into_iter().chain(saved.ok));
            flow.failed = saved.failed;
        }
        if !block.always.is_empty() && self.stop.is_none() {
            let all = flow.ok.iter().cloned().chain(flow.failed.iter().map(|f| f.host.clone()));
            let all = self.in_order(all);
            let done = self.entries(&block.always, all, place).await;
            let failed: HashSet<Host> = flow.failed.iter().map(|f| f.host.clone()).collect();
            flow.ok = done.ok.into_iter().filter(|h| !failed.contains(h)).collect();
            // `meta: clear_host_errors` takes failures back.
            let (forgiven, failed_before): (Vec<_>, Vec<_>) =
                flow.failed.into_iter().partition(|f| self.recap.forgiven.contains(&f.host));
            flow.ok.extend(forgiven.into_iter().map(|f| f.host));
            // What was rescued in between was another failure.
            for f in &failed_before {
                self.mark_failed(&f.host, Place { guarded: true, ..place });
            }
            flow.failed = failed_before;
            flow.failed.extend(done.failed.into_iter().filter(|f| !failed.contains(&f.host)));
        }
        if guarded && !place.guarded {
            for f in &flow.failed {
                self.undecided.remove(&f.host);
            }
        }
        if let Some(role) = &block.role {
            let (ended, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.roles_ended)
                .into_iter()
                .partition(|(_, identity)| *identity == role.identity);
            self.roles_ended = others;
            flow.ok.extend(ended.into_iter().map(|(host, _)| host));
            // A role of which nothing ran on a host may run there when it is used again.
            let done = flow.ok.iter().map(|h| (h.clone(), role.identity.clone()));
            self.roles_done.extend(done.filter(|done| self.roles_ran.contains(done)));
        }
        flow.ok = self.in_order(flow.ok.into_iter().chain(done_before));
        flow
    }

    /// A role that ran on a host with the same parameters is not run again, unless it allows that.
    fn split_by_role(&self, role: Option<&Role>, hosts: Vec<Host>) -> (Vec<Host>, Vec<Host>) {
        match role {
            Some(role) if !role.allow_duplicates => hosts
                .into_iter()
                .partition(|h| !self.roles_done.contains(&(h.clone(), role.identity.clone()))),
            _ => (hosts, Vec::new()),
        }
    }

    /// Lets failed hosts go on in a rescue section.
    fn revive(&mut self, failed: Vec<Failed>) -> Vec<Host> {
        let mut hosts = Vec::with_capacity(failed.len());
        for f in failed {
            self.failed.shift_remove(&f.host);
            self.excused.remove(&f.host);
            self.undecided.remove(&f.host);
            self.set_alive(&f.host, true);
            hosts.push(f.host);
        }
        self.in_order(hosts)
    }

    /// Keeps what failed in `ansible_failed_task` and `..._result`, for the rescue sections around.
    pub(super) fn keep_failure(&self, failed: &Failed) {
        let task = Map::from_iter([
            ("name", Value::str(written_name(failed))),
            ("action", Value::str(&*failed.task.module)),
        ]);
        self.shared.vars.store.write(&failed.host, |vars| {
            vars.set("ansible_failed_task", Value::map(task));
            vars.set("ansible_failed_result", failed.result.clone());
        });
    }

    /// Takes a host out that failed at a place.
    pub(super) fn mark_failed(&mut self, host: &Host, place: Place) {
        self.failed.insert(host.clone());
        self.set_alive(host, false);
        if place.guarded {
            self.excused.insert(host.clone());
            self.undecided.insert(host.clone());
        }
    }
}

/// The name that a failed task was given; one that has none is shown by its module.
fn written_name(failed: &Failed) -> &str {
    let task = &failed.task;
    if task.bare_name == task.module { "" } else { &task.bare_name }
}
