//! What can go wrong in the rehearsal cluster itself, as opposed to on one of its hosts.

use std::io;
use std::path::{Path, PathBuf};

use super::link::RootMode;

fn forbidden(only: Option<RootMode>) -> &'static str {
    match only {
        None => "allows neither namespaces nor chroot",
        Some(RootMode::Namespaces) => "does not allow namespaces, which --root-mode asks for",
        Some(RootMode::Chroot) => "does not allow chroot, which --root-mode asks for",
    }
}

/// A failure of the rehearsal cluster.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// A file or directory of the cluster could not be made, read or changed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was being done, such as `write`.
        action: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// This machine allows no way to enter the hosts' roots, or not the one that was asked for.
    #[error("cannot start rehearsal hosts: this machine {}\n{}", forbidden(*.only), .missing.join("\n"))]
    Impossible {
        /// The only way that was to be tried.
        only: Option<RootMode>,
        /// What was tried and what is missing, one sentence each.
        missing: Vec<String>,
    },
    /// A build host works in the management node's install directory, which takes a mount.
    #[error(
        "cannot start the build host: it mounts /install of the management node, which hosts entered by plain chroot cannot do"
    )]
    BuilderNeedsMounts,
    /// A root could not be entered.
    #[error("cannot start rehearsal host {host}: {step}: {reason}")]
    Enter {
        /// The host's name.
        host: String,
        /// The step that failed, such as `mount /proc`.
        step: String,
        /// The system's reason.
        reason: String,
    },
    /// A program that a root tree cannot do without is absent on this machine.
    #[error("cannot build the rehearsal hosts' userland: {0} is not installed on this machine")]
    MissingProgram(&'static str),
    /// A kept cluster does not fit what was asked for.
    #[error("cannot reuse the kept cluster in {}: {reason}", dir.display())]
    Kept {
        /// The directory of the kept cluster.
        dir: PathBuf,
        /// What differs.
        reason: String,
    },
    /// Something needs a host that is not running.
    #[error("rehearsal host {0} is not running")]
    NotRunning(String),
    /// A host name that the cluster does not have.
    #[error("no rehearsal host is called {0}")]
    NoSuchHost(String),
    /// Key or server trouble in the SSH library.
    #[error("cannot {action} for the rehearsal's ssh server")]
    Ssh {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        source: russh::keys::Error,
    },
    /// The emulated xCAT refused something.
    #[error("emulated xCAT on {host}: {reason}")]
    Emulation {
        /// The host on which it happened.
        host: String,
        /// What it said.
        reason: String,
    },
}

impl RehearsalError {
    /// Returns a function that turns an I/O error on `path` into this type, for `map_err`.
    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::File { action, path, source }
    }
}
