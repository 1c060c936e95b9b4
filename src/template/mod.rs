//! Templates: compiled texts, lazy variables, filters, tests, lookups.
//!
//! Project files come in as [`Tree`]s, compiled once at load. Values come out. A string that came from a host is a
//! [`Value`] and has no way to the compiler. minijinja parses; the evaluation is our own, because Python's semantics,
//! Ansible's undefined values and unknown values reach into every operator.

mod args;
mod compile;
mod engine;
mod error;
mod file;
mod filters;
mod functions;
mod interp;
mod ir;
mod lookups;
mod lower;
mod merge;
mod methods;
mod ops;
mod python_format;
mod random;
mod reads;
mod registry;
mod runtime;
mod search;
mod source;
mod static_scope;
mod tests;
mod tree;
mod versions;

pub use engine::{Templar, TemplarSettings, Texts, VaultOpener};
pub use error::{RenderError, RenderErrorKind};
pub use file::{TemplateFileOptions, TemplateOrigin};
pub use filters::{escape_html, shadow_hash};
pub use lookups::{FIRST_FOUND_FOLDER, SettingValue, fnmatch, glob};
pub use lower::Syntax;
pub use merge::merged;
pub use reads::Read;
pub use registry::Plugin;
pub use search::SearchPath;
pub use static_scope::StaticScope;
pub use tree::{Expr, Template, Tree, TreeKind, VarMap};

use std::sync::Arc;

use crate::value::{Unknown, Value};

/// What a variable name stands for.
#[derive(Clone)]
pub enum Var {
    /// Plain data: facts, results, numbers. Never rendered.
    Value(Value),
    /// From a project file: rendered when used, in the scope that asked for it.
    Tree(Tree),
    /// A map whose members are made when asked for, such as `hostvars`.
    Lazy(Arc<dyn LazyMap>),
}

/// A map whose members are looked up one by one.
pub trait LazyMap: Send + Sync {
    fn get(&self, key: &str) -> Option<Var>;
    fn keys(&self) -> Vec<Arc<str>>;
    /// For the variables of a host: the scope that has nothing else.
    fn host_alone(&self) -> Option<Arc<dyn Scope>> {
        None
    }
    /// The scope in which members are rendered; nothing means the scope of the expression that asked.
    fn scope(&self) -> Option<Arc<dyn Scope>> {
        None
    }
}

/// The variables that an expression sees.
pub trait Scope: Send + Sync {
    fn get(&self, name: &str) -> Option<Var>;
    /// All names, for `vars`, `varnames` and suggestions.
    fn names(&self) -> Vec<Arc<str>>;
    /// Where lookups and `template` find files.
    fn search(&self) -> &SearchPath;
}

/// What a condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    /// It depends on something that is not known while planning.
    Unknown(Unknown),
}

impl From<bool> for Truth {
    fn from(b: bool) -> Self {
        if b { Truth::True } else { Truth::False }
    }
}

/// Removes members and items that are `omit`, at every depth, as Ansible does with module arguments.
pub fn strip_omit(value: Value) -> Value {
    match value {
        Value::Map(map) => Value::map(
            map.iter()
                .filter(|(_, v)| !matches!(v, Value::Omit))
                .map(|(k, v)| (k.clone(), strip_omit(v.clone())))
                .collect(),
        ),
        Value::List(items) => {
            Value::list(items.iter().filter(|v| !matches!(v, Value::Omit)).cloned().map(strip_omit).collect())
        }
        other => other,
    }
}

/// Whether a text holds template markers.
pub fn has_markers(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

#[cfg(test)]
mod conformance_tests;
#[cfg(test)]
mod engine_tests;
