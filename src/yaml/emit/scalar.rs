//! In which style a scalar can be written.

use super::super::resolve;
use super::writer::{is_break, is_printable};

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    /// A block behind `|`.
    Literal,
}

/// What a text allows.
pub(super) struct Analysis<'a> {
    text: &'a str,
    multiline: bool,
    plain_in_flow: bool,
    plain_in_block: bool,
    single_quoted: bool,
    block: bool,
}

impl<'a> Analysis<'a> {
    pub(super) fn of(text: &'a str, allow_unicode: bool) -> Self {
        let mut flow_indicator = text.starts_with("---") || text.starts_with("...");
        let mut block_indicator = flow_indicator;
        let mut line_breaks = false;
        let mut special = false;
        let mut break_then_space = false;
        let mut space_then_break = false;
        let mut previous: Option<char> = None;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let blank_after = chars.peek().is_none_or(|next| is_blank(*next));
            let blank_before = previous.is_none_or(is_blank);
            match (previous, c) {
                (
                    None,
                    '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                    | '`',
                ) => {
                    flow_indicator = true;
                    block_indicator = true;
                }
                (None, '?' | ':') => {
                    flow_indicator = true;
                    block_indicator |= blank_after;
                }
                (None, '-') if blank_after => {
                    flow_indicator = true;
                    block_indicator = true;
                }
                (None, _) => {}
                (Some(_), ',' | '?' | '[' | ']' | '{' | '}') => flow_indicator = true,
                (Some(_), ':') => {
                    flow_indicator = true;
                    block_indicator |= blank_after;
                }
                (Some(_), '#') if blank_before => {
                    flow_indicator = true;
                    block_indicator = true;
                }
                (Some(_), _) => {}
            }
            special |= !is_printable(c) || (!c.is_ascii() && !allow_unicode);
            line_breaks |= is_break(c);
            break_then_space |= c == ' ' && previous.is_some_and(is_break);
            space_then_break |= is_break(c) && previous == Some(' ');
            previous = Some(c);
        }
        let edge = |c: Option<char>| c.is_some_and(|c| c == ' ' || is_break(c));
        let padded = edge(text.chars().next()) || edge(text.chars().next_back());
        let single_quoted = !break_then_space && !space_then_break && !special;
        let plain = single_quoted && !padded && !line_breaks;
        Self {
            text,
            multiline: line_breaks,
            plain_in_flow: plain && !flow_indicator && !text.is_empty(),
            plain_in_block: plain && !block_indicator,
            single_quoted,
            block: !space_then_break && !special && !text.ends_with(' '),
        }
    }

    /// Chooses a block where it is possible.
    pub(super) fn block_style(&self, in_flow: bool, simple_key: bool) -> Style {
        if self.block && !in_flow && !simple_key { Style::Literal } else { Style::Double }
    }

    /// Chooses the first style of plain, single and double quotes that is possible.
    pub(super) fn style(&self, is_string: bool, in_flow: bool, simple_key: bool) -> Style {
        if simple_key && self.multiline {
            return Style::Double;
        }
        let allowed = if in_flow { self.plain_in_flow } else { self.plain_in_block };
        let absent = self.text.is_empty() && (in_flow || simple_key);
        // A string that would be read back as something else needs quotes.
        let mistaken = is_string && resolve::looks_typed(self.text);
        if allowed && !absent && !mistaken {
            return Style::Plain;
        }
        if self.single_quoted { Style::Single } else { Style::Double }
    }
}

/// Returns a text that can be a block: without blanks at the ends of lines, tabs and characters that need escapes.
pub(super) fn made_readable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for c in text.trim_end().chars() {
        match c {
            '\t' => {
                let width = 8 - column % 8;
                out.extend(std::iter::repeat_n(' ', width));
                column += width;
                continue;
            }
            c if is_break(c) && c != '\r' => {
                out.truncate(out.trim_end_matches(' ').len());
                column = 0;
                out.push(c);
                continue;
            }
            c if is_printable(c) || c >= '\u{10000}' => out.push(c),
            _ => {}
        }
        column += 1;
    }
    out
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\0') || is_break(c)
}
