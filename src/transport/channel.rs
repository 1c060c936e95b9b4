//! One started command with its three streams, whoever carries them. Knows nothing of frames.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::AsyncWrite;
use tokio::sync::mpsc;

use super::{BoxFuture, Stream, TransportError};

/// How many unread pieces wait between the transport and a session; with 32 KiB each, 2 MiB for a host.
const QUEUE: usize = 64;

/// The largest piece that is written at once.
pub(super) const WRITE_SIZE: usize = 32 << 10;

/// What a channel says.
pub(super) enum Event {
    Data(Stream, Vec<u8>),
    /// The command ended or the connection broke; nothing follows.
    End(String),
}

/// A running command. Dropping it closes the channel.
pub(super) struct RawChannel {
    pub stdin: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    pub events: mpsc::Receiver<Event>,
    listening: Arc<AtomicBool>,
}

impl RawChannel {
    /// Makes a channel and the end that feeds it.
    pub fn new(stdin: Box<dyn AsyncWrite + Send + Sync + Unpin>) -> (Self, Feed) {
        let (sender, events) = mpsc::channel(QUEUE);
        let listening = Arc::new(AtomicBool::new(true));
        (Self { stdin, events, listening: listening.clone() }, Feed { sender, listening })
    }

    /// Says whether anybody waits for output. Output that arrives while nobody does (from a process that a
    /// script left in the background) is dropped, so that it never blocks the other channels of a connection.
    pub fn listen(&self, on: bool) {
        self.listening.store(on, Ordering::Release);
    }

    /// Drops what has arrived and returns the reason if the channel has ended.
    pub fn drain(&mut self) -> Option<String> {
        loop {
            match self.events.try_recv() {
                Ok(Event::Data(..)) => {}
                Ok(Event::End(reason)) => return Some(reason),
                Err(mpsc::error::TryRecvError::Empty) => return None,
                Err(mpsc::error::TryRecvError::Disconnected) => return Some("the channel is closed".into()),
            }
        }
    }
}

/// The transport's end of a [`RawChannel`].
#[derive(Clone)]
pub(super) struct Feed {
    sender: mpsc::Sender<Event>,
    listening: Arc<AtomicBool>,
}

impl Feed {
    /// Hands on output; returns false when the channel was dropped.
    pub async fn data(&self, stream: Stream, bytes: Vec<u8>) -> bool {
        if !self.listening.load(Ordering::Acquire) {
            return !self.sender.is_closed();
        }
        self.sender.send(Event::Data(stream, bytes)).await.is_ok()
    }

    pub async fn end(&self, reason: impl Into<String>) {
        // A dropped channel has nobody left to tell.
        let _ = self.sender.send(Event::End(reason.into())).await;
    }

    /// Waits until the channel is dropped.
    pub async fn dropped(&self) {
        self.sender.closed().await;
    }
}

/// Starts commands on one host, each through the account's login shell.
pub(super) trait Opener: Send + Sync {
    fn open<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<RawChannel, TransportError>>;

    /// Whether an open channel shows that the host is there.
    fn shows_life(&self) -> bool {
        true
    }
}
