//! How the emulated commands inside the management node reach the other hosts: a Unix socket in its root.
//!
//! One connection is one question: a JSON line each way. Byte strings travel as base64.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use super::error::RehearsalError;
use super::host::Hosts;
use super::link::Launch;
use super::machine::{Machine, Output, base_environment};
use super::process::{ByteSource, Running, Stdin};

/// The socket, relative to the management node's root.
pub const CONTROL_SOCKET: &str = "run/xplay-rehearsal.sock";

/// The longest question; a synced file travels inside one.
const QUESTION_MAX: u64 = 256 << 20;
/// Bytes of a piece of a stream, and pieces that may wait.
const PIECE: usize = 32 << 10;
const PIECES: usize = 8;
/// Longer than any script of a rehearsal.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3600);

/// What can be asked of the hardware of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Power {
    /// Switch it on.
    On,
    /// Switch it off.
    Off,
    /// Start it anew; nothing when it is off.
    Reset,
    /// Only say whether it is on.
    State,
}

#[derive(Debug, Serialize, Deserialize)]
enum Question {
    Run {
        node: String,
        script: String,
        stdin: String,
    },
    /// Stdin follows the question until the asker closes its side; the output comes in pieces before the answer.
    Stream {
        node: String,
        script: String,
    },
    Power {
        node: String,
        action: Power,
    },
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// A part of a stream's output.
    Piece {
        is_error: bool,
        bytes: String,
    },
    Ran {
        code: i32,
        stdout: String,
        stderr: String,
    },
    Powered {
        is_on: bool,
    },
    /// The node does not answer; in ssh's words.
    Unreachable {
        reason: String,
    },
    Failed {
        reason: String,
    },
}

/// Why a node could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The node is off or unknown; in ssh's words.
    #[error("{0}")]
    Unreachable(String),
    /// The supervisor refused or failed.
    #[error("{0}")]
    Failed(String),
    /// The supervisor does not answer.
    #[error("cannot ask the rehearsal's supervisor")]
    Supervisor(#[from] io::Error),
}

/// The client, for programs inside the management node.
#[derive(Debug, Clone)]
pub struct Control {
    socket: PathBuf,
}

impl Control {
    /// A client of the cluster whose management node has its root at `root`; `/` inside it.
    pub fn in_root(root: &Path) -> Self {
        Self { socket: root.join(CONTROL_SOCKET) }
    }

    /// Runs a script on a node with that node's `sh`.
    pub fn run(&self, node: &str, script: &str, stdin: &[u8]) -> Result<Output, ControlError> {
        let question =
            Question::Run { node: node.into(), script: script.into(), stdin: BASE64_STANDARD.encode(stdin) };
        match self.ask(&question)? {
            Answer::Ran { code, stdout, stderr } => Ok(Output {
                exit: super::link::Exit::Code(code),
                stdout: decode(&stdout)?,
                stderr: decode(&stderr)?,
            }),
            other => Err(unexpected(other)),
        }
    }

    /// Runs a script on a node that talks with `stdin`, `stdout` and `stderr` while it runs; returns how it ended.
    pub fn stream(
        &self,
        node: &str,
        script: &str,
        mut stdin: impl io::Read + Send + 'static,
        mut stdout: impl Write,
        mut stderr: impl Write,
    ) -> Result<i32, ControlError> {
        let stream = self.send(&Question::Stream { node: node.into(), script: script.into() })?;
        let mut input = stream.try_clone()?;
        // Not waited for: the script may end before its input does.
        std::thread::spawn(move || {
            let _ = io::copy(&mut stdin, &mut input);
            let _ = input.shutdown(std::net::Shutdown::Write);
        });
        let mut answers = BufReader::new(stream);
        loop {
            match receive(&mut answers)? {
                Answer::Piece { is_error, bytes } => {
                    let out: &mut dyn Write = if is_error { &mut stderr } else { &mut stdout };
                    out.write_all(&decode(&bytes)?)?;
                    out.flush()?;
                }
                Answer::Ran { code, .. } => return Ok(code),
                other => return Err(unexpected(other)),
            }
        }
    }

    /// Gives an order to a node's hardware; true when the node is on afterwards.
    pub fn power(&self, node: &str, action: Power) -> Result<bool, ControlError> {
        match self.ask(&Question::Power { node: node.into(), action })? {
            Answer::Powered { is_on } => Ok(is_on),
            other => Err(unexpected(other)),
        }
    }

    fn ask(&self, question: &Question) -> Result<Answer, ControlError> {
        receive(&mut BufReader::new(self.send(question)?))
    }

    fn send(&self, question: &Question) -> Result<UnixStream, ControlError> {
        // The plain path inside a host without /proc, the short one for a deep state directory.
        let mut stream = match UnixStream::connect(&self.socket) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                let (_dir, short) = short_path(&self.socket)?;
                UnixStream::connect(short)?
            }
            other => other?,
        };
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut line = serde_json::to_vec(question).map_err(io::Error::from)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        Ok(stream)
    }
}

fn receive(from: &mut impl BufRead) -> Result<Answer, ControlError> {
    let mut answer = String::new();
    from.read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer).map_err(io::Error::from)?)
}

fn decode(text: &str) -> Result<Vec<u8>, ControlError> {
    BASE64_STANDARD.decode(text).map_err(|error| ControlError::Supervisor(io::Error::other(error)))
}

fn unexpected(answer: Answer) -> ControlError {
    match answer {
        Answer::Unreachable { reason } => ControlError::Unreachable(reason),
        Answer::Failed { reason } => ControlError::Failed(reason),
        Answer::Piece { .. } | Answer::Ran { .. } | Answer::Powered { .. } => {
            ControlError::Failed("the supervisor answered another question".into())
        }
    }
}

/// Listens in the management node's root.
pub(super) fn listen(root: &Path) -> Result<UnixListener, RehearsalError> {
    let path = root.join(CONTROL_SOCKET);
    let failed = |error| RehearsalError::file("listen at", &path)(error);
    let dir = path.parent().unwrap_or(root);
    std::fs::create_dir_all(dir).map_err(failed)?;
    if path.symlink_metadata().is_ok() {
        std::fs::remove_file(&path).map_err(failed)?;
    }
    let (_dir, short) = short_path(&path).map_err(failed)?;
    UnixListener::bind(short).map_err(RehearsalError::file("listen at", &path))
}

/// A second path of a file in an existing directory, and what keeps it valid: a socket's path may have 107 bytes
/// only; a state directory may be deeper, a descriptor's path never is.
fn short_path(path: &Path) -> io::Result<(std::fs::File, PathBuf)> {
    let dir = std::fs::File::open(path.parent().unwrap_or(Path::new("/")))?;
    let short = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string());
    let name = path.file_name().unwrap_or_default();
    Ok((dir, short.join(name)))
}

/// Answers until dropped.
pub(super) async fn serve(listener: UnixListener, hosts: Arc<Hosts>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let hosts = Arc::clone(&hosts);
        tokio::spawn(async move {
            // A command that was killed does not wait for its answer.
            let _ = converse(stream, hosts).await;
        });
    }
}

async fn converse(stream: tokio::net::UnixStream, hosts: Arc<Hosts>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = tokio::io::BufReader::new(read);
    let mut line = Vec::new();
    (&mut read).take(QUESTION_MAX).read_until(b'\n', &mut line).await?;
    let answer = match serde_json::from_slice(&line) {
        Ok(Question::Stream { node, script }) => match reach(&hosts, &node) {
            Ok(machine) => run_streaming(&machine, &script, read, &mut write).await,
            Err(answer) => answer,
        },
        Ok(question) => answer(question, hosts).await,
        Err(error) => Answer::Failed { reason: format!("not a question: {error}") },
    };
    send(&mut write, &answer).await
}

async fn send(write: &mut (impl AsyncWrite + Unpin), answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    write.write_all(&line).await
}

/// Finds a running node, or says in ssh's words why there is none.
fn reach(hosts: &Hosts, node: &str) -> Result<Arc<Machine>, Answer> {
    hosts.machine(node).map_err(|error| match error {
        RehearsalError::NoSuchHost(_) => Answer::Unreachable {
            reason: format!("Could not resolve hostname {node}: Name or service not known"),
        },
        _ => Answer::Unreachable { reason: "No route to host".into() },
    })
}

/// Runs a script that reads `input` and whose output goes to `write` at once.
async fn run_streaming(
    machine: &Machine,
    script: &str,
    mut input: impl AsyncRead + Unpin,
    write: &mut (impl AsyncWrite + Unpin),
) -> Answer {
    let running = match machine.launch(Launch::Command, script.as_bytes(), base_environment(), None) {
        Ok(running) => running,
        Err(error) => return Answer::Unreachable { reason: error.to_string() },
    };
    let Running { stdin, stdout, stderr, exit, .. } = running;
    let (pieces, mut queue) = mpsc::channel(PIECES);
    let feed = async {
        if let Some(Stdin::Pipe(mut pipe)) = stdin {
            // A script need not read what it is given.
            let _ = tokio::io::copy(&mut input, &mut pipe).await;
        }
    };
    let also = pieces.clone();
    let rest = async {
        let (out, err) = (forward(Some(stdout), false, pieces), forward(stderr, true, also));
        let relay = async {
            while let Some(piece) = queue.recv().await {
                // Nobody may read any more; the script then finds its output closed.
                if send(write, &piece).await.is_err() {
                    break;
                }
            }
            drop(queue);
        };
        tokio::join!(out, err, relay);
        exit.await
    };
    tokio::pin!(feed, rest);
    // What is left of the input when the script has ended is nobody's.
    let exit = tokio::select! {
        exit = &mut rest => exit,
        () = &mut feed => rest.await,
    };
    match exit {
        Ok(exit) => Answer::Ran { code: exit.code(), stdout: String::new(), stderr: String::new() },
        Err(reason) => Answer::Unreachable { reason },
    }
}

/// Sends one stream of a script in pieces, until it ends or nobody takes them.
async fn forward(from: Option<ByteSource>, is_error: bool, to: mpsc::Sender<Answer>) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; PIECE];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = BASE64_STANDARD.encode(&buffer[..count]);
        if to.send(Answer::Piece { is_error, bytes }).await.is_err() {
            return;
        }
    }
}

async fn answer(question: Question, hosts: Arc<Hosts>) -> Answer {
    match question {
        Question::Stream { .. } => Answer::Failed { reason: "a stream is no single question".into() },
        Question::Run { node, script, stdin } => {
            let Ok(stdin) = BASE64_STANDARD.decode(stdin) else {
                return Answer::Failed { reason: "stdin is not base64".into() };
            };
            let machine = match reach(&hosts, &node) {
                Ok(machine) => machine,
                Err(answer) => return answer,
            };
            match machine.run(script.as_bytes(), &stdin).await {
                Ok(output) => Answer::Ran {
                    code: output.exit.code(),
                    stdout: BASE64_STANDARD.encode(output.stdout),
                    stderr: BASE64_STANDARD.encode(output.stderr),
                },
                Err(error) => Answer::Unreachable { reason: error.to_string() },
            }
        }
        Question::Power { node, action } => {
            let work = tokio::task::spawn_blocking(move || {
                match action {
                    Power::On => hosts.power_on(&node)?,
                    Power::Off => hosts.power_off(&node)?,
                    Power::Reset => hosts.reset(&node)?,
                    Power::State => {}
                }
                hosts.find(&node).map(|host| host.is_on())
            });
            match work.await {
                Ok(Ok(is_on)) => Answer::Powered { is_on },
                Ok(Err(error)) => Answer::Failed { reason: error.to_string() },
                Err(error) => Answer::Failed { reason: error.to_string() },
            }
        }
    }
}
