//! `pamd`: rules of PAM services.

use super::attrs::Attrs;
use super::sh::{Report, expand_path};
use super::write;
use super::{
    ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, edit,
};
use crate::transport::Output;
use crate::value::{Map, Value};

const TYPES: &[&str] =
    &["account", "-account", "auth", "-auth", "password", "-password", "session", "-session"];

static SPEC: ModuleSpec = ModuleSpec {
    name: "pamd",
    namespaces: &["community.general"],
    about: "Changes rules of PAM services.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The service.").required(),
        ArgSpec::new("type", ArgKind::Str, "The rule's type.").required().choices(TYPES),
        ArgSpec::new("control", ArgKind::Str, "The rule's control.").required(),
        ArgSpec::new("module_path", ArgKind::Str, "The rule's module.").required(),
        ArgSpec::new("new_type", ArgKind::Str, "The type of the new rule.").choices(TYPES),
        ArgSpec::new("new_control", ArgKind::Str, "The control of the new rule."),
        ArgSpec::new("new_module_path", ArgKind::Str, "The module of the new rule."),
        ArgSpec::new("module_arguments", ArgKind::StrList, "The module's arguments."),
        ArgSpec::new("state", ArgKind::Str, "What to do with the rule.").default("updated").choices(&[
            "absent",
            "after",
            "args_absent",
            "args_present",
            "before",
            "updated",
        ]),
        ArgSpec::new("path", ArgKind::Path, "The folder of the services.").default("/etc/pam.d"),
        ArgSpec::new("backup", ArgKind::Bool, "Keep the old file under another name.").default("no"),
    ],
    rules: &[
        Rule::If { arg: "state", value: "args_present", needs: &["module_arguments"] },
        Rule::If { arg: "state", value: "args_absent", needs: &["module_arguments"] },
        Rule::If { arg: "state", value: "before", needs: &["new_control", "new_type", "new_module_path"] },
        Rule::If { arg: "state", value: "after", needs: &["new_control", "new_type", "new_module_path"] },
    ],
    returns: &[("change_count", "how many rules changed"), ("backupdest", "the name of the backup")],
    ..ModuleSpec::BASE
};

const CONTROLS: [&str; 7] =
    ["required", "requisite", "sufficient", "optional", "include", "substack", "definitive"];

pub struct Pamd;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// Comments, includes and empty lines, as they are.
    Other(String),
    Rule(PamRule),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PamRule {
    kind: String,
    control: String,
    module: String,
    arguments: Vec<String>,
}

impl Module for Pamd {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        Ok(Some(edit::lines(&file(call)?, &Attrs::default())))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let path = file(call)?;
        let found = edit::found_at(call, Report::of(seen)?, &path, &path)?;
        if found.content.is_none() {
            return Err(Failure::new(format!(
                "Unable to open/read PAM module file {path}: it does not exist"
            )));
        }
        let text = found.text();
        let mut lines: Vec<Line> = text.text.lines().map(parse).collect::<Result<_, _>>()?;
        let count = Wanted::of(&call.args)?.apply(&mut lines);
        for line in &lines {
            if let Line::Rule(rule) = line {
                rule.check()?;
            }
        }
        let mut result = Map::from_iter([("change_count", Value::from(count as i64))]);
        result.insert("backupdest", "");
        if count == 0 {
            return Ok(Prediction::same(result));
        }
        let after: String = lines.iter().map(|line| format!("{}\n", line.text())).collect();
        let mut prediction = found.replace(call, text.bytes(&after), result)?;
        prediction.result.remove("msg");
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backupdest", false)
    }
}

fn file(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let folder = args.str("path").unwrap_or_default();
    expand_path(call, &format!("{}/{}", folder.trim_end_matches('/'), args.str("name").unwrap_or_default()))
}

fn parse(line: &str) -> Result<Line, Failure> {
    let plain = line.trim();
    if plain.is_empty() || plain.starts_with('#') || plain.starts_with("@include") {
        return Ok(Line::Other(line.to_string()));
    }
    let broken = || Failure::new(format!("Rule is not valid {line}"));
    let (kind, rest) = plain.split_once(char::is_whitespace).ok_or_else(broken)?;
    let rest = rest.trim_start();
    let (control, rest) = match rest.find(']').filter(|_| rest.starts_with('[')) {
        Some(end) => rest.split_at(end + 1),
        None => rest.split_at(rest.find(char::is_whitespace).ok_or_else(broken)?),
    };
    let rest = rest.trim_start();
    let (module, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if module.is_empty() {
        return Err(broken());
    }
    Ok(Line::Rule(PamRule {
        kind: kind.to_string(),
        control: plain_control(control),
        module: module.to_string(),
        arguments: split_arguments(arguments),
    }))
}

/// Returns a control with single spaces in its brackets.
fn plain_control(control: &str) -> String {
    match control.strip_prefix('[') {
        Some(inner) => {
            let inner = inner.trim_end_matches(']').replace(" = ", "=");
            format!("[{}]", inner.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        None => control.to_string(),
    }
}

/// Splits arguments at spaces outside of brackets.
fn split_arguments(text: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = match rest.find(']').filter(|_| rest.starts_with('[')) {
            Some(end) => end + 1,
            None => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        arguments.push(rest[..end].to_string());
        rest = rest[end..].trim_start();
    }
    arguments
}

impl Line {
    fn text(&self) -> String {
        match self {
            Line::Other(text) => text.clone(),
            Line::Rule(rule) => {
                let mut text = format!("{: <11}{} {}", rule.kind, rule.control, rule.module);
                for argument in &rule.arguments {
                    text.push(' ');
                    text += argument;
                }
                text
            }
        }
    }
}

impl PamRule {
    fn is(&self, other: &PamRule) -> bool {
        (&self.kind, &self.control, &self.module) == (&other.kind, &other.control, &other.module)
    }

    fn check(&self) -> Result<(), Failure> {
        let line = Line::Rule(self.clone()).text();
        if !TYPES.contains(&self.kind.as_str()) {
            return Err(Failure::new(format!("Rule type, {}, is not valid in rule {line}", self.kind)));
        }
        let pairs = self.control.strip_prefix('[').map(|inner| inner.trim_end_matches(']'));
        let valid = match pairs {
            Some(pairs) => pairs.split(' ').all(|pair| pair.contains('=')),
            None => CONTROLS.contains(&self.control.as_str()),
        };
        if !valid {
            return Err(Failure::new(format!("Rule control, {}, is not valid in rule {line}", self.control)));
        }
        Ok(())
    }
}

/// What a task asks for.
struct Wanted<'a> {
    state: &'a str,
    rule: PamRule,
    new: PamRule,
    /// Nothing when the task names no arguments.
    arguments: Option<Vec<String>>,
}

impl<'a> Wanted<'a> {
    fn of(args: &'a Args) -> Result<Self, Failure> {
        let get = |name: &str| args.str(name).unwrap_or_default().to_string();
        let arguments: Option<Vec<String>> = args
            .has("module_arguments")
            .then(|| args.texts("module_arguments").iter().flat_map(|text| split_arguments(text)).collect());
        let state = args.str("state").unwrap_or("updated");
        if state == "args_present" && arguments.iter().flatten().any(|argument| argument.starts_with('[')) {
            return Err(Failure::new(
                "Unable to process bracketed '[' complex arguments with 'args_present'. Please use 'updated'.",
            ));
        }
        let rule = PamRule {
            kind: get("type"),
            control: plain_control(&get("control")),
            module: get("module_path"),
            arguments: Vec::new(),
        };
        let new = PamRule {
            kind: get("new_type"),
            control: plain_control(&get("new_control")),
            module: get("new_module_path"),
            arguments: arguments.clone().unwrap_or_default(),
        };
        Ok(Wanted { state, rule, new, arguments })
    }

    /// Changes the lines, and returns how many rules changed.
    fn apply(&self, lines: &mut Vec<Line>) -> usize {
        let is_it = |line: &Line| matches!(line, Line::Rule(rule) if rule.is(&self.rule));
        match self.state {
            "absent" => {
                let before = lines.len();
                lines.retain(|line| !is_it(line));
                before - lines.len()
            }
            "before" | "after" => self.insert(lines),
            state => {
                let mut count = 0;
                for line in lines.iter_mut() {
                    if let Line::Rule(rule) = line
                        && rule.is(&self.rule)
                    {
                        let old = rule.clone();
                        match state {
                            "args_present" => self.add_arguments(rule),
                            "args_absent" => {
                                let unwanted = self.arguments.as_deref().unwrap_or_default();
                                rule.arguments.retain(|argument| !unwanted.contains(argument));
                            }
                            _ => self.update(rule),
                        }
                        count += usize::from(*rule != old);
                    }
                }
                count
            }
        }
    }

    fn update(&self, rule: &mut PamRule) {
        let new = &self.new;
        for (part, value) in
            [(&mut rule.kind, &new.kind), (&mut rule.control, &new.control), (&mut rule.module, &new.module)]
        {
            if !value.is_empty() {
                part.clone_from(value);
            }
        }
        if let Some(arguments) = &self.arguments {
            rule.arguments.clone_from(arguments);
        }
    }

    fn add_arguments(&self, rule: &mut PamRule) {
        for argument in self.arguments.iter().flatten() {
            let key = argument.split_once('=').map(|(key, _)| format!("{key}="));
            let same = rule.arguments.iter_mut().find(|old| match &key {
                Some(key) => old.starts_with(key.as_str()),
                None => *old == argument,
            });
            match same {
                Some(old) => old.clone_from(argument),
                None => rule.arguments.push(argument.clone()),
            }
        }
    }

    /// Puts the new rule beside each that is meant, unless it stands there.
    fn insert(&self, lines: &mut Vec<Line>) -> usize {
        let after = self.state == "after";
        let mut count = 0;
        let mut at = 0;
        while at < lines.len() {
            let is_it = matches!(&lines[at], Line::Rule(rule) if rule.is(&self.rule));
            if !is_it {
                at += 1;
                continue;
            }
            let counts = |line: &&Line| match line {
                Line::Rule(_) => true,
                Line::Other(text) => text.trim_start().starts_with("@include"),
            };
            let neighbour = if after {
                lines[at + 1..].iter().find(counts)
            } else {
                lines[..at].iter().rev().find(counts)
            };
            let there = matches!(neighbour, Some(Line::Rule(rule)) if rule.is(&self.new));
            if there {
                at += 1;
                continue;
            }
            lines.insert(at + usize::from(after), Line::Rule(self.new.clone()));
            count += 1;
            at += 2;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    const SSHD: &str = "# PAM\n@include common-auth\nauth required pam_unix.so nullok\n\n\
        session    optional   pam_motd.so  noupdate\nsession [success=ok ignore=ignore] pam_x.so a=1\n";

    fn check(given: &[(&str, &str)], changes: &[(&str, &str)]) {
        let mut all = vec![("name", "sshd")];
        all.extend(given);
        let mut after = SSHD.to_string();
        for (from, to) in changes {
            assert!(after.contains(from), "{from}");
            after = after.replacen(from, to, 1);
        }
        assert_eq!(Case::new(&Pamd, args(&all)).edit(SSHD).0, after, "{given:?}");
    }

    const PLAIN: [(&str, &str); 3] = [
        ("auth required pam_unix.so", "auth       required pam_unix.so"),
        ("session    optional   pam_motd.so  noupdate", "session    optional pam_motd.so noupdate"),
        ("session [success=ok", "session    [success=ok"),
    ];

    #[test]
    fn removes_and_updates() {
        let motd = [("type", "session"), ("control", "optional"), ("module_path", "pam_motd.so")];
        let mut gone = PLAIN.to_vec();
        gone.push(("session    optional pam_motd.so noupdate\n", ""));
        check(&[&motd[..], &[("state", "absent")]].concat(), &gone);
        let mut required = PLAIN.to_vec();
        required.push(("optional pam_motd", "required pam_motd"));
        check(&[&motd[..], &[("new_control", "required")]].concat(), &required);
        check(&[&motd[..], &[("new_control", "optional")]].concat(), &[]);
        let other = [("type", "session"), ("control", "required"), ("module_path", "pam_motd.so")];
        check(&[&other[..], &[("state", "absent")]].concat(), &[]);
    }

    #[test]
    fn arguments() {
        let x = [("type", "session"), ("control", "[success=ok ignore=ignore]"), ("module_path", "pam_x.so")];
        let mut added = PLAIN.to_vec();
        added.push(("pam_x.so a=1", "pam_x.so a=2 b"));
        check(&[&x[..], &[("state", "args_present"), ("module_arguments", "a=2,b")]].concat(), &added);
        check(&[&x[..], &[("state", "args_present"), ("module_arguments", "a=1")]].concat(), &[]);
        let mut removed = PLAIN.to_vec();
        removed.push(("pam_x.so a=1", "pam_x.so"));
        check(&[&x[..], &[("state", "args_absent"), ("module_arguments", "a=1")]].concat(), &removed);
    }

    #[test]
    fn new_rules() {
        let unix = [
            ("type", "auth"),
            ("control", "required"),
            ("module_path", "pam_unix.so"),
            ("new_type", "auth"),
            ("new_control", "sufficient"),
            ("new_module_path", "pam_y.so"),
            ("module_arguments", "z"),
        ];
        let mut before = PLAIN.to_vec();
        before.push(("auth       required", "auth       sufficient pam_y.so z\nauth       required"));
        check(&[&unix[..], &[("state", "before")]].concat(), &before);
        let mut after = PLAIN.to_vec();
        after.push(("nullok\n", "nullok\nauth       sufficient pam_y.so z\n"));
        check(&[&unix[..], &[("state", "after")]].concat(), &after);
        let there = [
            ("type", "auth"),
            ("control", "required"),
            ("module_path", "pam_unix.so"),
            ("new_type", "session"),
            ("new_control", "optional"),
            ("new_module_path", "pam_motd.so"),
            ("state", "after"),
        ];
        check(&there, &[]);
    }

    #[test]
    fn failures() {
        let given = [
            ("name", "sshd"),
            ("type", "session"),
            ("control", "optional"),
            ("module_path", "pam_motd.so"),
            ("new_control", "maybe"),
        ];
        let case = Case::new(&Pamd, args(&given));
        let seen =
            format!("umask 0022\nlstat 81a4 0 0 9 1 1 1 9 1 1 0 0 8 4096 :root:root:\ncontent\n{SSHD}");
        assert_eq!(
            case.plan(seen).unwrap_err().msg,
            "Rule control, maybe, is not valid in rule session    maybe pam_motd.so noupdate"
        );
        assert_eq!(
            case.plan_absent().unwrap_err().msg,
            "Unable to open/read PAM module file /etc/pam.d/sshd: it does not exist"
        );
    }
}
