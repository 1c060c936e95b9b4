//! Diagnostics as text with code frames, in the look of rustc. The only user of the frame-drawing library.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::source::floor_char_boundary;
use super::{Diagnostic, FileId, Label, Severity, SourceMap};

/// Columns of a frame; longer lines are cut around what they are shown for.
const WIDTH: usize = 120;

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Color,
    /// As Ansible words it, for scripts that look for that.
    Ansible,
}

/// Returns the diagnostic as people read it; ends with a newline. No control character of a message or of a file
/// reaches the text, only line breaks and the styles of [`Style::Color`].
pub fn render(sources: &SourceMap, diagnostic: &Diagnostic, style: Style) -> String {
    if style == Style::Ansible {
        let word = match diagnostic.severity {
            Severity::Error => "ERROR! ",
            Severity::Warning => "[WARNING]: ",
        };
        return format!("{word}{}", classic(sources, diagnostic));
    }
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(visible(&diagnostic.message)).id(diagnostic.code);
    let mut group = Group::with_title(title);
    for (file, labels) in by_file(&diagnostic.labels) {
        group = group.element(snippet(sources, file, &labels));
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(visible(note)));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(visible(help)));
    }
    let renderer = match style {
        Style::Plain | Style::Ansible => Renderer::plain(),
        Style::Color => Renderer::styled(),
    };
    let mut text = renderer.term_width(WIDTH).render(&[group]);
    text.push('\n');
    text
}

/// Returns the message with its place in the words that Ansible had for it until version 2.18.
pub fn classic(sources: &SourceMap, diagnostic: &Diagnostic) -> String {
    let mut text = visible(&diagnostic.message).into_owned();
    text.push('\n');
    for note in &diagnostic.notes {
        let _ = writeln!(text, "{}", visible(note));
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(text, "{}", visible(help));
    }
    let Some(label) = diagnostic.labels.first() else { return text };
    let place = sources.place(label.span);
    let path = std::path::absolute(&place.path).unwrap_or(place.path);
    let _ = write!(
        text,
        "\nThe error appears to be in '{}': line {}, column {}, but may\nbe elsewhere in the file depending on the \
         exact syntax problem.\n\nThe offending line appears to be:\n\n",
        path.display(),
        place.line,
        place.column
    );
    let source = sources.text(label.span.file);
    let mut before = "";
    if let Some(line) = place.line.checked_sub(2).and_then(|line| source.lines().nth(line)) {
        before = line;
    }
    let line = source.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    let arrow = " ".repeat(place.column.saturating_sub(1));
    let _ = writeln!(text, "{}\n{}\n{arrow}^ here", visible(before), visible(line));
    text
}

/// A label, and whether it is the one that the headline is about.
type Ranked<'a> = (&'a Label, AnnotationKind);

/// Groups the labels, files in the order in which they come up.
fn by_file(labels: &[Label]) -> Vec<(FileId, Vec<Ranked<'_>>)> {
    let mut files: Vec<(FileId, Vec<Ranked<'_>>)> = Vec::new();
    for (i, label) in labels.iter().enumerate() {
        let kind = if i == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        match files.iter_mut().find(|(file, _)| *file == label.span.file) {
            Some((_, group)) => group.push((label, kind)),
            None => files.push((label.span.file, vec![(label, kind)])),
        }
    }
    files
}

/// Builds the frame of one file from the lines between the first and the last label.
fn snippet<'a>(
    sources: &SourceMap,
    file: FileId,
    labels: &[Ranked<'_>],
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = sources.text(file);
    let ranges: Vec<_> =
        labels.iter().map(|(label, _)| first_line(&text, label.span.start, label.span.end)).collect();
    let from =
        ranges.iter().map(|r| r.start).min().map_or(0, |at| text[..at].rfind('\n').map_or(0, |i| i + 1));
    let last = ranges.iter().map(|r| r.end).max().unwrap_or(0);
    let to = text[last..].find('\n').map_or(text.len(), |i| last + i);
    let excerpt = text.get(from..to).unwrap_or_default().trim_end_matches('\r');
    // The excerpt is escaped, so that offsets in it are those of the escaped text before them.
    let offset = |at: usize| visible(&excerpt[..floor_char_boundary(excerpt, at - from)]).len();
    let annotations = labels.iter().zip(ranges).map(|((label, kind), range)| {
        let annotation = kind.span(offset(range.start)..offset(range.end));
        if label.text.is_empty() { annotation } else { annotation.label(visible(&label.text).into_owned()) }
    });
    let annotations: Vec<_> = annotations.collect();
    Snippet::source(visible(excerpt).into_owned())
        .line_start(text[..from].matches('\n').count() + 1)
        .path(visible(&sources.path(file).to_string_lossy()).into_owned())
        .annotations(annotations)
}

/// Returns the part of the range that lies on its first line, inside the text and on character boundaries: a frame
/// around a whole task would hide the place that matters.
fn first_line(text: &str, start: u32, end: u32) -> Range<usize> {
    let start = floor_char_boundary(text, start as usize);
    let end = floor_char_boundary(text, end as usize).max(start);
    let line = text[start..end].find('\n').map_or(end, |i| start + i);
    start..start + text[start..line].trim_end_matches('\r').len()
}

/// Shows control characters and those that hide or reorder text as escapes; line breaks and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let hostile = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\r' if chars.peek().is_some_and(|(_, next)| *next == '\n') => {}
            '\u{feff}' if at == 0 => {}
            '\r' => out.push_str("\\r"),
            c if hostile(c) => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::super::Span;
    use super::*;

    fn span(file: FileId, start: u32, end: u32) -> Span {
        Span { file, start, end }
    }

    fn plain(text: &str, diagnostic: impl FnOnce(FileId) -> Diagnostic) -> String {
        let sources = SourceMap::new();
        let file = sources.add("roles/web/tasks/main.yml", text);
        render(&sources, &diagnostic(file), Style::Plain)
    }

    #[test]
    fn one_label_with_note_and_help() {
        let text = "- name: x\n  copi:\n    src: a\n";
        let out = plain(text, |f| {
            Diagnostic::error("XP0301", "no module named `copi`")
                .at(span(f, 12, 16), "not known")
                .note("modules are listed by `xplay modules`")
                .suggest("copi", ["copy"])
        });
        insta::assert_snapshot!(out, @r#"
        error[XP0301]: no module named `copi`
         --> roles/web/tasks/main.yml:2:3
          |
        2 |   copi:
          |   ^^^^ not known
          |
          = note: modules are listed by `xplay modules`
          = help: did you mean `copy`?
        "#);
    }

    #[test]
    fn two_labels_in_one_file() {
        let text = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\na: 7\n";
        let out = plain(text, |f| {
            Diagnostic::warning("XP0103", "key `a` is given twice")
                .at(span(f, 30, 31), "used")
                .at(span(f, 0, 1), "ignored")
        });
        insta::assert_snapshot!(out, @r#"
        warning[XP0103]: key `a` is given twice
         --> roles/web/tasks/main.yml:7:1
          |
        1 | a: 1
          | - ignored
        ...
        7 | a: 7
          | ^ used
        "#);
    }

    #[test]
    fn labels_in_two_files() {
        let sources = SourceMap::new();
        let task = sources.add("site.yml", "- debug:\n    msg: \"{{ port }}\"\n");
        let vars = sources.add("group_vars/all.yml", "port: \"{{ prot }}\"\n");
        let diagnostic = Diagnostic::error("XP0401", "`prot` is undefined")
            .at(span(vars, 10, 14), "undefined")
            .at(span(task, 22, 26), "used by this task");
        insta::assert_snapshot!(render(&sources, &diagnostic, Style::Plain), @r#"
        error[XP0401]: `prot` is undefined
         --> group_vars/all.yml:1:11
          |
        1 | port: "{{ prot }}"
          |           ^^^^ undefined
          |
         ::: site.yml:2:14
          |
        2 |     msg: "{{ port }}"
          |              ---- used by this task
        "#);
    }

    #[test]
    fn no_label() {
        let out = plain("", |_| Diagnostic::error("XP0108", "cannot read `x.yml`: no such file"));
        insta::assert_snapshot!(out, @r#"error[XP0108]: cannot read `x.yml`: no such file"#);
    }

    #[test]
    fn a_long_span_shows_its_first_line() {
        let out = plain("- a: |\n    x\n    y\n", |f| {
            Diagnostic::error("XP0001", "bad").at(span(f, 2, 19), "this")
        });
        insta::assert_snapshot!(out, @r#"
        error[XP0001]: bad
         --> roles/web/tasks/main.yml:1:3
          |
        1 | - a: |
          |   ^^^^ this
        "#);
    }

    #[test]
    fn the_end_of_the_file_can_be_shown() {
        let out = plain("a: [\n", |f| Diagnostic::error("XP0001", "file ends here").at(span(f, 5, 5), "end"));
        insta::assert_snapshot!(out, @r#"
        error[XP0001]: file ends here
         --> roles/web/tasks/main.yml:2:1
          |
        2 |
          | ^ end
        "#);
    }

    #[test]
    fn tabs_and_wide_characters_keep_the_column() {
        let out =
            plain("ä:\t日本 x\r\n", |f| Diagnostic::error("XP0001", "bad").at(span(f, 11, 12), "this"));
        insta::assert_snapshot!(out, @r#"
        error[XP0001]: bad
         --> roles/web/tasks/main.yml:1:7
          |
        1 | ä:    日本 x
          |            ^ this
        "#);
    }

    #[test]
    fn long_lines_are_cut_around_the_label() {
        let text = format!("a: {} HERE {}\n", "x ".repeat(300), "y ".repeat(300));
        let at = text.find("HERE").expect("it is there") as u32;
        let out = plain(&text, |f| Diagnostic::error("XP0001", "bad").at(span(f, at, at + 4), "this"));
        insta::assert_snapshot!(out, @r#"
        error[XP0001]: bad
         --> roles/web/tasks/main.yml:1:605
          |
        1 | ... x x x x x x x x x x x x x x x x x x x x x x x x  HERE y y y y y y y y y y y y y y y y y y y y y y y y y y y y...
          |                                                      ^^^^ this
        "#);
    }

    #[test]
    fn control_characters_are_escaped() {
        let text = "a: \u{1b}[31mred\u{9b}1m \u{202e}x\rEND\n";
        let out = plain(text, |f| {
            Diagnostic::error("XP0001", "bad \u{1b}]0;title\u{7}")
                .at(span(f, 3, 4), "is \u{1b}")
                .help("remove \u{8}it")
        });
        insta::assert_snapshot!(out, @r#"
        error[XP0001]: bad \u{1b}]0;title\u{7}
         --> roles/web/tasks/main.yml:1:4
          |
        1 | a: \u{1b}[31mred\u{9b}1m \u{202e}x\rEND
          |    ^^^^^^ is \u{1b}
          |
          = help: remove \u{8}it
        "#);
    }

    #[test]
    fn colours_are_the_only_escapes() {
        let sources = SourceMap::new();
        let file = sources.add("x\u{1b}[0m.yml", "a: b\n");
        let diagnostic = Diagnostic::error("XP0001", "bad").at(span(file, 3, 4), "this");
        let out = render(&sources, &diagnostic, Style::Color);
        insta::assert_snapshot!(out.replace('\u{1b}', "ESC"), @r#"
        ESC[1mESC[91merror[XP0001]ESC[0mESC[1m: badESC[0m
         ESC[1mESC[94m--> ESC[0mx\u{1b}[0m.yml:1:4
          ESC[1mESC[94m|ESC[0m
        ESC[1mESC[94m1ESC[0m ESC[1mESC[94m|ESC[0m a: b
          ESC[1mESC[94m|ESC[0m    ESC[1mESC[91m^ESC[0m ESC[1mESC[91mthisESC[0m
        "#);
    }

    #[test]
    fn spans_outside_of_the_text_are_harmless() {
        let sources = SourceMap::new();
        let other = SourceMap::new();
        other.add("a", "");
        let foreign = other.add("b", "text");
        let file = sources.add("a", "ä\n");
        for (start, end) in [(0, 900), (900, 1000), (1, 1), (3, 1), (u32::MAX, 0), (2, 3)] {
            for file in [file, foreign] {
                let diagnostic = Diagnostic::error("XP0001", "bad").at(span(file, start, end), "here");
                assert!(render(&sources, &diagnostic, Style::Plain).starts_with("error[XP0001]: bad\n"));
            }
        }
    }
}
