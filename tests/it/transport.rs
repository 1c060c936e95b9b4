//! The session suite: the same behaviour from every shell on pipes and from a real sshd.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use xplay::transport::durable::{self, JobState};
use xplay::transport::ssh_config::Arguments;
use xplay::transport::{
    BecomeMethod, BecomeSpec, Connection, ConnectionSpec, Connector, Content, DurableId, Exec, HostConnector,
    HostKeyPolicy, Identity, NullSink, Output, OutputSink, Session, Stream, TransportError, quote,
};

use crate::support::sshd::Sshd;
use crate::support::{find_program, shells, skip};

pub const PRELUDE: &str = "greet() {\n  printf 'hello %s\\n' \"$1\"\n}\n# a comment\nit='s'\n";

fn local(shell: &Path) -> ConnectionSpec {
    ConnectionSpec { shell: shell.display().to_string(), ..ConnectionSpec::local("here") }
}

fn connector() -> HostConnector {
    HostConnector::new(PRELUDE, Identity::from_environment())
}

pub async fn exec(session: &mut Box<dyn Session>, req: Exec) -> Output {
    session.exec(req, &mut NullSink).await.unwrap()
}

/// Bytes that look random, the same every time.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..size).map(|_| next()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// What every session does, whatever shell and connection carry it.
pub async fn suite(name: &str, connection: &dyn Connection) {
    let mut session = connection.session(None).await.unwrap();
    results(name, &mut session).await;
    bytes(name, &mut session).await;
    batches(name, &mut session).await;
    late_scripts(name, &mut session).await;
    jobs(name, &mut session).await;
    private_directory(name, session).await;
}

async fn results(name: &str, session: &mut Box<dyn Session>) {
    let check = async |session: &mut Box<dyn Session>, script: &str, rc: i32, stdout: &str| {
        let output = exec(session, Exec::new(script)).await;
        assert_eq!((output.rc, &*output.stdout_text()), (rc, stdout), "{name}: {script}");
    };
    check(session, "", 0, "").await;
    check(session, "echo out; echo err >&2; exit 3", 3, "out\n").await;
    check(session, "printf 'no newline'", 0, "no newline").await;
    check(session, "printf 'a\\000b\\036\\n'", 0, "a\0b\x1e\n").await;
    check(session, "false", 1, "").await;
    check(session, "(exit 255)", 255, "").await;
    check(session, "sh -c 'kill -9 $$'", 137, "").await;
    check(session, "set -e; echo a; false; echo b", 1, "a\n").await;
    check(session, "echo $#; cat", 0, "0\n").await;
    check(session, "x=1; cd /; umask 000; greet x", 0, "hello x\n").await;
    check(session, "echo \"[$x]$it\"", 0, "[]s\n").await;
    check(session, "cat <<'E'\na\\b $x\n\n  E\nE\necho z", 0, "a\\b $x\n\n  E\nz\n").await;
    check(session, "echo a\\\n\necho '\t b  '\n\n", 0, "a\n\t b  \n").await;
    check(session, "exec 1>&-; echo lost", 1, "").await;
    check(session, "return 4 2>/dev/null || exit 4", 4, "").await;
    let broken = exec(session, Exec::new("if then")).await;
    assert!(broken.rc != 0 && broken.stdout.is_empty(), "{name}: {broken:?}");
    let both = exec(session, Exec::new("printf o; printf e >&2; printf O; printf E >&2")).await;
    assert_eq!((&*both.stdout_text(), &*both.stderr_text()), ("oO", "eE"), "{name}");
    let words = ["a'b", "-n", "x\ny", "é\t$HOME `id` \\", ""];
    let script = format!("printf '[%s]' {}", words.map(quote).join(" "));
    check(session, &script, 0, "[a'b][-n][x\ny][é\t$HOME `id` \\][]").await;
    // A script cannot end its own frame: it does not know the marker.
    check(session, "set | grep -c '_xp_e [0-9a-f]'; _xp_e zz 2>/dev/null", 0, "0\n\x1ezz 0\n").await;
    // What a background process prints later belongs to nobody.
    check(session, "(sleep 0.2; echo late) & echo now", 0, "now\n").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    check(session, "echo next", 0, "next\n").await;
    let refused = session.exec(Exec::new("a\0b"), &mut NullSink).await;
    assert!(matches!(refused, Err(TransportError::Protocol { .. })), "{name}");
    assert_eq!(session.capabilities().kernel, "Linux", "{name}");
    let me = exec(session, Exec::new("id -un; printf %s ~")).await.stdout_text();
    let caps = session.capabilities();
    assert_eq!(me, format!("{}\n{}", caps.user, caps.home), "{name}");
}

async fn bytes(name: &str, session: &mut Box<dyn Session>) {
    let data = noise(1 << 20);
    let back = exec(session, Exec::new("cat").stdin(Content::bytes(data.clone()))).await;
    assert!(back.stdout == data && back.rc == 0, "{name}: 1 MiB there and back");
    for size in [1, 2, 255, 256, 257, 65_536, 65_537] {
        let part = Content::bytes(&data[..size]);
        let output = exec(session, Exec::new("cat; echo \"$XP_STDIN_SIZE\" >&2; exit 7").stdin(part)).await;
        assert_eq!((output.rc, output.stderr_text()), (7, format!("{size}\n")), "{name}");
        assert!(output.stdout == data[..size], "{name}: {size} bytes");
    }
    // A script that leaves its stdin unread, with content that would be harmful as commands.
    let trap = "echo harm; exit 9\n".repeat(20_000);
    for script in ["exit 5", "head -c 10 >/dev/null; exit 5", "exec <&-; exit 5"] {
        let output = exec(session, Exec::new(script).stdin(Content::bytes(trap.as_bytes()))).await;
        assert_eq!((output.rc, output.stdout.len()), (5, 0), "{name}: {script}");
    }
    assert_eq!(exec(session, Exec::new("cat").stdin(Content::bytes(*b""))).await.stdout, b"");
    let long = format!("printf %s {}; exit 6", quote(&"é'x\n".repeat(3000)));
    let output = exec(session, Exec::new(long)).await;
    assert_eq!((output.rc, output.stdout_text()), (6, "é'x\n".repeat(3000)), "{name}: long script");
    let cut = exec(session, Exec::new("head -c 3000 /dev/zero; echo e >&2").max_output(1000)).await;
    assert_eq!((cut.stdout.len(), cut.stderr.len(), cut.truncated), (1000, 2, true), "{name}");
}

async fn batches(name: &str, session: &mut Box<dyn Session>) {
    let count = if name == "ssh" { 5000 } else { 300 };
    let reqs = (0..count).map(|i| Exec::new(format!("echo {i}; exit {}", i % 100))).collect();
    let outputs = session.exec_all(reqs).await;
    for (i, output) in outputs.into_iter().enumerate() {
        let output = output.unwrap();
        assert_eq!((output.stdout_text(), output.rc), (format!("{i}\n"), i as i32 % 100), "{name}");
    }
}

async fn late_scripts(name: &str, session: &mut Box<dyn Session>) {
    let start = Instant::now();
    let pids = tempfile::NamedTempFile::new().unwrap();
    let file = quote(&pids.path().display().to_string());
    let script = format!("sleep 77 & echo $! >{file}; sleep 88");
    let late = session.exec(Exec::new(script).timeout(Duration::from_millis(300)), &mut NullSink).await;
    assert!(matches!(late, Err(TransportError::Timeout { .. })), "{name}: {late:?}");
    let pid = std::fs::read_to_string(pids.path()).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).join("exe").exists(), "{name}: the group is gone");
    let output = exec(session, Exec::new("greet again")).await;
    assert_eq!(output.stdout_text(), "hello again\n", "{name}: usable after a timeout");
    // An upload that is cut off: its rest is never taken for commands.
    let harm = format!("echo harm >>{file}\n").repeat(100_000);
    let upload = Exec::new("read -r x; sleep 77").stdin(Content::bytes(harm.as_bytes()));
    let late = session.exec(upload.timeout(Duration::from_millis(200)), &mut NullSink).await;
    assert!(matches!(late, Err(TransportError::Timeout { .. })), "{name}: {late:?}");
    // Somebody kills the program that takes the upload; it may not have started when the script does.
    let murder = r#"
group=$(ps -o pgid= -p $$ | tr -d ' ')
while :; do
  for p in /proc/[0-9]*; do
    read -r stat <$p/stat || continue
    set -- ${stat##*)}
    case $stat in *'(head)'*|*'(dd)'*) [ $3 != "$group" ] || { kill -9 ${p#/proc/}; exit 0; } ;; esac
  done 2>/dev/null
  sleep 0.05
done"#;
    if !name.contains("busybox") {
        let upload = Exec::new(murder).stdin(Content::bytes(harm.as_bytes()));
        let lost = session.exec(upload, &mut NullSink).await;
        assert!(matches!(lost, Err(TransportError::Lost { .. })), "{name}: {lost:?}");
    }
    assert_eq!(exec(session, Exec::new("echo still")).await.stdout, b"still\n", "{name}");
    assert!(!std::fs::read_to_string(pids.path()).unwrap().contains("harm"), "{name}");
    // A call that was dropped in the middle.
    let mut sink = NullSink;
    let dropped = session.exec(Exec::new(format!("echo $$ >{file}; sleep 99")), &mut sink);
    assert!(tokio::time::timeout(Duration::from_millis(300), dropped).await.is_err());
    assert_eq!(exec(session, Exec::new("echo $$")).await.rc, 0, "{name}: usable after a dropped call");
    let shell = std::fs::read_to_string(pids.path()).unwrap();
    assert!(!Path::new("/proc").join(shell.trim()).join("exe").exists(), "{name}: its shell is gone");
    let batch = vec![
        Exec::new("echo 1"),
        Exec::new("sleep 66").timeout(Duration::from_millis(200)),
        Exec::new("echo 3"),
    ];
    let results = session.exec_all(batch).await;
    assert_eq!(results[0].as_ref().unwrap().stdout, b"1\n", "{name}");
    assert!(matches!(results[1], Err(TransportError::Timeout { .. })), "{name}");
    assert!(matches!(results[2], Err(TransportError::Lost { .. })), "{name}");
    assert!(start.elapsed() < Duration::from_secs(20), "{name}: {:?}", start.elapsed());
}

async fn jobs(name: &str, session: &mut Box<dyn Session>) {
    let id = DurableId::new(&format!("test-{name}-{}", std::process::id())).unwrap();
    assert_eq!(durable::state(&mut **session, &id).await.unwrap(), JobState::NotStarted, "{name}");
    let script = "greet job; cat; echo oops >&2; xp_tmp; [ -d \"$XP_TMP\" ]; sleep 0.3; printf end; exit 42";
    let req = Exec::new(script).stdin(Content::bytes(*b"in\0put")).durable(id.clone()).streaming();
    let mut seen = Gathered::default();
    let output = session.exec(req.clone(), &mut seen).await.unwrap();
    assert_eq!((output.rc, &*output.stdout), (42, &b"hello job\nin\0putend"[..]), "{name}: {output:?}");
    assert_eq!((&*output.stderr, &*seen.stderr), (&b"oops\n"[..], &b"oops\n"[..]), "{name}");
    assert_eq!(seen.stdout, output.stdout, "{name}");
    // Again is the same result, not another run; another script under this name is a mistake.
    let again = exec(session, req).await;
    assert_eq!((again.rc, again.stdout), (42, output.stdout), "{name}");
    let other = session.exec(Exec::new("true").durable(id.clone()), &mut NullSink).await;
    assert!(matches!(other, Err(TransportError::Protocol { .. })), "{name}");
    assert_eq!(durable::state(&mut **session, &id).await.unwrap(), JobState::Finished(42), "{name}");
    durable::confirm(&mut **session, &id).await.unwrap();
    assert_eq!(durable::state(&mut **session, &id).await.unwrap(), JobState::NotStarted, "{name}");

    let late = Exec::new("sleep 55").durable(id.clone()).timeout(Duration::from_millis(300));
    let late = session.exec(late, &mut NullSink).await;
    assert!(matches!(late, Err(TransportError::Timeout { .. })), "{name}: {late:?}");
    assert_eq!(durable::state(&mut **session, &id).await.unwrap(), JobState::Finished(143), "{name}");
    durable::confirm(&mut **session, &id).await.unwrap();

    let murdered = Exec::new("kill -9 $PPID; sleep 0.1").durable(id.clone());
    let murdered = session.exec(murdered, &mut NullSink).await;
    assert!(matches!(murdered, Err(TransportError::Lost { .. })), "{name}: {murdered:?}");
    assert_eq!(durable::state(&mut **session, &id).await.unwrap(), JobState::Died, "{name}");
    durable::confirm(&mut **session, &id).await.unwrap();
}

async fn private_directory(name: &str, mut session: Box<dyn Session>) {
    let script =
        "umask 000; xp_tmp && xp_tmp && echo x >\"$XP_TMP/f\" && ls -ld \"$XP_TMP\" && echo \"$XP_TMP\"";
    let text = exec(&mut session, Exec::new(script)).await.stdout_text();
    let folder = text.lines().last().unwrap().to_owned();
    assert!(text.starts_with("drwx------") && Path::new(&folder).is_dir(), "{name}: {text}");
    assert_eq!(exec(&mut session, Exec::new("cat \"$XP_TMP/f\"")).await.stdout, b"x\n", "{name}");
    session.close().await;
    assert!(!Path::new(&folder).exists(), "{name}: {folder} is left");
}

#[derive(Default)]
struct Gathered {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    chunks: Vec<Instant>,
}

impl OutputSink for Gathered {
    fn chunk(&mut self, stream: Stream, bytes: &[u8]) {
        self.chunks.push(Instant::now());
        match stream {
            Stream::Stdout => self.stdout.extend_from_slice(bytes),
            Stream::Stderr => self.stderr.extend_from_slice(bytes),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shell_behaves_alike() {
    let folder = tempfile::tempdir().unwrap();
    for (name, shell) in shells(folder.path()) {
        let connection = connector().connect(&local(&shell)).await.unwrap();
        let start = Instant::now();
        suite(&name, &*connection).await;
        println!("{name}: {:?}", start.elapsed());
        connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sshd_behaves_like_a_local_shell() {
    let test = "sshd_behaves_like_a_local_shell";
    // New keys after every 8 MiB: the large upload goes through several exchanges.
    let Some(server) = Sshd::start_with(test, "RekeyLimit 8M") else { return };
    let connection = server.connector(PRELUDE).connect(&server.spec()).await.unwrap();
    let start = Instant::now();
    suite("ssh", &*connection).await;
    println!("ssh: {:?}", start.elapsed());

    // One large upload from a file, and chunks that come while the script runs.
    let mut session = connection.session(None).await.unwrap();
    let data = noise(64 << 20);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &data).unwrap();
    let content = Content::File { path: file.path().to_path_buf(), size: data.len() as u64 };
    let output = exec(&mut session, Exec::new("sha256sum").stdin(content)).await;
    assert_eq!(output.stdout_text().split(' ').next(), Some(&*sha256(&data)));
    let mut seen = Gathered::default();
    session.exec(Exec::new("echo a; sleep 0.3; echo b").streaming(), &mut seen).await.unwrap();
    assert_eq!(seen.stdout, b"a\nb\n");
    assert!(seen.chunks[seen.chunks.len() - 1] - seen.chunks[0] > Duration::from_millis(200));

    // A file that is shorter than announced never looks like a success.
    let content = Content::File { path: file.path().to_path_buf(), size: data.len() as u64 + 1 };
    let short = session.exec(Exec::new("cat >/dev/null").stdin(content), &mut NullSink).await;
    assert!(matches!(short, Err(TransportError::Local { .. })), "{short:?}");
    assert_eq!(exec(&mut session, Exec::new("echo ok")).await.stdout, b"ok\n");

    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(connection.session(None).await.unwrap());
    }
    for session in &mut sessions {
        assert_eq!(exec(session, Exec::new("exit 2")).await.rc, 2);
    }
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_lost_and_a_job_goes_on() {
    let Some(server) = Sshd::start("a_cut_connection_is_lost_and_a_job_goes_on") else { return };
    cuts(&server, &server.spec()).await;
}

/// Cuts connections to a server while scripts and jobs run there.
pub async fn cuts(server: &Sshd, spec: &ConnectionSpec) {
    let connection = server.connector(PRELUDE).connect(spec).await.unwrap();
    let mut session = connection.session(None).await.unwrap();

    let mut sink = NullSink;
    let running = session.exec(Exec::new("sleep 5"), &mut sink);
    let cut = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.cut_connections();
    };
    let (lost, ()) = tokio::join!(running, cut);
    assert!(matches!(lost, Err(TransportError::Lost { .. })), "{lost:?}");
    assert_eq!(exec(&mut session, Exec::new("greet back")).await.stdout_text(), "hello back\n");

    let id = DurableId::new(&format!("cut-{}", std::process::id())).unwrap();
    let (counter, gate) = (server.path("counter"), server.path("gate"));
    let script = format!(
        "echo run >>{}; echo first; while [ ! -e {} ]; do sleep 0.1; done; echo second; exit 3",
        quote(&counter.display().to_string()),
        quote(&gate.display().to_string()),
    );
    let req = Exec::new(script).durable(id.clone()).timeout(Duration::from_secs(60));
    let has_started = async || {
        while !counter.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Past the answer to the start, into the watching.
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    // While a job is only watched, a cut connection is made again and nobody notices.
    let running = session.exec(req.clone(), &mut sink);
    let (output, ()) = tokio::join!(running, async {
        has_started().await;
        server.cut_connections();
        tokio::time::sleep(Duration::from_millis(200)).await;
        std::fs::write(&gate, "").unwrap();
    });
    assert_eq!(output.unwrap().stdout, b"first\nsecond\n");
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "run\n", "it ran once");
    durable::confirm(&mut *session, &id).await.unwrap();

    // When this side is gone for a while, another session finds the job.
    std::fs::remove_file(&counter).unwrap();
    std::fs::remove_file(&gate).unwrap();
    tokio::select! {
        output = session.exec(req.clone(), &mut sink) => panic!("{output:?}"),
        () = has_started() => {}
    }
    server.cut_connections();
    drop(session);
    let mut session = connection.session(None).await.unwrap();
    assert_eq!(durable::state(&mut *session, &id).await.unwrap(), JobState::Running);
    assert!(durable::confirm(&mut *session, &id).await.is_err(), "a running job is not removed");
    std::fs::write(&gate, "").unwrap();
    let output = session.exec(req, &mut NullSink).await.unwrap();
    assert_eq!((output.rc, output.stdout_text()), (3, "first\nsecond\n".to_owned()));
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "run\n", "it ran once");
    durable::confirm(&mut *session, &id).await.unwrap();
    assert_eq!(durable::state(&mut *session, &id).await.unwrap(), JobState::NotStarted);
}

pub async fn refusal(server: &Sshd, spec: &ConnectionSpec) -> TransportError {
    match server.connector("").connect(spec).await {
        Ok(_) => panic!("connected"),
        Err(e) => e,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_keys_are_checked() {
    let Some(server) = Sshd::start("host_keys_are_checked") else { return };
    let print =
        std::process::Command::new("ssh-keygen").args(["-lf"]).arg(server.path("host_key.pub")).output();
    let print = String::from_utf8(print.unwrap().stdout).unwrap();
    let fingerprint = print.split(' ').nth(1).unwrap().to_owned();
    let file = server.path("kh");
    let spec = ConnectionSpec { known_hosts: vec![file.clone()], ..server.spec() };

    let unknown = refusal(&server, &spec).await;
    assert_eq!(unknown.to_string(), format!("host key of sshd is not known: ssh-ed25519 {fingerprint}"));
    assert!(unknown.help().unwrap().starts_with("\"xplay hosts trust sshd\" shows the key and adds it to "));

    let other = std::fs::read_to_string(server.path("user_key.pub")).unwrap();
    let other = other.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    std::fs::write(&file, format!("# mine\n[127.0.0.1]:{} {other}\n", server.port)).unwrap();
    let changed = refusal(&server, &spec).await;
    let TransportError::HostKeyChanged(changed) = changed else { panic!("{changed}") };
    assert_eq!((&changed.fingerprint, changed.line), (&fingerprint, 2));
    assert!(changed.known.starts_with("SHA256:") && changed.known != fingerprint, "{changed}");
    let accepting = ConnectionSpec { host_key_policy: Some(HostKeyPolicy::AcceptNew), ..spec.clone() };
    assert!(matches!(refusal(&server, &accepting).await, TransportError::HostKeyChanged(_)));
    let off = ConnectionSpec { host_key_policy: Some(HostKeyPolicy::Off), ..spec.clone() };
    server.connector("").connect(&off).await.unwrap().close().await;

    std::fs::remove_file(&file).unwrap();
    server.connector("").connect(&accepting).await.unwrap().close().await;
    server.connector("").connect(&spec).await.unwrap().close().await;
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, format!("[127.0.0.1]:{} {}\n", server.port, server.host_key()));

    std::fs::write(&file, format!("{text}@revoked * {}\n", server.host_key())).unwrap();
    assert!(matches!(refusal(&server, &off).await, TransportError::HostKeyRevoked { line: 2, .. }));

    let given = format!("[127.0.0.1]:{} {}", server.port, server.host_key());
    let given =
        ConnectionSpec { known_hosts: vec![server.path("none")], extra_host_keys: vec![given], ..spec };
    server.connector("").connect(&given).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_certificates_are_trusted_by_authority() {
    let Some(server) = Sshd::start("host_certificates_are_trusted_by_authority") else { return };
    let sign = |principal: &str, valid: &str| {
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-s"])
            .arg(server.path("user_key"))
            .args(["-I", "node", "-h", "-n", principal, "-V", valid])
            .arg(server.path("host_key.pub"))
            .status();
        assert!(made.unwrap().success());
    };
    let authority = std::fs::read_to_string(server.path("user_key.pub")).unwrap();
    for (principal, valid, good) in
        [("127.0.0.1", "-1d:+1d", true), ("other", "-1d:+1d", false), ("127.0.0.1", "-2d:-1d", false)]
    {
        sign(principal, valid);
        let certificate = format!("HostCertificate {}", server.path("host_key-cert.pub").display());
        // The server with the certificate needs the same host key, so it gets its files by configuration.
        let key = format!("HostKey {}", server.path("host_key").display());
        let Some(certified) = Sshd::start_with("host_certificates", &format!("{key}\n{certificate}")) else {
            return;
        };
        let file = certified.path("ca");
        std::fs::write(&file, format!("@cert-authority [127.0.0.1]:* {authority}")).unwrap();
        for kind in crate::ssh_binary::kinds("host_certificates") {
            let spec = ConnectionSpec { known_hosts: vec![file.clone()], ..certified.spec() };
            let spec = ConnectionSpec { kind, ..with_args(spec, &["-F", "none"]) };
            let result = certified.connector("").connect(&spec).await;
            assert_eq!(result.is_ok(), good, "{kind:?} {principal} {valid}: {:?}", result.err());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_say_what_was_tried() {
    let Some(server) = Sshd::start("logins_say_what_was_tried") else { return };
    let locked = server.path("locked");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "secret", "-f"])
        .arg(&locked)
        .status();
    assert!(made.unwrap().success());
    let spec = ConnectionSpec { keys: vec![locked.clone(), server.path("absent")], ..server.spec() };
    let error = refusal(&server, &spec).await.to_string();
    let expect = format!(
        "cannot log in to sshd as {}: {} is encrypted (give its passphrase, or add it to an agent with ssh-add); {} does \
         not exist; the server takes publickey",
        server.user,
        locked.display(),
        server.path("absent").display(),
    );
    assert!(error.starts_with(&expect), "{error}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refusal(&server, &ConnectionSpec { port: Some(closed), ..server.spec() }).await;
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error}");
}

/// Adds arguments for OpenSSH's client.
pub fn with_args(spec: ConnectionSpec, args: &[&str]) -> ConnectionSpec {
    let arguments = Arguments::parse(args.iter().map(ToString::to_string)).unwrap();
    ConnectionSpec { arguments: Arc::new(arguments), ..spec }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jumps_lead_through_another_host() {
    let Some(inner) = Sshd::start("jumps_lead_through_another_host") else { return };
    let Some(outer) = Sshd::start("jumps_lead_through_another_host") else { return };
    let config = inner.path("config");
    std::fs::write(&config, outer.config("outer")).unwrap();
    for kind in crate::ssh_binary::kinds("jumps_lead_through_another_host") {
        let spec = with_args(inner.spec(), &["-F", &config.display().to_string(), "-J", "outer"]);
        let spec = ConnectionSpec { kind, ..spec };
        let connection = inner.connector(PRELUDE).connect(&spec).await.unwrap();
        let mut session = connection.session(None).await.unwrap();
        let port = exec(&mut session, Exec::new("set -- $SSH_CONNECTION; echo $4")).await.stdout_text();
        assert_eq!(port.trim(), inner.port.to_string(), "{kind:?}");
        outer.cut_connections();
        let after = session.exec(Exec::new("true"), &mut NullSink).await;
        assert!(after.is_err() || after.is_ok_and(|o| o.success()), "{kind:?}");
        connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_connects_are_tried_again() {
    let config = "MaxStartups 2:90:4";
    let Some(server) = Sshd::start_with("dropped_connects_are_tried_again", config) else { return };
    for kind in crate::ssh_binary::kinds("dropped_connects_are_tried_again") {
        let spec = ConnectionSpec { kind, ..with_args(server.spec(), &["-F", "none"]) };
        let connector = Arc::new(server.connector(""));
        let tasks: Vec<_> = (0..24)
            .map(|_| {
                let (connector, spec) = (connector.clone(), spec.clone());
                tokio::spawn(async move {
                    let connection = connector.connect(&spec).await?;
                    connection.close().await;
                    Ok::<_, TransportError>(())
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_users_are_reached_by_sudo_and_su() {
    let test = "other_users_are_reached_by_sudo_and_su";
    if Identity::from_environment().user != "root" {
        skip(test, "it needs to be root");
        return;
    }
    let connection = connector().connect(&ConnectionSpec::local("here")).await.unwrap();
    let root = BecomeSpec::new(BecomeMethod::Sudo, "root");
    assert_eq!(connection.session(Some(&root)).await.unwrap().capabilities().uid, 0);
    for method in [BecomeMethod::Sudo, BecomeMethod::Su] {
        if find_program(&method.to_string()).is_none() {
            skip(test, &format!("there is no {method}"));
            continue;
        }
        let other = BecomeSpec::new(method, "nobody");
        let mut session = connection.session(Some(&other)).await.unwrap();
        assert_eq!(session.capabilities().user, "nobody");
        assert_eq!(exec(&mut session, Exec::new("id -un")).await.stdout, b"nobody\n");
        let sent = exec(&mut session, Exec::new("wc -c").stdin(Content::bytes(noise(100_000)))).await;
        assert_eq!(sent.stdout_text().trim(), "100000");
        let late = session
            .exec(Exec::new("trap : TERM; sleep 44").timeout(Duration::from_millis(200)), &mut NullSink)
            .await;
        assert!(matches!(late, Err(TransportError::Timeout { .. })), "{method}: {late:?}");
        assert_eq!(exec(&mut session, Exec::new("id -un")).await.stdout, b"nobody\n", "{method}");
        session.close().await;
        let nobody = BecomeSpec::new(method, "no-such-user");
        let error = connection.session(Some(&nobody)).await.err().unwrap();
        assert!(matches!(error, TransportError::Become { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_shells_need_not_be_posix() {
    for name in ["tcsh", "fish"] {
        let Some(shell) = find_program(name) else {
            skip("login_shells_need_not_be_posix", &format!("there is no {name}"));
            continue;
        };
        let folder = tempfile::tempdir().unwrap();
        let wrapper = folder.path().join("sh");
        // `-c TEXT` goes to the login shell first; what it then starts is called with `-c` again.
        let text = format!(
            "#!/bin/sh\ncase $2 in exec*) exec {} -f -c \"$2\" ;; esac\nexec /bin/sh \"$@\"\n",
            shell.display()
        );
        let text = if name == "fish" { text.replace(" -f -c", " -c") } else { text };
        std::fs::write(&wrapper, text).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
        let connection = connector().connect(&local(&wrapper)).await.unwrap();
        let mut session = connection.session(None).await.unwrap();
        assert_eq!(exec(&mut session, Exec::new("greet you; exit 4")).await.rc, 4, "{name}");
    }
}

/// Makes a shell whose `PATH` begins with a folder of our programs.
fn shell_with(folder: &Path, programs: &[(&str, &str)], path: &str) -> ConnectionSpec {
    use std::os::unix::fs::PermissionsExt;
    let own = folder.join("own");
    std::fs::create_dir_all(&own).unwrap();
    let write = |file: &Path, text: &str| {
        std::fs::write(file, text).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    for (name, text) in programs {
        write(&own.join(name), text);
    }
    let shell = folder.join("sh");
    write(&shell, &format!("#!/bin/sh\nPATH={}:{path}; export PATH\nexec /bin/sh \"$@\"\n", own.display()));
    local(&shell)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_with_few_tools_is_enough() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let posix =
        ["cat", "date", "id", "mkdir", "mv", "rm", "rmdir", "sleep", "tail", "uname", "wc", "grep", "ps"];
    for name in posix {
        match find_program(name) {
            Some(path) => symlink(path, bin.join(name)).unwrap(),
            None => return skip("a_target_with_few_tools_is_enough", &format!("there is no {name}")),
        }
    }
    let spec = shell_with(folder.path(), &[], &bin.display().to_string());
    let connection = connector().connect(&spec).await.unwrap();
    let mut session = connection.session(None).await.unwrap();
    assert_eq!(session.capabilities().has, xplay::transport::Tools::default());
    let data = noise(100_000);
    let back = exec(&mut session, Exec::new("cat; exit 3").stdin(Content::bytes(data.clone()))).await;
    assert!(back.stdout == data && back.rc == 3);
    let unread = Exec::new("exit 5").stdin(Content::bytes("echo harm\n".repeat(9000).as_bytes()));
    let unread = exec(&mut session, unread).await;
    assert_eq!((unread.rc, &*unread.stdout), (5, &b""[..]));
    let long = format!("printf %s {}", quote(&"x%\\'\n".repeat(2000)));
    assert_eq!(exec(&mut session, Exec::new(long)).await.stdout_text(), "x%\\'\n".repeat(2000));
    jobs("few-tools", &mut session).await;
    session.close().await;
}

/// A sudo that asks as the real one does, and wants `sesame`.
const SUDO: &str = r#"#!/bin/sh
prompt=
while :; do
  case $1 in -p) prompt=$2; shift 2 ;; -u) shift 2 ;; --) shift; break ;; -n) n=1; shift ;; *) shift ;; esac
done
[ -z "$n" ] || { echo 'sudo: a password is required' >&2; exit 1; }
printf 'We trust you have received the usual lecture.\n\n' >&2
for i in 1 2 3; do
  printf %s "$prompt" >&2
  IFS= read -r word || exit 1
  [ "$word" != sesame ] || exec "$@"
  echo 'Sorry, try again.' >&2
done
echo 'sudo: 3 incorrect password attempts' >&2
exit 1
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sudo_gets_the_password_when_it_asks() {
    let folder = tempfile::tempdir().unwrap();
    let spec = shell_with(folder.path(), &[("sudo", SUDO)], &std::env::var("PATH").unwrap());
    let connector = connector();
    let connection = connector.connect(&spec).await.unwrap();
    let mut other = BecomeSpec::new(BecomeMethod::Sudo, "operator");
    let refused = |error: Option<TransportError>| error.map(|e| e.to_string()).unwrap_or_default();

    let error = refused(connection.session(Some(&other)).await.err());
    let expect = "cannot become operator on here by sudo: a password is needed, and none was given (sudo: a \
                  password is required)";
    assert_eq!(error, expect);
    other.password = Some(xplay::value::Secret::new("wrong"));
    let error = refused(connection.session(Some(&other)).await.err());
    assert_eq!(error, "cannot become operator on here by sudo: the password was not accepted");
    // Nobody else tries it: a thousand hosts would lock a thousand accounts.
    let second = connector.connect(&ConnectionSpec { host: "second".into(), ..spec.clone() }).await.unwrap();
    let error = refused(second.session(Some(&other)).await.err());
    let expect = "cannot become operator on second by sudo: the password was not accepted on here, so it is not tried \
                  here";
    assert_eq!(error, expect);
    other.password = Some(xplay::value::Secret::new("sesame"));
    let mut session = connection.session(Some(&other)).await.unwrap();
    assert_eq!(exec(&mut session, Exec::new("greet you")).await.stdout, b"hello you\n");
    session.close().await;
    // A sudo that does not ask gets no password, and the shell does not run it as a command.
    std::fs::write(
        folder.path().join("own/sudo"),
        SUDO.replace("for i in 1 2 3; do", "exec \"$@\"\nwhile :; do"),
    )
    .unwrap();
    let mut session = connection.session(Some(&other)).await.unwrap();
    let output = exec(&mut session, Exec::new("greet you")).await;
    assert_eq!((&*output.stdout, &*output.stderr), (&b"hello you\n"[..], &b""[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_come_from_the_agent_and_the_home_folder() {
    let test = "keys_come_from_the_agent_and_the_home_folder";
    let Some(server) = Sshd::start(test) else { return };
    let spec = ConnectionSpec { keys: Vec::new(), ..server.spec() };
    let log_in = async |home: Option<&Path>, agent: Option<&Path>| {
        let own = |p: Option<&Path>| p.map(Path::to_path_buf);
        let (home, agent) = (own(home), own(agent));
        let identity = Identity { user: server.user.clone(), home, agent, ..Identity::default() };
        HostConnector::new("", identity).connect(&spec).await.map(|_| ()).map_err(|e| e.to_string())
    };
    let nothing = format!(
        "cannot log in to sshd as {}: there is nothing to try; the server takes publickey",
        server.user
    );
    assert_eq!(log_in(None, None).await.unwrap_err(), nothing);

    // A key of the old kind, which is signed in a newer way.
    let home = server.path("home");
    std::fs::create_dir_all(home.join(".ssh")).unwrap();
    let rsa = home.join(".ssh/id_rsa");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"])
        .arg(&rsa)
        .status();
    assert!(made.unwrap().success());
    let mut authorized = std::fs::read(server.path("authorized_keys")).unwrap();
    authorized.extend(std::fs::read(home.join(".ssh/id_rsa.pub")).unwrap());
    std::fs::write(server.path("authorized_keys"), authorized).unwrap();
    log_in(Some(&home), None).await.unwrap();

    let (Some(agent), Some(add)) = (find_program("ssh-agent"), find_program("ssh-add")) else {
        return skip(test, "there is no ssh-agent");
    };
    for key in [server.path("user_key"), rsa] {
        let socket = server.path("agent");
        let mut running = std::process::Command::new(&agent)
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let added = async {
            let mut add = std::process::Command::new(&add);
            add.arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket);
            // The socket is there a moment before the agent listens on it.
            while !socket.exists() || !add.status().unwrap().success() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), added).await.unwrap();
        let result = log_in(None, Some(&socket)).await;
        running.kill().unwrap();
        running.wait().unwrap();
        std::fs::remove_file(&socket).unwrap_or_default();
        result.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_servers_are_reached_on_request() {
    let config = "KexAlgorithms diffie-hellman-group14-sha1\nCiphers aes128-cbc\nMACs hmac-sha1";
    let Some(server) = Sshd::start_with("old_servers_are_reached_on_request", config) else { return };
    let modern = refusal(&server, &server.spec()).await.to_string();
    assert!(
        modern.starts_with(
            "cannot reach sshd: no common kex algorithm: the server offers diffie-hellman-group14-sha1"
        ) && modern.ends_with(
            "; an old server: allow its algorithms for this host alone, with xplay_legacy_ssh: true among its \
             variables or KexAlgorithms +diffie-hellman-group14-sha1 in ssh_config"
        ),
        "{modern}"
    );
    let allowed = ["-oKexAlgorithms=+*group14-sha1", "-oCiphers=^aes128-cbc", "-oMACs=hmac-sha1"];
    server.connector("").connect(&with_args(server.spec(), &allowed)).await.unwrap().close().await;
    let legacy = ConnectionSpec { legacy: true, ..server.spec() };
    let connection = server.connector(PRELUDE).connect(&legacy).await.unwrap();
    let mut session = connection.session(None).await.unwrap();
    let data = noise(1 << 20);
    let back = exec(&mut session, Exec::new("cat").stdin(Content::bytes(data.clone()))).await;
    assert!(back.stdout == data);
}
