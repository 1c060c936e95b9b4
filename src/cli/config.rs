//! ansible.cfg and the environment: which file counts, what it says, and what the `ANSIBLE_*` variables say instead.
//!
//! Each [`Setting`] of the table is one line: its variables and its keys. Values keep where they come from.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::exit::CliError;
use crate::engine::journal::Decision;

/// What this process was started with; tests make their own.
#[derive(Clone, Debug, Default)]
pub struct Env {
    pub vars: HashMap<String, OsString>,
    pub cwd: PathBuf,
    /// The command line, as it is read when an interrupted run is resumed.
    pub words: Vec<OsString>,
    /// The run that is resumed.
    pub resume: Option<Resume>,
}

/// An interrupted run that is to go on.
#[derive(Clone, Debug)]
pub struct Resume {
    pub id: String,
    /// What is said of steps whose outcome is unknown.
    pub decisions: Vec<Decision>,
}

impl Env {
    pub fn of_process() -> Self {
        let vars = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v))).collect();
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        Env { vars, cwd, ..Env::default() }
    }

    /// Returns a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        self.vars.get(name).map(|v| v.to_string_lossy().into_owned()).filter(|v| !v.is_empty())
    }

    pub fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }

    /// Replaces a leading `~` and `$NAME`, `${NAME}` of variables that exist.
    pub fn expand(&self, text: &str) -> String {
        let text = match (text.strip_prefix('~'), self.home()) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                format!("{}{rest}", home.display())
            }
            _ => text.to_string(),
        };
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let (name, len) =
                match after.strip_prefix('{').and_then(|a| a.find('}').map(|end| (&a[..end], end + 2))) {
                    Some(braced) => braced,
                    None => {
                        let end = after
                            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                            .unwrap_or(after.len());
                        (&after[..end], end)
                    }
                };
            match self.vars.get(name).filter(|_| len > 0) {
                Some(value) => out.push_str(&value.to_string_lossy()),
                None => out.push_str(&rest[at..=at + len]),
            }
            rest = &after[len..];
        }
        out.push_str(rest);
        out
    }

    /// Returns a path below `base` (this directory by default) with `~` and variables replaced.
    pub fn path(&self, text: &str, base: Option<&Path>) -> PathBuf {
        let text = text.replace("{{CWD}}", &self.cwd.to_string_lossy());
        base.unwrap_or(&self.cwd).join(self.expand(&text))
    }
}

/// One setting: the variables that set it, weakest last, and its keys in ansible.cfg.
pub struct Setting {
    pub env: &'static [&'static str],
    pub ini: &'static [(&'static str, &'static str)],
}

macro_rules! settings {
    ($($name:ident = [$($env:literal),*] [$($section:literal . $key:literal),*];)*) => {
        /// Every setting that counts.
        pub const ALL: &[Setting] = &[$($name),*];
        $(pub const $name: Setting = Setting { env: &[$($env),*], ini: &[$(($section, $key)),*] };)*
    };
}

settings! {
    ACTION_WARNINGS = ["ANSIBLE_ACTION_WARNINGS"] ["defaults"."action_warnings"];
    ANY_ERRORS_FATAL = ["ANSIBLE_ANY_ERRORS_FATAL"] ["defaults"."any_errors_fatal"];
    ASK_PASS = ["ANSIBLE_ASK_PASS"] ["defaults"."ask_pass"];
    ASK_VAULT_PASS = ["ANSIBLE_ASK_VAULT_PASS"] ["defaults"."ask_vault_pass"];
    BECOME = ["ANSIBLE_BECOME"] ["privilege_escalation"."become"];
    BECOME_ASK_PASS = ["ANSIBLE_BECOME_ASK_PASS"] ["privilege_escalation"."become_ask_pass"];
    BECOME_EXE = ["ANSIBLE_BECOME_EXE"] ["privilege_escalation"."become_exe"];
    BECOME_FLAGS = ["ANSIBLE_BECOME_FLAGS"] ["privilege_escalation"."become_flags"];
    BECOME_METHOD = ["ANSIBLE_BECOME_METHOD"] ["privilege_escalation"."become_method"];
    BECOME_USER = ["ANSIBLE_BECOME_USER"] ["privilege_escalation"."become_user"];
    BECOME_PASSWORD_FILE = ["ANSIBLE_BECOME_PASSWORD_FILE"] ["defaults"."become_password_file"];
    COLLECTIONS_PATH = ["ANSIBLE_COLLECTIONS_PATH"] ["defaults"."collections_path", "defaults"."collections_paths"];
    CONNECTION_PASSWORD_FILE = ["ANSIBLE_CONNECTION_PASSWORD_FILE"] ["defaults"."connection_password_file"];
    DEPRECATION_WARNINGS = ["ANSIBLE_DEPRECATION_WARNINGS"] ["defaults"."deprecation_warnings"];
    DIFF_ALWAYS = ["ANSIBLE_DIFF_ALWAYS"] ["diff"."always"];
    CALLBACKS_ENABLED = ["ANSIBLE_CALLBACKS_ENABLED"] ["defaults"."callbacks_enabled"];
    CALLBACK_FORMAT_PRETTY = ["ANSIBLE_CALLBACK_FORMAT_PRETTY"] ["defaults"."callback_format_pretty"];
    CALLBACK_RESULT_FORMAT = ["ANSIBLE_CALLBACK_RESULT_FORMAT"] ["defaults"."callback_result_format"];
    CHECK_MODE_MARKERS = ["ANSIBLE_CHECK_MODE_MARKERS"] ["defaults"."check_mode_markers"];
    DIFF_CONTEXT = ["ANSIBLE_DIFF_CONTEXT"] ["diff"."context"];
    DISPLAY_ARGS = ["ANSIBLE_DISPLAY_ARGS_TO_STDOUT"] ["defaults"."display_args_to_stdout"];
    DISPLAY_FAILED_STDERR = ["ANSIBLE_DISPLAY_FAILED_STDERR"] ["defaults"."display_failed_stderr"];
    DISPLAY_OK = ["ANSIBLE_DISPLAY_OK_HOSTS"] ["defaults"."display_ok_hosts"];
    DISPLAY_SKIPPED = ["ANSIBLE_DISPLAY_SKIPPED_HOSTS"] ["defaults"."display_skipped_hosts"];
    DUPLICATE_DICT_KEY = ["ANSIBLE_DUPLICATE_YAML_DICT_KEY"] ["defaults"."duplicate_dict_key"];
    ENABLE_TASK_DEBUGGER = ["ANSIBLE_ENABLE_TASK_DEBUGGER"] ["defaults"."enable_task_debugger"];
    FORCE_COLOR = ["ANSIBLE_FORCE_COLOR"] ["defaults"."force_color"];
    FORCE_HANDLERS = ["ANSIBLE_FORCE_HANDLERS"] ["defaults"."force_handlers"];
    PRIVATE_ROLE_VARS = ["ANSIBLE_PRIVATE_ROLE_VARS"] ["defaults"."private_role_vars"];
    ERROR_ON_MISSING_HANDLER = ["ANSIBLE_ERROR_ON_MISSING_HANDLER"] ["defaults"."error_on_missing_handler"];
    ERROR_ON_UNDEFINED = ["ANSIBLE_ERROR_ON_UNDEFINED_VARS"] ["defaults"."error_on_undefined_vars"];
    FACTS_MODULES = ["ANSIBLE_FACTS_MODULES"] ["defaults"."facts_modules"];
    FACT_CACHE = ["ANSIBLE_CACHE_PLUGIN"] ["defaults"."fact_caching"];
    FACT_CACHE_CONNECTION = ["ANSIBLE_CACHE_PLUGIN_CONNECTION"] ["defaults"."fact_caching_connection"];
    FACT_CACHE_PREFIX = ["ANSIBLE_CACHE_PLUGIN_PREFIX"] ["defaults"."fact_caching_prefix"];
    FACT_CACHE_TIMEOUT = ["ANSIBLE_CACHE_PLUGIN_TIMEOUT"] ["defaults"."fact_caching_timeout"];
    FORKS = ["ANSIBLE_FORKS"] ["defaults"."forks"];
    OPEN_CONNECTIONS = ["XPLAY_OPEN_CONNECTIONS"] ["xplay"."open_connections"];
    GATHER_SUBSET = ["XPLAY_GATHER_SUBSET"] ["xplay"."gather_subset"];
    GATHERING = ["ANSIBLE_GATHERING"] ["defaults"."gathering"];
    HASH_BEHAVIOUR = ["ANSIBLE_HASH_BEHAVIOUR"] ["defaults"."hash_behaviour"];
    HOST_PATTERN_MISMATCH = ["ANSIBLE_HOST_PATTERN_MISMATCH"] ["inventory"."host_pattern_mismatch"];
    HOST_KEY_CHECKING = ["ANSIBLE_HOST_KEY_CHECKING", "ANSIBLE_SSH_HOST_KEY_CHECKING"]
        ["defaults"."host_key_checking", "ssh_connection"."host_key_checking"];
    INJECT_FACT_VARS = ["ANSIBLE_INJECT_FACT_VARS"] ["defaults"."inject_facts_as_vars"];
    INVENTORY = ["ANSIBLE_INVENTORY"] ["defaults"."inventory"];
    INVENTORY_ANY_UNPARSED_FAILED = ["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] ["inventory"."any_unparsed_is_failed"];
    INVENTORY_UNPARSED_FAILED = ["ANSIBLE_INVENTORY_UNPARSED_FAILED"] ["inventory"."unparsed_is_failed"];
    INVENTORY_UNPARSED_WARNING = ["ANSIBLE_INVENTORY_UNPARSED_WARNING"] ["inventory"."inventory_unparsed_warning"];
    JINJA2_NATIVE = ["ANSIBLE_JINJA2_NATIVE"] ["defaults"."jinja2_native"];
    JUNIT_DIR = ["JUNIT_OUTPUT_DIR"] [];
    JUNIT_FAIL_ON_CHANGE = ["JUNIT_FAIL_ON_CHANGE"] [];
    JUNIT_FAIL_ON_IGNORE = ["JUNIT_FAIL_ON_IGNORE"] [];
    JUNIT_PREFIX = ["JUNIT_TEST_CASE_PREFIX"] [];
    JUNIT_RELATIVE_PATH = ["JUNIT_TASK_RELATIVE_PATH"] [];
    JUNIT_SETUP_TASKS = ["JUNIT_INCLUDE_SETUP_TASKS_IN_REPORT"] [];
    JUNIT_TASK_CLASS = ["JUNIT_TASK_CLASS"] [];
    INTERPRETER_PYTHON = ["ANSIBLE_PYTHON_INTERPRETER"] ["defaults"."interpreter_python"];
    INVENTORY_IGNORE_EXTS = ["ANSIBLE_INVENTORY_IGNORE"]
        ["defaults"."inventory_ignore_extensions", "inventory"."ignore_extensions"];
    INVENTORY_IGNORE_PATTERNS = ["ANSIBLE_INVENTORY_IGNORE_REGEX"]
        ["defaults"."inventory_ignore_patterns", "inventory"."ignore_patterns"];
    LIBRARY = ["ANSIBLE_LIBRARY"] ["defaults"."library"];
    LOCALHOST_WARNING = ["ANSIBLE_LOCALHOST_WARNING"] ["defaults"."localhost_warning"];
    LOG_PATH = ["ANSIBLE_LOG_PATH"] ["defaults"."log_path"];
    MODULE_ARGS = ["ANSIBLE_MODULE_ARGS"] ["defaults"."module_args"];
    MODULE_NAME = [] ["defaults"."module_name"];
    MANAGED = [] ["defaults"."ansible_managed"];
    NOCOLOR = ["ANSIBLE_NOCOLOR", "NO_COLOR"] ["defaults"."nocolor"];
    NO_LOG = ["ANSIBLE_NO_LOG"] ["defaults"."no_log"];
    PLAYBOOK_DIR = ["ANSIBLE_PLAYBOOK_DIR"] ["defaults"."playbook_dir"];
    POLL_INTERVAL = ["ANSIBLE_POLL_INTERVAL"] ["defaults"."poll_interval"];
    PRIVATE_KEY_FILE = ["ANSIBLE_PRIVATE_KEY_FILE"] ["defaults"."private_key_file"];
    REMOTE_PORT = ["ANSIBLE_REMOTE_PORT"] ["defaults"."remote_port"];
    REMOTE_USER = ["ANSIBLE_REMOTE_USER"] ["defaults"."remote_user"];
    ROLES_PATH = ["ANSIBLE_ROLES_PATH"] ["defaults"."roles_path"];
    RUN_TAGS = ["ANSIBLE_RUN_TAGS"] ["tags"."run"];
    SHOW_CUSTOM_STATS = ["ANSIBLE_SHOW_CUSTOM_STATS"] ["defaults"."show_custom_stats"];
    SHOW_TASK_PATH_ON_FAILURE = ["ANSIBLE_SHOW_TASK_PATH_ON_FAILURE"]
        ["defaults"."show_task_path_on_failure"];
    SKIP_TAGS = ["ANSIBLE_SKIP_TAGS"] ["tags"."skip"];
    SSH_ARGS = ["ANSIBLE_SSH_ARGS"] ["ssh_connection"."ssh_args"];
    SSH_COMMON_ARGS = ["ANSIBLE_SSH_COMMON_ARGS"] ["ssh_connection"."ssh_common_args"];
    SSH_EXTRA_ARGS = ["ANSIBLE_SSH_EXTRA_ARGS"] ["ssh_connection"."ssh_extra_args"];
    STDOUT_CALLBACK = ["ANSIBLE_STDOUT_CALLBACK"] ["defaults"."stdout_callback"];
    STRATEGY = ["ANSIBLE_STRATEGY"] ["defaults"."strategy"];
    TASK_DEBUGGER_IGNORE_ERRORS = ["ANSIBLE_TASK_DEBUGGER_IGNORE_ERRORS"] ["defaults"."task_debugger_ignore_errors"];
    TASK_TIMEOUT = ["ANSIBLE_TASK_TIMEOUT"] ["defaults"."task_timeout"];
    TIMEOUT = ["ANSIBLE_TIMEOUT", "ANSIBLE_SSH_TIMEOUT"] ["defaults"."timeout", "ssh_connection"."timeout"];
    TRANSPORT = ["ANSIBLE_TRANSPORT"] ["defaults"."transport"];
    VAULT_IDENTITY_LIST = ["ANSIBLE_VAULT_IDENTITY_LIST"] ["defaults"."vault_identity_list"];
    VAULT_PASSWORD_FILE = ["ANSIBLE_VAULT_PASSWORD_FILE"] ["defaults"."vault_password_file"];
    TRANSFORM_GROUP_CHARS = ["ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS"] ["defaults"."force_valid_group_names"];
    TREE_DIR = ["ANSIBLE_CALLBACK_TREE_DIR"] ["callback_tree"."directory"];
    VAULT_ENCRYPT_IDENTITY = ["ANSIBLE_VAULT_ENCRYPT_IDENTITY"] ["defaults"."vault_encrypt_identity"];
    VAULT_ENCRYPT_SALT = ["ANSIBLE_VAULT_ENCRYPT_SALT"] ["defaults"."vault_encrypt_salt"];
    VAULT_ID_MATCH = ["ANSIBLE_VAULT_ID_MATCH"] ["defaults"."vault_id_match"];
    VERBOSITY = ["ANSIBLE_VERBOSITY"] ["defaults"."verbosity"];
}

/// Settings that change what a playbook does and that xplay does not have: variable, section, key, harmless values.
const NOT_SUPPORTED: &[(&str, &str, &str, &[&str])] = &[
    (
        "ANSIBLE_JINJA2_EXTENSIONS",
        "defaults",
        "jinja2_extensions",
        &["jinja2.ext.do", "jinja2.ext.loopcontrols"],
    ),
    ("ANSIBLE_PRECEDENCE", "defaults", "precedence", &[]),
];

/// A value and where it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub value: String,
    pub origin: Origin,
}

/// Where a setting was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Variable(&'static str),
    File { path: PathBuf, line: usize },
}

impl Origin {
    /// As Ansible names it: `env: NAME`, or the file.
    pub fn short(&self) -> String {
        match self {
            Origin::Variable(name) => format!("env: {name}"),
            Origin::File { path, .. } => path.display().to_string(),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Variable(name) => write!(f, "the environment variable {name}"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// All settings of this process, apart from flags.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub env: Env,
    /// The ansible.cfg that counts.
    pub file: Option<PathBuf>,
    ini: HashMap<(String, String), (String, usize)>,
    pub warnings: Vec<String>,
}

impl Config {
    /// Finds and reads ansible.cfg.
    pub fn load(env: Env) -> Result<Config, CliError> {
        let mut config = Config { env, ..Config::default() };
        if let Some(path) = config.find() {
            let bytes = std::fs::read(&path).map_err(|source| CliError::File {
                action: "read",
                path: path.clone(),
                source,
            })?;
            config.ini = parse_ini(&String::from_utf8_lossy(&bytes))
                .map_err(|(line, text)| CliError::option(format!("{}:{line}: {text}", path.display())))?;
            config.file = Some(path);
        }
        config.warn_of_unsupported();
        let missing = super::callbacks::missing(&config);
        config.warnings.extend(missing);
        Ok(config)
    }

    /// Returns the first of Ansible's places that has a readable file.
    fn find(&mut self) -> Option<PathBuf> {
        let mut places = Vec::new();
        if let Some(given) = self.env.get("ANSIBLE_CONFIG") {
            let path = self.env.path(&given, None);
            places.push(if path.is_dir() { path.join("ansible.cfg") } else { path });
        }
        let here = self.env.cwd.join("ansible.cfg");
        let public = std::fs::metadata(&self.env.cwd).is_ok_and(|m| m.mode() & 0o002 != 0);
        if !public {
            places.push(here.clone());
        }
        places.extend(self.env.home().map(|home| home.join(".ansible.cfg")));
        places.push("/etc/ansible/ansible.cfg".into());
        let found = places.into_iter().find(|p| std::fs::File::open(p).is_ok());
        let chosen = self
            .env
            .get("ANSIBLE_CONFIG")
            .is_some_and(|given| found.as_ref().is_some_and(|f| f.starts_with(self.env.path(&given, None))));
        if public && !chosen && here.exists() {
            self.warnings.push(format!(
                "xplay is being run in a world writable directory ({}), ignoring it as an ansible.cfg source",
                self.env.cwd.display()
            ));
        }
        found
    }

    fn warn_of_unsupported(&mut self) {
        for &(variable, section, key, harmless) in NOT_SUPPORTED {
            let found = self.first(&[variable], &[(section, key)]);
            if let Some(found) = found.filter(|f| {
                let value = f.value.to_lowercase();
                !value.split(',').all(|word| harmless.contains(&word.trim()))
            }) {
                self.warnings.push(format!(
                    "{key} = {} ({}) is not supported by xplay and has no effect",
                    found.value, found.origin
                ));
            }
        }
    }

    /// Returns what was said about a setting: the last of its variables that is set, else the file.
    pub fn get(&self, setting: &Setting) -> Option<Found> {
        self.first(setting.env, setting.ini)
    }

    pub(super) fn first(&self, variables: &[&'static str], keys: &[(&str, &str)]) -> Option<Found> {
        let variable = variables
            .iter()
            .rev()
            .find_map(|name| Some(Found { value: self.env.get(name)?, origin: Origin::Variable(name) }));
        variable.or_else(|| {
            keys.iter().rev().find_map(|(section, key)| {
                let (value, line) = self.ini.get(&((*section).to_string(), (*key).to_string()))?;
                let path = self.file.clone()?;
                Some(Found { value: value.clone(), origin: Origin::File { path, line: *line } })
            })
        })
    }

    pub fn text(&self, setting: &Setting) -> Option<String> {
        self.get(setting).map(|found| found.value)
    }

    /// Like Ansible: everything that is not a word for true is false.
    pub fn bool(&self, setting: &Setting) -> Option<bool> {
        let value = self.get(setting)?.value.to_lowercase();
        Some(matches!(value.as_str(), "y" | "yes" | "on" | "1" | "true" | "t"))
    }

    pub fn number<T: std::str::FromStr>(&self, setting: &Setting, what: &str) -> Result<Option<T>, CliError> {
        let Some(found) = self.get(setting) else { return Ok(None) };
        match found.value.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(CliError::option(format!(
                "{what} must be a number, not \"{}\" ({})",
                found.value, found.origin
            ))),
        }
    }

    /// A path; in a file it is relative to that file.
    pub fn path(&self, setting: &Setting) -> Option<PathBuf> {
        let found = self.get(setting)?;
        Some(self.one_path(&found.value, &found.origin))
    }

    /// Paths with a separator in between, each relative like [`Config::path`].
    pub fn paths(&self, setting: &Setting, separator: char) -> Option<Vec<PathBuf>> {
        let found = self.get(setting)?;
        let parts = found.value.split(separator).map(str::trim).filter(|p| !p.is_empty());
        Some(parts.map(|p| self.one_path(p, &found.origin)).collect())
    }

    /// Words with commas in between.
    pub fn list(&self, setting: &Setting) -> Vec<String> {
        let value = self.text(setting).unwrap_or_default();
        value.split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_string).collect()
    }

    fn one_path(&self, text: &str, origin: &Origin) -> PathBuf {
        match origin {
            Origin::Variable(_) => self.env.path(text, None),
            Origin::File { path, .. } => self.env.path(text, path.parent()),
        }
    }
}

type Ini = HashMap<(String, String), (String, usize)>;

/// Reads a file as Python's configparser does with `;` for comments at the end of lines.
fn parse_ini(text: &str) -> Result<Ini, (usize, String)> {
    let mut ini = Ini::new();
    let mut section = String::new();
    let mut last: Option<(String, String)> = None;
    for (index, raw) in text.lines().enumerate() {
        let line = index + 1;
        let content = without_comment(raw);
        let trimmed = content.trim();
        if trimmed.is_empty() {
            continue;
        }
        if raw.starts_with([' ', '\t'])
            && let Some((value, _)) = last.as_ref().and_then(|key| ini.get_mut(key))
        {
            value.push('\n');
            value.push_str(trimmed);
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[') {
            let Some((name, _)) = name.split_once(']') else {
                return Err((line, format!("\"{trimmed}\" is not a section: \"]\" is missing")));
            };
            section = name.to_string();
            last = None;
            continue;
        }
        let Some((key, value)) = trimmed.split_once(['=', ':']) else {
            return Err((line, format!("\"{trimmed}\" is neither \"key = value\" nor \"[section]\"")));
        };
        if section.is_empty() {
            return Err((line, format!("\"{}\" stands before the first [section]", key.trim())));
        }
        let key = (section.clone(), key.trim().to_lowercase());
        ini.insert(key.clone(), (unquote(value.trim()).to_string(), line));
        last = Some(key);
    }
    Ok(ini)
}

/// Cuts a whole-line comment (`#`, `;`) or one behind a space and `;`.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with(['#', ';']) {
        return "";
    }
    let cut = line.match_indices(';').find(|(at, _)| line[..*at].ends_with([' ', '\t'])).map(|(at, _)| at);
    cut.map_or(line, |at| &line[..at])
}

fn unquote(text: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(dir: &Path, vars: &[(&str, &str)]) -> Env {
        let vars = vars.iter().map(|(k, v)| ((*k).to_string(), OsString::from(v))).collect();
        Env { vars, cwd: dir.to_owned(), ..Env::default() }
    }

    fn project(cfg: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ansible.cfg"), cfg).unwrap();
        dir
    }

    #[test]
    fn reads_the_file_as_configparser_does() {
        let dir = project(
            "# comment\n[defaults]\nForks = 7 ; seven\nroles_path: a:~/b:$X/c\n  \n\
             inventory=hosts,\n  more\nremote_user = \"me\"\n[ssh_connection]\nssh_args=-o A=b;c\n",
        );
        let config = Config::load(env(dir.path(), &[("HOME", "/h"), ("X", "/x")])).unwrap();
        assert_eq!(config.number::<usize>(&FORKS, "forks").unwrap(), Some(7));
        let at = |p: &str| dir.path().join(p);
        assert_eq!(config.paths(&ROLES_PATH, ':').unwrap(), [at("a"), "/h/b".into(), "/x/c".into()]);
        assert_eq!(config.paths(&INVENTORY, ',').unwrap(), [at("hosts"), at("more")]);
        assert_eq!(config.text(&REMOTE_USER).unwrap(), "me");
        assert_eq!(config.text(&SSH_ARGS).unwrap(), "-o A=b;c");
        assert_eq!(
            config.get(&FORKS).unwrap().origin.to_string(),
            format!("{}:3", at("ansible.cfg").display())
        );
    }

    #[test]
    fn the_environment_wins() {
        let dir = project("[defaults]\nforks = 7\ngathering = explicit\n");
        let config =
            Config::load(env(dir.path(), &[("ANSIBLE_FORKS", "9"), ("ANSIBLE_GATHERING", "")])).unwrap();
        assert_eq!(config.text(&FORKS).unwrap(), "9");
        assert_eq!(config.text(&GATHERING).unwrap(), "explicit");
    }

    #[test]
    fn a_world_writable_directory_does_not_count() {
        use std::os::unix::fs::PermissionsExt;
        let dir = project("[defaults]\nforks = 7\n");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let config = Config::load(env(dir.path(), &[])).unwrap();
        assert_eq!(config.text(&FORKS), None);
        assert_eq!(
            config.warnings,
            [format!(
                "xplay is being run in a world writable directory ({}), ignoring it as an ansible.cfg source",
                dir.path().display()
            )]
        );
        let named = Config::load(env(dir.path(), &[("ANSIBLE_CONFIG", "ansible.cfg")])).unwrap();
        assert_eq!((named.text(&FORKS).as_deref(), named.warnings.len()), (Some("7"), 0));
    }

    #[test]
    fn mistakes_are_named() {
        let check = |cfg: &str, expect: &str| {
            let dir = project(cfg);
            let error = Config::load(env(dir.path(), &[])).unwrap_err().to_string();
            assert_eq!(error, format!("{}:{expect}", dir.path().join("ansible.cfg").display()));
        };
        check("forks = 1\n", "1: \"forks\" stands before the first [section]");
        check("[defaults\n", "1: \"[defaults\" is not a section: \"]\" is missing");
        check("[defaults]\nforks\n", "2: \"forks\" is neither \"key = value\" nor \"[section]\"");
        let dir = project("[defaults]\nforks = many\n");
        let config = Config::load(env(dir.path(), &[])).unwrap();
        assert_eq!(
            config.number::<usize>(&FORKS, "forks").unwrap_err().to_string(),
            format!("forks must be a number, not \"many\" ({}:2)", dir.path().join("ansible.cfg").display())
        );
    }

    #[test]
    fn settings_without_effect_are_said() {
        let dir = project("[defaults]\nprecedence = all_inventory\nstrategy = linear\n");
        let config = Config::load(env(dir.path(), &[])).unwrap();
        let file = dir.path().join("ansible.cfg");
        assert_eq!(
            config.warnings,
            [format!(
                "precedence = all_inventory ({}:2) is not supported by xplay and has no effect",
                file.display()
            )]
        );
    }
}
