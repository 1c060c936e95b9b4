//! Which algorithms are offered: ours, changed by what ssh_config says, and those of old servers on request only.

use std::borrow::Cow;

use russh::keys::Algorithm;
use russh::{Preferred, cipher, kex, mac};

use super::config::assemble;
use super::known_hosts::KnownHosts;
use super::target::Target;

/// Offered without being asked for, the best first. Fast ciphers come first.
const KEX: [&str; 12] = [
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group17-sha512",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group15-sha512",
    "diffie-hellman-group14-sha256",
];
const HOST_KEYS: [&str; 6] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];
const CIPHERS: [&str; 6] = [
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
];
const MACS: [&str; 4] =
    ["hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512", "hmac-sha2-256"];

/// Offered to servers from before 2014, when somebody says so for the host.
const OLD_KEX: [&str; 3] =
    ["diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1", "diffie-hellman-group1-sha1"];
const OLD_HOST_KEYS: [&str; 1] = ["ssh-rsa"];
const OLD_CIPHERS: [&str; 3] = ["aes256-cbc", "aes192-cbc", "aes128-cbc"];
const OLD_MACS: [&str; 2] = ["hmac-sha1-etm@openssh.com", "hmac-sha1"];

/// Extensions of the key exchange stand among its algorithms and are no choice of users.
const EXTENSIONS: [kex::Name; 2] =
    [kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];

/// Chooses what is offered to a host. Types of host key that are known for it come first, because a host that shows
/// a key of another type would look unknown.
pub(super) fn preferred(target: &Target, known: &KnownHosts) -> Result<Preferred, String> {
    let lists = &target.resolved.algorithms;
    let choose = |keyword: &str, list: &Option<String>, usual: &[&str], old: &[&str]| {
        let usual = [usual, if target.legacy { old } else { &[] }].concat();
        let all = [&usual[..], old].concat();
        assemble(list.as_deref().unwrap_or_default(), &usual, &all).ok_or_else(|| {
            format!("{keyword} leaves no algorithm that we have: {}", list.as_deref().unwrap_or_default())
        })
    };
    let kexes = choose("KexAlgorithms", &lists.kex, &KEX, &OLD_KEX)?;
    let mut keys = choose("HostKeyAlgorithms", &without_certificates(lists), &HOST_KEYS, &OLD_HOST_KEYS)?;
    let ciphers = choose("Ciphers", &lists.ciphers, &CIPHERS, &OLD_CIPHERS)?;
    let macs = choose("MACs", &lists.macs, &MACS, &OLD_MACS)?;
    let (name, port) = target.key_name();
    if lists.host_keys.as_ref().is_none_or(|list| list.starts_with(['+', '-'])) {
        let types = known.key_types(name, port);
        keys.sort_by_key(|key| !types.contains(&blob_type(key)));
    }
    let keys: Vec<Algorithm> = keys.iter().filter_map(|name| Algorithm::new(name).ok()).collect();
    let mut kexes: Vec<kex::Name> =
        kexes.iter().filter_map(|n| kex::Name::try_from(n.as_str()).ok()).collect();
    kexes.extend(EXTENSIONS);
    let certificates = if known.has_authority(name, port) { keys.clone() } else { Vec::new() };
    Ok(Preferred {
        kex: Cow::Owned(kexes),
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Owned(ciphers.iter().filter_map(|n| cipher::Name::try_from(n.as_str()).ok()).collect()),
        mac: Cow::Owned(macs.iter().filter_map(|n| mac::Name::try_from(n.as_str()).ok()).collect()),
        compression: Cow::Borrowed(&[russh::compression::NONE]),
    })
}

/// Returns the list of host keys without the names of certificates, which go with their plain names.
fn without_certificates(lists: &super::config::Algorithms) -> Option<String> {
    let list = lists.host_keys.as_deref()?;
    let (sign, names) = list.split_at(usize::from(list.starts_with(['+', '-', '^'])));
    let plain: Vec<&str> = names.split(',').filter(|n| !n.contains("-cert-v01@")).collect();
    (!plain.is_empty()).then(|| format!("{sign}{}", plain.join(",")))
}

/// Tells whether we may sign with SHA-1 for a server that knows nothing newer.
pub(super) fn sha1_signatures(target: &Target) -> bool {
    let listed = target.resolved.algorithms.public_keys.as_deref().unwrap_or_default();
    let names = listed.trim_start_matches(['+', '^']).split(',');
    target.legacy || (!listed.starts_with('-') && names.into_iter().any(|n| n == "ssh-rsa"))
}

/// Returns the type that stands in known_hosts for keys of an algorithm.
fn blob_type(algorithm: &str) -> &str {
    if algorithm.starts_with("rsa-sha2-") { "ssh-rsa" } else { algorithm }
}

/// Returns how to let an old server in, for the error that it gave.
pub(super) fn advice(kind: &str, theirs: &[String]) -> Option<String> {
    let (keyword, old): (&str, &[&str]) = match kind {
        "kex" => ("KexAlgorithms", &OLD_KEX),
        "key" => ("HostKeyAlgorithms", &OLD_HOST_KEYS),
        "cipher" => ("Ciphers", &OLD_CIPHERS),
        "mac" => ("MACs", &OLD_MACS),
        _ => return None,
    };
    let name = old.iter().find(|name| theirs.iter().any(|t| t == *name))?;
    Some(format!(
        "an old server: allow its algorithms for this host alone, with xplay_legacy_ssh: true among its variables or \
         {keyword} +{name} in ssh_config"
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::super::SshContext;
    use super::*;
    use crate::transport::ssh::config::{Arguments, Files, SshOption};
    use crate::transport::ssh::known_hosts::KnownFile;
    use crate::transport::{ConnectionSpec, Identity};

    fn target(spec: ConnectionSpec) -> Target {
        let context = SshContext::new(Identity { user: "ann".into(), ..Identity::default() });
        context.route(&spec).unwrap().pop().unwrap()
    }

    fn names(spec: ConnectionSpec, known_hosts: &str) -> Vec<String> {
        let mut known = KnownHosts::default();
        known.add(Arc::new(KnownFile::parse(Path::new("kh"), known_hosts)));
        let p = preferred(&target(spec), &known).unwrap();
        let keys = p.key.iter().map(ToString::to_string);
        let kexes = p.kex.iter().map(|n| n.as_ref().to_owned());
        let ciphers = p.cipher.iter().map(|n| n.as_ref().to_owned());
        keys.chain(kexes).chain(ciphers).chain(p.mac.iter().map(|n| n.as_ref().to_owned())).collect()
    }

    #[test]
    fn every_name_exists() {
        let modern = names(ConnectionSpec::ssh("mn1"), "");
        assert_eq!(modern.len(), HOST_KEYS.len() + KEX.len() + EXTENSIONS.len() + CIPHERS.len() + MACS.len());
        let old = names(ConnectionSpec { legacy: true, ..ConnectionSpec::ssh("mn1") }, "");
        let more = OLD_HOST_KEYS.len() + OLD_KEX.len() + OLD_CIPHERS.len() + OLD_MACS.len();
        assert_eq!(old.len(), modern.len() + more);
    }

    #[test]
    fn known_types_of_host_key_come_first() {
        let rsa = "mn1 ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQA=\n";
        assert_eq!(names(ConnectionSpec::ssh("mn1"), "")[0], "ssh-ed25519");
        assert_eq!(names(ConnectionSpec::ssh("mn1"), rsa)[0], "rsa-sha2-512");
    }

    #[test]
    fn lists_of_the_configuration_count() {
        let with = |option: &str| {
            let options = vec![SshOption::parse(option).unwrap()];
            let arguments = Arguments { options, files: Some(Files::None), warnings: Vec::new() }.into();
            names(ConnectionSpec { arguments, ..ConnectionSpec::ssh("mn1") }, "")
        };
        assert!(with("Ciphers=aes*-cbc").contains(&"aes192-cbc".to_owned()));
        assert!(
            with("KexAlgorithms=+diffie-hellman-group14-sha1")
                .contains(&"diffie-hellman-group14-sha1".into())
        );
        assert!(!with("MACs=-*etm*").contains(&"hmac-sha2-256-etm@openssh.com".to_owned()));
        assert_eq!(with("HostKeyAlgorithms=^rsa-sha2-256")[0], "rsa-sha2-256");
        assert_eq!(with("HostKeyAlgorithms=ssh-rsa-cert-v01@openssh.com,ssh-rsa")[0], "ssh-rsa");
    }

    #[test]
    fn sha1_is_signed_on_request_only() {
        let check = |option: &str, expect: bool| {
            let options = vec![SshOption::parse(option).unwrap()];
            let arguments = Arguments { options, files: None, warnings: Vec::new() }.into();
            let target = target(ConnectionSpec { arguments, ..ConnectionSpec::ssh("mn1") });
            assert_eq!(sha1_signatures(&target), expect, "{option}");
        };
        check("User=x", false);
        check("PubkeyAcceptedAlgorithms=+ssh-rsa", true);
        check("PubkeyAcceptedKeyTypes=ssh-rsa,ssh-ed25519", true);
        check("PubkeyAcceptedAlgorithms=-ssh-rsa", false);
    }

    #[test]
    fn old_servers_get_a_hint() {
        let theirs = ["diffie-hellman-group1-sha1".to_owned()];
        assert!(advice("kex", &theirs).unwrap().contains("KexAlgorithms +diffie-hellman-group1-sha1"));
        assert_eq!(advice("kex", &["x".to_owned()]), None);
    }
}
