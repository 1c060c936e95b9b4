//! Why a plan file cannot be written, read or unpacked.

use std::io;
use std::path::{Path, PathBuf};

use crate::plan::model::FORMAT;

/// Why something with a plan file failed.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    #[error("cannot {action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{} {problem}", path.display())]
    Refused { path: PathBuf, problem: Problem },
    /// Something cannot become part of a plan.
    #[error("{what} cannot be part of a plan: {reason}")]
    Unfit { what: String, reason: String },
    /// A file that a plan refers to is not the one that was planned with.
    #[error("{} is not the file that was planned with: {reason}", path.display())]
    Changed { path: PathBuf, reason: String },
}

/// What is wrong with a plan file; follows its path in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("is no plan file: {0}")]
    Foreign(String),
    #[error("is damaged: {0}")]
    Damaged(String),
    #[error("was edited: {0}")]
    Edited(String),
    #[error("has format {found}, but this xplay reads only formats {}.x; a newer xplay is needed", FORMAT.0)]
    Newer { found: String },
    #[error("has format {found}, but this xplay reads only formats {}.x; make the plan again", FORMAT.0)]
    Older { found: String },
    #[error("is too large: {0}")]
    TooLarge(String),
}

impl PlanFileError {
    pub(super) fn file<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Self + 'a {
        move |source| PlanFileError::File { action, path: path.to_path_buf(), source }
    }

    pub(super) fn unfit(what: impl Into<String>, reason: impl Into<String>) -> Self {
        PlanFileError::Unfit { what: what.into(), reason: reason.into() }
    }
}

impl Problem {
    pub(super) fn at(self, path: &Path) -> PlanFileError {
        PlanFileError::Refused { path: path.to_path_buf(), problem: self }
    }
}
