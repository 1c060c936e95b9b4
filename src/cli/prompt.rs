//! Questions to the user, asked on the terminal itself, so that redirected output does not get in the way.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

use super::exit::CliError;
use super::keys;
use crate::engine::{Answers, Typed, Typing};
use crate::transport::BoxFuture;
use crate::value::Secret;

/// Asks for a password; what is typed is not shown. Without a terminal a line of stdin is taken.
pub fn password(prompt: &str) -> Result<Secret, CliError> {
    let failed = |e: io::Error| CliError::cannot(format!("cannot ask for \"{}\": {e}", prompt.trim_end()));
    let text = match OpenOptions::new().read(true).write(true).open("/dev/tty") {
        Ok(terminal) => {
            let silence = Silence::of(&terminal).map_err(failed)?;
            (&terminal).write_all(prompt.as_bytes()).map_err(failed)?;
            let line = read_line(BufReader::new(&terminal)).map_err(failed);
            drop(silence);
            (&terminal).write_all(b"\n").map_err(failed)?;
            line?
        }
        Err(_) if !io::stdin().is_terminal() => read_line(io::stdin().lock()).map_err(failed)?,
        Err(e) => return Err(failed(e)),
    };
    Ok(Secret::new(text))
}

fn read_line(mut from: impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the input ended"));
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_string())
}

/// Answers from stdin, whether it is a terminal or not, as Ansible takes them.
pub struct Input;

impl Answers for Input {
    fn is_person(&self) -> bool {
        // A program in the background would be stopped when it reads.
        let stdin = io::stdin();
        stdin.is_terminal() && tcgetpgrp(&stdin).is_ok_and(|group| group == rustix::process::getpgrp())
    }

    fn line(&self) -> BoxFuture<'_, io::Result<Option<String>>> {
        let read = tokio::task::spawn_blocking(|| {
            let mut line = Vec::new();
            let more = io::stdin().lock().read_until(b'\n', &mut line)? > 0;
            let text = String::from_utf8_lossy(&line);
            Ok(more.then(|| text.trim_end_matches(['\n', '\r']).to_string()))
        });
        Box::pin(async move { read.await.unwrap_or_else(|e| Err(io::Error::other(e))) })
    }

    fn typed(&self, typing: Typing) -> BoxFuture<'_, io::Result<Typed>> {
        Box::pin(keys::typed(typing))
    }
}

/// Keeps a terminal from showing what is typed, until dropped.
struct Silence<'a> {
    terminal: &'a std::fs::File,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn of(terminal: &'a std::fs::File) -> io::Result<Self> {
        let before = tcgetattr(terminal.as_fd())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal.as_fd(), OptionalActions::Flush, &silent)?;
        Ok(Silence { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no repair.
        let _ = tcsetattr(self.terminal.as_fd(), OptionalActions::Flush, &self.before);
    }
}

/// Restores the terminal when the program ends in the middle of a question or a live display.
pub struct TerminalGuard(Option<Termios>);

impl TerminalGuard {
    /// Remembers how the terminal is set now.
    pub fn new() -> Self {
        TerminalGuard(tcgetattr(io::stdin()).ok())
    }

    pub fn restore(&self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
        if io::stderr().is_terminal() {
            // Live displays hide the cursor.
            let _ = io::stderr().write_all(b"\x1b[?25h");
        }
    }
}

/// Asks for the value of a variable; a confirmed one must be typed twice alike.
pub fn variable(what: &str, default: Option<&str>, private: bool, confirm: bool) -> Result<String, CliError> {
    let prompt = match default {
        Some(default) => format!("{what} [{default}]: "),
        None if what.ends_with(':') => format!("{what} "),
        None => format!("{what}: "),
    };
    loop {
        let answer = if private { password(&prompt)?.expose().to_string() } else { line(&prompt)? };
        if confirm && answer != password(&format!("confirm {prompt}"))?.expose() {
            say("***** VALUES ENTERED DO NOT MATCH ****")?;
            continue;
        }
        return Ok(match default {
            Some(default) if answer.is_empty() => default.to_string(),
            _ => answer,
        });
    }
}

/// Says something on the terminal.
fn say(text: &str) -> Result<(), CliError> {
    let failed = |e: io::Error| CliError::cannot(format!("cannot say \"{text}\": {e}"));
    let mut terminal = OpenOptions::new().write(true).open("/dev/tty").map_err(failed)?;
    terminal.write_all(format!("{text}\n").as_bytes()).map_err(failed)
}

/// Asks for a line on the terminal.
pub fn line(prompt: &str) -> Result<String, CliError> {
    let failed = |e: io::Error| CliError::cannot(format!("cannot ask for \"{}\": {e}", prompt.trim_end()));
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(failed)?;
    (&terminal).write_all(prompt.as_bytes()).map_err(failed)?;
    read_line(BufReader::new(&terminal)).map_err(failed)
}
