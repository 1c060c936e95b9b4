//! Fake installation media: tar files with a marker that copycds "mounts" by reading.

use super::packages::create_repo;
use super::stock::{medium_packages, release_words};
use std::fs;
use std::io;
use std::path::Path;

/// Is the marker, always the first entry.
const MARKER: &str = ".rehearsal-medium";

/// Says what a medium holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsoSpec {
    /// As xCAT names it, such as `rhels9.4`.
    pub os: String,
    pub arch: String,
    /// The disc number that old media carry.
    pub disc: Option<u32>,
    /// Without `.discinfo` nobody can tell what the medium is.
    pub discinfo: bool,
}

/// Is what `.discinfo` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DiscInfo {
    pub os: String,
    pub arch: String,
    pub disc: Option<u32>,
}

/// Makes a medium that copycds recognises.
pub fn write_iso(path: &Path, os: &str, arch: &str, disc: Option<u32>) -> io::Result<()> {
    write_iso_with(path, &IsoSpec { os: os.into(), arch: arch.into(), disc, discinfo: true })
}

/// Makes a medium as described.
pub fn write_iso_with(path: &Path, spec: &IsoSpec) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let work = tempfile::tempdir_in(parent)?;
    let tree = work.path();
    let modern =
        spec.os.trim_start_matches("rhels").split('.').next().and_then(|n| n.parse::<u32>().ok()) >= Some(8);
    fs::write(tree.join("media.repo"), format!("[InstallMedia]\nname={}\n", release_words(&spec.os)))?;
    fs::write(
        tree.join(".treeinfo"),
        format!("[general]\nfamily = Red Hat Enterprise Linux\narch = {}\n", spec.arch),
    )?;
    if spec.discinfo {
        let release = release_words(&spec.os);
        let release = if modern { format!("{release}.0") } else { release };
        let disc = spec.disc.map(|disc| format!("{disc}\n")).unwrap_or_default();
        fs::write(tree.join(".discinfo"), format!("1713198366.263134\n{release}\n{}\n{disc}", spec.arch))?;
    }
    let images = tree.join("images/pxeboot");
    fs::create_dir_all(&images)?;
    fs::write(images.join("vmlinuz"), "installer kernel\n".repeat(64))?;
    fs::write(images.join("initrd.img"), "installer initrd\n".repeat(64))?;
    let packages = medium_packages(&spec.os, &spec.arch);
    let streams: &[&str] = if modern { &["BaseOS", "AppStream"] } else { &["."] };
    for (index, stream) in streams.iter().enumerate() {
        let dir = tree.join(stream);
        fs::create_dir_all(dir.join("Packages"))?;
        // On modern media the system stands in BaseOS and single tools and daemons in AppStream.
        let base =
            |package: &super::packages::Package| !package.groups.is_empty() || package.name == "kernel";
        for package in packages.iter().filter(|one| streams.len() == 1 || base(one) == (index == 0)) {
            fs::write(dir.join("Packages").join(package.file_name()), package.to_bytes()?)?;
        }
        create_repo(&dir)?;
    }
    let mut builder = tar::Builder::new(fs::File::create(path)?);
    builder.mode(tar::HeaderMode::Deterministic);
    let mut header = tar::Header::new_ustar();
    header.set_size(0);
    header.set_mode(0o644);
    builder.append_data(&mut header, MARKER, io::empty())?;
    builder.append_dir_all(".", tree)?;
    builder.into_inner()?;
    Ok(())
}

/// Returns true when the file is one of our media.
pub(super) fn is_medium(path: &Path) -> bool {
    let Ok(file) = fs::File::open(path) else { return false };
    let mut archive = tar::Archive::new(file);
    let Ok(mut entries) = archive.entries() else { return false };
    matches!(entries.next(), Some(Ok(entry)) if entry.path().is_ok_and(|path| path == Path::new(MARKER)))
}

/// Calls `visit` for every file of the medium in order.
pub(super) fn each_file(
    path: &Path,
    mut visit: impl FnMut(&Path, &mut dyn io::Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut archive = tar::Archive::new(fs::File::open(path)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        let name = name.strip_prefix(".").unwrap_or(&name).to_path_buf();
        if entry.header().entry_type().is_file() && name != Path::new(MARKER) {
            visit(&name, &mut entry)?;
        }
    }
    Ok(())
}

/// Returns what the medium says it is.
pub(super) fn disc_info(path: &Path) -> io::Result<Option<DiscInfo>> {
    let mut text = None;
    each_file(path, |name, body| {
        if name == Path::new(".discinfo") {
            let mut found = String::new();
            body.read_to_string(&mut found)?;
            text = Some(found);
        }
        Ok(())
    })?;
    let Some(text) = text else { return Ok(None) };
    let lines: Vec<&str> = text.lines().collect();
    let [_, release, arch, rest @ ..] = &lines[..] else { return Ok(None) };
    let Some(version) = release.strip_prefix("Red Hat Enterprise Linux ") else { return Ok(None) };
    let disc = rest.first().and_then(|line| line.trim().parse().ok());
    Ok(Some(DiscInfo { os: format!("rhels{version}"), arch: (*arch).to_string(), disc }))
}
