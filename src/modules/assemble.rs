//! `assemble`: one file out of a folder of fragments.

use super::attrs::FILE_ARGS;
use super::copy::Incoming;
use super::sh::{Report, expand_path, q, word};
use super::write;
use super::{
    ArgKind, ArgSpec, Call, Failure, Links, LocalKind, Module, ModuleSpec, Outcome, Prediction, Seen,
};
use crate::transport::Output;
use crate::value::python_regex::{Flags, compile, is_match};

static SPEC: ModuleSpec = ModuleSpec {
    name: "assemble",
    about: "Puts the files of a folder together into one file, in the order of their names.",
    args: &[
        ArgSpec::new("src", ArgKind::Path, "The folder.").required(),
        ArgSpec::new("dest", ArgKind::Path, "The file.").required(),
        ArgSpec::new("remote_src", ArgKind::Bool, "The folder is on the target.").default("yes"),
        ArgSpec::new("delimiter", ArgKind::Str, "What stands between fragments."),
        ArgSpec::new("regexp", ArgKind::Str, "Only files whose names match."),
        ArgSpec::new("ignore_hidden", ArgKind::Bool, "Leave files out whose names start with a dot.")
            .default("no"),
        ArgSpec::new("backup", ArgKind::Bool, "Keep the old file under another name.").default("no"),
        ArgSpec::new("force", ArgKind::Bool, "Replace a file whose content differs.").default("yes"),
        ArgSpec::new("follow", ArgKind::Bool, "When the destination is a link, write what it leads to.")
            .default("no"),
        ArgSpec::new("validate", ArgKind::Str, "A command that must accept the new file, named %s."),
        ArgSpec::new("decrypt", ArgKind::Bool, "Decrypt fragments with the vault.").default("yes"),
    ],
    shared: FILE_ARGS,
    own_check: Some(super::check::source_and_destination),
    returns: &[("dest", "the file"), ("checksum", "its sha1"), ("backup_file", "the name of the backup")],
    ..ModuleSpec::BASE
};

pub struct Assemble;

impl Module for Assemble {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        if !call.args.flag("remote_src") {
            return local(call)?.probe(call).map(Some);
        }
        // The fragments follow as the content, so the old content is not asked for.
        let quiet = Call { args: call.args.clone(), check: false, diff: false, ..*call };
        let dest = Incoming::of_bytes(Vec::new(), None, None).probe(&quiet)?;
        let src = q(&expand_path(call, call.args.str("src").unwrap_or_default())?);
        Ok(Some(format!(
            "{dest}xp_f={src}\n[ -d \"$xp_f\" ] || xp_fail \"Source ($xp_f) does not exist\"\n\
             for xp_k in \"$xp_f\"/* \"$xp_f\"/.[!.]*; do if [ -f \"$xp_k\" ]; then printf 'fragment %s ' $(($(wc -c <\"$xp_k\"))); xp_word \"${{xp_k##*/}}\"; printf '\\n'; fi; done\n\
             printf 'content\\n'\nfor xp_k in \"$xp_f\"/* \"$xp_f\"/.[!.]*; do if [ -f \"$xp_k\" ]; then cat -- \"$xp_k\"; fi; done\n"
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        if !call.args.flag("remote_src") {
            return local(call)?.plan(call, seen).map(told);
        }
        call.needs_untouched(&expand_path(call, call.args.str("src").unwrap_or_default())?)?;
        let report = Report::of(seen)?;
        let content = report.content.as_deref().unwrap_or_default();
        let mut fragments = Vec::new();
        let mut at = 0;
        for line in report.all("fragment") {
            let (size, name) = line.split_once(' ').unwrap_or((line, ""));
            let size: usize = size.parse().map_err(|_| Failure::new("the probe told no size"))?;
            let part = content
                .get(at..at + size)
                .ok_or_else(|| Failure::new("a fragment changed while it was read"))?;
            fragments.push((word(name).unwrap_or_default(), part.to_vec()));
            at += size;
        }
        let mut head = seen.clone();
        let mark = b"\ncontent\n";
        if let Some(end) = head.stdout.windows(mark.len()).position(|w| w == mark) {
            head.stdout.truncate(end + 1);
        }
        Incoming::of_bytes(join(call, fragments)?, None, None)
            .from(call.args.str("src").unwrap_or_default().to_string())
            .plan(call, &head)
            .map(told)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish_copy(prediction, ran)
    }
}

/// Adds what the module always says.
fn told(mut prediction: Prediction) -> Prediction {
    prediction.result.insert("msg", "OK");
    prediction
}

fn local(call: &Call) -> Result<Incoming, Failure> {
    let src = call.args.str("src").unwrap_or_default();
    let dir = call.local.find("files", src).map_err(Failure::new)?;
    let mut fragments = Vec::new();
    for entry in call.local.tree(&dir, Links::Follow).map_err(Failure::new)? {
        if entry.stat.kind == LocalKind::File && entry.path.components().count() == 1 {
            let content = call.local.read(&dir.join(&entry.path)).map_err(Failure::new)?;
            fragments.push((entry.path.to_string_lossy().into_owned(), content));
        }
    }
    Ok(Incoming::of_bytes(join(call, fragments)?, None, None).from(dir.to_string_lossy().into_owned()))
}

/// Puts fragments together: each begins on a line of its own, and so does the delimiter between them.
fn join(call: &Call, mut fragments: Vec<(String, Vec<u8>)>) -> Result<Vec<u8>, Failure> {
    let args = &call.args;
    let pattern = match args.str("regexp") {
        Some(text) => Some(compile(text, Flags::default()).map_err(Failure::new)?),
        None => None,
    };
    fragments.sort();
    let delimiter = args.str("delimiter").map(|d| {
        let text = d.replace("\\n", "\n").replace("\\t", "\t");
        if text.ends_with('\n') { text } else { text + "\n" }
    });
    let mut out: Vec<u8> = Vec::new();
    let mut first = true;
    for (name, content) in fragments {
        let hidden = args.flag("ignore_hidden") && name.starts_with('.');
        let wanted = match &pattern {
            Some(pattern) => is_match(pattern, &name).map_err(Failure::new)?,
            None => true,
        };
        if hidden || !wanted {
            continue;
        }
        if !first {
            if !out.is_empty() && !out.ends_with(b"\n") {
                out.push(b'\n');
            }
            out.extend(delimiter.as_deref().unwrap_or_default().as_bytes());
        }
        out.extend(content);
        first = false;
    }
    Ok(out)
}
