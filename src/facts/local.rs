//! `ansible_local`: the site's own facts, JSON or ini, from the target's facts folder.

use super::Sections;
use crate::value::{Map, Value, from_json};

pub fn add(sections: &Sections, facts: &mut Map) {
    let mut local = Vec::new();
    let dir = sections.line("localdir").unwrap_or("/etc/ansible/facts.d");
    for (name, lines) in sections.all("local") {
        let text = lines.join("\n");
        let value = match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(json) => from_json(&json),
            Err(_) => match ini(lines) {
                Some(map) if has_bad_percent(lines) => {
                    drop(map);
                    Value::str(format!(
                        "error loading facts as ini - please check content: {dir}/{name}.fact"
                    ))
                }
                Some(map) => Value::map(map),
                None => Value::str(format!(
                    "error loading facts as JSON or ini - please check content: {dir}/{name}.fact"
                )),
            },
        };
        local.push((name.to_string(), value));
    }
    for (name, lines) in sections.all("localfailed") {
        let (rc, err) =
            lines.split_first().map_or(("1", String::new()), |(rc, err)| (rc.trim(), err.join("\n")));
        let text = format!("Failure executing fact script ({dir}/{name}.fact), rc: {rc}, err: {err}");
        local.push((name.to_string(), Value::str(text)));
    }
    for (name, _) in sections.all("localdead") {
        let text = format!("Could not stat fact ({dir}/{name}.fact): No such file or directory");
        local.push((name.to_string(), Value::str(text)));
    }
    local.sort_by(|(a, _), (b, _)| a.cmp(b));
    facts.insert("ansible_local", local.into_iter().collect::<Map>());
}

/// Whether a value holds a percent sign that ini files would read as a reference and that is none.
fn has_bad_percent(lines: &[String]) -> bool {
    lines.iter().any(|line| {
        let mut rest = line.as_str();
        while let Some((_, after)) = rest.split_once('%') {
            match after.chars().next() {
                Some('%') => rest = &after[1..],
                Some('(') => rest = after,
                _ => return true,
            }
        }
        false
    })
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
        section.insert(line[..at].trim().to_lowercase(), line[at + 1..].trim().replace("%%", "%"));
    }
    if sections.is_empty() {
        return None;
    }
    Some(sections.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_facts_say_why() {
        let sections = Sections::parse(
            b"@localdir\n /f\n@local good\n [a]\n b = 100%%\n@local json\n {\"x\": 1}\n@local bad\n [a]\n b = 5 % c\n@local empty\n@localfailed sick\n 3\n no\n@localdead gone\n",
        );
        let mut facts = Map::new();
        add(&sections, &mut facts);
        assert_eq!(
            Value::map(facts).repr(),
            "{'ansible_local': {'bad': 'error loading facts as ini - please check content: /f/bad.fact', \
             'empty': 'error loading facts as JSON or ini - please check content: /f/empty.fact', \
             'gone': 'Could not stat fact (/f/gone.fact): No such file or directory', 'good': {'a': {'b': '100%'}}, \
             'json': {'x': 1}, 'sick': 'Failure executing fact script (/f/sick.fact), rc: 3, err: no'}}"
        );
    }
}
