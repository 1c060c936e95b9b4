//! Reading: values, spans, tags, merge keys, limits.
use super::*;
use crate::diag::{SourceMap, Span};

fn load(text: &str) -> (SourceMap, Node) {
    let sources = SourceMap::new();
    let file = sources.add("t.yml", text);
    let mut parsed = parse(&sources, file).expect("valid YAML");
    (sources, parsed.documents.remove(0))
}

#[test]
fn explore() {
    let show = |text: &str| {
        let sources = SourceMap::new();
        let file = sources.add("t.yml", text);
        println!("--- {text:?}");
        match parse(&sources, file) {
            Ok(p) => {
                for d in &p.documents {
                    println!("{}", d.to_value().repr());
                    walk(text, d, 1);
                }
                for w in p.warnings {
                    println!("{w:?}");
                }
            }
            Err(e) => println!(
                "ERR {} {:?}",
                e.message,
                e.labels.first().map(|l| sources.place(l.span).to_string())
            ),
        }
    };
    fn walk(text: &str, n: &Node, depth: usize) {
        println!(
            "{:depth$}{:?} {:?} {}",
            "",
            &text[n.span.start as usize..n.span.end as usize],
            n.tag,
            n.type_name()
        );
        if let Some(s) = n.scalar() {
            for (i, c) in s.text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
                let sp = n.content_span(i..i + c.len_utf8());
                let got = &text[sp.start as usize..sp.end as usize];
                if got != c.to_string() {
                    println!("      {c:?} -> {got:?}");
                }
            }
        }
        for (k, v) in n.entries() {
            walk(text, k, depth + 1);
            walk(text, v, depth + 1);
        }
        for v in n.items() {
            walk(text, v, depth + 1);
        }
    }
    for t in [
        "a: 1\nb: [x, 'it''s', \"q\\n\\u00e4 z\"]\nc:\n  - d\n  - e: f\n# end\n",
        "\u{feff}a: b\r\nc: |\r\n  one\r\n   two\r\n\r\nd: >-\r\n  fold\r\n  ed\r\n",
        "a: &x {k: v}\nb: *x\nc:\n  <<: *x\n  k: w\n",
        "a:\n- b\nc:\nd: !unsafe {x: '{{ y }}'}\ne: !vault |\n  $ANS\n  abc\n",
        "x: >\n  folded\n  text",
        "x: |\n\n  folded\n    text\n\n\ny: 1",
        "x: foo\n  bar {{ z }}\n  baz\ny: \"foo \\\n  bar\n  baz\"\n",
        "a: {{ x }}\n",
        "a: {{ x }}/foo\n",
        "- name: foo: bar\n",
        "a:\n\t- b\n",
        "a:b\nc: d\n",
        "a: \"foo\nb: c\n",
        "a: 'foo'bar\n",
        "a: 1\n b: 2\n",
        "- a\n b\n",
        "a:\n  - b\n c: d\n",
        "a: @foo\n",
        "a: `x`\n",
        "a: %x\n",
        "a: [1, 2\nb: 3\n",
        "a: *nope\n",
        "a: &x [*x]\n",
        "- hosts: all\n  tasks:\n  - name: x\n    shell: echo \"a: b\n",
        "key: \"C:\\Users\"\n",
        "- name: \"x\" y\n",
        "a: b\na: c\n",
        "- name: x\n  when: \"a\" in b\n",
        "- {{ x }}\n",
        "foo: bar\n- baz\n",
        "- baz\nfoo: bar\n",
        "a: b\nfoo\n",
        "msg: hello {{ x }}: y\n",
        "? [a]\n: b\n",
        "--- a\n--- b\n...\n",
        "",
        "# c\n",
        "a: !foo b\n",
        "a: ! \"5\"\n",
        "- !!str 5\n- !!set {a, b}\n",
        "a:\n  b: 1\n    c: 2\n",
        "a: - b\n",
        "tasks:\n  - name: a\n    copy:\n      src: x\n     dest: y\n",
        "- a: |\n  b\n",
        "a: \u{1b}[0m\n",
        "key:\tvalue\n",
        "a: {b: 1\n",
        "a: ]\n",
        "a: 1 }\n",
        "x: a #b\n",
        "shell: echo {{ x }} | grep foo: bar\n",
    ] {
        show(t);
    }
    let _: Option<Span> = None;
    let _ = load("a: b");
}
