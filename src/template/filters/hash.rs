//! Hashes, encodings, identifiers and password hashes.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::Filter::{self, Plain};
use super::convert::{spelled_flag, wanted};
use super::password;
use crate::template::args::{ValueArgs, int, text_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::value::Value;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("b64decode", Plain(b64decode)),
    ("b64encode", Plain(b64encode)),
    (
        "checksum",
        Plain(|_, v, a| {
            a.bind([])?;
            digest(&v, "sha1")
        }),
    ),
    ("hash", Plain(hash)),
    (
        "md5",
        Plain(|_, v, a| {
            a.bind([])?;
            digest(&v, "md5")
        }),
    ),
    ("password_hash", Plain(password_hash)),
    (
        "sha1",
        Plain(|_, v, a| {
            a.bind([])?;
            digest(&v, "sha1")
        }),
    ),
    ("to_uuid", Plain(to_uuid)),
];

pub(in crate::template) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn digest(v: &Value, kind: &str) -> R<Value> {
    let text = v.to_text();
    let bytes = text.as_bytes();
    Ok(Value::str(match kind {
        "md5" => hex(&Md5::digest(bytes)),
        "sha1" => hex(&Sha1::digest(bytes)),
        "sha224" => hex(&Sha224::digest(bytes)),
        "sha256" => hex(&Sha256::digest(bytes)),
        "sha384" => hex(&Sha384::digest(bytes)),
        "sha512" => hex(&Sha512::digest(bytes)),
        other => return Err(Fail::failed(format!("unsupported hash type {other}"))),
    }))
}

fn hash(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [kind] = args.bind(["hashtype"])?;
    digest(&v, &text_or(kind, "sha1"))
}

fn b64encode(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [encoding, urlsafe] = args.bind(["encoding", "urlsafe"])?;
    let text = v.to_text();
    let bytes = match text_or(encoding, "utf-8").to_lowercase().as_str() {
        "utf-16-le" | "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        _ => text.into_bytes(),
    };
    Ok(Value::str(if spelled_flag(urlsafe, false) { URL_SAFE.encode(bytes) } else { STANDARD.encode(bytes) }))
}

fn b64decode(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [encoding, urlsafe] = args.bind(["encoding", "urlsafe"])?;
    // Python skips what is no part of the alphabet.
    let text: String = v
        .to_text()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "+/=-_".contains(*c))
        .map(|c| match c {
            '-' if spelled_flag(urlsafe.clone(), false) => '+',
            '_' if spelled_flag(urlsafe.clone(), false) => '/',
            c => c,
        })
        .collect();
    let bytes = STANDARD.decode(&text).map_err(|e| Fail::failed(format!("this is not base64: {e}")))?;
    let encoding = text_or(encoding, "utf-8").to_lowercase();
    if encoding.starts_with("utf-16") {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
        return Ok(Value::str(String::from_utf16_lossy(&units)));
    }
    String::from_utf8(bytes).map(Value::str).map_err(|_| Fail::failed("the decoded bytes are no UTF-8 text"))
}

/// The namespace that Ansible's UUIDs live in.
const NAMESPACE: &str = "361E6D51-FAEC-444A-9079-341386DA8E2E";

fn to_uuid(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [namespace] = args.bind(["namespace"])?;
    let namespace = text_or(namespace, NAMESPACE);
    let digits: String = namespace.chars().filter(|c| *c != '-').collect();
    let id = u128::from_str_radix(&digits, 16)
        .ok()
        .filter(|_| digits.len() == 32)
        .ok_or_else(|| Fail::failed(format!("Invalid value '{namespace}' for 'namespace'")))?;
    let mut hasher = Sha1::new();
    hasher.update(id.to_be_bytes());
    hasher.update(v.to_text().as_bytes());
    let mut bytes: [u8; 16] = [0; 16];
    bytes.copy_from_slice(&hasher.finalize()[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let h = hex(&bytes);
    Ok(Value::str(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])))
}

fn password_hash(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [kind, salt, size, rounds, _] = args.bind(["hashtype", "salt", "salt_size", "rounds", "ident"])?;
    let text = v.to_text();
    if matches!(v, Value::List(_) | Value::Map(_)) {
        return Err(wanted("a string", &v));
    }
    if let Some(size) = size.filter(|s| !s.is_null()) {
        int(&size, "salt_size")?;
    }
    let rounds = rounds.filter(|r| !r.is_null()).map(|r| int(&r, "rounds")).transpose()?;
    let salt = salt.filter(|s| !s.is_null()).map(|s| s.to_text());
    password::crypt(&text, &text_or(kind, "sha512"), salt.as_deref(), rounds).map(Value::str)
}
