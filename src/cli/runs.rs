//! `xplay runs`: what was run, how it ended, and what is open.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::args::{RunsAction, RunsArgs};
use super::config::Config;
use super::exit::{CliError, Ending};
use super::journal;
use super::output::Output;
use crate::engine::Status;
use crate::engine::journal::{Record, Runs, Sent, Summary, Verdict};

pub fn runs(args: &RunsArgs, config: &Config, out: &Output) -> Result<Ending, CliError> {
    let runs = journal::runs(config)
        .ok_or_else(|| CliError::cannot("no runs are kept: neither HOME nor XDG_STATE_HOME is set"))?;
    match &args.action {
        Some(RunsAction::Show { id }) => show(&runs, id, args.json, out),
        None => list(&runs, args.json, out),
    }
}

fn list(runs: &Runs, json: bool, out: &Output) -> Result<Ending, CliError> {
    let mut lines = Vec::new();
    let mut text = String::new();
    for id in runs.ids()? {
        let summary = match runs.read(&id) {
            Ok(summary) => summary,
            Err(error) => {
                out.warning(&super::chain(&error));
                continue;
            }
        };
        let story = Story::of(&summary);
        if json {
            lines.push(story.json(&summary));
            continue;
        }
        let _ = writeln!(text, "{id}  {:<11}  {}", summary.state.word(), story.line(&summary));
    }
    if json {
        out.json(&format!("{}\n", Json::Array(lines)))?;
        return Ok(Ending::Done);
    }
    if text.is_empty() {
        text = "no runs\n".into();
    }
    out.text(&text)?;
    Ok(Ending::Done)
}

fn show(runs: &Runs, id: &str, json: bool, out: &Output) -> Result<Ending, CliError> {
    let summary = runs.read(&runs.find(id)?)?;
    let story = Story::of(&summary);
    if json {
        let mut all = story.json(&summary);
        all["steps"] = story.steps.iter().map(StepLine::json).collect();
        all["open"] = story.open.iter().map(|open| json!({ "step": open.0, "host": open.1 })).collect();
        out.json(&format!("{all}\n"))?;
        return Ok(Ending::Done);
    }
    let head = &summary.head;
    let mut text = format!("run      {}\n", head.id);
    let _ = writeln!(text, "state    {}", summary.state.word());
    let _ = writeln!(text, "command  {}", head.title);
    let _ = writeln!(text, "folder   {}", head.cwd);
    let _ = writeln!(text, "by       {} on {}, process {}", head.user, head.controller, head.pid);
    let _ = writeln!(text, "started  {}", local(head.started));
    for at in &story.resumed {
        let _ = writeln!(text, "resumed  {}", local(*at));
    }
    if let Some(at) = story.ended {
        let _ = writeln!(text, "ended    {}", local(at));
    }
    text.push('\n');
    for step in &story.steps {
        let words: Vec<String> =
            step.hosts.iter().map(|(status, hosts)| format!("{} {status}", hosts.len())).collect();
        let _ = writeln!(text, "{}  ({})", step.name, words.join(", "));
        for (host, note) in &step.notes {
            let _ = writeln!(text, "    {host}: {}", note.lines().next().unwrap_or_default());
        }
    }
    for (step, host) in &story.open {
        let _ = writeln!(text, "open     {step} on {host}: sent, no verdict");
    }
    out.text(&text)?;
    Ok(Ending::Done)
}

fn local(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// What a journal tells.
#[derive(Default)]
struct Story {
    steps: Vec<StepLine>,
    /// Ids of steps, and hosts, for which something was sent without a verdict.
    open: Vec<(String, String)>,
    resumed: Vec<Timestamp>,
    ended: Option<Timestamp>,
    hosts: BTreeMap<String, [u32; 7]>,
}

/// A step with the hosts that had a part in it.
#[derive(Default)]
struct StepLine {
    id: String,
    name: String,
    module: String,
    place: String,
    hosts: BTreeMap<&'static str, Vec<String>>,
    notes: Vec<(String, String)>,
}

impl Story {
    fn of(summary: &Summary) -> Self {
        let mut story = Story::default();
        let mut numbers: HashMap<u32, usize> = HashMap::new();
        let mut verdicts: BTreeMap<(u32, &str, u32, Option<u32>), &Verdict> = BTreeMap::new();
        let mut open: BTreeMap<(u32, &str, u32, Option<u32>), &Sent> = BTreeMap::new();
        for record in &summary.records {
            match record {
                Record::Step { number, id, name, module, place } => {
                    numbers.insert(*number, story.steps.len());
                    story.steps.push(StepLine {
                        id: id.clone(),
                        name: name.clone(),
                        module: module.clone(),
                        place: place.clone(),
                        ..StepLine::default()
                    });
                }
                Record::Sent(sent) => {
                    let at = &sent.at;
                    open.insert((at.step, &at.host, at.turn, at.item), sent);
                }
                Record::Verdict(verdict) => {
                    let at = &verdict.at;
                    let key = (at.step, at.host.as_str(), at.turn, at.item);
                    if verdict.status != Status::Lost {
                        open.remove(&key);
                    }
                    verdicts.insert(key, verdict);
                }
                Record::Resumed { at, .. } => {
                    story.resumed.push(*at);
                    story.ended = None;
                }
                Record::Ended { at, hosts, .. } => {
                    story.ended = Some(*at);
                    story.hosts.clone_from(hosts);
                }
                Record::Begun(_)
                | Record::Inputs { .. }
                | Record::Prompted { .. }
                | Record::Done { .. }
                | Record::JobEnded(_)
                | Record::Decided(_)
                | Record::Stopping { .. } => {}
            }
        }
        open.retain(|key, _| !verdicts.get(key).is_some_and(|verdict| verdict.settled));
        for ((step, host, ..), verdict) in verdicts {
            let Some(line) = numbers.get(&step).and_then(|at| story.steps.get_mut(*at)) else { continue };
            line.hosts.entry(verdict.status.word()).or_default().push(host.to_string());
            line.notes.extend(verdict.note.iter().map(|note| (host.to_string(), note.clone())));
        }
        for ((step, host, ..), _) in open {
            let Some(line) = numbers.get(&step).and_then(|at| story.steps.get(*at)) else { continue };
            story.open.push((line.id.clone(), host.to_string()));
        }
        story
    }

    fn line(&self, summary: &Summary) -> String {
        let failed = self.hosts.values().filter(|c| c[2] + c[3] > 0).count();
        let hosts = match (self.hosts.len(), failed) {
            (0, _) => String::new(),
            (all, 0) => format!(", {all} hosts"),
            (all, failed) => format!(", {all} hosts, {failed} of them failed"),
        };
        format!("{}  {}{hosts}", local(summary.head.started), summary.head.title)
    }

    fn json(&self, summary: &Summary) -> Json {
        let head = &summary.head;
        json!({
            "id": head.id, "state": summary.state.word(), "started": head.started, "ended": self.ended,
            "resumed": self.resumed, "command": head.title, "folder": head.cwd, "user": head.user,
            "controller": head.controller, "pid": head.pid, "version": head.version,
            "hosts": self.hosts.iter().map(|(host, c)| (host.clone(), json!({
                "ok": c[0], "changed": c[1], "unreachable": c[2], "failed": c[3], "skipped": c[4],
                "rescued": c[5], "ignored": c[6],
            }))).collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl StepLine {
    fn json(&self) -> Json {
        json!({
            "id": self.id, "name": self.name, "module": self.module, "place": self.place, "hosts": self.hosts,
            "notes": self.notes.iter().map(|(host, note)| json!({ "host": host, "note": note })).collect::<Vec<_>>(),
        })
    }
}
