//! Who approved a plan: signatures of its approvals checked against the allowed signers, and how many people they are.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::file::{Approval, PlanFile, Statement};
use super::signers::AllowedSigners;
use crate::transport::signature;

/// What approvals are signed for; a signature for anything else is none.
pub const NAMESPACE: &str = "xplay-plan@v1";

/// An approval that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    pub statement: Statement,
    /// The fingerprint of the key, if the signature is the key's.
    pub key: Option<String>,
    /// Whose key it is, or why the approval does not count.
    pub verdict: Result<Vec<String>, String>,
}

/// Looks at every approval of a plan.
pub fn check(file: &PlanFile, signers: &AllowedSigners, now: Timestamp) -> Vec<Checked> {
    // Reading a plan file parses its statements.
    let parsed = file.approvals().iter().filter_map(|approval| Some((approval, approval.parse().ok()?)));
    parsed.map(|(approval, statement)| check_one(file, approval, statement, signers, now)).collect()
}

fn check_one(
    file: &PlanFile,
    approval: &Approval,
    statement: Statement,
    signers: &AllowedSigners,
    now: Timestamp,
) -> Checked {
    let refuse =
        |key: Option<String>, reason: String, statement| Checked { statement, key, verdict: Err(reason) };
    let key = match signature::verify(&approval.signature, NAMESPACE, approval.statement.as_bytes()) {
        Ok(key) => key,
        Err(e) => return refuse(None, e.to_string(), statement),
    };
    let fingerprint = Some(key.fingerprint());
    if statement.plan != file.digest() {
        return refuse(fingerprint, "it approves another plan".into(), statement);
    }
    if statement.expires != file.created().expires {
        let reason = format!("it approves the plan until {}", statement.expires);
        return refuse(fingerprint, reason, statement);
    }
    match signers.principals(&key, NAMESPACE, now) {
        Ok(principals) => Checked { statement, key: fingerprint, verdict: Ok(principals.to_vec()) },
        Err(e) => refuse(fingerprint, e.to_string(), statement),
    }
}

/// Counts people: approvals by one key or under one name are one person's.
pub fn people(checked: &[Checked]) -> usize {
    let mut people: Vec<BTreeSet<&str>> = Vec::new();
    for approval in checked {
        let (Ok(principals), Some(key)) = (&approval.verdict, &approval.key) else { continue };
        let mut person: BTreeSet<&str> =
            principals.iter().map(String::as_str).chain([key.as_str()]).collect();
        for known in people.extract_if(.., |known| !known.is_disjoint(&person)).collect::<Vec<_>>() {
            person.extend(known);
        }
        people.push(person);
    }
    people.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(key: &str, names: &str) -> Checked {
        let at = Timestamp::UNIX_EPOCH;
        let statement =
            Statement { plan: String::new(), expires: at, who: String::new(), at, note: String::new() };
        let verdict = match names {
            "" => Err("unknown".to_string()),
            names => Ok(names.split(',').map(str::to_string).collect()),
        };
        Checked { statement, key: Some(key.into()), verdict }
    }

    #[test]
    fn people_are_counted_once() {
        let check = |all: &[(&str, &str)], expect: usize| {
            let all: Vec<Checked> = all.iter().map(|(key, names)| by(key, names)).collect();
            assert_eq!(people(&all), expect);
        };
        check(&[], 0);
        check(&[("1", "ann"), ("1", "ann")], 1);
        check(&[("1", "ann"), ("2", "ann")], 1);
        check(&[("1", "ann"), ("2", "bob"), ("3", "")], 2);
        check(&[("1", "ann"), ("2", "bob"), ("3", "bob,ann")], 1);
    }
}
