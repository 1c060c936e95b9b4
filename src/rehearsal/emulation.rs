//! The seam to the emulated xCAT: everything the cluster needs from it, in one place.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::command::SSH_COMMAND;
use super::host::PROGRAM;
use super::site::{Site, System};
use super::tree::write_file;
use super::xcat::{self, NodeFile};

/// The name of the hidden subcommand behind every emulated command.
pub const COMMAND: &str = "rehearsal-xcat";

/// Where installation media and xCAT's tarballs lie on the management node.
pub const MEDIA: &str = "root/media";

/// Where xCAT keeps what builds diskless images; a build host mounts it.
pub(super) const NETBOOT_SHARE: &str = "opt/xcat/share/xcat/netboot";

/// Says, inside the management node, that commands take no time; for tests.
pub(super) const NO_DELAYS: &str = "etc/xcat/rehearsal/no-delays";

/// Puts the emulated xCAT with its tables, commands and media on the management node's disk.
pub(super) fn seed(root: &Path, site: Site, system: &System) -> io::Result<()> {
    let emulated = emulated(site);
    machine(root, emulated, system)?;
    xcat::seed(root, emulated)?;
    for (name, dir) in xcat::COMMANDS {
        let script = format!("#!/bin/sh\nexec /{PROGRAM} {COMMAND} {name} \"$@\"\n");
        write_file(&below(root, Path::new(dir)).join(name), 0o755, script.as_bytes())?;
    }
    let ssh = format!("#!/bin/sh\nexec /{PROGRAM} {SSH_COMMAND} \"$@\"\n");
    write_file(&root.join("usr/bin/ssh"), 0o755, ssh.as_bytes())?;
    let inner = format!("#!/bin/sh\nexec /{PROGRAM} {COMMAND} {} \"$@\"\n", xcat::INNER_GENIMAGE);
    write_file(&root.join(NETBOOT_SHARE).join("rh/genimage"), 0o755, inner.as_bytes())?;
    let media = root.join(MEDIA);
    let (os, arch) = emulated.os_arch();
    xcat::write_iso(&media.join(format!("{os}-{arch}.iso")), os, arch, None)?;
    let version = emulated.xcat_version();
    xcat::write_xcat_tarballs(&media, version)?;
    // A later release, for the update of service nodes.
    xcat::write_xcat_tarballs(&media.join("update"), &next_version(version))?;
    Ok(())
}

/// Puts what a build host needs of its own on its disk; the rest it mounts from the management node.
pub(super) fn seed_builder(root: &Path, site: Site, system: &System) -> io::Result<()> {
    machine(root, emulated(site), system)
}

/// Tells the emulated commands what they run on, and places the programs whose answers depend on it.
fn machine(root: &Path, site: xcat::Site, system: &System) -> io::Result<()> {
    xcat::seed_machine(root, site, system.arch)?;
    let services = match site {
        xcat::Site::El9 => ("usr/bin/systemctl", xcat::SYSTEMCTL_SHIM),
        xcat::Site::Seed => ("usr/sbin/chkconfig", xcat::CHKCONFIG_SHIM),
    };
    for (path, text) in [services, ("usr/sbin/service", xcat::SERVICE_SHIM), ("usr/bin/rpm", xcat::RPM_SHIM)]
    {
        write_file(&root.join(path), 0o755, text.as_bytes())?;
    }
    Ok(())
}

/// What the rehearsal's site would write into its group_vars: the media that it has, and short times.
pub(super) fn site_variables(site: Site) -> String {
    let emulated = emulated(site);
    let (os, arch) = emulated.os_arch();
    let version = emulated.xcat_version();
    format!(
        "---\n\
         # The rehearsal's site: what a real site writes for itself.\n\
         xcat_osvers: {os}\n\
         xcat_osarch: {arch}\n\
         xcat_isos: [/{MEDIA}/{os}-{arch}.iso]\n\
         xcat_core_tarball: /{MEDIA}/xcat-core-{version}-linux.tar.gz\n\
         xcat_dep_tarball: /{MEDIA}/xcat-dep-{version}-linux.tar.gz\n\
         xcat_packages: [strace]\n\
         xcat_exclusions: [./usr/share/doc*]\n\
         xcat_nfs_hybrid: true\n\
         # Emulated nodes boot in seconds.\n\
         xcat_boot_interval: 1\n\
         xcat_boot_timeout: 20\n\
         xcat_boot_status_grace: 5\n\
         xcat_verify_delay: 1\n"
    )
}

fn emulated(site: Site) -> xcat::Site {
    match site {
        Site::El9 => xcat::Site::El9,
        Site::Seed => xcat::Site::Seed,
    }
}

/// The version after this one: its last number grows.
fn next_version(version: &str) -> String {
    let (head, last) = version.rsplit_once('.').unwrap_or(("", version));
    let next = last.parse::<u32>().map_or_else(|_| format!("{last}.1"), |last| (last + 1).to_string());
    if head.is_empty() { next } else { format!("{head}.{next}") }
}

fn below(root: &Path, inside: &Path) -> PathBuf {
    root.join(inside.strip_prefix("/").unwrap_or(inside))
}

/// The packed image that a node's boot file names; `None` when the node has no boot file.
pub(super) fn boot_target(root: &Path, node: &str) -> io::Result<Option<PathBuf>> {
    Ok(xcat::boot_target(root, node)?.map(|target| target.archive))
}

/// Unpacks a packed image.
pub(super) fn unpack(archive: &Path, root: &Path) -> io::Result<()> {
    xcat::unpack(archive, root)
}

/// Where a path lies in a root that is not entered yet, links resolved as inside; a link in its place is removed.
pub(super) fn place(root: &Path, inside: &Path) -> io::Result<PathBuf> {
    let path = xcat::resolve_inside(root, inside);
    if path.symlink_metadata().is_ok_and(|data| data.is_symlink()) {
        fs::remove_file(&path)?;
    }
    Ok(path)
}

/// What a node's initrd and postscripts fetch from the management node; read before its root is entered.
pub(super) fn startup_files(management_root: &Path, node: &str) -> io::Result<Vec<NodeFile>> {
    xcat::node_files(management_root, node)
}

/// Does what a node's start-up does to its own root: writes its files and starts its services.
pub(super) fn start_up(files: &[NodeFile]) -> io::Result<()> {
    for file in files {
        let path = Path::new(&file.path);
        if !file.append {
            write_file(path, file.mode, &file.content)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(file.mode)
            .open(path)?
            .write_all(&file.content)?;
    }
    for (dir, mode) in [("/root", 0o700), ("/tmp", 0o1777), ("/var/tmp", 0o1777), ("/var/log", 0o755)] {
        fs::create_dir_all(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(mode))?;
    }
    xcat::start_services(Path::new("/")).map(drop)
}

/// Takes a node's report of how far its boot is; a daemon that is down loses it.
pub(super) fn report_status(root: &Path, node: &str, word: &str) -> io::Result<()> {
    xcat::report_status(root, node, word).map(drop)
}

#[cfg(test)]
mod tests {
    use super::next_version;

    #[test]
    fn versions_grow() {
        assert_eq!(["2.8.2", "2.17.0", "7", "2.x"].map(next_version), ["2.8.3", "2.17.1", "8", "2.x.1"]);
    }
}
