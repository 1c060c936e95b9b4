//! SSH without a client program. Everything that knows russh is in this folder.

mod auth;
mod channel;
mod host_key;
pub mod known_hosts;
mod login;
pub mod signature;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::Semaphore;

use self::known_hosts::{KnownFile, KnownHosts};
use self::login::{Live, log_in};
use super::connector::Identity;
use super::framed::{FramedSession, Shared};
use super::{BecomeSpec, BoxFuture, Connection, ConnectionSpec, Session, TransportError};

/// Logins in progress for one address; sshd drops more than ten at random by default.
const LOGINS_AT_ONCE: usize = 8;

/// What all SSH connections of a connector share.
pub(super) struct SshContext {
    pub identity: Identity,
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
    files: Mutex<HashMap<PathBuf, (Stamp, Arc<KnownFile>)>>,
}

/// Tells whether a file is still the one that was read.
type Stamp = (Option<SystemTime>, u64);

impl SshContext {
    pub fn new(identity: Identity) -> Self {
        Self { identity, gates: Mutex::default(), files: Mutex::default() }
    }

    /// Returns what limits the logins in progress to an address.
    fn gate(&self, address: &str, port: u16) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(format!("{address} {port}"));
        gate.or_insert_with(|| Arc::new(Semaphore::new(LOGINS_AT_ONCE))).clone()
    }

    /// Returns the files that accepted keys are looked up in; the first one takes new keys.
    fn known_hosts_files(&self, spec: &ConnectionSpec) -> Vec<PathBuf> {
        if !spec.known_hosts.is_empty() {
            return spec.known_hosts.clone();
        }
        let home = self.identity.home.iter();
        let own = home.flat_map(|h| [h.join(".ssh/known_hosts"), h.join(".ssh/known_hosts2")]);
        own.chain([PathBuf::from("/etc/ssh/ssh_known_hosts")]).collect()
    }

    /// Reads known_hosts files, each once for all connections while it does not change.
    fn known_hosts(&self, spec: &ConnectionSpec) -> Result<KnownHosts, TransportError> {
        let mut known = KnownHosts::default();
        if !spec.extra_host_keys.is_empty() {
            let text = spec.extra_host_keys.join("\n");
            known.add(Arc::new(KnownFile::parse(Path::new("(given host keys)"), &text)));
        }
        for path in self.known_hosts_files(spec) {
            if let Some(file) = self.known_file(&path)? {
                known.add(file);
            }
        }
        Ok(known)
    }

    fn known_file(&self, path: &Path) -> Result<Option<Arc<KnownFile>>, TransportError> {
        let read = || -> std::io::Result<Option<Arc<KnownFile>>> {
            let meta = match std::fs::metadata(path) {
                Ok(meta) => meta,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(e),
            };
            let stamp = (meta.modified().ok(), meta.len());
            let cached = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
            if let Some((_, file)) = cached.filter(|(s, _)| *s == stamp) {
                return Ok(Some(file));
            }
            let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
            let file = Arc::new(KnownFile::parse(path, &text));
            let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            files.insert(path.to_path_buf(), (stamp, file.clone()));
            Ok(Some(file))
        };
        // A file that cannot be read might hold a revocation, so it is no empty file.
        read().map_err(TransportError::local(format!("read known hosts file {}", path.display())))
    }
}

/// One SSH connection, made again when it was lost.
pub(super) struct SshConnection {
    link: Arc<Link>,
    prelude: Arc<str>,
    user: String,
}

/// The part of a connection that sessions keep, to open channels.
struct Link {
    spec: ConnectionSpec,
    context: Arc<SshContext>,
    /// Held over a login, so that sessions that find the connection lost make one new login together.
    live: tokio::sync::Mutex<Option<Arc<Live>>>,
}

impl SshConnection {
    pub async fn connect(
        spec: &ConnectionSpec,
        prelude: Arc<str>,
        context: Arc<SshContext>,
    ) -> Result<Self, TransportError> {
        let user = spec.user.clone().unwrap_or_else(|| context.identity.user.clone());
        let live = tokio::sync::Mutex::new(None);
        let link = Arc::new(Link { spec: spec.clone(), context, live });
        link.live().await?;
        Ok(Self { link, prelude, user })
    }
}

impl Link {
    /// Returns the connection, made again if it was lost.
    async fn live(&self) -> Result<Arc<Live>, TransportError> {
        let mut slot = self.live.lock().await;
        if let Some(live) = slot.as_ref().filter(|l| !l.is_closed()) {
            return Ok(live.clone());
        }
        let live = Arc::new(Box::pin(log_in(&self.context, &self.spec)).await?);
        *slot = Some(live.clone());
        Ok(live)
    }
}

impl Connection for SshConnection {
    fn session<'a>(
        &'a self,
        r#become: Option<&'a BecomeSpec>,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, TransportError>> {
        Box::pin(async move {
            let spec = &self.link.spec;
            let shared = Shared {
                host: spec.host.clone(),
                shell: spec.shell.clone(),
                prelude: self.prelude.clone(),
                opener: self.link.clone(),
                launch_timeout: spec.connect_timeout.max(login::LOGIN_LIMIT),
            };
            let other = r#become.filter(|b| b.user != self.user).cloned();
            let session = FramedSession::open(shared, other).await?;
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let live = self.link.live.lock().await.take();
            if let Some(live) = live {
                live.disconnect().await;
            }
        })
    }
}
