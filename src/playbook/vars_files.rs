//! `vars_files` whose names are plain text and which do not exist: known before anything runs.

use std::path::PathBuf;
use std::sync::Arc;

use super::Play;
use super::load::files;
use crate::diag::Diagnostic;
use crate::template::Tree;
use crate::value::Value;

/// Finds missing files among the plays of a run, in their order. Nothing can write a file before the first play; what
/// later plays want, an earlier one may still write, so that is only a warning.
pub fn missing_vars_files<'a>(plays: impl Iterator<Item = &'a Arc<Play>>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (index, play) in plays.enumerate() {
        for entry in &play.vars_files {
            let Some(names) = names(entry) else { continue };
            let tried: Vec<PathBuf> =
                names.iter().flat_map(|name| files::vars_files(&play.dir, name)).collect();
            if names.is_empty() || tried.iter().any(|path| path.exists()) {
                continue;
            }
            let listed = names.join("` or `");
            let message = format!("the vars file `{listed}` does not exist");
            let mut diagnostic = files::missing(&message, &names[0], &tried, entry.span);
            diagnostic.help.get_or_insert("create it, or take the entry out of `vars_files`".into());
            if index > 0 {
                diagnostic = Diagnostic { severity: crate::diag::Severity::Warning, ..diagnostic }
                    .note("an earlier play may still write it");
            }
            found.push(diagnostic);
        }
    }
    found
}

/// The names of an entry, the first existing one of which counts; nothing when a template decides.
fn names(entry: &Tree) -> Option<Vec<String>> {
    match entry.as_value()? {
        Value::Str(name) => Some(vec![name.to_string()]),
        Value::List(list) => list.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}
