//! Syntax errors in the words of people who write playbooks.
//!
//! The parser tells a kind and an offset. Most mistakes are a few well-known slips, recognised from the lines
//! around; what remains gets the parser's own words.

use granit_parser::{ErrorKind, ScanError};

use super::node::Node;
use crate::diag::{Diagnostic, FileId, Span};

/// Returns a span from byte offsets.
pub(super) fn span(file: FileId, start: usize, end: usize) -> Span {
    let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
    Span { file, start: narrow(start), end: narrow(end) }
}

/// Returns the diagnostic for a key that is a list or mapping.
pub(super) fn unusable_key(text: &str, key: &Node) -> Diagnostic {
    let before = text.get(..key.span.start as usize).unwrap_or_default().trim_end();
    if key.is_map() && before.ends_with('{') {
        let at = before.len() - 1;
        return View { text, file: key.span.file }.unquoted_template(at);
    }
    Diagnostic::error("XP0102", format!("a {} cannot be a key", key.type_name()))
        .at(key.span, "used as a key here")
        .help("if this is meant as text, quote it")
}

/// Refuses control characters, as PyYAML does: a terminal would obey some of them.
pub(super) fn check_characters(text: &str, file: FileId) -> Result<(), Diagnostic> {
    let bad = text.char_indices().find(|(_, c)| {
        let code = *c as u32;
        (code < 0x20 && !matches!(c, '\t' | '\n' | '\r'))
            || (0x7f..0xa0).contains(&code) && code != 0x85
            || matches!(code, 0xfffe | 0xffff)
    });
    let Some((at, c)) = bad else { return Ok(()) };
    let message = format!("control character U+{:04X} is not allowed in YAML", c as u32);
    Err(Diagnostic::error("XP0110", message)
        .at(span(file, at, at + c.len_utf8()), "remove it, or write it as an escape in double quotes"))
}

/// Returns the diagnostic for what the parser reports.
pub(super) fn syntax_error(text: &str, file: FileId, error: &ScanError) -> Diagnostic {
    let view = View { text, file };
    let mut at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    if let Some(start) = view.template_before(at) {
        return view.unquoted_template(start);
    }
    match error.kind() {
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => view.second_colon(at),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => view.no_colon(at),
        ErrorKind::ExpectedBlockMappingKey => view.expected_key(at),
        ErrorKind::ExpectedBlockSequenceEntry => view
            .error(
                "expected another list item",
                at,
                "this line belongs to the list above and must start with `- `",
            )
            .help("indent it to continue the item above, or start it with `- `"),
        ErrorKind::BlockSequenceEntryNotAllowed => view
            .error("a list cannot start on the line of its key", at, "list item")
            .help("put `- ` on the next line, indented under the key"),
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            view.after_quote(at)
        }
        ErrorKind::UnclosedQuotedScalar => view
            .error("this quote is never closed", at, "opened here")
            .help("close it at the end of the value"),
        ErrorKind::UnknownQuotedScalarEscape | ErrorKind::InvalidQuotedScalarHexEscape => view.bad_escape(at),
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => view.tab(at),
        ErrorKind::UnexpectedCharacter { character } => view
            .error(format!("a value cannot start with `{character}`"), at, "reserved in YAML")
            .help("quote the whole value"),
        ErrorKind::UnknownAnchor => {
            let name = view.word(at);
            view.spanned(
                format!("no anchor named `{}` above", name.trim_start_matches('*')),
                at,
                name.len(),
                "alias",
            )
            .help("if this is meant as text, such as a file pattern, quote it")
        }
        ErrorKind::RecursionLimitExceeded => Diagnostic::error("XP0104", "values nest too deep")
            .at(span(file, at, at + 1), "deeper than 255 levels"),
        ErrorKind::UnclosedFlowCollection { open } => {
            view.error(format!("`{open}` is never closed"), at, "opened here")
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            view.error(format!("`{open}` is closed by `{close}`"), at, "opened here")
        }
        ErrorKind::MisplacedFlowCollectionEnd => view
            .error("this bracket closes nothing", at, "no matching opening bracket")
            .help("if this is meant as text, quote the whole value"),
        ErrorKind::ExpectedFlowMappingSeparator => {
            view.error("expected `,` or `}`", at, "inside the braces that are still open")
        }
        ErrorKind::ExpectedFlowSequenceSeparator => {
            view.error("expected `,` or `]`", at, "inside the brackets that are still open")
        }
        other => view.error(other.to_string().to_lowercase(), at, "here"),
    }
}

/// A line: where it starts, and its text without the line break.
#[derive(Clone, Copy)]
struct Line<'a> {
    start: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn indent(self) -> usize {
        self.text.len() - self.text.trim_start_matches(' ').len()
    }

    fn is_blank(self) -> bool {
        let text = self.text.trim_start();
        text.is_empty() || text.starts_with('#')
    }

    /// Returns the columns at which values begin: the indentation, and behind each `- `.
    fn levels(self) -> Vec<usize> {
        let mut levels = vec![self.indent()];
        let mut at = self.indent();
        while self.text[at..].starts_with("- ") {
            at += 1;
            at += self.text[at..].len() - self.text[at..].trim_start_matches(' ').len();
            levels.push(at);
        }
        levels
    }

    /// Returns the text behind the indentation and any `- `.
    fn body(self) -> &'a str {
        let at = self.levels().last().copied().unwrap_or(0);
        &self.text[at..]
    }

    fn body_start(self) -> usize {
        self.start + self.text.len() - self.body().len()
    }
}

struct View<'a> {
    text: &'a str,
    file: FileId,
}

impl<'a> View<'a> {
    fn line(&self, at: usize) -> Line<'a> {
        let start = self.text[..at].rfind('\n').map_or(0, |i| i + 1);
        let end = self.text[at..].find('\n').map_or(self.text.len(), |i| at + i);
        Line { start, text: self.text[start..end].trim_end_matches('\r') }
    }

    /// Returns the lines above the one at `at`, nearest first, without blank ones.
    fn above(&self, at: usize) -> impl Iterator<Item = Line<'a>> {
        let mut start = self.line(at).start;
        std::iter::from_fn(move || {
            start = (start > 0).then(|| self.line(start - 1).start)?;
            Some(self.line(start))
        })
        .filter(|line| !line.is_blank())
    }

    fn error(&self, message: impl Into<String>, at: usize, label: &str) -> Diagnostic {
        let length = self.text[at..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
        self.spanned(message, at, length, label)
    }

    fn spanned(&self, message: impl Into<String>, at: usize, length: usize, label: &str) -> Diagnostic {
        Diagnostic::error("XP0101", message).at(span(self.file, at, at + length), label)
    }

    fn word(&self, at: usize) -> &'a str {
        let rest = &self.text[at..];
        &rest[..rest.find(|c: char| c.is_whitespace() || ",]}".contains(c)).unwrap_or(rest.len())]
    }

    /// Finds a value that starts with `{{` on the line of the error, before it.
    fn template_before(&self, at: usize) -> Option<usize> {
        let line = self.line(at);
        let body = line.body_start();
        let value = match colon(line.body()) {
            _ if line.body().starts_with("{{") => body,
            Some(i) => body + i + 1 + leading_spaces(&line.body()[i + 1..]),
            None => return None,
        };
        (value <= at && self.text[value..].starts_with("{{")).then_some(value)
    }

    fn unquoted_template(&self, at: usize) -> Diagnostic {
        let line = self.line(at);
        let value = self.text[at..line.start + line.text.len()].trim_end();
        self.spanned(
            "a value that starts with `{{` must be quoted",
            at,
            value.len(),
            "YAML reads this as a mapping",
        )
        .help(format!("quote the whole value: {}", quoted(value)))
    }

    fn second_colon(&self, at: usize) -> Diagnostic {
        let line = self.line(at);
        let body_start = line.body_start();
        let first = colon(line.body()).map(|i| body_start + i);
        if let Some(first) = first.filter(|first| *first < at) {
            let value_at = first + 1 + leading_spaces(&self.text[first + 1..]);
            let value = self.text[value_at..line.start + line.text.len()].trim_end();
            return self
                .error("an unquoted value cannot contain `: `", at, "this colon would start another mapping")
                .help(format!("quote the whole value: {}", quoted(value)));
        }
        if let Some(above) = self.above(at).next() {
            if let Some(diagnostic) = self.missing_space(above) {
                return diagnostic;
            }
            let level = above.levels().last().copied().unwrap_or(0);
            if colon(above.body()).is_some() && line.indent() > level {
                let above_at = above.body_start();
                return self
                    .spanned(
                        "this line is indented too far",
                        line.start + line.indent(),
                        line.text.trim().len(),
                        "deeper than the line above, which already has a value",
                    )
                    .at(
                        span(self.file, above_at, above_at + above.body().trim_end().len()),
                        "the value above",
                    )
                    .help(format!("indent it by {level} spaces to go with the line above"));
            }
            if colon(above.body()).is_none() {
                let above_at = above.body_start();
                return self
                    .error("a mapping cannot start here", at, "this colon makes the text a key")
                    .at(
                        span(self.file, above_at, above_at + above.body().trim_end().len()),
                        "a value began here",
                    )
                    .help("give the line above a colon, or quote the text that goes over several lines");
            }
        }
        self.error("a mapping cannot start here", at, "this colon makes the text before it a key")
            .help("if this is meant as text, quote the whole value")
    }

    /// Recognises `key:value`.
    fn missing_space(&self, line: Line<'a>) -> Option<Diagnostic> {
        let body = line.body();
        let colon = body.find(':')?;
        let (key, value) = (&body[..colon], body[colon + 1..].trim_end());
        let plain_key = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
        if !plain_key || value.is_empty() || value.starts_with([' ', '\t', '/', ':']) {
            return None;
        }
        let at = line.body_start() + colon;
        Some(
            self.spanned("missing space after the colon", at, 1, "YAML reads the whole line as one text")
                .help(format!("write `{key}: {value}`")),
        )
    }

    fn no_colon(&self, at: usize) -> Diagnostic {
        let line = self.line(at);
        if let Some(diagnostic) = self.missing_space(line) {
            return diagnostic;
        }
        let body = line.body().trim_end();
        let start = line.body_start();
        let opens_block = |l: &Line<'_>| {
            let header = l.text.trim_end().trim_end_matches(|c: char| "+-".contains(c) || c.is_ascii_digit());
            header.ends_with(['|', '>']) && !l.text.trim_end().ends_with("->")
        };
        if let Some(above) = self.above(at).next().filter(opens_block) {
            return self
                .spanned(
                    "the text of a block must be indented more than its key",
                    start,
                    body.len(),
                    "not indented",
                )
                .at(
                    span(self.file, above.body_start(), above.start + above.text.trim_end().len()),
                    "block begins here",
                );
        }
        self.spanned("expected `key: value`", start, body.len(), "no colon on this line")
            .help("add `: ` after the key, or indent the line to continue the value above")
    }

    fn expected_key(&self, at: usize) -> Diagnostic {
        let line = self.line(at);
        let indent = line.indent();
        // The levels that are open here: seen from below, each further one must be smaller.
        let mut open: Vec<(usize, Line<'a>)> = Vec::new();
        let mut least = usize::MAX;
        for above in self.above(at) {
            for level in above.levels().into_iter().rev() {
                if level < least {
                    least = level;
                    open.push((level, above));
                }
            }
            if least == 0 {
                break;
            }
        }
        let text = line.text.trim();
        if at <= line.start + indent && !open.iter().any(|(level, _)| *level == indent) {
            let mut diagnostic =
                self.spanned("wrong indentation", line.start + indent, text.len(), "fits no line above");
            // The two levels around the one that was typed are what can be meant.
            let deeper = open.iter().rev().find(|(level, _)| *level > indent);
            let outer = open.iter().find(|(level, _)| *level < indent);
            let mut ways = Vec::new();
            for (level, above) in [deeper, outer].into_iter().flatten() {
                let name = above.text[*level..].split([':', '#']).next().unwrap_or_default().trim();
                ways.push(format!("by {level} to go with `{}`", shorten(name)));
            }
            if !ways.is_empty() {
                diagnostic = diagnostic.help(format!("indent it {}", ways.join(", or ")));
            }
            return diagnostic;
        }
        if text.starts_with("- ") || text == "-" {
            return self
                .error(
                    "a list item cannot follow `key: value` lines of the same indentation",
                    line.start + indent,
                    "list item",
                )
                .help("indent it under the key that holds the list, or correct the line above");
        }
        self.error("expected a key", at, "this does not continue the mapping above")
            .help("check the indentation and the quotes of this line and the one above")
    }

    fn after_quote(&self, at: usize) -> Diagnostic {
        let line = self.line(at);
        let rest = self.text[at..line.start + line.text.len()].trim_end();
        let diagnostic = self.spanned(
            "text after the closing quote",
            at,
            rest.len(),
            "a value that starts with a quote must end with it",
        );
        let value = match colon(line.body()) {
            Some(i) => line.body()[i + 1..].trim(),
            None => line.body().trim(),
        };
        if value.starts_with(['\'', '"']) {
            return diagnostic.help(format!("quote the whole value: {}", quoted(value)));
        }
        diagnostic.help("quote the whole value")
    }

    /// The parser points at the opening quote; this finds the escape.
    fn bad_escape(&self, at: usize) -> Diagnostic {
        let bytes = self.text.as_bytes();
        let mut i = at + usize::from(bytes.get(at) == Some(&b'"'));
        while i + 1 < bytes.len() && bytes[i] != b'"' {
            if bytes[i] != b'\\' {
                i += 1;
                continue;
            }
            let digits = match bytes[i + 1] {
                b'x' => 2,
                b'u' => 4,
                b'U' => 8,
                b'0' | b'a' | b'b' | b't' | b'\t' | b'n' | b'v' | b'f' | b'r' | b'e' | b' ' | b'"' | b'/'
                | b'\\' | b'N' | b'_' | b'L' | b'P' | b'\n' | b'\r' => 0,
                _ => usize::MAX,
            };
            let hex = bytes[i + 2..].iter().take(digits.min(8)).take_while(|b| b.is_ascii_hexdigit()).count();
            if hex < digits {
                let length = self.text[i + 1..].chars().next().map_or(0, char::len_utf8);
                return self
                    .spanned(
                        "unknown escape in double quotes",
                        i,
                        1 + length,
                        "a backslash starts an escape here",
                    )
                    .help("use single quotes, or write each backslash twice");
            }
            i += 2;
        }
        self.error("unknown escape in double quotes", at, "in this text")
            .help("use single quotes, or write each backslash twice")
    }

    fn tab(&self, at: usize) -> Diagnostic {
        let line = self.line(at);
        let place = line.text.find('\t').map_or(at, |i| line.start + i);
        self.spanned("a tab cannot be used here", place, 1, "tab").help("indent with spaces")
    }
}

/// Returns the offset of the first colon that separates a key from a value.
fn colon(body: &str) -> Option<usize> {
    let bytes = body.as_bytes();
    let mut quote = None;
    for (i, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (Some(q), b) if *b == q => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') if i == 0 => quote = Some(*byte),
            (None, b':') if matches!(bytes.get(i + 1), None | Some(b' ' | b'\t' | b'\r')) => return Some(i),
            (None, _) => {}
        }
    }
    None
}

fn leading_spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

/// Returns the value in the quotes that need the fewest escapes.
fn quoted(value: &str) -> String {
    let value = shorten(value);
    if value.contains('"') && !value.contains('\'') {
        return format!("'{value}'");
    }
    if value.contains('"') || value.contains('\\') {
        return format!("'{}'", value.replace('\'', "''"));
    }
    format!("\"{value}\"")
}

/// Returns at most 60 characters.
fn shorten(text: &str) -> String {
    if text.chars().count() <= 60 {
        return text.to_owned();
    }
    text.chars().take(59).chain(['…']).collect()
}
