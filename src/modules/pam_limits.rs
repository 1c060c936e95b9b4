//! `pam_limits`: what users may use of the system's resources.

use super::attrs::Attrs;
use super::sh::{Report, expand_path};
use super::write;
use super::{
    ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, edit,
};
use crate::transport::Output;
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "pam_limits",
    namespaces: &["community.general"],
    about: "Sets limits of users in a file of pam_limits.",
    args: &[
        ArgSpec::new("domain", ArgKind::Str, "The user, @group or * that it is for.").required(),
        ArgSpec::new("limit_type", ArgKind::Str, "Whether users may raise it themselves.")
            .required()
            .choices(&["hard", "soft", "-"]),
        ArgSpec::new("limit_item", ArgKind::Str, "What is limited.").required().choices(&[
            "core",
            "data",
            "fsize",
            "memlock",
            "nofile",
            "rss",
            "stack",
            "cpu",
            "nproc",
            "as",
            "maxlogins",
            "maxsyslogins",
            "priority",
            "locks",
            "sigpending",
            "msgqueue",
            "nice",
            "rtprio",
            "chroot",
        ]),
        ArgSpec::new("value", ArgKind::Str, "The limit, or unlimited.").required(),
        ArgSpec::new("use_max", ArgKind::Bool, "A higher value that is there stays.").default("no"),
        ArgSpec::new("use_min", ArgKind::Bool, "A lower value that is there stays.").default("no"),
        ArgSpec::new("backup", ArgKind::Bool, "Keep the old file under another name.").default("no"),
        ArgSpec::new("dest", ArgKind::Path, "The file.").default("/etc/security/limits.conf"),
        ArgSpec::new("comment", ArgKind::Str, "A comment behind the limit.").default(""),
    ],
    rules: &[Rule::Exclusive(&["use_max", "use_min"])],
    returns: &[("msg", "the line"), ("backup_file", "the name of the backup")],
    own_check: Some(check),
    ..ModuleSpec::BASE
};

const NO_LIMIT: [&str; 3] = ["unlimited", "infinity", "-1"];

pub struct PamLimits;

fn check(given: &Map) -> Result<(), Failure> {
    let text = |name: &str| given.get(name).filter(|v| !v.is_unknown()).map(crate::value::Value::to_text);
    match (text("limit_item"), text("value")) {
        (Some(item), Some(value)) => check_value(&item, &value, ""),
        _ => Ok(()),
    }
}

fn check_value(item: &str, value: &str, prefix: &str) -> Result<(), Failure> {
    if matches!(item, "nice" | "priority") {
        if value.parse().is_ok_and(|number: i32| (-20..=19).contains(&number)) {
            return Ok(());
        }
        return Err(Failure::new(format!(
            "{prefix}Value of '{value}' for item '{item}' is invalid. Value must be a number in the range -20 to 19 inclusive. \
             Refer to the limits.conf(5) manual pages for more details."
        )));
    }
    if NO_LIMIT.contains(&value) || !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{prefix}Value of '{value}' for item '{item}' is invalid. Value must either be 'unlimited', 'infinity' or -1, all of which \
         indicate no limit, or a limit of 0 or larger. Refer to the limits.conf(5) manual pages for more details."
    )))
}

impl Module for PamLimits {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        Ok(Some(edit::lines(&file(call)?, &Attrs::default())))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let path = file(call)?;
        let found = edit::found_at(call, Report::of(seen)?, &path, &path)?;
        let text = found.text();
        let (after, line) = limited(&call.args, &text.text, &path)?;
        let mut prediction = found.replace(call, text.bytes(&after), Map::new())?;
        prediction.result.insert("msg", line);
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup_file", false)
    }
}

fn file(call: &Call) -> Result<String, Failure> {
    expand_path(call, call.args.str("dest").unwrap_or_default())
}

/// Returns the file with the limit, and its line.
fn limited(args: &Args, before: &str, path: &str) -> Result<(String, String), Failure> {
    let get = |name: &str| args.str(name).unwrap_or_default();
    let (domain, kind, item, wanted) = (get("domain"), get("limit_type"), get("limit_item"), get("value"));
    let mut comment = get("comment").to_string();
    let line_with = |value: &str, comment: &str| {
        let comment = if comment.is_empty() { String::new() } else { format!("\t#{comment}") };
        format!("{domain}\t{kind}\t{item}\t{value}{comment}\n")
    };
    let mut after = String::new();
    let mut told = None;
    for line in before.split_inclusive('\n') {
        let (plain, old_comment) = line.split_once('#').unwrap_or((line, ""));
        let fields: Vec<&str> = plain.split_whitespace().collect();
        let [line_domain, line_kind, line_item, now] = fields[..] else {
            after += line;
            continue;
        };
        if line.starts_with('#') {
            after += line;
            continue;
        }
        check_value(line_item, now, &format!("Invalid configuration found in '{path}'. "))?;
        if comment.is_empty() {
            comment = old_comment.trim_end_matches('\n').to_string();
        }
        if (line_domain, line_kind, line_item) != (domain, kind, item) {
            after += line;
            continue;
        }
        let value = chosen(args, wanted, now);
        let new = if value == now { line.to_string() } else { line_with(value, &comment) };
        after += &new;
        told = Some(new);
    }
    let line = match told {
        Some(line) => line,
        None => {
            if !after.is_empty() && !after.ends_with('\n') {
                after.push('\n');
            }
            let line = line_with(wanted, &comment);
            after += &line;
            line
        }
    };
    Ok((after, line))
}

/// Returns which of two values is to stand there.
fn chosen<'a>(args: &Args, wanted: &'a str, now: &'a str) -> &'a str {
    // No limit is more than any number.
    let size =
        |value: &str| if NO_LIMIT.contains(&value) { i128::MAX } else { value.parse().unwrap_or(i128::MAX) };
    let keeps = args.flag("use_max") && size(now) >= size(wanted)
        || args.flag("use_min") && size(now) <= size(wanted);
    if keeps { now } else { wanted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    fn case(given: &[(&str, &str)]) -> Case {
        let mut all = vec![("domain", "*"), ("limit_type", "hard"), ("limit_item", "nofile")];
        all.extend(given);
        Case::new(&PamLimits, args(&all))
    }

    fn check(given: &[(&str, &str)], before: &str, after: &str, msg: &str) {
        assert_eq!(case(given).edit(before), (after.to_string(), msg.to_string()), "{given:?}");
    }

    #[test]
    fn sets() {
        let line = "*\thard\tnofile\t5\n";
        check(&[("value", "5")], "# c\n", &format!("# c\n{line}"), line);
        check(&[("value", "5")], "# no newline", &format!("# no newline\n{line}"), line);
        check(&[("value", "5")], "* hard nofile 5\n", "* hard nofile 5\n", "* hard nofile 5\n");
        check(
            &[("value", "5")],
            "* hard nofile 4\n* soft nofile 9\n",
            &format!("{line}* soft nofile 9\n"),
            line,
        );
        let commented = "*\thard\tnofile\t5\t#why\n";
        check(&[("value", "5"), ("comment", "why")], "* hard nofile 4\n", commented, commented);
        check(&[("value", "5")], "* hard nofile 4 #why\n", commented, commented);
    }

    #[test]
    fn the_higher_or_lower_one() {
        let old = "* hard nofile 9\n";
        check(&[("value", "5"), ("use_max", "yes")], old, old, old);
        check(&[("value", "5"), ("use_min", "yes")], old, "*\thard\tnofile\t5\n", "*\thard\tnofile\t5\n");
        let unlimited = "*\thard\tnofile\tunlimited\n";
        check(&[("value", "unlimited"), ("use_max", "yes")], old, unlimited, unlimited);
        check(&[("value", "unlimited"), ("use_min", "yes")], old, old, old);
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], before: &str, expect: &str| {
            let seen =
                format!("umask 0022\nlstat 81a4 0 0 9 1 1 1 9 1 1 0 0 8 4096 :root:root:\ncontent\n{before}");
            let msg = case(given).plan(seen).unwrap_err().msg;
            assert!(msg.starts_with(expect), "{msg}");
        };
        fails(&[("value", "many")], "", "Value of 'many' for item 'nofile' is invalid. Value must either be");
        fails(
            &[("value", "5")],
            "* - nice 40\n",
            "Invalid configuration found in '/etc/security/limits.conf'. Value of '40' for item 'nice' is invalid.",
        );
    }
}
