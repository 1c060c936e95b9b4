//! `gettab`: prints cells of the row with a key.

use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::{Access, Db};
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let words: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let Some((key, value)) = words.first().and_then(|word| word.split_once('=')) else {
        session.complain("Usage: gettab [-H] key=value,...  table.attribute ...");
        return Ok(1);
    };
    let columns = &words[1..];
    let mut db = session.db(Access::Read)?;
    for word in columns {
        let Some((table, column)) = word.split_once('.').filter(|(table, _)| Db::has(table)) else {
            session.error(&format!("{word} not a valid table.column description"));
            return Ok(1);
        };
        let Some(text) = db.get(table, key, value, column) else { continue };
        if columns.len() == 1 {
            session.say(&text);
        } else {
            session.say(&format!("{word}: {text}"));
        }
    }
    Ok(0)
}
