//! `dpkg_selections`: what dpkg is to do with a package.

use super::set::{Foreseen, foreseen};
use crate::modules::sh::{Report, q};
use crate::modules::write::attr_diff;
use crate::modules::{
    self, Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Row, Seen, Thing, Touch,
};
use crate::value::{Map, Unknown};

static SPEC: ModuleSpec = ModuleSpec {
    name: "dpkg_selections",
    about: "Says what dpkg is to do with a package, such as holding its version.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The package.").required(),
        ArgSpec::new("selection", ArgKind::Str, "What to do with it.").required().choices(&[
            "install",
            "hold",
            "deinstall",
            "purge",
        ]),
    ],
    returns: &[("before", "the selection before"), ("after", "the selection as asked for")],
    ..ModuleSpec::BASE
};

pub struct DpkgSelections;

impl Module for DpkgSelections {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        Ok(Some(format!(
            "command -v dpkg >/dev/null 2>&1 || xp_fail 'Failed to find required executable \"dpkg\" on the target'\n\
             LC_ALL=C dpkg --get-selections {} 2>/dev/null | sed 's/^/selection /'\n",
            q(call.args.str("name").unwrap_or_default())
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let (name, wanted) =
            (args.str("name").unwrap_or_default(), args.str("selection").unwrap_or_default());
        let report = Report::of(seen)?;
        let thing = Thing { kind: "dpkg_selections", name: name.to_string() };
        let seen = report.get("selection").and_then(|line| line.split_whitespace().nth(1));
        let row = modules::foreseen(call.world.row(&thing))?.flatten();
        let before = match (row.as_ref().and_then(|row| row.get("selection")), foreseen(call, name)?) {
            (Some(selection), _) => Some(selection.as_str()),
            (None, Foreseen::AsSeen) => seen,
            (None, Foreseen::Installed) => seen.or(Some("install")),
            (None, Foreseen::Removed) => {
                let cause = format!("what is left of {name} when it is removed is not known before");
                return Err(Failure::unknown(Unknown { cause: cause.into() }));
            }
        };
        let Some(before) = before else {
            return Err(Failure::new(format!(
                "Failed to find package '{name}' to perform selection '{wanted}'."
            )));
        };
        let result = Map::from_iter([("before", before), ("after", wanted)]);
        if before == wanted {
            return Ok(Prediction::same(result));
        }
        let script = format!(
            "xp_e=$(printf '%s %s\\n' {} {wanted} | LC_ALL=C dpkg --set-selections 2>&1) || xp_fail \"cannot set the selection: $(xp_why \"$xp_e\")\"\n",
            q(name)
        );
        let side = |selection: &str| Map::from_iter([("selection", selection)]);
        let after = Row::from([("selection".to_string(), wanted.to_string())]);
        Ok(Prediction::change(result, vec![Action::run(script)])
            .touch(Touch::Row { thing, row: Some(after) })
            .diff(attr_diff(name, side(before), side(wanted))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Effect;
    use crate::modules::testing::{Case, args, scripts};

    #[test]
    fn selects() {
        let case = Case::new(&DpkgSelections, args(&[("name", "hello"), ("selection", "hold")]));
        let held = case.plan("selection hello\t\t\thold\n").unwrap();
        assert_eq!(held.effect, Effect::Same);
        let change = case.plan("selection hello\t\t\tinstall\n").unwrap();
        assert!(
            scripts(&change)[0]
                .starts_with("xp_e=$(printf '%s %s\\n' 'hello' hold | LC_ALL=C dpkg --set-selections")
        );
        assert_eq!(
            case.plan("").unwrap_err().msg,
            "Failed to find package 'hello' to perform selection 'hold'."
        );
    }

    #[test]
    fn later_steps_see_what_earlier_ones_leave() {
        let after = |touches: Vec<Touch>, selection: &str, seen: &str| {
            let mut case = Case::new(&DpkgSelections, args(&[("name", "hello"), ("selection", selection)]));
            case.world.add(&"first".into(), touches, crate::modules::Certainty::Certain);
            case.plan(seen)
        };
        let held = after(vec![], "hold", "selection hello install\n").unwrap().touches;
        assert_eq!(after(held.clone(), "hold", "selection hello install\n").unwrap().effect, Effect::Same);
        let back = after(held, "install", "selection hello install\n").unwrap();
        assert_eq!(back.result.get("before").unwrap().to_text(), "hold");
        let package = |installed| vec![Touch::Package { name: "hello".into(), installed }];
        assert_eq!(after(package(true), "install", "").unwrap().effect, Effect::Same);
        assert!(after(package(false), "hold", "selection hello install\n").unwrap_err().unknown.is_some());
    }
}
