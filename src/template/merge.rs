//! Dicts of several layers or inventories as one, for the setting `hash_behaviour = merge`.

use std::sync::Arc;

use super::tree::{Tree, TreeKind};

/// Merges dicts, the strongest first; what is below the first value that is no dict does not count.
pub fn merged(strongest: Tree, all: Vec<Tree>) -> Tree {
    let dicts: Vec<Vec<(Tree, Tree)>> = all.iter().map_while(members).collect();
    if dicts.len() < 2 {
        return strongest;
    }
    let mut whole: Vec<(Tree, Tree)> = Vec::new();
    // The weakest first: stronger members take the place of weaker ones.
    for dict in dicts.into_iter().rev() {
        for (key, value) in dict {
            let known = whole.iter_mut().find(|(name, _)| is_same(name, &key));
            match known {
                Some((_, weaker)) => *weaker = merged(value.clone(), vec![value, weaker.clone()]),
                None => whole.push((key, value)),
            }
        }
    }
    Tree { kind: TreeKind::Map(Arc::new(whole)), span: strongest.span }
}

/// The members of a dict.
fn members(tree: &Tree) -> Option<Vec<(Tree, Tree)>> {
    match &tree.kind {
        TreeKind::Map(members) => Some(members.to_vec()),
        TreeKind::Value(value) => {
            let map = value.as_map()?;
            Some(map.iter().map(|(k, v)| (Tree::value(k.to_value()), Tree::value(v.clone()))).collect())
        }
        _ => None,
    }
}

fn is_same(a: &Tree, b: &Tree) -> bool {
    match (a.as_value(), b.as_value()) {
        (Some(a), Some(b)) => a == b,
        _ => a.as_text().is_some() && a.as_text() == b.as_text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::SourceMap;
    use crate::template::{Templar, TemplarSettings};
    use crate::value::to_json_text;

    fn check(all: &[&str], expect: &str) {
        let templar = Templar::new(SourceMap::new(), TemplarSettings::default());
        let tree =
            |text: &str| templar.compile_value(&crate::yaml::parse_value(text).unwrap(), None).unwrap();
        let trees: Vec<Tree> = all.iter().map(|text| tree(text)).collect();
        let merged = merged(trees[0].clone(), trees);
        let scope: Arc<dyn crate::template::Scope> = Arc::new(crate::template::StaticScope {
            layers: Vec::new(),
            search: crate::template::SearchPath::default(),
        });
        assert_eq!(to_json_text(&templar.render(&merged, &scope).unwrap()), expect, "{all:?}");
    }

    #[test]
    fn stronger_members_win_at_every_depth() {
        check(&["{a: 1}", "{a: 2, b: 3}"], r#"{"a":1,"b":3}"#);
        check(
            &["{a: {x: 1}}", "{a: {x: 2, y: 3}, b: '{{ 4 }}'}", "{c: 5}"],
            r#"{"c":5,"a":{"x":1,"y":3},"b":4}"#,
        );
        check(&["[1]", "{a: 1}"], "[1]");
        check(&["{a: 1}", "text", "{b: 2}"], r#"{"a":1}"#);
    }
}
