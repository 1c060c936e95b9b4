//! Which facts a project speaks of: in everything that was loaded for it, what its plays include, its templates and the
//! variables of its hosts. What only the run knows stands for all facts.

use std::fs;

use super::project::Project;
use super::survey::{Survey, of_host};
use crate::facts::Mentioned;
use crate::inventory::VarFiles;
use crate::playbook::{Action, Task};
use crate::template::{Tree, TreeKind, VarMap};
use crate::value::Value;

/// Returns what to gather for plays that do not say it, in the words of `gather_subset`.
pub fn subset(project: &Project) -> Vec<String> {
    let mut mentioned = Mentioned::default();
    let files = VarFiles::new((*project.templar).clone(), project.sources.clone());
    unwritten(project, &project.extra_vars, &mut mentioned);
    for play in project.playbooks.iter().flat_map(|book| &book.plays) {
        let survey = Survey::new(project, play);
        if survey.open {
            mentioned.everything();
        }
        for task in &survey.tasks {
            task_files(&survey, task, &mut mentioned);
        }
        for (host, _) in project.inventory.hosts() {
            match of_host(project, &files, host, Some(&play.dir)) {
                Ok(layers) => {
                    layers.iter().for_each(|layer| unwritten(project, &layer.vars, &mut mentioned));
                }
                Err(_) => mentioned.everything(),
            }
        }
    }
    for text in project.sources.texts() {
        mentioned.read(&text);
    }
    mentioned.subset().into_iter().map(String::from).collect()
}

/// Variables whose texts stand in no file that was read.
fn unwritten(project: &Project, vars: &VarMap, mentioned: &mut Mentioned) {
    let reads = vars.iter().flat_map(|(_, tree)| tree.reads(&project.sources));
    for read in reads.filter(|read| read.span.is_none()) {
        mentioned.read(&read.name);
    }
}

/// Files that a task renders, and names that only the run knows.
fn task_files(survey: &Survey, task: &Task, mentioned: &mut Mentioned) {
    let Action::Module { name, args, free_form, template_args, dynamic, .. } = &task.action else { return };
    if dynamic.is_some() {
        mentioned.everything();
    }
    if crate::modules::short_name(name) != Some("template") {
        return;
    }
    let search = task.search(&survey.play.dir);
    let plain = free_form.is_none() && template_args.is_none();
    let file = constant(args, "src").filter(|_| plain).and_then(|src| search.find("templates", &src));
    match file.map(fs::read) {
        Some(Ok(text)) => mentioned.read_template(&String::from_utf8_lossy(&text)),
        Some(Err(_)) | None => mentioned.everything(),
    }
}

/// Returns an argument that is no template.
fn constant(args: &Tree, name: &str) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::to_string);
    match &args.kind {
        TreeKind::Map(members) => {
            let (_, value) = members.iter().find(|(key, _)| key.as_text() == Some(name))?;
            value.as_value().and_then(text)
        }
        TreeKind::Value(value) => value.as_map()?.get(name).and_then(text),
        _ => None,
    }
}
