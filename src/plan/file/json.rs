//! Canonical JSON: sorted keys and no white space, so that equal data has equal bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::Problem;

/// Returns the canonical bytes of data whose maps have texts as keys.
pub(super) fn canonical(data: &impl Serialize) -> Vec<u8> {
    let mut value = serde_json::to_value(data).expect("all maps of plan files have texts as keys");
    value.sort_all_objects();
    value.to_string().into_bytes()
}

/// Reads an entry whatever its white space.
pub(super) fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|e| Problem::Damaged(format!("\"{name}\" is not what it should be: {e}")))
}

/// Reads an entry that must be canonical; members that this version does not know are left out.
pub(super) fn parse_canonical<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, Problem> {
    let value: Value = parse(name, bytes)?;
    if canonical(&value) != bytes {
        return Err(Problem::Edited(format!("\"{name}\" is not in the form that xplay writes")));
    }
    parse(name, bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = json!({"b": [{"z": 1, "a": null}], "a": "ä\n\u{7f}"});
        let expect = "{\"a\":\"ä\\n\u{7f}\",\"b\":[{\"a\":null,\"z\":1}]}";
        assert_eq!(String::from_utf8(canonical(&value)).unwrap(), expect);
    }

    #[test]
    fn other_forms_of_the_same_data_are_noticed() {
        let check =
            |text: &str| parse_canonical::<Value>("x.json", text.as_bytes()).map_err(|e| e.to_string());
        assert_eq!(check("{\"a\":1,\"b\":2}"), Ok(json!({"a": 1, "b": 2})));
        let edited = Err("was edited: \"x.json\" is not in the form that xplay writes".to_string());
        for text in ["{\"b\":2,\"a\":1}", "{\"a\": 1}", "{\"a\":0,\"a\":1}", "[1,2]\n", "\"\\u0041\""] {
            assert_eq!(check(text), edited, "{text}");
        }
    }
}
