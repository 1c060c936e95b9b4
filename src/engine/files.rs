//! The controller's files as a task sees them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::shared::lock;
use crate::diag::Diagnostic;
use crate::modules::{LocalFiles, Wanted};
use crate::template::{Scope, SearchPath, Templar, TemplateFileOptions, expand_user};
use crate::value::{Unknown, Value};

/// Finds, reads and renders project files for one task on one host.
pub struct TaskFiles {
    templar: Arc<Templar>,
    scope: Arc<dyn Scope>,
    /// The mistake in the template that was rendered last; a module only passes its message on.
    mistake: Mutex<Option<Box<Diagnostic>>>,
    /// Why a template could not be rendered yet.
    unknown: Mutex<Option<Unknown>>,
    /// What was rendered, for plans.
    rendered: Mutex<Vec<(PathBuf, String)>>,
    /// What a plan says that templates give.
    recorded: BTreeMap<PathBuf, String>,
    digests_wanted: Wanted,
}

impl TaskFiles {
    pub fn new(templar: Arc<Templar>, scope: Arc<dyn Scope>) -> Self {
        TaskFiles {
            templar,
            scope,
            mistake: Mutex::default(),
            unknown: Mutex::default(),
            rendered: Mutex::default(),
            recorded: BTreeMap::new(),
            digests_wanted: Wanted::All,
        }
    }

    /// Takes the texts of templates from a plan instead of rendering them.
    pub fn recorded(self, recorded: BTreeMap<PathBuf, String>) -> Self {
        TaskFiles { recorded, ..self }
    }

    /// Says which digests of big files anybody can see.
    pub fn wanting(self, digests_wanted: Wanted) -> Self {
        TaskFiles { digests_wanted, ..self }
    }

    /// Returns where a template was wrong, when that is why the module failed.
    pub fn take_mistake(&self) -> Option<Box<Diagnostic>> {
        lock(&self.mistake).take()
    }

    /// Returns what a template needs that is not known yet, when that is why the module failed.
    pub fn take_unknown(&self) -> Option<Unknown> {
        lock(&self.unknown).take()
    }

    /// Returns what was rendered since the last call, each file once.
    pub fn take_rendered(&self) -> Vec<(PathBuf, String)> {
        std::mem::take(&mut lock(&self.rendered))
    }
}

impl LocalFiles for TaskFiles {
    fn find(&self, kind: &str, name: &str) -> Result<PathBuf, String> {
        find(self.scope.search(), kind, name)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let bytes = std::fs::read(path).map_err(|e| format!("cannot read \"{}\": {e}", path.display()))?;
        let opened = std::str::from_utf8(&bytes).ok().and_then(|text| self.templar.unlocked(text));
        match opened {
            Some(Ok(plain)) => Ok(plain.into_bytes()),
            Some(Err(crate::vault::VaultError::NoSecrets)) => {
                Err(format!("A vault password or secret must be specified to decrypt {}", path.display()))
            }
            Some(Err(e)) => Err(format!("cannot decrypt \"{}\": {e}", path.display())),
            None => Ok(bytes),
        }
    }

    fn render(&self, path: &Path, options: &Value) -> Result<String, String> {
        if let Some(text) = self.recorded.get(path) {
            return Ok(text.clone());
        }
        // Asked for again it is the same text, whatever the time and random values in it.
        if let Some((_, text)) = lock(&self.rendered).iter().find(|(known, _)| known == path) {
            return Ok(text.clone());
        }
        let options = template_options(options);
        match self.templar.render_file_value(path, &self.scope, &options) {
            Ok(Value::Unknown(unknown)) => {
                let message = format!("the text of {} is not known yet: {}", path.display(), unknown.cause);
                *lock(&self.unknown) = Some(unknown);
                Err(message)
            }
            Ok(value) => {
                let text = value.to_text();
                let mut rendered = lock(&self.rendered);
                rendered.retain(|(known, _)| known != path);
                rendered.push((path.to_owned(), text.clone()));
                Ok(text)
            }
            Err(e) => {
                let message = e.message().to_string();
                *lock(&self.unknown) = e.unknown().cloned();
                *lock(&self.mistake) = Some(e.diagnostic);
                Err(message)
            }
        }
    }

    fn digests_wanted(&self) -> Wanted {
        self.digests_wanted
    }

    fn base_dir(&self) -> PathBuf {
        self.scope.search().playbook_dir.clone()
    }
}

/// Reads the arguments of the `template` module that say how a file is rendered.
fn template_options(args: &Value) -> TemplateFileOptions {
    let mut options = TemplateFileOptions::default();
    let text = |name: &str| args.get(name).filter(|v| !v.is_null()).map(Value::to_text);
    let delimiter = |place: &mut String, name: &str| {
        if let Some(given) = text(name) {
            *place = given;
        }
    };
    let syntax = &mut options.syntax;
    delimiter(&mut syntax.block.0, "block_start_string");
    delimiter(&mut syntax.block.1, "block_end_string");
    delimiter(&mut syntax.variable.0, "variable_start_string");
    delimiter(&mut syntax.variable.1, "variable_end_string");
    delimiter(&mut syntax.comment.0, "comment_start_string");
    delimiter(&mut syntax.comment.1, "comment_end_string");
    if let Some(trim) = args.get("trim_blocks").and_then(Value::as_bool) {
        syntax.trim_blocks = trim;
    }
    if let Some(strip) = args.get("lstrip_blocks").and_then(Value::as_bool) {
        syntax.lstrip_blocks = strip;
    }
    if let Some(newline) = text("newline_sequence") {
        options.newline_sequence = match newline.as_str() {
            "\\r\\n" => "\r\n".into(),
            "\\r" => "\r".into(),
            "\\n" => "\n".into(),
            _ => newline,
        };
    }
    options.origin.destpath = text("dest").unwrap_or_default();
    options
}

/// Finds a file the way Ansible does: in each directory its `kind` folder first, then the directory itself.
pub fn find(search: &SearchPath, kind: &str, name: &str) -> Result<PathBuf, String> {
    let given = PathBuf::from(expand_user(name));
    if given.is_absolute() {
        return if given.exists() { Ok(given) } else { Err(missing(name, &[given])) };
    }
    let mut tried = Vec::new();
    for dir in search.dirs.iter().chain([&search.playbook_dir]) {
        for candidate in [dir.join(kind).join(&given), dir.join(&given)] {
            if tried.contains(&candidate) {
                continue;
            }
            if candidate.exists() {
                return Ok(candidate);
            }
            tried.push(candidate);
        }
    }
    Err(missing(name, &tried))
}

fn missing(name: &str, tried: &[PathBuf]) -> String {
    let mut text = format!("Could not find or access '{name}'");
    if tried.len() > 1 {
        text.push_str("\nSearched in:");
        for path in tried {
            text.push_str("\n\t");
            text.push_str(&path.display().to_string());
        }
        text.push_str(" on the Ansible Controller.");
    }
    text
}
