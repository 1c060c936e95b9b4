//! `connection: ssh-binary`: what our own client promises, by the system's own one.

use std::process::Command;
use std::time::Instant;

use xplay::transport::{
    ConnectionSpec, Connector, Exec, HostKeyPolicy, KeyAfterReboot, Kind, Session, TransportError,
};

use crate::support::sshd::Sshd;
use crate::support::{find_program, skip};
use crate::transport::{PRELUDE, cuts, exec, refusal, suite, with_args};

/// Our own client, and the system's where there is one.
pub fn kinds(test: &str) -> Vec<Kind> {
    if find_program("ssh").is_none() {
        skip(test, "there is no ssh");
        return vec![Kind::Ssh];
    }
    vec![Kind::Ssh, Kind::SshBinary]
}

/// A server and how the system's client reaches it; nothing where there is none.
fn start(test: &str, config: &str) -> Option<(Sshd, ConnectionSpec)> {
    if !kinds(test).contains(&Kind::SshBinary) {
        return None;
    }
    let server = Sshd::start_with(test, config)?;
    let spec = ConnectionSpec { kind: Kind::SshBinary, ..with_args(server.spec(), &["-F", "none"]) };
    Some((server, spec))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_systems_client_behaves_alike() {
    let Some((server, spec)) = start("the_systems_client_behaves_alike", "LogLevel VERBOSE") else { return };
    let connection = server.connector(PRELUDE).connect(&spec).await.unwrap();
    let start = Instant::now();
    suite("ssh-binary", &*connection).await;
    println!("ssh-binary: {:?}", start.elapsed());
    connection.close().await;
    let log = std::fs::read_to_string(server.path("log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "one login for all sessions");

    let password = ConnectionSpec { password: Some(xplay::value::Secret::new("pw")), ..spec };
    let error = refusal(&server, &password).await.to_string();
    let expect =
        "cannot reach sshd: connection ssh-binary takes no passwords: use an agent, keys or Kerberos";
    assert_eq!(error, expect);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_are_lost_and_jobs_go_on() {
    let Some((server, spec)) = start("cut_connections_are_lost_and_jobs_go_on", "") else { return };
    cuts(&server, &spec).await;
}

/// A server that gives a connection two sessions: the client makes another connection for the third by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_sessions_are_enough() {
    let Some((server, spec)) = start("few_sessions_are_enough", "MaxSessions 2") else { return };
    let connection = server.connector(PRELUDE).connect(&spec).await.unwrap();
    let mut sessions: Vec<Box<dyn Session>> = Vec::new();
    for _ in 0..4 {
        sessions.push(connection.session(None).await.unwrap());
    }
    for session in &mut sessions {
        assert_eq!(exec(session, Exec::new("exit 2")).await.rc, 2);
    }
    connection.close().await;
}

fn fingerprint(server: &Sshd, name: &str) -> String {
    let print = Command::new("ssh-keygen").arg("-lf").arg(server.path(name)).output().unwrap();
    String::from_utf8(print.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_keys_are_judged_as_by_our_own_client() {
    let Some((server, spec)) = start("host_keys_are_judged_as_by_our_own_client", "") else { return };
    let (shown, other) = (fingerprint(&server, "host_key.pub"), fingerprint(&server, "user_key.pub"));
    let file = server.path("kh");
    let spec = ConnectionSpec { known_hosts: vec![file.clone()], ..spec };

    let unknown = refusal(&server, &spec).await;
    assert_eq!(unknown.to_string(), format!("host key of sshd is not known: ssh-ed25519 {shown}"));

    let public = std::fs::read_to_string(server.path("user_key.pub")).unwrap();
    let wrong = public.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let line = format!("[127.0.0.1]:{} {wrong}\n", server.port);
    std::fs::write(&file, &line).unwrap();
    for policy in [None, Some(HostKeyPolicy::AcceptNew)] {
        let spec = ConnectionSpec { host_key_policy: policy, ..spec.clone() };
        let TransportError::HostKeyChanged(changed) = refusal(&server, &spec).await else { panic!() };
        assert_eq!((&changed.fingerprint, &changed.known), (&shown, &other));
    }
    // Only a host that a step started anew may change its key, once, and only where that was declared.
    let rebooting = ConnectionSpec { rebooting: true, ..spec.clone() };
    assert!(matches!(refusal(&server, &rebooting).await, TransportError::HostKeyChanged(_)));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), line);
    let repin = ConnectionSpec { key_after_reboot: KeyAfterReboot::Repin, ..rebooting.clone() };
    let connector = server.connector("");
    connector.connect(&repin).await.unwrap().close().await;
    let known = format!("[127.0.0.1]:{} {}\n", server.port, server.host_key());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), known);
    let told = connector.take_warnings().join("\n");
    assert!(told.contains(&format!("{other} was replaced by ssh-ed25519 {shown}")), "{told}");
    connector.connect(&spec).await.unwrap().close().await;

    // Keys of the inventory count for any name.
    std::fs::write(&file, &line).unwrap();
    let given = ConnectionSpec { extra_host_keys: vec![format!("* {}", server.host_key())], ..spec.clone() };
    server.connector("").connect(&given).await.unwrap().close().await;

    std::fs::remove_file(&file).unwrap();
    let accepting = ConnectionSpec { host_key_policy: Some(HostKeyPolicy::AcceptNew), ..spec.clone() };
    server.connector("").connect(&accepting).await.unwrap().close().await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), known);
    std::fs::write(&file, format!("{known}@revoked * {}\n", server.host_key())).unwrap();
    for policy in [None, Some(HostKeyPolicy::AcceptNew)] {
        let spec = ConnectionSpec { host_key_policy: policy, ..spec.clone() };
        assert!(matches!(refusal(&server, &spec).await, TransportError::HostKeyRevoked { line: 2, .. }));
        let repin = ConnectionSpec { rebooting: true, key_after_reboot: KeyAfterReboot::Repin, ..spec };
        assert!(matches!(refusal(&server, &repin).await, TransportError::HostKeyRevoked { .. }));
    }
}
