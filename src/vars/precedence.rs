//! The order of the layers, as Ansible documents it under "Understanding variable precedence".

/// A source of variables, strongest first in [`LAYERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Loop variables and the like, made for one execution of a task.
    Local,
    Magic,
    Extra,
    IncludeParams,
    RoleParams,
    /// `set_fact` and `register`.
    Registered,
    IncludeVars,
    /// Task vars, then block vars from the inside out.
    Task,
    /// `vars/` of the role at hand, then those that other roles of the play export.
    Role,
    VarsFiles,
    VarsPrompt,
    Play,
    Facts,
    /// Inventory file, `host_vars` and `group_vars`, in the inventory's own order.
    Inventory,
    RoleDefaults,
}

/// All layers with the words that `explain` uses, strongest first.
pub const LAYERS: [(Layer, &str); 15] = [
    (Layer::Local, "loop or task-local variable"),
    (Layer::Magic, "magic variable"),
    (Layer::Extra, "extra vars (-e)"),
    (Layer::IncludeParams, "include parameters"),
    (Layer::RoleParams, "role parameters"),
    (Layer::Registered, "set_fact or register"),
    (Layer::IncludeVars, "include_vars"),
    (Layer::Task, "task or block vars"),
    (Layer::Role, "role vars"),
    (Layer::VarsFiles, "play vars_files"),
    (Layer::VarsPrompt, "play vars_prompt"),
    (Layer::Play, "play vars"),
    (Layer::Facts, "facts"),
    (Layer::Inventory, "inventory"),
    (Layer::RoleDefaults, "role defaults"),
];
