//! What people see for the usual mistakes.

use super::parse;
use crate::diag::{SourceMap, Style, render};

fn message(text: &str) -> String {
    let sources = SourceMap::new();
    let file = sources.add("site.yml", text);
    let problem = parse(&sources, file).expect_err("the text has a mistake");
    render(&sources, &problem, Style::Plain)
}

#[test]
fn an_unquoted_template() {
    insta::assert_snapshot!(message("- name: x\n  debug:\n    msg: {{ user }} is here\n"), @r#"
    error[XP0101]: a value that starts with `{{` must be quoted
     --> site.yml:3:10
      |
    3 |     msg: {{ user }} is here
      |          ^^^^^^^^^^^^^^^^^^ YAML reads this as a mapping
      |
      = help: quote the whole value: "{{ user }} is here"
    "#);
}

#[test]
fn an_unquoted_template_with_a_filter() {
    insta::assert_snapshot!(message("path: {{ \"a\" | basename }}/x\n"), @r#"
    error[XP0101]: a value that starts with `{{` must be quoted
     --> site.yml:1:7
      |
    1 | path: {{ "a" | basename }}/x
      |       ^^^^^^^^^^^^^^^^^^^^^^ YAML reads this as a mapping
      |
      = help: quote the whole value: '{{ "a" | basename }}/x'
    "#);
}

#[test]
fn an_unquoted_template_as_an_item() {
    insta::assert_snapshot!(message("- {{ x }}\n"), @r#"
    error[XP0101]: a value that starts with `{{` must be quoted
     --> site.yml:1:3
      |
    1 | - {{ x }}
      |   ^^^^^^^ YAML reads this as a mapping
      |
      = help: quote the whole value: "{{ x }}"
    "#);
}

#[test]
fn a_second_colon() {
    insta::assert_snapshot!(message("- name: install: nginx\n"), @r#"
    error[XP0101]: an unquoted value cannot contain `: `
     --> site.yml:1:16
      |
    1 | - name: install: nginx
      |                ^ this colon would start another mapping
      |
      = help: quote the whole value: "install: nginx"
    "#);
}

#[test]
fn a_second_colon_after_text() {
    insta::assert_snapshot!(message("  - shell: echo \"a: b\" | grep x: y\n"), @r#"
    error[XP0101]: an unquoted value cannot contain `: `
     --> site.yml:1:19
      |
    1 |   - shell: echo "a: b" | grep x: y
      |                   ^ this colon would start another mapping
      |
      = help: quote the whole value: 'echo "a: b" | grep x: y'
    "#);
}

#[test]
fn a_missing_space_after_the_colon() {
    insta::assert_snapshot!(message("name:web\nhosts: all\n"), @r#"
    error[XP0101]: missing space after the colon
     --> site.yml:1:5
      |
    1 | name:web
      |     ^ YAML reads the whole line as one text
      |
      = help: write `name: web`
    "#);
}

#[test]
fn a_missing_space_at_the_end() {
    insta::assert_snapshot!(message("hosts: all\nname:web\n"), @r#"
    error[XP0101]: missing space after the colon
     --> site.yml:2:5
      |
    2 | name:web
      |     ^ YAML reads the whole line as one text
      |
      = help: write `name: web`
    "#);
}

#[test]
fn a_line_indented_too_far() {
    insta::assert_snapshot!(message("- copy:\n    src: a\n      dest: b\n"), @r#"
    error[XP0101]: this line is indented too far
     --> site.yml:3:7
      |
    2 |     src: a
      |     ------ the value above
    3 |       dest: b
      |       ^^^^^^^ deeper than the line above, which already has a value
      |
      = help: indent it by 4 spaces to go with the line above
    "#);
}

#[test]
fn a_line_between_two_levels() {
    insta::assert_snapshot!(message("tasks:\n  - name: a\n    copy:\n      src: x\n     dest: y\n"), @r#"
    error[XP0101]: wrong indentation
     --> site.yml:5:6
      |
    5 |      dest: y
      |      ^^^^^^^ fits no line above
      |
      = help: indent it by 6 to go with `src`, or by 4 to go with `copy`
    "#);
}

#[test]
fn a_key_between_list_and_parent() {
    insta::assert_snapshot!(message("a:\n  - b\n c: d\n"), @r#"
    error[XP0101]: wrong indentation
     --> site.yml:3:2
      |
    3 |  c: d
      |  ^^^^ fits no line above
      |
      = help: indent it by 2 to go with `- b`, or by 0 to go with `a`
    "#);
}

#[test]
fn a_tab() {
    insta::assert_snapshot!(message("a:\n\t- b\n"), @r#"
    error[XP0101]: a tab cannot be used here
     --> site.yml:2:1
      |
    2 |     - b
      | ^^^^ tab
      |
      = help: indent with spaces
    "#);
}

#[test]
fn text_after_a_quoted_word() {
    insta::assert_snapshot!(message("- name: x\n  when: \"a\" in b\n"), @r#"
    error[XP0101]: text after the closing quote
     --> site.yml:2:13
      |
    2 |   when: "a" in b
      |             ^^^^ a value that starts with a quote must end with it
      |
      = help: quote the whole value: '"a" in b'
    "#);
}

#[test]
fn a_quote_that_is_never_closed() {
    insta::assert_snapshot!(message("a: 'foo\nb: c\n"), @r#"
    error[XP0101]: this quote is never closed
     --> site.yml:1:4
      |
    1 | a: 'foo
      |    ^ opened here
      |
      = help: close it at the end of the value
    "#);
}

#[test]
fn an_escape_that_is_none() {
    insta::assert_snapshot!(message("path: \"C:\\Users\\me\"\n"), @r#"
    error[XP0101]: unknown escape in double quotes
     --> site.yml:1:10
      |
    1 | path: "C:\Users\me"
      |          ^^ a backslash starts an escape here
      |
      = help: use single quotes, or write each backslash twice
    "#);
}

#[test]
fn a_reserved_character() {
    insta::assert_snapshot!(message("user: @root\n"), @r#"
    error[XP0101]: a value cannot start with `@`
     --> site.yml:1:7
      |
    1 | user: @root
      |       ^ reserved in YAML
      |
      = help: quote the whole value
    "#);
}

#[test]
fn an_asterisk() {
    insta::assert_snapshot!(message("files: *.yml\n"), @r#"
    error[XP0101]: no anchor named `.yml` above
     --> site.yml:1:8
      |
    1 | files: *.yml
      |        ^^^^^ alias
      |
      = help: if this is meant as text, such as a file pattern, quote it
    "#);
}

#[test]
fn a_list_on_the_line_of_its_key() {
    insta::assert_snapshot!(message("a: - b\n"), @r#"
    error[XP0101]: a list cannot start on the line of its key
     --> site.yml:1:4
      |
    1 | a: - b
      |    ^ list item
      |
      = help: put `- ` on the next line, indented under the key
    "#);
}

#[test]
fn a_list_item_among_keys() {
    insta::assert_snapshot!(message("a: b\n- c\n"), @r#"
    error[XP0101]: a list item cannot follow `key: value` lines of the same indentation
     --> site.yml:2:1
      |
    2 | - c
      | ^ list item
      |
      = help: indent it under the key that holds the list, or correct the line above
    "#);
}

#[test]
fn a_key_among_items() {
    insta::assert_snapshot!(message("- a\nb: c\n"), @r#"
    error[XP0101]: expected another list item
     --> site.yml:2:1
      |
    2 | b: c
      | ^ this line belongs to the list above and must start with `- `
      |
      = help: indent it to continue the item above, or start it with `- `
    "#);
}

#[test]
fn a_line_without_colon() {
    insta::assert_snapshot!(message("a: b\nfoo\n"), @r#"
    error[XP0101]: expected `key: value`
     --> site.yml:2:1
      |
    2 | foo
      | ^^^ no colon on this line
      |
      = help: add `: ` after the key, or indent the line to continue the value above
    "#);
}

#[test]
fn a_block_that_is_not_indented() {
    insta::assert_snapshot!(message("- shell: |\n  echo x\n"), @r#"
    error[XP0101]: the text of a block must be indented more than its key
     --> site.yml:2:3
      |
    1 | - shell: |
      |   -------- block begins here
    2 |   echo x
      |   ^^^^^^ not indented
    "#);
}

#[test]
fn an_open_bracket() {
    insta::assert_snapshot!(message("a: [1, 2\n"), @r#"
    error[XP0101]: `[` is never closed
     --> site.yml:1:4
      |
    1 | a: [1, 2
      |    ^ opened here
    "#);
}

#[test]
fn a_wrong_bracket() {
    insta::assert_snapshot!(message("a: [1, 2}\n"), @r#"
    error[XP0101]: `[` is closed by `}`
     --> site.yml:1:4
      |
    1 | a: [1, 2}
      |    ^ opened here
    "#);
}

#[test]
fn a_list_as_key() {
    insta::assert_snapshot!(message("? [a]\n: b\n"), @r#"
    error[XP0102]: a list cannot be a key
     --> site.yml:1:3
      |
    1 | ? [a]
      |   ^^^ used as a key here
      |
      = help: if this is meant as text, quote it
    "#);
}

#[test]
fn an_unknown_tag() {
    insta::assert_snapshot!(message("a: !valut x\n"), @r#"
    error[XP0107]: unknown tag `!valut`
     --> site.yml:1:4
      |
    1 | a: !valut x
      |    ^^^^^^ not known
      |
      = help: did you mean `!vault`?
    "#);
}

#[test]
fn a_merge_of_text() {
    insta::assert_snapshot!(message("a:\n  <<: b\n"), @r#"
    error[XP0105]: `<<` merges a mapping or a list of mappings
     --> site.yml:2:7
      |
    2 |   <<: b
      |       ^ this is a string
    "#);
}

#[test]
fn a_control_character() {
    insta::assert_snapshot!(message("a: x\u{1b}[31m\n"), @r#"
    error[XP0110]: control character U+001B is not allowed in YAML
     --> site.yml:1:5
      |
    1 | a: x\u{1b}[31m
      |     ^^^^^^ remove it, or write it as an escape in double quotes
    "#);
}

#[test]
fn a_vault_tag_on_a_list() {
    insta::assert_snapshot!(message("a: !vault [x]\n"), @r#"
    error[XP0106]: `!vault` needs a string
     --> site.yml:1:11
      |
    1 | a: !vault [x]
      |           ^^^ this is a list
      |
      = help: write `!vault |` and the encrypted text, indented, below it
    "#);
}
