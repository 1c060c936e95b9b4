//! Connections as ssh_config describes them, to real servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use xplay::transport::{Connection, ConnectionSpec, Connector, Exec, HostConnector, Identity, NullSink};

use crate::support::sshd::Sshd;
use crate::support::{find_program, skip};

async fn run(connection: &dyn Connection, script: &str) -> String {
    let mut session = connection.session(None).await.unwrap();
    session.exec(Exec::new(script), &mut NullSink).await.unwrap().stdout_text()
}

async fn failure(connector: &HostConnector, spec: &ConnectionSpec) -> String {
    match connector.connect(spec).await {
        Ok(_) => panic!("connected"),
        Err(e) => e.to_string(),
    }
}

fn keygen(args: &[&str]) {
    assert!(Command::new("ssh-keygen").arg("-q").args(args).status().unwrap().success());
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// An agent that ends with the test.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(test: &str, folder: &Path) -> Option<Self> {
        let (Some(agent), Some(_)) = (find_program("ssh-agent"), find_program("ssh-add")) else {
            skip(test, "there is no ssh-agent");
            return None;
        };
        let socket = folder.join("agent");
        let child =
            Command::new(agent).arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        for _ in 0..1000 {
            if socket.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(Self { child, socket })
    }

    fn add(&self, args: &[&str]) -> String {
        let output = Command::new("ssh-add").args(args).env("SSH_AUTH_SOCK", &self.socket).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_reached_as_its_configuration_says() {
    let Some(server) = Sshd::start("a_host_is_reached_as_its_configuration_says") else { return };
    let config = server.path("config");
    fs::write(&config, server.config("sn1")).unwrap();
    let connector = server.connector("");
    let spec = server.spec_of(&config, "sn1");
    let connection = connector.connect(&spec).await.unwrap();
    assert_eq!(run(&*connection, "id -un").await.trim(), server.user);

    // What the inventory says comes first.
    let wrong = ConnectionSpec { user: Some("nobody-here".into()), ..spec.clone() };
    let refused = failure(&connector, &wrong).await;
    assert!(refused.starts_with("cannot log in to sn1 as nobody-here: "), "{refused}");
    // Another name is another host.
    let other = server.spec_of(&config, "no-such-host.invalid");
    let unknown = failure(&connector, &other).await;
    assert!(unknown.starts_with("cannot reach no-such-host.invalid: "), "{unknown}");

    fs::write(&config, "Host *\n LocalForward 1 x:2\n Frob yes\n").unwrap();
    let closed = ConnectionSpec { port: Some(1), ..server.spec_of(&config, "127.0.0.1") };
    let refused = failure(&connector, &closed).await;
    assert!(refused.starts_with("cannot reach 127.0.0.1: "), "{refused}");
    let place = text(&config);
    let expect = [
        format!("{place}:2: localforward is not supported and ignored"),
        format!("{place}:3: frob is no known keyword and ignored"),
    ];
    assert_eq!(connector.take_warnings(), expect);
    failure(&connector, &closed).await;
    assert!(connector.take_warnings().is_empty(), "told once");
    fs::write(&config, "Port x\n").unwrap();
    let mistake = failure(&connector, &server.spec_of(&config, "sn1")).await;
    assert_eq!(mistake, format!("cannot reach sn1: {place}:1: \"x\" is no value of port"));
    for name in ["-oProxyCommand=id", "a b", "$(id)"] {
        let refused = failure(&connector, &server.spec_of(&config, name)).await;
        assert_eq!(refused, format!("cannot reach {name}: {name:?} is no name of a host"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_users_own_file_is_read_if_nobody_else_can_write_it() {
    use std::os::unix::fs::PermissionsExt;
    let Some(server) = Sshd::start("the_users_own_file_is_read_if_nobody_else_can_write_it") else { return };
    let home = server.path("home");
    fs::create_dir_all(home.join(".ssh")).unwrap();
    let config = home.join(".ssh/config");
    fs::write(&config, server.config("sn1")).unwrap();
    let identity = Identity { user: server.user.clone(), home: Some(home), ..Identity::default() };
    let connector = HostConnector::new("", identity);
    connector.connect(&ConnectionSpec::ssh("sn1")).await.unwrap().close().await;
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).unwrap();
    let refused = failure(&connector, &ConnectionSpec::ssh("sn1")).await;
    let expect = format!(
        "cannot reach sn1: {}: cannot read the ssh configuration: others can write it; make it yours alone: chmod go-w",
        text(&config)
    );
    assert_eq!(refused, expect);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_of_jumps_are_shared() {
    let test = "chains_of_jumps_are_shared";
    let start = || Sshd::start_with(test, "LogLevel VERBOSE");
    let (Some(first), Some(second), Some(last)) = (start(), start(), start()) else { return };
    let config = last.path("config");
    let text_of = |jump: &str| {
        [first.config("first"), second.config("second"), last.config("last"), format!(" ProxyJump {jump}\n")]
            .concat()
    };
    fs::write(&config, text_of("first,second")).unwrap();
    let connector = last.connector("");
    let spec = last.spec_of(&config, "last");
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(connector.connect(&spec).await.unwrap());
    }
    for connection in &connections {
        let port = run(&**connection, "set -- $SSH_CONNECTION; echo $4").await;
        assert_eq!(port.trim(), last.port.to_string());
    }
    let logins =
        |server: &Sshd| fs::read_to_string(server.path("log")).unwrap().matches("Accepted publickey").count();
    assert_eq!((logins(&first), logins(&second), logins(&last)), (1, 1, 3));
    // When the way breaks, it is made again.
    first.cut_connections();
    second.cut_connections();
    last.cut_connections();
    assert_eq!(run(&*connections[0], "echo again").await, "again\n");

    fs::write(&config, text_of("last")).unwrap();
    let circle = failure(&connector, &spec).await;
    assert_eq!(circle, "cannot reach last: its jump host is the host itself");
    fs::write(&config, "Host a\n ProxyJump b\nHost b\n ProxyJump a\n").unwrap();
    let circle = failure(&connector, &last.spec_of(&config, "a")).await;
    assert_eq!(circle, "cannot reach a: its jump hosts lead in a circle");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_can_carry_the_connection() {
    let test = "a_program_can_carry_the_connection";
    let Some(server) = Sshd::start(test) else { return };
    if find_program("bash").is_none() {
        return skip(test, "there is no bash");
    }
    let config = server.path("config");
    let with =
        |command: &str| fs::write(&config, server.config("sn1") + " ProxyCommand " + command + "\n").unwrap();
    let connector = server.connector("");
    let spec = server.spec_of(&config, "sn1");
    with("bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & cat >&3; kill $!'");
    let connection = connector.connect(&spec).await.unwrap();
    assert_eq!(run(&*connection, "echo there").await, "there\n");
    connection.close().await;

    with("sh -c 'echo no route for %n >&2; exit 1'");
    let refused = failure(&connector, &spec).await;
    assert!(refused.ends_with("; ProxyCommand says: no route for sn1"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_are_used_forwarded_and_filled() {
    let test = "agents_are_used_forwarded_and_filled";
    let Some(server) = Sshd::start(test) else { return };
    let Some(agent) = Agent::start(test, server.path("").as_path()) else { return };
    let config = server.path("config");
    let key = text(&server.path("user_key"));
    let connector = server.connector("");
    let spec = server.spec_of(&config, "sn1");
    let with = |more: &str| {
        let lines = server.config("sn1").replace(&format!(" IdentityFile {key}\n"), "");
        fs::write(&config, format!("{lines} IdentityAgent {}\n{more}\n", agent.socket.display())).unwrap();
    };
    // A key is given to the agent after it was used, and not before somebody says so.
    with(&format!(" IdentityFile {key}"));
    connector.connect(&spec).await.unwrap().close().await;
    assert_eq!(agent.add(&["-L"]), "The agent has no identities.\n");
    with(&format!(" IdentityFile {key}\n AddKeysToAgent 1h"));
    connector.connect(&spec).await.unwrap().close().await;
    assert!(agent.add(&["-L"]).contains(server.host_key().split(' ').next().unwrap()));

    with(" ForwardAgent yes");
    let connection = connector.connect(&spec).await.unwrap();
    let listed = run(&*connection, "ssh-add -l").await;
    assert!(listed.contains("SHA256:"), "{listed}");
    with("");
    let connection = connector.connect(&spec).await.unwrap();
    assert_eq!(run(&*connection, "echo [$SSH_AUTH_SOCK]").await, "[]\n");

    // Only named keys count; the agent signs for one whose file has a passphrase or only a public half.
    let other = text(&server.path("other"));
    keygen(&["-t", "ed25519", "-N", "", "-f", &other]);
    with(&format!(" IdentitiesOnly yes\n IdentityFile {other}"));
    let refused = failure(&connector, &spec).await;
    assert!(refused.contains(&format!("{other} was not accepted; the server takes")), "{refused}");
    let public = text(&server.path("half"));
    fs::copy(format!("{key}.pub"), format!("{public}.pub")).unwrap();
    with(&format!(" IdentitiesOnly yes\n IdentityFile {public}"));
    connector.connect(&spec).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_prove_who_we_are() {
    let test = "certificates_prove_who_we_are";
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&folder.path().join(name));
    if find_program("ssh-keygen").is_none() {
        return skip(test, "there is no ssh-keygen");
    }
    keygen(&["-t", "ed25519", "-N", "", "-f", &path("ca")]);
    keygen(&["-t", "ed25519", "-N", "", "-f", &path("key")]);
    let config = format!("TrustedUserCAKeys {}", path("ca.pub"));
    let Some(server) = Sshd::start_with(test, &config) else { return };
    keygen(&["-s", &path("ca"), "-I", "ann", "-n", &server.user, &path("key.pub")]);
    fs::rename(path("key-cert.pub"), path("mine")).unwrap();
    let file = server.path("config");
    let own = text(&server.path("user_key"));
    let lines = server.config("sn1").replace(&own, &path("key"));
    let connector = server.connector("");
    let spec = server.spec_of(&file, "sn1");
    fs::write(&file, &lines).unwrap();
    let refused = failure(&connector, &spec).await;
    assert!(refused.contains("key was not accepted"), "{refused}");
    fs::write(&file, lines + &format!(" CertificateFile {}\n", path("mine"))).unwrap();
    connector.connect(&spec).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_known_by_their_alias_and_written_as_a_hash() {
    let Some(server) = Sshd::start("keys_are_known_by_their_alias_and_written_as_a_hash") else { return };
    let file = server.path("config");
    let known = server.path("new_known_hosts");
    let lines = server.config("sn1").replace(&text(&server.path("known_hosts")), &text(&known));
    let more = " HostKeyAlias Group-Key\n HashKnownHosts yes\n StrictHostKeyChecking accept-new\n";
    fs::write(&file, lines + more).unwrap();
    let connector = server.connector("");
    let spec = server.spec_of(&file, "sn1");
    connector.connect(&spec).await.unwrap().close().await;
    connector.connect(&spec).await.unwrap().close().await;
    let written = fs::read_to_string(&known).unwrap();
    assert!(written.starts_with("|1|") && written.lines().count() == 1, "{written}");
    let found = Command::new("ssh-keygen").args(["-F", "group-key", "-f", &text(&known)]).output().unwrap();
    assert!(found.status.success(), "OpenSSH finds it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_with_a_passphrase_are_opened_once() {
    let test = "keys_with_a_passphrase_are_opened_once";
    let Some(server) = Sshd::start(test) else { return };
    let key = server.path("user_key");
    keygen(&["-p", "-P", "", "-N", "secret", "-f", &text(&key)]);
    let connector = server.connector("");
    let spec = server.spec();
    let refused = failure(&connector, &spec).await;
    assert!(refused.contains("is encrypted (give its passphrase"), "{refused}");
    assert_eq!(connector.locked_keys(&spec).await.as_slice(), std::slice::from_ref(&key));
    let secret = xplay::value::Secret::new;
    assert!(!connector.unlock(&key, &secret("wrong")));
    assert!(connector.unlock(&key, &secret("secret")));
    assert!(connector.locked_keys(&spec).await.is_empty());
    connector.connect(&spec).await.unwrap().close().await;
    // The inventory may have it, too.
    let spec = ConnectionSpec { passphrase: Some(secret("secret")), ..spec };
    server.connector("").connect(&spec).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_logins_succeeds() {
    let test = "a_storm_of_logins_succeeds";
    // The last MaxStartups of a file does not count, the first does.
    let mut config = "MaxStartups 3:30:5\nListenAddress 0.0.0.0\n".to_owned();
    let penalties = "PerSourcePenalties yes\n";
    match Sshd::knows(penalties) {
        Some(true) => config += penalties,
        // The rest of the storm is tried all the same.
        Some(false) => skip(test, "this sshd has no PerSourcePenalties (OpenSSH 9.8 and later)"),
        None => return skip(test, "there is no sshd"),
    }
    let Some(server) = Sshd::start_with(test, &config) else { return };
    let known = server.path("storm_hosts");
    fs::write(&known, format!("[127.*]:{} {}\n", server.port, server.host_key())).unwrap();
    let connector = std::sync::Arc::new(server.connector(""));
    // As many hosts as a run is busy with at once.
    let forks = std::sync::Arc::new(tokio::sync::Semaphore::new(50));
    let hosts: Vec<_> = (1..=200)
        .map(|n| {
            let spec = ConnectionSpec {
                address: format!("127.0.1.{n}"),
                host: format!("n{n}"),
                known_hosts: vec![known.clone()],
                connect_timeout: Some(Duration::from_secs(30)),
                ..server.spec()
            };
            let (connector, forks) = (connector.clone(), forks.clone());
            tokio::spawn(async move {
                let _busy = forks.acquire().await.map_err(|e| e.to_string())?;
                let connection = connector.connect(&spec).await.map_err(|e| e.to_string())?;
                connection.close().await;
                Ok::<_, String>(())
            })
        })
        .collect();
    for host in hosts {
        host.await.unwrap().unwrap();
    }
}

/// Lists the hosts of an inventory that nobody knows yet, records them, and runs.
#[test]
fn unknown_hosts_are_shown_once_and_recorded() {
    let test = "unknown_hosts_are_shown_once_and_recorded";
    let (Some(one), Some(two)) = (Sshd::start(test), Sshd::start(test)) else { return };
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    fs::create_dir(dir.join(".ssh")).unwrap();
    let known = dir.join(".ssh/known_hosts");
    let lines = [one.config("gate"), two.config("sn1"), " ProxyJump gate\n".into()].concat();
    let lines: Vec<&str> = lines.lines().filter(|l| !l.contains("UserKnownHostsFile")).collect();
    fs::write(dir.join(".ssh/config"), lines.join("\n")).unwrap();
    fs::write(dir.join("hosts"), "[all]\nmn[1:2] ansible_host=gate\nsn1\n").unwrap();
    fs::write(dir.join("site.yml"), "- hosts: all\n  gather_facts: false\n  tasks: [command: id]\n").unwrap();
    let run = |args: &[&str]| {
        let mut xplay = Command::new(env!("CARGO_BIN_EXE_xplay"));
        xplay.args(args).args(["-i", "hosts"]).current_dir(dir).stdin(Stdio::null());
        xplay.env_clear().env("HOME", dir).env("XPLAY_NO_REPORT", "1");
        xplay.env("PATH", std::env::var_os("PATH").unwrap());
        let output = xplay.output().unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), said(&output.stdout), said(&output.stderr))
    };
    let print = |server: &Sshd| {
        let output = Command::new("ssh-keygen").arg("-lf").arg(server.path("host_key.pub")).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    let (code, _, stderr) = run(&["run", "site.yml"]);
    assert_eq!(code, 4, "{stderr}");
    assert_eq!(
        stderr.lines().next(),
        Some(
            "[WARNING]: no key is known for mn[1-2],sn1; unknown hosts are refused: \"xplay hosts trust\" shows and \
             records keys"
        )
    );
    let shown = format!("mn[1-2]: ssh-ed25519 {} -> {}\n", print(&one), known.display());
    let (code, stdout, stderr) = run(&["hosts", "trust", "mn*"]);
    assert_eq!((code, &*stdout), (1, &*shown), "{stderr}");
    assert!(stderr.contains("nothing was recorded") && !known.exists(), "{stderr}");

    // The host behind the gate is seen when the gate is known.
    let (code, stdout, stderr) = run(&["hosts", "trust", "--yes"]);
    let first = format!("gate,mn[1-2]: ssh-ed25519 {} -> {}\n", print(&one), known.display());
    let second = format!("sn1 (127.0.0.1): ssh-ed25519 {} -> {}\n", print(&two), known.display());
    assert_eq!((code, stdout), (0, first + &second), "{stderr}");
    assert_eq!(stderr, "2 recorded, 3 known, 0 not seen\n");
    assert_eq!(fs::read_to_string(&known).unwrap().lines().count(), 2);
    let (code, stdout, stderr) = run(&["run", "site.yml"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(!stderr.contains("WARNING"), "{stderr}");

    // A changed key is refused with both fingerprints.
    let text = fs::read_to_string(&known).unwrap().replace(&one.host_key(), &two.host_key());
    fs::write(&known, text).unwrap();
    let (code, stdout, stderr) = run(&["hosts", "trust", "mn1", "--yes"]);
    assert_eq!((code, &*stdout), (4, ""), "{stderr}");
    assert!(stderr.contains(&print(&one)) && stderr.contains(&print(&two)), "{stderr}");
}
