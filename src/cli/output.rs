//! This program's stdout and stderr: colours or not, masked, with control characters made visible.

use std::io::{self, IsTerminal, Write};

use crate::diag::{self, Diagnostic, SourceMap, Style};
use crate::plan::render::inert_json;
use crate::report::{Secrets, visible, wrap};

/// Columns of text where there is no terminal, as with Ansible.
const DEFAULT_COLUMNS: usize = 79;

/// Whose words the program uses for errors: its own, or those that scripts around Ansible's programs look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    Own,
    Ansible,
}

/// Where a command's words go.
#[derive(Clone)]
pub struct Output {
    pub voice: Voice,
    pub secrets: Secrets,
    /// Colours on stdout.
    pub color: bool,
    /// Colours on stderr.
    pub color_errors: bool,
}

impl Output {
    pub fn plain() -> Self {
        Output { voice: Voice::Own, secrets: Secrets::new(), color: false, color_errors: false }
    }

    /// Writes text to stdout.
    pub fn text(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let shown = self.secrets.mask(text);
        out.write_all(visible(&shown).as_bytes())?;
        out.flush()
    }

    /// Writes JSON to stdout; it stays the same value, whatever is in it.
    pub fn json(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(inert_json(&self.secrets.mask(text)).as_bytes())?;
        out.flush()
    }

    pub fn error(&self, text: &str) {
        match self.voice {
            Voice::Own => self.say("1;31", "error", text),
            Voice::Ansible => self.say_headline("ERROR! ", text),
        }
    }

    /// Writes a line as Ansible's programs write their errors.
    fn say_headline(&self, word: &str, text: &str) {
        let text = self.masked(text);
        Self::to_stderr(&if self.color_errors {
            format!("\x1b[0;31m{word}{text}\x1b[0m\n")
        } else {
            format!("{word}{text}\n")
        });
    }

    pub fn help(&self, text: &str) {
        self.say("1;36", "help", text);
    }

    /// Writes a warning in Ansible's form.
    pub fn warning(&self, text: &str) {
        let text = format!("[WARNING]: {}", self.masked(text));
        // Scripts around Ansible's programs compare the lines.
        let text = match self.voice {
            Voice::Own => text,
            Voice::Ansible => wrap(&text, columns()).join("\n"),
        };
        let line = if self.color_errors { format!("\x1b[1;35m{text}\x1b[0m\n") } else { format!("{text}\n") };
        Self::to_stderr(&line);
    }

    /// Writes a line of information to stderr.
    pub fn note(&self, text: &str) {
        Self::to_stderr(&format!("{}\n", self.masked(text)));
    }

    /// Shows messages about the user's files; they are sanitised by their renderer.
    pub fn diagnostics<'a>(&self, sources: &SourceMap, all: impl IntoIterator<Item = &'a Diagnostic>) {
        let style = match self.voice {
            Voice::Own if self.color_errors => Style::Color,
            Voice::Own => Style::Plain,
            Voice::Ansible => Style::Ansible,
        };
        for diagnostic in all {
            let text = diag::render(sources, diagnostic, style);
            Self::to_stderr(&format!("{}\n", self.secrets.mask(&text)));
        }
    }

    fn masked(&self, text: &str) -> String {
        visible(&self.secrets.mask(text)).into_owned()
    }

    fn say(&self, style: &str, word: &str, text: &str) {
        let text = self.masked(text);
        if self.color_errors {
            Self::to_stderr(&format!("\x1b[{style}m{word}:\x1b[0m {text}\n"));
        } else {
            Self::to_stderr(&format!("{word}: {text}\n"));
        }
    }

    fn to_stderr(text: &str) {
        // Nobody can be told that stderr is closed.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

/// Returns how wide banners are: the terminal's width, or Ansible's 79.
pub fn columns() -> usize {
    if !io::stdout().is_terminal() {
        return DEFAULT_COLUMNS;
    }
    match rustix::termios::tcgetwinsize(io::stdout()) {
        // Ansible keeps the last column free.
        Ok(size) if size.ws_col > 1 => usize::from(size.ws_col) - 1,
        _ => DEFAULT_COLUMNS,
    }
}
