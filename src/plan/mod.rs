//! Reviewed plans: what a run would do, as data that is saved, shown, signed and applied.
//!
//! [`model`] is what a plan says, [`file`] is the archive that holds it. [`observe`] is what planning learned before it is
//! masked, [`build`] makes a plan of it; [`seal`] keeps secrets and this machine's paths out. [`guide`] leads a run along a
//! plan. [`nodeset`] folds equal hosts, [`risk`] tells how much a step can break and [`kind`] what it works on. [`render`]
//! makes text of a plan or of a [`select`]ed part, [`compare`] tells what differs between two. [`approvals`] says who
//! signed a plan according to the [`signers`], [`policy`] what a project demands, [`applied`] whether it was applied
//! before, and [`refusal`] why it is not applied. Nothing here touches a host or prints.

pub mod applied;
pub mod approvals;
pub mod build;
pub mod compare;
pub mod file;
pub mod guide;
pub mod kind;
pub mod model;
pub mod nodeset;
pub mod observe;
pub mod policy;
pub mod refusal;
pub mod render;
pub mod risk;
pub mod seal;
pub mod select;
pub mod signers;

pub use build::{Builder, StepHead};
pub use file::{Bundle, Created, PlanFile, PlanFileError};
pub use guide::{Actual, Followed, Guide, Recorded, Score};
pub use model::{
    Counts, DiffSide, Group, HostEntry, Invocation, Plan, PlanDiff, PlayEntry, Reach, Risk, State, Step,
    StepKind, Unit, Verdict,
};
pub use observe::{Observed, fingerprint};
pub use seal::{Opened, Seal, Sealer};
