//! `packimage`: completes the image tree and packs it; it does not ask whether there is anything to pack.

use crate::rehearsal::xcat::archive::{Compress, Format, copy_tree, pack, resolve_inside, walk};
use crate::rehearsal::xcat::image::{Image, lock, read_lines};
use crate::rehearsal::xcat::packages::hex;
use crate::rehearsal::xcat::session::{Era, Session};
use crate::rehearsal::xcat::synclist::{self, matches};
use crate::rehearsal::xcat::tables::Access;
use crate::rehearsal::xcat::world::PutFile;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

#[derive(Default)]
struct Options {
    method: Option<String>,
    compress: Option<String>,
    no_syncfiles: bool,
    old_style: Vec<(char, String)>,
    image: Option<String>,
}

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let options = parse(args);
    if super::wants_help(args) || (options.image.is_none() && options.old_style.is_empty()) {
        session.print(include_str!("../usage/packimage.txt"));
        return Ok(0);
    }
    let name = match (options.image, session.era) {
        (Some(name), _) => name,
        (None, Era::Today) => {
            session
                .error("-o, -p and -a options are obsoleted, please use 'packimage <osimage name>' instead.");
            return Ok(1);
        }
        (None, Era::Old) => {
            let word =
                |flag| options.old_style.iter().find(|(one, _)| *one == flag).map_or("", |(_, word)| word);
            format!("{}-{}-netboot-{}", word('o'), word('a'), word('p'))
        }
    };
    let mut db = session.db(Access::Read)?;
    let Some(image) = Image::load(&mut db, &name) else {
        session.error(&format!("Cannot find image '{name}' from the osimage table."));
        return Ok(1);
    };
    if !image.is_diskless() {
        session.error(&format!("Cannot find {name} from the linuximage table."));
        return Ok(1);
    }
    let timezone = db.site("timezone").unwrap_or_default();
    let password = db.get("passwd", "key", "system", "password").unwrap_or_else(|| "cluster".into());
    drop(db);
    let method = options.method.as_deref().unwrap_or("cpio");
    let compress = options.compress.as_deref().unwrap_or("pigz");
    let format = match method {
        "cpio" => Format::Cpio,
        "tar" => Format::Tar,
        "squashfs" => {
            session.error("Command failed: mksquashfs. Error message: mksquashfs: command not found.");
            return Ok(1);
        }
        other => {
            session.error(&format!("Invalid archive method '{other}' requested"));
            return Ok(1);
        }
    };
    let compression = match compress {
        "gzip" | "pigz" => Compress::Gzip,
        "xz" => Compress::Xz,
        other => {
            session.error(&format!("Invalid compress method '{other}' requested"));
            return Ok(1);
        }
    };
    let _lock = match lock(session, &image.rootimg())? {
        Ok(lock) => lock,
        Err(text) => {
            session.error(&text);
            return Ok(1);
        }
    };
    session.say(&format!("Packing contents of {}", image.rootimg()));
    if session.era == Era::Today {
        session.say(&format!("archive method:{method}\ncompress method:{compress}\n"));
    }
    if session.fault("packimage-rc0-nothing-done") {
        session.pause(300);
        return Ok(0);
    }
    let tree = session.path(&image.rootimg());
    fs::create_dir_all(&tree)?;
    if !complete(session, &image, &tree, &timezone, &password)? {
        return Ok(1);
    }
    if !options.no_syncfiles && !sync(session, &image, &tree)? {
        return Ok(1);
    }
    let ending = match (session.era, format, compression) {
        (Era::Old, Format::Cpio, Compress::Gzip) => "gz",
        (_, Format::Cpio, Compress::Gzip) => "cpio.gz",
        (_, Format::Cpio, Compress::Xz) => "cpio.xz",
        (_, Format::Tar, Compress::Gzip) => "tar.gz",
        (_, Format::Tar, Compress::Xz) => "tar.xz",
    };
    write_packed(session, &image, &tree, ending, format, compression)
}

fn parse(args: &[String]) -> Options {
    let mut options = Options::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let (flag, glued) =
            arg.split_once('=').map_or((arg.as_str(), None), |(flag, word)| (flag, Some(word)));
        let mut value = || glued.map(str::to_string).or_else(|| rest.next().cloned());
        match flag {
            "-m" | "--method" => options.method = value(),
            "-c" | "--compress" => options.compress = value(),
            "--nosyncfiles" => options.no_syncfiles = true,
            "-o" | "-p" | "-a" => {
                let letter = if flag == "-o" {
                    'o'
                } else if flag == "-p" {
                    'p'
                } else {
                    'a'
                };
                options.old_style.push((letter, value().unwrap_or_default()));
            }
            word if word.starts_with('-') => {}
            word => options.image = Some(word.to_string()),
        }
    }
    options
}

/// Writes what every packed image gets: postscripts, identity, root's password, the time zone.
fn complete(
    session: &mut Session<'_>,
    image: &Image,
    tree: &Path,
    timezone: &str,
    password: &str,
) -> io::Result<bool> {
    let inside = |path: &str| resolve_inside(tree, Path::new(path));
    let postscripts = session.path("/install/postscripts");
    let target = inside("/xcatpost");
    if target.is_dir() {
        fs::remove_dir_all(&target)?;
    }
    if postscripts.is_dir() {
        copy_tree(&postscripts, &target)?;
        let script = postscripts.join("xcatdsklspost");
        fs::create_dir_all(inside("/opt/xcat/x").parent().unwrap_or(tree))?;
        if script.is_file() {
            fs::copy(script, inside("/opt/xcat/xcatdsklspost"))?;
        }
    }
    fs::create_dir_all(inside("/opt/xcat"))?;
    let time = session.world.clock.now().strftime("%a %b %e %H:%M:%S UTC %Y").to_string();
    fs::write(
        inside("/opt/xcat/xcatinfo"),
        format!("IMAGENAME='{}'\nIMAGEUUID='{}'\nTIMESTAMP='{time}'\n", image.name, uuid()?),
    )?;
    let shadow = inside("/etc/shadow");
    if let Ok(text) = fs::read_to_string(&shadow) {
        let others = text.lines().filter(|line| !line.starts_with("root:"));
        let mut new = format!("root:{password}:13880:0:99999:7:::\n");
        new.extend(others.flat_map(|line| [line, "\n"]));
        fs::write(&shadow, new)?;
    }
    if !timezone.is_empty() {
        if inside(&format!("/usr/share/zoneinfo/{timezone}")).exists() {
            let link = inside("/etc/localtime");
            if fs::symlink_metadata(&link).is_ok() {
                fs::remove_file(&link)?;
            }
            symlink(format!("../usr/share/zoneinfo/{timezone}"), link)?;
        } else {
            session.warn(&format!("Unable to set timezone to '{timezone}', check this is a valid timezone"));
        }
    }
    Ok(true)
}

/// Returns a random identifier of version 4.
fn uuid() -> io::Result<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex(&bytes);
    Ok(format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]))
}

fn sync(session: &mut Session<'_>, image: &Image, tree: &Path) -> io::Result<bool> {
    for list in image.synclists.split(',').filter(|list| !list.is_empty()) {
        if !session.path(list).exists() {
            session.error(&format!(
                "The file {list} which is specified to be sync'd to the node does NOT exist."
            ));
            return Ok(false);
        }
        let sync = synclist::read(session, list, None)?;
        place_in_tree(tree, &sync.files, &sync.appends)?;
    }
    Ok(true)
}

/// Places synchronised files into an image's tree.
pub(super) fn place_in_tree(tree: &Path, files: &[PutFile], appends: &[PutFile]) -> io::Result<()> {
    for file in files.iter().chain(appends) {
        let target = resolve_inside(tree, Path::new(&file.path));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        if appends.contains(file) {
            File::options().create(true).append(true).open(&target)?.write_all(&file.content)?;
            continue;
        }
        fs::write(&target, &file.content)?;
        fs::set_permissions(&target, fs::Permissions::from_mode(file.mode))?;
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(file.modified_secs);
        let _ = File::options().append(true).open(&target).and_then(|open| open.set_modified(time));
    }
    Ok(())
}

/// Removes the old packed files, then writes the new one in place, unreadable to others until it is whole.
fn write_packed(
    session: &mut Session<'_>,
    image: &Image,
    tree: &Path,
    ending: &str,
    format: Format,
    compress: Compress,
) -> io::Result<i32> {
    let names = chosen(session, image, tree)?;
    let dir = session.path(&image.rootimgdir);
    for entry in fs::read_dir(&dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("rootimg.") && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    let packed = dir.join(format!("rootimg.{ending}"));
    let open = || File::options().create(true).truncate(true).write(true).mode(0o600).open(&packed);
    session.pause(400);
    if session.fault("disk-full") {
        pack(tree, &names[..names.len() / 3], open()?, format, compress)?;
        cut(&packed)?;
        session.error(
            "Command failed: find . -xdev -print0 | cpio -H newc -o -0 | pigz. Error message: pigz: abort: write \
             error on <stdout> (No space left on device).\n",
        );
        return Ok(1);
    }
    pack(tree, &names, open()?, format, compress)?;
    if session.fault("packimage-truncated") {
        cut(&packed)?;
    }
    session.pause(400);
    fs::set_permissions(&packed, fs::Permissions::from_mode(0o644))?;
    Ok(session.rc)
}

/// Cuts a file off, as a full disk or a killed compressor does.
fn cut(path: &Path) -> io::Result<()> {
    let length = fs::metadata(path)?.len();
    File::options().write(true).open(path)?.set_len(length * 6 / 10)
}

/// Returns the paths to pack: all without the excluded ones, then those of `+` patterns again on top.
fn chosen(session: &Session<'_>, image: &Image, tree: &Path) -> io::Result<Vec<PathBuf>> {
    let mut excluded = Vec::new();
    let mut included = Vec::new();
    for list in image.exlist.split(',').filter(|list| !list.is_empty()) {
        // A list that does not exist excludes nothing and nobody is told.
        for line in read_lines(session, list).unwrap_or_default() {
            match line.strip_prefix('+') {
                Some(pattern) => included.push(pattern.to_string()),
                None => excluded.push(line.strip_prefix('-').unwrap_or(&line).to_string()),
            }
        }
    }
    let all = walk(tree)?;
    let hits = |patterns: &[String], path: &Path| {
        let text = format!("./{}", path.display());
        patterns.iter().any(|pattern| matches(pattern, &text))
    };
    let mut names: Vec<PathBuf> = all.iter().filter(|path| !hits(&excluded, path)).cloned().collect();
    names.extend(all.into_iter().filter(|path| hits(&included, path)));
    Ok(names)
}
