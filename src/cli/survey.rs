//! What is known of a play before it runs: its tasks, with includes followed where their names are known, its roles,
//! and its layers of variables. For commands that look at a project without running it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::project::Project;
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::inventory::{HostId, LayerSource, VarFiles};
use crate::playbook::{Action, Entry, IncludeContext, IncludeRole, Play, Role, RoleOptions, Task};
use crate::template::{Scope, SearchPath, StaticScope, Tree, TreeKind, VarMap};
use crate::value::Value;
use crate::vars::Layer;

/// Includes may include each other.
const DEEPEST: usize = 30;

/// One play, looked at as a whole.
pub struct Survey {
    pub play: Arc<Play>,
    pub tasks: Vec<Arc<Task>>,
    /// Every use of a role, those that tasks import or include too.
    pub roles: Vec<Arc<Role>>,
    /// Variables of `vars_files`, weakest first.
    pub vars_files: Vec<VarMap>,
    /// Variables of `include_vars` whose file is known.
    pub include_vars: Vec<VarMap>,
    /// Something that the play takes in has a name that only the run knows.
    pub open: bool,
    /// What is wrong with what is included.
    pub found: Diagnostics,
}

/// One layer of variables.
pub struct Origin {
    pub layer: Layer,
    /// The layer in words, with the role, group or file that it belongs to.
    pub words: String,
    pub vars: VarMap,
}

impl Survey {
    /// Looks at a play of a project.
    pub fn new(project: &Project, play: &Arc<Play>) -> Survey {
        let mut survey = Survey {
            play: play.clone(),
            tasks: Vec::new(),
            roles: Vec::new(),
            vars_files: Vec::new(),
            include_vars: Vec::new(),
            open: false,
            found: Diagnostics::new(),
        };
        for entry in &play.vars_files {
            match survey.first_file(project, entry) {
                Some(vars) => survey.vars_files.push(vars),
                None => survey.open = true,
            }
        }
        let mut walk = Walk { project, survey, seen: HashSet::new() };
        for role in &play.role_uses {
            walk.role(role);
        }
        for entries in [&play.pre_tasks, &play.roles, &play.tasks, &play.post_tasks] {
            walk.entries(entries, 0, false);
        }
        for handler in &play.handlers {
            walk.task(handler, 0, true);
        }
        walk.survey
    }

    /// The first file of an entry of `vars_files` that exists.
    fn first_file(&self, project: &Project, entry: &Tree) -> Option<VarMap> {
        let names = match render(project, entry, &self.scope(project, None))? {
            Value::List(names) => names.iter().map(Value::to_text).collect(),
            name => vec![name.to_text()],
        };
        let search = SearchPath { dirs: Vec::new(), playbook_dir: self.play.dir.clone() };
        let path = names.iter().find_map(|name| search.find("vars", name))?;
        project.loader.load_vars(&path).ok()
    }

    /// The variables of the play that do not depend on the host, for a task or for the play itself.
    fn scope(&self, project: &Project, task: Option<&Task>) -> Arc<dyn Scope> {
        let mut layers = vec![project.extra_vars.clone()];
        let role = task.and_then(|task| task.role.as_deref());
        layers.extend(role.into_iter().flat_map(|role| role.param_layers().into_iter().rev()));
        layers.extend(task.into_iter().flat_map(|task| task.directives.vars.iter().rev().cloned()));
        layers.extend(role.into_iter().flat_map(|role| role.var_layers().into_iter().rev()));
        layers.extend(self.vars_files.iter().rev().cloned());
        layers.push(self.play.vars.clone());
        layers.extend(role.into_iter().flat_map(|role| role.default_layers().into_iter().rev()));
        if let Some(role) = role {
            let path = Tree::value(role.files.path.display().to_string());
            layers.push(Arc::new([("role_path".into(), path)].into_iter().collect()));
        }
        let dir = Tree::value(self.play.dir.display().to_string());
        layers.push(Arc::new([("playbook_dir".into(), dir)].into_iter().collect()));
        let dirs = vec![task.map_or_else(|| self.play.dir.clone(), |task| task.dir.clone())];
        Arc::new(StaticScope { layers, search: SearchPath { dirs, playbook_dir: self.play.dir.clone() } })
    }

    /// Returns the layers that hold in the whole play, the strongest first; those of the inventory for one host.
    pub fn layers(
        &self,
        project: &Project,
        files: &VarFiles,
        host: Option<HostId>,
    ) -> Result<Vec<Origin>, Vec<Diagnostic>> {
        let origin = |layer: Layer, words: &str, vars: &VarMap| Origin {
            layer,
            words: words.to_string(),
            vars: vars.clone(),
        };
        let mut all = vec![origin(Layer::Extra, "extra vars (-e)", &project.extra_vars)];
        for role in self.roles.iter().rev().filter(|role| role.public) {
            let words = format!("vars/ of the role {}", role.name);
            all.extend(role.files.vars.iter().rev().map(|vars| origin(Layer::Role, &words, vars)));
        }
        all.extend(
            self.vars_files.iter().rev().map(|vars| origin(Layer::VarsFiles, "vars_files of the play", vars)),
        );
        all.push(origin(Layer::Play, "vars of the play", &self.play.vars));
        if let Some(host) = host {
            all.extend(of_host(project, files, host, Some(&self.play.dir))?);
        }
        for role in self.roles.iter().rev().filter(|role| role.public) {
            let words = format!("defaults/ of the role {}", role.name);
            all.extend(
                role.files.defaults.iter().rev().map(|vars| origin(Layer::RoleDefaults, &words, vars)),
            );
        }
        let mut known: Vec<VarMap> = Vec::new();
        all.retain(|origin| {
            let new = !origin.vars.is_empty() && !known.iter().any(|vars| Arc::ptr_eq(vars, &origin.vars));
            known.push(origin.vars.clone());
            new
        });
        Ok(all)
    }
}

/// Returns the layers of a host's variables from inventory and variable files, the strongest first.
pub fn of_host(
    project: &Project,
    files: &VarFiles,
    host: HostId,
    playbook_dir: Option<&Path>,
) -> Result<Vec<Origin>, Vec<Diagnostic>> {
    let layers = project.inventory.layers(host, files, playbook_dir)?;
    let words = |source: &LayerSource| match source {
        LayerSource::Group(id) => format!("inventory, group {}", project.inventory.group(*id).name),
        LayerSource::GroupFile(id, _) => format!("group_vars of {}", project.inventory.group(*id).name),
        LayerSource::Host => "inventory, host".to_string(),
        LayerSource::HostFile(_) => "host_vars".to_string(),
    };
    let origin = |layer: crate::inventory::VarLayer| Origin {
        layer: Layer::Inventory,
        words: words(&layer.source),
        vars: layer.vars,
    };
    Ok(layers.into_iter().rev().map(origin).collect())
}

/// Follows includes.
struct Walk<'p> {
    project: &'p Project,
    survey: Survey,
    /// Files and roles that were taken in already, by the task that does it.
    seen: HashSet<(PathBuf, usize)>,
}

impl Walk<'_> {
    fn entries(&mut self, entries: &[Entry], depth: usize, rescued: bool) {
        for entry in entries {
            match entry {
                Entry::Task(task) => self.task(task, depth, rescued),
                Entry::Block(block) => {
                    block.role.iter().for_each(|role| self.role(role));
                    self.entries(&block.body, depth, rescued || !block.rescue.is_empty());
                    self.entries(&block.rescue, depth, rescued);
                    self.entries(&block.always, depth, rescued);
                }
            }
        }
    }

    fn role(&mut self, role: &Arc<Role>) {
        if !self.survey.roles.iter().any(|known| Arc::ptr_eq(known, role)) {
            self.survey.roles.push(role.clone());
        }
    }

    fn task(&mut self, task: &Arc<Task>, depth: usize, rescued: bool) {
        self.survey.tasks.push(task.clone());
        if depth > DEEPEST {
            return;
        }
        match &task.action {
            Action::IncludeTasks(include) => {
                let Some(name) = self.text(&include.file, task) else { return };
                let context = self.context(task, &include.inherited, rescued);
                let key = (task.dir.join(&name), Arc::as_ptr(&include.inherited) as usize);
                if !self.seen.insert(key) {
                    return;
                }
                match self.project.loader.load_tasks(&name, &context) {
                    Ok(loaded) => {
                        loaded.uses.iter().for_each(|role| self.role(role));
                        self.entries(&loaded.entries, depth + 1, rescued);
                        self.handlers(&loaded.handlers, depth);
                    }
                    Err(mistakes) => self.wrong(task, mistakes, rescued),
                }
            }
            Action::IncludeRole(include) => {
                let Some(name) = self.text(&include.name, task) else { return };
                let Some(options) = self.role_options(include, task) else { return };
                let context = self.context(task, &include.inherited, rescued);
                let key = (PathBuf::from(&name), Arc::as_ptr(&include.inherited) as usize);
                if !self.seen.insert(key) {
                    return;
                }
                match self.project.loader.load_role(&name, &options, &context) {
                    Ok(loaded) => {
                        loaded.uses.iter().for_each(|role| self.role(role));
                        self.entries(&loaded.entries, depth + 1, rescued);
                        self.handlers(&loaded.handlers, depth);
                    }
                    Err(mistakes) => self.wrong(task, mistakes, rescued),
                }
            }
            Action::Module { name, args, free_form, .. }
                if crate::modules::short_name(name) == Some("include_vars") =>
            {
                self.include_vars(task, args, free_form.as_ref());
            }
            Action::Module { .. } | Action::Mistake { .. } | Action::Meta(_) => {}
        }
    }

    fn handlers(&mut self, handlers: &[Arc<Task>], depth: usize) {
        handlers.iter().for_each(|handler| self.task(handler, depth + 1, true));
    }

    /// What is wrong in something that may not be included at all is a warning.
    fn wrong(&mut self, task: &Task, mistakes: Vec<Diagnostic>, rescued: bool) {
        self.survey.open = true;
        let certain = task.directives.when.is_empty() && task.loop_.is_none() && !rescued;
        for mistake in mistakes {
            let mistake = match certain {
                true => mistake,
                false => Diagnostic { severity: Severity::Warning, ..mistake }
                    .note("this comes up only if the task that includes it runs"),
            };
            self.survey.found.push(mistake);
        }
    }

    fn include_vars(&mut self, task: &Task, args: &Tree, free_form: Option<&Tree>) {
        let member = |name: &str| match &args.kind {
            TreeKind::Map(members) => {
                members.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value.clone())
            }
            TreeKind::Value(value) => value.as_map()?.get(name).cloned().map(Tree::value),
            _ => None,
        };
        if let Some(name) = member("name") {
            if let Some(name) = name.as_text() {
                let vars = [(Arc::from(name), Tree::value(Value::Null))].into_iter().collect();
                self.survey.include_vars.push(Arc::new(vars));
            }
            return;
        }
        let file = free_form.cloned().or_else(|| member("file"));
        let Some(name) = file.and_then(|tree| self.text(&tree, task)) else {
            self.survey.open = true;
            return;
        };
        let path = task.search(&self.survey.play.dir).find("vars", &name);
        match path.and_then(|path| self.project.loader.load_vars(&path).ok()) {
            Some(vars) => self.survey.include_vars.push(vars),
            None => self.survey.open = true,
        }
    }

    /// A text that may be a template; where only the run knows it, nothing.
    fn text(&mut self, tree: &Tree, task: &Task) -> Option<String> {
        let text = render(self.project, tree, &self.survey.scope(self.project, Some(task)));
        if text.is_none() {
            self.survey.open = true;
        }
        text.map(|value| value.to_text())
    }

    fn role_options(&mut self, include: &IncludeRole, task: &Task) -> Option<RoleOptions> {
        let mut text = |tree: &Option<Tree>| match tree {
            Some(tree) => self.text(tree, task).map(Some),
            None => Some(None),
        };
        let yes = |tree: &Option<Tree>| tree.as_ref().and_then(Tree::as_value).is_some_and(Value::is_truthy);
        Some(RoleOptions {
            tasks_from: text(&include.tasks_from)?,
            vars_from: text(&include.vars_from)?,
            defaults_from: text(&include.defaults_from)?,
            handlers_from: text(&include.handlers_from)?,
            public: yes(&include.public),
            allow_duplicates: None,
            validate: true,
        })
    }

    fn context(
        &self,
        task: &Task,
        inherited: &Arc<crate::playbook::Directives>,
        rescued: bool,
    ) -> IncludeContext {
        IncludeContext {
            inherited: inherited.clone(),
            vars: VarMap::default(),
            role: task.role.clone(),
            dir: task.dir.clone(),
            playbook_dir: self.survey.play.dir.clone(),
            id_path: task.id.path.clone(),
            handlers: false,
            rescued,
            scope: self.survey.scope(self.project, Some(task)),
            span: Some(task.action_span),
        }
    }
}

fn render(project: &Project, tree: &Tree, scope: &Arc<dyn Scope>) -> Option<Value> {
    project.templar.render(tree, scope).ok()
}
