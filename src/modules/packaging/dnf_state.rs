//! What rpm knows of the packages that were asked for, and what dnf or yum must be told to do.

use std::cmp::Ordering;

use super::rpmver;
use crate::modules::Failure;
use crate::modules::sh::{Report, q};

/// How rpm prints one package.
pub const FORMAT: &str = "%{NAME}\\t%|EPOCH?{%{EPOCH}}:{0}|\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\n";

/// A package as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    pub text: String,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name, maybe with version, release and architecture.
    Name,
    Pattern,
    /// A file that some package brings.
    Path,
    /// A package file on the target.
    File,
    Url,
    /// A group, an environment or a module's stream.
    Group,
    /// A name with a comparison.
    Demand {
        name: String,
        operator: String,
        version: String,
    },
}

impl Spec {
    pub fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let kind = if text.contains("://") {
            Kind::Url
        } else if text.ends_with(".rpm") {
            Kind::File
        } else if let [name, operator @ ("<" | "<=" | "=" | ">" | ">="), version] = words.as_slice() {
            Kind::Demand {
                name: (*name).to_string(),
                operator: (*operator).to_string(),
                version: (*version).to_string(),
            }
        } else if text.starts_with('/') {
            Kind::Path
        } else if text.starts_with('@') || text.contains('/') {
            Kind::Group
        } else if text.contains(['*', '?', '[']) {
            Kind::Pattern
        } else {
            Kind::Name
        };
        Spec { text: text.to_string(), kind }
    }

    /// Returns the name without a demand.
    pub fn name(&self) -> &str {
        match &self.kind {
            Kind::Demand { name, .. } => name,
            _ => &self.text,
        }
    }

    /// Returns the word for the tool.
    pub fn word(&self) -> String {
        match self.kind {
            Kind::Group if !self.text.starts_with('@') => format!("@{}", self.text),
            _ => self.text.clone(),
        }
    }
}

/// Returns the lines that ask rpm about each package.
pub fn look_script(specs: &[Spec], root: &str) -> String {
    let mut script = format!(
        "xp_rpm() {{ LC_ALL=C rpm --root {} \"$@\" 2>/dev/null; }}\n\
         xp_have() {{ sed \"s/^/have $1 /\"; }}\nxp_format='{FORMAT}'\n",
        q(if root.is_empty() { "/" } else { root })
    );
    for (index, spec) in specs.iter().enumerate() {
        match &spec.kind {
            Kind::Name => {
                // rpm does not take the epoch between name and version.
                let plain = without_epoch(&spec.text);
                add!(
                    script,
                    "xp_s={}\nif xp_o=$(xp_rpm -q --qf \"$xp_format\" -- \"$xp_s\") || xp_o=$(xp_rpm -q --whatprovides --qf \"$xp_format\" -- \"$xp_s\"); then printf '%s\\n' \"$xp_o\" | xp_have {index}\n\
                     else while :; do case $xp_s in *-*) xp_s=${{xp_s%-*}} ;; *) break ;; esac; if xp_o=$(xp_rpm -q --qf \"$xp_format\" -- \"$xp_s\"); then printf '%s\\n' \"$xp_o\" | sed 's/^/other {index} /'; break; fi; done; fi\n",
                    q(&plain)
                );
            }
            Kind::Pattern => {
                add!(script, "xp_rpm -qa --qf \"$xp_format\" {} | xp_have {index}\n", q(&spec.text));
            }
            Kind::Path => {
                add!(
                    script,
                    "xp_o=$(xp_rpm -qf --qf \"$xp_format\" -- {}) && printf '%s\\n' \"$xp_o\" | xp_have {index}\n",
                    q(&spec.text)
                );
            }
            Kind::Demand { name, .. } => {
                add!(
                    script,
                    "xp_o=$(xp_rpm -q --qf \"$xp_format\" -- {}) && printf '%s\\n' \"$xp_o\" | xp_have {index}\n",
                    q(name)
                );
            }
            Kind::File => {
                add!(
                    script,
                    "xp_o=$(LC_ALL=C rpm -qp --nosignature --nodigest --qf \"$xp_format\" -- {0} 2>/dev/null) && {{ printf '%s\\n' \"$xp_o\" | sed 's/^/file {index} /'\n\
                     xp_o=$(xp_rpm -q --qf \"$xp_format\" -- \"${{xp_o%%\t*}}\") && printf '%s\\n' \"$xp_o\" | xp_have {index}; }}\n",
                    q(&spec.text)
                );
            }
            Kind::Url | Kind::Group => {}
        }
    }
    // What is not installed is no failure of the look.
    script + ":\n"
}

fn without_epoch(text: &str) -> String {
    match text.split_once(':') {
        Some((before, after)) => match before.rsplit_once('-') {
            Some((name, epoch)) if !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) => {
                format!("{name}-{after}")
            }
            _ => text.to_string(),
        },
        None => text.to_string(),
    }
}

/// An installed package, or one in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    pub epoch: String,
    pub version: String,
    pub release: String,
    pub arch: String,
}

impl Package {
    pub fn parse(line: &str) -> Option<Self> {
        match line.split('\t').collect::<Vec<_>>().as_slice() {
            [name, epoch, version, release, arch] => Some(Package {
                name: (*name).to_string(),
                epoch: (*epoch).to_string(),
                version: (*version).to_string(),
                release: (*release).to_string(),
                arch: (*arch).to_string(),
            }),
            _ => None,
        }
    }

    fn evr(&self) -> String {
        format!("{}:{}-{}", self.epoch, self.version, self.release)
    }
}

/// What rpm told.
#[derive(Debug, Default)]
pub struct Look {
    have: Vec<(usize, Package)>,
    other: Vec<(usize, Package)>,
    files: Vec<(usize, Package)>,
}

impl Look {
    pub fn of(report: &Report) -> Self {
        let read = |tag: &str| {
            report
                .all(tag)
                .filter_map(|line| {
                    let (index, rest) = line.split_once(' ')?;
                    Some((index.parse().ok()?, Package::parse(rest)?))
                })
                .collect()
        };
        Look { have: read("have"), other: read("other"), files: read("file") }
    }

    fn have(&self, index: usize) -> impl Iterator<Item = &Package> {
        self.have.iter().filter(move |(i, _)| *i == index).map(|(_, p)| p)
    }

    /// Whether anything of it is installed.
    pub fn is_there(&self, index: usize) -> bool {
        self.have(index).next().is_some()
    }

    /// Returns the names of what is installed of it.
    pub fn names(&self, index: usize) -> Vec<String> {
        let mut names: Vec<String> = self.have(index).map(|p| p.name.clone()).collect();
        names.dedup();
        names
    }

    /// Tells how a demand for presence stands.
    pub fn presence(&self, index: usize, spec: &Spec) -> Presence {
        let newer =
            |found: Ordering| if found == Ordering::Greater { Presence::Newer } else { Presence::Missing };
        match &spec.kind {
            Kind::Demand { operator, version, .. } => {
                let mut presence = Presence::Missing;
                for package in self.have(index) {
                    let order = rpmver::compare(&package.evr(), &with_epoch(version, &package.epoch));
                    let fits = match operator.as_str() {
                        "<" => order == Ordering::Less,
                        "<=" => order != Ordering::Greater,
                        "=" => order == Ordering::Equal,
                        ">" => order == Ordering::Greater,
                        _ => order != Ordering::Less,
                    };
                    if fits {
                        return Presence::Fits;
                    }
                    if presence == Presence::Missing && !operator.starts_with('>') {
                        presence = match order {
                            Ordering::Less => Presence::Missing,
                            _ => Presence::Newer,
                        };
                    }
                }
                presence
            }
            Kind::File => {
                let Some((_, file)) = self.files.iter().find(|(i, _)| *i == index) else {
                    return Presence::Unclear;
                };
                match self.have(index).find(|p| p.arch == file.arch) {
                    Some(p) if p == file => Presence::Fits,
                    Some(p) => newer(rpmver::compare(&p.evr(), &file.evr())),
                    None => Presence::Missing,
                }
            }
            Kind::Url | Kind::Group | Kind::Pattern => Presence::Unclear,
            Kind::Name | Kind::Path if self.is_there(index) => Presence::Fits,
            Kind::Path => Presence::Missing,
            Kind::Name => {
                let Some((_, other)) = self.other.iter().find(|(i, _)| *i == index) else {
                    return Presence::Missing;
                };
                let plain = without_epoch(&spec.text);
                let rest = plain.strip_prefix(&other.name).and_then(|r| r.strip_prefix('-'));
                match rest.filter(|r| r.starts_with(|c: char| c.is_ascii_digit())) {
                    Some(version) => {
                        let version = version.strip_suffix(&format!(".{}", other.arch)).unwrap_or(version);
                        newer(rpmver::compare(&other.evr(), &with_epoch(version, &other.epoch)))
                    }
                    None => Presence::Missing,
                }
            }
        }
    }
}

/// A version without an epoch means the one that the installed package has.
fn with_epoch(version: &str, epoch: &str) -> String {
    if version.contains(':') { version.to_string() } else { format!("{epoch}:{version}") }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Fits,
    /// Not installed.
    Missing,
    /// A version newer than the one asked for is installed.
    Newer,
    /// Only the tool can tell.
    Unclear,
}

/// Returns the names as the module takes them: lists, with commas in them too.
pub fn names(given: &[String]) -> Result<Vec<Spec>, Failure> {
    let mut names: Vec<&str> = given.iter().filter(|n| !n.contains(',')).map(|n| n.trim()).collect();
    names.extend(given.iter().filter(|n| n.contains(',')).flat_map(|n| n.split(',')).map(str::trim));
    names.retain(|n| !n.is_empty());
    if let Some(name) = names.iter().find(|n| n.contains(' ') && !n.contains(['@', '>', '<', '='])) {
        return Err(Failure::new(
            "It appears that a space separated string of packages was passed in as an argument. To operate on several \
             packages, pass a comma separated string of packages or a list of packages.",
        )
        .with("name", *name));
    }
    Ok(names.into_iter().map(Spec::parse).collect())
}
