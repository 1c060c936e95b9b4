//! `xplay.toml`: what a project demands of plans. Every mistake in it is shown where it is.
//!
//! ```toml
//! [plan.approvals]
//! allowed_signers = "allowed_signers"
//! high = 1
//! disruptive = 2
//!
//! [plan.expiry]
//! usual = "24h"
//! disruptive = "4h"
//! ```

use std::io;
use std::path::Path;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::exit::CliError;
use super::output::Output;
use super::plan::bundle::PROJECT;
use crate::diag::{Diagnostic, Diagnostics, FileId, SourceMap, Span};
use crate::plan::PlanFile;
use crate::plan::model::Risk;
use crate::plan::policy::Policy;
use crate::plan::signers::AllowedSigners;

/// The file's name, in the project's directory.
pub const FILE: &str = "xplay.toml";
/// It is no TOML.
const SYNTAX: &str = "XP0811";
/// A name that means nothing here.
const NAME: &str = "XP0812";
/// A value that makes no sense.
const VALUE: &str = "XP0813";
/// How many people may be demanded.
const MAX_PEOPLE: usize = 100;
const SIGNERS: &str = "allowed_signers";

const RISKS: [Risk; 7] =
    [Risk::None, Risk::Low, Risk::Medium, Risk::High, Risk::Opaque, Risk::Disruptive, Risk::Destructive];

/// Reads the policy of the project in this directory; without a file nothing is demanded.
pub fn load(dir: &Path, out: &Output) -> Result<Policy, CliError> {
    let path = dir.join(FILE);
    let Some(text) = read(&path)? else { return Ok(Policy::default()) };
    for place in [dir, &path] {
        refuse_public(place)?;
    }
    let sources = SourceMap::new();
    let file = sources.add(&path, text.as_str());
    let (policy, found) = parse(file, &text, dir);
    shown(policy, &found, &sources, out)
}

/// Reads the policy for a plan: of the project in this directory, else of the one that the plan was made from, so that
/// calling xplay from elsewhere demands no less.
pub fn load_for(plan: &PlanFile, dir: &Path, out: &Output) -> Result<Policy, CliError> {
    let made_from = plan.created().sources.get(PROJECT).map(Path::new);
    match made_from.filter(|_| !dir.join(FILE).exists()) {
        Some(project) => load(project, out),
        None => load(dir, out),
    }
}

/// Reads the file of allowed signers.
pub fn load_signers(path: &Path, out: &Output) -> Result<AllowedSigners, CliError> {
    let Some(text) = read(path)? else {
        return Err(CliError::cannot(format!("there is no file of allowed signers \"{}\"", path.display()))
            .with_help("it has one line for each key: NAME ssh-ed25519 AAAA..."));
    };
    let sources = SourceMap::new();
    let file = sources.add(path, text.as_str());
    let (signers, all) = AllowedSigners::parse(file, &text, &TimeZone::system());
    let mut found = Diagnostics::new();
    found.extend(all);
    shown(signers, &found, &sources, out)
}

/// Refuses a file or its folder where anybody may change what it demands.
fn refuse_public(place: &Path) -> Result<(), CliError> {
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::metadata(place).map_err(|source| CliError::File {
        action: "look at",
        path: place.to_path_buf(),
        source,
    })?;
    if meta.permissions().mode() & 0o002 == 0 {
        return Ok(());
    }
    Err(CliError::cannot(format!("{FILE} is not trusted: anybody can write to {}", place.display()))
        .with_help(format!("chmod o-w {}", place.display())))
}

fn read(path: &Path) -> Result<Option<String>, CliError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CliError::File { action: "read", path: path.to_path_buf(), source }),
    }
}

fn shown<T>(value: T, found: &Diagnostics, sources: &SourceMap, out: &Output) -> Result<T, CliError> {
    out.diagnostics(sources, found.iter());
    if found.has_errors() { Err(CliError::Project) } else { Ok(value) }
}

/// Takes the file apart; paths in it are relative to `dir`.
fn parse(file: FileId, text: &str, dir: &Path) -> (Policy, Diagnostics) {
    let mut reader = Reader { file, found: Diagnostics::new() };
    let mut policy = Policy::default();
    let root = match DeTable::parse(text) {
        Ok(root) => root,
        Err(e) => {
            let end = text.len()..text.len();
            let span = reader.span(e.span().unwrap_or(end));
            let message = format!("{FILE} is not valid TOML");
            reader.found.push(Diagnostic::error(SYNTAX, message).at(span, e.message().to_string()));
            return (policy, reader.found);
        }
    };
    for (name, value) in root.get_ref() {
        match name.get_ref().as_ref() {
            "plan" => reader.plan(&mut policy, value, dir),
            _ => reader.unknown(name, ["plan"]),
        }
    }
    // Tables come in the order of names.
    reader.found.errors.sort_by_key(|d| d.labels.first().map(|label| label.span.start));
    (policy, reader.found)
}

type Name<'a> = Spanned<std::borrow::Cow<'a, str>>;
type Member<'a> = Spanned<DeValue<'a>>;

struct Reader {
    file: FileId,
    found: Diagnostics,
}

impl Reader {
    fn plan(&mut self, policy: &mut Policy, value: &Member, dir: &Path) {
        for (name, value) in self.table(value) {
            match name.get_ref().as_ref() {
                "approvals" => self.approvals(policy, value, dir),
                "expiry" => self.expiry(policy, value),
                _ => self.unknown(name, ["approvals", "expiry"]),
            }
        }
    }

    fn approvals(&mut self, policy: &mut Policy, value: &Member, dir: &Path) {
        for (name, value) in self.table(value) {
            if name.get_ref() == SIGNERS {
                match value.get_ref().as_str() {
                    Some(path) if !path.is_empty() => policy.allowed_signers = Some(dir.join(path)),
                    _ => self.wrong(value, "the path of a file is expected"),
                }
                continue;
            }
            let Some(risk) = RISKS.into_iter().find(|risk| risk.word() == name.get_ref()) else {
                self.unknown(name, RISKS.iter().map(|risk| risk.word()).chain([SIGNERS]));
                continue;
            };
            let number = value.get_ref().as_integer();
            match number.and_then(|n| usize::from_str_radix(n.as_str(), n.radix()).ok()) {
                Some(people) if people <= MAX_PEOPLE => {
                    policy.approvals.insert(risk, people);
                }
                _ => self.wrong(value, format!("a number of people from 0 to {MAX_PEOPLE} is expected")),
            }
        }
        if policy.allowed_signers.is_none() && policy.approvals.values().any(|people| *people > 0) {
            let span = self.span(value.span());
            let text = "these approvals could never be given";
            let message = format!("approvals are demanded, and {SIGNERS} does not say whose count");
            self.found.push(
                Diagnostic::error(VALUE, message).at(span, text).help(format!("add {SIGNERS} = \"FILE\"")),
            );
        }
    }

    fn expiry(&mut self, policy: &mut Policy, value: &Member) {
        for (name, value) in self.table(value) {
            let place = match name.get_ref().as_ref() {
                "usual" => &mut policy.expiry.usual,
                "disruptive" => &mut policy.expiry.disruptive,
                _ => {
                    self.unknown(name, ["usual", "disruptive"]);
                    continue;
                }
            };
            match value.get_ref().as_str().and_then(|text| text.parse::<SignedDuration>().ok()) {
                Some(time) if time.is_positive() => *place = time,
                _ => self.wrong(value, "a time is expected, such as \"4h\" or \"90m\""),
            }
        }
    }

    fn table<'a, 'b>(
        &mut self,
        value: &'b Member<'a>,
    ) -> impl Iterator<Item = (&'b Name<'a>, &'b Member<'a>)> + use<'a, 'b> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong(value, "a table is expected");
        }
        table.into_iter().flatten()
    }

    fn unknown<'a>(&mut self, name: &Name, known: impl IntoIterator<Item = &'a str>) {
        let span = self.span(name.span());
        let known: Vec<&str> = known.into_iter().collect();
        let message = format!("\"{}\" means nothing here", name.get_ref());
        let diagnostic = Diagnostic::error(NAME, message).at(span, "not known");
        let help = format!("known: {}", known.join(", "));
        self.found.push(diagnostic.help(help).suggest(name.get_ref(), known));
    }

    fn wrong(&mut self, value: &Member, what: impl Into<String>) {
        let span = self.span(value.span());
        self.found.push(Diagnostic::error(VALUE, "a value makes no sense").at(span, what));
    }

    fn span(&self, range: std::ops::Range<usize>) -> Span {
        let at = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { file: self.file, start: at(range.start), end: at(range.end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Policy, Vec<String>) {
        let sources = SourceMap::new();
        let file = sources.add(FILE, text);
        let (policy, found) = parse(file, text, Path::new("/project"));
        let shown = found.iter().map(|d| {
            let place = sources.place(d.labels[0].span);
            let help = d.help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default();
            format!("{}:{} {}: {}{help}", place.line, place.column, d.message, d.labels[0].text)
        });
        (policy, shown.collect())
    }

    #[test]
    fn a_policy_is_read() {
        let text = "[plan.approvals]\nallowed_signers = \"keys/signers\"\ndisruptive = 2\nopaque = 0\n\
                    [plan.expiry]\nusual = \"8h\"\ndisruptive = \"90m\"\n";
        let (policy, found) = parsed(text);
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(
            policy.approvals.into_iter().collect::<Vec<_>>(),
            [(Risk::Opaque, 0), (Risk::Disruptive, 2)]
        );
        assert_eq!(policy.allowed_signers.as_deref(), Some(Path::new("/project/keys/signers")));
        assert_eq!(policy.expiry.usual, SignedDuration::from_hours(8));
        assert_eq!(policy.expiry.disruptive, SignedDuration::from_mins(90));
        assert_eq!(parsed("").0, Policy::default());
    }

    #[test]
    fn all_mistakes_have_their_place() {
        let check = |text: &str, expect: &[&str]| assert_eq!(parsed(text).1, expect, "{text}");
        let signers = "[plan.approvals]\nallowed_signers = \"s\"\n";
        check("plan = 3", &["1:8 a value makes no sense: a table is expected"]);
        check("[plan\n", &["1:6 xplay.toml is not valid TOML: unclosed table, expected `]`"]);
        check("a = 1\na = 2\n", &["2:1 xplay.toml is not valid TOML: duplicate key"]);
        check("[plans]\n", &["1:2 \"plans\" means nothing here: not known (did you mean `plan`?)"]);
        check("[plan.expire]\n", &["1:7 \"expire\" means nothing here: not known (did you mean `expiry`?)"]);
        check(
            &format!("{signers}disruptiv = 2\nhigh = -1\nlow = 2.5\nopaque = \"2\"\n"),
            &[
                "3:1 \"disruptiv\" means nothing here: not known (did you mean `disruptive`?)",
                "4:8 a value makes no sense: a number of people from 0 to 100 is expected",
                "5:7 a value makes no sense: a number of people from 0 to 100 is expected",
                "6:10 a value makes no sense: a number of people from 0 to 100 is expected",
            ],
        );
        check(
            "[plan.expiry]\nusual = 24\ndisruptive = \"-4h\"\nnever = true\n",
            &[
                "2:9 a value makes no sense: a time is expected, such as \"4h\" or \"90m\"",
                "3:14 a value makes no sense: a time is expected, such as \"4h\" or \"90m\"",
                "4:1 \"never\" means nothing here: not known (known: usual, disruptive)",
            ],
        );
        check(
            "[plan.approvals]\nhigh = 1\n",
            &[
                "1:1 approvals are demanded, and allowed_signers does not say whose count: these approvals could \
               never be given (add allowed_signers = \"FILE\")",
            ],
        );
    }

    #[test]
    fn what_anybody_may_change_demands_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join(FILE);
        std::fs::write(&file, "[plan]\n").expect("written");
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("changed");
        };
        let refused = |path: &Path| refuse_public(path).err().map(|e| e.to_string());
        for place in [dir.path(), &file] {
            mode(place, 0o775);
            assert_eq!(refused(place), None);
            mode(place, 0o777);
            let text = format!("xplay.toml is not trusted: anybody can write to {}", place.display());
            assert_eq!(refused(place), Some(text));
        }
    }
}
