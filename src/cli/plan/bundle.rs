//! The files of a project that belong into its plan.
//!
//! A plan holds what was read while it was made, and what may be read for steps that could not be resolved: the whole
//! folders of the roles that are used, and the folders beside playbooks and inventories that Ansible looks into.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::cli::exit::CliError;
use crate::cli::project::Project;
use crate::cli::settings::Sources;
use crate::diag::SourceMap;
use crate::plan::Bundle;

/// What the project's own folder is called in a bundle.
pub const PROJECT: &str = "project";
/// Folders beside a playbook, and beside an inventory, that are looked into: a bundle has all that is in them.
pub const BESIDE_PLAYBOOKS: &[&str] =
    &["group_vars", "host_vars", "files", "templates", "vars", "tasks", "handlers", "defaults", "meta"];
const BESIDE_INVENTORIES: &[&str] = &["group_vars", "host_vars"];
/// More files than this are no project.
const MAX_FILES: usize = 20_000;

/// Where the files of a project lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Folders on this machine with their names in the bundle; the project's own comes last.
    list: Vec<(PathBuf, String)>,
}

impl Roots {
    /// Finds the roots of a project: the folder of its first playbook (the one above if that is called `playbooks`), and
    /// what roles, collections and inventories lie outside of it.
    pub fn of(playbooks: &[PathBuf], sources: &Sources, cwd: &Path) -> Self {
        let absolute = |path: &Path| cwd.join(path);
        let dir = playbooks.first().map(|p| absolute(p)).and_then(|p| p.parent().map(Path::to_path_buf));
        let dir = dir.unwrap_or_else(|| cwd.to_path_buf());
        let project = match (dir.file_name(), dir.parent()) {
            (Some(name), Some(above)) if name == "playbooks" => above.to_path_buf(),
            _ => dir,
        };
        let inventories = sources.inventory.iter().filter(|s| !s.contains(',')).map(|s| {
            let path = absolute(Path::new(s));
            if path.is_dir() { path } else { path.parent().map(Path::to_path_buf).unwrap_or(path) }
        });
        let books = playbooks.iter().filter_map(|p| absolute(p).parent().map(Path::to_path_buf));
        let others = sources.roles_path.iter().chain(&sources.collections_path).map(|p| absolute(p));
        let outside: BTreeSet<PathBuf> =
            others.chain(inventories).chain(books).filter(|p| !p.starts_with(&project)).collect();
        let mut list: Vec<(PathBuf, String)> = outside
            .into_iter()
            .filter(|path| path.exists())
            .enumerate()
            .map(|(i, path)| (path, format!("other{}", i + 1)))
            .collect();
        list.push((project, PROJECT.to_string()));
        Roots { list }
    }

    /// Returns the same names at other places.
    pub fn at(places: &BTreeMap<String, PathBuf>) -> Self {
        let mut list: Vec<(PathBuf, String)> =
            places.iter().filter(|(name, _)| *name != PROJECT).map(|(n, p)| (p.clone(), n.clone())).collect();
        list.extend(places.get(PROJECT).map(|p| (p.clone(), PROJECT.to_string())));
        Roots { list }
    }

    /// Returns these roots and then others for what they do not have.
    pub fn before(mut self, others: &Roots) -> Self {
        self.list.extend(others.list.iter().cloned());
        self
    }

    /// Returns where the roots lie, by name.
    pub fn places(&self) -> BTreeMap<String, String> {
        self.list.iter().map(|(path, name)| (name.clone(), path.display().to_string())).collect()
    }

    /// Returns the roots as plans name them: the project itself has no name.
    pub fn for_seal(&self) -> Vec<(PathBuf, String)> {
        let name = |name: &String| if name == PROJECT { String::new() } else { name.clone() };
        self.list.iter().map(|(path, n)| (path.clone(), name(n))).collect()
    }

    fn split(&self, path: &Path) -> Option<(&str, PathBuf)> {
        self.list
            .iter()
            .find_map(|(root, name)| Some((name.as_str(), path.strip_prefix(root).ok()?.to_path_buf())))
    }
}

/// What a run reads. What it includes while it runs appears here too.
pub struct Read {
    sources: SourceMap,
    /// Folders of roles that are used from the start.
    roles: Vec<PathBuf>,
}

impl Read {
    pub fn of(project: &Project) -> Self {
        let plays = project.playbooks.iter().flat_map(|book| &book.plays);
        let roles = plays.flat_map(|play| &play.role_uses).map(|role| role.files.path.clone()).collect();
        Read { sources: project.sources.clone(), roles }
    }
}

/// Collects the files. `never` names files that must not get into a plan: passwords and keys.
pub fn collect(
    read: &Read,
    playbooks: &[PathBuf],
    sources: &Sources,
    roots: &Roots,
    never: &[PathBuf],
    cwd: &Path,
) -> Result<Bundle, CliError> {
    let files = list(read, playbooks, sources, cwd)?;
    let mut bundle = Bundle::default();
    for path in files.iter().filter(|p| !never.contains(p)) {
        let Some((root, rel)) = roots.split(path) else { continue };
        add(&mut bundle, root, &rel, path)?;
    }
    Ok(bundle)
}

/// Returns the files that a project is made of.
pub fn list(
    read: &Read,
    playbooks: &[PathBuf],
    sources: &Sources,
    cwd: &Path,
) -> Result<BTreeSet<PathBuf>, CliError> {
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    let absolute = |path: &Path| cwd.join(path);
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for path in read.sources.paths() {
        let path = absolute(&path);
        if let Some(role) = role_of(&path) {
            folders.insert(role);
        }
        files.insert(path);
    }
    folders.extend(read.roles.iter().map(|role| absolute(role)));
    for dir in playbooks.iter().filter_map(|p| absolute(p).parent().map(Path::to_path_buf)) {
        folders.extend(BESIDE_PLAYBOOKS.iter().map(|name| dir.join(name)));
    }
    for source in sources.inventory.iter().filter(|s| !s.contains(',')) {
        let path = absolute(Path::new(source));
        if path.is_dir() {
            folders.insert(path);
            continue;
        }
        if let Some(dir) = path.parent() {
            folders.extend(BESIDE_INVENTORIES.iter().map(|name| dir.join(name)));
        }
        files.insert(path);
    }
    files.extend(
        sources.extra_vars.iter().filter_map(|v| v.trim().strip_prefix('@')).map(|p| absolute(Path::new(p))),
    );
    for folder in &folders {
        walk(folder, &mut files)?;
    }
    Ok(files)
}

fn add(bundle: &mut Bundle, root: &str, rel: &Path, path: &Path) -> Result<(), CliError> {
    if !path.is_file() {
        return Ok(());
    }
    bundle.add_path(root, rel, path).map_err(|e| CliError::cannot(crate::cli::chain(&e)))
}

/// Returns the folder of the role that a file belongs to.
fn role_of(path: &Path) -> Option<PathBuf> {
    let parts: Vec<_> = path.components().collect();
    let at = parts.iter().rposition(|part| part.as_os_str() == "roles")?;
    (at + 2 < parts.len()).then(|| parts[..at + 2].iter().collect())
}

/// Adds all files below a folder; links are followed as Ansible does, version control and caches are left out.
fn walk(folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), CliError> {
    let mut open = vec![(folder.to_path_buf(), 0)];
    while let Some((dir, depth)) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let hidden = [".git", ".svn", ".hg", "__pycache__"].iter().any(|skip| name == *skip);
            let path = entry.path();
            if hidden {
                continue;
            }
            if path.is_dir() {
                // A link to a folder above would go on for ever.
                if depth < 32 {
                    open.push((path, depth + 1));
                }
                continue;
            }
            files.insert(path);
            if files.len() > MAX_FILES {
                let text = format!(
                    "more than {MAX_FILES} files below \"{}\" would go into the plan",
                    folder.display()
                );
                return Err(
                    CliError::cannot(text).with_help("keep playbooks and roles apart from other data")
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_and_roles() {
        let sources = Sources {
            inventory: vec!["/etc/hosts.ini".into(), "a,b".into(), "inventory/site".into()],
            ..Sources::default()
        };
        let roots = Roots::of(&["playbooks/site.yml".into()], &sources, Path::new("/p"));
        assert_eq!(
            roots.places(),
            BTreeMap::from([
                ("other1".to_string(), "/etc".to_string()),
                (PROJECT.to_string(), "/p".to_string()),
            ])
        );
        assert_eq!(
            roots.split(Path::new("/p/roles/a/tasks/main.yml")),
            Some((PROJECT, "roles/a/tasks/main.yml".into()))
        );
        assert_eq!(roots.split(Path::new("/else")), None);
        assert_eq!(role_of(Path::new("/p/roles/a/tasks/main.yml")), Some("/p/roles/a".into()));
        assert_eq!(role_of(Path::new("/p/roles/a")), None);
    }
}
