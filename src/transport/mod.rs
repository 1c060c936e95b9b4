//! Sessions: run a framed script on a host, stream its output, move bytes. Knows no modules.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Bytes to stream into a script's stdin.
#[derive(Clone, Debug)]
pub enum Content {
    Bytes(Arc<[u8]>),
    File { path: PathBuf, size: u64 },
}

/// What a script printed and how it ended.
#[derive(Clone, Debug, Default)]
pub struct Output {
    pub rc: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub elapsed: Duration,
    /// Output past the limit was counted and dropped.
    pub truncated: bool,
}
