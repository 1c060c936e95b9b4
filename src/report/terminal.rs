//! The text that people and scripts read: the format of Ansible's default callback.

use std::io::{self, Write};
use std::sync::Arc;

use super::Reporter;
use super::diff::unified;
use super::mask::{MaskedWriter, Secrets};
use super::progress::Progress;
use super::results::{Emphasis, ResultStyle};
use super::wrap::wrap;
use crate::engine::{Counts, Event, HostResult, Recap, Status, TaskHeader, TaskKind};
use crate::value::{JsonStyle, Map, Value, to_python_json};

pub(super) const GREEN: &str = "0;32";
pub(super) const YELLOW: &str = "0;33";
pub(super) const RED: &str = "0;31";
pub(super) const CYAN: &str = "0;36";
pub(super) const BRIGHT_RED: &str = "1;31";
pub(super) const PURPLE: &str = "1;35";
const BLUE: &str = "0;34";

/// Stands in banners of what changes nothing.
const CHECK_MARK: &str = " [CHECK MODE]";

/// How the terminal text is made.
#[derive(Clone, Debug)]
pub struct TerminalOptions {
    pub color: bool,
    /// Columns of the banners; Ansible uses 79 where there is no terminal.
    pub width: usize,
    pub verbosity: u8,
    pub diff: bool,
    pub display_skipped: bool,
    pub display_ok: bool,
    /// Failures go to stderr.
    pub failed_to_stderr: bool,
    /// Failures say where their task stands.
    pub task_path_on_failure: bool,
    /// Banners say when nothing is changed.
    pub check_markers: bool,
    pub custom_stats: bool,
    /// Equal lines around a change in differences.
    pub diff_context: usize,
    /// Words about what is old, as modules say them.
    pub deprecation_warnings: bool,
    /// Warnings that modules give with their results.
    pub action_warnings: bool,
    /// Explanations of mistakes and warnings go to stderr, so that stdout is that of Ansible.
    pub explain_on_stderr: bool,
    pub results: ResultStyle,
    /// Whether a live line with the running hosts may be drawn.
    pub live: bool,
}

/// Writes events as text.
pub struct Terminal<W: Write + Send> {
    out: MaskedWriter<W>,
    errors: MaskedWriter<io::Stderr>,
    options: TerminalOptions,
    progress: Progress,
    /// The task that runs now, and the one whose banner was printed last.
    task: Option<Arc<TaskHeader>>,
    banner_of: Option<Arc<TaskHeader>>,
    /// Tasks run on all hosts before the next one begins.
    lockstep: bool,
    /// The run as a whole changes nothing.
    check: bool,
}

impl<W: Write + Send> Terminal<W> {
    pub fn new(out: W, secrets: Secrets, options: TerminalOptions) -> Self {
        let progress = Progress::new(options.live);
        Self {
            out: MaskedWriter::new(out, secrets.clone()),
            errors: MaskedWriter::new(io::stderr(), secrets),
            options,
            progress,
            task: None,
            banner_of: None,
            lockstep: true,
            check: false,
        }
    }

    fn say(&mut self, style: &str, text: &str) -> io::Result<()> {
        self.cells(&[(style, text)])
    }

    /// Writes about a failure.
    fn complain(&mut self, style: &str, text: &str) -> io::Result<()> {
        if !self.options.failed_to_stderr {
            return self.say(style, text);
        }
        let style = if self.options.color { style } else { "" };
        self.out.flush()?;
        text.split('\n').try_for_each(|line| self.errors.line(&[(style, line)]))?;
        self.errors.flush()
    }

    /// Writes where a mistake in the project's files is.
    fn explain(&mut self, explanation: &str) -> io::Result<()> {
        if !self.options.explain_on_stderr {
            return self.complain(RED, explanation.trim_end());
        }
        self.write_error(RED, explanation.trim_end_matches('\n'))
    }

    /// Writes a warning: among the results, or to stderr as Ansible's programs do.
    fn warn(&mut self, head: &str, text: &str) -> io::Result<()> {
        let text = format!("[{head}]: {text}");
        if !self.options.explain_on_stderr {
            return self.say(PURPLE, &text);
        }
        let text = wrap(&text, self.options.width).join("\n");
        self.write_error(PURPLE, &text)
    }

    fn write_error(&mut self, style: &str, text: &str) -> io::Result<()> {
        self.out.flush()?;
        let style = if self.options.color { style } else { "" };
        let errors = &mut self.errors;
        self.progress.suspend(|| {
            text.split('\n').try_for_each(|line| errors.line(&[(style, line)]))?;
            errors.flush()
        })
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
        let mark = if task.check && self.options.check_markers { CHECK_MARK } else { "" };
        let args = if task.arguments.is_empty() { String::new() } else { format!(" {}", task.arguments) };
        self.banner(&format!("{word} [{}{args}]{mark}", task.name))?;
        if self.options.verbosity >= 2
            && let Some(place) = &task.place
        {
            self.say(BLUE, &format!("task path: {place}"))?;
        }
        Ok(())
    }

    /// Prints the banner of the task that speaks next, unless it stands there already.
    fn announce(&mut self, task: &Arc<TaskHeader>) -> io::Result<()> {
        // Hosts that go by themselves bring their own copies of a task.
        let same =
            |shown: &Arc<TaskHeader>| Arc::ptr_eq(shown, task) || (!self.lockstep && shown.id == task.id);
        if self.banner_of.as_ref().is_some_and(same) {
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
        let hidden = match r.status {
            Status::Skipped => !self.options.display_skipped,
            Status::Ok => !self.options.display_ok,
            _ => false,
        };
        if hidden {
            return Ok(());
        }
        self.announce(&r.task.clone())?;
        let shown = self.options.action_warnings;
        for warning in r.warnings.iter().filter(|_| shown) {
            self.warn("WARNING", warning)?;
        }
        if r.task.diff && r.result.get("changed").is_some_and(Value::is_truthy) {
            for diff in &r.diff {
                self.diff(&unified(diff, self.options.diff_context))?;
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
            Status::Failed if r.looped && r.item.is_none() && r.explanation.is_none() && !is_debug(r) => {
                Ok(())
            }
            Status::Ignored if r.looped && r.item.is_none() && r.explanation.is_none() && !is_debug(r) => {
                self.say(CYAN, "...ignoring")
            }
            Status::Failed | Status::Ignored => {
                if let Some(explanation) = &r.explanation {
                    self.explain(explanation)?;
                }
                if self.options.task_path_on_failure
                    && self.options.verbosity < 2
                    && r.item.is_none()
                    && let Some(place) = &r.task.place
                {
                    self.say(BLUE, &format!("task path: {place}"))?;
                }
                let unreachable = r.result.get("unreachable").is_some_and(Value::is_truthy);
                let head = match &r.item {
                    Some(i) => format!("failed: [{host}] (item={i}) => "),
                    None if unreachable => format!("fatal: [{host}]: UNREACHABLE! => "),
                    None => format!("fatal: [{host}]: FAILED! => "),
                };
                let shown = if is_debug(r) { debug_members(&r.result) } else { r.result.clone() };
                let body = self.dump(&shown, emphasis(r));
                self.complain(RED, &format!("{head}{body}"))?;
                if r.item.is_none() && r.status == Status::Ignored {
                    self.say(CYAN, "...ignoring")
                } else {
                    Ok(())
                }
            }
            Status::Unreachable => {
                let body = self.dump(&r.result, emphasis(r));
                self.complain(BRIGHT_RED, &format!("fatal: [{host}]: UNREACHABLE! => {body}"))
            }
            Status::Lost => {
                let body = self.dump(&r.result, emphasis(r));
                self.complain(BRIGHT_RED, &format!("fatal: [{host}]: LOST! => {body}"))
            }
        }
    }

    fn good(&mut self, style: &str, word: &str, host: &str, item: &str, r: &HostResult) -> io::Result<()> {
        let mut line = format!("{word}: [{host}]{item}");
        if r.verbose_always || self.options.verbosity > 0 {
            line.push_str(" => ");
            let mut shown = if is_debug(r) { debug_members(&r.result) } else { r.result.clone() };
            if r.status == Status::Skipped {
                shown.remove("results");
            }
            line.push_str(&self.dump(&shown, emphasis(r)));
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

    fn dump(&self, result: &Map, emphasis: Emphasis) -> String {
        self.options.results.dump(result, emphasis, self.options.verbosity)
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
        self.say("", "")?;
        if self.options.custom_stats && !recap.custom.is_empty() {
            self.banner("CUSTOM STATS: ")?;
            let style = JsonStyle { indent: Some(1), sort_keys: true, ascii: false };
            let text = to_python_json(&Value::map(recap.custom.clone()), style).replace('\n', "");
            self.say("", "")?;
            self.say("", &format!("\tRUN: {text}"))?;
            self.say("", "")?;
        }
        if self.check && self.options.check_markers {
            self.banner("DRY RUN")?;
        }
        Ok(())
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

fn emphasis(r: &HostResult) -> Emphasis {
    if r.verbose_always { Emphasis::Always } else { Emphasis::None }
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
            Event::RunStarted { rehearsal, check, .. } => {
                self.check = *check;
                if *rehearsal {
                    self.say(PURPLE, "[REHEARSAL]: every host below is emulated on this machine.")?;
                }
                Ok(())
            }
            Event::PlaybookStarted { path, plays } => {
                if self.options.verbosity > 1 {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    self.banner(&format!("PLAYBOOK: {name}"))?;
                }
                if self.check && self.options.check_markers {
                    self.banner("DRY RUN")?;
                }
                if self.options.verbosity > 1 {
                    self.say(BLUE, &format!("{plays} plays in {}", path.display()))?;
                }
                Ok(())
            }
            Event::PlayStarted { name, lockstep, check, .. } => {
                self.lockstep = *lockstep;
                let mark = if *check && self.options.check_markers { CHECK_MARK } else { "" };
                let name = if name.is_empty() { "PLAY".to_string() } else { format!("PLAY [{name}]") };
                self.banner(&format!("{name}{mark}"))
            }
            Event::NoHostsMatched => self.say(CYAN, "skipping: no hosts matched"),
            Event::NoHostsLeft => self.banner("NO MORE HOSTS LEFT"),
            Event::TaskStarted(task) => {
                self.progress.task(&task.name);
                self.task = Some(task.clone());
                let filtered = !self.options.display_skipped || !self.options.display_ok;
                if self.lockstep && !filtered { self.announce(task) } else { Ok(()) }
            }
            Event::Included { task, file, hosts, item } => {
                self.announce(task)?;
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
            Event::Foreseen { .. } | Event::Followed { .. } => Ok(()),
            Event::Progress { host, line } => {
                self.announce_current()?;
                if self.progress.live() {
                    let shown = self.out.shown(line);
                    self.progress.note(host, &shown);
                    return Ok(());
                }
                self.say(CYAN, &format!("  [{host}] {line}"))
            }
            Event::Warning(text) => self.warn("WARNING", text),
            Event::Deprecation(_) if !self.options.deprecation_warnings => Ok(()),
            Event::Deprecation(text) => self.warn("DEPRECATION WARNING", text),
            Event::Question { text, .. } => {
                self.progress.stand_aside();
                self.out.prompt(text)
            }
            Event::Answered { text, .. } => {
                self.progress.come_back();
                text.as_ref().map_or(Ok(()), |text| self.banner(text.trim_end()))
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
