//! Shell text: the one quoting function, and the lines that make a plain `sh` take frames.

/// Quotes a text so that `sh` reads it back as exactly one word with exactly these characters.
///
/// The result is always inside single quotes, so it has no other special characters, and a newline or a leading
/// dash stays what it is. A leading dash is still an option to the program that gets it: pass `--` or `./`. A
/// NUL cannot be part of a shell word; whoever takes text from files rejects it before.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        if c == '\'' {
            out.push_str("'\\''");
        } else {
            out.push(c);
        }
    }
    out.push('\'');
    out
}
