//! `seport`: which type of SELinux ports of the network have.

use super::seboolean::{ENABLED, needs_selinux};
use super::sh::{Report, q};
use super::write::named_diff;
use super::{Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Seen, Thing, Touch};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "seport",
    namespaces: &["community.general"],
    about: "Says which type of SELinux ports have.",
    args: &[
        ArgSpec::new("ports", ArgKind::StrList, "Ports, and ranges such as 8080-8090.").required(),
        ArgSpec::new("proto", ArgKind::Str, "The protocol.")
            .required()
            .choices(&["tcp", "udp", "dccp", "sctp"]),
        ArgSpec::new("setype", ArgKind::Str, "The type.").required(),
        ArgSpec::new("state", ArgKind::Str, "Whether the ports are to have it.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("reload", ArgKind::Bool, "Load the policy again.").default("yes"),
        ArgSpec::new("ignore_selinux_state", ArgKind::Bool, "Also where SELinux is off.").default("no"),
        ArgSpec::new("local", ArgKind::Bool, "Only what this host added to the policy counts.").default("no"),
    ],
    returns: &[
        ("ports", "the argument"),
        ("proto", "the argument"),
        ("setype", "the argument"),
        ("state", "the argument"),
    ],
    own_check: Some(check_ports),
    ..ModuleSpec::BASE
};

pub struct Seport;

/// A range of ports with its type.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    kind: String,
    low: u32,
    high: u32,
}

fn range(text: &str) -> Option<(u32, u32)> {
    let (low, high) = text.trim().split_once('-').unwrap_or((text.trim(), text.trim()));
    Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
}

fn check_ports(given: &Map) -> Result<(), Failure> {
    let texts: Vec<String> = match given.get("ports") {
        Some(Value::List(list)) => list.iter().filter(|v| !v.is_unknown()).map(Value::to_text).collect(),
        Some(Value::Str(text)) => text.split(',').map(str::to_string).collect(),
        _ => Vec::new(),
    };
    match texts.iter().find(|text| range(text).is_none_or(|(low, high)| low > high || high > 65535)) {
        Some(wrong) => Err(Failure::new(format!("\"{wrong}\" is no port and no range of ports"))),
        None => Ok(()),
    }
}

/// Reads a list of `semanage port`: type, protocol, ports.
fn ranges(lines: &str, proto: &str) -> Vec<Range> {
    let mut all = Vec::new();
    for line in lines.lines() {
        let mut words = line.split_whitespace();
        let (Some(kind), Some(of)) = (words.next(), words.next()) else { continue };
        if of != proto {
            continue;
        }
        for text in words {
            if let Some((low, high)) = range(text.trim_end_matches(',')) {
                all.push(Range { kind: kind.to_string(), low, high });
            }
        }
    }
    all
}

impl Module for Seport {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, _: &Call) -> Result<Option<String>, Failure> {
        Ok(Some(format!(
            "{ENABLED}LC_ALL=C; export LC_ALL\ncommand -v semanage >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\n\
             xp_tell all \"$(semanage port -l -n)\"\nxp_tell own \"$(semanage port -l -n -C)\"\n"
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        needs_selinux(
            call,
            &report,
            "there is no semanage on the target; install policycoreutils-python-utils",
        )?;
        let get = |name: &str| args.str(name).unwrap_or_default();
        let (proto, setype) = (get("proto"), get("setype"));
        let thing = Thing { kind: "seport", name: proto.to_string() };
        call.needs_same(&thing)?;
        let absent = get("state") == "absent";
        let list = |tag: &str| ranges(&report.word(tag).unwrap_or_default(), proto);
        let all = list("all");
        let added = list("own");
        let counting = if args.flag("local") { &added } else { &all };
        let reload = if args.flag("reload") { "" } else { " -N" };
        let mut script = String::new();
        let (mut before, mut after) = (Map::new(), Map::new());
        for port in args.texts("ports") {
            let Some((low, high)) = range(&port) else { continue };
            let port = port.trim();
            let mut own = counting.iter().filter(|range| range.kind == setype);
            let exact = all.iter().find(|range| (range.low, range.high) == (low, high));
            let name =
                |range: Option<&Range>| range.map_or(Value::Null, |range| Value::str(range.kind.as_str()));
            if absent {
                if own.any(|range| (range.low, range.high) == (low, high)) {
                    if !added.iter().any(|range| (range.low, range.high) == (low, high)) {
                        return Err(Failure::new(format!(
                            "Port {proto}/{port} is defined in policy, cannot be deleted"
                        )));
                    }
                    add!(script, "xp_tool semanage port -d{reload} -p {proto} {}\n", q(port));
                    before.insert(port, setype);
                    after.insert(port, Value::Null);
                }
            } else if !own.any(|range| range.low <= low && high <= range.high) {
                let verb = if exact.is_some() { "-m" } else { "-a" };
                add!(
                    script,
                    "xp_tool semanage port {verb}{reload} -t {} -p {proto} {}\n",
                    q(setype),
                    q(port)
                );
                before.insert(port, name(exact));
                after.insert(port, setype);
            }
        }
        let result: Map = ["ports", "proto", "setype", "state"]
            .iter()
            .map(|key| (*key, args.get(key).cloned().unwrap_or(Value::Null)))
            .collect();
        if script.is_empty() {
            return Ok(Prediction::same(result));
        }
        Ok(Prediction::change(result, vec![Action::run(script)]).touch(Touch::Thing(thing)).diff(named_diff(
            &format!("types of {proto} ports"),
            Some(before),
            Some(after),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::hex;
    use crate::modules::testing::{Case, args, scripts};

    fn check(given: &[(&str, &str)], lines: &[&str]) {
        let mut given = given.to_vec();
        given.push(("proto", "tcp"));
        let all = "http_port_t                    tcp      80, 443, 8000-8010\nhttp_port_t udp 99\nssh_port_t tcp 22\n";
        let seen =
            format!("selinux on\nall %{0}\nown %{1}\n", hex(all.as_bytes()), hex(b"http_port_t tcp 443\n"));
        let prediction = Case::new(&Seport, args(&given)).plan(seen).unwrap();
        assert_eq!(scripts(&prediction).concat().lines().collect::<Vec<_>>(), lines, "{given:?}");
    }

    #[test]
    fn types_of_ports() {
        let http = ("setype", "http_port_t");
        check(&[http, ("ports", "80,8001-8009")], &[]);
        check(
            &[http, ("ports", "99,22"), ("reload", "no")],
            &[
                "xp_tool semanage port -a -N -t 'http_port_t' -p tcp '99'",
                "xp_tool semanage port -m -N -t 'http_port_t' -p tcp '22'",
            ],
        );
        check(
            &[http, ("ports", "443,8001"), ("state", "absent")],
            &["xp_tool semanage port -d -p tcp '443'"],
        );
        check(&[("setype", "ssh_port_t"), ("ports", "22"), ("state", "absent"), ("local", "yes")], &[]);
    }

    #[test]
    fn refuses_what_is_no_port() {
        let given = args(&[("ports", "80,http"), ("proto", "tcp"), ("setype", "x")]);
        let failure = Case::new(&Seport, given).plan("selinux on\n").unwrap_err();
        assert_eq!(failure.msg, "\"http\" is no port and no range of ports");
        let given = args(&[("ports", "80"), ("proto", "tcp"), ("setype", "x"), ("state", "absent")]);
        let failure = Case::new(&Seport, given).plan("selinux on\nall %7820746370203830\n").unwrap_err();
        assert_eq!(failure.msg, "Port tcp/80 is defined in policy, cannot be deleted");
    }
}
