//! Texts in the encodings that people still have besides UTF-8: the western ones of one byte per character.

/// The bytes from 0x80 to 0x9f in windows-1252; a NUL where there is no character.
const WINDOWS: &str = "€\0‚ƒ„…†‡ˆ‰Š‹Œ\0Ž\0\0‘’“”•–—˜™š›œ\0žŸ";

/// The bytes that differ in ISO 8859-15 from ISO 8859-1.
const LATIN_9: [(u8, char); 8] =
    [(0xa4, '€'), (0xa6, 'Š'), (0xa8, 'š'), (0xb4, 'Ž'), (0xb8, 'ž'), (0xbc, 'Œ'), (0xbd, 'œ'), (0xbe, 'Ÿ')];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    Utf8,
    Utf8Signed,
    Ascii,
    Latin1,
    Latin9,
    Windows,
}

impl Charset {
    /// Finds an encoding by a name as Python knows them.
    fn named(name: &str) -> Result<Self, String> {
        let plain = name.to_lowercase().replace(['_', ' ', '-'], "");
        Ok(match plain.as_str() {
            "" | "utf8" | "u8" => Charset::Utf8,
            "utf8sig" => Charset::Utf8Signed,
            "ascii" | "usascii" | "646" => Charset::Ascii,
            "latin1" | "l1" | "latin" | "iso88591" | "8859" | "cp819" => Charset::Latin1,
            "latin9" | "l9" | "iso885915" => Charset::Latin9,
            "windows1252" | "cp1252" | "1252" => Charset::Windows,
            _ => return Err(format!("unknown encoding: {name}")),
        })
    }

    fn char(self, byte: u8) -> Option<char> {
        match self {
            Charset::Ascii if byte >= 0x80 => None,
            Charset::Windows if (0x80..0xa0).contains(&byte) => {
                WINDOWS.chars().nth(usize::from(byte) - 0x80).filter(|c| *c != '\0')
            }
            Charset::Latin9 => {
                Some(LATIN_9.iter().find(|(b, _)| *b == byte).map_or(char::from(byte), |(_, c)| *c))
            }
            _ => Some(char::from(byte)),
        }
    }

    fn byte(self, c: char) -> Option<u8> {
        (0..=u8::MAX).find(|byte| self.char(*byte) == Some(c))
    }
}

/// Returns the text that bytes stand for in an encoding.
pub fn decode(encoding: &str, bytes: &[u8]) -> Result<String, String> {
    let charset = Charset::named(encoding)?;
    if matches!(charset, Charset::Utf8 | Charset::Utf8Signed) {
        let text = std::str::from_utf8(bytes).map_err(|e| format!("'utf-8' codec can't decode: {e}"))?;
        let text = if charset == Charset::Utf8Signed { text.trim_start_matches('\u{feff}') } else { text };
        return Ok(text.to_string());
    }
    let at = |i: usize| format!("'{encoding}' codec can't decode byte 0x{:02x} in position {i}", bytes[i]);
    bytes.iter().enumerate().map(|(i, byte)| charset.char(*byte).ok_or_else(|| at(i))).collect()
}

/// Returns the bytes of a text in an encoding.
pub fn encode(encoding: &str, text: &str) -> Result<Vec<u8>, String> {
    let charset = Charset::named(encoding)?;
    match charset {
        Charset::Utf8 => return Ok(text.as_bytes().to_vec()),
        Charset::Utf8Signed => return Ok(format!("\u{feff}{text}").into_bytes()),
        _ => {}
    }
    let fail = |c: char| format!("'{encoding}' codec can't encode character '{c}'");
    text.chars().map(|c| charset.byte(c).ok_or_else(|| fail(c))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let check = |encoding: &str, bytes: &[u8], text: &str| {
            assert_eq!(decode(encoding, bytes).as_deref(), Ok(text), "{encoding}");
            assert_eq!(encode(encoding, text).as_deref(), Ok(bytes), "{encoding}");
        };
        check("utf-8", "ä€".as_bytes(), "ä€");
        check("iso8859-1", b"\xe4\xa4", "ä¤");
        check("ISO-8859-15", b"\xe4\xa4", "ä€");
        check("windows-1252", b"\x80\x9f\xe9", "€Ÿé");
        check("ascii", b"abc", "abc");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        assert_eq!(encode("latin-1", "a€").unwrap_err(), "'latin-1' codec can't encode character '€'");
        assert_eq!(
            decode("ascii", b"a\xff").unwrap_err(),
            "'ascii' codec can't decode byte 0xff in position 1"
        );
        assert_eq!(decode("klingon", b"").unwrap_err(), "unknown encoding: klingon");
    }
}
