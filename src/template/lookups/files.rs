//! Lookups.

use super::Lookup;

pub(super) const TABLE: &[(&str, Lookup)] = &[];
