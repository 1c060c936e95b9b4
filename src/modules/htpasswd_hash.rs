//! The hashes of passwords that web servers read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha1::Sha1;

use super::Failure;
use crate::template::shadow_hash;

/// The kinds that are made here.
pub const SCHEMES: &[&str] =
    &["apr_md5_crypt", "ldap_sha1", "plaintext", "md5_crypt", "sha256_crypt", "sha512_crypt"];

/// What comparing a password with a kept one led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Checked {
    Same,
    Other,
    /// Its kind is not known here.
    Unreadable(&'static str),
}

/// Whether this password is the one that is kept.
pub fn check(password: &str, kept: &str) -> Checked {
    let same = |made: Option<String>| match made {
        Some(made) if made == kept => Checked::Same,
        _ => Checked::Other,
    };
    let salt = |magic: &str| kept.strip_prefix(magic).and_then(|rest| rest.split('$').next());
    if let Some(salt) = salt("$apr1$") {
        return same(Some(md5_crypt(password, "$apr1$", salt)));
    }
    if let Some(salt) = salt("$1$") {
        return same(Some(md5_crypt(password, "$1$", salt)));
    }
    for (magic, scheme) in [("$5$", "sha256_crypt"), ("$6$", "sha512_crypt")] {
        let Some(rest) = kept.strip_prefix(magic) else { continue };
        let rounds = rest.strip_prefix("rounds=").and_then(|rest| rest.split_once('$'));
        let (rounds, rest) = rounds.map_or((None, rest), |(n, rest)| (n.parse().ok(), rest));
        let salt = rest.split('$').next().unwrap_or_default();
        return same(shadow_hash(password, scheme, salt, rounds));
    }
    if kept.starts_with("{SHA}") {
        return same(Some(ldap_sha1(password)));
    }
    if kept.starts_with("$2") && kept.len() > 50 {
        return Checked::Unreadable("bcrypt");
    }
    if kept == password {
        return Checked::Same;
    }
    let des = kept.len() == 13 && kept.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/');
    if des { Checked::Unreadable("des_crypt") } else { Checked::Other }
}

/// Returns a password as a file keeps it; the salt is taken from letters of `place`.
pub fn hash(password: &str, scheme: &str, place: &str) -> Result<String, Failure> {
    let salt = |len: usize| &place[..len.min(place.len())];
    Ok(match scheme {
        "apr_md5_crypt" => md5_crypt(password, "$apr1$", salt(8)),
        "md5_crypt" => md5_crypt(password, "$1$", salt(8)),
        "ldap_sha1" => ldap_sha1(password),
        "plaintext" if password.contains(['\n', '\r']) => {
            return Err(Failure::new("a plain password cannot hold a line break"));
        }
        "plaintext" => password.to_string(),
        scheme => shadow_hash(password, scheme, salt(16), None)
            .ok_or_else(|| Failure::new(format!("hash_scheme {scheme} is not known")))?,
    })
}

fn ldap_sha1(password: &str) -> String {
    format!("{{SHA}}{}", STANDARD.encode(Sha1::digest(password)))
}

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The algorithm of Poul-Henning Kamp's MD5 crypt, of which Apache has one with a magic of its own.
fn md5_crypt(password: &str, magic: &str, salt: &str) -> String {
    let (password, salt) = (password.as_bytes(), &salt.as_bytes()[..salt.len().min(8)]);
    let of = |parts: &[&[u8]]| -> [u8; 16] {
        let mut hasher = Md5::new();
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize().into()
    };
    let inner = of(&[password, salt, password]);
    let mut hasher = Md5::new();
    hasher.update(password);
    hasher.update(magic.as_bytes());
    hasher.update(salt);
    hasher.update(inner.iter().copied().cycle().take(password.len()).collect::<Vec<u8>>());
    let mut bits = password.len();
    while bits > 0 {
        if bits & 1 == 1 {
            hasher.update([0]);
        } else {
            hasher.update(&password[..1]);
        }
        bits >>= 1;
    }
    let mut digest: [u8; 16] = hasher.finalize().into();
    for round in 0..1000 {
        let mut hasher = Md5::new();
        hasher.update(if round & 1 == 1 { password } else { &digest });
        if round % 3 != 0 {
            hasher.update(salt);
        }
        if round % 7 != 0 {
            hasher.update(password);
        }
        hasher.update(if round & 1 == 1 { &digest } else { password });
        digest = hasher.finalize().into();
    }
    let mut encoded = String::new();
    let mut put = |value: u32, letters: usize| {
        for i in 0..letters {
            encoded.push(char::from(ALPHABET[(value >> (6 * i)) as usize & 63]));
        }
    };
    for [a, b, c] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        let byte = |at: usize| u32::from(digest[at]);
        put(byte(a) << 16 | byte(b) << 8 | byte(c), 4);
    }
    put(u32::from(digest[11]), 2);
    format!("{magic}{}${encoded}", String::from_utf8_lossy(salt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_openssl() {
        // openssl passwd -apr1 -salt abcdefgh secret; -1; -5; -6
        let kept = [
            "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/",
            "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
            "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
            "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
            "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        ];
        for kept in kept {
            assert_eq!(check("secret", kept), Checked::Same, "{kept}");
            assert_eq!(check("Secret", kept), Checked::Other, "{kept}");
        }
    }

    #[test]
    fn what_is_made_is_known_again() {
        for scheme in SCHEMES {
            for password in ["", "a", "it's a longer password than sixteen letters", "ä"] {
                let kept = hash(password, scheme, "0123456789abcdef0123").unwrap();
                assert_eq!(check(password, &kept), Checked::Same, "{scheme} {password}");
                assert!(!kept.contains('\n'));
            }
        }
        assert_eq!(check("x", "rqXexS6ZhobKA"), Checked::Unreadable("des_crypt"));
        assert!(hash("a\nb", "plaintext", "").is_err());
    }
}
