//! What several integration tests need.

pub mod rehearse;
pub mod sshd;

use std::path::{Path, PathBuf};

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
    let list = std::process::Command::new(busybox).arg("--list").output().unwrap();
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
