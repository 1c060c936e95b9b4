//! What a connection does with the settings: types, defaults, paths with their tokens replaced.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::arguments::jumps;
use super::evaluate::{Query, Settings, seconds, token};
use super::{expand, valid_host, valid_user};
use crate::transport::HostKeyPolicy;

/// How long connecting may take where nobody says it.
const CONNECT: Duration = Duration::from_secs(10);

/// How often a silent host is asked whether it is there, unless somebody says it.
const ALIVE: Duration = Duration::from_secs(15);
const ALIVE_COUNT: usize = 4;

/// Key files that are tried without being named, in this order.
const DEFAULT_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// Everything that a connection needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub address: String,
    pub port: u16,
    pub user: String,
    pub keys: Vec<KeyFile>,
    pub certificates: Vec<PathBuf>,
    pub identities_only: bool,
    /// The socket of the agent.
    pub agent: Option<PathBuf>,
    pub forward_agent: ForwardAgent,
    pub add_keys: AddKeys,
    pub methods: Methods,
    pub proxy: Proxy,
    /// The first one takes new keys.
    pub known_hosts: Vec<PathBuf>,
    pub key_alias: Option<String>,
    pub policy: HostKeyPolicy,
    pub hash_known_hosts: bool,
    pub connect_timeout: Duration,
    /// Nothing: it is not asked.
    pub alive: Option<Duration>,
    pub alive_count: usize,
    pub family: Family,
    pub algorithms: Algorithms,
}

/// A private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    pub path: PathBuf,
    /// Somebody named it, so its absence is worth a word.
    pub named: bool,
}

/// A host on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    pub user: Option<String>,
    pub host: String,
    pub port: Option<u16>,
}

/// What carries the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    Direct,
    /// Hosts to go through, nearest first.
    Jumps(Vec<Jump>),
    /// A command for the user's shell, whose input and output are the connection.
    Command(String),
}

/// Whether keys of our agent can be used on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardAgent {
    No,
    /// The agent at this socket.
    Yes(PathBuf),
}

/// What becomes of keys that were read from files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddKeys {
    No,
    Yes { confirm: bool, lifetime: Option<u32> },
}

/// Which ways of logging in are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods {
    pub public_key: bool,
    pub password: bool,
    pub keyboard: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Any,
    V4,
    V6,
}

/// Lists of algorithms as written, with `+`, `-` and `^`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Algorithms {
    pub kex: Option<String>,
    pub host_keys: Option<String>,
    pub ciphers: Option<String>,
    pub macs: Option<String>,
    /// For our own keys.
    pub public_keys: Option<String>,
}

/// Makes a connection's needs out of settings.
pub fn resolve(settings: &Settings, query: &Query<'_>) -> Result<Resolved, String> {
    let person = query.person;
    let text = |keyword: &str| settings.get(keyword).map(str::to_owned);
    let token = |letter: char| token(letter, query, settings, &settings.address);
    let env = |name: &str| query.world.env(name);
    let full = |value: &str| expand::variables(value, &env).and_then(|v| expand::tokens(&v, &token));
    let path = |value: &str| {
        let value = full(value)?;
        expand::tilde(&value, person.home.as_deref())
    };
    let address = settings.address.clone();
    if !valid_host(&address) {
        return Err(format!("{address:?} is no name of a host"));
    }
    let user = match settings.get("user") {
        Some(user) => full(user)?,
        None => person.user.clone(),
    };
    if !valid_user(&user) {
        return Err(format!("{user:?} is no name of a user"));
    }
    let port = settings.get("port").and_then(|p| p.parse().ok()).unwrap_or(22);
    let agent = match settings.get("identityagent") {
        None => env("SSH_AUTH_SOCK").filter(|s| !s.is_empty()).map(PathBuf::from),
        Some(value) => agent_path(value, &env, &path)?,
    };
    let forward_agent = match settings.get("forwardagent") {
        None | Some("no") => None,
        Some("yes") => agent.clone(),
        Some(value) => agent_path(value, &env, &path)?,
    };
    let time = |keyword: &str| settings.get(keyword).and_then(seconds).map(Duration::from_secs_f64);
    let positive = |keyword: &str| time(keyword).filter(|t| !t.is_zero());
    Ok(Resolved {
        port,
        user,
        keys: keys(settings, person.home.as_deref(), &path)?,
        certificates: settings.all("certificatefile").iter().map(|c| path(c)).collect::<Result<_, _>>()?,
        identities_only: settings.is_yes("identitiesonly"),
        agent,
        forward_agent: forward_agent.map_or(ForwardAgent::No, ForwardAgent::Yes),
        add_keys: add_keys(settings.get("addkeystoagent")),
        methods: methods(settings),
        proxy: proxy(settings, &token)?,
        known_hosts: known_hosts(settings, person.home.as_deref(), &path)?,
        key_alias: text("hostkeyalias").map(|alias| alias.to_ascii_lowercase()),
        policy: match settings.get("stricthostkeychecking") {
            Some("no") => HostKeyPolicy::Off,
            Some("accept-new") => HostKeyPolicy::AcceptNew,
            _ => HostKeyPolicy::Strict,
        },
        hash_known_hosts: settings.is_yes("hashknownhosts"),
        connect_timeout: positive("connecttimeout").unwrap_or(CONNECT),
        alive: match settings.get("serveraliveinterval") {
            None => Some(ALIVE),
            Some(_) => positive("serveraliveinterval"),
        },
        alive_count: settings.get("serveralivecountmax").and_then(|n| n.parse().ok()).unwrap_or(ALIVE_COUNT),
        family: match settings.get("addressfamily") {
            Some("inet") => Family::V4,
            Some("inet6") => Family::V6,
            _ => Family::Any,
        },
        algorithms: Algorithms {
            kex: text("kexalgorithms"),
            host_keys: text("hostkeyalgorithms"),
            ciphers: text("ciphers"),
            macs: text("macs"),
            public_keys: text("pubkeyacceptedalgorithms"),
        },
        address,
    })
}

type Paths<'a> = dyn Fn(&str) -> Result<PathBuf, String> + 'a;

/// Reads where an agent is: a path, or the environment variable that has it.
fn agent_path(
    value: &str,
    env: &dyn Fn(&str) -> Option<String>,
    path: &Paths<'_>,
) -> Result<Option<PathBuf>, String> {
    let name = match value {
        "SSH_AUTH_SOCK" => Some(value),
        _ => value.strip_prefix('$').filter(|name| !name.starts_with('{')),
    };
    if value.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    match name {
        Some(name) => Ok(env(name).filter(|s| !s.is_empty()).map(PathBuf::from)),
        None => path(value).map(Some),
    }
}

fn keys(settings: &Settings, home: Option<&Path>, path: &Paths<'_>) -> Result<Vec<KeyFile>, String> {
    let named = settings.all("identityfile");
    if named.is_empty() {
        let folder = home.map(|h| h.join(".ssh"));
        let files = folder.iter().flat_map(|f| DEFAULT_KEYS.map(|name| f.join(name)));
        return Ok(files.map(|path| KeyFile { path, named: false }).collect());
    }
    let files = named.iter().filter(|k| !k.eq_ignore_ascii_case("none"));
    files.map(|k| Ok(KeyFile { path: path(k)?, named: true })).collect()
}

fn known_hosts(settings: &Settings, home: Option<&Path>, path: &Paths<'_>) -> Result<Vec<PathBuf>, String> {
    let is_none = |files: &[String]| files.first().is_some_and(|f| f.eq_ignore_ascii_case("none"));
    let mut found = match settings.all("userknownhostsfile") {
        [] => {
            let files = home.map(|h| ["known_hosts", "known_hosts2"].map(|name| h.join(".ssh").join(name)));
            files.into_iter().flatten().collect()
        }
        files if is_none(files) => Vec::new(),
        files => files.iter().map(|f| path(f)).collect::<Result<Vec<_>, _>>()?,
    };
    match settings.all("globalknownhostsfile") {
        [] => found.extend(["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"].map(PathBuf::from)),
        files if is_none(files) => {}
        files => found.extend(files.iter().map(PathBuf::from)),
    }
    Ok(found)
}

fn proxy(settings: &Settings, token: &expand::Token<'_>) -> Result<Proxy, String> {
    if let Some(list) = settings.get("proxyjump").filter(|list| *list != "none") {
        return Ok(Proxy::Jumps(jumps(list).unwrap_or_default()));
    }
    match settings.get("proxycommand") {
        Some(command) if !command.eq_ignore_ascii_case("none") => {
            Ok(Proxy::Command(expand::tokens(command, token)?))
        }
        _ => Ok(Proxy::Direct),
    }
}

fn add_keys(value: Option<&str>) -> AddKeys {
    match value {
        // Nobody can be asked in the middle of a run.
        None | Some("no" | "ask") => AddKeys::No,
        Some("yes") => AddKeys::Yes { confirm: false, lifetime: None },
        Some("confirm") => AddKeys::Yes { confirm: true, lifetime: None },
        Some(value) => {
            let time = value.strip_prefix("confirm ");
            let lifetime = seconds(time.unwrap_or(value)).map(|s| s as u32);
            AddKeys::Yes { confirm: time.is_some(), lifetime }
        }
    }
}

fn methods(settings: &Settings) -> Methods {
    let preferred: Option<Vec<&str>> =
        settings.get("preferredauthentications").map(|list| list.split(',').collect());
    let wanted = |keyword: &str, name: &str| {
        settings.get(keyword) != Some("no") && preferred.as_ref().is_none_or(|list| list.contains(&name))
    };
    Methods {
        public_key: wanted("pubkeyauthentication", "publickey"),
        password: wanted("passwordauthentication", "password"),
        keyboard: wanted("kbdinteractiveauthentication", "keyboard-interactive"),
    }
}
