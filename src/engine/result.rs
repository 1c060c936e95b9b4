//! What a worker brings back from one task on one host.

use std::sync::Arc;
use std::time::Duration;

use super::event::Status;
use crate::diag::Diagnostic;
use crate::modules::{Diff, Failure, Outcome};
use crate::plan::{Followed, Observed};
use crate::template::{RenderError, VarMap};
use crate::transport::TransportError;
use crate::value::{Map, Unknown, Value};

/// The result of a task on one host, or of one item.
#[derive(Clone, Debug)]
pub struct TaskResult {
    pub status: Status,
    /// As registered and shown; always has `changed`.
    pub result: Map,
    pub diff: Vec<Diff>,
    /// What `register` keeps as `diff`; it is never shown with the result.
    pub diff_value: Option<Value>,
    pub warnings: Vec<String>,
    pub verbose_always: bool,
    pub explanation: Option<Box<Diagnostic>>,
    /// Set when the task looped.
    pub looped: bool,
    pub delegated: Option<(String, Option<String>)>,
    pub effects: Effects,
    pub elapsed: Duration,
    /// What planning learned, one for each item.
    pub units: Vec<Observed>,
    /// In a plan: why nothing of the result is known, not even whether there will be one.
    pub maybe: Option<Unknown>,
    /// What became of the plan's units, when a plan is followed.
    pub followed: Vec<Followed>,
    /// It comes from the journal: nothing was done now, and it was shown before.
    pub replayed: bool,
    /// The run was asked to stop before it came to an end; there is no verdict.
    pub halted: bool,
    /// It holds what must not be shown, whatever the task says.
    pub hidden: bool,
}

/// What a task does to the run's own state; carried out by the dispatcher.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Facts that a module found, and the host that they belong to if not the task's.
    pub facts: Vec<(Option<Arc<str>>, Map)>,
    /// `set_fact`.
    pub set: Map,
    pub include_vars: Vec<VarMap>,
    pub notify: Vec<String>,
    pub add_hosts: Vec<AddHost>,
    pub groups: Vec<(String, Vec<String>)>,
    pub stats: Vec<Stats>,
    /// Each file of a dynamic include with the item it was included for.
    pub includes: Vec<Include>,
}

/// One `add_host`.
#[derive(Clone, Debug, PartialEq)]
pub struct AddHost {
    pub name: String,
    pub groups: Vec<String>,
    pub vars: Map,
}

/// One `set_stats`.
#[derive(Clone, Debug)]
pub struct Stats {
    pub data: Map,
    pub per_host: bool,
    pub aggregate: bool,
}

/// One dynamic include that a host asked for.
#[derive(Clone, Debug)]
pub struct Include {
    pub target: String,
    /// Rendered options of `include_role`.
    pub options: Map,
    /// Loop variables that the included tasks see.
    pub locals: Map,
    pub label: Option<String>,
    /// In a plan: why it is not known whether it is included.
    pub maybe: Option<Unknown>,
}

/// Why a task did not come to an end that a module would report.
#[derive(Debug)]
pub enum Trouble {
    Failed {
        failure: Box<Failure>,
        explanation: Option<Box<Diagnostic>>,
    },
    /// Nothing ran.
    Unreachable(String),
    /// Something may have run.
    Lost(String),
    /// It ran longer than it may, and was ended, or it is told why it may still run.
    TimedOut {
        text: String,
        still: Option<String>,
    },
}

impl Trouble {
    pub fn msg(msg: impl Into<String>) -> Self {
        Failure::new(msg).into()
    }

    /// A condition could not be evaluated.
    pub fn condition(text: &str, error: &RenderError) -> Self {
        let message = error.message();
        let msg = format!(
            "The conditional check '{text}' failed. The error was: error while evaluating conditional ({text}): {message}"
        );
        Self::rendering(msg, error)
    }

    fn rendering(msg: String, error: &RenderError) -> Self {
        let mut failure = Failure { unknown: error.unknown().cloned().map(Box::new), ..Failure::new(msg) };
        // Of all that can go wrong in a template Ansible lets this alone through as a failure of its own program.
        if error.message().ends_with("by zero") {
            failure = failure.with("exception", "ZeroDivisionError: division by zero");
        }
        Trouble::Failed { failure: Box::new(failure), explanation: Some(error.diagnostic.clone()) }
    }

    /// Returns what is not known yet, when that is all that went wrong.
    pub fn unknown(&self) -> Option<&Unknown> {
        match self {
            Trouble::Failed { failure, .. } => failure.unknown.as_deref(),
            Trouble::Unreachable(_) | Trouble::Lost(_) | Trouble::TimedOut { .. } => None,
        }
    }
}

/// Adds `stdout_lines` and `stderr_lines` to what a module returned.
fn add_lines(result: &mut Map) {
    for key in ["stdout", "stderr"] {
        let name = format!("{key}_lines");
        if let (Some(Value::Str(text)), false) = (result.get(key), result.contains(&name)) {
            let lines: Vec<Value> = text.lines().map(Value::from).collect();
            result.insert(name, Value::list(lines));
        }
    }
}

/// Makes a failure of mistakes found while loading something.
pub fn explain(diagnostics: Vec<Diagnostic>) -> Trouble {
    let msg = diagnostics.iter().map(|d| d.message.clone()).collect::<Vec<_>>().join("; ");
    Trouble::Failed {
        failure: Box::new(Failure::new(msg)),
        explanation: diagnostics.into_iter().next().map(Box::new),
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble::Failed { failure: Box::new(failure), explanation: None }
    }
}

/// How the message about a variable that does not exist begins.
pub const UNDEFINED_OPTION: &str = "The task includes an option with an undefined variable.";

impl From<RenderError> for Trouble {
    /// A template of the task could not be rendered.
    fn from(error: RenderError) -> Self {
        let msg = if error.is_undefined() {
            format!("{UNDEFINED_OPTION} The error was: {}", error.message())
        } else {
            error.message().to_string()
        };
        Trouble::rendering(msg, &error)
    }
}

impl From<TransportError> for Trouble {
    fn from(error: TransportError) -> Self {
        let text = describe(&error);
        match error {
            TransportError::Lost { .. } => Trouble::Lost(text),
            TransportError::Timeout { still, .. } => Trouble::TimedOut { text, still },
            TransportError::Protocol { .. } | TransportError::Local { .. } => Trouble::msg(text),
            _ => Trouble::Unreachable(text),
        }
    }
}

/// The error with its causes and what to do about it.
fn describe(error: &TransportError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    if let Some(help) = error.help() {
        text = format!("{text}; {help}");
    }
    text
}

impl TaskResult {
    pub fn new(status: Status, mut result: Map) -> Self {
        if !result.contains("changed") {
            result.insert("changed", status == Status::Changed);
        }
        TaskResult {
            status,
            result,
            diff: Vec::new(),
            diff_value: None,
            warnings: Vec::new(),
            verbose_always: false,
            explanation: None,
            looped: false,
            delegated: None,
            effects: Effects::default(),
            elapsed: Duration::ZERO,
            units: Vec::new(),
            maybe: None,
            followed: Vec::new(),
            replayed: false,
            halted: false,
            hidden: false,
        }
    }

    /// What is returned for a task that the end of the run cut short.
    pub fn halted() -> Self {
        TaskResult { halted: true, ..Self::skipped("the run was asked to stop") }
    }

    pub fn ok(result: Map) -> Self {
        Self::new(Status::Ok, result)
    }

    pub fn skipped(reason: &str) -> Self {
        Self::new(
            Status::Skipped,
            Map::from_iter([("skipped", Value::from(true)), ("skip_reason", Value::str(reason))]),
        )
    }

    pub fn from_outcome(outcome: Outcome) -> Self {
        let status = match (outcome.skipped, outcome.changed) {
            (true, _) => Status::Skipped,
            (_, true) => Status::Changed,
            _ => Status::Ok,
        };
        let mut result = outcome.result;
        add_lines(&mut result);
        result.insert("changed", outcome.changed);
        if outcome.skipped {
            result.insert("skipped", true);
        }
        TaskResult { diff: outcome.diff, warnings: outcome.warnings, ..Self::new(status, result) }
    }

    pub fn from_trouble(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Failed { failure, explanation } => {
                let mut result = failure.result;
                add_lines(&mut result);
                result.insert("msg", failure.msg);
                let warnings = match result.remove("warnings") {
                    Some(Value::List(texts)) => texts.iter().map(Value::to_text).collect(),
                    _ => Vec::new(),
                };
                let diff = failure.diff.into();
                TaskResult { diff, warnings, explanation, ..Self::new(Status::Failed, result) }
            }
            Trouble::TimedOut { text, .. } => Self::from_trouble(Trouble::msg(text)),
            Trouble::Unreachable(msg) => Self::new(
                Status::Unreachable,
                Map::from_iter([("msg", Value::str(msg)), ("unreachable", true.into())]),
            ),
            Trouble::Lost(msg) => Self::new(
                Status::Lost,
                Map::from_iter([
                    ("msg", Value::str(msg)),
                    ("unreachable", true.into()),
                    ("lost", true.into()),
                ]),
            ),
        }
    }

    /// Returns the value that `register` keeps.
    pub fn registered(&self) -> Value {
        if let Some(unknown) = &self.maybe {
            return Value::Unknown(unknown.clone());
        }
        let mut map = self.result.clone();
        // What `debug` shows leaves it out; what is registered has it always.
        if !map.contains("changed") {
            map.insert("changed", false);
        }
        map.insert("failed", matches!(self.status, Status::Failed | Status::Ignored));
        if self.status == Status::Skipped {
            map.insert("skipped", true);
        }
        if !self.warnings.is_empty() {
            map.insert("warnings", self.warnings.clone());
        }
        if let Some(diff) = &self.diff_value {
            map.insert("diff", diff.clone());
        }
        Value::map(map)
    }

    pub fn is_failure(&self) -> bool {
        matches!(self.status, Status::Failed | Status::Unreachable | Status::Lost)
    }
}
