//! Sessions: run a framed script on a host, stream its output, move bytes. Knows no modules.
//!
//! A [`Connector`] makes a [`Connection`] from a [`ConnectionSpec`]; a connection opens one [`Session`] for each
//! user it becomes. A session is one persistent remote `sh` that takes one script at a time and gives its exit
//! code, stdout and stderr back separately and byte-exact.

mod channel;
mod connector;
mod drive;
pub mod durable;
mod error;
mod exec;
pub mod fake;
mod fanout;
mod frame;
mod framed;
mod guard;
pub mod inside;
mod launch;
mod local;
mod patience;
mod read_only;
mod session;
mod shell;
mod spec;
mod ssh;

pub use connector::{HostConnector, Identity};
pub use error::{ChangedKey, TransportError, UnknownKey};
pub use exec::{
    Content, DEFAULT_MAX_OUTPUT, DurableId, Exec, Intent, NullSink, Output, OutputSink, Stream, Whole,
};
pub(crate) use patience::within_load;
pub use read_only::ReadOnly;
pub use session::{BoxFuture, Capabilities, Connection, Connector, ExactRead, Session, StatFlavour, Tools};
pub use shell::quote;
pub use spec::{BecomeMethod, BecomeSpec, ConnectionSpec, FanOut, HostKeyPolicy, KeyAfterReboot, Kind};
pub use ssh::arguments as ssh_arguments;
pub use ssh::config as ssh_config;
pub use ssh::known_hosts;
pub use ssh::signature;
