//! `tabdump`: prints a table as CSV.

use crate::rehearsal::xcat::objects::Condition;
use crate::rehearsal::xcat::schema;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::{Access, Db};
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let mut conditions = Vec::new();
    let mut name = None;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "-w" => conditions.extend(rest.next().and_then(|text| Condition::parse(text))),
            flag if flag.starts_with('-') => {}
            word => name = Some(word.to_string()),
        }
    }
    let Some(name) = name else {
        for table in schema::tables() {
            session.say(table);
        }
        return Ok(0);
    };
    if !Db::has(&name) {
        session.error(&format!("No such table: {name}"));
        return Ok(1);
    }
    let mut db = session.db(Access::Read)?;
    let table = db.table(&name);
    let text = table.dump_rows(|row| {
        conditions.iter().all(|condition| {
            let cell = table.column(&condition.attribute).map(|at| row[at].as_str());
            condition.holds(cell)
        })
    });
    session.print(&text);
    Ok(0)
}
