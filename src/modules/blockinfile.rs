//! `blockinfile`: a block of lines between markers in a text file.

use super::attrs::FILE_ARGS;
use super::text::lines;
use super::write::{self, Edit};
use super::{ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, edit};
use crate::transport::Output;
use crate::value::Map;
use crate::value::python_regex::{Flags, compile, is_match};

static SPEC: ModuleSpec = ModuleSpec {
    name: "blockinfile",
    about: "Makes sure that a block of lines between two marker lines is in a text file.",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The file.").required().aliases(&["dest", "destfile", "name"]),
        ArgSpec::new("state", ArgKind::Str, "Whether the block is to be there.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("block", ArgKind::Str, "The lines between the markers; empty removes the block.")
            .default("")
            .aliases(&["content"]),
        ArgSpec::new("marker", ArgKind::Str, "The marker line; {mark} becomes marker_begin or marker_end.")
            .default("# {mark} ANSIBLE MANAGED BLOCK"),
        ArgSpec::new("marker_begin", ArgKind::Str, "The word of the opening marker.").default("BEGIN"),
        ArgSpec::new("marker_end", ArgKind::Str, "The word of the closing marker.").default("END"),
        ArgSpec::new("insertafter", ArgKind::Str, "Put a new block after the last match of this, or EOF."),
        ArgSpec::new("insertbefore", ArgKind::Str, "Put a new block before the last match of this, or BOF."),
        ArgSpec::new("create", ArgKind::Bool, "Make the file when it is absent.").default("no"),
        ArgSpec::new("backup", ArgKind::Bool, "Keep the old file under another name.").default("no"),
        ArgSpec::new("validate", ArgKind::Str, "A command that must accept the new file, named %s."),
        ArgSpec::new("append_newline", ArgKind::Bool, "An empty line after the block.").default("no"),
        ArgSpec::new("prepend_newline", ArgKind::Bool, "An empty line before the block.").default("no"),
    ],
    shared: FILE_ARGS,
    rules: &[Rule::Exclusive(&["insertbefore", "insertafter"])],
    returns: &[("msg", "what was done"), ("backup_file", "the name of the backup")],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

pub struct Blockinfile;

impl Module for Blockinfile {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        edit::probe(call, "path").map(Some)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let found = edit::found(call, seen, "path")?;
        let present = args.str("state") != Some("absent");
        if found.content.is_none() {
            if !args.flag("create") {
                return Err(Failure::new(format!("Path {} does not exist !", found.shown)).with("rc", 257));
            }
            if !present {
                let mut result = Map::new();
                result.insert("msg", format!("File {} not present", found.shown));
                return Ok(Prediction::same(result));
            }
        }
        let text = found.text();
        let form = |name: &str| args.str(name).map(|t| text.arg(t));
        let marker = form("marker").unwrap_or_default();
        let mark = |name: &str| format!("{}\n", marker.replace("{mark}", &form(name).unwrap_or_default()));
        let block = Block {
            begin: mark("marker_begin"),
            end: mark("marker_end"),
            lines: if present { form("block").unwrap_or_default() } else { String::new() },
            before: form("insertbefore"),
            after: form("insertafter"),
            blank_before: args.flag("prepend_newline"),
            blank_after: args.flag("append_newline"),
        };
        let after = block.put(lines(&text.text), &text.text)?;
        let msg = match &found.content {
            None => "File created",
            Some(_) if after == text.text => "",
            Some(_) if block.lines.is_empty() => "Block removed",
            Some(_) => "Block inserted",
        };
        Edit {
            shown: &found.shown,
            path: &found.path,
            look: &found.look,
            report: &found.report,
            before: found.content.as_deref(),
            after: text.bytes(&after),
            msg: msg.to_string(),
        }
        .plan(call, args, Map::new())
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup_file", false)
    }
}

struct Block {
    begin: String,
    end: String,
    /// Empty when the block is to be absent.
    lines: String,
    before: Option<String>,
    after: Option<String>,
    blank_before: bool,
    blank_after: bool,
}

impl Block {
    fn put(&self, mut all: Vec<String>, text: &str) -> Result<String, Failure> {
        let mut block = Vec::new();
        if !self.lines.is_empty() {
            block.push(self.begin.clone());
            block.extend(lines(&self.lines));
            if let Some(last) = block.last_mut()
                && !last.ends_with('\n')
            {
                last.push('\n');
            }
            block.push(self.end.clone());
        }
        let begin = all.iter().rposition(|line| *line == self.begin);
        let end = all.iter().rposition(|line| *line == self.end);
        let mut at = match (begin, end) {
            (Some(begin), Some(end)) => {
                let (first, last) = (begin.min(end), begin.max(end));
                all.drain(first..=last);
                first
            }
            _ => self.place(&all, text)?,
        };
        if at > 0
            && let Some(line) = all.get_mut(at - 1)
            && !line.ends_with('\n')
        {
            line.push('\n');
        }
        // No block, no blank lines around it: each run would add another.
        let blanks = !block.is_empty();
        if blanks && self.blank_before && at > 0 && all[at - 1] != "\n" {
            all.insert(at, "\n".to_string());
            at += 1;
        }
        let count = block.len();
        all.splice(at..at, block);
        let next = at + count;
        if blanks && self.blank_after && next < all.len() && all[next] != "\n" {
            all.insert(next, "\n".to_string());
        }
        Ok(all.concat())
    }

    /// Returns the line number at which a new block goes.
    fn place(&self, all: &[String], text: &str) -> Result<usize, Failure> {
        let (pattern, offset) = match (&self.before, &self.after) {
            (Some(before), _) if before == "BOF" => return Ok(0),
            (Some(before), _) => (before, 0),
            (None, Some(after)) if after != "EOF" => (after, 1),
            _ => return Ok(all.len()),
        };
        let compiled = compile(pattern, Flags::default()).map_err(Failure::new)?;
        if pattern.starts_with("(?m)") || pattern.starts_with("(?ms)") || pattern.starts_with("(?sm)") {
            let found = compiled.find(text).map_err(|e| Failure::new(e.to_string()))?;
            return Ok(found
                .map_or(all.len(), |m| {
                    let upto = if offset == 1 { m.end() } else { m.start() };
                    text[..upto].matches('\n').count() + offset
                })
                .min(all.len()));
        }
        let mut place = all.len();
        for (i, line) in all.iter().enumerate() {
            if is_match(&compiled, line).map_err(Failure::new)? {
                place = i + offset;
            }
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    fn check(given: &[(&str, &str)], before: &str, after: &str, msg: &str) {
        let mut given = given.to_vec();
        given.extend([("path", "/f"), ("marker", "# {mark}")]);
        let case = Case::new(&Blockinfile, args(&given));
        let got = case.edit(before);
        assert_eq!((got.0.as_str(), got.1.as_str()), (after, msg), "{given:?}");
        assert_eq!(case.edit(&got.0).0, got.0, "not idempotent: {given:?}");
    }

    #[test]
    fn blocks() {
        check(&[("block", "x\ny")], "a", "a\n# BEGIN\nx\ny\n# END\n", "Block inserted");
        check(&[("block", "x")], "# BEGIN\nold\n# END\nz\n", "# BEGIN\nx\n# END\nz\n", "Block inserted");
        check(&[("block", "x")], "# BEGIN\nx\n# END\n", "# BEGIN\nx\n# END\n", "");
        check(&[("block", "")], "a\n# BEGIN\nx\n# END\n", "a\n", "Block removed");
        check(&[("state", "absent"), ("block", "q")], "a\n# BEGIN\nx\n# END\n", "a\n", "Block removed");
        check(&[("block", "x"), ("insertbefore", "BOF")], "a\n", "# BEGIN\nx\n# END\na\n", "Block inserted");
        check(
            &[("block", "x"), ("insertafter", "^a")],
            "a\nb\n",
            "a\n# BEGIN\nx\n# END\nb\n",
            "Block inserted",
        );
        check(
            &[("block", "x"), ("insertbefore", "^b")],
            "a\nb\n",
            "a\n# BEGIN\nx\n# END\nb\n",
            "Block inserted",
        );
        check(
            &[("block", "x"), ("insertafter", "a"), ("prepend_newline", "yes"), ("append_newline", "yes")],
            "a\nb\n",
            "a\n\n# BEGIN\nx\n# END\n\nb\n",
            "Block inserted",
        );
    }
}
