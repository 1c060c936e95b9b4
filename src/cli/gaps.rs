//! Warnings for keywords that playbooks may use and that have no effect here. Silence would be a lie.

use crate::diag::{Diagnostic, Span};
use crate::engine::Strategy;
use crate::inventory::raw_value;
use crate::playbook::{Entry, Play, Task};
use crate::template::Tree;

const CODE: &str = "XP0902";

/// Returns a warning for each place in a play.
pub fn in_play(play: &Play) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Some(strategy) = &play.strategy {
        let name = raw_value(strategy).to_text();
        if !name.contains("{{") && Strategy::parse(&name).is_none() {
            let message = format!("Invalid play strategy specified: {name}");
            let place = strategy.span.unwrap_or(play.span);
            found.push(Diagnostic::error("XP0504", message).at(place, "no such strategy"));
        }
    }
    let sections = [&play.pre_tasks, &play.roles, &play.tasks, &play.post_tasks];
    for task in sections.iter().flat_map(|s| s.iter()).flat_map(Entry::tasks).chain(&play.handlers) {
        in_task(task, &mut found);
    }
    found
}

fn in_task(task: &Task, found: &mut Vec<Diagnostic>) {
    for (name, tree, harmless) in [
        ("debugger", &task.directives.debugger, &["never"][..]),
        ("become_exe", &task.directives.become_exe, &["sudo", "su", "doas"]),
    ] {
        if let Some(tree) = tree.as_ref().filter(|t| !is(t, harmless)) {
            found.push(warn(format!("`{name}` has no effect"), tree, task.span));
        }
    }
}

fn is(tree: &Tree, words: &[&str]) -> bool {
    words.contains(&raw_value(tree).to_text().as_str())
}

fn warn(message: String, tree: &Tree, otherwise: Span) -> Diagnostic {
    Diagnostic::warning(CODE, message).at(tree.span.unwrap_or(otherwise), "this")
}
