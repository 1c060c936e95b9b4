//! Package management: one file per module, and what they share about packages and repositories.

mod apt;
mod apt_deb;
mod apt_state;
mod debver;
mod dnf;
mod dnf_output;
mod dnf_state;
mod fetch;
mod rpmver;
mod set;

use super::{Module, ModuleSpec};

/// The modules about packages, for the registry.
pub static MODULES: &[&dyn Module] = &[&apt::Apt, &dnf::Dnf, &dnf::Dnf5, &dnf::Yum];

/// The modules that `package` can hand its arguments to, as the fact `pkg_mgr` names them.
pub const MANAGERS: &[&str] = &["apt", "dnf", "dnf5", "yum", "zypper", "apk"];

/// Their argument tables.
pub static SPECS: &[&ModuleSpec] = &[&apt::SPEC, &dnf::DNF];
