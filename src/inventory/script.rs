//! Executable inventories: programs that print JSON for `--list`, and `--host NAME` where `_meta` is missing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::builder::Builder;
use super::model::{GroupId, HostId};
use crate::diag::Diagnostic;
use crate::value::{Map, Value, from_json};

/// Runs a program and reads what it prints.
pub(super) fn read(builder: &mut Builder<'_>, path: &Path) {
    let Some(listed) = run(builder, path, &["--list"]) else { return };
    let Some(groups) = listed.as_map().cloned() else {
        fail(
            builder,
            path,
            "--list",
            &format!("printed something of type `{}`, not a mapping", listed.type_name()),
            "",
        );
        return;
    };
    let mut meta: Option<Value> = None;
    let mut hosts: Vec<HostId> = Vec::new();
    for (key, data) in &groups {
        let name = key.json_name();
        if &*name == "_meta" {
            meta = data.get("hostvars").cloned();
        } else {
            group(builder, path, &name, data, &mut hosts);
        }
    }
    hosts.sort();
    hosts.dedup();
    for host in hosts {
        let name = builder.inventory.host(host).name.clone();
        let vars = match &meta {
            Some(all) => all.get(&name).cloned(),
            None => run(builder, path, &["--host", &name]),
        };
        if let Some(vars) = vars.as_ref().and_then(Value::as_map) {
            set_vars(builder, vars, |builder, key, tree| builder.inventory.set_host_var(host, key, tree));
        }
    }
}

fn group(builder: &mut Builder<'_>, path: &Path, name: &str, data: &Value, hosts: &mut Vec<HostId>) {
    let group = builder.group(name, None);
    let Some(members) = data.as_map() else {
        return match data.as_list() {
            Some(list) => add_hosts(builder, group, list, hosts),
            None if data.is_null() => {}
            None => fail(
                builder,
                path,
                "--list",
                &format!("the group `{name}` is of type `{}`", data.type_name()),
                "",
            ),
        };
    };
    if !["hosts", "vars", "children"].iter().any(|k| members.contains(k)) {
        // An old form: variables of a group that is its own only host.
        add_hosts(builder, group, &[name.into()], hosts);
        set_vars(builder, members, |b, key, tree| b.inventory.set_group_var(group, key, tree));
        return;
    }
    for (key, value) in members {
        match (key.as_str(), value) {
            (Some("hosts"), Value::List(list)) => add_hosts(builder, group, list, hosts),
            (Some("vars"), Value::Map(vars)) => {
                set_vars(builder, vars, |b, key, tree| b.inventory.set_group_var(group, key, tree));
            }
            (Some("children"), Value::List(list)) => {
                for child in list.iter().filter_map(Value::as_str) {
                    let child = builder.group(child, None);
                    if let Err(diagnostic) = builder.inventory.add_child(group, child, None) {
                        builder
                            .errors
                            .push(diagnostic.note(format!("printed by `{} --list`", path.display())));
                    }
                }
            }
            (Some(section @ ("hosts" | "vars" | "children")), other) if !other.is_null() => {
                let wanted = if section == "vars" { "mapping" } else { "list" };
                let reason = format!(
                    "`{section}` of the group `{name}` is of type `{}`, not a {wanted}",
                    other.type_name()
                );
                fail(builder, path, "--list", &reason, "");
            }
            _ => {}
        }
    }
}

fn add_hosts(builder: &mut Builder<'_>, group: GroupId, list: &[Value], hosts: &mut Vec<HostId>) {
    for name in list.iter().map(Value::to_text) {
        let host = builder.host(&name);
        builder.inventory.join(host, group);
        hosts.push(host);
    }
}

fn set_vars(
    builder: &mut Builder<'_>,
    vars: &Map,
    mut set: impl FnMut(&mut Builder<'_>, Arc<str>, crate::template::Tree),
) {
    for (key, value) in vars {
        if let Some(tree) = builder.compile(value, None) {
            set(builder, key.json_name(), tree);
        }
    }
}

/// Runs the program and returns the JSON it printed; nothing printed counts as an empty mapping for a host.
fn run(builder: &mut Builder<'_>, path: &Path, args: &[&str]) -> Option<Value> {
    let shown = args.join(" ");
    // Without a slash the name would be looked for in PATH.
    let program = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let output = match Command::new(program).args(args).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => {
            fail(builder, path, &shown, &format!("cannot be executed: {error}"), "");
            return None;
        }
    };
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() {
        let reason = match output.status.code() {
            Some(code) => format!("ended with exit code {code}"),
            None => "was ended by a signal".to_owned(),
        };
        fail(builder, path, &shown, &reason, &stderr);
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    if text.trim().is_empty() && args.first() == Some(&"--host") {
        return Some(Value::map(Map::new()));
    }
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(json) => Some(from_json(&json)),
        Err(error) => {
            fail(builder, path, &shown, &format!("printed no valid JSON: {error}"), &stderr);
            None
        }
    }
}

fn fail(builder: &mut Builder<'_>, path: &Path, args: &str, reason: &str, stderr: &str) {
    let mut diagnostic =
        Diagnostic::error("XP0508", format!("the inventory program `{} {args}` {reason}", path.display()));
    if !stderr.is_empty() {
        diagnostic = diagnostic.note(format!("it said: {stderr}"));
    }
    builder.errors.push(diagnostic);
}
