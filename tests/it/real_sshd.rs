//! The whole job outside of `rehearse`: `xplay run` over a real OpenSSH server that leads into the emulated management
//! node, and on that node itself.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use xplay::rehearsal::{Cluster, ClusterOptions, Exit, PROGRAM, RehearsalError, RootMode, Site, start};

use crate::support::rehearse::{Mode, PLAYBOOK, Ran, can};
use crate::support::sshd::Sshd;
use crate::support::{find_program, skip};

/// Starts a cluster whose commands take no time, or says why this machine cannot.
async fn cluster(test: &str, site: Site, mode: Option<RootMode>) -> Option<Cluster> {
    let options = ClusterOptions {
        site,
        mode,
        exe: Some(env!("CARGO_BIN_EXE_xplay").into()),
        pace: Duration::from_millis(20),
        ..ClusterOptions::default()
    };
    match start(options).await {
        Ok(cluster) => Some(cluster),
        Err(RehearsalError::Impossible { missing, .. }) => {
            skip(test, &missing.join("; "));
            None
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

/// Finds process 1 of the management node from outside.
fn first_process(cluster: &Cluster) -> u32 {
    let root = format!("\"root\":\"{}\"", cluster.management_root().display());
    let processes = fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    let is_it = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
        words.get(2).is_some_and(|stage| stage == "inner") && words.iter().any(|w| w.contains(&root))
    };
    processes.into_iter().find(is_it).expect("a running management node has a first process")
}

/// Writes the program that the server runs instead of what the client asks for: it enters the management node and
/// does it there.
fn write_door(cluster: &Cluster, file: &Path) {
    let enter = match cluster.mode() {
        RootMode::Chroot => format!("chroot {}", cluster.management_root().display()),
        RootMode::Namespaces => {
            let user =
                if rustix::process::geteuid().is_root() { "" } else { "--user --preserve-credentials" };
            format!("nsenter --target {} --mount --uts --ipc --pid {user} --root", first_process(cluster))
        }
    };
    let script = format!(
        "#!/bin/sh\nexec {enter} /usr/bin/env -i HOME=/root USER=root LOGNAME=root SHELL=/bin/sh \\\n\
         PATH=/opt/xcat/bin:/opt/xcat/sbin:/usr/sbin:/usr/bin:/sbin:/bin SSH_CONNECTION=\"$SSH_CONNECTION\" \\\n\
         /bin/sh -c 'cd /root; exec /bin/sh -c \"$1\"' door \"$SSH_ORIGINAL_COMMAND\"\n"
    );
    fs::write(file, script).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A site's inventory that names the management node at a real server.
struct SiteFiles {
    dir: tempfile::TempDir,
}

impl SiteFiles {
    fn write(cluster: &Cluster, sshd: &Sshd) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let known = format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.host_key());
        fs::write(file("known_hosts"), known).unwrap();
        let text = format!(
            "[management]\nmn1 ansible_host=127.0.0.1 ansible_port={}\n\n[all:vars]\nansible_user={}\n\
             ansible_ssh_private_key_file=\"{}\"\n\
             ansible_ssh_common_args=\"-o UserKnownHostsFile={} -o GlobalKnownHostsFile=/dev/null\"\n",
            sshd.port,
            sshd.user,
            sshd.path("user_key").display(),
            file("known_hosts").display()
        );
        fs::write(file("hosts"), text).unwrap();
        fs::create_dir(file("group_vars")).unwrap();
        let variables = cluster.state_dir().join("group_vars/management.yml");
        fs::copy(variables, file("group_vars/management.yml")).unwrap();
        Self { dir }
    }

    fn inventory(&self) -> PathBuf {
        self.dir.path().join("hosts")
    }

    async fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xplay"));
        command
            .arg("run")
            .args(args)
            .arg("-i")
            .arg(self.inventory())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .stdin(Stdio::null());
        // The cluster is served by this very runtime.
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }
}

/// The first line that a server says.
fn banner(port: u16) -> String {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

/// Starts a server that leads into the management node.
fn sshd_into(test: &str, cluster: &Cluster, dir: &Path) -> Option<Sshd> {
    if cluster.mode() == RootMode::Namespaces && find_program("nsenter").is_none() {
        skip(test, "there is no nsenter");
        return None;
    }
    let door = dir.join("door");
    write_door(cluster, &door);
    let sshd = Sshd::start_with(test, &format!("LogLevel VERBOSE\nForceCommand {}", door.display()))?;
    let banner = banner(sshd.port);
    assert!(banner.starts_with("SSH-2.0-OpenSSH"), "not OpenSSH: {banner}");
    Some(sshd)
}

async fn over_sshd(test: &str, site: Site, mode: Option<RootMode>) {
    let Some(cluster) = cluster(test, site, mode).await else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = sshd_into(test, &cluster, dir.path()) else { return };
    let files = SiteFiles::write(&cluster, &sshd);

    let first = Ran::read(files.run(&[PLAYBOOK, "--json"]).await);
    first.assert_success();
    assert!(first.changed().iter().any(|m| m == "xcat_boot"), "{:?}", first.changed());
    Ran::read(files.run(&[PLAYBOOK, "--json"]).await).assert_nothing_changed();

    let log = fs::read_to_string(sshd.path("log")).unwrap();
    let logins = log.matches("Accepted publickey for").count();
    assert_eq!(logins, 2, "one connection for each run: {log}");
    assert!(log.contains("Starting session: forced-command"), "{log}");
    let booted = cluster.run("sn1", "grep ^IMAGEUUID= /opt/xcat/xcatinfo", b"").await.unwrap();
    assert_eq!(booted.exit, Exit::Code(0));
    cluster.shutdown().await.unwrap();
}

/// A server that does not let us in, or that we do not trust: nothing is run, and the message says why.
#[test]
fn refused_by_openssh_or_by_us() {
    let Some(sshd) = Sshd::start("refused_by_openssh_or_by_us") else { return };
    let other = sshd.path("other_key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&other).status();
    assert!(made.unwrap().success());
    let dir = tempfile::tempdir().unwrap();
    let known = dir.path().join("known_hosts");
    fs::write(dir.path().join("site.yml"), "- hosts: mn1\n  gather_facts: false\n  tasks: [command: id]\n")
        .unwrap();
    let run = |known_hosts: &str, key: &Path, port: u16| {
        fs::write(&known, known_hosts).unwrap();
        let hosts = format!(
            "mn1 ansible_host=127.0.0.1 ansible_port={port} ansible_user={} ansible_ssh_private_key_file={} \
             ansible_ssh_common_args=\"-o UserKnownHostsFile={} -o GlobalKnownHostsFile=/dev/null\"\n",
            sshd.user,
            key.display(),
            known.display()
        );
        fs::write(dir.path().join("hosts"), hosts).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_xplay"));
        command.args(["run", "site.yml", "-i", "hosts", "--json"]).current_dir(dir.path());
        command.env_clear().env("HOME", dir.path()).env("XPLAY_NO_REPORT", "1").stdin(Stdio::null());
        let ran = Ran::read(command.output().unwrap());
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        ran.results().map(|r| r["result"]["msg"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join("\n")
    };
    let known_key = format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.host_key());
    let unknown = run("", &sshd.path("user_key"), sshd.port);
    assert!(unknown.starts_with("host key of mn1 is not known: ssh-ed25519 SHA256:"), "{unknown}");
    assert!(unknown.contains(&known.display().to_string()) && unknown.contains("=accept-new"), "{unknown}");
    assert_eq!(
        run(&known_key, &other, sshd.port),
        format!(
            "cannot log in to mn1 as {}: {} was not accepted; the server takes publickey",
            sshd.user,
            other.display()
        )
    );
    // Nobody listens at the lowest port.
    let closed = 1;
    let refused = run(&known_key, &other, closed);
    assert!(refused.starts_with(&format!("cannot reach mn1: 127.0.0.1 port {closed}: ")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn el9_over_openssh() {
    over_sshd("el9_over_openssh", Site::El9, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seed_over_openssh() {
    over_sshd("seed_over_openssh", Site::Seed, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn el9_in_chroot_over_openssh() {
    if can("el9_in_chroot_over_openssh", Mode::Chroot) {
        over_sshd("el9_in_chroot_over_openssh", Site::El9, Some(RootMode::Chroot)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seed_in_chroot_over_openssh() {
    if can("seed_in_chroot_over_openssh", Mode::Chroot) {
        over_sshd("seed_in_chroot_over_openssh", Site::Seed, Some(RootMode::Chroot)).await;
    }
}

/// Runs one of these tests again as a user whom sshd lets in: he has a shell, as far as that process can see.
fn as_ordinary_user(test: &str, other: &str) {
    const UID: &str = "65534";
    if !can(test, Mode::Unprivileged) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    let everybody = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dir.path(), everybody).unwrap();
    assert!(Command::new("chown").arg(format!("{UID}:{UID}")).arg(&home).status().unwrap().success());
    let others = fs::read_to_string("/etc/passwd").unwrap();
    let others = others.lines().filter(|l| l.split(':').nth(2) != Some(UID)).map(|l| format!("{l}\n"));
    let passwd = dir.path().join("passwd");
    let own = format!("rehearser:x:{UID}:{UID}::{}:/bin/sh\n", home.display());
    fs::write(&passwd, others.chain([own]).collect::<String>()).unwrap();
    fs::set_permissions(&passwd, fs::Permissions::from_mode(0o644)).unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc/passwd && exec \"$@\""])
        .arg(&passwd)
        .args(["setpriv", "--reuid", UID, "--regid", UID, "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", other, "--nocapture"])
        .env("HOME", &home)
        .env("TMPDIR", &home)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    if let Some(line) = said.lines().find(|l| l.contains("skipped")) {
        skip(test, line);
    }
}

#[test]
fn el9_as_ordinary_user_over_openssh() {
    as_ordinary_user("el9_as_ordinary_user_over_openssh", "real_sshd::el9_over_openssh");
}

#[test]
fn seed_as_ordinary_user_over_openssh() {
    as_ordinary_user("seed_as_ordinary_user_over_openssh", "real_sshd::seed_over_openssh");
}

/// Copies files and folders.
fn copy_tree(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy_tree(&entry.path(), &to.join(entry.file_name()));
    }
}

/// xplay itself runs on the management node, with the shipped inventory for that.
#[tokio::test(flavor = "multi_thread")]
async fn on_the_management_node_itself() {
    let Some(cluster) = cluster("on_the_management_node_itself", Site::El9, None).await else { return };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = cluster.management_root().join("root/project");
    for part in ["playbooks", "roles", "inventory/mysite-local"] {
        copy_tree(&here.join(part), &project.join(part));
    }
    let variables = project.join("inventory/mysite-local/group_vars/management.yml");
    fs::copy(cluster.state_dir().join("group_vars/management.yml"), variables).unwrap();
    let script =
        format!("cd /root/project && exec /{PROGRAM} run service-node.yml -i inventory/mysite-local --json");
    let mut runs = Vec::new();
    for _ in 0..2 {
        let output = cluster.run("mn1", &script, b"").await.unwrap();
        runs.push(Ran::from_parts(output.exit.code(), output.stdout, &output.stderr));
    }
    runs[0].assert_success();
    assert!(runs[0].changed().iter().any(|m| m == "xcat_boot"), "{:?}", runs[0].changed());
    runs[1].assert_nothing_changed();
    cluster.shutdown().await.unwrap();
}
