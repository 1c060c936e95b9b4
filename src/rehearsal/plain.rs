//! Many cheap SSH hosts without roots of their own, for load tests: each command is a local `sh`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::PublicKey;
use russh::server::Config;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::cluster::temporary_dir;
use super::error::RehearsalError;
use super::keys::{self, HostAccess};
use super::sshd::{self, Backend, Credentials, Server};
use super::tree::remove_tree;
use crate::transport::inside::{self, InsideStream};

/// Each of so many ports serves many hosts: a process may have only so many open files.
const DOORS: usize = 256;

/// Where hosts inside this process are said to be: an address of RFC 5737, which no network leads to.
const NOWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Beyond 22, which known_hosts writes in another way.
const FIRST_PORT: u16 = 1024;

/// Running plain hosts; dropping it ends them.
pub struct PlainHosts {
    access: Vec<HostAccess>,
    dir: PathBuf,
    tasks: Vec<JoinHandle<()>>,
    /// The server of hosts inside this process; nobody reaches it any more when it is dropped.
    _inside: Option<Arc<Server>>,
}

/// Starts `count` hosts called `host0001` and so on, with one key for all.
pub async fn start_plain(count: usize) -> Result<PlainHosts, RehearsalError> {
    let mut hosts = PlainHosts::new()?;
    let keys = Keys::make(&hosts.dir)?;
    let mut addresses = Vec::new();
    for _ in 0..count.min(DOORS) {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(hosts.failed("listen for hosts of"))?;
        addresses.push(listener.local_addr().map_err(hosts.failed("listen for hosts of"))?);
        hosts.tasks.push(tokio::spawn(keys.server().serve(listener)));
    }
    hosts.name(count, &addresses, &keys)?;
    Ok(hosts)
}

/// Starts hosts that only this process reaches: as [`start_plain`], with SSH over memory instead of sockets. They take the
/// place of those that were started like this before.
pub async fn start_plain_inside(count: usize) -> Result<PlainHosts, RehearsalError> {
    let mut hosts = PlainHosts::new()?;
    let keys = Keys::make(&hosts.dir)?;
    let ports = (FIRST_PORT..).take(count.min(DOORS));
    let addresses: Vec<SocketAddr> = ports.map(|port| (NOWHERE, port).into()).collect();
    let server = keys.server();
    let (here, runtime) = (Arc::downgrade(&server), Handle::current());
    inside::introduce(move |address, port| {
        let server = here.upgrade()?;
        if address.parse() != Ok(NOWHERE) {
            return None;
        }
        let (ours, theirs) = InsideStream::pair();
        runtime.spawn(server.talk(theirs, (NOWHERE, port).into()));
        Some(ours)
    });
    hosts._inside = Some(server);
    hosts.name(count, &addresses, &keys)?;
    Ok(hosts)
}

/// What all hosts have in common.
struct Keys {
    file: PathBuf,
    known: PublicKey,
    credentials: Arc<Credentials>,
    config: Arc<Config>,
}

impl Keys {
    fn make(dir: &Path) -> Result<Self, RehearsalError> {
        let file = dir.join("id_ed25519");
        let client_key = keys::load_or_make(&file, "xplay rehearsal")?;
        let host_key = keys::make("plain")?;
        Ok(Self {
            file,
            known: host_key.public_key().clone(),
            credentials: Arc::new(Credentials {
                user: None,
                key: client_key.public_key().clone(),
                password: None,
            }),
            config: sshd::config(host_key),
        })
    }

    fn server(&self) -> Arc<Server> {
        Server::new(Backend::Local, Arc::clone(&self.credentials), Arc::clone(&self.config), None)
    }
}

impl PlainHosts {
    fn new() -> Result<Self, RehearsalError> {
        let dir = temporary_dir("xplay-plain-")?;
        Ok(Self { access: Vec::new(), dir, tasks: Vec::new(), _inside: None })
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> RehearsalError + use<> {
        RehearsalError::file(action, &self.dir)
    }

    /// Gives each host a name and one of the addresses, and writes what clients need to know.
    fn name(&mut self, count: usize, addresses: &[SocketAddr], keys: &Keys) -> Result<(), RehearsalError> {
        let user = if rustix::process::geteuid().is_root() {
            "root".to_string()
        } else {
            std::env::var("USER").unwrap_or_else(|_| "user".into())
        };
        for (index, address) in addresses.iter().cycle().take(count).enumerate() {
            self.access.push(HostAccess {
                known_host: keys::known_host(*address, &keys.known)?,
                name: format!("host{:04}", index + 1),
                role: None,
                address: *address,
                user: user.clone(),
                key_file: keys.file.clone(),
            });
        }
        keys::write_client_files(&self.dir, "xplay plain hosts", &self.access)
    }

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
