//! Becoming a rehearsal host: namespaces, mounts and the new root, in a re-executed copy of this program.
//!
//! Runs as the hidden subcommand `rehearsal-enter STAGE SPEC` with the supervisor's socket as stdin. Stage
//! `outer` makes the namespaces and waits; stage `inner` is process 1 of the host, sets up its root and becomes
//! its agent. With plain chroot there is only one process. Nothing here runs inside the supervisor.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use rustix::process::{Signal, chroot, pivot_root, set_child_subreaper, set_parent_process_death_signal};
use rustix::thread::{CapabilitySet, UnshareFlags, remove_capability_from_bounding_set};

use super::agent;
use super::emulation;
use super::furnish;
use super::image;
use super::link::{Bind, BindWhen, EnterSpec, Fill, Link, Report, RootMode};
use super::os::enter_new_namespaces;
use super::tree::{link_tree, write_file};
use super::xcat::NodeFile;

/// The name of the hidden subcommand; `enter_main` takes the arguments after it.
pub(super) const ENTER_COMMAND: &str = "rehearsal-enter";

/// Where a host finds its own boot id.
pub(super) const BOOT_ID_FILE: &str = "run/boot_id";

/// A step of the setup that failed, in words for the user.
struct Failed {
    step: String,
    reason: String,
}

fn step<E: std::fmt::Display>(name: impl Into<String>) -> impl FnOnce(E) -> Failed {
    let step = name.into();
    move |error| Failed { step, reason: error.to_string() }
}

/// Runs the hidden subcommand; the arguments are a stage and the description of the host.
///
/// Must be called before the process has a second thread, because a process with threads may not enter a user
/// namespace.
pub(super) fn enter_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let (Some(stage), Some(spec)) = (args.next(), args.next()) else {
        return ExitCode::from(250);
    };
    let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3) else {
        return ExitCode::from(250);
    };
    let link = Link::from_socket(socket);
    let result = match serde_json::from_slice::<EnterSpec>(spec.as_encoded_bytes()) {
        Err(error) => Err(Failed { step: "read its description".into(), reason: error.to_string() }),
        Ok(parsed) if stage == "inner" => inner(&parsed, &link),
        Ok(parsed) => outer(&parsed, &spec, &link),
    };
    let Err(Failed { step, reason }) = result else {
        return ExitCode::SUCCESS;
    };
    // When the supervisor is gone nobody is left to tell.
    let _ = link.send(&Report::Failed { step, reason }, &[], &[]);
    ExitCode::FAILURE
}

/// Makes the namespaces, starts process 1 in them and waits for its end.
fn outer(spec: &EnterSpec, encoded: &OsString, link: &Link) -> Result<(), Failed> {
    if spec.mode == RootMode::Chroot {
        return inner(spec, link);
    }
    let uid = rustix::process::geteuid();
    let gid = rustix::process::getegid();
    if spec.user_namespace {
        enter_new_namespaces(UnshareFlags::NEWUSER).map_err(step("create a user namespace"))?;
        // Absent before Linux 3.19, and then not needed.
        let _ = fs::write("/proc/self/setgroups", "deny");
        fs::write("/proc/self/uid_map", format!("0 {} 1\n", uid.as_raw()))
            .map_err(step("map the user to root in its user namespace"))?;
        fs::write("/proc/self/gid_map", format!("0 {} 1\n", gid.as_raw()))
            .map_err(step("map the group to root in its user namespace"))?;
    }
    enter_new_namespaces(
        UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC,
    )
    .map_err(step("create mount, pid, uts and ipc namespaces"))?;
    let mut child = Command::new("/proc/self/exe")
        .arg(ENTER_COMMAND)
        .arg("inner")
        .arg(encoded)
        .spawn()
        .map_err(step("start process 1"))?;
    child.wait().map_err(step("wait for process 1"))?;
    Ok(())
}

/// Sets up the root, enters it and serves the supervisor until it closes the socket.
fn inner(spec: &EnterSpec, link: &Link) -> Result<(), Failed> {
    // Opened before the root changes: without namespaces it is the only way to find our descendants later.
    let host_proc =
        rustix::fs::openat(CWD, "/proc", OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(step("open /proc"))?;
    match spec.mode {
        RootMode::Namespaces => {
            set_parent_process_death_signal(Some(Signal::KILL)).map_err(step("tie it to its parent"))?;
            enter_with_mounts(spec)?;
        }
        RootMode::Chroot => {
            set_child_subreaper(Some(rustix::process::getpid())).map_err(step("adopt its orphans"))?;
            enter_plain(spec)?;
        }
    }
    drop_machine_capabilities();
    link.send(&Report::Ready, &[], &[]).map_err(step("report that it is ready"))?;
    agent::serve(link, spec.mode, host_proc);
    Ok(())
}

fn enter_with_mounts(spec: &EnterSpec) -> Result<(), Failed> {
    let root = &spec.root;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(step("make its mounts private"))?;
    match &spec.fill {
        Fill::Directory => {
            mount_bind_recursive(root, root).map_err(step("mount its root"))?;
        }
        Fill::Image(_) | Fill::Suspended(_) => {
            mount("rootfs", root, "tmpfs", MountFlags::empty(), c"mode=755")
                .map_err(step("mount a tmpfs as its root"))?;
        }
    }
    let files = fill(spec)?;
    for bind in wanted_binds(spec) {
        mount_one(root, bind)?;
    }
    furnish::mount_proc(root).map_err(step("mount /proc"))?;
    furnish::mount_dev(root).map_err(step("mount /dev"))?;
    rustix::system::sethostname(spec.hostname.as_bytes()).map_err(step("set its host name"))?;
    std::env::set_current_dir(root).map_err(step("enter its root"))?;
    // The old root is stacked on the new one and then taken away, so that nothing of this machine stays reachable.
    pivot_root(".", ".").map_err(step("change to its root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(step("leave this machine's root"))?;
    std::env::set_current_dir("/").map_err(step("enter its root"))?;
    start_up(spec, &files)?;
    protect_kernel_settings();
    // Where the kernel refuses, programs see this machine's boot id in /proc and the host's own under /run.
    let _ = mount_bind(Path::new("/").join(BOOT_ID_FILE), "/proc/sys/kernel/random/boot_id");
    Ok(())
}

fn enter_plain(spec: &EnterSpec) -> Result<(), Failed> {
    let files = fill(spec)?;
    let mut mounted = Vec::new();
    for bind in wanted_binds(spec) {
        copy_one(&spec.root, bind)?;
        if bind.when == BindWhen::Fstab {
            mounted.push(bind.target.as_path());
        }
    }
    furnish::make_dev(&spec.root).map_err(step("make /dev"))?;
    furnish::make_proc(spec, &mounted).map_err(step("make /proc"))?;
    chroot(&spec.root).map_err(step("chroot into its root"))?;
    std::env::set_current_dir("/").map_err(step("enter its root"))?;
    start_up(spec, &files)
}

/// Fills the root; returns what a booting node fetches beside its image.
fn fill(spec: &EnterSpec) -> Result<Vec<NodeFile>, Failed> {
    match &spec.fill {
        Fill::Directory => Ok(Vec::new()),
        Fill::Image(archive) => {
            emulation::unpack(archive, &spec.root).map_err(step(format!("unpack {}", archive.display())))?;
            emulation::startup_files(&spec.management_root, &spec.hostname)
                .map_err(step("fetch its files from the management node"))
        }
        Fill::Suspended(archive) => {
            image::resume(archive, &spec.root).map_err(step(format!("resume from {}", archive.display())))?;
            Ok(Vec::new())
        }
    }
}

/// Writes what makes the root this host's own. Done inside it, where links cannot lead out.
fn start_up(spec: &EnterSpec, files: &[NodeFile]) -> Result<(), Failed> {
    write_file(&Path::new("/").join(BOOT_ID_FILE), 0o644, format!("{}\n", spec.boot_id).as_bytes())
        .map_err(step("write its boot id"))?;
    if !matches!(spec.fill, Fill::Image(_)) {
        return Ok(());
    }
    write_file(Path::new("/etc/hostname"), 0o644, format!("{}\n", spec.hostname).as_bytes())
        .map_err(step("write its host name"))?;
    emulation::start_up(files).map_err(step("write its files and start its services"))
}

/// The binds that apply to this root: what a node mounts from the management node, its own fstab says.
fn wanted_binds(spec: &EnterSpec) -> impl Iterator<Item = &Bind> {
    let fstab = emulation::place(&spec.root, Path::new("etc/fstab")).and_then(fs::read_to_string);
    let fstab = fstab.unwrap_or_default();
    spec.binds.iter().filter(move |bind| {
        bind.when == BindWhen::Always || fstab_mounts(&fstab, &Path::new("/").join(&bind.target))
    })
}

/// Whether an fstab mounts something over the network at `target`, and not only on demand.
fn fstab_mounts(fstab: &str, target: &Path) -> bool {
    fstab.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|words| match words[..] {
        [source, at, kind, ..] if !source.starts_with('#') => {
            let on_demand = words.get(3).is_some_and(|options| options.split(',').any(|o| o == "noauto"));
            Path::new(at) == target && kind.starts_with("nfs") && !on_demand
        }
        _ => false,
    })
}

/// Makes the place where a bind appears.
fn target_in(root: &Path, bind: &Bind) -> Result<PathBuf, Failed> {
    let prepared = emulation::place(root, &bind.target).and_then(|target| {
        if bind.source.is_dir() {
            fs::create_dir_all(&target)?;
        } else if !target.exists() {
            write_file(&target, 0o644, b"")?;
        }
        Ok(target)
    });
    prepared.map_err(step(format!("make /{}", bind.target.display())))
}

fn mount_one(root: &Path, bind: &Bind) -> Result<(), Failed> {
    let target = target_in(root, bind)?;
    mount_bind(&bind.source, &target).map_err(step(format!("mount /{}", bind.target.display())))?;
    if bind.read_only {
        // In a user namespace the flags of the source are locked, and keeping it writable is harmless there.
        let _ = mount_remount(&target, MountFlags::BIND | MountFlags::RDONLY, c"");
    }
    Ok(())
}

/// What a mount is without mounts: the same files under a second name.
fn copy_one(root: &Path, bind: &Bind) -> Result<(), Failed> {
    let provided = emulation::place(root, &bind.target).and_then(|target| {
        target.parent().map_or(Ok(()), fs::create_dir_all)?;
        link_tree(&bind.source, &target)
    });
    provided.map_err(step(format!("provide /{}", bind.target.display())))
}

/// /proc/sys of real root reaches this machine's kernel: make it read-only.
fn protect_kernel_settings() {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    if mount_bind_recursive("/proc/sys", "/proc/sys").is_ok() {
        // In a user namespace the kernel itself refuses writes by the mapped root.
        let _ = mount_remount("/proc/sys", MountFlags::BIND | MountFlags::RDONLY | flags, c"");
    }
}

/// A playbook that reboots its host, sets its clock, loads a module or makes a disk's device file must not do that
/// to this machine.
fn drop_machine_capabilities() {
    for capability in [
        CapabilitySet::SYS_BOOT,
        CapabilitySet::SYS_MODULE,
        CapabilitySet::SYS_TIME,
        CapabilitySet::SYS_RAWIO,
        CapabilitySet::NET_ADMIN,
        CapabilitySet::MAC_ADMIN,
        CapabilitySet::SYSLOG,
        CapabilitySet::MKNOD,
    ] {
        // Without the right to change the set, the process does not have these capabilities either.
        let _ = remove_capability_from_bounding_set(capability);
    }
}

/// Gives the agent the descriptor under which it sees this machine's processes.
pub(super) type HostProc = OwnedFd;

/// Opens a file below this machine's /proc although the root has changed.
pub(super) fn read_host_proc(proc: &HostProc, path: &str) -> io::Result<Vec<u8>> {
    let fd = rustix::fs::openat(proc.as_fd(), path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut content = Vec::new();
    io::Read::read_to_end(&mut fs::File::from(fd), &mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::fstab_mounts;
    use std::path::Path;

    #[test]
    fn network_mounts_of_an_fstab() {
        let fstab = "proc /proc proc rw 0 0\nmn1:/install /install nfs rw 0 0\n\
                     #mn1:/a /a nfs rw 0 0\nmn1:/b /b nfs4 noauto,rw 0 0\n";
        let mounted = |target| fstab_mounts(fstab, Path::new(target));
        assert_eq!(["/proc", "/install", "/a", "/b"].map(mounted), [false, true, false, false]);
    }
}
