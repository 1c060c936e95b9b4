//! The inventory plugin `constructed`: variables and groups made of what the sources before it said of each host.

use std::sync::Arc;

use super::builder::Builder;
use super::model::{HostId, Inventory};
use super::vars_files::VarFiles;
use crate::diag::{Diagnostic, Span};
use crate::template::{Scope, SearchPath, StaticScope, Tree, VarMap};
use crate::value::Value;
use crate::yaml::Node;

/// Names under which sources call it.
const NAMES: [&str; 3] = ["constructed", "ansible.builtin.constructed", "ansible.legacy.constructed"];
const OPTIONS: [&str; 10] = [
    "plugin",
    "strict",
    "compose",
    "groups",
    "keyed_groups",
    "leading_separator",
    "use_vars_plugins",
    "use_extra_vars",
    "cache",
    "fail_on_template_errors",
];

pub(super) fn is_called(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Applies a source to every host that is known by now.
pub(super) fn read(builder: &mut Builder<'_>, node: &Node) {
    for (key, _) in node.entries() {
        let word = key.scalar().map_or("", |s| &s.text);
        if !OPTIONS.contains(&word) {
            let warning = Diagnostic::warning("XP0510", format!("`constructed` has no option `{word}`"));
            builder.warnings.push(warning.at(key.span, "ignored").suggest(word, OPTIONS));
        }
    }
    builder.inventory.reconcile();
    let flag = |name: &str, default: bool| node.get(name).and_then(Node::as_bool).unwrap_or(default);
    let strict = flag("strict", false);
    let mut known = builder.inventory.clone();
    if !flag("use_vars_plugins", false) {
        // Without sources there are no directories in which variable files could stand.
        known.sources.clear();
    }
    let files = VarFiles::new(builder.templar.clone(), builder.sources.clone());
    let hosts: Vec<HostId> = known.hosts().map(|(id, _)| id).collect();
    for host in hosts {
        let scope = match scope(&known, host, &files) {
            Ok(scope) => scope,
            Err(mistakes) => {
                builder.errors.extend(mistakes);
                continue;
            }
        };
        let mut one = Host { builder, host, scope, strict };
        if let Some(node) = node.get("compose") {
            one.compose(node);
        }
        if let Some(node) = node.get("groups") {
            one.groups(node);
        }
        for group in node.get("keyed_groups").map(Node::items).unwrap_or_default() {
            one.keyed(group, flag("leading_separator", true));
        }
    }
}

/// The variables of a host, the strongest first.
fn scope(inventory: &Inventory, host: HostId, files: &VarFiles) -> Result<Arc<dyn Scope>, Vec<Diagnostic>> {
    let layers = inventory.layers(host, files, None)?;
    let mut layers: Vec<VarMap> = layers.into_iter().rev().map(|layer| layer.vars).collect();
    let names: Vec<Value> = inventory.group_names(host).into_iter().map(Value::from).collect();
    let magic = [
        (Arc::from("inventory_hostname"), Tree::value(inventory.host(host).name.clone())),
        (Arc::from("group_names"), Tree::value(Value::list(names))),
    ];
    layers.push(Arc::new(magic.into_iter().collect()));
    Ok(Arc::new(StaticScope { layers, search: SearchPath::default() }))
}

/// One host that is worked on.
struct Host<'b, 'a> {
    builder: &'b mut Builder<'a>,
    host: HostId,
    scope: Arc<dyn Scope>,
    strict: bool,
}

impl Host<'_, '_> {
    /// Evaluates an expression; what cannot be evaluated is nothing, unless the source is strict.
    fn eval(&mut self, node: &Node) -> Option<Value> {
        let text = node.scalar().map(|s| s.text.to_string())?;
        let templar = self.builder.templar;
        let found = match templar.compile_expr(&text, Some(node.span)) {
            Ok(expr) => templar.eval(&expr, &self.scope).map_err(|e| *e.diagnostic),
            Err(diagnostic) => Err(diagnostic),
        };
        match found {
            Ok(value) => Some(value),
            Err(diagnostic) if self.strict => {
                self.builder.errors.push(diagnostic);
                None
            }
            Err(_) => None,
        }
    }

    fn compose(&mut self, node: &Node) {
        for (name, expression) in node.entries() {
            if let (Some(name), Some(value)) = (name.scalar(), self.eval(expression)) {
                self.builder.inventory.set_host_var(self.host, name.text.clone(), Tree::value(value));
            }
        }
    }

    fn groups(&mut self, node: &Node) {
        for (name, condition) in node.entries() {
            let Some(name) = name.as_str().map(str::to_string) else { continue };
            if self.eval(condition).is_some_and(|value| value.is_truthy()) {
                self.join(&name, None, condition.span);
            }
        }
    }

    fn keyed(&mut self, node: &Node, leading_separator: bool) {
        let text = |name: &str| node.get(name).and_then(Node::scalar).map(|s| s.text.to_string());
        let Some(expression) = node.get("key") else { return };
        let default = text("default_value");
        let keep_separator = node.get("trailing_separator").and_then(Node::as_bool);
        if default.is_some() && keep_separator.is_some() {
            self.builder.error(
                "parameters are mutually exclusive for keyed groups: default_value|trailing_separator",
                Some(node.span),
                "both are given",
            );
            return;
        }
        let Some(key) = self.eval(expression) else { return };
        let empty_counts = key.as_str() == Some("") && default.is_some();
        if !key.is_truthy() && !empty_counts {
            return;
        }
        let separator = text("separator").unwrap_or_else(|| "_".into());
        let or_default = |name: String| match &default {
            Some(default) if name.is_empty() => default.clone(),
            _ => name,
        };
        let names: Vec<String> = match &key {
            Value::List(items) => items.iter().map(|item| or_default(item.to_text())).collect(),
            Value::Map(map) => map
                .iter()
                .map(|(name, value)| match (value.to_text(), &default) {
                    (value, Some(default)) if value.is_empty() => {
                        format!("{}{separator}{default}", name.json_name())
                    }
                    (value, None) if value.is_empty() && keep_separator == Some(false) => {
                        name.json_name().to_string()
                    }
                    (value, _) => format!("{}{separator}{value}", name.json_name()),
                })
                .collect(),
            other => vec![or_default(other.to_text())],
        };
        let prefix = text("prefix").unwrap_or_default();
        let parent = text("parent_group");
        let between = if prefix.is_empty() && !leading_separator { "" } else { separator.as_str() };
        for name in names {
            self.join(&format!("{prefix}{between}{name}"), parent.as_deref(), node.span);
        }
    }

    fn join(&mut self, name: &str, parent: Option<&str>, span: Span) {
        let group = self.builder.group(name, Some(span));
        self.builder.inventory.join(self.host, group);
        let Some(parent) = parent else { return };
        let parent = self.builder.group(parent, Some(span));
        if let Err(diagnostic) = self.builder.inventory.add_child(parent, group, Some(span)) {
            self.builder.errors.push(diagnostic);
        }
    }
}
