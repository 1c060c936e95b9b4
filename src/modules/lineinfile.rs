//! `lineinfile`: one line in a text file.

use super::attrs::FILE_ARGS;
use super::text::{bare, lines};
use super::write::{self, Edit};
use super::{ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, edit};
use crate::transport::Output;
use crate::value::Map;
use crate::value::python_regex::{self, Flags, Regex, Template};

static SPEC: ModuleSpec = ModuleSpec {
    name: "lineinfile",
    about: "Makes sure that a line is in a text file, or that it is not.",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The file.").required().aliases(&["dest", "destfile", "name"]),
        ArgSpec::new("state", ArgKind::Str, "Whether the line is to be there.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("regexp", ArgKind::Str, "What to look for in every line; the last match counts.")
            .aliases(&["regex"]),
        ArgSpec::new("search_string", ArgKind::Str, "A plain text to look for in every line."),
        ArgSpec::new("line", ArgKind::Str, "The line.").aliases(&["value"]),
        ArgSpec::new("insertafter", ArgKind::Str, "Put a new line after the last match of this, or EOF."),
        ArgSpec::new("insertbefore", ArgKind::Str, "Put a new line before the last match of this, or BOF."),
        ArgSpec::new("backrefs", ArgKind::Bool, "Fill groups of regexp into the line; no match, no change.")
            .default("no"),
        ArgSpec::new("create", ArgKind::Bool, "Make the file when it is absent.").default("no"),
        ArgSpec::new("backup", ArgKind::Bool, "Keep the old file under another name.").default("no"),
        ArgSpec::new("firstmatch", ArgKind::Bool, "The first match counts instead of the last.")
            .default("no"),
        ArgSpec::new("validate", ArgKind::Str, "A command that must accept the new file, named %s."),
    ],
    shared: FILE_ARGS,
    rules: &[
        Rule::Exclusive(&["insertbefore", "insertafter"]),
        Rule::Exclusive(&["regexp", "search_string"]),
        Rule::Exclusive(&["backrefs", "search_string"]),
    ],
    returns: &[
        ("msg", "what was done"),
        ("backup", "the name of the backup"),
        ("found", "with state absent: how many lines there were"),
    ],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

pub struct Lineinfile;

impl Module for Lineinfile {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        if args.str("state") == Some("absent") {
            if !["line", "regexp", "search_string"].iter().any(|name| args.has(name)) {
                return Err(Failure::new(
                    "one of line, search_string, or regexp is required with state=absent",
                ));
            }
        } else if args.flag("backrefs") && !args.has("regexp") {
            return Err(Failure::new("regexp is required with backrefs=true"));
        } else if !args.has("line") {
            return Err(Failure::new("line is required with state=present"));
        }
        edit::probe(call, "path").map(Some)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let found = edit::found(call, seen, "path")?;
        let absent = args.str("state") == Some("absent");
        let mut result = Map::new();
        if found.content.is_none() {
            if absent {
                result.insert("msg", "file not present");
                return Ok(Prediction::same(result));
            }
            if !args.flag("create") {
                return Err(
                    Failure::new(format!("Destination {} does not exist !", found.shown)).with("rc", 257)
                );
            }
        }
        let text = found.text();
        let form = |name: &str| args.str(name).map(|t| text.arg(t));
        let rules = Rules {
            search: match (form("regexp"), form("search_string")) {
                (Some(pattern), _) => Search::Regex(compile(&pattern)?),
                (None, Some(plain)) => Search::Plain(plain),
                (None, None) => Search::Nothing,
            },
            line: form("line").unwrap_or_default(),
            place: match (form("insertbefore"), form("insertafter")) {
                (Some(before), _) if before == "BOF" => Place::Start,
                (Some(before), _) => Place::Before(compile(&before)?),
                (None, Some(after)) if after == "BOF" => Place::Start,
                (None, Some(after)) if after != "EOF" => Place::After(compile(&after)?),
                _ => Place::End,
            },
            backrefs: args.flag("backrefs"),
            first: args.flag("firstmatch"),
        };
        let mut all = lines(&text.text);
        let msg = if absent {
            let count = rules.remove(&mut all)?;
            result.insert("found", count);
            if count > 0 { format!("{count} line(s) removed") } else { String::new() }
        } else {
            rules.ensure(&mut all)?.to_string()
        };
        result.insert("backup", "");
        let mut prediction = Edit {
            shown: &found.shown,
            path: &found.path,
            look: &found.look,
            report: &found.report,
            before: found.content.as_deref(),
            after: text.bytes(&all.concat()),
            msg,
        }
        .plan(call, args, result)?;
        for (name, what) in [("regexp", "regular expression"), ("search_string", "search string")] {
            if args.str(name) == Some("") {
                let advice = match name {
                    "regexp" => {
                        " If this is desired, use '^' to match every line in the file and avoid this warning."
                    }
                    _ => "",
                };
                prediction.warnings.push(format!(
                    "The {what} is an empty string, which will match every line in the file. This may have unintended \
                     consequences, such as replacing the last line in the file rather than appending.{advice}"
                ));
            }
        }
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup", false)
    }
}

fn compile(pattern: &str) -> Result<Regex, Failure> {
    python_regex::compile(pattern, Flags::default()).map_err(Failure::new)
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("cannot match: {error}"))
}

enum Search {
    Regex(Regex),
    Plain(String),
    Nothing,
}

enum Place {
    Start,
    End,
    Before(Regex),
    After(Regex),
}

struct Rules {
    search: Search,
    line: String,
    place: Place,
    backrefs: bool,
    first: bool,
}

impl Rules {
    /// Takes matching lines out; returns how many.
    fn remove(&self, all: &mut Vec<String>) -> Result<usize, Failure> {
        let mut kept = Vec::with_capacity(all.len());
        let before = all.len();
        for line in all.drain(..) {
            let hit = match &self.search {
                Search::Regex(regex) => regex.is_match(&line).map_err(broken)?,
                Search::Plain(text) => line.contains(text),
                Search::Nothing => bare(&line) == self.line,
            };
            if !hit {
                kept.push(line);
            }
        }
        *all = kept;
        Ok(before - all.len())
    }

    /// Makes sure that the line is there; returns what was done.
    fn ensure(&self, all: &mut Vec<String>) -> Result<&'static str, Failure> {
        if let Some(at) = self.matching(all)? {
            let mut new = match (&self.search, self.backrefs) {
                (Search::Regex(regex), true) => match regex.captures(all[at].as_str()).map_err(broken)? {
                    Some(captures) => Template::parse(&self.line, regex).map_err(broken)?.fill(&captures),
                    None => self.line.clone(),
                },
                _ => self.line.clone(),
            };
            if !new.ends_with('\n') {
                new.push('\n');
            }
            return Ok(replace(all, at, new));
        }
        // Nothing was searched for or found: the line itself may be there, or the place to put it.
        let mut exact = None;
        let mut place = None;
        for (at, line) in all.iter().enumerate() {
            if bare(line) == self.line {
                exact = Some(at);
                continue;
            }
            let hit = match &self.place {
                Place::Before(regex) => regex.is_match(line).map_err(broken)?.then_some(at),
                Place::After(regex) => regex.is_match(line).map_err(broken)?.then_some(at + 1),
                Place::Start | Place::End => None,
            };
            if hit.is_some() {
                place = hit;
                if self.first {
                    break;
                }
            }
        }
        if let Some(at) = exact {
            return Ok(replace(all, at, format!("{}\n", self.line)));
        }
        if self.backrefs {
            return Ok("");
        }
        let new = format!("{}\n", self.line);
        match (&self.place, place) {
            (Place::Start, _) => all.insert(0, new),
            (Place::After(_), Some(at)) => {
                if all.get(at).is_some_and(|line| bare(line) == self.line) {
                    return Ok("");
                }
                end_last_line(all);
                all.insert(at, new);
            }
            (Place::Before(_), Some(at)) => all.insert(at, new),
            _ => {
                end_last_line(all);
                all.push(new);
            }
        }
        Ok("line added")
    }

    fn matching(&self, all: &[String]) -> Result<Option<usize>, Failure> {
        let mut found = None;
        for (at, line) in all.iter().enumerate() {
            let hit = match &self.search {
                Search::Regex(regex) => regex.is_match(line).map_err(broken)?,
                Search::Plain(text) => line.contains(text),
                Search::Nothing => return Ok(None),
            };
            if hit {
                found = Some(at);
                if self.first {
                    break;
                }
            }
        }
        Ok(found)
    }
}

fn replace(all: &mut [String], at: usize, new: String) -> &'static str {
    if all[at] == new {
        return "";
    }
    all[at] = new;
    "line replaced"
}

fn end_last_line(all: &mut [String]) {
    if let Some(last) = all.last_mut()
        && !last.ends_with(['\n', '\r'])
    {
        last.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    fn check(given: &[(&str, &str)], before: &str, after: &str, msg: &str) {
        let mut given = given.to_vec();
        given.push(("path", "/f"));
        let case = Case::new(&Lineinfile, args(&given));
        let got = case.edit(before);
        assert_eq!((got.0.as_str(), got.1.as_str()), (after, msg), "{given:?}");
        // What was made must be found as wanted.
        let again = case.edit(&got.0);
        assert_eq!(again.0, got.0, "not idempotent: {given:?}");
    }

    #[test]
    fn present() {
        check(&[("line", "c")], "a\nb\n", "a\nb\nc\n", "line added");
        check(&[("line", "b")], "a\nb\n", "a\nb\n", "");
        check(&[("line", "c")], "a\nb", "a\nb\nc\n", "line added");
        check(&[("line", "b")], "a\nb", "a\nb\n", "line replaced");
        check(&[("line", "x=2"), ("regexp", "^x=")], "x=1\ny\nx=0\n", "x=1\ny\nx=2\n", "line replaced");
        check(
            &[("line", "x=2"), ("regexp", "^x="), ("firstmatch", "yes")],
            "x=1\ny\nx=0\n",
            "x=2\ny\nx=0\n",
            "line replaced",
        );
        check(&[("line", "b"), ("regexp", "^b$")], "a\nb\n", "a\nb\n", "");
        check(&[("line", "y"), ("search_string", "x.")], "x1\nx.\n", "x1\ny\n", "line replaced");
    }

    #[test]
    fn places() {
        check(&[("line", "n"), ("insertafter", "^a")], "a\nb\na\nc\n", "a\nb\na\nn\nc\n", "line added");
        check(
            &[("line", "n"), ("insertafter", "^a"), ("firstmatch", "yes")],
            "a\nb\na\nc\n",
            "a\nn\nb\na\nc\n",
            "line added",
        );
        check(&[("line", "n"), ("insertbefore", "^b")], "a\nb\n", "a\nn\nb\n", "line added");
        check(&[("line", "n"), ("insertbefore", "BOF")], "a\n", "n\na\n", "line added");
        check(&[("line", "n"), ("insertbefore", "zzz")], "a\n", "a\nn\n", "line added");
        check(&[("line", "n"), ("insertafter", "b")], "a\nb", "a\nb\nn\n", "line added");
        check(&[("line", "n"), ("insertafter", "EOF")], "", "n\n", "line added");
    }

    #[test]
    fn back_references() {
        check(
            &[("line", r"\1=new"), ("regexp", r"^(\w+)=old$"), ("backrefs", "yes")],
            "k=old\n",
            "k=new\n",
            "line replaced",
        );
        check(&[("line", r"\1"), ("regexp", "(zz)"), ("backrefs", "yes")], "a\n", "a\n", "");
    }

    #[test]
    fn absent() {
        check(&[("line", "b"), ("state", "absent")], "a\nb\nb\n", "a\n", "2 line(s) removed");
        check(&[("regexp", "^#"), ("state", "absent")], "#x\na\n", "a\n", "1 line(s) removed");
        check(&[("line", "z"), ("state", "absent")], "a\n", "a\n", "");
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], expect: &str| {
            let failure = Case::new(&Lineinfile, args(given)).plan_absent().unwrap_err();
            assert_eq!(failure.msg, expect);
        };
        fails(&[("path", "/f"), ("line", "a")], "Destination /f does not exist !");
        fails(&[("path", "/f")], "line is required with state=present");
        fails(
            &[("path", "/f"), ("state", "absent")],
            "one of line, search_string, or regexp is required with state=absent",
        );
    }
}
