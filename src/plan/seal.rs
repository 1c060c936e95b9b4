//! Values on their way into a plan and back: without secrets, and without this machine's paths.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::value::{Key, Map, Value, from_json, to_json};

/// Stands for a value that was not known when the plan was made; holds the cause.
const UNKNOWN: &str = "__unknown__";
/// Stands for a secret; holds its keyed digest.
const SECRET: &str = "__secret__";
/// Stands for a path of the project on this side; holds the path in the plan's bundle.
const PROJECT: &str = "__project__";
/// Stands for a map whose keys are not all texts; holds pairs.
const PAIRS: &str = "__pairs__";

/// Hides and marks secrets.
pub trait Sealer: Send + Sync {
    /// Returns the text without any secret that is known.
    fn mask(&self, text: &str) -> String;
    /// Returns a digest of a secret that says nothing without the key.
    fn keyed(&self, bytes: &[u8]) -> String;
}

/// Seals values for a plan and opens them again. Clones share everything.
#[derive(Clone)]
pub struct Seal {
    sealer: Arc<dyn Sealer>,
    /// Where the project's files lie on this machine, and what the plan calls that place; the project itself has no name.
    /// A copy comes before the place that it is a copy of.
    roots: Arc<Vec<(PathBuf, String)>>,
}

/// A value as it comes back from a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum Opened {
    /// As it was resolved.
    Whole(Value),
    /// It holds secrets: it must be resolved again, and seal to the same.
    Secret,
    /// It was not known in full.
    Unknown,
}

impl Seal {
    pub fn new(sealer: Arc<dyn Sealer>, roots: Vec<(PathBuf, String)>) -> Self {
        Seal { sealer, roots: Arc::new(roots) }
    }

    pub fn mask(&self, text: &str) -> String {
        self.sealer.mask(text)
    }

    pub fn keyed(&self, bytes: &[u8]) -> String {
        self.sealer.keyed(bytes)
    }

    /// Returns a text for people: masked, paths of the project as the plan calls them.
    pub fn text(&self, text: &str) -> String {
        let mut text = self.sealer.mask(text);
        for (root, name) in self.roots.iter() {
            let root = root.display().to_string();
            if root.len() > 1 && text.contains(&root) {
                let named = if name.is_empty() { "." } else { name };
                text = text.replace(&format!("{root}/"), &prefix(name)).replace(&root, named);
            }
        }
        text
    }

    /// Returns a value as a plan keeps it; a hidden one as a keyed digest only.
    pub fn value(&self, value: &Value, hidden: bool) -> Json {
        let secret = |bytes: &[u8]| json!({ SECRET: self.sealer.keyed(bytes) });
        if hidden {
            return secret(to_json(value).to_string().as_bytes());
        }
        match value {
            Value::Secret(s) => secret(s.expose().as_bytes()),
            Value::Str(s) if self.sealer.mask(s) != **s => secret(s.as_bytes()),
            Value::Str(s) => match self.inside(s) {
                Some(inside) => json!({ PROJECT: inside }),
                None => to_json(value),
            },
            Value::Unknown(u) => json!({ UNKNOWN: self.text(&u.cause) }),
            Value::List(items) => items.iter().map(|v| self.value(v, false)).collect(),
            Value::Map(map) if map.keys().all(|k| matches!(k, Key::Str(_))) => Json::Object(
                map.iter().map(|(k, v)| (k.json_name().to_string(), self.value(v, false))).collect(),
            ),
            Value::Map(map) => {
                let pairs: Vec<Json> =
                    map.iter().map(|(k, v)| json!([to_json(&k.to_value()), self.value(v, false)])).collect();
                json!({ PAIRS: pairs })
            }
            other => to_json(other),
        }
    }

    /// Returns a value of a plan. Nothing in it is ever compiled: it is data.
    pub fn open(&self, json: &Json) -> Opened {
        match json {
            Json::Array(items) => self.open_all(items.iter(), Value::list),
            Json::Object(map) => match map.iter().next() {
                Some((key, _)) if map.len() == 1 && key == UNKNOWN => Opened::Unknown,
                Some((key, _)) if map.len() == 1 && key == SECRET => Opened::Secret,
                Some((key, Json::String(path))) if map.len() == 1 && key == PROJECT => {
                    Opened::Whole(Value::str(self.local(path).display().to_string()))
                }
                Some((key, Json::Array(pairs))) if map.len() == 1 && key == PAIRS => {
                    let keys: Vec<Key> =
                        pairs.iter().filter_map(|p| Key::from_value(&from_json(p.get(0)?))).collect();
                    let values = pairs.iter().filter_map(|p| p.get(1));
                    self.open_all(values, |values| Value::map(keys.into_iter().zip(values).collect()))
                }
                _ => {
                    let keys: Vec<Key> = map.keys().map(|k| Key::from(k.as_str())).collect();
                    self.open_all(map.values(), |values| Value::map(keys.into_iter().zip(values).collect()))
                }
            },
            other => Opened::Whole(from_json(other)),
        }
    }

    /// Returns a map of a plan, such as arguments.
    pub fn open_map(&self, json: &Json) -> Result<Map, Opened> {
        match self.open(json) {
            Opened::Whole(Value::Map(map)) => Ok(Map::clone(&map)),
            Opened::Whole(_) => Ok(Map::new()),
            other => Err(other),
        }
    }

    fn open_all<'a>(
        &self,
        all: impl Iterator<Item = &'a Json>,
        make: impl FnOnce(Vec<Value>) -> Value,
    ) -> Opened {
        let mut values = Vec::new();
        let mut secret = false;
        for json in all {
            match self.open(json) {
                Opened::Whole(value) => values.push(value),
                Opened::Secret => secret = true,
                Opened::Unknown => return Opened::Unknown,
            }
        }
        if secret { Opened::Secret } else { Opened::Whole(make(values)) }
    }

    /// Returns a value in which paths of the project are where they belong: in its copy what that has, else where it lies.
    pub fn placed(&self, value: &Value) -> Value {
        match value {
            Value::Str(s) => match self.inside(s) {
                Some(inside) => Value::str(self.local(&inside).display().to_string()),
                None => value.clone(),
            },
            Value::List(items) => Value::list(items.iter().map(|item| self.placed(item)).collect()),
            Value::Map(map) => Value::map(self.placed_map(map)),
            other => other.clone(),
        }
    }

    pub fn placed_map(&self, map: &Map) -> Map {
        map.iter().map(|(key, value)| (key.clone(), self.placed(value))).collect()
    }

    /// Returns what the plan calls a path in the project, with the slash at its end; nothing for other texts.
    fn inside(&self, text: &str) -> Option<String> {
        self.roots.iter().find_map(|(root, name)| {
            let rest = text.strip_prefix(root.to_str()?)?;
            let rest = if rest.is_empty() { rest } else { rest.strip_prefix('/')? };
            Some(format!("{}{}", prefix(name), rest.trim_start_matches('/')))
        })
    }

    /// Returns what the plan calls a file of this machine.
    pub fn path(&self, path: &Path) -> String {
        self.roots
            .iter()
            .find_map(|(root, name)| {
                Some(format!("{}{}", prefix(name), path.strip_prefix(root).ok()?.display()))
            })
            .unwrap_or_else(|| path.display().to_string())
    }

    /// Returns where a file lies that the plan names: at the first root that has it, else at the last.
    pub fn local(&self, path: &str) -> PathBuf {
        let at = |own: bool| {
            let roots = self.roots.iter().filter(move |(_, name)| name.is_empty() == own);
            roots.filter_map(move |(root, name)| {
                let rest = path.strip_prefix(&prefix(name))?;
                Some(if rest.is_empty() { root.clone() } else { root.join(rest) })
            })
        };
        let mut places: Vec<PathBuf> = at(false).collect();
        if places.is_empty() {
            places = at(true).collect();
        }
        let found = places.iter().find(|place| place.exists()).or(places.last());
        found.cloned().unwrap_or_else(|| PathBuf::from(path))
    }
}

/// The project itself has no name of its own: its paths stand as they are.
fn prefix(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("{name}/") }
}

/// For tests: knows one secret, `hunter2`.
#[cfg(test)]
pub mod testing {
    use super::Sealer;

    pub struct Stars;

    impl Sealer for Stars {
        fn mask(&self, text: &str) -> String {
            text.replace("hunter2", "********")
        }
        fn keyed(&self, bytes: &[u8]) -> String {
            format!("keyed-{}", bytes.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Stars;
    use super::*;
    use crate::value::Secret;

    fn seal(root: &str) -> Seal {
        Seal::new(
            Arc::new(Stars),
            vec![("/other/roles".into(), "other/1".into()), (root.into(), String::new())],
        )
    }

    #[test]
    fn what_is_known_comes_back() {
        let value = Value::map(Map::from_iter([
            ("n", Value::Int(3)),
            ("f", Value::Float(1.5)),
            ("none", Value::Null),
            ("l", Value::list(vec!["{{ x }}".into(), true.into()])),
            ("m", Value::map(Map::from_iter([(Key::Int(1), Value::str("one"))]))),
        ]));
        let here = seal("/home/me/site");
        assert_eq!(here.open(&here.value(&value, false)), Opened::Whole(value));
    }

    #[test]
    fn paths_follow_the_project() {
        let (here, there) = (seal("/home/me/site"), seal("/tmp/unpacked"));
        for (path, moved) in [
            ("/home/me/site/files/a", "/tmp/unpacked/files/a"),
            ("/other/roles/web/x", "/other/roles/web/x"),
            ("/home/me/site/out/", "/tmp/unpacked/out/"),
            ("/home/me/site", "/tmp/unpacked"),
            ("/home/me/sites", "/home/me/sites"),
            ("/etc/passwd", "/etc/passwd"),
        ] {
            assert_eq!(there.open(&here.value(&Value::str(path), false)), Opened::Whole(Value::str(moved)));
        }
        assert_eq!(here.text("in /home/me/site/site.yml:3 and /home/me/site"), "in site.yml:3 and .");
    }

    #[test]
    fn what_a_copy_lacks_is_where_the_project_lies() {
        let (copy, origin) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
        std::fs::write(copy.path().join("f"), "").expect("written");
        let roots = [&copy, &origin].map(|dir| (dir.path().to_path_buf(), String::new()));
        let seal = Seal::new(Arc::new(Stars), roots.to_vec());
        let placed = |name: &str| seal.placed(&Value::str(copy.path().join(name).display().to_string()));
        let at =
            |dir: &tempfile::TempDir, name: &str| Value::str(dir.path().join(name).display().to_string());
        assert_eq!((placed("f"), placed("new/")), (at(&copy, "f"), at(&origin, "new/")));
    }

    #[test]
    fn secrets_and_unknowns_do_not_come_back() {
        let s = seal("/p");
        let list = |v: Value| Value::list(vec![1.into(), v]);
        assert_eq!(s.open(&s.value(&list(Value::Secret(Secret::new("x"))), false)), Opened::Secret);
        assert_eq!(s.open(&s.value(&list("a hunter2 b".into()), false)), Opened::Secret);
        assert_eq!(s.open(&s.value(&list(Value::unknown("later")), false)), Opened::Unknown);
        assert_eq!(s.open(&s.value(&Value::Int(1), true)), Opened::Secret);
    }
}
