//! Embedded SSH hosts with an emulated xCAT cluster. `run` never needs it.

pub mod xcat;
