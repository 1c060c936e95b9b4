//! One play on one batch of hosts: the dispatcher. It alone knows which hosts go on; workers only report to it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::event::{Event, Recap, Status, TaskHeader};
use super::gate::{Gate, Unanswered};
use super::glance::Forward;
use super::handlers::Handlers;
use super::inventory::LiveInventory;
use super::item::Condition;
use super::result::{TaskResult, Trouble};
use super::shared::Shared;
use super::strategy::Alone;

use super::{dispatch, layers};
use crate::diag::Diagnostic;
use crate::plan::Actual;
use crate::playbook::{Action, Entry, MetaKind, Play, Task};
use crate::transport::BoxFuture;
use crate::value::{Unknown, Value};
use crate::vars::{PlayVars, TaskLayers, TaskScope};

pub type Host = Arc<str>;

/// How far a list of entries got.
#[derive(Default)]
pub struct Flow {
    /// Hosts that completed it, in inventory order.
    pub ok: Vec<Host>,
    pub failed: Vec<Failed>,
}

/// A host that failed, and what failed on it.
pub struct Failed {
    pub host: Host,
    pub task: Arc<TaskHeader>,
    pub result: Value,
}

/// Why a play ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `meta: end_play`.
    Play,
    /// `meta: end_batch`.
    Batch,
    /// Too many hosts failed.
    Budget,
    /// Somebody asked the run to stop.
    Asked,
    /// A question of `--step` got no answer.
    Unanswered(Unanswered),
    /// The project itself is wrong.
    Error(Box<Diagnostic>),
}

/// Where entries stand.
#[derive(Clone, Copy)]
pub struct Place {
    /// A block around will rescue a failure.
    pub rescued: bool,
    /// A block around has something to do after a failure: it rescues or has `always`.
    pub guarded: bool,
    pub handlers: bool,
}

/// One play with one batch of its hosts.
pub struct PlayRun<'a> {
    pub shared: Arc<Shared>,
    pub play: Arc<Play>,
    pub inventory: Arc<LiveInventory>,
    pub vars: Arc<PlayVars>,
    /// The batch in inventory order; false for hosts that no longer take part.
    pub hosts: IndexMap<Host, bool>,
    pub failed: IndexSet<Host>,
    pub unreachable: IndexSet<Host>,
    /// Failed hosts for which a block around had more to do: `max_fail_percentage` does not count these.
    pub(super) excused: HashSet<Host>,
    /// Those of them for which it still has: nobody knows yet whether they are lost.
    pub undecided: HashSet<Host>,
    pub handlers: Handlers,
    pub recap: &'a mut Recap,
    pub stop: Option<Stop>,
    /// The host goes by itself, so that it is the only one here.
    pub alone: Option<Alone>,
    /// Uses of roles that ran to their end on a host.
    pub(super) roles_done: HashSet<(Host, Arc<str>)>,
    /// Hosts that `meta: end_role` took out of a role that the others still run.
    pub(super) roles_ended: Vec<(Host, Arc<str>)>,
    /// Uses of roles of which at least one task ran on a host.
    pub(super) roles_ran: HashSet<(Host, Arc<str>)>,
    layers: HashMap<usize, (Arc<Task>, Arc<TaskLayers>)>,
    pub gate: &'a mut Gate,
    pub forward: Forward,
    /// In a plan: hosts for which it is not known whether they get to where the play stands.
    pub doubts: HashMap<Host, Unknown>,
    /// Failures start the debugger unless a task says otherwise.
    pub debugs: bool,
}

impl<'a> PlayRun<'a> {
    pub fn new(
        shared: Arc<Shared>,
        play: Arc<Play>,
        inventory: Arc<LiveInventory>,
        vars: Arc<PlayVars>,
        batch: &[Host],
        recap: &'a mut Recap,
        gate: &'a mut Gate,
    ) -> Self {
        let handlers = Handlers::new(&play.handlers);
        let debugs = shared.options.debugs_failures;
        PlayRun {
            debugs,
            shared,
            play,
            inventory,
            vars,
            hosts: batch.iter().map(|h| (h.clone(), true)).collect(),
            failed: IndexSet::new(),
            unreachable: IndexSet::new(),
            excused: HashSet::new(),
            undecided: HashSet::new(),
            handlers,
            recap,
            stop: None,
            alone: None,
            roles_done: HashSet::new(),
            roles_ran: HashSet::new(),
            roles_ended: Vec::new(),
            layers: HashMap::new(),
            gate,
            forward: Forward::default(),
            doubts: HashMap::new(),
        }
    }

    /// Hosts that still take part.
    pub fn alive(&self) -> Vec<Host> {
        self.hosts.iter().filter(|(_, alive)| **alive).map(|(h, _)| h.clone()).collect()
    }

    /// Runs a section of the play (pre_tasks, roles, tasks, post_tasks) and the handlers that it notified.
    pub async fn section(&mut self, entries: &[Entry]) {
        if entries.is_empty() || self.stop.is_some() {
            return;
        }
        let hosts = self.alive();
        self.entries(entries, hosts, Place { rescued: false, guarded: false, handlers: false }).await;
    }

    pub fn entries<'b>(
        &'b mut self,
        entries: &'b [Entry],
        hosts: Vec<Host>,
        place: Place,
    ) -> BoxFuture<'b, Flow> {
        Box::pin(async move {
            let mut flow = Flow { ok: hosts, failed: Vec::new() };
            for (index, entry) in entries.iter().enumerate() {
                self.look_forward(&entries[index..]);
                if self.shared.halt.is_asked() {
                    self.stop.get_or_insert(Stop::Asked);
                }
                if flow.ok.is_empty() || self.stop.is_some() || self.others_ended() {
                    break;
                }
                let hosts = std::mem::take(&mut flow.ok);
                let step = match entry {
                    Entry::Task(task) => self.task(task, hosts, place).await,
                    Entry::Block(block) => self.block(block, hosts, place).await,
                };
                flow.ok = step.ok;
                flow.failed.extend(step.failed);
            }
            flow
        })
    }

    /// Whether a host did not leave the play. One that failed before goes on in `always` sections and handlers.
    fn goes_on(&self, host: &Host) -> bool {
        self.hosts.get(host).copied().unwrap_or(false) || self.failed.contains(host)
    }

    /// Whether a host that goes by itself ended the play for all.
    fn others_ended(&self) -> bool {
        self.alone.as_ref().is_some_and(Alone::has_ended)
    }

    pub(super) fn in_order(&self, hosts: impl IntoIterator<Item = Host>) -> Vec<Host> {
        let wanted: HashSet<Host> = hosts.into_iter().collect();
        self.hosts.keys().filter(|h| wanted.contains(*h)).cloned().collect()
    }

    pub fn set_alive(&mut self, host: &Host, alive: bool) {
        if let Some(state) = self.hosts.get_mut(host) {
            *state = alive;
        }
    }

    pub fn scope(&mut self, task: &Arc<Task>, host: &Host) -> TaskScope {
        let key = Arc::as_ptr(task) as usize;
        let play = &self.play;
        let entry =
            self.layers.entry(key).or_insert_with(|| (task.clone(), Arc::new(layers::of_task(task, play))));
        let layers = entry.1.clone();
        TaskScope::new(self.shared.vars.clone(), self.vars.clone(), layers, host.clone())
    }

    async fn task(&mut self, task: &Arc<Task>, hosts: Vec<Host>, place: Place) -> Flow {
        let first = self.scope(task, &hosts[0]);
        if !place.handlers && !self.is_selected(task, &first) {
            return Flow { ok: hosts, failed: Vec::new() };
        }
        self.tell_hosts();
        let header = Arc::new(self.header(task, &first.boxed(), place));
        if std::mem::take(&mut self.gate.searching) {
            let wanted = self.shared.options.start_at_task.as_deref().unwrap_or_default();
            if !super::gate::matches_name(wanted, &header.bare_name)
                && !super::gate::matches_name(wanted, &header.name)
            {
                self.gate.searching = true;
                return Flow { ok: hosts, failed: Vec::new() };
            }
        }
        if let Action::Meta(kind) = &task.action {
            return self.meta(*kind, task, header, hosts, place).await;
        }
        if !self.is_let_through(&header).await {
            return Flow { ok: hosts, failed: Vec::new() };
        }
        let once = (self.flag(task, |d| &d.run_once, &first) && self.alone.is_none())
            || super::actions::bypasses_hosts(task);
        let chosen = if once { vec![self.first_of(&header, &hosts)] } else { hosts.clone() };
        if !self.has_ended(&header, &chosen) {
            self.shared.emit(Event::TaskStarted(header.clone())).await;
        }
        let results = self.spread(task, &header, &chosen, place).await;
        self.shared.tell_template_warnings().await;
        let results = self.debugged(task, &header, results, place).await;
        let (halted, results): (Vec<_>, Vec<_>) = results.into_iter().partition(|(_, r)| r.halted);
        if halted.is_empty() {
            return self.settle(task, &header, hosts, results, once, place).await;
        }
        self.stop.get_or_insert(Stop::Asked);
        let ended = if once { Vec::new() } else { results.iter().map(|(h, _)| h.clone()).collect() };
        self.settle(task, &header, ended, results, once, place).await
    }

    /// Takes the results into account: counts, variables, handlers, includes, and who goes on.
    pub async fn settle(
        &mut self,
        task: &Arc<Task>,
        header: &Arc<TaskHeader>,
        hosts: Vec<Host>,
        results: Vec<(Host, TaskResult)>,
        once: bool,
        place: Place,
    ) -> Flow {
        let mut flow = Flow::default();
        let mut out: HashSet<Host> = HashSet::new();
        let mut fatal = false;
        for (host, result) in &results {
            self.count(task, host, result, place);
            let ran = result.status != Status::Skipped && !result.result.contains("unreachable");
            if let Some(role) = task.role.as_ref().filter(|_| ran) {
                self.roles_ran.insert((host.clone(), role.identity.clone()));
            }
            let owners: &[Host] = if once { &hosts } else { std::slice::from_ref(host) };
            // What a task leaves behind that runs once is there for every host of the play.
            let keepers = if once { self.alive() } else { vec![host.clone()] };
            for owner in &keepers {
                dispatch::keep(&self.shared, owner, &result.effects);
                dispatch::register(&self.shared, task, owner, result);
            }
            self.apply_effects(task, host, result, once.then_some(&hosts[..]), place);
            match result.status {
                Status::Failed | Status::Lost => {
                    let scope = self.scope(task, host);
                    fatal |= self.flag(task, |d| &d.any_errors_fatal, &scope);
                    for owner in owners {
                        out.insert(owner.clone());
                        let failed = self.fail(owner, header, result);
                        if place.rescued {
                            self.keep_failure(&failed);
                        }
                        flow.failed.push(failed);
                        self.mark_failed(owner, place);
                    }
                }
                Status::Unreachable => {
                    let scope = self.scope(task, host);
                    fatal |= self.flag(task, |d| &d.any_errors_fatal, &scope);
                    for owner in owners {
                        out.insert(owner.clone());
                        self.set_alive(owner, false);
                        self.unreachable.insert(owner.clone());
                    }
                }
                _ => {}
            }
        }
        if fatal {
            for host in &hosts {
                if out.insert(host.clone()) {
                    flow.failed.push(self.fail_with_others(host, header));
                }
            }
        }
        for name in self.handlers.newly_missed() {
            let text = format!(
                "The requested handler '{name}' was not found in either the main handlers list nor in the listening handlers list"
            );
            self.shared.emit(Event::Warning(text)).await;
        }
        for name in self.handlers.newly_unusable() {
            let why = "it has no listen topics and the name could not be templated (host-specific variables are not supported in handler names)";
            let text = format!("Handler '{name}' is unusable because {why}");
            self.shared.emit(Event::Warning(text)).await;
        }
        flow.ok = hosts.into_iter().filter(|h| !out.contains(h) && self.goes_on(h)).collect();
        self.check_budget();
        if self.stop.is_none() && results.iter().any(|(_, r)| !r.effects.includes.is_empty()) {
            let included = self.includes(task, header, &results, &flow.ok, place).await;
            flow.ok = included.ok;
            flow.failed.extend(included.failed);
        }
        flow
    }

    /// Fails a host because of another one, for `any_errors_fatal`.
    pub fn fail_with_others(&mut self, host: &Host, header: &Arc<TaskHeader>) -> Failed {
        let why = Trouble::msg("another host failed, and any_errors_fatal is set");
        self.fail(host, header, &TaskResult::from_trouble(why))
    }

    fn fail(&mut self, host: &Host, header: &Arc<TaskHeader>, result: &TaskResult) -> Failed {
        self.failed.insert(host.clone());
        self.recap.forgiven.shift_remove(host);
        self.set_alive(host, false);
        Failed { host: host.clone(), task: header.clone(), result: result.registered() }
    }

    fn count(&mut self, task: &Task, host: &Host, result: &TaskResult, place: Place) {
        let include = matches!(task.action, Action::IncludeTasks(_) | Action::IncludeRole(_));
        let changed = result.result.get("changed").is_some_and(|c| *c == Value::Bool(true));
        let counts = self.recap.hosts.entry(host.clone()).or_default();
        match result.status {
            Status::Ok | Status::Changed if include => {}
            Status::Ok | Status::Changed => counts.ok += 1,
            Status::Skipped => counts.skipped += 1,
            Status::Failed | Status::Lost if place.rescued => counts.rescued += 1,
            Status::Failed | Status::Lost => counts.failed += 1,
            Status::Ignored => {
                counts.ok += 1;
                counts.ignored += 1;
            }
            Status::Unreachable => counts.unreachable += 1,
        }
        if changed && matches!(result.status, Status::Ok | Status::Changed | Status::Ignored) {
            counts.changed += 1;
        }
    }

    /// `add_host`, `group_by`, `set_stats`, `notify`.
    fn apply_effects(
        &mut self,
        task: &Arc<Task>,
        host: &Host,
        result: &TaskResult,
        once: Option<&[Host]>,
        place: Place,
    ) {
        let effects = &result.effects;
        for added in &effects.add_hosts {
            self.inventory.add_host(&added.name, &added.groups, &added.vars);
        }
        for (group, parents) in &effects.groups {
            let hosts = once.unwrap_or(std::slice::from_ref(host));
            if let Err(diagnostic) = self.inventory.add_group(group, parents, hosts) {
                self.stop = Some(Stop::Error(Box::new(diagnostic.at(task.span, "by this task"))));
            }
        }
        for stats in &effects.stats {
            for (key, value) in &stats.data {
                let sum = match (self.recap.custom.get_key(key).and_then(Value::as_int), value.as_int()) {
                    (Some(a), Some(b)) if stats.aggregate => Value::Int(a + b),
                    _ => value.clone(),
                };
                self.recap.custom.insert(key.clone(), sum);
            }
        }
        let doubt = match result.result.get("changed") {
            Some(Value::Bool(true)) => None,
            // The plan that was reviewed notifies, whoever made the change.
            _ if result.followed.iter().any(|f| f.actual == Actual::Already) => None,
            Some(Value::Unknown(unknown)) => Some(Unknown {
                cause: format!("whether \"{}\" changes: {}", self.step_name(task), unknown.cause).into(),
            }),
            _ => return,
        };
        if !matches!(result.status, Status::Ok | Status::Changed) {
            return;
        }
        let scope = self.scope(task, host).boxed();
        for name in &effects.notify {
            let hosts = once.unwrap_or(std::slice::from_ref(host));
            // Handlers are called at once by other handlers, else when they are flushed: until then others may come.
            let found = if place.handlers {
                self.handlers.notify(name, hosts, &self.shared.templar, &scope, doubt.as_ref())
            } else {
                self.handlers.notify_later(name, hosts, &self.shared.templar, &scope, doubt.as_ref())
            };
            if !found && !self.shared.options.missing_handlers_are_errors {
                self.handlers.miss(name);
                continue;
            }
            if !found {
                let message = format!(
                    "The requested handler '{name}' was not found in either the main handlers list nor in the listening handlers list"
                );
                let diagnostic = Diagnostic::error("XP0502", message)
                    .at(task.span, "notified by this task")
                    .suggest(name, self.handlers.names().iter().map(String::as_str));
                self.stop = Some(Stop::Error(Box::new(diagnostic)));
            }
        }
    }

    /// `max_fail_percentage` of the play: more failed hosts than that end it. Unreachable ones do not count in it, in Ansible
    /// either; they do in the budget of our own.
    fn check_budget(&mut self) {
        let Some(first) = self.hosts.keys().next().cloned() else { return };
        let lost = self.failed.len() + self.unreachable.len();
        if lost == 0 || self.stop.is_some() || self.alone.is_some() {
            return;
        }
        let scope = self.play_scope(&first);
        let counted = self.failed.iter().filter(|host| !self.excused.contains(*host)).count();
        let percentage = (counted as f64 / self.hosts.len() as f64) * 100.0;
        if let Some(limit) = self.number(&self.play.max_fail_percentage.clone(), &scope)
            && percentage > limit
        {
            self.stop = Some(Stop::Budget);
        }
        if self.stop.is_none() {
            self.check_own_budget(&scope);
        }
    }

    async fn meta(
        &mut self,
        kind: MetaKind,
        task: &Arc<Task>,
        header: Arc<TaskHeader>,
        hosts: Vec<Host>,
        place: Place,
    ) -> Flow {
        self.shared.emit(Event::TaskStarted(header.clone())).await;
        let mut acting = Vec::new();
        let mut idle = Vec::new();
        let mut failed = Vec::new();
        let ends = matches!(kind, MetaKind::EndPlay | MetaKind::EndBatch);
        for host in hosts {
            // The first host for which the play ends ends it for all.
            if ends && !acting.is_empty() {
                idle.push(host);
                continue;
            }
            let scope = self.scope(task, &host);
            let job = super::item::ItemRun::new(self.shared.clone(), task.clone(), header.clone(), scope);
            let mut result = match job.conditions() {
                Ok(Condition::Holds) => {
                    acting.push(host);
                    continue;
                }
                Ok(Condition::Unknown(_, unknown)) if self.shared.options.planning => {
                    // Everything after it may not come.
                    if matches!(
                        kind,
                        MetaKind::EndPlay | MetaKind::EndBatch | MetaKind::EndHost | MetaKind::EndRole
                    ) {
                        self.doubts.entry(host.clone()).or_insert(unknown);
                    }
                    idle.push(host);
                    continue;
                }
                Ok(Condition::Fails(mut skipped) | Condition::Unknown(mut skipped, _)) => {
                    let reason = super::meta::not_done(kind, task, &host);
                    self.log_meta(reason.clone()).await;
                    skipped.result.insert("skip_reason", reason);
                    skipped
                }
                Err(trouble) => TaskResult::from_trouble(trouble),
            };
            self.report(task, &header, &host, &mut result, place).await;
            if result.is_failure() {
                self.count(task, &host, &result, place);
                let lost = self.fail(&host, &header, &result);
                if place.rescued {
                    self.keep_failure(&lost);
                }
                failed.push(lost);
            } else {
                idle.push(host);
            }
        }
        for host in &acting {
            self.tell_meta(kind, task, host).await;
        }
        if !acting.is_empty() {
            match kind {
                MetaKind::FlushHandlers => {
                    let lost = self.flush_for(&acting, Place { handlers: true, ..place }).await;
                    acting.retain(|h| !lost.iter().any(|f| f.host == *h) && self.goes_on(h));
                    failed.extend(lost);
                    let ok = self.in_order(acting.into_iter().chain(idle));
                    return Flow { ok, failed };
                }
                MetaKind::EndPlay | MetaKind::EndBatch => {
                    if let Some(alone) = &self.alone {
                        alone.end();
                    }
                    let play = kind == MetaKind::EndPlay;
                    self.stop = Some(if play { Stop::Play } else { Stop::Batch });
                }
                MetaKind::EndHost => {
                    for host in acting.drain(..) {
                        self.set_alive(&host, false);
                    }
                }
                MetaKind::EndRole => {
                    let role = task.role.as_ref().map(|role| role.identity.clone()).unwrap_or_default();
                    self.roles_ended.extend(acting.drain(..).map(|host| (host, role.clone())));
                }
                MetaKind::ClearFacts => {
                    for host in &acting {
                        self.shared.vars.store.write(host, crate::vars::HostVars::clear_facts);
                        if let Some(cache) = &self.shared.options.fact_cache {
                            cache.forget(host);
                        }
                    }
                }
                MetaKind::ClearHostErrors => self.clear_errors(),
                MetaKind::ResetConnection => {
                    for host in &acting {
                        let scope = self.scope(task, host);
                        let item = super::item::ItemRun::new(
                            self.shared.clone(),
                            task.clone(),
                            header.clone(),
                            scope,
                        );
                        if let Ok((reach, _)) = item.reach() {
                            self.shared.pool.forget(&reach.spec).await;
                        }
                    }
                }
                MetaKind::RefreshInventory => match self.inventory.refresh() {
                    Ok(warnings) => {
                        for warning in warnings {
                            self.shared.emit(Event::Warning(warning.message)).await;
                        }
                    }
                    Err(mistakes) => {
                        self.stop = mistakes.into_iter().next().map(|d| Stop::Error(Box::new(d)))
                    }
                },
                MetaKind::Noop => {}
            }
        }
        Flow { ok: self.in_order(acting.into_iter().chain(idle)), failed }
    }

    fn clear_errors(&mut self) {
        for host in self.failed.drain(..).chain(self.unreachable.drain(..)) {
            if let Some(alive) = self.hosts.get_mut(&host) {
                *alive = true;
            }
            self.recap.forgiven.insert(host);
        }
    }

    /// `ansible_play_hosts` and its kin follow the hosts that are left.
    fn tell_hosts(&self) {
        if self.alone.is_some() {
            return;
        }
        // A failed host stays as long as a block around has more to do. Others that do not go on were let go by
        // `meta: end_host`.
        let out = |h: &str| match self.failed.contains(h) {
            true => !self.undecided.contains(h),
            false => self.unreachable.contains(h) || self.hosts.get(h) == Some(&false),
        };
        let left: Vec<Value> = self.hosts.keys().filter(|h| !out(h)).cloned().map(Value::from).collect();
        let mut magic = self.vars.magic.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = |name: &str| magic.get(name).and_then(Value::as_list).map(<[Value]>::to_vec);
        if known("ansible_play_batch").is_some_and(|l| l.len() == left.len()) {
            return;
        }
        // Hosts of other batches count as hosts of the play unless they failed.
        let mut all = known("ansible_play_hosts").unwrap_or_default();
        all.retain(|h| h.as_str().is_none_or(|h| !self.hosts.contains_key(h) || !out(h)));
        magic.insert("ansible_play_hosts", all);
        magic.insert("play_hosts", left.clone());
        magic.insert("ansible_play_batch", left);
    }
}
