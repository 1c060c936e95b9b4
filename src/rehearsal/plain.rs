//! Many cheap SSH hosts without roots of their own, for load tests: each command is a local `sh`.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::cluster::temporary_dir;
use super::error::RehearsalError;
use super::keys::{self, HostAccess};
use super::sshd::{self, Backend, Credentials, Server};
use super::tree::remove_tree;

/// Each of so many ports serves many hosts: a process may have only so many open files.
const LISTENERS: usize = 256;

/// Running plain hosts; dropping it ends them.
pub struct PlainHosts {
    access: Vec<HostAccess>,
    dir: PathBuf,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts `count` hosts called `host0001` and so on, with one key for all.
pub async fn start_plain(count: usize) -> Result<PlainHosts, RehearsalError> {
    let dir = temporary_dir("xplay-plain-")?;
    let mut hosts = PlainHosts { access: Vec::new(), dir, tasks: Vec::new() };
    let key_file = hosts.dir.join("id_ed25519");
    let client_key = keys::load_or_make(&key_file, "xplay rehearsal")?;
    let host_key = keys::make("plain")?;
    let known_key = host_key.public_key().clone();
    let user = rustix::process::geteuid();
    let user = if user.is_root() {
        "root".to_string()
    } else {
        std::env::var("USER").unwrap_or_else(|_| "user".into())
    };
    let credentials =
        Arc::new(Credentials { user: None, key: client_key.public_key().clone(), password: None });
    let config = sshd::config(host_key);
    let mut addresses = Vec::new();
    for index in 1..=count {
        let name = format!("host{index:04}");
        let failed = || RehearsalError::file("listen for", Path::new(&name));
        if addresses.len() < LISTENERS {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed())?;
            addresses.push(listener.local_addr().map_err(failed())?);
            let server = Server::new(Backend::Local, Arc::clone(&credentials), Arc::clone(&config), None);
            hosts.tasks.push(tokio::spawn(server.serve(listener)));
        }
        let address = addresses[(index - 1) % addresses.len()];
        hosts.access.push(HostAccess {
            known_host: keys::known_host(address, &known_key)?,
            name,
            role: None,
            address,
            user: user.clone(),
            key_file: key_file.clone(),
        });
    }
    keys::write_client_files(&hosts.dir, "xplay plain hosts", &hosts.access)?;
    Ok(hosts)
}

impl PlainHosts {
    /// How to reach each host.
    pub fn hosts(&self) -> &[HostAccess] {
        &self.access
    }

    /// The inventory file.
    pub fn inventory_path(&self) -> PathBuf {
        self.dir.join("inventory")
    }

    /// The `known_hosts` file.
    pub fn known_hosts_path(&self) -> PathBuf {
        self.dir.join("known_hosts")
    }
}

impl Drop for PlainHosts {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        // A destructor has nobody to tell.
        let _ = remove_tree(&self.dir);
    }
}
