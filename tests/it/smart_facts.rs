//! `gather_subset = smart`: facts are gathered as far as the project speaks of them. What the probe does is counted by the
//! programs that it starts, and seen in the cache of facts.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::{find_program, skip};

/// A program of each part of the probe that starts one: the small group, network.
const WATCHED: [&str; 2] = ["python3", "ip"];

/// Puts programs before the real ones that write down that they were started.
fn watch(dir: &Path) {
    std::fs::create_dir_all(dir.join("bin")).unwrap();
    for name in WATCHED {
        let real = find_program(name).unwrap();
        let text = format!(
            "#!/bin/sh\necho {name} >>'{}'\nexec '{}' \"$@\"\n",
            dir.join("log").display(),
            real.display()
        );
        let path = dir.join("bin").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Runs the project and returns which watched programs were started, and the groups of the facts that were gathered.
fn gathered(files: &[(&str, &str)], args: &[&str], setting: &str) -> (BTreeSet<String>, String) {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    watch(dir);
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let path = format!("{}:{}", dir.join("bin").display(), std::env::var("PATH").unwrap());
    let output = Command::new(env!("CARGO_BIN_EXE_xplay"))
        .args(["run", "-i", "n1,", "-c", "local", "--no-report", "site.yml"])
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", path)
        .env("HOME", dir)
        .env("ANSIBLE_CACHE_PLUGIN", "jsonfile")
        .env("ANSIBLE_CACHE_PLUGIN_CONNECTION", dir.join("cache"))
        .env("XPLAY_GATHER_SUBSET", setting)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    let cache = std::fs::read_to_string(dir.join("cache/n1")).unwrap_or_default();
    let groups = [
        ("min", "\"ansible_os_family\""),
        ("hardware", "\"ansible_memtotal_mb\""),
        ("network", "\"ansible_interfaces\""),
        ("virtual", "\"ansible_virtualization_role\""),
    ];
    let there: Vec<&str> =
        groups.iter().filter(|(_, fact)| cache.contains(fact)).map(|(group, _)| *group).collect();
    (log.lines().map(str::to_string).collect(), there.join(" "))
}

fn play(tasks: &str) -> String {
    format!("- hosts: all\n  tasks:\n{tasks}")
}

#[test]
fn only_facts_that_the_project_speaks_of_are_gathered() {
    const TEST: &str = "only_facts_that_the_project_speaks_of_are_gathered";
    if WATCHED.iter().any(|name| find_program(name).is_none()) {
        skip(TEST, "there is no python3 or no ip");
        return;
    }
    let check = |files: &[(&str, &str)], args: &[&str], programs: &[&str], groups: &str| {
        let (ran, there) = gathered(files, args, "smart");
        assert_eq!(ran, programs.iter().map(ToString::to_string).collect(), "{files:?} {args:?}");
        assert_eq!(there, groups, "{files:?} {args:?}");
    };
    let plain = play("    - debug: msg=hello\n");
    check(&[("site.yml", &plain)], &[], &[], "");
    let condition = play("    - debug: msg=x\n      when: ansible_os_family != 'x'\n");
    check(&[("site.yml", &condition)], &[], &["python3"], "min");
    // In a role's template, in variables of a group, in what is included, in what is typed.
    let role = [
        ("site.yml", "- hosts: all\n  roles: [r]\n"),
        (
            "roles/r/tasks/main.yml",
            "- template: {src: a.j2, dest: /dev/null, unsafe_writes: true}\n  check_mode: true\n",
        ),
        ("roles/r/templates/a.j2", "{{ ansible_facts['memtotal_mb'] }}\n"),
    ];
    check(&role, &[], &["python3"], "min hardware");
    let said = play("    - debug: msg='{{ words }}'\n");
    let group = [("site.yml", &*said), ("group_vars/all.yml", "words: '{{ ansible_facts.interfaces }}'\n")];
    check(&group, &[], &["python3", "ip"], "min network");
    let included = [
        ("site.yml", "- hosts: all\n  tasks:\n    - include_tasks: more.yml\n"),
        ("more.yml", "- debug: msg='{{ ansible_virtualization_role }}'\n"),
    ];
    check(&included, &[], &["python3"], "min virtual");
    check(
        &[("site.yml", &said)],
        &["-e", "words={{ ansible_interfaces }}"],
        &["python3", "ip"],
        "min network",
    );
    // Who asks is given what was asked for.
    let asked = format!("{plain}  gather_subset: ['!all', network]\n");
    check(&[("site.yml", &asked)], &[], &["python3", "ip"], "min network");
}

#[test]
fn what_only_the_run_knows_stands_for_all_facts() {
    const TEST: &str = "what_only_the_run_knows_stands_for_all_facts";
    if WATCHED.iter().any(|name| find_program(name).is_none()) {
        skip(TEST, "there is no python3 or no ip");
        return;
    }
    let all = (WATCHED.iter().map(ToString::to_string).collect(), "min hardware network virtual".to_string());
    for tasks in [
        "    - debug: msg=\"{{ ansible_facts['os' ~ '_family'] }}\"\n",
        "    - debug: msg=\"{{ hostvars['n1'].ansible_os_family }}\"\n",
        "    - debug: var=ansible_facts\n",
        "    - debug: msg=\"{{ lookup('vars', 'ansible_' ~ 'os_family') }}\"\n",
        "    - include_tasks: \"{{ item }}.yml\"\n      loop: [more]\n",
        "    - template: {src: \"{{ item }}\", dest: /dev/null, unsafe_writes: true}\n      check_mode: true\n      loop: [a.j2]\n",
    ] {
        let site = play(tasks);
        let files =
            [("site.yml", &*site), ("more.yml", "- debug: msg=hello\n"), ("templates/a.j2", "text\n")];
        assert_eq!(gathered(&files, &[], "smart"), all, "{tasks}");
    }
    // Without the setting Ansible's default stays.
    let site = play("    - debug: msg=hello\n");
    assert_eq!(gathered(&[("site.yml", &site)], &[], "all"), all);
}
