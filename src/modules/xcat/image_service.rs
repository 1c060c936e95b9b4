//! `xcat_image_service`: services off (or on) in an image's tree, offline, with the state read back by looking.
//!
//! Exit codes tell nothing here: `systemctl disable` of an absent unit is 0 or 1 by version, `is-enabled` of several
//! units is 0 when any is enabled.

use super::common::{self, NAMESPACES};
use super::osimage::check_name;
use super::relations;
use super::sh::{Sections, add, quote, script};
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Locks, Module, ModuleSpec, Outcome, Prediction, Relations, Rule,
    Seen,
};
use crate::transport::Output;
use crate::value::Map;

pub struct ImageService;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_image_service",
    namespaces: NAMESPACES,
    about: "Disables or enables services in the root tree of a diskless image; a service that is absent is fine",
    args: &[
        ArgSpec::new("image", ArgKind::Str, "Name of the osimage"),
        ArgSpec::new("rootimgdir", ArgKind::Path, "The image's directory, when there is no osimage to ask"),
        ArgSpec::new("services", ArgKind::StrList, "Services: units of systemd, or init scripts")
            .required()
            .aliases(&["name"]),
        ArgSpec::new("enabled", ArgKind::Bool, "Whether they shall start at boot").default("false"),
    ],
    rules: &[Rule::OneOf(&["image", "rootimgdir"])],
    returns: &[("services", "each service with its state: enabled, disabled, masked or absent")],
    ..ModuleSpec::BASE
};

/// Prints `SERVICE MANAGER STATE` for the services given as words.
const LOOK: &str = r#"x_state() {
  x_u=$1
  case $x_u in *.service|*.socket|*.timer|*.target|*.path|*.mount) ;; *) x_u=$x_u.service ;; esac
  for x_d in etc/systemd/system usr/lib/systemd/system lib/systemd/system; do
    [ -e "$t/$x_d/$x_u" ] || [ -L "$t/$x_d/$x_u" ] || continue
    case $(readlink "$t/$x_d/$x_u") in /dev/null) echo "$1 systemd masked"; return ;; esac
    x_l=$(find "$t/etc/systemd/system" -name "$x_u" \( -path '*.wants/*' -o -path '*.requires/*' \) | sed -n 1p)
    if [ -n "$x_l" ]; then echo "$1 systemd enabled"; else echo "$1 systemd disabled"; fi
    return
  done
  for x_d in etc/rc.d etc; do
    [ -e "$t/$x_d/init.d/$1" ] || continue
    for x_l in "$t/$x_d"/rc[2345].d/S[0-9][0-9]"$1"; do
      if [ -e "$x_l" ] || [ -L "$x_l" ]; then echo "$1 init enabled"; return; fi
    done
    echo "$1 init disabled"
    return
  done
  echo "$1 none absent"
}
x_states() { for x_s; do x_state "$x_s"; done; }
"#;

/// Turns services off or on; `$1` is `disable` or `enable`.
const CHANGE: &str = r#"x_change() {
  x_verb=$1; shift
  for x_s; do
    case $(x_state "$x_s") in
    *' systemd '*)
      x_u=$x_s
      case $x_u in *.service|*.socket|*.timer|*.target|*.path|*.mount) ;; *) x_u=$x_u.service ;; esac
      if command -v systemctl >/dev/null 2>&1; then systemctl --root="$t" "$x_verb" "$x_u"
      elif [ "$x_verb" = enable ]; then chroot "$t" systemctl enable "$x_u"; fi
      if [ "$x_verb" = disable ]; then
        find "$t/etc/systemd/system" -name "$x_u" \( -path '*.wants/*' -o -path '*.requires/*' \) -exec rm -f {} +
      fi ;;
    *' init '*)
      x_on=off; [ "$x_verb" = disable ] || x_on=on
      chroot "$t" chkconfig "$x_s" "$x_on" || chroot "$t" /sbin/chkconfig "$x_s" "$x_on"
      if [ "$x_verb" = disable ]; then
        for x_l in "$t"/etc/rc.d/rc[2345].d/S[0-9][0-9]"$x_s" "$t"/etc/rc[2345].d/S[0-9][0-9]"$x_s"; do
          [ -L "$x_l" ] || [ -e "$x_l" ] || continue
          rm -f "$x_l"
        done
      fi ;;
    esac
  done
}
"#;

impl Module for ImageService {
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
        let services = services(call)?;
        let mut body = begin(call)?;
        add(
            &mut body,
            format_args!(
                "if [ -d \"$t/etc\" ]; then xc_run states x_states {}; fi",
                common::words(&services)
            ),
        );
        Ok(Some(script(&body)))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let services = services(call)?;
        let sections = Sections::of_probe(seen)?;
        let root = sections.line("tree").to_string();
        let mut result = Map::new();
        if sections.get("states").is_none() {
            common::unless_predicting(call, || {
                Failure::new(match root.trim_end_matches("/rootimg") {
                    "" => {
                        format!("the osimage {} does not exist", call.args.str("image").unwrap_or_default())
                    }
                    _ => format!("the tree {root} does not exist: run genimage first"),
                })
            })?;
            let cause = "the image's tree does not exist yet";
            result.insert("services", crate::value::Value::unknown(cause));
            result.insert("reasons", vec![cause]);
            return Ok(Prediction::unknown(result, Vec::new()));
        }
        let states = states(&sections);
        let differing: Vec<&(String, String)> =
            states.iter().filter(|(_, state)| !fits(call, state)).collect();
        result.insert("services", services_value(&states));
        let enabled = call.args.flag("enabled");
        if differing.is_empty() {
            let image = call.args.str("image").unwrap_or_default();
            if let Some(cause) = relations::changed_first(call, relations::TREE, image) {
                result.insert("reasons", vec![cause]);
                return Ok(Prediction::unknown(result, Vec::new()));
            }
            return Ok(Prediction::same(result));
        }
        let names: Vec<&str> = differing.iter().map(|(name, _)| name.as_str()).collect();
        let mut body = begin(call)?;
        body.push_str(CHANGE);
        add(
            &mut body,
            format_args!(
                "xc_run change x_change {} {}\nxc_run states x_states {}",
                if enabled { "enable" } else { "disable" },
                common::words(&names),
                common::words(&services)
            ),
        );
        let after = if enabled { "enabled" } else { "disabled" };
        let diff = common::state_diff(
            &format!("services in {root}"),
            differing.iter().map(|(name, state)| (name.as_str(), state.clone(), after.to_string())),
        );
        Ok(Prediction::change(result, vec![Action::run(script(&body))]).diff(diff))
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if ran.is_empty() {
            return Ok(prediction.into_outcome());
        }
        let sections = Sections::of_change(ran, 0)?;
        let states = states(&sections);
        let wrong: Vec<String> = states
            .iter()
            .filter(|(_, s)| !fits(call, s))
            .map(|(name, s)| format!("{name} is still {s}"))
            .collect();
        if !wrong.is_empty() || states.is_empty() {
            let said = sections.get("change").cloned().unwrap_or_default();
            return Err(Failure::new(format!("in {} {}", sections.line("tree"), common::listed(&wrong)))
                .with("stdout", said.out)
                .with("stderr", said.err));
        }
        let mut outcome = prediction.into_outcome();
        outcome.result.insert("services", services_value(&states));
        Ok(outcome)
    }
}

fn services(call: &Call) -> Result<Vec<String>, Failure> {
    let services = call.args.texts("services");
    let plain = |s: &String| {
        !s.is_empty()
            && !s.starts_with(['-', '.'])
            && s.chars().all(|c| c.is_ascii_alphanumeric() || "._@:-".contains(c))
    };
    match services.iter().find(|s| !plain(s)) {
        Some(bad) => Err(Failure::new(format!("{bad:?} cannot be the name of a service"))),
        None => Ok(services),
    }
}

fn begin(call: &Call) -> Result<String, Failure> {
    let mut body = String::from("xc_def=\n");
    if let Some(image) = call.args.str("image").filter(|i| !i.is_empty()) {
        check_name(image)?;
        add(&mut body, format_args!("xc_image {}\n", quote(image)));
    }
    let fallback = call.args.str("rootimgdir").unwrap_or_default().trim_end_matches('/');
    if !fallback.is_empty() && !fallback.starts_with('/') {
        return Err(Failure::new(format!("rootimgdir must be absolute, got {fallback:?}")));
    }
    // Without a directory the tree would be that of the host itself.
    add(
        &mut body,
        format_args!(
            "r=$(xc_attr rootimgdir)\nr=${{r:-{}}}\nt=${{r%/}}/rootimg\nxc_say tree \"$t\"\n[ \"$t\" != /rootimg ] || exit 0\n",
            quote(fallback)
        ),
    );
    body.push_str(LOOK);
    Ok(body)
}

fn states(sections: &Sections) -> Vec<(String, String)> {
    sections
        .text("states")
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (name, _, state) = (words.next()?, words.next()?, words.next()?);
            Some((name.to_string(), state.to_string()))
        })
        .collect()
}

fn services_value(states: &[(String, String)]) -> Map {
    states.iter().map(|(name, state)| (name.as_str(), state.as_str())).collect()
}

fn fits(call: &Call, state: &str) -> bool {
    if call.args.flag("enabled") { state == "enabled" } else { state != "enabled" }
}

#[cfg(test)]
mod tests {
    use super::super::common::tests::with_call;
    use super::super::sh::tests::{run_with, seen};
    use super::*;
    use crate::modules::Effect;
    use serde_json::json;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    fn put(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("set");
    }

    fn converge(dir: &Path, services: &[&str], sh: &str) -> (Effect, String) {
        let args = json!({ "rootimgdir": dir.to_string_lossy(), "services": services });
        // Neither systemctl nor chroot of this machine may be touched.
        let empty = dir.join("bin");
        let path = format!("PATH={}:$PATH:", empty.to_string_lossy());
        put(&empty.join("systemctl"), "#!/bin/sh\necho \"Failed to disable unit\" >&2\nexit 1\n");
        put(
            &empty.join("chroot"),
            "#!/bin/sh\necho \"chroot: failed to run command 'chkconfig'\" >&2\nexit 127\n",
        );
        with_call(&ImageService, args, false, |call| {
            let probe = ImageService.probe(call).expect("probed").expect("a script");
            let replace = [("PATH=$PATH:", path.as_str())];
            let prediction =
                ImageService.plan(call, &seen(&run_with(sh, &probe, &replace))).expect("planned");
            let effect = prediction.effect.clone();
            let ran: Vec<Output> = prediction
                .change
                .iter()
                .flat_map(|c| &c.actions)
                .map(|a| match a {
                    Action::Run(run) => run_with(sh, &run.script, &replace),
                    other => panic!("{other:?}"),
                })
                .collect();
            let outcome = ImageService.finish(call, prediction, &ran).expect("done");
            (effect, outcome.result.get("services").expect("there").to_text())
        })
    }

    #[test]
    fn systemd_units_are_switched_off_whatever_systemctl_says() {
        let dir = tempfile::tempdir().expect("a folder");
        let t = dir.path().join("rootimg");
        put(&t.join("usr/lib/systemd/system/dhcpd.service"), "[Unit]\n");
        put(&t.join("usr/lib/systemd/system/dhcrelay.service"), "[Unit]\n");
        std::fs::create_dir_all(t.join("etc/systemd/system/multi-user.target.wants")).expect("made");
        symlink(
            "/usr/lib/systemd/system/dhcpd.service",
            t.join("etc/systemd/system/multi-user.target.wants/dhcpd.service"),
        )
        .expect("linked");
        let off = "{'dhcpd': 'disabled', 'dhcrelay': 'disabled', 'kea-dhcp4': 'absent'}";
        let services = ["dhcpd", "dhcrelay", "kea-dhcp4"];
        assert_eq!(converge(dir.path(), &services, "sh"), (Effect::Change, off.into()));
        assert_eq!(converge(dir.path(), &services, "bash"), (Effect::Same, off.into()));
    }

    #[test]
    fn init_scripts_are_switched_off() {
        let dir = tempfile::tempdir().expect("a folder");
        let t = dir.path().join("rootimg/etc/rc.d");
        put(&t.join("init.d/dhcpd"), "#!/bin/sh\n");
        std::fs::create_dir_all(t.join("rc3.d")).expect("made");
        symlink("../init.d/dhcpd", t.join("rc3.d/S65dhcpd")).expect("linked");
        assert_eq!(converge(dir.path(), &["dhcpd"], "sh"), (Effect::Change, "{'dhcpd': 'disabled'}".into()));
        assert_eq!(converge(dir.path(), &["dhcpd"], "sh").0, Effect::Same);
    }

    #[test]
    fn without_a_tree_it_is_unknown_in_a_plan_and_refused_in_a_run() {
        let args = json!({ "rootimgdir": "/nosuch", "services": ["dhcpd"] });
        let plan = |check| {
            with_call(&ImageService, args.clone(), check, |call| {
                let probe = ImageService.probe(call).expect("probed").expect("a script");
                ImageService.plan(call, &seen(&run_with("sh", &probe, &[])))
            })
        };
        assert_eq!(plan(true).expect("predicted").effect, Effect::Unknown);
        assert_eq!(
            plan(false).expect_err("refused").msg,
            "the tree /nosuch/rootimg does not exist: run genimage first"
        );
    }
}
