//! What an execution needs, got ready before it is known on which shell it runs.

use std::time::{Duration, Instant};

use super::ahead::Foretold;
use super::execute::Execution;
use super::files::TaskFiles;
use super::item::{Delegate, ItemRun};
use super::login::Reach;
use super::result::Trouble;
use crate::modules::{self, Failure};
use crate::value::{Map, Value};

/// An execution with all that it needs, before it is known on which shell it runs.
pub struct Prepared {
    pub module: &'static dyn modules::Module,
    pub args: modules::Args,
    pub reach: Reach,
    pub delegated: Option<Delegate>,
    pub files: TaskFiles,
    pub environment: Vec<(String, String)>,
    pub check: bool,
    pub diff: bool,
    pub timeout: Option<Duration>,
    pub job: String,
    pub attempt: u32,
}

impl Prepared {
    pub fn execution<'a>(&'a self, item: &'a ItemRun, foretold: Option<&'a Foretold>) -> Execution<'a> {
        Execution {
            shared: &item.shared,
            module: self.module,
            args: self.args.clone(),
            reach: &self.reach,
            host: item.scope.host().clone(),
            files: &self.files,
            environment: self.environment.clone(),
            check: self.check,
            diff: self.diff,
            timeout: self.timeout,
            job: self.job.clone(),
            background: item.task.async_.is_some(),
            unit: item.unit.clone(),
            step: item.stepped(self.attempt),
            began: Instant::now(),
            no_log: item.header.no_log,
            foretold,
        }
    }

    /// Says what a module's own words leave out: the template that was wrong, the time limit.
    pub fn explained(&self, trouble: Trouble, name: &str) -> Trouble {
        match trouble {
            Trouble::TimedOut { text, still } => match self.timeout {
                Some(limit) => out_of_time(name, limit, still.as_deref()),
                None => Trouble::msg(text),
            },
            Trouble::Failed { failure, explanation: None } => {
                Trouble::Failed { failure, explanation: self.files.take_mistake() }
            }
            other => other,
        }
    }
}

/// What says in a result that the task may not have ended on its host.
pub const MAY_STILL_RUN: &str = "may_still_run";

/// The failure of a task that took longer than its `timeout`.
fn out_of_time(name: &str, limit: Duration, still: Option<&str>) -> Trouble {
    let seconds = limit.as_secs();
    let short = modules::short_name(name).unwrap_or(name);
    let period = Map::from_iter([("period", Value::from(seconds))]);
    let end = match still {
        Some(reason) => format!("; it may still run: {reason}"),
        None => " and was terminated".to_string(),
    };
    let text = format!("The {short} action failed to execute in the expected time frame ({seconds}){end}");
    let failure = Failure::new(text).with("timedout", Value::map(period));
    match still {
        Some(_) => failure.with(MAY_STILL_RUN, true).into(),
        None => failure.into(),
    }
}
