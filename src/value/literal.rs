//! Python literals: values of ini inventories, and texts of templates that are read as values.

use super::{Key, Map, Value};

/// Returns the value of a Python literal; nothing when the text is none. Comments at the end are allowed.
pub fn parse(text: &str) -> Option<Value> {
    parse_with(text, Words::Python)
}

/// Like [`parse`], where `true`, `false` and `null` mean what they do in JSON.
pub fn parse_json_or_python(text: &str) -> Option<Value> {
    parse_with(text, Words::Json)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    Python,
    Json,
}

fn parse_with(text: &str, words: Words) -> Option<Value> {
    let mut parser = Parser { rest: text.trim_start_matches([' ', '\t']), depth: 0, brackets: 0, words };
    let value = parser.sum()?;
    // A comma makes a tuple, brackets or not.
    let value = if parser.eat(",") {
        let mut items = vec![value];
        while !parser.at_end() {
            items.push(parser.sum()?);
            if !parser.eat(",") {
                break;
            }
        }
        Value::list(items)
    } else {
        value
    };
    parser.at_end().then_some(value)
}

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
    /// Open brackets: newlines are spaces inside.
    brackets: usize,
    words: Words,
}

/// Deeper nesting is refused, as Python's parser does at some depth.
const DEEPEST: usize = 60;

impl Parser<'_> {
    fn space(&mut self) {
        loop {
            let before = self.rest.len();
            self.rest = self.rest.trim_start_matches([' ', '\t', '\u{c}']);
            if self.brackets > 0 {
                self.rest = self.rest.trim_start_matches(['\n', '\r']);
            }
            if self.rest.starts_with('#') {
                self.rest = self.rest.find('\n').map_or("", |at| &self.rest[at..]);
            }
            if self.rest.len() == before {
                return;
            }
        }
    }

    fn at_end(&mut self) -> bool {
        self.space();
        self.rest.trim().is_empty()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A literal, or a number plus or minus an imaginary one (which stays text in Ansible).
    fn sum(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let value = self.signed();
        self.depth -= 1;
        value
    }

    fn signed(&mut self) -> Option<Value> {
        let negative = self.eat("-");
        if !negative && !self.eat("+") {
            return self.atom();
        }
        match self.atom()? {
            Value::Int(i) => Some(Value::Int(if negative { i.checked_neg()? } else { i })),
            Value::Float(f) => Some(Value::Float(if negative { -f } else { f })),
            _ => None,
        }
    }

    fn atom(&mut self) -> Option<Value> {
        self.space();
        let first = self.rest.chars().next()?;
        match first {
            '[' => Some(Value::list(self.items('[', ']')?.0)),
            '(' => {
                let (items, comma) = self.items('(', ')')?;
                match (items.as_slice(), comma) {
                    ([one], false) => Some(one.clone()),
                    _ => Some(Value::list(items)),
                }
            }
            '{' => self.braces(),
            '\'' | '"' => self.strings(),
            '.' if self.eat("...") => Some("...".into()),
            '0'..='9' | '.' => self.number(),
            _ => self.word(),
        }
    }

    /// Items between brackets, and whether a comma was seen.
    fn items(&mut self, open: char, close: char) -> Option<(Vec<Value>, bool)> {
        self.rest = self.rest.strip_prefix(open)?;
        self.brackets += 1;
        let mut items = Vec::new();
        let mut comma = false;
        let close = close.to_string();
        loop {
            if self.eat(&close) {
                self.brackets -= 1;
                return Some((items, comma));
            }
            if !items.is_empty() && !comma_before(&mut comma, self.eat(",")) {
                return None;
            }
            if items.is_empty() || !self.peek(&close) {
                items.push(self.sum()?);
            }
        }
    }

    fn peek(&mut self, token: &str) -> bool {
        self.space();
        self.rest.starts_with(token)
    }

    fn braces(&mut self) -> Option<Value> {
        self.rest = self.rest.strip_prefix('{')?;
        self.brackets += 1;
        let mut map = Map::new();
        let mut set: Vec<Value> = Vec::new();
        loop {
            if self.eat("}") {
                self.brackets -= 1;
                return Some(if set.is_empty() { Value::map(map) } else { Value::list(set) });
            }
            let key = self.sum()?;
            if set.is_empty() && self.eat(":") {
                let value = self.sum()?;
                map.insert(Key::from_value(&key)?, value);
            } else if map.is_empty() {
                if !set.contains(&key) {
                    set.push(key);
                }
            } else {
                return None;
            }
            if !self.eat(",") && !self.peek("}") {
                return None;
            }
        }
    }

    /// One or more strings side by side.
    fn strings(&mut self) -> Option<Value> {
        let mut text = self.string(false)?;
        loop {
            self.space();
            if !self.rest.starts_with(['\'', '"']) {
                return Some(text.into());
            }
            text.push_str(&self.string(false)?);
        }
    }

    fn string(&mut self, raw: bool) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let triple = quote.to_string().repeat(3);
        let close = if self.rest.starts_with(&triple) { triple } else { quote.to_string() };
        self.rest = &self.rest[close.len()..];
        let mut out = String::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(&close) {
                self.rest = rest;
                return Some(out);
            }
            let c = self.rest.chars().next()?;
            self.rest = &self.rest[c.len_utf8()..];
            match c {
                '\\' if raw => {
                    let next = self.rest.chars().next()?;
                    self.rest = &self.rest[next.len_utf8()..];
                    out.extend(['\\', next]);
                }
                '\\' => self.escape(&mut out)?,
                '\n' if close.len() == 1 => return None,
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Option<()> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        let digits = match c {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        if digits > 0 {
            let hex = self.rest.get(..digits).filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))?;
            out.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
            self.rest = &self.rest[digits..];
            return Some(());
        }
        match c {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(c),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            '0'..='7' => {
                let more = self.rest.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let octal = format!("{c}{}", &self.rest[..more]);
                self.rest = &self.rest[more..];
                out.push(char::from_u32(u32::from_str_radix(&octal, 8).ok()?)?);
            }
            'N' => return None,
            c => out.extend(['\\', c]),
        }
        Some(())
    }

    fn number(&mut self) -> Option<Value> {
        let end = self
            .rest
            .char_indices()
            .find(|(at, c)| {
                let exponent = (*c == '+' || *c == '-')
                    && self.rest[..*at].ends_with(['e', 'E'])
                    && !self.rest.starts_with("0x")
                    && !self.rest.starts_with("0X");
                !(c.is_ascii_alphanumeric() || *c == '.' || *c == '_' || exponent)
            })
            .map_or(self.rest.len(), |(at, _)| at);
        let text = &self.rest[..end];
        if text.contains("__") || text.ends_with('_') || text.starts_with('_') {
            return None;
        }
        let plain = text.replace('_', "");
        self.rest = &self.rest[end..];
        let lower = plain.to_ascii_lowercase();
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
            if let Some(digits) = lower.strip_prefix(prefix) {
                return i128::from_str_radix(digits, radix)
                    .ok()
                    .filter(|_| !digits.starts_with('+'))
                    .map(Value::Int);
            }
        }
        if plain.bytes().all(|b| b.is_ascii_digit()) {
            let zeros = plain.len() > 1 && plain.starts_with('0') && plain.bytes().any(|b| b != b'0');
            return if zeros { None } else { plain.parse().ok().map(Value::Int) };
        }
        let mantissa = lower.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | 'e'));
        let is_float = lower.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'))
            && lower.bytes().any(|b| b.is_ascii_digit())
            && (mantissa.is_empty() || mantissa.ends_with('.'));
        if is_float { lower.parse().ok().map(Value::Float) } else { None }
    }

    fn word(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        let quoted = self.rest[end..].starts_with(['\'', '"']);
        let value = match word {
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            "None" => Value::Null,
            "true" if self.words == Words::Json => Value::Bool(true),
            "false" if self.words == Words::Json => Value::Bool(false),
            "null" if self.words == Words::Json => Value::Null,
            "r" | "R" | "br" | "Br" | "bR" | "BR" | "rb" | "rB" | "Rb" | "RB" if quoted => {
                self.rest = &self.rest[end..];
                return self.string(true).map(Value::from);
            }
            "u" | "U" | "b" | "B" if quoted => {
                self.rest = &self.rest[end..];
                return self.strings();
            }
            _ => return None,
        };
        self.rest = &self.rest[end..];
        Some(value)
    }
}

fn comma_before(seen: &mut bool, eaten: bool) -> bool {
    *seen |= eaten;
    eaten
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(parse(text).map(|v| v.repr()), expect.map(str::to_owned), "{text}");
    }

    #[test]
    fn reads_what_python_reads() {
        check("1", Some("1"));
        check("-1", Some("-1"));
        check("0x1F", Some("31"));
        check("1_000", Some("1000"));
        check("010", None);
        check("00", Some("0"));
        check("1.50", Some("1.5"));
        check("1e3", Some("1000.0"));
        check("1.e-3", Some("0.001"));
        check(".5", Some("0.5"));
        check("1.2.3", None);
        check("192.168.0.1", None);
        check("true", None);
        check("True", Some("True"));
        check("None", Some("None"));
        check("yes", None);
        check("'a' \"b\"", Some("'ab'"));
        check("'it\\'s\\n\\x41'", Some("\"it's\\nA\""));
        check("r'a\\n'", Some("'a\\\\n'"));
        check("['a', 1, [True]]", Some("['a', 1, [True]]"));
        check("['a',]", Some("['a']"));
        check("[]", Some("[]"));
        check("(1)", Some("1"));
        check("(1,)", Some("[1]"));
        check("1, 2", Some("[1, 2]"));
        check("{}", Some("{}"));
        check("{'a': {'b': 1}}", Some("{'a': {'b': 1}}"));
        check("{1, 2, 1}", Some("[1, 2]"));
        check("8080 # comment", Some("8080"));
        check("abc # comment", None);
        check("  5", Some("5"));
        check("", None);
        check("[1", None);
        check("[1 2]", None);
        check("{'a': 1, 2}", None);
        check("'a", None);
        check("...", Some("'...'"));
        check("0b101", Some("5"));
        check("5 5", None);
        check("1j", None);
        check("- 3", Some("-3"));
        check("--3", None);
        check("-True", None);
        check("'a': 1", None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[\\[\\](){},:'\"\\\\0-9a-eTrueNoneé .+_#-]{0,40}") {
            let _ = parse(&text);
        }
    }
}
