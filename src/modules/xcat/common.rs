//! What the xCAT modules share: definitions, differences, lists of names, and words for people.

use std::collections::BTreeMap;

use super::parse::{self, Attrs};
use super::relations;
use super::sh::{Section, Sections, quote};
use crate::modules::sh::Stat;
use crate::modules::{Call, Diff, DiffSide, Failure, FileAfter, Known, Thing, Touch};
use crate::value::{Map, Value};

/// Where the modules are found besides their short names.
pub const NAMESPACES: &[&str] = &["xplay.xcat"];

/// Returns the texts of a list argument, or the words of a text, as a node range.
pub fn noderange(call: &Call, arg: &str) -> Result<String, Failure> {
    let range = call.args.texts(arg).into_iter().map(|t| t.trim().to_string()).filter(|t| !t.is_empty());
    let range = range.collect::<Vec<_>>().join(",");
    if range.is_empty() {
        return Err(Failure::new(format!("{arg} is empty: which nodes?")));
    }
    if range.starts_with('-') {
        return Err(Failure::new(format!("{arg} must not begin with a dash: {range}")));
    }
    Ok(range)
}

/// Returns the texts of a list argument as shell words.
pub fn words<S: AsRef<str>>(texts: &[S]) -> String {
    texts.iter().map(|t| quote(t.as_ref())).collect::<Vec<_>>().join(" ")
}

/// Returns the value of an attribute argument: lists are comma separated in xCAT, nothing clears.
pub fn attr_text(value: &Value) -> String {
    match value {
        Value::Null | Value::Omit => String::new(),
        Value::Bool(on) => if *on { "1" } else { "0" }.into(),
        Value::List(items) => items.iter().map(attr_text).collect::<Vec<_>>().join(","),
        Value::Secret(s) => s.expose().to_string(),
        other => other.to_text(),
    }
}

/// Returns a dictionary argument as attributes; names and values must fit into a stanza.
pub fn attrs_arg(call: &Call, arg: &str) -> Result<Attrs, Failure> {
    let Some(Value::Map(map)) = call.args.get(arg) else { return Ok(Attrs::new()) };
    let mut attrs = Attrs::new();
    for (key, value) in map.iter() {
        let key = key.json_name().to_string();
        let text = attr_text(value);
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')) {
            return Err(Failure::new(format!("{arg}: {key:?} cannot be the name of an xCAT attribute")));
        }
        if text.contains(['\n', '\0']) {
            return Err(Failure::new(format!("{arg}: the value of {key} has more than one line")));
        }
        attrs.insert(key, text);
    }
    Ok(attrs)
}

/// Returns attributes as a value; passwords are left out.
pub fn attrs_value(attrs: &Attrs) -> Value {
    Value::map(
        attrs.iter().filter(|(k, _)| !is_secret(k)).map(|(k, v)| (k.as_str(), v.as_str())).collect::<Map>(),
    )
}

/// Whether an attribute's value must not be shown.
pub fn is_secret(attribute: &str) -> bool {
    attribute.to_lowercase().contains("passw") || attribute == "bmcpasswd"
}

/// Returns the definition of an osimage as earlier steps of a plan leave it, else out of a `definition` section; nothing
/// when there is none.
pub fn definition(call: &Call, sections: &Sections, image: &str) -> Result<Option<Attrs>, Failure> {
    let thing = Thing { kind: relations::OSIMAGE, name: image.to_string() };
    if let Known::Known(row) = call.world.row(&thing) {
        return Ok(row);
    }
    let Some(section) = sections.get("definition") else { return Ok(None) };
    object(section, image, "osimage")
}

/// Returns one object of an `lsdef` section. An error other than "not there" is a failure.
pub fn object(section: &Section, name: &str, kind: &str) -> Result<Option<Attrs>, Failure> {
    if let Some(attrs) = parse::objects(&section.out).remove(name) {
        return Ok(Some(attrs).map(|mut a| {
            a.remove("objtype");
            a
        }));
    }
    let all = format!("{}\n{}", section.out, section.err);
    let absent = section.rc == 0
        || all.contains("Could not find an object named")
        || all.contains("No object definitions have been found")
        || all.contains("Could not find any object definitions");
    if absent {
        return Ok(None);
    }
    Err(Failure::new(format!(
        "cannot read the {kind} {name}: {}",
        parse::error_text(&section.out, &section.err)
    ))
    .with("rc", section.rc))
}

/// Returns the failure of a command that a script ran.
pub fn command_failed(what: &str, section: &Section) -> Failure {
    Failure::new(format!("{what}: {}", parse::error_text(&section.out, &section.err)))
        .with("rc", section.rc)
        .with("stdout", section.out.clone())
        .with("stderr", section.err.clone())
}

/// Returns a whole-file difference.
pub fn text_diff(path: &str, before: Option<&str>, after: &str) -> Diff {
    Diff {
        before_header: path.to_string(),
        after_header: path.to_string(),
        before: before.map_or(DiffSide::Absent, |t| DiffSide::Text(t.to_string())),
        after: DiffSide::Text(after.to_string()),
    }
}

/// Returns a difference of attributes that holds only those that differ.
pub fn attrs_diff(header: &str, before: &Attrs, after: &Attrs) -> Diff {
    let mut old = Map::new();
    let mut new = Map::new();
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let (b, a) = (before.get(key), after.get(key));
        if b == a {
            continue;
        }
        let shown = |v: &String| if is_secret(key) { "********".to_string() } else { v.clone() };
        old.extend(b.map(|v| (key.as_str().into(), shown(v).into())));
        new.extend(a.map(|v| (key.as_str().into(), shown(v).into())));
    }
    Diff {
        before_header: header.to_string(),
        after_header: header.to_string(),
        before: if before.is_empty() { DiffSide::Absent } else { DiffSide::Attributes(old) },
        after: if after.is_empty() { DiffSide::Absent } else { DiffSide::Attributes(new) },
    }
}

/// Returns a difference made of lines for people: reasons, states of nodes.
pub fn state_diff<'a>(header: &str, rows: impl IntoIterator<Item = (&'a str, String, String)>) -> Diff {
    let mut before = Map::new();
    let mut after = Map::new();
    for (key, b, a) in rows {
        before.insert(key, b);
        after.insert(key, a);
    }
    Diff {
        before_header: header.to_string(),
        after_header: header.to_string(),
        before: DiffSide::Attributes(before),
        after: DiffSide::Attributes(after),
    }
}

/// Returns `a, b and c`.
pub fn listed<S: AsRef<str>>(items: &[S]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_string(),
        [head @ .., last] => {
            let head: Vec<&str> = head.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", head.join(", "), last.as_ref())
        }
    }
}

/// Returns the last lines of an output that hold something, at most `count`.
pub fn tail(text: &str, count: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|l| !l.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|l| l.to_string()).collect()
}

/// Returns the names of packed images in the order in which nodeset prefers them.
pub const ARCHIVES: &[&str] =
    &["rootimg.cpio.gz", "rootimg.cpio.xz", "rootimg.tar.gz", "rootimg.tar.xz", "rootimg.sfs", "rootimg.gz"];

/// Returns nodes with their attributes from an `lsdef -c -i` section, and fails for names that are not defined.
pub fn nodes(section: &Section) -> Result<BTreeMap<String, Attrs>, Failure> {
    let found = parse::objects(&section.out);
    if section.rc != 0 || found.is_empty() {
        return Err(command_failed("cannot read the nodes", section));
    }
    Ok(found)
}

/// Says what a new text leaves at a path.
pub fn text_touch(path: &str, text: &str, mode: &str) -> Touch {
    let mode = u32::from_str_radix(mode, 8).unwrap_or(0o644);
    let root = Some("root".to_string());
    let stat = Stat { mode, owner: root.clone(), group: root, ..Stat::default() };
    let after = FileAfter::file(stat, text.as_bytes());
    Touch::File { path: path.to_string(), after }
}

/// Whether a call is only to predict, so that what earlier steps will make need not be there.
pub fn predicting(call: &Call) -> bool {
    call.check
}

/// Returns `Ok` in a prediction and the failure in a real run: for things that an earlier step makes.
pub fn unless_predicting(call: &Call, failure: impl FnOnce() -> Failure) -> Result<(), Failure> {
    if predicting(call) { Ok(()) } else { Err(failure()) }
}

/// Returns the directory of an image's files from its definition or the argument `rootimgdir`.
pub fn rootimgdir(call: &Call, definition: Option<&Attrs>) -> Option<String> {
    definition
        .and_then(|d| d.get("rootimgdir"))
        .filter(|d| !d.is_empty())
        .cloned()
        .or_else(|| call.args.str("rootimgdir").map(str::to_string))
        .map(|d| d.trim_end_matches('/').to_string())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::modules::{Args, Certainty, LocalFiles, Module, Target, World};
    use std::path::{Path, PathBuf};

    /// A controller without files.
    pub struct NoFiles;

    impl LocalFiles for NoFiles {
        fn find(&self, _: &str, name: &str) -> Result<PathBuf, String> {
            Err(format!("no {name}"))
        }
        fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
            Err(format!("no {}", path.display()))
        }
        fn render(&self, path: &Path, _: &Value) -> Result<String, String> {
            Err(format!("no {}", path.display()))
        }
    }

    /// Returns arguments from JSON, checked as the engine does.
    pub fn args(module: &dyn Module, json: serde_json::Value) -> Args {
        let given = crate::value::from_json(&json);
        let given = given.as_map().expect("an object").clone();
        module.spec().check(&given).unwrap_or_else(|f| panic!("{}", f.msg))
    }

    /// Calls a closure with a call for the module.
    pub fn with_call<R>(
        module: &dyn Module,
        json: serde_json::Value,
        check: bool,
        work: impl FnOnce(&Call) -> R,
    ) -> R {
        with_world(module, json, check, World::none(), work)
    }

    /// The same for a step of a plan, after steps that leave this world.
    pub fn with_world<R>(
        module: &dyn Module,
        json: serde_json::Value,
        check: bool,
        world: &World,
        work: impl FnOnce(&Call) -> R,
    ) -> R {
        let target = Target {
            host: "mn1".into(),
            user: "root".into(),
            uid: 0,
            home: "/root".into(),
            ..Target::default()
        };
        work(&Call {
            args: args(module, json),
            target: &target,
            local: &NoFiles,
            check,
            diff: true,
            environment: &[],
            world,
        })
    }

    /// Returns the world after a step that surely changes these.
    pub fn after(touches: Vec<Touch>) -> World {
        let mut world = World::default();
        world.add(&"step".into(), touches, Certainty::Certain);
        world
    }

    #[test]
    fn lists_for_people() {
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
    }
}
