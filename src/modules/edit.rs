//! What the modules that edit one text file share: the probe, and reading it.

use super::attrs::Attrs;
use super::sh::{FileKind, Look, Report, expand_path, q};
use super::text::Text;
use super::write::Edit;
use super::{Call, Failure, Prediction, Seen};
use crate::value::Map;

/// A file as the probe found it.
pub struct Found {
    /// As the user wrote it.
    pub shown: String,
    /// Where it is written: links followed.
    pub path: String,
    pub look: Look,
    pub report: Report,
    /// Nothing when the file does not exist.
    pub content: Option<Vec<u8>>,
}

/// Returns the script that shows a file's attributes and content.
pub fn probe(call: &Call, path_arg: &str) -> Result<String, Failure> {
    let path = expand_path(call, call.args.str(path_arg).unwrap_or_default())?;
    Ok(lines(&path, &Attrs::of(&call.args)?))
}

/// Returns the last lines of a script that shows a file's attributes and content.
pub fn lines(path: &str, attrs: &Attrs) -> String {
    format!(
        "xp_p={}\nxp_look \"$xp_p\"\n{}\
         if [ -f \"$xp_p\" ]; then [ -r \"$xp_p\" ] || xp_fail \"cannot read $xp_p: Permission denied\"\n\
         printf 'content\\n'; cat -- \"$xp_p\"; fi\n",
        q(path),
        attrs.probe("\"$xp_p\"")
    )
}

/// Reads the probe. A folder in place of the file is a failure.
pub fn found(call: &Call, seen: &Seen, path_arg: &str) -> Result<Found, Failure> {
    let shown = call.args.str(path_arg).unwrap_or_default();
    found_at(call, Report::of(seen)?, shown, &expand_path(call, shown)?)
}

/// Reads what [`lines`] printed about a path.
pub fn found_at(call: &Call, mut report: Report, shown: &str, path: &str) -> Result<Found, Failure> {
    let mut look = Look::of(&report)?;
    let mut content = report.content.take();
    let path = match &look.real {
        Some(real) if look.is_link() => real.clone(),
        _ => path.to_string(),
    };
    if let Some(after) = call.foreseen_file(&path)? {
        content = after.content(&path, content)?;
        look = after.look(&look);
    }
    if let Some(stat) = &look.file {
        if stat.kind == FileKind::Dir {
            return Err(Failure::new(format!("Path {shown} is a directory !")).with("rc", 256));
        }
        let arrived = content.as_ref().map_or(0, Vec::len) as u64;
        if arrived < stat.size {
            let size = stat.size;
            return Err(Failure::new(format!("cannot edit {shown}: {arrived} of {size} bytes arrived")));
        }
        if stat.kind != FileKind::File {
            return Err(Failure::new(format!("Path {shown} is no regular file")));
        }
    }
    Ok(Found { shown: shown.to_string(), path, look, report, content })
}

impl Found {
    /// Returns the content as text; empty when there is no file.
    pub fn text(&self) -> Text {
        Text::of(self.content.as_deref().unwrap_or_default())
    }

    /// Predicts the replacement of the content; `result` gets `msg`.
    pub fn replace(&self, call: &Call, after: Vec<u8>, result: Map) -> Result<Prediction, Failure> {
        Edit {
            shown: &self.shown,
            path: &self.path,
            look: &self.look,
            report: &self.report,
            before: self.content.as_deref(),
            after,
            msg: String::new(),
        }
        .plan(call, &call.args, result)
    }
}
