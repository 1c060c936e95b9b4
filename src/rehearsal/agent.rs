//! Process 1 of a rehearsal host: starts what the supervisor orders, reaps every process, and takes all of them
//! along when the supervisor closes the socket or dies.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, kill_process_group, wait, waitid,
};

use super::enter::{HostProc, read_host_proc};
use super::link::{Exit, Launch, Link, Order, Report, RootMode};

/// The processes started by order and not yet ended.
#[derive(Default)]
struct Table {
    by_pid: HashMap<i32, u64>,
}

#[derive(Default)]
struct Shared {
    table: Mutex<Table>,
    started: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until the supervisor is gone; afterwards no process of the host is left.
pub(super) fn serve(link: &Link, mode: RootMode, host_proc: HostProc) {
    let shared = Arc::new(Shared::default());
    let Ok(reports) = link.duplicate() else { return };
    let reaper = Arc::clone(&shared);
    thread::spawn(move || reap(&reaper, &reports));
    if mode == RootMode::Chroot && !is_device("/dev/null") {
        thread::spawn(drain_null);
    }
    let mut buffer = Vec::new();
    while let Ok(Some(packet)) = link.receive::<Order>(&mut buffer) {
        match packet.header {
            Order::Start { id, launch, env } => {
                let mut table = shared.lock();
                match start(launch, env, &packet.bytes, packet.fds) {
                    Ok(pid) => {
                        table.by_pid.insert(pid, id);
                        shared.started.notify_one();
                    }
                    Err(reason) => {
                        // A supervisor that is gone shows as the end of the loop.
                        let _ = link.send(&Report::Refused { id, reason }, &[], &[]);
                    }
                }
            }
            Order::Signal { id, signal } => {
                let table = shared.lock();
                let pid = table.by_pid.iter().find(|(_, known)| **known == id).map(|(pid, _)| *pid);
                if let (Some(pid), Some(signal)) =
                    (pid.and_then(Pid::from_raw), Signal::from_named_raw(signal))
                {
                    // The group may have ended a moment ago.
                    let _ = kill_process_group(pid, signal);
                }
            }
        }
    }
    if mode == RootMode::Chroot {
        kill_descendants(&host_proc);
    }
}

fn start(
    launch: Launch,
    env: Vec<(String, String)>,
    command: &[u8],
    fds: Vec<OwnedFd>,
) -> Result<i32, String> {
    let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(fds)
        .map_err(|fds| format!("expected three descriptors, got {}", fds.len()))?;
    let own_terminal = matches!(launch, Launch::CommandOnTerminal | Launch::ShellOnTerminal);
    let mut process = if own_terminal && fs::exists("/usr/bin/setsid").unwrap_or(false) {
        let mut process = Command::new("/usr/bin/setsid");
        process.args(["-c", "/bin/sh"]);
        process
    } else {
        Command::new("/bin/sh")
    };
    match launch {
        Launch::Command | Launch::CommandOnTerminal => {
            process.arg("-c").arg(OsStr::from_bytes(command));
        }
        Launch::Shell => {
            process.arg0("-sh");
        }
        Launch::ShellOnTerminal => {
            process.arg("-l");
        }
    }
    if !own_terminal {
        process.process_group(0);
    }
    process.env_clear().envs(env);
    process.current_dir(if fs::exists("/root").unwrap_or(false) { "/root" } else { "/" });
    process.stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout)).stderr(Stdio::from(stderr));
    let child = process.spawn().map_err(|error| format!("cannot start sh: {error}"))?;
    i32::try_from(child.id()).map_err(|error| error.to_string())
}

/// Collects every ended process and reports those that were ordered.
///
/// Waiting happens in two steps: noticing an end without the lock, collecting it with the lock. `spawn` itself waits
/// for a child whose exec failed, and must not find it collected.
fn reap(shared: &Shared, link: &Link) {
    loop {
        if let Err(Errno::CHILD) = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            let table = shared.lock();
            if table.by_pid.is_empty() {
                drop(shared.started.wait(table));
            }
            continue;
        }
        let mut table = shared.lock();
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let Some(id) = table.by_pid.remove(&pid.as_raw_pid()) else {
                continue;
            };
            let exit = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Exit::Code(code),
                (None, Some(signal)) => Exit::Signal(signal),
                (None, None) => Exit::Code(255),
            };
            if link.send(&Report::Ended { id, exit }, &[], &[]).is_err() {
                return;
            }
        }
    }
}

/// Kills everything below this process; there is no pid namespace that would do it.
fn kill_descendants(host_proc: &HostProc) {
    for _ in 0..200 {
        let pids = descendants(host_proc);
        if pids.is_empty() {
            return;
        }
        for pid in pids {
            if let Some(pid) = Pid::from_raw(pid) {
                // It may have ended a moment ago.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn descendants(host_proc: &HostProc) -> Vec<i32> {
    let mut parents = Vec::new();
    let Ok(directory) = rustix::fs::Dir::read_from(host_proc.as_fd()) else {
        return Vec::new();
    };
    for entry in directory.flatten() {
        let Some(pid) = entry.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(stat) = read_host_proc(host_proc, &format!("{pid}/stat")) else {
            continue;
        };
        if let Some((state, parent)) = parse_stat(&stat)
            && state != 'Z'
        {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![rustix::process::getpid().as_raw_pid()];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// State and parent from `/proc/PID/stat`; the command in the middle may hold anything, even `)`.
fn parse_stat(stat: &[u8]) -> Option<(char, i32)> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut words = rest.split_ascii_whitespace();
    let state = words.next()?.chars().next()?;
    Some((state, words.next()?.parse().ok()?))
}

fn is_device(path: &str) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::metadata(path).is_ok_and(|data| data.file_type().is_char_device())
}

/// Keeps a plain file empty that stands in for /dev/null.
fn drain_null() {
    loop {
        if fs::metadata("/dev/null").is_ok_and(|data| data.len() > 0) {
            // Tried again in a moment.
            let _ = fs::OpenOptions::new().write(true).open("/dev/null").and_then(|file| file.set_len(0));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::parse_stat;

    #[test]
    fn stat_lines() {
        assert_eq!(parse_stat(b"17 (sh) S 4 17 17 0"), Some(('S', 4)));
        assert_eq!(parse_stat(b"17 (a) b (c) Z 1 17"), Some(('Z', 1)));
        assert_eq!(parse_stat(b"17 (sh"), None);
    }
}
