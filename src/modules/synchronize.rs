//! `synchronize`: makes a tree like another one by rsync, between this machine and a host or on one machine.
//!
//! The engine leads the task to where rsync runs and says in `_route` how rsync reaches the other side. rsync itself
//! foretells what it would do.

use super::sh::{expanded, q};
use super::tool::missing;
use super::{
    Action, ArgKind, ArgSpec, Call, Diff, DiffSide, Failure, FileAfter, Module, ModuleSpec, Outcome,
    Prediction, Run, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Unknown, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "synchronize",
    namespaces: &["ansible.posix"],
    about: "Makes a tree like another one, by rsync.",
    args: &[
        ArgSpec::new("src", ArgKind::Str, "Where it comes from.").required(),
        ArgSpec::new("dest", ArgKind::Str, "Where it goes.").required(),
        ArgSpec::new("mode", ArgKind::Str, "push sends to the host, pull fetches from it.")
            .default("push")
            .choices(&["pull", "push"]),
        ArgSpec::new("archive", ArgKind::Bool, "Everything about files is kept.").default("yes"),
        ArgSpec::new("checksum", ArgKind::Bool, "Compare contents, not times and sizes.").default("no"),
        ArgSpec::new("compress", ArgKind::Bool, "Compress on the way.").default("yes"),
        ArgSpec::new("existing_only", ArgKind::Bool, "Make nothing new.").default("no"),
        ArgSpec::new("delete", ArgKind::Bool, "Remove what the source does not have.").default("no"),
        ArgSpec::new("dirs", ArgKind::Bool, "Folders without what is in them.").default("no"),
        ArgSpec::new("recursive", ArgKind::Bool, "Go into folders; as archive if not given."),
        ArgSpec::new("links", ArgKind::Bool, "Links as links; as archive if not given."),
        ArgSpec::new("copy_links", ArgKind::Bool, "Links as what they lead to.").default("no"),
        ArgSpec::new("perms", ArgKind::Bool, "Keep permissions; as archive if not given."),
        ArgSpec::new("times", ArgKind::Bool, "Keep times; as archive if not given."),
        ArgSpec::new("owner", ArgKind::Bool, "Keep owners; as archive if not given."),
        ArgSpec::new("group", ArgKind::Bool, "Keep groups; as archive if not given."),
        ArgSpec::new("rsync_path", ArgKind::Str, "The command that is rsync on the other side."),
        ArgSpec::new("rsync_timeout", ArgKind::Int, "Seconds without data after which rsync gives up.")
            .default("0"),
        ArgSpec::new("rsync_opts", ArgKind::StrList, "More options of rsync.").default(""),
        ArgSpec::new("set_remote_user", ArgKind::Bool, "Log in as the task's user.").default("yes"),
        ArgSpec::new("use_ssh_args", ArgKind::Bool, "Accepted; the settings of the connection always count.")
            .default("no"),
        ArgSpec::new("ssh_connection_multiplexing", ArgKind::Bool, "Let ssh use a login that is there.")
            .default("no"),
        ArgSpec::new("partial", ArgKind::Bool, "Keep what arrived of a file when it is interrupted.")
            .default("no"),
        ArgSpec::new("verify_host", ArgKind::Bool, "Accepted; the host's key is checked as for other tasks.")
            .default("no"),
        ArgSpec::new("private_key", ArgKind::Str, "The key to log in with."),
        ArgSpec::new("dest_port", ArgKind::Int, "The port of the other side."),
        ArgSpec::new("link_dest", ArgKind::StrList, "Folders whose equal files are linked."),
        ArgSpec::new("delay_updates", ArgKind::Bool, "Put files into their places at the end.")
            .default("yes"),
        ArgSpec::new("_route", ArgKind::Dict, "Set by xplay: how rsync reaches the other side."),
    ],
    returns: &[
        ("cmd", "the command"),
        ("msg", "what rsync told"),
        ("rc", "its exit code"),
        ("stdout_lines", "what rsync told, line by line"),
    ],
    ..ModuleSpec::BASE
};

pub struct Synchronize;

const MARK: &str = "<<CHANGED>>";

impl Module for Synchronize {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn logs_in_itself(&self) -> bool {
        true
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        Ok(Some(script(call, true)?))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let sides = Sides::of(call)?;
        // What earlier steps change on the task's host is not known to rsync yet.
        let fetches = sides.pulls && !sides.local;
        let there = if fetches { &sides.src } else { &sides.dest };
        let there = there.rsplit_once(':').map_or(there.as_str(), |(_, path)| path).trim_end_matches('/');
        call.needs_untouched(there)?;
        let above = there.rsplit_once('/').map_or("", |(above, _)| above);
        let made = |path: &str| -> Result<bool, Failure> {
            Ok(matches!(call.foreseen_file(path)?, Some(FileAfter::Dir(_) | FileAfter::File { .. }))
                || call.world.makes_folder(path))
        };
        let ran = Ran::of(seen.rc, &seen.stdout, &seen.stderr)?;
        if ran.rc != 0 {
            if made(there)? || made(above)? {
                let cause = format!("{there} is made by an earlier step");
                return Err(Failure::unknown(Unknown { cause: cause.into() }));
            }
            let failure = ran.failure(call);
            return Err(Failure { msg: missing_or(call, &failure.msg)?, ..failure });
        }
        let link_dest = args.list("link_dest").is_some_and(|list| !list.is_empty());
        let changes = if link_dest { !ran.out.contains(&format!("{MARK}.")) } else { ran.out.contains(MARK) };
        let told = ran.out.replace(MARK, "");
        let mut result = Map::from_iter([("msg", Value::str(told.as_str())), ("rc", 0.into())]);
        result.insert("cmd", command(call, call.check)?);
        result.insert("stdout_lines", lines(&told));
        if !changes {
            return Ok(Prediction::same(result));
        }
        let run = Run { script: script(call, false)?, ..Run::default() };
        let mut prediction = Prediction::change(result, vec![Action::Run(run)]).diff(Diff {
            before_header: String::new(),
            after_header: format!("{} (by rsync)", sides.dest),
            before: DiffSide::Text(String::new()),
            after: DiffSide::Text(told),
        });
        if args.flag("delete")
            && prediction.result.get("msg").is_some_and(|msg| msg.to_text().contains("*deleting"))
        {
            prediction
                .consequences
                .push(format!("files in {} that the source does not have are removed", sides.dest));
        }
        if !fetches {
            prediction = prediction.touch(Touch::Tree { path: there.to_string() });
        }
        Ok(prediction)
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let mut outcome = prediction.into_outcome();
        for output in ran {
            let ran = Ran::of(output.rc, &output.stdout, &output.stderr)?;
            if ran.rc != 0 {
                return Err(ran.failure(call));
            }
            let told = ran.out.replace(MARK, "");
            outcome.result.insert("stdout_lines", lines(&told));
            outcome.result.insert("msg", told);
        }
        Ok(outcome)
    }
}

fn missing_or(call: &Call, msg: &str) -> Result<String, Failure> {
    let failure = missing(call, msg);
    if failure.unknown.is_some() { Err(failure) } else { Ok(msg.to_string()) }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.is_empty()).map(str::to_string).collect()
}

/// What rsync did or foretold.
struct Ran {
    rc: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(rc: i32, stdout: &[u8], stderr: &[u8]) -> Result<Ran, Failure> {
        let out = String::from_utf8_lossy(stdout).into_owned();
        let err = String::from_utf8_lossy(stderr).into_owned();
        if rc == 127 {
            return Ok(Ran { rc, out, err });
        }
        let (err, code) = err
            .rsplit_once("xp_rc ")
            .and_then(|(err, code)| Some((err.trim_end_matches('\n').to_string(), code.trim().parse().ok()?)))
            .ok_or_else(|| Failure::new(format!("rsync did not end as expected: {}", err.trim())))?;
        Ok(Ran { rc: code, out, err })
    }

    fn failure(&self, call: &Call) -> Failure {
        let route = call.args.get("_route");
        let host = route.and_then(|route| route.get("host")).map(Value::to_text).unwrap_or_default();
        let there =
            ["rsync: not found", "rsync: command not found", "rsync: No such file", "rsync: inaccessible"];
        let refused = self.err.contains("Permission denied (") || self.err.contains("a password is required");
        let password = route.and_then(|route| route.get("password")).is_some_and(Value::is_truthy);
        let msg = if self.rc == 127 && self.out.contains("xp_no_rsync") {
            "there is no rsync on the machine that is to run it".to_string()
        } else if there.iter().any(|words| self.err.contains(words)) {
            format!("there is no rsync on {host}: {}", self.err.trim())
        } else if refused && password {
            format!(
                "{}: rsync logs in by itself, and no password can be given to it; use keys",
                self.err.trim()
            )
        } else {
            self.err.trim().to_string()
        };
        Failure::new(msg).with("rc", self.rc).with("cmd", command(call, call.check).unwrap_or_default())
    }
}

/// Both sides as rsync takes them.
struct Sides {
    src: String,
    dest: String,
    pulls: bool,
    /// On one machine.
    local: bool,
}

impl Sides {
    fn of(call: &Call) -> Result<Sides, Failure> {
        let args = &call.args;
        let get = |name: &str| args.str(name).unwrap_or_default();
        let route = |key: &str| args.get("_route").and_then(|route| route.get(key)).map(Value::to_text);
        let pulls = get("mode") == "pull";
        let (src, dest) = (get("src"), get("dest"));
        if [src, dest].iter().any(|path| path.is_empty() || path.contains('\0')) {
            return Err(Failure::new("synchronize requires both src and dest parameters are set"));
        }
        if src.starts_with("rsync://") && dest.starts_with("rsync://") {
            return Err(Failure::new("either src or dest must be a localhost").with("rc", 1));
        }
        let here = |path: &str, source: bool| -> Result<String, Failure> {
            let text = expanded(call.target, call.environment, path);
            if text.contains(':') || text.starts_with('/') || route("controller").as_deref() == Some("False")
            {
                return Ok(text);
            }
            let mut found = if source {
                call.local.find("files", &text).map_err(Failure::new)?.display().to_string()
            } else {
                call.local.base_dir().join(&text).display().to_string()
            };
            if text.ends_with('/') && !found.ends_with('/') {
                found.push('/');
            }
            Ok(found)
        };
        let there = |path: &str, remote: &str| {
            if path.starts_with("rsync://") || path.contains(':') {
                path.to_string()
            } else {
                format!("{remote}:{path}")
            }
        };
        let (src, dest, local) = match route("remote") {
            None => (here(src, true)?, here(dest, false)?, true),
            Some(remote) if pulls => (there(src, &remote), here(dest, false)?, false),
            Some(remote) => (here(src, true)?, there(dest, &remote), false),
        };
        Ok(Sides { src, dest, pulls, local })
    }
}

/// Returns the script that runs rsync; its exit code is the last word on stderr.
fn script(call: &Call, foretell: bool) -> Result<String, Failure> {
    let route = call.args.get("_route");
    let rsync = route.and_then(|route| route.get("rsync")).map_or("rsync".to_string(), Value::to_text);
    Ok(format!(
        "command -v {} >/dev/null 2>&1 || {{ echo xp_no_rsync; exit 127; }}\nLC_ALL=C {} </dev/null\nprintf '\\nxp_rc %s\\n' $? >&2\n",
        q(&rsync),
        command(call, foretell)?
    ))
}

/// Returns the command line.
fn command(call: &Call, foretell: bool) -> Result<String, Failure> {
    let args = &call.args;
    let sides = Sides::of(call)?;
    let route = args.get("_route");
    let of_route = |key: &str| route.and_then(|route| route.get(key));
    let mut words = vec![of_route("rsync").map_or("rsync".to_string(), Value::to_text)];
    let mut add = |word: &str| words.push(word.to_string());
    if args.flag("delay_updates") {
        add("--delay-updates");
        add("-F");
    }
    if args.flag("compress") {
        add("--compress");
    }
    if let Some(seconds) = args.int("rsync_timeout").filter(|seconds| *seconds != 0) {
        add(&format!("--timeout={seconds}"));
    }
    if foretell {
        add("--dry-run");
    }
    for (name, word) in [
        ("delete", "--delete-after"),
        ("existing_only", "--existing"),
        ("checksum", "--checksum"),
        ("copy_links", "--copy-links"),
    ] {
        if args.flag(name) {
            add(word);
        }
    }
    let archive = args.flag("archive");
    if archive {
        add("--archive");
    }
    for name in ["recursive", "links", "perms", "times", "owner", "group"] {
        match (archive, args.bool(name)) {
            (true, Some(false)) => add(&format!("--no-{name}")),
            (false, Some(true)) => add(&format!("--{name}")),
            _ => {}
        }
    }
    if args.flag("dirs") {
        add("--dirs");
    }
    let opts = args.texts("rsync_opts");
    let remote =
        [&sides.src, &sides.dest].iter().any(|path| path.contains(':') && !path.starts_with("rsync://"));
    if remote
        && !opts.iter().any(|opt| opt.contains("--rsh"))
        && let Some(Value::List(rsh)) = of_route("rsh")
    {
        let shell: Vec<String> = rsh.iter().map(|word| rsh_word(&word.to_text())).collect();
        add(&format!("--rsh={}", shell.join(" ")));
    }
    let path =
        args.str("rsync_path").map(str::to_string).or_else(|| of_route("rsync_path").map(Value::to_text));
    if let Some(path) = path.filter(|path| !path.is_empty()) {
        add(&format!("--rsync-path={path}"));
    }
    opts.iter().filter(|opt| !opt.is_empty()).for_each(|opt| add(opt));
    if args.flag("partial") {
        add("--partial");
    }
    let link_dest = args.texts("link_dest");
    if !link_dest.is_empty() {
        add("-H");
        add("-vv");
        let parent = sides.dest.rsplit_once('/').map_or("", |(above, _)| above);
        for path in &link_dest {
            let path = expanded(call.target, call.environment, path);
            if parent.starts_with(&path) {
                return Err(Failure::new(format!(
                    "Hardlinking into a subdirectory of the source would cause recursion. {parent} and {}",
                    sides.dest
                )));
            }
            add(&format!("--link-dest={path}"));
        }
    }
    add(&format!("--out-format={MARK}%i %n%L"));
    add("--");
    add(&sides.src);
    add(&sides.dest);
    let plain = |word: &String| word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=./:@,+%".contains(&b));
    let shown = |word: &String| if plain(word) { word.clone() } else { q(word) };
    Ok(words.iter().map(shown).collect::<Vec<_>>().join(" "))
}

/// Quotes a word as rsync reads the command of `--rsh`: within quotes a doubled quote stands for itself.
fn rsh_word(word: &str) -> String {
    if word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=./:@,+%".contains(&b)) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    fn route(pairs: &[(&str, Value)]) -> Value {
        Value::map(pairs.iter().map(|(key, value)| (*key, value.clone())).collect())
    }

    fn case(given: &[(&str, &str)], route: Value) -> Case {
        let mut all = args(&[("src", "/a/"), ("dest", "/b")]);
        all.extend(args(given));
        all.insert("_route", route);
        Case::new(&Synchronize, all)
    }

    fn check(given: &[(&str, &str)], to: &[(&str, Value)], expect: &str) {
        let script = case(given, route(to)).probe().unwrap().unwrap();
        let line = script.lines().nth(1).unwrap();
        let line = line.strip_prefix("LC_ALL=C rsync ").unwrap().strip_suffix(" </dev/null").unwrap();
        let line = line.replace(" '--out-format=<<CHANGED>>%i %n%L' --", "");
        assert_eq!(line, expect, "{given:?}");
    }

    #[test]
    fn calls_rsync() {
        let usual = "--delay-updates -F --compress --dry-run --archive";
        check(&[], &[], &format!("{usual} /a/ /b"));
        check(
            &[
                ("archive", "no"),
                ("recursive", "yes"),
                ("delete", "yes"),
                ("compress", "no"),
                ("delay_updates", "no"),
            ],
            &[],
            "--dry-run --delete-after --recursive /a/ /b",
        );
        check(
            &[("owner", "no"), ("rsync_opts", "--exclude=it's")],
            &[],
            &format!("{usual} --no-owner '--exclude=it'\\''s' /a/ /b"),
        );
        let to = [
            ("remote", Value::str("ada@n1")),
            ("rsh", Value::from(vec!["ssh".to_string(), "-i".to_string(), "a b".to_string()])),
            ("rsync_path", Value::str("sudo -n -u 'root' rsync")),
        ];
        let remote = "'--rsh=ssh -i '\\''a b'\\''' '--rsync-path=sudo -n -u '\\''root'\\'' rsync'";
        check(&[], &to, &format!("{usual} {remote} /a/ ada@n1:/b"));
        check(&[("mode", "pull")], &to, &format!("{usual} {remote} ada@n1:/a/ /b"));
        check(
            &[("dest", "rsync://h/m")],
            &to,
            &format!("{usual} '--rsync-path=sudo -n -u '\\''root'\\'' rsync' /a/ rsync://h/m"),
        );
    }

    fn planned(out: &str, err: &str) -> Result<Prediction, Failure> {
        let mut seen = Seen { stdout: out.into(), stderr: err.into(), ..Seen::default() };
        if out == "xp_no_rsync\n" {
            seen.rc = 127;
        }
        case(&[], route(&[("host", Value::str("n1"))])).plan_seen(&seen)
    }

    #[test]
    fn believes_what_rsync_foretells() {
        assert!(!planned("", "\nxp_rc 0\n").unwrap().changes());
        let changed = planned("<<CHANGED>>cd+++++++++ d/\n", "\nxp_rc 0\n").unwrap();
        assert!(changed.changes());
        assert_eq!(changed.result.get("msg").unwrap().to_text(), "cd+++++++++ d/\n");
        let fails = |out: &str, err: &str, expect: &str| {
            assert_eq!(planned(out, err).unwrap_err().msg, expect);
        };
        fails("", "rsync: change_dir failed\n\nxp_rc 23\n", "rsync: change_dir failed");
        fails("xp_no_rsync\n", "", "there is no rsync on the machine that is to run it");
        fails(
            "",
            "sh: 1: rsync: not found\nrsync error: x\n\nxp_rc 12\n",
            "there is no rsync on n1: sh: 1: rsync: not found\nrsync error: x",
        );
    }
}
