//! `xcat_boot`: nodes booted over the network, a few at a time, until each runs this build of the image.
//!
//! `nodelist.status` sticks and lies, so "booted" means: status booted, later than the power action, and the node's own
//! `/opt/xcat/xcatinfo` names the packed build. A node that runs it already is left alone.

use std::collections::BTreeMap;

use super::boot_script::{RUNNING, WATCH};
use super::common::{self, NAMESPACES};
use super::osimage::check_name;
use super::parse::{self, Attrs};
use super::relations;
use super::sh::{Sections, add, quote, script};
use super::verify::served;
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Relations, Run, Seen,
};
use crate::transport::Output;
use crate::value::{Map, Value};

pub struct Boot;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_boot",
    namespaces: NAMESPACES,
    about: "Boots nodes over the network a few at a time and waits until each runs this build of the image",
    args: &[
        ArgSpec::new("nodes", ArgKind::StrList, "Node range").required().aliases(&["noderange"]),
        ArgSpec::new("image", ArgKind::Str, "Name of the osimage").required().aliases(&["osimage"]),
        ArgSpec::new(
            "method",
            ArgKind::Str,
            "How to boot; auto takes rnetboot for hmc, ivm and fsp, else rsetboot and rpower",
        )
        .default("auto")
        .choices(&["auto", "rnetboot", "rsetboot", "rinstall"]),
        ArgSpec::new("at_a_time", ArgKind::Int, "How many nodes may be down at once").default("2"),
        ArgSpec::new("timeout", ArgKind::Int, "Seconds that a node may take to come back").default("1800"),
        ArgSpec::new("interval", ArgKind::Float, "Seconds between two looks").default("10"),
        ArgSpec::new(
            "status_grace",
            ArgKind::Int,
            "Seconds after which a node that runs the image counts although its status sticks",
        )
        .default("180"),
        ArgSpec::new("max_failures", ArgKind::Int, "How many nodes may fail before the rest is left alone")
            .default("0"),
        ArgSpec::new("force", ArgKind::Bool, "Boot nodes that run this build too").default("false"),
        ArgSpec::new("console_dir", ArgKind::Path, "Where consoles are logged").default("/var/log/consoles"),
    ],
    returns: &[
        ("booted", "nodes that were booted, each with the seconds that it took"),
        ("left_alone", "nodes that ran this build already"),
        ("failed_nodes", "nodes that did not come back, each with the reason"),
        ("image_id", "the build that the nodes run"),
    ],
    ..ModuleSpec::BASE
};

impl Module for Boot {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn started_anew(&self, result: &Map) -> Vec<String> {
        let booted = result.get("booted").and_then(Value::as_map);
        booted.into_iter().flat_map(Map::keys).map(|node| node.json_name().to_string()).collect()
    }

    fn relations(&self, call: &Call) -> Relations {
        relations::of(SPEC.name, call)
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let image = image(call)?;
        Ok(Some(script(&format!(
            "{RUNNING}xc_image {image}\nx_root=$(xc_attr rootimgdir)\nf=$x_root/rootimg/opt/xcat/xcatinfo\n\
             if [ -n \"$x_root\" ] && [ -f \"$f\" ]; then xc_run info cat \"$f\"; fi\n\
             xc_cap nodes xcat lsdef {range} -c -i mgt,status,statustime,provmethod,currstate\n\
             [ \"$xc_rc\" = 0 ] || exit 0\n\
             xc_run served xcat nodels all noderes.servicenode\n\
             x_names=$(printf '%s\\n' \"$xc_out\" | sed -n 's/^\\([^: ]*\\): mgt=.*/\\1/p' | sort -u | x_comma_list)\n\
             [ -z \"$x_names\" ] || xc_run running x_infos \"$x_names\"",
            image = quote(image),
            range = quote(&common::noderange(call, "nodes")?),
        ))))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let image = image(call)?;
        let sections = Sections::of_probe(seen)?;
        let section = sections.get("nodes").ok_or_else(|| Failure::new("lsdef printed nothing"))?;
        let nodes = common::nodes(section)?;
        let wanted = parse::image_id(&parse::xcatinfo(sections.text("info").lines()));
        if wanted.is_none() {
            common::unless_predicting(call, || {
                Failure::new(format!(
                    "the image {image} is not packed: there is no build that nodes could boot"
                ))
            })?;
        }
        let running = parse::answers(sections.text("running"));
        let packed_first = relations::changed_first(call, relations::ARCHIVE, image).is_some();
        let mut todo: Vec<Todo> = Vec::new();
        let mut left_alone = Vec::new();
        for (node, attrs) in &nodes {
            let runs = running
                .get(node)
                .filter(|a| a.rc == 0)
                .and_then(|a| parse::image_id(&parse::xcatinfo(a.lines.iter().map(String::as_str))));
            if runs.is_some() && runs == wanted && !call.args.flag("force") && !packed_first {
                left_alone.push(node.clone());
                continue;
            }
            check_set(call, node, attrs, image)?;
            let mgt = attrs.get("mgt").cloned().unwrap_or_default();
            todo.push(Todo { node: node.clone(), mgt, runs, state: describe(attrs) });
        }
        let mut result = Map::new();
        result.insert("image_id", wanted.clone());
        result.insert("left_alone", left_alone);
        result.insert("to_boot", todo.iter().map(|t| t.node.clone()).collect::<Vec<_>>());
        if todo.is_empty() {
            result.insert("booted", Map::new());
            return Ok(Prediction::same(result));
        }
        let unmade = "a build that is not made yet";
        let build = wanted.as_ref().map_or_else(|| unmade.to_string(), |id| format!("build {id}"));
        let id = wanted.unwrap_or_else(|| unmade.into());
        let diff = common::state_diff(
            "running image of nodes",
            todo.iter().map(|t| {
                let before =
                    t.runs.as_ref().map_or_else(|| t.state.clone(), |id| format!("{} of {id}", t.state));
                (t.node.as_str(), before, format!("booted with {image}, {build}"))
            }),
        );
        let run = change(call, image, &id, &todo)?;
        let mut prediction = Prediction::change(result, vec![Action::Run(run)]).diff(diff);
        let names: Vec<&str> = todo.iter().map(|t| t.node.as_str()).collect();
        prediction.consequences = consequences(call, &names, &served(sections.text("served")));
        Ok(prediction)
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if ran.is_empty() {
            return Ok(prediction.into_outcome());
        }
        let said = Sections::of_long(ran, "cannot boot the nodes")?;
        let mut outcome = prediction.into_outcome();
        let mut booted = Map::new();
        let mut failed = Map::new();
        let mut reasons = Vec::new();
        let mut waiting = Vec::new();
        let mut consoles: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in said.lines() {
            let Some((who, text)) = line.split_once(": ") else { continue };
            if let Some(node) = who.strip_suffix(" console") {
                consoles.entry(node.to_string()).or_default().push(text.to_string());
                continue;
            }
            let words = text.split_once('(').and_then(|(_, w)| w.strip_suffix(')')).unwrap_or(text);
            let secs = text.split(' ').nth(2).and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
            if text.starts_with("booted after ") {
                booted.insert(who, secs);
                if words != "status booted" {
                    outcome.warnings.push(format!("{who}: {words}"));
                }
            } else if text.starts_with("failed after ") {
                failed.insert(who, words);
                reasons.push(format!("{who}: {words}"));
            } else if text.starts_with("not booted ") {
                waiting.push(who.to_string());
            }
        }
        let told = booted.len() + failed.len() + waiting.len();
        let asked = outcome.result.get("to_boot").and_then(|v| v.as_list()).map_or(0, <[_]>::len);
        outcome.result.insert("booted", booted);
        outcome.result.insert("failed_nodes", failed);
        outcome.result.insert("not_booted", waiting.clone());
        if told != asked {
            return Err(Failure {
                msg: format!("booting ended early: of {asked} nodes only {told} were watched to the end"),
                result: outcome.result,
                diff: outcome.diff.into(),
                unknown: None,
            });
        }
        let budget = usize::try_from(call.args.int("max_failures").unwrap_or(0)).unwrap_or(0);
        if reasons.len() > budget {
            let mut msg =
                format!("{} of {asked} nodes did not come back: {}", reasons.len(), reasons.join("; "));
            if !waiting.is_empty() {
                add(&mut msg, format_args!("; {} left alone", common::listed(&waiting)));
            }
            for (node, lines) in &consoles {
                add(&mut msg, format_args!("\nconsole of {node}:\n{}", lines.join("\n")));
            }
            outcome.result.insert("consoles", consoles.into_iter().collect::<Map>());
            return Err(Failure { msg, result: outcome.result, diff: outcome.diff.into(), unknown: None });
        }
        outcome.warnings.extend(reasons);
        Ok(outcome)
    }
}

/// Says which nodes go down when, and which nodes lose their services meanwhile.
fn consequences(call: &Call, nodes: &[&str], served: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let at_a_time = usize::try_from(call.args.int("at_a_time").unwrap_or(2)).unwrap_or(2).max(1);
    let batches: Vec<String> = nodes.chunks(at_a_time).map(common::listed).collect();
    let mut told = vec![match &batches[..] {
        [one] => format!("{one} {} down while booting", if nodes.len() == 1 { "is" } else { "are" }),
        many => format!("nodes go down in {} batches: {}", many.len(), many.join("; then ")),
    }];
    for node in nodes {
        if let Some(lost) = served.get(*node).filter(|nodes| !nodes.is_empty()) {
            told.push(format!("while {node} boots, {} cannot use its services", common::listed(lost)));
        }
    }
    told
}

struct Todo {
    node: String,
    mgt: String,
    runs: Option<String>,
    state: String,
}

fn image<'a>(call: &'a Call) -> Result<&'a str, Failure> {
    let image = call.args.str("image").unwrap_or_default();
    check_name(image)?;
    Ok(image)
}

fn describe(attrs: &Attrs) -> String {
    let get = |key: &str| attrs.get(key).map(String::as_str).unwrap_or_default();
    match (get("status"), get("statustime")) {
        ("", _) => "no status".to_string(),
        (status, "") => status.to_string(),
        (status, time) => format!("{status} since {time}"),
    }
}

/// Refuses to power a node that would boot something else.
fn check_set(call: &Call, node: &str, attrs: &Attrs, image: &str) -> Result<(), Failure> {
    let get = |key: &str| attrs.get(key).map(String::as_str).unwrap_or_default();
    if get("provmethod") != image || !get("currstate").starts_with("netboot ") {
        common::unless_predicting(call, || {
            Failure::new(format!(
                "the node {node} is not set to boot {image} (provmethod={}, currstate={}): run nodeset first",
                get("provmethod"),
                get("currstate")
            ))
        })?;
    }
    if get("mgt").is_empty() {
        return Err(Failure::new(format!("the node {node} has no mgt: xCAT cannot power it")));
    }
    Ok(())
}

fn change(call: &Call, image: &str, id: &str, todo: &[Todo]) -> Result<Run, Failure> {
    let int = |name: &str, low: i128, high: i128| call.args.int(name).unwrap_or(low).clamp(low, high);
    let timeout = int("timeout", 1, 86_400);
    let at = int("at_a_time", 1, 10_000);
    let interval = match call.args.get("interval").and_then(crate::value::Value::number) {
        Some(secs) if (0.05..=3600.0).contains(&secs) => secs,
        _ => return Err(Failure::new("interval must be between 0.05 and 3600 seconds")),
    };
    let consoles = call.args.str("console_dir").unwrap_or("/var/log/consoles");
    let lines: Vec<String> = todo
        .iter()
        .map(|t| {
            format!(
                "{} {} {}",
                t.node,
                t.mgt,
                t.runs.as_deref().map_or("-".into(), |id| id.replace(' ', "_"))
            )
        })
        .collect();
    let mut body = RUNNING.to_string();
    add(
        &mut body,
        format_args!(
            "x_todo={}\nx_want={}\nx_osimage={}\nx_method={}\nx_at={at}\nx_interval={interval}\nx_timeout={timeout}\nx_budget={}\nx_grace={}\nx_consoles={}\n{WATCH}",
            quote(&lines.join("\n")),
            quote(id),
            quote(image),
            quote(call.args.str("method").unwrap_or("auto")),
            int("max_failures", 0, 100_000),
            int("status_grace", 0, 86_400),
            quote(consoles.trim_end_matches('/')),
        ),
    );
    // Powering can take a quarter of a minute for each controller that does not answer.
    let waves = (todo.len() as u64).div_ceil(u64::try_from(at).unwrap_or(1));
    let limit = waves * (u64::try_from(timeout).unwrap_or(0) + 120) + 60 * todo.len() as u64;
    Ok(Run { script: script(&body), long: true, timeout_secs: Some(limit), ..Run::default() })
}

#[cfg(test)]
#[path = "boot_tests.rs"]
mod tests;
