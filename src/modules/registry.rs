//! The modules by name: short, or with a namespace (`ansible.builtin.copy`).

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Module, ModuleSpec, controller, mysql, packaging, postgresql, storage, xcat};

/// The modules that work on targets, besides the xCAT ones.
static GENERAL: &[&dyn Module] = &[
    &super::acl::Acl,
    &super::alternatives::Alternatives,
    &super::archive::Archive,
    &super::assemble::Assemble,
    &super::at::At,
    &super::authorized_key::AuthorizedKey,
    &super::blockinfile::Blockinfile,
    &super::capabilities::Capabilities,
    &super::command::Command,
    &super::copy::Copy,
    &super::cron::Cron,
    &super::expect::Expect,
    &super::fetch::Fetch,
    &super::file::File,
    &super::find::Find,
    &super::getent::Getent,
    &super::firewalld::Firewalld,
    &super::gem::Gem,
    &super::get_url::GetUrl,
    &super::git::Git,
    &super::group::Group,
    &super::hostname::Hostname,
    &super::ini_file::IniFile,
    &super::htpasswd::Htpasswd,
    &super::iptables::Iptables,
    &super::known_hosts::KnownHosts,
    &super::lineinfile::Lineinfile,
    &super::locale_gen::LocaleGen,
    &super::make::Make,
    &super::modprobe::Modprobe,
    &super::mount::Mount,
    &super::mount_facts::MountFacts,
    &super::nmcli::Nmcli,
    &super::npm::Npm,
    &super::openssh_keypair::OpensshKeypair,
    &super::pam_limits::PamLimits,
    &super::pamd::Pamd,
    &super::ping::Ping,
    &super::command::Raw,
    &super::replace::Replace,
    &super::script::Script,
    &super::seboolean::Seboolean,
    &super::sefcontext::Sefcontext,
    &super::selinux::Selinux,
    &super::seport::Seport,
    &super::service::Service,
    &super::service_facts::ServiceFacts,
    &super::setup::Setup,
    &super::command::Shell,
    &super::slurp::Slurp,
    &super::ssh_config::SshConfig,
    &super::stat::Stat,
    &super::sysctl::Sysctl,
    &super::subversion::Subversion,
    &super::synchronize::Synchronize,
    &super::systemd::Systemd,
    &super::systemd::SystemdService,
    &super::service::Sysvinit,
    &super::tempfile::Tempfile,
    &super::template::Template,
    &super::timezone::Timezone,
    &super::ufw::Ufw,
    &super::unarchive::Unarchive,
    &super::uri::Uri,
    &super::user::User,
    &super::wait_for::WaitFor,
    &super::xml::Xml,
];

/// Finds a module that works on targets.
pub fn find(name: &str) -> Option<&'static dyn Module> {
    match known(name)? {
        Known::Module(module) => Some(*module),
        Known::Controller(_) => None,
    }
}

/// Finds what the engine itself executes: `debug`, `set_fact`, `include_tasks` and the like.
pub fn controller_spec(name: &str) -> Option<&'static ModuleSpec> {
    match known(name)? {
        Known::Module(_) => None,
        Known::Controller(spec) => Some(spec),
    }
}

/// Finds the argument table of anything that a task can call.
pub fn spec(name: &str) -> Option<&'static ModuleSpec> {
    Some(match known(name)? {
        Known::Module(module) => module.spec(),
        Known::Controller(spec) => spec,
    })
}

/// What stands behind a name.
enum Known {
    Module(&'static dyn Module),
    Controller(&'static ModuleSpec),
}

/// Everything by its short name: names are looked up for each item of each task.
static BY_NAME: LazyLock<HashMap<&'static str, Known>> = LazyLock::new(|| {
    let modules = modules().map(|module| (module.spec().name, Known::Module(module)));
    modules.chain(controller::SPECS.iter().map(|spec| (spec.name, Known::Controller(spec)))).collect()
});

fn known(name: &str) -> Option<&'static Known> {
    let (namespace, short) = match name.rsplit_once('.') {
        None => (None, name),
        Some((namespace, short)) => (Some(namespace), short),
    };
    let found = BY_NAME.get(short)?;
    let spec = match found {
        Known::Module(module) => module.spec(),
        Known::Controller(spec) => spec,
    };
    namespace.is_none_or(|namespace| spec.namespaces.contains(&namespace)).then_some(found)
}

/// Returns the short name of anything that a task can call.
pub fn short_name(name: &str) -> Option<&'static str> {
    spec(name).map(|spec| spec.name)
}

/// Returns every module that works on targets.
pub fn modules() -> impl Iterator<Item = &'static dyn Module> {
    let groups =
        [GENERAL, packaging::MODULES, storage::MODULES, mysql::MODULES, postgresql::MODULES, xcat::MODULES];
    groups.into_iter().flatten().copied()
}

/// Returns the short names of everything that a task can call.
pub fn names() -> impl Iterator<Item = &'static str> {
    modules().map(|module| module.spec().name).chain(controller::SPECS.iter().map(|spec| spec.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let mut all: Vec<_> = names().collect();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
        for name in all {
            let spec = spec(name).unwrap();
            assert_eq!(short_name(&spec.full_name()), Some(name));
            assert!(!spec.about.is_empty(), "{name}");
            for arg in spec.all_args() {
                assert!(!arg.about.is_empty(), "{name}: {}", arg.name);
                if let Some(text) = arg.default {
                    arg.convert(&text.into()).unwrap();
                }
            }
        }
    }

    #[test]
    fn namespaces_count() {
        assert_eq!(short_name("ansible.legacy.command"), Some("command"));
        assert_eq!(short_name("ansible.builtin.debug"), Some("debug"));
        assert_eq!(short_name("community.general.command"), None);
        assert!(find("debug").is_none());
    }
}
