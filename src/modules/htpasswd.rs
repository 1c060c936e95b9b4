//! `htpasswd`: users and passwords for web servers.

use super::attrs::FILE_ARGS;
use super::htpasswd_hash::{Checked, SCHEMES, check, hash};
use super::write::{self, attr_diff};
use super::{
    ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, edit, local,
};
use crate::transport::Output;
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "htpasswd",
    namespaces: &["community.general"],
    about: "Keeps users and passwords in a file for web servers.",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The file.").required().aliases(&["dest", "destfile"]),
        ArgSpec::new("name", ArgKind::Str, "The user.").required().aliases(&["username"]),
        ArgSpec::new("password", ArgKind::Str, "The password."),
        ArgSpec::new("hash_scheme", ArgKind::Str, "How the password is kept.")
            .default("apr_md5_crypt")
            .choices(SCHEMES)
            .aliases(&["crypt_scheme"]),
        ArgSpec::new("state", ArgKind::Str, "Whether the user is to be in it.")
            .default("present")
            .choices(&["present", "absent"]),
        ArgSpec::new("create", ArgKind::Bool, "Make the file where there is none.").default("yes"),
    ],
    shared: FILE_ARGS,
    rules: &[Rule::If { arg: "state", value: "present", needs: &["password"] }],
    returns: &[("msg", "what was done")],
    ..ModuleSpec::BASE
};

pub struct Htpasswd;

impl Module for Htpasswd {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        name(call)?;
        edit::probe(call, "path").map(Some)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let found = edit::found(call, seen, "path")?;
        let user = name(call)?;
        let absent = args.str("state") == Some("absent");
        let text = found.text();
        let path = &found.shown;
        if found.content.is_none() && absent {
            let mut same = Prediction::same(Map::from_iter([("msg", format!("{user} not present"))]));
            same.warnings.push(format!("{path} does not exist"));
            return Ok(same);
        }
        if found.content.is_none() && !args.flag("create") {
            return Err(Failure::new(format!("Destination {path} does not exist")));
        }
        let given = text.arg(user);
        let of_user = |line: &str| line.split_once(':').is_some_and(|(name, _)| name == given);
        let kept = text.text.lines().find(|line| of_user(line)).and_then(|line| line.split_once(':'));
        let password = args.str("password").unwrap_or_default();
        let mut warnings = Vec::new();
        let holds = match kept {
            Some((_, kept)) => match check(password, kept.trim_end()) {
                Checked::Same => true,
                Checked::Other => false,
                Checked::Unreadable(scheme) => {
                    if !absent {
                        warnings.push(format!(
                            "{user} has a password of the kind {scheme}, which is not known here: it is replaced"
                        ));
                    }
                    false
                }
            },
            None => false,
        };
        let msg = match (absent, found.content.is_some()) {
            (true, _) if kept.is_none() => format!("{user} not present"),
            (true, _) => format!("Remove {user}"),
            (false, true) if holds => format!("{user} already present"),
            (false, true) => format!("Add/update {user}"),
            (false, false) => format!("Created {path} and added {user}"),
        };
        let mut line = None;
        if !absent && !holds {
            // The salt follows from where it stands, so that the same task always writes the same.
            let place = local::sha256(format!("{} {path} {user}", call.target.host).as_bytes());
            let scheme = args.str("hash_scheme").unwrap_or_default();
            line = Some(format!("{given}:{}\n", hash(password, scheme, &place)?));
        }
        let changes = line.is_some() || absent && kept.is_some();
        let mut after = String::new();
        for old in text.text.split_inclusive('\n') {
            // Blank lines are taken out, as programs stumble over them.
            if old.trim().is_empty() && changes {
                continue;
            }
            if !of_user(old) || (!absent && holds) {
                after += old;
            } else if !absent && let Some(line) = line.take() {
                after += &line;
            }
        }
        if let Some(line) = line {
            if !after.is_empty() && !after.ends_with('\n') {
                after.push('\n');
            }
            after += &line;
        }
        let users = |text: &str| {
            let names =
                text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_string());
            names.filter(|name| !name.starts_with('#')).collect::<Vec<_>>()
        };
        let (before_users, after_users) = (users(&text.text), users(&after));
        let replaced = text.text != after;
        let mut prediction = found.replace(call, text.bytes(&after), Map::new())?;
        let told = prediction.result.get("msg").map(crate::value::Value::to_text).unwrap_or_default();
        let and = if told.is_empty() { "" } else { " and " };
        prediction.result.insert("msg", format!("{msg}{and}{told}").replace(" and  and ", " and "));
        if replaced {
            // Hashes of passwords are nobody's business.
            let password = |users: &[String], word: &str| {
                Map::from_iter([
                    ("users", crate::value::Value::from(users.to_vec())),
                    ("password", word.into()),
                ])
            };
            let new = if absent { "kept" } else { "set" };
            if let Some(first) = prediction.diff.first_mut() {
                *first = attr_diff(path, password(&before_users, "kept"), password(&after_users, new));
            }
        }
        prediction.warnings.extend(warnings);
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup_file", true)
    }
}

fn name<'c>(call: &'c Call) -> Result<&'c str, Failure> {
    let name = call.args.str("name").unwrap_or_default();
    if name.is_empty() || name.contains([':', '\n', '\r', '\0']) {
        return Err(Failure::new("name must not be empty and holds no colon and no line break"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    fn edited(given: &[(&str, &str)], before: &str) -> (String, String) {
        let mut given = given.to_vec();
        given.extend([("path", "/f"), ("name", "ada")]);
        Case::new(&Htpasswd, args(&given)).edit(before)
    }

    #[test]
    fn users_come_and_go() {
        let plain = [("password", "pw"), ("hash_scheme", "plaintext")];
        assert_eq!(edited(&plain, "eve:x\n"), ("eve:x\nada:pw\n".into(), "Add/update ada".into()));
        assert_eq!(edited(&plain, "ada:pw\n"), ("ada:pw\n".into(), "ada already present".into()));
        assert_eq!(edited(&plain, "ada:no\n\neve:x"), ("ada:pw\neve:x".into(), "Add/update ada".into()));
        let absent = [("state", "absent")];
        assert_eq!(edited(&absent, "ada:no\neve:x\n"), ("eve:x\n".into(), "Remove ada".into()));
        assert_eq!(edited(&absent, "eve:x\n"), ("eve:x\n".into(), "ada not present".into()));
    }

    #[test]
    fn hashes_are_not_shown() {
        let given = args(&[("path", "/f"), ("name", "ada"), ("password", "pw")]);
        let prediction = Case::new(&Htpasswd, given).plan_absent().unwrap();
        let shown = format!("{:?}", prediction.diff);
        assert!(!shown.contains("apr1") && shown.contains("ada"), "{shown}");
    }

    #[test]
    fn refuses() {
        let fails = |given: &[(&str, &str)], expect: &str| {
            let mut given = given.to_vec();
            given.push(("path", "/f"));
            assert_eq!(Case::new(&Htpasswd, args(&given)).plan_absent().unwrap_err().msg, expect);
        };
        fails(&[("name", "ada")], "state is present but all of the following are missing: password");
        fails(
            &[("name", "a:b"), ("password", "x")],
            "name must not be empty and holds no colon and no line break",
        );
        fails(&[("name", "ada"), ("password", "x"), ("create", "no")], "Destination /f does not exist");
    }
}
