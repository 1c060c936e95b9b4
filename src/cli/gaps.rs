//! Warnings for keywords that playbooks may use and that have no effect here. Silence would be a lie.

use std::path::Path;

use crate::diag::{Diagnostic, Span};
use crate::engine::Strategy;
use crate::playbook::{Entry, Loader, ModuleGroup, Play};
use crate::template::Tree;
use crate::value::Key;

const CODE: &str = "XP0902";

/// Returns a warning or an error for each place in a play of a playbook in this folder.
pub fn in_play(play: &Play, loader: &Loader, dir: &Path) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Some(strategy) = &play.strategy {
        let name = strategy.written().to_text();
        if !name.contains("{{") && Strategy::parse(&name).is_none() {
            let message = format!("Invalid play strategy specified: {name}");
            let place = strategy.span.unwrap_or(play.span);
            found.push(Diagnostic::error("XP0504", message).at(place, "no such strategy"));
        }
    }
    let sections = [&play.pre_tasks, &play.roles, &play.tasks, &play.post_tasks];
    let mut seen: Vec<Span> = Vec::new();
    let mut groups = |defaults: &[Tree]| groups(defaults, loader, dir, &mut seen, &mut found);
    groups(&play.directives.module_defaults);
    for task in sections.iter().flat_map(|s| s.iter()).flat_map(Entry::tasks).chain(&play.handlers) {
        groups(&task.directives.module_defaults);
    }
    found
}

/// Defaults for groups of modules that nobody knows, or that have no members here.
fn groups(defaults: &[Tree], loader: &Loader, dir: &Path, seen: &mut Vec<Span>, found: &mut Vec<Diagnostic>) {
    for tree in defaults {
        let Some(span) = tree.span.filter(|span| !seen.contains(span)) else { continue };
        seen.push(span);
        let value = tree.written();
        let names = value.as_map().into_iter().flat_map(|map| map.keys()).filter_map(Key::as_str);
        for group in names.filter_map(|name| name.strip_prefix("group/")) {
            match loader.module_group(group, dir) {
                ModuleGroup::Of(members) if !members.is_empty() => {}
                ModuleGroup::Of(_) | ModuleGroup::Absent => {
                    let message = format!("defaults for the group `{group}` have no effect");
                    found.push(
                        Diagnostic::warning(CODE, message)
                            .at(span, "among these")
                            .note("none of its modules is here; a task that calls one is an error at load"),
                    );
                }
                ModuleGroup::Unknown => {
                    let message = format!("could not resolve the module_defaults group {group}");
                    found.push(Diagnostic::error("XP0619", message).at(span, "among these"));
                }
            }
        }
    }
}
