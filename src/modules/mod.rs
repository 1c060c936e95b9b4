//! Modules: what to look at, what would change, what came out. One file per module, found by its Ansible name.
//!
//! A module is a set of pure functions; the engine does all input and output. [`Module::probe`] gives a script that
//! only reads, [`Module::plan`] turns its output into a [`Prediction`], whose [`Change`] is data that the engine
//! executes, and [`Module::finish`] turns the outputs into the result. A module cannot print or open sockets.

/// Appends formatted text to a script.
macro_rules! add {
    ($script:expr, $($arg:tt)*) => {{
        use std::fmt::Write as _;
        // Writing into a string cannot fail.
        let _ = write!($script, $($arg)*);
    }};
}

mod args;
mod call;
mod check;
mod local;
mod registry;
pub mod words;
mod attrs;
mod text;
mod write;
pub mod put;
mod edit;
mod account;
mod tool;
mod http;
mod world;
#[cfg(test)]
mod testing;

mod alternatives;
mod archive;
mod assemble;
mod at;
mod expect;
mod expect_pattern;
mod htpasswd;
mod htpasswd_hash;
mod mount_facts;
mod iptables;
mod seboolean;
mod sefcontext;
mod seport;
mod selinux;
mod service_facts;
mod authorized_key;
mod cron;
mod get_url;
mod git;
mod git_script;
mod hostname;
mod ini_file;
mod mount;
mod firewalld;
mod locale_gen;
mod modprobe;
mod mysql;
mod timezone;
mod sysctl;
mod known_hosts;
mod group;
mod user;
mod user_change;
mod user_key;
mod service;
mod subversion;
mod ssh_config;
mod synchronize;
mod systemd;
mod setup;
mod ufw;
mod unarchive;
mod uri;
mod wait_for;
mod blockinfile;
mod fetch;
mod foreign;
mod find;
mod getent;
mod nmcli;
mod npm;
mod acl;
mod capabilities;
mod gem;
mod make;
mod openssh_keypair;
mod packaging;
mod pam_limits;
mod pamd;
mod postgresql;
mod storage;
mod ping;
mod slurp;
mod stat;
mod tempfile;
mod command;
mod copy;
mod copy_tree;
mod file;
#[cfg(test)]
mod file_tests;
mod script;
mod template;
mod lineinfile;
mod replace;

pub mod controller;
pub mod diff_value;
pub mod sh;
pub mod xcat;
pub mod xml;

pub use args::{ArgKind, ArgSpec, Args, ModuleSpec, Rule};
pub use call::{Call, Links, LocalEntry, LocalFiles, LocalKind, LocalStat, Target, foreseen};
pub use check::{ArgIssue, Completeness, fits_kind};
pub use command::{MOST_OUTPUT as MOST_COMMAND_OUTPUT, is_cut};
pub use foreign::Foreign;
pub use local::{Wanted, hex, sha256};
pub use packaging::MANAGERS as PACKAGE_MANAGERS;
pub use registry::{controller_spec, find, modules, names, short_name, spec};
pub use world::{Body, Certainty, FileAfter, Known, Relations, Row, Thing, Touch, World};

use std::path::PathBuf;
use std::time::Duration;

use crate::transport::{Content, Output};
use crate::value::{Map, Unknown, Value};

/// A module that works on a target through scripts.
pub trait Module: Send + Sync {
    fn spec(&self) -> &'static ModuleSpec;

    /// Returns what takes this machine a while and can be done before the target is reached.
    fn early(&self, args: &Args, local: &dyn LocalFiles) -> Option<Early> {
        let _ = (args, local);
        None
    }

    /// Returns the script that looks at the target. It must not write. Nothing when there is nothing to look at.
    fn probe(&self, call: &Call) -> Result<Option<String>, Failure>;

    /// Returns a second script that only reads, asked for in check mode: a simulation by the tool that would make the
    /// change, with what the first look found.
    fn simulate(&self, call: &Call, seen: &Seen) -> Result<Option<String>, Failure> {
        let _ = (call, seen);
        Ok(None)
    }

    /// Returns what must be done before it can be decided what is to do, such as fetching lists of packages. Never
    /// asked for in check mode.
    fn prepare(&self, call: &Call, seen: &Seen) -> Result<Option<Run>, Failure> {
        let _ = (call, seen);
        Ok(None)
    }

    /// Returns the file whose attributes and digest the probe asks for, so that the probes of several calls can look at
    /// all of them at once.
    fn watches(&self, call: &Call) -> Option<String> {
        let _ = call;
        None
    }

    /// Predicts from the probe's output, and says how to bring the change about. Pure.
    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure>;

    /// Returns the things besides files that the call has to do with. Where an earlier step of a plan changes one that is
    /// read here, nothing that is foreseen is certain.
    fn relations(&self, call: &Call) -> Relations {
        let _ = call;
        Relations::default()
    }

    /// Returns what only one run at a time may change on the target. Its locks are held from the last look to the last
    /// action.
    fn locks(&self, call: &Call) -> Locks {
        let _ = call;
        Locks::default()
    }

    /// Returns the user that must have no processes on the target for the change, so that shells are closed in which tasks
    /// ran as this user.
    fn parts_with(&self, args: &Args) -> Option<String> {
        let _ = args;
        None
    }

    /// Whether it reaches another host by itself: the task is led to where that begins, and told the way in `_route`.
    fn logs_in_itself(&self) -> bool {
        false
    }

    /// Returns the hosts that an executed change has started anew, so that they may show another key.
    fn started_anew(&self, result: &Map) -> Vec<String> {
        let _ = result;
        Vec::new()
    }

    /// Makes the result of an executed change; `ran` holds one output per action. The default takes the predicted
    /// result and fails when an action failed.
    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let _ = call;
        for output in ran {
            if output.rc != 0 {
                return Err(Failure::from_output(output));
            }
        }
        Ok(prediction.into_outcome())
    }
}

/// Work on this machine whose result is found again when it is needed.
pub type Early = Box<dyn FnOnce() + Send>;

/// Names of what a module wants for itself on its target, such as `osimage:NAME`, and how long it waits for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locks {
    pub names: Vec<String>,
    pub patience: Duration,
}

/// What the probe printed. Empty with `rc` 0 when the module has no probe.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub rc: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Some output had no room and is missing.
    pub truncated: bool,
    /// What [`Module::simulate`]'s or [`Module::prepare`]'s script printed, when there was one.
    pub more: Option<Box<Seen>>,
}

/// What would happen on one host.
#[derive(Clone, Debug)]
pub struct Prediction {
    pub effect: Effect,
    /// The module's return values as predicted; may hold unknowns.
    pub result: Map,
    pub diff: Vec<Diff>,
    /// How to bring it about; nothing when nothing is to do.
    pub change: Option<Change>,
    pub warnings: Vec<String>,
    /// What the change leaves different on the target, for the steps after it in a plan.
    pub touches: Vec<Touch>,
    /// What follows for others, in words: which nodes lose a service, who boots from what is replaced.
    pub consequences: Vec<String>,
    /// What earlier steps of a plan change first, so that not all of this can come true to the letter.
    pub depends: Vec<Unknown>,
}

/// How sure a prediction is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Examined, and already as wanted.
    Same,
    /// Will change as the diff says.
    Change,
    /// Will run; what it does is not known before.
    Unknown,
    /// Only reads; was or will be executed and changes nothing.
    Read,
    /// Will not run, with the reason (`creates`, `removes`).
    Skip(String),
}

/// A change as data: actions in order; the first that fails ends it.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub actions: Vec<Action>,
}

/// One thing that the engine does for a change.
#[derive(Clone, Debug)]
pub enum Action {
    Run(Run),
    /// Writes bytes that an earlier action printed to a file on this side (`fetch`).
    SaveLocal {
        path: PathBuf,
        from: usize,
        mode: Option<u32>,
    },
}

/// A script to run on the target.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub script: String,
    pub stdin: Option<Content>,
    /// Takes minutes: runs under the durable stub, and its output is shown while it runs.
    pub long: bool,
    pub timeout_secs: Option<u64>,
    /// What it replaces, where it does only that: several of them can be made by one script.
    pub put: Option<put::Put>,
}

/// What differs, for `--diff` and plans.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    pub before_header: String,
    pub after_header: String,
    pub before: DiffSide,
    pub after: DiffSide,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DiffSide {
    Text(String),
    /// Attributes such as mode, owner, state.
    Attributes(Map),
    Binary {
        size: u64,
        sha256: String,
    },
    Absent,
}

/// What happened on one host.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub changed: bool,
    pub skipped: bool,
    pub result: Map,
    pub diff: Vec<Diff>,
    pub warnings: Vec<String>,
}

/// A module that did not succeed: a value, not a failure of xplay.
#[derive(Clone, Debug, Default)]
pub struct Failure {
    pub msg: String,
    /// Other return values, such as `rc`, `stdout`, `stderr`.
    pub result: Map,
    pub diff: Box<[Diff]>,
    /// Nothing went wrong: what the module needs is not known before an earlier step of the plan has run.
    pub unknown: Option<Box<Unknown>>,
}

impl Failure {
    pub fn new(msg: impl Into<String>) -> Self {
        Failure { msg: msg.into(), ..Failure::default() }
    }

    /// Says that a prediction depends on what an earlier step of the plan will do.
    pub fn unknown(unknown: Unknown) -> Self {
        Failure {
            msg: format!("not known before it runs: {}", unknown.cause),
            unknown: Some(Box::new(unknown)),
            ..Failure::default()
        }
    }

    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.result.insert(key, value);
        self
    }

    /// Returns the failure of a script that xplay itself wrote: its last words on stderr are the message.
    pub fn from_output(output: &Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let msg = stderr.trim();
        let msg =
            if msg.is_empty() { format!("the script ended with rc {}", output.rc) } else { msg.to_string() };
        Failure::new(msg)
            .with("rc", output.rc)
            .with("stdout", String::from_utf8_lossy(&output.stdout).into_owned())
            .with("stderr", stderr.into_owned())
    }
}

impl Prediction {
    fn new(effect: Effect, result: Map, change: Option<Change>) -> Self {
        Prediction {
            effect,
            result,
            diff: Vec::new(),
            change,
            warnings: Vec::new(),
            touches: Vec::new(),
            consequences: Vec::new(),
            depends: Vec::new(),
        }
    }

    /// Already as wanted.
    pub fn same(result: Map) -> Self {
        Self::new(Effect::Same, result, None)
    }

    /// Nothing is ever changed by this.
    pub fn read(result: Map) -> Self {
        Self::new(Effect::Read, result, None)
    }

    /// Will change by the given actions.
    pub fn change(result: Map, actions: Vec<Action>) -> Self {
        Self::new(Effect::Change, result, Some(Change { actions }))
    }

    /// Will run with an effect that is not known before.
    pub fn unknown(result: Map, actions: Vec<Action>) -> Self {
        Self::new(Effect::Unknown, result, Some(Change { actions }))
    }

    pub fn skip(reason: impl Into<String>, result: Map) -> Self {
        Self::new(Effect::Skip(reason.into()), result, None)
    }

    pub fn diff(mut self, diff: Diff) -> Self {
        self.diff.push(diff);
        self
    }

    /// Adds what the change leaves different.
    pub fn touch(mut self, touch: Touch) -> Self {
        self.touches.push(touch);
        self
    }

    /// Whether it counts as changed.
    pub fn changes(&self) -> bool {
        matches!(self.effect, Effect::Change | Effect::Unknown)
    }

    /// Returns the outcome for a prediction that came true.
    pub fn into_outcome(self) -> Outcome {
        Outcome {
            changed: self.changes(),
            skipped: matches!(self.effect, Effect::Skip(_)),
            result: self.result,
            diff: self.diff,
            warnings: self.warnings,
        }
    }
}

impl Action {
    pub fn run(script: impl Into<String>) -> Self {
        Action::Run(Run { script: script.into(), ..Run::default() })
    }
}

impl From<Output> for Seen {
    fn from(output: Output) -> Self {
        Seen {
            rc: output.rc,
            stdout: output.stdout,
            stderr: output.stderr,
            truncated: output.truncated,
            more: None,
        }
    }
}

impl Seen {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}
