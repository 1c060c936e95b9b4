//! What can happen between us and a host: the wire is cut at any byte, the server is started again, this machine sleeps, the
//! host starts anew in the middle; and a host whose shell lies.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use xplay::transport::{ConnectionSpec, Connector, DurableId, Exec, HostConnector, Identity, Kind, NullSink};

use crate::limits::Mark;
use crate::ssh_environments::{Site, executable, host_line};
use crate::support::sshd::Sshd;
use crate::transport::{PRELUDE, exec, with_args};

/// A relay that cuts its first connection when so many bytes came from the server. What came is counted.
fn cut_after(port: u16, budget: usize) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let first = Arc::new(AtomicBool::new(true));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
            let mut client = client.unwrap();
            let (mut out, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut out, &mut to_server);
                let _ = to_server.shutdown(Shutdown::Write);
            });
            let limited = first.swap(false, Ordering::Relaxed);
            let (mut server, counted) = (server, counted.clone());
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = server.read(&mut buffer) {
                    let before = if limited { counted.fetch_add(n, Ordering::Relaxed) } else { 0 };
                    let fits = if limited { budget.saturating_sub(before).min(n) } else { n };
                    if client.write_all(&buffer[..fits]).is_err() || fits < n {
                        break;
                    }
                }
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
            });
        }
    });
    (own, count)
}

/// Runs a job and a command whose connection is cut at a point; returns how many bytes the first connection brought.
fn cut_at(server: &Sshd, budget: usize, connection: &str) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display().to_string();
    let (relay, count) = cut_after(server.port, budget);
    let line = host_line(server, "n1")
        .replace(&format!("port={}", server.port), &format!("port={relay}"))
        .replace("-o UserKnownHostsFile", "-o StrictHostKeyChecking=no -o UserKnownHostsFile");
    let tasks = format!(
        "    - shell: echo run >>{here}/job; for i in 1 2 3; do echo line-$i; sleep 0.05; done; echo err >&2\n      args: {{long: true}}\n      \
         register: job\n    - shell: echo run >>{here}/command; echo said; echo err >&2\n      register: command\n    \
         - assert: {{that: [\"job.stdout_lines == ['line-1', 'line-2', 'line-3']\", job.stderr == 'err', command.stdout == 'said', command.stderr == 'err']}}\n"
    );
    let output = Site::new(&line, &tasks).command(&["-c", connection]).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let ran = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    match output.status.code() {
        Some(0) => assert_eq!(
            (&*ran("job"), &*ran("command")),
            ("run\n", "run\n"),
            "{connection}, byte {budget}: {said}"
        ),
        // Cut off while it was logging in: nothing ran, and that is said.
        Some(4) => {
            assert!(
                said.contains("UNREACHABLE") && ran("job").is_empty(),
                "{connection}, byte {budget}: {said}"
            );
        }
        other => panic!("{connection}, byte {budget}: {other:?}: {said}"),
    }
    count.load(Ordering::Relaxed)
}

#[test]
fn the_wire_may_be_cut_at_any_byte() {
    let test = "the_wire_may_be_cut_at_any_byte";
    let Some(server) = Sshd::start(test) else { return };
    let all = std::env::var_os("XPLAY_ALL_CRASHES").is_some();
    for kind in crate::ssh_binary::kinds(test) {
        let (connection, points) = match kind {
            Kind::Ssh => ("ssh", if all { 400 } else { 16 }),
            _ => ("ssh-binary", if all { 100 } else { 5 }),
        };
        let whole = cut_at(&server, usize::MAX, connection);
        assert!(whole > 3000, "{whole}");
        for point in 0..points {
            cut_at(&server, 1 + point * whole / points, connection);
        }
    }
}

fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !ready() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A job that writes to a file that it runs, and ends when there is another one.
fn gated(dir: &Path) -> String {
    let at = dir.display();
    format!("echo run >>{at}/ran; echo first; while [ ! -e {at}/gate ]; do sleep 0.1; done; echo second")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_started_again_costs_nothing() {
    let test = "a_server_that_is_started_again_costs_nothing";
    for kind in crate::ssh_binary::kinds(test) {
        let Some(mut server) = Sshd::start(test) else { return };
        let folder = tempfile::tempdir().unwrap();
        let spec = ConnectionSpec { kind, ..with_args(server.spec(), &["-F", "none"]) };
        let connection = server.connector(PRELUDE).connect(&spec).await.unwrap();
        let mut session = connection.session(None).await.unwrap();
        let id = DurableId::new(&format!("restart-{kind:?}-{}", std::process::id())).unwrap();
        let job = Exec::new(gated(folder.path())).durable(id.clone()).timeout(Duration::from_secs(60));
        let mut sink = NullSink;
        let running = session.exec(job, &mut sink);
        let (output, ()) = tokio::join!(running, async {
            while !folder.path().join("ran").exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            tokio::task::block_in_place(|| server.restart());
            fs::write(folder.path().join("gate"), "").unwrap();
        });
        assert_eq!(output.unwrap().stdout, b"first\nsecond\n", "{kind:?}");
        assert_eq!(fs::read_to_string(folder.path().join("ran")).unwrap(), "run\n", "{kind:?}");
        assert_eq!(exec(&mut session, Exec::new("greet again")).await.stdout, b"hello again\n", "{kind:?}");
        xplay::transport::durable::confirm(&mut *session, &id).await.unwrap();
        connection.close().await;
    }
}

/// This machine sleeps for longer than a host may be silent, and the network may have forgotten its connections meanwhile.
#[test]
fn this_machine_may_sleep() {
    let test = "this_machine_may_sleep";
    let Some(server) = Sshd::start(test) else { return };
    for forgotten in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let alive = "-o ServerAliveInterval=1 -o ServerAliveCountMax=2 -o UserKnownHostsFile";
        let line = host_line(&server, "n1").replace("-o UserKnownHostsFile", alive);
        let tasks = format!(
            "    - shell: {}\n      args: {{long: true}}\n      register: it\n    - assert: {{that: \"it.stdout_lines == ['first', 'second']\"}}\n",
            gated(folder.path())
        );
        let site = Site::new(&line, &tasks);
        let child = site.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("the job", || folder.path().join("ran").exists());
        let pid = Pid::from_child(&child);
        kill_process(pid, Signal::STOP).unwrap();
        if forgotten {
            server.cut_connections();
        }
        std::thread::sleep(Duration::from_secs(5));
        kill_process(pid, Signal::CONT).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        fs::write(folder.path().join("gate"), "").unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(0), "{forgotten}: {said}");
        assert_eq!(fs::read_to_string(folder.path().join("ran")).unwrap(), "run\n", "{forgotten}");
    }
}

/// Makes all that was left below a folder look as if it was written before the machine started.
pub fn age_by_a_boot(dir: &Path) {
    let now = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    for path in crate::hostile::files(dir) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if text.contains(now.trim()) {
            fs::write(&path, text.replace(now.trim(), "01234567-89ab-cdef-0123-456789abcdef")).unwrap();
        }
    }
}

/// The host starts anew while a command runs there: nobody can know how far it came, and that is said.
#[test]
fn a_host_that_starts_anew_in_the_middle_is_named() {
    // Of a job it is said too, after two minutes of looking for it.
    starts_anew("a_host_that_starts_anew_in_the_middle_is_named", false);
}

fn starts_anew(test: &str, long: bool) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    fs::create_dir(folder.path().join("home")).unwrap();
    let door = format!("#!/bin/sh\nHOME={at}/home; export HOME\nexec sh -c \"$SSH_ORIGINAL_COMMAND\"\n");
    executable(&folder.path().join("door"), &door);
    let Some(server) = Sshd::start_with(test, &format!("ForceCommand {at}/door")) else { return };
    let mark = Mark::new(folder.path());
    let tasks = format!(
        "    - shell: echo run >>{at}/ran; sleep 300\n      environment: {{{mark}}}\n      args: {{long: {long}}}\n    - command: echo after\n"
    );
    let site = Site::new(&host_line(&server, "n1"), &tasks);
    let child = site.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the command", || folder.path().join("ran").exists());
    std::thread::sleep(Duration::from_millis(300));
    age_by_a_boot(&folder.path().join("home"));
    server.cut_connections();
    for process in Mark::holding(&format!("HOME={at}/home")) {
        let _ = kill_process(Pid::from_raw(process).unwrap(), Signal::KILL);
    }
    mark.end();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(2), "{long}: {said}");
    assert!(said.contains("was started anew in the middle"), "{long}: {said}");
    assert!(!said.contains("TASK [command echo after]"), "{long}: {said}");
    // Asking once more gives the same answer, and nothing is done twice.
    let resumed = site.xplay(&["resume", "last"]).output().unwrap();
    let said = String::from_utf8_lossy(&[resumed.stdout, resumed.stderr].concat()).into_owned();
    assert_eq!(resumed.status.code(), Some(2), "{long}: {said}");
    assert!(said.contains("--assume-done") && said.contains("--redo"), "{long}: {said}");
    assert_eq!(fs::read_to_string(folder.path().join("ran")).unwrap(), "run\n", "{long}");
}

/// Shells that say that they are there and then do not do what a shell does. Each is told of, soon, with its host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shells_that_lie_are_told_of() {
    let ready = "printf '%s\\n' \"$2\" | sed 's/^echo \\([^;]*\\);.*/\\1/'";
    let answers = |answer: &str| {
        format!(
            "{ready}\nwhile IFS= read -r l; do case $l in '_xp_e '*) m=${{l#_xp_e }}; {answer} ;; esac; done"
        )
    };
    let lies = [
        ("noise without end", "exec yes noise".to_string(), "no shell after 2 s, it said: noise"),
        ("errors without end", "exec yes noise >&2".into(), "no shell after 2 s, it said: noise"),
        ("a line without end", "exec tr '\\0' x </dev/zero".into(), "no shell after 2 s, it said: xxx"),
        ("an end", format!("{ready}; exit 3"), "the shell ended"),
        ("a flood", format!("{ready}; exec yes"), "its shell prints without end"),
        (
            "a code that is no number",
            answers("printf '\\036%s 99999999999999999999\\n' \"$m\"; printf '\\036%s x\\n' \"$m\" >&2"),
            "the shell refused the prelude",
        ),
        (
            "a code without end",
            answers("printf '\\036%s ' \"$m\"; printf '\\036%s 0\\n' \"$m\" >&2; exec tr '\\0' 1 </dev/zero"),
            "the shell",
        ),
    ];
    for (name, lie, expect) in lies {
        let folder = tempfile::tempdir().unwrap();
        let shell = folder.path().join("sh");
        let text = format!("#!/bin/sh\ncase $2 in exec*) exec /bin/sh \"$@\" ;; esac\n{lie}\n");
        executable(&shell, &text);
        let connector = HostConnector::new(PRELUDE, Identity::from_environment());
        let spec = ConnectionSpec {
            shell: shell.display().to_string(),
            connect_timeout: Some(Duration::from_secs(2)),
            ..ConnectionSpec::local("liar")
        };
        let connection = connector.connect(&spec).await.unwrap();
        let begun = Instant::now();
        let error = connection.session(None).await.err().unwrap().to_string();
        assert!(error.contains(expect), "{name}: {:.200}", error);
        assert!(error.len() < 2_000, "{name}: {} bytes of words", error.len());
        println!("{name}: {:?}: {:.120}", begun.elapsed(), error);
        assert!(begun.elapsed() < Duration::from_secs(45), "{name}: {:?}", begun.elapsed());
    }
}

/// A program of the host prints without end where xplay only wants to know something.
#[test]
fn looks_do_not_go_on_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let lie = "#!/bin/sh\ncase \"$*\" in '-- /etc/hostname') exec yes AAAA ;; esac\nexec /bin/cat \"$@\"\n";
    executable(&folder.path().join("cat"), lie);
    let inventory = "liar ansible_connection=local\ngood ansible_connection=local\n";
    let tasks = "    - slurp: {src: /etc/hostname}\n      when: inventory_hostname == 'liar'\n    - command: echo on\n";
    let site = Site::new(inventory, tasks);
    let path = std::env::var_os("PATH").unwrap();
    let own =
        std::env::join_paths([folder.path().to_path_buf()].into_iter().chain(std::env::split_paths(&path)));
    let output = site.command(&[]).env("PATH", own.unwrap()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("liar prints more than 64 MiB where it is only looked at"), "{said}");
    assert!(said.contains("changed: [good]"), "{said}");
}
