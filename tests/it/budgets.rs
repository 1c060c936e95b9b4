//! `serial`, `max_fail_percentage` and `any_errors_fatal` as ansible-core has them, and xplay's own budget: a table.
//!
//! `tests/cases/budgets.tsv` says for each combination what ran on which host and the exit code. It was recorded by
//! `RECORD_BUDGETS=/path/to/ansible-playbook cargo test --test it budgets::`, which writes it anew.
//! Where we differ on purpose (COMPATIBILITY.md), two more columns say what happens here.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::ssh_environments::Site;

/// One line: hosts, `serial`, `max_fail_percentage`, `any_errors_fatal`, which hosts fail, which are unreachable, and the
/// kind of playbook. `-` stands for nothing.
struct Row<'a> {
    hosts: usize,
    serial: &'a str,
    percentage: &'a str,
    fatal: &'a str,
    failing: Vec<&'a str>,
    dark: Vec<&'a str>,
    kind: &'a str,
}

impl<'a> Row<'a> {
    fn parse(words: &[&'a str]) -> Self {
        let list = |text: &'a str| text.split(',').filter(|host| *host != "-").collect();
        Row {
            hosts: words[0].parse().unwrap(),
            serial: words[1],
            percentage: words[2],
            fatal: words[3],
            failing: list(words[4]),
            dark: list(words[5]),
            kind: words[6],
        }
    }

    fn inventory(&self) -> String {
        let line = |n: usize| match self.dark.contains(&&*n.to_string()) {
            true => format!("h{n} ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1\n"),
            false => format!("h{n} ansible_connection=local\n"),
        };
        (1..=self.hosts).map(line).collect()
    }

    fn playbook(&self) -> String {
        let mut text = String::from("- hosts: all\n  gather_facts: false\n");
        for (keyword, value) in [("serial", self.serial), ("max_fail_percentage", self.percentage)] {
            if value != "-" {
                let _ = writeln!(text, "  {keyword}: {value}");
            }
        }
        if self.fatal == "true" {
            text += "  any_errors_fatal: true\n";
        }
        let failing: Vec<String> = self.failing.iter().map(|n| format!("h{n}")).collect();
        let _ = writeln!(text, "  vars: {{bad: [{}]}}", failing.join(", "));
        let command = "command: \"{{ 'false' if inventory_hostname in bad else 'true' }}\"";
        text += "  tasks:\n    - {name: one, debug: {msg: x}}\n";
        let mut more = String::new();
        if self.fatal == "task" {
            more += "      any_errors_fatal: true\n";
        }
        match self.kind {
            "ignore" => more += "      ignore_errors: true\n",
            "handler" => more += "      notify: told\n",
            _ => {}
        }
        let _ = match self.kind {
            "rescue" | "always" => {
                let word = if self.kind == "rescue" { "rescued" } else { "always" };
                let section = if self.kind == "rescue" { "rescue" } else { "always" };
                writeln!(
                    text,
                    "    - block:\n        - name: two\n          {command}\n{}      {section}:\n        - {{name: {word}, debug: {{msg: x}}}}",
                    more.replace("      ", "          ")
                )
            }
            "handler" => writeln!(
                text,
                "    - name: two\n      command: \"true\"\n{more}    - name: three\n      {command}"
            ),
            _ => write!(text, "    - name: two\n      {command}\n{more}"),
        };
        if self.kind == "twice" {
            text +=
                "    - {name: again, command: \"{{ 'false' if inventory_hostname == 'h2' else 'true' }}\"}\n";
        }
        text += "    - {name: last, debug: {msg: x}}\n";
        if self.kind == "handler" {
            text += "  handlers:\n    - {name: told, debug: {msg: x}}\n";
        }
        text + "- hosts: all\n  gather_facts: false\n  tasks:\n    - {name: next, debug: {msg: x}}\n"
    }
}

/// What ran where, in order: `one:1,2 two:1`.
fn trace(text: &str) -> String {
    let mut tasks: Vec<(String, Vec<u32>)> = Vec::new();
    for line in text.lines() {
        let banner = line.strip_prefix("TASK [").or_else(|| line.strip_prefix("RUNNING HANDLER ["));
        if let Some((name, _)) = banner.and_then(|rest| rest.split_once(']')) {
            tasks.push((name.to_string(), Vec::new()));
        }
        let host = line.strip_prefix("ok: [h").or_else(|| line.strip_prefix("changed: [h"));
        if let Some((host, _)) = host.and_then(|rest| rest.split_once(']')) {
            tasks.last_mut().unwrap().1.push(host.parse().unwrap());
        }
    }
    let mut words = Vec::new();
    for (name, mut hosts) in tasks {
        hosts.sort_unstable();
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        words.push(format!("{name}:{}", hosts.join(",")));
    }
    words.join(" ")
}

#[test]
fn batches_and_failures_are_as_in_ansible() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/budgets.tsv");
    let text = std::fs::read_to_string(&table).unwrap();
    let recorder = std::env::var_os("RECORD_BUDGETS");
    let mut lines = text.lines();
    let mut recorded = format!("{}\n", lines.next().unwrap());
    let mut wrong = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split('\t').collect();
        let row = Row::parse(&words);
        let site = Site::new(&row.inventory(), "");
        std::fs::write(site.dir.path().join("site.yml"), row.playbook()).unwrap();
        let mut command = match &recorder {
            Some(program) => {
                let mut command = Command::new(program);
                command.args(["-i", "hosts", "site.yml"]).current_dir(site.dir.path());
                command.env("ANSIBLE_NOCOLOR", "1").env("HOME", site.dir.path());
                command
            }
            None => site.command(&[]),
        };
        let output = command.output().unwrap();
        let found = trace(&String::from_utf8_lossy(&output.stdout));
        let code = output.status.code().unwrap().to_string();
        let ours = words.get(9..11);
        let kept = ours.map(|ours| format!("\t{}", ours.join("\t"))).unwrap_or_default();
        let _ = writeln!(recorded, "{}\t{code}\t{found}{kept}", words[..7].join("\t"));
        let expect = ours.unwrap_or(&words[7..9]);
        if [&*code, &*found] != *expect {
            wrong.push(format!("{line}\n  is {code} {found}"));
        }
    }
    if recorder.is_some() {
        std::fs::write(&table, recorded).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// xplay's own budget counts failed and unreachable hosts alike, over all batches, in each failure domain by itself.
#[test]
fn a_budget_of_failure_domains_ends_a_rollout() {
    // Budget, domains, hosts that fail, hosts that are unreachable; which hosts get to the last task.
    for (budget, domains, failing, dark, expect) in [
        ("1", "", "1", "", "2,3,4,5,6,7,8"),
        ("1", "", "1", "3", "2"),
        ("\"25%\"", "", "1", "3", "2,4,5,6,7,8"),
        ("\"24%\"", "", "1", "3", "2"),
        ("1", "[a, b]", "1", "5", "2,3,4,6,7,8"),
        ("1", "[a, b]", "1", "3", "2"),
        ("\"25%\"", "[a, b]", "1,5", "", "2,3,4,6,7,8"),
        ("\"25%\"", "[a, b]", "1,5", "7", "2,3,4,6"),
        ("0", "[b]", "1", "", "2,3,4,5,6,7,8"),
        ("0", "[b]", "", "8", "1,2,3,4,5,6"),
    ] {
        let list = |text: &'static str| text.split(',').filter(|h| !h.is_empty()).collect::<Vec<_>>();
        let row = Row {
            hosts: 8,
            serial: "2",
            percentage: "-",
            fatal: "-",
            failing: list(failing),
            dark: list(dark),
            kind: "-",
        };
        let inventory = row.inventory() + "[a]\nh[1:4]\n[b]\nh[5:8]\n";
        let mut vars = format!("  vars: {{xplay_budget: {budget}, ");
        if !domains.is_empty() {
            let _ = write!(vars, "xplay_failure_domains: {domains}, ");
        }
        let site = Site::new(&inventory, "");
        let playbook = row.playbook().replace("  vars: {", &vars);
        std::fs::write(
            site.dir.path().join("site.yml"),
            playbook
                .split("- hosts: all\n  gather_facts: false\n  tasks:\n    - {name: next")
                .next()
                .unwrap(),
        )
        .unwrap();
        let output = site.command(&[]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let trace = trace(&said);
        let mut last: Vec<u32> = trace
            .split(' ')
            .filter_map(|word| word.strip_prefix("last:"))
            .flat_map(|hosts| hosts.split(',').filter(|h| !h.is_empty()).map(|h| h.parse().unwrap()))
            .collect();
        last.sort_unstable();
        let last: Vec<String> = last.iter().map(ToString::to_string).collect();
        assert_eq!(last.join(","), expect, "{budget} {domains} fails {failing} dark {dark}: {trace}\n{said}");
        let over =
            expect.split(',').filter(|h| !h.is_empty()).count() + row.failing.len() + row.dark.len() < 8;
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told).contains("which is more than xplay_budget");
        assert_eq!(told, over, "{budget} {domains} fails {failing} dark {dark}");
    }
}
