//! `acl`: access lists of files.

use super::sh::{Report, expand_path, q};
use super::tool::missing;
use super::write::attr_diff;
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Unknown, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "acl",
    namespaces: &["ansible.posix"],
    about: "Sets, removes and shows entries of files' access lists.",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The file.").required().aliases(&["name"]),
        ArgSpec::new("entry", ArgKind::Str, "The entry in one, such as user:joe:rw."),
        ArgSpec::new("entity", ArgKind::Str, "The user or group.").default(""),
        ArgSpec::new("etype", ArgKind::Str, "What the entry is about.")
            .choices(&["group", "mask", "other", "user"]),
        ArgSpec::new("permissions", ArgKind::Str, "The permissions, such as rwx."),
        ArgSpec::new("state", ArgKind::Str, "Whether the entry is to be there, or only shown.")
            .default("query")
            .choices(&["absent", "present", "query"]),
        ArgSpec::new("follow", ArgKind::Bool, "What a link leads to is meant.").default("yes"),
        ArgSpec::new("default", ArgKind::Bool, "The entry is for what will be made in the folder.")
            .default("no"),
        ArgSpec::new("recursive", ArgKind::Bool, "Everything below is meant too.")
            .default("no")
            .aliases(&["recurse"]),
        ArgSpec::new("recalculate_mask", ArgKind::Str, "Whether the mask is worked out anew.")
            .default("default")
            .choices(&["default", "mask", "no_mask"]),
    ],
    returns: &[("acl", "the access list"), ("msg", "what holds")],
    ..ModuleSpec::BASE
};

pub struct Acl;

/// An entry as a task means it.
struct Entry {
    default: bool,
    /// As setfacl takes it.
    text: String,
}

impl Module for Acl {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let path = q(&path(call)?);
        let mut script = format!(
            "command -v getfacl >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\n\
             [ -e {path} ] || {{ printf 'absent yes\\n'; exit 0; }}\n"
        );
        if let Some(entry) = Entry::of(&call.args)? {
            // The tool's own simulation: "*,*" for each file where nothing would change.
            add!(
                script,
                "xp_a=$(LC_ALL=C setfacl --test{} {path} 2>&1) || {{ xp_tell failed \"$xp_a\"; exit 0; }}\n\
                 printf '%s\\n' \"$xp_a\" | sed 's/^/test /'\n",
                options(&call.args, &entry)
            );
        }
        add!(script, "{}", show(call)?);
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let path = path(call)?;
        let entry = Entry::of(args)?;
        call.needs_untouched(&path)?;
        let report = Report::of(seen)?;
        if report.get("missing").is_some() {
            return Err(missing(call, "there is no getfacl on the target; install acl"));
        }
        if report.get("absent").is_some() {
            if call.foreseen_file(&path)?.is_some() {
                let cause = format!("{path} is made by an earlier step");
                return Err(Failure::unknown(Unknown { cause: cause.into() }));
            }
            return Err(missing(call, "Path not found or not accessible."));
        }
        if let Some(why) = report.word("failed") {
            return Err(Failure::new(why.trim().to_string()));
        }
        let mut result = Map::from_iter([("acl", listed(&report.content.clone().unwrap_or_default()))]);
        let Some(entry) = entry else {
            result.insert("msg", "current acl");
            return Ok(Prediction::read(result));
        };
        let word = if args.str("state") == Some("present") { "present" } else { "absent" };
        result.insert("msg", format!("{} is {word}", entry.text));
        let needed = report.all("test").any(|line| {
            let line = line.trim_end();
            !line.is_empty() && !line.ends_with("*,*")
        });
        if !needed {
            return Ok(Prediction::same(result));
        }
        let script = format!(
            "xp_do \"set the access list of \"{path} setfacl{} {path}\n{}",
            options(args, &entry),
            show(call)?,
            path = q(&path)
        );
        let side = |there: bool| Map::from_iter([(entry.text.clone(), there)]);
        let present = word == "present";
        Ok(Prediction::change(result, vec![Action::run(script)])
            .touch(Touch::Tree { path: path.clone() })
            .diff(attr_diff(&path, side(!present), side(present))))
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let mut outcome = prediction.into_outcome();
        for output in ran {
            if output.rc != 0 {
                return Err(Failure::from_output(output));
            }
            outcome.result.insert("acl", listed(&Report::parse(&output.stdout).content.unwrap_or_default()));
        }
        Ok(outcome)
    }
}

fn path(call: &Call) -> Result<String, Failure> {
    expand_path(call, call.args.str("path").unwrap_or_default())
}

fn listed(content: &[u8]) -> Value {
    let text = String::from_utf8_lossy(content);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Value::from(lines.map(str::to_string).collect::<Vec<_>>())
}

/// Returns the lines that print the access list.
fn show(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let default = Entry::of(args)?.map_or(args.flag("default"), |entry| entry.default);
    let mut words = String::new();
    for (given, word) in
        [(default, " -d"), (args.flag("recursive"), " --recursive"), (!args.flag("follow"), " --physical")]
    {
        if given {
            words += word;
        }
    }
    Ok(format!(
        "printf 'content\\n'\ngetfacl{words} --absolute-names --omit-header {} 2>/dev/null\n",
        q(&path(call)?)
    ))
}

fn options(args: &Args, entry: &Entry) -> String {
    let mut words = String::new();
    if entry.default {
        words += " -d";
    }
    add!(words, " {} {}", if args.str("state") == Some("present") { "-m" } else { "-x" }, q(&entry.text));
    if args.flag("recursive") {
        words += " --recursive";
    }
    match args.str("recalculate_mask") {
        Some("mask") => words += " --mask",
        Some("no_mask") => words += " --no-mask",
        _ => {}
    }
    if !args.flag("follow") {
        words += " --physical";
    }
    words
}

impl Entry {
    /// Returns the entry, or nothing where the list is only shown.
    fn of(args: &Args) -> Result<Option<Entry>, Failure> {
        let wrong = |text: &str| Err(Failure::new(text.to_string()));
        let state = args.str("state").unwrap_or("query");
        let given = |name: &str| args.str(name).filter(|value| !value.is_empty());
        if state == "query" {
            if args.flag("recursive") {
                return wrong("'recursive' MUST NOT be set when 'state=query'.");
            }
            if args.str("recalculate_mask") != Some("default") {
                return wrong(
                    "'recalculate_mask' MUST NOT be set to 'mask' or 'no_mask' when 'state=query'.",
                );
            }
        }
        let Some(entry) = given("entry") else {
            if state == "query" {
                return Ok(None);
            }
            if state == "absent" && given("permissions").is_some() {
                return wrong("'permissions' MUST NOT be set when 'state=absent'.");
            }
            if state == "absent" && given("entity").is_none() {
                return wrong("'entity' MUST be set when 'state=absent'.");
            }
            let Some(kind) = given("etype") else {
                return Err(Failure::new(format!("'etype' MUST be set when 'state={state}'.")));
            };
            let entity = args.str("entity").unwrap_or_default();
            let text = match given("permissions") {
                Some(permissions) => format!("{kind}:{entity}:{permissions}"),
                None => format!("{kind}:{entity}"),
            };
            return Ok(Some(Entry { default: args.flag("default"), text }));
        };
        if given("etype").is_some() || given("entity").is_some() || given("permissions").is_some() {
            return wrong("'entry' MUST NOT be set when 'entity', 'etype' or 'permissions' are set.");
        }
        let colons = entry.matches(':').count();
        match state {
            "present" if !matches!(colons, 2 | 3) => {
                return wrong("'entry' MUST have 3 or 4 sections divided by ':' when 'state=present'.");
            }
            "absent" if !matches!(colons, 1 | 2) => {
                return wrong("'entry' MUST have 2 or 3 sections divided by ':' when 'state=absent'.");
            }
            "query" => return wrong("'entry' MUST NOT be set when 'state=query'."),
            _ => {}
        }
        let mut parts: Vec<&str> = entry.split(':').collect();
        let default = parts[0].to_lowercase().starts_with('d');
        if default {
            parts.remove(0);
        }
        let kind = match parts.first().map(|kind| kind.to_lowercase()) {
            Some(kind) if kind.starts_with('u') => "user",
            Some(kind) if kind.starts_with('g') => "group",
            Some(kind) if kind.starts_with('m') => "mask",
            Some(kind) if kind.starts_with('o') => "other",
            _ => {
                return Err(Failure::new(format!("'entry' begins with user, group, mask or other: {entry}")));
            }
        };
        let entity = parts.get(1).copied().unwrap_or_default();
        let text = match parts.get(2).filter(|_| state == "present") {
            Some(permissions) if !permissions.is_empty() => format!("{kind}:{entity}:{permissions}"),
            _ => format!("{kind}:{entity}"),
        };
        Ok(Some(Entry { default: default || args.flag("default"), text }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    const LIST: &str = "content\nuser::rw-\nuser:joe:rw-\ngroup::r--\n\n";

    fn planned(given: &[(&str, &str)], seen: &str) -> Result<(String, String), String> {
        let mut given = given.to_vec();
        given.push(("path", "/f"));
        let prediction = Case::new(&Acl, args(&given)).plan(seen).map_err(|f| f.msg)?;
        let line = scripts(&prediction).concat().lines().next().unwrap_or_default().to_string();
        Ok((line, prediction.result.get("msg").unwrap().to_text()))
    }

    #[test]
    fn sets_and_removes() {
        let check = |given: &[(&str, &str)], test: &str, words: &str, msg: &str| {
            let (line, found) = planned(given, &format!("test {test}\n{LIST}")).unwrap();
            let expect = if words.is_empty() {
                String::new()
            } else {
                format!("xp_do \"set the access list of \"'/f' setfacl {words} '/f'")
            };
            assert_eq!((line.as_str(), found.as_str()), (expect.as_str(), msg), "{given:?}");
        };
        let joe = [("state", "present"), ("etype", "user"), ("entity", "joe"), ("permissions", "rw")];
        check(&joe, "/f: *,*", "", "user:joe:rw is present");
        check(
            &joe,
            "/f: u::rw-,u:joe:rw-,g::r--,m::rw-,o::r--,*",
            "-m 'user:joe:rw'",
            "user:joe:rw is present",
        );
        let entry = [("state", "present"), ("entry", "default:g:staff:rx"), ("recursive", "yes")];
        check(
            &entry,
            "/f: *,*\ntest /f/g: x,*",
            "-d -m 'group:staff:rx' --recursive",
            "group:staff:rx is present",
        );
        let link = [("state", "present"), ("entry", "u:joe:r"), ("follow", "no")];
        check(&link, "", "", "user:joe:r is present");
        let gone = [("state", "absent"), ("etype", "user"), ("entity", "joe"), ("follow", "no")];
        check(&gone, "/f: x,*", "-x 'user:joe' --physical", "user:joe is absent");
    }

    #[test]
    fn shows() {
        let prediction = Case::new(&Acl, args(&[("path", "/f")])).plan(LIST).unwrap();
        assert_eq!(
            prediction.result.get("acl").unwrap().to_text(),
            "['user::rw-', 'user:joe:rw-', 'group::r--']"
        );
        assert_eq!(prediction.effect, crate::modules::Effect::Read);
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(planned(given, seen).unwrap_err(), expect, "{given:?}");
        };
        fails(&[("state", "present")], "", "'etype' MUST be set when 'state=present'.");
        fails(&[("state", "absent"), ("etype", "user")], "", "'entity' MUST be set when 'state=absent'.");
        fails(&[("entry", "u:a:r")], "", "'entry' MUST NOT be set when 'state=query'.");
        fails(&[], "absent yes\n", "Path not found or not accessible.");
        fails(&[], "missing yes\n", "there is no getfacl on the target; install acl");
    }
}
