//! From text to a [`Doc`]: well-formed XML 1.0 with namespaces. Entities of a document's own are refused, as they would
//! have to be replaced by what they stand for.

use super::tree::{Doc, Element, Id, Kind, Name, ROOT, XML_URI};

/// Elements within one another; what libxml2 allows.
const DEEPEST: usize = 256;

/// What to do with CDATA sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cdata {
    Keep,
    /// They become text.
    Strip,
}

/// Reads a document. The error says what is wrong and in which line.
pub fn parse(bytes: &[u8], cdata: Cdata) -> Result<Doc, String> {
    let text = decode(bytes)?;
    // Ends of lines are one character to whoever reads XML.
    let text = if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text };
    let mut reader = Reader { text: &text, at: 0, cdata, doc: Doc::new() };
    reader.document().map_err(|what| {
        let line = text.as_bytes()[..reader.at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1;
        format!("{what}, line {line}")
    })?;
    Ok(reader.doc)
}

/// Returns the text of a document in one of the encodings that need no table.
fn decode(bytes: &[u8]) -> Result<String, String> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units)
            .collect::<Result<String, _>>()
            .map_err(|_| "it is no valid UTF-16".to_string())
    };
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return wide(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return wide(rest, u16::from_be_bytes);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    let declaration =
        head.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")).map_or("", |(d, _)| d);
    let named = declaration.split_once("encoding").and_then(|(_, rest)| {
        let rest = rest.trim_start().strip_prefix('=')?.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest[1..].split_once(quote).map(|(name, _)| name.to_ascii_lowercase())
    });
    match named.as_deref().unwrap_or("utf-8") {
        "utf-8" | "utf8" | "us-ascii" | "ascii" => String::from_utf8(bytes.to_vec())
            .map_err(|_| "Input is not proper UTF-8, indicate encoding !".to_string()),
        "iso-8859-1" | "latin1" | "latin-1" => Ok(bytes.iter().map(|b| char::from(*b)).collect()),
        other => Err(format!("the encoding {other} is not supported: UTF-8, UTF-16 and ISO-8859-1 are")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    cdata: Cdata,
    doc: Doc,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn eat(&mut self, what: &str) -> bool {
        let there = self.rest().starts_with(what);
        if there {
            self.at += what.len();
        }
        there
    }

    fn blanks(&mut self) -> bool {
        let len = self.rest().bytes().take_while(|b| b" \t\n".contains(b)).count();
        self.at += len;
        len > 0
    }

    /// Returns what stands before a mark, and goes behind the mark.
    fn until(&mut self, mark: &str, what: &str) -> Result<&'a str, String> {
        let rest = self.rest();
        let end = rest.find(mark).ok_or_else(|| format!("{what} not terminated"))?;
        self.at += end + mark.len();
        Ok(&rest[..end])
    }

    fn document(&mut self) -> Result<(), String> {
        if self.rest().starts_with("<?xml") && self.rest()[5..].starts_with([' ', '\t', '\n']) {
            self.until("?>", "XML declaration")?;
        }
        let mut has_root = false;
        loop {
            self.blanks();
            let rest = self.rest();
            if rest.is_empty() {
                break;
            }
            if rest.starts_with("<!--") || rest.starts_with("<?") {
                self.aside(ROOT)?;
            } else if rest.starts_with("<!DOCTYPE") && !has_root && self.doc.doctype.is_none() {
                self.doctype()?;
            } else if rest.starts_with('<') && !has_root {
                has_root = true;
                self.elements()?;
            } else if has_root {
                return Err("Extra content at the end of the document".into());
            } else {
                return Err("Start tag expected, '<' not found".into());
            }
        }
        if has_root { Ok(()) } else { Err("Document is empty".into()) }
    }

    /// Reads a comment or an instruction.
    fn aside(&mut self, parent: Id) -> Result<(), String> {
        let kind = if self.eat("<!--") {
            let text = self.until("-->", "Comment")?;
            if text.contains("--") {
                return Err("Double hyphen within comment".into());
            }
            Kind::Comment(text.to_string())
        } else {
            self.at += 2;
            let target = self.name()?;
            if target.eq_ignore_ascii_case("xml") {
                return Err("XML declaration allowed only at the start of the document".into());
            }
            let separate = self.blanks();
            let data = self.until("?>", "PI")?;
            if !separate && !data.is_empty() {
                return Err("PI target not followed by a space".into());
            }
            Kind::Instruction { target: target.to_string(), data: data.to_string() }
        };
        self.check_characters(match &kind {
            Kind::Comment(text) | Kind::Instruction { data: text, .. } => text,
            _ => "",
        })?;
        let id = self.doc.add(kind);
        self.doc.append_read(parent, id);
        Ok(())
    }

    fn doctype(&mut self) -> Result<(), String> {
        self.at += "<!DOCTYPE".len();
        if !self.blanks() {
            return Err("Space required after '<!DOCTYPE'".into());
        }
        let name = self.name()?.to_string();
        self.blanks();
        let mut written = format!("<!DOCTYPE {name}");
        if self.eat("PUBLIC") {
            self.blanks();
            let public = self.literal()?.to_string();
            self.blanks();
            let system = self.literal()?.to_string();
            written = format!("{written} PUBLIC {} {}", quoted(&public), quoted(&system));
        } else if self.eat("SYSTEM") {
            self.blanks();
            let system = self.literal()?.to_string();
            written = format!("{written} SYSTEM {}", quoted(&system));
        }
        self.blanks();
        if self.rest().starts_with('[') {
            return Err("a document type with declarations of its own is not supported".into());
        }
        if !self.eat(">") {
            return Err("DOCTYPE improperly terminated".into());
        }
        written.push('>');
        self.doc.doctype = Some((name, written));
        Ok(())
    }

    fn literal(&mut self) -> Result<&'a str, String> {
        let quote = self.quote()?;
        self.until(quote, "literal")
    }

    fn quote(&mut self) -> Result<&'static str, String> {
        for quote in ["\"", "'"] {
            if self.eat(quote) {
                return Ok(quote);
            }
        }
        Err("a quoted text is missing".into())
    }

    /// Reads the root element and all that is in it.
    fn elements(&mut self) -> Result<(), String> {
        let mut open: Vec<Id> = Vec::new();
        loop {
            let rest = self.rest();
            let parent = open.last().copied().unwrap_or(ROOT);
            if rest.starts_with("</") {
                self.at += 2;
                let name = self.name()?;
                self.blanks();
                let opened =
                    self.doc.element(parent).map(|element| element.name.written()).unwrap_or_default();
                if name != opened {
                    return Err(format!("Opening and ending tag mismatch: {opened} and {name}"));
                }
                if !self.eat(">") {
                    return Err("expected '>'".into());
                }
                open.pop();
            } else if rest.starts_with("<![CDATA[") {
                self.at += 9;
                let text = self.until("]]>", "CData section")?.to_string();
                self.check_characters(&text)?;
                match self.cdata {
                    Cdata::Keep => {
                        let id = self.doc.add(Kind::Cdata(text));
                        self.doc.append_read(parent, id);
                    }
                    Cdata::Strip => self.add_text(parent, &text),
                }
            } else if rest.starts_with("<!--") || rest.starts_with("<?") {
                self.aside(parent)?;
            } else if rest.starts_with("<!") {
                return Err("StartTag: invalid element name".into());
            } else if rest.starts_with('<') {
                if open.len() >= DEEPEST {
                    return Err(format!("Excessive depth in document: {DEEPEST}"));
                }
                let (id, closed) = self.start_tag(parent)?;
                if !closed {
                    open.push(id);
                }
            } else if rest.is_empty() {
                let opened =
                    self.doc.element(parent).map(|element| element.name.written()).unwrap_or_default();
                return Err(format!("Premature end of data in tag {opened}"));
            } else {
                let end = rest.find('<').unwrap_or(rest.len());
                self.at += end;
                if rest[..end].contains("]]>") {
                    return Err("Sequence ']]>' not allowed in content".into());
                }
                let text = self.resolve(&rest[..end])?;
                self.add_text(parent, &text);
            }
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// Adds to the text that ends a node, or begins one.
    fn add_text(&mut self, parent: Id, text: &str) {
        if text.is_empty() {
            return;
        }
        let last = self.doc.children(parent).last().copied();
        if let Some(last) = last
            && self.doc.append_text(last, text)
        {
            return;
        }
        let id = self.doc.add(Kind::Text(text.to_string()));
        self.doc.append_read(parent, id);
    }

    fn start_tag(&mut self, parent: Id) -> Result<(Id, bool), String> {
        self.at += 1;
        let tag = self.name()?.to_string();
        let mut declared: Vec<(Option<String>, String)> = Vec::new();
        let mut given: Vec<(String, String)> = Vec::new();
        let closed = loop {
            let separate = self.blanks();
            if self.eat("/>") {
                break true;
            }
            if self.eat(">") {
                break false;
            }
            if !separate {
                return Err(format!("Couldn't find end of Start Tag {tag}"));
            }
            let name = self.name()?.to_string();
            self.blanks();
            if !self.eat("=") {
                return Err(format!("Specification mandates value for attribute {name}"));
            }
            self.blanks();
            let quote = self.quote().map_err(|_| "AttValue: \" or ' expected".to_string())?;
            let raw = self.until(quote, "AttValue")?;
            if raw.contains('<') {
                return Err("Unescaped '<' not allowed in attributes values".into());
            }
            let value = self.resolve(&raw.replace(['\t', '\n'], " "))?;
            match name.split_once(':') {
                _ if name == "xmlns" => declared.push((None, value)),
                Some(("xmlns", prefix)) => declared.push((Some(prefix.to_string()), value)),
                _ => {
                    if given.iter().any(|(other, _)| *other == name) {
                        return Err(format!("Attribute {name} redefined"));
                    }
                    given.push((name, value));
                }
            }
        };
        let id = self.doc.add(Kind::Element(Element { declared, ..Element::default() }));
        self.doc.append_read(parent, id);
        let name = self.named(id, &tag, true)?;
        let mut attributes = Vec::with_capacity(given.len());
        for (name, value) in given {
            attributes.push((self.named(id, &name, false)?, value));
        }
        if let Some(element) = self.doc.element_mut(id) {
            element.name = name;
            element.attributes = attributes;
        }
        Ok((id, closed))
    }

    /// Returns a written name with its namespace at an element.
    fn named(&self, at: Id, written: &str, with_default: bool) -> Result<Name, String> {
        let (prefix, local) = match written.split_once(':') {
            Some((prefix, local)) if !prefix.is_empty() && !local.is_empty() && !local.contains(':') => {
                (Some(prefix), local)
            }
            Some(_) => return Err(format!("Failed to parse QName '{written}'")),
            None => (None, written),
        };
        let uri = match prefix {
            None if !with_default => None,
            Some("xml") => Some(XML_URI.to_string()),
            prefix => self.doc.uri_of(at, prefix),
        };
        if prefix.is_some() && uri.is_none() {
            return Err(format!("Namespace prefix {} on {local} is not defined", prefix.unwrap_or_default()));
        }
        Ok(Name { prefix: prefix.map(str::to_string), local: local.to_string(), uri })
    }

    fn name(&mut self) -> Result<&'a str, String> {
        let rest = self.rest();
        let len = name_len(rest);
        if len == 0 {
            return Err("a name is missing".into());
        }
        self.at += len;
        Ok(&rest[..len])
    }

    /// Replaces references in a text.
    fn resolve(&self, raw: &str) -> Result<String, String> {
        self.check_characters(raw)?;
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find('&') {
            out.push_str(&rest[..at]);
            let (name, after) = rest[at + 1..]
                .split_once(';')
                .filter(|(name, _)| {
                    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '&')
                })
                .ok_or("EntityRef: expecting ';'")?;
            rest = after;
            out.push(match name {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "quot" => '"',
                "apos" => '\'',
                _ => {
                    let Some(number) = name.strip_prefix('#') else {
                        return Err(format!("Entity '{name}' not defined"));
                    };
                    let code = match number.strip_prefix('x') {
                        Some(hex) => u32::from_str_radix(hex, 16),
                        None => number.parse(),
                    };
                    code.ok()
                        .and_then(char::from_u32)
                        .filter(|c| is_xml_char(*c))
                        .ok_or_else(|| format!("xmlParseCharRef: invalid value '{name}'"))?
                }
            });
        }
        out.push_str(rest);
        Ok(out)
    }

    fn check_characters(&self, text: &str) -> Result<(), String> {
        match text.chars().find(|c| !is_xml_char(*c)) {
            Some(c) => Err(format!("Char 0x{:X} out of allowed range", u32::from(c))),
            None => Ok(()),
        }
    }
}

/// Returns how many bytes of a text are a name with colons.
fn name_len(text: &str) -> usize {
    match text.chars().next() {
        Some(c) if is_name_start(c) => text.find(|c: char| !is_name_char(c)).unwrap_or(text.len()),
        _ => 0,
    }
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '_' | ':') || (!c.is_ascii() && c.is_alphabetic())
}

fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || c.is_ascii_digit()
        || matches!(c, '-' | '.' | '\u{b7}')
        || (!c.is_ascii() && c.is_alphanumeric())
}

/// Whether a text can be the name of an element or attribute, without a prefix.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(':') && name_len(text) == text.len()
}

/// Whether a character may stand in a document.
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn quoted(text: &str) -> String {
    if text.contains('"') { format!("'{text}'") } else { format!("\"{text}\"") }
}
