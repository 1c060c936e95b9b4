//! An approval: what somebody signed about a plan, and the signature.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::PlanFile;
use super::error::Problem;
use super::json;

/// What is signed. It names the plan and its end, so that neither another plan nor a longer life is approved with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The plan's full id.
    pub plan: String,
    /// When the plan ends.
    pub expires: Timestamp,
    /// Who says so, in their own words. Who really signed is told by the key.
    pub who: String,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A statement with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The exact text that is signed: the statement as canonical JSON.
    pub statement: String,
    /// In the form of `ssh-keygen -Y sign`.
    pub signature: String,
}

impl Statement {
    /// Returns what approving this plan says.
    pub fn about(file: &PlanFile, who: &str, at: Timestamp, note: &str) -> Self {
        Statement {
            plan: file.digest().to_string(),
            expires: file.created().expires,
            who: who.to_string(),
            at: Timestamp::from_second(at.as_second()).unwrap_or(at),
            note: note.to_string(),
        }
    }

    /// Returns the text to sign.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&json::canonical(self)).into_owned()
    }
}

impl Approval {
    /// Reads what the statement says.
    pub fn parse(&self) -> Result<Statement, Problem> {
        json::parse_canonical("statement", self.statement.as_bytes())
    }
}
