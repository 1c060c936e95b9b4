//! `mkdef`: makes definitions; `-f` replaces existing ones.

use super::definitions::{Stanza, needs_linux, object_names, parse, read_stanzas, unknown_attributes};
use crate::rehearsal::xcat::objects::{self, Attributes, Scripts};
use crate::rehearsal::xcat::schema::Kind;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::{Access, Db};
use std::io;

pub(super) const SOME_FAILED: &str =
    "One or more errors occured when attempting to create or modify xCAT object definitions.";

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    if super::wants_help(args) {
        session.print(include_str!("../usage/mkdef.txt"));
        return Ok(0);
    }
    let words = parse(args);
    let mut db = session.db(Access::Write)?;
    let stanzas = if words.has("-z", "--stanza") {
        read_stanzas(session)?
    } else {
        let Some(kind) = words.kind(session) else { return Ok(1) };
        let mut base = Attributes::new();
        if let Some(template) = &words.template {
            let Some(found) = objects::read(&mut db, kind, template, Scripts::Own) else {
                let word = kind.word();
                session.error(&format!(
                    "Could not find the template object named '{template}' of type '{word}'."
                ));
                return Ok(1);
            };
            base = found;
        }
        base.extend(words.pairs.iter().cloned());
        object_names(&mut db, kind, words.names.as_deref().unwrap_or_default())
            .into_iter()
            .map(|name| Stanza { name, objtype: Some(kind.word().into()), attributes: base.clone() })
            .collect()
    };
    let Some(checked) = check(session, &mut db, stanzas) else { return Ok(1) };
    let mut made = 0;
    let mut refused = false;
    for (kind, stanza) in checked {
        let name = &stanza.name;
        if objects::exists(&mut db, kind, name) {
            if !words.has("-f", "--force") {
                session.warn(&format!(
                    "A definition for '{name}' already exists. No changes will be made.  Run again with '-f' option \
                     to force replace."
                ));
                continue;
            }
            objects::remove(&mut db, kind, name);
        }
        if let Some(attribute) = needs_linux(&mut db, kind, name, &stanza.attributes) {
            session.error(&format!(
                "Cannot set the attr='{attribute}' attribute unless imagetype value is linux."
            ));
            refused = true;
            continue;
        }
        if kind == Kind::Group && !stanza.attributes.contains_key("members") {
            session.warn(&format!("Cannot determine a member list for group '{name}'."));
        }
        objects::write(&mut db, kind, name, &stanza.attributes);
        made += 1;
    }
    db.save()?;
    if refused {
        session.error(SOME_FAILED);
    } else if made == 0 {
        session.error("0 object definitions have been created or modified.");
    } else {
        session.say(&format!("{made} object definitions have been created or modified."));
    }
    Ok(session.rc)
}

/// Checks every stanza before anything is written; one bad attribute refuses them all.
pub(super) fn check(
    session: &mut Session<'_>,
    db: &mut Db,
    stanzas: Vec<Stanza>,
) -> Option<Vec<(Kind, Stanza)>> {
    if stanzas.is_empty() {
        session.error("No object names were provided.");
        return None;
    }
    let mut out = Vec::new();
    for stanza in stanzas {
        let Some(word) = &stanza.objtype else {
            session.error(&format!(
                "\nNo objtype value was specified for '{}'. Cannot create object definition.",
                stanza.name
            ));
            return None;
        };
        let Some(kind) = Kind::parse(word) else {
            session.error(&format!("\nType '{word}' is not a valid xCAT object type."));
            return None;
        };
        if let Some(bad) = unknown_attributes(db, kind, &stanza.name, stanza.attributes.keys()).first() {
            session.error(&format!("'{bad}' is not a valid attribute name for an object type of ''."));
            return None;
        }
        out.push((kind, stanza));
    }
    Some(out)
}
