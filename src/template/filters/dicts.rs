//! Filters.

use super::Filter;

pub(super) const TABLE: &[(&str, Filter)] = &[];
