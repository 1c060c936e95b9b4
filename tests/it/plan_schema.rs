//! The published schema of plans: examples follow it, and it knows every member that the model has.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use xplay::plan::render::{Approval, Document, Header, json as rendering};
use xplay::plan::select::Selection;
use xplay::plan::{
    DiffSide, Group, HostEntry, Invocation, Plan, PlanDiff, PlayEntry, Reach, Risk, State, Step, StepKind,
    Unit,
};

use crate::plan_show::example;

/// What this validator knows of draft 2020-12; the schema must use nothing else.
const KEYWORDS: [&str; 19] = [
    "$schema",
    "$id",
    "$defs",
    "$ref",
    "title",
    "description",
    "type",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "oneOf",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "minLength",
];

/// Checks values against the schema. Members that it does not describe are allowed for readers and refused here.
struct Schema {
    root: Value,
}

impl Schema {
    fn published() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/plan.schema.json");
        Schema { root: serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() }
    }

    /// Returns what is wrong, as `place: what`.
    fn check(&self, value: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        self.walk(&self.root, value, "", &mut wrong);
        wrong
    }

    fn walk(&self, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
        let mut say = |text: String| wrong.push(format!("{at}: {text}"));
        let schema = schema.as_object().unwrap();
        for keyword in schema.keys() {
            assert!(KEYWORDS.contains(&keyword.as_str()), "{at}: the validator lacks {keyword}");
        }
        if let Some(kind) = schema.get("type").and_then(Value::as_str)
            && !is_a(kind, value)
        {
            say(format!("is no {kind}: {value}"));
            return;
        }
        if let Some(all) = schema.get("enum").and_then(Value::as_array)
            && !all.contains(value)
        {
            say(format!("{value} is none of {all:?}"));
        }
        if let Some(only) = schema.get("const")
            && only != value
        {
            say(format!("{value} is not {only}"));
        }
        if let (Some(least), Some(n)) = (schema.get("minimum").and_then(Value::as_i64), value.as_i64())
            && n < least
        {
            say(format!("{n} is less than {least}"));
        }
        if let (Some(most), Some(n)) = (schema.get("maximum").and_then(Value::as_i64), value.as_i64())
            && n > most
        {
            say(format!("{n} is more than {most}"));
        }
        if let (Some(least), Some(text)) = (schema.get("minLength").and_then(Value::as_u64), value.as_str())
            && (text.chars().count() as u64) < least
        {
            say(format!("{text:?} is too short"));
        }
        if let (Some(pattern), Some(text)) = (schema.get("pattern").and_then(Value::as_str), value.as_str())
            && !fancy_regex::Regex::new(pattern).unwrap().is_match(text).unwrap()
        {
            say(format!("{text:?} does not match {pattern}"));
        }
        if schema.get("format").and_then(Value::as_str) == Some("date-time")
            && value.as_str().is_none_or(|text| text.parse::<jiff::Timestamp>().is_err())
        {
            say(format!("{value} is no time"));
        }
        if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
            let target = self.root.pointer(path.strip_prefix('#').unwrap());
            self.walk(target.unwrap_or_else(|| panic!("{path} leads nowhere")), value, at, wrong);
        }
        if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
            let fits = |choice: &&Value| {
                let mut wrong = Vec::new();
                self.walk(choice, value, at, &mut wrong);
                wrong.is_empty()
            };
            let count = choices.iter().filter(fits).count();
            if count != 1 {
                wrong.push(format!("{at}: fits {count} of the choices: {value}"));
            }
        }
        match value {
            Value::Array(list) => {
                if let Some(items) = schema.get("items") {
                    for (index, item) in list.iter().enumerate() {
                        self.walk(items, item, &format!("{at}/{index}"), wrong);
                    }
                }
            }
            Value::Object(map) => self.members(schema, map, at, wrong),
            _ => {}
        }
    }

    fn members(
        &self,
        schema: &Map<String, Value>,
        map: &Map<String, Value>,
        at: &str,
        wrong: &mut Vec<String>,
    ) {
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if !map.contains_key(name.as_str().unwrap()) {
                wrong.push(format!("{at}: {name} is missing"));
            }
        }
        let described = schema.get("properties").and_then(Value::as_object);
        for (name, value) in map {
            let at = format!("{at}/{name}");
            match (described.and_then(|d| d.get(name)), schema.get("additionalProperties")) {
                (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => {
                    self.walk(schema, value, &at, wrong)
                }
                (None, Some(Value::Bool(true))) => {}
                _ if described.is_some() => wrong.push(format!("{at}: the schema does not know this member")),
                // A value of any shape: arguments, the loop's variables.
                _ => {}
            }
        }
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the validator lacks the type {other}"),
    }
}

/// A plan with every member of the model. No `..Default::default()` here: a new member must not compile until it is named,
/// and then must be in the schema.
fn complete() -> Plan {
    let words = || vec!["x".to_string()];
    let sides = [
        DiffSide::Absent,
        DiffSide::Text { text: "a\n".into() },
        DiffSide::Attributes { attributes: [("mode".to_string(), json!("0644"))].into_iter().collect() },
        DiffSide::Binary { size: 3, sha256: "ab".repeat(32) },
    ];
    // A side that is new must be named above.
    sides.iter().for_each(|side| match side {
        DiffSide::Absent | DiffSide::Text { .. } | DiffSide::Attributes { .. } | DiffSide::Binary { .. } => {}
    });
    let diffs: Vec<PlanDiff> = sides
        .iter()
        .flat_map(|before| {
            sides.iter().map(|after| PlanDiff {
                subject: "/x".into(),
                before: before.clone(),
                after: after.clone(),
            })
        })
        .collect();
    let unit = |state: State| Unit {
        state,
        item: Some("i".into()),
        reason: Some("because".into()),
        unknown: words(),
        on: Some("mn1".into()),
        r#become: Some("root".into()),
        args: Some(json!({ "src": { "__project__": "files/x" }, "password": { "__secret__": "ab" } })),
        locals: Some(json!({ "item": [1, null, { "a": 1.5 }] })),
        rendered: [("templates/x".to_string(), "ab".repeat(32))].into_iter().collect(),
        diffs: diffs.clone(),
        expects: Some("ab".repeat(32)),
        consequences: words(),
        warnings: words(),
        notifies: words(),
    };
    let step = |risk: Risk, kind: StepKind| Step {
        id: "site.yml/p/t#0123456789ab".into(),
        turn: 1,
        play: 0,
        batch: 0,
        name: "t".into(),
        role: Some("r".into()),
        module: "copy".into(),
        place: "site.yml:3".into(),
        kind,
        risk,
        no_log: true,
        groups: vec![Group { hosts: vec!["n[1-4]".into()], units: State::ALL.map(unit).to_vec() }],
    };
    Plan {
        format_version: "1.0".into(),
        invocation: Invocation {
            playbooks: words(),
            inventory: words(),
            extra_vars: words(),
            roles_path: words(),
            collections_path: words(),
            tags: words(),
            skip_tags: words(),
            limit: Some("x".into()),
            start_at_task: Some("x".into()),
            settings: [("become".to_string(), "true".to_string())].into_iter().collect(),
            rehearsal: true,
        },
        hosts: [Reach::Ok, Reach::Untouched, Reach::Unreachable, Reach::Error]
            .map(|reach| HostEntry { name: "n1".into(), reach, reason: Some("x".into()) })
            .to_vec(),
        plays: vec![PlayEntry { name: "p".into(), batches: vec![vec!["n[1-4]".into()]] }],
        steps: all_risks()
            .into_iter()
            .flat_map(|risk| [StepKind::Task, StepKind::Handler].map(|kind| step(risk, kind)))
            .collect(),
        warnings: words(),
    }
}

/// Every risk; a new one does not compile here until it is named.
fn all_risks() -> Vec<Risk> {
    let next = |risk: Risk| match risk {
        Risk::None => Some(Risk::Low),
        Risk::Low => Some(Risk::Medium),
        Risk::Medium => Some(Risk::High),
        Risk::High => Some(Risk::Opaque),
        Risk::Opaque => Some(Risk::Disruptive),
        Risk::Disruptive => Some(Risk::Destructive),
        Risk::Destructive => None,
    };
    std::iter::successors(Some(Risk::None), |risk| next(*risk)).collect()
}

#[test]
fn example_plans_follow_the_schema() {
    let schema = Schema::published();
    for name in ["service-nodes", "nothing", "failed"] {
        assert_eq!(
            schema.check(&serde_json::to_value(example(name)).unwrap()),
            Vec::<String>::new(),
            "{name}"
        );
    }
}

#[test]
fn every_member_of_the_model_is_in_the_schema() {
    let value = serde_json::to_value(complete()).unwrap();
    assert_eq!(Schema::published().check(&value), Vec::<String>::new());
    assert_eq!(serde_json::from_value::<Plan>(value).unwrap(), complete());
}

#[test]
fn what_show_prints_follows_the_schema() {
    let (plan, at) = (complete(), "2026-11-24T05:30:00Z".parse().unwrap());
    let approvals =
        vec![Approval { by: "ops".into(), note: Some("x".into()) }, Approval { by: "b".into(), note: None }];
    for selection in [Selection::default(), Selection { hosts: Some("n1".into()), step: Some("t".into()) }] {
        let header = Header {
            id: "p-1",
            file: "f",
            created: Some(at),
            expires: Some(at),
            approvals: approvals.clone(),
        };
        let document = Document { header, plan: &plan, whole: &plan, selection: &selection };
        let value = serde_json::from_str(&rendering::text(&document).unwrap()).unwrap();
        assert_eq!(Schema::published().check(&value), Vec::<String>::new());
    }
}

#[test]
fn the_validator_finds_what_is_wrong() {
    let schema = Schema::published();
    let check = |change: &dyn Fn(&mut Value), expect: &[&str]| {
        let mut value = serde_json::to_value(example("nothing")).unwrap();
        change(&mut value);
        assert_eq!(schema.check(&value), expect);
    };
    check(&|v| v["news"] = json!(1), &["/news: the schema does not know this member"]);
    check(&|v| v["format_version"] = json!("2.0"), &["/format_version: \"2.0\" does not match ^1\\.[0-9]+$"]);
    check(
        &|v| v["steps"][0]["risk"] = json!("fun"),
        &[
            "/steps/0/risk: \"fun\" is none of [String(\"none\"), String(\"low\"), String(\"medium\"), String(\"high\"), \
         String(\"opaque\"), String(\"disruptive\"), String(\"destructive\")]",
        ],
    );
    check(&|v| v["steps"][0]["play"] = json!(-1), &["/steps/0/play: -1 is less than 0"]);
    check(&|v| v["hosts"] = json!({}), &["/hosts: is no array: {}"]);
    check(
        &|v| {
            v.as_object_mut().unwrap().remove("plays");
        },
        &[": \"plays\" is missing"],
    );
    check(
        &|v| {
            v["steps"][0]["groups"][0]["units"][0]["diffs"] =
                json!([{ "subject": "x", "before": { "kind": "absent" }, "after": { "kind": "gone" } }])
        },
        &["/steps/0/groups/0/units/0/diffs/0/after: fits 0 of the choices: {\"kind\":\"gone\"}"],
    );
}

#[test]
fn no_definition_is_unused() {
    let text = Schema::published().root.to_string();
    let defined: BTreeSet<String> =
        Schema::published().root["$defs"].as_object().unwrap().keys().cloned().collect();
    let used: BTreeSet<String> =
        defined.iter().filter(|name| text.contains(&format!("\"#/$defs/{name}\""))).cloned().collect();
    assert_eq!(used, defined);
}
