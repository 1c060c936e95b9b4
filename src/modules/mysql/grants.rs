//! Privileges of MySQL accounts: as tasks write them, as the server shows them, and what lies between.

use std::collections::BTreeMap;

use crate::modules::Failure;
use crate::value::Value;

/// Privileges by what they are on, such as `` `shop`.* ``.
pub type Grants = BTreeMap<String, Vec<String>>;

/// What `ALL` on everything means where the server writes it out.
const ALL_STATIC: [&str; 24] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "RELOAD",
    "SHUTDOWN",
    "PROCESS",
    "FILE",
    "REFERENCES",
    "INDEX",
    "ALTER",
    "SHOW DATABASES",
    "SUPER",
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "EXECUTE",
    "REPLICATION SLAVE",
    "REPLICATION CLIENT",
    "CREATE VIEW",
    "SHOW VIEW",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
];

/// Whether column names in privileges keep their case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    Upper,
    AsWritten,
}

/// Reads `db.table:PRIV,PRIV/other.*:ALL`, or the same as a map.
pub fn parse_wanted(given: &Value, columns: Columns, ansi: bool, add_usage: bool) -> Result<Grants, Failure> {
    let parts: Vec<(String, String)> = match given {
        Value::Map(map) => {
            map.iter().map(|(on, privs)| (on.json_name().to_string(), privs.to_text())).collect()
        }
        other => other
            .to_text()
            .trim()
            .split('/')
            .map(|item| {
                let item = item.trim();
                item.rsplit_once(':').map(|(on, privs)| (on.to_string(), privs.to_string())).ok_or_else(
                    || {
                        Failure::new(format!(
                            "invalid priv string: {item} is not of the form db.table:priv1,priv2"
                        ))
                    },
                )
            })
            .collect::<Result<_, _>>()?,
    };
    let mut grants = Grants::new();
    for (on, privileges) in parts {
        let has_columns = privileges.contains('(');
        let privileges = match columns {
            Columns::AsWritten if has_columns => privileges,
            _ => privileges.to_uppercase(),
        };
        let list = split_privileges(&privileges).into_iter().map(|p| all(&p)).collect();
        grants.insert(quoted(&on, ansi), list);
    }
    if add_usage {
        grants.entry("*.*".to_string()).or_insert_with(|| vec!["USAGE".to_string()]);
    }
    Ok(grants)
}

/// Returns an object with its parts in quotes.
fn quoted(on: &str, ansi: bool) -> String {
    let quote = if ansi { '"' } else { '`' };
    let (kind, on) = match on.split_once(' ') {
        Some((kind @ ("FUNCTION" | "PROCEDURE"), rest)) => (format!("{kind} "), rest),
        _ => (String::new(), on),
    };
    let part = |part: &str| match part.trim_matches('`') {
        "*" => "*".to_string(),
        plain => format!("{quote}{plain}{quote}"),
    };
    match on.rsplit_once('.') {
        Some((database, table)) => format!("{kind}{}.{}", part(database), part(table)),
        None => format!("{kind}{}", part(on)),
    }
}

/// Splits at commas outside of parentheses, and sorts the columns inside of them.
fn split_privileges(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_u32;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts.iter().map(|part| with_sorted_columns(part.trim())).filter(|part| !part.is_empty()).collect()
}

fn with_sorted_columns(privilege: &str) -> String {
    let Some((name, columns)) = privilege.split_once('(') else { return privilege.to_string() };
    let mut columns: Vec<&str> =
        columns.trim_end_matches(')').split(',').map(|column| column.trim().trim_matches('`')).collect();
    columns.sort_unstable();
    format!("{} ({})", name.trim(), columns.join(", "))
}

fn all(privilege: &str) -> String {
    if privilege == "ALL PRIVILEGES" { "ALL".to_string() } else { privilege.to_string() }
}

/// Reads lines of `SHOW GRANTS`.
pub fn parse_shown<'a>(lines: impl Iterator<Item = &'a str>) -> Grants {
    let mut grants = Grants::new();
    for line in lines {
        // What has no object is a role that is granted, or the default role.
        let Some((privileges, rest)) = line.strip_prefix("GRANT ").and_then(|rest| rest.split_once(" ON "))
        else {
            continue;
        };
        let Some((on, who)) = split_account(rest) else { continue };
        let mut list: Vec<String> = split_privileges(privileges).iter().map(|p| all(p)).collect();
        if who.ends_with("WITH GRANT OPTION") {
            list.push("GRANT".to_string());
        }
        grants.entry(on.to_string()).or_default().extend(list);
    }
    grants
}

/// Splits at the ` TO ` before the account, which stands in quotes.
fn split_account(text: &str) -> Option<(&str, &str)> {
    ["'", "`", "\""]
        .iter()
        .filter_map(|quote| text.find(&format!(" TO {quote}")))
        .min()
        .map(|at| text.split_at(at))
}

/// How wanted privileges go with those that are there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Only these.
    Exact,
    /// These too.
    Append,
    /// Not these.
    Subtract,
}

/// A step to the wanted privileges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Grant { on: String, privileges: Vec<String>, option: bool },
    Revoke { on: String, privileges: Vec<String> },
    RevokeOption { on: String },
}

/// Returns the steps from what is to what is wanted.
pub fn steps(user: &str, now: &Grants, wanted: &Grants, mode: Mode) -> Vec<Step> {
    let mut steps = Vec::new();
    if mode == Mode::Exact {
        for (on, privileges) in now.iter().filter(|(on, _)| !wanted.contains_key(*on)) {
            if user != "root" && !privileges.iter().any(|p| p == "PROXY") {
                revoke(&mut steps, on, privileges);
            }
        }
    }
    for (on, privileges) in wanted {
        let Some(current) = now.get(on) else {
            if mode != Mode::Subtract {
                grant(&mut steps, on, privileges);
            }
            continue;
        };
        let in_list = |list: &[String], privilege: &String| list.contains(privilege);
        let lacking: Vec<String> = privileges.iter().filter(|p| !has(current, on, p)).cloned().collect();
        match mode {
            Mode::Append => grant(&mut steps, on, &lacking),
            Mode::Subtract => {
                let held: Vec<String> =
                    privileges.iter().filter(|p| in_list(current, p) && *p != "USAGE").cloned().collect();
                revoke(&mut steps, on, &held);
            }
            Mode::Exact => {
                let everything = privileges.iter().any(|p| p == "ALL");
                let surplus = |p: &&String| {
                    !in_list(privileges, p)
                        && *p != "USAGE"
                        && (!everything || *p == "GRANT" || *p == "PROXY")
                };
                let surplus: Vec<String> = current.iter().filter(surplus).cloned().collect();
                revoke(&mut steps, on, &surplus);
                // Nothing at all is what remains when the rest is taken away.
                let lacking: Vec<String> = lacking.into_iter().filter(|p| p != "USAGE").collect();
                grant(&mut steps, on, &lacking);
            }
        }
    }
    steps
}

/// Whether a privilege is held, also where `ALL` was written out by the server.
fn has(current: &[String], on: &str, privilege: &String) -> bool {
    let holds = |p: &str| current.iter().any(|c| c == p);
    current.contains(privilege) || privilege == "ALL" && on == "*.*" && ALL_STATIC.iter().all(|p| holds(p))
}

fn revoke(steps: &mut Vec<Step>, on: &str, privileges: &[String]) {
    if privileges.iter().any(|p| p == "GRANT") {
        steps.push(Step::RevokeOption { on: on.to_string() });
    }
    let plain: Vec<String> = privileges.iter().filter(|p| *p != "GRANT" && *p != "USAGE").cloned().collect();
    if !plain.is_empty() {
        steps.push(Step::Revoke { on: on.to_string(), privileges: plain });
    }
}

fn grant(steps: &mut Vec<Step>, on: &str, privileges: &[String]) {
    if privileges.is_empty() {
        return;
    }
    let option = privileges.iter().any(|p| p == "GRANT");
    let mut plain: Vec<String> = privileges.iter().filter(|p| *p != "GRANT").cloned().collect();
    if plain.is_empty() {
        plain.push("USAGE".to_string());
    }
    steps.push(Step::Grant { on: on.to_string(), privileges: plain, option });
}

impl Step {
    /// Returns the statement for an account.
    pub fn statement(&self, account: &str) -> String {
        match self {
            Step::Grant { on, privileges, option } => {
                let option = if *option { " WITH GRANT OPTION" } else { "" };
                format!("GRANT {} ON {on} TO {account}{option}", privileges.join(","))
            }
            Step::Revoke { on, privileges } => {
                format!("REVOKE {} ON {on} FROM {account}", privileges.join(","))
            }
            Step::RevokeOption { on } => format!("REVOKE GRANT OPTION ON {on} FROM {account}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, shown: &[&str], mode: Mode, expect: &[&str]) {
        let wanted = parse_wanted(&wanted.into(), Columns::Upper, false, mode != Mode::Subtract).unwrap();
        let now = parse_shown(shown.iter().copied());
        let found: Vec<String> = steps("ada", &now, &wanted, mode).iter().map(|s| s.statement("A")).collect();
        assert_eq!(found, expect, "{wanted:?} {now:?}");
    }

    const USAGE: &str = "GRANT USAGE ON *.* TO `ada`@`%` IDENTIFIED BY PASSWORD '*ABC'";
    const SHOP: &str = "GRANT ALL PRIVILEGES ON `shop`.* TO `ada`@`%`";

    #[test]
    fn exactly_these() {
        check("*.*:USAGE", &[USAGE], Mode::Exact, &[]);
        check("shop.*:ALL", &[USAGE, SHOP], Mode::Exact, &[]);
        check("shop.*:ALL", &[USAGE], Mode::Exact, &["GRANT ALL ON `shop`.* TO A"]);
        check("*.*:USAGE", &[USAGE, SHOP], Mode::Exact, &["REVOKE ALL ON `shop`.* FROM A"]);
        check(
            "shop.*:SELECT,GRANT/*.*:PROCESS",
            &[USAGE, SHOP],
            Mode::Exact,
            &[
                "GRANT PROCESS ON *.* TO A",
                "REVOKE ALL ON `shop`.* FROM A",
                "GRANT SELECT ON `shop`.* TO A WITH GRANT OPTION",
            ],
        );
        check(
            "*.*:ALL",
            &["GRANT ALL PRIVILEGES ON *.* TO `ada`@`%` WITH GRANT OPTION"],
            Mode::Exact,
            &["REVOKE GRANT OPTION ON *.* FROM A"],
        );
        check(
            "d.t:select (b,a)",
            &[USAGE, "GRANT SELECT (`A`, `B`) ON `d`.`t` TO `ada`@`%`"],
            Mode::Exact,
            &[],
        );
        let long = format!("GRANT {} ON *.* TO `ada`@`%`", ALL_STATIC.join(", "));
        check("*.*:ALL", &[&long], Mode::Exact, &[]);
        check("FUNCTION d.f:EXECUTE", &[USAGE], Mode::Exact, &["GRANT EXECUTE ON FUNCTION `d`.`f` TO A"]);
    }

    #[test]
    fn more_and_less() {
        let select = "GRANT SELECT, INSERT ON `d`.* TO 'ada'@'%'";
        check("d.*:UPDATE,SELECT", &[USAGE, select], Mode::Append, &["GRANT UPDATE ON `d`.* TO A"]);
        check("d.*:SELECT", &[USAGE, select], Mode::Append, &[]);
        check("d.*:GRANT", &[USAGE, select], Mode::Append, &["GRANT USAGE ON `d`.* TO A WITH GRANT OPTION"]);
        check("d.*:SELECT,DROP", &[USAGE, select], Mode::Subtract, &["REVOKE SELECT ON `d`.* FROM A"]);
        check("e.*:SELECT", &[USAGE, select], Mode::Subtract, &[]);
    }

    #[test]
    fn what_is_no_privilege() {
        assert!(parse_wanted(&"nothing".into(), Columns::Upper, false, true).is_err());
        let roles = parse_shown(["GRANT `r` TO `ada`@`%`", "SET DEFAULT ROLE `r` FOR `ada`@`%`"].into_iter());
        assert_eq!(roles, Grants::new());
    }
}
