//! What a plan comes to in numbers and in one sentence.

use std::collections::{BTreeMap, HashSet};

use super::view::{StepView, View, acting_hosts, reached, unresolved};
use crate::plan::kind::{self, Kind};
use crate::plan::model::{Invocation, Plan, Reach, Risk, State, Verdict};

/// The numbers of a plan.
#[derive(Debug)]
pub struct Summary {
    pub verdict: Verdict,
    /// Steps, each once however many batches it runs in.
    pub steps: usize,
    pub acting: usize,
    pub disruptive: usize,
    pub unresolved: usize,
    pub hosts: usize,
    pub acting_hosts: usize,
    pub reached: BTreeMap<&'static str, usize>,
    pub by_state: BTreeMap<State, Count>,
    /// Of what acts only.
    pub by_risk: BTreeMap<Risk, Count>,
    pub by_kind: BTreeMap<Kind, Count>,
}

/// How often something occurs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub steps: usize,
    /// One for each step, host and item.
    pub units: usize,
}

impl Summary {
    /// Counts what is shown; the verdict is that of the whole plan.
    pub fn of(view: &View<'_>, shown: &Plan, whole: &Plan) -> Self {
        let mut summary = Summary {
            verdict: whole.verdict(),
            steps: view.steps().count(),
            acting: view.steps().filter(|s| s.acts()).count(),
            disruptive: view.steps().filter(|s| s.disruptive()).count(),
            unresolved: view.steps().filter(|s| s.units().any(unresolved)).count(),
            hosts: shown.hosts.len(),
            acting_hosts: acting_hosts(view),
            reached: reached(shown),
            by_state: BTreeMap::new(),
            by_risk: BTreeMap::new(),
            by_kind: BTreeMap::new(),
        };
        view.steps().for_each(|step| summary.count(step));
        summary
    }

    fn count(&mut self, step: &StepView<'_>) {
        let mut seen: HashSet<State> = HashSet::new();
        let mut acting = 0;
        for group in &step.groups {
            for unit in group.units {
                let count = self.by_state.entry(unit.state).or_default();
                count.units += group.hosts.count;
                count.steps += usize::from(seen.insert(unit.state));
                acting += if unit.state.acts() { group.hosts.count } else { 0 };
            }
        }
        if acting == 0 {
            return;
        }
        let risk = self.by_risk.entry(step.step.risk).or_default();
        *risk = Count { steps: risk.steps + 1, units: risk.units + acting };
        let kind = self.by_kind.entry(kind::of_module(&step.step.module)).or_default();
        *kind = Count { steps: kind.steps + 1, units: kind.units + acting };
    }
}

/// Returns the word of a verdict.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Nothing => "nothing",
        Verdict::Changes => "changes",
        Verdict::Incomplete => "incomplete",
        Verdict::Unreachable => "unreachable",
        Verdict::Error => "error",
    }
}

/// Returns the verdict for a headline, and the sentence that belongs to it.
pub fn headline(plan: &Plan) -> (&'static str, String) {
    let lost = |reach: Reach| count(plan.hosts.iter().filter(|h| h.reach == reach).count(), "host");
    match plan.verdict() {
        Verdict::Nothing => ("NOTHING TO DO", "everything is as wanted.".into()),
        Verdict::Changes => ("CHANGES", "applying this plan changes hosts.".into()),
        Verdict::Incomplete => {
            ("INCOMPLETE", "whether a disruptive step runs depends on something unknown.".into())
        }
        Verdict::Unreachable => (
            "UNREACHABLE",
            format!("{} could not be reached; the plan says nothing of them.", lost(Reach::Unreachable)),
        ),
        Verdict::Error => (
            "ERROR",
            format!("planning failed on {}; what comes after is not planned there.", lost(Reach::Error)),
        ),
    }
}

/// Returns how much the shown steps do, as one sentence.
pub fn extent(summary: &Summary) -> String {
    if summary.acting == 0 {
        return format!("{} on {}.", count(summary.steps, "step"), count(summary.hosts, "host"));
    }
    let mut text = format!(
        "{} of {} would act, on {} of {}",
        summary.acting,
        count(summary.steps, "step"),
        summary.acting_hosts,
        count(summary.hosts, "host")
    );
    let more: Vec<String> = [(summary.disruptive, "disruptive"), (summary.unresolved, "unresolved")]
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    if !more.is_empty() {
        text.push_str(": ");
        text.push_str(&more.join(", "));
    }
    text + "."
}

/// Returns what was left out when the plan was made; nothing for a plan of everything.
pub fn partial(invocation: &Invocation) -> Option<String> {
    let mut words = Vec::new();
    if let Some(limit) = &invocation.limit {
        words.push(format!("--limit {limit}"));
    }
    if !invocation.tags.is_empty() {
        words.push(format!("--tags {}", invocation.tags.join(",")));
    }
    if !invocation.skip_tags.is_empty() {
        words.push(format!("--skip-tags {}", invocation.skip_tags.join(",")));
    }
    if let Some(task) = &invocation.start_at_task {
        words.push(format!("--start-at-task \"{task}\""));
    }
    if words.is_empty() { None } else { Some(words.join(" ")) }
}

/// Returns a number with its noun: `1 host`, `2 hosts`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
