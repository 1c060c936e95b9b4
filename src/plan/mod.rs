//! Reviewed plans: what a run would do, as data that is saved, shown, signed and applied.
//!
//! [`model`] is what a plan file says, [`file`] is the archive that holds it, [`nodeset`] folds equal hosts, [`risk`]
//! tells how much a step can break. [`approvals`] says who signed a plan according to the [`signers`], [`policy`] what a
//! project demands, [`applied`] whether it was applied before, and [`refusal`] why it is not applied. Nothing here touches
//! a host or prints.

pub mod applied;
pub mod approvals;
pub mod file;
pub mod model;
pub mod nodeset;
pub mod policy;
pub mod refusal;
pub mod risk;
pub mod signers;

pub use file::{Bundle, Created, PlanFile, PlanFileError};
pub use model::{
    Counts, DiffSide, Group, HostEntry, Invocation, Plan, PlanDiff, PlayEntry, Reach, Risk, State, Step,
    StepKind, Unit, Verdict,
};
