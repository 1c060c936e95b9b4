//! The dispatcher and its workers; speaks only in events.

mod event;

pub use event::{Counts, Event, HostResult, Recap, Status, TaskHeader, TaskKind};
