//! Parser events to nodes: anchors, merge keys, duplicate keys, limits.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, StructureStyle};
use indexmap::IndexMap;

use super::align::{Offsets, align};
use super::hints;
use super::node::{Node, NodeValue, Scalar, ScalarStyle};
use super::parse::Parsed;
use super::resolve::{self, resolve_plain};
use super::tags;
use crate::diag::{Diagnostic, FileId, Span};
use crate::value::Key;

/// How many nodes aliases may add in one file.
const ALIAS_BUDGET: usize = 2_000_000;
/// How deep values may nest, aliases included.
const DEPTH_LIMIT: usize = 512;

/// Composes every document of `text`.
pub(super) fn compose(text: &str, file: FileId) -> Result<Parsed, Diagnostic> {
    let options = granit_parser::options! {
        emit_comments: false,
        block_scalar_eof_without_line_feed: true,
        bom_inside_document_as_content: true,
    };
    let mut composer = Composer {
        text,
        file,
        open: Vec::new(),
        anchors: HashMap::new(),
        alias_nodes: 0,
        documents: Vec::new(),
        warnings: Vec::new(),
    };
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| hints::syntax_error(text, file, &error))?;
        composer.event(event, &span)?;
    }
    Ok(Parsed { documents: composer.documents, warnings: composer.warnings })
}

/// A finished node with the measures that limits need.
#[derive(Clone)]
struct Built {
    node: Node,
    /// Nodes inside, itself included, aliases expanded.
    size: usize,
    /// Levels below, itself included.
    height: usize,
}

/// A list or map whose end has not come yet.
struct Open {
    start: Span,
    flow: bool,
    anchor: usize,
    tag: Option<tags::Written>,
    content: Content,
    /// Where the last value inside ends.
    end: u32,
    size: usize,
    height: usize,
}

enum Content {
    List(Vec<Node>),
    Map(Vec<(Node, Node)>, Option<Node>),
}

struct Composer<'a> {
    text: &'a str,
    file: FileId,
    open: Vec<Open>,
    /// What each anchor names; nothing while that node is still open.
    anchors: HashMap<usize, Option<Built>>,
    alias_nodes: usize,
    documents: Vec<Node>,
    warnings: Vec<Diagnostic>,
}

impl Composer<'_> {
    fn event(&mut self, event: Event<'_>, span: &granit_parser::Span) -> Result<(), Diagnostic> {
        let place = self.span(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = self.tag(tag.as_deref(), span);
                let node = self.scalar(&text, style, tag.as_ref(), place)?;
                let end = node.span.end;
                self.finish(Built { node, size: 1, height: 1 }, anchor, end)
            }
            Event::SequenceStart(style, anchor, tag) => {
                let tag = self.tag(tag.as_deref(), span);
                self.start(Content::List(Vec::new()), style, anchor, tag, place)
            }
            Event::MappingStart(style, anchor, tag) => {
                let tag = self.tag(tag.as_deref(), span);
                self.start(Content::Map(Vec::new(), None), style, anchor, tag, place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::DocumentStart(..) => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        let range = span.byte_range().unwrap_or(0..0);
        hints::span(self.file, range.start, range.end)
    }

    fn tag(&self, tag: Option<&granit_parser::Tag>, span: &granit_parser::Span) -> Option<tags::Written> {
        let place = span.tag_span().unwrap_or(*span);
        tag.map(|tag| tags::Written::new(tag, self.span(&place)))
    }

    fn scalar(
        &self,
        text: &str,
        style: granit_parser::ScalarStyle,
        tag: Option<&tags::Written>,
        mut span: Span,
    ) -> Result<Node, Diagnostic> {
        let style = match style {
            granit_parser::ScalarStyle::Plain => ScalarStyle::Plain,
            granit_parser::ScalarStyle::SingleQuoted => ScalarStyle::SingleQuoted,
            granit_parser::ScalarStyle::DoubleQuoted => ScalarStyle::DoubleQuoted,
            granit_parser::ScalarStyle::Literal => ScalarStyle::Literal,
            granit_parser::ScalarStyle::Folded => ScalarStyle::Folded,
        };
        // The parser writes an absent value as a tilde without extent.
        let absent = style == ScalarStyle::Plain && span.start == span.end;
        let text: Arc<str> = if absent { "".into() } else { text.into() };
        let source = self.text.get(span.start as usize..span.end as usize).unwrap_or_default();
        let offsets =
            if absent { Offsets::Same(span.start) } else { align(source, &text, span.start, style) };
        // A block scalar reaches up to the next token; the blank rest is not part of what people see.
        span.end -= (source.len() - source.trim_end().len()) as u32;
        let value = match style {
            ScalarStyle::Plain => resolve_plain(&text),
            _ => resolve::text_of(&text),
        };
        tags::scalar(Scalar { value, text, style, offsets }, tag, span)
    }

    fn start(
        &mut self,
        content: Content,
        style: StructureStyle,
        anchor: usize,
        tag: Option<tags::Written>,
        start: Span,
    ) -> Result<(), Diagnostic> {
        if self.open.len() >= DEPTH_LIMIT {
            return Err(too_deep(start));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        let flow = style == StructureStyle::Flow;
        self.open.push(Open { start, flow, anchor, tag, content, end: start.end, size: 1, height: 1 });
        Ok(())
    }

    fn end(&mut self, place: Span) -> Result<(), Diagnostic> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        // A block ends where its last value ends, not where the next token happens to stand.
        let end = if open.flow { place.end } else { open.end };
        let span = Span { end: end.max(open.start.end), ..open.start };
        let value = match open.content {
            Content::List(items) => NodeValue::List(Arc::new(items)),
            Content::Map(entries, _) => NodeValue::Map(Arc::new(self.entries(entries)?)),
        };
        let node = tags::collection(Node { value, span, tag: None }, open.tag.as_ref())?;
        self.finish(Built { node, size: open.size, height: open.height }, open.anchor, span.end)
    }

    fn alias(&mut self, anchor: usize, place: Span) -> Result<(), Diagnostic> {
        let Some(Some(built)) = self.anchors.get(&anchor).cloned() else {
            return Err(Diagnostic::error("XP0104", "this alias refers to a value that contains it")
                .at(place, "the anchored value is not complete here"));
        };
        self.alias_nodes = self.alias_nodes.saturating_add(built.size);
        if self.alias_nodes > ALIAS_BUDGET {
            return Err(Diagnostic::error("XP0104", "aliases make this file too large")
                .at(place, format!("more than {ALIAS_BUDGET} values with this alias")));
        }
        if self.open.len() + built.height > DEPTH_LIMIT {
            return Err(too_deep(place));
        }
        self.finish(built, 0, place.end)
    }

    /// Puts a finished node, written up to `end`, where it belongs.
    fn finish(&mut self, built: Built, anchor: usize, end: u32) -> Result<(), Diagnostic> {
        if anchor != 0 {
            self.anchors.insert(anchor, Some(built.clone()));
        }
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(built.node);
            return Ok(());
        };
        parent.end = end;
        parent.size = parent.size.saturating_add(built.size);
        parent.height = parent.height.max(built.height + 1);
        match &mut parent.content {
            Content::List(items) => items.push(built.node),
            Content::Map(entries, key) => match key.take() {
                None => *key = Some(built.node),
                Some(key) => entries.push((key, built.node)),
            },
        }
        Ok(())
    }

    /// Resolves merge keys and duplicates. As in Python's dict, a repeated key keeps its first position and takes
    /// the last value.
    fn entries(&mut self, written: Vec<(Node, Node)>) -> Result<Vec<(Node, Node)>, Diagnostic> {
        let mut merged: Vec<(Node, Node)> = Vec::new();
        let mut own: IndexMap<Key, (Node, Node)> = IndexMap::with_capacity(written.len());
        for (key, value) in written {
            if is_merge(&key) {
                merge(&value, &mut merged)?;
                continue;
            }
            let Some(name) = key.to_key() else { return Err(hints::unusable_key(self.text, &key)) };
            if let Some((first, _)) = own.get(&same_as_python(&name)) {
                let text = key.scalar().map_or("", |s| &s.text);
                self.warnings.push(
                    Diagnostic::warning(
                        "XP0103",
                        format!("found a duplicate dict key ({text}), using the last value only"),
                    )
                    .at(key.span, "this value is used")
                    .at(first.span, "this one is ignored"),
                );
            }
            own.insert(same_as_python(&name), (key, value));
        }
        if merged.is_empty() {
            return Ok(own.into_values().collect());
        }
        let mut all: IndexMap<Key, (Node, Node)> = IndexMap::with_capacity(merged.len() + own.len());
        for (key, value) in merged {
            if let Some(name) = key.to_key() {
                all.insert(same_as_python(&name), (key, value));
            }
        }
        all.extend(own);
        Ok(all.into_values().collect())
    }
}

/// Python's dict takes `1` and `True` for the same key.
fn same_as_python(key: &Key) -> Key {
    match key {
        Key::Bool(b) => Key::Int(i128::from(*b)),
        other => other.clone(),
    }
}

fn is_merge(key: &Node) -> bool {
    key.tag.is_none() && key.scalar().is_some_and(|s| s.style == ScalarStyle::Plain && &*s.text == "<<")
}

/// Adds what `<<: value` brings, in the order in which later entries win.
fn merge(value: &Node, into: &mut Vec<(Node, Node)>) -> Result<(), Diagnostic> {
    match &value.value {
        NodeValue::Map(entries) => into.extend(entries.iter().cloned()),
        // The first of several wins, so that it must come last.
        NodeValue::List(items) => {
            for item in items.iter().rev() {
                if !item.is_map() {
                    return Err(bad_merge(item));
                }
                into.extend(item.entries().iter().cloned());
            }
        }
        NodeValue::Scalar(_) => return Err(bad_merge(value)),
    }
    Ok(())
}

fn bad_merge(node: &Node) -> Diagnostic {
    Diagnostic::error("XP0105", "`<<` merges a mapping or a list of mappings")
        .at(node.span, format!("this is a {}", node.type_name()))
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error("XP0104", format!("values nest deeper than {DEPTH_LIMIT} levels")).at(span, "here")
}
