//! Whole runs on hosts without machines: round trips counted, connections lost, anything as a playbook.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::execute::Execution;
use super::files::TaskFiles;
use super::inventory::LiveInventory;
use super::login::Reach;
use super::pool::Pool;
use super::shared::Shared;
use super::{Answers, Event, Halt, HostResult, RunEnd, RunOptions, RunRequest, Status, Typed, Typing, run};
use crate::diag::{Diagnostic, SourceMap};
use crate::inventory::{self, Inventory};
use crate::modules::{
    self, Action, Call as ModuleCall, Failure, Module, ModuleSpec, Prediction, Run, Seen, sh::PRELUDE,
};
use crate::playbook::{Directives, LiteralArgs, LoadOptions, Loader, ModuleCatalog, ModuleKnown};
use crate::template::{Templar, TemplarSettings, VarMap};
use crate::transport::fake::{Call, FakeHosts, prints};
use crate::transport::{BoxFuture, ConnectionSpec, Output, TransportError};
use crate::value::Map;
use crate::vars::{RunVars, Store, TaskScope};

/// Knows the modules, and leaves their arguments to the run.
struct Catalog;

impl ModuleCatalog for Catalog {
    fn find(&self, name: &str) -> ModuleKnown {
        match modules::spec(name) {
            Some(spec) => ModuleKnown::Yes { free_form: spec.free_form.is_some() },
            None => ModuleKnown::No,
        }
    }

    fn names(&self) -> Vec<String> {
        modules::names().map(str::to_string).collect()
    }

    fn arguments(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn check(&self, _: &str, _: &LiteralArgs, _: bool) -> Vec<Diagnostic> {
        Vec::new()
    }
}

/// Answers nothing.
struct Nobody;

impl Answers for Nobody {
    fn is_person(&self) -> bool {
        false
    }

    fn line(&self) -> BoxFuture<'_, std::io::Result<Option<String>>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn typed(&self, _: Typing) -> BoxFuture<'_, std::io::Result<Typed>> {
        Box::pin(std::future::ready(Ok(Typed::Interrupted)))
    }
}

/// What a run left behind.
pub(super) struct Done {
    pub end: RunEnd,
    pub results: Vec<HostResult>,
}

/// Runs a playbook on the hosts of a list; nothing when it does not load.
pub(super) async fn play(text: &str, hosts: &str, fake: &FakeHosts) -> Option<Done> {
    play_with(text, hosts, fake, RunOptions::default()).await
}

/// The same with options.
pub(super) async fn play_with(
    text: &str,
    hosts: &str,
    fake: &FakeHosts,
    options: RunOptions,
) -> Option<Done> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("site.yml");
    std::fs::write(&path, text).unwrap();
    let sources = SourceMap::new();
    let templar = Arc::new(Templar::new(sources.clone(), TemplarSettings::default()));
    let inventory = if hosts.is_empty() {
        Inventory::new()
    } else {
        let list = [inventory::Source::parse(hosts)];
        let options = inventory::LoadOptions { missing_is_error: true, ..Default::default() };
        inventory::load(&list, &templar, &sources, &options).unwrap().0
    };
    let loader = loader(&templar, &sources);
    let (playbook, _) = loader.load_playbook(&path).ok()?;
    let (events, mut queue) = tokio::sync::mpsc::channel(64);
    let listening = tokio::spawn(async move {
        let mut results = Vec::new();
        while let Some(event) = queue.recv().await {
            if let Event::Host(result) = event {
                results.push(result);
            }
        }
        results
    });
    let end = run(RunRequest {
        playbooks: vec![playbook],
        loader,
        inventory,
        options,
        templar,
        sources,
        extra_vars: VarMap::default(),
        connector: Arc::new(fake.clone()),
        secrets: Arc::new(|_| {}),
        events,
        prompted: VarMap::default(),
        answers: Arc::new(Nobody),
        guide: None,
        journal: None,
        halt: Halt::default(),
    })
    .await;
    let results = listening.await.unwrap();
    Some(Done { end, results })
}

fn loader(templar: &Arc<Templar>, sources: &SourceMap) -> Loader {
    Loader::new(LoadOptions {
        templar: templar.clone(),
        sources: sources.clone(),
        roles_path: Vec::new(),
        collections_path: Vec::new(),
        catalog: Arc::new(Catalog),
        extra_vars: VarMap::default(),
        private_role_vars: None,
        base: Directives::default(),
        library: Vec::new(),
    })
}

/// Hosts whose scripts run here.
pub(super) fn this_machine() -> FakeHosts {
    FakeHosts::answering(|call| Ok(shell(call)))
}

pub(super) fn shell(call: &Call) -> Output {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{PRELUDE}\n{}", call.script))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A script that reads nothing closes its end.
    let _ = child.stdin.take().unwrap().write_all(call.stdin.as_deref().unwrap_or_default());
    let output = child.wait_with_output().unwrap();
    Output {
        rc: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: output.stderr,
        ..Output::default()
    }
}

const COPY: &str = "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {content: text, dest: DIR/file, mode: '0600'}\n";

async fn statuses(text: &str, fake: &FakeHosts) -> Vec<Status> {
    let done = play(text, "n1,", fake).await.unwrap();
    assert!(done.end.error.is_none());
    done.results.iter().map(|r| r.status).collect()
}

#[tokio::test]
async fn a_change_costs_two_round_trips_and_a_converged_task_one() {
    let dir = tempfile::tempdir().unwrap();
    let book = COPY.replace("DIR", &dir.path().display().to_string());
    let fake = this_machine();
    assert_eq!(statuses(&book, &fake).await, [Status::Changed]);
    assert_eq!(fake.frames(), 2);
    assert_eq!(statuses(&book, &fake).await, [Status::Ok]);
    assert_eq!(fake.frames(), 3);
    assert_eq!(std::fs::read(dir.path().join("file")).unwrap(), b"text");
}

#[tokio::test]
async fn a_probe_that_lost_its_connection_is_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let book = COPY.replace("DIR", &dir.path().display().to_string());
    let fake = this_machine().losing_at(0);
    assert_eq!(statuses(&book, &fake).await, [Status::Changed]);
    assert_eq!((fake.frames(), fake.connects().len()), (3, 2));
}

#[tokio::test]
async fn a_change_that_lost_its_connection_is_lost_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let book = COPY.replace("DIR", &dir.path().display().to_string());
    let fake = this_machine().losing_at(1);
    let done = play(&book, "n1,", &fake).await.unwrap();
    assert_eq!(done.results.iter().map(|r| r.status).collect::<Vec<_>>(), [Status::Lost]);
    assert_eq!(fake.frames(), 2);
    assert!(done.end.recap.any_failed());
}

/// A module whose change takes minutes.
struct Long;

static LONG: ModuleSpec = ModuleSpec { name: "long", ..ModuleSpec::BASE };

impl Module for Long {
    fn spec(&self) -> &'static ModuleSpec {
        &LONG
    }

    fn probe(&self, _: &ModuleCall) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    fn plan(&self, _: &ModuleCall, _: &Seen) -> Result<Prediction, Failure> {
        let run = Run { script: "echo done".into(), long: true, ..Run::default() };
        Ok(Prediction::change(Map::new(), vec![Action::Run(run)]))
    }
}

/// The stub on a target keeps the job; the second session finds it by the same id.
#[tokio::test]
async fn a_long_command_is_found_again() {
    let fake = this_machine().losing_at(0);
    let (shared, mut events) = shared(&fake);
    let files = TaskFiles::new(shared.templar.clone(), nobody(&shared).boxed());
    let reach = Reach { spec: ConnectionSpec::ssh("n1"), r#become: None };
    let execution = Execution {
        began: std::time::Instant::now(),
        no_log: false,
        foretold: None,
        shared: &shared,
        module: &Long,
        args: LONG.check(&Map::new()).unwrap(),
        reach: &reach,
        host: "n1".into(),
        files: &files,
        environment: Vec::new(),
        check: false,
        diff: false,
        timeout: None,
        job: "run-1".into(),
        background: false,
        unit: None,
        step: None,
    };
    assert!(execution.run().await.unwrap().changed);
    let ids: Vec<_> = fake.calls().into_iter().filter_map(|c| c.durable).collect();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    let text = "connection to n1 lost while a long command runs there; looking for it again";
    assert!(matches!(events.try_recv(), Ok(Event::Warning(t)) if t == text));
    assert_eq!(fake.connects(), ["n1", "n1"]);
}

fn shared(fake: &FakeHosts) -> (Arc<Shared>, tokio::sync::mpsc::Receiver<Event>) {
    let sources = SourceMap::new();
    let templar = Arc::new(Templar::new(sources.clone(), TemplarSettings::default()));
    let inventory = LiveInventory::new(Inventory::new(), Templar::clone(&templar), sources.clone());
    let (events, queue) = tokio::sync::mpsc::channel(64);
    let vars = RunVars {
        extra: VarMap::default(),
        store: Store::new(),
        hosts: Arc::new(inventory),
        magic: Map::new(),
        inject_facts: true,
        merge_dicts: false,
    };
    let shared = Shared {
        pool: Pool::new(Arc::new(fake.clone()), events.clone(), 1000),
        options: RunOptions::default(),
        loader: loader(&templar, &sources),
        templar,
        sources,
        events,
        vars: Arc::new(vars),
        secrets: Arc::new(|_| {}),
        jobs: super::jobs::Jobs::default(),
        answers: Arc::new(Nobody),
        run_id: "run".into(),
        worlds: Default::default(),
        glances: Default::default(),
        guide: None,
        journal: None,
        halt: Halt::default(),
        leftovers: Default::default(),
        old_marks: Default::default(),
        lost_claims: Default::default(),
        debugging: Default::default(),
    };
    (Arc::new(shared), queue)
}

fn nobody(shared: &Shared) -> TaskScope {
    TaskScope::new(shared.vars.clone(), Arc::default(), Arc::default(), "n1".into())
}

#[tokio::test]
async fn unreachable_hosts_leave_the_others_alone() {
    let fake = this_machine().without("n2");
    let book = "- hosts: all\n  gather_facts: false\n  tasks:\n    - ping:\n    - ping:\n";
    let done = play(book, "n1,n2", &fake).await.unwrap();
    let mut seen: Vec<_> = done.results.iter().map(|r| (&*r.host, r.status)).collect();
    seen.sort_by_key(|(host, _)| *host);
    assert_eq!(seen, [("n1", Status::Ok), ("n1", Status::Ok), ("n2", Status::Unreachable)]);
    assert_eq!(fake.connects(), ["n1"]);
}

#[tokio::test]
async fn sessions_are_kept_and_users_have_their_own() {
    let users = Arc::new(Mutex::new(Vec::new()));
    let seen = users.clone();
    let fake = FakeHosts::answering(move |call| {
        seen.lock().unwrap().push(call.r#become.clone());
        Ok(shell(call))
    });
    let book = "- hosts: all\n  gather_facts: false\n  tasks:\n    - slurp: {src: /etc/passwd}\n    - slurp: {src: /etc/passwd}\n      become: true\n      become_user: op\n    - slurp: {src: /etc/passwd}\n";
    let done = play(book, "n1,", &fake).await.unwrap();
    assert!(!done.end.recap.any_failed());
    let users: Vec<Option<String>> = users.lock().unwrap().clone();
    assert_eq!(users, [None, Some("op".to_string()), None]);
    assert_eq!(fake.connects().len(), 1);
}

/// Answers of hosts are data, whatever they are.
fn nonsense() -> FakeHosts {
    FakeHosts::answering(|call| match call.script.len() % 4 {
        0 => Ok(prints("")),
        1 => Ok(prints("{{ 1 }} rubbish \u{1b}[2J\nstat 1 2 3\n")),
        2 => Ok(crate::transport::fake::fails(1, "no\n")),
        // A long command that was lost would be looked for again, for minutes.
        _ if call.durable.is_some() => Ok(prints("late")),
        _ => Err(TransportError::Lost { host: call.host.clone(), reason: "gone".into() }),
    })
}

fn value() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(vec![
        "1",
        "-1",
        "0",
        "1.5",
        ".inf",
        ".nan",
        "1e400",
        "-1e400",
        "yes",
        "no",
        "~",
        "''",
        "'{{ item }}'",
        "'{{ gone }}'",
        "'{{ 1 // 0 }}'",
        "'{{ x }}'",
        "'%'",
        "'50%'",
        "[]",
        "{}",
        "[1, 2]",
        "[[1], {a: 1}]",
        "{a: 1}",
        "{a: [b]}",
        "a",
        "'a:b'",
        "localhost",
        "all",
        "'all:!n1'",
        "'n[1:9]'",
        "'~('",
        "echo hi",
        "99999999999999999999999",
        "2020-01-01",
        "!unsafe '{{ x }}'",
        "'@'",
        "'../..'",
        "'/'",
        "root",
        "always",
    ]);
    prop_oneof![4 => plain.prop_map(str::to_string), 1 => "[ -~]{0,12}".prop_map(|s| format!("'{}'", s.replace('\'', "''")))]
}

fn keywords(names: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((prop::sample::select(names).prop_map(str::to_string), value()), 0..most)
}

const TASK: &[&str] = &[
    "when",
    "loop",
    "with_items",
    "with_dict",
    "with_nested",
    "with_sequence",
    "with_subelements",
    "loop_control",
    "register",
    "until",
    "retries",
    "delay",
    "vars",
    "delegate_to",
    "delegate_facts",
    "run_once",
    "tags",
    "become",
    "become_user",
    "environment",
    "ignore_errors",
    "ignore_unreachable",
    "changed_when",
    "failed_when",
    "check_mode",
    "diff",
    "no_log",
    "notify",
    "throttle",
    "timeout",
    "any_errors_fatal",
    "args",
    "name",
    "async",
    "poll",
    "port",
    "connection",
    "module_defaults",
    "listen",
    "remote_user",
    "become_method",
];
const MODULES: &[&str] = &[
    "debug",
    "command",
    "shell",
    "copy",
    "file",
    "stat",
    "set_fact",
    "assert",
    "fail",
    "lineinfile",
    "find",
    "slurp",
    "template",
    "add_host",
    "group_by",
    "include_vars",
    "meta",
    "include_tasks",
    "include_role",
    "ping",
    "set_stats",
    "replace",
    "blockinfile",
    "unarchive",
    "fetch",
    "script",
    "raw",
    "wait_for",
    "setup",
];
const PLAY: &[&str] = &[
    "serial",
    "any_errors_fatal",
    "max_fail_percentage",
    "vars",
    "vars_files",
    "environment",
    "become",
    "order",
    "strategy",
    "force_handlers",
    "tags",
    "port",
    "gather_subset",
    "module_defaults",
    "ignore_errors",
    "throttle",
];
const ARGS: &[&str] = &[
    "msg", "var", "that", "src", "dest", "path", "content", "mode", "state", "line", "regexp", "name", "key",
    "groups", "cmd", "chdir", "file", "data", "replace", "owner", "host", "port", "timeout", "block",
    "paths", "recurse",
];

prop_compose! {
    fn task()(module in prop::sample::select(MODULES), args in keywords(ARGS, 4), words in keywords(TASK, 4))
        -> String
    {
        // Nothing may wait: those keywords are given last and win.
        let mut text = format!("    - {module}: {{{}}}\n", flow(args));
        for (name, value) in unique(words) {
            if !matches!(name.as_str(), "delay" | "retries" | "timeout") {
                text.extend([format!("      {name}: {value}\n")]);
            }
        }
        text + "      delay: 0\n      retries: 1\n      timeout: 1\n"
    }
}

fn unique(words: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut seen = std::collections::HashSet::new();
    words.into_iter().filter(|(name, _)| seen.insert(name.clone())).collect()
}

fn flow(args: Vec<(String, String)>) -> String {
    unique(args).into_iter().map(|(k, v)| format!("{k}: {v}")).collect::<Vec<_>>().join(", ")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// Loading and running end with a result, whatever stands in the file and whatever hosts answer.
    #[test]
    fn no_playbook_panics(tasks in prop::collection::vec(task(), 1..4), words in keywords(PLAY, 3)) {
        let mut text = "- hosts: all\n  gather_facts: false\n".to_string();
        for (name, value) in unique(words) {
            text.extend([format!("  {name}: {value}\n")]);
        }
        text.push_str("  tasks:\n");
        text.extend(tasks);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let done = runtime.block_on(play(&text, "n1,n2", &nonsense()));
        if let Some(done) = done {
            let lost = done.results.iter().find(|r| {
                r.get("msg").is_some_and(|m| m.to_text().contains("the worker ended without a result"))
            });
            prop_assert!(lost.is_none(), "{text}");
        }
    }
}

/// A host that is away for a while after its reboot and comes back as another boot.
#[tokio::test]
async fn a_reboot_is_over_when_the_boot_id_is_another() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let fake = FakeHosts::answering(move |call| {
        let mut seen = seen.lock().unwrap();
        let what = match &call.script {
            s if s.contains("boot_id") => "boot id",
            s if s.contains("shutdown") => "shutdown",
            s if s.starts_with("whoami") => "test",
            s => panic!("{s}"),
        };
        seen.push(what);
        let lost = |reason: &str| TransportError::Lost { host: "n1".into(), reason: reason.into() };
        match (what, seen.len()) {
            ("boot id", 1) => Ok(prints("a\n")),
            ("shutdown", _) => Err(lost("gone down")),
            ("boot id", 3) => Err(TransportError::Unreachable { host: "n1".into(), reason: "down".into() }),
            _ => Ok(prints("b\n")),
        }
    });
    let text = "- hosts: all\n  gather_facts: false\n  tasks:\n    - reboot: {reboot_timeout: 60}\n";
    let done = play(text, "n1,", &fake).await.unwrap();
    let statuses: Vec<_> = done.results.iter().map(|r| r.status).collect();
    assert_eq!(statuses, [Status::Changed], "{:?}", done.results[0].result);
    assert_eq!(*asked.lock().unwrap(), ["boot id", "shutdown", "boot id", "boot id", "test"]);
    let result = &done.results[0].result;
    assert_eq!(result.get("rebooted").map(crate::value::Value::repr).as_deref(), Some("True"));
}

#[tokio::test]
async fn a_host_that_does_not_come_back_is_a_failure() {
    let fake = FakeHosts::answering(|_| Ok(prints("same\n")));
    let text = "- hosts: all\n  gather_facts: false\n  tasks:\n    - reboot: {reboot_timeout: 0}\n";
    let done = play(text, "n1,", &fake).await.unwrap();
    let result = &done.results[0];
    assert_eq!(result.status, Status::Failed);
    assert_eq!(
        result.result.get("msg").unwrap().to_text(),
        "Timed out waiting for last boot time check (timeout=0)"
    );
}

#[tokio::test]
async fn templates_inside_of_strings_belong_to_an_assertion() {
    let fake = FakeHosts::answering(|_| Ok(prints("")));
    let text = "- hosts: all\n  gather_facts: false\n  vars: {dir: /tmp, known: {/tmp/x: denied}}\n  tasks:\n    \
                - assert: {that: [\"'{{ dir }}/x' in known\", \"'den' in known['{{ dir }}/x']\"]}\n    \
                - assert: {that: [\"'{{ dir }}/y' in known\"]}\n      ignore_errors: true\n";
    assert_eq!(statuses(text, &fake).await, [Status::Ok, Status::Ignored]);
}

#[tokio::test]
async fn what_an_assertion_leaves_empty_holds_and_templates_may_begin_it() {
    let fake = FakeHosts::answering(|_| Ok(prints("")));
    let text = "- hosts: all\n  gather_facts: false\n  vars: {n: 5}\n  tasks:\n    \
                - assert: {that: [null, \"{{ n }} == 5\"]}\n    \
                - assert: {that: [\"{{ n }} == 6\"]}\n      ignore_errors: true\n";
    assert_eq!(statuses(text, &fake).await, [Status::Ok, Status::Ignored]);
}

#[tokio::test]
async fn labels_may_ask_for_the_result() {
    let fake = this_machine();
    let text = "- hosts: all\n  gather_facts: false\n  tasks:\n    - shell: echo {{ item }}\n      register: r\n      \
                loop: [a, b]\n      loop_control: {label: \"{{ r.stdout }}!\"}\n";
    let done = play(text, "n1,", &fake).await.unwrap();
    assert_eq!(done.results[0].status, Status::Changed);
}

#[tokio::test]
async fn what_is_undefined_among_files_is_passed_over() {
    let fake = FakeHosts::answering(|_| Ok(prints("")));
    let text = "- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: {msg: \"{{ item }}\"}\n      \
                with_first_found:\n        - \"{{ nope }}.yml\"\n        - /dev/null\n";
    let done = play(text, "n1,", &fake).await.unwrap();
    assert_eq!(done.results[0].status, Status::Ok, "{:?}", done.results[0].result);
}

#[tokio::test]
async fn differences_are_registered_and_homes_of_others_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let fake = this_machine();
    let text = format!(
        "- hosts: all\n  gather_facts: false\n  vars: {{dir: {}}}\n  tasks:\n    \
         - file: {{path: \"{{{{ dir }}}}/x\", state: touch, mode: '1644'}}\n      register: r\n    \
         - assert: {{that: [r.diff.before.state == 'absent', r.diff.after.path == dir ~ '/x', r.mode == '01644']}}\n    \
         - lineinfile: {{path: \"{{{{ dir }}}}/x\", line: one, create: true}}\n      diff: true\n      register: r\n    \
         - assert: {{that: [r.diff.0.after == \"one\\n\", r.diff | length == 2]}}\n    \
         - stat: {{path: ~root}}\n      register: r\n    - assert: {{that: [r.stat.path == '/root']}}\n",
        dir.path().display()
    );
    let all: Vec<Status> = statuses(&text, &fake).await;
    assert!(all.iter().all(|s| matches!(s, Status::Ok | Status::Changed)), "{all:?}");
}

#[tokio::test]
async fn modules_that_send_files_do_not_run_in_the_background() {
    let fake = FakeHosts::answering(|_| Ok(prints("")));
    let text = "- hosts: all\n  gather_facts: false\n  tasks:\n    - script: /x.sh\n      async: 2\n";
    let done = play(text, "n1,", &fake).await.unwrap();
    assert_eq!(
        done.results[0].result.get("msg").unwrap().to_text(),
        "This action (script) does not support async."
    );
}

/// The second batch is not begun when the first one lost more hosts than the budget allows.
#[tokio::test]
async fn a_budget_counts_unreachable_hosts() {
    let book = |vars: &str| {
        format!(
            "- hosts: all\n  gather_facts: false\n  serial: 2\n  vars: {{{vars}}}\n  tasks:\n    - ping:\n"
        )
    };
    for (vars, expect) in [
        ("a: 1", vec!["n1", "n2", "n3", "n4"]),
        ("xplay_budget: 0", vec!["n1", "n2"]),
        ("xplay_budget: 1", vec!["n1", "n2", "n3", "n4"]),
        ("xplay_budget: '20%'", vec!["n1", "n2"]),
        ("xplay_budget: 0, xplay_failure_domains: ['n3:n4']", vec!["n1", "n2", "n3", "n4"]),
        ("xplay_budget: 0, xplay_failure_domains: ['n1:n4', 'n2']", vec!["n1", "n2"]),
    ] {
        let fake = this_machine().without("n1");
        let done = play(&book(vars), "n1,n2,n3,n4", &fake).await.unwrap();
        let mut hosts: Vec<String> = done.results.iter().map(|r| r.host.to_string()).collect();
        hosts.sort();
        assert_eq!(hosts, expect, "{vars}");
    }
}
