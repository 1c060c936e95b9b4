//! Makes a plan of what planning observed: masks it, and folds hosts for which a step would do the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use sha2::{Digest, Sha256};

use super::model::{
    DiffSide, Group, HostEntry, Invocation, Plan, PlanDiff, PlayEntry, Reach, Risk, State, Step, StepKind,
    Unit,
};
use super::observe::Observed;
use super::seal::Seal;
use super::{nodeset, risk};
use crate::modules;
use crate::value::{Map, Value, to_json};

/// What the steps of one task have in common.
#[derive(Clone, Debug)]
pub struct StepHead {
    pub id: String,
    pub name: String,
    pub role: Option<String>,
    pub module: String,
    pub place: String,
    pub kind: StepKind,
    pub no_log: bool,
}

/// Collects what planning observes, in order.
pub struct Builder {
    seal: Seal,
    plays: Vec<PlayEntry>,
    hosts: IndexMap<String, HostEntry>,
    steps: Vec<OpenStep>,
    warnings: Vec<String>,
    blobs: BTreeMap<String, Vec<u8>>,
}

struct OpenStep {
    head: StepHead,
    play: usize,
    batch: usize,
    risk: Risk,
    hosts: IndexMap<String, Vec<Unit>>,
}

impl Builder {
    pub fn new(seal: Seal) -> Self {
        Builder {
            seal,
            plays: Vec::new(),
            hosts: IndexMap::new(),
            steps: Vec::new(),
            warnings: Vec::new(),
            blobs: BTreeMap::new(),
        }
    }

    /// A batch of a play begins.
    pub fn play(&mut self, name: &str, hosts: &[Arc<str>], first_batch: bool) {
        for host in hosts {
            self.hosts.entry(host.to_string()).or_insert_with(|| HostEntry {
                name: host.to_string(),
                reach: Reach::Untouched,
                reason: None,
            });
        }
        if first_batch || self.plays.is_empty() {
            self.plays.push(PlayEntry { name: self.seal.mask(name), batches: Vec::new() });
        }
        if let Some(play) = self.plays.last_mut() {
            play.batches.push(nodeset::fold(hosts));
        }
    }

    /// A task begins.
    pub fn step(&mut self, head: StepHead) {
        let risk = modules::short_name(&head.module).map_or(Risk::None, risk::of_module);
        let head = StepHead { name: self.seal.mask(&head.name), place: self.seal.text(&head.place), ..head };
        self.steps.push(OpenStep {
            head,
            play: self.plays.len().saturating_sub(1),
            batch: self.plays.last().map_or(0, |p| p.batches.len().saturating_sub(1)),
            risk,
            hosts: IndexMap::new(),
        });
    }

    /// The newest task with this id was looked at on a host.
    pub fn observed(&mut self, id: &str, host: &str, observed: Vec<Observed>) {
        let Some(at) = self.steps.iter().rposition(|s| s.head.id == id) else { return };
        let hidden = self.steps[at].head.no_log;
        let units: Vec<Unit> = observed.into_iter().map(|o| self.seal(o, hidden)).collect();
        let entry = self.hosts.entry(host.to_string()).or_insert_with(|| HostEntry {
            name: host.to_string(),
            reach: Reach::Untouched,
            reason: None,
        });
        for unit in &units {
            entry.reach = match (unit.state, entry.reach) {
                (State::Unreachable, _) => Reach::Unreachable,
                (_, Reach::Unreachable | Reach::Error) => entry.reach,
                (State::Error, _) => Reach::Error,
                _ => Reach::Ok,
            };
            if matches!(unit.state, State::Error | State::Unreachable) && entry.reason.is_none() {
                entry.reason.clone_from(&unit.reason);
            }
        }
        self.steps[at].hosts.entry(host.to_string()).or_default().extend(units);
    }

    pub fn warning(&mut self, text: &str) {
        let text = self.seal.mask(text);
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    /// Returns the plan and the texts that it refers to by their digests.
    pub fn finish(self, invocation: Invocation) -> (Plan, BTreeMap<String, Vec<u8>>) {
        let mut turns: BTreeMap<String, u32> = BTreeMap::new();
        let mut steps = Vec::new();
        for mut open in self.steps.into_iter().filter(|s| !s.hosts.is_empty()) {
            // Hosts answer in any order; a plan has one.
            open.hosts.sort_by_cached_key(|host, _| self.hosts.get_index_of(host));
            let turn = turns.entry(open.head.id.clone()).or_default();
            *turn += 1;
            let head = open.head;
            steps.push(Step {
                turn: *turn,
                play: open.play,
                batch: open.batch,
                risk: open.risk,
                groups: groups(open.hosts),
                id: head.id,
                name: head.name,
                role: head.role,
                module: head.module,
                place: head.place,
                kind: head.kind,
                no_log: head.no_log,
            });
        }
        let plan = Plan {
            format_version: format!("{}.{}", super::model::FORMAT.0, super::model::FORMAT.1),
            invocation,
            hosts: self.hosts.into_values().collect(),
            plays: self.plays,
            steps,
            warnings: self.warnings,
        };
        (plan, self.blobs)
    }

    fn seal(&mut self, observed: Observed, hidden: bool) -> Unit {
        let seal = self.seal.clone();
        let texts = |texts: Vec<String>| texts.iter().map(|t| seal.text(t)).collect::<Vec<_>>();
        let mut unit = Unit {
            state: observed.state,
            item: observed.item.map(|i| if hidden { HIDDEN.to_string() } else { self.seal.text(&i) }),
            reason: observed.reason.map(|r| self.seal.text(&r)),
            unknown: observed.unknown.iter().map(|u| self.seal.text(u)).collect(),
            on: observed.on,
            r#become: observed.r#become,
            args: observed.args.map(|a| self.seal.value(&Value::map(a), hidden)),
            locals: observed.locals.map(|l| self.seal.value(&Value::map(l), hidden)),
            consequences: texts(observed.consequences),
            warnings: texts(observed.warnings),
            notifies: texts(observed.notifies),
            ..Unit::default()
        };
        // What a digest is made of may hold a secret that is easy to guess.
        unit.expects = observed.expects.map(|e| match hidden || self.has_secret(&observed.diffs) {
            true => self.seal.keyed(e.as_bytes()),
            false => e,
        });
        if !hidden {
            unit.diffs = observed.diffs.iter().map(|d| self.diff(d)).collect();
            for (path, text) in observed.rendered {
                self.blob(&mut unit, &path, &text);
            }
        }
        unit
    }

    /// Keeps a rendered text, unless a secret is in it: then it is rendered again when the plan is applied.
    fn blob(&mut self, unit: &mut Unit, path: &Path, text: &str) {
        if self.seal.mask(text) != text {
            return;
        }
        let digest: String = Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
        unit.rendered.insert(self.seal.path(path), digest.clone());
        self.blobs.entry(digest).or_insert_with(|| text.as_bytes().to_vec());
    }

    fn has_secret(&self, diffs: &[modules::Diff]) -> bool {
        diffs.iter().flat_map(|d| [&d.before, &d.after]).any(|side| match side {
            modules::DiffSide::Text(text) => self.seal.mask(text) != *text,
            modules::DiffSide::Attributes(map) => self.attributes(map).1,
            _ => false,
        })
    }

    fn diff(&self, diff: &modules::Diff) -> PlanDiff {
        let subject = if diff.after_header.is_empty() { &diff.before_header } else { &diff.after_header };
        let path = [&diff.after, &diff.before].into_iter().find_map(|side| match side {
            modules::DiffSide::Attributes(map) => map.get("path").map(Value::to_text),
            _ => None,
        });
        let subject = if subject.is_empty() { path.unwrap_or_default() } else { subject.clone() };
        PlanDiff {
            subject: self.seal.text(&subject),
            before: self.side(&diff.before),
            after: self.side(&diff.after),
        }
    }

    fn side(&self, side: &modules::DiffSide) -> DiffSide {
        match side {
            modules::DiffSide::Absent => DiffSide::Absent,
            modules::DiffSide::Text(text) => DiffSide::Text { text: self.seal.mask(text) },
            modules::DiffSide::Attributes(map) => DiffSide::Attributes { attributes: self.attributes(map).0 },
            modules::DiffSide::Binary { size, sha256 } => {
                DiffSide::Binary { size: *size, sha256: sha256.clone() }
            }
        }
    }

    /// Attributes as JSON without secrets, and whether there were any.
    fn attributes(&self, map: &Map) -> (serde_json::Map<String, serde_json::Value>, bool) {
        let shown = |value: &Value| {
            let text = to_json(value).to_string();
            let masked = self.seal.mask(&text);
            let found = masked != text || matches!(value, Value::Secret(_));
            let json = if found { self.seal.mask(&value.to_text()).into() } else { to_json(value) };
            (json, found)
        };
        let mut any = false;
        let attributes = map
            .iter()
            .map(|(key, value)| {
                let (json, found) = shown(value);
                any |= found;
                (key.json_name().to_string(), json)
            })
            .collect();
        (attributes, any)
    }
}

/// What stands where a task hides its data.
const HIDDEN: &str = "(censored due to no_log)";

/// Folds hosts with equal units, largest group first.
fn groups(hosts: IndexMap<String, Vec<Unit>>) -> Vec<Group> {
    let mut by_content: IndexMap<String, (Vec<String>, Vec<Unit>)> = IndexMap::new();
    for (host, units) in hosts {
        // Units are plain data, so their JSON always exists.
        let key = serde_json::to_string(&units).unwrap_or_default();
        by_content.entry(key).or_insert_with(|| (Vec::new(), units)).0.push(host);
    }
    let mut groups: Vec<(usize, Group)> = by_content
        .into_values()
        .map(|(hosts, units)| (hosts.len(), Group { hosts: nodeset::fold(&hosts), units }))
        .collect();
    groups.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    groups.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Diff;
    use crate::plan::seal::Sealer;
    use crate::value::Secret;

    struct Stars;

    impl Sealer for Stars {
        fn mask(&self, text: &str) -> String {
            text.replace("hunter2", "********")
        }
        fn keyed(&self, bytes: &[u8]) -> String {
            format!("keyed-{}", bytes.len())
        }
    }

    fn head(id: &str) -> StepHead {
        StepHead {
            id: id.into(),
            name: format!("do {id}"),
            role: None,
            module: "copy".into(),
            place: "/home/me/site/site.yml:3".into(),
            kind: StepKind::Task,
            no_log: false,
        }
    }

    fn builder() -> Builder {
        let mut b = Builder::new(Seal::new(Arc::new(Stars), vec![("/home/me/site".into(), String::new())]));
        b.play("all", &["n1".into(), "n2".into(), "n3".into()], true);
        b
    }

    #[test]
    fn equal_hosts_fold_and_turns_count() {
        let mut b = builder();
        for _ in 0..2 {
            b.step(head("a"));
            for host in ["n1", "n2", "n3"] {
                let state = if host == "n2" { State::Change } else { State::Same };
                b.observed("a", host, vec![Observed::new(state)]);
            }
        }
        b.step(head("unseen"));
        let (plan, _) = b.finish(Invocation::default());
        let shown: Vec<_> = plan
            .steps
            .iter()
            .map(|s| (s.turn, s.groups.iter().map(|g| g.hosts.join(",")).collect::<Vec<_>>()))
            .collect();
        let groups = vec!["n[1,3]".to_string(), "n2".to_string()];
        assert_eq!(shown, [(1, groups.clone()), (2, groups)]);
        assert_eq!(plan.steps[0].place, "site.yml:3");
        assert!(plan.hosts.iter().all(|h| h.reach == Reach::Ok));
    }

    #[test]
    fn secrets_stand_nowhere() {
        let mut b = builder();
        b.step(head("a"));
        let mut o = Observed::new(State::Change).because("hunter2 it is");
        o.args = Some(Map::from_iter([
            ("pw", Value::Secret(Secret::new("hunter2"))),
            ("line", Value::str("x hunter2")),
            ("n", 1.into()),
        ]));
        o.expects = Some("digest".into());
        o.diffs.push(Diff {
            before_header: "/f".into(),
            after_header: "/f".into(),
            before: modules::DiffSide::Absent,
            after: modules::DiffSide::Text("pw=hunter2\n".into()),
        });
        o.rendered.push(("/home/me/site/templates/x.j2".into(), "hunter2".into()));
        b.observed("a", "n1", vec![o]);
        let (plan, blobs) = b.finish(Invocation::default());
        let json = serde_json::to_string(&plan).unwrap();
        assert!(!json.contains("hunter2"), "{json}");
        assert!(blobs.is_empty());
        let unit = &plan.steps[0].groups[0].units[0];
        assert_eq!(
            unit.args,
            Some(
                serde_json::json!({"pw": {"__secret__": "keyed-7"}, "line": {"__secret__": "keyed-9"}, "n": 1})
            )
        );
        assert_eq!(unit.expects.as_deref(), Some("keyed-6"));
    }
}
