//! A role as used at one place: its files, its parameters, and whose dependency it is.

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::template::{Tree, VarMap};

/// What was read from a role's directory for one combination of `*_from` names; shared by all its uses.
#[derive(Debug)]
pub struct RoleFiles {
    pub path: PathBuf,
    /// `defaults/`, one layer per file, later ones win.
    pub defaults: Vec<VarMap>,
    /// `vars/`, one layer per file, later ones win.
    pub vars: Vec<VarMap>,
    pub allow_duplicates: bool,
    /// Entry points of `meta/argument_specs.yml`, as written.
    pub argument_specs: IndexMap<Arc<str>, Tree>,
}

/// One use of a role.
#[derive(Debug)]
pub struct Role {
    /// As written: `nginx`, or `namespace.collection.nginx`.
    pub name: Arc<str>,
    pub files: Arc<RoleFiles>,
    /// Inline parameters of the role statement (`- {role: x, port: 80}`); rank above facts and registered variables.
    pub params: VarMap,
    /// `vars:` of the role statement.
    pub vars: VarMap,
    /// The roles that pulled this one in (as a dependency, or by importing it), outermost first; their own
    /// `dependencies` are left out here.
    pub parents: Vec<Arc<Role>>,
    /// Roles that run before it, direct ones only; each has its own `dependencies`.
    pub dependencies: Vec<Arc<Role>>,
    /// Whether its variables are visible to the rest of the play (false: `include_role` without `public`).
    pub public: bool,
    /// Digest of name, path, parameters, conditions, tags and `*_from`: a second use with the same identity does not
    /// run again on a host where the first one ran, unless `allow_duplicates`.
    pub identity: Arc<str>,
    pub allow_duplicates: bool,
    /// Used by `import_role` or `include_role`.
    pub from_include: bool,
}

impl Role {
    /// The same use as its dependencies see it.
    pub(super) fn clone_without_dependencies(&self) -> Role {
        Role {
            name: self.name.clone(),
            files: self.files.clone(),
            params: self.params.clone(),
            vars: self.vars.clone(),
            parents: self.parents.clone(),
            dependencies: Vec::new(),
            public: self.public,
            identity: self.identity.clone(),
            allow_duplicates: self.allow_duplicates,
            from_include: self.from_include,
        }
    }

    /// Default variables as seen by this role's tasks, weakest first: dependencies, parents, its own.
    pub fn default_layers(&self) -> Vec<VarMap> {
        let mut layers = Vec::new();
        for dependency in &self.dependencies {
            layers.extend(dependency.default_layers());
        }
        for parent in &self.parents {
            layers.extend(parent.files.defaults.iter().cloned());
        }
        layers.extend(self.files.defaults.iter().cloned());
        layers
    }

    /// Role variables as seen by this role's tasks, weakest first: parents, dependencies, its own `vars/`, the `vars:`
    /// of the statement. Without [`Role::param_layers`].
    pub fn var_layers(&self) -> Vec<VarMap> {
        let mut layers = Vec::new();
        for parent in &self.parents {
            layers.extend(parent.files.vars.iter().cloned());
            layers.push(parent.vars.clone());
        }
        layers.extend(self.export_layers());
        layers.push(self.vars.clone());
        layers
    }

    /// What the rest of the play sees of the role's variables, weakest first.
    pub fn export_layers(&self) -> Vec<VarMap> {
        let mut layers = Vec::new();
        for dependency in &self.dependencies {
            layers.extend(dependency.export_layers());
        }
        layers.extend(self.files.vars.iter().cloned());
        layers
    }

    /// Inline parameters, weakest first: parents, its own.
    pub fn param_layers(&self) -> Vec<VarMap> {
        self.parents.iter().map(|p| p.params.clone()).chain([self.params.clone()]).collect()
    }
}
