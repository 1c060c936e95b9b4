//! The records of a journal: one JSON object each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::event::Status;

/// The version of the format.
pub const FORMAT: u32 = 1;

/// One record. What people may read is masked; results, arguments and answers are sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    Begun(Box<Head>),
    /// Digests of the files that the run is made of.
    Inputs {
        files: BTreeMap<String, String>,
    },
    /// Answers to `vars_prompt`.
    Prompted {
        answers: String,
    },
    Resumed {
        at: Timestamp,
        pid: u32,
    },
    Step {
        number: u32,
        id: String,
        name: String,
        module: String,
        place: String,
    },
    /// A change is about to be sent.
    Sent(Sent),
    Verdict(Verdict),
    /// A loop ended on a host.
    Done {
        step: u32,
        host: String,
        turn: u32,
    },
    /// A job in the background ended, and its end is known on the target.
    JobEnded(At),
    Decided(Decision),
    /// Somebody asked the run to stop.
    Stopping {
        at: Timestamp,
    },
    Ended {
        at: Timestamp,
        how: EndKind,
        /// Per host: ok, changed, unreachable, failed, skipped, rescued, ignored.
        hosts: BTreeMap<String, [u32; 7]>,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndKind {
    Complete,
    /// Hosts failed or were lost.
    Failed,
    Stopped,
    /// A mistake in the project ended it.
    Mistake,
}

/// What a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    pub format: u32,
    pub id: String,
    pub started: Timestamp,
    pub version: String,
    pub user: String,
    pub controller: String,
    pub pid: u32,
    /// What is run, for people.
    pub title: String,
    pub cwd: String,
    /// The words of the command line and the settings of the environment, sealed.
    pub command: String,
    /// Whether the key that seals was made of vault passwords.
    pub by_vault: bool,
    /// Random, for the key.
    pub salt: String,
}

/// One execution of a step on a host, or of one item of its loop.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepKey {
    pub task: Arc<str>,
    pub host: Arc<str>,
    /// Counts executions of the same task on the host, from 1.
    pub turn: u32,
    pub item: Option<u32>,
}

/// A [`StepKey`] in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    pub step: u32,
    pub host: String,
    pub turn: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
}

impl At {
    pub fn new(step: u32, key: &StepKey) -> Self {
        At { step, host: key.host.to_string(), turn: key.turn, item: key.item }
    }

    pub fn named(&self, names: &HashMap<u32, Arc<str>>) -> Option<StepKey> {
        let task = names.get(&self.step)?.clone();
        Some(StepKey { task, host: self.host.as_str().into(), turn: self.turn, item: self.item })
    }
}

/// A change that is about to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    #[serde(default)]
    pub at: At,
    /// Counts attempts of `until`, from 1.
    pub attempt: u32,
    /// Doing it again does no harm.
    pub repeatable: bool,
    /// Marks of commands on the target that must not run twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<String>,
    /// Long commands that go on by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
    /// What a reboot has to differ from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub at: At,
    pub status: Status,
    /// It counts when the run is resumed; failures that took the host out are tried again.
    pub settled: bool,
    /// Why it failed, masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Sealed.
    pub result: String,
}

/// What the user says of a step whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// A step's id, the digest at its end, or its path.
    pub step: String,
    /// Only on this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// It was done; else it is done again.
    pub done: bool,
}

impl Decision {
    /// Reads `STEP` or `STEP@HOST`.
    pub fn parse(text: &str, done: bool) -> Self {
        match text.rsplit_once('@') {
            Some((step, host)) if !step.is_empty() && !host.is_empty() => {
                Decision { step: step.into(), host: Some(host.into()), done }
            }
            _ => Decision { step: text.into(), host: None, done },
        }
    }

    pub fn means(&self, key: &StepKey) -> bool {
        let (path, digest) = key.task.rsplit_once('#').unwrap_or((&key.task, ""));
        let name = path.rsplit('/').next().unwrap_or(path);
        let named = [&*key.task, path, digest, name].contains(&self.step.as_str());
        named && self.host.as_deref().is_none_or(|host| host == &*key.host)
    }
}
