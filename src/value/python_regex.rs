//! Python's regular expressions and replacement templates, on the library's engine.
//!
//! Patterns of playbooks, inventories and modules are written for Python's `re`; here they are rewritten for
//! `fancy_regex` where the two differ (docs.python.org, library/re).

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

pub use fancy_regex::{Captures, Match, Regex};
use fancy_regex::{Error, ParseError};

/// What `re.IGNORECASE`, `re.MULTILINE` and `re.DOTALL` say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    pub ignore_case: bool,
    /// `^` and `$` stand for lines, not for the whole text.
    pub lines: bool,
    /// A dot matches a line break too.
    pub dot_all: bool,
}

/// Compiles a Python regular expression.
///
/// # Errors
/// The pattern and what is wrong with it, in one line.
pub fn compile(pattern: &str, flags: Flags) -> Result<Regex, String> {
    let (inline, rest) = inline_flags(pattern);
    let mut letters: String = inline.chars().filter(|c| "imsx".contains(*c)).collect();
    for (letter, on) in [('i', flags.ignore_case), ('m', flags.lines), ('s', flags.dot_all)] {
        if on && !letters.contains(letter) {
            letters.push(letter);
        }
    }
    let translated = Translator {
        chars: rest.chars().peekable(),
        lines: letters.contains('m'),
        verbose: letters.contains('x'),
        out: String::with_capacity(rest.len() + 16),
    }
    .run();
    let full = if letters.is_empty() { translated } else { format!("(?{letters}){translated}") };
    Regex::new(&full).map_err(|e| {
        let text = e.to_string();
        let reason = match e {
            // Python's words, which people look for.
            Error::ParseError(place, ParseError::TargetNotRepeatable) => {
                format!("nothing to repeat at position {place}")
            }
            _ => text.lines().last().unwrap_or_default().trim().to_string(),
        };
        format!("invalid regular expression '{pattern}': {reason}")
    })
}

/// Splits flags for the whole pattern, `(?im)`, from the rest of it.
fn inline_flags(pattern: &str) -> (&str, &str) {
    let split = pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')'));
    match split {
        Some((flags, rest)) if !flags.is_empty() && flags.chars().all(|c| "aiLmsux".contains(c)) => {
            (flags, rest)
        }
        _ => ("", pattern),
    }
}

struct Translator<'p> {
    chars: Peekable<Chars<'p>>,
    lines: bool,
    verbose: bool,
    out: String,
}

impl Translator<'_> {
    fn run(mut self) -> String {
        while let Some(c) = self.chars.next() {
            match c {
                '\\' => self.escape(),
                '[' => self.class(),
                '(' => self.group(),
                '{' => self.count(),
                // A closing brace of a count is taken with it.
                '}' => self.out.push_str("\\}"),
                // Without lines it also stands before a last line break.
                '$' if !self.lines => self.out.push_str("(?=\\n?\\z)"),
                '#' if self.verbose => self.comment(),
                c => self.out.push(c),
            }
        }
        self.out
    }

    fn comment(&mut self) {
        while self.chars.next_if(|c| *c != '\n').is_some() {}
    }

    fn escape(&mut self) {
        match self.chars.next() {
            None => self.out.push('\\'),
            Some('Z') => self.out.push_str("\\z"),
            Some('0') => {
                let code = self.octal(0);
                self.code(code);
            }
            Some(d @ '1'..='9') => {
                let mut digits = String::from(d);
                while digits.len() < 3
                    && let Some(more) = self.chars.next_if(char::is_ascii_digit)
                {
                    digits.push(more);
                }
                // Three octal digits are a character, others a group.
                match u32::from_str_radix(&digits, 8) {
                    Ok(code) if digits.len() == 3 && code <= 0o377 => self.code(code),
                    _ => {
                        self.out.push('\\');
                        self.out.push_str(&digits);
                    }
                }
            }
            Some(c) if c.is_ascii_alphanumeric() => {
                self.out.push('\\');
                self.out.push(c);
            }
            Some(c) => self.literal(c),
        }
    }

    /// Reads up to two octal digits behind a first one.
    fn octal(&mut self, first: u32) -> u32 {
        let mut code = first;
        for _ in 0..2 {
            let Some(digit) = self.chars.next_if(|c| ('0'..='7').contains(c)) else { break };
            code = code * 8 + digit.to_digit(8).unwrap_or(0);
        }
        code
    }

    fn code(&mut self, code: u32) {
        let _ = write!(self.out, "\\x{{{code:X}}}");
    }

    /// A character that stands for itself, in a class and outside of one.
    fn literal(&mut self, c: char) {
        if c.is_whitespace() {
            self.code(u32::from(c));
            return;
        }
        if "\\.+*?()|[]{}^$#&-~".contains(c) {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// `[...]`, in which brackets and doubled signs are plain characters.
    fn class(&mut self) {
        self.out.push('[');
        if self.chars.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        while let Some(c) = self.chars.next() {
            match c {
                ']' if !first => {
                    self.out.push(']');
                    return;
                }
                '\\' => self.class_escape(),
                // Between two characters it makes a range; a last one is plain.
                '-' if !first && self.chars.peek().is_some_and(|next| *next != ']') => {
                    self.out.push('-');
                    match self.chars.next() {
                        Some('\\') => self.class_escape(),
                        Some(end) => self.literal(end),
                        None => {}
                    }
                    // What follows begins anew: `a-c-e` is a range, a sign and a character.
                    if self.chars.peek() == Some(&'-') {
                        self.chars.next();
                        self.literal('-');
                    }
                }
                c => self.literal(c),
            }
            first = false;
        }
    }

    fn class_escape(&mut self) {
        match self.chars.next() {
            Some('b') => self.code(8),
            Some(d @ '0'..='7') => {
                let code = self.octal(d.to_digit(8).unwrap_or(0));
                self.code(code);
            }
            Some(c) if c.is_ascii_alphanumeric() => {
                self.out.push('\\');
                self.out.push(c);
            }
            Some(c) => self.literal(c),
            None => self.out.push('\\'),
        }
    }

    /// `(?P=name)` refers back to a named group.
    fn group(&mut self) {
        let ahead: String = self.chars.clone().take(3).collect();
        if ahead != "?P=" {
            self.out.push('(');
            return;
        }
        let name: String = self.chars.by_ref().skip(3).take_while(|c| *c != ')').collect();
        self.out.push_str("\\k<");
        self.out.push_str(&name);
        self.out.push('>');
    }

    /// `{m,n}` with either number left out counts; any other brace is a plain one.
    fn count(&mut self) {
        let mut ahead = self.chars.clone();
        let number = |ahead: &mut Peekable<Chars<'_>>| {
            let mut digits = String::new();
            while let Some(d) = ahead.next_if(char::is_ascii_digit) {
                digits.push(d);
            }
            digits
        };
        let low = number(&mut ahead);
        let comma = ahead.next_if_eq(&',').is_some();
        let high = if comma { number(&mut ahead) } else { String::new() };
        if ahead.next() != Some('}') || (low.is_empty() && !comma) {
            self.out.push_str("\\{");
            return;
        }
        self.chars = ahead;
        let low = if low.is_empty() { "0" } else { &low };
        let comma = if comma { "," } else { "" };
        let _ = write!(self.out, "{{{low}{comma}{high}}}");
    }
}

/// A replacement template (`\1`, `\g<name>`, `\n`), read once: a wrong one is an error whether anything matches or
/// not, as in `re.sub`.
#[derive(Debug)]
pub struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(String),
    /// A group that the expression has; one that took no part is empty.
    Group(usize),
}

impl Template {
    /// # Errors
    /// A group that the expression does not have, or an escape that Python does not know.
    pub fn parse(template: &str, regex: &Regex) -> Result<Template, String> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut chars = template.chars().peekable();
        while let Some(c) = chars.next() {
            if c != '\\' {
                text.push(c);
                continue;
            }
            match chars.next() {
                None => return Err("bad escape (end of pattern)".to_string()),
                Some('g') => {
                    let group = named_group(&mut chars, regex)?;
                    pieces.extend([Piece::Text(std::mem::take(&mut text)), Piece::Group(group)]);
                }
                Some('0') => {
                    let mut code = 0;
                    for _ in 0..2 {
                        let Some(digit) = chars.next_if(|c| ('0'..='7').contains(c)) else { break };
                        code = code * 8 + digit.to_digit(8).unwrap_or(0);
                    }
                    text.extend(char::from_u32(code));
                }
                Some(d @ '1'..='9') => match numbered(d, &mut chars) {
                    Numbered::Character(c) => text.push(c),
                    Numbered::Group(number) => {
                        let group = existing(number, regex)?;
                        pieces.extend([Piece::Text(std::mem::take(&mut text)), Piece::Group(group)]);
                    }
                },
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some('a') => text.push('\x07'),
                Some('b') => text.push('\x08'),
                Some('f') => text.push('\x0c'),
                Some('v') => text.push('\x0b'),
                Some('\\') => text.push('\\'),
                Some(c) if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c}")),
                Some(c) => text.extend(['\\', c]),
            }
        }
        pieces.push(Piece::Text(text));
        Ok(Template(pieces))
    }

    /// Returns the text with what the groups of a match hold.
    pub fn fill(&self, captures: &Captures<'_, str>) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Group(number) => out.push_str(captures.get(*number).map_or("", |m| m.as_str())),
            }
        }
        out
    }
}

enum Numbered {
    Group(usize),
    Character(char),
}

/// Two digits at most name a group; three octal ones are a character.
fn numbered(first: char, chars: &mut Peekable<Chars<'_>>) -> Numbered {
    let mut digits = String::from(first);
    digits.extend(chars.next_if(char::is_ascii_digit));
    let octal = |text: &str| text.len() == 3 && text.chars().all(|c| ('0'..='7').contains(&c));
    if let Some(third) = chars.peek().copied()
        && octal(&format!("{digits}{third}"))
    {
        chars.next();
        digits.push(third);
        let code = u32::from_str_radix(&digits, 8).unwrap_or(0);
        return Numbered::Character(char::from_u32(code).unwrap_or_default());
    }
    Numbered::Group(digits.parse().unwrap_or(0))
}

fn named_group(chars: &mut Peekable<Chars<'_>>, regex: &Regex) -> Result<usize, String> {
    if chars.next_if_eq(&'<').is_none() {
        return Err("missing <".to_string());
    }
    let mut name = String::new();
    loop {
        match chars.next() {
            Some('>') => break,
            Some(c) => name.push(c),
            None => return Err("missing >, unterminated name".to_string()),
        }
    }
    match name.parse() {
        Ok(number) => existing(number, regex),
        Err(_) => {
            let found = regex.capture_names().position(|known| known == Some(&*name));
            found.ok_or_else(|| format!("unknown group name '{name}'"))
        }
    }
}

fn existing(number: usize, regex: &Regex) -> Result<usize, String> {
    if number < regex.captures_len() { Ok(number) } else { Err(format!("invalid group reference {number}")) }
}

/// Replaces the first `most` matches, or all of them; returns the text and how many there were.
///
/// # Errors
/// A wrong template, or an expression that runs away.
pub fn replace(
    regex: &Regex,
    text: &str,
    template: &str,
    most: Option<usize>,
) -> Result<(String, usize), String> {
    let template = Template::parse(template, regex)?;
    let mut out = String::with_capacity(text.len());
    let (mut last, mut count) = (0, 0);
    for captures in regex.captures_iter(text).take(most.unwrap_or(usize::MAX)) {
        let captures = captures.map_err(|e| e.to_string())?;
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[last..whole.start()]);
        out.push_str(&template.fill(&captures));
        last = whole.end();
        count += 1;
    }
    out.push_str(&text[last..]);
    Ok((out, count))
}

/// Whether the expression matches anywhere.
///
/// # Errors
/// An expression that runs away.
pub fn is_match(regex: &Regex, text: &str) -> Result<bool, String> {
    regex.is_match(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Flags = Flags { ignore_case: false, lines: false, dot_all: false };
    const LINES: Flags = Flags { lines: true, ..TEXT };

    fn check(pattern: &str, flags: Flags, text: &str, template: &str, expect: &str) {
        let regex = compile(pattern, flags).unwrap();
        assert_eq!(replace(&regex, text, template, None).unwrap().0, expect, "{pattern}");
    }

    /// What Python 3.11 makes of the same calls of `re.sub`.
    #[test]
    fn replaces_as_python_does() {
        check(r"^(\w+)=.*$", LINES, "a=1\nb=2\n", r"\1=\g<1>x", "a=ax\nb=bx\n");
        check(r"(?P<k>a)(?P=k)", TEXT, "aab", r"<\g<k>>", "<a>b");
        check(r"x$", TEXT, "x\n", "y", "y\n");
        check(r"(?m)x$", TEXT, "x\nx", "y", "y\ny");
        check(r"a{,2}b{", TEXT, "aab{", "", "");
        check(r"a{2}|{{|}}|{,x}", TEXT, "aa{{ a }}{,x}", "-", "-- a --");
        check(r"[]a]+\Z", TEXT, "x]a", r"\t\\", "x\t\\");
        check(r"{{ x }}", TEXT, "{{ x }}", "1", "1");
        check(r"[[&]", TEXT, "[&", "-", "--");
        check(r"[a&&b~~+--e]+", TEXT, "a&~,-eb", "x", "x");
        check(r"[a-c-e]+", TEXT, "b-ed", "x", "xd");
        check(r"[\]\-\d]+", TEXT, "]-1", "x", "x");
        check(r"[a-]", TEXT, "a-", "x", "xx");
        check(r#"\"\'\/\ \#\-"#, TEXT, "\"'/ #-", "x", "x");
        check(r"\101[\102]\x43", TEXT, "ABC", r"\104\0", "D\0");
        check(r"(?x) a \  b # nothing", TEXT, "a b", "x", "x");
        check(r"(?u)\w+", TEXT, "é", "x", "x");
        check(r"a|(b)", TEXT, "ab", r"<\1>", "<><b>");
        check("a", TEXT, "a", r"\-", r"\-");
    }

    #[test]
    fn wrong_templates_are_errors_without_a_match() {
        let regex = compile("a", TEXT).unwrap();
        for (template, expect) in [
            (r"\2", "invalid group reference 2"),
            (r"\D", r"bad escape \D"),
            (r"\g<x>", "unknown group name 'x'"),
            (r"\g<x", "missing >, unterminated name"),
            (r"\", "bad escape (end of pattern)"),
        ] {
            assert_eq!(replace(&regex, "b", template, None).unwrap_err(), expect);
        }
    }

    #[test]
    fn wrong_patterns_are_told_in_one_line() {
        for pattern in ["(", "[a", "a**", "(?P<x"] {
            let error = compile(pattern, TEXT).unwrap_err();
            assert!(error.starts_with("invalid regular expression") && !error.contains('\n'), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_compiles_or_is_refused(pattern in "[\\[\\](){}\\\\^$.*+?|a-c0-9,<>=!:P&~#-]{0,12}") {
            let _ = compile(&pattern, LINES);
        }
    }
}
