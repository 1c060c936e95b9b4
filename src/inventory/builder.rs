//! Filling an inventory from sources, with mistakes and warnings collected.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use fancy_regex::Regex;

use super::address;
use super::load::{GroupNames, LoadOptions};
use super::model::{GroupId, HostId, Inventory};
use super::vars_files::{bad_name, is_variable_name};
use crate::diag::{Diagnostic, SourceMap, Span};
use crate::template::{Templar, Tree};
use crate::value::Value;

/// An inventory that is being read.
pub(super) struct Builder<'a> {
    pub inventory: Inventory,
    pub templar: &'a Templar,
    pub sources: &'a SourceMap,
    pub errors: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
    /// How many names ranges have given so far, and how many there may be.
    pub ranged: usize,
    pub limits: Limits,
    /// The source that is being read (`inventory_file` of hosts that it names first).
    pub source: Option<Arc<Path>>,
    pub group_names: GroupNames,
}

/// What an inventory may have; more is a slip of the keyboard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub hosts: usize,
    /// Names that ranges give; hosts of several groups count several times.
    pub names: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { hosts: address::MOST_HOSTS, names: 10 * address::MOST_HOSTS }
    }
}

static BAD_GROUP: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[\d\W]|[^\w]").expect("a constant pattern that the tests use"));

impl<'a> Builder<'a> {
    pub fn new(templar: &'a Templar, sources: &'a SourceMap, options: &LoadOptions) -> Self {
        let mut inventory = Inventory::new();
        inventory.options = options.clone();
        Builder {
            inventory,
            templar,
            sources,
            errors: Vec::new(),
            warnings: Vec::new(),
            ranged: 0,
            limits: Limits::default(),
            source: None,
            group_names: options.group_names,
        }
    }

    pub fn error(&mut self, message: impl Into<String>, span: Option<Span>, label: &str) {
        self.errors.push(placed(Diagnostic::error("XP0502", message), span, label));
    }

    /// Finds or makes a group. Names that cannot be used in variables are kept, with a warning, unless a setting says
    /// otherwise.
    pub fn group(&mut self, name: &str, span: Option<Span>) -> GroupId {
        let bad = BAD_GROUP.is_match(name).unwrap_or(false);
        let replaced = matches!(self.group_names, GroupNames::Replaced | GroupNames::ReplacedSilently);
        if bad && replaced {
            let fitting = BAD_GROUP.replace_all(name, "_").into_owned();
            if self.group_names == GroupNames::Replaced {
                let message = format!(
                    "Invalid characters were found in group names and automatically replaced: `{name}` is `{fitting}`"
                );
                self.warnings.push(placed(Diagnostic::warning("XP0503", message), span, "renamed"));
            }
            return match self.inventory.find_group(&fitting) {
                Some(id) => id,
                None => self.inventory.add_group(&fitting),
            };
        }
        if let Some(id) = self.inventory.find_group(name) {
            return id;
        }
        if bad && self.group_names == GroupNames::Kept {
            let warning = Diagnostic::warning(
                "XP0503",
                format!("Invalid characters were found in group names but not replaced: `{name}`"),
            )
            .help(format!("write `groups['{name}']` to refer to it, or use underscores"));
            self.warnings.push(placed(warning, span, "kept as it is"));
        }
        self.inventory.add_group(name)
    }

    pub fn host(&mut self, name: &str) -> HostId {
        let source = self.source.clone();
        self.inventory.add_host(name, source.as_ref())
    }

    /// Expands a pattern of hosts; nothing after an error.
    pub fn expand(&mut self, pattern: &str, span: Span) -> Option<(Vec<String>, Option<u32>)> {
        if self.ranged > self.limits.names && pattern.contains('[') {
            // It was told already.
            return None;
        }
        let (names, port) = match address::expand_hosts(pattern) {
            Ok(found) => found,
            Err(reason) => {
                self.error(format!("cannot expand `{pattern}`: {reason}"), Some(span), "in this range");
                return None;
            }
        };
        if names.len() > 1 {
            self.ranged += names.len();
        }
        if self.ranged > self.limits.names {
            let message = format!(
                "cannot expand `{pattern}`: all ranges together give more than {} names",
                self.limits.names
            );
            self.error(message, Some(span), "in this range");
            return None;
        }
        Some((names, port))
    }

    /// Adds hosts with a port and variables to a group.
    pub fn hosts(
        &mut self,
        names: &[String],
        span: Option<Span>,
        port: Option<u32>,
        group: GroupId,
        vars: &[(Arc<str>, Tree)],
    ) {
        let mut count = self.inventory.hosts().len();
        for name in names {
            let new = self.inventory.find_host(name).is_none_or(|id| self.inventory.host(id).implicit);
            count += usize::from(new);
            if count > self.limits.hosts {
                let message = format!("the inventory has more than {} hosts", self.limits.hosts);
                // Once is enough, however many follow.
                if self.errors.iter().all(|e| e.message != message) {
                    self.error(message, span, "with these");
                }
                return;
            }
            let host = self.host(name);
            self.inventory.join(host, group);
            if let Some(port) = port.filter(|_| new) {
                self.inventory.set_host_var(host, "ansible_port".into(), Tree::value(port));
            }
            for (key, value) in vars {
                self.inventory.set_host_var(host, key.clone(), value.clone());
            }
        }
    }

    /// Compiles a value; nothing after an error.
    pub fn compile(&mut self, value: &Value, span: Option<Span>) -> Option<Tree> {
        match self.templar.compile_value(value, span) {
            Ok(tree) => Some(tree),
            Err(diagnostic) => {
                self.errors.push(diagnostic);
                None
            }
        }
    }

    /// Warns about names that templates cannot use as variables.
    pub fn check_name(&mut self, name: &str, span: Option<Span>) {
        if !is_variable_name(name) {
            self.warnings.push(bad_name(name, span));
        }
    }
}

/// Adds a label where the place is known.
pub(super) fn placed(diagnostic: Diagnostic, span: Option<Span>, label: &str) -> Diagnostic {
    match span {
        Some(span) => diagnostic.at(span, label),
        None => diagnostic,
    }
}
