//! Finding and reading files: lexical paths, task files, variable files in directories.

use std::path::{Component, Path, PathBuf};

use super::{Load, Place};
use crate::diag::{Diagnostic, Span, did_you_mean};
use crate::inventory::parse_yaml;
use crate::playbook::LoadOptions;
use crate::yaml::Parsed;

/// Where the files of a role are looked for before those beside the including file, or after.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As `include_tasks` does.
    RoleFirst,
    /// As `import_tasks` does.
    NearestFirst,
}

/// Makes a path absolute and removes `.` and `..` without looking at the disk.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}

pub(super) fn parent(path: &Path) -> PathBuf {
    path.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

/// The path as messages show it: relative when it lies below the working directory.
pub(super) fn shown(path: &Path) -> PathBuf {
    let below = std::env::current_dir().ok().and_then(|cwd| path.strip_prefix(cwd).ok().map(Path::to_owned));
    below.filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| path.to_owned())
}

pub(super) fn parse(options: &LoadOptions, path: &Path) -> Result<Parsed, Diagnostic> {
    let parsed = parse_yaml(&options.sources, &options.templar, &shown(path));
    // What is wrong with JSON is better said by a reader of JSON.
    let json =
        path.extension().is_some_and(|e| e == "json").then(|| std::fs::read_to_string(path).ok()).flatten();
    match (parsed, json.map(|text| serde_json::from_str::<serde_json::Value>(&text))) {
        (Err(diagnostic), Some(Err(reason))) => Err(diagnostic.note(format!("JSON: {reason}"))),
        (parsed, _) => parsed,
    }
}

/// Joins what a user wrote to a directory; absolute names and `~` stand for themselves.
pub(super) fn join(dir: &Path, name: &str) -> PathBuf {
    if let Some(rest) = name.strip_prefix("~/")
        && let Some(home) = std::env::var_os("HOME")
    {
        return absolute(&Path::new(&home).join(rest));
    }
    absolute(&dir.join(name))
}

/// Where a play looks for one of its `vars_files`, in this order.
pub(in crate::playbook) fn vars_files(dir: &Path, name: &str) -> [PathBuf; 2] {
    [join(&dir.join("vars"), name), join(dir, name)]
}

impl Load<'_> {
    /// Finds a file of tasks; an error lists where it was looked for.
    pub(super) fn find_tasks(
        &mut self,
        name: &str,
        place: &Place,
        span: Option<Span>,
        order: Order,
    ) -> Option<PathBuf> {
        let kind = if place.handlers { "handlers" } else { "tasks" };
        let mut dirs = vec![place.dir.clone()];
        if let Some(role) = &place.role {
            let at = if order == Order::RoleFirst { 0 } else { 1 };
            dirs.insert(at, role.files.path.join(kind));
            dirs.push(role.files.path.clone());
        }
        // Handlers of a role may include its tasks.
        if let Some(role) = place.role.as_ref().filter(|_| place.handlers) {
            dirs.push(role.files.path.join("tasks"));
        }
        dirs.push(self.playbook_dir.join(kind));
        dirs.push(self.playbook_dir.clone());
        let mut tried: Vec<PathBuf> = Vec::new();
        for dir in dirs {
            let path = join(&dir, name);
            if path.is_file() {
                return Some(path);
            }
            if !tried.contains(&path) {
                tried.push(path);
            }
        }
        self.error(missing(&format!("the task file `{name}` does not exist"), name, &tried, span));
        None
    }
}

/// The error for a file that is in none of the places.
pub(in crate::playbook) fn missing(
    message: &str,
    name: &str,
    tried: &[PathBuf],
    span: Option<Span>,
) -> Diagnostic {
    let mut diagnostic = Diagnostic::error("XP0624", message);
    if let Some(span) = span {
        diagnostic = diagnostic.at(span, "not found");
    }
    for path in tried {
        diagnostic = diagnostic.note(format!("looked for `{}`", shown(path).display()));
    }
    let near = tried.iter().find_map(|path| {
        let wanted = path.file_name()?.to_str()?;
        let siblings: Vec<String> = std::fs::read_dir(path.parent()?)
            .ok()?
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok())
            .collect();
        let best = did_you_mean(wanted, siblings.iter().map(String::as_str))?;
        Some(Path::new(name).with_file_name(best))
    });
    match near {
        Some(near) => diagnostic.help(format!("did you mean `{}`?", near.display())),
        None => diagnostic,
    }
}
