//! Objects of the `*def` commands over the tables: reading, writing, removing, filters.

use super::noderange::in_group;
use super::schema::{Kind, Place, node_places, node_tables, places};
use super::tables::Db;
use std::collections::BTreeMap;

/// Says which postscripts a node's definition shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scripts {
    /// Merged with those of `xcatdefaults`, as plain `lsdef` does.
    Merged,
    /// The node's and its groups' own, as stanzas show.
    Own,
}

pub(super) type Attributes = BTreeMap<String, String>;

/// Returns the names of all objects of a kind, sorted.
pub(super) fn list(db: &mut Db, kind: Kind) -> Vec<String> {
    let mut all = match kind {
        Kind::Site => vec!["clustersite".to_string()],
        Kind::Group => {
            let mut names = db.table("nodegroup").values("groupname");
            for groups in db.table("nodelist").values("groups") {
                names.extend(groups.split(',').map(str::to_string));
            }
            names
        }
        _ => {
            let (table, key) = kind.key();
            db.table(table).values(key)
        }
    };
    all.sort();
    all.dedup();
    all
}

pub(super) fn exists(db: &mut Db, kind: Kind, name: &str) -> bool {
    match kind {
        Kind::Site | Kind::Group => list(db, kind).iter().any(|one| one == name),
        _ => {
            let (table, key) = kind.key();
            db.table(table).row(key, name).is_some()
        }
    }
}

/// Returns the attributes that a kind of object may have; nothing means "any" (the site table).
pub(super) fn valid(db: &mut Db, kind: Kind, name: &str) -> Option<Vec<Place>> {
    match kind {
        Kind::Site => None,
        Kind::Node => {
            let mgt = node_value(db, name, "nodehm", "node", "mgt");
            Some(node_places(mgt.as_deref()))
        }
        other => Some(places(other)),
    }
}

/// Returns the set attributes of an object that exists.
pub(super) fn read(db: &mut Db, kind: Kind, name: &str, scripts: Scripts) -> Option<Attributes> {
    if !exists(db, kind, name) {
        return None;
    }
    let mut out = Attributes::new();
    if kind == Kind::Site {
        let table = db.table("site");
        for key in table.values("key") {
            if let Some(value) = table.get("key", &key, "value") {
                out.insert(key.clone(), value.to_string());
            }
        }
        return Some(out);
    }
    for place in valid(db, kind, name).unwrap_or_default() {
        let value = match kind {
            Kind::Node => {
                let own = node_value(db, name, place.table, key_of(place.table), place.column);
                match (place.table, scripts) {
                    ("postscripts", Scripts::Merged) => {
                        let first = db.get("postscripts", "node", "xcatdefaults", place.column);
                        merge_lists(first, own)
                    }
                    _ => own,
                }
            }
            Kind::Group if place.table == "nodegroup" => db.get("nodegroup", "groupname", name, place.column),
            Kind::Group => db.get(place.table, key_of(place.table), name, place.column),
            _ => db.get(place.table, kind.key().1, name, place.column),
        };
        if let Some(value) = value {
            out.insert(place.attribute.to_string(), value);
        }
    }
    if kind == Kind::Group {
        out.entry("grouptype".into()).or_insert_with(|| "static".into());
        let members = members(db, name);
        if !members.is_empty() {
            out.insert("members".into(), members.join(","));
        }
    }
    Some(out)
}

/// Returns the nodes of a group in the table's order.
pub(super) fn members(db: &mut Db, group: &str) -> Vec<String> {
    let table = db.table("nodelist");
    let nodes = table.values("node");
    nodes.into_iter().filter(|node| in_group(table.get("node", node, "groups"), group)).collect()
}

fn key_of(table: &str) -> &'static str {
    if table == "ppchcp" { "hcp" } else { "node" }
}

fn merge_lists(first: Option<String>, second: Option<String>) -> Option<String> {
    let mut all: Vec<&str> = Vec::new();
    for list in [&first, &second].into_iter().flatten() {
        for item in list.split(',').filter(|item| !item.is_empty()) {
            if !all.contains(&item) {
                all.push(item);
            }
        }
    }
    (!all.is_empty()).then(|| all.join(","))
}

/// Returns a node's value: its own row, else that of its first group with one.
pub(super) fn node_value(db: &mut Db, node: &str, table: &str, key: &str, column: &str) -> Option<String> {
    if let Some(value) = db.get(table, key, node, column) {
        return Some(value);
    }
    if table == "nodelist" {
        return None;
    }
    let groups = db.get("nodelist", "node", node, "groups")?;
    groups.split(',').find_map(|group| db.get(table, key, group, column))
}

/// Returns a node's attribute by its name.
pub(super) fn node_attribute(db: &mut Db, node: &str, attribute: &str) -> Option<String> {
    let place = valid(db, Kind::Node, node)?.into_iter().find(|place| place.attribute == attribute)?;
    node_value(db, node, place.table, key_of(place.table), place.column)
}

/// Writes attributes; empty values clear. The caller has checked the names.
pub(super) fn write(db: &mut Db, kind: Kind, name: &str, attributes: &Attributes) {
    if kind == Kind::Site {
        for (key, value) in attributes {
            match value.as_str() {
                "" => {
                    db.table_mut("site").remove("key", key);
                }
                text => db.set("site", "key", key, &[("value", text)]),
            }
        }
        return;
    }
    let (table, key) = kind.key();
    if kind != Kind::Group {
        db.set(table, key, name, &[]);
    }
    let mgt = attributes.get("mgt").cloned().or_else(|| node_value(db, name, "nodehm", "node", "mgt"));
    let all = match kind {
        Kind::Node => node_places(mgt.as_deref()),
        other => places(other),
    };
    if kind == Kind::Group {
        db.set("nodegroup", "groupname", name, &[("grouptype", "static")]);
        for node in attributes.get("members").map(|list| list.split(',')).into_iter().flatten() {
            join_group(db, node, name);
        }
    }
    let is_linux = attributes.get("imagetype").map(String::as_str) == Some("linux");
    if kind == Kind::Osimage && is_linux {
        db.set("linuximage", "imagename", name, &[]);
    }
    for (attribute, value) in attributes {
        let Some(place) = all.iter().find(|place| place.attribute == attribute) else { continue };
        if kind == Kind::Group && place.attribute == "members" {
            continue;
        }
        let key = match kind {
            Kind::Node => key_of(place.table),
            Kind::Group if place.table == "nodegroup" => "groupname",
            Kind::Group => key_of(place.table),
            _ => key,
        };
        if value.is_empty() && db.table(place.table).row(key, name).is_none() {
            continue;
        }
        db.set(place.table, key, name, &[(place.column, value)]);
    }
}

fn join_group(db: &mut Db, node: &str, group: &str) {
    if node.is_empty() {
        return;
    }
    let groups = db.get("nodelist", "node", node, "groups").unwrap_or_default();
    if !in_group(Some(&groups), group) {
        let joined = if groups.is_empty() { group.to_string() } else { format!("{groups},{group}") };
        db.set("nodelist", "node", node, &[("groups", &joined)]);
    }
}

/// Removes an object from all its tables.
pub(super) fn remove(db: &mut Db, kind: Kind, name: &str) {
    match kind {
        Kind::Node => {
            for (table, key) in node_tables() {
                if db.table(table).row(key, name).is_some() {
                    db.table_mut(table).remove(key, name);
                }
            }
        }
        Kind::Group => {
            db.table_mut("nodegroup").remove("groupname", name);
            for node in members(db, name) {
                let groups = db.get("nodelist", "node", &node, "groups").unwrap_or_default();
                let rest: Vec<&str> = groups.split(',').filter(|group| *group != name).collect();
                db.set("nodelist", "node", &node, &[("groups", &rest.join(","))]);
            }
        }
        Kind::Osimage => {
            db.table_mut("osimage").remove("imagename", name);
            db.table_mut("linuximage").remove("imagename", name);
        }
        other => {
            let (table, key) = other.key();
            db.table_mut(table).remove(key, name);
        }
    }
}

/// Is a `-w` condition or a filter of `nodels`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub attribute: String,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Match,
    NoMatch,
}

impl Condition {
    pub fn parse(text: &str) -> Option<Condition> {
        let operators = [
            ("==", Operator::Equal),
            ("!=", Operator::Unequal),
            ("=~", Operator::Match),
            ("!~", Operator::NoMatch),
        ];
        let (at, sign, operator) = operators
            .into_iter()
            .filter_map(|(sign, operator)| Some((text.find(sign)?, sign, operator)))
            .min_by_key(|(at, _, _)| *at)?;
        Some(Condition {
            attribute: text[..at].to_string(),
            operator,
            value: text[at + sign.len()..].to_string(),
        })
    }

    pub fn holds(&self, value: Option<&str>) -> bool {
        let value = value.unwrap_or_default();
        let matches = || {
            let pattern = self.value.trim_matches('/');
            fancy_regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(value).unwrap_or(false))
        };
        match self.operator {
            Operator::Equal => value == self.value,
            Operator::Unequal => value != self.value,
            Operator::Match => matches(),
            Operator::NoMatch => !matches(),
        }
    }
}
