//! What a person types on stdin key by key, while Ctrl-C is a key like others.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use crate::engine::{Typed, Typing, Until};

/// Tenths of a second after which a read without a key returns.
const TICK: u8 = 1;
/// Reads that return nothing sooner than this find a terminal that is gone.
const TOO_SOON: Duration = Duration::from_millis(20);
const MOST_TOO_SOON: u32 = 20;
/// Nobody types more.
const MOST_BYTES: usize = 1 << 16;

/// Takes keys until one ends it. When this is dropped nobody waits for keys any more.
pub async fn typed(typing: Typing) -> io::Result<Typed> {
    // Done before anything is asked: an early Ctrl-C is a key already.
    let terminal = Terminal::of(io::stdin())?;
    let open = Arc::new(AtomicBool::new(true));
    let _closing = Closing(open.clone());
    let read = tokio::task::spawn_blocking(move || read(typing, &terminal, &open));
    read.await.unwrap_or_else(|e| Err(io::Error::other(e)))
}

/// Ends the reading thread.
struct Closing(Arc<AtomicBool>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn read(typing: Typing, terminal: &Terminal, open: &AtomicBool) -> io::Result<Typed> {
    let shown = typing.echo.then(|| OpenOptions::new().write(true).open("/dev/tty").ok()).flatten();
    let mut line = Line { typing, erase: terminal.erase, text: Vec::new(), shown };
    let begun = Instant::now();
    let mut too_soon = 0;
    while open.load(Ordering::Relaxed) {
        if typing.limit.is_some_and(|limit| begun.elapsed() >= limit) {
            return Ok(Typed::TimeOver);
        }
        let (mut key, asked) = ([0], Instant::now());
        if rustix::io::read(&terminal.stdin, &mut key)? == 0 {
            too_soon = if asked.elapsed() < TOO_SOON { too_soon + 1 } else { 0 };
            if too_soon > MOST_TOO_SOON {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal is gone"));
            }
        } else if let Some(end) = line.key(key[0]) {
            return Ok(end);
        }
    }
    Ok(Typed::Interrupted)
}

/// The terminal as it has to be meanwhile; as it was when dropped.
struct Terminal {
    stdin: io::Stdin,
    before: Termios,
    erase: u8,
}

impl Terminal {
    fn of(stdin: io::Stdin) -> io::Result<Self> {
        let before = tcgetattr(stdin.as_fd())?;
        let mut keys = before.clone();
        keys.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        keys.special_codes[SpecialCodeIndex::VMIN] = 0;
        keys.special_codes[SpecialCodeIndex::VTIME] = TICK;
        // What was typed before the question is no answer to it.
        tcsetattr(stdin.as_fd(), OptionalActions::Flush, &keys)?;
        Ok(Terminal { stdin, erase: before.special_codes[SpecialCodeIndex::VERASE], before })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no repair.
        let _ = tcsetattr(self.stdin.as_fd(), OptionalActions::Drain, &self.before);
    }
}

/// What was typed so far.
struct Line {
    typing: Typing,
    erase: u8,
    text: Vec<u8>,
    /// Where it is shown.
    shown: Option<File>,
}

impl Line {
    /// Takes a key; returns how the line ended when it did.
    fn key(&mut self, key: u8) -> Option<Typed> {
        const CTRL_C: u8 = 3;
        const BACKSPACE: u8 = 8;
        const DELETE: u8 = 127;
        let letter = char::from(key).to_ascii_lowercase();
        let end = match (key, self.typing.until) {
            (CTRL_C, _) => Typed::Interrupted,
            (_, Until::Letter(_, stop)) if letter == stop => Typed::Interrupted,
            (_, Until::Letter(go_on, _)) if letter == go_on => self.taken(),
            (b'\r' | b'\n', Until::Enter) => self.taken(),
            (BACKSPACE | DELETE, _) => return self.erase(),
            _ if key == self.erase => return self.erase(),
            _ => {
                if self.text.len() < MOST_BYTES {
                    self.text.push(key);
                }
                if !key.is_ascii_control() {
                    self.show(&[key]);
                }
                return None;
            }
        };
        if !self.text.is_empty() {
            self.show(b"\r\n");
        }
        Some(end)
    }

    fn taken(&self) -> Typed {
        Typed::Text(String::from_utf8_lossy(&self.text).into_owned())
    }

    /// Takes back the last character.
    fn erase(&mut self) -> Option<Typed> {
        while let Some(byte) = self.text.pop() {
            let begins = byte & 0xc0 != 0x80;
            if begins {
                if !byte.is_ascii_control() {
                    self.show(b"\x08 \x08");
                }
                break;
            }
        }
        None
    }

    fn show(&mut self, bytes: &[u8]) {
        if let Some(terminal) = &mut self.shown {
            // The answer counts, whether it can be shown or not.
            let _ = terminal.write_all(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(until: Until, keys: &str, expect: Option<Typed>) {
        let typing = Typing { echo: false, limit: None, until };
        let mut line = Line { typing, erase: b'#', text: Vec::new(), shown: None };
        assert_eq!(keys.bytes().find_map(|key| line.key(key)), expect, "{until:?} {keys:?}");
    }

    fn text(text: &str) -> Option<Typed> {
        Some(Typed::Text(text.into()))
    }

    #[test]
    fn a_line_ends_with_a_line_break_and_can_be_edited() {
        check(Until::Enter, "hello", None);
        check(Until::Enter, "hello\rmore", text("hello"));
        check(Until::Enter, "\n", text(""));
        check(Until::Enter, "hello there\x7f\x7f\x08###y\n", text("helloy"));
        check(Until::Enter, "\x7f\x7fé\x7fü\n", text("ü"));
        check(Until::Enter, "hello\x03", Some(Typed::Interrupted));
    }

    #[test]
    fn a_wait_ends_with_an_interrupt_alone() {
        check(Until::Interrupt, "a\nc\rC", None);
        check(Until::Interrupt, "a\n\x03", Some(Typed::Interrupted));
    }

    #[test]
    fn one_of_two_letters_decides() {
        let letters = Until::Letter('c', 'a');
        check(letters, "x\n", None);
        check(letters, "C", text(""));
        check(letters, "xc", text("x"));
        check(letters, "A", Some(Typed::Interrupted));
        check(letters, "\x03", Some(Typed::Interrupted));
    }
}
