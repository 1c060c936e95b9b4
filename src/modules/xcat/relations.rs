//! What the steps of the image's procedure have to do with one another: which things each looks at, and which it changes.
//!
//! A plan uses it to tell which later steps an earlier one makes uncertain, and why.

use crate::modules::{Call, Relations, Thing};

/// Returns the things of one call of an xCAT module. Node ranges are compared as they are written.
pub fn of(module: &str, call: &Call) -> Relations {
    let arg = |name: &str| match call.args.str(name) {
        Some(text) => text.to_string(),
        None => call.args.texts(name).join(","),
    };
    let one = |kind: &'static str, name: String| Thing { kind, name };
    let osimage = |arg_name: &str| one("osimage", arg(arg_name));
    let nodes = |kind: &'static str| one(kind, arg("nodes"));
    let any = String::new;
    let (reads, writes) = match module {
        "xcat_copycds" => (vec![], vec![one("distribution", any())]),
        "xcat_osimage" => {
            let templates = call.args.texts("template").into_iter().map(|t| one("osimage", t));
            let start = [one("distribution", any()), osimage("name")];
            (start.into_iter().chain(templates).collect(), vec![osimage("name")])
        }
        "xcat_genimage" => (vec![osimage("name")], vec![one("image", arg("name"))]),
        "xcat_image_service" => (vec![one("image", arg("image"))], vec![one("image", arg("image"))]),
        "xcat_packimage" => {
            (vec![osimage("name"), one("image", arg("name"))], vec![one("archive", arg("name"))])
        }
        "xcat_nodeset" => (
            vec![osimage("image"), one("archive", arg("image")), nodes("nodes")],
            vec![nodes("boot files of")],
        ),
        "xcat_boot" => (
            vec![one("archive", arg("image")), nodes("boot files of"), nodes("nodes")],
            vec![nodes("running system of")],
        ),
        "xcat_node" => (vec![nodes("nodes")], vec![nodes("nodes")]),
        "xcat_sync_install" | "xcat_updatenode" => {
            (vec![nodes("running system of")], vec![nodes("files on")])
        }
        "xcat_verify" => {
            (vec![one("archive", arg("image")), nodes("running system of"), nodes("files on")], vec![])
        }
        _ => (vec![], vec![]),
    };
    Relations { reads, writes }
}
