//! Where to connect, as whom, and whose key to trust. Filled from inventory, variables and flags by others.

use std::path::PathBuf;
use std::time::Duration;

use crate::value::Secret;

/// How a host is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A shell on this machine.
    Local,
    Ssh,
}

/// What to do with a host key that no known_hosts file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HostKeyPolicy {
    /// Refuse it.
    #[default]
    Strict,
    /// Accept it and append it to the first known_hosts file.
    AcceptNew,
    /// Accept any key, changed ones too.
    Off,
}

/// Everything needed to connect to one host.
#[derive(Clone, Debug)]
pub struct ConnectionSpec {
    pub kind: Kind,
    /// The inventory name, for messages.
    pub host: String,
    pub address: String,
    pub port: u16,
    /// The login name; this machine's user if absent.
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Private key files, tried before the agent's and the default ones.
    pub keys: Vec<PathBuf>,
    /// Whether the agent, `~/.ssh/id_*` are tried too.
    pub default_keys: bool,
    /// Files in the format of `known_hosts`; the first one takes accepted keys. Empty: the user's and the system's.
    pub known_hosts: Vec<PathBuf>,
    /// Lines in the format of `known_hosts` that count like a file, for example a rehearsal's own keys.
    pub extra_host_keys: Vec<String>,
    pub host_key_policy: HostKeyPolicy,
    pub connect_timeout: Duration,
    /// Also offer the algorithms of servers from before 2014.
    pub legacy: bool,
    /// Hosts to go through, nearest first.
    pub proxy_jump: Vec<ConnectionSpec>,
    /// The POSIX shell on the target.
    pub shell: String,
}

impl ConnectionSpec {
    /// Returns a spec for SSH to `host` on port 22 with strict host keys.
    pub fn ssh(host: impl Into<String>) -> Self {
        let host = host.into();
        Self {
            kind: Kind::Ssh,
            address: host.clone(),
            host,
            port: 22,
            user: None,
            password: None,
            keys: Vec::new(),
            default_keys: true,
            known_hosts: Vec::new(),
            extra_host_keys: Vec::new(),
            host_key_policy: HostKeyPolicy::Strict,
            connect_timeout: Duration::from_secs(10),
            legacy: false,
            proxy_jump: Vec::new(),
            shell: "/bin/sh".into(),
        }
    }

    /// Returns a spec for this machine under the inventory name `host`.
    pub fn local(host: impl Into<String>) -> Self {
        Self { kind: Kind::Local, ..Self::ssh(host) }
    }
}

/// The program that changes the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BecomeMethod {
    Sudo,
    Su,
    Doas,
}

impl std::fmt::Display for BecomeMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BecomeMethod::Sudo => "sudo",
            BecomeMethod::Su => "su",
            BecomeMethod::Doas => "doas",
        })
    }
}

/// Whom to become after login, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BecomeSpec {
    pub method: BecomeMethod,
    pub user: String,
    pub password: Option<Secret>,
    /// Further arguments for the program, one word each.
    pub flags: Vec<String>,
}

impl BecomeSpec {
    pub fn new(method: BecomeMethod, user: impl Into<String>) -> Self {
        Self { method, user: user.into(), password: None, flags: Vec::new() }
    }
}
