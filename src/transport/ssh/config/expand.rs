//! Tokens (`%h`), environment variables (`${NAME}`) and `~` in values.

use std::path::{Path, PathBuf};

/// What `%` and a letter stand for; none for letters that have no meaning here.
pub(super) type Token<'a> = dyn Fn(char) -> Option<String> + 'a;

/// Replaces tokens.
pub(super) fn tokens(text: &str, token: &Token<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some(letter) => {
                out.push_str(
                    &token(letter).ok_or_else(|| format!("\"%{letter}\" in \"{text}\" is unknown"))?,
                );
            }
            None => return Err(format!("\"{text}\" ends with a single %")),
        }
    }
    Ok(out)
}

/// Replaces `${NAME}`; what comes out is not looked at again.
pub(super) fn variables(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let (name, after) = rest[at + 2..].split_once('}').ok_or_else(|| format!("\"{text}\" lacks a }}"))?;
        let value = env(name).ok_or_else(|| format!("environment variable \"{name}\" has no value"))?;
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Replaces `~/` by the user's home. Other users' homes are not known.
pub(super) fn tilde(path: &str, home: Option<&Path>) -> Result<PathBuf, String> {
    let Some(rest) = path.strip_prefix('~') else { return Ok(PathBuf::from(path)) };
    let home = home.ok_or_else(|| format!("\"{path}\" needs a home directory, and none is known"))?;
    match rest.strip_prefix('/') {
        Some(inner) => Ok(home.join(inner.trim_start_matches('/'))),
        None if rest.is_empty() => Ok(home.to_path_buf()),
        None => Err(format!("the home directory in \"{path}\" is not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_variables_are_replaced_once() {
        let token = |c| (c == 'h').then(|| "a%h${X}".to_owned());
        let check = |text: &str, expect: &str| {
            assert_eq!(tokens(text, &token).unwrap_or_else(|e| e), expect, "{text}");
        };
        check("x%h%%h", "xa%h${X}%h");
        check("%z", "\"%z\" in \"%z\" is unknown");
        check("100%", "\"100%\" ends with a single %");
        let env = |name: &str| (name == "X").then(|| "${X}%h".to_owned());
        let check = |text: &str, expect: &str| {
            assert_eq!(variables(text, &env).unwrap_or_else(|e| e), expect, "{text}");
        };
        check("a${X}$b", "a${X}%h$b");
        check("${Y}", "environment variable \"Y\" has no value");
        check("${X", "\"${X\" lacks a }");
    }

    #[test]
    fn homes() {
        let check = |path: &str, expect: &str| {
            let home = Path::new("/home/ann");
            let found = tilde(path, Some(home)).map_or_else(|e| e, |p| p.display().to_string());
            assert_eq!(found, expect, "{path}");
        };
        check("~/a", "/home/ann/a");
        check("~", "/home/ann");
        check("/a~", "/a~");
        check("~bob/a", "the home directory in \"~bob/a\" is not known");
    }
}
