//! A process of a rehearsal host with its streams, whichever way it was started, and pseudo-terminals.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::unix::pipe;

use super::link::Exit;
use super::os::watch;

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) columns: u16,
    pub(super) rows: u16,
}

pub(super) type ByteSource = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type ByteSink = Box<dyn AsyncWrite + Send + Unpin>;
/// Sends a signal to a process and what it started.
pub(super) type Signaller = Arc<dyn Fn(i32) + Send + Sync>;
type ExitFuture = Pin<Box<dyn Future<Output = Result<Exit, String>> + Send>>;

/// Where a process reads from.
pub(super) enum Stdin {
    /// A pipe or a socket; dropping it is the end of the input.
    Pipe(ByteSink),
    /// A terminal; it has no end, and stays open as long as its output is read.
    Terminal(Terminal),
}

/// A started process.
pub(super) struct Running {
    pub(super) stdin: Option<Stdin>,
    pub(super) stdout: ByteSource,
    pub(super) stderr: Option<ByteSource>,
    pub(super) exit: ExitFuture,
    pub(super) signal: Signaller,
}

impl Running {
    /// Makes three pipes; the result's ends are ours, the descriptors the process's.
    pub(super) fn on_pipes() -> io::Result<(Self, [OwnedFd; 3])> {
        let (stdin_theirs, stdin_ours) = io::pipe()?;
        let (stdout_ours, stdout_theirs) = io::pipe()?;
        let (stderr_ours, stderr_theirs) = io::pipe()?;
        let running = Self {
            stdin: Some(Stdin::Pipe(Box::new(pipe::Sender::from_owned_fd(stdin_ours.into())?))),
            stdout: Box::new(pipe::Receiver::from_owned_fd(stdout_ours.into())?),
            stderr: Some(Box::new(pipe::Receiver::from_owned_fd(stderr_ours.into())?)),
            exit: Box::pin(std::future::pending()),
            signal: Arc::new(|_| {}),
        };
        Ok((running, [stdin_theirs.into(), stdout_theirs.into(), stderr_theirs.into()]))
    }

    /// Takes a terminal's outer end as all streams.
    pub(super) fn on_terminal(terminal: Terminal) -> io::Result<Self> {
        Ok(Self {
            stdin: Some(Stdin::Terminal(terminal.duplicate()?)),
            stdout: Box::new(terminal),
            stderr: None,
            exit: Box::pin(std::future::pending()),
            signal: Arc::new(|_| {}),
        })
    }
}

/// The outer end of a pseudo-terminal.
pub(super) struct Terminal {
    fd: AsyncFd<OwnedFd>,
}

impl Terminal {
    /// Opens a pair; the second part is what a process gets as its terminal.
    pub(super) fn open(size: Size) -> io::Result<(Self, OwnedFd)> {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&outer)?;
        unlockpt(&outer)?;
        let name = ptsname(&outer, Vec::new())?;
        let inner = rustix::fs::open(
            name.as_c_str(),
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        let terminal = Self::from_outer(outer)?;
        terminal.resize(size)?;
        Ok((terminal, inner))
    }

    fn from_outer(outer: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&outer, true)?;
        Ok(Self { fd: watch(outer, Interest::READABLE | Interest::WRITABLE)? })
    }

    fn duplicate(&self) -> io::Result<Self> {
        Self::from_outer(self.fd.get_ref().try_clone()?)
    }

    /// Tells the processes on it a new size.
    pub(super) fn resize(&self, size: Size) -> io::Result<()> {
        let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        Ok(tcsetwinsize(self.fd.get_ref().as_fd(), size)?)
    }
}

impl AsyncRead for Terminal {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            let space = buf.initialize_unfilled();
            match guard.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *space)?)) {
                Ok(Ok(count)) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                // The last process on the terminal has gone: the end, not a failure.
                Ok(Err(error)) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Terminal {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            match guard.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), data)?)) {
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
