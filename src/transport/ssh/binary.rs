//! SSH by the system's own client, for what it can and we cannot: GSSAPI, security keys, PKCS#11, exotic settings.
//!
//! Each session is a client process; all of a connection share one login (ControlMaster). What we promise of silent hosts and
//! of host keys holds here too: the client is told what our own reading of the configuration says.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;

use super::SshContext;
use super::config::{Files, SshOption};
use super::host_key::KeyCheck;
use super::known_hosts::{self, HostKey};
use super::login::{Attempt, GOODBYE, LOGIN_LIMIT, Patience, route};
use super::target::{Target, options};
use crate::transport::channel::{Opener, RawChannel};
use crate::transport::framed::{FramedSession, Shared};
use crate::transport::local::started;
use crate::transport::patience::within_load;
use crate::transport::{BecomeSpec, BoxFuture, Connection, ConnectionSpec, Session, TransportError};

/// How long the shared login outlives its last session, in seconds.
const PERSIST: &str = "60";

/// What the client ends with when it is not the command that failed.
const CLIENT_FAILED: i32 = 255;

/// One host, reached by `ssh`.
pub(in crate::transport) struct BinaryConnection {
    shared: Shared,
    user: String,
    client: Arc<Client>,
}

/// How the client is called.
struct Client {
    spec: ConnectionSpec,
    /// Options that count before those of the spec.
    first: Vec<SshOption>,
    /// How long a host may be silent.
    silence: Option<Duration>,
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
        let route = route(&context, spec).await?;
        let Some(target) = route.last() else { return Err(unreachable("it has no address")) };
        let client = Arc::new(Client::new(spec, target)?);
        if target.repins
            && let Some(key) = client.shown_key(target).await
        {
            context.warn(judge(target, &context, &key)?);
        }
        let shared = Shared {
            host: spec.host.clone(),
            shell: spec.shell.clone(),
            prelude,
            opener: client.clone(),
            launch_timeout: target.resolved.connect_timeout.max(LOGIN_LIMIT),
            guard: context.guard.clone(),
        };
        let user = target.resolved.user.clone();
        // Connecting now tells now what is wrong with it.
        match first_session(&shared, &context, target).await {
            Ok(session) => session.close().await,
            Err(error) => {
                // The client's own words name at most one of two keys that differ.
                if error.to_string().contains("Host key verification failed")
                    && let Some(key) = client.shown_key(target).await
                {
                    judge(target, &context, &key)?;
                }
                return Err(error);
            }
        }
        Ok(Self { shared, user, client })
    }
}

/// Logs in, again with pauses while the host drops connections because it has too many.
async fn first_session(
    shared: &Shared,
    context: &SshContext,
    target: &Target,
) -> Result<Box<dyn Session>, TransportError> {
    let gate = context.gate(&target.resolved.address, target.resolved.port);
    let mut patience = Patience::new();
    loop {
        let permit = gate.acquire().await;
        let opened = FramedSession::open(shared.clone(), None).await;
        drop(permit);
        let error = match opened {
            Ok(session) => return Ok(Box::new(session)),
            Err(error) => error,
        };
        let failed = if was_dropped(&error) { Attempt::Dropped(error) } else { Attempt::Failed(error) };
        patience.after(failed).await?;
    }
}

/// Whether the host closed the connection before it said who it is.
fn was_dropped(error: &TransportError) -> bool {
    matches!(error, TransportError::Unreachable { reason, .. } if reason.contains("_exchange_identification: "))
        && !error.to_string().contains("banner line contains invalid characters")
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
            ssh.args(["-O", "exit", "--"]).arg(&self.client.spec.address).kill_on_drop(true);
            let ending = ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            // A login that is gone already is as good as a closed one.
            let _ = tokio::time::timeout(GOODBYE, ending).await;
        })
    }
}

impl Client {
    fn new(spec: &ConnectionSpec, target: &Target) -> Result<Self, TransportError> {
        let folder = tempfile::Builder::new()
            .prefix("xplay-ssh-")
            .tempdir()
            .map_err(TransportError::local("make a private directory for ssh"))?;
        let needs = &target.resolved;
        let secs = |time: Duration| time.as_secs_f64().ceil().to_string();
        let count = u32::try_from(needs.alive_count).unwrap_or(u32::MAX);
        let mut first = vec![
            SshOption::word("connecttimeout", secs(needs.connect_timeout)),
            SshOption::word("serveraliveinterval", secs(needs.alive.unwrap_or_default())),
            SshOption::word("serveralivecountmax", count.to_string()),
        ];
        if !spec.extra_host_keys.is_empty() {
            let file = folder.path().join("known_hosts");
            std::fs::write(&file, spec.extra_host_keys.join("\n") + "\n")
                .map_err(TransportError::local("write host keys for ssh"))?;
            let files = needs.known_hosts.iter().chain([&file]);
            // A percent sign begins a token.
            let files = files.map(|file| file.display().to_string().replace('%', "%%")).collect();
            first.push(SshOption::words("userknownhostsfile", files));
        }
        let silence = needs.alive.map(|interval| interval.saturating_mul(count.max(1)));
        Ok(Client { spec: spec.clone(), first, silence, folder })
    }

    fn command(&self) -> Command {
        let socket: PathBuf = self.folder.path().join("%C");
        let mut ssh = self.plain(&self.first);
        ssh.args(["-o", "ControlMaster=auto"]);
        ssh.arg("-o").arg(format!("ControlPersist={PERSIST}"));
        ssh.arg("-o").arg(format!("ControlPath={}", socket.display()));
        ssh
    }

    /// The client with options that count before those of the spec, without a shared login.
    fn plain(&self, first: &[SshOption]) -> Command {
        let mut ssh = Command::new("ssh");
        for option in first {
            ssh.arg("-o").arg(option.to_string());
        }
        ssh.args(arguments(&self.spec)).args(["-T", "-o", "BatchMode=yes"]);
        ssh
    }

    /// Looks at the key that a host shows now, without logging in.
    async fn shown_key(&self, target: &Target) -> Option<HostKey> {
        let seen = self.folder.path().join("seen");
        let mut first = vec![
            SshOption::word("userknownhostsfile", seen.display().to_string().replace('%', "%%")),
            SshOption::word("globalknownhostsfile", "none"),
            SshOption::word("stricthostkeychecking", "accept-new"),
            SshOption::word("hashknownhosts", "no"),
            SshOption::word("updatehostkeys", "no"),
            SshOption::word("preferredauthentications", "none"),
            SshOption::word("controlpath", "none"),
        ];
        first.extend(self.first.iter().filter(|option| option.keyword() != "userknownhostsfile").cloned());
        let mut ssh = self.plain(&first);
        ssh.arg("--").arg(&self.spec.address).arg("true").kill_on_drop(true);
        ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let limit = target.resolved.connect_timeout.max(LOGIN_LIMIT);
        // It is refused in any case; what keeps it from showing a key is told when we log in.
        let _ = within_load(limit, ssh.status()).await;
        let text = std::fs::read_to_string(&seen).unwrap_or_default();
        // Another look begins anew; a file that was never made need not be removed.
        let _ = std::fs::remove_file(&seen);
        text.lines().find_map(known_hosts::key_of_line)
    }
}

/// Judges a key as our own client does; returns what is worth telling of one that takes the place of another.
fn judge(target: &Target, context: &SshContext, key: &HostKey) -> Result<Option<String>, TransportError> {
    KeyCheck::new(target, context.known_hosts(target)?, target.resolved.policy).judge_bare(key)
}

/// Says why the client ended.
fn ended(status: ExitStatus, silence: Option<Duration>) -> String {
    match (status.code(), silence) {
        (Some(CLIENT_FAILED), Some(silence)) => format!(
            "ssh lost the connection; a host that is silent for {} s counts as lost",
            silence.as_secs()
        ),
        _ => format!("ssh ended ({status})"),
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
    // The client takes whole seconds only.
    let whole = spec.connect_timeout.map(|limit| Duration::from_secs(limit.as_secs_f64().ceil() as u64));
    let spec = ConnectionSpec { connect_timeout: whole, ..spec.clone() };
    for option in options(&spec) {
        words.extend(["-o".to_string(), option.to_string()]);
    }
    words
}

impl Opener for Client {
    fn open<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<RawChannel, TransportError>> {
        Box::pin(async move {
            let mut ssh = self.command();
            ssh.arg("--").arg(&self.spec.address).arg(command);
            let silence = self.silence;
            started(ssh, "ssh", &self.spec.host, move |status| ended(status, silence))
        })
    }

    /// A process of the client is there whether the host is or not.
    fn shows_life(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_whole_seconds() {
        let spec = ConnectionSpec {
            connect_timeout: Some(Duration::from_millis(2500)),
            ..ConnectionSpec::ssh("n1")
        };
        assert_eq!(arguments(&spec), ["-o", "connecttimeout=\"3\""]);
    }

    #[test]
    fn dropped_connections_are_told_from_refused_ones() {
        let check = |reason: &str, expect: bool| {
            let error = TransportError::Unreachable { host: "n1".into(), reason: reason.into() };
            assert_eq!(was_dropped(&error), expect, "{reason}");
        };
        check("kex_exchange_identification: Connection closed by remote host", true);
        check(
            "kex_exchange_identification: read: Connection reset by peer; Connection reset by 127.0.0.1 port 1",
            true,
        );
        check("ssh_exchange_identification: Connection closed by remote host", true);
        check("kex_exchange_identification: banner line contains invalid characters", false);
        check("ann@127.0.0.1: Permission denied (publickey).", false);
        check("ssh: connect to host n1 port 22: Connection refused", false);
    }
}
