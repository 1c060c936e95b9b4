//! The names of what templates can call, for lists and tables.

use super::{filters, lookups, tests};

/// A kind of thing that templates call by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    Filter,
    Test,
    Lookup,
}

impl Plugin {
    /// Returns all names of the kind, sorted.
    pub fn names(self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = match self {
            Plugin::Filter => filters::names().collect(),
            Plugin::Test => tests::names().collect(),
            Plugin::Lookup => lookups::names().collect(),
        };
        names.sort_unstable();
        names.dedup();
        names
    }
}
