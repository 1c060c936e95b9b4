//! The attributes of a file on a target, as `xp_stat` prints them.

use super::super::Failure;
use super::word;

/// A file's attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    pub kind: FileKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub owner: Option<String>,
    pub group: Option<String>,
    pub size: u64,
    pub mtime: i64,
    pub atime: i64,
    pub ctime: i64,
    pub inode: u64,
    pub nlink: u64,
    pub dev: u64,
    /// Major and minor number of a device.
    pub rdev: (u32, u32),
    pub blocks: u64,
    pub block_size: u64,
    /// Where a link leads.
    pub target: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileKind {
    #[default]
    File,
    Dir,
    Link,
    Char,
    Block,
    Fifo,
    Socket,
}

impl Stat {
    /// Reads a line of `xp_stat`; nothing for an absent file.
    pub fn parse(line: &str) -> Result<Option<Stat>, Failure> {
        let line = line.trim_end_matches('\n');
        if line == "absent" {
            return Ok(None);
        }
        if let Some(reason) = line.strip_prefix("error ") {
            return Err(Failure::new(word(reason).unwrap_or_else(|| reason.to_string())));
        }
        Self::attributes(line)
            .map(Some)
            .ok_or_else(|| Failure::new(format!("cannot read file attributes: {line}")))
    }

    fn attributes(line: &str) -> Option<Stat> {
        let (numbers, names) = line.split_once(" :")?;
        let mut names = names.splitn(3, ':');
        let owner = names.next()?;
        let group = names.next()?;
        let target = names.next()?.trim_start();
        let name = |n: &str| (n != "UNKNOWN" && !n.is_empty()).then(|| n.to_string());
        let mut stat = if let Some(listed) = numbers.strip_prefix("ls ") {
            Self::listed(listed)?
        } else {
            Self::counted(numbers)?
        };
        stat.owner = name(owner);
        stat.group = name(group);
        stat.target = word(target);
        Some(stat)
    }

    fn counted(numbers: &str) -> Option<Stat> {
        let fields: Vec<&str> = numbers.split(' ').collect();
        let [raw, uid, gid, size, mtime, atime, ctime, inode, nlink, dev, major, minor, blocks, block_size] =
            fields.as_slice()
        else {
            return None;
        };
        let raw = u32::from_str_radix(raw, 16).ok()?;
        let time = |text: &str| text.split('.').next().and_then(|t| t.parse().ok()).unwrap_or(0);
        Some(Stat {
            kind: FileKind::of_raw(raw)?,
            mode: raw & 0o7777,
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            size: size.parse().ok()?,
            mtime: time(mtime),
            atime: time(atime),
            ctime: time(ctime),
            inode: inode.parse().ok()?,
            nlink: nlink.parse().ok()?,
            dev: dev.parse().unwrap_or(0),
            rdev: (u32::from_str_radix(major, 16).unwrap_or(0), u32::from_str_radix(minor, 16).unwrap_or(0)),
            blocks: blocks.parse().unwrap_or(0),
            block_size: block_size.parse().unwrap_or(0),
            ..Stat::default()
        })
    }

    /// What `ls -ldin` tells: permissions, uid, gid, size, inode, links.
    fn listed(text: &str) -> Option<Stat> {
        let fields: Vec<&str> = text.split(' ').collect();
        let [letters, uid, gid, size, inode, nlink] = fields.as_slice() else {
            return None;
        };
        let letters = letters.as_bytes();
        if letters.len() < 10 {
            return None;
        }
        let mut mode = 0;
        for (i, letter) in letters[1..10].iter().enumerate() {
            let bit = 1 << (8 - i);
            let special = [0o4000, 0o2000, 0o1000][i / 3];
            match letter {
                b'-' => {}
                b's' | b't' => mode |= bit | special,
                b'S' | b'T' => mode |= special,
                _ => mode |= bit,
            }
        }
        Some(Stat {
            kind: match letters[0] {
                b'd' => FileKind::Dir,
                b'l' => FileKind::Link,
                b'c' => FileKind::Char,
                b'b' => FileKind::Block,
                b'p' => FileKind::Fifo,
                b's' => FileKind::Socket,
                _ => FileKind::File,
            },
            mode,
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            size: size.trim_end_matches(',').parse().unwrap_or(0),
            inode: inode.parse().ok()?,
            nlink: nlink.parse().ok()?,
            ..Stat::default()
        })
    }

    /// Returns the permissions in the form of `file` and its like: a zero, then at least three digits.
    pub fn mode_word(&self) -> String {
        mode_word(self.mode)
    }

    /// Returns the mode as Ansible's `stat` writes it, such as `0644`.
    pub fn mode_text(&self) -> String {
        format!("{:04o}", self.mode)
    }
}

/// Returns permissions as [`Stat::mode_word`] does.
pub fn mode_word(bits: u32) -> String {
    format!("0{bits:03o}")
}

impl FileKind {
    fn of_raw(raw: u32) -> Option<Self> {
        Some(match raw & 0o170_000 {
            0o100_000 => FileKind::File,
            0o040_000 => FileKind::Dir,
            0o120_000 => FileKind::Link,
            0o020_000 => FileKind::Char,
            0o060_000 => FileKind::Block,
            0o010_000 => FileKind::Fifo,
            0o140_000 => FileKind::Socket,
            _ => return None,
        })
    }

    /// Returns the word that results use for `state`.
    pub fn state(self) -> &'static str {
        match self {
            FileKind::Dir => "directory",
            FileKind::Link => "link",
            _ => "file",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms() {
        let stat = Stat::parse(
            "81a4 0 10 12 1700000000 1700000001 1700000002 99 1 64769 0 0 8 4096 :root:domain users:",
        )
        .unwrap()
        .unwrap();
        assert_eq!(stat.kind, FileKind::File);
        assert_eq!(stat.mode_text(), "0644");
        assert_eq!(stat.group.as_deref(), Some("domain users"));
        assert_eq!((stat.size, stat.mtime, stat.inode), (12, 1_700_000_000, 99));
        let link = Stat::parse("a1ff 0 0 4 1 1 1 5 1 1 0 0 0 4096 :root:UNKNOWN: =/etc/x").unwrap().unwrap();
        assert_eq!((link.kind, link.target.as_deref(), link.group), (FileKind::Link, Some("/etc/x"), None));
        let listed = Stat::parse("ls drwxrwsr-t 0 5 4096 77 3 :root:tty:").unwrap().unwrap();
        assert_eq!((listed.kind, listed.mode_text().as_str(), listed.nlink), (FileKind::Dir, "3775", 3));
    }

    #[test]
    fn absent_error_and_garbage() {
        assert_eq!(Stat::parse("absent").unwrap(), None);
        assert_eq!(Stat::parse("error =Permission%20denied").unwrap_err().msg, "Permission%20denied");
        assert_eq!(Stat::parse("rubbish").unwrap_err().msg, "cannot read file attributes: rubbish");
    }
}
