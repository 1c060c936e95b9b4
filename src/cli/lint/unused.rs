//! Defaults of roles that nothing reads.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Look;
use crate::diag::Diagnostic;
use crate::playbook::Role;

const CODE: &str = "XP1004";

/// Where a role reads its variables.
const FOLDERS: [&str; 6] = ["tasks", "handlers", "templates", "vars", "meta", "defaults"];
/// Names that are put together at run time could be any.
const DYNAMIC: [&str; 6] =
    ["lookup('vars'", "lookup(\"vars\"", "query('vars'", "varnames", "vars[", "hostvars["];
/// Larger files are data.
const LARGEST: u64 = 1 << 20;

pub fn check(look: &Look<'_>) -> Vec<Diagnostic> {
    let mut roles: HashMap<PathBuf, Arc<Role>> = HashMap::new();
    let mut order = Vec::new();
    for role in look.plays.iter().flat_map(|play| &play.survey.roles) {
        if roles.insert(role.files.path.clone(), role.clone()).is_none() {
            order.push(role.files.path.clone());
        }
    }
    order.iter().filter_map(|path| roles.get(path)).flat_map(|role| of_role(look, role)).collect()
}

fn of_role(look: &Look<'_>, role: &Role) -> Vec<Diagnostic> {
    let path = &role.files.path;
    let mut words: HashSet<String> = HashSet::new();
    for folder in FOLDERS.iter().filter(|folder| **folder != "defaults") {
        for file in files_below(&path.join(folder)) {
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            if DYNAMIC.iter().any(|marker| text.contains(marker)) {
                return Vec::new();
            }
            // What a role demands of its users is no use of it.
            if !file.ends_with("meta/argument_specs.yml") {
                words.extend(words_of(&text));
            }
        }
    }
    let sources = &look.project.sources;
    for layer in &role.files.defaults {
        words.extend(layer.values().flat_map(|tree| tree.reads(sources)).map(|read| read.name.to_string()));
    }
    // Other files of the project may read what a role sets.
    for other in
        look.plays.iter().flat_map(|play| &play.survey.tasks).filter(|task| !task.dir.starts_with(path))
    {
        let text = sources.text(other.span.file);
        words.extend(words_of(&text));
    }
    let mut found = Vec::new();
    for (name, tree) in role.files.defaults.iter().flat_map(|layer| layer.iter()) {
        if words.contains(&**name) {
            continue;
        }
        let message = format!("nothing reads the default `{name}` of the role `{}`", role.name);
        let diagnostic = Diagnostic::warning(CODE, message).help("remove it, or use it");
        found.push(match tree.span {
            Some(span) => diagnostic.at(span, "not used"),
            None => diagnostic,
        });
    }
    found
}

fn words_of(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).map(str::to_string)
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.metadata() {
            // A link that leads in a circle is no folder of the role.
            Ok(meta) if meta.is_dir() => found.extend(files_below(&path)),
            Ok(meta) if meta.is_file() && meta.len() <= LARGEST => found.push(path),
            _ => {}
        }
    }
    found
}
