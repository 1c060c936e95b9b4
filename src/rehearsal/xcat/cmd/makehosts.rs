//! `makehosts`: writes nodes into /etc/hosts; `-n` starts from nothing, the management node's own line included.

use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::Access;
use std::fs;
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let new = args.iter().any(|arg| arg == "-n" || arg == "--new");
    let mut db = session.db(Access::Read)?;
    let domain = db.site("domain").unwrap_or_default();
    let nodes = match args.iter().find(|arg| !arg.starts_with('-')) {
        Some(range) => match super::nodes_of(session, range)? {
            Some(nodes) => nodes,
            None => return Ok(1),
        },
        None => db.table("hosts").values("node"),
    };
    let path = session.path("/etc/hosts");
    let before =
        if new { "127.0.0.1 localhost\n".to_string() } else { fs::read_to_string(&path).unwrap_or_default() };
    let is_ours =
        |line: &str| line.split_whitespace().nth(1).is_some_and(|name| nodes.iter().any(|node| node == name));
    let mut text: String =
        before.lines().filter(|line| !is_ours(line)).flat_map(|line| [line, "\n"]).collect();
    for node in &nodes {
        if let Some(ip) = db.get("hosts", "node", node, "ip") {
            text.extend([ip.as_str(), " ", node, " ", node, ".", &domain, " \n"]);
        }
    }
    fs::write(path, text)?;
    Ok(0)
}
