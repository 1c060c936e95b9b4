//! What runs cost this machine: memory of a host that prints without end, work that grows with the number of items, and
//! the key exchange.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use xplay::modules::sh::PRELUDE;
use xplay::rehearsal::{HostAccess, PlainHosts, start_plain_inside};
use xplay::transport::{
    Connection, ConnectionSpec, Connector, Exec, HostConnector, Identity, NullSink, Session,
};

use crate::support::sshd::Sshd;
use crate::support::{find_program, skip};

fn playbook(dir: &Path, tasks: &str) -> std::path::PathBuf {
    let path = dir.join("site.yml");
    let text = format!("- hosts: all\n  gather_facts: false\n  connection: local\n  tasks:\n{tasks}");
    std::fs::write(&path, text).unwrap();
    path
}

fn xplay(dir: &Path, wrapper: &[&str]) -> Command {
    let program = env!("CARGO_BIN_EXE_xplay");
    let mut words = wrapper.iter().copied().chain([program, "run", "-i", "n1,", "--no-report"]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .arg(dir.join("site.yml"))
        .env("HOME", dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Runs a program to its end and returns the most memory that it had, in MiB.
fn peak_mib(command: &mut Command) -> u64 {
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()) {
            peak = peak.max(kib / 1024);
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What is beyond the limit is dropped as it comes, whether in long lines or in short ones.
#[test]
fn a_host_that_prints_without_end_does_not_grow_the_process() {
    for line in ["a line of output that is long enough to be one", "y"] {
        let dir = tempfile::tempdir().unwrap();
        let task = |bytes: u64| format!("    - shell: yes '{line}' | head -c {bytes}\n");
        playbook(dir.path(), &task(1 << 20));
        let little = peak_mib(&mut xplay(dir.path(), &[]));
        playbook(dir.path(), &task(256 << 20));
        let much = peak_mib(&mut xplay(dir.path(), &[]));
        assert!(much < little + 160, "{line}: {much} MiB after 256 MiB of output, {little} MiB after 1 MiB");
    }
}

/// Returns the instructions that a loop of so many items takes.
fn instructions(valgrind: &Path, items: usize) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let task = "    - set_fact:\n        last: \"{{ inventory_hostname }}-{{ item }}-{{ item % 7 }}\"\n";
    playbook(dir.path(), &format!("{task}      loop: \"{{{{ range({items}) | list }}}}\"\n"));
    let out = format!("--callgrind-out-file={}", dir.path().join("out").display());
    let wrapper = [valgrind.to_str().unwrap(), "--tool=callgrind", &out];
    let ran = xplay(dir.path(), &wrapper).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{text}");
    let line = text.lines().find_map(|line| line.split_once("Collected : ")).unwrap();
    line.1.trim().parse().unwrap()
}

/// What one more item of the loop takes in a debug build, by the compiler that made it.
const ITEM: (&str, u64) = ("1.95.0", 760_399);

/// Instructions are counted, so that a busy machine does not matter.
#[test]
fn an_item_costs_the_same_however_many_there_are() {
    const TEST: &str = "an_item_costs_the_same_however_many_there_are";
    let Some(valgrind) = find_program("valgrind") else {
        skip(TEST, "there is no valgrind");
        return;
    };
    let [a, b, c] = [50, 100, 200].map(|items| instructions(&valgrind, items));
    let (early, late) = ((b - a) / 50, (c - b) / 100);
    assert!(late * 100 <= early * 105, "an item costs {early} instructions at first and {late} later");
    let compiler = Command::new("rustc").arg("--version").output().map(|o| o.stdout).unwrap_or_default();
    if String::from_utf8_lossy(&compiler).split(' ').nth(1) != Some(ITEM.0) {
        skip(TEST, &format!("the number of instructions is known for Rust {} only", ITEM.0));
        return;
    }
    let within = ITEM.1 * 95 / 100..=ITEM.1 * 105 / 100;
    assert!(
        within.contains(&late),
        "an item costs {late} instructions, not {}: if that is meant, write it down",
        ITEM.1
    );
}

/// The exchange that OpenSSH's own client prefers takes seven times the work of these.
#[tokio::test]
async fn the_key_exchange_is_a_cheap_one() {
    let Some(sshd) = Sshd::start_with("the_key_exchange_is_a_cheap_one", "LogLevel DEBUG1") else { return };
    let connection = sshd.connector("").connect(&sshd.spec()).await.unwrap();
    connection.close().await;
    let log = std::fs::read_to_string(sshd.path("log")).unwrap();
    let name = log.lines().find_map(|line| line.split_once("kex: algorithm: ")).unwrap().1;
    let name = name.split_whitespace().next().unwrap();
    assert!(["mlkem768x25519-sha256", "curve25519-sha256"].contains(&name), "{name}");
}

/// Hosts with an open connection and an idle shell.
const FEW: usize = 40;
const MANY: usize = 240;

/// What each of them may take of a process that holds both ends of the connection: files, and KiB in a debug build.
const FILES_EACH: f64 = 2.1;
const KIB_EACH: f64 = 240.0;

/// Connects to a host and leaves a shell there that has run something.
async fn at_rest(
    connector: &HostConnector,
    hosts: &PlainHosts,
    host: &HostAccess,
) -> (Box<dyn Connection>, Box<dyn Session>) {
    let spec = ConnectionSpec {
        address: host.address.ip().to_string(),
        port: Some(host.address.port()),
        keys: vec![host.key_file.clone()],
        known_hosts: vec![hosts.known_hosts_path()],
        ..ConnectionSpec::ssh(&*host.name)
    };
    let connection = connector.connect(&spec).await.unwrap();
    let mut session = connection.session(None).await.unwrap();
    let output = session.exec(Exec::new("echo \"$((6 * 7))\""), &mut NullSink).await.unwrap();
    assert_eq!(output.stdout_text(), "42\n");
    (connection, session)
}

/// Files and KiB of this process.
fn taken() -> (f64, f64) {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    (files as f64, line.trim().trim_end_matches(" kB").parse().unwrap())
}

#[ignore = "called by hosts_at_rest_take_little, which is alone in its process"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_at_rest() {
    let hosts = start_plain_inside(MANY).await.unwrap();
    let user = hosts.hosts()[0].user.clone();
    let connector = HostConnector::new(PRELUDE, Identity { user, ..Identity::default() });
    let mut open = Vec::new();
    let mut before = (0.0, 0.0);
    for (index, host) in hosts.hosts().iter().enumerate() {
        if index == FEW {
            before = taken();
        }
        open.push(at_rest(&connector, &hosts, host).await);
    }
    let after = taken();
    let each = |before: f64, after: f64| (after - before) / (MANY - FEW) as f64;
    println!("a host at rest: {:.2} files, {:.1} KiB", each(before.0, after.0), each(before.1, after.1));
    for (connection, session) in open {
        session.close().await;
        connection.close().await;
    }
}

#[test]
fn hosts_at_rest_take_little() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "costs::hosts_at_rest"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let figures = said.lines().find_map(|line| line.split_once("a host at rest: ")).unwrap().1;
    let number = |unit: &str| -> f64 {
        let before = figures.split(unit).next().unwrap().trim();
        before.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let (files, kib) = (number("files"), number("KiB"));
    assert!(files <= FILES_EACH && kib <= KIB_EACH, "{figures}");
}
