//! `vault` and `unvault`: texts encrypted with a password that the template gives.

use super::Filter::{self, Plain};
use crate::template::args::{ValueArgs, flag_or, need, text_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::value::{Secret, Value};
use crate::vault::{self, Password, Salt, VaultSecrets};

pub(super) const TABLE: &[(&str, Filter)] = &[("unvault", Plain(unvault)), ("vault", Plain(vault_filter))];

/// The label that Ansible gives what its filter encrypts.
const LABEL: &str = "filter_default";

fn text(value: &Value, what: &str) -> R<String> {
    match value.as_str() {
        Some(text) => Ok(text.to_string()),
        None => Err(Fail::failed(format!("{what} must be a text, not {}", value.type_name()))),
    }
}

fn vault_filter(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [secret, salt, label, wrap, old_label] =
        args.bind(["secret", "salt", "vault_id", "wrap_object", "vaultid"])?;
    let password = Password::new(text(&need(secret, "secret")?, "the vault's password")?.as_bytes());
    let plain = text(&v, "what is put into a vault")?;
    if flag_or(wrap, false) {
        return Ok(Value::Secret(Secret::new(plain)));
    }
    let label = text_or(label.or(old_label), LABEL);
    let salt = match salt {
        None | Some(Value::Null) => Salt::Random,
        Some(salt) => Salt::Fixed(salt.to_text().into_bytes()),
    };
    vault::encrypt(plain.as_bytes(), &password, Some(&label), &salt)
        .map(Value::str)
        .map_err(|e| Fail::failed(format!("Unable to encrypt: {e}")))
}

fn unvault(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [secret, label, old_label] = args.bind(["secret", "vault_id", "vaultid"])?;
    let password = Password::new(text(&need(secret, "secret")?, "the vault's password")?.as_bytes());
    let given = text(&v, "a vault")?;
    if !vault::is_vault(given.as_bytes()) {
        return Ok(Value::str(given));
    }
    let mut secrets = VaultSecrets::new();
    secrets.push(text_or(label.or(old_label), LABEL), password);
    let unable = |e: &dyn std::fmt::Display| Fail::failed(format!("Unable to decrypt: {e}"));
    let plain = vault::decrypt(given.as_bytes(), &secrets).map_err(|e| unable(&e))?;
    String::from_utf8(plain)
        .map(|plain| Value::Secret(Secret::new(plain)))
        .map_err(|_| unable(&"the decrypted text is not UTF-8"))
}
