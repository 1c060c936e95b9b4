//! Many replaced files as one script: one archive on stdin, and each tool called once for all of them.
//!
//! Comes in: what [`Write`](super::write::Write) says of single files. Goes out: one script with its content, and from
//! its output one output for each file, as `xp_write` would have given it. The script promises what `xp_write` does
//! (all or nothing for each file, on the disk, digests read back, nothing replaced that is not what was seen), and
//! whatever it cannot do at once it leaves alone, so that it is done file by file, with exact words for what fails.

use std::collections::BTreeMap;

use super::sh::q;
use super::{Action, Run};
use crate::transport::{Content, Output};

/// So many files make it worth while.
const FEWEST: usize = 2;
/// So many files go into one script, and so many bytes.
const MOST: usize = 500;
pub const MOST_BYTES: u64 = 16 << 20;
/// From so many files on the filesystem is asked to write them, unless it has so many KiB of others to write.
const MANY: usize = 32;
const MOST_DIRTY: u32 = 262_144;
/// Longer names need more than the oldest form of the archive.
const LONGEST_NAME: usize = 80;

/// The replacement of one file, as far as it can be made together with others.
#[derive(Clone, Debug)]
pub struct Put {
    pub dest: String,
    pub sha256: String,
    pub expected: Expected,
    /// Nothing: what umask leaves.
    pub mode: Option<u32>,
    pub owner: Option<Owner>,
}

/// What must still be there just before.
#[derive(Clone, Debug)]
pub enum Expected {
    Absent,
    Sha256(String),
    Anything,
}

/// `UID:GID`, and whether it is an error when the owner cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    pub ids: String,
    pub demanded: bool,
}

/// A replacement with its content.
#[derive(Clone, Copy)]
pub struct Ready<'a> {
    pub put: &'a Put,
    content: &'a [u8],
}

impl<'a> Ready<'a> {
    /// Returns the replacement that a run makes, when it can be made together with others.
    pub fn of(run: &'a Run) -> Option<Self> {
        let (Some(put), Some(Content::Bytes(content))) = (&run.put, &run.stdin) else { return None };
        let (folder, name) = put.dest.rsplit_once('/')?;
        let plain = folder.starts_with('/') || folder.is_empty();
        let fits = plain
            && (1..=LONGEST_NAME).contains(&name.len())
            && !put.dest.contains(['\n', '\\'])
            && !put.dest.contains("//");
        fits.then_some(Ready { put, content })
    }
}

/// Returns the replacements at the head of a list of actions that are worth making together.
pub fn at_head(actions: &[Action]) -> Vec<Ready<'_>> {
    let runs = actions.iter().map_while(|action| match action {
        Action::Run(run) => Ready::of(run),
        Action::SaveLocal { .. } => None,
    });
    let ready = fitting(runs);
    if ready.len() < FEWEST { Vec::new() } else { ready }
}

/// Takes replacements while they fit into one script and go to different files.
pub fn fitting<'a>(all: impl Iterator<Item = Ready<'a>>) -> Vec<Ready<'a>> {
    let mut dests = std::collections::HashSet::new();
    let mut bytes = 0;
    all.take(MOST)
        .take_while(|ready| {
            bytes += ready.content.len() as u64;
            bytes <= MOST_BYTES && dests.insert(&*ready.put.dest)
        })
        .collect()
}

/// Returns the script that makes all of the replacements.
pub fn script(all: &[Ready]) -> Run {
    Run { script: text(all), stdin: Some(Content::Bytes(archive(all).into())), ..Run::default() }
}

/// Returns each file's output; nothing for those that the script left alone.
pub fn outputs(count: usize, output: &Output) -> Vec<Option<Output>> {
    let text = output.stdout_text();
    let (done, stats): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| matches!(*line, "moved" | "left"));
    if output.rc != 0 || done.len() != count || stats.len() != count {
        return vec![None; count];
    }
    let one = |(done, stat): (&str, &str)| {
        (done == "moved").then(|| Output {
            stdout: format!("stat {stat}\n").into(),
            elapsed: output.elapsed,
            ..Output::default()
        })
    };
    done.into_iter().zip(stats).map(one).collect()
}

/// The places of files in the archive: one folder for each folder of the target.
struct Layout<'a> {
    folders: Vec<&'a str>,
    /// The path of each file in the archive.
    names: Vec<String>,
}

impl<'a> Layout<'a> {
    fn of(all: &[Ready<'a>]) -> Self {
        let mut layout = Layout { folders: Vec::new(), names: Vec::with_capacity(all.len()) };
        let mut known = BTreeMap::new();
        for ready in all {
            let (folder, name) = ready.put.dest.rsplit_once('/').unwrap_or(("", &ready.put.dest));
            let folder = if folder.is_empty() { "/" } else { folder };
            let at = *known.entry(folder).or_insert_with(|| {
                layout.folders.push(folder);
                layout.folders.len() - 1
            });
            layout.names.push(format!("{at}/{name}"));
        }
        layout
    }
}

fn words<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(|text| format!(" {}", q(text))).collect()
}

/// Before the first rename everything that is not as it should be ends the script with 99: nothing was done.
fn text(all: &[Ready]) -> String {
    let layout = Layout::of(all);
    let files = || all.iter().map(|ready| ready.put).zip(&layout.names);
    let mut script = format!(
        "[ -n \"$xp_has_stat\" ] || exit 99\n\
         for xp_o in tar sha256sum mktemp sort; do command -v $xp_o >/dev/null 2>&1 || exit 99; done\n\
         set --{folders}\n\
         for xp_d; do [ -d \"$xp_d\" ] || exit 99; done\n\
         if [ $# -gt 1 ]; then\n\
         xp_p=\n\
         for xp_e in $(stat -L -c %d:%i -- \"$@\" | sort); do\n\
         [ \"$xp_e\" != \"$xp_p\" ] || exit 99\n\
         [ -z \"$xp_p\" ] || [ \"${{xp_e%%:*}}\" = \"${{xp_p%%:*}}\" ] || exit 99\n\
         xp_p=$xp_e\n\
         done\n\
         [ -n \"$xp_p\" ] || exit 99\n\
         fi\n\
         xp_um=$(umask)\numask 077\nxp_stage=\n\
         trap 'xp_rc=$?; [ -z \"$xp_stage\" ] || rm -rf -- \"$xp_stage\"; exit $xp_rc' EXIT\n\
         trap 'exit 129' HUP\ntrap 'exit 130' INT\ntrap 'exit 143' TERM\n\
         xp_stage=$(mktemp -d \"${{1%/}}/.xplay.XXXXXXXX\" 2>/dev/null) || exit 99\n\
         cd \"$xp_stage\" || exit 99\n\
         tar xmof - 2>/dev/null || exit 99\n",
        folders = words(layout.folders.iter().copied()),
    );
    let sums: String = files().map(|(put, name)| format!(" {} {}", put.sha256, q(name))).collect();
    add!(script, "printf '%s  %s\\n'{sums} | sha256sum -c >/dev/null 2>&1 || exit 99\n");

    let old: Vec<(&Put, &String)> =
        files().filter(|(put, _)| !matches!(put.expected, Expected::Absent)).collect();
    let old_dests = words(old.iter().map(|(put, _)| &*put.dest));
    if !old.is_empty() {
        add!(script, "for xp_d in{old_dests}; do [ ! -d \"$xp_d\" ] || exit 99; done\n");
        add!(
            script,
            "if command -v setfacl >/dev/null 2>&1 && LC_ALL=C ls -ld --{old_dests} | grep -q '^..........+'; then exit 99; fi\n"
        );
    }
    attributes(&mut script, &layout, all);
    script +=
        "xp_selinux=\nif [ -e /sys/fs/selinux/enforce ] || [ -e /selinux/enforce ]; then\nxp_selinux=1\n";
    for (put, name) in &old {
        add!(script, "chcon --reference={} -- {} 2>/dev/null\n", q(&put.dest), q(name));
    }
    script += "fi\n";
    let names = words(layout.names.iter().map(String::as_str));
    if all.len() < MANY {
        add!(script, "sync --{names} || exit 99\n");
    } else {
        // The stage is on the filesystem of all destinations. Asking for each file waits for the disk as often; asking for
        // the filesystem waits for what others wrote there too.
        add!(
            script,
            "xp_dirty={MOST_DIRTY}\n\
             if [ -r /proc/meminfo ]; then while read -r xp_e xp_d xp_v; do [ \"$xp_e\" != Dirty: ] || {{ xp_dirty=$xp_d; break; }}; done </proc/meminfo; fi\n\
             {{ [ \"$xp_dirty\" -lt {MOST_DIRTY} ] && sync -f . 2>/dev/null; }} || sync --{names} || exit 99\n"
        );
    }

    let new =
        words(files().filter(|(put, _)| matches!(put.expected, Expected::Absent)).map(|(put, _)| &*put.dest));
    if !new.is_empty() {
        add!(
            script,
            "for xp_d in{new}; do if [ -e \"$xp_d\" ] || [ -h \"$xp_d\" ]; then exit 99; fi; done\n"
        );
    }
    let seen: String = files()
        .filter_map(|(put, _)| match &put.expected {
            Expected::Sha256(sum) => Some(format!(" {sum} {}", q(&put.dest))),
            Expected::Absent | Expected::Anything => None,
        })
        .collect();
    if !seen.is_empty() {
        add!(script, "printf '%s  %s\\n'{seen} | sha256sum -c >/dev/null 2>&1 || exit 99\n");
    }
    for (at, folder) in layout.folders.iter().enumerate() {
        let inside = format!("{at}/");
        let names = words(layout.names.iter().filter(|name| name.starts_with(&inside)).map(String::as_str));
        add!(
            script,
            "mv -f --{names} {} 2>/dev/null </dev/null\n",
            q(&format!("{}/", folder.trim_end_matches('/')))
        );
    }
    add!(
        script,
        "xp_o=\nfor xp_d in{}; do if [ -e \"$xp_d\" ]; then xp_o=\"${{xp_o}}left$xp_nl\"; else xp_o=\"${{xp_o}}moved$xp_nl\"; fi; done\n\
         printf '%s' \"$xp_o\"\n",
        words(layout.names.iter().map(String::as_str))
    );
    if !new.is_empty() {
        add!(script, "[ -z \"$xp_selinux\" ] || restorecon --{new} 2>/dev/null\n");
    }
    add!(script, "xp_stats{}\nexit 0\n", words(files().map(|(put, _)| &*put.dest)));
    script
}

/// Adds owners and permissions, each kind once.
fn attributes(script: &mut String, layout: &Layout, all: &[Ready]) {
    let mut owners: BTreeMap<&Owner, Vec<&str>> = BTreeMap::new();
    let mut modes: BTreeMap<Option<u32>, Vec<&str>> = BTreeMap::new();
    for (ready, name) in all.iter().zip(&layout.names) {
        if let Some(owner) = &ready.put.owner {
            owners.entry(owner).or_default().push(name);
        }
        modes.entry(ready.put.mode).or_default().push(name);
    }
    for (owner, names) in owners {
        let otherwise = if owner.demanded { "exit 99" } else { ":" };
        add!(script, "chown {} --{} 2>/dev/null || {otherwise}\n", owner.ids, words(names));
    }
    for (mode, names) in modes {
        let names = words(names);
        match mode {
            Some(mode) => add!(script, "chmod {mode:04o} --{names} || exit 99\n"),
            None => add!(script, "(umask \"$xp_um\" && chmod =rw --{names}) || exit 99\n"),
        }
    }
}

/// Makes the archive, in the form that every `tar` reads.
fn archive(all: &[Ready]) -> Vec<u8> {
    const BLOCK: usize = 512;
    let layout = Layout::of(all);
    let mut out = Vec::new();
    for (ready, name) in all.iter().zip(&layout.names) {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(ready.content.len() as u64);
        // The name fits: its length was checked, and what stands before it is a number.
        if let Some(field) = header.as_mut_bytes().get_mut(..name.len().min(100)) {
            field.copy_from_slice(&name.as_bytes()[..field.len()]);
        }
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(ready.content);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    out.resize(out.len() + 2 * BLOCK, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::{Command, Stdio};

    fn run(dest: &Path, content: &str, expected: Expected) -> Run {
        let put = Put {
            dest: dest.display().to_string(),
            sha256: crate::modules::sha256(content.as_bytes()),
            expected,
            mode: Some(0o640),
            owner: None,
        };
        let stdin = Some(Content::bytes(content.as_bytes().to_vec()));
        Run { put: Some(put), stdin, ..Run::default() }
    }

    /// Runs replacements together as a session would, and returns each file's output.
    fn together(runs: &[Run]) -> Vec<Option<Output>> {
        let ready: Vec<Ready> = runs.iter().map(|run| Ready::of(run).unwrap()).collect();
        let run = script(&ready);
        let Some(Content::Bytes(archive)) = run.stdin else { panic!("no archive") };
        let text = format!("{}\n{}", crate::modules::sh::PRELUDE, run.script);
        let mut sh = Command::new("sh")
            .args(["-c", &text])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // A script that leaves everything alone reads nothing.
        let _ = sh.stdin.take().unwrap().write_all(&archive);
        let out = sh.wait_with_output().unwrap();
        let output = Output { rc: out.status.code().unwrap(), stdout: out.stdout, ..Output::default() };
        outputs(runs.len(), &output)
    }

    fn done(outputs: &[Option<Output>]) -> Vec<bool> {
        outputs.iter().map(Option::is_some).collect()
    }

    #[test]
    fn files_of_several_folders_are_replaced_at_once() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir(path("it's a folder")).unwrap();
        std::fs::write(path("old"), "before").unwrap();
        let before = crate::modules::sha256(b"before");
        let runs = [
            run(&path("old"), "after", Expected::Sha256(before)),
            run(&path("new"), "", Expected::Absent),
            run(&path("it's a folder/new"), "text\n", Expected::Absent),
        ];
        let outputs = together(&runs);
        assert_eq!(done(&outputs), [true, true, true]);
        let report = super::super::sh::Report::parse(&outputs[2].as_ref().unwrap().stdout);
        assert_eq!(report.stat("stat").unwrap().unwrap().size, 5);
        for (name, text) in [("old", "after"), ("new", ""), ("it's a folder/new", "text\n")] {
            assert_eq!(std::fs::read_to_string(path(name)).unwrap(), text, "{name}");
            assert_eq!(std::fs::metadata(path(name)).unwrap().permissions().mode() & 0o7777, 0o640, "{name}");
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_is_not_as_it_was_seen_leaves_all_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::write(path("there"), "by somebody else").unwrap();
        for wrong in [
            run(&path("there"), "x", Expected::Absent),
            run(&path("there"), "x", Expected::Sha256("00".into())),
            run(&path("nowhere/x"), "x", Expected::Absent),
        ] {
            let outputs = together(&[run(&path("new"), "y", Expected::Absent), wrong]);
            assert_eq!(done(&outputs), [false, false]);
        }
        assert_eq!(std::fs::read_to_string(path("there")).unwrap(), "by somebody else");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_folder_under_two_names_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        std::os::unix::fs::symlink("a", root.path().join("b")).unwrap();
        let runs = [
            run(&root.path().join("a/f"), "1", Expected::Absent),
            run(&root.path().join("b/f"), "2", Expected::Absent),
        ];
        assert_eq!(done(&together(&runs)), [false, false]);
    }

    #[test]
    fn only_plain_replacements_are_put_together() {
        let fits = |dest: &str| Ready::of(&run(Path::new(dest), "x", Expected::Absent)).is_some();
        assert!(fits("/a") && fits("/a b/c'd"));
        for dest in ["./a", "/a\nb", "/a\\b", "/a/", "/a//b", &format!("/{}", "x".repeat(81))] {
            assert!(!fits(dest), "{dest}");
        }
        let twice =
            [run(Path::new("/a"), "x", Expected::Absent), run(Path::new("/a"), "y", Expected::Absent)];
        assert_eq!(fitting(twice.iter().filter_map(Ready::of)).len(), 1);
        let actions: Vec<Action> = twice.into_iter().map(Action::Run).collect();
        assert!(at_head(&actions).is_empty());
    }
}
