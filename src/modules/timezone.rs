//! `timezone`: the time zone of a host, and whether its clock runs in it.

use super::sh::{Report, q};
use super::write::attr_diff;
use super::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, Thing,
    Touch,
};
use crate::transport::Output;
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "timezone",
    namespaces: &["community.general"],
    about: "Sets the time zone.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The zone, such as Europe/Berlin."),
        ArgSpec::new("hwclock", ArgKind::Str, "What the hardware's clock counts in.")
            .choices(&["local", "UTC"])
            .aliases(&["rtc"]),
    ],
    rules: &[Rule::OneOf(&["hwclock", "name"])],
    returns: &[("msg", "commands that were executed")],
    ..ModuleSpec::BASE
};

/// Tells the zone and the clock: as systemd says, or from files. `$xp_z` is the wanted zone.
const LOOK: &str = r#"xp_look_zone() {
	if xp_o=$(LC_ALL=C timedatectl 2>/dev/null); then
		printf 'way systemd\n'
		printf '%s\n' "$xp_o" | sed -n 's/^ *Time *zone: *\([^ ]*\).*/zone \1/p; s/^ *RTC in local TZ: *yes.*/clock local/p; s/^ *RTC in local TZ: *no.*/clock UTC/p'
		return 0
	fi
	if command -v dpkg-reconfigure >/dev/null 2>&1; then xp_way=debian
	elif [ -e /etc/alpine-release ]; then xp_way=alpine
	elif [ -e /etc/gentoo-release ]; then xp_way=gentoo
	else xp_way=redhat; fi
	printf 'way %s\n' $xp_way
	xp_n=
	case $xp_way in
	redhat) [ ! -r /etc/sysconfig/clock ] || xp_n=$(sed -n 's/^\(TIME\)\{0,1\}ZONE *= *"\{0,1\}\([^" ]*\).*/\2/p' /etc/sysconfig/clock | head -n 1) ;;
	*) [ ! -r /etc/timezone ] || xp_n=$(head -n 1 /etc/timezone) ;;
	esac
	# The link or file that programs read has the last word.
	if [ -h /etc/localtime ]; then
		case $(readlink /etc/localtime) in
		*/zoneinfo/*) xp_l=$(readlink /etc/localtime) && xp_l=${xp_l##*/zoneinfo/} && { [ -n "$xp_n" ] && [ "$xp_l" = "$xp_n" ] || xp_n=${xp_n:+$xp_l}; } ;;
		*) xp_n= ;;
		esac
	elif [ -n "$xp_z" ] && ! cmp -s /etc/localtime "/usr/share/zoneinfo/$xp_z"; then xp_n=; fi
	printf 'zone %s\n' "${xp_n:-n/a}"
	if [ "$(sed -n 3p /etc/adjtime 2>/dev/null)" = LOCAL ]; then printf 'clock local\n'; else printf 'clock UTC\n'; fi
}
"#;

pub struct Timezone;

impl Module for Timezone {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let name = call.args.str("name").unwrap_or_default();
        if name.starts_with('/') || name.split('/').any(|part| part == "..") {
            return Err(Failure::new(format!("\"{name}\" cannot be the name of a time zone")));
        }
        Ok(Some(format!(
            "{LOOK}xp_z={}\nif [ -f \"/usr/share/zoneinfo/$xp_z\" ]; then printf 'known yes\\n'; fi\nxp_look_zone\n",
            q(name)
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let way = report.need("way")?;
        let thing = Thing { kind: "timezone", name: String::new() };
        call.needs_same(&thing)?;
        let (mut before, mut after) = (Map::new(), Map::new());
        let mut script = String::new();
        if let Some(name) = args.str("name") {
            if report.get("known").is_none() {
                let msg = format!("given timezone \"{name}\" is not available");
                return Err(super::tool::missing(call, msg));
            }
            let now = report.get("zone").unwrap_or("n/a");
            before.insert("name", now);
            after.insert("name", name);
            if now != name {
                script += &set_zone(way, name);
            }
        }
        if let Some(clock) = args.str("hwclock") {
            let now = report.get("clock").unwrap_or("n/a");
            before.insert("hwclock", now);
            after.insert("hwclock", clock);
            if now != clock {
                let (rtc, option) = if clock == "local" { ("yes", "--localtime") } else { ("no", "--utc") };
                match way {
                    "systemd" => add!(script, "xp_tool timedatectl set-local-rtc {rtc}\n"),
                    _ => add!(script, "xp_tool hwclock --systohc {option}\n"),
                }
            }
        }
        let done: Vec<String> = script
            .lines()
            .filter_map(|l| l.strip_prefix("xp_tool "))
            .map(|l| format!("executed `{}`", l.replace('\'', "")))
            .collect();
        let mut result = Map::new();
        if !done.is_empty() {
            result.insert("msg", done.join("\n"));
        }
        if script.is_empty() {
            return Ok(Prediction::same(result));
        }
        let zone = q(args.str("name").unwrap_or_default());
        let script = format!("{script}{LOOK}xp_z={zone}\nxp_look_zone\n");
        Ok(Prediction::change(result, vec![Action::run(script)])
            .touch(Touch::Thing(thing))
            .diff(attr_diff("timezone", before, after)))
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        for output in ran {
            if output.rc != 0 {
                return Err(Failure::from_output(output));
            }
            let report = Report::parse(&output.stdout);
            for (arg, tag) in [("name", "zone"), ("hwclock", "clock")] {
                let (wanted, now) = (call.args.str(arg), report.get(tag));
                if wanted.is_some() && now != wanted {
                    return Err(Failure::new(format!(
                        "still not desired state, though changes have made - planned: {}, after: {}",
                        wanted.unwrap_or_default(),
                        now.unwrap_or("n/a")
                    )));
                }
            }
        }
        Ok(prediction.into_outcome())
    }
}

fn set_zone(way: &str, name: &str) -> String {
    let zone = q(name);
    let file = q(&format!("/usr/share/zoneinfo/{name}"));
    let link = format!("xp_do 'set /etc/localtime' ln -sfn {file} /etc/localtime\n");
    let timezone = format!("printf '%s\\n' {zone} | xp_write -m 0644 /etc/timezone >/dev/null || exit $?\n");
    match way {
        "systemd" => format!("xp_tool timedatectl set-timezone {zone}\n"),
        "debian" => {
            format!("{timezone}{link}xp_tool dpkg-reconfigure --frontend noninteractive tzdata\n")
        }
        "alpine" => format!("{timezone}xp_tool setup-timezone -z {zone}\n"),
        "gentoo" => format!("{timezone}{link}"),
        _ => format!(
            "xp_k=ZONE\nif grep -q '^TIMEZONE *=' /etc/sysconfig/clock 2>/dev/null; then xp_k=TIMEZONE; fi\n\
             {{ sed \"/^$xp_k *=/d\" /etc/sysconfig/clock 2>/dev/null; printf '%s=\"%s\"\\n' \"$xp_k\" {zone}; }} | xp_write -m 0644 /etc/sysconfig/clock >/dev/null || exit $?\n\
             xp_do 'set /etc/localtime' cp --remove-destination {file} /etc/localtime\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    fn check(given: &[(&str, &str)], seen: &str, tools: &[&str]) {
        let prediction = Case::new(&Timezone, args(given)).plan(seen).unwrap();
        let script = scripts(&prediction).concat();
        assert_eq!(script.lines().filter(|l| l.starts_with("xp_tool ")).collect::<Vec<_>>(), tools);
    }

    #[test]
    fn zones_and_clocks() {
        let berlin = [("name", "Europe/Berlin")];
        check(&berlin, "known yes\nway systemd\nzone Europe/Berlin\nclock UTC\n", &[]);
        check(
            &berlin,
            "known yes\nway systemd\nzone Etc/UTC\nclock UTC\n",
            &["xp_tool timedatectl set-timezone 'Europe/Berlin'"],
        );
        check(
            &berlin,
            "known yes\nway debian\nzone n/a\nclock UTC\n",
            &["xp_tool dpkg-reconfigure --frontend noninteractive tzdata"],
        );
        check(
            &[("hwclock", "local")],
            "way redhat\nzone n/a\nclock UTC\n",
            &["xp_tool hwclock --systohc --localtime"],
        );
        let failure = Case::new(&Timezone, args(&berlin)).plan("way systemd\n").unwrap_err();
        assert_eq!(failure.msg, "given timezone \"Europe/Berlin\" is not available");
        let failure = Case::new(&Timezone, args(&[("name", "../x")])).probe().unwrap_err();
        assert_eq!(failure.msg, "\"../x\" cannot be the name of a time zone");
    }
}
