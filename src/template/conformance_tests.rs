//! Replays what ansible-core made of the templates in `tests/conformance/template_cases.yml`.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::engine_tests::TestScope;
use super::*;
use crate::diag::SourceMap;

const CASES: &str = include_str!("../../tests/conformance/template_cases.yml");
const RECORDED: &str = include_str!("../../tests/conformance/templates.json");
const DIFFERENCES: &str = include_str!("../../tests/conformance/template_differences.txt");

/// The scopes of all groups.
fn scopes(templar: &Templar) -> HashMap<String, Arc<dyn Scope>> {
    let id = templar.sources().add("template_cases.yml", CASES);
    let parsed = crate::yaml::parse(templar.sources(), id).unwrap();
    let mut out = HashMap::new();
    for group in parsed.documents[0].items() {
        let mut vars = IndexMap::new();
        for (key, value) in group.get("vars").map(crate::yaml::Node::entries).unwrap_or_default() {
            vars.insert(Arc::from(key.as_str().unwrap()), templar.compile_node(value).unwrap());
        }
        let name = group.get("group").and_then(crate::yaml::Node::as_str).unwrap().to_string();
        let scope: Arc<dyn Scope> = Arc::new(TestScope { vars, search: SearchPath::default() });
        out.insert(name, scope);
    }
    out
}

fn outcome(templar: &Templar, template: &str, scope: &Arc<dyn Scope>) -> String {
    let Ok(tree) = templar.compile_str(template, None) else { return "error: syntax".to_string() };
    match templar.render(&tree, scope) {
        Ok(value) => value.repr(),
        Err(e) if e.is_undefined() => "error: undefined".to_string(),
        Err(_) => "error: failed".to_string(),
    }
}

/// Cases whose difference is meant: the template as a JSON text, then what comes out here; the line before says why.
fn differences() -> HashMap<String, String> {
    let mut out = HashMap::new();
    for line in DIFFERENCES.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (template, ours) = line.split_once(" => ").expect("a difference has an arrow");
        out.insert(serde_json::from_str(template).expect("the template is JSON"), ours.to_string());
    }
    out
}

#[test]
fn renders_what_ansible_renders() {
    let templar = Templar::new(SourceMap::new(), TemplarSettings::default());
    let scopes = scopes(&templar);
    let known = differences();
    let recorded: Vec<serde_json::Value> = serde_json::from_str(RECORDED).unwrap();
    let mut wrong = Vec::new();
    for case in &recorded {
        let text = |key: &str| case.get(key).and_then(serde_json::Value::as_str);
        let template = text("template").unwrap();
        let expect = match (text("repr"), text("error")) {
            (Some(repr), _) => repr.to_string(),
            (None, error) => format!("error: {}", error.unwrap_or_default()),
        };
        let expect = known.get(template).cloned().unwrap_or(expect);
        let found = outcome(&templar, template, &scopes[text("group").unwrap()]);
        if found != expect {
            wrong.push(format!("{template:?}\n   expect {expect}\n   found  {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), recorded.len(), wrong.join("\n"));
}

/// What `record_ipaddr.py` wrote: an expression and the value's repr, or a null and the error's text.
#[test]
fn addresses_are_those_of_the_collection() {
    const RECORDED: &str = include_str!("../../tests/conformance/ipaddr.json");
    let templar = Templar::new(SourceMap::new(), TemplarSettings::default());
    let scope: Arc<dyn Scope> = Arc::new(TestScope { vars: IndexMap::new(), search: SearchPath::default() });
    let mut wrong = Vec::new();
    for line in RECORDED.lines() {
        let case: Vec<serde_json::Value> = serde_json::from_str(line).unwrap();
        let expect = match &case[1..] {
            [_, _] => "error: failed".to_string(),
            [value] => value.as_str().unwrap().to_string(),
            other => panic!("{other:?}"),
        };
        let expression = case[0].as_str().unwrap();
        let found = outcome(&templar, &format!("{{{{ {expression} }}}}"), &scope);
        if found != expect {
            wrong.push(format!("{expression}: expect {expect}, found {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
