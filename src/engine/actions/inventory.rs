//! `add_host` and `group_by`.

use crate::engine::event::Status;
use crate::engine::item::ItemRun;
use crate::engine::result::{AddHost, TaskResult, Trouble};
use crate::template::Var;
use crate::value::{Map, Value};

pub fn add_host(item: &ItemRun, given: &Map) -> Result<TaskResult, Trouble> {
    let named = ["name", "hostname", "host"].iter().find_map(|n| given.get(n));
    let Some(name) = named.map(Value::to_text).filter(|n| !n.is_empty()) else {
        return Err(Trouble::msg("name, host or hostname needs to be provided"));
    };
    let (name, port) = crate::inventory::split_port(&name);
    let groups = ["groups", "groupname", "group"].iter().find_map(|n| given.get(n));
    let groups = groups.map(words).unwrap_or_default();
    let special = ["name", "hostname", "host", "groups", "groupname", "group"];
    let mut vars: Map = given
        .iter()
        .filter(|(k, _)| k.as_str().is_some_and(|k| !special.contains(&k)))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    if let Some(port) = port {
        vars.insert("ansible_ssh_port", i64::from(port));
    }
    let shown = Map::from_iter([
        ("host_name", Value::str(name.as_str())),
        ("groups", groups.clone().into()),
        ("host_vars", Value::map(vars.clone())),
    ]);
    let hosts = &item.shared.vars.hosts;
    let host = crate::vars::TaskScope::on_host(&item.scope, &name.as_str().into()).boxed();
    let has = |key: &str, value: &Value| match host.get(key) {
        Some(Var::Value(old)) => old == *value,
        Some(Var::Tree(tree)) => tree.as_value() == Some(value),
        _ => false,
    };
    let known = hosts.contains(&name)
        && groups.iter().all(|g| is_member(&hosts.group_names(&name), g))
        && vars.iter().all(|(key, value)| key.as_str().is_some_and(|key| has(key, value)));
    let mut done = TaskResult::new(status(known), Map::from_iter([("add_host", Value::map(shown))]));
    done.effects.add_hosts.push(AddHost { name, groups, vars });
    Ok(done)
}

pub fn group_by(item: &ItemRun, given: &Map) -> Result<TaskResult, Trouble> {
    let Some(key) = given.get("key").map(Value::to_text) else {
        return Err(Trouble::msg("the 'key' param is required when using group_by"));
    };
    let parents = given.get("parents").map_or_else(|| vec!["all".to_string()], words);
    let clean = |name: &str| name.replace(' ', "-");
    let group = clean(&key);
    let parents: Vec<String> = parents.iter().map(|p| clean(p)).collect();
    let known = is_member(&item.shared.vars.hosts.group_names(item.scope.host()), &group);
    let result = Map::from_iter([
        ("add_group", Value::str(group.as_str())),
        ("parent_groups", parents.clone().into()),
    ]);
    let mut done = TaskResult::new(status(known), result);
    done.effects.groups.push((group, parents));
    Ok(done)
}

fn is_member(names: &Value, group: &str) -> bool {
    names.as_list().is_some_and(|names| names.iter().any(|n| n.as_str() == Some(group)))
}

/// The inventory changes unless everything was there.
fn status(known: bool) -> Status {
    if known { Status::Ok } else { Status::Changed }
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::List(items) => items.iter().map(|v| v.to_text().trim().to_string()).collect(),
        other => other.to_text().split(',').map(|w| w.trim().to_string()).filter(|w| !w.is_empty()).collect(),
    }
}
