//! `tempfile`: a file or folder with a name that nothing else has.

use super::attrs::describe;
use super::sh::{Report, expand_path, q};
use super::{Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Seen};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "tempfile",
    about: "Makes a temporary file or folder.",
    args: &[
        ArgSpec::new("state", ArgKind::Str, "What to make.").default("file").choices(&["file", "directory"]),
        ArgSpec::new("path", ArgKind::Path, "The folder to make it in."),
        ArgSpec::new("prefix", ArgKind::Str, "How its name begins.").default("ansible."),
        ArgSpec::new("suffix", ArgKind::Str, "How its name ends.").default(""),
    ],
    returns: &[("path", "what was made"), ("state", "file or directory"), ("mode", "its permissions")],
    ..ModuleSpec::BASE
};

pub struct Tempfile;

impl Module for Tempfile {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, _: &Call) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    fn plan(&self, call: &Call, _: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let dir = match args.str("path") {
            Some(path) => format!("xp_d={}", q(&expand_path(call, path)?)),
            None => "xp_d=${TMPDIR:-/tmp}".to_string(),
        };
        let name = |key: &str| args.str(key).unwrap_or_default();
        if name("prefix").contains('/') || name("suffix").contains('/') {
            return Err(Failure::new("prefix and suffix cannot hold a slash"));
        }
        let (prefix, suffix) = (q(name("prefix")), q(name("suffix")));
        let state = name("state");
        // mktemp picks the name; the suffix is added by a second exclusive creation, as not every mktemp knows one.
        let (make, add_suffix) = match state {
            "directory" => ("mktemp -d", "mkdir -m 0700 \"$xp_n\" && rmdir -- \"$xp_t\""),
            _ => ("mktemp", "(umask 077; set -C; : >\"$xp_n\") && rm -f -- \"$xp_t\""),
        };
        let script = format!(
            "{dir}\nxp_t=$({make} \"${{xp_d%/}}\"/{prefix}XXXXXXXX) || exit 1\nxp_n=$xp_t{suffix}\n\
             [ \"$xp_n\" = \"$xp_t\" ] || {{ {add_suffix}; }} || exit 1\nprintf 'path '; xp_word \"$xp_n\"; printf '\\nstat '; xp_stat \"$xp_n\"\n"
        );
        let mut result = Map::new();
        result.insert("state", state);
        for key in ["path", "uid", "gid", "owner", "group", "mode", "size"] {
            result.insert(key, Value::unknown(format!("the {key} of a temporary file that is not made yet")));
        }
        Ok(Prediction::change(result, vec![Action::run(script)]))
    }

    fn finish(&self, _: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        for output in ran {
            if output.rc != 0 {
                return Err(Failure::from_output(output));
            }
            let report = Report::parse(&output.stdout);
            let path = report.word("path");
            prediction.result.insert("path", path.ok_or_else(|| Failure::new("the name was not told"))?);
            if let Some(stat) = report.stat("stat")? {
                describe(&mut prediction.result, &stat);
            }
        }
        Ok(prediction.into_outcome())
    }
}
