//! Packed images: writing newc cpio and tar, reading them back, safely and as an ordinary user.

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns the path of `inside` below `root`, following links as if `root` were "/".
pub(in crate::rehearsal) fn resolve_inside(root: &Path, inside: &Path) -> PathBuf {
    const MOST_LINKS: usize = 40;
    let mut pending: Vec<std::ffi::OsString> = parts(inside);
    pending.reverse();
    let mut at = root.to_path_buf();
    let mut links = 0;
    while let Some(part) = pending.pop() {
        if part == ".." {
            if at != root {
                at.pop();
            }
            continue;
        }
        let next = at.join(&part);
        let last = pending.is_empty();
        match fs::read_link(&next) {
            Ok(target) if !last && links < MOST_LINKS => {
                links += 1;
                if target.is_absolute() {
                    at = root.to_path_buf();
                }
                pending.extend(parts(&target).into_iter().rev());
            }
            _ => at = next,
        }
    }
    at
}

fn parts(path: &Path) -> Vec<std::ffi::OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_os_string()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

/// Is the compression of a packed image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compress {
    Gzip,
    Xz,
}

/// Is the format of a packed image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Cpio,
    Tar,
}

/// Packs `names` (relative to `root`, in that order) into `file`.
pub(super) fn pack(
    root: &Path,
    names: &[PathBuf],
    file: File,
    format: Format,
    compress: Compress,
) -> io::Result<()> {
    match compress {
        Compress::Gzip => {
            let mut gz = GzEncoder::new(file, Compression::fast());
            write_entries(root, names, &mut gz, format)?;
            gz.finish()?.flush()
        }
        Compress::Xz => {
            let mut child = Command::new("xz")
                .args(["-0", "-c"])
                .stdin(Stdio::piped())
                .stdout(Stdio::from(file))
                .spawn()?;
            let mut pipe = child.stdin.take().ok_or_else(|| io::Error::other("no pipe to xz"))?;
            write_entries(root, names, &mut pipe, format)?;
            drop(pipe);
            match child.wait()?.success() {
                true => Ok(()),
                false => Err(io::Error::other("xz failed")),
            }
        }
    }
}

fn write_entries(root: &Path, names: &[PathBuf], out: &mut dyn Write, format: Format) -> io::Result<()> {
    match format {
        Format::Cpio => {
            for (index, name) in names.iter().enumerate() {
                write_cpio_entry(root, name, index + 1, out)?;
            }
            write_cpio_header(out, "TRAILER!!!", 0, 0, 0, 0)?;
            Ok(())
        }
        Format::Tar => {
            let mut builder = tar::Builder::new(out);
            builder.follow_symlinks(false);
            for name in names {
                let real = root.join(name);
                let meta = fs::symlink_metadata(&real)?;
                if meta.is_file() || meta.is_dir() || meta.file_type().is_symlink() {
                    builder.append_path_with_name(&real, name)?;
                }
            }
            builder.finish()
        }
    }
}

fn write_cpio_entry(root: &Path, name: &Path, inode: usize, out: &mut dyn Write) -> io::Result<()> {
    let real = root.join(name);
    let meta = fs::symlink_metadata(&real)?;
    let body = if meta.file_type().is_symlink() {
        fs::read_link(&real)?.into_os_string().into_encoded_bytes()
    } else if meta.is_file() {
        fs::read(&real)?
    } else {
        Vec::new()
    };
    let text = name.to_string_lossy();
    write_cpio_header(out, &text, inode, meta.mode(), meta.mtime().max(0) as u64, body.len())?;
    out.write_all(&body)?;
    out.write_all(&[0u8; 3][..padding(body.len())])
}

fn write_cpio_header(
    out: &mut dyn Write,
    name: &str,
    inode: usize,
    mode: u32,
    mtime: u64,
    size: usize,
) -> io::Result<()> {
    let fields =
        [inode as u64, u64::from(mode), 0, 0, 1, mtime, size as u64, 0, 0, 0, 0, name.len() as u64 + 1, 0];
    out.write_all(b"070701")?;
    for field in fields {
        write!(out, "{:08x}", field & 0xffff_ffff)?;
    }
    out.write_all(name.as_bytes())?;
    out.write_all(&[0])?;
    out.write_all(&[0u8; 3][..padding(CPIO_HEADER + name.len() + 1)])
}

const CPIO_HEADER: usize = 110;

fn padding(length: usize) -> usize {
    (4 - length % 4) % 4
}

/// Unpacks a packed image (cpio or tar; gzip, xz or plain) into `dest`. Nothing is ever written outside of `dest`;
/// owners and device nodes that this user cannot make are left out. A cut-off archive is an error.
pub fn unpack(archive: &Path, dest: &Path) -> io::Result<()> {
    fs::create_dir_all(dest)?;
    let mut magic = [0u8; 6];
    let got = File::open(archive)?.read(&mut magic)?;
    let magic = &magic[..got];
    if magic.starts_with(&[0x1f, 0x8b]) {
        return unpack_stream(
            &mut BufReader::new(MultiGzDecoder::new(BufReader::new(File::open(archive)?))),
            dest,
        );
    }
    if magic.starts_with(b"\xfd7zXZ") {
        let mut child =
            Command::new("xz").arg("-dc").stdin(File::open(archive)?).stdout(Stdio::piped()).spawn()?;
        let pipe = child.stdout.take().ok_or_else(|| io::Error::other("no pipe from xz"))?;
        let result = unpack_stream(&mut BufReader::new(pipe), dest);
        let status = child.wait()?;
        result?;
        return match status.success() {
            true => Ok(()),
            false => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "xz could not read the archive to its end"))
            }
        };
    }
    unpack_stream(&mut BufReader::new(File::open(archive)?), dest)
}

fn unpack_stream(input: &mut dyn Read, dest: &Path) -> io::Result<()> {
    let mut magic = [0u8; 6];
    input.read_exact(&mut magic)?;
    if &magic == b"070701" || &magic == b"070702" {
        unpack_cpio(input, dest)?;
    } else {
        unpack_tar((&magic[..]).chain(&mut *input), dest)?;
    }
    // Reads the rest, so that a damaged end or a wrong check sum is noticed.
    io::copy(input, &mut io::sink())?;
    Ok(())
}

fn unpack_cpio(input: &mut dyn Read, dest: &Path) -> io::Result<()> {
    let mut first = true;
    let mut directories: Vec<(PathBuf, u32)> = Vec::new();
    loop {
        if !first {
            let mut magic = [0u8; 6];
            input.read_exact(&mut magic)?;
            if &magic != b"070701" && &magic != b"070702" {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "damaged cpio archive"));
            }
        }
        first = false;
        let mut header = [0u8; CPIO_HEADER - 6];
        input.read_exact(&mut header)?;
        let field = |index: usize| -> io::Result<u64> {
            std::str::from_utf8(&header[index * 8..index * 8 + 8])
                .ok()
                .and_then(|text| u64::from_str_radix(text, 16).ok())
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "damaged cpio header"))
        };
        let (mode, mtime, size, name_size) = (field(1)? as u32, field(5)?, field(6)?, field(11)? as usize);
        if name_size == 0 || name_size > 4096 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "damaged cpio name"));
        }
        let mut name = vec![0u8; name_size + padding(CPIO_HEADER + name_size)];
        input.read_exact(&mut name)?;
        let name = String::from_utf8_lossy(&name[..name_size - 1]).into_owned();
        if name == "TRAILER!!!" {
            break;
        }
        let mut body = input.take(size);
        let target = resolve_inside(dest, Path::new(&name));
        place(&target, mode, mtime, &mut body, &mut directories)?;
        io::copy(&mut body, &mut io::sink())?;
        if body.limit() > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut pad = [0u8; 3];
        input.read_exact(&mut pad[..padding(size as usize)])?;
    }
    finish_directories(directories);
    Ok(())
}

/// Directories get their modes last: one without write permission must not stop its own files.
fn finish_directories(directories: Vec<(PathBuf, u32)>) {
    for (path, mode) in directories.into_iter().rev() {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777));
    }
}

fn place(
    target: &Path,
    mode: u32,
    mtime: u64,
    body: &mut dyn Read,
    directories: &mut Vec<(PathBuf, u32)>,
) -> io::Result<()> {
    const TYPE: u32 = 0o170_000;
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    match mode & TYPE {
        0o040_000 => {
            if !target.is_dir() {
                remove_entry(target);
                fs::create_dir(target)?;
            }
            directories.push((target.to_path_buf(), mode));
        }
        0o120_000 => {
            let mut link = String::new();
            body.read_to_string(&mut link)?;
            remove_entry(target);
            symlink(link, target)?;
        }
        0o100_000 => {
            remove_entry(target);
            let mut file = File::create(target)?;
            io::copy(body, &mut file)?;
            file.set_permissions(fs::Permissions::from_mode(mode & 0o7777))?;
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(mtime);
            let _ = file.set_modified(time);
        }
        // Device nodes and sockets need rights that the user may not have, and nothing in a rehearsal reads them.
        _ => {}
    }
    Ok(())
}

fn remove_entry(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_dir()) {
        let _ = fs::remove_file(path);
    }
}

fn unpack_tar(input: impl Read, dest: &Path) -> io::Result<()> {
    let mut directories = Vec::new();
    let mut archive = tar::Archive::new(input);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let header = entry.header().clone();
        let kind = header.entry_type();
        let target = resolve_inside(dest, &entry.path()?);
        let (mode, mtime) = (header.mode()?, header.mtime()?);
        if kind.is_symlink() {
            let link = entry.link_name()?.unwrap_or_default().to_string_lossy().into_owned();
            place(&target, 0o120_000, mtime, &mut link.as_bytes(), &mut directories)?;
        } else if kind.is_dir() {
            place(&target, 0o040_000 | mode, mtime, &mut entry, &mut directories)?;
        } else if kind.is_file() {
            place(&target, 0o100_000 | mode, mtime, &mut entry, &mut directories)?;
        } else if kind.is_hard_link() {
            let link = entry.link_name()?.unwrap_or_default().into_owned();
            remove_entry(&target);
            fs::copy(resolve_inside(dest, &link), &target)?;
        }
    }
    finish_directories(directories);
    Ok(())
}

/// Returns all paths below `root`, relative, parents first, sorted.
pub(super) fn walk(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(dir) = pending.pop() {
        let mut names: Vec<_> = fs::read_dir(root.join(&dir))?.collect::<io::Result<Vec<_>>>()?;
        names.sort_by_key(fs::DirEntry::file_name);
        for entry in names {
            let path = dir.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                pending.push(path.clone());
            }
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}

/// Copies a tree: directories, files with mode and time, links. Other entries are left out.
pub(super) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let mut directories = Vec::new();
    for name in walk(from)? {
        let source = from.join(&name);
        let meta = fs::symlink_metadata(&source)?;
        let target = resolve_inside(to, &name);
        let mode = meta.mode();
        if meta.file_type().is_symlink() {
            let link = fs::read_link(&source)?;
            if !target.is_dir() || fs::symlink_metadata(&target).is_ok_and(|m| m.file_type().is_symlink()) {
                remove_entry(&target);
                symlink(link, &target)?;
            }
        } else if meta.is_dir() {
            place(&target, mode, 0, &mut io::empty(), &mut directories)?;
        } else if meta.is_file() {
            remove_entry(&target);
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::copy(&source, &target)?;
            let _ = File::options()
                .append(true)
                .open(&target)
                .and_then(|file| file.set_modified(meta.modified()?));
        }
    }
    finish_directories(directories);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(root: &Path) {
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        fs::write(root.join("usr/bin/tool"), vec![7u8; 10_001]).unwrap();
        fs::set_permissions(root.join("usr/bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("usr/bin", root.join("bin")).unwrap();
    }

    #[test]
    fn every_format_comes_back_as_it_was() {
        for (format, compress) in
            [(Format::Cpio, Compress::Gzip), (Format::Tar, Compress::Gzip), (Format::Cpio, Compress::Xz)]
        {
            if compress == Compress::Xz && Command::new("xz").arg("--version").output().is_err() {
                println!("skipped: no xz on this machine");
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            let (tree, back, file) = (dir.path().join("t"), dir.path().join("b"), dir.path().join("a"));
            sample(&tree);
            let names = walk(&tree).unwrap();
            pack(&tree, &names, File::create(&file).unwrap(), format, compress).unwrap();
            unpack(&file, &back).unwrap();
            assert_eq!(walk(&back).unwrap(), names, "{format:?} {compress:?}");
            assert_eq!(fs::read(back.join("usr/bin/tool")).unwrap(), vec![7u8; 10_001]);
            assert_eq!(fs::metadata(back.join("bin/tool")).unwrap().mode() & 0o777, 0o755);
        }
    }

    #[test]
    fn a_cut_archive_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, file) = (dir.path().join("t"), dir.path().join("a"));
        sample(&tree);
        let names = walk(&tree).unwrap();
        pack(&tree, &names, File::create(&file).unwrap(), Format::Cpio, Compress::Gzip).unwrap();
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() * 6 / 10]).unwrap();
        assert!(unpack(&file, &dir.path().join("b")).is_err());
    }

    #[test]
    fn nothing_leaves_the_destination() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        let mut bytes = Vec::new();
        let evil =
            [("../../out", 0o100_644, "x"), ("link", 0o120_777, "/etc"), ("link/evil", 0o100_644, "x")];
        for (name, mode, body) in evil {
            write_cpio_header(&mut bytes, name, 1, mode, 0, body.len()).unwrap();
            bytes.extend_from_slice(body.as_bytes());
            bytes.extend_from_slice(&[0u8; 3][..padding(body.len())]);
        }
        write_cpio_header(&mut bytes, "TRAILER!!!", 0, 0, 0, 0).unwrap();
        fs::write(&file, bytes).unwrap();
        let dest = dir.path().join("dest");
        unpack(&file, &dest).unwrap();
        assert!(dest.join("out").is_file() && !dir.path().join("out").exists());
        assert!(dest.join("etc/evil").is_file() && !Path::new("/etc/evil").exists());
    }
}
