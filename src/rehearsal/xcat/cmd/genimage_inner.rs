//! The program behind `genimage`, in xCAT's share directory: told everything by its arguments, it needs neither tables
//! nor the daemon. A build host of another architecture than the management node runs it by itself, with the command
//! that `genimage --dryrun` prints.

use super::genimage::{Build, Options};
use crate::rehearsal::xcat::image::Image;
use crate::rehearsal::xcat::session::Session;
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let (image, options) = match parse(args) {
        Ok(parsed) => parsed,
        Err(option) => {
            session.complain(&format!("Unknown option: {option}"));
            return Ok(1);
        }
    };
    let mut build = Build::new(&image, &options);
    match build.run(session)? {
        Ok(()) => Ok(0),
        Err(last) => {
            session.say(&last);
            Ok(1)
        }
    }
}

fn parse(args: &[String]) -> Result<(Image, Options), String> {
    let mut image = Image { provmethod: "netboot".into(), ..Image::default() };
    let mut options = Options::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().cloned().unwrap_or_default();
        match arg.as_str() {
            "-o" => image.os = value(),
            "-a" => image.arch = value(),
            "-p" => image.profile = value(),
            "--permission" => image.permission = value(),
            "--srcdir" => image.pkgdir = value(),
            "--pkglist" => image.pkglist = value(),
            "--otherpkgdir" => image.otherpkgdir = value(),
            "--otherpkglist" => image.otherpkglist = value(),
            "--postinstall" => image.postinstall = value(),
            "--rootimgdir" => image.rootimgdir = value(),
            "--tempfile" => drop(value()),
            "--noupdate" => options.no_update = value() == "1",
            "--onlyinitrd" => options.only_initrd = true,
            option if option.starts_with('-') => return Err(option.to_string()),
            name => image.name = name.to_string(),
        }
    }
    Ok((image, options))
}

#[cfg(test)]
mod tests {
    use super::super::genimage::{Options, inner_command};
    use super::parse;
    use crate::rehearsal::xcat::image::Image;

    /// What the outer command prints is what this one understands.
    #[test]
    fn reads_the_command_of_a_dry_run() {
        let image = Image {
            name: "site".into(),
            os: "rhels9.4".into(),
            arch: "x86_64".into(),
            profile: "service".into(),
            provmethod: "netboot".into(),
            pkglist: "/c/a.pkglist,/c/b.pkglist".into(),
            pkgdir: "/install/rhels9.4/x86_64".into(),
            otherpkglist: "/c/o.pkglist".into(),
            otherpkgdir: "/install/post/otherpkgs".into(),
            postinstall: "/c/post".into(),
            rootimgdir: "/install/netboot/site".into(),
            permission: "755".into(),
            ..Image::default()
        };
        let command = inner_command(&image, &Options { no_update: true, ..Options::default() }, None);
        let (_, line) = command.split_once("./genimage ").unwrap();
        let words: Vec<String> = line.split(' ').map(|word| word.trim_matches('"').to_string()).collect();
        let (parsed, options) = parse(&words).unwrap();
        assert_eq!((parsed, options.no_update, options.only_initrd), (image, true, false));
        assert_eq!(parse(&["--nosuch".into()]).map(|_| ()), Err("--nosuch".into()));
    }
}
