//! Gathers what many hosts are to do at one moment, and sends what is the same for several of them once.
//!
//! A task reaches its hosts at about the same time. The first request opens a short while in which others join; it ends
//! when none came for a moment. Requests that would send the same bytes become one call of the tool.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

use super::answer::{Answer, Asked};
use super::parcel::{Order, Parcel};
use super::tool::{Call, Tool, calls};
use crate::transport::{
    Connection, ConnectionSpec, Connector, Exec, NullSink, Output, Session, TransportError,
};

/// Nobody came for this long: all are there.
const QUIET: Duration = Duration::from_millis(15);
/// The first does not wait longer than this for others.
const LONGEST: Duration = Duration::from_millis(500);
/// Calls of the tool at once; each starts many connections itself.
const CALLS: usize = 4;
/// What a tool may print for one node and for all, beyond which the rest is lost.
const MOST_OUTPUT: usize = 1 << 30;

type Results = Vec<Result<Output, TransportError>>;

/// All hosts that are reached by one tool from one place.
pub(in crate::transport) struct Hub {
    tool: Tool,
    /// Where the tool is.
    via: ConnectionSpec,
    args: Vec<String>,
    connector: Arc<dyn Connector>,
    /// What each shell is given first.
    prelude: Arc<str>,
    waiting: Mutex<Vec<Request>>,
    connection: tokio::sync::Mutex<Option<Arc<dyn Connection>>>,
    idle: Mutex<Vec<Box<dyn Session>>>,
    calls: Semaphore,
}

struct Request {
    host: String,
    node: String,
    user: Option<String>,
    order: Order,
    results: oneshot::Sender<Results>,
}

impl Hub {
    pub fn new(
        tool: Tool,
        via: ConnectionSpec,
        args: Vec<String>,
        connector: Arc<dyn Connector>,
        prelude: Arc<str>,
    ) -> Self {
        Self {
            tool,
            via,
            args,
            connector,
            prelude,
            waiting: Mutex::default(),
            connection: tokio::sync::Mutex::new(None),
            idle: Mutex::default(),
            calls: Semaphore::new(CALLS),
        }
    }

    pub fn tool(&self) -> Tool {
        self.tool
    }

    /// Runs an order on a node, with others that have the same; one result for each of its scripts.
    pub(super) async fn run(
        self: &Arc<Self>,
        host: &str,
        node: &str,
        user: Option<&str>,
        order: Order,
    ) -> Results {
        let count = order.execs.len();
        let (results, answer) = oneshot::channel();
        let request =
            Request { host: host.into(), node: node.into(), user: user.map(str::to_owned), order, results };
        let first = {
            let mut waiting = lock(&self.waiting);
            waiting.push(request);
            waiting.len() == 1
        };
        if first {
            tokio::spawn(self.clone().gather());
        }
        answer.await.unwrap_or_else(|_| {
            let ended = || TransportError::Lost { host: host.into(), reason: "the call was ended".into() };
            (0..count).map(|_| Err(ended())).collect()
        })
    }

    async fn gather(self: Arc<Self>) {
        let opened = Instant::now();
        let mut known = 0;
        loop {
            tokio::time::sleep(QUIET).await;
            let now = lock(&self.waiting).len();
            if now == known || opened.elapsed() > LONGEST {
                break;
            }
            known = now;
        }
        let requests = std::mem::take(&mut *lock(&self.waiting));
        let mut groups: BTreeMap<(Option<String>, Vec<u8>), Vec<Request>> = BTreeMap::new();
        for request in requests {
            groups.entry((request.user.clone(), request.order.key())).or_default().push(request);
        }
        for (_, group) in groups {
            tokio::spawn(self.clone().send(group));
        }
    }

    /// Sends one order to all that asked for it, and hands the answers out.
    async fn send(self: Arc<Self>, group: Vec<Request>) {
        let Ok(_turn) = self.calls.acquire().await else { return };
        let mut left = group;
        left.retain(|request| !request.results.is_closed());
        while let Some(one) = left.first() {
            let (order, user) = (one.order.clone(), one.user.clone());
            let mut nodes: BTreeMap<String, Request> = BTreeMap::new();
            // Hosts that are the same node are different hosts: each has its own turn.
            let mut later = Vec::new();
            for request in left {
                match nodes.contains_key(&request.node) {
                    true => later.push(request),
                    false => drop(nodes.insert(request.node.clone(), request)),
                }
            }
            left = later;
            for names in calls(nodes.keys().cloned().collect()) {
                let part = names.iter().filter_map(|name| nodes.remove_entry(name)).collect();
                self.send_part(&order, user.as_deref(), part).await;
            }
        }
    }

    /// Makes one call, and another one without those because of which the tool refused the first.
    async fn send_part(&self, order: &Order, user: Option<&str>, mut part: BTreeMap<String, Request>) {
        for turn in 0..2 {
            let mut session = None;
            let called = tokio::select! {
                called = self.call(order, user, &part, &mut session) => called,
                () = all_gone(&part) => {
                    // Closing it ends what runs in it.
                    if let Some(session) = session {
                        session.close().await;
                    }
                    return;
                }
            };
            let mut called = match called {
                Ok(called) => called,
                Err(e) => {
                    for request in part.into_values() {
                        let results =
                            order.execs.iter().map(|_| Err(self.failed(&request.host, &e))).collect();
                        // Who does not wait any more needs no answer.
                        let _ = request.results.send(results);
                    }
                    return;
                }
            };
            lock(&self.idle).extend(session);
            let is_last = turn > 0 || called.unknown.is_empty();
            let (now, again) =
                part.into_iter().partition(|(node, _)| is_last || called.unknown.contains(node));
            part = again;
            self.hand_out(order, &mut called, now);
            if part.is_empty() {
                return;
            }
        }
    }

    fn hand_out(&self, order: &Order, called: &mut Called, part: BTreeMap<String, Request>) {
        for (node, request) in part {
            let answer = called.answers.remove(&node).unwrap_or_default();
            let asked = Asked {
                parcel: &called.parcel,
                tool: self.tool,
                host: &request.host,
                r#become: order.r#become.as_ref(),
                started: called.started,
                general: &called.general,
            };
            let _ = request.results.send(answer.outputs(&asked));
        }
    }

    /// What becomes of a host when the tool could not be called, or did not come back.
    fn failed(&self, host: &str, error: &TransportError) -> TransportError {
        let host = host.to_owned();
        let (tool, via) = (self.tool.name(), &self.via.host);
        match error {
            TransportError::Lost { reason, .. } => {
                TransportError::Lost { host, reason: format!("{tool} on {via} did not come back: {reason}") }
            }
            TransportError::Timeout { after, .. } => {
                let what = format!("a script on {host} by {tool}");
                TransportError::Timeout { what, after: *after, still: Some(format!("{tool} cannot stop it")) }
            }
            other => TransportError::Unreachable {
                host,
                reason: format!("{tool} cannot be called on {via}: {other}"),
            },
        }
    }

    async fn call(
        &self,
        order: &Order,
        user: Option<&str>,
        part: &BTreeMap<String, Request>,
        session: &mut Option<Box<dyn Session>>,
    ) -> Result<Called, TransportError> {
        let nodes: Vec<String> = part.keys().cloned().collect();
        let parcel = Parcel::write(order, &self.prelude, self.tool.delivery()).await?;
        let call = Call { nodes: &nodes, user, args: &self.args, token: &parcel.token };
        let most = order.execs.iter().map(|exec| exec.max_output).fold(1 << 20, usize::saturating_add);
        let mut exec = Exec::new(self.tool.script(&call))
            .stdin(parcel.content())
            .max_output(most.saturating_mul(2).saturating_mul(nodes.len()).min(MOST_OUTPUT));
        exec.timeout = order.execs.iter().map(|exec| exec.timeout).sum();
        let started = Instant::now();
        let session = session.insert(self.session().await?);
        let output = session.exec(exec, &mut NullSink).await?;
        Ok(self.read(output, parcel, &nodes, started))
    }

    /// Sorts what the tool printed.
    fn read(&self, output: Output, parcel: Parcel, nodes: &[String], started: Instant) -> Called {
        let stderr = output.stderr_text();
        let unknown = self.tool.unknown_nodes(&stderr).into_iter().map(str::to_owned).collect();
        let mut answers: HashMap<String, Answer> =
            nodes.iter().map(|node| (node.clone(), Answer::default())).collect();
        let mut general = Vec::new();
        for line in output.stdout_text().lines().chain(stderr.lines()) {
            let node = self.tool.read(line).and_then(|(node, said)| Some((answers.get_mut(node)?, said)));
            match node {
                Some((answer, said)) => answer.hear(&parcel.token, said),
                None if line.trim().is_empty() || general.len() >= 20 => {}
                None => general.push(line.trim().to_owned()),
            }
        }
        Called { parcel, answers, general, unknown, started }
    }

    async fn session(&self) -> Result<Box<dyn Session>, TransportError> {
        if let Some(session) = lock(&self.idle).pop() {
            return Ok(session);
        }
        let connection = {
            let mut known = self.connection.lock().await;
            match &*known {
                Some(connection) => connection.clone(),
                None => {
                    let made: Arc<dyn Connection> = self.connector.connect(&self.via).await?.into();
                    *known = Some(made.clone());
                    made
                }
            }
        };
        connection.session(None).await
    }
}

impl Hub {
    /// Closes the way to the place where the tool is; the next call makes it anew.
    pub(super) async fn close(&self) {
        let idle: Vec<_> = std::mem::take(&mut *lock(&self.idle));
        for session in idle {
            session.close().await;
        }
        if let Some(connection) = self.connection.lock().await.take() {
            connection.close().await;
        }
    }
}

/// What a call brought.
struct Called {
    parcel: Parcel,
    answers: HashMap<String, Answer>,
    /// Lines about no node.
    general: Vec<String>,
    /// Nodes because of which nothing was done.
    unknown: Vec<String>,
    started: Instant,
}

/// Waits until nobody waits for an answer any more.
async fn all_gone(part: &BTreeMap<String, Request>) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if part.values().all(|request| request.results.is_closed()) {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
