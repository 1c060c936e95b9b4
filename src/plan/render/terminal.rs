//! A plan for a terminal: the verdict, what is dangerous or unresolved, the steps in order, the counts, how to apply.
//!
//! What comes out are lines of styled parts for the masking writer, which makes control characters visible; here hostile
//! text is only kept from making lines of its own. Differences are cut so that a plan fits a screen when it can; how many
//! lines are hidden is always said.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::canvas::{BOLD, BRIGHT_RED, CYAN, Canvas, DIM, GREEN, PURPLE, RED, YELLOW, tag_style};
use super::difference::{self, Size};
use super::summary::{self, Summary, count};
use super::text::{cut, one_line, width};
use super::view::{GroupView, Hosts, Mark, PlayView, StepView, View, mark, said, speaks, unresolved};
use super::{Document, StyledLine, selected, time, view};
use crate::plan::model::{PlanDiff, Reach, Risk, State, Unit, Verdict};

/// Longer lines of a difference are cut; the other formats show them whole.
const MAX_LINE: usize = 1000;

/// Lines that are taken for one screen.
pub const SCREEN: usize = 50;

/// Sets of hosts that do nothing are cut at this many characters.
const MAX_SILENT: usize = 24;

/// How the text is made.
#[derive(Clone, Debug)]
pub struct TerminalOptions {
    /// Columns.
    pub width: usize,
    /// Lines that fit a screen: differences are cut more when that makes the plan fit.
    pub height: usize,
    pub color: bool,
    /// Everything: steps that do nothing, whole differences.
    pub all: bool,
    /// To say how long the plan is still good for.
    pub now: Option<Timestamp>,
}

/// How much of everything is shown.
#[derive(Clone, Copy)]
struct Detail {
    diff_lines: usize,
    items: usize,
    groups: usize,
    /// Entries of the sections before the steps.
    entries: usize,
    /// One line for a step that is the same on every host of its play.
    dense: bool,
}

const WHOLE: Detail = Detail {
    diff_lines: usize::MAX,
    items: usize::MAX,
    groups: usize::MAX,
    entries: usize::MAX,
    dense: false,
};
const USUAL: Detail = Detail { diff_lines: 12, items: 8, groups: 10, entries: 8, dense: false };

/// Returns the plan as lines.
pub fn lines(document: &Document<'_>, options: &TerminalOptions) -> Vec<StyledLine> {
    let view = View::of(document.plan);
    let summary = Summary::of(&view, document.plan, document.whole);
    let page = |detail: Detail| {
        let canvas = Canvas::new(options.width, options.color);
        let mut page = Page { document, options, detail, canvas, hidden: 0 };
        page.write(&view, &summary);
        page.canvas.into_lines()
    };
    if options.all || document.selection.step.is_some() {
        return page(WHOLE);
    }
    let tighter = [6, 3, 0].map(|diff_lines| Detail { diff_lines, ..USUAL });
    let dense = Detail { diff_lines: 0, dense: true, ..USUAL };
    let usual = page(USUAL);
    if usual.len() <= options.height {
        return usual;
    }
    let fits = tighter.into_iter().chain([dense]).map(page).find(|lines| lines.len() <= options.height);
    match fits {
        Some(lines) => lines,
        None if usual.len() > LONG * options.height => page(Detail { diff_lines: 3, groups: 4, ..USUAL }),
        None => usual,
    }
}

/// Plans of more screens show less of each difference.
const LONG: usize = 10;

struct Page<'a> {
    document: &'a Document<'a>,
    options: &'a TerminalOptions,
    detail: Detail,
    canvas: Canvas,
    /// Lines of differences that were left out.
    hidden: usize,
}

impl Page<'_> {
    fn write(&mut self, view: &View<'_>, summary: &Summary) {
        self.head(summary);
        self.lost(view);
        self.dangers(view);
        self.unresolved(view);
        self.said("Consequences", "consequence", &said(self.document.plan, |u| &u.consequences));
        self.warnings();
        for play in &view.plays {
            self.play(play);
        }
        self.counts(view, summary);
        self.end(summary);
    }

    fn head(&mut self, summary: &Summary) {
        let header = &self.document.header;
        let plan = self.document.whole;
        let mut first = format!(
            "Plan {}  {}  {}",
            header.id,
            plan.invocation.playbooks.join(", "),
            count(plan.hosts.len(), "host")
        );
        if plan.invocation.rehearsal {
            first.push_str("  REHEARSAL on emulated hosts");
        }
        self.canvas.line(BOLD, &first);
        let (word, sentence) = summary::headline(plan);
        let (style, sign) = verdict_style(summary.verdict);
        self.canvas.push(vec![(style, format!("{sign} {word}")), ("", format!("  {sentence}"))]);
        self.canvas.line("", &format!("  {}", summary::extent(summary)));
        let mut facts: Vec<String> = Vec::new();
        if let Some(at) = header.created {
            facts.push(format!("created {}", time(at)));
        }
        if let Some(at) = header.expires {
            facts.push(self.expiry(at));
        }
        match &header.approvals[..] {
            [] => {}
            all => {
                let names: Vec<&str> = all.iter().map(|a| a.by.as_str()).collect();
                facts.push(format!("signed by {}, not verified here", names.join(", ")));
            }
        }
        if !facts.is_empty() {
            self.canvas.wrapped(2, DIM, &facts.join("; "));
        }
        if let Some(words) = summary::partial(&plan.invocation) {
            self.canvas.wrapped(2, YELLOW, &format!("Partial plan: {words}"));
        }
        if let Some(words) = selected(self.document.selection) {
            let text = format!("Shown only: {words}; the verdict is that of the whole plan");
            self.canvas.wrapped(2, YELLOW, &text);
        }
    }

    fn expiry(&self, at: Timestamp) -> String {
        let Some(now) = self.options.now else { return format!("expires {}", time(at)) };
        let seconds = at.as_second() - now.as_second();
        let amount = match seconds.abs() {
            s @ ..7200 => format!("{} min", s / 60),
            s @ ..172_800 => format!("{} h", s / 3600),
            s => format!("{} days", s / 86400),
        };
        match seconds {
            1.. => format!("expires {} (in {amount})", time(at)),
            _ => format!("EXPIRED {} ({amount} ago)", time(at)),
        }
    }

    fn lost(&mut self, view: &View<'_>) {
        self.section("Not planned", "group of hosts", &view.lost, |page, lost| {
            let word = view::reach_word(lost.reach);
            let style = if lost.reach == Reach::Error { RED } else { BRIGHT_RED };
            page.canvas
                .push(vec![(style, "  ! ".into()), ("", format!("{}: {word}", page.hosts(&lost.hosts, 16)))]);
            page.canvas.wrapped(6, "", &lost.reason);
        });
    }

    fn dangers(&mut self, view: &View<'_>) {
        let steps: Vec<&StepView<'_>> = view.steps().filter(|s| s.disruptive()).collect();
        self.section("Disruptive", "step", &steps, |page, step| {
            let hosts = step.hosts(|u| u.state.acts());
            page.canvas.sided(
                vec![
                    (BRIGHT_RED, "  ! ".into()),
                    (BOLD, step.step.name.clone()),
                    ("", format!("  {} on {}", step.step.risk.word(), page.hosts(&hosts, 40))),
                ],
                &step.step.place,
            );
        });
    }

    fn unresolved(&mut self, view: &View<'_>) {
        self.section("Unresolved", "step", &view.unresolved(), |page, step| {
            let hosts = step.hosts(unresolved);
            let sign = if step.units().any(|u| u.state == State::Maybe) { "?" } else { ">" };
            page.canvas.sided(
                vec![
                    (PURPLE, format!("  {sign} ")),
                    (BOLD, step.step.name.clone()),
                    ("", format!("  on {}", page.hosts(&hosts, 30))),
                ],
                &step.step.place,
            );
            let causes = step.causes();
            let shown = causes.len().min(page.detail.entries);
            causes[..shown].iter().for_each(|cause| page.canvas.wrapped(6, "", cause));
            page.more(6, causes.len() - shown, "cause");
        });
    }

    fn said(&mut self, title: &str, noun: &str, texts: &[(&str, Hosts)]) {
        self.section(title, noun, texts, |page, (text, hosts)| {
            page.canvas.wrapped(2, "", &format!("{}: {text}", page.hosts(hosts, 30)));
        });
    }

    fn warnings(&mut self) {
        let plan = self.document.plan;
        let general: Vec<(&str, Hosts)> =
            plan.warnings.iter().map(|w| (w.as_str(), Hosts::default())).collect();
        let of_units = said(plan, |u| &u.warnings);
        let all: Vec<(&str, Hosts)> = general.into_iter().chain(of_units).collect();
        self.section("Warnings", "warning", &all, |page, (text, hosts)| match hosts.count {
            0 => page.canvas.wrapped(2, PURPLE, text),
            _ => page.canvas.wrapped(2, PURPLE, &format!("{}: {text}", page.hosts(hosts, 30))),
        });
    }

    fn play(&mut self, play: &PlayView<'_>) {
        let shown: Vec<&StepView<'_>> =
            play.steps.iter().filter(|s| self.options.all || s.speaks()).collect();
        if shown.is_empty() {
            return;
        }
        self.canvas.blank();
        let name = if play.name.is_empty() { "Play".to_string() } else { format!("Play {}", play.name) };
        let mut facts = format!("  {}", self.hosts(&play.hosts, 20));
        if play.batches.len() > 1 {
            facts.push_str(&batches(&play.batches));
        }
        self.canvas.push(vec![(BOLD, name), ("", facts)]);
        for step in shown {
            self.step(step, &play.hosts);
        }
    }

    fn step(&mut self, view: &StepView<'_>, everybody: &Hosts) {
        let step = view.step;
        let shown: Vec<&GroupView<'_>> =
            view.groups.iter().filter(|g| self.options.all || g.speaks()).collect();
        let quiet: Vec<&GroupView<'_>> = view.groups.iter().filter(|g| !g.speaks()).collect();
        let single = if let [one] = shown[..] { Some(one) } else { None };
        let (sign, name) = (view.mark(), view.title());
        if let Some(group) = single
            && self.detail.dense
            && group.hosts == *everybody
        {
            return self.dense(sign, &name, group, &step.place);
        }
        let head = vec![(style(sign), format!("  {} ", sign.sign())), (BOLD, name)];
        let place = self.canvas.try_sided(head, &step.place);
        let mut about = format!("{}, {}", view.module(), step.risk.word());
        if step.no_log {
            about.push_str(", no_log");
        }
        if let Some(group) = single {
            let hosts = self.hosts(&group.hosts, 40);
            let more = format!("{}{}", ways(group), self.silent(&quiet));
            self.canvas.detail_line(&format!("{hosts}: {}; {about}{more}", group.state().word()), place);
            self.units(group.units, step.risk, 6);
            return;
        }
        self.canvas.detail_line(&format!("{about}{}", self.silent(&quiet)), place);
        let limit = self.detail.groups.max(1);
        let skipped = shown.len().saturating_sub(limit);
        for (index, group) in shown.iter().enumerate() {
            // The reference, which is the last one, stays.
            if skipped > 0 && index + 1 >= limit && index + 1 < shown.len() {
                continue;
            }
            self.group(group, view, step.risk);
        }
        self.more(4, skipped, "group of hosts");
    }

    /// One line that says it all.
    fn dense(&mut self, sign: Mark, name: &str, group: &GroupView<'_>, place: &str) {
        let size = group.units.iter().flat_map(|u| &u.diffs).fold(Size::default(), |sum, diff| {
            let lines = difference::lines(diff);
            self.hidden += lines.len();
            sum.plus(Size::of(&lines))
        });
        let size = size.text();
        let room = self.canvas.width().saturating_sub(width(place) + width(&size) + 8);
        let parts = vec![
            (style(sign), format!("  {} ", sign.sign())),
            (BOLD, cut(&one_line(name), room.max(20))),
            ("", if size.is_empty() { size } else { format!("  {size}") }),
        ];
        self.canvas.sided(parts, place);
    }

    fn group(&mut self, group: &GroupView<'_>, view: &StepView<'_>, risk: Risk) {
        let sign = mark(group.units.iter(), risk);
        let mut text = format!("{}: {}{}", self.hosts(&group.hosts, 24), group.state().word(), ways(group));
        if let Some(reference) = view.reference()
            && !std::ptr::eq(reference.units, group.units)
        {
            let differing = view::differences(group.units, reference.units);
            if !differing.is_empty() {
                let others = count(reference.hosts.count, "host");
                let _ = write!(text, "; unlike {others} in {}", cut(&differing.join(", "), 60));
            }
        }
        self.canvas.push(vec![(style(sign), format!("    {} ", sign.sign())), ("", text)]);
        self.units(group.units, risk, 8);
    }

    /// Says what hosts do that are not shown.
    fn silent(&self, quiet: &[&GroupView<'_>]) -> String {
        if self.options.all {
            return String::new();
        }
        let mut by_state: BTreeMap<State, Vec<&String>> = BTreeMap::new();
        for group in quiet {
            by_state.entry(group.state()).or_default().extend(&group.hosts.sets);
        }
        let words = by_state.into_iter().map(|(state, sets)| {
            let hosts = Hosts::of(sets);
            let text = cut(&hosts.text(), MAX_SILENT);
            match hosts.count {
                1 => format!("; {text}: {}", state.word()),
                n => format!("; {text} ({}): {}", count(n, "host"), state.word()),
            }
        });
        words.collect()
    }

    fn units(&mut self, units: &[Unit], risk: Risk, indent: usize) {
        let shown: Vec<&Unit> = units.iter().filter(|u| self.options.all || speaks(u.state)).collect();
        let limit = self.detail.items.min(shown.len());
        for unit in &shown[..limit] {
            self.unit(unit, risk, indent);
        }
        self.more(indent, shown.len() - limit, "item");
        if units.len() > shown.len() && !shown.is_empty() {
            let quiet = count(units.len() - shown.len(), "other item");
            self.canvas.line(DIM, &format!("{:indent$}{quiet} without a change", ""));
        }
    }

    fn unit(&mut self, unit: &Unit, risk: Risk, mut indent: usize) {
        if let Some(item) = &unit.item {
            let sign = mark(std::iter::once(unit), risk);
            self.canvas.push(vec![
                (style(sign), format!("{:indent$}{} ", "", sign.sign())),
                ("", format!("item {item}: {}", unit.state.word())),
            ]);
            indent += 4;
        }
        if let Some(reason) = &unit.reason {
            self.canvas.wrapped(indent, reason_style(unit.state), &format!("why: {reason}"));
        }
        for cause in &unit.unknown {
            self.canvas.wrapped(indent, PURPLE, &format!("not known: {cause}"));
        }
        for diff in &unit.diffs {
            self.diff(diff, indent);
        }
        if unit.diffs.is_empty() && unit.state.acts() {
            self.arguments(unit, indent);
        }
        if unit.state == State::ChangeUnknown && unit.unknown.is_empty() {
            self.canvas.line(CYAN, &format!("{:indent$}its effect is known only after the run", ""));
        }
    }

    fn arguments(&mut self, unit: &Unit, indent: usize) {
        let Some(serde_json::Value::Object(args)) = &unit.args else { return };
        let limit = self.detail.diff_lines.min(args.len());
        for (key, value) in args.iter().take(limit) {
            self.canvas.wrapped(indent, DIM, &format!("{key}: {}", difference::shown(value)));
        }
        self.hide(indent, args.len() - limit, "argument");
    }

    fn diff(&mut self, diff: &PlanDiff, indent: usize) {
        let lines = difference::lines(diff);
        let size = Size::of(&lines).text();
        let size = if size.is_empty() { "no visible difference".to_string() } else { size };
        self.canvas.push(vec![
            ("", format!("{:indent$}{}", "", one_line(&diff.subject))),
            (DIM, format!("  {size}")),
        ]);
        let limit = self.detail.diff_lines;
        // One line more costs no more than the line that says that it is hidden.
        let limit = if lines.len() == limit.saturating_add(1) && limit > 0 {
            lines.len()
        } else {
            limit.min(lines.len())
        };
        for line in &lines[..limit] {
            let style = tag_style(line.tag);
            // A carriage return or anything else in a line stays in its line.
            let text = cut(&one_line(&line.signed()), MAX_LINE);
            self.canvas.push(vec![("", format!("{:1$}", "", indent + 2)), (style, text)]);
        }
        self.hide(indent + 2, lines.len() - limit, "line");
    }

    /// Says that some lines of a difference are not shown; below a certain detail only the end of the page does.
    fn hide(&mut self, indent: usize, hidden: usize, noun: &str) {
        self.hidden += hidden;
        if self.detail.diff_lines > 0 {
            self.more(indent, hidden, noun);
        }
    }

    fn more(&mut self, indent: usize, n: usize, noun: &str) {
        if n > 0 {
            let text = match noun {
                "group of hosts" if n > 1 => format!("{n} more groups of hosts"),
                _ => count(n, &format!("more {noun}")),
            };
            self.canvas.line(DIM, &format!("{:indent$}... {text}", ""));
        }
    }

    fn counts(&mut self, view: &View<'_>, summary: &Summary) {
        self.canvas.blank();
        let list = |counts: Vec<(&str, usize)>| -> String {
            counts.iter().map(|(word, n)| format!("{word} {n}")).collect::<Vec<_>>().join(", ")
        };
        let states = list(summary.by_state.iter().map(|(s, c)| (s.word(), c.units)).collect());
        self.labelled("Steps on hosts", &states);
        let risks = list(summary.by_risk.iter().rev().map(|(r, c)| (r.word(), c.steps)).collect());
        let kinds = list(summary.by_kind.iter().map(|(k, c)| (k.word(), c.steps)).collect());
        if !risks.is_empty() {
            self.labelled("Acting steps", &format!("{risks}; {kinds}"));
        }
        self.labelled("Hosts", &list(summary.reached.iter().map(|(w, n)| (*w, *n)).collect()));
        let used: Vec<Mark> =
            view.steps().flat_map(|s| s.groups.iter().map(|g| mark(g.units.iter(), s.step.risk))).collect();
        let legend: Vec<String> = Mark::ALL
            .iter()
            .filter(|m| **m != Mark::Quiet && used.contains(m))
            .map(|m| format!("{} {}", m.sign(), m.meaning()))
            .collect();
        if !legend.is_empty() {
            self.labelled("Marks", &legend.join(", "));
        }
    }

    fn labelled(&mut self, label: &str, text: &str) {
        if !text.is_empty() {
            self.canvas.push(vec![(DIM, format!("{label:<15} ")), ("", text.to_string())]);
        }
    }

    fn end(&mut self, summary: &Summary) {
        if self.hidden > 0 {
            let hidden = count(self.hidden, "line");
            self.labelled("Hidden", &format!("{hidden} of differences; --all or --step NAME shows them"));
        }
        let file = self.document.header.file;
        if !file.is_empty() && summary.verdict != Verdict::Nothing {
            self.labelled("Apply", &format!("xplay apply {file}"));
        }
    }

    fn section<T>(&mut self, title: &str, noun: &str, entries: &[T], mut write: impl FnMut(&mut Self, &T)) {
        if entries.is_empty() {
            return;
        }
        self.canvas.blank();
        self.canvas.line(BOLD, title);
        let limit = self.detail.entries.min(entries.len());
        for entry in &entries[..limit] {
            write(self, entry);
        }
        self.more(2, entries.len() - limit, noun);
    }

    /// Returns hosts with their number, cut to the width that is left beside `taken` columns.
    fn hosts(&self, hosts: &Hosts, taken: usize) -> String {
        let text = one_line(&hosts.text());
        let text = match self.detail.items {
            usize::MAX => text,
            _ => cut(&text, self.canvas.width().saturating_sub(taken).max(24)),
        };
        if hosts.count == 1 { text } else { format!("{text} ({})", count(hosts.count, "host")) }
    }
}

fn verdict_style(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Nothing => (GREEN, " "),
        Verdict::Changes => (YELLOW, "~"),
        Verdict::Incomplete => (PURPLE, "?"),
        Verdict::Unreachable | Verdict::Error => (BRIGHT_RED, "!"),
    }
}

fn style(mark: Mark) -> &'static str {
    match mark {
        Mark::Create => GREEN,
        Mark::Change => YELLOW,
        Mark::Remove => RED,
        Mark::Danger => BRIGHT_RED,
        Mark::Maybe => PURPLE,
        Mark::Runs => CYAN,
        Mark::Quiet => "",
    }
}

fn reason_style(state: State) -> &'static str {
    match state {
        State::Error | State::Unreachable => RED,
        State::Maybe => PURPLE,
        _ => "",
    }
}

/// Returns the first batches of a play.
fn batches(batches: &[&[String]]) -> String {
    const SHOWN: usize = 3;
    let mut names: Vec<String> = batches.iter().take(SHOWN).map(|b| cut(&b.join(","), 24)).collect();
    if batches.len() > SHOWN {
        names.push("...".into());
    }
    format!(", in {} batches: {}", batches.len(), names.join("; "))
}

/// Returns where and as whom a group runs, and what it notifies: such as `; on mn1; as root; notifies reload`.
fn ways(group: &GroupView<'_>) -> String {
    group.ways().iter().map(|word| format!("; {word}")).collect()
}
