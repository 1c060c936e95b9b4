//! `locale_gen`: locales that a Debian or Ubuntu host has.

use super::attrs::Attrs;
use super::sh::{Report, q};
use super::text::lines;
use super::write::{self, attr_diff, then};
use super::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Row, Seen, Thing,
    Touch, edit,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "locale_gen",
    namespaces: &["community.general"],
    about: "Makes and removes locales.",
    args: &[
        ArgSpec::new("name", ArgKind::StrList, "The locales, such as de_DE.UTF-8.").required(),
        ArgSpec::new("state", ArgKind::Str, "Whether they are to be there.")
            .default("present")
            .choices(&["absent", "present"]),
    ],
    returns: &[("name", "the locales"), ("mechanism", "glibc or ubuntu_legacy")],
    ..ModuleSpec::BASE
};

const FILE: &str = "/etc/locale.gen";
const LEGACY: &str = "/var/lib/locales/supported.d/local";

pub struct LocaleGen;

fn locale(name: &str) -> Thing {
    Thing { kind: "locale", name: name.to_string() }
}

impl Module for LocaleGen {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, _: &Call) -> Result<Option<String>, Failure> {
        Ok(Some(format!(
            "if [ -e {FILE} ]; then printf 'mechanism glibc\\n'; elif [ -e /var/lib/locales/supported.d ]; then printf 'mechanism ubuntu_legacy\\n'; fi\n\
             LC_ALL=C locale -a 2>/dev/null | sed 's/^/has /'\n\
             awk 'NF == 2 {{ print \"known \" $1 }}' /usr/share/i18n/SUPPORTED 2>/dev/null\n{}",
            edit::lines(FILE, &Attrs::default())
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let Some(mechanism) = report.get("mechanism").map(str::to_string) else {
            let msg = "/var/lib/locales/supported.d/ and /etc/locale.gen are missing. Is the package \"locales\" installed?";
            return Err(super::tool::missing(call, msg));
        };
        let names = args.texts("name");
        let foreseen = call.world.rows("locale");
        let has = |name: &String| match foreseen.get(name) {
            Some(row) => row.is_some(),
            None => report.all("has").any(|l| normal(l) == normal(name)),
        };
        for name in &names {
            super::foreseen(call.world.row(&locale(name)))?;
        }
        let unknown: Vec<&str> = names
            .iter()
            .filter(|name| !report.all("known").any(|l| l == name.as_str()) && !has(name))
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() {
            return Err(Failure::new(format!(
                "The following locales you have entered are not available on your system: {}",
                unknown.join(", ")
            )));
        }
        let present = args.str("state") == Some("present");
        let all_there = names.iter().all(has);
        let mut result = Map::new();
        result.insert("name", Value::from(names.clone()));
        result.insert("mechanism", mechanism.as_str());
        if all_there == present {
            return Ok(Prediction::same(result));
        }
        let side = |there: bool| Map::from_iter([("state", if there { "present" } else { "absent" })]);
        let diff = attr_diff(&names.join(","), side(all_there), side(present));
        let mut prediction = if mechanism == "glibc" {
            let found = edit::found_at(call, report, FILE, FILE)?;
            let text = found.text();
            let after = switch(&text.text, &names, present);
            if after == text.text {
                Prediction::change(result, vec![Action::run("xp_tool locale-gen\n")])
            } else {
                let mut prediction = found.replace(call, text.bytes(&after), result)?;
                prediction.result.remove("msg");
                then(&mut prediction, "xp_tool locale-gen\n");
                prediction
            }
        } else {
            let quoted: Vec<String> = names.iter().map(|n| q(n)).collect();
            let script = if present {
                format!("xp_tool locale-gen {}\n", quoted.join(" "))
            } else {
                let tests: String = names.iter().map(|n| format!(" -e {}", q(&format!("^{n} ")))).collect();
                format!(
                    "grep -v{tests} {LEGACY} | xp_write -m 0644 {LEGACY} >/dev/null || exit $?\nxp_tool locale-gen --purge\n"
                )
            };
            Prediction::change(result, vec![Action::run(script)])
        };
        prediction.diff.push(diff);
        let row = present.then(Row::new);
        prediction
            .touches
            .extend(names.iter().map(|name| Touch::Row { thing: locale(name), row: row.clone() }));
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup", false)
    }
}

/// Returns a locale's name as `locale -a` may write it: the encoding in small letters without a dash.
fn normal(name: &str) -> String {
    match name.split_once('.') {
        Some((base, rest)) => {
            let (encoding, modifier) = rest.split_once('@').unwrap_or((rest, ""));
            format!("{base}.{}@{modifier}", encoding.to_lowercase().replace('-', ""))
        }
        None => name.to_string(),
    }
}

/// Takes the comment sign from lines of locales, or puts it there.
fn switch(text: &str, names: &[String], on: bool) -> String {
    let edit = |line: String| {
        let plain = line.strip_prefix('#').unwrap_or(&line).trim_start();
        match plain.split_once(' ') {
            Some((name, charset)) if names.iter().any(|n| n == name) => {
                let sign = if on { "" } else { "# " };
                format!("{sign}{name} {}", charset.trim_start())
            }
            _ => line,
        }
    };
    lines(text).into_iter().map(edit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts, stdin};

    fn plan(given: &[(&str, &str)], probe: &str, before: &str) -> Prediction {
        let size = before.len();
        let seen = format!(
            "{probe}umask 0022\nlstat 81a4 0 0 {size} 1 1 1 9 1 1 0 0 8 4096 :root:root:\ncontent\n{before}"
        );
        Case::new(&LocaleGen, args(given)).plan(seen).unwrap()
    }

    #[test]
    fn glibc() {
        let probe = "mechanism glibc\nhas C\nhas en_US.utf8\nknown de_DE.UTF-8\nknown en_US.UTF-8\n";
        let before = "# comment\n# de_DE.UTF-8 UTF-8\nen_US.UTF-8 UTF-8\n";
        let prediction = plan(&[("name", "de_DE.UTF-8")], probe, before);
        assert_eq!(stdin(&prediction).unwrap(), "# comment\nde_DE.UTF-8 UTF-8\nen_US.UTF-8 UTF-8\n");
        assert!(scripts(&prediction)[0].ends_with(" || exit $?\nxp_tool locale-gen\n"));
        assert!(plan(&[("name", "en_US.UTF-8")], probe, before).change.is_none());
        let gone = plan(&[("name", "en_US.UTF-8"), ("state", "absent")], probe, before);
        assert_eq!(stdin(&gone).unwrap(), "# comment\n# de_DE.UTF-8 UTF-8\n# en_US.UTF-8 UTF-8\n");
        assert!(plan(&[("name", "de_DE.UTF-8"), ("state", "absent")], probe, before).change.is_none());
    }

    #[test]
    fn failures() {
        let fails = |seen: &str, expect: &str| {
            let case = Case::new(&LocaleGen, args(&[("name", "xx_YY")]));
            assert_eq!(case.plan(seen).unwrap_err().msg, expect);
        };
        fails(
            "mechanism glibc\numask 0022\nlstat absent\n",
            "The following locales you have entered are not available on your system: xx_YY",
        );
        fails(
            "umask 0022\nlstat absent\n",
            "/var/lib/locales/supported.d/ and /etc/locale.gen are missing. Is the package \"locales\" installed?",
        );
    }
}
