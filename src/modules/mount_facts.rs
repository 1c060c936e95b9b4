//! `mount_facts`: what is mounted, and what is to be, from the sources that a task names.

use std::collections::{BTreeMap, BTreeSet};

use super::sh::{Report, q, word};
use super::{ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Seen};
use crate::facts::Usage;
use crate::template::fnmatch;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "mount_facts",
    about: "Tells what is mounted and what is to be mounted.",
    args: &[
        ArgSpec::new("devices", ArgKind::StrList, "Patterns of devices; others are left out."),
        ArgSpec::new("fstypes", ArgKind::StrList, "Patterns of kinds of file systems; others are left out."),
        ArgSpec::new("sources", ArgKind::StrList, "Files, mount for the program, or all, static, dynamic."),
        ArgSpec::new("mount_binary", ArgKind::Raw, "The program that lists mounts where no file does.")
            .default("mount"),
        ArgSpec::new("timeout", ArgKind::Float, "Seconds that a file system may take to tell its size."),
        ArgSpec::new("on_timeout", ArgKind::Str, "What becomes of those that take longer.")
            .default("error")
            .choices(&["error", "warn", "ignore"]),
        ArgSpec::new("include_aggregate_mounts", ArgKind::Bool, "Tell mounts that hide others too."),
    ],
    returns: &[("ansible_facts", "mount_points by place, and aggregate_mounts")],
    ..ModuleSpec::BASE
};

pub struct MountFacts;

const STATIC: [&str; 3] = ["/etc/fstab", "/etc/vfstab", "/etc/filesystems"];
const DYNAMIC: [&str; 3] = ["/etc/mtab", "/proc/mounts", "/etc/mnttab"];

/// A line about a mount.
#[derive(Debug, Default, PartialEq)]
struct Mount {
    place: String,
    line: String,
    fields: Map,
}

impl Module for MountFacts {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let sources = sources(call)?;
        let binary = binary(call)?;
        let limit = match call.args.float("timeout") {
            Some(seconds) if seconds <= 0.0 => {
                return Err(Failure::new(format!(
                    "argument 'timeout' must be a positive number or null, not {}",
                    Value::from(seconds).to_text()
                )));
            }
            Some(seconds) => format!("timeout {seconds} "),
            None => String::new(),
        };
        let mut script = format!(
            "xp_limit={}\ncommand -v timeout >/dev/null 2>&1 || xp_limit=\nxp_done= xp_dynamic= xp_places=\n{SHOW}",
            q(&limit)
        );
        let mount = binary.as_deref().map(q);
        for source in &sources {
            match (&mount, source.as_str()) {
                (Some(mount), "mount") => add!(script, "xp_by_program {mount}\n"),
                (None, "mount") => {}
                (_, source) => add!(script, "xp_by_file {}\n", q(source)),
            }
        }
        if let Some(mount) = &mount
            && sources.iter().any(|source| DYNAMIC.contains(&source.as_str()))
        {
            add!(script, "[ -n \"$xp_dynamic\" ] || xp_by_program {mount}\n");
        }
        script += "xp_sizes\n";
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let mut warnings = Vec::new();
        let mut over_time = |what: String| match args.str("on_timeout") {
            Some("error") | None => Err(Failure::new(what)),
            Some("warn") => {
                warnings.push(what);
                Ok(())
            }
            Some(_) => Ok(()),
        };
        if report.get("late").is_some() {
            over_time("Timed out listing mounts".to_string())?;
        }
        if let Some(program) = report.word("absent") {
            return Err(super::tool::missing(
                call,
                format!("Failed to find required executable \"{program}\" on the target"),
            ));
        }
        let wanted = |arg: &str, text: &str| {
            let patterns = args.texts(arg);
            patterns.is_empty() || patterns.iter().any(|pattern| fnmatch(pattern, text))
        };
        let usage: BTreeMap<String, &str> = report
            .all("size")
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(place, numbers)| Some((word(place)?, numbers)))
            .collect();
        let ids = Ids::of(&report);
        let mut mounts: Vec<(String, Mount)> = Vec::new();
        let mut names: Vec<String> = report.all("source").filter_map(word).collect();
        let contents: Vec<String> = report.all("lines").filter_map(word).collect();
        names.truncate(contents.len());
        for (source, text) in names.iter().zip(&contents) {
            let parsed = if source == "mount" { by_program(text) } else { by_file(text) };
            mounts.extend(parsed.into_iter().map(|mount| (source.clone(), mount)));
        }
        let mut told: Vec<(String, String, Map)> = Vec::new();
        for (source, mount) in mounts {
            let field = |name: &str| mount.fields.get(name).map(Value::to_text).unwrap_or_default();
            let (mut device, kind) = (field("device"), field("fstype"));
            let mut uuid = device.strip_prefix("UUID=").map(str::to_string);
            if let Some(uuid) = &uuid {
                device = ids.device(uuid).unwrap_or(device);
            }
            if !wanted("devices", &device) || !wanted("fstypes", &kind) {
                continue;
            }
            let mut fields = mount.fields;
            match usage.get(&mount.place) {
                Some(&"late") => {
                    over_time(format!(
                        "Timed out getting mount size for mount {} (type {kind})",
                        mount.place
                    ))?;
                }
                Some(numbers) => {
                    if let Some(usage) = Usage::parse(numbers) {
                        fields.extend(usage.facts());
                    }
                }
                None => {}
            }
            uuid = uuid.or_else(|| ids.of_device(&device));
            let context = Map::from_iter([("source", source.as_str()), ("source_data", mount.line.as_str())]);
            fields.insert("ansible_context", context);
            fields.insert("uuid", uuid);
            told.push((source, mount.place, fields));
        }
        let mut points = Map::new();
        for (_, place, fields) in &told {
            if !points.contains(place) {
                points.insert(place.as_str(), fields.clone());
            }
        }
        let include = args.bool("include_aggregate_mounts");
        if let Some(text) = repeated(&told).filter(|_| include.is_none()) {
            warnings.push(format!(
                "mount_facts: ignoring repeat mounts in the following sources: {text}. You can disable this warning by \
                 configuring the 'include_aggregate_mounts' option as True or False."
            ));
        }
        let listed = sources(call)?;
        if listed.iter().collect::<BTreeSet<_>>().len() < listed.len() {
            let list = Value::from(listed).repr();
            warnings.push(format!(
                "mount_facts option 'sources' contains duplicate entries, repeat sources will be ignored: {list}"
            ));
        }
        let all = if include == Some(true) {
            told.into_iter().map(|(_, _, fields)| Value::map(fields)).collect()
        } else {
            Vec::new()
        };
        let facts =
            Map::from_iter([("mount_points", Value::map(points)), ("aggregate_mounts", Value::list(all))]);
        let mut prediction = Prediction::read(Map::from_iter([("ansible_facts", Value::map(facts))]));
        prediction.warnings = warnings;
        Ok(prediction)
    }
}

/// Functions of the probe: a source is read once, under whichever of its names.
const SHOW: &str = r#"xp_by_file() {
	[ -r "$1" ] && [ -f "$1" ] || return 0
	xp_real "$1" || xp_t=$1
	case "$xp_nl$xp_done$xp_nl" in *"$xp_nl$xp_t$xp_nl"*) return 0 ;; esac
	xp_done=$xp_done$xp_nl$xp_t
	xp_s=$(cat "$1")
	[ -n "$xp_s" ] || return 0
	xp_tell source "$1"
	xp_tell lines "$xp_s"
	case $1 in /etc/mtab | /proc/mounts | /etc/mnttab) xp_dynamic=1 ;; esac
	xp_places=$xp_places$xp_nl$(printf '%s\n' "$xp_s" | awk '!/^[ \t]*#/ && NF > 3 { print (NF > 6) ? $3 : $2 }')
}
xp_by_program() {
	case "$xp_nl$xp_done$xp_nl" in *"${xp_nl}mount$xp_nl"*) return 0 ;; esac
	xp_done=$xp_done${xp_nl}mount
	command -v "$1" >/dev/null 2>&1 || { xp_tell absent "$1"; exit 0; }
	xp_s=$($xp_limit "$1" 2>/dev/null) || { [ $? != 124 ] || printf 'late yes\n'; return 0; }
	xp_tell source mount
	xp_tell lines "$xp_s"
	xp_dynamic=1
	xp_places=$xp_places$xp_nl$(printf '%s\n' "$xp_s" | sed -n 's/^[^ ]* on \([^ ]*\) .*/\1/p')
}
xp_sizes() {
	if stat -f -c %S / >/dev/null 2>&1; then
		printf '%s\n' "$xp_places" | sort -u | sed 's/\\\([0-7]\)/\\0\1/g' | while IFS= read -r xp_p; do
			xp_p=$(printf '%b' "$xp_p")
			case $xp_p in /*) ;; *) continue ;; esac
			xp_s=$($xp_limit stat -f -c '%S %b %a %c %d %s' -- "$xp_p" 2>/dev/null)
			if [ $? = 124 ]; then xp_s=late; fi
			[ -z "$xp_s" ] || { printf 'size '; xp_word "$xp_p"; printf ' %s\n' "$xp_s"; }
		done
	fi
	for xp_p in /dev/disk/by-uuid/*; do
		if [ -h "$xp_p" ] && xp_real "$xp_p"; then printf 'id %s ' "${xp_p##*/}"; xp_word "$xp_t"; printf '\n'; fi
	done
	if command -v lsblk >/dev/null 2>&1; then
		$xp_limit lsblk --list --noheadings --paths --output NAME,UUID --exclude 2 2>/dev/null | awk 'NF == 2 { print "disk " $1 " " $2 }'
	fi
}
"#;

/// Returns the sources one by one.
fn sources(call: &Call) -> Result<Vec<String>, Failure> {
    let mut given = call.args.texts("sources");
    if given.is_empty() {
        given.push("all".into());
    }
    let mut all = Vec::new();
    for source in given {
        let group = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        match source.as_str() {
            "" => return Err(Failure::new("sources contains an empty string")),
            "all" => all.extend(group(&DYNAMIC).into_iter().chain(group(&STATIC))),
            "dynamic" => all.extend(group(&DYNAMIC)),
            "static" => all.extend(group(&STATIC)),
            _ => all.push(source),
        }
    }
    Ok(all)
}

fn binary(call: &Call) -> Result<Option<String>, Failure> {
    match call.args.get("mount_binary") {
        None => Ok(None),
        Some(Value::Str(text)) => Ok(Some(text.to_string()).filter(|text| !text.is_empty())),
        Some(other) => Err(Failure::new(format!(
            "argument 'mount_binary' must be a string or null, not {}",
            other.to_text()
        ))),
    }
}

/// Tells which sources name a place more than once.
fn repeated(told: &[(String, String, Map)]) -> Option<String> {
    let mut by_source: Vec<(&str, Vec<Value>)> = Vec::new();
    for (source, place, _) in told {
        let place = Value::str(place.as_str());
        match by_source.iter_mut().find(|(name, _)| name == source) {
            Some((_, places)) => places.push(place),
            None => by_source.push((source, vec![place])),
        }
    }
    let twice = |places: &[Value]| {
        let texts: BTreeSet<String> = places.iter().map(Value::to_text).collect();
        texts.len() < places.len()
    };
    let list: Vec<String> = by_source
        .into_iter()
        .filter(|(_, places)| twice(places))
        .map(|(source, places)| format!("{source} ({})", Value::list(places).repr()))
        .collect();
    (!list.is_empty()).then(|| list.join(", "))
}

/// Identifiers of devices.
struct Ids(Vec<(String, String)>);

impl Ids {
    fn of(report: &Report) -> Ids {
        let links = report.all("id").filter_map(|line| line.split_once(' '));
        let links = links.filter_map(|(id, device)| Some((id.to_string(), word(device)?)));
        let disks = report.all("disk").filter_map(|line| line.split_once(' '));
        Ids(links.chain(disks.map(|(device, id)| (id.to_string(), device.to_string()))).collect())
    }

    fn device(&self, uuid: &str) -> Option<String> {
        self.0.iter().find(|(id, _)| id == uuid).map(|(_, device)| device.clone())
    }

    fn of_device(&self, device: &str) -> Option<String> {
        self.0.iter().find(|(_, name)| name == device).map(|(id, _)| id.clone())
    }
}

/// Reads what the program `mount` prints, on Linux or on BSD.
fn by_program(text: &str) -> Vec<Mount> {
    let linux = |line: &str| -> Option<Mount> {
        let (device, rest) = line.split_once(" on ")?;
        let (place, rest) = rest.split_once(" type ")?;
        let (kind, options) = rest.split_once(" (")?;
        let options = options.strip_suffix(')')?;
        Some(mount(place, line, &[("device", device), ("fstype", kind), ("options", options)]))
    };
    let bsd = |line: &str| -> Option<Mount> {
        let (device, rest) = line.split_once(" on ")?;
        let (place, rest) = rest.split_once(" (")?;
        let (kind, options) = match rest.strip_suffix(')')?.split_once(',') {
            Some((kind, options)) => (kind.trim(), Some(options.trim())),
            None => (rest.strip_suffix(')')?, None),
        };
        let mut found = mount(place, line, &[("device", device), ("fstype", kind)]);
        if let Some(options) = options {
            found.fields.insert("options", options);
        }
        Some(found)
    };
    let all = |read: &dyn Fn(&str) -> Option<Mount>| -> Option<Vec<Mount>> {
        text.lines().filter(|line| !line.starts_with("map ")).map(read).collect()
    };
    all(&linux).or_else(|| all(&bsd)).unwrap_or_default()
}

fn mount(place: &str, line: &str, fields: &[(&str, &str)]) -> Mount {
    let mut map: Map = fields.iter().copied().collect();
    map.insert("mount", place);
    Mount { place: place.to_string(), line: line.to_string(), fields: map }
}

/// Reads a table of mounts: vfstab with seven columns, mnttab with a time in the fifth, else fstab.
fn by_file(text: &str) -> Vec<Mount> {
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let fields = |line: &str| line.split_whitespace().map(unescape).collect::<Vec<String>>();
    let all = |read: &dyn Fn(&str, &[String]) -> Option<Mount>| -> Option<Vec<Mount>> {
        lines.iter().map(|line| read(line, &fields(line))).collect()
    };
    let number = |text: &str| text.parse::<i64>().map_or_else(|_| Value::str(text), Value::from);
    let vfstab = |line: &str, f: &[String]| -> Option<Mount> {
        let [device, check, place, kind, pass, boot, options, ..] = f else { return None };
        let mut found =
            mount(place, line, &[("device", device), ("device_to_fsck", check), ("fstype", kind)]);
        found.fields.insert("passno", number(pass));
        found.fields.insert("mount_at_boot", boot.as_str());
        found.fields.insert("options", options.as_str());
        Some(found)
    };
    let timed = lines.iter().any(|line| fields(line).get(4).is_some_and(|time| time.len() == 10));
    let mnttab = |line: &str, f: &[String]| -> Option<Mount> {
        let [device, place, kind, options, time, ..] = f else { return None };
        let time: i64 = time.parse().ok().filter(|_| timed)?;
        let mut found = mount(place, line, &[("device", device), ("fstype", kind), ("options", options)]);
        found.fields.insert("time", time);
        Some(found)
    };
    let fstab = |line: &str, f: &[String]| -> Option<Mount> {
        let [device, place, kind, options, more @ ..] = f else { return None };
        let mut found = mount(place, line, &[("device", device), ("fstype", kind), ("options", options)]);
        for (name, text) in ["dump", "passno"].iter().zip(more) {
            found.fields.insert(*name, text.parse::<i64>().ok()?);
        }
        Some(found)
    };
    all(&vfstab).or_else(|| all(&mnttab)).or_else(|| all(&fstab)).unwrap_or_default()
}

/// Replaces octal numbers by their characters.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let octal = more.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = octal.filter(|_| *first == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = &more[3..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::hex;
    use crate::modules::testing::{Case, args};

    fn seen(source: &str, text: &str, more: &str) -> String {
        format!("source ={source}\nlines %{}\n{more}", hex(text.as_bytes()))
    }

    fn points(given: &[(&str, &str)], seen: &str) -> String {
        let prediction = Case::new(&MountFacts, args(given)).plan(seen).unwrap();
        let facts = prediction.result.get("ansible_facts").unwrap().clone();
        facts.get("mount_points").unwrap().repr()
    }

    #[test]
    fn reads_tables() {
        let fstab = "# mine\nUUID=ab-1 / ext4 rw 0 1\n/dev/sdb /my\\040data xfs defaults\n";
        let more = "size =/ 4096 10 6 5 3 4096\nid ab-1 =/dev/sda1\n";
        let all = points(&[], &seen("/etc/fstab", fstab, more));
        assert_eq!(
            all,
            "{'/': {'device': 'UUID=ab-1', 'fstype': 'ext4', 'options': 'rw', 'mount': '/', 'dump': 0, 'passno': 1, \
             'size_total': 40960, 'size_available': 24576, 'block_size': 4096, 'block_total': 10, 'block_available': 6, \
             'block_used': 4, 'inode_total': 5, 'inode_available': 3, 'inode_used': 2, 'ansible_context': {'source': \
             '/etc/fstab', 'source_data': 'UUID=ab-1 / ext4 rw 0 1'}, 'uuid': 'ab-1'}, '/my data': {'device': '/dev/sdb', \
             'fstype': 'xfs', 'options': 'defaults', 'mount': '/my data', 'ansible_context': {'source': '/etc/fstab', \
             'source_data': '/dev/sdb /my\\\\040data xfs defaults'}, 'uuid': None}}"
        );
        let one = points(&[("devices", "/dev/sda*")], &seen("/etc/fstab", fstab, more));
        assert!(one.contains("ab-1") && !one.contains("sdb"), "{one}");
        assert_eq!(points(&[("fstypes", "nfs*")], &seen("/etc/fstab", fstab, more)), "{}");
    }

    #[test]
    fn reads_what_mount_prints() {
        let linux = by_program("/dev/sda1 on / type ext4 (rw,noatime)\ntmpfs on /run type tmpfs (rw)\n");
        assert_eq!(
            (linux.len(), linux[0].fields.get("options").unwrap().to_text().as_str()),
            (2, "rw,noatime")
        );
        let bsd = by_program("/dev/ada0p2 on / (ufs, local, journaled)\nmap auto on /x (autofs)\n");
        assert_eq!(
            (bsd.len(), bsd[0].fields.get("options").unwrap().to_text().as_str()),
            (1, "local, journaled")
        );
    }

    #[test]
    fn late_mounts() {
        let text = seen("/etc/mtab", "h:/x /x nfs rw 0 0\n", "size =/x late\n");
        let case = |on: &str| {
            Case::new(&MountFacts, args(&[("timeout", "1"), ("on_timeout", on)])).plan(text.clone())
        };
        assert_eq!(case("error").unwrap_err().msg, "Timed out getting mount size for mount /x (type nfs)");
        assert_eq!(case("warn").unwrap().warnings.len(), 1);
        assert_eq!(case("ignore").unwrap().warnings.len(), 0);
        let wrong = Case::new(&MountFacts, args(&[("timeout", "-1")])).plan("").unwrap_err().msg;
        assert_eq!(wrong, "argument 'timeout' must be a positive number or null, not -1.0");
    }
}
