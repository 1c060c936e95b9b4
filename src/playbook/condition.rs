//! Conditions that were written with template brackets, turned into plain expressions.
//!
//! `when: "{{ a }} == 'x'"` and `when: "'{{ a }}' == 'x'"` are rendered first by Ansible and the result is evaluated
//! again, which would make data into code. Here the brackets become part of the expression, once, at load.

/// Returns an expression without brackets when there are some and it can be expressed so.
pub fn plain_condition(text: &str) -> Option<String> {
    without_brackets(text).ok().flatten()
}

/// Returns the expression without brackets, nothing when there are none. `Err` when it cannot be expressed.
pub(super) fn without_brackets(text: &str) -> Result<Option<String>, ()> {
    if text.contains("{%") {
        return Err(());
    }
    if !text.contains("{{") {
        return Ok(None);
    }
    let mut out = String::new();
    let mut rest = text;
    // The quote that is open in the expression around the brackets.
    let mut quote: Option<char> = None;
    let mut opened = 0;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("{{") {
            let end = closing(rest).ok_or(())?;
            let inner = rest[2..end].trim().trim_start_matches('-').trim_end_matches('-').trim();
            match quote {
                Some(q) => out.extend([&format!("{q} ~ ("), inner, &format!(") ~ {q}")]),
                None => out.extend(["(", inner, ")"]),
            }
            rest = &rest[end + 2..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match quote {
            Some(q) if c == q => {
                out.push(c);
                if string_has_brackets(text, opened) {
                    out.push(')');
                }
                quote = None;
            }
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                opened = text.len() - rest.len();
                if string_has_brackets(text, opened) {
                    out.push('(');
                }
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    if quote.is_some() { Err(()) } else { Ok(Some(out)) }
}

/// Where the `}}` for the `{{` at the start stands.
fn closing(text: &str) -> Option<usize> {
    let mut quote: Option<char> = None;
    for (at, c) in text.char_indices().skip(2) {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if text[at..].starts_with("}}") => return Some(at),
            None => {}
        }
    }
    None
}

/// Whether the string whose content starts at `start` holds brackets.
fn string_has_brackets(text: &str, start: usize) -> bool {
    let Some(quote) = text[..start].chars().next_back() else { return false };
    let content = &text[start..];
    let mut at = 0;
    while let Some(c) = content[at..].chars().next() {
        if content[at..].starts_with("{{") {
            return true;
        }
        if c == quote {
            return false;
        }
        at += c.len_utf8();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<Option<&str>, ()>) {
        assert_eq!(without_brackets(text), expect.map(|o| o.map(str::to_owned)), "{text}");
    }

    #[test]
    fn brackets_become_expressions() {
        check("a == 1", Ok(None));
        check("{{ a }}", Ok(Some("(a)")));
        check("{{ a }} == 'x'", Ok(Some("(a) == 'x'")));
        check("'{{ a }}' == 'x'", Ok(Some("('' ~ (a) ~ '') == 'x'")));
        check("\"v{{ a['k'] }}-{{ b }}\" in c", Ok(Some("(\"v\" ~ (a['k']) ~ \"-\" ~ (b) ~ \"\") in c")));
        check("{% if a %}true{% endif %}", Err(()));
        check("{{ a", Err(()));
        check("'{{ a }}", Err(()));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[ -~é{}'\"]{0,40}") {
            let _ = without_brackets(&text);
        }
    }
}
