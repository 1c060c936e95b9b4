//! From files and options to the settings of one host: which lines count, and the first value of each keyword.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha1::{Digest, Sha1};

use super::super::known_hosts::matches_list;
use super::arguments::{SshOption, jumps};
use super::criteria::{Verdict, judge};
use super::expand;
use super::keyword::{self, Keyword, Shape, Use};
use super::line::{self, Line};

/// How deep files may include one another.
const DEPTH: usize = 16;

/// How many files one host's settings may come from; files that include themselves twice would never end.
const FILES: usize = 2000;

/// What this machine knows.
pub trait World {
    /// Returns a file's lines; nothing if there is none.
    fn file(&self, path: &Path, trust: Trust) -> Result<Option<Arc<ConfigText>>, String>;
    /// Returns the files that a pattern matches, sorted.
    fn glob(&self, pattern: &Path) -> Vec<PathBuf>;
    /// Runs a command in the user's shell and tells whether it ended with zero.
    fn succeeds(&self, command: &str) -> bool;
    fn env(&self, name: &str) -> Option<String>;
}

/// Whether a file must belong to root or to the user, with nobody else able to write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    Checked,
    Named,
}

/// Who connects, and from where.
#[derive(Clone, Debug, Default)]
pub struct Person {
    pub user: String,
    pub uid: u32,
    pub home: Option<PathBuf>,
    /// The name of this machine.
    pub machine: String,
}

/// Which files are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Files {
    None,
    /// Only this one (`-F`).
    Only(PathBuf),
    /// The user's own, then the system's.
    #[default]
    Usual,
}

/// What is asked for.
pub struct Query<'a> {
    /// The host as the user names it.
    pub name: &'a str,
    pub person: &'a Person,
    pub world: &'a dyn World,
    /// Options that count before all files.
    pub options: &'a [SshOption],
    pub files: &'a Files,
    /// The system's file, if it takes part.
    pub system: Option<&'a Path>,
    /// Options that count after all files.
    pub fallback: &'a [SshOption],
}

/// The lines of one file.
#[derive(Debug, Default)]
pub struct ConfigText {
    lines: Vec<(usize, Result<Line, String>)>,
}

impl ConfigText {
    pub fn parse(text: &str) -> Self {
        let numbered = text.lines().enumerate();
        let lines = numbered.filter_map(|(i, text)| Some((i + 1, line::parse(text).transpose()?))).collect();
        Self { lines }
    }
}

/// What files and options say about one host, as they say it.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: BTreeMap<&'static str, Vec<String>>,
    /// Settings that count and that we do not honour, each with its place.
    pub warnings: Vec<String>,
    /// The address: `HostName` with its tokens replaced, or the name itself.
    pub address: String,
}

impl Settings {
    /// Returns a keyword's value.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.values.get(keyword)?.first().map(String::as_str)
    }

    /// Returns a keyword's values.
    pub fn all(&self, keyword: &str) -> &[String] {
        self.values.get(keyword).map_or(&[], Vec::as_slice)
    }

    pub fn is_yes(&self, keyword: &str) -> bool {
        self.get(keyword) == Some("yes")
    }

    fn has(&self, keyword: &str) -> bool {
        self.values.contains_key(keyword)
    }

    fn set_first(&mut self, keyword: &'static str, values: impl FnOnce() -> Vec<String>) {
        self.values.entry(keyword).or_insert_with(values);
    }
}

/// Works out the settings of a host. A mistake in a file is an error, as it is for OpenSSH.
pub fn evaluate(query: &Query<'_>) -> Result<Settings, String> {
    let mut run = Run {
        query,
        settings: Settings::default(),
        host: query.name.to_owned(),
        wants_final: false,
        read: 0,
    };
    let own =
        Place { name: "command line", number: None, user: true, last_pass: false, never: false, depth: 0 };
    for option in query.options {
        run.line(option.line(), &mut true, &own).map_err(|e| format!("ssh option {option}: {e}"))?;
    }
    run.files(false)?;
    run.take_host_name()?;
    if run.wants_final {
        run.settings.values.insert("hostname", vec![run.host.clone()]);
        run.files(true)?;
    }
    for option in query.fallback {
        run.line(option.line(), &mut true, &own).map_err(|e| format!("ssh option {option}: {e}"))?;
    }
    run.settings.address = run.host;
    Ok(run.settings)
}

/// Where a line stands, and how it is to be read.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    name: &'a str,
    number: Option<usize>,
    /// The user's file, or one that it includes.
    user: bool,
    pub last_pass: bool,
    /// Nothing in an included file counts, because the line that includes it does not.
    pub never: bool,
    depth: usize,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.number {
            Some(number) => write!(f, "{}:{number}", self.name),
            None => f.write_str(self.name),
        }
    }
}

pub(super) struct Run<'a> {
    pub query: &'a Query<'a>,
    pub settings: Settings,
    /// What `Host` lines are compared with.
    pub host: String,
    pub wants_final: bool,
    /// Files that were read so far.
    read: usize,
}

impl Run<'_> {
    fn files(&mut self, last_pass: bool) -> Result<(), String> {
        let query = self.query;
        let place = Place { name: "", number: None, user: true, last_pass, never: false, depth: 0 };
        match query.files {
            Files::None => {}
            Files::Only(path) => {
                if !self.file(path, Trust::Named, place, true)? {
                    return Err(format!("there is no ssh configuration file {}", path.display()));
                }
            }
            Files::Usual => {
                if let Some(home) = &query.person.home {
                    self.file(&home.join(".ssh/config"), Trust::Checked, place, true)?;
                }
                if let Some(path) = query.system {
                    self.file(path, Trust::Named, Place { user: false, ..place }, true)?;
                }
            }
        }
        Ok(())
    }

    /// Reads one file; false if there is none. `place` says how; its first lines count if `active`.
    fn file(
        &mut self,
        path: &Path,
        trust: Trust,
        place: Place<'_>,
        mut active: bool,
    ) -> Result<bool, String> {
        self.read += 1;
        if place.depth > DEPTH || self.read > FILES {
            return Err(format!(
                "ssh configuration files include one another too often at {}",
                path.display()
            ));
        }
        let Some(text) = self.query.world.file(path, trust)? else { return Ok(false) };
        let name = path.display().to_string();
        for (number, line) in &text.lines {
            let place = Place { name: &name, number: Some(*number), ..place };
            let read =
                line.as_ref().map_err(Clone::clone).and_then(|line| self.line(line, &mut active, &place));
            read.map_err(|e| if e.starts_with('/') { e } else { format!("{place}: {e}") })?;
        }
        Ok(true)
    }

    fn line(&mut self, line: &Line, active: &mut bool, place: &Place<'_>) -> Result<(), String> {
        let Some(keyword) = keyword::find(&line.keyword) else { return self.unknown(line, *active, place) };
        match keyword.shape {
            Shape::Host | Shape::Match | Shape::Include if place.number.is_none() => {
                return Err(format!("\"{}\" is only for files", line.keyword));
            }
            Shape::Host => {
                if line.words.iter().any(String::is_empty) {
                    return Err("a host pattern is empty".into());
                }
                *active = !place.never && matches_list(&line.words, &self.host);
                return Ok(());
            }
            Shape::Match => {
                let verdict = judge(self, &line.words, place)?;
                *active = !place.never && verdict == Verdict::Fits;
                return Ok(());
            }
            Shape::Include => return self.include(line, *active, place),
            _ => {}
        }
        let value = read(keyword, line)?;
        if *active {
            self.take(keyword, value, place);
        }
        Ok(())
    }

    /// Keeps a value unless there is an earlier one.
    fn take(&mut self, keyword: &Keyword, value: Vec<String>, place: &Place<'_>) {
        let settings = &mut self.settings;
        if let Use::Missing(unset) = keyword.r#use {
            if !settings.has(keyword.name)
                && !value.first().is_some_and(|v| unset.contains(&&*v.to_ascii_lowercase()))
            {
                settings.warnings.push(format!("{place}: {} is not supported and ignored", keyword.name));
            }
            settings.set_first(keyword.name, || value);
            return;
        }
        match keyword.shape {
            Shape::Each => {
                let known = settings.values.entry(keyword.name).or_default();
                known.extend(value.into_iter().filter(|v| !known.contains(v)).collect::<Vec<_>>());
            }
            // A jump and a command lead to the same place: the first of them counts.
            Shape::Jump if settings.has("proxycommand") => {}
            Shape::Jump => {
                let none = value.first().is_some_and(|v| v == "none");
                settings.set_first(keyword.name, || value);
                if !none {
                    settings.set_first("proxycommand", || vec!["none".into()]);
                }
            }
            _ if keyword.r#use == Use::Honoured => settings.set_first(keyword.name, || value),
            _ => {}
        }
    }

    fn unknown(&mut self, line: &Line, active: bool, place: &Place<'_>) -> Result<(), String> {
        let ignored = self.settings.all("ignoreunknown").iter().flat_map(|list| list.split(','));
        let ignored: Vec<String> = ignored.map(str::to_ascii_lowercase).collect();
        if matches_list(&ignored, &line.keyword) {
            return Ok(());
        }
        if place.number.is_none() {
            return Err("OpenSSH knows no such option".into());
        }
        if active {
            let text = format!("{place}: {} is no known keyword and ignored", line.keyword);
            self.settings.warnings.push(text);
        }
        Ok(())
    }

    fn include(&mut self, line: &Line, active: bool, place: &Place<'_>) -> Result<(), String> {
        for word in &line.words {
            let token = |letter| self.token(letter);
            let expanded = expand::variables(word, &|name| self.query.world.env(name))
                .and_then(|text| expand::tokens(&text, &token))?;
            if expanded.starts_with('~') && !place.user {
                return Err(format!("\"{word}\" begins with a home directory in a system's file"));
            }
            let home = self.query.person.home.as_deref();
            let mut pattern = expand::tilde(&expanded, home)?;
            if pattern.is_relative() {
                let folder = match (place.user, home) {
                    (true, Some(home)) => Cow::Owned(home.join(".ssh")),
                    (true, None) => {
                        return Err(format!("\"{word}\" needs a home directory, and none is known"));
                    }
                    (false, _) => Cow::Borrowed(Path::new("/etc/ssh")),
                };
                pattern = folder.join(pattern);
            }
            for path in self.query.world.glob(&pattern) {
                let inner = Place { never: place.never || !active, depth: place.depth + 1, ..*place };
                self.file(&path, Trust::Checked, inner, active)?;
            }
        }
        Ok(())
    }

    /// Takes the address into use once all files were read.
    fn take_host_name(&mut self) -> Result<(), String> {
        self.host = self.host_name()?;
        let plain = self.host.split('%').next().unwrap_or_default();
        if plain.parse::<IpAddr>().is_err() {
            self.host.make_ascii_lowercase();
        }
        Ok(())
    }

    /// Returns the address as far as it is known.
    pub fn host_name(&self) -> Result<String, String> {
        match self.settings.get("hostname") {
            Some(name) => expand::tokens(name, &|letter| (letter == 'h').then(|| self.host.clone())),
            None => Ok(self.host.clone()),
        }
    }

    /// Returns what a token stands for while files are read.
    pub fn token(&self, letter: char) -> Option<String> {
        let address = self.host_name().ok()?;
        token(letter, self.query, &self.settings, &address)
    }
}

/// Returns what a token stands for.
pub(super) fn token(letter: char, query: &Query<'_>, settings: &Settings, address: &str) -> Option<String> {
    let person = query.person;
    let port = || settings.get("port").unwrap_or("22").to_owned();
    let user = || settings.get("user").unwrap_or(&person.user).to_owned();
    let jump = || {
        let list = settings.get("proxyjump").filter(|j| *j != "none").unwrap_or_default();
        jumps(list).and_then(|mut j| j.pop()).map(|j| j.host).unwrap_or_default()
    };
    Some(match letter {
        'C' => {
            let parts = [person.machine.clone(), address.to_owned(), port(), user(), jump()];
            Sha1::digest(parts.concat().as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
        }
        'L' => person.machine.split('.').next().unwrap_or_default().to_owned(),
        'd' => person.home.as_ref()?.display().to_string(),
        'h' => address.to_owned(),
        'i' => person.uid.to_string(),
        'j' => jump(),
        'k' => settings.get("hostkeyalias").unwrap_or(query.name).to_owned(),
        'l' => person.machine.clone(),
        'n' => query.name.to_owned(),
        'p' => port(),
        'r' => user(),
        'u' => person.user.clone(),
        _ => return None,
    })
}

/// Reads the arguments of a keyword.
fn read(keyword: &Keyword, line: &Line) -> Result<Vec<String>, String> {
    let name = keyword.name;
    let wrong = |word: &str| format!("\"{word}\" is no value of {name}");
    match keyword.shape {
        Shape::Command => return Ok(vec![line.rest.trim_start_matches([' ', '\t', '=']).to_owned()]),
        Shape::Jump => {
            let list = line.rest.trim_start_matches([' ', '\t', '=']);
            let list = list.split('#').next().unwrap_or_default().trim_end();
            let list = if list.eq_ignore_ascii_case("none") { "none" } else { list };
            jumps(list).ok_or_else(|| wrong(list))?;
            return Ok(vec![list.to_owned()]);
        }
        _ => {}
    }
    let first =
        line.words.first().filter(|w| !w.is_empty()).ok_or_else(|| format!("{name} needs an argument"))?;
    let value = match keyword.shape {
        Shape::Choice(choices) => {
            let found = choices.iter().find(|(word, _)| first.eq_ignore_ascii_case(word));
            found.ok_or_else(|| wrong(first))?.1.to_owned()
        }
        Shape::Agent => match &*first.to_ascii_lowercase() {
            "yes" | "true" => "yes".into(),
            "no" | "false" => "no".into(),
            _ => first.clone(),
        },
        Shape::AddKeys => {
            let words = ["yes", "no", "ask", "confirm"];
            let lower = first.to_ascii_lowercase();
            let lower = match &*lower {
                "true" => "yes".into(),
                "false" => "no".into(),
                _ => lower,
            };
            let mut value = lower.clone();
            match line.words.get(1) {
                Some(time) if lower == "confirm" => {
                    seconds(time).ok_or_else(|| wrong(time))?;
                    value = format!("confirm {time}");
                }
                Some(time) => return Err(wrong(time)),
                None if words.contains(&&*lower) || seconds(first).is_some() => {}
                None => return Err(wrong(first)),
            }
            value
        }
        Shape::Time if first == "none" || seconds(first).is_some() => first.clone(),
        Shape::Number if first.parse::<u32>().is_ok() => first.clone(),
        Shape::Port if first.parse::<u16>().is_ok_and(|p| p > 0) => first.clone(),
        Shape::Time | Shape::Number | Shape::Port => return Err(wrong(first)),
        Shape::List => {
            let none = line.words.iter().position(|w| w.eq_ignore_ascii_case("none"));
            if none.is_some() && line.words.len() > 1 && keyword.r#use == Use::Honoured {
                return Err(format!("\"none\" stands alone in {name}"));
            }
            return Ok(line.words.clone());
        }
        _ => first.clone(),
    };
    Ok(vec![value])
}

/// Reads a time such as `1h30m`, in seconds.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let (mut total, mut number) = (0.0, String::new());
    for c in text.chars() {
        let unit = match c.to_ascii_lowercase() {
            '0'..='9' | '.' => {
                number.push(c);
                continue;
            }
            's' => 1.0,
            'm' => 60.0,
            'h' => 3600.0,
            'd' => 86_400.0,
            'w' => 604_800.0,
            _ => return None,
        };
        total += std::mem::take(&mut number).parse::<f64>().ok()? * unit;
    }
    if !number.is_empty() {
        total += number.parse::<f64>().ok()?;
    }
    (!text.is_empty() && total <= f64::from(i32::MAX)).then_some(total)
}

/// Whether a list of patterns with commas fits, as criteria have it.
pub(super) fn fits_list(list: &str, text: &str, case: Case) -> bool {
    let patterns: Vec<String> = list
        .split(',')
        .map(|p| match case {
            Case::Kept => p.to_owned(),
            Case::Lower => p.to_ascii_lowercase(),
        })
        .collect();
    matches_list(&patterns, text)
}

/// How patterns are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Kept,
    Lower,
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
