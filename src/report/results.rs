//! How results are written into the text: Ansible's JSON, or its YAML.

use crate::value::{JsonStyle, Map, Value, to_python_json};
use crate::yaml::{EmitOptions, FlowStyle, LineBreaks, to_yaml};

/// The language of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResultFormat {
    #[default]
    Json,
    Yaml,
}

/// Ansible's `callback_result_format` and `callback_format_pretty`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResultStyle {
    pub format: ResultFormat,
    /// Nothing: as it is usual for the format.
    pub pretty: Option<bool>,
}

/// Whether a result is one that is shown without `-v` and over several lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emphasis {
    None,
    Always,
}

impl ResultStyle {
    /// Returns the result as Ansible dumps it: keys sorted, internal and voluminous members left out.
    pub fn dump(self, result: &Map, emphasis: Emphasis, verbosity: u8) -> String {
        let hidden = |key: &str| {
            key.starts_with("_ansible_")
                || matches!(key, "exception" | "failed" | "skipped")
                || (verbosity < 3 && key == "invocation")
                || key == "diff"
        };
        let mut shown: Map = result
            .iter()
            .filter(|(k, _)| k.as_str().is_none_or(|k| !hidden(k)))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let usual = emphasis == Emphasis::Always || self.format == ResultFormat::Yaml || verbosity > 2;
        let indent = self.pretty.unwrap_or(usual).then_some(4);
        if self.format == ResultFormat::Json {
            return to_python_json(&Value::map(shown), JsonStyle { indent, sort_keys: true, ascii: false });
        }
        let readable = self.pretty.unwrap_or(true);
        for (text, lines) in [("stdout", "stdout_lines"), ("stderr", "stderr_lines")] {
            if readable && shown.contains(text) && shown.contains(lines) {
                shown.insert(lines, "<omitted>");
            }
        }
        let options = EmitOptions {
            indent: indent.unwrap_or(2),
            default_flow_style: FlowStyle::Never,
            line_breaks: if readable { LineBreaks::Readable } else { LineBreaks::Literal },
            ..EmitOptions::default()
        };
        let mut text = String::new();
        for line in to_yaml(&Value::map(shown), &options).lines() {
            // Lines without content are not indented.
            text.push('\n');
            if !line.trim().is_empty() {
                text.push_str("    ");
            }
            text.push_str(line);
        }
        text
    }
}
