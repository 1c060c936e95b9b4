//! What the tools of LVM tell, and sizes as they take them.

use crate::modules::Failure;

/// Returns the fields of lines that the tools print with `--separator ;`.
pub fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| line.split(';').map(|field| field.trim().to_string()).collect())
        .collect()
}

/// A size as an argument gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {
    /// `+` or `-` where it is added to what is there or taken from it.
    pub operator: Option<char>,
    pub value: f64,
    pub kind: SizeKind,
    /// As the tools take it, without the operator.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SizeKind {
    /// In a unit of the tools, a letter.
    Unit(char),
    /// A part of `VG`, `PVS`, `FREE` or `ORIGIN`, in percent.
    Percent(String),
}

impl Size {
    /// Reads a size: megabytes where no unit is given.
    pub fn parse(text: &str, snapshot: bool) -> Result<Size, Failure> {
        let operator = text.chars().next().filter(|c| matches!(c, '+' | '-'));
        let plain = text.strip_prefix(['+', '-']).unwrap_or(text);
        let bad = || Failure::new(format!("Bad size specification of '{plain}'"));
        if let Some((percent, whole)) = plain.split_once('%') {
            let value: u32 = percent.parse().map_err(|_| bad())?;
            if value > 100 {
                return Err(Failure::new("Size percentage cannot be larger than 100%"));
            }
            if whole == "ORIGIN" && !snapshot {
                return Err(Failure::new("Percentage of ORIGIN supported only for snapshot volumes"));
            }
            if !matches!(whole, "VG" | "PVS" | "FREE" | "ORIGIN") {
                return Err(Failure::new("Specify extents as a percentage of VG|PVS|FREE|ORIGIN"));
            }
            let kind = SizeKind::Percent(whole.to_string());
            return Ok(Size { operator, value: f64::from(value), kind, text: plain.to_string() });
        }
        let unit = plain.chars().last().filter(|c| "bskmgtpe".contains(c.to_ascii_lowercase()));
        let digits = unit.map_or(plain, |_| &plain[..plain.len() - 1]);
        let value: f64 = digits.parse().map_err(|_| bad())?;
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(bad());
        }
        let unit = unit.unwrap_or('m');
        Ok(Size { operator, value, kind: SizeKind::Unit(unit), text: format!("{digits}{unit}") })
    }

    /// Returns the unit in which the tools are to tell sizes.
    pub fn unit(&self) -> char {
        match self.kind {
            SizeKind::Unit(unit) => unit.to_ascii_lowercase(),
            SizeKind::Percent(_) => 'm',
        }
    }

    /// Returns the option and its value.
    pub fn option(&self) -> String {
        let letter = if matches!(self.kind, SizeKind::Percent(_)) { "l" } else { "L" };
        let operator = self.operator.map(String::from).unwrap_or_default();
        format!(" -{letter} {}", crate::modules::sh::q(&format!("{operator}{}", self.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |text: &str, option: &str, unit: char| {
            let size = Size::parse(text, false).unwrap();
            assert_eq!((size.option().as_str(), size.unit()), (option, unit), "{text}");
        };
        check("512", " -L '512m'", 'm');
        check("+1.5G", " -L '+1.5G'", 'g');
        check("80%VG", " -l '80%VG'", 'm');
        check("-10%FREE", " -l '-10%FREE'", 'm');
        let fails = |text: &str, expect: &str| {
            assert_eq!(Size::parse(text, false).unwrap_err().msg, expect, "{text}");
        };
        fails("x", "Bad size specification of 'x'");
        fails(".5g", "Bad size specification of '.5g'");
        fails("101%VG", "Size percentage cannot be larger than 100%");
        fails("10%ORIGIN", "Percentage of ORIGIN supported only for snapshot volumes");
        fails("10%X", "Specify extents as a percentage of VG|PVS|FREE|ORIGIN");
    }

    #[test]
    fn lines() {
        assert_eq!(rows("  data;1;2\n\n /dev/sda ; \n"), [vec!["data", "1", "2"], vec!["/dev/sda", ""]]);
    }
}
