//! What changed between two plans, as text, as JSON and as exit code; `show` as a command.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use xplay::plan::compare::compare;
use xplay::plan::file::{Approval, Statement};
use xplay::plan::render::comparison;
use xplay::plan::{Bundle, Created, DiffSide, Group, HostEntry, Plan, PlanFile, Reach, State, Unit};

use crate::plan_show::example;

fn text(before: &Plan, after: &Plan) -> String {
    let lines = comparison::lines(&compare(before, after), ("p-1", "p-2"), 100, false);
    let line =
        |parts: &Vec<(&str, String)>| parts.iter().map(|(_, text)| text.as_str()).collect::<String>() + "\n";
    lines.iter().map(line).collect()
}

#[test]
fn a_plan_is_the_same_as_itself() {
    for name in ["service-nodes", "nothing", "failed"] {
        let plan = example(name);
        assert!(compare(&plan, &plan).is_same(), "{name}");
    }
    let plan = example("nothing");
    assert_eq!(text(&plan, &plan), "Plan p-1 -> p-2\n= SAME: both plans do the same.\n");
}

#[test]
fn a_step_that_moved_in_its_file_is_the_same() {
    let before = example("nothing");
    let mut after = before.clone();
    after.steps[0].place = "site.yml:40".into();
    assert!(compare(&before, &after).is_same());
}

/// The service nodes a day later: other texts, a host more, a host that does not answer, a task edited, one gone.
fn later() -> Plan {
    let mut plan = example("service-nodes");
    plan.hosts.push(HostEntry { name: "sn07".into(), reach: Reach::Ok, reason: None });
    plan.hosts[1].reach = Reach::Unreachable;
    plan.hosts[1].reason = Some("connect to sn01 port 22: connection refused".into());
    plan.plays[1].batches.push(vec!["sn07".into()]);
    plan.invocation.extra_vars = vec!["xcat_profile=compute".into()];
    plan.warnings = vec!["an osimage has no kernel".into()];
    for step in &mut plan.steps {
        match step.module.as_str() {
            "template" => {
                for unit in step.groups.iter_mut().flat_map(|g| &mut g.units) {
                    for diff in &mut unit.diffs {
                        diff.after =
                            DiffSide::Text { text: "Service node\nManaged by xplay, call 4711\n".into() };
                    }
                }
            }
            "xcat_packimage" => {
                step.groups[0].units[0].state = State::Change;
                step.groups[0].units[0].reason = None;
                step.groups[0].units[0].unknown = Vec::new();
            }
            "command" => {
                step.id = step.id.replace("#aa05", "#cc05");
                step.groups[0].units[0].args =
                    Some(json!({ "_raw_params": "/install/site/hook.sh --force" }));
            }
            _ => {}
        }
    }
    plan.steps.retain(|s| s.module != "file");
    let mut new = plan.steps[0].clone();
    new.id = "service-node.yml/Image/new#dd01".into();
    new.name = "Look at the clock".into();
    new.groups = vec![Group {
        hosts: vec!["mn1".into()],
        units: vec![Unit { state: State::Change, ..Unit::default() }],
    }];
    plan.steps.insert(1, new);
    let lists = plan.steps.iter_mut().find(|s| s.name.contains("package list")).unwrap();
    lists.groups[0].units.remove(1);
    plan
}

#[test]
fn what_changed_is_told_folded() {
    insta::assert_snapshot!("plan_diff", text(&example("service-nodes"), &later()));
    insta::assert_snapshot!("plan_diff_back", text(&later(), &example("service-nodes")));
}

#[test]
fn other_order_is_told() {
    let before = example("service-nodes");
    let mut after = before.clone();
    after.steps.swap(1, 2);
    let found = compare(&before, &after);
    assert!(found.reordered && found.steps.is_empty());
    assert!(!found.is_same());
}

#[test]
fn json_of_a_difference() {
    let before = example("nothing");
    let mut after = before.clone();
    after.steps[0].groups[0].units[0].state = State::Change;
    let text = comparison::json_text(&compare(&before, &after), ("p-1", "p-2")).unwrap();
    insta::assert_snapshot!(text, @r#"
    {
      "before": "p-1",
      "after": "p-2",
      "same": false,
      "settings": [],
      "hosts_added": [],
      "hosts_removed": [],
      "hosts_changed": [],
      "steps": [
        {
          "fate": "changed",
          "id": "site.yml/Site/motd#11",
          "turn": 1,
          "name": "Say hello",
          "kind": "task",
          "module": "copy",
          "place": "site.yml:4",
          "risk": "low",
          "fields": [],
          "groups": [
            {
              "fate": "changed",
              "hosts": [
                "n[1-3]"
              ],
              "state": null,
              "items": [
                {
                  "fate": "changed",
                  "item": null,
                  "fields": [
                    {
                      "kind": "value",
                      "name": "state",
                      "before": "same",
                      "after": "change"
                    }
                  ]
                }
              ]
            }
          ]
        }
      ],
      "reordered": false,
      "warnings_added": [],
      "warnings_removed": []
    }
    "#);
}

/// Writes a plan file.
fn write(plan: &Plan, path: &Path, approve: bool) {
    let at = "2026-11-24T05:30:00Z".parse().unwrap();
    let mut file = PlanFile::new(plan.clone(), Bundle::default(), Default::default(), Created::at(at, plan));
    if approve {
        let statement = Statement::about(&file, "ops@site", at, "window of Tuesday").text();
        file.add_approval(Approval { statement, signature: "not looked at here".into() }).unwrap();
    }
    file.write(path).unwrap();
}

fn xplay(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xplay"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn plans_are_compared_on_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    write(&example("service-nodes"), &dir.path().join("a.xplan"), false);
    write(&later(), &dir.path().join("b.xplan"), false);
    let (code, stdout, stderr) = xplay(dir.path(), &["plan", "diff", "a.xplan", "a.xplan"]);
    assert_eq!(
        (code, stdout.lines().nth(1), stderr.as_str()),
        (0, Some("= SAME: both plans do the same."), "")
    );
    let (code, stdout, _) = xplay(dir.path(), &["plan", "diff", "a.xplan", "b.xplan"]);
    assert_eq!(code, 2);
    assert_eq!(
        stdout.lines().skip(1).take(3).collect::<Vec<_>>(),
        [
            "~ DIFFERENT: 1 step added, 1 step removed, 1 step edited, 3 steps changed, 1",
            "  host added, 1 host reached otherwise, 1 setting changed, 2 warnings that only",
            "  one plan has.",
        ]
    );
    let (code, stdout, _) = xplay(dir.path(), &["plan", "diff", "--json", "a.xplan", "b.xplan"]);
    assert_eq!(code, 2);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&stdout).unwrap()["hosts_added"], json!(["sn07"]));
    let (code, _, stderr) = xplay(dir.path(), &["plan", "diff", "a.xplan", "none.xplan"]);
    assert_eq!(code, 1);
    assert_eq!(stderr, "error: cannot read none.xplan: No such file or directory (os error 2)\n");
}

#[test]
fn show_reads_a_file_and_writes_every_format() {
    let dir = tempfile::tempdir().unwrap();
    write(&example("service-nodes"), &dir.path().join("boot.xplan"), true);
    let (code, stdout, stderr) = xplay(dir.path(), &["show", "boot.xplan"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.lines().next().unwrap().ends_with("  service-node.yml  7 hosts"), "{stdout}");
    assert!(stdout.contains("signed by ops@site, not verified here"), "{stdout}");
    assert!(stdout.ends_with("xplay apply boot.xplan\n"), "{stdout}");
    for (name, begin) in [
        ("plan.md", "## Plan `p-"),
        ("plan.html", "<!doctype html>"),
        ("plan.json", "{\n  \"id\": \"p-"),
        ("plan.xml", "<?xml"),
        ("plan.txt", "Plan p-"),
    ] {
        let (code, stdout, stderr) = xplay(dir.path(), &["show", "boot.xplan", "-o", name]);
        assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", ""), "{name}");
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(text.starts_with(begin), "{name}: {text}");
    }
    let (code, stdout, _) = xplay(dir.path(), &["show", "boot.xplan", "--hosts", "mn1", "--format", "json"]);
    assert_eq!(code, 0);
    let shown: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(shown["hosts"], json!([{ "name": "mn1", "reach": "ok" }]));
    assert_eq!(shown["approvals"], json!([{ "by": "ops@site", "note": "window of Tuesday" }]));
    let (code, _, stderr) = xplay(dir.path(), &["show", "boot.xplan", "--hosts", "sn1"]);
    assert_eq!(code, 1);
    assert_eq!(stderr, "error: no host of the plan matches \"sn1\"\nhelp: did you mean \"mn1\"?\n");
    std::fs::write(dir.path().join("foreign"), "x").unwrap();
    let (code, _, stderr) = xplay(dir.path(), &["show", "foreign"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: foreign is no plan file: "), "{stderr}");
}
