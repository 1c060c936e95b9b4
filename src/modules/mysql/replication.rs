//! `mysql_replication`: how a MySQL or MariaDB server follows another one.

use super::login::{self, LOGIN_ARGS, Version, text, thing};
use crate::modules::sh::q;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "mysql_replication",
    namespaces: &["community.mysql", "community.general"],
    about: "Shows and changes the replication of a MySQL or MariaDB server.",
    args: &[
        ArgSpec::new("mode", ArgKind::Str, "What to do.").default("getreplica").choices(&[
            "getprimary",
            "getreplica",
            "changeprimary",
            "stopreplica",
            "startreplica",
            "resetprimary",
            "resetreplica",
            "resetreplicaall",
            "changereplication",
        ]),
        ArgSpec::new("primary_host", ArgKind::Str, "The other server's host.").aliases(&["master_host"]),
        ArgSpec::new("primary_user", ArgKind::Str, "Who logs in there.").aliases(&["master_user"]),
        ArgSpec::new("primary_password", ArgKind::Str, "With what password.").aliases(&["master_password"]),
        ArgSpec::new("primary_port", ArgKind::Int, "The other server's port.").aliases(&["master_port"]),
        ArgSpec::new("primary_connect_retry", ArgKind::Int, "Seconds between attempts.")
            .aliases(&["master_connect_retry"]),
        ArgSpec::new("primary_log_file", ArgKind::Str, "The log to start with.")
            .aliases(&["master_log_file"]),
        ArgSpec::new("primary_log_pos", ArgKind::Int, "The place in it.").aliases(&["master_log_pos"]),
        ArgSpec::new("primary_delay", ArgKind::Int, "Seconds to stay behind.").aliases(&["master_delay"]),
        ArgSpec::new("primary_auto_position", ArgKind::Bool, "The servers find the place.")
            .default("no")
            .aliases(&["master_auto_position"]),
        ArgSpec::new("primary_use_gtid", ArgKind::Str, "What MariaDB starts with.")
            .aliases(&["master_use_gtid"])
            .choices(&["current_pos", "replica_pos", "disabled"]),
        ArgSpec::new("primary_ssl", ArgKind::Bool, "The connection is encrypted.").aliases(&["master_ssl"]),
        ArgSpec::new("primary_ssl_ca", ArgKind::Str, "Certificates of who signs.")
            .aliases(&["master_ssl_ca"]),
        ArgSpec::new("primary_ssl_capath", ArgKind::Str, "A folder of such.").aliases(&["master_ssl_capath"]),
        ArgSpec::new("primary_ssl_cert", ArgKind::Str, "This side's certificate.")
            .aliases(&["master_ssl_cert"]),
        ArgSpec::new("primary_ssl_key", ArgKind::Str, "This side's key.").aliases(&["master_ssl_key"]),
        ArgSpec::new("primary_ssl_cipher", ArgKind::Str, "The ciphers.").aliases(&["master_ssl_cipher"]),
        ArgSpec::new(
            "primary_ssl_verify_server_cert",
            ArgKind::Bool,
            "The other side's certificate is checked.",
        ),
        ArgSpec::new("relay_log_file", ArgKind::Str, "The relay log to start with."),
        ArgSpec::new("relay_log_pos", ArgKind::Int, "The place in it."),
        ArgSpec::new("connection_name", ArgKind::Str, "Which of several connections (MariaDB)."),
        ArgSpec::new("channel", ArgKind::Str, "Which of several channels (MySQL)."),
        ArgSpec::new("fail_on_error", ArgKind::Bool, "Fail when it cannot be started, stopped or reset.")
            .default("no"),
    ],
    shared: LOGIN_ARGS,
    rules: &[Rule::Exclusive(&["connection_name", "channel"])],
    returns: &[
        ("queries", "the statements"),
        ("Is_Primary", "others can follow this server"),
        ("Is_Replica", "this server follows another one"),
    ],
    ..ModuleSpec::BASE
};

pub struct MysqlReplication;

/// Where the words of a statement come from.
const OPTIONS: [(&str, &str); 17] = [
    ("primary_host", "SOURCE_HOST"),
    ("primary_user", "SOURCE_USER"),
    ("primary_password", "SOURCE_PASSWORD"),
    ("primary_port", "SOURCE_PORT"),
    ("primary_connect_retry", "SOURCE_CONNECT_RETRY"),
    ("primary_log_file", "SOURCE_LOG_FILE"),
    ("primary_log_pos", "SOURCE_LOG_POS"),
    ("primary_delay", "SOURCE_DELAY"),
    ("relay_log_file", "RELAY_LOG_FILE"),
    ("relay_log_pos", "RELAY_LOG_POS"),
    ("primary_ssl", "SOURCE_SSL"),
    ("primary_ssl_ca", "SOURCE_SSL_CA"),
    ("primary_ssl_capath", "SOURCE_SSL_CAPATH"),
    ("primary_ssl_cert", "SOURCE_SSL_CERT"),
    ("primary_ssl_key", "SOURCE_SSL_KEY"),
    ("primary_ssl_cipher", "SOURCE_SSL_CIPHER"),
    ("primary_ssl_verify_server_cert", "SOURCE_SSL_VERIFY_SERVER_CERT"),
];

impl Module for MysqlReplication {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let connection = connection(args);
        // Servers say "unknown command" to the words of other versions.
        let try_each = |statements: &[String]| {
            let tries: Vec<String> = statements
                .iter()
                .map(|s| format!("xp_r=$(printf '%s\\n' {} | xp_mysql -E 2>/dev/null)", q(s)))
                .collect();
            format!(
                "{} || xp_r=\nif [ -n \"$xp_r\" ]; then printf '%s\\n' \"$xp_r\" | sed 's/^/row /'; fi\n",
                tries.join(" || ")
            )
        };
        let lines = match mode(args) {
            "getprimary" => try_each(&[
                "SHOW MASTER STATUS".to_string(),
                "SHOW BINARY LOG STATUS".to_string(),
                "SHOW BINLOG STATUS".to_string(),
            ]),
            "getreplica" => {
                let of = |word: &str| {
                    let (name, channel) = &connection;
                    format!("SHOW {word}{name} STATUS{channel}")
                };
                try_each(&[of("REPLICA"), of("SLAVE")])
            }
            _ => String::new(),
        };
        login::look(call, &lines).map(Some)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = login::found(call, seen)?;
        let version = Version::of(&report);
        let mut result = Map::from_iter([("queries", Value::list(Vec::new()))]);
        if matches!(mode(args), "getprimary" | "getreplica") {
            status(args, login::rows(&report), &mut result);
            return Ok(Prediction::read(result));
        }
        let statement = statement(args, version);
        let shown = match args.str("primary_password").filter(|p| !p.is_empty()) {
            Some(password) => statement.replace(&text(password), "'********'"),
            None => statement.clone(),
        };
        result.insert("queries", Value::from(vec![shown]));
        result.insert("msg", told(args).0);
        Ok(Prediction::unknown(result, vec![Action::run(login::change(call, &[statement])?)])
            .touch(Touch::Thing(thing("mysql_replication", args.str("connection_name").unwrap_or_default()))))
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let args = &call.args;
        let Some(failed) = ran.iter().find(|output| output.rc != 0) else {
            return Ok(prediction.into_outcome());
        };
        let why = String::from_utf8_lossy(&failed.stderr).trim().to_string();
        if args.flag("fail_on_error") || matches!(mode(args), "changeprimary" | "changereplication") {
            return Err(Failure::new(why).with("rc", failed.rc));
        }
        let mut outcome = Outcome { result: prediction.result, ..Outcome::default() };
        outcome.result.insert("msg", told(args).1);
        Ok(outcome)
    }
}

fn mode(args: &Args) -> &str {
    args.str("mode").unwrap_or("getreplica")
}

/// Returns the words that name one of several connections or channels.
fn connection(args: &Args) -> (String, String) {
    let given = |name: &str| args.str(name).filter(|value| !value.is_empty());
    let name = given("connection_name").map(|name| format!(" {}", text(name))).unwrap_or_default();
    let channel =
        given("channel").map(|channel| format!(" FOR CHANNEL {}", text(channel))).unwrap_or_default();
    (name, channel)
}

/// What is said when it was done, and when it was not.
fn told(args: &Args) -> (&'static str, &'static str) {
    match mode(args) {
        "startreplica" => ("Replica started ", "Replica already started (Or cannot be started)"),
        "stopreplica" => ("Replica stopped", "Replica already stopped"),
        "resetprimary" => ("Primary reset", "Primary already reset"),
        "resetreplica" | "resetreplicaall" => ("Replica reset", "Replica already reset"),
        _ => ("Replication changed", "Replication not changed"),
    }
}

fn status(args: &Args, rows: Vec<Vec<(String, String)>>, result: &mut Map) {
    let row = rows.into_iter().next().unwrap_or_default();
    let has = |name: &str| row.iter().any(|(n, _)| n == name);
    let (flag, is_it, msg) = if mode(args) == "getprimary" {
        let msg = "Server is not configured as mysql primary. Meaning: Binary logs are disabled";
        ("Is_Primary", has("File") && has("Position"), msg)
    } else {
        let it = has("Slave_IO_Running") || has("Replica_IO_Running");
        ("Is_Replica", it, "Server is not configured as mysql replica")
    };
    result.insert(flag, is_it);
    if !is_it {
        result.insert("msg", msg);
        return;
    }
    for (name, value) in row {
        let value = match value.parse::<i128>() {
            Ok(number) => Value::Int(number),
            Err(_) if value == "NULL" => Value::Null,
            Err(_) => Value::from(value),
        };
        result.insert(name, value);
    }
}

fn statement(args: &Args, version: Version) -> String {
    let (name, channel) = connection(args);
    // The words changed with MySQL 8.0.22 and MariaDB 10.5.1.
    let replica = if version.is_before((8, 0, 22), (10, 5, 1)) { "SLAVE" } else { "REPLICA" };
    match mode(args) {
        "startreplica" => format!("START {replica}{name}{channel}"),
        "stopreplica" => format!("STOP {replica}{name}{channel}"),
        "resetreplica" => format!("RESET {replica}{name}{channel}"),
        "resetreplicaall" => format!("RESET {replica}{name} ALL{channel}"),
        "resetprimary" if version.mariadb || version.number < (8, 2, 0) => "RESET MASTER".to_string(),
        "resetprimary" => "RESET BINARY LOGS AND GTIDS".to_string(),
        mode => {
            let old = mode == "changeprimary" && (version.mariadb || version.number < (8, 0, 23));
            let head = if old { "CHANGE MASTER" } else { "CHANGE REPLICATION SOURCE" };
            format!("{head}{name} TO {}{channel}", options(args, old, version).join(","))
        }
    }
}

fn options(args: &Args, old: bool, version: Version) -> Vec<String> {
    let word = |word: &str| if old { word.replace("SOURCE_", "MASTER_") } else { word.to_string() };
    let mut options = Vec::new();
    for (arg, option) in OPTIONS {
        let value = match args.get(arg) {
            Some(Value::Bool(on)) => u8::from(*on).to_string(),
            Some(Value::Int(number)) => number.to_string(),
            _ => match args.str(arg) {
                Some(value) => text(value),
                None => continue,
            },
        };
        options.push(format!("{}={value}", word(option)));
    }
    if args.flag("primary_auto_position") {
        options.push(format!("{}=1", word("SOURCE_AUTO_POSITION")));
    }
    let gtid = match args.str("primary_use_gtid") {
        Some("disabled") => Some("no"),
        Some("replica_pos") if version.is_before((8, 0, 22), (10, 5, 1)) => Some("slave_pos"),
        other => other,
    };
    options.extend(gtid.map(|gtid| format!("MASTER_USE_GTID={gtid}")));
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    fn check(given: &[(&str, &str)], seen: &str, query: &str) {
        let prediction = Case::new(&MysqlReplication, args(given)).plan(seen).unwrap();
        let found = prediction.result.get("queries").and_then(Value::as_list).unwrap();
        assert_eq!(found.iter().map(Value::to_text).collect::<String>(), query, "{given:?}");
    }

    const MARIADB: &str = "version 10.11.11-MariaDB\n";

    #[test]
    fn statements() {
        check(&[("mode", "startreplica")], MARIADB, "START REPLICA");
        check(&[("mode", "startreplica")], "version 5.7.1\n", "START SLAVE");
        check(
            &[("mode", "stopreplica"), ("channel", "c")],
            "version 8.0.30\n",
            "STOP REPLICA FOR CHANNEL 'c'",
        );
        check(&[("mode", "resetprimary")], "version 8.4.0\n", "RESET BINARY LOGS AND GTIDS");
        let change = [
            ("mode", "changeprimary"),
            ("master_host", "db1"),
            ("master_password", "it's"),
            ("master_log_pos", "4"),
            ("primary_ssl", "yes"),
        ];
        check(
            &change,
            MARIADB,
            "CHANGE MASTER TO MASTER_HOST='db1',MASTER_PASSWORD='********',MASTER_LOG_POS=4,MASTER_SSL=1",
        );
        check(
            &change,
            "version 8.0.30\n",
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST='db1',SOURCE_PASSWORD='********',SOURCE_LOG_POS=4,SOURCE_SSL=1",
        );
    }

    #[test]
    fn shows() {
        let case = Case::new(&MysqlReplication, args(&[("mode", "getprimary")]));
        let found = case
            .plan(format!("{MARIADB}row *** 1. row ***\nrow File: bin.000001\nrow Position: 328\n"))
            .unwrap()
            .result;
        assert_eq!(found.get("Is_Primary"), Some(&Value::Bool(true)));
        assert_eq!(found.get("Position"), Some(&Value::Int(328)));
        let found = Case::new(&MysqlReplication, args(&[])).plan(MARIADB).unwrap().result;
        assert_eq!(found.get("Is_Replica"), Some(&Value::Bool(false)));
        assert_eq!(found.get("msg").unwrap().to_text(), "Server is not configured as mysql replica");
    }

    #[test]
    fn what_does_not_start_is_no_failure() {
        let case = |fail: &'static str| {
            let case =
                Case::new(&MysqlReplication, args(&[("mode", "startreplica"), ("fail_on_error", fail)]));
            case.finish(MARIADB, &[Output { rc: 1, stderr: b"ERROR 1200\n".to_vec(), ..Output::default() }])
        };
        let outcome = case("no").unwrap();
        assert!(!outcome.changed);
        assert_eq!(
            outcome.result.get("msg").unwrap().to_text(),
            "Replica already started (Or cannot be started)"
        );
        assert_eq!(case("yes").unwrap_err().msg, "ERROR 1200");
    }
}
