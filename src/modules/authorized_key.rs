//! `authorized_key`: the SSH keys that may log in as a user.

use indexmap::IndexMap;

use super::account::{Account, LOOKUP};
use super::attrs::AttrChange;
use super::http::read_url;
use super::local::sha256;
use super::sh::{FileKind, Look, Report, expand_path, q};
use super::text::{Text, lines};
use super::write::{self, Before};
use super::{ArgKind, ArgSpec, Call, Failure, Known, Module, ModuleSpec, Outcome, Prediction, Seen};
use crate::transport::Output;
use crate::value::Unknown;

static SPEC: ModuleSpec = ModuleSpec {
    name: "authorized_key",
    namespaces: &["ansible.posix"],
    about: "Adds and removes SSH keys that may log in as a user.",
    args: &[
        ArgSpec::new("user", ArgKind::Str, "The user.").required(),
        ArgSpec::new("key", ArgKind::Str, "Keys, one on each line; or an URL or file:// on the target.")
            .required(),
        ArgSpec::new("path", ArgKind::Path, "The file, instead of .ssh/authorized_keys in the user's home."),
        ArgSpec::new("manage_dir", ArgKind::Bool, "Make the file's folder and give it to the user.")
            .default("yes"),
        ArgSpec::new("state", ArgKind::Str, "Whether the keys are to be there.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("key_options", ArgKind::Str, "Options in front of the keys."),
        ArgSpec::new("exclusive", ArgKind::Bool, "Remove all other keys.").default("no"),
        ArgSpec::new("comment", ArgKind::Str, "The keys' comment."),
        ArgSpec::new("validate_certs", ArgKind::Bool, "Check the certificate of an URL's server.")
            .default("yes"),
        ArgSpec::new("follow", ArgKind::Bool, "Write to where a link leads.").default("no"),
    ],
    returns: &[
        ("keyfile", "the file"),
        ("user", "the user"),
        ("key", "the argument"),
        ("state", "the argument"),
        ("exclusive", "the argument"),
    ],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

pub struct AuthorizedKey;

impl Module for AuthorizedKey {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let user = q(args.str("user").unwrap_or_default());
        let path = match args.str("path") {
            Some(path) => format!("xp_p={}\n", q(&expand_path(call, path)?)),
            None => "[ -n \"${xp_home-}\" ] || exit 0\nxp_p=$xp_home/.ssh/authorized_keys\n".to_string(),
        };
        let mut source = String::new();
        let key = args.str("key").unwrap_or_default();
        if key.starts_with("http") {
            let get = read_url(key, args.bool("validate_certs") != Some(false));
            add!(
                source,
                "xp_s=$({get}) || xp_fail \"Error getting key from: \"{}\nxp_tell source \"$xp_s\"\n",
                q(key)
            );
        } else if let Some(file) = key.strip_prefix("file://").or_else(|| key.strip_prefix("file:")) {
            let file = q(file);
            add!(
                source,
                "[ -e {file} ] || xp_fail \"Path to a key file not found: \"{file}\n\
                 [ -f {file} ] || xp_fail \"Path to a key is a directory and must be a file: \"{file}\n\
                 xp_s=$(cat -- {file}) || exit 1\nxp_tell source \"$xp_s\"\n"
            );
        }
        Ok(Some(format!(
            "{LOOKUP}xp_account {user}\n{source}{path}xp_tell path \"$xp_p\"\n\
             if [ -d \"${{xp_p%/*}}\" ]; then printf 'dir yes\\n'; fi\nxp_look \"$xp_p\"\n\
             if [ -f \"$xp_p\" ]; then [ -r \"$xp_p\" ] || xp_fail \"cannot read $xp_p: Permission denied\"\n\
             printf 'content\\n'; cat -- \"$xp_p\"; fi\n"
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let mut report = Report::of(seen)?;
        let content = report.content.take();
        let user = args.str("user").unwrap_or_default();
        let account = Account::of(&report)?;
        match call.world.user(user) {
            Known::Untouched => {}
            Known::Unknown(cause) => return Err(Failure::unknown(cause)),
            Known::Known(_) => {
                let cause = format!("user {user} is made or changed by an earlier step");
                return Err(Failure::unknown(Unknown { cause: cause.into() }));
            }
        }
        if account.is_none() && !(call.check && args.has("path")) {
            return Err(Failure::new(if call.check {
                "Either user must exist or you must provide full path to key file in check mode".to_string()
            } else {
                format!("Failed to lookup user {user}: there is no such user")
            }));
        }
        let mut look = Look::of(&report)?;
        let shown = report.word("path").unwrap_or_default();
        let path = match &look.real {
            Some(real) if args.flag("follow") && look.is_link() => real.clone(),
            _ => shown.clone(),
        };
        let mut content = content;
        if let Some(after) = call.foreseen_file(&path)? {
            content = after.content(&path, content)?;
            look = after.look(&look);
        }
        let text = Text::of(content.as_deref().unwrap_or_default());
        let source = report.word("source");
        let after = edit(call, &text.text, source.as_deref().or(args.str("key")).unwrap_or_default())?;
        let mut result = args.map().clone();
        result.insert("keyfile", path.as_str());
        let Some(after) = after else { return Ok(Prediction::same(result)) };
        let after = text.bytes(&after);
        let before = content.as_deref().map(sha256);
        let mut change = AttrChange::default();
        change.set_mode(0o600, FileKind::File);
        let mut lines_before = String::new();
        if let Some(account) = &account {
            (change.uid, change.gid) = (Some(account.uid), Some(account.gid));
            if args.flag("manage_dir") {
                let dir = q(path.rsplit_once('/').map_or(".", |(dir, _)| dir));
                add!(
                    lines_before,
                    "if [ ! -d {dir} ]; then xp_do \"make the directory \"{dir} mkdir -m 700 -- {dir}; fi\n\
                     xp_do \"give it to the user: \"{dir} chown {}:{} {dir}\nxp_do \"set the mode of \"{dir} chmod 700 {dir}\n",
                    account.uid,
                    account.gid
                );
            } else {
                lines_before = write::make_parent(&path);
            }
        }
        let before = match &before {
            Some(_) if look.is_link() && !args.flag("follow") => Before::Anything,
            Some(digest) => Before::Sha256(digest),
            None => Before::Absent,
        };
        let (content, lines_before) = (content.as_deref(), &*lines_before);
        let text = write::Text {
            path: &path,
            look: &look,
            content,
            before,
            after: &after,
            change: &change,
            lines_before,
        };
        text.plan(call, result)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup", false)
    }
}

/// Options in front of a key; a name can stand there more than once.
type Options = IndexMap<String, Vec<Option<String>>>;

/// A line with a key.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    options: Options,
    /// The options in the order in which they stand.
    order: Vec<(String, Option<String>)>,
    kind: String,
    key: String,
    comment: String,
}

const KINDS: &[&str] = &[
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "ssh-dss",
    "ssh-ed25519",
    "ssh-rsa",
    "rsa-sha2-256",
    "rsa-sha2-512",
    "ssh-xmss@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
];

fn is_kind(word: &str) -> bool {
    let plain = word.strip_suffix("-cert-v01@openssh.com");
    KINDS.contains(&word)
        || plain.is_some_and(|plain| {
            KINDS.contains(&plain) || KINDS.contains(&format!("{plain}@openssh.com").as_str())
        })
}

impl Key {
    fn parse(line: &str) -> Option<Key> {
        let line = line.replace("\\#", "#");
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() == Some(&"#") {
            return None;
        }
        let at = words.iter().position(|w| is_kind(w))?;
        let mut key = Key {
            options: Options::new(),
            order: Vec::new(),
            kind: words[at].to_string(),
            key: words.get(at + 1)?.to_string(),
            comment: words.get(at + 2..).unwrap_or_default().join(" "),
        };
        key.set_options(&words[..at].join(" "));
        Some(key)
    }

    fn set_options(&mut self, text: &str) {
        self.options = Options::new();
        self.order = Vec::new();
        for part in split_options(text) {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.to_string(), Some(value.to_string())),
                None => (part.to_string(), None),
            };
            self.options.entry(name.clone()).or_default().push(value.clone());
            self.order.push((name, value));
        }
    }

    /// Whether both are the same but for the order of different options.
    fn same(&self, other: &Key) -> bool {
        (&self.key, &self.kind, &self.comment, &self.options)
            == (&other.key, &other.kind, &other.comment, &other.options)
    }

    fn line(&self) -> String {
        let options: Vec<String> = self
            .order
            .iter()
            .map(|(name, value)| match value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            })
            .collect();
        let options = if options.is_empty() { String::new() } else { options.join(",") + " " };
        format!("{options}{} {} {}\n", self.kind, self.key, self.comment)
    }
}

/// Splits at commas outside of quotes.
fn split_options(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (',', None) => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|p| !p.is_empty());
    parts
}

enum Line {
    Key(Key),
    Other(String),
}

/// Returns the new content, or nothing when it is as wanted.
fn edit(call: &Call, before: &str, source: &str) -> Result<Option<String>, Failure> {
    let args = &call.args;
    let present = args.str("state") != Some("absent");
    let mut file: Vec<Line> = Vec::new();
    for line in lines(before) {
        match Key::parse(&line) {
            Some(key) => {
                // Of two lines with the same key the last one counts.
                file.retain(|l| !matches!(l, Line::Key(k) if k.key == key.key));
                file.push(Line::Key(key));
            }
            None => file.push(Line::Other(line)),
        }
    }
    let mut wanted = Vec::new();
    let mut added = Vec::new();
    let mut changed = false;
    for line in source.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let mut key =
            Key::parse(line).ok_or_else(|| Failure::new(format!("invalid key specified: {line}")))?;
        if let Some(options) = args.str("key_options") {
            key.set_options(options);
        }
        if let Some(comment) = args.str("comment") {
            key.comment = comment.to_string();
        }
        let there = file.iter().position(|l| matches!(l, Line::Key(k) if k.key == key.key));
        let same = there.is_some_and(|at| matches!(&file[at], Line::Key(k) if k.same(&key)));
        wanted.push(key.key.clone());
        match (there, present) {
            (Some(_), true) if same => {}
            (there, true) => {
                if let Some(at) = there {
                    file.remove(at);
                }
                added.retain(|k: &Key| k.key != key.key);
                added.push(key);
                changed = true;
            }
            (Some(at), false) => {
                file.remove(at);
                changed = true;
            }
            (None, false) => {}
        }
    }
    file.extend(added.into_iter().map(Line::Key));
    if present && args.flag("exclusive") {
        let count = file.len();
        file.retain(|l| matches!(l, Line::Key(k) if wanted.contains(&k.key)));
        changed |= file.len() != count;
    }
    if !changed {
        return Ok(None);
    }
    let mut after = String::new();
    for line in &file {
        if !after.is_empty() && !after.ends_with('\n') {
            after.push('\n');
        }
        match line {
            Line::Key(key) => after += &key.line(),
            Line::Other(text) => after += text,
        }
    }
    Ok(Some(after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, stdin};

    const ACCOUNT: &str =
        "uid 1000\ngid 100\nhome =/home/ada\npath =/home/ada/.ssh/authorized_keys\numask 0022\n";

    /// Checks the file's content before and after; equal means no change.
    fn check(given: &[(&str, &str)], before: &str, after: &str) {
        let mut given = given.to_vec();
        given.push(("user", "ada"));
        let case = Case::new(&AuthorizedKey, args(&given));
        let plan = |content: &str| {
            let size = content.len();
            let seen = format!(
                "{ACCOUNT}lstat 8180 0 0 {size} 1 1 1 9 1 1 0 0 8 4096 :root:root:\ncontent\n{content}"
            );
            stdin(&case.plan(seen).unwrap()).unwrap_or_else(|| content.to_string())
        };
        assert_eq!(plan(before), after, "{given:?}");
        assert_eq!(plan(after), after, "not idempotent: {given:?}");
    }

    #[test]
    fn present() {
        check(&[("key", "ssh-rsa AAA ada@x")], "", "ssh-rsa AAA ada@x\n");
        check(
            &[("key", "ssh-rsa AAA ada@x")],
            "# note\nssh-ed25519 E",
            "# note\nssh-ed25519 E \nssh-rsa AAA ada@x\n",
        );
        check(&[("key", "ssh-rsa AAA ada@x")], "ssh-rsa AAA old\n", "ssh-rsa AAA ada@x\n");
        check(
            &[("key", "ssh-rsa AAA x"), ("key_options", r#"no-pty,from="a, b""#)],
            "ssh-rsa AAA x\n",
            "no-pty,from=\"a, b\" ssh-rsa AAA x\n",
        );
        check(
            &[("key", r#"from="a, b",no-pty ssh-rsa AAA x"#)],
            "no-pty,from=\"a, b\" ssh-rsa AAA x\n",
            "no-pty,from=\"a, b\" ssh-rsa AAA x\n",
        );
        check(
            &[("key", "ssh-rsa B\nssh-rsa A\n# c"), ("exclusive", "yes"), ("comment", "c")],
            "# note\nssh-rsa A c\nssh-rsa C c\n",
            "ssh-rsa A c\nssh-rsa B c\n",
        );
    }

    #[test]
    fn absent() {
        check(&[("key", "ssh-rsa A"), ("state", "absent")], "ssh-rsa B x\nssh-rsa A y\n", "ssh-rsa B x\n");
        check(&[("key", "ssh-rsa A"), ("state", "absent")], "x\n", "x\n");
    }

    #[test]
    fn failures() {
        let fails = |key: &str, seen: &str, expect: &str| {
            let failure =
                Case::new(&AuthorizedKey, args(&[("user", "ada"), ("key", key)])).plan(seen).unwrap_err();
            assert_eq!(failure.msg, expect);
        };
        let there = format!("{ACCOUNT}lstat absent\n");
        fails("rubbish", &there, "invalid key specified: rubbish");
        fails("ssh-rsa", &there, "invalid key specified: ssh-rsa");
        fails("ssh-rsa A", "", "Failed to lookup user ada: there is no such user");
    }

    #[test]
    fn certificates_are_keys() {
        for kind in ["ssh-rsa-cert-v01@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"] {
            assert!(is_kind(kind), "{kind}");
        }
        assert!(!is_kind("ssh-foo"));
    }
}
