//! `set_fact`, `set_stats`.

use crate::engine::item::ItemRun;
use crate::engine::login::truth;
use crate::engine::result::{Stats, TaskResult, Trouble};
use crate::value::{Map, Value};

pub fn set_fact(item: &ItemRun, mut given: Map) -> Result<TaskResult, Trouble> {
    let cacheable = given.remove("cacheable").is_some_and(|c| truth(&c));
    if given.is_empty() {
        return Err(Trouble::msg(
            "No key/value pairs provided, at least one is required for this action to succeed",
        ));
    }
    check_names(&given)?;
    // The words of `key=value` are texts; Ansible means the boolean where a fact is nothing but such a word.
    let native = item.shared.options.native_types;
    let given: Map = given
        .into_iter()
        .map(|(key, value)| match value.as_str().filter(|_| !native).and_then(word_of_truth) {
            Some(truth) => (key, truth.into()),
            None => (key, value),
        })
        .collect();
    let result = Map::from_iter([("ansible_facts", Value::map(given.clone()))]);
    let mut done = TaskResult::ok(result);
    let delegate = item.flag(|d| &d.delegate_facts)?;
    if delegate && let (_, Some((to, _))) = item.reach()? {
        done.effects.facts.push((Some(to.into()), given));
    } else {
        if cacheable {
            done.effects.facts.push((None, given.clone()));
        }
        done.effects.set = given;
    }
    Ok(done)
}

/// Refuses names that no template could use.
fn check_names(given: &Map) -> Result<(), Trouble> {
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
    Ok(())
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
        return Err(Trouble::msg("The 'data' option needs to be a dictionary/hash"));
    };
    check_names(data)?;
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
