//! Breaking long lines of warnings as Python's `textwrap.wrap` does: scripts compare them.

/// Returns the text in lines of at most `width` characters. White space becomes blanks; words that are longer
/// than a line are broken, others at their hyphens if need be.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    let mut gap = 0;
    for word in text.split(char::is_whitespace) {
        // Every character of white space between two words but one leaves an empty word.
        if word.is_empty() {
            gap += 1;
            continue;
        }
        let mut blank = if used > 0 { gap } else { 0 };
        gap = 1;
        for part in parts(word) {
            let mut part: &str = part;
            let mut length = part.chars().count();
            if used + blank + length > width && used > 0 && length <= width {
                lines.push(std::mem::take(&mut line));
                (used, blank) = (0, 0);
            }
            while used + blank + length > width {
                // A part that no line can hold fills what is left of this one.
                let room = width.saturating_sub(used + blank);
                if room == 0 {
                    lines.push(std::mem::take(&mut line));
                    (used, blank) = (0, 0);
                    continue;
                }
                let cut = part.char_indices().nth(room).map_or(part.len(), |(at, _)| at);
                line.extend(std::iter::repeat_n(' ', blank));
                line.push_str(&part[..cut]);
                lines.push(std::mem::take(&mut line));
                part = &part[cut..];
                length -= room;
                (used, blank) = (0, 0);
            }
            line.extend(std::iter::repeat_n(' ', blank));
            line.push_str(part);
            used += blank + length;
            blank = 0;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Splits a word behind hyphens between letters.
fn parts(word: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = word.char_indices().collect();
    let letter = |i: usize| chars.get(i).is_some_and(|(_, c)| c.is_alphabetic() || *c == '_');
    let mut found = Vec::new();
    let mut start = 0;
    for (i, (at, c)) in chars.iter().enumerate() {
        let before = i > 1 && letter(i - 1) && chars.get(i - 2).is_some_and(|(_, c)| c.is_alphanumeric());
        if *c == '-' && before && letter(i + 1) && letter(i + 2) {
            found.push(&word[start..=*at]);
            start = at + 1;
        }
    }
    found.push(&word[start..]);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from Python 3.11: `textwrap.wrap(text, width)`.
    #[test]
    fn lines_break_as_in_python() {
        let check =
            |text: &str, width: usize, expect: &[&str]| assert_eq!(wrap(text, width), expect, "{text}");
        check(
            "[WARNING]: conditional statements should not include jinja2 templating delimiters such as {{ }} or {% %}. Found: \"{{ foo }}\" == \"bar\"",
            79,
            &[
                "[WARNING]: conditional statements should not include jinja2 templating",
                "delimiters such as {{ }} or {% %}. Found: \"{{ foo }}\" == \"bar\"",
            ],
        );
        check("a  b\nc", 10, &["a  b c"]);
        check("aaaa  bbbb", 6, &["aaaa", "bbbb"]);
        check("one two", 3, &["one", "two"]);
        check("abcdefghij kl", 4, &["abcd", "efgh", "ij", "kl"]);
        check("x abcdefghij kl", 4, &["x ab", "cdef", "ghij", "kl"]);
        check(
            "well-known long-winded words-and-more",
            12,
            &["well-known", "long-winded", "words-and-", "more"],
        );
        check("non-native 3-4 a-b top-level", 6, &["non-", "native", "3-4", "a-b", "top-", "level"]);
        check("", 5, &[]);
        check(
            "/a/very/long/path/that/goes/on and on",
            10,
            &["/a/very/lo", "ng/path/th", "at/goes/on", "and on"],
        );
    }
}
