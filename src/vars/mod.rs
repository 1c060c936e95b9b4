//! Variable precedence: one table of layers, looked up through a chain of shared maps.
//!
//! Nothing is merged or copied per host and task: a [`TaskScope`] holds references to the layers and asks them from
//! the strongest to the weakest. What tasks leave behind on a host lives in the [`Store`].

mod magic;
mod precedence;
mod scope;
mod store;

pub use magic::is_magic;
pub use precedence::{LAYERS, Layer};
pub use scope::{PlayVars, RunVars, TaskLayers, TaskScope, plain_layer};
pub use store::{HostVars, Store};

use std::path::PathBuf;
use std::sync::Arc;

use crate::template::VarMap;
use crate::value::Value;

/// What the variables need to know of the inventory.
pub trait HostSource: Send + Sync {
    fn hosts(&self) -> Vec<Arc<str>>;
    /// Tells whether `hostvars[name]` exists.
    fn contains(&self, host: &str) -> bool;
    /// The host's variables from inventory sources and `host_vars`/`group_vars`, strongest first.
    fn layers(&self, host: &str) -> Arc<Vec<VarMap>>;
    /// The inventory file that first named the host.
    fn file(&self, host: &str) -> Option<PathBuf>;
    /// The magic variable `groups`.
    fn groups(&self) -> Value;
    /// The magic variable `group_names`.
    fn group_names(&self, host: &str) -> Value;
}
