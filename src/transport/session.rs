//! The three traits that the layers above talk to, and what a session knows about its target.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use super::{BecomeSpec, ConnectionSpec, Exec, NullSink, Output, OutputSink, TransportError, UnknownKey};
use crate::value::Secret;

/// A boxed future, as trait objects need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One persistent shell on one host as one user.
pub trait Session: Send {
    /// Runs one script. A session whose shell was ended by a timeout or a cancelled call opens a new one first.
    fn exec<'a>(
        &'a mut self,
        req: Exec,
        sink: &'a mut dyn OutputSink,
    ) -> BoxFuture<'a, Result<Output, TransportError>>;

    /// Runs scripts in order without waiting for one's result before the next is sent. The answer has one
    /// result for each request; after the first error the rest is [`TransportError::Unreachable`] where it is
    /// certain that a script did not run.
    fn exec_all(&mut self, reqs: Vec<Exec>) -> BoxFuture<'_, Vec<Result<Output, TransportError>>> {
        Box::pin(async move {
            let mut results = Vec::with_capacity(reqs.len());
            for req in reqs {
                results.push(self.exec(req, &mut NullSink).await);
            }
            results
        })
    }

    fn capabilities(&self) -> &Capabilities;

    /// Ends the shell, stops what still runs, and removes the private directory.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// One connection to one host.
pub trait Connection: Send + Sync {
    /// Opens a session as the login user or as somebody else. Becoming oneself is a plain session. A connection
    /// that was lost is made anew.
    fn session<'a>(
        &'a self,
        r#become: Option<&'a BecomeSpec>,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, TransportError>>;

    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Makes connections; the one place that tests replace.
pub trait Connector: Send + Sync {
    fn connect<'a>(
        &'a self,
        spec: &'a ConnectionSpec,
    ) -> BoxFuture<'a, Result<Box<dyn Connection>, TransportError>>;

    /// Returns what connecting found worth telling, each text once.
    fn take_warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Tells, without connecting, whether the host would be refused because nobody knows its key. Reads files.
    fn lacks_key(&self, _spec: &ConnectionSpec) -> bool {
        false
    }

    /// Connects far enough to see the host's key; nothing if it is known.
    fn unknown_key<'a>(
        &'a self,
        _spec: &'a ConnectionSpec,
    ) -> BoxFuture<'a, Result<Option<Box<UnknownKey>>, TransportError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Returns the private keys for a host that need a passphrase which nobody gave yet.
    fn locked_keys<'a>(&'a self, _spec: &'a ConnectionSpec) -> BoxFuture<'a, Vec<PathBuf>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// Takes the passphrase of a private key; false if it does not open it.
    fn unlock(&self, _key: &Path, _passphrase: &Secret) -> bool {
        false
    }
}

/// What a session found out about its target when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub uid: u32,
    pub user: String,
    pub home: String,
    /// `uname -s`, such as `Linux`.
    pub kernel: String,
    /// `uname -r`
    pub release: String,
    /// `uname -m`
    pub machine: String,
    /// `uname -n`
    pub node: String,
    /// The pid of the session's shell and its process group.
    pub shell_pid: u32,
    pub process_group: u32,
    pub has: Tools,
}

/// The tools that not every target has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    pub sha256sum: bool,
    pub base64: bool,
    pub setsid: bool,
    pub python3: bool,
    pub systemctl: bool,
    pub selinux: bool,
    pub stat: StatFlavour,
    pub exact_read: ExactRead,
}

/// Whose `stat` it is; formats differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatFlavour {
    Gnu,
    Busybox,
    #[default]
    None,
}

/// How exactly N bytes are taken from the session's own stdin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExactRead {
    /// `head -c N` takes N bytes and no more.
    Head,
    /// `dd` with `iflag=fullblock`.
    Dd,
    /// Shell builtins on escaped text: slow, works everywhere.
    #[default]
    Builtin,
}
