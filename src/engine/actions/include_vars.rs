//! `include_vars`: files of the project that hold variables. Their templates are compiled, as they are project files.

use std::path::{Path, PathBuf};

use crate::engine::files;
use crate::engine::item::ItemRun;
use crate::engine::login::truth;
use crate::engine::result::{TaskResult, Trouble, explain};
use crate::modules::Failure;
use crate::template::{TreeKind, Var, VarMap};
use crate::value::python_regex::{self, Flags, Regex};
use crate::value::{Map, Value};
use crate::vars::plain_layer;
use crate::vault;

/// Which files of a directory count.
struct Choice {
    /// Without their dots; the empty one stands for files without an extension.
    extensions: Vec<String>,
    ignore_unknown: bool,
    ignored: Vec<Regex>,
    matching: Option<Regex>,
    /// Levels of directories; 0 means all.
    depth: i128,
}

pub fn include_vars(item: &ItemRun, given: &Map) -> Result<TaskResult, Trouble> {
    let text = |name: &str| {
        let text = given.get(name).filter(|v| !v.is_null()).map(|v| v.to_text().trim().to_string());
        text.filter(|text| !text.is_empty())
    };
    let choice = Choice::read(given)?;
    let paths = match (text("dir"), text("file").or_else(|| text("_raw_params"))) {
        (Some(dir), _) => choice.files(item, &directory(item, &dir)?)?,
        (None, Some(file)) => {
            let found = files::find(item.vars.search(), "vars", &file).map_err(|e| {
                said(e.replacen(
                    "Could not find or access",
                    "Could not find file on the Ansible Controller:",
                    1,
                ))
            })?;
            choice.check(&found)?;
            vec![found]
        }
        (None, None) => {
            return Err(said("Could not find file on the Ansible Controller: no file was named".into()));
        }
    };
    let mut shown = Map::new();
    let mut layers: Vec<VarMap> = Vec::new();
    let mut hidden = false;
    for path in &paths {
        let vars = item.shared.loader.load_vars(path).map_err(explain)?;
        for (name, tree) in vars.iter() {
            // Shown as written: rendering here would demand variables that may come later.
            let value = match &tree.kind {
                TreeKind::Value(v) => v.clone(),
                _ => item.shared.templar.render(tree, &item.vars).unwrap_or_else(|e| Value::str(e.message())),
            };
            shown.insert(name.clone(), value);
        }
        layers.push(vars);
        // Whoever encrypted one of the files does not want to read it on the terminal.
        hidden |= std::fs::read(path).is_ok_and(|bytes| vault::is_vault(&bytes));
    }
    if text("hash_behaviour").is_some_and(|how| how == "merge") {
        shown =
            shown.iter().map(|(key, value)| (key.clone(), merged(item, &key.json_name(), value))).collect();
        layers = vec![plain_layer(&shown)];
    }
    let names: Vec<Value> = paths.iter().map(|p| Value::str(p.display().to_string())).collect();
    let name = text("name");
    let facts = match &name {
        Some(name) => Map::from_iter([(name.as_str(), Value::map(shown))]),
        None => shown,
    };
    let mut done = TaskResult::ok(Map::from_iter([
        ("ansible_facts", Value::map(facts.clone())),
        ("ansible_included_var_files", Value::list(names)),
    ]));
    done.hidden = hidden;
    match name {
        Some(_) => done.effects.set = facts,
        None => done.effects.include_vars = layers,
    }
    Ok(done)
}

/// A failure as Ansible gives it here: the text is the member `message`.
fn said(message: String) -> Trouble {
    Failure::new(message.clone()).with("message", message).into()
}

/// A variable's value so far with a new one merged into it.
fn merged(item: &ItemRun, name: &str, new: &Value) -> Value {
    let old = match item.vars.get(name) {
        Some(Var::Value(value)) => Some(value),
        Some(Var::Tree(tree)) => item.shared.templar.render(&tree, &item.vars).ok(),
        Some(Var::Lazy(_)) | None => None,
    };
    old.map_or_else(|| new.clone(), |old| deep(&old, new))
}

fn deep(old: &Value, new: &Value) -> Value {
    let (Some(old), Some(new)) = (old.as_map(), new.as_map()) else { return new.clone() };
    let mut all = old.clone();
    for (key, value) in new.iter() {
        let value = old.get_key(key).map_or_else(|| value.clone(), |before| deep(before, value));
        all.insert(key.clone(), value);
    }
    Value::map(all)
}

/// Finds a directory: as it is, in the role's `vars`, or beside the file of the task.
fn directory(item: &ItemRun, dir: &str) -> Result<PathBuf, Trouble> {
    let found = files::find(item.vars.search(), "vars", dir)
        .map_err(|_| said(format!("{dir} directory does not exist")))?;
    if !found.is_dir() {
        return Err(said(format!("{} is not a directory", found.display())));
    }
    Ok(found)
}

impl Choice {
    fn read(given: &Map) -> Result<Self, Trouble> {
        let list = |name: &str| -> Option<Vec<String>> {
            match given.get(name).filter(|v| !v.is_null())? {
                Value::List(items) => Some(items.iter().map(Value::to_text).collect()),
                other => Some(other.to_text().split_whitespace().map(str::to_string).collect()),
            }
        };
        let regex = |text: &str| python_regex::compile(text, Flags::default()).map_err(Trouble::msg);
        let defaults = || ["json", "yaml", "yml"].map(str::to_string).to_vec();
        let ignored = list("ignore_files").unwrap_or_default();
        let depth = given.get("depth").map(|d| d.as_int().or_else(|| d.to_text().parse().ok()));
        Ok(Choice {
            extensions: list("extensions").unwrap_or_else(defaults),
            ignore_unknown: given.get("ignore_unknown_extensions").is_some_and(truth),
            // As a whole at the end of the name, as in Ansible.
            ignored: ignored.iter().map(|f| regex(&format!("{f}$"))).collect::<Result<_, _>>()?,
            matching: given
                .get("files_matching")
                .filter(|v| !v.is_null())
                .map(|v| regex(&v.to_text()))
                .transpose()?,
            depth: depth.flatten().unwrap_or(0),
        })
    }

    /// The files of a directory that count: directories by their paths, files by their names.
    fn files(&self, item: &ItemRun, dir: &Path) -> Result<Vec<PathBuf>, Trouble> {
        let main = item.task.role.as_ref().map(|r| r.files.path.join("vars"));
        let mut dirs = vec![(dir.to_owned(), 1)];
        let mut found = Vec::new();
        let mut next = 0;
        while let Some((dir, level)) = dirs.get(next).cloned() {
            next += 1;
            let entries = std::fs::read_dir(&dir)
                .map_err(|e| said(format!("Failed to read {}: {e}", dir.display())))?;
            for path in entries.flatten().map(|e| e.path()) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if path.is_dir() {
                    if self.depth == 0 || level < self.depth {
                        dirs.push((path, level + 1));
                    }
                    continue;
                }
                // The role itself loads its main file.
                let is_main = main.as_ref() == Some(&dir) && name.split('.').next() == Some("main");
                let ignored = self.ignored.iter().any(|r| r.is_match(&name).unwrap_or(false));
                let fits = self.matching.as_ref().is_none_or(|r| r.is_match(&name).unwrap_or(false));
                if is_main || ignored || !fits {
                    continue;
                }
                if !self.is_valid(&path) {
                    if self.ignore_unknown {
                        continue;
                    }
                    self.check(&path)?;
                }
                found.push((dir.clone(), name));
            }
        }
        found.sort();
        Ok(found.into_iter().map(|(dir, name)| dir.join(name)).collect())
    }

    fn is_valid(&self, path: &Path) -> bool {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        self.extensions.iter().any(|known| known.trim_start_matches('.') == extension)
    }

    fn check(&self, path: &Path) -> Result<(), Trouble> {
        if self.is_valid(path) {
            return Ok(());
        }
        Err(said(format!(
            "{} does not have a valid extension: {}",
            path.display(),
            self.extensions.join(", ")
        )))
    }
}
