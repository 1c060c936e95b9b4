//! A plan as reviewers look at it: batches of a play merged, hosts with the same effect folded, outliers first.
//!
//! Every rendering begins here, so that all of them tell the same story in the same order.

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;

use crate::modules::short_name;
use crate::plan::model::{
    DiffSide, Group, Plan, PlanDiff, PlayEntry, Reach, Risk, State, Step, StepKind, Unit,
};
use crate::plan::nodeset;

/// A whole plan, arranged.
#[derive(Debug)]
pub struct View<'p> {
    pub plays: Vec<PlayView<'p>>,
    /// Hosts that planning did not get to the end of, by reason.
    pub lost: Vec<Lost>,
}

/// Hosts that could not be planned for the same reason.
#[derive(Debug, PartialEq, Eq)]
pub struct Lost {
    pub reach: Reach,
    pub reason: String,
    pub hosts: Hosts,
}

#[derive(Debug)]
pub struct PlayView<'p> {
    pub name: &'p str,
    pub hosts: Hosts,
    /// Those in which some host is shown.
    pub batches: Vec<&'p [String]>,
    pub steps: Vec<StepView<'p>>,
}

/// One step with all batches of its play.
#[derive(Debug)]
pub struct StepView<'p> {
    /// As it stands in the first batch that has it.
    pub step: &'p Step,
    /// Smallest group first; the last one, and the largest, is the reference for the others.
    pub groups: Vec<GroupView<'p>>,
}

/// Hosts on which a step looks the same.
#[derive(Debug)]
pub struct GroupView<'p> {
    pub hosts: Hosts,
    /// Those of the first host; of the others the consequences and the digests may differ.
    pub units: &'p [Unit],
}

/// Some hosts, folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    pub sets: Vec<String>,
    pub count: usize,
}

impl Hosts {
    /// Folds sets and names.
    pub fn of<'a>(sets: impl IntoIterator<Item = &'a String>) -> Self {
        let mut sets: Vec<&String> = sets.into_iter().collect();
        if let [one] = sets[..] {
            return Hosts { sets: vec![one.clone()], count: nodeset::size(one) };
        }
        sets.sort_unstable();
        sets.dedup();
        let names: Vec<String> = sets.into_iter().flat_map(|s| nodeset::unfold(s)).collect();
        let sets = nodeset::fold(&names);
        let count = sets.iter().map(|s| nodeset::size(s)).sum();
        Hosts { sets, count }
    }

    pub fn text(&self) -> String {
        self.sets.join(",")
    }
}

/// What a change does to its subject, as a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Create,
    Change,
    Remove,
    /// Disruptive, failed or not reached.
    Danger,
    /// May run.
    Maybe,
    /// Runs; its effect is not known.
    Runs,
    Quiet,
}

impl Mark {
    pub const ALL: [Mark; 7] =
        [Mark::Create, Mark::Change, Mark::Remove, Mark::Danger, Mark::Maybe, Mark::Runs, Mark::Quiet];

    pub fn sign(self) -> &'static str {
        match self {
            Mark::Create => "+",
            Mark::Change => "~",
            Mark::Remove => "-",
            Mark::Danger => "!",
            Mark::Maybe => "?",
            Mark::Runs => ">",
            Mark::Quiet => " ",
        }
    }

    /// Returns what the sign means.
    pub fn meaning(self) -> &'static str {
        match self {
            Mark::Create => "creates",
            Mark::Change => "changes",
            Mark::Remove => "removes",
            Mark::Danger => "disruptive or failed",
            Mark::Maybe => "may run",
            Mark::Runs => "runs, effect not known",
            Mark::Quiet => "does nothing",
        }
    }
}

/// Returns the mark of units of one step.
pub fn mark<'u>(units: impl Iterator<Item = &'u Unit> + Clone, risk: Risk) -> Mark {
    match worst(units.clone()) {
        State::Error | State::Unreachable => Mark::Danger,
        State::Maybe => Mark::Maybe,
        state if state.acts() && risk >= Risk::Disruptive => Mark::Danger,
        State::ChangeUnknown => Mark::Runs,
        State::Change => change_mark(units),
        State::Same | State::Skip | State::Read => Mark::Quiet,
    }
}

fn change_mark<'u>(units: impl Iterator<Item = &'u Unit> + Clone) -> Mark {
    let diffs = || units.clone().filter(|u| u.state.acts()).flat_map(|u| &u.diffs);
    let all = |side: fn(&PlanDiff) -> &DiffSide| {
        diffs().next().is_some() && diffs().all(|d| *side(d) == DiffSide::Absent)
    };
    if all(|d| &d.before) {
        return Mark::Create;
    }
    if all(|d| &d.after) { Mark::Remove } else { Mark::Change }
}

/// Returns the state that says most about units: an error hides a change, a change hides what is as wanted.
pub fn worst<'u>(units: impl Iterator<Item = &'u Unit>) -> State {
    units.map(|u| u.state).max_by_key(|state| weight(*state)).unwrap_or(State::Skip)
}

fn weight(state: State) -> u8 {
    match state {
        State::Skip => 0,
        State::Read => 1,
        State::Same => 2,
        State::Change => 3,
        State::ChangeUnknown => 4,
        State::Maybe => 5,
        State::Unreachable => 6,
        State::Error => 7,
    }
}

/// Whether reviewers want to see it without asking for everything.
pub fn speaks(state: State) -> bool {
    !matches!(state, State::Same | State::Skip | State::Read)
}

/// Whether something that is not known before decides about it.
pub fn unresolved(unit: &Unit) -> bool {
    unit.state == State::Maybe || (unit.state.acts() && !unit.unknown.is_empty())
}

impl<'p> StepView<'p> {
    /// Whether some group acts or failed.
    pub fn speaks(&self) -> bool {
        self.groups.iter().any(GroupView::speaks)
    }

    pub fn acts(&self) -> bool {
        self.units().any(|u| u.state.acts())
    }

    pub fn disruptive(&self) -> bool {
        self.step.risk >= Risk::Disruptive && self.acts()
    }

    pub fn units(&self) -> impl Iterator<Item = &'p Unit> + Clone {
        self.groups.iter().flat_map(|g| g.units)
    }

    pub fn mark(&self) -> Mark {
        mark(self.units(), self.step.risk)
    }

    /// Returns the module's name, without its collection where xplay has that module.
    pub fn module(&self) -> &'p str {
        short_name(&self.step.module).unwrap_or(&self.step.module)
    }

    /// Returns the name as shown: handlers and repeated executions say so.
    pub fn title(&self) -> String {
        let handler = if self.step.kind == StepKind::Handler { "handler: " } else { "" };
        match self.step.turn {
            0 | 1 => format!("{handler}{}", self.step.name),
            turn => format!("{handler}{} (turn {turn})", self.step.name),
        }
    }

    /// Returns what units are not sure about, each once.
    pub fn causes(&self) -> Vec<&'p str> {
        let mut causes: Vec<&str> = Vec::new();
        for unit in self.units().filter(|u| unresolved(u)) {
            for cause in unit.reason.iter().chain(&unit.unknown) {
                if !causes.contains(&cause.as_str()) {
                    causes.push(cause);
                }
            }
        }
        causes
    }

    /// Returns the largest group when there are others to compare with it.
    pub fn reference(&self) -> Option<&GroupView<'p>> {
        if self.groups.len() > 1 { self.groups.last() } else { None }
    }

    /// Returns the hosts of those groups that `wanted` chooses.
    pub fn hosts(&self, wanted: impl Fn(&Unit) -> bool) -> Hosts {
        let groups = self.groups.iter().filter(|g| g.units.iter().any(&wanted));
        Hosts::of(groups.flat_map(|g| &g.hosts.sets))
    }
}

impl GroupView<'_> {
    /// Whether some unit acts or failed.
    pub fn speaks(&self) -> bool {
        self.units.iter().any(|u| speaks(u.state))
    }

    pub fn state(&self) -> State {
        worst(self.units.iter())
    }

    /// Returns where and as whom the units run and what they notify, such as `on mn1` and `as root`.
    pub fn ways(&self) -> Vec<String> {
        let mut said: Vec<String> = Vec::new();
        for unit in self.units.iter().filter(|u| speaks(u.state)) {
            let on = unit.on.iter().map(|host| format!("on {host}"));
            let user = unit.r#become.iter().map(|user| format!("as {user}"));
            let handlers = unit.notifies.iter().map(|handler| format!("notifies {handler}"));
            for word in on.chain(user).chain(handlers) {
                if !said.contains(&word) {
                    said.push(word);
                }
            }
        }
        said
    }
}

impl<'p> View<'p> {
    pub fn of(plan: &'p Plan) -> Self {
        let mut plays: IndexMap<usize, Vec<&Step>> = IndexMap::new();
        for step in &plan.steps {
            plays.entry(step.play).or_default().push(step);
        }
        let plays = plays.into_iter().map(|(index, steps)| play(plan.plays.get(index), &steps)).collect();
        View { plays, lost: lost(plan) }
    }

    pub fn steps(&self) -> impl Iterator<Item = &StepView<'p>> {
        self.plays.iter().flat_map(|p| &p.steps)
    }

    /// Returns the steps that depend on something unknown: first those that may not run, and those that break most.
    pub fn unresolved(&self) -> Vec<&StepView<'p>> {
        let mut steps: Vec<_> = self.steps().filter(|s| s.units().any(unresolved)).collect();
        let pressing = |s: &StepView<'_>| s.disruptive() || s.units().any(|u| u.state == State::Maybe);
        steps.sort_by_key(|s| !pressing(s));
        steps
    }
}

/// Returns texts of a plan with the hosts that they are said of, each text once.
pub fn said(plan: &Plan, texts: fn(&Unit) -> &[String]) -> Vec<(&str, Hosts)> {
    let mut found: IndexMap<&str, Vec<&String>> = IndexMap::new();
    for group in plan.steps.iter().flat_map(|s| &s.groups) {
        for text in group.units.iter().flat_map(texts) {
            found.entry(text).or_default().extend(&group.hosts);
        }
    }
    found.into_iter().map(|(text, sets)| (text, Hosts::of(sets))).collect()
}

fn lost(plan: &Plan) -> Vec<Lost> {
    let mut found: IndexMap<(u8, &str), (Reach, Vec<&String>)> = IndexMap::new();
    for host in &plan.hosts {
        let rank = match host.reach {
            Reach::Ok | Reach::Untouched => continue,
            Reach::Error => 0,
            Reach::Unreachable => 1,
        };
        let reason = host.reason.as_deref().unwrap_or("no reason was given");
        found.entry((rank, reason)).or_insert_with(|| (host.reach, Vec::new())).1.push(&host.name);
    }
    found.sort_by(|a, _, b, _| a.0.cmp(&b.0));
    found
        .into_iter()
        .map(|((_, reason), (reach, hosts))| Lost {
            reach,
            reason: reason.to_string(),
            hosts: Hosts::of(hosts),
        })
        .collect()
}

fn play<'p>(entry: Option<&'p PlayEntry>, steps: &[&'p Step]) -> PlayView<'p> {
    let batches = entry.map_or(&[][..], |e| e.batches.as_slice());
    let batches: Vec<&[String]> = batches.iter().map(Vec::as_slice).filter(|b| !b.is_empty()).collect();
    PlayView {
        name: entry.map_or("", |e| e.name.as_str()),
        hosts: Hosts::of(batches.iter().copied().flatten()),
        batches,
        steps: merge(steps),
    }
}

/// Merges the batches of a play: each step once, in an order that agrees with the one of every batch.
fn merge<'p>(steps: &[&'p Step]) -> Vec<StepView<'p>> {
    let mut order: Vec<usize> = Vec::new();
    let mut merged: Vec<Vec<&'p Step>> = Vec::new();
    let mut index: HashMap<(&str, u32, bool), usize> = HashMap::new();
    let (mut cursor, mut batch) = (0, None);
    for step in steps {
        if batch != Some(step.batch) {
            (cursor, batch) = (0, Some(step.batch));
        }
        let key = (step.id.as_str(), step.turn, step.kind == StepKind::Handler);
        let Some(&known) = index.get(&key) else {
            index.insert(key, merged.len());
            order.insert(cursor, merged.len());
            merged.push(vec![step]);
            cursor += 1;
            continue;
        };
        merged[known].push(step);
        let expected = order.get(cursor) == Some(&known);
        let at = if expected { Some(cursor) } else { order.iter().position(|entry| *entry == known) };
        cursor = at.map_or(cursor, |at| at + 1);
    }
    order.into_iter().map(|entry| step_view(&merged[entry])).collect()
}

fn step_view<'p>(steps: &[&'p Step]) -> StepView<'p> {
    let groups: Vec<&'p Group> = steps.iter().flat_map(|s| &s.groups).collect();
    let mut folded: IndexMap<String, Vec<&'p Group>> = IndexMap::new();
    if let [one] = groups[..] {
        folded.insert(String::new(), vec![one]);
    } else {
        for group in groups {
            folded.entry(looks(&group.units)).or_default().push(group);
        }
    }
    let mut groups: Vec<GroupView<'p>> = folded
        .into_values()
        .filter_map(|same| {
            let units = same.first()?.units.as_slice();
            Some(GroupView { hosts: Hosts::of(same.iter().flat_map(|g| &g.hosts)), units })
        })
        .collect();
    // The first of the largest ones is the reference, wherever it stands.
    let largest = groups.iter().map(|g| g.hosts.count).max();
    let reference = groups.iter().position(|g| Some(g.hosts.count) == largest).map(|at| groups.remove(at));
    groups.sort_by_key(|g| g.hosts.count);
    groups.extend(reference);
    StepView { step: steps[0], groups }
}

/// Returns what reviewers see of units. Digests are left out, and what follows for others, which is said elsewhere.
fn looks(units: &[Unit]) -> String {
    let mut out = String::new();
    for unit in units {
        let args = if unit.diffs.is_empty() && unit.state.acts() { unit.args.as_ref() } else { None };
        let seen = (
            unit.state,
            &unit.item,
            &unit.reason,
            &unit.unknown,
            &unit.on,
            &unit.r#become,
            &unit.notifies,
            &unit.diffs,
            args,
        );
        // Serializing these types cannot fail; if it did, the hosts would only be folded less well.
        out.push_str(&serde_json::to_string(&seen).unwrap_or_default());
    }
    out
}

/// Returns how many hosts have steps that act.
pub fn acting_hosts(view: &View<'_>) -> usize {
    let sets: HashSet<&String> = view
        .steps()
        .flat_map(|s| &s.groups)
        .filter(|g| g.units.iter().any(|u| u.state.acts()))
        .flat_map(|g| &g.hosts.sets)
        .collect();
    Hosts::of(sets).count
}

/// Counts hosts by how far planning got.
pub fn reached(plan: &Plan) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for host in &plan.hosts {
        *counts.entry(reach_word(host.reach)).or_default() += 1;
    }
    counts
}

pub fn reach_word(reach: Reach) -> &'static str {
    match reach {
        Reach::Ok => "ok",
        Reach::Untouched => "untouched",
        Reach::Unreachable => "unreachable",
        Reach::Error => "error",
    }
}

/// Returns what differs between hosts of one step, in words: the state, subjects of diffs, items.
pub fn differences(group: &[Unit], reference: &[Unit]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut say = |text: String| {
        if !found.contains(&text) {
            found.push(text);
        }
    };
    if group.len() != reference.len() {
        say("items".into());
    }
    for (unit, other) in group.iter().zip(reference) {
        let differs: [(&str, bool); 7] = [
            ("item", unit.item != other.item),
            ("state", unit.state != other.state),
            ("reason", unit.reason != other.reason),
            ("unknown values", unit.unknown != other.unknown),
            ("where it runs", unit.on != other.on),
            ("user", unit.r#become != other.r#become),
            ("handlers", unit.notifies != other.notifies),
        ];
        differs.iter().filter(|(_, differs)| *differs).for_each(|(word, _)| say((*word).to_string()));
        for diff in unit.diffs.iter().filter(|d| !other.diffs.contains(d)) {
            say(diff.subject.clone());
        }
        for diff in other.diffs.iter().filter(|d| !unit.diffs.iter().any(|u| u.subject == d.subject)) {
            say(diff.subject.clone());
        }
        if unit.diffs.is_empty() && other.diffs.is_empty() && unit.args != other.args {
            say("arguments".into());
        }
    }
    found
}
