//! `chtab`: sets cells of tables by hand.

use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::{Access, Db};
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let remove = args.iter().any(|arg| arg == "-d");
    let words: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let Some((key, value)) = words.first().and_then(|word| word.split_once('=')) else {
        session.complain("Usage: chtab [-d] keycolname=keyvalue tablename.colname=newvalue [tablename.colname=newvalue...]");
        return Ok(1);
    };
    let mut db = session.db(Access::Write)?;
    for word in &words[1..] {
        let (place, cell) = word.split_once('=').unwrap_or((word, ""));
        let (table, column) = place.split_once('.').unwrap_or((place, ""));
        let known = Db::has(table) && db.table(table).column(key).is_some();
        let known = known && (column.is_empty() || db.table(table).column(column).is_some());
        if !known {
            session.error(&format!("{place} not a valid table.column description"));
            return Ok(1);
        }
        if remove {
            db.table_mut(table).remove(key, value);
        } else {
            db.set(table, key, value, &[(column, cell)]);
        }
    }
    db.save()?;
    Ok(0)
}
