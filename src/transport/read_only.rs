//! Sessions that look and never write: what a plan gets instead of the real ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{
    BecomeSpec, BoxFuture, Capabilities, Connection, ConnectionSpec, Connector, Exec, Intent, Output,
    OutputSink, Session, TransportError, UnknownKey,
};
use crate::value::Secret;

/// Makes connections whose sessions run only scripts that say that they look ([`Intent::Look`]), take no content and do
/// not outlive the connection. Anything else is refused before it is sent.
pub struct ReadOnly(Arc<dyn Connector>);

impl ReadOnly {
    pub fn new(connector: Arc<dyn Connector>) -> Self {
        ReadOnly(connector)
    }
}

impl Connector for ReadOnly {
    fn connect<'a>(
        &'a self,
        spec: &'a ConnectionSpec,
    ) -> BoxFuture<'a, Result<Box<dyn Connection>, TransportError>> {
        Box::pin(async move {
            Ok(Box::new(LookingConnection(self.0.connect(spec).await?)) as Box<dyn Connection>)
        })
    }

    fn take_warnings(&self) -> Vec<String> {
        self.0.take_warnings()
    }

    fn lacks_key(&self, spec: &ConnectionSpec) -> bool {
        self.0.lacks_key(spec)
    }

    fn unknown_key<'a>(
        &'a self,
        spec: &'a ConnectionSpec,
    ) -> BoxFuture<'a, Result<Option<Box<UnknownKey>>, TransportError>> {
        self.0.unknown_key(spec)
    }

    fn locked_keys<'a>(&'a self, spec: &'a ConnectionSpec) -> BoxFuture<'a, Vec<PathBuf>> {
        self.0.locked_keys(spec)
    }

    fn unlock(&self, key: &Path, passphrase: &Secret) -> bool {
        self.0.unlock(key, passphrase)
    }
}

struct LookingConnection(Box<dyn Connection>);

impl Connection for LookingConnection {
    fn session<'a>(
        &'a self,
        r#become: Option<&'a BecomeSpec>,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, TransportError>> {
        Box::pin(
            async move { Ok(Box::new(LookingSession(self.0.session(r#become).await?)) as Box<dyn Session>) },
        )
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.0.close()
    }
}

struct LookingSession(Box<dyn Session>);

impl Session for LookingSession {
    fn exec<'a>(
        &'a mut self,
        req: Exec,
        sink: &'a mut dyn OutputSink,
    ) -> BoxFuture<'a, Result<Output, TransportError>> {
        if req.intent != Intent::Look || req.stdin.is_some() || req.durable.is_some() {
            let reason = "a plan writes nothing, and this script may write".into();
            return Box::pin(std::future::ready(Err(TransportError::Protocol { reason })));
        }
        self.0.exec(req, sink)
    }

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.0.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::fake::{FakeHosts, prints};
    use crate::transport::{Content, DurableId, NullSink};

    #[tokio::test]
    async fn only_looking_is_sent() {
        let fake = FakeHosts::answering(|_| Ok(prints("")));
        let connector = ReadOnly::new(Arc::new(fake.clone()));
        let connection = connector.connect(&ConnectionSpec::ssh("n1")).await.unwrap();
        let mut session = connection.session(None).await.unwrap();
        assert!(session.exec(Exec::new("ls").looking(), &mut NullSink).await.is_ok());
        for refused in [
            Exec::new("ls"),
            Exec::new("ls").looking().stdin(Content::bytes(*b"x")),
            Exec::new("ls").looking().durable(DurableId::new("job").unwrap()),
        ] {
            let refusal = session.exec(refused, &mut NullSink).await.unwrap_err();
            assert!(matches!(refusal, TransportError::Protocol { .. }));
        }
        assert_eq!(fake.frames(), 1);
    }
}
