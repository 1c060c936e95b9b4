//! Plans from outside: made without writing, saved, shown, applied and nothing else.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::rehearse::{Mode, PLAYBOOK, Rehearsal};

/// A project and the hosts of it: folders below `hosts`, reached as this machine.
struct Site(tempfile::TempDir);

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

const INVENTORY: &str =
    "[all]\na\nb\n[all:vars]\nansible_connection=local\nroot={{ base }}/hosts/{{ inventory_hostname }}\n";

impl Site {
    fn new(playbook: &str) -> Self {
        let site = Site(tempfile::tempdir().unwrap());
        site.write("project/inventory", INVENTORY);
        site.write("project/site.yml", playbook);
        for host in ["a", "b"] {
            std::fs::create_dir_all(site.path(&format!("hosts/{host}"))).unwrap();
        }
        site
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Gives the project the modes of a checkout under a umask.
    fn chmod(&self, umask: u32) {
        let script = format!(
            "find project -type d -exec chmod {:o} {{}} + ; find project -type f -exec chmod {:o} {{}} + ; \
             find project -name '*.sh' -exec chmod {:o} {{}} +",
            0o777 & !umask,
            0o666 & !umask,
            0o777 & !umask
        );
        assert!(
            Command::new("sh").args(["-c", &script]).current_dir(self.0.path()).status().unwrap().success()
        );
    }

    fn run(&self, args: &[&str]) -> Ran {
        let base = format!("base={}", self.0.path().display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_xplay"));
        command.args(args);
        if args[0] == "plan" && args.len() > 1 && args[1].ends_with(".yml") {
            command.args(["-i", "inventory"]);
            if !args.contains(&"-e") {
                command.args(["-e", &base]);
            }
        }
        let output = command
            .current_dir(self.path("project"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("XPLAY_NO_REPORT", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Makes a plan; returns it as JSON.
    fn plan(&self, code: i32) -> Value {
        let ran = self.run(&["plan", "site.yml", "-o", "../p.xplan"]);
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
        self.shown()
    }

    fn shown(&self) -> Value {
        let ran = self.run(&["show", "../p.xplan", "--format", "json"]);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", ran.stdout, ran.stderr))
    }

    /// Everything on the hosts: names, kinds, modes and contents.
    fn hosts(&self) -> BTreeMap<String, String> {
        fn walk(dir: &Path, base: &Path, found: &mut BTreeMap<String, String>) {
            use std::os::unix::fs::PermissionsExt;
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let meta = std::fs::symlink_metadata(&path).unwrap();
                let name = path.strip_prefix(base).unwrap().display().to_string();
                let mode = meta.permissions().mode();
                let text =
                    if meta.is_file() { std::fs::read_to_string(&path).unwrap() } else { String::new() };
                found.insert(name, format!("{mode:o} {text}"));
                if meta.is_dir() {
                    walk(&path, base, found);
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.path("hosts"), &self.path("hosts"), &mut found);
        found
    }
}

/// The states of a step on its hosts: `name: hosts state, hosts state`.
fn states(plan: &Value) -> Vec<String> {
    let steps = plan["steps"].as_array().unwrap();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    steps
        .iter()
        .map(|step| {
            let groups = step["groups"].as_array().unwrap().iter().map(|group| {
                let hosts: Vec<String> = group["hosts"].as_array().unwrap().iter().map(text).collect();
                let units: Vec<String> =
                    group["units"].as_array().unwrap().iter().map(|u| text(&u["state"])).collect();
                format!("{} {}", hosts.join(","), units.join("+"))
            });
            format!("{}: {}", text(&step["name"]), groups.collect::<Vec<_>>().join(", "))
        })
        .collect()
}

const FLOW: &str = r#"
- hosts: all
  gather_facts: false
  tasks:
    - name: folder
      file: {path: "{{ root }}/etc", state: directory, mode: "0755"}
    - name: forbidden
      copy: {content: x, dest: /proc/nowhere/x}
      ignore_errors: true
    - name: template
      template: {src: app.j2, dest: "{{ root }}/etc/app", mode: "0640"}
      notify: reload
    - name: line
      lineinfile: {path: "{{ root }}/etc/app", line: "extra=1"}
    - name: look
      stat: {path: "{{ root }}/etc/app"}
      register: looked
    - name: known
      copy: {content: "{{ looked.stat.mode }} {{ looked.stat.size }}\n", dest: "{{ root }}/mode"}
    - name: ask
      command: echo hello
      register: asked
    - name: dependent
      copy: {content: "{{ asked.stdout }}\n", dest: "{{ root }}/asked"}
      when: asked.stdout | default('nothing') != ''
      notify: reload
    - name: reads
      command: echo read
      changed_when: false
      vars: {xplay_reads: true}
      register: read
    - name: after reading
      copy: {content: "{{ read.stdout }}\n", dest: "{{ root }}/read"}
    - name: items
      copy: {content: "{{ item }}\n", dest: "{{ root }}/{{ item }}"}
      loop: [x, y]
    - name: unknown items
      copy: {content: "{{ item }}\n", dest: "{{ root }}/u-{{ item }}"}
      loop: "{{ asked.stdout_lines }}"
    - name: skipped
      copy: {content: x, dest: "{{ root }}/never"}
      when: asked is not defined
  handlers:
    - name: reload
      copy: {content: reloaded, dest: "{{ root }}/reloaded"}
"#;

#[test]
fn planning_writes_nothing_and_unknowns_flow() {
    let site = Site::new(FLOW);
    site.write("project/templates/app.j2", "name={{ inventory_hostname }}\n");
    let before = site.hosts();
    let plan = site.plan(2);
    assert_eq!(site.hosts(), before);
    assert_eq!(
        states(&plan),
        [
            "folder: a change, b change",
            "forbidden: a,b read",
            "template: a change, b change",
            "line: a change, b change",
            "look: a read, b read",
            "known: a change, b change",
            "ask: a,b change?",
            "dependent: a maybe, b maybe",
            "reads: a,b read",
            "after reading: a change, b change",
            "items: a change+change, b change+change",
            "unknown items: a,b maybe",
            "skipped: a,b skip",
            "reload: a change, b change",
        ]
    );
    // Template a file, edit it, look at it: the plan shows the final text.
    let unit = &plan["steps"][3]["groups"][0]["units"][0];
    assert_eq!(unit["diffs"][0]["after"]["text"], "name=a\nextra=1\n");
    assert_eq!(plan["steps"][5]["groups"][0]["units"][0]["args"]["content"], "0640 15\n");
    let maybe = &plan["steps"][7]["groups"][0]["units"][0];
    assert_eq!(maybe["unknown"][0], "stdout of echo, which has not run");

    let applied = site.run(&["apply", "../p.xplan"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    assert_eq!(site.read("hosts/b/etc/app"), "name=b\nextra=1\n");
    assert_eq!(site.read("hosts/a/mode"), "0640 15\n");
    assert_eq!(
        (site.read("hosts/a/asked"), site.read("hosts/a/u-hello")),
        ("hello\n".into(), "hello\n".into())
    );
    assert_eq!(site.read("hosts/a/reloaded"), "reloaded");
    let told = applied.stderr.lines().find(|l| l.starts_with("predictions")).unwrap_or_default();
    assert_eq!(told, "predictions: 22 of 24 came true; 6 steps ran whose effect was not foreseen");
    let again = site.run(&["apply", "../p.xplan"]);
    assert_eq!(again.code, 5, "{}", again.stderr);
    assert!(again.stderr.contains("refused (applied)"), "{}", again.stderr);
}

const PLAIN: &str = r#"
- hosts: all
  gather_facts: false
  tasks:
    - name: folder
      file: {path: "{{ root }}/etc", state: directory}
    - name: config
      template: {src: app.j2, dest: "{{ root }}/etc/app"}
      notify: reload
    - name: line
      lineinfile: {path: "{{ root }}/etc/app", line: "extra=1", regexp: "^extra="}
    - name: block
      blockinfile: {path: "{{ root }}/etc/block", block: "some\ntext", create: true}
    - name: link
      file: {path: "{{ root }}/link", src: etc/app, state: link}
    - name: guarded
      command: "touch {{ root }}/made"
      args: {creates: "{{ root }}/made"}
  handlers:
    - name: reload
      copy: {content: reloaded, dest: "{{ root }}/reloaded"}
"#;

/// `--check` says the same of each step as far as it has words for it.
#[test]
fn a_preview_predicts_as_a_plan() {
    let site = Site::new(FLOW);
    site.write("project/templates/app.j2", "name={{ inventory_hostname }}\n");
    let planned: BTreeMap<String, String> = states(&site.plan(2))
        .iter()
        .filter_map(|s| s.split_once(": "))
        .map(|(name, said)| (name.to_string(), said.to_string()))
        .collect();
    let base = format!("base={}", site.0.path().display());
    let hosts = site.hosts();
    let ran = site.run(&["run", "site.yml", "-i", "inventory", "-e", &base, "--check", "--json", "-l", "a"]);
    assert_eq!(site.hosts(), hosts);
    let events: Vec<Value> = ran.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let results = events.iter().filter(|e| e["event"] == "result" && e["item"].is_null());
    let said: Vec<String> = results
        .map(|e| {
            let name = e["name"].as_str().unwrap();
            format!(
                "{name}: {} for {}",
                e["status"].as_str().unwrap(),
                planned.get(name).map_or("?", String::as_str)
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            "folder: changed for a change, b change",
            "forbidden: ignored for a,b read",
            "template: changed for a change, b change",
            "line: changed for a change, b change",
            "look: ok for a read, b read",
            "known: changed for a change, b change",
            "ask: changed for a,b change?",
            "dependent: skipped for a maybe, b maybe",
            "reads: ok for a,b read",
            "after reading: changed for a change, b change",
            "items: changed for a change+change, b change+change",
            "unknown items: skipped for a,b maybe",
            "skipped: skipped for a,b skip",
            "reload: changed for a change, b change",
        ]
    );
}

#[test]
fn applying_then_planning_is_empty() {
    let site = Site::new(PLAIN);
    site.write("project/templates/app.j2", "name={{ inventory_hostname }}\nextra=1\n");
    site.plan(2);
    let check = site.run(&["plan", "check", "../p.xplan"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    let applied = site.run(&["apply", "../p.xplan"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stderr.contains("predictions: 14 of 14 came true\n"), "{}", applied.stderr);
    let empty = site.plan(0);
    assert!(states(&empty).iter().all(|s| s.ends_with("a,b same") || s.ends_with("same")), "{empty}");
}

#[test]
fn the_same_inputs_give_the_same_plan_anywhere() {
    let id = |site: &Site| site.shown()["id"].as_str().unwrap_or_default().to_string();
    let mut ids = Vec::new();
    for _ in 0..2 {
        // The base differs, so what stands in arguments differs; hosts without it do not.
        let site = Site::new(
            "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {src: x, dest: /proc/self/xplay-never}\n      check_mode: true\n      ignore_errors: true\n    - debug: {msg: \"{{ playbook_dir }}\"}\n",
        );
        site.write("project/inventory", "a ansible_connection=local\n");
        site.write("project/files/x", "content");
        for _ in 0..2 {
            let ran = site.run(&["plan", "site.yml", "-o", "../p.xplan"]);
            assert!(ran.code == 0 || ran.code == 2, "{}{}", ran.stdout, ran.stderr);
            ids.push(id(&site));
        }
        site.write("project/files/x", "other content");
        site.run(&["plan", "site.yml", "-o", "../p.xplan"]);
        assert_ne!(id(&site), ids[ids.len() - 1]);
    }
    assert!(!ids[0].is_empty());
    // `-e base=...` is an input; it is the only thing that differs between the two roots.
    assert_eq!((&ids[0], &ids[2]), (&ids[1], &ids[3]));
}

#[test]
fn the_exit_code_says_what_a_plan_comes_to() {
    let code = |tasks: &str, more: &[&str]| {
        let site = Site::new(&format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}"));
        let ran = site.run(&[&["plan", "site.yml", "-o", "../p.xplan"][..], more].concat());
        let verdict = ran.stdout.lines().nth(1).unwrap_or_default().to_string();
        (ran.code, verdict.trim_start().split("  ").next().unwrap_or_default().to_string())
    };
    let fine = "    - stat: {path: /}\n";
    assert_eq!(code(fine, &[]), (0, "NOTHING TO DO".into()));
    assert_eq!(code("    - command: \"true\"\n", &[]), (2, "~ CHANGES".into()));
    let wrong = "    - copy: {content: x, dest: /proc/nowhere/x}\n";
    assert_eq!(code(wrong, &[]), (1, "! ERROR".into()));
    let unknown =
        "    - command: uptime\n      register: asked\n    - reboot:\n      when: asked.stdout == 'x'\n";
    assert_eq!(code(unknown, &[]), (3, "? INCOMPLETE".into()));
    let away = ["-e", "ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1"];
    assert_eq!(code(fine, &away), (4, "! UNREACHABLE".into()));
}

/// Two machines: a checkout and hosts of its own on each, at other places and with another umask.
#[test]
fn two_machines_make_the_same_plan() {
    let hosts = tempfile::tempdir().unwrap();
    let machine = |umask: u32, more: &str| {
        let _ = std::fs::remove_dir_all(hosts.path().join("hosts"));
        for host in ["a", "b"] {
            std::fs::create_dir_all(hosts.path().join("hosts").join(host)).unwrap();
        }
        let site = Site::new(&format!("{FLOW}{more}"));
        for (name, text) in [
            ("project/templates/app.j2", "host {{ inventory_hostname }}\n"),
            ("project/roles/r/tasks/main.yml", "- copy: {src: f, dest: \"{{ root }}/f\"}\n- script: s.sh\n"),
            ("project/roles/r/files/f", "f"),
            ("project/roles/r/files/s.sh", "#!/bin/sh\n"),
            ("project/host_vars/a", "secret: x\n"),
        ] {
            site.write(name, text);
        }
        site.chmod(umask);
        let base = format!("base={}", hosts.path().display());
        let ran = site.run(&["plan", "site.yml", "-e", &base, "-o", "../p.xplan"]);
        assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
        site.shown()["id"].as_str().unwrap().to_string()
    };
    let role = "\n- hosts: all\n  gather_facts: false\n  roles: [r]\n";
    assert_eq!(machine(0o022, role), machine(0o077, role));
    assert_eq!(machine(0o022, role), machine(0o002, role));
    // Where the mode of a file here becomes the mode of a file there, it counts.
    let keeps = "\n- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {src: roles/r/files/f, dest: \"{{ root }}/f\", mode: preserve}\n";
    assert_ne!(machine(0o022, keeps), machine(0o077, keeps));
}

#[test]
fn a_command_without_check_mode_is_run_while_planning_and_counts_as_in_a_run() {
    let site = Site::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - name: ask
      command: echo hello
      check_mode: false
      register: asked
      notify: tell
    - name: use
      copy: {content: "{{ asked.stdout }}\n", dest: "{{ root }}/asked"}
  handlers:
    - name: tell
      copy: {content: told, dest: "{{ root }}/told"}
"#,
    );
    assert_eq!(states(&site.plan(2)), ["ask: a read", "use: a change", "tell: a change"]);
    let applied = site.run(&["apply", "../p.xplan"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    assert_eq!((site.read("hosts/a/asked"), site.read("hosts/a/told")), ("hello\n".into(), "told".into()));
    assert!(applied.stdout.contains("TASK [ask] ***"), "{}", applied.stdout);
}

#[test]
fn a_host_whose_state_drifted_is_stopped_alone() {
    let site = Site::new(PLAIN);
    site.write("project/templates/app.j2", "name={{ inventory_hostname }}\n");
    site.write("hosts/a/etc/app", "old\n");
    site.write("hosts/b/etc/app", "old\n");
    site.plan(2);
    site.write("hosts/a/etc/app", "edited by hand\n");
    let applied = site.run(&["apply", "../p.xplan"]);
    assert_eq!(applied.code, 2, "{}{}", applied.stdout, applied.stderr);
    assert_eq!(site.read("hosts/a/etc/app"), "edited by hand\n");
    assert!(!site.path("hosts/a/link").exists());
    assert_eq!(site.read("hosts/b/etc/app"), "name=b\nextra=1\n");
    assert_eq!(site.read("hosts/b/reloaded"), "reloaded");
    for part in ["planned_from", "edited by hand", "planned_to", "name=a"] {
        assert!(applied.stdout.contains(part), "{part}: {}", applied.stdout);
    }
    assert!(applied.stderr.contains("1 steps found another state"), "{}", applied.stderr);
}

#[test]
fn what_somebody_did_already_is_fine_and_still_notifies() {
    let site = Site::new(PLAIN);
    site.write("project/templates/app.j2", "name={{ inventory_hostname }}\nextra=1\n");
    site.plan(2);
    site.write("hosts/a/etc/app", "name=a\nextra=1\n");
    let applied = site.run(&["apply", "../p.xplan"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    assert_eq!(site.read("hosts/a/reloaded"), "reloaded");
    assert!(applied.stderr.contains("2 changes were in place already"), "{}", applied.stderr);
}

#[test]
fn a_project_that_changed_is_not_what_is_applied() {
    let site = Site::new(PLAIN);
    site.write("project/templates/app.j2", "name={{ inventory_hostname }}\nextra=1\n");
    site.plan(2);
    site.write("project/site.yml", "- hosts: all\n  tasks: [{fail: {msg: never}}]\n");
    site.write("project/templates/app.j2", "changed\n");
    let applied = site.run(&["apply", "../p.xplan"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stderr.contains("using the plan's own copy"), "{}", applied.stderr);
    assert_eq!(site.read("hosts/a/etc/app"), "name=a\nextra=1\n");

    // What the plan makes in the project's folder is made there, not in the copy.
    let site = Site::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - copy: {src: f, dest: "{{ playbook_dir }}/made"}
    - copy: {src: f, dest: "{{ playbook_dir }}/out/"}
    - command: echo late
      register: asked
    - copy: {src: f, dest: "{{ playbook_dir }}/{{ asked.stdout }}"}
"#,
    );
    site.write("project/files/f", "planned");
    site.plan(2);
    site.write("project/files/f", "changed");
    let applied = site.run(&["apply", "../p.xplan"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    assert_eq!((site.read("project/made"), site.read("project/out/f")), ("planned".into(), "planned".into()));
    assert_eq!(site.read("project/late"), "planned");

    // Hosts that the inventory has no more, or has elsewhere, are not touched; what else is written there is the plan's.
    for (inventory, expect) in [
        (INVENTORY.replace("b\n", ""), "refused (foreign-inventory): b is not in the inventory any more"),
        (
            INVENTORY.replace("a\nb", "a ansible_host=10.0.0.9\nb"),
            "refused (foreign-inventory): ansible_host of a is \"10.0.0.9\" now and was not set",
        ),
        (
            INVENTORY.replace("local", "ssh"),
            "refused (foreign-inventory): ansible_connection of a is \"ssh\" now and was \"local\"",
        ),
        (INVENTORY.to_string() + "more=1\n[later]\nc\n", ""),
    ] {
        let site = Site::new(PLAIN);
        site.write("project/templates/app.j2", "x\n");
        site.plan(2);
        let before = site.hosts();
        site.write("project/inventory", &inventory);
        for args in [&["plan", "check", "../p.xplan"][..], &["apply", "../p.xplan"]] {
            let ran = site.run(args);
            let code = if expect.is_empty() { 0 } else { 5 };
            assert_eq!(ran.code, code, "{inventory}: {}{}", ran.stdout, ran.stderr);
            assert!(ran.stderr.contains(expect), "{}", ran.stderr);
        }
        assert_eq!(site.hosts() == before, !expect.is_empty(), "{inventory}");
    }

    // Another inventory is another plan.
    let site = Site::new(PLAIN);
    site.write("project/templates/app.j2", "x\n");
    site.write("project/script", "#!/bin/sh\ncat inventory.json\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(site.path("project/script"), mode).unwrap();
    let hosts = |names: &str| {
        format!(
            "{{\"all\": {{\"hosts\": [{names}], \"vars\": {{\"ansible_connection\": \"local\", \"root\": \"{}\"}}}}}}",
            site.path("hosts/a").display()
        )
    };
    site.write("project/inventory.json", &hosts("\"a\""));
    let ran = site.run(&["plan", "-i", "script", "site.yml", "-o", "../p.xplan"]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    site.write("project/inventory.json", &hosts("\"a\", \"evil\""));
    let refused = site.run(&["apply", "../p.xplan"]);
    assert_eq!(refused.code, 5, "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains("the inventory gives other hosts"), "{}", refused.stderr);
}

#[test]
fn no_secret_stands_in_a_plan() {
    const CANARY: &str = "canary-4711-secret";
    let site = Site::new(
        r#"
- hosts: all
  gather_facts: false
  vars_files: [secrets.yml]
  tasks:
    - name: argument
      copy: {content: "pw={{ password }}\n", dest: "{{ root }}/pw"}
    - name: template
      template: {src: app.j2, dest: "{{ root }}/app"}
    - name: loop
      lineinfile: {path: "{{ root }}/lines", line: "{{ item }}", create: true}
      loop: ["{{ password }}", plain]
    - name: command
      command: echo {{ password }}
    - name: hidden
      copy: {content: "canary-hidden-too\n", dest: "{{ root }}/hidden"}
      no_log: true
"#,
    );
    site.write("project/templates/app.j2", "{{ password }}\n");
    site.write("vault-pw", "open sesame\n");
    site.write("plain", CANARY);
    let text = sealed(&site);
    site.write("project/secrets.yml", &text);
    let vault = ["--vault-password-file", "../vault-pw"];
    let ran = site.run(&[&["plan", "site.yml", "-o", "../p.xplan"][..], &vault].concat());
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    let mut everything = ran.stdout + &ran.stderr;
    for format in ["terminal", "md", "html", "json", "junit"] {
        everything += &site.run(&["show", "../p.xplan", "--all", "--format", format]).stdout;
    }
    let packed = std::fs::read(site.path("p.xplan")).unwrap();
    let mut inside = String::new();
    let unpacked = Command::new("tar").args(["xzOf"]).arg(site.path("p.xplan")).output().unwrap();
    inside += &String::from_utf8_lossy(&unpacked.stdout);
    inside += &String::from_utf8_lossy(&packed);
    for canary in [CANARY, "canary-hidden-too", "open sesame", "Y2FuYXJ5LTQ3MTEtc2VjcmV0"] {
        let place = everything
            .find(canary)
            .map(|at| everything[at.saturating_sub(200)..].chars().take(260).collect::<String>());
        assert_eq!(place, None, "{canary} is shown");
        // The playbook itself is part of the plan, as it is.
        assert!(canary == "canary-hidden-too" || !inside.contains(canary), "{canary} is in the file");
    }
    let applied = site.run(&[&["apply", "../p.xplan"][..], &vault].concat());
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    assert_eq!(site.read("hosts/a/pw"), format!("pw={CANARY}\n"));
    assert_eq!(site.read("hosts/b/lines"), format!("{CANARY}\nplain\n"));
}

/// Encrypts the variables file as ansible-vault does.
fn sealed(site: &Site) -> String {
    let plain = format!("password: {}\n", site.read("plain"));
    let password = xplay::vault::Password::new(b"open sesame");
    xplay::vault::encrypt(plain.as_bytes(), &password, None, &xplay::vault::Salt::Random).unwrap()
}

#[test]
fn edited_files_are_refused() {
    let site = Site::new(PLAIN);
    site.write("project/templates/app.j2", "x\n");
    site.plan(2);
    let mut bytes = std::fs::read(site.path("p.xplan")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(site.path("p.xplan"), &bytes).unwrap();
    for args in [&["apply", "../p.xplan"][..], &["show", "../p.xplan"], &["plan", "check", "../p.xplan"]] {
        let ran = site.run(args);
        assert_eq!(ran.code, 1, "{args:?} {}{}", ran.stdout, ran.stderr);
    }
    assert!(site.hosts().len() == 2, "{:?}", site.hosts());
}

/// Tasks next to one another are asked about together; what their variables look up by programs runs once for each.
#[test]
fn a_lookup_with_effects_runs_in_the_turn_of_its_task_only() {
    let site = Site::new(
        r#"
- hosts: a
  gather_facts: false
  vars:
    stamp: "{{ lookup('pipe', 'echo x >>../asked; echo stamp') }}"
    hidden: "of {{ stamp }}"
  tasks:
    - copy: {content: "{{ hidden }}\n", dest: "{{ root }}/one"}
    - copy: {content: "{{ hidden }}\n", dest: "{{ root }}/two"}
    - copy: {content: plain, dest: "{{ root }}/three"}
"#,
    );
    site.plan(2);
    assert_eq!(site.read("asked"), "x\nx\n");
}

/// A real plan of hosts on which the same is to be done: one screen, and a file of some kilobytes. `XPLAY_MANY_HOSTS` says
/// how many; a thousand take a build without optimizations a minute and more.
#[test]
fn many_equal_hosts_are_one_screen() {
    let count: usize = std::env::var("XPLAY_MANY_HOSTS").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    let steps: String = (1..=20)
        .map(|n| {
            format!(
                "    - name: step {n}\n      copy: {{content: text, dest: \"{{{{ base }}}}/hosts/f{n}\"}}\n"
            )
        })
        .collect();
    let site = Site::new(&format!("- hosts: all\n  gather_facts: false\n  tasks:\n{steps}"));
    site.write("project/inventory", &format!("n[0001:{count:04}] ansible_connection=local\n"));
    let ran = site.run(&["plan", "site.yml", "-o", "../p.xplan", "--forks", "16"]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    let size = std::fs::metadata(site.path("p.xplan")).unwrap().len();
    assert!(size < 40_000, "{size} bytes");
    let shown = site.run(&["show", "../p.xplan"]).stdout;
    let lines = shown.lines().count();
    assert!(lines <= xplay::plan::render::terminal::SCREEN, "{lines} lines:\n{shown}");
    let (set, steps) = (format!("n[0001-{count:04}]"), format!("change {}", count * 20));
    assert!(shown.contains(&set) && shown.contains(&steps), "{shown}");
    println!("{count} hosts: {size} bytes, {lines} lines");
}

/// The main job, from nothing to booted nodes: planned, applied, and then nothing is to do.
#[test]
fn the_service_node_job() {
    let cluster = Rehearsal::new("el9", Mode::Chroot);
    let file = cluster.dir().join("job.xplan");
    let file = file.to_str().unwrap();
    let plan = |code: i32, more: &[&str]| {
        let made = cluster.plain(&[&[PLAYBOOK, "--plan", file][..], more].concat());
        assert_eq!(made.status.code(), Some(code), "{}", String::from_utf8_lossy(&made.stdout));
    };
    plan(2, &[]);
    let applied = cluster.run(&["--apply", file]);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    let told = applied.stderr.lines().find(|l| l.starts_with("predictions")).unwrap_or_default();
    let numbers: Vec<usize> = told.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(numbers.len() >= 2 && numbers[0] == numbers[1] && numbers[0] > 20, "{}", applied.stderr);
    let disks = cluster.disks();
    plan(0, &[]);
    assert_eq!(cluster.disks(), disks);

    // One more package: exactly the image and the nodes that boot it.
    plan(2, &["-e", "{\"xcat_packages\": [\"strace\", \"lsof\"]}"]);
    let shown =
        Command::new(env!("CARGO_BIN_EXE_xplay")).args(["show", file, "--format", "json"]).output().unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let acting: Vec<String> = states(&shown)
        .into_iter()
        .filter(|s| s.ends_with("change") || s.ends_with("change?") || s.ends_with("maybe"))
        .collect();
    assert_eq!(
        acting,
        [
            "xcat_image_lists : The package list: mn1 change",
            "xcat_genimage : The image is made on the management node: mn1 change?",
            "xcat_image_services : Services are off in the image: mn1 change?",
            "xcat_nfs_hybrid : The image exports the install directory: mn1 change?",
            "xcat_packimage : The image is packed: mn1 change?",
            "xcat_nodeset : The nodes are set to boot the image: mn1 change?",
            "xcat_boot : The nodes are booted with this build of the image: mn1 change?",
            "xcat_sync : Service nodes have the install directory: mn1 change?",
            "xcat_sync : The files of the synclists are on the nodes: mn1 change?",
            "xcat_verify : Every check holds: mn1 maybe",
        ]
    );

    // A line that somebody wrote into the list is shown as the reason.
    let lists = cluster.keep().join("hosts/mn1/root/install/custom/netboot/rhels9.4-x86_64-service-site");
    let list = std::fs::read_to_string(lists.join("service.pkglist")).unwrap();
    std::fs::write(lists.join("service.pkglist"), format!("{list}tcpdump\n")).unwrap();
    plan(2, &[]);
    let shown = Command::new(env!("CARGO_BIN_EXE_xplay")).args(["show", file]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for line in [
        "        ~ state: the list /install/custom/netboot/rhels9.4-x86_64-service-site/service.pkglist changed -> made from the inputs of now in /install/netboot/rhels9.4/x86_64/rhels9.4-x86_64-service-site",
        "        +tcpdump",
        "  mn1: while sn1 boots, cn1 cannot use its services",
    ] {
        assert!(shown.lines().any(|l| l == line), "{line}\n{shown}");
    }
}
