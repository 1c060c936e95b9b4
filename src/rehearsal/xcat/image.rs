//! Diskless images: their definition, their lists with includes, their lock.

use super::objects::{self, Scripts};
use super::packages::hex;
use super::schema::Kind;
use super::session::{Era, Session};
use super::tables::Db;
use crate::rehearsal::lock::HeldLock;
use md5::{Digest, Md5};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Is the part of an osimage definition that building and booting need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Image {
    pub name: String,
    pub os: String,
    pub arch: String,
    pub profile: String,
    pub provmethod: String,
    pub pkglist: String,
    pub pkgdir: String,
    pub otherpkglist: String,
    pub otherpkgdir: String,
    pub exlist: String,
    pub postinstall: String,
    pub rootimgdir: String,
    pub permission: String,
    pub synclists: String,
    pub addkcmdline: String,
}

impl Image {
    /// Reads a definition; nothing when there is none of that name.
    pub fn load(db: &mut Db, name: &str) -> Option<Image> {
        let found = objects::read(db, Kind::Osimage, name, Scripts::Own)?;
        let get = |attribute: &str| found.get(attribute).cloned().unwrap_or_default();
        let mut image = Image {
            name: name.to_string(),
            os: get("osvers"),
            arch: get("osarch"),
            profile: get("profile"),
            provmethod: get("provmethod"),
            pkglist: get("pkglist"),
            pkgdir: get("pkgdir"),
            otherpkglist: get("otherpkglist"),
            otherpkgdir: get("otherpkgdir"),
            exlist: get("exlist"),
            postinstall: get("postinstall"),
            rootimgdir: get("rootimgdir"),
            permission: get("permission"),
            synclists: get("synclists"),
            addkcmdline: get("addkcmdline"),
        };
        if image.rootimgdir.is_empty() {
            image.rootimgdir = format!("/install/netboot/{}/{}/{}", image.os, image.arch, image.profile);
        }
        Some(image)
    }

    pub fn is_diskless(&self) -> bool {
        matches!(self.provmethod.as_str(), "netboot" | "statelite")
    }

    pub fn rootimg(&self) -> String {
        format!("{}/rootimg", self.rootimgdir)
    }

    /// Returns what `nodeset` shows: provmethod, os, arch and profile, not the image's name.
    pub fn state(&self) -> String {
        format!("{} {}-{}-{}", self.provmethod, self.os, self.arch, self.profile)
    }

    /// Returns the packed file that nodeset would take.
    pub fn packed(&self, session: &Session<'_>) -> Option<String> {
        const NAMES: [&str; 6] = ["cpio.gz", "cpio.xz", "tar.gz", "tar.xz", "sfs", "gz"];
        NAMES
            .iter()
            .map(|name| format!("{}/rootimg.{name}", self.rootimgdir))
            .find(|path| session.path(path).exists())
    }

    /// Returns the major version of the operating system.
    pub fn major(&self) -> u32 {
        let digits: String =
            self.os.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    }
}

/// Reads a list file with its includes; each line as it stands, without comments and empty lines.
pub(super) fn read_lines(session: &Session<'_>, list: &str) -> io::Result<Vec<String>> {
    const DEEPEST: usize = 8;
    let mut out = Vec::new();
    add_lines(session, list, DEEPEST, &mut out)?;
    Ok(out)
}

fn add_lines(session: &Session<'_>, list: &str, depth: usize, out: &mut Vec<String>) -> io::Result<()> {
    let text = fs::read_to_string(session.path(list))?;
    for line in text.lines().map(str::trim) {
        if let Some(file) = line.strip_prefix("#INCLUDE:").and_then(|rest| rest.strip_suffix('#')) {
            let file = match file.starts_with('/') {
                true => file.to_string(),
                false => format!("{}/{file}", Path::new(list).parent().unwrap_or(Path::new("/")).display()),
            };
            if depth > 0 && session.path(&file).exists() {
                add_lines(session, &file, depth - 1, out)?;
            }
        } else if !line.is_empty() && !line.starts_with('#') {
            out.push(line.to_string());
        }
    }
    Ok(())
}

/// Returns the packages of a list: several may stand on one line.
pub(super) fn read_packages(session: &Session<'_>, list: &str) -> io::Result<Vec<String>> {
    let lines = read_lines(session, list)?;
    let words = lines.iter().flat_map(|line| line.split([',', ' ', '\t']));
    Ok(words.filter(|word| !word.is_empty()).map(str::to_string).collect())
}

/// Holds the lock of a root image directory as long as it lives.
pub(super) struct ImageLock {
    _held: Option<HeldLock>,
}

/// Takes the lock that genimage, packimage and rmimage share, or returns the text that the loser prints.
pub(super) fn lock(session: &Session<'_>, rootimg: &str) -> io::Result<Result<ImageLock, String>> {
    if session.era == Era::Old {
        return Ok(Ok(ImageLock { _held: None }));
    }
    let dir = session.path("/var/lock/xcat");
    fs::create_dir_all(&dir)?;
    let digest = hex(&Md5::digest(rootimg.as_bytes()));
    let path = dir.join(format!("{}.{digest}", rootimg.replace('/', ".")));
    let file = File::options().create(true).append(true).open(&path)?;
    let Ok(mut held) = HeldLock::try_take(file) else {
        let pid = fs::read_to_string(&path).unwrap_or_default();
        return Ok(Err(format!(
            "failed to acquire lock, seems there is another genimage/packimage/rmimage process {} running on root \
             image dir \"{rootimg}\"",
            pid.trim()
        )));
    };
    held.file().set_len(0)?;
    write!(held.file(), "{}", std::process::id())?;
    Ok(Ok(ImageLock { _held: Some(held) }))
}
