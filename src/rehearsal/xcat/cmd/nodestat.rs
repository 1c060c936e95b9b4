//! `nodestat`: says what answers on the nodes; always rc 0.

use crate::rehearsal::xcat::dispatch;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::Access;
use crate::rehearsal::xcat::world::PowerState;
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let usage = include_str!("../usage/nodestat.txt");
    if super::wants_help(args) {
        session.print(usage);
        return Ok(0);
    }
    let Some(range) = args.iter().find(|arg| !arg.starts_with('-')) else {
        session.print(usage);
        return Ok(1);
    };
    let has = |short: &str, long: &str| args.iter().any(|arg| arg == short || arg == long);
    let Some(nodes) = super::nodes_of(session, range)? else { return Ok(1) };
    if has("-f", "--usefping")
        && !["/usr/sbin/fping", "/usr/bin/fping"].iter().any(|p| session.path(p).exists())
    {
        session.say("Unable to find fping on system, must install fping package to use nodestat -f");
        return Ok(0);
    }
    let split = dispatch::split(session, &nodes)?;
    let mut asked = split.own;
    for (server, behind) in split.behind {
        match dispatch::reach(session, &server) {
            Ok(()) => asked.extend(behind),
            Err(text) => session.say(&text),
        }
    }
    asked.sort();
    for node in asked {
        let up = session.world.nodes.run(&node, ":", b"").is_ok();
        let power = (!up && (has("-p", "--powerstat") || has("powerstat", ""))).then(|| {
            match session.world.nodes.power_state(&node) {
                Ok(PowerState::On) => "(on)".to_string(),
                Ok(PowerState::Off) => "(off)".to_string(),
                Err(error) => format!("({})", error.0.join("; ")),
            }
        });
        let word = if up { "sshd" } else { "noping" };
        session.say(&format!("{node}: {word}{}", power.unwrap_or_default()));
        if has("-u", "--updatedb") {
            // Whatever the node had reported is overwritten.
            let time = session.table_time();
            let (status, sshd) = if up { ("ping", "up") } else { ("noping", "down") };
            let services = format!("rdp=down,msrpc=down,https=down,pbs=down,sshd={sshd},xend=down");
            let mut db = session.db(Access::Write)?;
            db.set(
                "nodelist",
                "node",
                &node,
                &[
                    ("status", status),
                    ("statustime", &time),
                    ("appstatus", &services),
                    ("appstatustime", &time),
                ],
            );
            db.save()?;
        }
    }
    Ok(0)
}
