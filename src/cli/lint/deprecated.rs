//! Forms that work and that are going away, or have a better successor.

use super::Look;
use crate::diag::{Diagnostic, Span};
use crate::playbook::Task;

const CODE: &str = "XP1005";

/// Variables with their names of today.
const VARIABLES: [(&str, &str); 8] = [
    ("ansible_ssh_host", "ansible_host"),
    ("ansible_ssh_port", "ansible_port"),
    ("ansible_ssh_user", "ansible_user"),
    ("ansible_ssh_pass", "ansible_password"),
    ("ansible_sudo", "ansible_become"),
    ("ansible_sudo_user", "ansible_become_user"),
    ("ansible_sudo_pass", "ansible_become_password"),
    ("ansible_su_pass", "ansible_become_password"),
];

/// Variables that are read, with their names of today.
const READS: [(&str, &str); 2] =
    [("play_hosts", "ansible_play_batch"), ("role_names", "ansible_play_role_names")];

/// Modules with what to use instead.
const MODULES: [(&str, &str); 2] = [
    ("apt_key", "give the key to `deb822_repository` as `signed_by`"),
    ("yum", "call it `dnf`, or `package` for any system"),
];

pub fn check(look: &Look<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for play in look.plays {
        let of_tasks = play.survey.tasks.iter().flat_map(|task| &task.directives.vars);
        for vars in play.layers.iter().map(|origin| &origin.vars).chain(of_tasks) {
            for (name, tree) in vars.iter() {
                found.extend(renamed(&VARIABLES, name, tree.span));
            }
        }
        let reading = super::reading::of_play(look.project, &play.survey, |_| true);
        found.extend(reading.reads.iter().filter_map(|read| renamed(&READS, &read.name, read.span)));
        for task in &play.survey.tasks {
            found.extend(of_task(look, task));
        }
    }
    found
}

fn renamed(table: &[(&str, &str)], name: &str, span: Option<Span>) -> Option<Diagnostic> {
    let (_, today) = table.iter().find(|(old, _)| *old == name)?;
    let diagnostic = Diagnostic::warning(CODE, format!("`{name}` is the old name of `{today}`"));
    Some(diagnostic.at(span?, "old name").help(format!("write `{today}`")))
}

fn of_task(look: &Look<'_>, task: &Task) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let short = crate::modules::short_name(task.action_name()).unwrap_or_default();
    if let Some((name, instead)) = MODULES.iter().find(|(name, _)| *name == short) {
        let diagnostic = Diagnostic::warning(CODE, format!("the module `{name}` is out of date"));
        found.push(diagnostic.at(task.action_span, "called here").help(*instead));
    }
    let text = look.project.sources.text(task.span.file);
    let own = text.get(task.span.start as usize..task.action_span.end as usize).unwrap_or_default();
    if let Some(at) = own.find("local_action:") {
        let start = task.span.start + u32::try_from(at).unwrap_or_default();
        let span = Span { start, end: start + 12, ..task.span };
        found.push(
            Diagnostic::warning(CODE, "`local_action` is the old form of `delegate_to: localhost`")
                .at(span, "old form")
                .help("call the module by its name and add `delegate_to: localhost`"),
        );
    }
    found
}
