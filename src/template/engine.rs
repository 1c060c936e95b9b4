//! The templar: what rendering needs besides the text and the variables.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::error::{Fail, R, RenderError, RenderErrorKind};
use super::file::FileCache;
use super::interp::Interp;
use super::lookups::{self, SettingValue};
use super::runtime::V;
use super::{Expr, Scope, Tree, TreeKind, Truth};
use crate::diag::{SourceMap, did_you_mean};
use crate::value::{Key, Map, Secret, Value};
use crate::vault::VaultError;

/// Opens a `!vault` text.
pub type VaultOpener = Arc<dyn Fn(&str) -> Result<String, VaultError> + Send + Sync>;

/// Settings of a [`Templar`].
#[derive(Clone)]
pub struct TemplarSettings {
    /// What `{{ ansible_managed }}` says.
    pub ansible_managed: String,
    pub vault: Option<VaultOpener>,
    /// Whether `lookup('pipe')`, `lookup('lines')` and `lookup('password')` may run programs and write files.
    pub local_effects: bool,
    /// What becomes of a template's text that looks like something else.
    pub texts: Texts,
    /// A text whose variables are not there stays as it is written (`error_on_undefined_vars`).
    pub keeps_undefined: bool,
    /// What the lookup `config` knows.
    pub settings: Arc<Vec<SettingValue>>,
}

/// How the text of a template is read in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Texts {
    /// It stays text.
    #[default]
    Kept,
    /// As ansible-core did up to 2.18: a list, a dict or a boolean in the notation of Python or JSON becomes one, and
    /// nothing becomes an empty text.
    Read,
    /// As there with `jinja2_native`: every literal of Python becomes its value.
    Native,
}

impl Default for TemplarSettings {
    fn default() -> Self {
        TemplarSettings {
            ansible_managed: "Ansible managed".to_string(),
            vault: None,
            local_effects: true,
            texts: Texts::default(),
            keeps_undefined: false,
            settings: Arc::default(),
        }
    }
}

/// Compiles and renders. Clones share everything.
#[derive(Clone)]
pub struct Templar(Arc<Inner>);

struct Inner {
    sources: SourceMap,
    settings: TemplarSettings,
    files: FileCache,
    warnings: Mutex<Warnings>,
}

#[derive(Default)]
struct Warnings {
    told: HashSet<String>,
    untold: Vec<String>,
}

impl Templar {
    pub fn new(sources: SourceMap, settings: TemplarSettings) -> Self {
        Templar(Arc::new(Inner {
            sources,
            settings,
            files: FileCache::default(),
            warnings: Mutex::default(),
        }))
    }

    /// Returns one for which a lookup that would run or write something is unknown; what it warns of is not kept.
    pub fn without_effects(&self) -> Templar {
        let settings = TemplarSettings { local_effects: false, ..self.0.settings.clone() };
        Templar::new(self.0.sources.clone(), settings)
    }

    pub fn sources(&self) -> &SourceMap {
        &self.0.sources
    }

    pub fn settings(&self) -> &TemplarSettings {
        &self.0.settings
    }

    pub(super) fn files(&self) -> &FileCache {
        &self.0.files
    }

    /// Renders a value of a project file completely. A string that is one single `{{ }}` keeps the type of its
    /// expression; any other becomes text. What depends on an unknown value is unknown.
    pub fn render(&self, tree: &Tree, scope: &Arc<dyn Scope>) -> Result<Value, RenderError> {
        if let TreeKind::Value(value) = &tree.kind {
            return Ok(value.clone());
        }
        self.with(scope, |interp| interp.tree_value(tree, scope.clone()))
    }

    /// Like [`Templar::render`], without those members of lists that are undefined; nothing when all of it is.
    pub fn render_defined(&self, tree: &Tree, scope: &Arc<dyn Scope>) -> Result<Option<Value>, RenderError> {
        match &tree.kind {
            TreeKind::List(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in items.iter() {
                    out.extend(self.render_defined(item, scope)?);
                }
                Ok(Some(Value::list(out)))
            }
            TreeKind::Map(members) => {
                let mut out = Map::new();
                for (key, value) in members.iter() {
                    let name = self.render(key, scope)?;
                    if let (Some(key), Some(value)) =
                        (Key::from_value(&name), self.render_defined(value, scope)?)
                    {
                        out.insert(key, value);
                    }
                }
                Ok(Some(Value::map(out)))
            }
            _ => match self.render(tree, scope) {
                Err(error) if error.is_undefined() => Ok(None),
                other => other.map(Some),
            },
        }
    }

    /// Like [`Templar::render`], for a map whose own keys are templates too: arguments of `set_fact` and `add_host`.
    pub fn render_keys(&self, tree: &Tree, scope: &Arc<dyn Scope>) -> Result<Value, RenderError> {
        let TreeKind::Map(members) = &tree.kind else { return self.render(tree, scope) };
        let mut map = Map::new();
        for (key, value) in members.iter() {
            let name = self.render(key, scope)?;
            let Some(name) = Key::from_value(&name) else {
                let message = format!("a key must be a text or number, not a {}", name.type_name());
                let fail = Fail::failed(message).through("in this key", key.span);
                return Err(self.fail(*fail, scope));
            };
            map.insert(name, self.render(value, scope)?);
        }
        Ok(Value::map(map))
    }

    /// Returns what is in a text that is encrypted with a vault; nothing for any other text.
    pub fn unlocked(&self, text: &str) -> Option<Result<String, VaultError>> {
        if !text.starts_with("$ANSIBLE_VAULT;") {
            return None;
        }
        Some(self.open_vault(text))
    }

    /// Returns the value of a bare expression.
    pub fn eval(&self, expr: &Expr, scope: &Arc<dyn Scope>) -> Result<Value, RenderError> {
        self.with(scope, |interp| {
            let v = interp.run_formula(&expr.formula)?;
            interp.value(&v)
        })
    }

    /// Returns whether a condition holds.
    pub fn test(&self, expr: &Expr, scope: &Arc<dyn Scope>) -> Result<Truth, RenderError> {
        self.with(scope, |interp| interp.test_formula(&expr.formula))
    }

    /// Runs a lookup for `with_*`; the terms are rendered already.
    pub fn run_lookup(
        &self,
        name: &str,
        terms: &[Value],
        kwargs: &Map,
        scope: &Arc<dyn Scope>,
    ) -> Result<Vec<Value>, RenderError> {
        self.with(scope, |interp| {
            let terms = terms.iter().cloned().map(V::Val).collect();
            let named = kwargs.iter().map(|(k, v)| (k.json_name(), V::Val(v.clone()))).collect();
            let found = lookups::run(interp, name, terms, named)?;
            found.iter().map(|v| interp.value(v)).collect()
        })
    }

    /// Whether a lookup of this name exists, and otherwise the one that was probably meant.
    pub fn check_lookup(&self, name: &str) -> Result<(), Option<&'static str>> {
        if lookups::exists(name) { Ok(()) } else { Err(did_you_mean(name, lookups::names())) }
    }

    /// Returns the warnings that rendering gave since the last call.
    pub fn take_warnings(&self) -> Vec<String> {
        let mut warnings = self.0.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::take(&mut warnings.untold)
    }

    pub(super) fn keeps_undefined(&self) -> bool {
        self.0.settings.keeps_undefined
    }

    /// Whether templates have a function of this name, as Jinja2's have.
    pub fn has_function(name: &str) -> bool {
        name == "lipsum" || super::functions::find(name).is_some()
    }

    /// Keeps a warning; the same one is told once in a run.
    pub fn warn(&self, message: String) {
        let mut warnings = self.0.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if warnings.told.insert(message.clone()) {
            warnings.untold.push(message);
        }
    }

    /// Opens a vault with what the settings have for that.
    pub fn open_vault(&self, text: &str) -> Result<String, VaultError> {
        self.0.settings.vault.as_ref().map_or(Err(VaultError::NoSecrets), |open| open(text))
    }

    pub(super) fn decrypt(&self, text: &str) -> R<Value> {
        self.open_vault(text).map(|plain| Value::Secret(Secret::new(plain))).map_err(|error| {
            let fail = Fail::failed(error.to_string());
            match error.help() {
                Some(help) => fail.help(help),
                None => fail,
            }
        })
    }

    pub(super) fn with<T>(
        &self,
        scope: &Arc<dyn Scope>,
        run: impl FnOnce(&mut Interp<'_>) -> R<T>,
    ) -> Result<T, RenderError> {
        let mut interp = Interp::new(self, scope);
        run(&mut interp).map_err(|fail| self.fail(*fail, scope))
    }

    pub(super) fn fail(&self, mut fail: Fail, scope: &Arc<dyn Scope>) -> RenderError {
        if let (RenderErrorKind::Undefined { name }, None) = (&fail.kind, &fail.help)
            && fail.message == format!("'{name}' is undefined")
        {
            let names = scope.names();
            fail.help =
                did_you_mean(name, names.iter().map(|n| &**n)).map(|best| format!("did you mean `{best}`?"));
        }
        fail.into_error(&self.0.sources)
    }
}

/// Finds a file by a task's search path: in the folder `kind` of each place, then in the place itself.
pub(super) fn find_file(scope: &Arc<dyn Scope>, kind: &str, name: &str) -> Option<PathBuf> {
    candidates(scope, kind, name).into_iter().find(|p| p.exists())
}

/// Returns the paths where [`find_file`] looks.
pub(super) fn candidates(scope: &Arc<dyn Scope>, kind: &str, name: &str) -> Vec<PathBuf> {
    let name = expand_user(name);
    if Path::new(&name).is_absolute() {
        return vec![PathBuf::from(name)];
    }
    let search = scope.search();
    let mut out = Vec::new();
    for dir in search.dirs.iter().chain([&search.playbook_dir]) {
        if !kind.is_empty() && dir.file_name().is_none_or(|n| n != kind) {
            out.push(dir.join(kind).join(&name));
        }
        out.push(dir.join(&name));
    }
    out
}

/// Replaces a leading `~` or `~NAME` by the home directory on this machine.
pub fn expand_user(path: &str) -> String {
    let Some(rest) = path.strip_prefix('~') else { return path.to_string() };
    let (name, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home = match name {
        "" => std::env::var("HOME").ok(),
        name => home_of(name),
    };
    home.map_or_else(|| path.to_string(), |home| format!("{home}{below}"))
}

/// Returns the home directory that this machine's list of users has for a name.
fn home_of(name: &str) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut fields = users.lines().map(|line| line.split(':')).find(|f| f.clone().next() == Some(name))?;
    fields.nth(5).filter(|home| home.starts_with('/')).map(str::to_string)
}
