//! What earlier steps of a plan will have done to a host, as later steps have to see it.
//!
//! While planning nothing is written, so probes show the host as it is now. A [`World`] remembers what the steps before
//! will change there. A module takes part in two places: [`Prediction::touches`](super::Prediction) says what its change
//! leaves behind, and its `plan` asks the call's world ([`Call::foreseen_file`](super::Call) and its kin) about each thing
//! that it looked at. What cannot be told is a [`Failure::unknown`](super::Failure), never a guess. Outside of plans the
//! world is empty and every question is answered with "untouched".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Failure;
use super::sh::{FileKind, Look, Stat};
use crate::value::Unknown;

/// A thing on a host that a change leaves different, and how.
#[derive(Clone, Debug, PartialEq)]
pub enum Touch {
    File {
        path: String,
        after: FileAfter,
    },
    /// Anything at or below a path; what exactly is not known before.
    Tree {
        path: String,
    },
    Package {
        name: String,
        installed: bool,
    },
    /// Unset members keep what the host shows.
    Service {
        name: String,
        running: Option<bool>,
        enabled: Option<bool>,
    },
    User {
        name: String,
        exists: bool,
        uid: Option<u32>,
    },
    Group {
        name: String,
        exists: bool,
        gid: Option<u32>,
    },
    /// A named thing of another kind.
    Thing(Thing),
    /// A row of a table, such as the definition of an osimage; nothing when it is removed.
    Row {
        thing: Thing,
        row: Option<Row>,
    },
    /// A command that may have changed anything.
    Anything,
}

/// A named thing that is no file, such as `osimage compute`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    pub kind: &'static str,
    pub name: String,
}

/// Attributes by name.
pub type Row = BTreeMap<String, String>;

/// What a module's call looks at and, if it changes something, what it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relations {
    pub reads: Vec<Thing>,
    pub writes: Vec<Thing>,
}

/// What stands at a path after a change.
#[derive(Clone, Debug, PartialEq)]
pub enum FileAfter {
    Absent,
    File { stat: Stat, body: Body },
    Dir(Stat),
    Link(Stat),
}

/// The content of a file after a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Bytes(Arc<[u8]>),
    Digest {
        sha256: String,
    },
    /// What the probe shows: only attributes change.
    AsFound,
    /// It will be there, but what it holds only shows then.
    Unknown,
}

/// An answer of a [`World`].
#[derive(Clone, Debug, PartialEq)]
pub enum Known<T> {
    /// No earlier step has to do with it: what the probe showed counts.
    Untouched,
    Known(T),
    /// An earlier step has to do with it, but what it leaves is not known before.
    Unknown(Unknown),
}

/// The changes that earlier steps of a plan make on one host, oldest first.
#[derive(Clone, Debug, Default)]
pub struct World {
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Change {
    step: Arc<str>,
    touch: Touch,
    certain: Certainty,
}

/// Whether a change that a step announces will surely be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    Certain,
    /// The step itself depends on something that is not known yet.
    Maybe,
}

static NONE: World = World { changes: Vec::new() };

impl World {
    /// Returns the world of a run that is no plan.
    pub fn none() -> &'static World {
        &NONE
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Remembers what a step will do; `step` names it in the causes of later unknowns.
    pub fn add(&mut self, step: &Arc<str>, touches: impl IntoIterator<Item = Touch>, certain: Certainty) {
        let changes = touches.into_iter().map(|touch| Change { step: step.clone(), touch, certain });
        self.changes.extend(changes);
    }

    /// Returns what will stand at a path.
    pub fn file(&self, path: &str) -> Known<FileAfter> {
        let path = plain(path);
        for change in self.changes.iter().rev() {
            match &change.touch {
                Touch::File { path: touched, after } => {
                    let touched = plain(touched);
                    if touched == path {
                        return change.answer(after.clone());
                    }
                    if is_below(&path, &touched) {
                        match after {
                            FileAfter::Absent => return change.answer(FileAfter::Absent),
                            FileAfter::Dir(_) => {}
                            FileAfter::File { .. } | FileAfter::Link(_) => return change.unknown(),
                        }
                    }
                }
                Touch::Tree { path: touched } if is_at_or_below(&path, &plain(touched)) => {
                    return change.unknown();
                }
                _ => {}
            }
        }
        Known::Untouched
    }

    /// Returns whether a folder will be there because something is made in it.
    pub fn makes_folder(&self, path: &str) -> bool {
        let path = plain(path);
        self.changes.iter().rev().find_map(|change| match &change.touch {
            Touch::File { path: touched, after: FileAfter::Absent } if plain(touched) == path => Some(false),
            Touch::File { path: touched, after: FileAfter::Dir(_) } if plain(touched) == path => Some(true),
            Touch::File { path: touched, after } if is_below(&plain(touched), &path) => {
                (*after != FileAfter::Absent).then_some(true)
            }
            Touch::Tree { path: touched } if is_at_or_below(&plain(touched), &path) => Some(true),
            _ => None,
        }) == Some(true)
    }

    /// Returns why what lies at or below a path is not what a probe shows; nothing when no step touches it.
    pub fn tree(&self, path: &str) -> Option<Unknown> {
        let path = plain(path);
        self.changes.iter().rev().find_map(|change| match &change.touch {
            Touch::File { path: touched, .. } | Touch::Tree { path: touched } => {
                let touched = plain(touched);
                (is_at_or_below(&touched, &path) || is_below(&path, &touched)).then(|| change.cause())
            }
            _ => None,
        })
    }

    /// Returns the files right in a folder that steps have to do with.
    pub fn files_in(&self, dir: &str) -> BTreeSet<&str> {
        let dir = plain(dir);
        let inside = |path: &str| plain(path).rsplit_once('/').is_some_and(|(above, _)| above == dir);
        let files = self.changes.iter().filter_map(|change| match &change.touch {
            Touch::File { path, .. } if inside(path) => Some(path.as_str()),
            _ => None,
        });
        files.collect()
    }

    /// Returns whether a package will be installed.
    pub fn package(&self, name: &str) -> Known<bool> {
        self.named(|touch| match touch {
            Touch::Package { name: touched, installed } if touched == name => Some(*installed),
            _ => None,
        })
    }

    /// Returns which step installs packages, for what comes with packages that nobody names.
    pub fn installs(&self) -> Option<Unknown> {
        self.because(|touch| matches!(touch, Touch::Package { installed: true, .. }))
    }

    /// Returns whether a service will run and be enabled.
    pub fn service(&self, name: &str) -> Known<(Option<bool>, Option<bool>)> {
        let bare = |name: &str| name.strip_suffix(".service").unwrap_or(name).to_string();
        let (mut runs, mut starts, mut any) = (None, None, false);
        for change in self.changes.iter().rev() {
            if let Touch::Service { name: touched, running, enabled } = &change.touch
                && bare(touched) == bare(name)
            {
                if change.certain == Certainty::Maybe {
                    return change.unknown();
                }
                any = true;
                runs = runs.or(*running);
                starts = starts.or(*enabled);
            }
        }
        if any { Known::Known((runs, starts)) } else { Known::Untouched }
    }

    /// Returns whether a user will exist, with its number as far as known.
    pub fn user(&self, name: &str) -> Known<(bool, Option<u32>)> {
        self.named(|touch| match touch {
            Touch::User { name: touched, exists, uid } if touched == name => Some((*exists, *uid)),
            _ => None,
        })
    }

    /// Returns whether a group will exist, with its number as far as known.
    pub fn group(&self, name: &str) -> Known<(bool, Option<u32>)> {
        self.named(|touch| match touch {
            Touch::Group { name: touched, exists, gid } if touched == name => Some((*exists, *gid)),
            _ => None,
        })
    }

    /// Returns a row of a table as it will be.
    pub fn row(&self, thing: &Thing) -> Known<Option<Row>> {
        self.named(|touch| match touch {
            Touch::Row { thing: touched, row } if touched == thing => Some(row.clone()),
            _ => None,
        })
    }

    /// Returns the rows of a kind that will surely be other ones, by name.
    pub fn rows(&self, kind: &str) -> BTreeMap<String, Option<Row>> {
        let named = |change: &Change| match &change.touch {
            Touch::Row { thing, row } if thing.kind == kind && change.certain == Certainty::Certain => {
                Some((thing.name.clone(), row.clone()))
            }
            _ => None,
        };
        self.changes.iter().filter_map(named).collect()
    }

    /// Returns why a named thing is not what a probe shows.
    pub fn thing(&self, thing: &Thing) -> Option<Unknown> {
        let change = self.changes.iter().rev().find(|change| match &change.touch {
            Touch::Thing(touched) | Touch::Row { thing: touched, .. } => touched == thing,
            _ => false,
        })?;
        let may = if change.certain == Certainty::Maybe { "may change" } else { "changes" };
        let what = format!("{} {}", thing.kind, thing.name);
        Some(Unknown { cause: format!("\"{}\" {may} the {} first", change.step, what.trim_end()).into() })
    }

    /// Returns the last step whose effect nobody can know before: what fails after it may succeed in the real run.
    pub fn opaque(&self) -> Option<Unknown> {
        self.because(|touch| matches!(touch, Touch::Anything))
    }

    fn named<T>(&self, find: impl Fn(&Touch) -> Option<T>) -> Known<T> {
        let found = self.changes.iter().rev().find_map(|change| Some((change, find(&change.touch)?)));
        found.map_or(Known::Untouched, |(change, value)| change.answer(value))
    }

    fn because(&self, find: impl Fn(&Touch) -> bool) -> Option<Unknown> {
        self.changes.iter().rev().find(|change| find(&change.touch)).map(Change::cause)
    }
}

impl Change {
    fn cause(&self) -> Unknown {
        let may = if self.certain == Certainty::Maybe { "may change" } else { "changes" };
        Unknown { cause: format!("\"{}\" {may} it first", self.step).into() }
    }

    fn answer<T>(&self, value: T) -> Known<T> {
        match self.certain {
            Certainty::Certain => Known::Known(value),
            Certainty::Maybe => Known::Unknown(self.cause()),
        }
    }

    fn unknown<T>(&self) -> Known<T> {
        Known::Unknown(self.cause())
    }
}

impl FileAfter {
    /// Returns the attributes; nothing when there is no file.
    pub fn stat(&self) -> Option<&Stat> {
        match self {
            FileAfter::Absent => None,
            FileAfter::File { stat, .. } | FileAfter::Dir(stat) | FileAfter::Link(stat) => Some(stat),
        }
    }

    /// Returns the content of a file, `found` being what the probe showed; nothing when there is no file. A content that is
    /// not known before is a failure that says so.
    pub fn content(&self, path: &str, found: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            FileAfter::File { body: Body::Bytes(bytes), .. } => Ok(Some(bytes.to_vec())),
            FileAfter::File { body: Body::AsFound, .. } => Ok(found),
            FileAfter::File { .. } | FileAfter::Link(_) => {
                let cause = format!("what {path} holds is not known before it is made");
                Err(Failure::unknown(Unknown { cause: cause.into() }))
            }
            FileAfter::Absent | FileAfter::Dir(_) => Ok(None),
        }
    }

    /// Returns the sha256 of a file's content as far as it is known, `found` being what the probe showed.
    pub fn sha256(&self, found: Option<String>) -> Option<String> {
        match self {
            FileAfter::File { body: Body::AsFound, .. } => found,
            FileAfter::File { body: Body::Bytes(bytes), .. } => Some(super::local::sha256(bytes)),
            FileAfter::File { body: Body::Digest { sha256 }, .. } => Some(sha256.clone()),
            _ => None,
        }
    }

    /// Returns a file with this content.
    pub fn file(stat: Stat, bytes: &[u8]) -> Self {
        let stat = Stat { kind: FileKind::File, size: bytes.len() as u64, ..stat };
        FileAfter::File { stat, body: Body::Bytes(bytes.into()) }
    }

    /// Returns what a probe would have looked at.
    pub fn look(&self, before: &Look) -> Look {
        let stat = self.stat().cloned();
        let is_link = matches!(self, FileAfter::Link(_));
        Look {
            umask: before.umask,
            // Where a link that is yet to be made leads is not looked up.
            file: if is_link { None } else { stat.clone() },
            real: None,
            link: stat,
        }
    }
}

/// Takes slashes away that do not matter.
fn plain(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if !(c == '/' && out.ends_with('/')) {
            out.push(c);
        }
    }
    if out.len() > 1 && out.ends_with('/') {
        out.pop();
    }
    out
}

fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/') || (dir == "/" && !rest.is_empty()))
}

fn is_at_or_below(path: &str, dir: &str) -> bool {
    path == dir || is_below(path, dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(touches: Vec<Touch>) -> World {
        let mut world = World::default();
        world.add(&"install".into(), touches, Certainty::Certain);
        world
    }

    fn text(content: &str) -> FileAfter {
        FileAfter::file(Stat::default(), content.as_bytes())
    }

    #[test]
    fn the_newest_change_of_a_file_counts() {
        let file = |path: &str, after: FileAfter| Touch::File { path: path.into(), after };
        let w = world(vec![file("/etc//a", text("1")), file("/etc/a/", text("2"))]);
        assert_eq!(w.file("/etc/a"), Known::Known(text("2")));
        assert_eq!(w.file("/etc/ab"), Known::Untouched);
        assert!(w.makes_folder("/etc"));
        let w = world(vec![file("/d", FileAfter::Dir(Stat::default())), file("/d/x", FileAfter::Absent)]);
        assert_eq!(w.file("/d/x"), Known::Known(FileAfter::Absent));
        assert_eq!(w.file("/d/y"), Known::Untouched);
        let w = world(vec![file("/d/x", text("1")), file("/d", FileAfter::Absent)]);
        assert_eq!(w.file("/d/x"), Known::Known(FileAfter::Absent));
        assert!(!w.makes_folder("/d"));
    }

    #[test]
    fn what_nobody_can_know_has_a_cause() {
        let mut w = world(vec![Touch::Tree { path: "/opt".into() }]);
        let cause = |known: Known<FileAfter>| match known {
            Known::Unknown(unknown) => unknown.cause.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(cause(w.file("/opt/a")), "\"install\" changes it first");
        assert!(w.tree("/").is_some() && w.tree("/opt/a/b").is_some() && w.tree("/etc").is_none());
        w.add(&"edit".into(), [Touch::File { path: "/etc/f".into(), after: text("x") }], Certainty::Maybe);
        assert_eq!(cause(w.file("/etc/f")), "\"edit\" may change it first");
    }

    #[test]
    fn services_remember_each_side() {
        let service = |running, enabled| Touch::Service { name: "a".into(), running, enabled };
        let w = world(vec![service(Some(true), None), service(None, Some(false))]);
        assert_eq!(w.service("a.service"), Known::Known((Some(true), Some(false))));
        assert_eq!(w.service("b"), Known::Untouched);
    }
}
