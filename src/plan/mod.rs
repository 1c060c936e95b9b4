//! Reviewed plans: what a run would do, as data that is saved, shown, signed and applied.
//!
//! [`model`] is what a plan file says, [`nodeset`] folds equal hosts, [`risk`] tells how much a step can break. Nothing
//! here touches a host or prints.

pub mod model;
pub mod nodeset;
pub mod risk;

pub use model::{
    Counts, DiffSide, Group, HostEntry, Invocation, Plan, PlanDiff, PlayEntry, Reach, Risk, State, Step,
    StepKind, Unit, Verdict,
};
