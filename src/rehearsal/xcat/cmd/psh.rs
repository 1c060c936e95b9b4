//! `psh`: the older parallel shell; a bad node range is only a warning.

use super::xdsh::on_all;
use crate::rehearsal::xcat::noderange;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::Access;
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let mut words = args.iter().skip_while(|arg| arg.starts_with('-'));
    let (Some(range), command) = (words.next(), words.cloned().collect::<Vec<_>>().join(" ")) else {
        session.say("Usage: psh [-i <interface>] [-f <fanout>] [-l <user>] <noderange> <command>");
        return Ok(0);
    };
    let Some(nodes) = nodes(session, range)? else {
        return Ok(if super::is_down(session.world) { 111 } else { 0 });
    };
    let mut failed = 0;
    for (node, result) in on_all(session, &nodes, &command, b"") {
        let rc = match result {
            Ok(output) => {
                for line in String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).lines() {
                    session.say(&format!("{node}: {line}"));
                }
                output.rc
            }
            Err(unreachable) => {
                session.say(&format!("{node}: ssh: connect to host {node} port 22: {unreachable}"));
                255
            }
        };
        if rc != 0 {
            session.complain(&format!("{node}: *** ssh exited with error code {rc}."));
            failed += 1;
        }
    }
    Ok(failed)
}

/// Returns the nodes; prints why there are none.
pub(super) fn nodes(session: &mut Session<'_>, range: &str) -> io::Result<Option<Vec<String>>> {
    if super::is_down(session.world) {
        session.complain("Connection failure: Connection refused");
        return Ok(None);
    }
    let mut db = session.db(Access::Read)?;
    Ok(match noderange::expand(&mut db, range) {
        Ok(nodes) => Some(nodes),
        Err(bad) => {
            session.say(&format!("Warning: Invalid nodes in noderange:{}", bad.join(",")));
            None
        }
    })
}
