//! The one writer that all text leaves through: secrets are replaced by value, control characters made visible.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::{Arc, RwLock};

use base64::Engine as _;

/// What stands where a secret stood.
pub const MASK: &str = "********";
/// Shorter secrets would hide half of every text; they are reported as too short instead.
const MIN_SECRET: usize = 4;

/// All secrets of this run, in every form in which they could be printed. Clones share one list.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Vec<String>>>);

impl Secrets {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a secret and its base64, URL, JSON and shell-quoted forms. Returns false when it is too short to mask.
    pub fn add(&self, secret: &str) -> bool {
        let secret = secret.trim_end_matches(['\n', '\r']);
        if secret.chars().count() < MIN_SECRET {
            return false;
        }
        let mut forms = vec![secret.to_string()];
        forms.push(base64::engine::general_purpose::STANDARD.encode(secret));
        forms.push(url_encode(secret));
        let json = serde_json::Value::from(secret).to_string();
        forms.push(json[1..json.len() - 1].to_string());
        forms.push(secret.replace('\'', "'\\''"));
        forms.push(secret.replace('\'', "'\"'\"'"));
        // Output shows a text of several lines line by line.
        forms.extend(secret.lines().filter(|l| l.chars().count() >= 8).map(str::to_string));
        let mut known = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for form in forms {
            if !known.contains(&form) {
                known.push(form);
            }
        }
        known.sort_by_key(|s| std::cmp::Reverse(s.len()));
        true
    }

    /// Returns the text with every known secret replaced.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut text = Cow::Borrowed(text);
        for secret in known.iter() {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), MASK));
            }
        }
        text
    }

    /// Returns how many bytes the longest form has; 0 when nothing is secret.
    pub(super) fn longest(&self) -> usize {
        let known = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.first().map_or(0, String::len)
    }

    /// The same for bytes that need not be text.
    pub(super) fn mask_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            out.extend_from_slice(self.mask(chunk.valid()).as_bytes());
            out.extend_from_slice(chunk.invalid());
        }
        out
    }

    /// Returns where bytes can be cut so that no secret is cut: none begins before and may end after that.
    pub(super) fn safe_end(&self, bytes: &[u8]) -> usize {
        let known = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let longest = known.first().map_or(0, String::len);
        let mut end = bytes.len().saturating_sub(longest.saturating_sub(1));
        loop {
            let from = end.saturating_sub(longest);
            let window = &bytes[from..bytes.len().min(end + longest)];
            // One that goes over the cut stays on the other side of it.
            let over = known.iter().filter_map(|secret| {
                let starts = window.windows(secret.len()).enumerate();
                let mut hits = starts.filter(|(_, piece)| *piece == secret.as_bytes());
                hits.find(|(at, _)| from + at < end && from + at + secret.len() > end)
                    .map(|(at, _)| from + at)
            });
            match over.min() {
                Some(start) => end = start,
                None => return end,
            }
        }
    }
}

fn url_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
            out.push(b as char);
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

/// Returns text from a host in a form that cannot steer a terminal; newlines and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let bad = |c: char| (c.is_control() && c != '\n' && c != '\t') || is_bidi(c);
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\r' => {}
            c if bad(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Characters that reorder what a reader sees.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A writer that masks whole lines of text. Colours are added after masking, so that no secret hides behind one.
pub struct MaskedWriter<W: Write> {
    out: W,
    secrets: Secrets,
}

impl<W: Write> MaskedWriter<W> {
    pub fn new(out: W, secrets: Secrets) -> Self {
        Self { out, secrets }
    }

    /// Writes one line made of parts, each with its terminal style (an SGR sequence or nothing). The parts may hold
    /// anything from anywhere.
    pub fn line(&mut self, parts: &[(&str, &str)]) -> io::Result<()> {
        for (style, text) in parts {
            let shown = self.shown(text);
            if style.is_empty() {
                write!(self.out, "{shown}")?;
                continue;
            }
            // Each line is styled by itself, as pagers and scrolling terminals expect.
            for (i, line) in shown.split('\n').enumerate() {
                let newline = if i > 0 { "\n" } else { "" };
                write!(self.out, "{newline}\x1b[{style}m{line}\x1b[0m")?;
            }
        }
        writeln!(self.out)
    }

    /// Writes text that is to be answered on its own line, at once.
    pub fn prompt(&mut self, text: &str) -> io::Result<()> {
        let shown = self.shown(text);
        write!(self.out, "{shown}")?;
        self.out.flush()
    }

    /// Returns text as this writer would show it.
    pub fn shown(&self, text: &str) -> String {
        visible(&self.secrets.mask(text)).into_owned()
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_every_form() {
        let secrets = Secrets::new();
        assert!(secrets.add("s3cr\"t'x\n"));
        assert!(!secrets.add("abc"));
        let base64 = base64::engine::general_purpose::STANDARD.encode("s3cr\"t'x");
        for form in ["s3cr\"t'x", "s3cr\\\"t'x", "s3cr%22t%27x", "s3cr\"t'\\''x", &base64] {
            assert_eq!(secrets.mask(&format!("a {form} b")), "a ******** b", "{form}");
        }
    }

    #[test]
    fn hosts_cannot_steer_the_terminal() {
        assert_eq!(visible("a\x1b[2Jb\r\n\tc"), "a\\u{1b}[2Jb\n\tc");
        assert_eq!(visible("plain\n"), "plain\n");
    }

    #[test]
    fn styles_each_line() {
        let mut writer = MaskedWriter::new(Vec::new(), Secrets::new());
        writer.line(&[("0;32", "a\nb"), ("", "c")]).unwrap();
        assert_eq!(String::from_utf8(writer.out).unwrap(), "\x1b[0;32ma\x1b[0m\n\x1b[0;32mb\x1b[0mc\n");
    }
}
