//! The inventory while a run uses it: hosts may be added, and a host's variable layers are found once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::play::Host;
use crate::diag::{Diagnostic, SourceMap, Span};
use crate::inventory::{self, HostId, Inventory, LoadOptions, Order, Source, VarFiles, read_limit};
use crate::template::{Templar, VarMap};
use crate::value::{Map, Value};
use crate::vars::{HostSource, plain_layer};

/// Shared by the dispatcher and all scopes.
pub struct LiveInventory {
    inventory: RwLock<Inventory>,
    files: VarFiles,
    /// `host_vars` and `group_vars` are looked for beside the playbook too.
    playbook_dir: RwLock<Option<PathBuf>>,
    layers: RwLock<HashMap<Arc<str>, Arc<Vec<VarMap>>>>,
    groups: RwLock<Option<Value>>,
    templar: Templar,
    sources: SourceMap,
    /// What was added while running, to be added again to inventories that are read anew.
    added: RwLock<Vec<Addition>>,
}

/// One `add_host` or `group_by`.
enum Addition {
    Host { name: String, groups: Vec<String>, vars: VarMap },
    Group { name: String, parents: Vec<String>, hosts: Vec<Host> },
}

/// What a play's pattern selected.
pub struct Selected {
    pub hosts: Vec<Host>,
    pub warnings: Vec<Diagnostic>,
}

impl LiveInventory {
    pub fn new(inventory: Inventory, templar: Templar, sources: SourceMap) -> Self {
        LiveInventory {
            inventory: RwLock::new(inventory),
            files: VarFiles::new(templar.clone(), sources.clone()),
            templar,
            sources,
            added: RwLock::default(),
            playbook_dir: RwLock::default(),
            layers: RwLock::default(),
            groups: RwLock::default(),
        }
    }

    /// The playbook whose plays run from now on.
    pub fn set_playbook_dir(&self, dir: &Path) {
        *write(&self.playbook_dir) = Some(dir.to_owned());
        write(&self.layers).clear();
    }

    /// Selects a play's hosts, and reads their variable files, so that mistakes in these show before anything runs.
    pub fn select(
        &self,
        pattern: &str,
        limit: Option<&str>,
        order: Option<&str>,
        span: Option<Span>,
    ) -> Result<Selected, Vec<Diagnostic>> {
        let at = |d: Diagnostic| vec![span.map_or(d.clone(), |s| d.at(s, "the hosts of this play"))];
        let inventory = read(&self.inventory);
        let mut matched = inventory.matching(pattern).map_err(at)?;
        if let Some(limit) = limit {
            let patterns = read_limit(limit).map_err(|d| vec![d])?;
            let allowed = inventory.matching_all(&patterns).map_err(|d| vec![d])?;
            matched.hosts.retain(|h| allowed.hosts.contains(h));
            matched.warnings.extend(allowed.warnings);
        }
        let order = match order {
            None => Order::Inventory,
            Some(text) => Order::parse(text).ok_or_else(|| {
                let words = ["inventory", "reverse_inventory", "sorted", "reverse_sorted", "shuffle"];
                at(Diagnostic::error("XP0504", format!("\"{text}\" is no order of hosts"))
                    .suggest(text, words))
            })?,
        };
        let ids = inventory.ordered(matched.hosts, order);
        for id in &ids {
            self.find_layers(&inventory, *id)?;
        }
        let hosts = ids.into_iter().map(|id| inventory.host(id).name.clone()).collect();
        Ok(Selected { hosts, warnings: matched.warnings })
    }

    /// `meta: refresh_inventory`: reads the sources again. Returns warnings.
    pub fn refresh(&self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let (given, options) = {
            let known = read(&self.inventory);
            (known.sources.clone(), LoadOptions { missing_is_error: false, ..known.options.clone() })
        };
        let (fresh, warnings) = inventory::load(&given, &self.templar, &self.sources, &options)?;
        *write(&self.inventory) = fresh;
        for addition in read(&self.added).iter() {
            match addition {
                Addition::Host { name, groups, vars } => {
                    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
                    write(&self.inventory).add_dynamic_host(name, &groups, vars);
                }
                Addition::Group { name, parents, hosts } => {
                    self.join(name, parents, hosts).map_err(|d| vec![d])?;
                }
            }
        }
        self.forget();
        Ok(warnings)
    }

    /// `add_host`. Returns whether anything changed.
    pub fn add_host(&self, name: &str, groups: &[String], vars: &Map) -> bool {
        let layer = plain_layer(vars);
        let names: Vec<&str> = groups.iter().map(String::as_str).collect();
        let (_, changed) = write(&self.inventory).add_dynamic_host(name, &names, &layer);
        let (name, groups) = (name.to_string(), groups.to_vec());
        write(&self.added).push(Addition::Host { name, groups, vars: layer });
        self.forget();
        changed
    }

    /// `group_by`. Returns whether anything changed.
    pub fn add_group(&self, group: &str, parents: &[String], hosts: &[Host]) -> Result<bool, Diagnostic> {
        let changed = self.join(group, parents, hosts)?;
        let (name, parents, hosts) = (group.to_string(), parents.to_vec(), hosts.to_vec());
        write(&self.added).push(Addition::Group { name, parents, hosts });
        self.forget();
        Ok(changed)
    }

    fn join(&self, group: &str, parents: &[String], hosts: &[Host]) -> Result<bool, Diagnostic> {
        let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
        let mut changed = false;
        {
            let mut inventory = write(&self.inventory);
            for host in hosts {
                if let Some(id) = inventory.find_host(host) {
                    changed |= inventory.add_dynamic_group(id, group, &parents)?;
                }
            }
        }
        Ok(changed)
    }

    pub fn source_names(&self) -> Vec<String> {
        let names = |s: &Source| match s {
            Source::Path(path) => path.display().to_string(),
            Source::List(text) => text.clone(),
        };
        read(&self.inventory).sources.iter().map(names).collect()
    }

    fn forget(&self) {
        write(&self.layers).clear();
        *write(&self.groups) = None;
    }

    fn find_layers(&self, inventory: &Inventory, id: HostId) -> Result<Arc<Vec<VarMap>>, Vec<Diagnostic>> {
        let name = &inventory.host(id).name;
        if let Some(known) = read(&self.layers).get(name) {
            return Ok(known.clone());
        }
        let playbook_dir = read(&self.playbook_dir).clone();
        let found = inventory.layers(id, &self.files, playbook_dir.as_deref())?;
        let layers: Arc<Vec<VarMap>> = Arc::new(found.into_iter().rev().map(|l| l.vars).collect());
        write(&self.layers).insert(name.clone(), layers.clone());
        Ok(layers)
    }
}

impl HostSource for LiveInventory {
    fn hosts(&self) -> Vec<Arc<str>> {
        read(&self.inventory).hosts().map(|(_, host)| host.name.clone()).collect()
    }

    fn contains(&self, host: &str) -> bool {
        read(&self.inventory).find_host(host).is_some()
    }

    fn layers(&self, host: &str) -> Arc<Vec<VarMap>> {
        let inventory = read(&self.inventory);
        // Files of a play's hosts were read when it selected them; those of others count as far as they can be read.
        inventory.find_host(host).and_then(|id| self.find_layers(&inventory, id).ok()).unwrap_or_default()
    }

    fn file(&self, host: &str) -> Option<PathBuf> {
        let inventory = read(&self.inventory);
        let id = inventory.find_host(host)?;
        inventory.host(id).source.as_deref().map(Path::to_owned)
    }

    fn groups(&self) -> Value {
        if let Some(known) = &*read(&self.groups) {
            return known.clone();
        }
        let inventory = read(&self.inventory);
        let groups: Map = inventory
            .groups()
            .map(|(id, group)| {
                let hosts = inventory.group_hosts(id);
                let names: Vec<Value> =
                    hosts.iter().map(|h| Value::str(inventory.host(*h).name.clone())).collect();
                (group.name.clone(), Value::list(names))
            })
            .collect();
        let value = Value::map(groups);
        *write(&self.groups) = Some(value.clone());
        value
    }

    fn group_names(&self, host: &str) -> Value {
        let inventory = read(&self.inventory);
        let names = inventory.find_host(host).map(|id| inventory.group_names(id)).unwrap_or_default();
        Value::list(names.into_iter().map(Value::from).collect())
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
