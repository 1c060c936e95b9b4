//! One task on many hosts at once: workers are started, and each result is told as it comes.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::event::{Event, Status, TaskHeader};
use super::item::ItemRun;
use super::play::{Host, Place, PlayRun};
use super::result::{TaskResult, Trouble};
use super::shared::lock;
use super::worker::{Job, host_result};
use crate::playbook::{Action, Task};

/// How long workers may take to end what runs on their targets.
const ENDING: Duration = Duration::from_secs(30);

impl PlayRun<'_> {
    /// Runs the task on the hosts, a limited number at a time, and handles each result as it comes.
    pub async fn spread(
        &mut self,
        task: &Arc<Task>,
        header: &Arc<TaskHeader>,
        hosts: &[Host],
        place: Place,
    ) -> Vec<(Host, TaskResult)> {
        let forks = self.shared.options.forks.max(1);
        let throttle = hosts.first().and_then(|h| {
            let scope = self.scope(task, h);
            self.number(&task.directives.throttle, &scope)
        });
        let at_once = throttle.filter(|t| *t > 0.0).map_or(forks, |t| forks.min(t as usize).max(1));
        let mut results = Vec::with_capacity(hosts.len());
        if super::actions::is_immediate(task) {
            // Nothing is waited for: in order, without a worker for each.
            for host in hosts {
                let job = self.job(task, header, host, place);
                let mut result = Box::pin(job.run()).await;
                self.report(task, header, host, &mut result, place).await;
                results.push((host.clone(), result));
            }
            return results;
        }
        // Hosts that go by themselves share the limit of a task.
        let limit = throttle.filter(|t| *t > 0.0).map(|_| at_once);
        let permits = match (&self.alone, limit) {
            (Some(alone), Some(limit)) => alone.permits(task, limit),
            _ => Arc::new(Semaphore::new(at_once)),
        };
        // A free place is for the next host, whichever worker finds it.
        let waiting = Arc::new(Mutex::new(VecDeque::new()));
        let together =
            throttle.is_none() && hosts.first().is_some_and(|h| self.goes_with_others(task, header, h));
        let mut workers = JoinSet::new();
        for host in hosts {
            let job = self.job(task, header, host, place);
            let host = host.clone();
            if together && self.goes_with_others(task, header, &host) {
                workers.spawn(async move { Some((host, job.run().await)) });
                continue;
            }
            lock(&waiting).push_back((host, job));
            let (permits, waiting) = (permits.clone(), waiting.clone());
            workers.spawn(async move {
                let _permit = permits.acquire_owned().await;
                let (host, job) = lock(&waiting).pop_front()?;
                Some((host, job.run().await))
            });
        }
        while let Some(joined) = self.next_of(&mut workers).await {
            let Ok(Some((host, mut result))) = joined else { continue };
            self.report(task, header, &host, &mut result, place).await;
            results.push((host, result));
        }
        // A worker that panicked or was ended brought nothing back: its host's outcome is not known.
        let known: HashSet<&Host> = results.iter().map(|(host, _)| host).collect();
        let silent: Vec<&Host> = hosts.iter().filter(|host| !known.contains(host)).collect();
        for host in silent {
            let mut result =
                TaskResult::from_trouble(Trouble::Lost("the worker ended without a result".into()));
            self.report(task, header, host, &mut result, place).await;
            results.push((host.clone(), result));
        }
        results
    }

    /// Whether the host is reached by a tool that sends the same to many at once: how many it reaches at a time is its own
    /// business, and a limit of ours would only make it send more often.
    fn goes_with_others(&mut self, task: &Arc<Task>, header: &Arc<TaskHeader>, host: &Host) -> bool {
        let scope = self.scope(task, host);
        let item = ItemRun::new(self.shared.clone(), task.clone(), header.clone(), scope);
        item.reach().is_ok_and(|(reach, _)| reach.spec.kind.is_fan_out())
    }

    /// Waits for the next worker. When what runs is to be ended, workers get some time to do so themselves.
    async fn next_of<T: 'static>(
        &self,
        workers: &mut JoinSet<T>,
    ) -> Option<Result<T, tokio::task::JoinError>> {
        tokio::select! {
            joined = workers.join_next() => return joined,
            () = self.shared.halt.urgent() => {}
        }
        match tokio::time::timeout(ENDING, workers.join_next()).await {
            Ok(joined) => joined,
            Err(_) => {
                workers.abort_all();
                workers.join_next().await
            }
        }
    }

    /// The host on which a task runs that runs once: where it ran before the run was interrupted, else the first.
    pub fn first_of(&self, header: &TaskHeader, hosts: &[Host]) -> Host {
        let known = hosts.iter().find(|host| self.has_ended(header, std::slice::from_ref(*host)));
        known.unwrap_or(&hosts[0]).clone()
    }

    /// Whether the task has ended on all of these hosts before the run was interrupted.
    pub fn has_ended(&self, header: &TaskHeader, hosts: &[Host]) -> bool {
        self.shared.journal.as_ref().is_some_and(|journal| {
            let task = header.id.as_str().into();
            hosts.iter().all(|host| journal.has_ended(&task, host))
        })
    }

    fn job(&mut self, task: &Arc<Task>, header: &Arc<TaskHeader>, host: &Host, place: Place) -> Job {
        let tasks = std::mem::take(&mut self.forward.tasks);
        let upcoming = tasks.iter().map(|task| (task.clone(), self.scope(task, host))).collect();
        self.forward.tasks = tasks;
        Job {
            upcoming,
            shared: self.shared.clone(),
            task: task.clone(),
            header: header.clone(),
            scope: self.scope(task, host),
            doubt: self.doubts.get(host).cloned(),
            rescued: place.rescued,
        }
    }

    pub async fn report(
        &mut self,
        task: &Task,
        header: &Arc<TaskHeader>,
        host: &Host,
        result: &mut TaskResult,
        place: Place,
    ) {
        if result.replayed || result.halted {
            return;
        }
        if place.rescued && result.status == Status::Failed {
            super::item::forgive(result, "rescued");
        }
        if !result.followed.is_empty() {
            let units = result.followed.clone();
            self.shared.emit(Event::Followed { task: header.clone(), host: host.clone(), units }).await;
        }
        if !result.units.is_empty() {
            let units = std::mem::take(&mut result.units);
            self.shared.emit(Event::Foreseen { task: header.clone(), host: host.clone(), units }).await;
        }
        let include = matches!(task.action, Action::IncludeTasks(_) | Action::IncludeRole(_));
        if include && !result.is_failure() && result.status != Status::Skipped {
            return;
        }
        let event = host_result(&self.shared, header, host, result, None);
        self.shared.emit(Event::Host(event)).await;
    }
}
