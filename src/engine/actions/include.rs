//! `include_tasks` and `include_role`: what is to be included; the dispatcher loads and runs it.

use crate::engine::item::ItemRun;
use crate::engine::result::{Include, TaskResult, Trouble};
use crate::playbook::{IncludeRole, IncludeTasks};
use crate::template::{Tree, Var};
use crate::value::{Map, Value};

pub fn include_tasks(item: &ItemRun, include: &IncludeTasks) -> Result<TaskResult, Trouble> {
    let target = name(item, &include.file)?;
    Ok(included(item, target, Map::new()))
}

pub fn include_role(item: &ItemRun, include: &IncludeRole) -> Result<TaskResult, Trouble> {
    let target = name(item, &include.name)?;
    let mut options = Map::new();
    let given = [
        ("tasks_from", &include.tasks_from),
        ("vars_from", &include.vars_from),
        ("defaults_from", &include.defaults_from),
        ("handlers_from", &include.handlers_from),
        ("public", &include.public),
        ("allow_duplicates", &include.allow_duplicates),
        ("rolespec_validate", &include.rolespec_validate),
    ];
    for (option, tree) in given {
        if let Some(tree) = tree {
            match item.render(tree)? {
                Value::Omit => {}
                value => _ = options.insert(option, value),
            }
        }
    }
    Ok(included(item, target, options))
}

fn name(item: &ItemRun, tree: &Tree) -> Result<String, Trouble> {
    match item.render(tree)? {
        Value::Unknown(u) => Err(crate::modules::Failure::unknown(u).into()),
        value => Ok(value.to_text()),
    }
}

fn included(item: &ItemRun, target: String, options: Map) -> TaskResult {
    let mut locals = Map::new();
    if let Some(l) = &item.task.loop_ {
        // Names may be templates: the loop has rendered them.
        let variable = match item.vars.get("ansible_loop_var") {
            Some(Var::Value(name)) => name.to_text(),
            _ => "item".into(),
        };
        let index = l.control.index_var.as_ref().and_then(|t| item.render(t).ok()).map(|v| v.to_text());
        for name in [Some(variable.clone()), index, Some("ansible_loop".into())].into_iter().flatten() {
            if let Some(Var::Value(value)) = item.vars.get(&name) {
                locals.insert(name, value);
            }
        }
        if let Some(Var::Value(name)) = item.vars.get("ansible_index_var") {
            locals.insert("ansible_index_var", name);
        }
        locals.insert("ansible_loop_var", variable);
    }
    let mut result = TaskResult::ok(Map::from_iter([("include", Value::str(target.as_str()))]));
    result.effects.includes.push(Include { target, options, locals, label: None, maybe: None });
    result
}
