//! A project as a command needs it: vault passwords, extra variables, inventory, playbooks. All mistakes at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use super::catalog::BuiltIn;
use super::exit::CliError;
use super::gaps;
use super::output::{Output, Voice};
use super::prompt;
use super::settings::{DuplicateKeys, PasswordSettings, Sources, VaultSettings};
use super::survey::Survey;
use crate::diag::{Diagnostic, Diagnostics, Severity, SourceMap};
use crate::engine::Login;
use crate::inventory::{self, HostId, Inventory};
use crate::playbook::{self, Loader, Playbook};
use crate::template::{Templar, TemplarSettings, Texts, Tree, VarMap};
use crate::value::{Key, Secret, Value};
use crate::vault::{self, Password, VaultError, VaultSecrets};
use crate::yaml;

/// What was loaded before anything connects.
pub struct Project {
    pub sources: SourceMap,
    pub templar: Arc<Templar>,
    pub loader: Loader,
    pub inventory: Inventory,
    pub extra_vars: VarMap,
    pub playbooks: Vec<Playbook>,
}

impl Project {
    /// Reads a `--limit`.
    pub fn limit(&self, text: &str, out: &Output) -> Result<Vec<String>, CliError> {
        inventory::read_limit(text).map_err(|d| self.mistake(&d, out))
    }

    /// Returns the hosts of a pattern that the limit leaves, in the pattern's order. Parts that match nothing give
    /// warnings.
    pub fn matching(
        &self,
        pattern: &str,
        limit: Option<&[String]>,
        out: &Output,
    ) -> Result<Vec<HostId>, CliError> {
        let matched = self.inventory.matching(pattern).map_err(|d| self.mistake(&d, out))?;
        out.diagnostics(&self.sources, &matched.warnings);
        let Some(limit) = limit else { return Ok(matched.hosts) };
        let limited = self.inventory.matching_all(limit).map_err(|d| self.mistake(&d, out))?;
        out.diagnostics(&self.sources, &limited.warnings);
        Ok(matched.hosts.into_iter().filter(|h| limited.hosts.contains(h)).collect())
    }

    fn mistake(&self, diagnostic: &Diagnostic, out: &Output) -> CliError {
        out.diagnostics(&self.sources, [diagnostic]);
        CliError::Project
    }
}

/// Loads everything; shows warnings, and all mistakes together.
pub fn load(
    from: &Sources,
    playbooks: &[PathBuf],
    secrets: VaultSecrets,
    out: &Output,
) -> Result<Project, CliError> {
    let (project, mut found) = collect(from, playbooks, secrets, out)?;
    // Ansible's programs get as far as the include.
    if out.voice == Voice::Own && !found.has_errors() {
        in_includes(&project, &mut found);
    }
    out.diagnostics(&project.sources, found.iter());
    for warning in project.templar.take_warnings() {
        out.warning(&warning);
    }
    if found.has_errors() {
        let count = found.errors.len();
        if count > 1 {
            out.error(&format!("{count} mistakes found, nothing was run"));
        }
        let locked = found.errors.iter().any(|mistake| mistake.code == "XP0511");
        return Err(if locked { CliError::Locked } else { CliError::Project });
    }
    Ok(project)
}

/// Adds what is wrong in files that tasks include, as far as their names are known before the run: errors where nothing
/// stands between the start and the include. A file that is missing may be made by the run.
fn in_includes(project: &Project, found: &mut Diagnostics) {
    const MISSING: [&str; 4] = ["XP0503", "XP0620", "XP0621", "XP0624"];
    let mut told: Vec<(&str, String, String)> = Vec::new();
    let plays = project.playbooks.iter().flat_map(|book| &book.plays);
    for mistake in plays.flat_map(|play| {
        let Diagnostics { errors, warnings } = Survey::new(project, play).found;
        errors.into_iter().chain(warnings).collect::<Vec<_>>()
    }) {
        let place = mistake.labels.first().map(|label| project.sources.place(label.span));
        let place = place.map_or_else(String::new, |p| format!("{}:{}", p.path.display(), p.line));
        let key = (mistake.code, mistake.message.clone(), place);
        if !MISSING.contains(&mistake.code) && !told.contains(&key) {
            told.push(key);
            found.push(mistake);
        }
    }
}

/// Loads everything that can be loaded; returns what is wrong with the rest beside it.
pub fn collect(
    from: &Sources,
    playbooks: &[PathBuf],
    secrets: VaultSecrets,
    out: &Output,
) -> Result<(Project, Diagnostics), CliError> {
    let sources = SourceMap::new();
    let templar = Arc::new(Templar::new(sources.clone(), templar_settings(from, secrets, out)));
    let mut found = Diagnostics::new();
    let given: Vec<inventory::Source> = from.inventory.iter().map(|s| inventory::Source::parse(s)).collect();
    let options = inventory::LoadOptions {
        // Ansible's programs go on without a source that is not there.
        missing_is_error: !from.inventory_is_default && (out.voice == Voice::Own || from.unparsed_is_failed),
        none_is_error: from.none_parsed_is_failed,
        missing_is_silent: out.voice == Voice::Ansible && !from.unparsed_warning,
        group_names: from.group_names,
        ignored: from.ignored_sources.clone(),
        merge_dicts: from.merge_dicts,
    };
    let present = given.iter().any(|s| match s {
        inventory::Source::Path(path) => path.exists(),
        inventory::Source::List(_) => true,
    });
    let loaded = if from.inventory_is_default && !present {
        Ok((Inventory::new(), Vec::new()))
    } else {
        inventory::load(&given, &templar, &sources, &options)
    };
    let inventory = match loaded {
        Ok((mut inventory, warnings)) => {
            found.extend(warnings);
            if let Some(python) = &from.python {
                inventory.set_implicit_var("ansible_python_interpreter", Value::str(python.as_str()));
            }
            inventory
        }
        Err(errors) => {
            found.extend(errors);
            Inventory::new()
        }
    };
    let catalog = Arc::new(BuiltIn);
    let mut options = playbook::LoadOptions {
        templar: templar.clone(),
        sources: sources.clone(),
        roles_path: from.roles_path.clone(),
        collections_path: from.collections_path.clone(),
        catalog,
        extra_vars: VarMap::default(),
        library: from.library.clone(),
        private_role_vars: from.private_role_vars,
        base: from.keywords.directives(),
    };
    let extra_vars = extra_vars(&from.extra_vars, &options, out, &mut found)?;
    options.extra_vars = extra_vars.clone();
    let loader = Loader::new(options);
    for (path, text) in &from.typed {
        loader.preload(path, text);
    }
    let mut books = Vec::new();
    for path in playbooks {
        match loader.load_playbook(path) {
            Ok((book, warnings)) => {
                found.extend(warnings);
                let dir = path.parent().unwrap_or(Path::new("."));
                found.extend(book.plays.iter().flat_map(|play| gaps::in_play(play, &loader, dir)));
                books.push(book);
            }
            Err(errors) => found.extend(errors),
        }
    }
    found.extend(playbook::missing_vars_files(books.iter().flat_map(|b| &b.plays)));
    found = judge_duplicates(found, from.duplicate_keys);
    let project = Project { sources, templar, loader, inventory, extra_vars, playbooks: books };
    Ok((project, found))
}

/// Applies the setting about keys that are given twice.
fn judge_duplicates(found: Diagnostics, setting: DuplicateKeys) -> Diagnostics {
    const CODE: &str = "XP0103";
    let mut judged = Diagnostics::new();
    for mut diagnostic in found.errors.into_iter().chain(found.warnings) {
        if diagnostic.code == CODE {
            match setting {
                DuplicateKeys::Ignore => continue,
                DuplicateKeys::Error => diagnostic.severity = Severity::Error,
                DuplicateKeys::Warn => {}
            }
        }
        judged.push(diagnostic);
    }
    judged
}

fn templar_settings(from: &Sources, secrets: VaultSecrets, out: &Output) -> TemplarSettings {
    let masking = out.secrets.clone();
    let open = move |text: &str| {
        let plain = vault::decrypt(text.as_bytes(), &secrets)?;
        let plain = String::from_utf8(plain).map_err(|_| VaultError::NotText)?;
        masking.add(&plain);
        for value in values_of(&plain) {
            masking.add(&value);
        }
        Ok(plain)
    };
    let defaults = TemplarSettings::default();
    TemplarSettings {
        ansible_managed: from.managed.clone().unwrap_or(defaults.ansible_managed),
        vault: Some(Arc::new(open)),
        texts: match (from.native_types, out.voice) {
            (true, _) => Texts::Native,
            // Under Ansible's names playbooks mean what they meant up to 2.18.
            (false, Voice::Ansible) => Texts::Read,
            (false, Voice::Own) => Texts::Kept,
        },
        settings: from.all.clone(),
        keeps_undefined: from.keeps_undefined,
        local_effects: !from.looks_only,
    }
}

/// Shorter values of an encrypted file are words that stand everywhere, such as names of users.
const SHORTEST_IN_FILE: usize = 6;

/// Returns the values of an encrypted file of variables, each of which is a secret by itself.
fn values_of(plain: &str) -> Vec<String> {
    fn leaves(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::List(items) => items.iter().for_each(|v| leaves(v, found)),
            Value::Map(map) => map.values().for_each(|v| leaves(v, found)),
            Value::Str(_) | Value::Int(_) | Value::Float(_) => {
                let text = value.to_text();
                if text.chars().count() >= SHORTEST_IN_FILE {
                    found.push(text);
                }
            }
            _ => {}
        }
    }
    let sources = SourceMap::new();
    let file = sources.add("<vault>", plain);
    let mut found = Vec::new();
    if let Ok(parsed) = yaml::parse(&sources, file)
        && let Some(Value::Map(map)) = parsed.documents.first().map(yaml::Node::to_value)
    {
        leaves(&Value::Map(map.clone()), &mut found);
    }
    found
}

/// Reads `-e`: `@file`, YAML or JSON, `key=value` pairs; later ones win.
fn extra_vars(
    given: &[String],
    options: &playbook::LoadOptions,
    out: &Output,
    found: &mut Diagnostics,
) -> Result<VarMap, CliError> {
    let mut all: IndexMap<Arc<str>, Tree> = IndexMap::new();
    for text in given {
        let text = text.trim();
        if let Some(path) = text.strip_prefix('@') {
            if !Path::new(path).exists() {
                return Err(CliError::cannot(format!("cannot read `{path}`: no such file")));
            }
            match Loader::new(options.clone()).load_vars(Path::new(path)) {
                Ok(vars) => all.extend(vars.iter().map(|(k, v)| (k.clone(), v.clone()))),
                Err(errors) => found.extend(errors),
            }
        } else if text.starts_with(['{', '[']) {
            match inline(text, options) {
                Ok(vars) => all.extend(vars),
                Err(diagnostic) => found.push(diagnostic),
            }
        } else if text.starts_with(['/', '.']) {
            return Err(CliError::option(format!("\"{text}\" after -e looks like a file"))
                .with_help(format!("write -e @{text}")));
        } else {
            let (pairs, rest) = playbook::pairs(text).ok_or_else(|| {
                CliError::option(format!("a quote or a template is not closed in -e \"{text}\""))
            })?;
            if let Some(rest) = rest {
                out.warning(&format!("\"{rest}\" after -e is not key=value and has no effect"));
            }
            for (key, value) in pairs {
                let file = options.sources.add("<-e>", text);
                match options.templar.compile_str(&value, Some(options.sources.whole(file))) {
                    Ok(tree) => {
                        all.insert(key.into(), tree);
                    }
                    Err(diagnostic) => found.push(diagnostic),
                }
            }
        }
    }
    Ok(Arc::new(all))
}

fn inline(text: &str, options: &playbook::LoadOptions) -> Result<Vec<(Arc<str>, Tree)>, Diagnostic> {
    let file = options.sources.add("<-e>", text);
    let parsed = yaml::parse(&options.sources, file)?;
    let not_a_map = || {
        Diagnostic::error("XP0901", "extra variables must be a map of names and values")
            .at(options.sources.whole(file), "this is something else")
    };
    let node = parsed.documents.first().ok_or_else(not_a_map)?;
    let Value::Map(map) = node.to_value() else { return Err(not_a_map()) };
    map.iter()
        .map(|(key, value)| {
            let name: Arc<str> = match key {
                Key::Str(name) => name.clone(),
                other => other.json_name(),
            };
            Ok((name, options.templar.compile_value(value, Some(node.span))?))
        })
        .collect()
}

/// Reads or asks for vault passwords. As with Ansible a source that fails only matters when no other works.
pub fn vault_secrets(settings: &VaultSettings, out: &Output) -> Result<VaultSecrets, CliError> {
    let mut secrets = VaultSecrets::new();
    if settings.match_labels {
        secrets.match_labels();
    }
    let mut failed = None;
    if settings.ask {
        let password = prompt::password("Vault password: ")?;
        secrets.push("default", Password::new(password.expose().as_bytes()));
    }
    for source in &settings.sources {
        match source {
            vault::Source::Prompt { label } => {
                let password = prompt::password(&format!("Vault password ({label}): "))?;
                secrets.push(label.as_str(), Password::new(password.expose().as_bytes()));
            }
            vault::Source::File { label, path } => {
                if let Err(error) = secrets.load(label, path) {
                    let text = super::chain(&error);
                    let what = if path.exists() {
                        "Error in vault password file loading"
                    } else {
                        "Error getting vault password file"
                    };
                    out.warning(&format!("{what} ({label}): {text}"));
                    failed.get_or_insert(text);
                }
            }
        }
    }
    for password in secrets.passwords() {
        out.secrets.add(&String::from_utf8_lossy(password.expose()));
    }
    match failed {
        Some(text) if secrets.is_empty() => {
            Err(CliError::cannot(text).with_help("create the file, or pass --ask-vault-pass"))
        }
        _ => Ok(secrets),
    }
}

/// Asks for or reads the passwords of login and become.
pub fn login_passwords(settings: &PasswordSettings, login: &mut Login, out: &Output) -> Result<(), CliError> {
    let mut become_prompt = "BECOME password: ";
    if settings.ask_login {
        login.password = Some(prompt::password("SSH password: ")?);
        become_prompt = "BECOME password[defaults to SSH password]: ";
    } else if let Some(path) = &settings.login_file {
        login.password = Some(password_file(path)?);
    }
    if settings.ask_become {
        let typed = prompt::password(become_prompt)?;
        let same = typed.expose().is_empty() && settings.ask_login;
        login.become_password = if same { login.password.clone() } else { Some(typed) };
    } else if let Some(path) = &settings.become_file {
        login.become_password = Some(password_file(path)?);
    }
    for password in [&login.password, &login.become_password].into_iter().flatten() {
        if !out.secrets.add(password.expose()) && !password.expose().is_empty() {
            out.warning("a password is shorter than 4 characters and cannot be masked in output");
        }
    }
    Ok(())
}

fn password_file(path: &Path) -> Result<Secret, CliError> {
    let password = vault::load_password_file(path, None)
        .map_err(|e| CliError::cannot(super::chain(&e).replace("vault password", "password")))?;
    Ok(Secret::new(String::from_utf8_lossy(password.expose()).into_owned()))
}
