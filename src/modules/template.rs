//! `template`: a rendered template of the project as a file on the target.

use super::attrs::FILE_ARGS;
use super::copy::{Incoming, watched};
use super::write;
use super::{ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Seen};
use crate::transport::Output;
use crate::value::Value;

static SPEC: ModuleSpec = ModuleSpec {
    name: "template",
    about: "Renders a template of the project into a file on the target.",
    args: &[
        ArgSpec::new("src", ArgKind::Path, "The template.").required(),
        ArgSpec::new("dest", ArgKind::Path, "Where to: a file, or a folder for the template's name.")
            .required(),
        ArgSpec::new("backup", ArgKind::Bool, "Keep the old file under another name.").default("no"),
        ArgSpec::new("force", ArgKind::Bool, "Replace a file whose content differs.").default("yes"),
        ArgSpec::new("follow", ArgKind::Bool, "When the destination is a link, write what it leads to.")
            .default("no"),
        ArgSpec::new("validate", ArgKind::Str, "A command that must accept the new file, named %s."),
        ArgSpec::new("newline_sequence", ArgKind::Str, "How lines end.")
            .default("\n")
            .choices(&["\n", "\r", "\r\n", "\\n", "\\r", "\\r\\n"]),
        ArgSpec::new("block_start_string", ArgKind::Str, "What opens a statement.").default("{%"),
        ArgSpec::new("block_end_string", ArgKind::Str, "What closes a statement.").default("%}"),
        ArgSpec::new("variable_start_string", ArgKind::Str, "What opens an expression.").default("{{"),
        ArgSpec::new("variable_end_string", ArgKind::Str, "What closes an expression.").default("}}"),
        ArgSpec::new("comment_start_string", ArgKind::Str, "What opens a comment."),
        ArgSpec::new("comment_end_string", ArgKind::Str, "What closes a comment."),
        ArgSpec::new("trim_blocks", ArgKind::Bool, "Drop the newline after a statement.").default("yes"),
        ArgSpec::new("lstrip_blocks", ArgKind::Bool, "Drop blanks before a statement.").default("no"),
        ArgSpec::new("output_encoding", ArgKind::Str, "The encoding of the file, by its name in Python.")
            .default("utf-8"),
    ],
    shared: FILE_ARGS,
    own_check: Some(super::check::source_and_destination),
    returns: &[
        ("dest", "the file that was written"),
        ("src", "the template"),
        ("checksum", "its sha1"),
        ("md5sum", "its md5"),
        ("backup_file", "the name of the backup"),
    ],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

pub struct Template;

impl Module for Template {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        render(call)?.probe(call).map(Some)
    }

    fn watches(&self, call: &Call) -> Option<String> {
        watched(call)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        render(call)?.plan(call, seen)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish_copy(prediction, ran)
    }
}

fn render(call: &Call) -> Result<Incoming, Failure> {
    let args = &call.args;
    let src = args.str("src").unwrap_or_default();
    let path = call.local.find("templates", src).map_err(Failure::new)?;
    let options = Value::map(args.map().clone());
    let text = call.local.render(&path, &options).map_err(Failure::new)?;
    let end = match args.str("newline_sequence") {
        Some("\r\n" | "\\r\\n") => Some("\r\n"),
        Some("\r" | "\\r") => Some("\r"),
        _ => None,
    };
    let text = match end {
        None => text,
        Some(end) => text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', end),
    };
    let base = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let mode = call.local.stat(&path).ok().map(|stat| stat.mode);
    let bytes = match args.str("output_encoding") {
        None => text.into_bytes(),
        Some(encoding) => crate::value::charset::encode(encoding, &text).map_err(Failure::new)?,
    };
    Ok(Incoming::of_bytes(bytes, base, mode).from(path.to_string_lossy().into_owned()))
}
