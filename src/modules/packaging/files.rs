//! Small text files that modules about repositories read and replace as a whole.

use crate::modules::attrs::Mode;
use crate::modules::local::Digests;
use crate::modules::sh::{FileKind, Report, Stat, q, word};
use crate::modules::write::{bytes, content_diff, make_parent, side};
use crate::modules::{Action, Body, Call, Diff, Failure, FileAfter, Run, Touch, sha256};

/// A shell function: `xp_show NUMBER PATH` prints a file's name, attributes, digest and lines.
pub const SHOW: &str = "xp_show() {\n\
     printf 'file %s ' \"$1\"; xp_word \"$2\"; printf '\\nstat %s ' \"$1\"; xp_stat -L \"$2\"\n\
     if [ -h \"$2\" ] && xp_real \"$2\"; then printf 'real %s ' \"$1\"; xp_word \"$xp_t\"; printf '\\n'; fi\n\
     if [ -f \"$2\" ]; then printf 'sha %s %s\\n' \"$1\" \"$(xp_sha256 \"$2\")\"; sed \"s/^/line $1 /\" \"$2\"; printf '\\n'; fi\n}\n";

/// A file as [`SHOW`] told it.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    pub path: String,
    pub stat: Option<Stat>,
    /// Where it is written: links followed.
    real: Option<String>,
    sha256: Option<String>,
    pub lines: Vec<String>,
}

impl Shown {
    /// Returns the files in the order in which they were shown.
    pub fn all(report: &Report) -> Result<Vec<Shown>, Failure> {
        let mut found: Vec<(String, Shown)> = Vec::new();
        for line in report.all("file") {
            if let Some((number, path)) = line.split_once(' ') {
                let path = word(path).unwrap_or_default();
                found.push((number.to_string(), Shown { path, ..Shown::default() }));
            }
        }
        for tag in ["stat", "real", "sha", "line"] {
            for line in report.all(tag) {
                let (number, rest) = line.split_once(' ').unwrap_or((line, ""));
                let Some((_, shown)) = found.iter_mut().find(|(n, _)| n == number) else { continue };
                match tag {
                    "stat" => shown.stat = Stat::parse(rest)?,
                    "real" => shown.real = word(rest),
                    "sha" => shown.sha256 = Some(rest.to_string()),
                    _ => shown.lines.push(rest.to_string()),
                }
            }
        }
        Ok(found.into_iter().map(|(_, shown)| shown).collect())
    }

    /// Puts what earlier steps of a plan leave over what was shown.
    pub fn foresee(mut self, call: &Call) -> Result<Shown, Failure> {
        for place in [Some(self.path.clone()), self.real.clone()].into_iter().flatten() {
            let Some(after) = call.foreseen_file(&place)? else { continue };
            self.stat = after.stat().cloned();
            if !matches!(after, FileAfter::File { body: Body::AsFound, .. }) {
                let content = after.content(&place, None)?;
                let text = String::from_utf8_lossy(content.as_deref().unwrap_or_default()).into_owned();
                self.sha256 = content.as_deref().map(sha256);
                self.lines = text.lines().map(str::to_string).collect();
            }
        }
        Ok(self)
    }

    /// Returns what later steps of a plan are to know: the file with another content, or that it is gone.
    pub fn touch(&self, content: Option<&str>, mode: Option<u32>, umask: u32) -> Touch {
        let Some(content) = content else {
            return Touch::File { path: self.path.clone(), after: FileAfter::Absent };
        };
        let old = self.stat.clone().unwrap_or(Stat { mode: 0o666 & !umask, ..Stat::default() });
        let stat = Stat { mode: mode.unwrap_or(old.mode), ..old };
        let path = self.real.as_ref().unwrap_or(&self.path).clone();
        Touch::File { path, after: FileAfter::file(stat, content.as_bytes()) }
    }

    /// A file that is not there.
    pub fn absent(path: &str) -> Self {
        Shown { path: path.to_string(), ..Shown::default() }
    }

    pub fn exists(&self) -> bool {
        self.stat.is_some()
    }

    /// Returns the text as far as lines tell it.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Whether the file already holds exactly this.
    pub fn holds(&self, content: &str) -> bool {
        self.sha256.as_deref() == Some(&Digests::of(content.as_bytes()).sha256)
    }

    /// Whether the file has this digest.
    pub fn has_sha256(&self, digest: &str) -> bool {
        self.sha256.as_deref() == Some(digest)
    }

    /// Returns the permissions that a given mode means for the file; nothing when there is none to set.
    pub fn wanted_mode(&self, mode: Option<&Mode>, umask: u32) -> Option<u32> {
        let before = self.stat.as_ref().map_or(0o666 & !umask, |stat| stat.mode);
        mode.map(|mode| mode.bits(before, FileKind::File, umask))
    }

    /// Returns the action that replaces the file; without a mode it keeps the one that it has.
    pub fn write(&self, content: &str, mode: Option<u32>) -> Action {
        let digests = Digests::of(content.as_bytes());
        let path = self.real.as_deref().unwrap_or(&self.path);
        let before = self.sha256.as_deref().unwrap_or("absent");
        let mut script = make_parent(path);
        add!(script, "xp_write -s {} -d {} -b {before}", digests.size, digests.sha256);
        if let Some(mode) = mode.or(self.stat.as_ref().map(|stat| stat.mode)) {
            add!(script, " -m {mode:04o}");
        }
        if let Some(stat) = &self.stat {
            add!(script, " -O {}:{}", stat.uid, stat.gid);
        }
        add!(script, " {}\n", q(path));
        Action::Run(Run { script, stdin: Some(bytes(content.as_bytes())), ..Run::default() })
    }

    /// Returns the difference to another content; nothing stands for a file that is not there.
    pub fn diff(&self, content: Option<&str>) -> Diff {
        let before = self.text();
        let before = self.exists().then_some(before.as_bytes());
        content_diff(&self.path, side(before), side(content.map(str::as_bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart() {
        let report = Report::parse(
            b"file 0 =/a\nstat 0 81a4 0 0 2 1 1 1 9 1 1 0 0 8 4096 :root:root:\nsha 0 87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7\nline 0 a\n\nfile 1 =/b\nstat 1 absent\n",
        );
        let all = Shown::all(&report).unwrap();
        assert_eq!((all[0].text().as_str(), all[0].exists(), all[0].holds("a\n")), ("a\n", true, true));
        assert_eq!((all[1].path.as_str(), all[1].exists(), all[1].holds("")), ("/b", false, false));
        let Action::Run(run) = all[0].write("b\n", None) else { panic!("no run") };
        assert!(run.script.ends_with(
            "-b 87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7 -m 0644 -O 0:0 '/a'\n"
        ));
    }
}
