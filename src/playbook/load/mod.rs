//! The loader: playbook files to [`Playbook`], dynamic includes to entries; collects every mistake on the way.
//!
//! A [`Loader`] lives as long as the run and keeps what it parsed. One call of it is one [`Load`], which gathers
//! errors, warnings, role uses and handlers. What is known at one place of the files is a [`Place`].

mod action;
mod argspec;
mod collections;
pub(super) mod files;
mod import;
mod library;
mod play;
mod read;
mod role;
mod role_files;
mod scope;
mod task;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;

use super::{
    Directives, Entry, IncludeContext, LoadOptions, LoadedRole, LoadedTasks, Playbook, Role, RoleOptions,
    StepId, Task,
};
use crate::diag::Diagnostic;
use crate::template::{Scope, VarMap};
use crate::yaml::{Node, Parsed};

use collections::Collections;
pub use collections::{ModuleGroup, collection_name};
use library::Library;
use role::RoleUse;
use role_files::{FromFiles, RoleParts};

/// Loads playbooks and what they include; keeps parsed files and role directories.
pub struct Loader {
    options: LoadOptions,
    parsed: Mutex<HashMap<PathBuf, Result<Arc<Parsed>, Diagnostic>>>,
    roles: Mutex<HashMap<(PathBuf, FromFiles), Arc<RoleParts>>>,
    included: Mutex<HashMap<IncludeKey, Included>>,
    libraries: Mutex<HashMap<PathBuf, Library>>,
    /// Folders with modules of the roles so far, in order.
    role_libraries: Mutex<Vec<PathBuf>>,
    collections: Mutex<Collections>,
    module_groups: Mutex<HashMap<(PathBuf, String), ModuleGroup>>,
}

/// One dynamic include without loop variables: file, surroundings, role, handlers or tasks.
type IncludeKey = (PathBuf, usize, usize, bool);

/// What it gave; holds on to what the key's addresses stand for.
#[derive(Clone)]
struct Included {
    tasks: Arc<LoadedTasks>,
    _inherited: Arc<Directives>,
    _role: Option<Arc<Role>>,
}

/// Loads one playbook; see [`Loader::load_playbook`].
pub fn load_playbook(
    path: &Path,
    options: &LoadOptions,
) -> Result<(Playbook, Vec<Diagnostic>), Vec<Diagnostic>> {
    Loader::new(options.clone()).load_playbook(path)
}

impl Loader {
    pub fn new(options: LoadOptions) -> Self {
        Loader {
            options,
            parsed: Mutex::default(),
            roles: Mutex::default(),
            included: Mutex::default(),
            libraries: Mutex::default(),
            role_libraries: Mutex::default(),
            collections: Mutex::default(),
            module_groups: Mutex::default(),
        }
    }

    /// Lets a text stand for a file: a playbook that was typed instead of written.
    pub fn preload(&self, path: &Path, text: &str) {
        let path = files::absolute(path);
        let file = self.options.sources.add(files::shown(&path), text);
        let parsed = crate::yaml::parse(&self.options.sources, file).map(Arc::new);
        lock(&self.parsed).insert(path, parsed);
    }

    pub fn options(&self) -> &LoadOptions {
        &self.options
    }

    /// Loads a playbook with everything that is known before the run: roles, imports, templates. Returns warnings
    /// beside it, or all mistakes at once.
    pub fn load_playbook(&self, path: &Path) -> Result<(Playbook, Vec<Diagnostic>), Vec<Diagnostic>> {
        let path = files::absolute(path);
        let dir = files::parent(&path);
        let mut load = Load::new(self, dir, None);
        let plays = load.playbook(&path);
        let warnings = load.finish()?;
        Ok((Playbook { path, plays }, warnings))
    }

    /// Loads the tasks of an `include_tasks`; `name` is the rendered file name.
    pub fn load_tasks(
        &self,
        name: &str,
        context: &IncludeContext,
    ) -> Result<Arc<LoadedTasks>, Vec<Diagnostic>> {
        let mut load = Load::new(self, context.playbook_dir.clone(), Some(context.scope.clone()));
        let place = Place::of_include(context);
        let Some(path) = load.find_tasks(name, &place, context.span, files::Order::RoleFirst) else {
            return Err(load.errors);
        };
        let key = (
            path.clone(),
            Arc::as_ptr(&context.inherited) as usize,
            context.role.as_ref().map_or(0, |r| Arc::as_ptr(r) as usize),
            context.handlers,
        );
        if context.vars.is_empty()
            && let Some(known) = lock(&self.included).get(&key)
        {
            return Ok(known.tasks.clone());
        }
        let entries = load.tasks_file(&path, &place, context.span);
        let (uses, handlers) = (std::mem::take(&mut load.uses), std::mem::take(&mut load.handlers));
        let warnings = load.finish()?;
        let tasks = Arc::new(LoadedTasks { path, entries, uses, handlers, warnings });
        if context.vars.is_empty() {
            let included = Included {
                tasks: tasks.clone(),
                _inherited: context.inherited.clone(),
                _role: context.role.clone(),
            };
            lock(&self.included).insert(key, included);
        }
        Ok(tasks)
    }

    /// Loads the role of an `include_role`; `name` is rendered, and so are the texts in `options`.
    pub fn load_role(
        &self,
        name: &str,
        options: &RoleOptions,
        context: &IncludeContext,
    ) -> Result<LoadedRole, Vec<Diagnostic>> {
        let mut load = Load::new(self, context.playbook_dir.clone(), Some(context.scope.clone()));
        let place = Place::of_include(context);
        let usage = RoleUse {
            name: name.to_owned(),
            span: context.span,
            params: VarMap::default(),
            vars: context.inherited.include_params.last().cloned().unwrap_or_default(),
            directives: Directives::default(),
            from: FromFiles {
                tasks: options.tasks_from.clone(),
                vars: options.vars_from.clone(),
                defaults: options.defaults_from.clone(),
                handlers: options.handlers_from.clone(),
            },
            from_include: true,
            public: options.public,
            validate: options.validate,
            allow_duplicates: Some(options.allow_duplicates.unwrap_or(true)),
        };
        let parents = place.role_chain();
        let loaded = load.role(usage, &place, parents);
        let (uses, handlers) = (std::mem::take(&mut load.uses), std::mem::take(&mut load.handlers));
        let warnings = load.finish()?;
        match loaded {
            Some((entries, role)) => Ok(LoadedRole { entries, role, uses, handlers, warnings }),
            None => Err(vec![Diagnostic::error("XP0620", format!("cannot load the role `{name}`"))]),
        }
    }

    /// Loads a file of variables: `vars_files`, `include_vars`, `-e @file`.
    pub fn load_vars(&self, path: &Path) -> Result<VarMap, Vec<Diagnostic>> {
        let mut load = Load::new(self, files::parent(path), None);
        let vars = load.vars_file(path, None);
        load.finish()?;
        Ok(vars)
    }

    /// Parses a file once.
    fn parsed(&self, path: &Path) -> Result<Arc<Parsed>, Diagnostic> {
        if let Some(known) = lock(&self.parsed).get(path) {
            return known.clone();
        }
        let parsed = files::parse(&self.options, path).map(Arc::new);
        lock(&self.parsed).insert(path.to_owned(), parsed.clone());
        parsed
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One call of the loader.
struct Load<'l> {
    loader: &'l Loader,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// What a running play knows, for names in static imports.
    base: Option<Arc<dyn Scope>>,
    /// Variables of the play that is being loaded, weakest first.
    play_vars: Vec<VarMap>,
    /// The directory of the playbook file whose play is being loaded.
    playbook_dir: PathBuf,
    /// How often each step id was given.
    ids: HashMap<StepId, usize>,
    /// Roles used so far in the play or include.
    uses: Vec<Arc<Role>>,
    /// Handlers of those roles.
    handlers: Vec<Arc<Task>>,
    /// Where the task that is being loaded finds modules that are files, the nearest first.
    libraries: Vec<PathBuf>,
    /// Collections in which it looks for names without a namespace, in order.
    searched: Vec<String>,
}

/// What is known at one place in the files.
#[derive(Clone)]
struct Place {
    inherited: Arc<Directives>,
    role: Option<Arc<Role>>,
    /// The directory of the current file.
    dir: PathBuf,
    /// Whether handlers are being loaded.
    handlers: bool,
    /// Whether a block around has a `rescue`.
    rescued: bool,
    id_path: Arc<str>,
    /// Task files and roles that are being loaded, to notice circles.
    stack: Vec<(PathBuf, Option<String>)>,
}

impl Place {
    fn of_include(context: &IncludeContext) -> Place {
        let mut inherited = context.inherited.clone();
        if !context.vars.is_empty() {
            let inner = Arc::make_mut(&mut inherited);
            inner.vars.push(context.vars.clone());
            inner.include_params.push(context.vars.clone());
        }
        Place {
            inherited,
            role: context.role.clone(),
            dir: context.dir.clone(),
            handlers: context.handlers,
            rescued: context.rescued,
            id_path: context.id_path.clone(),
            stack: Vec::new(),
        }
    }

    /// The roles around this place, outermost first.
    fn role_chain(&self) -> Vec<Arc<Role>> {
        self.role.iter().flat_map(|r| r.parents.iter().cloned().chain([r.clone()])).collect()
    }

    fn with(&self, directives: &Directives) -> Place {
        Place { inherited: Arc::new(self.inherited.with(directives)), ..self.clone() }
    }
}

impl<'l> Load<'l> {
    fn new(loader: &'l Loader, playbook_dir: PathBuf, base: Option<Arc<dyn Scope>>) -> Self {
        Load {
            loader,
            errors: Vec::new(),
            warnings: Vec::new(),
            base,
            play_vars: Vec::new(),
            playbook_dir,
            ids: HashMap::new(),
            uses: Vec::new(),
            handlers: Vec::new(),
            libraries: Vec::new(),
            searched: Vec::new(),
        }
    }

    /// Returns the warnings, or the errors if there are any; each only once.
    fn finish(mut self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        fn unique(list: &mut Vec<Diagnostic>) {
            let mut seen: Vec<Diagnostic> = Vec::with_capacity(list.len());
            list.retain(|d| {
                let new = !seen.contains(d);
                if new {
                    seen.push(d.clone());
                }
                new
            });
        }
        unique(&mut self.errors);
        unique(&mut self.warnings);
        if self.errors.is_empty() { Ok(self.warnings) } else { Err(self.errors) }
    }

    fn error(&mut self, diagnostic: Diagnostic) {
        self.errors.push(diagnostic);
    }

    fn warn(&mut self, diagnostic: Diagnostic) {
        self.warnings.push(diagnostic);
    }

    fn step_id(&mut self, path: &str, node: &Node) -> StepId {
        let content = crate::value::to_json_text(&node.to_value());
        let first = StepId::new(path, &content, 1);
        let count = self.ids.entry(first.clone()).or_insert(0);
        *count += 1;
        if *count == 1 { first } else { StepId::new(path, &content, *count) }
    }

    /// Parses a file that holds one document; nothing for an empty file or after an error.
    fn document(&mut self, path: &Path, from: Option<crate::diag::Span>) -> Option<Node> {
        match self.loader.parsed(path) {
            Ok(parsed) => {
                self.warnings.extend(parsed.warnings.iter().cloned());
                if let Some(second) = parsed.documents.get(1) {
                    self.error(
                        Diagnostic::error("XP0601", "this file holds more than one YAML document")
                            .at(second.span, "the second document")
                            .help("remove the `---` before it"),
                    );
                }
                parsed.documents.first().cloned()
            }
            Err(mut diagnostic) => {
                if let Some(span) = from
                    && diagnostic.labels.is_empty()
                {
                    diagnostic = diagnostic.at(span, "needed here");
                }
                self.error(diagnostic);
                None
            }
        }
    }

    /// Loads a file of variables; empty after an error.
    fn vars_file(&mut self, path: &Path, from: Option<crate::diag::Span>) -> VarMap {
        let Some(node) = self.document(path, from) else { return VarMap::default() };
        if node.is_null() {
            return VarMap::default();
        }
        // A list of mappings counts as if all stood in one.
        let parts: Vec<&crate::yaml::Node> = match node.items() {
            items if !items.is_empty() && items.iter().all(crate::yaml::Node::is_map) => {
                items.iter().collect()
            }
            _ => vec![&node],
        };
        if parts.iter().any(|part| !part.is_map()) {
            self.error(
                Diagnostic::error(
                    "XP0604",
                    format!("a file of variables holds a mapping, not {}", node.described()),
                )
                .at(node.span, "not a mapping"),
            );
            return VarMap::default();
        }
        let mut vars = IndexMap::new();
        for part in parts {
            self.variables(part, &mut vars);
        }
        Arc::new(vars)
    }

    /// Loads a file of tasks.
    fn tasks_file(&mut self, path: &Path, place: &Place, from: Option<crate::diag::Span>) -> Vec<Entry> {
        let Some(node) = self.document(path, from) else { return Vec::new() };
        let mut place = Place { dir: files::parent(path), ..place.clone() };
        place.stack.push((path.to_owned(), None));
        self.entries(&node, "a file of tasks", &place)
    }
}
