//! How hosts are reached, before anything runs: for those who prepare connections.

use std::path::Path;
use std::sync::Arc;

use super::inventory::LiveInventory;
use super::login::{LoginReader, Reach};
use super::options::Login;
use crate::diag::SourceMap;
use crate::inventory::Inventory;
use crate::playbook::Directives;
use crate::template::{Templar, VarMap};
use crate::transport::Kind;
use crate::value::Map;
use crate::vars::{RunVars, Store, TaskScope};

/// Where variables come from.
pub struct Before<'a> {
    pub inventory: &'a Inventory,
    pub templar: &'a Templar,
    pub sources: &'a SourceMap,
    pub extra_vars: &'a VarMap,
    pub login: &'a Login,
}

impl Before<'_> {
    /// Returns how each host is reached in a play with these keywords, and who its tasks become; hosts whose variables
    /// cannot be read yet are left out.
    pub fn reaches(
        &self,
        hosts: &[Arc<str>],
        directives: &Directives,
        playbook_dir: Option<&Path>,
    ) -> Vec<Reach> {
        let live = LiveInventory::new(self.inventory.clone(), self.templar.clone(), self.sources.clone());
        if let Some(dir) = playbook_dir {
            live.set_playbook_dir(dir);
        }
        let vars = Arc::new(RunVars {
            extra: self.extra_vars.clone(),
            store: Store::new(),
            hosts: Arc::new(live),
            magic: Map::new(),
            inject_facts: true,
            merge_dicts: false,
        });
        let read = |host: &Arc<str>| {
            let scope = TaskScope::new(vars.clone(), Arc::default(), Arc::default(), host.clone());
            let reader = LoginReader::new(self.templar, &scope, &scope, directives, self.login);
            let mut reach = reader.read(host).ok()?;
            // An unlisted localhost means this machine.
            if matches!(&**host, "localhost" | "127.0.0.1" | "::1") && !vars.hosts.contains(host) {
                reach.spec.kind = Kind::Local;
            }
            Some(reach)
        };
        hosts.iter().filter_map(read).collect()
    }
}
