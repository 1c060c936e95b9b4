//! `git`: a working copy at a version of its repository.
//!
//! The probe asks the remote for the version, so that a preview knows whether something comes, and a working copy that
//! is as wanted is not touched.

use super::git_script::{self, Extra, Way};
use super::sh::{Report, expand_path, q};
use super::write::named_diff;
use super::{
    Action, ArgKind, ArgSpec, Call, Effect, Failure, FileAfter, Module, ModuleSpec, Outcome, Prediction,
    Rule, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

const STR: ArgKind = ArgKind::Str;
const BOOL: ArgKind = ArgKind::Bool;
const PATH: ArgKind = ArgKind::Path;

static SPEC: ModuleSpec = ModuleSpec {
    name: "git",
    about: "Makes a working copy of a git repository, and updates it.",
    args: &[
        ArgSpec::new("repo", STR, "Where the repository is.").required().aliases(&["name"]),
        ArgSpec::new("dest", PATH, "Where the working copy goes."),
        ArgSpec::new("version", STR, "A branch, a tag, a commit, or HEAD.").default("HEAD"),
        ArgSpec::new("remote", STR, "What the remote is called.").default("origin"),
        ArgSpec::new("refspec", STR, "What else to fetch."),
        ArgSpec::new("reference", STR, "A repository to take objects from."),
        ArgSpec::new("force", BOOL, "Discard local changes.").default("no"),
        ArgSpec::new("depth", ArgKind::Int, "How many commits to get."),
        ArgSpec::new("clone", BOOL, "Make a working copy that is absent.").default("yes"),
        ArgSpec::new("update", BOOL, "Update one that is there.").default("yes"),
        ArgSpec::new("verify_commit", BOOL, "The commit or tag must be signed.").default("no"),
        ArgSpec::new("gpg_allowlist", ArgKind::StrList, "Fingerprints of keys that may sign.")
            .default("")
            .aliases(&["gpg_whitelist"]),
        ArgSpec::new("accept_hostkey", BOOL, "Accept any key of the SSH server.").default("no"),
        ArgSpec::new("accept_newhostkey", BOOL, "Accept the key of an SSH server that is not known yet.")
            .default("no"),
        ArgSpec::new("key_file", PATH, "The private key for SSH."),
        ArgSpec::new("ssh_opts", STR, "More options for SSH."),
        ArgSpec::new("executable", PATH, "The git program."),
        ArgSpec::new("bare", BOOL, "Make a bare repository.").default("no"),
        ArgSpec::new("recursive", BOOL, "With submodules.").default("yes"),
        ArgSpec::new("single_branch", BOOL, "Get only the history of the version.").default("no"),
        ArgSpec::new("track_submodules", BOOL, "Submodules follow their branches.").default("no"),
        ArgSpec::new("umask", ArgKind::Raw, "The umask for new files, as octal text."),
        ArgSpec::new("archive", PATH, "Pack the version into this file."),
        ArgSpec::new("archive_prefix", STR, "A folder for all files in the archive."),
        ArgSpec::new("separate_git_dir", PATH, "Where the repository itself goes."),
    ],
    rules: &[
        Rule::Exclusive(&["separate_git_dir", "bare"]),
        Rule::Exclusive(&["accept_hostkey", "accept_newhostkey"]),
    ],
    returns: &[
        ("before", "the commit before"),
        ("after", "the commit afterwards"),
        ("remote_url_changed", "whether the repository's address changed"),
        ("submodules_changed", "whether submodules changed"),
        ("git_dir_before", "where the repository itself was"),
        ("git_dir_now", "where it is now"),
        ("msg", "about local changes that were discarded"),
    ],
    ..ModuleSpec::BASE
};

pub struct Git;

impl Module for Git {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        if !args.has("dest") && args.flag("clone") {
            return Err(Failure::new("the destination directory must be specified unless clone=no"));
        }
        if args.has("archive_prefix") && !args.has("archive") {
            return Err(Failure::new("missing parameter(s) required by 'archive_prefix': archive"));
        }
        if let Some(archive) = args.str("archive") {
            git_script::archive_format(archive)?;
        }
        let mut script = git_script::head(call)?;
        add!(
            script,
            "command -v \"$xp_g\" >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\nxp_b=\nif [ -n \"$xp_dest\" ] && [ -e \"$xp_dir/config\" ]; then\nprintf 'there yes\\n'\n\
             printf 'before %s\\n' \"$(xp_in rev-parse HEAD 2>/dev/null)\"\nxp_tell url \"$(xp_in ls-remote --get-url \"$xp_r\" 2>/dev/null)\"\nxp_tell dir \"$xp_dir\"\n\
             xp_b=$(xp_in symbolic-ref -q HEAD) || xp_b=$(xp_in symbolic-ref -q \"refs/remotes/$xp_r/HEAD\")\nxp_b=${{xp_b#refs/heads/}}\nxp_b=${{xp_b#refs/remotes/$xp_r/}}\nxp_tell branch \"$xp_b\"\n\
             xp_in symbolic-ref -q HEAD >/dev/null || printf 'detached yes\\n'\n"
        );
        if !args.flag("bare") {
            script +=
                "xp_in status --porcelain 2>/dev/null | grep -v '^??' | sed 's/.*/mods yes/' | head -n 1\n";
            if args.flag("recursive") {
                script += "if [ -e \"$xp_dest/.gitmodules\" ]; then printf 'modules yes\\n'; xp_in submodule status 2>/dev/null | grep -v '^ ' | sed 's/.*/submodules yes/' | head -n 1; fi\n";
            }
        }
        let skip = if args.flag("update") { "" } else { "exit 0\n" };
        // A whole commit is not asked for: the remote would not tell.
        let ask = if is_commit(version(call)) {
            ""
        } else {
            "if xp_o=$(\"$xp_g\" ls-remote \"$xp_repo\" HEAD \"refs/heads/${xp_b:-HEAD}\" \"refs/heads/$xp_v\" \"refs/tags/$xp_v\" \"refs/tags/$xp_v^{}\" 2>&1 </dev/null); then\n\
             printf '%s\\n' \"$xp_o\" | sed -n 's/^\\([0-9a-f]\\{40,\\}\\)[[:space:]]/ref \\1 /p'\nelse xp_tell trouble \"$xp_o\"; fi\n"
        };
        add!(script, "{skip}fi\n{ask}");
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        if report.get("missing").is_some() {
            return Err(super::tool::missing(call, "there is no git on the target; install git"));
        }
        let dest = args.str("dest").map(|d| expand_path(call, d)).transpose()?.unwrap_or_default();
        let mut there = report.get("there").is_some();
        if let Some(FileAfter::Absent | FileAfter::Dir(_)) = call.foreseen_file(&dest)? {
            there = false;
        }
        let mut result = Map::new();
        if there && !args.flag("update") {
            let before = report.get("before");
            result.insert("before", before);
            result.insert("after", before);
            return archived(call, result, &dest);
        }
        if let Some(trouble) = report.word("trouble") {
            return Err(Failure::new(trouble.trim()).with("rc", 128));
        }
        let (head, kind) = remote_head(call, &report);
        let way = Way { kind, branch: report.word("branch").unwrap_or_default() };
        if !there {
            result.insert("before", Value::Null);
            result.insert("after", head.clone().map_or_else(unknown, Value::from));
            let diff = named_diff(&format!("git {dest}"), None, Some(commit(head.as_deref())));
            if !args.flag("clone") {
                // Asked for information only; as Ansible says it, that is a change.
                let mut prediction = Prediction::same(result);
                prediction.effect = Effect::Change;
                return Ok(prediction);
            }
            let script = git_script::clone(call, &way)?;
            return Ok(Prediction::change(result, vec![Action::run(script)])
                .touch(Touch::Tree { path: dest })
                .diff(diff));
        }
        let before = report.get("before").unwrap_or_default().to_string();
        result.insert("before", before.as_str());
        let mods = report.get("mods").is_some();
        if mods && !args.flag("force") {
            return Err(Failure {
                msg: format!("Local modifications exist in the destination: {dest} (force=no)."),
                result,
                ..Failure::default()
            });
        }
        let url = report.word("url").unwrap_or_default();
        let url_changed = !url.is_empty() && plain_url(&url) != plain_url(&repo(call));
        result.insert("remote_url_changed", url_changed);
        let at_version = match &head {
            Some(head) => *head == before,
            None => version(call).len() >= 7 && before.starts_with(version(call)),
        };
        let after = match &head {
            _ if at_version => before.as_str().into(),
            Some(head) => head.as_str().into(),
            None => unknown(),
        };
        result.insert("after", after);
        let tracks = args.flag("track_submodules") && report.get("modules").is_some();
        let submodules = report.get("submodules").is_some();
        let relocates = args.str("separate_git_dir").map(|d| expand_path(call, d)).transpose()?;
        let relocates = relocates.is_some_and(|to| report.word("dir").as_deref() != Some(to.as_str()));
        if mods {
            result.insert("msg", format!("Local modifications exist in the destination: {dest}"));
        }
        let on_branch = match way.kind {
            Kind::Branch => report.get("detached").is_none() && way.branch == version(call),
            Kind::Head => report.get("detached").is_none(),
            Kind::Other => true,
        };
        let changes = !at_version || url_changed || mods || submodules || relocates;
        let works = changes || tracks || (!on_branch && !args.flag("bare")) || args.flag("verify_commit");
        if !works {
            return archived(call, result, &dest);
        }
        let script = git_script::update(call, &way, Extra { mods, relocates })?;
        let mut prediction = Prediction::change(result, vec![Action::run(script)]);
        if changes || args.has("archive") {
            prediction.touches.push(Touch::Tree { path: dest.clone() });
            prediction.diff.push(named_diff(
                &format!("git {dest}"),
                Some(commit(Some(&before))),
                Some(commit(head.as_deref())),
            ));
        } else {
            // The commit stays; what else there is to do does not count.
            prediction.effect = Effect::Same;
        }
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let mut outcome = prediction.into_outcome();
        for output in ran {
            if output.rc != 0 {
                let mut failure = Failure::from_output(output);
                if let Some(before) = outcome.result.get("before") {
                    failure = failure.with("before", before.clone());
                }
                return Err(failure);
            }
            let report = Report::parse(&output.stdout);
            if let Some(after) = report.get("after") {
                let before = outcome.result.get("before").and_then(Value::as_str).unwrap_or_default();
                outcome.changed = before != after
                    || ["moved", "mods", "url", "submodules", "archived"]
                        .iter()
                        .any(|k| report.get(k).is_some());
                outcome.result.insert("after", after);
            }
            if report.get("submodules").is_some() {
                outcome.result.insert("submodules_changed", true);
            }
            for (key, tag) in [("git_dir_before", "moved"), ("git_dir_now", "moved_to")] {
                if let Some(path) = report.word(tag) {
                    outcome.result.insert(key, path);
                }
            }
            outcome.warnings.extend(report.all("warning").filter_map(super::sh::word));
        }
        Ok(outcome)
    }
}

/// What a version is at the remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Head,
    Branch,
    /// A tag or a commit.
    Other,
}

/// Predicts for a working copy that stays as it is; only the archive may be made.
fn archived(call: &Call, result: Map, dest: &str) -> Result<Prediction, Failure> {
    let Some(archive) = call.args.str("archive") else { return Ok(Prediction::same(result)) };
    let archive = expand_path(call, archive)?;
    let script = git_script::archive_only(call)?;
    let side = |state: &str| Some(Map::from_iter([("archive", state)]));
    Ok(Prediction::change(result, vec![Action::run(script)])
        .touch(Touch::Tree { path: archive.clone() })
        .diff(named_diff(&archive, None, side(&format!("made from {dest}")))))
}

pub fn version<'a>(call: &'a Call) -> &'a str {
    call.args.str("version").unwrap_or("HEAD")
}

/// Returns the repository's address; a path is written as one.
pub fn repo(call: &Call) -> String {
    let repo = call.args.str("repo").unwrap_or_default();
    let expanded = match repo.strip_prefix("~/") {
        Some(rest) => format!("{}/{rest}", call.target.home.trim_end_matches('/')),
        None => repo.to_string(),
    };
    if expanded.starts_with('/') { format!("file://{expanded}") } else { repo.to_string() }
}

fn plain_url(url: &str) -> String {
    url.strip_prefix("file://").unwrap_or(url).trim_end_matches('/').to_string()
}

fn is_commit(version: &str) -> bool {
    matches!(version.len(), 40 | 64) && version.chars().all(|c| c.is_ascii_hexdigit())
}

fn unknown() -> Value {
    Value::unknown("a commit that was not fetched yet")
}

fn commit(id: Option<&str>) -> Map {
    Map::from_iter([("commit", id.unwrap_or("(not known before it is fetched)"))])
}

/// Returns the commit that the version is at the remote, and what it is.
fn remote_head(call: &Call, report: &Report) -> (Option<String>, Kind) {
    let version = version(call);
    let find = |name: &str| {
        report
            .all("ref")
            .filter_map(|l| l.split_once(' '))
            .find(|(_, n)| *n == name)
            .map(|(id, _)| id.to_string())
    };
    if is_commit(version) {
        return (Some(version.to_lowercase()), Kind::Other);
    }
    if version == "HEAD" {
        let branch = report.word("branch").unwrap_or_default();
        let own = if branch.is_empty() { None } else { find(&format!("refs/heads/{branch}")) };
        return (own.or_else(|| find("HEAD")), Kind::Head);
    }
    if let Some(id) = find(&format!("refs/heads/{version}")) {
        return (Some(id), Kind::Branch);
    }
    let tag = format!("refs/tags/{version}");
    (find(&format!("{tag}^{{}}")).or_else(|| find(&tag)), Kind::Other)
}

/// Returns a path as shell text; nothing gives an empty word.
pub fn path_word(call: &Call, name: &str) -> Result<String, Failure> {
    Ok(match call.args.str(name) {
        Some(path) => q(&expand_path(call, path)?),
        None => "''".to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn check(given: &[(&str, &str)], seen: &str, effect: Effect, acts: bool, result: &str) {
        let mut given = given.to_vec();
        given.extend([("repo", "http://x.org/r.git"), ("dest", "/srv/r")]);
        let prediction = Case::new(&Git, args(&given)).plan(seen).unwrap();
        assert_eq!(
            (prediction.effect.clone(), prediction.change.is_some()),
            (effect, acts),
            "{given:?} {seen}"
        );
        let known: Map = prediction
            .result
            .iter()
            .filter(|(_, v)| !v.is_unknown())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        assert_eq!(Value::map(known).repr(), result, "{given:?}");
    }

    fn there(at: &str, rest: &str) -> String {
        format!("there yes\nbefore {at}\nurl =http://x.org/r.git\nbranch =main\n{rest}")
    }

    #[test]
    fn new_copies() {
        let seen = format!("ref {A} HEAD\nref {B} refs/heads/dev\n");
        check(&[], &seen, Effect::Change, true, &format!("{{'before': None, 'after': '{A}'}}"));
        check(
            &[("version", "dev")],
            &seen,
            Effect::Change,
            true,
            &format!("{{'before': None, 'after': '{B}'}}"),
        );
        check(&[("version", "abc1234")], &seen, Effect::Change, true, "{'before': None}");
        check(
            &[("clone", "no")],
            &seen,
            Effect::Change,
            false,
            &format!("{{'before': None, 'after': '{A}'}}"),
        );
    }

    #[test]
    fn updates() {
        let head = format!("ref {A} HEAD\nref {A} refs/heads/main\n");
        let same = format!("{{'before': '{A}', 'remote_url_changed': False, 'after': '{A}'}}");
        check(&[], &there(A, &head), Effect::Same, false, &same);
        check(
            &[],
            &there(B, &head),
            Effect::Change,
            true,
            &format!("{{'before': '{B}', 'remote_url_changed': False, 'after': '{A}'}}"),
        );
        check(&[("version", A)], &there(A, "detached yes\n"), Effect::Same, false, &same);
        check(&[("version", "aaaaaaa")], &there(A, &head), Effect::Same, false, &same);
        // Another branch at the same commit: it is checked out, and that is no change.
        let dev = format!("{head}ref {A} refs/heads/dev\n");
        check(&[("version", "dev")], &there(A, &dev), Effect::Same, true, &same);
        let tag = format!("{head}ref {B} refs/tags/v1\nref {A} refs/tags/v1^{{}}\n");
        check(&[("version", "v1")], &there(A, &tag), Effect::Same, false, &same);
        check(
            &[],
            &there(A, &head).replace("x.org", "y.org"),
            Effect::Change,
            true,
            &same.replace("False", "True"),
        );
        check(
            &[("update", "no")],
            &there(B, ""),
            Effect::Same,
            false,
            &format!("{{'before': '{B}', 'after': '{B}'}}"),
        );
        check(&[], &there(A, &format!("{head}modules yes\nsubmodules yes\n")), Effect::Change, true, &same);
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            let mut given = given.to_vec();
            given.push(("repo", "http://x.org/r.git"));
            assert_eq!(Case::new(&Git, args(&given)).plan(seen).unwrap_err().msg, expect);
        };
        fails(&[], "", "the destination directory must be specified unless clone=no");
        fails(
            &[("dest", "/srv/r")],
            &there(A, "mods yes\n"),
            "Local modifications exist in the destination: /srv/r (force=no).",
        );
        fails(&[("dest", "/srv/r")], "trouble =refused\n", "refused");
        fails(&[("dest", "/srv/r")], "missing yes\n", "there is no git on the target; install git");
        fails(
            &[("dest", "/srv/r"), ("archive", "/a.rar")],
            "",
            "Unable to get file extension from archive file name : /a.rar",
        );
    }
}
