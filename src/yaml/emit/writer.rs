//! Characters, columns, indentation and folding.

use super::EmitOptions;
use super::scalar::Style;

/// YAML 1.1 line breaks.
pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What libyaml writes as it is; everything else is escaped.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

/// The text so far, and what its end looks like.
pub(super) struct Writer {
    out: String,
    best_indent: usize,
    width: usize,
    allow_unicode: bool,
    column: usize,
    /// The last character is blank, or nothing is written yet.
    whitespace: bool,
    /// The line holds only indentation and indicators.
    indention: bool,
    indent: Option<usize>,
    outer_indents: Vec<Option<usize>>,
}

impl Writer {
    pub(super) fn new(options: &EmitOptions) -> Self {
        let best_indent = if (2..=9).contains(&options.indent) { options.indent } else { 2 };
        Self {
            out: String::new(),
            best_indent,
            width: if options.width <= best_indent * 2 { 80 } else { options.width },
            allow_unicode: options.allow_unicode,
            column: 0,
            whitespace: true,
            indention: true,
            indent: None,
            outer_indents: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    pub(super) fn at_indentation(&self) -> bool {
        self.indention
    }

    pub(super) fn increase_indent(&mut self, flow: bool, indentless: bool) {
        self.outer_indents.push(self.indent);
        self.indent = match self.indent {
            None => Some(if flow { self.best_indent } else { 0 }),
            Some(indent) if indentless => Some(indent),
            Some(indent) => Some(indent + self.best_indent),
        };
    }

    pub(super) fn decrease_indent(&mut self) {
        self.indent = self.outer_indents.pop().flatten();
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn put_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
    }

    pub(super) fn indicator(&mut self, text: &str, need_whitespace: bool, whitespace: bool, indention: bool) {
        if need_whitespace && !self.whitespace {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.whitespace = whitespace;
        self.indention = self.indention && indention;
    }

    /// Starts a line at the current indentation, unless the text already stands there.
    pub(super) fn line_break_and_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    pub(super) fn indent_if_wide(&mut self) {
        if self.column > self.width {
            self.line_break_and_indent();
        }
    }

    pub(super) fn scalar(&mut self, text: &str, style: Style, may_fold: bool) {
        let chars: Vec<char> = text.chars().collect();
        match style {
            Style::Plain => self.plain(&chars, may_fold),
            Style::Single => self.single_quoted(&chars, may_fold),
            Style::Double => self.double_quoted(&chars, may_fold),
            Style::Literal => return self.literal(&chars),
        }
        self.whitespace = false;
        self.indention = false;
    }

    /// A block: `|` with what it needs to be read back, then the lines as they are.
    fn literal(&mut self, chars: &[char]) {
        let mut hints = String::from("|");
        if chars.first().is_some_and(|c| *c == ' ' || is_break(*c)) {
            hints.push_str(&self.best_indent.to_string());
        }
        match chars {
            [.., before, last] if is_break(*last) && is_break(*before) => hints.push('+'),
            [last] if is_break(*last) => hints.push('+'),
            [.., last] if is_break(*last) => {}
            _ => hints.push('-'),
        }
        self.indicator(&hints, true, false, false);
        self.put_break('\n');
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for c in chars {
            if is_break(*c) {
                self.put_break(*c);
                self.indention = true;
                breaks = true;
                continue;
            }
            if breaks {
                self.line_break_and_indent();
            }
            self.put(*c);
            self.indention = false;
            breaks = false;
        }
    }

    fn plain(&mut self, chars: &[char], may_fold: bool) {
        if !self.whitespace && !chars.is_empty() {
            self.put(' ');
        }
        let mut spaces = false;
        for (i, c) in chars.iter().enumerate() {
            if *c != ' ' {
                self.put(*c);
                self.indention = false;
                spaces = false;
                continue;
            }
            let lone = !spaces && chars.get(i + 1) != Some(&' ');
            if may_fold && lone && self.column > self.width {
                self.line_break_and_indent();
            } else {
                self.put(' ');
            }
            spaces = true;
        }
    }

    fn single_quoted(&mut self, chars: &[char], may_fold: bool) {
        self.indicator("'", true, false, false);
        let (mut spaces, mut breaks) = (false, false);
        for (i, c) in chars.iter().enumerate() {
            if *c == ' ' {
                let inner = i > 0 && i + 1 < chars.len();
                let lone = !spaces && chars.get(i + 1) != Some(&' ');
                if may_fold && inner && lone && self.column > self.width {
                    self.line_break_and_indent();
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else if is_break(*c) {
                // One line break would be folded to a space.
                if !breaks && *c == '\n' {
                    self.put_break('\n');
                }
                self.put_break(*c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.line_break_and_indent();
                }
                if *c == '\'' {
                    self.put('\'');
                }
                self.put(*c);
                self.indention = false;
                spaces = false;
                breaks = false;
            }
        }
        if breaks {
            self.line_break_and_indent();
        }
        self.indicator("'", false, false, false);
    }

    fn double_quoted(&mut self, chars: &[char], may_fold: bool) {
        self.indicator("\"", true, false, false);
        let mut spaces = false;
        for (i, c) in chars.iter().enumerate() {
            let as_it_is = is_printable(*c) && (self.allow_unicode || c.is_ascii());
            if !as_it_is || is_break(*c) || matches!(c, '"' | '\\') {
                self.escape(*c);
                spaces = false;
            } else if *c == ' ' {
                let inner = i > 0 && i + 1 < chars.len();
                if may_fold && inner && !spaces && self.column > self.width {
                    self.line_break_and_indent();
                    if chars.get(i + 1) == Some(&' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(*c);
                spaces = false;
            }
        }
        self.indicator("\"", false, false, false);
    }

    fn escape(&mut self, c: char) {
        let code = c as u32;
        let short = match c {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' | '\\' => c,
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let text = match code {
                    ..=0xff => format!("\\x{code:02X}"),
                    0x100..=0xffff => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                };
                text.chars().for_each(|c| self.put(c));
                return;
            }
        };
        self.put('\\');
        self.put(short);
    }
}
