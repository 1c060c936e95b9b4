//! `user`: a user's account, its groups, password, home and SSH key.

use super::account::{Account, Group, LOOKUP};
use super::sh::{Report, expand_path, q};
use super::tool::{TELL_OUT, insert_printed};
use super::user_change::{self, Family};
use super::user_key;
use super::write::named_diff;
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Diff, Failure, Known, Module, ModuleSpec, Outcome, Prediction,
    Rule, Run, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Unknown, Value};

const STR: ArgKind = ArgKind::Str;
const BOOL: ArgKind = ArgKind::Bool;
const INT: ArgKind = ArgKind::Int;

static SPEC: ModuleSpec = ModuleSpec {
    name: "user",
    about: "Adds, changes and removes a user.",
    args: &[
        ArgSpec::new("name", STR, "The user.").required().aliases(&["user"]),
        ArgSpec::new("state", STR, "Whether the user is to exist.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("uid", INT, "The user's number."),
        ArgSpec::new("non_unique", BOOL, "The number may belong to another user too.").default("no"),
        ArgSpec::new("group", STR, "The primary group, by name or number."),
        ArgSpec::new("groups", ArgKind::StrList, "The other groups; an empty list removes from all."),
        ArgSpec::new("append", BOOL, "Add to groups, and leave the user in those that are not listed.")
            .default("no"),
        ArgSpec::new("comment", STR, "The user's full name or what it is for."),
        ArgSpec::new("home", ArgKind::Path, "The home."),
        ArgSpec::new("create_home", BOOL, "Make the home when it is absent.")
            .default("yes")
            .aliases(&["createhome"]),
        ArgSpec::new("move_home", BOOL, "Move the old home to its new place.").default("no"),
        ArgSpec::new("skeleton", STR, "A folder whose files a new home gets."),
        ArgSpec::new("umask", STR, "What a new home's permissions lack."),
        ArgSpec::new("shell", ArgKind::Path, "The login shell."),
        ArgSpec::new("password", STR, "The password as a hash, as in /etc/shadow."),
        ArgSpec::new("update_password", STR, "When to set the password of a user that exists.")
            .default("always")
            .choices(&["always", "on_create"]),
        ArgSpec::new("password_lock", BOOL, "Whether the password cannot be used."),
        ArgSpec::new("password_expire_max", INT, "Days after which the password must be changed."),
        ArgSpec::new("password_expire_min", INT, "Days before which it cannot be changed again."),
        ArgSpec::new("password_expire_warn", INT, "Days before that end in which the user is warned."),
        ArgSpec::new(
            "password_expire_account_disable",
            INT,
            "Days after that end in which logging in still works.",
        ),
        ArgSpec::new(
            "expires",
            ArgKind::Float,
            "When the account ends, in seconds since 1970; negative for never.",
        ),
        ArgSpec::new("system", BOOL, "A new user gets a number of the system's range.").default("no"),
        ArgSpec::new("local", BOOL, "Only local files count; the tools of libuser are used."),
        ArgSpec::new("force", BOOL, "Remove even a user that is logged in; replace an SSH key.")
            .default("no"),
        ArgSpec::new("remove", BOOL, "Remove home and mail with the user.").default("no"),
        ArgSpec::new("seuser", STR, "The user of SELinux that it is mapped to."),
        ArgSpec::new("uid_min", INT, "The lowest number that a new user may get."),
        ArgSpec::new("uid_max", INT, "The highest number that a new user may get."),
        ArgSpec::new("generate_ssh_key", BOOL, "Make an SSH key."),
        ArgSpec::new("ssh_key_bits", INT, "How long the key is; 0 for what ssh-keygen prefers.").default("0"),
        ArgSpec::new("ssh_key_type", STR, "The kind of key.").default("rsa"),
        ArgSpec::new("ssh_key_file", ArgKind::Path, "The key's file; relative to the home."),
        ArgSpec::new("ssh_key_comment", STR, "The key's comment."),
        ArgSpec::new("ssh_key_passphrase", STR, "What the key is locked with."),
        ArgSpec::new("hidden", BOOL, "Accepted; only macOS knows it."),
        ArgSpec::new("login_class", STR, "Accepted; only BSD systems know it."),
        ArgSpec::new("profile", STR, "Accepted; only Solaris knows it."),
        ArgSpec::new("authorization", STR, "Accepted; only Solaris knows it."),
        ArgSpec::new("role", STR, "Accepted; only Solaris knows it."),
    ],
    rules: &[Rule::If { arg: "non_unique", value: "True", needs: &["uid"] }],
    returns: &[
        ("name", "the user"),
        ("state", "whether it is to exist"),
        ("uid", "its number"),
        ("group", "the number of its primary group"),
        ("groups", "the groups that were asked for"),
        ("comment", "its comment"),
        ("home", "its home"),
        ("shell", "its shell"),
        ("append", "whether groups are only added"),
        ("create_home", "whether a home is made"),
        ("move_home", "whether the home moves"),
        ("system", "whether it was asked for as a system user"),
        ("password", "a placeholder, when there is a password among the arguments"),
        ("force", "with state absent: the argument"),
        ("remove", "with state absent: the argument"),
        ("ssh_fingerprint", "the SSH key's fingerprint"),
        ("ssh_key_file", "its file"),
        ("ssh_public_key", "the public key"),
        ("stdout", "what the tools printed"),
        ("stderr", "what the tools complained about"),
    ],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

pub struct User;

impl Module for User {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn parts_with(&self, args: &Args) -> Option<String> {
        let leaves = args.str("state").is_some_and(|state| state == "absent");
        leaves.then(|| args.str("name").unwrap_or_default().to_string())
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        if args.flag("local") {
            for name in ["umask", "uid_min", "uid_max"] {
                if args.has(name) {
                    return Err(Failure::new(format!("'{name}' can not be used with 'local'")));
                }
            }
        }
        let mut script = format!(
            "{}for xp_t in useradd luseradd adduser; do if command -v $xp_t >/dev/null 2>&1; then printf 'tool %s\\n' $xp_t; fi; done\n",
            head(call)
        );
        script += look(call);
        let name = args.str("name").unwrap_or_default();
        for group in args.texts("groups").iter().map(|g| g.trim()).chain(args.str("group")).chain([name]) {
            add!(script, "xp_tell group {}=\"$(xp_db group {})\"\n", q(group), q(group));
        }
        if let Some(home) = args.str("home") {
            let home = q(&expand_path(call, home)?);
            add!(script, "if [ -e {home} ]; then printf 'wanted_home_there yes\\n'; fi\n");
        }
        if args.flag("generate_ssh_key") {
            add!(script, "if [ -n \"${{xp_uid-}}\" ]; then\n{}xp_key_look\nfi\n", user_key::functions(call)?);
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let name = args.str("name").unwrap_or_default();
        let family = Family::of(call, &report)?;
        let account = match call.world.user(name) {
            Known::Untouched => Account::of(&report)?,
            Known::Known((false, _)) => None,
            Known::Known((true, _)) if args.str("state") == Some("absent") => Some(Account::default()),
            Known::Known((true, _)) => {
                let cause = format!("user {name} is made or changed by an earlier step");
                return Err(Failure::unknown(Unknown { cause: cause.into() }));
            }
            Known::Unknown(cause) => return Err(Failure::unknown(cause)),
        };
        let mut result = Map::new();
        result.insert("name", name);
        result.insert("state", args.str("state").unwrap_or_default());
        let mut prediction = if args.str("state") == Some("absent") {
            match account {
                None => Prediction::same(result),
                Some(account) => {
                    result.insert("force", args.flag("force"));
                    result.insert("remove", args.flag("remove"));
                    let script = user_change::remove(args, family, name);
                    Prediction::change(result, vec![action(call, &script)]).diff(named_diff(
                        &format!("user {name}"),
                        Some(sides(&account)),
                        None,
                    ))
                }
            }
        } else {
            let groups = Groups::of(call, &report, name)?;
            match account {
                None => create(call, family, &groups, result)?,
                Some(account) => change(call, &report, family, &account, &groups, result)?,
            }
        };
        if prediction.change.is_some() {
            let exists = args.str("state") != Some("absent");
            let uid =
                prediction.result.get("uid").and_then(Value::as_int).and_then(|u| u32::try_from(u).ok());
            prediction.touches.push(Touch::User { name: name.to_string(), exists, uid });
            if let Some(home) = prediction.result.get("home").and_then(Value::as_str) {
                prediction.touches.push(Touch::Tree { path: home.to_string() });
            }
        }
        prediction.warnings.extend(password_warning(args));
        if args.flag("append") && !args.has("groups") {
            prediction.warnings.push(
                "'append' is set, but no 'groups' are specified. Use 'groups' to name those to add"
                    .to_string(),
            );
        }
        Ok(prediction)
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let name = call.args.str("name").unwrap_or_default();
        let state = call.args.str("state").unwrap_or_default();
        for output in ran {
            if output.rc != 0 {
                return Err(Failure::from_output(output).with("name", name));
            }
            let report = Report::parse(&output.stdout);
            insert_printed(&mut prediction.result, &report, output);
            prediction.warnings.extend(report.all("warning").filter_map(super::sh::word));
            match (Account::of(&report)?, state) {
                (Some(account), "present") => describe(&mut prediction.result, &account),
                (None, "absent") => {}
                _ => {
                    return Err(Failure::new(format!(
                        "the tools reported success, but user {name} is not {state} afterwards"
                    )));
                }
            }
            user_key::describe(&mut prediction.result, &report);
        }
        Ok(prediction.into_outcome())
    }
}

fn head(call: &Call) -> String {
    format!("{LOOKUP}xp_n={}\n", q(call.args.str("name").unwrap_or_default()))
}

/// Returns the line that tells about the account.
fn look(call: &Call) -> &'static str {
    if call.args.flag("local") { "xp_account \"$xp_n\" local\n" } else { "xp_account \"$xp_n\"\n" }
}

/// Returns the action around the lines of a change. The password goes in by stdin, so that no script holds it.
fn action(call: &Call, lines: &str) -> Action {
    let args = &call.args;
    let mut script = head(call);
    let mut secrets = String::new();
    let lock = if args.flag("password_lock") { "!" } else { "" };
    for (arg, variable, mark) in [("password", "xp_new_pw", lock), ("ssh_key_passphrase", "xp_phrase", "")] {
        if let Some(secret) = args.str(arg) {
            add!(script, "IFS= read -r {variable}\n");
            add!(secrets, "{mark}{secret}\n");
        }
    }
    Action::Run(Run {
        script: format!("{script}{lines}{TELL_OUT}"),
        stdin: (!secrets.is_empty()).then(|| super::write::bytes(secrets.as_bytes())),
        ..Run::default()
    })
}

/// The groups that the arguments name, as the target knows them.
pub struct Groups {
    pub primary: Option<Group>,
    /// As written, without spaces around names; nothing when no groups were given.
    pub wanted: Option<Vec<(String, Group)>>,
    /// A group with the user's name exists.
    pub own: bool,
}

impl Groups {
    fn of(call: &Call, report: &Report, name: &str) -> Result<Groups, Failure> {
        let args = &call.args;
        let known: Vec<(String, Option<Group>)> = report
            .all("group")
            .filter_map(super::sh::word)
            .filter_map(|line| {
                let (given, entry) = line.split_once('=')?;
                Some((given.to_string(), Group::parse(entry)))
            })
            .collect();
        let find = |given: &str| {
            let found = known.iter().find(|(g, _)| g == given).and_then(|(_, group)| group.clone());
            Group::foreseen(call, given, found)
        };
        let need =
            |given: &str| find(given)?.ok_or_else(|| Failure::new(format!("Group {given} does not exist")));
        let primary = args.str("group").map(need).transpose()?;
        let wanted = match args.has("groups") {
            false => None,
            true => {
                let names = args.texts("groups");
                let names = names.iter().map(|g| g.trim()).filter(|g| !g.is_empty());
                Some(names.map(|g| Ok((g.to_string(), need(g)?))).collect::<Result<Vec<_>, Failure>>()?)
            }
        };
        Ok(Groups { primary, wanted, own: find(name)?.is_some() })
    }
}

fn create(call: &Call, family: Family, groups: &Groups, mut result: Map) -> Result<Prediction, Failure> {
    let args = &call.args;
    let name = args.str("name").unwrap_or_default();
    result.insert("system", args.flag("system"));
    result.insert("create_home", args.flag("create_home"));
    common(args, &mut result);
    let unknown = || Value::unknown("an account that is not made yet");
    let path = |arg: &str| args.str(arg).map(|p| expand_path(call, p)).transpose();
    let mut after = Map::new();
    let known = [
        ("uid", args.int("uid").map(Value::from)),
        ("group", groups.primary.as_ref().and_then(|g| g.gid).map(Value::from)),
        ("comment", args.str("comment").map(Value::from)),
        ("home", path("home")?.map(Value::from)),
        ("shell", path("shell")?.map(Value::from)),
    ];
    for (key, value) in known {
        if let Some(value) = &value {
            after.insert(key, value.clone());
        }
        result.insert(key, value.unwrap_or_else(unknown));
    }
    if let Some(wanted) = groups.wanted.as_ref().filter(|w| !w.is_empty()) {
        after.insert("groups", Value::from(wanted.iter().map(|(_, g)| g.name.clone()).collect::<Vec<_>>()));
    }
    let mut script = user_change::create(call, family, groups)?;
    script += look(call);
    if args.flag("generate_ssh_key") {
        add!(script, "{}xp_key_make\n", user_key::functions(call)?);
        for key in user_key::RETURNS {
            result.insert(*key, Value::unknown("an SSH key that is not made yet"));
        }
    }
    Ok(Prediction::change(result, vec![action(call, &script)]).diff(named_diff(
        &format!("user {name}"),
        None,
        Some(after),
    )))
}

fn change(
    call: &Call,
    report: &Report,
    family: Family,
    account: &Account,
    groups: &Groups,
    mut result: Map,
) -> Result<Prediction, Failure> {
    let args = &call.args;
    let name = args.str("name").unwrap_or_default();
    result.insert("append", args.flag("append"));
    result.insert("move_home", args.flag("move_home"));
    let mut changes = user_change::change(call, family, account, groups)?;
    let home_there = match args.has("home") {
        true => report.get("wanted_home_there").is_some() || (changes.moves_home && account.home_there),
        false => account.home_there,
    };
    if !home_there && args.flag("create_home") {
        changes.make_home(args, &changes.after.home.clone());
    }
    describe(&mut result, &changes.after);
    common(args, &mut result);
    let mut warnings = std::mem::take(&mut changes.warnings);
    let mut script = std::mem::take(&mut changes.script);
    let mut makes_key = false;
    if args.flag("generate_ssh_key") {
        user_key::describe(&mut result, report);
        makes_key = user_key::to_make(args, report, &mut warnings);
        if makes_key {
            changes.before.insert("ssh_key", report.get("key").is_some());
            changes.after_side.insert("ssh_key", true);
            for key in user_key::RETURNS.iter().filter(|k| **k != "ssh_key_file") {
                result.insert(*key, Value::unknown("an SSH key that is not made yet"));
            }
        }
    }
    if script.is_empty() && !makes_key {
        let mut prediction = Prediction::same(result);
        prediction.warnings = warnings;
        return Ok(prediction);
    }
    script += look(call);
    if args.flag("generate_ssh_key") {
        add!(script, "{}xp_key_make\n", user_key::functions(call)?);
        if makes_key {
            // The script finds the same again, and says it.
            warnings.clear();
        }
    }
    let diff: Diff = named_diff(&format!("user {name}"), Some(changes.before), Some(changes.after_side));
    let mut prediction = Prediction::change(result, vec![action(call, &script)]).diff(diff);
    prediction.warnings = warnings;
    Ok(prediction)
}

/// Adds what results repeat of the arguments.
fn common(args: &Args, result: &mut Map) {
    if args.has("password") {
        result.insert("password", "NOT_LOGGING_PASSWORD");
    }
    if args.has("groups") {
        result.insert("groups", args.texts("groups").join(","));
    }
}

fn describe(result: &mut Map, account: &Account) {
    result.insert("uid", account.uid);
    result.insert("group", account.gid);
    result.insert("comment", account.comment.as_str());
    result.insert("home", account.home.as_str());
    result.insert("shell", account.shell.as_str());
}

fn sides(account: &Account) -> Map {
    let mut map = Map::new();
    describe(&mut map, account);
    map.insert("groups", Value::from(account.member.clone()));
    map
}

/// Returns a warning when a password does not look like a hash.
fn password_warning(args: &Args) -> Option<String> {
    let password = args.str("password").filter(|p| !p.is_empty())?;
    if matches!(password, "*" | "!" | "*************") {
        return None;
    }
    let fields: Vec<&str> = password.split('$').collect();
    let last = fields.last().copied().unwrap_or_default();
    let length = match fields.get(1).copied() {
        Some("1") => Some(22),
        Some("5" | "y") => Some(43),
        Some("6") => Some(86),
        _ => None,
    };
    let fits = !password.contains([':', '*', '!'])
        && fields.len() >= 3
        && last.chars().all(|c| c.is_ascii_alphanumeric() || "./=".contains(c))
        && length.is_none_or(|length| last.len() == length);
    (!fits).then(|| {
        "The input password appears not to have been hashed. The 'password' argument must be a hash as \
         /etc/shadow has it, such as password_hash makes"
            .to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};
    use crate::transport::Content;

    fn case(given: &[(&str, &str)]) -> Case {
        let mut given = given.to_vec();
        given.push(("name", "ada"));
        Case::new(&User, args(&given))
    }

    /// Checks the lines that change something, and what is predicted besides name and state.
    fn check(given: &[(&str, &str)], seen: &str, lines: &[&str], expect: &str) {
        let prediction = case(given).plan(seen).unwrap();
        let script = scripts(&prediction).concat();
        let found: Vec<&str> =
            script.lines().filter(|l| l.starts_with("xp_tool ") || l.starts_with("xp_home_of '")).collect();
        assert_eq!(found, lines, "{given:?}");
        let mut result = prediction.result;
        result.remove("name");
        result.remove("state");
        let known: Map =
            result.iter().filter(|(_, v)| !v.is_unknown()).map(|(k, v)| (k.clone(), v.clone())).collect();
        assert_eq!(Value::map(known).repr(), expect, "{given:?}");
    }

    const NEW: &str = "tool useradd\n";
    const ADA: &str = "tool useradd\nuid 1000\ngid 1000\ncomment =\nhome =/home/ada\nshell =/bin/sh\n\
                       member dev\nshadow 0 99999 7 - -\nlocked yes\n\
                       hash e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nhome_there yes\n";
    const SHOWN: &str = "{'append': False, 'move_home': False, 'uid': 1000, 'group': 1000, 'comment': '', \
                         'home': '/home/ada', 'shell': '/bin/sh'}";

    #[test]
    fn new_users() {
        check(&[], NEW, &["xp_tool useradd -m 'ada'"], "{'system': False, 'create_home': True}");
        check(
            &[
                ("uid", "7"),
                ("group", "5"),
                ("groups", "dev, adm"),
                ("shell", "~/sh"),
                ("create_home", "no"),
                ("system", "yes"),
            ],
            "tool useradd\ngroup %353d7474793a783a353a\ngroup %6465763d6465763a783a35303a\ngroup %61646d3d61646d3a783a343a\ngroup %6164613d6164613a783a363a\n",
            &["xp_tool useradd -u 7 -g '5' -G 'dev,adm' -s '/root/sh' -M -r 'ada'"],
            "{'system': True, 'create_home': False, 'groups': 'dev, adm', 'uid': 7, 'group': 5, 'shell': '/root/sh'}",
        );
        check(
            &[("expires", "2529881062"), ("comment", "A 'B'"), ("umask", "077"), ("uid_min", "5")],
            "tool useradd\ngroup %6164613d6164613a783a363a\n",
            &[r"xp_tool useradd -N -c 'A '\''B'\''' -e 2050-03-03 -m -K UMASK='077' -K UID_MIN=5 'ada'"],
            "{'system': False, 'create_home': True, 'comment': \"A 'B'\"}",
        );
        check(
            &[("local", "yes"), ("groups", "dev"), ("expires", "-1")],
            "tool luseradd\ngroup %6465763d6465763a783a35303a\n",
            &["xp_tool luseradd 'ada'", "xp_tool lchage -E -1 'ada'", "xp_tool lgroupmod -M 'ada' 'dev'"],
            "{'system': False, 'create_home': True, 'groups': 'dev'}",
        );
        check(
            &[("shell", "/bin/ash"), ("password", "*"), ("groups", "dev")],
            "tool adduser\ngroup %6465763d6465763a783a35303a\n",
            &["xp_tool adduser -D -s '/bin/ash' 'ada'", "xp_tool adduser 'ada' 'dev'"],
            "{'system': False, 'create_home': True, 'password': 'NOT_LOGGING_PASSWORD', 'groups': 'dev', 'shell': '/bin/ash'}",
        );
    }

    #[test]
    fn changed_users() {
        check(&[], ADA, &[], SHOWN);
        check(
            &[("shell", "/bin/sh"), ("uid", "1000"), ("home", "/home/ada")],
            &format!("{ADA}wanted_home_there yes\n"),
            &[],
            SHOWN,
        );
        check(
            &[("shell", "/bin/zsh"), ("comment", "Ada")],
            ADA,
            &["xp_tool usermod -c 'Ada' -s '/bin/zsh' 'ada'"],
            &SHOWN.replace("/bin/sh", "/bin/zsh").replace("''", "'Ada'"),
        );
        check(
            &[("home", "/srv/ada"), ("move_home", "yes")],
            ADA,
            &["xp_tool usermod -d '/srv/ada' -m 'ada'"],
            &SHOWN.replace("/home/ada", "/srv/ada").replace("'move_home': False", "'move_home': True"),
        );
        check(
            &[("home", "/srv/ada")],
            ADA,
            &["xp_tool usermod -d '/srv/ada' 'ada'", "xp_home_of 'ada' '/srv/ada' '/etc/skel'"],
            &SHOWN.replace("/home/ada", "/srv/ada"),
        );
        check(&[("expires", "-1")], ADA, &[], SHOWN);
        check(&[("expires", "0")], ADA, &["xp_tool usermod -e 1970-01-01 'ada'"], SHOWN);
        check(&[("password_expire_max", "99999")], ADA, &[], SHOWN);
        check(
            &[("password_expire_max", "10"), ("password_expire_warn", "5")],
            ADA,
            &["xp_tool chage -M 10 -W 5 'ada'"],
            SHOWN,
        );
        check(&[("password_lock", "yes")], ADA, &[], SHOWN);
        check(&[("password_lock", "no")], ADA, &["xp_tool usermod -U 'ada'"], SHOWN);
    }

    #[test]
    fn groups() {
        let dev = format!("{ADA}group %6465763d6465763a783a35303a\n");
        let shown = SHOWN.replace("}", ", 'groups': 'dev'}");
        check(&[("groups", "dev")], &dev, &[], &shown);
        let adm = format!("{ADA}group %61646d3d61646d3a783a343a\n");
        check(&[("groups", "adm")], &adm, &["xp_tool usermod -G 'adm' 'ada'"], &shown.replace("dev", "adm"));
        check(
            &[("groups", "adm"), ("append", "yes")],
            &adm,
            &["xp_tool usermod -a -G 'adm' 'ada'"],
            &shown.replace("dev", "adm").replace("'append': False", "'append': True"),
        );
        check(&[("groups", "")], ADA, &["xp_tool usermod -G '' 'ada'"], &shown.replace("dev", ""));
        assert_eq!(case(&[("groups", "nix")]).plan(ADA).unwrap_err().msg, "Group nix does not exist");
    }

    #[test]
    fn passwords_stay_hidden() {
        let hash = format!("$6$salt${}", "x".repeat(86));
        let prediction = case(&[("password", &hash), ("password_lock", "yes")]).plan(ADA).unwrap();
        let change = prediction.change.clone().unwrap();
        let [Action::Run(run)] = &change.actions[..] else { panic!("one action expected") };
        assert!(run.script.contains("xp_tool usermod -p \"$xp_new_pw\" 'ada'\n"), "{}", run.script);
        assert!(matches!(&run.stdin, Some(Content::Bytes(b)) if **b == *format!("!{hash}\n").as_bytes()));
        let shown = format!("{} {:?} {}", run.script, prediction.diff, Value::map(prediction.result).repr());
        assert!(!shown.contains(&hash));
        assert!(prediction.warnings.is_empty());
        let warned = case(&[("password", "plain")]).plan(ADA).unwrap();
        assert_eq!(warned.warnings.len(), 1);
        assert_eq!(
            case(&[("password", &hash), ("update_password", "on_create")]).plan(ADA).unwrap().warnings.len(),
            0
        );
        assert!(case(&[("password", "!")]).plan(ADA).unwrap().change.is_none());
    }

    #[test]
    fn absent() {
        check(&[("state", "absent")], NEW, &[], "{}");
        check(
            &[("state", "absent"), ("force", "yes"), ("remove", "yes")],
            ADA,
            &["xp_tool userdel -f -r 'ada'"],
            "{'force': True, 'remove': True}",
        );
        check(
            &[("state", "absent"), ("remove", "yes")],
            &ADA.replace("useradd", "adduser"),
            &["xp_tool deluser --remove-home 'ada'"],
            "{'force': False, 'remove': True}",
        );
    }
}
