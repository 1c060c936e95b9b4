//! A shell on this machine. The same frames as over SSH, on pipes.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::channel::{Feed, Opener, RawChannel};
use super::framed::{FramedSession, Shared};
use super::guard::PasswordGuard;
use super::{BecomeSpec, BoxFuture, Connection, ConnectionSpec, Session, Stream, TransportError};

/// How long a shell may take to start where nobody says it.
const LAUNCH: Duration = Duration::from_secs(10);

/// How long output is waited for after the shell has ended; a process in the background may hold the pipes.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// This machine.
pub(super) struct LocalConnection {
    shared: Shared,
    user: String,
}

impl LocalConnection {
    pub fn new(spec: &ConnectionSpec, prelude: Arc<str>, user: String, guard: Arc<PasswordGuard>) -> Self {
        let opener = Arc::new(LocalOpener { host: spec.host.clone(), shell: spec.shell.clone() });
        let shared = Shared {
            host: spec.host.clone(),
            shell: spec.shell.clone(),
            prelude,
            opener,
            launch_timeout: spec.connect_timeout.unwrap_or(LAUNCH),
            guard,
        };
        Self { shared, user }
    }
}

impl Connection for LocalConnection {
    fn session<'a>(
        &'a self,
        r#become: Option<&'a BecomeSpec>,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, TransportError>> {
        Box::pin(FramedSession::of_connection(self.shared.clone(), &self.user, r#become))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

struct LocalOpener {
    host: String,
    shell: String,
}

impl Opener for LocalOpener {
    fn open<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<RawChannel, TransportError>> {
        Box::pin(async move {
            let mut shell = Command::new(&self.shell);
            shell.arg("-c").arg(command);
            started(shell, &self.shell, &self.host, |status| format!("the shell ended ({status})"))
        })
    }
}

/// Starts a program as a channel to a host; `ended` says why it is over.
pub(super) fn started(
    mut program: Command,
    name: &str,
    host: &str,
    ended: impl Fn(ExitStatus) -> String + Send + 'static,
) -> Result<RawChannel, TransportError> {
    let unreachable = |reason: String| TransportError::Unreachable { host: host.into(), reason };
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|e| unreachable(format!("cannot start {name}: {e}")))?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(unreachable("the shell has no pipes".into()));
    };
    let (chan, feed) = RawChannel::new(Box::new(stdin));
    let readers = [
        tokio::spawn(pump(stdout, Stream::Stdout, feed.clone())),
        tokio::spawn(pump(stderr, Stream::Stderr, feed.clone())),
    ];
    tokio::spawn(async move {
        // Waiting also reaps the child, whether or not anybody listens.
        let status = child.wait().await;
        let [mut out, mut err] = readers;
        let rest = async {
            let _ = (&mut out).await;
            let _ = (&mut err).await;
        };
        if tokio::time::timeout(LAST_OUTPUT, rest).await.is_err() {
            out.abort();
            err.abort();
        }
        feed.end(match status {
            Ok(status) => ended(status),
            Err(e) => format!("the shell is gone: {e}"),
        })
        .await;
    });
    Ok(chan)
}

async fn pump(mut pipe: impl AsyncRead + Unpin, stream: Stream, feed: Feed) {
    let mut buffer = vec![0u8; 32 << 10];
    loop {
        let read = tokio::select! {
            read = pipe.read(&mut buffer) => read,
            () = feed.dropped() => return,
        };
        match read {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if !feed.data(stream, buffer[..n].to_vec()).await {
                    return;
                }
            }
        }
    }
}
