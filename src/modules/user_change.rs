//! The commands that make, change and remove a user: those of shadow, of libuser, and of busybox.

use super::account::Account;
use super::local::sha256;
use super::sh::{Report, expand_path, q};
use super::tool::missing;
use super::user::Groups;
use super::{Args, Call, Failure};
use crate::value::{Map, Value};

/// Shell functions. `xp_make_home HOME SKELETON` makes a home as useradd does; `xp_own_home USER HOME` gives it to
/// the user; `xp_home_of` does both.
const HOME: &str = r#"xp_make_home() {
	if [ -e "$2" ] && [ "$2" != /dev/null ]; then
		xp_do "make the directory of $1" mkdir -p -- "${1%/*}"
		xp_do "copy $2 to $1" cp -RPp -- "$2" "$1"
	else
		xp_do "make the directory $1" mkdir -p -- "$1"
	fi
	if [ -e /etc/login.defs ]; then
		xp_m=755
		set -- "$1" $(awk '$1 == "HOME_MODE" && NF == 2 { print "mode", $2; exit } $1 == "UMASK" && NF == 2 { print "umask", $2 }' /etc/login.defs)
		while [ $# -gt 2 ]; do
			case $2 in
			mode) xp_m=$3 ;;
			umask) xp_m=$(printf '%o' $((0777 & ~0$3))) ;;
			esac
			xp_h=$1
			shift 3
			set -- "$xp_h" "$@"
		done
		xp_do "set the mode of $1" chmod "$xp_m" "$1"
	fi
}
xp_own_home() { xp_do "give $2 to $1" chown -hR "$(id -u -- "$1"):$(id -g -- "$1")" "$2"; }
xp_home_of() {
	xp_make_home "$2" "$3"
	xp_own_home "$1" "$2"
}
"#;

/// Whose tools are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Shadow,
    Local,
    Busybox,
}

impl Family {
    pub fn of(call: &Call, report: &Report) -> Result<Family, Failure> {
        let args = &call.args;
        let has = |tool: &str| report.all("tool").any(|t| t == tool);
        if args.flag("local") {
            return has("luseradd").then_some(Family::Local).ok_or_else(|| {
                missing(
                    call,
                    "local needs the tools of libuser (luseradd), which are not on the target; install libuser",
                )
            });
        }
        if has("useradd") {
            return Ok(Family::Shadow);
        }
        has("adduser").then_some(Family::Busybox).ok_or_else(|| {
            missing(
                call,
                "there is neither useradd nor adduser on the target; install passwd, shadow-utils or shadow",
            )
        })
    }
}

/// When an account ends.
#[derive(Clone, Copy)]
enum Expires {
    Never,
    Day(i64),
}

impl Expires {
    fn of(args: &Args) -> Option<Expires> {
        let seconds = args.float("expires")?;
        Some(if seconds < 0.0 { Expires::Never } else { Expires::Day((seconds / 86400.0).floor() as i64) })
    }

    /// Returns the argument of `useradd -e`.
    fn date(self) -> Result<String, Failure> {
        match self {
            Expires::Never => Ok("''".to_string()),
            Expires::Day(day) => jiff::Timestamp::from_second(day * 86400)
                .map(|t| t.strftime("%Y-%m-%d").to_string())
                .map_err(|e| Failure::new(format!("Invalid value for 'expires': {e}"))),
        }
    }

    fn day(self) -> i64 {
        match self {
            Expires::Never => -1,
            Expires::Day(day) => day,
        }
    }
}

/// Returns the lines that remove a user.
pub fn remove(args: &Args, family: Family, name: &str) -> String {
    let flag = |arg: &str, option: &'static str| if args.flag(arg) { option } else { "" };
    let name = q(name);
    match family {
        Family::Shadow => {
            format!("xp_tool userdel{}{} {name}\n", flag("force", " -f"), flag("remove", " -r"))
        }
        Family::Local => format!("xp_tool luserdel{} {name}\n", flag("remove", " -r")),
        Family::Busybox => format!("xp_tool deluser{} {name}\n", flag("remove", " --remove-home")),
    }
}

/// Returns the lines that make a user.
pub fn create(call: &Call, family: Family, groups: &Groups) -> Result<String, Failure> {
    let args = &call.args;
    let name = q(args.str("name").unwrap_or_default());
    let path = |arg: &str| args.str(arg).map(|p| expand_path(call, p)).transpose();
    let home = path("home")?;
    let shell = path("shell")?;
    let mut script = String::new();
    let mut line = String::from(match family {
        Family::Shadow => "xp_tool useradd",
        Family::Local => "xp_tool luseradd",
        Family::Busybox => return busybox_create(call, groups, home, shell),
    });
    if let Some(uid) = args.int("uid") {
        add!(line, " -u {uid}");
        if args.flag("non_unique") {
            line += " -o";
        }
    }
    if let Some(user) = args.str("seuser") {
        add!(line, " -Z {}", q(user));
    }
    match (args.str("group"), groups.own) {
        (Some(group), _) => add!(line, " -g {}", q(group)),
        // Without it useradd wants to make a group that is there.
        (None, true) => line += if family == Family::Local { " -n" } else { " -N" },
        (None, false) => {}
    }
    let others = groups.wanted.as_deref().unwrap_or_default();
    if family == Family::Shadow && !others.is_empty() {
        add!(line, " -G {}", q(&joined(others.iter().map(|(given, _)| given))));
    }
    if let Some(comment) = args.str("comment") {
        add!(line, " -c {}", q(comment));
    }
    if let Some(home) = &home {
        if args.flag("create_home") {
            let skeleton = q(args.str("skeleton").unwrap_or("/etc/skel"));
            add!(
                script,
                "{HOME}xp_h={0}\nxp_deep=\nif [ ! -d \"${{xp_h%/*}}/\" ]; then\nxp_deep=1\n[ -e \"$xp_h\" ] || xp_make_home \"$xp_h\" {skeleton}\nfi\n",
                q(home)
            );
        }
        add!(line, " -d {}", q(home));
    }
    if let Some(shell) = shell {
        add!(line, " -s {}", q(&shell));
    }
    let expires = Expires::of(args);
    if let (Some(expires), Family::Shadow) = (expires, family) {
        add!(line, " -e {}", expires.date()?);
    }
    if let Some(days) = args.int("password_expire_account_disable") {
        add!(line, " -f {days}");
    }
    if args.has("password") {
        line += " -p \"$xp_new_pw\"";
    }
    if args.flag("create_home") {
        if family == Family::Shadow {
            line += " -m";
        }
        if let Some(skeleton) = args.str("skeleton") {
            add!(line, " -k {}", q(skeleton));
        }
        if let Some(umask) = args.str("umask") {
            add!(line, " -K UMASK={}", q(umask));
        }
    } else {
        line += " -M";
    }
    if args.flag("system") {
        line += " -r";
    }
    for (arg, key) in [("uid_min", "UID_MIN"), ("uid_max", "UID_MAX")] {
        if let Some(number) = args.int(arg) {
            add!(line, " -K {key}={number}");
        }
    }
    // A group may still list a user of that name from before.
    let left_over = family == Family::Shadow && groups.wanted.is_some() && !args.flag("append");
    if left_over {
        add!(
            script,
            "xp_old=\nif awk -F: -v n={name} '{{ k = split($4, m, \",\"); for (i = 1; i <= k; i++) if (m[i] == n) f = 1 }} END {{ exit !f }}' /etc/group; \
             then xp_old=1; fi\n"
        );
    }
    add!(script, "{line} {name}\n");
    if left_over {
        let list = q(&joined(others.iter().map(|(given, _)| given)));
        add!(script, "if [ -n \"$xp_old\" ]; then xp_tool usermod -G {list} {name}; fi\n");
    }
    if family == Family::Local {
        if let Some(expires) = expires {
            add!(script, "xp_tool lchage -E {} {name}\n", expires.day());
        }
        for (_, group) in others {
            add!(script, "xp_tool lgroupmod -M {name} {}\n", q(&group.name));
        }
    }
    if home.is_some() && args.flag("create_home") {
        add!(script, "[ -z \"$xp_deep\" ] || xp_own_home {name} \"$xp_h\"\n");
    }
    script += &ageing(args, None, &name).0;
    Ok(script)
}

fn busybox_create(
    call: &Call,
    groups: &Groups,
    home: Option<String>,
    shell: Option<String>,
) -> Result<String, Failure> {
    let args = &call.args;
    let name = q(args.str("name").unwrap_or_default());
    let mut line = String::from("xp_tool adduser -D");
    if let Some(uid) = args.int("uid") {
        add!(line, " -u {uid}");
    }
    if let Some(group) = &groups.primary {
        add!(line, " -G {}", q(&group.name));
    }
    if let Some(comment) = args.str("comment") {
        add!(line, " -g {}", q(comment));
    }
    if let Some(home) = home {
        add!(line, " -h {}", q(&home));
    }
    if let Some(shell) = shell {
        add!(line, " -s {}", q(&shell));
    }
    if !args.flag("create_home") {
        line += " -H";
    }
    if let Some(skeleton) = args.str("skeleton") {
        add!(line, " -k {}", q(skeleton));
    }
    if args.flag("system") {
        line += " -S";
    }
    for arg in ["umask", "uid_min", "uid_max", "expires", "seuser"] {
        if args.has(arg) {
            return Err(Failure::new(format!(
                "{arg} needs useradd, which is not on the target; install shadow"
            )));
        }
    }
    add!(line, " {name}\n");
    if args.has("password") {
        line += &busybox_password(&name);
    }
    for (_, group) in groups.wanted.as_deref().unwrap_or_default() {
        add!(line, "xp_tool adduser {name} {}\n", q(&group.name));
    }
    Ok(line)
}

fn busybox_password(name: &str) -> String {
    format!(
        "xp_e=$(printf '%s:%s\\n' {name} \"$xp_new_pw\" | chpasswd -e 2>&1) || xp_fail \"cannot set the password: $xp_e\"\n"
    )
}

/// What is to be done to a user.
#[derive(Default)]
pub struct Changes {
    pub script: String,
    pub warnings: Vec<String>,
    pub before: Map,
    pub after_side: Map,
    /// The account after the change.
    pub after: Account,
    pub moves_home: bool,
}

impl Changes {
    fn note(&mut self, key: &str, before: impl Into<Value>, after: impl Into<Value>) {
        self.before.insert(key, before);
        self.after_side.insert(key, after);
    }

    /// Adds the making of a home that is absent.
    pub fn make_home(&mut self, args: &Args, home: &str) {
        self.note("home_exists", false, true);
        let name = q(args.str("name").unwrap_or_default());
        let skeleton = q(args.str("skeleton").unwrap_or("/etc/skel"));
        add!(self.script, "{HOME}xp_home_of {name} {} {skeleton}\n", q(home));
    }
}

/// Returns what is to be done to a user that exists.
pub fn change(call: &Call, family: Family, now: &Account, groups: &Groups) -> Result<Changes, Failure> {
    let args = &call.args;
    let name = q(args.str("name").unwrap_or_default());
    let path = |arg: &str| args.str(arg).map(|p| expand_path(call, p)).transpose();
    let mut changes = Changes { after: now.clone(), ..Changes::default() };
    let mut options = String::new();
    if let Some(uid) = args.int("uid").filter(|uid| *uid != i128::from(now.uid)) {
        add!(options, " -u {uid}");
        if args.flag("non_unique") {
            options += " -o";
        }
        changes.note("uid", now.uid, uid);
        changes.after.uid = u32::try_from(uid).unwrap_or(now.uid);
    }
    if let Some(group) = groups.primary.as_ref().filter(|g| g.gid != Some(now.gid)) {
        match group.gid {
            Some(gid) => add!(options, " -g {gid}"),
            None => add!(options, " -g {}", q(&group.name)),
        }
        changes.note("group", now.gid, group.gid.map_or(Value::from(group.name.as_str()), Value::from));
        changes.after.gid = group.gid.unwrap_or(now.gid);
    }
    let membership = membership(args, now, groups);
    if let Some((before, after)) = &membership {
        changes.note("groups", before.clone(), after.clone());
        if family == Family::Shadow {
            let wanted = groups.wanted.as_deref().unwrap_or_default();
            let append = if args.flag("append") { " -a" } else { "" };
            add!(options, "{append} -G {}", q(&joined(wanted.iter().map(|(_, g)| &g.name))));
        }
    }
    if let Some(comment) = args.str("comment").filter(|c| *c != now.comment) {
        add!(options, " -c {}", q(comment));
        changes.note("comment", now.comment.as_str(), comment);
        changes.after.comment = comment.to_string();
    }
    if let Some(home) = path("home")?.filter(|h| *h != now.home) {
        add!(options, " -d {}", q(&home));
        if args.flag("move_home") {
            options += " -m";
            changes.moves_home = true;
        }
        changes.note("home", now.home.as_str(), home.as_str());
        changes.after.home = home;
    }
    if let Some(shell) = path("shell")?.filter(|s| *s != now.shell) {
        add!(options, " -s {}", q(&shell));
        changes.note("shell", now.shell.as_str(), shell.as_str());
        changes.after.shell = shell;
    }
    let expires = expiry(args, now);
    if let Some((before, expires)) = expires {
        changes.note("expires", before, expires.day());
        if family == Family::Shadow {
            add!(options, " -e {}", expires.date()?);
        }
    }
    if let Some(days) = args.int("password_expire_account_disable")
        && now.shadow.is_none_or(|s| i128::from(s.inactive) != days)
    {
        add!(options, " -f {days}");
        changes.note("password_expire_account_disable", now.shadow.map_or(-1, |s| s.inactive), days);
    }
    let password = args.str("update_password") == Some("always")
        && args.str("password").is_some_and(|p| sha256(p.trim_start_matches('!').as_bytes()) != now.hash);
    let lock = args.bool("password_lock").filter(|lock| *lock != now.locked);
    if let Some(lock) = lock {
        changes.note("password_lock", now.locked, lock);
        if !password {
            options += if lock { " -L" } else { " -U" };
        }
    }
    if password {
        changes.note("password", "(hidden)", "(another one, hidden)");
        options += " -p \"$xp_new_pw\"";
    }
    match family {
        Family::Shadow if !options.is_empty() => add!(changes.script, "xp_tool usermod{options} {name}\n"),
        Family::Shadow => {}
        Family::Local => {
            if !options.is_empty() {
                add!(changes.script, "xp_tool lusermod{options} {name}\n");
            }
            if let Some((_, expires)) = expires {
                add!(changes.script, "xp_tool lchage -E {} {name}\n", expires.day());
            }
        }
        Family::Busybox => busybox_change(&mut changes, now, &name, password),
    }
    if let (Some((before, after)), Family::Local | Family::Busybox) = (&membership, family) {
        let (join, leave) = match family {
            Family::Local => ("lgroupmod -M", "lgroupmod -m"),
            _ => ("adduser", "delgroup"),
        };
        for group in after.iter().filter(|g| !before.contains(g)) {
            add!(changes.script, "xp_tool {join} {name} {}\n", q(group));
        }
        for group in before.iter().filter(|g| !after.contains(g)) {
            add!(changes.script, "xp_tool {leave} {name} {}\n", q(group));
        }
    }
    let (line, aged) = ageing(args, Some(now), &name);
    changes.script += &line;
    for (key, before, after) in aged {
        changes.note(key, before, after);
    }
    Ok(changes)
}

/// Busybox changes only groups and password; what else was asked for is taken back, with a warning.
fn busybox_change(changes: &mut Changes, now: &Account, name: &str, password: bool) {
    let asked: Vec<String> =
        changes.after_side.keys().filter_map(|k| k.as_str()).map(str::to_string).collect();
    for key in asked.iter().filter(|k| !matches!(k.as_str(), "groups" | "password")) {
        changes.before.remove(key);
        changes.after_side.remove(key);
        changes
            .warnings
            .push(format!("{key} was not changed: that needs usermod, which is not on the target"));
    }
    changes.after = now.clone();
    if password {
        changes.script += &busybox_password(name);
    }
}

/// Returns the names of groups before and after, when they differ.
fn membership(args: &Args, now: &Account, groups: &Groups) -> Option<(Vec<String>, Vec<String>)> {
    let wanted: Vec<String> = groups.wanted.as_ref()?.iter().map(|(_, g)| g.name.clone()).collect();
    let before = now.member.clone();
    let mut after: Vec<String> = if args.flag("append") { before.clone() } else { Vec::new() };
    for name in wanted {
        if !after.contains(&name) {
            after.push(name);
        }
    }
    let same = before.len() == after.len() && before.iter().all(|name| after.contains(name));
    (!same).then_some((before, after))
}

/// Returns the day on which the account ended before, and the new end, when they differ.
fn expiry(args: &Args, now: &Account) -> Option<(i64, Expires)> {
    let wanted = Expires::of(args)?;
    // An account without a shadow entry counts as one that ended in 1970.
    let before = now.shadow.map_or(0, |s| s.expires);
    let differs = match wanted {
        Expires::Never => before >= 0,
        Expires::Day(day) => before < 0 || before != day,
    };
    differs.then_some((before, wanted))
}

type Aged = Vec<(&'static str, i64, i64)>;

/// Returns the line that sets how a password ages, and what differs. For a new user everything given is set.
fn ageing(args: &Args, now: Option<&Account>, name: &str) -> (String, Aged) {
    let shadow = now.and_then(|a| a.shadow);
    let mut options = String::new();
    let mut aged = Vec::new();
    for (arg, option, before) in [
        ("password_expire_min", "-m", shadow.map(|s| s.min)),
        ("password_expire_max", "-M", shadow.map(|s| s.max)),
        ("password_expire_warn", "-W", shadow.map(|s| s.warn)),
    ] {
        let Some(days) = args.int(arg).and_then(|d| i64::try_from(d).ok()) else { continue };
        if now.is_some() && before.is_none_or(|b| b == days) {
            continue;
        }
        add!(options, " {option} {days}");
        aged.push((arg, before.unwrap_or(-1), days));
    }
    if options.is_empty() {
        (String::new(), aged)
    } else {
        (format!("xp_tool chage{options} {name}\n"), aged)
    }
}

fn joined<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for name in names {
        if !all.contains(&name.as_str()) {
            all.push(name);
        }
    }
    all.join(",")
}
