//! This machine as ssh_config sees it: files, environment, commands.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::config::{ConfigText, Person, Trust, World};
use crate::template::glob;
use crate::transport::Identity;

/// Tells whether a file is still the one that was read.
type Stamp = (Option<SystemTime>, u64);

/// Files that are read again only when they change.
pub(super) struct Cache<T>(Mutex<HashMap<PathBuf, (Stamp, Arc<T>)>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Cache<T> {
    /// Returns a file's content, or nothing if there is no such file. `check` looks at it first.
    pub fn read(
        &self,
        path: &Path,
        check: impl FnOnce(&std::fs::Metadata) -> std::io::Result<()>,
        parse: impl FnOnce(&str) -> T,
    ) -> std::io::Result<Option<Arc<T>>> {
        let meta = match std::fs::metadata(path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        check(&meta)?;
        let stamp = (meta.modified().ok(), meta.len());
        let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if let Some((_, content)) = cached.filter(|(s, _)| *s == stamp) {
            return Ok(Some(content));
        }
        let content = Arc::new(parse(&String::from_utf8_lossy(&std::fs::read(path)?)));
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(path.to_path_buf(), (stamp, content.clone()));
        Ok(Some(content))
    }

    /// Forgets a file, so that it is read again.
    pub fn forget(&self, path: &Path) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}

/// What this machine's user brings along.
pub(super) struct Machine {
    pub person: Person,
    agent: Option<PathBuf>,
    env: HashMap<String, String>,
    files: Cache<ConfigText>,
}

impl Machine {
    pub fn new(identity: &Identity) -> Self {
        let person = Person {
            user: identity.user.clone(),
            uid: rustix::process::getuid().as_raw(),
            home: identity.home.clone(),
            machine: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        };
        let (agent, env) = (identity.agent.clone(), identity.env.clone());
        Self { person, agent, env, files: Cache::default() }
    }

    /// Returns a command for the user's shell.
    pub fn shell(&self, command: &str) -> Command {
        let shell = self.env.get("SHELL").filter(|s| !s.is_empty()).map_or("/bin/sh", String::as_str);
        let mut process = Command::new(shell);
        process.arg("-c").arg(command);
        process
    }
}

impl World for Machine {
    fn file(&self, path: &Path, trust: Trust) -> Result<Option<Arc<ConfigText>>, String> {
        let check = |meta: &std::fs::Metadata| {
            let foreign = meta.uid() != 0 && meta.uid() != self.person.uid;
            if trust == Trust::Checked && (foreign || meta.mode() & 0o022 != 0) {
                let reason = "others can write it; make it yours alone: chmod go-w";
                return Err(std::io::Error::other(reason));
            }
            Ok(())
        };
        let read = self.files.read(path, check, ConfigText::parse);
        read.map_err(|e| format!("{}: cannot read the ssh configuration: {e}", path.display()))
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        glob(pattern)
    }

    fn succeeds(&self, command: &str) -> bool {
        let mut process = self.shell(command);
        process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        process.status().is_ok_and(|status| status.success())
    }

    fn env(&self, name: &str) -> Option<String> {
        if name == "SSH_AUTH_SOCK" {
            return self.agent.as_ref().map(|a| a.display().to_string());
        }
        self.env.get(name).cloned()
    }
}
