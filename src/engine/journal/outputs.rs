//! Outputs of tasks that are too long for a result: whole, in files of the run's own folder beside its journal.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

/// A file that takes an output piece by piece and hides what must not be shown.
pub trait Kept: Send {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Writes what was held back.
    fn end(self: Box<Self>) -> io::Result<()>;
}

/// Makes a file one that hides secrets.
pub type Hiding = Arc<dyn Fn(File) -> Box<dyn Kept> + Send + Sync>;

/// The folder of one run's outputs.
pub struct Outputs {
    pub(super) dir: PathBuf,
    pub(super) hiding: Hiding,
}

impl Outputs {
    /// Makes a file, which only its owner can read. One of an earlier attempt is replaced.
    pub fn create(&self, name: &str) -> io::Result<(PathBuf, Box<dyn Kept>)> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let path = self.dir.join(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((path, (self.hiding)(file)))
    }
}
