//! Modules for xCAT management nodes; each reads back what it did.

use super::Module;

/// The xCAT modules, for the registry.
pub static MODULES: &[&dyn Module] = &[];
