//! `xcat_osimage`: the definition of an osimage, whole or in parts, or a clone of another one.
//!
//! `mkdef` and `chdef` say the same for "changed" and "nothing to change", so the definition is compared before and
//! after. `permission` is left out: genimage writes it.

use std::collections::BTreeMap;

use super::common::{self, NAMESPACES};
use super::parse::{self, Attrs};
use super::relations;
use super::sh::{Sections, quote, script};
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Locks, Module, ModuleSpec, Outcome, Prediction, Relations, Run,
    Seen, Thing, Touch,
};
use crate::transport::{Content, Output};
use crate::value::Map;

pub struct Osimage;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_osimage",
    namespaces: NAMESPACES,
    about: "Defines an osimage: sets some attributes, the whole definition, or clones another osimage",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "Name of the osimage").required(),
        ArgSpec::new("attributes", ArgKind::Dict, "Attributes and their values; an empty one is cleared")
            .aliases(&["attrs"]),
        ArgSpec::new(
            "template",
            ArgKind::StrList,
            "Osimages to clone when this one does not exist; the first that exists is taken",
        ),
        ArgSpec::new("whole", ArgKind::Bool, "The attributes are the whole definition: others are dropped")
            .default("false"),
        ArgSpec::new("create_only", ArgKind::Bool, "Leave an osimage that exists as it is").default("false"),
        ArgSpec::new("state", ArgKind::Str, "Whether it shall exist")
            .default("present")
            .choices(&["present", "absent"]),
    ],
    returns: &[
        ("name", "name of the osimage"),
        ("definition", "its attributes afterwards"),
        ("template", "the osimage that was cloned"),
        ("reasons", "what differed"),
    ],
    ..ModuleSpec::BASE
};

const IGNORED: &[&str] = &["permission", "objtype"];

impl Module for Osimage {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn relations(&self, call: &Call) -> Relations {
        relations::of(SPEC.name, call)
    }

    fn locks(&self, call: &Call) -> Locks {
        relations::locks(SPEC.name, call)
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        name(call)?;
        Ok(Some(script("xc_run osimages xcat lsdef -t osimage -z")))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let name = name(call)?;
        let sections = Sections::of_probe(seen)?;
        let images = images(call, &sections)?;
        let current = images.get(name);
        if call.args.str("state") == Some("absent") {
            return Ok(absent(name, current));
        }
        let asked = common::attrs_arg(call, "attributes")?;
        let mut result = Map::new();
        result.insert("name", name);
        if let (Some(current), true) = (current, call.args.flag("create_only")) {
            result.insert("definition", common::attrs_value(current));
            return Ok(Prediction::same(result));
        }
        let templates = call.args.texts("template");
        let mut reasons = Vec::new();
        let mut wanted = match current {
            Some(current) if !call.args.flag("whole") => current.clone(),
            Some(_) => Attrs::new(),
            None => {
                reasons.push(format!("the osimage {name} does not exist"));
                start(call, &templates, &images, &mut result, &mut reasons)?
            }
        };
        wanted.extend(asked.clone());
        wanted.retain(|key, value| !value.is_empty() && !IGNORED.contains(&key.as_str()));
        let mut warnings = Vec::new();
        let shared = shared_rootimgdir(name, &wanted, &images)?;
        warnings.extend(shared);
        result.insert("definition", common::attrs_value(&wanted));
        let before = current.map(comparable).unwrap_or_default();
        for (key, value) in &wanted {
            if current.is_some() && before.get(key) != Some(value) {
                reasons.push(format!("{key} differs"));
            }
        }
        for key in before.keys().filter(|key| !wanted.contains_key(*key)) {
            reasons.push(format!("{key} is set"));
        }
        if current.is_some() && before == wanted {
            return Ok(Prediction { warnings, ..Prediction::same(result) });
        }
        result.insert("reasons", reasons);
        let run = match current {
            Some(_) if !call.args.flag("whole") => chdef(name, &before, &wanted),
            _ => mkdef(name, &wanted, current.is_some()),
        };
        let diff = common::attrs_diff(&format!("osimage {name}"), &before, &wanted);
        let cloned = templates.is_empty() || result.contains("template");
        let made_first = relations::changed_first(call, relations::OSIMAGE, name).is_some();
        let left = if current.is_some() || cloned && !made_first {
            row(name, Some(wanted))
        } else {
            // What a template that is not there yet will hold is not known.
            Touch::Thing(thing(name))
        };
        let prediction = Prediction::change(result, vec![Action::Run(run)]).touch(left).diff(diff);
        Ok(Prediction { warnings, ..prediction })
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if ran.is_empty() {
            return Ok(prediction.into_outcome());
        }
        let name = name(call)?;
        let sections = Sections::of_change(ran, 0)?;
        let command = sections.get("command").ok_or_else(|| Failure::new("the change printed nothing"))?;
        if command.rc != 0 {
            return Err(common::command_failed(&format!("cannot change the osimage {name}"), command));
        }
        let now = common::definition(call, &sections, name)?;
        let mut outcome = prediction.into_outcome();
        if call.args.str("state") == Some("absent") {
            return match now {
                None => Ok(outcome),
                Some(_) => {
                    Err(Failure::new(format!("rmdef ended with rc 0, but the osimage {name} still exists")))
                }
            };
        }
        let Some(now) = now else {
            return Err(common::command_failed(
                &format!("xCAT reported success, but the osimage {name} does not exist"),
                command,
            ));
        };
        let now = comparable(&now);
        let wanted = outcome.result.get("definition").and_then(|d| d.as_map()).cloned().unwrap_or_default();
        let wrong: Vec<String> = wanted
            .iter()
            .filter_map(|(key, value)| {
                let key = key.as_str()?;
                let got = now.get(key).map(String::as_str).unwrap_or_default();
                (got != value.to_text()).then(|| format!("{key} is {got:?} instead of {:?}", value.to_text()))
            })
            .collect();
        if !wrong.is_empty() {
            return Err(Failure::new(format!(
                "xCAT reported success, but in the osimage {name} {}",
                common::listed(&wrong)
            )));
        }
        outcome.result.insert("definition", common::attrs_value(&now));
        Ok(outcome)
    }
}

fn name<'a>(call: &'a Call) -> Result<&'a str, Failure> {
    let name = call.args.str("name").unwrap_or_default();
    check_name(name)?;
    Ok(name)
}

/// Refuses names that a stanza or a command line would take for something else.
pub fn check_name(name: &str) -> Result<(), Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    if name.is_empty() || name.starts_with('-') || !name.chars().all(plain) {
        return Err(Failure::new(format!("{name:?} cannot be the name of an osimage")));
    }
    Ok(())
}

fn images(call: &Call, sections: &Sections) -> Result<BTreeMap<String, Attrs>, Failure> {
    let section = sections.get("osimages").ok_or_else(|| Failure::new("lsdef printed nothing"))?;
    let mut images = parse::objects(&section.out);
    if section.rc != 0 && images.is_empty() && !section.out.contains("Could not find any object") {
        return Err(common::command_failed("cannot read the osimages", section));
    }
    for (name, row) in call.world.rows(relations::OSIMAGE) {
        match row {
            Some(row) => images.insert(name, row),
            None => images.remove(&name),
        };
    }
    Ok(images)
}

/// What a change leaves of the osimage, for later steps of a plan.
fn row(name: &str, row: Option<Attrs>) -> Touch {
    Touch::Row { thing: thing(name), row }
}

fn thing(name: &str) -> Thing {
    Thing { kind: relations::OSIMAGE, name: name.to_string() }
}

fn comparable(attrs: &Attrs) -> Attrs {
    let kept = attrs.iter().filter(|(k, v)| !v.is_empty() && !IGNORED.contains(&k.as_str()));
    kept.map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// Returns what a new osimage begins with: its template's attributes.
fn start(
    call: &Call,
    templates: &[String],
    images: &BTreeMap<String, Attrs>,
    result: &mut Map,
    reasons: &mut Vec<String>,
) -> Result<Attrs, Failure> {
    let mut attrs = Attrs::new();
    attrs.insert("imagetype".into(), "linux".into());
    if templates.is_empty() {
        return Ok(attrs);
    }
    if let Some(found) = templates.iter().find(|t| images.contains_key(*t)) {
        result.insert("template", found.clone());
        return Ok(comparable(&images[found]));
    }
    common::unless_predicting(call, || {
        Failure::new(format!("none of the osimages to clone exists: {}", templates.join(", ")))
    })?;
    reasons.push(format!("it is cloned from {}, which does not exist yet", templates.join(" or ")));
    Ok(attrs)
}

/// Refuses a directory that another netboot osimage uses too: each would overwrite the other's tree.
fn shared_rootimgdir(
    name: &str,
    wanted: &Attrs,
    images: &BTreeMap<String, Attrs>,
) -> Result<Option<String>, Failure> {
    let get = |attrs: &Attrs, key: &str| attrs.get(key).map(|d| d.trim_end_matches('/').to_string());
    let Some(dir) = get(wanted, "rootimgdir").filter(|d| !d.is_empty()) else { return Ok(None) };
    let diskless =
        |attrs: &Attrs| matches!(attrs.get("provmethod").map(String::as_str), Some("netboot" | "statelite"));
    if !diskless(wanted) {
        return Ok(None);
    }
    let same: Vec<(&String, &Attrs)> = images
        .iter()
        .filter(|(other, attrs)| *other != name && get(attrs, "rootimgdir").as_deref() == Some(&dir))
        .collect();
    let netboot = |attrs: &Attrs| attrs.get("provmethod").is_some_and(|p| p == "netboot");
    if let Some((other, _)) = same.iter().find(|(_, attrs)| netboot(attrs) && netboot(wanted)) {
        return Err(Failure::new(format!(
            "the osimages {name} and {other} would share the rootimgdir {dir} and overwrite each other; give {name} \
             its own"
        )));
    }
    Ok(same
        .iter()
        .find(|(_, attrs)| diskless(attrs))
        .map(|(other, _)| format!("the osimage {other} has the same rootimgdir {dir}")))
}

fn read_back(name: &str) -> String {
    format!("xc_image {}", quote(name))
}

fn chdef(name: &str, before: &Attrs, wanted: &Attrs) -> Run {
    let mut pairs: Vec<String> = wanted
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.extend(before.keys().filter(|key| !wanted.contains_key(*key)).map(|key| format!("{key}=")));
    Run {
        script: script(&format!(
            "xc_run command xcat chdef -t osimage -o {} {}\n{}",
            quote(name),
            common::words(&pairs),
            read_back(name)
        )),
        ..Run::default()
    }
}

fn mkdef(name: &str, wanted: &Attrs, replace: bool) -> Run {
    let force = if replace { " -f" } else { "" };
    let body = format!(
        "exec 9<&0\nx_mkdef() {{ xcat mkdef -z{force} <&9; }}\nxc_run command x_mkdef\n{}",
        read_back(name)
    );
    Run {
        script: script(&body),
        stdin: Some(Content::bytes(parse::stanza(name, "osimage", wanted).into_bytes())),
        ..Run::default()
    }
}

fn absent(name: &str, current: Option<&Attrs>) -> Prediction {
    let mut result = Map::new();
    result.insert("name", name);
    let Some(current) = current else { return Prediction::same(result) };
    let body = format!("xc_run command xcat rmdef -t osimage -o {}\n{}", quote(name), read_back(name));
    let diff = common::attrs_diff(&format!("osimage {name}"), &comparable(current), &Attrs::new());
    Prediction::change(result, vec![Action::run(script(&body))]).touch(row(name, None)).diff(diff)
}

#[cfg(test)]
mod tests {
    use super::super::common::tests::{after, with_call, with_world};
    use super::super::sh::tests::printed;
    use super::*;
    use crate::modules::Effect;
    use serde_json::json;

    const COMPUTE: &str = "# <xCAT data object stanza file>\n\nrhels9.4-x86_64-netboot-compute:\n    objtype=osimage\n    \
        imagetype=linux\n    osarch=x86_64\n    profile=compute\n    provmethod=netboot\n    \
        rootimgdir=/install/netboot/rhels9.4/x86_64/compute\n";

    fn plan(args: serde_json::Value, images: &str, check: bool) -> Result<Prediction, Failure> {
        let seen = printed(&[("osimages", images, 0, "")]);
        with_call(&Osimage, args, check, |call| Osimage.plan(call, &seen))
    }

    fn stdin(prediction: &Prediction) -> String {
        match prediction.change.as_ref().and_then(|c| c.actions.first()) {
            Some(Action::Run(Run { stdin: Some(Content::Bytes(bytes)), .. })) => {
                String::from_utf8_lossy(bytes).into()
            }
            other => panic!("no stdin: {other:?}"),
        }
    }

    fn clone() -> serde_json::Value {
        json!({
            "name": "mine",
            "template": ["rhels9.4-x86_64-netboot-service", "rhels9.4-x86_64-netboot-compute"],
            "attributes": { "profile": "service", "postscripts": ["servicenode"], "rootimgdir": "/install/netboot/mine" },
        })
    }

    #[test]
    fn clones_the_first_template_that_exists() {
        let prediction = plan(clone(), COMPUTE, false).expect("planned");
        assert_eq!(
            stdin(&prediction),
            "mine:\n    objtype=osimage\n    imagetype=linux\n    osarch=x86_64\n    postscripts=servicenode\n    \
             profile=service\n    provmethod=netboot\n    rootimgdir=/install/netboot/mine\n"
        );
        assert_eq!(
            prediction.result.get("reasons").map(|r| r.to_text()).as_deref(),
            Some("['the osimage mine does not exist']")
        );
    }

    #[test]
    fn predicts_a_clone_of_what_does_not_exist_yet_but_does_not_make_one() {
        let none = "Could not find any object definitions to display.\n";
        let prediction = plan(clone(), none, true).expect("predicted");
        assert_eq!(prediction.effect, Effect::Change);
        let failure = plan(clone(), none, false).expect_err("refused");
        assert_eq!(
            failure.msg,
            "none of the osimages to clone exists: rhels9.4-x86_64-netboot-service, rhels9.4-x86_64-netboot-compute"
        );
    }

    #[test]
    fn a_later_step_sees_the_row_of_an_earlier_one() {
        let first = plan(clone(), COMPUTE, true).expect("planned");
        let world = after(first.touches);
        let seen = printed(&[("osimages", COMPUTE, 0, "")]);
        let next = |attributes: serde_json::Value| {
            let args = json!({ "name": "mine", "attributes": attributes });
            with_world(&Osimage, args, true, &world, |call| Osimage.plan(call, &seen)).expect("planned")
        };
        assert_eq!(next(json!({ "profile": "service" })).effect, Effect::Same);
        let more = next(json!({ "exlist": "/custom/x" }));
        assert_eq!(more.result.get("reasons").map(|r| r.to_text()).as_deref(), Some("['exlist differs']"));
        // What a template holds that is not there yet is not made up.
        let unknown =
            plan(clone(), "Could not find any object definitions to display.\n", true).expect("planned");
        assert_eq!(unknown.touches, [Touch::Thing(thing("mine"))]);
        let world = after(unknown.touches);
        let args = json!({ "name": "mine", "attributes": { "exlist": "/x" } });
        let none = printed(&[("osimages", "Could not find any object definitions to display.\n", 0, "")]);
        let next =
            with_world(&Osimage, args, true, &world, |call| Osimage.plan(call, &none)).expect("planned");
        assert_eq!(next.touches, [Touch::Thing(thing("mine"))]);
    }

    #[test]
    fn sets_only_what_differs_and_ignores_permission() {
        let image = format!("{COMPUTE}    permission=755\n    exlist=/old\n");
        let args = json!({ "name": "rhels9.4-x86_64-netboot-compute", "attributes": { "exlist": "/new", "osarch": "x86_64", "addkcmdline": "a=b c" } });
        let prediction = plan(args, &image, false).expect("planned");
        let Some(Action::Run(run)) = prediction.change.as_ref().and_then(|c| c.actions.first()) else {
            panic!()
        };
        assert!(run.script.contains(
            "xc_run command xcat chdef -t osimage -o 'rhels9.4-x86_64-netboot-compute' 'addkcmdline=a=b c' 'exlist=/new'\n"
        ));
        let same = json!({ "name": "rhels9.4-x86_64-netboot-compute", "attributes": { "exlist": "/old" } });
        assert_eq!(plan(same, &image, false).expect("planned").effect, Effect::Same);
    }

    #[test]
    fn refuses_a_shared_rootimgdir() {
        let args = json!({ "name": "mine", "template": ["rhels9.4-x86_64-netboot-compute"], "attributes": { "profile": "service" } });
        let failure = plan(args, COMPUTE, false).expect_err("refused");
        assert_eq!(
            failure.msg,
            "the osimages mine and rhels9.4-x86_64-netboot-compute would share the rootimgdir \
             /install/netboot/rhels9.4/x86_64/compute and overwrite each other; give mine its own"
        );
    }

    #[test]
    fn warns_of_a_rootimgdir_that_a_statelite_image_has_too() {
        let lite =
            COMPUTE.replace("netboot-compute:", "statelite-compute:").replace("=netboot", "=statelite");
        let args = json!({ "name": "mine", "template": ["rhels9.4-x86_64-statelite-compute"], "attributes": { "provmethod": "netboot" } });
        assert_eq!(
            plan(args, &lite, false).expect("planned").warnings,
            [
                "the osimage rhels9.4-x86_64-statelite-compute has the same rootimgdir /install/netboot/rhels9.4/x86_64/compute"
            ]
        );
    }

    #[test]
    fn a_success_that_changed_nothing_is_a_failure() {
        let prediction = plan(clone(), COMPUTE, false).expect("planned");
        let out = |definition: &str| {
            let seen = printed(&[
                ("command", "1 object definitions have been created or modified.\n", 0, ""),
                ("definition", definition, 0, ""),
            ]);
            Output { stdout: seen.stdout, ..Output::default() }
        };
        let finish = |definition: &str| {
            with_call(&Osimage, clone(), false, |call| {
                Osimage.finish(call, prediction.clone(), &[out(definition)])
            })
        };
        let good = stdin(&prediction);
        assert!(finish(&good).expect("made").changed);
        let failure = finish(&good.replace("profile=service", "profile=compute")).expect_err("refused");
        assert_eq!(
            failure.msg,
            "xCAT reported success, but in the osimage mine profile is \"compute\" instead of \"service\""
        );
        let failure = finish("No object definitions have been found\n").expect_err("refused");
        assert!(failure.msg.contains("the osimage mine does not exist"), "{}", failure.msg);
    }
}
