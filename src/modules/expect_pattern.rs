//! Python's regular expressions as the extended ones of POSIX, for awk on targets.

/// The most repetitions that are written out: old versions of awk do not know `{n,m}`.
const MOST_REPEATS: usize = 60;

/// Returns the expression for awk. A dot matches line breaks too, as where prompts are looked for.
///
/// # Errors
/// Says what POSIX has no words for.
pub fn translate(pattern: &str) -> Result<String, String> {
    let (pattern, either_case) = match pattern.strip_prefix("(?i)") {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let mut reader = Reader {
        chars: pattern.chars().collect(),
        at: 0,
        either_case,
        out: String::new(),
        open: Vec::new(),
        atom: None,
    };
    while reader.at < reader.chars.len() {
        reader.step()?;
    }
    if !reader.open.is_empty() {
        return Err("missing ), unterminated subpattern".into());
    }
    if reader.out.is_empty() {
        return Err("it matches the empty text".into());
    }
    Ok(reader.out)
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    either_case: bool,
    out: String,
    /// Where groups began in the output.
    open: Vec<usize>,
    /// Where the last thing that can be repeated begins in the output.
    atom: Option<usize>,
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn step(&mut self) -> Result<(), String> {
        let Some(c) = self.peek(0) else { return Ok(()) };
        self.at += 1;
        match c {
            '(' => {
                if self.peek(0) == Some('?') {
                    if self.peek(1) != Some(':') {
                        return Err("groups that begin with (? are not known on targets".into());
                    }
                    self.at += 2;
                }
                self.open.push(self.out.len());
                self.out.push('(');
                self.atom = None;
            }
            ')' => {
                let begin = self.open.pop().ok_or("unbalanced parenthesis")?;
                self.out.push(')');
                self.atom = Some(begin);
            }
            '|' => {
                self.out.push('|');
                self.atom = None;
            }
            '^' => {
                self.out.push('^');
                self.atom = None;
            }
            // Also before a last line break.
            '$' => {
                self.out.push_str("\n?$");
                self.atom = None;
            }
            '.' => self.put("(.|\n)"),
            '*' | '+' | '?' => self.repeat(c)?,
            '{' => self.braces()?,
            '[' => self.class()?,
            '\\' => self.escape()?,
            c => self.literal(c),
        }
        Ok(())
    }

    fn put(&mut self, text: &str) {
        self.atom = Some(self.out.len());
        self.out.push_str(text);
    }

    fn literal(&mut self, c: char) {
        let text = match c {
            c if self.either_case && c.is_ascii_alphabetic() => {
                format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase())
            }
            // A bracket expression of one protects what means something; a caret stands for itself there last only.
            '^' => "\\^".to_string(),
            '\\' => "\\\\".to_string(),
            c if ".[]()*+?{}|$".contains(c) => format!("[{c}]"),
            '/' => "/".to_string(),
            // One sign to people, several bytes to awk: together they can be repeated.
            c if !c.is_ascii() => format!("({c})"),
            c => c.to_string(),
        };
        self.put(&text);
    }

    fn repeat(&mut self, sign: char) -> Result<(), String> {
        if self.atom.is_none() {
            return Err("nothing to repeat".into());
        }
        if matches!(self.peek(0), Some('?' | '+')) && sign != '{' {
            return Err("repetitions that take as little as they can are not known on targets".into());
        }
        self.out.push(sign);
        Ok(())
    }

    /// `{n}`, `{n,}`, `{,m}` and `{n,m}`, written out.
    fn braces(&mut self) -> Result<(), String> {
        let end = self.chars[self.at..].iter().position(|c| *c == '}');
        let inside: Option<String> = end.map(|end| self.chars[self.at..self.at + end].iter().collect());
        let counts = inside.as_deref().and_then(|text| {
            let number =
                |text: &str, other: usize| if text.is_empty() { Some(other) } else { text.parse().ok() };
            match text.split_once(',') {
                None => text.parse().ok().map(|n: usize| (n, Some(n))),
                Some(("", "")) => None,
                Some((least, "")) => Some((number(least, 0)?, None)),
                Some((least, most)) => Some((number(least, 0)?, Some(number(most, 0)?))),
            }
        });
        let (Some((least, most)), Some(begin), Some(end)) = (counts, self.atom, end) else {
            self.literal('{');
            return Ok(());
        };
        self.at += end + 1;
        let most_of_all = most.unwrap_or(least).max(least);
        if most_of_all > MOST_REPEATS {
            return Err(format!("more than {MOST_REPEATS} repetitions are not looked for"));
        }
        let atom = self.out.split_off(begin);
        self.out += &atom.repeat(least);
        match most {
            None => {
                self.out += &atom;
                self.out.push('*');
            }
            Some(most) => {
                for _ in least..most {
                    self.out += &atom;
                    self.out.push('?');
                }
            }
        }
        self.atom = None;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let c = self.peek(0).ok_or("bad escape (end of pattern)")?;
        self.at += 1;
        match c {
            'd' => self.put("[0-9]"),
            'D' => self.put("[^0-9]"),
            'w' => self.put("[A-Za-z0-9_]"),
            'W' => self.put("[^A-Za-z0-9_]"),
            's' => self.put("[ \t\r\n\x0b\x0c]"),
            'S' => self.put("[^ \t\r\n\x0b\x0c]"),
            'n' => self.put("\n"),
            'r' => self.put("\r"),
            't' => self.put("\t"),
            'Z' => {
                self.out.push('$');
                self.atom = None;
            }
            'A' => {
                self.out.push('^');
                self.atom = None;
            }
            c if c.is_ascii_alphanumeric() => return Err(format!("\\{c} is not known on targets")),
            c => self.literal(c),
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        let mut text = String::from("[");
        if self.peek(0) == Some('^') {
            text.push('^');
            self.at += 1;
        }
        // A bracket first stands for itself in both languages; a hyphen is put last.
        let mut hyphen = false;
        let mut bracket = false;
        let mut caret = false;
        let mut any = String::new();
        let mut first = true;
        loop {
            let c = self.peek(0).ok_or("unterminated character set")?;
            self.at += 1;
            match c {
                ']' if !first => break,
                ']' => bracket = true,
                '^' => caret = true,
                '\\' => {
                    let c = self.peek(0).ok_or("unterminated character set")?;
                    self.at += 1;
                    match c {
                        'd' => any.push_str("0-9"),
                        'w' => any.push_str("A-Za-z0-9_"),
                        's' => any.push_str(" \t\r\n"),
                        'n' => any.push('\n'),
                        'r' => any.push('\r'),
                        't' => any.push('\t'),
                        ']' => bracket = true,
                        '-' => hyphen = true,
                        '^' => caret = true,
                        '\\' => any.push_str("\\\\"),
                        c if c.is_ascii_alphanumeric() => {
                            return Err(format!("\\{c} in [] is not known on targets"));
                        }
                        c => any.push(c),
                    }
                }
                '-' => hyphen = true,
                c => {
                    let range = (self.peek(0) == Some('-')).then(|| self.peek(1)).flatten();
                    match range.filter(|to| !matches!(to, ']' | '\\')) {
                        Some(to) => {
                            self.at += 2;
                            add!(any, "{c}-{to}");
                            if self.either_case && c.is_ascii_alphabetic() && to.is_ascii_alphabetic() {
                                let swap = |c: char| {
                                    if c.is_ascii_lowercase() {
                                        c.to_ascii_uppercase()
                                    } else {
                                        c.to_ascii_lowercase()
                                    }
                                };
                                add!(any, "{}-{}", swap(c), swap(to));
                            }
                        }
                        None if self.either_case && c.is_ascii_alphabetic() => {
                            any.push(c.to_ascii_lowercase());
                            any.push(c.to_ascii_uppercase());
                        }
                        None => any.push(c),
                    }
                }
            }
            first = false;
        }
        if bracket {
            text.push(']');
        }
        text += &any;
        if caret && text == "[" {
            // Alone it would mean the opposite.
            self.literal('^');
            return Ok(());
        }
        if caret {
            text.push('^');
        }
        if hyphen {
            text.push('-');
        }
        text.push(']');
        self.put(&text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::translate;

    fn check(pattern: &str, expect: &str) {
        let got = translate(pattern).unwrap_or_else(|why| format!("! {why}"));
        assert_eq!(got, expect, "{pattern}");
    }

    #[test]
    fn says_it_as_posix_does() {
        check("Password:", "Password:");
        check("(?i)pw 1", "[pP][wW] 1");
        check(r"\[y/N\]\?", "[[]y/N[]][?]");
        check(r"^Question \d+:\s*$", "^Question [0-9]+:[ \t\r\n\x0b\x0c]*\n?$");
        check("(?:yes|no).", "(yes|no)(.|\n)");
        check("a{2,3}b{2}c{1,}", "aaa?bbcc*");
        check(r"[]a-c\d^-]", "[]a-c0-9^-]");
        check("(?i)[a-c_]", "[a-cA-C_]");
        check("[^\\w]x", "[^A-Za-z0-9_]x");
        check("ü+", "(ü)+");
        check("{x", "[{]x");
    }

    #[test]
    fn refuses_what_posix_cannot_say() {
        check(r"\bname\b", r"! \b is not known on targets");
        check("a.*?:", "! repetitions that take as little as they can are not known on targets");
        check("(?m)^x", "! groups that begin with (? are not known on targets");
        check("(a", "! missing ), unterminated subpattern");
        check("a)", "! unbalanced parenthesis");
        check("*", "! nothing to repeat");
        check("[a", "! unterminated character set");
        check("", "! it matches the empty text");
        check("a{99}", "! more than 60 repetitions are not looked for");
    }
}
