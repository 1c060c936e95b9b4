//! `fetch`: a file of the target to this side.

use std::path::{Component, Path, PathBuf};

use super::check::source_and_destination;
use super::local::{Digests, sha256};
use super::sh::{FileKind, Report, expand_path, q};
use super::write::content_diff;
use super::{
    Action, ArgKind, ArgSpec, Args, Call, DiffSide, Failure, LocalFiles, Module, ModuleSpec, Outcome,
    Prediction, Seen,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "fetch",
    about: "Copies a file of the target to this side.",
    args: &[
        ArgSpec::new("src", ArgKind::Path, "The file on the target.").required(),
        ArgSpec::new("dest", ArgKind::Str, "The folder here; the host's name and the file's path are added.")
            .required(),
        ArgSpec::new("flat", ArgKind::Bool, "dest is the file itself, or with / at the end its folder.")
            .default("no"),
        ArgSpec::new("fail_on_missing", ArgKind::Bool, "An absent file is a failure.").default("yes"),
        ArgSpec::new("validate_checksum", ArgKind::Bool, "Compare what arrived with what was there.")
            .default("yes"),
    ],
    own_check: Some(own_check),
    returns: &[("dest", "the file here"), ("checksum", "its sha1"), ("md5sum", "its md5")],
    ..ModuleSpec::BASE
};

fn own_check(given: &Map) -> Result<(), Failure> {
    source_and_destination(given)?;
    for (name, what) in [("src", "source"), ("dest", "dest")] {
        if given.get(name).is_some_and(|v| matches!(v, Value::List(_) | Value::Map(_))) {
            return Err(Failure::new(format!(
                "Invalid type supplied for {what} option, it must be a string"
            )));
        }
    }
    Ok(())
}

pub struct Fetch;

impl Module for Fetch {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let path = q(&expand_path(call, call.args.str("src").unwrap_or_default())?);
        Ok(Some(format!(
            "xp_p={path}\nprintf 'stat '; xp_stat -L \"$xp_p\"\nif [ -f \"$xp_p\" ]; then\n\
             [ -r \"$xp_p\" ] || xp_fail \"file is not readable: $xp_p\"\n\
             printf 'sha256 %s\\n' \"$(xp_sha256 \"$xp_p\")\"; printf 'sha1 %s\\n' \"$(xp_sha1 \"$xp_p\")\"; printf 'md5 %s\\n' \"$(xp_md5 \"$xp_p\" 2>/dev/null)\"\nfi\n"
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let src = args.str("src").unwrap_or_default();
        let report = Report::of(seen)?;
        call.needs_untouched(&expand_path(call, src)?)?;
        if report.get("stat").is_some_and(|line| line.starts_with("error ")) {
            return Err(Failure::new(format!("file is not readable: {src}")).with("file", src));
        }
        let mut result = Map::new();
        result.insert("file", src);
        let problem = match report.stat("stat")? {
            None => Some("the remote file does not exist"),
            Some(stat) if stat.kind == FileKind::Dir => {
                Some("remote file is a directory, fetch cannot work on directories")
            }
            Some(_) => None,
        };
        if let Some(problem) = problem {
            if args.flag("fail_on_missing") {
                return Err(Failure::new(problem).with("file", src));
            }
            result.insert("msg", format!("{problem}, not transferring, ignored"));
            return Ok(Prediction::same(result));
        }
        let dest = destination(args, call.local, &call.target.host)?;
        let digest = report.need("sha256")?.to_string();
        let here = call.local.open(&dest).ok().and_then(|file| Digests::of_reader(file).ok());
        result.insert("dest", dest.to_string_lossy().into_owned());
        result.insert("checksum", report.get("sha1").unwrap_or_default());
        result.insert("md5sum", report.get("md5").unwrap_or_default());
        result.insert("remote_md5sum", Value::Null);
        result.insert("remote_checksum", report.get("sha1").unwrap_or_default());
        if here.as_ref().is_some_and(|d| d.sha256 == digest) {
            return Ok(Prediction::same(result));
        }
        // What arrives is compared with this before it is called done.
        result.insert("xplay_sha256", digest.as_str());
        let size = report.stat("stat")?.map_or(0, |s| s.size);
        let diff = content_diff(
            &dest.to_string_lossy(),
            here.map_or(DiffSide::Absent, |d| DiffSide::Binary { size: d.size, sha256: d.sha256 }),
            DiffSide::Binary { size, sha256: digest },
        );
        let script = format!("exec cat -- {}\n", q(&expand_path(call, src)?));
        let actions = vec![Action::run(script), Action::SaveLocal { path: dest, from: 0, mode: None }];
        Ok(Prediction::change(result, actions).diff(diff))
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let digest = prediction.result.remove("xplay_sha256");
        if let Some(failed) = ran.iter().find(|o| o.rc != 0) {
            return Err(Failure::from_output(failed));
        }
        if let (Some(output), Some(digest)) = (ran.first(), digest) {
            if output.truncated {
                return Err(Failure::new("the file is too big to be fetched whole"));
            }
            let arrived = sha256(&output.stdout);
            if call.args.flag("validate_checksum") && Value::str(arrived.as_str()) != digest {
                return Err(Failure::new("checksum mismatch")
                    .with("remote_checksum", digest)
                    .with("checksum", arrived));
            }
        }
        Ok(prediction.into_outcome())
    }
}

/// Returns where content belongs that was read by other means, unless it is there already, and what is said of it.
pub fn received(
    args: &Args,
    local: &dyn LocalFiles,
    host: &str,
    content: &[u8],
) -> Result<(Option<PathBuf>, Map), Failure> {
    let dest = destination(args, local, host)?;
    let digests = Digests::of(content);
    let mut result = Map::new();
    let here = local.open(&dest).ok().and_then(|file| Digests::of_reader(file).ok());
    let same = here.is_some_and(|here| here.sha256 == digests.sha256);
    result.insert("dest", dest.to_string_lossy().into_owned());
    result.insert("checksum", digests.sha1.as_str());
    result.insert("md5sum", digests.md5);
    if same {
        result.insert("file", args.str("src").unwrap_or_default());
        return Ok((None, result));
    }
    result.insert("remote_md5sum", Value::Null);
    result.insert("remote_checksum", digests.sha1);
    Ok((Some(dest), result))
}

/// Returns the file on this side. It never leaves the folder of its host, or with `flat` the one that was asked for.
fn destination(args: &Args, local: &dyn LocalFiles, host: &str) -> Result<PathBuf, Failure> {
    let src = args.str("src").unwrap_or_default();
    let dest = args.str("dest").unwrap_or_default();
    let root = local.base_dir().join(dest);
    if args.flag("flat") {
        if dest.ends_with('/') {
            let name =
                Path::new(src).file_name().ok_or_else(|| Failure::new(format!("no file name in {src}")))?;
            return not_a_folder(local, root.join(name));
        }
        if local.stat(&root).is_ok_and(|s| s.kind == super::LocalKind::Dir) {
            return Err(Failure::new(
                "dest is an existing directory, use a trailing slash if you want to fetch src into that directory",
            ));
        }
        return Ok(root);
    }
    let mut below: Vec<&std::ffi::OsStr> = Vec::new();
    for part in Path::new(src).components() {
        match part {
            Component::Normal(name) => below.push(name),
            // As on the target, nothing lies above its root.
            Component::ParentDir => {
                below.pop();
            }
            _ => {}
        }
    }
    let names = Path::new(host).components().filter(|part| matches!(part, Component::Normal(_)));
    let path = names.fold(root, |path, part| path.join(part));
    not_a_folder(local, below.iter().fold(path, |path, name| path.join(name)))
}

fn not_a_folder(local: &dyn LocalFiles, path: PathBuf) -> Result<PathBuf, Failure> {
    if local.stat(&path).is_ok_and(|s| s.kind == super::LocalKind::Dir) {
        return Err(Failure::new(format!(
            "calculated dest '{}' is an existing directory, use another path that does not point to an existing \
             directory",
            path.display()
        )));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    #[test]
    fn goes_below_the_host() {
        let seen = "stat 81a4 0 0 2 1 1 1 9 1 1 0 0 8 4096 :root:root:\nsha256 ab\nsha1 cd\nmd5 ef\n";
        let case = Case::new(&Fetch, args(&[("src", "/etc/x"), ("dest", "/nowhere/out")]));
        let got = case.plan(seen).unwrap();
        assert_eq!(scripts(&got), ["exec cat -- '/etc/x'\n", "save"]);
        assert_eq!(got.result.get("dest").unwrap().to_text(), "/nowhere/out/h/etc/x");
        for (src, dest) in [
            ("/a/../../x", "/o/h/x"),
            ("../../../etc/x", "/o/h/etc/x"),
            ("a/./b/../c", "/o/h/a/c"),
            ("..", "/o/h"),
        ] {
            let up = Case::new(&Fetch, args(&[("src", src), ("dest", "/o")]));
            assert_eq!(up.plan(seen).unwrap().result.get("dest").unwrap().to_text(), dest, "{src}");
        }
        assert_eq!(case.plan("stat absent\n").unwrap_err().msg, "the remote file does not exist");
    }
}
