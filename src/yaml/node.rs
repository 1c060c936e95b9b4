//! The tree: values with their places.

use std::ops::Range;
use std::sync::Arc;

use super::align::Offsets;
use crate::diag::Span;
use crate::value::{Key, Map, Value};

/// A value in a file, with its place. Cloning is cheap: children are shared.
#[derive(Clone, Debug)]
pub struct Node {
    pub value: NodeValue,
    pub span: Span,
    pub tag: Option<Tag>,
}

#[derive(Clone, Debug)]
pub enum NodeValue {
    Scalar(Scalar),
    List(Arc<Vec<Node>>),
    /// Keys are scalars and distinct; merge keys are already resolved.
    Map(Arc<Vec<(Node, Node)>>),
}

/// A single value and how it was written.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// The value as PyYAML resolves it: null, boolean, integer, float or string.
    pub value: Value,
    /// The text after quotes, escapes and line folding are resolved.
    pub text: Arc<str>,
    pub style: ScalarStyle,
    pub(super) offsets: Offsets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarStyle {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
    Folded,
}

/// A tag that changes what a value means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag {
    /// `!vault`: the text is ciphertext.
    Vault,
    /// `!unsafe`: the text, or every text inside, is never a template.
    Unsafe,
    /// A standard tag whose effect the value already shows, such as `tag:yaml.org,2002:set`.
    Other(Arc<str>),
}

impl Node {
    /// Returns the scalar, nothing for lists and maps.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            NodeValue::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Returns the text of a string; numbers, booleans and nulls are not strings. Under [`Tag::Vault`] the text is
    /// ciphertext.
    pub fn as_str(&self) -> Option<&str> {
        self.scalar()?.value.as_str()
    }

    pub fn as_bool(&self) -> Option<bool> {
        self.scalar()?.value.as_bool()
    }

    pub fn as_int(&self) -> Option<i128> {
        self.scalar()?.value.as_int()
    }

    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(|s| s.value.is_null())
    }

    pub fn is_list(&self) -> bool {
        matches!(self.value, NodeValue::List(_))
    }

    pub fn is_map(&self) -> bool {
        matches!(self.value, NodeValue::Map(_))
    }

    /// Returns the value under the string key `key`, nothing if this is no map or has no such key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Returns key and value for the string key `key`.
    pub fn entry(&self, key: &str) -> Option<&(Node, Node)> {
        self.entries().iter().find(|(k, _)| k.as_str() == Some(key))
    }

    /// Returns the entries of a map in their order; none for anything else.
    pub fn entries(&self) -> &[(Node, Node)] {
        match &self.value {
            NodeValue::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the items of a list; none for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            NodeValue::List(items) => items,
            _ => &[],
        }
    }

    /// Returns the plain value. Tags are ignored: text under `!vault` stays ciphertext.
    pub fn to_value(&self) -> Value {
        match &self.value {
            NodeValue::Scalar(scalar) => scalar.value.clone(),
            NodeValue::List(items) => Value::list(items.iter().map(Node::to_value).collect()),
            NodeValue::Map(entries) => Value::map(
                entries.iter().filter_map(|(k, v)| Some((k.to_key()?, v.to_value()))).collect::<Map>(),
            ),
        }
    }

    /// Returns the map key that this scalar is; nothing for lists and maps.
    pub fn to_key(&self) -> Option<Key> {
        Key::from_value(&self.scalar()?.value)
    }

    /// Returns what this is, in the words of messages: `string`, `list`, `mapping`, ...
    pub fn type_name(&self) -> &'static str {
        match &self.value {
            NodeValue::List(_) => "list",
            NodeValue::Map(_) => "mapping",
            NodeValue::Scalar(scalar) => match scalar.value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Int(_) => "integer",
                Value::Float(_) => "float",
                _ => "string",
            },
        }
    }

    /// Returns [`Node::type_name`] with its article.
    pub fn described(&self) -> String {
        let name = self.type_name();
        let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("{article} {name}")
    }

    /// Maps a byte range of [`Scalar::text`] into the file, to point into `{{ }}` for example. Where the text does
    /// not stand as such in the file, returns the whole value.
    pub fn content_span(&self, range: Range<usize>) -> Span {
        let mapped = self.scalar().and_then(|scalar| {
            let end = range.end.min(scalar.text.len());
            scalar.offsets.locate(range.start.min(end)..end)
        });
        match mapped {
            Some((start, end)) => {
                let start = start.clamp(self.span.start, self.span.end);
                Span { start, end: end.clamp(start, self.span.end), ..self.span }
            }
            None => self.span,
        }
    }
}
