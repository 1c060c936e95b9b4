//! What a module is called with.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Args, Failure, FileAfter, Known, Thing, Wanted, World, local};
use crate::value::Value;

/// One execution of a module on one host for one loop item.
pub struct Call<'a> {
    pub args: Args,
    pub target: &'a Target,
    pub local: &'a dyn LocalFiles,
    /// `--check` or a plan: the change will not be executed.
    pub check: bool,
    pub diff: bool,
    /// `environment:` of the task, resolved; already exported around every script by the engine.
    pub environment: &'a [(String, String)],
    /// What earlier steps of a plan will have done there; empty outside of plans.
    pub world: &'a World,
}

impl Call<'_> {
    /// Returns what will stand at a path because of earlier steps of the plan; nothing when the probe's answer counts.
    pub fn foreseen_file(&self, path: &str) -> Result<Option<FileAfter>, Failure> {
        foreseen(self.world.file(path))
    }

    /// Refuses to predict about a thing that earlier steps change.
    pub fn needs_same(&self, thing: &Thing) -> Result<(), Failure> {
        self.world.thing(thing).map_or(Ok(()), |unknown| Err(Failure::unknown(unknown)))
    }

    /// Refuses to predict about a folder whose content earlier steps change.
    pub fn needs_untouched(&self, path: &str) -> Result<(), Failure> {
        self.world.tree(path).map_or(Ok(()), |unknown| Err(Failure::unknown(unknown)))
    }
}

/// Returns a known answer, nothing for what is untouched, and what is unknown as a failure that says so.
pub fn foreseen<T>(known: Known<T>) -> Result<Option<T>, Failure> {
    match known {
        Known::Untouched => Ok(None),
        Known::Known(value) => Ok(Some(value)),
        Known::Unknown(unknown) => Err(Failure::unknown(unknown)),
    }
}

/// What is known of the host after connecting.
#[derive(Clone, Debug, Default)]
pub struct Target {
    pub host: String,
    /// The user that scripts run as.
    pub user: String,
    pub uid: u32,
    pub home: String,
    /// Homes of other users, as far as paths of the call begin with `~NAME`.
    pub homes: Vec<(String, String)>,
}

impl Target {
    /// Returns the home of a user named in a path, when it is known.
    pub fn home_of(&self, user: &str) -> Option<&str> {
        if !user.is_empty() && user == self.user {
            return Some(&self.home);
        }
        self.homes.iter().find(|(name, _)| name == user).map(|(_, home)| home.as_str())
    }
}

/// The controller's side: project files that modules send. The defaults read this machine's disk.
pub trait LocalFiles: Send + Sync {
    /// Finds a file of the task the way Ansible does: the role's `kind` folder (`files`, `templates`, `vars`), the
    /// role, the including file's folder, the playbook's. The error lists where it looked.
    fn find(&self, kind: &str, name: &str) -> Result<PathBuf, String>;

    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// Renders a project template with the task's variables; `options` are the `template` module's own arguments.
    fn render(&self, path: &Path, options: &Value) -> Result<String, String>;

    /// Returns where a relative path on this side starts (`fetch`'s destination): the playbook's folder.
    fn base_dir(&self) -> PathBuf {
        PathBuf::from(".")
    }

    fn stat(&self, path: &Path) -> Result<LocalStat, String> {
        local::stat(path)
    }

    /// Returns everything below a folder, parents first, in the order of names.
    fn tree(&self, dir: &Path, links: Links) -> Result<Vec<LocalEntry>, String> {
        local::tree(dir, links)
    }

    /// Returns which digests of a big file anybody can see in the result.
    fn digests_wanted(&self) -> Wanted {
        Wanted::All
    }

    /// Opens a file that may be too big for memory.
    fn open(&self, path: &Path) -> Result<Box<dyn Read>, String> {
        local::open(path)
    }
}

/// What to do with symbolic links below a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// As the file or folder that they lead to.
    Follow,
    /// As links.
    Keep,
}

/// A file on this side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalStat {
    pub kind: LocalKind,
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalKind {
    File,
    Dir,
    Link(PathBuf),
    Other,
}

/// Something below a folder on this side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalEntry {
    /// Relative to the folder.
    pub path: PathBuf,
    pub stat: LocalStat,
}
