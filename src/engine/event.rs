//! What the engine says while it works. Every output (terminal, JSON lines, HTML, journal) consumes this one stream.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};

use super::ask::Shown;
use crate::modules::Diff;
use crate::plan::{Followed, Observed};
use crate::value::{Map, Value};

/// One thing that happened, in the order in which the dispatcher learned of it.
#[derive(Clone, Debug)]
pub enum Event {
    RunStarted {
        playbooks: Vec<PathBuf>,
        check: bool,
        rehearsal: bool,
    },
    /// A playbook begins that has so many plays.
    PlaybookStarted {
        path: PathBuf,
        plays: usize,
    },
    PlayStarted {
        name: String,
        hosts: Vec<Arc<str>>,
        /// Counts the play's batches from 0.
        batch: usize,
        /// Whether tasks run on all hosts before the next one begins.
        lockstep: bool,
        check: bool,
    },
    /// The pattern matched nothing.
    NoHostsMatched,
    /// All hosts of the play failed.
    NoHostsLeft,
    TaskStarted(Arc<TaskHeader>),
    /// A dynamic include was loaded for these hosts.
    Included {
        task: Arc<TaskHeader>,
        file: PathBuf,
        hosts: Vec<Arc<str>>,
        item: Option<String>,
    },
    /// One item of a loop ended.
    Item(HostResult),
    /// The task ended on one host.
    Host(HostResult),
    /// What planning learned of a step on one host.
    Foreseen {
        task: Arc<TaskHeader>,
        host: Arc<str>,
        units: Vec<Observed>,
    },
    /// What became of a plan's step on one host.
    Followed {
        task: Arc<TaskHeader>,
        host: Arc<str>,
        units: Vec<Followed>,
    },
    /// `until` was not yet true.
    Retry {
        host: Arc<str>,
        task: Arc<TaskHeader>,
        left: u32,
        result: Map,
    },
    /// A line for people from a script that is still running.
    Progress {
        host: Arc<str>,
        line: String,
    },
    /// What was on the way and is now known to be lost or late.
    Warning(String),
    Deprecation(String),
    /// Something is asked, and the answer is waited for. What shows events shows it at once and lets go of it.
    Question {
        text: String,
        shown: Shown,
    },
    /// The question was answered; the work goes on.
    Answered {
        /// The question, where it is to be shown once more with its answer.
        text: Option<String>,
        answer: String,
    },
    /// `pause` with a prompt and the like: text that must be seen.
    Notice(String),
    PlayEnded,
    RunEnded(Arc<Recap>),
}

/// What all results of one task have in common.
#[derive(Clone, Debug, Default)]
pub struct TaskHeader {
    /// What the task is called with, where banners show it.
    pub arguments: String,
    pub id: String,
    /// As shown: `role : name`.
    pub name: String,
    /// The name without the role.
    pub bare_name: String,
    pub module: String,
    pub kind: TaskKind,
    /// `path:line` of the task.
    pub place: Option<String>,
    pub check: bool,
    /// Whether differences are to be shown.
    pub diff: bool,
    pub no_log: bool,
    pub tags: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskKind {
    #[default]
    Task,
    Handler,
}

/// How a task or an item ended on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    Changed,
    Skipped,
    Failed,
    /// Failed, but `ignore_errors` or `ignore_unreachable` said to go on.
    Ignored,
    Unreachable,
    /// Sent, but no verdict came back.
    Lost,
}

impl Status {
    /// Returns the word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Changed => "changed",
            Status::Skipped => "skipped",
            Status::Failed => "failed",
            Status::Ignored => "ignored",
            Status::Unreachable => "unreachable",
            Status::Lost => "lost",
        }
    }
}

/// The result of a task or an item on one host.
#[derive(Clone, Debug)]
pub struct HostResult {
    pub host: Arc<str>,
    /// Where it ran when not on the host itself, with the address if that differs.
    pub delegated: Option<(String, Option<String>)>,
    pub task: Arc<TaskHeader>,
    pub status: Status,
    /// The loop item's label; nothing for the task as a whole.
    pub item: Option<String>,
    /// The task looped, so its items were shown already.
    pub looped: bool,
    pub result: Map,
    pub diff: Vec<Diff>,
    pub warnings: Vec<String>,
    /// Show the result even without `-v` (`debug`).
    pub verbose_always: bool,
    /// A code frame for a mistake in the project's files that this host ran into.
    pub explanation: Option<String>,
    pub elapsed: Duration,
}

/// Counts per host, with the names and meanings of Ansible's recap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub ok: u32,
    pub changed: u32,
    pub unreachable: u32,
    pub failed: u32,
    pub skipped: u32,
    pub rescued: u32,
    pub ignored: u32,
}

/// How the run ended.
#[derive(Clone, Debug, Default)]
pub struct Recap {
    pub hosts: IndexMap<Arc<str>, Counts>,
    /// Hosts whose failures `meta: clear_host_errors` took back.
    pub forgiven: IndexSet<Arc<str>>,
    pub elapsed: Duration,
    /// `set_stats`.
    pub custom: Map,
}

impl Recap {
    /// Adds what another part of the run counted.
    pub fn absorb(&mut self, other: Recap) {
        for (host, counts) in other.hosts {
            let own = self.hosts.entry(host).or_default();
            own.ok += counts.ok;
            own.changed += counts.changed;
            own.unreachable += counts.unreachable;
            own.failed += counts.failed;
            own.skipped += counts.skipped;
            own.rescued += counts.rescued;
            own.ignored += counts.ignored;
        }
        self.forgiven.extend(other.forgiven);
        self.custom.extend(other.custom);
    }

    pub fn any_failed(&self) -> bool {
        self.hosts.iter().any(|(h, c)| c.failed > 0 && !self.forgiven.contains(h))
    }

    pub fn any_unreachable(&self) -> bool {
        self.hosts.iter().any(|(h, c)| c.unreachable > 0 && !self.forgiven.contains(h))
    }
}

impl HostResult {
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.result.get(key)
    }
}
