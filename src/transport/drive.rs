//! Sends frames down a channel and collects their outputs, writing and reading at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::channel::{Event, RawChannel, WRITE_SIZE};
use super::frame::{ESCAPED_LINE, Frame, Piece, Splitter, escape_line};
use super::{Content, ExactRead, Output, OutputSink, Stream, TransportError};

/// Scripts are written in pieces of this size.
const SCRIPT_PIECE: usize = 4 << 10;

/// More than this no answer of a script has that only looks.
pub(super) const MOST_SEEN: u64 = 64 << 20;

/// How long a channel that refuses bytes may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// The results of the frames that ended, and what stopped the others.
pub(super) struct Driven {
    pub outputs: Vec<Output>,
    pub stopped: Option<Stopped>,
}

/// Why not all frames ended. `started` counts the frames of which at least one byte was written.
pub(super) struct Stopped {
    pub started: usize,
    pub why: Why,
}

pub(super) enum Why {
    /// The shell or the connection is gone.
    Ended(String),
    /// The first unfinished frame took longer than it may.
    Late(Duration),
    /// The content could not be read on this machine.
    Local(TransportError),
    /// A script that only looks prints without end.
    Flood,
}

/// Runs frames in order. After anything but a complete success the channel's state is unknown.
pub(super) async fn drive(chan: &mut RawChannel, frames: &[Frame], sink: &mut dyn OutputSink) -> Driven {
    let started = AtomicUsize::new(0);
    let mut collector = Collector::new(frames);
    let RawChannel { stdin, events, .. } = chan;
    let write = write_frames(stdin, frames, &started);
    tokio::pin!(write);
    let mut writing = true;
    let mut refused: Option<String> = None;
    let mut frame_start = Instant::now();
    let mut done = 0;
    let why = loop {
        if collector.ended() > done {
            done = collector.ended();
            frame_start = Instant::now();
        }
        if done == frames.len() {
            break None;
        }
        let limit = if refused.is_some() { Some(LAST_WORDS) } else { frames[done].timeout };
        // What is too far away never comes.
        let deadline = limit.and_then(|l| frame_start.checked_add(l)).map(tokio::time::Instant::from_std);
        tokio::select! {
            written = &mut write, if writing => {
                writing = false;
                match written {
                    Ok(()) => {}
                    Err(WriteError::Content(e)) => break Some(Why::Local(e)),
                    Err(WriteError::Pipe(e)) => {
                        refused = Some(e.to_string());
                        frame_start = Instant::now();
                    }
                }
            }
            event = events.recv() => match event {
                Some(Event::Data(stream, bytes)) => {
                    collector.feed(stream, &bytes, frame_start, sink);
                    if collector.is_flooded(frames) {
                        break Some(Why::Flood);
                    }
                }
                Some(Event::End(reason)) => break Some(Why::Ended(reason)),
                None => break Some(Why::Ended("the channel is closed".into())),
            },
            () = sleep_until(deadline), if deadline.is_some() => {
                break Some(match (refused, limit) {
                    (Some(reason), _) => Why::Ended(reason),
                    (None, limit) => Why::Late(limit.unwrap_or_default()),
                });
            }
        }
    };
    let stopped = why.map(|why| Stopped { started: started.load(Ordering::Relaxed), why });
    Driven { outputs: collector.finish(), stopped }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

pub(super) enum WriteError {
    Pipe(std::io::Error),
    Content(TransportError),
}

impl From<std::io::Error> for WriteError {
    fn from(e: std::io::Error) -> Self {
        WriteError::Pipe(e)
    }
}

pub(super) type Pipe = Box<dyn AsyncWrite + Send + Sync + Unpin>;

/// Writes all frames; small ones share one write.
pub(super) async fn write_frames(
    pipe: &mut Pipe,
    frames: &[Frame],
    started: &AtomicUsize,
) -> Result<(), WriteError> {
    let mut buffer = Vec::with_capacity(WRITE_SIZE);
    for (index, frame) in frames.iter().enumerate() {
        buffer.extend_from_slice(&frame.head);
        if let Some(content) = &frame.content {
            started.store(index + 1, Ordering::Relaxed);
            put(pipe, &mut buffer).await?;
            send_content(pipe, content, frame.take).await?;
        }
        buffer.extend_from_slice(&frame.tail);
        if buffer.len() >= WRITE_SIZE {
            started.store(index + 1, Ordering::Relaxed);
            put(pipe, &mut buffer).await?;
        }
    }
    started.store(frames.len(), Ordering::Relaxed);
    put(pipe, &mut buffer).await?;
    pipe.flush().await?;
    Ok(())
}

async fn put(pipe: &mut Pipe, buffer: &mut Vec<u8>) -> Result<(), WriteError> {
    // Both ends of an SSH connection keep a buffer as large as the largest piece that went through it.
    in_turns(pipe, buffer.chunks(SCRIPT_PIECE)).await?;
    buffer.clear();
    Ok(())
}

/// Writes pieces so that the connection's task can take one before the next comes: it would write all that is there from one
/// buffer, which it then keeps.
async fn in_turns(pipe: &mut Pipe, pieces: std::slice::Chunks<'_, u8>) -> std::io::Result<()> {
    for (index, piece) in pieces.enumerate() {
        if index > 0 {
            tokio::task::yield_now().await;
        }
        pipe.write_all(piece).await?;
    }
    Ok(())
}

async fn send_content(pipe: &mut Pipe, content: &Content, take: ExactRead) -> Result<(), WriteError> {
    match content {
        Content::Bytes(bytes) => {
            for piece in bytes.chunks(8 * WRITE_SIZE) {
                send_piece(pipe, piece, take).await?;
            }
            Ok(())
        }
        Content::File { path, size } => {
            let what = || format!("read {}", path.display());
            let wrap = |e| WriteError::Content(TransportError::local(what())(e));
            let mut file = tokio::fs::File::open(path).await.map_err(wrap)?;
            let mut left = *size;
            // A multiple of an escaped line, so that the announced number of lines is right.
            let mut buffer = vec![0u8; 8 * WRITE_SIZE];
            while left > 0 {
                let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                file.read_exact(&mut buffer[..want]).await.map_err(wrap)?;
                send_piece(pipe, &buffer[..want], take).await?;
                left -= want as u64;
            }
            if file.read(&mut buffer[..1]).await.map_err(wrap)? > 0 {
                return Err(wrap(std::io::Error::other("it has grown while it was sent")));
            }
            Ok(())
        }
    }
}

async fn send_piece(pipe: &mut Pipe, piece: &[u8], take: ExactRead) -> Result<(), WriteError> {
    if take != ExactRead::Builtin {
        in_turns(pipe, piece.chunks(WRITE_SIZE)).await?;
        return Ok(());
    }
    let mut lines = Vec::with_capacity(piece.len() * 3);
    for part in piece.chunks(ESCAPED_LINE) {
        escape_line(part, &mut lines);
    }
    put(pipe, &mut lines).await
}

/// The outputs of a batch, filled from two streams that are independent of one another.
pub(super) struct Collector {
    outputs: Vec<Output>,
    /// How many bytes came for each.
    received: Vec<u64>,
    max: Vec<usize>,
    stream: Vec<bool>,
    stdout: Side,
    stderr: Side,
}

struct Side {
    splitter: Splitter,
    ended: usize,
}

impl Collector {
    pub fn new(frames: &[Frame]) -> Self {
        let side = || Side { splitter: Splitter::new(frames.iter().map(|f| &*f.marker)), ended: 0 };
        Self {
            outputs: vec![Output::default(); frames.len()],
            received: vec![0; frames.len()],
            max: frames.iter().map(|f| f.max_output).collect(),
            stream: frames.iter().map(|f| f.stream).collect(),
            stdout: side(),
            stderr: side(),
        }
    }

    /// Returns how many frames have ended on both streams.
    fn ended(&self) -> usize {
        self.stdout.ended.min(self.stderr.ended)
    }

    pub fn feed(&mut self, stream: Stream, bytes: &[u8], start: Instant, sink: &mut dyn OutputSink) {
        let (side, other_ended) = match stream {
            Stream::Stdout => (&mut self.stdout, self.stderr.ended),
            Stream::Stderr => (&mut self.stderr, self.stdout.ended),
        };
        let Side { splitter, ended } = side;
        let (outputs, received) = (&mut self.outputs, &mut self.received);
        splitter.feed(bytes, |piece| {
            let Some(output) = outputs.get_mut(*ended) else { return };
            match piece {
                Piece::Bytes(bytes) => {
                    received[*ended] += bytes.len() as u64;
                    output.keep(stream, bytes, self.max[*ended], sink);
                    if self.stream[*ended] {
                        sink.chunk(stream, bytes);
                    }
                }
                Piece::End(rc) => {
                    output.rc = rc;
                    if other_ended > *ended {
                        output.elapsed = start.elapsed();
                    }
                    *ended += 1;
                }
            }
        });
    }

    /// Whether the first frame that has not ended only looks, and printed more than any answer has.
    fn is_flooded(&self, frames: &[Frame]) -> bool {
        let current = self.ended();
        frames.get(current).is_some_and(|frame| frame.looks && self.received[current] > MOST_SEEN)
    }

    pub fn finish(mut self) -> Vec<Output> {
        let ended = self.ended();
        self.outputs.truncate(ended);
        self.outputs
    }
}
