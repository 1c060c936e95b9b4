//! The setting `log_path`: lines behind the time, the process and the user, as Ansible writes its log.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// A file to which whole lines are added.
pub struct LogFile {
    file: File,
    user: String,
    line: Vec<u8>,
}

impl LogFile {
    /// Opens the file for adding to it.
    pub fn open(path: &Path, user: &str) -> io::Result<Self> {
        let file = File::options().append(true).create(true).open(path)?;
        Ok(LogFile { file, user: user.to_string(), line: Vec::new() })
    }

    /// Writes what is a line by now; empty ones are left out.
    fn end_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            return Ok(());
        }
        let time = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f").to_string();
        let head = format!("{time} p={} u={} n=ansible {}", std::process::id(), self.user, level(&text));
        writeln!(self.file, "{head}| {}", text.trim_end_matches('\n'))
    }
}

/// How much a line matters, in the words of Python's logging.
fn level(line: &str) -> &'static str {
    const WARNINGS: [&str; 2] = ["[WARNING]", "[DEPRECATION WARNING]"];
    const ERRORS: [&str; 3] = ["fatal: ", "failed: ", "ERROR! "];
    match line {
        line if WARNINGS.iter().any(|begin| line.starts_with(begin)) => "WARNING",
        line if ERRORS.iter().any(|begin| line.starts_with(begin)) => "ERROR",
        _ => "INFO",
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            self.line.push(*byte);
            if *byte == b'\n' {
                self.end_line()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_heads_and_are_added() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for text in ["\none\ntwo", " more\n[WARNING]: odd\nfatal: [a]: FAILED!\n"] {
            let mut log = LogFile::open(&path, "me").unwrap();
            log.write_all(text.as_bytes()).unwrap();
            log.write_all(b"\n").unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let heads = fancy_regex::Regex::new(
            r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} p=\d+ u=me n=ansible (\w+)\| ",
        )
        .unwrap();
        assert_eq!(
            heads.replace_all(&text, "$1 "),
            "INFO one\nINFO two\nINFO  more\nWARNING [WARNING]: odd\nERROR fatal: [a]: FAILED!\n"
        );
    }
}
