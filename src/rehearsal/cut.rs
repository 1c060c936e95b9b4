//! The fault of a connection that breaks in the middle of genimage.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::faults::{self, Fault};

/// What genimage prints first when it really builds, wherever that is; from then on its minutes have begun.
const SIGN: &[u8] = b" -c /tmp/genimage.";

/// Decides, once per cluster, when the connections of the host that builds are cut.
#[derive(Debug)]
pub(super) struct CutFault {
    faults_file: PathBuf,
    armed: AtomicBool,
}

impl CutFault {
    pub(super) fn new(faults_file: PathBuf) -> Self {
        Self { faults_file, armed: AtomicBool::new(false) }
    }

    /// Watches from now on for the next start of genimage.
    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::Relaxed);
    }

    /// Looks at output that was sent; true when the connection is to be cut now.
    pub(super) fn is_due(&self, watch: &mut Watch, output: &[u8]) -> bool {
        if !self.armed.load(Ordering::Relaxed) || !watch.sees_sign(output) {
            return false;
        }
        let asked_for = fs::read_to_string(&self.faults_file)
            .is_ok_and(|text| faults::parse(&text).contains(&Fault::ConnectionCutDuringGenimage));
        asked_for && self.armed.swap(false, Ordering::Relaxed)
    }
}

/// The end of one stream's output so far: the sign may arrive in two pieces.
#[derive(Debug, Default)]
pub(super) struct Watch {
    tail: Vec<u8>,
}

impl Watch {
    fn sees_sign(&mut self, output: &[u8]) -> bool {
        self.tail.extend_from_slice(output);
        let found = self.tail.windows(SIGN.len()).any(|window| window == SIGN);
        let keep = self.tail.len().min(SIGN.len() - 1);
        self.tail.drain(..self.tail.len() - keep);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_once_and_only_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("faults");
        let fault = CutFault::new(file.clone());
        let mut watch = Watch::default();
        let output = b" dnf -y -c /tmp/genimage.1.yum.conf";
        assert!(!fault.is_due(&mut watch, output));
        fault.arm();
        assert!(!fault.is_due(&mut watch, output));
        fs::write(&file, "connection-cut-during-genimage\n").unwrap();
        assert!(!fault.is_due(&mut watch, b" dnf -y -c /tm"));
        assert!(fault.is_due(&mut watch, b"p/genimage.1.yum.conf"));
        assert!(!fault.is_due(&mut watch, output));
    }
}
