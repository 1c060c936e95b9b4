//! The dispatcher and its workers; speaks only in events.
//!
//! [`run`] takes a loaded project and an inventory. [`run`](mod@run) walks plays and batches, [`play`] is the
//! dispatcher (the one owner of which hosts go on), [`worker`] and [`item`] run one task on one host, [`execute`] turns a
//! module's prediction into actions. Nothing here prints.

mod actions;
mod ahead;
mod ask;
mod attempts;
mod blocks;
mod budget;
mod debugger;
mod dispatch;
mod event;
mod execute;
mod fact_cache;
mod files;
mod follow;
mod foresee;
mod gate;
mod glance;
mod halt;
mod handlers;
mod header;
mod includes;
mod inventory;
mod item;
mod item_input;
mod jobs;
pub mod journal;
mod layers;
mod login;
mod long_output;
mod meta;
mod named_lock;
mod once;
mod options;
mod play;
mod pool;
mod prepared;
mod questions;
mod reaches;
mod recall;
mod result;
mod route;
mod run;
mod shared;
mod spread;
mod stand_in;
mod strategy;
mod worker;

#[cfg(test)]
mod counts;
#[cfg(test)]
mod tests;

pub use ask::{Answers, Shown, Typed, Typing, Until};
pub use event::{Counts, Event, HostResult, Recap, Status, TaskHeader, TaskKind};
pub use execute::PROGRESS_MARK;
pub use fact_cache::FactCache;
pub use gate::Unanswered;
pub use halt::Halt;
pub use login::Reach;
pub use login::truth;
pub use options::{Extent, Gather, Login, Mismatch, RunOptions};
pub use reaches::Before;
pub use run::{RunEnd, RunRequest, run};
pub use strategy::Strategy;
