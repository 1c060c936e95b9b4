//! `key=value` texts: splitting at spaces but not inside quotes or `{{ }}`, and taking pairs apart.

use std::ops::Range;

/// A `key=value` text taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeyValues {
    pub pairs: Vec<Pair>,
    /// What is no pair, joined again; with the place of its first piece.
    pub rest: Option<(String, Range<usize>)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub key: String,
    pub value: String,
    /// Where key and value stand in the text.
    pub range: Range<usize>,
}

/// Quotes or a `{{` without their end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unbalanced;

/// A piece of the text; `text` keeps the spaces and newlines that followed it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub text: String,
    pub range: Range<usize>,
}

/// The pairs that a free-form command takes for itself; others stay part of the command.
const COMMAND_OPTIONS: [&str; 8] =
    ["creates", "removes", "chdir", "executable", "warn", "stdin", "stdin_add_newline", "strip_empty_ends"];

/// Pairs of a text, and what is no pair.
pub type Pairs = (Vec<(String, String)>, Option<String>);

/// Takes `key=value` pairs as after `-e` apart. Nothing when quotes or a `{{` are not closed.
pub fn pairs(text: &str) -> Option<Pairs> {
    let found = parse_kv(text, false).ok()?;
    let pairs = found.pairs.into_iter().map(|pair| (pair.key, pair.value)).collect();
    Some((pairs, found.rest.map(|(text, _)| text)))
}

/// Takes a text apart. With `free_form` only the options of commands count as pairs.
pub(super) fn parse_kv(text: &str, free_form: bool) -> Result<KeyValues, Unbalanced> {
    let mut found = KeyValues::default();
    let mut rest: Vec<(String, Range<usize>)> = Vec::new();
    for piece in split_args(text)? {
        let decoded = decode_escapes(&piece.text);
        let Some(at) = unescaped_equals(&decoded) else {
            let text = if decoded.contains('=') { decoded.replace("\\=", "=") } else { piece.text.clone() };
            rest.push((text, piece.range));
            continue;
        };
        let (key, value) = (&decoded[..at], &decoded[at + 1..]);
        if free_form && !COMMAND_OPTIONS.contains(&key) {
            rest.push((piece.text, piece.range));
            continue;
        }
        found.pairs.push(Pair {
            key: key.trim().to_owned(),
            value: unquote(value.trim()).to_owned(),
            range: piece.range,
        });
    }
    if let Some((_, first)) = rest.first() {
        let end = rest.last().map_or(first.end, |(_, r)| r.end);
        let range = first.start..end;
        found.rest = Some((join(rest.iter().map(|(t, _)| t.as_str())), range));
    }
    Ok(found)
}

/// Splits at the first word: `copy src=a` into `copy` and its rest.
pub(super) fn split_first(text: &str) -> Result<(String, Range<usize>), Unbalanced> {
    let mut pieces = split_args(text)?.into_iter();
    let Some(first) = pieces.next() else { return Ok((String::new(), text.len()..text.len())) };
    let start = pieces.next().map_or(text.len(), |p| p.range.start);
    Ok((first.text.trim().to_owned(), start..text.len()))
}

fn join<'a>(pieces: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for piece in pieces {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push(' ');
        }
        out.push_str(piece);
    }
    out
}

/// The first `=` after the first character that no backslash precedes.
fn unescaped_equals(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (1..bytes.len()).find(|&i| bytes[i] == b'=' && bytes[i - 1] != b'\\')
}

/// Removes one pair of quotes around the whole text.
pub(super) fn unquote(text: &str) -> &str {
    let bytes = text.as_bytes();
    let n = bytes.len();
    let quoted =
        n > 1 && bytes[0] == bytes[n - 1] && matches!(bytes[0], b'"' | b'\'') && bytes[n - 2] != b'\\';
    if quoted { &text[1..n - 1] } else { text }
}

/// What is open between two words.
#[derive(Default)]
struct State {
    quote: Option<char>,
    print: usize,
    block: usize,
    comment: usize,
}

impl State {
    fn in_template(&self) -> bool {
        self.print > 0 || self.block > 0 || self.comment > 0
    }
}

/// Splits at spaces and newlines outside of quotes and template brackets; keeps newlines and repeated spaces with
/// the piece before them.
pub(super) fn split_args(text: &str) -> Result<Vec<Piece>, Unbalanced> {
    let mut pieces: Vec<Piece> = Vec::new();
    if text.is_empty() {
        return Ok(pieces);
    }
    let mut state = State::default();
    let mut at = 0;
    let lines: Vec<&str> = text.split('\n').collect();
    for (number, line) in lines.iter().enumerate() {
        let mut continued = false;
        for (index, word) in line.split(' ').enumerate() {
            let range = at..at + word.len();
            at = range.end + 1;
            if word.is_empty() && index != 0 {
                extend(&mut pieces, " ", range);
                continue;
            }
            if word == "\\" && state.quote.is_none() {
                continued = true;
                continue;
            }
            take_word(&mut pieces, &mut state, word, index == 0, range);
        }
        if number + 1 < lines.len() && !continued {
            let end = at.saturating_sub(1);
            extend(&mut pieces, "\n", end..end);
        }
    }
    if state.in_template() || state.quote.is_some() { Err(Unbalanced) } else { Ok(pieces) }
}

fn take_word(pieces: &mut Vec<Piece>, state: &mut State, word: &str, first: bool, range: Range<usize>) {
    let was_quoted = state.quote.is_some();
    let was_template = state.in_template();
    state.quote = quote_after(word, state.quote);
    let quoted = state.quote.is_some();
    let mut placed = false;
    if quoted && !was_quoted && !was_template {
        pieces.push(Piece { text: word.to_owned(), range: range.clone() });
        placed = true;
    } else if was_template || quoted || was_quoted {
        let spacer = if first { "" } else { " " };
        extend(pieces, &format!("{spacer}{word}"), range.clone());
        placed = true;
    }
    for (depth, open, close) in
        [(&mut state.print, "{{", "}}"), (&mut state.block, "{%", "%}"), (&mut state.comment, "{#", "#}")]
    {
        let before = *depth;
        *depth = (before + word.matches(open).count()).saturating_sub(word.matches(close).count());
        if *depth != before && !placed {
            pieces.push(Piece { text: word.to_owned(), range: range.clone() });
            placed = true;
        }
    }
    if !placed && !state.in_template() && !quoted && !word.is_empty() {
        pieces.push(Piece { text: word.to_owned(), range });
    }
}

fn extend(pieces: &mut Vec<Piece>, text: &str, range: Range<usize>) {
    match pieces.last_mut() {
        Some(last) => {
            last.text.push_str(text);
            last.range.end = last.range.end.max(range.end);
        }
        None => pieces.push(Piece { text: text.to_owned(), range }),
    }
}

fn quote_after(word: &str, mut quote: Option<char>) -> Option<char> {
    let mut before = None;
    for c in word.chars() {
        if matches!(c, '"' | '\'') && before != Some('\\') {
            quote = match quote {
                Some(open) if open == c => None,
                Some(open) => Some(open),
                None => Some(c),
            };
        }
        before = Some(c);
    }
    quote
}

/// Replaces `\n`, `\t`, `\x41`, `\u0041` and their like; other backslashes stay.
fn decode_escapes(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let simple = after.chars().next().and_then(|c| {
            Some(match c {
                '\\' | '\'' | '"' => c,
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                _ => return None,
            })
        });
        if let Some(c) = simple {
            out.push(c);
            rest = &after[1..];
            continue;
        }
        let digits = match after.as_bytes().first() {
            Some(b'x') => 2,
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => 0,
        };
        let coded = after
            .get(1..1 + digits)
            .filter(|hex| digits > 0 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .and_then(char::from_u32);
        if let Some(c) = coded {
            out.push(c);
            rest = &after[1 + digits..];
        } else {
            out.push('\\');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, free_form: bool, pairs: &[(&str, &str)], rest: Option<&str>) {
        let found = parse_kv(text, free_form).expect(text);
        let got: Vec<(&str, &str)> = found.pairs.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
        assert_eq!(got, pairs, "{text}");
        assert_eq!(found.rest.as_ref().map(|(t, _)| t.as_str()), rest, "{text}");
    }

    #[test]
    fn splits_as_ansible_does() {
        check("src=a dest=b", false, &[("src", "a"), ("dest", "b")], None);
        check("src=a dest=\"b c\"", false, &[("src", "a"), ("dest", "b c")], None);
        check("msg='it''s'", false, &[("msg", "it''s")], None);
        check(
            "msg={{ a | default('x y') }} b=1",
            false,
            &[("msg", "{{ a | default('x y') }}"), ("b", "1")],
            None,
        );
        check("line=\"a\\tb\"", false, &[("line", "a\tb")], None);
        check("echo a=b chdir=/tmp", true, &[("chdir", "/tmp")], Some("echo a=b"));
        check("echo  two   spaces", true, &[], Some("echo  two   spaces"));
        check("echo one\necho two", true, &[], Some("echo one\necho two"));
        check("echo a \\\n  b", true, &[], Some("echo a  b"));
        check("a\\=b", false, &[], Some("a=b"));
        check("=x", false, &[], Some("=x"));
        check(
            "path=/a mode=0644 state=touch",
            false,
            &[("path", "/a"), ("mode", "0644"), ("state", "touch")],
            None,
        );
        check("{% if x %} a=1 {% endif %}", false, &[("a", "1")], Some("{% if x %} {% endif %}"));
        check("creates=/x 'quoted word' b", true, &[("creates", "/x")], Some("'quoted word' b"));
        check("\\u0041=\\x42 c=\\q", false, &[("A", "B"), ("c", "\\q")], None);
        check("", false, &[], None);
    }

    #[test]
    fn reports_what_is_open() {
        assert_eq!(parse_kv("msg='a b", false), Err(Unbalanced));
        assert_eq!(parse_kv("msg={{ a", false), Err(Unbalanced));
    }

    #[test]
    fn takes_the_first_word() {
        assert_eq!(split_first("copy src=a"), Ok(("copy".into(), 5..10)));
        assert_eq!(split_first("ping"), Ok(("ping".into(), 4..4)));
        assert_eq!(split_first(""), Ok((String::new(), 0..0)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[ -~\n\\\\='\"{}%#é]{0,60}") {
            for free_form in [false, true] {
                if let Ok(found) = parse_kv(&text, free_form) {
                    for pair in found.pairs {
                        proptest::prop_assert!(text.get(pair.range).is_some());
                    }
                }
            }
            let _ = split_first(&text);
        }
    }
}
