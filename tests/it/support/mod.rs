//! What several integration tests need.

pub mod rehearse;
pub mod sshd;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Finds a program in the usual folders, the system's own among them.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/bin"].map(PathBuf::from));
    folders.map(|f| f.join(name)).find(|p| p.is_file())
}

/// Says why a test does nothing.
pub fn skip(test: &str, reason: &str) {
    println!("{test}: skipped, {reason}");
}

/// Tells whether a process may have mounts of its own, and prints why not.
pub fn can_mount(test: &str) -> bool {
    let tried = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    let can = tried.is_ok_and(|o| o.status.success());
    if !can {
        skip(test, "mounts are not possible here");
    }
    can
}

/// The same program on a machine whose xCAT has the commands of a folder.
pub fn with_xcat(bin: &Path, program: &Command) -> Command {
    with_mounts(
        "mount -t tmpfs none /opt && mkdir -p /opt/xcat/bin && mount --bind \"$0\" /opt/xcat/bin",
        bin,
        program,
    )
}

/// The same program with mounts of its own, which a shell makes; `$0` is a path there. It keeps only the variables that were
/// set for it.
pub fn with_mounts(mounts: &str, path: &Path, program: &Command) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &format!("{mounts} && exec \"$@\"")]).arg(path);
    command
        .arg(program.get_program())
        .args(program.get_args())
        .env_clear()
        .stdin(std::process::Stdio::null());
    for (name, value) in program.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    if let Some(dir) = program.get_current_dir() {
        command.current_dir(dir);
    }
    command
}

/// Returns a shell of each kind that this machine has, under a path that ends in its name. Busybox comes with a
/// folder in which all its applets stand, so that its own `head` and `dd` are used.
pub fn shells(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for name in ["sh", "dash", "bash"] {
        match find_program(name) {
            Some(path) => found.push((name.to_owned(), path)),
            None => skip("shells", &format!("there is no {name}")),
        }
    }
    match find_program("busybox") {
        Some(busybox) => found.push(("busybox".to_owned(), busybox_shell(&busybox, folder))),
        None => skip("shells", "there is no busybox"),
    }
    found
}

/// Makes a shell that sees only busybox: a script that enters `busybox sh` with a `PATH` of its applets.
fn busybox_shell(busybox: &Path, folder: &Path) -> PathBuf {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let applets = folder.join("applets");
    std::fs::create_dir_all(&applets).unwrap();
    let list = Command::new(busybox).arg("--list").output().unwrap();
    for name in String::from_utf8(list.stdout).unwrap().lines() {
        symlink(busybox, applets.join(name)).unwrap();
    }
    let shell = folder.join("busybox-sh");
    let text =
        format!("#!/bin/sh\nPATH={}; export PATH\nexec {} sh \"$@\"\n", applets.display(), busybox.display());
    std::fs::write(&shell, text).unwrap();
    std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o755)).unwrap();
    shell
}
