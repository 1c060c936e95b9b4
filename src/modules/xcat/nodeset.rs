//! `xcat_nodeset`: nodes set to boot an image, only those whose boot files differ, each read back.
//!
//! `nodeset` changes a node's `arch` to the image's even when it fails, so the architecture is checked before; and the
//! current state cannot tell two images of one system and profile apart, so the boot file itself is read.

use std::collections::BTreeMap;

use super::common::{self, ARCHIVES, NAMESPACES};
use super::osimage::check_name;
use super::parse::{self, Attrs};
use super::relations;
use super::sh::{Sections, add, quote, script};
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Locks, Module, ModuleSpec, Outcome, Prediction, Relations, Run,
    Seen,
};
use crate::transport::Output;
use crate::value::Map;

pub struct Nodeset;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_nodeset",
    namespaces: NAMESPACES,
    about: "Sets nodes to boot a diskless osimage; nodes whose boot files are right are left alone",
    args: &[
        ArgSpec::new("nodes", ArgKind::StrList, "Node range").required().aliases(&["noderange"]),
        ArgSpec::new("image", ArgKind::Str, "Name of the osimage").required().aliases(&["osimage"]),
        ArgSpec::new(
            "noupdateinitrd",
            ArgKind::Bool,
            "Leave kernel and initial ramdisk in the tftp directory as they are",
        )
        .default("false"),
        ArgSpec::new("force", ArgKind::Bool, "Set nodes that are right too").default("false"),
        ArgSpec::new(
            "archive",
            ArgKind::Path,
            "For plans: the archive that an earlier step will have packed",
        ),
        ArgSpec::new("timeout", ArgKind::Int, "Seconds that it may take").default("1800"),
    ],
    returns: &[
        ("changed_nodes", "nodes that were or would be set, each with the reason"),
        ("nodes", "each node with its state afterwards"),
        ("boot_image", "the file that the nodes load"),
    ],
    ..ModuleSpec::BASE
};

/// Prints the boot file of every node; `x_nodes` holds `lsdef -c` lines, `x_tftp` the directory.
const LOOK: &str = r#"x_get() { printf '%s\n' "$x_nodes" | sed -n "s/^$1: $2=//p" | sed -n 1p; }
x_path() {
  case $(x_get "$1" netboot) in
  xnba) echo "$x_tftp/xcat/xnba/nodes/$1" ;;
  pxe) echo "$x_tftp/pxelinux.cfg/$1" ;;
  yaboot) echo "$x_tftp/etc/$1" ;;
  petitboot) echo "$x_tftp/petitboot/$1" ;;
  grub2*) echo "$x_tftp/boot/grub2/$1" ;;
  *) for x_p in xcat/xnba/nodes petitboot boot/grub2 pxelinux.cfg etc; do
       if [ -f "$x_tftp/$x_p/$1" ]; then echo "$x_tftp/$x_p/$1"; return; fi
     done
     echo "$x_tftp/xcat/xnba/nodes/$1" ;;
  esac
}
x_remote() {
  x_sn=$1
  x_cmd=
  for x_n in $x_names; do
    case ,$(x_get "$x_n" servicenode), in *,"$x_sn",*) x_cmd="$x_cmd $(x_path "$x_n")" ;; esac
  done
  xc_run "remote $x_sn" xcat xdsh "$x_sn" -t 60 -z "( for f in$x_cmd; do echo \"== \$f\"; cat \"\$f\"; done; true )"
}
x_boot_files() {
  x_sns=
  for x_n in $x_names; do
    x_sn=$(x_get "$x_n" servicenode)
    x_p=$(x_path "$x_n")
    xc_say "path $x_n" "$x_p"
    if [ "$x_shared" = 0 ] && [ -n "$x_sn" ]; then x_sns=$x_sns,$x_sn
    elif [ -f "$x_p" ]; then xc_run "bootfile $x_n" cat "$x_p"; fi
  done
  x_sns=$(printf '%s\n' "$x_sns" | tr , '\n' | sort -u | tr '\n' ',')
  xc_comma x_remote "$x_sns"
}
x_look() {
  xc_cap nodes xcat lsdef "$x_range" -c -i arch,netboot,provmethod,currstate,mac,servicenode
  x_nodes=$xc_out
  [ "$xc_rc" = 0 ] || return
  x_names=$(printf '%s\n' "$x_nodes" | sed -n 's/^\([^: ]*\): arch=.*/\1/p' | sort -u)
  x_boot_files
}
"#;

impl Module for Nodeset {
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
        let mut body = begin(call)?;
        body.push_str(
            "xc_image \"$x_image\"\nx_root=$(xc_attr rootimgdir)\n\
             x_copy=$x_tftp/xcat/osimage/$x_image\nfor f in kernel initrd-stateless.gz; do\n  \
             if [ -f \"$x_copy/$f\" ] && [ -f \"$x_root/$f\" ] && ! cmp -s \"$x_copy/$f\" \"$x_root/$f\"; then xc_say stale \"$x_copy/$f\"; fi\ndone\n",
        );
        add(
            &mut body,
            format_args!(
                "for f in {}; do\n  if [ -f \"$x_root/$f\" ]; then xc_say archive \"$f\"; break; fi\ndone\nx_look",
                ARCHIVES.join(" ")
            ),
        );
        Ok(Some(script(&body)))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let image = image(call)?;
        let sections = Sections::of_probe(seen)?;
        let section = sections.get("nodes").ok_or_else(|| Failure::new("lsdef printed nothing"))?;
        let nodes = common::nodes(section)?;
        let definition = common::definition(call, &sections, image)?;
        let expected = expected(call, image, definition.as_ref(), &sections)?;
        let mut changes: Vec<(String, Vec<String>)> = Vec::new();
        for (node, attrs) in &nodes {
            if let Some(definition) = &definition {
                check_node(call, node, attrs, image, definition)?;
            }
            let mut reasons = match &expected {
                Some(expected) => differing(node, attrs, image, expected, &sections),
                None => vec![format!("the image {image} is not packed yet")],
            };
            if let Some(stale) = sections.get("stale").filter(|_| !call.args.flag("noupdateinitrd")) {
                reasons.push(format!("{} is not the image's", stale.line()));
            }
            if call.args.flag("force") {
                reasons.push("it is forced".into());
            }
            let made_first = relations::changed_first(call, relations::TREE, image).is_some();
            if made_first && reasons.is_empty() && !call.args.flag("noupdateinitrd") {
                reasons.push("an earlier step makes the initial ramdisk anew".into());
            }
            if !reasons.is_empty() {
                changes.push((node.clone(), reasons));
            }
        }
        let mut result = Map::new();
        result.insert("boot_image", expected.as_ref().map(|e| e.path.clone()));
        let states: Map = nodes
            .iter()
            .map(|(n, a)| (n.as_str(), a.get("currstate").cloned().unwrap_or_default()))
            .collect();
        result.insert("nodes", states);
        result.insert(
            "changed_nodes",
            changes.iter().map(|(n, r)| (n.as_str(), r.join("; "))).collect::<Map>(),
        );
        if changes.is_empty() {
            return Ok(Prediction::same(result));
        }
        let names: Vec<&str> = changes.iter().map(|(n, _)| n.as_str()).collect();
        let mut body = begin(call)?;
        let option = if call.args.flag("noupdateinitrd") { " --noupdateinitrd" } else { "" };
        add(
            &mut body,
            format_args!(
                "xc_run nodeset xcat nodeset {} {}{option}\nx_range={}\nx_look",
                quote(&names.join(",")),
                quote(&format!("osimage={image}")),
                quote(&names.join(",")),
            ),
        );
        let run = Run {
            script: script(&body),
            timeout_secs: call.args.int("timeout").and_then(|t| u64::try_from(t).ok()),
            ..Run::default()
        };
        let state =
            |node: &str| nodes.get(node).and_then(|a| a.get("currstate")).cloned().unwrap_or_default();
        let diff = common::state_diff(
            "what nodes boot",
            changes.iter().map(|(n, r)| {
                let before = format!("{} ({})", state(n), r.join("; "));
                (n.as_str(), before.trim_start().to_string(), format!("osimage={image}"))
            }),
        );
        Ok(Prediction::change(result, vec![Action::Run(run)]).diff(diff))
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if ran.is_empty() {
            return Ok(prediction.into_outcome());
        }
        let image = image(call)?;
        let sections = Sections::of_change(ran, 0)?;
        let command = sections.get("nodeset").ok_or_else(|| Failure::new("nodeset was not run"))?;
        let section = sections.get("nodes").ok_or_else(|| Failure::new("lsdef printed nothing"))?;
        let nodes = common::nodes(section)?;
        let mut outcome = prediction.into_outcome();
        let path = outcome.result.get("boot_image").map(|v| v.to_text()).unwrap_or_default();
        // The kernel options were compared before; what counts now is that each node's file names this image.
        let expected = Expected { path, words: Vec::new() };
        let messages = parse::messages(&command.err);
        let mut failed = Vec::new();
        let mut failed_nodes = Vec::new();
        let mut states = Map::new();
        for (node, attrs) in &nodes {
            states.insert(node.as_str(), attrs.get("currstate").cloned().unwrap_or_default());
            let left = differing(node, attrs, image, &expected, &sections);
            if left.is_empty() {
                continue;
            }
            let said: Vec<&str> = messages
                .iter()
                .filter(|m| !m.warning && m.node.as_deref() == Some(node))
                .map(|m| m.text.as_str())
                .collect();
            let why = if said.is_empty() { left.join("; ") } else { said.join("; ") };
            failed.push(format!("{node}: {why}"));
            failed_nodes.push(node.clone());
        }
        outcome.result.insert("nodes", states);
        let general: Vec<&str> =
            messages.iter().filter(|m| !m.warning && m.node.is_none()).map(|m| m.text.as_str()).collect();
        if !failed.is_empty() {
            let also = if general.is_empty() { String::new() } else { format!(" ({})", general.join("; ")) };
            return Err(Failure::new(format!(
                "nodeset osimage={image} did not set {} of {} nodes: {}{also}",
                failed.len(),
                nodes.len(),
                failed.join("; ")
            ))
            .with("failed_nodes", failed_nodes)
            .with("rc", command.rc)
            .with("stdout", command.out.clone())
            .with("stderr", command.err.clone()));
        }
        // Every node was read back, so an error left over concerns something else: a service node that is down.
        for text in messages.iter().map(|m| m.text.clone()) {
            outcome.warnings.push(text);
        }
        outcome.result.insert("stdout", command.out.clone());
        Ok(outcome)
    }
}

/// What a boot file must name.
struct Expected {
    path: String,
    words: Vec<String>,
}

fn image<'a>(call: &'a Call) -> Result<&'a str, Failure> {
    let image = call.args.str("image").unwrap_or_default();
    check_name(image)?;
    Ok(image)
}

fn begin(call: &Call) -> Result<String, Failure> {
    Ok(format!(
        "x_range={}\nx_image={}\nxc_cap site xcat tabdump site\n\
         x_site() {{ printf '%s\\n' \"$xc_site\" | sed -n \"s/^\\\"$1\\\",\\\"\\([^\\\"]*\\)\\\".*/\\1/p\" | sed -n 1p; }}\n\
         xc_site=$xc_out\nx_tftp=$(x_site tftpdir)\nx_tftp=${{x_tftp:-/tftpboot}}\nx_shared=$(x_site sharedtftp)\n\
         case $x_shared in [nN]*) x_shared=0 ;; esac\n{LOOK}",
        quote(&common::noderange(call, "nodes")?),
        quote(image(call)?),
    ))
}

fn expected(
    call: &Call,
    image: &str,
    definition: Option<&Attrs>,
    sections: &Sections,
) -> Result<Option<Expected>, Failure> {
    let Some(definition) = definition else {
        common::unless_predicting(call, || Failure::new(format!("the osimage {image} does not exist")))?;
        return Ok(None);
    };
    let get = |key: &str| definition.get(key).map(String::as_str).unwrap_or_default();
    if get("provmethod") != "netboot" {
        return Err(Failure::new(format!(
            "the osimage {image} has provmethod={}, not netboot",
            get("provmethod")
        )));
    }
    let root = get("rootimgdir").trim_end_matches('/');
    let archive = sections.line("archive");
    if archive.is_empty() {
        common::unless_predicting(call, || {
            Failure::new(format!("the image {image} is not packed: {root} holds no rootimg archive"))
        })?;
        return Ok(None);
    }
    let words =
        get("addkcmdline").split_whitespace().filter(|w| !w.starts_with("R::")).map(str::to_string).collect();
    let path = match call.args.str("archive").filter(|a| common::predicting(call) && !a.is_empty()) {
        Some(later) => later.to_string(),
        None => format!("{root}/{archive}"),
    };
    Ok(Some(Expected { path, words }))
}

fn check_node(
    call: &Call,
    node: &str,
    attrs: &Attrs,
    image: &str,
    definition: &Attrs,
) -> Result<(), Failure> {
    let get = |key: &str| attrs.get(key).map(String::as_str).unwrap_or_default();
    let osarch = definition.get("osarch").map(String::as_str).unwrap_or_default();
    if get("arch") != osarch {
        return Err(Failure::new(format!(
            "the node {node} has arch={}, but the image {image} is for {osarch}; nodeset would change the node's arch",
            get("arch")
        )));
    }
    for needed in ["netboot", "mac"] {
        if get(needed).is_empty() {
            common::unless_predicting(call, || {
                Failure::new(format!("the node {node} has no {needed}: nodeset needs it"))
            })?;
        }
    }
    Ok(())
}

/// Returns why a node does not boot this image.
fn differing(
    node: &str,
    attrs: &Attrs,
    image: &str,
    expected: &Expected,
    sections: &Sections,
) -> Vec<String> {
    let get = |key: &str| attrs.get(key).map(String::as_str).unwrap_or_default();
    let mut reasons = Vec::new();
    if get("provmethod") != image {
        reasons.push(match get("provmethod") {
            "" => "it has no provmethod".to_string(),
            other => format!("its provmethod is {other}"),
        });
    }
    if !get("currstate").starts_with("netboot ") {
        reasons.push(match get("currstate") {
            "" => "it is not set to netboot".to_string(),
            other => format!("it is set to {other}"),
        });
    }
    let path = sections.line(&format!("path {node}"));
    for (place, text) in boot_files(node, path, get("servicenode"), sections) {
        let on = place.map(|p| format!(" on {p}")).unwrap_or_default();
        let Some(text) = text else {
            reasons.push(format!("{path}{on} does not exist"));
            continue;
        };
        match parse::image_path(&text) {
            Some(found) if found == expected.path => {}
            Some(found) => reasons.push(format!("{path}{on} loads {found}")),
            None => reasons.push(format!("{path}{on} loads no image")),
        }
        let words = parse::kernel_words(&text);
        let missing: Vec<&String> = expected.words.iter().filter(|w| !words.contains(w)).collect();
        if !missing.is_empty() {
            reasons.push(format!("{path}{on} lacks {}", common::listed(&missing)));
        }
    }
    reasons
}

/// Returns the boot file's text here, or on each service node that keeps its own.
fn boot_files<'a>(
    node: &str,
    path: &str,
    servicenode: &'a str,
    sections: &Sections,
) -> Vec<(Option<&'a str>, Option<String>)> {
    let mut found = Vec::new();
    for sn in servicenode.split(',').filter(|sn| !sn.is_empty()) {
        let Some(section) = sections.get(&format!("remote {sn}")) else { continue };
        let answers: BTreeMap<String, parse::Answer> = parse::answers(&section.out);
        let text = answers.get(sn).and_then(|answer| {
            let start = answer.lines.iter().position(|l| *l == format!("== {path}"))? + 1;
            let end = answer.lines[start..]
                .iter()
                .position(|l| l.starts_with("== "))
                .map_or(answer.lines.len(), |e| start + e);
            (end > start).then(|| answer.lines[start..end].join("\n"))
        });
        found.push((Some(sn), text));
    }
    if found.is_empty() {
        found.push((
            None,
            sections.get(&format!("bootfile {node}")).filter(|s| s.rc == 0).map(|s| s.out.clone()),
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::common::tests::{after, with_call, with_world};
    use super::super::sh::tests::printed;
    use super::*;
    use crate::modules::{Effect, Thing, Touch};
    use serde_json::json;

    const IMAGE: &str = "myservice:\n    objtype=osimage\n    addkcmdline=console=ttyS0 R::quiet\n    osarch=x86_64\n    provmethod=netboot\n    rootimgdir=/install/netboot/my\n";

    fn boot_file(image: &str, words: &str) -> String {
        format!(
            "#!gpxe\nimgargs kernel imgurl=http://10.20.0.1:80//install/netboot/{image}/rootimg.cpio.gz XCAT=10.20.0.1:3001 NODE=sn1 {words}\n"
        )
    }

    fn node(name: &str, arch: &str, provmethod: &str) -> String {
        format!(
            "{name}: arch={arch}\n{name}: currstate=netboot rhels9.4-x86_64-service\n{name}: mac=52:54:00:00:00:01\n{name}: netboot=xnba\n{name}: provmethod={provmethod}\n{name}: servicenode=\n"
        )
    }

    fn args() -> serde_json::Value {
        json!({ "nodes": "service", "image": "myservice" })
    }

    fn plan(nodes: &str, files: &[(&str, &str)], check: bool) -> Result<Prediction, Failure> {
        let mut sections = vec![
            ("definition", IMAGE, 0, ""),
            ("archive", "rootimg.cpio.gz\n", 0, ""),
            ("nodes", nodes, 0, ""),
        ];
        let names: Vec<String> = files.iter().map(|(n, _)| format!("bootfile {n}")).collect();
        for ((_, text), name) in files.iter().zip(&names) {
            sections.push((name, text, 0, ""));
        }
        sections.push(("path sn1", "/tftpboot/xcat/xnba/nodes/sn1\n", 0, ""));
        sections.push(("path sn2", "/tftpboot/xcat/xnba/nodes/sn2\n", 0, ""));
        with_call(&Nodeset, args(), check, |call| Nodeset.plan(call, &printed(&sections)))
    }

    #[test]
    fn sets_only_nodes_that_differ() {
        let nodes = format!("{}{}", node("sn1", "x86_64", "myservice"), node("sn2", "x86_64", "other"));
        let (good, bad) = (boot_file("my", "console=ttyS0"), boot_file("other", ""));
        let prediction = plan(&nodes, &[("sn1", &good), ("sn2", &bad)], false).expect("planned");
        assert_eq!(
            prediction.result.get("changed_nodes").map(|v| v.to_text()).as_deref(),
            Some(
                "{'sn2': 'its provmethod is other; /tftpboot/xcat/xnba/nodes/sn2 loads /install/netboot/other/rootimg.cpio.gz; /tftpboot/xcat/xnba/nodes/sn2 lacks console=ttyS0'}"
            )
        );
        let Some(Action::Run(run)) = prediction.change.as_ref().and_then(|c| c.actions.first()) else {
            panic!()
        };
        assert!(run.script.contains("xc_run nodeset xcat nodeset 'sn2' 'osimage=myservice'\n"));
        let nodes = node("sn1", "x86_64", "myservice");
        assert_eq!(plan(&nodes, &[("sn1", &good)], false).expect("planned").effect, Effect::Same);
    }

    #[test]
    fn refuses_another_architecture() {
        let failure = plan(&node("sn1", "ppc64", "x"), &[], true).expect_err("refused");
        assert_eq!(
            failure.msg,
            "the node sn1 has arch=ppc64, but the image myservice is for x86_64; nodeset would change the node's arch"
        );
    }

    #[test]
    fn predicts_before_the_image_exists() {
        let seen = printed(&[
            ("definition", "No object definitions have been found\n", 1, ""),
            ("nodes", &node("sn1", "x86_64", ""), 0, ""),
        ]);
        let plan = |check| with_call(&Nodeset, args(), check, |call| Nodeset.plan(call, &seen));
        assert_eq!(plan(true).expect("predicted").effect, Effect::Change);
        assert_eq!(plan(false).expect_err("refused").msg, "the osimage myservice does not exist");
    }

    #[test]
    fn predicts_what_earlier_steps_will_make_necessary() {
        let nodes = node("sn1", "x86_64", "myservice");
        let good = boot_file("my", "console=ttyS0");
        let seen = printed(&[
            ("definition", IMAGE, 0, ""),
            ("archive", "rootimg.cpio.gz\n", 0, ""),
            ("nodes", &nodes, 0, ""),
            ("bootfile sn1", &good, 0, ""),
            ("path sn1", "/t/sn1\n", 0, ""),
        ]);
        let reasons = |more: serde_json::Value, check| {
            let mut all = args();
            if let (Some(all), Some(more)) = (all.as_object_mut(), more.as_object()) {
                all.extend(more.clone());
            }
            let plan = with_call(&Nodeset, all, check, |call| Nodeset.plan(call, &seen)).expect("planned");
            plan.result.get("changed_nodes").map(|v| v.to_text()).unwrap_or_default()
        };
        let packed = json!({ "archive": "/install/netboot/my/rootimg.tar.gz" });
        assert_eq!(
            reasons(packed.clone(), true),
            "{'sn1': '/t/sn1 loads /install/netboot/my/rootimg.cpio.gz'}"
        );
        assert_eq!(reasons(packed, false), "{}", "a run looks at what is there");
        let tree = Thing { kind: relations::TREE, name: "myservice".into() };
        let world = after(vec![Touch::Thing(tree)]);
        let made = with_world(&Nodeset, args(), true, &world, |call| Nodeset.plan(call, &seen));
        assert_eq!(
            made.expect("planned").result.get("changed_nodes").map(|v| v.to_text()),
            Some("{'sn1': 'an earlier step makes the initial ramdisk anew'}".into())
        );
    }

    #[test]
    fn names_the_node_that_was_not_set() {
        let nodes = format!("{}{}", node("sn1", "x86_64", ""), node("sn2", "x86_64", ""));
        let prediction = plan(&nodes, &[], false).expect("planned");
        let now = format!("{}{}", node("sn1", "x86_64", "myservice"), node("sn2", "x86_64", "myservice"));
        let seen = printed(&[
            (
                "nodeset",
                "sn1: netboot rhels9.4-x86_64-service\n",
                1,
                "sn2: [mn]: Error: No MAC address available for this node\nError: [mn]: Failed to generate xnba configurations for some node(s) on mn.",
            ),
            ("nodes", &now, 0, ""),
            ("path sn1", "/tftpboot/xcat/xnba/nodes/sn1\n", 0, ""),
            ("path sn2", "/tftpboot/xcat/xnba/nodes/sn2\n", 0, ""),
            ("bootfile sn1", &boot_file("my", "console=ttyS0"), 0, ""),
        ]);
        let ran = Output { stdout: seen.stdout, ..Output::default() };
        let failure = with_call(&Nodeset, args(), false, |call| Nodeset.finish(call, prediction, &[ran]))
            .expect_err("failed");
        assert_eq!(
            failure.msg,
            "nodeset osimage=myservice did not set 1 of 2 nodes: sn2: No MAC address available for this node (Failed to \
             generate xnba configurations for some node(s) on mn.)"
        );
    }

    #[test]
    fn boot_files_of_service_nodes_are_read_there() {
        let nodes = "cn1: arch=x86_64\ncn1: currstate=netboot a\ncn1: mac=1\ncn1: netboot=xnba\ncn1: provmethod=myservice\ncn1: servicenode=sn1,sn2\n";
        let remote = format!(
            "sn1: == /t/cn1\nsn1: {}\nsn1: Remote_command_rc = 0\n",
            boot_file("my", "console=ttyS0").trim_end().replace('\n', "\nsn1: ")
        );
        let seen = printed(&[
            ("definition", IMAGE, 0, ""),
            ("archive", "rootimg.cpio.gz\n", 0, ""),
            ("nodes", nodes, 0, ""),
            ("path cn1", "/t/cn1\n", 0, ""),
            ("remote sn1", &remote, 0, ""),
            ("remote sn2", "sn2: == /t/cn1\nsn2: Remote_command_rc = 0\n", 0, ""),
        ]);
        let prediction =
            with_call(&Nodeset, args(), false, |call| Nodeset.plan(call, &seen)).expect("planned");
        assert_eq!(
            prediction.result.get("changed_nodes").map(|v| v.to_text()).as_deref(),
            Some("{'cn1': '/t/cn1 on sn2 does not exist'}")
        );
    }
}
