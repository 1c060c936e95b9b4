//! Tests of rendering through the public interface.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use proptest::prelude::*;

use super::*;
use crate::diag::{SourceMap, Style};
use crate::value::{Map, Secret};
use crate::vault::VaultError;

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
    let vault: VaultOpener = Arc::new(|text| match text.trim() {
        "good" => Ok("opened".to_string()),
        _ => Err(VaultError::NoMatch),
    });
    Templar::new(SourceMap::new(), TemplarSettings { vault: Some(vault), ..TemplarSettings::default() })
}

/// A scope of project variables written as YAML, an unknown one, and one from a host.
fn scope_in(templar: &Templar, yaml: &str, dir: &Path) -> Arc<dyn Scope> {
    let id = templar.sources().add("vars.yml", yaml);
    let parsed = crate::yaml::parse(templar.sources(), id).unwrap();
    let mut vars = IndexMap::new();
    for document in &parsed.documents {
        for (key, value) in document.entries() {
            vars.insert(Arc::from(key.as_str().unwrap()), templar.compile_node(value).unwrap());
        }
    }
    vars.insert("later".into(), Tree::value(Value::unknown("task x")));
    vars.insert("from_host".into(), Tree::value("{{ 1 + 1 }}{% raw %}"));
    vars.insert("secret".into(), Tree::value(Value::Secret(Secret::new("s3cret"))));
    let search = SearchPath { dirs: vec![dir.to_path_buf()], playbook_dir: dir.to_path_buf() };
    Arc::new(TestScope { vars, search })
}

fn scope(templar: &Templar, yaml: &str) -> Arc<dyn Scope> {
    scope_in(templar, yaml, Path::new("/nonexistent"))
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
    check("a: '{{ b }}'\nb: {c: '{{ d }}'}\nd: 3", "{{ a.c }}", 3);
    check("a: '{{ b }}'\nb: {c: '{{ d }}'}\nd: 3", "{{ a }}", Map::from_iter([("c", 3)]));
    check("", "{{ lookup('ansible.builtin.items', [1, 2]) }}", vec![1, 2]);
}

#[test]
fn undefined_names_fail_where_they_are_used() {
    check_error("", "{{ foo }}", "'foo' is undefined");
    check_error("foo: {}", "{{ foo.a }}", "'dict object' has no attribute 'a'");
    check_error("foo: []", "{{ foo[3] }}", "list object has no element 3");
    check_error("a: '{{ zz }}'", "{{ a }}", "'zz' is undefined");
    check("a: '{{ zz }}'", "{{ a is defined }}", false);
    check("a: {k: '{{ zz }}'}", "{{ a.k | default('d') }}", "d");
    check_error("a: '{{ b }}'\nb: '{{ a }}'", "{{ a }}", "recursive loop detected in template: a -> b -> a");
    check_error("a: '{{ a }}'", "{{ a }}", "recursive loop detected in template: a -> a");
    check("a: {x: '{{ a.y }}', y: 1}", "{{ a.x }}", 1);
    check_error(
        "",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "recursive loop detected in template: evaluation is nested too deeply",
    );
}

#[test]
fn errors_show_the_template_the_variable_and_the_chain() {
    let templar = templar();
    let scope = scope(&templar, "port: '{{ base_prot + 1 }}'\nbase_port: 80\n");
    let tree = templar.compile_str("listen {{ port }}", None).unwrap();
    let error = templar.render(&tree, &scope).unwrap_err();
    assert_eq!(error.kind, RenderErrorKind::Undefined { name: "base_prot".into() });
    let places: Vec<String> = error
        .diagnostic
        .labels
        .iter()
        .map(|l| format!("{} {}", templar.sources().place(l.span), l.text))
        .collect();
    assert_eq!(places, ["vars.yml:1:11 here", "vars.yml:1:7 in variable 'port'"]);
    assert_eq!(error.diagnostic.help.as_deref(), Some("did you mean `base_port`?"));
    assert!(crate::diag::render(templar.sources(), &error.diagnostic, Style::Plain).contains("'base_prot'"));
}

#[test]
fn mistakes_are_found_when_compiling() {
    let templar = templar();
    let check = |yaml: &str, code: &str, message: &str, place: &str, help: Option<&str>| {
        let id = templar.sources().add("a.yml", yaml);
        let parsed = crate::yaml::parse(templar.sources(), id).unwrap();
        let error = templar.compile_node(&parsed.documents[0]).unwrap_err();
        assert_eq!((error.code, error.message.as_str(), error.help.as_deref()), (code, message, help));
        assert_eq!(templar.sources().place(error.labels[0].span).to_string(), place);
    };
    check(
        "x: '{{ a | defualt(1) }}'",
        "XP0305",
        "no filter named 'defualt'",
        "a.yml:1:12",
        Some("did you mean `default`?"),
    );
    check(
        "x: |\n  one\n  {{ a is definde }}\n",
        "XP0306",
        "no test named 'definde'",
        "a.yml:3:11",
        Some("did you mean `defined`?"),
    );
    check(
        "x: '{{ a b }}'",
        "XP0300",
        "syntax error in template: unexpected identifier, expected end of variable block",
        "a.yml:1:10",
        None,
    );
    let error = templar.compile_expr("a ==", None).unwrap_err();
    assert_eq!(error.message, "syntax error in template: unexpected end of input, expected expression");
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
        "{{ later['a'] }}",
        "{{ later[1:] }}",
        "{{ later() }}",
        "{{ later.split(',') }}",
        "{{ 'a'.join(later) }}",
        "{{ later | default('d') }}",
        "{{ later | default('d', true) }}",
        "{{ later | upper }}",
        "{{ later | map('upper') | list }}",
        "{{ [later] | select('gt', 1) | list }}",
        "{{ 'a' is match(later) }}",
        "{{ later is string }}",
        "{{ later is failed }}",
        "{{ 1 if later else 2 }}",
        "{{ 1 in [later] }}",
        "{{ later in [1] }}",
        "{{ -later }}",
        "{{ later ~ 'a' }}",
        "{{ '%s' % later }}",
        "{{ '{}'.format(later) }}",
        "{{ lookup('env', later) }}",
        "{{ lookup('items', later) }}",
        "{{ [later] | to_json }}",
        "{% if later %}a{% endif %}",
        "{% for i in later %}a{% endfor %}",
        "{{ [later] | join(',') }}",
        "{{ not later }}",
        "{{ later | bool }}",
        "{{ later or 1 }}",
        "{{ later | ternary(1, 2) }}",
    ] {
        check("", template, unknown.clone());
    }
    check("", "{{ later is defined }}", true);
    check("", "{{ [later] | length }}", 1);
    check("", "{{ {'a': later} | combine({'b': 1}) }}", Map::from_iter([("a", unknown), ("b", 1.into())]));
    check("", "{{ 1 in [1, later] }}", true);
}

fn test(template: &str) -> Truth {
    let templar = templar();
    let scope = scope(&templar, "t: true\nf: false\n");
    templar.test(&templar.compile_expr(template, None).unwrap(), &scope).unwrap()
}

#[test]
fn conditions_know_three_answers() {
    let unknown = Truth::Unknown(crate::value::Unknown { cause: "task x".into() });
    assert_eq!(test("t"), Truth::True);
    assert_eq!(test("t and not f"), Truth::True);
    assert_eq!(test("later"), unknown);
    assert_eq!(test("later.rc == 0"), unknown);
    assert_eq!(test("not later"), unknown);
    assert_eq!(test("later and f"), Truth::False);
    assert_eq!(test("f and later"), Truth::False);
    assert_eq!(test("later or t"), Truth::True);
    assert_eq!(test("later and t"), unknown);
    assert_eq!(test("later and nope.x > 1"), unknown);
    assert_eq!(test("later is defined"), Truth::True);
    assert_eq!(test("later is failed or t"), Truth::True);
    assert_eq!(test("1 < 2 == later"), unknown);
}

#[test]
fn wrapped_conditions_work_with_a_warning() {
    let templar = templar();
    let scope = scope(&templar, "x: 1");
    let expr = templar.compile_expr("{{ x == 1 }}", None).unwrap();
    assert_eq!(templar.test(&expr, &scope).unwrap(), Truth::True);
    assert_eq!(expr.warnings.len(), 1);
    assert_eq!(templar.compile_expr("x == 1", None).unwrap().warnings.len(), 0);
}

#[test]
fn texts_from_hosts_are_never_templates() {
    check("", "{{ from_host }}", "{{ 1 + 1 }}{% raw %}");
    check("", "x{{ from_host }}", "x{{ 1 + 1 }}{% raw %}");
    check("a: '{{ from_host }}'", "{{ a }}{{ a | upper }}", "{{ 1 + 1 }}{% raw %}{{ 1 + 1 }}{% RAW %}");
    check("a: !unsafe '{{ x }}'", "{{ a }}", "{{ x }}");
    check("a: !unsafe ['{{ x }}']", "{{ a[0] }}", "{{ x }}");
    check("", "{{ lookup('pipe', 'echo \"{{ 1 }}\"') }}", "{{ 1 }}");
}

#[test]
fn secrets_stay_secret() {
    let secret = |template: &str, text: &str| match render("v: !vault good\n", template).unwrap() {
        Value::Secret(s) => assert_eq!(s.expose(), text, "{template}"),
        other => panic!("{template}: {}", other.type_name()),
    };
    secret("{{ v }}", "opened");
    secret("x{{ secret }}", "xs3cret");
    secret("{{ secret ~ 'x' }}", "s3cretx");
    secret("{{ secret + 'x' }}", "s3cretx");
    secret("{{ secret | upper }}", "S3CRET");
    secret("{{ secret.upper() }}", "S3CRET");
    secret("{{ secret[1:3] }}", "3c");
    secret("{{ secret | first }}", "s");
    secret("{{ secret | last }}", "t");
    secret("{{ secret[0] }}", "s");
    secret("{{ '%s' % secret }}", "s3cret");
    secret("{{ '{}'.format(secret) }}", "s3cret");
    secret("{{ [secret, 'a'] | join(',') }}", "s3cret,a");
    secret("{{ secret | b64encode }}", "czNjcmV0");
    secret("{{ {'a': secret} | to_json }}", "{\"a\": \"s3cret\"}");
    secret("{{ secret.split('3')[0] }}", "s");
    secret("{% set x %}a{{ secret }}{% endset %}{{ x }}", "as3cret");
    check("", "{{ secret == 's3cret' }}{{ secret | length }}{{ secret is match('s3') }}", "True6True");
    check_error(
        "v: !vault bad\n",
        "{{ v }}",
        "Decryption failed: no vault password fits, or the text was changed",
    );
}

#[test]
fn omit_is_a_value() {
    let value = render("", "{{ nope | default(omit) }}").unwrap();
    assert!(matches!(value, Value::Omit));
    let args = Map::from_iter([("a", Value::Omit), ("b", Value::list(vec![Value::Omit, 1.into()]))]);
    assert_eq!(strip_omit(Value::map(args)).repr(), "{'b': [1]}");
}

#[test]
fn keys_are_rendered_on_request() {
    let templar = templar();
    let scope = scope(&templar, "k: name\nm: {'{{ k }}': '{{ k }}'}\n");
    let Some(Var::Tree(tree)) = scope.get("m") else { panic!("no variable") };
    assert_eq!(templar.render(&tree, &scope).unwrap().repr(), "{'{{ k }}': 'name'}");
    assert_eq!(templar.render_keys(&tree, &scope).unwrap().repr(), "{'name': 'name'}");
}

#[test]
fn sizes_are_bounded() {
    for template in [
        "{{ 'a' * 100000000000 }}",
        "{{ [1] * 100000000000 }}",
        "{{ range(100000000000) }}",
        "{{ '%100000000000d' % 1 }}",
        "{{ '{:100000000000}'.format(1) }}",
        "{{ 'a'.ljust(100000000000) }}",
        "{{ 'a' | center(100000000000) }}",
        "{{ 2 ** 1000000 }}",
        "{{ range(100) | permutations(8) }}",
        "{% set x = [] %}{% set _ = x.append(x) %}{{ x }}",
    ] {
        assert!(render("", template).is_err(), "{template}");
    }
}

struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Files(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[track_caller]
    fn check(&self, name: &str, yaml: &str, expect: &str) {
        let templar = templar();
        let scope = scope_in(&templar, yaml, self.0.path());
        let text = templar.render_file(&self.path(name), &scope, &TemplateFileOptions::default());
        assert_eq!(text.map_err(|e| e.message().to_string()), Ok(expect.to_string()));
    }
}

#[test]
fn template_files_keep_their_last_line_break_and_trim_blocks() {
    let files = Files::new(&[
        ("a.j2", "a {{ x }}\n{% if true %}\n  b\n{% endif %}\nc\\n {{ 'd\\n' }}\n"),
        ("crlf.j2", "a\r\nb\r\n"),
        ("empty.j2", "a\n\n{{ x }}\n"),
        ("head.j2", "#jinja2: trim_blocks:False, lstrip_blocks: True\n  {% if true %}\nb\n  {% endif %}\n"),
        ("delims.j2", "#jinja2: variable_start_string:'[%', variable_end_string:'%]'\n[% x %] {{ x }}\n"),
        ("managed.j2", "# {{ ansible_managed }} {{ template_path | basename }}\n"),
        ("include.j2", "<{% include 'a_part.j2' %}>{% include 'none.j2' ignore missing %}"),
        ("a_part.j2", "part {{ x }}"),
        (
            "import.j2",
            "{% import 'lib.j2' as lib %}{% from 'lib.j2' import m as mm with context %}{{ lib.m(1) }}{{ mm(2) }}{{ lib.v }}",
        ),
        ("lib.j2", "{% macro m(n) %}<{{ n }}{{ x }}>{% endmacro %}{% set v = 7 %}"),
        ("base.j2", "[{% block a %}base{% endblock %}|{% block b %}b{% endblock %}]"),
        (
            "child.j2",
            "{% extends 'base.j2' %}ignored{% block a %}child+{{ super() }}{{ self.b() }}{% endblock %}",
        ),
    ]);
    files.check("a.j2", "x: 1", "a 1\n  b\nc\\n d\n");
    files.check("crlf.j2", "", "a\nb\n");
    files.check("head.j2", "", "\nb\n");
    files.check("empty.j2", "x: ''", "a\n\n");
    files.check("empty.j2", "x: b", "a\n\nb\n");
    files.check("delims.j2", "x: 1", "1 {{ x }}\n");
    files.check("managed.j2", "", "# Ansible managed managed.j2\n");
    files.check("managed.j2", "ansible_managed: mine", "# mine managed.j2\n");
    files.check("include.j2", "x: 1", "<part 1>");
    files.check("import.j2", "x: 1", "<11><21>7");
    files.check("child.j2", "", "[child+baseb|b]");
}

#[test]
fn errors_in_template_files_point_into_them() {
    let files = Files::new(&[("a.j2", "one\n{{ two.three }}\n"), ("b.j2", "x\n{% if %}\n")]);
    let templar = templar();
    let scope = scope_in(&templar, "two: {}", files.0.path());
    let place = |name: &str| {
        let error =
            templar.render_file(&files.path(name), &scope, &TemplateFileOptions::default()).unwrap_err();
        let place = templar.sources().place(error.diagnostic.labels[0].span);
        (place.line, place.column, error.message().to_string())
    };
    assert_eq!(place("a.j2"), (2, 4, "'dict object' has no attribute 'three'".into()));
    assert_eq!(place("b.j2"), (2, 7, "syntax error in template: unexpected end of block".into()));
    let options = TemplateFileOptions::default();
    std::fs::write(files.path("c.j2"), "{{ later }}").unwrap();
    let error = templar.render_file(&files.path("c.j2"), &scope, &options).unwrap_err();
    assert_eq!(error.unknown().map(|u| &*u.cause), Some("task x"));
}

#[test]
fn changed_template_files_are_read_again() {
    let files = Files::new(&[("a.j2", "one")]);
    let templar = templar();
    let scope = scope_in(&templar, "", files.0.path());
    let render =
        || templar.render_file(&files.path("a.j2"), &scope, &TemplateFileOptions::default()).unwrap();
    assert_eq!(render(), "one");
    std::fs::write(files.path("a.j2"), "three").unwrap();
    assert_eq!(render(), "three");
}

#[test]
fn lookups_find_files_by_the_search_path() {
    let files = Files::new(&[
        ("files/a.txt", "text {{ x }}\n"),
        ("templates/t.j2", "n={{ x }}{{ y | default('') }}\n"),
        ("files/d/1.conf", "1"),
        ("files/d/2.conf", "2"),
        ("files/x.ini", "[s]\nkey = value\n"),
        ("files/x.csv", "a,1\nb,2\n"),
    ]);
    let templar = templar();
    let scope = scope_in(&templar, "x: 5", files.0.path());
    let check = |template: &str, expect: &str| {
        let tree = templar.compile_str(template, None).unwrap();
        let value = templar.render(&tree, &scope).map_err(|e| e.message().to_string()).unwrap();
        assert_eq!(value.repr().replace(&files.0.path().display().to_string(), "DIR"), expect, "{template}");
    };
    check("{{ lookup('file', 'a.txt') }}", "'text {{ x }}'");
    check("{{ lookup('template', 't.j2') }}", "'n=5\\n'");
    check("{{ lookup('template', 't.j2', template_vars={'y': 6}) }}", "'n=56\\n'");
    check("{{ query('fileglob', 'd/*.conf') | map('basename') | list }}", "['1.conf', '2.conf']");
    check("{{ lookup('first_found', ['nope', 'a.txt']) }}", "'DIR/files/a.txt'");
    check(
        "{{ lookup('first_found', {'files': ['a.txt'], 'paths': ['nope', 'files']}) }}",
        "'DIR/files/a.txt'",
    );
    check("{{ lookup('ini', 'key', section='s', file='x.ini') }}", "'value'");
    check("{{ lookup('ini', 'nope section=s file=x.ini default=d') }}", "'d'");
    check("{{ lookup('csvfile', 'b', file='x.csv', delimiter=',') }}", "'2'");
    check("{{ query('filetree', 'd') | map(attribute='path') | list }}", "['1.conf', '2.conf']");
    let password = "{{ lookup('password', 'pw/x length=9 chars=digits') }}";
    let tree = templar.compile_str(password, None).unwrap();
    let (a, b) = (templar.render(&tree, &scope).unwrap(), templar.render(&tree, &scope).unwrap());
    assert_eq!((a.to_text().len(), a.to_text()), (9, b.to_text()));
    let terms = [Value::from(vec![1, 2]), Value::Int(3)];
    let found = templar.run_lookup("items", &terms, &Map::new(), &scope).unwrap();
    assert_eq!(Value::list(found).repr(), "[1, 2, 3]");
    assert_eq!(templar.check_lookup("fileglop"), Err(Some("fileglob")));
}

/// Members that are made when asked for, in a scope of their own.
struct Hosts(Arc<dyn Scope>, Templar);

impl LazyMap for Hosts {
    fn get(&self, key: &str) -> Option<Var> {
        (key != "none").then(|| Var::Tree(self.1.compile_str("{{ x }}-{{ x + 1 }}", None).unwrap()))
    }
    fn keys(&self) -> Vec<Arc<str>> {
        vec!["a".into(), "b".into()]
    }
    fn scope(&self) -> Option<Arc<dyn Scope>> {
        Some(self.0.clone())
    }
}

struct WithHosts(Arc<dyn Scope>, Arc<Hosts>);

impl Scope for WithHosts {
    fn get(&self, name: &str) -> Option<Var> {
        if name == "hostvars" { Some(Var::Lazy(self.1.clone())) } else { self.0.get(name) }
    }
    fn names(&self) -> Vec<Arc<str>> {
        self.0.names()
    }
    fn search(&self) -> &SearchPath {
        self.0.search()
    }
}

#[test]
fn lazy_maps_render_in_their_own_scope() {
    let templar = templar();
    let inner = scope(&templar, "x: 10");
    let outer = scope(&templar, "x: 20");
    let scope: Arc<dyn Scope> = Arc::new(WithHosts(outer, Arc::new(Hosts(inner, templar.clone()))));
    let check = |template: &str, expect: &str| {
        let tree = templar.compile_str(template, None).unwrap();
        assert_eq!(templar.render(&tree, &scope).unwrap().repr(), expect, "{template}");
    };
    check("{{ hostvars.a }} {{ x }}", "'10-11 20'");
    check("{{ hostvars | length }}{{ 'a' in hostvars }}{{ 'none' in hostvars }}", "'2TrueFalse'");
    check("{{ ['a', 'b'] | map('extract', hostvars) | list }}", "['10-11', '10-11']");
    check("{{ hostvars.none is defined }}", "False");
    check("{{ vars['x'] }}{{ vars.hostvars.a }}", "'2010-11'");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Nothing that stands in a project file can bring the program down.
    #[test]
    fn no_text_panics(text in "\\PC{0,40}", inner in "[ -~\\n]{0,40}") {
        for template in [text.clone(), format!("{{{{ {text} }}}}"), format!("{{{{ {inner} }}}}"), format!("{{% {inner} %}}")] {
            let _ = render("a: [1]", &template);
        }
        let templar = templar();
        let _ = templar.compile_expr(&inner, None);
    }

    /// Neither can any arrangement of what templates are made of.
    #[test]
    fn no_tokens_panic(words in proptest::collection::vec(proptest::sample::select(vec![
        "a", "s", "d", "1", "-1", "0", "1.5", "'x'", "\"\"", "[", "]", "(", ")", "{", "}", ",", ":", ".", "|", "~",
        "+", "-", "*", "/", "//", "%", "**", "==", "<", "in", "not", "and", "or", "if", "else", "is", "defined",
        "upper", "list", "sort", "join", "first", "map", "default", "split", "items", "append", "range", "none",
        "true", "loop", "format", "'%d'", "regex_replace", "batch", "truncate", "int", "round", "later",
    ]), 1..9)) {
        let text = words.join(" ");
        let _ = render("a: [1, two]\ns: text\nd: {k: 1}", &format!("{{{{ {text} }}}}"));
    }

    /// What a variable holds appears as it is.
    #[test]
    fn values_appear_verbatim(text in "\\PC*") {
        let templar = templar();
        let mut vars = IndexMap::new();
        vars.insert(Arc::from("x"), Tree::value(text.as_str()));
        let scope: Arc<dyn Scope> = Arc::new(TestScope { vars, search: SearchPath::default() });
        for (template, expect) in [("{{ x }}", text.clone()), ("a{{ x }}b", format!("a{text}b"))] {
            let tree = templar.compile_str(template, None).unwrap();
            prop_assert_eq!(templar.render(&tree, &scope).unwrap().to_text(), expect);
        }
    }
}

/// Renders in one of the ways of ansible-core up to 2.18.
fn render_as(how: Texts, yaml: &str, template: &str) -> Result<String, String> {
    let templar =
        Templar::new(SourceMap::new(), TemplarSettings { texts: how, ..TemplarSettings::default() });
    let scope = scope(&templar, yaml);
    let tree = templar.compile_str(template, None).map_err(|d| d.message)?;
    templar.render(&tree, &scope).map(|v| v.repr()).map_err(|e| e.message().to_string())
}

#[test]
fn texts_that_look_like_values() {
    let vars = "list: [a, b]\nnothing: null\ntext: '[1]'\n";
    let read = |template: &str| render_as(Texts::Read, vars, template).unwrap();
    assert_eq!(read("[{% for x in list %}'{{ x }}',{% endfor %}]"), "['a', 'b']");
    assert_eq!(read(r#"{{ '' }}{"a": null, "b": true}"#), "{'a': None, 'b': True}");
    assert_eq!(read("{{ list | to_json }}"), r#"'["a", "b"]'"#);
    assert_eq!(read("{{ text }}"), "'[1]'");
    assert_eq!(read("{{ nothing }}"), "None");
    assert_eq!(read("{{ none }}"), "''");
    assert_eq!(read("{{ 1 }}{{ 2 }}"), "'12'");
    assert_eq!(render_as(Texts::Native, vars, "{{ 1 }}{{ 2 }}").unwrap(), "12");
    assert_eq!(render_as(Texts::Kept, vars, "[{{ 1 }}]").unwrap(), "'[1]'");
}

#[test]
fn kinds_of_texts_are_those_of_2_18() {
    let vars = "y: text\nl: [a]\nu: !unsafe '{{ y }}'\nmade: '{{ l | to_json }}'\n";
    let check = |template: &str, expect: &str| {
        let template = format!("{{{{ {template} | type_debug }}}}");
        for how in [Texts::Read, Texts::Native] {
            assert_eq!(render_as(how, vars, &template).unwrap(), format!("'{expect}'"), "{template} {how:?}");
        }
        let kind = if expect == "list" { "list" } else { "str" };
        if !expect.starts_with("type") {
            assert_eq!(render_as(Texts::Kept, vars, &template).unwrap(), format!("'{kind}'"), "{template}");
        }
    };
    check("'x'", "str");
    check("y", "AnsibleUnicode");
    check("l[0]", "AnsibleUnicode");
    check("[y][0]", "AnsibleUnicode");
    check("(y ~ 'x')", "str");
    check("(1 | string)", "NativeJinjaText");
    check("made", "NativeJinjaText");
    check("u", "AnsibleUnsafeText");
    check("lookup('list', l)[0]", "AnsibleUnsafeText");
    check("lookup('vars', 'made')", "NativeJinjaUnsafeText");
    check("true.__class__", "type");
    check("l", "list");
    assert_eq!(render_as(Texts::Read, vars, "{{ l.__class__.__name__ }}").unwrap(), "'list'");
}

#[test]
fn words_of_plugins_stand_alone_up_to_2_18() {
    let template = "{{ [1] | combine(foo=1) }}";
    let words = "'recursive' and 'list_merge' are the only valid keyword arguments";
    assert_eq!(render_as(Texts::Read, "", template).unwrap_err(), words);
    assert_eq!(
        render_as(Texts::Kept, "", template).unwrap_err(),
        format!("the filter 'combine' failed: {words}")
    );
}

#[test]
fn members_that_do_not_exist_are_of_no_type() {
    check("r: {a: 1}", "{{ r.b is none }}{{ r.b is string }}{{ r.b is false }}", "FalseFalseFalse");
    check_error("r: {a: 1}", "{{ r.b is iterable }}", "'dict object' has no attribute 'b'");
    check_error("", "{{ nope is none }}", "'nope' is undefined");
}

#[test]
fn formats_show_what_is_undefined_and_print_it_not() {
    check("", "{{ '%r %s' | format(nope, 1) }}", "AnsibleUndefined(hint=None, obj=missing, name='nope') 1");
    check_error("", "{{ '%s' | format(nope) }}", "'nope' is undefined");
}

#[test]
fn vaults_by_filter() {
    let locked = "{{ 'x' | vault('pw', salt=7) }}";
    let text = render("", locked).unwrap().to_text();
    assert!(text.starts_with("$ANSIBLE_VAULT;1.2;AES256;filter_default\n3"), "{text}");
    check("", "{{ 'x' | vault('pw') | unvault('pw') }}", Value::Secret(Secret::new("x")));
    check("v: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  31\n", "{{ 'plain' | unvault('pw') }}", "plain");
    check_error("", "{{ 'x' | vault([1]) }}", "the vault's password must be a text, not list");
}

#[test]
fn lookups_in_tables() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| std::fs::write(dir.path().join(name), content).unwrap();
    file("a.csv", b"Smith,Jane,\"a b\"\nx y,1,2\n");
    file("latin.ini", b"[global]\nname = caf\xe9\nbase = /srv\npath = %(base)s/x\n");
    file("twice.ini", b"[s]\na = 1\nA = 2\n");
    file("bare.ini", b"[s]\na = 1\nflag\n");
    let templar = templar();
    let scope = scope_in(&templar, "", dir.path());
    let show = |expression: &str| {
        let tree = templar.compile_str(&format!("{{{{ lookup({expression}) }}}}"), None).unwrap();
        let prefix =
            |m: &str| m.split_once(" failed: ").map_or(m.to_string(), |(_, words)| words.to_string());
        templar.render(&tree, &scope).map_or_else(|e| prefix(e.message()), |v| v.to_text())
    };
    assert_eq!(show("'csvfile', 'Smith file=a.csv delimiter=, col=2'"), "a b");
    assert_eq!(show("'csvfile', 'x y file=a.csv delimiter=\",\" col=1'"), "1");
    assert_eq!(show("'csvfile', 'none file=a.csv delimiter=, col=2, default=other'"), "other");
    assert_eq!(show("'csvfile', file='a.csv'"), "Search key is required but was not found");
    assert_eq!(show("'csvfile', 'x what=1'"), "what is not a valid option");
    assert_eq!(show("'ini', 'name', file='latin.ini', encoding='iso8859-1'"), "café");
    assert_eq!(show("'ini', 'path file=latin.ini encoding=latin1'"), "/srv/x");
    assert_eq!(
        show("'ini', 'name', file='latin.ini', section='no', encoding='latin1'"),
        "No section 'no' in latin.ini"
    );
    assert_eq!(
        show("'ini', 'a', file='twice.ini', section='s'"),
        "Duplicate option in 'twice.ini': While reading from '<???>' [line 3]: option 'a' in section 's' already exists"
    );
    assert_eq!(
        show("'ini', 'a', file='bare.ini', section='s'"),
        "Source contains parsing errors: 'bare.ini' [line 3]: no value"
    );
    assert_eq!(show("'ini', 'a', file='bare.ini', section='s', allow_no_value=true"), "1");
    assert_eq!(show("'ini', 'x=1'"), "x is not a valid option.");
}
