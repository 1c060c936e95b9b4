//! This machine's disk, as modules see project files: kinds, folders, digests. Reads only.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Links, LocalEntry, LocalKind, LocalStat};

/// Folders nested deeper than this are taken for a loop of links.
const MAX_DEPTH: usize = 64;

/// The digests of a content. Targets are compared by sha256; results carry sha1, as Ansible's do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    pub size: u64,
    pub sha256: String,
    pub sha1: String,
    pub md5: String,
}

impl Digests {
    pub fn of(bytes: &[u8]) -> Self {
        Digests {
            size: bytes.len() as u64,
            sha256: hex(&Sha256::digest(bytes)),
            sha1: hex(&Sha1::digest(bytes)),
            md5: hex(&Md5::digest(bytes)),
        }
    }

    /// Returns the digests of a file, worked out once for all hosts while the file stays as it is. Of a big file those that
    /// nobody asks for are left empty: they take several times as long as the one that is compared.
    pub fn of_file(path: &Path, wanted: Wanted) -> Result<Self, String> {
        type Known = Arc<Mutex<Option<(Stamp, Digests)>>>;
        static KNOWN: Mutex<BTreeMap<PathBuf, Known>> = Mutex::new(BTreeMap::new());
        let stamp = Stamp::of(path)?;
        let slot = {
            let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(path.to_path_buf()).or_default().clone()
        };
        // Held while they are worked out: whoever else asks waits for the answer.
        let mut known = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.take().filter(|(at, _)| *at == stamp);
        let mut digests = match before {
            Some((_, digests)) => digests,
            None => Self::compared(path)?,
        };
        if digests.md5.is_empty() && (wanted == Wanted::All || digests.size < BIG) {
            (digests.sha1, digests.md5) = shown(path)?;
        }
        *known = Some((stamp, digests.clone()));
        Ok(digests)
    }

    /// Works out what targets are compared by.
    fn compared(path: &Path) -> Result<Self, String> {
        let (mut sha256, mut size) = (Sha256::new(), 0);
        read(path, &mut |bytes| {
            size += bytes.len() as u64;
            sha256.update(bytes);
        })?;
        Ok(Digests { size, sha256: hex(&sha256.finalize()), ..Digests::default() })
    }

    /// Reads to the end.
    pub fn of_reader(mut reader: impl Read) -> Result<Self, String> {
        let (mut sha256, mut sha1, mut md5, mut size) = (Sha256::new(), Sha1::new(), Md5::new(), 0);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = reader.read(&mut buffer).map_err(|e| format!("cannot read: {e}"))?;
            if n == 0 {
                break;
            }
            size += n as u64;
            sha256.update(&buffer[..n]);
            sha1.update(&buffer[..n]);
            md5.update(&buffer[..n]);
        }
        Ok(Digests {
            size,
            sha256: hex(&sha256.finalize()),
            sha1: hex(&sha1.finalize()),
            md5: hex(&md5.finalize()),
        })
    }
}

/// Which digests of a file are worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    All,
    /// Those that are compared; all where that costs nothing.
    Compared,
}

/// From this size on a digest more takes its time.
const BIG: u64 = 8 << 20;

/// Works out the digests that results carry, each by a thread of its own.
fn shown(path: &Path) -> Result<(String, String), String> {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut sha1 = Sha1::new();
            read(path, &mut |bytes| sha1.update(bytes)).map(|()| hex(&sha1.finalize()))
        });
        let mut md5 = Md5::new();
        let own = read(path, &mut |bytes| md5.update(bytes)).map(|()| hex(&md5.finalize()));
        let sha1 = other.join().unwrap_or_else(|_| Err(format!("cannot read {}", path.display())));
        Ok((sha1?, own?))
    })
}

fn read(path: &Path, update: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    let mut reader = open(path)?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match reader.read(&mut buffer).map_err(|e| failed("read", path, &e))? {
            0 => return Ok(()),
            n => update(&buffer[..n]),
        }
    }
}

/// Tells whether a file is still the one that was read.
#[derive(Clone, PartialEq, Eq)]
struct Stamp([i64; 7]);

impl Stamp {
    fn of(path: &Path) -> Result<Self, String> {
        use std::os::unix::fs::MetadataExt;
        let meta = fs::metadata(path).map_err(|e| failed("read", path, &e))?;
        let number = |n: u64| i64::from_ne_bytes(n.to_ne_bytes());
        Ok(Stamp([
            number(meta.dev()),
            number(meta.ino()),
            number(meta.size()),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec(),
        ]))
    }
}

/// Returns the sha256 of bytes in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char])
        .collect()
}

pub fn stat(path: &Path) -> Result<LocalStat, String> {
    fs::metadata(path).map(|meta| describe(path, &meta)).map_err(|e| failed("read", path, &e))
}

pub fn open(path: &Path) -> Result<Box<dyn Read>, String> {
    File::open(path).map(|f| Box::new(f) as Box<dyn Read>).map_err(|e| failed("open", path, &e))
}

pub fn tree(dir: &Path, links: Links) -> Result<Vec<LocalEntry>, String> {
    let mut found = Vec::new();
    walk(dir, Path::new(""), links, &above(dir), &mut found)?;
    Ok(found)
}

/// What tells a folder from every other.
type Identity = (u64, u64);

fn identity(meta: &Metadata) -> Identity {
    (meta.dev(), meta.ino())
}

/// Returns a folder and all above it, links followed.
fn above(dir: &Path) -> Vec<Identity> {
    let real = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    real.ancestors().filter_map(|dir| fs::metadata(dir).ok()).map(|meta| identity(&meta)).collect()
}

/// `inside` are the folders around the entries: a link that leads back to one of them stays a link, or it would have no
/// end. So does one that leads nowhere.
fn walk(
    root: &Path,
    below: &Path,
    links: Links,
    inside: &[Identity],
    found: &mut Vec<LocalEntry>,
) -> Result<(), String> {
    let dir = root.join(below);
    if below.components().count() > MAX_DEPTH {
        return Err(format!("folders are nested too deep (a loop of links?): {}", dir.display()));
    }
    let mut names: Vec<_> = fs::read_dir(&dir)
        .and_then(|entries| entries.map(|e| e.map(|e| e.file_name())).collect())
        .map_err(|e| failed("list", &dir, &e))?;
    names.sort();
    let mut folders = Vec::new();
    for name in names {
        let path = below.join(&name);
        let full = root.join(&path);
        let own = fs::symlink_metadata(&full).map_err(|e| failed("read", &full, &e))?;
        let followed = match links {
            Links::Follow if own.is_symlink() => fs::metadata(&full).ok(),
            Links::Follow | Links::Keep => None,
        };
        let through = followed.is_some();
        let meta = followed.filter(|meta| !meta.is_dir() || !inside.contains(&identity(meta)));
        let meta = meta.unwrap_or(own);
        let stat = describe(&full, &meta);
        let is_dir = stat.kind == LocalKind::Dir;
        let entry = LocalEntry { path, stat };
        if !is_dir {
            found.push(entry);
            continue;
        }
        let mut inside = inside.to_vec();
        if through {
            inside.extend(above(&full));
        } else {
            inside.push(identity(&meta));
        }
        folders.push((entry, inside));
    }
    // As in Ansible the files of a folder come before the folders in it.
    for (entry, inside) in folders {
        let path = entry.path.clone();
        found.push(entry);
        walk(root, &path, links, &inside, found)?;
    }
    Ok(())
}

fn describe(path: &Path, meta: &Metadata) -> LocalStat {
    let kind = if meta.is_dir() {
        LocalKind::Dir
    } else if meta.is_file() {
        LocalKind::File
    } else if meta.is_symlink() {
        LocalKind::Link(fs::read_link(path).unwrap_or_else(|_| PathBuf::new()))
    } else {
        LocalKind::Other
    };
    LocalStat { kind, size: meta.len(), mode: meta.permissions().mode() & 0o7777 }
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_compares_of_a_big_file_is_worked_out_when_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("big");
        let check = |size: usize, wanted: Wanted, md5: &str| {
            fs::write(&file, vec![0; size]).unwrap();
            let digests = Digests::of_file(&file, wanted).unwrap();
            assert_eq!((digests.size, &*digests.md5), (size as u64, md5), "{size} {wanted:?}");
            assert_eq!((digests.sha1.is_empty(), digests.sha256.len()), (md5.is_empty(), 64));
        };
        let big = 8 << 20;
        check(big, Wanted::Compared, "");
        check(big, Wanted::All, "96995b58d4cbf6aaa9041b4f00c7f6ae");
        check(1, Wanted::Compared, "93b885adfe0da089cdf634904fd59f71");
    }

    #[test]
    fn links_that_lead_back_stay_links() {
        let home = tempfile::tempdir().unwrap();
        let top = home.path().join("top");
        fs::create_dir_all(top.join("sub")).unwrap();
        fs::create_dir(home.path().join("other")).unwrap();
        fs::write(home.path().join("other/file"), "x").unwrap();
        for (target, link) in
            [("../..", "sub/up"), ("..", "sub/top"), ("nowhere", "lost"), ("../other", "out")]
        {
            std::os::unix::fs::symlink(target, top.join(link)).unwrap();
        }
        let shown: Vec<String> = tree(&top, Links::Follow)
            .unwrap()
            .into_iter()
            .map(|entry| match entry.stat.kind {
                LocalKind::Link(target) => format!("{} -> {}", entry.path.display(), target.display()),
                _ => entry.path.display().to_string(),
            })
            .collect();
        assert_eq!(shown, ["lost -> nowhere", "out", "out/file", "sub", "sub/top -> ..", "sub/up -> ../.."]);
    }
}
