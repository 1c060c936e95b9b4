//! Why a plan is not applied, decided before anything is touched.

use jiff::{SignedDuration, Timestamp};

use super::applied::{Found, Progress};
use super::approvals::{self, Checked};
use super::file::{Created, PlanFile};
use super::policy::Policy;

/// The exit code of plans that are stale, used up or meant otherwise.
const STALE: u8 = 5;
/// The exit code of plans that lack approvals.
const UNAPPROVED: u8 = 6;
/// How much clocks may differ.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);

/// One reason not to apply a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A word for programs.
    pub code: &'static str,
    pub reason: String,
    /// What to do about it.
    pub help: &'static str,
    pub exit: u8,
}

const AGAIN: &str = "make the plan again";

/// Returns everything that stands against applying a plan now. `semantics` is this program's; `applied` is the record
/// of this plan, if there is one.
pub fn refusals(
    file: &PlanFile,
    now: Timestamp,
    policy: &Policy,
    checked: &[Checked],
    applied: Option<&Found>,
    semantics: u32,
) -> Vec<Refusal> {
    let mut found = Vec::new();
    let mut stale = |code, reason: String, help| found.push(Refusal { code, reason, help, exit: STALE });
    if file.semantics() != semantics {
        let reason = format!(
            "the plan was made for meaning {} of playbooks, and this xplay has {semantics}",
            file.semantics()
        );
        stale("semantics", reason, AGAIN);
    }
    if let Some(reason) = expired(file, now, policy) {
        stale("expired", reason, AGAIN);
    }
    if let Some(found) = applied.filter(|found| !found.is_past_for(file.created())) {
        let reason = match found.progress {
            Progress::Done => match found.record.ended {
                Some(ended) => format!("the plan was applied already, at {ended:.0}"),
                None => "the plan was applied already".into(),
            },
            Progress::Running => format!("the plan is being applied, since {:.0}", found.record.started),
            Progress::Interrupted => {
                format!("applying the plan began at {:.0} and did not end", found.record.started)
            }
        };
        let help = if found.progress == Progress::Running { "wait for its end" } else { AGAIN };
        stale("applied", reason, help);
    }
    let ((needed, risk), given) = (policy.needed(file.plan()), approvals::people(checked));
    if given < needed {
        let who = if needed == 1 { "1 person".to_string() } else { format!("{needed} people") };
        let reason = format!(
            "the plan has {} steps and needs the approval of {who}, and {given} approved it",
            risk.word()
        );
        let help = "xplay approve adds an approval, xplay verify lists them";
        found.push(Refusal { code: "unapproved", reason, help, exit: UNAPPROVED });
    }
    found
}

/// Tells when a plan ended. A life longer than the policy gives is not believed.
fn expired(file: &PlanFile, now: Timestamp, policy: &Policy) -> Option<String> {
    let created = file.created();
    if created.at > now.saturating_add(CLOCKS).unwrap_or(Timestamp::MAX) {
        return Some(format!("the plan is from the future: it was made at {}, and it is {now}", created.at));
    }
    let ends = created.expires.min(Created::expiring(created.at, file.plan(), policy.expiry).expires);
    (now >= ends).then(|| format!("the plan expired at {ends}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::applied::{Outcome, Record};
    use crate::plan::file::SEMANTICS;
    use crate::plan::file::tests::{planned, sample};
    use crate::plan::model::{Risk, State};

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn shown(found: &[Refusal]) -> Vec<String> {
        found.iter().map(|r| format!("{} {}: {}", r.exit, r.code, r.reason)).collect()
    }

    #[test]
    fn a_fresh_plan_is_not_refused() {
        let found =
            refusals(&sample(), time("2026-11-26T07:59:59Z"), &Policy::default(), &[], None, SEMANTICS);
        assert_eq!(found, []);
    }

    #[test]
    fn all_reasons_are_given() {
        let started = time("2026-11-25T09:00:00Z");
        let record =
            Record { plan: String::new(), started, ended: Some(started), outcome: Outcome::default() };
        let applied = Found { record, progress: Progress::Done };
        let policy = Policy { approvals: BTreeMap::from([(Risk::Low, 1)]), ..Policy::default() };
        let found = refusals(&sample(), time("2026-11-26T08:00:00Z"), &policy, &[], Some(&applied), 7);
        assert_eq!(
            shown(&found),
            [
                "5 semantics: the plan was made for meaning 1 of playbooks, and this xplay has 7",
                "5 expired: the plan expired at 2026-11-26T08:00:00Z",
                "5 applied: the plan was applied already, at 2026-11-25T09:00:00Z",
                "6 unapproved: the plan has low steps and needs the approval of 1 person, and 0 approved it",
            ]
        );
    }

    #[test]
    fn a_plan_lives_as_long_as_the_policy_says() {
        let check = |risk: Risk, policy: &Policy, now: &str, expect: &[&str]| {
            let file = planned(risk, State::Change);
            assert_eq!(shown(&refusals(&file, time(now), policy, &[], None, SEMANTICS)), expect);
        };
        let usual = Policy::default();
        check(Risk::Disruptive, &usual, "2026-11-25T11:59:59Z", &[]);
        let at_noon = ["5 expired: the plan expired at 2026-11-25T12:00:00Z"];
        check(Risk::Disruptive, &usual, "2026-11-25T12:00:00Z", &at_noon);
        let mut strict = Policy::default();
        strict.expiry.usual = SignedDuration::from_hours(1);
        let short = ["5 expired: the plan expired at 2026-11-25T09:00:00Z"];
        check(Risk::Low, &strict, "2026-11-25T09:30:00Z", &short);
        let future = [
            "5 expired: the plan is from the future: it was made at 2026-11-25T08:00:00.25Z, and it is 2026-11-25T07:54:59Z",
        ];
        check(Risk::Low, &usual, "2026-11-25T07:54:59Z", &future);
        check(Risk::Low, &usual, "2026-11-25T07:55:01Z", &[]);
    }

    #[test]
    fn progress_is_said() {
        let check = |progress: Progress, expect: &str| {
            let started = time("2026-11-25T09:00:00Z");
            let record = Record { plan: String::new(), started, ended: None, outcome: Outcome::default() };
            let found = Found { record, progress };
            let now = time("2026-11-25T10:00:00Z");
            let all = refusals(&sample(), now, &Policy::default(), &[], Some(&found), SEMANTICS);
            assert_eq!(shown(&all), [format!("5 applied: {expect}")]);
        };
        check(Progress::Running, "the plan is being applied, since 2026-11-25T09:00:00Z");
        check(Progress::Interrupted, "applying the plan began at 2026-11-25T09:00:00Z and did not end");
    }

    /// Somebody put back what a plan had changed: planning gives the same plan again, and it is a new one.
    #[test]
    fn a_plan_that_is_made_again_is_a_new_one() {
        let check = |ended: &str, progress: Progress, refused: usize| {
            let ended = time(ended);
            let record = Record {
                plan: String::new(),
                started: time("2026-11-25T07:00:00Z"),
                ended: Some(ended).filter(|_| progress == Progress::Done),
                outcome: Outcome::default(),
            };
            let found = Found { record, progress };
            let now = time("2026-11-25T10:00:00Z");
            let all = refusals(&sample(), now, &Policy::default(), &[], Some(&found), SEMANTICS);
            assert_eq!(all.len(), refused);
        };
        check("2026-11-25T08:00:00.2Z", Progress::Done, 0);
        check("2026-11-25T08:00:00.3Z", Progress::Done, 1);
        check("2026-11-25T08:00:00.2Z", Progress::Running, 1);
        check("2026-11-25T08:00:00.2Z", Progress::Interrupted, 0);
    }
}
