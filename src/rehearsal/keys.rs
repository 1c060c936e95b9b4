//! The rehearsal's own keys, and the files with which any SSH client reaches its hosts.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};

use super::error::RehearsalError;
use super::site::Role;
use super::tree::write_file;

/// How to reach one rehearsal host.
#[derive(Debug, Clone)]
pub struct HostAccess {
    /// Inventory name.
    pub name: String,
    /// What it is for; hosts without roots of their own are `None`.
    pub role: Option<Role>,
    /// Where its SSH server listens when the host is up.
    pub address: SocketAddr,
    /// Login name.
    pub user: String,
    /// File with the private key that every host accepts.
    pub key_file: PathBuf,
    /// The host's line in `known_hosts` form.
    pub known_host: String,
}

/// Reads a private key, making it first if the file does not exist.
pub(super) fn load_or_make(file: &Path, comment: &str) -> Result<PrivateKey, RehearsalError> {
    match fs::read_to_string(file) {
        Ok(text) => PrivateKey::from_openssh(text)
            .map_err(|source| RehearsalError::Ssh { action: "read a key", source: source.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = make(comment)?;
            let text = key
                .to_openssh(LineEnding::LF)
                .map_err(|source| RehearsalError::Ssh { action: "encode a key", source: source.into() })?;
            write_file(file, 0o600, text.as_bytes()).map_err(RehearsalError::file("write", file))?;
            let public = format!("{}\n", public_line(key.public_key())?);
            let public_file = file.with_extension("pub");
            write_file(&public_file, 0o644, public.as_bytes())
                .map_err(RehearsalError::file("write", &public_file))?;
            Ok(key)
        }
        Err(error) => Err(RehearsalError::file("read", file)(error)),
    }
}

/// Makes a new Ed25519 key.
pub(super) fn make(comment: &str) -> Result<PrivateKey, RehearsalError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| RehearsalError::File {
        action: "read random bytes from",
        path: "/dev/urandom".into(),
        source: io::Error::other(error.to_string()),
    })?;
    let mut key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    key.set_comment(comment);
    Ok(key)
}

fn public_line(key: &PublicKey) -> Result<String, RehearsalError> {
    key.to_openssh().map_err(|source| RehearsalError::Ssh { action: "encode a key", source: source.into() })
}

/// The `known_hosts` line of a host.
pub(super) fn known_host(address: SocketAddr, key: &PublicKey) -> Result<String, RehearsalError> {
    let mut key = key.clone();
    key.set_comment("");
    Ok(format!("[{}]:{} {}", address.ip(), address.port(), public_line(&key)?))
}

/// Writes `inventory` and `known_hosts` into the state directory.
pub(super) fn write_client_files(
    dir: &Path,
    title: &str,
    hosts: &[HostAccess],
) -> Result<(), RehearsalError> {
    let known: String = hosts.iter().map(|host| format!("{}\n", host.known_host)).collect();
    for (name, text) in [("known_hosts", known), ("inventory", inventory(dir, title, hosts))] {
        let file = dir.join(name);
        write_file(&file, 0o644, text.as_bytes()).map_err(RehearsalError::file("write", &file))?;
    }
    Ok(())
}

fn inventory(dir: &Path, title: &str, hosts: &[HostAccess]) -> String {
    let mut lines = vec![format!("# {title}: hosts inside this machine, not a real cluster.")];
    for group in [Some(Role::Management), Some(Role::Builder), Some(Role::Service), Some(Role::Compute), None]
    {
        let mut members = hosts.iter().filter(|host| host.role == group).peekable();
        if members.peek().is_none() {
            continue;
        }
        lines.push(String::new());
        lines.push(format!("[{}]", group.map_or("plain", Role::group)));
        for host in members {
            let (name, ip, port) = (&host.name, host.address.ip(), host.address.port());
            lines.push(format!("{name} ansible_host={ip} ansible_port={port}"));
        }
    }
    lines.push(String::new());
    lines.push("[all:vars]".into());
    if let Some(host) = hosts.first() {
        lines.push(format!("ansible_user={}", host.user));
        lines.push(format!("ansible_ssh_private_key_file=\"{}\"", host.key_file.display()));
    }
    lines.push(format!(
        "ansible_ssh_common_args=\"-o UserKnownHostsFile='{}' -o GlobalKnownHostsFile=/dev/null\"",
        dir.join("known_hosts").display()
    ));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::{HostAccess, inventory};
    use crate::rehearsal::site::Role;
    use std::path::Path;

    #[test]
    fn inventory_text() {
        let host = |name: &str, role, port: u16| HostAccess {
            name: name.into(),
            role: Some(role),
            address: ([127, 0, 0, 1], port).into(),
            user: "root".into(),
            key_file: "/s/id".into(),
            known_host: String::new(),
        };
        let hosts = [host("mn1", Role::Management, 4001), host("sn1", Role::Service, 4002)];
        assert_eq!(
            inventory(Path::new("/s"), "xplay rehearsal (el9)", &hosts),
            "# xplay rehearsal (el9): hosts inside this machine, not a real cluster.\n\n\
             [management]\nmn1 ansible_host=127.0.0.1 ansible_port=4001\n\n\
             [service]\nsn1 ansible_host=127.0.0.1 ansible_port=4002\n\n\
             [all:vars]\nansible_user=root\nansible_ssh_private_key_file=\"/s/id\"\n\
             ansible_ssh_common_args=\"-o UserKnownHostsFile='/s/known_hosts' -o GlobalKnownHostsFile=/dev/null\"\n"
        );
    }
}
