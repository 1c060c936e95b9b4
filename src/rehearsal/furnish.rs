//! /proc and /dev of a rehearsal host: mounted where that is allowed, made of plain files where not.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::mount::{MountFlags, mount, mount_bind, mount_bind_recursive};

use super::emulation;
use super::link::EnterSpec;
use super::site::MANAGEMENT_NODE;

const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Mounts /proc.
pub(super) fn mount_proc(root: &Path) -> io::Result<()> {
    let target = emulation::place(root, Path::new("proc"))?;
    fs::create_dir_all(&target)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    if mount("proc", &target, "proc", flags, c"").is_ok() {
        return Ok(());
    }
    // A container whose own /proc is masked may not mount a fresh one; this machine's is better than none.
    Ok(mount_bind_recursive("/proc", &target)?)
}

/// Mounts a small /dev with this machine's harmless devices.
pub(super) fn mount_dev(root: &Path) -> io::Result<()> {
    let dev = emulation::place(root, Path::new("dev"))?;
    fs::create_dir_all(&dev)?;
    mount("dev", &dev, "tmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, c"mode=755,size=16m")?;
    for (name, _, _) in DEVICES {
        let target = dev.join(name);
        fs::File::create(&target)?;
        mount_bind(Path::new("/dev").join(name), &target)?;
    }
    dev_links(&dev)
}

fn dev_links(dev: &Path) -> io::Result<()> {
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        let link = dev.join(name);
        if link.symlink_metadata().is_err() {
            symlink(target, link)?;
        }
    }
    for name in ["shm", "pts"] {
        fs::create_dir_all(dev.join(name))?;
    }
    fs::set_permissions(dev.join("shm"), fs::Permissions::from_mode(0o1777))
}

/// Device files for a root without mounts; a plain file stands in for `null` where nodes cannot be made or used.
pub(super) fn make_dev(root: &Path) -> io::Result<()> {
    let dev = emulation::place(root, Path::new("dev"))?;
    fs::create_dir_all(&dev)?;
    for (name, major, minor) in DEVICES {
        let path = dev.join(name);
        if path.exists() {
            continue;
        }
        let made = mknodat(
            CWD,
            &path,
            FileType::CharacterDevice,
            Mode::from_raw_mode(0o666),
            rustix::fs::makedev(major, minor),
        );
        if made.is_ok() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
        }
        if name == "null" && fs::File::open(&path).is_err() {
            // No device could be made, or the file system forbids using one.
            let _ = fs::remove_file(&path);
            fs::File::create(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
        }
    }
    dev_links(&dev)
}

/// The files of /proc that programs and checks read, for a root without mounts. They say what the rehearsal
/// pretends: a host booted from an image has its root "on" a tmpfs although it is a directory.
pub(super) fn make_proc(spec: &EnterSpec, mounted: &[&Path]) -> io::Result<()> {
    let proc = emulation::place(&spec.root, Path::new("proc"))?;
    fs::create_dir_all(proc.join("sys/kernel/random"))?;
    for name in ["cpuinfo", "meminfo", "uptime", "loadavg", "version", "filesystems", "stat"] {
        if let Ok(content) = fs::read(Path::new("/proc").join(name)) {
            fs::write(proc.join(name), content)?;
        }
    }
    fs::write(proc.join("sys/kernel/hostname"), format!("{}\n", spec.hostname))?;
    fs::write(proc.join("sys/kernel/random/boot_id"), format!("{}\n", spec.boot_id))?;
    let mut mounts = String::from(if spec.diskless {
        "rootfs / tmpfs rw,relatime,mode=755 0 0\n"
    } else {
        "/dev/sda1 / ext4 rw,relatime 0 0\n"
    });
    for target in mounted {
        let target = format!("/{}", target.display());
        mounts.push_str(&[MANAGEMENT_NODE, ":", &target, " ", &target, " nfs rw,relatime 0 0\n"].concat());
    }
    fs::write(proc.join("mounts"), &mounts)?;
    fs::create_dir_all(proc.join("self"))?;
    fs::write(proc.join("self/mountinfo"), mountinfo(&mounts))?;
    fs::write(proc.join("self/mounts"), mounts)
}

/// The same mounts in the form that findmnt, df and mountpoint read.
fn mountinfo(mounts: &str) -> String {
    let line = |(index, line): (usize, &str)| match line.split(' ').collect::<Vec<_>>()[..] {
        [source, target, kind, options, ..] => {
            let (id, parent) = (20 + index, if index == 0 { 1 } else { 20 });
            format!("{id} {parent} 0:{id} / {target} {options} - {kind} {source} {options}\n")
        }
        _ => String::new(),
    };
    mounts.lines().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn mountinfo_lines() {
        assert_eq!(
            super::mountinfo("rootfs / tmpfs rw 0 0\nmn1:/install /install nfs rw 0 0\n"),
            "20 1 0:20 / / rw - tmpfs rootfs rw\n21 20 0:21 / /install rw - nfs mn1:/install rw\n"
        );
    }
}
