//! What work costs in round trips and bytes. Counts, because seconds would be noise.

use std::path::Path;

use super::tests::{Done, play, play_with, shell, this_machine};
use super::{RunOptions, Status};
use crate::transport::fake::{Call, FakeHosts};
use crate::value::Value;

/// A playbook of one task with a loop; `DIR` is a fresh folder.
struct Looped {
    dir: tempfile::TempDir,
    book: String,
}

impl Looped {
    fn new(task: &str, items: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let task = task.replace("DIR", &dir.path().display().to_string());
        let book =
            format!("- hosts: all\n  gather_facts: false\n  tasks:\n    - {task}\n      loop: {items}\n");
        Looped { dir, book }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Runs it and returns, for each item, whether it changed (`c`), failed (`f`), was lost (`l`) or none of
    /// these (`.`), and the round trips.
    async fn run(&self) -> (String, usize) {
        let fake = this_machine();
        let done = play(&self.book, "n1,", &fake).await.unwrap();
        (changes(&done), fake.round_trips())
    }
}

fn changes(done: &Done) -> String {
    let [result] = &done.results[..] else { panic!("one task, one host") };
    let items = result.result.get("results").and_then(Value::as_list).unwrap();
    let mark = |item: &Value| match item.get("failed") {
        Some(Value::Bool(true)) => 'f',
        _ if item.get("lost").is_some() => 'l',
        _ if item.get("changed") == Some(&Value::Bool(true)) => 'c',
        _ => '.',
    };
    items.iter().map(mark).collect()
}

const COPY: &str = "copy: {content: 'text {{ item }}', dest: 'DIR/f{{ item }}', mode: '0640'}";

#[tokio::test]
async fn files_of_a_loop_are_looked_at_and_written_together() {
    let looped = Looped::new(COPY, "\"{{ range(24) | list }}\"");
    // One look and one script that writes.
    assert_eq!(looped.run().await, ("c".repeat(24), 2));
    assert_eq!(std::fs::read_to_string(looped.path().join("f23")).unwrap(), "text 23");
    assert_eq!(std::fs::read_dir(looped.path()).unwrap().count(), 24);
    assert_eq!(looped.run().await, (".".repeat(24), 1));
    std::fs::write(looped.path().join("f20"), "other").unwrap();
    std::fs::write(looped.path().join("f21"), "other").unwrap();
    assert_eq!(looped.run().await, (format!("{}cc..", ".".repeat(20)), 2));
}

/// Tools of this machine that write down in a file that they were called.
struct Watched {
    dir: tempfile::TempDir,
}

impl Watched {
    fn new(tools: &[&str]) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        for tool in tools {
            let path = dir.path().join(tool);
            let log = dir.path().join("log");
            let text = format!(
                "#!/bin/sh\necho {tool} >>'{}'\nPATH=${{PATH#*:}} exec {tool} \"$@\"\n",
                log.display()
            );
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Watched { dir }
    }

    fn hosts(&self) -> FakeHosts {
        let folder = self.dir.path().display().to_string();
        FakeHosts::answering(move |call| {
            let script = format!("PATH={folder}:$PATH\n{}", call.script);
            Ok(shell(&Call { script, ..call.clone() }))
        })
    }

    /// Returns the calls since the last time, in order.
    fn calls(&self) -> String {
        let log = self.dir.path().join("log");
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        std::fs::write(log, "").unwrap();
        text.lines().collect::<Vec<_>>().join(" ")
    }
}

/// A process costs a target more than what it is asked for.
#[tokio::test]
async fn tools_are_called_once_for_all_files() {
    let watched = Watched::new(&["stat", "sha256sum", "readlink", "ls", "tar", "sync", "mv", "chmod", "cat"]);
    let looped = Looped::new(COPY, "\"{{ range(24) | list }}\"");
    let run = async || {
        let fake = watched.hosts();
        play(&looped.book, "n1,", &fake).await.unwrap();
        (watched.calls(), fake.frames())
    };
    // Nothing is there to make a digest of; the answers to what was written tell the attributes.
    assert_eq!(run().await, ("stat tar sha256sum chmod sync mv stat".to_string(), 2));
    assert_eq!(run().await, ("stat sha256sum".to_string(), 1));

    let dir = tempfile::tempdir().unwrap();
    let tasks: String = (0..10)
        .map(|n| format!("    - copy: {{content: text, dest: {}/f{n}}}\n", dir.path().display()))
        .collect();
    let book = format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}");
    play(&book, "n1,", &this_machine()).await.unwrap();
    let options = RunOptions { planning: true, check: true, diff: true, ..RunOptions::default() };
    let fake = watched.hosts();
    play_with(&book, "n1,", &fake, options).await.unwrap();
    // The first task by itself, the other nine together.
    assert_eq!((&*watched.calls(), fake.frames()), ("stat sha256sum stat sha256sum", 2));
}

#[tokio::test]
async fn items_that_have_to_do_with_one_another_run_as_if_alone() {
    let looped = Looped::new("copy: {content: '{{ item }}', dest: 'DIR/f'}", "[a, a, b, a]");
    assert_eq!(looped.run().await.0, "c.cc");
    assert_eq!(std::fs::read_to_string(looped.path().join("f")).unwrap(), "a");
    // The first item makes the folder that the others go to.
    let looped = Looped::new("copy: {content: x, dest: 'DIR/{{ item }}'}", "[a, b/c, d]");
    assert_eq!(looped.run().await.0, "cfc");
    assert!(looped.path().join("d").exists());
    let looped = Looped::new("lineinfile: {path: 'DIR/f', line: '{{ item }}', create: true}", "[a, b, a, c]");
    assert_eq!(looped.run().await.0, "cc.c");
    assert_eq!(std::fs::read_to_string(looped.path().join("f")).unwrap(), "a\nb\nc\n");
}

#[tokio::test]
async fn an_item_alone_costs_at_most_two_round_trips() {
    let looped =
        Looped::new("file: {path: 'DIR/d{{ item }}', state: directory}", "\"{{ range(6) | list }}\"");
    let (changes, trips) = looped.run().await;
    assert_eq!(changes, "cccccc");
    assert!(trips <= 12, "{trips}");
    // What is as wanted is seen in one look.
    assert_eq!(looped.run().await, ("......".to_string(), 1));
    // A command goes when its turn has come.
    let looped = Looped::new("command: echo {{ item }}", "\"{{ range(6) | list }}\"");
    assert_eq!(looped.run().await, ("cccccc".to_string(), 6));
}

#[tokio::test]
async fn a_tree_is_sent_as_one_stream() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    for n in 0..40 {
        let folder = from.join(format!("d{}", n % 4));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("f{n}")), format!("file {n}\n")).unwrap();
    }
    let book = format!(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {{src: {}/, dest: {}}}\n",
        from.display(),
        to.display()
    );
    let run = async || {
        let fake = this_machine();
        let done = play(&book, "n1,", &fake).await.unwrap();
        (done.results[0].status, fake.round_trips())
    };
    // A look, the folders, the files.
    assert_eq!(run().await, (Status::Changed, 3));
    assert_eq!(std::fs::read_to_string(to.join("d3/f39")).unwrap(), "file 39\n");
    assert_eq!(run().await, (Status::Ok, 1));
}

/// A plan asks for all of them after the first; what a task changes in its prediction is no other question.
#[tokio::test]
async fn a_plan_looks_at_the_tasks_of_a_host_together() {
    let dir = tempfile::tempdir().unwrap();
    let task = |n: usize, more: &str| {
        format!("    - copy: {{content: text, dest: {}/f{n}, mode: '0600'}}\n{more}", dir.path().display())
    };
    let planned = async |tasks: &str| {
        let fake = this_machine();
        let options = RunOptions { planning: true, check: true, diff: true, ..RunOptions::default() };
        let book = format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}");
        let done = play_with(&book, "n1,n2,", &fake, options).await.unwrap();
        let changed = done.results.iter().map(|r| r.status == Status::Changed).collect::<Vec<_>>();
        (changed, fake.round_trips())
    };
    let many: String = (0..10).map(|n| task(n, "")).collect();
    assert_eq!(planned(&many).await, (vec![true; 20], 4));
    play(&format!("- hosts: all\n  gather_facts: false\n  tasks:\n{many}"), "n1,", &this_machine())
        .await
        .unwrap();
    assert_eq!(planned(&many).await, (vec![false; 20], 4));
    // A result that is registered may be what the next task asks about.
    let registered =
        [task(0, ""), task(1, ""), task(2, "      register: r\n"), task(3, ""), task(4, "")].concat();
    assert_eq!(planned(&registered).await, (vec![false; 10], 6));
}

/// What goes over the wire for a task. A larger number needs a reason.
#[tokio::test]
async fn bytes_of_a_task() {
    let check = async |task: &str, most: usize| {
        let dir = tempfile::tempdir().unwrap();
        let task = task.replace("DIR", &dir.path().display().to_string());
        let book = format!("- hosts: all\n  gather_facts: false\n  tasks:\n    - {task}\n");
        let fake: FakeHosts = this_machine();
        play(&book, "n1,", &fake).await.unwrap();
        assert!(fake.bytes_sent() <= most, "{task}: {} bytes", fake.bytes_sent());
    };
    check("command: /bin/true", 60).await;
    check("file: {path: DIR, state: directory}", 120).await;
    check("copy: {content: text, dest: DIR/f}", 620).await;
}

#[tokio::test]
async fn files_whose_writing_was_not_confirmed_are_lost() {
    let looped = Looped::new(COPY, "\"{{ range(3) | list }}\"");
    // One look at all three files, then the script that writes.
    let fake = this_machine().losing_at(1);
    let done = play(&looped.book, "n1,", &fake).await.unwrap();
    assert_eq!(done.results[0].status, Status::Lost);
    assert_eq!(changes(&done), "lll");
}
