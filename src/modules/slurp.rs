//! `slurp`: the content of a file as a value.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::sh::{FileKind, Report, expand_path, q};
use super::{ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Seen};
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "slurp",
    about: "Reads a file of the target.",
    args: &[ArgSpec::new("src", ArgKind::Path, "The file.").required().aliases(&["path"])],
    returns: &[("content", "the content, in base64"), ("encoding", "base64"), ("source", "the file")],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

pub struct Slurp;

impl Module for Slurp {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let path = q(&expand_path(call, call.args.str("src").unwrap_or_default())?);
        Ok(Some(format!(
            "xp_p={path}\nprintf 'stat '; xp_stat -L \"$xp_p\"\n\
             case $(LC_ALL=C ls -d -- \"$xp_p\" 2>&1) in *': Not a directory') printf 'below_file yes\\n' ;; esac\n\
             if [ -e \"$xp_p\" ] && [ ! -d \"$xp_p\" ]; then\n\
             [ -r \"$xp_p\" ] || xp_fail \"file is not readable: $xp_p\"\nprintf 'content\\n'; cat -- \"$xp_p\"; fi\n"
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let src = call.args.str("src").unwrap_or_default();
        let mut report = Report::of(seen)?;
        let path = expand_path(call, src)?;
        let after = call.foreseen_file(&path)?;
        if report.get("stat").is_some_and(|line| line.starts_with("error ")) && after.is_none() {
            return Err(Failure::new(format!("file is not readable: {src}")));
        }
        if report.get("below_file").is_some() && after.is_none() {
            return Err(Failure::new(format!("unable to slurp file: Not a directory: {src}")));
        }
        let found = match &after {
            Some(after) => {
                report.content = after.content(&path, report.content.take())?;
                after.stat().cloned()
            }
            None => report.stat("stat")?,
        };
        match found {
            None => return Err(Failure::new(format!("file not found: {src}"))),
            Some(stat) if stat.kind == FileKind::Dir => {
                return Err(Failure::new(format!("source is a directory and must be a file: {src}")));
            }
            Some(stat) => {
                let arrived = report.content.as_ref().map_or(0, Vec::len) as u64;
                if arrived < stat.size {
                    return Err(Failure::new(format!(
                        "cannot read {src}: {arrived} of {} bytes arrived",
                        stat.size
                    )));
                }
            }
        }
        let mut result = Map::new();
        result.insert("content", STANDARD.encode(report.content.unwrap_or_default()));
        result.insert("encoding", "base64");
        result.insert("source", src);
        Ok(Prediction::read(result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    #[test]
    fn reads() {
        let case = Case::new(&Slurp, args(&[("src", "/f")]));
        let seen = b"stat 81a4 0 0 2 1 1 1 9 1 1 0 0 8 4096 :root:root:\ncontent\na\xff".to_vec();
        let result = case.plan(seen).unwrap().result;
        assert_eq!(result.get("content").unwrap().to_text(), "Yf8=");
        assert_eq!(case.plan("stat absent\n").unwrap_err().msg, "file not found: /f");
        assert_eq!(
            case.plan("stat error %5065726d697373696f6e2064656e696564\n").unwrap_err().msg,
            "file is not readable: /f"
        );
        assert_eq!(
            case.plan("stat absent\nbelow_file yes\n").unwrap_err().msg,
            "unable to slurp file: Not a directory: /f"
        );
    }
}
