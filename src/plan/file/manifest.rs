//! The manifest of a plan file, whose digest is the plan's id, and the seal over what stands beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::json;
use crate::modules::sha256;
use crate::plan::model::FORMAT;

/// Changes whenever the same plan would be applied with another meaning.
pub const SEMANTICS: u32 = 1;

/// What a plan consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// `MAJOR.MINOR`.
    pub format_version: String,
    pub semantics: u32,
    /// By name in the container.
    pub entries: BTreeMap<String, Content>,
    /// Large files that are not in it, by `ROOT/PATH`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, Content>,
    /// By `ROOT/PATH`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub directories: BTreeMap<String, Mode>,
}

/// What a file holds, by digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    pub mode: Mode,
    pub sha256: String,
    pub size: u64,
}

/// A file mode, written as `0644`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Mode(pub u32);

impl From<Mode> for String {
    fn from(mode: Mode) -> String {
        format!("{:04o}", mode.0)
    }
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no file mode");
        if text.len() != 4 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        u32::from_str_radix(&text, 8).map(Mode).map_err(|_| wrong())
    }
}

impl Content {
    pub fn of(mode: u32, content: &[u8]) -> Self {
        Content { mode: Mode(mode), sha256: sha256(content), size: content.len() as u64 }
    }
}

/// Refuses formats that this version cannot read. Only the version is looked at: the rest may have another form.
pub(super) fn check_format(manifest: &[u8]) -> Result<(), Problem> {
    #[derive(Deserialize)]
    struct Versioned {
        format_version: String,
    }
    let Versioned { format_version: found } = json::parse("manifest.json", manifest)?;
    let major = found.split_once('.').and_then(|(major, minor)| {
        minor.parse::<u32>().ok()?;
        major.parse::<u32>().ok()
    });
    match major {
        None => Err(Problem::Damaged(format!("\"{found}\" is no format version"))),
        Some(major) if major > FORMAT.0 => Err(Problem::Newer { found }),
        Some(major) if major < FORMAT.0 => Err(Problem::Older { found }),
        Some(_) => Ok(()),
    }
}

/// Returns this version's format as manifests write it.
pub(super) fn format_version() -> String {
    format!("{}.{}", FORMAT.0, FORMAT.1)
}

/// Returns the bytes of `seal.json`: digests of the entries that the manifest does not cover, and of the manifest.
pub(super) fn seal<'a>(entries: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let digests = entries.into_iter().map(|(name, content)| (name, sha256(content))).collect();
    json::canonical(&BTreeMap::<&str, BTreeMap<&str, String>>::from([("sha256", digests)]))
}
