//! Where things stand in the user's files, and messages that point there.
//!
//! [`SourceMap`] keeps the texts, [`Span`] a place in one of them, [`Diagnostic`] a message with places. The one
//! renderer of code frames lives here too. Knows no YAML and no playbooks.

mod render;
mod source;
mod suggest;

pub use render::{Style, classic, render, visible};
pub use source::{FileId, Place, SourceMap, Span};
pub use suggest::did_you_mean;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Warning,
    Error,
}

/// A place in a file with a few words about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// A message about the user's files: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Stable, such as `XP0123`; documented and searchable.
    pub code: &'static str,
    pub message: String,
    /// The first label is the place that the headline is about.
    pub labels: Vec<Label>,
    pub notes: Vec<String>,
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// Tells whether Ansible would find the mistake only when the task runs: templates, arguments, types of keywords.
    pub fn is_of_the_run(&self) -> bool {
        self.code.starts_with("XP03")
            || self.code.starts_with("XP07")
            || matches!(self.code, "XP0604" | "XP0613" | "XP0614" | "XP0640")
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Adds "did you mean" when one of `candidates` is close to `word`.
    pub fn suggest<'a>(mut self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        if let Some(best) = did_you_mean(word, candidates) {
            self.help = Some(format!("did you mean `{best}`?"));
        }
        self
    }
}

/// The messages of several steps, errors apart from warnings.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    pub errors: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
}

impl Diagnostics {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        match diagnostic.severity {
            Severity::Error => self.errors.push(diagnostic),
            Severity::Warning => self.warnings.push(diagnostic),
        }
    }

    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.warnings.is_empty()
    }

    /// Keeps the error of a failed step, returns the value of one that worked.
    pub fn take<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.push(diagnostic)).ok()
    }

    /// Returns the warnings, then the errors, each in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.warnings.iter().chain(&self.errors)
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, iter: T) {
        iter.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::iter::Chain<std::vec::IntoIter<Diagnostic>, std::vec::IntoIter<Diagnostic>>;
    fn into_iter(self) -> Self::IntoIter {
        self.warnings.into_iter().chain(self.errors)
    }
}
