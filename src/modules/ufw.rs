//! `ufw`: the firewall of Ubuntu and Debian.
//!
//! What a rule would change is what ufw itself says in a dry run, which prints the rules as its files would hold them.

use super::sh::{Report, q};
use super::tool::missing;
use super::write::{attr_diff, content_diff};
use super::{
    Action, ArgKind, ArgSpec, Args, Call, DiffSide, Failure, Module, ModuleSpec, Outcome, Prediction, Rule,
    Seen, Thing, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "ufw",
    namespaces: &["community.general"],
    about: "Manages the firewall ufw.",
    args: &[
        ArgSpec::new("state", ArgKind::Str, "Whether it is on; reloaded and reset do so in every run.")
            .choices(&["enabled", "disabled", "reloaded", "reset"]),
        ArgSpec::new("default", ArgKind::Str, "What becomes of packets that no rule is about.")
            .aliases(&["policy"])
            .choices(&["allow", "deny", "reject"]),
        ArgSpec::new("logging", ArgKind::Str, "What is logged.")
            .choices(&["full", "high", "low", "medium", "off", "on"]),
        ArgSpec::new("direction", ArgKind::Str, "Which packets are meant.")
            .choices(&["in", "incoming", "out", "outgoing", "routed"]),
        ArgSpec::new("delete", ArgKind::Bool, "Remove the rule.").default("no"),
        ArgSpec::new("route", ArgKind::Bool, "The rule is for packets that are passed on.").default("no"),
        ArgSpec::new("insert", ArgKind::Int, "The number that the rule is to have."),
        ArgSpec::new("insert_relative_to", ArgKind::Str, "What the number counts from.")
            .default("zero")
            .choices(&["zero", "first-ipv4", "last-ipv4", "first-ipv6", "last-ipv6"]),
        ArgSpec::new("rule", ArgKind::Str, "What becomes of packets that it is about.")
            .choices(&["allow", "deny", "limit", "reject"]),
        ArgSpec::new("interface", ArgKind::Str, "The interface.").aliases(&["if"]),
        ArgSpec::new("interface_in", ArgKind::Str, "The interface that they come by.").aliases(&["if_in"]),
        ArgSpec::new("interface_out", ArgKind::Str, "The interface that they go by.").aliases(&["if_out"]),
        ArgSpec::new("log", ArgKind::Bool, "Log connections that the rule is about.").default("no"),
        ArgSpec::new("from_ip", ArgKind::Str, "Where they come from.")
            .default("any")
            .aliases(&["from", "src"]),
        ArgSpec::new("from_port", ArgKind::Str, "The port that they come from."),
        ArgSpec::new("to_ip", ArgKind::Str, "Where they go.").default("any").aliases(&["dest", "to"]),
        ArgSpec::new("to_port", ArgKind::Str, "The port that they go to.").aliases(&["port"]),
        ArgSpec::new("proto", ArgKind::Str, "The protocol.")
            .aliases(&["protocol"])
            .choices(&["ah", "any", "esp", "ipv6", "tcp", "udp", "gre", "igmp", "vrrp"]),
        ArgSpec::new("name", ArgKind::Str, "A profile of an application.").aliases(&["app"]),
        ArgSpec::new("comment", ArgKind::Str, "A comment to the rule."),
    ],
    rules: &[
        Rule::OneOf(&["state", "default", "rule", "logging"]),
        Rule::Exclusive(&["name", "proto", "logging"]),
        Rule::Exclusive(&["direction", "interface_in"]),
        Rule::Exclusive(&["direction", "interface_out"]),
    ],
    returns: &[("commands", "the commands"), ("msg", "the firewall's state afterwards")],
    ..ModuleSpec::BASE
};

pub struct Ufw;

/// The files that hold the rules that people made.
const RULES: &str = "/lib/ufw/user.rules /lib/ufw/user6.rules /etc/ufw/user.rules /etc/ufw/user6.rules \
                     /var/lib/ufw/user.rules /var/lib/ufw/user6.rules";

const PATHS: &str = "PATH=$PATH:/usr/sbin:/sbin; LC_ALL=C; LANGUAGE=C; export PATH LC_ALL LANGUAGE\n";

impl Module for Ufw {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let mut script = format!(
            "{PATHS}command -v ufw >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\n\
             xp_o=$(ufw status verbose 2>&1) || xp_fail \"$xp_o\"\nxp_tell status \"$xp_o\"\n\
             xp_tell rules \"$(grep -h '^### tuple' {RULES} 2>/dev/null)\"\n\
             xp_tell settings \"$(grep -hE '^(DEFAULT_(INPUT|OUTPUT|FORWARD)_POLICY|LOGLEVEL)=' /etc/default/ufw /etc/ufw/ufw.conf 2>/dev/null)\"\n\
             printf 'version %s\\n' \"$(ufw --version | sed -n 's/^ufw[^0-9]*\\([0-9.]*\\).*/\\1/p' | head -n 1)\"\n"
        );
        if args.has("rule") {
            if relative(args).is_some() {
                script += "xp_tell numbered \"$(ufw status numbered 2>/dev/null)\"\n";
            }
            // The number of a relative place is known after a look only: without it a rule is as new as with it.
            add!(
                script,
                "{COMMENTS}xp_o=$(ufw --dry-run {} 2>&1); printf 'rc %s\\n' $?; xp_tell dry \"$xp_o\"\n",
                rule(args, insert(args, None)?, Comment::Where)
            );
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let thing = Thing { kind: "firewall", name: "ufw".to_string() };
        if let Some(unknown) = call.world.thing(&thing) {
            return Err(Failure::unknown(unknown));
        }
        let report = Report::of(seen)?;
        if report.get("missing").is_some() {
            return Err(missing(call, "Failed to find required executable \"ufw\" on the target"));
        }
        let now = State::of(&report);
        let mut work = Work::default();
        if let Some(state) = args.str("state") {
            work.state(state, &now);
        }
        if let Some(default) = args.str("default") {
            work.policy(default, args.str("direction"), &now)?;
        }
        if args.has("rule") {
            work.rule(args, &report)?;
        }
        if let Some(level) = args.str("logging") {
            work.logging(level, &now);
        }
        let mut result = Map::from_iter([("commands", Value::from(work.commands.clone()))]);
        let status = report.word("status").unwrap_or_default();
        if work.script.is_empty() {
            result.insert("msg", status.trim_end());
            return Ok(Prediction::same(result));
        }
        result.insert("msg", Value::unknown("the state of the firewall after the change"));
        let script = format!("{PATHS}{COMMENTS}{}xp_tell msg \"$(ufw status verbose 2>&1)\"\n", work.script);
        let mut prediction = Prediction::change(result, vec![Action::run(script)]).touch(Touch::Thing(thing));
        if !work.after.is_empty() {
            prediction = prediction.diff(attr_diff("ufw", work.before, work.after));
        }
        if let Some((before, after)) = work.rules {
            let diff = content_diff("rules of ufw", DiffSide::Text(before), DiffSide::Text(after));
            prediction = prediction.diff(diff);
        }
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let mut outcome = prediction.into_outcome();
        for output in ran {
            if output.rc != 0 {
                return Err(Failure::from_output(output));
            }
            if let Some(status) = Report::parse(&output.stdout).word("msg") {
                outcome.result.insert("msg", status.trim_end());
            }
        }
        Ok(outcome)
    }
}

/// Sets `xp_comments` where ufw knows comments, since 0.35.
const COMMENTS: &str = "xp_comments=$(ufw --version | sed -n 's/^ufw[^0-9]*\\([0-9]*\\)\\.\\([0-9]*\\).*/\\1 \\2/p' | head -n 1)\n\
case $xp_comments in '0 '?|'0 '[12]?|'0 3'[0-4]|'') xp_comments= ;; esac\n";

/// What the firewall is like.
#[derive(Debug, Default)]
struct State {
    active: bool,
    /// The level of logging, off or on among them.
    logging: Option<String>,
    incoming: Option<String>,
    outgoing: Option<String>,
    routed: Option<String>,
}

impl State {
    /// Reads what ufw tells; what it does not tell while it is off is read from its settings.
    fn of(report: &Report) -> State {
        let status = report.word("status").unwrap_or_default();
        let settings = report.word("settings").unwrap_or_default();
        let setting = |name: &str| {
            let value = settings.lines().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
            Some(value.trim_matches(['"', '\'']).to_lowercase())
        };
        let policy = |name: &str| {
            setting(name).map(|word| match word.as_str() {
                "accept" => "allow".to_string(),
                "drop" => "deny".to_string(),
                other => other.to_string(),
            })
        };
        let mut state = State {
            active: status.lines().any(|line| line.trim() == "Status: active"),
            logging: setting("LOGLEVEL"),
            incoming: policy("DEFAULT_INPUT_POLICY"),
            outgoing: policy("DEFAULT_OUTPUT_POLICY"),
            routed: policy("DEFAULT_FORWARD_POLICY"),
        };
        for line in status.lines() {
            if let Some(rest) = line.strip_prefix("Logging: ") {
                let level = rest.split_once('(').map(|(_, level)| level.trim_end_matches(')'));
                state.logging =
                    Some(if rest.starts_with("off") { "off" } else { level.unwrap_or("on") }.to_string());
            }
            if let Some(rest) = line.strip_prefix("Default: ") {
                for part in rest.split(", ") {
                    let Some((word, which)) = part.split_once(' ') else { continue };
                    let slot = match which {
                        "(incoming)" => &mut state.incoming,
                        "(outgoing)" => &mut state.outgoing,
                        _ => &mut state.routed,
                    };
                    if word != "disabled" {
                        *slot = Some(word.to_string());
                    }
                }
            }
        }
        state
    }
}

#[derive(Default)]
struct Work {
    /// As people would type them.
    commands: Vec<String>,
    script: String,
    before: Map,
    after: Map,
    rules: Option<(String, String)>,
}

impl Work {
    fn run(&mut self, command: &str) {
        self.commands.push(format!("ufw {}", command.replace('\'', "")));
        add!(self.script, "xp_tool ufw {command}\n");
    }

    fn differs(&mut self, what: &str, before: &str, after: &str) {
        self.before.insert(what, before);
        self.after.insert(what, after);
    }

    fn state(&mut self, state: &str, now: &State) {
        let word = |active: bool| if active { "enabled" } else { "disabled" };
        match state {
            "enabled" if !now.active => self.run("-f enable"),
            "disabled" if now.active => self.run("-f disable"),
            "reloaded" => self.run("-f reload"),
            "reset" => self.run("-f reset"),
            _ => return,
        }
        self.differs("state", word(now.active), state);
    }

    fn policy(&mut self, policy: &str, direction: Option<&str>, now: &State) -> Result<(), Failure> {
        let (direction, current) = match direction {
            None | Some("incoming") => ("incoming", &now.incoming),
            Some("outgoing") => ("outgoing", &now.outgoing),
            Some("routed") => ("routed", &now.routed),
            Some(_) => {
                return Err(Failure::new(
                    "For default, direction must be one of \"outgoing\", \"incoming\" and \"routed\", or direction must not be \
                     specified.",
                ));
            }
        };
        if current.as_deref() != Some(policy) {
            self.run(&format!("default {policy} {direction}"));
            self.differs(&format!("default ({direction})"), current.as_deref().unwrap_or("unknown"), policy);
        }
        Ok(())
    }

    fn logging(&mut self, level: &str, now: &State) {
        let current = now.logging.as_deref();
        let same = match level {
            "on" => current.is_some_and(|current| current != "off"),
            level => current == Some(level),
        };
        if !same {
            self.run(&format!("logging {level}"));
            self.differs("logging", current.unwrap_or("unknown"), level);
        }
    }

    fn rule(&mut self, args: &Args, report: &Report) -> Result<(), Failure> {
        if !matches!(args.str("direction"), None | Some("in" | "out")) {
            return Err(Failure::new(
                "For rules, direction must be one of \"in\" and \"out\", or direction must not be specified.",
            ));
        }
        if !args.flag("route") && args.has("interface_in") && args.has("interface_out") {
            return Err(Failure::new("Only route rules can combine interface_in and interface_out"));
        }
        let dry = report.word("dry").unwrap_or_default();
        if report.need("rc")? != "0" {
            return Err(Failure::new(dry.trim().to_string()));
        }
        let told: Vec<&str> = dry.lines().collect();
        let nothing = |line: &str| {
            line.contains("Skipping")
                || line.contains("Could not delete non-existent rule")
                || line.trim().is_empty()
        };
        if !told.is_empty() && told.iter().all(|line| nothing(line)) {
            return Ok(());
        }
        let now = report.word("rules").unwrap_or_default();
        let ends = [args.str("from_ip").unwrap_or_default(), args.str("to_ip").unwrap_or_default()];
        let is_v6 = |ip: &str| ip.contains(':');
        let is_v4 = |ip: &str| ip.starts_with(|c: char| c.is_ascii_digit()) && ip.contains('.');
        // A dry run prints the rules of one protocol only where an address says which.
        let counts: Box<dyn Fn(&str) -> bool> = if ends.iter().any(|ip| is_v4(ip)) {
            Box::new(move |line: &str| line.split_whitespace().any(is_v4))
        } else if ends.iter().any(|ip| is_v6(ip)) {
            Box::new(move |line: &str| line.split_whitespace().any(is_v6))
        } else {
            Box::new(|_: &str| true)
        };
        let tuples = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.starts_with("### tuple") && counts(line));
            lines.map(str::to_string).collect()
        };
        let (before, after) = (tuples(&now), tuples(&dry));
        if before == after {
            return Ok(());
        }
        let at = insert(args, report.word("numbered").as_deref())?;
        self.commands.push(format!("ufw {}", rule(args, at, Comment::Shown).replace('\'', "")));
        add!(self.script, "xp_tool ufw {}\n", rule(args, at, Comment::Where));
        let text = |lines: Vec<String>| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        self.rules = Some((text(before), text(after)));
        Ok(())
    }
}

fn relative(args: &Args) -> Option<&str> {
    args.str("insert_relative_to")
        .filter(|word| *word != "zero" && args.has("insert") && !args.flag("delete"))
}

/// Returns the number that a rule is put at; `numbered` is what ufw shows with numbers.
fn insert(args: &Args, numbered: Option<&str>) -> Result<Option<i128>, Failure> {
    let Some(number) = args.int("insert").filter(|_| !args.flag("delete")) else { return Ok(None) };
    let Some(relative) = relative(args) else { return Ok(Some(number)) };
    let Some(numbered) = numbered else { return Ok(None) };
    let mut lines: Vec<(i128, bool)> = Vec::new();
    for line in numbered.lines() {
        let Some((inside, rest)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) else {
            continue;
        };
        let Ok(at) = inside.trim().parse() else { continue };
        let is_v6 =
            rest.contains("(v6)") || rest.split_whitespace().any(|word| word.matches(':').count() > 1);
        lines.push((at, is_v6));
    }
    let of = |v6: bool| lines.iter().filter(move |(_, is)| *is == v6).map(|(at, _)| *at);
    let last = lines.iter().map(|(at, _)| *at).max().unwrap_or(0);
    let begin = match relative {
        "first-ipv4" => 1,
        "last-ipv4" => of(false).max().unwrap_or(1),
        "first-ipv6" => of(true).min().unwrap_or(of(false).max().map_or(1, |at| at + 1)),
        _ => of(true).max().unwrap_or(last + 1),
    };
    // ufw refuses numbers behind the last rule.
    Ok(Some(number + begin).filter(|at| *at <= last))
}

/// How a rule's comment is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comment {
    /// For people.
    Shown,
    /// For the target's shell: only where ufw knows comments.
    Where,
}

/// Returns the arguments that name a rule.
fn rule(args: &Args, insert: Option<i128>, how: Comment) -> String {
    let mut line = String::new();
    let mut add = |word: String| {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    };
    if args.flag("route") {
        add("route".into());
    }
    if args.flag("delete") {
        add("delete".into());
    }
    if let Some(number) = insert {
        add(format!("insert {number}"));
    }
    add(args.str("rule").unwrap_or_default().to_string());
    if let Some(direction) = args.str("direction") {
        add(direction.to_string());
    }
    for (name, before) in [("interface", "on"), ("interface_in", "in on"), ("interface_out", "out on")] {
        if let Some(interface) = args.str(name) {
            add(format!("{before} {}", q(interface)));
        }
    }
    if args.flag("log") {
        add("log".into());
    }
    for (name, word) in [
        ("from_ip", "from"),
        ("from_port", "port"),
        ("to_ip", "to"),
        ("to_port", "port"),
        ("proto", "proto"),
        ("name", "app"),
    ] {
        if let Some(value) = args.str(name) {
            add(format!("{word} {}", q(value)));
        }
    }
    if let Some(comment) = args.str("comment") {
        add(match how {
            Comment::Shown => format!("comment {}", q(comment)),
            Comment::Where => format!("${{xp_comments:+comment {}}}", q(comment)),
        });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::hex;
    use crate::modules::testing::{Case, args, scripts};

    const ACTIVE: &str =
        "Status: active\nLogging: on (low)\nDefault: deny (incoming), allow (outgoing), disabled (routed)\n";
    const SSH: &str = "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n";

    fn seen(status: &str, rules: &str, dry: &str) -> String {
        let word = |text: &str| format!("%{}", hex(text.as_bytes()));
        let settings = "DEFAULT_INPUT_POLICY=\"DROP\"\nLOGLEVEL=low\n";
        format!(
            "status {}\nrules {}\nsettings {}\nversion 0.36\nrc 0\ndry {}\n",
            word(status),
            word(rules),
            word(settings),
            word(dry)
        )
    }

    fn planned(given: &[(&str, &str)], seen: &str) -> Result<Vec<String>, String> {
        let prediction = Case::new(&Ufw, args(given)).plan(seen).map_err(|f| f.msg)?;
        let script = scripts(&prediction).concat();
        Ok(script.lines().filter_map(|line| line.strip_prefix("xp_tool ")).map(str::to_string).collect())
    }

    #[test]
    fn changes_what_differs() {
        let check = |given: &[(&str, &str)], seen: &str, expect: &[&str]| {
            assert_eq!(planned(given, seen).unwrap(), expect, "{given:?}");
        };
        let on = seen(ACTIVE, "", "");
        let off = seen("Status: inactive\n", "", "");
        check(&[("state", "enabled")], &on, &[]);
        check(&[("state", "enabled")], &off, &["ufw -f enable"]);
        check(&[("state", "disabled")], &off, &[]);
        check(&[("state", "reloaded")], &on, &["ufw -f reload"]);
        check(&[("default", "deny")], &on, &[]);
        check(&[("policy", "deny")], &off, &[]);
        check(&[("default", "reject"), ("direction", "outgoing")], &on, &["ufw default reject outgoing"]);
        check(&[("logging", "on")], &on, &[]);
        check(&[("logging", "low")], &off, &[]);
        check(&[("logging", "off")], &on, &["ufw logging off"]);
    }

    #[test]
    fn rules_by_a_dry_run() {
        let check = |given: &[(&str, &str)], rules: &str, dry: &str, expect: &[&str]| {
            assert_eq!(planned(given, &seen(ACTIVE, rules, dry)).unwrap(), expect, "{given:?}");
        };
        let ssh = [("rule", "allow"), ("port", "22"), ("proto", "tcp")];
        check(&ssh, "", SSH, &["ufw allow from 'any' to 'any' port '22' proto 'tcp'"]);
        check(&ssh, SSH, "Skipping adding existing rule\nSkipping adding existing rule (v6)\n", &[]);
        check(&ssh, SSH, SSH, &[]);
        let other = SSH.replace("22", "80");
        check(
            &[
                ("rule", "deny"),
                ("delete", "yes"),
                ("from", "10.0.0.0/8"),
                ("interface_in", "eth0"),
                ("comment", "it's"),
            ],
            &format!("{other}### tuple ### deny any any ::/0 any fe80::1 in\n"),
            "",
            &["ufw delete deny in on 'eth0' from '10.0.0.0/8' to 'any' ${xp_comments:+comment 'it'\\''s'}"],
        );
    }

    #[test]
    fn numbers() {
        let check = |relative: &str, insert: &str, expect: Option<i128>| {
            let given = args(&[("rule", "allow"), ("insert", insert), ("insert_relative_to", relative)]);
            let args = SPEC.check(&given).unwrap();
            let numbered = "     To\n[ 1] 22  ALLOW IN  Anywhere\n[ 2] 80  ALLOW IN  10.0.0.1\n[ 3] 22 (v6)  ALLOW IN  Anywhere (v6)\n";
            assert_eq!(super::insert(&args, Some(numbered)).unwrap(), expect, "{relative} {insert}");
        };
        check("zero", "5", Some(5));
        check("first-ipv4", "0", Some(1));
        check("last-ipv4", "0", Some(2));
        check("first-ipv6", "0", Some(3));
        check("last-ipv6", "1", None);
    }

    #[test]
    fn refuses() {
        let fails = |given: &[(&str, &str)], expect: &str| {
            assert_eq!(planned(given, &seen(ACTIVE, "", "")).unwrap_err(), expect, "{given:?}");
        };
        fails(&[], "one of the following is required: state, default, rule, logging");
        fails(
            &[("rule", "allow"), ("direction", "routed")],
            "For rules, direction must be one of \"in\" and \"out\", or direction must not be specified.",
        );
        fails(
            &[("rule", "allow"), ("if_in", "a"), ("if_out", "b")],
            "Only route rules can combine interface_in and interface_out",
        );
    }
}
