//! What was typed. The doc comments are the help texts; man page and completions are made from the same source.

use std::path::PathBuf;

pub use super::look_args::{DocArgs, DocKind, ExplainArgs, LintArgs};

use clap::{ArgAction, Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Agentless orchestration for HPC clusters: Ansible's language, nothing but sh on a target.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "xplay",
    version,
    propagate_version = true,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Try it without a cluster: xplay rehearse playbooks/service-node.yml"
)]
pub struct Args {
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", value_enum, help_heading = "Global options")]
    pub color: Option<ColorWhen>,
    #[command(subcommand)]
    pub command: Command,
}

/// When to use colours: `auto` is on a terminal unless the environment says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run playbooks, with the flags and exit codes of ansible-playbook.
    Run(Box<RunArgs>),
    /// Run one module on hosts, with the flags of the command `ansible`.
    Adhoc(Box<AdhocArgs>),
    /// Go on with a run that was interrupted or failed, at the exact step and host.
    Resume(ResumeArgs),
    /// List the runs of this user, or show one of them.
    Runs(RunsArgs),
    /// Run playbooks against a small emulated xCAT cluster inside this machine.
    Rehearse(Box<RehearseArgs>),
    /// Show a plan: what would change where, offline, in several formats.
    Show(Box<ShowArgs>),
    /// Say what a run would do, change nothing, and save it as a plan; also: plan check, plan diff.
    Plan(Box<PlanArgs>),
    /// Execute a saved plan, and nothing else.
    Apply(Box<ApplyArgs>),
    /// Show hosts, groups and variables as a run would see them.
    Inventory(Box<InventoryArgs>),
    /// Show the settings and where they come from.
    Config(ConfigArgs),
    /// Gather the facts of hosts and print them as JSON.
    Facts(Box<FactsArgs>),
    /// Look after the keys by which hosts are known.
    Hosts(HostsArgs),
    /// Say what is wrong or odd in playbooks, roles and inventories; connect to nothing.
    Lint(Box<LintArgs>),
    /// Show where a variable of a host is set, and which place counts.
    Explain(Box<ExplainArgs>),
    /// Show what modules and keywords are for, as ansible-doc does.
    Doc(DocArgs),
    /// List the modules, or document one of them.
    Modules(ModulesArgs),
    /// Make, show and change encrypted files, as ansible-vault does.
    Vault(Box<VaultWithArgs>),
    /// Sign a plan: say that it may be applied.
    Approve(ApproveArgs),
    /// Show who approved a plan; exit code 6 when that is not enough.
    Verify(VerifyArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
    /// Print the manual page.
    Man,
}

#[derive(Clone, Debug, ClapArgs)]
#[command(infer_long_args = true)]
pub struct RunArgs {
    /// Playbooks to run; a name that is not here is looked for in playbooks/.
    #[arg(required = true, value_name = "PLAYBOOK")]
    pub playbooks: Vec<PathBuf>,
    #[command(flatten)]
    pub hosts: HostArgs,
    #[command(flatten)]
    pub tasks: TaskArgs,
    #[command(flatten)]
    pub vars: VarArgs,
    #[command(flatten)]
    pub mode: ModeArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub login: LoginArgs,
    #[command(flatten)]
    pub r#become: BecomeArgs,
    #[command(flatten)]
    pub vault: VaultArgs,
    #[command(flatten)]
    pub list: ListArgs,
    /// Hosts that are busy at once (default: 50).
    #[arg(short, long, value_name = "N", help_heading = "Hosts")]
    pub forks: Option<String>,
    /// End the run after this many seconds, as Ctrl-C twice does.
    #[arg(long, value_name = "SECONDS", help_heading = "Mode")]
    pub time_limit: Option<String>,
    /// Run notified handlers even on hosts where a task failed.
    #[arg(long, help_heading = "Tasks")]
    pub force_handlers: bool,
    /// Run although another run of this project and inventory is going on.
    #[arg(long, help_heading = "Mode")]
    pub concurrent: bool,
    /// Forget facts that earlier runs kept.
    #[arg(long, help_heading = "Mode")]
    pub flush_cache: bool,
    /// Look for modules that are files here first; may be given again.
    #[arg(short = 'M', long, value_name = "PATH", help_heading = "Tasks")]
    pub module_path: Vec<String>,
}

#[derive(Clone, Debug, ClapArgs)]
#[command(infer_long_args = true)]
pub struct AdhocArgs {
    /// Which hosts.
    #[arg(required = true, value_name = "PATTERN", allow_hyphen_values = false)]
    pub pattern: String,
    /// The module (command).
    #[arg(short, long, value_name = "NAME")]
    pub module_name: Option<String>,
    /// Its arguments: key=value, a free text where it takes one, or JSON.
    #[arg(short, long, value_name = "ARGS", allow_hyphen_values = true)]
    pub args: Option<String>,
    /// Run it in the background, at most for this many seconds.
    #[arg(short = 'B', long, value_name = "SECONDS")]
    pub background: Option<u64>,
    /// With --background: look for the end every so many seconds; 0 does not wait.
    #[arg(short = 'P', long, value_name = "SECONDS", default_value = "15")]
    pub poll: u64,
    /// One line for each host.
    #[arg(short, long)]
    pub one_line: bool,
    /// Keep each host's result in a file of this directory.
    #[arg(short, long, value_name = "DIR")]
    pub tree: Option<PathBuf>,
    /// Give up after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub task_timeout: Option<u64>,
    /// Look for group_vars, roles and files here.
    #[arg(long, value_name = "DIR")]
    pub playbook_dir: Option<PathBuf>,
    /// Only list the hosts.
    #[arg(long)]
    pub list_hosts: bool,
    #[command(flatten)]
    pub hosts: HostArgs,
    #[command(flatten)]
    pub vars: VarArgs,
    #[command(flatten)]
    pub mode: ModeArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub login: LoginArgs,
    #[command(flatten)]
    pub r#become: BecomeArgs,
    #[command(flatten)]
    pub vault: VaultArgs,
    /// Hosts that are busy at once (default: 50).
    #[arg(short, long, value_name = "N", help_heading = "Hosts")]
    pub forks: Option<String>,
    /// Look for modules that are files here first; may be given again.
    #[arg(short = 'M', long, value_name = "PATH", help_heading = "Tasks")]
    pub module_path: Vec<String>,
}

#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Hosts")]
pub struct HostArgs {
    /// Inventory file, directory, executable, or a list of hosts with a comma; may be given again.
    #[arg(short, long, visible_alias = "inventory-file", value_name = "SOURCE")]
    pub inventory: Vec<String>,
    /// Only hosts that also match this pattern.
    #[arg(short, long, value_name = "PATTERN")]
    pub limit: Vec<String>,
}

#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Tasks")]
pub struct TaskArgs {
    /// Only plays and tasks with one of these tags.
    #[arg(short, long, value_name = "TAGS")]
    pub tags: Vec<String>,
    /// No plays and tasks with one of these tags.
    #[arg(long, value_name = "TAGS")]
    pub skip_tags: Vec<String>,
    /// Begin at the first task whose name matches.
    #[arg(long, value_name = "NAME")]
    pub start_at_task: Option<String>,
    /// Ask before each task whether to perform it: no, yes, or continue without asking.
    #[arg(long)]
    pub step: bool,
}

#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Variables")]
pub struct VarArgs {
    /// Set variables: key=value, YAML, JSON, or @FILE; may be given again.
    #[arg(short, long, value_name = "VARS")]
    pub extra_vars: Vec<String>,
}

#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Mode")]
pub struct ModeArgs {
    /// Change nothing; predict what would change.
    #[arg(short = 'C', long)]
    pub check: bool,
    /// Show what differs in files and settings.
    #[arg(short = 'D', long)]
    pub diff: bool,
}

#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Show more; up to -vvvv.
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    /// Write events as JSON lines on stdout instead of text.
    #[arg(long)]
    pub json: bool,
    /// Write the HTML report to this file instead of the state directory.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write no HTML report; the environment variable XPLAY_NO_REPORT does the same.
    #[arg(long, conflicts_with = "report")]
    pub no_report: bool,
}

#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Connection")]
pub struct LoginArgs {
    /// Log in as this user.
    #[arg(short, long, value_name = "NAME")]
    pub user: Option<String>,
    /// Ask for the login password.
    #[arg(short = 'k', long)]
    pub ask_pass: bool,
    /// Read the login password from this file, or from what it prints if executable.
    #[arg(long, visible_alias = "conn-pass-file", value_name = "FILE", conflicts_with = "ask_pass")]
    pub connection_password_file: Option<PathBuf>,
    /// Log in with this private key.
    #[arg(long, visible_alias = "key-file", value_name = "FILE")]
    pub private_key: Option<PathBuf>,
    /// How to connect where nothing else says it: ssh, ssh-binary (OpenSSH's client) or local.
    #[arg(short, long, value_name = "KIND")]
    pub connection: Option<String>,
    /// Give up connecting after this many seconds.
    #[arg(short = 'T', long, value_name = "SECONDS")]
    pub timeout: Option<String>,
    /// Arguments as for OpenSSH's client, such as "-o ProxyJump=gate".
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub ssh_common_args: Option<String>,
    /// More arguments as for OpenSSH's client.
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub ssh_extra_args: Option<String>,
    /// Accepted for compatibility; neither scp nor sftp is used.
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true, hide = true)]
    pub scp_extra_args: Option<String>,
    /// Accepted for compatibility; neither scp nor sftp is used.
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true, hide = true)]
    pub sftp_extra_args: Option<String>,
}

#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Privilege")]
pub struct BecomeArgs {
    /// Become another user on the hosts.
    #[arg(short, long)]
    pub r#become: bool,
    /// Whom to become (default: root).
    #[arg(long, value_name = "NAME")]
    pub become_user: Option<String>,
    /// How to become: sudo, su or doas (default: sudo).
    #[arg(long, value_name = "METHOD")]
    pub become_method: Option<String>,
    /// Ask for the password that becoming needs.
    #[arg(short = 'K', long)]
    pub ask_become_pass: bool,
    /// Read that password from this file, or from what it prints if executable.
    #[arg(long, visible_alias = "become-pass-file", value_name = "FILE", conflicts_with = "ask_become_pass")]
    pub become_password_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Vault")]
pub struct VaultArgs {
    /// Vault password as LABEL@FILE or LABEL@prompt; may be given again.
    #[arg(long, value_name = "ID")]
    pub vault_id: Vec<String>,
    /// Read a vault password from this file, or from what it prints if executable.
    #[arg(long, visible_alias = "vault-pass-file", value_name = "FILE")]
    pub vault_password_file: Vec<PathBuf>,
    /// Ask for the vault password.
    #[arg(short = 'J', long, visible_alias = "ask-vault-password", conflicts_with = "vault_password_file")]
    pub ask_vault_pass: bool,
}

#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Instead of running")]
pub struct ListArgs {
    /// Check playbooks, roles and templates; connect to nothing.
    #[arg(long)]
    pub syntax_check: bool,
    /// List the hosts of every play.
    #[arg(long)]
    pub list_hosts: bool,
    /// List the tasks of every play.
    #[arg(long)]
    pub list_tasks: bool,
    /// List the tags of every play.
    #[arg(long)]
    pub list_tags: bool,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct ResumeArgs {
    /// The run: its id, the beginning of it, or "last".
    #[arg(value_name = "ID")]
    pub id: String,
    /// A step of unknown outcome was done: its id or the digest at its end, with @HOST for one host; may be given again.
    #[arg(long, value_name = "STEP")]
    pub assume_done: Vec<String>,
    /// A step of unknown outcome is to be done again; may be given again.
    #[arg(long, value_name = "STEP")]
    pub redo: Vec<String>,
}

#[derive(Clone, Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RunsArgs {
    #[command(subcommand)]
    pub action: Option<RunsAction>,
    /// Write JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub enum RunsAction {
    /// Show a run: what it did on which host, and what is open.
    Show {
        /// The run: its id, the beginning of it, or "last".
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Clone, Debug, ClapArgs)]
pub struct RehearseArgs {
    /// Playbooks to rehearse; a name that is not here is looked for in playbooks/.
    #[arg(required_unless_present_any = ["shell", "apply"], value_name = "PLAYBOOK")]
    pub playbooks: Vec<PathBuf>,
    /// The cluster to rehearse: el9 (rhels9.4, x86_64, ipmi) or seed (rhels6.4, ppc64, hmc).
    #[arg(long, value_name = "NAME", default_value = "el9")]
    pub site: String,
    /// Keep the cluster's disks here; a later rehearsal with the same directory goes on from them.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Make this go wrong, such as node-never-boots (a wrong name prints all); may be given again.
    #[arg(long, value_name = "NAME")]
    pub fault: Vec<String>,
    /// Let the management node be of another system than the images, and a host of the group image_builders build them.
    #[arg(long)]
    pub builder: bool,
    /// Only make a plan of the playbooks, and write it to this file.
    #[arg(long, value_name = "FILE", conflicts_with = "apply")]
    pub plan: Option<PathBuf>,
    /// Apply this plan, which was made for a rehearsal.
    #[arg(long, value_name = "FILE", conflicts_with = "playbooks")]
    pub apply: Option<PathBuf>,
    /// Open a shell on this rehearsal host, after the playbooks if some are given.
    #[arg(long, value_name = "HOST")]
    pub shell: Option<String>,
    /// How hosts get their root: namespaces or chroot; the first that works here by default.
    #[arg(long, value_name = "WAY")]
    pub root_mode: Option<RootModeArg>,
    /// Only hosts that also match this pattern.
    #[arg(short, long, value_name = "PATTERN")]
    pub limit: Vec<String>,
    #[command(flatten)]
    pub tasks: TaskArgs,
    #[command(flatten)]
    pub vars: VarArgs,
    #[command(flatten)]
    pub mode: ModeArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How a rehearsal host gets its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RootModeArg {
    Namespaces,
    Chroot,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct ShowArgs {
    /// The plan file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How to show it; by default as the name after -o asks, else for a terminal.
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub format: Option<ShowFormat>,
    /// Only these hosts: a set such as sn[01-06],mn1, a pattern such as sn*, without those after a !.
    #[arg(long, value_name = "SET")]
    pub hosts: Option<String>,
    /// Only steps with this in their name, or whose id begins so; shows them whole.
    #[arg(long, value_name = "ID")]
    pub step: Option<String>,
    /// Also steps that change nothing, and differences of any length.
    #[arg(long)]
    pub all: bool,
    /// Write to this file; a long Markdown text becomes several files.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShowFormat {
    Terminal,
    Md,
    Html,
    Json,
    Junit,
}

#[derive(Clone, Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct PlanArgs {
    #[command(subcommand)]
    pub action: Option<PlanAction>,
    #[command(flatten)]
    pub run: RunArgs,
    /// Write the plan to this file.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum PlanAction {
    /// Show what changed between two plans; exit code 2 when something did.
    Diff(PlanDiffArgs),
    /// Say whether a plan may be applied now, and if not, why.
    Check(PlanFileArgs),
}

#[derive(Clone, Debug, ClapArgs)]
pub struct PlanFileArgs {
    /// The plan file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct ApplyArgs {
    /// The plan file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub vault: VaultArgs,
    /// Hosts that are busy at once (default: 50).
    #[arg(short, long, value_name = "N", help_heading = "Hosts")]
    pub forks: Option<String>,
    /// End the run after this many seconds, as Ctrl-C twice does.
    #[arg(long, value_name = "SECONDS")]
    pub time_limit: Option<String>,
    /// Show what differs in files and settings.
    #[arg(short = 'D', long)]
    pub diff: bool,
}

/// How this user logs in; everything else about the run stands in the plan.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Connection")]
pub struct KeyArgs {
    /// Ask for the login password.
    #[arg(short = 'k', long)]
    pub ask_pass: bool,
    /// Read the login password from this file, or from what it prints if executable.
    #[arg(long, visible_alias = "conn-pass-file", value_name = "FILE", conflicts_with = "ask_pass")]
    pub connection_password_file: Option<PathBuf>,
    /// Log in with this private key.
    #[arg(long, visible_alias = "key-file", value_name = "FILE")]
    pub private_key: Option<PathBuf>,
    /// Give up connecting after this many seconds.
    #[arg(short = 'T', long, value_name = "SECONDS")]
    pub timeout: Option<String>,
    /// Ask for the password that becoming needs.
    #[arg(short = 'K', long)]
    pub ask_become_pass: bool,
    /// Read that password from this file, or from what it prints if executable.
    #[arg(long, visible_alias = "become-pass-file", value_name = "FILE", conflicts_with = "ask_become_pass")]
    pub become_password_file: Option<PathBuf>,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct PlanDiffArgs {
    /// The plan that is known.
    #[arg(value_name = "FILE")]
    pub before: PathBuf,
    /// The plan to compare with it.
    #[arg(value_name = "FILE")]
    pub after: PathBuf,
    /// Print the differences as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct InventoryArgs {
    /// The group to begin with, for --graph.
    #[arg(value_name = "GROUP")]
    pub group: Option<String>,
    /// All groups, hosts and their variables, in the format of inventory scripts.
    #[arg(long)]
    pub list: bool,
    /// The variables of one host.
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Groups and hosts as a tree (the default).
    #[arg(long)]
    pub graph: bool,
    /// With --graph: variables too.
    #[arg(long)]
    pub vars: bool,
    /// With --list and --host: as YAML.
    #[arg(short, long)]
    pub yaml: bool,
    /// With --list and --host: as TOML.
    #[arg(long)]
    pub toml: bool,
    /// With --list: variables stay where they were set.
    #[arg(long)]
    pub export: bool,
    /// Write it to this file.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Look for group_vars and host_vars here too.
    #[arg(long, value_name = "DIR")]
    pub playbook_dir: Option<PathBuf>,
    /// Show more of failures.
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    #[command(flatten)]
    pub hosts: HostArgs,
    #[command(flatten)]
    pub vault: VaultArgs,
    #[command(flatten)]
    pub extra: VarArgs,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What to show of the settings.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Every setting with its value, and where that was said.
    Dump {
        /// Only settings that are not as they are by default.
        #[arg(long, visible_alias = "changed-only")]
        only_changed: bool,
    },
    /// Every setting and its value as JSON.
    List,
    /// The ansible.cfg that counts.
    View,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct HostsArgs {
    #[command(subcommand)]
    pub command: HostsCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub enum HostsCommand {
    /// Show the keys of hosts that nobody knows yet, and record them in known_hosts.
    Trust(Box<TrustArgs>),
}

#[derive(Clone, Debug, ClapArgs)]
pub struct TrustArgs {
    /// Host or pattern.
    #[arg(value_name = "PATTERN", default_value = "all")]
    pub pattern: String,
    /// Record the keys without a question.
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub hosts: HostArgs,
    #[command(flatten)]
    pub vars: VarArgs,
    #[command(flatten)]
    pub login: LoginArgs,
    #[command(flatten)]
    pub vault: VaultArgs,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct FactsArgs {
    /// Host or pattern.
    #[arg(value_name = "PATTERN")]
    pub pattern: String,
    /// Only these kinds of facts, such as network or !hardware.
    #[arg(long, value_name = "SUBSET", value_delimiter = ',', allow_hyphen_values = true)]
    pub subset: Vec<String>,
    /// Only facts whose name matches this glob.
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub filter: Vec<String>,
    #[command(flatten)]
    pub hosts: HostArgs,
    #[command(flatten)]
    pub vars: VarArgs,
    #[command(flatten)]
    pub login: LoginArgs,
    #[command(flatten)]
    pub r#become: BecomeArgs,
    #[command(flatten)]
    pub vault: VaultArgs,
    /// Hosts that are busy at once (default: 50).
    #[arg(short, long, value_name = "N")]
    pub forks: Option<String>,
    /// Show more of failures.
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct ModulesArgs {
    /// The module to document.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct VaultWithArgs {
    #[command(subcommand)]
    pub command: VaultCommand,
}

/// What to do with encrypted files.
#[derive(Clone, Debug, Subcommand)]
pub enum VaultCommand {
    /// Write a new encrypted file in an editor.
    Create {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        new: EncryptAs,
        #[command(flatten)]
        vault: VaultArgs,
    },
    /// Change an encrypted file in an editor.
    Edit {
        #[command(flatten)]
        files: VaultFiles,
        #[command(flatten)]
        vault: VaultArgs,
    },
    /// Show what is in an encrypted file.
    View {
        #[command(flatten)]
        files: VaultFiles,
        #[command(flatten)]
        vault: VaultArgs,
    },
    /// Encrypt files, or stdin.
    Encrypt {
        #[command(flatten)]
        files: VaultFiles,
        #[command(flatten)]
        new: EncryptAs,
        #[command(flatten)]
        vault: VaultArgs,
    },
    /// Decrypt files, or stdin.
    Decrypt {
        #[command(flatten)]
        files: VaultFiles,
        #[command(flatten)]
        vault: VaultArgs,
    },
    /// Encrypt files anew with another password.
    Rekey {
        #[command(flatten)]
        files: VaultFiles,
        #[command(flatten)]
        new: EncryptAs,
        /// The new password as LABEL@FILE or LABEL@prompt.
        #[arg(long, value_name = "ID", conflicts_with = "new_vault_password_file")]
        new_vault_id: Option<String>,
        /// Read the new password from this file.
        #[arg(long, value_name = "FILE")]
        new_vault_password_file: Option<PathBuf>,
        #[command(flatten)]
        vault: VaultArgs,
    },
    /// Encrypt texts for use in a YAML file.
    #[command(name = "encrypt_string", visible_alias = "encrypt-string")]
    EncryptString {
        /// The texts; - stands for stdin.
        #[arg(value_name = "TEXT")]
        texts: Vec<String>,
        /// The variable's name; may be given again.
        #[arg(short, long, value_name = "NAME")]
        name: Vec<String>,
        /// The variable's name for what comes from stdin.
        #[arg(long, value_name = "NAME")]
        stdin_name: Option<String>,
        /// Ask for the text.
        #[arg(short, long)]
        prompt: bool,
        /// Write it to this file.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        new: EncryptAs,
        #[command(flatten)]
        vault: VaultArgs,
    },
}

#[derive(Clone, Debug, ClapArgs)]
pub struct VaultFiles {
    /// The files; - stands for stdin.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write the result to this file; - stands for stdout.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Show more of failures.
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Clone, Debug, Default, ClapArgs)]
pub struct EncryptAs {
    /// Encrypt with the password under this label.
    #[arg(long, value_name = "LABEL")]
    pub encrypt_vault_id: Option<String>,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct ApproveArgs {
    /// The plan file; the signature is put into it.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Sign with this private key, with the agent's key of this .pub file, or with "agent" for its only key.
    #[arg(short, long, value_name = "KEY")]
    pub key: Option<PathBuf>,
    /// What to say with it; it is signed too.
    #[arg(short, long, value_name = "NOTE")]
    pub message: Option<String>,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct VerifyArgs {
    /// The plan file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Whose keys count, as for ssh-keygen -Y verify; by default the file that xplay.toml names.
    #[arg(long, value_name = "FILE")]
    pub allowed_signers: Option<PathBuf>,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
