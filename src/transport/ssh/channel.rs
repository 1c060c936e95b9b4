//! A russh channel as a [`RawChannel`].

use std::sync::Arc;
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

use super::Link;
use tokio::sync::OwnedSemaphorePermit;

use super::login::{Live, log_in};
use crate::transport::channel::{Feed, Opener, RawChannel};
use crate::transport::{BoxFuture, Stream, TransportError};

/// How long a server may take to open a channel.
const OPENING: Duration = Duration::from_secs(30);

impl Opener for Link {
    fn open<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<RawChannel, TransportError>> {
        Box::pin(async move {
            let unreachable =
                |reason: String| TransportError::Unreachable { host: self.spec.host.clone(), reason };
            let mut live = self.live().await?;
            let mut opened = start(&live, command).await;
            if matches!(opened, Err(Closed::Broken(_))) && live.ended().await {
                // Only trying shows that a connection was lost a moment ago; nothing was started by it.
                live = self.live().await?;
                opened = start(&live, command).await;
            }
            if matches!(opened, Err(Closed::Refused)) {
                // The server gives one connection only so many channels (MaxSessions); another one has more.
                live = Box::pin(log_in(&self.context, &self.spec)).await?;
                opened = start(&live, command).await;
            }
            let (permit, channel) = opened.map_err(|closed| match closed {
                Closed::Refused => unreachable("the server opens no channel".into()),
                Closed::Broken(reason) => unreachable(format!("cannot open a channel: {reason}")),
            })?;
            let (read, write) = channel.split();
            let (chan, feed) = RawChannel::new(Box::new(write.make_writer()));
            tokio::spawn(async move {
                pump(read, write, feed, &live).await;
                drop(permit);
            });
            Ok(chan)
        })
    }
}

/// Why a channel did not open.
enum Closed {
    /// The server does not want one more.
    Refused,
    Broken(String),
}

async fn start(live: &Live, command: &str) -> Result<(OwnedSemaphorePermit, Channel<Msg>), Closed> {
    let opening = async {
        let broken = |e: russh::Error| Closed::Broken(e.to_string());
        // sshd's MaxSessions refuses the eleventh channel by default; we stay below.
        let permit = live.channels.clone().acquire_owned().await;
        let permit = permit.map_err(|e| Closed::Broken(e.to_string()))?;
        let channel = live.handle.channel_open_session().await.map_err(|e| match e {
            russh::Error::ChannelOpenFailure(_) => Closed::Refused,
            other => broken(other),
        })?;
        if live.forwards_agent {
            channel.agent_forward(false).await.map_err(broken)?;
        }
        channel.exec(true, command).await.map_err(broken)?;
        Ok((permit, channel))
    };
    match tokio::time::timeout(OPENING, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(Closed::Broken(format!("no answer within {} s", OPENING.as_secs()))),
    }
}

/// Reads a channel to its end, always: an unread channel would stop all others of the connection.
async fn pump<S>(mut read: ChannelReadHalf, write: ChannelWriteHalf<S>, feed: Feed, live: &Arc<Live>)
where
    S: From<(russh::ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    let mut reason = String::from("the shell ended");
    loop {
        let message = tokio::select! {
            message = read.wait() => message,
            () = feed.dropped() => {
                // The other side may be gone already; there is nothing more to close then.
                let _ = write.close().await;
                return;
            }
        };
        let delivered = match message {
            Some(ChannelMsg::Data { data }) => feed.data(Stream::Stdout, data.to_vec()).await,
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => feed.data(Stream::Stderr, data.to_vec()).await,
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                reason = format!("the shell ended with exit code {exit_status}");
                true
            }
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                reason = format!("the shell was ended by signal {signal_name:?}");
                true
            }
            Some(ChannelMsg::Failure) => {
                feed.end("the server refused to start a shell").await;
                return;
            }
            Some(ChannelMsg::Close) => {
                feed.end(reason).await;
                let _ = write.close().await;
                return;
            }
            None => {
                feed.end(live.end_reason()).await;
                return;
            }
            Some(_) => true,
        };
        if !delivered {
            let _ = write.close().await;
            return;
        }
    }
}
