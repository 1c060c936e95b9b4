//! How a host is reached and who a task becomes: from keywords, variables and defaults. Facts have no say in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::options::Login;
use crate::modules::words;
use crate::playbook::Directives;
use crate::template::{RenderError, Scope, Templar, Tree, Var};
use crate::transport::ssh_config::Arguments;
use crate::transport::{
    BecomeMethod, BecomeSpec, ConnectionSpec, FanOut, HostKeyPolicy, KeyAfterReboot, Kind,
};
use crate::value::{Secret, Value};
use crate::vars::TaskScope;

/// The settings of a task on a host.
#[derive(Clone, Debug)]
pub struct Reach {
    pub spec: ConnectionSpec,
    pub r#become: Option<BecomeSpec>,
}

impl Reach {
    /// Returns where one logs in: who goes by a fan-out tool does so where that is.
    pub fn login(self) -> ConnectionSpec {
        match &self.spec.fan_out {
            Some(fan_out) => fan_out.via.clone(),
            None => self.spec,
        }
    }

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
    /// What is said of the way to the host leads nowhere; Ansible notices that when it logs in.
    NoWay(String),
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
    host: TaskScope,
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
            host: host.without_facts(),
            task_scope: task.without_facts().boxed(),
            directives,
            defaults,
        }
    }

    /// Returns how to reach the host called `host`.
    pub fn read(&self, host: &str) -> Result<Reach, LoginError> {
        let connection = match self.var_text(&["ansible_connection"])? {
            Some(c) => Some(c),
            None => self.keyword(|d| &d.connection)?.map(|v| v.to_text()),
        };
        let connection =
            connection.or_else(|| self.defaults.connection.clone()).unwrap_or_else(|| "ssh".into());
        let kind = match connection.rsplit('.').next().unwrap_or_default() {
            "local" => Kind::Local,
            "ssh" | "smart" | "paramiko" | "paramiko_ssh" => Kind::Ssh,
            "ssh-binary" => Kind::SshBinary,
            "clush" => Kind::Clush,
            "xdsh" => Kind::Xdsh,
            other => {
                return Err(LoginError::Bad(format!(
                    "connection \"{other}\" of host {host} is not supported; use \"ssh\", \"ssh-binary\", \"local\", \
                     \"clush\" or \"xdsh\""
                )));
            }
        };
        let mut spec = match kind {
            Kind::Local => ConnectionSpec::local(host),
            _ => ConnectionSpec { kind, ..ConnectionSpec::ssh(host) },
        };
        if kind != Kind::Local {
            self.read_ssh(&mut spec)?;
        }
        if kind.is_fan_out() {
            // `ansible_host` is an address for this machine, not a name for the tool.
            spec.address = self.var_text(&["xplay_node"])?.unwrap_or_else(|| host.to_owned());
            spec.fan_out = Some(Arc::new(self.read_fan_out(host, &connection)?));
        }
        if let Some(shell) = self.var_text(&["ansible_shell_executable"])? {
            spec.shell = shell;
        }
        Ok(Reach { r#become: self.read_become(host)?, spec })
    }

    /// Reads where a fan-out tool is called (`xplay_via`, this machine if nobody says it) and with what
    /// (`xplay_via_args`).
    fn read_fan_out(&self, host: &str, connection: &str) -> Result<FanOut, LoginError> {
        let args = match self.var(&["xplay_via_args"])? {
            Some(Value::List(words)) => words.iter().map(Value::to_text).collect(),
            Some(text) => words::split(&text.to_text())
                .map_err(|e| LoginError::Bad(format!("xplay_via_args of host {host}: {e}")))?,
            None => Vec::new(),
        };
        let Some(name) = self.var_text(&["xplay_via"])?.filter(|name| name != "localhost") else {
            return Ok(FanOut { via: ConnectionSpec::local("localhost"), args });
        };
        let there = self.host.on_host(&Arc::from(&*name));
        // The task's keywords and the run's connection speak of the host itself.
        let (keywords, mut defaults) = (Directives::default(), self.defaults.clone());
        defaults.connection = None;
        let via = LoginReader::new(self.templar, &there, &there, &keywords, &defaults).read(&name)?.spec;
        if via.kind.is_fan_out() {
            return Err(LoginError::Bad(format!(
                "xplay_via of host {host} names {name}, which is reached by {connection} too; it must be reached by \
                 \"ssh\" or \"local\""
            )));
        }
        Ok(FanOut { via, args })
    }

    fn read_ssh(&self, spec: &mut ConnectionSpec) -> Result<(), LoginError> {
        if let Some(address) = self.var_text(&["ansible_host", "ansible_ssh_host"])? {
            spec.address = address;
        }
        let port = match self.var(&["ansible_port", "ansible_ssh_port"])? {
            Some(port) => Some(port),
            None => self.keyword(|d| &d.port)?,
        };
        if let Some(port) = port {
            let number = port.to_text().trim().parse().map_err(|_| {
                LoginError::Bad(format!(
                    "port \"{}\" of host {} is no port number",
                    port.to_text(),
                    spec.host
                ))
            })?;
            spec.port = Some(number);
        } else {
            spec.port = self.defaults.port;
        }
        spec.user = match self.var_text(&["ansible_user", "ansible_ssh_user"])? {
            Some(user) => Some(user),
            None => self.keyword(|d| &d.remote_user)?.map(|v| v.to_text()),
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
                .map(seconds)
                .or(self.defaults.timeout),
            None => self.defaults.timeout,
        };
        match self.var_text(&["ansible_ssh_private_key_file", "ansible_private_key_file"])? {
            Some(key) => spec.keys.push(expand_home(&key)),
            None => spec.keys.extend(self.defaults.key.clone()),
        }
        spec.host_key_policy =
            match self.var(&["ansible_ssh_host_key_checking", "ansible_host_key_checking"])? {
                Some(check) => (!truth(&check)).then_some(HostKeyPolicy::Off),
                None => self.defaults.host_keys,
            };
        let defaults = self.defaults;
        let texts = [
            (self.var_text(&["ansible_ssh_args"])?, &defaults.ssh_args),
            (self.var_text(&["ansible_ssh_common_args"])?, &defaults.common_args),
            (self.var_text(&["ansible_ssh_extra_args"])?, &defaults.extra_args),
        ];
        let [first, common, extra] = texts.map(|(own, default)| own.unwrap_or_else(|| default.clone()));
        // In this order Ansible writes its command line, of which the first value counts.
        spec.arguments_first = arguments(&spec.host, &first)?;
        spec.arguments = arguments(&spec.host, &format!("{common} {extra}"))?;
        if let Some(keys) = self.var(&["xplay_host_keys"])? {
            spec.extra_host_keys = match &keys {
                Value::List(keys) => keys.iter().map(|key| host_key(&key.to_text())).collect(),
                one => one.to_text().lines().map(host_key).collect(),
            };
        }
        if let Some(word) = self.var_text(&["xplay_key_after_reboot"])? {
            spec.key_after_reboot = KeyAfterReboot::parse(&word).ok_or_else(|| {
                let known = KeyAfterReboot::WORDS.map(|(word, _)| word).join(", ");
                LoginError::Bad(format!(
                    "xplay_key_after_reboot of host {} is \"{word}\"; it can be {known}",
                    spec.host
                ))
            })?;
            if spec.key_after_reboot == KeyAfterReboot::Group
                && spec.extra_host_keys.iter().all(|key| key.starts_with('@'))
            {
                return Err(LoginError::Bad(format!(
                    "xplay_key_after_reboot of host {} is \"group\", but xplay_host_keys lists no key",
                    spec.host
                )));
            }
        }
        if let Some(legacy) = self.var(&["xplay_legacy_ssh"])? {
            spec.legacy = truth(&legacy);
        }
        Ok(())
    }

    fn read_become(&self, host: &str) -> Result<Option<BecomeSpec>, LoginError> {
        let wanted = match self.var(&["ansible_become"])? {
            Some(v) => truth(&v),
            None => match self.keyword(|d| &d.r#become)? {
                Some(v) => truth(&v),
                None => self.defaults.r#become,
            },
        };
        if !wanted {
            return Ok(None);
        }
        let method = match self.var_text(&["ansible_become_method"])? {
            Some(m) => Some(m),
            None => self.keyword(|d| &d.become_method)?.map(|v| v.to_text()),
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
            None => self.keyword(|d| &d.become_user)?.map(|v| v.to_text()),
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
            None => self.keyword(|d| &d.become_flags)?.map(|v| v.to_text()),
        };
        let exes: [&str; 2] = match method {
            BecomeMethod::Sudo => ["ansible_become_exe", "ansible_sudo_exe"],
            BecomeMethod::Su => ["ansible_become_exe", "ansible_su_exe"],
            BecomeMethod::Doas => ["ansible_become_exe", "ansible_doas_exe"],
        };
        spec.exe = match self.var_text(&exes)? {
            Some(exe) => Some(exe),
            None => self.keyword(|d| &d.become_exe)?.map(|v| v.to_text()),
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

    fn keyword(
        &self,
        keyword: impl Fn(&'a Directives) -> &'a Option<Tree>,
    ) -> Result<Option<Value>, LoginError> {
        let said = self.directives.said(keyword, |tree| self.templar.render(tree, &self.task_scope))?;
        Ok(said.filter(|value| !value.is_null()))
    }
}

/// Reads arguments written for OpenSSH's client.
fn arguments(host: &str, text: &str) -> Result<Arc<Arguments>, LoginError> {
    if text.trim().is_empty() {
        return Ok(Arc::default());
    }
    let words = words::split(text).map_err(str::to_owned);
    let found = words.and_then(Arguments::parse);
    found.map(Arc::new).map_err(|e| LoginError::NoWay(format!("ssh arguments of host {host}: {e}")))
}

/// Makes a line of known_hosts for any name out of a key, which may have a marker in front.
fn host_key(key: &str) -> String {
    match key.trim().split_once(char::is_whitespace) {
        Some((marker, rest)) if marker.starts_with('@') => format!("{marker} * {}", rest.trim()),
        _ => format!("* {}", key.trim()),
    }
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

    #[test]
    fn ssh_arguments_are_read_or_refused() {
        let check = |text: &str, expect: &str| {
            let shown = match arguments("n1", text) {
                Ok(found) => found.options.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                Err(LoginError::Bad(reason) | LoginError::NoWay(reason)) => reason,
                Err(LoginError::Render(e)) => e.to_string(),
            };
            assert_eq!(shown, expect, "{text}");
        };
        check(" ", "");
        check("-o 'UserKnownHostsFile=/a b' -J j1", "userknownhostsfile=/a b proxyjump=j1");
        check("-o 'Port", "ssh arguments of host n1: No closing quotation");
        check("-p", "ssh arguments of host n1: -p needs a value");
    }

    #[test]
    fn host_keys_of_variables_count_for_any_name() {
        assert_eq!(host_key(" ssh-ed25519 AAAA\n"), "* ssh-ed25519 AAAA");
        assert_eq!(host_key("@cert-authority  ssh-rsa AAAA"), "@cert-authority * ssh-rsa AAAA");
    }

    #[test]
    fn seconds_of_any_size_are_a_duration() {
        for (given, expect) in [(1.5, 1_500), (-1.0, 0), (f64::NAN, 31_622_400_000), (1e300, 31_622_400_000)]
        {
            assert_eq!(seconds(given).as_millis(), expect, "{given}");
        }
    }
}
