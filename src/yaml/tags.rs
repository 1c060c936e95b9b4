//! What tags do: `!vault`, `!unsafe` and the standard ones.

use std::sync::Arc;

use base64::Engine as _;

use super::node::{Node, NodeValue, Scalar, Tag};
use super::resolve;
use crate::diag::{Diagnostic, Span};
use crate::value::Value;

const CORE: &str = "tag:yaml.org,2002:";
const KNOWN: [&str; 17] = [
    "!vault",
    "!vault-encrypted",
    "!unsafe",
    "!!str",
    "!!int",
    "!!float",
    "!!bool",
    "!!null",
    "!!map",
    "!!seq",
    "!!set",
    "!!omap",
    "!!pairs",
    "!!binary",
    "!!timestamp",
    "!!merge",
    "!!value",
];

/// A tag as written: its name with the handle resolved, and its place.
pub(super) struct Written {
    name: String,
    span: Span,
}

impl Written {
    pub(super) fn new(tag: &granit_parser::Tag, span: Span) -> Self {
        Self { name: format!("{}{}", tag.handle(), tag.suffix()), span }
    }
}

/// Applies a tag to a scalar whose value is resolved as if it had none.
pub(super) fn scalar(mut scalar: Scalar, tag: Option<&Written>, span: Span) -> Result<Node, Diagnostic> {
    let mut kept = None;
    match tag.map(|t| t.name.as_str()) {
        None => {}
        // The bare tag asks for the resolution of a plain scalar, whatever the quotes.
        Some("!") => scalar.value = resolve::resolve_plain(&scalar.text),
        Some("!vault" | "!vault-encrypted") => {
            scalar.value = resolve::text_of(&scalar.text);
            kept = Some(Tag::Vault);
        }
        Some("!unsafe") => kept = Some(Tag::Unsafe),
        Some(name) => {
            let Some(value) = core_scalar(name, &scalar.text, span)? else {
                return Err(unknown(name, tag.map_or(span, |t| t.span)));
            };
            scalar.value = value;
            // With a tag, `<<` is no merge key.
            let shown_by_value =
                matches!(name.strip_prefix(CORE), Some("str" | "int" | "float" | "bool" | "null"));
            if !shown_by_value || &*scalar.text == "<<" {
                kept = Some(Tag::Other(name.into()));
            }
        }
    }
    Ok(Node { value: NodeValue::Scalar(scalar), span, tag: kept })
}

/// Returns the value under a standard tag; nothing if the tag is not known for scalars.
fn core_scalar(name: &str, text: &Arc<str>, span: Span) -> Result<Option<Value>, Diagnostic> {
    let Some(kind) = name.strip_prefix(CORE) else { return Ok(None) };
    let value = match kind {
        "str" | "timestamp" | "merge" | "value" | "python/unicode" | "python/str" => {
            Some(resolve::text_of(text))
        }
        "null" => Some(Value::Null),
        "bool" => resolve::explicit_bool(text).map(Value::Bool),
        "int" => resolve::int(text.trim()).map(Value::Int),
        "float" => resolve::float(text.trim()).map(Value::Float),
        "binary" => binary(text),
        _ => return Ok(None),
    };
    value.map(Some).ok_or_else(|| {
        let problem = match kind {
            "binary" => "!!binary must hold base64".to_owned(),
            _ => format!("this is not a value for !!{kind}"),
        };
        Diagnostic::error("XP0106", problem).at(span, "tagged value")
    })
}

fn binary(text: &str) -> Option<Value> {
    let packed: String = text.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).ok()?;
    // What is no text cannot be one; the rest of the file is worth more than this value.
    Some(Value::str(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Applies a tag to a list or map.
pub(super) fn collection(mut node: Node, tag: Option<&Written>) -> Result<Node, Diagnostic> {
    let Some(Written { name, span: place }) = tag else { return Ok(node) };
    let name = name.as_str();
    match name {
        "!" => return Ok(node),
        "!unsafe" => {
            make_unsafe(&mut node);
            return Ok(node);
        }
        "!vault" | "!vault-encrypted" => {
            return Err(Diagnostic::error("XP0106", format!("`{name}` needs a string"))
                .at(node.span, format!("this is a {}", node.type_name()))
                .help("write `!vault |` and the encrypted text, indented, below it"));
        }
        _ => {}
    }
    let Some(kind) = name.strip_prefix(CORE) else { return Err(unknown(name, *place)) };
    match (kind, &node.value) {
        ("map" | "python/dict", NodeValue::Map(_)) | ("seq" | "python/list", NodeValue::List(_)) => Ok(node),
        ("set", NodeValue::Map(entries)) => {
            node.value = NodeValue::List(Arc::new(entries.iter().map(|(k, _)| k.clone()).collect()));
            node.tag = Some(Tag::Other(name.into()));
            Ok(node)
        }
        ("omap" | "pairs", NodeValue::List(items)) => {
            let pairs = items.iter().map(pair).collect::<Result<_, _>>()?;
            node.value = NodeValue::List(Arc::new(pairs));
            node.tag = Some(Tag::Other(name.into()));
            Ok(node)
        }
        (
            "map" | "seq" | "set" | "omap" | "pairs" | "str" | "int" | "float" | "bool" | "null" | "binary",
            _,
        ) => Err(Diagnostic::error("XP0106", format!("this is not a value for !!{kind}"))
            .at(node.span, format!("this is a {}", node.type_name()))),
        _ => Err(unknown(name, *place)),
    }
}

/// Returns the only entry of a map as a list of two.
fn pair(item: &Node) -> Result<Node, Diagnostic> {
    let [(key, value)] = item.entries() else {
        return Err(Diagnostic::error("XP0106", "each item here must be a mapping with one key")
            .at(item.span, format!("this is a {}", item.type_name())));
    };
    let value = NodeValue::List(Arc::new(vec![key.clone(), value.clone()]));
    Ok(Node { value, span: item.span, tag: None })
}

/// Marks the node and everything inside.
fn make_unsafe(node: &mut Node) {
    if node.tag == Some(Tag::Unsafe) {
        return;
    }
    match &mut node.value {
        NodeValue::Scalar(_) => {}
        NodeValue::List(items) => Arc::make_mut(items).iter_mut().for_each(make_unsafe),
        NodeValue::Map(entries) => {
            for (key, value) in Arc::make_mut(entries) {
                make_unsafe(key);
                make_unsafe(value);
            }
        }
    }
    // Ciphertext stays what it is; decrypted text is never a template anyway.
    if node.tag != Some(Tag::Vault) {
        node.tag = Some(Tag::Unsafe);
    }
}

fn unknown(name: &str, span: Span) -> Diagnostic {
    let short = name.strip_prefix(CORE).map_or_else(|| name.to_owned(), |kind| format!("!!{kind}"));
    Diagnostic::error("XP0107", format!("unknown tag `{short}`")).at(span, "not known").suggest(&short, KNOWN)
}
