//! `rmdef`: removes definitions.

use super::definitions::{object_names, parse};
use crate::rehearsal::xcat::objects;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::Access;
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let usage = include_str!("../usage/rmdef.txt");
    if super::wants_help(args) {
        session.print(usage);
        return Ok(0);
    }
    let words = parse(args);
    let Some(kind) = words.kind(session) else { return Ok(1) };
    let mut db = session.db(Access::Write)?;
    let names = match &words.names {
        Some(text) => object_names(&mut db, kind, text),
        None if words.has("-a", "--all") && words.has("-f", "--force") => objects::list(&mut db, kind),
        None => Vec::new(),
    };
    if names.is_empty() {
        session.print(usage);
        session.error("No object names were provided.");
        return Ok(1);
    }
    let mut removed = 0;
    for name in names {
        if objects::exists(&mut db, kind, &name) {
            objects::remove(&mut db, kind, &name);
            removed += 1;
        } else {
            session.error(&format!("Could not find an object named '{name}' of type '{}'.", kind.word()));
        }
    }
    db.save()?;
    if removed == 0 {
        session.say("No objects have been removed from the xCAT database.");
    } else {
        session.say(&format!("{removed} object definitions have been removed."));
    }
    Ok(session.rc)
}
