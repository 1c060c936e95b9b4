//! One line of ssh_config as words. Knows no keywords.

/// A line with something on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// In lower case.
    pub keyword: String,
    /// What follows, with quotes and escapes taken away.
    pub words: Vec<String>,
    /// What follows, as it stands there: commands and jumps are no words.
    pub rest: String,
}

/// Reads one line; nothing for an empty one or a comment.
pub(super) fn parse(text: &str) -> Result<Option<Line>, String> {
    let text = text.trim_end_matches([' ', '\t', '\r', '\n', '\x0c']).trim_start_matches([' ', '\t', '\r']);
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let (keyword, rest) = split_keyword(text)?;
    let keyword = keyword.to_ascii_lowercase();
    if rest.is_empty() {
        return Err(format!("\"{keyword}\" needs an argument"));
    }
    let words = split_words(rest)?;
    Ok(Some(Line { keyword, words, rest: rest.to_owned() }))
}

/// Takes the first word off: white space, quotes or one `=` end it.
fn split_keyword(text: &str) -> Result<(String, &str), String> {
    const SPACE: [char; 3] = [' ', '\t', '\r'];
    if let Some(quoted) = text.strip_prefix('"') {
        let (keyword, rest) = quoted.split_once('"').ok_or("a quotation mark is missing")?;
        return Ok((keyword.to_owned(), rest.trim_start_matches(SPACE)));
    }
    let end = text.find([' ', '\t', '\r', '=']).unwrap_or(text.len());
    let (keyword, rest) = text.split_at(end);
    let rest = rest.trim_start_matches(SPACE);
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Ok((keyword.to_owned(), rest.trim_start_matches(SPACE)))
}

/// Splits at blanks outside of quotes; `#` at the beginning of a word ends the line.
fn split_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match chars.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(&c) = chars.peek() {
            if quote.is_none() && matches!(c, ' ' | '\t') {
                break;
            }
            chars.next();
            match c {
                '\\' => {
                    let escaped = |n: &char| matches!(n, '\'' | '"' | '\\') || (quote.is_none() && *n == ' ');
                    word.push(chars.next_if(escaped).unwrap_or('\\'));
                }
                '"' | '\'' if quote.is_none() => quote = Some(c),
                c if quote == Some(c) => quote = None,
                c => word.push(c),
            }
        }
        if quote.is_some() {
            return Err("a quotation mark is missing".into());
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let shown = match parse(text) {
            Ok(None) => "nothing".into(),
            Ok(Some(line)) => format!("{} [{}] <{}>", line.keyword, line.words.join("]["), line.rest),
            Err(e) => e,
        };
        assert_eq!(shown, expect, "{text:?}");
    }

    #[test]
    fn lines_are_split_as_openssh_splits_them() {
        check("", "nothing");
        check("  \t\r\n", "nothing");
        check("  # Host x", "nothing");
        check("Host a b", "host [a][b] <a b>");
        check("\tPort=22", "port [22] <22>");
        check("port = 22 ", "port [22] <22>");
        check("Port 22 # why", "port [22] <22 # why>");
        check("User a#b", "user [a#b] <a#b>");
        check("IdentityFile \"a b\" c", "identityfile [a b][c] <\"a b\" c>");
        check("IdentityFile 'a\"b'", "identityfile [a\"b] <'a\"b'>");
        check(r"IdentityFile a\ b\x\\", r"identityfile [a b\x\] <a\ b\x\\>");
        check("\"Port\" 22", "port [22] <22>");
        check("ProxyCommand  nc \"%h\" # x", "proxycommand [nc][%h] <nc \"%h\" # x>");
        check("Host", "\"host\" needs an argument");
        check("Host \"a", "a quotation mark is missing");
        check("\"Host", "a quotation mark is missing");
    }
}
