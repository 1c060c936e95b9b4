//! A host behind a fan-out tool, as the layers above see it: a connection, and sessions that keep nothing on the host.

use std::sync::Arc;

use super::hub::Hub;
use super::parcel::{Known, Order};
use super::tool::check_name;
use crate::transport::framed::parse_capabilities;
use crate::transport::shell::CAPABILITIES;
use crate::transport::{
    BecomeSpec, BoxFuture, Capabilities, Connection, ConnectionSpec, Exec, Output, OutputSink, Session,
    Stream, TransportError,
};

/// One host.
pub(in crate::transport) struct FanoutConnection {
    host: Arc<Host>,
}

struct Host {
    hub: Arc<Hub>,
    name: String,
    /// Its name for the tool.
    node: String,
    user: Option<String>,
    shell: String,
}

impl FanoutConnection {
    pub fn new(spec: &ConnectionSpec, hub: Arc<Hub>) -> Result<Self, TransportError> {
        check_name(&spec.host, &spec.address)?;
        if spec.password.is_some() {
            let reason = format!("connection {} takes no passwords: use keys", hub.tool().name());
            return Err(TransportError::Unreachable { host: spec.host.clone(), reason });
        }
        let host = Host {
            hub,
            name: spec.host.clone(),
            node: spec.address.clone(),
            user: spec.user.clone(),
            shell: spec.shell.clone(),
        };
        Ok(Self { host: Arc::new(host) })
    }
}

impl Connection for FanoutConnection {
    fn session<'a>(
        &'a self,
        r#become: Option<&'a BecomeSpec>,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, TransportError>> {
        Box::pin(async move {
            let host = self.host.clone();
            let r#become = r#become.filter(|b| host.user.as_ref() != Some(&b.user)).cloned();
            if let Some(spec) = r#become.as_ref().filter(|b| b.password.is_some()) {
                return Err(TransportError::Become {
                    host: host.name.clone(),
                    user: spec.user.clone(),
                    method: spec.method,
                    reason: format!("connection {} passes no passwords on", host.hub.tool().name()),
                });
            }
            let mut session = FanoutSession { host, r#become, caps: Capabilities::default(), known: None };
            let answer = session.run(vec![Exec::new(CAPABILITIES)]).await.pop();
            let answer = answer.unwrap_or_else(|| Err(session.nothing()))?;
            session.caps = parse_capabilities(&answer.stdout_text());
            session.known = Some(Known { take: session.caps.has.exact_read, stat: session.caps.has.stat });
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.host.hub.close())
    }
}

/// Sends each script with all that it needs.
struct FanoutSession {
    host: Arc<Host>,
    r#become: Option<BecomeSpec>,
    caps: Capabilities,
    known: Option<Known>,
}

impl FanoutSession {
    async fn run(&self, execs: Vec<Exec>) -> Vec<Result<Output, TransportError>> {
        let Host { hub, name, node, user, shell } = &*self.host;
        if execs.iter().any(|exec| exec.durable.is_some()) {
            let reason = format!(
                "through {} nothing can run that outlives its call; reach {name} by connection ssh for this",
                hub.tool().name()
            );
            return execs.iter().map(|_| Err(TransportError::Protocol { reason: reason.clone() })).collect();
        }
        let order = Order { execs, r#become: self.r#become.clone(), shell: shell.clone(), known: self.known };
        hub.run(name, node, user.as_deref(), order).await
    }

    fn nothing(&self) -> TransportError {
        let reason = "nothing was sent".into();
        TransportError::Unreachable { host: self.host.name.clone(), reason }
    }
}

impl Session for FanoutSession {
    fn exec<'a>(
        &'a mut self,
        req: Exec,
        sink: &'a mut dyn OutputSink,
    ) -> BoxFuture<'a, Result<Output, TransportError>> {
        Box::pin(async move {
            let stream = req.stream;
            let output = self.run(vec![req]).await.pop().unwrap_or_else(|| Err(self.nothing()))?;
            if stream {
                sink.chunk(Stream::Stdout, &output.stdout);
                sink.chunk(Stream::Stderr, &output.stderr);
            }
            Ok(output)
        })
    }

    fn exec_all(&mut self, reqs: Vec<Exec>) -> BoxFuture<'_, Vec<Result<Output, TransportError>>> {
        Box::pin(self.run(reqs))
    }

    fn capabilities(&self) -> &Capabilities {
        &self.caps
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}
