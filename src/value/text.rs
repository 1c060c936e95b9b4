//! Texts, and the kinds of them that ansible-core told apart until 2.18. What is in a text never depends on its kind.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Where a text comes from, as far as templates can ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextKind {
    #[default]
    Plain,
    /// A scalar of a YAML file of the project.
    Yaml,
    /// Made by a filter such as `string` or `to_json`: it stays a text wherever it goes.
    Kept,
    /// Given by a lookup, or written under `!unsafe`.
    Unsafe,
    /// Both of the last two.
    KeptUnsafe,
    /// The name of a class of Python.
    Class,
}

impl TextKind {
    /// Returns the name of Python's class for it in ansible-core up to 2.18.
    pub fn class_name(self) -> &'static str {
        match self {
            TextKind::Plain => "str",
            TextKind::Yaml => "AnsibleUnicode",
            TextKind::Kept => "NativeJinjaText",
            TextKind::Unsafe => "AnsibleUnsafeText",
            TextKind::KeptUnsafe => "NativeJinjaUnsafeText",
            TextKind::Class => "type",
        }
    }

    pub fn is_kept(self) -> bool {
        matches!(self, TextKind::Kept | TextKind::KeptUnsafe)
    }

    pub fn is_unsafe(self) -> bool {
        matches!(self, TextKind::Unsafe | TextKind::KeptUnsafe)
    }

    /// Returns the kind that it is once it came from a lookup.
    pub fn made_unsafe(self) -> TextKind {
        if self.is_kept() { TextKind::KeptUnsafe } else { TextKind::Unsafe }
    }
}

/// A shared text. Texts of different kinds with the same content are equal.
#[derive(Clone)]
pub struct Text {
    text: Arc<str>,
    kind: TextKind,
}

impl Text {
    pub fn new(text: impl Into<Arc<str>>, kind: TextKind) -> Self {
        Text { text: text.into(), kind }
    }

    pub fn kind(&self) -> TextKind {
        self.kind
    }

    /// Returns the same text as one of another kind.
    pub fn of_kind(&self, kind: TextKind) -> Self {
        Text { text: self.text.clone(), kind }
    }

    /// Returns the content, shared.
    pub fn shared(&self) -> Arc<str> {
        self.text.clone()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Text::new(text, TextKind::Plain)
    }
}

impl From<&Arc<str>> for Text {
    fn from(text: &Arc<str>) -> Self {
        text.clone().into()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text::new(text, TextKind::Plain)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text::new(text, TextKind::Plain)
    }
}

impl From<Text> for Arc<str> {
    fn from(text: Text) -> Self {
        text.text
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
