//! `mysql_variables`: settings of a running MySQL or MariaDB server.

use super::login::{self, LOGIN_ARGS, name, text, thing};
use crate::modules::sh::q;
use crate::modules::write::named_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Prediction, Seen, Touch,
};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "mysql_variables",
    namespaces: &["community.mysql", "community.general"],
    about: "Reads and sets variables of a running MySQL or MariaDB server.",
    args: &[
        ArgSpec::new("variable", ArgKind::Str, "The variable.").required(),
        ArgSpec::new("value", ArgKind::Str, "Its value; without it the variable is only read."),
        ArgSpec::new("mode", ArgKind::Str, "How long it is to hold.").default("global").choices(&[
            "global",
            "persist",
            "persist_only",
        ]),
    ],
    shared: LOGIN_ARGS,
    returns: &[("msg", "the value, or what was done"), ("queries", "the statements")],
    ..ModuleSpec::BASE
};

const KIND: &str = "mysql_variables";

pub struct MysqlVariables;

impl Module for MysqlVariables {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let variable = variable(args)?;
        let mut lines = format!(
            "xp_rows {}\n",
            q(&format!("SHOW GLOBAL VARIABLES WHERE Variable_name = {}", text(variable)))
        );
        if args.str("mode") == Some("persist_only") {
            let statement = format!(
                "SELECT VARIABLE_VALUE FROM performance_schema.persisted_variables WHERE VARIABLE_NAME = {}",
                text(variable)
            );
            add!(lines, "xp_ask persisted {} 2>/dev/null\n:\n", q(&statement));
        }
        login::look(call, &lines).map(Some)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let variable = variable(args)?;
        call.needs_same(&thing(KIND, variable))?;
        let report = login::found(call, seen)?;
        let rows = login::rows(&report);
        let value =
            rows.first().and_then(|row| row.iter().find(|(name, _)| name.eq_ignore_ascii_case("value")));
        let Some((_, global)) = value else {
            return Err(Failure::new(format!("Variable not available \"{variable}\"")));
        };
        let now = match args.str("mode") {
            Some("persist_only") => report.get("persisted").map(login::unescape).unwrap_or_default(),
            _ => global.clone(),
        };
        let mut result = Map::from_iter([("queries", Value::list(Vec::new()))]);
        let Some(wanted) = args.str("value") else {
            result.insert("msg", Value::list(vec![variable.into(), now.into()]));
            return Ok(Prediction::read(result));
        };
        if same(&now, wanted) {
            result.insert("msg", "Variable is already set to requested value.");
            return Ok(Prediction::same(result));
        }
        let literal = if wanted.parse::<f64>().is_ok() { wanted.to_string() } else { text(wanted) };
        let mode = args.str("mode").unwrap_or("global").to_uppercase();
        let statement = format!("SET {mode} {} = {literal}", name(variable));
        result.insert("msg", format!("Variable change succeeded prev_value={now}"));
        result.insert("queries", Value::from(vec![statement.clone()]));
        let side = |value: &str| Some(Map::from_iter([(variable, value)]));
        Ok(Prediction::change(result, vec![Action::run(login::change(call, &[statement])?)])
            .touch(Touch::Thing(thing(KIND, variable)))
            .diff(named_diff("mysql variables", side(&now), side(wanted))))
    }
}

fn variable(args: &Args) -> Result<&str, Failure> {
    let variable = args.str("variable").unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if variable.is_empty() || !variable.chars().all(plain) {
        return Err(Failure::new(format!("invalid variable name \"{variable}\"")));
    }
    Ok(variable)
}

/// Whether two values mean the same: ON is 1, numbers are compared as numbers.
fn same(now: &str, wanted: &str) -> bool {
    let plain = |text: &str| match text.to_uppercase().as_str() {
        "ON" | "TRUE" | "YES" => "1".to_string(),
        "OFF" | "FALSE" | "NO" => "0".to_string(),
        _ => text.parse::<f64>().map_or_else(|_| text.to_string(), |number| number.to_string()),
    };
    plain(now) == plain(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    #[test]
    fn reads_and_sets() {
        let seen =
            "version 8.0.1\nrow *** 1. row ***\nrow Variable_name: max_connections\nrow         Value: 151\n";
        let check = |value: Option<&str>, changes: bool, queries: &[&str], msg: &str| {
            let given: Vec<_> =
                [("variable", "max_connections")].into_iter().chain(value.map(|v| ("value", v))).collect();
            let prediction = Case::new(&MysqlVariables, args(&given)).plan(seen).unwrap();
            assert_eq!(prediction.changes(), changes, "{value:?}");
            let found = prediction.result.get("queries").and_then(Value::as_list).unwrap();
            assert_eq!(found.iter().map(Value::to_text).collect::<Vec<_>>(), queries);
            assert_eq!(prediction.result.get("msg").unwrap().to_text(), msg);
        };
        check(None, false, &[], "['max_connections', '151']");
        check(Some("151"), false, &[], "Variable is already set to requested value.");
        check(
            Some("200"),
            true,
            &["SET GLOBAL `max_connections` = 200"],
            "Variable change succeeded prev_value=151",
        );
        let fails = |variable: &str, expect: &str| {
            let failure = Case::new(&MysqlVariables, args(&[("variable", variable)]))
                .plan("version 8.0.1\n")
                .unwrap_err();
            assert_eq!(failure.msg, expect);
        };
        fails("a;b", "invalid variable name \"a;b\"");
        fails("flying", "Variable not available \"flying\"");
        assert!(same("ON", "1") && same("1.0", "1") && !same("a", "b"));
    }
}
