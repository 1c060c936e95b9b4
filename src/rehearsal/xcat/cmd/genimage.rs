//! `genimage`: builds the tree of a diskless image from package lists, runs its postinstall, makes its initrds.

use super::{Verdict, genimage_text as text};
use crate::rehearsal::xcat::archive::{copy_tree, resolve_inside};
use crate::rehearsal::xcat::image::{Image, lock, read_packages};
use crate::rehearsal::xcat::packages::{self, Repository, Transaction};
use crate::rehearsal::xcat::seed::USERLAND;
use crate::rehearsal::xcat::session::{Era, Session, read_line};
use crate::rehearsal::xcat::tables::Access;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Default)]
pub(super) struct Options {
    pub image: Option<String>,
    pub dry_run: bool,
    pub only_initrd: bool,
    pub no_update: bool,
    pub permission: Option<String>,
}

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let options = parse(args);
    let Some(name) = options.image.clone().filter(|_| !super::wants_help(args)) else {
        session.print(include_str!("../usage/genimage.txt"));
        return Ok(0);
    };
    let verdict = super::verdict(session, "genimage");
    if verdict != Verdict::Allowed {
        // The client asks the daemon twice, and goes on after the first refusal.
        session.say(
            "Could not get install directory from site table.  Assuming your OSes are stored in '/install'",
        );
        session.complain(match verdict {
            Verdict::Down => {
                "Connection failure: IO::Socket::INET: connect: Connection refused at \
                 /opt/xcat/lib/perl/xCAT/Client.pm line 248."
            }
            _ => "Error: Permission denied for request",
        });
    }
    session.say("Generating image: ");
    if let Some(rc) = super::refuse(session, &verdict) {
        return Ok(rc);
    }
    let image = Image::load(&mut session.db(Access::Read)?, &name);
    let Some(image) = image else {
        session.error(&format!("Cannot find image '{name}' from the osimage table."));
        return Ok(1);
    };
    if let Some(problem) = refused(session, &image) {
        session.error(&problem);
        return Ok(1);
    }
    let temporary = (!options.dry_run).then(|| format!("/tmp/xcat_genimage.{}", std::process::id()));
    let inner = inner_command(&image, &options, temporary.as_deref());
    session.say(&inner);
    if options.dry_run {
        return Ok(0);
    }
    let mut build = Build::new(&image, &options);
    match build.run(session)? {
        Ok(()) => {
            let mut db = session.db(Access::Write)?;
            let permission = options.permission.clone().unwrap_or_else(|| "755".into());
            if image.permission.is_empty() || options.permission.is_some() {
                db.set("linuximage", "imagename", &name, &[("permission", &permission)]);
                db.save()?;
            }
            Ok(session.rc)
        }
        Err(last) => {
            build.emit(session, &format!("{last}\n"));
            let log = build.log.trim_end();
            session.error(&format!("Command failed: {inner} 2>&1. Error message: {log}.\n"));
            session.error("genimage command failed with rc 1.");
            Ok(1)
        }
    }
}

fn parse(args: &[String]) -> Options {
    let mut options = Options::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--dryrun" => options.dry_run = true,
            "--onlyinitrd" => options.only_initrd = true,
            "--noupdate" => options.no_update = true,
            "--interactive" => {}
            "--permission" => options.permission = rest.next().cloned(),
            "-i" | "-n" | "-r" | "-k" | "-g" | "-m" | "-l" | "-t" | "-o" | "-a" | "-p" => {
                rest.next();
            }
            flag if flag.starts_with('-') => {}
            name => options.image = Some(name.to_string()),
        }
    }
    options
}

/// Returns the quick refusals, found before anything is done.
fn refused(session: &Session<'_>, image: &Image) -> Option<String> {
    if !image.is_diskless() {
        return Some(format!(
            "'{}' cannot be used to build diskless image. Make sure osimage.provmethod is 'netboot'.",
            image.name
        ));
    }
    if image.os.is_empty() || image.arch.is_empty() || image.profile.is_empty() {
        return Some(format!(
            "osimage.osvers, osimage.osarch, osimage.profile and osimage.provmethod must be specified for the image \
             '{}' in the database.",
            image.name
        ));
    }
    if image.pkglist.is_empty() {
        return Some(format!(
            "A .pkglist file must be specified for image '{}' in the linuximage table.",
            image.name
        ));
    }
    for (what, list) in [
        ("pkglist", &image.pkglist),
        ("otherpkglist", &image.otherpkglist),
        ("postinstall_filename", &image.postinstall),
    ] {
        for file in list.split(',').filter(|file| !file.is_empty()) {
            if !session.path(file).exists() {
                return Some(format!("The {what} specified '{file}' does not exist!"));
            }
        }
    }
    None
}

pub(super) fn inner_command(image: &Image, options: &Options, temporary: Option<&str>) -> String {
    let mut out = format!(
        "cd /opt/xcat/share/xcat/netboot/rh; ./genimage -a {} -o {} -p {}",
        image.arch, image.os, image.profile
    );
    let permission = options.permission.as_deref().unwrap_or(&image.permission);
    let mut add = |text: String| {
        out.push(' ');
        out.push_str(&text);
    };
    if !permission.is_empty() {
        add(format!("--permission {permission}"));
    }
    if options.only_initrd {
        add("--onlyinitrd".into());
    }
    add(format!("--srcdir \"{}\" --pkglist {}", image.pkgdir, image.pkglist));
    if !image.otherpkgdir.is_empty() {
        add(format!("--otherpkgdir \"{}\"", image.otherpkgdir));
    }
    if !image.otherpkglist.is_empty() {
        add(format!("--otherpkglist {}", image.otherpkglist));
    }
    if !image.postinstall.is_empty() {
        add(format!("--postinstall \"{}\"", image.postinstall));
    }
    add(format!("--rootimgdir {}", image.rootimgdir));
    if let Some(file) = temporary {
        add(format!("--tempfile {file}"));
    }
    if options.no_update {
        add("--noupdate 1".into());
    }
    add(image.name.clone());
    out
}

/// Is a running build; `log` holds what it printed, which the daemon repeats when it fails.
pub(super) struct Build<'b> {
    image: &'b Image,
    options: &'b Options,
    log: String,
}

/// Is the last line of a build that failed.
pub(super) type Step = io::Result<Result<(), String>>;

const PACKAGES_FAILED: &str = "RPM package manager invocation failed";

impl<'b> Build<'b> {
    pub fn new(image: &'b Image, options: &'b Options) -> Self {
        Build { image, options, log: String::new() }
    }

    fn emit(&mut self, session: &mut Session<'_>, text: &str) {
        self.log.push_str(text);
        session.print(text);
    }

    pub fn run(&mut self, session: &mut Session<'_>) -> Step {
        let _lock = match lock(session, &self.image.rootimg())? {
            Ok(lock) => lock,
            Err(text) => return Ok(Err(text)),
        };
        let tree = session.path(&self.image.rootimg());
        if !self.options.only_initrd {
            fs::create_dir_all(&tree)?;
            if let Err(last) = self.packages(session, &tree)? {
                return Ok(Err(last));
            }
            self.client_files(session, &tree)?;
        }
        self.emit(session, text::DRIVERS);
        if let Err(last) = self.postinstall(session, &tree)? {
            return Ok(Err(last));
        }
        self.initrds(session, &tree)
    }

    fn tool(&self) -> &'static str {
        if self.image.major() >= 8 { "dnf" } else { "yum" }
    }

    fn packages(&mut self, session: &mut Session<'_>, tree: &Path) -> Step {
        let base = read_packages(session, &self.image.pkglist)?;
        let repositories = self.medium_repositories(session);
        let names: Vec<String> = repositories.iter().map(|one| one.name.clone()).collect();
        let command = self.manager_command(&names, "install ", &base);
        self.emit(session, &command);
        session.pause(250);
        let builder = read_line(session.path("/etc/xcat/rehearsal/arch"));
        if builder.is_some_and(|arch| arch != self.image.arch) {
            let tool = self.tool();
            self.emit(session, &format!("sh: 1: {tool}: not found\n"));
            return Ok(Err(PACKAGES_FAILED.into()));
        }
        let userland = session.path(USERLAND);
        if userland.is_dir() && !tree.join("etc/os-release").exists() {
            copy_tree(&userland, tree)?;
        }
        self.emit(session, &text::downloads(&repositories));
        if session.fault("disk-full") {
            self.emit(
                session,
                "Error: Transaction test error:\n  installing package kernel needs 120MB more space on the / \
                 filesystem\n\n",
            );
            return Ok(Err(PACKAGES_FAILED.into()));
        }
        if let Err(last) = self.install(session, tree, &repositories, &base)? {
            return Ok(Err(last));
        }
        self.other_packages(session, tree, repositories)
    }

    fn manager_command(&self, repositories: &[String], action: &str, wanted: &[String]) -> String {
        let tool = self.tool();
        let mut out = format!(
            " {tool} -y -c /tmp/genimage.{}.yum.conf --installroot={}/ --disablerepo=*",
            std::process::id(),
            self.image.rootimg()
        );
        if tool == "dnf" {
            let major = self.image.major();
            out.extend([format!(" --releasever={major} --setopt=module_platform_id=platform:el{major}")]);
        }
        out.extend(repositories.iter().map(|name| format!(" --enablerepo={name}")));
        let quoted = wanted
            .iter()
            .map(|word| if word.starts_with('@') { format!("\"{word}\"") } else { word.clone() });
        out.extend([format!("  {action} {}\n", quoted.collect::<Vec<_>>().join(" "))]);
        out
    }

    /// Returns the repositories of the copied media: every directory with repodata.
    fn medium_repositories(&self, session: &Session<'_>) -> Vec<Repository> {
        let mut found = Vec::new();
        for dir in self.image.pkgdir.split(',').filter(|dir| !dir.is_empty()) {
            let real = session.path(dir);
            let mut candidates = vec![real.clone()];
            if let Ok(entries) = fs::read_dir(&real) {
                let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
                inside.sort();
                candidates.extend(inside);
            }
            for candidate in candidates.into_iter().filter(|path| path.join("repodata/repomd.xml").is_file())
            {
                let name = format!("{}-{}-{}", self.image.os, self.image.arch, found.len());
                if let Ok(repository) = Repository::load(&name, &candidate) {
                    found.push(self.for_arch(repository));
                }
            }
        }
        found
    }

    fn for_arch(&self, mut repository: Repository) -> Repository {
        repository.packages.retain(|package| package.arch == self.image.arch || package.arch == "noarch");
        repository
    }

    fn install(
        &mut self,
        session: &mut Session<'_>,
        tree: &Path,
        repositories: &[Repository],
        wanted: &[String],
    ) -> Step {
        let installed = packages::installed(tree);
        let transaction = packages::resolve(repositories, &installed, wanted);
        let already: String = transaction
            .already
            .iter()
            .map(|name| format!("Package {name} is already installed.\n"))
            .collect();
        self.emit(session, &already);
        if !transaction.missing.is_empty() {
            let lines: String =
                transaction.missing.iter().map(|name| format!("No match for argument: {name}\n")).collect();
            let all = transaction.missing.join(" ");
            self.emit(session, &format!("{lines}Error: Unable to find a match: {all}\n"));
            return Ok(Err(PACKAGES_FAILED.into()));
        }
        self.carry_out(session, tree, &transaction)?;
        Ok(Ok(()))
    }

    fn carry_out(
        &mut self,
        session: &mut Session<'_>,
        tree: &Path,
        transaction: &Transaction<'_>,
    ) -> io::Result<()> {
        self.emit(session, &text::table(transaction));
        if transaction.steps.is_empty() {
            return Ok(());
        }
        session.pause(150);
        let total = transaction.steps.len();
        for (at, (package, _)) in transaction.steps.iter().enumerate() {
            packages::install(tree, package)?;
            self.emit(session, &text::step("Installing", &package.display_name(), at + 1, total));
            session.pause(if total > 20 { 8 } else { 15 });
        }
        self.emit(session, &text::finished(transaction));
        Ok(())
    }

    /// Installs the otherpkgs, then updates what has newer versions there.
    fn other_packages(&mut self, session: &mut Session<'_>, tree: &Path, mut all: Vec<Repository>) -> Step {
        let mut wanted = Vec::new();
        let mut dirs: Vec<String> = Vec::new();
        for list in self.image.otherpkglist.split(',').filter(|list| !list.is_empty()) {
            for word in read_packages(session, list)? {
                let (dir, name) = word.rsplit_once('/').unwrap_or(("", &word));
                let dir = format!("{}/{dir}", self.image.otherpkgdir).trim_end_matches('/').to_string();
                if !dirs.contains(&dir) {
                    dirs.push(dir);
                }
                wanted.push(name.to_string());
            }
        }
        if wanted.is_empty() {
            return Ok(Ok(()));
        }
        let mut names: Vec<String> = all.iter().map(|one| one.name.clone()).collect();
        names.extend((1..=dirs.len()).map(|at| format!("otherpkgs{at}")));
        let command = self.manager_command(&names, "install ", &wanted);
        self.emit(session, &command);
        session.pause(250);
        let mut ignored = Vec::new();
        for (at, dir) in dirs.iter().enumerate() {
            let name = format!("otherpkgs{}", at + 1);
            match Repository::load(&name, &session.path(dir)) {
                Ok(repository) => all.push(self.for_arch(repository)),
                Err(reason) => {
                    self.emit(session, &text::bad_repository(&name, dir, &reason));
                    ignored.push(name);
                }
            }
        }
        if !ignored.is_empty() {
            self.emit(session, &format!("Ignoring repositories: {}\n", ignored.join(", ")));
        }
        if let Err(last) = self.install(session, tree, &all, &wanted)? {
            return Ok(Err(last));
        }
        if !self.options.no_update {
            let transaction = packages::updates(&all, &packages::installed(tree));
            self.carry_out(session, tree, &transaction)?;
        }
        Ok(Ok(()))
    }

    /// Places what the booted node needs to report back.
    fn client_files(&self, session: &Session<'_>, tree: &Path) -> io::Result<()> {
        let dir = resolve_inside(tree, Path::new("/opt/xcat"));
        fs::create_dir_all(&dir)?;
        let script = session.path("/install/postscripts/xcatdsklspost");
        if script.is_file() {
            fs::copy(script, dir.join("xcatdsklspost"))?;
        }
        let start = dir.join("xcatpostinit1");
        fs::write(&start, "#!/bin/sh\n/opt/xcat/xcatdsklspost\n")?;
        fs::set_permissions(&start, fs::Permissions::from_mode(0o755))
    }

    fn postinstall(&mut self, session: &mut Session<'_>, tree: &Path) -> Step {
        for script in self.image.postinstall.split(',').filter(|script| !script.is_empty()) {
            let real = session.path(script);
            if fs::metadata(&real)?.permissions().mode() & 0o111 == 0 {
                return Ok(Err(format!("postinstall script {script} is not executable")));
            }
            let result = Command::new(&real)
                .arg(tree)
                .args([&self.image.os, &self.image.arch, &self.image.profile])
                .env("IMG_ROOTIMGDIR", tree)
                .env("IMG_NAME", &self.image.name)
                .env("IMG_OSVER", &self.image.os)
                .env("IMG_ARCH", &self.image.arch)
                .env("IMG_PROFILE", &self.image.profile)
                .current_dir("/")
                .output();
            let output = match result {
                Ok(output) => output,
                Err(error) => {
                    self.emit(session, &format!("{script}: {error}\n"));
                    return Ok(Err(format!("postinstall script {script} failed")));
                }
            };
            let printed = [output.stdout, output.stderr].concat();
            self.emit(session, &String::from_utf8_lossy(&printed));
            if !output.status.success() {
                return Ok(Err(format!("postinstall script {script} failed")));
            }
        }
        Ok(Ok(()))
    }

    fn initrds(&mut self, session: &mut Session<'_>, tree: &Path) -> Step {
        let boot = resolve_inside(tree, Path::new("/boot/x"));
        let mut kernels: Vec<String> = match boot.parent().map(fs::read_dir) {
            Some(Ok(entries)) => entries
                .flatten()
                .filter_map(|entry| {
                    entry.file_name().to_string_lossy().strip_prefix("vmlinuz-").map(str::to_string)
                })
                .collect(),
            _ => Vec::new(),
        };
        kernels.sort();
        let Some(kernel) = kernels.pop() else {
            return Ok(Err(format!(
                "couldn't find the kernel file matched in {}/boot",
                self.image.rootimg()
            )));
        };
        let dir = session.path(&self.image.rootimgdir);
        let temporary = format!("/tmp/initrd.{}.gz", std::process::id());
        for kind in ["stateless", "statelite"] {
            let (first, second) = text::dracut(&self.image.rootimg(), &temporary, &kernel);
            self.emit(session, &first);
            session.pause(350);
            if session.fault("genimage-fails-late") {
                self.emit(
                    session,
                    "dracut: FAILED: /usr/lib/dracut/dracut-install: No space left in /var/tmp\n",
                );
                return Ok(Err(format!("the initial ramdisk for {kind} could not be generated")));
            }
            let file = dir.join(format!("initrd-{kind}.gz"));
            let open = File::options().create(true).truncate(true).write(true).mode(0o600).open(&file)?;
            let mut gz = GzEncoder::new(open, Compression::fast());
            gz.write_all(format!("{kind} initrd for {kernel}\n").repeat(512).as_bytes())?;
            gz.finish()?;
            self.emit(session, &second);
            self.emit(
                session,
                &format!(
                    "the initial ramdisk for {kind} is generated successfully.\nMove {}{temporary} -> \
                     {}/initrd-{kind}.gz\n",
                    self.image.rootimg(),
                    self.image.rootimgdir
                ),
            );
            session.pause(250);
        }
        if let Some(boot) = boot.parent() {
            fs::copy(boot.join(format!("vmlinuz-{kernel}")), dir.join("kernel"))?;
            fs::set_permissions(dir.join("kernel"), fs::Permissions::from_mode(0o644))?;
        }
        if session.era == Era::Today {
            copy_boot_files(session, self.image)?;
        }
        Ok(Ok(()))
    }
}

/// Copies kernel and initrds to where nodes load them from.
pub(super) fn copy_boot_files(session: &Session<'_>, image: &Image) -> io::Result<()> {
    let target = session.path(&format!("/tftpboot/xcat/osimage/{}", image.name));
    fs::create_dir_all(&target)?;
    for name in ["kernel", "initrd-stateless.gz", "initrd-statelite.gz"] {
        let source = session.path(&format!("{}/{name}", image.rootimgdir));
        if source.exists() {
            let to = target.join(name);
            fs::copy(source, &to)?;
            fs::set_permissions(to, fs::Permissions::from_mode(0o644))?;
        }
    }
    Ok(())
}
