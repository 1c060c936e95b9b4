//! What the modules that edit one text file share: the probe, and reading it.

use super::attrs::Attrs;
use super::sh::{FileKind, Look, Report, expand_path, q};
use super::text::Text;
use super::{Call, Failure, Seen};

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
    let path = q(&expand_path(call, call.args.str(path_arg).unwrap_or_default())?);
    let attrs = Attrs::of(&call.args)?;
    Ok(format!(
        "xp_p={path}\nxp_look \"$xp_p\"\n{}\
         if [ -f \"$xp_p\" ]; then [ -r \"$xp_p\" ] || xp_fail \"cannot read $xp_p: Permission denied\"\n\
         printf 'content\\n'; cat -- \"$xp_p\"; fi\n",
        attrs.probe("\"$xp_p\"")
    ))
}

/// Reads the probe. A folder in place of the file is a failure.
pub fn found(call: &Call, seen: &Seen, path_arg: &str) -> Result<Found, Failure> {
    let shown = call.args.str(path_arg).unwrap_or_default().to_string();
    let mut report = Report::of(seen)?;
    let mut look = Look::of(&report)?;
    let mut content = report.content.take();
    let path = match &look.real {
        Some(real) if look.is_link() => real.clone(),
        _ => expand_path(call, &shown)?,
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
    Ok(Found { shown, path, look, report, content })
}

impl Found {
    /// Returns the content as text; empty when there is no file.
    pub fn text(&self) -> Text {
        Text::of(self.content.as_deref().unwrap_or_default())
    }
}
