//! `seboolean`: switches of SELinux's policy.

use super::sh::{Report, q};
use super::tool::missing;
use super::write::attr_diff;
use super::{Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Seen, Thing, Touch};
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "seboolean",
    namespaces: &["ansible.posix"],
    about: "Switches a boolean of SELinux's policy.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The boolean.").required(),
        ArgSpec::new("state", ArgKind::Bool, "Whether it is to be on.").required(),
        ArgSpec::new("persistent", ArgKind::Bool, "Keep it for the next start.").default("no"),
        ArgSpec::new("ignore_selinux_state", ArgKind::Bool, "Also where SELinux is off.").default("no"),
    ],
    returns: &[("name", "the boolean"), ("state", "the argument"), ("persistent", "the argument")],
    ..ModuleSpec::BASE
};

/// Refuses where SELinux is off, unless that does not matter, and where the tool is missing; `advice` says which.
pub fn needs_selinux(call: &Call, report: &Report, advice: &str) -> Result<(), Failure> {
    if report.get("selinux").is_none() && !call.args.flag("ignore_selinux_state") {
        return Err(Failure::new("SELinux is disabled on this host."));
    }
    if report.get("missing").is_some() {
        return Err(missing(call, advice));
    }
    Ok(())
}

pub struct Seboolean;

/// Prints `selinux on` where the kernel enforces or records a policy.
pub const ENABLED: &str =
    "if [ -e /sys/fs/selinux/enforce ] || [ -e /selinux/enforce ]; then printf 'selinux on\\n'; fi\n";

impl Module for Seboolean {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let name = q(call.args.str("name").unwrap_or_default());
        // A persistent value is told by semanage, or by the file that setsebool -P writes.
        Ok(Some(format!(
            "{ENABLED}xp_n={name}\nif xp_o=$(getsebool -- \"$xp_n\" 2>/dev/null); then printf 'now %s\\n' \"${{xp_o##* }}\"; fi\n\
             command -v setsebool >/dev/null 2>&1 || printf 'missing yes\\n'\n\
             if command -v semanage >/dev/null 2>&1; then\n\
             semanage boolean -l -n 2>/dev/null | XP_K=$xp_n awk '$1 == ENVIRON[\"XP_K\"] {{ gsub(/[(),]/, \" \"); print \"kept \" $3 }}'\n\
             else\nfor xp_f in /var/lib/selinux/*/active/booleans.local /etc/selinux/*/modules/active/booleans.local; do\n\
             [ ! -r \"$xp_f\" ] || XP_K=$xp_n awk -F= '$1 == ENVIRON[\"XP_K\"] {{ print \"kept \" ($2 == 1 ? \"on\" : \"off\") }}' \"$xp_f\"\ndone\nfi\n"
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let name = args.str("name").unwrap_or_default();
        let thing = Thing { kind: "seboolean", name: name.to_string() };
        call.needs_same(&thing)?;
        let (state, persistent) = (args.flag("state"), args.flag("persistent"));
        needs_selinux(call, &report, "there is no setsebool on the target; install policycoreutils")?;
        let result: Map =
            ["name", "state", "persistent"].iter().filter_map(|k| Some((*k, args.get(k)?.clone()))).collect();
        let word = if state { "on" } else { "off" };
        let now = report.get("now");
        if now.is_none() && report.get("selinux").is_some() {
            return Err(Failure::new(format!("SELinux boolean {name} does not exist.")));
        }
        // Without a record of its own the persistent value is the one that runs.
        let kept = report.get("kept").or(now);
        let differs = now.is_some_and(|n| n != word);
        let keeps = !persistent || kept == Some(word);
        if !differs && keeps {
            return Ok(Prediction::same(result));
        }
        let option = if persistent { "-P " } else { "" };
        let script = format!("xp_tool setsebool {option}-- {} {}\n", q(name), i32::from(state));
        let side = |running: Option<&str>, kept: Option<&str>| {
            let mut map = Map::from_iter([("state", running.unwrap_or("unknown"))]);
            if persistent {
                map.insert("persistent", kept.unwrap_or("unknown"));
            }
            map
        };
        Ok(Prediction::change(result, vec![Action::run(script)]).touch(Touch::Thing(thing)).diff(attr_diff(
            name,
            side(now, kept),
            side(Some(word), Some(word)),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    fn check(persistent: &str, seen: &str, lines: &[&str]) {
        let given = [("name", "httpd_x"), ("state", "yes"), ("persistent", persistent)];
        let prediction = Case::new(&Seboolean, args(&given)).plan(seen).unwrap();
        assert_eq!(scripts(&prediction), lines, "{seen}");
    }

    #[test]
    fn switches() {
        check("no", "selinux on\nnow on\nkept off\n", &[]);
        check("no", "selinux on\nnow off\n", &["xp_tool setsebool -- 'httpd_x' 1\n"]);
        check("yes", "selinux on\nnow on\nkept off\n", &["xp_tool setsebool -P -- 'httpd_x' 1\n"]);
        check("yes", "selinux on\nnow on\nkept on\n", &[]);
        check("yes", "selinux on\nnow on\n", &[]);
        let fails = |seen: &str, expect: &str| {
            let case = Case::new(&Seboolean, args(&[("name", "x"), ("state", "no")]));
            assert_eq!(case.plan(seen).unwrap_err().msg, expect);
        };
        fails("now on\n", "SELinux is disabled on this host.");
        fails("selinux on\n", "SELinux boolean x does not exist.");
    }
}
