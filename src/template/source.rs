//! The text of one template, and places in it as spans in the user's files.

use std::sync::Arc;

use crate::diag::{SourceMap, Span};
use crate::yaml::Node;

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
    /// The YAML scalar that it is, which knows where each of its characters stands.
    pub node: Option<Node>,
}

impl Source {
    /// Returns the file span of a range in the text; the whole text's span where the file shows it differently.
    pub fn span_of(&self, sources: &SourceMap, at: At) -> Option<Span> {
        if let Some(node) = &self.node {
            return Some(node.content_span(at.start as usize..at.end as usize));
        }
        let whole = self.span?;
        let file = sources.text(whole.file);
        let raw = file.get(whole.start as usize..whole.end as usize).unwrap_or_default();
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

    /// Returns the beginning of the text for messages.
    pub fn clip(&self) -> String {
        let line: String = self.text.chars().take(80).collect();
        if line.len() < self.text.len() { line + "..." } else { line }
    }
}
