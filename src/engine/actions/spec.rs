//! `validate_argument_spec`: a role's arguments against `meta/argument_specs.yml`.

use crate::engine::item::ItemRun;
use crate::engine::login::truth;
use crate::engine::result::{TaskResult, Trouble};
use crate::modules::{self, Failure};
use crate::value::{Map, Value};

/// Checks the variables named in the specification, and reports all mistakes at once.
pub fn validate(item: &ItemRun, given: &Map) -> Result<TaskResult, Trouble> {
    let spec = given.get("argument_spec").and_then(Value::as_map).cloned().unwrap_or_default();
    let provided = given.get("provided_arguments").and_then(Value::as_map).cloned().unwrap_or_default();
    let mut values = Map::new();
    for name in spec.keys().filter_map(|k| k.as_str()) {
        let value = match provided.get(name) {
            Some(value) => Some(value.clone()),
            None => item.variable(name)?,
        };
        if let Some(value) = value {
            values.insert(name, value);
        }
    }
    let mut errors = Vec::new();
    check(&spec, &values, "", &mut errors);
    if errors.is_empty() {
        return Ok(TaskResult::ok(Map::from_iter([("msg", Value::str("The arg spec validation passed"))])));
    }
    let failure = Failure::new(format!("Validation of arguments failed:\n{}", errors.join("\n")))
        .with("argument_errors", errors)
        .with("argument_spec_data", spec)
        .with("validate_args_context", given.get("validate_args_context").cloned().unwrap_or(Value::Null));
    Err(failure.into())
}

fn check(spec: &Map, values: &Map, path: &str, errors: &mut Vec<String>) {
    let within =
        if path.is_empty() { String::new() } else { format!(" found in {}", path.replace('.', " -> ")) };
    if !path.is_empty() {
        unsupported(spec, values, path, errors);
    }
    let mut missing: Vec<&str> = spec
        .iter()
        .filter(|(_, o)| o.get("required").is_some_and(truth))
        .filter_map(|(k, _)| k.as_str())
        .filter(|name| !values.contains(name))
        .collect();
    missing.sort_unstable();
    if !missing.is_empty() {
        errors.push(format!("missing required arguments: {}{within}", missing.join(", ")));
    }
    for (name, option) in spec {
        let Some(name) = name.as_str() else { continue };
        let required = option.get("required").is_some_and(truth);
        let Some(value) = values.get(name).filter(|v| !matches!(v, Value::Omit)) else { continue };
        if value.is_null() && !required {
            continue;
        }
        if value.find_unknown().is_some() {
            continue;
        }
        check_option(name, option, value, path, errors);
    }
}

/// Reports members of an option that it does not have.
fn unsupported(spec: &Map, values: &Map, path: &str, errors: &mut Vec<String>) {
    let aliases = |option: &Value| -> Vec<String> {
        let list = option.get("aliases").and_then(Value::as_list).unwrap_or_default();
        list.iter().map(Value::to_text).collect()
    };
    let known = |name: &str| {
        spec.contains(name) || spec.values().any(|option| aliases(option).iter().any(|alias| alias == name))
    };
    let mut unknown: Vec<String> = values
        .keys()
        .map(|key| key.json_name().to_string())
        .filter(|name| !known(name))
        .map(|name| format!("{path}.{name}"))
        .collect();
    if unknown.is_empty() {
        return;
    }
    unknown.sort();
    let mut supported: Vec<String> = spec
        .iter()
        .map(|(name, option)| match aliases(option) {
            aliases if aliases.is_empty() => name.json_name().to_string(),
            aliases => format!("{} ({})", name.json_name(), aliases.join(", ")),
        })
        .collect();
    supported.sort();
    errors.push(format!("{}. Supported parameters include: {}.", unknown.join(", "), supported.join(", ")));
}

fn check_option(name: &str, option: &Value, value: &Value, path: &str, errors: &mut Vec<String>) {
    let kind = option.get("type").map_or_else(|| "str".into(), Value::to_text);
    let within = if path.is_empty() { String::new() } else { format!(" found in '{path}'") };
    let here = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    if let Err(reason) = modules::fits_kind(value, &kind) {
        errors.push(format!(
            "argument '{name}' is of type <class '{}'>{within} and we were unable to convert to {kind}: {reason}",
            value.type_name()
        ));
        return;
    }
    if let Some(choices) = option.get("choices").and_then(Value::as_list) {
        let given: Vec<&Value> = match value {
            Value::List(items) => items.iter().collect(),
            other => vec![other],
        };
        if given.iter().any(|v| !choices.iter().any(|c| c == *v || c.to_text() == v.to_text())) {
            let words: Vec<String> = choices.iter().map(Value::to_text).collect();
            errors.push(format!(
                "value of {name} must be one of: {}, got: {}",
                words.join(", "),
                value.to_text()
            ));
        }
    }
    let elements = option.get("elements").map(Value::to_text);
    let options = option.get("options").and_then(Value::as_map);
    match value {
        Value::List(items) => {
            for item in items.iter() {
                if let Some(Err(reason)) = elements.as_ref().map(|e| modules::fits_kind(item, e)) {
                    errors.push(format!("Elements value for option '{name}' is of type {} and we were unable to convert to {}: {reason}", item.type_name(), elements.as_deref().unwrap_or_default()));
                }
                if let (Some(options), Some(map)) = (options, item.as_map()) {
                    check(options, map, &here, errors);
                }
            }
        }
        Value::Map(map) => {
            if let Some(options) = options {
                check(options, map, &here, errors);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_all_mistakes() {
        let spec = crate::yaml::parse_value(
            "{image: {type: str, required: true}, batch: {type: int}, mode: {choices: [cpio, tar]}, nested: {type: list, elements: dict, options: {name: {required: true}}}}",
        )
        .unwrap();
        let values = crate::yaml::parse_value("{batch: many, mode: zip, nested: [{x: 1}]}").unwrap();
        let mut errors = Vec::new();
        check(spec.as_map().unwrap(), values.as_map().unwrap(), "", &mut errors);
        assert_eq!(
            errors,
            [
                "missing required arguments: image",
                "argument 'batch' is of type <class 'str'> and we were unable to convert to int: \"'many'\" cannot be converted to an int",
                "value of mode must be one of: cpio, tar, got: zip",
                "nested.x. Supported parameters include: name.",
                "missing required arguments: name found in nested",
            ]
        );
    }
}
