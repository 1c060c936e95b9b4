//! The variables that names of static imports may use: those known before any host is.

use std::sync::Arc;

use super::{Load, Place};
use crate::diag::{Diagnostic, Span};
use crate::template::{Scope, SearchPath, Tree, TreeKind, Var, VarMap};
use crate::value::Value;

/// Layers of variables over what a running play knows.
struct StaticScope {
    base: Option<Arc<dyn Scope>>,
    /// Weakest first.
    layers: Vec<VarMap>,
    search: SearchPath,
}

impl Scope for StaticScope {
    fn get(&self, name: &str) -> Option<Var> {
        let own = self.layers.iter().rev().find_map(|layer| layer.get(name));
        own.map(|tree| Var::Tree(tree.clone())).or_else(|| self.base.as_ref()?.get(name))
    }

    fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.layers.iter().flat_map(|l| l.keys().cloned()).collect();
        if let Some(base) = &self.base {
            names.extend(base.names());
        }
        names.sort();
        names.dedup();
        names
    }

    fn search(&self) -> &SearchPath {
        &self.search
    }
}

impl Load<'_> {
    /// What static names may use at a place, in Ansible's order.
    fn static_scope(&self, place: &Place) -> Arc<dyn Scope> {
        let mut layers = Vec::new();
        if let Some(role) = &place.role {
            layers.extend(role.default_layers());
        }
        layers.extend(self.play_vars.iter().cloned());
        for usage in self.uses.iter().filter(|u| u.public) {
            layers.extend(usage.export_layers());
        }
        if let Some(role) = &place.role {
            layers.extend(role.var_layers());
        }
        layers.extend(place.inherited.vars.iter().cloned());
        let mut magic = indexmap::IndexMap::new();
        magic
            .insert(Arc::from("playbook_dir"), Tree::value(self.playbook_dir.to_string_lossy().into_owned()));
        if let Some(role) = &place.role {
            layers.extend(role.param_layers());
            magic.insert(Arc::from("role_path"), Tree::value(role.files.path.to_string_lossy().into_owned()));
            magic.insert(Arc::from("role_name"), Tree::value(role.name.clone()));
        }
        layers.push(Arc::new(magic));
        layers.push(self.loader.options.extra_vars.clone());
        let mut dirs = vec![place.dir.clone(), self.playbook_dir.clone()];
        if let Some(role) = &place.role {
            dirs.insert(0, role.files.path.clone());
        }
        let search = SearchPath { dirs, playbook_dir: self.playbook_dir.clone() };
        Arc::new(StaticScope { base: self.base.clone(), layers, search })
    }

    /// Renders a value that must be known now. `what` completes "the name of ...".
    pub(super) fn static_value(&mut self, tree: &Tree, what: &str, place: &Place) -> Option<Value> {
        Some(match &tree.kind {
            TreeKind::Value(value) => value.clone(),
            _ => match self.loader.options.templar.render(tree, &self.static_scope(place)) {
                Ok(value) => value,
                Err(error) => {
                    let diagnostic = Diagnostic {
                        code: "XP0625",
                        message: format!(
                            "the name of {what} cannot be known before the run: {}",
                            error.diagnostic.message
                        ),
                        ..*error.diagnostic
                    };
                    self.error(diagnostic.help(
                        "imports see play variables, `vars_files`, role variables and `-e` only; for inventory \
                         variables and facts use the `include_` form",
                    ));
                    return None;
                }
            },
        })
    }

    /// Renders a name that must be known now. `what` completes "the name of ...".
    pub(super) fn static_text(&mut self, tree: &Tree, what: &str, place: &Place) -> Option<String> {
        let value = self.static_value(tree, what, place)?;
        match value {
            Value::Str(text) if !text.trim().is_empty() => Some(text.to_string()),
            Value::Int(number) => Some(number.to_string()),
            other => {
                self.error(at(
                    Diagnostic::error(
                        "XP0604",
                        format!("the name of {what} is of type `{}`, not a text", other.type_name()),
                    ),
                    tree.span,
                    "no name",
                ));
                None
            }
        }
    }
}

/// Adds a label where the place is known.
pub(super) fn at(diagnostic: Diagnostic, span: Option<Span>, text: &str) -> Diagnostic {
    match span {
        Some(span) => diagnostic.at(span, text),
        None => diagnostic,
    }
}
