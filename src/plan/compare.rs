//! What differs between two plans: hosts, steps, and what a step would do on a host.
//!
//! Steps are the same when their ids are; a step whose text was edited has a new id and is found by its path of names. Where
//! a task stands in its file does not count. Hosts that only one plan has are said once, not for every step.

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use super::model::{HostEntry, Plan, PlanDiff, Reach, Risk, State, Step, StepKind, Unit};
use super::nodeset;

/// The differences, folded.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    pub settings: Vec<Field>,
    /// Sets of nodes that only the second plan has.
    pub hosts_added: Vec<String>,
    pub hosts_removed: Vec<String>,
    pub hosts_changed: Vec<HostChange>,
    pub steps: Vec<StepChange>,
    /// Steps of both plans run in another order.
    pub reordered: bool,
    pub warnings_added: Vec<String>,
    pub warnings_removed: Vec<String>,
}

/// Hosts that planning reached otherwise.
#[derive(Debug, PartialEq, Serialize)]
pub struct HostChange {
    pub hosts: Vec<String>,
    pub before: Reach,
    pub after: Reach,
    pub reason: Option<String>,
}

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    Added,
    Removed,
    /// The task's text is another one.
    Edited,
    /// The same task does something else.
    Changed,
}

/// One step that differs.
#[derive(Debug, PartialEq, Serialize)]
pub struct StepChange {
    pub fate: Fate,
    pub id: String,
    pub turn: u32,
    pub name: String,
    pub kind: StepKind,
    pub module: String,
    pub place: String,
    pub risk: Risk,
    /// What differs of the step itself.
    pub fields: Vec<Field>,
    pub groups: Vec<GroupChange>,
}

/// Hosts on which a step differs in the same way.
#[derive(Debug, PartialEq, Serialize)]
pub struct GroupChange {
    pub fate: Fate,
    pub hosts: Vec<String>,
    /// The state that says most, for hosts that are added or removed.
    pub state: Option<State>,
    pub items: Vec<ItemChange>,
}

/// What differs in one item of a loop, or in a step without one.
#[derive(Debug, PartialEq, Serialize)]
pub struct ItemChange {
    pub fate: Fate,
    pub item: Option<String>,
    pub fields: Vec<Field>,
}

/// One difference.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Field {
    Value {
        name: String,
        before: Value,
        after: Value,
    },
    /// A difference that only one plan foresees, or both do otherwise.
    Diff {
        subject: String,
        before: Option<PlanDiff>,
        after: Option<PlanDiff>,
    },
}

impl Comparison {
    pub fn is_same(&self) -> bool {
        *self == Comparison::default()
    }
}

/// Returns what the second plan has that differs from the first.
pub fn compare(before: &Plan, after: &Plan) -> Comparison {
    let names = |plan: &Plan| -> HashSet<String> { plan.hosts.iter().map(|h| h.name.clone()).collect() };
    let (old_hosts, new_hosts) = (names(before), names(after));
    let common: HashSet<&str> = old_hosts.intersection(&new_hosts).map(String::as_str).collect();
    let fold = |a: &HashSet<String>, b: &HashSet<String>| nodeset::fold(&a.difference(b).collect::<Vec<_>>());
    let lacks = |a: &[String], b: &[String]| a.iter().filter(|w| !b.contains(w)).cloned().collect();
    let (old, new) = (by_key(before), by_key(after));
    Comparison {
        settings: settings(before, after, &common),
        hosts_added: fold(&new_hosts, &old_hosts),
        hosts_removed: fold(&old_hosts, &new_hosts),
        hosts_changed: hosts_changed(&before.hosts, &after.hosts),
        steps: steps(&old, &new, &common),
        reordered: reordered(&old, &new),
        warnings_added: lacks(&after.warnings, &before.warnings),
        warnings_removed: lacks(&before.warnings, &after.warnings),
    }
}

/// What names a step in both plans; batches do not count.
type StepKey<'p> = (&'p str, u32, bool);

fn by_key(plan: &Plan) -> IndexMap<StepKey<'_>, Vec<&Step>> {
    let mut found: IndexMap<StepKey<'_>, Vec<&Step>> = IndexMap::new();
    for step in &plan.steps {
        let key = (step.id.as_str(), step.turn, step.kind == StepKind::Handler);
        found.entry(key).or_default().push(step);
    }
    found
}

/// Hosts by what is said of them; how far planning got before and after, and who they are.
type Reached<'p> = IndexMap<(&'p str, &'p str, Option<&'p str>), (Reach, Reach, Vec<&'p str>)>;

fn settings(before: &Plan, after: &Plan, common: &HashSet<&str>) -> Vec<Field> {
    let json = |plan: &Plan| serde_json::to_value(&plan.invocation).unwrap_or_default();
    let mut fields = members(&json(before), &json(after));
    if before.format_version != after.format_version {
        fields.push(Field::Value {
            name: "format_version".into(),
            before: before.format_version.clone().into(),
            after: after.format_version.clone().into(),
        });
    }
    for (old, new) in before.plays.iter().zip(&after.plays) {
        let batches = |all: &[Vec<String>]| -> Vec<String> {
            all.iter()
                .map(|batch| {
                    let mut hosts: Vec<String> = batch.iter().flat_map(|s| nodeset::unfold(s)).collect();
                    hosts.retain(|h| common.contains(h.as_str()));
                    nodeset::folded(&hosts)
                })
                .filter(|batch| !batch.is_empty())
                .collect()
        };
        let (a, b) = (batches(&old.batches), batches(&new.batches));
        if a != b {
            let name = format!("batches of {}", new.name);
            fields.push(Field::Value { name, before: a.into(), after: b.into() });
        }
    }
    fields
}

fn hosts_changed(before: &[HostEntry], after: &[HostEntry]) -> Vec<HostChange> {
    let old: HashMap<&str, &HostEntry> = before.iter().map(|h| (h.name.as_str(), h)).collect();
    let mut found: Reached<'_> = IndexMap::new();
    let word = |reach: Reach| match reach {
        Reach::Ok => "ok",
        Reach::Untouched => "untouched",
        Reach::Unreachable => "unreachable",
        Reach::Error => "error",
    };
    for host in after {
        let Some(was) = old.get(host.name.as_str()) else { continue };
        if was.reach != host.reach || was.reason != host.reason {
            let key = (word(was.reach), word(host.reach), host.reason.as_deref());
            found.entry(key).or_insert_with(|| (was.reach, host.reach, Vec::new())).2.push(&host.name);
        }
    }
    found
        .into_iter()
        .map(|((_, _, reason), (before, after, hosts))| HostChange {
            hosts: nodeset::fold(&hosts),
            before,
            after,
            reason: reason.map(str::to_string),
        })
        .collect()
}

fn reordered(old: &IndexMap<StepKey<'_>, Vec<&Step>>, new: &IndexMap<StepKey<'_>, Vec<&Step>>) -> bool {
    let in_old = old.keys().filter(|key| new.contains_key(*key));
    let in_new = new.keys().filter(|key| old.contains_key(*key));
    !in_old.eq(in_new)
}

fn steps(
    old: &IndexMap<StepKey<'_>, Vec<&Step>>,
    new: &IndexMap<StepKey<'_>, Vec<&Step>>,
    common: &HashSet<&str>,
) -> Vec<StepChange> {
    // Steps that only the first plan has, by their path of names: the text of some was edited.
    let mut gone: IndexMap<(&str, u32, bool), Vec<&StepKey<'_>>> = IndexMap::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        gone.entry((path(key.0), key.1, key.2)).or_default().push(key);
    }
    let mut changes = Vec::new();
    for (key, steps) in new {
        if let Some(was) = old.get(key) {
            changes.extend(changed(Fate::Changed, was, steps, common));
            continue;
        }
        let edited = gone.get_mut(&(path(key.0), key.1, key.2)).filter(|keys| !keys.is_empty());
        match edited.map(|keys| keys.remove(0)).and_then(|key| old.get(key)) {
            Some(was) => changes.extend(changed(Fate::Edited, was, steps, common)),
            None => changes.extend(alone(Fate::Added, steps)),
        }
    }
    let removed = gone.values().flatten().filter_map(|key| old.get(*key));
    changes.extend(removed.filter_map(|steps| alone(Fate::Removed, steps)));
    changes
}

fn path(id: &str) -> &str {
    id.rsplit_once('#').map_or(id, |(path, _)| path)
}

/// A step that only one plan has.
fn alone(fate: Fate, steps: &[&Step]) -> Option<StepChange> {
    let mut hosts: BTreeMap<State, Vec<String>> = BTreeMap::new();
    for group in steps.iter().flat_map(|s| &s.groups) {
        let names = group.hosts.iter().flat_map(|set| nodeset::unfold(set));
        hosts.entry(main_state(&group.units)).or_default().extend(names);
    }
    let groups = hosts
        .into_iter()
        .map(|(state, hosts)| GroupChange {
            fate,
            hosts: nodeset::fold(&hosts),
            state: Some(state),
            items: Vec::new(),
        })
        .collect();
    Some(step_change(fate, steps.first()?, Vec::new(), groups))
}

/// The state of units that is shown for all of them.
fn main_state(units: &[Unit]) -> State {
    units.iter().map(|u| u.state).max_by_key(|s| (s.acts(), *s)).unwrap_or_default()
}

fn step_change(fate: Fate, step: &Step, fields: Vec<Field>, groups: Vec<GroupChange>) -> StepChange {
    StepChange {
        fate,
        id: step.id.clone(),
        turn: step.turn,
        name: step.name.clone(),
        kind: step.kind,
        module: step.module.clone(),
        place: step.place.clone(),
        risk: step.risk,
        fields,
        groups,
    }
}

fn changed(fate: Fate, old: &[&Step], new: &[&Step], common: &HashSet<&str>) -> Option<StepChange> {
    let (was, is) = (old.first()?, new.first()?);
    let json = |step: &Step| serde_json::json!({ "name": step.name, "module": step.module, "risk": step.risk, "no_log": step.no_log });
    let fields = members(&json(was), &json(is));
    let same_groups = old.len() == new.len() && old.iter().zip(new).all(|(a, b)| a.groups == b.groups);
    let groups = if same_groups { Vec::new() } else { group_changes(old, new, common) };
    if fate == Fate::Changed && fields.is_empty() && groups.is_empty() {
        return None;
    }
    Some(step_change(fate, is, fields, groups))
}

fn group_changes(old: &[&Step], new: &[&Step], common: &HashSet<&str>) -> Vec<GroupChange> {
    let units = |steps: &[&Step]| -> Vec<Vec<Unit>> {
        steps.iter().flat_map(|s| s.groups.iter().map(|g| g.units.clone())).collect()
    };
    let (old_units, new_units) = (units(old), units(new));
    let (old_of, new_of) = (hosts_of(old), hosts_of(new));
    // Hosts that went from one group to another one, each pair compared once.
    let mut pairs: IndexMap<(Option<usize>, Option<usize>), Vec<&str>> = IndexMap::new();
    for (host, group) in &new_of {
        if common.contains(host.as_str()) {
            pairs.entry((old_of.get(host).copied(), Some(*group))).or_default().push(host);
        }
    }
    for (host, group) in &old_of {
        if common.contains(host.as_str()) && !new_of.contains_key(host) {
            pairs.entry((Some(*group), None)).or_default().push(host);
        }
    }
    let mut changes: Vec<(usize, GroupChange)> = Vec::new();
    for ((was, is), hosts) in pairs {
        let (was, is) = (was.map(|at| &old_units[at]), is.map(|at| &new_units[at]));
        let (fate, state, items) = match (was, is) {
            (Some(a), Some(b)) if a == b => continue,
            (Some(a), Some(b)) => (Fate::Changed, None, item_changes(a, b)),
            (None, Some(b)) => (Fate::Added, Some(main_state(b)), Vec::new()),
            (Some(a), None) => (Fate::Removed, Some(main_state(a)), Vec::new()),
            (None, None) => continue,
        };
        changes.push((hosts.len(), GroupChange { fate, hosts: nodeset::fold(&hosts), state, items }));
    }
    changes.sort_by_key(|(hosts, _)| *hosts);
    fold_equal(changes.into_iter().map(|(_, change)| change).collect())
}

/// Joins groups that differ in the same way.
fn fold_equal(changes: Vec<GroupChange>) -> Vec<GroupChange> {
    let mut folded: Vec<GroupChange> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for change in changes {
        let key = serde_json::to_string(&(change.fate, change.state, &change.items)).unwrap_or_default();
        if let Some(&at) = index.get(&key) {
            folded[at].hosts.extend(change.hosts);
            continue;
        }
        index.insert(key, folded.len());
        folded.push(change);
    }
    for change in &mut folded {
        let hosts: Vec<String> = change.hosts.iter().flat_map(|s| nodeset::unfold(s)).collect();
        change.hosts = nodeset::fold(&hosts);
    }
    folded
}

/// Returns the group of each host, counted over all batches.
fn hosts_of(steps: &[&Step]) -> IndexMap<String, usize> {
    let groups = steps.iter().flat_map(|s| &s.groups).enumerate();
    groups
        .flat_map(|(index, group)| {
            group.hosts.iter().flat_map(|set| nodeset::unfold(set)).map(move |host| (host, index))
        })
        .collect()
}

fn item_changes(old: &[Unit], new: &[Unit]) -> Vec<ItemChange> {
    let in_place = old.len() == new.len() && old.iter().zip(new).all(|(a, b)| a.item == b.item);
    if in_place {
        let pairs = old.iter().zip(new);
        return pairs.filter_map(|(a, b)| unit_change(a, b)).collect();
    }
    let mut left: Vec<&Unit> = old.iter().collect();
    let mut changes = Vec::new();
    for unit in new {
        match left.iter().position(|u| u.item == unit.item) {
            Some(at) => changes.extend(unit_change(left.remove(at), unit)),
            None => changes.push(ItemChange {
                fate: Fate::Added,
                item: unit.item.clone(),
                fields: state(unit, Fate::Added),
            }),
        }
    }
    changes.extend(left.into_iter().map(|unit| ItemChange {
        fate: Fate::Removed,
        item: unit.item.clone(),
        fields: state(unit, Fate::Removed),
    }));
    changes
}

/// The state of an item that only one plan has.
fn state(unit: &Unit, fate: Fate) -> Vec<Field> {
    let word = Value::from(unit.state.word());
    let (before, after) = if fate == Fate::Added { (Value::Null, word) } else { (word, Value::Null) };
    vec![Field::Value { name: "state".into(), before, after }]
}

fn unit_change(old: &Unit, new: &Unit) -> Option<ItemChange> {
    if old == new {
        return None;
    }
    let json = |unit: &Unit| {
        let mut json = serde_json::to_value(unit).unwrap_or_default();
        if let Value::Object(members) = &mut json {
            members.remove("diffs");
        }
        json
    };
    let mut fields = members(&json(old), &json(new));
    fields.extend(diff_fields(&old.diffs, &new.diffs));
    // Digests say nothing to people; they count when nothing else tells of the difference.
    let digest =
        |f: &Field| matches!(f, Field::Value { name, .. } if name == "expects" || name == "rendered");
    if fields.iter().any(|f| !digest(f)) {
        fields.retain(|f| !digest(f));
    }
    Some(ItemChange { fate: Fate::Changed, item: new.item.clone(), fields })
}

fn diff_fields(old: &[PlanDiff], new: &[PlanDiff]) -> Vec<Field> {
    let mut left: Vec<&PlanDiff> = old.iter().collect();
    let mut fields = Vec::new();
    for diff in new {
        let was = left.iter().position(|d| d.subject == diff.subject).map(|at| left.remove(at));
        if was != Some(diff) {
            let (subject, before) = (diff.subject.clone(), was.cloned());
            fields.push(Field::Diff { subject, before, after: Some(diff.clone()) });
        }
    }
    fields.extend(left.into_iter().map(|diff| Field::Diff {
        subject: diff.subject.clone(),
        before: Some(diff.clone()),
        after: None,
    }));
    fields
}

/// Returns the members of two maps that differ; one that is absent counts as null.
fn members(old: &Value, new: &Value) -> Vec<Field> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return Vec::new() };
    let added = new.keys().filter(|key| !old.contains_key(*key));
    old.keys()
        .chain(added)
        .filter_map(|key| {
            let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
            let (before, after) = (of(old), of(new));
            if before == after { None } else { Some(Field::Value { name: key.clone(), before, after }) }
        })
        .collect()
}
