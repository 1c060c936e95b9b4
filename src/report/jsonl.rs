//! One JSON object per event and line, for programs.

use std::io::{self, Write};

use serde_json::json;

use super::Reporter;
use super::diff::{CONTEXT, unified};
use super::mask::Secrets;
use crate::engine::{Counts, Event, HostResult, TaskHeader, TaskKind};
use crate::plan::State;
use crate::plan::render::inert_json;
use crate::value::{Value, to_json};

/// Version of the line format: new members are added without changing it.
const FORMAT: u32 = 1;

/// Writes events as JSON lines.
pub struct JsonLines<W: Write + Send> {
    out: W,
    secrets: Secrets,
}

impl<W: Write + Send> JsonLines<W> {
    pub fn new(out: W, secrets: Secrets) -> Self {
        Self { out, secrets }
    }
}

impl<W: Write + Send> Reporter for JsonLines<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let line = to_line(event).to_string();
        writeln!(self.out, "{}", inert_json(&self.secrets.mask(&line)))?;
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn to_line(event: &Event) -> serde_json::Value {
    match event {
        Event::RunStarted { playbooks, check, rehearsal } => json!({
            "event": "run_started", "format": FORMAT, "version": env!("CARGO_PKG_VERSION"),
            "playbooks": playbooks, "check": check, "rehearsal": rehearsal,
        }),
        Event::PlaybookStarted { path, plays } => {
            json!({ "event": "playbook_started", "path": path, "plays": plays })
        }
        Event::PlayStarted { name, hosts, .. } => {
            json!({ "event": "play_started", "name": name, "hosts": hosts.iter().map(|h| &**h).collect::<Vec<_>>() })
        }
        Event::NoHostsMatched => json!({ "event": "no_hosts_matched" }),
        Event::NoHostsLeft => json!({ "event": "no_hosts_left" }),
        Event::TaskStarted(task) => json!({ "event": "task_started", "task": header(task) }),
        Event::Included { file, hosts, item, .. } => json!({
            "event": "included", "file": file, "hosts": hosts.iter().map(|h| &**h).collect::<Vec<_>>(), "item": item,
        }),
        Event::Item(r) => result("item", r),
        Event::Host(r) => result("result", r),
        Event::Retry { host, task, left, result } => json!({
            "event": "retry", "host": &**host, "task": task.id, "left": left,
            "result": to_json(&Value::map(result.clone())),
        }),
        Event::Foreseen { task, host, units } => json!({
            "event": "foreseen", "task": task.id, "host": &**host,
            "states": units.iter().map(|u| u.state.word()).collect::<Vec<_>>(),
        }),
        Event::Followed { task, host, units } => json!({
            "event": "followed", "task": task.id, "host": &**host,
            "planned": units.iter().map(|u| u.planned.map(State::word)).collect::<Vec<_>>(),
            "actual": units.iter().map(|u| u.actual.word()).collect::<Vec<_>>(),
        }),
        Event::Progress { host, line } => json!({ "event": "progress", "host": &**host, "line": line }),
        Event::Warning(text) => json!({ "event": "warning", "text": text }),
        Event::Deprecation(text) => json!({ "event": "deprecation", "text": text }),
        Event::Question { text, .. } => json!({ "event": "question", "text": text.trim_end() }),
        Event::Answered { text, answer } => {
            json!({ "event": "answered", "text": text.as_deref().map(str::trim_end), "answer": answer })
        }
        Event::Notice(text) => json!({ "event": "notice", "text": text }),
        Event::PlayEnded => json!({ "event": "play_ended" }),
        Event::RunEnded(recap) => json!({
            "event": "run_ended",
            "elapsed_secs": recap.elapsed.as_secs_f64(),
            "hosts": recap.hosts.iter().map(|(h, c)| (h.to_string(), counts(c))).collect::<serde_json::Map<_, _>>(),
            "custom": to_json(&Value::map(recap.custom.clone())),
        }),
    }
}

fn header(task: &TaskHeader) -> serde_json::Value {
    json!({
        "id": task.id, "name": task.name, "module": task.module, "place": task.place, "check": task.check,
        "handler": task.kind == TaskKind::Handler,
    })
}

fn result(event: &str, r: &HostResult) -> serde_json::Value {
    json!({
        "event": event, "host": &*r.host, "task": r.task.id, "name": r.task.name, "status": r.status.word(),
        "item": r.item, "delegated_to": r.delegated.as_ref().map(|(to, _)| to),
        "elapsed_secs": r.elapsed.as_secs_f64(),
        "diff": r.diff.iter().map(|diff| unified(diff, CONTEXT)).filter(|d| !d.is_empty()).collect::<Vec<_>>(),
        "warnings": r.warnings, "explanation": r.explanation,
        "result": to_json(&Value::map(r.result.clone())),
    })
}

pub(super) fn counts(c: &Counts) -> serde_json::Value {
    json!({
        "ok": c.ok, "changed": c.changed, "unreachable": c.unreachable, "failed": c.failed, "skipped": c.skipped,
        "rescued": c.rescued, "ignored": c.ignored,
    })
}
