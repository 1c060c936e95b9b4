//! Hosts inside this process: addresses whose server is reached by memory instead of a socket. A process may have only so
//! many files, and thousands of hosts for a load test would take two each for nothing but their connections.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes on their way in one direction.
const UNREAD_MAX: usize = 64 << 10;

/// Takes a connection to a port of an address; nothing if it is nobody's here.
type Network = Arc<dyn Fn(&str, u16) -> Option<InsideStream> + Send + Sync>;

/// As of ports, there is one set of addresses for the process. They go before names of the system.
static NETWORK: RwLock<Option<Network>> = RwLock::new(None);

/// Makes hosts known to all connections of this process, in place of those before.
pub fn introduce(network: impl Fn(&str, u16) -> Option<InsideStream> + Send + Sync + 'static) {
    *NETWORK.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(network));
}

/// Connects to a host inside this process; nothing if it is not here.
pub(super) fn connect(address: &str, port: u16) -> Option<InsideStream> {
    let network = NETWORK.read().unwrap_or_else(PoisonError::into_inner).clone()?;
    network(address, port)
}

/// One end of a connection. Dropping it closes both directions.
pub struct InsideStream {
    incoming: Arc<Direction>,
    outgoing: Arc<Direction>,
}

impl InsideStream {
    /// Makes the two ends of a connection.
    pub fn pair() -> (Self, Self) {
        let (there, back) = (Arc::<Direction>::default(), Arc::<Direction>::default());
        (Self { incoming: back.clone(), outgoing: there.clone() }, Self { incoming: there, outgoing: back })
    }
}

impl Drop for InsideStream {
    fn drop(&mut self) {
        self.incoming.close();
        self.outgoing.close();
    }
}

#[derive(Default)]
struct Direction(Mutex<State>);

#[derive(Default)]
struct State {
    /// Takes no memory while there is nothing to read.
    unread: VecDeque<u8>,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Direction {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let (reader, writer) = {
            let mut state = self.state();
            state.closed = true;
            (state.reader.take(), state.writer.take())
        };
        reader.into_iter().chain(writer).for_each(Waker::wake);
    }
}

impl AsyncRead for InsideStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.incoming.state();
        if state.unread.is_empty() {
            if state.closed || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = buf.remaining().min(state.unread.len());
        let (first, second) = state.unread.as_slices();
        let of_first = count.min(first.len());
        buf.put_slice(&first[..of_first]);
        buf.put_slice(&second[..count - of_first]);
        state.unread.drain(..count);
        if state.unread.is_empty() {
            state.unread = VecDeque::new();
        }
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for InsideStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.outgoing.state();
        if state.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(UNREAD_MAX - state.unread.len());
        if count == 0 && !bytes.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.unread.extend(&bytes[..count]);
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.close();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn bytes_arrive_in_order_and_a_full_wire_waits() {
        let (mut ours, theirs) = InsideStream::pair();
        let (mut reader, mut writer) = tokio::io::split(theirs);
        let sent: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
        let expect = sent.clone();
        let sending = tokio::spawn(async move {
            ours.write_all(&sent).await.unwrap();
            ours.shutdown().await.unwrap();
            let mut answer = Vec::new();
            ours.read_to_end(&mut answer).await.unwrap();
            answer
        });
        let mut got = Vec::new();
        reader.read_to_end(&mut got).await.unwrap();
        assert!(got == expect);
        // The other direction is open until its own end.
        writer.write_all(b"heard").await.unwrap();
        writer.shutdown().await.unwrap();
        assert_eq!(sending.await.unwrap(), b"heard");
    }

    #[tokio::test]
    async fn an_end_that_is_dropped_is_noticed_on_both_directions() {
        let (mut ours, mut theirs) = InsideStream::pair();
        theirs.write_all(b"last words").await.unwrap();
        drop(theirs);
        let mut got = Vec::new();
        ours.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"last words");
        assert_eq!(ours.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);

        // Whoever waits is woken.
        let (mut ours, theirs) = InsideStream::pair();
        let full = tokio::spawn(async move { ours.write_all(&vec![0; UNREAD_MAX + 1]).await });
        tokio::task::yield_now().await;
        drop(theirs);
        assert_eq!(full.await.unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_wire_that_was_read_to_its_end_keeps_no_memory() {
        let (mut ours, mut theirs) = InsideStream::pair();
        ours.write_all(&[7; 5000]).await.unwrap();
        theirs.read_exact(&mut [0; 5000]).await.unwrap();
        assert_eq!(theirs.incoming.state().unread.capacity(), 0);
    }
}
