//! `xml`: elements, attributes and texts of an XML file or text.
//!
//! `tree` is a document, `parse` and `print` go from and to text, `xpath` reads expressions and `eval` evaluates them,
//! `edit` changes documents. Everything happens on this side: a target shows its file and takes the new one.

mod edit;
mod eval;
mod parse;
mod print;
mod tree;
mod xpath;

use super::write;
use super::{ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen};
use crate::transport::Output;
use crate::value::{Map, Value};

use edit::{Input, Where, Work};
use eval::{Found, Place};
use parse::Cdata;
use print::Layout;
use tree::{Doc, Id, Kind, ROOT};

const ACTIONS: [&str; 6] = ["add_children", "content", "count", "print_match", "set_children", "value"];

static SPEC: ModuleSpec = ModuleSpec {
    name: "xml",
    namespaces: &["community.general"],
    about: "Reads and changes parts of an XML file.",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The file, which must be there.").aliases(&["dest", "file"]),
        ArgSpec::new("xmlstring", ArgKind::Str, "A text in place of the file."),
        ArgSpec::new("xpath", ArgKind::Str, "What is meant, as an XPath 1.0 expression.")
            .checked(check_expression),
        ArgSpec::new("namespaces", ArgKind::Dict, "The prefixes that the expression uses, with their URIs.")
            .default("{}"),
        ArgSpec::new("state", ArgKind::Str, "Whether it is to be there.")
            .default("present")
            .choices(&["absent", "present"])
            .aliases(&["ensure"]),
        ArgSpec::new("value", ArgKind::Raw, "The text of an element or attribute."),
        ArgSpec::new("attribute", ArgKind::Raw, "The attribute that gets the value."),
        ArgSpec::new("add_children", ArgKind::List, "Elements to add to what is meant."),
        ArgSpec::new("set_children", ArgKind::List, "All elements that are to be in what is meant."),
        ArgSpec::new("count", ArgKind::Bool, "Tell how many there are.").default("no"),
        ArgSpec::new("print_match", ArgKind::Bool, "Tell the paths of what is meant.").default("no"),
        ArgSpec::new("pretty_print", ArgKind::Bool, "Write each element on a line of its own.").default("no"),
        ArgSpec::new("content", ArgKind::Str, "What to tell of the elements.")
            .choices(&["attribute", "text"]),
        ArgSpec::new("input_type", ArgKind::Str, "How children are given.")
            .default("yaml")
            .choices(&["xml", "yaml"]),
        ArgSpec::new("backup", ArgKind::Bool, "Keep the old file under another name.").default("no"),
        ArgSpec::new("strip_cdata_tags", ArgKind::Bool, "Write CDATA sections as texts.").default("no"),
        ArgSpec::new("insertbefore", ArgKind::Bool, "Children go before the first that is meant.")
            .default("no"),
        ArgSpec::new("insertafter", ArgKind::Bool, "Children go behind the last that is meant.")
            .default("no"),
    ],
    rules: &[
        Rule::Exclusive(&ACTIONS),
        Rule::Exclusive(&["path", "xmlstring"]),
        Rule::Exclusive(&["insertbefore", "insertafter"]),
        Rule::OneOf(&["path", "xmlstring"]),
        Rule::If { arg: "count", value: "True", needs: &["xpath"] },
        Rule::If { arg: "print_match", value: "True", needs: &["xpath"] },
        Rule::If { arg: "insertbefore", value: "True", needs: &["xpath"] },
        Rule::If { arg: "insertafter", value: "True", needs: &["xpath"] },
    ],
    returns: &[
        ("actions", "expression, namespaces and state of the task"),
        ("backup_file", "the name of the backup"),
        ("count", "how many there are"),
        ("matches", "what was found"),
        ("msg", "what was found, in words"),
        ("xmlstring", "the new text"),
    ],
    own_check: Some(check),
    ..ModuleSpec::BASE
};

pub struct Xml;

/// Refuses arguments without others that they need.
fn check(given: &Map) -> Result<(), Failure> {
    let there = |name: &str| given.get(name).is_some_and(|value| !matches!(value, Value::Null | Value::Omit));
    for (arg, needs) in [
        ("add_children", "xpath"),
        ("attribute", "value"),
        ("content", "xpath"),
        ("set_children", "xpath"),
        ("value", "xpath"),
    ] {
        if there(arg) && !there(needs) {
            return Err(Failure::new(format!("missing parameter(s) required by '{arg}': {needs}")));
        }
    }
    Ok(())
}

fn check_expression(text: &str) -> Result<(), String> {
    xpath::parse(text).map_err(|what| format!("Syntax error in xpath expression: {text} ({what})"))?;
    Ok(())
}

impl Module for Xml {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        if call.args.has("path") { super::edit::probe(call, "path").map(Some) } else { Ok(None) }
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let layout = if args.flag("pretty_print") { Layout::Pretty } else { Layout::AsIs };
        if let Some(text) = args.str("xmlstring") {
            let done = work(args, text.as_bytes(), "xml_string")?;
            let mut result = done.result;
            result.insert("xmlstring", print::file(&done.after, layout));
            let changed = done.changed || done.only_layout;
            return Ok(if changed {
                Prediction::change(result, Vec::new())
            } else {
                Prediction::same(result)
            });
        }
        let found = super::edit::found(call, seen, "path")?;
        let Some(before) = found.content.clone() else {
            return Err(Failure::new(format!("The target XML source '{}' does not exist.", found.shown)));
        };
        let done = work(args, &before, &found.shown)?;
        let text = print::file(&done.after, layout);
        let changed = if done.only_layout { text.as_bytes() != before } else { done.changed };
        if done.reads {
            return Ok(Prediction::read(done.result));
        }
        if !changed {
            return Ok(Prediction::same(done.result));
        }
        let mut prediction = found.replace(call, text.into_bytes(), done.result)?;
        // The name of what was changed is no part of the result there.
        if prediction.result.get("msg").is_some_and(|msg| msg.to_text().is_empty()) {
            prediction.result.remove("msg");
        }
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup_file", false)
    }
}

/// What became of a document.
struct Done {
    after: Doc,
    result: Map,
    /// Whether anything but white space between elements differs.
    changed: bool,
    /// Nothing but the layout was asked for.
    only_layout: bool,
    /// Something was only looked up.
    reads: bool,
}

fn work(args: &Args, content: &[u8], shown: &str) -> Result<Done, Failure> {
    let cdata = if args.flag("strip_cdata_tags") { Cdata::Strip } else { Cdata::Keep };
    let mut doc = parse::parse(content, cdata)
        .map_err(|what| Failure::new(format!("Error while parsing document: {shown} ({what})")))?;
    if args.flag("pretty_print") {
        doc.drop_blanks();
    }
    let before = doc.clone();
    let given = args.get("namespaces").and_then(Value::as_map);
    let namespaces: Vec<(String, String)> = given
        .map(|map| map.iter().map(|(prefix, uri)| (prefix.json_name().to_string(), uri.to_text())).collect())
        .unwrap_or_default();
    let mut work = Work { doc, namespaces };
    let mut result = Map::new();
    let done = |work: Work, mut result: Map, reads: bool| -> Result<Done, Failure> {
        let actions = Map::from_iter([
            ("xpath", args.get("xpath").cloned().unwrap_or(Value::Null)),
            ("namespaces", args.get("namespaces").cloned().unwrap_or_else(|| Value::map(Map::new()))),
            ("state", args.get("state").cloned().unwrap_or(Value::Null)),
        ]);
        result.insert("actions", actions);
        let changed = !reads && comparable(&before) != comparable(&work.doc);
        Ok(Done { after: work.doc, result, changed, only_layout: false, reads })
    };
    let xpath = args.str("xpath");
    let Some(xpath) = xpath else {
        if args.flag("pretty_print") {
            return Ok(Done { after: work.doc, result, changed: false, only_layout: true, reads: false });
        }
        return Err(Failure::new("Don't know what to do"));
    };
    if args.flag("print_match") {
        let paths = matched(&work, xpath)?;
        let listed: Vec<String> = paths.iter().map(|path| format!("\"{path}\"")).collect();
        result.insert("matches", Vec::<Value>::new());
        result.insert("msg", format!("selector '{xpath}' match: [{}]", listed.join(", ")));
        return done(work, result, true);
    }
    if args.flag("count") {
        let hits = match work.select(&format!("count(/{xpath})")).map_err(|what| evaluation(xpath, &what))? {
            Found::Number(number) => number as i64,
            _ => 0,
        };
        result.insert("count", hits);
        result.insert("msg", format!("found {hits} nodes"));
        return done(work, result, true);
    }
    if let Some(content) = args.str("content") {
        let elements = told(&work, xpath, content)?;
        result.insert("count", elements.len());
        result.insert("msg", elements.len());
        result.insert("matches", elements);
        return done(work, result, true);
    }
    if args.str("state") == Some("absent") {
        work.delete(xpath)
            .map_err(|what| Failure::new(format!("Couldn't delete xpath target: {xpath} ({what})")))?;
        return done(work, result, false);
    }
    let input = if args.str("input_type") == Some("xml") { Input::Xml } else { Input::Yaml };
    if let Some(children) = args.list("set_children") {
        work.set_children(xpath, children, input).map_err(Failure::new)?;
        return done(work, result, false);
    }
    if let Some(children) = args.list("add_children").filter(|children| !children.is_empty()) {
        let place = match (args.flag("insertbefore"), args.flag("insertafter")) {
            (true, _) => Where::Before,
            (_, true) => Where::After,
            _ => Where::Inside,
        };
        work.add_children(xpath, children, input, place).map_err(Failure::new)?;
        return done(work, result, false);
    }
    match args.get("value") {
        Some(value) => set(&mut work, xpath, args.str("attribute"), value)?,
        None => {
            if !work.is_node(ROOT, xpath).map_err(|what| evaluation(xpath, &what))? {
                work.make(ROOT, xpath, 0).map_err(|what| evaluation(xpath, &what))?;
            }
        }
    }
    done(work, result, false)
}

/// Sets a value, and makes what gets it where it is not there.
fn set(work: &mut Work, xpath: &str, attribute: Option<&str>, value: &Value) -> Result<(), Failure> {
    let tree = |work: &Work| format!("tree is {}", print::file(&work.doc, Layout::AsIs));
    let there = work.is_node(ROOT, xpath);
    let made = match there {
        Ok(true) => Ok(()),
        Ok(false) => work.make(ROOT, xpath, 0),
        Err(what) => Err(what),
    };
    if let Err(what) = made {
        let root = work.doc.root_element().and_then(|root| work.doc.element(root));
        let hint = if root.is_some_and(|root| !root.declared.is_empty()) && !xpath.contains(':') {
            "XML document has namespace(s) defined, but no namespace prefix(es) used in xpath!\n"
        } else {
            ""
        };
        return Err(Failure::new(format!(
            "{hint}Xpath {xpath} causes a failure: {what}\n  -- {}",
            tree(work)
        )));
    }
    if !work.is_node(ROOT, xpath).map_err(|what| evaluation(xpath, &what))? {
        return Err(Failure::new(format!("Xpath {xpath} does not reference a node! {}", tree(work))));
    }
    if !matches!(value, Value::Str(_) | Value::Secret(_)) {
        let target = match attribute {
            Some(attribute) => format!("attribute '{attribute}' at xpath '{xpath}'"),
            None => format!("element text at xpath '{xpath}'"),
        };
        return Err(Failure::new(format!(
            "A non-string value {} was parsed for {target}. YAML values for booleans, octals, floats may not yield the \
             string you intended. Quote the value to be explicit, like `value: \"yes\"`.",
            value.repr()
        )));
    }
    work.set(xpath, attribute, &value.to_text()).map_err(Failure::new)
}

fn evaluation(xpath: &str, what: &str) -> Failure {
    Failure::new(format!("Evaluation error in xpath expression: {xpath} ({what})"))
}

/// Returns the root element without the white space between elements.
fn comparable(doc: &Doc) -> String {
    let mut doc = doc.clone();
    doc.drop_blanks();
    doc.root_element().map(|root| print::one(&doc, root)).unwrap_or_default()
}

/// Returns the paths of all that an expression selects.
fn matched(work: &Work, xpath: &str) -> Result<Vec<String>, Failure> {
    match work.select(xpath).map_err(|what| evaluation(xpath, &what))? {
        Found::Places(places) => {
            let path = |place: &Place| match place {
                Place::Node(id) if !work.doc.is_text(*id) => Ok(path_of(&work.doc, *id)),
                _ => Err(Failure::new(format!("{xpath} selects texts or attributes, which have no path"))),
            };
            places.iter().map(path).collect()
        }
        _ => Err(Failure::new(format!("{xpath} selects no nodes"))),
    }
}

/// Returns the path that selects one node, as libxml2 makes it.
fn path_of(doc: &Doc, id: Id) -> String {
    let Some(parent) = doc.parent(id) else { return "/".to_string() };
    let own = match doc.kind(id) {
        Kind::Element(element) if element.name.prefix.is_none() && element.name.uri.is_some() => {
            "*".to_string()
        }
        Kind::Element(element) => element.name.written(),
        Kind::Comment(_) => "comment()".to_string(),
        Kind::Instruction { target, .. } => format!("processing-instruction('{target}')"),
        _ => "text()".to_string(),
    };
    let alike = |other: &Id| match (doc.kind(*other), doc.kind(id)) {
        (Kind::Element(_), Kind::Element(_)) if own == "*" => true,
        (Kind::Element(other), Kind::Element(element)) => other.name.written() == element.name.written(),
        (Kind::Comment(_), Kind::Comment(_)) => true,
        (Kind::Instruction { target: other, .. }, Kind::Instruction { target, .. }) => other == target,
        _ => false,
    };
    let alike: Vec<Id> = doc.children(parent).iter().copied().filter(alike).collect();
    let number = alike.iter().position(|other| *other == id).unwrap_or(0) + 1;
    let number = if alike.len() > 1 { format!("[{number}]") } else { String::new() };
    let above = if parent == ROOT { String::new() } else { path_of(doc, parent) };
    format!("{above}/{own}{number}")
}

/// Returns the texts or attributes of all elements that an expression selects.
fn told(work: &Work, xpath: &str, content: &str) -> Result<Vec<Value>, Failure> {
    let missing = || Failure::new(format!("Xpath {xpath} does not reference a node!"));
    if !work.is_node(ROOT, xpath).map_err(|what| evaluation(xpath, &what))? {
        return Err(missing());
    }
    let Found::Places(places) = work.select(xpath).map_err(|what| evaluation(xpath, &what))? else {
        return Err(missing());
    };
    let mut out = Vec::new();
    for place in places {
        let Place::Node(id) = place else { continue };
        let Some(element) = work.doc.element(id) else { continue };
        let value = if content == "text" {
            Value::from(work.doc.text(id))
        } else {
            let attributes = element.attributes.iter().map(|(name, value)| (name.clark(), value.as_str()));
            Value::map(attributes.collect())
        };
        out.push(Value::map(Map::from_iter([(element.name.clark(), value)])));
    }
    Ok(out)
}

/// Reads a document as a target may hold it and evaluates an expression over it, for tests of what any bytes do.
pub fn try_any(document: &[u8], expression: &str) {
    let Ok(mut doc) = parse::parse(document, Cdata::Keep) else { return };
    let written = print::file(&doc, Layout::AsIs);
    let again = parse::parse(written.as_bytes(), Cdata::Keep).map(|doc| print::file(&doc, Layout::AsIs));
    assert_eq!(again.as_ref(), Ok(&written), "a document is not read as it was written");
    doc.drop_blanks();
    if let Ok(expression) = xpath::parse(expression) {
        let _ = eval::evaluate(&doc, ROOT, &expression, &[]);
    }
}

#[cfg(test)]
mod tests;
