//! Inventories in ini form.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use fancy_regex::Regex;
use indexmap::IndexMap;

use super::builder::Builder;
use super::model::GroupId;
use super::shlex;
use crate::diag::{Diagnostic, FileId, Span};
use crate::template::Tree;
use crate::value::{Value, literal};

static SECTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?$").expect("a constant pattern that the tests use")
});
static GROUP: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^([^:\]\s]+)\s*(?:#.*)?$").expect("a constant pattern that the tests use"));

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Hosts,
    Vars,
    Children,
}

/// A group that was named before its own section.
struct Pending {
    name: String,
    span: Span,
    section: Section,
    parents: Vec<(GroupId, Span)>,
}

struct Reader<'b, 'a> {
    builder: &'b mut Builder<'a>,
    file: FileId,
    pending: IndexMap<String, Pending>,
    group: GroupId,
    section: Section,
    /// Values of hosts repeat; each text is compiled once per file.
    values: HashMap<String, Value>,
}

/// Reads a text that is already in the source map.
pub(super) fn read(builder: &mut Builder<'_>, file: FileId) {
    let text = builder.sources.text(file);
    let group = builder.group("ungrouped", None);
    let mut reader = Reader {
        builder,
        file,
        pending: IndexMap::new(),
        group,
        section: Section::Hosts,
        values: HashMap::new(),
    };
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let start = at + (line.len() - line.trim_start().len());
        at += line.len();
        if !trimmed.is_empty() && !trimmed.starts_with([';', '#']) {
            reader.line(trimmed, start);
        }
    }
    reader.unresolved();
}

impl Reader<'_, '_> {
    fn span(&self, start: usize, range: Range<usize>) -> Span {
        let place = |at: usize| u32::try_from(start + at).unwrap_or(u32::MAX);
        Span { file: self.file, start: place(range.start), end: place(range.end) }
    }

    fn line(&mut self, line: &str, start: usize) {
        let whole = self.span(start, 0..line.len());
        if let Some(found) = SECTION.captures(line).ok().flatten() {
            let name = found.get(1).map_or("", |m| m.as_str()).to_owned();
            let kind = found.get(2).map(|m| m.as_str().to_owned());
            self.header(&name, kind.as_deref(), whole);
        } else if line.starts_with('[') && line.ends_with(']') {
            let message = format!("`{line}` is no section");
            self.builder.error(
                message,
                Some(whole),
                "expected `[group]`, `[group:vars]` or `[group:children]`",
            );
        } else {
            match self.section {
                Section::Hosts => self.host_line(line, start),
                Section::Vars => self.var_line(line, start),
                Section::Children => self.child_line(line, whole),
            }
        }
    }

    fn header(&mut self, name: &str, kind: Option<&str>, span: Span) {
        self.section = match kind {
            None | Some("hosts") => Section::Hosts,
            Some("vars") => Section::Vars,
            Some("children") => Section::Children,
            Some(other) => {
                let diagnostic =
                    Diagnostic::error("XP0502", format!("`[{name}:{other}]` is no kind of section"))
                        .at(span, "expected `:vars` or `:children`")
                        .suggest(other, ["vars", "children", "hosts"]);
                self.builder.errors.push(diagnostic);
                Section::Hosts
            }
        };
        let known = self.builder.inventory.find_group(name).is_some();
        if !known && self.section == Section::Vars && !self.pending.contains_key(name) {
            let pending =
                Pending { name: name.to_owned(), span, section: Section::Vars, parents: Vec::new() };
            self.pending.insert(name.to_owned(), pending);
        }
        self.group = self.builder.group(name, Some(span));
        if self.section != Section::Vars {
            self.resolve(name);
        }
    }

    /// Links a group, now that it has a section, to those that named it as a child.
    fn resolve(&mut self, name: &str) {
        let Some(pending) = self.pending.shift_remove(name) else { return };
        let Some(child) = self.builder.inventory.find_group(name) else { return };
        for (parent, span) in pending.parents {
            self.link(parent, child, span);
        }
    }

    fn link(&mut self, parent: GroupId, child: GroupId, span: Span) {
        if let Err(diagnostic) = self.builder.inventory.add_child(parent, child, Some(span)) {
            self.builder.errors.push(diagnostic);
        }
    }

    fn child_line(&mut self, line: &str, span: Span) {
        let Some(name) =
            GROUP.captures(line).ok().flatten().and_then(|found| Some(found.get(1)?.as_str().to_owned()))
        else {
            self.builder.error(format!("`{line}` is no name of a group"), Some(span), "expected a group");
            return;
        };
        let span = Span { end: span.start + u32::try_from(name.len()).unwrap_or(0), ..span };
        // A group that so far has only variables may still lack its own section.
        let open = self.pending.contains_key(&name);
        match self.builder.inventory.find_group(&name) {
            Some(child) if !open => self.link(self.group, child, span),
            _ => {
                let pending = self.pending.entry(name.clone()).or_insert_with(|| Pending {
                    name,
                    span,
                    section: Section::Children,
                    parents: Vec::new(),
                });
                pending.section = Section::Children;
                pending.parents.push((self.group, span));
            }
        }
    }

    fn var_line(&mut self, line: &str, start: usize) {
        let whole = self.span(start, 0..line.len());
        let Some((key, value)) = line.split_once('=') else {
            self.builder.error(format!("`{line}` sets no variable"), Some(whole), "expected `name=value`");
            return;
        };
        let span = self.span(start, line.len() - value.trim_start().len()..line.len());
        let (key, value) = (key.trim(), value.trim());
        self.builder.check_name(key, Some(self.span(start, 0..key.len())));
        if let Some(tree) = self.value(value, span) {
            self.builder.inventory.set_group_var(self.group, key.into(), tree);
        }
    }

    fn host_line(&mut self, line: &str, start: usize) {
        let whole = self.span(start, 0..line.len());
        let words = match shlex::split(line) {
            Ok(words) => words,
            Err(reason) => {
                self.builder.error(format!("cannot read this host: {reason}"), Some(whole), "in this line");
                return;
            }
        };
        let Some((name, rest)) = words.split_first() else { return };
        let name_span = self.span(start, name.range.clone());
        if name.text.trim_end().ends_with(':') && name.text.trim() != "::" {
            self.builder.errors.push(
                Diagnostic::error("XP0502", format!("the host `{}` ends with a colon", name.text))
                    .at(name_span, "a port would follow here")
                    .help("if this is a YAML inventory, its name must end in `.yml`"),
            );
            return;
        }
        if name.text.trim() == "---" {
            self.builder.errors.push(
                Diagnostic::error("XP0502", "this looks like YAML, not like ini")
                    .at(name_span, "starts a YAML document")
                    .help("give the inventory a name that ends in `.yml`"),
            );
            return;
        }
        let Some((hosts, port)) = self.builder.expand(&name.text, name_span) else { return };
        let mut vars: Vec<(Arc<str>, Tree)> = Vec::with_capacity(rest.len());
        for word in rest {
            let span = self.span(start, word.range.clone());
            let Some((key, value)) = word.text.split_once('=') else {
                let message = format!("`{}` is no variable of a host", word.text);
                self.builder.error(message, Some(span), "expected `name=value`");
                continue;
            };
            self.builder.check_name(key, Some(span));
            let skip = (key.len() + 1).min(word.range.len());
            let value_span = self.span(start, word.range.start + skip..word.range.end);
            if let Some(tree) = self.value(value, value_span) {
                vars.push((key.into(), tree));
            }
        }
        self.builder.hosts(&hosts, Some(name_span), port, self.group, &vars);
    }

    fn value(&mut self, text: &str, span: Span) -> Option<Tree> {
        let value = match self.values.get(text) {
            Some(value) => value.clone(),
            None => {
                let value = literal::parse(text).unwrap_or_else(|| text.into());
                self.values.insert(text.to_owned(), value.clone());
                value
            }
        };
        self.builder.compile(&value, Some(span))
    }

    /// Groups that never got a section.
    fn unresolved(&mut self) {
        let names: Vec<String> = self.builder.inventory.groups().map(|(_, g)| g.name.to_string()).collect();
        for (_, pending) in std::mem::take(&mut self.pending) {
            let message = match pending.section {
                Section::Vars => format!("`[{}:vars]` is for a group that does not exist", pending.name),
                _ => format!("the group `{}` does not exist", pending.name),
            };
            let span = pending.parents.last().map_or(pending.span, |(_, span)| *span);
            let diagnostic = Diagnostic::error("XP0505", message)
                .at(span, "no such group")
                .help(format!("add a section `[{}]`", pending.name))
                .suggest(&pending.name, names.iter().map(String::as_str));
            self.builder.errors.push(diagnostic);
        }
    }
}
