//! Small pieces of text that several formats need.

use crate::diag;

/// Returns text for one line: line breaks are shown, tabs become blanks, nothing can steer a terminal.
pub fn one_line(text: &str) -> String {
    diag::visible(text).replace('\n', "\\n").replace('\t', " ")
}

/// Returns at most `max` characters, the last of them an ellipsis when something is missing.
pub fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_string();
    }
    let mut cut: String = text.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Returns how many columns a text takes, wide characters left aside.
pub fn width(text: &str) -> usize {
    text.chars().count()
}
