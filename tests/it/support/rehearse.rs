//! A rehearsal through the binary, as a user runs it, and what its events say.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::skip;

/// The main job.
pub const PLAYBOOK: &str = "playbooks/service-node.yml";

/// How the rehearsal's hosts are entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Namespaces,
    Chroot,
    /// As an ordinary user, in user namespaces.
    Unprivileged,
}

/// What one run of the binary gave.
pub struct Ran {
    pub code: i32,
    pub events: Vec<Value>,
    pub stderr: String,
}

/// A cluster that is up until this is dropped.
pub struct Standing {
    child: Child,
    keep: PathBuf,
    dir: PathBuf,
}

impl Standing {
    /// The binary as an ordinary user of the cluster starts it: it knows nothing of a rehearsal. `home` tells users apart.
    pub fn xplay(&self, home: &str, args: &[&str]) -> Command {
        let home = self.dir.join(home);
        std::fs::create_dir_all(&home).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_xplay"));
        command
            .args(args)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("TMPDIR", &self.dir)
            .env("XPLAY_NO_REPORT", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn inventory(&self) -> String {
        self.keep.join("inventory").display().to_string()
    }

    /// A path on the management node's disk.
    pub fn on_mn1(&self, path: &str) -> PathBuf {
        self.keep.join("hosts/mn1/root").join(path)
    }

    /// Lets commands of xCAT on the management node write down when they begin and end, and wait while there is a file
    /// `/hold-COMMAND`.
    pub fn watch(&self, commands: &[&str]) {
        for command in commands {
            let path = ["bin", "sbin"].map(|dir| self.on_mn1("opt/xcat").join(dir).join(command));
            let path = path.iter().find(|path| path.exists()).unwrap();
            let text = std::fs::read_to_string(path).unwrap();
            let plain = text.replace("exec ", "");
            let text = plain.replace(
                "#!/bin/sh\n",
                &format!("#!/bin/sh\necho \"begin {command} $*\" >>/calls\ntrap 'echo \"end {command} $*\" >>/calls' EXIT\nwhile [ -e /hold-{command} ]; do sleep 0.1; done\n"),
            );
            std::fs::write(path, text).unwrap();
        }
    }

    /// What the watched commands wrote down, those that only ask left out.
    pub fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.on_mn1("calls")).unwrap_or_default();
        let asks = |line: &&str| !line.contains("copycds -i");
        text.lines().filter(asks).map(str::to_string).collect()
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        // The end of its input ends the shell, and with it the cluster.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A kept cluster, and the binary that works on it.
pub struct Rehearsal {
    dir: tempfile::TempDir,
    site: &'static str,
    mode: Mode,
}

impl Rehearsal {
    pub fn new(site: &'static str, mode: Mode) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if mode == Mode::Unprivileged {
            let chown = Command::new("chown").arg("65534:65534").arg(dir.path()).status().unwrap();
            assert!(chown.success());
        }
        Rehearsal { dir, site, mode }
    }

    /// Where the test's own files may lie; removed at the end.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn keep(&self) -> PathBuf {
        self.dir.path().join("cluster")
    }

    /// The binary as the mode of the rehearsal wants it, with an environment of its own.
    pub fn command(&self, args: &[&str]) -> Command {
        let binary = env!("CARGO_BIN_EXE_xplay");
        let mut command = match self.mode {
            Mode::Unprivileged => {
                let mut c = Command::new("setpriv");
                c.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", binary]);
                c
            }
            _ => Command::new(binary),
        };
        command.arg("rehearse").args(args).args(["--site", self.site, "--keep"]).arg(self.keep());
        if self.mode == Mode::Chroot {
            command.args(["--root-mode", "chroot"]);
        }
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("TMPDIR", self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Starts the cluster and keeps it up, so that any program can work on it from outside.
    pub fn start(&self) -> Standing {
        let mut child = self
            .command(&["--shell", "mn1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.as_mut().unwrap();
        input.write_all(b"echo up\n").unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "up\n");
        Standing { child, keep: self.keep(), dir: self.dir.path().to_path_buf() }
    }

    /// Runs the binary for its own output: plans have no events.
    pub fn plain(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        let report = self.dir.path().join("report.html");
        Ran::read(self.command(args).arg("--json").arg("--report").arg(&report).output().unwrap())
    }

    /// A digest of everything on the cluster's disks that a playbook could change. Ports and process ids beside the
    /// disks change with every start, and so do the times in the roots of nodes that rest between two rehearsals.
    pub fn disks(&self) -> String {
        const SCRIPT: &str = "find . \\( -name run -o -name '*.sock' -o -name '*.pid' -o -name '*.lock' -o -name suspended.tar -o -path '*/root/proc' \\) -prune -o -type f -print0 \
             | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum; \
             for t in */suspended.tar; do [ ! -f \"$t\" ] || { tar tf \"$t\"; tar xOf \"$t\"; } | sha256sum; done; \
             find . -type d -name run -prune -o \\( -type d -o -type l \\) -print | LC_ALL=C sort | sha256sum";
        let output =
            Command::new("sh").args(["-c", SCRIPT]).current_dir(self.keep().join("hosts")).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a script on a host of the kept cluster, over SSH.
    pub fn shell(&self, host: &str, script: &str) -> String {
        let mut child = self
            .command(&["--shell", host])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(format!("{script}\nexit 0\n").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Ran {
    /// Reads the events that a run with --json printed.
    pub fn read(output: Output) -> Self {
        Self::from_parts(output.status.code().unwrap_or(-1), output.stdout, &output.stderr)
    }

    /// The same for a run somewhere else.
    pub fn from_parts(code: i32, stdout: Vec<u8>, stderr: &[u8]) -> Self {
        let stdout = String::from_utf8(stdout).unwrap();
        let events =
            stdout.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect();
        Ran { code, events, stderr: String::from_utf8_lossy(stderr).into_owned() }
    }

    pub fn results(&self) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(|e| e["event"] == "result")
    }

    pub fn recap(&self) -> BTreeMap<String, Value> {
        let end = self
            .events
            .iter()
            .find(|e| e["event"] == "run_ended")
            .unwrap_or_else(|| panic!("{}", self.stderr));
        end["hosts"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Modules that changed something, in order.
    pub fn changed(&self) -> Vec<String> {
        let module_of: BTreeMap<&str, &str> = self
            .events
            .iter()
            .filter(|e| e["event"] == "task_started")
            .map(|e| (e["task"]["id"].as_str().unwrap(), e["task"]["module"].as_str().unwrap()))
            .collect();
        self.results()
            .filter(|r| r["status"] == "changed")
            .map(|r| module_of.get(r["task"].as_str().unwrap()).copied().unwrap_or("?").to_string())
            .collect()
    }

    /// The result of the task whose name ends so.
    #[track_caller]
    pub fn result(&self, task: &str) -> &Value {
        let found = self.results().find(|r| r["name"].as_str().is_some_and(|n| n.ends_with(task)));
        &found.unwrap_or_else(|| panic!("no task {task}: {}", self.stderr))["result"]
    }

    /// The run succeeded, and there was nothing to do.
    #[track_caller]
    pub fn assert_nothing_changed(&self) {
        self.assert_success();
        for (host, counts) in self.recap() {
            assert_eq!(counts["changed"], 0, "{host}: {:?}", self.changed());
        }
    }

    pub fn failures(&self) -> Vec<String> {
        self.results()
            .filter(|r| matches!(r["status"].as_str(), Some("failed" | "unreachable" | "lost")))
            .map(|r| {
                format!(
                    "{}: {}",
                    r["name"].as_str().unwrap_or_default(),
                    r["result"]["msg"].as_str().unwrap_or_default()
                )
            })
            .collect()
    }

    #[track_caller]
    pub fn assert_success(&self) {
        assert_eq!(self.code, 0, "failures: {:#?}\nstderr: {}", self.failures(), self.stderr);
    }
}

/// Tells whether this machine can enter roots that way, and prints why not.
pub fn can(test: &str, mode: Mode) -> bool {
    let root = rustix::process::geteuid().is_root();
    match mode {
        Mode::Chroot if !root => skip(test, "chroot rehearsal needs root"),
        Mode::Unprivileged if !root => skip(test, "only root can become another user for this test"),
        Mode::Unprivileged if Command::new("setpriv").arg("--version").output().is_err() => {
            skip(test, "setpriv is missing")
        }
        Mode::Unprivileged if !unprivileged_namespaces() => {
            skip(test, "this kernel lets ordinary users make no namespaces")
        }
        Mode::Namespaces if root && !namespaces(&["unshare", "-mpf", "true"]) => {
            skip(test, "namespaces are forbidden here")
        }
        _ => return true,
    }
    false
}

fn namespaces(argv: &[&str]) -> bool {
    Command::new(argv[0]).args(&argv[1..]).status().is_ok_and(|s| s.success())
}

fn unprivileged_namespaces() -> bool {
    namespaces(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Urmpf", "true"])
}
