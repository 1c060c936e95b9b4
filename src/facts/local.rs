//! `ansible_local`: the site's own facts, JSON or ini, from the target's facts folder.

use super::Sections;
use crate::value::{Map, Value, from_json};

pub fn add(sections: &Sections, facts: &mut Map) {
    let mut local = Map::new();
    for (name, lines) in sections.all("local") {
        let text = lines.join("\n");
        let value = match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(json) => from_json(&json),
            Err(_) => ini(lines).map_or_else(
                || {
                    Value::str(format!(
                        "error loading facts as JSON or ini - please check content: {name}.fact"
                    ))
                },
                Value::map,
            ),
        };
        local.insert(name, value);
    }
    facts.insert("ansible_local", local);
}

/// Reads sections of `name = value`; names become lower case. Nothing when it is no ini.
fn ini(lines: &[String]) -> Option<Map> {
    let mut sections: Vec<(String, Map)> = Vec::new();
    for line in lines {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with(';') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            sections.push((name.to_string(), Map::new()));
            continue;
        }
        let at = line.find(['=', ':'])?;
        let (_, section) = sections.last_mut()?;
        section.insert(line[..at].trim().to_lowercase(), line[at + 1..].trim());
    }
    if sections.is_empty() {
        return None;
    }
    Some(sections.into_iter().collect())
}
