//! The report of a run as one HTML file that needs no network: verdict, recap, tables, every result with filters.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::Reporter;
use super::diff::{CONTEXT, unified};
use super::mask::{Secrets, visible};
use crate::engine::{Counts, Event, HostResult, Recap, Status};
use crate::template::escape_html;
use crate::value::{JsonStyle, Map, Value, to_python_json};

const CSS: &str = include_str!("report.css");
const JS: &str = include_str!("report.js");
/// Longer result texts are cut; the JSON lines hold all of it.
const MAX_TEXT: usize = 20_000;

/// Collects the results of a run and writes the page at the end.
pub struct HtmlReport {
    path: PathBuf,
    secrets: Secrets,
    title: String,
    rehearsal: bool,
    check: bool,
    rows: String,
    hosts: Vec<Arc<str>>,
    warnings: Vec<String>,
    recap: Option<Arc<Recap>>,
}

impl HtmlReport {
    pub fn new(path: PathBuf, secrets: Secrets) -> Self {
        Self {
            path,
            secrets,
            title: String::new(),
            rehearsal: false,
            check: false,
            rows: String::new(),
            hosts: Vec::new(),
            warnings: Vec::new(),
            recap: None,
        }
    }

    fn text(&self, text: &str) -> String {
        escape_html(&visible(&self.secrets.mask(text)))
    }

    fn row(&mut self, r: &HostResult) {
        if r.looped && r.item.is_none() && matches!(r.status, Status::Ok | Status::Changed) {
            return;
        }
        if !self.hosts.contains(&r.host) {
            self.hosts.push(r.host.clone());
        }
        let word = r.status.word();
        let item = r.item.as_ref().map(|i| format!(" <i>{}</i>", self.text(i))).unwrap_or_default();
        let place = r
            .task
            .place
            .as_ref()
            .map(|p| format!("<div class=place>{}</div>", self.text(p)))
            .unwrap_or_default();
        let to = r.delegated.as_ref().map(|(to, _)| format!(" → {}", self.text(to))).unwrap_or_default();
        let _ = writeln!(
            self.rows,
            "<tr class=r data-host=\"{h}\" data-status={word}><td>{t}{item}{place}<td>{h}{to}<td class=\"s {word}\">{word}<td class=n>{e:.2}<td>{d}",
            h = self.text(&r.host),
            t = self.text(&r.task.name),
            e = r.elapsed.as_secs_f64(),
            d = self.details(r),
        );
    }

    fn details(&self, r: &HostResult) -> String {
        let mut out = String::new();
        if let Some(explanation) = &r.explanation {
            let _ = write!(out, "<pre>{}</pre>", self.text(explanation));
        }
        for diff in r.diff.iter().map(|diff| unified(diff, CONTEXT)).filter(|d| !d.is_empty()) {
            let _ =
                write!(out, "<details open><summary>diff</summary><pre>{}</pre></details>", self.diff(&diff));
        }
        let shown: Map = r
            .result
            .iter()
            .filter(|(k, _)| {
                !matches!(k.as_str(), Some("diff" | "stdout_lines" | "stderr_lines" | "results"))
            })
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let msg = r
            .result
            .get("msg")
            .filter(|_| matches!(r.status, Status::Failed | Status::Unreachable | Status::Lost));
        if let Some(msg) = msg {
            let _ = write!(out, "<div>{}</div>", self.text(&msg.to_text()));
        }
        let json =
            to_python_json(&Value::map(shown), JsonStyle { indent: Some(2), sort_keys: true, ascii: false });
        let cut: String = json.chars().take(MAX_TEXT).collect();
        let more = if cut.len() < json.len() { "\n(cut)" } else { "" };
        let open = if r.verbose_always { " open" } else { "" };
        let _ = write!(
            out,
            "<details{open}><summary>result</summary><pre>{}{more}</pre></details>",
            self.text(&cut)
        );
        out
    }

    fn diff(&self, diff: &str) -> String {
        let mut out = String::new();
        for line in diff.lines() {
            let class = match line.as_bytes().first() {
                Some(b'+') => " class=add",
                Some(b'-') => " class=del",
                _ => "",
            };
            let _ = writeln!(out, "<span{class}>{}</span>", self.text(line));
        }
        out
    }

    fn page(&self) -> String {
        let recap = self.recap.clone().unwrap_or_default();
        let failed: Vec<&str> = recap
            .hosts
            .iter()
            .filter(|(_, c)| c.failed > 0 || c.unreachable > 0)
            .map(|(h, _)| &**h)
            .collect();
        let verdict = match (failed.is_empty(), self.check) {
            (true, true) => "Would succeed on every host (check mode: nothing was changed).".to_string(),
            (true, false) => "Succeeded on every host.".to_string(),
            (false, _) => format!("Did not succeed on: {}.", failed.join(", ")),
        };
        let changed: u32 = recap.hosts.values().map(|c| c.changed).sum();
        let mut page = format!(
            "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
             <title>xplay: {title}</title><style>{CSS}</style>\n<h1>{title}</h1>\n<p class=\"verdict{bad}\">{rehearsal}{verdict}</p>\n\
             <p class=facts>{hosts} hosts, {changed} changed results, {secs:.1} s, xplay {version}</p>\n",
            title = self.text(&self.title),
            bad = if failed.is_empty() { "" } else { " bad" },
            rehearsal = if self.rehearsal { "Rehearsal on emulated hosts. " } else { "" },
            verdict = self.text(&verdict),
            hosts = recap.hosts.len(),
            secs = recap.elapsed.as_secs_f64(),
            version = env!("CARGO_PKG_VERSION"),
        );
        for warning in &self.warnings {
            let _ = writeln!(page, "<p class=facts>Warning: {}</p>", self.text(warning));
        }
        page.push_str("<h2>Hosts</h2>\n<table><tr><th>host<th>ok<th>changed<th>unreachable<th>failed<th>skipped<th>rescued<th>ignored\n");
        for (host, c) in &recap.hosts {
            let _ = writeln!(page, "<tr><td>{}{}", self.text(host), cells(c));
        }
        page.push_str("</table>\n<h2>Results</h2>\n<div class=filters><label>host <select id=host><option value=\"\">all");
        for host in &self.hosts {
            let _ = write!(page, "<option>{}", self.text(host));
        }
        page.push_str("</select></label><label>status <select id=status><option value=\"\">all");
        for word in ["ok", "changed", "skipped", "failed", "ignored", "unreachable", "lost"] {
            let _ = write!(page, "<option>{word}");
        }
        page.push_str(
            "</select></label><label>text <input id=text type=search></label><span id=count></span></div>\n",
        );
        let _ = write!(
            page,
            "<table><tr><th>task<th>host<th>status<th>seconds<th>details\n{}</table>\n<script>{JS}</script>\n</html>\n",
            self.rows
        );
        page
    }
}

fn cells(c: &Counts) -> String {
    [c.ok, c.changed, c.unreachable, c.failed, c.skipped, c.rescued, c.ignored]
        .iter()
        .map(|n| format!("<td class=n>{n}"))
        .collect()
}

impl Reporter for HtmlReport {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::RunStarted { playbooks, check, rehearsal } => {
                let names: Vec<String> = playbooks.iter().map(|p| p.display().to_string()).collect();
                self.title = names.join(", ");
                self.check = *check;
                self.rehearsal = *rehearsal;
            }
            Event::PlayStarted { name, .. } => {
                let name = self.text(name);
                let _ = writeln!(self.rows, "<tr class=play><td colspan=5>{name}");
            }
            Event::Item(r) | Event::Host(r) => self.row(r),
            Event::Warning(text) => self.warnings.push(text.clone()),
            Event::RunEnded(recap) => self.recap = Some(recap.clone()),
            Event::NoHostsMatched
            | Event::NoHostsLeft
            | Event::TaskStarted(_)
            | Event::PlaybookStarted { .. }
            | Event::Included { .. }
            | Event::Retry { .. }
            | Event::Foreseen { .. }
            | Event::Followed { .. }
            | Event::Progress { .. }
            | Event::Deprecation(_)
            | Event::Question { .. }
            | Event::Answered { .. }
            | Event::Notice(_)
            | Event::PlayEnded => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(parent) = self.path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&self.path, self.page())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::TaskHeader;

    #[test]
    fn hosts_cannot_inject_markup() {
        let mut report = HtmlReport::new("unused".into(), Secrets::new());
        let mut result = Map::new();
        result.insert("msg", "<script>alert(1)</script>");
        report.row(&HostResult {
            host: "<b>".into(),
            delegated: None,
            task: Arc::new(TaskHeader::default()),
            status: Status::Failed,
            item: None,
            looped: false,
            result,
            diff: Vec::new(),
            warnings: Vec::new(),
            verbose_always: false,
            explanation: None,
            elapsed: std::time::Duration::ZERO,
        });
        let page = report.page();
        assert!(!page.contains("<script>alert") && !page.contains("<b>"));
        assert!(page.contains("&lt;script&gt;alert(1)"));
    }
}
