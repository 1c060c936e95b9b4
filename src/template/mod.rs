//! The only user of minijinja: compiled templates, lazy variables, filters, tests, lookups.
//!
//! Project files come in as [`Tree`]s, compiled once at load. Values come out. A string that came from a host is a
//! [`Value`] and has no way to the compiler.

mod tree;

pub use tree::{Expr, RenderError, Templar, TemplarSettings, Template, Tree, TreeKind, VarMap};

use std::path::PathBuf;
use std::sync::Arc;

use crate::value::Value;

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

/// Where relative paths of a task are looked for, nearest first: role, including file, playbook.
#[derive(Clone, Debug, Default)]
pub struct SearchPath {
    pub dirs: Vec<PathBuf>,
    /// The directory of the playbook; `lookup('file')` and friends end here.
    pub playbook_dir: PathBuf,
}
