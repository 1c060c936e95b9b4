//! `selinux`: the mode and policy of SELinux, now and at the next start.

use super::attrs::Attrs;
use super::seboolean::ENABLED;
use super::sh::{Report, expand_path, q};
use super::text::lines;
use super::write::{self, attr_diff, then};
use super::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Seen, Thing, Touch,
    edit,
};
use crate::transport::Output;
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "selinux",
    namespaces: &["ansible.posix"],
    about: "Sets the mode and policy of SELinux.",
    args: &[
        ArgSpec::new("state", ArgKind::Str, "The mode.").required().choices(&[
            "enforcing",
            "permissive",
            "disabled",
        ]),
        ArgSpec::new("policy", ArgKind::Str, "The policy; needed unless the mode is disabled."),
        ArgSpec::new("configfile", ArgKind::Str, "The file that counts at the next start.")
            .default("/etc/selinux/config")
            .aliases(&["conf", "file"]),
        ArgSpec::new("update_kernel_param", ArgKind::Bool, "Set the kernel's selinux parameter too.")
            .default("no"),
    ],
    returns: &[
        ("msg", "what was done"),
        ("configfile", "the file"),
        ("policy", "the policy"),
        ("state", "the mode"),
        ("reboot_required", "whether it takes effect only then"),
    ],
    ..ModuleSpec::BASE
};

pub struct Selinux;

impl Module for Selinux {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let file = file(call)?;
        let mut script = ENABLED.to_string();
        script += "for xp_f in /sys/fs/selinux/enforce /selinux/enforce; do [ ! -r \"$xp_f\" ] || printf 'enforce %s\\n' \"$(cat \"$xp_f\")\"; done\n";
        if let Some(policy) = args.str("policy") {
            add!(script, "[ ! -e /etc/selinux/{}/policy ] || printf 'policy yes\\n'\n", q(policy));
        }
        if args.flag("update_kernel_param") {
            script += "if command -v grubby >/dev/null 2>&1; then grubby --info=ALL 2>/dev/null | sed -n 's/^args=/kernel /p'; else printf 'no_grubby yes\\n'; fi\n";
        }
        Ok(Some(script + &edit::lines(&file, &Attrs::default())))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let file = file(call)?;
        let found = edit::found_at(call, Report::of(seen)?, &file, &file)?;
        let report = &found.report;
        let thing = Thing { kind: "selinux", name: String::new() };
        call.needs_same(&thing)?;
        if found.content.is_none() {
            return Err(Failure::new(format!("Unable to find file {file}"))
                .with("details", "Please install the package with SELinux's policy"));
        }
        let text = found.text();
        let state = args.str("state").unwrap_or_default();
        let config_state = value(&text.text, "SELINUX");
        let config_policy = value(&text.text, "SELINUXTYPE").unwrap_or_default();
        let policy = match args.str("policy").filter(|p| !p.is_empty()) {
            Some(policy) => policy.to_string(),
            None if state == "disabled" => config_policy.clone(),
            None => return Err(Failure::new("Policy is required if state is not 'disabled'")),
        };
        let enabled = report.get("selinux").is_some();
        let runtime = match (enabled, report.get("enforce")) {
            (false, _) => "disabled",
            (true, Some("1")) => "enforcing",
            (true, _) => "permissive",
        };
        let mut messages = Vec::new();
        let mut warnings = Vec::new();
        let mut after = text.text.clone();
        let mut script = String::new();
        let mut reboot = false;
        if policy != config_policy {
            if report.get("policy").is_none() {
                return Err(Failure::new(format!("Policy {policy} does not exist in /etc/selinux/")));
            }
            // The policy that runs is the one of the file.
            messages.push(format!("Running SELinux policy changed from '{config_policy}' to '{policy}'"));
            messages.push(format!(
                "SELinux policy configuration in '{file}' changed from '{config_policy}' to '{policy}'"
            ));
            after = set(&after, "SELINUXTYPE", &policy);
        }
        if state != runtime {
            match (enabled, state) {
                (false, _) => {
                    warnings.push(format!("Reboot is required to set SELinux state to '{state}'"));
                    reboot = true;
                }
                (true, "disabled") => {
                    reboot = true;
                    if runtime == "enforcing" {
                        script += "xp_tool setenforce 0\n";
                        warnings.push(format!(
                            "SELinux state temporarily changed from '{runtime}' to 'permissive'. State change will take effect next reboot."
                        ));
                    } else {
                        warnings.push("SELinux state change will take effect next reboot".to_string());
                    }
                }
                (true, _) => {
                    add!(script, "xp_tool setenforce {}\n", i32::from(state == "enforcing"));
                    messages.push(format!("SELinux state changed from '{runtime}' to '{state}'"));
                }
            }
        }
        if config_state.as_deref() != Some(state) {
            let before = config_state.as_deref().unwrap_or("None");
            messages.push(format!("Config SELinux state changed from '{before}' to '{state}'"));
            after = set(&after, "SELINUX", state);
        }
        if args.flag("update_kernel_param") {
            script += &kernel(report, state != "disabled", &mut messages)?;
        }
        let mut result = Map::new();
        result.insert("configfile", args.str("configfile").unwrap_or_default());
        result.insert("policy", policy);
        result.insert("state", state);
        result.insert("reboot_required", reboot);
        let mut prediction = if after != text.text {
            let mut prediction = found.replace(call, text.bytes(&after), result)?;
            if !script.is_empty() {
                then(&mut prediction, &script);
            }
            prediction
        } else if script.is_empty() {
            Prediction::same(result)
        } else {
            Prediction::change(result, vec![Action::run(script.clone())])
        };
        if script.contains("setenforce") {
            let side = |mode: &str| Map::from_iter([("mode", mode)]);
            let later = if state == "disabled" { "permissive" } else { state };
            prediction.diff.push(attr_diff("selinux", side(runtime), side(later)));
        }
        prediction.result.insert("msg", messages.join(", "));
        prediction.warnings.extend(warnings);
        if prediction.change.is_some() {
            prediction = prediction.touch(Touch::Thing(thing));
        }
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup", false)
    }
}

fn file(call: &Call) -> Result<String, Failure> {
    expand_path(call, call.args.str("configfile").unwrap_or_default())
}

fn value(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('=')).map(|v| v.trim().to_string())
}

fn set(text: &str, key: &str, value: &str) -> String {
    let mut out = String::new();
    let mut found = false;
    for line in lines(text) {
        if line.strip_prefix(key).is_some_and(|r| r.starts_with('=')) {
            found = true;
            add!(out, "{key}={value}\n");
        } else {
            out += &line;
            if !line.ends_with('\n') {
                out.push('\n');
            }
        }
    }
    if !found {
        add!(out, "{key}={value}\n");
    }
    out
}

/// Returns the line that sets the kernel's parameter in all boot entries.
fn kernel(report: &Report, wanted: bool, messages: &mut Vec<String>) -> Result<String, Failure> {
    if report.get("no_grubby").is_some() {
        return Err(Failure::new("'grubby' command not found on host"));
    }
    let entries: Vec<bool> = report
        .all("kernel")
        .map(|args| !args.trim_matches('"').split(' ').any(|arg| arg == "selinux=0"))
        .collect();
    let now = match (entries.iter().all(|on| *on), entries.iter().any(|on| *on)) {
        (true, true) => Some(true),
        (false, false) => Some(false),
        _ => None,
    };
    if now == Some(wanted) {
        return Ok(String::new());
    }
    let word = |on: bool| if on { "enabled" } else { "disabled" };
    messages.push(format!(
        "Kernel SELinux state changed from '{}' to '{}'",
        now.map_or("<inconsistent>", word),
        word(wanted)
    ));
    let option = if wanted { "--remove-args" } else { "--args" };
    Ok(format!("xp_tool grubby --update-kernel=ALL {option} selinux=0\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts, stdin};

    fn check(given: &[(&str, &str)], probe: &str, before: &str, after: &str, tools: &[&str], msg: &str) {
        let size = before.len();
        let seen = format!(
            "{probe}umask 0022\nlstat 81a4 0 0 {size} 1 1 1 9 1 1 0 0 8 4096 :root:root:\ncontent\n{before}"
        );
        let prediction = Case::new(&Selinux, args(given)).plan(seen).unwrap();
        assert_eq!(stdin(&prediction).unwrap_or_else(|| before.to_string()), after, "{given:?}");
        let script = scripts(&prediction).concat();
        assert_eq!(script.lines().filter(|l| l.starts_with("xp_tool")).collect::<Vec<_>>(), tools);
        assert_eq!(prediction.result.get("msg").unwrap().to_text(), msg);
    }

    const FILE: &str = "# c\nSELINUX=enforcing\nSELINUXTYPE=targeted\n";

    #[test]
    fn modes() {
        let on = "selinux on\nenforce 1\npolicy yes\n";
        check(&[("state", "enforcing"), ("policy", "targeted")], on, FILE, FILE, &[], "");
        check(
            &[("state", "permissive"), ("policy", "targeted")],
            on,
            FILE,
            "# c\nSELINUX=permissive\nSELINUXTYPE=targeted\n",
            &["xp_tool setenforce 0"],
            "SELinux state changed from 'enforcing' to 'permissive', Config SELinux state changed from 'enforcing' to 'permissive'",
        );
        check(
            &[("state", "disabled")],
            on,
            FILE,
            "# c\nSELINUX=disabled\nSELINUXTYPE=targeted\n",
            &["xp_tool setenforce 0"],
            "Config SELinux state changed from 'enforcing' to 'disabled'",
        );
        let off = "SELINUX=disabled\nSELINUXTYPE=targeted\n";
        check(&[("state", "disabled")], "", off, off, &[], "");
        check(
            &[("state", "disabled"), ("update_kernel_param", "yes")],
            "kernel \"ro quiet\"\n",
            off,
            off,
            &["xp_tool grubby --update-kernel=ALL --args selinux=0"],
            "Kernel SELinux state changed from 'enabled' to 'disabled'",
        );
    }

    #[test]
    fn refusals() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(Case::new(&Selinux, args(given)).plan(seen).unwrap_err().msg, expect);
        };
        fails(
            &[("state", "disabled")],
            "umask 0022\nlstat absent\n",
            "Unable to find file /etc/selinux/config",
        );
        let there = "umask 0022\nlstat 81a4 0 0 2 1 1 1 9 1 1 0 0 8 4096 :root:root:\ncontent\n#\n";
        fails(&[("state", "enforcing")], there, "Policy is required if state is not 'disabled'");
        fails(
            &[("state", "enforcing"), ("policy", "mls")],
            there,
            "Policy mls does not exist in /etc/selinux/",
        );
    }
}
