//! `set_fact`, `include_vars`, `set_stats`.

use std::path::{Path, PathBuf};

use crate::engine::files;
use crate::engine::item::ItemRun;
use crate::engine::login::truth;
use crate::engine::result::{Stats, TaskResult, Trouble, explain};
use crate::template::{TreeKind, VarMap};
use crate::value::{Map, Value};

pub fn set_fact(item: &ItemRun, mut given: Map) -> Result<TaskResult, Trouble> {
    given.remove("cacheable");
    if given.is_empty() {
        return Err(Trouble::msg(
            "No key/value pairs provided, at least one is required for this action to succeed",
        ));
    }
    for key in given.keys() {
        let name = key.to_value().to_text();
        let valid = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !valid {
            return Err(Trouble::msg(format!(
                "The variable name '{name}' is not valid. Variables must start with a letter or underscore character, and contain only letters, numbers and underscores."
            )));
        }
    }
    // The words of `key=value` are texts; Ansible means the boolean where a fact is nothing but such a word.
    let given: Map = given
        .into_iter()
        .map(|(key, value)| match value.as_str().and_then(word_of_truth) {
            Some(truth) => (key, truth.into()),
            None => (key, value),
        })
        .collect();
    let result = Map::from_iter([("ansible_facts", Value::map(given.clone()))]);
    let mut done = TaskResult::ok(result);
    let delegate = item.flag(&item.task.directives.delegate_facts)?;
    if delegate && let (_, Some((to, _))) = item.reach()? {
        done.effects.facts.push((Some(to.into()), given));
    } else {
        done.effects.set = given;
    }
    Ok(done)
}

fn word_of_truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" => Some(true),
        "false" | "no" => Some(false),
        _ => None,
    }
}

pub fn set_stats(given: &Map) -> Result<TaskResult, Trouble> {
    let Some(Value::Map(data)) = given.get("data") else {
        return Err(Trouble::msg("set_stats needs a map as data"));
    };
    let flag = |name: &str, default: bool| given.get(name).map_or(default, truth);
    let stats = Stats {
        data: Map::clone(data),
        per_host: flag("per_host", false),
        aggregate: flag("aggregate", true),
    };
    let mut done = TaskResult::ok(Map::from_iter([(
        "ansible_stats",
        Value::map(Map::from_iter([
            ("data", Value::Map(data.clone())),
            ("per_host", stats.per_host.into()),
            ("aggregate", stats.aggregate.into()),
        ])),
    )]));
    done.effects.stats.push(stats);
    Ok(done)
}

/// Reads variable files of the project. Their templates are compiled here, as they are project files.
pub fn include_vars(item: &ItemRun, given: &Map) -> Result<TaskResult, Trouble> {
    let text = |name: &str| given.get(name).map(Value::to_text);
    let search = item.vars.search();
    let paths = match (text("dir"), text("file").or_else(|| text("_raw_params"))) {
        (Some(dir), _) => {
            let dir = files::find(search, "vars", &dir).map_err(Trouble::msg)?;
            in_dir(&dir, given)?
        }
        (None, Some(file)) => vec![files::find(search, "vars", &file).map_err(Trouble::msg)?],
        (None, None) => return Err(Trouble::msg("include_vars needs a file or a dir")),
    };
    let mut shown = Map::new();
    let mut layers: Vec<VarMap> = Vec::new();
    for path in &paths {
        let vars = read_vars(item, path)?;
        for (name, tree) in vars.iter() {
            // Shown as written: rendering here would demand variables that may come later.
            let value = match &tree.kind {
                TreeKind::Value(v) => v.clone(),
                _ => item.shared.templar.render(tree, &item.vars).unwrap_or_else(|e| Value::str(e.message())),
            };
            shown.insert(name.clone(), value);
        }
        layers.push(vars);
    }
    let names: Vec<Value> = paths.iter().map(|p| Value::str(p.display().to_string())).collect();
    let mut done = TaskResult::ok(Map::from_iter([
        ("ansible_facts", Value::map(shown.clone())),
        ("ansible_included_var_files", Value::list(names)),
    ]));
    match text("name") {
        Some(name) => done.effects.set.insert(name, Value::map(shown)).map(|_| ()).unwrap_or_default(),
        None => done.effects.include_vars = layers,
    }
    Ok(done)
}

fn in_dir(dir: &Path, given: &Map) -> Result<Vec<PathBuf>, Trouble> {
    let extensions: Vec<String> = match given.get("extensions") {
        Some(Value::List(list)) => list.iter().map(Value::to_text).collect(),
        _ => ["json", "yaml", "yml"].map(str::to_string).to_vec(),
    };
    let depth = given.get("depth").and_then(Value::as_int).unwrap_or(0);
    let mut found = Vec::new();
    let mut pending = vec![(dir.to_owned(), 1)];
    while let Some((dir, level)) = pending.pop() {
        let entries = std::fs::read_dir(&dir)
            .map_err(|e| Trouble::msg(format!("cannot read \"{}\": {e}", dir.display())))?;
        for path in entries.flatten().map(|e| e.path()) {
            if path.is_dir() {
                if depth == 0 || i128::from(level) < depth {
                    pending.push((path, level + 1));
                }
            } else if path
                .extension()
                .and_then(|e| e.to_str())
                .is_some_and(|e| extensions.iter().any(|x| x == e))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads one variable file: a YAML or JSON map.
fn read_vars(item: &ItemRun, path: &Path) -> Result<VarMap, Trouble> {
    item.shared.loader.load_vars(path).map_err(explain)
}
