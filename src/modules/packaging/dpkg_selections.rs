//! `dpkg_selections`: what dpkg is to do with a package.

use crate::modules::sh::{Report, q};
use crate::modules::write::attr_diff;
use crate::modules::{Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Seen};
use crate::value::Map;

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
        let Some(before) = report.get("selection").and_then(|line| line.split_whitespace().nth(1)) else {
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
        Ok(Prediction::change(result, vec![Action::run(script)]).diff(attr_diff(
            name,
            side(before),
            side(wanted),
        )))
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
}
