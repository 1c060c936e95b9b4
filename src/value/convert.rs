//! JSON in and out. Secrets and unknowns never reach JSON as plain text.

use super::{Key, Map, Value};

/// Returns the value of a JSON document.
pub fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::Number(n) => n
            .as_i128()
            .map(Value::Int)
            .or_else(|| n.as_f64().map(Value::Float))
            .unwrap_or_else(|| Value::str(n.to_string())),
        serde_json::Value::String(s) => Value::str(s.as_str()),
        serde_json::Value::Array(items) => Value::list(items.iter().map(from_json).collect()),
        serde_json::Value::Object(map) => {
            Value::map(map.iter().map(|(k, v)| (Key::from(k.as_str()), from_json(v))).collect::<Map>())
        }
    }
}

/// Returns the value as JSON. A secret becomes asterisks, an unknown an object naming its cause.
pub fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null | Value::Omit => serde_json::Value::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(i) => serde_json::Number::from_i128(*i)
            .map_or_else(|| serde_json::Value::String(i.to_string()), serde_json::Value::Number),
        Value::Float(f) => serde_json::Number::from_f64(*f)
            .map_or_else(|| serde_json::Value::String(value.to_text()), serde_json::Value::Number),
        Value::Str(s) => serde_json::Value::String(s.to_string()),
        Value::Secret(_) => serde_json::Value::String("********".into()),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(map) => serde_json::Value::Object(
            map.iter().map(|(k, v)| (k.json_name().to_string(), to_json(v))).collect(),
        ),
        Value::Unknown(u) => serde_json::json!({ "__unknown__": &*u.cause }),
    }
}

/// Returns compact JSON text of the value.
pub fn to_json_text(value: &Value) -> String {
    to_json(value).to_string()
}
