//! What `xplay inventory` prints: JSON and graph as `ansible-inventory` prints them.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::model::{ALL, GroupId, HostId, Inventory};
use super::vars_files::VarFiles;
use crate::diag::Diagnostic;
use crate::template::VarMap;
use crate::value::{JsonStyle, Map, Value, to_python_json};

/// Options of the listing.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListOptions<'a> {
    /// The directory whose `group_vars` and `host_vars` count besides those of the sources (`--playbook-dir`).
    pub playbook_dir: Option<&'a Path>,
    /// Only these hosts.
    pub hosts: Option<&'a [HostId]>,
    /// Variables stay with their groups (`--export`).
    pub export: bool,
    /// Show variables in the graph (`--vars`).
    pub vars: bool,
    /// Name the form of values in `_meta`, as ansible-core does since 2.19.
    pub profile: bool,
}

/// Returns the whole inventory as `ansible-inventory --list` prints it, without a newline at the end.
pub fn list_json(
    inventory: &Inventory,
    files: &VarFiles,
    options: ListOptions<'_>,
) -> Result<String, Vec<Diagnostic>> {
    let available: HashSet<HostId> = match options.hosts {
        Some(hosts) => hosts.iter().copied().collect(),
        None => inventory.group_hosts(ALL).iter().copied().collect(),
    };
    let mut top: BTreeMap<Arc<str>, Value> = BTreeMap::new();
    let mut open = vec![ALL];
    let mut seen: HashSet<GroupId> = HashSet::from([ALL]);
    while let Some(id) = open.pop() {
        let group = inventory.group(id);
        let mut entry = Map::new();
        let hosts: Vec<Value> = group
            .hosts
            .iter()
            .filter(|h| id != ALL && available.contains(h))
            .map(|h| inventory.host(*h).name.clone().into())
            .collect();
        if !hosts.is_empty() {
            entry.insert("hosts", Value::list(hosts));
        }
        let children: Vec<Value> =
            group.children.iter().map(|c| inventory.group(*c).name.clone().into()).collect();
        if !children.is_empty() {
            entry.insert("children", Value::list(children));
        }
        if options.export {
            let vars = group_variables(inventory, id, files, options.playbook_dir)?;
            if !vars.is_empty() {
                entry.insert("vars", Value::map(vars));
            }
        }
        if !entry.is_empty() {
            top.insert(group.name.clone(), entry.into());
        }
        open.extend(group.children.iter().copied().filter(|c| seen.insert(*c)));
    }
    let mut hostvars = Map::new();
    for id in inventory.group_hosts(ALL).iter().filter(|h| available.contains(h)) {
        let vars = host_variables(inventory, *id, files, options)?;
        if !vars.is_empty() {
            hostvars.insert(inventory.host(*id).name.clone(), Value::map(vars));
        }
    }
    let mut meta = Map::from_iter([("hostvars", Value::map(hostvars))]);
    if options.profile {
        meta.insert("profile", "inventory_legacy");
    }
    top.insert("_meta".into(), meta.into());
    Ok(python_json(&Value::map(top.into_iter().collect())))
}

/// Returns the inventory as groups inside one another, which is how YAML and TOML sources are written.
pub fn list_nested(
    inventory: &Inventory,
    files: &VarFiles,
    options: ListOptions<'_>,
) -> Result<Value, Vec<Diagnostic>> {
    let mut nesting = Nesting::new(inventory, files, options);
    let all = nesting.group(ALL)?;
    Ok(Value::map(if all.is_empty() { Map::new() } else { Map::from_iter([("all", Value::map(all))]) }))
}

/// Returns the inventory as groups beside one another, which is how TOML sources are written.
pub fn list_flat(
    inventory: &Inventory,
    files: &VarFiles,
    options: ListOptions<'_>,
) -> Result<Map, Vec<Diagnostic>> {
    let mut nesting = Nesting::new(inventory, files, options);
    let mut out = Map::new();
    nesting.beside(ALL, &mut out)?;
    Ok(out)
}

/// One walk over the groups; a host's variables stand where it comes up first.
struct Nesting<'a> {
    inventory: &'a Inventory,
    files: &'a VarFiles,
    options: ListOptions<'a>,
    available: HashSet<HostId>,
    shown: HashSet<HostId>,
    walked: HashSet<GroupId>,
}

impl<'a> Nesting<'a> {
    fn new(inventory: &'a Inventory, files: &'a VarFiles, options: ListOptions<'a>) -> Self {
        let available = match options.hosts {
            Some(hosts) => hosts.iter().copied().collect(),
            None => inventory.group_hosts(ALL).iter().copied().collect(),
        };
        Nesting { inventory, files, options, available, shown: HashSet::new(), walked: HashSet::new() }
    }

    fn group(&mut self, id: GroupId) -> Result<Map, Vec<Diagnostic>> {
        let inventory = self.inventory;
        let group = inventory.group(id);
        let mut entry = Map::new();
        let mut children = Map::new();
        for child in &group.children {
            // What is in a group stands where it comes up first; one that has nothing in it is left out there.
            let again = self.walked.contains(child);
            let inner = if again { Map::new() } else { self.group(*child)? };
            self.walked.insert(*child);
            if again || !inner.is_empty() {
                children.insert(inventory.group(*child).name.clone(), Value::map(inner));
            }
        }
        if !children.is_empty() {
            entry.insert("children", Value::map(children));
        }
        self.hosts_and_vars(id, &mut entry)?;
        Ok(entry)
    }

    /// Adds a group and all below it, each once.
    fn beside(&mut self, id: GroupId, out: &mut Map) -> Result<(), Vec<Diagnostic>> {
        let inventory = self.inventory;
        let group = inventory.group(id);
        let shown = |child: &&GroupId| {
            let child = inventory.group(**child);
            &*child.name != "ungrouped" || !child.hosts.is_empty()
        };
        let children: Vec<GroupId> = group.children.iter().filter(shown).copied().collect();
        let mut entry = Map::new();
        let names: Vec<Value> =
            children.iter().map(|child| inventory.group(*child).name.clone().into()).collect();
        if id != ALL && !names.is_empty() {
            entry.insert("children", Value::list(names));
        }
        // The place in the order comes first, the variables of hosts where they come up first: below.
        out.insert(group.name.clone(), Value::Null);
        for child in children {
            if self.walked.insert(child) {
                self.beside(child, out)?;
            }
        }
        self.hosts_and_vars(id, &mut entry)?;
        if entry.is_empty() {
            out.remove(&group.name);
        } else {
            out.insert(group.name.clone(), Value::map(entry));
        }
        Ok(())
    }

    fn hosts_and_vars(&mut self, id: GroupId, entry: &mut Map) -> Result<(), Vec<Diagnostic>> {
        let inventory = self.inventory;
        let mut hosts = Map::new();
        for host in inventory.group(id).hosts.iter().filter(|h| id != ALL && self.available.contains(h)) {
            let first = self.shown.insert(*host);
            let vars =
                if first { host_variables(inventory, *host, self.files, self.options)? } else { Map::new() };
            hosts.insert(inventory.host(*host).name.clone(), Value::map(vars));
        }
        if !hosts.is_empty() {
            entry.insert("hosts", Value::map(hosts));
        }
        if self.options.export {
            let vars = group_variables(inventory, id, self.files, self.options.playbook_dir)?;
            if !vars.is_empty() {
                entry.insert("vars", Value::map(vars));
            }
        }
        Ok(())
    }
}

/// Returns one host's variables, in no form yet.
pub fn host_values(
    inventory: &Inventory,
    host: HostId,
    files: &VarFiles,
    options: ListOptions<'_>,
) -> Result<Map, Vec<Diagnostic>> {
    host_variables(inventory, host, files, options)
}

/// Returns the tree of groups below one group as `ansible-inventory --graph` prints it.
pub fn graph_text(
    inventory: &Inventory,
    top: GroupId,
    files: &VarFiles,
    options: ListOptions<'_>,
) -> Result<String, Vec<Diagnostic>> {
    let mut lines = Vec::new();
    graph_group(inventory, top, files, options, 0, &mut lines)?;
    Ok(lines.join("\n"))
}

fn graph_group(
    inventory: &Inventory,
    id: GroupId,
    files: &VarFiles,
    options: ListOptions<'_>,
    depth: usize,
    lines: &mut Vec<String>,
) -> Result<(), Vec<Diagnostic>> {
    let group = inventory.group(id);
    lines.push(graph_line(&format!("@{}:", group.name), depth));
    for child in &group.children {
        graph_group(inventory, *child, files, options, depth + 1, lines)?;
    }
    if id != ALL {
        for host in &group.hosts {
            lines.push(graph_line(&inventory.host(*host).name, depth + 1));
            if options.vars {
                graph_vars(&host_variables(inventory, *host, files, options)?, depth + 2, lines);
            }
        }
    }
    if options.vars {
        graph_vars(&group_variables(inventory, id, files, options.playbook_dir)?, depth + 1, lines);
    }
    Ok(())
}

fn graph_vars(vars: &Map, depth: usize, lines: &mut Vec<String>) {
    let mut sorted: Vec<(Arc<str>, String)> =
        vars.iter().map(|(k, v)| (k.json_name(), v.to_text())).collect();
    sorted.sort();
    lines.extend(sorted.into_iter().map(|(name, value)| graph_line(&format!("{{{name} = {value}}}"), depth)));
}

fn graph_line(name: &str, depth: usize) -> String {
    if depth == 0 { name.to_owned() } else { format!("{}--{name}", "  |".repeat(depth)) }
}

/// Variables of a host: with those of its groups, or its own for an export.
fn host_variables(
    inventory: &Inventory,
    host: HostId,
    files: &VarFiles,
    options: ListOptions<'_>,
) -> Result<Map, Vec<Diagnostic>> {
    let mut vars = Map::new();
    if !options.export {
        for layer in inventory.layers(host, files, options.playbook_dir)? {
            add(&mut vars, &layer.vars);
        }
        return Ok(vars);
    }
    let host = inventory.host(host);
    add(&mut vars, &host.vars);
    for dir in inventory.source_dirs().iter().map(std::path::PathBuf::as_path).chain(options.playbook_dir) {
        for (_, layer) in files.host(dir, &host.name)?.iter() {
            add(&mut vars, layer);
        }
    }
    Ok(vars)
}

fn group_variables(
    inventory: &Inventory,
    id: GroupId,
    files: &VarFiles,
    playbook_dir: Option<&Path>,
) -> Result<Map, Vec<Diagnostic>> {
    let group = inventory.group(id);
    let mut vars = Map::new();
    add(&mut vars, &group.vars);
    for dir in inventory.source_dirs().iter().map(std::path::PathBuf::as_path).chain(playbook_dir) {
        for (_, layer) in files.group(dir, &group.name)?.iter() {
            add(&mut vars, layer);
        }
    }
    if group.priority != 1 {
        vars.insert("ansible_group_priority", group.priority);
    }
    Ok(vars)
}

fn add(vars: &mut Map, layer: &VarMap) {
    for (name, tree) in layer.iter() {
        vars.insert(name.clone(), tree.written());
    }
}

/// Returns JSON as Python writes it with sorted keys and an indentation of 4.
pub fn python_json(value: &Value) -> String {
    to_python_json(value, JsonStyle { indent: Some(4), sort_keys: true, ascii: false })
}
