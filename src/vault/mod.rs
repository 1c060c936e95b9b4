//! Ansible vault, formats 1.1 and 1.2.
//!
//! Ciphertext and passwords come in, bytes go out. Knows no YAML: whoever meets `!vault` or a vaulted file calls
//! [`decrypt`]. What it returns is secret; the caller registers it with the masking writer.

mod envelope;
mod password;

pub use envelope::{Salt, decrypt, encrypt, is_vault, label, open};
pub use password::{Password, Source, VaultSecrets, load_password_file};

use std::io;
use std::path::PathBuf;

/// Why a vault could not be read or written, or a password not be had. No text tells content or password.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("this is not vault-encrypted text")]
    NotVault,
    #[error("vault format `{0}` is not supported, only 1.1 and 1.2")]
    Version(String),
    #[error("vault cipher `{0}` is not supported, only AES256")]
    Cipher(String),
    #[error("the vault-encrypted text is damaged")]
    Damaged,
    /// In Ansible's words, as scripts look for them.
    #[error("Vault format unhexlify error: Non-hexadecimal digit found")]
    NotHex,
    #[error("Vault format unhexlify error: Odd-length string")]
    OddHex,
    #[error("the decrypted text is not UTF-8")]
    NotText,
    #[error("Attempting to decrypt but no vault secrets found")]
    NoSecrets,
    /// Wrong password and changed ciphertext look alike.
    #[error("Decryption failed: no vault password fits, or the text was changed")]
    NoMatch,
    #[error("vault label `{0}` must be letters, digits and any of `_-.@` without a line break or `;`")]
    BadLabel(String),
    #[error("cannot get random bytes for the salt")]
    Random(#[source] getrandom::Error),
    #[error("cannot read vault password file `{}`", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot run vault password script `{}`", path.display())]
    NotRunnable { path: PathBuf, source: io::Error },
    #[error("vault password script `{}` failed: {status}", path.display())]
    ScriptFailed { path: PathBuf, status: std::process::ExitStatus },
    #[error("vault password from `{}` is empty", path.display())]
    Empty { path: PathBuf },
}

impl VaultError {
    /// Says what to do, where giving a password would help.
    pub fn help(&self) -> Option<&'static str> {
        matches!(self, VaultError::NoSecrets | VaultError::NoMatch)
            .then_some("give the password by --ask-vault-pass, --vault-password-file or --vault-id")
    }
}
