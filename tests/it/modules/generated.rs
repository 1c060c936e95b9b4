//! The laws over generated states and arguments, for modules that say what their change leaves behind.
//!
//! Planning writes nothing, and a preview predicts what a run plans; what a change was said to leave behind is there
//! afterwards, byte for byte; then there is nothing to do, and a later step of the same plan foresees that; every change
//! shows a difference; one that fails leaves everything as it was.
//! `XPLAY_LAW_CASES` says how many cases each module has on each shell.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Map, Value, json};
use xplay::modules::{Body, Certainty, Diff, DiffSide, Effect, FileAfter, Prediction, Touch, World};

use super::harness::{Bench, Shell, shells};

/// A module's arguments, and whether doing it twice is doing it once.
#[derive(Clone, Debug)]
pub struct Wanted {
    args: Value,
    settles: bool,
}

impl From<Value> for Wanted {
    fn from(args: Value) -> Self {
        Wanted { args, settles: true }
    }
}

/// Shell lines that make a thing at a path.
fn thing(path: &'static str, folders: u32) -> BoxedStrategy<String> {
    let mode = select(&["600", "644", "755", "4711", "444"][..]);
    let file = (text(), mode).prop_map(move |(text, mode)| {
        let octal: String = text.bytes().map(|b| format!("\\{b:03o}")).collect();
        format!("printf '{octal}' >{path}; chmod {mode} {path}\n")
    });
    prop_oneof![
        6 => file,
        1 => Just(String::new()),
        folders => Just(format!("mkdir {path}; : >{path}/child\n")),
        1 => Just(format!("printf 'a\\nx=1\\n' >target; ln -s target {path}\n")),
        1 => Just(format!("ln -s nowhere {path}\n")),
    ]
    .boxed()
}

const LINES: [&str; 12] =
    ["a", "x=1", "x = 2", "# c", "#x=1", "[s]", "[t u]", "é", " \ttail ", "", "$(touch pwned)", "BEGIN"];

/// The text of a small file: few different lines, so that expressions match; ends of all kinds.
fn text() -> BoxedStrategy<String> {
    (prop::collection::vec(select(&LINES[..]), 0..6), select(&["\n", "\r\n"][..]), any::<bool>())
        .prop_map(|(lines, end, closed)| {
            let mut text = lines.join(end);
            if closed && !text.is_empty() {
                text.push_str(end);
            }
            text
        })
        .boxed()
}

/// Some of the given arguments, beside those that are always there.
pub fn some_of(
    always: Value,
    choices: &'static [(&'static str, &'static [&'static str])],
) -> BoxedStrategy<Value> {
    prop::collection::vec((any::<bool>(), any::<Index>()), choices.len())
        .prop_map(move |chosen| {
            let mut args: Map<String, Value> = always.as_object().cloned().unwrap_or_default();
            for ((name, values), (given, which)) in choices.iter().zip(chosen) {
                if given {
                    args.insert((*name).to_string(), json!(values[which.index(values.len())]));
                }
            }
            Value::Object(args)
        })
        .boxed()
}

const MODES: &[&str] = &["0600", "u=rw,g=r,o=", "0755", "a+x", "u+s"];
const YES_NO: &[&str] = &["yes", "no"];

fn copy() -> BoxedStrategy<Wanted> {
    let options = some_of(
        json!({}),
        &[
            ("mode", MODES),
            ("force", YES_NO),
            ("follow", YES_NO),
            ("backup", YES_NO),
            ("dest", &["$D/f", "$D/f/", "$D/new", "$D/no/f", "$D/l"]),
            ("validate", &["true %s", "grep -q x %s"]),
        ],
    );
    (text(), options)
        .prop_map(|(content, mut args)| {
            args["content"] = json!(content);
            if args.get("dest").is_none() {
                args["dest"] = json!("$D/f");
            }
            args.into()
        })
        .boxed()
}

fn template() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "src": "motd.j2", "dest": "$D/f" }),
        &[("mode", MODES), ("force", YES_NO), ("follow", YES_NO), ("newline_sequence", &["\n", "\r\n"])],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn file() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "path": "$D/f" }),
        &[
            ("state", &["file", "directory", "absent", "link", "hard"]),
            ("src", &["$D/l", "nowhere", "$D/f"]),
            ("mode", MODES),
            ("recurse", YES_NO),
            ("force", YES_NO),
            ("follow", YES_NO),
        ],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn lineinfile() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "path": "$D/f" }),
        &[
            ("line", &LINES),
            ("regexp", &["^x", "x ?= ?(.*)", "^#?x", "nothing", "^$", "("]),
            ("state", &["present", "absent"]),
            ("insertafter", &["EOF", "^a", "nothing"]),
            ("insertbefore", &["BOF", "^x"]),
            ("firstmatch", YES_NO),
            ("create", YES_NO),
            ("backup", YES_NO),
            ("mode", MODES),
        ],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn blockinfile() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "path": "$D/f" }),
        &[
            ("block", &["one\ntwo", "", "x=1", "$(touch pwned)\n"]),
            ("marker", &["# {mark} ours", "<!-- {mark} -->"]),
            ("state", &["present", "absent"]),
            ("insertafter", &["EOF", "^a"]),
            ("insertbefore", &["BOF", "^x"]),
            ("append_newline", YES_NO),
            ("prepend_newline", YES_NO),
            ("create", YES_NO),
        ],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn replace() -> BoxedStrategy<Wanted> {
    // What is put in is not found again.
    let pairs = select(
        &[
            ("x ?= ?\\d", "y"),
            ("[x1]", "y"),
            ("^#", "//"),
            ("\\s+$", ""),
            ("é", "e"),
            ("^(.)$", "\\1\\1"),
            ("[a#]", "y"),
        ][..],
    );
    let options = some_of(json!({ "path": "$D/f" }), &[("before", &["^x"]), ("backup", YES_NO)]);
    (pairs, options)
        .prop_map(|((regexp, with), mut args)| {
            args["regexp"] = json!(regexp);
            args["replace"] = json!(with);
            // A border may be what is replaced, and is not found again then.
            let settles = args.get("before").is_none();
            Wanted { args, settles }
        })
        .boxed()
}

fn ini_file() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "path": "$D/f", "section": "s" }),
        &[
            ("section", &["s", "t u", "new"]),
            ("option", &["x", "a", "new"]),
            ("value", &["1", "", "two words"]),
            ("state", &["present", "absent"]),
            ("no_extra_spaces", YES_NO),
            ("exclusive", YES_NO),
            ("create", YES_NO),
            ("mode", MODES),
        ],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn assemble() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "src": "$D/parts", "dest": "$D/f", "remote_src": true }),
        &[("delimiter", &["--", "\\n"]), ("regexp", &["^1", "."]), ("mode", MODES), ("backup", YES_NO)],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn unarchive() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "src": "tree.tar.gz", "dest": "$D/l" }),
        &[("dest", &["$D/l", "$D/f"]), ("creates", &["$D/f", "$D/none"]), ("list_files", YES_NO)],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn yum_repository() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "name": "r", "reposdir": "$D/repos", "description": "d" }),
        &[
            ("baseurl", &["http://h/a", "http://h/b"]),
            ("state", &["present", "absent"]),
            ("enabled", YES_NO),
            ("gpgcheck", YES_NO),
            ("file", &["other"]),
            ("mode", &["0600", "0644"]),
        ],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn sysctl() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "name": "x", "value": "1", "sysctl_file": "$D/f", "reload": false }),
        &[("name", &["x", "net.new"]), ("value", &["1", "2 3"]), ("state", &["present", "absent"])],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn known_hosts() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "name": "a.org", "key": "a.org ssh-ed25519 AAAA", "path": "$D/f" }),
        &[
            ("key", &["a.org ssh-ed25519 BBBB", "a.org ssh-rsa CCCC"]),
            ("state", &["present", "absent"]),
            ("hash_host", YES_NO),
        ],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn authorized_key() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "user": "root", "key": "ssh-ed25519 AAAA me@x", "path": "$D/f", "manage_dir": false }),
        &[
            ("key", &["ssh-ed25519 BBBB", "ssh-ed25519 AAAA\nssh-rsa CCCC you"]),
            ("state", &["present", "absent"]),
            ("exclusive", YES_NO),
            ("key_options", &["no-pty", "command=\"x y\""]),
            ("comment", &["other"]),
        ],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn cron() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "name": "j", "job": "true", "user": "root", "cron_file": "$D/f" }),
        &[
            ("name", &["x=1", "k"]),
            ("job", &["echo $(x) % 'y'"]),
            ("minute", &["5", "*/2"]),
            ("weekday", &["0"]),
            ("state", &["present", "absent"]),
            ("disabled", YES_NO),
            ("backup", YES_NO),
        ],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn mount() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "path": "/mnt/a b", "src": "/dev/sdz1", "fstype": "ext4", "state": "present", "fstab": "$D/f" }),
        &[
            ("path", &["/", "/mnt/c"]),
            ("src", &["UUID=1", "h:/x y"]),
            ("opts", &["ro,noatime"]),
            ("passno", &["2"]),
            ("state", &["present", "absent_from_fstab"]),
            ("backup", YES_NO),
        ],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn group() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "name": "xplaydev" }),
        &[("gid", &["4711", "4713"]), ("state", &["present", "absent"]), ("system", YES_NO)],
    )
    .prop_map(Wanted::from)
    .boxed()
}

fn user() -> BoxedStrategy<Wanted> {
    some_of(
        json!({ "name": "xplayada" }),
        &[
            ("uid", &["4711", "4713"]),
            ("comment", &["Ada", "it's"]),
            ("shell", &["/bin/sh", "/bin/false"]),
            ("groups", &["xplaydev", ""]),
            ("append", YES_NO),
            ("password", &["*", "$6$x$y"]),
            ("create_home", YES_NO),
            ("state", &["present", "absent"]),
        ],
    )
    .prop_map(Wanted::from)
    .boxed()
}

/// Shell lines that make the state that a module finds.
fn states(module: &str) -> BoxedStrategy<String> {
    if ["user", "group"].contains(&module) {
        const ACCOUNTS: [&str; 4] = [
            "echo xplaydev:x:4711: >>/etc/group",
            "echo xplayother:x:4712:xplayada >>/etc/group",
            "echo 'xplayada:x:4711:100:Ada:/home/xplayada:/bin/sh' >>/etc/passwd; echo 'xplayada:!:1:0:99999:7:::' >>/etc/shadow",
            "mkdir -p /home/xplayada",
        ];
        return prop::sample::subsequence(&ACCOUNTS[..], 0..=ACCOUNTS.len())
            .prop_map(|l| l.join("\n"))
            .boxed();
    }
    let folders = if module == "unarchive" { 20 } else { 1 };
    let files = (thing("f", folders), thing("l", folders), any::<bool>());
    files
        .prop_map(|(f, l, parts)| {
            let more =
                if parts { "mkdir parts repos; printf a >'parts/1 x'; printf 'b\\n' >parts/2\n" } else { "" };
            format!("{f}{l}{more}")
        })
        .boxed()
}

/// How many cases each module has on each shell.
fn cases() -> u32 {
    std::env::var("XPLAY_LAW_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(12)
}

fn laws(module: &str, wanted: impl Fn() -> BoxedStrategy<Wanted>) {
    // Its tar cannot compare, so that every run unpacks again; its tools for accounts cannot change any.
    let beyond_busybox = ["unarchive", "user", "group"].contains(&module);
    hold(
        module,
        1,
        |shell| {
            let refused = beyond_busybox && shell.name == "busybox";
            bench_of(shell, module).filter(|bench| !refused && possible(bench, module))
        },
        || states(module),
        wanted,
    );
}

/// Checks the laws on every shell for which there is a bench.
/// `share` is the part of the cases that is made where each takes long.
pub fn hold(
    module: &str,
    share: u32,
    bench: impl for<'s> Fn(&'s Shell) -> Option<Bench<'s>>,
    states: impl Fn() -> BoxedStrategy<String>,
    wanted: impl Fn() -> BoxedStrategy<Wanted>,
) {
    for shell in shells() {
        if bench(&shell).is_none() {
            println!("skipped: {module} by {}", shell.name);
            continue;
        }
        let cases = cases().div_ceil(share);
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 80, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let changes = Cell::new(0);
        let outcome = runner.run(&(states(), wanted()), |(state, wanted)| {
            let Some(bench) = bench(&shell) else { return Ok(()) };
            changes.set(changes.get() + u32::from(law(&bench, module, &state, &wanted)?));
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("{module} by {}: {error}", shell.name);
        }
        assert!(changes.get() * 12 >= cases, "{module}: only {} cases changed anything", changes.get());
    }
}

/// Accounts are made in copies of the system's folders.
fn bench_of<'s>(shell: &'s Shell, module: &str) -> Option<Bench<'s>> {
    if ["user", "group"].contains(&module) { Bench::rooted(shell) } else { Some(Bench::new(shell)) }
}

fn possible(bench: &Bench, module: &str) -> bool {
    match module {
        "user" | "group" => bench.has("useradd"),
        "sysctl" => bench.has("sysctl"),
        "authorized_key" | "cron" => bench.is_root(),
        _ => true,
    }
}

/// Checks one state with one call; tells whether something was changed.
fn law(bench: &Bench, module: &str, state: &str, wanted: &Wanted) -> Result<bool, TestCaseError> {
    bench.sh(state);
    let args = wanted.args.to_string();
    let before = bench.digest();
    let preview = bench.plan(module, &args, true);
    let prediction = bench.plan(module, &args, false);
    prop_assert_eq!(bench.digest(), before, "planning wrote");
    // What a run refuses the preview may still allow, as an earlier step could make it possible.
    let Ok(prediction) = prediction else { return Ok(false) };
    let before = bench.content();
    let preview = match preview {
        Ok(preview) => preview,
        // The tool told the preview what it will tell the run.
        Err(failure) => {
            let fails = bench.apply(module, &args, prediction).is_err();
            prop_assert!(fails, "the preview refuses what a run does: {}", failure.msg);
            prop_assert_eq!(bench.content(), before, "a failure left something behind");
            return Ok(false);
        }
    };
    // Where only the tool can tell, a preview may let it try without effect, and that must come true.
    let open = prediction.effect == Effect::Unknown;
    if !open {
        prop_assert_eq!(&preview.effect, &prediction.effect, "preview and run differ");
        prop_assert_eq!(&preview.touches, &prediction.touches, "preview and run differ");
    }
    let shows = |diff: &[Diff]| diff.iter().any(|diff| diff.before != diff.after);
    if preview.effect == Effect::Change {
        prop_assert!(shows(&preview.diff), "a plan with a change that shows nothing");
    }
    if wanted.settles && preview.effect == Effect::Change {
        foreseen(bench, module, &args, &preview)?;
    }
    let Ok(outcome) = bench.apply(module, &args, prediction.clone()) else {
        prop_assert_eq!(bench.content(), before, "a failure left something behind");
        return Ok(false);
    };
    if preview.effect != Effect::Unknown {
        prop_assert_eq!(outcome.changed, preview.effect == Effect::Change, "{:?}", preview.effect);
    }
    if outcome.changed && preview.effect == Effect::Change {
        prop_assert!(shows(&outcome.diff), "a change that shows nothing");
    }
    prop_assert_eq!(bench.leftovers(), Vec::<String>::new());
    came_true(bench, &prediction)?;
    if wanted.settles {
        // What only the tool can tell is asked of the tool.
        let again = bench.plan(module, &args, open);
        let again = again.map_err(|f| TestCaseError::fail(format!("a second time: {}", f.msg)))?;
        // What only looks does so each time.
        let settled = if prediction.effect == Effect::Read { Effect::Read } else { Effect::Same };
        prop_assert_eq!(again.effect, settled, "a second time: {:?}", again.diff);
    }
    Ok(outcome.changed)
}

/// The same step later in a plan sees what the first will leave, or says that it cannot know.
fn foreseen(bench: &Bench, module: &str, args: &str, first: &Prediction) -> Result<(), TestCaseError> {
    let mut world = World::default();
    world.add(&"first".into(), first.touches.iter().cloned(), Certainty::Certain);
    match bench.plan_after(module, args, true, &world) {
        Ok(later) => prop_assert!(
            matches!(later.effect, Effect::Same | Effect::Unknown),
            "a later step of the plan does not see what this one leaves: {:?}",
            later.diff
        ),
        Err(failure) => prop_assert!(failure.unknown.is_some(), "a later step of the plan: {}", failure.msg),
    }
    Ok(())
}

/// Compares what a prediction said of files with the files.
fn came_true(bench: &Bench, prediction: &Prediction) -> Result<(), TestCaseError> {
    for touch in &prediction.touches {
        let Touch::File { path, after } = touch else { continue };
        let path = bench.place(path);
        let found = fs::symlink_metadata(&path);
        match after {
            FileAfter::Absent => prop_assert!(found.is_err(), "{} is still there", path.display()),
            FileAfter::Dir(stat) => {
                let found = found.unwrap();
                prop_assert!(found.is_dir(), "{}", path.display());
                prop_assert_eq!(found.permissions().mode() & 0o7777, stat.mode, "{}", path.display());
            }
            FileAfter::Link(_) => prop_assert!(found.unwrap().is_symlink(), "{}", path.display()),
            FileAfter::File { stat, body } => {
                let found = fs::metadata(&path).unwrap();
                prop_assert_eq!(found.permissions().mode() & 0o7777, stat.mode, "{}", path.display());
                if let Body::Bytes(bytes) = body {
                    prop_assert_eq!(fs::read(&path).unwrap(), bytes.to_vec(), "{}", path.display());
                }
            }
        }
    }
    for diff in &prediction.diff {
        if let (DiffSide::Text(text), Ok(found)) = (&diff.after, fs::read(bench.place(&diff.after_header))) {
            prop_assert_eq!(&String::from_utf8_lossy(&found), text, "{}", diff.after_header);
        }
    }
    Ok(())
}

macro_rules! laws_of {
    ($($module:ident),* $(,)?) => {
        /// Modules whose laws are checked here.
        pub const MODULES: &[&str] = &[$(stringify!($module)),*];

        mod laws_of {
            $(#[test] fn $module() { super::laws(stringify!($module), super::$module); })*
        }
    };
}

laws_of!(
    copy,
    template,
    file,
    lineinfile,
    blockinfile,
    replace,
    ini_file,
    assemble,
    unarchive,
    yum_repository,
    sysctl,
    known_hosts,
    authorized_key,
    cron,
    mount,
    group,
    user,
);
