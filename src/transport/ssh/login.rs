//! From an address to an authenticated connection: jumps, algorithms, retries, limits.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{Config, Handle};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, kex, mac};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::auth::authenticate;
use super::host_key::{ClientHandler, HandlerError, KeyCheck, describe};
use super::{KnownHosts, SshContext};
use crate::transport::{ConnectionSpec, TransportError};

/// Channels of one connection; sshd allows ten by default.
const CHANNELS: usize = 8;

/// How long proving who we are may take; directory services and agents with a button are slow.
pub(super) const LOGIN_LIMIT: Duration = Duration::from_secs(30);

/// Refused connects that may be tried again, with the longest pause before each try.
const PAUSES: [u64; 6] = [100, 200, 400, 800, 1600, 3200];

/// An authenticated connection.
pub(super) struct Live {
    pub handle: Handle<ClientHandler>,
    pub channels: Arc<Semaphore>,
    ended: Arc<Mutex<Option<String>>>,
    /// The connections that this one goes through.
    _jumps: Vec<Handle<ClientHandler>>,
}

impl Live {
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Tells whether the connection is gone, after giving its task a moment to notice.
    pub async fn ended(&self) -> bool {
        for _ in 0..20 {
            if self.is_closed() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// Returns why the connection ended.
    pub fn end_reason(&self) -> String {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.clone().unwrap_or_else(|| "the connection was lost".into())
    }

    pub async fn disconnect(&self) {
        // A connection that is gone already is as good as a closed one.
        let _ = self.handle.disconnect(russh::Disconnect::ByApplication, "done", "en").await;
    }
}

/// Connects through all jumps and proves who we are on each.
pub(super) async fn log_in(context: &SshContext, spec: &ConnectionSpec) -> Result<Live, TransportError> {
    let mut jumps: Vec<Handle<ClientHandler>> = Vec::new();
    for hop in &spec.proxy_jump {
        let (handle, _) = Box::pin(one_login(context, hop, jumps.last())).await?;
        jumps.push(handle);
    }
    let (handle, ended) = Box::pin(one_login(context, spec, jumps.last())).await?;
    Ok(Live { handle, channels: Arc::new(Semaphore::new(CHANNELS)), ended, _jumps: jumps })
}

type Login = (Handle<ClientHandler>, Arc<Mutex<Option<String>>>);

/// Connects to one host, again with pauses while the host drops connections because it has too many.
async fn one_login(
    context: &SshContext,
    spec: &ConnectionSpec,
    through: Option<&Handle<ClientHandler>>,
) -> Result<Login, TransportError> {
    let gate = context.gate(&spec.address, spec.port);
    let mut pauses = PAUSES.iter();
    loop {
        let permit = gate.acquire().await;
        let (dropped, error) = match Box::pin(attempt(context, spec, through)).await {
            Ok(login) => return Ok(login),
            Err(Attempt::Dropped(error)) => (true, error),
            Err(Attempt::Failed(error)) => (false, error),
        };
        drop(permit);
        let Some(&longest) = pauses.next().filter(|_| dropped) else { return Err(error) };
        tokio::time::sleep(jitter(longest)).await;
    }
}

enum Attempt {
    /// The host closed the connection before we could say who we are.
    Dropped(TransportError),
    Failed(TransportError),
}

async fn attempt(
    context: &SshContext,
    spec: &ConnectionSpec,
    through: Option<&Handle<ClientHandler>>,
) -> Result<Login, Attempt> {
    let unreachable = |reason: String| TransportError::Unreachable { host: spec.host.clone(), reason };
    let known = context.known_hosts(spec).map_err(Attempt::Failed)?;
    let config = Arc::new(config(spec, &known));
    let ended = Arc::new(Mutex::new(None));
    let file = context.known_hosts_files(spec).into_iter().next();
    let check = KeyCheck {
        host: spec.host.clone(),
        address: spec.address.clone(),
        port: spec.port,
        policy: spec.host_key_policy,
        known,
        file,
    };
    let handler = ClientHandler { check, ended: ended.clone() };
    let connecting = async {
        let stream = dial(spec, through).await.map_err(HandlerError::Ssh)?;
        russh::client::connect_stream(config, stream, handler).await
    };
    let mut handle = match tokio::time::timeout(spec.connect_timeout, connecting).await {
        Ok(Ok(handle)) => handle,
        Ok(Err(HandlerError::Refused(error))) => return Err(Attempt::Failed(*error)),
        Ok(Err(error)) => {
            let dropped = was_dropped(&error);
            let mut reason = describe(&error);
            if matches!(error, HandlerError::Ssh(russh::Error::IO(_))) {
                reason.insert_str(0, &place(spec));
            }
            if matches!(error, HandlerError::Ssh(russh::Error::NoCommonAlgo { .. })) && !spec.legacy {
                reason.push_str("; an old server may need the legacy algorithms for this host");
            }
            let error = unreachable(reason);
            return Err(if dropped { Attempt::Dropped(error) } else { Attempt::Failed(error) });
        }
        Err(_) => {
            let reason = format!("{}no answer within {} s", place(spec), spec.connect_timeout.as_secs_f32());
            return Err(Attempt::Failed(unreachable(reason)));
        }
    };
    match tokio::time::timeout(LOGIN_LIMIT, authenticate(&mut handle, context, spec)).await {
        Ok(Ok(())) => Ok((handle, ended)),
        Ok(Err(error)) => Err(Attempt::Failed(error)),
        Err(_) => {
            let reason = format!("no answer to our login within {} s", LOGIN_LIMIT.as_secs());
            Err(Attempt::Failed(unreachable(reason)))
        }
    }
}

/// Names where we tried to connect, unless the host's name says it already.
fn place(spec: &ConnectionSpec) -> String {
    if spec.address == spec.host && spec.port == 22 {
        return String::new();
    }
    format!("{} port {}: ", spec.address, spec.port)
}

fn was_dropped(error: &HandlerError) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error {
        HandlerError::Ssh(russh::Error::HUP | russh::Error::Disconnect) => true,
        HandlerError::Ssh(russh::Error::IO(e)) => {
            matches!(e.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        }
        _ => false,
    }
}

/// A byte stream to a server's port.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

async fn dial(
    spec: &ConnectionSpec,
    through: Option<&Handle<ClientHandler>>,
) -> Result<Box<dyn Wire>, russh::Error> {
    if let Some(jump) = through {
        let port = u32::from(spec.port);
        let channel = jump.channel_open_direct_tcpip(&*spec.address, port, "127.0.0.1", 0).await?;
        return Ok(Box::new(channel.into_stream()));
    }
    let stream = TcpStream::connect((&*spec.address, spec.port)).await?;
    // Without it a small script waits 40 ms for the one before it.
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

/// Returns a pause between half of `longest` and all of it.
fn jitter(longest: u64) -> Duration {
    let mut byte = [128u8];
    // Without random bytes all pauses are alike, which is only slower.
    let _ = getrandom::fill(&mut byte);
    Duration::from_millis(longest / 2 + longest * u64::from(byte[0]) / 512)
}

fn config(spec: &ConnectionSpec, known: &KnownHosts) -> Config {
    Config {
        nodelay: true,
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 4,
        preferred: preferred(spec, known),
        ..Config::default()
    }
}

/// Chooses algorithms: fast ciphers first, and the types of host key that we know before others, because a host
/// that shows a key of another type would look unknown.
fn preferred(spec: &ConnectionSpec, known: &KnownHosts) -> Preferred {
    let default = Preferred::DEFAULT;
    let types = known.key_types(&spec.address, spec.port);
    let (mut keys, others): (Vec<Algorithm>, Vec<Algorithm>) = default
        .key
        .iter()
        .filter(|a| spec.legacy || !matches!(a, Algorithm::Rsa { hash: None }))
        .cloned()
        .partition(|a| types.contains(&blob_type(a)));
    keys.extend(others);
    let mut ciphers = vec![cipher::AES_256_GCM, cipher::AES_128_GCM];
    ciphers.extend(default.cipher.iter().filter(|c| **c != cipher::AES_256_GCM));
    let mut kexes = default.kex.to_vec();
    let mut macs = default.mac.to_vec();
    let nist = [kex::ECDH_SHA2_NISTP256, kex::ECDH_SHA2_NISTP384, kex::ECDH_SHA2_NISTP521];
    kexes.extend(nist);
    if spec.legacy {
        ciphers.extend([cipher::AES_256_CBC, cipher::AES_192_CBC, cipher::AES_128_CBC]);
        kexes.extend([kex::DH_G14_SHA1, kex::DH_GEX_SHA1, kex::DH_G1_SHA1]);
        macs.extend([mac::HMAC_SHA1_ETM, mac::HMAC_SHA1]);
    }
    let certificates = if known.has_authority(&spec.address, spec.port) { keys.clone() } else { Vec::new() };
    Preferred {
        kex: Cow::Owned(kexes),
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Owned(ciphers),
        mac: Cow::Owned(macs),
        compression: Cow::Borrowed(&[russh::compression::NONE]),
    }
}

/// Returns the type that stands in known_hosts for keys of an algorithm.
fn blob_type(algorithm: &Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Ed25519 => "ssh-ed25519",
        Algorithm::Rsa { hash: None | Some(HashAlg::Sha256 | HashAlg::Sha512 | _) } => "ssh-rsa",
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => "ecdsa-sha2-nistp256",
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 } => "ecdsa-sha2-nistp384",
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 } => "ecdsa-sha2-nistp521",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::transport::ssh::known_hosts::KnownFile;

    fn first_key(known_hosts: &str) -> String {
        let mut known = KnownHosts::default();
        known.add(Arc::new(KnownFile::parse(Path::new("kh"), known_hosts)));
        preferred(&ConnectionSpec::ssh("mn1"), &known).key[0].to_string()
    }

    #[test]
    fn known_types_of_host_key_come_first() {
        let rsa = "mn1 ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQA=\n";
        assert_eq!(first_key(""), "ssh-ed25519");
        assert_eq!(first_key(rsa), "rsa-sha2-512");
    }

    #[test]
    fn old_algorithms_are_offered_on_request_only() {
        let mut spec = ConnectionSpec::ssh("mn1");
        let names = |spec: &ConnectionSpec| {
            let p = preferred(spec, &KnownHosts::default());
            let kexes = p.kex.iter().map(AsRef::as_ref).map(str::to_owned);
            let keys: Vec<String> = p.key.iter().map(ToString::to_string).collect();
            kexes
                .chain(p.cipher.iter().map(|c| c.as_ref().to_owned()))
                .chain(keys)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let modern = names(&spec);
        spec.legacy = true;
        let legacy = names(&spec);
        for old in ["group1-sha1", "group14-sha1", "aes128-cbc", "ssh-rsa"] {
            assert!(!modern.contains(old) && legacy.contains(old), "{old}");
        }
    }

    #[test]
    fn pauses_stay_in_their_range() {
        for _ in 0..100 {
            let pause = jitter(200).as_millis();
            assert!((100..=200).contains(&pause), "{pause}");
        }
    }
}
