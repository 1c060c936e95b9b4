//! The graph of groups and hosts.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;

use super::Source;
use super::load::LoadOptions;
use crate::diag::{Diagnostic, Span};
use crate::template::{Tree, VarMap, merged};
use crate::value::Value;

/// A host of one [`Inventory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(pub(super) u32);

/// A group of one [`Inventory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub(super) u32);

/// One host.
#[derive(Clone, Debug)]
pub struct Host {
    pub name: Arc<str>,
    /// Its own variables from the sources; not those of its groups.
    pub vars: VarMap,
    /// The groups that name it; not their ancestors.
    pub groups: Vec<GroupId>,
    /// The first source that named it (`inventory_file`).
    pub source: Option<Arc<Path>>,
    /// A `localhost` that no source names.
    pub implicit: bool,
}

/// One group.
#[derive(Clone, Debug)]
pub struct Group {
    pub name: Arc<str>,
    pub children: Vec<GroupId>,
    pub parents: Vec<GroupId>,
    /// The hosts that it names itself.
    pub hosts: Vec<HostId>,
    pub vars: VarMap,
    /// `ansible_group_priority`; among groups of one depth the larger wins.
    pub priority: i64,
    /// The longest way down from `all`.
    pub depth: u32,
}

/// Hosts and groups. A clone is cheap enough for copy-on-write: variables are shared.
#[derive(Clone, Debug)]
pub struct Inventory {
    pub(super) hosts: IndexMap<Arc<str>, Host>,
    pub(super) groups: IndexMap<Arc<str>, Group>,
    /// The first host called `localhost`, `127.0.0.1` or `::1`.
    localhost: Option<HostId>,
    implicit: [Arc<Host>; 3],
    /// As given, in order.
    pub sources: Vec<Source>,
    /// How they were read.
    pub options: LoadOptions,
    members: Members,
}

/// Hosts of groups with those of their children, made when asked for.
#[derive(Debug, Default)]
struct Members(Mutex<HashMap<GroupId, Arc<[HostId]>>>);

impl Clone for Members {
    fn clone(&self) -> Self {
        Members::default()
    }
}

const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const IMPLICIT: u32 = u32::MAX - 2;

/// The group of all hosts.
pub(super) const ALL: GroupId = GroupId(0);
/// The group of hosts that are in no other.
pub(super) const UNGROUPED: GroupId = GroupId(1);

impl Default for Inventory {
    fn default() -> Self {
        Inventory::new()
    }
}

impl Inventory {
    /// Gives the implicit localhost a variable.
    pub fn set_implicit_var(&mut self, name: &str, value: Value) {
        for host in &mut self.implicit {
            let host = Arc::make_mut(host);
            Arc::make_mut(&mut host.vars).insert(Arc::from(name), Tree::value(value.clone()));
        }
    }

    /// An inventory with `all`, `ungrouped` and the implicit localhost only.
    pub fn new() -> Self {
        let implicit = LOCAL.map(|name| {
            let vars =
                [("ansible_connection", "local")].into_iter().map(|(k, v)| (Arc::from(k), Tree::value(v)));
            Arc::new(Host {
                name: name.into(),
                vars: Arc::new(vars.collect()),
                groups: Vec::new(),
                source: None,
                implicit: true,
            })
        });
        let mut inventory = Inventory {
            hosts: IndexMap::new(),
            groups: IndexMap::new(),
            localhost: None,
            implicit,
            sources: Vec::new(),
            options: LoadOptions::default(),
            members: Members::default(),
        };
        inventory.add_group("all");
        inventory.add_group("ungrouped");
        inventory.link(ALL, UNGROUPED);
        inventory.reconcile();
        inventory
    }

    pub fn host(&self, id: HostId) -> &Host {
        if id.0 >= IMPLICIT {
            return &self.implicit[(id.0 - IMPLICIT) as usize];
        }
        // Ids are handed out by this inventory and hosts are never removed.
        &self.hosts[id.0 as usize]
    }

    pub fn group(&self, id: GroupId) -> &Group {
        &self.groups[id.0 as usize]
    }

    /// Returns all hosts of the sources, in the order in which they were named.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = (HostId, &Host)> {
        self.hosts.values().enumerate().map(|(i, host)| (HostId(index(i)), host))
    }

    /// Returns all groups, in the order in which they were named; `all` and `ungrouped` come first.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = (GroupId, &Group)> {
        self.groups.values().enumerate().map(|(i, group)| (GroupId(index(i)), group))
    }

    /// Finds a host by name. `localhost` and its addresses are always found.
    pub fn find_host(&self, name: &str) -> Option<HostId> {
        if let Some(i) = self.hosts.get_index_of(name) {
            return Some(HostId(index(i)));
        }
        let local = LOCAL.iter().position(|l| *l == name)?;
        self.localhost.or(Some(HostId(IMPLICIT + index(local))))
    }

    pub fn find_group(&self, name: &str) -> Option<GroupId> {
        self.groups.get_index_of(name).map(|i| GroupId(index(i)))
    }

    /// Returns the groups of a host with all their ancestors, in the order in which their variables apply: by depth,
    /// priority, name. `all` is first, for the implicit localhost too.
    pub fn host_groups(&self, host: HostId) -> Vec<GroupId> {
        let mut found: HashSet<GroupId> = HashSet::from([ALL]);
        let mut open: Vec<GroupId> = self.host(host).groups.clone();
        while let Some(group) = open.pop() {
            if found.insert(group) {
                open.extend(&self.group(group).parents);
            }
        }
        let mut groups: Vec<GroupId> = found.into_iter().collect();
        groups.sort_by(|a, b| {
            let key = |id: &GroupId| {
                let g = self.group(*id);
                (g.depth, g.priority, g.name.clone())
            };
            key(a).cmp(&key(b))
        });
        groups
    }

    /// Returns the sorted names of a host's groups without `all`: the variable `group_names`.
    pub fn group_names(&self, host: HostId) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self
            .host_groups(host)
            .into_iter()
            .filter(|g| *g != ALL)
            .map(|g| self.group(g).name.clone())
            .collect();
        names.sort();
        names
    }

    /// Returns the hosts of a group and of the groups below it.
    pub fn group_hosts(&self, group: GroupId) -> Arc<[HostId]> {
        let mut members = self.members.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = members.get(&group) {
            return known.clone();
        }
        let mut seen: HashSet<HostId> = HashSet::new();
        let mut hosts = Vec::new();
        for id in self.descendants(group) {
            hosts.extend(self.group(id).hosts.iter().copied().filter(|h| seen.insert(*h)));
        }
        let hosts: Arc<[HostId]> = hosts.into();
        members.insert(group, hosts.clone());
        hosts
    }

    /// The group and all below it, level by level.
    fn descendants(&self, group: GroupId) -> Vec<GroupId> {
        let mut order = vec![group];
        let mut seen: HashSet<GroupId> = HashSet::from([group]);
        let mut next = 0;
        while let Some(id) = order.get(next).copied() {
            next += 1;
            for child in &self.group(id).children {
                if seen.insert(*child) {
                    order.push(*child);
                }
            }
        }
        order
    }

    /// The directories beside which `host_vars` and `group_vars` are looked for, in the order of the sources.
    pub fn source_dirs(&self) -> Vec<PathBuf> {
        self.sources.iter().filter_map(Source::dir).collect()
    }

    /// Adds a host while running (`add_host`), with its groups, which are made when they do not exist; variables are
    /// added to those it has. Returns its id and whether anything changed.
    pub fn add_dynamic_host(&mut self, name: &str, groups: &[&str], vars: &VarMap) -> (HostId, bool) {
        let mut changed = false;
        let known = self.hosts.contains_key(name);
        let id = self.add_host(name, None);
        changed |= !known;
        if !known {
            self.join(id, ALL);
        }
        for group in groups {
            changed |= self.find_group(group).is_none();
            let group = self.add_group(group);
            changed |= self.join(id, group);
        }
        let own = Arc::make_mut(&mut self.hosts[id.0 as usize].vars);
        for (key, tree) in vars.iter() {
            let same = own.get(key).is_some_and(|old| match (old.as_value(), tree.as_value()) {
                (Some(a), Some(b)) => a == b,
                _ => false,
            });
            if !same {
                changed = true;
                own.insert(key.clone(), tree.clone());
            }
        }
        self.reconcile();
        (id, changed)
    }

    /// Puts a host into a group while running (`group_by`); the group and its parents are made when they do not
    /// exist. Returns whether anything changed.
    pub fn add_dynamic_group(
        &mut self,
        host: HostId,
        group: &str,
        parents: &[&str],
    ) -> Result<bool, Diagnostic> {
        let mut changed = self.find_group(group).is_none();
        let id = self.add_group(group);
        for parent in parents {
            changed |= self.find_group(parent).is_none();
            let parent = self.add_group(parent);
            changed |= self.add_child(parent, id, None)?;
        }
        if host.0 < IMPLICIT {
            changed |= self.join(host, id);
        }
        self.reconcile();
        Ok(changed)
    }

    pub(super) fn add_group(&mut self, name: &str) -> GroupId {
        if let Some(id) = self.find_group(name) {
            return id;
        }
        let group = Group {
            name: name.into(),
            children: Vec::new(),
            parents: Vec::new(),
            hosts: Vec::new(),
            vars: VarMap::default(),
            priority: 1,
            depth: 0,
        };
        let (i, _) = self.groups.insert_full(group.name.clone(), group);
        GroupId(index(i))
    }

    pub(super) fn add_host(&mut self, name: &str, source: Option<&Arc<Path>>) -> HostId {
        if let Some(i) = self.hosts.get_index_of(name) {
            return HostId(index(i));
        }
        let host = Host {
            name: name.into(),
            vars: VarMap::default(),
            groups: Vec::new(),
            source: source.cloned(),
            implicit: false,
        };
        let (i, _) = self.hosts.insert_full(host.name.clone(), host);
        let id = HostId(index(i));
        if self.localhost.is_none() && LOCAL.contains(&name) {
            self.localhost = Some(id);
        }
        id
    }

    /// Puts a host into a group. Returns whether it was not there.
    pub(super) fn join(&mut self, host: HostId, group: GroupId) -> bool {
        let groups = &mut self.hosts[host.0 as usize].groups;
        if groups.contains(&group) {
            return false;
        }
        groups.push(group);
        self.groups[group.0 as usize].hosts.push(host);
        true
    }

    /// Makes a group the child of another; a circle is an error.
    pub(super) fn add_child(
        &mut self,
        parent: GroupId,
        child: GroupId,
        span: Option<Span>,
    ) -> Result<bool, Diagnostic> {
        if self.group(parent).children.contains(&child) {
            return Ok(false);
        }
        if parent == child || child == ALL || self.descendants(child).contains(&parent) {
            let (parent, child) = (&self.group(parent).name, &self.group(child).name);
            let (message, label) = if parent == child {
                (format!("the group `{child}` cannot be its own child"), "the group itself".to_owned())
            } else if &**child == "all" {
                (format!("the group `all` cannot be a child of `{parent}`"), "it holds all groups".to_owned())
            } else {
                let label = format!("`{child}` is already above `{parent}`");
                (format!("the groups `{parent}` and `{child}` contain each other"), label)
            };
            let mut diagnostic = Diagnostic::error("XP0507", message);
            if let Some(span) = span {
                diagnostic = diagnostic.at(span, label);
            }
            return Err(diagnostic);
        }
        self.link(parent, child);
        Ok(true)
    }

    fn link(&mut self, parent: GroupId, child: GroupId) {
        self.groups[parent.0 as usize].children.push(child);
        self.groups[child.0 as usize].parents.push(parent);
    }

    pub(super) fn set_host_var(&mut self, host: HostId, name: Arc<str>, value: Tree) {
        let merge = self.options.merge_dicts;
        set(Arc::make_mut(&mut self.hosts[host.0 as usize].vars), name, value, merge);
    }

    /// Sets a variable of a group; the priority is one that is no variable.
    pub(super) fn set_group_var(&mut self, group: GroupId, name: Arc<str>, value: Tree) {
        let merge = self.options.merge_dicts;
        let group = &mut self.groups[group.0 as usize];
        if &*name == "ansible_group_priority" {
            let number = value.as_value().and_then(|v| match v {
                Value::Str(text) => text.trim().parse().ok(),
                other => other.as_int().and_then(|i| i64::try_from(i).ok()),
            });
            group.priority = number.unwrap_or(group.priority);
            return;
        }
        set(Arc::make_mut(&mut group.vars), name, value, merge);
    }

    /// Restores the rules that hold for every inventory: all groups below `all`, `ungrouped` right, depths right.
    pub(super) fn reconcile(&mut self) {
        self.members = Members::default();
        for i in 1..self.groups.len() {
            let id = GroupId(index(i));
            if self.group(id).parents.is_empty() {
                self.link(ALL, id);
            }
        }
        let mut left: HashSet<HostId> = HashSet::new();
        let mut lonely: Vec<HostId> = Vec::new();
        for (i, host) in self.hosts.values_mut().enumerate() {
            let id = HostId(index(i));
            let grouped = host.groups.iter().any(|g| *g != ALL && *g != UNGROUPED);
            let ungrouped = host.groups.contains(&UNGROUPED);
            if grouped && ungrouped {
                host.groups.retain(|g| *g != UNGROUPED);
                left.insert(id);
            } else if !grouped && !ungrouped {
                lonely.push(id);
            }
        }
        if !left.is_empty() {
            self.groups[UNGROUPED.0 as usize].hosts.retain(|h| !left.contains(h));
        }
        for host in lonely {
            self.join(host, UNGROUPED);
        }
        self.compute_depths();
    }

    /// The longest way from `all`, by removing groups whose parents are all done.
    fn compute_depths(&mut self) {
        let mut waiting: Vec<usize> = self.groups.values().map(|g| g.parents.len()).collect();
        let mut ready: Vec<GroupId> = vec![ALL];
        for group in self.groups.values_mut() {
            group.depth = 0;
        }
        while let Some(id) = ready.pop() {
            let (depth, children) = (self.group(id).depth, self.group(id).children.clone());
            for child in children {
                let i = child.0 as usize;
                self.groups[i].depth = self.groups[i].depth.max(depth + 1);
                waiting[i] = waiting[i].saturating_sub(1);
                if waiting[i] == 0 {
                    ready.push(child);
                }
            }
        }
    }
}

/// Positions in an inventory fit into 32 bits: names alone would fill the memory before.
/// Sets a variable; a dict may become part of the one that is there.
fn set(vars: &mut IndexMap<Arc<str>, Tree>, name: Arc<str>, value: Tree, merge: bool) {
    let value = match vars.get(&name).filter(|_| merge) {
        Some(earlier) => merged(value.clone(), vec![value, earlier.clone()]),
        None => value,
    };
    vars.insert(name, value);
}

fn index(i: usize) -> u32 {
    u32::try_from(i).unwrap_or(IMPLICIT - 1)
}
