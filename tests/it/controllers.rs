//! Controllers that are killed in the middle of the whole job, and several of them at work on one cluster.

use std::collections::BTreeMap;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::support::rehearse::{Mode, PLAYBOOK, Rehearsal, Standing, can};

/// Commands that must not run once more than needed.
const WATCHED: [&str; 4] = ["copycds", "genimage", "packimage", "nodeset"];

/// A script for the management node that prints what the job leaves there, but for what differs in each run.
const STATE: &str = "for t in osimage node; do /opt/xcat/bin/lsdef -t $t | sort | sed 's/ *(.*//' | while read -r n; do \
     /opt/xcat/bin/lsdef -t $t $n | grep -v 'status\\|appstatus\\|updatestatus'; done; done; \
     find /install /tftpboot -type f 2>/dev/null | grep -v '/rootimg/\\|/proc/' | sort; \
     for f in /install/custom/netboot/*/*; do echo $f; cat $f; done 2>/dev/null";

#[track_caller]
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn assert_success(what: &str, output: &Output) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{what}: {out}\n{err}");
}

/// What is left on the cluster, and how often each command ran.
fn end_state(cluster: &Standing) -> (String, BTreeMap<String, usize>) {
    let shown = cluster
        .xplay("looker", &["adhoc", "mn1", "-i", &cluster.inventory(), "-m", "shell", "-a", STATE])
        .output()
        .unwrap();
    assert_success("looking at the end", &shown);
    let said = text(&shown.stdout);
    // The first line names the result.
    let state = said.split_once('\n').map_or_else(String::new, |(_, rest)| rest.to_string());
    assert!(state.contains("/install/netboot/"), "{said}");
    let mut counts = BTreeMap::new();
    for call in cluster.calls() {
        if let Some(command) = call.strip_prefix("begin ") {
            *counts.entry(command.to_string()).or_default() += 1;
        }
    }
    (state, counts)
}

/// Whether all of it is tried, which takes an hour; else a part of it.
fn everything() -> bool {
    std::env::var_os("XPLAY_ALL_CRASHES").is_some()
}

/// The job on a cluster of its own whose controller ends at the writes that `ends` names, one after the other, until one
/// of its parts reaches the end.
fn killed_at(ends: impl Iterator<Item = String>) -> (String, BTreeMap<String, usize>, usize) {
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    let cluster = rehearsal.start();
    cluster.watch(&WATCHED);
    let inventory = cluster.inventory();
    let mut killed = 0;
    let run = ["run", "-i", &inventory, PLAYBOOK];
    let resume = ["resume", "last"];
    for end in ends {
        let args = if killed == 0 { &run[..] } else { &resume[..] };
        let output = cluster.xplay("home", args).env("XPLAY_END_AT_WRITE", &end).output().unwrap();
        if output.status.code().is_some() {
            assert_success(&format!("part {killed} that should end at write {end}"), &output);
            let (state, counts) = end_state(&cluster);
            return (state, counts, killed);
        }
        killed += 1;
    }
    let args = if killed == 0 { &run[..] } else { &resume[..] };
    assert_success("the last part", &cluster.xplay("home", args).output().unwrap());
    let again = cluster.xplay("home", &[&run[..], &["--json"]].concat()).output().unwrap();
    assert_success("once more", &again);
    assert!(!text(&again.stdout).contains("\"status\":\"changed\""), "nothing is left to do");
    let (state, counts) = end_state(&cluster);
    (state, counts, killed)
}

#[test]
fn the_job_ends_as_ever_however_often_its_controller_is_killed() {
    if !can("controllers", Mode::Namespaces) {
        return;
    }
    let (state, counts, _) = killed_at(std::iter::empty());
    assert_eq!(counts.values().sum::<usize>(), 4, "each command runs once: {counts:?}");
    // A part that resumes writes one record first.
    let torn = |n: usize| if n.is_multiple_of(2) { "" } else { "-torn" };
    let (state_after, counts_after, killed) = killed_at((0..60).map(|n| format!("{}{}", 6 + n % 5, torn(n))));
    assert!(killed > 8, "{killed}");
    assert_eq!(counts_after, counts, "killed {killed} times");
    assert_eq!(state_after, state, "killed {killed} times");
    if everything() {
        for at in 2..114 {
            let (state_after, counts_after, killed) = killed_at(std::iter::once(format!("{at}{}", torn(at))));
            assert_eq!(killed, 1, "write {at}");
            assert_eq!(counts_after, counts, "write {at}");
            assert_eq!(state_after, state, "write {at}");
            println!("write {at}: as undisturbed");
        }
    }
}

/// The hosts go down together with the controller: what was running there died, and is done again.
#[test]
fn a_power_cut_of_everything_is_survived() {
    if !can("controllers", Mode::Namespaces) {
        return;
    }
    let points: Vec<usize> = if everything() { (2..114).collect() } else { vec![58, 67] };
    for at in points {
        let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
        let cut = rehearsal.command(&[PLAYBOOK]).env("XPLAY_END_AT_WRITE", at.to_string()).output().unwrap();
        assert_eq!(cut.status.code(), None, "write {at}: {}", text(&cut.stderr));
        let resume = std::process::Command::new(env!("CARGO_BIN_EXE_xplay"))
            .args(["resume", "last"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", rehearsal.dir())
            .output()
            .unwrap();
        assert_success(&format!("write {at}"), &resume);
        rehearsal.run(&[PLAYBOOK]).assert_nothing_changed();
    }
}

fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !ready() {
        assert!(begun.elapsed() < Duration::from_secs(120), "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Packs the image whatever is there.
fn packing(cluster: &Standing) -> String {
    let path = cluster.on_mn1("").join("../pack.yml");
    std::fs::write(
        &path,
        "- hosts: management\n  gather_facts: false\n  tasks:\n\
         \x20   - xcat_packimage: {name: \"{{ xcat_osvers }}-{{ xcat_osarch }}-service-site\", force: true}\n",
    )
    .unwrap();
    path.display().to_string()
}

/// Takes `flock` away from the management node: its locks are files then.
fn lose_flock(cluster: &Standing) {
    let places = ["bin/flock", "usr/bin/flock"].map(|path| cluster.on_mn1(path));
    let removed = places.iter().filter(|path| std::fs::remove_file(path).is_ok()).count();
    if removed == 0 {
        println!("controllers: this machine has no flock to take away");
    }
}

/// A command that goes on without its controller keeps its image to itself.
#[test]
fn a_command_without_its_controller_keeps_others_away() {
    if can("controllers", Mode::Namespaces) {
        keeps_others_away(|_| {});
    }
}

#[test]
fn a_command_keeps_others_away_where_flock_is_missing() {
    if can("controllers", Mode::Namespaces) {
        keeps_others_away(lose_flock);
    }
}

fn keeps_others_away(prepare: fn(&Standing)) {
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    let cluster = rehearsal.start();
    prepare(&cluster);
    cluster.watch(&WATCHED);
    let inventory = cluster.inventory();
    let mut first = cluster.xplay("first", &["run", "-i", &inventory, PLAYBOOK]).spawn().unwrap();
    std::fs::write(cluster.on_mn1("hold-genimage"), "").unwrap();
    wait_for("genimage", || cluster.calls().iter().any(|call| call.starts_with("begin genimage")));
    first.kill().unwrap();
    first.wait().unwrap();
    let image = "- hosts: management\n  gather_facts: false\n  tasks:\n\
         \x20   - xcat_osimage: {name: \"{{ xcat_osvers }}-{{ xcat_osarch }}-service-site\", attrs: {netdrivers: e1000}}\n";
    let path = cluster.on_mn1("").join("../change.yml");
    std::fs::write(&path, image).unwrap();
    let second =
        cluster.xplay("second", &["run", "-i", &inventory, &path.display().to_string()]).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    std::fs::remove_file(cluster.on_mn1("hold-genimage")).unwrap();
    let second = second.wait_with_output().unwrap();
    assert_success("the second controller", &second);
    let said = text(&second.stdout);
    let said = [said, text(&second.stderr)].concat();
    assert!(!said.contains("nothing keeps other runs away"), "{said}");
    assert!(said.contains(": waiting for osimage:") && said.contains(": xcat_genimage (process "), "{said}");
    let calls = cluster.calls();
    assert!(calls.iter().any(|call| call.starts_with("end genimage")), "{calls:?}");
    assert_success("resume", &cluster.xplay("first", &["resume", "last"]).output().unwrap());
    let begun = cluster.calls().iter().filter(|call| call.starts_with("begin genimage")).count();
    assert_eq!(begun, 1);
}

#[test]
fn two_controllers_never_work_on_one_image() {
    if can("controllers", Mode::Namespaces) {
        never_on_one_image(|_| {});
    }
}

#[test]
fn two_controllers_never_work_on_one_image_where_flock_is_missing() {
    if can("controllers", Mode::Namespaces) {
        never_on_one_image(lose_flock);
    }
}

fn never_on_one_image(prepare: fn(&Standing)) {
    let rehearsal = Rehearsal::new("el9", Mode::Namespaces);
    let cluster = rehearsal.start();
    let inventory = cluster.inventory();
    let made = cluster.xplay("home", &["run", "-i", &inventory, PLAYBOOK, "--tags", "distribution,image"]);
    assert_success("the image", &{ made }.output().unwrap());
    prepare(&cluster);
    cluster.watch(&WATCHED);
    let playbook = packing(&cluster);
    let schedules = if everything() { 100 } else { 4 };
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for schedule in 0..schedules {
        let mut running = Vec::new();
        for home in ["one", "two"] {
            running.push((home, cluster.xplay(home, &["run", "-i", &inventory, &playbook]).spawn().unwrap()));
            std::thread::sleep(Duration::from_millis(random(600)));
        }
        let victim = usize::try_from(random(4)).unwrap();
        std::thread::sleep(Duration::from_millis(random(900)));
        for (n, (home, mut child)) in running.into_iter().enumerate() {
            if n == victim {
                child.kill().unwrap();
                child.wait().unwrap();
                let resumed = cluster.xplay(home, &["resume", "last"]).output().unwrap();
                let done = text(&resumed.stderr).contains("no run is called")
                    || text(&resumed.stderr).contains("is complete, there is nothing to go on with");
                assert!(resumed.status.success() || done, "schedule {schedule}: {}", text(&resumed.stdout));
                continue;
            }
            assert_success(&format!("schedule {schedule}, {home}"), &child.wait_with_output().unwrap());
        }
        let mut inside: Option<String> = None;
        for call in cluster.calls() {
            match (call.strip_prefix("begin "), &inside) {
                (Some(what), None) => inside = Some(what.to_string()),
                (None, Some(_)) => inside = None,
                (_, inside) => panic!("schedule {schedule}: {call} while {inside:?}: {:?}", cluster.calls()),
            }
        }
        let looked = cluster
            .xplay(
                "looker",
                &[
                    "adhoc",
                    "mn1",
                    "-i",
                    &inventory,
                    "-m",
                    "shell",
                    "-a",
                    "gzip -t /install/netboot/*/*/*/rootimg*gz",
                ],
            )
            .output()
            .unwrap();
        assert_success(&format!("the archive after schedule {schedule}"), &looked);
    }
}
