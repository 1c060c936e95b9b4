//! `postgresql_user`: roles that may log in to a PostgreSQL server.

use super::login::{self, LOGIN_ARGS, member, name, needs_untouched, text, thing};
use super::password;
use crate::modules::sh::Report;
use crate::modules::write::named_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "postgresql_user",
    namespaces: &["community.postgresql", "community.general"],
    about: "Makes, changes and removes users of a PostgreSQL server.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The user.").required().aliases(&["user"]),
        ArgSpec::new("password", ArgKind::Str, "The password, in the clear or as the server keeps it."),
        ArgSpec::new("state", ArgKind::Str, "Whether the user is to be there.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("login_db", ArgKind::Str, "The database to log in to.").default("").aliases(&["db"]),
        ArgSpec::new("fail_on_user", ArgKind::Bool, "Fail when the user cannot be removed.")
            .default("yes")
            .aliases(&["fail_on_role"]),
        ArgSpec::new("role_attr_flags", ArgKind::Str, "What the user may do, such as CREATEDB,NOSUPERUSER.")
            .default(""),
        ArgSpec::new("encrypted", ArgKind::Bool, "The server keeps the password encrypted.").default("yes"),
        ArgSpec::new("no_password_changes", ArgKind::Bool, "Leave the password of a user that exists.")
            .default("no"),
        ArgSpec::new("expires", ArgKind::Str, "When the password ends, or infinity."),
        ArgSpec::new("conn_limit", ArgKind::Int, "How many connections the user may have."),
        ArgSpec::new("comment", ArgKind::Str, "A comment."),
        ArgSpec::new("configuration", ArgKind::Dict, "Settings of the user's sessions.").default("{}"),
        ArgSpec::new("reset_unspecified_configuration", ArgKind::Bool, "Take back other settings.")
            .default("no"),
        ArgSpec::new("quote_configuration_values", ArgKind::Bool, "Put settings into quotes.").default("yes"),
    ],
    shared: LOGIN_ARGS,
    returns: &[
        ("queries", "the statements, without passwords"),
        ("user", "the user"),
        ("user_removed", "it was removed"),
    ],
    ..ModuleSpec::BASE
};

/// Flags and the columns that hold them.
const FLAGS: [(&str, &str); 7] = [
    ("SUPERUSER", "rolsuper"),
    ("CREATEROLE", "rolcreaterole"),
    ("CREATEDB", "rolcreatedb"),
    ("INHERIT", "rolinherit"),
    ("LOGIN", "rolcanlogin"),
    ("REPLICATION", "rolreplication"),
    ("BYPASSRLS", "rolbypassrls"),
];

const KIND: &str = "postgresql_user";
const PASSWORD: &str = "%(password)s";

pub struct PostgresqlUser;

impl Module for PostgresqlUser {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        flags(args)?;
        let who = text(role(args)?);
        let mut statements = format!(
            "SELECT 'method ' || current_setting('password_encryption');\n\
             SELECT 'role ' || row_to_json(r) FROM (SELECT *, shobj_description(oid, 'pg_authid') AS comment FROM pg_roles WHERE rolname = {who}) r;\n"
        );
        if let Some(expires) = args.str("expires") {
            let when = text(expires);
            add!(
                statements,
                "SELECT 'expires ' || ({when}::timestamptz IS NOT DISTINCT FROM rolvaliduntil) FROM pg_roles WHERE rolname = {who};\n"
            );
        }
        let kept =
            format!("SELECT 'kept ' || coalesce(rolpassword, '') FROM pg_authid WHERE rolname = {who};");
        Ok(Some(login::look(args, database(args), &statements) + &login::look_if_permitted(&kept)))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let who = role(args)?;
        needs_untouched(call, KIND, who)?;
        let report = login::found(call, seen)?;
        let now = login::json(&report, "role")?;
        let (statements, after) = match (args.str("state") == Some("absent"), &now) {
            (true, None) => (Vec::new(), None),
            (true, Some(_)) => (vec![format!("DROP USER {}", name(who))], None),
            (false, None) => created(args, who)?,
            (false, Some(now)) => altered(args, who, now, &report)?,
        };
        let mut result = Map::from_iter([("user", Value::from(who))]);
        result.insert("queries", Value::from(statements.clone()));
        if args.str("state") == Some("absent") && now.is_some() {
            result.insert("user_removed", true);
        }
        if statements.is_empty() {
            return Ok(Prediction::same(result));
        }
        let secret = text(args.str("password").unwrap_or_default());
        let spoken: Vec<String> =
            statements.iter().map(|s| format!("{};", s.replace(PASSWORD, &secret))).collect();
        let before = now.as_ref().map(|now| shown(now, after.as_ref()));
        Ok(Prediction::change(
            result,
            vec![Action::run(login::change(args, database(args), &[spoken.join("\n")]))],
        )
        .touch(Touch::Thing(thing(KIND, who)))
        .diff(named_diff(&format!("postgresql user {who}"), before, after)))
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let Some(failed) = ran.iter().find(|output| output.rc != 0) else {
            return Ok(prediction.into_outcome());
        };
        let why = String::from_utf8_lossy(&failed.stderr).trim().to_string();
        if call.args.str("state") == Some("absent") {
            if call.args.flag("fail_on_user") {
                return Err(Failure::new(format!("Unable to remove user: {why}")));
            }
            let mut outcome = Outcome { result: prediction.result, ..Outcome::default() };
            outcome.result.insert("user_removed", false);
            return Ok(outcome);
        }
        Err(Failure::new(why))
    }
}

fn database(args: &Args) -> &str {
    args.str("login_db").filter(|db| !db.is_empty()).unwrap_or("postgres")
}

/// Returns the name without the quotes that it may bring.
fn role(args: &Args) -> Result<&str, Failure> {
    let given = args.str("name").unwrap_or_default();
    match (given.strip_prefix('"'), given.strip_suffix('"')) {
        (None, None) => Ok(given),
        (Some(rest), Some(_)) if given.len() > 2 => Ok(rest.strip_suffix('"').unwrap_or(rest)),
        _ => Err(Failure::new(
            "The value of the user-field can't contain a double-quote in the end if it doesn't start with one and vice-versa.",
        )),
    }
}

/// Returns the wanted flags: as written, the column, and whether it is to be set.
fn flags(args: &Args) -> Result<Vec<(String, &'static str, bool)>, Failure> {
    let given = args.str("role_attr_flags").unwrap_or_default().to_uppercase();
    let column = |flag: &str| FLAGS.iter().find(|(name, _)| *name == flag).map(|(_, column)| *column);
    let mut all: Vec<(String, &'static str, bool)> = Vec::new();
    for flag in given.split(',').map(str::trim).filter(|f| !f.is_empty()) {
        let on = column(flag).map(|column| (column, true));
        let found = on.or_else(|| flag.strip_prefix("NO").and_then(column).map(|column| (column, false)));
        let Some((column, on)) = found else {
            return Err(Failure::new(format!("Invalid role_attr_flags specified: {flag}")));
        };
        if all.iter().all(|(f, ..)| f != flag) {
            all.push((flag.to_string(), column, on));
        }
    }
    Ok(all)
}

type Planned = (Vec<String>, Option<Map>);

fn created(args: &Args, who: &str) -> Result<Planned, Failure> {
    let mut words = vec![format!("CREATE USER {}", name(who))];
    let mut after = Map::from_iter([("state", "present")]);
    if args.str("password").is_some_and(|p| !p.is_empty()) {
        words.push(format!("WITH {} PASSWORD {PASSWORD}", encryption(args)));
    }
    words.extend(limits(args));
    for (flag, column, on) in flags(args)? {
        words.push(flag);
        after.insert(column, on);
    }
    let mut statements = vec![words.join(" ")];
    if let Some(comment) = args.str("comment").filter(|c| !c.is_empty()) {
        statements.push(commented(who, comment));
        after.insert("comment", comment);
    }
    statements.extend(settings(args, who, &Map::new(), &mut after)?);
    Ok((statements, Some(after)))
}

fn altered(args: &Args, who: &str, now: &Value, report: &Report) -> Result<Planned, Failure> {
    let mut after = Map::from_iter([("state", "present")]);
    let mut changes = false;
    let wanted = flags(args)?;
    for (_, column, on) in &wanted {
        if now.get(column).and_then(Value::as_bool) != Some(*on) {
            after.insert(*column, *on);
            changes = true;
        }
    }
    let keeps = args.flag("no_password_changes");
    let mut words = vec![format!("ALTER USER {}", name(who))];
    let mut sets_password = false;
    if let (false, Some(wanted)) = (keeps, args.str("password")) {
        let kept = report.get("kept").filter(|k| !k.is_empty());
        let method = report.get("method").unwrap_or_default();
        // Who may not see passwords cannot tell whether they differ.
        sets_password = report.get("kept").is_none()
            || password::changes(who, wanted, kept, args.flag("encrypted"), method);
        if sets_password {
            changes = true;
            after.insert("password", "changed");
            words.push(match wanted {
                "" => "WITH PASSWORD NULL".to_string(),
                _ => format!("WITH {} PASSWORD {PASSWORD}", encryption(args)),
            });
        }
    }
    if !wanted.is_empty() {
        let flags: Vec<&str> = wanted.iter().map(|(flag, ..)| flag.as_str()).collect();
        words.push(format!("{}{}", if sets_password { "" } else { "WITH " }, flags.join(" ")));
    }
    if !keeps {
        if args.has("expires") && report.get("expires") != Some("true") {
            after.insert("rolvaliduntil", args.str("expires").unwrap_or_default());
            changes = true;
        }
        if let Some(limit) = args.int("conn_limit")
            && now.get("rolconnlimit").and_then(Value::as_int) != Some(limit)
        {
            after.insert("rolconnlimit", limit);
            changes = true;
        }
        words.extend(limits(args));
    }
    let mut statements = if changes { vec![words.join(" ")] } else { Vec::new() };
    let comment = member(now, "comment").map(Value::to_text).unwrap_or_default();
    if let Some(wanted) = args.str("comment").filter(|c| *c != comment) {
        statements.push(commented(who, wanted));
        after.insert("comment", wanted);
    }
    let mut current = Map::new();
    for entry in member(now, "rolconfig").and_then(Value::as_list).unwrap_or_default() {
        if let Some((key, value)) = entry.to_text().split_once('=') {
            current.insert(key, value);
        }
    }
    statements.extend(settings(args, who, &current, &mut after)?);
    Ok((statements, Some(after)))
}

fn encryption(args: &Args) -> &'static str {
    if args.flag("encrypted") { "ENCRYPTED" } else { "UNENCRYPTED" }
}

fn limits(args: &Args) -> Vec<String> {
    let expires = args.str("expires").map(|when| format!("VALID UNTIL {}", text(when)));
    let limit = args.int("conn_limit").map(|limit| format!("CONNECTION LIMIT {limit}"));
    expires.into_iter().chain(limit).collect()
}

fn commented(who: &str, comment: &str) -> String {
    format!("COMMENT ON ROLE {} IS {}", name(who), text(comment))
}

/// Returns the statements about settings of sessions.
fn settings(args: &Args, who: &str, current: &Map, after: &mut Map) -> Result<Vec<String>, Failure> {
    let none = Map::new();
    let wanted = args.get("configuration").and_then(Value::as_map).unwrap_or(&none);
    let mut statements = Vec::new();
    if args.flag("reset_unspecified_configuration") {
        for (key, _) in current.iter().filter(|(key, _)| wanted.get(&key.json_name()).is_none()) {
            statements.push(format!("ALTER ROLE {} RESET {}", name(who), name(&key.json_name())));
        }
    }
    for (key, value) in wanted.iter() {
        let (key, value) = (key.json_name(), value.to_text());
        if key.contains(['"', '\'']) {
            return Err(Failure::new("The key of a configuration may not contain single or double quotes"));
        }
        if current.get(&key).map(Value::to_text).as_ref() == Some(&value) {
            continue;
        }
        let quoted = if args.flag("quote_configuration_values") { text(&value) } else { value.clone() };
        statements.push(format!("ALTER ROLE {} SET {} TO {quoted}", name(who), name(&key)));
        after.insert(&*key, value);
    }
    Ok(statements)
}

/// Returns of the present state what the change is about.
fn shown(now: &Value, after: Option<&Map>) -> Map {
    let mut before = Map::from_iter([("state", "present")]);
    for (key, _) in after.into_iter().flat_map(Map::iter) {
        if let Some(value) = now.get(&key.json_name()) {
            before.insert(key.json_name(), value.clone());
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    fn check(given: &[(&str, &str)], seen: &str, queries: &[&str]) {
        let mut given = given.to_vec();
        given.push(("name", "ada"));
        let prediction = Case::new(&PostgresqlUser, args(&given)).plan(seen).unwrap();
        let found = prediction.result.get("queries").and_then(Value::as_list).unwrap();
        let found: Vec<String> = found.iter().map(Value::to_text).collect();
        assert_eq!(found, queries, "{given:?}");
        assert_eq!(scripts(&prediction).is_empty(), queries.is_empty());
    }

    const ADA: &str = "method scram-sha-256\nrole {\"rolname\": \"ada\", \"rolsuper\": false, \"rolcreatedb\": true, \
        \"rolcanlogin\": true, \"rolconnlimit\": -1, \"rolconfig\": [\"work_mem=8MB\"], \"comment\": null}\nkept \n";

    #[test]
    fn makes_and_removes() {
        check(&[], "method md5\n", &["CREATE USER \"ada\""]);
        check(
            &[("password", "it's"), ("role_attr_flags", "createdb,NOSUPERUSER"), ("conn_limit", "3")],
            "method md5\n",
            &[
                "CREATE USER \"ada\" WITH ENCRYPTED PASSWORD %(password)s CONNECTION LIMIT 3 CREATEDB NOSUPERUSER",
            ],
        );
        check(&[("state", "absent")], "method md5\n", &[]);
        check(&[("state", "absent")], ADA, &["DROP USER \"ada\""]);
    }

    #[test]
    fn changes_what_differs() {
        check(&[], ADA, &[]);
        check(&[("role_attr_flags", "CREATEDB,LOGIN")], ADA, &[]);
        check(&[("role_attr_flags", "NOCREATEDB")], ADA, &["ALTER USER \"ada\" WITH NOCREATEDB"]);
        check(&[("password", "x")], ADA, &["ALTER USER \"ada\" WITH ENCRYPTED PASSWORD %(password)s"]);
        check(&[("password", "x"), ("no_password_changes", "yes")], ADA, &[]);
        check(&[("password", "")], ADA, &[]);
        check(&[("comment", "c")], ADA, &["COMMENT ON ROLE \"ada\" IS 'c'"]);
        check(&[("conn_limit", "2")], ADA, &["ALTER USER \"ada\" CONNECTION LIMIT 2"]);
        check(&[("configuration", "{\"work_mem\": \"8MB\"}")], ADA, &[]);
        check(
            &[("configuration", "{\"a\": \"b\"}"), ("reset_unspecified_configuration", "yes")],
            ADA,
            &["ALTER ROLE \"ada\" RESET \"work_mem\"", "ALTER ROLE \"ada\" SET \"a\" TO 'b'"],
        );
    }

    #[test]
    fn passwords_are_said_to_the_server_only() {
        let case = Case::new(&PostgresqlUser, args(&[("name", "ada"), ("password", "it's")]));
        let prediction = case.plan("method md5\n").unwrap();
        assert!(
            scripts(&prediction)[0].contains("PASSWORD '\\''it'\\'''\\''s'\\''"),
            "{:?}",
            scripts(&prediction)
        );
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(Case::new(&PostgresqlUser, args(given)).plan(seen).unwrap_err().msg, expect);
        };
        fails(&[("name", "a"), ("role_attr_flags", "FLY")], "", "Invalid role_attr_flags specified: FLY");
        fails(&[("name", "a")], "missing yes\n", "there is no psql on the target; install postgresql-client");
        fails(&[("name", "a")], "failed =refused\n", "unable to connect to database: refused");
    }
}
