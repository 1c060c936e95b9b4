//! A throwaway OpenSSH server on loopback: own port, own keys, stopped when dropped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use xplay::transport::ssh_config::Arguments;
use xplay::transport::{ConnectionSpec, HostConnector, Identity};

use super::{find_program, skip};

pub struct Sshd {
    child: Child,
    /// What starts it.
    words: Vec<String>,
    folder: tempfile::TempDir,
    pub port: u16,
    pub user: String,
}

impl Sshd {
    /// Starts a server, or says why there is none.
    pub fn start(test: &str) -> Option<Self> {
        Self::start_with(test, "")
    }

    /// Starts a server with further lines in its configuration.
    pub fn start_with(test: &str, config: &str) -> Option<Self> {
        Self::start_by(test, config, &[])
    }

    /// Starts a server by a program that runs it.
    pub fn start_by(test: &str, config: &str, by: &[&str]) -> Option<Self> {
        let Some(sshd) = find_program("sshd") else {
            skip(test, "there is no sshd");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["host_key", "user_key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &path(name)])
                .status()
                .unwrap();
            assert!(made.success());
        }
        std::fs::copy(path("user_key.pub"), path("authorized_keys")).unwrap();
        // Where sshd runs as root it wants its separation folder.
        let _ = std::fs::create_dir_all("/run/sshd");
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listen = if config.contains("ListenAddress") { "" } else { "ListenAddress 127.0.0.1\n" };
        let text = format!(
            "{config}\nPort {port}\n{listen}HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\n\
             UsePAM no\nPidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nMaxStartups 100\n",
            path("host_key"),
            path("authorized_keys"),
        );
        std::fs::write(path("sshd_config"), text).unwrap();
        let sshd = sshd.display().to_string();
        let config_file = path("sshd_config");
        let words = [by, &[&*sshd, "-D", "-e", "-f", &config_file]].concat();
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let child = listening(&words, &folder.path().join("log"));
        let mut server = Self { child, words, folder, port, user: user.trim().to_owned() };
        if server.answers() {
            return Some(server);
        }
        let log = std::fs::read_to_string(server.path("log")).unwrap_or_default();
        // Somebody else may have taken the port that was free a moment ago.
        assert!(log.contains("Address already in use"), "sshd does not start: {log}");
        Self::start_by(test, config, by)
    }

    /// Ends the server with all its connections, and starts it again at the same port.
    pub fn restart(&mut self) {
        self.cut_connections();
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.cut_connections();
        self.child = listening(&self.words, &self.path("log"));
        assert!(self.answers(), "{}", std::fs::read_to_string(self.path("log")).unwrap_or_default());
    }

    /// Tells whether the server has a setting; nothing if there is no server.
    pub fn knows(setting: &str) -> Option<bool> {
        let sshd = find_program("sshd")?;
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).display().to_string();
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f", &file("key")])
            .status()
            .unwrap();
        std::fs::write(file("config"), format!("{setting}\nHostKey {}\n", file("key"))).unwrap();
        let _ = std::fs::create_dir_all("/run/sshd");
        let output = Command::new(sshd).args(["-t", "-f", &file("config")]).output().unwrap();
        Some(output.status.success())
    }

    fn answers(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// The process that listens.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the server's public host key as it stands in a file.
    pub fn host_key(&self) -> String {
        let text = std::fs::read_to_string(self.path("host_key.pub")).unwrap();
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// Returns how to connect, with the host's key known.
    pub fn spec(&self) -> ConnectionSpec {
        let file = self.path("known_hosts");
        std::fs::write(&file, format!("[127.0.0.1]:{} {}\n", self.port, self.host_key())).unwrap();
        ConnectionSpec {
            address: "127.0.0.1".into(),
            port: Some(self.port),
            keys: vec![self.path("user_key")],
            known_hosts: vec![file],
            ..ConnectionSpec::ssh("sshd")
        }
    }

    /// Returns lines of ssh_config that lead here under a name of our choice.
    pub fn config(&self, name: &str) -> String {
        let spec = self.spec();
        format!(
            "Host {name}\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {}\n UserKnownHostsFile {}\n",
            self.port,
            self.user,
            spec.keys[0].display(),
            spec.known_hosts[0].display(),
        )
    }

    /// Returns how to reach a host as a file of ssh_config says.
    pub fn spec_of(&self, file: &Path, name: &str) -> ConnectionSpec {
        let args = ["-F".to_owned(), file.display().to_string()];
        let arguments = Arguments::parse(args).unwrap();
        ConnectionSpec { arguments: arguments.into(), ..ConnectionSpec::ssh(name) }
    }

    /// Returns a connector that reads nothing of the user who runs the tests.
    pub fn connector(&self, prelude: &str) -> HostConnector {
        HostConnector::new(prelude, Identity { user: self.user.clone(), ..Identity::default() })
    }

    /// Cuts all connections: the server's children end, the server stays.
    pub fn cut_connections(&self) {
        for pid in children(self.child.id()) {
            // It may have ended by itself meanwhile.
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

fn listening(words: &[String], log: &Path) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Returns the children of a process, found in /proc.
fn children(parent: u32) -> Vec<u32> {
    let list = Path::new("/proc").read_dir().unwrap();
    let pids = list.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1) == Some(&*parent.to_string())
    })
    .collect()
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut_connections();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
