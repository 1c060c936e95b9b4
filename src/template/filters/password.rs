//! Unix password hashes: SHA-crypt with 256 and 512 bits.

use sha2::{Digest, Sha256, Sha512};

use crate::template::error::{Fail, R};
use crate::template::random::Random;

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Hashes of other programs that passlib has too; none is a password of a Unix user.
const NO_LOGIN_HASHES: [&str; 11] = [
    "lmhash",
    "msdcc",
    "msdcc2",
    "mssql2000",
    "mssql2005",
    "mysql323",
    "mysql41",
    "nthash",
    "oracle10",
    "oracle11",
    "postgres_md5",
];

/// Rounds where none are given; those of libcrypt.
const DEFAULT_ROUNDS: u32 = 5000;

/// Returns a password's hash as `/etc/shadow` holds it. Without a salt each call gives another one.
pub(in crate::template) fn crypt(
    password: &str,
    kind: &str,
    salt: Option<&str>,
    rounds: Option<i128>,
) -> R<String> {
    let wide = match kind {
        "sha512" | "sha512_crypt" => true,
        "sha256" | "sha256_crypt" => false,
        other => {
            if NO_LOGIN_HASHES.contains(&other) {
                return Err(Fail::failed(format!(
                    "{other} is not in the list of supported passlib algorithms: md5, blowfish, sha256, sha512"
                )));
            }
            return Err(Fail::failed(format!(
                "crypt does not support '{other}' algorithm: use sha512_crypt or sha256_crypt"
            )));
        }
    };
    let salt = match salt {
        Some(salt) => salt.to_string(),
        None => random_text(16),
    };
    if salt.is_empty() || salt.len() > 16 || !salt.bytes().all(|b| ALPHABET.contains(&b)) {
        return Err(Fail::failed(
            "the salt must have 1 to 16 characters out of letters, digits, '.' and '/'",
        ));
    }
    let asked = rounds.map(|r| r.clamp(1000, 999_999_999) as u32);
    let count = asked.unwrap_or(DEFAULT_ROUNDS);
    let digest = if wide {
        sha_crypt::<Sha512>(password.as_bytes(), salt.as_bytes(), count)
    } else {
        sha_crypt::<Sha256>(password.as_bytes(), salt.as_bytes(), count)
    };
    let encoded = encode(&digest, wide);
    let id = if wide { 6 } else { 5 };
    Ok(match asked {
        Some(n) if n != DEFAULT_ROUNDS => format!("${id}$rounds={n}${salt}${encoded}"),
        _ => format!("${id}${salt}${encoded}"),
    })
}

/// Returns a password's hash as `/etc/shadow` holds it, of the kinds sha256_crypt and sha512_crypt; nothing where the kind
/// or the salt is none.
pub fn shadow_hash(password: &str, kind: &str, salt: &str, rounds: Option<i128>) -> Option<String> {
    crypt(password, kind, Some(salt), rounds).ok()
}

/// Returns random letters and digits.
pub(in crate::template) fn random_text(len: usize) -> String {
    let letters = &ALPHABET[2..];
    random_of(&letters.iter().map(|b| char::from(*b)).collect::<Vec<_>>(), len, Random::System)
}

/// Returns a random text out of the given characters.
pub(in crate::template) fn random_of(chars: &[char], len: usize, mut random: Random) -> String {
    (0..len).filter_map(|_| chars.get(random.below(chars.len() as u64) as usize)).collect()
}

/// The algorithm of Ulrich Drepper's SHA-crypt specification.
fn sha_crypt<D: Digest>(password: &[u8], salt: &[u8], rounds: u32) -> Vec<u8> {
    let hash = |parts: &[&[u8]]| -> Vec<u8> {
        let mut hasher = D::new();
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize().to_vec()
    };
    let b = hash(&[password, salt, password]);
    let size = b.len();
    let stretch =
        |digest: &[u8], len: usize| -> Vec<u8> { digest.iter().copied().cycle().take(len).collect() };
    let mut a = D::new();
    a.update(password);
    a.update(salt);
    a.update(stretch(&b, password.len()));
    let mut bits = password.len();
    while bits > 0 {
        if bits & 1 == 1 {
            a.update(&b);
        } else {
            a.update(password);
        }
        bits >>= 1;
    }
    let a = a.finalize().to_vec();
    let mut dp = D::new();
    for _ in 0..password.len() {
        dp.update(password);
    }
    let p = stretch(&dp.finalize(), password.len());
    let mut ds = D::new();
    for _ in 0..16 + usize::from(a[0]) {
        ds.update(salt);
    }
    let s = stretch(&ds.finalize(), salt.len());
    let mut c = a;
    for round in 0..rounds {
        let mut hasher = D::new();
        hasher.update(if round & 1 == 1 { &p } else { &c });
        if !round.is_multiple_of(3) {
            hasher.update(&s);
        }
        if !round.is_multiple_of(7) {
            hasher.update(&p);
        }
        hasher.update(if round & 1 == 1 { &c } else { &p });
        c = hasher.finalize().to_vec();
    }
    debug_assert_eq!(c.len(), size);
    c
}

/// Writes the digest in the order and alphabet of the specification.
fn encode(digest: &[u8], wide: bool) -> String {
    let (third, groups) = if wide { (21, 21) } else { (10, 10) };
    let mut out = String::new();
    let mut put = |c: u8, b: u8, a: u8, count: usize| {
        let mut word = u32::from(c) << 16 | u32::from(b) << 8 | u32::from(a);
        for _ in 0..count {
            out.push(char::from(ALPHABET[(word & 0x3f) as usize]));
            word >>= 6;
        }
    };
    let (mut i, mut j, mut k) = (0, third, third * 2);
    for _ in 0..groups {
        put(digest[i], digest[j], digest[k], 4);
        (i, j, k) = if wide { (j + 1, k + 1, i + 1) } else { (k + 1, i + 1, j + 1) };
    }
    if wide {
        put(0, 0, digest[63], 2);
    } else {
        put(0, digest[31], digest[30], 3);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(password: &str, kind: &str, salt: &str, rounds: Option<i128>, expect: &str) {
        assert_eq!(crypt(password, kind, Some(salt), rounds).unwrap(), expect);
    }

    #[test]
    fn equals_the_published_vectors() {
        check(
            "Hello world!",
            "sha512",
            "saltstring",
            None,
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        );
        check(
            "Hello world!",
            "sha256",
            "saltstring",
            None,
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        );
        check(
            "Hello world!",
            "sha512_crypt",
            "saltstringsaltst",
            Some(10_000),
            "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
        );
    }
}
