//! `getent`: entries of the target's databases as facts.

use super::sh::{Report, q};
use super::{ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Seen};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "getent",
    about: "Reads entries of databases such as passwd and hosts.",
    args: &[
        ArgSpec::new("database", ArgKind::Str, "The database.").required(),
        ArgSpec::new("key", ArgKind::Str, "The entry; all by default.").default(""),
        ArgSpec::new("service", ArgKind::Str, "The source to ask instead of the configured ones."),
        ArgSpec::new("split", ArgKind::Str, "What separates fields."),
        ArgSpec::new("fail_key", ArgKind::Bool, "An absent entry is a failure.").default("yes"),
    ],
    returns: &[("ansible_facts", "getent_DATABASE: entries by name, with their fields")],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

pub struct Getent;

impl Module for Getent {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let text = |name: &str| args.str(name).unwrap_or_default();
        let service = args.str("service").map(|s| format!("-s {} ", q(s))).unwrap_or_default();
        let key = if text("key").is_empty() { String::new() } else { format!(" {}", q(text("key"))) };
        Ok(Some(format!(
            "xp_o=$(getent {service}{}{key})\nprintf 'rc %s\\ncontent\\n%s\\n' $? \"$xp_o\"\n",
            q(text("database"))
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let (database, key) = (args.str("database").unwrap_or_default(), args.str("key").unwrap_or_default());
        let report = Report::of(seen)?;
        let split = args.str("split").or(match database {
            "passwd" | "shadow" | "group" | "gshadow" => Some(":"),
            _ => None,
        });
        let mut entries = Map::new();
        match report.need("rc")? {
            "0" => {}
            "2" if !args.flag("fail_key") => {
                entries.insert(key, Value::Null);
            }
            rc => {
                return Err(Failure::new(match rc {
                    "1" => "Missing arguments, or database unknown.",
                    "2" => "One or more supplied key could not be found in the database.",
                    "3" => "Enumeration not supported on this database.",
                    _ => "Unexpected failure!",
                }));
            }
        }
        let content = report.content.as_deref().unwrap_or_default();
        for line in String::from_utf8_lossy(content).lines().filter(|l| !l.is_empty()) {
            let mut fields = match split {
                Some(separator) => line.split(separator).map(str::to_string).collect::<Vec<_>>(),
                None => line.split_whitespace().map(str::to_string).collect(),
            };
            if fields.is_empty() {
                continue;
            }
            let name = fields.remove(0);
            entries.insert(name, Value::from(fields));
        }
        let mut facts = Map::new();
        facts.insert(format!("getent_{database}"), entries);
        let mut result = Map::new();
        result.insert("ansible_facts", facts);
        Ok(Prediction::read(result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    #[test]
    fn reads_entries() {
        let case = Case::new(&Getent, args(&[("database", "passwd"), ("key", "root")]));
        let result = case.plan("rc 0\ncontent\nroot:x:0:0:root:/root:/bin/sh\n").unwrap().result;
        assert_eq!(
            Value::map(result).repr(),
            "{'ansible_facts': {'getent_passwd': {'root': ['x', '0', '0', 'root', '/root', '/bin/sh']}}}"
        );
        assert_eq!(
            case.plan("rc 2\ncontent\n").unwrap_err().msg,
            "One or more supplied key could not be found in the database."
        );
    }
}
