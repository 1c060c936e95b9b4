//! Package files, repositories and the list of what is installed: the smallest model that dnf, yum and rpm need.
//!
//! A package file is JSON with the real naming (`NAME-VERSION-RELEASE.ARCH.rpm`). A repository is a directory with
//! `repodata/repomd.xml`, which names the list of packages and its digest. The installed packages of a tree stand in
//! `var/lib/rpm/packages`, one per line, so that a shell script can read them.

use super::archive::resolve_inside;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Package {
    pub name: String,
    #[serde(default)]
    pub epoch: u32,
    pub version: String,
    pub release: String,
    pub arch: String,
    #[serde(default)]
    pub requires: Vec<String>,
    #[serde(default)]
    pub groups: Vec<String>,
    #[serde(default)]
    pub files: Vec<PackageFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PackageFile {
    pub path: String,
    pub mode: u32,
    #[serde(default)]
    pub content: String,
    /// The target when the entry is a symbolic link.
    #[serde(default)]
    pub link: Option<String>,
    /// A configuration file: an existing one is kept.
    #[serde(default)]
    pub config: bool,
}

impl PackageFile {
    pub fn new(path: &str, mode: u32, content: impl Into<String>) -> Self {
        PackageFile { path: path.into(), mode, content: content.into(), link: None, config: false }
    }

    pub fn config(path: &str, content: impl Into<String>) -> Self {
        PackageFile { config: true, ..Self::new(path, 0o644, content) }
    }

    pub fn link(path: &str, target: &str) -> Self {
        PackageFile { link: Some(target.into()), ..Self::new(path, 0o777, "") }
    }
}

impl Package {
    pub fn file_name(&self) -> String {
        format!("{}.rpm", self.full_name())
    }

    /// Returns `NAME-VERSION-RELEASE.ARCH`.
    pub fn full_name(&self) -> String {
        format!("{}-{}-{}.{}", self.name, self.version, self.release, self.arch)
    }

    /// Returns the full name as dnf prints it, with the epoch when there is one.
    pub fn display_name(&self) -> String {
        match self.epoch {
            0 => self.full_name(),
            epoch => format!("{}-{epoch}:{}-{}.{}", self.name, self.version, self.release, self.arch),
        }
    }

    /// Returns `[EPOCH:]VERSION-RELEASE`.
    pub fn display_version(&self) -> String {
        match self.epoch {
            0 => format!("{}-{}", self.version, self.release),
            epoch => format!("{epoch}:{}-{}", self.version, self.release),
        }
    }

    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn is_newer_than(&self, other: &Package) -> bool {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare_versions(&self.version, &other.version))
            .then_with(|| compare_versions(&self.release, &other.release))
            == Ordering::Greater
    }
}

/// Compares versions the way rpm does: runs of digits as numbers, runs of letters as text.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let (a, b) = (runs(a), runs(b));
    for (x, y) in a.iter().zip(&b) {
        let order = match (x.parse::<u64>(), y.parse::<u64>()) {
            (Ok(x), Ok(y)) => x.cmp(&y),
            (Ok(_), Err(_)) => Ordering::Greater,
            (Err(_), Ok(_)) => Ordering::Less,
            (Err(_), Err(_)) => x.cmp(y),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

fn runs(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            match out.last_mut() {
                Some(run) if last.is_ascii_alphanumeric() && last.is_ascii_digit() == c.is_ascii_digit() => {
                    run.push(c)
                }
                _ => out.push(c.to_string()),
            }
        }
        last = c;
    }
    out
}

/// Is one line of a repository's list.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listed {
    href: String,
    sha256: String,
    size: u64,
}

/// Is a readable repository.
pub(super) struct Repository {
    pub name: String,
    pub packages: Vec<Package>,
    /// Bytes of metadata, shown in the download lines.
    pub size: u64,
}

/// Makes `repodata` for the packages of `dir` and returns how many there are.
pub(super) fn create_repo(dir: &Path) -> io::Result<usize> {
    let mut listed = Vec::new();
    for name in super::archive::walk(dir)? {
        if name.extension().is_none_or(|extension| extension != "rpm") {
            continue;
        }
        let bytes = fs::read(dir.join(&name))?;
        listed.push(Listed {
            href: name.to_string_lossy().into_owned(),
            sha256: hex(&Sha256::digest(&bytes)),
            size: bytes.len() as u64,
        });
    }
    let text = serde_json::to_vec_pretty(&listed)?;
    let digest = hex(&Sha256::digest(&text));
    let repodata = dir.join("repodata");
    if repodata.is_dir() {
        fs::remove_dir_all(&repodata)?;
    }
    fs::create_dir_all(&repodata)?;
    let href = format!("repodata/{digest}-primary.json");
    fs::write(dir.join(&href), &text)?;
    fs::write(
        repodata.join("repomd.xml"),
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\n  \
             <data type=\"primary\">\n    <checksum type=\"sha256\">{digest}</checksum>\n    \
             <location href=\"{href}\"/>\n    <size>{}</size>\n  </data>\n</repomd>\n",
            text.len()
        ),
    )?;
    Ok(listed.len())
}

impl Repository {
    /// Reads a repository; the error is what dnf would say about its metadata.
    pub fn load(name: &str, dir: &Path) -> Result<Repository, String> {
        let missing =
            || "Cannot download repomd.xml: Cannot download repodata/repomd.xml: All mirrors were tried";
        let text = fs::read_to_string(dir.join("repodata/repomd.xml")).map_err(|_| missing().to_string())?;
        let between = |from: &str, to: &str| -> Option<String> {
            let start = text.find(from)? + from.len();
            Some(text[start..start + text[start..].find(to)?].to_string())
        };
        let href = between("href=\"", "\"").unwrap_or_default();
        let digest = between("sha256\">", "<").unwrap_or_default();
        let list = fs::read(dir.join(&href))
            .map_err(|_| format!("Cannot download {href}: All mirrors were tried"))?;
        if hex(&Sha256::digest(&list)) != digest {
            return Err(format!("Downloading successful, but checksum doesn't match: {href}"));
        }
        let listed: Vec<Listed> = serde_json::from_slice(&list).map_err(|error| error.to_string())?;
        let mut packages = Vec::new();
        for one in listed {
            let bytes = fs::read(dir.join(&one.href)).map_err(|_| format!("Cannot download {}", one.href))?;
            if hex(&Sha256::digest(&bytes)) != one.sha256 {
                return Err(format!("Downloading successful, but checksum doesn't match: {}", one.href));
            }
            packages.push(
                serde_json::from_slice(&bytes).map_err(|_| format!("{}: not an rpm package", one.href))?,
            );
        }
        Ok(Repository { name: name.into(), packages, size: text.len() as u64 + list.len() as u64 })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Is what an install or update would do.
#[derive(Default)]
pub(super) struct Transaction<'r> {
    /// New and upgraded packages with their repository, requirements first.
    pub steps: Vec<(&'r Package, &'r str)>,
    /// Those of `steps` that were asked for by name.
    pub asked: BTreeSet<String>,
    pub already: Vec<String>,
    pub missing: Vec<String>,
}

/// Works out what installing `wanted` needs. Words may be packages, `name.arch`, `@groups` or `-exclusions`.
pub(super) fn resolve<'r>(
    repositories: &'r [Repository],
    installed: &[Package],
    wanted: &[String],
) -> Transaction<'r> {
    let mut transaction = Transaction::default();
    let excluded: Vec<&str> = wanted.iter().filter_map(|word| word.strip_prefix('-')).collect();
    for word in wanted.iter().filter(|word| !word.starts_with('-')) {
        if let Some(group) = word.strip_prefix('@') {
            let members: Vec<&str> = repositories
                .iter()
                .flat_map(|repository| &repository.packages)
                .filter(|package| package.groups.iter().any(|one| one == group))
                .map(|package| package.name.as_str())
                .filter(|name| !excluded.contains(name))
                .collect();
            for name in members {
                add(repositories, installed, name, false, &mut transaction);
            }
        } else if let Some(found) = best(repositories, word) {
            let name = found.0.name.as_str();
            match installed.iter().find(|one| one.name == name) {
                Some(have) if !found.0.is_newer_than(have) => transaction.already.push(have.display_name()),
                _ => add(repositories, installed, name, true, &mut transaction),
            }
        } else {
            transaction.missing.push(word.clone());
        }
    }
    transaction
}

/// Works out which installed packages have newer versions.
pub(super) fn updates<'r>(repositories: &'r [Repository], installed: &[Package]) -> Transaction<'r> {
    let mut transaction = Transaction::default();
    for have in installed {
        if best(repositories, &have.name).is_some_and(|(package, _)| package.is_newer_than(have)) {
            add(repositories, installed, &have.name, true, &mut transaction);
        }
    }
    transaction
}

fn best<'r>(repositories: &'r [Repository], word: &str) -> Option<(&'r Package, &'r str)> {
    let all = repositories
        .iter()
        .flat_map(|repository| repository.packages.iter().map(|package| (package, repository.name.as_str())));
    let matching = all
        .filter(|(package, _)| package.name == word || format!("{}.{}", package.name, package.arch) == word);
    matching.reduce(|best, next| if next.0.is_newer_than(best.0) { next } else { best })
}

fn add<'r>(
    repositories: &'r [Repository],
    installed: &[Package],
    name: &str,
    asked: bool,
    transaction: &mut Transaction<'r>,
) {
    if transaction.steps.iter().any(|(package, _)| package.name == name) {
        if asked {
            transaction.asked.insert(name.to_string());
        }
        return;
    }
    let Some((package, repository)) = best(repositories, name) else { return };
    if installed.iter().any(|have| have.name == name && !package.is_newer_than(have)) {
        return;
    }
    // The package is entered first, so that circular requirements end, and then moved behind its requirements.
    transaction.steps.push((package, repository));
    for required in &package.requires {
        add(repositories, installed, required, false, transaction);
    }
    if let Some(at) = transaction.steps.iter().position(|(one, _)| one.name == name) {
        let step = transaction.steps.remove(at);
        transaction.steps.push(step);
    }
    if asked {
        transaction.asked.insert(name.to_string());
    }
}

const LIST: &str = "var/lib/rpm/packages";

/// Returns the installed packages of a tree.
pub(super) fn installed(tree: &Path) -> Vec<Package> {
    let text = fs::read_to_string(resolve_inside(tree, Path::new(LIST))).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [name, epoch, version, release, arch] = words[..] else { return None };
            Some(Package {
                name: name.into(),
                epoch: epoch.parse().ok()?,
                version: version.into(),
                release: release.into(),
                arch: arch.into(),
                requires: Vec::new(),
                groups: Vec::new(),
                files: Vec::new(),
            })
        })
        .collect()
}

/// Lays a package's files into a tree and notes it as installed.
pub(super) fn install(tree: &Path, package: &Package) -> io::Result<()> {
    let upgrade = installed(tree).iter().any(|one| one.name == package.name);
    for file in &package.files {
        let target = resolve_inside(tree, Path::new(&file.path));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let there = fs::symlink_metadata(&target).is_ok();
        let is_wants_link =
            file.link.is_some() && (file.path.contains(".wants/") || file.path.contains("/rc.d/rc"));
        // An upgrade enables nothing that somebody has switched off.
        if (there && file.config) || (upgrade && is_wants_link) {
            continue;
        }
        if there && !target.is_dir() {
            fs::remove_file(&target)?;
        }
        match &file.link {
            Some(link) => {
                if fs::symlink_metadata(&target).is_err() {
                    symlink(link, &target)?;
                }
            }
            None => {
                fs::write(&target, &file.content)?;
                fs::set_permissions(&target, fs::Permissions::from_mode(file.mode))?;
            }
        }
    }
    let mut all = installed(tree);
    all.retain(|one| one.name != package.name);
    all.push(package.clone());
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let lines: Vec<String> = all
        .iter()
        .map(|one| format!("{} {} {} {} {}\n", one.name, one.epoch, one.version, one.release, one.arch))
        .collect();
    let list = resolve_inside(tree, Path::new(LIST));
    if let Some(parent) = list.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(list, lines.concat())
}

/// Makes `xcat-core-VERSION-linux.tar.gz` and `xcat-dep-VERSION-linux.tar.gz` in `dir`, as downloads look.
pub fn write_xcat_tarballs(dir: &Path, version: &str) -> io::Result<(PathBuf, PathBuf)> {
    fs::create_dir_all(dir)?;
    let (core, dep) = super::stock::xcat_repositories(version);
    let core_file = dir.join(format!("xcat-core-{version}-linux.tar.gz"));
    let dep_file = dir.join(format!("xcat-dep-{version}-linux.tar.gz"));
    for (file, top, repositories) in [(&core_file, "xcat-core", core), (&dep_file, "xcat-dep", dep)] {
        let work = tempfile::tempdir_in(dir)?;
        for (inside, packages) in repositories {
            let repository = work.path().join(top).join(inside);
            fs::create_dir_all(&repository)?;
            for package in packages {
                fs::write(repository.join(package.file_name()), package.to_bytes()?)?;
            }
            create_repo(&repository)?;
        }
        let mut builder = tar::Builder::new(GzEncoder::new(fs::File::create(file)?, Compression::fast()));
        builder.mode(tar::HeaderMode::Deterministic);
        builder.append_dir_all(top, work.path().join(top))?;
        builder.into_inner()?.finish()?;
    }
    Ok((core_file, dep_file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, requires: &[&str]) -> Package {
        Package {
            name: name.into(),
            epoch: 0,
            version: version.into(),
            release: "1.el9".into(),
            arch: "noarch".into(),
            requires: requires.iter().map(|name| (*name).to_string()).collect(),
            groups: Vec::new(),
            files: vec![PackageFile::new(&format!("/usr/share/doc/{name}/README"), 0o644, version)],
        }
    }

    #[test]
    fn versions_compare_as_rpm_does() {
        for (a, b, expect) in [
            ("2.17.0", "2.17.1", Ordering::Less),
            ("2.9", "2.10", Ordering::Less),
            ("snap202411131111", "snap202506010101", Ordering::Less),
            ("1.0", "1.0", Ordering::Equal),
        ] {
            assert_eq!(compare_versions(a, b), expect, "{a} {b}");
        }
    }

    #[test]
    fn install_then_update_and_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("repo");
        fs::create_dir_all(&repo).unwrap();
        for one in [package("a", "1", &["b"]), package("b", "1", &["a"]), package("c", "1", &[])] {
            fs::write(repo.join(one.file_name()), one.to_bytes().unwrap()).unwrap();
        }
        assert!(Repository::load("r", &repo).is_err(), "no repodata");
        assert_eq!(create_repo(&repo).unwrap(), 3);
        let repositories = [Repository::load("r", &repo).unwrap()];
        let tree = dir.path().join("tree");
        let transaction = resolve(&repositories, &[], &["a".into(), "nosuch".into()]);
        assert_eq!(transaction.missing, ["nosuch"]);
        let names: Vec<&str> = transaction.steps.iter().map(|(package, _)| package.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        for (one, _) in &transaction.steps {
            install(&tree, one).unwrap();
        }
        let newer = package("a", "2", &[]);
        fs::write(repo.join(newer.file_name()), newer.to_bytes().unwrap()).unwrap();
        create_repo(&repo).unwrap();
        let repositories = [Repository::load("r", &repo).unwrap()];
        let steps = updates(&repositories, &installed(&tree)).steps;
        assert_eq!(steps.len(), 1);
        assert_eq!(steps[0].0.full_name(), "a-2-1.el9.noarch");
    }
}
