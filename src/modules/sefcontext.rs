//! `sefcontext`: which label of SELinux files are to have.

use super::seboolean::{ENABLED, needs_selinux};
use super::sh::{Report, q};
use super::write::named_diff;
use super::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Rule, Seen, Thing, Touch,
};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "sefcontext",
    namespaces: &["community.general"],
    about: "Says which label of SELinux files are to have.",
    args: &[
        ArgSpec::new("target", ArgKind::Str, "A path as a regular expression.").required().aliases(&["path"]),
        ArgSpec::new("ftype", ArgKind::Str, "Which kind of files; a for all.")
            .default("a")
            .choices(&["a", "b", "c", "d", "f", "l", "p", "s"]),
        ArgSpec::new("setype", ArgKind::Str, "The label's type."),
        ArgSpec::new("substitute", ArgKind::Str, "Another path whose labels count here too.")
            .aliases(&["equal"]),
        ArgSpec::new("seuser", ArgKind::Str, "The label's user."),
        ArgSpec::new("selevel", ArgKind::Str, "The label's level.").aliases(&["serange"]),
        ArgSpec::new("state", ArgKind::Str, "Whether the rule is to be there.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("reload", ArgKind::Bool, "Load the policy again.").default("yes"),
        ArgSpec::new("ignore_selinux_state", ArgKind::Bool, "Also where SELinux is off.").default("no"),
    ],
    rules: &[
        Rule::Exclusive(&["setype", "substitute"]),
        Rule::Exclusive(&["substitute", "ftype"]),
        Rule::Exclusive(&["substitute", "seuser"]),
        Rule::Exclusive(&["substitute", "selevel"]),
    ],
    returns: &[
        ("target", "the argument"),
        ("ftype", "the argument"),
        ("setype", "the argument"),
        ("substitute", "the argument"),
        ("seuser", "the label's user"),
        ("serange", "the label's level"),
        ("state", "the argument"),
    ],
    ..ModuleSpec::BASE
};

pub struct Sefcontext;

/// How semanage writes the kinds of files in its list.
const KINDS: [(&str, &str); 8] = [
    ("a", "all files"),
    ("b", "block device"),
    ("c", "character device"),
    ("d", "directory"),
    ("f", "regular file"),
    ("l", "symbolic link"),
    ("p", "named pipe"),
    ("s", "socket"),
];

impl Module for Sefcontext {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        if args.str("state") == Some("present") && !args.has("setype") && !args.has("substitute") {
            return Err(Failure::new(
                "state is present but any of the following are missing: setype, substitute",
            ));
        }
        Ok(Some(format!(
            "{ENABLED}command -v semanage >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\n\
             LC_ALL=C semanage fcontext -l -n 2>/dev/null | XP_K={} awk '$1 == ENVIRON[\"XP_K\"] {{ print \"rule \" $0 }}'\n",
            q(args.str("target").unwrap_or_default())
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        needs_selinux(
            call,
            &report,
            "there is no semanage on the target; install policycoreutils-python-utils",
        )?;
        let target = args.str("target").unwrap_or_default();
        let ftype = args.str("ftype").unwrap_or("a");
        let what = format!("{target} {ftype}");
        let thing = Thing { kind: "sefcontext", name: what.clone() };
        call.needs_same(&thing)?;
        let kind = KINDS.iter().find(|(letter, _)| *letter == ftype).map_or("", |(_, words)| words);
        let mut label: Option<Vec<String>> = None;
        let mut equal: Option<String> = None;
        for line in report.all("rule") {
            let rest = line.get(target.len()..).unwrap_or_default().trim();
            if let Some(other) = rest.strip_prefix("= ") {
                equal = Some(other.trim().to_string());
            } else if let Some(context) =
                rest.strip_prefix(kind).filter(|c| c.starts_with(char::is_whitespace))
            {
                label = Some(context.trim().splitn(4, ':').map(str::to_string).collect());
            }
        }
        let mut result: Map = ["target", "ftype", "setype", "substitute", "state"]
            .iter()
            .map(|k| (*k, args.get(k).cloned().unwrap_or(Value::Null)))
            .collect();
        let reload = if args.flag("reload") { "" } else { " -N" };
        let mut script = String::new();
        let (mut before, mut after) = (None, None);
        let side = |text: String| Some(Map::from_iter([("context", text)]));
        let part = |at: usize| label.as_ref().and_then(|l| l.get(at)).cloned();
        if args.str("state") == Some("absent") {
            if let (Some(label), false) = (&label, args.has("substitute")) {
                add!(script, "xp_tool semanage fcontext -d{reload} -f {ftype} {}\n", q(target));
                before = side(label.join(":"));
            }
            let same = args.str("substitute").is_none_or(|s| equal.as_deref() == Some(s));
            if let (Some(equal), true, false) = (&equal, same, args.has("setype")) {
                add!(script, "xp_tool semanage fcontext -d{reload} -e {} {}\n", q(equal), q(target));
                before = side(format!("= {equal}"));
            }
        } else if let Some(other) = args.str("substitute") {
            if equal.as_deref() != Some(other) {
                let verb = if equal.is_some() { "-m" } else { "-a" };
                add!(script, "xp_tool semanage fcontext {verb}{reload} -e {} {}\n", q(other), q(target));
                before = equal.and_then(|e| side(format!("= {e}")));
                after = side(format!("= {other}"));
            }
        } else {
            let setype = args.str("setype").unwrap_or_default();
            let user = args.str("seuser").map(str::to_string).or_else(|| part(0));
            let level = args.str("selevel").map(str::to_string).or_else(|| part(3));
            let (user, level) =
                (user.unwrap_or_else(|| "system_u".to_string()), level.unwrap_or_else(|| "s0".to_string()));
            let differs = label.is_none()
                || part(2).as_deref() != Some(setype)
                || part(0).as_deref() != Some(user.as_str())
                || part(3).as_deref().unwrap_or("s0") != level;
            if differs {
                let verb = if label.is_some() { "-m" } else { "-a" };
                add!(
                    script,
                    "xp_tool semanage fcontext {verb}{reload} -f {ftype} -s {} -r {} -t {} {}\n",
                    q(&user),
                    q(&level),
                    q(setype),
                    q(target)
                );
                before = label.as_ref().and_then(|l| side(l.join(":")));
                after =
                    side(format!("{user}:{}:{setype}:{level}", part(1).unwrap_or("object_r".to_string())));
            }
            result.insert("seuser", user);
            result.insert("serange", level);
        }
        if script.is_empty() {
            return Ok(Prediction::same(result));
        }
        Ok(Prediction::change(result, vec![Action::run(script)])
            .touch(Touch::Thing(thing))
            .diff(named_diff(&what, before, after)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    fn check(given: &[(&str, &str)], seen: &str, lines: &[&str]) {
        let mut given = given.to_vec();
        given.push(("target", "/srv(/.*)?"));
        let prediction = Case::new(&Sefcontext, args(&given)).plan(format!("selinux on\n{seen}")).unwrap();
        let script = scripts(&prediction).concat();
        assert_eq!(script.lines().collect::<Vec<_>>(), lines, "{given:?}");
    }

    const RULE: &str = "rule /srv(/.*)?          all files          system_u:object_r:var_t:s0 \n";

    #[test]
    fn rules() {
        check(&[("setype", "var_t")], RULE, &[]);
        check(
            &[("setype", "httpd_t")],
            "",
            &["xp_tool semanage fcontext -a -f a -s 'system_u' -r 's0' -t 'httpd_t' '/srv(/.*)?'"],
        );
        check(
            &[("setype", "httpd_t"), ("reload", "no")],
            RULE,
            &["xp_tool semanage fcontext -m -N -f a -s 'system_u' -r 's0' -t 'httpd_t' '/srv(/.*)?'"],
        );
        check(
            &[("setype", "x"), ("state", "absent")],
            RULE,
            &["xp_tool semanage fcontext -d -f a '/srv(/.*)?'"],
        );
        check(&[("setype", "x"), ("state", "absent")], "", &[]);
        check(
            &[("substitute", "/home")],
            "rule /srv(/.*)? = /var\n",
            &["xp_tool semanage fcontext -m -e '/home' '/srv(/.*)?'"],
        );
        check(&[("substitute", "/var")], "rule /srv(/.*)? = /var\n", &[]);
    }
}
