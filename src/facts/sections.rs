//! The probe's output: named sections of lines.

/// More sections no machine has, with one for each of its disks; parsers look through all of them for each.
const MOST_SECTIONS: usize = 20_000;

/// Sections in order; a name may occur more than once.
#[derive(Debug, Default)]
pub struct Sections(Vec<(String, Vec<String>)>);

impl Sections {
    /// Reads the probe's output. Bytes that are no UTF-8 are replaced.
    pub fn parse(stdout: &[u8]) -> Self {
        let mut sections: Vec<(String, Vec<String>)> = Vec::new();
        for line in String::from_utf8_lossy(stdout).lines() {
            if let Some(name) = line.strip_prefix('@') {
                if sections.len() == MOST_SECTIONS {
                    break;
                }
                sections.push((name.to_string(), Vec::new()));
            } else if !line.is_empty()
                && let Some((_, lines)) = sections.last_mut()
            {
                lines.push(line.strip_prefix(' ').unwrap_or(line).to_string());
            }
        }
        Sections(sections)
    }

    /// Returns the lines of the first section of this name; none when it is not there.
    pub fn lines(&self, name: &str) -> &[String] {
        self.0.iter().find(|(n, _)| n == name).map_or(&[], |(_, lines)| lines)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    /// Returns the first line of a section, without blanks around it.
    pub fn line(&self, name: &str) -> Option<&str> {
        self.lines(name).first().map(|line| line.trim()).filter(|line| !line.is_empty())
    }

    /// Returns sections whose names start with a word: the rest of the name, and the lines.
    pub fn all<'a>(&'a self, word: &'a str) -> impl Iterator<Item = (&'a str, &'a [String])> {
        self.0.iter().filter_map(move |(name, lines)| {
            let rest = name.strip_prefix(word)?.strip_prefix(' ')?;
            Some((rest, lines.as_slice()))
        })
    }

    /// Returns the rest of the line of a section that starts with a word.
    pub fn field(&self, name: &str, word: &str) -> Option<&str> {
        field(self.lines(name), word)
    }
}

/// Returns the rest of the line that starts with a word.
pub fn field<'a>(lines: &'a [String], word: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).map(str::trim)
}

/// Returns a value out of lines like `NAME="value"`.
pub fn assignment(lines: &[String], name: &str) -> Option<String> {
    lines.iter().find_map(|line| {
        let value = line.trim().strip_prefix(name)?.strip_prefix('=')?;
        let value = value.trim();
        let bare = value
            .strip_prefix('"')
            .and_then(|v| v.strip_suffix('"'))
            .or_else(|| value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')))
            .unwrap_or(value);
        Some(bare.to_string())
    })
}
