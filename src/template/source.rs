//! The text of one template, and places in it as spans in the user's files.

use std::sync::Arc;

use crate::diag::{SourceMap, Span};

/// A byte range in a template's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    pub start: u32,
    pub end: u32,
}

/// A template's text and where it stands in the user's files.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub text: Arc<str>,
    /// The file range that holds the text, quotes and indentation included.
    pub span: Option<Span>,
}

impl Source {
    /// Returns the file span of a range in the text; the whole text's span where the file shows it differently.
    pub fn span_of(&self, sources: &SourceMap, at: At) -> Option<Span> {
        let whole = self.span?;
        let file = sources.text(whole.file);
        let raw = file.get(whole.start as usize..whole.end as usize)?;
        let skip = if raw == &*self.text {
            0
        } else if raw.len() == self.text.len() + 2 && raw.get(1..raw.len() - 1) == Some(&*self.text) {
            1
        } else {
            return Some(whole);
        };
        let start = (whole.start + skip + at.start).min(whole.end);
        Some(Span { start, end: (whole.start + skip + at.end).clamp(start, whole.end), ..whole })
    }
}
