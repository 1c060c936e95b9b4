//! An interactive shell of a rehearsal host on the caller's own terminal.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::signal::unix::{SignalKind, signal};

use super::link::Launch;
use super::machine::{Machine, base_environment};
use super::os::watch;
use super::process::{Running, Size, Stdin};

/// Puts a terminal back as it was.
struct Restore {
    terminal: OwnedFd,
    before: Termios,
}

impl Drop for Restore {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

fn make_raw(terminal: &OwnedFd) -> io::Result<Restore> {
    let before = tcgetattr(terminal)?;
    let mut raw = before.clone();
    raw.make_raw();
    let restore = Restore { terminal: terminal.try_clone()?, before };
    tcsetattr(terminal, OptionalActions::Flush, &raw)?;
    Ok(restore)
}

fn size_of(terminal: &OwnedFd) -> Size {
    let size = tcgetwinsize(terminal).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or(Size { columns: 80, rows: 24 }, |size| Size { columns: size.ws_col, rows: size.ws_row })
}

/// Connects a new shell with the given ends until it exits; returns its status.
pub(super) async fn attach(machine: &Machine, input: OwnedFd, output: OwnedFd) -> io::Result<i32> {
    let is_terminal = rustix::termios::isatty(&input);
    let mut env = base_environment();
    if let Ok(term) = std::env::var("TERM") {
        env.push(("TERM".into(), term));
    }
    let size = size_of(&input);
    // A login shell finds the site's own commands, as an administrator's does.
    let running = if is_terminal {
        machine.launch(Launch::ShellOnTerminal, b"", env, Some(size))?
    } else {
        machine.launch(Launch::Shell, b"", env, None)?
    };
    let restore = if is_terminal { Some(make_raw(&input)?) } else { None };
    let status = converse(running, input, File::from(output)).await;
    drop(restore);
    status
}

async fn converse(running: Running, input: OwnedFd, mut output: File) -> io::Result<i32> {
    let Running { mut stdin, mut stdout, stderr, exit, .. } = running;
    let mut resized = signal(SignalKind::window_change())?;
    let terminal = input.try_clone()?;
    let keyboard = watch(input, Interest::READABLE).ok();
    let mut from_keyboard = vec![0; 4096];
    let mut from_host = vec![0; 32 * 1024];
    let mut from_stderr = vec![0; 4096];
    let mut keyboard_open = keyboard.is_some();
    let mut stderr = stderr;
    if !keyboard_open {
        // A plain file: it never blocks, so it is read at once.
        let mut content = Vec::new();
        io::Read::read_to_end(&mut File::from(terminal.try_clone()?), &mut content)?;
        feed(&mut stdin, &content).await;
        stdin = None;
    }
    let mut stdout_open = true;
    while stdout_open || stderr.is_some() {
        tokio::select! {
            count = stdout.read(&mut from_host), if stdout_open => match count? {
                0 => stdout_open = false,
                count => output.write_all(&from_host[..count]).and_then(|()| output.flush())?,
            },
            count = read_some(&mut stderr, &mut from_stderr), if stderr.is_some() => match count? {
                0 => stderr = None,
                count => output.write_all(&from_stderr[..count]).and_then(|()| output.flush())?,
            },
            count = read_keys(keyboard.as_ref(), &mut from_keyboard), if keyboard_open => match count {
                Ok(count) if count > 0 => feed(&mut stdin, &from_keyboard[..count]).await,
                _ => {
                    keyboard_open = false;
                    stdin = None;
                }
            },
            _ = resized.recv() => if let Some(Stdin::Terminal(shell)) = &stdin {
                shell.resize(size_of(&terminal))?;
            },
        }
    }
    drop(stdin);
    exit.await.map(super::link::Exit::code).map_err(io::Error::other)
}

async fn feed(stdin: &mut Option<Stdin>, bytes: &[u8]) {
    let written = match stdin {
        Some(Stdin::Terminal(terminal)) => terminal.write_all(bytes).await,
        Some(Stdin::Pipe(pipe)) => pipe.write_all(bytes).await,
        None => Ok(()),
    };
    if written.is_err() {
        *stdin = None;
    }
}

async fn read_some(
    stream: &mut Option<Box<dyn tokio::io::AsyncRead + Send + Unpin>>,
    buffer: &mut [u8],
) -> io::Result<usize> {
    match stream {
        Some(stream) => stream.read(buffer).await,
        None => std::future::pending().await,
    }
}

/// Reads what is there without making the terminal non-blocking: that would outlive us in the user's shell.
async fn read_keys(keyboard: Option<&AsyncFd<OwnedFd>>, buffer: &mut [u8]) -> io::Result<usize> {
    let Some(keyboard) = keyboard else { return std::future::pending().await };
    let mut ready = keyboard.readable().await?;
    let count = rustix::io::read(keyboard.get_ref().as_fd(), &mut *buffer)?;
    if count < buffer.len() {
        ready.clear_ready();
    }
    Ok(count)
}
