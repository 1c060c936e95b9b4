//! The variables that a task sees on one host.

use std::sync::{Arc, RwLock};

use super::magic::MAGIC;
use super::store::Store;
use super::{HostSource, Layer};
use crate::template::{LazyMap, Scope, SearchPath, Tree, Var, VarMap};
use crate::value::{Map, Value};

/// What holds for the whole run.
pub struct RunVars {
    pub extra: VarMap,
    pub store: Store,
    pub hosts: Arc<dyn HostSource>,
    /// Magic variables with one value for the whole run (`ansible_version`, `ansible_check_mode` ...).
    pub magic: Map,
    /// Facts are variables too (`inject_facts_as_vars`), not only members of `ansible_facts`.
    pub inject_facts: bool,
    /// Dicts of several layers are merged (`hash_behaviour`); otherwise the strongest counts.
    pub merge_dicts: bool,
}

/// What holds for one play.
#[derive(Default)]
pub struct PlayVars {
    pub vars: VarMap,
    pub prompts: VarMap,
    /// Role variables that the whole play sees, weakest first.
    pub role_vars: RwLock<Vec<VarMap>>,
    /// Role defaults that the whole play sees, weakest first.
    pub role_defaults: RwLock<Vec<VarMap>>,
    /// Magic variables of the play (`playbook_dir`, `ansible_play_name`, `role_names` ...).
    pub magic: RwLock<Map>,
}

/// Layers of one task, the same on all hosts. Each list is strongest first.
#[derive(Default)]
pub struct TaskLayers {
    pub include_params: Vec<VarMap>,
    pub role_params: Vec<VarMap>,
    pub task: Vec<VarMap>,
    pub role: Vec<VarMap>,
    pub role_defaults: Vec<VarMap>,
    /// Magic variables of the task (`role_name`, `role_path` ...).
    pub magic: Map,
    pub search: SearchPath,
}

/// All layers for one task on one host. Clones are cheap.
#[derive(Clone)]
pub struct TaskScope {
    run: Arc<RunVars>,
    play: Arc<PlayVars>,
    task: Arc<TaskLayers>,
    host: Arc<str>,
    inventory: Arc<Vec<VarMap>>,
    locals: Arc<Map>,
    /// Facts do not count: for settings that a host must not choose.
    without_facts: bool,
}

impl TaskScope {
    pub fn new(run: Arc<RunVars>, play: Arc<PlayVars>, task: Arc<TaskLayers>, host: Arc<str>) -> Self {
        let inventory = run.hosts.layers(&host);
        TaskScope { run, play, task, host, inventory, locals: Arc::default(), without_facts: false }
    }

    /// Returns the scope with variables that outrank all others, such as a loop's item.
    pub fn with_locals(&self, locals: Map) -> Self {
        let mut all = Map::clone(&self.locals);
        all.extend(locals);
        TaskScope { locals: Arc::new(all), ..self.clone() }
    }

    /// Returns the scope in which facts are not variables.
    pub fn without_facts(&self) -> Self {
        TaskScope { without_facts: true, ..self.clone() }
    }

    /// Returns the same task's scope on another host, without its locals.
    pub fn on_host(&self, host: &Arc<str>) -> Self {
        let mut scope = Self::new(self.run.clone(), self.play.clone(), self.task.clone(), host.clone());
        scope.without_facts = self.without_facts;
        scope
    }

    pub fn host(&self) -> &Arc<str> {
        &self.host
    }

    pub fn store(&self) -> &Store {
        &self.run.store
    }

    pub fn boxed(&self) -> Arc<dyn Scope> {
        Arc::new(self.clone())
    }

    /// Returns every layer that has the variable, strongest first.
    pub fn explain(&self, name: &str) -> Vec<(Layer, Var)> {
        super::LAYERS.iter().filter_map(|(layer, _)| Some((*layer, self.layer(*layer, name)?))).collect()
    }

    fn layer(&self, layer: Layer, name: &str) -> Option<Var> {
        let trees = |maps: &[VarMap]| maps.iter().find_map(|m| m.get(name)).cloned().map(Var::Tree);
        match layer {
            Layer::Local => self.locals.get(name).cloned().map(Var::Value),
            Layer::Magic => self.magic(name),
            Layer::Extra => self.run.extra.get(name).cloned().map(Var::Tree),
            Layer::IncludeParams => trees(&self.task.include_params),
            Layer::RoleParams => trees(&self.task.role_params),
            Layer::Registered => {
                self.run.store.read(&self.host, |h| h.registered.get(name).cloned()).map(Var::Value)
            }
            Layer::IncludeVars => newest(&self.run.store, &self.host, name, |h| &h.include_vars),
            Layer::Task => trees(&self.task.task),
            Layer::Role => trees(&self.task.role).or_else(|| weakest_first(&self.play.role_vars, name)),
            Layer::VarsFiles => newest(&self.run.store, &self.host, name, |h| &h.vars_files),
            Layer::VarsPrompt => self.play.prompts.get(name).cloned().map(Var::Tree),
            Layer::Play => self.play.vars.get(name).cloned().map(Var::Tree),
            Layer::Facts if self.without_facts || !self.run.inject_facts => None,
            Layer::Facts => self.run.store.read(&self.host, |h| h.injected(name).cloned()).map(Var::Value),
            Layer::Inventory => trees(&self.inventory),
            Layer::RoleDefaults => {
                trees(&self.task.role_defaults).or_else(|| weakest_first(&self.play.role_defaults, name))
            }
        }
    }

    /// Returns what every map of every layer that comes from files says of a variable, strongest first.
    fn all_trees(&self, name: &str) -> Vec<Tree> {
        let shared = |layers: &RwLock<Vec<VarMap>>| -> Vec<VarMap> {
            layers.read().unwrap_or_else(std::sync::PoisonError::into_inner).iter().rev().cloned().collect()
        };
        let of_host = |files: fn(&super::HostVars) -> &Vec<VarMap>| -> Vec<VarMap> {
            self.run.store.read(&self.host, |h| files(h).iter().rev().cloned().collect())
        };
        let task = &self.task;
        let mut maps: Vec<VarMap> = vec![self.run.extra.clone()];
        maps.extend(task.include_params.iter().chain(&task.role_params).cloned());
        maps.extend(of_host(|h| &h.include_vars));
        maps.extend(task.task.iter().chain(&task.role).cloned());
        maps.extend(shared(&self.play.role_vars));
        maps.extend(of_host(|h| &h.vars_files));
        maps.extend([self.play.prompts.clone(), self.play.vars.clone()]);
        maps.extend(self.inventory.iter().chain(&task.role_defaults).cloned());
        maps.extend(shared(&self.play.role_defaults));
        maps.iter().filter_map(|map| map.get(name)).cloned().collect()
    }

    fn magic(&self, name: &str) -> Option<Var> {
        if !MAGIC.contains(&name) {
            return None;
        }
        let value = match name {
            "hostvars" => return Some(Var::Lazy(Arc::new(HostVarsView { scope: self.clone() }))),
            "vars" => return Some(Var::Lazy(Arc::new(VarsView { scope: self.clone(), of_host: false }))),
            "ansible_facts" if self.without_facts => return None,
            "ansible_facts" => Value::Map(self.run.store.read(&self.host, |h| h.facts().clone())),
            "inventory_hostname" => Value::str(self.host.clone()),
            "inventory_hostname_short" => Value::str(self.host.split('.').next().unwrap_or(&self.host)),
            "groups" => self.run.hosts.groups(),
            "group_names" => self.run.hosts.group_names(&self.host),
            "inventory_file" => Value::str(self.run.hosts.file(&self.host)?.display().to_string()),
            "inventory_dir" => Value::str(self.run.hosts.file(&self.host)?.parent()?.display().to_string()),
            "omit" => Value::Omit,
            _ => {
                let play = self.play.magic.read().unwrap_or_else(std::sync::PoisonError::into_inner);
                self.task
                    .magic
                    .get(name)
                    .or_else(|| play.get(name))
                    .or_else(|| self.run.magic.get(name))?
                    .clone()
            }
        };
        Some(Var::Value(value))
    }
}

fn newest(
    store: &Store,
    host: &str,
    name: &str,
    files: impl Fn(&super::HostVars) -> &Vec<VarMap>,
) -> Option<Var> {
    store.read(host, |h| files(h).iter().rev().find_map(|m| m.get(name)).cloned()).map(Var::Tree)
}

fn weakest_first(layers: &RwLock<Vec<VarMap>>, name: &str) -> Option<Var> {
    let layers = layers.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    layers.iter().rev().find_map(|m| m.get(name)).cloned().map(Var::Tree)
}

impl Scope for TaskScope {
    fn get(&self, name: &str) -> Option<Var> {
        let found = super::LAYERS.iter().find_map(|(layer, _)| self.layer(*layer, name));
        match found {
            Some(Var::Tree(tree)) if self.run.merge_dicts => {
                Some(Var::Tree(crate::template::merged(tree, self.all_trees(name))))
            }
            found => found,
        }
    }

    fn names(&self) -> Vec<Arc<str>> {
        let mut names: indexmap::IndexSet<Arc<str>> = indexmap::IndexSet::new();
        let mut add = |map: &VarMap| names.extend(map.keys().cloned());
        add(&self.run.extra);
        self.task.include_params.iter().chain(&self.task.role_params).for_each(&mut add);
        self.task.task.iter().chain(&self.task.role).for_each(&mut add);
        for shared in [&self.play.role_vars, &self.play.role_defaults] {
            shared.read().unwrap_or_else(std::sync::PoisonError::into_inner).iter().for_each(&mut add);
        }
        add(&self.play.prompts);
        add(&self.play.vars);
        self.inventory.iter().chain(&self.task.role_defaults).for_each(&mut add);
        self.run.store.read(&self.host, |h| {
            for map in h.include_vars.iter().chain(&h.vars_files) {
                names.extend(map.keys().cloned());
            }
            names.extend(h.registered.keys().cloned());
            if !self.without_facts && self.run.inject_facts {
                names.extend(h.injected_names().cloned());
            }
        });
        names.extend(self.locals.keys().filter_map(|k| k.as_str().map(Arc::from)));
        names
            .extend(MAGIC.iter().filter(|m| **m != "vars" && self.magic(m).is_some()).map(|m| Arc::from(*m)));
        names.into_iter().collect()
    }

    fn search(&self) -> &SearchPath {
        &self.task.search
    }
}

/// `hostvars`: each host's variables, rendered in that host's own scope.
struct HostVarsView {
    scope: TaskScope,
}

impl LazyMap for HostVarsView {
    fn get(&self, key: &str) -> Option<Var> {
        if !self.scope.run.hosts.contains(key) {
            return None;
        }
        // A host's own variables, not those of the task that asks.
        let task = Arc::new(TaskLayers { search: self.scope.task.search.clone(), ..TaskLayers::default() });
        let scope = TaskScope::new(self.scope.run.clone(), self.scope.play.clone(), task, key.into());
        Some(Var::Lazy(Arc::new(VarsView { scope, of_host: true })))
    }

    fn keys(&self) -> Vec<Arc<str>> {
        self.scope.run.hosts.hosts()
    }
}

/// `vars`, or one member of `hostvars`.
struct VarsView {
    scope: TaskScope,
    of_host: bool,
}

impl LazyMap for VarsView {
    fn get(&self, key: &str) -> Option<Var> {
        match key {
            "vars" => None,
            key => Scope::get(&self.scope, key),
        }
    }

    fn keys(&self) -> Vec<Arc<str>> {
        self.scope.names().into_iter().filter(|n| &**n != "hostvars").collect()
    }

    fn scope(&self) -> Option<Arc<dyn Scope>> {
        Some(self.scope.boxed())
    }

    fn host_alone(&self) -> Option<Arc<dyn Scope>> {
        let (run, task) = (self.scope.run.clone(), self.scope.task.clone());
        self.of_host.then(|| TaskScope::new(run, Arc::default(), task, self.scope.host.clone()).boxed())
    }
}

/// Makes a layer of plain values.
pub fn plain_layer(values: &Map) -> VarMap {
    Arc::new(
        values.iter().filter_map(|(k, v)| Some((Arc::from(k.as_str()?), Tree::value(v.clone())))).collect(),
    )
}
