//! Whether a role's password is the one that is wanted, from what the server keeps of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::modules::hex;

/// Says whether the password has to be set. `kept` is what the server keeps, nothing where it keeps none; `method` is
/// how it would keep a new one.
pub fn changes(role: &str, wanted: &str, kept: Option<&str>, encrypted: bool, method: &str) -> bool {
    if wanted.is_empty() {
        return kept.is_some();
    }
    let Some(kept) = kept else { return true };
    if Scram::parse(wanted).is_some() || is_md5(wanted) || !encrypted {
        return wanted != kept;
    }
    if let Some(scram) = Scram::parse(kept) {
        return !scram.is_of(wanted);
    }
    method != "md5" || kept != md5(role, wanted)
}

/// A password as SCRAM keeps it: the keys that prove that the other side knows it.
struct Scram {
    rounds: u32,
    salt: Vec<u8>,
    server_key: Vec<u8>,
}

impl Scram {
    fn parse(text: &str) -> Option<Scram> {
        let (rounds, rest) = text.strip_prefix("SCRAM-SHA-256$")?.split_once(':')?;
        let (salt, keys) = rest.split_once('$')?;
        let (_, server_key) = keys.split_once(':')?;
        Some(Scram {
            rounds: rounds.parse().ok().filter(|rounds| (1..=10_000_000).contains(rounds))?,
            salt: STANDARD.decode(salt).ok()?,
            server_key: STANDARD.decode(server_key).ok()?,
        })
    }

    fn is_of(&self, password: &str) -> bool {
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &self.salt, self.rounds, &mut salted);
        let Ok(mut key) = Hmac::<Sha256>::new_from_slice(&salted) else { return false };
        key.update(b"Server Key");
        key.verify_slice(&self.server_key).is_ok()
    }
}

fn is_md5(text: &str) -> bool {
    text.len() == 35 && text.starts_with("md5")
}

/// Returns a password as older servers keep it.
fn md5(role: &str, password: &str) -> String {
    format!("md5{}", hex(&Md5::digest(format!("{password}{role}").as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_with_what_is_kept() {
        // The password is "secret".
        let scram = "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$bpSY5Ze9NUH+I35LC3gVq+DpBfK46iXBxvhAKqVu9pE=:VpYlBuxyzeCI1KnctrefdljpB1mk3Gp7sBI/t11+NkQ=";
        let check = |wanted: &str, kept: Option<&str>, encrypted: bool, method: &str, expect: bool| {
            assert_eq!(changes("ada", wanted, kept, encrypted, method), expect, "{wanted} {kept:?}");
        };
        check("secret", Some(scram), true, "scram-sha-256", false);
        check("other", Some(scram), true, "scram-sha-256", true);
        check(scram, Some(scram), true, "scram-sha-256", false);
        check("secret", None, true, "md5", true);
        check("", None, true, "md5", false);
        check("", Some(scram), true, "md5", true);
        let kept = md5("ada", "secret");
        assert_eq!(kept, "md52953f29bc314bd0a7ea7ddf6ccc1555f");
        check("secret", Some(&kept), true, "md5", false);
        check("other", Some(&kept), true, "md5", true);
        check(&kept, Some(&kept), true, "md5", false);
        check("secret", Some(&kept), true, "scram-sha-256", true);
    }
}
