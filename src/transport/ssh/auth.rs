//! Proving who we are: keys that were named, the agent's, the default ones, password, keyboard-interactive.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};

use super::SshContext;
use super::host_key::ClientHandler;
use crate::transport::{ConnectionSpec, TransportError};

/// Key files that are tried without being named, in this order.
const DEFAULT_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// How often a server may ask on, as for a second factor, before we give up.
const QUESTIONS: usize = 4;

/// Tries all methods until one is accepted.
pub(super) async fn authenticate(
    handle: &mut Handle<ClientHandler>,
    context: &SshContext,
    spec: &ConnectionSpec,
) -> Result<(), TransportError> {
    let user = spec.user.clone().unwrap_or_else(|| context.identity.user.clone());
    let mut attempt =
        Attempt { handle, user, legacy: spec.legacy, rsa_hash: None, log: Vec::new(), allowed: None };
    if Box::pin(attempt.all(context, spec)).await {
        return Ok(());
    }
    Err(TransportError::Auth { host: spec.host.clone(), reason: attempt.reason(), user: attempt.user })
}

struct Attempt<'a> {
    handle: &'a mut Handle<ClientHandler>,
    user: String,
    legacy: bool,
    /// What the server takes for RSA keys, once asked.
    rsa_hash: Option<Option<HashAlg>>,
    /// What was tried and what became of it.
    log: Vec<String>,
    /// What the server says it takes.
    allowed: Option<MethodSet>,
}

impl Attempt<'_> {
    async fn all(&mut self, context: &SshContext, spec: &ConnectionSpec) -> bool {
        if self.user.is_empty() {
            self.log.push("no user name is known".into());
            return false;
        }
        // Some servers want no proof; the others tell what they take, so that a password is not tried in vain.
        let none = self.handle.authenticate_none(self.user.clone()).await;
        if self.settle("none", none) {
            return true;
        }
        if self.takes(MethodKind::PublicKey) && self.keys(context, spec).await {
            return true;
        }
        let Some(password) = &spec.password else { return false };
        if self.takes(MethodKind::Password) {
            let answer = self.handle.authenticate_password(self.user.clone(), password.expose()).await;
            if self.settle("the password", answer) {
                return true;
            }
        }
        self.takes(MethodKind::KeyboardInteractive) && self.questions(password.expose()).await
    }

    async fn keys(&mut self, context: &SshContext, spec: &ConnectionSpec) -> bool {
        for path in &spec.keys {
            if self.key_file(path, true).await {
                return true;
            }
        }
        if !spec.default_keys {
            return false;
        }
        if let Some(socket) = &context.identity.agent
            && self.agent(socket).await
        {
            return true;
        }
        let Some(home) = &context.identity.home else { return false };
        for name in DEFAULT_KEYS {
            let path = home.join(".ssh").join(name);
            if !spec.keys.contains(&path) && self.key_file(&path, false).await {
                return true;
            }
        }
        false
    }

    async fn key_file(&mut self, path: &Path, named: bool) -> bool {
        if self.handle.is_closed() {
            return false;
        }
        let name = path.display().to_string();
        let key = match load_key(path.to_path_buf()).await {
            Ok(key) => Arc::new(key),
            Err(KeyFileError::Absent) if !named => return false,
            Err(KeyFileError::Absent) => {
                self.log.push(format!("{name} does not exist"));
                return false;
            }
            Err(KeyFileError::Encrypted) => {
                self.log.push(format!("{name} is encrypted (add it to an agent with ssh-add)"));
                return false;
            }
            Err(KeyFileError::Other(reason)) => {
                self.log.push(format!("{name} cannot be read: {reason}"));
                return false;
            }
        };
        let certificate = PathBuf::from(format!("{name}-cert.pub"));
        if let Ok(certificate) = russh::keys::load_openssh_certificate(&certificate) {
            let answer =
                self.handle.authenticate_openssh_cert(self.user.clone(), key.clone(), certificate).await;
            if self.settle(&format!("{name}-cert.pub"), answer) {
                return true;
            }
        }
        let hash = if key.algorithm().is_rsa() { self.rsa_hash().await } else { None };
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let answer = self.handle.authenticate_publickey(self.user.clone(), key).await;
        self.settle(&name, answer)
    }

    async fn agent(&mut self, socket: &Path) -> bool {
        let mut agent = match AgentClient::connect_uds(socket).await {
            Ok(agent) => agent,
            Err(e) => {
                self.log.push(format!("the agent does not answer: {e}"));
                return false;
            }
        };
        let identities = match agent.request_identities().await {
            Ok(identities) => identities,
            Err(e) => {
                self.log.push(format!("the agent shows no keys: {e}"));
                return false;
            }
        };
        for identity in identities {
            if self.handle.is_closed() {
                return false;
            }
            let user = self.user.clone();
            let (name, answer) = match identity {
                AgentIdentity::PublicKey { key, comment } => {
                    let hash = self.hash_for(&key).await;
                    let answer = self.handle.authenticate_publickey_with(user, key, hash, &mut agent).await;
                    (comment, answer.map_err(|e| e.to_string()))
                }
                AgentIdentity::Certificate { certificate, comment } => {
                    let key = PublicKey::new(certificate.public_key().clone(), "");
                    let hash = self.hash_for(&key).await;
                    let answer =
                        self.handle.authenticate_certificate_with(user, certificate, hash, &mut agent).await;
                    (comment, answer.map_err(|e| e.to_string()))
                }
            };
            if self.settle(&format!("the agent's key {name}"), answer) {
                return true;
            }
        }
        false
    }

    async fn hash_for(&mut self, key: &PublicKey) -> Option<HashAlg> {
        if key.algorithm().is_rsa() { self.rsa_hash().await } else { None }
    }

    /// Returns how the server wants signatures of RSA keys; nothing means SHA-1.
    async fn rsa_hash(&mut self) -> Option<HashAlg> {
        if let Some(known) = self.rsa_hash {
            return known;
        }
        let told = self.handle.best_supported_rsa_hash().await.ok().flatten();
        // A server that tells nothing is old: SHA-1 only if the user said so, else the modern one with hope.
        let hash = told.unwrap_or(if self.legacy { None } else { Some(HashAlg::Sha256) });
        self.rsa_hash = Some(hash);
        hash
    }

    async fn questions(&mut self, password: &str) -> bool {
        let mut answer = self.handle.authenticate_keyboard_interactive_start(self.user.clone(), None).await;
        let mut given = false;
        for _ in 0..QUESTIONS {
            let prompts = match answer {
                Ok(KeyboardInteractiveAuthResponse::Success) => return true,
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => prompts,
                Ok(KeyboardInteractiveAuthResponse::Failure { .. }) | Err(_) => break,
            };
            if !prompts.is_empty() && (given || prompts.len() > 1 || prompts.iter().any(|p| p.echo)) {
                self.log.push("the server asks for more than a password".into());
                return false;
            }
            given |= !prompts.is_empty();
            let replies = prompts.iter().map(|_| password.to_owned()).collect();
            answer = self.handle.authenticate_keyboard_interactive_respond(replies).await;
        }
        self.log.push("the password was not accepted by keyboard-interactive".into());
        false
    }

    /// Takes the server's answer; true is success.
    fn settle<E: ToString>(&mut self, what: &str, answer: Result<AuthResult, E>) -> bool {
        match answer {
            Ok(AuthResult::Success) => return true,
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                if !self.handle.is_closed() {
                    self.allowed = Some(remaining_methods);
                }
                if partial_success {
                    self.log.push(format!("{what} was accepted, but is not enough"));
                } else if what != "none" {
                    self.log.push(format!("{what} was not accepted"));
                }
            }
            Err(e) => self.log.push(format!("{what} failed: {}", e.to_string())),
        }
        false
    }

    fn takes(&self, method: MethodKind) -> bool {
        !self.handle.is_closed() && self.allowed.as_ref().is_none_or(|a| a.contains(&method))
    }

    fn reason(&self) -> String {
        let tried = if self.log.is_empty() { "there is nothing to try".into() } else { self.log.join("; ") };
        if self.handle.is_closed() {
            return format!("{tried}; then the server closed the connection");
        }
        let Some(allowed) = &self.allowed else { return tried };
        let names: Vec<String> = allowed.iter().map(String::from).collect();
        format!("{tried}; the server takes {}", names.join(", "))
    }
}

enum KeyFileError {
    Absent,
    Encrypted,
    Other(String),
}

async fn load_key(path: PathBuf) -> Result<PrivateKey, KeyFileError> {
    let load = move || russh::keys::load_secret_key(&path, None);
    match tokio::task::spawn_blocking(load).await {
        Ok(Ok(key)) => Ok(key),
        Ok(Err(russh::keys::Error::KeyIsEncrypted)) => Err(KeyFileError::Encrypted),
        Ok(Err(russh::keys::Error::IO(e))) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(KeyFileError::Absent)
        }
        Ok(Err(e)) => Err(KeyFileError::Other(e.to_string())),
        Err(e) => Err(KeyFileError::Other(e.to_string())),
    }
}
