//! Mode, owner, group and label of files: what is asked for, what is there, how to change it.

use super::sh::{FileKind, Report, Stat, mode_word, q};
use super::{ArgKind, ArgSpec, Args, Failure};
use crate::value::{Map, Value};

/// The arguments that every module about files has.
pub const FILE_ARGS: &[ArgSpec] = &[
    ArgSpec::new(
        "mode",
        ArgKind::Raw,
        "Permissions: octal text such as '0644', or symbolic such as u=rw,g=r.",
    ),
    ArgSpec::new("owner", ArgKind::Str, "Name or number of the user that owns it."),
    ArgSpec::new("group", ArgKind::Str, "Name or number of the group that owns it."),
    ArgSpec::new("seuser", ArgKind::Str, "User part of the SELinux label."),
    ArgSpec::new("serole", ArgKind::Str, "Role part of the SELinux label."),
    ArgSpec::new("setype", ArgKind::Str, "Type part of the SELinux label."),
    ArgSpec::new("selevel", ArgKind::Str, "Level part of the SELinux label."),
    ArgSpec::new("attributes", ArgKind::Str, "Attributes as chattr takes them, such as +i.")
        .aliases(&["attr"]),
    ArgSpec::new("unsafe_writes", ArgKind::Bool, "Write in place where a file cannot be replaced at once.")
        .default("no"),
];

/// Permissions as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    Bits(u32),
    Symbolic(Vec<Clause>),
    /// Those of the source.
    Preserve,
}

/// One part of a symbolic mode, such as `u=rwX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Letters out of `ugo`; empty when none was written, which means all but what umask forbids.
    who: String,
    /// Operators with their letters.
    steps: Vec<(char, String)>,
}

impl Mode {
    /// Reads a mode argument: a number as it is, a text as octal or symbolic.
    pub fn of(args: &Args, name: &str) -> Result<Option<Mode>, Failure> {
        match args.get(name) {
            None => Ok(None),
            Some(Value::Int(bits)) => Ok(Some(Mode::Bits(valid(*bits)?))),
            Some(value) => Mode::parse(&value.to_text()).map(Some),
        }
    }

    fn parse(text: &str) -> Result<Mode, Failure> {
        if text == "preserve" {
            return Ok(Mode::Preserve);
        }
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if let Ok(bits) = i128::from_str_radix(digits, 8) {
            return Ok(Mode::Bits(valid(bits)?));
        }
        let clauses: Option<Vec<Clause>> = text.split(',').map(Clause::parse).collect();
        clauses.map(Mode::Symbolic).ok_or_else(|| {
            Failure::new("mode must be in octal or symbolic form")
                .with("details", format!("bad symbolic permission for mode: {text}"))
        })
    }

    /// Returns the permissions that result for a file.
    pub fn bits(&self, before: u32, kind: FileKind, umask: u32) -> u32 {
        match self {
            Mode::Bits(bits) => *bits,
            Mode::Preserve => before,
            Mode::Symbolic(clauses) => {
                clauses.iter().fold(before, |mode, clause| clause.apply(mode, kind, umask))
            }
        }
    }

    /// Returns the text for `chmod`.
    pub fn for_chmod(&self) -> String {
        match self {
            Mode::Bits(bits) => format!("{bits:04o}"),
            Mode::Preserve => String::new(),
            Mode::Symbolic(clauses) => clauses
                .iter()
                .map(|c| {
                    c.who.clone()
                        + &c.steps.iter().map(|(op, perms)| format!("{op}{perms}")).collect::<String>()
                })
                .collect::<Vec<_>>()
                .join(","),
        }
    }
}

fn valid(bits: i128) -> Result<u32, Failure> {
    u32::try_from(bits).ok().filter(|b| *b <= 0o7777).ok_or_else(|| {
        Failure::new("Invalid mode supplied, only permission info is allowed").with("details", bits)
    })
}

impl Clause {
    fn parse(text: &str) -> Option<Clause> {
        let at = text.find(['+', '-', '='])?;
        let (who, mut rest) = text.split_at(at);
        if !who.chars().all(|c| "ugoa".contains(c)) {
            return None;
        }
        let who = if who.contains('a') { "ugo".to_string() } else { who.to_string() };
        let mut steps = Vec::new();
        while let Some(op) = rest.chars().next() {
            let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |i| i + 1);
            let perms = &rest[1..end];
            if !perms.chars().all(|c| "rwxXstugo".contains(c)) {
                return None;
            }
            steps.push((op, perms.to_string()));
            rest = &rest[end..];
        }
        Some(Clause { who, steps })
    }

    fn apply(&self, before: u32, kind: FileKind, umask: u32) -> u32 {
        let (who, allowed) =
            if self.who.is_empty() { ("ugo", !umask & 0o777) } else { (self.who.as_str(), 0o777) };
        let mut mode = before;
        for (op, perms) in &self.steps {
            let now = mode;
            for user in who.chars() {
                let (shift, special) = match user {
                    'u' => (6, 0o4000),
                    'g' => (3, 0o2000),
                    _ => (0, 0o1000),
                };
                let mut bits = 0;
                for perm in perms.chars() {
                    bits |= match perm {
                        'r' => (0o4 << shift) & allowed,
                        'w' => (0o2 << shift) & allowed,
                        'x' => (0o1 << shift) & allowed,
                        'X' if kind == FileKind::Dir || now & 0o111 != 0 => 0o1 << shift,
                        's' if user != 'o' => special,
                        't' if user == 'o' => special,
                        'u' => ((now >> 6) & 7) << shift,
                        'g' => ((now >> 3) & 7) << shift,
                        'o' => (now & 7) << shift,
                        _ => 0,
                    };
                }
                mode = match op {
                    '+' => mode | bits,
                    '-' => mode & !bits,
                    _ => (mode & !((0o7 << shift) | special)) | bits,
                };
            }
        }
        mode
    }
}

/// The attributes that a task asks for.
#[derive(Clone, Debug, Default)]
pub struct Attrs {
    pub mode: Option<Mode>,
    pub owner: Option<String>,
    pub group: Option<String>,
    /// User, role, type, level of the SELinux label.
    label: [Option<String>; 4],
    /// An operator of chattr and its letters.
    flags: Option<(char, String)>,
}

/// How existing attributes differ from those asked for.
#[derive(Clone, Debug, Default)]
pub struct AttrChange {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    label: Option<String>,
    /// For chattr.
    flags: Option<String>,
    is_dir: bool,
    before: Map,
    after: Map,
    pub warnings: Vec<String>,
}

/// The numbers that the names of owner and group stand for on the target.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// Said about names that do not exist there.
    pub missing: Vec<String>,
}

impl Attrs {
    pub fn of(args: &Args) -> Result<Attrs, Failure> {
        let label = ["seuser", "serole", "setype", "selevel"].map(|n| args.str(n).map(str::to_string));
        let name = |n: &str| args.str(n).filter(|s| !s.is_empty()).map(str::to_string);
        let flags = name("attributes").map(|text| match text.chars().next() {
            Some(op @ ('+' | '-')) => (op, text[1..].to_string()),
            _ => ('=', text.trim_start_matches('=').to_string()),
        });
        let flags = flags.filter(|(_, letters)| !letters.is_empty());
        Ok(Attrs { mode: Mode::of(args, "mode")?, owner: name("owner"), group: name("group"), label, flags })
    }

    pub fn is_empty(&self) -> bool {
        self.mode.is_none()
            && self.owner.is_none()
            && self.group.is_none()
            && self.flags.is_none()
            && !self.has_label()
    }

    fn has_label(&self) -> bool {
        self.label.iter().any(Option::is_some)
    }

    /// Returns the lines of a probe that look up names and the label of `path` (a shell word).
    pub fn probe(&self, path: &str) -> String {
        let mut script = String::new();
        let is_name = |n: &&String| n.parse::<u32>().is_err();
        if let Some(owner) = self.owner.as_ref().filter(is_name) {
            add!(script, "printf 'uid '; xp_uid {}\n", q(owner));
        }
        if let Some(group) = self.group.as_ref().filter(is_name) {
            add!(script, "printf 'gid '; xp_gid {}\n", q(group));
        }
        if self.flags.is_some() {
            add!(
                script,
                "if command -v lsattr >/dev/null 2>&1; then printf 'flags %s\\n' \"$(lsattr -d {path} 2>/dev/null)\"; fi\n"
            );
        }
        if self.has_label() {
            add!(
                script,
                "if [ -e /sys/fs/selinux/enforce ] || [ -e /selinux/enforce ]; then\n\
                 printf 'label %s\\n' \"$(stat -c %C -- {path} 2>/dev/null)\"\nfi\n"
            );
        }
        script
    }

    /// Returns the numbers of owner and group. A name that does not exist is a failure, in a preview a warning.
    pub fn ids(&self, report: &Report, check: bool) -> Result<Ids, Failure> {
        let mut ids = Ids::default();
        for (what, name, tag, slot) in
            [("user", &self.owner, "uid", &mut ids.uid), ("group", &self.group, "gid", &mut ids.gid)]
        {
            let Some(name) = name else { continue };
            *slot = name.parse().ok().or_else(|| report.get(tag)?.trim().parse().ok());
            if slot.is_none() {
                let text = format!("failed to look up {what} {name}");
                if !check {
                    let verb = if what == "user" { "chown" } else { "chgrp" };
                    return Err(Failure::new(format!("{verb} failed: {text}")));
                }
                ids.missing.push(format!("{text}. Create {what} up to this point in real play"));
            }
        }
        Ok(ids)
    }

    /// Compares with what is there. For links only owner and group count.
    pub fn compare(
        &self,
        report: &Report,
        stat: &Stat,
        umask: u32,
        check: bool,
    ) -> Result<AttrChange, Failure> {
        let ids = self.ids(report, check)?;
        let mut change = AttrChange { warnings: ids.missing.clone(), ..AttrChange::default() };
        if let Some(mode) = &self.mode
            && stat.kind != FileKind::Link
        {
            let bits = mode.bits(stat.mode, stat.kind, umask);
            if bits != stat.mode {
                change.is_dir = stat.kind == FileKind::Dir;
                change.mode = Some(bits);
                change.before.insert("mode", stat.mode_word());
                change.after.insert("mode", mode_word(bits));
            }
        }
        if let Some(name) = &self.owner
            && ids.uid != Some(stat.uid)
        {
            change.uid = ids.uid;
            change.before.insert("owner", stat.owner.clone().unwrap_or_else(|| stat.uid.to_string()));
            change.after.insert("owner", name.as_str());
        }
        if let Some(name) = &self.group
            && ids.gid != Some(stat.gid)
        {
            change.gid = ids.gid;
            change.before.insert("group", stat.group.clone().unwrap_or_else(|| stat.gid.to_string()));
            change.after.insert("group", name.as_str());
        }
        self.compare_flags(report, &mut change);
        if self.has_label()
            && let Some(now) = report.get("label")
        {
            let mut parts: Vec<&str> = now.splitn(4, ':').collect();
            parts.resize(4, "s0");
            for (part, wanted) in parts.iter_mut().zip(&self.label) {
                if let Some(wanted) = wanted.as_deref().filter(|w| *w != "_default") {
                    *part = wanted;
                }
            }
            let label = parts.join(":");
            if label != now && parts.len() == 4 {
                change.before.insert("secontext", now);
                change.after.insert("secontext", label.as_str());
                change.label = Some(label);
            }
        }
        Ok(change)
    }
}

impl Attrs {
    /// As Ansible does it: letters to take away are always taken away, others when they are not just those that are set.
    pub fn compare_flags(&self, report: &Report, change: &mut AttrChange) {
        let Some((op, letters)) = &self.flags else { return };
        let now = report.get("flags").and_then(|line| line.split_whitespace().next()).unwrap_or_default();
        let now: String = now.chars().filter(|c| *c != '-').collect();
        if *op != '-' && now == *letters {
            return;
        }
        let wanted = format!("{op}{letters}");
        change.before.insert("attributes", now);
        change.after.insert("attributes", wanted.as_str());
        change.flags = Some(wanted);
    }
}

impl AttrChange {
    pub fn is_empty(&self) -> bool {
        self.after.is_empty()
    }

    /// Sets the permissions without regard to what is there.
    pub fn set_mode(&mut self, bits: u32, kind: FileKind) {
        self.mode = Some(bits);
        self.is_dir = kind == FileKind::Dir;
    }

    /// Returns what differs, before and after.
    pub fn sides(&self) -> (&Map, &Map) {
        (&self.before, &self.after)
    }

    /// Returns the lines that make the change; `path` is a shell word.
    pub fn script(&self, path: &str) -> String {
        let mut script = String::new();
        let number = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
        if self.uid.is_some() || self.gid.is_some() {
            let owner = match (self.uid, self.gid) {
                (uid, None) => number(uid),
                (uid, gid) => format!("{}:{}", number(uid), number(gid)),
            };
            add!(script, "xp_do \"change the owner of \"{path} chown -h {owner} {path}\n");
        }
        if let Some(mode) = self.mode {
            let mode = chmod_text(mode, self.is_dir);
            add!(script, "xp_do \"set the mode of \"{path} chmod {mode} {path}\n");
        }
        if let Some(label) = &self.label {
            add!(script, "xp_do \"set the label of \"{path} chcon -h {} {path}\n", q(label));
        }
        script + &self.flags_script(path)
    }

    /// Returns the line that sets the attributes of chattr.
    pub fn flags_script(&self, path: &str) -> String {
        match &self.flags {
            Some(flags) => format!("xp_do \"set the attributes of \"{path} chattr {} {path}\n", q(flags)),
            None => String::new(),
        }
    }

    /// Returns the attributes after the change.
    pub fn applied(&self, stat: &Stat, attrs: &Attrs) -> Stat {
        let mut after = stat.clone();
        if let Some(mode) = self.mode {
            after.mode = mode;
        }
        if let Some(uid) = self.uid {
            after.uid = uid;
            after.owner = attrs.owner.clone();
        }
        if let Some(gid) = self.gid {
            after.gid = gid;
            after.group = attrs.group.clone();
        }
        after
    }
}

/// Returns permissions for `chmod`. It keeps a folder's setuid and setgid bits unless they are named one by one.
pub fn chmod_text(mode: u32, is_dir: bool) -> String {
    if !is_dir {
        return format!("{mode:04o}");
    }
    let perms = |shift: u32| -> String {
        [(4, 'r'), (2, 'w'), (1, 'x')]
            .iter()
            .filter(|(bit, _)| (mode >> shift) & bit != 0)
            .map(|(_, letter)| *letter)
            .collect()
    };
    let sign = |bit: u32| if mode & bit == 0 { '-' } else { '+' };
    format!(
        "u={},g={},o={},u{}s,g{}s,o{}t",
        perms(6),
        perms(3),
        perms(0),
        sign(0o4000),
        sign(0o2000),
        sign(0o1000)
    )
}

/// Adds what results tell about a file: mode, owner, group, size, state.
pub fn describe(result: &mut Map, stat: &Stat) {
    result.insert("uid", stat.uid);
    result.insert("gid", stat.gid);
    result.insert("owner", stat.owner.clone().unwrap_or_else(|| stat.uid.to_string()));
    result.insert("group", stat.group.clone().unwrap_or_else(|| stat.gid.to_string()));
    result.insert("mode", stat.mode_word());
    let state = if stat.kind == FileKind::File && stat.nlink > 1 { "hard" } else { stat.kind.state() };
    result.insert("state", state);
    result.insert("size", stat.size);
}

/// Says that the group of something new is not known before: it comes from the user or from the folder.
pub fn group_of_new(result: &mut Map, attrs: &Attrs) {
    if attrs.group.is_none() {
        result.insert("group", Value::unknown("the group of a file that is not made yet"));
        result.insert("gid", Value::unknown("the group of a file that is not made yet"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, before: u32, expect: u32) {
        assert_eq!(Mode::parse(text).unwrap().bits(before, FileKind::File, 0o022), expect, "{text}");
    }

    #[test]
    fn symbolic_modes() {
        check("0644", 0, 0o644);
        check("4755", 0, 0o4755);
        check("u=rwx,g=rx,o=", 0o666, 0o750);
        check("a+x", 0o644, 0o755);
        check("+w", 0o444, 0o644);
        check("u+s,g-w", 0o775, 0o4755);
        check("go=u", 0o700, 0o777);
        check("u=rwX,g=rX,o=rX", 0o600, 0o644);
        check("u=rwX,g=rX,o=rX", 0o700, 0o755);
        check("o+t", 0o755, 0o1755);
        check("u=rw-x+X", 0o600, 0o600);
        assert_eq!(Mode::parse("go=rX").unwrap().bits(0o700, FileKind::Dir, 0), 0o755);
    }

    #[test]
    fn refuses_other_texts() {
        for text in ["rw", "u~x", "z=r", "0888", "u=q"] {
            assert_eq!(
                Mode::parse(text).unwrap_err().msg,
                "mode must be in octal or symbolic form",
                "{text}"
            );
        }
        assert_eq!(
            Mode::parse("100644").unwrap_err().msg,
            "Invalid mode supplied, only permission info is allowed"
        );
    }
}
