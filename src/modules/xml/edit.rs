//! What the module does to a document: each change that its arguments can ask for.

use std::sync::LazyLock;

use fancy_regex::Regex;

use super::eval::{Found, Place, evaluate};
use super::parse::{self, Cdata, is_name, is_xml_char};
use super::tree::{Doc, Element, Id, Kind, Name, NameOf, ROOT};
use super::xpath;
use crate::value::{Map, Value};

/// A document with the prefixes that expressions about it may use.
pub struct Work {
    pub doc: Doc,
    pub namespaces: Vec<(String, String)>,
}

/// How children are written in a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Xml,
    Yaml,
}

/// Where new children go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Into what is selected, behind what is there.
    Inside,
    /// Before the first that is selected.
    Before,
    /// Behind the last that is selected.
    After,
}

impl Work {
    pub fn select(&self, expression: &str) -> Result<Found, String> {
        self.select_at(ROOT, expression)
    }

    fn select_at(&self, at: Id, expression: &str) -> Result<Found, String> {
        evaluate(&self.doc, at, &xpath::parse(expression)?, &self.namespaces)
    }

    /// Returns the elements that an expression selects, seen from a node.
    fn elements(&self, at: Id, expression: &str) -> Result<Vec<Id>, String> {
        Ok(match self.select_at(at, expression)? {
            Found::Places(places) => {
                let id = |place: &Place| match place {
                    Place::Node(id) if !self.doc.is_text(*id) && *id != ROOT => Some(*id),
                    _ => None,
                };
                places.iter().filter_map(id).collect()
            }
            _ => Vec::new(),
        })
    }

    /// Whether the first that an expression selects is an element; one that is true of the document counts.
    pub fn is_node(&self, at: Id, expression: &str) -> Result<bool, String> {
        Ok(match self.select_at(at, expression)? {
            Found::Places(places) => {
                matches!(places.first(), Some(Place::Node(id)) if !self.doc.is_text(*id) && *id != ROOT)
            }
            Found::Bool(truth) => truth,
            _ => false,
        })
    }

    /// Takes all that an expression selects out of the document.
    pub fn delete(&mut self, expression: &str) -> Result<(), String> {
        let Found::Places(places) = self.select(expression)? else {
            return Err("it selects no nodes".into());
        };
        // The last attribute of an element first, so that the numbers of the others stay.
        for place in places.into_iter().rev() {
            match place {
                Place::Attribute(id, at) => {
                    if let Some(element) = self.doc.element_mut(id) {
                        element.attributes.remove(at);
                    }
                }
                Place::Node(id) if self.doc.is_text(id) => {
                    return Err("texts cannot be deleted, only elements and attributes".into());
                }
                Place::Node(id) if self.doc.parent(id).is_none_or(|parent| parent == ROOT) => {
                    return Err("the root element cannot be deleted".into());
                }
                Place::Node(id) => self.doc.remove_with_tail(id),
            }
        }
        Ok(())
    }

    pub fn set_children(&mut self, expression: &str, given: &[Value], input: Input) -> Result<(), String> {
        let matches = self.elements(ROOT, expression)?;
        let new = self.children(given, input)?;
        for id in matches {
            let old = self.doc.things(id);
            // What follows an element counts too: children that are not close to one another are other ones.
            let tail = |child: Id| {
                let all = self.doc.children(id);
                let at = all.iter().position(|other| *other == child).unwrap_or(0);
                all.get(at + 1).is_some_and(|next| self.doc.is_text(*next))
            };
            let same = old.len() == new.len()
                && old
                    .iter()
                    .zip(&new)
                    .all(|(old, new)| !tail(*old) && self.written(*old) == self.written(*new));
            if same {
                continue;
            }
            for child in old {
                self.doc.remove_with_tail(child);
            }
            for child in &new {
                self.doc.append(id, *child);
            }
        }
        Ok(())
    }

    fn written(&self, id: Id) -> String {
        super::print::one(&self.doc, id)
    }

    pub fn add_children(
        &mut self,
        expression: &str,
        given: &[Value],
        input: Input,
        place: Where,
    ) -> Result<(), String> {
        if !self.is_node(ROOT, expression)? {
            return Ok(());
        }
        let new = self.children(given, input)?;
        let matches = self.elements(ROOT, expression)?;
        if place == Where::Inside {
            // As there, the same elements go to each in turn and stay with the last.
            for id in matches {
                new.iter().for_each(|child| self.doc.append(id, *child));
            }
            return Ok(());
        }
        let target = if place == Where::Before { matches.first() } else { matches.last() };
        let Some(target) = target.copied() else { return Ok(()) };
        let parent = self.doc.parent(target).filter(|parent| *parent != ROOT);
        let Some(parent) = parent else { return Err("nothing can stand beside the root element".into()) };
        let things = self.doc.things(parent);
        let index = things.iter().position(|thing| *thing == target).unwrap_or(0);
        let next = if place == Where::Before { Some(target) } else { things.get(index + 1).copied() };
        for child in new {
            let at = next.and_then(|next| self.doc.children(parent).iter().position(|id| *id == next));
            self.doc.insert(parent, at.unwrap_or(usize::MAX), child);
        }
        Ok(())
    }

    /// Sets the text or an attribute of all elements that are selected.
    pub fn set(&mut self, expression: &str, attribute: Option<&str>, value: &str) -> Result<(), String> {
        check_text(value)?;
        for id in self.elements(ROOT, expression)? {
            match attribute {
                None if self.doc.text(id).as_deref() != Some(value) => self.doc.set_text(id, Some(value)),
                None => {}
                Some(attribute) => self.set_attribute(id, attribute, value)?,
            }
        }
        Ok(())
    }

    fn set_attribute(&mut self, id: Id, attribute: &str, value: &str) -> Result<(), String> {
        check_text(value)?;
        let (local, uri) = self.resolved(attribute)?;
        if !is_name(&local) {
            return Err(format!("Invalid attribute name '{local}'"));
        }
        let there = self.doc.element(id).map(|element| {
            element.attributes.iter().position(|(name, _)| name.means(&local, uri.as_deref()))
        });
        let Some(there) = there else { return Ok(()) };
        let name = match there {
            Some(_) => Name::default(),
            None => self.doc.name_at(id, &local, uri.as_deref(), NameOf::Attribute),
        };
        if let Some(element) = self.doc.element_mut(id) {
            match there.and_then(|at| element.attributes.get_mut(at)) {
                Some((_, old)) => *old = value.to_string(),
                None => element.attributes.push((name, value.to_string())),
            }
        }
        Ok(())
    }

    /// Returns local name and namespace of a name with a prefix of the task, or in Clark's notation.
    fn resolved(&self, name: &str) -> Result<(String, Option<String>), String> {
        if let Some((uri, local)) = name.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            return Ok((local.to_string(), Some(uri.to_string())));
        }
        match name.split_once(':') {
            None => Ok((name.to_string(), None)),
            Some((prefix, local)) => {
                let uri = self.namespaces.iter().find(|(known, _)| known == prefix);
                let (_, uri) =
                    uri.ok_or_else(|| format!("the prefix {prefix} is not among the namespaces"))?;
                Ok((local.to_string(), Some(uri.clone())))
            }
        }
    }

    /// Makes what an expression names, as far as its last step says what that is.
    pub fn make(&mut self, at: Id, expression: &str, depth: usize) -> Result<(), String> {
        let cannot = || format!("Can't process Xpath {expression} in order to spawn nodes!");
        let (inner, target) = split_last(expression).ok_or_else(cannot)?;
        if depth > 60 || inner.is_empty() {
            return Err(cannot());
        }
        if !self.is_node(at, &inner)? {
            self.make(at, &inner, depth + 1)?;
        }
        let parents = self.elements(at, &inner)?;
        match target {
            Target::Element(name, text) => {
                let new = self.element(&name, text.as_deref())?;
                parents.into_iter().for_each(|parent| self.doc.append(parent, new));
            }
            Target::With(name, parts) => {
                let new = self.element(&name, None)?;
                for parent in parents {
                    self.doc.append(parent, new);
                    for part in &parts {
                        self.make(new, &format!("./{part}"), depth + 1)?;
                    }
                }
            }
            Target::Text(text) => {
                for parent in parents {
                    if self.doc.text(parent).as_deref() != Some(text.as_str()) {
                        self.doc.set_text(parent, Some(&text));
                    }
                }
            }
            Target::Attribute(name, value) => {
                for parent in parents {
                    self.set_attribute(parent, &name, value.as_deref().unwrap_or_default())?;
                }
            }
        }
        Ok(())
    }

    /// Makes an element that is nowhere yet.
    fn element(&mut self, name: &str, text: Option<&str>) -> Result<Id, String> {
        let (local, uri) = self.resolved(name)?;
        if !is_name(&local) {
            return Err(format!("Invalid tag name '{name}'"));
        }
        let id = self.doc.add(Kind::Element(Element::default()));
        let name = self.doc.name_at(id, &local, uri.as_deref(), NameOf::Element);
        if let Some(element) = self.doc.element_mut(id) {
            element.name = name;
        }
        if let Some(text) = text {
            check_text(text)?;
            self.doc.set_text(id, Some(text));
        }
        Ok(id)
    }

    fn children(&mut self, given: &[Value], input: Input) -> Result<Vec<Id>, String> {
        let one = |value: &Value| match input {
            Input::Xml => self.child_of_xml(&value.to_text()),
            Input::Yaml => self.child_of_yaml(value, 0),
        };
        given.iter().map(one).collect()
    }

    fn child_of_xml(&mut self, text: &str) -> Result<Id, String> {
        let read = parse::parse(text.as_bytes(), Cdata::Keep)
            .map_err(|what| format!("Error while parsing child element: {what}"))?;
        let root = read.root_element().ok_or("Error while parsing child element: Document is empty")?;
        let id = self.doc.add(read.kind(root).clone());
        let mut waiting: Vec<(Id, Id)> = read.children(root).iter().rev().map(|child| (id, *child)).collect();
        while let Some((parent, child)) = waiting.pop() {
            let copy = self.doc.add(read.kind(child).clone());
            self.doc.append_read(parent, copy);
            waiting.extend(read.children(child).iter().rev().map(|below| (copy, *below)));
        }
        Ok(id)
    }

    fn child_of_yaml(&mut self, value: &Value, depth: usize) -> Result<Id, String> {
        if depth > 100 {
            return Err("children lie too deep within one another".into());
        }
        let map = match value {
            Value::Map(map) => map,
            Value::Str(_) | Value::Secret(_) => return self.element(&value.to_text(), None),
            other => {
                return Err(format!(
                    "Invalid child type: {}. Children must be either strings or hashes.",
                    other.type_name()
                ));
            }
        };
        let mut entries = map.iter();
        let (Some((key, value)), None) = (entries.next(), entries.next()) else {
            return Err("Can only create children from hashes with one key".into());
        };
        let name = key.json_name();
        match value {
            Value::Map(parts) => self.child_with_parts(&name, parts, depth),
            value => {
                let text = text_of(&name, value)?;
                self.element(&name, text.as_deref())
            }
        }
    }

    fn child_with_parts(&mut self, name: &str, parts: &Map, depth: usize) -> Result<Id, String> {
        let id = self.element(name, None)?;
        for (key, value) in parts {
            let key = key.json_name();
            if !matches!(&*key, "_" | "+value") {
                let text = text_of(&key, value)?
                    .ok_or_else(|| format!("the attribute {key} of {name} has no value"))?;
                self.set_attribute(id, &key, &text)?;
            }
        }
        match parts.get("_") {
            None | Some(Value::Null) => {}
            Some(Value::List(children)) => {
                for child in children.iter() {
                    let child = self.child_of_yaml(child, depth + 1)?;
                    self.doc.append(id, child);
                }
            }
            Some(other) => {
                return Err(format!("Invalid children type: {}, must be list.", other.type_name()));
            }
        }
        if let Some(text) = parts.get("+value").map(|value| text_of("+value", value)).transpose()?.flatten() {
            self.doc.set_text(id, Some(&text));
        }
        Ok(id)
    }
}

/// Returns a text as it is to stand in a document; nothing for null.
fn text_of(name: &str, value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Str(_) | Value::Secret(_) => {
            let text = value.to_text();
            check_text(&text)?;
            Ok(Some(text))
        }
        other => Err(format!("{name} is no string but {}: quote it", other.type_name())),
    }
}

fn check_text(text: &str) -> Result<(), String> {
    if text.chars().all(is_xml_char) {
        return Ok(());
    }
    Err("All strings must be XML compatible: Unicode or ASCII, no NULL bytes or control characters".into())
}

/// What the last step of an expression asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Element(String, Option<String>),
    /// An element with things that are to be true of it.
    With(String, Vec<String>),
    Attribute(String, Option<String>),
    Text(String),
}

/// Returns what stands before the last step of an expression, and what the step asks for.
fn split_last(expression: &str) -> Option<(String, Target)> {
    const NAME: &str = r"[a-zA-Z-][a-zA-Z0-9_\-.]*(?::[a-zA-Z-][a-zA-Z0-9_\-.]*)?";
    const TEXT: &str = r#"(?:'(?<single>.*)'|"(?<double>.*)")"#;
    static STEPS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        let patterns = [
            format!("^(?<inner>.*)/(?<element>{NAME})$"),
            format!(r"^(?<inner>.*)/(?<element>{NAME})/text\(\)={TEXT}$"),
            format!("^(?<inner>.*)/@(?<attribute>{NAME})$"),
            format!("^(?<inner>.*)/@(?<attribute>{NAME})={TEXT}$"),
            format!(r"^(?<inner>.*)/(?<with>{NAME})\[(?<parts>.*)\]$"),
            format!(r"^(?<inner>.*)/text\(\)={TEXT}$"),
        ];
        patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
    });
    let expression = expression.trim();
    let found = STEPS.iter().find_map(|step| step.captures(expression).ok().flatten())?;
    let get = |name: &str| found.name(name).map(|part| part.as_str().to_string());
    let text = get("single").or_else(|| get("double"));
    let target = match (get("element"), get("attribute"), get("with")) {
        (Some(element), ..) => Target::Element(element, text.filter(|text| !text.is_empty())),
        (_, Some(attribute), _) => Target::Attribute(attribute, text),
        (.., Some(element)) => {
            let parts = get("parts").unwrap_or_default();
            Target::With(element, parts.split(" and ").map(|part| part.trim().to_string()).collect())
        }
        _ => Target::Text(text.unwrap_or_default()),
    };
    Some((get("inner").unwrap_or_default(), target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_steps() {
        let check = |expression: &str, inner: &str, target: Target| {
            assert_eq!(split_last(expression), Some((inner.to_string(), target)), "{expression}");
        };
        let text = |text: &str| text.to_string();
        check("/a/b", "/a", Target::Element(text("b"), None));
        check("/a/x:b", "/a", Target::Element(text("x:b"), None));
        check("/a/b/text()='c'", "/a", Target::Element(text("b"), Some(text("c"))));
        check("/a/@b", "/a", Target::Attribute(text("b"), None));
        check("/a/@b=\"c\"", "/a", Target::Attribute(text("b"), Some(text("c"))));
        check(
            "/a/b[@c='1' and text()='2']",
            "/a",
            Target::With(text("b"), vec![text("@c='1'"), text("text()='2'")]),
        );
        check("./text()='x'", ".", Target::Text(text("x")));
        assert_eq!(split_last("a[1]"), None);
    }
}
