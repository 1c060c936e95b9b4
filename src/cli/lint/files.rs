//! Files that a task sends and that are not there: misspelt names, mostly.

use super::Look;
use super::reading::argument;
use crate::diag::{Diagnostic, did_you_mean};
use crate::engine::truth;
use crate::playbook::{Action, Task};
use crate::template::SearchPath;

const CODE: &str = "XP1006";

/// A module that sends the file which its `src` names.
struct Sends {
    module: &'static str,
    /// The folder for files of its kind.
    kind: &'static str,
    /// Flags that make it a file of the target, with the value that does.
    elsewhere: &'static [(&'static str, bool)],
}

const SENDS: [Sends; 3] = [
    Sends { module: "copy", kind: "files", elsewhere: &[("remote_src", true)] },
    Sends { module: "template", kind: "templates", elsewhere: &[] },
    Sends { module: "unarchive", kind: "files", elsewhere: &[("remote_src", true), ("copy", false)] },
];

pub fn check(look: &Look<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for play in look.plays {
        let tasks = play.survey.tasks.iter().filter(|task| look.covers(task));
        found.extend(tasks.filter_map(|task| judge(task, &task.search(&play.survey.play.dir))));
    }
    found
}

fn judge(task: &Task, search: &SearchPath) -> Option<Diagnostic> {
    // Whoever says when a task runs may know when the file is there.
    if !task.directives.when.is_empty() {
        return None;
    }
    let Action::Module { name, args, free_form: None, template_args: None, file: None, .. } = &task.action
    else {
        return None;
    };
    let module = crate::modules::short_name(name)?;
    let Sends { kind, elsewhere, .. } = SENDS.iter().find(|sends| sends.module == module)?;
    let on_target = elsewhere.iter().any(|(flag, value)| {
        argument(args, flag).is_some_and(|tree| tree.as_value().is_none_or(|said| truth(said) == *value))
    });
    let tree = argument(args, "src").filter(|_| !on_target)?;
    let src = tree.as_value()?.as_str()?;
    if src.contains("://") || search.find(kind, src).is_some() {
        return None;
    }
    let mut diagnostic = Diagnostic::warning(CODE, format!("there is no file `{src}`"))
        .at(tree.span?, "not found")
        .note("the task fails unless something makes it before");
    let candidates = search.candidates(kind, src);
    let near = candidates.iter().filter_map(|path| path.parent()).flat_map(names).collect::<Vec<_>>();
    let last = src.rsplit('/').next().unwrap_or(src);
    diagnostic = match did_you_mean(last, near.iter().map(String::as_str)) {
        Some(best) => diagnostic.help(format!("did you mean `{}{best}`?", &src[..src.len() - last.len()])),
        None => diagnostic.help(format!(
            "looked for {}",
            candidates.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        )),
    };
    Some(diagnostic)
}

fn names(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
