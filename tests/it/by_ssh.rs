//! Whole tasks over a real sshd: `synchronize`, which lets rsync log in by itself, another user's folders, and jobs that
//! nobody looks after any more.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::sshd::Sshd;
use crate::support::{find_program, skip};

/// A project with one host, which is this machine behind a server.
struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    fn new(server: &Sshd) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config"), format!("{}\n", server.config("n1"))).unwrap();
        let arguments = format!("-F {}", dir.path().join("config").display());
        fs::write(dir.path().join("hosts"), format!("n1 ansible_ssh_common_args='{arguments}'\n")).unwrap();
        Project { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn play(&self, tasks: &str) {
        let tasks = tasks.replace("$D", &self.dir.path().display().to_string());
        fs::write(self.file("site.yml"), format!("- hosts: n1\n  gather_facts: false\n  tasks:\n{tasks}"))
            .unwrap();
    }

    fn command(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_xplay"))
            .args(words)
            .args(["-i", "hosts", "site.yml"])
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs the playbook and returns the line of the recap.
    fn recap(&self) -> String {
        let output = self.command(&["run", "--no-report"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find(|line| line.starts_with("n1 ")).unwrap_or_default();
        assert!(!line.is_empty(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let counts = line.split_once(':').map_or("", |(_, counts)| counts);
        if counts.contains("failed=1") {
            return text;
        }
        counts.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn trees_are_made_alike() {
    let Some(server) = Sshd::start("trees_are_made_alike") else { return };
    if find_program("rsync").is_none() || find_program("ssh").is_none() {
        skip("trees_are_made_alike", "there is no rsync or no ssh");
        return;
    }
    let project = Project::new(&server);
    fs::create_dir_all(project.file("files/tree/a b")).unwrap();
    fs::write(project.file("files/tree/a b/it's"), "1").unwrap();
    fs::write(project.file("files/tree/top"), "2").unwrap();
    let sync = "    - synchronize: {src: tree/, dest: $D/there, delete: true}\n      register: sent\n";
    let back =
        "    - synchronize: {src: $D/there/, dest: $D/back, mode: pull, rsync_opts: ['--exclude=top']}\n";
    let told = "    - assert: {that: \"not sent.changed or '<f+++++++++ top' in sent.stdout_lines\"}\n";
    project.play(&format!("{sync}{told}{back}"));
    let preview = project.command(&["run", "--no-report", "--check"]);
    assert!(!project.file("there").exists(), "{}", String::from_utf8_lossy(&preview.stdout));
    assert_eq!(project.recap(), "ok=3 changed=2");
    assert_eq!(fs::read_to_string(project.file("there/a b/it's")).unwrap(), "1");
    assert_eq!(fs::read_to_string(project.file("back/a b/it's")).unwrap(), "1");
    assert!(!project.file("back/top").exists());
    assert_eq!(project.recap(), "ok=3 changed=0");
    fs::write(project.file("there/more"), "3").unwrap();
    project.play(sync);
    assert_eq!(project.recap(), "ok=1 changed=1");
    assert!(!project.file("there/more").exists());
}

#[test]
fn a_side_without_rsync_is_named() {
    let Some(server) = Sshd::start("a_side_without_rsync_is_named") else { return };
    if find_program("rsync").is_none() || find_program("ssh").is_none() {
        skip("a_side_without_rsync_is_named", "there is no rsync or no ssh");
        return;
    }
    let project = Project::new(&server);
    fs::write(project.file("x"), "1").unwrap();
    let check = |more: &str, expect: &str| {
        project.play(&format!("    - synchronize: {{src: $D/x, dest: $D/y{more}}}\n      vars: {{ansible_rsync_path: '{{{{ here | default(\"rsync\") }}}}'}}\n"));
        let text = project.recap();
        assert!(text.contains(expect), "{text}");
    };
    check(", rsync_path: /no/rsync", "there is no rsync on n1: ");
    fs::write(
        project.file("hosts"),
        fs::read_to_string(project.file("hosts")).unwrap().trim_end().to_string() + " here=/no/rsync\n",
    )
    .unwrap();
    check("", "there is no rsync on the machine that is to run it");
}

#[test]
fn another_user_may_not_enter_the_logins_folder() {
    let test = "another_user_may_not_enter_the_logins_folder";
    let Some(server) = Sshd::start(test) else { return };
    let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n");
    if !root || find_program("sudo").is_none() {
        skip(test, "becoming another user needs root and sudo");
        return;
    }
    let project = Project::new(&server);
    // Reached by the other user, unlike the folder in which the login begins.
    let open = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let open = open.path().display();
    project.play(&format!(
        "    - file: {{path: '{open}/{{{{ item }}}}', state: directory, mode: '0711'}}\n      loop: [d, d/shut]\n\
         \x20   - file: {{path: '{open}/d', state: directory, mode: '0755'}}\n\
         \x20   - file: {{path: '{open}/d/shut', state: directory, mode: '0700'}}\n\
         \x20   - find: {{paths: '{open}/d', recurse: true, patterns: '*'}}\n      become: true\n      become_user: nobody\n      register: seen\n\
         \x20   - assert: {{that: seen.skipped_paths | length == 1}}\n"
    ));
    let text = project.recap();
    assert!(text.starts_with("ok=5"), "{text}");
}

/// What a task as somebody without rights needs lies in a folder that is his alone, and goes with the run.
#[test]
fn becoming_somebody_leaves_no_shared_file() {
    let test = "becoming_somebody_leaves_no_shared_file";
    let Some(server) = Sshd::start(test) else { return };
    let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n");
    if !root || find_program("su").is_none() {
        skip(test, "becoming another user needs root and su");
        return;
    }
    let project = Project::new(&server);
    fs::create_dir(project.file("files")).unwrap();
    fs::write(project.file("files/it.sh"), "#!/bin/sh\nd=${0%/*}; ls -ld \"$d\" \"$0\"; echo \"$d\"\n")
        .unwrap();
    project.play(
        "    - script: it.sh\n      become: true\n      become_method: su\n      become_user: nobody\n      register: said\n\
         \x20   - copy: {content: \"{{ said.stdout_lines | last }}\", dest: $D/where}\n\
         \x20   - assert: {that: [\"said.stdout_lines[0] is match('drwx------.* nobody ')\", \"said.stdout_lines[1] is match('-rwx------.* nobody ')\"]}\n",
    );
    let text = project.recap();
    assert!(text.starts_with("ok=3"), "{text}");
    let folder = fs::read_to_string(project.file("where")).unwrap();
    assert!(
        folder.starts_with("/tmp/") && folder.contains("xplay") && !std::path::Path::new(&folder).exists(),
        "{folder} is left"
    );
}

#[test]
fn a_job_goes_on_when_nobody_looks_after_it() {
    let Some(server) = Sshd::start("a_job_goes_on_when_nobody_looks_after_it") else { return };
    let project = Project::new(&server);
    project.play(
        "    - shell: sleep 2; echo done >$D/done\n      async: 60\n      poll: 0\n      register: job\n\
         \x20   - copy: {content: '{{ job.ansible_job_id }}', dest: $D/job}\n",
    );
    assert_eq!(project.recap(), "ok=2 changed=2");
    assert!(!project.file("done").exists(), "the run waited for it");
    let begun = Instant::now();
    while !project.file("done").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the job did not go on");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Nobody wrote its end down: another run sees it as it was left, and can clean up.
    project.play(
        "    - async_status: {jid: \"{{ lookup('file', '$D/job') }}\"}\n      register: seen\n\
         \x20   - assert: {that: [seen.started == 1, seen.finished == 0]}\n\
         \x20   - async_status: {jid: \"{{ lookup('file', '$D/job') }}\", mode: cleanup}\n\
         \x20   - async_status: {jid: \"{{ lookup('file', '$D/job') }}\"}\n      register: gone\n      ignore_errors: true\n\
         \x20   - assert: {that: [gone is failed, \"'could not find job' in gone.msg\"]}\n",
    );
    let text = project.recap();
    assert!(text.starts_with("ok=5"), "{text}");
}
