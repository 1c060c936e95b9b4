//! What the steps of the image's procedure have to do with one another: which things each looks at, and which it changes.
//!
//! A plan uses it to tell which later steps an earlier one makes uncertain, and why.

use std::time::Duration;

use crate::modules::{Call, Locks, Relations, Thing};

/// How long a step waits for another run that works on the same image, unless it has a limit for that.
const PATIENCE_SECS: i128 = 3600;

/// The kinds of things that modules ask for by themselves.
pub const OSIMAGE: &str = "osimage";
pub const TREE: &str = "tree of";
pub const SERVICES: &str = "services of";
pub const ARCHIVE: &str = "archive of";
pub const RUNNING: &str = "running system of";

/// Returns why a thing is not what is seen now: an earlier step of the plan changes it.
pub fn changed_first(call: &Call, kind: &'static str, name: &str) -> Option<String> {
    let thing = Thing { kind, name: name.to_string() };
    call.world.thing(&thing).map(|unknown| unknown.cause.to_string())
}

/// Returns the things of one call of an xCAT module. Node ranges are compared as they are written.
pub fn of(module: &str, call: &Call) -> Relations {
    let arg = |name: &str| match call.args.str(name) {
        Some(text) => text.to_string(),
        None => call.args.texts(name).join(","),
    };
    let one = |kind: &'static str, name: String| Thing { kind, name };
    let osimage = |arg_name: &str| one(OSIMAGE, arg(arg_name));
    let nodes = |kind: &'static str| one(kind, arg("nodes"));
    let any = String::new;
    let (reads, writes) = match module {
        "xcat_copycds" => (vec![], vec![one("distribution", any())]),
        // What it leaves of an osimage is known: its prediction holds the row.
        "xcat_osimage" => (vec![one("distribution", any())], vec![]),
        "xcat_genimage" => (vec![osimage("name")], vec![one(TREE, arg("name"))]),
        "xcat_image_service" => (vec![one(TREE, arg("image"))], vec![one(SERVICES, arg("image"))]),
        "xcat_packimage" => (
            vec![osimage("name"), one(TREE, arg("name")), one(SERVICES, arg("name"))],
            vec![one(ARCHIVE, arg("name"))],
        ),
        "xcat_nodeset" => (
            vec![osimage("image"), one(TREE, arg("image")), one(ARCHIVE, arg("image")), nodes("nodes")],
            vec![nodes("boot files of")],
        ),
        "xcat_boot" => {
            (vec![one(ARCHIVE, arg("image")), nodes("boot files of"), nodes("nodes")], vec![nodes(RUNNING)])
        }
        "xcat_node" => (vec![nodes("nodes")], vec![nodes("nodes")]),
        "xcat_sync_install" | "xcat_updatenode" => (vec![nodes(RUNNING)], vec![nodes("files on")]),
        "xcat_verify" => (vec![one(ARCHIVE, arg("image")), nodes(RUNNING), nodes("files on")], vec![]),
        _ => (vec![], vec![]),
    };
    Relations { reads, writes }
}

/// Returns what a call of an xCAT module wants for itself: the image that it makes or hands out, or the install tree.
pub fn locks(module: &str, call: &Call) -> Locks {
    let image = |arg: &str| call.args.str(arg).map(|name| format!("osimage:{name}"));
    let name = match module {
        "xcat_copycds" | "xcat_otherpkgs" | "xcat_sync_install" => Some("install-tree".to_string()),
        "xcat_genimage" | "xcat_osimage" | "xcat_packimage" => image("name"),
        "xcat_image_service" | "xcat_nodeset" => image("image"),
        _ => None,
    };
    let secs = call.args.int("lock_timeout").unwrap_or(PATIENCE_SECS).clamp(0, 86_400);
    let patience = Duration::from_secs(u64::try_from(secs).unwrap_or_default());
    Locks { names: name.into_iter().collect(), patience }
}
