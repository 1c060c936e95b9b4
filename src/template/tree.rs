//! Values from project files with the templates in them compiled.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::diag::Span;
use crate::value::Value;

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
    /// Members in file order; keys may be templates too.
    Map(Arc<Vec<(Tree, Tree)>>),
    /// A `!vault` text, decrypted when used.
    Vault(Arc<str>),
}

/// A string that is a template, with what compiling it gave.
#[derive(Debug)]
pub struct Template {
    pub text: Arc<str>,
    pub span: Option<Span>,
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
}

/// A compiled expression, such as a condition.
#[derive(Clone, Debug)]
pub struct Expr {
    pub text: Arc<str>,
    pub span: Option<Span>,
}

/// Compiles and renders.
#[derive(Debug)]
pub struct Templar;
