//! Hosts and tasks that do the same thing at the same moment.

use crate::ssh_environments::Site;

/// Many hosts that share a file system, and tasks that are delegated to one, make the same folders: each finds its own made.
#[test]
fn many_make_one_folder() {
    let inventory: String = (0..12).map(|n| format!("n{n} ansible_connection=local\n")).collect();
    let tasks = "    - file: {path: \"@/{{ item }}/a/b/c\", state: directory, mode: \"0750\"}\n      loop: \"{{ range(8) | list }}\"\n    \
                 - file: {path: \"@/there/{{ item }}/x\", state: directory}\n      delegate_to: n0\n      loop: \"{{ range(4) | list }}\"\n";
    for round in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(&inventory, &tasks.replace('@', &folder.path().display().to_string()));
        let output = site.command(&["--concurrent"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "round {round}: {said}");
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.path().join("7/a/b/c")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o750);
    }
}
