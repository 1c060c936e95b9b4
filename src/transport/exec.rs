//! What goes to a session ([`Exec`]) and what comes back ([`Output`]).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::TransportError;

/// How much of each output stream is kept unless a request says otherwise.
pub const DEFAULT_MAX_OUTPUT: usize = 64 << 20;

/// Bytes to stream into a script's stdin.
#[derive(Clone, Debug)]
pub enum Content {
    Bytes(Arc<[u8]>),
    /// A file of this machine. The size is fixed when the request is made; a file that changed since is an error.
    File {
        path: PathBuf,
        size: u64,
    },
}

impl Content {
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Content::Bytes(bytes.into())
    }

    pub fn size(&self) -> u64 {
        match self {
            Content::Bytes(b) => b.len() as u64,
            Content::File { size, .. } => *size,
        }
    }
}

/// Names a long command on its target, so that it can be found again after a lost connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DurableId(Arc<str>);

impl DurableId {
    /// Accepts letters, digits, `.`, `_` and `-`, at most 100 of them, beginning with a letter or digit.
    pub fn new(id: &str) -> Result<Self, TransportError> {
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let starts_well = id.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts_well && id.len() <= 100 && id.chars().all(safe) {
            return Ok(Self(id.into()));
        }
        Err(TransportError::Protocol { reason: format!("{id:?} cannot name a job") })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One script to run.
///
/// The script runs in a subshell of the session's shell, so it sees the session's prelude and leaves nothing
/// behind in it. Its stdin is `/dev/null` or exactly the bytes of `stdin`. When a connection breaks in the
/// middle of an upload the script sees an early end of its stdin, so a script that stores content must compare
/// size or digest before it trusts what it got; `$XP_STDIN_SIZE` tells how many bytes were announced.
#[derive(Clone, Debug)]
pub struct Exec {
    pub script: String,
    pub stdin: Option<Content>,
    pub timeout: Option<Duration>,
    /// Deliver chunks to the sink while the script runs.
    pub stream: bool,
    /// How much of stdout, and of stderr, is kept; the rest is cut and [`Output::truncated`] says so.
    pub max_output: usize,
    /// Run under a stub on the target that outlives the connection.
    pub durable: Option<DurableId>,
    /// What the script is for; see [`ReadOnly`](super::ReadOnly).
    pub intent: Intent,
    /// Evaluate it in the session's own shell, to set variables for the scripts after it.
    pub own_shell: bool,
}

/// What a script does to its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intent {
    /// Only looks, and leaves everything as it is.
    Look,
    /// May change anything.
    #[default]
    Change,
}

impl Exec {
    pub fn new(script: impl Into<String>) -> Self {
        Self {
            script: script.into(),
            stdin: None,
            timeout: None,
            stream: false,
            max_output: DEFAULT_MAX_OUTPUT,
            durable: None,
            intent: Intent::Change,
            own_shell: false,
        }
    }

    #[must_use]
    pub fn stdin(mut self, content: Content) -> Self {
        self.stdin = Some(content);
        self
    }

    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Says that the script only looks.
    #[must_use]
    pub fn looking(mut self) -> Self {
        self.intent = Intent::Look;
        self
    }

    /// Lets the script set variables for those after it.
    #[must_use]
    pub fn in_own_shell(mut self) -> Self {
        self.own_shell = true;
        self
    }

    /// Asks for output chunks while the script runs.
    #[must_use]
    pub fn streaming(mut self) -> Self {
        self.stream = true;
        self
    }

    #[must_use]
    pub fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    #[must_use]
    pub fn durable(mut self, id: DurableId) -> Self {
        self.durable = Some(id);
        self
    }
}

/// Which of a script's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Receives output while a script runs, as it arrives: a chunk may end inside a line or a character.
pub trait OutputSink: Send {
    fn chunk(&mut self, stream: Stream, bytes: &[u8]);

    /// Output for which there is no more room; `kept` is all that came before it and has room.
    fn cut(&mut self, _stream: Stream, _kept: &[u8], _rest: &[u8]) {}

    /// Something about the connection that people should know while the script goes on.
    fn notice(&mut self, _text: &str) {}
}

/// A sink that takes nothing.
pub struct NullSink;

impl OutputSink for NullSink {
    fn chunk(&mut self, _: Stream, _: &[u8]) {}
}

/// What a script gave back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code; 128 plus the signal's number for a script killed by one.
    pub rc: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub elapsed: Duration,
    /// Some output was more than [`Exec::max_output`] and is missing.
    pub truncated: bool,
    /// Where the whole outputs are, if somebody keeps what has no room here.
    pub whole: Whole,
}

/// Files of this machine that have an output from its beginning to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    pub stdout: Option<PathBuf>,
    pub stderr: Option<PathBuf>,
}

impl Output {
    pub fn success(&self) -> bool {
        self.rc == 0
    }

    /// Takes a piece of an output as far as there is room, which is `most` for each stream.
    pub(super) fn keep(&mut self, stream: Stream, bytes: &[u8], most: usize, sink: &mut dyn OutputSink) {
        let kept = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let (fits, rest) = bytes.split_at(most.saturating_sub(kept.len()).min(bytes.len()));
        kept.extend_from_slice(fits);
        if !rest.is_empty() {
            self.truncated = true;
            sink.cut(stream, kept, rest);
        }
    }

    /// Returns stdout as text, with replacement characters for what is no UTF-8.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns stderr as text, with replacement characters for what is no UTF-8.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durable_ids_are_plain_file_names() {
        for good in ["a", "run-1.step_2", "0123"] {
            assert!(DurableId::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-x", "a/b", "a b", "a\n", "é", &"x".repeat(101)] {
            assert!(DurableId::new(bad).is_err(), "{bad}");
        }
    }
}
