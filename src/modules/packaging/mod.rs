//! Package management: one file per module, and what they share about packages and repositories.

mod apt;
mod apt_deb;
mod apt_state;
mod debver;
mod fetch;
mod rpmver;
mod set;

use super::Module;

/// The modules about packages, for the registry.
pub static MODULES: &[&dyn Module] = &[&apt::Apt];
