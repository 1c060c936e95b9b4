//! Reading and writing against what PyYAML does, places, tags and limits.
//!
//! `tests/conformance/record_yaml.py` makes the recordings.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::emit::LineBreaks;
use super::*;
use crate::diag::{Diagnostic, SourceMap, Span, Style, render};
use crate::value::{Key, Map, Value};

fn load(text: &str) -> (SourceMap, Result<Parsed, Diagnostic>) {
    let sources = SourceMap::new();
    let file = sources.add("t.yml", text);
    let parsed = parse(&sources, file);
    (sources, parsed)
}

fn first(text: &str) -> Node {
    load(text).1.expect("valid YAML").documents.remove(0)
}

fn at(text: &str, span: Span) -> &str {
    &text[span.start as usize..span.end as usize]
}

fn read(name: &str) -> Vec<Json> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/yaml").join(name);
    let text = std::fs::read_to_string(path).expect("the recording is part of the repository");
    serde_json::from_str(&text).expect("the recording is JSON")
}

/// The recording keeps types apart: `{"t": "int", "v": "1"}`. Nothing where we have no such value.
fn untyped(json: &Json) -> Option<Value> {
    let v = &json["v"];
    Some(match json["t"].as_str()? {
        "null" => Value::Null,
        "bool" => Value::Bool(v.as_bool()?),
        "int" => Value::Int(v.as_str()?.parse().ok()?),
        "float" => Value::Float(v.as_str()?.parse().ok()?),
        "str" => Value::str(v.as_str()?),
        "list" => Value::list(v.as_array()?.iter().map(untyped).collect::<Option<_>>()?),
        _ => {
            let pairs =
                v.as_array()?.iter().map(|p| Some((Key::from_value(&untyped(&p[0])?)?, untyped(&p[1])?)));
            Value::map(pairs.collect::<Option<Map>>()?)
        }
    })
}

fn check_reading(recording: &str, differences: &[&str]) {
    let mut wrong = Vec::new();
    for case in read(recording) {
        let text = case["text"].as_str().expect("each case has a text");
        if differences.contains(&text) {
            continue;
        }
        let got = parse_value(text);
        let same = match (untyped(&case["value"]), &got) {
            // `repr` keeps 1, 1.0 and True apart and makes NaN comparable.
            (Some(expect), Ok(got)) => expect.repr() == got.repr(),
            (None, Err(_)) => case["error"].is_string(),
            _ => false,
        };
        if !same {
            wrong.push(format!("{text:?}: expected {case}, got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn scalars_are_resolved_as_pyyaml_does() {
    // Beyond 128 bits an integer stays a string; PyYAML has no value for the others and fails.
    check_reading("scalars.json", &["<<", "0x_", "0b_", "0b", "-0b"]);
}

#[test]
fn documents_are_read_as_pyyaml_does() {
    // Accepted here: a lone `<<` as text, and a name that is anchored twice. Of two equal keys that are written
    // differently, this keeps the second.
    check_reading("documents.json", &["a: <<\n", "a: &x 1\nb: &x 2\nc: *x\n", "1: a\ntrue: b\n"]);
}

fn check_dumps(cases: &[Json]) {
    let mut wrong = Vec::new();
    for case in cases {
        let Some(value) = untyped(&case["value"]) else { continue };
        let asked = &case["options"];
        let options = EmitOptions {
            line_breaks: LineBreaks::Quoted,
            indent: asked["indent"].as_u64().unwrap_or(2) as usize,
            default_flow_style: match asked["default_flow_style"].as_bool() {
                Some(true) => FlowStyle::Always,
                Some(false) => FlowStyle::Never,
                None => FlowStyle::Leaves,
            },
            width: asked["width"].as_u64().unwrap_or(80) as usize,
            sort_keys: asked["sort_keys"].as_bool().unwrap_or(true),
            allow_unicode: asked["allow_unicode"].as_bool().unwrap_or(false),
            explicit_start: asked["explicit_start"].as_bool().unwrap_or(false),
            secrets: Secrets::Mask,
        };
        let expect = case["yaml"].as_str().unwrap_or_default();
        let got = to_yaml(&value, &options);
        if got != expect {
            // From the line of the first difference on.
            let same = got.bytes().zip(expect.bytes()).take_while(|(a, b)| a == b).count();
            let part = |text: &str| {
                String::from_utf8_lossy(&text.as_bytes()[same.saturating_sub(40)..])
                    .chars()
                    .take(120)
                    .collect::<String>()
            };
            wrong.push(format!("{asked}\nexpected {:?}\n     got {:?}", part(expect), part(&got)));
        }
    }
    let count = wrong.len();
    assert!(wrong.is_empty(), "{count} differ:\n{}", wrong[..count.min(10)].join("\n"));
}

#[test]
fn dumps_equal_pyyaml() {
    check_dumps(&read("dumps.json"));
}

#[test]
fn secrets_are_written_only_when_asked() {
    let value = Value::Secret(crate::value::Secret::new("hunter2"));
    assert_eq!(to_yaml(&value, &EmitOptions::default()), "'********'\n");
    let options = EmitOptions { secrets: Secrets::Expose, ..EmitOptions::default() };
    assert_eq!(to_yaml(&value, &options), "hunter2\n");
}

#[test]
fn spans_hold_what_was_written() {
    let text = "a: 1\nb: [x, 'it''s']\nc:\n  - d\n  - e: f\n\n# end\ng: !vault |\n  $ANS\n  abc\n\n";
    let node = first(text);
    let span = |key: &str| at(text, node.get(key).expect(key).span);
    assert_eq!(span("a"), "1");
    assert_eq!(span("b"), "[x, 'it''s']");
    assert_eq!(span("c"), "- d\n  - e: f");
    assert_eq!(span("g"), "$ANS\n  abc");
    assert_eq!(at(text, node.entry("b").expect("b").0.span), "b");
    assert_eq!(node.get("g").expect("g").tag, Some(Tag::Vault));
}

/// Finds `word` in the value of key `k` and compares the place in the file with `expect`.
fn check_content(text: &str, word: &str, expect: &str) {
    let node = first(text);
    let value = node.get("k").expect("key k");
    let content = &value.scalar().expect("scalar").text;
    let start = content.find(word).expect("the word is in the text");
    let span = value.content_span(start..start + word.len());
    assert_eq!(at(text, span), expect, "in {text:?}");
    let written = text.find(expect).expect("the expectation is in the file");
    assert_eq!(span.start as usize, written, "in {text:?}");
}

#[test]
fn offsets_inside_a_text_are_found_in_the_file() {
    check_content("k: a {{ x }}\n", "{{ x }}", "{{ x }}");
    check_content("k: '{{ x }}'\n", "x", "x");
    check_content("k: 'it''s {{ y }}'\n", "{{ y }}", "{{ y }}");
    check_content("k: \"\\u00e4\\n\\\"{{ y }}\\\" z\"\n", "{{ y }}", "{{ y }}");
    check_content("k: \"\\U0001F600{{ y }}\"\n", "{{ y }}", "{{ y }}");
    check_content("k: \"a \\\n   b {{ y }}\"\n", "{{ y }}", "{{ y }}");
    check_content("k: |\n  one\n\n    two {{ y }}\n", "{{ y }}", "{{ y }}");
    check_content("k: |\r\n  one\r\n  two {{ y }}\r\n", "{{ y }}", "{{ y }}");
    check_content("k: >-\n\n  one\n  two\n\n  three {{ y }}\n", "{{ y }}", "{{ y }}");
    check_content("k: a\n  b\n\n  c {{ y }}\n", "{{ y }}", "{{ y }}");
    check_content("k: >\n  {{ a\n     | b }} c\n", "{{ a\n   | b }}", "{{ a\n     | b }}");
    check_content("\u{feff}k: ä {{ y }}\n", "{{ y }}", "{{ y }}");
}

#[test]
fn unsafe_reaches_everything_inside() {
    let node = first("a: !unsafe [x, {y: !vault z}]\nb: [!unsafe '{{ w }}', v]\n");
    let list = node.get("a").expect("a");
    assert_eq!(list.tag, Some(Tag::Unsafe));
    assert_eq!(list.items()[0].tag, Some(Tag::Unsafe));
    assert_eq!(list.items()[1].get("y").expect("y").tag, Some(Tag::Vault));
    let list = node.get("b").expect("b");
    assert_eq!(list.items().iter().map(|n| n.tag.clone()).collect::<Vec<_>>(), [Some(Tag::Unsafe), None]);
}

#[test]
fn standard_tags_without_a_type_of_ours() {
    let check = |text: &str, expect: &str| assert_eq!(first(text).to_value().repr(), expect, "{text}");
    check("!!set {a, b}", "['a', 'b']");
    check("!!omap [a: 1, b: 2]", "[['a', 1], ['b', 2]]");
    check("!!binary aGFsbG8=", "'hallo'");
    check("!unsafe 5", "5");
    check("!unsafe '5'", "'5'");
    check("!!str <<: a", "{'<<': 'a'}");
}

#[test]
fn many_documents() {
    let (_, parsed) = load("--- a\n--- {b: c}\n---\n...\n");
    let texts: Vec<_> = parsed.expect("valid").documents.iter().map(|d| d.to_value().repr()).collect();
    assert_eq!(texts, ["'a'", "{'b': 'c'}", "None"]);
    assert_eq!(parse_value("--- a\n--- b\n"), Err("expected a single document, found 2".into()));
    assert_eq!(parse_value("a: [\n"), Err("`[` is never closed (line 1, column 4)".into()));
}

#[test]
fn hostile_files_end_with_an_error() {
    let check = |text: &str, code: &str| {
        let problem = load(text).1.expect_err("too large or too deep");
        assert_eq!(problem.code, code, "{problem:?}");
    };
    let mut laughs = "a0: &a0 [x]\n".to_owned();
    for i in 1..40 {
        let _ = writeln!(laughs, "a{i}: &a{i} [*a{p}, *a{p}, *a{p}, *a{p}]", p = i - 1);
    }
    check(&laughs, "XP0104");
    check(&"[".repeat(100_000), "XP0104");
    check(&"- ".repeat(100_000), "XP0104");
    let mut tower = "- &a0 x\n".to_owned();
    for i in 1..600 {
        let _ = writeln!(tower, "- &a{i} [*a{}]", i - 1);
    }
    check(&tower, "XP0104");
    check("a: &x [*x]\n", "XP0104");
    check("a: \u{1b}[31m\n", "XP0110");
}

#[test]
fn the_deepest_value_that_is_accepted_can_be_used() {
    // Flow nesting is limited to 255 levels by the parser; an alias doubles that.
    let text =
        format!("- &a {}x{}\n- {}*a{}\n", "[".repeat(250), "]".repeat(250), "[".repeat(250), "]".repeat(250));
    let node = first(&text);
    let value = node.to_value();
    let repr = value.repr();
    assert_eq!(repr.matches('[').count(), 1 + 250 + 500);
    let written =
        to_yaml(&value, &EmitOptions { default_flow_style: FlowStyle::Never, ..EmitOptions::default() });
    assert!(written.lines().count() > 0);
}

#[test]
fn duplicate_keys_warn_with_both_places() {
    let (sources, parsed) = load("a: 1\nb: 2\na: 3\n");
    let parsed = parsed.expect("valid");
    assert_eq!(parsed.documents[0].to_value().repr(), "{'a': 3, 'b': 2}");
    insta::assert_snapshot!(render(&sources, &parsed.warnings[0], Style::Plain), @r#"
    warning[XP0103]: found a duplicate dict key (a), using the last value only
     --> t.yml:3:1
      |
    1 | a: 1
      | - this one is ignored
    2 | b: 2
    3 | a: 3
      | ^ this value is used
    "#);
    // A key that overrides a merged one is what merging is for.
    let (_, parsed) = load("a: &x {k: 1}\nb: {<<: *x, k: 2}\n");
    assert!(parsed.expect("valid").warnings.is_empty());
}

#[test]
fn unreadable_files_are_diagnostics() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let sources = SourceMap::new();
    let problem = parse_file(&sources, &dir.path().join("none.yml")).expect_err("absent");
    assert!(problem.message.ends_with("none.yml`: no such file"), "{}", problem.message);
    let path = dir.path().join("latin1.yml");
    std::fs::write(&path, b"a: \xe4\n").expect("written");
    let problem = parse_file(&sources, &path).expect_err("not UTF-8");
    assert_eq!(problem.message, "this file is not UTF-8 text");
    assert_eq!(sources.place(problem.labels[0].span).column, 4);
}

fn arbitrary_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["\\PC{0,40}", "[ \\n\\t:#'\"a\\\\-]{0,30}", "[0-9:._+-]{0,8}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("NaN differs from itself", |f| !f.is_nan()).prop_map(Value::Float),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..6)
                .prop_map(|m| Value::map(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsing_never_panics(text in "\\PC{0,200}") {
        let _ = load(&text);
    }

    #[test]
    fn parsing_yaml_like_text_never_panics(text in "[ \\n\\r\\t:#'\"a{}\\[\\]&*!|>%@`?,\\\\x0-9<=~.ä😀-]{0,120}") {
        let (sources, parsed) = load(&text);
        match parsed {
            Ok(parsed) => for node in &parsed.documents {
                walk(&sources, node);
            },
            Err(problem) => { render(&sources, &problem, Style::Plain); }
        }
    }

    #[test]
    fn what_is_written_is_read_back(value in arbitrary_value(), indent in 1usize..10, flow in 0usize..3, width in 10usize..100, allow_unicode: bool) {
        let default_flow_style = [FlowStyle::Always, FlowStyle::Never, FlowStyle::Leaves][flow];
        let options = EmitOptions { indent, default_flow_style, width, allow_unicode, sort_keys: false, ..EmitOptions::default() };
        let text = to_yaml(&value, &options);
        let back = parse_value(&text);
        prop_assert_eq!(back.map(|v| v.repr()), Ok(value.repr()), "{}", text);
    }
}

/// Asks for every span; each must lie on character boundaries.
fn walk(sources: &SourceMap, node: &Node) {
    let text = sources.text(node.span.file);
    let get =
        |span: Span| text.get(span.start as usize..span.end as usize).expect("a span lies in its text").len();
    get(node.span);
    if let Some(scalar) = node.scalar() {
        for (i, c) in scalar.text.char_indices() {
            get(node.content_span(i..i + c.len_utf8()));
        }
    }
    for (key, value) in node.entries() {
        walk(sources, key);
        walk(sources, value);
    }
    node.items().iter().for_each(|item| walk(sources, item));
}
