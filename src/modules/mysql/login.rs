//! How to reach a MySQL or MariaDB server: the arguments that all its modules have, and the client as a shell function.

use crate::modules::sh::{PRIVATE_DIR, Report, expand_path, q};
use crate::modules::tool::missing;
use crate::modules::{ArgKind, ArgSpec, Args, Call, Failure, Seen, Thing};

/// Arguments of all modules.
pub const LOGIN_ARGS: &[ArgSpec] = &[
    ArgSpec::new("login_user", ArgKind::Str, "Who logs in."),
    ArgSpec::new("login_password", ArgKind::Str, "The password of who logs in."),
    ArgSpec::new("login_host", ArgKind::Str, "The server's host.").default("localhost"),
    ArgSpec::new("login_port", ArgKind::Int, "The server's port.").default("3306"),
    ArgSpec::new("login_unix_socket", ArgKind::Str, "The server's socket on this host."),
    ArgSpec::new("config_file", ArgKind::Path, "A file with the client's settings.").default("~/.my.cnf"),
    ArgSpec::new("connect_timeout", ArgKind::Int, "Seconds to wait for the server.").default("30"),
    ArgSpec::new("client_cert", ArgKind::Path, "This side's certificate.").aliases(&["ssl_cert"]),
    ArgSpec::new("client_key", ArgKind::Path, "This side's key.").aliases(&["ssl_key"]),
    ArgSpec::new("ca_cert", ArgKind::Path, "Certificates of who signs for servers.").aliases(&["ssl_ca"]),
    ArgSpec::new("check_hostname", ArgKind::Bool, "The server's certificate has to hold its name."),
];

/// Returns the shell function `xp_mysql`, which runs the statements on its stdin. Settings stand in a private file: the
/// user's own file first, then what the task says, so that the task wins and no password is seen among processes.
pub fn function(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let config = expand_path(call, args.str("config_file").unwrap_or_default())?;
    let mut lines = vec!["[client]".to_string()];
    let mut say = |name: &str, value: &str| lines.push(format!("{name}=\"{}\"", value.replace('\\', "\\\\")));
    let given = |name: &str| args.str(name).filter(|value| !value.is_empty());
    for (name, arg) in [
        ("user", "login_user"),
        ("password", "login_password"),
        ("ssl-cert", "client_cert"),
        ("ssl-key", "client_key"),
        ("ssl-ca", "ca_cert"),
    ] {
        if let Some(value) = given(arg) {
            say(name, value);
        }
    }
    let host = args.str("login_host").unwrap_or("localhost");
    let port = args.int("login_port").unwrap_or(3306);
    match given("login_unix_socket") {
        Some(socket) => say("socket", socket),
        None if host != "localhost" || port != 3306 => {
            say("host", host);
            say("port", &port.to_string());
            say("protocol", "tcp");
        }
        None => {}
    }
    let timeout = args.int("connect_timeout").unwrap_or(30);
    let mut script = PRIVATE_DIR.to_string();
    add!(
        script,
        "( umask 077\nif [ -r {config} ]; then printf '!include %s\\n' {config}; fi\nprintf '%s\\n' {settings} ) >\"$xp_dir/my.cnf\"\n\
         xp_client=mariadb\ncommand -v mariadb >/dev/null 2>&1 || xp_client=mysql\n\
         xp_mysql() {{ LC_ALL=C \"$xp_client\" --defaults-file=\"$xp_dir/my.cnf\" --connect-timeout={timeout} --batch \"$@\"; }}\n",
        config = q(&config),
        settings = q(&lines.join("\n"))
    );
    Ok(script)
}

/// Returns a probe: lines that ask the server, with `xp_ask TAG STATEMENT` for statements of one column and `xp_rows
/// STATEMENT` for whole rows.
pub fn look(call: &Call, lines: &str) -> Result<String, Failure> {
    Ok(format!(
        "command -v mariadb >/dev/null 2>&1 || command -v mysql >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\n\
         {}xp_ask() {{ printf '%s\\n' \"$2\" | xp_mysql -N | sed \"s/^/$1 /\"; }}\n\
         xp_rows() {{ printf '%s\\n' \"$1\" | xp_mysql -E | sed 's/^/row /'; }}\n\
         xp_v=$(printf 'SELECT VERSION()\\n' | xp_mysql -N 2>\"$xp_dir/why\") || {{ xp_tell failed \"$(cat \"$xp_dir/why\")\"; exit 0; }}\n\
         printf 'version %s\\n' \"$xp_v\"\n{lines}",
        function(call)?
    ))
}

/// Returns a script that runs statements in their order.
pub fn change(call: &Call, statements: &[String]) -> Result<String, Failure> {
    let spoken: String = statements.iter().map(|statement| format!("{statement};\n")).collect();
    Ok(format!("{}printf '%s' {} | xp_mysql >/dev/null || exit $?\n", function(call)?, q(&spoken)))
}

/// Returns what a probe found. Where an earlier step of a plan has to do with the server nobody knows yet.
pub fn found(call: &Call, seen: &Seen) -> Result<Report, Failure> {
    let report = Report::of(seen)?;
    if report.get("missing").is_some() {
        return Err(missing(call, "there is no mysql or mariadb client on the target"));
    }
    let Some(why) = report.word("failed") else { return Ok(report) };
    let config = call.args.str("config_file").unwrap_or_default();
    Err(missing(
        call,
        format!(
            "unable to connect to database, check login_user and login_password are correct or {config} has the credentials. \
             Exception message: {}",
            why.trim()
        ),
    ))
}

/// Returns rows that the client printed one column a line: `*** 1. row ***`, then `name: value`.
pub fn rows(report: &Report) -> Vec<Vec<(String, String)>> {
    let mut rows: Vec<Vec<(String, String)>> = Vec::new();
    for line in report.all("row") {
        if line.starts_with("***") {
            rows.push(Vec::new());
        } else if let (Some(row), Some((name, value))) = (rows.last_mut(), line.split_once(':')) {
            let value = value.strip_prefix(' ').unwrap_or(value);
            row.push((name.trim().to_string(), unescape(value)));
        }
    }
    rows
}

/// Takes back what the client's batch mode did to a text.
pub fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('0') => out.push('\0'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (c, false) => out.push(c),
        }
    }
    out
}

/// Returns a name of something in the database.
pub fn name(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}

/// Returns a text in a statement.
pub fn text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// What a module changes, for later steps of a plan.
pub fn thing(kind: &'static str, name: &str) -> Thing {
    Thing { kind, name: name.to_string() }
}

/// Returns the statement that keeps what follows out of the binary log.
pub fn unlogged(args: &Args) -> Option<String> {
    (args.bool("sql_log_bin") == Some(false)).then(|| "SET SQL_LOG_BIN=0".to_string())
}

/// The server's product and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub mariadb: bool,
    pub number: (u32, u32, u32),
}

impl Version {
    pub fn of(report: &Report) -> Version {
        let text = report.get("version").unwrap_or_default();
        let mut numbers = text
            .split(['.', '-', '+'])
            .map_while(|part| part.parse::<u32>().ok())
            .chain(std::iter::repeat(0));
        let mut next = || numbers.next().unwrap_or(0);
        Version { mariadb: text.to_lowercase().contains("mariadb"), number: (next(), next(), next()) }
    }

    /// Whether it is older than the given versions of the two products.
    pub fn is_before(self, mysql: (u32, u32, u32), mariadb: (u32, u32, u32)) -> bool {
        self.number < if self.mariadb { mariadb } else { mysql }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let check = |text: &str, mariadb: bool, number: (u32, u32, u32)| {
            let report = Report::parse(format!("version {text}\n").as_bytes());
            assert_eq!(Version::of(&report), Version { mariadb, number }, "{text}");
        };
        check("10.11.11-MariaDB-0+deb12u1", true, (10, 11, 11));
        check("8.0.36", false, (8, 0, 36));
        check("5.7.44-log", false, (5, 7, 44));
    }

    #[test]
    fn rows_are_read() {
        let report = Report::parse(
            b"row *************************** 1. row ***************************\nrow   Host: %\nrow Password: a\\nb\nrow    Empty: \n",
        );
        let row = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect()
        };
        assert_eq!(rows(&report), [row(&[("Host", "%"), ("Password", "a\nb"), ("Empty", "")])]);
        assert_eq!(text("it's \\"), "'it''s \\\\'");
        assert_eq!(name("a`b"), "`a``b`");
    }
}
