//! The text that people and scripts read: the format of Ansible's default callback.

use std::io::{self, Write};
use std::sync::Arc;

use super::Reporter;
use super::diff::unified;
use super::mask::{MaskedWriter, Secrets};
use super::progress::Progress;
use crate::engine::{Counts, Event, HostResult, Recap, Status, TaskHeader, TaskKind};
use crate::value::{JsonStyle, Map, Value, to_python_json};

const GREEN: &str = "0;32";
const YELLOW: &str = "0;33";
const RED: &str = "0;31";
const CYAN: &str = "0;36";
const BRIGHT_RED: &str = "1;31";
const PURPLE: &str = "1;35";
const BLUE: &str = "0;34";

/// How the terminal text is made.
#[derive(Clone, Debug)]
pub struct TerminalOptions {
    pub color: bool,
    /// Columns of the banners; Ansible uses 79 where there is no terminal.
    pub width: usize,
    pub verbosity: u8,
    pub diff: bool,
    pub display_skipped: bool,
    /// Whether a live line with the running hosts may be drawn.
    pub live: bool,
}

/// Writes events as text.
pub struct Terminal<W: Write + Send> {
    out: MaskedWriter<W>,
    options: TerminalOptions,
    progress: Progress,
    /// The task that runs now, and the one whose banner was printed last.
    task: Option<Arc<TaskHeader>>,
    banner_of: Option<Arc<TaskHeader>>,
}

impl<W: Write + Send> Terminal<W> {
    pub fn new(out: W, secrets: Secrets, options: TerminalOptions) -> Self {
        let progress = Progress::new(options.live);
        Self { out: MaskedWriter::new(out, secrets), options, progress, task: None, banner_of: None }
    }

    fn say(&mut self, style: &str, text: &str) -> io::Result<()> {
        self.cells(&[(style, text)])
    }

    /// Writes one line of differently coloured parts, with the live display out of the way.
    fn cells(&mut self, parts: &[(&str, &str)]) -> io::Result<()> {
        let plain: Vec<(&str, &str)>;
        let parts = if self.options.color {
            parts
        } else {
            plain = parts.iter().map(|(_, text)| ("", *text)).collect();
            &plain
        };
        let out = &mut self.out;
        self.progress.suspend(|| out.line(parts))
    }

    fn banner(&mut self, text: &str) -> io::Result<()> {
        let stars = self.options.width.saturating_sub(text.chars().count()).max(3);
        self.say("", &format!("\n{text} {}", "*".repeat(stars)))
    }

    fn task_banner(&mut self, task: &TaskHeader) -> io::Result<()> {
        let word = match task.kind {
            TaskKind::Task => "TASK",
            TaskKind::Handler => "RUNNING HANDLER",
        };
        self.banner(&format!("{word} [{}]", task.name))?;
        if self.options.verbosity >= 2
            && let Some(place) = &task.place
        {
            self.say(BLUE, &format!("task path: {place}"))?;
        }
        Ok(())
    }

    /// Prints the banner of the task that speaks next, unless it stands there already.
    fn announce(&mut self, task: &Arc<TaskHeader>) -> io::Result<()> {
        if self.banner_of.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, task)) {
            return Ok(());
        }
        self.banner_of = Some(task.clone());
        self.task_banner(&task.clone())
    }

    fn announce_current(&mut self) -> io::Result<()> {
        match self.task.clone() {
            Some(task) => self.announce(&task),
            None => Ok(()),
        }
    }

    fn result(&mut self, r: &HostResult) -> io::Result<()> {
        if r.status == Status::Skipped && !self.options.display_skipped {
            return Ok(());
        }
        self.announce(&r.task.clone())?;
        for warning in &r.warnings {
            self.say(PURPLE, &format!("[WARNING]: {warning}"))?;
        }
        if r.task.diff {
            for diff in &r.diff {
                self.diff(&unified(diff))?;
            }
        }
        // The items of a loop said it already.
        if r.looped && r.item.is_none() && matches!(r.status, Status::Ok | Status::Changed) {
            return Ok(());
        }
        let host = label(r);
        let item = r.item.as_ref().map(|i| format!(" => (item={i})")).unwrap_or_default();
        match r.status {
            Status::Ok => self.good(GREEN, "ok", &host, &item, r),
            Status::Changed => self.good(YELLOW, "changed", &host, &item, r),
            Status::Skipped => {
                // Ansible ends the line of a skipped item with a blank.
                let item = if item.is_empty() { item } else { item + " " };
                self.good(CYAN, "skipping", &host, &item, r)
            }
            // The items told why.
            Status::Failed if r.looped && r.item.is_none() && r.explanation.is_none() => Ok(()),
            Status::Ignored if r.looped && r.item.is_none() && r.explanation.is_none() => {
                self.say(CYAN, "...ignoring")
            }
            Status::Failed | Status::Ignored => {
                if let Some(explanation) = &r.explanation {
                    self.say(RED, explanation.trim_end())?;
                }
                let unreachable = r.result.get("unreachable").is_some_and(Value::is_truthy);
                let head = match &r.item {
                    Some(i) => format!("failed: [{host}] (item={i}) => "),
                    None if unreachable => format!("fatal: [{host}]: UNREACHABLE! => "),
                    None => format!("fatal: [{host}]: FAILED! => "),
                };
                let body = self.dump(&r.result, r.verbose_always.then_some(4));
                self.say(RED, &format!("{head}{body}"))?;
                if r.status == Status::Ignored { self.say(CYAN, "...ignoring") } else { Ok(()) }
            }
            Status::Unreachable => {
                let body = self.dump(&r.result, None);
                self.say(BRIGHT_RED, &format!("fatal: [{host}]: UNREACHABLE! => {body}"))
            }
            Status::Lost => {
                let body = self.dump(&r.result, None);
                self.say(BRIGHT_RED, &format!("fatal: [{host}]: LOST! => {body}"))
            }
        }
    }

    fn good(&mut self, style: &str, word: &str, host: &str, item: &str, r: &HostResult) -> io::Result<()> {
        let mut line = format!("{word}: [{host}]{item}");
        if r.verbose_always || self.options.verbosity > 0 {
            let indent = (r.verbose_always || self.options.verbosity > 2).then_some(4);
            line.push_str(" => ");
            let mut shown = if is_debug(r) { debug_members(&r.result) } else { r.result.clone() };
            if r.status == Status::Skipped {
                shown.remove("results");
            }
            line.push_str(&self.dump(&shown, indent));
        }
        self.say(style, &line)
    }

    fn diff(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            let style = match line.as_bytes().first() {
                Some(b'+') => GREEN,
                Some(b'-') => RED,
                Some(b'@') => CYAN,
                _ => "",
            };
            self.say(style, line)?;
        }
        if text.is_empty() { Ok(()) } else { self.say("", "") }
    }

    /// The result as Ansible dumps it: keys sorted, internal and voluminous members left out.
    fn dump(&self, result: &Map, indent: Option<usize>) -> String {
        let hidden = |key: &str| {
            key.starts_with("_ansible_")
                || (self.options.verbosity < 3 && (key == "invocation" || key == "exception"))
                || key == "diff"
        };
        let shown: Map = result
            .iter()
            .filter(|(k, _)| k.as_str().is_none_or(|k| !hidden(k)))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        to_python_json(&Value::map(shown), JsonStyle { indent, sort_keys: true, ascii: false })
    }

    fn recap(&mut self, recap: &Recap) -> io::Result<()> {
        self.banner("PLAY RECAP")?;
        let mut hosts: Vec<_> = recap.hosts.iter().collect();
        hosts.sort_by(|a, b| a.0.cmp(b.0));
        for (host, c) in hosts {
            let host_style = match c {
                c if c.failed > 0 || c.unreachable > 0 => RED,
                c if c.changed > 0 => YELLOW,
                _ => GREEN,
            };
            let cells = recap_cells(host, c);
            let styles = [host_style, "", GREEN, YELLOW, BRIGHT_RED, RED, CYAN, YELLOW, BLUE];
            let counts = [1, 0, c.ok, c.changed, c.unreachable, c.failed, c.skipped, c.rescued, c.ignored];
            let parts: Vec<(&str, &str)> = cells
                .iter()
                .enumerate()
                .map(|(i, cell)| (if counts[i] > 0 { styles[i] } else { "" }, cell.as_str()))
                .collect();
            self.cells(&parts)?;
        }
        self.say("", "")
    }
}

/// The parts of a recap line: host padded to 26 columns, then the counts as Ansible lays them out.
fn recap_cells(host: &str, c: &Counts) -> [String; 9] {
    [
        format!("{host:<26}"),
        " : ".into(),
        format!("ok={:<4} ", c.ok),
        format!("changed={:<4} ", c.changed),
        format!("unreachable={:<4} ", c.unreachable),
        format!("failed={:<4} ", c.failed),
        format!("skipped={:<4} ", c.skipped),
        format!("rescued={:<4} ", c.rescued),
        format!("ignored={:<4}", c.ignored),
    ]
}

fn is_debug(r: &HostResult) -> bool {
    crate::modules::short_name(&r.task.module) == Some("debug")
}

/// What `debug` shows: a message stands alone, a variable without the marks of a result.
fn debug_members(result: &Map) -> Map {
    let message = result.contains("msg");
    let shown = |key: &str| match message {
        true => matches!(key, "msg" | "exception" | "warnings" | "deprecations"),
        false => !matches!(key, "changed" | "failed" | "skipped" | "invocation" | "skip_reason"),
    };
    result.iter().filter(|(k, _)| k.as_str().is_none_or(shown)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn label(r: &HostResult) -> String {
    match &r.delegated {
        None => r.host.to_string(),
        Some((to, None)) => format!("{} -> {to}", r.host),
        Some((to, Some(address))) => format!("{} -> {to}({address})", r.host),
    }
}

impl<W: Write + Send> Reporter for Terminal<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::RunStarted { rehearsal, .. } => {
                if *rehearsal {
                    self.say(PURPLE, "[REHEARSAL]: every host below is emulated on this machine.")?;
                }
                Ok(())
            }
            Event::PlayStarted { name, .. } => {
                let name = if name.is_empty() { "PLAY".to_string() } else { format!("PLAY [{name}]") };
                self.banner(&name)
            }
            Event::NoHostsMatched => self.say(CYAN, "skipping: no hosts matched"),
            Event::NoHostsLeft => self.banner("NO MORE HOSTS LEFT"),
            Event::TaskStarted(task) => {
                self.progress.task(&task.name);
                self.task = Some(task.clone());
                if self.options.display_skipped { self.announce(task) } else { Ok(()) }
            }
            Event::Included { file, hosts, item } => {
                self.announce_current()?;
                let item = item.as_ref().map(|i| format!(" => (item={i})")).unwrap_or_default();
                let hosts: Vec<&str> = hosts.iter().map(|h| &**h).collect();
                self.say(CYAN, &format!("included: {} for {}{item}", file.display(), hosts.join(", ")))
            }
            Event::Item(r) => self.result(r),
            Event::Host(r) => {
                self.progress.done(&r.host);
                self.result(r)
            }
            Event::Retry { host, task, left, .. } => {
                self.announce(task)?;
                self.say(CYAN, &format!("FAILED - RETRYING: [{host}]: {} ({left} retries left).", task.name))
            }
            Event::Progress { host, line } => {
                self.announce_current()?;
                if self.progress.live() {
                    let shown = self.out.shown(line);
                    self.progress.note(host, &shown);
                    return Ok(());
                }
                self.say(CYAN, &format!("  [{host}] {line}"))
            }
            Event::Warning(text) => self.say(PURPLE, &format!("[WARNING]: {text}")),
            Event::Deprecation(text) => self.say(PURPLE, &format!("[DEPRECATION WARNING]: {text}")),
            Event::Question { text, .. } => {
                self.progress.stand_aside();
                self.out.prompt(text)
            }
            Event::Answered { text, .. } => {
                self.progress.come_back();
                self.banner(text.trim_end())
            }
            Event::Notice(text) => self.say("", text),
            Event::PlayEnded => Ok(()),
            Event::RunEnded(recap) => self.recap(recap),
        }
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.progress.finish();
        self.out.flush()
    }
}
