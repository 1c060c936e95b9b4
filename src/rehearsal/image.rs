//! Filling a host's root from what a kept cluster wrote at its last shutdown.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Unpacks the tar file, compressed or not, that a shutdown wrote.
pub(super) fn resume(archive: &Path, root: &Path) -> io::Result<()> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(archive)?);
    let is_gzip = io::BufRead::fill_buf(&mut file)?.starts_with(&[0x1f, 0x8b]);
    if is_gzip { untar(flate2::bufread::MultiGzDecoder::new(file), root) } else { untar(file, root) }
}

fn untar(stream: impl Read, root: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(stream);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(rustix::process::geteuid().is_root());
    archive.set_overwrite(true);
    archive.unpack(root)
}
