//! A plan as Markdown for pull requests and tickets: steps that fold, parts that fit into one comment.
//!
//! Text from anywhere stands only in code spans, fences and `<code>`, where neither markup nor mentions mean anything.

use std::fmt::Write as _;

use super::difference;
use super::summary::{self, Summary, count};
use super::text::{cut, one_line};
use super::view::{GroupView, Hosts, StepView, View, mark, reach_word, said, speaks, unresolved};
use super::{Document, selected, time};
use crate::plan::model::{PlanDiff, Unit, Verdict};
use crate::template::escape_html;

/// GitHub takes comments up to 65,536 characters.
pub const COMMENT: usize = 60_000;
/// Smaller parts would hold nothing but their headings.
const MIN_LIMIT: usize = 16_000;
/// Names, reasons and sets of nodes are cut at this many characters.
const MAX_TEXT: usize = 400;
/// The same in headings, which each part repeats.
const MAX_TITLE: usize = 100;
/// Lines of one difference.
const MAX_LINES: usize = 200;
/// Room for the title of a part and the headings that are repeated in it.
const RESERVE: usize = 1_600;

/// Something that is not split, below a heading that each part repeats.
struct Block {
    heading: String,
    text: String,
}

/// Returns the parts of the text, each at most `limit` bytes long.
pub fn parts(document: &Document<'_>, all: bool, limit: usize) -> Vec<String> {
    let limit = limit.max(MIN_LIMIT);
    let budget = limit - RESERVE;
    let view = View::of(document.plan);
    let summary = Summary::of(&view, document.plan, document.whole);
    let mut blocks = Vec::new();
    head(document, &summary, &mut blocks);
    lists(document, &view, &mut blocks);
    for play in &view.plays {
        let sets = cut(&play.hosts.text(), MAX_TITLE);
        let on = format!("{} ({})", code(&sets), count(play.hosts.count, "host"));
        let heading = format!("### Play {} on {on}", code(&cut(play.name, MAX_TITLE)));
        for step in play.steps.iter().filter(|s| all || s.speaks()) {
            for text in step_texts(step, all, budget) {
                blocks.push(Block { heading: heading.clone(), text });
            }
        }
    }
    tail(document, &summary, &mut blocks);
    join(&blocks, document.header.id, limit)
}

/// Packs blocks into parts and numbers them.
fn join(blocks: &[Block], id: &str, limit: usize) -> Vec<String> {
    let mut bodies: Vec<String> = Vec::new();
    let mut heading = "";
    for block in blocks {
        let needed = block.heading.len() + block.text.len() + 4;
        if bodies.last().is_none_or(|body| body.len() + needed > limit - RESERVE / 4) {
            bodies.push(String::new());
            heading = "";
        }
        let Some(body) = bodies.last_mut() else { continue };
        if heading != block.heading {
            let _ = write!(body, "\n{}\n\n", block.heading);
            heading = &block.heading;
        }
        body.push_str(&block.text);
    }
    let total = bodies.len();
    let title = |part: usize| match total {
        1 => format!("## Plan {}\n", code(id)),
        _ => format!("## Plan {} (part {part} of {total})\n", code(id)),
    };
    bodies.iter().enumerate().map(|(index, body)| title(index + 1) + body).collect()
}

fn head(document: &Document<'_>, summary: &Summary, blocks: &mut Vec<Block>) {
    let header = &document.header;
    let (word, sentence) = summary::headline(document.whole);
    let mut text = format!("**{word}**: {sentence} {}\n\n", summary::extent(summary));
    let invocation = &document.whole.invocation;
    let _ = writeln!(text, "- Playbooks: {}", code(&invocation.playbooks.join(", ")));
    if invocation.rehearsal {
        text.push_str("- A rehearsal: every host is emulated.\n");
    }
    if let Some(words) = summary::partial(invocation) {
        let _ = writeln!(text, "- Partial plan: {}", code(&words));
    }
    if let Some(words) = selected(document.selection) {
        let _ = writeln!(text, "- Shown only: {}; the verdict is that of the whole plan", code(&words));
    }
    if let Some(at) = header.created {
        let _ = writeln!(text, "- Created {}", time(at));
    }
    if let Some(at) = header.expires {
        let _ = writeln!(text, "- Expires {}", time(at));
    }
    if !header.approvals.is_empty() {
        let names: Vec<&str> = header.approvals.iter().map(|a| a.by.as_str()).collect();
        let _ = writeln!(text, "- Signed by {}, not verified here", code(&names.join(", ")));
    }
    // The first block has no heading of its own: the title of the part is above it.
    blocks.push(Block { heading: String::new(), text });
}

fn lists(document: &Document<'_>, view: &View<'_>, blocks: &mut Vec<Block>) {
    let mut add =
        |heading: &str, text: String| blocks.push(Block { heading: format!("### {heading}"), text });
    for lost in &view.lost {
        let word = reach_word(lost.reach);
        add("Not planned", format!("- **!** {}, {word}: {}\n", hosts(&lost.hosts), code(&lost.reason)));
    }
    for step in view.steps().filter(|s| s.disruptive()) {
        let on = step.hosts(|u| u.state.acts());
        let risk = step.step.risk.word();
        add(
            "Disruptive",
            format!(
                "- **!** {} ({risk}) on {}, {}\n",
                code(&step.title()),
                hosts(&on),
                code(&step.step.place)
            ),
        );
    }
    for step in view.unresolved() {
        let on = step.hosts(unresolved);
        let mut text =
            format!("- **?** {} on {}, {}\n", code(&step.title()), hosts(&on), code(&step.step.place));
        let causes = step.causes();
        causes.iter().take(4).for_each(|cause| {
            let _ = writeln!(text, "  - {}", code(cause));
        });
        if causes.len() > 4 {
            let _ = writeln!(text, "  - {}", count(causes.len() - 4, "more cause"));
        }
        add("Unresolved", text);
    }
    for (text, on) in said(document.plan, |u| &u.consequences) {
        add("Consequences", format!("- {}: {}\n", hosts(&on), code(text)));
    }
    for warning in &document.plan.warnings {
        add("Warnings", format!("- {}\n", code(warning)));
    }
    for (text, on) in said(document.plan, |u| &u.warnings) {
        add("Warnings", format!("- {}: {}\n", hosts(&on), code(text)));
    }
}

fn tail(document: &Document<'_>, summary: &Summary, blocks: &mut Vec<Block>) {
    let row = |word: &str, c: &summary::Count| format!("| {word} | {} | {} |\n", c.steps, c.units);
    let mut text = String::from("| | steps | on hosts |\n|---|---:|---:|\n");
    text.extend(summary.by_state.iter().map(|(state, c)| row(state.word(), c)));
    text.extend(summary.by_risk.iter().rev().map(|(risk, c)| row(&format!("risk {}", risk.word()), c)));
    text.extend(summary.by_kind.iter().map(|(kind, c)| row(&format!("changes of {}", kind.word()), c)));
    let reached: Vec<String> = summary.reached.iter().map(|(word, n)| format!("{n} {word}")).collect();
    let _ = write!(text, "\nHosts: {}.\n", reached.join(", "));
    if summary.verdict != Verdict::Nothing && !document.header.file.is_empty() {
        let _ = write!(text, "\nApply: {}\n", code(&format!("xplay apply {}", document.header.file)));
    }
    blocks.push(Block { heading: "### Counts".into(), text });
}

/// Returns the folding sections of one step, more than one only when its groups do not fit together.
fn step_texts(step: &StepView<'_>, all: bool, budget: usize) -> Vec<String> {
    let open = if step.disruptive() { " open" } else { "" };
    let summary = format!(
        "<details{open}><summary>{} {}: {} &middot; {}, {} &middot; {}</summary>\n\n",
        escape_html(step.mark().sign()),
        html_code(&step.title()),
        step_state(step),
        html_code(step.module()),
        step.step.risk.word(),
        html_code(&step.step.place),
    );
    let room = budget.saturating_sub(summary.len() + "</details>\n\n".len());
    let mut texts = Vec::new();
    let mut body = String::new();
    for group in step.groups.iter().filter(|g| all || g.speaks()) {
        let text = group_text(step, group, all, room);
        if !body.is_empty() && body.len() + text.len() > room {
            texts.push(format!("{summary}{body}</details>\n\n"));
            body.clear();
        }
        body.push_str(&text);
    }
    texts.push(format!("{summary}{body}</details>\n\n"));
    texts
}

/// Returns how many hosts are in which state.
fn step_state(step: &StepView<'_>) -> String {
    let words: Vec<String> = step
        .groups
        .iter()
        .rev()
        .take(4)
        .map(|g| format!("{} on {}", g.state().word(), count(g.hosts.count, "host")))
        .collect();
    let more = if step.groups.len() > 4 { ", ..." } else { "" };
    escape_html(&format!("{}{more}", words.join(", ")))
}

fn group_text(step: &StepView<'_>, group: &GroupView<'_>, all: bool, room: usize) -> String {
    let sign = mark(group.units.iter(), step.step.risk).sign();
    let ways: String = group.ways().iter().take(4).map(|way| format!("; {}", code(way))).collect();
    let mut text = format!("**{sign}** {}: {}{ways}\n\n", hosts(&group.hosts), group.state().word());
    let units: Vec<&Unit> = group.units.iter().filter(|u| all || speaks(u.state)).collect();
    for (index, unit) in units.iter().enumerate() {
        let mut piece = unit_text(unit, MAX_LINES);
        if text.len() + piece.len() + 100 > room {
            piece = unit_text(unit, 0);
        }
        if text.len() + piece.len() + 100 > room {
            let _ = write!(text, "{} left out here.\n\n", count(units.len() - index, "item"));
            break;
        }
        text.push_str(&piece);
    }
    text
}

fn unit_text(unit: &Unit, max_lines: usize) -> String {
    let mut text = String::new();
    if let Some(item) = &unit.item {
        let _ = write!(text, "Item {}: {}\n\n", code(item), unit.state.word());
    }
    if let Some(reason) = &unit.reason {
        let _ = write!(text, "Why: {}\n\n", code(reason));
    }
    for cause in &unit.unknown {
        let _ = write!(text, "Not known: {}\n\n", code(cause));
    }
    for diff in &unit.diffs {
        text.push_str(&diff_text(diff, max_lines));
    }
    if unit.diffs.is_empty()
        && unit.state.acts()
        && let Some(serde_json::Value::Object(args)) = &unit.args
    {
        for (key, value) in args {
            let _ = writeln!(text, "- {}", code(&format!("{key}: {}", difference::shown(value))));
        }
        text.push('\n');
    }
    text
}

fn diff_text(diff: &PlanDiff, max_lines: usize) -> String {
    let lines = difference::lines(diff);
    let size = difference::Size::of(&lines).text();
    let mut text = format!("{} {size}\n", code(&diff.subject));
    let shown = lines.len().min(max_lines);
    if shown > 0 {
        let body: String = lines[..shown]
            .iter()
            .map(|line| match line.tag {
                // GitHub colours only lines that begin with a sign that it knows.
                difference::Tag::Change => format!("!{}\n", line.text),
                _ => line.signed() + "\n",
            })
            .map(|line| cut(&one_line(&line[..line.len() - 1]), MAX_TEXT) + "\n")
            .collect();
        let fence = "`".repeat(longest_run(&body).max(2) + 1);
        let _ = write!(text, "\n{fence}diff\n{body}{fence}\n");
    }
    if lines.len() > shown {
        let _ = write!(text, "\n({} hidden)\n", count(lines.len() - shown, "line"));
    }
    text.push('\n');
    text
}

fn hosts(hosts: &Hosts) -> String {
    match hosts.count {
        0 => "no host".into(),
        1 => code(&hosts.text()),
        n => format!("{} ({})", code(&hosts.text()), count(n, "host")),
    }
}

/// Returns text as a code span, in which nothing else means anything.
fn code(text: &str) -> String {
    let text = cut(&one_line(text), MAX_TEXT);
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.is_empty() || text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn html_code(text: &str) -> String {
    format!("<code>{}</code>", escape_html(&cut(&one_line(text), MAX_TEXT / 2)))
}

/// Returns the length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}
