//! How to reach a PostgreSQL server: the arguments that all its modules have, and psql as a shell function.

use crate::modules::sh::{Report, q};
use crate::modules::tool::missing;
use crate::modules::{ArgKind, ArgSpec, Args, Call, Failure, Seen, Thing};
use crate::value::{Value, from_json};

/// Arguments of all modules.
pub const LOGIN_ARGS: &[ArgSpec] = &[
    ArgSpec::new("login_user", ArgKind::Str, "Who logs in.").default("postgres").aliases(&["login"]),
    ArgSpec::new("login_password", ArgKind::Str, "The password of who logs in.").default(""),
    ArgSpec::new("login_host", ArgKind::Str, "The server's host.").default("").aliases(&["host"]),
    ArgSpec::new("login_unix_socket", ArgKind::Path, "The folder of the server's socket on this host.")
        .default("")
        .aliases(&["unix_socket"]),
    ArgSpec::new("login_port", ArgKind::Int, "The server's port.").default("5432").aliases(&["port"]),
    ArgSpec::new("ssl_mode", ArgKind::Str, "Whether the connection is encrypted.")
        .default("prefer")
        .choices(&["allow", "disable", "prefer", "require", "verify-ca", "verify-full"]),
    ArgSpec::new("ca_cert", ArgKind::Path, "Certificates of who signs for servers.")
        .aliases(&["ssl_rootcert"]),
    ArgSpec::new("ssl_cert", ArgKind::Path, "This side's certificate."),
    ArgSpec::new("ssl_key", ArgKind::Path, "This side's key."),
    ArgSpec::new("connect_params", ArgKind::Dict, "More parameters of the connection.").default("{}"),
    ArgSpec::new("session_role", ArgKind::Str, "The role to act as after the login."),
    ArgSpec::new("trust_input", ArgKind::Bool, "Taken for compatibility: names are always quoted.")
        .default("yes"),
];

/// Shell lines that end a probe where there is no psql.
const NEEDS_PSQL: &str = "command -v psql >/dev/null 2>&1 || { printf 'missing yes\\n'; exit 0; }\n";

/// Returns the shell function `xp_psql`, which runs the statements on its stdin in a database.
pub fn function(args: &Args, database: &str) -> String {
    let mut words = vec![("dbname", database.to_string())];
    let host = args.str("login_host").unwrap_or_default();
    let socket = args.str("login_unix_socket").unwrap_or_default();
    if matches!(host, "" | "localhost") && !socket.is_empty() {
        words.push(("host", socket.to_string()));
    } else if !host.is_empty() {
        words.push(("host", host.to_string()));
    }
    words.push(("port", args.int("login_port").unwrap_or(5432).to_string()));
    let names = [
        ("user", "login_user"),
        ("sslmode", "ssl_mode"),
        ("sslrootcert", "ca_cert"),
        ("sslcert", "ssl_cert"),
        ("sslkey", "ssl_key"),
    ];
    for (word, arg) in names {
        if let Some(value) = args.str(arg).filter(|v| !v.is_empty()) {
            words.push((word, value.to_string()));
        }
    }
    let more = args.get("connect_params").and_then(Value::as_map);
    let mut connection: Vec<String> = words.iter().map(|(name, value)| parameter(name, value)).collect();
    connection.extend(
        more.into_iter().flat_map(|map| map.iter()).map(|(k, v)| parameter(&k.json_name(), &v.to_text())),
    );
    let password = match args.str("login_password").filter(|p| !p.is_empty()) {
        Some(password) => format!("PGPASSWORD={} ", q(password)),
        None => String::new(),
    };
    format!(
        "xp_psql() {{ {password}LC_ALL=C psql -XAtqw -v ON_ERROR_STOP=1 -- {}; }}\n",
        q(&connection.join(" "))
    )
}

/// Returns a parameter of a connection string.
fn parameter(name: &str, value: &str) -> String {
    format!("{name}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Returns a probe: the answers to statements that only read, each a tag and JSON.
pub fn look(args: &Args, database: &str, statements: &str) -> String {
    format!(
        "{NEEDS_PSQL}{}xp_o=$(printf '%s\\n' {} | xp_psql 2>&1) || {{ xp_tell failed \"$xp_o\"; exit 0; }}\n\
         printf '%s\\n' \"$xp_o\"\n",
        function(args, database),
        q(&format!("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;\n{}{statements}", role(args)))
    )
}

/// Returns lines of a probe for a statement that the user may not be permitted.
pub fn look_if_permitted(statement: &str) -> String {
    format!("printf '%s\\n' {} | xp_psql 2>/dev/null\n:\n", q(statement))
}

/// Returns a script that runs statements in one go; those that cannot be part of a transaction must stand alone.
pub fn change(args: &Args, database: &str, statements: &[String]) -> String {
    let mut script = function(args, database);
    for statement in statements {
        add!(
            script,
            "printf '%s\\n' {} | xp_psql >/dev/null || exit $?\n",
            q(&format!("{}{statement}", role(args)))
        );
    }
    script
}

/// Returns the statement that takes on another role.
fn role(args: &Args) -> String {
    args.str("session_role")
        .filter(|r| !r.is_empty())
        .map_or(String::new(), |role| format!("SET ROLE {};\n", name(role)))
}

/// Returns what a probe found. Where an earlier step of a plan has to do with the server nobody knows yet.
pub fn found(call: &Call, seen: &Seen) -> Result<Report, Failure> {
    let report = Report::of(seen)?;
    if report.get("missing").is_some() {
        return Err(missing(call, "there is no psql on the target; install postgresql-client"));
    }
    match report.word("failed") {
        None => Ok(report),
        Some(why) => Err(missing(call, format!("unable to connect to database: {}", why.trim()))),
    }
}

/// Returns the JSON behind a tag.
pub fn json(report: &Report, tag: &str) -> Result<Option<Value>, Failure> {
    report.get(tag).map(parse).transpose()
}

/// Returns the JSON of all lines with a tag.
pub fn all_json<'a>(report: &'a Report, tag: &'a str) -> Result<Vec<Value>, Failure> {
    report.all(tag).map(parse).collect()
}

fn parse(text: &str) -> Result<Value, Failure> {
    let json: serde_json::Value = serde_json::from_str(text)
        .map_err(|e| Failure::new(format!("the server's answer is no JSON: {e}: {text}")))?;
    Ok(from_json(&json))
}

/// Returns a name of something in the database.
pub fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Returns a text in a statement.
pub fn text(text: &str) -> String {
    if text.contains('\\') {
        return format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// What a module changes, for later steps of a plan.
pub fn thing(kind: &'static str, name: &str) -> Thing {
    Thing { kind, name: name.to_string() }
}

/// Refuses to foresee what an earlier step of a plan changes.
pub fn needs_untouched(call: &Call, kind: &'static str, name: &str) -> Result<(), Failure> {
    call.needs_same(&thing(kind, name))
}

/// Returns what a missing member or null is not.
pub fn member<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.get(key).filter(|v| !v.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Map;

    #[test]
    fn connections() {
        let check = |given: &[(&str, &str)], expect: &str| {
            let mut given: Map = given.iter().map(|(name, value)| (*name, *value)).collect();
            given.insert("login_port", Value::Int(5433));
            assert_eq!(function(&Args::new(given), "a b"), expect);
        };
        check(
            &[("login_host", "localhost"), ("login_unix_socket", "/run/pg"), ("login_user", "ada")],
            "xp_psql() { LC_ALL=C psql -XAtqw -v ON_ERROR_STOP=1 -- \
             'dbname='\\''a b'\\'' host='\\''/run/pg'\\'' port='\\''5433'\\'' user='\\''ada'\\'''; }\n",
        );
        check(
            &[("login_host", "db"), ("login_unix_socket", "/run/pg"), ("login_password", "it's")],
            "xp_psql() { PGPASSWORD='it'\\''s' LC_ALL=C psql -XAtqw -v ON_ERROR_STOP=1 -- \
             'dbname='\\''a b'\\'' host='\\''db'\\'' port='\\''5433'\\'''; }\n",
        );
    }

    #[test]
    fn words_of_statements() {
        assert_eq!(name("a\"b"), "\"a\"\"b\"");
        assert_eq!(text("it's"), "'it''s'");
        assert_eq!(text("a\\b"), "E'a\\\\b'");
    }
}
