//! `ssh_config`: hosts in a configuration of the SSH client.
//!
//! Only the section of the host is changed; the rest of the file stays as it was written.

use super::account::{Account, LOOKUP};
use super::attrs::AttrChange;
use super::local::sha256;
use super::sh::{FileKind, Look, Report, expand_path, q};
use super::text::{Text, lines};
use super::write::{self, Before};
use super::{
    ArgKind, ArgSpec, Args, Call, Failure, Known, Module, ModuleSpec, Outcome, Prediction, Rule, Seen,
};
use crate::transport::Output;
use crate::value::{Map, Unknown, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "ssh_config",
    namespaces: &["community.general"],
    about: "Sets and removes hosts in a configuration of the SSH client.",
    args: &[
        ArgSpec::new("host", ArgKind::Str, "The name that is typed, or several patterns.").required(),
        ArgSpec::new("state", ArgKind::Str, "Whether it is to be there.")
            .default("present")
            .choices(&["present", "absent"]),
        ArgSpec::new("user", ArgKind::Str, "Whose configuration it is; without it that of all users."),
        ArgSpec::new("group", ArgKind::Str, "The group that the file is given to."),
        ArgSpec::new("ssh_config_file", ArgKind::Path, "The file, in place of a user's."),
        ArgSpec::new("hostname", ArgKind::Str, "The host's real name or address."),
        ArgSpec::new("port", ArgKind::Str, "Its port."),
        ArgSpec::new("remote_user", ArgKind::Str, "Who logs in there."),
        ArgSpec::new("identity_file", ArgKind::Path, "The private key, which must be there."),
        ArgSpec::new("identities_only", ArgKind::Bool, "No keys of an agent are tried."),
        ArgSpec::new("user_known_hosts_file", ArgKind::Str, "The file of known hosts."),
        ArgSpec::new("strict_host_key_checking", ArgKind::Str, "What to do with an unknown host key.")
            .choices(&["yes", "no", "ask", "accept-new"]),
        ArgSpec::new("proxycommand", ArgKind::Str, "The command that leads there."),
        ArgSpec::new("proxyjump", ArgKind::Str, "The hosts on the way."),
        ArgSpec::new("forward_agent", ArgKind::Bool, "The agent can be used from there."),
        ArgSpec::new("add_keys_to_agent", ArgKind::Bool, "Keys are given to the agent."),
        ArgSpec::new("host_key_algorithms", ArgKind::Str, "Host keys that are taken."),
        ArgSpec::new("controlmaster", ArgKind::Str, "Whether connections are shared.")
            .choices(&["yes", "no", "ask", "auto", "autoask"]),
        ArgSpec::new("controlpath", ArgKind::Str, "The socket of a shared connection."),
        ArgSpec::new("controlpersist", ArgKind::Str, "How long a shared connection stays."),
        ArgSpec::new("dynamicforward", ArgKind::Str, "A port that is a SOCKS proxy."),
        ArgSpec::new("other_options", ArgKind::Dict, "Other options by their names in small letters."),
    ],
    rules: &[Rule::Exclusive(&["user", "ssh_config_file"]), Rule::Exclusive(&["proxycommand", "proxyjump"])],
    returns: &[
        ("hosts_added", "hosts that were added"),
        ("hosts_removed", "hosts that were removed"),
        ("hosts_changed", "hosts that were changed"),
        ("hosts_change_diff", "their options before and after"),
    ],
    ..ModuleSpec::BASE
};

pub struct SshConfig;

/// The file of all users.
const SYSTEM: &str = "/etc/ssh/ssh_config";

impl Module for SshConfig {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        options(args)?;
        let mut script = String::new();
        match (args.str("user"), args.str("ssh_config_file")) {
            (_, Some(path)) => add!(script, "xp_p={}\n", q(&expand_path(call, path)?)),
            (Some(user), None) => add!(
                script,
                "{LOOKUP}xp_account {}\n[ -n \"${{xp_home-}}\" ] || exit 0\nxp_p=$xp_home/.ssh/config\n",
                q(user)
            ),
            (None, None) => add!(script, "xp_p={SYSTEM}\n"),
        }
        if let Some(group) = group(args) {
            add!(script, "printf 'group '; xp_gid {}\n", q(group));
        }
        if let Some(key) = args.str("identity_file") {
            // Seen from the folder of the configuration.
            let key = super::sh::expanded(call.target, call.environment, key);
            let key = if key.starts_with('/') { q(&key) } else { format!("\"${{xp_p%/*}}\"/{}", q(&key)) };
            add!(script, "[ -e {key} ] || [ ! -e \"$xp_p\" ] || printf 'keyless yes\\n'\n");
        }
        Ok(Some(format!(
            "{script}xp_tell path \"$xp_p\"\nxp_look \"$xp_p\"\n\
             if [ -f \"$xp_p\" ]; then [ -r \"$xp_p\" ] || xp_fail \"cannot read $xp_p: Permission denied\"\n\
             printf 'content\\n'; cat -- \"$xp_p\"; fi\n"
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let mut report = Report::of(seen)?;
        let mut content = report.content.take();
        let account = match args.str("user") {
            Some(user) => Some(self.account(call, user, &report)?),
            None => None,
        };
        if report.get("keyless").is_some() {
            let key = args.str("identity_file").unwrap_or_default();
            let path = expand_path(call, key)?;
            if call.foreseen_file(&path)?.is_none() {
                return Err(Failure::new(format!("IdentityFile {key} does not exist")));
            }
        }
        let mut look = Look::of(&report)?;
        let shown = report.word("path").unwrap_or_default();
        let path = look.real.clone().filter(|_| look.is_link()).unwrap_or_else(|| shown.clone());
        if let Some(after) = call.foreseen_file(&path)? {
            content = after.content(&path, content)?;
            look = after.look(&look);
        }
        let text = Text::of(content.as_deref().unwrap_or_default());
        let edited = edited(args, &text.text)?;
        let Some(after) = edited.after else { return Ok(Prediction::same(edited.result)) };
        let after = text.bytes(&after);
        let before = content.as_deref().map(sha256);
        let mut change = AttrChange::default();
        change.set_mode(if shown == SYSTEM { 0o644 } else { 0o600 }, FileKind::File);
        change.uid = account.as_ref().map(|account| account.uid);
        if let Some(group) = group(args) {
            let gid = report.get("group").and_then(|gid| gid.trim().parse().ok());
            change.gid =
                gid.or_else(|| account.as_ref().filter(|_| !args.has("group")).map(|account| account.gid));
            if change.gid.is_none() && !call.check {
                return Err(Failure::new(format!("chgrp failed: failed to look up group {group}")));
            }
        }
        let parent = if content.is_none() { make_folder(&path, account.as_ref()) } else { String::new() };
        let text = write::Text {
            path: &path,
            look: &look,
            content: content.as_deref(),
            before: before.as_deref().map_or(Before::Absent, Before::Sha256),
            after: &after,
            change: &change,
            lines_before: &parent,
        };
        text.plan(call, edited.result)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup", false)
    }
}

impl SshConfig {
    fn account(&self, call: &Call, user: &str, report: &Report) -> Result<Account, Failure> {
        match call.world.user(user) {
            Known::Untouched => {}
            Known::Unknown(cause) => return Err(Failure::unknown(cause)),
            Known::Known(_) => {
                let cause = format!("user {user} is made or changed by an earlier step");
                return Err(Failure::unknown(Unknown { cause: cause.into() }));
            }
        }
        Account::of(report)?
            .ok_or_else(|| Failure::new(format!("Failed to lookup user {user}: there is no such user")))
    }
}

/// Returns the group that the file is given to.
fn group(args: &Args) -> Option<&str> {
    args.str("group").or(args.str("user"))
}

/// Returns the line that makes the folder of a new file, for its user alone.
fn make_folder(path: &str, account: Option<&Account>) -> String {
    let dir = q(path.rsplit_once('/').map_or(".", |(dir, _)| dir));
    match account {
        None => write::make_parent(path),
        Some(account) => format!(
            "if [ ! -d {dir} ]; then xp_do \"make the directory \"{dir} mkdir -m 700 -- {dir}\n\
             xp_do \"give it to the user: \"{dir} chown {}:{} {dir}; fi\n",
            account.uid, account.gid
        ),
    }
}

/// Options by the names that they have in the file; nothing where one is to go.
type Options = Vec<(String, Option<String>)>;

/// Returns what a task says of the host's options: what it does not name is to go.
fn options(args: &Args) -> Result<Options, Failure> {
    // The names of arguments and of options; those of options given otherwise must not be among the former.
    const NAMES: [(&str, &str); 16] = [
        ("hostname", "hostname"),
        ("port", "port"),
        ("identity_file", "identityfile"),
        ("identities_only", "identitiesonly"),
        ("remote_user", "user"),
        ("strict_host_key_checking", "stricthostkeychecking"),
        ("user_known_hosts_file", "userknownhostsfile"),
        ("proxycommand", "proxycommand"),
        ("proxyjump", "proxyjump"),
        ("host_key_algorithms", "hostkeyalgorithms"),
        ("forward_agent", "forwardagent"),
        ("add_keys_to_agent", "addkeystoagent"),
        ("controlmaster", "controlmaster"),
        ("controlpath", "controlpath"),
        ("controlpersist", "controlpersist"),
        ("dynamicforward", "dynamicforward"),
    ];
    let mut out: Options = Vec::new();
    for (arg, name) in NAMES {
        let text = match (args.bool(arg), args.str(arg)) {
            (Some(true), _) | (_, Some("True")) => Some("yes"),
            (Some(false), _) | (_, Some("False")) => Some("no"),
            (None, text) => text.filter(|text| !text.is_empty()),
        };
        out.push((name.to_string(), text.map(str::to_string)));
    }
    for (key, value) in args.get("other_options").and_then(Value::as_map).into_iter().flatten() {
        let name = key.json_name();
        if name.to_lowercase() != *name {
            return Err(Failure::new(format!("The other_options key '{name}' must be lower case")));
        }
        if NAMES.iter().any(|(arg, option)| {
            *arg == &*name && arg != &"remote_user" || *option == "user" && &*name == "user"
        }) {
            return Err(Failure::new(format!("Multiple values provided for key '{name}'")));
        }
        if !matches!(value, Value::Str(_) | Value::Secret(_)) {
            return Err(Failure::new(format!(
                "The other_options value provided for key '{name}' must be a string, got <class '{}'>",
                value.type_name()
            )));
        }
        let value = Some(value.to_text()).filter(|value| !value.is_empty());
        let name = name.replace('_', "");
        match out.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => out.push((name, value)),
        }
    }
    let broken = |text: &str| text.contains(['\n', '\r', '\0']);
    if broken(args.str("host").unwrap_or_default())
        || out.iter().any(|(name, value)| broken(name) || value.as_deref().is_some_and(broken))
    {
        return Err(Failure::new("an option of an SSH configuration cannot hold a line break"));
    }
    Ok(out)
}

struct Edited {
    /// Nothing when it stays as it is.
    after: Option<String>,
    result: Map,
}

/// A line as the client reads it: the keyword in small letters, and the rest.
fn keyword(line: &str) -> Option<(String, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let value = line[end..].trim_start();
    let value = value.strip_prefix('=').unwrap_or(value).trim_start();
    Some((line[..end].to_ascii_lowercase(), value))
}

fn edited(args: &Args, before: &str) -> Result<Edited, Failure> {
    let host = args.str("host").unwrap_or_default();
    let wanted = options(args)?;
    let present = args.str("state") != Some("absent");
    let mut out: Vec<String> = Vec::new();
    let (mut found, mut removed, mut changed) = (false, 0, Vec::new());
    let all = lines(before);
    let mut rest = all.as_slice();
    while let Some((line, below)) = rest.split_first() {
        let is_host = keyword(line).is_some_and(|(word, value)| {
            word == "host" && value.split_whitespace().eq(host.split_whitespace())
        });
        if !is_host {
            out.push(line.clone());
            rest = below;
            continue;
        }
        found = true;
        let starts = |line: &String| keyword(line).is_some_and(|(word, _)| word == "host" || word == "match");
        let (section, behind) = below.split_at(below.iter().position(starts).unwrap_or(below.len()));
        rest = behind;
        if !present {
            removed += 1;
            out.extend(section.iter().filter(|line| keyword(line).is_none()).cloned());
            continue;
        }
        let old = read(section);
        let (section, differs) = with(section, &wanted, &old);
        out.push(line.clone());
        if differs {
            let new = read(&section);
            let sides = Map::from_iter([("old", shown(&old)), ("new", shown(&new))]);
            changed.push(Value::map(Map::from_iter([(host, Value::map(sides))])));
        }
        out.extend(section);
    }
    let given: Vec<String> =
        wanted.iter().filter_map(|(name, value)| Some(format!("    {name} {}\n", value.as_ref()?))).collect();
    let adds = present && !found && !given.is_empty();
    if adds {
        if let Some(last) = out.last_mut().filter(|last| !last.ends_with('\n')) {
            last.push('\n');
        }
        out.push(format!("Host {host}\n"));
        out.extend(given);
    }
    let names = |count: usize| Value::from(vec![host.to_string(); count]);
    let result = Map::from_iter([
        ("hosts_changed", names(changed.len())),
        ("hosts_removed", names(removed)),
        ("hosts_added", names(usize::from(adds))),
    ]);
    let differs = adds || removed > 0 || !changed.is_empty();
    let mut result = result;
    result.insert("hosts_change_diff", changed);
    Ok(Edited { after: differs.then(|| out.concat()), result })
}

/// Options of a section with all their values.
type Read = Vec<(String, Vec<String>)>;

/// Options that may be there several times.
const LISTS: [&str; 3] = ["identityfile", "localforward", "remoteforward"];

fn read(section: &[String]) -> Read {
    let mut out: Read = Vec::new();
    for (word, value) in section.iter().filter_map(|line| keyword(line)) {
        match out.iter_mut().find(|(known, _)| *known == word) {
            Some((_, values)) => values.push(value.to_string()),
            None => out.push((word, vec![value.to_string()])),
        }
    }
    out
}

fn shown(read: &Read) -> Value {
    let value = |name: &str, values: &Vec<String>| {
        if LISTS.contains(&name) {
            Value::from(values.clone())
        } else {
            Value::str(values.first().cloned().unwrap_or_default())
        }
    };
    Value::map(read.iter().map(|(name, values)| (name.as_str(), value(name, values))).collect())
}

/// Returns a section with the wanted options, and whether it is another one.
fn with(section: &[String], wanted: &Options, old: &Read) -> (Vec<String>, bool) {
    let mut out = section.to_vec();
    let mut differs = false;
    for (name, value) in wanted {
        let now = old
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, values)| values.as_slice())
            .unwrap_or_default();
        let same = match value {
            None => now.is_empty(),
            Some(value) if LISTS.contains(&name.as_str()) => now.contains(value),
            Some(value) => now.first() == Some(value),
        };
        if same {
            continue;
        }
        differs = true;
        let is_it = |line: &String| keyword(line).is_some_and(|(word, _)| word == *name);
        let last_option =
            |out: &[String]| out.iter().rposition(|line| keyword(line).is_some()).map_or(0, |at| at + 1);
        let at = out.iter().position(is_it).unwrap_or_else(|| last_option(&out));
        out.retain(|line| !is_it(line));
        if let Some(value) = value {
            if let Some(before) =
                at.checked_sub(1).and_then(|at| out.get_mut(at)).filter(|l| !l.ends_with('\n'))
            {
                before.push('\n');
            }
            out.insert(at.min(out.len()), format!("    {name} {value}\n"));
        }
    }
    (out, differs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::args;

    fn check(given: &[(&str, &str)], before: &str, after: Option<&str>) {
        let args = SPEC.check(&args(given)).unwrap();
        assert_eq!(edited(&args, before).unwrap().after.as_deref(), after, "{given:?}");
    }

    #[test]
    fn hosts_come_change_and_go() {
        let web = [("host", "web"), ("hostname", "10.0.0.1"), ("port", "2222")];
        let new = "Host web\n    hostname 10.0.0.1\n    port 2222\n";
        check(&web, "", Some(new));
        check(&web, "# mine", Some(&format!("# mine\n{new}")));
        check(&web, new, None);
        check(&web, "host  web\n\tHostName=10.0.0.1\n\tPort 2222\n", None);
        check(
            &web,
            "Host web\n  HostName a\n  # why\n  Port 2222\n\nMatch all\n  Port 1\n",
            Some("Host web\n    hostname 10.0.0.1\n  # why\n  Port 2222\n\nMatch all\n  Port 1\n"),
        );
        check(
            &[("host", "web"), ("hostname", "10.0.0.1")],
            "Host web\n  HostName 10.0.0.1\n  Port 2222",
            Some("Host web\n  HostName 10.0.0.1\n"),
        );
        check(
            &[("host", "web"), ("port", "1"), ("remote_user", "ada")],
            "Host web\n  Port 1",
            Some("Host web\n  Port 1\n    user ada\n"),
        );
        check(
            &[("host", "web"), ("state", "absent")],
            "Host a\n Port 1\nHost web\n Port 2\n# c\nHost b\n",
            Some("Host a\n Port 1\n# c\nHost b\n"),
        );
        check(&[("host", "web"), ("state", "absent")], "Host webs\n", None);
        check(&[("host", "web")], "", None);
    }

    #[test]
    fn switches_and_others() {
        check(
            &[
                ("host", "a  b"),
                ("forward_agent", "no"),
                ("other_options", r#"{"serveraliveinterval": "30"}"#),
            ],
            "Host a b\n  ForwardAgent yes\n  IdentitiesOnly yes\n  Compression yes\n",
            Some("Host a b\n    forwardagent no\n  Compression yes\n    serveraliveinterval 30\n"),
        );
        check(
            &[("host", "a"), ("identity_file", "/k2")],
            "Host a\n IdentityFile /k1\n IdentityFile /k2\n",
            None,
        );
        let fails = |given: &[(&str, &str)], expect: &str| {
            let args = SPEC.check(&args(given)).unwrap();
            assert_eq!(options(&args).unwrap_err().msg, expect);
        };
        fails(
            &[("host", "a"), ("other_options", r#"{"Port": "1"}"#)],
            "The other_options key 'Port' must be lower case",
        );
        fails(
            &[("host", "a"), ("port", "1\nHost *")],
            "an option of an SSH configuration cannot hold a line break",
        );
    }

    #[test]
    fn results() {
        let given = args(&[("host", "web"), ("port", "2")]);
        let result = edited(&SPEC.check(&given).unwrap(), "Host web\n Port 1\n").unwrap().result;
        assert_eq!(
            Value::map(result).repr(),
            "{'hosts_changed': ['web'], 'hosts_removed': [], 'hosts_added': [], 'hosts_change_diff': [{'web': {'old': \
             {'port': '1'}, 'new': {'port': '2'}}}]}"
        );
    }
}
