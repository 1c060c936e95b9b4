//! Failures of templates: what went wrong, where in which template, and through which variables it was reached.

use std::sync::Arc;

use super::source::{At, Source};
use crate::diag::{Diagnostic, SourceMap, Span};
use crate::value::Unknown;

/// Why a template gave no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenderErrorKind {
    /// A variable or attribute does not exist; `name` is what the expression asked for.
    Undefined { name: String },
    /// The text itself is no template (possible only for templates read while rendering).
    Syntax,
    /// A filter, test, lookup or operator refused its input.
    Failed,
    /// Variables that need one another.
    Recursion,
    /// The result depends on something that is not known while planning. Only where no [`Value`] can say so:
    /// `render_file` and statements.
    ///
    /// [`Value`]: crate::value::Value
    Unknown(Unknown),
}

/// A template that could not be rendered.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", diagnostic.message)]
pub struct RenderError {
    pub kind: RenderErrorKind,
    /// Shows the place in the template, the variable's file, and the chain of variables.
    pub diagnostic: Box<Diagnostic>,
}

impl RenderError {
    /// Returns one line in Ansible's words.
    pub fn message(&self) -> &str {
        &self.diagnostic.message
    }

    pub fn is_undefined(&self) -> bool {
        matches!(self.kind, RenderErrorKind::Undefined { .. })
    }

    /// Returns the cause when the result is not known yet.
    pub fn unknown(&self) -> Option<&Unknown> {
        match &self.kind {
            RenderErrorKind::Unknown(u) => Some(u),
            _ => None,
        }
    }
}

/// A failure on its way out of the interpreter.
#[derive(Clone, Debug)]
pub(super) struct Fail {
    pub kind: RenderErrorKind,
    pub message: String,
    /// The innermost place.
    pub at: Option<(Arc<Source>, At)>,
    /// Variables and files on the way, innermost first.
    pub chain: Vec<(String, Option<Span>)>,
    pub help: Option<String>,
}

pub(super) type R<T> = Result<T, Box<Fail>>;

impl Fail {
    pub fn new(kind: RenderErrorKind, message: impl Into<String>) -> Box<Self> {
        Box::new(Fail { kind, message: message.into(), at: None, chain: Vec::new(), help: None })
    }

    pub fn failed(message: impl Into<String>) -> Box<Self> {
        Self::new(RenderErrorKind::Failed, message)
    }

    pub fn unknown(unknown: Unknown) -> Box<Self> {
        let message = format!("not known before {} ran", unknown.cause);
        Self::new(RenderErrorKind::Unknown(unknown), message)
    }

    pub fn undefined(name: impl Into<String>, message: impl Into<String>) -> Box<Self> {
        Self::new(RenderErrorKind::Undefined { name: name.into() }, message)
    }

    /// Sets the place unless an inner one is known.
    pub fn locate(mut self: Box<Self>, source: &Arc<Source>, at: At) -> Box<Self> {
        if self.at.is_none() {
            self.at = Some((source.clone(), at));
        }
        self
    }

    /// Adds an outer link, such as `in variable "x"`.
    pub fn through(mut self: Box<Self>, what: impl Into<String>, span: Option<Span>) -> Box<Self> {
        if self.chain.len() < 20 {
            self.chain.push((what.into(), span));
        }
        self
    }

    pub fn help(mut self: Box<Self>, text: impl Into<String>) -> Box<Self> {
        self.help = Some(text.into());
        self
    }

    fn code(&self) -> &'static str {
        match self.kind {
            RenderErrorKind::Undefined { .. } => "XP0301",
            RenderErrorKind::Syntax => "XP0300",
            RenderErrorKind::Failed => "XP0302",
            RenderErrorKind::Recursion => "XP0303",
            RenderErrorKind::Unknown(_) => "XP0304",
        }
    }

    pub fn into_error(self, sources: &SourceMap) -> RenderError {
        let mut diagnostic = Diagnostic::error(self.code(), self.message.clone());
        if let Some((source, at)) = &self.at {
            match source.span_of(sources, *at) {
                Some(span) => diagnostic = diagnostic.at(span, "here"),
                None if !source.text.is_empty() => {
                    diagnostic = diagnostic.note(format!("in the template `{}`", source.clip()));
                }
                None => {}
            }
        }
        for (what, span) in &self.chain {
            diagnostic = match span {
                Some(span) => diagnostic.at(*span, what.clone()),
                None => diagnostic.note(what.clone()),
            };
        }
        if let Some(help) = self.help {
            diagnostic = diagnostic.help(help);
        }
        RenderError { kind: self.kind, diagnostic: Box::new(diagnostic) }
    }
}
