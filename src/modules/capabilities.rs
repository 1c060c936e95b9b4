//! `capabilities`: what a program may do without being root.

use super::sh::{Report, expand_path, q};
use super::tool::missing;
use super::write::attr_diff;
use super::{Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Seen, Thing, Touch};
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "capabilities",
    namespaces: &["community.general"],
    about: "Gives capabilities to programs and takes them away.",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The program.").required().aliases(&["key"]),
        ArgSpec::new("capability", ArgKind::Str, "The capability, such as cap_net_bind_service+ep.")
            .required()
            .aliases(&["cap"]),
        ArgSpec::new("state", ArgKind::Str, "Whether the program is to have it.")
            .default("present")
            .choices(&["absent", "present"]),
    ],
    returns: &[("msg", "what was done"), ("state", "the state")],
    ..ModuleSpec::BASE
};

pub struct Capabilities;

/// A capability with its operator and flags, such as `cap_chown`, `+`, `ep`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Capability {
    name: String,
    set: String,
}

impl Capability {
    fn parse(text: &str) -> Option<Capability> {
        let at = text.find(['=', '+', '-'])?;
        Some(Capability { name: text[..at].to_string(), set: text[at..].to_string() })
    }

    /// Whether it comes to the same: tools write `=ep` for what was set by `+ep`.
    fn covers(&self, wanted: &Capability) -> bool {
        let flags = |set: &str| {
            let mut letters: Vec<char> = set.chars().skip(1).collect();
            letters.sort_unstable();
            letters
        };
        let adds = |set: &str| !set.starts_with('-');
        self.name == wanted.name
            && adds(&self.set) == adds(&wanted.set)
            && flags(&self.set) == flags(&wanted.set)
    }
}

impl Module for Capabilities {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let path = q(&path(call)?);
        wanted(call)?;
        Ok(Some(format!(
            "PATH=$PATH:/usr/sbin:/sbin\ncommand -v getcap >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\n\
             [ -e {path} ] || {{ printf 'absent yes\\n'; exit 0; }}\n\
             xp_c=$(LC_ALL=C getcap -v {path} 2>&1) || {{ xp_tell failed \"$xp_c\"; exit 0; }}\nxp_tell caps \"$xp_c\"\n"
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let path = path(call)?;
        call.needs_untouched(&path)?;
        let thing = Thing { kind: "capabilities", name: path.clone() };
        if let Some(unknown) = call.world.thing(&thing) {
            return Err(Failure::unknown(unknown));
        }
        let report = Report::of(seen)?;
        if report.get("missing").is_some() {
            return Err(missing(call, "there is no getcap on the target; install libcap2-bin or libcap"));
        }
        if report.get("absent").is_some() {
            return Err(missing(
                call,
                format!("Unable to get capabilities of {path}: there is no such file"),
            ));
        }
        if let Some(why) = report.word("failed") {
            return Err(Failure::new(format!("Unable to get capabilities of {path}: {}", why.trim())));
        }
        let now = parse_list(&report.word("caps").unwrap_or_default(), &path);
        let (name, wanted) = wanted(call)?;
        let state = call.args.str("state").unwrap_or("present");
        let mut after: Vec<Capability> = now.iter().filter(|cap| cap.name != name).cloned().collect();
        let changes = match (state, &wanted) {
            ("absent", _) => after.len() != now.len(),
            (_, Some(wanted)) if now.iter().any(|cap| cap.covers(wanted)) => false,
            (_, wanted) => {
                after.extend(wanted.clone());
                true
            }
        };
        let mut result = Map::from_iter([("state", state)]);
        if !changes {
            return Ok(Prediction::same(result));
        }
        result.insert("msg", "capabilities changed");
        let script =
            format!("PATH=$PATH:/usr/sbin:/sbin\nxp_tool setcap {} {}\n", q(&text(&after)), q(&path));
        let side = |list: &[Capability]| Map::from_iter([("capabilities", text(list))]);
        Ok(Prediction::change(result, vec![Action::run(script)]).touch(Touch::Thing(thing)).diff(attr_diff(
            &path,
            side(&now),
            side(&after),
        )))
    }
}

fn path(call: &Call) -> Result<String, Failure> {
    expand_path(call, call.args.str("path").unwrap_or_default())
}

/// Returns the name, and for what is to be present the whole capability.
fn wanted(call: &Call) -> Result<(String, Option<Capability>), Failure> {
    let given = call.args.str("capability").unwrap_or_default().to_lowercase();
    match (Capability::parse(&given), call.args.str("state")) {
        (Some(capability), _) => Ok((capability.name.clone(), Some(capability))),
        (None, Some("absent")) => Ok((given, None)),
        (None, _) => Err(Failure::new("Couldn't find operator (one of: ['=', '-', '+'])")),
    }
}

/// Reads what getcap prints of a path: `/x cap_a,cap_b=ep`, in older versions `/x = cap_a,cap_b+ep`.
fn parse_list(printed: &str, path: &str) -> Vec<Capability> {
    let list = printed.trim().strip_prefix(path).unwrap_or_default().trim();
    let list = list.strip_prefix("= ").unwrap_or(list).to_lowercase();
    let mut all = Vec::new();
    for group in list.split_whitespace().filter(|group| *group != "=") {
        let Some(last) = Capability::parse(group) else { continue };
        for name in last.name.split(',') {
            all.push(Capability { name: name.to_string(), set: last.set.clone() });
        }
    }
    all
}

fn text(list: &[Capability]) -> String {
    list.iter().map(|cap| format!("{}{}", cap.name, cap.set)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    fn check(capability: &str, state: &str, caps: &str, set: &str) {
        let given = args(&[("path", "/foo"), ("capability", capability), ("state", state)]);
        let seen = format!("caps %{}\n", crate::modules::hex(caps.as_bytes()));
        let prediction = Case::new(&Capabilities, given).plan(seen).unwrap();
        let script = scripts(&prediction).concat();
        let line = script.lines().nth(1).unwrap_or_default();
        let expect = if set == "-" { String::new() } else { format!("xp_tool setcap '{set}' '/foo'") };
        assert_eq!(line, expect, "{capability} {caps}");
    }

    #[test]
    fn gives_and_takes() {
        check("cap_chown+ep", "present", "/foo", "cap_chown+ep");
        check("CAP_CHOWN=ep", "present", "/foo cap_chown=ep", "-");
        check("cap_chown+ep", "present", "/foo = cap_chown+ep", "-");
        check("cap_chown+pe", "present", "/foo cap_chown=ep", "-");
        check("cap_chown+p", "present", "/foo cap_chown=ep", "cap_chown+p");
        check("cap_chown+ep", "present", "/foo = cap_chown,cap_kill+i", "cap_kill+i cap_chown+ep");
        check("cap_chown", "absent", "/foo cap_chown,cap_kill=ep", "cap_kill=ep");
        check("cap_chown+ep", "absent", "/foo", "-");
    }

    #[test]
    fn failures() {
        let fails = |capability: &str, seen: &str, expect: &str| {
            let case = Case::new(&Capabilities, args(&[("path", "/foo"), ("capability", capability)]));
            assert_eq!(case.plan(seen).unwrap_err().msg, expect);
        };
        fails("cap_chown", "", "Couldn't find operator (one of: ['=', '-', '+'])");
        fails("cap_chown+p", "absent yes\n", "Unable to get capabilities of /foo: there is no such file");
    }
}
