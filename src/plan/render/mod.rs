//! A plan as text for people and programs: terminal, Markdown, HTML, JSON, JUnit; and the differences of two plans.
//!
//! All of it is pure: a [`Document`] goes in, text comes out. Masking is done (a plan holds no secrets) or is left to the
//! writer; making hostile text inert is each format's own business.

mod canvas;
pub mod comparison;
pub mod difference;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod summary;
pub mod terminal;
mod text;
pub mod view;

pub use text::inert_json;

use jiff::Timestamp;

use super::model::Plan;
use super::select::Selection;

/// What a plan's file says around the plan.
#[derive(Clone, Debug, Default)]
pub struct Header<'a> {
    pub id: &'a str,
    /// The plan's file as typed, for the line that says how to apply it.
    pub file: &'a str,
    pub created: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    pub approvals: Vec<Approval>,
}

/// What somebody signed. Whether the signature is good is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub by: String,
    pub note: Option<String>,
}

/// What is rendered.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    pub header: Header<'a>,
    /// The selected part.
    pub plan: &'a Plan,
    /// The whole plan: its verdict counts.
    pub whole: &'a Plan,
    pub selection: &'a Selection,
}

/// One part of a line: an SGR sequence or nothing, and text that may hold anything.
pub type Part = (&'static str, String);

/// One line of styled parts.
pub type StyledLine = Vec<Part>;

/// Returns a time as people read it.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Returns a time as programs read it.
fn time_json(at: Timestamp) -> serde_json::Value {
    at.to_string().into()
}

/// Returns what stands in the document's selection, in words; nothing when everything is shown.
pub fn selected(selection: &Selection) -> Option<String> {
    let words: Vec<String> = [("hosts", &selection.hosts), ("steps", &selection.step)]
        .iter()
        .filter_map(|(word, value)| value.as_ref().map(|v| format!("{word} {v}")))
        .collect();
    if words.is_empty() { None } else { Some(words.join(", ")) }
}
