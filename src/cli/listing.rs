//! `--list-hosts`, `--list-tasks`, `--list-tags`, `--syntax-check`: what a run would do, in ansible-playbook's form.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::args::ListArgs;
use super::exit::{CliError, Ending};
use super::output::Output;
use super::project::Project;
use crate::engine::RunOptions;
use crate::playbook::{Entry, Play, Task, selected};
use crate::template::{Scope, SearchPath, StaticScope, Tree};
use crate::value::Value;

/// Prints what the flags ask for.
pub fn show(
    project: &Project,
    typed: &[PathBuf],
    options: &RunOptions,
    list: &ListArgs,
    out: &Output,
) -> Result<Ending, CliError> {
    let limit = options.limit.as_deref().map(|l| project.limit(l, out)).transpose()?;
    let mut text = String::new();
    for (playbook, name) in project.playbooks.iter().zip(typed) {
        let _ = writeln!(text, "\nplaybook: {}", name.display());
        if !(list.list_hosts || list.list_tasks || list.list_tags) {
            continue;
        }
        for (index, play) in playbook.plays.iter().enumerate() {
            let patterns = patterns(play);
            let reader = Reader::new(project, play);
            let tags = reader.tags(&play.directives.tags);
            let _ = write!(
                text,
                "\n  play #{} ({}): {}\tTAGS: [{}]",
                index + 1,
                patterns.join(","),
                name_of(play, &patterns),
                tags.join(",")
            );
            if list.list_hosts {
                let quoted: Vec<String> = patterns.iter().map(|p| format!("'{p}'")).collect();
                let hosts = project.matching(&patterns.join(","), limit.as_deref(), out)?;
                let _ = write!(text, "\n    pattern: [{}]\n    hosts ({}):", quoted.join(", "), hosts.len());
                for host in hosts {
                    let _ = write!(text, "\n      {}", project.inventory.host(host).name);
                }
            }
            text.push('\n');
            if list.list_tasks || list.list_tags {
                tasks(&mut text, play, &reader, &tags, options, list);
            }
        }
    }
    out.text(&text)?;
    Ok(Ending::Done)
}

/// Writes the tasks and tags of a play that the tags on the command line leave.
fn tasks(
    text: &mut String,
    play: &Play,
    reader: &Reader<'_>,
    play_tags: &[String],
    options: &RunOptions,
    list: &ListArgs,
) {
    let mut all: BTreeSet<String> = play_tags.iter().cloned().collect();
    if list.list_tasks {
        text.push_str("    tasks:\n");
    }
    let sections = [&play.pre_tasks, &play.roles, &play.tasks, &play.post_tasks];
    for task in sections.iter().flat_map(|entries| entries.iter()).flat_map(bodies) {
        let tags = reader.tags(&task.directives.tags);
        if !selected(&tags, &options.tags, &options.skip_tags) {
            continue;
        }
        all.extend(tags.iter().cloned());
        if list.list_tasks {
            let sorted: BTreeSet<&String> = tags.iter().chain(play_tags).collect();
            let sorted: Vec<&str> = sorted.into_iter().map(String::as_str).collect();
            let _ = writeln!(text, "      {}\tTAGS: [{}]", task_name(task), sorted.join(", "));
        }
    }
    if list.list_tags {
        let _ = writeln!(text, "      TASK TAGS: [{}]", all.into_iter().collect::<Vec<_>>().join(", "));
    }
}

/// The tasks of an entry without those of `rescue` and `always`, as ansible-playbook lists them.
fn bodies(entry: &Entry) -> Vec<&Task> {
    match entry {
        Entry::Task(task) => vec![task],
        Entry::Block(block) => block.body.iter().flat_map(bodies).collect(),
    }
}

fn task_name(task: &Task) -> String {
    let Some(name) = &task.name else { return task.action_name().to_string() };
    let name = name.written().to_text();
    match &task.role {
        Some(role) => format!("{} : {name}", role.name),
        None => name,
    }
}

fn name_of(play: &Play, patterns: &[String]) -> String {
    play.name.as_ref().map_or_else(|| patterns.join(","), |name| name.written().to_text())
}

/// Returns the patterns of a play's hosts as they are written.
pub fn patterns(play: &Play) -> Vec<String> {
    match play.hosts.written() {
        Value::List(items) => items.iter().map(Value::to_text).collect(),
        other => vec![other.to_text()],
    }
}

/// Reads what may be a template of the play's own variables.
struct Reader<'a> {
    project: &'a Project,
    scope: Arc<dyn Scope>,
}

impl<'a> Reader<'a> {
    fn new(project: &'a Project, play: &Play) -> Self {
        let search = SearchPath { dirs: vec![play.dir.clone()], playbook_dir: play.dir.clone() };
        let layers = vec![project.extra_vars.clone(), play.vars.clone()];
        Reader { project, scope: Arc::new(StaticScope { layers, search }) }
    }

    /// Tags; those of which too little is known yet as they are written.
    fn tags(&self, trees: &[Tree]) -> Vec<String> {
        let mut tags = Vec::new();
        for tree in trees {
            match self.project.templar.render(tree, &self.scope).unwrap_or_else(|_| tree.written()) {
                Value::List(items) => tags.extend(items.iter().map(Value::to_text)),
                tag => tags.push(tag.to_text()),
            }
        }
        tags
    }
}
