//! How a host is reached and who a task becomes: from keywords, variables and defaults. Facts have no say in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::options::Login;
use crate::modules::words;
use crate::playbook::Directives;
use crate::template::{RenderError, Scope, Templar, Tree, Var};
use crate::transport::{BecomeMethod, BecomeSpec, ConnectionSpec, HostKeyPolicy, Kind};
use crate::value::{Secret, Value};
use crate::vars::TaskScope;

/// The settings of a task on a host.
#[derive(Clone, Debug)]
pub struct Reach {
    pub spec: ConnectionSpec,
    pub r#become: Option<BecomeSpec>,
}

impl Reach {
    /// Whether the same shell serves both.
    pub fn is_same(&self, other: &Reach) -> bool {
        let place = |spec: &ConnectionSpec| {
            (spec.kind, spec.host.clone(), spec.address.clone(), spec.port, spec.user.clone())
        };
        place(&self.spec) == place(&other.spec) && self.r#become == other.r#become
    }
}

/// Why the settings could not be found out.
#[derive(Debug)]
pub enum LoginError {
    Render(Box<RenderError>),
    Bad(String),
}

impl From<RenderError> for LoginError {
    fn from(e: RenderError) -> Self {
        LoginError::Render(Box::new(e))
    }
}

/// Reads settings in the scope of the host that is connected to (the delegate's, if delegated).
pub struct LoginReader<'a> {
    templar: &'a Templar,
    scope: Arc<dyn Scope>,
    /// Keywords are rendered in the task's own scope.
    task_scope: Arc<dyn Scope>,
    directives: &'a Directives,
    defaults: &'a Login,
}

impl<'a> LoginReader<'a> {
    pub fn new(
        templar: &'a Templar,
        host: &TaskScope,
        task: &TaskScope,
        directives: &'a Directives,
        defaults: &'a Login,
    ) -> Self {
        LoginReader {
            templar,
            scope: host.without_facts().boxed(),
            task_scope: task.without_facts().boxed(),
            directives,
            defaults,
        }
    }

    /// Returns how to reach the host called `host`.
    pub fn read(&self, host: &str) -> Result<Reach, LoginError> {
        let connection = match self.var_text(&["ansible_connection"])? {
            Some(c) => Some(c),
            None => self.keyword(&self.directives.connection)?.map(|v| v.to_text()),
        };
        let connection =
            connection.or_else(|| self.defaults.connection.clone()).unwrap_or_else(|| "ssh".into());
        let kind = match connection.rsplit('.').next().unwrap_or_default() {
            "local" => Kind::Local,
            "ssh" | "smart" | "paramiko" | "paramiko_ssh" | "ssh-binary" => Kind::Ssh,
            other => {
                return Err(LoginError::Bad(format!(
                    "connection \"{other}\" of host {host} is not supported; use \"ssh\" or \"local\""
                )));
            }
        };
        let mut spec = match kind {
            Kind::Local => ConnectionSpec::local(host),
            Kind::Ssh => ConnectionSpec::ssh(host),
        };
        if kind == Kind::Ssh {
            self.read_ssh(&mut spec)?;
        }
        if let Some(shell) = self.var_text(&["ansible_shell_executable"])? {
            spec.shell = shell;
        }
        Ok(Reach { r#become: self.read_become(host)?, spec })
    }

    fn read_ssh(&self, spec: &mut ConnectionSpec) -> Result<(), LoginError> {
        if let Some(address) = self.var_text(&["ansible_host", "ansible_ssh_host"])? {
            spec.address = address;
        }
        let port = match self.var(&["ansible_port", "ansible_ssh_port"])? {
            Some(port) => Some(port),
            None => self.keyword(&self.directives.port)?,
        };
        if let Some(port) = port {
            spec.port = port.to_text().trim().parse().map_err(|_| {
                LoginError::Bad(format!(
                    "port \"{}\" of host {} is no port number",
                    port.to_text(),
                    spec.host
                ))
            })?;
        } else if let Some(port) = self.defaults.port {
            spec.port = port;
        }
        spec.user = match self.var_text(&["ansible_user", "ansible_ssh_user"])? {
            Some(user) => Some(user),
            None => self.keyword(&self.directives.remote_user)?.map(|v| v.to_text()),
        }
        .or_else(|| self.defaults.user.clone());
        spec.password = self
            .var(&["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"])?
            .map(secret)
            .or_else(|| self.defaults.password.clone());
        spec.connect_timeout = match self.var(&["ansible_ssh_timeout", "ansible_timeout"])? {
            Some(secs) => secs
                .number()
                .or_else(|| secs.to_text().parse().ok())
                .filter(|secs| *secs > 0.0)
                .map_or(self.defaults.timeout, seconds),
            None => self.defaults.timeout,
        };
        match self.var_text(&["ansible_ssh_private_key_file", "ansible_private_key_file"])? {
            Some(key) => spec.keys.push(expand_home(&key)),
            None => spec.keys.extend(self.defaults.key.clone()),
        }
        spec.host_key_policy = self.defaults.host_keys;
        if let Some(check) = self.var(&["ansible_ssh_host_key_checking", "ansible_host_key_checking"])?
            && !truth(&check)
        {
            spec.host_key_policy = HostKeyPolicy::Off;
        }
        let common = self.var_text(&["ansible_ssh_common_args"])?;
        let extra = self.var_text(&["ansible_ssh_extra_args"])?;
        for args in [common.as_deref().unwrap_or(&self.defaults.common_args), extra.as_deref().unwrap_or("")]
        {
            apply_ssh_args(spec, args)?;
        }
        if let Some(legacy) = self.var(&["xplay_legacy_ssh"])? {
            spec.legacy = truth(&legacy);
        }
        Ok(())
    }

    fn read_become(&self, host: &str) -> Result<Option<BecomeSpec>, LoginError> {
        let wanted = match self.var(&["ansible_become"])? {
            Some(v) => truth(&v),
            None => match self.keyword(&self.directives.r#become)? {
                Some(v) => truth(&v),
                None => self.defaults.r#become,
            },
        };
        if !wanted {
            return Ok(None);
        }
        let method = match self.var_text(&["ansible_become_method"])? {
            Some(m) => Some(m),
            None => self.keyword(&self.directives.become_method)?.map(|v| v.to_text()),
        };
        let method = match method.as_deref().map(|m| m.rsplit('.').next().unwrap_or(m)) {
            None => self.defaults.become_method,
            Some("sudo") => BecomeMethod::Sudo,
            Some("su") => BecomeMethod::Su,
            Some("doas") => BecomeMethod::Doas,
            Some(other) => {
                return Err(LoginError::Bad(format!(
                    "become_method \"{other}\" for host {host} is not supported; use sudo, su or doas"
                )));
            }
        };
        let user = match self.var_text(&["ansible_become_user"])? {
            Some(u) => Some(u),
            None => self.keyword(&self.directives.become_user)?.map(|v| v.to_text()),
        };
        let mut spec = BecomeSpec::new(method, user.unwrap_or_else(|| self.defaults.become_user.clone()));
        let prefixed: [&str; 2] = match method {
            BecomeMethod::Sudo => ["ansible_sudo_pass", "ansible_sudo_password"],
            BecomeMethod::Su => ["ansible_su_pass", "ansible_su_password"],
            BecomeMethod::Doas => ["ansible_doas_pass", "ansible_doas_password"],
        };
        spec.password = self
            .var(&["ansible_become_password", "ansible_become_pass"])?
            .or(self.var(&prefixed)?)
            .map(secret)
            .or_else(|| self.defaults.become_password.clone());
        let flags = match self.var_text(&["ansible_become_flags"])? {
            Some(f) => Some(f),
            None => self.keyword(&self.directives.become_flags)?.map(|v| v.to_text()),
        };
        // These flags only restate what is done anyway.
        let usual = |f: &str| matches!(f, "-H" | "-S" | "-n" | "-i");
        spec.flags =
            flags.unwrap_or_default().split_whitespace().filter(|f| !usual(f)).map(str::to_string).collect();
        Ok(Some(spec))
    }

    /// Returns the first of the variables that is set.
    fn var(&self, names: &[&str]) -> Result<Option<Value>, LoginError> {
        for name in names {
            let value = match self.scope.get(name) {
                Some(Var::Value(v)) => v,
                Some(Var::Tree(tree)) => self.templar.render(&tree, &self.scope)?,
                Some(Var::Lazy(_)) | None => continue,
            };
            if !matches!(value, Value::Null | Value::Omit) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn var_text(&self, names: &[&str]) -> Result<Option<String>, LoginError> {
        Ok(self.var(names)?.map(|v| v.to_text()))
    }

    fn keyword(&self, tree: &Option<Tree>) -> Result<Option<Value>, LoginError> {
        let Some(tree) = tree else { return Ok(None) };
        let value = self.templar.render(tree, &self.task_scope)?;
        Ok((!matches!(value, Value::Null | Value::Omit)).then_some(value))
    }
}

/// Takes what applies from arguments written for OpenSSH's client. Others are refused by name, never ignored.
fn apply_ssh_args(spec: &mut ConnectionSpec, args: &str) -> Result<(), LoginError> {
    let words = words::split(args)
        .map_err(|e| LoginError::Bad(format!("ssh arguments of host {}: {e}: {args}", spec.host)))?;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (flag, mut value) = match word.split_at_checked(2) {
            Some((flag @ ("-o" | "-i" | "-p" | "-l" | "-J"), value)) => (flag, value.to_string()),
            _ => (word.as_str(), String::new()),
        };
        if value.is_empty() && matches!(flag, "-o" | "-i" | "-p" | "-l" | "-J") {
            value = words.next().unwrap_or_default();
        }
        let bad = || {
            LoginError::Bad(format!("ssh argument \"{flag} {value}\" of host {} is not supported", spec.host))
        };
        match flag {
            "-i" => spec.keys.push(expand_home(&value)),
            "-p" => spec.port = value.parse().map_err(|_| bad())?,
            "-l" => spec.user = Some(value.clone()),
            "-J" => spec.proxy_jump = jumps(spec, &value).ok_or_else(bad)?,
            "-o" => {
                let (key, setting) = value.split_once('=').ok_or_else(bad)?;
                match key.trim().to_ascii_lowercase().as_str() {
                    "stricthostkeychecking" => {
                        spec.host_key_policy = match setting {
                            "no" | "off" => HostKeyPolicy::Off,
                            "accept-new" => HostKeyPolicy::AcceptNew,
                            _ => HostKeyPolicy::Strict,
                        }
                    }
                    "userknownhostsfile" => {
                        spec.known_hosts = setting.split_whitespace().map(expand_home).collect();
                    }
                    // A spec with files of its own reads no others.
                    "globalknownhostsfile" if setting == "/dev/null" => {}
                    "identityfile" => spec.keys.push(expand_home(setting)),
                    "port" => spec.port = setting.parse().map_err(|_| bad())?,
                    "user" => spec.user = Some(setting.to_string()),
                    "proxyjump" => spec.proxy_jump = jumps(spec, setting).ok_or_else(bad)?,
                    "connecttimeout" => {
                        spec.connect_timeout = Duration::from_secs(setting.parse().map_err(|_| bad())?);
                    }
                    // Connections are shared and kept alive anyway.
                    "controlmaster"
                    | "controlpersist"
                    | "controlpath"
                    | "serveraliveinterval"
                    | "serveralivecountmax"
                    | "preferredauthentications"
                    | "identitiesonly"
                    | "loglevel"
                    | "batchmode"
                    | "forwardagent" => {}
                    _ => return Err(bad()),
                }
            }
            "-q" | "-C" | "-4" | "-6" | "-T" | "-tt" | "-t" | "-A" => {}
            _ => return Err(bad()),
        }
    }
    Ok(())
}

/// Reads a list of jump hosts; nothing when a port in it is none.
fn jumps(spec: &ConnectionSpec, list: &str) -> Option<Vec<ConnectionSpec>> {
    list.split(',')
        .filter(|j| !j.is_empty() && *j != "none")
        .map(|jump| {
            let (user, rest) = jump.split_once('@').map_or((None, jump), |(u, r)| (Some(u.to_string()), r));
            let (host, port) = match rest.rsplit_once(':') {
                Some((host, port)) => (host, port.parse().ok()?),
                None => (rest, 22),
            };
            Some(ConnectionSpec {
                user,
                port,
                keys: spec.keys.clone(),
                known_hosts: spec.known_hosts.clone(),
                host_key_policy: spec.host_key_policy,
                connect_timeout: spec.connect_timeout,
                ..ConnectionSpec::ssh(host)
            })
        })
        .collect()
}

fn secret(value: Value) -> Secret {
    match value {
        Value::Secret(s) => s,
        other => Secret::new(other.to_text()),
    }
}

/// Ansible's conversion to a boolean: the usual words count too.
pub fn truth(value: &Value) -> bool {
    match value {
        Value::Str(s) => matches!(s.to_ascii_lowercase().as_str(), "yes" | "on" | "1" | "true" | "t" | "y"),
        other => other.is_truthy(),
    }
}

/// Makes a duration of seconds from the user's files; what is longer than a year counts as a year.
pub fn seconds(secs: f64) -> Duration {
    const YEAR_SECS: f64 = 366.0 * 86_400.0;
    Duration::try_from_secs_f64(secs.min(YEAR_SECS)).unwrap_or_default()
}

fn expand_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => Path::new(path).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks what arguments for OpenSSH's client become.
    fn check(args: &str, expect: &str) {
        let mut spec = ConnectionSpec::ssh("n1");
        let shown = match apply_ssh_args(&mut spec, args) {
            Err(LoginError::Bad(reason)) => reason,
            Err(LoginError::Render(e)) => e.to_string(),
            Ok(()) => {
                let list = |paths: &[PathBuf]| {
                    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(",")
                };
                let jumps: Vec<String> = spec
                    .proxy_jump
                    .iter()
                    .map(|j| format!("{}@{}:{}", j.user.as_deref().unwrap_or("-"), j.address, j.port))
                    .collect();
                format!(
                    "{:?} {} port {} keys [{}] known [{}] jumps [{}] {}s",
                    spec.host_key_policy,
                    spec.user.as_deref().unwrap_or("-"),
                    spec.port,
                    list(&spec.keys),
                    list(&spec.known_hosts),
                    jumps.join(","),
                    spec.connect_timeout.as_secs()
                )
            }
        };
        assert_eq!(shown, expect, "{args}");
    }

    #[test]
    fn ssh_arguments_are_taken_or_refused() {
        let plain = "Strict - port 22 keys [] known [] jumps [] 10s";
        check("", plain);
        check("-C -o ControlMaster=auto -o ControlPersist=60s -q", plain);
        check("-o StrictHostKeyChecking=no", "Off - port 22 keys [] known [] jumps [] 10s");
        check("-oStrictHostKeyChecking=accept-new", "AcceptNew - port 22 keys [] known [] jumps [] 10s");
        check("-o stricthostkeychecking=ask", plain);
        check("-p 2222 -l ann -i /k1 -i/k2", "Strict ann port 2222 keys [/k1,/k2] known [] jumps [] 10s");
        check("-o Port=23 -o User=bob", "Strict bob port 23 keys [] known [] jumps [] 10s");
        check("-o UserKnownHostsFile=/dev/null", "Strict - port 22 keys [] known [/dev/null] jumps [] 10s");
        check("-o 'UserKnownHostsFile=/a /b'", "Strict - port 22 keys [] known [/a,/b] jumps [] 10s");
        check("-J j1,ann@j2:24", "Strict - port 22 keys [] known [] jumps [-@j1:22,ann@j2:24] 10s");
        check("-o ProxyJump=none", plain);
        check("-o ConnectTimeout=3", "Strict - port 22 keys [] known [] jumps [] 3s");
        check("-p many", "ssh argument \"-p many\" of host n1 is not supported");
        check("-J j1:many", "ssh argument \"-J j1:many\" of host n1 is not supported");
        check(
            "-o GSSAPIAuthentication=no",
            "ssh argument \"-o GSSAPIAuthentication=no\" of host n1 is not supported",
        );
        check("-o ProxyCommand=nc", "ssh argument \"-o ProxyCommand=nc\" of host n1 is not supported");
        check("-o Port", "ssh argument \"-o Port\" of host n1 is not supported");
        check("-F /cfg", "ssh argument \"-F \" of host n1 is not supported");
        check("-p", "ssh argument \"-p \" of host n1 is not supported");
    }

    #[test]
    fn seconds_of_any_size_are_a_duration() {
        for (given, expect) in [(1.5, 1_500), (-1.0, 0), (f64::NAN, 31_622_400_000), (1e300, 31_622_400_000)]
        {
            assert_eq!(seconds(given).as_millis(), expect, "{given}");
        }
    }
}
