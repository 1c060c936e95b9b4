//! `rsetboot`: sets the device of the next boot.

use super::power::{control, failed};
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::world::BootDevice;
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let mut words = args.iter().filter(|arg| !arg.starts_with('-'));
    let Some(range) = words.next().filter(|_| !super::wants_help(args)) else {
        session.print(include_str!("../usage/rsetboot.txt"));
        return Ok(0);
    };
    let action = words.next().map_or("stat", String::as_str);
    let Some(nodes) = super::nodes_of(session, range)? else { return Ok(1) };
    for node in nodes {
        let control = control(session, &node)?;
        if !matches!(control.mgt.as_deref(), Some("ipmi" | "openbmc")) {
            session.node_error(
                &node,
                "Unable to identify plugin for this command, check relevant tables: \
                 nodehm.power,mgt;nodehm.mgt;nodehm.mgt=openbmc",
            );
            continue;
        }
        if control.bmc.is_none() {
            session.node_error(&node, &format!("Could not resolve {node} to an address"));
            continue;
        }
        let device = match action {
            "net" => Some(BootDevice::Network),
            "hd" => Some(BootDevice::HardDrive),
            "cd" => Some(BootDevice::Cd),
            "floppy" => Some(BootDevice::Floppy),
            "def" | "default" => Some(BootDevice::Default),
            _ => None,
        };
        let nodes = &session.world.nodes;
        let answer = match device {
            Some(device) => nodes.set_boot_device(&node, device),
            None => nodes.boot_device(&node),
        };
        match answer {
            Err(error) => failed(session, &node, &error),
            Ok(_) if device.is_none() && action != "stat" => {
                session.node_error(&node, &format!("unsupported command setboot {action}"));
            }
            Ok(state) => session.say(&format!("{node}: {state}")),
        }
    }
    Ok(session.rc)
}
