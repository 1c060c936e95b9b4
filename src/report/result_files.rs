//! Ansible's `tree` callback: the last result of each host in a file of its own.

use std::io::{self, Write};
use std::path::PathBuf;

use super::Reporter;
use super::mask::Secrets;
use super::results::{Emphasis, ResultStyle};
use crate::engine::{Event, HostResult};
use crate::plan::render::inert_json;

/// Writes one file for each host into a directory.
pub struct ResultFiles {
    dir: PathBuf,
    secrets: Secrets,
}

impl ResultFiles {
    pub fn new(dir: PathBuf, secrets: Secrets) -> Self {
        ResultFiles { dir, secrets }
    }

    fn keep(&self, r: &HostResult) -> io::Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        // A host's name must not lead out of the directory.
        let name = r.host.replace('/', "_");
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        let json = ResultStyle::default().dump(&r.result, Emphasis::None, 0);
        file.write_all(inert_json(&self.secrets.mask(&json)).as_bytes())?;
        file.persist(self.dir.join(name.trim_start_matches('.'))).map_err(|e| e.error)?;
        Ok(())
    }
}

impl Reporter for ResultFiles {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Host(r) => self.keep(r),
            _ => Ok(()),
        }
    }
}
