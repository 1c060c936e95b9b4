//! `ini_file`: options in an ini file.

use super::attrs::FILE_ARGS;
use super::sh::expand_path;
use super::text::lines;
use super::write;
use super::{
    ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, edit,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "ini_file",
    namespaces: &["community.general"],
    about: "Sets and removes options in an ini file.",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The file.").required().aliases(&["dest"]),
        ArgSpec::new("section", ArgKind::Str, "The section; without it the lines before the first one."),
        ArgSpec::new(
            "section_has_values",
            ArgKind::List,
            "Options by which to tell sections of one name apart.",
        ),
        ArgSpec::new("option", ArgKind::Str, "The option; without it the section itself is meant."),
        ArgSpec::new("value", ArgKind::Str, "Its value."),
        ArgSpec::new("values", ArgKind::StrList, "Its values, one line each."),
        ArgSpec::new("state", ArgKind::Str, "Whether it is to be there.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("exclusive", ArgKind::Bool, "The option has no other values.").default("yes"),
        ArgSpec::new("no_extra_spaces", ArgKind::Bool, "No spaces around the equals sign.").default("no"),
        ArgSpec::new("ignore_spaces", ArgKind::Bool, "Other spaces around it are no difference.")
            .default("no"),
        ArgSpec::new("allow_no_value", ArgKind::Bool, "The option may stand without a value.").default("no"),
        ArgSpec::new(
            "modify_inactive_option",
            ArgKind::Bool,
            "An option in a comment is taken for the place.",
        )
        .default("yes"),
        ArgSpec::new("create", ArgKind::Bool, "Make the file when it is absent.").default("yes"),
        ArgSpec::new("backup", ArgKind::Bool, "Keep the old file under another name.").default("no"),
        ArgSpec::new("follow", ArgKind::Bool, "Write to where a link leads.").default("no"),
    ],
    shared: FILE_ARGS,
    rules: &[Rule::Exclusive(&["value", "values"])],
    returns: &[("msg", "what was done"), ("path", "the file"), ("backup_file", "the name of the backup")],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

pub struct IniFile;

impl Module for IniFile {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        Wanted::of(&call.args)?;
        edit::probe(call, "path").map(Some)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let mut found = edit::found(call, seen, "path")?;
        if !args.flag("follow") {
            let own = expand_path(call, &found.shown)?;
            // A link is replaced itself; an earlier step of a plan may have done so.
            if let Some(after) = call.foreseen_file(&own)?.filter(|_| own != found.path) {
                found.content = after.content(&own, found.content)?;
                found.look = after.look(&found.look);
            }
            found.path = own;
        }
        if found.content.is_none() && !args.flag("create") {
            return Err(Failure::new(format!("Destination {} does not exist!", found.shown)).with("rc", 257));
        }
        let text = found.text();
        let (after, msg) = Wanted::of(args)?.edit(text.text.trim_start_matches('\u{feff}'));
        let mut result = Map::new();
        result.insert("path", expand_path(call, &found.shown)?);
        let after = match after {
            Some(after) => text.bytes(&after),
            None => found.content.clone().unwrap_or_default(),
        };
        let mut prediction = found.replace(call, after, result)?;
        prediction.result.insert("msg", msg);
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup_file", false)
    }
}

/// A line with an option, in parts.
struct OptionLine<'a> {
    commented: bool,
    value: &'a str,
}

/// Which lines count as the option's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    Active,
    /// Those in comments too.
    All,
}

/// Reads a line when it is about an option: spaces, maybe a comment sign, the name, and an equals sign or the end.
fn option_line<'a>(line: &'a str, option: &str, which: Lines) -> Option<OptionLine<'a>> {
    let blank = [' ', '\t'];
    let mut rest = line.trim_start_matches(blank);
    let mut commented = false;
    if let (Lines::All, Some(after)) = (which, rest.strip_prefix(['#', ';'])) {
        commented = true;
        rest = after.trim_start_matches(blank);
    }
    let rest = rest.strip_prefix(option)?.trim_start_matches(blank);
    let bare = rest.trim_end_matches('\n');
    match bare.strip_prefix('=') {
        Some(value) => Some(OptionLine { commented, value: value.trim_start_matches(blank) }),
        None if bare.is_empty() => Some(OptionLine { commented, value: "" }),
        None => None,
    }
}

/// What a task asks for.
struct Wanted {
    section: Option<String>,
    conditions: Vec<(String, Vec<String>)>,
    option: Option<String>,
    values: Vec<String>,
    present: bool,
    exclusive: bool,
    bare: bool,
    ignore_spaces: bool,
    allow_no_value: bool,
    lines: Lines,
}

impl Wanted {
    fn of(args: &Args) -> Result<Wanted, Failure> {
        let present = args.str("state") != Some("absent");
        let mut values: Vec<String> = Vec::new();
        for value in args.str("value").map(str::to_string).into_iter().chain(args.texts("values")) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        let given = args.has("value") || !args.texts("values").is_empty();
        if present && !args.flag("allow_no_value") && !given {
            return Err(Failure::new(
                "Parameter 'value(s)' must be defined if state=present and allow_no_value=False.",
            ));
        }
        let conditions = args.list("section_has_values").unwrap_or_default().iter().map(condition);
        Ok(Wanted {
            section: args.str("section").filter(|s| !s.is_empty()).map(str::to_string),
            conditions: conditions.collect::<Result<_, _>>()?,
            option: args.str("option").filter(|o| !o.is_empty()).map(str::to_string),
            values,
            present,
            exclusive: args.flag("exclusive"),
            bare: args.flag("no_extra_spaces"),
            ignore_spaces: args.flag("ignore_spaces"),
            allow_no_value: args.flag("allow_no_value"),
            lines: if args.flag("modify_inactive_option") { Lines::All } else { Lines::Active },
        })
    }

    fn assignment(&self, option: &str, value: &str) -> String {
        if self.bare { format!("{option}={value}\n") } else { format!("{option} = {value}\n") }
    }

    /// Returns the new content, or nothing when it is as wanted, and what was done.
    fn edit(mut self, text: &str) -> (Option<String>, &'static str) {
        let mut all = lines(text);
        let mut changed = false;
        match all.last_mut() {
            None => all.push("\n".to_string()),
            Some(last) if !last.ends_with('\n') => {
                last.push('\n');
                changed = true;
            }
            Some(_) => {}
        }
        let mut msg = "OK";
        let place = self.find(&all);
        let (start, end) = place.unwrap_or((0, 0));
        // The section's own line is not among those that are changed; what stands before the first section has none.
        let body = if self.section.is_some() { (start + 1).min(end) } else { start };
        let mut section: Vec<String> = all[body..end].to_vec();
        if place.is_some() {
            let before = section.clone();
            if self.present {
                msg = self.set(&mut section, body > start);
            } else if let Some(option) = &self.option {
                let gone = |line: &String| {
                    option_line(line, option, Lines::Active).is_some_and(|o| {
                        self.exclusive || self.values.iter().any(|v| v == o.value.trim_end_matches('\n'))
                    })
                };
                section.retain(|line| !gone(line));
                if section != before {
                    msg = "option changed";
                }
            } else if end > start {
                section.clear();
                all.drain(start..end);
                return (Some(all.concat()), "section removed");
            }
            changed |= section != before || msg != "OK";
            all.splice(body..end, section);
        } else if self.present {
            changed = true;
            msg = self.append(&mut all);
        }
        if changed { (Some(all.concat()), msg) } else { (None, msg) }
    }

    /// Returns where the section is: the index of its first line and the one after its last.
    fn find(&self, all: &[String]) -> Option<(usize, usize)> {
        let ends = |from: usize| {
            all[from..].iter().position(|l| l.starts_with('[')).map_or(all.len(), |at| from + at)
        };
        let Some(name) = &self.section else {
            let end = ends(0);
            return self.holds(&all[..end]).then_some((0, end));
        };
        let name = name.trim();
        let is_head = |line: &str| {
            line.strip_prefix('[')
                .and_then(|rest| rest.trim_start().strip_prefix(name))
                .is_some_and(|rest| rest.trim_start().starts_with(']'))
        };
        all.iter().enumerate().filter(|(_, l)| is_head(l)).find_map(|(start, _)| {
            let end = ends(start + 1);
            self.holds(&all[start..end]).then_some((start, end))
        })
    }

    fn holds(&self, section: &[String]) -> bool {
        self.conditions.iter().all(|(option, values)| {
            section.iter().any(|line| {
                option_line(line, option, Lines::All).is_some_and(|o| {
                    values.is_empty() || values.iter().any(|v| v == o.value.trim_end_matches('\n'))
                })
            })
        })
    }

    /// Sets the option in a section that is there; returns what was done. `headed`: the section has a line of its own.
    fn set(&mut self, section: &mut Vec<String>, headed: bool) -> &'static str {
        let Some(option) = self.option.clone() else { return "OK" };
        let mut msg = "OK";
        let mut done = vec![false; section.len()];
        let mut no_value_there = false;
        let matching = |line: &str| {
            option_line(line, &option, self.lines)
                .map(|o| (o.commented, o.value.trim_end_matches('\n').to_string()))
        };
        let replace = |line: &mut String, new: String| -> bool {
            let differs = match (self.ignore_spaces, option_line(line, &option, Lines::All)) {
                (true, Some(old)) if !old.commented => {
                    let after = option_line(&new, &option, Lines::All).map(|o| o.value.to_string());
                    Some(old.value.trim_end_matches('\n'))
                        != after.as_deref().map(|v| v.trim_end_matches('\n'))
                }
                _ => *line != new,
            };
            if differs {
                *line = new;
            }
            differs
        };
        let mut values = self.values.clone();
        for (at, line) in section.iter_mut().enumerate() {
            let Some((_, value)) = matching(line) else { continue };
            if let Some(found) = values.iter().position(|v| *v == value) {
                let new = if value.is_empty() && self.allow_no_value {
                    no_value_there = true;
                    format!("{option}\n")
                } else {
                    self.assignment(&option, &value)
                };
                if replace(line, new) {
                    msg = "option changed";
                }
                done[at] = true;
                values.remove(found);
            } else if values.is_empty() && self.values.is_empty() && self.allow_no_value {
                if replace(line, format!("{option}\n")) {
                    msg = "option changed";
                }
                done[at] = true;
                no_value_there = true;
                break;
            }
        }
        if self.exclusive && !self.allow_no_value {
            for (at, line) in section.iter_mut().enumerate() {
                if values.is_empty() {
                    break;
                }
                if !done[at] && matching(line).is_some() {
                    let new = self.assignment(&option, &values.remove(0));
                    if replace(line, new) {
                        msg = "option changed";
                    }
                    done[at] = true;
                }
            }
            let mut at = 0;
            let before = section.len();
            section.retain(|line| {
                at += 1;
                done[at - 1] || matching(line).is_none()
            });
            if section.len() != before {
                msg = "option changed";
            }
        }
        // New lines stand behind the last line that is neither blank nor a comment.
        let plain = |line: &String| {
            let line = line.trim_matches([' ', '\t', '\n']);
            line.is_empty() || line.starts_with(['#', ';'])
        };
        let at = section.iter().rposition(|l| !plain(l)).map(|at| at + 1);
        let Some(at) = at.or((headed || !section.is_empty() || self.section.is_none()).then_some(0)) else {
            return msg;
        };
        let mut new: Vec<String> = values.iter().map(|v| self.assignment(&option, v)).collect();
        if self.values.is_empty() && self.allow_no_value && !no_value_there {
            new.push(format!("{option}\n"));
        }
        if !new.is_empty() {
            msg = "option added";
            section.splice(at..at, new);
        }
        msg
    }

    /// Adds the section at the end; returns what was done.
    fn append(&mut self, all: &mut Vec<String>) -> &'static str {
        if let Some(section) = &self.section {
            all.push(format!("[{section}]\n"));
        }
        for (option, values) in &self.conditions {
            if Some(option) != self.option.as_ref() {
                if values.is_empty() && self.allow_no_value {
                    all.push(format!("{option}\n"));
                }
                all.extend(values.iter().map(|v| self.assignment(option, v)));
            } else if !self.exclusive {
                for value in values {
                    if !self.values.contains(value) {
                        self.values.push(value.clone());
                    }
                }
            }
        }
        match &self.option {
            Some(option) if !self.values.is_empty() => {
                let new: Vec<String> = self.values.iter().map(|v| self.assignment(option, v)).collect();
                all.extend(new);
            }
            Some(option) if self.allow_no_value => all.push(format!("{option}\n")),
            _ => return "only section added",
        }
        "section and option added"
    }
}

/// Reads one of `section_has_values`.
fn condition(value: &Value) -> Result<(String, Vec<String>), Failure> {
    let option = value
        .get("option")
        .map(Value::to_text)
        .ok_or_else(|| Failure::new("missing required arguments: option found in section_has_values"))?;
    let values = match (value.get("value"), value.get("values")) {
        (Some(value), None) if !value.is_null() => vec![value.to_text()],
        (None, Some(Value::List(values))) => values.iter().map(Value::to_text).collect(),
        (Some(_), Some(_)) => {
            return Err(Failure::new(
                "parameters are mutually exclusive: value|values found in section_has_values",
            ));
        }
        _ => Vec::new(),
    };
    Ok((option, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    fn check(given: &[(&str, &str)], before: &str, after: &str, msg: &str) {
        let mut given = given.to_vec();
        given.push(("path", "/f"));
        let case = Case::new(&IniFile, args(&given));
        let got = case.edit(before);
        assert_eq!((got.0.as_str(), got.1.as_str()), (after, msg), "{given:?} {before:?}");
        assert_eq!(case.edit(&got.0).0, got.0, "not idempotent: {given:?}");
    }

    const SET: [(&str, &str); 3] = [("section", "s"), ("option", "a"), ("value", "1")];

    #[test]
    fn sets_options() {
        check(&SET, "[s]\nb = 2\n", "[s]\nb = 2\na = 1\n", "option added");
        check(&SET, "[s]\na = 1\n", "[s]\na = 1\n", "OK");
        check(&SET, "[s]\na=0\nb = 2\n[t]\na=5\n", "[s]\na = 1\nb = 2\n[t]\na=5\n", "option changed");
        check(&SET, "[s]\n;a = 3\n", "[s]\na = 1\n", "option changed");
        check(&SET, "[s]\na = 0\na = 2\n", "[s]\na = 1\n", "option changed");
        check(&SET, "[s]\nb = 2\n\n# c\n[t]\n", "[s]\nb = 2\na = 1\n\n# c\n[t]\n", "option added");
        check(&SET, "[t]\nx=1\n", "[t]\nx=1\n[s]\na = 1\n", "section and option added");
        check(&SET, "[ s ]\n", "[ s ]\na = 1\n", "option added");
        check(&SET, "", "\n[s]\na = 1\n", "section and option added");
        let bare = [("section", "s"), ("option", "a"), ("value", "1"), ("no_extra_spaces", "yes")];
        check(&bare, "[s]\na = 1\n", "[s]\na=1\n", "option changed");
        let same = [("section", "s"), ("option", "a"), ("value", "1"), ("ignore_spaces", "yes")];
        check(&same, "[s]\na=1\n", "[s]\na=1\n", "OK");
        let active = [("section", "s"), ("option", "a"), ("value", "1"), ("modify_inactive_option", "no")];
        check(&active, "[s]\n#a = 1\nb=1\n", "[s]\n#a = 1\nb=1\na = 1\n", "option added");
    }

    #[test]
    fn several_values() {
        let all = [("section", "s"), ("option", "a"), ("values", "1,2")];
        check(&all, "[s]\na = 2\na = 3\n", "[s]\na = 2\na = 1\n", "option changed");
        check(&all, "[s]\nx = 0\n", "[s]\nx = 0\na = 1\na = 2\n", "option added");
        let more = [("section", "s"), ("option", "a"), ("values", "1"), ("exclusive", "no")];
        check(&more, "[s]\na = 3\n", "[s]\na = 3\na = 1\n", "option added");
    }

    #[test]
    fn options_without_value_or_section() {
        let flag = [("section", "s"), ("option", "a"), ("allow_no_value", "yes")];
        check(&flag, "[s]\nb\n", "[s]\nb\na\n", "option added");
        check(&flag, "[s]\na\n", "[s]\na\n", "OK");
        check(&flag, "[s]\na = 1\n", "[s]\na\n", "option changed");
        let top = [("option", "a"), ("value", "1")];
        check(&top, "b = 2\n[s]\na = 3\n", "b = 2\na = 1\n[s]\na = 3\n", "option added");
        check(&top, "[s]\na = 3\n", "a = 1\n[s]\na = 3\n", "option added");
    }

    #[test]
    fn removes() {
        let option = [("section", "s"), ("option", "a"), ("state", "absent")];
        check(&option, "[s]\na = 1\n#a = 2\nb=1\n", "[s]\n#a = 2\nb=1\n", "option changed");
        check(&option, "[t]\na = 1\n", "[t]\na = 1\n", "OK");
        let one =
            [("section", "s"), ("option", "a"), ("value", "1"), ("exclusive", "no"), ("state", "absent")];
        check(&one, "[s]\na = 1\na = 2\n", "[s]\na = 2\n", "option changed");
        check(
            &[("section", "s"), ("state", "absent")],
            "x=1\n[s]\na = 1\n[t]\n",
            "x=1\n[t]\n",
            "section removed",
        );
        check(&[("section", "s"), ("state", "absent")], "[t]\n", "[t]\n", "OK");
    }

    #[test]
    fn failures() {
        let failure =
            Case::new(&IniFile, args(&[("path", "/f"), ("option", "a")])).plan_absent().unwrap_err();
        assert_eq!(
            failure.msg,
            "Parameter 'value(s)' must be defined if state=present and allow_no_value=False."
        );
        let failure = Case::new(&IniFile, args(&[("path", "/f"), ("value", "1"), ("create", "no")]))
            .plan_absent()
            .unwrap_err();
        assert_eq!(failure.msg, "Destination /f does not exist!");
    }
}
