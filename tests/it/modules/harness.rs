//! Runs modules by a local shell, with the prelude in front as a session has it.

use std::collections::BTreeMap;
use std::fs;
use std::hash::Hasher;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use xplay::modules::sh::PRELUDE;
use xplay::modules::{
    self, Action, Call, Failure, LocalFiles, Outcome, Prediction, Run, Seen, Target, World,
};
use xplay::transport::{Content, Output};
use xplay::value::{Map, Value, from_json};

/// A shell with the tools that belong to it.
pub struct Shell {
    pub name: String,
    program: Vec<PathBuf>,
    path: String,
    /// Holds the links to busybox's tools.
    _tools: Option<tempfile::TempDir>,
}

/// Returns the shells of this machine.
pub fn shells() -> Vec<Shell> {
    let path = std::env::var("PATH").unwrap_or_default();
    let which = |name: &str| std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file());
    let mut found = Vec::new();
    for name in ["dash", "bash"] {
        match which(name) {
            Some(program) => found.push(Shell {
                name: name.to_string(),
                program: vec![program],
                path: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".to_string(),
                _tools: None,
            }),
            None => println!("skipped: there is no {name} on this machine"),
        }
    }
    match which("busybox") {
        Some(program) => {
            let tools = tempfile::tempdir().unwrap();
            let done = Command::new(&program).args(["--install", "-s"]).arg(tools.path()).status().unwrap();
            if done.success() && tools.path().join("stat").exists() {
                found.push(Shell {
                    name: "busybox".to_string(),
                    program: vec![tools.path().join("sh")],
                    path: tools.path().to_string_lossy().into_owned(),
                    _tools: Some(tools),
                });
            }
        }
        None => println!("skipped: there is no busybox on this machine"),
    }
    assert!(!found.is_empty(), "no shell found");
    found
}

/// Returns the first of the shells with all tools of this machine but one.
pub fn shell_without(program: &str) -> Shell {
    let mut shell = shells().remove(0);
    let tools = tempfile::tempdir().unwrap();
    for dir in ["/usr/bin", "/usr/sbin"] {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != program {
                let _ = std::os::unix::fs::symlink(entry.path(), tools.path().join(entry.file_name()));
            }
        }
    }
    shell.name = format!("{} without {program}", shell.name);
    shell.path = tools.path().to_string_lossy().into_owned();
    shell._tools = Some(tools);
    shell
}

/// A folder in which one story happens.
pub struct Bench<'a> {
    shell: &'a Shell,
    root: tempfile::TempDir,
    target: Target,
    /// Folders of this machine that are replaced by copies while scripts run.
    private: &'static [&'static str],
    /// Programs that are found before those of the shell.
    programs: Option<PathBuf>,
    /// More variables that scripts see; `$D` is the folder.
    pub environment: Vec<(&'static str, String)>,
    /// Shell lines that print what lies outside of the folder, such as the tables of a server; it counts as content.
    pub outside: &'static str,
}

/// What of /etc the tools that manage accounts and services need.
const ETC: &str = "passwd group shadow gshadow subuid subgid login.defs nsswitch.conf skel pam.d security default debconf.conf \
                   ld.so.cache alternatives hostname hosts localtime timezone locale.gen fstab";

/// Programs that stand for tools, each for those that its outermost `case` names.
const DOUBLES: [(&str, &str); 3] = [
    ("double", include_str!("doubles.sh")),
    ("double_disks", include_str!("doubles_disks.sh")),
    ("double_later", include_str!("doubles_later.sh")),
];

/// The names in a line such as `a | b)` that begins a branch.
fn names_of_case(line: &str) -> impl Iterator<Item = &str> {
    let (names, _) = line.split_once(')').unwrap_or_default();
    names.split('|').map(str::trim)
}

impl<'a> Bench<'a> {
    pub fn new(shell: &'a Shell) -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["work", "tmp", "files/tree/sub dir"] {
            fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        let files = root.path().join("files");
        fs::write(files.join("plain.txt"), "plain\n").unwrap();
        fs::write(files.join("motd.j2"), "hi\n").unwrap();
        fs::write(files.join("hello.sh"), "#!/bin/sh\necho \"hello $1\"\n").unwrap();
        fs::write(files.join("tree/one"), "1").unwrap();
        fs::write(files.join("tree/run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(files.join("tree/run"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(files.join("tree/sub dir/-n 'q' $(x)\nz"), "2").unwrap();
        let packed = fs::File::create(files.join("tree.tar.gz")).unwrap();
        let packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        let mut builder = tar::Builder::new(packed);
        builder.append_dir_all("tree", files.join("tree")).unwrap();
        builder.into_inner().unwrap().finish().unwrap();
        let mut bench = Bench {
            shell,
            root,
            target: Target::default(),
            private: &[],
            programs: None,
            environment: Vec::new(),
            outside: "",
        };
        let uid: u32 = bench.out("id -u").trim().parse().unwrap();
        let user = bench.out("id -un").trim().to_string();
        bench.target = Target { host: "here".into(), user, uid, home: bench.dir(), ..Target::default() };
        bench
    }

    /// A bench with own copies of /etc, /home and other folders; nothing where that is not possible.
    pub fn rooted(shell: &'a Shell) -> Option<Self> {
        let mut bench = Bench::new(shell);
        let possible = Command::new("unshare").args(["-m", "true"]).output();
        if bench.target.uid != 0 || !possible.is_ok_and(|o| o.status.success()) {
            println!("skipped: replacing /etc for a test needs root and mount namespaces");
            return None;
        }
        bench.private = &["/etc", "/home", "/var/spool", "/var/lib", "/var/cache", "/sys/fs"];
        for dir in bench.private {
            fs::create_dir_all(bench.path_of(dir)).unwrap();
        }
        let etc = bench.path_of("/etc");
        let copied = Command::new("sh")
            .arg("-c")
            .arg(format!(
                "cd /etc && for f in {ETC}; do if [ -e $f ]; then cp -a $f {}/; fi; done",
                etc.display()
            ))
            .status()
            .unwrap();
        assert!(copied.success());
        Some(bench)
    }

    /// The same with doubles of these tools; see `doubles.sh`.
    pub fn with_doubles(mut self, tools: &[&str]) -> Self {
        let programs = self.root.path().join("programs");
        fs::create_dir_all(&programs).unwrap();
        for (name, text) in DOUBLES {
            let double = programs.join(name);
            fs::write(&double, text).unwrap();
            fs::set_permissions(&double, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for tool in tools {
            let known = |text: &str| text.lines().any(|line| names_of_case(line).any(|name| name == *tool));
            let (double, _) = DOUBLES.iter().find(|(_, text)| known(text)).unwrap();
            std::os::unix::fs::symlink(double, programs.join(tool)).unwrap();
        }
        self.programs = Some(programs);
        self.environment.push(("DOUBLES", "$D".to_string()));
        self
    }

    /// Returns where the copy of a folder is.
    fn path_of(&self, dir: &str) -> PathBuf {
        self.root.path().join("root").join(dir.trim_start_matches('/'))
    }

    /// Returns where what scripts see at a path is seen from here.
    pub fn place(&self, path: &str) -> PathBuf {
        let replaced = self.private.iter().any(|dir| Path::new(path).starts_with(dir));
        if replaced { self.path_of(path) } else { PathBuf::from(path) }
    }

    /// Returns the command that starts a program, in its own namespace where folders are replaced.
    fn command(&self, program: &Path) -> Command {
        if self.private.is_empty() {
            return Command::new(program);
        }
        let mounts: String = self
            .private
            .iter()
            .map(|dir| format!("/bin/mount --bind {} {dir} && ", self.path_of(dir).display()))
            .collect();
        let mut command = Command::new("/usr/bin/unshare");
        command.args(["-m", "/bin/sh", "-c", &format!("{mounts}exec \"$@\""), "sh"]);
        command.arg(program);
        command
    }

    /// Returns the folder that modules work in.
    pub fn dir(&self) -> String {
        self.root.path().join("work").to_string_lossy().into_owned()
    }

    pub fn is_root(&self) -> bool {
        self.target.uid == 0
    }

    fn run(&self, script: &str, stdin: Option<&[u8]>) -> Output {
        let given = self.environment.iter().map(|(name, value)| (name, value.replace("$D", &self.dir())));
        let mut child = self
            .command(&self.shell.program[0])
            .arg("-c")
            .arg(script)
            .current_dir(self.dir())
            .env_clear()
            .env("PATH", self.path())
            .env("HOME", self.dir())
            .env("TMPDIR", self.root.path().join("tmp"))
            .env("LANG", "C.UTF-8")
            .envs(given)
            .stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let (Some(bytes), Some(mut pipe)) = (stdin, child.stdin.take()) {
            let _ = pipe.write_all(bytes);
        }
        let done = child.wait_with_output().unwrap();
        Output {
            rc: done.status.code().unwrap_or(255),
            stdout: done.stdout,
            stderr: done.stderr,
            ..Output::default()
        }
    }

    fn path(&self) -> String {
        match &self.programs {
            Some(programs) => format!("{}:{}", programs.display(), self.shell.path),
            None => self.shell.path.clone(),
        }
    }

    /// Runs preparing lines.
    pub fn sh(&self, script: &str) {
        let done = self.run(script, None);
        assert_eq!(done.rc, 0, "{script}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Whether the shell finds a program.
    pub fn has(&self, program: &str) -> bool {
        self.holds(&format!("command -v {program}"))
    }

    /// Whether a shell condition holds.
    pub fn holds(&self, condition: &str) -> bool {
        self.run(condition, None).rc == 0
    }

    fn out(&self, script: &str) -> String {
        String::from_utf8_lossy(&self.run(script, None).stdout).into_owned()
    }

    /// Asserts a shell condition; with the machine's own tools, as busybox's differ.
    pub fn expect(&self, condition: &str, what: &str) {
        let done = self
            .command(Path::new("/bin/sh"))
            .arg("-c")
            .arg(condition)
            .current_dir(self.dir())
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{what}: not so: {condition}\n{}{}\n{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr),
            self.out("ls -laR")
        );
    }

    fn with<T>(
        &self,
        module: &str,
        args: &str,
        check: bool,
        world: &World,
        f: impl FnOnce(&Call) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let json = args.replace("$D", &self.dir());
        let given = from_json(&serde_json::from_str(&json).unwrap());
        let spec = modules::find(module).unwrap().spec();
        let files = Files { root: self.root.path().join("files") };
        let call = Call {
            args: spec.check(given.as_map().unwrap())?,
            target: &self.target,
            local: &files,
            check,
            diff: true,
            environment: &[],
            world,
        };
        f(&call)
    }

    /// Probes and plans.
    pub fn plan(&self, module: &str, args: &str, check: bool) -> Result<Prediction, Failure> {
        self.plan_after(module, args, check, World::none())
    }

    /// The same as a step of a plan that comes after others.
    pub fn plan_after(
        &self,
        module: &str,
        args: &str,
        check: bool,
        world: &World,
    ) -> Result<Prediction, Failure> {
        self.with(module, args, check, world, |call| {
            let module = modules::find(module).unwrap();
            let mut seen = match module.probe(call)? {
                None => Seen::default(),
                Some(script) => Seen::from(self.run(&format!("{PRELUDE}\n{script}"), None)),
            };
            let more = if check {
                module.simulate(call, &seen)?.map(|script| self.run(&format!("{PRELUDE}\n{script}"), None))
            } else {
                module.prepare(call, &seen)?.map(|run| self.execute(&run))
            };
            seen.more = more.map(|output| Box::new(Seen::from(output)));
            module.plan(call, &seen)
        })
    }

    /// Executes a prediction the way the engine does.
    pub fn apply(&self, module: &str, args: &str, prediction: Prediction) -> Result<Outcome, Failure> {
        self.with(module, args, false, World::none(), |call| {
            let mut ran: Vec<Output> = Vec::new();
            for action in prediction.change.iter().flat_map(|c| &c.actions) {
                match action {
                    Action::Run(run) => ran.push(self.execute(run)),
                    Action::SaveLocal { path, from, .. } => {
                        fs::create_dir_all(path.parent().unwrap()).unwrap();
                        fs::write(path, &ran[*from].stdout).unwrap();
                        ran.push(Output::default());
                    }
                }
                if ran.last().is_some_and(|o| o.rc != 0) {
                    break;
                }
            }
            modules::find(module).unwrap().finish(call, prediction.clone(), &ran)
        })
    }

    fn execute(&self, run: &Run) -> Output {
        let stdin = run.stdin.as_ref().map(|content| match content {
            Content::Bytes(bytes) => bytes.to_vec(),
            Content::File { path, .. } => fs::read(path).unwrap(),
        });
        self.run(&format!("{PRELUDE}\n{}", run.script), stdin.as_deref())
    }

    /// Returns names, attributes and contents of everything.
    pub fn digest(&self) -> BTreeMap<PathBuf, String> {
        let mut found = self.parts();
        // Scripts may come and go there; `leftovers` says whether something stays.
        found.remove(&self.root.path().join("tmp"));
        for (path, text) in &mut found {
            // Readers of a database set its owner anew.
            if path.extension().is_some_and(|ext| ext == "sqlite-wal") || path.is_relative() {
                continue;
            }
            // What a file's bytes and mode do not tell, such as its access list, is changed at this time too.
            let meta = fs::symlink_metadata(path).unwrap();
            *text = format!("{text} {} {}", meta.ctime(), meta.ctime_nsec());
        }
        found
    }

    fn parts(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        digest(self.root.path(), &mut found);
        if !self.outside.is_empty() {
            found.insert(PathBuf::from("outside"), self.out(self.outside));
        }
        // What readers of a database share is written by reading.
        found.retain(|path, _| path.extension().is_none_or(|ext| ext != "sqlite-shm"));
        found
    }

    /// Returns the same without the times of folders.
    pub fn content(&self) -> BTreeMap<PathBuf, String> {
        let mut found = self.parts();
        for (path, text) in &mut found {
            if path.is_dir() && !path.is_symlink() {
                *text = text.split(' ').next().unwrap().to_string();
            }
        }
        found
    }

    /// Returns temporary files that should not be there.
    pub fn leftovers(&self) -> Vec<String> {
        self.digest()
            .keys()
            .filter(|p| {
                p.to_string_lossy().contains(".xplay.")
                    || p.parent().unwrap().ends_with("tmp") && p.starts_with(self.root.path().join("tmp"))
            })
            .map(|p| p.to_string_lossy().into_owned())
            .collect()
    }
}

/// Bytes as failures show them; of many, such as a disk's, only what tells them from others.
fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 4096;
    if bytes.len() <= MOST {
        return format!("{bytes:?}");
    }
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    format!("{} bytes, {:x}", bytes.len(), hasher.finish())
}

fn digest(dir: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_file() {
            shown(&fs::read(&path).unwrap_or_default())
        } else if meta.is_symlink() {
            fs::read_link(&path).unwrap().to_string_lossy().into_owned()
        } else {
            String::new()
        };
        let text =
            format!("{:o} {} {} {} {content}", meta.mode(), meta.ino(), meta.mtime(), meta.mtime_nsec());
        found.insert(path.clone(), text);
        if meta.is_dir() {
            digest(&path, found);
        }
    }
}

/// Asserts that what was known before came true.
pub fn compare(predicted: &Map, outcome: &Map, what: &str) {
    for (key, value) in predicted {
        let Some(name) = key.as_str() else { continue };
        // A folder's size and a new file's group depend on the file system.
        if value.find_unknown().is_some() || matches!(name, "size" | "backup") {
            continue;
        }
        assert_eq!(Some(value), outcome.get(name), "{what}: {name}");
    }
}

struct Files {
    root: PathBuf,
}

impl LocalFiles for Files {
    fn find(&self, _: &str, name: &str) -> Result<PathBuf, String> {
        let path = self.root.join(name);
        if path.exists() { Ok(path) } else { Err(format!("no file {name}")) }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        fs::read(path).map_err(|e| e.to_string())
    }

    fn render(&self, path: &Path, _: &Value) -> Result<String, String> {
        fs::read_to_string(path).map_err(|e| e.to_string())
    }
}
