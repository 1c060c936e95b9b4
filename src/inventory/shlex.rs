//! Splitting a host line into words as a POSIX shell would: quotes, backslashes, comments.

use std::ops::Range;

/// A word and where it stands in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    pub range: Range<usize>,
}

/// Splits a line; the error says what is not closed. A `#` starts a comment everywhere outside of quotes.
pub(super) fn split(line: &str) -> Result<Vec<Word>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        if let Some(open) = quote {
            let current = word.get_or_insert_with(|| Word { text: String::new(), range: at..at });
            current.range.end = end;
            if c == open {
                quote = None;
            } else if c == '\\' && open == '"' {
                let Some((at, next)) = chars.next() else { return Err("nothing follows the last backslash") };
                if next != '"' && next != '\\' {
                    current.text.push('\\');
                }
                current.text.push(next);
                current.range.end = at + next.len_utf8();
            } else {
                current.text.push(c);
            }
            continue;
        }
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' => break,
            _ => {
                let current = word.get_or_insert_with(|| Word { text: String::new(), range: at..at });
                current.range.end = end;
                match c {
                    '"' | '\'' => quote = Some(c),
                    '\\' => {
                        let Some((at, next)) = chars.next() else {
                            return Err("nothing follows the last backslash");
                        };
                        current.text.push(next);
                        current.range.end = at + next.len_utf8();
                    }
                    _ => current.text.push(c),
                }
            }
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: Result<&[&str], &'static str>) {
        let got = split(line).map(|words| words.into_iter().map(|w| w.text).collect::<Vec<_>>());
        assert_eq!(got, expect.map(|e| e.iter().map(|s| (*s).to_owned()).collect()), "{line}");
    }

    #[test]
    fn splits_as_python_does() {
        check("a b=1  c", Ok(&["a", "b=1", "c"]));
        check("a b='x y' c=\"p q\"", Ok(&["a", "b=x y", "c=p q"]));
        check("a b=\"it\\\"s\" c=\\ d", Ok(&["a", "b=it\"s", "c= d"]));
        check("a b=\"x\\n\"", Ok(&["a", "b=x\\n"]));
        check("a b=x#y z", Ok(&["a", "b=x"]));
        check("a # comment", Ok(&["a"]));
        check("a ''", Ok(&["a", ""]));
        check("a 'x", Err("a quote is not closed"));
        check("a x\\", Err("nothing follows the last backslash"));
    }

    #[test]
    fn keeps_places() {
        let words = split("host b='x y'").expect("closed");
        assert_eq!(words[1].range, 5..12);
    }
}
