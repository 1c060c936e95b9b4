//! Values to YAML text, equal byte for byte to what PyYAML writes with libyaml, which is what Ansible uses.

mod scalar;
mod writer;

use crate::value::{Key, Map, Value, float_repr};
use scalar::Analysis;
use writer::Writer;

/// When lists and mappings are written in braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowStyle {
    /// Always: PyYAML's `default_flow_style=True`.
    Always,
    /// Never: `default_flow_style=False`.
    Never,
    /// Only collections that hold scalars alone: `default_flow_style=None`.
    Leaves,
}

/// How texts with line breaks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineBreaks {
    /// In quotes.
    Quoted,
    /// As blocks, where that gives the same text back.
    Literal,
    /// As blocks, at the price of blanks and special characters that blocks cannot have.
    Readable,
}

/// What becomes of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// Asterisks stand for them.
    Mask,
    /// Their text is written: for text that goes to a host, never for output.
    Expose,
}

/// PyYAML's `dump` arguments.
#[derive(Clone, Debug)]
pub struct EmitOptions {
    /// Spaces for each level; outside of 2 to 9 it is 2.
    pub indent: usize,
    pub default_flow_style: FlowStyle,
    /// Column behind which long lines are folded; at most twice the indent means 80.
    pub width: usize,
    pub sort_keys: bool,
    pub allow_unicode: bool,
    pub explicit_start: bool,
    pub line_breaks: LineBreaks,
    pub secrets: Secrets,
}

/// The defaults of Ansible's `to_yaml` filter.
impl Default for EmitOptions {
    fn default() -> Self {
        Self {
            indent: 2,
            default_flow_style: FlowStyle::Leaves,
            width: 80,
            sort_keys: true,
            allow_unicode: true,
            explicit_start: false,
            line_breaks: LineBreaks::Quoted,
            secrets: Secrets::Mask,
        }
    }
}

/// Returns the value as YAML; ends with a newline.
pub fn to_yaml(value: &Value, options: &EmitOptions) -> String {
    let mut emitter = Emitter { out: Writer::new(options), options, flow_level: 0 };
    if options.explicit_start {
        emitter.out.indicator("---", true, false, false);
    }
    emitter.node(value, Context::Root);
    emitter.out.line_break_and_indent();
    emitter.out.finish()
}

/// Returns the value as Ansible's `to_nice_yaml` filter writes it, which indents by 4 unless told otherwise.
pub fn to_nice_yaml(value: &Value, indent: usize) -> String {
    to_yaml(value, &EmitOptions { indent, default_flow_style: FlowStyle::Never, ..EmitOptions::default() })
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Root,
    Item,
    /// A mapping's value, or a key behind `?`.
    Member,
    /// A key without `?`.
    SimpleKey,
}

struct Emitter<'a> {
    out: Writer,
    options: &'a EmitOptions,
    flow_level: usize,
}

impl Emitter<'_> {
    fn node(&mut self, value: &Value, context: Context) {
        match value {
            Value::List(items) if items.is_empty() || self.is_flow(value) => self.flow_list(items),
            Value::List(items) => self.block_list(items, context),
            Value::Map(map) if map.is_empty() || self.is_flow(value) => self.flow_map(map),
            Value::Map(map) => self.block_map(map),
            scalar => {
                let (text, is_string) = self.scalar_text(scalar);
                self.scalar(&text, is_string, context);
            }
        }
    }

    fn is_flow(&self, value: &Value) -> bool {
        if self.flow_level > 0 {
            return true;
        }
        let is_scalar = |v: &Value| !matches!(v, Value::List(_) | Value::Map(_));
        match self.options.default_flow_style {
            FlowStyle::Always => true,
            FlowStyle::Never => false,
            FlowStyle::Leaves => match value {
                Value::List(items) => items.iter().all(is_scalar),
                Value::Map(map) => map.values().all(is_scalar),
                _ => false,
            },
        }
    }

    /// Returns what is written and whether it must be read back as a string.
    fn scalar_text(&self, value: &Value) -> (String, bool) {
        match value {
            Value::Null | Value::Omit => ("null".into(), false),
            Value::Bool(b) => (b.to_string(), false),
            Value::Int(i) => (i.to_string(), false),
            Value::Float(f) => (float_text(*f), false),
            Value::Secret(secret) => match self.options.secrets {
                Secrets::Mask => ("********".into(), true),
                Secrets::Expose => (secret.expose().to_owned(), true),
            },
            other => (other.to_text(), true),
        }
    }

    fn scalar(&mut self, text: &str, is_string: bool, context: Context) {
        let simple_key = context == Context::SimpleKey;
        let in_flow = self.flow_level > 0;
        let readable;
        let mut text = text;
        let broken = is_string && text.contains(['\n', '\u{85}', '\u{2028}', '\u{2029}']);
        if broken && self.options.line_breaks == LineBreaks::Readable {
            readable = scalar::made_readable(text);
            text = &readable;
        }
        let analysis = Analysis::of(text, self.options.allow_unicode);
        let style = match self.options.line_breaks {
            LineBreaks::Literal | LineBreaks::Readable if broken => analysis.block_style(in_flow, simple_key),
            _ => analysis.style(is_string, in_flow, simple_key),
        };
        self.out.increase_indent(true, false);
        self.out.scalar(text, style, !simple_key);
        self.out.decrease_indent();
    }

    fn flow_list(&mut self, items: &[Value]) {
        self.out.indicator("[", true, true, false);
        self.out.increase_indent(true, false);
        self.flow_level += 1;
        for (i, item) in items.iter().enumerate() {
            self.flow_separator(i);
            self.node(item, Context::Item);
        }
        self.flow_level -= 1;
        self.out.decrease_indent();
        self.out.indicator("]", false, false, false);
    }

    fn flow_map(&mut self, map: &Map) {
        self.out.indicator("{", true, true, false);
        self.out.increase_indent(true, false);
        self.flow_level += 1;
        for (i, (key, value)) in self.ordered(map).into_iter().enumerate() {
            self.flow_separator(i);
            let (text, is_string) = self.scalar_text(&key.to_value());
            if is_simple_key(&text) {
                self.scalar(&text, is_string, Context::SimpleKey);
                self.out.indicator(":", false, false, false);
            } else {
                self.out.indicator("?", true, false, false);
                self.scalar(&text, is_string, Context::Member);
                self.out.indent_if_wide();
                self.out.indicator(":", true, false, false);
            }
            self.node(value, Context::Member);
        }
        self.flow_level -= 1;
        self.out.decrease_indent();
        self.out.indicator("}", false, false, false);
    }

    fn flow_separator(&mut self, position: usize) {
        if position > 0 {
            self.out.indicator(",", false, false, false);
        }
        self.out.indent_if_wide();
    }

    fn block_list(&mut self, items: &[Value], context: Context) {
        // A list right under a key is not indented further.
        let indentless = context == Context::Member && !self.out.at_indentation();
        self.out.increase_indent(false, indentless);
        for item in items {
            self.out.line_break_and_indent();
            self.out.indicator("-", true, false, true);
            self.node(item, Context::Item);
        }
        self.out.decrease_indent();
    }

    fn block_map(&mut self, map: &Map) {
        self.out.increase_indent(false, false);
        for (key, value) in self.ordered(map) {
            self.out.line_break_and_indent();
            let (text, is_string) = self.scalar_text(&key.to_value());
            if is_simple_key(&text) {
                self.scalar(&text, is_string, Context::SimpleKey);
                self.out.indicator(":", false, false, false);
            } else {
                self.out.indicator("?", true, false, true);
                self.scalar(&text, is_string, Context::Member);
                self.out.line_break_and_indent();
                self.out.indicator(":", true, false, true);
            }
            self.node(value, Context::Member);
        }
        self.out.decrease_indent();
    }

    fn ordered<'m>(&self, map: &'m Map) -> Vec<(&'m Key, &'m Value)> {
        let mut entries: Vec<_> = map.iter().collect();
        if self.options.sort_keys && comparable(map) {
            entries.sort_by(|(a, _), (b, _)| match (a, b) {
                (Key::Str(a), Key::Str(b)) => a.cmp(b),
                _ => {
                    let number = |key: &Key| key.to_value().number().unwrap_or(0.0);
                    number(a).total_cmp(&number(b))
                }
            });
        }
        entries
    }
}

/// Returns whether Python could sort the keys; it gives up on mixed types and keeps the order.
fn comparable(map: &Map) -> bool {
    let strings = map.keys().all(|k| matches!(k, Key::Str(_)));
    let numbers = map.keys().all(|k| matches!(k, Key::Int(_) | Key::Bool(_) | Key::Float(_)));
    strings || numbers
}

/// Longer keys, and those with line breaks, need a `?`.
fn is_simple_key(text: &str) -> bool {
    text.len() <= 128 && !text.contains(writer::is_break)
}

fn float_text(f: f64) -> String {
    if f.is_nan() {
        return ".nan".into();
    }
    if f.is_infinite() {
        return if f > 0.0 { ".inf".into() } else { "-.inf".into() };
    }
    let text = float_repr(f);
    // Without a dot it would be read back as a string.
    if text.contains('.') { text } else { text.replacen('e', ".0e", 1) }
}
