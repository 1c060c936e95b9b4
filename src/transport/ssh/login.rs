//! From an address to an authenticated connection: jumps, algorithms, retries, limits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use russh::Preferred;
use russh::client::{Config, Handle};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::SshContext;
use super::algorithms::{advice, preferred};
use super::auth::authenticate;
use super::config::{Family, ForwardAgent, Proxy};
use super::host_key::{ClientHandler, HandlerError, KeyCheck, describe};
use super::proxy::{self, LastWords};
use super::target::Target;
use crate::transport::patience::{within, within_load};
use crate::transport::{ConnectionSpec, HostKeyPolicy, TransportError, UnknownKey, inside};

/// Channels of one connection; sshd allows ten by default.
const CHANNELS: usize = 8;

/// How long proving who we are may take; directory services and agents with a button are slow.
pub(super) const LOGIN_LIMIT: Duration = Duration::from_secs(30);

/// How long commands in ssh_config may take.
const EVALUATION: Duration = Duration::from_secs(10);

/// How long a host that drops connections is asked again: it is there, and has too much to do.
const STORM: Duration = Duration::from_secs(45);

/// How long saying goodbye may take to a host that takes nothing any more.
pub(super) const GOODBYE: Duration = Duration::from_secs(3);

/// The longest pauses before the first and the later tries, in milliseconds.
const FIRST_PAUSE: u64 = 100;
const LAST_PAUSE: u64 = 3200;

/// An authenticated connection.
pub(super) struct Live {
    pub handle: Handle<ClientHandler>,
    /// Whom we are there.
    pub user: String,
    pub channels: Arc<Semaphore>,
    /// Whether programs there can use our agent.
    pub forwards_agent: bool,
    ended: Arc<Mutex<Option<String>>>,
    /// The connection that this one goes through.
    _through: Option<Arc<Live>>,
}

impl Live {
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Tells whether the connection is gone, after giving its task a moment to notice.
    pub async fn ended(&self) -> bool {
        for _ in 0..20 {
            if self.is_closed() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// Returns why the connection ended.
    pub fn end_reason(&self) -> String {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.clone().unwrap_or_else(|| "the connection was lost".into())
    }

    pub async fn disconnect(&self) {
        // A connection that is gone already is as good as a closed one.
        let bye = self.handle.disconnect(russh::Disconnect::ByApplication, "done", "en");
        let _ = tokio::time::timeout(GOODBYE, bye).await;
    }
}

/// Connects through all hosts on the way and proves who we are on each.
pub(super) async fn log_in(
    context: &Arc<SshContext>,
    spec: &ConnectionSpec,
) -> Result<Arc<Live>, TransportError> {
    let route = route(context, spec).await?;
    let Some((last, hops)) = route.split_last() else {
        return Err(TransportError::Protocol { reason: "a way has no end".into() });
    };
    let (mut through, mut way) = (None, String::new());
    for hop in hops {
        let r = &hop.resolved;
        way = format!("{way} {}@{}:{}", r.user, r.address, r.port);
        through = Some(jump(context, hop, &way, through).await?);
    }
    Box::pin(one_login(context, last, through)).await.map(Arc::new)
}

/// Works out the way in a thread of its own: files are read, and commands of `Match exec` may run.
pub(super) async fn route(
    context: &Arc<SshContext>,
    spec: &ConnectionSpec,
) -> Result<Vec<Target>, TransportError> {
    let (shared, own) = (context.clone(), spec.clone());
    let working = tokio::task::spawn_blocking(move || shared.route(&own));
    let limit = spec.connect_timeout.unwrap_or(EVALUATION);
    match tokio::time::timeout(limit, working).await {
        Ok(Ok(route)) => route,
        Ok(Err(e)) => Err(TransportError::Protocol { reason: format!("reading ssh_config failed: {e}") }),
        Err(_) => Err(TransportError::Unreachable {
            host: spec.host.clone(),
            reason: format!("a command in ssh_config took longer than {} s", limit.as_secs_f32()),
        }),
    }
}

/// Returns the connection to a host on the way, which all hosts behind it share.
async fn jump(
    context: &SshContext,
    hop: &Target,
    way: &str,
    through: Option<Arc<Live>>,
) -> Result<Arc<Live>, TransportError> {
    let slot = {
        let mut jumps = context.jumps.lock().unwrap_or_else(PoisonError::into_inner);
        jumps.entry(way.to_owned()).or_default().clone()
    };
    let mut known = slot.lock().await;
    if let Some(live) = known.upgrade().filter(|live| !live.is_closed()) {
        return Ok(live);
    }
    let live = Arc::new(Box::pin(one_login(context, hop, through)).await?);
    *known = Arc::downgrade(&live);
    Ok(live)
}

/// Connects to one host, again with pauses while the host drops connections because it has too many.
async fn one_login(
    context: &SshContext,
    target: &Target,
    through: Option<Arc<Live>>,
) -> Result<Live, TransportError> {
    let gate = context.gate(&target.resolved.address, target.resolved.port);
    let mut patience = Patience::new();
    loop {
        let permit = gate.acquire().await;
        let tried = Box::pin(attempt(context, target, through.clone())).await;
        drop(permit);
        match tried {
            Ok(live) => return Ok(live),
            Err(failed) => patience.after(failed).await?,
        }
    }
}

/// Why an attempt to log in failed.
pub(super) enum Attempt {
    /// The host closed the connection before we could say who we are.
    Dropped(TransportError),
    Failed(TransportError),
}

/// A connection whose host has shown a good key.
struct Greeted {
    handle: Handle<ClientHandler>,
    ended: Arc<Mutex<Option<String>>>,
}

async fn greet(
    context: &SshContext,
    target: &Target,
    through: Option<&Live>,
    policy: HostKeyPolicy,
) -> Result<Greeted, Attempt> {
    let needs = &target.resolved;
    let unreachable = |reason: String| TransportError::Unreachable { host: target.host.clone(), reason };
    let known = context.known_hosts(target).map_err(Attempt::Failed)?;
    let preferred = preferred(target, &known).map_err(|reason| Attempt::Failed(unreachable(reason)))?;
    let config = Arc::new(config(target, preferred));
    let ended = Arc::new(Mutex::new(None));
    let note = Arc::new(Mutex::new(None));
    let handler = ClientHandler {
        check: KeyCheck::new(target, known, policy),
        ended: ended.clone(),
        note: note.clone(),
        agent: match &needs.forward_agent {
            ForwardAgent::Yes(socket) => Some(socket.clone()),
            ForwardAgent::No => None,
        },
    };
    let said = Mutex::new(LastWords::default());
    let connecting = async {
        let stream = dial(context, target, through, &said).await.map_err(HandlerError::Ssh)?;
        russh::client::connect_stream(config, stream, handler).await
    };
    let limit = needs.connect_timeout;
    let connected = within(limit, connecting).await;
    context.warn(note.lock().unwrap_or_else(PoisonError::into_inner).take());
    match connected {
        Some(Ok(handle)) => Ok(Greeted { handle, ended }),
        Some(Err(HandlerError::Refused(error))) => Err(Attempt::Failed(*error)),
        Some(Err(error)) => {
            let dropped = was_dropped(&error);
            let mut reason = describe(&error);
            if matches!(error, HandlerError::Ssh(russh::Error::IO(_))) {
                reason.insert_str(0, &place(target));
            }
            if let HandlerError::Ssh(russh::Error::NoCommonAlgo { kind, theirs, .. }) = &error
                && let Some(advice) = advice(&format!("{kind:?}").to_lowercase(), theirs)
            {
                reason = format!("{reason}; {advice}");
            }
            let words = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(words) = words.lock().unwrap_or_else(PoisonError::into_inner).as_deref() {
                reason = format!("{reason}; ProxyCommand says: {words}");
            }
            let error = unreachable(reason);
            Err(if dropped { Attempt::Dropped(error) } else { Attempt::Failed(error) })
        }
        None => {
            let reason = format!("{}no answer within {} s", place(target), limit.as_secs_f32());
            Err(Attempt::Failed(unreachable(reason)))
        }
    }
}

async fn attempt(context: &SshContext, target: &Target, through: Option<Arc<Live>>) -> Result<Live, Attempt> {
    let needs = &target.resolved;
    let Greeted { mut handle, ended } = greet(context, target, through.as_deref(), needs.policy).await?;
    match within_load(LOGIN_LIMIT, authenticate(&mut handle, context, target)).await {
        Some(Ok(())) => Ok(Live {
            handle,
            user: needs.user.clone(),
            channels: Arc::new(Semaphore::new(CHANNELS)),
            ended,
            forwards_agent: needs.forward_agent != ForwardAgent::No,
            _through: through,
        }),
        Some(Err(error)) => Err(Attempt::Failed(error)),
        None => {
            let reason = format!("no answer to our login within {} s", LOGIN_LIMIT.as_secs());
            Err(Attempt::Failed(TransportError::Unreachable { host: target.host.clone(), reason }))
        }
    }
}

/// Looks at the keys of the hosts on the way, and of the host itself unless one of them is unknown; nothing if all
/// are known. We log in to known hosts on the way only.
pub(in crate::transport) async fn look_at_keys(
    context: &Arc<SshContext>,
    spec: &ConnectionSpec,
) -> Result<Option<Box<UnknownKey>>, TransportError> {
    let route = route(context, spec).await?;
    let (mut through, mut way) = (None::<Arc<Live>>, String::new());
    for (index, hop) in route.iter().enumerate() {
        let gate = context.gate(&hop.resolved.address, hop.resolved.port);
        let mut patience = Patience::new();
        let greeted = loop {
            let permit = gate.acquire().await;
            let tried = Box::pin(greet(context, hop, through.as_deref(), HostKeyPolicy::Strict)).await;
            drop(permit);
            match tried {
                Ok(greeted) => break Ok(greeted),
                Err(Attempt::Failed(error)) => break Err(error),
                Err(dropped) => patience.after(dropped).await?,
            }
        };
        match greeted {
            Ok(greeted) => {
                // The host is known; whether it hears that we go makes no difference.
                let _ = greeted.handle.disconnect(russh::Disconnect::ByApplication, "done", "en").await;
            }
            Err(TransportError::HostKeyUnknown(unknown)) => return Ok(Some(unknown)),
            Err(error) => return Err(error),
        }
        if index + 1 < route.len() {
            let r = &hop.resolved;
            way = format!("{way} {}@{}:{}", r.user, r.address, r.port);
            through = Some(jump(context, hop, &way, through).await?);
        }
    }
    Ok(None)
}

/// How a host that drops connections, because it has too many, is asked again.
pub(super) struct Patience {
    until: Instant,
    /// The longest pause before the next try, in milliseconds.
    pause: u64,
}

impl Patience {
    pub fn new() -> Self {
        Self { until: Instant::now() + STORM, pause: FIRST_PAUSE }
    }

    /// Waits before the next try; gives the error back where there is none.
    pub async fn after(&mut self, failed: Attempt) -> Result<(), TransportError> {
        let error = match failed {
            Attempt::Dropped(error) => error,
            Attempt::Failed(error) => return Err(error),
        };
        let pause = jitter(self.pause);
        if Instant::now() + pause > self.until {
            return Err(error);
        }
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Names where we tried to connect, unless the host's name says it already.
fn place(target: &Target) -> String {
    let (address, port) = (&target.resolved.address, target.resolved.port);
    if *address == target.host && port == 22 {
        return String::new();
    }
    format!("{address} port {port}: ")
}

fn was_dropped(error: &HandlerError) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error {
        HandlerError::Ssh(russh::Error::HUP | russh::Error::Disconnect) => true,
        HandlerError::Ssh(russh::Error::IO(e)) => {
            matches!(e.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        }
        _ => false,
    }
}

/// A byte stream to a server's port.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

async fn dial(
    context: &SshContext,
    target: &Target,
    through: Option<&Live>,
    said: &Mutex<LastWords>,
) -> Result<Box<dyn Wire>, russh::Error> {
    let (address, port) = (&*target.resolved.address, target.resolved.port);
    if let Some(jump) = through {
        let opened = jump.handle.channel_open_direct_tcpip(address, u32::from(port), "127.0.0.1", 0).await?;
        return Ok(Box::new(opened.into_stream()));
    }
    if let Proxy::Command(command) = &target.resolved.proxy {
        let (stream, words) = proxy::start(&context.machine, command)?;
        *said.lock().unwrap_or_else(PoisonError::into_inner) = words;
        return Ok(Box::new(stream));
    }
    if let Some(stream) = inside::connect(address, port) {
        return Ok(Box::new(stream));
    }
    let mut last =
        std::io::Error::new(std::io::ErrorKind::NotFound, "it has no address of the family that is wanted");
    for found in tokio::net::lookup_host((address, port)).await? {
        let fits = match target.resolved.family {
            Family::Any => true,
            Family::V4 => found.is_ipv4(),
            Family::V6 => found.is_ipv6(),
        };
        if !fits {
            continue;
        }
        match TcpStream::connect(found).await {
            Ok(stream) => {
                // Without it a small script waits 40 ms for the one before it.
                stream.set_nodelay(true)?;
                return Ok(Box::new(stream));
            }
            Err(e) => last = e,
        }
    }
    Err(last.into())
}

/// Returns a pause between half of `longest` and all of it.
fn jitter(longest: u64) -> Duration {
    let mut byte = [128u8];
    // Without random bytes all pauses are alike, which is only slower.
    let _ = getrandom::fill(&mut byte);
    Duration::from_millis(longest / 2 + longest * u64::from(byte[0]) / 512)
}

fn config(target: &Target, preferred: Preferred) -> Config {
    Config {
        nodelay: true,
        keepalive_interval: target.resolved.alive,
        keepalive_max: target.resolved.alive_count,
        preferred,
        ..Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_in_their_range() {
        for _ in 0..100 {
            let pause = jitter(200).as_millis();
            assert!((100..=200).contains(&pause), "{pause}");
        }
    }
}
