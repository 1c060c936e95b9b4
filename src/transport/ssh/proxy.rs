//! A program whose input and output are a connection (`ProxyCommand`).

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::machine::Machine;

/// What is kept of a line that the program says.
const LINE: usize = 400;

/// A running program. It is ended when this is dropped.
pub(super) struct ProxyStream {
    stdin: ChildStdin,
    stdout: ChildStdout,
    _child: Child,
}

/// The last line that the program said about itself.
pub(super) type LastWords = Arc<Mutex<Option<String>>>;

/// Starts a command in the user's shell.
pub(super) fn start(machine: &Machine, command: &str) -> io::Result<(ProxyStream, LastWords)> {
    // The shell is replaced, so that ending the process ends the program.
    let mut process = Command::from(machine.shell(&format!("exec {command}")));
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process.kill_on_drop(true).spawn()?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("the program has no pipes"));
    };
    let said = LastWords::default();
    let words = said.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let line: String = line.trim().chars().take(LINE).collect();
            if !line.is_empty() {
                *words.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
            }
        }
    });
    Ok((ProxyStream { stdin, stdout, _child: child }, said))
}

impl AsyncRead for ProxyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for ProxyStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}
