//! From a [`Doc`] to text, as libxml2 writes it.

use super::tree::{Doc, Element, Id, Kind, ROOT};

/// How the text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    AsIs,
    /// Two blanks for each level where an element holds no text.
    Pretty,
}

/// Blanks do not grow beyond this level.
const DEEPEST_INDENT: usize = 30;

/// Returns a whole file: declaration, document type, root element and what stands around it.
pub fn file(doc: &Doc, layout: Layout) -> String {
    let mut out = String::from("<?xml version='1.0' encoding='UTF-8'?>\n");
    let root = doc.root_element();
    let root_name = root.and_then(|root| doc.element(root)).map(|element| element.name.local.as_str());
    if let Some((name, text)) = &doc.doctype
        && root_name == Some(name.as_str())
    {
        out.push_str(text);
        out.push('\n');
    }
    let mut behind = false;
    for child in doc.children(ROOT) {
        if Some(*child) == root {
            behind = true;
            node(doc, *child, layout, 0, &mut out);
        } else if behind {
            out.push('\n');
            node(doc, *child, layout, 0, &mut out);
        } else {
            node(doc, *child, layout, 0, &mut out);
            out.push('\n');
        }
    }
    if layout == Layout::Pretty {
        out.push('\n');
    }
    out
}

/// Returns one node with all that is in it.
pub fn one(doc: &Doc, id: Id) -> String {
    let mut out = String::new();
    node(doc, id, Layout::AsIs, 0, &mut out);
    out
}

fn node(doc: &Doc, id: Id, layout: Layout, level: usize, out: &mut String) {
    match doc.kind(id) {
        Kind::Document => {}
        Kind::Text(text) => escape(text, out),
        Kind::Cdata(text) => add!(out, "<![CDATA[{text}]]>"),
        Kind::Comment(text) => add!(out, "<!--{text}-->"),
        Kind::Instruction { target, data } if data.is_empty() => add!(out, "<?{target}?>"),
        Kind::Instruction { target, data } => add!(out, "<?{target} {data}?>"),
        Kind::Element(element) => {
            start(element, out);
            let children = doc.children(id);
            if children.is_empty() {
                out.push_str("/>");
                return;
            }
            out.push('>');
            let layout = if children.iter().any(|child| doc.is_text(*child)) { Layout::AsIs } else { layout };
            let indent = |level: usize, out: &mut String| {
                if layout == Layout::Pretty {
                    out.push_str(&"  ".repeat(level.min(DEEPEST_INDENT)));
                }
            };
            let line_end = |out: &mut String| {
                if layout == Layout::Pretty {
                    out.push('\n');
                }
            };
            line_end(out);
            for child in children {
                indent(level + 1, out);
                node(doc, *child, layout, level + 1, out);
                line_end(out);
            }
            indent(level, out);
            add!(out, "</{}>", element.name.written());
        }
    }
}

fn start(element: &Element, out: &mut String) {
    out.push('<');
    out.push_str(&element.name.written());
    let declared = element.declared.iter().map(|(prefix, uri)| match prefix {
        Some(prefix) => (format!("xmlns:{prefix}"), uri),
        None => ("xmlns".to_string(), uri),
    });
    let attributes = element.attributes.iter().map(|(name, value)| (name.written(), value));
    for (name, value) in declared.chain(attributes) {
        add!(out, " {name}=\"");
        for c in value.chars() {
            match c {
                '"' => out.push_str("&quot;"),
                '\n' => out.push_str("&#10;"),
                '\t' => out.push_str("&#9;"),
                c => escape_char(c, out),
            }
        }
        out.push('"');
    }
}

fn escape(text: &str, out: &mut String) {
    text.chars().for_each(|c| escape_char(c, out));
}

fn escape_char(c: char, out: &mut String) {
    match c {
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '&' => out.push_str("&amp;"),
        '\r' => out.push_str("&#13;"),
        c => out.push(c),
    }
}
