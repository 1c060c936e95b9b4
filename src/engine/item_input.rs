//! What an item is given: arguments, environment, the host that it runs on, switches of the task.

use std::sync::Arc;

use super::item::{Delegate, ItemRun};
use super::login::{LoginError, LoginReader, Reach, truth};
use super::result::Trouble;
use crate::modules::{self, Failure};
use crate::playbook::{self, Action, Directives, ModuleGroup};
use crate::template::{Tree, TreeKind, Var};
use crate::value::{Map, Value};
use crate::vars::TaskScope;

impl ItemRun {
    /// Renders the module's arguments: defaults of the play, then those of a template, then the task's own.
    pub fn arguments(
        &self,
        module: &str,
        args: &Tree,
        free_form: Option<&Tree>,
        template_args: Option<&Tree>,
    ) -> Result<Map, Trouble> {
        let mut all = self.defaults(module)?;
        if let Some(tree) = template_args {
            match self.render(tree)? {
                Value::Map(map) => all.extend(Map::clone(&map)),
                Value::Null => {}
                Value::Str(text) => {
                    return Err(Trouble::msg(format!("invalid or malformed argument: '{text}'")));
                }
                other => {
                    return Err(Trouble::msg(format!("arguments must be a map, not {}", other.type_name())));
                }
            }
        }
        // Only where names are data they may be templates.
        let named = matches!(modules::short_name(module), Some("set_fact" | "add_host"));
        let own = if named { self.templar.render_keys(args, &self.vars)? } else { self.render(args)? };
        if let Value::Map(map) = own {
            self.mask(&Value::Map(map.clone()));
            all.extend(Map::clone(&map));
        }
        if let (Some(text), Some(spec)) = (free_form, modules::spec(module))
            && let Some(name) = spec.free_form
        {
            all.insert(name, self.render(text)?.to_text());
        }
        let given: Map = all.into_iter().filter(|(_, v)| !matches!(v, Value::Omit)).collect();
        Ok(given)
    }

    /// Returns what `module_defaults` say of a module: what they say of groups that it is in, then what they say of itself.
    /// What they say further inside of a name takes the place of what they say of it around.
    pub fn defaults(&self, module: &str) -> Result<Map, Trouble> {
        let mut all = Map::new();
        if self.task.directives.module_defaults.is_empty() {
            return Ok(all);
        }
        let own = self.identity(module);
        let mut of_groups: indexmap::IndexMap<String, Map> = indexmap::IndexMap::new();
        let mut of_itself = Map::new();
        for defaults in &self.task.directives.module_defaults {
            let Value::Map(map) = self.render(defaults)? else { continue };
            for (key, value) in map.iter() {
                let Some(name) = key.as_str() else { continue };
                let arguments = value.as_map().cloned().unwrap_or_default();
                match name.strip_prefix("group/") {
                    Some(group) if self.is_in_group(&own, group) => {
                        let group = group.strip_prefix("ansible.builtin.").unwrap_or(group);
                        of_groups.insert(group.into(), arguments);
                    }
                    None if self.named(name) == own => of_itself = arguments,
                    _ => {}
                }
            }
        }
        of_groups.into_values().chain([of_itself]).for_each(|arguments| all.extend(arguments));
        Ok(all)
    }

    /// Returns the name by which a module of the task is compared.
    fn identity(&self, module: &str) -> String {
        let file = match &self.task.action {
            Action::Module { name, file: Some(file), .. } if **name == *module => Some(file.clone()),
            _ => self.module_file(module),
        };
        file.and_then(|file| playbook::collection_name(&file)).unwrap_or_else(|| self.named(module))
    }

    fn named(&self, name: &str) -> String {
        let name = self.shared.loader.redirected(name, &self.vars.search().playbook_dir);
        let plain = |name: &str| {
            let short =
                name.strip_prefix("ansible.builtin.").or_else(|| name.strip_prefix("ansible.legacy."));
            short.unwrap_or(name).to_string()
        };
        modules::short_name(&name).map_or_else(|| plain(&name), ToString::to_string)
    }

    fn is_in_group(&self, module: &str, group: &str) -> bool {
        match self.shared.loader.module_group(group, &self.vars.search().playbook_dir) {
            ModuleGroup::Of(members) => members.iter().any(|member| self.named(member) == module),
            ModuleGroup::Absent | ModuleGroup::Unknown => false,
        }
    }

    pub fn render(&self, tree: &Tree) -> Result<Value, Trouble> {
        let value = self.templar.render(tree, &self.vars)?;
        self.mask(&value);
        Ok(value)
    }

    /// Registers secrets with the masking writer before anything can print them.
    fn mask(&self, value: &Value) {
        match value {
            Value::Secret(secret) => (self.shared.secrets)(secret.expose()),
            Value::List(items) => items.iter().for_each(|v| self.mask(v)),
            Value::Map(map) => map.values().for_each(|v| self.mask(v)),
            _ => {}
        }
    }

    /// Returns how to reach the host that the task runs on, and that host when it is another one.
    pub fn reach(&self) -> Result<(Reach, Option<Delegate>), Trouble> {
        let own = self.scope.host().clone();
        let delegate = self.delegate()?;
        let target: Arc<str> = delegate.as_deref().map_or_else(|| own.clone(), Arc::from);
        let host_scope = if delegate.is_some() { self.scope.on_host(&target) } else { self.scope.clone() };
        let (reach, implicit) = self.reach_of(&target, &host_scope)?;
        let delegated = delegate.filter(|to| **to != *own).map(|to| {
            let address = (reach.spec.address != to && !implicit).then(|| reach.spec.address.clone());
            (to, address)
        });
        Ok((reach, delegated))
    }

    /// Returns how to reach a host in whose scope its settings stand, and whether it is this machine without any inventory
    /// saying so.
    pub fn reach_of(&self, target: &Arc<str>, host_scope: &TaskScope) -> Result<(Reach, bool), Trouble> {
        let directives: &Directives = &self.task.directives;
        let reader = LoginReader::new(
            &self.shared.templar,
            host_scope,
            &self.scope,
            directives,
            &self.shared.options.login,
        );
        let mut reach = reader.read(target).map_err(|e| match e {
            LoginError::Render(e) => Trouble::from(*e),
            LoginError::Bad(msg) => Trouble::msg(msg),
            LoginError::NoWay(msg) => Trouble::Unreachable(msg),
        })?;
        // An unlisted localhost means this machine, as in Ansible.
        let implicit = matches!(&**target, "localhost" | "127.0.0.1" | "::1")
            && !self.shared.vars.hosts.contains(target);
        if implicit {
            reach.spec.kind = crate::transport::Kind::Local;
        }
        for secret in [
            &reach.spec.password,
            &reach.spec.passphrase,
            &reach.r#become.as_ref().and_then(|b| b.password.clone()),
        ]
        .into_iter()
        .flatten()
        {
            (self.shared.secrets)(secret.expose());
        }
        Ok((reach, implicit))
    }

    /// Returns the host that `delegate_to` names.
    pub fn delegate(&self) -> Result<Option<String>, Trouble> {
        let Some(name) = self.keyword(|d| &d.delegate_to)? else { return Ok(None) };
        if name.is_null() || name.to_text().is_empty() {
            let written = self.task.directives.delegate_to.as_ref().and_then(Tree::as_text);
            let written = written.unwrap_or_default();
            return Err(Trouble::msg(format!("Empty hostname produced from delegate_to: \"{written}\"")));
        }
        match name {
            Value::Unknown(unknown) => Err(Failure::unknown(unknown).into()),
            name => Ok(Some(name.to_text())),
        }
    }

    pub fn environment(&self) -> Result<Vec<(String, String)>, Trouble> {
        let mut all: indexmap::IndexMap<String, String> = indexmap::IndexMap::new();
        // Before facts are there, an environment that is made of them is not.
        let gathers = modules::short_name(self.task.action_name()).is_some_and(|n| n == "setup");
        for tree in self.task.directives.environment.iter().flat_map(members) {
            let value = match self.render(&tree) {
                Err(Trouble::Failed { failure, .. })
                    if gathers
                        && (failure.msg.contains("ansible_env") || failure.msg.contains("ansible_facts")) =>
                {
                    continue;
                }
                rendered => rendered?,
            };
            let maps: Vec<&Map> = match &value {
                Value::Map(map) => vec![map],
                Value::List(items) => items.iter().filter_map(Value::as_map).collect(),
                Value::Null | Value::Omit => Vec::new(),
                other => {
                    return Err(Trouble::msg(format!(
                        "environment must be a map, not {}",
                        other.type_name()
                    )));
                }
            };
            for (key, value) in maps.into_iter().flatten() {
                let name = key.to_value().to_text();
                let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if !valid {
                    return Err(Trouble::msg(format!(
                        "\"{name}\" cannot be the name of an environment variable"
                    )));
                }
                if let Some(u) = value.find_unknown() {
                    return Err(Failure::unknown(u.clone()).into());
                }
                all.insert(name, value.to_text());
            }
        }
        Ok(all.into_iter().collect())
    }

    pub fn check(&self) -> Result<bool, Trouble> {
        if self.shared.options.planning {
            return Ok(true);
        }
        Ok(self.keyword(|d| &d.check_mode)?.map_or(self.shared.options.check, |v| truth(&v)))
    }

    pub fn diff(&self) -> Result<bool, Trouble> {
        if self.shared.options.planning {
            return Ok(true);
        }
        Ok(self.keyword(|d| &d.diff)?.map_or(self.shared.options.diff, |v| truth(&v)))
    }

    /// Returns a variable by name, rendered where it is a template.
    pub fn variable(&self, name: &str) -> Result<Option<Value>, Trouble> {
        match self.vars.get(name) {
            Some(Var::Value(value)) => Ok(Some(value)),
            Some(Var::Tree(tree)) => self.render(&tree).map(Some),
            Some(Var::Lazy(_)) | None => Ok(None),
        }
    }

    /// Returns what a keyword says; where it is left out by `omit`, what holds around counts.
    pub fn keyword<'a>(
        &'a self,
        keyword: impl Fn(&'a Directives) -> &'a Option<Tree>,
    ) -> Result<Option<Value>, Trouble> {
        self.task.directives.said(keyword, |tree| self.render(tree))
    }

    /// Returns what a keyword says that is true or false; without it, false.
    pub fn flag<'a>(&'a self, keyword: impl Fn(&'a Directives) -> &'a Option<Tree>) -> Result<bool, Trouble> {
        Ok(self.keyword(keyword)?.is_some_and(|v| truth(&v)))
    }

    pub fn number(&self, tree: &Option<Tree>) -> Result<Option<f64>, Trouble> {
        let Some(tree) = tree else { return Ok(None) };
        as_number(&self.render(tree)?)
    }
}

/// Reads a number; nothing and what is left out are none.
pub fn as_number(value: &Value) -> Result<Option<f64>, Trouble> {
    if matches!(value, Value::Null | Value::Omit) {
        return Ok(None);
    }
    match value.number().or_else(|| value.to_text().trim().parse().ok()) {
        Some(n) if f64::is_finite(n) => Ok(Some(n)),
        _ => Err(Failure::new(format!("\"{}\" is not a number", value.to_text())).into()),
    }
}

/// A map as maps of one entry each, so that each is rendered by itself; anything else as it is.
fn members(tree: &Tree) -> Vec<Tree> {
    match &tree.kind {
        TreeKind::Map(entries) => entries
            .iter()
            .map(|entry| Tree { kind: TreeKind::Map(Arc::new(vec![entry.clone()])), span: tree.span })
            .collect(),
        TreeKind::List(items) => items.iter().flat_map(members).collect(),
        _ => vec![tree.clone()],
    }
}
