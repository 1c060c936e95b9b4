//! What a play and its tasks are called, and what their keywords say for a host.

use std::sync::Arc;

use super::event::{TaskHeader, TaskKind};
use super::play::{Host, Place, PlayRun};
use super::{layers, login};
use crate::diag::Style;
use crate::playbook::{Action, Directives, Task, selected};
use crate::template::{Scope, Tree};
use crate::value::{Map, Value};
use crate::vars::TaskScope;

impl PlayRun<'_> {
    /// The scope of things that belong to the play itself.
    pub fn play_scope(&self, host: &Host) -> TaskScope {
        let layers = Arc::new(layers::of_play(&self.play));
        TaskScope::new(self.shared.vars.clone(), self.vars.clone(), layers, host.clone())
    }

    /// The task's name as it is written.
    pub(super) fn step_name(&self, task: &Task) -> String {
        task.name.as_ref().and_then(Tree::as_text).unwrap_or(task.action_name()).to_string()
    }

    pub(super) fn is_selected(&self, task: &Task, scope: &TaskScope) -> bool {
        let vars = scope.boxed();
        let mut tags = Vec::new();
        for tree in &task.directives.tags {
            match self.shared.templar.render(tree, &vars) {
                Ok(Value::List(list)) => tags.extend(list.iter().map(Value::to_text)),
                Ok(value) => tags.extend(value.to_text().split(',').map(|t| t.trim().to_string())),
                Err(_) => {}
            }
        }
        selected(&tags, &self.shared.options.tags, &self.shared.options.skip_tags)
    }

    pub(super) fn header(&self, task: &Task, scope: &Arc<dyn Scope>, place: Place) -> TaskHeader {
        let own = match &task.name {
            Some(tree) => match self.shared.templar.render(tree, scope) {
                Ok(name) => name.to_text(),
                Err(_) => tree.as_text().unwrap_or_default().to_string(),
            },
            None => match &task.action {
                Action::IncludeRole(include) => {
                    let role = self.shared.templar.render(&include.name, scope).map(|n| n.to_text());
                    let role =
                        role.unwrap_or_else(|_| include.name.as_text().unwrap_or_default().to_string());
                    format!("{} : {role}", task.action_name())
                }
                _ => task.action_name().to_string(),
            },
        };
        // A host's text in a name must not look like further lines of output.
        let own = own.trim_end().replace("\r\n", " ").replace(['\n', '\r'], " ");
        // Ansible names an include of a role by that role alone.
        let is_bare_include = task.name.is_none() && matches!(task.action, Action::IncludeRole(_));
        let name = match &task.role {
            Some(role) if !is_bare_include => format!("{} : {own}", role.name),
            _ => own.clone(),
        };
        let directives = &*task.directives;
        let truth = |keyword: fn(&Directives) -> &Option<Tree>| {
            self.keyword(directives, keyword, scope).map(|v| login::truth(&v))
        };
        let mut place_in_file = self.shared.sources.place(task.span);
        if self.shared.options.style == Style::Ansible {
            place_in_file.path = std::path::absolute(&place_in_file.path).unwrap_or(place_in_file.path);
        }
        let hides = self.hides(directives, scope);
        let shown = self.shared.options.shows_arguments && !hides;
        TaskHeader {
            arguments: if shown { arguments(task) } else { String::new() },
            id: task.id.to_string(),
            name,
            bare_name: own,
            module: task.action_name().to_string(),
            kind: if place.handlers { TaskKind::Handler } else { TaskKind::Task },
            place: Some(format!("{}:{}", place_in_file.path.display(), place_in_file.line)),
            check: truth(|d| &d.check_mode).unwrap_or(self.shared.options.check),
            diff: truth(|d| &d.diff).unwrap_or(self.shared.options.diff),
            no_log: hides,
            tags: Vec::new(),
        }
    }

    /// Whether results are hidden. A condition for hiding that cannot be told hides.
    pub(super) fn hides(&self, directives: &Directives, scope: &Arc<dyn Scope>) -> bool {
        let said = directives.said(|d| &d.no_log, |tree| self.shared.templar.render(tree, scope));
        said.map_or(true, |value| value.is_some_and(|v| login::truth(&v)))
    }

    /// Returns what a keyword says; nothing where it cannot be told. What `omit` leaves out is said further outside.
    pub fn keyword(
        &self,
        directives: &Directives,
        keyword: fn(&Directives) -> &Option<Tree>,
        scope: &Arc<dyn Scope>,
    ) -> Option<Value> {
        directives.said(keyword, |tree| self.shared.templar.render(tree, scope)).ok().flatten()
    }

    pub fn flag(&self, task: &Task, keyword: fn(&Directives) -> &Option<Tree>, scope: &TaskScope) -> bool {
        self.keyword(&task.directives, keyword, &scope.boxed()).is_some_and(|v| login::truth(&v))
    }

    /// Returns what a keyword of the play says that is true or false.
    pub fn play_flag(&self, tree: &Option<Tree>, scope: &TaskScope) -> Option<bool> {
        let value = self.shared.templar.render(tree.as_ref()?, &scope.boxed()).ok()?;
        (!matches!(value, Value::Omit)).then(|| login::truth(&value))
    }

    pub fn number(&self, tree: &Option<Tree>, scope: &TaskScope) -> Option<f64> {
        let value = self.shared.templar.render(tree.as_ref()?, &scope.boxed()).ok()?;
        value.number().or_else(|| value.to_text().trim_end_matches('%').trim().parse().ok())
    }
}

/// What a task is called with, as it is written.
fn arguments(task: &Task) -> String {
    let Action::Module { args, free_form, .. } = &task.action else { return String::new() };
    let args = args.written();
    let mut all: Vec<String> = args
        .as_map()
        .into_iter()
        .flat_map(Map::iter)
        .map(|(name, value)| format!("{}={}", name.json_name(), value.to_text()))
        .collect();
    all.extend(free_form.as_ref().map(|text| format!("_raw_params={}", text.written().to_text())));
    all.join(", ")
}
