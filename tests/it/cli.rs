//! The command line from outside: what the binary prints and the codes it ends with.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

struct Project(tempfile::TempDir);

/// What a command gave.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Project(dir)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.0.path().join("home"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.finish(self.command(Path::new(env!("CARGO_BIN_EXE_xplay"))).args(args))
    }

    fn finish(&self, command: &mut Command) -> Ran {
        let output = command.output().unwrap();
        let dir = self.0.path().to_string_lossy().into_owned();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&dir, "DIR");
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Ran {
    /// Code, stdout and stderr in one text.
    fn all(&self) -> String {
        format!("{}{}exit {}", self.stdout, self.stderr, self.code)
    }
}

const LOCAL: &str = "\
- hosts: localhost
  gather_facts: false
  tasks:
    - name: say it
      debug:
        msg: \"{{ word | default('hello') }}\"
      tags: [talk]
";

#[test]
fn help_texts() {
    let project = Project::new(&[]);
    insta::assert_snapshot!("help", project.run(&["--help"]).all());
    insta::assert_snapshot!("help_run", project.run(&["run", "--help"]).all());
    insta::assert_snapshot!("help_rehearse", project.run(&["rehearse", "--help"]).all());
}

#[test]
fn unknown_commands_have_suggestions() {
    let project = Project::new(&[]);
    insta::assert_snapshot!(project.run(&["rehearze", "x.yml"]).all(), @r#"
    error: unrecognized subcommand 'rehearze'

      tip: a similar subcommand exists: 'rehearse'

    Usage: xplay [OPTIONS] <COMMAND>

    For more information, try '--help'.
    exit 2
    "#);
    insta::assert_snapshot!(project.run(&["run", "x.yml", "--chek"]).all(), @r#"
    error: unexpected argument '--chek' found

      tip: a similar argument exists: '--check'

    Usage: xplay run --check <PLAYBOOK>...

    For more information, try '--help'.
    exit 2
    "#);
}

#[test]
fn missing_playbooks_are_named_with_both_places() {
    let project = Project::new(&[("playbooks/service-node.yml", "[]")]);
    insta::assert_snapshot!(project.run(&["run", "servce-node.yml"]).all(), @r#"
    error: cannot find the playbook "servce-node.yml" or "playbooks/servce-node.yml"
    help: did you mean "playbooks/service-node.yml"?
    exit 1
    "#);
}

#[test]
fn mistakes_are_shown_together_before_anything_runs() {
    let project = Project::new(&[(
        "site.yml",
        "- hosts: localhost\n  taks: []\n  tasks:\n    - debgu: {msg: x}\n    - debug: {mgs: x}\n",
    )]);
    insta::assert_snapshot!(project.run(&["run", "site.yml"]).all(), @r#"
    error[XP0602]: 'taks' is not a valid attribute for a Play
     --> site.yml:2:3
      |
    2 |   taks: []
      |   ^^^^ no such keyword
      |
      = help: did you mean `tags`?

    error[XP0612]: unknown module `debgu`
     --> site.yml:4:7
      |
    4 |     - debgu: {msg: x}
      |       ^^^^^ no module or keyword of this name
      |
      = help: did you mean `debug`?

    error[XP0701]: the module `debug` has no argument `mgs`
     --> site.yml:5:15
      |
    5 |     - debug: {mgs: x}
      |               ^^^ not known
      |
      = help: did you mean `msg`?

    error: 3 mistakes found, nothing was run
    exit 4
    "#);
}

#[test]
fn what_has_no_effect_is_said() {
    let project = Project::new(&[(
        "site.yml",
        "- hosts: localhost\n  tasks:\n    - command: sleep 1\n      module_defaults: {group/aws: {region: x}}\n",
    )]);
    insta::assert_snapshot!(project.run(&["run", "site.yml", "--syntax-check"]).all(), @r#"

    playbook: site.yml
    warning[XP0902]: defaults for the group `aws` have no effect
     --> site.yml:4:24
      |
    4 |       module_defaults: {group/aws: {region: x}}
      |                        ^^^^^^^^^^^^^^^^^^^^^^^^ among these
      |
      = note: none of its modules is here; a task that calls one is an error at load

    [WARNING]: provided hosts list is empty, only localhost is available. Note that the implicit localhost does not match 'all'
    exit 0
    "#);
}

#[test]
fn exit_codes_are_those_of_ansible_playbook() {
    let play = |tasks: &str| format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}");
    let project = Project::new(&[
        ("ok.yml", &play("    - debug: {msg: x}\n")),
        ("fail.yml", &play("    - fail: {msg: no}\n")),
        ("reach.yml", &play("    - ping:\n")),
        ("syntax.yml", "- hosts: [\n"),
        ("local", "here ansible_connection=local\n"),
        ("gone", "gone ansible_host=127.0.0.1 ansible_port=1\n"),
    ]);
    let check = |args: &[&str], code: i32| {
        let ran = project.run(args);
        assert_eq!(ran.code, code, "{args:?}: {}", ran.all());
    };
    check(&["run", "ok.yml", "-i", "local"], 0);
    check(&["run", "fail.yml", "-i", "local"], 2);
    check(&["run", "reach.yml", "-i", "gone"], 4);
    check(&["run", "syntax.yml", "-i", "local"], 4);
    check(&["run", "absent.yml", "-i", "local"], 1);
    check(&["run", "ok.yml", "-i", "local", "-l", "nobody"], 1);
    check(&["run", "ok.yml", "-i", "local", "-f", "0"], 2);
    check(&["run", "ok.yml", "-i", "local", "-T", "soon"], 2);
    check(&["run", "ok.yml", "-i", "local", "-e", "@absent.yml"], 1);
    check(&["run", "ok.yml", "-i", "local", "-e", "/etc/vars.yml"], 5);
    check(&["run", "ok.yml", "--no-such-flag"], 2);
    check(&["run", "ok.yml", "-i", "local", "--step"], 250);
    check(&["rehearse", "ok.yml", "--site", "moon"], 5);
}

/// What the questions look like stands in `tests/cases/playbooks/step`.
#[test]
fn a_question_without_an_answer_ends_the_run() {
    let play = "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - debug: {msg: x}\n";
    let project = Project::new(&[("site.yml", play)]);
    let ran = project.run(&["run", "site.yml", "--step", "--no-report", "-i", "localhost,", "-c", "local"]);
    insta::assert_snapshot!(ran.all(), @r#"

    PLAY [localhost] ***************************************************************
    Perform task: TASK: debug (N)o/(y)es/(c)ontinue: 
    PLAY RECAP *********************************************************************

    error: no answer to "Perform task: TASK: debug (N)o/(y)es/(c)ontinue:": the input ended
    help: the run ended there; give one line for each task, c for all the rest
    exit 250
    "#);
}

#[test]
fn lists_are_ansible_playbooks() {
    let project = Project::new(&[
        ("hosts", "[web]\nw1\nw2\n[db]\nd1\n"),
        (
            "site.yml",
            "- name: Everything\n  hosts: web:db\n  tags: play\n  roles: [nginx]\n  tasks:\n    \
             - name: one\n      debug: {msg: x}\n      tags: [a, b]\n    - block:\n        - debug: {msg: y}\n      \
             rescue:\n        - name: hidden\n          debug: {msg: z}\n    \
             - name: special\n      debug: {msg: x}\n      tags: never\n",
        ),
        ("roles/nginx/tasks/main.yml", "- name: install\n  debug: {msg: x}\n"),
    ]);
    let args = ["run", "site.yml", "-i", "hosts", "--list-hosts", "--list-tasks", "--list-tags"];
    insta::assert_snapshot!(project.run(&args).all(), @r#"

    playbook: site.yml

      play #1 (web:db): Everything	TAGS: [play]
        pattern: ['web:db']
        hosts (3):
          w1
          w2
          d1
        tasks:
          nginx : install	TAGS: [play]
          one	TAGS: [a, b, play]
          debug	TAGS: [play]
          special	TAGS: [never, play]
          TASK TAGS: [a, b, never, play]
    exit 0
    "#);
    let args = ["run", "site.yml", "-i", "hosts", "--list-tasks", "--tags", "a", "-l", "d1"];
    insta::assert_snapshot!(project.run(&args).all(), @r#"

    playbook: site.yml

      play #1 (web:db): Everything	TAGS: [play]
        tasks:
          one	TAGS: [a, b, play]
    exit 0
    "#);
    insta::assert_snapshot!(project.run(&["run", "site.yml", "-i", "hosts", "--syntax-check"]).all(), @r#"

    playbook: site.yml
    exit 0
    "#);
}

#[test]
fn called_as_ansible_playbook_it_is_run() {
    let project = Project::new(&[("site.yml", LOCAL)]);
    let link = project.0.path().join("ansible-playbook");
    symlink(env!("CARGO_BIN_EXE_xplay"), &link).unwrap();
    let ran = project
        .finish(project.command(&link).args(["site.yml", "-e", "word=moin"]).env("XPLAY_NO_REPORT", "1"));
    insta::assert_snapshot!(ran.all(), @r#"

    PLAY [localhost] ***************************************************************

    TASK [say it] ******************************************************************
    ok: [localhost] => {
        "msg": "moin"
    }

    PLAY RECAP *********************************************************************
    localhost                  : ok=1    changed=0    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0   

    [WARNING]: provided hosts list is empty, only localhost is available. Note that
    the implicit localhost does not match 'all'
    exit 0
    "#);
}

#[test]
fn extra_variables_in_every_form() {
    let project = Project::new(&[("site.yml", LOCAL), ("vars.yml", "word: from file\n")]);
    let check = |vars: &[&str], expect: &str| {
        let mut args = vec!["run", "site.yml"];
        vars.iter().for_each(|v| args.extend(["-e", v]));
        let ran = project.run(&args);
        assert!(ran.stdout.contains(&format!("\"msg\": \"{expect}\"")), "{vars:?}: {}", ran.all());
    };
    check(&["word=plain"], "plain");
    check(&["word='two words' other=1"], "two words");
    check(&["{\"word\": \"json\"}"], "json");
    check(&["{word: yaml}"], "yaml");
    check(&["@vars.yml"], "from file");
    check(&["@vars.yml", "word=last"], "last");
    check(&["a=b", "word={{ a }}c"], "bc");
    // The path of this machine's Python, which playbooks give to tools and to other hosts.
    if let Some(python) = super::support::find_program("python3") {
        check(&["word={{ ansible_playbook_python }}"], &python.display().to_string());
    }
}

#[test]
fn a_run_leaves_a_report_and_says_where() {
    let project = Project::new(&[("site.yml", LOCAL)]);
    let ran = project.run(&["run", "site.yml"]);
    let line =
        ran.stderr.lines().find(|l| l.starts_with("report: ")).unwrap_or_else(|| panic!("{}", ran.all()));
    assert!(line.starts_with("report: DIR/home/.local/state/xplay/reports/20"), "{line}");
    assert!(line.ends_with("-site.html"), "{line}");
    let ran = project.run(&["run", "site.yml", "--report", "mine.html", "--json"]);
    assert!(ran.stderr.lines().any(|l| l == "report: DIR/mine.html"), "{}", ran.stderr);
    assert!(
        std::fs::read_to_string(project.0.path().join("mine.html")).unwrap().starts_with("<!doctype html>")
    );
    for line in ran.stdout.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
}

#[test]
fn inventories_are_shown() {
    let project = Project::new(&[
        ("hosts", "top\n[web]\nw1 port=80\nw2\n[web:vars]\ntier=front\n[all:children]\nweb\n"),
        ("group_vars/all.yml", "site: hq\n"),
    ]);
    insta::assert_snapshot!(project.run(&["inventory", "-i", "hosts"]).all(), @r#"
    @all:
      |--@ungrouped:
      |  |--top
      |--@web:
      |  |--w1
      |  |--w2
    exit 0
    "#);
    insta::assert_snapshot!(project.run(&["inventory", "-i", "hosts", "--host", "w1"]).all(), @r#"
    {
        "port": 80,
        "site": "hq",
        "tier": "front"
    }
    exit 0
    "#);
    insta::assert_snapshot!(project.run(&["inventory", "-i", "hosts", "--host", "w3"]).all(), @r#"
    error: the inventory has no host "w3"
    help: did you mean "w1"?
    exit 1
    "#);
    let list = project.run(&["inventory", "-i", "hosts", "--list"]);
    let json: serde_json::Value =
        serde_json::from_str(&list.stdout).unwrap_or_else(|e| panic!("{e}: {}", list.all()));
    assert_eq!(json["web"]["hosts"], serde_json::json!(["w1", "w2"]));
    assert_eq!(
        json["_meta"]["hostvars"]["w1"],
        serde_json::json!({"port": 80, "site": "hq", "tier": "front"})
    );
}

#[test]
fn facts_are_json() {
    let project = Project::new(&[("hosts", "a ansible_connection=local\nb ansible_connection=local\n")]);
    let one = project.run(&["facts", "a", "-i", "hosts"]);
    let json: serde_json::Value =
        serde_json::from_str(&one.stdout).unwrap_or_else(|e| panic!("{e}: {}", one.all()));
    assert_eq!(json["ansible_system"], "Linux");
    let both = project.run(&["facts", "all", "-i", "hosts"]);
    let json: serde_json::Value = serde_json::from_str(&both.stdout).unwrap();
    assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(project.run(&["facts", "c", "-i", "hosts"]).code, 1);
}

#[test]
fn completions_and_the_manual_are_made() {
    let project = Project::new(&[]);
    for (shell, mark) in [("bash", "_xplay()"), ("zsh", "#compdef xplay"), ("fish", "complete -c xplay")] {
        let ran = project.run(&["completions", shell]);
        assert!(ran.code == 0 && ran.stdout.contains(mark), "{shell}: {}", ran.all());
    }
    let man = project.run(&["man"]);
    assert!(man.code == 0 && man.stdout.contains(".TH xplay 1") && man.stdout.contains(".SH XPLAY REHEARSE"));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let project = Project::new(&[]);
    let binary = env!("CARGO_BIN_EXE_xplay");
    let script = format!("{{ '{binary}' man; echo \"code $?\" >&2; }} | head -c 1 >/dev/null");
    let ran = project.finish(project.command(Path::new("sh")).args(["-c", &script]));
    assert_eq!(ran.stderr, "code 0\n");
}

#[test]
fn a_vault_password_comes_from_a_file() {
    let project = Project::new(&[("site.yml", LOCAL)]);
    let ran = project.run(&["run", "site.yml", "--vault-password-file", "absent"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("cannot read vault password file `DIR/absent`"), "{}", ran.stderr);
}

const SETTINGS: &str = "\
- hosts: localhost
  gather_facts: false
  vars: {d: {a: 1, b: {c: 2}}}
  tasks:
    - command: sleep 5
      ignore_errors: true
      when: slow is defined
    - debug: {msg: \"{{ d }}\"}
    - set_fact: {fact: 1}
    - debug: {msg: hidden}
";

#[test]
fn settings_are_the_defaults_of_keywords() {
    let project = Project::new(&[("site.yml", SETTINGS), ("more.yml", "d: {b: {e: 3}}\n")]);
    let run = |vars: &[(&str, &str)], args: &[&str]| {
        let mut command = project.command(Path::new(env!("CARGO_BIN_EXE_xplay")));
        let ran = project
            .finish(command.envs(vars.iter().copied()).args(["run", "site.yml", "--no-report"]).args(args));
        ran.stdout
    };
    let merged = run(
        &[("ANSIBLE_HASH_BEHAVIOUR", "merge"), ("ANSIBLE_CALLBACK_FORMAT_PRETTY", "no")],
        &["-e@more.yml"],
    );
    assert!(merged.contains(r#"{"msg": {"a": 1, "b": {"c": 2, "e": 3}}}"#), "{merged}");
    let hidden = run(&[("ANSIBLE_NO_LOG", "yes")], &[]);
    assert!(!hidden.contains("\"msg\"") && hidden.contains("ok=3"), "{hidden}");
    let late = run(&[("ANSIBLE_TASK_TIMEOUT", "1")], &["-e", "slow=1"]);
    assert!(late.contains("FAILED!") && late.contains("ignored=1"), "{late}");
}

#[test]
fn callbacks_write_beside_the_text() {
    let project = Project::new(&[("local.yml", LOCAL)]);
    let mut command = project.command(Path::new(env!("CARGO_BIN_EXE_xplay")));
    command.args(["run", "local.yml", "--no-report"]);
    command.env("ANSIBLE_CALLBACKS_ENABLED", "timer,junit,mail").env("JUNIT_OUTPUT_DIR", "out");
    let ran = project.finish(command.env("ANSIBLE_LOG_PATH", "log"));
    assert!(
        ran.stdout.ends_with("\n\nPlaybook run took 0 days, 0 hours, 0 minutes, 0 seconds\n"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr.starts_with("[WARNING]: there is no callback \"mail\", it is left out\n"),
        "{}",
        ran.stderr
    );
    let log = std::fs::read_to_string(project.0.path().join("log")).unwrap();
    assert!(log.contains("n=ansible INFO| ok: [localhost] => {\n"), "{log}");
    let file = std::fs::read_dir(project.0.path().join("out")).unwrap().next().unwrap().unwrap().path();
    let xml = std::fs::read_to_string(file).unwrap();
    let times = fancy_regex::Regex::new(r#"time="[^"]*""#).unwrap();
    insta::assert_snapshot!(times.replace_all(&xml, "time=\"T\""), @r#"
    <?xml version="1.0" encoding="utf-8"?>
    <testsuites disabled="0" errors="0" failures="0" tests="1" time="T">
    	<testsuite disabled="0" errors="0" failures="0" name="local" skipped="0" tests="1" time="T">
    		<testcase classname="local.yml:4" name="[localhost] localhost: say it" time="T">
    			<system-out>{&#34;msg&#34;: &#34;hello&#34;}</system-out>
    		</testcase>
    	</testsuite>
    </testsuites>
    "#);
}

#[test]
fn an_empty_delegate_is_a_mistake_whatever_the_conditions_say() {
    let project = Project::new(&[(
        "site.yml",
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - command: echo\n      delegate_to: \"{{ '' }}\"\n      when: false\n",
    )]);
    let said = project.run(&["run", "site.yml"]).all();
    assert!(said.contains(r#"Empty hostname produced from delegate_to: \"{{ '' }}\""#), "{said}");
}

#[test]
fn the_debugger_ends_the_run() {
    let project = Project::new(&[(
        "site.yml",
        "- hosts: localhost\n  gather_facts: false\n  debugger: always\n  tasks:\n    - debug: {msg: first}\n    - debug: {msg: never}\n",
    )]);
    // Without a terminal the input has ended, which is the same as `quit`.
    let said = project.run(&["run", "site.yml"]).all();
    assert!(said.contains("[localhost] TASK: debug (debug)> User interrupted execution\n"), "{said}");
    assert!(!said.contains("never") && said.contains("exit 99"), "{said}");
}
