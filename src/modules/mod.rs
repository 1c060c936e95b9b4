//! Modules: probe, plan and result as pure functions; one file per module, found by its Ansible name.

pub mod xcat;
