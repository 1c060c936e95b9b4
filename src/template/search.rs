//! Where files of a project are found: in the role, the including file's folder, the playbook's folder.

use std::path::{Path, PathBuf};

/// Where relative paths of a task are looked for, nearest first: role, including file, playbook.
#[derive(Clone, Debug, Default)]
pub struct SearchPath {
    pub dirs: Vec<PathBuf>,
    /// The directory of the playbook; `lookup('file')` and friends end here.
    pub playbook_dir: PathBuf,
}

impl SearchPath {
    /// Returns the paths where a file may be, in order: in the folder `kind` of each place (`templates`, `files`, `vars`;
    /// none for an empty one), then in the place itself, as Ansible does it.
    pub fn candidates(&self, kind: &str, name: &str) -> Vec<PathBuf> {
        let name = expand_user(name);
        if Path::new(&name).is_absolute() {
            return vec![PathBuf::from(name)];
        }
        let mut out: Vec<PathBuf> = Vec::new();
        for dir in self.dirs.iter().chain([&self.playbook_dir]) {
            let beside = (!kind.is_empty()).then(|| dir.join(kind));
            for place in beside.iter().chain([dir]) {
                let path = place.join(&name);
                if !out.contains(&path) {
                    out.push(path);
                }
            }
        }
        out
    }

    /// Finds a file or folder.
    pub fn find(&self, kind: &str, name: &str) -> Option<PathBuf> {
        self.candidates(kind, name).into_iter().find(|path| path.exists())
    }
}

/// Replaces a leading `~` or `~NAME` by the home directory on this machine.
pub fn expand_user(path: &str) -> String {
    let Some(rest) = path.strip_prefix('~') else { return path.to_string() };
    let (name, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home = match name {
        "" => std::env::var("HOME").ok(),
        name => home_of(name),
    };
    home.map_or_else(|| path.to_string(), |home| format!("{home}{below}"))
}

/// Returns the home directory that this machine's list of users has for a name.
fn home_of(name: &str) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut fields = users.lines().map(|line| line.split(':')).find(|f| f.clone().next() == Some(name))?;
    fields.nth(5).filter(|home| home.starts_with('/')).map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_for_a_kind_come_first_whatever_the_place_is_called() {
        let search = SearchPath { dirs: vec!["/p/templates".into(), "/p".into()], playbook_dir: "/p".into() };
        let paths = |kind, name| -> Vec<String> {
            search.candidates(kind, name).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(
            paths("templates", "a.j2"),
            ["/p/templates/templates/a.j2", "/p/templates/a.j2", "/p/a.j2"]
        );
        assert_eq!(paths("", "a"), ["/p/templates/a", "/p/a"]);
        assert_eq!(paths("files", "/etc/motd"), ["/etc/motd"]);
    }
}
