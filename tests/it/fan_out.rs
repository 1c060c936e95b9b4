//! Hosts behind a fan-out tool: one script for many, results for each, by ClusterShell over real servers, by a stand-in
//! for it, and by the rehearsal cluster's xdsh through its service nodes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::rehearse::{Mode, PLAYBOOK, Ran, Rehearsal, can};
use crate::support::sshd::Sshd;
use crate::support::{find_program, skip};

/// Takes what the real one takes. A node is a home; those whose names begin with `dead` answer as ssh would, and those
/// that begin with `half` end in the middle of their answer. Each call leaves a line.
const STAND_IN: &str = r#"#!/bin/sh
while [ $# -gt 1 ]; do case $1 in -w) nodes=$2; shift 2 ;; *) shift ;; esac; done
echo "$nodes" >>"$STAND/calls"
cat >"$STAND/in.$$"
for n in $(echo "$nodes" | tr , ' '); do
  case $n in
  dead*) echo "$n: ssh: connect to host $n port 22: No route to host" >&2
    echo "clush: $n: exited with exit code 255" >&2 ;;
  half*) sh -c "$1" <"$STAND/in.$$" | sed -n "/ begin$/s/^/$n: /p" ;;
  *) mkdir -p "$STAND/$n"
    HOME=$STAND/$n NODE=$n sh -c "$1" <"$STAND/in.$$" 2>&1 | sed "s/^/$n: /" ;;
  esac
done
rm "$STAND/in.$$"
"#;

/// A project for one playbook.
struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    fn new(inventory: &str, tasks: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("hosts"), inventory).unwrap();
        let project = Project { dir };
        project.play(tasks);
        project
    }

    fn play(&self, tasks: &str) {
        let text = format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}");
        fs::write(self.file("site.yml"), text).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    fn run_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Ran {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new(env!("CARGO_BIN_EXE_xplay"))
            .args(["run", "--json", "-i", "hosts", "site.yml"])
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", format!("{}:{path}", self.dir.path().display()))
            .env("STAND", self.dir.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran::read(output)
    }

    /// The nodes of each call of the stand-in.
    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file("calls")).unwrap_or_default();
        fs::write(self.file("calls"), "").unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn stand_in(inventory: &str, tasks: &str) -> Project {
    let project = Project::new(inventory, tasks);
    let file = project.file("clush");
    fs::write(&file, STAND_IN).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    project
}

/// What a task printed on each host, by status and stdout.
fn printed<'a>(ran: &'a Ran, task: &str) -> BTreeMap<&'a str, (&'a str, &'a Value)> {
    let results = ran.results().filter(|r| r["name"] == task);
    results
        .map(|r| (r["host"].as_str().unwrap(), (r["status"].as_str().unwrap(), &r["result"]["stdout"])))
        .collect()
}

#[test]
fn one_script_goes_to_many_hosts_at_once() {
    let names: Vec<String> = (1..=60).map(|n| format!("n{n}")).collect();
    let project = stand_in(
        &format!("[all]\n{}\n[all:vars]\nansible_connection=clush\n", names.join("\n")),
        "    - name: who\n      shell: echo $NODE; printf 'a\\000b' >&2; exit 0\n    - name: size\n      command: wc -c\n      args: {stdin: some text}\n",
    );
    let ran = project.run(&[]);
    ran.assert_success();
    for name in &names {
        assert_eq!(printed(&ran, "who")[&**name].1, name.as_str());
        assert_eq!(printed(&ran, "size")[&**name].1, "10");
    }
    // Opening, two commands, and tidying up; more when this machine lets some hosts wait.
    let calls = project.calls();
    assert!(calls.len() < 16, "{} calls: {calls:?}", calls.len());
}

#[test]
fn a_host_that_does_not_answer_is_never_ok() {
    let tasks = "    - name: who\n      command: echo here\n      ignore_unreachable: true\n    - name: late\n      command: echo still here\n";
    let inventory = "n1\ndead1\nhalf1\nn2\n[all:vars]\nansible_connection=clush\n";
    let project = stand_in(&format!("[all]\n{inventory}"), tasks);
    let ran = project.run(&[]);
    let who = printed(&ran, "who");
    assert_eq!((who["n1"].0, who["n2"].0), ("changed", "changed"));
    let reason = |host: &str| {
        let result = ran.results().find(|r| r["host"] == host).unwrap();
        result["result"]["msg"].as_str().unwrap().to_owned()
    };
    assert!(
        reason("dead1").contains("ssh: connect to host dead1 port 22: No route to host"),
        "{}",
        reason("dead1")
    );
    assert!(reason("half1").contains("clush brought no end of its answer"), "{}", reason("half1"));
    for host in ["dead1", "half1"] {
        assert!(!matches!(who[host].0, "ok" | "changed"), "{host}: {}", who[host].0);
    }
    assert_eq!(ran.code, 4);
}

#[test]
fn what_cannot_work_says_so() {
    let check = |variables: &str, task: &str, expect: &str| {
        let project = stand_in(&format!("[all]\nn1 {variables}\n"), task);
        let ran = project.run(&[]);
        let failures = ran.failures().join("\n") + &ran.stderr;
        assert!(ran.code != 0 && failures.contains(expect), "{failures}");
    };
    let task = "    - command: id\n";
    check("ansible_connection=clush ansible_password=x", task, "connection clush takes no passwords");
    check(
        "ansible_connection=clush xplay_node='n[1-3]'",
        task,
        "is no name that a fan-out tool can be given",
    );
    check(
        "ansible_connection=clush",
        "    - command: id\n      async: 10\n      poll: 1\n",
        "through clush nothing can run that outlives its call",
    );
    // What the texts tell is said before anything runs.
    let tasks = "    - command: id\n      async: 10\n    - command: id\n      async: 0\n    - command: id\n      async: 5\n      delegate_to: m1\n";
    let inventory = "[all]\nm1 ansible_connection=local\nn1\nn2\n[behind]\nn1 ansible_password=x\nn2\n[behind:vars]\nansible_connection=clush\n";
    let ran = stand_in(inventory, tasks).run(&["-l", "behind"]);
    let said = ran.stderr.split("\n\n").take(2).collect::<Vec<_>>().join("\n\n");
    assert_eq!(
        said,
        "warning[XP0903]: the login password of n1 cannot go through clush\n |\n = help: these hosts will be unreachable; use \
         keys, or connection ssh\n\nwarning[XP0903]: nothing runs in the background through clush\n --> site.yml:5:14\n  |\n\
         5 |       async: 10\n  |              ^^ refused by n[1-2]\n  |\n  = help: reach these hosts by connection ssh for \
         this task, or leave `async` out"
    );
    let way = "ansible_connection=clush xplay_via=m1\nm1 ansible_connection=clush";
    check(way, task, "which is reached by clush too");
}

/// Hosts of which each has a script of its own are called one by one.
#[test]
fn files_go_to_hosts_behind_the_tool() {
    let tasks = "    - name: copy\n      copy: {src: some file, dest: '{{ there }}/copied'}\n    \
         - name: template\n      template: {src: some.j2, dest: '{{ there }}/rendered', mode: '0640'}\n    \
         - name: file\n      file: {path: '{{ there }}/folder', state: directory}\n    \
         - name: script\n      script: some.sh '{{ there }}'\n    \
         - name: setup\n      setup: {gather_subset: min}\n";
    let project = stand_in("[all]\nn1\nn2\n[all:vars]\nansible_connection=clush\n", tasks);
    fs::write(project.file("vars.yml"), "").unwrap();
    let bytes: Vec<u8> = (0..200_000u32).map(|n| (n * 7 % 251) as u8).collect();
    fs::write(project.file("some file"), &bytes).unwrap();
    fs::write(project.file("some.j2"), "I am {{ inventory_hostname }}\n").unwrap();
    fs::write(project.file("some.sh"), "#!/bin/sh\necho \"script in $1\"\n").unwrap();
    let there = project.file("there");
    for node in ["n1", "n2"] {
        fs::create_dir_all(there.join(node)).unwrap();
    }
    let place = format!("there={}/{{{{ inventory_hostname }}}}", there.display());
    let first = project.run(&["-e", &place]);
    first.assert_success();
    for node in ["n1", "n2"] {
        assert_eq!(fs::read(there.join(node).join("copied")).unwrap(), bytes);
        assert_eq!(fs::read_to_string(there.join(node).join("rendered")).unwrap(), format!("I am {node}\n"));
        assert!(there.join(node).join("folder").is_dir());
        let expect = format!("script in {}", there.join(node).display());
        assert_eq!(printed(&first, "script")[node].1.as_str().unwrap().trim(), expect);
    }
    let again = project.run(&["-e", &place]);
    again.assert_success();
    for task in ["copy", "template", "file"] {
        assert!(printed(&again, task).values().all(|(status, _)| *status == "ok"), "{task}");
    }
}

/// A real server with names of our choice that lead to it, in a file for ssh.
fn names(sshd: &Sshd, folder: &Path, names: &[&str]) -> PathBuf {
    let there: String = names.iter().map(|name| sshd.config(name)).collect();
    let known = sshd.spec().known_hosts[0].display().to_string();
    let text = format!(
        "{there}Host off1\n HostName 127.0.0.1\n Port 1\n UserKnownHostsFile {known}\n\
         Host *\n BatchMode yes\n StrictHostKeyChecking yes\n"
    );
    let file = folder.join("ssh_config");
    fs::write(&file, text).unwrap();
    file
}

/// By ClusterShell itself, directly and through a gateway.
#[test]
fn clustershell_carries_scripts_and_results() {
    const TEST: &str = "clustershell_carries_scripts_and_results";
    let Some(clush) = find_program("clush") else {
        skip(TEST, "there is no clush");
        return;
    };
    let Some(sshd) = Sshd::start(TEST) else { return };
    let tasks = "    - name: who\n      shell: echo \"$((6 * 7)) it's\"; echo err >&2\n      ignore_unreachable: true\n    \
         - name: bytes\n      command: cksum\n      args: {stdin: \"{{ 'x' * 100000 }}\", stdin_add_newline: false}\n    \
         - name: fails\n      command: sh -c 'exit 3'\n      ignore_errors: true\n    \
         - name: setup\n      setup: {gather_subset: min}\n";
    let project = Project::new("", tasks);
    let config = names(&sshd, project.dir.path(), &["n1", "n2", "n3", "gw1"]);
    let inventory = |more: &str| {
        format!(
            "[all]\nn[1:3]\noff1\n[all:vars]\nansible_connection=clush\n\
             xplay_via_args=\"-o '-F {}' {more}\"\n",
            config.display()
        )
    };
    // Gateways need the library too, which the first Python on their PATH may lack.
    let text = fs::read_to_string(clush).unwrap();
    let python = text.lines().next().unwrap_or_default().trim_start_matches("#!").trim().to_owned();
    let node = String::from_utf8(Command::new("uname").arg("-n").output().unwrap().stdout).unwrap();
    let topology = project.file("topology.conf");
    fs::write(&topology, format!("[routes]\n{}: gw1\ngw1: n[1-3]\n", node.trim())).unwrap();
    for more in ["", &format!("--topology={}", topology.display())] {
        fs::write(project.file("hosts"), inventory(more)).unwrap();
        let ran = project.run_with(&[], &[("CLUSTERSHELL_GW_PYTHON_EXECUTABLE", &python)]);
        for host in ["n1", "n2", "n3"] {
            assert_eq!(
                printed(&ran, "who")[host],
                ("changed", &Value::from("42 it's")),
                "{more}: {:?}",
                ran.failures()
            );
            assert_eq!(printed(&ran, "bytes")[host].1, "1627735810 100000");
            assert_eq!(printed(&ran, "setup")[host].0, "ok");
            let failed = ran.results().find(|r| r["name"] == "fails" && r["host"] == host).unwrap();
            assert_eq!(failed["result"]["rc"], 3);
        }
        assert!(!matches!(printed(&ran, "who")["off1"].0, "ok" | "changed"));
    }
}

/// Through the management node, and from there through the service nodes.
#[test]
fn xdsh_reaches_nodes_behind_service_nodes() {
    if !can("xdsh_reaches_nodes_behind_service_nodes", Mode::Namespaces) {
        return;
    }
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    rehearsal.run(&[PLAYBOOK]).assert_success();
    rehearsal.run(&[PLAYBOOK, "-e", "xcat_profile=compute", "-e", "xcat_nodes=cn1"]).assert_success();
    let play = rehearsal.dir().join("fan.yml");
    fs::write(rehearsal.dir().join("some.j2"), "{{ greeting }} to {{ inventory_hostname }}\n").unwrap();
    fs::write(rehearsal.dir().join("some.sh"), "#!/bin/sh\necho \"script $1\"\n").unwrap();
    fs::write(rehearsal.dir().join("some.bin"), [0u8, 255, 10, 13, 0]).unwrap();
    fs::write(
        &play,
        "- hosts: service:compute\n  connection: xdsh\n  gather_facts: false\n  vars: {xplay_via: mn1, greeting: hello}\n  tasks:\n    \
         - {name: command, command: uname -n}\n    \
         - {name: shell, shell: 'exit 3', register: r, failed_when: r.rc != 3}\n    \
         - {name: script, script: some.sh one}\n    \
         - {name: copy, copy: {src: some.bin, dest: /root/some.bin}}\n    \
         - {name: template, template: {src: some.j2, dest: /root/some.txt}}\n    \
         - {name: file, file: {path: /root/some.dir, state: directory, mode: '0750'}}\n    \
         - {name: facts, setup: {gather_subset: min}}\n    \
         - {name: show, debug: {msg: '{{ ansible_facts.hostname }}'}}\n",
    )
    .unwrap();
    let play = play.display().to_string();
    let ran = rehearsal.run(&[&play]);
    let commands = printed(&ran, "command");
    for host in ["sn1", "sn2", "cn1"] {
        assert_eq!(commands[host], ("changed", &Value::from(host)), "{:?}", ran.failures());
        let shown = ran.results().find(|r| r["name"] == "show" && r["host"] == host).unwrap();
        assert_eq!(shown["result"]["msg"], host);
    }
    // It was never booted.
    assert_eq!(commands["cn2"].0, "unreachable");
    assert_eq!(ran.code, 4);
    let seen = rehearsal
        .shell("cn1", "cksum </root/some.bin; cat /root/some.txt; stat -c %a /root/some.dir; ls /tmp");
    assert!(seen.contains("2488694967 5\nhello to cn1\n750\n"), "{seen}");
    assert!(!seen.contains("xplay."), "something was left: {seen}");

    let again = rehearsal.run(&[&play]);
    for task in ["copy", "template", "file"] {
        assert_eq!(printed(&again, task)["cn1"].0, "ok", "{task}");
    }
}
