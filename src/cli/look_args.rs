//! What was typed for commands that look at a project or at the program itself. As in `args`, the doc comments are the
//! help texts.

use std::path::PathBuf;

use clap::{ArgAction, Args as ClapArgs, ValueEnum};

use super::args::{HostArgs, VarArgs, VaultArgs};

#[derive(Clone, Debug, ClapArgs)]
pub struct LintArgs {
    /// Playbooks to look at; by default all that are here and in playbooks/.
    #[arg(value_name = "PLAYBOOK")]
    pub playbooks: Vec<PathBuf>,
    /// Leave out findings with this code, such as XP1002; may be given again.
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Write findings as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub hosts: HostArgs,
    #[command(flatten)]
    pub vars: VarArgs,
    #[command(flatten)]
    pub vault: VaultArgs,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct ExplainArgs {
    /// The variable.
    #[arg(value_name = "VARIABLE")]
    pub variable: String,
    /// Playbooks whose plays and roles count too.
    #[arg(value_name = "PLAYBOOK")]
    pub playbooks: Vec<PathBuf>,
    /// The host that sees the variable.
    #[arg(long, value_name = "HOST")]
    pub host: String,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub hosts: HostArgs,
    #[command(flatten)]
    pub vars: VarArgs,
    #[command(flatten)]
    pub vault: VaultArgs,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct DocArgs {
    /// Modules or keywords; with -l, namespaces such as ansible.posix.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Only list the names.
    #[arg(short, long, alias = "list_files", short_alias = 'F')]
    pub list: bool,
    /// Of which kind.
    #[arg(short = 't', long = "type", value_name = "KIND", value_enum, default_value_t = DocKind::Module)]
    pub kind: DocKind,
    /// A task to fill in.
    #[arg(short, long)]
    pub snippet: bool,
    /// Write JSON.
    #[arg(short, long)]
    pub json: bool,
    /// Accepted for compatibility: modules that are files have no texts here.
    #[arg(short = 'M', long, value_name = "PATH", hide = true)]
    pub module_path: Vec<String>,
    /// Accepted for compatibility.
    #[arg(long, value_name = "DIR", hide = true)]
    pub playbook_dir: Option<PathBuf>,
    /// Accepted for compatibility.
    #[arg(short, long, action = ArgAction::Count, hide = true)]
    pub verbose: u8,
}

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DocKind {
    Module,
    Keyword,
    Filter,
    Test,
    Lookup,
    Callback,
    Strategy,
    Connection,
    Become,
    Inventory,
    Cache,
    Setting,
}

impl DocKind {
    /// Returns the kind in words.
    pub fn word(self) -> &'static str {
        match self {
            DocKind::Module => "module",
            DocKind::Keyword => "keyword",
            DocKind::Filter => "filter",
            DocKind::Test => "test",
            DocKind::Lookup => "lookup",
            DocKind::Callback => "callback",
            DocKind::Strategy => "strategy",
            DocKind::Connection => "connection",
            DocKind::Inventory => "kind of inventory",
            DocKind::Cache => "cache of facts",
            DocKind::Setting => "setting",
            DocKind::Become => "way to become another user",
        }
    }
}
