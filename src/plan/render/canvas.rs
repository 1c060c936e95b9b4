//! Lines of styled parts, as wide as the terminal.

use super::StyledLine;
use super::difference::Tag;
use super::text::{one_line, width};

pub const GREEN: &str = "0;32";
pub const YELLOW: &str = "0;33";
pub const RED: &str = "0;31";
pub const BRIGHT_RED: &str = "1;31";
pub const PURPLE: &str = "0;35";
pub const CYAN: &str = "0;36";
pub const BOLD: &str = "1";
pub const DIM: &str = "2";

/// Narrower terminals are treated as this wide.
const MIN_WIDTH: usize = 40;

/// Collects lines. Whatever a text holds, it makes no line of its own.
pub struct Canvas {
    width: usize,
    color: bool,
    lines: Vec<StyledLine>,
}

/// Returns the colour of a line of a difference; its sign says the same.
pub fn tag_style(tag: Tag) -> &'static str {
    match tag {
        Tag::Add => GREEN,
        Tag::Remove => RED,
        Tag::Change => YELLOW,
        Tag::Hunk => CYAN,
        Tag::Note => DIM,
        Tag::Context => "",
    }
}

impl Canvas {
    pub fn new(width: usize, color: bool) -> Self {
        Canvas { width: width.max(MIN_WIDTH), color, lines: Vec::new() }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn into_lines(self) -> Vec<StyledLine> {
        self.lines
    }

    /// Writes an empty line.
    pub fn blank(&mut self) {
        self.lines.push(Vec::new());
    }

    /// Writes a line in one style.
    pub fn line(&mut self, style: &'static str, text: &str) {
        self.push(vec![(style, text.to_string())]);
    }

    /// The only way in for lines: nothing in a part can begin a line of its own.
    pub fn push(&mut self, parts: StyledLine) {
        let parts = parts
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(style, text)| (if self.color { style } else { "" }, one_line(&text)))
            .collect();
        self.lines.push(parts);
    }

    /// Writes a line with `right` at the right edge, or below when there is no room.
    pub fn sided(&mut self, left: StyledLine, right: &str) {
        if let Some(right) = self.try_sided(left, right) {
            self.detail_line("", Some(right));
        }
    }

    /// Writes a line with `right` at its right edge; returns it when there is no room.
    pub fn try_sided(&mut self, mut left: StyledLine, right: &str) -> Option<String> {
        let right = one_line(right);
        let used: usize = left.iter().map(|(_, text)| width(&one_line(text))).sum();
        let room = self.width.saturating_sub(used + width(&right));
        if room < 2 {
            self.push(left);
            return Some(right);
        }
        left.push((DIM, format!("{:room$}{right}", "")));
        self.push(left);
        None
    }

    /// Writes the line below a step's name, with the place that had no room above.
    pub fn detail_line(&mut self, text: &str, place: Option<String>) {
        const INDENT: usize = 6;
        let fits = width(&one_line(text)) + INDENT <= self.width;
        let place = match place {
            Some(place) if fits && !text.is_empty() => {
                self.try_sided(vec![("", format!("{:INDENT$}{text}", ""))], &place)
            }
            place => {
                if !text.is_empty() {
                    self.wrapped(INDENT, "", text);
                }
                place
            }
        };
        if let Some(place) = place {
            self.line(DIM, &format!("{:INDENT$}{place}", ""));
        }
    }

    /// Writes a text that may be long, broken at blanks.
    pub fn wrapped(&mut self, indent: usize, style: &'static str, text: &str) {
        let text = one_line(text);
        let room = self.width.saturating_sub(indent).max(20);
        let mut line = String::new();
        let mut first = true;
        let mut flush = |page: &mut Self, line: &mut String| {
            let indent = if first { indent } else { indent + 2 };
            first = false;
            page.line(style, &format!("{:indent$}{line}", ""));
            line.clear();
        };
        for word in text.split(' ') {
            let room = if line.is_empty() { usize::MAX } else { room.saturating_sub(width(&line) + 3) };
            if width(word) > room {
                flush(self, &mut line);
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        flush(self, &mut line);
    }
}
