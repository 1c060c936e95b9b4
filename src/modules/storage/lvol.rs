//! `lvol`: logical volumes of LVM, their snapshots, and thin ones with their pools.

use super::lvm::{Size, SizeKind, rows};
use super::{TOOLS, check_tools, need};
use crate::modules::sh::{Report, q};
use crate::modules::tool::missing;
use crate::modules::write::named_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Run, Seen,
    Touch, words,
};
use crate::transport::Output;
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "lvol",
    namespaces: &["community.general"],
    about: "Makes, resizes and removes logical volumes.",
    args: &[
        ArgSpec::new("vg", ArgKind::Str, "The volume group.").required(),
        ArgSpec::new("lv", ArgKind::Str, "The volume."),
        ArgSpec::new(
            "size",
            ArgKind::Str,
            "Its size, in megabytes, with a unit, or as a part such as 80%FREE.",
        ),
        ArgSpec::new("state", ArgKind::Str, "Whether it is to be there.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("active", ArgKind::Bool, "Whether it can be used.").default("yes"),
        ArgSpec::new("force", ArgKind::Bool, "Shrink and remove.").default("no"),
        ArgSpec::new("opts", ArgKind::Str, "More options of lvcreate."),
        ArgSpec::new("snapshot", ArgKind::Str, "The snapshot of the volume that is meant."),
        ArgSpec::new("pvs", ArgKind::StrList, "The devices that it is to lie on."),
        ArgSpec::new(
            "thinpool",
            ArgKind::Str,
            "The pool that a thin volume is made in; alone the pool is meant.",
        ),
        ArgSpec::new("shrink", ArgKind::Bool, "Shrink it where it is bigger.").default("yes"),
        ArgSpec::new("resizefs", ArgKind::Bool, "Resize its file system too.").default("no"),
    ],
    rules: &[Rule::OneOf(&["lv", "thinpool"])],
    returns: &[
        ("vg", "the volume group"),
        ("lv", "the volume"),
        ("size", "its size before, in the unit that was asked for"),
        ("msg", "what was done"),
    ],
    own_check: Some(check_size),
    ..ModuleSpec::BASE
};

pub struct Lvol;

/// A volume as lvs tells it; sizes are in bytes.
#[derive(Debug)]
struct Volume {
    name: String,
    size: i128,
    active: bool,
    pool: bool,
    thin: bool,
}

/// The group: size, room and size of an extent.
struct Group {
    size: i128,
    free: i128,
    extent: i128,
    volumes: Vec<Volume>,
}

fn check_size(given: &Map) -> Result<(), Failure> {
    use crate::value::Value;
    match given.get("size").filter(|v| matches!(v, Value::Str(_))) {
        Some(size) if !size.to_text().is_empty() => {
            let snapshot = given.get("snapshot").is_some_and(|v| !matches!(v, Value::Null | Value::Omit));
            Size::parse(&size.to_text(), snapshot).map(|_| ())
        }
        _ => Ok(()),
    }
}

impl Module for Lvol {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let vg = q(call.args.str("vg").unwrap_or_default());
        size(&call.args)?;
        options(&call.args)?;
        Ok(Some(format!(
            "{TOOLS}{}xp_o=$(vgs --noheadings --nosuffix --units b --separator ';' -o vg_name,size,free,vg_extent_size {vg} 2>&1) || \
             {{ xp_tell none \"$xp_o\"; exit 0; }}\nxp_tell group \"$xp_o\"\n\
             xp_o=$(lvs -a --noheadings --nosuffix --units b --separator ';' -o lv_name,size,lv_attr {vg} 2>&1) || xp_fail \"$xp_o\"\n\
             xp_tell volumes \"$xp_o\"\n",
            need("vgs")
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let get = |name: &str| args.str(name).filter(|text| !text.is_empty());
        let vg = get("vg").unwrap_or_default();
        let (lv, pool, snapshot) = (get("lv"), get("thinpool"), get("snapshot"));
        let name = snapshot.or(lv).or(pool).unwrap_or_default();
        let short = name.rsplit('/').next().unwrap_or(name);
        let path = format!("/dev/{vg}/{short}");
        let size = size(args)?;
        let of_free = size.as_ref().is_some_and(|s| s.kind == SizeKind::Percent("FREE".into()));
        call.needs_untouched(&if of_free { format!("/dev/{vg}") } else { path.clone() })?;
        let report = Report::of(seen)?;
        check_tools(call, &report)?;
        let absent = get("state") == Some("absent");
        if report.get("none").is_some() {
            let msg = format!("Volume group {vg} does not exist.");
            if absent {
                return Ok(Prediction::same(Map::from_iter([("stdout", msg)])));
            }
            return Err(missing(call, msg));
        }
        let group = Group::of(&report)?;
        let find = |name: &str| group.volumes.iter().find(|v| v.name == name);
        if snapshot.is_some() {
            match lv.or(pool).and_then(find) {
                Some(origin) if origin.pool || pool.is_some() => {
                    return Err(Failure::new("Snapshots of thin pool LVs are not supported."));
                }
                Some(_) => {}
                None => {
                    let lv = lv.or(pool).unwrap_or_default();
                    return Err(missing(
                        call,
                        format!("Snapshot origin LV {lv} does not exist in volume group {vg}."),
                    ));
                }
            }
        } else if let (Some(pool), Some(_)) = (pool, lv)
            && find(pool).is_none()
        {
            return Err(missing(call, format!("Thin pool LV {pool} does not exist in volume group {vg}.")));
        }
        let Some(volume) = find(name).or_else(|| find(short)) else {
            if absent {
                return Ok(Prediction::same(Map::from_iter([("msg", "")])));
            }
            let line = create(args, &group, size.as_ref())?;
            let after = size.as_ref().map(|s| s.text.clone()).unwrap_or_default();
            let result = Map::from_iter([("msg", "")]);
            let side = Map::from_iter([("size", after), ("active", "True".into())]);
            return Ok(Prediction::change(result, vec![run(format!("{YES}xp_tool {line}\n"))])
                .touch(Touch::Tree { path: path.clone() })
                .diff(named_diff(&path, None, Some(side))));
        };
        let target = q(&format!("{vg}/{}", volume.name));
        let before = Map::from_iter([("size", volume.size.to_string()), ("active", python(volume.active))]);
        if absent {
            if !args.flag("force") {
                return Err(Failure::new(format!(
                    "Sorry, no removal of logical volume {} without force=true.",
                    volume.name
                )));
            }
            let mut prediction =
                Prediction::change(Map::new(), vec![run(format!("xp_tool lvremove --force {target}\n"))]);
            prediction.consequences.push(format!("{path} is removed with all that is on it"));
            return Ok(prediction.touch(Touch::Tree { path: path.clone() }).diff(named_diff(
                &path,
                Some(before),
                None,
            )));
        }
        let mut script = String::new();
        let mut after = before.clone();
        let mut result = Map::from_iter([("vg", vg), ("lv", &volume.name)]);
        if let Some(size) = &size {
            result.insert("size", in_unit(volume.size, size.unit()));
            let origin = lv.filter(|_| snapshot.is_some()).and_then(find);
            if let Some((tool, bytes)) = resize(args, &group, volume, origin, size)? {
                let force = if tool == "lvreduce" { " --force" } else { "" };
                let filesystem = if args.flag("resizefs") { " --resizefs" } else { "" };
                let devices: String = args.texts("pvs").iter().map(|pv| format!(" {}", q(pv))).collect();
                add!(
                    script,
                    "xp_o=$({tool}{force}{filesystem}{} {target}{devices} 2>&1 </dev/null) || case $xp_o in \
                     *'matches existing size'* | *'not larger than existing size'*) printf 'same yes\\n' ;; \
                     *) printf '%s\\n' \"$xp_o\" >&2; exit 5 ;; esac\n\
                     case $xp_o in *'Reached maximum COW size'*) printf '%s\\n' \"$xp_o\" >&2; exit 5 ;; esac\n",
                    size.option()
                );
                after.insert("size", bytes.to_string());
            }
        } else {
            result.insert("size", in_unit(volume.size, 'm'));
        }
        let active = args.flag("active");
        if volume.active != active {
            add!(
                script,
                "xp_tool lvchange -a{} {target}\nprintf 'active yes\\n'\n",
                if active { "y" } else { "n" }
            );
            after.insert("active", python(active));
        }
        if script.is_empty() {
            return Ok(Prediction::same(result));
        }
        Ok(Prediction::change(result, vec![run(script)])
            .touch(Touch::Tree { path: path.clone() })
            .diff(named_diff(&path, Some(before), Some(after))))
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let mut outcome = prediction.into_outcome();
        for output in ran {
            if output.rc != 0 {
                let get = |name: &str| call.args.str(name).unwrap_or_default();
                let failure = Failure::from_output(output);
                let said = failure.msg.clone();
                let what = match (outcome.result.contains("lv"), get("state")) {
                    (_, "absent") => format!("Failed to remove logical volume {}", get("lv")),
                    (true, _) => format!("Unable to resize {} to {}", get("lv"), get("size")),
                    (false, _) => format!("Creating logical volume '{}' failed", get("lv")),
                };
                return Err(Failure { msg: format!("{what}: {said}"), ..failure }.with("err", said));
            }
            let report = Report::parse(&output.stdout);
            if report.get("same").is_some() && report.get("active").is_none() {
                outcome.changed = false;
                outcome.diff.clear();
            }
        }
        Ok(outcome)
    }
}

/// Sets `xp_yes` to the option of newer tools that keeps them from asking.
const YES: &str = "xp_yes=; if lvcreate --help 2>&1 | grep -q -e --yes; then xp_yes=--yes; fi\n";

fn run(script: String) -> Action {
    Action::Run(Run { script: format!("{TOOLS}{script}"), long: true, ..Run::default() })
}

fn python(flag: bool) -> String {
    if flag { "True" } else { "False" }.to_string()
}

fn size(args: &Args) -> Result<Option<Size>, Failure> {
    let text = args.str("size").filter(|text| !text.is_empty());
    text.map(|text| Size::parse(text, args.has("snapshot"))).transpose()
}

fn options(args: &Args) -> Result<String, Failure> {
    let list =
        words::split(args.str("opts").unwrap_or_default()).map_err(|e| Failure::new(format!("opts: {e}")))?;
    Ok(list.iter().map(|word| format!(" {}", q(word))).collect())
}

fn factor(unit: char) -> i128 {
    match unit.to_ascii_lowercase() {
        's' => 512,
        'b' => 1,
        unit => 1024i128.pow("bkmgtpe".find(unit).unwrap_or(2) as u32),
    }
}

/// Returns a size in a unit, as the tools print it.
fn in_unit(bytes: i128, unit: char) -> f64 {
    (bytes as f64 / factor(unit) as f64 * 100.0).round() / 100.0
}

impl Group {
    fn of(report: &Report) -> Result<Group, Failure> {
        let text = |tag: &str| report.word(tag).unwrap_or_default();
        let wrong = |what: &str| Failure::new(format!("LVM told something else: {}", what.trim()));
        let number = |field: Option<&String>| -> Option<i128> {
            field?.split('.').next()?.trim_end_matches(['B', 'b']).parse().ok()
        };
        let told = text("group");
        let row = rows(&told).pop().ok_or_else(|| wrong(&told))?;
        let at = |i: usize| number(row.get(i)).ok_or_else(|| wrong(&told));
        let mut group = Group { size: at(1)?, free: at(2)?, extent: at(3)?.max(1), volumes: Vec::new() };
        let told = text("volumes");
        for row in rows(&told) {
            let attributes = row.get(2).map(String::as_bytes).unwrap_or_default();
            group.volumes.push(Volume {
                name: row[0].replace(['[', ']'], ""),
                size: number(row.get(1)).ok_or_else(|| wrong(&told))?,
                active: attributes.get(4) == Some(&b'a'),
                pool: attributes.first() == Some(&b't'),
                thin: attributes.first() == Some(&b'V'),
            });
        }
        Ok(group)
    }
}

/// Returns the command that makes a volume.
fn create(args: &Args, group: &Group, size: Option<&Size>) -> Result<String, Failure> {
    let get = |name: &str| args.str(name).filter(|text| !text.is_empty());
    let (lv, pool, snapshot) = (get("lv"), get("thinpool"), get("snapshot"));
    let vg = get("vg").unwrap_or_default();
    let opts = options(args)?;
    let mut option = String::new();
    match size {
        Some(size) if size.operator == Some('-') || size.operator.is_some() && !is_percent(size) => {
            let operator = size.operator.unwrap_or_default();
            return Err(Failure::new(format!(
                "Bad size specification of '{operator}{}' for creating LV",
                size.text
            )));
        }
        Some(size) => option = Size { operator: None, ..size.clone() }.option(),
        None => {
            let thin = lv.is_some_and(|lv| group.volumes.iter().any(|v| v.name == lv && v.thin));
            if !(snapshot.is_some() && thin) {
                return Err(Failure::new("No size given."));
            }
        }
    }
    let devices: String = args.texts("pvs").iter().map(|pv| format!(" {}", q(pv))).collect();
    let begin = "lvcreate $xp_yes";
    let in_group = |name: &str| q(&format!("{vg}/{name}"));
    Ok(match (snapshot, pool, lv) {
        (Some(snapshot), _, _) => {
            format!("{begin}{option} -s -n {}{opts} {}", q(snapshot), in_group(lv.unwrap_or_default()))
        }
        (None, Some(pool), Some(lv)) => {
            if size.is_some_and(is_percent) {
                return Err(Failure::new("Thin volume sizing with percentage not supported."));
            }
            let option = option.replacen("-L", "-V", 1);
            format!("{begin} -n {}{option}{opts} -T {}", q(lv), in_group(pool))
        }
        (None, Some(pool), None) => format!("{begin}{option}{opts} -T {}{devices}", in_group(pool)),
        (None, None, lv) => {
            format!("{begin} -n {}{option}{opts} {}{devices}", q(lv.unwrap_or_default()), q(vg))
        }
    })
}

fn is_percent(size: &Size) -> bool {
    matches!(size.kind, SizeKind::Percent(_))
}

/// Returns the tool that gives a volume its size, and how many bytes it has then; nothing when it has it.
fn resize(
    args: &Args,
    group: &Group,
    volume: &Volume,
    origin: Option<&Volume>,
    size: &Size,
) -> Result<Option<(&'static str, i128)>, Failure> {
    let name = &volume.name;
    let extent = group.extent;
    let no_zero = || Failure::new(format!("Sorry, no shrinking of {name} to 0 permitted."));
    let SizeKind::Unit(unit) = size.kind else {
        let whole = match &size.kind {
            SizeKind::Percent(whole) if whole == "FREE" => group.free,
            SizeKind::Percent(whole) if whole == "ORIGIN" => origin.map_or(0, |o| o.size),
            _ => group.size,
        };
        let part = size.value as i128 * whole / 100;
        let wanted = match size.operator {
            Some('+') => volume.size + part,
            Some(_) => volume.size - part,
            None => part,
        };
        let wanted = wanted - wanted.rem_euclid(extent);
        if volume.size < wanted {
            let more = wanted - volume.size;
            if group.free < more {
                return Err(Failure::new(format!(
                    "Logical Volume {name} could not be extended. Not enough free space left ({}m required / {}m available)",
                    in_unit(more, 'm'),
                    in_unit(group.free, 'm')
                )));
            }
            return Ok(Some(("lvextend", wanted)));
        }
        if args.flag("shrink") && volume.size > wanted + extent {
            if wanted < 1 {
                return Err(no_zero());
            }
            if !args.flag("force") {
                return Err(Failure::new(format!("Sorry, no shrinking of {name} without force=true")));
            }
            return Ok(Some(("lvreduce", wanted)));
        }
        return Ok(None);
    };
    let bytes = (size.value * factor(unit) as f64).round() as i128;
    // The tools round up to whole extents, and down what is taken away.
    let up = (bytes + extent - 1) / extent * extent;
    let wanted = match size.operator {
        Some('+') => volume.size + up,
        Some(_) => volume.size - bytes / extent * extent,
        None => up,
    };
    if wanted > volume.size {
        return Ok(Some(("lvextend", wanted)));
    }
    if wanted < volume.size && (args.flag("shrink") || size.operator == Some('-')) {
        if bytes == 0 || wanted <= 0 {
            return Err(no_zero());
        }
        if !args.flag("force") {
            return Err(Failure::new(format!("Sorry, no shrinking of {name} without force=true.")));
        }
        return Ok(Some(("lvreduce", wanted)));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::hex;
    use crate::modules::testing::{Case, args, scripts};

    const MB: i128 = 1 << 20;

    /// A group of 1000 MB with extents of 4 MB, of which a volume of 400 MB takes its part.
    fn seen() -> String {
        let group = format!("  data;{};{};{}\n", 1000 * MB, 600 * MB, 4 * MB);
        let volumes = format!(
            "  web;{};-wi-ao----\n  off;{};-wi-------\n  pool;{};twi-a-----\n  thin;{};Vwi-a-----\n",
            400 * MB,
            8 * MB,
            40 * MB,
            80 * MB
        );
        format!("group %{}\nvolumes %{}\n", hex(group.as_bytes()), hex(volumes.as_bytes()))
    }

    fn planned(given: &[(&str, &str)], seen: &str) -> Result<String, String> {
        let mut given = given.to_vec();
        given.push(("vg", "data"));
        let prediction = Case::new(&Lvol, args(&given)).plan(seen).map_err(|f| f.msg)?;
        let script = scripts(&prediction).concat();
        let tool = |line: &str| {
            let line = line.strip_prefix("xp_tool ").or(line.strip_prefix("xp_o=$("))?;
            Some(line.split(" 2>&1").next().unwrap_or_default().to_string())
        };
        Ok(script.lines().filter_map(tool).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn volumes_come_and_go() {
        let check = |given: &[(&str, &str)], expect: &str| {
            assert_eq!(planned(given, &seen()).as_deref(), Ok(expect), "{given:?}");
        };
        let web = ("lv", "web");
        check(&[("lv", "new"), ("size", "512")], "lvcreate $xp_yes -n 'new' -L '512m' 'data'");
        check(
            &[("lv", "new"), ("size", "100%FREE"), ("opts", "-r 16"), ("pvs", "/dev/sda,/dev/sdb")],
            "lvcreate $xp_yes -n 'new' -l '100%FREE' '-r' '16' 'data' '/dev/sda' '/dev/sdb'",
        );
        check(
            &[web, ("snapshot", "snap"), ("size", "50%ORIGIN")],
            "lvcreate $xp_yes -l '50%ORIGIN' -s -n 'snap' 'data/web'",
        );
        check(&[("lv", "thin"), ("snapshot", "s")], "lvcreate $xp_yes -s -n 's' 'data/thin'");
        check(&[("thinpool", "p"), ("size", "1g")], "lvcreate $xp_yes -L '1g' -T 'data/p'");
        check(
            &[("thinpool", "pool"), ("lv", "t"), ("size", "1g")],
            "lvcreate $xp_yes -n 't' -V '1g' -T 'data/pool'",
        );
        check(&[web, ("state", "absent"), ("force", "yes")], "lvremove --force 'data/web'");
        check(&[("lv", "none"), ("state", "absent")], "");
        check(&[("lv", "off")], "lvchange -ay 'data/off'");
        check(&[("lv", "off"), ("active", "no")], "");
    }

    #[test]
    fn sizes_change_by_whole_extents() {
        let check = |size: &str, more: &[(&str, &str)], expect: &str| {
            let mut given = vec![("lv", "web"), ("size", size)];
            given.extend(more);
            assert_eq!(planned(&given, &seen()).as_deref(), Ok(expect), "{size}");
        };
        let force = &[("force", "yes")];
        check("400", &[], "");
        check("399", &[], "");
        check("401", &[], "lvextend -L '401m' 'data/web'");
        check("+100", &[("resizefs", "yes")], "lvextend --resizefs -L '+100m' 'data/web'");
        check("200", force, "lvreduce --force -L '200m' 'data/web'");
        check("200", &[("shrink", "no")], "");
        check("40%VG", &[], "");
        check("50%VG", &[], "lvextend -l '50%VG' 'data/web'");
        check("+50%FREE", &[], "lvextend -l '+50%FREE' 'data/web'");
        check("10%VG", force, "lvreduce --force -l '10%VG' 'data/web'");
    }

    #[test]
    fn refuses() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(planned(given, seen).unwrap_err(), expect, "{given:?}");
        };
        let seen = seen();
        let web = ("lv", "web");
        fails(&[web, ("size", "200")], &seen, "Sorry, no shrinking of web without force=true.");
        fails(&[web, ("size", "0"), ("force", "yes")], &seen, "Sorry, no shrinking of web to 0 permitted.");
        fails(
            &[web, ("state", "absent")],
            &seen,
            "Sorry, no removal of logical volume web without force=true.",
        );
        fails(&[("lv", "new")], &seen, "No size given.");
        fails(&[("lv", "new"), ("size", "-5")], &seen, "Bad size specification of '-5m' for creating LV");
        fails(&[("size", "5")], &seen, "one of the following is required: lv, thinpool");
        fails(&[web, ("size", "90")], "none =x\n", "Volume group data does not exist.");
        fails(
            &[web, ("size", "+90%VG")],
            &seen,
            "Logical Volume web could not be extended. Not enough free space left (900m required / 600m available)",
        );
        fails(
            &[("lv", "no"), ("snapshot", "s"), ("size", "1")],
            &seen,
            "Snapshot origin LV no does not exist in volume group data.",
        );
        fails(
            &[("lv", "t"), ("thinpool", "no"), ("size", "1")],
            &seen,
            "Thin pool LV no does not exist in volume group data.",
        );
    }
}
