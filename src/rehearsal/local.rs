//! Shells on this machine itself, for hosts without a root of their own. Thousands of them are to run at once, so that each
//! takes no more than two files of this process: a socket for stdin and stdout, as sshd has it, and a pipe for stderr.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::pin::Pin;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::link::Exit;
use super::process::{Running, Stdin};

/// The longest pause between two looks at a shell that has closed its outputs and not ended.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// How many of the shells that nobody waits for are looked at when there is one more.
const LOOKED_AT: usize = 4;

/// Shells that nobody waits for any more, until they have ended.
static LEFT: Mutex<VecDeque<Child>> = Mutex::new(VecDeque::new());

/// Starts `sh`, with a command or reading from its input.
pub(super) fn start(command: Option<&[u8]>, env: &[(String, String)]) -> io::Result<Running> {
    let mut process = Command::new("/bin/sh");
    if let Some(command) = command {
        process.arg("-c").arg(std::ffi::OsStr::from_bytes(command));
    }
    process.envs(env.iter().cloned()).process_group(0);
    let (ours, theirs) = StdUnixStream::pair()?;
    let (stderr_ours, stderr_theirs) = io::pipe()?;
    ours.set_nonblocking(true)?;
    let (stdout, stdin) = UnixStream::from_std(ours)?.into_split();
    let stderr = pipe::Receiver::from_owned_fd(stderr_ours.into())?;
    let theirs = OwnedFd::from(theirs);
    process.stdin(theirs.try_clone()?).stdout(theirs).stderr(Stdio::from(stderr_theirs));
    let shell = Shell(Some(process.spawn()?));
    // The command has our copies of its ends, which would keep its outputs open.
    drop(process);
    let group = shell.group();
    let ((out, out_ended), (err, err_ended)) = (oneshot::channel(), oneshot::channel());
    Ok(Running {
        stdin: Some(Stdin::Pipe(Box::new(stdin))),
        stdout: Box::new(Output { stream: stdout, _open: out }),
        stderr: Some(Box::new(Output { stream: stderr, _open: err })),
        exit: Box::pin(async move {
            // To be told of the end of a process takes a file; its outputs tell it too.
            let _ = out_ended.await;
            let _ = err_ended.await;
            let status = shell.wait().await.map_err(|error| error.to_string())?;
            Ok(match (status.code(), status.signal()) {
                (Some(code), _) => Exit::Code(code),
                (None, signal) => Exit::Signal(signal.unwrap_or(9)),
            })
        }),
        signal: Arc::new(move |signal| {
            if let (Some(group), Some(signal)) = (group, rustix::process::Signal::from_named_raw(signal)) {
                // The group may have ended a moment ago.
                let _ = rustix::process::kill_process_group(group, signal);
            }
        }),
    })
}

/// One output; whoever waits for the shell hears when it is dropped.
struct Output<R> {
    stream: R,
    _open: oneshot::Sender<()>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Output<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

/// A started shell. One that is dropped is collected when it has ended, some time later.
struct Shell(Option<Child>);

impl Shell {
    fn group(&self) -> Option<rustix::process::Pid> {
        let id = self.0.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        id.and_then(rustix::process::Pid::from_raw)
    }

    /// Waits until it has ended, which is a moment after its outputs.
    async fn wait(mut self) -> io::Result<ExitStatus> {
        let mut pause = Duration::from_millis(1);
        loop {
            let Some(child) = &mut self.0 else { return Err(io::ErrorKind::NotFound.into()) };
            if let Some(status) = child.try_wait()? {
                self.0 = None;
                return Ok(status);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let Some(child) = self.0.take() else { return };
        let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
        left.push_back(child);
        for _ in 0..LOOKED_AT.min(left.len()) {
            if let Some(mut child) = left.pop_front()
                && matches!(child.try_wait(), Ok(None))
            {
                left.push_back(child);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn open_files() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }

    #[tokio::test]
    async fn a_shell_talks_on_all_streams_and_tells_its_end() {
        let mut running = start(Some(b"read x; echo \"got $x\"; echo bad >&2; exit 3"), &[]).unwrap();
        let Some(Stdin::Pipe(mut stdin)) = running.stdin.take() else { panic!("no stdin") };
        stdin.write_all(b"word\n").await.unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        running.stdout.read_to_string(&mut out).await.unwrap();
        running.stderr.as_mut().unwrap().read_to_string(&mut err).await.unwrap();
        drop((running.stdout, running.stderr));
        assert_eq!((&*out, &*err, running.exit.await), ("got word\n", "bad\n", Ok(Exit::Code(3))));

        // The end of the input is the end of a shell that reads from it.
        let mut running = start(None, &[("WORD".into(), "x y".into())]).unwrap();
        let Some(Stdin::Pipe(mut stdin)) = running.stdin.take() else { panic!("no stdin") };
        stdin.write_all(b"echo \"$WORD\"").await.unwrap();
        drop(stdin);
        let mut out = String::new();
        running.stdout.read_to_string(&mut out).await.unwrap();
        drop((running.stdout, running.stderr));
        assert_eq!((&*out, running.exit.await), ("x y\n", Ok(Exit::Code(0))));
    }

    #[tokio::test]
    async fn a_signal_reaches_the_shell_and_what_it_started() {
        let mut running = start(Some(b"sleep 60 & echo on; wait"), &[]).unwrap();
        running.stdout.read_exact(&mut [0; 3]).await.unwrap();
        (running.signal)(15);
        let mut rest = Vec::new();
        running.stdout.read_to_end(&mut rest).await.unwrap();
        drop((running.stdout, running.stderr));
        assert_eq!(running.exit.await, Ok(Exit::Signal(15)));
    }

    /// Other tests of the process open files too: only many shells tell.
    #[tokio::test]
    async fn a_shell_takes_two_files() {
        let before = open_files();
        let shells: Vec<Running> = (0..100).map(|_| start(None, &[]).unwrap()).collect();
        let each = (open_files() - before) as f64 / shells.len() as f64;
        assert!(each < 3.0, "{each} files for a shell");
    }
}
