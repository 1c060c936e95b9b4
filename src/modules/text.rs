//! Texts of any encoding, lines with their ends, and Python's regular expressions.

use fancy_regex::{Captures, Regex};

/// File content as text. Bytes that are no UTF-8 become one character each, so that nothing is lost.
pub struct Text {
    pub text: String,
    bytewise: bool,
}

impl Text {
    pub fn of(content: &[u8]) -> Self {
        match std::str::from_utf8(content) {
            Ok(text) => Text { text: text.to_string(), bytewise: false },
            Err(_) => Text { text: content.iter().map(|b| char::from(*b)).collect(), bytewise: true },
        }
    }

    /// Returns an argument in the same form as the content.
    pub fn arg(&self, text: &str) -> String {
        if self.bytewise { text.bytes().map(char::from).collect() } else { text.to_string() }
    }

    /// Returns edited text as bytes.
    pub fn bytes(&self, text: &str) -> Vec<u8> {
        if self.bytewise {
            text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
        } else {
            text.as_bytes().to_vec()
        }
    }
}

/// Returns the lines of a text, each with its end.
pub fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_string).collect()
}

/// Returns a line without its end.
pub fn bare(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

/// Whether `^` and `$` stand for lines or for the whole text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchors {
    Text,
    Lines,
}

/// Whether a dot matches a newline too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dot {
    InLine,
    Everything,
}

/// Compiles a Python regular expression.
pub fn regex(pattern: &str, anchors: Anchors, dot: Dot) -> Result<Regex, String> {
    let mut flags = String::new();
    if anchors == Anchors::Lines {
        flags.push('m');
    }
    if dot == Dot::Everything {
        flags.push('s');
    }
    let translated = translate(pattern, anchors);
    let full = if flags.is_empty() { translated } else { format!("(?{flags}){translated}") };
    Regex::new(&full).map_err(|e| format!("invalid regular expression {pattern:?}: {e}"))
}

/// Rewrites what Python spells differently: `\Z`, `(?P=name)`, `{,n}` and a `$` that also stands before a last
/// newline.
fn translate(pattern: &str, anchors: Anchors) -> String {
    let multi = anchors == Anchors::Lines || has_multiline_flag(pattern);
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.char_indices().peekable();
    let mut in_class = false;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, 'Z')) if !in_class => out.push_str("\\z"),
                Some((_, other)) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                out.push('[');
                if let Some((_, '^')) = chars.peek() {
                    out.push('^');
                    chars.next();
                }
                if let Some((_, ']')) = chars.peek() {
                    out.push_str("\\]");
                    chars.next();
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            '$' if !in_class && !multi => out.push_str("(?=\\n?\\z)"),
            '(' if !in_class && pattern[at..].starts_with("(?P=") => {
                let rest = &pattern[at + 4..];
                let end = rest.find(')').unwrap_or(rest.len());
                out.push_str("\\k<");
                out.push_str(&rest[..end]);
                out.push('>');
                while let Some((i, _)) = chars.peek() {
                    if *i > at + 4 + end {
                        break;
                    }
                    chars.next();
                }
            }
            '{' if !in_class => {
                let rest = &pattern[at + 1..];
                let body = rest.split('}').next().unwrap_or("");
                let is_count = rest.contains('}')
                    && !body.is_empty()
                    && body != ","
                    && body.chars().all(|c| c.is_ascii_digit() || c == ',')
                    && body.matches(',').count() <= 1;
                if !is_count {
                    out.push_str("\\{");
                } else if body.starts_with(',') {
                    out.push_str("{0");
                } else {
                    out.push('{');
                }
            }
            '}' if !in_class => {
                let open = pattern[..at].rfind('{').map(|i| &pattern[i + 1..at]);
                let is_count = open.is_some_and(|body| {
                    !body.is_empty()
                        && body != ","
                        && body.chars().all(|c| c.is_ascii_digit() || c == ',')
                        && body.matches(',').count() <= 1
                });
                out.push_str(if is_count { "}" } else { "\\}" });
            }
            c => out.push(c),
        }
    }
    out
}

fn has_multiline_flag(pattern: &str) -> bool {
    pattern
        .strip_prefix("(?")
        .and_then(|rest| rest.split(')').next())
        .is_some_and(|flags| flags.chars().all(|c| c.is_ascii_alphabetic()) && flags.contains('m'))
}

/// Fills a Python replacement template (`\1`, `\g<name>`, `\n`).
pub fn expand(template: &str, captures: &Captures<'_, str>) -> Result<String, String> {
    let group = |number: usize| -> Result<&str, String> {
        if number >= captures.len() {
            return Err(format!("invalid group reference {number}"));
        }
        Ok(captures.get(number).map_or("", |m| m.as_str()))
    };
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(c) = rest.chars().next() else {
            return Err("bad escape (end of pattern)".to_string());
        };
        match c {
            'g' if rest[1..].starts_with('<') => {
                let end = rest.find('>').ok_or("missing >, unterminated name")?;
                let name = &rest[2..end];
                out.push_str(&match name.parse::<usize>() {
                    Ok(number) => group(number)?.to_string(),
                    Err(_) => captures.name(name).map_or(String::new(), |m| m.as_str().to_string()),
                });
                rest = &rest[end + 1..];
            }
            '0' => {
                let len = rest.chars().take(3).take_while(|c| ('0'..='7').contains(c)).count();
                let code = u32::from_str_radix(&rest[..len], 8).unwrap_or(0);
                out.extend(char::from_u32(code));
                rest = &rest[len..];
            }
            '1'..='9' => {
                let len = rest.chars().take(2).take_while(char::is_ascii_digit).count();
                let number: usize = rest[..len].parse().map_err(|_| "invalid group reference")?;
                out.push_str(group(number)?);
                rest = &rest[len..];
            }
            c => {
                match c {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    'a' => out.push('\x07'),
                    'b' => out.push('\x08'),
                    'f' => out.push('\x0c'),
                    'v' => out.push('\x0b'),
                    '\\' => out.push('\\'),
                    c if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c}")),
                    c => {
                        out.push('\\');
                        out.push(c);
                    }
                }
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Replaces every match; returns the text and how many there were.
pub fn replace_all(regex: &Regex, text: &str, template: &str) -> Result<(String, usize), String> {
    let mut out = String::with_capacity(text.len());
    let mut last = 0;
    let mut count = 0;
    for captures in regex.captures_iter(text) {
        let captures = captures.map_err(|e| e.to_string())?;
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[last..whole.start()]);
        out.push_str(&expand(template, &captures)?);
        last = whole.end();
        count += 1;
    }
    out.push_str(&text[last..]);
    Ok((out, count))
}

/// Whether the expression matches anywhere. An expression that runs away counts as an error.
pub fn is_match(regex: &Regex, text: &str) -> Result<bool, String> {
    regex.is_match(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, anchors: Anchors, text: &str, template: &str, expect: &str) {
        let regex = regex(pattern, anchors, Dot::InLine).unwrap();
        assert_eq!(replace_all(&regex, text, template).unwrap().0, expect, "{pattern}");
    }

    #[test]
    fn replaces_as_python_does() {
        check(r"^(\w+)=.*$", Anchors::Lines, "a=1\nb=2\n", r"\1=\g<1>x", "a=ax\nb=bx\n");
        check(r"(?P<k>a)(?P=k)", Anchors::Text, "aab", r"<\g<k>>", "<a>b");
        check(r"x$", Anchors::Text, "x\n", "y", "y\n");
        check(r"a{,2}b{", Anchors::Text, "aab{", "", "");
        check(r"[]a]+\Z", Anchors::Text, "x]a", r"\t\\", "x\t\\");
        check(r"{{ x }}", Anchors::Text, "{{ x }}", "1", "1");
        check(r"[[&]", Anchors::Text, "[&", "-", "--");
    }

    #[test]
    fn bytes_survive() {
        let text = Text::of(b"caf\xe9\n");
        assert_eq!(text.bytes(&text.text), b"caf\xe9\n");
        assert_eq!(text.bytes(&text.arg("é")), "é".as_bytes());
    }

    #[test]
    fn wrong_templates_are_errors() {
        let regex = regex("a", Anchors::Text, Dot::InLine).unwrap();
        assert_eq!(replace_all(&regex, "a", r"\2").unwrap_err(), "invalid group reference 2");
    }
}
