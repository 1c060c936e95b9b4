//! Syntax errors in the words of people who write playbooks.

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
    let before = text.get(..key.span.start as usize).unwrap_or_default();
    if key.is_map() && before.trim_end().ends_with('{') {
        let outer = before.trim_end().len() - 1;
        return unquoted_template(text, key.span.file, outer);
    }
    Diagnostic::error("XP0102", format!("a {} cannot be a key", key.type_name()))
        .at(key.span, "used as a key")
}

/// Returns the diagnostic for what the parser reports.
pub(super) fn syntax_error(text: &str, file: FileId, error: &ScanError) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    Diagnostic::error("XP0101", error.info()).at(span(file, at, at), "")
}

fn unquoted_template(text: &str, file: FileId, at: usize) -> Diagnostic {
    let _ = text;
    Diagnostic::error("XP0101", "a value that starts with `{{` must be quoted")
        .at(span(file, at, at + 2), "here")
}

/// Refuses control characters, as PyYAML does: a terminal would obey some of them.
pub(super) fn check_characters(text: &str, file: FileId) -> Result<(), Diagnostic> {
    let bad = text.char_indices().find(|(_, c)| {
        let code = *c as u32;
        (code < 0x20 && !matches!(c, '\t' | '\n' | '\r'))
            || code == 0x7f
            || (0x80..0xa0).contains(&code) && code != 0x85
            || matches!(code, 0xfffe | 0xffff)
    });
    match bad {
        None => Ok(()),
        Some((at, c)) => Err(Diagnostic::error(
            "XP0110",
            format!("control character U+{:04X} is not allowed in YAML", c as u32),
        )
        .at(span(file, at, at + c.len_utf8()), "here")
        .help("write it as an escape in double quotes, such as \"\\e\"")),
    }
}
