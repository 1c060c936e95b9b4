//! Laws of modules that tell a server of databases what to hold: real servers, one for each test, that only its sockets lead to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Law, THERE, YES_NO, check_in};
use crate::modules::harness::Bench;

/// What the servers hold, as far as the modules can change it.
const MARIADB: &str = "mariadb --no-defaults -u root -e \"SELECT * FROM mysql.global_priv; SELECT * FROM mysql.db; \
    SELECT * FROM mysql.tables_priv; SELECT SCHEMA_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA; \
    SHOW GLOBAL VARIABLES WHERE Variable_name IN ('max_connections', 'read_only', 'sql_mode')\"";
const POSTGRESQL: &str = "psql -XAtqU postgres -c \"SELECT * FROM pg_authid; SELECT datname, datdba, datconnlimit, datacl, \
    dattablespace FROM pg_database; SELECT * FROM pg_shdescription; SELECT * FROM pg_db_role_setting; \
    SELECT * FROM pg_auth_members; SELECT relname, relacl FROM pg_class; SELECT nspname, nspacl FROM pg_namespace; \
    SELECT * FROM pg_default_acl\"";

/// Lines that give a server a clean state, with a function for statements.
const MARIADB_BEGIN: &str = r#"sql() { printf '%s;\n' "$@" | mariadb --no-defaults -u root; }
sql 'DROP DATABASE IF EXISTS shop' 'DROP DATABASE IF EXISTS `store``s`' "DROP USER IF EXISTS ada@localhost, ada@'%'" \
    'SET GLOBAL max_connections = 151' 'SET GLOBAL read_only = 0' "SET GLOBAL sql_mode = 'STRICT_TRANS_TABLES'""#;
const POSTGRESQL_BEGIN: &str = r#"sql() { printf '%s;\n' 'SET client_min_messages = error' "$@" | psql -XAtqU postgres -v ON_ERROR_STOP=1; }
sql 'DROP DATABASE IF EXISTS shop' 'DROP DATABASE IF EXISTS store' 'DROP DATABASE IF EXISTS "it'\''s ""x"""' "DO \$\$ DECLARE r text; BEGIN
    FOR r IN SELECT rolname FROM pg_roles WHERE rolname IN ('ada', 'eve', 'staff') LOOP
    EXECUTE 'DROP OWNED BY ' || r; EXECUTE 'DROP ROLE ' || r; END LOOP; END \$\$" \
    'DROP SCHEMA IF EXISTS s CASCADE' 'DROP TABLE IF EXISTS t' 'ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC' \
    'ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM PUBLIC' \
    'REVOKE ALL ON DATABASE postgres FROM PUBLIC' 'GRANT CONNECT, TEMP ON DATABASE postgres TO PUBLIC' \
    'CREATE ROLE ada LOGIN' 'CREATE ROLE eve' 'CREATE TABLE t (n int)'"#;

pub const LAWS: &[Law] = &[
    Law {
        module: "mysql_db",
        begin: MARIADB_BEGIN,
        states: &["sql 'CREATE DATABASE shop'", "sql 'CREATE DATABASE `store``s` CHARACTER SET latin1'"],
        always: r#"{"name": "shop", "login_user": "root"}"#,
        choices: &[
            ("name", &["store`s", "shop,store`s", "all"]),
            ("state", THERE),
            ("encoding", &["utf8mb4", "none"]),
            ("collation", &["utf8mb4_bin"]),
            ("sql_log_bin", YES_NO),
            ("login_user", &["ada", "root"]),
        ],
        ..BASE
    },
    Law {
        module: "mysql_user",
        begin: MARIADB_BEGIN,
        states: &[
            "sql \"CREATE USER ada@localhost IDENTIFIED BY 'secret'\" 'GRANT ALL ON shop.* TO ada@localhost'",
            "sql \"CREATE USER ada@'%' REQUIRE SSL\" \"GRANT SELECT, INSERT ON *.* TO ada@'%' WITH GRANT OPTION\"",
            "sql \"ALTER USER IF EXISTS ada@localhost WITH MAX_QUERIES_PER_HOUR 7\" \"ALTER USER IF EXISTS ada@'%' ACCOUNT LOCK\"",
        ],
        always: r#"{"name": "ada", "login_user": "root"}"#,
        choices: &[
            ("host", &["%", "localhost"]),
            ("host_all", YES_NO),
            ("state", THERE),
            ("password", &["secret", "it's another", ""]),
            ("update_password", &["always", "on_create"]),
            (
                "priv",
                &["shop.*:ALL", "*.*:SELECT,INSERT", "shop.*:select/st_ore.*:UPDATE,GRANT", "*.*:USAGE", "x"],
            ),
            ("append_privs", YES_NO),
            ("subtract_privs", YES_NO),
            ("locked", YES_NO),
            ("tls_requires", &["{\"SSL\": null}", "{\"SUBJECT\": \"/CN=it's\"}"]),
            ("resource_limits", &["{\"MAX_QUERIES_PER_HOUR\": 5}"]),
        ],
        ..BASE
    },
    Law {
        module: "mysql_variables",
        begin: MARIADB_BEGIN,
        states: &["sql 'SET GLOBAL max_connections = 200'", "sql 'SET GLOBAL read_only = 1'"],
        always: r#"{"variable": "max_connections", "value": "200", "login_user": "root"}"#,
        choices: &[
            ("variable", &["read_only", "none", "no name"]),
            ("value", &["1", "on", "151", "it's"]),
            ("mode", &["global", "persist"]),
        ],
        ..BASE
    },
    Law {
        module: "postgresql_db",
        begin: POSTGRESQL_BEGIN,
        states: &[
            "sql 'CREATE DATABASE shop'",
            "sql \"COMMENT ON DATABASE postgres IS 'mine'\" 'CREATE DATABASE store OWNER ada CONNECTION LIMIT 5'",
        ],
        always: r#"{"name": "shop"}"#,
        choices: &[
            ("name", &["store", "it's \"x\""]),
            ("state", &["absent", "present", "rename"]),
            ("target", &["store"]),
            ("owner", &["ada", "nobody else"]),
            ("conn_limit", &["5", "-1", "many"]),
            ("comment", &["it's", ""]),
            ("encoding", &["UTF-8", "LATIN1"]),
            ("template", &["template0"]),
            ("lc_collate", &["C"]),
            ("force", YES_NO),
        ],
        ..BASE
    },
    Law {
        module: "postgresql_user",
        begin: POSTGRESQL_BEGIN,
        states: &[
            "sql \"ALTER ROLE ada PASSWORD 'secret' CREATEDB CONNECTION LIMIT 5\"",
            "sql \"ALTER ROLE ada VALID UNTIL '2030-01-01'\" \"ALTER ROLE ada SET work_mem = '8MB'\"",
            "sql \"COMMENT ON ROLE ada IS 'it''s'\"",
            "sql 'DROP ROLE ada'",
        ],
        always: r#"{"name": "ada"}"#,
        choices: &[
            ("name", &["new \"one", "eve"]),
            ("state", THERE),
            ("password", &["secret", "it's another", ""]),
            ("encrypted", YES_NO),
            ("no_password_changes", YES_NO),
            ("role_attr_flags", &["CREATEDB,NOLOGIN", "login,nocreatedb", "SUPERUSER", "FLY"]),
            ("conn_limit", &["5", "-1"]),
            ("expires", &["2030-01-01", "infinity", "never"]),
            ("comment", &["it's", ""]),
            ("configuration", &["{\"work_mem\": \"8MB\"}", "{\"search_path\": \"s, public\"}"]),
            ("reset_unspecified_configuration", YES_NO),
        ],
        ..BASE
    },
    Law {
        module: "postgresql_privs",
        begin: POSTGRESQL_BEGIN,
        states: &[
            "sql 'GRANT SELECT ON t TO ada'",
            "sql 'GRANT ALL ON t TO PUBLIC' 'GRANT UPDATE ON t TO ada WITH GRANT OPTION'",
            "sql 'GRANT INSERT ON t TO eve'",
        ],
        always: r#"{"login_db": "postgres", "roles": "ada", "objs": "t", "privs": "SELECT"}"#,
        choices: &[
            ("objs", &["ALL_IN_SCHEMA", "none"]),
            ("privs", &["ALL", "SELECT,UPDATE", "INSERT"]),
            ("roles", &["PUBLIC", "ada,eve", "eve"]),
            ("schema", &["public"]),
            ("grant_option", YES_NO),
            ("state", THERE),
            ("fail_on_role", YES_NO),
        ],
        ..BASE
    },
];

const BASE: Law = Law { inside: true, share: 2, ..Law::BASE };

/// A server that ends with the test.
struct Server {
    child: Child,
    /// Holds its data and its socket.
    folder: tempfile::TempDir,
}

/// Neither server runs as root.
const NOBODY: u32 = 65534;

impl Server {
    /// Makes the data of a server by one program and starts another one; `{}` in their words is the folder.
    fn start(make: &[&str], serve: &[&str], client: &str) -> Option<Server> {
        program(client)?;
        let programs = (program(make[0])?, program(serve[0])?);
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let root =
            fs::metadata(folder.path()).map(|meta| std::os::unix::fs::MetadataExt::uid(&meta)).unwrap() == 0;
        if root {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let command = |program: &Path, words: &[&str]| {
            let place = folder.path().to_string_lossy();
            let mut command = Command::new(program);
            command.args(words.iter().map(|word| word.replace("{}", &place))).current_dir(folder.path());
            command.stdin(Stdio::null()).stdout(Stdio::null());
            if root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command
        };
        let made = command(&programs.0, &make[1..]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = command(&programs.1, &serve[1..]).stderr(log).spawn().unwrap();
        Some(Server { child, folder })
    }

    /// Lets a bench's programs find the server.
    fn join<'s>(
        &self,
        mut bench: Bench<'s>,
        variable: &'static str,
        socket: &str,
        outside: &'static str,
    ) -> Bench<'s> {
        let place = self.folder.path().join(socket).to_string_lossy().into_owned();
        bench.environment.push((variable, place));
        bench.outside = outside;
        let end = Instant::now() + Duration::from_secs(60);
        while !bench.holds(outside) {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "the server does not answer: {log}");
            std::thread::sleep(Duration::from_millis(100));
        }
        bench
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both end at once on this signal, and end what they started.
        let _ = Command::new("kill").arg("-QUIT").arg(self.child.id().to_string()).status();
        let end = Instant::now() + Duration::from_secs(10);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns where a program is; Debian keeps those of PostgreSQL in folders of their own.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|e| e.path().join("bin"));
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/libexec".into()]).chain(own);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Checks the laws of the modules for one server.
fn check_all(
    kind: &str,
    variable: &'static str,
    socket: &str,
    outside: &'static str,
    server: Option<Server>,
) {
    let Some(server) = server else {
        println!("skipped: there is no server of {kind} on this machine");
        return;
    };
    for law in LAWS.iter().filter(|law| law.module.starts_with(kind)) {
        check_in(law, |bench, shell| {
            // What other shells do with the same words is seen with the other modules.
            (shell == "dash").then(|| server.join(bench, variable, socket, outside))
        });
    }
}

#[test]
fn mysql() {
    let make = [
        "mariadb-install-db",
        "--no-defaults",
        "--datadir={}/data",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ];
    let serve = [
        "mariadbd",
        "--no-defaults",
        "--datadir={}/data",
        "--socket={}/socket",
        "--pid-file={}/pid",
        "--skip-networking",
        "--innodb-flush-log-at-trx-commit=0",
    ];
    check_all("mysql", "MYSQL_UNIX_PORT", "socket", MARIADB, Server::start(&make, &serve, "mariadb"));
}

#[test]
fn postgresql() {
    let make = [
        "initdb",
        "-D",
        "{}/data",
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-locale",
        "--no-sync",
    ];
    let serve = ["postgres", "-D", "{}/data", "-k", "{}", "-c", "listen_addresses=", "-c", "fsync=off"];
    check_all("postgresql", "PGHOST", "", POSTGRESQL, Server::start(&make, &serve, "psql"));
}
