//! `chdef`: changes definitions, appends to and removes from lists, renames; a missing object is made.

use super::definitions::{Stanza, Words, needs_linux, object_names, parse, read_stanzas, unknown_attributes};
use super::mkdef::{SOME_FAILED, check};
use crate::rehearsal::xcat::objects::{self, Attributes, Scripts};
use crate::rehearsal::xcat::schema::Kind;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::{Access, Db};
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    if super::wants_help(args) {
        session.print(include_str!("../usage/chdef.txt"));
        return Ok(0);
    }
    let words = parse(args);
    let mut db = session.db(Access::Write)?;
    let mut failed = false;
    let wanted: Vec<(Kind, Stanza)> = if words.has("-z", "--stanza") {
        let stanzas = read_stanzas(session)?;
        let Some(checked) = check(session, &mut db, stanzas) else { return Ok(1) };
        checked
    } else {
        let Some(kind) = words.kind(session) else { return Ok(1) };
        let names = object_names(&mut db, kind, words.names.as_deref().unwrap_or_default());
        if names.is_empty() && kind != Kind::Site {
            session.error("No object names were provided.");
            return Ok(1);
        }
        if let Some(new) = &words.rename {
            return rename(session, &mut db, kind, &names, new);
        }
        let names = if names.is_empty() { vec!["clustersite".to_string()] } else { names };
        let mut attributes: Attributes = words.pairs.iter().cloned().collect();
        let bad: Vec<String> =
            unknown_attributes(&mut db, kind, &names[0], attributes.keys()).into_iter().cloned().collect();
        for name in bad {
            let word = kind.word();
            session.error(&format!("'{name}' is not a valid attribute name for an object type of '{word}'."));
            session.error("Skipping to the next attribute.");
            attributes.remove(&name);
            failed = true;
        }
        names
            .into_iter()
            .map(|name| (kind, Stanza { name, objtype: None, attributes: attributes.clone() }))
            .collect()
    };
    let (changed, new) = apply(session, &mut db, &words, wanted, &mut failed);
    db.save()?;
    if failed {
        session.error(SOME_FAILED);
        return Ok(session.rc);
    }
    if changed == 0 {
        session.say("No object definitions have been created or modified.");
    } else {
        session.say(&format!("{changed} object definitions have been created or modified."));
    }
    if !new.is_empty() {
        session.say(&format!("New object definitions '{}' have been created.", new.join(",")));
    }
    Ok(session.rc)
}

/// Writes the changes and returns how many objects were touched and which are new.
fn apply(
    session: &mut Session<'_>,
    db: &mut Db,
    words: &Words,
    wanted: Vec<(Kind, Stanza)>,
    failed: &mut bool,
) -> (usize, Vec<String>) {
    let mut changed = 0;
    let mut new = Vec::new();
    for (kind, mut stanza) in wanted {
        if stanza.attributes.is_empty() {
            continue;
        }
        let name = stanza.name.clone();
        let old = objects::read(db, kind, &name, Scripts::Own);
        if let Some(attribute) = needs_linux(db, kind, &name, &stanza.attributes) {
            session.error(&format!(
                "Cannot set the attr='{attribute}' attribute unless imagetype value is linux."
            ));
            *failed = true;
            continue;
        }
        let before = old.clone().unwrap_or_default();
        if words.has("-p", "--plus") {
            for (attribute, value) in &mut stanza.attributes {
                *value = plus(before.get(attribute).map_or("", String::as_str), value);
            }
        }
        if words.has("-m", "--minus") {
            let mut kept = Attributes::new();
            for (attribute, value) in &stanza.attributes {
                match minus(&name, attribute, before.get(attribute).map_or("", String::as_str), value) {
                    Ok(rest) => {
                        kept.insert(attribute.clone(), rest);
                    }
                    Err(text) => session.error(&text),
                }
            }
            if kept.is_empty() {
                continue;
            }
            stanza.attributes = kept;
        }
        if old.is_none() {
            new.push(name.clone());
        }
        objects::write(db, kind, &name, &stanza.attributes);
        changed += 1;
    }
    (changed, new)
}

fn rename(
    session: &mut Session<'_>,
    db: &mut Db,
    kind: Kind,
    names: &[String],
    new: &str,
) -> io::Result<i32> {
    let old = names.first().map_or("", String::as_str);
    let Some(attributes) = objects::read(db, kind, old, Scripts::Own) else {
        session.error(&format!("Could not find an object named '{old}' of type '{}'.", kind.word()));
        return Ok(1);
    };
    objects::remove(db, kind, old);
    objects::write(db, kind, new, &attributes);
    db.save()?;
    session.say(&format!("Changed the object name from {old} to {new}."));
    Ok(0)
}

fn plus(before: &str, value: &str) -> String {
    let mut items: Vec<&str> = before.split(',').filter(|item| !item.is_empty()).collect();
    for item in value.split(',') {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    items.join(",")
}

fn minus(object: &str, attribute: &str, before: &str, value: &str) -> Result<String, String> {
    if before.is_empty() {
        return Err(format!("No value got for attribute '{attribute}' for the '{object}' definition."));
    }
    let mut items: Vec<&str> = before.split(',').collect();
    for item in value.split(',') {
        if !items.contains(&item) {
            return Err(format!(
                "{item} is not in the attribute of '{attribute}' for the '{object}' definition."
            ));
        }
        items.retain(|one| *one != item);
    }
    Ok(items.join(","))
}
