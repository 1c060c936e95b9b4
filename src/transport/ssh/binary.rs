//! SSH by the system's own client, for what it can and we cannot: GSSAPI, security keys, PKCS#11, exotic settings.
//!
//! Each session is a client process; all of a connection share one login (ControlMaster).

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;

use super::SshContext;
use super::config::Files;
use super::target::options;
use crate::transport::channel::{Opener, RawChannel};
use crate::transport::framed::{FramedSession, Shared};
use crate::transport::local::started;
use crate::transport::{BecomeSpec, BoxFuture, Connection, ConnectionSpec, Session, TransportError};

/// How long the shared login outlives its last session, in seconds.
const PERSIST: &str = "60";

/// One host, reached by `ssh`.
pub(in crate::transport) struct BinaryConnection {
    shared: Shared,
    user: String,
    client: Arc<Client>,
}

/// How the client is called.
struct Client {
    spec: ConnectionSpec,
    /// Holds the socket of the shared login.
    folder: tempfile::TempDir,
}

impl BinaryConnection {
    pub async fn connect(
        spec: &ConnectionSpec,
        prelude: Arc<str>,
        context: Arc<SshContext>,
    ) -> Result<Self, TransportError> {
        let unreachable =
            |reason: &str| TransportError::Unreachable { host: spec.host.clone(), reason: reason.into() };
        if spec.password.is_some() || spec.passphrase.is_some() {
            return Err(unreachable(
                "connection ssh-binary takes no passwords: use an agent, keys or Kerberos",
            ));
        }
        // Our own reading of the configuration tells who we are there, and that the names are none of ssh's options.
        let (shared, own) = (context.clone(), spec.clone());
        let route = tokio::task::spawn_blocking(move || shared.route(&own)).await;
        let route = route.map_err(|e| unreachable(&format!("reading ssh_config failed: {e}")))??;
        let Some(target) = route.last() else { return Err(unreachable("it has no address")) };
        let folder = tempfile::Builder::new()
            .prefix("xplay-ssh-")
            .tempdir()
            .map_err(TransportError::local("make a private directory for ssh"))?;
        let client = Arc::new(Client { spec: spec.clone(), folder });
        let shared = Shared {
            host: spec.host.clone(),
            shell: spec.shell.clone(),
            prelude,
            opener: client.clone(),
            launch_timeout: target.resolved.connect_timeout.max(super::login::LOGIN_LIMIT),
            guard: context.guard.clone(),
        };
        let user = target.resolved.user.clone();
        // Connecting now tells now what is wrong with it.
        let session = FramedSession::open(shared.clone(), None).await?;
        Box::new(session).close().await;
        Ok(Self { shared, user, client })
    }
}

impl Connection for BinaryConnection {
    fn session<'a>(
        &'a self,
        r#become: Option<&'a BecomeSpec>,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, TransportError>> {
        Box::pin(FramedSession::of_connection(self.shared.clone(), &self.user, r#become))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut ssh = self.client.command();
            ssh.args(["-O", "exit", "--"]).arg(&self.client.spec.address);
            // A login that is gone already is as good as a closed one.
            let _ = ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
        })
    }
}

impl Client {
    fn command(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(arguments(&self.spec));
        let socket: PathBuf = self.folder.path().join("%C");
        ssh.args(["-T", "-o", "BatchMode=yes", "-o", "ControlMaster=auto"]);
        ssh.arg("-o").arg(format!("ControlPersist={PERSIST}"));
        ssh.arg("-o").arg(format!("ControlPath={}", socket.display()));
        ssh
    }
}

/// Returns the arguments by which OpenSSH's client connects as a spec says, without the address.
pub fn arguments(spec: &ConnectionSpec) -> Vec<String> {
    let mut words = Vec::new();
    match spec.arguments.files.as_ref().or(spec.arguments_first.files.as_ref()) {
        Some(Files::Only(path)) => words.extend(["-F".to_string(), path.display().to_string()]),
        Some(Files::None) => words.extend(["-F".to_string(), "none".to_string()]),
        Some(Files::Usual) | None => {}
    }
    for option in options(spec) {
        words.extend(["-o".to_string(), option.to_string()]);
    }
    words
}

impl Opener for Client {
    fn open<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<RawChannel, TransportError>> {
        Box::pin(async move {
            let mut ssh = self.command();
            ssh.arg("--").arg(&self.spec.address).arg(command);
            started(ssh, "ssh", &self.spec.host)
        })
    }
}
