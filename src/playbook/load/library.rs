//! Modules that are files: in `library/` beside the playbook and in roles, and where the settings say.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Load, Place, lock};

/// The modules of one directory by name.
pub(super) type Library = Arc<HashMap<String, Arc<Path>>>;

/// Endings of files that hold documentation or other things than a module.
const NO_MODULES: [&str; 12] =
    ["md", "txt", "rst", "pyc", "pyo", "ps1", "yml", "yaml", "ini", "swp", "bak", "rpm"];

impl Load<'_> {
    /// Where tasks at a place find modules, the nearest first. What a role of the play brings is there for all that follows.
    pub(super) fn libraries_at(&self, place: &Place) -> Vec<PathBuf> {
        let roles = place.role_chain();
        let roles = roles.iter().rev().map(|role| role.files.path.join("library"));
        let near =
            roles.chain(lock(&self.loader.role_libraries).clone()).chain([self.playbook_dir.join("library")]);
        near.chain(self.loader.options.library.iter().cloned()).collect()
    }

    /// Remembers the modules that a role brings.
    pub(super) fn know_library(&self, role: &Path) {
        let library = role.join("library");
        let mut known = lock(&self.loader.role_libraries);
        if !known.contains(&library) && library.is_dir() {
            known.push(library);
        }
    }

    /// Returns the file that a module's name stands for. Names with a namespace are never files of the project.
    pub(super) fn module_file(&self, name: &str) -> Option<Arc<Path>> {
        let short = name.strip_prefix("ansible.legacy.").unwrap_or(name);
        if short.contains(['.', '/', ' ']) {
            return None;
        }
        self.libraries.iter().find_map(|dir| self.library(dir).get(short).cloned())
    }

    fn library(&self, dir: &Path) -> Library {
        if let Some(known) = lock(&self.loader.libraries).get(dir) {
            return known.clone();
        }
        let mut modules = HashMap::new();
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        // Of files of one name the one in Python counts.
        paths.sort_by_key(|path| (path.extension().is_some_and(|ending| ending == "py"), path.clone()));
        for path in paths {
            let ending = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
            let Some(stem) = path.file_stem().filter(|_| path.is_file()) else { continue };
            if !NO_MODULES.contains(&ending.as_str()) && !stem.to_string_lossy().starts_with('_') {
                modules.insert(stem.to_string_lossy().into_owned(), Arc::from(path));
            }
        }
        let library = Arc::new(modules);
        lock(&self.loader.libraries).insert(dir.to_owned(), library.clone());
        library
    }
}
