//! `host_vars` and `group_vars` directories, read when first asked for, and all layers of a host's variables.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;

use super::builder::placed;
use super::model::{ALL, GroupId, HostId, Inventory};
use crate::diag::{Diagnostic, SourceMap, Span};
use crate::template::{Templar, VarMap};
use crate::yaml::{self, Parsed};

/// Reads variable files beside inventories and playbooks; each file once.
pub struct VarFiles {
    templar: Templar,
    sources: SourceMap,
    known: Mutex<HashMap<Key, Loaded>>,
}

/// Directory, folder, name of the host or group.
type Key = (PathBuf, &'static str, Arc<str>);
type Loaded = Result<Arc<[(PathBuf, VarMap)]>, Vec<Diagnostic>>;

/// Where a layer of variables comes from, weakest first as they apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerSource {
    /// Variables of a group in the inventory itself.
    Group(GroupId),
    /// A file for a group.
    GroupFile(GroupId, PathBuf),
    /// Variables of the host in the inventory itself.
    Host,
    /// A file for the host.
    HostFile(PathBuf),
}

/// One layer of a host's variables.
#[derive(Clone, Debug)]
pub struct VarLayer {
    pub source: LayerSource,
    pub vars: VarMap,
}

const EXTENSIONS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

impl VarFiles {
    pub fn new(templar: Templar, sources: SourceMap) -> Self {
        VarFiles { templar, sources, known: Mutex::default() }
    }

    /// Forgets what was read, for `meta: refresh_inventory`.
    pub fn clear(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns the variables for a group from `group_vars` in a directory, file by file; later ones win.
    pub fn group(&self, dir: &Path, name: &Arc<str>) -> Result<Arc<[(PathBuf, VarMap)]>, Vec<Diagnostic>> {
        self.load(dir, "group_vars", name)
    }

    /// Returns the variables for a host from `host_vars` in a directory, file by file; later ones win.
    pub fn host(&self, dir: &Path, name: &Arc<str>) -> Result<Arc<[(PathBuf, VarMap)]>, Vec<Diagnostic>> {
        self.load(dir, "host_vars", name)
    }

    fn load(&self, dir: &Path, folder: &'static str, name: &Arc<str>) -> Loaded {
        // A host may be called like a path, as for chroot connections.
        if name.starts_with('/') {
            return Ok(Arc::from([]));
        }
        let key = (dir.to_owned(), folder, name.clone());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = known.get(&key) {
            return loaded.clone();
        }
        // Most directories have no such folder; one entry for it saves looking for every host.
        let none = (dir.to_owned(), folder, Arc::from(""));
        if known.contains_key(&none) {
            return Ok(Arc::from([]));
        }
        let folder_path = dir.join(folder);
        if !folder_path.is_dir() {
            known.insert(none, Ok(Arc::from([])));
            return Ok(Arc::from([]));
        }
        let loaded = self.read(&find_vars_files(&folder_path, name, &EXTENSIONS, true));
        known.insert(key, loaded.clone());
        loaded
    }

    fn read(&self, files: &[PathBuf]) -> Loaded {
        let mut errors = Vec::new();
        let mut loaded = Vec::new();
        for file in files {
            match load_vars_file(&self.sources, &self.templar, file) {
                Ok((vars, _)) if vars.is_empty() => {}
                Ok((vars, _)) => loaded.push((file.clone(), vars)),
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() { Ok(loaded.into()) } else { Err(errors) }
    }
}

impl Inventory {
    /// Returns all layers of a host's variables from inventory and variable files, weakest first.
    pub fn layers(
        &self,
        host: HostId,
        files: &VarFiles,
        playbook_dir: Option<&Path>,
    ) -> Result<Vec<VarLayer>, Vec<Diagnostic>> {
        let dirs = self.source_dirs();
        let groups = self.host_groups(host);
        let others = groups.iter().copied().filter(|g| *g != ALL);
        let mut layers = Vec::new();
        let mut own = |id: GroupId| {
            let vars = &self.group(id).vars;
            if !vars.is_empty() {
                layers.push(VarLayer { source: LayerSource::Group(id), vars: vars.clone() });
            }
        };
        own(ALL);
        others.clone().for_each(&mut own);
        let mut from_files = |ids: &[GroupId], dir: &Path| -> Result<(), Vec<Diagnostic>> {
            for id in ids {
                for (path, vars) in files.group(dir, &self.group(*id).name)?.iter() {
                    let source = LayerSource::GroupFile(*id, path.clone());
                    layers.push(VarLayer { source, vars: vars.clone() });
                }
            }
            Ok(())
        };
        let others: Vec<GroupId> = others.collect();
        for ids in [&[ALL][..], &others] {
            for dir in dirs.iter().map(PathBuf::as_path).chain(playbook_dir) {
                from_files(ids, dir)?;
            }
        }
        let host = self.host(host);
        if !host.vars.is_empty() {
            layers.push(VarLayer { source: LayerSource::Host, vars: host.vars.clone() });
        }
        for dir in dirs.iter().map(PathBuf::as_path).chain(playbook_dir) {
            for (path, vars) in files.host(dir, &host.name)?.iter() {
                layers.push(VarLayer { source: LayerSource::HostFile(path.clone()), vars: vars.clone() });
            }
        }
        Ok(layers)
    }
}

/// Returns the variable files for a name in a directory: everything in the directory of that name, or the first
/// file of name plus extension.
pub fn find_vars_files(dir: &Path, name: &str, extensions: &[&str], allow_dir: bool) -> Vec<PathBuf> {
    for extension in extensions {
        let path = dir.join(format!("{name}{extension}"));
        if path.is_dir() {
            if allow_dir {
                return directory_files(&path, extensions, 0);
            }
            continue;
        }
        if path.exists() {
            return vec![path];
        }
    }
    Vec::new()
}

/// Symbolic links may lead in circles.
const DEEPEST: usize = 20;

fn directory_files(dir: &Path, extensions: &[&str], depth: usize) -> Vec<PathBuf> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .map(|entries| entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    names.sort();
    let mut found = Vec::new();
    for name in names {
        if name.starts_with('.') || name.ends_with('~') || depth > DEEPEST {
            continue;
        }
        let path = dir.join(&name);
        let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy()));
        match &extension {
            None if path.is_dir() => found.extend(directory_files(&path, extensions, depth + 1)),
            None if path.is_file() => found.push(path),
            Some(e) if path.is_file() && extensions.contains(&e.as_str()) => found.push(path),
            _ => {}
        }
    }
    found
}

/// Reads a YAML file; one that is encrypted as a whole is opened first.
pub fn parse_yaml(sources: &SourceMap, templar: &Templar, path: &Path) -> Result<Parsed, Diagnostic> {
    match unlocked(templar, path)? {
        None => yaml::parse_file(sources, path),
        Some(plain) => yaml::parse(sources, sources.add(path, plain)),
    }
}

/// Returns the text of a file that is a vault; nothing for any other.
pub(super) fn unlocked(templar: &Templar, path: &Path) -> Result<Option<String>, Diagnostic> {
    const HEADER: &[u8] = b"$ANSIBLE_VAULT;";
    let encrypted = std::fs::File::open(path).is_ok_and(|mut file| {
        use std::io::Read;
        let mut start = [0u8; HEADER.len()];
        file.read_exact(&mut start).is_ok() && start == HEADER
    });
    if !encrypted {
        return Ok(None);
    }
    let failed = |reason: &dyn std::fmt::Display| {
        Diagnostic::error("XP0511", format!("cannot decrypt `{}`: {reason}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|e| failed(&e))?;
    templar.open_vault(&text).map(Some).map_err(|e| match e.help() {
        Some(help) => failed(&e).help(help),
        None => failed(&e),
    })
}

/// Reads a file that holds a mapping of variables. Returns warnings beside them.
pub fn load_vars_file(
    sources: &SourceMap,
    templar: &Templar,
    path: &Path,
) -> Result<(VarMap, Vec<Diagnostic>), Vec<Diagnostic>> {
    let parsed = parse_yaml(sources, templar, path).map_err(|d| vec![d])?;
    let mut warnings = parsed.warnings;
    let Some(node) = parsed.documents.first().filter(|n| !n.is_null()) else {
        return Ok((VarMap::default(), warnings));
    };
    let mut errors = Vec::new();
    if let Some(second) = parsed.documents.get(1) {
        errors.push(
            Diagnostic::error("XP0512", "a file of variables holds one YAML document")
                .at(second.span, "the second document")
                .help("remove the `---` before it"),
        );
    }
    // A list of mappings counts as if all stood in one, later ones above earlier ones.
    let parts: Vec<&yaml::Node> = match node.items() {
        items if !items.is_empty() && items.iter().all(yaml::Node::is_map) => items.iter().collect(),
        _ => vec![node],
    };
    if parts.iter().any(|part| !part.is_map()) {
        errors.push(
            Diagnostic::error(
                "XP0512",
                format!("a file of variables holds a mapping, not {}", node.described()),
            )
            .at(node.span, "expected `name: value`"),
        );
    }
    let mut vars = IndexMap::new();
    for (key, value) in parts.iter().flat_map(|part| part.entries()) {
        let Some(name) = key.scalar().map(|s| s.text.clone()) else { continue };
        if !is_variable_name(&name) {
            warnings.push(bad_name(&name, Some(key.span)));
        }
        match templar.compile_node(value) {
            Ok(tree) => {
                vars.insert(name, tree);
            }
            Err(diagnostic) => errors.push(diagnostic),
        }
    }
    if errors.is_empty() { Ok((Arc::new(vars), warnings)) } else { Err(errors) }
}

/// Whether templates can use a name as a variable.
pub(super) fn is_variable_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The warning about a name that templates cannot use.
pub(super) fn bad_name(name: &str, span: Option<Span>) -> Diagnostic {
    let warning = Diagnostic::warning("XP0504", format!("templates cannot use a variable called `{name}`"));
    placed(warning, span, "letters, digits and underscores only, no digit first")
}
