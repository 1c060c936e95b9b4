//! What can go wrong between this machine and a script on a host. A script that fails is not among it.

use std::path::PathBuf;
use std::time::Duration;

use super::BecomeMethod;
use super::known_hosts::{HostKey, Naming, append};

/// Why a script did not run, or why it is unknown how it ended.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No script was sent.
    #[error("cannot reach {host}: {reason}")]
    Unreachable { host: String, reason: String },
    #[error("cannot log in to {host} as {user}: {reason}")]
    Auth { host: String, user: String, reason: String },
    /// No file has a key of the host.
    #[error(transparent)]
    HostKeyUnknown(Box<UnknownKey>),
    /// The host's key is another one than known_hosts says.
    #[error(transparent)]
    HostKeyChanged(Box<ChangedKey>),
    /// The host's key is marked `@revoked`.
    #[error("host key of {host} is revoked by {}:{line}: {key_type} {fingerprint}", file.display())]
    HostKeyRevoked { host: String, key_type: String, fingerprint: String, file: PathBuf, line: usize },
    #[error("cannot become {user} on {host} by {method}: {reason}")]
    Become { host: String, user: String, method: BecomeMethod, reason: String },
    #[error("{what} took longer than {} s{}", after.as_secs_f32(), may_still_run(still.as_deref()))]
    Timeout {
        what: String,
        after: Duration,
        /// Why it could not be stopped, where it could not.
        still: Option<String>,
    },
    /// The connection was lost after the script was sent: nobody knows whether it ran.
    #[error("lost {host} while a script was running: {reason}")]
    Lost { host: String, reason: String },
    #[error("{reason}")]
    Protocol { reason: String },
    /// Something failed on this machine.
    #[error("cannot {what}")]
    Local {
        what: String,
        #[source]
        source: std::io::Error,
    },
}

fn may_still_run(still: Option<&str>) -> String {
    still.map(|reason| format!(" (it may still run: {reason})")).unwrap_or_default()
}

/// How a reason starts where a program asked for a password that we do not have.
pub(super) const PASSWORD_NEEDED: &str = "a password is needed, and none was given";

/// A host key that no known_hosts file has.
#[derive(Debug, thiserror::Error)]
#[error("host key of {host} is not known: {} {}", key.key_type, key.fingerprint())]
pub struct UnknownKey {
    /// The inventory name.
    pub host: String,
    /// The name under which the key would be known, and its port.
    pub name: String,
    pub port: u16,
    /// What the host showed.
    pub key: HostKey,
    /// The file that takes new keys.
    pub file: Option<PathBuf>,
    pub naming: Naming,
    pub help: String,
}

impl UnknownKey {
    /// Writes the key into its file, so that it is known.
    pub fn record(&self) -> std::io::Result<()> {
        match &self.file {
            Some(file) => append(file, &self.name, self.port, &self.key, self.naming),
            None => Err(std::io::Error::other("no file takes keys of hosts")),
        }
    }
}

/// A host key that differs from the known one.
#[derive(Debug, thiserror::Error)]
#[error("host key of {host} has changed: {key_type} {fingerprint}, but {}:{line} has {known}", file.display())]
pub struct ChangedKey {
    pub host: String,
    pub key_type: String,
    /// What the host showed.
    pub fingerprint: String,
    /// What the file has.
    pub known: String,
    pub file: PathBuf,
    pub line: usize,
    pub help: String,
}

impl TransportError {
    /// Tells whether the script may have run although no result came back.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Timeout { .. })
    }

    /// Returns what the user can do about it.
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::HostKeyUnknown(unknown) => Some(&unknown.help),
            Self::HostKeyChanged(changed) => Some(&changed.help),
            Self::Become { reason, .. } if reason.starts_with(PASSWORD_NEEDED) => {
                Some("give it with -K, --become-password-file or ansible_become_password")
            }
            _ => None,
        }
    }

    pub(super) fn local(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Local { what, source }
    }
}
