//! `rpower`: switches nodes and asks for their state.

use super::power::{control, failed, note_status};
use crate::rehearsal::xcat::dispatch;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::world::{PowerAction, PowerState};
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let mut words = args.iter().filter(|arg| !arg.starts_with('-'));
    let Some(range) = words.next().filter(|_| !super::wants_help(args)) else {
        session.print(include_str!("../usage/rpower.txt"));
        return Ok(0);
    };
    let action = words.next().map_or("", String::as_str);
    let Some(nodes) = super::nodes_of(session, range)? else { return Ok(1) };
    for node in dispatch::reachable(session, &nodes)? {
        one(session, &node, action)?;
    }
    Ok(session.rc)
}

fn one(session: &mut Session<'_>, node: &str, action: &str) -> io::Result<()> {
    const ACTIONS: [&str; 8] = ["on", "off", "softoff", "reset", "boot", "cycle", "stat", "state"];
    let control = control(session, node)?;
    let Some(mgt) = control.mgt else {
        session.node_error(
            node,
            "Unable to identify plugin for this command, check relevant tables: \
             nodehm.power,mgt;nodehm.mgt;nodehm.mgt=openbmc;pduoutlet.pdu=.*",
        );
        return Ok(());
    };
    if action.is_empty() || !(ACTIONS.contains(&action) || action == "status") {
        let text = match action {
            "" => format!("Please enter an action (eg: boot,off,on, etc) when using mgt={mgt}."),
            _ => format!("Error: Unsupported command: rpower {action} when using mgt={mgt}."),
        };
        session.say(&format!("{node}: {text}"));
        session.rc |= 1;
        return Ok(());
    }
    if let Some(frame) = control.unknown_frame.filter(|_| mgt == "hmc") {
        session.say(&format!("{node}: Node not defined in 'vpd: ({frame})' database"));
        session.rc |= 1;
        return Ok(());
    }
    if mgt == "ipmi" && control.bmc.is_none() {
        session.node_error(node, &format!("Could not resolve {node} to an address"));
        return Ok(());
    }
    order(session, node, action, &mgt)
}

fn order(session: &mut Session<'_>, node: &str, action: &str, mgt: &str) -> io::Result<()> {
    let nodes = &session.world.nodes;
    let before = match nodes.power_state(node) {
        Ok(state) => state,
        Err(error) => {
            failed(session, node, &error);
            return Ok(());
        }
    };
    let (wanted, word) = match (action, before) {
        ("on", _) => (Some(PowerAction::On), "on"),
        ("off" | "softoff", _) => (Some(PowerAction::Off), "off"),
        ("reset" | "cycle" | "boot", PowerState::On) => (Some(PowerAction::Reset), "reset"),
        ("boot" | "cycle", PowerState::Off) => (Some(PowerAction::On), "on"),
        ("stat" | "state" | "status", PowerState::On) if mgt == "hmc" => (None, "Running"),
        ("stat" | "state" | "status", PowerState::Off) if mgt == "hmc" => (None, "Not Activated"),
        (_, PowerState::On) => (None, "on"),
        (_, PowerState::Off) => (None, "off"),
    };
    let word = if mgt == "hmc" && wanted.is_some() { "Success" } else { word };
    if let Some(wanted) = wanted {
        if wanted != PowerAction::Off {
            note_status(session, node, "powering-on")?;
        }
        if let Err(error) = session.world.nodes.power(node, wanted) {
            failed(session, node, &error);
            return Ok(());
        }
        if wanted == PowerAction::Off {
            note_status(session, node, "powering-off")?;
        }
    }
    session.say(&format!("{node}: {word}"));
    Ok(())
}
