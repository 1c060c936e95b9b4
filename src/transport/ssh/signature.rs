//! Signatures of texts by SSH keys, in the form that `ssh-keygen -Y sign` makes and `ssh-keygen -Y verify` checks.
//!
//! Knows nothing of what is signed. Whose a key is, is told elsewhere.

use std::path::{Path, PathBuf};

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::{LineEnding, Signature, SshSig};
use russh::keys::{Algorithm, HashAlg, PublicKey};
use tokio::net::UnixStream;

pub use super::known_hosts::{HostKey as SignerKey, matches_list};
use crate::value::Secret;

/// What ssh-keygen takes by default, too.
const HASH: HashAlg = HashAlg::Sha512;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("the key {} needs its passphrase", .0.display())]
    Encrypted(PathBuf),
    #[error("cannot read the key {}: {reason}", path.display())]
    Key { path: PathBuf, reason: String },
    #[error("the SSH agent at {} does not answer: {reason}", socket.display())]
    Agent { socket: PathBuf, reason: String },
    #[error("the SSH agent has no key that can sign")]
    NoKey,
    #[error("the SSH agent does not have the key {0}")]
    OtherKeys(String),
    #[error("the SSH agent has several keys: {0}")]
    ManyKeys(String),
    #[error("cannot sign with the key {key}: {reason}")]
    Failed { key: String, reason: String },
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("the signature cannot be read: {0}")]
    Unreadable(String),
    #[error("it was made for \"{0}\"")]
    Namespace(String),
    #[error("it is made with SHA-1, which is not safe")]
    Weak,
    #[error("the signature does not belong to the text")]
    Wrong,
}

/// Signs with the private key in a file.
pub fn sign_with_file(
    path: &Path,
    passphrase: Option<&Secret>,
    namespace: &str,
    text: &[u8],
) -> Result<String, SignError> {
    let unreadable = |reason: String| SignError::Key { path: path.to_path_buf(), reason };
    let key = match russh::keys::load_secret_key(path, passphrase.map(Secret::expose)) {
        Ok(key) => key,
        Err(russh::keys::Error::KeyIsEncrypted) => return Err(SignError::Encrypted(path.to_path_buf())),
        Err(_) if passphrase.is_some() => return Err(unreadable("the passphrase may be wrong".into())),
        Err(e) => return Err(unreadable(e.to_string())),
    };
    let signed = key.sign(namespace, HASH, text).and_then(|s| s.to_pem(LineEnding::LF));
    signed.map_err(|e| SignError::Failed { key: path.display().to_string(), reason: e.to_string() })
}

/// Returns the public key in a file such as `id_ed25519.pub`.
pub fn read_public_key(path: &Path) -> Result<SignerKey, SignError> {
    let unreadable = |reason: String| SignError::Key { path: path.to_path_buf(), reason };
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
    let key = PublicKey::from_openssh(text.trim()).map_err(|e| unreadable(e.to_string()))?;
    blob(&key).ok_or_else(|| unreadable("it is no public key".into()))
}

/// An SSH agent.
pub struct Agent {
    socket: PathBuf,
    client: AgentClient<UnixStream>,
    keys: Vec<(PublicKey, String)>,
}

impl Agent {
    /// Connects and asks for its keys; certificates are left out.
    pub async fn connect(socket: &Path) -> Result<Self, SignError> {
        let failed =
            |e: russh::keys::Error| SignError::Agent { socket: socket.to_path_buf(), reason: e.to_string() };
        let mut client = AgentClient::connect_uds(socket).await.map_err(failed)?;
        let identities = client.request_identities().await.map_err(failed)?;
        let keys = identities.into_iter().filter_map(|identity| match identity {
            AgentIdentity::PublicKey { key, comment } => Some((key, comment)),
            AgentIdentity::Certificate { .. } => None,
        });
        Ok(Agent { socket: socket.to_path_buf(), keys: keys.collect(), client })
    }

    /// Signs with this key, or with the only one that there is.
    pub async fn sign(
        mut self,
        wanted: Option<&SignerKey>,
        namespace: &str,
        text: &[u8],
    ) -> Result<String, SignError> {
        let (key, comment) = self.choose(wanted)?;
        let failed = |reason: String| SignError::Failed { key: comment.clone(), reason };
        let data = SshSig::signed_data(namespace, HASH, text).map_err(|e| failed(e.to_string()))?;
        let length = data.len();
        let identity = AgentIdentity::PublicKey { key: key.clone(), comment: comment.clone() };
        let answer = match self.client.sign_request(&identity, Some(HASH), data).await {
            Ok(answer) => answer,
            Err(russh::keys::Error::AgentFailure) => return Err(failed("the agent refused".into())),
            Err(e) => return Err(SignError::Agent { socket: self.socket, reason: e.to_string() }),
        };
        // Behind the data stands the signature, with its length in front.
        let signature = answer.get(length + 4..).unwrap_or_default();
        let signed = Signature::try_from(signature)
            .and_then(|signature| SshSig::new(key.key_data().clone(), namespace, HASH, signature))
            .and_then(|signed| signed.to_pem(LineEnding::LF));
        signed.map_err(|e| failed(e.to_string()))
    }

    fn choose(&self, wanted: Option<&SignerKey>) -> Result<(PublicKey, String), SignError> {
        if let Some(wanted) = wanted {
            let found = self.keys.iter().find(|(key, _)| blob(key).as_ref() == Some(wanted));
            return found.cloned().ok_or_else(|| SignError::OtherKeys(wanted.fingerprint()));
        }
        match self.keys.as_slice() {
            [] => Err(SignError::NoKey),
            [one] => Ok(one.clone()),
            many => {
                let names: Vec<&str> = many.iter().map(|(_, comment)| comment.as_str()).collect();
                Err(SignError::ManyKeys(names.join(", ")))
            }
        }
    }
}

/// Returns the key that signed this text for this purpose.
pub fn verify(signature: &str, namespace: &str, text: &[u8]) -> Result<SignerKey, VerifyError> {
    let unreadable = |reason: String| VerifyError::Unreadable(reason);
    let signature = SshSig::from_pem(signature).map_err(|e| unreadable(e.to_string()))?;
    if signature.namespace() != namespace {
        return Err(VerifyError::Namespace(signature.namespace().to_string()));
    }
    if signature.algorithm() == (Algorithm::Rsa { hash: None }) {
        return Err(VerifyError::Weak);
    }
    let key = PublicKey::new(signature.public_key().clone(), "");
    key.verify(namespace, text, &signature).map_err(|_| VerifyError::Wrong)?;
    blob(&key).ok_or_else(|| unreadable("its key cannot be read".into()))
}

fn blob(key: &PublicKey) -> Option<SignerKey> {
    SignerKey::from_blob(key.to_bytes().ok()?)
}
