//! Replacing a file's content: the script around `xp_write`, the prediction and what came out.

use super::attrs::{AttrChange, Attrs, describe, group_of_new};
use super::local::Digests;
use super::put::{Expected, Owner, Put};
use super::sh::{Look, Report, Stat, q};
use super::{
    Action, Args, Call, Diff, DiffSide, Failure, FileAfter, Outcome, Prediction, Run, Target, Touch, words,
};
use crate::transport::{Content, Output};
use crate::value::Map;

/// Contents above this size are not shown in differences.
pub const DIFF_LIMIT: u64 = 256 * 1024;

/// A content on its way to a file.
pub struct Write<'a> {
    pub dest: &'a str,
    pub content: Content,
    pub digests: &'a Digests,
    /// The file that is replaced, seen through links.
    pub old: Option<&'a Stat>,
    /// What must still be there just before: a digest, or nothing to check.
    pub before: Before<'a>,
    pub umask: u32,
    pub attrs: &'a Attrs,
    pub change: &'a AttrChange,
    pub backup: bool,
    pub validate: Option<&'a str>,
    pub unsafe_writes: bool,
}

/// The state that a change relies on.
#[derive(Clone, Copy, Debug)]
pub enum Before<'a> {
    Absent,
    Sha256(&'a str),
    /// A link or something unreadable is replaced, whatever it holds.
    Anything,
}

impl Write<'_> {
    /// Returns the script that takes the content on stdin.
    pub fn script(&self) -> Result<String, Failure> {
        let (size, sha256) = (self.digests.size, &self.digests.sha256);
        let dest = q(self.dest);
        let flags = self.change.flags_script(&dest);
        let end = if flags.is_empty() { String::new() } else { format!(" || exit $?\n{}", flags.trim_end()) };
        Ok(format!("xp_write -s {size} -d {sha256}{} {dest}{end}\n", self.options()?))
    }

    /// Returns the options of `xp_write` besides those about the content.
    pub fn options(&self) -> Result<String, Failure> {
        let mut script = String::new();
        match self.before {
            Before::Absent => script += " -b absent",
            Before::Sha256(digest) => add!(script, " -b {digest}"),
            Before::Anything => {}
        }
        if let Some(mode) = self.mode() {
            add!(script, " -m {mode:04o}");
        }
        if let Some(Owner { ids, demanded }) = self.owner() {
            add!(script, " {} {ids}", if demanded { "-o" } else { "-O" });
        }
        if self.backup {
            script += " -k";
        }
        if let Some(command) = self.validate {
            add!(script, " -V {}", q(&validate_script(command)?));
        }
        if self.unsafe_writes {
            script += " -U";
        }
        Ok(script)
    }

    /// Returns the permissions that the file gets; nothing means what umask leaves.
    fn mode(&self) -> Option<u32> {
        match (self.change.mode, self.old, &self.attrs.mode) {
            (Some(mode), ..) => Some(mode),
            (None, Some(old), _) => Some(old.mode),
            (None, None, Some(mode)) => {
                Some(mode.bits(0o666 & !self.umask, super::sh::FileKind::File, self.umask))
            }
            (None, None, None) => None,
        }
    }

    /// Returns the action: the given lines, then the replacement.
    pub fn action(&self, lines_before: &str) -> Result<Action, Failure> {
        Ok(Action::Run(Run {
            script: format!("{lines_before}{}", self.script()?),
            stdin: Some(self.content.clone()),
            put: if lines_before.is_empty() { self.put() } else { None },
            ..Run::default()
        }))
    }

    /// Returns what can be done together with other files, when there is nothing special about this one.
    fn put(&self) -> Option<Put> {
        if self.backup || self.validate.is_some() || self.unsafe_writes {
            return None;
        }
        Some(Put {
            dest: self.dest.to_string(),
            sha256: self.digests.sha256.clone(),
            expected: match self.before {
                Before::Absent => Expected::Absent,
                Before::Sha256(digest) => Expected::Sha256(digest.to_string()),
                Before::Anything => Expected::Anything,
            },
            mode: self.mode(),
            owner: self.owner(),
        })
    }

    /// Returns who the file is given to.
    fn owner(&self) -> Option<Owner> {
        let number = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
        let (ids, demanded) = match (self.change.uid, self.change.gid, self.old) {
            (None, None, None) => return None,
            (None, None, Some(old)) => (format!("{}:{}", old.uid, old.gid), false),
            (uid, gid, Some(old)) => (format!("{}:{}", uid.unwrap_or(old.uid), gid.unwrap_or(old.gid)), true),
            (uid, None, None) => (number(uid), true),
            (uid, gid, None) => (format!("{}:{}", number(uid), number(gid)), true),
        };
        Some(Owner { ids, demanded })
    }

    /// Returns the attributes that the file will have.
    pub fn predicted(&self, target: &Target) -> Stat {
        let base = self.old.cloned().unwrap_or_else(|| Stat {
            mode: self.mode().unwrap_or(0o666 & !self.umask),
            uid: target.uid,
            owner: (!target.user.is_empty()).then(|| target.user.clone()),
            nlink: 1,
            ..Stat::default()
        });
        let mut after = self.change.applied(&base, self.attrs);
        after.size = self.digests.size;
        after.nlink = 1;
        after
    }
}

/// For a file that does not exist yet: the owner that it is to get.
pub fn change_of_new(attrs: &Attrs, report: &Report, check: bool) -> Result<AttrChange, Failure> {
    let ids = attrs.ids(report, check)?;
    let mut change = AttrChange::default();
    (change.uid, change.gid, change.warnings) = (ids.uid, ids.gid, ids.missing);
    attrs.compare_flags(report, &mut change);
    Ok(change)
}

/// Returns a validation command as shell text in which the new file is `$xp_tmp`.
fn validate_script(command: &str) -> Result<String, Failure> {
    if !command.contains("%s") {
        return Err(Failure::new(format!("validate must contain %s: {command}")));
    }
    let words = words::split(command).map_err(|e| Failure::new(format!("validate: {e}: {command}")))?;
    let word = |word: &String| {
        let parts: Vec<String> = word.split("%s").map(|part| q(&part.replace("%%", "%"))).collect();
        parts.join("\"$xp_tmp\"")
    };
    Ok(words.iter().map(word).collect::<Vec<_>>().join(" "))
}

/// Returns a content that is short enough to be sent from memory.
pub fn bytes(content: &[u8]) -> Content {
    Content::Bytes(content.into())
}

/// Returns a side of a difference: text where it is text.
pub fn side(content: Option<&[u8]>) -> DiffSide {
    match content {
        None => DiffSide::Absent,
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if bytes.len() as u64 <= DIFF_LIMIT && !text.contains('\0') => {
                DiffSide::Text(text.to_string())
            }
            _ => DiffSide::Binary { size: bytes.len() as u64, sha256: super::local::sha256(bytes) },
        },
    }
}

/// Returns the difference of two contents of a file.
pub fn content_diff(path: &str, before: DiffSide, after: DiffSide) -> Diff {
    let before_header = if matches!(before, DiffSide::Absent) { String::new() } else { path.to_string() };
    Diff { before_header, after_header: path.to_string(), before, after }
}

/// Returns the difference of attributes.
pub fn attr_diff(path: &str, before: Map, after: Map) -> Diff {
    Diff {
        before_header: format!("{path} (file attributes)"),
        after_header: format!("{path} (file attributes)"),
        before: DiffSide::Attributes(before),
        after: DiffSide::Attributes(after),
    }
}

/// Returns the difference of a thing with a name, such as a user; nothing on the side where it does not exist.
pub fn named_diff(what: &str, before: Option<Map>, after: Option<Map>) -> Diff {
    let side = |map: Option<Map>| map.map_or(DiffSide::Absent, DiffSide::Attributes);
    Diff {
        before_header: what.to_string(),
        after_header: what.to_string(),
        before: side(before),
        after: side(after),
    }
}

/// Returns the difference of attributes in the form of the `file` module: the path stands among them.
pub fn path_diff(path: &str, mut before: Map, mut after: Map) -> Diff {
    before.insert("path", path);
    after.insert("path", path);
    Diff {
        before_header: String::new(),
        after_header: String::new(),
        before: DiffSide::Attributes(before),
        after: DiffSide::Attributes(after),
    }
}

/// An edit of one file's content, with everything that decides about it.
pub struct Edit<'a> {
    /// As the user wrote it, for messages and headers.
    pub shown: &'a str,
    /// Where it is written: links followed.
    pub path: &'a str,
    pub look: &'a Look,
    pub report: &'a Report,
    /// Nothing when the file does not exist.
    pub before: Option<&'a [u8]>,
    pub after: Vec<u8>,
    /// What the edit is called in the result: `line added`.
    pub msg: String,
}

impl Edit<'_> {
    /// Predicts for modules that edit a file's text: content and attributes together. `result` gets `msg`.
    pub fn plan(self, call: &Call, args: &Args, mut result: Map) -> Result<Prediction, Failure> {
        let attrs = Attrs::of(args)?;
        let content_changes = self.before != Some(self.after.as_slice());
        let old = self.look.file.as_ref();
        let change = match old {
            Some(stat) => attrs.compare(self.report, stat, self.look.umask, call.check)?,
            None => change_of_new(&attrs, self.report, call.check)?,
        };
        let mut msg = self.msg;
        let attrs_change = old.is_some() && !change.is_empty();
        if attrs_change {
            if content_changes {
                msg.push_str(" and ");
            }
            msg.push_str("ownership, perms or SE linux context changed");
        }
        result.insert("msg", msg);
        // As there, a result that names a file tells its attributes too.
        let names_file = result.contains("path") || result.contains("dest");
        if !content_changes && !attrs_change {
            if let Some(stat) = old.filter(|_| names_file) {
                describe(&mut result, stat);
            }
            return Ok(Prediction::same(result));
        }
        let mut diffs = Vec::new();
        let mut actions = Vec::new();
        let mut stat = old.map(|old| change.applied(old, &attrs)).unwrap_or_default();
        if content_changes {
            diffs.push(content_diff(
                &format!("{} (content)", self.shown),
                if self.before.is_none() { DiffSide::Absent } else { side(self.before) },
                side(Some(&self.after)),
            ));
            let digests = Digests::of(&self.after);
            let before_digest = self.before.map(super::local::sha256);
            let write = Write {
                dest: self.path,
                content: bytes(&self.after),
                digests: &digests,
                old,
                before: before_digest.as_deref().map_or(Before::Absent, Before::Sha256),
                umask: self.look.umask,
                attrs: &attrs,
                change: &change,
                backup: args.flag("backup") && self.before.is_some(),
                validate: args.str("validate"),
                unsafe_writes: args.flag("unsafe_writes"),
            };
            let parent = if old.is_none() { make_parent(self.path) } else { String::new() };
            actions.push(write.action(&parent)?);
            stat = write.predicted(call.target);
        } else {
            actions.push(Action::run(change.script(&q(self.path))));
        }
        if attrs_change {
            let (before, after) = change.sides();
            diffs.push(attr_diff(self.shown, before.clone(), after.clone()));
        }
        if names_file {
            describe(&mut result, &stat);
            result.insert("size", self.after.len());
            if old.is_none() {
                group_of_new(&mut result, &attrs);
            }
        }
        let mut prediction = Prediction::change(result, actions);
        prediction.diff = diffs;
        prediction.warnings = change.warnings;
        let after = FileAfter::file(stat, &self.after);
        Ok(prediction.touch(Touch::File { path: self.path.to_string(), after }))
    }
}

/// A file's whole new text, of a module that decides by itself about its attributes.
pub struct Text<'a> {
    /// Where it is written: links followed.
    pub path: &'a str,
    pub look: &'a Look,
    /// Nothing when the file does not exist.
    pub content: Option<&'a [u8]>,
    pub before: Before<'a>,
    pub after: &'a [u8],
    pub change: &'a AttrChange,
    /// Lines of the script that come first.
    pub lines_before: &'a str,
}

impl Text<'_> {
    pub fn plan(self, call: &Call, result: Map) -> Result<Prediction, Failure> {
        let (attrs, digests) = (Attrs::default(), Digests::of(self.after));
        let write = Write {
            dest: self.path,
            content: bytes(self.after),
            digests: &digests,
            old: self.look.file.as_ref(),
            before: self.before,
            umask: self.look.umask,
            attrs: &attrs,
            change: self.change,
            backup: false,
            validate: None,
            unsafe_writes: false,
        };
        let after = FileAfter::file(write.predicted(call.target), self.after);
        let before_side = self.content.map_or(DiffSide::Absent, |content| side(Some(content)));
        Ok(Prediction::change(result, vec![write.action(self.lines_before)?])
            .touch(Touch::File { path: self.path.to_string(), after })
            .diff(content_diff(self.path, before_side, side(Some(self.after)))))
    }
}

/// Adds lines to the last script of a change; they run when what is before them succeeded.
pub fn then(prediction: &mut Prediction, lines: &str) {
    let last = prediction.change.as_mut().and_then(|change| change.actions.last_mut());
    if let Some(Action::Run(run)) = last {
        run.script = format!("{} || exit $?\n{lines}", run.script.trim_end());
    }
}

/// Returns the line that makes the folder of a path.
pub fn make_parent(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((dir, _)) if !dir.is_empty() && dir != "." => {
            format!("xp_do \"make the directory \"{0} mkdir -p {0}\n", q(dir))
        }
        _ => String::new(),
    }
}

/// The same for modules that copy a whole file. What the validation said is told in parts there.
pub fn finish_copy(prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
    finish(prediction, ran, "backup_file", ran.len() == 1).map_err(|failure| {
        const SAID: &str = "failed to validate: rc:";
        let told = failure.msg.strip_prefix(SAID).and_then(|rest| rest.split_once(" error:"));
        let Some((rc, said)) = told else { return failure };
        let diff = failure.diff.clone();
        let parts = Failure::new("failed to validate")
            .with("exit_status", rc.parse::<i32>().unwrap_or(1))
            .with("stdout", "")
            .with("stderr", said.trim_start());
        Failure { diff, ..parts }
    })
}

/// Makes the result of a replaced file: the backup's name, and the attributes as read back.
pub fn finish(
    mut prediction: Prediction,
    ran: &[Output],
    backup_key: &str,
    with_attributes: bool,
) -> Result<Outcome, Failure> {
    let with_attributes = with_attributes || prediction.result.contains("uid");
    for output in ran {
        if output.rc != 0 {
            let mut failure = Failure::from_output(output);
            failure.diff = prediction.diff.into();
            return Err(failure);
        }
        let report = Report::parse(&output.stdout);
        if let Some(name) = report.word("backup") {
            prediction.result.insert(backup_key, name);
        }
        if with_attributes
            && report.get("stat").is_some()
            && let Some(stat) = report.stat("stat")?
        {
            describe(&mut prediction.result, &stat);
        }
    }
    Ok(prediction.into_outcome())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_commands_become_shell_words() {
        assert_eq!(
            validate_script("visudo -cf %s --x='a b'").unwrap(),
            "'visudo' '-cf' ''\"$xp_tmp\"'' '--x=a b'"
        );
        assert_eq!(validate_script("true").unwrap_err().msg, "validate must contain %s: true");
    }

    #[test]
    fn parents() {
        assert_eq!(make_parent("/a"), "");
        assert_eq!(make_parent("./a"), "");
        assert_eq!(make_parent("/a/b"), "xp_do \"make the directory \"'/a' mkdir -p '/a'\n");
    }
}
