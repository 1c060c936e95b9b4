//! The ways in: a text of the source map, a file, a bare text.

use std::io;
use std::path::Path;

use super::compose::compose;
use super::hints;
use super::node::Node;
use crate::diag::{Diagnostic, FileId, SourceMap};
use crate::value::Value;

/// What a file holds.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// One node for each document; none for a file that is empty or holds only comments.
    pub documents: Vec<Node>,
    pub warnings: Vec<Diagnostic>,
}

/// Parses a text of the source map.
pub fn parse(sources: &SourceMap, file: FileId) -> Result<Parsed, Diagnostic> {
    let text = sources.text(file);
    if u32::try_from(text.len()).is_err() {
        return Err(
            Diagnostic::error("XP0109", "this file is larger than 4 GiB").at(sources.whole(file), "here")
        );
    }
    hints::check_characters(&text, file)?;
    compose(&text, file)
}

/// Reads a file into the source map and parses it.
pub fn parse_file(sources: &SourceMap, path: &Path) -> Result<Parsed, Diagnostic> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    match String::from_utf8(bytes) {
        Ok(text) => parse(sources, sources.add(path, text)),
        Err(error) => {
            let bad = error.utf8_error().valid_up_to();
            let file = sources.add(path, String::from_utf8_lossy(error.as_bytes()));
            // Everything before the first bad byte is unchanged by the lossy conversion.
            Err(Diagnostic::error("XP0109", "this file is not UTF-8 text")
                .at(hints::span(file, bad, bad + 3), "first byte that is not UTF-8")
                .help("save the file as UTF-8; vault-encrypted and binary files do not belong here"))
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    };
    Diagnostic::error("XP0108", format!("cannot read `{}`: {reason}", path.display()))
}

/// Parses a text with one document or none, without keeping places.
pub fn parse_value(text: &str) -> Result<Value, String> {
    let mut values = parse_values(text)?;
    match values.len() {
        0 => Ok(Value::Null),
        1 => Ok(values.remove(0)),
        n => Err(format!("expected a single document, found {n}")),
    }
}

/// Parses a text with any number of documents, without keeping places.
pub fn parse_values(text: &str) -> Result<Vec<Value>, String> {
    let sources = SourceMap::new();
    let file = sources.add("<string>", text);
    match parse(&sources, file) {
        Ok(parsed) => Ok(parsed.documents.iter().map(Node::to_value).collect()),
        Err(problem) => Err(match problem.labels.first() {
            Some(label) => {
                let place = sources.place(label.span);
                format!("{} (line {}, column {})", problem.message, place.line, place.column)
            }
            None => problem.message,
        }),
    }
}
