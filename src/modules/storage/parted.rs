//! `parted`: partitions of disks.

use super::parted_disk::{Disk, UNITS, UnitCase, border, bytes};
use super::{TOOLS, check_tools, need};
use crate::modules::sh::{Report, q};
use crate::modules::write::named_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "parted",
    namespaces: &["community.general"],
    about: "Makes, changes and removes partitions.",
    args: &[
        ArgSpec::new("device", ArgKind::Str, "The disk.").required(),
        ArgSpec::new("number", ArgKind::Int, "The partition."),
        ArgSpec::new("state", ArgKind::Str, "Whether the partition is to be there, or the disk only shown.")
            .default("info")
            .choices(&["absent", "info", "present"]),
        ArgSpec::new("align", ArgKind::Str, "How partitions are aligned.").default("optimal").choices(&[
            "cylinder",
            "minimal",
            "none",
            "optimal",
            "undefined",
        ]),
        ArgSpec::new("unit", ArgKind::Str, "The unit of sizes.").default("KiB").choices(UNITS),
        ArgSpec::new("label", ArgKind::Str, "The kind of partition table.")
            .default("msdos")
            .choices(&["aix", "amiga", "bsd", "dvh", "gpt", "loop", "mac", "msdos", "pc98", "sun"]),
        ArgSpec::new("part_type", ArgKind::Str, "The kind of partition.")
            .default("primary")
            .choices(&["extended", "logical", "primary"]),
        ArgSpec::new("part_start", ArgKind::Str, "Where it begins.").default("0%"),
        ArgSpec::new("part_end", ArgKind::Str, "Where it ends.").default("100%"),
        ArgSpec::new("fs_type", ArgKind::Str, "What it is made for."),
        ArgSpec::new("name", ArgKind::Str, "Its name, in tables that have names."),
        ArgSpec::new("flags", ArgKind::StrList, "The flags that it has."),
        ArgSpec::new("resize", ArgKind::Bool, "Move the end of one that is there.").default("no"),
        ArgSpec::new(
            "unit_preserve_case",
            ArgKind::Bool,
            "Results write units as they are, not in small letters.",
        )
        .default("no"),
    ],
    rules: &[
        Rule::If { arg: "state", value: "present", needs: &["number"] },
        Rule::If { arg: "state", value: "absent", needs: &["number"] },
    ],
    returns: &[
        ("disk", "the disk"),
        ("partitions", "its partitions"),
        ("script", "what parted was told to do"),
    ],
    own_check: Some(borders),
    ..ModuleSpec::BASE
};

pub struct Parted;

/// Refuses what parted would not understand.
fn borders(given: &Map) -> Result<(), Failure> {
    for name in ["part_start", "part_end"] {
        if let Some(text) = given.get(name).filter(|v| !v.is_unknown() && !v.is_null())
            && !matches!(text, Value::Omit)
            && border(&text.to_text(), "").is_none()
        {
            return Err(Failure::new(format!(
                "The argument '{name}' doesn't respect required format.The size unit is case sensitive."
            )));
        }
    }
    if given.get("number").and_then(Value::as_int).is_some_and(|number| number < 1) {
        return Err(Failure::new("The partition number must be greater then 0."));
    }
    Ok(())
}

impl Module for Parted {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        Ok(Some(format!("{TOOLS}{}{}", need("parted"), show(&call.args))))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let device = args.str("device").unwrap_or_default();
        call.needs_untouched(device)?;
        let report = Report::of(seen)?;
        check_tools(call, &report)?;
        let disk = disk_of(call, &report)?;
        let number = args.int("number").unwrap_or_default();
        let state = args.str("state").unwrap_or_default();
        let mut result = Map::new();
        tell(&mut result, &disk);
        let unit = args.str("unit").unwrap_or_default();
        if state == "info" {
            result.insert("script", words(&["unit", unit, "print"]));
            return Ok(Prediction::read(result));
        }
        let mut work = Work::default();
        if state == "absent" {
            if disk.partition(number).is_some() {
                work.first = words(&["rm", &number.to_string()]);
            }
        } else {
            work = Work::of(args, &disk)?;
        }
        let mut told = work.first.clone();
        told.extend(work.second.clone());
        result.insert("script", told.clone());
        if told.is_empty() {
            return Ok(Prediction::same(result));
        }
        for key in ["disk", "partitions"] {
            result.insert(key, Value::unknown("the partitions that parted makes"));
        }
        let script = format!("{TOOLS}{}{}", work.script(args), show(args));
        let before = disk.partition(number).map(|part| {
            Map::from_iter([
                ("table", Value::str(disk.table.as_str())),
                ("name", Value::str(part.name.as_str())),
                ("flags", Value::from(part.flags.clone())),
                ("end", part.end.into()),
            ])
        });
        let after = (state == "present").then(|| {
            let word = |name: &str| args.get(name).cloned();
            let mut map = Map::from_iter([("table", Value::str(args.str("label").unwrap_or_default()))]);
            for (key, value) in [("name", word("name")), ("flags", word("flags"))] {
                let known = before.as_ref().and_then(|b| b.get(key).cloned());
                if let Some(value) = value.or(known) {
                    map.insert(key, value);
                }
            }
            let end = match (&before, args.flag("resize") || work.makes) {
                (Some(before), false) => before.get("end").cloned().unwrap_or_default(),
                _ => Value::str(args.str("part_end").unwrap_or_default()),
            };
            map.insert("end", end);
            map
        });
        let mut prediction = Prediction::change(result, vec![Action::run(script)])
            .touch(Touch::Tree { path: device.to_string() })
            .touch(Touch::Tree { path: node(device, number) });
        if work.label {
            prediction
                .consequences
                .push(format!("{device} gets a new partition table: every partition that is on it is lost"));
        }
        Ok(prediction.diff(named_diff(&node(device, number), before, after)))
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let mut outcome = prediction.into_outcome();
        for output in ran {
            if output.rc != 0 {
                return Err(Failure::from_output(output));
            }
            let report = Report::parse(&output.stdout);
            tell(&mut outcome.result, &disk_of(call, &report)?);
            let mut script: Vec<Value> =
                outcome.result.get("script").and_then(Value::as_list).unwrap_or_default().to_vec();
            let number = call.args.int("number").unwrap_or_default().to_string();
            for flag in report.all("off").filter_map(crate::modules::sh::word) {
                script.extend(["set", &number, &flag, "off"].map(Value::str));
            }
            outcome.result.insert("script", Value::list(script));
        }
        Ok(outcome)
    }
}

/// What parted is to do: first to the table and the partition, then to its name and flags.
#[derive(Default)]
struct Work {
    first: Vec<String>,
    second: Vec<String>,
    /// A new table is written.
    label: bool,
    /// A new partition is made: what flags it has then only shows there.
    makes: bool,
}

impl Work {
    fn of(args: &Args, disk: &Disk) -> Result<Work, Failure> {
        let get = |name: &str| args.str(name).unwrap_or_default();
        let number = args.int("number").unwrap_or_default();
        let (unit, end) = (get("unit"), get("part_end"));
        let mut work = Work { label: disk.table != get("label"), ..Work::default() };
        if work.label {
            work.first.extend(words(&["mklabel", get("label")]));
        }
        let there = disk.partition(number).filter(|_| !work.label);
        work.makes = there.is_none();
        if work.makes {
            work.first.extend(words(&["mkpart", get("part_type")]));
            work.first.extend(args.str("fs_type").map(str::to_string));
            // The documented form may have a blank before the unit; parted takes that for another number.
            work.first.extend([get("part_start"), end].map(|place| place.replace(' ', "")));
        }
        if !work.first.is_empty() {
            work.first.splice(0..0, words(&["unit", unit]));
        }
        if let (Some(part), true) = (there, args.flag("resize")) {
            let (size, own) = border(end, unit).unwrap_or_default();
            let wanted = match own.as_str() {
                "%" => bytes((disk.size * size / 100.0).trunc(), unit),
                own => bytes(size, own),
            };
            if bytes(part.end, unit) != wanted {
                work.first.extend(words(&["resizepart", &number.to_string(), end]));
            }
        }
        let number = number.to_string();
        if let Some(name) = args.str("name")
            && there.is_none_or(|part| part.name != name)
        {
            work.second.extend(words(&["name", &number, &format!("\"{name}\"")]));
        }
        let wanted = flags(args);
        if !wanted.is_empty() {
            let now: Vec<&String> = there.map(|part| part.flags.iter().collect()).unwrap_or_default();
            for flag in wanted.iter().filter(|flag| !now.contains(flag)) {
                work.second.extend(words(&["set", &number, flag, "on"]));
            }
            for flag in now.into_iter().filter(|flag| !flag.starts_with("type=") && !wanted.contains(flag)) {
                work.second.extend(words(&["set", &number, flag, "off"]));
            }
        }
        if !work.second.is_empty() {
            work.second.splice(0..0, words(&["unit", unit]));
        }
        Ok(work)
    }

    fn script(&self, args: &Args) -> String {
        let device = q(args.str("device").unwrap_or_default());
        let align = match args.str("align") {
            Some("undefined") | None => String::new(),
            Some(align) => format!(" -a {align}"),
        };
        // A newer option repairs tables that do not know the disk's real end.
        let mut script =
            String::from("xp_fix=\nif parted --help 2>&1 | grep -q -e --fix; then xp_fix=-f; fi\n");
        for part in [&self.first, &self.second] {
            if !part.is_empty() {
                let line: Vec<String> = part.iter().map(|word| q(word)).collect();
                add!(script, "xp_tool parted -s $xp_fix -m{align} {device} -- {}\n", line.join(" "));
            }
        }
        let wanted = flags(args);
        if self.makes && !wanted.is_empty() {
            // What parted set by itself and nobody asked for.
            let number = args.int("number").unwrap_or_default();
            add!(
                script,
                "xp_f=$(parted -s -m {device} -- print | awk -F: '$1 == \"{number}\" {{ sub(/;$/, \"\", $7); print $7 }}')\n\
                 IFS=', '; for xp_v in $xp_f; do case \" {} \" in *\" $xp_v \"*) ;; *) case $xp_v in type=*) ;; *) \
                 unset IFS; xp_tool parted -s -m {device} -- set {number} \"$xp_v\" off; xp_tell off \"$xp_v\" ;; esac ;; esac; done; unset IFS\n",
                wanted.join(" ").replace(['\'', '"', '\\', '$', '`'], "")
            );
        }
        script
    }
}

/// Returns the flags that are asked for: esp comes with boot, and in tables of GPT boot with esp, as they are the same.
fn flags(args: &Args) -> Vec<String> {
    let mut wanted = args.texts("flags");
    let gpt = args.str("label") == Some("gpt");
    for (one, other, together) in [("esp", "boot", true), ("boot", "esp", gpt)] {
        let has = |name: &str| wanted.iter().any(|flag| flag == name);
        if together && has(one) && !has(other) {
            wanted.push(other.to_string());
        }
    }
    wanted
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// Returns the lines that show the disk.
fn show(args: &Args) -> String {
    let device = args.str("device").unwrap_or_default();
    let name = device.rsplit('/').next().unwrap_or_default();
    format!(
        "xp_s=/sys/block/{name}\nfor xp_v in queue/logical_block_size queue/physical_block_size size device/vendor device/model; do \
         [ ! -r \"$xp_s/$xp_v\" ] || xp_tell \"${{xp_v##*/}}\" \"$(cat \"$xp_s/$xp_v\")\"; done\n\
         xp_o=$(parted -s -m {device} -- unit {unit} print 2>/dev/null); xp_rc=$?\nprintf 'rc %s\\n' $xp_rc\n\
         [ $xp_rc = 0 ] || xp_tell wrong \"$(parted -s -m {device} -- unit {unit} print 2>&1 >/dev/null)\"\n\
         printf 'content\\n%s\\n' \"$xp_o\"\n",
        name = q(name),
        device = q(device),
        unit = q(args.str("unit").unwrap_or_default()),
    )
}

/// Reads what [`show`] printed. A disk without a table is one of kind unknown.
fn disk_of(call: &Call, report: &Report) -> Result<Disk, Failure> {
    let args = &call.args;
    let unit = args.str("unit").unwrap_or_default();
    let printed = String::from_utf8_lossy(report.content.as_deref().unwrap_or_default()).into_owned();
    // Older versions complain on stdout.
    let complaint = format!("{} {printed}", report.word("wrong").unwrap_or_default());
    let unlabelled = complaint.to_lowercase().contains("unrecognised disk label");
    if report.need("rc")? != "0" && !unlabelled {
        let device = args.str("device").unwrap_or_default();
        let msg = format!(
            "Error while getting device information with parted script: 'parted -s -m {device} -- unit {unit} print'"
        );
        return Err(crate::modules::tool::missing(call, msg)
            .with("out", printed)
            .with("err", complaint.trim()));
    }
    // Complaints stand before what is printed for programs.
    let from = ["BYT;", "CHS;", "CYL;"].iter().find_map(|word| printed.find(word));
    if let Some(from) = from {
        let case = if args.flag("unit_preserve_case") { UnitCase::Kept } else { UnitCase::Lower };
        return Disk::parse(&printed[from..], unit, case);
    }
    let number = |tag: &str| report.word(tag).and_then(|text| text.trim().parse::<i64>().ok()).unwrap_or(0);
    let text = |tag: &str, other: &str| report.word(tag).map_or(other.to_string(), |t| t.trim().to_string());
    let (logical, physical) = (number("logical_block_size"), number("physical_block_size"));
    let generic = Map::from_iter([
        ("dev", Value::str(args.str("device").unwrap_or_default())),
        ("table", Value::str("unknown")),
        ("size", ((number("size") * logical) as f64).into()),
        ("unit", Value::str("b")),
        ("logical_block", logical.into()),
        ("physical_block", physical.into()),
        ("model", Value::str(format!("{} {}", text("vendor", "Unknown"), text("model", "model")))),
    ]);
    Ok(Disk { generic, table: "unknown".into(), ..Disk::default() })
}

fn tell(result: &mut Map, disk: &Disk) {
    result.insert("disk", disk.generic.clone());
    result.insert("partitions", disk.list());
}

/// Returns the device of a partition.
fn node(device: &str, number: i128) -> String {
    let between = if device.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
    format!("{device}{between}{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    const HEAD: &str = "rc 0\ncontent\nBYT;\n/dev/sdx:2097152KiB:scsi:512:512:gpt:Disk:;\n";
    const ONE: &str = "1:1024KiB:1025024KiB:1024000KiB::data:lvm;\n";

    fn planned(given: &[(&str, &str)], seen: &str) -> Result<(String, Vec<String>), String> {
        let mut given = given.to_vec();
        given.extend([("device", "/dev/sdx"), ("label", "gpt")]);
        let prediction = Case::new(&Parted, args(&given)).plan(seen).map_err(|f| f.msg)?;
        let script = scripts(&prediction).concat();
        let lines = script.lines().filter(|line| line.starts_with("xp_tool ")).map(str::to_string).collect();
        let told = prediction.result.get("script").unwrap().as_list().unwrap().iter().map(Value::to_text);
        Ok((told.collect::<Vec<_>>().join(" "), lines))
    }

    #[test]
    fn tells_parted_what_to_do() {
        let check = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(planned(given, seen).unwrap().0, expect, "{given:?}");
        };
        let one = format!("{HEAD}{ONE}");
        let (state, number) = (("state", "present"), ("number", "1"));
        check(&[state, number], HEAD, "unit KiB mkpart primary 0% 100%");
        check(&[state, number], &one, "");
        check(
            &[state, number, ("name", "data"), ("flags", "esp")],
            &one,
            "unit KiB set 1 esp on set 1 boot on set 1 lvm off",
        );
        check(&[state, number, ("name", "data"), ("flags", "lvm")], &one, "");
        check(
            &[state, number],
            "rc 1\nlogical_block_size =512\nsize =4\ncontent\nError: /dev/sdx: unrecognised disk label\n",
            "unit KiB mklabel gpt mkpart primary 0% 100%",
        );
        check(&[state, number, ("resize", "yes")], &one, "resizepart 1 100%");
        check(&[state, number, ("resize", "yes"), ("part_end", "1025024KiB")], &one, "");
        check(&[("state", "absent"), number], &one, "rm 1");
        check(&[("state", "absent"), number], HEAD, "");
        check(&[], &one, "unit KiB print");
    }

    #[test]
    fn words_are_quoted() {
        let given = [("state", "present"), ("number", "2"), ("name", "it's"), ("fs_type", "ext4")];
        let (_, lines) = planned(&given, &format!("{HEAD}{ONE}")).unwrap();
        assert_eq!(
            lines,
            [
                "xp_tool parted -s $xp_fix -m -a optimal '/dev/sdx' -- 'unit' 'KiB' 'mkpart' 'primary' 'ext4' '0%' '100%'",
                "xp_tool parted -s $xp_fix -m -a optimal '/dev/sdx' -- 'unit' 'KiB' 'name' '2' '\"it'\\''s\"'",
            ]
        );
    }

    #[test]
    fn refuses() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(planned(given, seen).unwrap_err(), expect, "{given:?}");
        };
        fails(
            &[("part_end", "1gib")],
            "",
            "The argument 'part_end' doesn't respect required format.The size unit is case sensitive.",
        );
        fails(&[("state", "present")], "", "state is present but all of the following are missing: number");
        fails(
            &[],
            "rc 1\ncontent\nError: Could not stat device /dev/sdx\n",
            "Error while getting device information with parted script: 'parted -s -m /dev/sdx -- unit KiB print'",
        );
    }
}
