//! Arguments for OpenSSH's client as inventories carry them: `-o`, `-F`, `-i`, `-J` and others.

use std::path::PathBuf;

use super::evaluate::Files;
use super::keyword;
use super::line::{self, Line};
use super::resolve::Jump;
use super::{valid_host, valid_user};

/// One setting, as `-o` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshOption(Line);

impl SshOption {
    /// Reads `Keyword=value` or `Keyword value`.
    pub fn parse(text: &str) -> Result<Self, String> {
        line::parse(text)?.map(Self).ok_or_else(|| "an option is empty".into())
    }

    /// Makes a setting whose value is one word, whatever characters it has.
    pub fn word(keyword: &str, value: impl Into<String>) -> Self {
        Self::words(keyword, vec![value.into()])
    }

    /// Makes a setting with several words.
    pub fn words(keyword: &str, words: Vec<String>) -> Self {
        let quoted = words.iter().map(|w| format!("\"{}\"", w.replace('\\', "\\\\").replace('"', "\\\"")));
        let rest = quoted.collect::<Vec<_>>().join(" ");
        Self(Line { keyword: keyword.to_ascii_lowercase(), words, rest })
    }

    /// Makes a setting that is taken as it stands, such as a command or a list of jumps.
    fn raw(keyword: &str, rest: &str) -> Self {
        Self(Line { keyword: keyword.into(), words: vec![rest.into()], rest: rest.into() })
    }

    pub fn keyword(&self) -> &str {
        &self.0.keyword
    }

    pub(super) fn line(&self) -> &Line {
        &self.0
    }
}

impl std::fmt::Display for SshOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.0.keyword, self.0.rest)
    }
}

/// What a list of arguments says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    pub options: Vec<SshOption>,
    /// `-F`
    pub files: Option<Files>,
    /// Arguments that we cannot honour.
    pub warnings: Vec<String>,
}

/// Letters that make no difference: one connection is shared, nobody is asked, nothing is shown.
const HARMLESS: &str = "CGKMNPTVYafgknqstvxy";

/// Letters with a value that make no difference.
const HARMLESS_VALUES: &str = "EeS";

impl Arguments {
    /// Reads arguments, one word each.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut found = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let letters = word.strip_prefix('-').filter(|l| !l.is_empty() && !l.starts_with('-'));
            let letters = letters.ok_or_else(|| format!("\"{word}\" is no option of ssh"))?;
            for (at, letter) in letters.char_indices() {
                if found.flag(letter) {
                    continue;
                }
                let rest = &letters[at + letter.len_utf8()..];
                let value = match rest {
                    "" => words.next().unwrap_or_default(),
                    rest => rest.to_owned(),
                };
                if value.is_empty() {
                    return Err(format!("-{letter} needs a value"));
                }
                found.value(letter, &value)?;
                break;
            }
        }
        Ok(found)
    }

    /// Takes a letter without a value; false if it has one.
    fn flag(&mut self, letter: char) -> bool {
        match letter {
            'A' => self.options.push(SshOption::word("forwardagent", "yes")),
            'a' => self.options.push(SshOption::word("forwardagent", "no")),
            '4' => self.options.push(SshOption::word("addressfamily", "inet")),
            '6' => self.options.push(SshOption::word("addressfamily", "inet6")),
            'X' => self.warn("-X"),
            other => return HARMLESS.contains(other),
        }
        true
    }

    fn value(&mut self, letter: char, value: &str) -> Result<(), String> {
        let option = match letter {
            'o' => {
                let option = SshOption::parse(value).map_err(|e| format!("-o \"{value}\": {e}"))?;
                let excused = self.options.iter().any(|o| o.keyword() == "ignoreunknown");
                if keyword::find(option.keyword()).is_none() && !excused {
                    return Err(format!("-o \"{value}\": OpenSSH knows no such option"));
                }
                option
            }
            'F' => {
                let none = value.eq_ignore_ascii_case("none");
                self.files = Some(if none { Files::None } else { Files::Only(PathBuf::from(value)) });
                return Ok(());
            }
            'i' => SshOption::word("identityfile", value),
            'l' => SshOption::word("user", value),
            'p' => SshOption::word("port", value),
            'J' => SshOption::raw("proxyjump", value),
            'c' => SshOption::word("ciphers", value),
            'm' => SshOption::word("macs", value),
            'b' | 'B' | 'D' | 'I' | 'L' | 'R' | 'W' | 'w' => {
                self.warn(&format!("-{letter} {value}"));
                return Ok(());
            }
            other if HARMLESS_VALUES.contains(other) => return Ok(()),
            other => return Err(format!("-{other} is no option of ssh for a connection")),
        };
        self.options.push(option);
        Ok(())
    }

    fn warn(&mut self, what: &str) {
        self.warnings.push(format!("ssh argument {what} is not supported and ignored"));
    }
}

/// Reads a list of jump hosts, nearest first; nothing where one is none.
pub(super) fn jumps(list: &str) -> Option<Vec<Jump>> {
    if list.eq_ignore_ascii_case("none") {
        return Some(Vec::new());
    }
    list.split(',').map(|text| jump(text.trim())).collect()
}

fn jump(text: &str) -> Option<Jump> {
    let text = text.strip_prefix("ssh://").map_or(text, |uri| uri.strip_suffix('/').unwrap_or(uri));
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, text),
    };
    let (host, port) = match place.strip_prefix('[').and_then(|p| p.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
        // An address with more than one colon has no port.
        None => match place.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (place, None),
        },
    };
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|p| *p > 0)?),
        None => None,
    };
    let good = valid_host(host) && user.as_deref().is_none_or(|u| !u.is_empty() && valid_user(u));
    good.then(|| Jump { user, host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &str, expect: &str) {
        let words = args.split_whitespace().map(|w| w.replace('~', " "));
        let shown = match Arguments::parse(words) {
            Ok(found) => {
                let mut parts: Vec<String> = found.options.iter().map(ToString::to_string).collect();
                parts.extend(found.files.map(|f| format!("{f:?}")));
                parts.extend(found.warnings);
                parts.join("; ")
            }
            Err(e) => e,
        };
        assert_eq!(shown, expect, "{args}");
    }

    #[test]
    fn arguments_of_the_client() {
        check("", "");
        check("-C -q -vvv -oControlMaster=auto", "controlmaster=auto");
        check("-o Port=22 -o~Port~=~23", "port=22; port=23");
        check("-p 2222 -l ann -i/k1", "port=\"2222\"; user=\"ann\"; identityfile=\"/k1\"");
        check("-CAp 22", "forwardagent=\"yes\"; port=\"22\"");
        check("-J a,b:23 -c x", "proxyjump=a,b:23; ciphers=\"x\"");
        check("-F /cfg", "Only(\"/cfg\")");
        check("-Fnone", "None");
        check(
            "-L 1:x:2 -X",
            "ssh argument -L 1:x:2 is not supported and ignored; ssh argument -X is not supported and ignored",
        );
        check("-S /sock -4", "addressfamily=\"inet\"");
        check("-p", "-p needs a value");
        check("-o Port", "-o \"Port\": \"port\" needs an argument");
        check("-o Frob=1", "-o \"Frob=1\": OpenSSH knows no such option");
        check("-o IgnoreUnknown=f* -o Frob=1", "ignoreunknown=f* frob=1".replace(' ', "; ").as_str());
        check("host", "\"host\" is no option of ssh");
        check("--", "\"--\" is no option of ssh");
        check("-Z x", "-Z is no option of ssh for a connection");
        let odd = SshOption::word("IdentityFile", "a \"b\\c");
        assert_eq!(SshOption::parse(&odd.to_string()).unwrap(), odd);
    }

    #[test]
    fn lists_of_jumps() {
        let check = |list: &str, expect: &str| {
            let shown = jumps(list).map(|jumps| {
                let one = |j: &Jump| {
                    format!("{}@{}:{}", j.user.as_deref().unwrap_or("-"), j.host, j.port.unwrap_or(0))
                };
                jumps.iter().map(one).collect::<Vec<_>>().join(" ")
            });
            assert_eq!(shown.as_deref().unwrap_or("wrong"), expect, "{list}");
        };
        check("none", "");
        check("j1,ann@j2:24", "-@j1:0 ann@j2:24");
        check("ssh://ann@j1:23/", "ann@j1:23");
        check("[fe80::1]:22,::1", "-@fe80::1:22 -@::1:0");
        check("a@b@c", "a@b@c:0");
        for bad in ["j1:many", "j1:0", "", "j1,", "-x", "a b", "$(id)", "@j", "[::1]22"] {
            check(bad, "wrong");
        }
    }
}
