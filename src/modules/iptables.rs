//! `iptables`: rules, chains and policies of the kernel's packet filter, as they are now.

use super::sh::{Report, q};
use super::tool::missing;
use super::write::named_diff;
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen,
    Thing, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

const STR: ArgKind = ArgKind::Str;

static SPEC: ModuleSpec = ModuleSpec {
    name: "iptables",
    about: "Changes rules of the packet filter.",
    args: &[
        ArgSpec::new("table", STR, "The table.")
            .default("filter")
            .choices(&["filter", "nat", "mangle", "raw", "security"]),
        ArgSpec::new("state", STR, "Whether the rule is to be there.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("action", STR, "Where a new rule goes: to the end or to a number.")
            .default("append")
            .choices(&["append", "insert"]),
        ArgSpec::new("rule_num", STR, "The number for insert."),
        ArgSpec::new("ip_version", STR, "Which protocol.").default("ipv4").choices(&["ipv4", "ipv6", "both"]),
        ArgSpec::new("chain", STR, "The chain."),
        ArgSpec::new("chain_management", ArgKind::Bool, "Without a rule, make or remove the chain.")
            .default("no"),
        ArgSpec::new("protocol", STR, "The protocol."),
        ArgSpec::new("wait", STR, "Seconds to wait for the lock of other programs."),
        ArgSpec::new("source", STR, "The sender."),
        ArgSpec::new("destination", STR, "The receiver."),
        ArgSpec::new("tcp_flags", ArgKind::Dict, "flags and flags_set."),
        ArgSpec::new("match", ArgKind::StrList, "Extensions.").default(""),
        ArgSpec::new("jump", STR, "The target."),
        ArgSpec::new("gateway", STR, "Where TEE sends copies."),
        ArgSpec::new("log_prefix", STR, "What LOG puts in front."),
        ArgSpec::new("log_level", STR, "The level for LOG.").choices(&[
            "0", "1", "2", "3", "4", "5", "6", "7", "emerg", "alert", "crit", "error", "warning", "notice",
            "info", "debug",
        ]),
        ArgSpec::new("goto", STR, "The chain to go on in."),
        ArgSpec::new("in_interface", STR, "The interface that it came in by."),
        ArgSpec::new("out_interface", STR, "The interface that it goes out by."),
        ArgSpec::new("fragment", STR, "Second and further fragments."),
        ArgSpec::new("set_counters", STR, "The rule's counters."),
        ArgSpec::new("source_port", STR, "The sender's port."),
        ArgSpec::new("destination_port", STR, "The receiver's port."),
        ArgSpec::new("destination_ports", ArgKind::StrList, "Several ports of the receiver.").default(""),
        ArgSpec::new("to_ports", STR, "Ports to send on to."),
        ArgSpec::new("to_destination", STR, "The receiver that DNAT sets."),
        ArgSpec::new("to_source", STR, "The sender that SNAT sets."),
        ArgSpec::new("syn", STR, "New TCP connections.")
            .default("ignore")
            .choices(&["ignore", "match", "negate"]),
        ArgSpec::new("set_dscp_mark", STR, "The mark that DSCP sets."),
        ArgSpec::new("set_dscp_mark_class", STR, "The class that DSCP sets."),
        ArgSpec::new("comment", STR, "A comment."),
        ArgSpec::new("ctstate", ArgKind::StrList, "States of connections.").default(""),
        ArgSpec::new("src_range", STR, "A range of senders."),
        ArgSpec::new("dst_range", STR, "A range of receivers."),
        ArgSpec::new("match_set", STR, "A set of addresses."),
        ArgSpec::new("match_set_flags", STR, "What of a packet is looked up in the set.")
            .choices(&["src", "dst", "src,dst", "dst,src", "src,src", "dst,dst"]),
        ArgSpec::new("limit", STR, "The highest rate."),
        ArgSpec::new("limit_burst", STR, "How many before the rate counts."),
        ArgSpec::new("uid_owner", STR, "The user who sends."),
        ArgSpec::new("gid_owner", STR, "The group who sends."),
        ArgSpec::new("reject_with", STR, "What REJECT answers."),
        ArgSpec::new("icmp_type", STR, "The type of ICMP."),
        ArgSpec::new("flush", ArgKind::Bool, "Remove all rules of the chain or table.").default("no"),
        ArgSpec::new("policy", STR, "The chain's policy.").choices(&["ACCEPT", "DROP", "QUEUE", "RETURN"]),
        ArgSpec::new("numeric", ArgKind::Bool, "Look up no names while listing.").default("no"),
    ],
    rules: &[
        Rule::Exclusive(&["set_dscp_mark", "set_dscp_mark_class"]),
        Rule::If { arg: "jump", value: "TEE", needs: &["gateway"] },
        Rule::If { arg: "jump", value: "tee", needs: &["gateway"] },
        Rule::If { arg: "flush", value: "False", needs: &["chain"] },
    ],
    returns: &[
        ("rule", "the rule as options of iptables"),
        ("chain", "the chain"),
        ("table", "the table"),
        ("state", "the argument"),
        ("flush", "the argument"),
        ("ip_version", "the argument"),
        ("wait", "the argument"),
        ("chain_management", "the argument"),
    ],
    ..ModuleSpec::BASE
};

pub struct Iptables;

impl Module for Iptables {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let task = Task::of(args)?;
        let mut script = String::new();
        for program in programs(args) {
            add!(
                script,
                "command -v {program} >/dev/null 2>&1 || {{ printf 'missing {program}\\n'; exit 0; }}\n{}",
                wait(args, program)
            );
            let rule = task.quoted();
            let list = if args.flag("numeric") { " --numeric" } else { "" };
            match task.kind {
                Kind::Flush => {}
                Kind::Policy | Kind::Chain => add!(
                    script,
                    "if xp_o=$({}{list} 2>/dev/null); then printf '{program} there %s\\n' \"$(printf '%s\\n' \"$xp_o\" | sed -n '1s/.*(policy \\([A-Z]*\\).*/\\1/p')\"; else printf '{program} absent\\n'; fi\n",
                    task.command(args, program, "-L", false)
                ),
                Kind::Rule => add!(
                    script,
                    "if {}{rule} >/dev/null 2>&1; then printf '{program} there\\n'; else printf '{program} absent\\n'; fi\n",
                    task.command(args, program, "-C", false)
                ),
            }
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let task = Task::of(args)?;
        if let Some(program) = report.get("missing") {
            return Err(missing(call, format!("there is no {program} on the target; install iptables")));
        }
        let mut result = Map::new();
        for key in ["ip_version", "table", "chain", "flush", "state", "chain_management", "wait"] {
            result.insert(key, args.get(key).cloned().unwrap_or(Value::Null));
        }
        result.insert("rule", task.rule.join(" "));
        if call.world.thing(&Thing { kind: "iptables", name: String::new() }).is_some()
            && task.kind != Kind::Flush
        {
            // Earlier steps change rules: what is there then cannot be told from what is there now.
            let cause = "an earlier step changes rules of the packet filter";
            return Err(Failure::unknown(crate::value::Unknown { cause: cause.into() }));
        }
        let present = args.str("state") != Some("absent");
        let mut script = String::new();
        let mut before = Map::new();
        let mut after = Map::new();
        let mut changed = false;
        for program in programs(args) {
            let seen = report.get(program).unwrap_or("absent");
            let there = seen.starts_with("there");
            let step = match task.kind {
                Kind::Flush => Some(task.command(args, program, "-F", false)),
                Kind::Policy => {
                    let now = seen.split(' ').nth(1).filter(|p| !p.is_empty());
                    let now = now.ok_or_else(|| Failure::new("Can't detect current policy"))?;
                    let wanted = args.str("policy").unwrap_or_default();
                    before.insert(program, now);
                    after.insert(program, wanted);
                    (now != wanted).then(|| format!("{} {wanted}", task.command(args, program, "-P", false)))
                }
                Kind::Chain if there != present => {
                    changed = true;
                    before.insert(program, if there { "chain" } else { "no chain" });
                    after.insert(program, if present { "chain" } else { "no chain" });
                    let verb = if present { "-N" } else { "-X" };
                    args.flag("chain_management").then(|| task.command(args, program, verb, false))
                }
                Kind::Rule if there != present => {
                    before.insert(program, if there { "rule" } else { "no rule" });
                    after.insert(program, if present { "rule" } else { "no rule" });
                    let insert = args.str("action") == Some("insert");
                    let verb = if !present {
                        "-D"
                    } else if insert {
                        "-I"
                    } else {
                        "-A"
                    };
                    Some(format!("{}{}", task.command(args, program, verb, insert && present), task.quoted()))
                }
                Kind::Chain | Kind::Rule => None,
            };
            if let Some(step) = step {
                changed = true;
                add!(script, "{}xp_tool {step}\n", wait(args, program));
            }
        }
        if !changed {
            return Ok(Prediction::same(result));
        }
        let what = format!(
            "{} {} {}",
            args.str("table").unwrap_or_default(),
            args.str("chain").unwrap_or("all chains"),
            task.rule.join(" ")
        );
        Ok(Prediction::change(result, vec![Action::run(script)])
            .touch(Touch::Thing(Thing { kind: "iptables", name: String::new() }))
            .diff(named_diff(what.trim_end(), Some(before), Some(after))))
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if let Some(output) = ran.iter().find(|o| o.rc != 0) {
            return Err(Failure::from_output(output));
        }
        Ok(prediction.into_outcome())
    }
}

fn programs(args: &Args) -> Vec<&'static str> {
    match args.str("ip_version") {
        Some("ipv6") => vec!["ip6tables"],
        Some("both") => vec!["iptables", "ip6tables"],
        _ => vec!["iptables"],
    }
}

/// Sets `xp_w` to the option that waits for the lock, where the version knows it.
fn wait(args: &Args, program: &str) -> String {
    match args.str("wait") {
        None | Some("") => String::new(),
        Some(secs) => format!(
            "xp_w=\nset -- $({program} --version 2>/dev/null | sed 's/^[^0-9]*\\([0-9]*\\)\\.\\([0-9]*\\).*/\\1 \\2/')\n\
             if [ \"${{1:-0}}\" -gt 1 ] || [ \"${{2:-0}}\" -ge 6 ]; then xp_w=\"-w \"{}; fi\n",
            q(secs)
        ),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flush,
    Policy,
    Chain,
    Rule,
}

struct Task {
    kind: Kind,
    rule: Vec<String>,
}

impl Task {
    fn of(args: &Args) -> Result<Task, Failure> {
        for name in ["set_dscp_mark", "set_dscp_mark_class"] {
            if args.has(name) && !args.has("jump") {
                return Err(Failure::new(format!("missing parameter(s) required by '{name}': jump")));
            }
        }
        if args.flag("flush") && args.has("policy") {
            return Err(Failure::new("parameters are mutually exclusive: flush|policy"));
        }
        let logs = args.has("log_prefix") || args.has("log_level");
        if logs && args.str("jump").is_some_and(|j| j != "LOG") {
            return Err(Failure::new("Logging options can only be used with the LOG jump target."));
        }
        let rule = rule(args);
        let kind = match () {
            () if args.flag("flush") => Kind::Flush,
            () if args.has("policy") => Kind::Policy,
            () if rule.is_empty() => Kind::Chain,
            () => Kind::Rule,
        };
        Ok(Task { kind, rule })
    }

    fn quoted(&self) -> String {
        self.rule.iter().map(|w| format!(" {}", q(w))).collect()
    }

    fn command(&self, args: &Args, program: &str, verb: &str, numbered: bool) -> String {
        let mut line = format!("{program} -t {} {verb}", args.str("table").unwrap_or_default());
        if let Some(chain) = args.str("chain") {
            add!(line, " {}", q(chain));
        }
        if let Some(number) = args.str("rule_num").filter(|_| numbered) {
            add!(line, " {}", q(number));
        }
        if args.has("wait") {
            line += " ${xp_w-}";
        }
        line
    }
}

/// Returns the rule as options.
fn rule(args: &Args) -> Vec<String> {
    let mut rule: Vec<String> = Vec::new();
    let list =
        |name: &str| -> Vec<String> { args.texts(name).into_iter().filter(|t| !t.is_empty()).collect() };
    let matches = list("match");
    let has_match = |name: &str| matches.iter().any(|m| m == name);
    let jump = match args.str("jump") {
        None if args.has("log_prefix") || args.has("log_level") => Some("LOG"),
        other => other,
    };
    let mut push = |words: &[&str]| rule.extend(words.iter().map(|w| (*w).to_string()));
    let option = |push: &mut dyn FnMut(&[&str]), value: Option<&str>, flag: &str| {
        let Some(value) = value else { return };
        match value.strip_prefix('!') {
            Some(rest) => push(&["!", flag, rest]),
            None => push(&[flag, value]),
        }
    };
    for (name, flag) in [("protocol", "-p"), ("source", "-s"), ("destination", "-d")] {
        option(&mut push, args.str(name), flag);
    }
    for name in &matches {
        option(&mut push, Some(name), "-m");
    }
    if let Some(Value::Map(flags)) = args.get("tcp_flags") {
        let join = |key: &str| match flags.get(key) {
            Some(Value::List(items)) => Some(items.iter().map(Value::to_text).collect::<Vec<_>>().join(",")),
            Some(other) => Some(other.to_text()),
            None => None,
        };
        if let (Some(all), Some(set)) = (join("flags"), join("flags_set")) {
            push(&["--tcp-flags", &all, &set]);
        }
    }
    option(&mut push, jump, "-j");
    if jump.is_some_and(|j| j.eq_ignore_ascii_case("tee")) {
        option(&mut push, args.str("gateway"), "--gateway");
    }
    for (name, flag) in
        [("log_prefix", "--log-prefix"), ("log_level", "--log-level"), ("to_destination", "--to-destination")]
    {
        option(&mut push, args.str(name), flag);
    }
    let ports = list("destination_ports");
    if !ports.is_empty() {
        push(&["-m", "multiport", "--dports", &ports.join(",")]);
    }
    for (name, flag) in [
        ("to_source", "--to-source"),
        ("goto", "-g"),
        ("in_interface", "-i"),
        ("out_interface", "-o"),
        ("fragment", "-f"),
        ("set_counters", "-c"),
        ("source_port", "--source-port"),
        ("destination_port", "--destination-port"),
        ("to_ports", "--to-ports"),
    ] {
        option(&mut push, args.str(name), flag);
    }
    for (name, flag) in [("set_dscp_mark", "--set-dscp"), ("set_dscp_mark_class", "--set-dscp-class")] {
        option(&mut push, args.str(name), flag);
        if args.has(name) && !jump.is_some_and(|j| j.eq_ignore_ascii_case("dscp")) {
            push(&["-j", "DSCP"]);
        }
    }
    let flag = |push: &mut dyn FnMut(&[&str]), value: Option<&str>, flag: &str| match value {
        Some("match") => push(&[flag]),
        Some("negate") => push(&["!", flag]),
        _ => {}
    };
    flag(&mut push, args.str("syn"), "--syn");
    let states = list("ctstate").join(",");
    if !states.is_empty() {
        if has_match("conntrack") {
            push(&["--ctstate", &states]);
        } else if has_match("state") {
            push(&["--state", &states]);
        } else {
            push(&["-m", "conntrack", "--ctstate", &states]);
        }
    }
    if !has_match("iprange") && (args.has("src_range") || args.has("dst_range")) {
        push(&["-m", "iprange"]);
    }
    option(&mut push, args.str("src_range"), "--src-range");
    option(&mut push, args.str("dst_range"), "--dst-range");
    if args.has("match_set") {
        if !has_match("set") {
            push(&["-m", "set"]);
        }
        option(&mut push, args.str("match_set"), "--match-set");
        if let Some(flags) = args.str("match_set_flags") {
            push(&[flags]);
        }
    }
    if args.has("limit") || args.has("limit_burst") {
        push(&["-m", "limit"]);
    }
    option(&mut push, args.str("limit"), "--limit");
    option(&mut push, args.str("limit_burst"), "--limit-burst");
    for (name, word) in [("uid_owner", "--uid-owner"), ("gid_owner", "--gid-owner")] {
        if args.has(name) {
            push(&["-m", "owner"]);
            option(&mut push, args.str(name), word);
        }
    }
    if jump.is_none() && args.has("reject_with") {
        push(&["-j", "REJECT"]);
    }
    option(&mut push, args.str("reject_with"), "--reject-with");
    let icmp = if args.str("ip_version") == Some("ipv6") { "--icmpv6-type" } else { "--icmp-type" };
    option(&mut push, args.str("icmp_type"), icmp);
    if args.has("comment") {
        push(&["-m", "comment"]);
        option(&mut push, args.str("comment"), "--comment");
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    fn check(given: &[(&str, &str)], seen: &str, lines: &[&str]) {
        let mut given = given.to_vec();
        given.push(("chain", "INPUT"));
        let prediction = Case::new(&Iptables, args(&given)).plan(seen).unwrap();
        let script = scripts(&prediction).concat();
        let found: Vec<&str> = script.lines().filter(|l| l.starts_with("xp_tool ")).collect();
        assert_eq!(found, lines, "{given:?}");
    }

    #[test]
    fn rules() {
        let ssh = [("protocol", "tcp"), ("destination_port", "22"), ("jump", "ACCEPT"), ("comment", "a b")];
        let words = "'-p' 'tcp' '-j' 'ACCEPT' '--destination-port' '22' '-m' 'comment' '--comment' 'a b'";
        check(&ssh, "iptables there\n", &[]);
        check(&ssh, "iptables absent\n", &[&format!("xp_tool iptables -t filter -A 'INPUT' {words}")]);
        let mut first = ssh.to_vec();
        first.extend([("action", "insert"), ("rule_num", "1"), ("ip_version", "both"), ("wait", "5")]);
        check(
            &first,
            "iptables there\nip6tables absent\n",
            &[&format!("xp_tool ip6tables -t filter -I 'INPUT' '1' ${{xp_w-}} {words}")],
        );
        let mut gone = ssh.to_vec();
        gone.push(("state", "absent"));
        check(&gone, "iptables there\n", &[&format!("xp_tool iptables -t filter -D 'INPUT' {words}")]);
        check(
            &[
                ("ctstate", "ESTABLISHED,RELATED"),
                ("source", "!10.0.0.0/8"),
                ("syn", "negate"),
                ("reject_with", "tcp-reset"),
            ],
            "iptables absent\n",
            &[
                "xp_tool iptables -t filter -A 'INPUT' '!' '-s' '10.0.0.0/8' '!' '--syn' '-m' 'conntrack' '--ctstate' 'ESTABLISHED,RELATED' '-j' 'REJECT' '--reject-with' 'tcp-reset'",
            ],
        );
    }

    #[test]
    fn chains_and_policies() {
        check(
            &[("policy", "DROP")],
            "iptables there ACCEPT\n",
            &["xp_tool iptables -t filter -P 'INPUT' DROP"],
        );
        check(&[("policy", "DROP")], "iptables there DROP\n", &[]);
        check(&[("flush", "yes")], "", &["xp_tool iptables -t filter -F 'INPUT'"]);
        check(
            &[("chain_management", "yes")],
            "iptables absent\n",
            &["xp_tool iptables -t filter -N 'INPUT'"],
        );
        check(
            &[("chain_management", "yes"), ("state", "absent")],
            "iptables there \n",
            &["xp_tool iptables -t filter -X 'INPUT'"],
        );
    }

    #[test]
    fn refusals() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(Case::new(&Iptables, args(given)).plan(seen).unwrap_err().msg, expect);
        };
        fails(&[], "", "flush is False but all of the following are missing: chain");
        fails(
            &[("chain", "X"), ("jump", "DROP"), ("log_level", "info")],
            "",
            "Logging options can only be used with the LOG jump target.",
        );
        fails(
            &[("chain", "X"), ("jump", "DROP")],
            "missing iptables\n",
            "there is no iptables on the target; install iptables",
        );
    }
}
