//! Package management: one file per module, and what they share about packages and repositories.

mod apk;
mod apt;
mod apt_deb;
mod apt_key;
mod apt_repository;
mod apt_state;
mod deb822_repository;
mod debconf;
mod debver;
mod dnf;
mod dnf_output;
mod dnf_state;
mod dpkg_divert;
mod dpkg_selections;
mod fetch;
mod files;
mod package_facts;
mod pep440;
mod pip;
mod rpm_key;
mod rpmver;
mod set;
mod yum_repository;
mod zypper;

use super::{Module, ModuleSpec};

/// The modules about packages, for the registry.
pub static MODULES: &[&dyn Module] = &[
    &apk::Apk,
    &apt::Apt,
    &apt_key::AptKey,
    &apt_repository::AptRepository,
    &deb822_repository::Deb822Repository,
    &debconf::Debconf,
    &dnf::Dnf,
    &dnf::Dnf5,
    &dpkg_divert::DpkgDivert,
    &dpkg_selections::DpkgSelections,
    &package_facts::PackageFacts,
    &pip::Pip,
    &rpm_key::RpmKey,
    &dnf::Yum,
    &yum_repository::YumRepository,
    &zypper::Zypper,
];

/// The modules that `package` can hand its arguments to, as the fact `pkg_mgr` names them.
pub const MANAGERS: &[&str] = &["apt", "dnf", "dnf5", "yum", "zypper", "apk"];

/// Their argument tables.
pub static SPECS: &[&ModuleSpec] = &[&apt::SPEC, &dnf::DNF, &zypper::SPEC, &apk::SPEC];
