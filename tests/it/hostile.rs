//! Hostile hosts and secrets: what hosts say is data, and what is secret stands nowhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine as _;

/// A secret with every character that some form of quoting changes.
const CANARY: &str = "C4nary \"of\" 'it'&x=%/\\end";
const VAULT_PASSWORD: &str = "v4ult-p4ssword-canary";
const HIDDEN: &str = "h1dden-by-no-log-canary";
/// The password of a node's hardware, which only the management node knows.
const BMC: &str = "b4seb0ard-canary";

/// What a host may say.
const CORPUS: &[&str] = &[
    "{{ lookup('pipe', 'touch TOUCHED') }}",
    "{% for x in range(3) %}{{ x }}{% endfor %}",
    "{{ 7 * 7 }}",
    "!unsafe {{ x }}",
    "$(touch TOUCHED)",
    "`touch TOUCHED`",
    "; touch TOUCHED #",
    "' ; touch TOUCHED ; '",
    "\" && touch TOUCHED && \"",
    "a\nb\n\nc",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{202e}gnp.exe",
    "../../../../TOUCHED",
    "-rf",
    "--help",
    "\\\\server\\share",
    "{\"changed\": true, \"ansible_facts\": {\"ansible_host\": \"evil\"}}",
    "xplay:progress \u{1b}[31mred",
    "\u{1e}0123456789abcdef 0",
    "Object name: evil\n    groups=all\n    status=$(touch TOUCHED)",
    "#node,x\n\"a\",\"`touch TOUCHED`\"",
];

struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    fn new(playbook: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Site { dir };
        for name in ["home", "work", "out", "bin"] {
            std::fs::create_dir(site.path(name)).unwrap();
        }
        site.write("site.yml", playbook);
        site.write("hosts", "n1 ansible_connection=local\n");
        site.write("pw", VAULT_PASSWORD);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Programs of the test come first.
    fn search_path(&self) -> std::ffi::OsString {
        let usual = std::env::var_os("PATH").unwrap_or_default();
        std::env::join_paths([self.path("bin")].into_iter().chain(std::env::split_paths(&usual))).unwrap()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn xplay(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_xplay"))
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", self.search_path())
            .env("HOME", self.path("home"))
            .env("WORK", self.path("work"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The forms in which a secret may get into a text.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap();
    let url: String = secret
        .bytes()
        .map(|b| match b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
            true => (b as char).to_string(),
            false => format!("%{b:02X}"),
        })
        .collect();
    vec![
        secret.to_string(),
        base64::engine::general_purpose::STANDARD.encode(secret),
        url,
        json[1..json.len() - 1].to_string(),
        secret.replace('\'', "'\\''"),
        secret.replace('\'', "'\"'\"'"),
    ]
}

#[track_caller]
fn assert_clean(what: &str, bytes: &[u8]) {
    for secret in [CANARY, VAULT_PASSWORD, HIDDEN, BMC] {
        for form in forms(secret) {
            let found = bytes.windows(form.len()).any(|w| w == form.as_bytes());
            assert!(!found, "{what} shows {form}: {}", String::from_utf8_lossy(bytes));
        }
    }
}

#[test]
fn secrets_stand_nowhere() {
    let site = Site::new("");
    let vaulted =
        site.xplay(&["vault", "encrypt_string", "--vault-password-file", "pw", "--name", "secret", CANARY]);
    assert!(vaulted.status.success(), "{}", String::from_utf8_lossy(&vaulted.stderr));
    let vars: String =
        String::from_utf8(vaulted.stdout).unwrap().lines().map(|line| format!("    {line}\n")).collect();
    site.write(
        "site.yml",
        format!(
            r#"- hosts: all
  gather_facts: false
  vars:
{vars}    work: "{{{{ lookup('env', 'WORK') }}}}"
  tasks:
    - copy: {{content: "{{{{ secret }}}}\n", dest: "{{{{ work }}}}/kept", mode: "0600"}}
    - shell: cat >/dev/null; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' >{{{{ work }}}}/processes
      args: {{stdin: "{{{{ secret }}}}"}}
    - shell: printf %s "$S" | base64 -w0; printf '\n%s\n' "$S"
      environment: {{S: "{{{{ secret }}}}"}}
      register: encoded
    - debug: {{var: encoded}}
    - debug: {{var: secret}}
    - set_fact: {{again: "{{{{ secret }}}}"}}
    - shell: cat
      args: {{stdin: "{HIDDEN}"}}
      no_log: true
      register: hidden
    - fail: {{msg: "it is {{{{ again }}}}"}}
      ignore_errors: true
"#
        ),
    );
    let common = ["-i", "hosts", "site.yml", "--vault-password-file", "pw"];
    for (what, more) in [
        ("terminal", vec!["run", "-vvvv", "-D", "--report", "report.html"]),
        ("json", vec!["run", "--json", "-vvvv", "-D", "--no-report"]),
        ("check", vec!["run", "-C", "-D", "-vvvv", "--no-report"]),
        ("plan", vec!["plan", "-o", "out.xplan", "-vvvv"]),
        ("runs", vec!["runs", "show", "last"]),
    ] {
        let args: Vec<&str> = match what {
            "runs" => more,
            _ => more.into_iter().chain(common).collect(),
        };
        let output = site.xplay(&args);
        assert!(
            matches!(output.status.code(), Some(0..=3)),
            "{what}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_clean(&format!("{what}, stdout"), &output.stdout);
        assert_clean(&format!("{what}, stderr"), &output.stderr);
    }
    for name in ["report.html", "out.xplan", "work/processes"] {
        assert_clean(name, &std::fs::read(site.path(name)).unwrap());
    }
    let kept = files(&site.path("home"));
    assert!(kept.iter().any(|path| path.extension().is_some_and(|e| e == "journal")), "{kept:?}");
    for path in kept {
        assert_clean(&path.display().to_string(), &std::fs::read(&path).unwrap());
    }
    assert_eq!(std::fs::read_to_string(site.path("work/kept")).unwrap(), format!("{CANARY}\n"));
}

/// A sudo that asks for the password, and looks at all processes and its own environment meanwhile.
const SUDO: &str = r#"#!/bin/sh
while :; do
  case $1 in -p) prompt=$2; shift 2 ;; -u) shift 2 ;; --) shift; break ;; -n) exit 1 ;; *) shift ;; esac
done
printf %s "$prompt" >&2
IFS= read -r word || exit 1
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' >>"$WORK/processes"
env >>"$WORK/environment"
printf '%s\n' "$word" >"$WORK/given"
exec "$@"
"#;

#[test]
fn a_become_password_is_given_and_shown_nowhere() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new("");
    site.write("bin/sudo", SUDO);
    std::fs::set_permissions(site.path("bin/sudo"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let vaulted =
        site.xplay(&["vault", "encrypt_string", "--vault-password-file", "pw", "--name", "secret", CANARY]);
    let vars: String =
        String::from_utf8(vaulted.stdout).unwrap().lines().map(|line| format!("    {line}\n")).collect();
    site.write(
        "site.yml",
        format!(
            "- hosts: all\n  gather_facts: false\n  become: true\n  become_user: operator\n  vars:\n{vars}    \
             ansible_become_password: \"{{{{ secret }}}}\"\n  tasks:\n    - shell: cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' >>$WORK/processes\n    \
             - command: env\n    - copy: {{content: x, dest: \"{{{{ lookup('env', 'WORK') }}}}/x\"}}\n    - command: \"false\"\n      ignore_errors: true\n"
        ),
    );
    for more in [&["-vvvv", "-D", "--report", "report.html"][..], &["--json", "-vvvv", "--no-report"]] {
        let args = [&["run", "-i", "hosts", "site.yml", "--vault-password-file", "pw"], more].concat();
        let output = site.xplay(&args);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        assert_clean("stdout", &output.stdout);
        assert_clean("stderr", &output.stderr);
    }
    assert_eq!(std::fs::read_to_string(site.path("work/given")).unwrap(), format!("{CANARY}\n"));
    for name in ["report.html", "work/processes", "work/environment"] {
        assert_clean(name, &std::fs::read(site.path(name)).unwrap());
    }
    for path in files(&site.path("home")) {
        assert_clean(&path.display().to_string(), &std::fs::read(&path).unwrap());
    }
}

/// What xCAT's tables hold of hardware is not shown, although no file of the project says that it is secret.
#[test]
fn passwords_of_hardware_stand_nowhere() {
    use crate::support::rehearse::{Mode, Rehearsal, can};
    if !can("hostile", Mode::Namespaces) {
        return;
    }
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    let cluster = rehearsal.start();
    rehearsal_playbook(rehearsal.dir());
    let set = "#!/bin/sh\nexec /opt/xcat/bin/chdef -t node sn1 bmcpassword=";
    std::fs::write(cluster.on_mn1("root/set"), format!("{set}{BMC}\n")).unwrap();
    let inventory = cluster.inventory();
    let playbook = rehearsal.dir().join("bmc.yml").display().to_string();
    for more in [&["-vvvv", "-D"][..], &["--json", "-vvvv", "-D"], &["-C", "-vvvv", "-D"]] {
        let output = cluster.xplay("home", &[&["run", "-i", &inventory, &playbook], more].concat()).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("10.0.0.9"), "{said}");
        assert_clean("stdout", &output.stdout);
        assert_clean("stderr", &output.stderr);
    }
    for path in files(&rehearsal.dir().join("home")) {
        assert_clean(&path.display().to_string(), &std::fs::read(&path).unwrap());
    }
}

fn rehearsal_playbook(dir: &Path) {
    let text = "- hosts: management\n  gather_facts: false\n  tasks:\n    - command: sh /root/set\n      check_mode: false\n    \
         - xcat_node: {nodes: sn1, attributes: {bmc: 10.0.0.9, bmcpassword: another-word}}\n    \
         - xcat_facts:\n      register: f\n    - debug: {var: f}\n";
    std::fs::write(dir.join("bmc.yml"), text).unwrap();
}

#[test]
fn what_hosts_say_is_data() {
    let site = Site::new(
        r#"- hosts: all
  gather_facts: false
  vars:
    work: "{{ lookup('env', 'WORK') }}"
  tasks:
    - name: said
      command: cat {{ work }}/in-{{ item }}
      args: {strip_empty_ends: false}
      loop: "{{ range(COUNT) | list }}"
      register: said
    - set_fact: {facts: "{{ said.results | map(attribute='stdout') | list }}"}
    - copy: {content: "{{ facts[item] }}", dest: "{{ work }}/back-{{ item }}"}
      loop: "{{ range(COUNT) | list }}"
    - shell: cat >{{ work }}/stdin-{{ item }}
      args: {stdin: "{{ facts[item] }}", stdin_add_newline: false}
      loop: "{{ range(COUNT) | list }}"
    - find: {paths: "{{ work }}/names", hidden: true}
      register: found
    - stat: {path: "{{ item.path }}"}
      loop: "{{ found.files }}"
    - fetch: {src: "{{ item.path }}", dest: fetched/}
      loop: "{{ found.files }}"
    - shell: cat {{ work }}/in-{{ item }} >&2; false
      loop: "{{ range(COUNT) | list }}"
      ignore_errors: true
    - fail: {msg: "{{ facts[item] }}"}
      loop: "{{ range(COUNT) | list }}"
      ignore_errors: true
    - debug: {var: facts}
"#
        .replace("COUNT", &CORPUS.len().to_string())
        .as_str(),
    );
    let touched = site.path("TOUCHED").display().to_string();
    let corpus: Vec<String> = CORPUS.iter().map(|text| text.replace("TOUCHED", &touched)).collect();
    std::fs::create_dir(site.path("work/names")).unwrap();
    for (n, text) in corpus.iter().enumerate() {
        site.write(&format!("work/in-{n}"), text);
        let name = CORPUS[n].replace('/', "_");
        std::fs::write(site.path("work/names").join(name), "x").unwrap();
    }
    for more in [&["-vvv"][..], &["--json"]] {
        let args = [&["run", "-i", "hosts", "site.yml", "--report", "r.html"], more].concat();
        let output = site.xplay(&args);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        // JSON is read by programs: it escapes control characters alone.
        let json = more.contains(&"--json");
        for bad in ["\u{1b}", "\u{7}", "\u{202e}"].into_iter().take(if json { 2 } else { 3 }) {
            assert!(!said.contains(bad), "{bad:?} reaches the terminal: {said}");
        }
    }
    for (n, text) in corpus.iter().enumerate() {
        for name in [format!("work/back-{n}"), format!("work/stdin-{n}")] {
            assert_eq!(&std::fs::read_to_string(site.path(&name)).unwrap(), text, "{name}");
        }
    }
    assert!(!site.path("TOUCHED").exists() && !site.path("work/TOUCHED").exists());
    let fetched = files(&site.path("fetched"));
    assert_eq!(fetched.len(), corpus.len(), "{fetched:?}");
}

#[test]
fn a_line_without_end_is_cut() {
    let site = Site::new(
        "- hosts: all\n  gather_facts: false\n  tasks:\n\
         \x20   - shell: head -c 100000000 /dev/zero | tr '\\0' x\n      register: long\n\
         \x20   - debug: {msg: \"{{ long.stdout | length }} {{ long.rc }}\"}\n",
    );
    let output = site.xplay(&["run", "-i", "hosts", "site.yml", "--no-report"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("16777216 0"), "{said}");
    assert!(output.stdout.len() < 100_000, "{} bytes are shown", output.stdout.len());
}
