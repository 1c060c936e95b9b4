//! A plan as one HTML file that needs no network: verdict, dangers, and every step with filters by host, risk, role, state.
//!
//! Text from anywhere is escaped, and a policy in the page lets nothing run or load but its own script and style.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use sha2::{Digest, Sha256};

use super::difference::{self, Tag};
use super::summary::{self, Count, Summary, count, verdict_word};
use super::text::cut;
use super::view::{
    GroupView, Hosts, Mark, PlayView, StepView, View, mark, reach_word, said, speaks, unresolved,
};
use super::{Document, selected, time, view};
use crate::diag;
use crate::plan::model::{PlanDiff, Risk, State, Unit, Verdict};
use crate::template::escape_html;

const CSS: &str = include_str!("show.css");
const JS: &str = include_str!("show.js");
/// Lines of one difference; more would make a page that no browser likes.
const MAX_LINES: usize = 5_000;
/// Characters of one line.
const MAX_LINE: usize = 4_000;
/// Groups with longer differences begin folded.
const OPEN_LINES: usize = 60;
/// Groups of hosts of one step; a page of many thousand would not open.
const MAX_GROUPS: usize = 500;
/// Sets of nodes that take more characters are cut where people read them; the filter knows all of them.
const MAX_HOSTS: usize = 300;

/// Returns the page.
pub fn page(document: &Document<'_>) -> String {
    let view = View::of(document.plan);
    let summary = Summary::of(&view, document.plan, document.whole);
    let mut page = Page { document, out: String::new() };
    page.head(&summary);
    page.boxes(&view);
    page.filters(&view);
    for play in &view.plays {
        page.play(play);
    }
    page.tail(&summary);
    page.out
}

struct Page<'a> {
    document: &'a Document<'a>,
    out: String,
}

impl Page<'_> {
    fn head(&mut self, summary: &Summary) {
        let header = &self.document.header;
        let plan = self.document.whole;
        let playbooks = text(&plan.invocation.playbooks.join(", "));
        let (word, sentence) = summary::headline(plan);
        let script = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(JS.as_bytes()));
        let style = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(CSS.as_bytes()));
        let _ = write!(
            self.out,
            "<!doctype html>\n<html lang=en><meta charset=utf-8>\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-{script}'; \
             style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'\">\
             <meta name=viewport content=\"width=device-width, initial-scale=1\">\
             <title>Plan {id}: {playbooks}</title><style>{CSS}</style>\n\
             <h1>{playbooks} <span class=id>{id}</span></h1>\n",
            id = text(header.id),
        );
        if plan.invocation.rehearsal {
            self.out.push_str("<p class=banner>Rehearsal: every host is emulated.</p>\n");
        }
        let _ = writeln!(
            self.out,
            "<p class=\"verdict {}\"><b>{word}</b>: {} {}</p>",
            verdict_word(summary.verdict),
            text(&sentence),
            text(&summary::extent(summary)),
        );
        let mut facts: Vec<String> = Vec::new();
        if let Some(at) = header.created {
            facts.push(format!("Created <b>{}</b>", time(at)));
        }
        if let Some(at) = header.expires {
            facts.push(format!("expires <b>{}</b>", time(at)));
        }
        for approval in &header.approvals {
            let note = approval.note.as_ref().map(|n| format!(" ({})", text(n))).unwrap_or_default();
            facts.push(format!("signed by <b>{}</b>{note}, not verified here", text(&approval.by)));
        }
        if !facts.is_empty() {
            let _ = writeln!(self.out, "<p class=facts>{}</p>", facts.join(" &middot; "));
        }
        if let Some(words) = summary::partial(&plan.invocation) {
            let _ = writeln!(self.out, "<p class=banner>Partial plan: <code>{}</code></p>", text(&words));
        }
        if let Some(words) = selected(self.document.selection) {
            let _ = writeln!(
                self.out,
                "<p class=banner>Shown only: <code>{}</code>. The verdict is that of the whole plan.</p>",
                text(&words)
            );
        }
    }

    fn boxes(&mut self, view: &View<'_>) {
        let (mut boxes, mut open_questions) = (String::new(), String::new());
        let lost = view.lost.iter().map(|lost| {
            entry(
                Mark::Danger,
                &format!("{} {}", hosts(&lost.hosts), reach_word(lost.reach)),
                &[&lost.reason],
            )
        });
        add_box(&mut boxes, "danger", "Not planned", lost.collect());
        let dangers = view.steps().filter(|s| s.disruptive()).map(|step| {
            let on = hosts(&step.hosts(|u| u.state.acts()));
            entry(
                Mark::Danger,
                &format!("{} on {on}, {}", link(step), step.step.risk.word()),
                &[&step.step.place],
            )
        });
        add_box(&mut boxes, "danger", "Disruptive", dangers.collect());
        let open = view.unresolved().into_iter().map(|step| {
            let on = hosts(&step.hosts(unresolved));
            let maybe = step.units().any(|u| u.state == State::Maybe);
            let mark = if maybe { Mark::Maybe } else { Mark::Runs };
            entry(mark, &format!("{} on {on}", link(step)), &step.causes())
        });
        add_box(&mut open_questions, "maybe", "Unresolved", open.collect());
        let plan = self.document.plan;
        let sayings = |texts: fn(&Unit) -> &[String]| -> Vec<String> {
            said(plan, texts)
                .iter()
                .map(|(saying, on)| format!("<li>{}: {}", hosts(on), text(saying)))
                .collect()
        };
        add_box(&mut boxes, "warn", "Consequences", sayings(|u| &u.consequences));
        let mut warnings: Vec<String> = plan.warnings.iter().map(|w| format!("<li>{}", text(w))).collect();
        warnings.extend(sayings(|u| &u.warnings));
        add_box(&mut boxes, "warn", "Warnings", warnings);
        // Two columns where there is room; the style puts the boxes in their order where there is not.
        let _ = writeln!(self.out, "<div class=boxes><div>{boxes}</div><div>{open_questions}</div></div>");
    }

    fn filters(&mut self, view: &View<'_>) {
        let risks: BTreeSet<Risk> = view.steps().map(|s| s.step.risk).collect();
        let roles: BTreeSet<&str> = view.steps().filter_map(|s| s.step.role.as_deref()).collect();
        let states: BTreeSet<State> = view.steps().flat_map(|s| s.units().map(|u| u.state)).collect();
        self.out.push_str(
            "<div class=filters hidden><label>host <input id=host list=hosts placeholder=\"sn[01-06], sn*, !sn03\" size=18 \
             autocomplete=off></label><datalist id=hosts></datalist>\n<label>risk <select id=risk><option value=\"\">all",
        );
        risks.iter().rev().for_each(|risk| self.option(risk.word()));
        self.out.push_str("</select></label>\n<label>role <select id=role><option value=\"\">all");
        roles.iter().for_each(|role| self.option(role));
        self.out.push_str(
            "</select></label>\n<label>state <select id=state><option value=news>to review<option value=all>all",
        );
        states.iter().for_each(|state| self.option(state.word()));
        self.out.push_str(
            "</select></label>\n<label>text <input id=text type=search size=12></label>\n<button id=fold \
             type=button>Fold or unfold</button><button id=reset type=button>Reset</button><span id=count></span></div>\n\
             <p id=none hidden>No step fits the filters.</p>\n",
        );
        let legend: Vec<String> = Mark::ALL
            .iter()
            .filter(|m| **m != Mark::Quiet)
            .map(|m| {
                format!("<span class=\"mark {}\">{}</span>{}", class(*m), escape_html(m.sign()), m.meaning())
            })
            .collect();
        let _ = writeln!(self.out, "<p class=legend>{}</p>", legend.join(" &middot; "));
    }

    fn option(&mut self, word: &str) {
        let _ = write!(self.out, "<option value=\"{0}\">{0}", text(word));
    }

    fn play(&mut self, play: &PlayView<'_>) {
        let batches = if play.batches.len() > 1 {
            format!(", in {} batches", play.batches.len())
        } else {
            String::new()
        };
        let name = if play.name.is_empty() { "Play" } else { play.name };
        let _ = writeln!(
            self.out,
            "<section class=play><h2>{} <small>on {}{batches}</small></h2>",
            text(name),
            hosts(&play.hosts)
        );
        if play.batches.len() > 1 {
            self.out.push_str("<details class=more><summary>batches</summary><ol>");
            for batch in &play.batches {
                let _ = write!(self.out, "<li><code>{}</code>", text(&batch.join(",")));
            }
            self.out.push_str("</ol></details>\n");
        }
        for step in &play.steps {
            self.step(step);
        }
        self.out.push_str("</section>\n");
    }

    fn step(&mut self, view: &StepView<'_>) {
        let step = view.step;
        let sign = view.mark();
        let role = step.role.as_deref().unwrap_or("");
        let risk = step.risk.word();
        let no_log = if step.no_log { "<span class=tag>no_log</span>" } else { "" };
        let _ = writeln!(
            self.out,
            "<article class=\"step {class}\" id=\"{anchor}\" data-risk={risk} data-role=\"{role}\"><header class={class}>\
             <span class=mark>{sign}</span><span class=name>{name}</span><span class=tag>{module}</span>\
             <span class=\"tag {risk}\">risk {risk}</span>{no_log}<span class=place>{place}</span></header>",
            class = class(sign),
            anchor = anchor(view),
            role = text(role),
            sign = escape_html(sign.sign()),
            name = text(&view.title()),
            module = text(view.module()),
            place = text(&step.place),
        );
        // The last group is the reference for the others.
        let left_out = view.groups.len().saturating_sub(MAX_GROUPS);
        let shown =
            view.groups.iter().take(MAX_GROUPS - 1).chain(view.groups.iter().skip(MAX_GROUPS - 1 + left_out));
        for group in shown {
            self.group(view, group);
        }
        if left_out > 0 {
            let _ = writeln!(
                self.out,
                "<p class=why>{} of hosts left out here; show the plan with --hosts to see them.</p>",
                count(left_out, "group")
            );
        }
        self.out.push_str("</article>\n");
    }

    fn group(&mut self, view: &StepView<'_>, group: &GroupView<'_>) {
        let sign = mark(group.units.iter(), view.step.risk);
        let mut states: BTreeSet<&str> = group.units.iter().map(|u| u.state.word()).collect();
        if group.speaks() {
            states.insert("news");
        }
        let states: Vec<&str> = states.into_iter().collect();
        let mut notes: Vec<String> = group.ways();
        if let Some(reference) = view.reference()
            && !std::ptr::eq(reference.units, group.units)
        {
            let differing = view::differences(group.units, reference.units);
            if !differing.is_empty() {
                let others = count(reference.hosts.count, "host");
                notes.push(format!("unlike {others} in {}", cut(&differing.join(", "), 200)));
            }
        }
        let notes: String = notes.iter().map(|n| format!("; {}", text(n))).collect();
        let (body, lines) = body(group.units);
        let open = if group.speaks() && lines <= OPEN_LINES { " open" } else { "" };
        let state = group.state();
        let state_class = if state == State::ChangeUnknown { "runs" } else { state.word() };
        let _ = writeln!(
            self.out,
            "<details class=group{open} data-states=\"{states}\" data-hosts=\"{sets}\"><summary class={class}><span \
             class=mark>{sign}</span>{hosts}: <span class=\"state {state_class}\">{word}</span><span \
             class=note>{notes}</span></summary>{body}</details>",
            states = states.join(" "),
            sets = text(&group.hosts.text()),
            class = class(sign),
            sign = escape_html(sign.sign()),
            hosts = hosts(&group.hosts),
            word = state.word(),
        );
    }

    fn tail(&mut self, summary: &Summary) {
        self.out.push_str("<h2>Counts</h2>\n<div class=tables>\n");
        let table = |title: &str, rows: Vec<(&str, Count)>| -> String {
            let rows: String = rows
                .iter()
                .map(|(word, c)| format!("<tr><td>{word}<td class=n>{}<td class=n>{}", c.steps, c.units))
                .collect();
            format!("<table><tr><th>{title}<th class=n>steps<th class=n>on hosts{rows}</table>\n")
        };
        self.out.push_str(&table("state", summary.by_state.iter().map(|(s, c)| (s.word(), *c)).collect()));
        self.out
            .push_str(&table("risk", summary.by_risk.iter().rev().map(|(r, c)| (r.word(), *c)).collect()));
        self.out.push_str(&table("kind", summary.by_kind.iter().map(|(k, c)| (k.word(), *c)).collect()));
        let reached: String =
            summary.reached.iter().map(|(word, n)| format!("<tr><td>{word}<td class=n>{n}")).collect();
        let _ = writeln!(self.out, "<table><tr><th>hosts<th class=n>number{reached}</table>\n</div>");
        let invocation = &self.document.whole.invocation;
        let mut rows: Vec<(&str, String)> = vec![
            ("inventory", invocation.inventory.join(", ")),
            ("variables", invocation.extra_vars.join(" ")),
        ];
        rows.extend(invocation.settings.iter().map(|(key, value)| (key.as_str(), value.clone())));
        rows.retain(|(_, value)| !value.is_empty());
        if !rows.is_empty() {
            self.out.push_str("<h2>Made with</h2>\n<table>");
            for (key, value) in rows {
                let _ = write!(self.out, "<tr><td>{}<td><code>{}</code>", text(key), text(&value));
            }
            self.out.push_str("</table>\n");
        }
        let file = self.document.header.file;
        if summary.verdict != Verdict::Nothing && !file.is_empty() {
            let _ = writeln!(self.out, "<h2>Apply</h2>\n<pre><span>xplay apply {}</span></pre>", text(file));
        }
        let _ = write!(self.out, "<script>{JS}</script>\n</html>\n");
    }
}

fn add_box(out: &mut String, class: &str, title: &str, entries: Vec<String>) {
    if !entries.is_empty() {
        let _ = writeln!(
            out,
            "<section class=\"box {class}\"><h2>{title}</h2><ul>{}</ul></section>",
            entries.join("\n")
        );
    }
}

/// Returns an entry of a box: what is HTML already, and plain texts below it.
fn entry(mark: Mark, html: &str, below: &[&str]) -> String {
    let below: String = below.iter().map(|t| format!("<li>{}", text(t))).collect();
    let below = if below.is_empty() { below } else { format!("<ul>{below}</ul>") };
    let (class, sign) = (class(mark), escape_html(mark.sign()));
    format!("<li class={class}><span class=mark>{sign}</span>{html}{below}")
}

fn link(step: &StepView<'_>) -> String {
    format!("<a href=\"#{}\">{}</a>", anchor(step), text(&step.title()))
}

/// Returns an id that is unique in the page and holds no text from anywhere.
fn anchor(view: &StepView<'_>) -> String {
    let step = view.step;
    let digest =
        Sha256::digest(format!("{} {} {} {:?}", step.play, step.turn, step.id, step.kind).as_bytes());
    digest.iter().take(8).fold(String::from("s"), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// Returns the details of units, and how many lines their differences have.
fn body(units: &[Unit]) -> (String, usize) {
    let mut out = String::new();
    let mut lines = 0;
    for unit in units {
        out.push_str("<div class=unit>");
        if let Some(item) = &unit.item {
            let word = unit.state.word();
            let _ = write!(out, "<div class=subject>item <code>{}</code>: <b>{word}</b></div>", text(item));
        }
        if let Some(reason) = &unit.reason {
            let _ = write!(out, "<p class=why>Why: {}</p>", text(reason));
        }
        for cause in &unit.unknown {
            let _ = write!(out, "<p class=why>Not known: {}</p>", text(cause));
        }
        for diff in &unit.diffs {
            lines += difference_of(&mut out, diff);
        }
        if unit.diffs.is_empty() && speaks(unit.state) {
            arguments(&mut out, unit);
        }
        if unit.state == State::ChangeUnknown && unit.unknown.is_empty() {
            out.push_str("<p class=why>Its effect is known only after the run.</p>");
        }
        out.push_str("</div>");
    }
    (out, lines)
}

fn difference_of(out: &mut String, diff: &PlanDiff) -> usize {
    let lines = difference::lines(diff);
    let size = difference::Size::of(&lines).text();
    let _ = write!(
        out,
        "<p class=subject><code>{}</code> <span class=size>{size}</span></p>",
        text(&diff.subject)
    );
    if lines.is_empty() {
        return 0;
    }
    out.push_str("<pre>");
    for line in lines.iter().take(MAX_LINES) {
        let class = match line.tag {
            Tag::Add => " class=add",
            Tag::Remove => " class=del",
            Tag::Change => " class=mod",
            Tag::Hunk | Tag::Note => " class=hunk",
            Tag::Context => "",
        };
        let _ = write!(out, "<span{class}>{}</span>", text(&cut(&line.signed(), MAX_LINE)));
    }
    if lines.len() > MAX_LINES {
        let _ = write!(out, "<span class=cut>{} hidden</span>", count(lines.len() - MAX_LINES, "line"));
    }
    out.push_str("</pre>");
    lines.len()
}

fn arguments(out: &mut String, unit: &Unit) {
    let Some(serde_json::Value::Object(args)) = &unit.args else { return };
    if args.is_empty() {
        return;
    }
    out.push_str("<pre>");
    for (key, value) in args {
        let value = cut(&difference::shown(value), MAX_LINE);
        let _ = write!(out, "<span>{}: {}</span>", text(key), text(&value));
    }
    out.push_str("</pre>");
}

fn hosts(hosts: &Hosts) -> String {
    let shown = text(&cut(&hosts.text(), MAX_HOSTS));
    match hosts.count {
        1 => format!("<span class=hosts>{shown}</span>"),
        n => format!("<span class=hosts>{shown}</span> ({})", count(n, "host")),
    }
}

fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Create => "create",
        Mark::Change => "change",
        Mark::Remove => "remove",
        Mark::Danger => "danger",
        Mark::Maybe => "maybe",
        Mark::Runs => "runs",
        Mark::Quiet => "quiet",
    }
}

/// Returns text that is only text: no markup, no control characters.
fn text(text: &str) -> String {
    escape_html(&diag::visible(text))
}
