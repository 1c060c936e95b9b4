//! Leads a run along a plan: what each step was foreseen to do on each host, handed out in order.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::model::{Plan, State, Unit};
use super::seal::{Opened, Seal};
use crate::value::{Map, Value};

/// By task and host: the units of each execution, oldest first.
type Turns = HashMap<(String, String), VecDeque<Vec<Arc<Unit>>>>;

/// The steps of a plan by task and host.
pub struct Guide {
    seal: Seal,
    /// What is left, oldest first.
    turns: Mutex<Turns>,
    blobs: BTreeMap<String, Vec<u8>>,
}

/// A recorded value that a run has to follow.
#[derive(Clone, Debug, PartialEq)]
pub enum Recorded {
    /// Use this and nothing else.
    Value(Map),
    /// It holds a secret: work it out again, and it must seal to the same.
    Again,
    /// It was not known in full: work it out.
    Open,
}

impl Guide {
    pub fn new(plan: &Plan, seal: Seal, blobs: BTreeMap<String, Vec<u8>>) -> Self {
        let mut turns = Turns::new();
        for step in &plan.steps {
            for group in &step.groups {
                let units: Vec<Arc<Unit>> = group.units.iter().cloned().map(Arc::new).collect();
                for host in group.hosts.iter().flat_map(|set| super::nodeset::unfold(set)) {
                    turns.entry((step.id.clone(), host)).or_default().push_back(units.clone());
                }
            }
        }
        Guide { seal, turns: Mutex::new(turns), blobs }
    }

    /// Takes the next execution of a task on a host; nothing when the plan has no more of them.
    pub fn next(&self, id: &str, host: &str) -> Option<Vec<Arc<Unit>>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.get_mut(&(id.to_string(), host.to_string()))?.pop_front()
    }

    /// Returns a unit's arguments.
    pub fn arguments(&self, unit: &Unit) -> Recorded {
        self.recorded(unit.args.as_ref())
    }

    /// Returns the variables that the loop brought; nothing where there was no loop.
    pub fn locals(&self, unit: &Unit) -> Option<Recorded> {
        unit.locals.as_ref().map(|locals| self.recorded(Some(locals)))
    }

    fn recorded(&self, json: Option<&serde_json::Value>) -> Recorded {
        let Some(json) = json else { return Recorded::Open };
        match self.seal.open_map(json) {
            Ok(map) => Recorded::Value(map),
            Err(Opened::Secret) => Recorded::Again,
            Err(_) => Recorded::Open,
        }
    }

    /// Whether values that were worked out again are those of the plan. `hidden` says that the task has `no_log`.
    pub fn is_same(&self, unit: &Unit, args: &Map, hidden: bool) -> bool {
        unit.args
            .as_ref()
            .is_none_or(|planned| *planned == self.seal.value(&Value::map(args.clone()), hidden))
    }

    /// Returns arguments that were worked out now, with paths of the project where they belong.
    pub fn placed(&self, args: &Map) -> Map {
        self.seal.placed_map(args)
    }

    /// Whether a digest of what is foreseen now is the plan's.
    pub fn expects(&self, unit: &Unit, fingerprint: &str) -> bool {
        unit.expects.as_ref().is_none_or(|planned| {
            planned == fingerprint || *planned == self.seal.keyed(fingerprint.as_bytes())
        })
    }

    /// Returns the texts that the unit's templates gave.
    pub fn rendered(&self, unit: &Unit) -> BTreeMap<PathBuf, String> {
        let text = |digest: &String| String::from_utf8(self.blobs.get(digest)?.clone()).ok();
        unit.rendered
            .iter()
            .filter_map(|(path, digest)| Some((self.seal.local(path), text(digest)?)))
            .collect()
    }

    /// Returns a text without secrets.
    pub fn mask(&self, text: &str) -> String {
        self.seal.text(text)
    }
}

/// What became of a planned unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Actual {
    Same,
    Changed,
    /// Planned as a change that somebody had made already.
    Already,
    Skipped,
    Failed,
    /// The state was not the one that the plan relies on.
    Drifted,
}

impl Actual {
    /// Returns the word for people and programs.
    pub fn word(self) -> &'static str {
        match self {
            Actual::Same => "same",
            Actual::Changed => "changed",
            Actual::Already => "already",
            Actual::Skipped => "skipped",
            Actual::Failed => "failed",
            Actual::Drifted => "drifted",
        }
    }
}

/// One unit of a plan and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    pub module: String,
    /// Nothing for steps that a plan could not list, because they depended on something unknown.
    pub planned: Option<State>,
    pub actual: Actual,
}

/// How often predictions came true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// By module: predictions that were exact, and those of them that came true.
    pub modules: BTreeMap<String, (usize, usize)>,
    /// Units whose effect was not foreseen, and which ran with real values.
    pub unforeseen: usize,
}

impl Score {
    /// Counts a unit. What was not foreseen in full is no prediction that could be wrong.
    pub fn add(&mut self, followed: &Followed) {
        let came_true = match (followed.planned, followed.actual) {
            (Some(State::Same | State::Read), Actual::Same) => true,
            (Some(State::Change), Actual::Changed | Actual::Already) => true,
            (Some(State::Skip), Actual::Skipped) => true,
            (Some(State::Same | State::Change | State::Skip | State::Read), _) => false,
            _ => {
                self.unforeseen += 1;
                return;
            }
        };
        let (all, good) = self.modules.entry(followed.module.clone()).or_default();
        *all += 1;
        *good += usize::from(came_true);
    }

    /// Returns predictions and those that came true, over all modules.
    pub fn total(&self) -> (usize, usize) {
        self.modules.values().fold((0, 0), |(a, g), (all, good)| (a + all, g + good))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::seal::testing::Stars;
    use crate::plan::{Group, Risk, Step, StepKind};

    fn step(turn: u32, hosts: &[&str], state: State) -> Step {
        Step {
            id: "a".into(),
            turn,
            play: 0,
            batch: 0,
            name: "a".into(),
            role: None,
            module: "copy".into(),
            place: "site.yml:1".into(),
            kind: StepKind::Task,
            risk: Risk::Low,
            no_log: false,
            groups: vec![Group {
                hosts: hosts.iter().map(|h| (*h).to_string()).collect(),
                units: vec![Unit { state, ..Unit::default() }],
            }],
        }
    }

    #[test]
    fn turns_come_in_order_for_each_host() {
        let steps = vec![step(1, &["n[1-2]"], State::Same), step(2, &["n2"], State::Change)];
        let plan = Plan { steps, ..Plan::default() };
        let guide = Guide::new(&plan, Seal::new(Arc::new(Stars), Vec::new()), BTreeMap::new());
        let next = |host: &str| guide.next("a", host).map(|units| units[0].state);
        assert_eq!((next("n1"), next("n1")), (Some(State::Same), None));
        assert_eq!((next("n2"), next("n2"), next("n2")), (Some(State::Same), Some(State::Change), None));
        assert_eq!(next("n3"), None);
    }

    #[test]
    fn only_exact_predictions_are_scored() {
        let mut score = Score::default();
        for (planned, actual) in [
            (Some(State::Change), Actual::Changed),
            (Some(State::Change), Actual::Same),
            (Some(State::Same), Actual::Same),
            (Some(State::ChangeUnknown), Actual::Changed),
            (None, Actual::Changed),
        ] {
            score.add(&Followed { module: "copy".into(), planned, actual });
        }
        assert_eq!((score.total(), score.unforeseen), ((3, 2), 2));
    }
}
