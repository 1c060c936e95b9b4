//! What a role's directory holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use super::files::{self, shown};
use super::{Load, lock};
use crate::diag::{Diagnostic, Span, did_you_mean};
use crate::inventory::find_vars_files;
use crate::playbook::RoleFiles;
use crate::template::{Tree, VarMap};
use crate::yaml::Node;

/// The `*_from` names of a role statement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct FromFiles {
    pub tasks: Option<String>,
    pub vars: Option<String>,
    pub defaults: Option<String>,
    pub handlers: Option<String>,
}

/// A role's files, parsed; shared by all uses with the same `*_from` names.
#[derive(Debug)]
pub(super) struct RoleParts {
    pub files: Arc<RoleFiles>,
    pub tasks: Option<(PathBuf, Node)>,
    pub handlers: Option<(PathBuf, Node)>,
    pub dependencies: Vec<Node>,
}

const EXTENSIONS: [&str; 3] = [".yml", ".yaml", ".json"];

impl Load<'_> {
    /// Finds a role's directory; an error lists where it was looked for.
    pub(super) fn role_path(
        &mut self,
        name: &str,
        beside: Option<&Path>,
        span: Option<Span>,
    ) -> Option<PathBuf> {
        let mut searched: Vec<PathBuf> = Vec::new();
        if let Some(path) = self.collection_role(name, &mut searched) {
            return Some(path);
        }
        let mut dirs = vec![self.playbook_dir.join("roles")];
        // A project keeps `playbooks/` and `roles/` side by side.
        if self.playbook_dir.file_name().is_some_and(|n| n == "playbooks")
            && let Some(project) = self.playbook_dir.parent()
        {
            dirs.push(project.join("roles"));
        }
        dirs.extend(self.loader.options.roles_path.iter().cloned());
        dirs.extend(beside.map(Path::to_owned));
        dirs.push(self.playbook_dir.clone());
        for dir in dirs {
            let path = files::join(&dir, name);
            if path.is_dir() {
                return Some(path);
            }
            if !searched.contains(&dir) {
                searched.push(dir);
            }
        }
        let paths: Vec<String> = searched.iter().map(|d| d.display().to_string()).collect();
        let message = format!("the role '{name}' was not found in {}", paths.join(":"));
        let mut diagnostic = Diagnostic::error("XP0620", message);
        if let Some(span) = span {
            diagnostic = diagnostic.at(span, "not found");
        }
        let siblings: Vec<String> = searched
            .iter()
            .filter(|d| d.ends_with("roles"))
            .flat_map(|d| std::fs::read_dir(d).into_iter().flatten().flatten())
            .filter_map(|e| e.file_name().into_string().ok())
            .collect();
        if let Some(best) = did_you_mean(name, siblings.iter().map(String::as_str)) {
            diagnostic = diagnostic.help(format!("did you mean `{best}`?"));
        }
        self.error(diagnostic);
        None
    }

    /// `namespace.collection.role` in the collection directories.
    fn collection_role(&self, name: &str, searched: &mut Vec<PathBuf>) -> Option<PathBuf> {
        let parts: Vec<&str> = name.split('.').collect();
        let [namespace, collection, role] = parts[..] else { return None };
        if [namespace, collection, role].iter().any(|p| !super::read::is_identifier(p)) {
            return None;
        }
        let below =
            Path::new(super::collections::FOLDER).join(namespace).join(collection).join("roles").join(role);
        for dir in self.loader.collection_dirs(&self.playbook_dir) {
            let path = dir.join(&below);
            if path.is_dir() {
                return Some(path);
            }
            searched.push(dir);
        }
        None
    }

    /// Reads a role's directory, once for each combination of `*_from` names.
    pub(super) fn role_parts(&mut self, path: &Path, from: &FromFiles, span: Option<Span>) -> Arc<RoleParts> {
        let key = (path.to_owned(), from.clone());
        if let Some(known) = lock(&self.loader.roles).get(&key) {
            return known.clone();
        }
        let errors = self.errors.len();
        let vars = self.role_vars(path, "vars", from.vars.as_deref(), span);
        let defaults = self.role_vars(path, "defaults", from.defaults.as_deref(), span);
        let meta = self.role_file(path, "meta", None, span).map(|(_, node)| node);
        let (allow_duplicates, dependencies) = self.role_meta(meta.as_ref());
        let argument_specs = self.role_argument_specs(path, meta.as_ref());
        let tasks = self.role_file(path, "tasks", from.tasks.as_deref(), span);
        let handlers = self.role_file(path, "handlers", from.handlers.as_deref(), span);
        let files = RoleFiles { path: path.to_owned(), defaults, vars, allow_duplicates, argument_specs };
        let parts = Arc::new(RoleParts { files: Arc::new(files), tasks, handlers, dependencies });
        // A role with mistakes is read again, so that every use reports them.
        if self.errors.len() == errors {
            lock(&self.loader.roles).insert(key, parts.clone());
        }
        parts
    }

    /// The files for one folder: `main` or the given name, with or without extension.
    fn role_candidates(
        &mut self,
        path: &Path,
        folder: &str,
        from: Option<&str>,
        allow_dir: bool,
        span: Option<Span>,
    ) -> Vec<PathBuf> {
        let dir = path.join(folder);
        let mut extensions: Vec<&str> = EXTENSIONS.to_vec();
        if from.is_some() {
            extensions.insert(0, "");
        } else {
            extensions.push("");
        }
        let found = if dir.is_dir() {
            find_vars_files(&dir, from.unwrap_or("main"), &extensions, allow_dir)
                .into_iter()
                .map(|f| files::absolute(&f))
                .collect()
        } else {
            Vec::new()
        };
        let Some(name) = from else { return found };
        let message = format!("the role has no file `{folder}/{name}`");
        if let Some(outside) = found.iter().find(|f| !f.starts_with(&dir)) {
            let diagnostic = Diagnostic::error(
                "XP0621",
                format!(
                    "Failed loading '{}' as it is not inside the expected role path: '{}'",
                    shown(outside).display(),
                    shown(&dir).display()
                ),
            );
            self.error(super::scope::at(diagnostic, span, "named here"));
            return Vec::new();
        }
        if found.is_empty() {
            let tried: Vec<PathBuf> = ["", ".yml"].iter().map(|e| dir.join(format!("{name}{e}"))).collect();
            let diagnostic = files::missing(&message, name, &tried, span);
            self.error(Diagnostic { code: "XP0621", ..diagnostic });
        }
        found
    }

    fn role_file(
        &mut self,
        path: &Path,
        folder: &str,
        from: Option<&str>,
        span: Option<Span>,
    ) -> Option<(PathBuf, Node)> {
        let file = self.role_candidates(path, folder, from, false, span).into_iter().next()?;
        let node = self.document(&file, span)?;
        (!node.is_null()).then_some((file, node))
    }

    fn role_vars(
        &mut self,
        path: &Path,
        folder: &str,
        from: Option<&str>,
        span: Option<Span>,
    ) -> Vec<VarMap> {
        let files = self.role_candidates(path, folder, from, true, span);
        files.iter().map(|file| self.vars_file(file, span)).filter(|vars| !vars.is_empty()).collect()
    }

    /// Reads `meta/main.yml`: duplicates and dependencies.
    fn role_meta(&mut self, meta: Option<&Node>) -> (bool, Vec<Node>) {
        let Some(meta) = meta else { return (false, Vec::new()) };
        if !meta.is_map() {
            self.error(
                Diagnostic::error(
                    "XP0604",
                    format!("a role's `meta` is a mapping, not {}", meta.described()),
                )
                .at(meta.span, "expected a mapping"),
            );
            return (false, Vec::new());
        }
        let allow_duplicates = match meta.get("allow_duplicates").and_then(Node::scalar) {
            Some(scalar) => matches!(&*scalar.text.to_lowercase(), "yes" | "true" | "on" | "1"),
            None => false,
        };
        let Some(list) = meta.get("dependencies").filter(|d| !d.is_null()) else {
            return (allow_duplicates, Vec::new());
        };
        (allow_duplicates, self.items(list, "`dependencies`").to_vec())
    }

    /// Entry points from `meta/argument_specs.yml`, or from `meta/main.yml` when there is no such file.
    fn role_argument_specs(&mut self, path: &Path, meta: Option<&Node>) -> IndexMap<Arc<str>, Tree> {
        let file =
            EXTENSIONS.iter().map(|e| path.join(format!("meta/argument_specs{e}"))).find(|f| f.exists());
        let own = file.and_then(|file| self.document(&file, None));
        let specs =
            own.as_ref().or(meta).and_then(|node| node.get("argument_specs")).filter(|s| !s.is_null());
        let mut found = IndexMap::new();
        let Some(specs) = specs else { return found };
        if !specs.is_map() {
            self.error(
                Diagnostic::error(
                    "XP0626",
                    format!("`argument_specs` is a mapping of entry points, not {}", specs.described()),
                )
                .at(specs.span, "expected a mapping"),
            );
            return found;
        }
        for (name, entry) in specs.entries() {
            self.check_entry_point(entry);
            if let (Some(name), Some(tree)) = (name.scalar(), self.tree(entry)) {
                found.insert(name.text.clone(), tree);
            }
        }
        found
    }
}
