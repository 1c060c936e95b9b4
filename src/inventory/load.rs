//! Sources as given with `-i`: which kind each is, directories, and all of them merged in order.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::builder::Builder;
use super::model::Inventory;
use super::vars_files::{parse_yaml, unlocked};
use super::{address, constructed, ini, script, toml_source, yaml_source};
use crate::value::python_regex::{self, Flags, Regex};

use crate::diag::{Diagnostic, SourceMap};
use crate::template::Templar;
use crate::yaml::Node;

/// One inventory source as given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, an executable or a directory.
    Path(PathBuf),
    /// `host1,host2,`.
    List(String),
}

/// What else is known about reading inventories.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// A source that does not exist is an error, not a warning.
    pub missing_is_error: bool,
    /// No source that exists is an error.
    pub none_is_error: bool,
    /// One that is left out is not even told.
    pub missing_is_silent: bool,
    pub group_names: GroupNames,
    pub ignored: Ignored,
    /// A dict that a later source gives is merged into an earlier one (`hash_behaviour`).
    pub merge_dicts: bool,
}

/// Files in directories of inventories that are no inventories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// Endings of their names; nothing means the usual ones.
    pub endings: Option<Vec<String>>,
    /// Regular expressions that their names match from the start.
    pub patterns: Vec<String>,
}

/// What becomes of names of groups with characters that variables cannot have (`force_valid_group_names`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupNames {
    /// They stay, with a warning.
    #[default]
    Kept,
    KeptSilently,
    /// Other characters become underscores, with a warning.
    Replaced,
    ReplacedSilently,
}

/// Entries of a directory that are no inventories. `.ini` was among them before ansible-core 2.19.
const IGNORED_ENDINGS: [&str; 9] = [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".orig", ".cfg", ".retry"];
const IGNORED_MORE: [&str; 3] = [".md", ".txt", ".rst"];
const IGNORED_NAMES: [&str; 3] = ["host_vars", "group_vars", "vars_plugins"];

impl Source {
    /// Reads what was typed: with a comma it is a list of hosts, unless such a file exists.
    pub fn parse(text: &str) -> Source {
        if text.contains(',') && !Path::new(text).exists() {
            return Source::List(text.to_owned());
        }
        Source::Path(PathBuf::from(text))
    }

    /// The directory beside which `host_vars` and `group_vars` are looked for.
    pub fn dir(&self) -> Option<PathBuf> {
        let Source::Path(path) = self else { return None };
        let path = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).ok()?;
        if path.is_dir() { Some(path) } else { path.parent().map(Path::to_owned) }
    }
}

/// Loads all sources into one inventory. Returns warnings beside it, or all mistakes at once.
pub fn load(
    given: &[Source],
    templar: &Templar,
    sources: &SourceMap,
    options: &LoadOptions,
) -> Result<(Inventory, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut builder = Builder::new(templar, sources, options);
    builder.inventory.sources = given.to_vec();
    for source in given {
        match source {
            Source::List(text) => read_list(&mut builder, text),
            Source::Path(path) if !path.exists() => {
                let message = format!("the inventory `{}` does not exist", path.display());
                if options.missing_is_error {
                    builder.errors.push(suggest_neighbour(Diagnostic::error("XP0501", message), path));
                } else if !options.missing_is_silent {
                    builder.warnings.push(Diagnostic::warning("XP0501", message));
                }
            }
            Source::Path(path) => read_path(&mut builder, path),
        }
    }
    let missing = |source: &Source| matches!(source, Source::Path(path) if !path.exists());
    if options.none_is_error && given.iter().all(missing) {
        let message = "No inventory was parsed, please check your configuration and options.";
        builder.errors.push(Diagnostic::error("XP0501", message));
    }
    let Builder { mut inventory, errors, mut warnings, .. } = builder;
    if !errors.is_empty() {
        return Err(errors);
    }
    inventory.reconcile();
    let both: Vec<String> = inventory
        .groups()
        .filter(|(_, g)| inventory.hosts.contains_key(&g.name))
        .map(|(_, g)| g.name.to_string())
        .collect();
    for name in both {
        warnings.push(Diagnostic::warning("XP0509", format!("`{name}` is both a group and a host")));
    }
    Ok((inventory, warnings))
}

fn read_path(builder: &mut Builder<'_>, path: &Path) {
    if path.is_dir() {
        let ignored = builder.inventory.options.ignored.clone();
        for entry in directory(path, &ignored) {
            read_path(builder, &entry);
        }
        return;
    }
    builder.source = std::path::absolute(path).ok().map(Arc::from);
    if is_program(path) {
        script::read(builder, path);
    } else {
        read_file(builder, path);
    }
    builder.source = None;
}

/// The inventories in a directory, by name.
fn directory(path: &Path, ignored: &Ignored) -> Vec<PathBuf> {
    let usual = || IGNORED_ENDINGS.iter().chain(&IGNORED_MORE).map(|end| (*end).to_string()).collect();
    let endings: Vec<String> = ignored.endings.clone().unwrap_or_else(usual);
    // A pattern that is none matches nothing.
    let pattern = |text: &String| python_regex::compile(&format!("^(?:{text})"), Flags::default()).ok();
    let patterns: Vec<Regex> = ignored.patterns.iter().filter_map(pattern).collect();

    let mut names: Vec<String> = std::fs::read_dir(path)
        .map(|entries| entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    names.sort();
    names
        .into_iter()
        .filter(|name| {
            !name.starts_with('.')
                && !IGNORED_NAMES.contains(&name.as_str())
                && !endings.iter().any(|end| name.ends_with(end.as_str()))
                && !patterns.iter().any(|p| p.is_match(name).unwrap_or(false))
        })
        .map(|name| path.join(name))
        .collect()
}

/// An executable that is really a program: files on some file systems are all marked executable.
fn is_program(path: &Path) -> bool {
    use std::io::Read;
    let executable = std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o111 != 0);
    let mut start = [0u8; 4];
    executable
        && std::fs::File::open(path)
            .and_then(|mut f| f.read(&mut start))
            .is_ok_and(|n| start[..n].starts_with(b"#!") || start[..n] == *b"\x7fELF")
}

fn read_file(builder: &mut Builder<'_>, path: &Path) {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("yml" | "yaml" | "json") => read_yaml(builder, path),
        Some("toml") => toml_source::read(builder, path),
        None => read_unnamed(builder, path),
        Some(_) => read_ini(builder, path),
    }
}

/// Adds the existing name beside a path that looks most like it.
fn suggest_neighbour(diagnostic: Diagnostic, path: &Path) -> Diagnostic {
    let (Some(name), Some(folder)) = (path.file_name(), path.parent()) else { return diagnostic };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    diagnostic.suggest(&name.to_string_lossy(), names.iter().map(String::as_str))
}

fn read_yaml(builder: &mut Builder<'_>, path: &Path) {
    match parse_yaml(builder.sources, builder.templar, path) {
        Ok(parsed) => {
            builder.warnings.extend(parsed.warnings);
            match parsed.documents.first() {
                Some(node) if node.is_map() => read_document(builder, node),
                Some(node) if !node.is_null() => builder.errors.push(
                    Diagnostic::error(
                        "XP0506",
                        format!("an inventory is a mapping of groups, not {}", node.described()),
                    )
                    .at(node.span, "expected a group and a colon"),
                ),
                _ => builder.warnings.push(Diagnostic::warning(
                    "XP0501",
                    format!("the inventory `{}` is empty", path.display()),
                )),
            }
        }
        Err(diagnostic) => builder.errors.push(diagnostic),
    }
}

fn read_document(builder: &mut Builder<'_>, node: &Node) {
    if let Some(plugin) = node.get("plugin").filter(|p| !p.is_null() && !p.is_map()) {
        let name = plugin.scalar().map_or("", |s| &s.text);
        if constructed::is_called(name) {
            constructed::read(builder, node);
            return;
        }
        builder.errors.push(
            Diagnostic::error("XP0510", format!("the inventory plugin `{name}` is not supported"))
                .at(plugin.span, "no such plugin")
                .help("use its output: an executable inventory that prints JSON works everywhere"),
        );
        return;
    }
    yaml_source::read(builder, node);
}

/// A file without extension: YAML when it is a mapping, else ini.
fn read_unnamed(builder: &mut Builder<'_>, path: &Path) {
    match parse_yaml(builder.sources, builder.templar, path) {
        Ok(parsed) => {
            if let Some(node) = parsed.documents.first().filter(|n| n.is_map()) {
                builder.warnings.extend(parsed.warnings.iter().cloned());
                read_document(builder, node);
                return;
            }
        }
        Err(diagnostic) if looks_like_yaml(path) => {
            builder.errors.push(diagnostic);
            return;
        }
        Err(_) => {}
    }
    read_ini(builder, path);
}

/// Whether the first line that says something could only be YAML.
fn looks_like_yaml(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let first = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with(['#', ';']));
    first.is_some_and(|line| line == "---" || line.ends_with(':'))
}

fn read_ini(builder: &mut Builder<'_>, path: &Path) {
    let text = match unlocked(builder.templar, path) {
        Ok(Some(plain)) => Ok(plain),
        Ok(None) => {
            std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|e| {
                Diagnostic::error("XP0501", format!("cannot read the inventory `{}`: {e}", path.display()))
            })
        }
        Err(diagnostic) => Err(diagnostic),
    };
    match text {
        Ok(text) => {
            let file = builder.sources.add(path, text);
            ini::read(builder, file);
        }
        Err(diagnostic) => builder.errors.push(diagnostic),
    }
}

fn read_list(builder: &mut Builder<'_>, text: &str) {
    let group = builder.group("ungrouped", None);
    for word in text.split(',').map(str::trim).filter(|w| !w.is_empty()) {
        let (host, port) = address::parse_address(word, false).unwrap_or_else(|| (word.to_owned(), None));
        if builder.inventory.hosts.contains_key(host.as_str()) {
            continue;
        }
        builder.hosts(&[host], None, port, group, &[]);
    }
}
