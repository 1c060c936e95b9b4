//! Modules that are files: in `library/` beside the playbook and in roles, and where the settings say.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Load, Loader, Place, lock};
use crate::playbook::{ModuleKnown, Role};

/// The modules of one directory by name.
pub(super) type Library = Arc<HashMap<String, Arc<Path>>>;

/// Endings of files that hold documentation or other things than a module.
const NO_MODULES: [&str; 12] =
    ["md", "txt", "rst", "pyc", "pyo", "ps1", "yml", "yaml", "ini", "swp", "bak", "rpm"];

impl Load<'_> {
    /// Where tasks at a place find modules, the nearest first.
    pub(super) fn libraries_at(&self, place: &Place) -> Vec<PathBuf> {
        self.loader.libraries_of(place.role.as_deref(), &self.playbook_dir)
    }

    /// Remembers the modules that a role brings.
    pub(super) fn know_library(&self, role: &Path) {
        let library = role.join("library");
        let mut known = lock(&self.loader.role_libraries);
        if !known.contains(&library) && library.is_dir() {
            known.push(library);
        }
    }

    /// Returns the file that a module's name stands for.
    pub(super) fn module_file(&self, name: &str) -> Option<Arc<Path>> {
        self.loader.module_in(&self.libraries, name, &self.playbook_dir)
    }
}

impl Loader {
    /// Returns the file of the project that a module's name stands for, for a task of a role and a playbook: names that
    /// only the run knows.
    pub fn find_module(&self, name: &str, role: Option<&Role>, playbook_dir: &Path) -> Option<Arc<Path>> {
        self.module_in(&self.libraries_of(role, playbook_dir), name, playbook_dir)
    }

    /// What a role brings is there for all that follows.
    fn libraries_of(&self, role: Option<&Role>, playbook_dir: &Path) -> Vec<PathBuf> {
        let parents = role.into_iter().flat_map(|role| role.parents.iter().rev().map(|parent| &**parent));
        let roles = role.into_iter().chain(parents).map(|role| role.files.path.join("library"));
        let near = roles.chain(lock(&self.role_libraries).clone()).chain([playbook_dir.join("library")]);
        near.chain(self.options.library.iter().cloned()).collect()
    }

    /// A name with a namespace is a file of its collection, unless the module is built in.
    fn module_in(&self, libraries: &[PathBuf], name: &str, playbook_dir: &Path) -> Option<Arc<Path>> {
        let short = name.strip_prefix("ansible.legacy.").unwrap_or(name);
        if short.contains('.') && self.options.catalog.find(short) == ModuleKnown::No {
            return self.collection_module(short, playbook_dir);
        }
        if short.contains(['.', '/', ' ']) {
            return None;
        }
        libraries.iter().find_map(|dir| self.library(dir).get(short).cloned())
    }

    pub(super) fn library(&self, dir: &Path) -> Library {
        if let Some(known) = lock(&self.libraries).get(dir) {
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
        lock(&self.libraries).insert(dir.to_owned(), library.clone());
        library
    }
}
