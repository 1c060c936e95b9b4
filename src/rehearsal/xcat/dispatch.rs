//! Commands for nodes behind a service node go through its daemon; here is who and whether it answers.

use super::objects::node_attribute;
use super::session::Session;
use super::tables::Access;
use std::io;

/// Is a node range split by who serves the nodes.
#[derive(Debug, Default)]
pub(super) struct Split {
    /// Nodes that the management node serves.
    pub own: Vec<String>,
    /// Service nodes with the nodes behind them.
    pub behind: Vec<(String, Vec<String>)>,
}

/// Splits nodes by their `servicenode`; a service node serves itself.
pub(super) fn split(session: &Session<'_>, nodes: &[String]) -> io::Result<Split> {
    let mut db = session.db(Access::Read)?;
    let mut out = Split::default();
    for node in nodes {
        let server = node_attribute(&mut db, node, "servicenode");
        match server
            .as_deref()
            .and_then(|list| list.split(',').next())
            .filter(|server| *server != session.host)
        {
            None => out.own.push(node.clone()),
            Some(server) => match out.behind.iter_mut().find(|(name, _)| name == server) {
                Some((_, nodes)) => nodes.push(node.clone()),
                None => out.behind.push((server.to_string(), vec![node.clone()])),
            },
        }
    }
    Ok(out)
}

/// Succeeds when the daemon of a service node answers; the error is the client's text.
pub(super) fn reach(session: &Session<'_>, server: &str) -> Result<(), String> {
    const PROBE: &str = "test -e /run/xplay-rehearsal/active/xcatd.service || test -e /var/lock/subsys/xcatd";
    let reason = match session.world.nodes.run(server, PROBE, b"") {
        Ok(output) if output.rc == 0 => return Ok(()),
        Ok(_) => "Connection refused".to_string(),
        Err(unreachable) => unreachable.0,
    };
    Err(format!(
        "Unable to dispatch hierarchical sub-command to {server}:3001.  Error: Connection failure: \
         IO::Socket::INET: connect: {reason} at /opt/xcat/lib/perl/xCAT/Client.pm line 248.\n. "
    ))
}

/// Returns the nodes that can be served; prints the error for every service node that does not answer.
pub(super) fn reachable(session: &mut Session<'_>, nodes: &[String]) -> io::Result<Vec<String>> {
    let split = split(session, nodes)?;
    let mut all = split.own;
    for (server, behind) in split.behind {
        match reach(session, &server) {
            Ok(()) => all.extend(behind),
            Err(text) => session.error(&text),
        }
    }
    all.sort();
    Ok(all)
}
