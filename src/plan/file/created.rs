//! When a plan was made and until when it may be applied. Stands beside the hashed part.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::plan::model::{Plan, Risk};
use crate::plan::risk;

/// How long plans may be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    pub usual: SignedDuration,
    /// Of plans that take services away or remove what cannot be made again.
    pub disruptive: SignedDuration,
}

impl Default for Expiry {
    fn default() -> Self {
        Expiry { usual: SignedDuration::from_hours(24), disruptive: SignedDuration::from_hours(4) }
    }
}

/// When and with what a plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    pub at: Timestamp,
    pub expires: Timestamp,
    /// The version of xplay.
    pub xplay: String,
    /// Where the bundle's roots lay; files that are in the plan by reference are looked for there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, String>,
}

impl Created {
    /// Returns the record of a plan made now by this program, with the default expiry.
    pub fn at(now: Timestamp, plan: &Plan) -> Self {
        Self::expiring(now, plan, Expiry::default())
    }

    /// Returns the record of a plan made now by this program.
    pub fn expiring(now: Timestamp, plan: &Plan, expiry: Expiry) -> Self {
        let lasts = if risk::of_plan(plan) >= Risk::Disruptive { expiry.disruptive } else { expiry.usual };
        // The end is compared by people, so it has whole seconds.
        let ends = Timestamp::from_second(now.as_second()).and_then(|at| at.saturating_add(lasts));
        Created {
            at: now,
            expires: ends.unwrap_or(Timestamp::MAX),
            xplay: env!("CARGO_PKG_VERSION").to_string(),
            sources: BTreeMap::new(),
        }
    }
}
