//! `xplay plan diff`: what changed between two plans.

use super::args::PlanDiffArgs;
use super::exit::{CliError, Ending};
use super::output::{self, Output};
use super::show;
use crate::plan::compare::compare;
use crate::plan::render::comparison;

pub fn diff(args: &PlanDiffArgs, out: &Output) -> Result<Ending, CliError> {
    let (before, after) = (show::read(&args.before)?, show::read(&args.after)?);
    let found = compare(before.plan(), after.plan());
    let ids = (before.id(), after.id());
    if args.json {
        let text = comparison::json_text(&found, ids)
            .map_err(|e| CliError::Internal(format!("cannot write the differences as JSON: {e}")))?;
        out.text(&text)?;
    } else {
        let lines = comparison::lines(&found, ids, output::columns(), out.color);
        show::write_lines(&lines, None, out)?;
    }
    Ok(if found.is_same() { Ending::Done } else { Ending::Differs })
}
