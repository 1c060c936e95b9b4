//! A plan as JUnit XML, for CI systems that show it: a suite for each play, a case for each step and group of hosts.
//!
//! A change is a success with the difference as its output. What fails is an error, an unreachable host, and a disruptive
//! step of which it is not known whether it runs.

use std::fmt::Write as _;

use super::difference;
use super::view::{GroupView, PlayView, StepView, View, reach_word};
use super::{Document, summary};
use crate::diag;
use crate::plan::model::{Risk, State, Unit};
use crate::template::escape_html;

/// Returns the XML text.
pub fn text(document: &Document<'_>) -> String {
    let view = View::of(document.plan);
    let mut suites = String::new();
    let (mut cases, mut failures, mut errors, mut skipped) = (0, 0, 0, 0);
    for play in &view.plays {
        let suite = suite(document, play);
        cases += suite.cases;
        failures += suite.failures;
        errors += suite.errors;
        skipped += suite.skipped;
        suites.push_str(&suite.text);
    }
    for lost in &view.lost {
        cases += 1;
        errors += 1;
        let _ = writeln!(
            suites,
            "  <testsuite name=\"hosts\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n    <testcase \
             name=\"planning\" classname=\"{}\"><error message=\"{}\">{}</error></testcase>\n  </testsuite>",
            xml(&lost.hosts.text()),
            reach_word(lost.reach),
            xml(&lost.reason)
        );
    }
    let (word, sentence) = summary::headline(document.whole);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" tests=\"{cases}\" failures=\"{failures}\" \
         errors=\"{errors}\" skipped=\"{skipped}\">\n",
        xml(&format!("plan {}: {word}, {sentence}", document.header.id)),
    );
    out.push_str(&suites);
    out.push_str("</testsuites>\n");
    out
}

struct Suite {
    text: String,
    cases: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

fn suite(document: &Document<'_>, play: &PlayView<'_>) -> Suite {
    let mut suite = Suite { text: String::new(), cases: 0, failures: 0, errors: 0, skipped: 0 };
    let mut body = String::new();
    for step in &play.steps {
        for group in &step.groups {
            suite.cases += 1;
            case(&mut body, step, group, &mut suite);
        }
    }
    let stamp = document.header.created.map(|at| format!(" timestamp=\"{at}\"")).unwrap_or_default();
    suite.text = format!(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"{stamp}>\n{body}  </testsuite>\n",
        if play.name.is_empty() { "play".to_string() } else { xml(play.name) },
        suite.cases,
        suite.failures,
        suite.errors,
        suite.skipped
    );
    suite
}

fn case(out: &mut String, step: &StepView<'_>, group: &GroupView<'_>, suite: &mut Suite) {
    let (file, line) = step.step.place.rsplit_once(':').unwrap_or((&step.step.place, ""));
    let line = if line.is_empty() { String::new() } else { format!(" line=\"{}\"", xml(line)) };
    let _ = writeln!(
        out,
        "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\"{line}>",
        xml(&step.title()),
        xml(&group.hosts.text()),
        xml(file)
    );
    let why = || xml(&reasons(group.units));
    match group.state() {
        State::Error | State::Unreachable => {
            suite.errors += 1;
            let word = group.state().word();
            let _ = writeln!(out, "      <error message=\"{word}\">{}</error>", why());
        }
        State::Maybe if step.step.risk >= Risk::Disruptive => {
            suite.failures += 1;
            let _ = writeln!(
                out,
                "      <failure message=\"{} step depends on something unknown\">{}</failure>",
                step.step.risk.word(),
                why()
            );
        }
        State::Skip => {
            suite.skipped += 1;
            let _ = writeln!(out, "      <skipped message=\"{}\"/>", why());
        }
        _ => {}
    }
    let _ = writeln!(out, "      <system-out>{}</system-out>\n    </testcase>", xml(&output(step, group)));
}

fn reasons(units: &[Unit]) -> String {
    let mut said: Vec<&str> = Vec::new();
    for text in units.iter().flat_map(|u| u.reason.iter().chain(&u.unknown)) {
        if !said.contains(&text.as_str()) {
            said.push(text);
        }
    }
    said.join("; ")
}

fn output(step: &StepView<'_>, group: &GroupView<'_>) -> String {
    let mut out = format!("{}, {}: {}", step.module(), step.step.risk.word(), group.state().word());
    for unit in group.units {
        if let Some(item) = &unit.item {
            let _ = write!(out, "\nitem {item}: {}", unit.state.word());
        }
        for diff in &unit.diffs {
            let _ = write!(out, "\n{}", diff.subject);
            for line in difference::lines(diff) {
                let _ = write!(out, "\n{}", line.signed());
            }
        }
    }
    out
}

/// Returns text that is safe in XML: no markup, and no character that XML forbids.
pub fn xml(text: &str) -> String {
    escape_html(&diag::visible(text)).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
