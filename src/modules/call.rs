//! What a module is called with.

use std::path::{Path, PathBuf};

use super::Args;
use crate::value::Value;

/// One execution of a module on one host for one loop item.
pub struct Call<'a> {
    pub args: Args,
    pub target: &'a Target,
    pub local: &'a dyn LocalFiles,
    /// `--check` or a plan: the change will not be executed.
    pub check: bool,
    pub diff: bool,
    /// `environment:` of the task, resolved; already exported around every script by the engine.
    pub environment: &'a [(String, String)],
}

/// What is known of the host after connecting.
#[derive(Clone, Debug, Default)]
pub struct Target {
    pub host: String,
    /// The user that scripts run as.
    pub user: String,
    pub uid: u32,
    pub home: String,
}

/// The controller's side: project files that modules send.
pub trait LocalFiles: Send + Sync {
    /// Finds a file of the task the way Ansible does: the role's `kind` folder (`files`, `templates`, `vars`), the
    /// role, the including file's folder, the playbook's. The error lists where it looked.
    fn find(&self, kind: &str, name: &str) -> Result<PathBuf, String>;

    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// Renders a project template with the task's variables; `options` are the `template` module's own arguments.
    fn render(&self, path: &Path, options: &Value) -> Result<String, String>;
}
