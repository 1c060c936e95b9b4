//! The texts that spans point into.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

/// A file in a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u32);

/// A byte range in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// Returns the span from the start of `self` to the end of `other`.
    pub fn to(self, other: Span) -> Span {
        Span { end: other.end.max(self.end), ..self }
    }
}

/// A span as people read it: path, and line and column from 1 (columns count characters).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: PathBuf,
    pub line: usize,
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: Arc<str>,
}

/// All texts read in this run. Clones share the same texts.
#[derive(Clone, Debug, Default)]
pub struct SourceMap(Arc<RwLock<Vec<Source>>>);

impl SourceMap {
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a text under the path that messages show; `<command line>` and the like are fine as paths.
    pub fn add(&self, path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> FileId {
        let mut sources = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        sources.push(Source { path: path.into(), text: text.into() });
        FileId(u32::try_from(sources.len() - 1).unwrap_or(u32::MAX))
    }

    pub fn text(&self, file: FileId) -> Arc<str> {
        self.with(file, |s| s.text.clone()).unwrap_or_else(|| "".into())
    }

    pub fn path(&self, file: FileId) -> PathBuf {
        self.with(file, |s| s.path.clone()).unwrap_or_else(|| Path::new("<unknown>").to_owned())
    }

    /// Returns the span of the whole text.
    pub fn whole(&self, file: FileId) -> Span {
        let end = self.with(file, |s| s.text.len()).unwrap_or(0);
        Span { file, start: 0, end: u32::try_from(end).unwrap_or(u32::MAX) }
    }

    pub fn place(&self, span: Span) -> Place {
        let text = self.text(span.file);
        let mut start = (span.start as usize).min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Place {
            path: self.path(span.file),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn with<T>(&self, file: FileId, read: impl FnOnce(&Source) -> T) -> Option<T> {
        let sources = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        sources.get(file.0 as usize).map(read)
    }
}
