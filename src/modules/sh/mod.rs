//! Building scripts for targets, and reading what the prelude's functions print.

mod stat;

pub use crate::transport::quote as q;
pub use stat::{FileKind, Stat, mode_word};

use super::{Call, Failure, Seen, Target};

/// Shell functions that every session has before it runs a module's script.
pub const PRELUDE: &str = include_str!("prelude.sh");

/// Lines that make a private folder `xp_dir`, which is removed when the script ends, also by a signal.
pub const PRIVATE_DIR: &str = "xp_dir=$(umask 077 && mktemp -d \"${TMPDIR:-/tmp}/.xplay.XXXXXXXX\") || exit 1\n\
     trap 'rm -rf -- \"$xp_dir\"' EXIT\ntrap 'exit 129' HUP\ntrap 'exit 130' INT\ntrap 'exit 143' TERM\n";

/// Returns a path argument as the target would expand it: `~` and variables. The result starts with `/` or `./`,
/// so that no tool takes it for an option.
pub fn expand_path(call: &Call, text: &str) -> Result<String, Failure> {
    if text.contains('\0') {
        return Err(Failure::new("a path cannot hold a NUL character"));
    }
    let text = expanded(call.target, call.environment, text);
    Ok(if text.starts_with('/') || text.starts_with("./") || text.is_empty() {
        text
    } else {
        format!("./{text}")
    })
}

/// Returns a path argument with `~`, `~NAME` and variables replaced, as far as they are known.
pub fn expanded(target: &Target, environment: &[(String, String)], text: &str) -> String {
    let text = expand_vars(target, environment, text);
    let Some(rest) = text.strip_prefix('~') else { return text };
    let (user, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home = if user.is_empty() { Some(target.home.as_str()) } else { target.home_of(user) };
    match home {
        Some(home) if below.is_empty() => home.to_string(),
        Some(home) => format!("{}{below}", home.trim_end_matches('/')),
        None => text,
    }
}

/// Replaces `$NAME` and `${NAME}` for the variables that are known here; others stay as written, as in Python.
fn expand_vars(target: &Target, environment: &[(String, String)], text: &str) -> String {
    let known = |name: &str| {
        environment
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
            .or_else(|| (name == "HOME").then_some(target.home.as_str()))
            .or_else(|| (name == "USER").then_some(target.user.as_str()))
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (name, len) = variable_at(rest);
        match name.and_then(known) {
            Some(value) => out.push_str(value),
            None => out.push_str(&rest[..len]),
        }
        rest = &rest[len..];
    }
    out.push_str(rest);
    out
}

/// Reads a reference at the start of a text that begins with `$`: its name, and how long it is.
pub(super) fn variable_at(text: &str) -> (Option<&str>, usize) {
    let after = &text[1..];
    if let Some(braced) = after.strip_prefix('{') {
        return match braced.find('}') {
            Some(end) if is_name(&braced[..end]) => (Some(&braced[..end]), end + 3),
            _ => (None, 1),
        };
    }
    let len = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
    if is_name(&after[..len]) { (Some(&after[..len]), len + 1) } else { (None, 1) }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads a word that `xp_word` printed.
pub fn word(text: &str) -> Option<String> {
    match text.split_at_checked(1)? {
        ("=", plain) => Some(plain.to_string()),
        ("%", hex) => {
            let bytes: Option<Vec<u8>> = hex
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                .collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        _ => None,
    }
}

/// What a probe printed: lines that start with a tag, and after a line `content` raw bytes to the end.
#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<(String, String)>,
    pub content: Option<Vec<u8>>,
}

impl Report {
    /// Reads a probe's output; a probe that failed is a failure with its words.
    pub fn of(seen: &Seen) -> Result<Self, Failure> {
        if seen.rc != 0 {
            let stderr = String::from_utf8_lossy(&seen.stderr).trim().to_string();
            let msg = if stderr.is_empty() { format!("the probe ended with rc {}", seen.rc) } else { stderr };
            return Err(Failure::new(msg));
        }
        Ok(Self::parse(&seen.stdout))
    }

    pub fn parse(stdout: &[u8]) -> Self {
        let mut report = Report::default();
        let mut rest = stdout;
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            let line = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest = rest.get(end + 1..).unwrap_or_default();
            if line == "content" {
                report.content = Some(rest.to_vec());
                break;
            }
            let (tag, value) = line.split_once(' ').unwrap_or((&line, ""));
            report.lines.push((tag.to_string(), value.to_string()));
        }
        report
    }

    /// Returns the rest of the first line with this tag.
    pub fn get(&self, tag: &str) -> Option<&str> {
        self.lines.iter().find(|(t, _)| t == tag).map(|(_, v)| v.as_str())
    }

    pub fn all<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(move |(t, _)| t == tag).map(|(_, v)| v.as_str())
    }

    /// Returns the text of a word line.
    pub fn word(&self, tag: &str) -> Option<String> {
        word(self.get(tag)?)
    }

    /// Returns the rest of a line that the probe always prints.
    pub fn need(&self, tag: &str) -> Result<&str, Failure> {
        self.get(tag).ok_or_else(|| Failure::new(format!("the probe did not tell {tag}")))
    }

    /// Returns the attributes in a line that the probe always prints; nothing for an absent file.
    pub fn stat(&self, tag: &str) -> Result<Option<Stat>, Failure> {
        Stat::parse(self.need(tag)?)
    }
}

/// What `xp_look` prints about a path.
#[derive(Clone, Debug, Default)]
pub struct Look {
    pub umask: u32,
    /// The thing itself; nothing when it does not exist.
    pub link: Option<Stat>,
    /// Behind a link: what it leads to.
    pub file: Option<Stat>,
    /// Behind a link: the path of what it leads to.
    pub real: Option<String>,
}

impl Look {
    pub fn of(report: &Report) -> Result<Self, Failure> {
        let link = report.stat("lstat")?;
        let is_link = link.as_ref().is_some_and(|s| s.kind == FileKind::Link);
        Ok(Look {
            umask: u32::from_str_radix(report.need("umask")?.trim(), 8).unwrap_or(0o22),
            file: if is_link { report.stat("stat")? } else { link.clone() },
            real: report.word("real"),
            link,
        })
    }

    pub fn is_link(&self) -> bool {
        self.link.as_ref().is_some_and(|s| s.kind == FileKind::Link)
    }
}

/// Returns the line that makes the folder `$xp_d`. Another task may make it at the same moment, which is as good; a link that
/// somebody puts there is not.
pub fn mkdir(options: &str) -> String {
    format!(
        "mkdir{options} -- \"$xp_d\" 2>/dev/null || {{ [ -d \"$xp_d\" ] && [ ! -h \"$xp_d\" ]; }} || \
         xp_do \"make the directory $xp_d\" mkdir{options} -- \"$xp_d\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn words_survive() {
        assert_eq!(word("=a b").as_deref(), Some("a b"));
        assert_eq!(word("%612762").as_deref(), Some("a'b"));
        assert_eq!(word("%zz"), None);
        assert_eq!(word(""), None);
        assert_eq!(q("it's"), r"'it'\''s'");
    }

    #[test]
    fn content_is_raw() {
        let report = Report::parse(b"umask 0022\ncontent\na\n\xff\n");
        assert_eq!(report.get("umask"), Some("0022"));
        assert_eq!(report.content.as_deref(), Some(&b"a\n\xff\n"[..]));
    }

    #[test]
    fn paths_are_expanded_and_never_options() {
        struct Nothing;
        impl crate::modules::LocalFiles for Nothing {
            fn find(&self, _: &str, name: &str) -> Result<std::path::PathBuf, String> {
                Err(name.into())
            }
            fn read(&self, _: &std::path::Path) -> Result<Vec<u8>, String> {
                Err(String::new())
            }
            fn render(&self, _: &std::path::Path, _: &Value) -> Result<String, String> {
                Err(String::new())
            }
        }
        let target = crate::modules::Target {
            user: "ada".into(),
            home: "/home/ada".into(),
            homes: vec![("eve".into(), "/srv/eve/".into())],
            ..Default::default()
        };
        let environment = [("X".to_string(), "1".to_string())];
        let call = Call {
            args: Default::default(),
            target: &target,
            local: &Nothing,
            check: false,
            diff: false,
            environment: &environment,
            world: crate::modules::World::none(),
        };
        let check = |text: &str, expect: &str| assert_eq!(expand_path(&call, text).unwrap(), expect);
        check("~", "/home/ada");
        check("~/x", "/home/ada/x");
        check("~ada/x", "/home/ada/x");
        check("~bob/x", "./~bob/x");
        check("~eve/x", "/srv/eve/x");
        check("-rf", "./-rf");
        check("/a/$X/${X}b/$Y/$/${", "/a/1/1b/$Y/$/${");
        check("$HOME/x", "/home/ada/x");
    }
}
