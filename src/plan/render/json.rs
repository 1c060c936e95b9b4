//! A plan as JSON: the plan's own members, what its file says around it, and a summary.

use serde_json::{Map, Value, json};

use super::summary::{Count, Summary, verdict_word};
use super::text::inert_json;
use super::view::View;
use super::{Document, time_json};
use crate::plan::model::Plan;

/// Returns the plan as indented JSON with a line break at the end.
pub fn text(document: &Document<'_>) -> Result<String, serde_json::Error> {
    Ok(inert_json(&serde_json::to_string_pretty(&value(document)?)?).into_owned() + "\n")
}

fn value(document: &Document<'_>) -> Result<Value, serde_json::Error> {
    let header = &document.header;
    let mut out = Map::new();
    out.insert("id".into(), header.id.into());
    if let Some(at) = header.created {
        out.insert("created".into(), time_json(at));
    }
    if let Some(at) = header.expires {
        out.insert("expires".into(), time_json(at));
    }
    let approvals: Vec<Value> = header
        .approvals
        .iter()
        .map(|a| match &a.note {
            Some(note) => json!({ "by": a.by, "note": note }),
            None => json!({ "by": a.by }),
        })
        .collect();
    out.insert("approvals".into(), approvals.into());
    if !document.selection.is_everything() {
        let mut selection = Map::new();
        if let Some(hosts) = &document.selection.hosts {
            selection.insert("hosts".into(), hosts.as_str().into());
        }
        if let Some(step) = &document.selection.step {
            selection.insert("step".into(), step.as_str().into());
        }
        out.insert("selection".into(), selection.into());
    }
    out.insert("summary".into(), summary(document.plan, document.whole));
    if let Value::Object(members) = serde_json::to_value(document.plan)? {
        out.extend(members);
    }
    Ok(out.into())
}

fn summary(shown: &Plan, whole: &Plan) -> Value {
    let view = View::of(shown);
    let summary = Summary::of(&view, shown, whole);
    let counts = |counts: Vec<(&str, Count)>| -> Value {
        counts
            .into_iter()
            .map(|(word, c)| (word.to_string(), json!({ "steps": c.steps, "units": c.units })))
            .collect::<Map<_, _>>()
            .into()
    };
    json!({
        "verdict": verdict_word(summary.verdict),
        "exit_code": summary.verdict.exit_code(),
        "steps": summary.steps,
        "acting_steps": summary.acting,
        "disruptive_steps": summary.disruptive,
        "unresolved_steps": summary.unresolved,
        "hosts": summary.hosts,
        "acting_hosts": summary.acting_hosts,
        "by_reach": summary.reached,
        "by_state": counts(summary.by_state.iter().map(|(s, c)| (s.word(), *c)).collect()),
        "by_risk": counts(summary.by_risk.iter().map(|(r, c)| (r.word(), *c)).collect()),
        "by_kind": counts(summary.by_kind.iter().map(|(k, c)| (k.word(), *c)).collect()),
    })
}
