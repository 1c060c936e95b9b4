//! The texts that spans point into.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock};

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
    /// Where each line starts; found when a place is first asked for.
    lines: OnceLock<Vec<usize>>,
}

impl Source {
    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            std::iter::once(0).chain(self.text.match_indices('\n').map(|(i, _)| i + 1)).collect()
        })
    }

    fn place(&self, offset: u32) -> Place {
        let at = floor_char_boundary(&self.text, offset as usize);
        let line = self.lines().partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|i| self.lines().get(i)).copied().unwrap_or(0);
        Place { path: self.path.clone(), line, column: self.text[start..at].chars().count() + 1 }
    }
}

/// Returns the nearest character boundary at or before `at`, inside the text.
pub(super) fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
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
        sources.push(Source { path: path.into(), text: text.into(), lines: OnceLock::new() });
        FileId(u32::try_from(sources.len() - 1).unwrap_or(u32::MAX))
    }

    pub fn text(&self, file: FileId) -> Arc<str> {
        self.with(file, |s| s.text.clone()).unwrap_or_else(|| "".into())
    }

    pub fn path(&self, file: FileId) -> PathBuf {
        self.with(file, |s| s.path.clone()).unwrap_or_else(|| Path::new("<unknown>").to_owned())
    }

    /// Returns the paths of all texts, in the order in which they were read.
    pub fn paths(&self) -> Vec<PathBuf> {
        let sources = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        sources.iter().map(|s| s.path.clone()).collect()
    }

    /// Returns all texts, in the order in which they were read.
    pub fn texts(&self) -> Vec<Arc<str>> {
        let sources = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        sources.iter().map(|s| s.text.clone()).collect()
    }

    /// Returns the span of the whole text.
    pub fn whole(&self, file: FileId) -> Span {
        let end = self.with(file, |s| s.text.len()).unwrap_or(0);
        Span { file, start: 0, end: u32::try_from(end).unwrap_or(u32::MAX) }
    }

    /// Returns where the span starts. A span beyond the text is at its end.
    pub fn place(&self, span: Span) -> Place {
        self.with(span.file, |s| s.place(span.start)).unwrap_or_else(|| Place {
            path: self.path(span.file),
            line: 1,
            column: 1,
        })
    }

    fn with<T>(&self, file: FileId, read: impl FnOnce(&Source) -> T) -> Option<T> {
        let sources = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        sources.get(file.0 as usize).map(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, start: u32, line: usize, column: usize) {
        let sources = SourceMap::new();
        let file = sources.add("f", text);
        let place = sources.place(Span { file, start, end: start });
        assert_eq!((place.line, place.column), (line, column), "{text:?} at {start}");
    }

    #[test]
    fn places_count_lines_and_characters_from_one() {
        check("", 0, 1, 1);
        check("ab\ncd\n", 0, 1, 1);
        check("ab\ncd\n", 2, 1, 3);
        check("ab\ncd\n", 3, 2, 1);
        check("ab\ncd\n", 6, 3, 1);
        check("ab\ncd\n", 600, 3, 1);
        check("äö\nü x", 2, 1, 2);
        check("äö\nü x", 3, 1, 2);
        check("äö\nü x", 8, 2, 3);
    }
}
