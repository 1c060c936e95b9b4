//! The project as it was when a plan was made: files below named roots.
//!
//! Paths are checked when they come in, so that whatever is in a bundle can be unpacked below one directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::PlanFileError;
use crate::modules::{hex, sha256};

/// Larger files stand in a plan by digest only.
pub const MAX_CONTENT: usize = 8 << 20;
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;
const MODE_BITS: u32 = 0o7777;

/// The files of a project, by `ROOT/PATH`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    items: BTreeMap<String, Item>,
}

/// What stands at a path of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    File {
        mode: u32,
        content: Vec<u8>,
    },
    /// A large file that is not in the plan and must be the same when it is applied.
    Reference {
        mode: u32,
        size: u64,
        sha256: String,
    },
    /// A directory that counts even when nothing is in it.
    Directory {
        mode: u32,
    },
}

impl Bundle {
    /// Adds a file; one above [`MAX_CONTENT`] becomes a reference.
    pub fn add_file(
        &mut self,
        root: &str,
        rel: &Path,
        mode: u32,
        content: Vec<u8>,
    ) -> Result<(), PlanFileError> {
        let mode = mode & MODE_BITS;
        if content.len() > MAX_CONTENT {
            let (size, sha256) = (content.len() as u64, sha256(&content));
            return self.insert(joined(root, rel)?, Item::Reference { mode, size, sha256 });
        }
        self.insert(joined(root, rel)?, Item::File { mode, content })
    }

    /// Adds a file of this machine with its mode; a large one is read for its digest only.
    pub fn add_path(&mut self, root: &str, rel: &Path, path: &Path) -> Result<(), PlanFileError> {
        let read = PlanFileError::file("read", path);
        let mut file = File::open(path).map_err(&read)?;
        let meta = file.metadata().map_err(&read)?;
        let (mode, size) = (meta.permissions().mode(), meta.len());
        if size <= MAX_CONTENT as u64 {
            let mut content = Vec::new();
            (&mut file).take(MAX_CONTENT as u64 + 1).read_to_end(&mut content).map_err(&read)?;
            return self.add_file(root, rel, mode, content);
        }
        let digest = copy_at_most(&mut file, &mut io::sink(), size).map_err(&read)?;
        match digest {
            Some(sha256) => self.add_reference(root, rel, mode, size, &sha256),
            None => Err(PlanFileError::unfit(path.display().to_string(), "it changes while it is read")),
        }
    }

    /// Adds a file by its digest only.
    pub fn add_reference(
        &mut self,
        root: &str,
        rel: &Path,
        mode: u32,
        size: u64,
        sha256: &str,
    ) -> Result<(), PlanFileError> {
        let path = joined(root, rel)?;
        if !is_sha256(sha256) {
            return Err(PlanFileError::unfit(path, format!("\"{sha256}\" is no sha256 digest")));
        }
        self.insert(path, Item::Reference { mode: mode & MODE_BITS, size, sha256: sha256.to_string() })
    }

    /// Keeps of modes only what version control keeps: whether a file can be executed. The umask of a checkout is no part
    /// of the project.
    pub fn forget_umask(&mut self) {
        for item in self.items.values_mut() {
            let directory = matches!(item, Item::Directory { .. });
            let (Item::File { mode, .. } | Item::Reference { mode, .. } | Item::Directory { mode }) = item;
            *mode = tracked(*mode, directory);
        }
    }

    /// Adds a directory; those of files need not be added.
    pub fn add_directory(&mut self, root: &str, rel: &Path, mode: u32) -> Result<(), PlanFileError> {
        self.insert(joined(root, rel)?, Item::Directory { mode: mode & MODE_BITS })
    }

    /// Returns everything in it by `ROOT/PATH`, in the order of paths.
    pub fn items(&self) -> impl Iterator<Item = (&str, &Item)> {
        self.items.iter().map(|(path, item)| (path.as_str(), item))
    }

    pub fn get(&self, path: &str) -> Option<&Item> {
        self.items.get(path)
    }

    /// Adds what a plan file says to stand at `ROOT/PATH`.
    pub(super) fn insert_at(&mut self, path: &str, item: Item) -> Result<(), PlanFileError> {
        let (root, rel) = path.split_once('/').unwrap_or((path, ""));
        let clean = joined(root, Path::new(rel))?;
        if clean != path {
            return Err(PlanFileError::unfit(path, format!("it should be written \"{clean}\"")));
        }
        self.insert(clean, item)
    }

    fn insert(&mut self, path: String, item: Item) -> Result<(), PlanFileError> {
        let is_directory = |item: &Item| matches!(item, Item::Directory { .. });
        for above in Path::new(&path).ancestors().skip(1).filter_map(Path::to_str) {
            if self.items.get(above).is_some_and(|i| !is_directory(i)) {
                return Err(PlanFileError::unfit(path.as_str(), format!("{above} is a file")));
            }
        }
        let below = format!("{path}/");
        let next = self.items.range::<str, _>((Bound::Included(below.as_str()), Bound::Unbounded)).next();
        if !is_directory(&item) && next.is_some_and(|(p, _)| p.starts_with(&below)) {
            return Err(PlanFileError::unfit(path, "there are files below it"));
        }
        match self.items.get(&path) {
            Some(old) if *old != item => {
                Err(PlanFileError::unfit(path, "it changed while the plan was made; make the plan again"))
            }
            _ => {
                self.items.insert(path, item);
                Ok(())
            }
        }
    }

    /// Writes the files below `dir`, which is made for it or is empty, and private. References are left out; see
    /// [`Bundle::copy_references`].
    pub fn unpack(&self, dir: &Path) -> Result<(), PlanFileError> {
        make_private(dir)?;
        let mut made = BTreeSet::new();
        for (path, item) in &self.items {
            let target = dir.join(path);
            match item {
                Item::File { mode, content } => {
                    make_parents(dir, &target, &mut made)?;
                    let mut file = create(&target)?;
                    file.write_all(content).map_err(PlanFileError::file("write", &target))?;
                    set_mode(&target, *mode)?;
                }
                Item::Reference { .. } => make_parents(dir, &target, &mut made)?,
                Item::Directory { .. } => make_parents(dir, &target.join("x"), &mut made)?,
            }
        }
        // From the inside out, and last: a directory may forbid writing.
        for (path, item) in self.items.iter().rev() {
            if let Item::Directory { mode } = item {
                set_mode(&dir.join(path), *mode)?;
            }
        }
        Ok(())
    }

    /// Returns the first difference between the bundle and the files below the roots; nothing when all are the same. Of
    /// folders that are called as in `whole`, and those in them, the bundle has everything: what is new there is a
    /// difference too.
    pub fn differs_at(&self, places: &BTreeMap<String, PathBuf>, whole: &[&str]) -> Option<String> {
        let differs = self.items.iter().find_map(|(path, item)| {
            let (root, rel) = path.split_once('/').unwrap_or((path, ""));
            let same = item.is_at(&places.get(root)?.join(rel)).unwrap_or(false);
            (!same).then(|| format!("{rel} differs"))
        });
        differs.or_else(|| self.added_at(places, whole))
    }

    fn added_at(&self, places: &BTreeMap<String, PathBuf>, whole: &[&str]) -> Option<String> {
        let folders: BTreeSet<&Path> =
            self.items.keys().flat_map(|path| Path::new(path).ancestors().skip(1)).collect();
        let is_whole = |dir: &&Path| {
            dir.components().any(|part| part.as_os_str().to_str().is_some_and(|name| whole.contains(&name)))
        };
        let holds =
            |path: &Path| folders.contains(path) || path.to_str().is_some_and(|p| self.items.contains_key(p));
        let added = |path: &Path| {
            Some(format!("{} was added", path.components().skip(1).collect::<PathBuf>().display()))
        };
        let in_roles =
            |dir: &Path| dir.parent().and_then(Path::file_name).is_some_and(|name| name == "roles");
        // A folder of variables may be new as a whole, and any of a role.
        let may_be_new =
            |dir: &Path, name: &str| in_roles(dir) || ["group_vars", "host_vars"].contains(&name);
        for folder in folders.iter().filter(|folder| folder.components().next().is_some()) {
            let mut parts = folder.components();
            let root = parts.next()?.as_os_str().to_str()?;
            let Some(place) = places.get(root) else { continue };
            let here = place.join(parts.as_path());
            let new = |name: &std::ffi::OsStr| Some(folder.join(name)).filter(|path| !holds(path));
            let found = if is_whole(folder) {
                let entries = fs::read_dir(&here).ok()?;
                entries.filter_map(Result::ok).find_map(|entry| new(&entry.file_name()))
            } else {
                let names = whole.iter().filter(|name| may_be_new(folder, name) && here.join(name).exists());
                names.map(|name| new(name.as_ref())).find_map(|path| path)
            };
            if let Some(path) = found {
                return added(&path);
            }
        }
        None
    }

    /// Copies the files that are in the plan by digest only from where the roots lie to where the bundle was unpacked;
    /// refuses one that is not the same any more.
    pub fn copy_references(
        &self,
        dir: &Path,
        sources: &BTreeMap<String, String>,
    ) -> Result<(), PlanFileError> {
        for (path, item) in &self.items {
            let Item::Reference { mode, size, sha256 } = item else { continue };
            let (root, rel) = path.split_once('/').unwrap_or((path, ""));
            let Some(source) = sources.get(root) else {
                let reason = format!("it is not known where \"{root}\" lies");
                return Err(PlanFileError::Changed { path: path.into(), reason });
            };
            copy_exact(&Path::new(source).join(rel), &dir.join(path), *size, sha256)?;
            set_mode(&dir.join(path), *mode)?;
        }
        Ok(())
    }
}

impl Item {
    /// Whether a path holds the same, with the same mode as far as the bundle knows it.
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let meta = fs::metadata(path)?;
        let (Item::File { mode, .. } | Item::Reference { mode, .. } | Item::Directory { mode }) = self;
        let found = meta.permissions().mode() & MODE_BITS;
        if ![found, tracked(found, meta.is_dir())].contains(mode) {
            return Ok(false);
        }
        Ok(match self {
            Item::Directory { .. } => meta.is_dir(),
            Item::File { content, .. } => meta.len() == content.len() as u64 && fs::read(path)? == *content,
            Item::Reference { size, sha256, .. } => {
                meta.len() == *size
                    && copy_at_most(&mut File::open(path)?, &mut io::sink(), *size)?.as_ref() == Some(sha256)
            }
        })
    }
}

/// What version control keeps of a mode.
fn tracked(mode: u32, directory: bool) -> u32 {
    if directory || mode & 0o100 != 0 { 0o755 } else { 0o644 }
}

/// Copies a file if its size and digest are these.
fn copy_exact(from: &Path, to: &Path, size: u64, digest: &str) -> Result<(), PlanFileError> {
    let changed = |reason: String| PlanFileError::Changed { path: from.to_path_buf(), reason };
    let read = PlanFileError::file("read", from);
    let mut source = File::open(from).map_err(&read)?;
    let found = source.metadata().map_err(&read)?.len();
    if found != size {
        return Err(changed(format!("it has {found} bytes, then {size}")));
    }
    let copied =
        copy_at_most(&mut source, &mut create(to)?, size).map_err(PlanFileError::file("copy", from))?;
    if copied.as_deref() != Some(digest) {
        return Err(changed("its content is another one".into()));
    }
    Ok(())
}

/// Copies a stream of this size and returns its digest; nothing when it has another size. One that grows meanwhile is
/// not read for ever.
fn copy_at_most(from: &mut impl Read, to: &mut impl Write, size: u64) -> io::Result<Option<String>> {
    let (mut hash, mut total, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    while total <= size {
        let n = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        total += n as u64;
        hash.update(&buffer[..n]);
        to.write_all(&buffer[..n])?;
    }
    Ok((total == size).then(|| hex(&hash.finalize())))
}

/// Whether a text is a sha256 digest as plans write it.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Returns `ROOT/PATH`, refusing every path that could leave the root.
fn joined(root: &str, rel: &Path) -> Result<String, PlanFileError> {
    let shown = format!("{root}/{}", rel.display());
    let unfit = |reason: &str| Err(PlanFileError::unfit(shown.clone(), reason));
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    if root.is_empty() || root.starts_with('.') || !root.bytes().all(plain) || root.len() > MAX_NAME {
        return unfit(
            "a root's name has letters, digits, \"_\", \"-\" and \".\", and does not begin with \".\"",
        );
    }
    let mut path = root.to_string();
    for component in rel.components() {
        match component {
            Component::Normal(name) => match name.to_str() {
                Some(name) if name.len() > MAX_NAME => return unfit("a name in it is too long"),
                Some(name) if name.contains('\0') => return unfit("there is a null byte in it"),
                Some(name) => {
                    path.push('/');
                    path.push_str(name);
                }
                None => return unfit("its name is not UTF-8"),
            },
            Component::CurDir => {}
            Component::ParentDir => return unfit("it leads upwards"),
            Component::RootDir | Component::Prefix(_) => return unfit("it is an absolute path"),
        }
    }
    if path.len() == root.len() {
        return unfit("it names no file");
    }
    if path.len() > MAX_PATH {
        return unfit("it is too long");
    }
    Ok(path)
}

/// Makes a private directory, or takes one that is empty and private.
fn make_private(dir: &Path) -> Result<(), PlanFileError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made.map_err(PlanFileError::file("make", dir)),
    }
    let unfit = |reason: &str| {
        let source = io::Error::new(io::ErrorKind::AlreadyExists, reason);
        Err(PlanFileError::File { action: "unpack a plan to", path: dir.to_path_buf(), source })
    };
    let meta = fs::symlink_metadata(dir).map_err(PlanFileError::file("read", dir))?;
    if !meta.is_dir() {
        return unfit("it is not a directory");
    }
    if meta.permissions().mode() & 0o077 != 0 {
        return unfit("it is open to other users");
    }
    match fs::read_dir(dir).map_err(PlanFileError::file("read", dir))?.next() {
        Some(_) => unfit("it is not empty"),
        None => Ok(()),
    }
}

/// Makes the directories between `dir` and `target` that were not made yet.
fn make_parents(dir: &Path, target: &Path, made: &mut BTreeSet<PathBuf>) -> Result<(), PlanFileError> {
    let mut missing: Vec<&Path> = Vec::new();
    for parent in target.ancestors().skip(1) {
        if parent == dir || made.contains(parent) {
            break;
        }
        missing.push(parent);
    }
    for parent in missing.into_iter().rev() {
        DirBuilder::new().mode(0o755).create(parent).map_err(PlanFileError::file("make", parent))?;
        made.insert(parent.to_path_buf());
    }
    Ok(())
}

fn create(path: &Path) -> Result<File, PlanFileError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(PlanFileError::file("create", path))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), PlanFileError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(PlanFileError::file("set the mode of", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(paths: &[&str]) -> Bundle {
        let mut bundle = Bundle::default();
        for path in paths {
            bundle.add_file("project", Path::new(path), 0o644, path.as_bytes().to_vec()).unwrap();
        }
        bundle
    }

    #[test]
    fn only_paths_below_the_root_fit() {
        let check = |root: &str, rel: &str, expect: &str| {
            let error = Bundle::default().add_file(root, Path::new(rel), 0o644, vec![]).unwrap_err();
            assert_eq!(error.to_string(), format!("{root}/{rel} cannot be part of a plan: {expect}"));
        };
        check("project", "a/../../b", "it leads upwards");
        check("project", "/etc/passwd", "it is an absolute path");
        check("project", "", "it names no file");
        check("project", "./", "it names no file");
        check("project", "a\0b", "there is a null byte in it");
        check("project", &"n".repeat(256), "a name in it is too long");
        check("project", &"n/".repeat(2100), "it is too long");
        let root = "a root's name has letters, digits, \"_\", \"-\" and \".\", and does not begin with \".\"";
        for name in ["..", "", "a b", "ä", ".x"] {
            check(name, "f", root);
        }
        let mut bundle = Bundle::default();
        bundle.add_file("project", Path::new("./a//b/./c"), 0o100_644, b"x".to_vec()).unwrap();
        assert_eq!(bundle.items().map(|(p, _)| p).collect::<Vec<_>>(), ["project/a/b/c"]);
    }

    #[test]
    fn a_path_is_one_thing() {
        let check = |have: &[&str], more: &str, content: &str, expect: &str| {
            let mut bundle = bundle(have);
            let result = bundle.add_file("project", Path::new(more), 0o644, content.into());
            assert_eq!(result.err().map(|e| e.to_string()).unwrap_or_default(), expect);
        };
        check(&["a"], "a", "a", "");
        check(&["a.b", "a0"], "a", "a", "");
        let changed = "it changed while the plan was made; make the plan again";
        check(&["a"], "a", "b", &format!("project/a cannot be part of a plan: {changed}"));
        check(&["a"], "a/b/c", "", "project/a/b/c cannot be part of a plan: project/a is a file");
        check(&["a.x", "a/b/c"], "a/b", "", "project/a/b cannot be part of a plan: there are files below it");
    }

    #[test]
    fn unpacks_with_modes_into_a_private_directory() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("project");
        let mut bundle = bundle(&["site.yml", "roles/a/tasks/main.yml"]);
        bundle.add_file("project", Path::new("run.sh"), 0o750, b"#!/bin/sh\n".to_vec()).unwrap();
        bundle.add_directory("project", Path::new("files/empty"), 0o500).unwrap();
        bundle.add_directory("project", Path::new("roles"), 0o555).unwrap();
        bundle.unpack(&dir).unwrap();
        let mode = |path: &str| fs::metadata(dir.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(fs::read(dir.join("project/roles/a/tasks/main.yml")).unwrap(), b"roles/a/tasks/main.yml");
        let modes =
            ["", "project/site.yml", "project/run.sh", "project/files/empty", "project/roles"].map(mode);
        assert_eq!(modes, [0o700, 0o644, 0o750, 0o500, 0o555]);
        let again = bundle.unpack(&dir).unwrap_err().to_string();
        assert_eq!(again, format!("cannot unpack a plan to {}: it is not empty", dir.display()));
        set_mode(&dir.join("project/roles"), 0o755).unwrap();
    }

    #[test]
    fn unpacking_takes_no_directory_of_others() {
        let home = tempfile::tempdir().unwrap();
        let (open, link) = (home.path().join("open"), home.path().join("link"));
        fs::create_dir(&open).unwrap();
        set_mode(&open, 0o755).unwrap();
        std::os::unix::fs::symlink(&open, &link).unwrap();
        let check = |dir: &Path, expect: &str| {
            let error = bundle(&["a"]).unpack(dir).unwrap_err().to_string();
            assert_eq!(error, format!("cannot unpack a plan to {}: {expect}", dir.display()));
        };
        check(&open, "it is open to other users");
        check(&link, "it is not a directory");
        set_mode(&open, 0o700).unwrap();
        bundle(&["a"]).unpack(&open).unwrap();
    }

    #[test]
    fn what_is_new_in_a_whole_folder_is_a_difference() {
        let home = tempfile::tempdir().unwrap();
        let source = home.path();
        let write = |name: &str| {
            let path = source.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        };
        let mut bundle = Bundle::default();
        for name in ["site.yml", "vars/x", "roles/r/tasks/main.yml"] {
            write(name);
            bundle.add_path("project", Path::new(name), &source.join(name)).unwrap();
        }
        let places = BTreeMap::from([("project".to_string(), source.to_path_buf())]);
        let whole = ["vars", "tasks", "files", "group_vars"];
        for name in ["notes", "files/a", "roles/other/tasks/main.yml"] {
            write(name);
        }
        assert_eq!(bundle.differs_at(&places, &whole), None, "nothing looks into these");
        for (name, shown) in [
            ("vars/y", "vars/y was added"),
            ("group_vars/all.yml", "group_vars was added"),
            ("roles/r/tasks/more.yml", "roles/r/tasks/more.yml was added"),
            ("roles/r/files/b", "roles/r/files was added"),
        ] {
            write(name);
            assert_eq!(bundle.differs_at(&places, &whole).as_deref(), Some(shown));
            fs::remove_file(source.join(name)).unwrap();
            let _ = fs::remove_dir(source.join(name).parent().unwrap());
        }
    }

    #[test]
    fn differences_from_the_project_are_found() {
        let home = tempfile::tempdir().unwrap();
        let source = home.path();
        fs::write(source.join("a"), "a").unwrap();
        fs::write(source.join("big"), vec![7; MAX_CONTENT + 1]).unwrap();
        fs::create_dir(source.join("empty")).unwrap();
        set_mode(&source.join("empty"), 0o750).unwrap();
        let mut bundle = Bundle::default();
        for name in ["a", "big"] {
            set_mode(&source.join(name), 0o640).unwrap();
            bundle.add_path("project", Path::new(name), &source.join(name)).unwrap();
        }
        bundle.add_directory("project", Path::new("empty"), 0o750).unwrap();
        assert!(matches!(bundle.get("project/a"), Some(Item::File { mode: 0o640, .. })));
        assert!(matches!(bundle.get("project/big"), Some(Item::Reference { size: 8_388_609, .. })));
        let places = BTreeMap::from([("project".to_string(), source.to_path_buf())]);
        let check = |change: &dyn Fn(), back: &dyn Fn(), expect: &str| {
            assert_eq!(bundle.differs_at(&places, &["vars"]), None);
            change();
            assert_eq!(bundle.differs_at(&places, &["vars"]).as_deref(), Some(expect));
            back();
        };
        let write = |name: &str, content: &[u8]| fs::write(source.join(name), content).unwrap();
        let big = |last: u8| [vec![7; MAX_CONTENT], vec![last]].concat();
        check(&|| write("a", b"b"), &|| write("a", b"a"), "a differs");
        check(&|| write("big", &big(8)), &|| write("big", &big(7)), "big differs");
        let mode = |mode: u32| set_mode(&source.join("a"), mode).unwrap();
        check(&|| mode(0o644), &|| mode(0o640), "a differs");
        check(&|| fs::remove_dir(source.join("empty")).unwrap(), &|| {}, "empty differs");
    }

    #[test]
    fn large_files_are_looked_at_when_applied() {
        let home = tempfile::tempdir().unwrap();
        let big = vec![7; MAX_CONTENT + 1];
        let source = home.path().join("src");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("big.iso"), &big).unwrap();
        let mut bundle = Bundle::default();
        bundle.add_file("project", Path::new("big.iso"), 0o640, big.clone()).unwrap();
        assert!(matches!(bundle.get("project/big.iso"), Some(Item::Reference { size: 8_388_609, .. })));
        let sources = BTreeMap::from([("project".to_string(), source.display().to_string())]);
        let copy = |name: &str| {
            let dir = home.path().join(name);
            bundle.unpack(&dir).unwrap();
            bundle.copy_references(&dir, &sources).map_err(|e| e.to_string()).map(|()| dir)
        };
        let dir = copy("one").unwrap();
        assert!(fs::read(dir.join("project/big.iso")).unwrap() == big);
        let path = source.join("big.iso");
        let not_the_same =
            |reason: &str| Err(format!("{} is not the file that was planned with: {reason}", path.display()));
        let mut other = big.clone();
        other[9] = 8;
        fs::write(&path, &other).unwrap();
        assert_eq!(copy("two"), not_the_same("its content is another one"));
        fs::write(&path, &big[1..]).unwrap();
        assert_eq!(copy("three"), not_the_same("it has 8388608 bytes, then 8388609"));
    }
}
