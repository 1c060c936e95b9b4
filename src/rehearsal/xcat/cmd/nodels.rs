//! `nodels`: lists nodes and columns of theirs.

use crate::rehearsal::xcat::objects::{Condition, node_value};
use crate::rehearsal::xcat::schema;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::Access;
use std::io;

const SHORT_NAMES: &[(&str, &str)] = &[
    ("arch", "nodetype.arch"),
    ("bmc", "ipmi.bmc"),
    ("groups", "nodelist.groups"),
    ("ip", "hosts.ip"),
    ("mac", "mac.mac"),
    ("mgt", "nodehm.mgt"),
    ("nodetype", "nodetype.nodetype"),
    ("os", "nodetype.os"),
    ("power", "nodehm.power"),
    ("profile", "nodetype.profile"),
    ("tags", "nodelist.groups"),
];

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    if super::wants_help(args) {
        session.print(include_str!("../usage/nodels.txt"));
        return Ok(0);
    }
    if super::wants_version(args) {
        let version = session.version();
        session.say(&version);
        return Ok(0);
    }
    let named = args.iter().any(|arg| arg == "-H" || arg == "--with-fieldname");
    let mut words = args.iter().filter(|arg| !arg.starts_with('-'));
    let nodes = match words.next() {
        Some(range) => match super::nodes_of(session, range)? {
            Some(nodes) => nodes,
            None => return Ok(1),
        },
        None => {
            let mut all = session.db(Access::Read)?.table("nodelist").values("node");
            all.sort();
            all
        }
    };
    let mut columns = Vec::new();
    let mut conditions = Vec::new();
    for word in words {
        let condition = Condition::parse(word);
        let text = condition.as_ref().map_or(word.as_str(), |condition| condition.attribute.as_str());
        let Some(column) = column(text) else {
            session.error(&format!("{text} not a valid table.column description"));
            return Ok(1);
        };
        match condition {
            Some(condition) => conditions.push((column, condition)),
            None => columns.push((word.clone(), column)),
        }
    }
    let mut db = session.db(Access::Read)?;
    for node in nodes {
        let mut value =
            |(table, column): &(String, String)| node_value(&mut db, &node, table, "node", column);
        if !conditions.iter().all(|(place, condition)| condition.holds(value(place).as_deref())) {
            continue;
        }
        if columns.is_empty() {
            session.say(&node);
        }
        for (_, place) in &columns {
            let text = value(place).unwrap_or_default();
            if columns.len() == 1 && !named {
                session.say(&format!("{node}: {text}"));
            } else {
                session.say(&format!("{node}: {}.{}: {text}", place.0, place.1));
            }
        }
    }
    Ok(session.rc)
}

/// Returns the table and column that a word of the command line means.
fn column(word: &str) -> Option<(String, String)> {
    let full = SHORT_NAMES.iter().find(|(short, _)| *short == word).map_or(word, |(_, full)| full);
    let (table, column) = full.split_once('.')?;
    let columns = schema::columns(table)?;
    let known = columns.split(',').any(|one| one == column) && columns.starts_with("node,");
    known.then(|| (table.to_string(), column.to_string()))
}
