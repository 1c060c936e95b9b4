//! Dynamic includes: loads what hosts asked for and runs it on them.

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use super::event::{Event, TaskHeader};
use super::login;
use super::play::{Flow, Host, Place, PlayRun, Stop};
use super::result::{Include, TaskResult, Trouble, explain};
use super::worker::host_result;
use crate::diag::{Diagnostic, Style, classic};
use crate::playbook::{Action, Directives, Entry, IncludeContext, LoadedTasks, Task};
use crate::template::Scope;
use crate::value::{Map, Value, to_json_text};
use crate::vars::plain_layer;

impl PlayRun<'_> {
    /// Runs each distinct include on the hosts that asked for it, in the order of the first asking.
    pub async fn includes(
        &mut self,
        task: &Arc<Task>,
        header: &Arc<TaskHeader>,
        results: &[(Host, TaskResult)],
        alive: &[Host],
        place: Place,
    ) -> Flow {
        let mut flow = Flow { ok: alive.to_vec(), failed: Vec::new() };
        // All are loaded and announced before the first one runs, as in Ansible.
        let mut ready = Vec::new();
        for (include, hosts) in group(results, alive) {
            let hosts: Vec<Host> = hosts.into_iter().filter(|h| flow.ok.contains(h)).collect();
            if hosts.is_empty() || self.stop.is_some() {
                continue;
            }
            match self.load(task, &include, &hosts[0], place) {
                Ok((loaded, shown)) => {
                    let known = |host: &Host| results.iter().any(|(h, r)| h == host && r.replayed);
                    let shown = Some(shown).filter(|_| !hosts.iter().all(known));
                    self.announce(header, &include, shown, &hosts).await;
                    ready.push((loaded, hosts, include.maybe.clone()));
                }
                Err(Trouble::Failed { explanation: Some(mistake), .. }) if ends_the_run(&mistake) => {
                    self.stop = Some(Stop::Error(mistake));
                }
                Err(trouble) => {
                    let step = self.fail_all(task, header, &hosts, trouble, place).await;
                    let fatal = !step.failed.is_empty() && {
                        let scope = self.scope(task, &hosts[0]);
                        self.flag(task, |d| &d.any_errors_fatal, &scope)
                    };
                    flow.lose(&hosts, step);
                    if fatal {
                        for host in std::mem::take(&mut flow.ok) {
                            flow.failed.push(self.fail_with_others(&host, header));
                        }
                    }
                }
            }
        }
        for (loaded, hosts, doubt) in ready {
            let hosts: Vec<Host> = hosts.into_iter().filter(|h| flow.ok.contains(h)).collect();
            if hosts.is_empty() || self.stop.is_some() {
                continue;
            }
            let before = self.doubts.clone();
            for host in doubt.iter().flat_map(|_| &hosts) {
                let doubt = doubt.clone().into_iter();
                self.doubts.extend(doubt.map(|doubt| (host.clone(), doubt)));
            }
            let step = self.entries(loaded.entries(), hosts.clone(), place).await;
            self.doubts = before;
            flow.lose(&hosts, step);
        }
        flow
    }

    /// Counts an include, and shows it unless it was shown before the run was interrupted.
    async fn announce(
        &mut self,
        task: &Arc<TaskHeader>,
        include: &Include,
        file: Option<PathBuf>,
        hosts: &[Host],
    ) {
        for host in hosts {
            self.recap.hosts.entry(host.clone()).or_default().ok += 1;
        }
        let Some(file) = file else { return };
        let (task, hosts) = (task.clone(), hosts.to_vec());
        self.shared.emit(Event::Included { task, file, hosts, item: include.label.clone() }).await;
    }

    async fn fail_all(
        &mut self,
        task: &Arc<Task>,
        header: &Arc<TaskHeader>,
        hosts: &[Host],
        trouble: Trouble,
        place: Place,
    ) -> Flow {
        let mut result = TaskResult::from_trouble(trouble);
        if let Some(mistake) = &result.explanation {
            // Ansible gives the reason of a failed include a name of its own.
            let reason = match self.shared.options.style {
                Style::Ansible => classic(&self.shared.sources, mistake),
                // The place is shown beside it.
                Style::Plain | Style::Color => mistake.message.clone(),
            };
            result.result.remove("msg");
            result.result.insert("reason", reason);
        }
        for host in hosts {
            let event = host_result(&self.shared, header, host, &result, None);
            self.shared.emit(Event::Host(event)).await;
        }
        let results = hosts.iter().map(|h| (h.clone(), result.clone())).collect();
        Box::pin(self.settle(task, header, hosts.to_vec(), results, false, place)).await
    }

    fn load(
        &mut self,
        task: &Arc<Task>,
        include: &Include,
        host: &Host,
        place: Place,
    ) -> Result<(Loaded, PathBuf), Trouble> {
        let scope: Arc<dyn Scope> = self.scope(task, host).boxed();
        let named_at = match &task.action {
            Action::IncludeTasks(i) => i.file.span,
            Action::IncludeRole(i) => i.name.span,
            _ => None,
        };
        let context = |inherited: &Arc<Directives>| IncludeContext {
            inherited: inherited.clone(),
            vars: plain_layer(&include.locals),
            role: task.role.clone(),
            dir: task.dir.clone(),
            playbook_dir: self.play.dir.clone(),
            id_path: task.id.path.clone(),
            handlers: place.handlers,
            rescued: place.rescued,
            scope: scope.clone(),
            span: named_at.or(Some(task.action_span)),
        };
        match &task.action {
            Action::IncludeTasks(i) => {
                let loaded = self
                    .shared
                    .loader
                    .load_tasks(&include.target, &context(&i.inherited))
                    .map_err(explain)?;
                self.handlers.add(&loaded.handlers);
                for role in &loaded.uses {
                    self.export_role(role);
                }
                let path = loaded.path.clone();
                Ok((Loaded::Tasks(loaded), path))
            }
            Action::IncludeRole(i) => {
                let public = self.shared.loader.options().private_role_vars == Some(false);
                let options = role_options(&include.options, public);
                let context = context(&i.inherited);
                let loaded =
                    self.shared.loader.load_role(&include.target, &options, &context).map_err(explain)?;
                self.handlers.add(&loaded.handlers);
                if options.public {
                    self.export_role(&loaded.role);
                }
                Ok((Loaded::Role(loaded.entries), include.target.clone().into()))
            }
            Action::Module { .. } | Action::Mistake { .. } | Action::Meta(_) => {
                Err(Trouble::msg("this task includes nothing"))
            }
        }
    }

    /// Shows a role's variables to the rest of the play.
    pub fn export_role(&self, role: &crate::playbook::Role) {
        let write = |list: &std::sync::RwLock<Vec<crate::template::VarMap>>,
                     layers: Vec<crate::template::VarMap>| {
            let mut list = list.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            for layer in layers {
                list.retain(|known| !Arc::ptr_eq(known, &layer));
                list.push(layer);
            }
        };
        write(&self.vars.role_vars, role.export_layers());
        write(&self.vars.role_defaults, role.default_layers());
    }
}

impl Flow {
    /// Takes over what became of some of the hosts.
    fn lose(&mut self, hosts: &[Host], step: Flow) {
        self.ok.retain(|h| !hosts.contains(h) || step.ok.contains(h));
        self.failed.extend(step.failed);
    }
}

/// Whether an included file is wrong in a way that no rescue can be prepared for, as Ansible sees it: not a file or
/// role that is missing, and not what is found only when a task runs.
fn ends_the_run(mistake: &Diagnostic) -> bool {
    !mistake.is_of_the_run() && !matches!(mistake.code, "XP0503" | "XP0620" | "XP0621" | "XP0624")
}

/// What an include brought; tasks may be shared with other includes of the same file.
enum Loaded {
    Tasks(Arc<LoadedTasks>),
    Role(Vec<Entry>),
}

impl Loaded {
    fn entries(&self) -> &[Entry] {
        match self {
            Loaded::Tasks(tasks) => &tasks.entries,
            Loaded::Role(entries) => entries,
        }
    }
}

/// Joins equal includes of several hosts.
fn group(results: &[(Host, TaskResult)], order: &[Host]) -> Vec<(Include, Vec<Host>)> {
    let mut groups: IndexMap<String, (Include, Vec<Host>)> = IndexMap::new();
    for host in order {
        let Some((_, result)) = results.iter().find(|(h, _)| h == host) else { continue };
        for include in &result.effects.includes {
            let key = format!(
                "{}\0{}\0{}\0{}",
                include.maybe.as_ref().map_or("", |unknown| &unknown.cause),
                include.target,
                to_json_text(&Value::map(include.options.clone())),
                to_json_text(&Value::map(include.locals.clone()))
            );
            groups.entry(key).or_insert_with(|| (include.clone(), Vec::new())).1.push(host.clone());
        }
    }
    groups.into_values().collect()
}

fn role_options(options: &Map, public: bool) -> crate::playbook::RoleOptions {
    let text = |name: &str| options.get(name).filter(|v| !v.is_null()).map(Value::to_text);
    let flag = |name: &str| options.get(name).map(login::truth);
    crate::playbook::RoleOptions {
        tasks_from: text("tasks_from"),
        vars_from: text("vars_from"),
        defaults_from: text("defaults_from"),
        handlers_from: text("handlers_from"),
        public: flag("public").unwrap_or(public),
        allow_duplicates: flag("allow_duplicates"),
        validate: flag("rolespec_validate").unwrap_or(true),
    }
}
