//! Values from project files with the templates in them compiled.

use std::sync::Arc;

use indexmap::IndexMap;

use super::ir::{Formula, Program};
use crate::diag::{Diagnostic, Span};
use crate::value::{Key, Map, Value};

/// A value from a project file. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Tree {
    pub kind: TreeKind,
    /// Where it stands; nothing for values that the program made.
    pub span: Option<Span>,
}

#[derive(Clone, Debug)]
pub enum TreeKind {
    /// No template anywhere inside.
    Value(Value),
    /// A string with `{{ }}`, `{% %}` or `{# #}` in it.
    Template(Arc<Template>),
    List(Arc<Vec<Tree>>),
    /// Members in file order; keys may be templates too, see [`Templar::render_keys`](super::Templar::render_keys).
    Map(Arc<Vec<(Tree, Tree)>>),
    /// A `!vault` text, decrypted when used.
    Vault(Arc<str>),
}

/// A string that is a template, with what compiling it gave.
#[derive(Debug)]
pub struct Template {
    pub text: Arc<str>,
    pub span: Option<Span>,
    pub(super) program: Arc<Program>,
}

/// A bare expression: `when:`, `until:`, `that:`.
#[derive(Clone, Debug)]
pub struct Expr {
    pub text: Arc<str>,
    pub span: Option<Span>,
    /// What is odd about it although it works.
    pub warnings: Arc<Vec<Diagnostic>>,
    pub(super) formula: Arc<Formula>,
}

/// Variables of one file, play, block, task or role by name.
pub type VarMap = Arc<IndexMap<Arc<str>, Tree>>;

impl Tree {
    /// Wraps a plain value.
    pub fn value(value: impl Into<Value>) -> Self {
        Tree { kind: TreeKind::Value(value.into()), span: None }
    }

    /// Returns the value where no template is inside.
    pub fn as_value(&self) -> Option<&Value> {
        match &self.kind {
            TreeKind::Value(v) => Some(v),
            _ => None,
        }
    }

    /// Returns the text as written: of a template or a plain string.
    /// Returns the value as it is written, templates as their texts.
    pub fn written(&self) -> Value {
        match &self.kind {
            TreeKind::Value(value) => value.clone(),
            TreeKind::Template(template) => template.text.clone().into(),
            TreeKind::List(items) => Value::list(items.iter().map(Tree::written).collect()),
            TreeKind::Map(entries) => Value::map(
                entries
                    .iter()
                    .filter_map(|(k, v)| Some((Key::from_value(&k.written())?, v.written())))
                    .collect::<Map>(),
            ),
            TreeKind::Vault(text) => Map::from_iter([("__ansible_vault", Value::str(text.clone()))]).into(),
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            TreeKind::Value(v) => v.as_str(),
            TreeKind::Template(t) => Some(&t.text),
            _ => None,
        }
    }
}
