//! Proving who we are: keys that were named, the agent's, the default ones, password, keyboard-interactive.

use std::path::Path;
use std::sync::Arc;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, Constraint};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use tokio::net::UnixStream;

use super::SshContext;
use super::algorithms::sha1_signatures;
use super::config::{AddKeys, KeyFile, Resolved};
use super::host_key::ClientHandler;
use super::keys::{KeyContent, certificates, read_public};
use super::target::Target;
use crate::transport::TransportError;
use crate::transport::guard::{Admission, Proof};
use crate::value::Secret;

/// How often a server may ask on, as for a second factor, before we give up.
const QUESTIONS: usize = 4;

/// Tries all methods until one is accepted.
pub(super) async fn authenticate(
    handle: &mut Handle<ClientHandler>,
    context: &SshContext,
    target: &Target,
) -> Result<(), TransportError> {
    let mut attempt = Attempt {
        handle,
        context,
        host: &target.host,
        needs: &target.resolved,
        sha1: sha1_signatures(target),
        rsa_hash: None,
        log: Vec::new(),
        allowed: None,
    };
    if Box::pin(attempt.all(target.password.as_ref())).await {
        return Ok(());
    }
    Err(TransportError::Auth {
        host: target.host.clone(),
        reason: attempt.reason(),
        user: target.resolved.user.clone(),
    })
}

struct Attempt<'a> {
    handle: &'a mut Handle<ClientHandler>,
    context: &'a SshContext,
    host: &'a str,
    needs: &'a Resolved,
    /// Whether RSA keys may sign with SHA-1.
    sha1: bool,
    /// What the server takes for RSA keys, once asked.
    rsa_hash: Option<Option<HashAlg>>,
    /// What was tried and what became of it.
    log: Vec<String>,
    /// What the server says it takes.
    allowed: Option<MethodSet>,
}

/// An agent and the keys that it has.
pub(super) struct Agent {
    client: AgentClient<UnixStream>,
    identities: Vec<AgentIdentity>,
}

impl Agent {
    pub async fn connect(socket: &Path) -> Result<Self, String> {
        let client = AgentClient::connect_uds(socket).await;
        let mut client = client.map_err(|e| format!("the agent does not answer: {e}"))?;
        let identities = client.request_identities().await;
        let identities = identities.map_err(|e| format!("the agent shows no keys: {e}"))?;
        Ok(Self { client, identities })
    }

    pub fn holds(&self, key: &PublicKey) -> bool {
        self.identities.iter().any(|identity| match identity {
            AgentIdentity::PublicKey { key: own, .. } => own.key_data() == key.key_data(),
            AgentIdentity::Certificate { .. } => false,
        })
    }
}

impl Attempt<'_> {
    async fn all(&mut self, password: Option<&Secret>) -> bool {
        let methods = &self.needs.methods;
        if self.needs.user.is_empty() {
            self.log.push("no user name is known".into());
            return false;
        }
        // Some servers want no proof; the others tell what they take, so that a password is not tried in vain.
        let none = self.handle.authenticate_none(self.needs.user.clone()).await;
        if self.settle("none", none) {
            return true;
        }
        if methods.public_key && self.takes(MethodKind::PublicKey) && Box::pin(self.keys()).await {
            return true;
        }
        match password {
            Some(password) => Box::pin(self.with_password(password)).await,
            None => false,
        }
    }

    /// Tries the password, unless another host has refused it before.
    async fn with_password(&mut self, password: &Secret) -> bool {
        let methods = &self.needs.methods;
        let plain = methods.password && self.takes(MethodKind::Password);
        let keyboard = methods.keyboard && self.takes(MethodKind::KeyboardInteractive);
        if !plain && !keyboard {
            return false;
        }
        let who = format!("ssh {}", self.needs.user);
        let admission = match self.context.guard.admit(&who, password).await {
            Admission::Refused(host) => {
                self.log.push(format!("the password was not accepted on {host}, so it is not tried here"));
                return false;
            }
            admission => admission,
        };
        let mut accepted = false;
        if plain {
            let answer = self.handle.authenticate_password(self.needs.user.clone(), password.expose()).await;
            accepted = self.settle("the password", answer);
        }
        if !accepted && methods.keyboard && self.takes(MethodKind::KeyboardInteractive) {
            accepted = self.questions(password.expose()).await;
        }
        admission.settle(if accepted { Proof::Good } else { Proof::Refused(self.host.to_owned()) });
        accepted
    }

    async fn keys(&mut self) -> bool {
        let mut agent = match &self.needs.agent {
            Some(socket) => Agent::connect(socket).await.map_err(|reason| self.log.push(reason)).ok(),
            None => None,
        };
        let needs = self.needs;
        let mut offered = Vec::new();
        for file in needs.keys.iter().filter(|k| k.named) {
            if self.key_file(file, &mut agent, &mut offered).await {
                return true;
            }
        }
        if !needs.identities_only
            && let Some(agent) = &mut agent
            && self.others_of_agent(agent, &mut offered).await
        {
            return true;
        }
        for file in needs.keys.iter().filter(|k| !k.named) {
            if self.key_file(file, &mut agent, &mut offered).await {
                return true;
            }
        }
        false
    }

    /// Offers one key, signing by the agent if it has it; `offered` grows by what needs no second try.
    async fn key_file(
        &mut self,
        file: &KeyFile,
        agent: &mut Option<Agent>,
        offered: &mut Vec<PublicKey>,
    ) -> bool {
        if self.handle.is_closed() {
            return false;
        }
        let (path, name) = (&file.path, file.path.display().to_string());
        let content = self.context.key(path);
        let public = match &content {
            Ok(Some(content)) => content.public(path),
            Ok(None) | Err(_) => read_public(path),
        };
        let again = |p: &PublicKey| offered.iter().any(|o| o.key_data() == p.key_data());
        if public.as_ref().is_some_and(again) {
            return false;
        }
        let by_agent = public.as_ref().filter(|p| agent.as_ref().is_some_and(|a| a.holds(p)));
        if let (Some(public), Some(agent)) = (by_agent, agent.as_mut()) {
            offered.push(public.clone());
            let hash = self.hash_for(public).await;
            for (file, certificate) in certificates(public, path, &self.needs.certificates) {
                let user = self.needs.user.clone();
                let answer = self
                    .handle
                    .authenticate_certificate_with(user, certificate, hash, &mut agent.client)
                    .await;
                if self.settle(&file.display().to_string(), answer) {
                    return true;
                }
            }
            let user = self.needs.user.clone();
            let answer =
                self.handle.authenticate_publickey_with(user, public.clone(), hash, &mut agent.client).await;
            return self.settle(&format!("{name} of the agent"), answer);
        }
        let key = match content.as_ref().map(|c| c.as_deref()) {
            Ok(Some(KeyContent::Ready(key))) => key.clone(),
            Ok(Some(KeyContent::Locked(_))) => {
                self.log.push(format!(
                    "{name} is encrypted (give its passphrase, or add it to an agent with ssh-add)"
                ));
                return false;
            }
            Ok(None) if !file.named => return false,
            Ok(None) => {
                self.log.push(format!("{name} does not exist"));
                return false;
            }
            Ok(Some(KeyContent::Unreadable(reason))) => {
                self.log.push(format!("{name} cannot be read: {reason}"));
                return false;
            }
            Err(e) => {
                self.log.push(format!("{name} cannot be read: {e}"));
                return false;
            }
        };
        let accepted = self.with_key(&key, path).await;
        if accepted && let Some(agent) = agent {
            self.keep_in_agent(agent, &key).await;
        }
        accepted
    }

    async fn with_key(&mut self, key: &Arc<PrivateKey>, path: &Path) -> bool {
        for (file, certificate) in certificates(key.public_key(), path, &self.needs.certificates) {
            let user = self.needs.user.clone();
            let answer = self.handle.authenticate_openssh_cert(user, key.clone(), certificate).await;
            if self.settle(&file.display().to_string(), answer) {
                return true;
            }
        }
        let hash = self.hash_for(key.public_key()).await;
        let key = PrivateKeyWithHashAlg::new(key.clone(), hash);
        let answer = self.handle.authenticate_publickey(self.needs.user.clone(), key).await;
        self.settle(&path.display().to_string(), answer)
    }

    /// Gives a key to the agent if the configuration wants it.
    async fn keep_in_agent(&mut self, agent: &mut Agent, key: &PrivateKey) {
        let AddKeys::Yes { confirm, lifetime } = self.needs.add_keys else { return };
        let constraints = confirm.then_some(Constraint::Confirm);
        let lifetime = lifetime.map(|seconds| Constraint::KeyLifetime { seconds });
        let constraints: Vec<_> = constraints.into_iter().chain(lifetime).collect();
        // The login is done; an agent that takes no keys only costs the next passphrase.
        let _ = agent.client.add_identity(key, &constraints).await;
    }

    /// Offers the agent's keys that nobody named.
    async fn others_of_agent(&mut self, agent: &mut Agent, offered: &mut Vec<PublicKey>) -> bool {
        for identity in agent.identities.clone() {
            if self.handle.is_closed() {
                return false;
            }
            let user = self.needs.user.clone();
            let (name, answer) = match identity {
                AgentIdentity::PublicKey { key, .. }
                    if offered.iter().any(|o| o.key_data() == key.key_data()) =>
                {
                    continue;
                }
                AgentIdentity::PublicKey { key, comment } => {
                    offered.push(key.clone());
                    let hash = self.hash_for(&key).await;
                    let client = &mut agent.client;
                    let answer = self.handle.authenticate_publickey_with(user, key, hash, client).await;
                    (comment, answer.map_err(|e| e.to_string()))
                }
                AgentIdentity::Certificate { certificate, comment } => {
                    let key = PublicKey::new(certificate.public_key().clone(), "");
                    let hash = self.hash_for(&key).await;
                    let client = &mut agent.client;
                    let answer =
                        self.handle.authenticate_certificate_with(user, certificate, hash, client).await;
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
        let hash = told.unwrap_or(if self.sha1 { None } else { Some(HashAlg::Sha256) });
        if told.is_none() && !self.sha1 {
            self.log.push(
                "the server does not say how RSA keys may sign; if it is an old one, allow SHA-1 for this host alone, \
                 with xplay_legacy_ssh: true among its variables or PubkeyAcceptedAlgorithms +ssh-rsa in ssh_config"
                    .into(),
            );
        }
        self.rsa_hash = Some(hash);
        hash
    }

    async fn questions(&mut self, password: &str) -> bool {
        let user = self.needs.user.clone();
        let mut answer = self.handle.authenticate_keyboard_interactive_start(user, None).await;
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
