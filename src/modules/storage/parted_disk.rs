//! What parted tells of a disk, and sizes in its units.

use crate::modules::Failure;
use crate::value::{Map, Value};

const SI: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
const IEC: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];

/// The units that parted knows, for the argument table.
pub const UNITS: &[&str] =
    &["s", "B", "KB", "KiB", "MB", "MiB", "GB", "GiB", "TB", "TiB", "%", "cyl", "chs", "compact"];

/// How results write units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitCase {
    Lower,
    Kept,
}

/// Returns a unit as parted's manual writes it.
fn canonical(unit: &str) -> String {
    UNITS.iter().find(|known| known.eq_ignore_ascii_case(unit)).map_or(unit, |known| known).to_string()
}

/// A disk with its partitions, as `parted -m` prints it.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// As results tell it.
    pub generic: Map,
    pub table: String,
    pub size: f64,
    pub partitions: Vec<Partition>,
}

#[derive(Clone, Debug, Default)]
pub struct Partition {
    pub number: i128,
    pub name: String,
    pub flags: Vec<String>,
    pub end: f64,
    all: Map,
}

/// A size or place with its unit; three numbers for one in cylinders, heads and sectors.
fn number(text: &str, unit: &str) -> Option<(Value, f64, String)> {
    let parts: Vec<&str> = text.split(',').collect();
    if let [cylinder, head, sector] = parts[..] {
        let int = |text: &str| text.parse::<i64>().ok();
        let map =
            Map::from_iter([("cylinder", int(cylinder)?), ("head", int(head)?), ("sector", int(sector)?)]);
        return Some((Value::map(map), 0.0, "chs".to_string()));
    }
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(text.len());
    let value: f64 = text[..at].parse().ok()?;
    let own = text[at..].trim();
    Some((Value::from(value), value, if own.is_empty() { unit.to_string() } else { own.to_string() }))
}

/// Reads a border as an argument gives it: a number with a unit that parted knows.
pub fn border(text: &str, unit: &str) -> Option<(f64, String)> {
    let (_, value, own) = number(text, unit)?;
    (own.is_empty() || UNITS.contains(&own.as_str())).then_some((value, own))
}

/// Returns a size in bytes the way in which partitions are compared with what is asked for.
pub fn bytes(size: f64, unit: &str) -> i128 {
    let factor = if let Some(at) = SI.iter().position(|u| *u == unit) {
        1000f64.powi(at as i32)
    } else if let Some(at) = IEC.iter().position(|u| *u == unit) {
        1024f64.powi(at as i32 + 1)
    } else if matches!(unit, "" | "compact" | "cyl" | "chs") {
        1e6
    } else {
        1.0
    };
    (size * factor) as i128
}

impl Disk {
    /// Reads what `parted -m` printed.
    pub fn parse(printed: &str, unit: &str, case: UnitCase) -> Result<Disk, Failure> {
        let wrong = || Failure::new(format!("Error interpreting parted size output: '{}'", printed.trim()));
        let mut lines = printed.lines().map(str::trim).filter(|line| !line.is_empty()).skip(1);
        let head: Vec<&str> = lines.next().ok_or_else(wrong)?.trim_end_matches(';').split(':').collect();
        let [device, size, _, logical, physical, table, model, ..] = head[..] else { return Err(wrong()) };
        let (shown, value, unit) = number(size, unit).ok_or_else(wrong)?;
        let lower = unit.to_lowercase();
        let told = match case {
            UnitCase::Lower => lower.clone(),
            UnitCase::Kept => canonical(&unit),
        };
        let mut disk = Disk { table: table.to_string(), size: value, ..Disk::default() };
        let int = |text: &str| text.trim().parse::<i64>().map_err(|_| wrong());
        disk.generic = Map::from_iter([
            ("dev", Value::str(device)),
            ("size", shown),
            ("unit", Value::str(told.as_str())),
            ("table", Value::str(table)),
            ("model", Value::str(model)),
            ("logical_block", int(logical)?.into()),
            ("physical_block", int(physical)?.into()),
        ]);
        let chs = lower == "chs";
        if chs || lower == "cyl" {
            let line: Vec<&str> = lines.next().ok_or_else(wrong)?.trim_end_matches(';').split(':').collect();
            let [cylinders, heads, sectors, each] = line[..] else { return Err(wrong()) };
            let (each, _, unit) = number(each, "").ok_or_else(wrong)?;
            let info = Map::from_iter([
                ("cylinders", Value::from(int(cylinders)?)),
                ("heads", int(heads)?.into()),
                ("sectors", int(sectors)?.into()),
                ("cyl_size", each),
                (
                    "cyl_size_unit",
                    Value::str(if case == UnitCase::Kept { canonical(&unit) } else { unit.to_lowercase() }),
                ),
            ]);
            disk.generic.insert("chs_info", info);
        }
        for line in lines {
            let fields: Vec<&str> = line.trim_end_matches(';').split(':').collect();
            let (size, rest) = match fields[..] {
                [_, _, _, ref rest @ ..] if chs => (Value::str(""), rest),
                [_, _, _, size, ref rest @ ..] => (number(size, "").ok_or_else(wrong)?.0, rest),
                _ => return Err(wrong()),
            };
            let [fstype, name, flags, ..] = *rest else { return Err(wrong()) };
            let flags: Vec<String> =
                flags.split(", ").map(str::trim).filter(|f| !f.is_empty()).map(str::to_string).collect();
            let begin = number(fields[1], "").ok_or_else(wrong)?.0;
            let (shown_end, end, _) = number(fields[2], "").ok_or_else(wrong)?;
            let number = int(fields[0])?;
            let all = Map::from_iter([
                ("num", Value::from(number)),
                ("begin", begin),
                ("end", shown_end),
                ("size", size),
                ("fstype", Value::str(fstype)),
                ("name", Value::str(name)),
                ("flags", Value::from(flags.clone())),
                ("unit", Value::str(told.as_str())),
            ]);
            let number = i128::from(number);
            disk.partitions.push(Partition { number, name: name.to_string(), flags, end, all });
        }
        Ok(disk)
    }

    pub fn partition(&self, number: i128) -> Option<&Partition> {
        self.partitions.iter().find(|part| part.number == number)
    }

    /// Returns the partitions as results tell them.
    pub fn list(&self) -> Value {
        Value::list(self.partitions.iter().map(|part| Value::map(part.all.clone())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_disks() {
        let disk = Disk::parse(
            "BYT;\n/dev/sda:2097152KiB:scsi:512:4096:gpt:ATA Disk:;\n1:1024KiB:1025024KiB:1024000KiB:ext4:data:boot, esp;\n",
            "KiB",
            UnitCase::Lower,
        )
        .unwrap();
        assert_eq!(disk.generic.get("size").unwrap().repr(), "2097152.0");
        assert_eq!(disk.generic.get("unit").unwrap().repr(), "'kib'");
        let part = disk.partition(1).unwrap();
        assert_eq!((part.name.as_str(), part.end, part.flags.len()), ("data", 1_025_024.0, 2));
        let chs = Disk::parse(
            "CHS;\n/f:2,30,3:file:512:512:msdos::;\n2:255:63:8225kB;\n1:0,0,1:1,2,3:ext2::;\n",
            "chs",
            UnitCase::Kept,
        )
        .unwrap();
        assert_eq!(
            chs.partition(1).unwrap().all.get("end").unwrap().repr(),
            "{'cylinder': 1, 'head': 2, 'sector': 3}"
        );
        assert!(Disk::parse("nothing", "B", UnitCase::Lower).is_err());
    }

    #[test]
    fn borders() {
        assert_eq!(border("100%", ""), Some((100.0, "%".into())));
        assert_eq!(border("-1GiB", ""), Some((-1.0, "GiB".into())));
        assert_eq!(border("1gib", ""), None);
        assert_eq!(border("x", ""), None);
        assert_eq!(
            (bytes(2.0, "KiB"), bytes(2.0, "KB"), bytes(1.5, "MB"), bytes(7.0, "s")),
            (2048, 2000, 1_500_000, 7)
        );
    }
}
