//! Private keys in files, and what is known of keys that cannot be opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::ssh_key::PrivateKey as OpensshKey;
use russh::keys::{Certificate, PrivateKey, PublicKey};

use crate::value::Secret;

/// What a key file gives.
pub(super) enum KeyContent {
    Ready(Arc<PrivateKey>),
    /// It needs a passphrase, or another one than was given.
    Locked(Option<PublicKey>),
    Unreadable(String),
}

impl KeyContent {
    /// Reads a private key.
    pub fn parse(text: &str, passphrase: Option<&Secret>) -> Self {
        let public = || OpensshKey::from_openssh(text).ok().map(|key| key.public_key().clone());
        match russh::keys::decode_secret_key(text, passphrase.map(Secret::expose)) {
            Ok(key) => Self::Ready(Arc::new(key)),
            Err(russh::keys::Error::KeyIsEncrypted) => Self::Locked(public()),
            Err(_) if passphrase.is_some() => Self::Locked(public()),
            Err(e) => Self::Unreadable(e.to_string()),
        }
    }

    /// Returns the public half: of the key itself, or what stands in the file beside it.
    pub fn public(&self, path: &Path) -> Option<PublicKey> {
        match self {
            Self::Ready(key) => Some(key.public_key().clone()),
            Self::Locked(Some(key)) => Some(key.clone()),
            Self::Locked(None) | Self::Unreadable(_) => read_public(path),
        }
    }
}

/// Reads the public half beside a private key.
pub(super) fn read_public(path: &Path) -> Option<PublicKey> {
    let text = std::fs::read_to_string(beside(path, ".pub")).ok()?;
    PublicKey::from_openssh(text.trim()).ok()
}

/// Returns the certificates for a key: those that were named, and the one beside its file.
pub(super) fn certificates(key: &PublicKey, path: &Path, named: &[PathBuf]) -> Vec<(PathBuf, Certificate)> {
    let files = named.iter().cloned().chain([beside(path, "-cert.pub")]);
    let read = files.filter_map(|file| {
        let certificate = russh::keys::load_openssh_certificate(&file).ok()?;
        (certificate.public_key() == key.key_data()).then_some((file, certificate))
    });
    read.collect()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
