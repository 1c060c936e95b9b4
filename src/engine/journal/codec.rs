//! Results as a journal keeps them: unlike ordinary JSON nothing of a value is lost. The texts are sealed afterwards.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::engine::event::Status;
use crate::engine::result::{AddHost, Effects, Include, Stats, TaskResult};
use crate::value::{Key, Map, Secret, Unknown, Value};

/// Members of a map that stand for something else than a map; all begin so.
const TAG: &str = "__xplay_";
const INT: &str = "__xplay_int";
const FLOAT: &str = "__xplay_float";
const SECRET: &str = "__xplay_secret";
const OMIT: &str = "__xplay_omit";
const UNKNOWN: &str = "__xplay_unknown";
const PAIRS: &str = "__xplay_pairs";

#[derive(Serialize, Deserialize)]
struct Kept {
    status: Status,
    result: Json,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delegated: Option<(String, Option<String>)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effects: Option<KeptEffects>,
    /// The differences as registered variables show them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    diff: Option<Json>,
    millis: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct KeptEffects {
    /// Owners of facts; without facts they are those of the result.
    facts: Vec<(Option<String>, Option<Json>)>,
    set: Json,
    notify: Vec<String>,
    add_hosts: Vec<(String, Vec<String>, Json)>,
    groups: Vec<(String, Vec<String>)>,
    stats: Vec<(Json, bool, bool)>,
    includes: Vec<KeptInclude>,
}

#[derive(Serialize, Deserialize)]
struct KeptInclude {
    target: String,
    options: Json,
    locals: Json,
    label: Option<String>,
}

/// Whether all that a result does to the run can be kept. Variables read from files are read again.
pub fn can_keep(result: &TaskResult) -> bool {
    result.effects.include_vars.is_empty()
}

/// Returns the result as text.
pub fn encode(result: &TaskResult) -> String {
    let effects = &result.effects;
    let own = result.result.get("ansible_facts").and_then(Value::as_map);
    let kept = KeptEffects {
        facts: effects
            .facts
            .iter()
            .map(|(owner, facts)| {
                let same = own.is_some_and(|own| own == facts);
                (owner.as_ref().map(ToString::to_string), (!same).then(|| map_json(facts)))
            })
            .collect(),
        set: map_json(&effects.set),
        notify: effects.notify.clone(),
        add_hosts: effects
            .add_hosts
            .iter()
            .map(|h| (h.name.clone(), h.groups.clone(), map_json(&h.vars)))
            .collect(),
        groups: effects.groups.clone(),
        stats: effects.stats.iter().map(|s| (map_json(&s.data), s.per_host, s.aggregate)).collect(),
        includes: effects
            .includes
            .iter()
            .map(|i| KeptInclude {
                target: i.target.clone(),
                options: map_json(&i.options),
                locals: map_json(&i.locals),
                label: i.label.clone(),
            })
            .collect(),
    };
    let nothing = kept.facts.is_empty()
        && effects.set.is_empty()
        && kept.notify.is_empty()
        && kept.add_hosts.is_empty()
        && kept.groups.is_empty()
        && kept.stats.is_empty()
        && kept.includes.is_empty();
    let all = Kept {
        status: result.status,
        result: map_json(&result.result),
        warnings: result.warnings.clone(),
        delegated: result.delegated.clone(),
        effects: (!nothing).then_some(kept),
        diff: result.diff_value.as_ref().map(json),
        millis: u64::try_from(result.elapsed.as_millis()).unwrap_or(u64::MAX),
    };
    json!(all).to_string()
}

/// Reads the text again; nothing when it is no result.
pub fn decode(text: &[u8]) -> Option<TaskResult> {
    let kept: Kept = serde_json::from_slice(text).ok()?;
    let result = map(&kept.result)?;
    let mut effects = Effects::default();
    if let Some(k) = kept.effects {
        for (owner, facts) in k.facts {
            let facts = match facts {
                Some(facts) => map(&facts)?,
                None => result.get("ansible_facts").and_then(Value::as_map).cloned()?,
            };
            effects.facts.push((owner.map(Arc::from), facts));
        }
        effects.set = map(&k.set)?;
        effects.notify = k.notify;
        for (name, groups, vars) in k.add_hosts {
            effects.add_hosts.push(AddHost { name, groups, vars: map(&vars)? });
        }
        effects.groups = k.groups;
        for (data, per_host, aggregate) in k.stats {
            effects.stats.push(Stats { data: map(&data)?, per_host, aggregate });
        }
        for i in k.includes {
            effects.includes.push(Include {
                target: i.target,
                options: map(&i.options)?,
                locals: map(&i.locals)?,
                label: i.label,
                maybe: None,
            });
        }
    }
    let mut found = TaskResult::new(kept.status, result);
    found.warnings = kept.warnings;
    found.delegated = kept.delegated;
    found.effects = effects;
    found.diff_value = kept.diff.as_ref().and_then(value);
    found.elapsed = Duration::from_millis(kept.millis);
    found.replayed = true;
    Some(found)
}

/// Returns a value as JSON from which [`value`] makes the same again.
pub fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(i) => match i64::try_from(*i) {
            Ok(small) => small.into(),
            Err(_) => json!({ INT: i.to_string() }),
        },
        Value::Float(f) => match serde_json::Number::from_f64(*f) {
            Some(number) => Json::Number(number),
            None => json!({ FLOAT: f.to_string() }),
        },
        Value::Str(s) => Json::String(s.to_string()),
        Value::Secret(s) => json!({ SECRET: s.expose() }),
        Value::Omit => json!({ OMIT: true }),
        Value::Unknown(u) => json!({ UNKNOWN: &*u.cause }),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(map) => map_json(map),
    }
}

fn map_json(map: &Map) -> Json {
    let plain = map.keys().all(|k| k.as_str().is_some_and(|name| !name.starts_with(TAG)));
    if plain {
        return Json::Object(map.iter().map(|(k, v)| (k.json_name().to_string(), json(v))).collect());
    }
    let pairs: Vec<Json> = map.iter().map(|(k, v)| json!([json(&k.to_value()), json(v)])).collect();
    json!({ PAIRS: pairs })
}

fn map(json: &Json) -> Option<Map> {
    match value(json)? {
        Value::Map(map) => Some(Map::clone(&map)),
        _ => None,
    }
}

/// Reads a value again.
pub fn value(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => match n.as_i64() {
            Some(i) => Value::Int(i.into()),
            None => Value::Float(n.as_f64()?),
        },
        Json::String(s) => Value::str(s.as_str()),
        Json::Array(items) => Value::list(items.iter().map(value).collect::<Option<_>>()?),
        Json::Object(members) => match members.iter().next() {
            Some((tag, inner)) if tag.starts_with(TAG) => tagged(tag, inner)?,
            _ => {
                let members = members.iter().map(|(k, v)| Some((Key::from(k.as_str()), value(v)?)));
                Value::map(members.collect::<Option<Vec<_>>>()?.into_iter().collect())
            }
        },
    })
}

fn tagged(tag: &str, inner: &Json) -> Option<Value> {
    Some(match (tag, inner) {
        (INT, Json::String(text)) => Value::Int(text.parse().ok()?),
        (FLOAT, Json::String(text)) => Value::Float(text.parse().ok()?),
        (SECRET, Json::String(text)) => Value::Secret(Secret::new(text.as_str())),
        (OMIT, _) => Value::Omit,
        (UNKNOWN, Json::String(cause)) => Value::Unknown(Unknown { cause: cause.as_str().into() }),
        (PAIRS, Json::Array(pairs)) => {
            let pairs = pairs.iter().map(|p| Some((Key::from_value(&value(p.get(0)?)?)?, value(p.get(1)?)?)));
            Value::map(pairs.collect::<Option<Vec<_>>>()?.into_iter().collect())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back() {
        let odd = Value::map(Map::from_iter([(Key::Int(1), Value::str("one"))]));
        let tag = Value::map(Map::from_iter([(SECRET, Value::str("no secret"))]));
        for v in [
            Value::Null,
            true.into(),
            Value::Int(i128::MAX),
            Value::Int(-3),
            Value::Float(1.0),
            Value::Float(f64::INFINITY),
            Value::str("{{ x }}\0\u{1b}"),
            Value::list(vec![odd, Value::str("a")]),
            tag,
        ] {
            let text = json(&v).to_string();
            let back = value(&serde_json::from_str(&text).unwrap()).unwrap();
            assert_eq!((back.type_name(), &back), (v.type_name(), &v), "{text}");
        }
        assert!(matches!(value(&json(&Value::Omit)), Some(Value::Omit)));
        let secret = value(&json(&Value::Secret(Secret::new("hunter2")))).unwrap();
        assert!(matches!(secret, Value::Secret(s) if s.expose() == "hunter2"));
    }

    #[test]
    fn results_come_back_with_their_effects() {
        let facts = Map::from_iter([("os", "el9")]);
        let mut result = TaskResult::ok(Map::from_iter([("ansible_facts", Value::map(facts.clone()))]));
        result.status = Status::Changed;
        result.effects.facts = vec![(Some("n2".into()), facts.clone()), (None, Map::new())];
        result.effects.set = Map::from_iter([("x", 1)]);
        result.effects.notify = vec!["restart".into()];
        result.effects.includes = vec![Include {
            target: "a.yml".into(),
            options: Map::new(),
            locals: Map::from_iter([("item", 2)]),
            label: Some("2".into()),
            maybe: None,
        }];
        result.delegated = Some(("n9".into(), None));
        let back = decode(encode(&result).as_bytes()).unwrap();
        assert_eq!(back.status, Status::Changed);
        assert_eq!(Value::map(back.result), Value::map(result.result));
        assert_eq!(back.delegated, result.delegated);
        assert!(back.replayed);
        assert_eq!(back.effects.facts[0].0.as_deref(), Some("n2"));
        assert_eq!(Value::map(back.effects.facts[0].1.clone()), Value::map(facts));
        assert!(back.effects.facts[1].1.is_empty());
        assert_eq!(back.effects.set.get("x"), Some(&Value::Int(1)));
        assert_eq!(back.effects.notify, ["restart"]);
        assert_eq!(back.effects.includes[0].target, "a.yml");
        assert_eq!(back.effects.includes[0].locals.get("item"), Some(&Value::Int(2)));
        for odd in ["", "{}", "[1]", "{\"status\":\"ok\",\"result\":3,\"millis\":0}"] {
            assert!(decode(odd.as_bytes()).is_none(), "{odd}");
        }
    }
}
