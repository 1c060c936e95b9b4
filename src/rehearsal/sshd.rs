//! The embedded SSH server: who may log in, which requests are served, and doors that open and close with power.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream as StdTcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey, run_stream};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf, MethodKind, MethodSet, Pty, Sig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};

use super::cut::CutFault;
use super::link::Launch;
use super::local;
use super::machine::{Machine, base_environment};
use super::process::{Running, Signaller, Size};
use super::pump::{self, Input};

/// OpenSSH's limit of sessions per connection.
const SESSIONS_MAX: usize = 10;
/// Input that may wait for a process which does not read: 2,048 packets of at most 32 KiB. The library returns the
/// window before we consume, so this bound, not the window, holds a fast sender back.
const INPUT_PACKETS_MAX: usize = 2048;

/// Who may log in.
pub(super) struct Credentials {
    /// The only user; any when there is none.
    pub(super) user: Option<&'static str>,
    pub(super) key: PublicKey,
    pub(super) password: Option<String>,
}

impl Credentials {
    fn accept_key(&self, user: &str, key: &PublicKey) -> Auth {
        self.answer(user, key.key_data() == self.key.key_data())
    }

    fn accept_password(&self, user: &str, password: &str) -> Auth {
        self.answer(user, self.password.as_deref() == Some(password))
    }

    fn answer(&self, user: &str, is_right: bool) -> Auth {
        let is_known = self.user.is_none_or(|known| known == user);
        if is_right && is_known { Auth::Accept } else { Auth::reject() }
    }
}

/// Where the commands of a host run.
pub(super) enum Backend {
    /// In a host with a root of its own.
    Machine(Arc<Machine>),
    /// On this machine, for load tests.
    Local,
}

impl Backend {
    fn launch(
        &self,
        command: Option<&[u8]>,
        env: Vec<(String, String)>,
        size: Option<Size>,
    ) -> io::Result<Running> {
        match self {
            Self::Machine(machine) => {
                let launch = match (command.is_some(), size.is_some()) {
                    (true, false) => Launch::Command,
                    (true, true) => Launch::CommandOnTerminal,
                    (false, false) => Launch::Shell,
                    (false, true) => Launch::ShellOnTerminal,
                };
                let env = base_environment().into_iter().chain(env).collect();
                machine.launch(launch, command.unwrap_or_default(), env, size)
            }
            Self::Local => local::start(command, &env),
        }
    }
}

/// One SSH server: what all its connections share.
pub(super) struct Server {
    pub(super) backend: Backend,
    pub(super) credentials: Arc<Credentials>,
    pub(super) config: Arc<Config>,
    pub(super) cut: Option<Arc<CutFault>>,
    connections: Mutex<HashMap<u64, StdTcpStream>>,
    next_connection: AtomicU64,
}

/// Makes the configuration of a server with this host key.
pub(super) fn config(host_key: PrivateKey) -> Arc<Config> {
    Arc::new(Config {
        methods: MethodSet::from([MethodKind::PublicKey, MethodKind::Password].as_slice()),
        auth_rejection_time: Duration::from_millis(50),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        inactivity_timeout: None,
        nodelay: true,
        ..Config::default()
    })
}

impl Server {
    pub(super) fn new(
        backend: Backend,
        credentials: Arc<Credentials>,
        config: Arc<Config>,
        cut: Option<Arc<CutFault>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            backend,
            credentials,
            config,
            cut,
            connections: Mutex::default(),
            next_connection: AtomicU64::new(0),
        })
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, StdTcpStream>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts every connection at once, as a pulled cable that is noticed.
    pub(super) fn cut_connections(&self) {
        for (_, connection) in self.connections().drain() {
            // A connection that has just ended by itself is cut enough.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Accepts connections until dropped.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    tokio::spawn(Arc::clone(&self).connection(stream, peer));
                }
                // Out of descriptors, or the client left before we came: the next one may succeed.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let id = self.next_connection.fetch_add(1, Ordering::Relaxed);
        let Ok(stream) = self.remember(id, stream) else { return };
        Arc::clone(&self).talk(stream, peer).await;
        self.connections().remove(&id);
    }

    /// Serves one connection to its end, whatever carries it.
    pub(super) async fn talk(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
    ) {
        let config = Arc::clone(&self.config);
        let handler = Connection { server: self, peer, channels: HashMap::new() };
        // What greets a client is large, and is not kept for as long as the connection.
        if let Ok(session) = Box::pin(run_stream(config, stream, handler)).await {
            // A connection that breaks is the client's affair; it sees the same.
            let _ = session.await;
        }
    }

    /// Keeps a second descriptor of the connection with which it can be cut.
    fn remember(&self, id: u64, stream: TcpStream) -> io::Result<TcpStream> {
        stream.set_nodelay(true)?;
        if matches!(self.backend, Backend::Local) {
            return Ok(stream);
        }
        let stream = stream.into_std()?;
        self.connections().insert(id, stream.try_clone()?);
        TcpStream::from_std(stream)
    }
}

/// A loopback address that belongs to a host for the cluster's whole life, whether it listens or not.
pub(super) struct Door {
    address: SocketAddr,
    /// Holds the port while nobody listens, so that a host that is off refuses and no stranger answers.
    _reservation: TcpSocket,
    open: Mutex<Option<(Arc<Server>, JoinHandle<()>)>>,
}

impl Door {
    /// Reserves an address that the system chooses.
    pub(super) fn reserve() -> io::Result<Self> {
        let reservation = TcpSocket::new_v4()?;
        reservation.set_reuseaddr(true)?;
        reservation.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = reservation.local_addr()?;
        Ok(Self { address, _reservation: reservation, open: Mutex::new(None) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    fn state(&self) -> MutexGuard<'_, Option<(Arc<Server>, JoinHandle<()>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens and serves.
    pub(super) fn open(&self, server: Arc<Server>) -> io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        let listener = socket.listen(256)?;
        let task = tokio::spawn(Arc::clone(&server).serve(listener));
        if let Some((_, old)) = self.state().replace((server, task)) {
            old.abort();
        }
        Ok(())
    }

    /// Stops listening and cuts every connection.
    pub(super) fn close(&self) {
        if let Some((server, task)) = self.state().take() {
            task.abort();
            server.cut_connections();
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.close();
    }
}

/// One client connection.
struct Connection {
    server: Arc<Server>,
    peer: SocketAddr,
    channels: HashMap<ChannelId, Slot>,
}

/// One session channel.
struct Slot {
    writer: Option<ChannelWriteHalf<Msg>>,
    env: Vec<(String, String)>,
    size: Option<Size>,
    input: Option<mpsc::Sender<Input>>,
    signal: Option<Signaller>,
    task: Option<AbortHandle>,
}

impl Drop for Slot {
    /// As with sshd, the process stays; only its pipes are closed.
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Connection {
    async fn send(&mut self, channel: ChannelId, input: Input) {
        if let Some(sender) = self.channels.get(&channel).and_then(|slot| slot.input.clone()) {
            // The process may have closed its input.
            let _ = sender.send(input).await;
        }
    }

    fn start(
        &mut self,
        channel: ChannelId,
        command: Option<&[u8]>,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some(slot) = self.channels.get_mut(&channel) else {
            return session.channel_failure(channel);
        };
        let Some(writer) = slot.writer.take() else {
            return session.channel_failure(channel);
        };
        let mut env = std::mem::take(&mut slot.env);
        env.push((
            "SSH_CONNECTION".into(),
            format!("{} {} {} 22", self.peer.ip(), self.peer.port(), Ipv4Addr::LOCALHOST),
        ));
        let (sender, receiver) = mpsc::channel(INPUT_PACKETS_MAX);
        slot.input = Some(sender);
        session.channel_success(channel)?;
        let handle = session.handle();
        let server = Arc::clone(&self.server);
        let launched = server.backend.launch(command, env, slot.size);
        slot.signal = launched.as_ref().ok().map(|running| Arc::clone(&running.signal));
        let task = tokio::spawn(async move {
            match launched {
                Ok(running) => pump::run(running, writer, receiver, handle, server).await,
                Err(error) => pump::refuse(&writer, &error).await,
            }
        });
        slot.task = Some(task.abort_handle());
        Ok(())
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: russh::server::PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.server.credentials.accept_key(user, offer.public_key))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.server.credentials.accept_key(user, key.public_key))
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(self.server.credentials.accept_password(user, password))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.channels.len() >= SESSIONS_MAX {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        let id = channel.id();
        let (_, writer) = channel.split();
        let slot =
            Slot { writer: Some(writer), env: Vec::new(), size: None, input: None, signal: None, task: None };
        self.channels.insert(id, slot);
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let accepted = name == "LANG" || name == "TERM" || name.starts_with("LC_");
        match self.channels.get_mut(&channel) {
            Some(slot) if accepted && slot.env.len() < 64 => {
                slot.env.push((name.into(), value.into()));
                session.channel_success(channel)
            }
            _ => session.channel_failure(channel),
        }
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        col_width: u32,
        row_height: u32,
        _pix_width: u32,
        _pix_height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let is_local = matches!(self.server.backend, Backend::Local);
        match self.channels.get_mut(&channel) {
            Some(slot) if !is_local => {
                slot.size = Some(size(col_width, row_height));
                slot.env.push(("TERM".into(), term.into()));
                session.channel_success(channel)
            }
            _ => session.channel_failure(channel),
        }
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        col_width: u32,
        row_height: u32,
        _pix_width: u32,
        _pix_height: u32,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.send(channel, Input::Resize(size(col_width, row_height))).await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.start(channel, Some(data), session)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.start(channel, None, session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _: &mut Session) -> Result<(), Self::Error> {
        self.send(channel, Input::Bytes(data.to_vec())).await;
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.send(channel, Input::End).await;
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.channels.remove(&channel);
        Ok(())
    }

    async fn signal(
        &mut self,
        channel: ChannelId,
        signal: Sig,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // Past the input that waits: a process that does not read must still be reached.
        if let Some(number) = pump::signal_number(&signal)
            && let Some(send) = self.channels.get(&channel).and_then(|slot| slot.signal.as_ref())
        {
            send(number);
        }
        Ok(())
    }
}

fn size(columns: u32, rows: u32) -> Size {
    let clamp = |value: u32, default: u16| match u16::try_from(value) {
        Ok(0) | Err(_) => default,
        Ok(value) => value,
    };
    Size { columns: clamp(columns, 80), rows: clamp(rows, 24) }
}
