//! What tasks leave behind on each host: facts, registered results, `set_fact`, `include_vars`.

use std::collections::HashMap;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use indexmap::IndexMap;

use super::magic;
use crate::template::VarMap;
use crate::value::{Map, Value};

/// The variables of one host that change during a run.
#[derive(Default)]
pub struct HostVars {
    /// `set_fact` and `register`.
    pub registered: IndexMap<Arc<str>, Value>,
    /// `include_vars`, oldest first.
    pub include_vars: Vec<VarMap>,
    /// The play's `vars_files` as resolved for this host, in order.
    pub vars_files: Vec<VarMap>,
    /// Facts without the prefix `ansible_`, as in `ansible_facts`.
    facts: Arc<Map>,
    /// Facts under the names under which they came.
    given: Map,
    /// Facts under the names that they have as variables.
    injected: IndexMap<Arc<str>, Value>,
}

/// The changing variables of all hosts. Shared; each access locks one host for an instant.
#[derive(Clone, Default)]
pub struct Store(Arc<RwLock<Hosts>>);

type Hosts = HashMap<Arc<str>, Arc<RwLock<HostVars>>>;

impl Store {
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a host's variables.
    pub fn read<T>(&self, host: &str, read: impl FnOnce(&HostVars) -> T) -> T {
        let known = self.map().get(host).cloned();
        match known {
            Some(vars) => read(&read_lock(&vars)),
            None => read(&HostVars::default()),
        }
    }

    /// Changes a host's variables.
    pub fn write<T>(&self, host: &Arc<str>, write: impl FnOnce(&mut HostVars) -> T) -> T {
        let known = self.map().get(host).cloned();
        let vars = known.unwrap_or_else(|| {
            let mut hosts = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            hosts.entry(host.clone()).or_default().clone()
        });
        write(&mut write_lock(&vars))
    }

    fn map(&self) -> RwLockReadGuard<'_, Hosts> {
        read_lock(&self.0)
    }
}

fn read_lock<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write_lock<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl HostVars {
    pub fn set(&mut self, name: impl Into<Arc<str>>, value: Value) {
        self.registered.insert(name.into(), value);
    }

    /// Adds facts as a module returned them, with or without the prefix. Facts cannot set how a host is reached or
    /// who a task becomes, nor stand for magic variables: such names stay inside `ansible_facts`.
    pub fn add_facts(&mut self, given: &Map) {
        self.given.extend(given.clone());
        let facts = Arc::make_mut(&mut self.facts);
        for (key, value) in given {
            let Some(name) = key.as_str() else { continue };
            facts.insert(name.strip_prefix("ansible_").unwrap_or(name), value.clone());
            if !magic::is_protected(name) {
                self.injected.insert(name.into(), value.clone());
            }
        }
    }

    pub fn clear_facts(&mut self) {
        self.facts = Arc::default();
        self.given = Map::new();
        self.injected.clear();
    }

    /// Returns `ansible_facts`.
    pub fn facts(&self) -> &Arc<Map> {
        &self.facts
    }

    /// Returns all facts under the names under which they came.
    pub fn given_facts(&self) -> &Map {
        &self.given
    }

    /// Returns a fact under its variable name, such as `ansible_distribution`.
    pub fn injected(&self, name: &str) -> Option<&Value> {
        self.injected.get(name)
    }

    pub fn injected_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.injected.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_cannot_choose_the_connection() {
        let mut vars = HostVars::default();
        vars.add_facts(&Map::from_iter([
            ("ansible_distribution", Value::str("RedHat")),
            ("ansible_host", Value::str("evil")),
            ("ansible_become_password", Value::str("x")),
            ("hostvars", Value::str("x")),
        ]));
        assert_eq!(vars.injected("ansible_distribution"), Some(&Value::str("RedHat")));
        for name in ["ansible_host", "ansible_become_password", "hostvars"] {
            assert_eq!(vars.injected(name), None, "{name}");
        }
        assert_eq!(vars.facts().get("host"), Some(&Value::str("evil")));
    }
}
