//! Runs that end in the middle: killed at any write to their journal, interrupted, failed; and what resuming them does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Steps of all kinds, so that each must come out as in a run that nothing disturbs.
const HEAD: &str = r#"- hosts: all
  gather_facts: true
  gather_subset: [min]
  vars:
    work: "{{ lookup('env', 'WORK') }}/{{ inventory_hostname }}"
  tasks:
    - name: folder
      file: {path: "{{ work }}", state: directory}
    - name: first
      shell: echo first >>{{ work }}/log; echo out-{{ inventory_hostname }}
      register: first
    - name: remembers
      set_fact: {seen: "{{ first.stdout }}", number: "{{ 1000000 | random }}"}
    - name: each
      shell: echo each-{{ item }} >>{{ work }}/log
      loop: [1, 2, 3]
    - name: config
      copy: {content: "{{ seen }} {{ number }}\n", dest: "{{ work }}/config"}
      notify: restart
    - name: the number again
      shell: echo "{{ number }}" >>{{ work }}/numbers
    - name: included
      include_tasks: more.yml
      loop: [a, b]
    - name: fails
      block:
        - name: broken
          shell: echo broken >>{{ work }}/log; false
      rescue:
        - name: rescued
          shell: echo rescued-{{ ansible_failed_task.name }} >>{{ work }}/log
    - name: once
      shell: echo once >>{{ work }}/../once
      run_once: true
      register: once
    - name: until
      shell: echo try >>{{ work }}/tries; test $(wc -l <{{ work }}/tries) -ge 3
      register: tried
      until: tried.rc == 0
      retries: 5
      delay: 0
    - name: long
      shell: echo long >>{{ work }}/log; echo done
      args: {long: true}
      register: long
    - name: background
      shell: echo background >>{{ work }}/log
      async: 20
      poll: 0
      register: job
    - name: wait
      async_status: {jid: "{{ job.ansible_job_id }}"}
      register: ended
      until: ended.finished
      retries: 200
      delay: 0.05
    - name: last
      shell: echo {{ once.rc }} {{ long.stdout }} >>{{ work }}/log
"#;
const HANDLERS: &str = "  handlers:
    - name: restart
      shell: echo restarted >>{{ work }}/log
";
/// Tasks of [`HEAD`] without the block, and the file that is included.
const HEAD_TASKS: usize = 17;

fn site() -> String {
    let mut text = HEAD.to_string();
    for n in HEAD_TASKS..40 {
        let task = match n % 4 {
            0 => format!("    - shell: echo step-{n} >>{{{{ work }}}}/log\n      notify: restart\n"),
            1 => format!(
                "    - lineinfile: {{path: \"{{{{ work }}}}/lines\", line: line-{n}, create: true}}\n"
            ),
            2 => format!("    - set_fact: {{fact{n}: \"{{{{ number }}}}\"}}\n"),
            _ => format!(
                "    - command: touch {{{{ work }}}}/made-{n}\n      args: {{creates: \"{{{{ work }}}}/made-{n}\"}}\n"
            ),
        };
        text.push_str(&task);
    }
    text + HANDLERS
}

/// A project with a home of its own.
struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    fn new(site: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let project = Project { dir };
        std::fs::create_dir_all(project.path("home")).unwrap();
        std::fs::create_dir_all(project.path("work")).unwrap();
        project.write("site.yml", site);
        project.write("more.yml", "- name: more\n  shell: echo more-{{ item }} >>{{ work }}/log\n");
        project.write("hosts", "n1 ansible_connection=local\nn2 ansible_connection=local\n");
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xplay"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("WORK", self.path("work"))
            .env("XPLAY_NO_REPORT", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self) -> Output {
        self.command(&["run", "-i", "hosts", "site.yml"]).output().unwrap()
    }

    fn resume(&self, more: &[&str]) -> Output {
        self.command(&[&["resume", "last"], more].concat()).output().unwrap()
    }

    fn spawn(&self) -> Child {
        self.command(&["run", "-i", "hosts", "site.yml"]).spawn().unwrap()
    }

    fn journal(&self) -> PathBuf {
        let dir = self.path("home/.local/state/xplay/runs");
        std::fs::read_dir(dir).unwrap().next().unwrap().unwrap().path()
    }

    /// Everything that the hosts were left with. What is random is compared with itself.
    fn end_state(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        let mut open = vec![self.path("work")];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                    continue;
                }
                let name = path.strip_prefix(self.path("work")).unwrap().display().to_string();
                let mut text = std::fs::read_to_string(&path).unwrap();
                let host = name.split('/').next().unwrap_or_default();
                let number = self.read(&format!("work/{host}/numbers"));
                if name.ends_with("/config") || name.ends_with("/numbers") {
                    text = text.replace(number.trim(), "NUMBER");
                }
                all.insert(name, text);
            }
        }
        all
    }

    /// Nothing of the run is left in the home of the user on the hosts.
    fn assert_no_traces(&self) {
        let home = self.path("home/.xplay");
        let left: Vec<_> = walk(&home).into_iter().map(|p| p.display().to_string()).collect();
        assert!(!home.exists(), "left behind: {left:?}");
    }
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        found.push(entry.path());
        found.extend(walk(&entry.path()));
    }
    found
}

#[track_caller]
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

fn records(journal: &Path) -> usize {
    std::fs::read_to_string(journal).unwrap().lines().count()
}

/// Whether every point is tried; else a few that are spread evenly. See ARCHITECTURE.md, "Journals".
fn all_points() -> bool {
    std::env::var_os("XPLAY_ALL_CRASHES").is_some()
}

#[test]
fn a_crash_at_any_write_costs_nothing_and_repeats_nothing() {
    let undisturbed = Project::new(&site());
    assert_code(&undisturbed.run(), 0);
    undisturbed.assert_no_traces();
    let (expect, count) = (undisturbed.end_state(), records(&undisturbed.journal()));
    assert_eq!(expect["n1/log"].lines().filter(|l| *l == "first").count(), 1);
    assert_eq!(expect["n1/config"], "out-n1 NUMBER\n");
    assert!(count > 150, "{count}");
    // The last record says that the run is complete.
    let step = if all_points() { 1 } else { count / 10 };
    for (n, at) in (2..count).step_by(step).enumerate() {
        let project = Project::new(&site());
        let torn = if n % 2 == 1 { "-torn" } else { "" };
        let mut command = project.command(&["run", "-i", "hosts", "site.yml"]);
        let killed = command.env("XPLAY_END_AT_WRITE", format!("{at}{torn}")).output().unwrap();
        assert_eq!(killed.status.code(), None, "write {at} ends the program: {}", text(&killed.stderr));
        let resumed = project.resume(&[]);
        assert_eq!(resumed.status.code(), Some(0), "write {at}: {}", text(&resumed.stdout));
        assert_eq!(project.end_state(), expect, "write {at}{torn}");
        project.assert_no_traces();
        let again = project.resume(&[]);
        assert_code(&again, 1);
        assert!(text(&again.stderr).contains("is complete, there is nothing to go on with"));
    }
}

/// The hosts go down together with the controller: what runs there, and the stubs of long commands, are gone, and on every
/// other one the machine has another boot id. What cannot be known is said, and nothing is done twice.
#[test]
fn a_crash_of_controller_and_hosts_repeats_nothing() {
    let undisturbed = Project::new(&site());
    assert_code(&undisturbed.run(), 0);
    let (expect, count) = (undisturbed.end_state(), records(&undisturbed.journal()));
    let step = if all_points() { 1 } else { count / 8 };
    let (mut whole, mut unknown) = (0, 0);
    for (n, at) in (2..count).step_by(step).enumerate() {
        let project = Project::new(&site());
        let mut command = project.command(&["run", "-i", "hosts", "site.yml"]);
        let killed = command.env("XPLAY_END_AT_WRITE", at.to_string()).output().unwrap();
        assert_eq!(killed.status.code(), None, "write {at}: {}", text(&killed.stderr));
        for process in crate::limits::Mark::holding(&format!("WORK={}", project.path("work").display())) {
            let pid = rustix::process::Pid::from_raw(process).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        if n % 2 == 1 {
            crate::wire::age_by_a_boot(&project.path("home/.xplay"));
        }
        let mut resumed = project.resume(&[]);
        // Each question is answered by looking: what a step leaves in the log tells whether it ran.
        for _ in 0..8 {
            let said = text(&resumed.stdout);
            if resumed.status.code() == Some(0) {
                break;
            }
            assert_eq!(resumed.status.code(), Some(2), "write {at}: {said}\n{}", text(&resumed.stderr));
            assert!(said.contains("its outcome is unknown: "), "write {at}: {said}");
            unknown += 1;
            let mut decided: Vec<String> = Vec::new();
            for (place, _) in said.match_indices("--assume-done ") {
                let rest = &said[place + "--assume-done ".len()..];
                let name = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '@').collect();
                decided.extend(["--redo".to_string(), name]);
            }
            assert!(!decided.is_empty(), "write {at}: {said}");
            let words: Vec<&str> = decided.iter().map(String::as_str).collect();
            resumed = project.resume(&words);
        }
        assert_code(&resumed, 0);
        let mut state = project.end_state();
        // A shell that is killed while it writes leaves its temporary file; the file that it was for is whole.
        state.retain(|name, _| !name.rsplit('/').next().unwrap_or_default().starts_with(".xplay."));
        if unknown == 0 || state == expect {
            assert_eq!(state, expect, "write {at}");
            whole += 1;
        } else {
            // Somebody asked for it to be done again: at most those lines stand twice.
            assert_eq!(state.keys().collect::<Vec<_>>(), expect.keys().collect::<Vec<_>>(), "write {at}");
            for (name, text) in &expect {
                for line in text.lines() {
                    let count = |text: &str| text.lines().filter(|l| *l == line).count();
                    let (now, before) = (count(&state[name]), count(text));
                    assert!(
                        now >= before && now <= before + 1,
                        "write {at}: {name}: {line}: {now} for {before}"
                    );
                }
            }
        }
        project.assert_no_traces();
    }
    println!("{whole} ended as undisturbed, {unknown} times an outcome was unknown");
}

#[test]
fn crashes_while_resuming_are_no_different() {
    let undisturbed = Project::new(&site());
    assert_code(&undisturbed.run(), 0);
    let project = Project::new(&site());
    let first = project.command(&["run", "-i", "hosts", "site.yml"]).env("XPLAY_END_AT_WRITE", "40").output();
    assert_eq!(first.unwrap().status.code(), None);
    // Each part of the run gets a few records further.
    for _ in 0..40 {
        let next = project.command(&["resume", "last"]).env("XPLAY_END_AT_WRITE", "17").output().unwrap();
        if next.status.code().is_some() {
            assert_code(&next, 0);
            break;
        }
    }
    assert_eq!(project.end_state(), undisturbed.end_state());
    project.assert_no_traces();
}

#[test]
fn a_changed_project_is_not_resumed() {
    let project = Project::new(&site());
    let killed =
        project.command(&["run", "-i", "hosts", "site.yml"]).env("XPLAY_END_AT_WRITE", "30").output();
    assert_eq!(killed.unwrap().status.code(), None);
    project.write("hosts", "n1 ansible_connection=local\nn3 ansible_connection=local\n");
    std::fs::create_dir(project.path("group_vars")).unwrap();
    project.write("group_vars/all.yml", "x: 1\n");
    let refused = project.resume(&[]);
    assert_code(&refused, 1);
    assert_eq!(
        text(&refused.stderr),
        "error: the run cannot be resumed: since it began hosts was changed, group_vars/all.yml was added\n\
         help: take the changes back to resume it, or run the playbook anew\n"
    );
}

#[test]
fn what_failed_is_tried_again() {
    let project = Project::new(
        "- hosts: all\n  gather_facts: false\n  vars:\n    work: \"{{ lookup('env', 'WORK') }}\"\n  tasks:\n\
         \x20   - shell: echo before-{{ inventory_hostname }} >>{{ work }}/log\n\
         \x20   - shell: echo tried-{{ inventory_hostname }} >>{{ work }}/log; test -e {{ work }}/{{ inventory_hostname }}\n\
         \x20   - shell: echo after-{{ inventory_hostname }} >>{{ work }}/log\n",
    );
    project.write("work/n1", "");
    let failed = project.run();
    assert_code(&failed, 2);
    project.write("work/n2", "");
    assert_code(&project.resume(&[]), 0);
    let log = project.read("work/log");
    let count = |line: &str| log.lines().filter(|l| *l == line).count();
    let expect = [
        ("before-n1", 1),
        ("before-n2", 1),
        ("tried-n1", 1),
        ("tried-n2", 2),
        ("after-n1", 1),
        ("after-n2", 1),
    ];
    for (line, times) in expect {
        assert_eq!(count(line), times, "{line}: {log}");
    }
    project.assert_no_traces();
}

const ONE: &str = "- hosts: n1\n  gather_facts: false\n  vars:\n    work: \"{{ lookup('env', 'WORK') }}\"\n  tasks:\n\
    \x20   - name: it\n      shell: echo it >>{{ work }}/log\n      register: it\n\
    \x20   - shell: echo after-{{ it.rc }} >>{{ work }}/log\n";

/// A run that was killed when its only command had ended, whose mark lost its end.
fn unknown_outcome() -> (Project, String) {
    let project = Project::new(ONE);
    // Begun, inputs, step, sent: the fifth is the verdict, which is not written whole.
    let killed =
        project.command(&["run", "-i", "hosts", "site.yml"]).env("XPLAY_END_AT_WRITE", "5-torn").output();
    assert_eq!(killed.unwrap().status.code(), None);
    assert_eq!(project.read("work/log"), "it\n");
    let marks = walk(&project.path("home/.xplay"));
    let rc = marks.iter().find(|p| p.extension().is_some_and(|e| e == "rc")).unwrap();
    std::fs::remove_file(rc).unwrap();
    let resumed = project.resume(&[]);
    assert_code(&resumed, 2);
    let said = text(&resumed.stdout);
    let at = said.find("--assume-done ").unwrap_or_else(|| panic!("{said}")) + "--assume-done ".len();
    let step: String = said[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '@').collect();
    assert!(said.contains("its outcome is unknown: it ended without an exit code; look at n1"), "{said}");
    assert_eq!(project.read("work/log"), "it\n", "nothing is guessed");
    (project, step)
}

#[test]
fn an_unknown_outcome_is_decided_by_the_user() {
    let (project, step) = unknown_outcome();
    let wrong = project.resume(&["--redo", "other"]);
    assert_code(&wrong, 5);
    assert_eq!(
        text(&wrong.stderr),
        "error: no step of unknown outcome is called \"other\"\nhelp: xplay runs show ID names the steps that are open\n"
    );
    assert_code(&project.resume(&["--assume-done", &step]), 0);
    assert_eq!(project.read("work/log"), "it\nafter-0\n");
    project.assert_no_traces();

    let (project, step) = unknown_outcome();
    assert_code(&project.resume(&["--redo", &step]), 0);
    assert_eq!(project.read("work/log"), "it\nit\nafter-0\n");
    project.assert_no_traces();
}

#[test]
fn runs_tell_what_was_done() {
    let project = Project::new(ONE);
    assert_eq!(text(&project.command(&["runs"]).output().unwrap().stdout), "no runs\n");
    let killed =
        project.command(&["run", "-i", "hosts", "site.yml"]).env("XPLAY_END_AT_WRITE", "5-torn").output();
    assert_eq!(killed.unwrap().status.code(), None);
    let show = || {
        let output = project.command(&["runs", "show", "last", "--json"]).output().unwrap();
        assert_code(&output, 0);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let before = show();
    assert_eq!(
        (before["state"].as_str(), before["open"][0]["host"].as_str()),
        (Some("interrupted"), Some("n1"))
    );
    let text_before = text(&project.command(&["runs", "show", "last"]).output().unwrap().stdout);
    assert!(text_before.contains(" on n1: sent, no verdict\n"), "{text_before}");
    assert_code(&project.resume(&[]), 0);
    let after = show();
    assert_eq!((after["state"].as_str(), &after["open"]), (Some("complete"), &serde_json::json!([])));
    assert_eq!(after["hosts"]["n1"]["changed"], 2);
    assert_eq!(after["steps"][0]["hosts"], serde_json::json!({ "changed": ["n1"] }));
    let list = text(&project.command(&["runs"]).output().unwrap().stdout);
    let words: Vec<&str> = list.split_whitespace().collect();
    assert_eq!((words[1], &words[4..]), ("complete", &["run", "site.yml,", "1", "hosts"][..]));
}

/// Waits until something is there.
fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !ready() {
        assert!(begin.elapsed() < Duration::from_secs(30), "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z') && !rest.is_empty())
}

const SLOW: &str = "- hosts: all\n  gather_facts: false\n  vars:\n    work: \"{{ lookup('env', 'WORK') }}\"\n  tasks:\n\
    \x20   - name: slow\n      shell: echo $$ >{{ work }}/pid-{{ inventory_hostname }}; while [ ! -e {{ work }}/go ]; do sleep 0.05; done; echo slow >>{{ work }}/log\n\
    \x20   - name: after\n      shell: echo after >>{{ work }}/log\n";

#[test]
fn an_interruption_lets_running_steps_end() {
    let project = Project::new(SLOW);
    let child = project.spawn();
    wait_for("both", || project.path("work/pid-n1").exists() && project.path("work/pid-n2").exists());
    signal(&child, rustix::process::Signal::INT);
    let stopping = || project.journal();
    wait_for("the journal", || std::fs::read_to_string(stopping()).unwrap().contains("\"stopping\""));
    project.write("work/go", "");
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 99);
    let said = text(&output.stdout);
    assert!(said.contains("PLAY RECAP") && said.contains("changed=1"), "{said}");
    assert!(!said.contains("TASK [after]"), "{said}");
    assert_eq!(project.read("work/log"), "slow\nslow\n");
    assert!(text(&output.stderr).contains("stopped; go on with: xplay resume "), "{}", text(&output.stderr));
    assert_code(&project.resume(&[]), 0);
    assert_eq!(project.read("work/log"), "slow\nslow\nafter\nafter\n");
    project.assert_no_traces();
}

#[test]
fn the_second_interruption_ends_what_runs_on_hosts() {
    for long in ["", "      args: {long: true}\n"] {
        let project =
            Project::new(&SLOW.replacen("\n    - name: after", &format!("\n{long}    - name: after"), 1));
        let child = project.spawn();
        wait_for("both", || {
            !project.read("work/pid-n1").is_empty() && !project.read("work/pid-n2").is_empty()
        });
        signal(&child, rustix::process::Signal::INT);
        wait_for("the journal", || project.read_journal().contains("\"stopping\""));
        signal(&child, rustix::process::Signal::INT);
        let output = child.wait_with_output().unwrap();
        assert_code(&output, 99);
        assert!(text(&output.stdout).contains("PLAY RECAP"), "{}", text(&output.stdout));
        for host in ["n1", "n2"] {
            let pid = project.read(&format!("work/pid-{host}"));
            assert!(!alive(&pid), "{host}: process {pid} is left");
        }
        project.write("work/go", "");
        let resumed = project.resume(&[]);
        assert_code(&resumed, 2);
        if long.is_empty() {
            // Nobody can tell how far it came: it is not simply run again.
            assert!(text(&resumed.stdout).contains("--redo "), "{}", text(&resumed.stdout));
            assert_code(&project.resume(&["--redo", "slow"]), 0);
        } else {
            // The job's stub saw how it ended: it failed, and what failed is tried again.
            assert!(text(&resumed.stdout).contains("\"rc\": 143"), "{}", text(&resumed.stdout));
            assert_code(&project.resume(&[]), 0);
        }
        assert_eq!(project.read("work/log"), "slow\nslow\nafter\nafter\n");
        project.assert_no_traces();
    }
}

impl Project {
    fn read_journal(&self) -> String {
        std::fs::read_to_string(self.journal()).unwrap()
    }
}

/// A plan that is being applied is resumed as any run; it counts as applied once.
#[test]
fn an_applied_plan_goes_on_where_it_was_killed() {
    let tasks = "    - {name: folder, file: {path: \"{{ work }}\", state: directory}}\n\
         \x20   - {name: first, shell: \"echo first >>{{ work }}/log\"}\n\
         \x20   - {name: config, copy: {content: \"{{ inventory_hostname }}\\n\", dest: \"{{ work }}/config\"}, notify: restart}\n\
         \x20   - {name: second, shell: \"echo second >>{{ work }}/log\"}\n";
    let site = format!(
        "- hosts: all\n  gather_facts: false\n  vars:\n    work: \"{{{{ lookup('env', 'WORK') }}}}/{{{{ inventory_hostname }}}}\"\n  \
         tasks:\n{tasks}{HANDLERS}"
    );
    let planned = |project: &Project| {
        let made = project.command(&["plan", "-i", "hosts", "site.yml", "-o", "it.xplan"]).output().unwrap();
        assert!(matches!(made.status.code(), Some(2 | 3)), "{}", text(&made.stderr));
    };
    let undisturbed = Project::new(&site);
    planned(&undisturbed);
    assert_code(&undisturbed.command(&["apply", "it.xplan"]).output().unwrap(), 0);
    let (expect, count) = (undisturbed.end_state(), records(&undisturbed.journal()));
    assert_eq!(expect["n1/log"], "first\nsecond\nrestarted\n");
    let step = if all_points() { 1 } else { count / 5 };
    for at in (2..count).step_by(step) {
        let project = Project::new(&site);
        planned(&project);
        let mut command = project.command(&["apply", "it.xplan"]);
        let killed = command.env("XPLAY_END_AT_WRITE", at.to_string()).output().unwrap();
        assert_eq!(killed.status.code(), None, "write {at}: {}", text(&killed.stderr));
        let resumed = project.resume(&[]);
        let said = [text(&resumed.stdout), text(&resumed.stderr)].concat();
        assert_eq!(resumed.status.code(), Some(0), "write {at}: {said}");
        assert_eq!(project.end_state(), expect, "write {at}");
        project.assert_no_traces();
        let again = project.command(&["apply", "it.xplan"]).output().unwrap();
        assert_ne!(again.status.code(), Some(0), "write {at}: it is applied twice");
    }
}
