//! Hostile hosts and secrets: what hosts say is data, and what is secret stands nowhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine as _;

use crate::canaries::Watch;
use crate::support::{can_mount, with_xcat};

/// A secret with every character that some form of quoting changes.
const CANARY: &str = "C4nary \"of\" 'it'&x=%/\\end";
const VAULT_PASSWORD: &str = "v4ult-p4ssword-canary";
const HIDDEN: &str = "h1dden-by-no-log-canary";
/// The password of a node's hardware, which only the management node knows.
const BMC: &str = "b4seb0ard-canary";
/// The one that it gets.
const NEW_BMC: &str = "n3w-b4seb0ard-canary";

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
        self.command(args).output().unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xplay"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", self.search_path())
            .env("HOME", self.path("home"))
            .env("WORK", self.path("work"))
            .stdin(Stdio::null());
        command
    }
}

pub fn files(dir: &Path) -> Vec<PathBuf> {
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
pub fn forms(secret: &str) -> Vec<String> {
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
    for secret in [CANARY, VAULT_PASSWORD, HIDDEN, BMC, NEW_BMC] {
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
        ("callbacks", vec!["run", "-vvvv", "-D", "--no-report"]),
        ("json callback", vec!["run", "-vvvv", "-D", "--no-report"]),
        ("yaml", vec!["run", "-vvvv", "-D", "--no-report"]),
        ("minimal", vec!["run", "-vvvv", "-D", "--no-report"]),
        ("panic", vec!["run", "-vvvv", "-D", "--no-report"]),
        ("show terminal", vec!["show", "out.xplan", "--all"]),
        ("show md", vec!["show", "out.xplan", "--format", "md"]),
        ("show html", vec!["show", "out.xplan", "--format", "html"]),
        ("show json", vec!["show", "out.xplan", "--format", "json"]),
        ("show junit", vec!["show", "out.xplan", "--format", "junit"]),
        ("explain", vec!["explain", "secret", "--json"]),
        ("runs", vec!["runs", "show", "last"]),
        ("runs json", vec!["runs", "show", "last", "--json"]),
    ] {
        let mut args: Vec<&str> = more;
        match what.split(' ').next().unwrap() {
            "runs" | "show" => {}
            "explain" => args.extend(["-i", "hosts", "-H", "n1", "--vault-password-file", "pw", "site.yml"]),
            _ => args.extend(common),
        }
        let mut command = site.command(&args);
        match what {
            "callbacks" => command
                .env("ANSIBLE_CALLBACKS_ENABLED", "junit,tree,profile_tasks,timer")
                .env("JUNIT_OUTPUT_DIR", site.path("out/junit"))
                .env("ANSIBLE_CALLBACK_TREE_DIR", site.path("out/tree"))
                .env("ANSIBLE_LOG_PATH", site.path("out/log")),
            "json callback" => command.env("ANSIBLE_STDOUT_CALLBACK", "json"),
            "yaml" => command.env("ANSIBLE_CALLBACK_RESULT_FORMAT", "yaml"),
            "minimal" => command.env("ANSIBLE_STDOUT_CALLBACK", "minimal"),
            "panic" => command.env("XPLAY_PANIC_WITH", "it is").env("RUST_BACKTRACE", "full"),
            _ => &mut command,
        };
        let output = command.output().unwrap();
        if what == "panic" {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains(" failed at ") && said.contains("********"), "{said}");
            assert_clean("the words of a panic", &output.stdout);
            assert_clean("the words of a panic", &output.stderr);
            continue;
        }
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
        let held = ["root/.xplay", "tmp", "var/tmp"].map(|dir| cluster.on_mn1(dir)).to_vec();
        let watch = Watch::new(&[NEW_BMC], held, |_, _| false);
        let output = cluster.xplay("home", &[&["run", "-i", &inventory, &playbook], more].concat()).output();
        let output = output.unwrap();
        let found = watch.end();
        assert!(found.is_empty(), "{found:#?}");
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
         - xcat_node: {nodes: sn1, attributes: {bmc: 10.0.0.9, bmcpassword: NEW_BMC}}\n    \
         - xcat_facts:\n      register: f\n    - debug: {var: f}\n";
    std::fs::write(dir.join("bmc.yml"), text.replace("NEW_BMC", NEW_BMC)).unwrap();
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
        for bad in ["\u{1b}", "\u{7}", "\u{202e}"] {
            assert!(!said.contains(bad), "{bad:?} reaches the terminal: {said}");
        }
        if more.contains(&"--json") {
            assert!(said.contains("\\u202egnp.exe"), "it stays the same value: {said}");
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

/// What no text may hold, nested deeper than any reader should follow, and marks that reorder what people see.
fn nasty() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nul", b"a\0b\0\0c".to_vec()),
        ("latin1", b"caf\xe9 \xff\xfe\xc3".to_vec()),
        ("overlong", b"\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80".to_vec()),
        ("lists", "[".repeat(100_000).into_bytes()),
        ("closed", ["[".repeat(100_000), "]".repeat(100_000)].concat().into_bytes()),
        ("maps", [r#"{"a":"#.repeat(100_000), "1".into(), "}".repeat(100_000)].concat().into_bytes()),
        ("marks", "\u{202e}gnp.exe\u{202c} \u{2066}x\u{2069} \u{9b}31m \u{feff}\u{200f} \u{7f}".into()),
        ("number", "9".repeat(100_000).into_bytes()),
        ("breaks", b"\r\r\n\x0b\x0c\x85\xe2\x80\xa8\xe2\x80\xa9".to_vec()),
    ]
}

/// The program ended by itself, without a panic, and what it says can be shown.
#[track_caller]
fn assert_tame(output: &Output, codes: &[i32], json: bool) -> String {
    let (said, errors) = (String::from_utf8(output.stdout.clone()), String::from_utf8_lossy(&output.stderr));
    let said = said.expect("the output is text");
    let head: String = said.chars().take(3000).collect();
    assert!(
        output.status.code().is_some_and(|code| codes.contains(&code)),
        "{:?} {head}\n{errors}",
        output.status
    );
    assert!(!errors.contains("panicked"), "{errors}");
    for text in [&*said, &errors] {
        let bad = |c: char| {
            (c.is_control() && !"\n\t".contains(c))
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!text.contains(bad), "a control character is shown: {:?}", text.chars().find(|c| bad(*c)));
    }
    if json {
        for line in said.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {head}"));
        }
    }
    said
}

#[test]
fn bytes_that_are_no_text_and_deep_structures_are_data() {
    let names: Vec<&str> = nasty().into_iter().map(|(name, _)| name).collect();
    let site = Site::new(
        r#"- hosts: all
  gather_facts: false
  vars:
    work: "{{ lookup('env', 'WORK') }}"
    names: NAMES
  tasks:
    - command: cat {{ work }}/in/{{ item }}
      loop: "{{ names }}"
      register: said
    - debug: {msg: "{{ item.stdout | length > 0 }}"}
      loop: "{{ said.results }}"
      loop_control: {label: "{{ item.item }}"}
    - debug: {msg: "{{ (item.stdout | from_json) is defined }}"}
      loop: "{{ said.results }}"
      loop_control: {label: "{{ item.item }}"}
      ignore_errors: true
    - debug: {msg: "{{ (item.stdout | from_yaml) is defined }}"}
      loop: "{{ said.results }}"
      loop_control: {label: "{{ item.item }}"}
      ignore_errors: true
    - set_fact: {kept: "{{ said.results | map(attribute='stdout') | list }}"}
    - shell: cat {{ work }}/in/{{ item }} >&2; exit 1
      loop: "{{ names }}"
      ignore_errors: true
    - slurp: {src: "{{ work }}/in/{{ item }}"}
      loop: "{{ names }}"
      register: slurped
    - debug: {msg: "{{ (item.content | b64decode) is defined }}"}
      loop: "{{ slurped.results }}"
      loop_control: {label: "{{ item.item }}"}
      ignore_errors: true
    - fetch: {src: "{{ work }}/in/{{ item }}", dest: fetched/, flat: true}
      loop: "{{ names }}"
    - copy: {src: "{{ work }}/in/{{ item }}", dest: "{{ work }}/copied-{{ item }}", remote_src: true}
      loop: "{{ names }}"
    - lineinfile: {path: "{{ work }}/copied-{{ item }}", line: added}
      loop: "{{ names }}"
      ignore_errors: true
    - setup: {fact_path: "{{ work }}/in", gather_subset: ["!all", "!min", local], filter: [ansible_local]}
    - debug: {var: ansible_local.keys()}
    - find: {paths: "{{ work }}/odd", recurse: true, file_type: any}
      register: odd
    - debug: {var: odd.matched}
    - stat: {path: "{{ item.path }}"}
      loop: "{{ odd.files }}"
    - file: {path: "{{ work }}/in/nul/below", state: directory}
      ignore_errors: true
    - fail: {msg: "{{ kept[item] }}"}
      loop: [0, 1, 2, 6, 8]
      ignore_errors: true
    - debug: {msg: the end}
"#
        .replace("NAMES", &format!("{names:?}"))
        .as_str(),
    );
    std::fs::create_dir(site.path("work/in")).unwrap();
    std::fs::create_dir(site.path("work/odd")).unwrap();
    for (name, bytes) in nasty() {
        site.write(&format!("work/in/{name}"), &bytes);
        // The same as a fact of the host's own, in each form that such a file may have.
        site.write(&format!("work/in/{name}.fact"), &bytes);
        let name: Vec<u8> = bytes.iter().copied().filter(|b| *b != 0 && *b != b'/').take(200).collect();
        use std::os::unix::ffi::OsStrExt;
        std::fs::write(site.path("work/odd").join(std::ffi::OsStr::from_bytes(&name)), "x").unwrap();
    }
    for more in [&["-vvv"][..], &["--json"], &["-C", "-D"]] {
        let args = [&["run", "-i", "hosts", "site.yml", "--report", "r.html"], more].concat();
        let output = site.xplay(&args);
        let said = assert_tame(&output, &[0], more.contains(&"--json"));
        assert!(said.contains("the end"), "the run goes to its end");
        for (name, bytes) in nasty().into_iter().filter(|_| !more.contains(&"-C")) {
            assert!(
                std::fs::read(site.path("fetched").join(name)).unwrap() == bytes,
                "{name} is fetched as it is"
            );
            let copied = std::fs::read(site.path(&format!("work/copied-{name}"))).unwrap();
            assert!(copied.starts_with(&bytes), "{name} is copied as it is");
        }
    }
}

/// Programs of xCAT that print what an attacker put into its tables.
#[test]
fn hostile_rows_of_xcat_are_data() {
    use std::os::unix::fs::PermissionsExt;
    if !can_mount("hostile_rows_of_xcat_are_data") {
        return;
    }
    let site = Site::new(
        r#"- hosts: all
  gather_facts: false
  tasks:
    - xcat_facts:
      register: found
      ignore_errors: true
    - debug: {var: found}
    - xcat_node: {nodes: sn1, attributes: {mgt: ipmi}}
      ignore_errors: true
      check_mode: true
    - xcat_osimage: {name: "an-image", attributes: {profile: compute}}
      ignore_errors: true
      check_mode: true
    - debug: {msg: the end}
"#,
    );
    let touched = site.path("TOUCHED").display().to_string();
    let rows: Vec<Vec<u8>> = CORPUS
        .iter()
        .map(|text| text.replace("TOUCHED", &touched).into_bytes())
        .chain(nasty().into_iter().map(|(_, bytes)| bytes))
        .collect();
    for program in ["lsdef", "tabdump", "nodels", "lsxcatd", "chdef", "mkdef", "nodestat", "rpower", "xdsh"] {
        let path = site.path("bin").join(program);
        std::fs::write(&path, "#!/bin/sh\ncat \"$WORK/rows\"\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let as_object = |row: &[u8]| [b"Object name: sn1\n    groups=", row, b"\n    arch=x86_64\n"].concat();
    let as_table = |row: &[u8]| [b"#node,groups\n\"sn1\",\"", row, b"\"\n"].concat();
    for (n, row) in rows.iter().enumerate() {
        for text in [row.clone(), as_object(row), as_table(row)] {
            site.write("work/rows", &text);
            let json = n % 2 == 0;
            let args =
                ["run", "-i", "hosts", "site.yml", "--no-report", if json { "--json" } else { "-vvv" }];
            let output = with_xcat(&site.path("bin"), &site.command(&args)).output().unwrap();
            let said = assert_tame(&output, &[0], json);
            assert!(said.contains("the end"), "row {n}: the run goes to its end");
            assert!(!said.contains("is in neither"), "row {n}: {said}");
        }
    }
    assert!(!site.path("TOUCHED").exists() && !site.path("work/TOUCHED").exists());
}

/// The beginning is in the result, all of it in a file that only its owner can read, without what is secret.
#[test]
fn output_without_end_goes_to_a_file() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new(
        r#"- hosts: all
  gather_facts: false
  vars:
    line: head -c {{ size }} /dev/zero | tr '\0' x
  tasks:
    - shell: printf 'begin %s\n' "$S"; {{ line }}; printf '\n%s end\n' "$S"
      environment: {S: "{{ lookup('file', 'secret') }}"}
      args: {long: "{{ long | default(false) }}"}
      register: it
    - debug: {msg: "{{ it.stdout | length }} {{ it.rc }} {{ it.stdout_file }}"}
    - shell: head -c 17000000 /dev/zero | tr '\0' y
      no_log: true
      register: hidden
    - debug: {msg: "hidden {{ hidden.stdout_file | default('nowhere') }}"}
    - shell: seq 600000 >&2; exit 3
      register: lines
      failed_when: false
    - debug: {msg: "lines {{ lines.stderr_lines | length < 400010 }} {{ lines.stderr_file }}"}
"#,
    );
    let secret =
        site.xplay(&["vault", "encrypt_string", "--vault-password-file", "pw", "--name", "secret", CANARY]);
    let yaml = String::from_utf8(secret.stdout).unwrap();
    std::fs::create_dir(site.path("group_vars")).unwrap();
    site.write("group_vars/all.yml", yaml);
    site.write(
        "site.yml",
        std::fs::read_to_string(site.path("site.yml")).unwrap().replace("lookup('file', 'secret')", "secret"),
    );
    for (long, size) in [("long=false", 100_000_000), ("long=true", 20_000_000)] {
        let size_word = format!("size={size}");
        let output = site.xplay(&[
            "run",
            "-i",
            "hosts",
            "site.yml",
            "--no-report",
            "--vault-password-file",
            "pw",
            "-e",
            long,
            "-e",
            &size_word,
        ]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        let file = |after: &str| {
            let (_, rest) = said.split_once(after).unwrap_or_else(|| panic!("{after}: {said}"));
            PathBuf::from(rest.split(['"', ' ', '\n']).next().unwrap())
        };
        let path = file("16777216 0 ");
        assert!(path.starts_with(site.path("home/.local/state/xplay/runs")), "{path:?}");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let whole = std::fs::read(&path).unwrap();
        let (begin, end) = (b"begin ********\n".as_slice(), b"x\n******** end\n".as_slice());
        assert!(whole.starts_with(begin) && whole.ends_with(end), "{long}");
        assert_eq!(whole.len(), size + begin.len() + end.len() - 1);
        assert!(whole[begin.len()..size].iter().all(|b| *b == b'x'));
        let warned = "the output is too long for a result; all of it is in ";
        assert!(said.contains(warned) || String::from_utf8_lossy(&output.stderr).contains(warned), "{said}");
        assert!(said.contains("hidden nowhere"), "{said}");
        let lines = std::fs::read_to_string(file("lines True ")).unwrap();
        assert!(lines.lines().eq((1..=600_000).map(|n| n.to_string())), "all lines");
        assert_eq!(files(path.parent().unwrap()).len(), 2, "nothing of the task whose output is hidden");
        assert!(output.stdout.len() < 100_000, "{} bytes are shown", output.stdout.len());
        // Between its ends are only x.
        assert_clean("the file", &whole[..1000]);
        assert_clean("the file", &whole[whole.len() - 1000..]);
    }
}

/// A run that was killed around the verdict of such a step goes on with the same beginning, and the file is whole.
#[test]
fn a_resumed_run_has_the_whole_output() {
    let site = Site::new(
        "- hosts: all\n  gather_facts: false\n  tasks:\n\
         \x20   - shell: echo ran >>$WORK/log; head -c 20000000 /dev/zero | tr '\\0' x; echo end\n      register: it\n\
         \x20   - command: echo between\n\
         \x20   - debug: {msg: \"{{ it.stdout | length }} {{ it.stdout_file }}\"}\n",
    );
    // Begun, inputs, step, sent: the fifth write is the verdict.
    for at in ["5-torn", "6", "7"] {
        site.write("work/log", "");
        let killed = site
            .command(&["run", "-i", "hosts", "site.yml", "--no-report"])
            .env("XPLAY_END_AT_WRITE", at)
            .output();
        assert_eq!(killed.unwrap().status.code(), None, "write {at}");
        let resumed = site.xplay(&["resume", "last"]);
        let said = String::from_utf8_lossy(&resumed.stdout).into_owned();
        assert_eq!(
            resumed.status.code(),
            Some(0),
            "write {at}: {said}\n{}",
            String::from_utf8_lossy(&resumed.stderr)
        );
        let (_, rest) = said.split_once("16777216 ").unwrap_or_else(|| panic!("write {at}: {said}"));
        let whole = std::fs::read(rest.split('"').next().unwrap()).unwrap();
        assert!(whole.len() == 20_000_004 && whole.ends_with(b"xend\n"), "write {at}: {} bytes", whole.len());
        assert_eq!(std::fs::read_to_string(site.path("work/log")).unwrap(), "ran\n", "write {at}");
    }
}
