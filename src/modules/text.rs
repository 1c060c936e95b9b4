//! Texts of any encoding, and lines with their ends.

/// File content as text. Bytes that are no UTF-8 become one character each, so that nothing is lost.
pub struct Text {
    pub text: String,
    bytewise: bool,
}

impl Text {
    pub fn of(content: &[u8]) -> Self {
        match std::str::from_utf8(content) {
            Ok(text) => Text { text: text.to_string(), bytewise: false },
            Err(_) => Text { text: content.iter().map(|b| char::from(*b)).collect(), bytewise: true },
        }
    }

    /// Returns an argument in the same form as the content.
    pub fn arg(&self, text: &str) -> String {
        if self.bytewise { text.bytes().map(char::from).collect() } else { text.to_string() }
    }

    /// Returns edited text as bytes.
    pub fn bytes(&self, text: &str) -> Vec<u8> {
        if self.bytewise {
            text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
        } else {
            text.as_bytes().to_vec()
        }
    }
}

/// Returns the lines of a text, each with its end.
pub fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_string).collect()
}

/// Returns a line without its end.
pub fn bare(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive() {
        let text = Text::of(b"caf\xe9\n");
        assert_eq!(text.bytes(&text.text), b"caf\xe9\n");
        assert_eq!(text.bytes(&text.arg("é")), "é".as_bytes());
    }
}
