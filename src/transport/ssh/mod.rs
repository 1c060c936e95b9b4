//! SSH without a client program. Everything that knows russh is in this folder.

mod algorithms;
mod auth;
mod binary;
mod channel;
pub mod config;
mod host_key;
mod keys;
pub mod known_hosts;
mod login;
mod machine;
mod proxy;
pub mod signature;
mod target;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

use self::auth::Agent;
pub(in crate::transport) use self::binary::BinaryConnection;
pub use self::binary::arguments;
use self::keys::KeyContent;
use self::known_hosts::{KnownFile, KnownHosts};
pub(in crate::transport) use self::login::look_at_keys;
use self::login::{Live, log_in};
use self::machine::{Cache, Machine};
use self::target::Target;
use super::connector::Identity;
use super::framed::{FramedSession, Shared};
use super::guard::PasswordGuard;
use super::{BecomeSpec, BoxFuture, Connection, ConnectionSpec, HostKeyPolicy, Session, TransportError};
use crate::value::Secret;

/// Logins in progress for one address; sshd drops more than ten at random by default.
const LOGINS_AT_ONCE: usize = 8;

/// What all SSH connections of a connector share.
pub(super) struct SshContext {
    pub identity: Identity,
    machine: Machine,
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
    files: Cache<KnownFile>,
    keys: Cache<KeyContent>,
    passphrases: Mutex<HashMap<PathBuf, Secret>>,
    /// Connections to hosts on the way, shared by all hosts behind them.
    jumps: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Weak<Live>>>>>,
    warnings: Mutex<Warnings>,
    pub guard: Arc<PasswordGuard>,
}

/// What is worth telling once.
#[derive(Default)]
struct Warnings {
    told: HashSet<String>,
    waiting: Vec<String>,
}

impl SshContext {
    pub fn new(identity: Identity) -> Self {
        Self {
            machine: Machine::new(&identity),
            identity,
            gates: Mutex::default(),
            files: Cache::default(),
            keys: Cache::default(),
            passphrases: Mutex::default(),
            jumps: Mutex::default(),
            warnings: Mutex::default(),
            guard: Arc::default(),
        }
    }

    /// Returns what limits the logins in progress to an address.
    fn gate(&self, address: &str, port: u16) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(format!("{address} {port}"));
        gate.or_insert_with(|| Arc::new(Semaphore::new(LOGINS_AT_ONCE))).clone()
    }

    /// Reads a private key, once for all connections; nothing if there is no such file.
    fn key(&self, path: &Path) -> std::io::Result<Option<Arc<KeyContent>>> {
        let passphrases = self.passphrases.lock().unwrap_or_else(PoisonError::into_inner);
        let passphrase = passphrases.get(path).cloned();
        drop(passphrases);
        self.keys.read(path, |_| Ok(()), |text| KeyContent::parse(text, passphrase.as_ref()))
    }

    fn has_passphrase(&self, path: &Path) -> bool {
        self.passphrases.lock().unwrap_or_else(PoisonError::into_inner).contains_key(path)
    }

    /// Takes the passphrase of a private key; false if it does not open it.
    pub fn unlock(&self, path: &Path, passphrase: &Secret) -> bool {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let opened = matches!(KeyContent::parse(&text, Some(passphrase)), KeyContent::Ready(_));
        if opened {
            let mut passphrases = self.passphrases.lock().unwrap_or_else(PoisonError::into_inner);
            passphrases.insert(path.to_path_buf(), passphrase.clone());
            drop(passphrases);
            self.keys.forget(path);
        }
        opened
    }

    /// Returns the keys of a host that need a passphrase, as far as the agent does not have them. Default keys count
    /// only where there is nothing else to try.
    pub async fn locked_keys(&self, spec: &ConnectionSpec) -> Vec<PathBuf> {
        let mut locked = Vec::new();
        for hop in self.route(spec).unwrap_or_default() {
            let agent = match &hop.resolved.agent {
                Some(socket) => Agent::connect(socket).await.ok(),
                None => None,
            };
            for file in &hop.resolved.keys {
                let Ok(Some(content)) = self.key(&file.path) else { continue };
                let public = content.public(&file.path);
                let held = agent.as_ref().is_some_and(|a| public.is_some_and(|p| a.holds(&p)));
                let wanted = file.named || (agent.is_none() && hop.password.is_none());
                if matches!(*content, KeyContent::Locked(_)) && wanted && !held {
                    locked.push(file.path.clone());
                }
            }
        }
        locked
    }

    /// Tells whether a host on the way, or the host itself, would be refused because its key is unknown.
    pub fn lacks_key(&self, spec: &ConnectionSpec) -> bool {
        self.route(spec).unwrap_or_default().iter().any(|hop| {
            let Ok(known) = self.known_hosts(hop) else { return false };
            let (name, port) = hop.key_name();
            hop.resolved.policy == HostKeyPolicy::Strict
                && known.key_types(name, port).is_empty()
                && !known.has_authority(name, port)
        })
    }

    fn warn(&self, texts: impl IntoIterator<Item = String>) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        for text in texts {
            if warnings.told.insert(text.clone()) {
                warnings.waiting.push(text);
            }
        }
    }

    /// Returns what is worth telling and was not told yet.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().unwrap_or_else(PoisonError::into_inner).waiting)
    }

    /// Reads known_hosts files, each once for all connections while it does not change.
    fn known_hosts(&self, target: &Target) -> Result<KnownHosts, TransportError> {
        let mut known = KnownHosts::default();
        if !target.extra_host_keys.is_empty() {
            let text = target.extra_host_keys.join("\n");
            known.add(Arc::new(KnownFile::parse(Path::new("(given host keys)"), &text)));
        }
        for path in &target.resolved.known_hosts {
            // A file that cannot be read might hold a revocation, so it is no empty file.
            let read = self.files.read(path, |_| Ok(()), |text| KnownFile::parse(path, text));
            let what = || format!("read known hosts file {}", path.display());
            if let Some(file) = read.map_err(|e| TransportError::local(what())(e))? {
                known.add(file);
            }
        }
        Ok(known)
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
        let live = tokio::sync::Mutex::new(None);
        let link = Arc::new(Link { spec: spec.clone(), context, live });
        let user = link.live().await?.user.clone();
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
        let live = Box::pin(log_in(&self.context, &self.spec)).await?;
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
                guard: self.link.context.guard.clone(),
                launch_timeout: spec.connect_timeout.unwrap_or_default().max(login::LOGIN_LIMIT),
            };
            FramedSession::of_connection(shared, &self.user, r#become).await
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
