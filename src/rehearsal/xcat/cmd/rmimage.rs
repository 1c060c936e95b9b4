//! `rmimage`: removes an image's tree and files, keeps its definition.

use crate::rehearsal::xcat::image::{Image, lock};
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::Access;
use std::fs;
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let name = args.iter().find(|arg| !arg.starts_with('-'));
    let Some(name) = name.filter(|_| !super::wants_help(args)) else {
        session.print(include_str!("../usage/rmimage.txt"));
        return Ok(0);
    };
    let image = Image::load(&mut session.db(Access::Read)?, name);
    let Some(image) = image.filter(Image::is_diskless) else {
        session.error(&format!("Invalid image name {name}"));
        return Ok(1);
    };
    let dir = session.path(&image.rootimgdir);
    if !dir.is_dir() {
        session.error(&format!("Image directory {} does not exist", image.rootimgdir));
        return Ok(1);
    }
    let _lock = match lock(session, &image.rootimg())? {
        Ok(lock) => lock,
        Err(text) => {
            session.error(&text);
            return Ok(1);
        }
    };
    for entry in fs::read_dir(&dir)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if file == "rootimg" {
            session.say(&format!("Removing directory {}", image.rootimg()));
            fs::remove_dir_all(entry.path())?;
        } else if file == "kernel" || file.starts_with("initrd") || file.starts_with("rootimg") {
            fs::remove_file(entry.path())?;
        }
    }
    session.say("Image files have been removed successfully from this management node.");
    Ok(0)
}
