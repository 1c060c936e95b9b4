//! Attempts of one item, and what its own conditions say of each: `until`, `changed_when`, `failed_when`.

use std::sync::Arc;

use super::event::{Event, Status};
use super::item::ItemRun;
use super::login::seconds;
use super::result::{TaskResult, Trouble, UNDEFINED_OPTION};
use crate::diag::{self, Style};
use crate::template::{Scope, Truth};
use crate::value::{Map, Unknown, Value};

/// Seconds between attempts, and their number, unless the task says otherwise (Ansible's defaults).
const DEFAULT_DELAY_SECS: f64 = 5.0;
const DEFAULT_RETRIES: u32 = 3;

impl ItemRun {
    pub(super) async fn attempts(&self, doubt: Option<&Unknown>) -> Result<TaskResult, Trouble> {
        let wanted = !self.task.until.is_empty() || self.task.retries.is_some();
        // A plan asks once: waiting does not bring about what it does not do.
        if !wanted || self.shared.options.planning {
            return self.attempt(0, None, doubt).await;
        }
        let retries = match self.number(&self.task.retries)? {
            Some(n) => n.max(0.0) as u32,
            None if self.task.until.is_empty() => 0,
            None => DEFAULT_RETRIES,
        };
        let delay = self.number(&self.task.delay)?.unwrap_or(DEFAULT_DELAY_SECS).max(0.0);
        let mut attempt =
            self.earlier.as_ref().and_then(|e| e.open.as_ref()).map_or(1, |sent| sent.attempt.max(1));
        // The count is there for the conditions about the result, unless nothing is ever repeated.
        let counted = retries > 0;
        loop {
            let mut result = match self.attempt(attempt, counted.then_some(attempt), doubt).await {
                Ok(result) => result,
                Err(trouble @ Trouble::Failed { .. })
                    if !self.task.until.is_empty() || attempt <= retries =>
                {
                    TaskResult::from_trouble(trouble)
                }
                Err(trouble) => return Err(trouble),
            };
            if !counted {
                return Ok(result);
            }
            result.result.insert("attempts", attempt);
            if self.is_done(&result)? {
                return Ok(result);
            }
            if attempt > retries {
                // Ansible counts the repetitions here, not the first attempt.
                result.result.insert("attempts", retries);
                // A task that says itself what is a failure has the last word, as in Ansible.
                if !result.result.contains("failed_when_result") {
                    result.status = Status::Failed;
                }
                return Ok(result);
            }
            let left = retries - attempt + 1;
            self.shared
                .emit(Event::Retry {
                    host: self.scope.host().clone(),
                    task: self.header.clone(),
                    left,
                    result: result.result.clone(),
                })
                .await;
            tokio::select! {
                () = tokio::time::sleep(seconds(delay)) => {}
                () = self.shared.halt.asked() => return Ok(TaskResult::halted()),
            }
            attempt += 1;
        }
    }

    fn is_done(&self, result: &TaskResult) -> Result<bool, Trouble> {
        if result.status == Status::Unreachable || result.status == Status::Lost {
            return Ok(true);
        }
        if self.task.until.is_empty() {
            return Ok(result.status != Status::Failed);
        }
        let scope = self.with_result(result);
        for condition in &self.task.until {
            match self.templar.test(condition, &scope)? {
                Truth::True => {}
                Truth::False => return Ok(false),
                // A plan cannot wait for it.
                Truth::Unknown(_) => return Ok(true),
            }
        }
        Ok(true)
    }

    async fn attempt(
        &self,
        attempt: u32,
        count: Option<u32>,
        doubt: Option<&Unknown>,
    ) -> Result<TaskResult, Trouble> {
        let mut result = match self.execute(attempt, doubt).await {
            Ok(result) => result,
            Err(trouble @ Trouble::Failed { .. }) => {
                let result = self.troubled(trouble);
                let msg = result.result.get("msg").and_then(Value::as_str).unwrap_or_default();
                if msg.starts_with(UNDEFINED_OPTION) { self.framed(result) } else { result }
            }
            Err(trouble) => return Err(trouble),
        };
        if let Some(count) = count {
            result.result.insert("attempts", count);
        }
        self.judge(result)
    }

    /// Under the names of Ansible's programs messages about options and conditions show the place, as they do there.
    pub(super) fn framed(&self, mut result: TaskResult) -> TaskResult {
        if self.shared.options.style != Style::Ansible {
            return result;
        }
        let Some(explanation) = result.explanation.take() else { return result };
        let text = diag::classic(&self.shared.sources, &explanation);
        let msg = result.result.get("msg").map(Value::to_text).unwrap_or_default();
        match text.find("\n\nThe error appears to be in") {
            Some(at) => drop(result.result.insert("msg", format!("{msg}{}", &text[at..]))),
            None => result.explanation = Some(explanation),
        }
        result
    }

    /// Applies `changed_when`, then `failed_when`, which sees what the first says.
    fn judge(&self, mut result: TaskResult) -> Result<TaskResult, Trouble> {
        if result.status == Status::Skipped {
            return Ok(result);
        }
        if !self.task.changed_when.is_empty() {
            let changed = match self.all(&self.task.changed_when, &result) {
                Ok(changed) => changed,
                Err(trouble) => return Ok(doubtful(result, "changed_when_result", trouble)),
            };
            let is_changed = !matches!(changed, Truth::False);
            match changed {
                Truth::Unknown(unknown) if self.shared.options.planning => {
                    result.result.insert("changed", Value::Unknown(unknown));
                }
                _ => drop(result.result.insert("changed", is_changed)),
            }
            if matches!(result.status, Status::Ok | Status::Changed) {
                result.status = if is_changed { Status::Changed } else { Status::Ok };
            }
        }
        if !self.task.failed_when.is_empty() {
            let failed = match self.all(&self.task.failed_when, &result) {
                Ok(failed) => failed,
                Err(trouble) => return Ok(doubtful(result, "failed_when_result", trouble)),
            };
            let was_changed = result.result.get("changed").is_some_and(Value::is_truthy);
            result.result.insert("failed_when_result", as_value(&failed));
            match failed {
                Truth::True => result.status = Status::Failed,
                Truth::False => result.status = if was_changed { Status::Changed } else { Status::Ok },
                Truth::Unknown(_) => {}
            }
        }
        Ok(result)
    }

    fn all(&self, conditions: &[crate::template::Expr], result: &TaskResult) -> Result<Truth, Trouble> {
        let scope = self.with_result(result);
        let mut unknown: Option<Unknown> = None;
        for condition in conditions {
            match self.templar.test(condition, &scope).map_err(|e| Trouble::condition(&condition.text, &e))? {
                Truth::True => {}
                Truth::False => return Ok(Truth::False),
                Truth::Unknown(u) => unknown = unknown.or(Some(u)),
            }
        }
        Ok(unknown.map_or(Truth::True, Truth::Unknown))
    }

    /// The scope in which the result stands under its registered name.
    fn with_result(&self, result: &TaskResult) -> Arc<dyn Scope> {
        let mut locals = Map::new();
        if let Some(name) = &self.task.register {
            locals.insert(&**name, result.registered());
        }
        self.scope.with_locals(locals).boxed()
    }
}

/// The task ran, but its own condition about the result could not be told: what came back is kept.
fn doubtful(mut result: TaskResult, key: &str, trouble: Trouble) -> TaskResult {
    let failed = TaskResult::from_trouble(trouble);
    result.status = failed.status;
    result.explanation = failed.explanation;
    result.result.insert(key, failed.result.get("msg").cloned().unwrap_or(Value::Null));
    result
}

fn as_value(truth: &Truth) -> Value {
    match truth {
        Truth::True => true.into(),
        Truth::False => false.into(),
        Truth::Unknown(u) => Value::Unknown(u.clone()),
    }
}
