//! `mysql_user`: accounts of a MySQL or MariaDB server and their privileges.

use super::grants::{self, Columns, Grants, Mode, parse_shown, parse_wanted};
use super::login::{self, LOGIN_ARGS, Version, text, thing, unlogged};
use super::user_sql::{Account, Proof, Requires, is_old};
use crate::modules::sh::{Report, q};
use crate::modules::write::named_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "mysql_user",
    namespaces: &["community.mysql", "community.general"],
    about: "Makes, changes and removes accounts of a MySQL or MariaDB server.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The user.").required().aliases(&["user"]),
        ArgSpec::new("host", ArgKind::Str, "Where the user may come from.").default("localhost"),
        ArgSpec::new("host_all", ArgKind::Bool, "All accounts of the user, wherever from.").default("no"),
        ArgSpec::new("state", ArgKind::Str, "Whether the account is to be there.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("password", ArgKind::Str, "The password."),
        ArgSpec::new("encrypted", ArgKind::Bool, "The password is given as the server keeps it.")
            .default("no"),
        ArgSpec::new("update_password", ArgKind::Str, "When the password is set.")
            .default("always")
            .choices(&["always", "on_create", "on_new_username"]),
        ArgSpec::new("priv", ArgKind::Raw, "The privileges: db.table:priv1,priv2/... or a map."),
        ArgSpec::new("append_privs", ArgKind::Bool, "Leave privileges that are not named.").default("no"),
        ArgSpec::new("subtract_privs", ArgKind::Bool, "Revoke those that are named.").default("no"),
        ArgSpec::new("column_case_sensitive", ArgKind::Bool, "Names of columns keep their case."),
        ArgSpec::new("tls_requires", ArgKind::Dict, "What the connection's encryption has to be."),
        ArgSpec::new("plugin", ArgKind::Str, "How the user proves who it is."),
        ArgSpec::new("plugin_hash_string", ArgKind::Str, "What the server keeps for the plugin."),
        ArgSpec::new("plugin_auth_string", ArgKind::Str, "The password for the plugin."),
        ArgSpec::new("resource_limits", ArgKind::Dict, "How much the account may use."),
        ArgSpec::new("locked", ArgKind::Bool, "Nobody can log in to the account."),
        ArgSpec::new("check_implicit_admin", ArgKind::Bool, "Taken for compatibility.").default("no"),
        ArgSpec::new("sql_log_bin", ArgKind::Bool, "Changes are written to the binary log.").default("yes"),
        ArgSpec::new("force_context", ArgKind::Bool, "Taken for compatibility.").default("no"),
    ],
    shared: LOGIN_ARGS,
    rules: &[Rule::Exclusive(&["append_privs", "subtract_privs"])],
    returns: &[("user", "the user"), ("msg", "what was done"), ("password_changed", "the password was set")],
    ..ModuleSpec::BASE
};

const KIND: &str = "mysql_user";

/// Limits and the columns that hold them.
const LIMITS: [(&str, &str); 5] = [
    ("MAX_QUERIES_PER_HOUR", "max_questions"),
    ("MAX_UPDATES_PER_HOUR", "max_updates"),
    ("MAX_CONNECTIONS_PER_HOUR", "max_connections"),
    ("MAX_USER_CONNECTIONS", "max_user_connections"),
    ("MAX_STATEMENT_TIME", "max_statement_time"),
];

pub struct MysqlUser;

/// What a task comes to for one account.
#[derive(Default)]
struct Steps {
    statements: Vec<String>,
    /// In the order in which they were found; the last one is told.
    messages: Vec<String>,
    before: Map,
    after: Map,
    password: bool,
    /// Whether the statements do something besides granting and revoking.
    other: bool,
}

impl Module for MysqlUser {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let who = text(args.str("name").unwrap_or_default());
        let mut condition = format!("User = {who}");
        if !args.flag("host_all") {
            add!(condition, " AND Host = {}", text(&host(args)));
        }
        let mut lines = format!(
            "xp_ask mode 'SELECT @@sql_mode'\nxp_rows {}\n",
            q(&format!("SELECT * FROM mysql.user WHERE {condition}"))
        );
        let shows = [("priv", "grants", "SHOW GRANTS FOR"), ("locked", "create", "SHOW CREATE USER")];
        for (_, tag, statement) in shows.iter().filter(|(arg, ..)| args.has(arg)) {
            add!(lines, "{}\n", for_each_account(&condition, tag, &format!("{statement} "), &who));
        }
        login::look(call, &lines).map(Some)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let user = args.str("name").unwrap_or_default();
        call.needs_same(&thing(KIND, user))?;
        let report = login::found(call, seen)?;
        let accounts: Vec<Account> = login::rows(&report).into_iter().map(Account::of).collect();
        let mut result = Map::from_iter([("user", Value::from(user))]);
        let what =
            format!("mysql user {user}@{}", if args.flag("host_all") { "(all)".into() } else { host(args) });
        if args.str("state") == Some("absent") {
            if accounts.is_empty() {
                result.insert("msg", "User doesn't exist");
                return Ok(Prediction::same(result));
            }
            result.insert("msg", "User deleted");
            result.insert("password_changed", false);
            let drops: Vec<String> =
                accounts.iter().map(|account| format!("DROP USER {}", at(user, &account.host))).collect();
            let side = Map::from_iter([("state", "present")]);
            return Ok(Prediction::change(result, vec![Action::run(spoken(call, drops)?)])
                .touch(Touch::Thing(thing(KIND, user)))
                .diff(named_diff(&what, Some(side), None)));
        }
        let version = Version::of(&report);
        let wanted = wanted_grants(args, report.get("mode").unwrap_or_default())?;
        let mut steps = Steps::default();
        if accounts.is_empty() {
            if args.flag("host_all") {
                return Err(Failure::new("host_all parameter cannot be used when adding a user"));
            }
            steps.create(args, user, version, wanted.as_ref())?;
        }
        for account in &accounts {
            steps.alter(args, user, account, version, &report, wanted.as_ref())?;
        }
        result.insert("msg", steps.messages.last().map_or("User unchanged", String::as_str));
        result.insert("password_changed", steps.password);
        if steps.statements.is_empty() {
            return Ok(Prediction::same(result));
        }
        let mut script = spoken(call, steps.statements.clone())?;
        if !steps.other {
            script = compared(script, user, &accounts);
        }
        let before = (!accounts.is_empty()).then_some(steps.before);
        Ok(Prediction::change(result, vec![Action::run(script)])
            .touch(Touch::Thing(thing(KIND, user)))
            .diff(named_diff(&what, before, Some(steps.after))))
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if let Some(failed) = ran.iter().find(|output| output.rc != 0) {
            return Err(Failure::from_output(failed));
        }
        // The server may have understood by the wanted privileges what it had.
        let same = ran.iter().any(|output| output.stdout.ends_with(b"same yes\n"));
        let mut outcome = prediction.into_outcome();
        if same {
            outcome.changed = false;
            outcome.diff.clear();
            outcome.result.insert("msg", "User unchanged");
        }
        Ok(outcome)
    }
}

fn host(args: &Args) -> String {
    args.str("host").unwrap_or("localhost").to_lowercase()
}

/// Returns an account as statements name it.
fn at(user: &str, host: &str) -> String {
    format!("{}@{}", text(user), text(host))
}

/// Returns a line of a probe that asks the server about each account of a user.
fn for_each_account(condition: &str, tag: &str, statement: &str, who: &str) -> String {
    let hosts = format!(
        "SELECT CONCAT({}, QUOTE(Host)) FROM mysql.user WHERE {condition}",
        text(&format!("{statement}{who}@"))
    );
    format!(
        "printf '%s\\n' {} | xp_mysql -N -r | while IFS= read -r xp_s; do printf '%s host %s\\n' {tag} \"${{xp_s##*@}}\"; xp_ask {tag} \"$xp_s\" </dev/null; done",
        q(&hosts)
    )
}

/// Returns what was said about one account by [`for_each_account`].
fn said_of<'a>(report: &'a Report, tag: &'static str, host: &str) -> Vec<&'a str> {
    let marks = format!("host {}", text(host));
    let mut lines = Vec::new();
    let mut is_it = false;
    for line in report.all(tag) {
        match line.strip_prefix("host ") {
            Some(_) => is_it = line == marks,
            None if is_it => lines.push(line),
            None => {}
        }
    }
    lines
}

fn spoken(call: &Call, statements: Vec<String>) -> Result<String, Failure> {
    let all: Vec<String> = unlogged(&call.args).into_iter().chain(statements).collect();
    login::change(call, &all)
}

/// Returns the script with a comparison of the privileges before and after.
fn compared(script: String, user: &str, accounts: &[Account]) -> String {
    let shows: String =
        accounts.iter().map(|account| format!("SHOW GRANTS FOR {};\n", at(user, &account.host))).collect();
    let Some((functions, change)) = script.rsplit_once("printf '%s' ") else { return script };
    format!(
        "{functions}xp_grants() {{ printf '%s' {} | xp_mysql -N; }}\nxp_b=$(xp_grants)\nprintf '%s' {change}\
         xp_a=$(xp_grants)\n[ \"$xp_a\" != \"$xp_b\" ] || printf 'same yes\\n'\n",
        q(&shows)
    )
}

fn mode(args: &Args) -> Mode {
    match (args.flag("append_privs"), args.flag("subtract_privs")) {
        (true, _) => Mode::Append,
        (_, true) => Mode::Subtract,
        _ => Mode::Exact,
    }
}

fn wanted_grants(args: &Args, sql_mode: &str) -> Result<Option<Grants>, Failure> {
    let columns = if args.flag("column_case_sensitive") { Columns::AsWritten } else { Columns::Upper };
    let parse =
        |given: &Value| parse_wanted(given, columns, sql_mode.contains("ANSI"), mode(args) != Mode::Subtract);
    args.get("priv").filter(|given| !given.is_null()).map(parse).transpose()
}

impl Steps {
    fn say(&mut self, statement: String, message: &str) {
        self.statements.push(statement);
        self.messages.push(message.to_string());
        self.other = true;
    }

    fn create(
        &mut self,
        args: &Args,
        user: &str,
        version: Version,
        wanted: Option<&Grants>,
    ) -> Result<(), Failure> {
        let who = at(user, &host(args));
        let proof = Proof::wanted(args)?;
        let requires = Requires::wanted(args);
        let demands = if requires == Requires::Nothing { String::new() } else { requires.clause() };
        let (create, later) =
            if is_old(version) { (String::new(), demands) } else { (demands, String::new()) };
        self.say(format!("CREATE USER {who}{}{create}", proof.identified(version)), "User added");
        self.after.insert("state", "present");
        self.password = true;
        if let Some(wanted) = wanted.filter(|_| mode(args) != Mode::Subtract) {
            for step in grants::steps(user, &Grants::new(), wanted, Mode::Append) {
                self.statements.push(step.statement(&who));
            }
            self.after.insert("privileges", shown(wanted));
        }
        if !later.is_empty() {
            self.statements.push(format!("GRANT USAGE ON *.* TO {who}{later}"));
        }
        let limits: Vec<String> =
            wanted_limits(args)?.iter().map(|(word, value)| format!("{word} {value}")).collect();
        if !limits.is_empty() {
            self.statements.push(format!("ALTER USER {who} WITH {}", limits.join(" ")));
        }
        if args.flag("locked") {
            self.statements.push(format!("ALTER USER {who} ACCOUNT LOCK"));
        }
        Ok(())
    }

    fn alter(
        &mut self,
        args: &Args,
        user: &str,
        account: &Account,
        version: Version,
        report: &Report,
        wanted: Option<&Grants>,
    ) -> Result<(), Failure> {
        let who = at(user, &account.host);
        if args.str("update_password") == Some("always")
            && let Some(statement) = Proof::wanted(args)?.change(args, account, &who, version)
        {
            let age = if is_old(version) { "old" } else { "new" };
            self.say(statement, &format!("Password updated ({age} style)"));
            self.password = true;
            self.after.insert("password", "changed");
        }
        if let Some(wanted) = wanted {
            let now = parse_shown(said_of(report, "grants", &account.host).into_iter());
            let steps = grants::steps(user, &now, wanted, mode(args));
            if !steps.is_empty() {
                self.statements.extend(steps.iter().map(|step| step.statement(&who)));
                self.messages.push("Privileges updated".to_string());
                self.before.insert("privileges", shown(&now));
                self.after.insert("privileges", shown(wanted));
            }
        }
        if let Some(locked) = args.bool("locked") {
            let is =
                said_of(report, "create", &account.host).iter().any(|line| line.contains("ACCOUNT LOCK"));
            if is != locked {
                let (word, message) =
                    if locked { ("LOCK", "User locked") } else { ("UNLOCK", "User unlocked") };
                self.say(format!("ALTER USER {who} ACCOUNT {word}"), message);
                self.before.insert("locked", is);
                self.after.insert("locked", locked);
            }
        }
        let requires = Requires::wanted(args);
        if account.requires() != requires {
            let start = if is_old(version) { "GRANT USAGE ON *.* TO" } else { "ALTER USER" };
            self.say(format!("{start} {who}{}", requires.clause()), "TLS requires updated");
            self.before.insert("tls_requires", account.requires().clause().trim_start());
            self.after.insert("tls_requires", requires.clause().trim_start());
        }
        let mut limits = Vec::new();
        for (word, value) in wanted_limits(args)? {
            let column = LIMITS.iter().find(|(name, _)| *name == word).map_or("", |(_, column)| column);
            let now: f64 = account.column(column).parse().unwrap_or(0.0);
            if now != value as f64 {
                self.before.insert(word, now);
                self.after.insert(word, value);
                limits.push(format!("{word} {value}"));
            }
        }
        if !limits.is_empty() {
            self.say(format!("ALTER USER {who} WITH {}", limits.join(" ")), "Resource limits updated");
        }
        Ok(())
    }
}

fn wanted_limits(args: &Args) -> Result<Vec<(&'static str, i64)>, Failure> {
    let Some(map) = args.get("resource_limits").and_then(Value::as_map) else { return Ok(Vec::new()) };
    map.iter()
        .map(|(key, value)| {
            let (key, value) = (key.json_name(), value.to_text());
            let Some((word, _)) = LIMITS.iter().find(|(word, _)| **word == *key) else {
                return Err(Failure::new(format!("resource_limits: key '{key}' is unsupported.")));
            };
            let number = value
                .parse()
                .map_err(|_| Failure::new(format!("Can't convert value '{value}' to integer.")))?;
            Ok((*word, number))
        })
        .collect()
}

fn shown(grants: &Grants) -> String {
    grants.iter().map(|(on, list)| format!("{on}:{}", list.join(","))).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    const HASH: &str = "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7";

    fn ada() -> String {
        format!(
            "version 10.11.11-MariaDB\nmode STRICT\nrow **** 1. row ****\nrow Host: localhost\nrow Password: {HASH}\n\
             row ssl_type: \nrow max_questions: 0\nrow plugin: mysql_native_password\n\
             grants host 'localhost'\ngrants GRANT USAGE ON *.* TO `ada`@`localhost`\ngrants GRANT SELECT ON `shop`.* TO `ada`@`localhost`\n"
        )
    }

    fn check(given: &[(&str, &str)], seen: &str, statements: &[&str], msg: &str) {
        let mut given = given.to_vec();
        given.push(("name", "ada"));
        let prediction = Case::new(&MysqlUser, args(&given)).plan(seen).unwrap();
        let script = scripts(&prediction).concat().replace("'\\''", "'");
        let found: Vec<&str> = match script.rsplit_once("printf '%s' '").filter(|_| !statements.is_empty()) {
            Some((_, rest)) => rest.split_once("' | xp_mysql >/dev/null").unwrap().0.lines().collect(),
            None => script.lines().collect(),
        };
        assert_eq!(found, statements, "{given:?}");
        assert_eq!(prediction.result.get("msg").unwrap().to_text(), msg, "{given:?}");
    }

    #[test]
    fn makes_and_removes() {
        let none = "version 10.11.11-MariaDB\nmode STRICT\n";
        check(
            &[("password", "secret"), ("priv", "shop.*:ALL")],
            none,
            &[
                &format!("CREATE USER 'ada'@'localhost' IDENTIFIED WITH mysql_native_password AS '{HASH}';"),
                "GRANT USAGE ON *.* TO 'ada'@'localhost';",
                "GRANT ALL ON `shop`.* TO 'ada'@'localhost';",
            ],
            "User added",
        );
        check(
            &[("password", HASH), ("encrypted", "yes"), ("host", "%"), ("tls_requires", "{\"ssl\": null}")],
            "version 5.6.1\n",
            &[
                &format!("CREATE USER 'ada'@'%' IDENTIFIED BY PASSWORD '{HASH}';"),
                "GRANT USAGE ON *.* TO 'ada'@'%' REQUIRE SSL;",
            ],
            "User added",
        );
        check(&[("state", "absent")], none, &[], "User doesn't exist");
        check(&[("state", "absent")], &ada(), &["DROP USER 'ada'@'localhost';"], "User deleted");
    }

    #[test]
    fn changes_what_differs() {
        check(&[("password", "secret"), ("priv", "shop.*:SELECT")], &ada(), &[], "User unchanged");
        check(
            &[("password", "other")],
            &ada(),
            &[
                "ALTER USER 'ada'@'localhost' IDENTIFIED WITH mysql_native_password AS '*023494FBCDFBF9C93B6B2663B348A1C4A939B247';",
            ],
            "Password updated (new style)",
        );
        check(&[("password", "other"), ("update_password", "on_create")], &ada(), &[], "User unchanged");
        check(
            &[("priv", "shop.*:INSERT")],
            &ada(),
            &[
                "REVOKE SELECT ON `shop`.* FROM 'ada'@'localhost';",
                "GRANT INSERT ON `shop`.* TO 'ada'@'localhost';",
            ],
            "Privileges updated",
        );
        check(
            &[("tls_requires", "{\"x509\": null}"), ("resource_limits", "{\"MAX_QUERIES_PER_HOUR\": 5}")],
            &ada(),
            &[
                "ALTER USER 'ada'@'localhost' REQUIRE X509;",
                "ALTER USER 'ada'@'localhost' WITH MAX_QUERIES_PER_HOUR 5;",
            ],
            "Resource limits updated",
        );
        check(
            &[("locked", "yes")],
            &format!("{}create host 'localhost'\ncreate CREATE USER `ada`@`localhost`\n", ada()),
            &["ALTER USER 'ada'@'localhost' ACCOUNT LOCK;"],
            "User locked",
        );
    }

    #[test]
    fn a_server_that_had_it_already() {
        let case = Case::new(&MysqlUser, args(&[("name", "ada"), ("priv", "shop.*:ALL")]));
        let ran = |stdout: &str| Output { stdout: stdout.as_bytes().to_vec(), ..Output::default() };
        assert!(case.finish(&ada(), &[ran("")]).unwrap().changed);
        assert!(!case.finish(&ada(), &[ran("same yes\n")]).unwrap().changed);
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(Case::new(&MysqlUser, args(given)).plan(seen).unwrap_err().msg, expect);
        };
        fails(&[("name", "a")], "missing yes\n", "there is no mysql or mariadb client on the target");
        fails(
            &[("name", "a"), ("host_all", "yes")],
            "version 8.0.1\n",
            "host_all parameter cannot be used when adding a user",
        );
        fails(
            &[("name", "a"), ("password", "x"), ("encrypted", "yes")],
            "version 8.0.1\n",
            "encrypted was specified however it does not appear to be a valid hash expecting: *SHA1(SHA1(your_password))",
        );
    }
}
