//! `rnetboot`: boots LPARs from the network; only for nodes behind an HMC, IVM or FSP.

use super::power::{control, failed, note_status};
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::world::{BootDevice, PowerAction, PowerState};
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let mut range = None;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "-s" | "-m" | "-r" | "-t" => {
                rest.next();
            }
            flag if flag.starts_with('-') => {}
            word => range = range.or(Some(word)),
        }
    }
    let Some(range) = range.filter(|_| !super::wants_help(args)) else {
        session.print(include_str!("../usage/rnetboot.txt"));
        return Ok(0);
    };
    let Some(nodes) = super::nodes_of(session, range)? else { return Ok(1) };
    for node in nodes {
        let control = control(session, &node)?;
        if !matches!(control.mgt.as_deref(), Some("hmc" | "ivm" | "fsp")) {
            session.node_error(
                &node,
                "Unable to identify plugin for this command, check relevant tables: nodehm.mgt",
            );
            continue;
        }
        if let Some(frame) = control.unknown_frame {
            session.say(&format!("{node}: Node not defined in 'vpd: ({frame})' database"));
            session.rc |= 1;
            continue;
        }
        note_status(session, &node, "powering-on")?;
        let nodes = &session.world.nodes;
        let result = nodes
            .set_boot_device(&node, BootDevice::Network)
            .and_then(|_| nodes.power_state(&node))
            .and_then(|state| match state {
                PowerState::On => nodes.power(&node, PowerAction::Reset),
                PowerState::Off => nodes.power(&node, PowerAction::On),
            });
        match result {
            Ok(_) => session.say(&format!("{node}: Success")),
            Err(error) => failed(session, &node, &error),
        }
    }
    Ok(session.rc)
}
