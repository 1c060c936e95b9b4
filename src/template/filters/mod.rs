//! Filters by name: Jinja2's and Ansible's.

mod convert;
mod dicts;
mod hash;
pub(super) mod html;
mod json;
pub(super) mod lists;
mod math;
mod network;
mod paths;
pub(super) mod password;
pub(super) mod regex;
pub(super) mod select;
pub(super) mod sets;
mod text;
pub(super) mod time;
mod vault;

pub(super) use convert::to_bool;
pub(super) use dicts::pairs_with_members;

pub use html::escape_html;
pub use password::shadow_hash;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::args::{VArgs, ValueArgs};
use super::error::R;
use super::interp::Interp;
use super::runtime::V;
use crate::value::Value;

pub(super) type PlainFilter = fn(&mut Interp<'_>, Value, ValueArgs) -> R<Value>;
pub(super) type RawFilter = fn(&mut Interp<'_>, V, VArgs) -> R<V>;

/// How a filter takes its input.
#[derive(Debug)]
pub(super) enum Filter {
    /// Plain data; anything unknown or secret inside makes the whole result so.
    Plain(PlainFilter),
    /// Plain data that is only rearranged: unknown and secret members stay what they are.
    Shape(PlainFilter),
    /// Whatever there is, undefined and lazy values included.
    Raw(RawFilter),
}

type Table = &'static [(&'static str, Filter)];

static FILTERS: LazyLock<HashMap<&'static str, (&'static str, &'static Filter)>> = LazyLock::new(|| {
    let tables: [Table; 15] = [
        convert::TABLE,
        dicts::TABLE,
        hash::TABLE,
        html::TABLE,
        json::TABLE,
        lists::TABLE,
        math::TABLE,
        network::TABLE,
        paths::TABLE,
        regex::TABLE,
        select::TABLE,
        sets::TABLE,
        text::TABLE,
        time::TABLE,
        vault::TABLE,
    ];
    tables.into_iter().flatten().map(|(name, filter)| (*name, (*name, filter))).collect()
});

/// Collections whose names may stand in front of a filter's or test's.
const COLLECTIONS: &[&str] =
    &["ansible.builtin.", "ansible.legacy.", "community.general.", "ansible.utils.", "ansible.netcommon."];

/// Returns a name without the collection in front.
pub(super) fn short_name(name: &str) -> &str {
    COLLECTIONS.iter().find_map(|c| name.strip_prefix(c)).unwrap_or(name)
}

/// Finds a filter by its short or full name.
pub(super) fn find(name: &str) -> Option<(&'static str, &'static Filter)> {
    FILTERS.get(short_name(name)).copied()
}

/// Returns all names, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FILTERS.keys().copied()
}
