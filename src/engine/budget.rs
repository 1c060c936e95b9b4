//! xplay's own budget of failures. The variables `xplay_budget` and `xplay_failure_domains` of a play say how many hosts may
//! be lost, failed or unreachable, in each domain over the whole run; one more ends it. ansible-core ignores them.

use std::collections::HashSet;

use super::event::Event;
use super::play::{Host, PlayRun, Stop};
use crate::template::Var;
use crate::value::Value;
use crate::vars::TaskScope;

/// How many hosts may be lost.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Budget {
    Hosts(f64),
    Percent(f64),
}

impl Budget {
    /// Reads `3` or `"5%"`.
    fn parse(value: &Value) -> Option<Self> {
        if let Some(hosts) = value.number() {
            return Some(Budget::Hosts(hosts));
        }
        let text = value.to_text();
        match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().map(Budget::Percent),
            None => text.trim().parse().ok().map(Budget::Hosts),
        }
    }

    fn is_exceeded(self, lost: usize, of: usize) -> bool {
        match self {
            Budget::Hosts(allowed) => lost as f64 > allowed,
            Budget::Percent(allowed) => (lost as f64 / of.max(1) as f64) * 100.0 > allowed,
        }
    }
}

impl PlayRun<'_> {
    /// Ends the play when a domain has lost more hosts than it may.
    pub fn check_own_budget(&mut self, scope: &TaskScope) {
        let Some(given) = self.variable(scope, "xplay_budget") else { return };
        let Some(budget) = Budget::parse(&given) else {
            self.tell(format!(
                "xplay_budget must be a number of hosts or a percentage, not \"{}\"",
                given.to_text()
            ));
            return;
        };
        let domains = match self.variable(scope, "xplay_failure_domains") {
            Some(Value::List(names)) => names.iter().map(Value::to_text).collect(),
            Some(name) => vec![name.to_text()],
            None => Vec::new(),
        };
        let all: Vec<Host> = match self.variable(scope, "ansible_play_hosts_all") {
            Some(Value::List(hosts)) => hosts.iter().map(|h| Host::from(h.to_text())).collect(),
            _ => self.hosts.keys().cloned().collect(),
        };
        let lost: HashSet<&Host> = all.iter().filter(|host| self.is_lost(host)).collect();
        let mut over = None;
        if domains.is_empty() && budget.is_exceeded(lost.len(), all.len()) {
            over = Some(format!("{} of {} hosts of the play are lost", lost.len(), all.len()));
        }
        for domain in domains {
            let Ok(selected) = self.inventory.select(&domain, None, None, None) else { continue };
            let members = all.iter().filter(|host| selected.hosts.contains(host));
            let (mut count, mut gone) = (0, 0);
            for host in members {
                count += 1;
                gone += usize::from(lost.contains(host));
            }
            if budget.is_exceeded(gone, count) {
                over = over.or(Some(format!("{gone} of {count} hosts of {domain} are lost")));
            }
        }
        if let Some(over) = over {
            self.tell(format!("{over}, which is more than xplay_budget ({}) allows", given.to_text()));
            self.stop = Some(Stop::Budget);
        }
    }

    /// Whether a host failed or could not be reached, in this batch or an earlier one.
    fn is_lost(&self, host: &Host) -> bool {
        let earlier = self.recap.hosts.get(host).is_some_and(|c| c.failed + c.unreachable > 0);
        let failed = self.failed.contains(host) && !self.undecided.contains(host);
        let here = failed || self.unreachable.contains(host);
        here || (earlier && !self.hosts.contains_key(host) && !self.recap.forgiven.contains(host))
    }

    fn variable(&self, scope: &TaskScope, name: &str) -> Option<Value> {
        let scope = scope.boxed();
        match scope.get(name)? {
            Var::Value(value) => Some(value),
            Var::Tree(tree) => self.shared.templar.render(&tree, &scope).ok(),
            Var::Lazy(_) => None,
        }
    }

    /// A full queue loses the words, not the decision.
    fn tell(&self, text: String) {
        let _ = self.shared.events.try_send(Event::Warning(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_numbers_or_percentages() {
        let check = |value: Value, lost: usize, of: usize, expect: bool| {
            let budget = Budget::parse(&value).unwrap();
            assert_eq!(budget.is_exceeded(lost, of), expect, "{value:?} {lost} of {of}");
        };
        check(0.into(), 0, 4, false);
        check(0.into(), 1, 4, true);
        check("2".into(), 2, 4, false);
        check("25%".into(), 1, 4, false);
        check(" 25 %".into(), 2, 4, true);
        assert_eq!(Budget::parse(&"many".into()), None);
    }
}
