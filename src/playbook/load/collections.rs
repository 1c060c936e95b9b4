//! Collections that lie in the project or where the settings say: their modules, names that lead elsewhere
//! (`plugin_routing`) and groups of modules (`action_groups`).

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::read::is_identifier;
use super::{Load, Loader, Place, lock};
use crate::playbook::ModuleKnown;
use crate::yaml::Node;

/// The folder below which collections lie.
pub(super) const FOLDER: &str = "ansible_collections";

/// Names that lead to names; more in a row are a circle.
const MOST_REDIRECTS: usize = 10;

/// Groups of `ansible.builtin`, and the groups of collections that they stand for.
const BUILTIN_GROUPS: [(&str, &[&str]); 10] = [
    ("acme", &["community.crypto.acme"]),
    ("aws", &["amazon.aws.aws", "community.aws.aws"]),
    ("azure", &["azure.azcollection.azure"]),
    ("cpm", &["wti.remote.cpm"]),
    ("docker", &["community.general.docker", "community.docker.docker"]),
    ("gcp", &["google.cloud.gcp"]),
    (
        "k8s",
        &[
            "community.kubernetes.k8s",
            "community.general.k8s",
            "community.kubevirt.k8s",
            "community.okd.k8s",
            "kubernetes.core.k8s",
        ],
    ),
    ("os", &["openstack.cloud.os"]),
    ("ovirt", &["ovirt.ovirt.ovirt", "community.general.ovirt"]),
    ("vmware", &["community.vmware.vmware"]),
];

/// What is known of one collection.
#[derive(Debug, Default)]
pub(super) struct Collection {
    path: PathBuf,
    /// Names of modules and where they lead.
    redirects: HashMap<String, String>,
    groups: HashMap<String, Group>,
}

#[derive(Debug, Default)]
struct Group {
    /// With namespace.
    modules: Vec<String>,
    extends: Vec<String>,
}

/// By the folder of the playbook and the name `namespace.collection`.
pub(super) type Collections = HashMap<(PathBuf, String), Option<Arc<Collection>>>;

/// What a `group/NAME` of `module_defaults` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleGroup {
    /// Names of modules, with namespace.
    Of(Arc<BTreeSet<String>>),
    /// Its collection is not there.
    Absent,
    /// Its collection is there and has no such group.
    Unknown,
}

/// Returns the collections in which tasks look for names without a namespace: that of their role, then those that
/// `collections` names.
pub(super) fn collections_at(place: &Place) -> Vec<String> {
    let own = place.role.as_ref().and_then(|role| {
        let names: Vec<&str> = role.files.path.iter().filter_map(|name| name.to_str()).collect();
        let at = names.iter().rposition(|name| *name == FOLDER)?;
        Some(format!("{}.{}", names.get(at + 1)?, names.get(at + 2)?))
    });
    own.into_iter().chain(place.inherited.collections.iter().map(ToString::to_string)).collect()
}

impl Load<'_> {
    /// Returns the full name of the module that a name stands for; the name itself where it is no other.
    pub(super) fn resolved(&self, name: &str) -> String {
        if name.contains('.') {
            return self.loader.redirected(name, &self.playbook_dir);
        }
        let catalog = &self.loader.options.catalog;
        for collection in &self.searched {
            if matches!(collection.as_str(), "ansible.builtin" | "ansible.legacy") {
                if catalog.find(name) != ModuleKnown::No {
                    break;
                }
                continue;
            }
            let full = self.loader.redirected(&format!("{collection}.{name}"), &self.playbook_dir);
            if catalog.find(&full) != ModuleKnown::No
                || self.loader.collection_module(&full, &self.playbook_dir).is_some()
            {
                return full;
            }
        }
        name.to_string()
    }
}

impl Loader {
    /// Returns the folders in which collections are looked for.
    pub(super) fn collection_dirs(&self, playbook_dir: &Path) -> impl Iterator<Item = PathBuf> {
        [playbook_dir.join("collections")].into_iter().chain(self.options.collections_path.iter().cloned())
    }

    /// Returns the module that a name leads to in its collection; the name itself where it leads nowhere else.
    pub fn redirected(&self, name: &str, playbook_dir: &Path) -> String {
        let mut name = name.to_string();
        for _ in 0..MOST_REDIRECTS {
            let Some((collection, module)) = parts(&name) else { break };
            let known = self.collection(collection, playbook_dir);
            let Some(to) = known.as_ref().and_then(|known| known.redirects.get(module)) else { break };
            name.clone_from(to);
        }
        name
    }

    /// Returns the file of a module of a collection.
    pub(super) fn collection_module(&self, name: &str, playbook_dir: &Path) -> Option<Arc<Path>> {
        let (collection, module) = parts(name)?;
        let plugins = self.collection(collection, playbook_dir)?.path.join("plugins");
        let (folders, short) = module.rsplit_once('.').unwrap_or(("", module));
        let below = |kind: &str| plugins.join(kind).join(folders.replace('.', "/"));
        // What such a module does begins on this side, in Python.
        if below("action").join(format!("{short}.py")).exists() {
            return None;
        }
        self.library(&below("modules")).get(short).cloned()
    }

    /// Returns what a group of `module_defaults` stands for.
    pub fn module_group(&self, name: &str, playbook_dir: &Path) -> ModuleGroup {
        let key = (playbook_dir.to_owned(), name.to_owned());
        if let Some(known) = lock(&self.module_groups).get(&key) {
            return known.clone();
        }
        let found = self.find_group(name, playbook_dir);
        lock(&self.module_groups).insert(key, found.clone());
        found
    }

    fn find_group(&self, name: &str, playbook_dir: &Path) -> ModuleGroup {
        let mut modules = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![name.to_string()];
        let mut first = None;
        while let Some(group) = open.pop() {
            if !seen.insert(group.clone()) {
                continue;
            }
            let short = group.strip_prefix("ansible.builtin.").unwrap_or(&group);
            if let Some((_, extends)) = BUILTIN_GROUPS.iter().find(|(name, _)| *name == short) {
                first.get_or_insert(true);
                open.extend(extends.iter().map(ToString::to_string));
                continue;
            }
            let known = parts(&group).and_then(|(collection, _)| self.collection(collection, playbook_dir));
            let Some(known) = known else {
                // A group of ansible.builtin that there is not is a mistake; one of an absent collection is no use.
                match (first, parts(&group)) {
                    (None, Some((collection, _))) if collection != "ansible.builtin" => {
                        return ModuleGroup::Absent;
                    }
                    (None, _) => return ModuleGroup::Unknown,
                    (Some(_), _) => continue,
                }
            };
            let (_, short) = parts(&group).unwrap_or_default();
            match known.groups.get(&group).or_else(|| known.groups.get(short)) {
                Some(found) => {
                    first.get_or_insert(true);
                    modules.extend(found.modules.iter().map(|module| self.redirected(module, playbook_dir)));
                    open.extend(found.extends.iter().cloned());
                }
                None if first.is_none() => return ModuleGroup::Unknown,
                None => {}
            }
        }
        ModuleGroup::Of(Arc::new(modules))
    }

    fn collection(&self, name: &str, playbook_dir: &Path) -> Option<Arc<Collection>> {
        if matches!(name, "ansible.builtin" | "ansible.legacy") {
            return None;
        }
        let key = (playbook_dir.to_owned(), name.to_owned());
        if let Some(known) = lock(&self.collections).get(&key) {
            return known.clone();
        }
        let below = Path::new(FOLDER).join(name.replace('.', "/"));
        let path = self.collection_dirs(playbook_dir).map(|dir| dir.join(&below)).find(|path| path.is_dir());
        let found = path.map(|path| Arc::new(self.read_collection(name, path)));
        lock(&self.collections).insert(key, found.clone());
        found
    }

    /// Reads `meta/runtime.yml`; one that is no YAML says nothing.
    fn read_collection(&self, name: &str, path: PathBuf) -> Collection {
        let runtime = path.join("meta/runtime.yml");
        let mut collection = Collection { path, ..Collection::default() };
        let parsed = runtime.is_file().then(|| self.parsed(&runtime).ok()).flatten();
        let Some(runtime) = parsed.as_ref().and_then(|parsed| parsed.documents.first()) else {
            return collection;
        };
        let qualified = |text: &str| match parts(text) {
            Some(_) => text.to_string(),
            None => format!("{name}.{text}"),
        };
        let routing = runtime.get("plugin_routing").and_then(|routing| routing.get("modules"));
        for (module, route) in routing.map(Node::entries).unwrap_or_default() {
            if let (Some(module), Some(to)) = (module.as_str(), route.get("redirect").and_then(Node::as_str))
            {
                collection.redirects.insert(module.into(), qualified(to));
            }
        }
        for (group, members) in runtime.get("action_groups").map(Node::entries).unwrap_or_default() {
            let Some(group) = group.as_str() else { continue };
            let known = collection.groups.entry(group.into()).or_default();
            for member in members.items() {
                if let Some(module) = member.as_str() {
                    known.modules.push(qualified(module));
                }
                let Some(extends) = member.get("metadata").and_then(|data| data.get("extend_group")) else {
                    continue;
                };
                let more: Vec<&str> = match extends.as_str() {
                    Some(one) => vec![one],
                    None => extends.items().iter().filter_map(Node::as_str).collect(),
                };
                known.extends = more.into_iter().map(qualified).collect();
            }
        }
        collection
    }
}

/// Splits `namespace.collection.name`, where the name may have folders in it.
fn parts(name: &str) -> Option<(&str, &str)> {
    let (namespace, rest) = name.split_once('.')?;
    let (collection, plugin) = rest.split_once('.')?;
    let plain = [namespace, collection].into_iter().chain(plugin.split('.')).all(is_identifier);
    plain.then(|| (&name[..namespace.len() + 1 + collection.len()], plugin))
}

/// Returns the full name of a module whose file lies in a collection.
pub fn collection_name(file: &Path) -> Option<String> {
    let names: Vec<&str> = file.iter().filter_map(|name| name.to_str()).collect();
    let at = names.iter().rposition(|name| *name == FOLDER)?;
    let [namespace, collection, "plugins", "modules", below @ ..] = &names[at + 1..] else { return None };
    let [folders @ .., file_name] = below else { return None };
    let module = file_name.split_once('.').map_or(*file_name, |(stem, _)| stem);
    let names = [*namespace, *collection].into_iter().chain(folders.iter().copied()).chain([module]);
    Some(names.collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_collections_are_split() {
        let check = |name: &str, expect: Option<(&str, &str)>| assert_eq!(parts(name), expect, "{name}");
        check("a.b.c", Some(("a.b", "c")));
        check("a.b.c.d", Some(("a.b", "c.d")));
        check("ansible.builtin.copy", Some(("ansible.builtin", "copy")));
        check("copy", None);
        check("a.b", None);
        check("a..c", None);
        check("a.b.../etc", None);
        check("../x.y.z", None);
    }

    #[test]
    fn files_of_collections_have_full_names() {
        let check = |path: &str, expect: Option<&str>| {
            assert_eq!(collection_name(Path::new(path)).as_deref(), expect, "{path}");
        };
        check("/p/collections/ansible_collections/a/b/plugins/modules/c.py", Some("a.b.c"));
        check("/p/ansible_collections/a/b/plugins/modules/sub/c", Some("a.b.sub.c"));
        check("/p/library/c.py", None);
    }
}
