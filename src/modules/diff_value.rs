//! Differences as `register` keeps them: in the form in which each of Ansible's modules returns its own.

use super::{Diff, DiffSide};
use crate::value::{Map, Value};

/// Whether the run shows differences (`--diff`, `diff: true`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Yes,
    No,
}

/// Returns the value of `diff` in the result of a module; nothing where it returns none.
pub fn registered(module: &str, diffs: &[Diff], result: &Map, shown: Shown) -> Option<Value> {
    match module {
        // These two tell their differences whether they are shown or not.
        "file" => Some(Value::map(of_file(diffs, result))),
        "lineinfile" | "blockinfile" => Some(of_edit(diffs, shown)),
        _ if shown == Shown::No => None,
        "copy" | "template" => Some(Value::list(diffs.iter().map(whole).collect())),
        _ => match diffs {
            [] => None,
            [one] => Some(whole(one)),
            many => Some(Value::list(many.iter().map(whole).collect())),
        },
    }
}

/// The path stands on both sides, with what differs.
fn of_file(diffs: &[Diff], result: &Map) -> Map {
    let path = result.get("path").or(result.get("dest")).cloned().unwrap_or_default();
    let side = |of: fn(&Diff) -> &DiffSide| {
        let mut map = Map::from_iter([("path", path.clone())]);
        for diff in diffs {
            if let DiffSide::Attributes(more) = of(diff) {
                map.extend(more.clone());
            }
        }
        map
    };
    Map::from_iter([("before", side(|diff| &diff.before)), ("after", side(|diff| &diff.after))])
}

/// The content, told only where it is shown, and the attributes.
fn of_edit(diffs: &[Diff], shown: Shown) -> Value {
    let is_content = |diff: &&Diff| !matches!(diff.after, DiffSide::Attributes(_));
    let content = match (diffs.iter().find(is_content), shown) {
        (Some(diff), Shown::Yes) => whole(diff),
        _ => Value::map(Map::from_iter([("before", ""), ("after", "")])),
    };
    let attributes =
        diffs.iter().find(|diff| !is_content(diff)).map_or_else(|| Value::map(Map::new()), whole);
    Value::list(vec![content, attributes])
}

fn whole(diff: &Diff) -> Value {
    let side = |side: &DiffSide| match side {
        DiffSide::Text(text) => Value::str(text.as_str()),
        DiffSide::Attributes(map) => Value::map(map.clone()),
        DiffSide::Binary { .. } | DiffSide::Absent => Value::str(""),
    };
    let mut map = Map::from_iter([("before", side(&diff.before)), ("after", side(&diff.after))]);
    for (key, header) in [("before_header", &diff.before_header), ("after_header", &diff.after_header)] {
        if !header.is_empty() {
            map.insert(key, header.as_str());
        }
    }
    Value::map(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(module: &str, diffs: &[Diff], shown: Shown, expect: Option<&str>) {
        let result = Map::from_iter([("path", "/f")]);
        let value = registered(module, diffs, &result, shown);
        assert_eq!(value.map(|v| v.repr()).as_deref(), expect, "{module}");
    }

    #[test]
    fn every_module_has_its_form() {
        let attributes = |mode: &str| DiffSide::Attributes(Map::from_iter([("mode", mode)]));
        let modes = Diff {
            before_header: String::new(),
            after_header: String::new(),
            before: attributes("0600"),
            after: attributes("0644"),
        };
        let text = Diff {
            before_header: "/f".into(),
            after_header: "/f".into(),
            before: DiffSide::Absent,
            after: DiffSide::Text("x\n".into()),
        };
        check("file", &[], Shown::No, Some("{'before': {'path': '/f'}, 'after': {'path': '/f'}}"));
        check(
            "file",
            &[modes],
            Shown::No,
            Some("{'before': {'path': '/f', 'mode': '0600'}, 'after': {'path': '/f', 'mode': '0644'}}"),
        );
        check(
            "lineinfile",
            std::slice::from_ref(&text),
            Shown::No,
            Some("[{'before': '', 'after': ''}, {}]"),
        );
        let shown = "{'before': '', 'after': 'x\\n', 'before_header': '/f', 'after_header': '/f'}";
        check("lineinfile", std::slice::from_ref(&text), Shown::Yes, Some(&format!("[{shown}, {{}}]")));
        check("copy", std::slice::from_ref(&text), Shown::Yes, Some(&format!("[{shown}]")));
        check("copy", std::slice::from_ref(&text), Shown::No, None);
        check("assemble", std::slice::from_ref(&text), Shown::Yes, Some(shown));
        check("hostname", &[text], Shown::Yes, Some(shown));
    }
}
