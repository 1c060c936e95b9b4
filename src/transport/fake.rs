//! Hosts without machines: every script is answered by a function. Counts and records what was sent.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    BecomeSpec, BoxFuture, Capabilities, Connection, ConnectionSpec, Connector, Content, DurableId,
    ExactRead, Exec, NullSink, Output, OutputSink, Session, StatFlavour, Stream, Tools, TransportError,
};

/// One script as a fake host got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub host: String,
    /// Whom the session became; nothing for the login user.
    pub r#become: Option<String>,
    pub script: String,
    pub stdin: Option<Vec<u8>>,
    pub durable: Option<DurableId>,
}

type Answer = dyn Fn(&Call) -> Result<Output, TransportError> + Send + Sync;

/// A [`Connector`] whose hosts all answer by one function. Clones share everything.
#[derive(Clone)]
pub struct FakeHosts {
    answer: Arc<Answer>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    connects: Vec<String>,
    capabilities: Option<Capabilities>,
    unreachable: Vec<String>,
    lose_at: Option<usize>,
    trips: usize,
    in_batch: bool,
}

impl FakeHosts {
    pub fn answering(
        answer: impl Fn(&Call) -> Result<Output, TransportError> + Send + Sync + 'static,
    ) -> Self {
        Self { answer: Arc::new(answer), state: Arc::default() }
    }

    /// Answers from a list: a script must contain a step's text, and gets its output. A script out of line is
    /// an error that names both.
    pub fn scripted(steps: Vec<(&str, Output)>) -> Self {
        let steps: Vec<(String, Output)> = steps.into_iter().map(|(t, o)| (t.to_owned(), o)).collect();
        let next = Mutex::new(steps.into_iter());
        Self::answering(move |call| {
            let step = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            match step {
                Some((text, output)) if call.script.contains(&text) => Ok(output),
                Some((text, _)) => Err(TransportError::Protocol {
                    reason: format!("expected a script with {text:?}, got {:?}", call.script),
                }),
                None => Err(TransportError::Protocol {
                    reason: format!("expected no more scripts, got {:?}", call.script),
                }),
            }
        })
    }

    /// Loses the connection at script number `index`, counted from zero over all hosts, after it was sent.
    #[must_use]
    pub fn losing_at(self, index: usize) -> Self {
        self.with(|s| s.lose_at = Some(index));
        self
    }

    /// Makes one host unreachable.
    #[must_use]
    pub fn without(self, host: &str) -> Self {
        self.with(|s| s.unreachable.push(host.to_owned()));
        self
    }

    #[must_use]
    pub fn with_capabilities(self, capabilities: Capabilities) -> Self {
        self.with(|s| s.capabilities = Some(capabilities));
        self
    }

    /// Returns all scripts in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.with(|s| s.calls.clone())
    }

    /// Returns how many scripts were sent.
    pub fn frames(&self) -> usize {
        self.with(|s| s.calls.len())
    }

    /// Returns how often an answer was waited for; scripts that are sent together are waited for once.
    pub fn round_trips(&self) -> usize {
        self.with(|s| s.trips)
    }

    /// Returns how many bytes the scripts and their contents had.
    pub fn bytes_sent(&self) -> usize {
        self.with(|s| s.calls.iter().map(|c| c.script.len() + c.stdin.as_ref().map_or(0, Vec::len)).sum())
    }

    /// Returns the hosts in the order in which they were connected.
    pub fn connects(&self) -> Vec<String> {
        self.with(|s| s.connects.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns an output with exit code zero.
pub fn prints(stdout: impl Into<Vec<u8>>) -> Output {
    Output { stdout: stdout.into(), ..Output::default() }
}

/// Returns an output of a script that failed.
pub fn fails(rc: i32, stderr: impl Into<Vec<u8>>) -> Output {
    Output { rc, stderr: stderr.into(), ..Output::default() }
}

impl Connector for FakeHosts {
    fn connect<'a>(
        &'a self,
        spec: &'a ConnectionSpec,
    ) -> BoxFuture<'a, Result<Box<dyn Connection>, TransportError>> {
        Box::pin(async move {
            let host = spec.host.clone();
            if self.with(|s| s.unreachable.contains(&host)) {
                return Err(TransportError::Unreachable { host, reason: "no route to host".into() });
            }
            self.with(|s| s.connects.push(host.clone()));
            Ok(Box::new(FakeConnection { hosts: self.clone(), host }) as Box<dyn Connection>)
        })
    }
}

struct FakeConnection {
    hosts: FakeHosts,
    host: String,
}

impl Connection for FakeConnection {
    fn session<'a>(
        &'a self,
        r#become: Option<&'a BecomeSpec>,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, TransportError>> {
        Box::pin(async move {
            let user = r#become.map(|b| b.user.clone());
            let capabilities =
                self.hosts.with(|s| s.capabilities.clone()).unwrap_or_else(|| plain_linux(user.as_deref()));
            let (hosts, host) = (self.hosts.clone(), self.host.clone());
            Ok(Box::new(FakeSession { hosts, host, r#become: user, capabilities }) as Box<dyn Session>)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

fn plain_linux(user: Option<&str>) -> Capabilities {
    let user = user.unwrap_or("root");
    let root = user == "root";
    Capabilities {
        uid: if root { 0 } else { 1000 },
        user: user.into(),
        home: if root { "/root".into() } else { format!("/home/{user}") },
        kernel: "Linux".into(),
        release: "5.14.0".into(),
        machine: "x86_64".into(),
        node: "fake".into(),
        shell_pid: 100,
        process_group: 100,
        has: Tools {
            sha256sum: true,
            base64: true,
            setsid: true,
            python3: false,
            systemctl: true,
            selinux: false,
            stat: StatFlavour::Gnu,
            exact_read: ExactRead::Head,
        },
    }
}

struct FakeSession {
    hosts: FakeHosts,
    host: String,
    r#become: Option<String>,
    capabilities: Capabilities,
}

impl Session for FakeSession {
    fn exec<'a>(
        &'a mut self,
        req: Exec,
        sink: &'a mut dyn OutputSink,
    ) -> BoxFuture<'a, Result<Output, TransportError>> {
        Box::pin(async move {
            let stdin = match &req.stdin {
                Some(Content::Bytes(bytes)) => Some(bytes.to_vec()),
                Some(Content::File { path, .. }) => {
                    let what = format!("read {}", path.display());
                    Some(tokio::fs::read(path).await.map_err(TransportError::local(what))?)
                }
                None => None,
            };
            let (host, r#become) = (self.host.clone(), self.r#become.clone());
            let call = Call { host, r#become, script: req.script, stdin, durable: req.durable };
            let lost = self.hosts.with(|s| {
                s.trips += usize::from(!s.in_batch);
                s.calls.push(call.clone());
                s.lose_at == Some(s.calls.len() - 1)
            });
            if lost {
                let reason = "the connection was lost".into();
                return Err(TransportError::Lost { host: self.host.clone(), reason });
            }
            let mut output = (self.hosts.answer)(&call)?;
            if req.stream {
                for (stream, bytes) in [(Stream::Stdout, &output.stdout), (Stream::Stderr, &output.stderr)] {
                    if !bytes.is_empty() {
                        sink.chunk(stream, bytes);
                    }
                }
            }
            let whole = std::mem::take(&mut output);
            output.rc = whole.rc;
            for (stream, bytes) in [(Stream::Stdout, &whole.stdout), (Stream::Stderr, &whole.stderr)] {
                output.keep(stream, bytes, req.max_output, sink);
            }
            Ok(Output { stdout: output.stdout, stderr: output.stderr, truncated: output.truncated, ..whole })
        })
    }

    fn exec_all(&mut self, reqs: Vec<Exec>) -> BoxFuture<'_, Vec<Result<Output, TransportError>>> {
        Box::pin(async move {
            self.hosts.with(|s| (s.trips, s.in_batch) = (s.trips + 1, true));
            let mut results = Vec::with_capacity(reqs.len());
            for req in reqs {
                results.push(self.exec(req, &mut NullSink).await);
            }
            self.hosts.with(|s| s.in_batch = false);
            results
        })
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::BecomeMethod;

    #[tokio::test]
    async fn scripts_are_recorded_and_answered() {
        let hosts = FakeHosts::scripted(vec![("uname", prints("Linux\n")), ("false", fails(1, "no\n"))])
            .losing_at(2)
            .without("down");
        assert!(hosts.connect(&ConnectionSpec::ssh("down")).await.is_err());
        let connection = hosts.connect(&ConnectionSpec::ssh("n1")).await.unwrap();
        let root = BecomeSpec::new(BecomeMethod::Sudo, "root");
        let mut session = connection.session(Some(&root)).await.unwrap();
        let first = session.exec(Exec::new("uname -s").stdin(Content::bytes(*b"x")), &mut NullSink).await;
        assert_eq!(first.unwrap(), prints("Linux\n"));
        assert_eq!(session.exec(Exec::new("false"), &mut NullSink).await.unwrap().rc, 1);
        let lost = session.exec(Exec::new("gone"), &mut NullSink).await;
        assert!(matches!(lost, Err(TransportError::Lost { .. })));
        assert_eq!((hosts.frames(), hosts.connects()), (3, vec!["n1".to_owned()]));
        let call = &hosts.calls()[0];
        assert_eq!((call.r#become.as_deref(), call.stdin.as_deref()), (Some("root"), Some(&b"x"[..])));
    }
}
