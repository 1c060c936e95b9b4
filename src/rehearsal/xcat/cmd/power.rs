//! What the power commands share: which plugin serves a node, and the status that an order leaves.

use crate::rehearsal::xcat::objects::{node_attribute, node_value};
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::Access;
use crate::rehearsal::xcat::world::PowerError;
use std::io;

/// Is what the tables say of a node's hardware control.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Control {
    pub mgt: Option<String>,
    pub bmc: Option<String>,
    /// The frame of an LPAR when its serial number is not known.
    pub unknown_frame: Option<String>,
}

pub(super) fn control(session: &Session<'_>, node: &str) -> io::Result<Control> {
    let mut db = session.db(Access::Read)?;
    let mgt = node_value(&mut db, node, "nodehm", "node", "mgt");
    let parent = node_attribute(&mut db, node, "parent");
    let unknown_frame = parent.filter(|parent| db.table("vpd").row("node", parent).is_none());
    Ok(Control { mgt, bmc: node_attribute(&mut db, node, "bmc"), unknown_frame })
}

/// Prints what a controller answered instead of obeying.
pub(super) fn failed(session: &mut Session<'_>, node: &str, error: &PowerError) {
    for line in &error.0 {
        session.node_error(node, line);
    }
    session.rc |= 1;
}

/// Notes the status that goes with an order.
pub(super) fn note_status(session: &Session<'_>, node: &str, status: &str) -> io::Result<()> {
    let time = session.table_time();
    let mut db = session.db(Access::Write)?;
    db.set("nodelist", "node", node, &[("status", status), ("statustime", &time)]);
    db.save()
}
