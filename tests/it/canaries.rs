//! Secrets on targets, over a real sshd: not among the arguments of any process, and in no file but where a task puts them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::hostile::{files, forms};
use crate::ssh_environments::{Site, executable, host_line};
use crate::support::skip;
use crate::support::sshd::Sshd;

/// A variable out of the vault.
const VAULTED: &str = "C4nary \"over\" 'ssh'&x=%/\\end";
/// The password of sudo.
const BECOME: &str = "b3come-canary&'s end";
/// The result of a task with `no_log`.
const HIDDEN: &str = "h1dden-over-ssh-canary";
/// A variable out of a file that is encrypted as a whole.
const SEALED: &str = "s3aled-file-canary=";
const VAULT_PASSWORD: &str = "v4ult-p4ssword-over-ssh";

/// Looks at all processes and at folders as long as it lives.
pub struct Watch {
    stop: Arc<AtomicBool>,
    found: Arc<Mutex<BTreeSet<String>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watch {
    /// What a needle is looked for in files of `dirs` and in arguments of processes; `held` says which files may have it.
    pub fn new(needles: &[&str], dirs: Vec<PathBuf>, held: fn(&Path, &str) -> bool) -> Self {
        let needles: Vec<(String, Vec<String>)> =
            needles.iter().map(|needle| (needle.to_string(), forms(needle))).collect();
        let (stop, found) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
        let (ends, hits) = (stop.clone(), found.clone());
        let thread = std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                for pid in fs::read_dir("/proc").into_iter().flatten().flatten() {
                    let words = fs::read(pid.path().join("cmdline")).unwrap_or_default();
                    for needle in held_in(&words, &needles) {
                        let words = String::from_utf8_lossy(&words).replace('\0', " ");
                        hits.lock().unwrap().insert(format!("a process has {needle}: {words}"));
                    }
                }
                for path in dirs.iter().flat_map(|dir| files(dir)) {
                    let bytes = fs::read(&path).unwrap_or_default();
                    for needle in held_in(&bytes, &needles).filter(|needle| !held(&path, needle)) {
                        hits.lock().unwrap().insert(format!("{} has {needle}", path.display()));
                    }
                }
            }
        });
        Watch { stop, found, thread: Some(thread) }
    }

    pub fn end(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.found.lock().unwrap().iter().cloned().collect()
    }
}

fn held_in<'a>(bytes: &'a [u8], needles: &'a [(String, Vec<String>)]) -> impl Iterator<Item = &'a str> {
    let holds = |form: &String| bytes.windows(form.len()).any(|w| w == form.as_bytes());
    needles.iter().filter(move |(_, forms)| forms.iter().any(holds)).map(|(needle, _)| needle.as_str())
}

/// What a command prints waits for the end of its task in a file of the user alone, so that a lost connection loses nothing.
fn is_output(path: &Path, _needle: &str) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let is_mark =
        path.to_string_lossy().contains("/.xplay/once-") && (name.ends_with(".o") || name.ends_with(".e"));
    let is_job = path.to_string_lossy().contains("/.xplay/jobs/") && ["out", "err"].contains(&&*name);
    let mode = |path: &Path| fs::metadata(path).map_or(0, |m| m.permissions().mode() & 0o077);
    // It may be gone meanwhile.
    (is_mark || is_job) && mode(path.parent().unwrap()) == 0
}

/// A sudo that asks for the password, and looks at all processes and its own environment meanwhile.
const SUDO: &str = r#"#!/bin/sh
while :; do
  case $1 in -p) prompt=$2; shift 2 ;; -u) shift 2 ;; --) shift; break ;; -n) exit 1 ;; *) shift ;; esac
done
printf %s "$prompt" >&2
IFS= read -r word || exit 1
env >>@DIR@/environment
printf '%s\n' "$word" >@DIR@/given
exec "$@"
"#;

/// Every program that is called by name writes down what it is called with.
const SHIM: &str = r#"#!/bin/sh
printf '%s ' "$0" "$@" >>@DIR@/argv
for d in /usr/bin /bin /usr/sbin /sbin; do [ ! -x "$d/${0##*/}" ] || exec "$d/${0##*/}" "$@"; done
exit 127
"#;

const PLAYBOOK: &str = r#"- hosts: all
  gather_facts: true
  vars_files: [sealed.yml]
  vars:
    ansible_become_exe: @DIR@/sudo
    ansible_become_password: "{{ become_word }}"
  tasks:
    - copy: {content: "{{ secret }} {{ sealed }}\n", dest: "@DIR@/kept/file", mode: "0600"}
    - lineinfile: {path: "@DIR@/kept/file", line: "and {{ secret }} {{ sealed }}"}
    - template: {src: it.j2, dest: "@DIR@/kept/made", mode: "0600"}
    - shell: cat >/dev/null; sleep 0.3
      args: {stdin: "{{ secret }} {{ sealed }}"}
      environment: {S: "{{ secret }}", T: "{{ sealed }}"}
    - shell: cat >/dev/null; sleep 1
      args: {stdin: "{{ secret }} {{ sealed }}", long: true}
      environment: {S: "{{ secret }}", T: "{{ sealed }}"}
    - shell: cat >/dev/null; sleep 1
      args: {stdin: "{{ secret }} {{ sealed }}"}
      environment: {S: "{{ secret }}", T: "{{ sealed }}"}
      async: 30
      poll: 1
    - shell: printf '%s\n' "$S" "$T"; sleep 0.3
      environment: {S: "{{ secret }}", T: "{{ sealed }}"}
      register: said
    - debug: {var: said}
    - shell: cat
      args: {stdin: "@HIDDEN@"}
      no_log: true
      register: hidden
    - shell: cat; sleep 0.5
      args: {stdin: "@HIDDEN@", long: true}
      no_log: true
    - shell: cat; sleep 0.5; exit 3
      args: {stdin: "@HIDDEN@"}
      async: 30
      poll: 1
      no_log: true
      ignore_errors: true
    - shell: cat >/dev/null; sleep 0.3
      args: {stdin: "{{ secret }} {{ sealed }}", long: true}
      become: true
      become_user: operator
    - copy: {content: "{{ secret }}\n", dest: "@DIR@/kept/others", mode: "0600"}
      become: true
      become_user: operator
    - script: it.sh
      environment: {S: "{{ secret }}"}
    - fail: {msg: "it is {{ secret }} and {{ sealed }}"}
      ignore_errors: true
"#;

const NEEDLES: [&str; 5] = [VAULTED, BECOME, HIDDEN, SEALED, VAULT_PASSWORD];

#[track_caller]
fn assert_clean(what: &str, bytes: &[u8]) {
    let needles: Vec<(String, Vec<String>)> =
        NEEDLES.iter().map(|needle| (needle.to_string(), forms(needle))).collect();
    let found: Vec<&str> = held_in(bytes, &needles).collect();
    assert!(found.is_empty(), "{what} has {found:?}: {}", String::from_utf8_lossy(bytes));
}

/// Encrypts a variable for the file of the project's variables.
fn vaulted(site: &Site, name: &str, text: &str) -> String {
    let output = site
        .xplay(&["vault", "encrypt_string", "--vault-password-file", "pw", "--name", name, text])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the program without a terminal of its own: it takes what is typed from its input then.
pub fn typed_in(site: &Site, args: &[&str], typed: &str) -> Output {
    use std::io::Write;
    let plain = site.xplay(args);
    let mut command = Command::new("setsid");
    command.arg("-w").arg(plain.get_program()).args(plain.get_args()).env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let mut child = command
        .current_dir(site.dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn secrets_stand_nowhere_on_targets() {
    let test = "secrets_stand_nowhere_on_targets";
    if crate::support::find_program("setsid").is_none() {
        return skip(test, "there is no setsid");
    }
    let target = tempfile::tempdir().unwrap();
    let dir = target.path();
    for name in ["home", "tmp", "kept", "bin"] {
        fs::create_dir(dir.join(name)).unwrap();
    }
    let here = |text: &str| text.replace("@DIR@", &dir.display().to_string()).replace("@HIDDEN@", HIDDEN);
    executable(&dir.join("sudo"), &here(SUDO));
    executable(&dir.join("shim"), &here(SHIM));
    for folder in ["/usr/bin", "/bin"] {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let _ = std::os::unix::fs::symlink(dir.join("shim"), dir.join("bin").join(entry.file_name()));
        }
    }
    let door = "#!/bin/sh\nPATH=@DIR@/bin HOME=@DIR@/home TMPDIR=@DIR@/tmp; export PATH HOME TMPDIR\n\
                exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\n";
    executable(&dir.join("door"), &here(door));
    let Some(server) = Sshd::start_with(test, &format!("ForceCommand {}", dir.join("door").display())) else {
        return;
    };
    for kind in crate::ssh_binary::kinds(test) {
        let site = Site::new(&host_line(&server, "n1"), "");
        let write = |name: &str, text: &str| fs::write(site.dir.path().join(name), text).unwrap();
        write("pw", VAULT_PASSWORD);
        fs::create_dir(site.dir.path().join("group_vars")).unwrap();
        let vars = vaulted(&site, "secret", VAULTED) + &vaulted(&site, "become_word", BECOME);
        write("group_vars/all.yml", &vars);
        write("site.yml", &here(PLAYBOOK));
        fs::create_dir(site.dir.path().join("templates")).unwrap();
        write("templates/it.j2", "{{ secret }} {{ sealed }}\n");
        write("files/it.sh", "#!/bin/sh\nsleep 0.3\n");
        write("sealed.yml", &format!("sealed: \"{SEALED}\"\n"));
        let sealed = site.xplay(&["vault", "encrypt", "--vault-password-file", "pw", "sealed.yml"]).output();
        assert!(sealed.unwrap().status.success());
        let connection = if kind == xplay::transport::Kind::Ssh { "ssh" } else { "ssh-binary" };
        for more in [&["-vvvv", "-D"][..], &["--json", "-vvvv", "-D"]] {
            let watch = Watch::new(&NEEDLES, vec![dir.join("home"), dir.join("tmp")], is_output);
            let args = ["run", "site.yml", "-i", "hosts", "--vault-password-file", "pw", "-c", connection];
            let output = site.xplay(&[&args, more].concat()).output().unwrap();
            let found = watch.end();
            let said = [output.stdout.clone(), output.stderr.clone()].concat();
            let shown = String::from_utf8_lossy(&said);
            assert_eq!(output.status.code(), Some(0), "{connection} {more:?}: {shown}");
            assert_clean(&format!("{connection} {more:?}"), &said);
            assert!(found.is_empty(), "{connection} {more:?}: {found:#?}");
            let kept = fs::read_to_string(dir.join("kept/file")).unwrap();
            assert!(kept.starts_with(&format!("{VAULTED} {SEALED}\n")), "{kept}");
            assert_eq!(fs::read_to_string(dir.join("given")).unwrap(), format!("{BECOME}\n"));
            for name in ["argv", "environment"] {
                assert_clean(name, &fs::read(dir.join(name)).unwrap());
            }
            let left: Vec<PathBuf> = ["home", "tmp"].iter().flat_map(|name| files(&dir.join(name))).collect();
            assert!(left.is_empty(), "{connection}: {left:?}");
            // What this side keeps of the run.
            for path in files(&site.dir.path().join(".local")) {
                assert_clean(&path.display().to_string(), &fs::read(&path).unwrap());
            }
            for name in ["argv", "environment", "given", "kept/file", "kept/made", "kept/others"] {
                fs::remove_file(dir.join(name)).unwrap();
            }
        }
    }
}
