//! What loading needs from the caller, and the context of a dynamic include.

use std::path::PathBuf;
use std::sync::Arc;

use crate::diag::{Diagnostic, SourceMap, Span};
use crate::template::{Scope, Templar, VarMap};

use super::{Directives, Entry, Role, Task};

/// How and with what playbooks are loaded. Clones are cheap.
#[derive(Clone)]
pub struct LoadOptions {
    pub templar: Arc<Templar>,
    pub sources: SourceMap,
    /// Configured role directories, searched after the playbook's `roles/`.
    pub roles_path: Vec<PathBuf>,
    /// Configured collection directories, for roles named `namespace.collection.role`.
    pub collections_path: Vec<PathBuf>,
    pub catalog: Arc<dyn ModuleCatalog>,
    /// Directories with modules that are files, besides those of playbooks and roles.
    pub library: Vec<PathBuf>,
    /// Whether variables of roles stay inside of them, where that was said.
    pub private_role_vars: Option<bool>,
    /// What holds for every play that does not say otherwise.
    pub base: Directives,
    /// `-e`: names of imported files may use them.
    pub extra_vars: VarMap,
}

/// What the program knows of modules; the layers to the right fill it in.
pub trait ModuleCatalog: Send + Sync {
    fn find(&self, name: &str) -> ModuleKnown;

    /// All names, for suggestions.
    fn names(&self) -> Vec<String>;

    /// Names of a module's arguments, to tell an argument that stands too far left from an unknown keyword.
    fn arguments(&self, name: &str) -> Vec<String>;

    /// Checks literal arguments: unknown names, wrong literal types. `complete` is false where more arguments may come
    /// from a template or from `module_defaults`, so that missing ones cannot be told.
    fn check(&self, name: &str, args: &LiteralArgs, complete: bool) -> Vec<Diagnostic>;
}

/// Arguments of one task with their places.
#[derive(Debug, Default)]
pub struct LiteralArgs {
    /// Name, place of the name, the value (may hold templates; knows its place).
    pub args: Vec<(Arc<str>, Option<Span>, crate::template::Tree)>,
    pub free_form: bool,
    /// Where the module's name stands.
    pub span: Option<Span>,
}

/// What is known of a module's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleKnown {
    Yes {
        /// Takes free text (`command: ls -l`).
        free_form: bool,
    },
    /// No such module.
    No,
    /// Known, but it cannot work here; the reason is shown.
    Refused(String),
}

/// Where a dynamic include stands.
#[derive(Clone)]
pub struct IncludeContext {
    /// [`super::IncludeTasks::inherited`] or [`super::IncludeRole::inherited`].
    pub inherited: Arc<Directives>,
    /// Loop variables of the include, as one more layer for everything inside; empty for none. Includes without
    /// them are cached.
    pub vars: VarMap,
    /// The role of the including task.
    pub role: Option<Arc<Role>>,
    /// The directory of the including file.
    pub dir: PathBuf,
    /// The directory of the playbook.
    pub playbook_dir: PathBuf,
    /// The path in the id of the including task.
    pub id_path: Arc<str>,
    /// Whether the tasks are handlers.
    pub handlers: bool,
    /// Whether a failure of the tasks would be rescued.
    pub rescued: bool,
    /// For names of static imports inside the included file.
    pub scope: Arc<dyn Scope>,
    /// Where the include's file or role name stands.
    pub span: Option<Span>,
}

/// Options of a role statement that are known as text.
#[derive(Clone, Debug, Default)]
pub struct RoleOptions {
    pub tasks_from: Option<String>,
    pub vars_from: Option<String>,
    pub defaults_from: Option<String>,
    pub handlers_from: Option<String>,
    pub public: bool,
    pub allow_duplicates: Option<bool>,
    /// Whether the role's argument specs are checked; Ansible's default is true.
    pub validate: bool,
}

/// Tasks that were loaded by a dynamic include.
#[derive(Debug)]
pub struct LoadedTasks {
    pub path: PathBuf,
    pub entries: Vec<Entry>,
    /// Role uses that came along by `import_role`, dependencies first.
    pub uses: Vec<Arc<Role>>,
    /// Handlers of those, to add to the play.
    pub handlers: Vec<Arc<Task>>,
    pub warnings: Vec<Diagnostic>,
}

/// A role that was loaded by a dynamic include.
#[derive(Debug)]
pub struct LoadedRole {
    /// Blocks of dependencies, then the role's.
    pub entries: Vec<Entry>,
    /// The role itself.
    pub role: Arc<Role>,
    /// All uses that came along, dependencies first, the role last, roles imported by its tasks included.
    pub uses: Vec<Arc<Role>>,
    /// Handlers to add to the play.
    pub handlers: Vec<Arc<Task>>,
    pub warnings: Vec<Diagnostic>,
}
