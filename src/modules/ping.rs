//! `ping`: whether scripts run on the target.

use super::{ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Seen};
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "ping",
    about: "Tells that the host can be reached and runs scripts.",
    args: &[ArgSpec::new("data", ArgKind::Str, "What to answer.").default("pong")],
    returns: &[("ping", "the answer")],
    ..ModuleSpec::BASE
};

pub struct Ping;

impl Module for Ping {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, _: &Call) -> Result<Option<String>, Failure> {
        Ok(Some(":\n".to_string()))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let data = call.args.str("data").unwrap_or_default();
        if data == "crash" || seen.rc != 0 {
            let crash = Failure::new("boom").with("module_stdout", "");
            return Err(crash.with("module_stderr", "Exception: boom\n"));
        }
        let mut result = Map::new();
        result.insert("ping", data);
        Ok(Prediction::read(result))
    }
}
