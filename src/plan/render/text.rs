//! Small pieces of text that several formats need.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::diag;

/// Returns text for one line: line breaks are shown, tabs become blanks, nothing can steer a terminal.
pub fn one_line(text: &str) -> String {
    diag::visible(text).replace('\n', "\\n").replace('\t', " ")
}

/// Returns JSON text with everything that could steer a terminal written as an escape of JSON, so that it stays the same
/// value.
pub fn inert_json(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b)) {
        return Cow::Borrowed(text);
    }
    let hostile = |c: char| {
        c != '\n' && !c.is_ascii_graphic() && diag::visible(c.encode_utf8(&mut [0; 4])).len() != c.len_utf8()
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if hostile(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({ "a\u{9b}": "x\u{202e}y\u{7f}\n\té\u{feff}" });
        let plain = value.to_string();
        let text = inert_json(&plain);
        assert_eq!(text, r#"{"a\u009b":"x\u202ey\u007f\n\té\ufeff"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn cut_texts_end_with_an_ellipsis() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äbcd", 3), "äb…");
    }
}
