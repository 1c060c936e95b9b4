//! The real [`Connector`]: this machine, or SSH.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::fanout::{FanoutConnection, Hub, Tool};
use super::local::LocalConnection;
use super::ssh::{BinaryConnection, SshConnection, SshContext, look_at_keys};
use super::{BoxFuture, Connection, ConnectionSpec, Connector, Kind, TransportError, UnknownKey};
use crate::value::Secret;

/// Connects to this machine or by SSH. Every session that comes of it starts with the same prelude.
pub struct HostConnector {
    prelude: Arc<str>,
    ssh: Arc<SshContext>,
    user: String,
    /// One for each fan-out tool and way of calling it.
    hubs: Mutex<HashMap<String, Arc<Hub>>>,
}

/// What of this machine's user takes part in logins.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The login name.
    pub user: String,
    /// Holds `.ssh` with keys and known_hosts.
    pub home: Option<PathBuf>,
    /// The socket of an SSH agent.
    pub agent: Option<PathBuf>,
    /// The system's ssh_config.
    pub system_config: Option<PathBuf>,
    /// Environment variables that ssh_config may name.
    pub env: HashMap<String, String>,
}

impl Identity {
    /// Reads the environment: `USER`, `HOME`, `SSH_AUTH_SOCK` and what ssh_config may name.
    pub fn from_environment() -> Self {
        let path = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let root = rustix::process::getuid().is_root();
        let user = match std::env::var("USER").or_else(|_| std::env::var("LOGNAME")) {
            _ if root => "root".into(),
            Ok(user) => user,
            Err(_) => String::new(),
        };
        let env =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self {
            user,
            home: path("HOME"),
            agent: path("SSH_AUTH_SOCK"),
            system_config: Some("/etc/ssh/ssh_config".into()),
            env: env.collect(),
        }
    }
}

impl HostConnector {
    /// `prelude` is shell text with functions that every script may use.
    pub fn new(prelude: impl Into<Arc<str>>, identity: Identity) -> Self {
        let user = identity.user.clone();
        let ssh = Arc::new(SshContext::new(identity));
        Self { prelude: prelude.into(), ssh, user, hubs: Mutex::default() }
    }

    /// Returns the hub through which a host is reached.
    fn hub(&self, spec: &ConnectionSpec, tool: Tool) -> Result<Arc<Hub>, TransportError> {
        let Some(fan_out) = &spec.fan_out else {
            let reason = format!("nobody says where {} is called for {}", tool.name(), spec.host);
            return Err(TransportError::Protocol { reason });
        };
        let via = &fan_out.via;
        let place = (via.kind, &via.host, &via.address, via.port, &via.user);
        let key = format!("{tool:?} {place:?} {:?}", fan_out.args);
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            // Where the tool is called nothing is needed but a shell.
            let plain = HostConnector {
                prelude: "".into(),
                ssh: self.ssh.clone(),
                user: self.user.clone(),
                hubs: Mutex::default(),
            };
            Arc::new(Hub::new(tool, via.clone(), fan_out.args.clone(), Arc::new(plain), self.prelude.clone()))
        };
        Ok(hubs.entry(key).or_insert_with(made).clone())
    }
}

impl Connector for HostConnector {
    fn take_warnings(&self) -> Vec<String> {
        self.ssh.take_warnings()
    }

    fn lacks_key(&self, spec: &ConnectionSpec) -> bool {
        matches!(spec.kind, Kind::Ssh | Kind::SshBinary) && self.ssh.lacks_key(spec)
    }

    fn unknown_key<'a>(
        &'a self,
        spec: &'a ConnectionSpec,
    ) -> BoxFuture<'a, Result<Option<Box<UnknownKey>>, TransportError>> {
        Box::pin(look_at_keys(&self.ssh, spec))
    }

    fn locked_keys<'a>(&'a self, spec: &'a ConnectionSpec) -> BoxFuture<'a, Vec<PathBuf>> {
        match spec.kind.is_fan_out() {
            true => Box::pin(std::future::ready(Vec::new())),
            false => Box::pin(self.ssh.locked_keys(spec)),
        }
    }

    fn unlock(&self, key: &Path, passphrase: &Secret) -> bool {
        self.ssh.unlock(key, passphrase)
    }

    fn connect<'a>(
        &'a self,
        spec: &'a ConnectionSpec,
    ) -> BoxFuture<'a, Result<Box<dyn Connection>, TransportError>> {
        Box::pin(async move {
            if let Some(tool) = Tool::of(spec.kind) {
                let connection = FanoutConnection::new(spec, self.hub(spec, tool)?)?;
                return Ok(Box::new(connection) as Box<dyn Connection>);
            }
            Ok(match spec.kind {
                Kind::Local => {
                    let (prelude, guard) = (self.prelude.clone(), self.ssh.guard.clone());
                    Box::new(LocalConnection::new(spec, prelude, self.user.clone(), guard))
                        as Box<dyn Connection>
                }
                Kind::SshBinary => {
                    Box::new(BinaryConnection::connect(spec, self.prelude.clone(), self.ssh.clone()).await?)
                }
                Kind::Ssh | Kind::Clush | Kind::Xdsh => {
                    Box::new(SshConnection::connect(spec, self.prelude.clone(), self.ssh.clone()).await?)
                }
            })
        })
    }
}
