//! Splits a command line into words the way Ansible does (Python's `shlex.split`).

/// Returns the words of a command line: blanks separate, quotes and backslashes protect.
pub fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err("No closing quotation"),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\')) => word.push(c),
                            Some(c) => {
                                word.push('\\');
                                word.push(c);
                            }
                            None => return Err("No closing quotation"),
                        },
                        Some(c) => word.push(c),
                        None => return Err("No closing quotation"),
                    }
                }
            }
            '\\' => match chars.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err("No escaped character"),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    fn check(text: &str, expect: &[&str]) {
        assert_eq!(super::split(text).unwrap(), expect, "{text}");
    }

    #[test]
    fn splits_as_python_does() {
        check("a  b\tc\n", &["a", "b", "c"]);
        check(r#"a 'b c' "d e" f\ g"#, &["a", "b c", "d e", "f g"]);
        check(r#"'' "" x"y"'z'"#, &["", "", "xyz"]);
        check(r#""a\"b\\c\d""#, &[r#"a"b\c\d"#]);
        check("a#b # c", &["a#b", "#", "c"]);
        assert_eq!(super::split("a 'b"), Err("No closing quotation"));
        assert_eq!(super::split("a\\"), Err("No escaped character"));
    }
}
