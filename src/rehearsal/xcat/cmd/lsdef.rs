//! `lsdef`: prints objects, long, short, compressed or as stanzas.

use super::definitions::{Words, object_names, parse};
use crate::rehearsal::xcat::objects::{self, Attributes, Scripts};
use crate::rehearsal::xcat::schema::Kind;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::{Access, Db};
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let words = parse(args);
    let Some(kind) = words.kind(session) else { return Ok(1) };
    let mut db = session.db(Access::Read)?;
    if words.has("-h", "--help") {
        help(session, &mut db, kind);
        return Ok(0);
    }
    let stanzas = words.has("-z", "--stanza");
    let long = stanzas || words.has("-l", "--long") || words.wanted.is_some() || words.names.is_some();
    let names = match &words.names {
        Some(text) => object_names(&mut db, kind, text),
        None => objects::list(&mut db, kind),
    };
    if names.is_empty() && words.names.is_none() {
        session.say("Could not find any object definitions to display.");
        return Ok(0);
    }
    let scripts = if stanzas { Scripts::Own } else { Scripts::Merged };
    let conditions = words.conditions();
    let mut found: Vec<(String, Attributes)> = Vec::new();
    for name in names {
        let Some(attributes) = objects::read(&mut db, kind, &name, scripts) else {
            session.error(&format!("Could not find an object named '{name}' of type '{}'.", kind.word()));
            continue;
        };
        if conditions.iter().all(|c| c.holds(attributes.get(&c.attribute).map(String::as_str))) {
            found.push((name, attributes));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    if stanzas {
        session.say("# <xCAT data object stanza file>");
        for (name, attributes) in &found {
            session.say(&format!("\n{name}:\n    objtype={}", kind.word()));
            for (attribute, value) in attributes {
                session.say(&format!("    {attribute}={value}"));
            }
        }
        return Ok(session.rc);
    }
    if found.is_empty() {
        session.say("No object definitions have been found");
        return Ok(session.rc);
    }
    for (name, attributes) in &found {
        if !long || words.has("-s", "--short") {
            session.say(&format!("{name}  ({})", kind.word()));
        } else {
            show(session, &mut db, kind, name, attributes, &words);
        }
    }
    Ok(session.rc)
}

fn show(
    session: &mut Session<'_>,
    db: &mut Db,
    kind: Kind,
    name: &str,
    attributes: &Attributes,
    words: &Words,
) {
    let compressed = words.has("-c", "--compress");
    if !compressed {
        session.say(&format!("Object name: {name}"));
    }
    let places = objects::valid(db, kind, name);
    let mut wanted: Vec<String> = match &words.wanted {
        Some(list) => list.clone(),
        None => attributes.keys().cloned().collect(),
    };
    wanted.sort();
    for attribute in wanted {
        let place = places.as_ref().map(|all| all.iter().find(|place| place.attribute == attribute));
        if place == Some(None) {
            let word = kind.word();
            session.error(&format!(
                "'{attribute}' is not a valid attribute name for an object type of '{word}'."
            ));
            continue;
        }
        let value = attributes.get(&attribute).map_or("", String::as_str);
        let origin = match place.flatten() {
            Some(place) if words.has("-V", "--verbose") && !value.is_empty() => {
                format!("\t(Table:{} - Key: {} - Column:{})", place.table, kind.key().1, place.column)
            }
            _ => String::new(),
        };
        if compressed {
            session.say(&format!("{name}: {attribute}={value}{origin}"));
        } else {
            session.say(&format!("    {attribute}={value}{origin}"));
        }
    }
}

fn help(session: &mut Session<'_>, db: &mut Db, kind: Kind) {
    session.say(&format!("The valid attribute names for object type '{}' are:", kind.word()));
    session.say("Attribute          Description\n");
    let mut names: Vec<&str> =
        objects::valid(db, kind, "").unwrap_or_default().iter().map(|place| place.attribute).collect();
    names.sort_unstable();
    for name in names {
        session.say(&format!("{name}:\n"));
    }
}
