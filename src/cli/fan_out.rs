//! What hosts behind a fan-out tool will refuse, said before anything runs: the tool takes no passwords, and carries nothing
//! that outlives its call. What only a template tells is left to the run.

use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::engine::Reach;
use crate::plan::nodeset;
use crate::playbook::{Directives, Entry, Play, Task};
use crate::template::Tree;
use crate::transport::Kind;

const CODE: &str = "XP0903";

/// The connections whose hosts are reached many at once.
const TOOLS: [(Kind, &str); 2] = [(Kind::Clush, "clush"), (Kind::Xdsh, "xdsh")];

/// Returns a warning for each kind of password that is meant for such hosts.
pub fn passwords(reaches: &[Reach]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (kind, tool) in TOOLS {
        let mut warn = |what: &str, help: &str, wanted: &dyn Fn(&Reach) -> bool| {
            let hosts = reaches.iter().filter(|reach| reach.spec.kind == kind && wanted(reach));
            let hosts: Vec<&str> = hosts.map(|reach| reach.spec.host.as_str()).collect();
            if !hosts.is_empty() {
                let message = format!("{what} of {} cannot go through {tool}", nodeset::folded(&hosts));
                found.push(Diagnostic::warning(CODE, message).help(help));
            }
        };
        warn(
            "the login password",
            "these hosts will be unreachable; use keys, or connection ssh",
            &|reach| reach.spec.password.is_some(),
        );
        warn(
            "the become password",
            "let the user become others without one, or use connection ssh",
            &|reach| {
                reach.r#become.as_ref().is_some_and(|other| {
                    other.password.is_some() && reach.spec.user.as_ref() != Some(&other.user)
                })
            },
        );
    }
    found
}

/// Returns a warning for each task of a play that is to run in the background on such hosts.
pub fn background_tasks(play: &Play, hosts: &[(Arc<str>, Kind)]) -> Vec<Diagnostic> {
    let sections = [&play.pre_tasks, &play.roles, &play.tasks, &play.post_tasks];
    let tasks: Vec<&Arc<Task>> =
        sections.iter().flat_map(|s| s.iter()).flat_map(Entry::tasks).chain(&play.handlers).collect();
    let mut found = Vec::new();
    for (kind, tool) in TOOLS {
        let names: Vec<&str> =
            hosts.iter().filter(|(_, own)| *own == kind).map(|(host, _)| &**host).collect();
        if names.is_empty() {
            continue;
        }
        for task in tasks.iter().filter(|task| goes_there(play, task)) {
            let Some(limit) = &task.async_ else { continue };
            if limit.written().number().is_none_or(|secs| secs <= 0.0) {
                continue;
            }
            let place = limit.span.unwrap_or(task.span);
            found.push(
                Diagnostic::warning(CODE, format!("nothing runs in the background through {tool}"))
                    .at(place, format!("refused by {}", nodeset::folded(&names)))
                    .help("reach these hosts by connection ssh for this task, or leave `async` out"),
            );
        }
    }
    found
}

/// Whether a task is reached as its play is.
fn goes_there(play: &Play, task: &Task) -> bool {
    let connection = |directives: &Directives| directives.connection.as_ref().map(Tree::written);
    task.directives.delegate_to.is_none() && connection(&task.directives) == connection(&play.directives)
}
