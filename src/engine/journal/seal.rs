//! Encrypts what may hold secrets: AES-256 in counter mode, then HMAC-SHA256 over all of it.
//!
//! The key is made of the vault passwords or of this user's own key, and of the run's salt. It is never in the journal.

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::log::JournalError;
use crate::value::Secret;

const IV: usize = 16;
const TAG: usize = 32;

/// Seals texts and opens them again.
pub struct Sealing {
    cipher: [u8; 32],
    mac: [u8; 32],
}

impl Sealing {
    pub fn new(key: &Secret, salt: &str) -> Result<Self, JournalError> {
        let derive = |what: &str| -> Result<[u8; 32], JournalError> {
            let mut mac = hmac(key.expose().as_bytes())?;
            mac.update(format!("xplay journal {what} {salt}").as_bytes());
            Ok(mac.finalize().into_bytes().into())
        };
        Ok(Sealing { cipher: derive("cipher")?, mac: derive("mac")? })
    }

    pub fn seal(&self, plain: &[u8]) -> Result<String, JournalError> {
        let mut sealed = vec![0u8; IV];
        getrandom::fill(&mut sealed).map_err(|e| JournalError::Random(e.to_string()))?;
        let iv: [u8; IV] = sealed.as_slice().try_into().map_err(|_| JournalError::Key)?;
        sealed.extend_from_slice(plain);
        Ctr128BE::<Aes256>::new(&self.cipher.into(), &iv.into()).apply_keystream(&mut sealed[IV..]);
        let mut mac = hmac(&self.mac)?;
        mac.update(&sealed);
        sealed.extend_from_slice(&mac.finalize().into_bytes());
        Ok(STANDARD.encode(sealed))
    }

    /// Returns the text; [`JournalError::Key`] when the key is another one.
    pub fn open(&self, sealed: &str) -> Result<Vec<u8>, JournalError> {
        let mut bytes = STANDARD.decode(sealed).map_err(|_| JournalError::Key)?;
        if bytes.len() < IV + TAG {
            return Err(JournalError::Key);
        }
        let tag = bytes.split_off(bytes.len() - TAG);
        let mut mac = hmac(&self.mac)?;
        mac.update(&bytes);
        mac.verify_slice(&tag).map_err(|_| JournalError::Key)?;
        let mut plain = bytes.split_off(IV);
        let iv: [u8; IV] = bytes.as_slice().try_into().map_err(|_| JournalError::Key)?;
        Ctr128BE::<Aes256>::new(&self.cipher.into(), &iv.into()).apply_keystream(&mut plain);
        Ok(plain)
    }
}

fn hmac(key: &[u8]) -> Result<Hmac<Sha256>, JournalError> {
    Hmac::<Sha256>::new_from_slice(key).map_err(|_| JournalError::Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_opens() {
        let key = |text: &str, salt: &str| Sealing::new(&Secret::new(text), salt).unwrap();
        let sealed = key("k", "s").seal(b"hunter2").unwrap();
        assert!(!sealed.contains("hunter2") && !sealed.contains(&STANDARD.encode("hunter2")));
        assert_eq!(key("k", "s").open(&sealed).unwrap(), b"hunter2");
        assert_ne!(key("k", "s").seal(b"hunter2").unwrap(), sealed);
        for (other, salt) in [("k2", "s"), ("k", "s2")] {
            assert!(matches!(key(other, salt).open(&sealed), Err(JournalError::Key)));
        }
        let mut changed = STANDARD.decode(&sealed).unwrap();
        changed[20] ^= 1;
        assert!(matches!(key("k", "s").open(&STANDARD.encode(changed)), Err(JournalError::Key)));
        for odd in ["", "AAAA", "no base64!"] {
            assert!(matches!(key("k", "s").open(odd), Err(JournalError::Key)), "{odd:?}");
        }
    }
}
