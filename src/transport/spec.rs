//! Where to connect, as whom, and whose key to trust. Filled from inventory, variables and flags by others.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::ssh::config::Arguments;
use crate::value::Secret;

/// How a host is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A shell on this machine.
    Local,
    Ssh,
    /// SSH by the system's own client.
    SshBinary,
    /// By ClusterShell's `clush`, many hosts at once.
    Clush,
    /// By xCAT's `xdsh`, many hosts at once.
    Xdsh,
}

impl Kind {
    /// Tells whether a tool of the site sends the same to many hosts at once.
    pub fn is_fan_out(self) -> bool {
        matches!(self, Kind::Clush | Kind::Xdsh)
    }
}

/// Where a fan-out tool is, and how it is called.
#[derive(Clone, Debug)]
pub struct FanOut {
    /// The host where it is called.
    pub via: ConnectionSpec,
    /// Further arguments.
    pub args: Vec<String>,
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

/// Everything needed to connect to one host. What is absent here is taken from ssh_config.
#[derive(Clone, Debug)]
pub struct ConnectionSpec {
    pub kind: Kind,
    /// The inventory name, for messages.
    pub host: String,
    /// The host's name or address, as ssh_config knows it, or its name for a fan-out tool.
    pub address: String,
    pub port: Option<u16>,
    /// The login name; this machine's user if nobody says it.
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Private key files, tried before the agent's and those of ssh_config.
    pub keys: Vec<PathBuf>,
    /// Opens these keys.
    pub passphrase: Option<Secret>,
    /// Files in the format of `known_hosts`; the first one takes accepted keys.
    pub known_hosts: Vec<PathBuf>,
    /// Lines in the format of `known_hosts` that count like a file, for example a rehearsal's own keys.
    pub extra_host_keys: Vec<String>,
    pub host_key_policy: Option<HostKeyPolicy>,
    /// Which key the host may have after it was started anew.
    pub key_after_reboot: KeyAfterReboot,
    /// It is being started anew by a step of this run, so that this counts now.
    pub rebooting: bool,
    pub connect_timeout: Option<Duration>,
    /// Also offer the algorithms of servers from before 2014.
    pub legacy: bool,
    /// Arguments for OpenSSH's client that count before everything else here, and those that count after it. Both
    /// count before the files of ssh_config.
    pub arguments_first: Arc<Arguments>,
    pub arguments: Arc<Arguments>,
    /// The POSIX shell on the target.
    pub shell: String,
    /// For the kinds that are a fan-out tool.
    pub fan_out: Option<Arc<FanOut>>,
}

impl ConnectionSpec {
    /// Returns a spec for SSH to `host` as ssh_config describes it.
    pub fn ssh(host: impl Into<String>) -> Self {
        let host = host.into();
        Self {
            kind: Kind::Ssh,
            address: host.clone(),
            host,
            port: None,
            user: None,
            password: None,
            keys: Vec::new(),
            passphrase: None,
            known_hosts: Vec::new(),
            extra_host_keys: Vec::new(),
            host_key_policy: None,
            key_after_reboot: KeyAfterReboot::Same,
            rebooting: false,
            connect_timeout: None,
            legacy: false,
            arguments_first: Arc::default(),
            arguments: Arc::default(),
            shell: "/bin/sh".into(),
            fan_out: None,
        }
    }

    /// Returns a spec for this machine under the inventory name `host`.
    pub fn local(host: impl Into<String>) -> Self {
        Self { kind: Kind::Local, ..Self::ssh(host) }
    }
}

/// Which key a host may show when a step of the run has started it anew. What known_hosts files and the variables of the
/// host know, authorities among it, counts always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyAfterReboot {
    /// The one that it had.
    #[default]
    Same,
    /// One of those that its variables list (`xplay_host_keys`).
    Group,
    /// One that a trusted authority has certified.
    Authority,
    /// Any, once; it is recorded in place of the one before.
    Repin,
}

impl KeyAfterReboot {
    /// The words of playbooks and inventories.
    pub const WORDS: [(&str, Self); 4] =
        [("same", Self::Same), ("group", Self::Group), ("ca", Self::Authority), ("repin", Self::Repin)];

    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, policy)| *policy)
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
    /// The program, where it is not the one that the method is called by.
    pub exe: Option<String>,
    /// Further arguments for the program, one word each.
    pub flags: Vec<String>,
}

impl BecomeSpec {
    pub fn new(method: BecomeMethod, user: impl Into<String>) -> Self {
        Self { method, user: user.into(), password: None, exe: None, flags: Vec::new() }
    }
}
