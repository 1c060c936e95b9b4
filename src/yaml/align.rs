//! Where each byte of a scalar's text stands in the file.
//!
//! Escapes, folding and indentation make the text differ from the file. Both are walked side by side once, and
//! each place where the distance changes is kept.

use std::ops::Range;
use std::sync::Arc;

use super::node::ScalarStyle;

/// Maps byte offsets of a scalar's text to byte offsets in its file.
#[derive(Clone, Debug)]
pub(super) enum Offsets {
    /// The text stands in the file as it is, from this offset on.
    Same(u32),
    /// Pairs (offset in the text, offset in the file), ascending; between two pairs both advance alike.
    Steps(Arc<[(u32, u32)]>),
    /// No relation is known.
    Nowhere,
}

impl Offsets {
    /// Returns the file offsets of the start and the end of a text range.
    pub(super) fn locate(&self, range: Range<usize>) -> Option<(u32, u32)> {
        let start = u32::try_from(range.start).ok()?;
        let end = u32::try_from(range.end).ok()?;
        match self {
            Offsets::Same(base) => Some((base.saturating_add(start), base.saturating_add(end))),
            Offsets::Nowhere => None,
            Offsets::Steps(steps) => {
                let file_start = at(steps, steps.partition_point(|(text, _)| *text <= start), start)?;
                // The end is exclusive: it belongs to the piece that holds the byte before it, up to where the next
                // piece begins.
                let after = steps.partition_point(|(text, _)| *text < end);
                let file_end = match steps.get(after) {
                    _ if end <= start => file_start,
                    Some((text, file)) if *text == end => *file,
                    _ => at(steps, after, end)?,
                };
                Some((file_start, file_end))
            }
        }
    }
}

fn at(steps: &[(u32, u32)], after: usize, offset: u32) -> Option<u32> {
    let (text, file) = steps.get(after.checked_sub(1)?)?;
    Some(file.saturating_add(offset - text))
}

/// Aligns `text` with `source`, the scalar as it stands in the file from offset `base` on, quotes included.
pub(super) fn align(source: &str, text: &str, base: u32, style: ScalarStyle) -> Offsets {
    let body = match style {
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
        // The parser's span of a block scalar starts behind the header and the first indentation.
        ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => 0,
    };
    let Some(body_text) = source.get(body..) else { return Offsets::Nowhere };
    let body_base = base.saturating_add(body as u32);
    if body_text.starts_with(text) {
        return Offsets::Same(body_base);
    }
    match steps(body_text.as_bytes(), text.as_bytes(), style) {
        Some(steps) => Offsets::Steps(
            steps.into_iter().map(|(t, s)| (t as u32, body_base.saturating_add(s as u32))).collect(),
        ),
        None => Offsets::Nowhere,
    }
}

/// Walks both; `None` if they do not belong together.
fn steps(source: &[u8], text: &[u8], style: ScalarStyle) -> Option<Vec<(usize, usize)>> {
    let mut steps: Vec<(usize, usize)> = vec![(0, 0)];
    let (mut s, mut t) = (0, 0);
    let blank = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    while t < text.len() {
        note(&mut steps, t, s);
        let Some(&byte) = source.get(s) else {
            // A line break that the parser adds at the end has no place of its own.
            return text[t..].iter().all(|b| blank(*b)).then_some(steps);
        };
        if style == ScalarStyle::DoubleQuoted && byte == b'\\' {
            let (length, yields) = escape(&source[s..]);
            s += length;
            if yields {
                t += char_len(text[t]);
            }
        } else if style == ScalarStyle::SingleQuoted && source[s..].starts_with(b"''") && text[t] == b'\'' {
            s += 2;
            t += 1;
        } else if byte == text[t] || (blank(byte) && blank(text[t])) {
            s += 1;
            t += 1;
        } else if blank(byte) {
            s += 1;
        } else if blank(text[t]) {
            t += 1;
        } else {
            return None;
        }
    }
    note(&mut steps, t, s);
    Some(steps)
}

/// Keeps the pair if the distance differs from that of the last one.
fn note(steps: &mut Vec<(usize, usize)>, t: usize, s: usize) {
    let Some(last) = steps.last_mut() else { return };
    if s as i64 - t as i64 == last.1 as i64 - last.0 as i64 {
        return;
    }
    if last.0 == t {
        *last = (t, s);
    } else {
        steps.push((t, s));
    }
}

/// Returns the length of the escape at the start of `source` and whether it stands for a character.
fn escape(source: &[u8]) -> (usize, bool) {
    match source.get(1) {
        Some(b'x') => (4, true),
        // Two escapes of a surrogate pair stand for one character.
        Some(b'u')
            if matches!(source.get(2..4), Some([b'd' | b'D', b'8' | b'9' | b'a'..=b'b' | b'A'..=b'B'])) =>
        {
            (12, true)
        }
        Some(b'u') => (6, true),
        Some(b'U') => (10, true),
        Some(b'\r') => (if source.get(2) == Some(&b'\n') { 3 } else { 2 }, false),
        Some(b'\n') => (2, false),
        _ => (2, true),
    }
}

fn char_len(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}
