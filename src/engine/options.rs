//! What the user asked for, as far as the engine needs to know it.

use std::path::PathBuf;
use std::time::Duration;

use super::fact_cache::FactCache;
use super::strategy::Strategy;
use crate::diag::Style;
use crate::transport::{BecomeMethod, HostKeyPolicy};
use crate::value::Secret;

/// Settings of one run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Hosts that are busy at once.
    pub forks: usize,
    /// How many files connections that wait for their next task may take.
    pub open_files: usize,
    pub check: bool,
    pub diff: bool,
    pub verbosity: u8,
    pub tags: Vec<String>,
    pub skip_tags: Vec<String>,
    pub limit: Option<String>,
    pub start_at_task: Option<String>,
    pub force_handlers: bool,
    /// How mistakes in the project's files are shown that hosts run into.
    pub style: Style,
    /// Where facts outlive the run.
    pub fact_cache: Option<FactCache>,
    /// Facts that were kept are forgotten first.
    pub flush_cache: bool,
    pub missing_handlers_are_errors: bool,
    /// `jinja2_native`: texts that look like booleans stay texts in `set_fact`.
    pub native_types: bool,
    /// How hosts go through plays that do not say it.
    pub strategy: Strategy,
    /// Facts are gathered unless a play says no (Ansible's default), or only where a play says yes.
    pub gather: Gather,
    /// Which facts are gathered for plays that do not say it.
    pub extent: Extent,
    /// The Python of this machine, where there is one: `ansible_playbook_python`.
    pub python: Option<String>,
    /// Facts are variables too.
    pub inject_facts: bool,
    /// The modules that gather facts; `smart` is `setup`.
    pub facts_modules: Vec<String>,
    /// What runs modules in Python where no variable says it.
    pub interpreter_python: Option<String>,
    /// Seconds between two looks at a task in the background that does not say it.
    pub poll_secs: f64,
    /// Banners show what tasks are called with.
    pub shows_arguments: bool,
    /// Failures start the debugger unless a task says otherwise.
    pub debugs_failures: bool,
    /// Failures that are ignored do not.
    pub debugger_spares_ignored: bool,
    /// Dicts of several layers of variables are merged.
    pub merge_dicts: bool,
    pub rehearsal: bool,
    /// Nothing is changed anywhere; every step says what it would do ([`super::Event::Foreseen`]).
    pub planning: bool,
    pub login: Login,
    pub step: bool,
    /// What becomes of parts of host patterns that match nothing.
    pub mismatch: Mismatch,
    /// How long the run may take as a whole; whoever runs it asks it to end then.
    pub time_limit: Option<Duration>,
}

/// What becomes of a part of a host pattern that matches nothing (`host_pattern_mismatch`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mismatch {
    #[default]
    Told,
    Ignored,
    Error,
}

/// When facts are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gather {
    Implicit,
    Explicit,
    /// Like implicit, but once per host and run.
    Smart,
}

/// Which facts plays gather that have no `gather_subset`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// Ansible's default.
    #[default]
    All,
    /// Those that the project speaks of. Who has loaded the project makes `Groups` of it; the engine gathers all.
    Mentioned,
    /// These groups, in the words of `gather_subset`; without words no facts are gathered.
    Groups(Vec<String>),
}

/// Defaults for connections; variables and keywords override them.
#[derive(Clone, Debug)]
pub struct Login {
    pub connection: Option<String>,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub password: Option<Secret>,
    pub key: Option<PathBuf>,
    /// What counts before ssh_config.
    pub host_keys: Option<HostKeyPolicy>,
    pub timeout: Option<Duration>,
    /// Arguments for OpenSSH's client, by the settings that have them.
    pub ssh_args: String,
    pub common_args: String,
    pub extra_args: String,
    pub r#become: bool,
    pub become_user: String,
    pub become_method: BecomeMethod,
    pub become_password: Option<Secret>,
}

impl Default for Login {
    fn default() -> Self {
        Login {
            connection: None,
            user: None,
            port: None,
            password: None,
            key: None,
            host_keys: None,
            timeout: None,
            ssh_args: String::new(),
            common_args: String::new(),
            extra_args: String::new(),
            r#become: false,
            become_user: "root".into(),
            become_method: BecomeMethod::Sudo,
            become_password: None,
        }
    }
}

impl RunOptions {
    /// Whether `--check` predicts as a plan does, each step from what the ones before it would leave. Under Ansible's
    /// names each step is predicted from what is there, as scripts expect it.
    pub fn previews(&self) -> bool {
        self.check && self.style != Style::Ansible
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions {
            forks: 50,
            open_files: 1000,
            check: false,
            diff: false,
            verbosity: 0,
            tags: Vec::new(),
            skip_tags: Vec::new(),
            limit: None,
            start_at_task: None,
            force_handlers: false,
            style: Style::Plain,
            fact_cache: None,
            flush_cache: false,
            missing_handlers_are_errors: true,
            native_types: false,
            strategy: Strategy::Linear,
            gather: Gather::Implicit,
            extent: Extent::All,
            python: None,
            inject_facts: true,
            facts_modules: vec!["smart".into()],
            interpreter_python: None,
            poll_secs: 15.0,
            shows_arguments: false,
            debugs_failures: false,
            debugger_spares_ignored: true,
            merge_dicts: false,
            rehearsal: false,
            planning: false,
            login: Login::default(),
            step: false,
            mismatch: Mismatch::Told,
            time_limit: None,
        }
    }
}
