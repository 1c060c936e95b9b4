//! The differences of two plans as terminal lines and as JSON.

use serde_json::{Value, json};

use super::StyledLine;
use super::canvas::{BOLD, BRIGHT_RED, Canvas, DIM, GREEN, RED, YELLOW, tag_style};
use super::difference::{self, Line};
use super::summary::count;
use super::text::{cut, inert_json, one_line};
use super::view::{Hosts, reach_word};
use crate::modules::short_name;
use crate::plan::compare::{Comparison, Fate, Field, GroupChange, ItemChange, StepChange};
use crate::plan::model::{DiffSide, PlanDiff, StepKind};

/// Lines of one difference.
const MAX_LINES: usize = 40;
/// Longer sets of nodes are cut.
const MAX_HOSTS: usize = 200;

/// Returns the comparison as JSON with a line break at the end.
pub fn json_text(comparison: &Comparison, ids: (&str, &str)) -> Result<String, serde_json::Error> {
    let mut out = serde_json::Map::new();
    out.insert("before".into(), json!(ids.0));
    out.insert("after".into(), json!(ids.1));
    out.insert("same".into(), json!(comparison.is_same()));
    if let Value::Object(members) = serde_json::to_value(comparison)? {
        out.extend(members);
    }
    Ok(inert_json(&serde_json::to_string_pretty(&out)?).into_owned() + "\n")
}

/// Returns the comparison as lines.
pub fn lines(comparison: &Comparison, ids: (&str, &str), width: usize, color: bool) -> Vec<StyledLine> {
    let mut page = Page { canvas: Canvas::new(width, color) };
    page.canvas.line(BOLD, &format!("Plan {} -> {}", ids.0, ids.1));
    page.canvas.wrapped(0, "", &verdict(comparison));
    page.settings(comparison);
    page.hosts(comparison);
    page.warnings(comparison);
    if !comparison.steps.is_empty() || comparison.reordered {
        page.title("Steps");
    }
    if comparison.reordered {
        page.canvas.line(YELLOW, "  ~ steps of both plans run in another order");
    }
    for step in &comparison.steps {
        page.step(step);
    }
    page.canvas.into_lines()
}

fn verdict(comparison: &Comparison) -> String {
    if comparison.is_same() {
        return "= SAME: both plans do the same.".into();
    }
    let steps = |fate: Fate| comparison.steps.iter().filter(|s| s.fate == fate).count();
    let counts = [
        (steps(Fate::Added), "step", "added"),
        (steps(Fate::Removed), "step", "removed"),
        (steps(Fate::Edited), "step", "edited"),
        (steps(Fate::Changed), "step", "changed"),
        (Hosts::of(&comparison.hosts_added).count, "host", "added"),
        (Hosts::of(&comparison.hosts_removed).count, "host", "removed"),
        (
            comparison.hosts_changed.iter().map(|h| Hosts::of(&h.hosts).count).sum(),
            "host",
            "reached otherwise",
        ),
        (comparison.settings.len(), "setting", "changed"),
    ];
    let mut words: Vec<String> = counts
        .iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, noun, what)| format!("{} {what}", count(*n, noun)))
        .collect();
    if comparison.reordered {
        words.push("another order".into());
    }
    let warnings = comparison.warnings_added.len() + comparison.warnings_removed.len();
    if warnings > 0 {
        words.push(format!("{} that only one plan has", count(warnings, "warning")));
    }
    format!("~ DIFFERENT: {}.", words.join(", "))
}

struct Page {
    canvas: Canvas,
}

impl Page {
    fn title(&mut self, title: &str) {
        self.canvas.blank();
        self.canvas.line(BOLD, title);
    }

    fn settings(&mut self, comparison: &Comparison) {
        if !comparison.settings.is_empty() {
            self.title("Settings");
            comparison.settings.iter().for_each(|field| self.field(field, 2));
        }
    }

    fn hosts(&mut self, comparison: &Comparison) {
        let (added, removed) = (&comparison.hosts_added, &comparison.hosts_removed);
        if added.is_empty() && removed.is_empty() && comparison.hosts_changed.is_empty() {
            return;
        }
        self.title("Hosts");
        for (style, sign, sets) in [(GREEN, "+", added), (RED, "-", removed)] {
            if !sets.is_empty() {
                self.canvas.push(vec![(style, format!("  {sign} ")), ("", hosts(sets))]);
            }
        }
        for change in &comparison.hosts_changed {
            let words = format!("{} -> {}", reach_word(change.before), reach_word(change.after));
            self.canvas
                .push(vec![(BRIGHT_RED, "  ~ ".into()), ("", format!("{}: {words}", hosts(&change.hosts)))]);
            if let Some(reason) = &change.reason {
                self.canvas.wrapped(6, "", reason);
            }
        }
    }

    fn warnings(&mut self, comparison: &Comparison) {
        let (added, removed) = (&comparison.warnings_added, &comparison.warnings_removed);
        if added.is_empty() && removed.is_empty() {
            return;
        }
        self.title("Warnings");
        added.iter().for_each(|w| self.canvas.wrapped(2, GREEN, &format!("+ {w}")));
        removed.iter().for_each(|w| self.canvas.wrapped(2, RED, &format!("- {w}")));
    }

    fn step(&mut self, step: &StepChange) {
        let (style, sign) = fate_style(step.fate);
        let handler = if step.kind == StepKind::Handler { "handler: " } else { "" };
        let turn = if step.turn > 1 { format!(" (turn {})", step.turn) } else { String::new() };
        let head = vec![(style, format!("  {sign} ")), (BOLD, format!("{handler}{}{turn}", step.name))];
        let place = self.canvas.try_sided(head, &step.place);
        let word = match step.fate {
            Fate::Added => "added",
            Fate::Removed => "removed",
            Fate::Edited => "its text was edited",
            Fate::Changed => "changed",
        };
        self.canvas.detail_line(
            &format!("{}, {}: {word}", short_name(&step.module).unwrap_or(&step.module), step.risk.word()),
            place,
        );
        step.fields.iter().for_each(|field| self.field(field, 6));
        step.groups.iter().for_each(|group| self.group(group));
    }

    fn group(&mut self, group: &GroupChange) {
        let (style, sign) = fate_style(group.fate);
        let state = group.state.map(|s| format!(": {}", s.word())).unwrap_or_default();
        self.canvas
            .push(vec![(style, format!("    {sign} ")), ("", format!("{}{state}", hosts(&group.hosts)))]);
        group.items.iter().for_each(|item| self.item(item));
    }

    fn item(&mut self, change: &ItemChange) {
        let mut indent = 8;
        if let Some(item) = &change.item {
            let (style, sign) = fate_style(change.fate);
            self.canvas.push(vec![(style, format!("{:indent$}{sign} ", "")), ("", format!("item {item}"))]);
            indent += 4;
        }
        change.fields.iter().for_each(|field| self.field(field, indent));
    }

    fn field(&mut self, field: &Field, indent: usize) {
        match field {
            Field::Value { name, before, after } => {
                let map = |value: &Value| -> serde_json::Map<String, Value> {
                    [(name.clone(), value.clone())].into_iter().filter(|(_, v)| !v.is_null()).collect()
                };
                self.lines(&difference::attributes(&map(before), &map(after)), indent);
            }
            Field::Diff { subject, before, after } => {
                self.diff(subject, before.as_ref(), after.as_ref(), indent)
            }
        }
    }

    /// Shows how two foreseen differences differ: what they begin with, and what they lead to.
    fn diff(&mut self, subject: &str, before: Option<&PlanDiff>, after: Option<&PlanDiff>, indent: usize) {
        let (before, after) = match (before, after) {
            (Some(before), Some(after)) => (before, after),
            (None, None) => return,
            (one, other) => {
                let (word, diff) =
                    if other.is_some() { ("is foreseen now", other) } else { ("no longer foreseen", one) };
                self.canvas.push(vec![("", format!("{:indent$}{subject} ", "")), (DIM, word.to_string())]);
                self.lines(&diff.map(difference::lines).unwrap_or_default(), indent + 2);
                return;
            }
        };
        for (word, old, new) in [
            ("found before the change", &before.before, &after.before),
            ("after the change", &before.after, &after.after),
        ] {
            if old != new {
                self.canvas.push(vec![("", format!("{:indent$}{subject} ", "")), (DIM, word.to_string())]);
                self.lines(&sides(old, new), indent + 2);
            }
        }
    }

    fn lines(&mut self, lines: &[Line], indent: usize) {
        for line in lines.iter().take(MAX_LINES) {
            self.canvas
                .push(vec![("", format!("{:indent$}", "")), (tag_style(line.tag), one_line(&line.signed()))]);
        }
        if lines.len() > MAX_LINES {
            let more = count(lines.len() - MAX_LINES, "more line");
            self.canvas.line(DIM, &format!("{:indent$}... {more}", ""));
        }
    }
}

fn sides(old: &DiffSide, new: &DiffSide) -> Vec<Line> {
    difference::lines(&PlanDiff { subject: String::new(), before: old.clone(), after: new.clone() })
}

fn fate_style(fate: Fate) -> (&'static str, &'static str) {
    match fate {
        Fate::Added => (GREEN, "+"),
        Fate::Removed => (RED, "-"),
        Fate::Edited | Fate::Changed => (YELLOW, "~"),
    }
}

fn hosts(sets: &[String]) -> String {
    let hosts = Hosts::of(sets);
    let text = cut(&hosts.text(), MAX_HOSTS);
    if hosts.count == 1 { text } else { format!("{text} ({})", count(hosts.count, "host")) }
}
