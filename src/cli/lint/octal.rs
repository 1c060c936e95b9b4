//! File modes that are numbers in YAML: `mode: 644` means something else than it says.

use super::Look;
use super::reading::argument;
use crate::diag::Diagnostic;
use crate::playbook::Action;
use crate::template::Tree;
use crate::value::Value;

const CODE: &str = "XP1003";

pub fn check(look: &Look<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for task in look.plays.iter().flat_map(|play| &play.survey.tasks) {
        let Action::Module { name, args, .. } = &task.action else { continue };
        // Modules that know owners know modes of files.
        if crate::modules::spec(name).is_none_or(|spec| spec.arg("owner").is_none()) {
            continue;
        }
        for argument_name in ["mode", "directory_mode"] {
            let Some(tree) = argument(args, argument_name) else { continue };
            found.extend(judge(look, argument_name, tree));
        }
    }
    found
}

fn judge(look: &Look<'_>, name: &str, tree: &Tree) -> Option<Diagnostic> {
    let Some(Value::Int(number)) = tree.as_value() else { return None };
    let span = tree.span?;
    let text = look.project.sources.text(span.file);
    let written = text.get(span.start as usize..span.end as usize)?.trim();
    let octal = written.starts_with('0') && written.len() > 1;
    let (message, meant) = match octal {
        true => (format!("`{name}: {written}` is an unquoted octal number"), written.to_string()),
        false => {
            (format!("`{name}: {written}` is a decimal number: the mode {number:o}"), format!("0{written}"))
        }
    };
    Some(
        Diagnostic::warning(CODE, message)
            .at(span, "not quoted")
            .help(format!("write `{name}: \"{meant}\"`")),
    )
}
