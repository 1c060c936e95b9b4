//! A running rehearsal host as the supervisor sees it: its agent, and the processes ordered there.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::enter::ENTER_COMMAND;
use super::error::RehearsalError;
use super::link::{EnterSpec, Exit, Launch, Link, Order, Report};
use super::process::{Running, Size, Stdin, Terminal};

/// How long setting up a root may take; unpacking an image on a loaded machine is the slow part.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Exit, String>>>>>;

/// A running host. Dropping it ends every process of the host.
pub(super) struct Machine {
    link: Arc<Link>,
    waiting: Waiting,
    next_id: AtomicU64,
    agent: Mutex<Option<Child>>,
}

/// What a script on a host printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How the shell ended.
    pub exit: Exit,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine {
    /// Starts the agent of a host and waits until its root stands. Blocks.
    pub(super) fn start(exe: &Path, spec: &EnterSpec, log: &Path) -> Result<Self, RehearsalError> {
        let failed = |step: &str, reason: String| RehearsalError::Enter {
            host: spec.hostname.clone(),
            step: step.into(),
            reason,
        };
        let (link, theirs) = Link::pair().map_err(|error| failed("make a socket pair", error.to_string()))?;
        let log_file = File::create(log).map_err(RehearsalError::file("write", log))?;
        let encoded =
            serde_json::to_string(spec).map_err(|error| failed("describe it", error.to_string()))?;
        let mut agent = Command::new(exe)
            .args([ENTER_COMMAND, "outer", &encoded])
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::from(log_file))
            // A cluster must not end by the terminal's interrupt before its supervisor says so.
            .process_group(0)
            .spawn()
            .map_err(|error| failed(&format!("run {}", exe.display()), error.to_string()))?;
        let link = Arc::new(link);
        let first = first_report(&link);
        let outcome = match first {
            Ok(Some(Report::Ready)) => Ok(()),
            Ok(Some(Report::Failed { step, reason })) => Err(failed(&step, reason)),
            Ok(_) => Err(failed("set up its root", silent_end(exe, log))),
            Err(error) => Err(failed("set up its root", error.to_string())),
        };
        if let Err(error) = outcome {
            link.close();
            let _ = agent.kill();
            let _ = agent.wait();
            return Err(error);
        }
        let waiting = Waiting::default();
        let (reader, answers) = (Arc::clone(&link), Arc::clone(&waiting));
        thread::spawn(move || read_reports(&reader, &answers));
        Ok(Self { link, waiting, next_id: AtomicU64::new(1), agent: Mutex::new(Some(agent)) })
    }

    /// Starts a process; its streams are the pipes or the terminal of the result.
    pub(super) fn launch(
        &self,
        launch: Launch,
        command: &[u8],
        env: Vec<(String, String)>,
        size: Option<Size>,
    ) -> io::Result<Running> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, exit) = oneshot::channel();
        lock(&self.waiting).insert(id, sender);
        let order = Order::Start { id, launch, env };
        let sent = match size {
            Some(size) => Terminal::open(size).and_then(|(terminal, inner)| {
                let inner: OwnedFd = inner;
                self.link.send(&order, command, &[inner.as_fd(), inner.as_fd(), inner.as_fd()])?;
                Running::on_terminal(terminal)
            }),
            None => Running::on_pipes().and_then(|(running, theirs)| {
                let [stdin, stdout, stderr] = &theirs;
                self.link.send(&order, command, &[stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])?;
                Ok(running)
            }),
        };
        match sent {
            Ok(mut running) => {
                let link = Arc::clone(&self.link);
                running.signal = Arc::new(move |signal| {
                    // A host that has just ended needs no signal.
                    let _ = link.send(&Order::Signal { id, signal }, &[], &[]);
                });
                running.exit =
                    Box::pin(async move { exit.await.unwrap_or_else(|_| Err("the host went away".into())) });
                Ok(running)
            }
            Err(error) => {
                lock(&self.waiting).remove(&id);
                Err(error)
            }
        }
    }

    /// Runs a script with stdin to its end.
    pub(super) async fn run(&self, script: &[u8], stdin: &[u8]) -> io::Result<Output> {
        let mut running = self.launch(Launch::Command, script, base_environment(), None)?;
        let input = running.stdin.take();
        let feed = async {
            if let Some(Stdin::Pipe(mut pipe)) = input {
                // A script need not read what it is given.
                let _ = pipe.write_all(stdin).await;
            }
        };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let read_stdout = running.stdout.read_to_end(&mut stdout);
        let read_stderr = async {
            match &mut running.stderr {
                Some(stream) => stream.read_to_end(&mut stderr).await,
                None => Ok(0),
            }
        };
        let ((), out, err) = tokio::join!(feed, read_stdout, read_stderr);
        out?;
        err?;
        let exit = running.exit.await.map_err(io::Error::other)?;
        Ok(Output { exit, stdout, stderr })
    }

    /// Ends every process of the host and waits until they are gone. Blocks.
    pub(super) fn stop(&self) {
        self.link.close();
        let Some(mut agent) = lock(&self.agent).take() else { return };
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if !matches!(agent.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let _ = agent.kill();
        let _ = agent.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The environment that every process of a host starts with, as sshd gives it.
pub(super) fn base_environment() -> Vec<(String, String)> {
    [
        ("HOME", "/root"),
        ("USER", "root"),
        ("LOGNAME", "root"),
        ("SHELL", "/bin/sh"),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ]
    .map(|(name, value)| (name.to_string(), value.to_string()))
    .to_vec()
}

/// What to say of an agent that ended without a report: its last words, if it had any.
fn silent_end(exe: &Path, log: &Path) -> String {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    match said.trim().lines().last() {
        Some(words) => format!("its agent ended: {words}"),
        None => format!("its agent ended without a word; is {} this version of xplay?", exe.display()),
    }
}

fn first_report(link: &Arc<Link>) -> io::Result<Option<Report>> {
    let timer = Arc::clone(link);
    let (done, timed_out) = std::sync::mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        if timed_out.recv_timeout(READY_TIMEOUT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            timer.close();
        }
    });
    let first = link.receive::<Report>(&mut Vec::new());
    drop(done);
    // The watcher does nothing that could panic.
    let _ = watch.join();
    Ok(first?.map(|packet| packet.header))
}

fn read_reports(link: &Link, waiting: &Waiting) {
    let mut buffer = Vec::new();
    while let Ok(Some(packet)) = link.receive::<Report>(&mut buffer) {
        let (id, outcome) = match packet.header {
            Report::Ended { id, exit } => (id, Ok(exit)),
            Report::Refused { id, reason } => (id, Err(reason)),
            Report::Ready | Report::Failed { .. } => continue,
        };
        if let Some(sender) = lock(waiting).remove(&id) {
            // Nobody may wait for it any more.
            let _ = sender.send(outcome);
        }
    }
    // Dropping the senders tells everybody who waits that the host is gone.
    lock(waiting).clear();
}

/// Path of a host's agent log.
pub(super) fn agent_log(host_dir: &Path) -> PathBuf {
    host_dir.join("agent.log")
}
