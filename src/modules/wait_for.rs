//! `wait_for`: waits for a port, a file or a text. One script on the target does all the waiting.

use super::sh::{Report, expand_path, q};
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Effect, Failure, Module, ModuleSpec, Outcome, Prediction, Rule,
    Run, Seen,
};
use crate::transport::Output;
use crate::value::python_regex::{Flags, Match, compile};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "wait_for",
    about: "Waits until a port, a file or a text in it is there, or is gone.",
    args: &[
        ArgSpec::new("host", ArgKind::Str, "The host of the port.").default("127.0.0.1"),
        ArgSpec::new("port", ArgKind::Int, "The port."),
        ArgSpec::new("path", ArgKind::Path, "The file."),
        ArgSpec::new("search_regex", ArgKind::Str, "A text in the file, or in what the port says."),
        ArgSpec::new("state", ArgKind::Str, "What to wait for.")
            .default("started")
            .choices(&["absent", "drained", "present", "started", "stopped"]),
        ArgSpec::new("timeout", ArgKind::Int, "Seconds until it is a failure.").default("300"),
        ArgSpec::new("connect_timeout", ArgKind::Int, "Seconds for one try.").default("5"),
        ArgSpec::new("delay", ArgKind::Int, "Seconds before the first try.").default("0"),
        ArgSpec::new("sleep", ArgKind::Int, "Seconds between tries.").default("1"),
        ArgSpec::new("exclude_hosts", ArgKind::StrList, "With drained: hosts that may stay connected."),
        ArgSpec::new("active_connection_states", ArgKind::StrList, "With drained: states that count.")
            .default("ESTABLISHED,FIN_WAIT1,FIN_WAIT2,SYN_RECV,SYN_SENT,TIME_WAIT"),
        ArgSpec::new("msg", ArgKind::Str, "Said when the time is over."),
    ],
    rules: &[Rule::Exclusive(&["port", "path"])],
    returns: &[
        ("elapsed", "how many seconds it took"),
        ("state", "what was waited for"),
        ("match_groups", "what the groups of search_regex found"),
        ("match_groupdict", "the same for groups with names"),
    ],
    ..ModuleSpec::BASE
};

/// Kernel numbers of connection states.
const STATES: &[(&str, &str)] = &[
    ("ESTABLISHED", "01"),
    ("SYN_SENT", "02"),
    ("SYN_RECV", "03"),
    ("FIN_WAIT1", "04"),
    ("FIN_WAIT2", "05"),
    ("TIME_WAIT", "06"),
];

/// So much of a file is searched for the groups of an expression.
const SEARCHED: usize = 1024 * 1024;

pub struct WaitFor;

/// Hundredths of a second that have passed, where the system tells: a count of whole seconds may be one too many.
const CLOCK: &str = "xp_now() { if { read -r xp_u xp_e </proc/uptime; } 2>/dev/null; then xp_u=${xp_u%.*}${xp_u#*.}; else xp_u=$(date +%s)00; fi; }\n\
                     xp_took() { xp_now; xp_s=$(((xp_u - xp_t0) / 100)); }\n";

impl Module for WaitFor {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        // In a preview nobody waits: one look tells whether it is so already.
        let Some(test) = test(call)? else { return Ok(None) };
        if !call.check {
            return Ok(None);
        }
        Ok(Some(format!(
            "{}if {}; then printf 'so yes\\n'; else printf 'so no\\n'; fi\n",
            test.functions, test.condition
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let mut result = Map::new();
        for name in ["state", "port", "path", "search_regex"] {
            result.insert(name, args.get(name).cloned().unwrap_or_default());
        }
        result.insert("match_groups", Value::list(Vec::new()));
        result.insert("match_groupdict", Map::new());
        let number = |name: &str| args.int(name).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        let (timeout, delay) = (number("timeout"), number("delay"));
        let Some(test) = test(call)? else {
            if call.check {
                result.insert("elapsed", 0);
                return Ok(Prediction::read(result));
            }
            let script = format!("sleep {}\nprintf 'elapsed {}'\n", delay + timeout, delay + timeout);
            return Ok(waiting(result, script, delay + timeout));
        };
        if call.check {
            let report = Report::of(seen)?;
            let so = report.need("so")? == "yes";
            result.insert(
                "elapsed",
                if so { Value::Int(0) } else { Value::unknown("how long it will have to wait") },
            );
            let mut prediction = Prediction::read(result);
            if !so {
                prediction.warnings.push(format!("not so yet: it would wait for {}", test.what));
            }
            return Ok(prediction);
        }
        let script = format!(
            "{CLOCK}{}xp_now; xp_t0=$xp_u\nsleep {delay}\nwhile :; do\nif {}; then xp_took; printf 'elapsed %s' \"$xp_s\"{}; exit 0; fi\n\
             xp_took\nif [ \"$xp_s\" -ge {} ]; then printf 'elapsed %s' \"$xp_s\"; exit 3; fi\nsleep {}\ndone\n",
            test.functions,
            test.condition,
            test.content,
            timeout + delay,
            number("sleep").max(1),
        );
        result.insert("timeout_msg", test.timeout);
        Ok(waiting(result, script, timeout + delay))
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let timeout = prediction.result.remove("timeout_msg").map(|m| m.to_text()).unwrap_or_default();
        if let Some(output) = ran.first() {
            let report = Report::parse(&output.stdout);
            let elapsed = report.get("elapsed").and_then(|e| e.trim().parse::<i64>().ok());
            match output.rc {
                0 => {}
                3 => {
                    let msg = call.args.str("msg").map_or(timeout, str::to_string);
                    return Err(Failure::new(msg).with("elapsed", elapsed.unwrap_or_default()));
                }
                _ => return Err(Failure::from_output(output)),
            }
            prediction.result.insert("elapsed", elapsed.unwrap_or_default());
            if let (Some(pattern), Some(content)) = (call.args.str("search_regex"), &report.content) {
                insert_groups(&mut prediction.result, pattern, content)?;
            }
        }
        Ok(prediction.into_outcome())
    }
}

fn waiting(result: Map, script: String, secs: u64) -> Prediction {
    let run = Run { script, long: true, timeout_secs: Some(secs.saturating_add(60)), ..Run::default() };
    let mut prediction = Prediction::unknown(result, vec![Action::Run(run)]);
    prediction.effect = Effect::Read;
    prediction
}

/// One look at what is waited for.
struct Test {
    functions: String,
    /// Shell text that succeeds when it is so.
    condition: String,
    what: String,
    timeout: String,
    /// Lines that print the file that was searched, for what the groups of the expression found.
    content: String,
}

fn test(call: &Call) -> Result<Option<Test>, Failure> {
    let args = &call.args;
    let state = args.str("state").unwrap_or("started");
    let gone = matches!(state, "absent" | "stopped");
    let not = if gone { "! " } else { "" };
    if let Some(path) = args.str("path") {
        if state == "drained" {
            return Err(Failure::new(
                "state=drained should only be used for checking a port in the active_connection_states",
            ));
        }
        let file = q(&expand_path(call, path)?);
        return Ok(Some(match args.str("search_regex") {
            Some(pattern) => Test {
                functions: String::new(),
                condition: format!("{not}{} {file} 2>/dev/null", grep(pattern)?),
                content: match !gone && pattern.contains('(') {
                    true => format!("; printf '\\ncontent\\n'; head -c {SEARCHED} -- {file}"),
                    false => String::new(),
                },
                what: format!("{pattern} in {path}"),
                timeout: format!("Timeout when waiting for search string {pattern} in {path}"),
            },
            None => Test {
                functions: String::new(),
                condition: format!("{not}[ -e {file} ]"),
                content: String::new(),
                what: path.to_string(),
                timeout: match gone {
                    true => format!("Timeout when waiting for {path} to be absent."),
                    false => format!("Timeout when waiting for file {path}"),
                },
            },
        }));
    }
    let Some(port) = args.int("port") else {
        if state == "drained" {
            return Err(Failure::new("state=drained requires the port parameter"));
        }
        return Ok(None);
    };
    if !(1..=65535).contains(&port) {
        return Err(Failure::new(format!("port must be a number from 1 to 65535, got: {port}")));
    }
    let host = args.str("host").unwrap_or("127.0.0.1");
    let end = if gone { " to stop." } else { "" };
    if state == "drained" {
        return Ok(Some(Test {
            functions: String::new(),
            condition: drained(args, port),
            content: String::new(),
            what: format!("{host}:{port} to drain"),
            timeout: format!("Timeout when waiting for {host}:{port} to drain"),
        }));
    }
    let tries = args.int("connect_timeout").unwrap_or(5).max(1);
    let (host_word, condition) = (q(host), args.str("search_regex"));
    let condition = match condition {
        None => format!("{not}xp_port {host_word} {port} {tries}"),
        Some(pattern) => format!("xp_listen {host_word} {port} {tries} | {}", grep(pattern)?),
    };
    Ok(Some(Test {
        functions: PORT.to_string(),
        condition,
        content: String::new(),
        what: format!("{host}:{port}{end}"),
        timeout: match args.str("search_regex") {
            Some(pattern) => format!("Timeout when waiting for search string {pattern} in {host}:{port}"),
            None => format!("Timeout when waiting for {host}:{port}{end}"),
        },
    }))
}

/// Connects with whatever the target has; for its own ports the kernel's list of listeners is enough.
const PORT: &str = r#"xp_limit() { if command -v timeout >/dev/null 2>&1; then timeout "$@"; else shift; "$@"; fi; }
xp_port() {
if command -v bash >/dev/null 2>&1; then xp_limit "$3" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null </dev/null
elif command -v nc >/dev/null 2>&1 && nc -h 2>&1 | grep -q -- '-z'; then nc -z -w "$3" "$1" "$2" >/dev/null 2>&1 </dev/null
elif command -v perl >/dev/null 2>&1; then perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(PeerAddr=>$ARGV[0],PeerPort=>$ARGV[1],Timeout=>$ARGV[2])' "$1" "$2" "$3" 2>/dev/null </dev/null
elif [ -r /proc/net/tcp ]; then
case $1 in 127.*|localhost|0.0.0.0|::1|::) cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -Eiq "^ *[0-9]+: [0-9a-f]+:$(printf '%04x' "$2") [0-9a-f:]+ 0a " ;;
*) xp_fail "cannot test port $2 of $1: the target has none of bash, nc and perl" ;; esac
else xp_fail "cannot test port $2 of $1: the target has none of bash, nc and perl"; fi
}
xp_listen() {
if command -v bash >/dev/null 2>&1; then xp_limit "$3" bash -c 'exec 3<>"/dev/tcp/$0/$1" && cat <&3' "$1" "$2" 2>/dev/null </dev/null
elif command -v nc >/dev/null 2>&1; then xp_limit "$3" nc -w "$3" "$1" "$2" 2>/dev/null </dev/null
else xp_fail "cannot read from port $2 of $1: the target has neither bash nor nc"; fi
}
"#;

/// Returns the test that no connection to a port is left.
fn drained(args: &Args, port: i128) -> String {
    let states: Vec<&str> = args
        .texts("active_connection_states")
        .iter()
        .filter_map(|s| STATES.iter().find(|(name, _)| name == s).map(|(_, n)| *n))
        .collect();
    let excluded: Vec<String> = args
        .texts("exclude_hosts")
        .iter()
        .filter_map(|h| h.parse::<std::net::Ipv4Addr>().ok())
        .map(|ip| format!("{:08X}", u32::from_le_bytes(ip.octets())))
        .collect();
    let except = if excluded.is_empty() {
        String::new()
    } else {
        format!(" | grep -Eiv ' ({}):'", excluded.join("|"))
    };
    format!(
        "! cat /proc/net/tcp /proc/net/tcp6 2>/dev/null{except} | grep -Eiq '^ *[0-9]+: [0-9a-f]+:{port:04x} [0-9a-f:]+ ({}) '",
        states.join("|")
    )
}

/// Takes the names out of groups.
fn named_groups(pattern: &str) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find("(?P<") {
        let Some(end) = rest[at..].find('>') else { break };
        out.push_str(&rest[..=at]);
        rest = &rest[at + end + 1..];
    }
    out + rest
}

/// Adds what the groups of the expression found in the file.
fn insert_groups(result: &mut Map, pattern: &str, content: &[u8]) -> Result<(), Failure> {
    let regex = compile(pattern, Flags { lines: true, ..Flags::default() }).map_err(Failure::new)?;
    let text = String::from_utf8_lossy(content);
    let Some(found) = regex.captures(&*text).map_err(|e| Failure::new(e.to_string()))? else { return Ok(()) };
    let value = |group: Option<Match<'_>>| match group {
        Some(text) => Value::str(text.as_str()),
        None => Value::Null,
    };
    let groups = (1..found.len()).map(|number| value(found.get(number))).collect();
    let names = regex.capture_names().flatten();
    let named: Map = names.map(|name| (name, value(found.name(name)))).collect();
    result.insert("match_groups", Value::list(groups));
    result.insert("match_groupdict", named);
    Ok(())
}

/// Returns a `grep` for a Python expression. What `grep` has no form for is refused.
fn grep(pattern: &str) -> Result<String, Failure> {
    let mut ignore_case = "";
    let mut text = pattern;
    if let Some(rest) = text.strip_prefix("(?i)") {
        ignore_case = "i";
        text = rest;
    }
    let text = named_groups(text).replace("(?:", "(");
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[[:alnum:]_]"),
                Some('W') => out.push_str("[^[:alnum:]_]"),
                Some('s') => out.push_str("[[:space:]]"),
                Some('S') => out.push_str("[^[:space:]]"),
                Some('A') => out.push('^'),
                Some('Z') => out.push('$'),
                Some('n') => {
                    return Err(Failure::new(format!("search_regex looks at single lines here: {pattern}")));
                }
                Some(c) => {
                    out.push('\\');
                    out.push(c);
                }
                None => out.push('\\'),
            },
            '(' if chars.peek() == Some(&'?') => {
                return Err(Failure::new(format!(
                    "search_regex has a group that the target's grep does not know: {pattern}"
                )));
            }
            '*' | '+' | '?' | '}' if chars.peek() == Some(&'?') => {
                // A lazy match finds the same lines.
                chars.next();
                out.push(c);
            }
            c => out.push(c),
        }
    }
    Ok(format!("grep -Eq{ignore_case} -e {}", q(&out)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    #[test]
    fn patterns_become_greps() {
        assert_eq!(grep(r"(?i)up \d+?\s(?:a|b)").unwrap(), "grep -Eqi -e 'up [0-9]+[[:space:]](a|b)'");
        assert_eq!(grep(r"a (?P<foo>\w+)").unwrap(), "grep -Eq -e 'a ([[:alnum:]_]+)'");
        assert!(grep("(?=x)").is_err());
    }

    #[test]
    fn groups_of_what_was_found() {
        let mut result = Map::new();
        insert_groups(&mut result, r"^done (?P<what>\w+) ([0-9]+)(x)?", b"first\ndone data 12\n").unwrap();
        assert_eq!(result.get("match_groups").unwrap().repr(), "['data', '12', None]");
        assert_eq!(result.get("match_groupdict").unwrap().repr(), "{'what': 'data'}");
    }

    #[test]
    fn previews_look_once() {
        let mut case = Case::new(&WaitFor, args(&[("path", "/f")]));
        assert_eq!(case.probe().unwrap(), None);
        let prediction = case.plan("").unwrap();
        assert_eq!(prediction.effect, Effect::Read);
        assert!(scripts(&prediction)[0].contains("if [ -e '/f' ]; then"));
        case.check = true;
        assert_eq!(
            case.probe().unwrap().unwrap(),
            "if [ -e '/f' ]; then printf 'so yes\\n'; else printf 'so no\\n'; fi\n"
        );
        let prediction = case.plan("so no\n").unwrap();
        assert_eq!(prediction.warnings, ["not so yet: it would wait for /f"]);
        assert!(prediction.change.is_none());
    }
}
