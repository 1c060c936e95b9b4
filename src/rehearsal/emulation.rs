//! The seam to the emulated xCAT: everything the cluster needs from it, in one place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::site::Site;

/// Puts the emulated xCAT with its tables and commands on the management node's disk.
pub(super) fn seed(_root: &Path, _site: Site) -> io::Result<()> {
    Ok(())
}

/// The packed image that a node's boot file names; `None` when the node has no boot file.
pub(super) fn boot_target(root: &Path, node: &str) -> io::Result<Option<PathBuf>> {
    let text = match fs::read_to_string(root.join("tftpboot/xcat/xnba/nodes").join(node)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let url = text.split_once("imgurl=").and_then(|(_, rest)| rest.split_whitespace().next());
    let path = url.and_then(|url| url.split_once("://")).and_then(|(_, rest)| rest.split_once('/'));
    Ok(path.map(|(_, path)| root.join(path.trim_start_matches('/'))))
}

/// Unpacks a packed image.
pub(super) fn unpack(archive: &Path, root: &Path) -> io::Result<()> {
    super::image::resume(archive, root)
}

/// Does what a node's own start-up does to its freshly unpacked root.
pub(super) fn settle(_management_root: &Path, _node: &str, _root: &Path) -> io::Result<()> {
    Ok(())
}

/// Takes a node's report of how far its boot is.
pub(super) fn report_status(_root: &Path, _node: &str, _word: &str) -> io::Result<()> {
    Ok(())
}
