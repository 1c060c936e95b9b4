//! Finding out how roots can be entered on this machine, by trying; and saying what is missing when they cannot.

use std::fs;
use std::path::Path;

use super::error::RehearsalError;
use super::link::{EnterSpec, Fill, RootMode};
use super::machine::Machine;
use super::tree::{make_dir, remove_tree};

/// The way that works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) mode: RootMode,
    pub(super) user_namespace: bool,
}

/// Tries the ways in order of isolation; `only` restricts them. Blocks.
pub(super) fn find_way(exe: &Path, dir: &Path, only: Option<RootMode>) -> Result<Way, RehearsalError> {
    let is_root = rustix::process::geteuid().is_root();
    let ways = [
        (is_root, Way { mode: RootMode::Namespaces, user_namespace: false }),
        (true, Way { mode: RootMode::Namespaces, user_namespace: true }),
        (is_root, Way { mode: RootMode::Chroot, user_namespace: false }),
    ];
    let mut missing = Vec::new();
    for (_, way) in ways.into_iter().filter(|(open, way)| *open && only.is_none_or(|only| only == way.mode)) {
        match attempt(exe, dir, way) {
            Ok(()) => return Ok(way),
            Err(RehearsalError::Enter { step, reason, .. }) => missing.push(explain(way, &step, &reason)),
            Err(other) => return Err(other),
        }
    }
    if !is_root && only != Some(RootMode::Namespaces) {
        missing.push("chroot: only root may change its root; run as root, or allow user namespaces".into());
    }
    if only != Some(RootMode::Chroot) {
        missing.extend(settings());
    }
    Err(RehearsalError::Impossible { only, missing })
}

fn attempt(exe: &Path, dir: &Path, way: Way) -> Result<(), RehearsalError> {
    let root = dir.join("probe");
    make_dir(&root, 0o755).map_err(RehearsalError::file("make", &root))?;
    let spec = EnterSpec {
        root: root.clone(),
        hostname: "probe".into(),
        management_root: root.clone(),
        mode: way.mode,
        user_namespace: way.user_namespace,
        // The way with the most mounts, so that nothing fails later.
        fill: Fill::Directory,
        diskless: false,
        boot_id: String::new(),
        binds: Vec::new(),
    };
    let outcome = Machine::start(exe, &spec, &dir.join("probe.log")).map(drop);
    remove_tree(&root).map_err(RehearsalError::file("remove", &root))?;
    outcome
}

fn explain(way: Way, step: &str, reason: &str) -> String {
    let name = match way {
        Way { mode: RootMode::Chroot, .. } => "chroot",
        Way { user_namespace: true, .. } => "user namespaces",
        Way { user_namespace: false, .. } => "namespaces as root",
    };
    format!("{name}: cannot {step}: {reason}")
}

/// The kernel settings that forbid user namespaces here, with the command that allows them.
fn settings() -> Vec<String> {
    [
        ("kernel/unprivileged_userns_clone", "0", "1"),
        ("user/max_user_namespaces", "0", "15000"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
    ]
    .into_iter()
    .filter(|(path, forbidding, _)| {
        fs::read_to_string(Path::new("/proc/sys").join(path)).is_ok_and(|value| value.trim() == *forbidding)
    })
    .map(|(path, value, wanted)| {
        let name = path.replace('/', ".");
        format!(
            "{name} is {value}, which forbids user namespaces: allow them with `sysctl -w {name}={wanted}`"
        )
    })
    .collect()
}
