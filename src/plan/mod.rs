//! Reviewed plans: what a run would do, as data that is saved, shown, signed and applied.
//!
//! [`model`] is what a plan file says, [`nodeset`] folds equal hosts, [`risk`] tells how much a step can break and [`kind`]
//! what it works on. [`render`] makes text of a plan or of a [`select`]ed part, [`compare`] tells what differs between two.
//! Nothing here touches a host or prints.

pub mod compare;
pub mod kind;
pub mod model;
pub mod nodeset;
pub mod render;
pub mod risk;
pub mod select;

pub use model::{
    Counts, DiffSide, Group, HostEntry, Invocation, Plan, PlanDiff, PlayEntry, Reach, Risk, State, Step,
    StepKind, Unit, Verdict,
};
