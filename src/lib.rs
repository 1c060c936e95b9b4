//! xplay: Ansible's language over SSH with nothing but POSIX `sh` on a target.
//!
//! The modules below stand in layer order: each uses only those above it. `tests/it/layers.rs` checks that,
//! and which library belongs to which layer. ARCHITECTURE.md tells what each may not know.

pub mod diag;
pub mod yaml;
pub mod value;
pub mod vault;
pub mod template;
pub mod inventory;
pub mod vars;
pub mod playbook;
pub mod transport;
pub mod facts;
pub mod modules;
pub mod plan;
pub mod engine;
pub mod report;
pub mod rehearsal;
pub mod cli;
