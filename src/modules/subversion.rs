//! `subversion`: working copies and exports of Subversion repositories.

use super::sh::{Report, expand_path, q};
use super::write::attr_diff;
use super::{
    Action, ArgKind, ArgSpec, Call, Effect, Failure, Module, ModuleSpec, Outcome, Prediction, Run, Seen,
    Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "subversion",
    about: "Checks out or exports a Subversion repository.",
    args: &[
        ArgSpec::new("repo", ArgKind::Str, "The repository's URL.")
            .required()
            .aliases(&["name", "repository"]),
        ArgSpec::new("dest", ArgKind::Path, "The folder for it."),
        ArgSpec::new("revision", ArgKind::Str, "The revision.").default("HEAD").aliases(&["rev", "version"]),
        ArgSpec::new("force", ArgKind::Bool, "Throw away local changes.").default("no"),
        ArgSpec::new("in_place", ArgKind::Bool, "Check out into a folder that is already there.")
            .default("no"),
        ArgSpec::new("username", ArgKind::Str, "The user for the repository."),
        ArgSpec::new("password", ArgKind::Str, "The user's password."),
        ArgSpec::new("executable", ArgKind::Path, "The svn program."),
        ArgSpec::new("checkout", ArgKind::Bool, "Check out when the folder is not there.").default("yes"),
        ArgSpec::new("update", ArgKind::Bool, "Update when it is there.").default("yes"),
        ArgSpec::new("export", ArgKind::Bool, "Export instead of checking out.").default("no"),
        ArgSpec::new("switch", ArgKind::Bool, "Switch to the repository's URL first.").default("yes"),
        ArgSpec::new("validate_certs", ArgKind::Bool, "Check the server's certificate.").default("no"),
    ],
    returns: &[("before", "revision and URL before"), ("after", "revision and URL after")],
    ..ModuleSpec::BASE
};

pub struct Subversion;

/// Returns the shell function `xp_svn`.
fn setting(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let program = match args.str("executable") {
        Some(path) => expand_path(call, path)?,
        None => "svn".to_string(),
    };
    let mut options = String::from(" --non-interactive --no-auth-cache");
    if !args.flag("validate_certs") {
        options += " --trust-server-cert";
    }
    if let Some(user) = args.str("username") {
        add!(options, " --username {}", q(user));
    }
    let run = match args.str("password") {
        None => format!("\"$xp_program\"{options} \"$@\" </dev/null"),
        // Only newer programs read it where nobody else can see it.
        Some(password) => format!(
            "case $(\"$xp_program\" --version --quiet) in 1.[0-9].*) \"$xp_program\"{options} --password {0} \"$@\" </dev/null ;; *) printf '%s' {0} | \"$xp_program\"{options} --password-from-stdin \"$@\" ;; esac",
            q(password)
        ),
    };
    let dest = match args.str("dest") {
        Some(dest) => q(&expand_path(call, dest)?),
        None => "''".to_string(),
    };
    Ok(format!(
        "export LC_ALL=C LANG=C LC_MESSAGES=C\nxp_program=$(command -v {0}) || xp_fail 'Failed to find required executable \"'{0}'\" on the target'\n\
         xp_dest={dest}; xp_repo={1}; xp_rev={2}\nxp_svn() {{ {run}; }}\n",
        q(&program),
        q(args.str("repo").unwrap_or_default()),
        q(args.str("revision").unwrap_or("HEAD"))
    ))
}

/// What is found at the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    WorkingCopy,
    Other,
}

impl Module for Subversion {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let idle = !args.flag("checkout") && !args.flag("update") && !args.flag("export");
        if !args.has("dest") && !idle {
            return Err(Failure::new(
                "the destination directory must be specified unless checkout=no, update=no, and export=no",
            ));
        }
        let mut script = setting(call)?;
        script += if idle {
            "xp_o=$(xp_svn info \"$xp_repo\" 2>&1) || xp_fail \"$xp_o\"\nprintf '%s\\n' \"$xp_o\" | sed 's/^/remote /'\n"
        } else {
            "if [ ! -e \"$xp_dest\" ]; then printf 'found nothing\\n'; exit 0; fi\n\
             if xp_o=$(xp_svn info \"$xp_dest\" 2>/dev/null); then printf 'found copy\\n'; printf '%s\\n' \"$xp_o\" | sed 's/^/info /'\n\
             xp_svn status --quiet --ignore-externals \"$xp_dest\" 2>/dev/null | grep '^[^?X]' | sed 's/^/changed /'\n\
             xp_svn info -r \"$xp_rev\" \"$xp_dest\" 2>/dev/null | sed 's/^/head /'; else printf 'found other\\n'; fi\n:\n"
        };
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        if !args.flag("checkout") && !args.flag("update") && !args.flag("export") {
            let after = revision(&report, "remote").unwrap_or_else(|| "Unable to get remote revision".into());
            return Ok(Prediction::read(Map::from_iter([("after", after)])));
        }
        let dest = args.str("dest").unwrap_or_default();
        call.needs_untouched(&expand_path(call, dest)?)?;
        let found = match report.need("found")? {
            "nothing" => Found::Nothing,
            "copy" => Found::WorkingCopy,
            _ => Found::Other,
        };
        let force = if args.flag("force") { " --force" } else { "" };
        let export = args.flag("export");
        match found {
            _ if export => self.change(
                call,
                None,
                format!("xp_svn export{force} -r \"$xp_rev\" \"$xp_repo\" \"$xp_dest\""),
            ),
            Found::Nothing if !args.flag("checkout") => Ok(Prediction::same(Map::new())),
            Found::Nothing => self.change(
                call,
                None,
                format!("xp_svn checkout{force} -r \"$xp_rev\" \"$xp_repo\" \"$xp_dest\""),
            ),
            Found::WorkingCopy => self.update(call, &report),
            Found::Other if args.flag("in_place") => {
                let revert = if args.flag("force") { " && xp_svn revert -R \"$xp_dest\"" } else { "" };
                self.change(
                    call,
                    None,
                    format!("xp_svn checkout --force -r \"$xp_rev\" \"$xp_repo\" \"$xp_dest\"{revert}"),
                )
            }
            Found::Other => Err(Failure::new(format!(
                "ERROR: {dest} folder already exists, but its not a subversion repository."
            ))),
        }
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if let Some(output) = ran.iter().find(|o| o.rc != 0) {
            return Err(Failure::from_output(output));
        }
        if call.args.flag("export") {
            return Ok(prediction.into_outcome());
        }
        if let Some(output) = ran.last() {
            let report = Report::parse(&output.stdout);
            prediction.result.insert("after", place(&report, "info"));
            // What came with it is told line by line: a letter, then the file.
            let touched = report.all("did").any(|line| {
                line.strip_prefix(['A', 'B', 'D', 'U', 'C', 'G', 'E'])
                    .is_some_and(|rest| rest.starts_with([' ', '\t']))
            });
            if prediction.effect == Effect::Unknown {
                let before = prediction.result.get("before").cloned();
                let moved = before.as_ref() != prediction.result.get("after");
                prediction.effect = if touched || moved { Effect::Change } else { Effect::Same };
            }
        }
        Ok(prediction.into_outcome())
    }
}

impl Subversion {
    /// Predicts for a working copy.
    fn update(&self, call: &Call, report: &Report) -> Result<Prediction, Failure> {
        let args = &call.args;
        if !args.flag("update") {
            return Ok(Prediction::same(Map::new()));
        }
        let modified = report.get("changed").is_some();
        if modified && !args.flag("force") {
            return Err(Failure::new("ERROR: modified files exist in the repository."));
        }
        let before = place(report, "info");
        let number =
            |tag: &str| revision(report, tag).and_then(|r| r.rsplit(' ').next()?.parse::<u64>().ok());
        let url = report.all("info").find_map(|line| line.strip_prefix("URL: "));
        let repo = args.str("repo").unwrap_or_default().trim_end_matches('/');
        let elsewhere = args.flag("switch") && url != Some(repo);
        if !modified && !elsewhere && number("info").is_some() && number("info") == number("head") {
            return Ok(Prediction::same(Map::from_iter([("before", before.clone()), ("after", before)])));
        }
        let mut script = String::new();
        if args.flag("switch") {
            script += "xp_svn switch --revision \"$xp_rev\" \"$xp_repo\" \"$xp_dest\" && ";
        }
        if modified {
            script += "xp_svn revert -R \"$xp_dest\" && ";
        }
        script += "xp_svn update -r \"$xp_rev\" \"$xp_dest\"";
        let head = revision(report, "head").filter(|_| !elsewhere);
        let mut prediction = self.change(call, Some(before), script)?;
        if let (Some(head), Some(url), true) = (head, url, call.check) {
            prediction.result.insert("after", Value::from(vec![head, format!("URL: {url}")]));
        }
        if !modified {
            prediction.effect = Effect::Unknown;
        }
        Ok(prediction)
    }

    fn change(&self, call: &Call, before: Option<Value>, command: String) -> Result<Prediction, Failure> {
        let dest = call.args.str("dest").unwrap_or_default();
        let script = format!(
            "{}xp_o=$({{ {command}; }} 2>&1) || {{ printf '%s\\n' \"$xp_o\" >&2; exit 1; }}\nprintf '%s\\n' \"$xp_o\" | sed 's/^/did /'\nxp_svn info \"$xp_dest\" 2>/dev/null | sed 's/^/info /'\n:\n",
            setting(call)?
        );
        let mut result = Map::new();
        if !call.args.flag("export") {
            result.insert("before", before.clone().unwrap_or_default());
            result.insert("after", Value::unknown("the revision after a checkout that has not run"));
        }
        let side = |what: Value| Map::from_iter([("revision", what)]);
        let wanted = Value::str(call.args.str("revision").unwrap_or("HEAD"));
        Ok(Prediction::change(result, vec![Action::Run(Run { script, long: true, ..Run::default() })])
            .touch(Touch::Tree { path: expand_path(call, dest)? })
            .diff(attr_diff(dest, side(before.unwrap_or_else(|| Value::str("absent"))), side(wanted))))
    }
}

/// Returns the line that tells the revision.
fn revision(report: &Report, tag: &str) -> Option<String> {
    report.all(tag).find(|line| line.starts_with("Revision: ")).map(str::to_string)
}

/// Returns the lines of revision and URL.
fn place(report: &Report, tag: &str) -> Value {
    let url = report.all(tag).find(|line| line.starts_with("URL: ")).unwrap_or("Unable to get URL");
    let revision = revision(report, tag).unwrap_or_else(|| "Unable to get revision".to_string());
    Value::from(vec![revision, url.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    const COPY: &str = "found copy\ninfo URL: file:///r/trunk\ninfo Revision: 3\nhead Revision: 3\n";

    fn check(given: &[(&str, &str)], seen: &str, expect: &str) {
        let mut given = given.to_vec();
        given.extend([("repo", "file:///r/trunk"), ("dest", "/w")]);
        let got = match Case::new(&Subversion, args(&given)).plan(seen) {
            Err(failure) => failure.msg,
            Ok(prediction) => scripts(&prediction).first().map_or("-".to_string(), |s| {
                let line = s.lines().find(|l| l.starts_with("xp_o=")).unwrap_or_default();
                line.trim_start_matches("xp_o=$({ ")
                    .split("; }")
                    .next()
                    .unwrap_or_default()
                    .replace(['"', '$'], "")
            }),
        };
        assert_eq!(got, expect, "{given:?}");
    }

    #[test]
    fn checks_out_updates_and_exports() {
        check(&[], "found nothing\n", "xp_svn checkout -r xp_rev xp_repo xp_dest");
        check(&[("checkout", "no")], "found nothing\n", "-");
        check(
            &[("export", "yes"), ("force", "yes")],
            COPY,
            "xp_svn export --force -r xp_rev xp_repo xp_dest",
        );
        check(&[], COPY, "-");
        check(
            &[],
            &COPY.replace("head Revision: 3", "head Revision: 4"),
            "xp_svn switch --revision xp_rev xp_repo xp_dest && xp_svn update -r xp_rev xp_dest",
        );
        check(
            &[("switch", "no")],
            &COPY.replace("head Revision: 3", "head Revision: 4"),
            "xp_svn update -r xp_rev xp_dest",
        );
        check(
            &[("force", "yes"), ("switch", "no")],
            &format!("{COPY}changed M /w/a\n"),
            "xp_svn revert -R xp_dest && xp_svn update -r xp_rev xp_dest",
        );
        check(&[], &format!("{COPY}changed M /w/a\n"), "ERROR: modified files exist in the repository.");
        check(&[("in_place", "yes")], "found other\n", "xp_svn checkout --force -r xp_rev xp_repo xp_dest");
        check(&[], "found other\n", "ERROR: /w folder already exists, but its not a subversion repository.");
        check(&[("update", "no")], COPY, "-");
    }

    #[test]
    fn asks_only_for_the_revision() {
        let given = [("repo", "r"), ("checkout", "no"), ("update", "no")];
        let read = Case::new(&Subversion, args(&given)).plan("remote Revision: 9\n").unwrap();
        assert_eq!(
            (read.effect, read.result.get("after").unwrap().to_text()),
            (Effect::Read, "Revision: 9".into())
        );
        let failure = Case::new(&Subversion, args(&[("repo", "r")])).probe().unwrap_err();
        assert!(failure.msg.starts_with("the destination directory must be specified"));
    }
}
