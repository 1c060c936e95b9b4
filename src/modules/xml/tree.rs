//! An XML document as a tree that can be changed: nodes in one table, named by their numbers. Knows no text form.

/// A node of a [`Doc`].
pub type Id = usize;

/// The node that holds the whole document.
pub const ROOT: Id = 0;

/// A document. Nodes that were taken out stay in the table without a parent.
#[derive(Clone, Debug)]
pub struct Doc {
    nodes: Vec<Node>,
    /// The document type declaration: the name that it gives the root element, and its text.
    pub doctype: Option<(String, String)>,
}

#[derive(Clone, Debug)]
struct Node {
    parent: Option<Id>,
    children: Vec<Id>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Document,
    Element(Element),
    Text(String),
    Cdata(String),
    Comment(String),
    Instruction { target: String, data: String },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub name: Name,
    /// Namespaces declared here: prefix, nothing for the default one, and URI.
    pub declared: Vec<(Option<String>, String)>,
    pub attributes: Vec<(Name, String)>,
}

/// A name with the namespace that its prefix stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    pub prefix: Option<String>,
    pub local: String,
    pub uri: Option<String>,
}

/// Whether a name is looked for that only a prefix gives a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameOf {
    Element,
    Attribute,
}

impl Name {
    pub fn plain(local: &str) -> Name {
        Name { prefix: None, local: local.to_string(), uri: None }
    }

    /// Returns the name as it stands in a document.
    pub fn written(&self) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}:{}", self.local),
            None => self.local.clone(),
        }
    }

    /// Returns the name in James Clark's notation, `{uri}local`.
    pub fn clark(&self) -> String {
        match &self.uri {
            Some(uri) => format!("{{{uri}}}{}", self.local),
            None => self.local.clone(),
        }
    }

    /// Whether both mean the same, whatever their prefixes.
    pub fn means(&self, local: &str, uri: Option<&str>) -> bool {
        self.local == local && self.uri.as_deref() == uri
    }
}

impl Doc {
    pub fn new() -> Doc {
        let root = Node { parent: None, children: Vec::new(), kind: Kind::Document };
        Doc { nodes: vec![root], doctype: None }
    }

    /// Adds a node that is nowhere in the tree yet.
    pub fn add(&mut self, kind: Kind) -> Id {
        self.nodes.push(Node { parent: None, children: Vec::new(), kind });
        self.nodes.len() - 1
    }

    pub fn kind(&self, id: Id) -> &Kind {
        &self.nodes[id].kind
    }

    pub fn children(&self, id: Id) -> &[Id] {
        &self.nodes[id].children
    }

    pub fn parent(&self, id: Id) -> Option<Id> {
        self.nodes[id].parent
    }

    pub fn element(&self, id: Id) -> Option<&Element> {
        match self.kind(id) {
            Kind::Element(element) => Some(element),
            _ => None,
        }
    }

    pub fn element_mut(&mut self, id: Id) -> Option<&mut Element> {
        match &mut self.nodes[id].kind {
            Kind::Element(element) => Some(element),
            _ => None,
        }
    }

    pub fn is_element(&self, id: Id) -> bool {
        matches!(self.kind(id), Kind::Element(_))
    }

    /// Whether it is text, in a CDATA section or not.
    pub fn is_text(&self, id: Id) -> bool {
        matches!(self.kind(id), Kind::Text(_) | Kind::Cdata(_))
    }

    /// Returns the element that holds all others.
    pub fn root_element(&self) -> Option<Id> {
        self.children(ROOT).iter().copied().find(|id| self.is_element(*id))
    }

    /// Takes a node out of its parent.
    pub fn detach(&mut self, id: Id) {
        if let Some(parent) = self.nodes[id].parent.take() {
            self.nodes[parent].children.retain(|child| *child != id);
        }
    }

    /// Puts a node at a place among the children of another.
    pub fn insert(&mut self, parent: Id, at: usize, id: Id) {
        self.detach(id);
        let children = &mut self.nodes[parent].children;
        children.insert(at.min(children.len()), id);
        self.nodes[id].parent = Some(parent);
        self.settle_namespaces(id);
    }

    pub fn append(&mut self, parent: Id, id: Id) {
        self.insert(parent, usize::MAX, id);
    }

    /// Appends while a document is read, when namespaces are settled already.
    pub fn append_read(&mut self, parent: Id, id: Id) {
        self.nodes[parent].children.push(id);
        self.nodes[id].parent = Some(parent);
    }

    /// Adds to a text; tells whether it is one.
    pub fn append_text(&mut self, id: Id, more: &str) -> bool {
        match &mut self.nodes[id].kind {
            Kind::Text(text) => {
                text.push_str(more);
                true
            }
            _ => false,
        }
    }

    /// Takes an element, comment or instruction out together with the text that follows it.
    pub fn remove_with_tail(&mut self, id: Id) {
        let Some(parent) = self.parent(id) else { return };
        let at = self.children(parent).iter().position(|child| *child == id).unwrap_or(0);
        let tail: Vec<Id> =
            self.children(parent)[at + 1..].iter().copied().take_while(|next| self.is_text(*next)).collect();
        for gone in std::iter::once(id).chain(tail) {
            self.detach(gone);
        }
    }

    /// Returns the text before the first child that is no text.
    pub fn text(&self, id: Id) -> Option<String> {
        let mut text: Option<String> = None;
        for child in self.children(id) {
            match self.kind(*child) {
                Kind::Text(part) | Kind::Cdata(part) => text.get_or_insert_default().push_str(part),
                _ => break,
            }
        }
        text
    }

    /// Replaces the text before the first child that is no text.
    pub fn set_text(&mut self, id: Id, text: Option<&str>) {
        let old: Vec<Id> =
            self.children(id).iter().copied().take_while(|child| self.is_text(*child)).collect();
        for gone in old {
            self.detach(gone);
        }
        if let Some(text) = text {
            let new = self.add(Kind::Text(text.to_string()));
            self.insert(id, 0, new);
        }
    }

    /// Returns children that are no text.
    pub fn things(&self, id: Id) -> Vec<Id> {
        self.children(id).iter().copied().filter(|child| !self.is_text(*child)).collect()
    }

    /// Returns all nodes below one in the order of the document, without itself.
    pub fn below(&self, id: Id) -> Vec<Id> {
        let mut out = Vec::new();
        let mut waiting: Vec<Id> = self.children(id).iter().rev().copied().collect();
        while let Some(next) = waiting.pop() {
            out.push(next);
            waiting.extend(self.children(next).iter().rev());
        }
        out
    }

    /// Returns the prefix that stands for a namespace at a node: `Some(None)` is the default namespace.
    pub fn prefix_of(&self, at: Id, uri: &str, of: NameOf) -> Option<Option<String>> {
        let mut next = Some(at);
        while let Some(id) = next {
            if let Some(element) = self.element(id) {
                let found = element.declared.iter().find(|(prefix, declared)| {
                    declared == uri
                        && (of == NameOf::Element || prefix.is_some())
                        && self.uri_of(at, prefix.as_deref()).as_deref() == Some(uri)
                });
                if let Some((prefix, _)) = found {
                    return Some(prefix.clone());
                }
            }
            next = self.parent(id);
        }
        (uri == XML_URI).then(|| Some("xml".to_string()))
    }

    /// Returns what a prefix stands for at a node.
    pub fn uri_of(&self, at: Id, prefix: Option<&str>) -> Option<String> {
        if prefix == Some("xml") {
            return Some(XML_URI.to_string());
        }
        let mut next = Some(at);
        while let Some(id) = next {
            let declared = self.element(id).and_then(|element| {
                element.declared.iter().find(|(declared, _)| declared.as_deref() == prefix)
            });
            if let Some((_, uri)) = declared {
                return (!uri.is_empty()).then(|| uri.clone());
            }
            next = self.parent(id);
        }
        None
    }

    /// Returns a name for something at an element; declares a prefix there when none stands for the namespace yet.
    pub fn name_at(&mut self, at: Id, local: &str, uri: Option<&str>, of: NameOf) -> Name {
        let Some(uri) = uri else { return Name::plain(local) };
        let prefix = match self.prefix_of(at, uri, of) {
            Some(prefix) => prefix,
            None => {
                let free = (0..)
                    .map(|n| format!("ns{n}"))
                    .find(|prefix| self.uri_of(at, Some(prefix)).is_none())
                    .unwrap_or_default();
                if let Some(element) = self.element_mut(at) {
                    element.declared.push((Some(free.clone()), uri.to_string()));
                }
                Some(free)
            }
        };
        Name { prefix, local: local.to_string(), uri: Some(uri.to_string()) }
    }

    /// Takes declarations away that the new surroundings of an element make already.
    fn settle_namespaces(&mut self, top: Id) {
        let Some(parent) = self.parent(top) else { return };
        for id in std::iter::once(top).chain(self.below(top)) {
            let Some(element) = self.element(id) else { continue };
            let mut element = element.clone();
            if id == top {
                let known = |uri: &str| self.prefix_of(parent, uri, NameOf::Attribute).is_some();
                let any = |uri: &str| self.prefix_of(parent, uri, NameOf::Element).is_some();
                let needs_prefix: Vec<String> =
                    element.attributes.iter().filter_map(|(name, _)| name.uri.clone()).collect();
                element.declared.retain(|(_, uri)| {
                    let there = if needs_prefix.contains(uri) { known(uri) } else { any(uri) };
                    uri.is_empty() || !there
                });
                self.put_element(id, element.clone());
            }
            if let Some(uri) = element.name.uri.clone() {
                element.name.prefix = self.prefix_of(id, &uri, NameOf::Element).flatten();
            }
            for (name, _) in &mut element.attributes {
                if let Some(uri) = &name.uri {
                    name.prefix = self.prefix_of(id, uri, NameOf::Attribute).flatten();
                }
            }
            self.put_element(id, element);
        }
    }

    fn put_element(&mut self, id: Id, element: Element) {
        self.nodes[id].kind = Kind::Element(element);
    }

    /// Takes out the white space between elements, as a reader that is told to ignore it does.
    pub fn drop_blanks(&mut self) {
        let mut waiting = vec![(ROOT, false)];
        while let Some((id, kept)) = waiting.pop() {
            let kept = match self.element(id).and_then(|element| element.space()) {
                Some("preserve") => true,
                Some("default") => false,
                _ => kept,
            };
            let children = std::mem::take(&mut self.nodes[id].children);
            let mut left: Vec<Id> = Vec::with_capacity(children.len());
            for (at, child) in children.iter().copied().enumerate() {
                let blank = matches!(self.kind(child), Kind::Text(text) if text.bytes().all(|b| b" \t\r\n".contains(&b)));
                let next_is_text =
                    children.get(at + 1).is_some_and(|next| matches!(self.kind(*next), Kind::Text(_)));
                let last = left.last().copied();
                let mixed = last.is_some_and(|last| self.is_text(last))
                    || left.first().is_some_and(|first| self.is_text(*first));
                let alone = left.is_empty() && at + 1 == children.len() && id != ROOT;
                if blank && !kept && !next_is_text && !mixed && !alone {
                    self.nodes[child].parent = None;
                } else {
                    left.push(child);
                }
            }
            waiting.extend(left.iter().map(|child| (*child, kept)));
            self.nodes[id].children = left;
        }
    }
}

impl Element {
    /// Returns the value of an attribute.
    pub fn attribute(&self, local: &str, uri: Option<&str>) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name.means(local, uri)).map(|(_, value)| value.as_str())
    }

    fn space(&self) -> Option<&str> {
        self.attribute("space", Some(XML_URI))
    }
}

/// What the prefix `xml` always stands for.
pub const XML_URI: &str = "http://www.w3.org/XML/1998/namespace";
