//! `replace`: every match of a regular expression in a text file.

use super::attrs::FILE_ARGS;
use super::write::{self, Edit};
use super::{ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Seen, edit};
use crate::transport::Output;
use crate::value::Map;
use crate::value::python_regex::{self, Flags, Regex, Template, compile};

static SPEC: ModuleSpec = ModuleSpec {
    name: "replace",
    about: "Replaces every match of a regular expression in a text file.",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The file.").required().aliases(&["dest", "destfile", "name"]),
        ArgSpec::new("regexp", ArgKind::Str, "What to look for; ^ and $ stand for lines.").required(),
        ArgSpec::new("replace", ArgKind::Str, "What to put there; \\1 stands for a group.").default(""),
        ArgSpec::new("after", ArgKind::Str, "Only what follows a match of this."),
        ArgSpec::new("before", ArgKind::Str, "Only what stands before a match of this."),
        ArgSpec::new("backup", ArgKind::Bool, "Keep the old file under another name.").default("no"),
        ArgSpec::new("validate", ArgKind::Str, "A command that must accept the new file, named %s."),
        ArgSpec::new("encoding", ArgKind::Str, "Accepted; bytes that are no UTF-8 are kept as they are.")
            .default("utf-8"),
    ],
    shared: FILE_ARGS,
    returns: &[("msg", "how many replacements"), ("backup_file", "the name of the backup")],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

pub struct Replace;

impl Module for Replace {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        edit::probe(call, "path").map(Some)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        // A wrong expression is told whatever the file holds, and before what is wrong with the file.
        let expression = |text: &str| -> Result<Regex, Failure> {
            compile(text, Flags { lines: true, ..Flags::default() }).map_err(Failure::new)
        };
        let wrong = |e: String| Failure::new(format!("Unable to process replace due to error: {e}"));
        Template::parse(
            args.str("replace").unwrap_or_default(),
            &expression(args.str("regexp").unwrap_or_default())?,
        )
        .map_err(wrong)?;
        let found = edit::found(call, seen, "path")?;
        if found.content.is_none() {
            return Err(Failure::new(format!("Path {} does not exist !", found.shown)).with("rc", 257));
        }
        let text = found.text();
        let form = |name: &str| args.str(name).map(|t| text.arg(t));
        let section_pattern = match (form("after"), form("before")) {
            (Some(after), Some(before)) => Some(format!("{after}(?P<subsection>.*?){before}")),
            (Some(after), None) => Some(format!("{after}(?P<subsection>.*)")),
            (None, Some(before)) => Some(format!("(?P<subsection>.*){before}")),
            (None, None) => None,
        };
        let mut section = (0, text.text.len());
        if let Some(pattern) = section_pattern {
            let compiled =
                compile(&pattern, Flags { dot_all: true, ..Flags::default() }).map_err(Failure::new)?;
            let captures = compiled.captures(&text.text).map_err(|e| Failure::new(e.to_string()))?;
            let Some(part) = captures.and_then(|c| c.name("subsection").map(|m| (m.start(), m.end()))) else {
                let mut result = Map::new();
                result.insert(
                    "msg",
                    format!("Pattern for before/after params did not match the given file: {pattern}"),
                );
                return Ok(Prediction::same(result));
            };
            section = part;
        }
        let compiled = expression(&form("regexp").unwrap_or_default())?;
        let (start, end) = section;
        let template = form("replace").unwrap_or_default();
        let (replaced, count) =
            python_regex::replace(&compiled, &text.text[start..end], &template, None).map_err(wrong)?;
        let same = replaced == text.text[start..end];
        let after = format!("{}{replaced}{}", &text.text[..start], &text.text[end..]);
        let mut result = Map::new();
        result.insert("rc", 0);
        let mut prediction = Edit {
            shown: &found.shown,
            path: &found.path,
            look: &found.look,
            report: &found.report,
            before: found.content.as_deref(),
            after: text.bytes(&after),
            msg: if same { String::new() } else { format!("{count} replacements made") },
        }
        .plan(call, args, result)?;
        // Ansible names the file alone here.
        for diff in prediction.diff.iter_mut().filter(|d| d.after_header.ends_with(" (content)")) {
            diff.before_header.clone_from(&found.shown);
            diff.after_header.clone_from(&found.shown);
        }
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup_file", false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    fn check(given: &[(&str, &str)], before: &str, after: &str, msg: &str) {
        let mut given = given.to_vec();
        given.push(("path", "/f"));
        let got = Case::new(&Replace, args(&given)).edit(before);
        assert_eq!((got.0.as_str(), got.1.as_str()), (after, msg), "{given:?}");
    }

    #[test]
    fn replaces() {
        check(&[("regexp", "^a$"), ("replace", "b")], "a\naa\na\n", "b\naa\nb\n", "2 replacements made");
        check(&[("regexp", "(x)(y)?"), ("replace", r"\2\1")], "xy x\n", "yx x\n", "2 replacements made");
        check(&[("regexp", "zz")], "a\n", "a\n", "");
        check(
            &[("regexp", "v"), ("replace", "w"), ("after", "begin"), ("before", "end")],
            "v begin v end v\n",
            "v begin w end v\n",
            "1 replacements made",
        );
        check(
            &[("regexp", "v"), ("after", "nothing")],
            "v\n",
            "v\n",
            "Pattern for before/after params did not match the given file: nothing(?P<subsection>.*)",
        );
    }
}
