//! Modules for xCAT management nodes; each reads back what it did.
//!
//! xCAT's commands say little of what they changed and their exit codes cannot be trusted, so every module looks
//! before (`probe`), writes only on a difference, and looks again at the end of the change (`finish` judges that).

mod boot;
mod boot_script;
mod build_host;
mod common;
mod copycds;
mod facts;
mod genimage;
mod genimage_inputs;
mod image_list;
mod image_service;
mod list_file;
mod node;
mod nodeset;
mod osimage;
mod otherpkgs;
mod packimage;
pub mod parse;
mod postinstall;
mod relations;
mod sh;
mod sync_install;
mod updatenode;
mod verify;

use super::Module;

/// The xCAT modules, for the registry.
pub static MODULES: &[&dyn Module] = &[
    &facts::Facts,
    &build_host::BuildHost,
    &copycds::Copycds,
    &osimage::Osimage,
    &node::Node,
    &image_list::ImageList,
    &postinstall::Postinstall,
    &otherpkgs::Otherpkgs,
    &genimage::Genimage,
    &image_service::ImageService,
    &packimage::Packimage,
    &nodeset::Nodeset,
    &boot::Boot,
    &sync_install::SyncInstall,
    &updatenode::Updatenode,
    &verify::Verify,
];
