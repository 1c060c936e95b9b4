//! What a project demands before a plan may be applied.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::file::Expiry;
use super::model::{Plan, Risk};

/// How many people have to approve, whose keys count, and how long plans live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// By risk class; a class that is not named takes the largest number of those below it.
    pub approvals: BTreeMap<Risk, usize>,
    pub allowed_signers: Option<PathBuf>,
    pub expiry: Expiry,
}

impl Policy {
    /// Returns how many people have to approve a change of this risk.
    pub fn for_risk(&self, risk: Risk) -> usize {
        let below = || self.approvals.range(..risk).map(|(_, n)| *n).max().unwrap_or(0);
        self.approvals.get(&risk).copied().unwrap_or_else(below)
    }

    /// Returns how many people have to approve a plan, and the risk that demands it.
    pub fn needed(&self, plan: &Plan) -> (usize, Risk) {
        let risks = plan.steps.iter().filter(|s| s.acts()).map(|s| s.risk);
        risks.map(|risk| (self.for_risk(risk), risk)).max().unwrap_or((0, Risk::None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_without_a_number_are_no_hole() {
        let policy = Policy {
            approvals: BTreeMap::from([(Risk::High, 1), (Risk::Opaque, 0), (Risk::Destructive, 3)]),
            ..Policy::default()
        };
        let numbers = [Risk::Low, Risk::High, Risk::Opaque, Risk::Disruptive, Risk::Destructive];
        assert_eq!(numbers.map(|risk| policy.for_risk(risk)), [0, 1, 0, 1, 3]);
        assert_eq!(Policy::default().for_risk(Risk::Destructive), 0);
    }
}
