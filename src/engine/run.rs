//! A whole run: playbooks in order, each play in its batches.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use indexmap::{IndexMap, IndexSet};
use tokio::sync::mpsc;

use super::ask::Answers;
use super::event::{Event, Recap};
use super::gate::{Gate, Unanswered};
use super::halt::Halt;
use super::inventory::LiveInventory;
use super::jobs::Jobs;
use super::journal::Journal;
use super::options::{Extent, Gather, Mismatch, RunOptions};
use super::play::{Host, Place, PlayRun, Stop};
use super::pool::Pool;
use super::shared::Shared;
use super::strategy::{Batch, Strategy};
use super::{files, login};
use crate::diag::{Diagnostic, Severity, SourceMap};
use crate::inventory::Inventory;
use crate::plan::Guide;
use crate::playbook::keywords::is_reserved;
use crate::playbook::{Action, BatchSize, Directives, Entry, Loader, Play, Playbook, StepId, Task};
use crate::template::{Scope, Templar, Tree, TreeKind, VarMap};
use crate::transport::Connector;
use crate::value::{Map, Value};
use crate::vars::{PlayVars, RunVars, Store};

/// Everything that a run needs.
pub struct RunRequest {
    pub playbooks: Vec<Playbook>,
    pub loader: Loader,
    pub inventory: Inventory,
    pub options: RunOptions,
    pub templar: Arc<Templar>,
    pub sources: SourceMap,
    pub extra_vars: VarMap,
    pub connector: Arc<dyn Connector>,
    /// Told every text that must not be shown, before anything can show it.
    pub secrets: Arc<dyn Fn(&str) + Send + Sync>,
    pub events: mpsc::Sender<Event>,
    /// Values of `vars_prompt` by variable name, asked before the run.
    pub prompted: VarMap,
    /// Answers questions that come up while running.
    pub answers: Arc<dyn Answers>,
    /// The plan that the run follows: what it resolved is not resolved again.
    pub guide: Option<Arc<Guide>>,
    /// Where the run is written down; what is in it already is not done again.
    pub journal: Option<Arc<Journal>>,
    /// Asks the run to stop.
    pub halt: Halt,
}

/// How a run ended.
#[derive(Debug)]
pub struct RunEnd {
    pub recap: Arc<Recap>,
    /// A mistake in the project that only showed while running; the run ended there.
    pub error: Option<Diagnostic>,
    /// A question that got no answer; the run ended there.
    pub unanswered: Option<Unanswered>,
    /// It was asked to stop, and did so before its end.
    pub stopped: bool,
}

/// Runs the playbooks. Failed hosts are in the recap; they are no error of the run.
pub async fn run(request: RunRequest) -> RunEnd {
    let started = Instant::now();
    let inventory = Arc::new(LiveInventory::new(
        request.inventory,
        Templar::clone(&request.templar),
        request.sources.clone(),
    ));
    let vars = Arc::new(RunVars {
        extra: request.extra_vars,
        store: Store::new(),
        hosts: inventory.clone(),
        magic: run_magic(&request.options, &inventory),
        inject_facts: request.options.inject_facts,
        merge_dicts: request.options.merge_dicts,
    });
    let shared = Arc::new(Shared {
        pool: Pool::new(request.connector, request.events.clone(), request.options.open_files),
        options: request.options,
        templar: request.templar,
        sources: request.sources,
        loader: request.loader,
        events: request.events,
        vars,
        secrets: request.secrets,
        jobs: Jobs::default(),
        answers: request.answers,
        run_id: request.journal.as_ref().map_or_else(run_id, |journal| format!("run-{}", journal.id())),
        worlds: Mutex::default(),
        glances: Mutex::default(),
        guide: request.guide,
        journal: request.journal,
        halt: request.halt,
        debugging: tokio::sync::Mutex::default(),
        leftovers: Mutex::default(),
        old_marks: Mutex::default(),
        lost_claims: Mutex::default(),
    });
    shared
        .emit(Event::RunStarted {
            playbooks: request.playbooks.iter().map(|p| p.path.clone()).collect(),
            check: shared.options.check,
            rehearsal: shared.options.rehearsal,
        })
        .await;
    let mut whole = Whole {
        gate: Gate { searching: shared.options.start_at_task.is_some(), ..Gate::default() },
        unanswered: None,
        stopped: false,
        shared: shared.clone(),
        inventory,
        prompted: request.prompted,
        recap: Recap::default(),
        gone: IndexSet::new(),
        gathered: IndexSet::new(),
        recalled: IndexSet::new(),
        vars_files: HashMap::new(),
    };
    let mut error = None;
    'all: for playbook in &request.playbooks {
        if let Some(dir) = playbook.path.parent() {
            whole.inventory.set_playbook_dir(dir);
        }
        let started = Event::PlaybookStarted { path: playbook.path.clone(), plays: playbook.plays.len() };
        shared.emit(started).await;
        for play in &playbook.plays {
            match whole.play(play).await {
                Ok(true) => {}
                Ok(false) => break 'all,
                Err(diagnostic) => {
                    error = Some(*diagnostic);
                    break 'all;
                }
            }
        }
    }
    if whole.gate.searching && error.is_none() {
        let wanted = shared.options.start_at_task.as_deref().unwrap_or_default();
        let text =
            format!("no task is named \"{wanted}\"; --start-at-task finds only tasks that are not included");
        shared.emit(Event::Warning(text)).await;
    }
    shared.jobs.abandon();
    shared.remove_marks().await;
    shared.pool.close().await;
    whole.recap.elapsed = started.elapsed();
    let recap = Arc::new(whole.recap);
    shared.emit(Event::RunEnded(recap.clone())).await;
    RunEnd { recap, error, unanswered: whole.unanswered, stopped: whole.stopped }
}

/// Letters, digits and dashes: it becomes part of file names on targets.
fn run_id() -> String {
    let mut random = [0u8; 6];
    if getrandom::fill(&mut random).is_err() {
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.subsec_nanos());
        random[..4].copy_from_slice(&nanos.to_be_bytes());
    }
    let hex: String = random.iter().map(|b| format!("{b:02x}")).collect();
    format!("run-{hex}")
}

fn run_magic(options: &RunOptions, inventory: &LiveInventory) -> Map {
    let all_or = |tags: &[String]| if tags.is_empty() { vec!["all".to_string()] } else { tags.to_vec() };
    // The version of the language that is spoken, for roles that ask for a minimum.
    let version = Map::from_iter([
        ("full", Value::str("2.19.0")),
        ("major", 2.into()),
        ("minor", 19.into()),
        ("revision", 0.into()),
        ("string", "2.19.0".into()),
    ]);
    let mut magic = Map::from_iter([
        // What roles leave out in check mode is part of what a plan is about.
        ("ansible_check_mode", Value::from(options.check && !options.planning)),
        ("ansible_diff_mode", options.diff.into()),
        ("ansible_verbosity", usize::from(options.verbosity).into()),
        ("ansible_forks", options.forks.into()),
        ("ansible_run_tags", all_or(&options.tags).into()),
        ("ansible_skip_tags", options.skip_tags.clone().into()),
        ("ansible_version", Value::map(version)),
        ("ansible_inventory_sources", inventory.source_names().into()),
    ]);
    if let Some(python) = &options.python {
        magic.insert("ansible_playbook_python", python.as_str());
    }
    if let Some(limit) = &options.limit {
        magic.insert("ansible_limit", limit.as_str());
    }
    magic
}

type Wrong = Box<Diagnostic>;

/// How it goes on after a batch.
enum After {
    NextBatch,
    NextPlay,
    End,
}

/// What lives as long as the run.
struct Whole {
    shared: Arc<Shared>,
    inventory: Arc<LiveInventory>,
    prompted: VarMap,
    recap: Recap,
    /// Hosts that failed or became unreachable: later plays go on without them.
    gone: IndexSet<Host>,
    gathered: IndexSet<Host>,
    /// Hosts whose kept facts were looked for.
    recalled: IndexSet<Host>,
    vars_files: HashMap<PathBuf, VarMap>,
    gate: Gate,
    unanswered: Option<Unanswered>,
    stopped: bool,
}

impl Whole {
    /// Runs one play; false ends the run.
    async fn play(&mut self, play: &Arc<Play>) -> Result<bool, Wrong> {
        let vars = Arc::new(PlayVars {
            vars: play.vars.clone(),
            prompts: self.prompts(play),
            ..PlayVars::default()
        });
        let anyone: Host = "localhost".into();
        let scope: Arc<dyn Scope> = crate::vars::TaskScope::new(
            self.shared.vars.clone(),
            vars.clone(),
            Arc::new(super::layers::of_play(play)),
            anyone,
        )
        .boxed();
        let text = |tree: &Tree| -> Result<Value, Wrong> {
            self.shared.templar.render(tree, &scope).map_err(|e| e.diagnostic.clone())
        };
        let pattern = match text(&play.hosts)? {
            Value::List(list) => list.iter().map(Value::to_text).collect::<Vec<_>>().join(","),
            other => other.to_text(),
        };
        let name = match &play.name {
            Some(tree) => {
                text(tree).map_or_else(|_| tree.as_text().unwrap_or_default().to_string(), |v| v.to_text())
            }
            None => pattern.clone(),
        };
        let order = play.order.as_ref().map(&text).transpose()?.map(|v| v.to_text());
        let selected = self
            .inventory
            .select(&pattern, self.shared.options.limit.as_deref(), order.as_deref(), play.hosts_span)
            .map_err(first)?;
        for warning in selected.warnings {
            match self.shared.options.mismatch {
                Mismatch::Told => {}
                Mismatch::Ignored => continue,
                Mismatch::Error => {
                    return Err(Box::new(Diagnostic { severity: Severity::Error, ..warning }));
                }
            }
            let place = play.hosts_span.map(|s| self.shared.sources.place(s));
            let place = place.map(|p| format!(" ({}:{})", p.path.display(), p.line)).unwrap_or_default();
            let help = warning.help.map(|h| format!("; {h}")).unwrap_or_default();
            self.shared.emit(Event::Warning(format!("{}{place}{help}", warning.message))).await;
        }
        let hosts = selected.hosts;
        self.set_play_magic(play, &vars, &name, &hosts);
        self.tell_reserved(play, &vars).await;
        if hosts.is_empty() {
            let check = self.shared.options.check;
            self.shared.emit(Event::PlayStarted { name, hosts, batch: 0, lockstep: true, check }).await;
            self.shared.emit(Event::NoHostsMatched).await;
            return Ok(true);
        }
        let hosts: Vec<Host> = hosts.into_iter().filter(|h| !self.gone.contains(h)).collect();
        if hosts.is_empty() {
            return Ok(false);
        }
        let mut sizes = play.serial.iter().map(&text).collect::<Result<Vec<_>, _>>()?;
        sizes.retain(|size| !matches!(size, Value::Omit));
        let all = batches(&hosts, &sizes)
            .map_err(|msg| Box::new(Diagnostic::error("XP0501", msg).at(play.span, "in this play")))?;
        for (number, batch) in all.into_iter().enumerate() {
            let strategy = self.strategy(play, &scope)?;
            self.shared
                .emit(Event::PlayStarted {
                    name: name.clone(),
                    hosts: batch.clone(),
                    batch: number,
                    lockstep: strategy.is_lockstep(),
                    check: self.checks(play, &scope),
                })
                .await;
            match self.batch(play, &vars, &batch, strategy).await? {
                After::NextBatch => {}
                After::NextPlay => break,
                After::End => return Ok(false),
            }
        }
        self.shared.emit(Event::PlayEnded).await;
        Ok(true)
    }

    /// Warns about variables that are called like something of the language.
    async fn tell_reserved(&self, play: &Play, vars: &PlayVars) {
        let names = self.shared.vars.extra.keys().chain(play.vars.keys()).chain(vars.prompts.keys());
        for name in names.filter(|name| is_reserved(name) || Templar::has_function(name)) {
            self.shared.templar.warn(format!("Found variable using reserved name: {name}"));
        }
        self.shared.tell_template_warnings().await;
    }

    /// Runs the play on one batch.
    async fn batch(
        &mut self,
        play: &Arc<Play>,
        vars: &Arc<PlayVars>,
        batch: &[Host],
        strategy: Strategy,
    ) -> Result<After, Wrong> {
        {
            let mut magic = vars.magic.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            // Set anew by the first task of the batch.
            magic.remove("ansible_play_batch");
        }
        self.recall(batch);
        self.load_vars_files(play, vars, batch, Missing::Allowed)?;
        self.gate.stepping = self.shared.options.step;
        let gather = self.wants_facts(play, vars, batch);
        let mut run = PlayRun::new(
            self.shared.clone(),
            play.clone(),
            self.inventory.clone(),
            vars.clone(),
            batch,
            &mut self.recap,
            &mut self.gate,
        );
        for role in play.role_uses.iter().filter(|r| r.public) {
            run.export_role(role);
        }
        if !gather.is_empty() {
            let task = Entry::Task(Arc::new(gather_task(play, &self.shared.options.extent)));
            let searching = std::mem::take(&mut run.gate.searching);
            run.entries(&[task], gather.clone(), Place { rescued: false, guarded: false, handlers: false })
                .await;
            run.gate.searching = searching;
            match run.stop.take() {
                Some(Stop::Unanswered(question)) => {
                    self.unanswered = Some(question);
                    return Ok(After::End);
                }
                Some(Stop::Asked) => {
                    self.stopped = true;
                    return Ok(After::End);
                }
                _ => {}
            }
        }
        let alive = run.alive();
        drop(run);
        self.gathered.extend(gather);
        self.load_vars_files(play, vars, &alive, Missing::Refused)?;

        let (recap, gate) = (&mut self.recap, &mut self.gate);
        let left: HashSet<&Host> = alive.iter().collect();
        let lost_already = batch.iter().filter(|h| !left.contains(h)).cloned().collect::<Vec<_>>();
        let mut end = if strategy.is_lockstep() {
            let mut run = PlayRun::new(
                self.shared.clone(),
                play.clone(),
                self.inventory.clone(),
                vars.clone(),
                batch,
                recap,
                gate,
            );
            run.debugs |= strategy == Strategy::Debug;
            for host in &lost_already {
                run.set_alive(host, false);
                run.failed.insert(host.clone());
            }
            run.sections().await;
            run.end()
        } else {
            set_batch_magic(vars, batch);
            let batch = Batch {
                shared: self.shared.clone(),
                play: play.clone(),
                inventory: self.inventory.clone(),
                vars: vars.clone(),
                alive,
            };
            batch.each_alone(recap, gate).await
        };
        end.failed.extend(lost_already);
        let lost = end.failed.len() + end.unreachable.len();
        self.gone.extend(end.failed);
        self.gone.extend(end.unreachable);
        match end.stop {
            Some(Stop::Error(diagnostic)) => return Err(diagnostic),
            Some(Stop::Unanswered(question)) => {
                self.unanswered = Some(question);
                return Ok(After::End);
            }
            Some(Stop::Asked) => {
                self.stopped = true;
                return Ok(After::End);
            }
            Some(Stop::Budget) => {
                self.shared.emit(Event::NoHostsLeft).await;
                return Ok(After::End);
            }
            Some(Stop::Play) if lost < batch.len() => return Ok(After::NextPlay),
            Some(Stop::Play | Stop::Batch) | None => {}
        }
        // When a whole batch is lost the rest of the run is left alone.
        Ok(if lost < batch.len() { After::NextBatch } else { After::End })
    }

    /// Takes facts that were kept for hosts which come up for the first time.
    fn recall(&mut self, hosts: &[Host]) {
        let Some(cache) = &self.shared.options.fact_cache else { return };
        for host in hosts {
            if !self.recalled.insert(host.clone()) {
                continue;
            }
            if self.shared.options.flush_cache {
                cache.forget(host);
            } else if let Some(facts) = cache.load(host) {
                self.shared.vars.store.write(host, |vars| vars.add_facts(&facts));
                self.gathered.insert(host.clone());
            }
        }
    }

    /// How the hosts go through the play.
    fn strategy(&self, play: &Play, scope: &Arc<dyn Scope>) -> Result<Strategy, Wrong> {
        // A plan lists steps in one order, and questions about steps want one.
        if self.shared.options.planning || self.shared.options.step {
            return Ok(Strategy::Linear);
        }
        let Some(tree) = &play.strategy else { return Ok(self.shared.options.strategy) };
        let name = self.shared.templar.render(tree, scope).map_err(|e| e.diagnostic.clone())?.to_text();
        Strategy::parse(&name).ok_or_else(|| {
            let message = format!("Invalid play strategy specified: {name}");
            Box::new(
                Diagnostic::error("XP0504", message)
                    .at(tree.span.unwrap_or(play.span), "no such strategy")
                    .suggest(&name, ["linear", "free", "host_pinned", "debug"]),
            )
        })
    }

    /// Whether the play as a whole changes nothing.
    fn checks(&self, play: &Play, scope: &Arc<dyn Scope>) -> bool {
        let own = play.directives.check_mode.as_ref();
        own.and_then(|tree| self.shared.templar.render(tree, scope).ok())
            .map_or(self.shared.options.check, |value| login::truth(&value))
    }

    fn prompts(&self, play: &Play) -> VarMap {
        let wanted = play
            .vars_prompt
            .iter()
            .filter_map(|p| Some((p.name.clone(), self.prompted.get(&p.name)?.clone())));
        Arc::new(wanted.collect::<IndexMap<_, _>>())
    }

    fn set_play_magic(&self, play: &Play, vars: &PlayVars, name: &str, hosts: &[Host]) {
        let all: Vec<Value> = hosts.iter().cloned().map(Value::from).collect();
        let mut names: Vec<Value> = Vec::new();
        let mut dependent: Vec<Value> = Vec::new();
        for role in &play.role_uses {
            let list = if role.parents.is_empty() { &mut names } else { &mut dependent };
            let name = Value::str(role.name.clone());
            if !list.contains(&name) {
                list.push(name);
            }
        }
        let mut magic = vars.magic.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        magic.insert("ansible_play_name", name);
        magic.insert("playbook_dir", play.dir.display().to_string());
        let left = |h: &Value| h.as_str().is_none_or(|h| !self.gone.contains(h));
        let still: Vec<Value> = all.iter().filter(|h| left(h)).cloned().collect();
        magic.insert("ansible_play_hosts_all", all);
        magic.insert("ansible_play_hosts", still);
        magic.insert("ansible_play_role_names", names.clone());
        magic.insert("ansible_dependent_role_names", dependent.clone());
        magic.insert("role_names", names.clone());
        let mut every = names;
        every.extend(dependent.into_iter().filter(|name| !every.contains(name)).collect::<Vec<_>>());
        magic.insert("ansible_role_names", every);
    }

    fn wants_facts(&self, play: &Play, vars: &Arc<PlayVars>, batch: &[Host]) -> Vec<Host> {
        let Some(first) = batch.first() else { return Vec::new() };
        let layers = Arc::new(super::layers::of_play(play));
        let scope =
            crate::vars::TaskScope::new(self.shared.vars.clone(), vars.clone(), layers, first.clone())
                .boxed();
        let asked = play
            .gather_facts
            .as_ref()
            .and_then(|t| self.shared.templar.render(t, &scope).ok())
            .map(|v| login::truth(&v));
        let wanted = match self.shared.options.gather {
            Gather::Implicit | Gather::Smart => asked.unwrap_or(true),
            Gather::Explicit => asked.unwrap_or(false),
        };
        if !wanted {
            return Vec::new();
        }
        let none = matches!(&self.shared.options.extent, Extent::Groups(groups) if groups.is_empty());
        if none && play.gather_subset.is_none() {
            return Vec::new();
        }
        let smart = self.shared.options.gather == Gather::Smart;
        batch.iter().filter(|h| !(smart && self.gathered.contains(*h))).cloned().collect()
    }

    /// Resolves the play's `vars_files` for each host. Names may need facts: before these are there an undefined
    /// variable or a missing file is no mistake.
    fn load_vars_files(
        &mut self,
        play: &Play,
        vars: &Arc<PlayVars>,
        hosts: &[Host],
        missing: Missing,
    ) -> Result<(), Wrong> {
        if play.vars_files.is_empty() {
            return Ok(());
        }
        let layers = Arc::new(super::layers::of_play(play));
        for host in hosts {
            let scope = crate::vars::TaskScope::new(
                self.shared.vars.clone(),
                vars.clone(),
                layers.clone(),
                host.clone(),
            )
            .boxed();
            let mut found = Vec::new();
            for entry in &play.vars_files {
                match self.vars_file(entry, &scope) {
                    Ok(layer) => found.push(layer),
                    Err(_) if missing == Missing::Allowed => {}
                    Err(diagnostic) => return Err(diagnostic),
                }
            }
            self.shared.vars.store.write(host, |h| h.vars_files = found);
        }
        Ok(())
    }

    /// Loads the first file of an entry that exists.
    fn vars_file(&mut self, entry: &Tree, scope: &Arc<dyn Scope>) -> Result<VarMap, Wrong> {
        let candidates: Vec<Tree> = match &entry.kind {
            TreeKind::List(items) => items.to_vec(),
            _ => vec![entry.clone()],
        };
        let mut last = None;
        for candidate in &candidates {
            let rendered = match self.shared.templar.render(candidate, scope) {
                Ok(value) => value,
                Err(e) => {
                    last = Some(e.diagnostic);
                    continue;
                }
            };
            let names: Vec<String> = match &rendered {
                Value::List(list) => list.iter().map(Value::to_text).collect(),
                other => vec![other.to_text()],
            };
            for name in names {
                match files::find(scope.search(), "vars", &name) {
                    Ok(path) => return self.read_vars(path),
                    Err(msg) => {
                        let span = candidate.span.or(entry.span);
                        let d = Diagnostic::error("XP0503", format!("vars file {name} was not found"));
                        let d = span.map_or(d.clone(), |s| d.at(s, "named here"));
                        last = Some(Box::new(d.note(msg)));
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| Box::new(Diagnostic::error("XP0503", "an entry of vars_files is empty"))))
    }

    fn read_vars(&mut self, path: PathBuf) -> Result<VarMap, Wrong> {
        if let Some(known) = self.vars_files.get(&path) {
            return Ok(known.clone());
        }
        let layer = self.shared.loader.load_vars(&path).map_err(first)?;
        self.vars_files.insert(path, layer.clone());
        Ok(layer)
    }
}

fn first(diagnostics: Vec<Diagnostic>) -> Wrong {
    let known = diagnostics.into_iter().next();
    Box::new(known.unwrap_or_else(|| Diagnostic::error("XP0503", "the file could not be read")))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Allowed,
    Refused,
}

/// Hosts that go by themselves do not follow the fate of the others.
fn set_batch_magic(vars: &PlayVars, batch: &[Host]) {
    let hosts: Vec<Value> = batch.iter().cloned().map(Value::from).collect();
    let mut magic = vars.magic.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    magic.insert("play_hosts", hosts.clone());
    magic.insert("ansible_play_batch", hosts);
}

/// The task that gathers facts at the start of a play.
fn gather_task(play: &Play, extent: &Extent) -> Task {
    let mut args: Vec<(Tree, Tree)> = Vec::new();
    let groups = match extent {
        Extent::Groups(groups) => {
            Some(Tree::value(groups.iter().map(|name| Value::str(name.as_str())).collect::<Vec<_>>()))
        }
        Extent::All | Extent::Mentioned => None,
    };
    for (name, tree) in [
        ("gather_subset", if play.gather_subset.is_some() { &play.gather_subset } else { &groups }),
        ("gather_timeout", &play.gather_timeout),
        ("fact_path", &play.fact_path),
    ] {
        if let Some(tree) = tree {
            args.push((Tree::value(name), tree.clone()));
        }
    }
    Task {
        id: StepId::new(&format!("{}/Gathering Facts", play.id_path), "gather_facts", 1),
        name: Some(Tree::value("Gathering Facts")),
        action: Action::Module {
            name: "setup".into(),
            args: Tree { kind: TreeKind::Map(Arc::new(args)), span: None },
            free_form: None,
            template_args: None,
            file: None,
            dynamic: None,
        },
        directives: Arc::new(Directives {
            // Facts only read, and are needed to predict anything.
            check_mode: Some(Tree::value(false)),
            tags: vec![Tree::value("always")],
            ..Directives::clone(&play.directives)
        }),
        register: None,
        loop_: None,
        until: Vec::new(),
        retries: None,
        delay: None,
        changed_when: Vec::new(),
        failed_when: Vec::new(),
        notify: Vec::new(),
        listen: Vec::new(),
        async_: None,
        poll: None,
        role: None,
        dir: play.dir.clone(),
        span: play.span,
        action_span: play.span,
    }
}

/// Splits hosts by `serial`: each size in turn, the last one repeated.
fn batches(hosts: &[Host], sizes: &[Value]) -> Result<Vec<Vec<Host>>, String> {
    let mut wanted = Vec::new();
    for size in sizes {
        match size {
            Value::List(list) => wanted.extend(list.iter().map(|v| batch_size(v, hosts.len()))),
            one => wanted.push(batch_size(one, hosts.len())),
        }
    }
    let wanted = wanted.into_iter().collect::<Result<Vec<usize>, _>>()?;
    let mut rest = hosts;
    let mut all = Vec::new();
    let mut sizes = wanted.iter().copied();
    let mut size = sizes.next().unwrap_or(hosts.len());
    while !rest.is_empty() {
        let take = size.min(rest.len());
        let (batch, more) = rest.split_at(take);
        all.push(batch.to_vec());
        rest = more;
        size = sizes.next().unwrap_or(size);
    }
    Ok(all)
}

fn batch_size(size: &Value, hosts: usize) -> Result<usize, String> {
    let text = size.to_text();
    let size = BatchSize::parse(&text);
    Ok(size.ok_or_else(|| format!("serial must be a number or a percentage, not \"{text}\""))?.of(hosts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(count: usize, serial: &str, expect: &[usize]) {
        let hosts: Vec<Host> = (0..count).map(|i| Host::from(format!("h{i}"))).collect();
        let serial = crate::yaml::parse_value(serial).unwrap();
        let sizes: Vec<usize> = batches(&hosts, &[serial]).unwrap().iter().map(Vec::len).collect();
        assert_eq!(sizes, expect);
    }

    #[test]
    fn batches_follow_serial() {
        check(5, "2", &[2, 2, 1]);
        check(10, "[1, 3, 5]", &[1, 3, 5, 1]);
        check(10, "[1, '30%']", &[1, 3, 3, 3]);
        check(3, "0", &[3]);
        check(3, "'10%'", &[1, 1, 1]);
        assert!(batch_size(&Value::str("many"), 3).is_err());
    }
}
