//! `sysctl`: parameters of the kernel, in a file of sysctl and as they are.

use super::attrs::Attrs;
use super::sh::{Report, expand_path, q};
use super::tool::missing;
use super::write::{self, attr_diff, then};
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen,
    Thing, Touch, edit,
};
use crate::transport::Output;
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "sysctl",
    namespaces: &["ansible.posix"],
    about: "Sets parameters of the kernel.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The parameter.").required().aliases(&["key"]),
        ArgSpec::new("value", ArgKind::Str, "Its value.").aliases(&["val"]),
        ArgSpec::new("state", ArgKind::Str, "Whether the file is to set it.")
            .default("present")
            .choices(&["present", "absent"]),
        ArgSpec::new("reload", ArgKind::Bool, "Apply the file when something changes.").default("yes"),
        ArgSpec::new("sysctl_set", ArgKind::Bool, "Set the value in the running kernel.").default("no"),
        ArgSpec::new("ignoreerrors", ArgKind::Bool, "Pass over parameters that the kernel does not know.")
            .default("no"),
        ArgSpec::new("sysctl_file", ArgKind::Path, "The file.").default("/etc/sysctl.conf"),
    ],
    rules: &[Rule::If { arg: "state", value: "present", needs: &["value"] }],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

/// Shell function: runs sysctl, which may print errors and succeed.
const RUN: &str = "xp_sysctl() {\n\
    xp_e=$(LC_ALL=C sysctl \"$@\" 2>&1 >/dev/null </dev/null) || return 1\n\
    case $xp_e in *'setting key '*': Invalid argument'* | *'setting key '*': Read-only file system'*) return 1 ;; esac\n}\n";

pub struct Sysctl;

impl Module for Sysctl {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        if name(args).is_empty() {
            return Err(Failure::new("name cannot be blank"));
        }
        if args.str("state") == Some("present") && args.str("value") == Some("") {
            return Err(Failure::new("value cannot be blank"));
        }
        Ok(Some(format!(
            "if command -v sysctl >/dev/null 2>&1; then\n\
             if xp_v=$(LC_ALL=C sysctl -e -n -- {} 2>/dev/null); then xp_tell value \"$xp_v\"; fi\n\
             else printf 'missing yes\\n'; fi\n{}",
            q(name(args)),
            edit::lines(&file(call)?, &Attrs::default())
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let path = file(call)?;
        let found = edit::found_at(call, Report::of(seen)?, &path, &path)?;
        if found.report.get("missing").is_some() {
            return Err(missing(call, "there is no sysctl on the target; install procps"));
        }
        let text = found.text();
        let (name, value) = (name(args), value(args));
        let present = args.str("state") == Some("present");
        let in_file = lookup(&text.text, name);
        let running = match call.world.thing(&Thing { kind: "sysctl", name: name.into() }) {
            None => found.report.word("value"),
            // An earlier step of a plan sets it; its value counts as one that has to be set.
            Some(_) => None,
        };
        let runs_as_wanted = running.as_deref().is_some_and(|now| same(now, &value));
        let writes = if present { in_file.as_deref() != Some(value.as_str()) } else { in_file.is_some() };
        let sets = present && args.flag("sysctl_set") && !runs_as_wanted;
        let reloads = args.flag("reload") && (writes || (present && !runs_as_wanted));
        if !writes && !sets && !reloads {
            return Ok(Prediction::same(Map::new()));
        }
        let mut prediction = if writes {
            let after = rewrite(&text.text, name, present.then_some(value.as_str()));
            found.replace(call, text.bytes(&after), Map::new())?
        } else {
            Prediction::change(Map::new(), vec![Action::run(String::new())])
        };
        prediction.result.remove("msg");
        let ignore = if args.flag("ignoreerrors") { "-e " } else { "" };
        let mut lines = RUN.to_string();
        if sets {
            let setting = q(&format!("{name}={value}"));
            add!(
                lines,
                "xp_sysctl {ignore}-w {setting} || xp_fail \"setting \"{} failed: \"$xp_e\"\n",
                q(name)
            );
        }
        if reloads {
            add!(lines, "xp_sysctl {ignore}-p {} || xp_fail \"Failed to reload sysctl: $xp_e\"\n", q(&path));
        }
        if sets || reloads {
            if writes {
                then(&mut prediction, &lines);
            } else {
                prediction.change = Some(super::Change { actions: vec![Action::run(lines)] });
            }
        }
        if (sets || reloads) && !runs_as_wanted {
            let side = |text: &str| Map::from_iter([("value", text)]);
            let now = running.unwrap_or_default();
            if present {
                prediction.diff.push(attr_diff(name, side(now.trim()), side(&value)));
            }
            prediction.touches.push(Touch::Thing(Thing { kind: "sysctl", name: name.to_string() }));
        }
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup", false)
    }
}

fn name(args: &Args) -> &str {
    args.str("name").unwrap_or_default().trim()
}

fn file(call: &Call) -> Result<String, Failure> {
    expand_path(call, call.args.str("sysctl_file").unwrap_or_default())
}

/// Returns the value as the kernel writes it.
fn value(args: &Args) -> String {
    let text = args.str("value").unwrap_or_default();
    match text.to_lowercase().as_str() {
        "y" | "yes" | "on" | "1" | "true" | "t" => "1".to_string(),
        "n" | "no" | "off" | "0" | "false" | "f" => "0".to_string(),
        _ => text.trim().to_string(),
    }
}

fn same(a: &str, b: &str) -> bool {
    a.split_whitespace().eq(b.split_whitespace())
}

/// Returns name and value of a line that sets a parameter.
fn setting(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    line.split_once('=').map(|(name, value)| (name.trim(), value.trim()))
}

/// Returns the last value that the file sets.
fn lookup(text: &str, name: &str) -> Option<String> {
    text.lines().rev().filter_map(setting).find(|(n, _)| *n == name).map(|(_, v)| v.to_string())
}

/// Returns the file with each parameter set once, where it stood first.
fn rewrite(text: &str, name: &str, value: Option<&str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    let mut out = String::new();
    for line in text.lines() {
        let Some((key, now)) = setting(line) else {
            add!(out, "{}\n", line.trim());
            continue;
        };
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        match (key == name, value) {
            (true, Some(value)) => add!(out, "{key}={value}\n"),
            (true, None) => {}
            (false, _) => add!(out, "{key}={now}\n"),
        }
    }
    if let (false, Some(value)) = (seen.contains(&name), value) {
        add!(out, "{name}={value}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts, stdin};

    /// Checks content afterwards and the calls of sysctl.
    fn check(given: &[(&str, &str)], running: &str, before: &str, after: &str, calls: &[&str]) {
        let mut given = given.to_vec();
        given.push(("name", "vm.x"));
        let case = Case::new(&Sysctl, args(&given));
        let size = before.len();
        let seen = format!(
            "{running}umask 0022\nlstat 81a4 0 0 {size} 1 1 1 9 1 1 0 0 8 4096 :root:root:\ncontent\n{before}"
        );
        let prediction = case.plan(seen).unwrap();
        assert_eq!(stdin(&prediction).unwrap_or_else(|| before.to_string()), after, "{given:?}");
        let script = scripts(&prediction).concat();
        let found: Vec<&str> = script
            .lines()
            .filter(|l| l.starts_with("xp_sysctl "))
            .filter_map(|l| l.split(" || ").next())
            .collect();
        assert_eq!(found, calls, "{given:?}");
    }

    #[test]
    fn sets_and_reloads() {
        let p = "xp_sysctl -p '/etc/sysctl.conf'";
        check(&[("value", "5")], "value =5\n", "vm.x = 5\n", "vm.x = 5\n", &[]);
        check(&[("value", "5")], "value =4\n", "vm.x = 5\n", "vm.x = 5\n", &[p]);
        check(&[("value", "5")], "value =5\n", "# c\n a = b\nvm.x=4\na=c\n", "# c\na=b\nvm.x=5\n", &[p]);
        check(&[("value", "5"), ("reload", "no")], "value =4\n", "vm.x=5\n", "vm.x=5\n", &[]);
        check(
            &[("value", "1 2"), ("sysctl_set", "yes"), ("reload", "no"), ("ignoreerrors", "yes")],
            "value %31093409\n",
            "",
            "vm.x=1 2\n",
            &["xp_sysctl -e -w 'vm.x=1 2'"],
        );
        check(&[("value", "1 2"), ("sysctl_set", "yes")], "value %310932\n", "vm.x=1 2\n", "vm.x=1 2\n", &[]);
        check(&[("value", "yes")], "value =1\n", "", "vm.x=1\n", &[p]);
    }

    #[test]
    fn absent() {
        let state = [("state", "absent")];
        check(&state, "value =1\n", "vm.x=1\nb=2\n", "b=2\n", &["xp_sysctl -p '/etc/sysctl.conf'"]);
        check(&state, "value =1\n", "b=2\n", "b=2\n", &[]);
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(Case::new(&Sysctl, args(given)).plan(seen).unwrap_err().msg, expect);
        };
        fails(&[("name", "a")], "", "state is present but all of the following are missing: value");
        fails(&[("name", "a"), ("value", "")], "", "value cannot be blank");
        fails(
            &[("name", "a"), ("value", "1")],
            "missing yes\numask 0022\nlstat absent\n",
            "there is no sysctl on the target; install procps",
        );
    }
}
