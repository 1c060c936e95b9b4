//! `postgresql_db`: databases of a PostgreSQL server, and copies of them in files.

use super::login::{self, LOGIN_ARGS, member, name, needs_untouched, text, thing};
use crate::modules::sh::{expand_path, q};
use crate::modules::write::named_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "postgresql_db",
    namespaces: &["community.postgresql", "community.general"],
    about: "Makes, changes, copies and removes databases of a PostgreSQL server.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The database.").required().aliases(&["db"]),
        ArgSpec::new("state", ArgKind::Str, "Whether it is to be there, or what to do with it.")
            .default("present")
            .choices(&["absent", "dump", "present", "rename", "restore"]),
        ArgSpec::new("owner", ArgKind::Str, "The role that owns it.").default(""),
        ArgSpec::new("template", ArgKind::Str, "The database that a new one is copied from.").default(""),
        ArgSpec::new("encoding", ArgKind::Str, "The encoding of texts.").default(""),
        ArgSpec::new("lc_collate", ArgKind::Str, "The order of texts.").default(""),
        ArgSpec::new("lc_ctype", ArgKind::Str, "The classes of characters.").default(""),
        ArgSpec::new("icu_locale", ArgKind::Str, "The locale of ICU.").default(""),
        ArgSpec::new("locale_provider", ArgKind::Str, "Who provides locales: libc or icu.").default(""),
        ArgSpec::new("conn_limit", ArgKind::Str, "How many connections it takes.").default(""),
        ArgSpec::new("tablespace", ArgKind::Path, "Where its tables are.").default(""),
        ArgSpec::new("comment", ArgKind::Str, "A comment."),
        ArgSpec::new("target", ArgKind::Path, "The file of a dump, or the new name.").default(""),
        ArgSpec::new("target_opts", ArgKind::Str, "Options for pg_dump, pg_restore or psql.").default(""),
        ArgSpec::new("dump_extra_args", ArgKind::Str, "More options for pg_dump."),
        ArgSpec::new("maintenance_db", ArgKind::Str, "The database to log in to.").default("postgres"),
        ArgSpec::new("force", ArgKind::Bool, "End the connections of others before it is removed.")
            .default("no"),
    ],
    shared: LOGIN_ARGS,
    rules: &[
        Rule::If { arg: "state", value: "dump", needs: &["target"] },
        Rule::If { arg: "state", value: "restore", needs: &["target"] },
        Rule::If { arg: "state", value: "rename", needs: &["target"] },
    ],
    returns: &[("executed_commands", "the statements and commands"), ("db", "the database")],
    ..ModuleSpec::BASE
};

const KIND: &str = "postgresql_db";

pub struct PostgresqlDb;

impl Module for PostgresqlDb {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let db = text(database(args));
        let mut statements = format!(
            "SELECT 'version ' || current_setting('server_version_num');\n\
             SELECT 'db ' || row_to_json(d) FROM (SELECT d.*, r.rolname AS owner, t.spcname AS tablespace, \
             pg_encoding_to_char(d.encoding) AS encoding_name, shobj_description(d.oid, 'pg_database') AS comment \
             FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba JOIN pg_tablespace t ON t.oid = d.dattablespace \
             WHERE datname = {db}) d;\n"
        );
        if let Some(encoding) = args.str("encoding").filter(|e| !e.is_empty()) {
            add!(statements, "SELECT 'encoding ' || pg_char_to_encoding({});\n", text(encoding));
        }
        if args.str("state") == Some("rename") {
            let target = text(args.str("target").unwrap_or_default());
            add!(statements, "SELECT 'target yes' FROM pg_database WHERE datname = {target};\n");
        }
        Ok(Some(login::look(args, maintenance(args), &statements)))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let db = database(args);
        needs_untouched(call, KIND, db)?;
        let report = login::found(call, seen)?;
        let now = login::json(&report, "db")?;
        let version: u32 = report.get("version").and_then(|v| v.parse().ok()).unwrap_or(0);
        let mut after = Map::from_iter([("state", "present")]);
        let statements = match (args.str("state").unwrap_or_default(), &now) {
            ("absent", None) => Vec::new(),
            ("absent", Some(_)) => removed(args, version),
            ("rename", _) => renamed(args, now.is_some(), report.get("target").is_some())?,
            ("dump", None) => return Err(Failure::new(format!("database {db} does not exist"))),
            ("dump", Some(_)) => return dump(call, db),
            ("restore", _) => return restore(call, db),
            (_, None) => created(args, version, &mut after),
            (_, Some(now)) => altered(args, now, report.get("encoding"), &mut after)?,
        };
        let result = result(db, &statements);
        if statements.is_empty() {
            return Ok(Prediction::same(result));
        }
        let before = now.as_ref().map(|now| {
            let mut before = Map::from_iter([("state", "present")]);
            for (key, _) in after.iter() {
                let key = key.json_name();
                if let Some(value) = now.get(column(&key)) {
                    before.insert(key, value.clone());
                }
            }
            before
        });
        let absent = args.str("state") == Some("absent");
        let spoken: Vec<String> = statements.iter().map(|s| format!("{s};")).collect();
        let mut prediction =
            Prediction::change(result, vec![Action::run(login::change(args, maintenance(args), &spoken))])
                .touch(Touch::Thing(thing(KIND, db)))
                .diff(named_diff(&format!("postgresql database {db}"), before, (!absent).then_some(after)));
        if args.str("state") == Some("rename") {
            let target = args.str("target").unwrap_or_default();
            prediction = prediction.touch(Touch::Thing(thing(KIND, target)));
        }
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if let Some(failed) = ran.iter().find(|output| output.rc != 0) {
            return Err(Failure::from_output(failed));
        }
        Ok(prediction.into_outcome())
    }
}

fn database(args: &Args) -> &str {
    args.str("name").unwrap_or_default()
}

fn maintenance(args: &Args) -> &str {
    args.str("maintenance_db").unwrap_or("postgres")
}

fn given<'a>(args: &'a Args, name: &str) -> Option<&'a str> {
    args.str(name).filter(|value| !value.is_empty())
}

fn result(db: &str, commands: &[String]) -> Map {
    let mut result = Map::from_iter([("db", Value::from(db))]);
    result.insert("executed_commands", Value::from(commands.to_vec()));
    result
}

/// Returns the column that holds an attribute.
fn column(attribute: &str) -> &str {
    match attribute {
        "conn_limit" => "datconnlimit",
        "lc_collate" => "datcollate",
        "lc_ctype" => "datctype",
        other => other,
    }
}

fn created(args: &Args, version: u32, after: &mut Map) -> Vec<String> {
    let mut words = vec![format!("CREATE DATABASE {}", name(database(args)))];
    let mut say = |arg: &str, word: &str, quote: fn(&str) -> String| {
        if let Some(value) = given(args, arg) {
            words.push(format!("{word} {}", quote(value)));
            after.insert(arg, value);
        }
    };
    say("owner", "OWNER", name);
    say("template", "TEMPLATE", name);
    say("encoding", "ENCODING", text);
    say("lc_collate", "LC_COLLATE", text);
    say("lc_ctype", "LC_CTYPE", text);
    if version >= 150_000 {
        say("icu_locale", "ICU_LOCALE", text);
        say("locale_provider", "LOCALE_PROVIDER", text);
    }
    say("tablespace", "TABLESPACE", name);
    say("conn_limit", "CONNECTION LIMIT", number);
    let mut statements = vec![words.join(" ")];
    if let Some(comment) = given(args, "comment") {
        statements.push(commented(args, comment));
        after.insert("comment", comment);
    }
    statements
}

/// Returns a number as it is, and what is no number as a text, which the server refuses.
fn number(value: &str) -> String {
    value.parse::<i64>().map_or_else(|_| text(value), |number| number.to_string())
}

fn commented(args: &Args, comment: &str) -> String {
    format!("COMMENT ON DATABASE {} IS {}", name(database(args)), text(comment))
}

fn altered(
    args: &Args,
    now: &Value,
    encoding: Option<&str>,
    after: &mut Map,
) -> Result<Vec<String>, Failure> {
    let has = |key: &str| member(now, key).map(Value::to_text).unwrap_or_default();
    if given(args, "encoding").is_some() && encoding != Some(has("encoding").as_str()) {
        let now = has("encoding_name");
        return Err(Failure::new(format!(
            "Changing database encoding is not supported. Current encoding: {now}"
        )));
    }
    for (arg, what) in [("lc_collate", "LC_COLLATE"), ("lc_ctype", "LC_CTYPE")] {
        if given(args, arg).is_some_and(|wanted| wanted != has(column(arg))) {
            let now = has(column(arg));
            return Err(Failure::new(format!("Changing {what} is not supported. Current {what}: {now}")));
        }
    }
    let icu = member(now, "datlocale")
        .or_else(|| member(now, "daticulocale"))
        .map(Value::to_text)
        .unwrap_or_default();
    if given(args, "icu_locale").is_some_and(|wanted| wanted != icu) {
        return Err(Failure::new(format!("Changing ICU_LOCALE is not supported. Current ICU_LOCALE: {icu}")));
    }
    let provider = match has("datlocprovider").as_str() {
        "c" => "libc",
        "i" => "icu",
        _ => "",
    };
    if given(args, "locale_provider").is_some_and(|wanted| wanted != provider) {
        return Err(Failure::new(format!(
            "Changing LOCALE_PROVIDER is not supported. Current LOCALE_PROVIDER: {provider}"
        )));
    }
    let db = name(database(args));
    let mut statements = Vec::new();
    let mut change = |arg: &'static str, value: &str, statement: String| {
        statements.push(statement);
        after.insert(arg, value);
    };
    if let Some(owner) = given(args, "owner").filter(|owner| *owner != has("owner")) {
        change("owner", owner, format!("ALTER DATABASE {db} OWNER TO {}", name(owner)));
    }
    if let Some(limit) = given(args, "conn_limit").filter(|limit| *limit != has("datconnlimit")) {
        change("conn_limit", limit, format!("ALTER DATABASE {db} CONNECTION LIMIT {}", number(limit)));
    }
    if let Some(space) = given(args, "tablespace").filter(|space| *space != has("tablespace")) {
        change("tablespace", space, format!("ALTER DATABASE {db} SET TABLESPACE {}", name(space)));
    }
    if let Some(comment) = args.str("comment").filter(|comment| *comment != has("comment")) {
        change("comment", comment, commented(args, comment));
    }
    Ok(statements)
}

fn removed(args: &Args, version: u32) -> Vec<String> {
    let db = database(args);
    let drop = format!("DROP DATABASE {}", name(db));
    match (args.flag("force"), version >= 130_000) {
        (false, _) => vec![drop],
        (true, true) => vec![format!("{drop} WITH (FORCE)")],
        (true, false) => vec![
            format!("UPDATE pg_database SET datallowconn = false WHERE datname = {}", text(db)),
            format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {} AND pid <> pg_backend_pid()",
                text(db)
            ),
            drop,
        ],
    }
}

fn renamed(args: &Args, there: bool, target_there: bool) -> Result<Vec<String>, Failure> {
    let target = args.str("target").unwrap_or_default();
    match (there, target_there) {
        (true, true) => Err(Failure::new("Both the source and the target databases exist.")),
        (false, false) => Err(Failure::new("The source and the target databases do not exist.")),
        (false, true) => Ok(Vec::new()),
        (true, false) => {
            Ok(vec![format!("ALTER DATABASE {} RENAME TO {}", name(database(args)), name(target))])
        }
    }
}

/// Returns the environment and the words that tell a PostgreSQL program where the server is.
fn connection(args: &Args, db: &str) -> (String, String) {
    let mut words = format!("-d {}", q(db));
    let host = given(args, "login_host").filter(|h| *h != "localhost").or(given(args, "login_unix_socket"));
    if let Some(host) = host.or(given(args, "login_host")) {
        add!(words, " -h {}", q(host));
    }
    add!(words, " -p {}", args.int("login_port").unwrap_or(5432));
    if let Some(user) = given(args, "login_user") {
        add!(words, " -U {}", q(user));
    }
    let password = given(args, "login_password").map_or(String::new(), |p| format!("PGPASSWORD={} ", q(p)));
    (password, words)
}

/// Returns the program that packs or unpacks a file with this name.
fn packer(target: &str) -> Option<&'static str> {
    match target.rsplit_once('.')?.1 {
        "gz" => Some("gzip"),
        "bz2" => Some("bzip2"),
        "xz" => Some("xz"),
        _ => None,
    }
}

fn words(args: &Args) -> String {
    ["dump_extra_args", "target_opts"]
        .iter()
        .filter_map(|arg| given(args, arg))
        .map(|w| format!(" {w}"))
        .collect()
}

fn dump(call: &Call, db: &str) -> Result<Prediction, Failure> {
    let args = &call.args;
    let target = expand_path(call, args.str("target").unwrap_or_default())?;
    let (password, connection) = connection(args, db);
    let format = match target.rsplit_once('.').map(|(_, end)| end) {
        Some("tar") => " -F t",
        Some("pgc") => " -F c",
        Some("dir") => " -F d",
        _ => "",
    };
    let role = given(args, "session_role").map_or(String::new(), |role| format!(" --role={}", q(role)));
    let command = format!("pg_dump {connection}{format}{role}{}", words(args));
    let file = q(&target);
    let script = match packer(&target) {
        // The exit code of the first program in a pipe would be lost.
        Some(packer) => format!(
            "{{ {{ {password}{command} || echo $? >&3; }} | {packer} >{file}; }} 3>&1 | {{ read -r xp_rc || exit 0; exit \"$xp_rc\"; }}\n"
        ),
        None if format == " -F d" => format!("{password}{command} -f {file}\n"),
        None => format!("{password}{command} >{file}\n"),
    };
    let after = Map::from_iter([("content", format!("a copy of {db}"))]);
    Ok(Prediction::change(result(db, &[format!("{command} > {target}")]), vec![Action::run(script)])
        .diff(named_diff(&target, Some(Map::new()), Some(after)))
        .touch(Touch::Tree { path: target }))
}

fn restore(call: &Call, db: &str) -> Result<Prediction, Failure> {
    let args = &call.args;
    let target = expand_path(call, args.str("target").unwrap_or_default())?;
    let (password, connection) = connection(args, db);
    let file = q(&target);
    let archive = target.rsplit_once('.').is_some_and(|(_, end)| matches!(end, "tar" | "pgc" | "dir"));
    let role = given(args, "session_role")
        .filter(|_| archive)
        .map_or(String::new(), |r| format!(" --role={}", q(r)));
    let program = if archive { "pg_restore" } else { "psql -X -q" };
    let command = format!("{program} {connection}{role}{}", words(args));
    let script = match packer(&target) {
        Some(packer) => format!(
            "[ -r {file} ] || xp_fail \"cannot read {target}\"\n{packer} -dc {file} | {password}{command}\n"
        ),
        None if archive => format!("{password}{command} {file}\n"),
        None => format!("{password}{command} <{file}\n"),
    };
    let after = Map::from_iter([("content", format!("that of {target}"))]);
    Ok(Prediction::change(result(db, &[format!("{command} < {target}")]), vec![Action::run(script)])
        .diff(named_diff(&format!("postgresql database {db}"), Some(Map::new()), Some(after)))
        .touch(Touch::Thing(thing(KIND, db))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    const SHOP: &str = "version 150000\ndb {\"owner\": \"ada\", \"encoding\": 6, \"encoding_name\": \"UTF8\", \
        \"datcollate\": \"C.UTF-8\", \"datctype\": \"C.UTF-8\", \"datconnlimit\": -1, \"tablespace\": \"pg_default\", \
        \"comment\": null, \"datlocprovider\": \"c\", \"daticulocale\": null}\nencoding 6\n";

    fn planned(given: &[(&str, &str)], seen: &str) -> Result<Vec<String>, String> {
        let mut given = given.to_vec();
        given.push(("name", "shop"));
        let prediction = Case::new(&PostgresqlDb, args(&given)).plan(seen).map_err(|f| f.msg)?;
        let commands = prediction.result.get("executed_commands").and_then(Value::as_list).unwrap();
        Ok(commands.iter().map(Value::to_text).collect())
    }

    fn check(given: &[(&str, &str)], seen: &str, commands: &[&str]) {
        assert_eq!(planned(given, seen).unwrap(), commands, "{given:?}");
    }

    #[test]
    fn makes_changes_and_removes() {
        let none = "version 150000\n";
        check(
            &[("owner", "ada"), ("lc_collate", "C"), ("conn_limit", "5"), ("comment", "it's")],
            none,
            &[
                "CREATE DATABASE \"shop\" OWNER \"ada\" LC_COLLATE 'C' CONNECTION LIMIT 5",
                "COMMENT ON DATABASE \"shop\" IS 'it''s'",
            ],
        );
        check(&[("encoding", "UTF-8"), ("owner", "ada"), ("lc_ctype", "C.UTF-8")], SHOP, &[]);
        check(&[("owner", "eve"), ("conn_limit", "-1")], SHOP, &["ALTER DATABASE \"shop\" OWNER TO \"eve\""]);
        check(&[("state", "absent")], none, &[]);
        check(&[("state", "absent"), ("force", "yes")], SHOP, &["DROP DATABASE \"shop\" WITH (FORCE)"]);
        check(&[("state", "rename"), ("target", "b")], SHOP, &["ALTER DATABASE \"shop\" RENAME TO \"b\""]);
        check(&[("state", "rename"), ("target", "b")], "version 150000\ntarget yes\n", &[]);
    }

    #[test]
    fn refuses_what_cannot_change() {
        let fails =
            |given: &[(&str, &str)], expect: &str| assert_eq!(planned(given, SHOP).unwrap_err(), expect);
        fails(&[("lc_collate", "de")], "Changing LC_COLLATE is not supported. Current LC_COLLATE: C.UTF-8");
        fails(
            &[("locale_provider", "icu")],
            "Changing LOCALE_PROVIDER is not supported. Current LOCALE_PROVIDER: libc",
        );
        let other = SHOP.replace("encoding 6\n", "encoding 8\n");
        let failure = planned(&[("encoding", "LATIN1")], &other).unwrap_err();
        assert_eq!(failure, "Changing database encoding is not supported. Current encoding: UTF8");
    }

    #[test]
    fn copies() {
        let case = |state: &str, target: &str| {
            let given = args(&[("name", "shop"), ("state", state), ("target", target)]);
            scripts(&Case::new(&PostgresqlDb, given).plan(SHOP).unwrap()).concat()
        };
        let to = "-d 'shop' -p 5432 -U 'postgres'";
        assert_eq!(case("dump", "/b/x.sql"), format!("pg_dump {to} >'/b/x.sql'\n"));
        assert_eq!(case("dump", "/b/x.dir"), format!("pg_dump {to} -F d -f '/b/x.dir'\n"));
        assert_eq!(
            case("dump", "/b/x.sql.gz"),
            format!(
                "{{ {{ pg_dump {to} || echo $? >&3; }} | gzip >'/b/x.sql.gz'; }} 3>&1 | {{ read -r xp_rc || exit 0; exit \"$xp_rc\"; }}\n"
            )
        );
        assert_eq!(case("restore", "/b/x.tar"), format!("pg_restore {to} '/b/x.tar'\n"));
        assert_eq!(case("restore", "/b/x.sql"), format!("psql -X -q {to} <'/b/x.sql'\n"));
    }
}
