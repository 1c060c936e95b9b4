//! Inventories in YAML (or JSON) form.

use std::sync::Arc;

use super::builder::Builder;
use super::model::GroupId;
use crate::diag::Diagnostic;
use crate::template::Tree;
use crate::yaml::Node;

/// Reads the groups at the top of a document, which the caller has seen to be a mapping.
pub(super) fn read(builder: &mut Builder<'_>, node: &Node) {
    for (name, data) in node.entries() {
        read_group(builder, name, data);
    }
}

fn read_group(builder: &mut Builder<'_>, name: &Node, data: &Node) -> Option<GroupId> {
    let Some(text) = name.as_str() else {
        builder.errors.push(
            Diagnostic::error("XP0506", format!("the name of a group is a text, not {}", name.described()))
                .at(name.span, "not a text")
                .help("put it in quotes"),
        );
        return None;
    };
    if !data.is_map() && !data.is_null() {
        builder.errors.push(
            Diagnostic::error("XP0506", format!("the group `{text}` is a mapping, not {}", data.described()))
                .at(data.span, "expected `hosts:`, `children:` or `vars:`"),
        );
        return None;
    }
    let group = builder.group(text, Some(name.span));
    for (key, value) in data.entries() {
        let word = key.scalar().map_or("", |s| &s.text);
        if value.is_null() {
            continue;
        }
        match word {
            "vars" | "children" | "hosts" => read_section(builder, group, word, value),
            _ => builder.warnings.push(
                Diagnostic::warning("XP0506", format!("`{word}` is no part of a group"))
                    .at(key.span, "ignored")
                    .suggest(word, ["vars", "children", "hosts"]),
            ),
        }
    }
    Some(group)
}

fn read_section(builder: &mut Builder<'_>, group: GroupId, section: &str, value: &Node) {
    // A bare text stands for a mapping with one empty entry.
    if value.as_str().is_some() {
        match section {
            "hosts" => read_host(builder, group, value, None),
            "children" => read_child(builder, group, value, value),
            _ => not_a_mapping(builder, section, value),
        }
        return;
    }
    if !value.is_map() {
        not_a_mapping(builder, section, value);
        return;
    }
    for (key, inner) in value.entries() {
        match section {
            "hosts" => read_host(builder, group, key, Some(inner)),
            "children" => read_child(builder, group, key, inner),
            _ => {
                let Some(name) = key.scalar().map(|s| s.text.clone()) else { continue };
                builder.check_name(&name, Some(key.span));
                if let Some(tree) = compile(builder, inner) {
                    builder.inventory.set_group_var(group, name, tree);
                }
            }
        }
    }
}

fn not_a_mapping(builder: &mut Builder<'_>, section: &str, value: &Node) {
    let mut diagnostic =
        Diagnostic::error("XP0506", format!("`{section}` is a mapping, not {}", value.described()))
            .at(value.span, "expected a mapping");
    if value.is_list() {
        diagnostic = diagnostic.help(match section {
            "vars" => "write `name: value` without `- `",
            _ => "write each name with a colon after it, without `- `",
        });
    }
    builder.errors.push(diagnostic);
}

fn read_child(builder: &mut Builder<'_>, parent: GroupId, name: &Node, data: &Node) {
    let empty = name.span == data.span;
    let child = if empty {
        name.as_str().map(|text| builder.group(text, Some(name.span)))
    } else {
        read_group(builder, name, data)
    };
    let Some(child) = child else { return };
    if let Err(diagnostic) = builder.inventory.add_child(parent, child, Some(name.span)) {
        builder.errors.push(diagnostic);
    }
}

fn read_host(builder: &mut Builder<'_>, group: GroupId, name: &Node, data: Option<&Node>) {
    let Some(text) = name.as_str() else {
        builder.errors.push(
            Diagnostic::error(
                "XP0506",
                format!(
                    "Host pattern {} must be a string. Enclose integers/floats in quotation marks.",
                    name.scalar().map_or("", |s| &s.text)
                ),
            )
            .at(name.span, "not a text"),
        );
        return;
    };
    let Some((hosts, port)) = builder.expand(text, name.span) else { return };
    let mut vars: Vec<(Arc<str>, Tree)> = Vec::new();
    if let Some(data) = data.filter(|d| !d.is_null()) {
        if !data.is_map() {
            builder.errors.push(
                Diagnostic::error(
                    "XP0506",
                    format!("the variables of `{text}` are a mapping, not {}", data.described()),
                )
                .at(data.span, "expected `name: value`"),
            );
            return;
        }
        for (key, value) in data.entries() {
            let Some(name) = key.scalar().map(|s| s.text.clone()) else { continue };
            builder.check_name(&name, Some(key.span));
            if let Some(tree) = compile(builder, value) {
                vars.push((name, tree));
            }
        }
    }
    builder.hosts(&hosts, Some(name.span), port, group, &vars);
}

fn compile(builder: &mut Builder<'_>, node: &Node) -> Option<Tree> {
    match builder.templar.compile_node(node) {
        Ok(tree) => Some(tree),
        Err(diagnostic) => {
            builder.errors.push(diagnostic);
            None
        }
    }
}
