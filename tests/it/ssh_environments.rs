//! Hosts as they are: odd login shells, noise, missing tools, full and read-only disks, hosts that go silent. Each works
//! or fails with a sentence that names what is wrong.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use xplay::transport::{BecomeMethod, BecomeSpec, ConnectionSpec, Connector, HostConnector, Identity};

use crate::support::sshd::Sshd;
use crate::support::{can_mount, find_program, skip, with_mounts};

/// A folder with an inventory of hosts, and what xplay says about a playbook on them.
pub struct Site {
    pub dir: tempfile::TempDir,
}

impl Site {
    pub fn new(inventory: &str, tasks: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("hosts"), inventory).unwrap();
        let playbook = format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}");
        fs::write(dir.path().join("site.yml"), playbook).unwrap();
        fs::create_dir(dir.path().join("files")).unwrap();
        fs::write(dir.path().join("files/script.sh"), "#!/bin/sh\necho from-script\n").unwrap();
        Self { dir }
    }

    /// The program that runs the playbook, with these arguments too.
    pub fn command(&self, more: &[&str]) -> Command {
        self.xplay(&[&["run", "site.yml", "-i", "hosts"], more].concat())
    }

    /// The program with these arguments.
    pub fn xplay(&self, args: &[&str]) -> Command {
        let mut xplay = Command::new(env!("CARGO_BIN_EXE_xplay"));
        xplay.args(args);
        xplay.current_dir(self.dir.path()).stdin(Stdio::null());
        xplay.env_clear().env("HOME", self.dir.path()).env("XPLAY_NO_REPORT", "1");
        xplay.env("PATH", std::env::var_os("PATH").unwrap());
        xplay
    }

    /// Returns the exit code and all output.
    fn run(&self) -> (i32, String) {
        let output = self.command(&["-v"]).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
    }
}

pub fn host_line(server: &Sshd, name: &str) -> String {
    let spec = server.spec();
    format!(
        "{name} ansible_host=127.0.0.1 ansible_port={} ansible_user={} ansible_ssh_private_key_file={} \
         ansible_ssh_common_args='-F none -o UserKnownHostsFile={}'\n",
        server.port,
        server.user,
        spec.keys[0].display(),
        spec.known_hosts[0].display()
    )
}

pub fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs tasks on a server whose sessions go through a door: a script that makes the environment and then runs what
/// was asked for.
fn through(test: &str, config: &str, door: &str, tasks: &str) -> Option<(i32, String, tempfile::TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("door");
    let at = folder.path().display().to_string();
    executable(&script, &format!("#!/bin/sh\n{}\n", door.replace("@DIR@", &at)));
    let config = format!("{config}\nForceCommand {}", script.display()).replace("@DIR@", &at);
    let server = Sshd::start_with(test, &config)?;
    let site = Site::new(&host_line(&server, "n1"), &tasks.replace("@DIR@", &at));
    let (code, said) = site.run();
    Some((code, said, folder))
}

/// Tasks that use what modules use: scripts, content, digests, private files, templates.
const USUAL: &str = r#"
    - copy: {content: "hello\n", dest: @DIR@/file}
    - copy: {content: "hello\n", dest: @DIR@/file}
      register: again
    - assert: {that: again is not changed}
    - command: cat @DIR@/file
      register: out
    - assert: {that: out.stdout == 'hello'}
    - script: script.sh
      register: out
    - assert: {that: "'from-script' in out.stdout"}
    - stat: {path: @DIR@/file}
      register: out
    - assert: {that: out.stat.size == 6}
    - slurp: {src: @DIR@/file}
      register: out
    - assert: {that: out.content | b64decode == 'hello\n'}
    - shell: echo $0 && umask
"#;

fn works(test: &str, config: &str, door: &str) {
    let Some((code, said, _folder)) = through(test, config, door, USUAL) else { return };
    assert_eq!(code, 0, "{test}: {said}");
}

#[test]
fn a_csh_login_shell() {
    let test = "a_csh_login_shell";
    match find_program("tcsh") {
        Some(tcsh) => works(test, "", &format!("exec {} -f -c \"$SSH_ORIGINAL_COMMAND\"", tcsh.display())),
        None => skip(test, "there is no tcsh"),
    }
}

#[test]
fn banners_and_messages_of_the_day() {
    let banner = tempfile::NamedTempFile::new().unwrap();
    fs::write(banner.path(), "AUTHORIZED USERS ONLY:\nPassword: none of your business\n").unwrap();
    let noise = "echo 'Welcome to n1!'; echo 'Password:' >&2; printf 'no newline'; echo 'last login' >&2\n\
                 exec sh -c \"$SSH_ORIGINAL_COMMAND\"";
    let config = format!("Banner {}\nPrintMotd yes", banner.path().display());
    works("banners_and_messages_of_the_day", &config, noise);
}

#[test]
fn no_path_at_all() {
    works("no_path_at_all", "", "unset PATH; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"");
    works("no_path_at_all", "", "PATH=/nowhere; export PATH; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"");
}

#[test]
fn a_strict_umask() {
    let test = "a_strict_umask";
    let door = "umask 077; exec sh -c \"$SSH_ORIGINAL_COMMAND\"";
    works(test, "", door);
    // What is made follows the umask unless a mode is given.
    let tasks = "    - copy: {content: x, dest: @DIR@/own}\n    - copy: {content: x, dest: @DIR@/open, mode: '0644'}\n";
    let Some((code, said, folder)) = through(test, "", door, tasks) else { return };
    use std::os::unix::fs::PermissionsExt;
    let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((code, mode("own"), mode("open")), (0, 0o600, 0o644), "{said}");
}

#[test]
fn few_tools() {
    let test = "few_tools";
    let folder = tempfile::tempdir().unwrap();
    let without = ["base64", "sha256sum", "stat", "python3", "perl", "openssl", "uuencode"];
    for dir in ["/usr/bin", "/bin"] {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if !without.contains(&&*name.to_string_lossy()) {
                let _ = std::os::unix::fs::symlink(entry.path(), folder.path().join(name));
            }
        }
    }
    let door =
        format!("PATH={}; export PATH; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"", folder.path().display());
    let Some((code, said, _folder)) = through(test, "", &door, USUAL) else { return };
    assert_eq!(code, 0, "{said}");
}

/// Makes mounts of its own before it runs what was asked for.
fn in_own_mounts(mounts: &str) -> String {
    format!("exec unshare --mount sh -c '{mounts} exec sh -c \"$SSH_ORIGINAL_COMMAND\"'")
}

#[test]
fn programs_cannot_run_in_tmp() {
    let test = "programs_cannot_run_in_tmp";
    if can_mount(test) {
        // The folder of the test is below /tmp, so it moves out of the way.
        let mounts = "mkdir -p /mnt && mount -t tmpfs none /mnt && mkdir /mnt/keep && mount --bind @DIR@ /mnt/keep && \
                      mount -t tmpfs -o noexec none /tmp && mkdir -p @DIR@ && mount --bind /mnt/keep @DIR@ &&";
        let without_script: String = USUAL
            .split("    - ")
            .filter(|task| !task.starts_with("script") && !task.contains("from-script"))
            .map(|task| if task.trim().is_empty() { task.to_owned() } else { format!("    - {task}") })
            .collect();
        let Some((code, said, _folder)) = through(test, "", &in_own_mounts(mounts), &without_script) else {
            return;
        };
        assert_eq!(code, 0, "{said}");
        // A script of ours must be run there, and the message names it.
        let script = "    - script: script.sh\n";
        let Some((code, said, _folder)) = through(test, "", &in_own_mounts(mounts), script) else { return };
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("script.sh: Permission denied"), "{said}");
    }
}

#[test]
fn a_read_only_root() {
    let test = "a_read_only_root";
    if !can_mount(test) {
        return;
    }
    let door = in_own_mounts("mount --bind / / && mount -o remount,bind,ro / &&");
    let tasks = "    - command: echo alive\n    - copy: {content: new, dest: /etc/xplay-test-file}\n";
    let Some((code, said, _folder)) = through(test, "", &door, tasks) else { return };
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("alive") && said.contains("Read-only file system"), "{said}");
    assert!(!Path::new("/etc/xplay-test-file").exists());
}

#[test]
fn a_full_disk() {
    let test = "a_full_disk";
    if !can_mount(test) {
        return;
    }
    let mounts =
        "mkdir -p @DIR@/full && mount -t tmpfs -o size=64k none @DIR@/full && echo old >@DIR@/full/file &&";
    let tasks = "    - copy: {content: \"{{ 'x' * 200000 }}\", dest: @DIR@/full/file}\n      ignore_errors: true\n    \
                 - command: cat @DIR@/full/file\n    - command: ls -A @DIR@/full\n      register: left\n    \
                 - assert: {that: left.stdout == 'file'}\n";
    let Some((code, said, _folder)) = through(test, "", &in_own_mounts(mounts), tasks) else { return };
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("\"stdout\": \"old\""), "the file is as it was: {said}");
}

/// The home of the user, where commands leave marks, has no room; or nearly none.
#[test]
fn a_full_home() {
    let test = "a_full_home";
    if !can_mount(test) {
        return;
    }
    let home = |left: &str| {
        in_own_mounts(&format!(
            "mkdir -p @DIR@/home && mount -t tmpfs -o size=256k none @DIR@/home && export HOME=@DIR@/home && \
             dd if=/dev/zero of=@DIR@/home/fill bs=4k {left} 2>/dev/null;"
        ))
    };
    let tasks = "    - command: echo alive\n    - copy: {content: new, dest: @DIR@/file}\n    - script: script.sh\n    \
                 - shell: echo x\n      args: {long: true}\n      ignore_errors: true\n      register: long\n    \
                 - assert: {that: [long is failed, \"'is its disk full?' in long.msg\"]}\n    \
                 - setup: {gather_subset: ['!all', '!min', distribution]}\n";
    let Some((code, said, _folder)) = through(test, "", &home(""), tasks) else { return };
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("\"alive\"") && said.contains("from-script"), "{said}");
    // A few KiB are there, for a mark and not for what the command prints.
    let tasks = "    - shell: echo small\n    - shell: head -c 1000000 /dev/zero | tr '\\0' x\n      ignore_errors: true\n      \
                 register: big\n    - assert: {that: [big is failed, \"'is its disk full?' in big.stderr\"]}\n    \
                 - command: echo after\n";
    let Some((code, said, _folder)) = through(test, "", &home("count=48"), tasks) else { return };
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("\"small\"") && said.contains("\"after\""), "{said}");
}

/// A temporary folder without room: what needs one says so.
#[test]
fn a_full_temporary_folder() {
    let test = "a_full_temporary_folder";
    if !can_mount(test) {
        return;
    }
    let door = in_own_mounts(
        "mkdir -p @DIR@/tmp && mount -t tmpfs -o size=64k none @DIR@/tmp && export TMPDIR=@DIR@/tmp && \
         dd if=/dev/zero of=@DIR@/tmp/fill bs=4k 2>/dev/null;",
    );
    let tasks = "    - command: echo alive\n    - copy: {content: new, dest: @DIR@/file}\n    - script: script.sh\n      \
                 ignore_errors: true\n      register: it\n    - assert: {that: [it is failed, \"'No space left' in it | string\"]}\n";
    let Some((code, said, folder)) = through(test, "", &door, tasks) else { return };
    assert_eq!(code, 0, "{said}");
    assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "new");
}

/// The disk of this machine is full: nothing is sent that could not be written down.
#[test]
fn a_full_disk_on_this_side() {
    let test = "a_full_disk_on_this_side";
    if !can_mount(test) {
        return;
    }
    let site = Site::new("n1 ansible_connection=local\n", "");
    let log = site.dir.path().join("log");
    let tasks = format!(
        "    - shell: echo {{{{ item }}}} >>{}\n      loop: \"{{{{ range(400) | list }}}}\"\n",
        log.display()
    );
    let playbook =
        format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}    - command: echo after\n");
    fs::write(site.dir.path().join("site.yml"), playbook).unwrap();
    let mounts = "mkdir -p \"$0\" && mount -t tmpfs -o size=96k none \"$0\"";
    let run =
        with_mounts(mounts, &site.dir.path().join(".local"), &site.command(&["--json"])).output().unwrap();
    let said = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
    assert_eq!(run.status.code(), Some(2), "{said}");
    assert!(said.contains("nothing was sent") && said.contains("No space left on device"), "{said}");
    assert!(!said.contains("\"stdout\":\"after\""), "{said}");
    let ran = fs::read_to_string(&log).unwrap_or_default().lines().count();
    assert!(ran < 400, "{ran}");
}

/// A relay to a server that goes silent when the client has its keys: after the key exchange.
fn silent_after_greeting(port: u16) -> u16 {
    /// The packet in which the client takes its keys into use.
    const NEW_KEYS: [u8; 6] = [0, 0, 0, 12, 10, 21];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) =
                (client.unwrap(), TcpStream::connect(("127.0.0.1", port)).unwrap());
            let (mut to_client, mut from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from_server, &mut to_client));
            std::thread::spawn(move || {
                let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
                while let Ok(n @ 1..) = client.read(&mut buffer) {
                    seen.extend_from_slice(&buffer[..n]);
                    let end = seen.windows(NEW_KEYS.len()).position(|w| w == NEW_KEYS);
                    if end.is_some() || server.write_all(&buffer[..n]).is_err() {
                        break;
                    }
                }
                // What comes now is read and goes nowhere.
                while let Ok(1..) = client.read(&mut buffer) {}
            });
        }
    });
    own
}

/// A relay to a server that forwards nothing any more, in either direction, when there is a file.
pub fn black_after(port: u16, flag: std::path::PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", port)).unwrap());
            let ways = [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server.try_clone().unwrap(), client.try_clone().unwrap()),
            ];
            for (mut from, mut to) in ways {
                let flag = flag.clone();
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(n @ 1..) = from.read(&mut buffer) {
                        if !flag.exists() && to.write_all(&buffer[..n]).is_err() {
                            break;
                        }
                    }
                    // Both ends stay open: nobody is told anything.
                    std::thread::sleep(Duration::from_secs(120));
                });
            }
        }
    });
    own
}

/// Hosts that go silent at any moment are reported within their limit, and the others go on.
#[test]
fn silent_hosts_are_reported_and_the_others_go_on() {
    let test = "silent_hosts_are_reported_and_the_others_go_on";
    let Some(server) = Sshd::start(test) else { return };
    // Connections are taken and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let greeting = silent_after_greeting(server.port);
    let inventory = [
        host_line(&server, "good"),
        host_line(&server, "mute").replace(&format!("port={}", server.port), &format!("port={silent_port}")),
        host_line(&server, "stuck").replace(&format!("port={}", server.port), &format!("port={greeting}")),
        "[all:vars]\nansible_ssh_timeout=2\n".to_owned(),
    ];
    let inventory = inventory
        .concat()
        .replace("-o UserKnownHostsFile", "-o StrictHostKeyChecking=no -o UserKnownHostsFile");
    let site = Site::new(&inventory, "    - command: echo alive\n");
    let start = Instant::now();
    let (code, said) = site.run();
    let took = start.elapsed();
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("alive"), "the good host went on: {said}");
    let reported = |text: &str| assert!(said.contains(text), "{text}: {said}");
    reported(&format!("cannot reach mute: 127.0.0.1 port {silent_port}: no answer within 2 s"));
    reported("cannot reach stuck: no answer to our login within 30 s");
    assert!(took < Duration::from_secs(150), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_sudo_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    executable(&folder.path().join("sudo"), "#!/bin/sh\necho 'looking at LDAP' >&2\nexec sleep 60\n");
    let shell = folder.path().join("sh");
    executable(
        &shell,
        &format!("#!/bin/sh\nPATH={}:$PATH; export PATH\nexec /bin/sh \"$@\"\n", folder.path().display()),
    );
    let connector = HostConnector::new("", Identity::from_environment());
    let spec = ConnectionSpec {
        shell: shell.display().to_string(),
        connect_timeout: Some(Duration::from_secs(1)),
        ..ConnectionSpec::local("here")
    };
    let connection = connector.connect(&spec).await.unwrap();
    let start = Instant::now();
    let error =
        connection.session(Some(&BecomeSpec::new(BecomeMethod::Sudo, "operator"))).await.err().unwrap();
    let expect = "cannot become operator on here by sudo: no shell after 1 s, it said: looking at LDAP";
    assert_eq!(error.to_string(), expect);
    assert!(start.elapsed() < Duration::from_secs(5));
    executable(
        &folder.path().join("sudo"),
        "#!/bin/sh\necho 'sudo: sorry, you must have a tty to run sudo' >&2\nexit 1\n",
    );
    let error =
        connection.session(Some(&BecomeSpec::new(BecomeMethod::Sudo, "operator"))).await.err().unwrap();
    let expect = "cannot become operator on here by sudo: it wants a terminal; its configuration needs Defaults \
                  !requiretty for this user (sudo: sorry, you must have a tty to run sudo)";
    assert_eq!(error.to_string(), expect);
}
