//! What the flags mean together with the environment and ansible.cfg. Made once, before anything is loaded.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::args::{
    ApplyArgs, BecomeArgs, ColorWhen, HostArgs, LoginArgs, ModeArgs, OutputArgs, RunArgs, TaskArgs, VarArgs,
    VaultArgs,
};
use super::callbacks;
use super::config::{self as key, Config, Env};
use super::exit::CliError;
use crate::engine::{Extent, FactCache, Gather, Login, Mismatch, RunOptions, Strategy};
use crate::inventory::{GroupNames, Ignored};
use crate::playbook::Directives;
use crate::report::{ResultFormat, ResultStyle, TerminalOptions};
use crate::template::{SettingValue, Tree};
use crate::transport::{BecomeMethod, HostKeyPolicy};
use crate::vault;

/// Where Ansible looks for hosts when nothing is said.
const DEFAULT_INVENTORY: &str = "/etc/ansible/hosts";
/// What `-v` repeated can mean at most.
const MAX_VERBOSITY: u8 = 6;

/// Where hosts, roles and variables come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// Inventory sources as `inventory` reads them: a path, or a list of hosts with a comma.
    pub inventory: Vec<String>,
    /// Whether they are only the default, which may be absent.
    pub inventory_is_default: bool,
    /// Files in directories of inventories that are none: endings and patterns, where settings say so.
    pub ignored_sources: Ignored,
    /// A source that cannot be read ends the program, by setting.
    pub unparsed_is_failed: bool,
    /// So does it when none can be read.
    pub none_parsed_is_failed: bool,
    /// Sources that cannot be read are told.
    pub unparsed_warning: bool,
    /// An inventory without hosts is told.
    pub localhost_warning: bool,
    pub group_names: GroupNames,
    pub roles_path: Vec<PathBuf>,
    pub collections_path: Vec<PathBuf>,
    pub extra_vars: Vec<String>,
    pub managed: Option<String>,
    /// The Python that modules on this machine run with, where there is one.
    pub python: Option<String>,
    /// `jinja2_native`.
    pub native_types: bool,
    /// A text whose variables are not there stays as it is written.
    pub keeps_undefined: bool,
    /// What a key that is given twice in a mapping is.
    pub duplicate_keys: DuplicateKeys,
    /// Dicts of several layers or inventories are merged (`hash_behaviour`).
    pub merge_dicts: bool,
    /// Directories with modules that are files.
    pub library: Vec<PathBuf>,
    /// Every setting by name, for playbooks that ask for them.
    pub all: Arc<Vec<SettingValue>>,
    /// Whether variables of roles stay inside of them, where that was said.
    pub private_role_vars: Option<bool>,
    /// Keywords that hold where no play says otherwise, by settings.
    pub keywords: KeywordDefaults,
    /// Nothing is to be run or written: lookups start no programs.
    pub looks_only: bool,
    /// Playbooks that are no files, with the paths that they stand for.
    pub typed: Vec<(PathBuf, String)>,
}

/// Settings that are the defaults of keywords.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeywordDefaults {
    pub any_errors_fatal: Option<bool>,
    pub no_log: Option<bool>,
    /// In seconds.
    pub timeout: Option<String>,
    pub become_exe: Option<String>,
    pub become_flags: Option<String>,
}

impl KeywordDefaults {
    /// Returns them as if a play said so.
    pub fn directives(&self) -> Directives {
        let text = |text: &Option<String>| text.as_deref().map(Tree::value);
        Directives {
            any_errors_fatal: self.any_errors_fatal.map(Tree::value),
            no_log: self.no_log.map(Tree::value),
            timeout: text(&self.timeout),
            become_exe: text(&self.become_exe),
            become_flags: text(&self.become_flags),
            ..Directives::default()
        }
    }
}

/// Ansible's `duplicate_dict_key`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuplicateKeys {
    #[default]
    Warn,
    Error,
    Ignore,
}

/// Which vault passwords there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VaultSettings {
    pub sources: Vec<vault::Source>,
    /// `--ask-vault-pass`, with its own prompt.
    pub ask: bool,
    /// Only passwords under a vault's own label are tried.
    pub match_labels: bool,
}

/// Which passwords to ask for or to read before connecting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PasswordSettings {
    pub ask_login: bool,
    pub login_file: Option<PathBuf>,
    pub ask_become: bool,
    pub become_file: Option<PathBuf>,
}

/// How events are shown and kept.
#[derive(Clone, Debug)]
pub struct OutputSettings {
    pub format: Format,
    pub extras: callbacks::Extras,
    pub report: ReportTo,
    pub terminal: TerminalOptions,
}

/// The form of a run's text on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// That of Ansible's default callback.
    Default,
    Minimal,
    OneLine,
    /// The whole run at its end.
    Json,
    /// Every event, for programs.
    JsonLines,
}

/// Where the HTML report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportTo {
    Nowhere,
    File(PathBuf),
    /// A new file in this directory.
    Directory(PathBuf),
}

/// Settings of `xplay run`.
#[derive(Clone, Debug)]
pub struct RunSettings {
    pub sources: Sources,
    pub vault: VaultSettings,
    pub passwords: PasswordSettings,
    pub options: RunOptions,
    pub output: OutputSettings,
}

impl RunSettings {
    pub fn new(args: &RunArgs, color: Option<ColorWhen>, config: &Config) -> Result<Self, CliError> {
        let mut options = RunOptions {
            forks: forks(args.forks.as_deref(), config)?,
            force_handlers: args.force_handlers || config.bool(&key::FORCE_HANDLERS).unwrap_or(false),
            open_files: open_files(config)?,
            gather: gathering(config)?,
            extent: extent(config)?,
            fact_cache: fact_cache(config)?,
            flush_cache: args.flush_cache,
            time_limit: time_limit(args.time_limit.as_deref())?,
            missing_handlers_are_errors: config.bool(&key::ERROR_ON_MISSING_HANDLER).unwrap_or(true),
            native_types: config.bool(&key::JINJA2_NATIVE).unwrap_or(false),
            strategy: strategy(config)?,
            python: python(&config.env),
            inject_facts: config.bool(&key::INJECT_FACT_VARS).unwrap_or(true),
            facts_modules: Some(config.list(&key::FACTS_MODULES))
                .filter(|names| !names.is_empty())
                .unwrap_or_else(|| vec!["smart".into()]),
            interpreter_python: config.text(&key::INTERPRETER_PYTHON),
            poll_secs: config.number(&key::POLL_INTERVAL, "seconds")?.unwrap_or(15.0),
            shows_arguments: config.bool(&key::DISPLAY_ARGS).unwrap_or(false),
            debugs_failures: config.bool(&key::ENABLE_TASK_DEBUGGER).unwrap_or(false),
            debugger_spares_ignored: config.bool(&key::TASK_DEBUGGER_IGNORE_ERRORS).unwrap_or(true),
            merge_dicts: merges_dicts(config),
            mismatch: match config.text(&key::HOST_PATTERN_MISMATCH).as_deref() {
                Some("error") => Mismatch::Error,
                Some("ignore") => Mismatch::Ignored,
                _ => Mismatch::Told,
            },
            login: login(&args.login, &args.r#become, config)?,
            limit: joined(&args.hosts.limit),
            ..RunOptions::default()
        };
        apply_tasks(&mut options, &args.tasks, config);
        if args.list.list_tags && options.tags.is_empty() && options.skip_tags.is_empty() {
            options.tags = vec!["never".into(), "all".into()];
        }
        apply_mode(&mut options, &args.mode, args.output.verbose, config)?;
        let mut sources = sources(&args.hosts, &args.vars, config);
        let typed = args.module_path.iter().flat_map(|paths| paths.split(':'));
        sources.library.splice(0..0, typed.map(|path| config.env.path(path, None)));
        Ok(RunSettings {
            sources,
            vault: vault_settings(&args.vault, config),
            passwords: passwords(&args.login, &args.r#become, config),
            output: output(&args.output, color, &options, config)?,
            options,
        })
    }
}

impl RunSettings {
    /// What `apply` has to know besides the plan.
    pub fn of_apply(args: &ApplyArgs, color: Option<ColorWhen>, config: &Config) -> Result<Self, CliError> {
        let keys = &args.keys;
        let login_args = LoginArgs {
            ask_pass: keys.ask_pass,
            connection_password_file: keys.connection_password_file.clone(),
            private_key: keys.private_key.clone(),
            timeout: keys.timeout.clone(),
            ..LoginArgs::default()
        };
        let become_args = BecomeArgs {
            ask_become_pass: keys.ask_become_pass,
            become_password_file: keys.become_password_file.clone(),
            ..BecomeArgs::default()
        };
        let mut options = RunOptions {
            forks: forks(args.forks.as_deref(), config)?,
            login: login(&login_args, &become_args, config)?,
            time_limit: time_limit(args.time_limit.as_deref())?,
            ..RunOptions::default()
        };
        let mode = ModeArgs { check: false, diff: args.diff };
        apply_mode(&mut options, &mode, args.output.verbose, config)?;
        Ok(RunSettings {
            sources: Sources::default(),
            vault: vault_settings(&args.vault, config),
            passwords: passwords(&login_args, &become_args, config),
            output: output(&args.output, color, &options, config)?,
            options,
        })
    }

    /// Files with passwords and keys.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let vaults = self.vault.sources.iter().filter_map(|source| match source {
            vault::Source::File { path, .. } => Some(path.clone()),
            vault::Source::Prompt { .. } => None,
        });
        let others = [&self.passwords.login_file, &self.passwords.become_file, &self.options.login.key];
        vaults.chain(others.into_iter().flatten().cloned()).collect()
    }
}

/// Returns whether to use colours on stdout and on stderr.
pub fn colors(when: Option<ColorWhen>, config: &Config) -> (bool, bool) {
    match when {
        Some(ColorWhen::Always) => return (true, true),
        Some(ColorWhen::Never) => return (false, false),
        Some(ColorWhen::Auto) | None => {}
    }
    if config.bool(&key::FORCE_COLOR) == Some(true) {
        return (true, true);
    }
    // NO_COLOR counts with any value, ANSIBLE_NOCOLOR and the file only with a word for true.
    let refused = config.env.get("NO_COLOR").is_some() || config.bool(&key::NOCOLOR) == Some(true);
    let dumb = config.env.get("TERM").is_some_and(|t| t == "dumb");
    if refused || dumb {
        return (false, false);
    }
    (std::io::stdout().is_terminal(), std::io::stderr().is_terminal())
}

/// Finds Python on this machine. Nothing here needs it; playbooks ask for its path.
fn python(env: &Env) -> Option<String> {
    let path = env.get("PATH")?;
    let found = |name: &str| {
        path.split(':').map(|dir| Path::new(dir).join(name)).find(|file| file.is_absolute() && file.is_file())
    };
    found("python3").or_else(|| found("python")).map(|file| file.display().to_string())
}

/// Returns the directory that stands for that of a playbook where there is none.
pub fn playbook_dir(typed: Option<&Path>, config: &Config) -> Option<PathBuf> {
    let typed = typed.map(|dir| config.env.path(&dir.to_string_lossy(), None));
    typed.or_else(|| config.path(&key::PLAYBOOK_DIR))
}

/// Which files in directories of inventories do not count.
fn ignored_sources(config: &Config) -> Ignored {
    Ignored {
        endings: Some(config.list(&key::INVENTORY_IGNORE_EXTS)).filter(|endings| !endings.is_empty()),
        patterns: config.list(&key::INVENTORY_IGNORE_PATTERNS),
    }
}

/// Whether dicts of several layers are one.
fn merges_dicts(config: &Config) -> bool {
    config.text(&key::HASH_BEHAVIOUR).is_some_and(|how| how == "merge")
}

/// Returns where hosts, roles and variables come from.
pub fn sources(hosts: &HostArgs, vars: &VarArgs, config: &Config) -> Sources {
    let configured: Vec<String> = config
        .paths(&key::INVENTORY, ',')
        .unwrap_or_default()
        .iter()
        .map(|p| p.to_string_lossy().into_owned())
        .collect();
    let is_default = hosts.inventory.is_empty() && configured.is_empty();
    let inventory = match (hosts.inventory.is_empty(), is_default) {
        (false, _) => hosts.inventory.clone(),
        (true, true) => vec![DEFAULT_INVENTORY.to_string()],
        (true, false) => configured,
    };
    let home = config.env.home();
    let below_home = |what: &str| home.as_ref().map(|h| h.join(".ansible").join(what));
    let roles = || {
        let system = ["/usr/share/ansible/roles", "/etc/ansible/roles"].map(PathBuf::from);
        below_home("roles").into_iter().chain(system).collect()
    };
    let collections = || {
        let system = PathBuf::from("/usr/share/ansible/collections");
        below_home("collections").into_iter().chain([system]).collect()
    };
    Sources {
        inventory,
        inventory_is_default: is_default,
        roles_path: config.paths(&key::ROLES_PATH, ':').unwrap_or_else(roles),
        collections_path: config.paths(&key::COLLECTIONS_PATH, ':').unwrap_or_else(collections),
        extra_vars: vars.extra_vars.clone(),
        managed: config.text(&key::MANAGED),
        python: python(&config.env),
        native_types: config.bool(&key::JINJA2_NATIVE).unwrap_or(false),
        duplicate_keys: match config.text(&key::DUPLICATE_DICT_KEY).as_deref() {
            Some("ignore") => DuplicateKeys::Ignore,
            Some("error") => DuplicateKeys::Error,
            _ => DuplicateKeys::Warn,
        },
        library: config.paths(&key::LIBRARY, ':').unwrap_or_default(),
        all: Arc::new(super::setting_table::all(config)),
        keeps_undefined: config.bool(&key::ERROR_ON_UNDEFINED) == Some(false),
        ignored_sources: ignored_sources(config),
        unparsed_is_failed: config.bool(&key::INVENTORY_ANY_UNPARSED_FAILED).unwrap_or(false),
        none_parsed_is_failed: config.bool(&key::INVENTORY_UNPARSED_FAILED).unwrap_or(false),
        unparsed_warning: config.bool(&key::INVENTORY_UNPARSED_WARNING).unwrap_or(true),
        localhost_warning: config.bool(&key::LOCALHOST_WARNING).unwrap_or(true),
        group_names: match config.text(&key::TRANSFORM_GROUP_CHARS).as_deref() {
            Some("always") => GroupNames::Replaced,
            Some("silently") => GroupNames::ReplacedSilently,
            Some("ignore") => GroupNames::KeptSilently,
            _ => GroupNames::Kept,
        },
        merge_dicts: merges_dicts(config),
        private_role_vars: config.bool(&key::PRIVATE_ROLE_VARS),
        keywords: KeywordDefaults {
            any_errors_fatal: config.bool(&key::ANY_ERRORS_FATAL),
            no_log: config.bool(&key::NO_LOG),
            timeout: config.text(&key::TASK_TIMEOUT).filter(|text| text != "0"),
            become_exe: config.text(&key::BECOME_EXE),
            become_flags: config.text(&key::BECOME_FLAGS),
        },
        looks_only: false,
        typed: Vec::new(),
    }
}

/// Returns where vault passwords come from, in the order in which they are tried: configured ones first.
pub fn vault_settings(args: &VaultArgs, config: &Config) -> VaultSettings {
    let place = |source: vault::Source, base: Option<&std::path::Path>| match source {
        vault::Source::File { label, path } => {
            vault::Source::File { label, path: config.env.path(&path.to_string_lossy(), base) }
        }
        prompt => prompt,
    };
    let file = |path: PathBuf| vault::Source::File { label: "default".into(), path };
    let config_dir = match config.get(&key::VAULT_IDENTITY_LIST).map(|found| found.origin) {
        Some(key::Origin::File { path, .. }) => path.parent().map(PathBuf::from),
        _ => None,
    };
    let mut sources: Vec<_> = config
        .list(&key::VAULT_IDENTITY_LIST)
        .iter()
        .map(|id| place(vault::Source::parse(id), config_dir.as_deref()))
        .collect();
    sources.extend(args.vault_id.iter().map(|id| place(vault::Source::parse(id), None)));
    sources.extend(args.vault_password_file.iter().map(|path| place(file(path.clone()), None)));
    sources.extend(config.path(&key::VAULT_PASSWORD_FILE).map(file));
    let ask = args.ask_vault_pass || config.bool(&key::ASK_VAULT_PASS).unwrap_or(false);
    VaultSettings { sources, ask, match_labels: config.bool(&key::VAULT_ID_MATCH).unwrap_or(false) }
}

/// Returns which passwords are needed before connecting.
pub fn passwords(login: &LoginArgs, r#become: &BecomeArgs, config: &Config) -> PasswordSettings {
    let typed = |path: &Option<PathBuf>| path.as_ref().map(|p| config.env.path(&p.to_string_lossy(), None));
    PasswordSettings {
        ask_login: login.ask_pass || config.bool(&key::ASK_PASS).unwrap_or(false),
        login_file: typed(&login.connection_password_file)
            .or_else(|| config.path(&key::CONNECTION_PASSWORD_FILE)),
        ask_become: r#become.ask_become_pass || config.bool(&key::BECOME_ASK_PASS).unwrap_or(false),
        become_file: typed(&r#become.become_password_file)
            .or_else(|| config.path(&key::BECOME_PASSWORD_FILE)),
    }
}

/// Returns how to log in where variables and keywords do not say it.
pub fn login(args: &LoginArgs, r#become: &BecomeArgs, config: &Config) -> Result<Login, CliError> {
    let defaults = Login::default();
    let timeout = match &args.timeout {
        Some(text) => Some(parse_number::<u64>(text, "--timeout")?),
        None => config.number(&key::TIMEOUT, "timeout")?,
    };
    let common = args.ssh_common_args.clone().or_else(|| config.text(&key::SSH_COMMON_ARGS));
    let extra = args.ssh_extra_args.clone().or_else(|| config.text(&key::SSH_EXTRA_ARGS));
    let method = r#become.become_method.clone().or_else(|| config.text(&key::BECOME_METHOD));
    Ok(Login {
        connection: args.connection.clone().or_else(|| config.text(&key::TRANSPORT)).filter(|c| c != "smart"),
        user: args.user.clone().or_else(|| config.text(&key::REMOTE_USER)),
        port: config.number(&key::REMOTE_PORT, "remote_port")?,
        key: args
            .private_key
            .as_ref()
            .map(|p| config.env.path(&p.to_string_lossy(), None))
            .or_else(|| config.path(&key::PRIVATE_KEY_FILE)),
        host_keys: match config.bool(&key::HOST_KEY_CHECKING) {
            Some(false) => Some(HostKeyPolicy::Off),
            _ => None,
        },
        timeout: timeout.map(Duration::from_secs),
        ssh_args: config.text(&key::SSH_ARGS).unwrap_or_default(),
        common_args: common.unwrap_or_default(),
        extra_args: extra.unwrap_or_default(),
        r#become: r#become.r#become || config.bool(&key::BECOME).unwrap_or(false),
        become_user: r#become
            .become_user
            .clone()
            .or_else(|| config.text(&key::BECOME_USER))
            .unwrap_or(defaults.become_user),
        become_method: become_method(method.as_deref())?,
        ..Login::default()
    })
}

/// Returns how many hosts are busy at once.
pub fn forks(typed: Option<&str>, config: &Config) -> Result<usize, CliError> {
    let forks = match typed {
        Some(text) => Some(parse_number(text, "--forks")?),
        None => config.number(&key::FORKS, "forks")?,
    };
    match forks {
        Some(0) => Err(CliError::Usage("the number of forks must be at least 1".into())),
        Some(n) => Ok(n),
        None => Ok(RunOptions::default().forks),
    }
}

/// Adds the choice of tasks.
pub fn apply_tasks(options: &mut RunOptions, args: &TaskArgs, config: &Config) {
    let split = |typed: &[String], setting: &key::Setting| {
        let words: Vec<String> = typed
            .iter()
            .flat_map(|t| t.split(','))
            .map(|t| t.trim().to_string())
            .filter(|t| !t.is_empty())
            .collect();
        if words.is_empty() { config.list(setting) } else { words }
    };
    options.tags = split(&args.tags, &key::RUN_TAGS);
    options.skip_tags = split(&args.skip_tags, &key::SKIP_TAGS);
    options.start_at_task.clone_from(&args.start_at_task);
    options.step = args.step;
}

/// Adds check mode, differences and verbosity.
pub fn apply_mode(
    options: &mut RunOptions,
    mode: &ModeArgs,
    verbose: u8,
    config: &Config,
) -> Result<(), CliError> {
    options.check = mode.check;
    options.diff = mode.diff || config.bool(&key::DIFF_ALWAYS).unwrap_or(false);
    let configured: u8 = config.number(&key::VERBOSITY, "verbosity")?.unwrap_or(0);
    options.verbosity = if verbose > 0 { verbose } else { configured }.min(MAX_VERBOSITY);
    Ok(())
}

/// Returns how events are shown and kept.
pub fn output(
    args: &OutputArgs,
    color: Option<ColorWhen>,
    options: &RunOptions,
    config: &Config,
) -> Result<OutputSettings, CliError> {
    let report = match &args.report {
        Some(path) => ReportTo::File(config.env.path(&path.to_string_lossy(), None)),
        None if args.no_report || config.env.get("XPLAY_NO_REPORT").is_some() => ReportTo::Nowhere,
        None => reports_dir(config).map_or(ReportTo::Nowhere, ReportTo::Directory),
    };
    let format = if args.json { Format::JsonLines } else { callbacks::format(config) };
    let both = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    Ok(OutputSettings {
        format,
        extras: callbacks::extras(config),
        report,
        terminal: TerminalOptions {
            color: colors(color, config).0,
            width: super::output::columns(),
            verbosity: options.verbosity,
            diff: options.diff,
            display_skipped: config.bool(&key::DISPLAY_SKIPPED).unwrap_or(true),
            display_ok: config.bool(&key::DISPLAY_OK).unwrap_or(true),
            failed_to_stderr: config.bool(&key::DISPLAY_FAILED_STDERR).unwrap_or(false),
            task_path_on_failure: config.bool(&key::SHOW_TASK_PATH_ON_FAILURE).unwrap_or(false),
            check_markers: config.bool(&key::CHECK_MODE_MARKERS).unwrap_or(false),
            diff_context: config.number(&key::DIFF_CONTEXT, "lines")?.unwrap_or(3),
            deprecation_warnings: config.bool(&key::DEPRECATION_WARNINGS).unwrap_or(true),
            action_warnings: config.bool(&key::ACTION_WARNINGS).unwrap_or(true),
            explain_on_stderr: false,
            custom_stats: config.bool(&key::SHOW_CUSTOM_STATS).unwrap_or(false),
            results: results(config),
            live: both && !args.json && config.env.get("TERM").is_none_or(|t| t != "dumb"),
        },
    })
}

/// How results are written. The callback `yaml` is the default one with results as YAML.
fn results(config: &Config) -> ResultStyle {
    let yaml =
        config.text(&key::CALLBACK_RESULT_FORMAT).is_some_and(|f| f == "yaml") || callbacks::is_yaml(config);
    ResultStyle {
        format: if yaml { ResultFormat::Yaml } else { ResultFormat::Json },
        pretty: config.bool(&key::CALLBACK_FORMAT_PRETTY),
    }
}

fn reports_dir(config: &Config) -> Option<PathBuf> {
    Some(state_dir(config)?.join("reports"))
}

/// Returns where xplay keeps what outlives a run.
pub fn state_dir(config: &Config) -> Option<PathBuf> {
    let state = match config.env.get("XDG_STATE_HOME").map(PathBuf::from).filter(|p| p.is_absolute()) {
        Some(state) => state,
        None => config.env.home()?.join(".local/state"),
    };
    Some(state.join("xplay"))
}

/// Where facts outlive the run: only `jsonfile` is a cache that does.
fn fact_cache(config: &Config) -> Result<Option<FactCache>, CliError> {
    let kind = config.text(&key::FACT_CACHE).unwrap_or_default();
    if kind.rsplit('.').next() != Some("jsonfile") {
        return Ok(None);
    }
    let Some(dir) = config.path(&key::FACT_CACHE_CONNECTION) else {
        return Err(CliError::option("fact_caching = jsonfile needs fact_caching_connection, a directory"));
    };
    let seconds: u64 = config.number(&key::FACT_CACHE_TIMEOUT, "fact_caching_timeout")?.unwrap_or(86400);
    Ok(Some(FactCache {
        dir,
        prefix: config.text(&key::FACT_CACHE_PREFIX).unwrap_or_default(),
        lifetime: (seconds > 0).then(|| Duration::from_secs(seconds)),
    }))
}

fn strategy(config: &Config) -> Result<Strategy, CliError> {
    let Some(found) = config.get(&key::STRATEGY) else { return Ok(Strategy::Linear) };
    Strategy::parse(&found.value).ok_or_else(|| {
        CliError::option(format!("Invalid play strategy specified: {} ({})", found.value, found.origin))
            .with_help("use linear, free, host_pinned or debug")
    })
}

fn gathering(config: &Config) -> Result<Gather, CliError> {
    let Some(found) = config.get(&key::GATHERING) else { return Ok(Gather::Implicit) };
    match found.value.as_str() {
        "implicit" => Ok(Gather::Implicit),
        "explicit" => Ok(Gather::Explicit),
        "smart" => Ok(Gather::Smart),
        other => Err(CliError::option(format!("gathering cannot be \"{other}\" ({})", found.origin))
            .with_help("use implicit, explicit or smart")),
    }
}

/// How many connections stay open, in files.
fn open_files(config: &Config) -> Result<usize, CliError> {
    let asked = config.get(&key::OPEN_CONNECTIONS).map(|found| {
        found.value.parse::<usize>().ok().filter(|most| *most > 0).ok_or_else(|| {
            CliError::option(format!("open_connections cannot be \"{}\" ({})", found.value, found.origin))
                .with_help("use a number of connections")
        })
    });
    Ok(super::system::files_for_connections(asked.transpose()?))
}

/// Which facts are gathered for plays that do not say it.
fn extent(config: &Config) -> Result<Extent, CliError> {
    let Some(found) = config.get(&key::GATHER_SUBSET) else { return Ok(Extent::All) };
    match found.value.as_str() {
        "all" => Ok(Extent::All),
        "smart" => Ok(Extent::Mentioned),
        other => Err(CliError::option(format!("gather_subset cannot be \"{other}\" ({})", found.origin))
            .with_help("use all, or smart for the facts that the project speaks of; plays have a gather_subset of their own")),
    }
}

/// Reads the name of a way to become another user.
pub fn become_method(name: Option<&str>) -> Result<BecomeMethod, CliError> {
    match name.map(|n| n.rsplit('.').next().unwrap_or(n)) {
        None | Some("sudo") => Ok(BecomeMethod::Sudo),
        Some("su") => Ok(BecomeMethod::Su),
        Some("doas") => Ok(BecomeMethod::Doas),
        Some(other) => Err(CliError::option(format!("become method \"{other}\" is not supported"))
            .with_help("use sudo, su or doas")),
    }
}

fn parse_number<T: std::str::FromStr>(text: &str, flag: &str) -> Result<T, CliError> {
    text.trim().parse().map_err(|_| CliError::Usage(format!("{flag} must be a number, not \"{text}\"")))
}

/// Returns how long a run may take.
pub fn time_limit(typed: Option<&str>) -> Result<Option<Duration>, CliError> {
    typed.map(|text| parse_number(text, "--time-limit").map(Duration::from_secs)).transpose()
}

/// Several limits are joined as patterns are.
fn joined(limits: &[String]) -> Option<String> {
    (!limits.is_empty()).then(|| limits.join(":"))
}

/// Returns the settings of a rehearsal as far as they are a run's.
pub fn rehearsal(
    args: &super::args::RehearseArgs,
    color: Option<ColorWhen>,
    config: &Config,
) -> Result<(RunOptions, OutputSettings), CliError> {
    let mut options = RunOptions { rehearsal: true, limit: joined(&args.limit), ..RunOptions::default() };
    apply_tasks(&mut options, &args.tasks, config);
    apply_mode(&mut options, &args.mode, args.output.verbose, config)?;
    let output = output(&args.output, color, &options, config)?;
    Ok((options, output))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::{Args, Command};
    use super::*;

    fn settings(cfg: &str, vars: &[(&str, &str)], typed: &[&str]) -> Result<RunSettings, CliError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ansible.cfg"), cfg).unwrap();
        let mut all = vec![("HOME", "/h")];
        all.extend(vars);
        let vars = all.iter().map(|(k, v)| ((*k).to_string(), (*v).into())).collect();
        let config = Config::load(key::Env { vars, cwd: dir.path().to_owned(), ..key::Env::default() })?;
        let words = ["xplay", "run", "site.yml"].iter().chain(typed);
        let args = Args::try_parse_from(words).unwrap();
        let Command::Run(run) = args.command else { panic!("not run") };
        RunSettings::new(&run, args.color, &config)
    }

    #[test]
    fn flags_win_over_environment_and_file() {
        let cfg = "[defaults]\nforks=7\nremote_user=file\ntimeout=3\n[privilege_escalation]\nbecome=yes\n";
        let s = settings(cfg, &[("ANSIBLE_REMOTE_USER", "env")], &["-f", "9"]).unwrap();
        assert_eq!(s.options.forks, 9);
        assert_eq!(s.options.login.user.as_deref(), Some("env"));
        assert_eq!(s.options.login.timeout, Some(Duration::from_secs(3)));
        assert!(s.options.login.r#become);
        let s = settings(cfg, &[("ANSIBLE_REMOTE_USER", "env")], &["-u", "flag"]).unwrap();
        assert_eq!((s.options.forks, s.options.login.user.as_deref()), (7, Some("flag")));
    }

    #[test]
    fn tags_split_at_commas() {
        let s = settings("", &[], &["-t", "a, b", "--tags", "c", "--skip-tags", "d"]).unwrap();
        assert_eq!((s.options.tags.join(" "), s.options.skip_tags.join(" ")), ("a b c".into(), "d".into()));
        let s = settings("[tags]\nskip = x,y\n", &[], &[]).unwrap();
        assert_eq!(s.options.skip_tags, ["x", "y"]);
        let s = settings("", &[], &["--list-tags"]).unwrap();
        assert_eq!(s.options.tags, ["never", "all"]);
    }

    #[test]
    fn the_default_inventory_is_ansibles() {
        let s = settings("", &[], &[]).unwrap();
        assert_eq!(
            (s.sources.inventory, s.sources.inventory_is_default),
            (vec![DEFAULT_INVENTORY.into()], true)
        );
        let s = settings("", &[("ANSIBLE_INVENTORY", "/a,/b")], &[]).unwrap();
        assert_eq!(
            (s.sources.inventory, s.sources.inventory_is_default),
            (vec!["/a".into(), "/b".into()], false)
        );
        let s = settings("", &[], &["-i", "h1,h2"]).unwrap();
        assert_eq!(s.sources.inventory, ["h1,h2"]);
    }

    #[test]
    fn inventories_are_judged_by_settings() {
        let s = settings("", &[], &[]).unwrap().sources;
        assert_eq!(
            (s.unparsed_is_failed, s.none_parsed_is_failed, s.localhost_warning),
            (false, false, true)
        );
        assert_eq!((s.group_names, s.ignored_sources), (GroupNames::Kept, Ignored::default()));
        let cfg = "[inventory]\nany_unparsed_is_failed = yes\nunparsed_is_failed = yes\nignore_extensions = .a,.b\n\
                   host_pattern_mismatch = error\n[defaults]\nforce_valid_group_names = always\nlocalhost_warning = no\n";
        let s = settings(cfg, &[("ANSIBLE_INVENTORY_IGNORE_REGEX", "^x")], &[]).unwrap();
        assert_eq!(s.options.mismatch, Mismatch::Error);
        let s = s.sources;
        assert_eq!((s.unparsed_is_failed, s.none_parsed_is_failed, s.localhost_warning), (true, true, false));
        assert_eq!(s.group_names, GroupNames::Replaced);
        let ignored = Ignored { endings: Some(vec![".a".into(), ".b".into()]), patterns: vec!["^x".into()] };
        assert_eq!(s.ignored_sources, ignored);
    }

    #[test]
    fn bad_values_are_named() {
        let check = |cfg: &str, typed: &[&str], expect: &str| {
            assert_eq!(settings(cfg, &[], typed).unwrap_err().to_string(), expect);
        };
        check("", &["-f", "0"], "the number of forks must be at least 1");
        check("", &["-f", "x"], "--forks must be a number, not \"x\"");
        check("", &["--become-method", "pbrun"], "become method \"pbrun\" is not supported");
    }

    #[test]
    fn reports_have_their_place() {
        let report = |vars: &[(&str, &str)], typed: &[&str]| settings("", vars, typed).unwrap().output.report;
        assert_eq!(report(&[], &[]), ReportTo::Directory("/h/.local/state/xplay/reports".into()));
        assert_eq!(report(&[("XDG_STATE_HOME", "/s")], &[]), ReportTo::Directory("/s/xplay/reports".into()));
        assert_eq!(report(&[], &["--report", "/r.html"]), ReportTo::File("/r.html".into()));
        assert_eq!(report(&[], &["--no-report"]), ReportTo::Nowhere);
        assert_eq!(report(&[("XPLAY_NO_REPORT", "1")], &[]), ReportTo::Nowhere);
    }
}
