//! What a playbook is after loading.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diag::{Diagnostic, Span};
use crate::template::{Expr, SearchPath, Tree, VarMap};

use super::{Directives, Role, StepId};

/// One playbook file with everything it imports.
#[derive(Debug)]
pub struct Playbook {
    pub path: PathBuf,
    pub plays: Vec<Arc<Play>>,
}

/// One play. `import_playbook` is expanded: its plays stand in its place.
#[derive(Debug)]
pub struct Play {
    pub name: Option<Tree>,
    /// A pattern, or a list of patterns.
    pub hosts: Tree,
    pub strategy: Option<Tree>,
    /// Batch sizes (numbers or percentages); empty means all hosts at once.
    pub serial: Vec<Tree>,
    pub order: Option<Tree>,
    pub gather_facts: Option<Tree>,
    pub gather_subset: Option<Tree>,
    pub gather_timeout: Option<Tree>,
    pub fact_path: Option<Tree>,
    pub vars: VarMap,
    /// Names; a list member means "the first that exists".
    pub vars_files: Vec<Tree>,
    pub vars_prompt: Vec<VarsPrompt>,
    pub pre_tasks: Vec<Entry>,
    /// One block per use of a role, dependencies before the role that needs them.
    pub roles: Vec<Entry>,
    pub tasks: Vec<Entry>,
    pub post_tasks: Vec<Entry>,
    /// Handlers of `roles:`, the play's own, then those of imported roles ([`super::Loader::load_role`] gives more).
    pub handlers: Vec<Arc<Task>>,
    /// All role uses that are part of the play from the start (`roles:`, dependencies, `import_role`), in order.
    pub role_uses: Vec<Arc<Role>>,
    pub max_fail_percentage: Option<Tree>,
    pub force_handlers: Option<Tree>,
    /// The play's own inheritable keywords; already merged into every task. `vars` are in [`Play::vars`]; `when` can
    /// only come from `import_playbook` and also decides about fact gathering.
    pub directives: Arc<Directives>,
    /// Where the play starts.
    pub span: Span,
    /// Where its hosts pattern stands.
    pub hosts_span: Option<Span>,
    pub path: PathBuf,
    /// The directory of the playbook file that holds the play.
    pub dir: PathBuf,
    /// Path of names: playbook file and play, the start of its steps' ids.
    pub id_path: Arc<str>,
}

/// A question asked before the play starts.
#[derive(Clone, Debug)]
pub struct VarsPrompt {
    pub name: Arc<str>,
    pub prompt: Option<Tree>,
    pub default: Option<Tree>,
    /// Do not show what is typed; Ansible's default is true.
    pub private: bool,
    /// The answer must not be shown later either: somebody wrote that it is private, or has it hashed.
    pub secret: bool,
    pub confirm: bool,
    /// Hash the answer with this scheme.
    pub encrypt: Option<Arc<str>>,
    pub salt: Option<Tree>,
    pub salt_size: Option<i128>,
    pub unsafe_: bool,
}

/// A task or a block.
#[derive(Clone, Debug)]
pub enum Entry {
    Task(Arc<Task>),
    Block(Arc<Block>),
}

/// A block, the body of a role use, or the tasks of an import.
#[derive(Debug)]
pub struct Block {
    pub name: Option<Tree>,
    pub body: Vec<Entry>,
    pub rescue: Vec<Entry>,
    pub always: Vec<Entry>,
    /// Effective at the block, for its own `any_errors_fatal` and the like; already merged into its tasks.
    pub directives: Arc<Directives>,
    /// Set when the block is one use of a role: the engine skips it on hosts where the same
    /// [`Role::identity`] has completed, and marks it complete after the last entry.
    pub role: Option<Arc<Role>>,
    pub span: Option<Span>,
}

/// A task or handler.
#[derive(Clone, Debug)]
pub struct Task {
    pub id: StepId,
    pub name: Option<Tree>,
    pub action: Action,
    /// Effective: merged from play, role, blocks, imports and the task.
    pub directives: Arc<Directives>,
    pub register: Option<Arc<str>>,
    pub loop_: Option<Loop>,
    /// All must hold; empty means no `until`.
    pub until: Vec<Expr>,
    pub retries: Option<Tree>,
    pub delay: Option<Tree>,
    pub changed_when: Vec<Expr>,
    pub failed_when: Vec<Expr>,
    /// Names of handlers or topics.
    pub notify: Vec<Tree>,
    /// Topics of a handler.
    pub listen: Vec<Tree>,
    /// `async:`, in seconds.
    pub async_: Option<Tree>,
    pub poll: Option<Tree>,
    pub role: Option<Arc<Role>>,
    /// The directory of the file that holds the task.
    pub dir: PathBuf,
    pub span: Span,
    /// Where the module's name stands.
    pub action_span: Span,
}

/// What a task does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Any module, those that the engine handles itself (`set_fact`, `include_vars`, `add_host` ...) included.
    Module {
        /// As written, such as `copy` or `ansible.builtin.copy`.
        name: Arc<str>,
        /// A map; `k=v` texts and `args:` are already in it.
        args: Tree,
        /// The free text of `command: ls -l`.
        free_form: Option<Tree>,
        /// `args: "{{ template }}"` or `module: "{{ template }}"`: a map whose members rank below `args`.
        template_args: Option<Tree>,
        /// The module when it is a file of the project.
        file: Option<Arc<Path>>,
        /// The name when it is a template, `action: "{{ module }} a=b"`; `name` is then its text.
        dynamic: Option<Tree>,
    },
    /// A task that cannot run, in a place that is prepared for failures.
    Mistake {
        module: Arc<str>,
        diagnostic: Box<Diagnostic>,
    },
    IncludeTasks(IncludeTasks),
    IncludeRole(Box<IncludeRole>),
    Meta(MetaKind),
}

/// A dynamic `include_tasks`.
#[derive(Clone, Debug)]
pub struct IncludeTasks {
    pub file: Tree,
    /// What the included tasks inherit: the surroundings of the include and `apply`, not the include's own keywords
    /// except its variables.
    pub inherited: Arc<Directives>,
}

/// A dynamic `include_role`.
#[derive(Clone, Debug)]
pub struct IncludeRole {
    pub name: Tree,
    pub tasks_from: Option<Tree>,
    pub vars_from: Option<Tree>,
    pub defaults_from: Option<Tree>,
    pub handlers_from: Option<Tree>,
    pub public: Option<Tree>,
    pub allow_duplicates: Option<Tree>,
    pub rolespec_validate: Option<Tree>,
    /// See [`IncludeTasks::inherited`].
    pub inherited: Arc<Directives>,
}

/// `meta:` actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaKind {
    FlushHandlers,
    RefreshInventory,
    Noop,
    ClearFacts,
    ClearHostErrors,
    EndPlay,
    EndHost,
    EndBatch,
    EndRole,
    ResetConnection,
}

/// The loop of a task.
#[derive(Clone, Debug)]
pub struct Loop {
    pub kind: LoopKind,
    pub expr: Tree,
    pub control: LoopControl,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoopKind {
    /// `loop:`.
    Loop,
    /// `with_NAME:`, the lookup that makes the items (`items`, `dict`, `fileglob` ...).
    With(Arc<str>),
}

#[derive(Clone, Debug, Default)]
pub struct LoopControl {
    /// Default: `item`.
    pub loop_var: Option<Tree>,
    pub index_var: Option<Tree>,
    pub label: Option<Tree>,
    pub pause: Option<Tree>,
    pub extended: Option<Tree>,
    /// Default: true.
    pub extended_allitems: Option<Tree>,
    pub break_when: Vec<Expr>,
}

impl Task {
    /// Returns the name of the module or statement as written.
    pub fn action_name(&self) -> &str {
        match &self.action {
            Action::Module { name, .. } | Action::Mistake { module: name, .. } => name,
            Action::IncludeTasks(_) => "include_tasks",
            Action::IncludeRole(_) => "include_role",
            Action::Meta(_) => "meta",
        }
    }

    /// Returns where the task finds files: in its role, the roles around that, its own folder, and the playbook's.
    pub fn search(&self, playbook_dir: &Path) -> SearchPath {
        let mut dirs: Vec<PathBuf> = Vec::new();
        let roles = self.role.iter().flat_map(|role| {
            [&role.files.path].into_iter().chain(role.parents.iter().rev().map(|parent| &parent.files.path))
        });
        for dir in roles.chain([&self.dir]) {
            if !dirs.contains(dir) {
                dirs.push(dir.clone());
            }
        }
        SearchPath { dirs, playbook_dir: playbook_dir.to_owned() }
    }
}

impl MetaKind {
    /// All with their names in playbooks.
    pub const ALL: [(&'static str, MetaKind); 10] = [
        ("flush_handlers", MetaKind::FlushHandlers),
        ("refresh_inventory", MetaKind::RefreshInventory),
        ("noop", MetaKind::Noop),
        ("clear_facts", MetaKind::ClearFacts),
        ("clear_host_errors", MetaKind::ClearHostErrors),
        ("end_play", MetaKind::EndPlay),
        ("end_host", MetaKind::EndHost),
        ("end_batch", MetaKind::EndBatch),
        ("end_role", MetaKind::EndRole),
        ("reset_connection", MetaKind::ResetConnection),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("noop", |(name, _)| name)
    }
}

impl Entry {
    /// Returns all tasks inside, in file order: body, rescue, always.
    pub fn tasks(&self) -> Vec<&Arc<Task>> {
        match self {
            Entry::Task(task) => vec![task],
            Entry::Block(b) => {
                b.body.iter().chain(&b.rescue).chain(&b.always).flat_map(Entry::tasks).collect()
            }
        }
    }
}
