//! Rehearsals: a small cluster inside this machine, served over real SSH.

mod agent;
mod cluster;
mod command;
mod control;
mod cut;
mod emulation;
mod enter;
mod error;
mod faults;
mod furnish;
mod host;
mod image;
mod keys;
mod link;
mod local;
mod lock;
mod machine;
mod os;
mod plain;
mod probe;
mod process;
mod pump;
mod site;
mod sshd;
mod terminal;
mod tree;
mod userland;
pub mod xcat;

pub use cluster::{Cluster, ClusterOptions, start};
pub use control::{CONTROL_SOCKET, Control, ControlError, Power};
pub use emulation::MEDIA;
pub use error::RehearsalError;
pub use faults::{FAULTS_FILE, Fault};
pub use host::PROGRAM;
pub use keys::HostAccess;
pub use link::{Exit, RootMode};
pub use machine::Output;
pub use plain::{PlainHosts, start_plain, start_plain_inside};
pub use site::{HostPlan, MANAGEMENT_NODE, Role, Site};
pub use tree::TEMPLATE;

use enter::{ENTER_COMMAND, enter_main};
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

/// Runs a hidden subcommand of rehearsals, if `name` is one. Called before anything else of the program: a host's
/// process 1 must not have threads.
pub fn hidden_command(name: &OsStr, args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    match name.to_str()? {
        ENTER_COMMAND => Some(enter_main(args)),
        emulation::COMMAND => Some(command::xcat_main(args)),
        command::SSH_COMMAND => Some(command::ssh_main(args)),
        _ => None,
    }
}
