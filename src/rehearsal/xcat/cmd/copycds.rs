//! `copycds`: copies a medium, notes the distribution, makes or resets the stock osimages.

use super::super::packages::hex;
use crate::rehearsal::xcat::iso::{self, DiscInfo};
use crate::rehearsal::xcat::session::{Era, Session};
use crate::rehearsal::xcat::tables::{Access, Db};
use md5::{Digest, Md5};
use std::fs;
use std::io;
use std::path::Path;

const UNKNOWN: &str = "copycds could not identify the ISO supplied, you may wish to try -n <osver>";

#[derive(Default)]
struct Options {
    name: Option<String>,
    arch: Option<String>,
    path: Option<String>,
    inspect: bool,
    no_osimage: bool,
    keep: bool,
    media: Vec<String>,
}

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    if super::wants_help(args) {
        session.print(include_str!("../usage/copycds.txt"));
        return Ok(0);
    }
    let options = parse(args);
    if options.media.is_empty() {
        session.error("copycds needs at least one full path to ISO currently.");
        return Ok(1);
    }
    if options.inspect {
        for (given, flag) in [(&options.name, "name"), (&options.arch, "arch"), (&options.path, "path")] {
            if given.is_some() {
                session.warn(&format!(
                    "copycds: option --inspection specified, argument specified with option --{flag} is ignored"
                ));
            }
        }
    }
    for medium in &options.media {
        if !one(session, &options, medium)? {
            return Ok(1);
        }
    }
    Ok(0)
}

fn parse(args: &[String]) -> Options {
    let mut options = Options::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "-n" | "--name" | "--osver" => options.name = rest.next().cloned(),
            "-a" | "--arch" => options.arch = rest.next().cloned(),
            "-p" | "--path" => options.path = rest.next().cloned(),
            "-i" | "--inspection" => options.inspect = true,
            "-o" | "--noosimage" => options.no_osimage = true,
            "-w" | "--nonoverwrite" => options.keep = true,
            medium => options.media.push(medium.to_string()),
        }
    }
    options
}

/// Handles one medium; false stops the whole command.
fn one(session: &mut Session<'_>, options: &Options, medium: &str) -> io::Result<bool> {
    let file = session.path(medium);
    if !file.is_file() {
        session.error(&format!(
            "The management server was unable to find/read {medium}. Ensure that file exists on the server at the \
             specified location."
        ));
        return Ok(false);
    }
    if !iso::is_medium(&file) {
        session.error(&format!("{medium} is not executable, will not process"));
        return Ok(false);
    }
    if options.inspect {
        session.say(&format!("OS Image:{medium}"));
    }
    let Some(info) = iso::disc_info(&file)? else {
        session.error(UNKNOWN);
        return Ok(false);
    };
    if options.inspect {
        let disc = info.disc.map(|disc| format!("DISCNO:{disc}\n")).unwrap_or_default();
        session.say(&format!("DISTNAME:{}\nARCH:{}\n{disc}", info.os, info.arch));
        return Ok(true);
    }
    let os = options.name.clone().unwrap_or_else(|| info.os.clone());
    if !is_known_distribution(&os) {
        session.error(UNKNOWN);
        return Ok(false);
    }
    if let Some(arch) = options.arch.as_ref().filter(|arch| **arch != info.arch) {
        session.error(&format!("Requested distribution architecture {arch}, but media is {}", info.arch));
        return Ok(false);
    }
    let path = options.path.clone().unwrap_or_else(|| format!("/install/{os}/{}", info.arch));
    if !path.starts_with("/install") {
        session.warn(&format!(
            "copycds: the specified path \"{path}\" is not a subdirectory under /install. Make sure this path is \
             configured for httpd/apache, otherwise, the provisioning with this iso will fail!"
        ));
    }
    let mut names = Vec::new();
    iso::each_file(&file, |name, _| {
        names.push(name.to_string_lossy().into_owned());
        Ok(())
    })?;
    let total = names.len();
    names.sort();
    let fingerprint = format!("{},", hex(&Md5::digest(names.join("\n").as_bytes())));
    let mark = session.path(&format!("{path}/.fingerprint"));
    let known = fs::read_to_string(&mark).unwrap_or_default();
    if options.keep && known.contains(&fingerprint) {
        session.say("The disc iso has already been copied in!");
        return Ok(true);
    }
    session.say(&format!("Copying media to {path}"));
    copy(session, &file, &path, total)?;
    if !known.contains(&fingerprint) {
        fs::write(&mark, format!("{known}{fingerprint}"))?;
    }
    session.say("Media copy operation successful");
    let mut db = session.db(Access::Write)?;
    note_distribution(&mut db, &os, &info, &path);
    if !options.no_osimage {
        stock_images(session, &mut db, &os, &info.arch, &path);
    }
    db.save()?;
    Ok(true)
}

/// Progress is printed with carriage returns and no line end, as the real client does.
fn copy(session: &mut Session<'_>, file: &Path, path: &str, total: usize) -> io::Result<()> {
    let target = session.path(path);
    let mut done = 0usize;
    iso::each_file(file, |name, body| {
        let percent = done as f64 * 100.0 / total.max(1) as f64;
        session.print(&format!("{percent:.2}%\r"));
        let to = target.join(name);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        io::copy(body, &mut fs::File::create(&to)?)?;
        done += 1;
        session.pause(8);
        Ok(())
    })
}

fn is_known_distribution(os: &str) -> bool {
    const KNOWN: [&str; 9] = ["rhels", "rhelhpc", "rhel", "centos", "rocky", "alma", "ol", "sles", "fedora"];
    KNOWN
        .iter()
        .any(|name| os.strip_prefix(name).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())))
}

fn note_distribution(db: &mut Db, os: &str, info: &DiscInfo, path: &str) {
    let name = format!("{os}-{}", info.arch);
    let digits = os.find(|c: char| c.is_ascii_digit()).unwrap_or(os.len());
    let (base, version) = os.split_at(digits);
    let (major, minor) = version.split_once('.').unwrap_or((version, ""));
    let mut paths: Vec<String> = db
        .get("osdistro", "osdistroname", &name, "dirpaths")
        .map(|text| text.split(',').map(str::to_string).collect())
        .unwrap_or_default();
    if !paths.iter().any(|one| one == path) {
        paths.push(path.to_string());
    }
    db.set(
        "osdistro",
        "osdistroname",
        &name,
        &[
            ("basename", base),
            ("majorversion", major),
            ("minorversion", minor),
            ("arch", &info.arch),
            ("type", "Linux"),
            ("dirpaths", &paths.join(",")),
        ],
    );
}

/// Makes the stock osimages, or puts their lists and directories back to the shipped ones.
fn stock_images(session: &Session<'_>, db: &mut Db, os: &str, arch: &str, path: &str) {
    let mut wanted = vec![("install", "compute"), ("install", "service"), ("netboot", "compute")];
    if session.era == Era::Old {
        wanted.push(("netboot", "service"));
    }
    wanted.push(("statelite", "compute"));
    for (method, profile) in wanted {
        let name = format!("{os}-{arch}-{method}-{profile}");
        let is_new = db.table("osimage").row("imagename", &name).is_none();
        let postscripts = if profile == "service" { "servicenode" } else { "" };
        let mut cells = vec![
            ("profile", profile),
            ("imagetype", "linux"),
            ("provmethod", method),
            ("osname", "Linux"),
            ("osvers", os),
            ("osarch", arch),
        ];
        let distribution = format!("{os}-{arch}");
        cells.push(("osdistroname", &distribution));
        if is_new {
            cells.push(("postscripts", postscripts));
        }
        db.set("osimage", "imagename", &name, &cells);
        let dir = if method == "install" { "install" } else { "netboot" };
        let file = |extension: &str| template(session, dir, profile, os, arch, extension);
        let (pkglist, otherpkgdir) = (file("pkglist"), format!("/install/post/otherpkgs/{os}/{arch}"));
        let otherpkglist = if profile == "service" { file("otherpkgs.pkglist") } else { String::new() };
        let mut cells = vec![
            ("pkglist", pkglist),
            ("pkgdir", path.to_string()),
            ("otherpkgdir", otherpkgdir),
            ("otherpkglist", otherpkglist),
        ];
        if method == "install" {
            cells.push(("template", file("tmpl")));
        } else {
            cells.push(("exlist", file("exlist")));
            cells.push(("postinstall", file("postinstall")));
            cells.push(("rootimgdir", format!("/install/netboot/{os}/{arch}/{profile}")));
        }
        if is_new && session.era == Era::Today {
            cells.push(("addkcmdline", "quiet".to_string()));
        }
        let cells: Vec<(&str, &str)> = cells.iter().map(|(column, cell)| (*column, cell.as_str())).collect();
        db.set("linuximage", "imagename", &name, &cells);
    }
}

/// Returns the shipped file that fits best, or nothing.
fn template(
    session: &Session<'_>,
    dir: &str,
    profile: &str,
    os: &str,
    arch: &str,
    extension: &str,
) -> String {
    let major = os.split('.').next().unwrap_or(os);
    for stem in [
        format!("{profile}.{os}.{arch}"),
        format!("{profile}.{os}"),
        format!("{profile}.{major}.{arch}"),
        format!("{profile}.{major}"),
    ] {
        let path = format!("/opt/xcat/share/xcat/{dir}/rh/{stem}.{extension}");
        if session.path(&path).exists() {
            return path;
        }
    }
    String::new()
}
