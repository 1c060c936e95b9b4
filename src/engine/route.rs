//! Where `synchronize` calls rsync, and how rsync logs in on the other side by itself.
//!
//! As in Ansible rsync runs on this machine, or on the host that the task is delegated to; the task's own host is the
//! other side.

use super::item::ItemRun;
use super::login::Reach;
use super::result::Trouble;
use crate::modules;
use crate::transport::{BecomeMethod, ConnectionSpec, HostKeyPolicy, Kind, ssh_arguments};
use crate::value::{Map, Value};

impl ItemRun {
    /// Leads the task to where rsync runs, and tells the module how rsync reaches the task's own host.
    pub fn route(&self, reach: &mut Reach, delegated: bool, args: &mut modules::Args) -> Result<(), Trouble> {
        let own = self.scope.host().clone();
        let mut route = Map::from_iter([("host", Value::str(&*own))]);
        let rsync = self.variable("ansible_rsync_path")?;
        route.insert("rsync", rsync.map_or_else(|| "rsync".to_string(), |path| path.to_text()));
        let (other, _) = if delegated { self.reach_of(&own, &self.scope)? } else { (reach.clone(), false) };
        // The address of the task's own host means that host too.
        let itself =
            !delegated || reach.spec.address == other.spec.address && reach.spec.kind == other.spec.kind;
        let at_home = reach.spec.kind == Kind::Local || !delegated;
        route.insert("controller", at_home);
        if other.spec.kind == Kind::Local || delegated && itself {
            // Both sides are on one machine.
            give(args, route);
            return Ok(());
        }
        if !matches!(other.spec.kind, Kind::Ssh | Kind::SshBinary) {
            return Err(Trouble::msg(format!(
                "synchronize: rsync logs in by ssh, and {own} is reached in another way; use copy or unarchive there"
            )));
        }
        self.other_side(&other, at_home, args, &mut route)?;
        if !delegated {
            reach.spec = ConnectionSpec { host: own.to_string(), ..ConnectionSpec::local("localhost") };
        }
        // Becoming another user is for the other side.
        reach.r#become = None;
        give(args, route);
        Ok(())
    }

    /// Says how rsync logs in, and as whom it works there.
    fn other_side(
        &self,
        other: &Reach,
        at_home: bool,
        args: &modules::Args,
        route: &mut Map,
    ) -> Result<(), Trouble> {
        let mut spec = other.spec.clone();
        let user = spec.user.take().filter(|_| args.bool("set_remote_user") != Some(false));
        let address =
            if spec.address.contains(':') { format!("[{}]", spec.address) } else { spec.address.clone() };
        route.insert("remote", user.map_or(address.clone(), |user| format!("{user}@{address}")));
        if !at_home {
            // Files of this machine are not there.
            spec = ConnectionSpec {
                port: spec.port,
                host_key_policy: spec.host_key_policy,
                ..ConnectionSpec::ssh("")
            };
        }
        if let Some(port) = args.int("dest_port").and_then(|port| u16::try_from(port).ok()) {
            spec.port = Some(port);
        }
        if let Some(key) = args.str("private_key") {
            spec.keys = vec![key.into()];
        }
        let mut words = vec!["ssh".to_string()];
        if !args.flag("ssh_connection_multiplexing") {
            words.extend(["-S".to_string(), "none".to_string()]);
        }
        words.extend(["-o".to_string(), "batchmode=yes".to_string()]);
        words.extend(ssh_arguments(&spec));
        if spec.host_key_policy == Some(HostKeyPolicy::Off) && !args.flag("verify_host") {
            words.extend(["-o".to_string(), "userknownhostsfile=/dev/null".to_string()]);
        }
        route.insert("rsh", words);
        let own = spec.password.is_some() || other.r#become.as_ref().is_some_and(|b| b.password.is_some());
        route.insert("password", own);
        let Some(r#become) = &other.r#become else { return Ok(()) };
        if other.spec.user.as_deref() == Some(&*r#become.user) {
            return Ok(());
        }
        let program = match r#become.method {
            BecomeMethod::Sudo => "sudo -n",
            BecomeMethod::Doas => "doas -n",
            BecomeMethod::Su => {
                return Err(Trouble::msg(
                    "synchronize: rsync can become another user by sudo or doas only, not by su",
                ));
            }
        };
        route.insert("rsync_path", format!("{program} -u {} rsync", crate::transport::quote(&r#become.user)));
        Ok(())
    }
}

fn give(args: &mut modules::Args, route: Map) {
    let mut map = args.map().clone();
    map.insert("_route", Value::map(route));
    *args = modules::Args::new(map);
}
