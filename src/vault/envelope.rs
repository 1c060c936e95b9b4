//! The format: header, hex, key derivation, MAC, cipher.

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Password, VaultError, VaultSecrets};

const MAGIC: &[u8] = b"$ANSIBLE_VAULT";
const CIPHER: &str = "AES256";
const ROUNDS: u32 = 10_000;
const SALT_BYTES: usize = 32;
const BLOCK: usize = 16;
/// Columns of the hex text.
const LINE: usize = 80;

type Cipher = Ctr128BE<Aes256>;

/// Where the salt of a new vault comes from.
#[derive(Clone, Debug)]
pub enum Salt {
    Random,
    /// The same input gives the same vault, as with Ansible's `VAULT_ENCRYPT_SALT`.
    Fixed(Vec<u8>),
}

/// Returns whether the text is a vault, as Ansible decides it: by its first bytes.
pub fn is_vault(text: &[u8]) -> bool {
    text.starts_with(MAGIC)
}

/// Returns the label in the header of a 1.2 vault.
pub fn label(text: &[u8]) -> Option<String> {
    Header::parse(text).ok()?.label
}

struct Header {
    label: Option<String>,
    /// Where the hex text starts.
    body: usize,
}

impl Header {
    fn parse(text: &[u8]) -> Result<Self, VaultError> {
        if !is_vault(text) {
            return Err(VaultError::NotVault);
        }
        let end = text.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(text.len());
        let line = std::str::from_utf8(&text[..end]).map_err(|_| VaultError::Damaged)?;
        let fields: Vec<&str> = line.trim().split(';').map(str::trim).collect();
        let [magic, version, cipher, rest @ ..] = fields.as_slice() else { return Err(VaultError::Damaged) };
        if magic.as_bytes() != MAGIC {
            return Err(VaultError::NotVault);
        }
        if !matches!(*version, "1.1" | "1.2") {
            return Err(VaultError::Version((*version).to_owned()));
        }
        if *cipher != CIPHER {
            return Err(VaultError::Cipher((*cipher).to_owned()));
        }
        Ok(Self { label: rest.first().filter(|l| !l.is_empty()).map(|l| (*l).to_owned()), body: end })
    }
}

/// Returns the plain bytes of a vault. Passwords under the vault's own label are tried first, then all others in
/// their order.
pub fn decrypt(text: &[u8], secrets: &VaultSecrets) -> Result<Vec<u8>, VaultError> {
    open(text, secrets).map(|(plain, _)| plain)
}

/// Returns the plain bytes of a vault and the password that fits.
pub fn open(text: &[u8], secrets: &VaultSecrets) -> Result<(Vec<u8>, Password), VaultError> {
    let header = Header::parse(text)?;
    let body = Body::parse(&text[header.body..])?;
    if secrets.is_empty() {
        return Err(VaultError::NoSecrets);
    }
    secrets
        .in_order(header.label.as_deref())
        .find_map(|password| Some(body.open(password)?.map(|plain| (plain, password.clone()))))
        .ok_or(VaultError::NoMatch)?
}

struct Body {
    salt: Vec<u8>,
    mac: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl Body {
    fn parse(text: &[u8]) -> Result<Self, VaultError> {
        let inner = unhex(text)?;
        let mut fields = inner.splitn(3, |b| *b == b'\n').map(unhex);
        let mut next = || fields.next().unwrap_or(Err(VaultError::Damaged));
        Ok(Self { salt: next()?, mac: next()?, ciphertext: next()? })
    }

    /// Returns nothing if the password does not fit.
    fn open(&self, password: &Password) -> Option<Result<Vec<u8>, VaultError>> {
        let keys = Keys::derive(password, &self.salt);
        // Compares in constant time.
        keys.mac(&self.ciphertext).verify_slice(&self.mac).ok()?;
        let mut plain = self.ciphertext.clone();
        keys.cipher().apply_keystream(&mut plain);
        Some(unpad(plain))
    }
}

struct Keys([u8; 80]);

impl Keys {
    fn derive(password: &Password, salt: &[u8]) -> Self {
        let mut keys = [0; 80];
        pbkdf2::pbkdf2_hmac::<Sha256>(password.expose(), salt, ROUNDS, &mut keys);
        Self(keys)
    }

    fn mac(&self, ciphertext: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0[32..64]).expect("HMAC takes a key of any length");
        mac.update(ciphertext);
        mac
    }

    fn cipher(&self) -> Cipher {
        Cipher::new_from_slices(&self.0[..32], &self.0[64..80]).expect("the slices have the cipher's lengths")
    }
}

/// Removes the padding, which only a vault with a valid MAC can have wrong.
fn unpad(mut plain: Vec<u8>) -> Result<Vec<u8>, VaultError> {
    let padding = plain.last().copied().map_or(0, usize::from);
    let valid = (1..=BLOCK).contains(&padding)
        && plain.len().is_multiple_of(BLOCK)
        && plain[plain.len() - padding..].iter().all(|b| usize::from(*b) == padding);
    if !valid {
        return Err(VaultError::Damaged);
    }
    plain.truncate(plain.len() - padding);
    Ok(plain)
}

/// Returns the bytes as a vault: format 1.2 with a label, 1.1 without. Ends with a newline.
pub fn encrypt(
    plain: &[u8],
    password: &Password,
    label: Option<&str>,
    salt: &Salt,
) -> Result<String, VaultError> {
    let salt = match salt {
        Salt::Fixed(salt) => salt.clone(),
        Salt::Random => {
            let mut salt = vec![0; SALT_BYTES];
            getrandom::fill(&mut salt).map_err(VaultError::Random)?;
            salt
        }
    };
    let header = match label {
        // Ansible writes the default label as if there were none.
        None | Some("default" | "") => format!("$ANSIBLE_VAULT;1.1;{CIPHER}"),
        Some(label) if label.contains([';', '\n', '\r']) || label.trim() != label => {
            return Err(VaultError::BadLabel(label.escape_debug().to_string()));
        }
        Some(label) => format!("$ANSIBLE_VAULT;1.2;{CIPHER};{label}"),
    };
    let keys = Keys::derive(password, &salt);
    let padding = BLOCK - plain.len() % BLOCK;
    let mut ciphertext = plain.to_vec();
    ciphertext.resize(plain.len() + padding, padding as u8);
    keys.cipher().apply_keystream(&mut ciphertext);
    let mac = keys.mac(&ciphertext).finalize().into_bytes();
    let inner = format!("{}\n{}\n{}", hex(&salt), hex(&mac), hex(&ciphertext));
    let body = hex(inner.as_bytes());
    let mut out = header;
    for (i, digit) in body.chars().enumerate() {
        if i % LINE == 0 {
            out.push('\n');
        }
        out.push(digit);
    }
    out.push('\n');
    Ok(out)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(*b)]).collect()
}

/// Reads hex digits; white space between them does not count.
fn unhex(text: &[u8]) -> Result<Vec<u8>, VaultError> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for byte in text.iter().filter(|b| !b.is_ascii_whitespace()) {
        let digit = char::from(*byte).to_digit(16).ok_or(VaultError::NotHex)? as u8;
        match high.take() {
            None => high = Some(digit << 4),
            Some(high) => out.push(high | digit),
        }
    }
    if high.is_some() { Err(VaultError::OddHex) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(pairs: &[(&str, &str)]) -> VaultSecrets {
        let mut secrets = VaultSecrets::new();
        for (label, password) in pairs {
            secrets.push(*label, Password::new(password.as_bytes()));
        }
        secrets
    }

    fn vectors() -> Vec<serde_json::Value> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/vault/vectors.json");
        let text = std::fs::read_to_string(path).expect("the recording is part of the repository");
        serde_json::from_str(&text).expect("the recording is JSON")
    }

    #[test]
    fn vaults_made_by_ansible_are_read_and_made_again() {
        for case in vectors() {
            let text = |name: &str| case[name].as_str().expect(name);
            let plain = text("plain").as_bytes();
            let password = Password::new(text("password").as_bytes());
            let mut one = VaultSecrets::new();
            one.push("x", password.clone());
            assert_eq!(decrypt(text("vault").as_bytes(), &one).expect("decrypts"), plain);
            assert_eq!(label(text("vault").as_bytes()).as_deref(), case["label"].as_str());
            if let Some(salt) = case["salt"].as_str() {
                let salt = Salt::Fixed(salt.as_bytes().to_vec());
                let again = encrypt(plain, &password, case["label"].as_str(), &salt).expect("encrypts");
                assert_eq!(again, text("vault"));
            }
        }
    }

    #[test]
    fn what_is_encrypted_is_decrypted() {
        for plain in [&b""[..], b"x", &[0; 16], &[255; 1000]] {
            let vault = encrypt(plain, &Password::new(b"pw"), Some("prod"), &Salt::Random).expect("encrypts");
            assert!(vault.lines().skip(1).all(|line| line.len() <= LINE));
            let crlf = vault.trim_end().replace('\n', "\r\n");
            for text in [vault, crlf] {
                assert_eq!(
                    decrypt(text.as_bytes(), &secrets(&[("a", "no"), ("b", "pw")])).expect("decrypts"),
                    plain
                );
            }
        }
    }

    #[test]
    fn a_changed_byte_in_any_field_is_refused() {
        let vault = encrypt(b"secret text", &Password::new(b"pw"), None, &Salt::Fixed(vec![7; 32]))
            .expect("encrypts");
        let body = Body::parse(&vault.as_bytes()[vault.find('\n').expect("a header")..]).expect("valid");
        let opens = |body: &Body| body.open(&Password::new(b"pw")).is_some();
        assert!(opens(&body));
        let changed = |change: fn(&mut Body)| {
            let mut copy =
                Body { salt: body.salt.clone(), mac: body.mac.clone(), ciphertext: body.ciphertext.clone() };
            change(&mut copy);
            opens(&copy)
        };
        assert!(!changed(|b| b.salt[3] ^= 1));
        assert!(!changed(|b| b.mac[31] ^= 128));
        assert!(!changed(|b| b.ciphertext[0] ^= 1));
        assert!(!changed(|b| b.mac.truncate(31)));
    }

    #[test]
    fn errors_name_the_cause_without_content() {
        let good = encrypt(b"x", &Password::new(b"pw"), None, &Salt::Fixed(vec![7; 32])).expect("encrypts");
        let check = |text: &str, pairs: &[(&str, &str)], expect: &str| {
            let error = decrypt(text.as_bytes(), &secrets(pairs)).expect_err("refused");
            assert_eq!(error.to_string(), expect, "{text}");
        };
        let pw = [("default", "pw")];
        check("plain", &pw, "this is not vault-encrypted text");
        check("$ANSIBLE_VAULTS;1.1;AES256\n61", &pw, "this is not vault-encrypted text");
        check("$ANSIBLE_VAULT;1.1", &pw, "the vault-encrypted text is damaged");
        check("$ANSIBLE_VAULT;1.0;AES\n61", &pw, "vault format `1.0` is not supported, only 1.1 and 1.2");
        check("$ANSIBLE_VAULT;1.1;AES\n61", &pw, "vault cipher `AES` is not supported, only AES256");
        check("$ANSIBLE_VAULT;1.1;AES256\n6", &pw, "Vault format unhexlify error: Odd-length string");
        check(
            "$ANSIBLE_VAULT;1.1;AES256\nzz",
            &pw,
            "Vault format unhexlify error: Non-hexadecimal digit found",
        );
        check("$ANSIBLE_VAULT;1.1;AES256\n", &pw, "the vault-encrypted text is damaged");
        check(&good, &[], "Attempting to decrypt but no vault secrets found");
        check(&good, &[("a", "no")], "Decryption failed: no vault password fits, or the text was changed");
        assert!(encrypt(b"x", &Password::new(b"pw"), Some("a;b"), &Salt::Random).is_err());
    }
}
