//! `lvg`: volume groups of LVM.

use super::lvm::rows;
use super::{TOOLS, check_tools, need};
use crate::modules::sh::{Report, q};
use crate::modules::tool::missing;
use crate::modules::write::named_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Prediction, Rule, Seen, Touch, words,
};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "lvg",
    namespaces: &["community.general"],
    about: "Makes, changes and removes volume groups.",
    args: &[
        ArgSpec::new("vg", ArgKind::Str, "The volume group.").required(),
        ArgSpec::new("pvs", ArgKind::StrList, "The devices that it is made of."),
        ArgSpec::new(
            "pesize",
            ArgKind::Str,
            "The size of an extent, in megabytes or with a unit; not changed afterwards.",
        )
        .default("4"),
        ArgSpec::new("pv_options", ArgKind::Str, "More options of pvcreate.").default(""),
        ArgSpec::new("pvresize", ArgKind::Bool, "Grow its devices' share to their size.").default("no"),
        ArgSpec::new("vg_options", ArgKind::Str, "More options of vgcreate.").default(""),
        ArgSpec::new("state", ArgKind::Str, "Whether it is to be there, and its volumes to be active.")
            .default("present")
            .choices(&["absent", "present", "active", "inactive"]),
        ArgSpec::new("force", ArgKind::Bool, "Remove it with the volumes that are in it.").default("no"),
        ArgSpec::new("reset_vg_uuid", ArgKind::Bool, "Give it a new identifier, in every run.").default("no"),
        ArgSpec::new("reset_pv_uuid", ArgKind::Bool, "Give its devices new identifiers, in every run.")
            .default("no"),
        ArgSpec::new("remove_extra_pvs", ArgKind::Bool, "Take devices out of it that are not named.")
            .default("yes"),
    ],
    rules: &[Rule::If { arg: "reset_pv_uuid", value: "True", needs: &["pvs"] }],
    ..ModuleSpec::BASE
};

pub struct Lvg;

/// What the tools told.
struct Known {
    /// The number of volumes in the group; nothing when it does not exist.
    volumes: Option<u32>,
    /// Devices of LVM with their groups.
    devices: Vec<(String, String)>,
    /// Volumes of the group: whether each is active.
    active: Vec<bool>,
    /// Whether the group's volumes become active by themselves; nothing where the tools do not know that.
    automatic: Option<bool>,
    /// Devices that have more room than they use: those that would grow.
    growing: Vec<String>,
    /// The devices of the task with links followed; those that do not exist are empty.
    wanted: Vec<String>,
}

const AUTOMATIC: &str = "--setautoactivation";

impl Module for Lvg {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let vg = q(args.str("vg").unwrap_or_default());
        let mut script = format!("{TOOLS}{}", need("vgs"));
        for arg in ["pv_options", "vg_options"] {
            split(args, arg)?;
        }
        add!(
            script,
            "xp_o=$(vgs --noheadings --separator ';' -o vg_name,pv_count,lv_count 2>&1) || xp_fail \"$xp_o\"\nxp_tell groups \"$xp_o\"\n\
             xp_o=$(pvs --noheadings --separator ';' --nosuffix --units b -o pv_name,vg_name,dev_size,pv_size,pe_start,vg_extent_size 2>&1) || xp_fail \"$xp_o\"\n\
             xp_tell devices \"$(printf '%s\\n' \"$xp_o\" | while read -r xp_l; do case $xp_l in /dev/dm-*) \
             xp_n=$(dmsetup info -C --noheadings -o name \"${{xp_l%%;*}}\" 2>/dev/null) && xp_l=\"/dev/mapper/$xp_n;${{xp_l#*;}}\" ;; esac; \
             xp_r=$(readlink -f \"${{xp_l%%;*}}\") || xp_r=${{xp_l%%;*}}; printf '%s;%s\\n' \"$xp_l\" \"$xp_r\"; done)\"\n"
        );
        if matches!(args.str("state"), Some("active" | "inactive")) {
            add!(
                script,
                "xp_f=lv_attr; if vgchange --help 2>&1 | grep -q -e {AUTOMATIC}; then xp_f=lv_attr,autoactivation; fi\n\
                 xp_tell active \"$(vgs --noheadings --separator ';' -o \"$xp_f\" {vg} 2>/dev/null)\"\nprintf 'fields %s\\n' \"$xp_f\"\n"
            );
        }
        for device in args.texts("pvs") {
            add!(
                script,
                "if [ -e {0} ]; then xp_tell wanted \"$(readlink -f {0})\"; else printf 'wanted =\\n'; fi\n",
                q(&device)
            );
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let vg = args.str("vg").unwrap_or_default();
        let given = args.texts("pvs");
        call.needs_untouched(&format!("/dev/{vg}"))?;
        for device in &given {
            call.needs_untouched(device)?;
        }
        let report = Report::of(seen)?;
        check_tools(call, &report)?;
        let known = Known::of(&report, vg)?;
        let absent = args.str("state") == Some("absent");
        let own: Vec<&str> = known.of_group(vg);
        let mut work = Work::default();
        if absent {
            match known.volumes {
                None => {}
                Some(0) => work.line(format!("vgremove --force {}", q(vg))),
                Some(_) if args.flag("force") => work.line(format!("vgremove --force {}", q(vg))),
                Some(_) => {
                    return Err(Failure::new(format!(
                        "Refuse to remove non-empty volume group {vg} without force=true"
                    )));
                }
            }
            return Ok(work.prediction(vg, &own, None));
        }
        if known.volumes.is_none() && given.is_empty() {
            return Err(Failure::new("No physical volumes given."));
        }
        for (device, real) in given.iter().zip(&known.wanted) {
            if real.is_empty() {
                return Err(missing(call, format!("Device {device} not found.")));
            }
            if let Some((_, other)) =
                known.devices.iter().find(|(name, group)| name == real && !group.is_empty() && group != vg)
            {
                return Err(Failure::new(format!("Device {real} is already in {other} volume group.")));
            }
        }
        let pvcreate = |device: &str| -> Result<String, Failure> {
            Ok(format!("pvcreate{} -f {}", quoted(&split(args, "pv_options")?), q(device)))
        };
        let mut after: Vec<&str> = own.clone();
        if known.volumes.is_none() {
            for device in &known.wanted {
                work.line(pvcreate(device)?);
            }
            let options = split(args, "vg_options")?;
            let devices: Vec<String> = known.wanted.iter().map(|device| q(device)).collect();
            work.create(args, &options, vg, &devices.join(" "));
            after = known.wanted.iter().map(String::as_str).collect();
            return Ok(work.prediction(vg, &own, Some(&after)));
        }
        work.activate(args, &known, vg);
        if args.flag("reset_vg_uuid") {
            work.line(format!("vgchange -u {}", q(vg)));
        }
        if given.is_empty() {
            return Ok(work.prediction(vg, &own, Some(&after)));
        }
        for device in &own {
            if args.flag("pvresize") && known.growing.iter().any(|grows| grows == device) {
                work.line(format!("pvresize {}", q(device)));
            }
            if args.flag("reset_pv_uuid") {
                work.line(format!("pvchange -u {}", q(device)));
            }
        }
        let adding: Vec<&str> =
            known.wanted.iter().map(String::as_str).filter(|device| !own.contains(device)).collect();
        let leaving: Vec<&str> = own
            .iter()
            .copied()
            .filter(|device| args.flag("remove_extra_pvs") && !known.wanted.iter().any(|w| w == device))
            .collect();
        let list = |devices: &[&str]| devices.iter().map(|d| q(d)).collect::<Vec<_>>().join(" ");
        if !adding.is_empty() {
            for device in &adding {
                work.line(pvcreate(device)?);
            }
            work.line(format!("vgextend {} {}", q(vg), list(&adding)));
        }
        if !leaving.is_empty() {
            work.line(format!("vgreduce --force {} {}", q(vg), list(&leaving)));
        }
        after.retain(|device| !leaving.contains(device));
        after.extend(adding);
        Ok(work.prediction(vg, &own, Some(&after)))
    }
}

fn split(args: &Args, name: &str) -> Result<Vec<String>, Failure> {
    words::split(args.str(name).unwrap_or_default()).map_err(|e| Failure::new(format!("{name}: {e}")))
}

fn quoted(list: &[String]) -> String {
    list.iter().map(|word| format!(" {}", q(word))).collect()
}

impl Known {
    fn of(report: &Report, vg: &str) -> Result<Known, Failure> {
        let text = |tag: &str| report.word(tag).unwrap_or_default();
        let groups = rows(&text("groups"));
        let volumes =
            groups.iter().find(|row| row[0] == vg).map(|row| row.get(2).and_then(|n| n.parse().ok()));
        let mut known = Known {
            volumes: volumes.map(|count| count.unwrap_or(0)),
            devices: Vec::new(),
            active: Vec::new(),
            automatic: None,
            growing: Vec::new(),
            wanted: report.all("wanted").filter_map(crate::modules::sh::word).collect(),
        };
        for row in rows(&text("devices")) {
            let [_, group, device, used, start, extent, real] = &row[..] else {
                return Err(Failure::new(format!("pvs told something else: {}", row.join(";"))));
            };
            let number = |text: &str| text.trim_end_matches(['B', 'b']).parse::<i128>().unwrap_or(0);
            if number(device) - (number(start) + number(used)) > number(extent) && number(extent) > 0 {
                known.growing.push(real.clone());
            }
            known.devices.push((real.clone(), group.clone()));
        }
        let fields = report.get("fields").unwrap_or_default();
        for row in rows(&text("active")) {
            known.active.push(row[0].chars().nth(4) == Some('a'));
            if fields.contains("autoactivation") {
                let on = row.get(1).is_some_and(|word| word == "enabled");
                known.automatic = Some(on || known.automatic == Some(true));
            }
        }
        Ok(known)
    }

    fn of_group(&self, vg: &str) -> Vec<&str> {
        self.devices.iter().filter(|(_, group)| group == vg).map(|(device, _)| device.as_str()).collect()
    }
}

#[derive(Default)]
struct Work {
    script: String,
    /// What is told besides the devices: whether volumes are active.
    before: Map,
    after: Map,
}

impl Work {
    fn line(&mut self, command: String) {
        add!(self.script, "xp_tool {command}\n");
    }

    fn create(&mut self, args: &Args, options: &[String], vg: &str, devices: &str) {
        let mut automatic = "";
        if matches!(args.str("state"), Some("active" | "inactive"))
            && !options.iter().any(|option| option.starts_with(AUTOMATIC))
        {
            let word = if args.str("state") == Some("active") { "y" } else { "n" };
            add!(
                self.script,
                "xp_v=; if vgcreate --help 2>&1 | grep -q -e {AUTOMATIC}; then xp_v='{AUTOMATIC} {word}'; fi\n"
            );
            automatic = " $xp_v";
        }
        let size = q(args.str("pesize").unwrap_or("4"));
        self.line(format!("vgcreate{} -s {size}{automatic} {} {devices}", quoted(options), q(vg)));
    }

    /// Has the volumes of the group become active or inactive.
    fn activate(&mut self, args: &Args, known: &Known, vg: &str) {
        let active = match args.str("state") {
            Some("active") => true,
            Some("inactive") => false,
            _ => return,
        };
        let word = if active { "y" } else { "n" };
        if known.automatic.is_some_and(|on| on != active) {
            self.line(format!("vgchange {AUTOMATIC} {word} {}", q(vg)));
            self.before.insert("autoactivation", !active);
            self.after.insert("autoactivation", active);
        }
        if known.active.iter().any(|on| *on != active) {
            self.line(format!("vgchange --activate {word} {}", q(vg)));
            self.before.insert("active", known.active.iter().filter(|on| **on).count());
            self.after.insert("active", if active { known.active.len() } else { 0 });
        }
    }

    fn prediction(self, vg: &str, before: &[&str], after: Option<&[&str]>) -> Prediction {
        if self.script.is_empty() {
            return Prediction::same(Map::new());
        }
        let side = |devices: &[&str], more: Map| {
            let mut devices: Vec<String> = devices.iter().map(ToString::to_string).collect();
            devices.sort();
            let mut map = Map::from_iter([("pvs", Value::from(devices))]);
            map.extend(more);
            map
        };
        let told_before = (!before.is_empty()).then(|| side(before, self.before));
        let mut prediction =
            Prediction::change(Map::new(), vec![Action::run(format!("{TOOLS}{}", self.script))])
                .touch(Touch::Tree { path: format!("/dev/{vg}") });
        for device in before.iter().chain(after.unwrap_or_default()) {
            prediction = prediction.touch(Touch::Tree { path: (*device).to_string() });
        }
        prediction.diff(named_diff(
            &format!("volume group {vg}"),
            told_before,
            after.map(|devices| side(devices, self.after)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::hex;
    use crate::modules::testing::{Case, args, scripts};

    /// What the probe tells of a group of one device, and of a device of another.
    fn seen(wanted: &[&str], more: &str) -> String {
        let groups = "  data;1;2\n  other;1;0\n";
        let devices = "/dev/sda;data;1073741824;1069547520;1048576;4194304;/dev/sda\n\
                       /dev/sdz;other;2147483648;1069547520;1048576;4194304;/dev/sdz\n";
        let wanted: String = wanted.iter().map(|device| format!("wanted ={device}\n")).collect();
        format!("groups %{}\ndevices %{}\n{wanted}{more}", hex(groups.as_bytes()), hex(devices.as_bytes()))
    }

    fn planned(given: &[(&str, &str)], seen: &str) -> Result<Vec<String>, String> {
        let prediction = Case::new(&Lvg, args(given)).plan(seen).map_err(|f| f.msg)?;
        let script = scripts(&prediction).concat();
        Ok(script.lines().filter_map(|line| line.strip_prefix("xp_tool ")).map(str::to_string).collect())
    }

    #[test]
    fn groups_come_and_go() {
        let check = |given: &[(&str, &str)], seen: &str, expect: &[&str]| {
            assert_eq!(planned(given, seen).unwrap(), expect, "{given:?}");
        };
        let data = ("vg", "data");
        check(
            &[("vg", "new"), ("pvs", "/dev/sdb,/dev/sdc"), ("pesize", "32"), ("vg_options", "-l 5")],
            &seen(&["/dev/sdb", "/dev/sdc"], ""),
            &[
                "pvcreate -f '/dev/sdb'",
                "pvcreate -f '/dev/sdc'",
                "vgcreate '-l' '5' -s '32' 'new' '/dev/sdb' '/dev/sdc'",
            ],
        );
        check(&[data, ("pvs", "/dev/sda")], &seen(&["/dev/sda"], ""), &[]);
        check(
            &[data, ("pvs", "/dev/sdb")],
            &seen(&["/dev/sdb"], ""),
            &["pvcreate -f '/dev/sdb'", "vgextend 'data' '/dev/sdb'", "vgreduce --force 'data' '/dev/sda'"],
        );
        check(
            &[data, ("pvs", "/dev/sdb"), ("remove_extra_pvs", "no")],
            &seen(&["/dev/sdb"], ""),
            &["pvcreate -f '/dev/sdb'", "vgextend 'data' '/dev/sdb'"],
        );
        check(
            &[("vg", "other"), ("pvs", "/dev/sdz"), ("pvresize", "yes")],
            &seen(&["/dev/sdz"], ""),
            &["pvresize '/dev/sdz'"],
        );
        check(&[data, ("pvs", "/dev/sda"), ("pvresize", "yes")], &seen(&["/dev/sda"], ""), &[]);
        check(&[("vg", "other"), ("state", "absent")], &seen(&[], ""), &["vgremove --force 'other'"]);
        check(&[("vg", "none"), ("state", "absent")], &seen(&[], ""), &[]);
        check(&[data, ("state", "absent"), ("force", "yes")], &seen(&[], ""), &["vgremove --force 'data'"]);
    }

    #[test]
    fn volumes_become_active() {
        let check = |state: &str, attributes: &str, fields: &str, expect: &[&str]| {
            let more = format!("active %{}\nfields {fields}\n", hex(attributes.as_bytes()));
            let got = planned(&[("vg", "data"), ("state", state)], &seen(&[], &more)).unwrap();
            assert_eq!(got, expect, "{state} {attributes}");
        };
        check("active", "-wi-a-----\n", "lv_attr", &[]);
        check("active", "-wi-------\n-wi-a-----\n", "lv_attr", &["vgchange --activate y 'data'"]);
        check(
            "inactive",
            "-wi-a-----;enabled\n",
            "lv_attr,autoactivation",
            &["vgchange --setautoactivation n 'data'", "vgchange --activate n 'data'"],
        );
    }

    #[test]
    fn refuses() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(planned(given, seen).unwrap_err(), expect, "{given:?}");
        };
        fails(&[("vg", "new")], &seen(&[], ""), "No physical volumes given.");
        fails(&[("vg", "new"), ("pvs", "/dev/no")], &seen(&[""], ""), "Device /dev/no not found.");
        fails(
            &[("vg", "new"), ("pvs", "/dev/sda")],
            &seen(&["/dev/sda"], ""),
            "Device /dev/sda is already in data volume group.",
        );
        fails(
            &[("vg", "data"), ("state", "absent")],
            &seen(&[], ""),
            "Refuse to remove non-empty volume group data without force=true",
        );
        fails(
            &[("vg", "data"), ("reset_pv_uuid", "yes")],
            "",
            "reset_pv_uuid is True but all of the following are missing: pvs",
        );
    }
}
