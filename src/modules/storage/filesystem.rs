//! `filesystem`: makes, grows and removes file systems on devices and in files.

use super::{TOOLS, check_tools, need};
use crate::modules::sh::{Report, expand_path, q};
use crate::modules::tool::{TELL_OUT, missing};
use crate::modules::write::attr_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Run, Seen, Touch,
};
use crate::transport::Output;
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "filesystem",
    namespaces: &["community.general"],
    about: "Makes, grows and removes file systems.",
    args: &[
        ArgSpec::new("dev", ArgKind::Path, "The device, or a file.").required().aliases(&["device"]),
        ArgSpec::new("fstype", ArgKind::Str, "The kind of file system.").aliases(&["type"]).choices(&[
            "bcachefs", "btrfs", "ext2", "ext3", "ext4", "ext4dev", "f2fs", "gfs2", "lvm", "ocfs2",
            "reiserfs", "swap", "vfat", "xfs",
        ]),
        ArgSpec::new("state", ArgKind::Str, "Whether there is to be one.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("force", ArgKind::Bool, "Replace a file system that is there.").default("no"),
        ArgSpec::new("resizefs", ArgKind::Bool, "Grow it to the size of the device.").default("no"),
        ArgSpec::new("opts", ArgKind::Str, "Options of mkfs."),
        ArgSpec::new("uuid", ArgKind::Str, "The identifier that it gets; a change in every run."),
        ArgSpec::new("label", ArgKind::Str, "The lock table of gfs2."),
    ],
    rules: &[
        Rule::If { arg: "state", value: "present", needs: &["fstype"] },
        Rule::Exclusive(&["resizefs", "uuid"]),
    ],
    returns: &[("msg", "what the tool said, or why nothing was done")],
    ..ModuleSpec::BASE
};

pub struct Filesystem;

/// How one kind of file system is made and kept.
struct Kind {
    /// As blkid calls it.
    name: &'static str,
    mkfs: &'static str,
    /// Options that make mkfs work without asking.
    force: &'static str,
    /// Whether older tools do not know the option.
    force_if_known: bool,
    /// The option of mkfs that sets the identifier, with what goes behind the value.
    uuid: Option<(&'static [&'static str], &'static str)>,
    /// The command that sets it afterwards; `%` stands for it.
    change_uuid: Option<&'static str>,
    /// The command that tells the size.
    info: Option<&'static str>,
    grow: &'static str,
    /// Tools want the place where it is mounted.
    mounted: bool,
    /// Less room than that is not used.
    slack: u64,
}

const PLAIN: Kind = Kind {
    name: "",
    mkfs: "",
    force: "",
    force_if_known: false,
    uuid: None,
    change_uuid: None,
    info: None,
    grow: "",
    mounted: false,
    slack: 0,
};

const EXT: Kind = Kind {
    force: "-F",
    uuid: Some((&["-U"], "")),
    change_uuid: Some("tune2fs -U %"),
    info: Some("tune2fs -l"),
    grow: "resize2fs",
    ..PLAIN
};

static KINDS: &[Kind] = &[
    Kind { name: "ext2", mkfs: "mkfs.ext2", ..EXT },
    Kind { name: "ext3", mkfs: "mkfs.ext3", ..EXT },
    Kind { name: "ext4", mkfs: "mkfs.ext4", ..EXT },
    Kind { name: "ext4dev", mkfs: "mkfs.ext4", ..EXT },
    Kind {
        name: "xfs",
        mkfs: "mkfs.xfs",
        force: "-f",
        change_uuid: Some("xfs_admin -U %"),
        info: Some("xfs_info"),
        grow: "xfs_growfs",
        mounted: true,
        slack: 64 * 4096 - 1,
        ..PLAIN
    },
    Kind {
        name: "btrfs",
        mkfs: "mkfs.btrfs",
        force: "-f",
        force_if_known: true,
        info: Some("btrfs filesystem usage -b"),
        grow: "btrfs filesystem resize max",
        mounted: true,
        ..PLAIN
    },
    Kind {
        name: "bcachefs",
        mkfs: "mkfs.bcachefs",
        force: "--force",
        uuid: Some((&["-U", "--uuid"], "")),
        info: Some("bcachefs show-super"),
        grow: "bcachefs device resize",
        ..PLAIN
    },
    Kind {
        name: "f2fs",
        mkfs: "mkfs.f2fs",
        force: "-f",
        force_if_known: true,
        info: Some("dump.f2fs"),
        grow: "resize.f2fs",
        ..PLAIN
    },
    Kind {
        name: "vfat",
        mkfs: "mkfs.vfat",
        info: Some("fatresize --info"),
        grow: "fatresize -s max",
        ..PLAIN
    },
    Kind {
        name: "LVM2_member",
        mkfs: "pvcreate",
        force: "-f",
        uuid: Some((&["-u", "--uuid"], " --norestorefile")),
        change_uuid: Some("pvchange -u"),
        info: Some("pvs --noheadings --nosuffix --units b -o pv_size"),
        grow: "pvresize",
        ..PLAIN
    },
    Kind { name: "swap", mkfs: "mkswap", force: "-f", ..PLAIN },
    Kind { name: "ocfs2", mkfs: "mkfs.ocfs2", force: "-Fx", ..PLAIN },
    Kind { name: "reiserfs", mkfs: "mkfs.reiserfs", force: "-q", ..PLAIN },
    Kind { name: "gfs2", mkfs: "mkfs.gfs2", force: "-O", uuid: Some((&["-U"], "")), ..PLAIN },
];

impl Kind {
    fn of(name: &str) -> Option<&'static Kind> {
        let name = if name == "lvm" { "LVM2_member" } else { name };
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// Whether what blkid found is this one: ext4dev is a name of ext4.
    fn is(&self, found: &str) -> bool {
        Kind::of(found).is_some_and(|kind| kind.name == self.name || kind.mkfs == self.mkfs)
    }

    /// Reads the size in bytes from what [`Kind::info`] printed.
    fn size(&self, text: &str) -> Option<u64> {
        let number = |text: &str| -> Option<u64> {
            let digits = text.trim_start().split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        };
        let after = |name: &str| text.lines().find_map(|line| number(line.split_once(name)?.1));
        match self.name {
            "xfs" => {
                let data = text.lines().find(|line| line.starts_with("data"))?;
                let field = |name: &str| number(data.split_once(name)?.1);
                Some(field("bsize=")? * field("blocks=")?)
            }
            "btrfs" => after("Device size:"),
            "f2fs" => Some(after("Info: sector size = ")? * after("Info: total FS sectors = ")?),
            "vfat" => text.lines().skip(1).find_map(|line| {
                number(line.trim().strip_prefix("Cur size:").or(line.trim().strip_prefix("Size:"))?)
            }),
            "LVM2_member" => number(text.trim()),
            "bcachefs" => bcachefs_size(text),
            _ => Some(after("Block count:")? * after("Block size:")?),
        }
    }
}

fn bcachefs_size(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Size:"))?;
    let mut parts = line.split_whitespace();
    let (value, unit) = (parts.next()?.parse::<f64>().ok()?, parts.next()?);
    let at =
        "BkMGTPEZY".find(unit.chars().next()?.to_ascii_uppercase()).or(unit.starts_with('k').then_some(1))?;
    let base: f64 = if unit.len() == 2 { 1000.0 } else { 1024.0 };
    Some((value * base.powi(at as i32)) as u64)
}

impl Module for Filesystem {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let dev = q(&dev(call)?);
        let mut script = format!("{TOOLS}[ -e {dev} ] || {{ printf 'absent yes\\n'; exit 0; }}\n");
        if let Some(kind) = wanted(call) {
            script += &need(kind.mkfs);
        }
        script += &need("blkid");
        add!(
            script,
            "xp_b=$(blkid -c /dev/null -o value -s TYPE {dev} 2>/dev/null)\n\
             case $xp_b in *' '*) xp_b=$(printf '%s\\n' \"$xp_b\" | sed -n 's/.* TYPE=\"\\{{0,1\\}}\\([^\" ]*\\).*/\\1/p') ;; esac\n\
             printf 'type %s\\n' \"$xp_b\"\n"
        );
        if call.args.flag("resizefs")
            && let Some(kind) = wanted(call)
            && let Some(info) = kind.info
        {
            let tool = info.split(' ').next().unwrap_or_default();
            add!(
                script,
                "[ \"$xp_b\" = {} ] || exit 0\n{}if [ -b {dev} ]; then xp_n=$(blockdev --getsize64 {dev}); else xp_n=$(($(wc -c <{dev}))); fi\n\
                 printf 'size %s\\n' \"$xp_n\"\nxp_m=$(findmnt --mtab --noheadings --output TARGET --source {dev} 2>/dev/null | head -n 1)\n\
                 xp_tell mounted \"$xp_m\"\n",
                q(kind.name),
                need(tool)
            );
            // What is mounted is asked about by its place.
            let place = if kind.mounted { "\"${xp_m:-$xp_v}\"" } else { "\"$xp_v\"" };
            add!(script, "xp_v={dev}\n");
            add!(
                script,
                "xp_i=$({info} {place} 2>&1) || {{ xp_tell wrong \"$xp_i\"; exit 0; }}\nxp_tell info \"$xp_i\"\n"
            );
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let dev = dev(call)?;
        call.needs_untouched(&dev)?;
        let report = Report::of(seen)?;
        if report.get("absent").is_some() {
            let msg = format!("Device {dev} not found.");
            return match wanted(call) {
                Some(_) => Err(missing(call, msg)),
                None => Ok(Prediction::same(Map::from_iter([("msg", msg)]))),
            };
        }
        check_tools(call, &report)?;
        let found = report.need("type")?.trim();
        let Some(kind) = wanted(call) else {
            if found.is_empty() {
                return Ok(Prediction::same(Map::new()));
            }
            let script = format!("{TOOLS}xp_tool wipefs --all {}\n", q(&dev));
            return Ok(change(&dev, found, "", script));
        };
        if args.has("uuid") && kind.change_uuid.is_none() && kind.uuid.is_none() {
            return Err(no_uuid(kind));
        }
        let same = !found.is_empty() && kind.is(found);
        if same && args.flag("resizefs") {
            return grow(kind, &dev, &report);
        }
        if same && let Some(uuid) = args.str("uuid") {
            let Some(command) = kind.change_uuid else {
                return Err(no_uuid(kind));
            };
            let script = format!("{TOOLS}xp_tool {} {}\n{TELL_OUT}", command.replace('%', &q(uuid)), q(&dev));
            let side = |text: &str| Map::from_iter([("fstype", found), ("uuid", text)]);
            return Ok(Prediction::change(Map::new(), vec![Action::run(script)])
                .touch(Touch::Tree { path: dev.clone() })
                .diff(attr_diff(&dev, side("another"), side(uuid))));
        }
        if same && !args.flag("force") {
            return Ok(Prediction::same(Map::new()));
        }
        if !found.is_empty() && !args.flag("force") {
            return Err(Failure::new(format!(
                "'{dev}' is already used as {found}, use force=true to overwrite"
            )));
        }
        Ok(change(&dev, found, kind.name, make(call, kind, &dev)?))
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let mut outcome = prediction.into_outcome();
        for output in ran {
            if output.rc != 0 {
                return Err(Failure::from_output(output));
            }
            if let Some(said) = Report::parse(&output.stdout).word("out") {
                outcome.result.insert("msg", said);
            }
        }
        Ok(outcome)
    }
}

fn dev(call: &Call) -> Result<String, Failure> {
    expand_path(call, call.args.str("dev").unwrap_or_default())
}

/// Returns the kind that is to be there; nothing where none is.
fn wanted(call: &Call) -> Option<&'static Kind> {
    match call.args.str("state") {
        Some("absent") => None,
        _ => call.args.str("fstype").and_then(Kind::of),
    }
}

fn no_uuid(kind: &Kind) -> Failure {
    Failure::new(format!("module does not support UUID option for this filesystem ({}) yet.", kind.name))
}

fn change(dev: &str, before: &str, after: &str, script: String) -> Prediction {
    let side = |name: &str| Map::from_iter([("fstype", name)]);
    let run = Run { script, long: true, ..Run::default() };
    Prediction::change(Map::new(), vec![Action::Run(run)])
        .touch(Touch::Tree { path: dev.to_string() })
        .diff(attr_diff(dev, side(before), side(after)))
}

/// Returns the script that makes a file system.
fn make(call: &Call, kind: &Kind, dev: &str) -> Result<String, Failure> {
    let args = &call.args;
    let opts: Vec<String> =
        args.str("opts").unwrap_or_default().split_whitespace().map(str::to_string).collect();
    let mut line = format!("xp_tool {}", kind.mkfs);
    let mut script = TOOLS.to_string();
    if kind.force_if_known {
        add!(
            script,
            "xp_f=\nif {} --help 2>&1 | grep -q -e '{}[ ,|]'; then xp_f={1}; fi\n",
            kind.mkfs,
            kind.force
        );
        line += " $xp_f";
    } else if !kind.force.is_empty() {
        add!(line, " {}", kind.force);
    }
    for opt in &opts {
        add!(line, " {}", q(opt));
    }
    if let (Some(uuid), Some((options, more))) = (args.str("uuid"), &kind.uuid)
        && !opts.iter().any(|opt| options.contains(&opt.as_str()))
    {
        add!(line, " {} {}{more}", options[0], q(uuid));
    }
    if let Some(label) = args.str("label").filter(|_| kind.name == "gfs2")
        && !opts.iter().any(|opt| opt == "-t")
    {
        add!(line, " -t {}", q(label));
    }
    add!(script, "{line} {}\n", q(dev));
    if let (Some(uuid), None, Some(command)) = (args.str("uuid"), &kind.uuid, kind.change_uuid) {
        add!(script, "xp_tool {} {}\n", command.replace('%', &q(uuid)), q(dev));
    }
    Ok(script)
}

fn grow(kind: &Kind, dev: &str, report: &Report) -> Result<Prediction, Failure> {
    if kind.grow.is_empty() {
        return Err(Failure::new(format!("module does not support resizing {} filesystem yet.", kind.name)));
    }
    let mounted = report.word("mounted").filter(|place| !place.is_empty());
    if let Some(why) = report.word("wrong") {
        return Err(Failure::new(format!(
            "cannot tell the size of the file system on {dev}: {}",
            why.trim()
        )));
    }
    let device: u64 = report
        .need("size")?
        .trim()
        .parse()
        .map_err(|_| Failure::new(format!("cannot tell the size of {dev}")))?;
    let info = report.word("info").unwrap_or_default();
    let tool = kind.info.and_then(|info| info.split(' ').next()).unwrap_or_default();
    let size = kind.size(&info).ok_or_else(|| {
        Failure::new(format!("unable to process {tool} output for {dev}")).with("stdout", info.as_str())
    })?;
    let name = kind.name;
    if size + kind.slack >= device {
        let msg = format!("{name} filesystem is using the whole device {dev}");
        return Ok(Prediction::same(Map::from_iter([("msg", msg)])));
    }
    let place = match (&mounted, kind.mounted) {
        (Some(place), true) => place.as_str(),
        (None, true) => {
            return Err(Failure::new(format!("{dev} needs to be mounted for {name} operations")));
        }
        (_, false) => dev,
    };
    let script = format!("{TOOLS}xp_tool {} {}\n{TELL_OUT}", kind.grow, q(place));
    let side = |size: u64| Map::from_iter([("size", size)]);
    let msg = format!("resizing filesystem {name} on device {dev}");
    let run = Run { script, long: true, ..Run::default() };
    Ok(Prediction::change(Map::from_iter([("msg", msg)]), vec![Action::Run(run)])
        .touch(Touch::Tree { path: dev.to_string() })
        .diff(attr_diff(dev, side(size), side(device))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::hex;
    use crate::modules::testing::{Case, args, scripts};

    fn planned(given: &[(&str, &str)], seen: &str) -> Result<String, String> {
        let mut given = given.to_vec();
        given.push(("dev", "/dev/sdx"));
        let prediction = Case::new(&Filesystem, args(&given)).plan(seen).map_err(|f| f.msg)?;
        let script = scripts(&prediction).concat();
        let lines = script.lines().filter(|line| line.starts_with("xp_tool "));
        Ok(lines.collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn makes_and_wipes() {
        let check = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(planned(given, seen).as_deref(), Ok(expect), "{given:?}");
        };
        let ext4 = ("fstype", "ext4");
        check(&[ext4], "type \n", "xp_tool mkfs.ext4 -F '/dev/sdx'");
        check(&[ext4], "type ext4\n", "");
        check(
            &[ext4, ("force", "yes"), ("opts", "-L data")],
            "type xfs\n",
            "xp_tool mkfs.ext4 -F '-L' 'data' '/dev/sdx'",
        );
        check(&[ext4, ("uuid", "random")], "type ext4\n", "xp_tool tune2fs -U 'random' '/dev/sdx'");
        check(
            &[("fstype", "xfs"), ("uuid", "generate")],
            "type \n",
            "xp_tool mkfs.xfs -f '/dev/sdx'; xp_tool xfs_admin -U 'generate' '/dev/sdx'",
        );
        check(&[("fstype", "lvm")], "type LVM2_member\n", "");
        check(&[("state", "absent")], "type ext4\n", "xp_tool wipefs --all '/dev/sdx'");
        check(&[("state", "absent")], "type \n", "");
        check(&[("state", "absent")], "absent yes\n", "");
    }

    #[test]
    fn grows() {
        let seen = |size: u64, info: &str, mounted: &str| {
            format!("type x\nsize {size}\nmounted ={mounted}\ninfo %{}\n", hex(info.as_bytes()))
        };
        let check =
            |kind: &str, found: &str, size: u64, info: &str, mounted: &str, expect: Result<&str, &str>| {
                let seen = seen(size, info, mounted).replace("type x", &format!("type {found}"));
                let got = planned(&[("fstype", kind), ("resizefs", "yes")], &seen);
                assert_eq!(got.as_deref().map_err(String::as_str), expect, "{kind}");
            };
        let ext = "Block count:              1024\nBlock size:               4096\n";
        check("ext4", "ext4", 8 << 20, ext, "", Ok("xp_tool resize2fs '/dev/sdx'"));
        check("ext4", "ext4", 4 << 20, ext, "", Ok(""));
        let xfs = "meta-data=/dev/sdx isize=512 agcount=4\ndata     =                       bsize=4096   blocks=1024, imaxpct=25\n";
        check("xfs", "xfs", 8 << 20, xfs, "/data", Ok("xp_tool xfs_growfs '/data'"));
        check("xfs", "xfs", 8 << 20, xfs, "", Err("/dev/sdx needs to be mounted for xfs operations"));
        check("lvm", "LVM2_member", 8 << 20, "  4194304\n", "", Ok("xp_tool pvresize '/dev/sdx'"));
        check("swap", "swap", 1, "", "", Err("module does not support resizing swap filesystem yet."));
        assert_eq!(bcachefs_size("x\nSize:  1.5 GiB\n"), Some(3 << 29));
    }

    #[test]
    fn refuses() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(planned(given, seen).unwrap_err(), expect, "{given:?}");
        };
        let ext4 = ("fstype", "ext4");
        fails(&[ext4], "type xfs\n", "'/dev/sdx' is already used as xfs, use force=true to overwrite");
        fails(&[ext4], "absent yes\n", "Device /dev/sdx not found.");
        fails(&[], "type \n", "state is present but all of the following are missing: fstype");
        fails(
            &[ext4],
            "missing mkfs.ext4\n",
            "Failed to find required executable \"mkfs.ext4\" on the target",
        );
    }
}
