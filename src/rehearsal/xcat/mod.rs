//! An emulated xCAT for rehearsals: the same commands, tables, files, texts, exit codes and known lies.
//!
//! Everything lives below one root directory ("/" inside a rehearsal's management node, a temporary directory in
//! tests). What happens on other hosts goes through [`NodeAccess`], time through [`Clock`]. The emulator knows
//! nothing of namespaces, SSH or the engine. What it prints is checked against recordings by
//! `tests/it/transcripts.rs`.

mod archive;
mod boot;
mod cmd;
mod dispatch;
mod image;
mod iso;
mod noderange;
mod objects;
mod packages;
mod schema;
mod seed;
mod session;
mod stock;
mod synclist;
mod tables;
mod world;

pub(super) use archive::resolve_inside;
pub use archive::unpack;
pub use boot::{BootTarget, NodeFile, boot_target, node_files, report_status, start_services};
pub use cmd::{COMMANDS, INNER_GENIMAGE, run};
pub use iso::{IsoSpec, write_iso, write_iso_with};
pub use packages::write_xcat_tarballs;
pub use seed::{CHKCONFIG_SHIM, RPM_SHIM, SERVICE_SHIM, SYSTEMCTL_SHIM, Site, USERLAND, seed, seed_machine};
pub use world::{
    BootDevice, Caller, Clock, NodeAccess, NodeOutput, NodeUnreachable, Pace, PowerAction, PowerError,
    PowerState, PutFile, SystemClock, World,
};
