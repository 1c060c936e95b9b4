//! Plays, blocks, tasks, handlers, roles, includes and imports as loaded from files; executes nothing.
//!
//! Comes in: playbook files. Goes out: [`Playbook`] with every template compiled and every static import expanded,
//! plus all mistakes found on the way. Dynamic includes are loaded later through the same [`Loader`].

mod condition;
mod directives;
pub mod keywords;
mod kv;
mod load;
mod model;
mod options;
mod role;
mod serial;
mod step_id;
mod tags;
mod vars_files;

pub use condition::plain_condition;
pub use directives::Directives;
pub use kv::pairs;
pub use load::{Loader, ModuleGroup, collection_name, load_playbook};
pub use model::{
    Action, Block, Entry, IncludeRole, IncludeTasks, Loop, LoopControl, LoopKind, MetaKind, Play, Playbook,
    Task, VarsPrompt,
};
pub use options::{
    IncludeContext, LiteralArgs, LoadOptions, LoadedRole, LoadedTasks, ModuleCatalog, ModuleKnown,
    RoleOptions,
};
pub use role::{Role, RoleFiles};
pub use serial::BatchSize;
pub use step_id::StepId;
pub use tags::selected;
pub use vars_files::missing_vars_files;
