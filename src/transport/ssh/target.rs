//! From a [`ConnectionSpec`] to the hosts on the way, each with everything that its connection needs to know.

use std::path::PathBuf;
use std::sync::Arc;

use super::SshContext;
use super::config::{
    Arguments, Files, Proxy, Query, Resolved, SshOption, evaluate, resolve, valid_host, valid_user,
};
use crate::transport::{ConnectionSpec, HostKeyPolicy, KeyAfterReboot, TransportError};
use crate::value::Secret;

/// Hosts on one way; more are a circle.
const HOPS: usize = 10;

/// One host on the way.
#[derive(Clone)]
pub(super) struct Target {
    /// The inventory name, for messages.
    pub host: String,
    /// The name that the user uses for it, which tokens and keys are about.
    pub name: String,
    pub password: Option<Secret>,
    pub extra_host_keys: Vec<String>,
    /// A key that differs from the known one takes its place.
    pub repins: bool,
    pub legacy: bool,
    /// The file that takes new keys.
    pub new_keys: Option<PathBuf>,
    pub resolved: Resolved,
}

impl Target {
    /// Returns the name under which the host's key is known.
    pub fn key_name(&self) -> (&str, u16) {
        match &self.resolved.key_alias {
            Some(alias) => (alias, 22),
            None => (&self.resolved.address, self.resolved.port),
        }
    }
}

impl SshContext {
    /// Returns the hosts on the way to a host, the nearest first and the host itself last.
    pub(super) fn route(&self, spec: &ConnectionSpec) -> Result<Vec<Target>, TransportError> {
        let unreachable = |reason| TransportError::Unreachable { host: spec.host.clone(), reason };
        let mut hops = Vec::new();
        self.add_hops(spec, &[], 0, &mut hops).map_err(unreachable)?;
        Ok(hops)
    }

    fn add_hops(
        &self,
        spec: &ConnectionSpec,
        fallback: &[SshOption],
        depth: usize,
        hops: &mut Vec<Target>,
    ) -> Result<(), String> {
        let target = self.target(spec, fallback)?;
        if depth > HOPS {
            return Err("its jump hosts lead in a circle".into());
        }
        if let Proxy::Jumps(jumps) = &target.resolved.proxy {
            let fallback = inherited(spec);
            for (index, jump) in jumps.iter().enumerate() {
                let jump_spec = ConnectionSpec {
                    user: jump.user.clone(),
                    port: jump.port,
                    arguments: Arc::new(Arguments { files: files(spec).cloned(), ..Arguments::default() }),
                    ..ConnectionSpec::ssh(&jump.host)
                };
                // Only the nearest one is reached in the way that its own configuration says.
                match index {
                    0 if jump.host == target.name => return Err("its jump host is the host itself".into()),
                    0 => self.add_hops(&jump_spec, &fallback, depth + 1, hops)?,
                    _ => hops.push(self.target(&jump_spec, &fallback)?),
                }
            }
        }
        hops.push(target);
        Ok(())
    }

    fn target(&self, spec: &ConnectionSpec, fallback: &[SshOption]) -> Result<Target, String> {
        // Names from inventories end up in commands and patterns.
        if !valid_host(&spec.address) {
            return Err(format!("{:?} is no name of a host", spec.address));
        }
        if let Some(user) = spec.user.as_deref().filter(|u| !valid_user(u)) {
            return Err(format!("{user:?} is no name of a user"));
        }
        let options = options(spec);
        let query = Query {
            name: &spec.address,
            person: &self.machine.person,
            world: &self.machine,
            options: &options,
            files: files(spec).unwrap_or(&Files::Usual),
            fallback,
            system: self.identity.system_config.as_deref(),
        };
        let settings = evaluate(&query)?;
        let resolved = resolve(&settings, &query)?;
        if let Some(passphrase) = &spec.passphrase {
            for key in spec.keys.iter().filter(|key| !self.has_passphrase(key)) {
                // A key that it does not open is named when it is used.
                self.unlock(key, passphrase);
            }
        }
        self.warn(settings.warnings.iter().cloned());
        self.warn([&spec.arguments_first.warnings[..], &spec.arguments.warnings[..]].concat());
        let new_keys = match settings.get("userknownhostsfile") {
            Some(none) if none.eq_ignore_ascii_case("none") => None,
            None if self.identity.home.is_none() => None,
            _ => resolved.known_hosts.first().cloned(),
        };
        Ok(Target {
            host: spec.host.clone(),
            name: spec.address.clone(),
            password: spec.password.clone(),
            extra_host_keys: spec.extra_host_keys.clone(),
            repins: spec.rebooting && spec.key_after_reboot == KeyAfterReboot::Repin,
            legacy: spec.legacy,
            new_keys,
            resolved,
        })
    }
}

/// Returns the files that the arguments name.
fn files(spec: &ConnectionSpec) -> Option<&Files> {
    spec.arguments.files.as_ref().or(spec.arguments_first.files.as_ref())
}

/// Returns what of the options for a host counts on the way to it where the configuration says nothing: whoever names
/// files with keys in an inventory means the whole way.
fn inherited(spec: &ConnectionSpec) -> Vec<SshOption> {
    const FOR_ALL: [&str; 6] = [
        "identityfile",
        "userknownhostsfile",
        "globalknownhostsfile",
        "stricthostkeychecking",
        "connecttimeout",
        "addressfamily",
    ];
    options(spec).into_iter().filter(|o| FOR_ALL.contains(&o.keyword())).collect()
}

/// Returns the options that a spec stands for. The first one counts.
pub(super) fn options(spec: &ConnectionSpec) -> Vec<SshOption> {
    let mut options = spec.arguments_first.options.clone();
    let policy = spec.host_key_policy.map(|policy| match policy {
        HostKeyPolicy::Strict => "yes",
        HostKeyPolicy::AcceptNew => "accept-new",
        HostKeyPolicy::Off => "no",
    });
    options.extend(policy.map(|policy| SshOption::word("stricthostkeychecking", policy)));
    options.extend(spec.port.map(|port| SshOption::word("port", port.to_string())));
    options.extend(spec.keys.iter().map(|key| SshOption::word("identityfile", key.display().to_string())));
    options.extend(spec.user.as_ref().map(|user| SshOption::word("user", user)));
    let timeout = spec.connect_timeout.map(|t| t.as_secs_f64().to_string());
    options.extend(timeout.map(|timeout| SshOption::word("connecttimeout", timeout)));
    if !spec.known_hosts.is_empty() {
        let files = spec.known_hosts.iter().map(|f| f.display().to_string()).collect();
        options.push(SshOption::words("userknownhostsfile", files));
        options.push(SshOption::word("globalknownhostsfile", "none"));
    }
    options.extend(spec.arguments.options.iter().cloned());
    options
}
