//! Argument tables of modules, and arguments checked against them.
//!
//! The rules (aliases, types, defaults, choices) are those of Ansible's `AnsibleModule` argument specs.

use super::Failure;
use crate::value::{Map, Unknown, Value};

/// A module's documentation and argument table.
#[derive(Debug)]
pub struct ModuleSpec {
    /// Short name, such as `copy`.
    pub name: &'static str,
    /// Namespaces under which it is found besides the short name, such as `ansible.builtin`.
    pub namespaces: &'static [&'static str],
    /// One sentence.
    pub about: &'static str,
    pub args: &'static [ArgSpec],
    /// Arguments that several modules have, such as those for a file's mode and owner.
    pub shared: &'static [ArgSpec],
    /// Modules whose arguments are taken too, for one that hands them on (`package`).
    pub also: &'static [&'static ModuleSpec],
    /// What arguments demand of each other.
    pub rules: &'static [Rule],
    /// The argument that takes the text of a free-form task (`command: ls -l`).
    pub free_form: Option<&'static str>,
    /// Takes arguments of any other name too (`set_fact`).
    pub any_args: bool,
    /// Looks at the arguments as given, before the general checks, for modules that have words of their own.
    pub own_check: Option<OwnCheck>,
    /// Return values: name and meaning.
    pub returns: &'static [(&'static str, &'static str)],
    /// A probe takes a moment, and what it finds depends on nothing that other calls of the module read: the probes of a
    /// loop's next items may go ahead together.
    pub goes_ahead: bool,
}

/// What a module says itself of its arguments as they are given.
pub type OwnCheck = fn(&Map) -> Result<(), Failure>;

/// Says what is wrong with a text that is a language of its own.
pub type TextCheck = fn(&str) -> Result<(), String>;

/// A demand on several arguments.
#[derive(Debug)]
pub enum Rule {
    /// At most one of these.
    Exclusive(&'static [&'static str]),
    /// At least one of these.
    OneOf(&'static [&'static str]),
    /// All of these or none.
    Together(&'static [&'static str]),
    /// When `arg` has the value, all of `needs` must be given.
    If { arg: &'static str, value: &'static str, needs: &'static [&'static str] },
}

impl ModuleSpec {
    /// What a specification does not say; for struct update syntax.
    pub const BASE: ModuleSpec = ModuleSpec {
        name: "",
        namespaces: &["ansible.builtin", "ansible.legacy"],
        about: "",
        args: &[],
        shared: &[],
        also: &[],
        rules: &[],
        free_form: None,
        any_args: false,
        own_check: None,
        returns: &[],
        goes_ahead: false,
    };

    /// Returns the module's own and the shared arguments.
    pub fn all_args(&self) -> impl Iterator<Item = &'static ArgSpec> + use<> {
        self.args.iter().chain(self.shared.iter())
    }

    /// Returns the argument with this name or alias.
    pub fn arg(&self, name: &str) -> Option<&'static ArgSpec> {
        self.all_args()
            .chain(self.also.iter().flat_map(|spec| spec.all_args()))
            .find(|arg| arg.name == name || arg.aliases.contains(&name))
    }

    /// Whether the module runs what the user wrote.
    pub fn runs_commands(&self) -> bool {
        matches!(self.name, "command" | "shell" | "raw" | "script")
    }

    /// Whether running it again after an interruption does no harm even where its effect cannot be foreseen.
    pub fn can_repeat(&self) -> bool {
        !self.runs_commands() && !matches!(self.name, "uri" | "foreign" | "expect")
    }

    /// Returns the full name, such as `ansible.builtin.copy`.
    pub fn full_name(&self) -> String {
        self.namespaces.first().map_or_else(|| self.name.to_string(), |ns| format!("{ns}.{}", self.name))
    }
}

/// One argument.
#[derive(Clone, Copy, Debug)]
pub struct ArgSpec {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub kind: ArgKind,
    pub required: bool,
    /// As it would be written in YAML; converted like a given value.
    pub default: Option<&'static str>,
    pub choices: &'static [&'static str],
    /// For texts that are a language of their own.
    pub text_check: Option<TextCheck>,
    pub about: &'static str,
}

/// The type that a given value is converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    Str,
    /// Like `Str`; `~` and `$HOME` are expanded on the target.
    Path,
    Int,
    Float,
    Bool,
    /// A list; a string is split at commas.
    StrList,
    /// A list of anything.
    List,
    Dict,
    /// Taken as given.
    Raw,
}

impl ArgKind {
    /// Returns the type's name in Ansible's argument specifications.
    pub fn name(self) -> &'static str {
        match self {
            ArgKind::Str => "str",
            ArgKind::Path => "path",
            ArgKind::Int => "int",
            ArgKind::Float => "float",
            ArgKind::Bool => "bool",
            ArgKind::StrList | ArgKind::List => "list",
            ArgKind::Dict => "dict",
            ArgKind::Raw => "raw",
        }
    }
}

impl ArgSpec {
    /// An optional argument without default; change fields with struct update syntax.
    pub const fn new(name: &'static str, kind: ArgKind, about: &'static str) -> Self {
        ArgSpec {
            name,
            aliases: &[],
            kind,
            required: false,
            default: None,
            choices: &[],
            text_check: None,
            about,
        }
    }

    /// Returns two tables as one; `N` is the sum of their lengths.
    pub const fn joined<const N: usize>(first: &[ArgSpec], second: &[ArgSpec]) -> [ArgSpec; N] {
        let mut all = [first[0]; N];
        let mut at = 0;
        while at < N {
            all[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
            at += 1;
        }
        all
    }

    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = Some(text);
        self
    }

    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Texts are checked before anything runs, as far as they hold no template.
    pub const fn checked(mut self, check: TextCheck) -> Self {
        self.text_check = Some(check);
        self
    }

    pub const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }
}

/// Arguments after checking: canonical names, converted types, defaults filled in. Absent ones are not in the map.
#[derive(Clone, Debug, Default)]
pub struct Args(Map);

impl Args {
    /// Wraps arguments that were checked.
    pub fn new(checked: Map) -> Self {
        Args(checked)
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|v| !v.is_null())
    }

    pub fn str(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Str(s) => Some(s),
            Value::Secret(s) => Some(s.expose()),
            _ => None,
        }
    }

    /// Returns a boolean argument; absent counts as false.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub fn bool(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }

    pub fn int(&self, name: &str) -> Option<i128> {
        self.get(name)?.as_int()
    }

    pub fn list(&self, name: &str) -> Option<&[Value]> {
        self.get(name)?.as_list()
    }

    /// Returns the texts of a list argument; absent counts as empty.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.list(name).unwrap_or_default().iter().map(Value::to_text).collect()
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn float(&self, name: &str) -> Option<f64> {
        self.get(name)?.number()
    }

    pub fn map(&self) -> &Map {
        &self.0
    }

    /// Returns the paths among the arguments that are about the target: those of files on this side stay out.
    pub fn target_paths<'a>(&'a self, spec: &'a ModuleSpec) -> impl Iterator<Item = (&'static str, &'a str)> {
        let local_source = match spec.arg("remote_src") {
            Some(_) => !self.flag("remote_src"),
            None => spec.name == "template",
        };
        spec.all_args()
            .filter(move |arg| arg.kind == ArgKind::Path && !(local_source && arg.name == "src"))
            .filter_map(|arg| Some((arg.name, self.str(arg.name)?)))
    }

    /// Returns the arguments with the target's paths as `expand` makes them.
    pub fn with_paths(&self, spec: &ModuleSpec, expand: impl Fn(&str) -> String) -> Args {
        let mut map = self.0.clone();
        for (name, text) in self.target_paths(spec) {
            let path = expand(text);
            if path != text && !matches!(self.0.get(name), Some(Value::Secret(_))) {
                map.insert(name, path);
            }
        }
        Args(map)
    }

    /// Returns the first unknown inside any argument. A module must not be called with one.
    pub fn find_unknown(&self) -> Option<&Unknown> {
        self.0.values().find_map(Value::find_unknown)
    }
}
