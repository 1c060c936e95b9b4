//! What the tasks of a play read: every template, condition and expression of a task, and its template files.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::project::Project;
use super::super::survey::Survey;
use crate::diag::Diagnostic;
use crate::playbook::{Action, Task};
use crate::template::{Read, Tree, TreeKind};
use crate::value::Value;

/// What was read, and expressions that cannot be read.
#[derive(Default)]
pub struct Reading {
    pub reads: Vec<Read>,
    pub wrong: Vec<Diagnostic>,
}

/// Returns the value of a literal or templated argument of a task's module.
pub fn argument<'t>(args: &'t Tree, name: &str) -> Option<&'t Tree> {
    let TreeKind::Map(members) = &args.kind else { return None };
    members.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

/// Reads one task.
pub fn of_task(project: &Project, survey: &Survey, task: &Task) -> Reading {
    let mut reading = Reading::default();
    let d = &task.directives;
    let mut trees: Vec<&Tree> = Vec::new();
    trees.extend(&d.environment);
    trees.extend(
        [&d.r#become, &d.become_user, &d.delegate_to, &d.ignore_errors, &d.check_mode].into_iter().flatten(),
    );
    trees.extend([&task.retries, &task.delay, &task.async_, &task.poll].into_iter().flatten());
    if let Some(each) = &task.loop_ {
        trees.push(&each.expr);
        trees.extend([&each.control.label, &each.control.pause].into_iter().flatten());
    }
    let module = crate::modules::short_name(task.action_name()).unwrap_or_default();
    match &task.action {
        Action::Module { args, free_form, template_args, .. } => {
            trees.push(args);
            trees.extend(free_form.iter().chain(template_args));
            let expressions = match module {
                "assert" => argument(args, "that"),
                "debug" => argument(args, "var"),
                _ => None,
            };
            expressions.iter().for_each(|tree| bare(project, tree, &mut reading));
            if module == "template" {
                template_file(project, survey, task, args, &mut reading);
            }
        }
        Action::IncludeTasks(include) => trees.push(&include.file),
        Action::IncludeRole(include) => trees.push(&include.name),
        Action::Meta(_) | Action::Mistake { .. } => {}
    }
    let sources = &project.sources;
    reading.reads.extend(trees.into_iter().flat_map(|tree| tree.reads(sources)));
    let conditions = d.when.iter().chain(&task.until).chain(&task.changed_when).chain(&task.failed_when);
    let breaks = task.loop_.iter().flat_map(|each| &each.control.break_when);
    reading.reads.extend(conditions.chain(breaks).flat_map(|expr| expr.reads(sources)));
    reading
}

/// Texts that are expressions without brackets.
fn bare(project: &Project, tree: &Tree, reading: &mut Reading) {
    let texts: Vec<(Arc<str>, Option<crate::diag::Span>)> = match &tree.kind {
        TreeKind::Value(Value::Str(text)) => vec![(text.shared(), tree.span)],
        TreeKind::Value(Value::List(items)) => {
            items.iter().filter_map(|item| Some((item.as_str()?.into(), tree.span))).collect()
        }
        TreeKind::List(items) => {
            items.iter().filter_map(|item| Some((item.as_value()?.as_str()?.into(), item.span))).collect()
        }
        _ => Vec::new(),
    };
    for (text, span) in texts {
        match project.templar.compile_expr(&text, span) {
            Ok(expr) => reading.reads.extend(expr.reads(&project.sources)),
            Err(mistake) => reading.wrong.push(mistake),
        }
    }
}

/// What a template file reads whose name is known.
fn template_file(project: &Project, survey: &Survey, task: &Task, args: &Tree, reading: &mut Reading) {
    let Some(name) = argument(args, "src").and_then(Tree::as_value).and_then(Value::as_str) else { return };
    // Other brackets make another text of it.
    if ["variable_start_string", "block_start_string"].iter().any(|arg| argument(args, arg).is_some()) {
        return;
    }
    if let Some(path) = task.search(&survey.play.dir).find("templates", name) {
        let of_file =
            ["ansible_managed", "template_host", "template_path", "template_fullpath", "template_destpath"];
        let more = ["template_uid", "template_run_date", "template_mtime"];
        let reads = project.templar.file_reads(&path);
        reading.reads.extend(
            reads.into_iter().filter(|read| !of_file.contains(&&*read.name) && !more.contains(&&*read.name)),
        );
    }
}

/// Returns everything that some tasks of a play read, file by file only once, and what any task asks for.
pub fn of_play(project: &Project, survey: &Survey, wanted: impl Fn(&Task) -> bool) -> Reading {
    let mut all = Reading::default();
    let mut known: HashMap<(Arc<str>, Option<crate::diag::Span>), ()> = HashMap::new();
    for task in &survey.tasks {
        let mut reading = of_task(project, survey, task);
        if wanted(task) {
            all.wrong.extend(reading.wrong);
        } else {
            reading.reads.retain(|read| read.asked);
        }
        let new = |read: &Read| read.asked || known.insert((read.name.clone(), read.span), ()).is_none();
        all.reads.extend(reading.reads.into_iter().filter(new));
    }
    all
}
