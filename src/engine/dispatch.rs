//! Keeps what tasks leave behind: facts, set variables, included variables, registered results.

use std::sync::Arc;

use super::result::{Effects, TaskResult};
use super::shared::Shared;
use crate::playbook::Task;

/// Puts a result's variables where later tasks of the host see them. Doing it twice does no harm.
pub fn keep(shared: &Shared, host: &Arc<str>, effects: &Effects) {
    for (owner, facts) in &effects.facts {
        let owner = owner.as_ref().unwrap_or(host);
        let all = shared.vars.store.write(owner, |vars| {
            vars.add_facts(facts);
            shared.options.fact_cache.is_some().then(|| vars.given_facts().clone())
        });
        if let (Some(cache), Some(all)) = (&shared.options.fact_cache, all)
            && let Err(e) = cache.save(owner, &all)
        {
            // The run does not depend on it; a full queue loses the words, not the facts.
            let text = format!("cannot keep the facts of {owner}: {e}");
            let _ = shared.events.try_send(super::event::Event::Warning(text));
        }
    }
    if effects.set.is_empty() && effects.include_vars.is_empty() {
        return;
    }
    shared.vars.store.write(host, |vars| {
        for (name, value) in &effects.set {
            if let Some(name) = name.as_str() {
                vars.set(name, value.clone());
            }
        }
        for layer in &effects.include_vars {
            if !vars.include_vars.iter().any(|l| Arc::ptr_eq(l, layer)) {
                vars.include_vars.push(layer.clone());
            }
        }
    });
}

/// Puts the result under the task's `register` name.
pub fn register(shared: &Shared, task: &Task, host: &Arc<str>, result: &TaskResult) {
    if let Some(name) = &task.register {
        shared.vars.store.write(host, |vars| vars.set(name.clone(), result.registered()));
    }
}
