//! Plans as text: exact renderings of example plans, hostile text, plans of many hosts, the commands.

use std::time::Instant;

use proptest::prelude::*;
use serde_json::json;
use xplay::plan::render::terminal::{SCREEN, TerminalOptions};
use xplay::plan::render::{Approval, Document, Header, html, json, junit, markdown, terminal};
use xplay::plan::select::Selection;
use xplay::plan::{
    DiffSide, Group, HostEntry, Plan, PlanDiff, PlayEntry, Reach, Risk, State, Step, StepKind, Unit,
};
use xplay::report::{MaskedWriter, Secrets};

/// Reads an example of `tests/plans`.
pub fn example(name: &str) -> Plan {
    let path = format!("{}/tests/plans/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn header() -> Header<'static> {
    Header {
        id: "p-3f9a1c72b004",
        file: "boot.xplan",
        created: Some("2026-11-24T05:30:00Z".parse().unwrap()),
        expires: Some("2026-11-24T09:30:00Z".parse().unwrap()),
        approvals: vec![Approval { by: "ops@site".into(), note: Some("window of Tuesday".into()) }],
    }
}

/// Calls `render` with a document of the selected part.
fn with<T>(plan: &Plan, selection: &Selection, render: impl FnOnce(&Document<'_>) -> T) -> T {
    let selected = selection.of(plan).unwrap();
    render(&Document { header: header(), plan: &selected, whole: plan, selection })
}

fn options() -> TerminalOptions {
    TerminalOptions {
        width: 100,
        height: SCREEN,
        color: false,
        all: false,
        now: Some("2026-11-24T06:00:00Z".parse().unwrap()),
    }
}

fn terminal_text(plan: &Plan, selection: &Selection, options: &TerminalOptions) -> String {
    let lines = with(plan, selection, |document| terminal::lines(document, options));
    let mut text = Vec::new();
    let mut writer = MaskedWriter::new(&mut text, Secrets::new());
    for line in lines {
        let parts: Vec<(&str, &str)> = line.iter().map(|(style, text)| (*style, text.as_str())).collect();
        writer.line(&parts).unwrap();
    }
    String::from_utf8(text).unwrap()
}

fn select(hosts: Option<&str>, step: Option<&str>) -> Selection {
    Selection { hosts: hosts.map(str::to_string), step: step.map(str::to_string) }
}

#[test]
fn terminal_of_service_nodes() {
    let plan = example("service-nodes");
    insta::assert_snapshot!("show_terminal", terminal_text(&plan, &Selection::default(), &options()));
}

#[test]
fn terminal_of_everything() {
    let plan = example("service-nodes");
    let options = TerminalOptions { all: true, width: 60, ..options() };
    insta::assert_snapshot!(
        "show_terminal_all_narrow",
        terminal_text(&plan, &Selection::default(), &options)
    );
}

#[test]
fn terminal_of_one_host_and_one_step() {
    let plan = example("service-nodes");
    let selection = select(Some("sn[01,03]"), Some("what this machine"));
    insta::assert_snapshot!("show_terminal_selected", terminal_text(&plan, &selection, &options()));
}

#[test]
fn terminal_of_nothing_and_of_failures() {
    let nothing = terminal_text(&example("nothing"), &Selection::default(), &options());
    insta::assert_snapshot!(nothing, @r"
    Plan p-3f9a1c72b004  site.yml  3 hosts
      NOTHING TO DO  everything is as wanted.
      1 step on 3 hosts.
      created 2026-11-24 05:30 UTC; expires 2026-11-24 09:30 UTC (in 3 h); signed by ops@site, not
        verified here

    Steps on hosts  same 3
    Hosts           ok 3
    ");
    let failed = terminal_text(&example("failed"), &Selection::default(), &options());
    insta::assert_snapshot!(failed, @r#"
    Plan p-3f9a1c72b004  site.yml  5 hosts  REHEARSAL on emulated hosts
    ! ERROR  planning failed on 1 host; what comes after is not planned there.
      1 of 1 step would act, on 1 of 5 hosts.
      created 2026-11-24 05:30 UTC; expires 2026-11-24 09:30 UTC (in 3 h); signed by ops@site, not
        verified here

    Not planned
      ! n2: error
          copy: the source "files/motd" does not exist
      ! n3: unreachable
          connect to n3 port 22: connection refused
      ! n4: unreachable
          connect to n4 port 22: connection refused

    Play  n[1-4] (4 hosts)
      ! Say hello                                                                             site.yml:4
          copy, low
        ~ n1: change; unlike 2 hosts in state, /etc/motd
            /etc/motd  +1 -1
              @@ -1 +1 @@
              -a
              +b
        ! n2: error; unlike 2 hosts in state, reason
            why: the source "files/motd" does not exist
        ! n[3-4] (2 hosts): unreachable

    Steps on hosts  change 1, error 1, unreachable 2
    Acting steps    low 1; file 1
    Hosts           error 1, ok 1, unreachable 2, untouched 1
    Marks           ~ changes, ! disruptive or failed
    Apply           xplay apply boot.xplan
    "#);
}

#[test]
fn colours_only_repeat_what_signs_say() {
    let plan = example("service-nodes");
    let plain = terminal_text(&plan, &Selection::default(), &options());
    let coloured = terminal_text(&plan, &Selection::default(), &TerminalOptions { color: true, ..options() });
    assert_ne!(plain, coloured);
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some(at) = rest.find("\x1b[") {
        stripped.push_str(&rest[..at]);
        rest = &rest[at + rest[at..].find('m').unwrap() + 1..];
    }
    stripped.push_str(rest);
    assert_eq!(stripped, plain);
}

#[test]
fn markdown_of_service_nodes() {
    let plan = example("service-nodes");
    let parts = with(&plan, &Selection::default(), |d| markdown::parts(d, false, markdown::COMMENT));
    assert_eq!(parts.len(), 1);
    insta::assert_snapshot!("show_markdown", parts[0]);
}

#[test]
fn junit_of_service_nodes_and_of_failures() {
    let text = |name: &str| with(&example(name), &Selection::default(), junit::text);
    insta::assert_snapshot!("show_junit", text("service-nodes"));
    insta::assert_snapshot!("show_junit_failed", text("failed"));
}

#[test]
fn json_holds_the_plan_and_a_summary() {
    let plan = example("service-nodes");
    let shown = |selection: &Selection| -> serde_json::Value {
        serde_json::from_str(&with(&plan, selection, |d| json::text(d).unwrap())).unwrap()
    };
    let mut whole = shown(&Selection::default());
    insta::assert_snapshot!(serde_json::to_string_pretty(&whole["summary"]).unwrap(), @r#"
    {
      "verdict": "incomplete",
      "exit_code": 3,
      "steps": 13,
      "acting_steps": 11,
      "disruptive_steps": 1,
      "unresolved_steps": 3,
      "hosts": 7,
      "acting_hosts": 7,
      "by_reach": {
        "ok": 7
      },
      "by_state": {
        "same": {
          "steps": 2,
          "units": 2
        },
        "change": {
          "steps": 7,
          "units": 21
        },
        "change?": {
          "steps": 2,
          "units": 2
        },
        "maybe": {
          "steps": 2,
          "units": 7
        },
        "skip": {
          "steps": 1,
          "units": 6
        },
        "read": {
          "steps": 1,
          "units": 1
        }
      },
      "by_risk": {
        "low": {
          "steps": 4,
          "units": 9
        },
        "medium": {
          "steps": 3,
          "units": 7
        },
        "high": {
          "steps": 2,
          "units": 7
        },
        "opaque": {
          "steps": 1,
          "units": 1
        },
        "disruptive": {
          "steps": 1,
          "units": 6
        }
      },
      "by_kind": {
        "file": {
          "steps": 4,
          "units": 9
        },
        "service": {
          "steps": 1,
          "units": 5
        },
        "table": {
          "steps": 1,
          "units": 1
        },
        "image": {
          "steps": 2,
          "units": 2
        },
        "boot": {
          "steps": 2,
          "units": 12
        },
        "command": {
          "steps": 1,
          "units": 1
        }
      }
    }
    "#);
    let members = whole.as_object_mut().unwrap();
    for added in ["id", "created", "expires", "approvals", "summary"] {
        assert!(members.remove(added).is_some(), "{added}");
    }
    assert_eq!(serde_json::from_value::<Plan>(whole).unwrap(), plan);
    let part = shown(&select(Some("sn0[1-2]"), None));
    assert_eq!(part["selection"], json!({ "hosts": "sn0[1-2]" }));
    assert_eq!(part["summary"]["hosts"], json!(2));
    assert_eq!(part["summary"]["verdict"], json!("incomplete"));
}

#[test]
fn selections_that_match_nothing_say_so() {
    let plan = example("service-nodes");
    let error = |hosts, step| {
        let error = select(hosts, step).of(&plan).unwrap_err();
        (error.to_string(), error.suggestion().map(str::to_string))
    };
    assert_eq!(error(Some("sn1"), None), ("no host of the plan matches \"sn1\"".into(), Some("mn1".into())));
    assert_eq!(
        error(None, Some("Reboot the world")),
        ("no step of the plan matches \"Reboot the world\"".into(), None)
    );
    let names = |pattern: &str| -> Vec<String> {
        let plan = select(Some(pattern), None).of(&plan).unwrap().into_owned();
        plan.hosts.into_iter().map(|h| h.name).collect()
    };
    assert_eq!(names("sn[01-02],mn1"), ["mn1", "sn01", "sn02"]);
    assert_eq!(names("sn0?,!sn[02-05]"), ["sn01", "sn06"]);
    assert_eq!(names("!sn*"), ["mn1"]);
}

/// A plan in which each text is the given one.
fn saturated(text: &str) -> Plan {
    let words = || text.to_string();
    let side = || DiffSide::Text { text: words() };
    let attributes =
        || DiffSide::Attributes { attributes: [(words(), json!(words()))].into_iter().collect() };
    let unit = |state: State| Unit {
        state,
        item: Some(words()),
        reason: Some(words()),
        unknown: vec![words()],
        on: Some(words()),
        r#become: Some(words()),
        args: Some(json!({ words(): words() })),
        diffs: vec![
            PlanDiff { subject: words(), before: DiffSide::Absent, after: side() },
            PlanDiff {
                subject: words(),
                before: side(),
                after: DiffSide::Text { text: format!("x\n{text}y") },
            },
            PlanDiff { subject: words(), before: DiffSide::Absent, after: attributes() },
        ],
        consequences: vec![words()],
        warnings: vec![words()],
        notifies: vec![words()],
        ..Unit::default()
    };
    let step = |state: State| Step {
        id: words(),
        turn: 2,
        play: 0,
        batch: 0,
        name: words(),
        role: Some(words()),
        module: words(),
        place: words(),
        kind: StepKind::Handler,
        risk: Risk::Disruptive,
        no_log: false,
        groups: vec![
            Group { hosts: vec![words()], units: vec![unit(state)] },
            Group {
                hosts: vec!["n1".into()],
                units: vec![Unit {
                    state: State::ChangeUnknown,
                    args: Some(json!({ words(): words() })),
                    ..Unit::default()
                }],
            },
        ],
    };
    let mut plan = Plan {
        format_version: "1.0".into(),
        hosts: vec![
            HostEntry { name: words(), reach: Reach::Error, reason: Some(words()) },
            HostEntry { name: "n1".into(), reach: Reach::Ok, reason: None },
        ],
        plays: vec![PlayEntry { name: words(), batches: vec![vec![words()], vec!["n1".into()]] }],
        steps: State::ALL.map(step).to_vec(),
        warnings: vec![words()],
        ..Plan::default()
    };
    plan.invocation.playbooks = vec![words()];
    plan.invocation.limit = Some(words());
    plan.invocation.inventory = vec![words()];
    plan.invocation.settings = [(words(), words())].into_iter().collect();
    plan
}

fn all_formats(plan: &Plan) -> Vec<(&'static str, String)> {
    let everything = Selection::default();
    let hostile = &plan.plays[0].name;
    let selection = Selection { hosts: None, step: None };
    with(plan, &selection, |document| {
        let document = &Document {
            header: Header {
                id: hostile,
                file: hostile,
                approvals: vec![Approval { by: hostile.clone(), note: Some(hostile.clone()) }],
                ..Header::default()
            },
            selection: &everything,
            ..document.clone()
        };
        let lines = terminal::lines(document, &TerminalOptions { all: true, ..options() });
        let mut text = Vec::new();
        let mut writer = MaskedWriter::new(&mut text, Secrets::new());
        for line in &lines {
            let parts: Vec<(&str, &str)> = line.iter().map(|(s, t)| (*s, t.as_str())).collect();
            writer.line(&parts).unwrap();
        }
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), lines.len(), "a text made a line of its own");
        vec![
            ("terminal", text),
            ("markdown", markdown::parts(document, true, usize::MAX).concat()),
            ("html", html::page(document)),
            ("json", json::text(document).unwrap()),
            ("junit", junit::text(document)),
        ]
    })
}

#[test]
fn hostile_text_is_inert_everywhere() {
    let attack = "\x1b]0;t\x07\x1b[2J\u{202e}</code></summary></pre><script>alert(1)</script><img src=x onerror=alert(1)>\" \
                  onload='x' `` ``` @all [a](http://x) ]]>&lt;\r\n~ forged step\n\n## forged\n```\n-->";
    for (format, text) in all_formats(&saturated(attack)) {
        let hostile =
            |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202a}'..='\u{202e}');
        assert_eq!(text.find(hostile), None, "{format}");
        match format {
            "terminal" => {
                assert!(text.lines().all(|l| !l.starts_with("~ forged") && !l.starts_with("##")));
            }
            // In code spans and fences tags mean nothing; outside of them none may stand.
            "markdown" => check_markdown(&text),
            "html" => {
                let body = &text[text.find("</style>").unwrap()..text.rfind("<script>").unwrap()];
                check_html(body);
            }
            "junit" => {
                assert!(!text.contains("<script") && !text.contains("]]>"));
                check_xml(&text);
            }
            _ => {
                serde_json::from_str::<serde_json::Value>(&text).unwrap();
            }
        }
    }
}

/// Walks over Markdown: fences, code spans, and what is left, which must be the renderer's own.
fn check_markdown(text: &str) {
    let mut fence: Option<String> = None;
    for line in text.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        if let Some(open) = &fence {
            if line == open {
                fence = None;
            }
            continue;
        }
        if ticks.len() >= 3 && &line[ticks.len()..] == "diff" {
            fence = Some(ticks);
            continue;
        }
        let outside = without_code_spans(line);
        assert!(!outside.contains('@') && !outside.contains("](") && !outside.contains("forged"), "{line}");
        let tags = outside.replace("<details>", "").replace("<details open>", "").replace("</details>", "");
        let tags = tags.replace("<summary>", "").replace("</summary>", "");
        // What stands in <code> of a summary is escaped.
        let tags = tags.replace("<code>", "").replace("</code>", "");
        assert!(!tags.contains('<'), "{line}");
    }
    assert_eq!(fence, None);
}

fn without_code_spans(line: &str) -> String {
    if line.starts_with("<details") {
        // A block of HTML: Markdown is not looked for in it, and its text is in <code>.
        let mut out = String::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("<code>") {
            out.push_str(before);
            let (inside, after) = after.split_once("</code>").unwrap();
            assert!(!inside.contains('<'), "{line}");
            rest = after;
        }
        return out + rest;
    }
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        out.push_str(&rest[..at]);
        let run: String = rest[at..].chars().take_while(|c| *c == '`').collect();
        let inside = &rest[at + run.len()..];
        let mut end = 0;
        loop {
            let found = inside[end..].find('`').expect("a code span is closed") + end;
            let length = inside[found..].chars().take_while(|c| *c == '`').count();
            end = found + length;
            if length == run.len() {
                break;
            }
        }
        rest = &inside[end..];
    }
    out + rest
}

/// Checks that a page has only the tags and attributes that its renderer writes.
fn check_html(text: &str) {
    const TAGS: [&str; 32] = [
        "h1", "h2", "p", "b", "div", "section", "ul", "ol", "li", "span", "a", "label", "input", "datalist",
        "select", "option", "button", "small", "article", "header", "details", "summary", "pre", "code",
        "table", "tr", "td", "th", "html", "title", "style", "body",
    ];
    const ATTRIBUTES: [&str; 17] = [
        "class",
        "id",
        "href",
        "hidden",
        "list",
        "placeholder",
        "size",
        "autocomplete",
        "value",
        "type",
        "open",
        "data-risk",
        "data-role",
        "data-states",
        "data-hosts",
        "name",
        "lang",
    ];
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').unwrap();
        let mut tag = rest[..end].trim_start_matches('/').to_string();
        rest = &rest[end + 1..];
        // Quoted values hold no quotes and no brackets.
        while let Some((before, after)) = tag.split_once('"') {
            let (_, after) = after.split_once('"').unwrap_or_else(|| panic!("{tag}"));
            tag = format!("{before}{after}");
        }
        let mut words = tag.split_whitespace();
        let name = words.next().unwrap();
        assert!(TAGS.contains(&name), "{tag}");
        for word in words {
            let attribute = word.split('=').next().unwrap();
            assert!(ATTRIBUTES.contains(&attribute), "{tag}");
        }
    }
}

/// Checks that tags are balanced and attributes quoted.
fn check_xml(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").unwrap();
    while let Some(at) = rest.find('<') {
        let end = at + rest[at..].find('>').unwrap();
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn markdown_parts_fit(text in "[a`é\n<|*]{0,300}", steps in 1usize..60, limit in 16_000usize..40_000) {
        let mut plan = saturated(&text);
        let step = plan.steps[1].clone();
        plan.steps = (0..steps).map(|n| Step { id: n.to_string(), ..step.clone() }).collect();
        plan.warnings = vec![text.repeat(50); 20];
        let parts = with(&plan, &Selection::default(), |d| markdown::parts(d, true, limit));
        for part in &parts {
            prop_assert!(part.len() <= limit, "{} > {limit}", part.len());
            prop_assert!(part.starts_with("## Plan `p-3f9a1c72b004`"));
            prop_assert_eq!(part.matches("<details").count(), part.matches("</details>").count());
        }
        let together: usize = parts.iter().map(|p| p.matches("<details").count()).sum();
        prop_assert!(together >= steps);
    }
}

/// A plan of many equal hosts; every step changes a file.
fn many(hosts: usize, steps: usize) -> Plan {
    let set = format!("n[{:05}-{:05}]", 1, hosts);
    let text = |word: &str| DiffSide::Text { text: format!("a\nb\nc\n{word}\nd\ne\n{word}\nf\n") };
    let unit = Unit {
        state: State::Change,
        diffs: vec![PlanDiff { subject: "/etc/motd".into(), before: text("old"), after: text("new") }],
        ..Unit::default()
    };
    let step = |n: usize| Step {
        id: format!("site.yml/Everything/step {n}#{n:012}"),
        turn: 1,
        play: 0,
        batch: 0,
        name: format!("some_role_{n} : Do the thing with number {n} as the site wants it"),
        role: Some(format!("some_role_{n}")),
        module: "template".into(),
        place: format!("roles/some_role_{n}/tasks/main.yml:{n}"),
        kind: StepKind::Task,
        risk: Risk::Low,
        no_log: false,
        groups: vec![Group { hosts: vec![set.clone()], units: vec![unit.clone()] }],
    };
    Plan {
        format_version: "1.0".into(),
        hosts: (1..=hosts)
            .map(|n| HostEntry { name: format!("n{n:05}"), reach: Reach::Ok, reason: None })
            .collect(),
        plays: vec![PlayEntry { name: "Everything".into(), batches: vec![vec![set.clone()]] }],
        steps: (1..=steps).map(step).collect(),
        ..Plan::default()
    }
}

#[test]
fn a_thousand_equal_hosts_fit_one_screen() {
    let plan = many(1000, 20);
    for width in [79, 100, 140] {
        let begin = Instant::now();
        let text = terminal_text(&plan, &Selection::default(), &TerminalOptions { width, ..options() });
        assert!(text.lines().count() <= SCREEN, "{width}:\n{text}");
        for n in 1..=20 {
            assert!(text.contains(&format!("roles/some_role_{n}/tasks/main.yml:{n}")), "{text}");
        }
        // The limit is one second for an optimized program; this one is not.
        assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    }
    let text = terminal_text(&plan, &Selection::default(), &TerminalOptions { width: 79, ..options() });
    insta::assert_snapshot!("show_thousand_hosts", text);
}

#[test]
fn outliers_of_ten_thousand_hosts_come_first() {
    let mut plan = many(10_000, 2);
    let usual = plan.steps[1].groups[0].units.clone();
    let mut odd = usual.clone();
    odd[0].diffs[0].before = DiffSide::Text { text: "by hand\n".into() };
    plan.steps[1].groups = vec![
        Group { hosts: vec!["n[00001-00006,00008-00041,00043-09998,10000]".into()], units: usual },
        Group { hosts: vec!["n[00007,00042]".into()], units: odd },
        Group { hosts: vec!["n09999".into()], units: vec![Unit { state: State::Same, ..Unit::default() }] },
    ];
    let begin = Instant::now();
    let text = terminal_text(&plan, &Selection::default(), &options());
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    insta::assert_snapshot!(text, @r"
    Plan p-3f9a1c72b004    10000 hosts
    ~ CHANGES  applying this plan changes hosts.
      2 of 2 steps would act, on 10000 of 10000 hosts.
      created 2026-11-24 05:30 UTC; expires 2026-11-24 09:30 UTC (in 3 h); signed by ops@site, not
        verified here

    Play Everything  n[00001-10000] (10000 hosts)
      ~ some_role_1 : Do the thing with number 1 as the site wants it
          n[00001-10000] (10000 hosts): change; template, low         roles/some_role_1/tasks/main.yml:1
          /etc/motd  +2 -2
            @@ -1,8 +1,8 @@
             a
             b
             c
            -old
            +new
            ... 5 more lines
      ~ some_role_2 : Do the thing with number 2 as the site wants it
          template, low; n09999: same                                 roles/some_role_2/tasks/main.yml:2
        ~ n[00007,00042] (2 hosts): change; unlike 9997 hosts in /etc/motd
            /etc/motd  +8 -1
              @@ -1 +1,8 @@
              -by hand
              +a
              +b
              +c
              +new
              ... 4 more lines
        ~ n[00001-00006,00008-00041,00043-09998,10000] (9997 hosts): change
            /etc/motd  +2 -2
              @@ -1,8 +1,8 @@
               a
               b
               c
              -old
              +new
              ... 5 more lines

    Steps on hosts  same 1, change 19999
    Acting steps    low 2; file 2
    Hosts           ok 10000
    Marks           ~ changes
    Hidden          14 lines of differences; --all or --step NAME shows them
    Apply           xplay apply boot.xplan
    ");
}

#[test]
fn ten_thousand_different_hosts_are_shown_in_time() {
    let mut plan = many(10_000, 20);
    for step in &mut plan.steps {
        let unit = &step.groups[0].units[0];
        step.groups = (1..=10_000)
            .map(|n| {
                let mut unit = unit.clone();
                unit.diffs[0].after = DiffSide::Text { text: format!("number {n}\n") };
                Group { hosts: vec![format!("n{n:05}")], units: vec![unit] }
            })
            .collect();
    }
    let begin = Instant::now();
    let text = terminal_text(&plan, &Selection::default(), &options());
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
    assert!(text.lines().count() < 600, "{}", text.lines().count());
    assert!(text.contains("... 9996 more groups of hosts"), "{text}");
}

#[test]
fn the_html_page_needs_nothing_from_outside() {
    let page = with(&example("service-nodes"), &Selection::default(), html::page);
    for outside in ["http:", "https:", "src=", "@import", "url(", "<link", "<iframe", "<object"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<article").count(), 13);
    assert_eq!(page.matches("<article").count(), page.matches("</article>").count());
    assert!(page.contains("data-hosts=\"sn[01-02,04,06]\""), "{page}");
    insta::assert_snapshot!(
        "show_html",
        page.replace(include_str!("../../src/plan/render/show.css"), "CSS")
            .replace(include_str!("../../src/plan/render/show.js"), "JS")
    );
}
