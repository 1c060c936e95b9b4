//! The programs of rehearsal hosts: copied once from this machine, with the libraries they need.
//!
//! The result is a tree with a merged `/usr` that runs below any root, as `chroot` or as an image. Nothing is ever
//! linked to this machine's own files: a playbook that edits a program in place must not reach them.

mod elf;
pub(super) mod shims;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::error::RehearsalError;
use super::tree::{make_dir, write_file};
use shims::Shim;

/// Programs without which no host works.
const REQUIRED: &[&str] = &[
    "awk", "cat", "chmod", "chown", "cp", "cut", "date", "dirname", "find", "grep", "gzip", "head", "id",
    "ln", "ls", "mkdir", "mktemp", "mv", "readlink", "rm", "rmdir", "sed", "sh", "sleep", "sort", "stat",
    "tail", "tar", "tee", "test", "touch", "tr", "wc", "xargs",
];

/// Programs that are taken along when this machine has them.
const WANTED: &[&str] = &[
    "[",
    "b2sum",
    "base32",
    "base64",
    "basename",
    "bash",
    "bunzip2",
    "bzip2",
    "chgrp",
    "chroot",
    "cksum",
    "clear",
    "cmp",
    "comm",
    "cpio",
    "csplit",
    "dash",
    "dd",
    "df",
    "diff",
    "du",
    "echo",
    "egrep",
    "env",
    "expand",
    "expr",
    "factor",
    "false",
    "fgrep",
    "findmnt",
    "flock",
    "fmt",
    "fold",
    "gawk",
    "getconf",
    "getent",
    "getopt",
    "groups",
    "gunzip",
    "hostid",
    "install",
    "join",
    "kill",
    "less",
    "link",
    "logger",
    "logname",
    "mawk",
    "md5sum",
    "mkfifo",
    "mknod",
    "more",
    "mount",
    "mountpoint",
    "nice",
    "nl",
    "nohup",
    "nproc",
    "numfmt",
    "od",
    "paste",
    "patch",
    "pathchk",
    "pgrep",
    "pkill",
    "pr",
    "printenv",
    "printf",
    "ps",
    "pwd",
    "realpath",
    "rsync",
    "seq",
    "setsid",
    "sha1sum",
    "sha224sum",
    "sha256sum",
    "sha384sum",
    "sha512sum",
    "shred",
    "shuf",
    "split",
    "stdbuf",
    "stty",
    "su",
    "sum",
    "sync",
    "tac",
    "timeout",
    "true",
    "truncate",
    "tsort",
    "tty",
    "umount",
    "unexpand",
    "uniq",
    "unlink",
    "unshare",
    "unxz",
    "unzip",
    "uptime",
    "users",
    "vdir",
    "dir",
    "which",
    "who",
    "whoami",
    "xz",
    "xzcat",
    "yes",
    "zcat",
    "zgrep",
    "ip",
];

const PROGRAM_DIRS: &[&str] =
    &["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/run/current-system/sw/bin"];

/// Libraries that programs load by name at run time and therefore do not list.
const LOADED_LATE: &[&str] = &["libnss_files.so.2", "libgcc_s.so.1"];

/// Copies the programs and their libraries into `tree`; `also` is a program whose libraries are wanted too.
pub(super) fn build(tree: &Path, also: &Path) -> Result<(), RehearsalError> {
    let failed = |source| RehearsalError::File { action: "build the userland", path: tree.into(), source };
    for dir in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc"] {
        make_dir(&tree.join(dir), 0o755).map_err(failed)?;
    }
    for (link, target) in
        [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")]
    {
        symlink(target, tree.join(link)).map_err(failed)?;
    }
    let mut copier = Copier::new(tree);
    for (names, required) in [(REQUIRED, true), (WANTED, false)] {
        for name in names {
            // The sites' sh is bash; where this machine has none, its own sh serves.
            let found = if *name == "sh" {
                find_program("bash").or_else(|| find_program("sh"))
            } else {
                find_program(name)
            };
            match found {
                Some(path) => copier.program(name, &path).map_err(failed)?,
                None if required => return Err(RehearsalError::MissingProgram(name)),
                None => {}
            }
        }
    }
    let data = fs::read(also).map_err(RehearsalError::file("read", also))?;
    copier.queue(also, &data);
    copier.libraries().map_err(failed)?;
    for optional in ["/etc/ld.so.cache", "/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"] {
        // The system works without: a slower search, plain C messages.
        let _ = copy_plain(Path::new(optional), &copier.inside(Path::new(optional)));
    }
    for dir in ["/usr/share/terminfo", "/lib/terminfo", "/etc/terminfo"] {
        for name in [
            "l/linux",
            "s/screen",
            "s/screen-256color",
            "t/tmux-256color",
            "v/vt100",
            "x/xterm",
            "x/xterm-256color",
        ] {
            let path = Path::new(dir).join(name);
            let _ = copy_plain(&path, &copier.inside(&path));
        }
    }
    Ok(())
}

/// Writes a script of the rehearsal over a program of the tree.
pub(super) fn write_shim(root: &Path, shim: &Shim) -> io::Result<()> {
    write_file(&root.join(shim.path), 0o755, shim.text.as_bytes())
}

fn find_program(name: &str) -> Option<PathBuf> {
    let from_environment = std::env::var_os("PATH").unwrap_or_default();
    PROGRAM_DIRS
        .iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&from_environment).filter(|dir| dir.is_absolute()))
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .and_then(|path| path.canonicalize().ok())
}

fn copy_plain(source: &Path, target: &Path) -> io::Result<()> {
    if source.is_dir() {
        for entry in fs::read_dir(source)? {
            let entry = entry?;
            copy_plain(&entry.path(), &target.join(entry.file_name()))?;
        }
        return Ok(());
    }
    let content = fs::read(source)?;
    write_file(target, 0o644, &content)
}

struct Copier<'a> {
    tree: &'a Path,
    /// First name in the tree of each program of this machine: one file often has many names.
    copied: HashMap<PathBuf, PathBuf>,
    /// Libraries still to find: name and the search directories of the file that wants it.
    wanted: VecDeque<(String, Vec<PathBuf>)>,
    done: HashSet<String>,
    search: Vec<PathBuf>,
}

impl<'a> Copier<'a> {
    fn new(tree: &'a Path) -> Self {
        let mut search = Vec::new();
        configured_dirs(Path::new("/etc/ld.so.conf"), &mut search, 0);
        search.extend(
            ["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib", "/lib32", "/usr/lib32"]
                .map(PathBuf::from),
        );
        for base in ["/lib", "/usr/lib"] {
            // Debian's directories per architecture are built into its loader.
            let triplets = fs::read_dir(base).into_iter().flatten().flatten();
            search.extend(triplets.map(|entry| entry.path()).filter(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().contains("-linux-"))
            }));
        }
        Self { tree, copied: HashMap::new(), wanted: VecDeque::new(), done: HashSet::new(), search }
    }

    /// Where a path of this machine lies in the tree; `/lib` and `/bin` are always below `/usr` there.
    fn inside(&self, path: &Path) -> PathBuf {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let merged = ["lib", "lib64", "bin", "sbin"].iter().any(|top| relative.starts_with(top));
        if merged { self.tree.join("usr").join(relative) } else { self.tree.join(relative) }
    }

    fn program(&mut self, name: &str, source: &Path) -> io::Result<()> {
        let target = self.tree.join("usr/bin").join(name);
        if let Some(first) = self.copied.get(source) {
            return fs::hard_link(first, target);
        }
        let data = fs::read(source)?;
        if !self.is_runnable(&data) {
            return Ok(());
        }
        write_file(&target, 0o755, &data)?;
        self.queue(source, &data);
        self.copied.insert(source.to_path_buf(), target);
        Ok(())
    }

    /// A script is taken only when its interpreter is a shell.
    fn is_runnable(&self, data: &[u8]) -> bool {
        let Some(rest) = data.strip_prefix(b"#!") else { return true };
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        line.trim_end().split(' ').any(|word| word.ends_with("/sh") || word.ends_with("bash"))
    }

    /// Remembers what an ELF file needs.
    fn queue(&mut self, source: &Path, data: &[u8]) {
        let Some(needs) = elf::needs(data) else { return };
        let origin = source.parent().map(|dir| dir.to_string_lossy().into_owned()).unwrap_or_default();
        let search: Vec<PathBuf> = needs
            .search
            .iter()
            .map(|path| PathBuf::from(path.replace("$ORIGIN", &origin).replace("${ORIGIN}", &origin)))
            .collect();
        for name in needs.interpreter.into_iter().chain(needs.libraries) {
            self.wanted.push_back((name, search.clone()));
        }
    }

    /// Copies every library that is still wanted, and what those want.
    fn libraries(&mut self) -> io::Result<()> {
        self.wanted.extend(LOADED_LATE.iter().map(|name| ((*name).to_string(), Vec::new())));
        while let Some((name, extra)) = self.wanted.pop_front() {
            if !self.done.insert(name.clone()) {
                continue;
            }
            let Some(found) = self.locate(&name, &extra) else { continue };
            let data = fs::read(&found)?;
            // Under its own name: links to versions are resolved by copying.
            write_file(&self.inside(&found), 0o755, &data)?;
            self.queue(&found.canonicalize()?, &data);
        }
        Ok(())
    }

    fn locate(&self, name: &str, extra: &[PathBuf]) -> Option<PathBuf> {
        if name.starts_with('/') {
            return Some(PathBuf::from(name)).filter(|path| path.is_file());
        }
        extra.iter().chain(&self.search).map(|dir| dir.join(name)).find(|path| {
            // A 32-bit library of the same name is no use to 64-bit programs.
            fs::File::open(path).is_ok_and(|mut file| {
                let mut head = [0; 5];
                io::Read::read_exact(&mut file, &mut head).is_ok()
                    && head.starts_with(b"\x7fELF")
                    && (head[4] == 2) == cfg!(target_pointer_width = "64")
            })
        })
    }
}

/// Directories named in the loader's configuration, which may include other files by pattern.
fn configured_dirs(file: &Path, found: &mut Vec<PathBuf>, depth: usize) {
    let Ok(text) = fs::read_to_string(file) else { return };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(pattern) = line.strip_prefix("include").map(str::trim) {
            let dir = Path::new(pattern).parent().unwrap_or(Path::new("/etc"));
            let mut files: Vec<PathBuf> = fs::read_dir(Path::new("/etc").join(dir))
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
                .collect();
            files.sort();
            if depth < 4 {
                files.iter().for_each(|path| configured_dirs(path, found, depth + 1));
            }
        } else if line.starts_with('/') {
            found.push(PathBuf::from(line));
        }
    }
}
