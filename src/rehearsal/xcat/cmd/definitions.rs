//! What mkdef, chdef, rmdef and lsdef share: their words, stanza files, names and checks.

use crate::rehearsal::xcat::noderange;
use crate::rehearsal::xcat::objects::{self, Attributes, Condition};
use crate::rehearsal::xcat::schema::Kind;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::Db;
use std::io;

/// Holds the words of a `*def` command.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub kind: Option<String>,
    pub names: Option<String>,
    pub wanted: Option<Vec<String>>,
    pub conditions: Vec<String>,
    pub template: Option<String>,
    pub rename: Option<String>,
    /// `attr=value` in the order typed.
    pub pairs: Vec<(String, String)>,
    pub flags: Vec<String>,
}

impl Words {
    pub fn has(&self, short: &str, long: &str) -> bool {
        self.flags.iter().any(|flag| flag == short || flag == long)
    }
}

/// Reads the words of a `*def` command. `-n` takes a value only for chdef.
pub(super) fn parse(args: &[String]) -> Words {
    let mut words = Words::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().cloned();
        match arg.as_str() {
            "-t" => words.kind = value(),
            "-o" => words.names = value(),
            "-i" => words.wanted = value().map(|list| list.split(',').map(str::to_string).collect()),
            "-w" => words.conditions.extend(value()),
            "-n" => words.rename = value(),
            "--template" => words.template = value(),
            flag if flag.starts_with('-') && flag.len() > 1 => words.flags.push(flag.to_string()),
            pair if pair.contains('=') => {
                let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
                words.pairs.push((name.to_string(), text.to_string()));
            }
            name => words.names = Some(name.to_string()),
        }
    }
    words
}

impl Words {
    /// Returns the kind of object, `node` when nothing is said.
    pub fn kind(&self, session: &mut Session<'_>) -> Option<Kind> {
        let word = self.kind.as_deref().unwrap_or("node");
        let kind = Kind::parse(word);
        if kind.is_none() {
            session.error(&format!("\nType '{word}' is not a valid xCAT object type."));
        }
        kind
    }

    pub fn conditions(&self) -> Vec<Condition> {
        self.conditions.iter().filter_map(|text| Condition::parse(text)).collect()
    }
}

/// Returns the object names that the words stand for; unknown ones are kept as they are.
pub(super) fn object_names(db: &mut Db, kind: Kind, text: &str) -> Vec<String> {
    if kind != Kind::Node {
        return text.split(',').filter(|name| !name.is_empty()).map(str::to_string).collect();
    }
    match noderange::expand(db, text) {
        Ok(nodes) => nodes,
        Err(_) => noderange::split_outside_brackets(text, ',')
            .iter()
            .flat_map(|part| match noderange::expand(db, part) {
                Ok(nodes) => nodes,
                Err(_) => noderange::names(part),
            })
            .collect(),
    }
}

/// Is one object of a stanza file.
#[derive(Debug, Default)]
pub(super) struct Stanza {
    pub name: String,
    pub objtype: Option<String>,
    pub attributes: Attributes,
}

/// Reads the stanza file on stdin.
pub(super) fn read_stanzas(session: &mut Session<'_>) -> io::Result<Vec<Stanza>> {
    let mut bytes = Vec::new();
    session.input.read_to_end(&mut bytes)?;
    let mut out: Vec<Stanza> = Vec::new();
    for line in String::from_utf8_lossy(&bytes).lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some((name, value)) = line.split_once('=') {
            let Some(last) = out.last_mut() else { continue };
            match name.trim() {
                "objtype" => last.objtype = Some(value.trim().to_string()),
                name => {
                    last.attributes.insert(name.to_string(), value.trim().to_string());
                }
            }
        } else if let Some(name) = line.strip_suffix(':') {
            out.push(Stanza { name: name.trim().to_string(), ..Stanza::default() });
        }
    }
    Ok(out)
}

/// Returns the attributes that this kind of object does not have.
pub(super) fn unknown_attributes<'n>(
    db: &mut Db,
    kind: Kind,
    name: &str,
    attributes: impl Iterator<Item = &'n String>,
) -> Vec<&'n String> {
    match objects::valid(db, kind, name) {
        None => Vec::new(),
        Some(places) => {
            attributes.filter(|a| !places.iter().any(|place| place.attribute == a.as_str())).collect()
        }
    }
}

/// Returns the first attribute that needs `imagetype=linux` when the image has another type.
pub(super) fn needs_linux<'n>(
    db: &mut Db,
    kind: Kind,
    name: &str,
    attributes: &'n Attributes,
) -> Option<&'n String> {
    if kind != Kind::Osimage {
        return None;
    }
    let imagetype =
        attributes.get("imagetype").cloned().or_else(|| db.get("osimage", "imagename", name, "imagetype"));
    if imagetype.as_deref() == Some("linux") {
        return None;
    }
    let places = objects::valid(db, kind, name).unwrap_or_default();
    attributes.keys().find(|attribute| {
        places.iter().any(|place| place.table == "linuximage" && place.attribute == attribute.as_str())
    })
}
