//! What a change does to the set of installed packages: lines that go and lines that come, each a name with its
//! version.

use std::collections::BTreeSet;

use crate::modules::{Call, Diff, DiffSide, Failure, Known, Thing, Touch};
use crate::transport::Output;
use crate::value::Map;

/// Prints one line for each package that dpkg has installed; foreign ones with their architecture.
pub const LIST_DPKG: &str = "dpkg-query -W -f='${db:Status-Status} ${Package}:${Architecture} ${Version}\\n' 2>/dev/null | \
     sed -n \"s/^installed //; t kept; d; :kept; s/:all / /; s/:$(dpkg --print-architecture) / /; p\"\n";

/// The differences between two lists of packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetChange {
    gone: BTreeSet<String>,
    come: BTreeSet<String>,
}

impl SetChange {
    /// Compares two lists, one package a line.
    pub fn between(before: &[u8], after: &[u8]) -> Self {
        let lines = |text: &[u8]| -> BTreeSet<String> {
            String::from_utf8_lossy(text).lines().filter(|l| !l.is_empty()).map(str::to_string).collect()
        };
        let (before, after) = (lines(before), lines(after));
        SetChange {
            gone: before.difference(&after).cloned().collect(),
            come: after.difference(&before).cloned().collect(),
        }
    }

    pub fn add(&mut self, name: &str, version: &str) {
        self.come.insert(format!("{name} {version}"));
    }

    pub fn remove(&mut self, name: &str, version: &str) {
        self.gone.insert(format!("{name} {version}"));
    }

    /// One version goes, where there is one, and another comes.
    pub fn replace(&mut self, name: &str, now: Option<&str>, then: Option<&str>) {
        if let Some(now) = now {
            self.remove(name, now);
        }
        if let Some(then) = then {
            self.add(name, then);
        }
    }

    /// Adds another change that follows this one.
    pub fn extend(&mut self, other: SetChange) {
        self.gone.extend(other.gone);
        self.come.extend(other.come);
    }

    pub fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.come.is_empty()
    }

    /// Returns the lines that come.
    pub fn added(&self) -> impl Iterator<Item = &str> {
        self.come.iter().map(String::as_str)
    }

    /// Returns the lines that go.
    pub fn removed(&self) -> impl Iterator<Item = &str> {
        self.gone.iter().map(String::as_str)
    }

    /// Returns what later steps of a plan are to know: names of the packages that come and go.
    pub fn touches(&self) -> Vec<Touch> {
        let names = |lines: &BTreeSet<String>| -> BTreeSet<String> {
            lines.iter().filter_map(|line| line.split([' ', ':']).next()).map(bare_name).collect()
        };
        let (gone, come) = (names(&self.gone), names(&self.come));
        let touch = |name: &String, installed| Touch::Package { name: name.clone(), installed };
        let gone = gone.difference(&come).map(|name| touch(name, false));
        gone.chain(come.iter().map(|name| touch(name, true))).collect()
    }

    /// Returns the difference for people; nothing when there is none.
    pub fn diff(&self) -> Option<Diff> {
        let side = |lines: &BTreeSet<String>| {
            DiffSide::Text(lines.iter().map(|line| format!("{line}\n")).collect::<String>())
        };
        (!self.is_empty()).then(|| Diff {
            before_header: "packages".to_string(),
            after_header: "packages".to_string(),
            before: side(&self.gone),
            after: side(&self.come),
        })
    }
}

/// Takes rpm's architecture off a name.
fn bare_name(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((bare, "noarch" | "x86_64" | "i686" | "i386" | "aarch64" | "ppc64le" | "s390x" | "src")) => bare,
        _ => name,
    }
    .to_string()
}

/// The kind under which plans speak of a host's sources of packages.
const REPOSITORIES: &str = "package repositories";

/// Says that later steps may find packages that are not known yet.
pub fn new_repositories() -> Touch {
    Touch::Thing(Thing { kind: REPOSITORIES, name: String::new() })
}

/// Turns a failure to find a package into "not known before" where an earlier step of the plan adds a repository.
pub fn not_found_yet(call: &Call, failure: Failure) -> Failure {
    let early =
        call.world.thing(&Thing { kind: REPOSITORIES, name: "".into() }).or_else(|| call.world.opaque());
    early.filter(|_| call.check).map_or(failure, Failure::unknown)
}

/// What earlier steps of a plan leave of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// What the probe showed.
    AsSeen,
    Installed,
    Removed,
}

pub fn foreseen(call: &Call, name: &str) -> Result<Foreseen, Failure> {
    match call.world.package(name) {
        Known::Untouched => Ok(Foreseen::AsSeen),
        Known::Known(true) => Ok(Foreseen::Installed),
        Known::Known(false) => Ok(Foreseen::Removed),
        Known::Unknown(unknown) => Err(Failure::unknown(unknown)),
    }
}

/// Puts a tool's outputs into a result.
pub fn put_output(result: &mut Map, output: &Output) {
    result.insert("stdout", text(&output.stdout));
    result.insert("stderr", text(&output.stderr));
}

/// Returns output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        let change = SetChange::between(b"a:all 1\nb:all 1\nc:all 1\n", b"a:all 1\nb:all 2\nd:all 1\n");
        let diff = change.diff().unwrap();
        assert_eq!(diff.before, DiffSide::Text("b:all 1\nc:all 1\n".into()));
        assert_eq!(diff.after, DiffSide::Text("b:all 2\nd:all 1\n".into()));
        assert_eq!(SetChange::between(b"a 1\n", b"a 1\n").diff(), None);
        let touch = |name: &str, installed| Touch::Package { name: name.into(), installed };
        assert_eq!(change.touches(), [touch("c", false), touch("b", true), touch("d", true)]);
    }
}
