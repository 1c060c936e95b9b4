//! Allowed signers: whose keys approve plans, in the file format of `ssh-keygen -Y verify`. Pure: text in, table out.
//!
//! ```text
//! ann@example.com namespaces="xplay-plan@v1" ssh-ed25519 AAAA...
//! bob@example.com,bob valid-before="20270101" ssh-rsa AAAA...
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::diag::{Diagnostic, FileId, Span};
use crate::transport::signature::{SignerKey, matches_list};

/// A line that makes no sense.
const MALFORMED: &str = "XP0801";
/// A line that is understood and has no effect.
const WITHOUT_EFFECT: &str = "XP0802";

/// Whose keys count, and when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AllowedSigners {
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq)]
struct Line {
    principals: Vec<String>,
    namespaces: Option<Vec<String>>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
    key: SignerKey,
}

/// Why a key does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    #[error("the key is not in the file of allowed signers")]
    Unknown,
    #[error("the key is not allowed for plans")]
    Namespace,
    #[error("the key is not valid yet")]
    TooEarly,
    #[error("the key is not valid any more")]
    TooLate,
}

impl AllowedSigners {
    /// Reads a file; its mistakes are errors, since a key that is left out by mistake and one that is not are not told
    /// apart later. Times without `Z` are local ones.
    pub fn parse(file: FileId, text: &str, zone: &TimeZone) -> (Self, Vec<Diagnostic>) {
        let (mut lines, mut found) = (Vec::new(), Vec::new());
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let content = line.trim();
            let indent = line.len() - line.trim_start().len();
            let at = |from: usize, to: usize| Span {
                file,
                start: u32::try_from(start + indent + from).unwrap_or(u32::MAX),
                end: u32::try_from(start + indent + to).unwrap_or(u32::MAX),
            };
            if !content.is_empty() && !content.starts_with('#') {
                match Line::parse(content, zone) {
                    Ok(line) => lines.push(line),
                    Err(Odd::Authority) => found.push(
                        Diagnostic::warning(WITHOUT_EFFECT, "certificate authorities do not approve plans")
                            .at(at(0, content.len()), "this line has no effect")
                            .help("list the keys themselves"),
                    ),
                    Err(Odd::Mistake(from, to, what)) => found.push(
                        Diagnostic::error(MALFORMED, "a line of the allowed signers is not understood")
                            .at(at(from, to), what)
                            .help("a line is: principals, options, type of the key, the key"),
                    ),
                }
            }
            start += line.len();
        }
        (AllowedSigners { lines }, found)
    }

    /// Returns the principals of a key that may sign for this purpose now.
    pub fn principals(
        &self,
        key: &SignerKey,
        namespace: &str,
        now: Timestamp,
    ) -> Result<&[String], NotAllowed> {
        let mut why = NotAllowed::Unknown;
        for line in self.lines.iter().filter(|l| l.key == *key) {
            why = match line {
                Line { namespaces: Some(n), .. } if !matches_list(n, namespace) => NotAllowed::Namespace,
                Line { after: Some(after), .. } if now < *after => NotAllowed::TooEarly,
                Line { before: Some(before), .. } if now >= *before => NotAllowed::TooLate,
                allowed => return Ok(&allowed.principals),
            };
        }
        Err(why)
    }
}

/// Why a line is none that counts; places are offsets in it.
enum Odd {
    Authority,
    Mistake(usize, usize, String),
}

impl Line {
    fn parse(text: &str, zone: &TimeZone) -> Result<Self, Odd> {
        let words = split(text)?;
        let mut words = words.into_iter();
        let principals: Vec<String> = match words.next() {
            Some(word) => unquoted(word.text).split(',').map(str::to_string).collect(),
            None => Vec::new(),
        };
        let end = Odd::Mistake(text.len(), text.len(), "a key is expected here".into());
        let Some(mut word) = words.next() else { return Err(end) };
        let mut line = Line {
            principals,
            namespaces: None,
            after: None,
            before: None,
            key: SignerKey { key_type: String::new(), blob: Vec::new() },
        };
        let mut authority = false;
        if !is_key_type(word.text) {
            authority = line.options(word, zone)?;
            let Some(next) = words.next() else { return Err(end) };
            word = next;
        }
        let kind = word;
        if !is_key_type(kind.text) {
            return Err(kind.mistake("this is no type of a key"));
        }
        let Some(word) = words.next() else { return Err(end) };
        let blob = STANDARD.decode(word.text).ok();
        line.key = match blob.and_then(SignerKey::from_blob) {
            Some(key) if key.key_type == kind.text => key,
            Some(_) => return Err(word.mistake("this key is of another type")),
            None => return Err(word.mistake("this is no key")),
        };
        if authority { Err(Odd::Authority) } else { Ok(line) }
    }

    /// Takes the options; returns whether the line is about a certificate authority.
    fn options(&mut self, word: Word, zone: &TimeZone) -> Result<bool, Odd> {
        let mut authority = false;
        for option in word.split_at_commas() {
            let (name, value) = option.text.split_once('=').unwrap_or((option.text, ""));
            let value = unquoted(value);
            match name.to_ascii_lowercase().as_str() {
                "cert-authority" => authority = true,
                "namespaces" => self.namespaces = Some(value.split(',').map(str::to_string).collect()),
                "valid-after" => self.after = Some(option.time(value, zone)?),
                "valid-before" => self.before = Some(option.time(value, zone)?),
                _ => return Err(option.mistake("this option is not known")),
            }
        }
        Ok(authority)
    }
}

/// A part of a line and where it stands in it.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    start: usize,
}

impl<'a> Word<'a> {
    fn mistake(self, what: &str) -> Odd {
        Odd::Mistake(self.start, self.start + self.text.len(), what.into())
    }

    /// Splits options; commas in quotes are part of them.
    fn split_at_commas(self) -> Vec<Word<'a>> {
        pieces(self.text, |c| c == ',')
            .into_iter()
            .map(|(at, text)| Word { text, start: self.start + at })
            .collect()
    }

    /// Reads `YYYYMMDD[HHMM[SS]][Z]`.
    fn time(self, text: &str, zone: &TimeZone) -> Result<Timestamp, Odd> {
        let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
            Some(digits) => (digits, &TimeZone::UTC),
            None => (text, zone),
        };
        let format = match digits.len() {
            8 => "%Y%m%d",
            12 => "%Y%m%d%H%M",
            _ => "%Y%m%d%H%M%S",
        };
        let parsed = jiff::fmt::strtime::parse(format, digits).and_then(|parts| match digits.len() {
            8 => parts.to_date().map(|date| date.to_datetime(jiff::civil::Time::midnight())),
            _ => parts.to_datetime(),
        });
        let time = parsed.and_then(|time: DateTime| time.to_zoned(zone.clone()));
        time.map(|t| t.timestamp())
            .map_err(|_| self.mistake("a time is written as YYYYMMDD or YYYYMMDDHHMMSS"))
    }
}

fn is_key_type(text: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| text.starts_with(start))
        && !text.contains('=')
}

/// Splits a line at white space outside of quotes.
fn split(text: &str) -> Result<Vec<Word<'_>>, Odd> {
    if text.matches('"').count() % 2 == 1 {
        let at = text.rfind('"').unwrap_or_default();
        return Err(Odd::Mistake(at, text.len(), "the closing quote is missing".into()));
    }
    let words = pieces(text, char::is_whitespace).into_iter();
    Ok(words.filter(|(_, text)| !text.is_empty()).map(|(start, text)| Word { text, start }).collect())
}

/// Splits a text at separators outside of quotes; returns where each piece begins.
fn pieces(text: &str, separates: impl Fn(char) -> bool) -> Vec<(usize, &str)> {
    let (mut found, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        quoted ^= c == '"';
        if !quoted && separates(c) {
            found.push((start, &text[start..at]));
            start = at + c.len_utf8();
        }
    }
    found.push((start, &text[start..]));
    found
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::SourceMap;

    /// A key with this type in it; nobody signs with it.
    fn key(key_type: &str, body: &str) -> SignerKey {
        let length = u32::try_from(key_type.len()).unwrap().to_be_bytes();
        SignerKey::from_blob([&length, key_type.as_bytes(), body.as_bytes()].concat()).unwrap()
    }

    fn encoded(key: &SignerKey) -> String {
        format!("{} {}", key.key_type, STANDARD.encode(&key.blob))
    }

    fn parse(text: &str) -> (AllowedSigners, Vec<String>) {
        let sources = SourceMap::new();
        let file = sources.add("signers", text);
        let (signers, found) = AllowedSigners::parse(file, text, &TimeZone::fixed(jiff::tz::offset(2)));
        let shown = found.iter().map(|d| {
            let label = &d.labels[0];
            let marked = &text[label.span.start as usize..label.span.end as usize];
            format!("{}: {:?}: {}", sources.place(label.span), marked, label.text)
        });
        (signers, shown.collect())
    }

    #[test]
    fn keys_have_principals() {
        let (ann, bob, eve) = (key("ssh-ed25519", "a"), key("ssh-rsa", "b"), key("ssh-ed25519", "e"));
        let text = format!(
            "# people\n\nann@x {} a comment\n  \"bob smith,bob\" {}\nann@x namespaces=\"git\" {}\n",
            encoded(&ann),
            encoded(&bob),
            encoded(&eve)
        );
        let (signers, found) = parse(&text);
        assert_eq!(found, Vec::<String>::new());
        let check = |key: &SignerKey, expect: Result<&str, &str>| {
            let principals = signers.principals(key, "xplay-plan@v1", Timestamp::UNIX_EPOCH);
            let principals = principals.map(|p| p.join("|")).map_err(|e| e.to_string());
            assert_eq!(principals, expect.map(str::to_string).map_err(str::to_string));
        };
        check(&ann, Ok("ann@x"));
        check(&bob, Ok("bob smith|bob"));
        check(&eve, Err("the key is not allowed for plans"));
        check(&key("ssh-ed25519", "x"), Err("the key is not in the file of allowed signers"));
    }

    #[test]
    fn options_limit_keys() {
        let key = key("ssh-ed25519", "a");
        let check = |options: &str, now: &str, expect: Result<(), NotAllowed>| {
            let (signers, found) = parse(&format!("ann {options} {}", encoded(&key)));
            assert_eq!(found, Vec::<String>::new(), "{options}");
            let now = now.parse().unwrap();
            assert_eq!(signers.principals(&key, "xplay-plan@v1", now).map(|_| ()), expect, "{options}");
        };
        let noon = "2026-11-25T12:00:00Z";
        check("namespaces=\"git,xplay-*\"", noon, Ok(()));
        check("NAMESPACES=\"xplay-*,!xplay-plan@v?\"", noon, Err(NotAllowed::Namespace));
        check("valid-after=20261125120000Z", noon, Ok(()));
        check("valid-after=\"20261125120001Z\"", noon, Err(NotAllowed::TooEarly));
        check("valid-after=\"202611251400\"", noon, Ok(()));
        check("valid-after=\"202611251401\"", noon, Err(NotAllowed::TooEarly));
        check("valid-before=20261126", "2026-11-25T21:59:59Z", Ok(()));
        check("valid-before=20261126", "2026-11-25T22:00:00Z", Err(NotAllowed::TooLate));
        check("valid-after=20261101,valid-before=20261201,namespaces=\"xplay-plan@v1\"", noon, Ok(()));
    }

    #[test]
    fn lines_for_the_same_key_add_up() {
        let key = key("ssh-ed25519", "a");
        let text = format!("ann namespaces=git {0}\nann valid-before=20000101 {0}\nann {0}\n", encoded(&key));
        let (signers, _) = parse(&text);
        let now = Timestamp::from_second(2_000_000_000).unwrap();
        assert_eq!(signers.principals(&key, "xplay-plan@v1", now), Ok(&["ann".to_string()][..]));
    }

    #[test]
    fn mistakes_have_places() {
        let good = encoded(&key("ssh-ed25519", "a"));
        let blob = good.split_once(' ').unwrap().1;
        let check = |line: &str, expect: &str| {
            let text = format!("ann {good}\n  {line}\n");
            assert_eq!(parse(&text).1, [expect.to_string()], "{line}");
        };
        check("ann", "signers:2:6: \"\": a key is expected here");
        check("ann ssh-ed25519", "signers:2:18: \"\": a key is expected here");
        check("ann ssh-ed25519 AAAA=", "signers:2:19: \"AAAA=\": this is no key");
        check(
            &format!("ann ssh-rsa {blob}"),
            &format!("signers:2:15: {blob:?}: this key is of another type"),
        );
        check(&format!("ann colour=red {good}"), "signers:2:7: \"colour=red\": this option is not known");
        check(
            &format!("ann namespaces=\"a,b\",valid-after=soon {good}"),
            "signers:2:24: \"valid-after=soon\": a time is written as YYYYMMDD or YYYYMMDDHHMMSS",
        );
        check(
            &format!("ann namespaces=\"a {good}"),
            &format!("signers:2:18: {:?}: the closing quote is missing", format!("\"a {good}")),
        );
        check(
            &format!("*@x cert-authority {good}"),
            &format!("signers:2:3: {:?}: this line has no effect", format!("*@x cert-authority {good}")),
        );
    }
}
