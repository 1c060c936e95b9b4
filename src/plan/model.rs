//! What a plan says: steps in order, and for each host what the step would do there.
//!
//! Everything here is masked already: secrets stand in it as keyed digests only. There is no time and no random value in
//! it, so that the same inputs on the same targets make the same plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::nodeset;

/// The version of the format that this program writes. Readers accept any minor version of their major one.
pub const FORMAT: (u32, u32) = (1, 0);

/// A whole plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// `MAJOR.MINOR`.
    pub format_version: String,
    pub invocation: Invocation,
    /// Every host of the plan in inventory order.
    pub hosts: Vec<HostEntry>,
    pub plays: Vec<PlayEntry>,
    /// In the order in which they run.
    pub steps: Vec<Step>,
    /// What the run would warn of, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What was asked for, as far as it decides what the plan holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// Paths inside of the plan's bundle.
    pub playbooks: Vec<String>,
    pub inventory: Vec<String>,
    /// As typed after `-e`; files are paths inside of the bundle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_vars: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles_path: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collections_path: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip_tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at_task: Option<String>,
    /// Other settings that decide about the run, by name: `become`, `remote_user`, `gathering` ...
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// The hosts are rehearsed ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rehearsal: bool,
}

/// One host of the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostEntry {
    pub name: String,
    pub reach: Reach,
    /// Why it could not be reached, or the error that ended planning on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How far planning got on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    Ok,
    /// No step looked at it.
    Untouched,
    Unreachable,
    /// A step's prediction failed; what comes after it was not planned there.
    Error,
}

/// One play.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlayEntry {
    pub name: String,
    /// Sets of nodes, one for each batch (`serial`).
    pub batches: Vec<Vec<String>>,
}

/// One step: a task at one place of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Stable: names and a digest of the task's text.
    pub id: String,
    /// Counts executions of the same task, from 1: an include in a loop runs it several times.
    pub turn: u32,
    /// Index into [`Plan::plays`].
    pub play: usize,
    /// Index into the play's batches.
    pub batch: usize,
    /// As shown: `role : name`.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    pub module: String,
    /// `path:line` inside of the project.
    pub place: String,
    pub kind: StepKind,
    pub risk: Risk,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_log: bool,
    /// Hosts for which the step would do the same, largest group first.
    pub groups: Vec<Group>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    Task,
    Handler,
}

/// How much a step can break, from nothing to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Only reads, or works on this side.
    None,
    Low,
    Medium,
    /// Boot state, archives that nodes boot from, services that everything needs.
    High,
    /// A command of which nothing is declared: its effect is not known before.
    Opaque,
    /// Takes services away for a time: reboots, power.
    Disruptive,
    /// Removes what cannot be made again by running something.
    Destructive,
}

/// Hosts for which a step would do the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Sets of nodes such as `sn[01-06]`; see [`nodeset`].
    pub hosts: Vec<String>,
    /// One without a loop, else one for each item.
    pub units: Vec<Unit>,
}

/// What a step would do on a host, for one item of its loop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    pub state: State,
    /// The item's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Why it is skipped, cannot be told or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it depends on that is not known before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// The host on which it runs when that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// Whom it becomes there.
    #[serde(default, rename = "become", skip_serializing_if = "Option::is_none")]
    pub r#become: Option<String>,
    /// The module's arguments as resolved. An unknown value is `{"__unknown__": CAUSE}`, a secret `{"__secret__": DIGEST}`,
    /// a path of the project on this side `{"__project__": PATH}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<serde_json::Value>,
    /// The loop's variables for this item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locals: Option<serde_json::Value>,
    /// Project templates that were rendered for it, by path in the bundle, with the blob that holds the text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rendered: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diffs: Vec<PlanDiff>,
    /// Digest of what was foreseen: the state it relies on and the change. Nothing where that was not known in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expects: Option<String>,
    /// What follows for others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consequences: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Handlers that it notifies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifies: Vec<String>,
}

/// What is foreseen of a step on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// Examined, and already as wanted.
    #[default]
    #[serde(rename = "same")]
    Same,
    #[serde(rename = "change")]
    Change,
    /// Will run; its effect is known in part or not at all.
    #[serde(rename = "change?")]
    ChangeUnknown,
    /// Depends on something unknown whether it runs.
    #[serde(rename = "maybe")]
    Maybe,
    #[serde(rename = "skip")]
    Skip,
    /// Was executed while planning, or only works on this side.
    #[serde(rename = "read")]
    Read,
    #[serde(rename = "error")]
    Error,
    #[serde(rename = "unreachable")]
    Unreachable,
}

/// A difference, typed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanDiff {
    /// What it is about: a path, `osimage NAME`, `tree of NAME`.
    pub subject: String,
    pub before: DiffSide,
    pub after: DiffSide,
}

/// One side of a difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum DiffSide {
    Absent,
    Text { text: String },
    Attributes { attributes: serde_json::Map<String, serde_json::Value> },
    Binary { size: u64, sha256: String },
}

/// What a plan comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Nothing,
    Changes,
    /// A disruptive step depends on something unknown.
    Incomplete,
    Unreachable,
    Error,
}

/// How many units are in each state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub by_state: BTreeMap<State, usize>,
}

impl State {
    pub const ALL: [State; 8] = [
        State::Same,
        State::Change,
        State::ChangeUnknown,
        State::Maybe,
        State::Skip,
        State::Read,
        State::Error,
        State::Unreachable,
    ];

    /// Returns the word that plans use for it.
    pub fn word(self) -> &'static str {
        match self {
            State::Same => "same",
            State::Change => "change",
            State::ChangeUnknown => "change?",
            State::Maybe => "maybe",
            State::Skip => "skip",
            State::Read => "read",
            State::Error => "error",
            State::Unreachable => "unreachable",
        }
    }

    /// Whether applying may change something.
    pub fn acts(self) -> bool {
        matches!(self, State::Change | State::ChangeUnknown | State::Maybe)
    }
}

impl Risk {
    pub fn word(self) -> &'static str {
        match self {
            Risk::None => "none",
            Risk::Low => "low",
            Risk::Medium => "medium",
            Risk::High => "high",
            Risk::Opaque => "opaque",
            Risk::Disruptive => "disruptive",
            Risk::Destructive => "destructive",
        }
    }
}

impl Step {
    /// Whether applying may change something on any host.
    pub fn acts(&self) -> bool {
        self.groups.iter().flat_map(|g| &g.units).any(|u| u.state.acts())
    }

    /// Returns the hosts of the step with their units, in no particular order.
    pub fn by_host(&self) -> impl Iterator<Item = (String, &[Unit])> {
        self.groups.iter().flat_map(|g| {
            g.hosts.iter().flat_map(|set| nodeset::unfold(set)).map(move |host| (host, g.units.as_slice()))
        })
    }
}

impl Plan {
    /// Counts units: one for each step, host and item.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for group in self.steps.iter().flat_map(|s| &s.groups) {
            let hosts: usize = group.hosts.iter().map(|set| nodeset::size(set)).sum();
            for unit in &group.units {
                *counts.by_state.entry(unit.state).or_default() += hosts;
            }
        }
        counts
    }

    fn units(&self) -> impl Iterator<Item = (&Step, &Unit)> {
        self.steps.iter().flat_map(|s| s.groups.iter().flat_map(move |g| g.units.iter().map(move |u| (s, u))))
    }

    /// Whether the mode of a file of the project may become the mode of a file on a host (`mode: preserve`).
    pub fn keeps_modes(&self) -> bool {
        self.units().filter_map(|(_, unit)| unit.args.as_ref()).any(|args| {
            ["mode", "directory_mode"].iter().filter_map(|name| args.get(name)).any(|mode| {
                // What is not known yet may turn out to be it.
                mode == "preserve" || mode.is_object()
            })
        })
    }

    /// Returns what the plan comes to; the worst finding counts.
    pub fn verdict(&self) -> Verdict {
        let units = || self.units();
        if units().any(|(_, u)| u.state == State::Error) || self.hosts.iter().any(|h| h.reach == Reach::Error)
        {
            return Verdict::Error;
        }
        if units().any(|(_, u)| u.state == State::Unreachable)
            || self.hosts.iter().any(|h| h.reach == Reach::Unreachable)
        {
            return Verdict::Unreachable;
        }
        if units().any(|(s, u)| u.state == State::Maybe && s.risk >= Risk::Disruptive) {
            return Verdict::Incomplete;
        }
        if units().any(|(_, u)| u.state.acts()) { Verdict::Changes } else { Verdict::Nothing }
    }
}

impl Verdict {
    /// Returns the exit code of `xplay plan`.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Nothing => 0,
            Verdict::Error => 1,
            Verdict::Changes => 2,
            Verdict::Incomplete => 3,
            Verdict::Unreachable => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(units: &[(State, Risk)]) -> Plan {
        let step = |(state, risk): &(State, Risk)| Step {
            id: "a#1".into(),
            turn: 1,
            play: 0,
            batch: 0,
            name: "a".into(),
            role: None,
            module: "copy".into(),
            place: "site.yml:1".into(),
            kind: StepKind::Task,
            risk: *risk,
            no_log: false,
            groups: vec![Group {
                hosts: vec!["n[1-3]".into()],
                units: vec![Unit { state: *state, ..Unit::default() }],
            }],
        };
        Plan { steps: units.iter().map(step).collect(), ..Plan::default() }
    }

    #[test]
    fn the_worst_finding_is_the_verdict() {
        let check = |units: &[(State, Risk)], expect: Verdict| assert_eq!(plan(units).verdict(), expect);
        check(&[], Verdict::Nothing);
        check(&[(State::Same, Risk::Low), (State::Skip, Risk::Disruptive)], Verdict::Nothing);
        check(&[(State::Read, Risk::None), (State::Change, Risk::Low)], Verdict::Changes);
        check(&[(State::Maybe, Risk::High)], Verdict::Changes);
        check(&[(State::Maybe, Risk::Disruptive)], Verdict::Incomplete);
        check(&[(State::Maybe, Risk::Disruptive), (State::Unreachable, Risk::Low)], Verdict::Unreachable);
        check(&[(State::Unreachable, Risk::Low), (State::Error, Risk::Low)], Verdict::Error);
    }

    #[test]
    fn units_are_counted_for_each_host() {
        let counts = plan(&[(State::Change, Risk::Low), (State::Same, Risk::Low)]).counts();
        assert_eq!(counts.by_state.into_iter().collect::<Vec<_>>(), [(State::Same, 3), (State::Change, 3)]);
    }

    #[test]
    fn json_leaves_out_what_is_empty() {
        let json = serde_json::to_value(&plan(&[(State::ChangeUnknown, Risk::Opaque)]).steps[0]).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "id": "a#1", "turn": 1, "play": 0, "batch": 0, "name": "a", "module": "copy",
                "place": "site.yml:1", "kind": "task", "risk": "opaque",
                "groups": [{ "hosts": ["n[1-3]"], "units": [{ "state": "change?" }] }],
            })
        );
    }
}
