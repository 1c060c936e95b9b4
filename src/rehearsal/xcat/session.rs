//! One command's conversation: output, exit code, the daemon's prefixes, faults and the site's age.

use super::tables::{Access, Db};
use super::world::{Pace, World};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Says which generation of xCAT is emulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// 2.8: no `[mn]` in messages, `rootimg.gz`, no lock, pre-osimage syntax still works.
    Old,
    /// 2.17 and later.
    Today,
}

/// Is what a running command writes to and reads from.
pub(super) struct Session<'a> {
    pub world: &'a World,
    pub input: &'a mut dyn Read,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    /// The management node's short name.
    pub host: String,
    pub era: Era,
    pub rc: i32,
}

impl<'a> Session<'a> {
    pub fn new(
        world: &'a World,
        input: &'a mut dyn Read,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
    ) -> Self {
        let host = read_line(world.path("/etc/hostname")).unwrap_or_else(|| "mn".into());
        let host = host.split('.').next().unwrap_or_default().to_string();
        let era = match read_line(world.path("/etc/xcat/rehearsal/site")).as_deref() {
            Some("seed") => Era::Old,
            _ => Era::Today,
        };
        Session { world, input, out, err, host, era, rc: 0 }
    }

    /// Writes to stdout. A client that went away does not stop the daemon's work, so failures are not looked at.
    pub fn print(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }

    pub fn say(&mut self, line: &str) {
        self.print(&format!("{line}\n"));
    }

    pub fn complain(&mut self, line: &str) {
        let _ = self.err.write_all(format!("{line}\n").as_bytes());
        let _ = self.err.flush();
    }

    fn prefix(&self) -> String {
        match self.era {
            Era::Old => String::new(),
            Era::Today => format!("[{}]: ", self.host),
        }
    }

    pub fn error(&mut self, text: &str) {
        let prefix = self.prefix();
        self.complain(&format!("Error: {prefix}{text}"));
        self.rc |= 1;
    }

    pub fn warn(&mut self, text: &str) {
        let prefix = self.prefix();
        self.complain(&format!("Warning: {prefix}{text}"));
    }

    pub fn node_error(&mut self, node: &str, text: &str) {
        let prefix = self.prefix();
        self.complain(&format!("{node}: {prefix}Error: {text}"));
        self.rc |= 1;
    }

    /// Prints a line of a node's stderr as xdsh does.
    pub fn node_stderr(&mut self, node: &str, line: &str) {
        let prefix = self.prefix();
        self.complain(&format!("{prefix}{node}: {line}"));
    }

    /// Returns true when the named fault is injected.
    pub fn fault(&self, name: &str) -> bool {
        fault(self.world, name)
    }

    /// Lets a slow step take its time.
    pub fn pause(&self, millis: u64) {
        if self.world.pace == Pace::Short {
            self.world.clock.pause(Duration::from_millis(millis));
        }
    }

    pub fn db(&self, access: Access) -> io::Result<Db> {
        Db::open(&self.world.root, access)
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.world.path(inside)
    }

    /// Returns the time as xCAT writes it into tables.
    pub fn table_time(&self) -> String {
        table_time(&self.world.clock.now())
    }

    /// Returns the emulated version as `lsxcatd -v` prints it.
    pub fn version(&self) -> String {
        read_line(self.path("/etc/xcat/rehearsal/version"))
            .unwrap_or_else(|| "Version 2.17.0 (git commit 9ff3e4b2a2d9b0b8a3d7b1f3c0de5d55c1a9b77e)".into())
    }
}

/// Returns true when the named fault is in the world's list.
pub(super) fn fault(world: &World, name: &str) -> bool {
    std::fs::read_to_string(world.path("/etc/xcat/rehearsal/faults"))
        .is_ok_and(|text| text.lines().any(|line| line.trim() == name))
}

pub(super) fn table_time(now: &jiff::Zoned) -> String {
    now.strftime("%m-%d-%Y %H:%M:%S").to_string()
}

/// Returns the first line of a file, trimmed.
pub(super) fn read_line(path: PathBuf) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_string())
}
