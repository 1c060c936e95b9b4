//! Parts of a plan: only some hosts, only some steps.
//!
//! A plan and what was asked for come in, a plan with less in it goes out. The verdict is not its business: that is the
//! whole plan's.

use std::borrow::Cow;
use std::collections::HashSet;

use super::model::{Group, Plan, Step};
use super::nodeset;
use crate::diag::did_you_mean;
use crate::template::fnmatch;

/// What of a plan is wanted. Nothing means everything.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// As typed: `sn[01-06],mn1`, `sn*`, `!sn03`.
    pub hosts: Option<String>,
    /// The beginning of a step's id or of the digest in it, or a part of its name.
    pub step: Option<String>,
}

/// Why nothing is left.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    #[error("no host of the plan matches \"{pattern}\"")]
    NoHost { pattern: String, suggestion: Option<String> },
    #[error("no step of the plan matches \"{text}\"")]
    NoStep { text: String, suggestion: Option<String> },
}

impl SelectError {
    /// Returns what was probably meant.
    pub fn suggestion(&self) -> Option<&str> {
        match self {
            SelectError::NoHost { suggestion, .. } | SelectError::NoStep { suggestion, .. } => {
                suggestion.as_deref()
            }
        }
    }
}

impl Selection {
    pub fn is_everything(&self) -> bool {
        self.hosts.is_none() && self.step.is_none()
    }

    /// Returns the wanted part of a plan.
    pub fn of<'p>(&self, plan: &'p Plan) -> Result<Cow<'p, Plan>, SelectError> {
        if self.is_everything() {
            return Ok(Cow::Borrowed(plan));
        }
        let mut plan = plan.clone();
        if let Some(pattern) = &self.hosts {
            keep_hosts(&mut plan, pattern)?;
        }
        if let Some(text) = &self.step {
            keep_steps(&mut plan, text)?;
        }
        Ok(Cow::Owned(plan))
    }
}

fn keep_hosts(plan: &mut Plan, pattern: &str) -> Result<(), SelectError> {
    let parts = split(pattern);
    let (without, with): (Vec<&str>, Vec<&str>) = parts.iter().partition(|p| p.starts_with('!'));
    let with = Matcher::new(with.iter().copied());
    let without = Matcher::new(without.iter().map(|p| &p[1..]));
    let fits = |host: &str| (with.is_empty() || with.matches(host)) && !without.matches(host);
    let kept: HashSet<&str> = plan.hosts.iter().map(|h| h.name.as_str()).filter(|h| fits(h)).collect();
    if kept.is_empty() {
        return Err(SelectError::NoHost {
            pattern: pattern.to_string(),
            suggestion: did_you_mean(pattern, plan.hosts.iter().map(|h| h.name.as_str())).map(str::to_string),
        });
    }
    let narrow = |sets: &[String]| -> Vec<String> {
        let hosts: Vec<String> =
            sets.iter().flat_map(|s| nodeset::unfold(s)).filter(|h| kept.contains(h.as_str())).collect();
        nodeset::fold(&hosts)
    };
    for batch in plan.plays.iter_mut().flat_map(|p| &mut p.batches) {
        *batch = narrow(batch);
    }
    for step in &mut plan.steps {
        for group in &mut step.groups {
            group.hosts = narrow(&group.hosts);
        }
        step.groups.retain(|g| !g.hosts.is_empty());
        step.groups.sort_by_key(|g| std::cmp::Reverse(size(g)));
    }
    plan.steps.retain(|s| !s.groups.is_empty());
    let kept: HashSet<String> = kept.into_iter().map(str::to_string).collect();
    plan.hosts.retain(|h| kept.contains(&h.name));
    Ok(())
}

fn keep_steps(plan: &mut Plan, text: &str) -> Result<(), SelectError> {
    let lower = text.to_lowercase();
    let fits = |step: &Step| {
        step.id.starts_with(text)
            || step.id.rsplit('#').next().is_some_and(|digest| digest.starts_with(text))
            || step.name.to_lowercase().contains(&lower)
    };
    if !plan.steps.iter().any(fits) {
        let names = plan.steps.iter().map(|s| s.name.as_str());
        return Err(SelectError::NoStep {
            text: text.to_string(),
            suggestion: did_you_mean(text, names).map(str::to_string),
        });
    }
    plan.steps.retain(fits);
    Ok(())
}

fn size(group: &Group) -> usize {
    group.hosts.iter().map(|set| nodeset::size(set)).sum()
}

/// Splits at commas that stand in no bracket.
fn split(pattern: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    pattern
        .split(|c: char| {
            match c {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        })
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

/// Names, sets of nodes and shell patterns.
struct Matcher<'a> {
    names: HashSet<String>,
    globs: Vec<&'a str>,
}

impl<'a> Matcher<'a> {
    fn new(parts: impl Iterator<Item = &'a str>) -> Self {
        let (globs, sets): (Vec<&str>, Vec<&str>) = parts.partition(|p| p.contains(['*', '?']));
        Matcher { names: sets.into_iter().flat_map(nodeset::unfold).collect(), globs }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.globs.is_empty()
    }

    fn matches(&self, host: &str) -> bool {
        self.names.contains(host) || self.globs.iter().any(|glob| fnmatch(glob, host))
    }
}
