//! Sessions that are open: one connection per host, a few shells on it, opened when first needed.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::event::Event;
use super::shared::lock;
use crate::transport::{
    BecomeSpec, Connection, ConnectionSpec, Connector, DurableId, KeyAfterReboot, Kind, Session,
    TransportError, durable,
};

/// Shells on one connection; sshd allows ten by default and some are left to others.
const SESSIONS_PER_HOST: usize = 6;

/// Connections that are closed at the same time; a shell says goodbye, which takes both sides some work.
const CLOSING_AT_ONCE: usize = 256;

/// How long ending a job may take: its own patience, and some for the way there.
const STOPPING: Duration = Duration::from_secs(15);

/// All connections of a run.
///
/// No more are open than this process may have files. Before one more is made, another that nobody needs is closed: the one
/// that was needed last, because tasks go through hosts in the same order, so that the first hosts keep theirs.
pub struct Pool {
    connector: Arc<dyn Connector>,
    opened: Arc<Mutex<Opened>>,
    /// How many files connections may take.
    most: usize,
    /// Takes what connecting found worth telling.
    events: mpsc::Sender<Event>,
    hosts: Mutex<HashMap<String, Arc<HostSlot>>>,
    /// Hosts that a step has started anew and that nobody has connected to since.
    anew: Mutex<HashSet<String>>,
}

/// What connections take, and the hosts that nobody needs at the moment, the last one at the end.
#[derive(Default)]
struct Opened {
    files: usize,
    idle: Vec<Arc<HostSlot>>,
}

/// The files that a connection takes: a socket, or the pipes of a process.
fn files_of(kind: Kind) -> usize {
    match kind {
        Kind::Ssh | Kind::Clush | Kind::Xdsh => 1,
        Kind::Local | Kind::SshBinary => 5,
    }
}

struct HostSlot {
    files: usize,
    /// It stands in the list of idle hosts.
    listed: AtomicBool,
    connection: tokio::sync::Mutex<Option<Arc<dyn Connection>>>,
    idle: Mutex<Vec<Idle>>,
    permits: Arc<Semaphore>,
}

/// A shell that waits for work, and who it runs as.
type Idle = (Option<String>, Box<dyn Session>);

/// A session that is in use. Give it back with [`Lease::done`]; dropping it closes the shell.
pub struct Lease {
    slot: Arc<HostSlot>,
    opened: Arc<Mutex<Opened>>,
    who: Option<String>,
    session: Box<dyn Session>,
    /// Its shell holds named locks.
    pub locked: bool,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub fn new(connector: Arc<dyn Connector>, events: mpsc::Sender<Event>, most: usize) -> Self {
        Pool {
            connector,
            events,
            most,
            opened: Arc::default(),
            hosts: Mutex::default(),
            anew: Mutex::default(),
        }
    }

    /// Returns a shell on the host, as the given user.
    pub async fn session(
        &self,
        spec: &ConnectionSpec,
        r#become: Option<&BecomeSpec>,
    ) -> Result<Lease, TransportError> {
        let slot = self.slot(spec);
        let Ok(permit) = slot.permits.clone().acquire_owned().await else {
            return Err(TransportError::Protocol { reason: "the run is ending".into() });
        };
        let who = r#become.map(|b| format!("{}:{}", b.method, b.user));
        if lock(&self.anew).contains(&spec.host) {
            // They were on the host as it was.
            lock(&slot.idle).clear();
        }
        let idle = {
            let mut idle = lock(&slot.idle);
            idle.iter().position(|(w, _)| *w == who).map(|i| idle.swap_remove(i).1)
        };
        let session = match idle {
            Some(session) => session,
            None => {
                let connection = self.connection(&slot, spec).await?;
                connection.session(r#become).await?
            }
        };
        Ok(Lease { slot, opened: self.opened.clone(), who, session, locked: false, _permit: permit })
    }

    /// Remembers that a step of the run starts a host anew: the next connection may find another key there, as far as its
    /// `xplay_key_after_reboot` allows.
    pub fn started_anew(&self, host: &str) {
        lock(&self.anew).insert(host.to_string());
    }

    /// Forgets a host's connection, so that the next session makes a new one.
    pub async fn forget(&self, spec: &ConnectionSpec) {
        let slot = self.slot(spec);
        lock(&slot.idle).clear();
        if let Some(connection) = slot.connection.lock().await.take() {
            lock(&self.opened).files -= slot.files;
            connection.close().await;
        }
    }

    /// Whether the next connection takes the place of another.
    pub fn is_full(&self) -> bool {
        lock(&self.opened).files >= self.most
    }

    /// Whether a shell waits on the host.
    pub fn is_open(&self, spec: &ConnectionSpec) -> bool {
        !lock(&self.slot(spec).idle).is_empty()
    }

    /// Closes the shells on a host in which tasks became a user.
    pub async fn part_with(&self, spec: &ConnectionSpec, user: &str) {
        let slot = self.slot(spec);
        let is_user = |who: &Option<String>| {
            who.as_deref().and_then(|w| w.split_once(':')).is_some_and(|(_, u)| u == user)
        };
        let leaving: Vec<Idle> = {
            let mut idle = lock(&slot.idle);
            let (leaving, staying) = idle.drain(..).partition(|(who, _)| is_user(who));
            *idle = staying;
            leaving
        };
        for (_, session) in leaving {
            session.close().await;
        }
    }

    /// Makes a connection; to a host that a step started anew first one that may take its new key, as far as declared.
    async fn dial(&self, spec: &ConnectionSpec) -> Result<Box<dyn Connection>, TransportError> {
        let anew = lock(&self.anew).contains(&spec.host);
        if anew && spec.key_after_reboot == KeyAfterReboot::Repin {
            // What is recorded now is all that later connections know.
            let once = ConnectionSpec { rebooting: true, ..spec.clone() };
            self.connector.connect(&once).await?.close().await;
        }
        let connected = self.connector.connect(spec).await;
        if connected.is_ok() {
            lock(&self.anew).remove(&spec.host);
        }
        connected
    }

    /// Closes connections that nobody needs until there is room for what was counted already.
    async fn make_room(&self) {
        loop {
            let idle = {
                let mut opened = lock(&self.opened);
                if opened.files <= self.most {
                    return;
                }
                opened.idle.pop()
            };
            // Whoever is busy keeps what is open.
            let Some(slot) = idle else { return };
            slot.listed.store(false, Ordering::Release);
            let all = u32::try_from(SESSIONS_PER_HOST).unwrap_or(u32::MAX);
            let Ok(_permits) = slot.permits.clone().try_acquire_many_owned(all) else { continue };
            if slot.close().await {
                lock(&self.opened).files -= slot.files;
            }
        }
    }

    /// Closes everything; private directories on targets are removed.
    pub async fn close(&self) {
        let slots: Vec<_> = lock(&self.hosts).drain().map(|(_, slot)| slot).collect();
        let mut closing = tokio::task::JoinSet::new();
        for slot in slots {
            if closing.len() >= CLOSING_AT_ONCE {
                closing.join_next().await;
            }
            closing.spawn(async move { slot.close().await });
        }
        while closing.join_next().await.is_some() {}
    }

    fn slot(&self, spec: &ConnectionSpec) -> Arc<HostSlot> {
        let key = match spec.kind {
            Kind::Local => "local".to_string(),
            Kind::Ssh | Kind::SshBinary | Kind::Clush | Kind::Xdsh => {
                let port = spec.port.map(|p| format!(":{p}")).unwrap_or_default();
                format!("{}@{}{port}", spec.user.as_deref().unwrap_or_default(), spec.address)
            }
        };
        let mut hosts = lock(&self.hosts);
        let slot = hosts.entry(format!("{} {key}", spec.host)).or_insert_with(|| {
            Arc::new(HostSlot {
                files: files_of(spec.kind),
                listed: AtomicBool::new(false),
                connection: tokio::sync::Mutex::new(None),
                idle: Mutex::default(),
                permits: Arc::new(Semaphore::new(SESSIONS_PER_HOST)),
            })
        });
        slot.clone()
    }

    async fn connection(
        &self,
        slot: &HostSlot,
        spec: &ConnectionSpec,
    ) -> Result<Arc<dyn Connection>, TransportError> {
        let mut known = slot.connection.lock().await;
        let anew = lock(&self.anew).contains(&spec.host);
        if let Some(before) = known.take_if(|_| anew) {
            // It would be made again with the key of before.
            lock(&self.opened).files -= slot.files;
            before.close().await;
        }
        if let Some(connection) = &*known {
            return Ok(connection.clone());
        }
        lock(&self.opened).files += slot.files;
        self.make_room().await;
        let connected = self.dial(spec).await;
        if connected.is_err() {
            lock(&self.opened).files -= slot.files;
        }
        for text in self.connector.take_warnings() {
            // A run whose listener is gone goes on silently.
            let _ = self.events.send(Event::Warning(text)).await;
        }
        let connection: Arc<dyn Connection> = connected?.into();
        *known = Some(connection.clone());
        Ok(connection)
    }
}

impl HostSlot {
    /// Closes its shells and its connection; tells whether there was one.
    async fn close(&self) -> bool {
        let idle: Vec<_> = lock(&self.idle).drain(..).collect();
        for (_, session) in idle {
            session.close().await;
        }
        match self.connection.lock().await.take() {
            Some(connection) => {
                connection.close().await;
                true
            }
            None => false,
        }
    }
}

impl Lease {
    pub fn session(&mut self) -> &mut dyn Session {
        self.session.as_mut()
    }

    /// Ends what runs in the session, or the job that it looks after: TERM, some patience, KILL.
    pub async fn stop(mut self, job: Option<&DurableId>) {
        if let Some(id) = job {
            // A host that cannot be reached any more cannot be told.
            let _ = tokio::time::timeout(STOPPING, durable::stop(self.session.as_mut(), id)).await;
        }
        self.session.close().await;
    }

    /// Gives the session back for the next task.
    pub fn done(self) {
        lock(&self.slot.idle).push((self.who, self.session));
        if !self.slot.listed.swap(true, Ordering::AcqRel) {
            lock(&self.opened).idle.push(self.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::BecomeMethod;
    use crate::transport::fake::{FakeHosts, prints};

    /// The hosts that come first keep their connections; the others take turns.
    #[tokio::test]
    async fn no_more_connections_are_open_than_there_may_be() {
        let fake = FakeHosts::answering(|_| Ok(prints("")));
        let pool = Pool::new(Arc::new(fake.clone()), mpsc::channel(1).0, 3);
        let hosts = ["a", "b", "c", "d", "e"];
        for host in [hosts, hosts].concat() {
            pool.session(&ConnectionSpec::ssh(host), None).await.unwrap().done();
            assert!(lock(&pool.opened).files <= 3);
        }
        assert_eq!(fake.connects(), ["a", "b", "c", "d", "e", "c", "d", "e"]);
        // Those that are busy are never closed.
        let mut leases = Vec::new();
        for host in hosts {
            leases.push(pool.session(&ConnectionSpec::ssh(host), None).await.unwrap());
        }
        assert_eq!(lock(&pool.opened).files, 5);
        for lease in leases {
            lease.done();
        }
        pool.session(&ConnectionSpec::ssh("f"), None).await.unwrap().done();
        assert_eq!(lock(&pool.opened).files, 3);
    }

    #[tokio::test]
    async fn shells_are_shared_by_user_and_limited_by_host() {
        let fake = FakeHosts::answering(|_| Ok(prints("")));
        let pool = Pool::new(Arc::new(fake.clone()), mpsc::channel(1).0, 100);
        let spec = ConnectionSpec::ssh("n1");
        let root = BecomeSpec::new(BecomeMethod::Sudo, "root");
        let lease = pool.session(&spec, None).await.unwrap();
        let second = pool.session(&spec, Some(&root)).await.unwrap();
        lease.done();
        second.done();
        assert_eq!(lock(&pool.slot(&spec).idle).len(), 2);
        let again = pool.session(&spec, Some(&root)).await.unwrap();
        assert_eq!(lock(&pool.slot(&spec).idle).iter().map(|(w, _)| w.clone()).collect::<Vec<_>>(), [None]);
        pool.part_with(&spec, "nobody").await;
        again.done();
        pool.part_with(&spec, "root").await;
        assert_eq!(lock(&pool.slot(&spec).idle).len(), 1);
        // A lease that is dropped closes its shell.
        drop(pool.session(&spec, Some(&root)).await.unwrap());
        assert_eq!(lock(&pool.slot(&spec).idle).len(), 1);
        assert_eq!(fake.connects(), ["n1"]);

        let mut leases = Vec::new();
        for _ in 0..SESSIONS_PER_HOST {
            leases.push(pool.session(&spec, None).await.unwrap());
        }
        assert_eq!(pool.slot(&spec).permits.available_permits(), 0);
        drop(leases);
        assert_eq!(pool.slot(&spec).permits.available_permits(), SESSIONS_PER_HOST);

        pool.forget(&spec).await;
        assert!(!pool.is_open(&spec));
        pool.session(&spec, None).await.unwrap().done();
        assert!(pool.is_open(&spec));
        assert_eq!(fake.connects(), ["n1", "n1"]);
        pool.session(&ConnectionSpec { port: Some(23), ..spec.clone() }, None).await.unwrap().done();
        assert_eq!(fake.connects().len(), 3);
        pool.close().await;
        assert!(lock(&pool.hosts).is_empty());
    }
}
