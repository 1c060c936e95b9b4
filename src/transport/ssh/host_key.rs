//! Deciding about a server's key, with the known_hosts files, during the key exchange.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use russh::Channel;
use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};

use super::known_hosts::{self, HostKey, KnownHosts, Naming, Verdict, lookup_name, matches};
use super::target::Target;
use crate::transport::{ChangedKey, HostKeyPolicy, TransportError, UnknownKey};

/// What decides about one server's key.
pub(super) struct KeyCheck {
    /// The inventory name, for messages.
    host: String,
    /// The name under which the key is known: the address, or its alias.
    address: String,
    port: u16,
    policy: HostKeyPolicy,
    known: KnownHosts,
    /// Takes accepted keys.
    file: Option<PathBuf>,
    /// Accepted keys are written without the host's name.
    hashed: bool,
    /// A changed key takes the place of the known one.
    repins: bool,
}

impl KeyCheck {
    pub fn new(target: &Target, known: KnownHosts, policy: HostKeyPolicy) -> Self {
        let (address, port) = target.key_name();
        Self {
            host: target.host.clone(),
            address: address.to_owned(),
            port,
            policy,
            known,
            file: target.new_keys.clone(),
            hashed: target.resolved.hash_known_hosts,
            repins: target.repins,
        }
    }

    /// Returns what is worth telling when the key is good.
    fn judge(&self, shown: &PublicKeyOrCertificate) -> Result<Option<String>, TransportError> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.judge_bare(&host_key(key)?),
            PublicKeyOrCertificate::Certificate(certificate) => {
                let judged = self.judge_certificate(certificate);
                self.settle(judged, || host_key(&PublicKey::new(certificate.public_key().clone(), "")))
            }
        }
    }

    /// The same for a key that came without a certificate.
    pub fn judge_bare(&self, key: &HostKey) -> Result<Option<String>, TransportError> {
        self.settle(self.judge_key(key), || Ok(key.clone()))
    }

    /// Takes a key that was refused in place of the known one, where that was declared.
    fn settle(
        &self,
        judged: Result<(), TransportError>,
        key: impl FnOnce() -> Result<HostKey, TransportError>,
    ) -> Result<Option<String>, TransportError> {
        match judged {
            Ok(()) => Ok(None),
            Err(refused) if self.repins => self.repin(&key()?, refused).map(Some),
            Err(refused) => Err(refused),
        }
    }

    /// Records a key in place of the one that the host had before it was started anew.
    fn repin(&self, key: &HostKey, refused: TransportError) -> Result<String, TransportError> {
        let (file, before) = match &refused {
            TransportError::HostKeyChanged(changed) => (changed.file.clone(), changed.known.clone()),
            // It had keys of other types.
            TransportError::HostKeyUnknown(unknown) => {
                let types = self.known.key_types(&self.address, self.port);
                match &unknown.file {
                    Some(file) if !types.is_empty() => (file.clone(), types.join(", ")),
                    _ => return Err(refused),
                }
            }
            _ => return Err(refused),
        };
        let replaced = known_hosts::replace(&file, &self.address, self.port, key, self.naming());
        if let Err(e) = replaced {
            let what = format!(
                "record the new key {} {} of {} in place of {before} in {}",
                key.key_type,
                key.fingerprint(),
                self.host,
                file.display()
            );
            return Err(TransportError::local(what)(e));
        }
        Ok(format!(
            "host key of {}: {before} was replaced by {} {} in {}, as xplay_key_after_reboot says",
            self.host,
            key.key_type,
            key.fingerprint(),
            file.display()
        ))
    }

    fn judge_key(&self, key: &HostKey) -> Result<(), TransportError> {
        let (host, key_type, fingerprint) = (self.host.clone(), key.key_type.clone(), key.fingerprint());
        let name = lookup_name(&self.address, self.port);
        match self.known.check(&self.address, self.port, key) {
            Verdict::Known => Ok(()),
            Verdict::Revoked(place) => {
                let (file, line) = (place.file, place.line);
                Err(TransportError::HostKeyRevoked { host, key_type, fingerprint, file, line })
            }
            _ if self.policy == HostKeyPolicy::Off => Ok(()),
            Verdict::Changed { known, place } => Err(TransportError::HostKeyChanged(Box::new(ChangedKey {
                host,
                key_type,
                fingerprint,
                known,
                help: format!(
                    "if the host was installed anew, compare the fingerprint on its console and remove the old \
                     key: ssh-keygen -R {name:?} -f {}; if a step of the playbook gives it new keys, say so in \
                     xplay_key_after_reboot; if not, somebody may be listening",
                    place.file.display()
                ),
                file: place.file,
                line: place.line,
            }))),
            Verdict::Unknown => {
                let unknown = self.unknown(key);
                if self.policy != HostKeyPolicy::AcceptNew {
                    return Err(TransportError::HostKeyUnknown(Box::new(unknown)));
                }
                let Some(file) = &unknown.file else { return Ok(()) };
                let what = format!("add the key of {name} to {}", file.display());
                unknown.record().map_err(TransportError::local(what))
            }
        }
    }

    fn unknown(&self, key: &HostKey) -> UnknownKey {
        let others = self.known.key_types(&self.address, self.port);
        let others = if others.is_empty() {
            String::new()
        } else {
            format!(" (known for this host: {})", others.join(", "))
        };
        let skipped = self.known.malformed().take(3).map(|p| format!("{}:{}", p.file.display(), p.line));
        let skipped: Vec<String> = skipped.collect();
        let skipped = if skipped.is_empty() {
            String::new()
        } else {
            format!("; lines that make no sense were skipped: {}", skipped.join(", "))
        };
        let file = self.file.as_ref().map_or_else(|| "known_hosts".into(), |f| f.display().to_string());
        UnknownKey {
            host: self.host.clone(),
            name: self.address.clone(),
            port: self.port,
            key: key.clone(),
            file: self.file.clone(),
            naming: self.naming(),
            help: format!(
                "\"xplay hosts trust {}\" shows the key and adds it to {file}; or accept new keys with \
                 --ssh-extra-args=\"-o StrictHostKeyChecking=accept-new\"{others}{skipped}",
                self.host
            ),
        }
    }

    fn naming(&self) -> Naming {
        if self.hashed { Naming::Hashed } else { Naming::Plain }
    }

    fn judge_certificate(&self, certificate: &Certificate) -> Result<(), TransportError> {
        let own = host_key(&PublicKey::new(certificate.public_key().clone(), ""))?;
        let authority = PublicKey::new(certificate.signature_key().clone(), "");
        let authority_key = host_key(&authority)?;
        if let Some(place) = self.known.revoked(&self.address, self.port, &own) {
            return Err(TransportError::HostKeyRevoked {
                host: self.host.clone(),
                key_type: own.key_type.clone(),
                fingerprint: own.fingerprint(),
                file: place.file,
                line: place.line,
            });
        }
        if self.policy == HostKeyPolicy::Off {
            return Ok(());
        }
        if !self.known.is_authority(&self.address, self.port, &authority_key) {
            // As OpenSSH does: a certificate of somebody unknown counts as its bare key.
            return self.judge_key(&own);
        }
        let refuse = |reason: &str| {
            Err(TransportError::Unreachable {
                host: self.host.clone(),
                reason: format!("its host certificate {:?} {reason}", certificate.key_id()),
            })
        };
        if certificate.cert_type() != CertType::Host {
            return refuse("is not for a host");
        }
        if !certificate.critical_options().is_empty() {
            return refuse("has critical options that nobody knows");
        }
        let principals = certificate.valid_principals();
        let name = self.address.to_ascii_lowercase();
        if !principals.is_empty() && !principals.iter().any(|p| matches(p.as_bytes(), name.as_bytes())) {
            return refuse(&format!("is not for {name}"));
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.map_or(0, |d| d.as_secs());
        match certificate.validate_at(now, &[authority.fingerprint(HashAlg::Sha256)]) {
            Ok(()) => Ok(()),
            Err(_) => refuse("is expired, not valid yet or badly signed"),
        }
    }
}

fn host_key(key: &PublicKey) -> Result<HostKey, TransportError> {
    let unreadable = || TransportError::Protocol { reason: "the server's key is unreadable".into() };
    let blob = key.to_bytes().map_err(|_| unreadable())?;
    HostKey::from_blob(blob).ok_or_else(unreadable)
}

/// The callbacks of one SSH connection.
pub(super) struct ClientHandler {
    pub check: KeyCheck,
    /// Why the connection ended, for those who were using it.
    pub ended: Arc<Mutex<Option<String>>>,
    /// What is worth telling of the key.
    pub note: Arc<Mutex<Option<String>>>,
    /// The socket of the agent that programs on the host may use.
    pub agent: Option<PathBuf>,
}

/// Carries our own reason through russh.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandlerError {
    #[error(transparent)]
    Ssh(#[from] russh::Error),
    #[error(transparent)]
    Refused(Box<TransportError>),
}

impl Handler for ClientHandler {
    type Error = HandlerError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, HandlerError> {
        match self.check.judge(shown) {
            Ok(note) => {
                *self.note.lock().unwrap_or_else(PoisonError::into_inner) = note;
                Ok(true)
            }
            Err(e) => Err(HandlerError::Refused(Box::new(e))),
        }
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        let Some(socket) = self.agent.clone() else {
            reply.reject(russh::ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        };
        reply.accept().await;
        tokio::spawn(async move {
            // Whoever asked the agent sees that it does not answer.
            if let Ok(mut agent) = tokio::net::UnixStream::connect(&socket).await {
                let _ = tokio::io::copy_bidirectional(&mut channel.into_stream(), &mut agent).await;
            }
        });
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<HandlerError>) -> Result<(), HandlerError> {
        let (text, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                (format!("the server says: {}", info.message), Ok(()))
            }
            DisconnectReason::Error(e) => (describe(&e), Err(e)),
        };
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        result
    }
}

/// Returns a reason in plain words.
pub(super) fn describe(error: &HandlerError) -> String {
    match error {
        HandlerError::Ssh(russh::Error::HUP | russh::Error::Disconnect) => {
            "the connection was closed by the other side".into()
        }
        HandlerError::Ssh(russh::Error::KeepaliveTimeout) => "the host does not answer any more".into(),
        HandlerError::Ssh(russh::Error::NoCommonAlgo { kind, ours, theirs }) => format!(
            "no common {} algorithm: the server offers {}; we offer {}",
            format!("{kind:?}").to_lowercase(),
            theirs.join(","),
            ours.join(",")
        ),
        other => other.to_string(),
    }
}
