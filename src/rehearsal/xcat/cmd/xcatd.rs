//! `/etc/init.d/xcatd`: starts, stops and shows the emulated daemon.

use crate::rehearsal::xcat::session::Session;
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let mark = session.path("/etc/xcat/rehearsal/xcatd-down");
    match args.first().map_or("", String::as_str) {
        "status" if super::is_down(session.world) => {
            session.say("xcatd service is not running");
            Ok(3)
        }
        "status" => {
            session.say("xcatd service is running");
            Ok(0)
        }
        "stop" => {
            if let Some(dir) = mark.parent() {
                std::fs::create_dir_all(dir)?;
            }
            std::fs::write(mark, "")?;
            session.say("Stopping xcatd .");
            Ok(0)
        }
        "start" | "restart" | "reload" => {
            if mark.exists() {
                std::fs::remove_file(mark)?;
            }
            session.say("Starting xcatd .");
            Ok(0)
        }
        _ => {
            session.say("Usage: xcatd {start|stop|restart|reload|status}");
            Ok(1)
        }
    }
}
