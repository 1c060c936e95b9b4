//! The variable layers of a task: the same on all hosts, so they are made once.

use crate::playbook::{Play, Role, Task};
use crate::template::{SearchPath, VarMap};
use crate::value::{Map, Value};
use crate::vars::TaskLayers;

/// Returns the layers of a task, strongest first.
pub fn of_task(task: &Task, play: &Play) -> TaskLayers {
    let strongest_first = |layers: Vec<VarMap>| layers.into_iter().rev().filter(|l| !l.is_empty()).collect();
    let role = task.role.as_deref();
    let search = task.search(&play.dir);
    let mut magic = role.map(role_magic).unwrap_or_default();
    let mut paths: Vec<String> = search.dirs.iter().map(|d| d.display().to_string()).collect();
    let playbook_dir = play.dir.display().to_string();
    if !paths.contains(&playbook_dir) {
        paths.push(playbook_dir);
    }
    magic.insert("ansible_search_path", paths);
    TaskLayers {
        include_params: strongest_first(task.directives.include_params.clone()),
        role_params: strongest_first(role.map(Role::param_layers).unwrap_or_default()),
        task: strongest_first(task.directives.vars.clone()),
        role: strongest_first(role.map(Role::var_layers).unwrap_or_default()),
        role_defaults: strongest_first(role.map(Role::default_layers).unwrap_or_default()),
        magic,
        search,
    }
}

/// Returns the layers of something that belongs to the play itself.
pub fn of_play(play: &Play) -> TaskLayers {
    TaskLayers {
        search: SearchPath { dirs: vec![play.dir.clone()], playbook_dir: play.dir.clone() },
        ..TaskLayers::default()
    }
}

fn role_magic(role: &Role) -> Map {
    let name = role.name.rsplit('.').next().unwrap_or(&role.name);
    let mut magic = Map::from_iter([
        ("role_name", Value::str(name)),
        ("ansible_role_name", Value::str(&*role.name)),
        ("role_path", Value::str(role.files.path.display().to_string())),
    ]);
    let includers = includers(role);
    if !includers.is_empty() {
        let names: Vec<&str> = includers.iter().map(|p| &*p.name).collect();
        let paths: Vec<String> = includers.iter().map(|p| p.files.path.display().to_string()).collect();
        magic.insert("ansible_parent_role_names", names);
        magic.insert("ansible_parent_role_paths", paths);
    }
    magic
}

/// Returns the roles whose tasks included or imported this role or one that needs it, the nearest first. Roles that
/// have another as a dependency do not count, as in Ansible.
fn includers(role: &Role) -> Vec<&Role> {
    let parents = || role.parents.iter().map(|p| &**p);
    let used = parents().chain([role]).skip(1);
    let mut found: Vec<&Role> =
        parents().zip(used).filter(|(_, used)| used.from_include).map(|(parent, _)| parent).collect();
    found.reverse();
    found
}
