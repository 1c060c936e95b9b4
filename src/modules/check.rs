//! Checks given arguments against a table: names, demands, types, choices; messages as Ansible words them.

use std::collections::BTreeSet;

use super::{ArgKind, ArgSpec, Args, Failure, ModuleSpec, Rule};
use crate::diag::did_you_mean;
use crate::value::{Map, Value, from_json};

/// The key under which the text of a free-form task is given.
const FREE_FORM_KEY: &str = "_raw_params";

/// What is wrong with the names of a task's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgIssue {
    Unknown {
        name: String,
        suggestion: Option<&'static str>,
    },
    Missing {
        name: &'static str,
    },
    /// The argument and one of its aliases, or two aliases.
    Twice {
        name: &'static str,
        given: String,
    },
}

impl ModuleSpec {
    /// Checks and converts the arguments of one call: aliases resolved, defaults filled in. Nulls and omitted values
    /// count as not given; unknowns stay as they are.
    pub fn check(&self, given: &Map) -> Result<Args, Failure> {
        if let Some(own) = self.own_check {
            own(given)?;
        }
        let mut checked = Map::new();
        let mut unknown = Vec::new();
        for (key, value) in given {
            let name = key.json_name();
            let name = if &*name == FREE_FORM_KEY { self.free_form.unwrap_or(FREE_FORM_KEY) } else { &*name };
            match self.arg(name) {
                Some(_) if matches!(value, Value::Null | Value::Omit) => {}
                Some(arg) => {
                    checked.insert(arg.name, value.clone());
                }
                None if self.any_args => {
                    checked.insert(key.clone(), value.clone());
                }
                None => unknown.push(name.to_string()),
            }
        }
        if !unknown.is_empty() {
            return Err(Failure::new(self.unsupported(&unknown)));
        }
        for arg in self.all_args() {
            if let Some(text) = arg.default
                && !checked.contains(arg.name)
            {
                checked.insert(arg.name, text);
            }
        }
        // The order of Ansible's own checks: exclusive before required, types before choices, the rest last.
        self.rules(&checked, given, true)?;
        let mut missing: Vec<_> = self
            .all_args()
            .filter(|arg| arg.required && !checked.contains(arg.name))
            .map(|a| a.name)
            .collect();
        if !missing.is_empty() {
            missing.sort_unstable();
            return Err(Failure::new(format!("missing required arguments: {}", missing.join(", "))));
        }
        for arg in self.all_args() {
            if let Some(value) = checked.get(arg.name) {
                let converted = arg.convert(value).map_err(Failure::new)?;
                checked.insert(arg.name, converted);
            }
        }
        self.rules(&checked, given, false)?;
        Ok(Args::new(checked))
    }

    /// Checks argument names before anything runs. `complete` says that the names are all there are (no `args: "{{
    /// .. }}"`), so that missing ones can be told.
    pub fn check_names<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        all: Completeness,
    ) -> Vec<ArgIssue> {
        let mut issues = Vec::new();
        let mut seen = BTreeSet::new();
        for name in names {
            let name = if name == FREE_FORM_KEY { self.free_form.unwrap_or(name) } else { name };
            match self.arg(name) {
                Some(arg) if !seen.insert(arg.name) => {
                    issues.push(ArgIssue::Twice { name: arg.name, given: name.to_string() });
                }
                Some(_) => {}
                None if self.any_args => {}
                None => issues
                    .push(ArgIssue::Unknown { name: name.to_string(), suggestion: self.suggestion(name) }),
            }
        }
        if all == Completeness::All {
            issues.extend(
                self.all_args()
                    .filter(|arg| arg.required && !seen.contains(arg.name))
                    .map(|arg| ArgIssue::Missing { name: arg.name }),
            );
        }
        issues
    }

    /// Checks one value that has no template in it, before anything runs.
    pub fn check_value(&self, name: &str, value: &Value) -> Result<(), String> {
        match self.arg(name) {
            Some(arg) if !matches!(value, Value::Null | Value::Omit) => arg.convert(value).map(|_| ()),
            _ => Ok(()),
        }
    }

    fn suggestion(&self, name: &str) -> Option<&'static str> {
        did_you_mean(
            name,
            self.all_args().flat_map(|a| std::iter::once(a.name).chain(a.aliases.iter().copied())),
        )
    }

    fn unsupported(&self, unknown: &[String]) -> String {
        let mut names: Vec<String> = self
            .all_args()
            .map(|arg| {
                if arg.aliases.is_empty() {
                    arg.name.to_string()
                } else {
                    format!("{} ({})", arg.name, arg.aliases.join(", "))
                }
            })
            .collect();
        names.sort();
        let mut text = format!(
            "Unsupported parameters for ({}) module: {}. Supported parameters include: {}.",
            self.name,
            unknown.join(", "),
            names.join(", ")
        );
        for name in unknown {
            if let Some(close) = self.suggestion(name) {
                text.push_str(" Did you mean ");
                text.push_str(close);
                text.push_str(" instead of ");
                text.push_str(name);
                text.push('?');
            }
        }
        text
    }

    fn rules(&self, checked: &Map, given: &Map, exclusive: bool) -> Result<(), Failure> {
        // A default does not count as given.
        let is_given = |name: &&&str| {
            self.arg(name).is_some_and(|arg| {
                checked.contains(arg.name)
                    && (arg.default.is_none()
                        || std::iter::once(&arg.name).chain(arg.aliases).any(|n| given.contains(n)))
                    || self.free_form == Some(arg.name) && given.contains(FREE_FORM_KEY)
            })
        };
        for rule in self.rules {
            let broken = match rule {
                Rule::Exclusive(names) => (exclusive && names.iter().filter(is_given).count() > 1)
                    .then(|| format!("parameters are mutually exclusive: {}", names.join("|"))),
                _ if exclusive => None,
                Rule::OneOf(names) => (!names.iter().any(|n| is_given(&n)))
                    .then(|| format!("one of the following is required: {}", names.join(", "))),
                Rule::Together(names) => {
                    let count = names.iter().filter(is_given).count();
                    (count > 0 && count < names.len())
                        .then(|| format!("parameters are required together: {}", names.join(", ")))
                }
                Rule::If { arg, value, needs } => {
                    let holds = checked.get(arg).is_some_and(|v| v.to_text() == *value);
                    let missing: Vec<_> = needs.iter().filter(|n| !checked.contains(n)).copied().collect();
                    (holds && !missing.is_empty()).then(|| {
                        format!(
                            "{arg} is {value} but all of the following are missing: {}",
                            missing.join(", ")
                        )
                    })
                }
            };
            if let Some(text) = broken {
                return Err(Failure::new(text));
            }
        }
        Ok(())
    }
}

/// The own check of modules that want a source and a destination.
pub(super) fn source_and_destination(given: &Map) -> Result<(), Failure> {
    let has = |name: &str| given.get(name).is_some_and(|v| !matches!(v, Value::Null | Value::Omit));
    if has("src") && has("dest") { Ok(()) } else { Err(Failure::new("src and dest are required")) }
}

/// Whether the names given to [`ModuleSpec::check_names`] are all that the task will have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    All,
    Some,
}

impl ArgSpec {
    /// Returns the value as this argument's type; the error is a whole sentence.
    pub fn convert(&self, value: &Value) -> Result<Value, String> {
        if value.find_unknown().is_some() {
            return Ok(value.clone());
        }
        let converted = convert(self.kind, value).map_err(|reason| {
            format!(
                "argument '{}' is of type {} and we were unable to convert to {}: {reason}",
                self.name,
                value.type_name(),
                self.kind.name()
            )
        })?;
        if let (Some(check), Value::Str(text)) = (self.text_check, &converted) {
            check(text)?;
        }
        if self.choices.is_empty() {
            return Ok(converted);
        }
        self.choose(value, converted)
    }

    fn choose(&self, given: &Value, value: Value) -> Result<Value, String> {
        if let Value::List(items) = &value {
            let wrong: Vec<String> =
                items.iter().map(Value::to_text).filter(|t| !self.choices.contains(&t.as_str())).collect();
            if wrong.is_empty() {
                return Ok(value);
            }
            return Err(format!(
                "value of {} must be one or more of: {}. Got no match for: {}",
                self.name,
                self.choices.join(", "),
                wrong.join(", ")
            ));
        }
        let text = value.to_text();
        if self.choices.contains(&text.as_str()) {
            return Ok(value);
        }
        // YAML 1.1 reads a bare `no` or `yes` as a boolean; the matching word among the choices is meant.
        if let Value::Bool(on) = *given {
            let words: &[&str] = if on { &["yes", "true", "on"] } else { &["no", "false", "off"] };
            let mut fitting = self.choices.iter().filter(|c| words.contains(&c.to_lowercase().as_str()));
            if let (Some(word), None) = (fitting.next(), fitting.next()) {
                return Ok(Value::str(*word));
            }
        }
        Err(format!("value of {} must be one of: {}, got: {text}", self.name, self.choices.join(", ")))
    }
}

fn convert(kind: ArgKind, value: &Value) -> Result<Value, String> {
    let text = match value {
        Value::Str(s) => Some(&**s),
        Value::Secret(s) => Some(s.expose()),
        _ => None,
    };
    match kind {
        ArgKind::Raw => Ok(value.clone()),
        ArgKind::Str | ArgKind::Path => {
            Ok(if text.is_some() { value.clone() } else { Value::str(value.to_text()) })
        }
        ArgKind::Bool => to_bool(value, text),
        ArgKind::Int => to_int(value, text),
        ArgKind::Float => match (value.number(), text.and_then(|t| t.trim().parse::<f64>().ok())) {
            (Some(number), _) | (None, Some(number)) => Ok(number.into()),
            _ => Err(format!("{} cannot be converted to a float", class_of(value))),
        },
        ArgKind::StrList | ArgKind::List => to_list(kind, value, text),
        ArgKind::Dict => to_dict(value, text),
    }
}

/// Whether a value would be accepted as a type that a role's argument specification names.
pub fn fits_kind(value: &Value, kind: &str) -> Result<(), String> {
    let kind = match kind {
        "str" => ArgKind::Str,
        "path" => ArgKind::Path,
        "int" => ArgKind::Int,
        "float" => ArgKind::Float,
        "bool" => ArgKind::Bool,
        "list" => ArgKind::List,
        "dict" => ArgKind::Dict,
        "raw" | "any" | "json" | "jsonarg" | "bytes" | "bits" => ArgKind::Raw,
        other => return Err(format!("unknown type {other}")),
    };
    if value.is_null() {
        return match kind {
            ArgKind::Raw => Ok(()),
            ArgKind::Str | ArgKind::Path => {
                Err("'None' is not a string and conversion is not allowed".into())
            }
            ArgKind::Int => Err("\"None\" cannot be converted to an int".into()),
            _ => convert(kind, value).map(|_| ()),
        };
    }
    convert(kind, value).map(|_| ())
}

fn to_bool(value: &Value, text: Option<&str>) -> Result<Value, String> {
    let known = match text {
        Some(text) => match text.trim().to_lowercase().as_str() {
            "y" | "yes" | "on" | "1" | "true" | "t" => Some(true),
            "n" | "no" | "off" | "0" | "false" | "f" => Some(false),
            _ => None,
        },
        None => match value.number() {
            Some(1.0) => Some(true),
            Some(0.0) => Some(false),
            _ => None,
        },
    };
    known.map(Value::Bool).ok_or_else(|| match (text, value) {
        (Some(text), _) => format!("The value '{text}' is not a valid boolean."),
        (None, Value::Int(number)) => format!("The value '{number}' is not a valid boolean."),
        _ => format!("{} cannot be converted to a bool", class_of(value)),
    })
}

fn to_int(value: &Value, text: Option<&str>) -> Result<Value, String> {
    let whole = |f: f64| (f.fract() == 0.0 && f.abs() < 1e18).then_some(f as i128);
    let number = match (value, text) {
        (Value::Int(i), _) => Some(*i),
        (Value::Bool(b), _) => Some(i128::from(*b)),
        (Value::Float(f), _) => whole(*f),
        (_, Some(text)) => {
            let text = text.trim();
            text.parse::<i128>().ok().or_else(|| text.parse::<f64>().ok().and_then(whole))
        }
        _ => None,
    };
    number.map(Value::Int).ok_or_else(|| match text {
        Some(_) => format!("\"{}\" cannot be converted to an int", value.repr()),
        None => format!("{} cannot be converted to an int", class_of(value)),
    })
}

fn to_list(kind: ArgKind, value: &Value, text: Option<&str>) -> Result<Value, String> {
    let items = match (value, text) {
        (Value::List(items), _) => items.to_vec(),
        (Value::Secret(_), _) => vec![value.clone()],
        (_, Some(text)) => text.split(',').map(Value::str).collect(),
        (Value::Int(_) | Value::Float(_) | Value::Bool(_), _) => vec![Value::str(value.to_text())],
        _ => return Err(format!("{} cannot be converted to a list", class_of(value))),
    };
    if kind == ArgKind::List {
        return Ok(Value::list(items));
    }
    let texts = items.into_iter().map(|item| match item {
        Value::Str(_) | Value::Secret(_) => item,
        other => Value::str(other.to_text()),
    });
    Ok(Value::list(texts.collect()))
}

fn to_dict(value: &Value, text: Option<&str>) -> Result<Value, String> {
    if value.as_map().is_some() {
        return Ok(value.clone());
    }
    let Some(text) = text else {
        return Err(format!("{} cannot be converted to a dict", class_of(value)));
    };
    if text.trim_start().starts_with('{') {
        let parsed = serde_json::from_str::<serde_json::Value>(text)
            .map_err(|_| "unable to evaluate string as dictionary".to_string())?;
        return Ok(from_json(&parsed));
    }
    if !text.contains('=') {
        return Err("dictionary requested, could not parse JSON or key=value".to_string());
    }
    let mut map = Map::new();
    for pair in
        super::words::split(text).map_err(|_| "dictionary requested, could not parse JSON or key=value")?
    {
        let (key, value) = pair
            .trim_end_matches(',')
            .split_once('=')
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .ok_or("unable to evaluate string in the \"key=value\" format as dictionary")?;
        map.insert(key, value);
    }
    Ok(Value::map(map))
}

fn class_of(value: &Value) -> String {
    format!("<class '{}'>", value.type_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    static SPEC: ModuleSpec = ModuleSpec {
        name: "copy",
        args: &[
            ArgSpec::new("dest", ArgKind::Path, "").required(),
            ArgSpec::new("src", ArgKind::Path, "").aliases(&["from"]),
            ArgSpec::new("content", ArgKind::Str, ""),
            ArgSpec::new("state", ArgKind::Str, "").choices(&["yes", "absent", "directory"]),
            ArgSpec::new("force", ArgKind::Bool, "").default("yes"),
            ArgSpec::new("count", ArgKind::Int, ""),
            ArgSpec::new("names", ArgKind::StrList, ""),
            ArgSpec::new("vars", ArgKind::Dict, ""),
        ],
        rules: &[
            Rule::Exclusive(&["src", "content"]),
            Rule::Together(&["count", "names"]),
            Rule::If { arg: "state", value: "directory", needs: &["count"] },
        ],
        ..ModuleSpec::BASE
    };

    fn given(pairs: &[(&str, Value)]) -> Map {
        pairs.iter().map(|(k, v)| (*k, v.clone())).collect()
    }

    fn check(pairs: &[(&str, Value)], expect: &str) {
        let got = match SPEC.check(&given(pairs)) {
            Ok(args) => Value::map(args.map().clone()).repr(),
            Err(failure) => failure.msg,
        };
        assert_eq!(got, expect);
    }

    #[test]
    fn converts_and_fills_in() {
        let d = ("dest", Value::str("/x"));
        check(std::slice::from_ref(&d), "{'dest': '/x', 'force': True}");
        check(&[d.clone(), ("from", 7.into())], "{'dest': '/x', 'src': '7', 'force': True}");
        check(
            &[d.clone(), ("count", "1.0".into()), ("names", "a,b".into()), ("force", "off".into())],
            "{'dest': '/x', 'count': 1, 'names': ['a', 'b'], 'force': False}",
        );
        check(
            &[d.clone(), ("state", true.into()), ("src", Value::Omit), ("content", Value::Null)],
            "{'dest': '/x', 'state': 'yes', 'force': True}",
        );
        check(
            &[d.clone(), ("vars", "a=1, b='x y'".into())],
            "{'dest': '/x', 'vars': {'a': '1', 'b': 'x y'}, 'force': True}",
        );
    }

    #[test]
    fn refuses_as_ansible_does() {
        let d = ("dest", Value::str("/x"));
        check(&[], "missing required arguments: dest");
        check(
            &[d.clone(), ("state", "present".into())],
            "value of state must be one of: yes, absent, directory, got: present",
        );
        check(
            &[d.clone(), ("count", "many".into())],
            "argument 'count' is of type str and we were unable to convert to int: \"'many'\" cannot be converted to an int",
        );
        check(
            &[d.clone(), ("force", "maybe".into())],
            "argument 'force' is of type str and we were unable to convert to bool: The value 'maybe' is not a valid boolean.",
        );
        check(
            &[d.clone(), ("src", "a".into()), ("content", "b".into())],
            "parameters are mutually exclusive: src|content",
        );
        check(&[d.clone(), ("count", 1.into())], "parameters are required together: count, names");
        check(
            &[d.clone(), ("state", "directory".into())],
            "state is directory but all of the following are missing: count",
        );
        check(
            &[d.clone(), ("stat", "x".into())],
            "Unsupported parameters for (copy) module: stat. Supported parameters include: content, count, dest, \
             force, names, src (from), state, vars. Did you mean state instead of stat?",
        );
    }

    #[test]
    fn tells_wrong_names_before_the_run() {
        assert_eq!(
            SPEC.check_names(["src", "from", "contnet"], Completeness::All),
            [
                ArgIssue::Twice { name: "src", given: "from".into() },
                ArgIssue::Unknown { name: "contnet".into(), suggestion: Some("content") },
                ArgIssue::Missing { name: "dest" },
            ]
        );
        assert_eq!(SPEC.check_names(["src"], Completeness::Some), []);
    }
}
