//! The callback `json`: the whole run as one JSON document on stdout.

use std::io::{self, Write};
use std::sync::Arc;

use super::Reporter;
use super::mask::Secrets;
use crate::engine::{Event, HostResult, Recap, Status, TaskHeader};
use crate::plan::render::inert_json;
use crate::value::{JsonStyle, Map, Value, to_python_json};

/// Collects the run and writes it at its end.
pub struct JsonReport<W: Write + Send> {
    out: W,
    secrets: Secrets,
    plays: Vec<Play>,
    now: fn() -> String,
}

struct Play {
    name: String,
    id: String,
    start: String,
    end: String,
    tasks: Vec<Task>,
}

struct Task {
    header: Arc<TaskHeader>,
    start: String,
    end: String,
    hosts: Map,
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

impl<W: Write + Send> JsonReport<W> {
    pub fn new(out: W, secrets: Secrets) -> Self {
        JsonReport { out, secrets, plays: Vec::new(), now }
    }

    fn result(&mut self, r: &HostResult) {
        let now = (self.now)();
        let Some(play) = self.plays.last_mut() else { return };
        let known = play.tasks.iter().rposition(|task| task.header.id == r.task.id);
        let at = known.unwrap_or_else(|| {
            let task =
                Task { header: r.task.clone(), start: now.clone(), end: now.clone(), hosts: Map::new() };
            play.tasks.push(task);
            play.tasks.len() - 1
        });
        let mut result: Map = r
            .result
            .iter()
            .filter(|(key, _)| key.as_str().is_none_or(|key| !key.starts_with("_ansible_")))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        result.insert("action", r.task.module.as_str());
        match r.status {
            Status::Failed | Status::Ignored | Status::Lost => _ = result.insert("failed", true),
            Status::Skipped => _ = result.insert("skipped", true),
            Status::Unreachable => _ = result.insert("unreachable", true),
            Status::Ok | Status::Changed => {}
        }
        if let Some(task) = play.tasks.get_mut(at) {
            task.hosts.insert(r.host.to_string(), Value::map(result));
            task.end.clone_from(&now);
        }
        play.end = now;
    }

    fn document(&self, recap: &Recap) -> Value {
        let duration = |start: &str, end: &str| Value::map(Map::from_iter([("start", start), ("end", end)]));
        let plays = self.plays.iter().map(|play| {
            let tasks = play.tasks.iter().map(|task| {
                let about = Map::from_iter([
                    ("name", Value::str(task.header.name.as_str())),
                    ("id", Value::str(task.header.id.as_str())),
                    ("path", Value::str(task.header.place.clone().unwrap_or_default())),
                    ("duration", duration(&task.start, &task.end)),
                ]);
                let hosts = Value::map(task.hosts.clone());
                Value::map(Map::from_iter([("task", Value::map(about)), ("hosts", hosts)]))
            });
            let about = Map::from_iter([
                ("name", Value::str(play.name.as_str())),
                ("id", Value::str(play.id.as_str())),
                ("duration", duration(&play.start, &play.end)),
            ]);
            Value::map(Map::from_iter([("play", Value::map(about)), ("tasks", Value::list(tasks.collect()))]))
        });
        let counts = recap.hosts.iter().map(|(host, c)| {
            let all = [
                ("ok", c.ok),
                ("failures", c.failed),
                ("unreachable", c.unreachable),
                ("changed", c.changed),
                ("skipped", c.skipped),
                ("rescued", c.rescued),
                ("ignored", c.ignored),
            ];
            let counts: Map =
                all.into_iter().map(|(name, count)| (name, Value::from(count as usize))).collect();
            (host.to_string(), Value::map(counts))
        });
        Value::map(Map::from_iter([
            ("plays", Value::list(plays.collect())),
            ("stats", Value::map(counts.collect())),
            ("custom_stats", Value::map(recap.custom.clone())),
            ("global_custom_stats", Value::map(Map::new())),
        ]))
    }
}

impl<W: Write + Send> Reporter for JsonReport<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::PlayStarted { name, batch: 0, .. } => {
                let now = (self.now)();
                let id = format!("{}", self.plays.len() + 1);
                let play = Play { name: name.clone(), id, start: now.clone(), end: now, tasks: Vec::new() };
                self.plays.push(play);
            }
            Event::TaskStarted(header) => {
                let now = (self.now)();
                let task = Task { header: header.clone(), start: now.clone(), end: now, hosts: Map::new() };
                if let Some(play) = self.plays.last_mut() {
                    play.tasks.push(task);
                }
            }
            Event::Host(r) => self.result(r),
            Event::RunEnded(recap) => {
                let style = JsonStyle { indent: Some(4), sort_keys: true, ascii: false };
                let text = to_python_json(&self.document(recap), style);
                writeln!(self.out, "{}", inert_json(&self.secrets.mask(&text)))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Counts;

    #[test]
    fn the_document_has_the_callbacks_members() {
        let mut kept = Vec::new();
        let mut report = JsonReport::new(&mut kept, Secrets::new());
        report.now = || "NOW".to_string();
        let task = Arc::new(TaskHeader {
            id: "t".into(),
            name: "say".into(),
            module: "debug".into(),
            ..TaskHeader::default()
        });
        let hosts = vec![Arc::from("h")];
        let started = Event::PlayStarted { name: "p".into(), hosts, batch: 0, lockstep: true, check: false };
        report.event(&started).unwrap();
        report.event(&Event::TaskStarted(task.clone())).unwrap();
        let result = HostResult {
            host: "h".into(),
            delegated: None,
            task,
            status: Status::Failed,
            item: None,
            looped: false,
            result: Map::from_iter([("msg", "x"), ("_ansible_no_log", "n")]),
            diff: Vec::new(),
            warnings: Vec::new(),
            verbose_always: false,
            explanation: None,
            elapsed: std::time::Duration::ZERO,
        };
        report.event(&Event::Host(result)).unwrap();
        let hosts = [("h".into(), Counts { failed: 1, ..Counts::default() })].into_iter().collect();
        report.event(&Event::RunEnded(Arc::new(Recap { hosts, ..Recap::default() }))).unwrap();
        insta::assert_snapshot!(String::from_utf8(kept).unwrap(), @r#"
        {
            "custom_stats": {},
            "global_custom_stats": {},
            "plays": [
                {
                    "play": {
                        "duration": {
                            "end": "NOW",
                            "start": "NOW"
                        },
                        "id": "1",
                        "name": "p"
                    },
                    "tasks": [
                        {
                            "hosts": {
                                "h": {
                                    "action": "debug",
                                    "failed": true,
                                    "msg": "x"
                                }
                            },
                            "task": {
                                "duration": {
                                    "end": "NOW",
                                    "start": "NOW"
                                },
                                "id": "t",
                                "name": "say",
                                "path": ""
                            }
                        }
                    ]
                }
            ],
            "stats": {
                "h": {
                    "changed": 0,
                    "failures": 1,
                    "ignored": 0,
                    "ok": 0,
                    "rescued": 0,
                    "skipped": 0,
                    "unreachable": 0
                }
            }
        }
        "#);
    }
}
