//! Warnings for keywords that playbooks may use and that have no effect here. Silence would be a lie.

use crate::diag::{Diagnostic, Span};
use crate::engine::Strategy;
use crate::inventory::raw_value;
use crate::playbook::{Entry, Play};
use crate::template::Tree;
use crate::value::Key;

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
    let mut seen: Vec<Span> = Vec::new();
    groups(&play.directives.module_defaults, &mut seen, &mut found);
    for task in sections.iter().flat_map(|s| s.iter()).flat_map(Entry::tasks).chain(&play.handlers) {
        groups(&task.directives.module_defaults, &mut seen, &mut found);
    }
    found
}

/// Defaults for groups of modules: those of ansible-core have no members among the modules that there are.
fn groups(defaults: &[Tree], seen: &mut Vec<Span>, found: &mut Vec<Diagnostic>) {
    for tree in defaults {
        let Some(span) = tree.span.filter(|span| !seen.contains(span)) else { continue };
        seen.push(span);
        let value = raw_value(tree);
        let names = value.as_map().into_iter().flat_map(|map| map.keys()).filter_map(Key::as_str);
        for group in names.filter_map(|name| name.strip_prefix("group/")) {
            let message = format!("defaults for the group `{group}` have no effect");
            found.push(
                Diagnostic::warning(CODE, message)
                    .at(span, "among these")
                    .note("none of its modules is built in; a task that calls one is an error at load"),
            );
        }
    }
}
