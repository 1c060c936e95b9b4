//! Root trees on disk: linking, removing, and the management node's own files.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::Path;

use super::error::RehearsalError;
use super::site::{HostPlan, System};
use super::userland::{self, shims};

/// Where the template tree for images lies inside the management node.
pub const TEMPLATE: &str = "usr/share/xplay-rehearsal/userland";

/// Gives a file or a whole directory a second name; files are linked where the file system allows, else copied.
pub(super) fn link_tree(source: &Path, target: &Path) -> io::Result<()> {
    let metadata = source.symlink_metadata()?;
    if metadata.is_symlink() {
        return match symlink(fs::read_link(source)?, target) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
    }
    if !metadata.is_dir() {
        return link_file(source, target);
    }
    fs::create_dir_all(target)?;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        link_tree(&entry.path(), &target.join(entry.file_name()))?;
    }
    fs::set_permissions(target, metadata.permissions())
}

/// Links one file, replacing what has the name, or copies it.
pub(super) fn link_file(source: &Path, target: &Path) -> io::Result<()> {
    if target.symlink_metadata().is_ok() {
        fs::remove_file(target)?;
    }
    if fs::hard_link(source, target).is_ok() {
        return Ok(());
    }
    fs::copy(source, target).map(drop)
}

/// Removes a tree although some of its directories may forbid it.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_directories(path)?;
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

fn open_directories(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_directories(&entry.path())?;
        }
    }
    Ok(())
}

/// What a host with a disk of its own runs, and whom it knows.
pub(super) struct DiskPlan<'a> {
    pub(super) host: &'a HostPlan,
    pub(super) system: &'a System,
    /// What the images run whose template lies on the disk.
    pub(super) image_system: &'a System,
    /// All hosts of the cluster.
    pub(super) hosts: &'a [HostPlan],
}

/// Makes a disk: the operating system's part, before xCAT is put on it.
pub(super) fn make_disk(root: &Path, userland: &Path, plan: &DiskPlan<'_>) -> Result<(), RehearsalError> {
    let failed = |source| RehearsalError::File { action: "make the root tree", path: root.into(), source };
    link_tree(userland, root).map_err(failed)?;
    link_tree(userland, &root.join(TEMPLATE)).map_err(failed)?;
    for (place, system) in [(root.to_path_buf(), plan.system), (root.join(TEMPLATE), plan.image_system)] {
        for shim in shims::for_system(system) {
            // In-place edits on one host must not reach another, so texts are copied, not linked.
            userland::write_shim(&place, &shim).map_err(failed)?;
        }
    }
    for (path, mode) in [
        ("etc/profile.d", 0o755),
        ("etc/ssh", 0o755),
        ("root", 0o700),
        ("root/.ssh", 0o700),
        ("home", 0o755),
        ("var/log/consoles", 0o755),
        ("var/log/xcat", 0o755),
        ("var/lib", 0o755),
        ("var/cache", 0o755),
        ("var/spool", 0o755),
        ("var/tmp", 0o1777),
        ("tmp", 0o1777),
        ("run/lock", 0o755),
        ("proc", 0o755),
        ("sys", 0o755),
        ("dev", 0o755),
        ("mnt", 0o755),
        ("media", 0o755),
        ("opt", 0o755),
        ("srv", 0o755),
        ("usr/local/bin", 0o755),
        ("usr/local/sbin", 0o755),
    ] {
        make_dir(&root.join(path), mode).map_err(failed)?;
    }
    for (link, target) in
        [("var/run", "../run"), ("var/lock", "../run/lock"), ("etc/mtab", "/proc/self/mounts")]
    {
        symlink(target, root.join(link)).map_err(failed)?;
    }
    for (path, mode, text) in system_files(plan) {
        write_file(&root.join(path), mode, text.as_bytes()).map_err(failed)?;
    }
    Ok(())
}

fn system_files(plan: &DiskPlan<'_>) -> Vec<(&'static str, u32, String)> {
    let release = format!("{}\n", plan.system.release_line);
    let mut files = vec![
        ("etc/hostname", 0o644, format!("{}\n", plan.host.name)),
        ("etc/hosts", 0o644, hosts_file(plan.hosts)),
        (
            "etc/passwd",
            0o644,
            "root:x:0:0:root:/root:/bin/sh\nbin:x:1:1:bin:/bin:/sbin/nologin\n\
             daemon:x:2:2:daemon:/sbin:/sbin/nologin\napache:x:48:48:Apache:/usr/share/httpd:/sbin/nologin\n\
             nobody:x:65534:65534:Kernel Overflow User:/:/sbin/nologin\n"
                .into(),
        ),
        (
            "etc/group",
            0o644,
            "root:x:0:\nbin:x:1:\ndaemon:x:2:\nsys:x:3:\nadm:x:4:\nwheel:x:10:\napache:x:48:\nnobody:x:65534:\n"
                .into(),
        ),
        ("etc/shadow", 0o600, "root:*:19000:0:99999:7:::\n".into()),
        ("etc/nsswitch.conf", 0o644, "passwd: files\ngroup: files\nshadow: files\nhosts: files\n".into()),
        ("etc/resolv.conf", 0o644, String::new()),
        ("etc/fstab", 0o644, String::new()),
        ("etc/exports", 0o644, "/install *(rw,no_root_squash,sync,no_subtree_check)\n".into()),
        ("etc/shells", 0o644, "/bin/sh\n/bin/bash\n".into()),
        (
            "etc/profile",
            0o644,
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nexport PATH\n\
             for f in /etc/profile.d/*.sh; do [ -r \"$f\" ] && . \"$f\"; done\nunset f\n\
             [ -z \"${PS1-}\" ] || PS1=\"[root@$(hostname) rehearsal]# \"\n"
                .into(),
        ),
        ("etc/redhat-release", 0o644, release.clone()),
        ("etc/system-release", 0o644, release),
        (
            "etc/motd",
            0o644,
            "This is a rehearsal host of xplay, not a real machine.\n".into(),
        ),
    ];
    if let Some(text) = plan.system.os_release {
        files.push(("etc/os-release", 0o644, text.into()));
    }
    files
}

/// `/etc/hosts` of a host with a disk; the management node's stands in for the site's name server.
fn hosts_file(hosts: &[HostPlan]) -> String {
    let mut text = String::from("127.0.0.1   localhost localhost.localdomain\n");
    for host in hosts {
        text.push_str(&[host.address, "   ", host.name, " ", host.name, ".cluster.test\n"].concat());
    }
    text
}

/// Makes a directory with exactly this mode.
pub(super) fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Writes a new file with exactly this mode; an existing name is replaced, never written through.
pub(super) fn write_file(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path)?;
    }
    fs::write(path, content)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}
