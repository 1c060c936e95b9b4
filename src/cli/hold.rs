//! One run at a time for a project and an inventory: a file that the kernel locks for as long as the program lives, with
//! who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::exit::CliError;

/// Nobody needs more to be named.
const MAX_HOLDER: u64 = 1 << 16;

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    pub run: String,
    pub title: String,
    pub user: String,
    pub controller: String,
    pub pid: u32,
    pub since: jiff::Timestamp,
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Hold(File);

impl Hold {
    /// Takes the lock of what `identity` names, or says who has it.
    pub fn take(dir: &Path, identity: &str, holder: &Holder) -> Result<Self, CliError> {
        let path = dir.join(format!("{}.lock", crate::modules::sha256(identity.as_bytes())));
        let failed = |action: &'static str| {
            let path: PathBuf = path.clone();
            move |source: io::Error| CliError::File { action, path, source }
        };
        super::drive::make_private_dir(dir).map_err(failed("make the folder of"))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(refusal(&mut file)),
            Err(TryLockError::Error(e)) => return Err(failed("lock")(e)),
        }
        let text = serde_json::to_string(holder).map_err(|e| CliError::Internal(e.to_string()))?;
        file.set_len(0).map_err(failed("write"))?;
        file.rewind().map_err(failed("write"))?;
        file.write_all(text.as_bytes()).map_err(failed("write"))?;
        Ok(Hold(file))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Closing is not enough: a program that is just being started may hold a copy of the descriptor.
        let _ = self.0.unlock();
    }
}

fn refusal(file: &mut File) -> CliError {
    let mut text = String::new();
    let read = file.take(MAX_HOLDER).read_to_string(&mut text);
    let holder: Option<Holder> = read.ok().and_then(|_| serde_json::from_str(&text).ok());
    let who = match holder {
        Some(h) => format!(
            "{} of {} on {}, process {}, since {} (\"{}\")",
            h.run, h.user, h.controller, h.pid, h.since, h.title
        ),
        // It was locked this very moment.
        None => "somebody".to_string(),
    };
    CliError::cannot(format!("this project and inventory are being worked on by {who}"))
        .with_help("wait for its end, or pass --concurrent if both work on different things")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_and_the_other_is_told_who() {
        let dir = tempfile::tempdir().unwrap();
        let holder = Holder {
            run: "r1".into(),
            title: "run site.yml".into(),
            user: "me".into(),
            controller: "mn1".into(),
            pid: 7,
            since: jiff::Timestamp::UNIX_EPOCH,
        };
        let held = Hold::take(dir.path(), "a", &holder).unwrap();
        let refused = Hold::take(dir.path(), "a", &holder).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "this project and inventory are being worked on by r1 of me on mn1, process 7, since \
             1970-01-01T00:00:00Z (\"run site.yml\")"
        );
        drop(Hold::take(dir.path(), "b", &holder).unwrap());
        drop(held);
        drop(Hold::take(dir.path(), "a", &Holder { run: "r2".into(), ..holder }).unwrap());
    }
}
