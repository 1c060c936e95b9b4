//! `modprobe`: modules of the kernel, now and at the next start.

use super::sh::{Report, q};
use super::tool::{TELL_OUT, missing};
use super::write::attr_diff;
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Seen, Touch,
    words,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "modprobe",
    namespaces: &["community.general"],
    about: "Loads and unloads modules of the kernel.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The module.").required(),
        ArgSpec::new("state", ArgKind::Str, "Whether it is to be loaded.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("params", ArgKind::Str, "Its parameters.").default(""),
        ArgSpec::new("persistent", ArgKind::Str, "Whether files are to load it at each start.")
            .default("disabled")
            .choices(&["disabled", "present", "absent"]),
    ],
    returns: &[("name", "the module"), ("params", "its parameters"), ("state", "the argument")],
    ..ModuleSpec::BASE
};

/// Shell functions: lines of /etc/modules-load.d that load the module `$XP_K`, and of /etc/modprobe.d that set a
/// parameter of it; `$1` is what awk does with them, `$2` the file.
const FILES: &str = r##"xp_loads() { awk '{ l = $0; sub(/[#;].*/, "", l); gsub(/^ +| +$/, "", l); hit = (l == ENVIRON["XP_K"]) } '"$1" "$2"; }
xp_options() { awk '{ l = $0; sub(/ *[#;].*/, "", l); n = split(l, f, " "); hit = (n == 3 && f[1] == "options" && f[2] == ENVIRON["XP_K"] && f[3] ~ /^[A-Za-z0-9_]+=/) } '"$1" "$2"; }
xp_disable() {
	for xp_f in "$2"/*; do
		if [ -f "$xp_f" ] && [ -n "$("$1" 'hit { print }' "$xp_f")" ]; then
			"$1" 'hit { $0 = "#" $0 } { print }' "$xp_f" | xp_write -m "$(stat -c %a "$xp_f" 2>/dev/null || echo 644)" "$xp_f" >/dev/null || exit $?
		fi
	done
}
"##;

pub struct Modprobe;

impl Module for Modprobe {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let name = args.str("name").unwrap_or_default();
        if name.is_empty() || name.contains(['/', '\n', ' ']) {
            return Err(Failure::new(format!("\"{name}\" cannot be the name of a module")));
        }
        let mut script = format!(
            "export XP_K={}\nxp_m=$(printf '%s' \"$XP_K\" | tr - _)\n\
             command -v modprobe >/dev/null 2>&1 || printf 'missing yes\\n'\n\
             if grep -q \"^$xp_m \" /proc/modules 2>/dev/null || grep -q \"/$XP_K\\.ko\" \"/lib/modules/$(uname -r)/modules.builtin\" 2>/dev/null; then printf 'loaded yes\\n'; fi\n",
            q(name)
        );
        match args.str("state") {
            Some("present") => add!(
                script,
                "if xp_e=$(LC_ALL=C modprobe -n -- \"$XP_K\" 2>&1); then printf 'loadable yes\\n'; else xp_tell trouble \"$xp_e\"; fi\n"
            ),
            _ => add!(
                script,
                "if ! xp_e=$(LC_ALL=C modprobe -r -n -- \"$XP_K\" 2>&1); then xp_tell trouble \"$xp_e\"; fi\n"
            ),
        }
        if args.str("persistent") != Some("disabled") {
            add!(
                script,
                "{FILES}for xp_f in /etc/modules-load.d/*; do\nif [ -f \"$xp_f\" ]; then xp_loads 'hit {{ print \"loads yes\" }}' \"$xp_f\"; fi\ndone\n\
                 for xp_f in /etc/modprobe.d/*; do\nif [ -f \"$xp_f\" ]; then xp_options 'hit {{ print \"param \" f[3] }}' \"$xp_f\"; fi\ndone\n"
            );
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let name = args.str("name").unwrap_or_default();
        if report.get("missing").is_some() {
            return Err(missing(call, "there is no modprobe on the target; install kmod"));
        }
        let result: Map =
            ["name", "params", "state"].iter().map(|k| (*k, args.str(k).unwrap_or_default())).collect();
        let loaded = report.get("loaded").is_some();
        let (mut before, mut after) = (Map::new(), Map::new());
        let mut script = String::new();
        match (args.str("state") == Some("present"), loaded) {
            (true, false) => {
                if report.get("loadable").is_none() {
                    return Err(missing(call, trouble(&report)).with("name", name));
                }
                add!(script, "xp_tool modprobe -- {}{}\n", q(name), parameters(args)?);
                before.insert("loaded", false);
                after.insert("loaded", true);
            }
            (false, true) => {
                if report.get("trouble").is_some() {
                    return Err(Failure::new(trouble(&report)).with("name", name));
                }
                add!(script, "xp_tool modprobe -r -- {}\n", q(name));
                before.insert("loaded", true);
                after.insert("loaded", false);
            }
            _ => {}
        }
        let (files, touches) = persistence(args, &report, &mut before, &mut after);
        if script.is_empty() && files.is_empty() {
            return Ok(Prediction::same(result));
        }
        let script = format!("export XP_K={}\n{script}{files}{TELL_OUT}", q(name));
        let mut prediction =
            Prediction::change(result, vec![Action::run(script)]).diff(attr_diff(name, before, after));
        prediction.touches = touches;
        Ok(prediction)
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if let Some(output) = ran.iter().find(|o| o.rc != 0) {
            return Err(Failure::from_output(output).with("name", call.args.str("name").unwrap_or_default()));
        }
        Ok(prediction.into_outcome())
    }
}

fn trouble(report: &Report) -> String {
    report.word("trouble").filter(|t| !t.is_empty()).unwrap_or_else(|| "modprobe refuses it".to_string())
}

fn parameters(args: &Args) -> Result<String, Failure> {
    let words = words::split(args.str("params").unwrap_or_default())
        .map_err(|e| Failure::new(format!("params: {e}")))?;
    Ok(words.iter().map(|w| format!(" {}", q(w))).collect())
}

/// Returns the lines that make files load the module or not.
fn persistence(args: &Args, report: &Report, before: &mut Map, after: &mut Map) -> (String, Vec<Touch>) {
    let name = args.str("name").unwrap_or_default();
    let loads = report.get("loads").is_some();
    let mut now: Vec<&str> = report.all("param").collect();
    now.sort_unstable();
    now.dedup();
    let mut wanted: Vec<&str> = args.str("params").unwrap_or_default().split_whitespace().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut script = String::new();
    let mut touches = Vec::new();
    let texts = |list: &[&str]| Value::from(list.iter().map(|s| (*s).to_string()).collect::<Vec<_>>());
    let file = |dir: &str| q(&format!("{dir}/{name}.conf"));
    let tree = |dir: &str| Touch::Tree { path: dir.to_string() };
    match args.str("persistent") {
        Some("present") => {
            if !loads {
                add!(
                    script,
                    "xp_do 'make /etc/modules-load.d' mkdir -p /etc/modules-load.d\nprintf '%s\\n' \"$XP_K\" | xp_write -m 0644 {} >/dev/null || exit $?\n",
                    file("/etc/modules-load.d")
                );
                before.insert("persistent", false);
                after.insert("persistent", true);
                touches.push(tree("/etc/modules-load.d"));
            }
            if now != wanted {
                add!(
                    script,
                    "{FILES}xp_disable xp_options /etc/modprobe.d\nxp_do 'make /etc/modprobe.d' mkdir -p /etc/modprobe.d\n{{\n"
                );
                for parameter in args.str("params").unwrap_or_default().split_whitespace() {
                    add!(script, "printf 'options %s %s\\n' \"$XP_K\" {}\n", q(parameter));
                }
                add!(script, ":\n}} | xp_write -m 0644 {} >/dev/null || exit $?\n", file("/etc/modprobe.d"));
                before.insert("params", texts(&now));
                after.insert("params", texts(&wanted));
                touches.push(tree("/etc/modprobe.d"));
            }
        }
        Some("absent") if loads || !now.is_empty() => {
            script += FILES;
            if loads {
                script += "xp_disable xp_loads /etc/modules-load.d\n";
                before.insert("persistent", true);
                after.insert("persistent", false);
                touches.push(tree("/etc/modules-load.d"));
            }
            if !now.is_empty() {
                script += "xp_disable xp_options /etc/modprobe.d\n";
                before.insert("params", texts(&now));
                after.insert("params", texts(&[]));
                touches.push(tree("/etc/modprobe.d"));
            }
        }
        _ => {}
    }
    (script, touches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    fn check(given: &[(&str, &str)], seen: &str, lines: &[&str]) {
        let mut given = given.to_vec();
        given.push(("name", "8021q"));
        let prediction = Case::new(&Modprobe, args(&given)).plan(seen).unwrap();
        let script = scripts(&prediction).concat();
        let starts = ["xp_tool ", "xp_disable x", "printf "];
        let found: Vec<&str> = script.lines().filter(|l| starts.iter().any(|s| l.starts_with(s))).collect();
        assert_eq!(found, lines, "{given:?}");
    }

    #[test]
    fn loads_and_unloads() {
        check(&[], "loaded yes\nloadable yes\n", &[]);
        check(&[("params", "a=1 b='x y'")], "loadable yes\n", &["xp_tool modprobe -- '8021q' 'a=1' 'b=x y'"]);
        check(&[("state", "absent")], "loaded yes\n", &["xp_tool modprobe -r -- '8021q'"]);
        check(&[("state", "absent")], "", &[]);
        let failure =
            Case::new(&Modprobe, args(&[("name", "nix")])).plan("trouble %4e6f206d6f64756c65\n").unwrap_err();
        assert_eq!(failure.msg, "No module");
    }

    #[test]
    fn persists() {
        check(
            &[("persistent", "present"), ("params", "a=1")],
            "loaded yes\n",
            &[
                "printf '%s\\n' \"$XP_K\" | xp_write -m 0644 '/etc/modules-load.d/8021q.conf' >/dev/null || exit $?",
                "xp_disable xp_options /etc/modprobe.d",
                "printf 'options %s %s\\n' \"$XP_K\" 'a=1'",
            ],
        );
        check(&[("persistent", "present"), ("params", "a=1")], "loaded yes\nloads yes\nparam a=1\n", &[]);
        check(
            &[("persistent", "absent"), ("state", "absent")],
            "loads yes\nparam a=1\n",
            &["xp_disable xp_loads /etc/modules-load.d", "xp_disable xp_options /etc/modprobe.d"],
        );
        check(&[("persistent", "absent"), ("state", "absent")], "", &[]);
    }
}
