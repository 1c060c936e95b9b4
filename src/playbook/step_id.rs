//! The stable name of a step in plans, journals and history.

use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Path of names (playbook, play, role, task) plus a short digest of the task's text; no position in a file.
///
/// Moving a task or adding lines above it keeps the id; changing what it does makes a new one. Equal tasks under the
/// same path are told apart by an ordinal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId {
    /// Names joined with `/`, such as `site.yml/Install/nginx/copy the config`.
    pub path: Arc<str>,
    /// 12 hexadecimal digits, and `.2`, `.3` ... for repetitions.
    pub digest: Arc<str>,
}

impl StepId {
    /// Makes the id of the `ordinal`-th (from 1) task with this path and content.
    pub fn new(path: &str, content: &str, ordinal: usize) -> Self {
        let hash = Sha256::digest(content.as_bytes());
        let mut digest: String = hash.iter().take(6).map(|b| format!("{b:02x}")).collect();
        if ordinal > 1 {
            digest = format!("{digest}.{ordinal}");
        }
        StepId { path: path.into(), digest: digest.into() }
    }
}

impl std::fmt::Display for StepId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.path, self.digest)
    }
}
