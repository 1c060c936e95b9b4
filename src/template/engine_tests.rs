//! Tests of rendering through the public interface.

use std::sync::Arc;

use indexmap::IndexMap;

use super::*;
use crate::diag::SourceMap;
use crate::value::Map;

/// Variables in a map.
pub(crate) struct TestScope {
    pub vars: IndexMap<Arc<str>, Tree>,
    pub search: SearchPath,
}

impl Scope for TestScope {
    fn get(&self, name: &str) -> Option<Var> {
        self.vars.get(name).cloned().map(Var::Tree)
    }
    fn names(&self) -> Vec<Arc<str>> {
        self.vars.keys().cloned().collect()
    }
    fn search(&self) -> &SearchPath {
        &self.search
    }
}

fn templar() -> Templar {
    Templar::new(SourceMap::new(), TemplarSettings::default())
}

/// A scope of project variables written as YAML.
fn scope(templar: &Templar, yaml: &str) -> Arc<dyn Scope> {
    let id = templar.sources().add("vars.yml", yaml);
    let parsed = crate::yaml::parse(templar.sources(), id).unwrap();
    let mut vars = IndexMap::new();
    for document in &parsed.documents {
        for (key, value) in document.entries() {
            vars.insert(Arc::from(key.as_str().unwrap()), templar.compile_node(value).unwrap());
        }
    }
    vars.insert("later".into(), Tree::value(Value::unknown("task x")));
    Arc::new(TestScope { vars, search: SearchPath::default() })
}

fn render(yaml: &str, template: &str) -> Result<Value, String> {
    let templar = templar();
    let scope = scope(&templar, yaml);
    let tree = templar.compile_str(template, None).map_err(|d| d.message)?;
    templar.render(&tree, &scope).map_err(|e| e.message().to_string())
}

#[track_caller]
fn check(yaml: &str, template: &str, expect: impl Into<Value>) {
    match render(yaml, template) {
        Ok(v) => assert_eq!(v.repr(), expect.into().repr(), "{template}"),
        Err(e) => panic!("{template}: {e}"),
    }
}

#[track_caller]
fn check_error(yaml: &str, template: &str, expect: &str) {
    match render(yaml, template) {
        Ok(v) => panic!("{template}: {}", v.repr()),
        Err(e) => assert_eq!(e, expect, "{template}"),
    }
}

#[test]
fn keeps_types_of_single_expressions() {
    check("a: [1, 2]", "{{ a }}", vec![1, 2]);
    check("a: [1, 2]", "x{{ a }}", "x[1, 2]");
    check("", "{{ 1 }}{{ 2 }}", "12");
    check("", "{% if true %}{{ [1] }}{% endif %}", vec![1]);
    check("", "a{{ none }}b", "ab");
    check("", "x {{ 1 }}\n", "x 1\n");
    check("a: '{{ b }}'\nb: {c: '{{ d }}'}\nd: 3", "{{ a.c }}", 3);
    check("a: '{{ b }}'\nb: {c: '{{ d }}'}\nd: 3", "{{ a }}", Map::from_iter([("c", 3)]));
}

#[test]
fn undefined_names_fail_where_they_are_used() {
    check_error("", "{{ foo }}", "'foo' is undefined");
    check_error("", "{{ foo.a.b }}", "'foo' is undefined");
    check_error("foo: {}", "{{ foo.a }}", "'dict object' has no attribute 'a'");
    check_error("", "{{ foo == 1 }}", "'foo' is undefined");
    check_error("", "{% if foo %}{% endif %}", "'foo' is undefined");
    check("", "{{ foo.a is defined }}", false);
    check("a: '{{ zz }}'", "{{ a is defined }}", false);
    check("a: '{{ zz }}'", "{{ a | default('d') }}", "d");
    check("a: {k: '{{ zz }}'}", "{{ a.k | default('d') }}", "d");
    check_error("a: '{{ b }}'\nb: '{{ a }}'", "{{ a }}", "recursive loop detected in template: a -> b -> a");
}

#[test]
fn unknown_values_spread() {
    let unknown = Value::unknown("task x");
    for template in [
        "{{ later }}",
        "x{{ later }}",
        "{{ later + 1 }}",
        "{{ later == 1 }}",
        "{{ later.a.b }}",
        "{{ later | default('d') }}",
        "{{ later | upper }}",
        "{{ 1 if later else 2 }}",
        "{% if later %}a{% endif %}",
        "{{ [later] | join(',') }}",
        "{{ not later }}",
    ] {
        check("", template, unknown.clone());
    }
    check("", "{{ later is defined }}", true);
    check("", "{{ [later] | length }}", 1);
}
