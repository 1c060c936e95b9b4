//! The little of ELF that says which other files a program needs: its loader, its libraries, where to look.

/// What a program or library asks the system for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Needs {
    /// The dynamic loader; libraries and static programs have none.
    pub(super) interpreter: Option<String>,
    /// Names of libraries.
    pub(super) libraries: Vec<String>,
    /// Search directories that the file itself names, `$ORIGIN` not yet replaced.
    pub(super) search: Vec<String>,
}

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

struct Elf<'a> {
    data: &'a [u8],
    wide: bool,
    big_endian: bool,
}

struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    size: u64,
}

impl Elf<'_> {
    fn number(&self, offset: u64, size: usize) -> Option<u64> {
        let start = usize::try_from(offset).ok()?;
        let bytes = self.data.get(start..start.checked_add(size)?)?;
        let fold = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
        Some(if self.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    }

    /// A number as wide as the file's addresses.
    fn word(&self, offset: u64) -> Option<u64> {
        self.number(offset, if self.wide { 8 } else { 4 })
    }

    fn text(&self, offset: u64) -> Option<String> {
        let rest = self.data.get(usize::try_from(offset).ok()?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        String::from_utf8(rest[..end].to_vec()).ok()
    }

    fn segments(&self) -> Option<Vec<Segment>> {
        let table = self.word(if self.wide { 32 } else { 28 })?;
        let entry_size = self.number(if self.wide { 54 } else { 42 }, 2)?;
        let count = self.number(if self.wide { 56 } else { 44 }, 2)?;
        let (offset_at, address_at, size_at) = if self.wide { (8, 16, 32) } else { (4, 8, 16) };
        (0..count)
            .map(|index| {
                let at = table.checked_add(index.checked_mul(entry_size)?)?;
                Some(Segment {
                    kind: self.number(at, 4)?,
                    offset: self.word(at.checked_add(offset_at)?)?,
                    address: self.word(at.checked_add(address_at)?)?,
                    size: self.word(at.checked_add(size_at)?)?,
                })
            })
            .collect()
    }
}

/// Reads what an ELF file needs; `None` when it is not one, or damaged.
pub(super) fn needs(data: &[u8]) -> Option<Needs> {
    if !data.starts_with(b"\x7fELF") {
        return None;
    }
    let elf = Elf { data, wide: *data.get(4)? == 2, big_endian: *data.get(5)? == 2 };
    let segments = elf.segments()?;
    let mut needs = Needs::default();
    if let Some(segment) = segments.iter().find(|segment| segment.kind == PT_INTERP) {
        needs.interpreter = Some(elf.text(segment.offset)?);
    }
    let Some(dynamic) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) else {
        return Some(needs);
    };
    let width = if elf.wide { 8 } else { 4 };
    let mut entries = Vec::new();
    for index in 0..dynamic.size / (2 * width) {
        let at = dynamic.offset.checked_add(index * 2 * width)?;
        let entry = (elf.word(at)?, elf.word(at + width)?);
        if entry.0 == 0 {
            break;
        }
        entries.push(entry);
    }
    let strings = entries.iter().find(|(tag, _)| *tag == DT_STRTAB)?.1;
    let home = segments
        .iter()
        .find(|s| s.kind == PT_LOAD && strings >= s.address && strings - s.address < s.size)?;
    let base = strings - home.address + home.offset;
    for (tag, value) in entries {
        match tag {
            DT_NEEDED => needs.libraries.push(elf.text(base.checked_add(value)?)?),
            DT_RPATH | DT_RUNPATH => {
                let paths = elf.text(base.checked_add(value)?)?;
                needs.search.extend(paths.split(':').filter(|path| !path.is_empty()).map(String::from));
            }
            _ => {}
        }
    }
    Some(needs)
}

#[cfg(test)]
mod tests {
    use super::needs;

    #[test]
    fn own_program() {
        let data = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = needs(&data).unwrap();
        assert!(needs.libraries.iter().any(|name| name.starts_with("libc.")), "{needs:?}");
        assert!(needs.interpreter.is_some_and(|path| path.contains("ld")));
    }

    #[test]
    fn a_cut_file_is_no_panic() {
        let data = std::fs::read("/bin/sh").unwrap();
        assert_eq!(needs(b"#!/bin/sh"), None);
        for length in (0..data.len().min(4096)).step_by(7) {
            let _ = needs(&data[..length]);
        }
    }
}
