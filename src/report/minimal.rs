//! The text of Ansible's `minimal` and `oneline` callbacks, which ad-hoc commands print: results and nothing else.

use std::io::{self, Write};

use super::Reporter;
use super::diff::unified;
use super::mask::{MaskedWriter, Secrets};
use super::results::{Emphasis, ResultStyle};
use super::terminal::{BRIGHT_RED, CYAN, GREEN, PURPLE, RED, TerminalOptions, YELLOW};
use super::wrap::wrap;
use crate::engine::{Event, HostResult, Status};
use crate::modules::short_name;
use crate::value::Value;

/// Modules whose output is shown as it is.
const PLAIN_OUTPUT: [&str; 4] = ["command", "raw", "script", "shell"];

/// How many lines a result may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    One,
    Many,
}

/// Writes each host's result.
pub struct Minimal<W: Write + Send> {
    out: MaskedWriter<W>,
    errors: MaskedWriter<io::Stderr>,
    options: TerminalOptions,
    lines: Lines,
}

impl<W: Write + Send> Minimal<W> {
    pub fn new(out: W, secrets: Secrets, options: TerminalOptions, lines: Lines) -> Self {
        let errors = MaskedWriter::new(io::stderr(), secrets.clone());
        Minimal { out: MaskedWriter::new(out, secrets), errors, options, lines }
    }

    fn say(&mut self, style: &str, text: &str) -> io::Result<()> {
        let style = if self.options.color { style } else { "" };
        text.split('\n').try_for_each(|line| self.out.line(&[(style, line)]))
    }

    /// Writes a warning: among the results, or to stderr as Ansible's programs do.
    fn warn(&mut self, head: &str, text: &str) -> io::Result<()> {
        let text = format!("[{head}]: {text}");
        if !self.options.explain_on_stderr {
            return self.say(PURPLE, &text);
        }
        self.out.flush()?;
        let style = if self.options.color { PURPLE } else { "" };
        let lines = wrap(&text, self.options.width);
        lines.iter().try_for_each(|line| self.errors.line(&[(style, line)]))?;
        self.errors.flush()
    }

    fn result(&mut self, r: &HostResult) -> io::Result<()> {
        let shown = self.options.action_warnings;
        for warning in r.warnings.iter().filter(|_| shown) {
            self.warn("WARNING", warning)?;
        }
        if r.task.diff {
            for diff in &r.diff {
                self.say("", unified(diff, self.options.diff_context).trim_end_matches('\n'))?;
            }
        }
        let host = &r.host;
        let (style, word) = match r.status {
            Status::Ok => (GREEN, "SUCCESS"),
            Status::Changed => (YELLOW, "CHANGED"),
            Status::Skipped => return self.say(CYAN, &format!("{host} | SKIPPED")),
            Status::Failed | Status::Ignored => (RED, "FAILED"),
            Status::Unreachable => {
                return match self.lines {
                    Lines::Many => {
                        let body = self.body(r);
                        self.say(BRIGHT_RED, &format!("{host} | UNREACHABLE! => {body}"))
                    }
                    Lines::One => {
                        let msg = r.get("msg").map(Value::to_text).unwrap_or_default();
                        self.say(BRIGHT_RED, &format!("{host} | UNREACHABLE!: {msg}"))
                    }
                };
            }
            Status::Lost => (BRIGHT_RED, "LOST"),
        };
        if let Some(explanation) = r.explanation.as_ref().filter(|_| self.lines == Lines::Many) {
            self.say(RED, explanation.trim_end())?;
        }
        let plain = PLAIN_OUTPUT.iter().any(|name| short_name(&r.task.module) == Some(*name));
        if plain && r.get("ansible_job_id").is_none() && r.get("rc").is_some() {
            let text = self.plain_output(r, word);
            return self.say(style, &text);
        }
        let mark = if matches!(word, "FAILED" | "LOST") { "!" } else { "" };
        let body = self.body(r);
        self.say(style, &format!("{host} | {word}{mark} => {body}"))
    }

    /// The output of a command as it came.
    fn plain_output(&self, r: &HostResult, word: &str) -> String {
        let text = |name: &str| r.get(name).map(Value::to_text).unwrap_or_default();
        let rc = r.get("rc").map_or_else(|| "-1".to_string(), Value::to_text);
        match self.lines {
            Lines::Many => {
                format!(
                    "{} | {word} | rc={rc} >>\n{}{}{}\n",
                    r.host,
                    text("stdout"),
                    text("stderr"),
                    text("msg")
                )
            }
            Lines::One => {
                let escape = |text: String| text.replace('\n', "\\n").replace('\r', "\\r");
                let errors = escape(text("stderr"));
                let errors = if errors.is_empty() { String::new() } else { format!(" (stderr) {errors}") };
                format!("{} | {word} | rc={rc} | (stdout) {}{errors}", r.host, escape(text("stdout")))
            }
        }
    }

    fn body(&self, r: &HostResult) -> String {
        let style = ResultStyle { pretty: Some(self.lines == Lines::Many), ..self.options.results };
        style.dump(&r.result, Emphasis::None, self.options.verbosity)
    }
}

impl<W: Write + Send> Reporter for Minimal<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            // The items of a loop are in the result of the task.
            Event::Host(r) => self.result(r),
            Event::Warning(text) => self.warn("WARNING", text),
            Event::Deprecation(_) if !self.options.deprecation_warnings => Ok(()),
            Event::Deprecation(text) => self.warn("DEPRECATION WARNING", text),
            Event::Notice(text) => self.say("", text),
            _ => Ok(()),
        }
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
