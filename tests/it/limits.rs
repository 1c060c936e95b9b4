//! Hosts that go black at each moment of a task, time limits, interruptions and connection storms, over a real sshd.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use xplay::transport::Kind;

use crate::ssh_environments::{Site, black_after, executable, host_line};
use crate::support::sshd::Sshd;
use crate::support::{find_program, skip};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a run says of each host's tasks, in order: name of the task, status, the result, seconds.
fn results(output: &Output, host: &str) -> Vec<(String, String, Value, f64)> {
    let events = text(&output.stdout);
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let word = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_string();
    events
        .filter(|event| event["event"] == "result" && event["host"] == host)
        .map(|event| {
            let secs = event["elapsed_secs"].as_f64().unwrap();
            (word(&event, "name"), word(&event, "status"), event["result"].clone(), secs)
        })
        .collect()
}

/// An inventory with a host that can be made black, and one that cannot.
fn good_and_dark(server: &Sshd, flag: &Path, options: &str) -> String {
    let relay = black_after(server.port, flag.to_path_buf());
    let dark = host_line(server, "dark").replace(&format!("port={}", server.port), &format!("port={relay}"));
    [host_line(server, "good"), dark].concat().replace(
        "-o UserKnownHostsFile",
        &format!("-o StrictHostKeyChecking=no -o ConnectTimeout=2{options} -o UserKnownHostsFile"),
    )
}

/// A black host is told of within the task's limit and two seconds for trying to stop what runs there, four times as many
/// where this machine is overloaded; the rest is for its slowness.
fn grace() -> f64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let minute: f64 = load.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
    if minute > 2.0 { 2.0 * 4.0 + 9.0 } else { 2.0 + 4.0 }
}

/// Goes black at a moment of a task: while it runs, while a long command runs, before it begins, while becoming somebody
/// else. The task's own limit holds each time, and the other host goes on.
#[test]
fn a_black_host_is_reported_within_the_limit_of_the_task() {
    let test = "a_black_host_is_reported_within_the_limit_of_the_task";
    let Some(server) = Sshd::start(test) else { return };
    // This machine may be busy: the other host has time.
    const LIMITED: &str =
        "    - name: it\n      timeout: \"{{ 3 if inventory_hostname == 'dark' else 90 }}\"\n";
    let on_dark = |command: &str| {
        format!("\"{{{{ '{command}' if inventory_hostname == 'dark' else 'echo alive' }}}}\"")
    };
    let cases = [
        ("running", format!("    - name: it\n      shell: {}\n", on_dark("touch FLAG; sleep 300"))),
        ("long", format!("    - name: it\n      shell: {}\n      args: {{long: true}}\n", on_dark("touch FLAG; sleep 300"))),
        (
            "idle",
            "    - command: id\n    - command: touch FLAG\n      delegate_to: good\n      run_once: true\n    - name: it\n      shell: echo alive\n"
                .to_string(),
        ),
        (
            "becoming",
            "    - command: id\n    - name: it\n      shell: echo alive\n      become: true\n      become_user: somebody\n".to_string(),
        ),
    ];
    let by = |kind: &'static str| cases.iter().map(move |(moment, tasks)| (*moment, tasks.clone(), kind));
    let own = by("ssh");
    let systems =
        by("ssh-binary").filter(|(moment, ..)| *moment != "becoming" && find_program("ssh").is_some());
    for (moment, tasks, kind) in own.chain(systems) {
        let folder = tempfile::tempdir().unwrap();
        let flag = folder.path().join("black");
        let inventory =
            good_and_dark(&server, &flag, "").replace("dark ", "dark ansible_become_exe=DIR/dark-sudo ");
        let inventory = inventory.replace("good ", "good ansible_become_exe=DIR/good-sudo ");
        let place = |text: String| {
            text.replace("FLAG", &flag.display().to_string())
                .replace("DIR", &folder.path().display().to_string())
        };
        // A sudo that gives a shell, and one whose host goes black while it asks its directory service.
        let shift = "while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"";
        executable(&folder.path().join("good-sudo"), &format!("#!/bin/sh\n{shift}\n"));
        executable(&folder.path().join("dark-sudo"), &place("#!/bin/sh\ntouch FLAG\nsleep 300\n".into()));
        let tasks = place(tasks).replace("    - name: it\n", LIMITED);
        let site = Site::new(&place(inventory), &format!("{tasks}    - command: echo on\n"));
        let output = site.command(&["--json", "-c", kind]).output().unwrap();
        let said = [text(&output.stdout), text(&output.stderr)].concat();
        assert_eq!(output.status.code(), Some(2), "{moment}: {said}");
        let good = results(&output, "good");
        assert!(good.iter().all(|(_, status, ..)| matches!(&**status, "ok" | "changed")), "{moment}: {said}");
        assert_eq!(good.last().unwrap().2["stdout"], "on", "{moment}: the good host goes on");
        let dark = results(&output, "dark");
        let (name, status, result, secs) = dark.last().unwrap();
        let msg = result["msg"].as_str().unwrap_or_default();
        assert_eq!((&**name, &**status), ("it", "failed"), "{moment}: {said}");
        assert!(msg.contains("failed to execute in the expected time frame (3)"), "{moment}: {msg}");
        if moment != "becoming" {
            assert!(msg.ends_with("; it may still run: the host does not answer"), "{moment}: {msg}");
        }
        assert!(*secs >= 2.9 && *secs < 3.0 + grace(), "{moment}: told after {secs} s: {msg}");
        println!("{kind}, {moment}: {secs:.1} s: {msg}");
    }
}

/// Without a limit of its own a task ends when the host has been silent for too long.
#[test]
fn a_black_host_is_reported_by_its_silence() {
    let Some(server) = Sshd::start("a_black_host_is_reported_by_its_silence") else { return };
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("black");
    let inventory = good_and_dark(&server, &flag, " -o ServerAliveInterval=1 -o ServerAliveCountMax=2");
    let tasks = format!(
        "    - shell: \"{{{{ 'touch {}; sleep 300' if inventory_hostname == 'dark' else 'echo alive' }}}}\"\n    - command: echo on\n",
        flag.display()
    );
    for kind in crate::ssh_binary::kinds("a_black_host_is_reported_by_its_silence") {
        let word = if kind == Kind::Ssh { "ssh" } else { "ssh-binary" };
        let output = Site::new(&inventory, &tasks).command(&["--json", "-c", word]).output().unwrap();
        let said = [text(&output.stdout), text(&output.stderr)].concat();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(results(&output, "good").last().unwrap().2["stdout"], "on", "{said}");
        let dark = results(&output, "dark");
        let msg = dark.last().unwrap().2["msg"].as_str().unwrap_or_default().to_string();
        let expect = match kind {
            Kind::Ssh => "no answer within 2 s; xplay resume",
            _ => "Connection timed out during banner exchange",
        };
        assert!(msg.contains(expect) && msg.contains("; xplay resume"), "{said}");
        std::fs::remove_file(&flag).unwrap();
    }
}

/// The limit of the whole run ends it, whatever its hosts do, and what runs on those that can be reached.
#[test]
fn the_time_limit_of_a_run_ends_it() {
    let Some(server) = Sshd::start("the_time_limit_of_a_run_ends_it") else { return };
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("black");
    let inventory = good_and_dark(&server, &flag, "");
    let mark = Mark::new(folder.path());
    let tasks = format!(
        "    - command: echo first\n    - shell: \"{{{{ 'touch {}; ' if inventory_hostname == 'dark' else '' }}}}exec sleep 300\"\n      \
         environment: {{{mark}}}\n    - command: echo last\n",
        flag.display()
    );
    let site = Site::new(&inventory, &tasks);
    let start = Instant::now();
    let output = site.command(&["--time-limit", "6"]).output().unwrap();
    let (took, said) = (start.elapsed(), [text(&output.stdout), text(&output.stderr)].concat());
    assert_eq!(output.status.code(), Some(99), "{said}");
    assert!(said.contains("the time limit of 6 s is over: ending what runs on the hosts"), "{said}");
    assert!(said.contains("PLAY RECAP") && !said.contains("TASK [command echo last"), "{said}");
    assert!(said.contains("stopped; go on with: xplay resume"), "{said}");
    assert!(took >= Duration::from_secs(6) && took < Duration::from_secs(60), "{took:?}: {said}");
    // The dark host's own process is where nobody can reach it; it is ended here.
    let left = mark.processes();
    assert!(left.len() <= 1, "{left:?}");
    mark.end();
}

/// A variable of the environment that everything inherits which a task starts.
pub struct Mark(String);

impl std::fmt::Display for Mark {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "XPLAY_TEST_MARK: \"{}\"", self.0)
    }
}

impl Mark {
    pub fn new(folder: &Path) -> Self {
        Mark(folder.display().to_string())
    }

    /// Returns the processes that have the mark and are not dead.
    fn processes(&self) -> Vec<i32> {
        Self::holding(&format!("XPLAY_TEST_MARK={}", self.0))
    }

    /// Returns the processes in whose environment something stands.
    pub fn holding(needle: &str) -> Vec<i32> {
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| {
            let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|b| *b == 0).any(|one| one == needle.as_bytes())
        })
        .collect()
    }

    fn wait_for(&self, what: &str, is_right: impl Fn(usize) -> bool) {
        let begin = Instant::now();
        while !is_right(self.processes().len()) {
            assert!(begin.elapsed() < Duration::from_secs(60), "{what}: {:?}", self.processes());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn end(&self) {
        for pid in self.processes() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

/// The first interruption lets commands end on their hosts, the second ends them there with all that they started, also what
/// does not listen to TERM. Looked at by the host's list of processes.
#[test]
fn interruptions_leave_no_process_on_hosts() {
    use rustix::process::Signal;
    let Some(server) = Sshd::start("interruptions_leave_no_process_on_hosts") else { return };
    for (twice, long) in [(false, false), (true, false), (true, true)] {
        let folder = tempfile::tempdir().unwrap();
        let (mark, go) = (Mark::new(folder.path()), folder.path().join("go"));
        let inventory = ["one", "two"].map(|name| host_line(&server, name)).concat();
        // A pipe, something in the background, and something that no TERM ends.
        let command = format!(
            "(trap \"\" TERM; while [ ! -e {0} ]; do sleep 0.1; done) & sleep 300 | cat & while [ ! -e {0} ]; do sleep 0.1; done; kill %2 2>/dev/null; wait %1",
            go.display()
        );
        executable(&folder.path().join("work"), &format!("#!/bin/bash\nset -m\n{command}\n"));
        let plain = format!(
            "#!/bin/sh\n(trap \"\" TERM; while [ ! -e {0} ]; do sleep 0.1; done) &\nwhile [ ! -e {0} ]; do sleep 0.1; done\nwait\n",
            go.display()
        );
        executable(&folder.path().join("work"), &plain);
        let tasks = format!(
            "    - shell: {}/work\n      environment: {{{mark}}}\n      args: {{long: {long}}}\n    - command: echo last\n",
            folder.path().display()
        );
        let site = Site::new(&inventory, &tasks);
        let mut child = site.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        mark.wait_for("all begin", |count| count >= 4);
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, Signal::INT).unwrap();
        std::thread::sleep(Duration::from_millis(700));
        assert!(child.try_wait().unwrap().is_none() && mark.processes().len() >= 4, "the first one waits");
        if twice {
            rustix::process::kill_process(pid, Signal::INT).unwrap();
        } else {
            std::fs::write(&go, "").unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let said = [text(&output.stdout), text(&output.stderr)].concat();
        assert_eq!(output.status.code(), Some(99), "{said}");
        assert!(!said.contains("TASK [command echo last"), "{said}");
        let left = mark.processes();
        mark.end();
        assert_eq!(left, Vec::<i32>::new(), "twice {twice}, long {long}: processes are left: {said}");
    }
}

/// Many hosts behind an sshd that drops connections at random and gives each only two sessions: plain tasks, tasks as
/// somebody else, and tasks that all go to one host. `XPLAY_STORM_HOSTS=200` makes it the size of the promise.
#[test]
fn few_sessions_and_startups_are_enough_for_many_hosts() {
    let test = "few_sessions_and_startups_are_enough_for_many_hosts";
    let count: usize = std::env::var("XPLAY_STORM_HOSTS").ok().and_then(|n| n.parse().ok()).unwrap_or(24);
    let config = "MaxStartups 3:30:5\nMaxSessions 2\nListenAddress 0.0.0.0\n";
    let Some(server) = Sshd::start_with(test, config) else { return };
    if !rustix::process::getuid().is_root() || find_program("su").is_none() {
        return skip(test, "becoming somebody else without a password takes root and su");
    }
    let known = server.path("storm_hosts");
    std::fs::write(&known, format!("[127.*]:{} {}\n", server.port, server.host_key())).unwrap();
    let line = |n: usize| {
        let line = host_line(&server, &format!("n{n}"))
            .replace("127.0.0.1", &format!("127.0.{}.{}", 1 + n / 200, 1 + n % 200));
        line.replace(&server.path("known_hosts").display().to_string(), &known.display().to_string())
    };
    let inventory: String = (0..count).map(line).collect();
    let tasks = "    - command: echo plain\n    - command: id -un\n      become: true\n      become_method: su\n      become_user: nobody\n      \
                 register: who\n    - assert: {that: who.stdout == 'nobody'}\n    - command: echo {{ inventory_hostname }}\n      \
                 delegate_to: n0\n      register: there\n    - assert: {that: there.stdout == inventory_hostname}\n    \
                 - command: id -un\n      become: true\n      become_method: su\n      become_user: nobody\n      delegate_to: n1\n      \
                 register: both\n    - assert: {that: both.stdout == 'nobody'}\n";
    let output = Site::new(&inventory, tasks).command(&["--json", "-T", "60"]).output().unwrap();
    let events = text(&output.stdout);
    let last: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    let bad: Vec<_> = events
        .lines()
        .filter(|line| line.contains("\"unreachable\"") || line.contains("\"failed\""))
        .take(3)
        .collect();
    assert_eq!(output.status.code(), Some(0), "{bad:?}\n{}", text(&output.stderr));
    let hosts = last["hosts"].as_object().unwrap();
    assert_eq!(hosts.len(), count);
    assert!(
        hosts.values().all(|host| host["ok"] == 7 && host["unreachable"] == 0 && host["failed"] == 0),
        "{last}"
    );
}
