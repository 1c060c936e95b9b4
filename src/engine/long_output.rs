//! Output that is too long for a result goes to a file beside the journal; the result keeps its beginning.

use std::path::PathBuf;
use std::sync::Arc;

use super::journal::{Journal, Kept};
use crate::modules;
use crate::transport::{Output, Stream};

/// A host that prints without end must not fill this machine's disk either.
const MOST_IN_FILE: u64 = 4 << 30;

/// The files of one execution. What is not ended is removed.
pub struct LongOutput {
    journal: Arc<Journal>,
    /// Begins the names of the files.
    name: String,
    parts: Vec<Part>,
    trouble: Option<String>,
}

struct Part {
    stream: Stream,
    path: PathBuf,
    /// Nothing when no more can be written.
    file: Option<Box<dyn Kept>>,
    size: u64,
    ended: bool,
}

impl LongOutput {
    /// `step` names the step among those of a host.
    pub fn new(journal: Arc<Journal>, host: &str, step: &str) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
        let host: String = host.chars().take(80).map(plain).collect();
        LongOutput { journal, name: format!("{host}-{step}"), parts: Vec::new(), trouble: None }
    }

    /// Takes what a result has no room for; `kept` is all that came before the first such piece.
    pub fn more(&mut self, stream: Stream, kept: &[u8], rest: &[u8]) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.stream == stream) {
            if let Err(e) = part.put(rest) {
                self.trouble.get_or_insert(e.to_string());
            }
            return;
        }
        let word = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let made = self.journal.outputs().map(|outputs| outputs.create(&format!("{}.{word}", self.name)));
        let (path, file) = match made {
            Some(Ok((path, file))) => (path, Some(file)),
            Some(Err(e)) => {
                self.trouble.get_or_insert(e.to_string());
                (PathBuf::new(), None)
            }
            None => (PathBuf::new(), None),
        };
        let mut part = Part { stream, path, file, size: 0, ended: false };
        if let Err(e) = part.put(kept).and_then(|()| part.put(rest)) {
            self.trouble.get_or_insert(e.to_string());
        }
        self.parts.push(part);
    }

    /// Ends the files and names them in the output; returns why one is missing.
    pub fn end(mut self, output: &mut Output) -> Option<String> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let bytes = match stream {
                Stream::Stdout => &output.stdout,
                Stream::Stderr => &output.stderr,
            };
            // So many lines are too long too, although all bytes were kept.
            if modules::is_cut(bytes) && self.parts.iter().all(|part| part.stream != stream) {
                self.more(stream, bytes, &[]);
            }
        }
        for part in &mut self.parts {
            let Some(file) = part.file.take() else { continue };
            if let Err(e) = file.end() {
                self.trouble.get_or_insert(e.to_string());
                continue;
            }
            part.ended = true;
            let whole = match part.stream {
                Stream::Stdout => &mut output.whole.stdout,
                Stream::Stderr => &mut output.whole.stderr,
            };
            *whole = Some(part.path.clone());
        }
        self.trouble.take()
    }
}

impl Part {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        self.size += bytes.len() as u64;
        let written = match self.size > MOST_IN_FILE {
            true => Err(std::io::Error::other("it is longer than 4 GiB")),
            false => file.put(bytes),
        };
        if written.is_err() {
            self.file = None;
        }
        written
    }
}

impl Drop for LongOutput {
    fn drop(&mut self) {
        for part in self.parts.iter().filter(|part| !part.ended && !part.path.as_os_str().is_empty()) {
            // Half a file would be taken for the whole.
            let _ = std::fs::remove_file(&part.path);
        }
    }
}
