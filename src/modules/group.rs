//! `group`: a group of users.

use super::account::{Group as Entry, LOOKUP};
use super::sh::{Report, q};
use super::tool::{TELL_OUT, insert_printed, missing};
use super::write::named_diff;
use super::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "group",
    about: "Adds, changes and removes a group.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The group.").required(),
        ArgSpec::new("state", ArgKind::Str, "Whether the group is to exist.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("gid", ArgKind::Int, "Its number."),
        ArgSpec::new("system", ArgKind::Bool, "A new group gets a number of the system's range.")
            .default("no"),
        ArgSpec::new("local", ArgKind::Bool, "Only local files count; the tools of libuser are used.")
            .default("no"),
        ArgSpec::new("non_unique", ArgKind::Bool, "The number may belong to another group too.")
            .default("no"),
        ArgSpec::new("force", ArgKind::Bool, "Remove it even when it is somebody's primary group.")
            .default("no"),
        ArgSpec::new("gid_min", ArgKind::Int, "The lowest number that a new group may get."),
        ArgSpec::new("gid_max", ArgKind::Int, "The highest number that a new group may get."),
    ],
    rules: &[Rule::If { arg: "non_unique", value: "True", needs: &["gid"] }],
    returns: &[
        ("name", "the group"),
        ("state", "whether it is to exist"),
        ("gid", "its number"),
        ("system", "whether it was asked for as a system group"),
        ("stdout", "what the tool printed"),
        ("stderr", "what the tool complained about"),
    ],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

pub struct Group;

impl Module for Group {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let local = args.flag("local");
        if local {
            if args.flag("force") {
                return Err(Failure::new(
                    "force is not a valid option for local, force=True and local=True are mutually exclusive",
                ));
            }
            for name in ["gid_min", "gid_max"] {
                if args.has(name) {
                    return Err(Failure::new(format!("'{name}' can not be used with 'local'")));
                }
            }
        }
        let mut script = format!(
            "{LOOKUP}xp_n={}\nfor xp_t in groupadd lgroupadd addgroup; do if command -v $xp_t >/dev/null 2>&1; then printf 'tool %s\\n' $xp_t; fi; done\n",
            q(args.str("name").unwrap_or_default())
        );
        script += &look(local);
        if let Some(gid) = args.int("gid") {
            add!(script, "xp_all group | awk -F: '$3 == \"{gid}\" {{ print \"taken \" $1 }}'\n");
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let name = args.str("name").unwrap_or_default();
        let now = Entry::foreseen(call, name, entry(&report))?;
        let mut result = Map::new();
        result.insert("name", name);
        result.insert("state", args.str("state").unwrap_or_default());
        let commands = Commands::of(call, &report)?;
        if args.str("state") == Some("absent") {
            let Some(now) = now else { return Ok(Prediction::same(result)) };
            let script = commands.remove(args.flag("force"), name) + &look(args.flag("local"));
            return Ok(Prediction::change(result, vec![action(call, &script)])
                .touch(Touch::Group { name: name.to_string(), exists: false, gid: None })
                .diff(named_diff(&format!("group {name}"), Some(side(now.gid)), None)));
        }
        result.insert("system", args.flag("system"));
        let wanted = match args.int("gid") {
            Some(gid) => Some(
                u32::try_from(gid).map_err(|_| Failure::new(format!("gid {gid} is no number of a group")))?,
            ),
            None => None,
        };
        if let Some(now) = now.as_ref().filter(|now| wanted.is_none() || now.gid == wanted) {
            result.insert("gid", number(now.gid));
            return Ok(Prediction::same(result));
        }
        let others: Vec<&str> = report.all("taken").filter(|other| *other != name).collect();
        if let (Some(gid), Some(other)) =
            (wanted.filter(|_| commands.family == Family::Local), others.first())
        {
            return Err(Failure::new(format!("GID '{gid}' already exists with group '{other}'")));
        }
        let script = match &now {
            None => commands.add(call, wanted, name),
            Some(_) if !others.is_empty() && commands.family == Family::Busybox => {
                return Err(Failure::new(format!("gid '{}' in use", wanted.unwrap_or_default())));
            }
            Some(_) => commands.renumber(args.flag("non_unique"), wanted.unwrap_or_default(), name),
        };
        result.insert("gid", number(wanted));
        let diff = named_diff(&format!("group {name}"), now.map(|now| side(now.gid)), Some(side(wanted)));
        let script = script + &look(args.flag("local"));
        Ok(Prediction::change(result, vec![action(call, &script)])
            .touch(Touch::Group { name: name.to_string(), exists: true, gid: wanted })
            .diff(diff))
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let name = call.args.str("name").unwrap_or_default();
        for output in ran {
            if output.rc != 0 {
                return Err(Failure::from_output(output).with("name", name));
            }
            let report = Report::parse(&output.stdout);
            insert_printed(&mut prediction.result, &report, output);
            match (entry(&report), call.args.str("state")) {
                (Some(entry), Some("present")) => {
                    prediction.result.insert("gid", number(entry.gid));
                }
                (None, Some("absent")) => {}
                _ => {
                    return Err(Failure::new(format!(
                        "the tool reported success, but group {name} is not {} afterwards",
                        call.args.str("state").unwrap_or_default()
                    )));
                }
            }
        }
        Ok(prediction.into_outcome())
    }
}

fn number(gid: Option<u32>) -> Value {
    gid.map_or_else(|| Value::unknown("the number of a group that is not made yet"), Value::from)
}

fn side(gid: Option<u32>) -> Map {
    Map::from_iter([("gid", gid.map_or(Value::str("(next free)"), Value::from))])
}

/// Returns the line that prints the group's entry.
fn look(local: bool) -> String {
    let find = if local { "xp_local" } else { "xp_entry" };
    format!("xp_l=$({find} group \"$xp_n\")\nif [ -n \"$xp_l\" ]; then xp_tell group \"$xp_l\"; fi\n")
}

fn entry(report: &Report) -> Option<Entry> {
    Entry::parse(&report.word("group")?)
}

fn action(call: &Call, script: &str) -> Action {
    let name = q(call.args.str("name").unwrap_or_default());
    Action::run(format!("{LOOKUP}xp_n={name}\n{script}{TELL_OUT}"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Shadow,
    Local,
    Busybox,
}

/// The commands of the tools that the target has.
struct Commands {
    family: Family,
}

impl Commands {
    fn of(call: &Call, report: &Report) -> Result<Commands, Failure> {
        let has = |tool: &str| report.all("tool").any(|t| t == tool);
        let family = if call.args.flag("local") {
            if !has("lgroupadd") {
                return Err(missing(
                    call,
                    "local needs the tools of libuser (lgroupadd), which are not on the target; install libuser",
                ));
            }
            Family::Local
        } else if has("groupadd") {
            Family::Shadow
        } else if has("addgroup") {
            Family::Busybox
        } else {
            return Err(missing(
                call,
                "there is neither groupadd nor addgroup on the target; install passwd, shadow-utils or shadow",
            ));
        };
        Ok(Commands { family })
    }

    fn add(&self, call: &Call, gid: Option<u32>, name: &str) -> String {
        let args = &call.args;
        let mut line = match self.family {
            Family::Shadow => "xp_tool groupadd",
            Family::Local => "xp_tool lgroupadd",
            Family::Busybox => "xp_tool addgroup",
        }
        .to_string();
        if let Some(gid) = gid {
            add!(line, " -g {gid}");
            if args.flag("non_unique") && self.family != Family::Busybox {
                line += " -o";
            }
        }
        if args.flag("system") {
            line += if self.family == Family::Busybox { " -S" } else { " -r" };
        }
        for (arg, key) in [("gid_min", "GID_MIN"), ("gid_max", "GID_MAX")] {
            if let Some(number) = args.int(arg) {
                add!(line, " -K {key}={number}");
            }
        }
        format!("{line} {}\n", q(name))
    }

    fn renumber(&self, non_unique: bool, gid: u32, name: &str) -> String {
        let name = q(name);
        let unique = if non_unique { " -o" } else { "" };
        match self.family {
            Family::Shadow => format!("xp_tool groupmod -g {gid}{unique} {name}\n"),
            Family::Local => format!("xp_tool lgroupmod -g {gid}{unique} {name}\n"),
            // Busybox has no command for it.
            Family::Busybox => format!(
                "XP_K={name} awk -F: -v OFS=: '$1 == ENVIRON[\"XP_K\"] {{ $3 = {gid} }} {{ print }}' /etc/group | xp_write -m 0644 -O 0:0 /etc/group >/dev/null || exit 1\n"
            ),
        }
    }

    fn remove(&self, force: bool, name: &str) -> String {
        let name = q(name);
        match self.family {
            Family::Shadow => format!("xp_tool groupdel{} {name}\n", if force { " -f" } else { "" }),
            Family::Local => format!("xp_tool lgroupdel {name}\n"),
            Family::Busybox => format!("xp_tool delgroup {name}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    /// Returns the line of the tool, and the predicted result.
    fn check(given: &[(&str, &str)], seen: &str, line: &str, expect: &str) {
        let mut given = given.to_vec();
        given.push(("name", "dev"));
        let prediction = Case::new(&Group, args(&given)).plan(seen).unwrap();
        let script = scripts(&prediction).concat();
        let lines: Vec<&str> =
            script.lines().filter(|l| l.starts_with("xp_tool ") || l.starts_with("XP_K")).collect();
        assert_eq!(lines.join(";"), line, "{given:?}");
        assert_eq!(Value::map(prediction.result).repr(), expect, "{given:?}");
    }

    const NEW: &str = "tool groupadd\n";
    const THERE: &str = "tool groupadd\ngroup %6465763a783a35303a\n";

    #[test]
    fn present() {
        check(
            &[("gid", "50"), ("system", "yes")],
            NEW,
            "xp_tool groupadd -g 50 -r 'dev'",
            "{'name': 'dev', 'state': 'present', 'system': True, 'gid': 50}",
        );
        check(&[], THERE, "", "{'name': 'dev', 'state': 'present', 'system': False, 'gid': 50}");
        check(&[("gid", "50")], THERE, "", "{'name': 'dev', 'state': 'present', 'system': False, 'gid': 50}");
        check(
            &[("gid", "51"), ("non_unique", "yes")],
            THERE,
            "xp_tool groupmod -g 51 -o 'dev'",
            "{'name': 'dev', 'state': 'present', 'system': False, 'gid': 51}",
        );
        check(
            &[("gid", "7"), ("gid_min", "5"), ("gid_max", "9")],
            "tool addgroup\n",
            "xp_tool addgroup -g 7 -K GID_MIN=5 -K GID_MAX=9 'dev'",
            "{'name': 'dev', 'state': 'present', 'system': False, 'gid': 7}",
        );
    }

    #[test]
    fn absent() {
        check(&[("state", "absent")], NEW, "", "{'name': 'dev', 'state': 'absent'}");
        check(
            &[("state", "absent"), ("force", "yes")],
            THERE,
            "xp_tool groupdel -f 'dev'",
            "{'name': 'dev', 'state': 'absent'}",
        );
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            let mut given = given.to_vec();
            given.push(("name", "dev"));
            assert_eq!(Case::new(&Group, args(&given)).plan(seen).unwrap_err().msg, expect);
        };
        fails(&[("non_unique", "yes")], NEW, "non_unique is True but all of the following are missing: gid");
        fails(&[("gid_min", "1"), ("local", "yes")], NEW, "'gid_min' can not be used with 'local'");
        fails(
            &[("gid", "1337"), ("local", "yes")],
            "tool lgroupadd\ntaken other\n",
            "GID '1337' already exists with group 'other'",
        );
        fails(
            &[],
            "",
            "there is neither groupadd nor addgroup on the target; install passwd, shadow-utils or shadow",
        );
        fails(&[("gid", "-1")], NEW, "gid -1 is no number of a group");
    }
}
