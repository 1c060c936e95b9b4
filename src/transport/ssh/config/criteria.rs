//! The criteria of a `Match` line.

use super::evaluate::{Case, Place, Run, fits_list};
use super::expand;

/// Whether the lines that follow count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fits,
    DoesNot,
}

/// Criteria with an argument.
const WITH_ARGUMENT: [&str; 9] =
    ["host", "originalhost", "user", "localuser", "localnetwork", "version", "tagged", "command", "exec"];

/// Judges the criteria of a line. Commands run only if everything before them fits.
pub(super) fn judge(run: &mut Run<'_>, words: &[String], place: &Place<'_>) -> Result<Verdict, String> {
    let mut result = true;
    let mut words = words.iter();
    let mut count = 0;
    while let Some(word) = words.next() {
        let (name, negated) = match word.strip_prefix('!') {
            Some(name) => (name, true),
            None => (word.as_str(), false),
        };
        let (name, inline) = match name.split_once('=') {
            Some((name, argument)) => (name.to_ascii_lowercase(), Some(argument)),
            None => (name.to_ascii_lowercase(), None),
        };
        count += 1;
        let fits = match &*name {
            "all" => {
                if count > 1 || words.next().is_some() || inline.is_some() {
                    return Err("\"all\" stands alone in a Match line".into());
                }
                true
            }
            "final" | "canonical" => {
                run.wants_final |= name == "final" && !negated;
                place.last_pass
            }
            other if WITH_ARGUMENT.contains(&other) => {
                let argument = inline.or_else(|| words.next().map(String::as_str));
                let argument = argument.ok_or_else(|| format!("Match {other} needs an argument"))?;
                if argument.is_empty() && !matches!(other, "tagged" | "command") {
                    return Err(format!("Match {other} needs an argument"));
                }
                // A command that cannot decide anything does not run.
                if other == "exec" && (!result || place.never) {
                    continue;
                }
                fits(run, other, argument)?
            }
            other => return Err(format!("\"{other}\" is no criterion of Match")),
        };
        result &= fits != negated;
    }
    if count == 0 {
        return Err("Match needs a criterion".into());
    }
    Ok(if result { Verdict::Fits } else { Verdict::DoesNot })
}

fn fits(run: &Run<'_>, name: &str, argument: &str) -> Result<bool, String> {
    let (person, settings) = (run.query.person, &run.settings);
    let empty_or_fits = |value: &str| match value {
        "" => argument.is_empty(),
        value => fits_list(argument, value, Case::Kept),
    };
    Ok(match name {
        "host" => fits_list(argument, &run.host_name()?.to_ascii_lowercase(), Case::Lower),
        "originalhost" => fits_list(argument, &run.query.name.to_ascii_lowercase(), Case::Lower),
        "user" => fits_list(argument, settings.get("user").unwrap_or(&person.user), Case::Kept),
        "localuser" => fits_list(argument, &person.user, Case::Kept),
        "tagged" => empty_or_fits(settings.get("tag").unwrap_or_default()),
        // No command is known before a connection is there, and we are no version of OpenSSH.
        "command" => empty_or_fits(""),
        "exec" => {
            let command = expand::tokens(argument, &|letter| run.token(letter))?;
            run.query.world.succeeds(&command)
        }
        "version" => false,
        _ => return Err(format!("Match {name} is not supported; use \"Match exec\" instead")),
    })
}
