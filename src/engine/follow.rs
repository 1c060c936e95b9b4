//! Following a plan: what it resolved is taken from it, and each change is made only from the state that it relies on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::event::Status;
use super::execute::Execution;
use super::item::{Condition, ItemRun};
use super::result::{TaskResult, Trouble};
use crate::modules::{Diff, DiffSide, Effect, Failure, Prediction};
use crate::plan::{self, Actual, Followed, PlanDiff, Recorded, State, Unit, fingerprint};
use crate::template::Tree;
use crate::value::{Map, Value};

/// The member of a result that says that a planned change had been made already.
pub const ALREADY: &str = "already_in_place";
/// The member of a failed result that tells a drift.
const DRIFT: &str = "drift";
/// Longer texts are cut where a drift is shown.
const SHOWN_LINES: usize = 12;

/// How what is there compares with what a plan relies on.
pub enum Agreement {
    Planned,
    /// Somebody made the planned change meanwhile.
    Already,
}

impl Execution<'_> {
    /// Compares what the module would do now with what the plan says. A difference is a failure of the host.
    pub fn agrees(&self, unit: &Unit, now: &Prediction) -> Result<Agreement, Failure> {
        let Some(guide) = &self.shared.guide else { return Ok(Agreement::Planned) };
        if guide.expects(unit, &fingerprint(now)) {
            return Ok(Agreement::Planned);
        }
        if unit.state == State::Change && now.effect == Effect::Same {
            return Ok(Agreement::Already);
        }
        let mask = |text: &str| guide.mask(text);
        let planned_from = sides(&unit.diffs, |d| &d.before, unit.state);
        let planned_to = sides(&unit.diffs, |d| &d.after, unit.state);
        let found = now_sides(&now.diff, mask);
        let msg = format!(
            "the state is not the one that the plan relies on; nothing was changed\nplanned from:\n{}\nnow:\n{}\nplanned to:\n{}",
            indent(&planned_from),
            indent(&found),
            indent(&planned_to)
        );
        let told = Map::from_iter([
            ("planned_from", Value::from(planned_from)),
            ("now", found.into()),
            ("planned_to", planned_to.into()),
        ]);
        Err(Failure::new(msg).with(DRIFT, Value::map(told)))
    }
}

/// The sides of planned differences as text; without a difference what the state's word says.
fn sides(diffs: &[PlanDiff], side: impl Fn(&PlanDiff) -> &plan::DiffSide, state: State) -> String {
    if diffs.is_empty() {
        let word = if state == State::Same { "as wanted, nothing to change" } else { state.word() };
        return word.to_string();
    }
    let texts = diffs.iter().map(|d| {
        let text = match side(d) {
            plan::DiffSide::Absent => "absent".to_string(),
            plan::DiffSide::Text { text } => cut(text),
            plan::DiffSide::Attributes { attributes } => attributes
                .iter()
                .map(|(key, value)| {
                    format!("{key}: {}", value.as_str().map_or_else(|| value.to_string(), str::to_string))
                })
                .collect::<Vec<_>>()
                .join("\n"),
            plan::DiffSide::Binary { size, sha256 } => format!("{size} bytes, sha256 {sha256}"),
        };
        format!("{}: {text}", d.subject)
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn now_sides(diffs: &[Diff], mask: impl Fn(&str) -> String) -> String {
    if diffs.is_empty() {
        return "as wanted, nothing to change".to_string();
    }
    let texts = diffs.iter().map(|d| {
        let text = match &d.before {
            DiffSide::Absent => "absent".to_string(),
            DiffSide::Text(text) => cut(text),
            DiffSide::Attributes(map) => map
                .iter()
                .map(|(k, v)| format!("{}: {}", k.json_name(), v.to_text()))
                .collect::<Vec<_>>()
                .join("\n"),
            DiffSide::Binary { size, sha256 } => format!("{size} bytes, sha256 {sha256}"),
        };
        let subject = if d.before_header.is_empty() { &d.after_header } else { &d.before_header };
        mask(&format!("{subject}: {text}"))
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn cut(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= SHOWN_LINES {
        return lines.join("\n");
    }
    format!("{}\n... {} more lines", lines[..SHOWN_LINES].join("\n"), lines.len() - SHOWN_LINES)
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

impl ItemRun {
    /// Returns what a plan decided about the task's conditions; nothing where it left them open.
    pub fn decided(&self) -> Option<Condition> {
        let unit = self.unit.as_ref()?;
        match unit.state {
            State::Skip => {
                let mut skipped = TaskResult::skipped("the plan says so");
                if let Some(reason) = &unit.reason {
                    skipped.result.insert("false_condition", reason.as_str());
                }
                Some(Condition::Fails(skipped))
            }
            State::Maybe => None,
            _ => Some(Condition::Holds),
        }
    }

    /// Returns the module's arguments: those of the plan as far as it resolved them.
    pub fn given(
        &self,
        module: &str,
        args: &Tree,
        free_form: Option<&Tree>,
        template_args: Option<&Tree>,
    ) -> Result<Map, Trouble> {
        let again = || self.arguments(module, args, free_form, template_args);
        let Some(guide) = &self.shared.guide else { return again() };
        let Some(unit) = &self.unit else { return again().map(|given| guide.placed(&given)) };
        match guide.arguments(unit) {
            Recorded::Value(map) => Ok(map),
            Recorded::Open => again().map(|given| guide.placed(&given)),
            Recorded::Again => {
                let given = again()?;
                if guide.is_same(unit, &given, self.header.no_log) {
                    return Ok(guide.placed(&given));
                }
                let msg = "an argument that holds a secret is not what it was when the plan was made; nothing was changed";
                Err(Failure::new(msg).with(DRIFT, true).into())
            }
        }
    }

    /// Returns the texts that the plan recorded for the item's templates.
    pub fn recorded_texts(&self) -> BTreeMap<PathBuf, String> {
        match (&self.shared.guide, &self.unit) {
            (Some(guide), Some(unit)) => guide.rendered(unit),
            _ => BTreeMap::new(),
        }
    }

    /// Notes what became of the item next to what the plan said of it.
    pub fn compare(&self, result: &mut TaskResult) {
        let already = result.result.get(ALREADY).is_some();
        let actual = match result.status {
            Status::Skipped => Actual::Skipped,
            _ if result.result.get(DRIFT).is_some() => Actual::Drifted,
            Status::Failed | Status::Ignored | Status::Unreachable | Status::Lost => Actual::Failed,
            _ if already => Actual::Already,
            Status::Changed => Actual::Changed,
            Status::Ok => Actual::Same,
        };
        let planned = self.unit.as_ref().map(|unit| unit.state);
        result.followed.push(Followed { module: self.header.module.clone(), planned, actual });
        // What an open decision brings with it is open too.
        let open =
            self.unit.as_ref().is_none_or(|unit| unit.state == State::Maybe || !unit.unknown.is_empty());
        if open {
            for include in &mut result.effects.includes {
                include
                    .maybe
                    .get_or_insert_with(|| crate::value::Unknown { cause: "expanded from the plan".into() });
            }
        }
    }
}
