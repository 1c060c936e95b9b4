//! `mysql_db`: databases of a MySQL or MariaDB server, and copies of them in files.

use super::login::{self, LOGIN_ARGS, name, text, thing, unlogged};
use crate::modules::sh::{expand_path, q};
use crate::modules::write::named_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "mysql_db",
    namespaces: &["community.mysql", "community.general"],
    about: "Makes, copies and removes databases of a MySQL or MariaDB server.",
    args: &[
        ArgSpec::new("name", ArgKind::StrList, "The databases, or all for a copy.")
            .required()
            .aliases(&["db"]),
        ArgSpec::new("state", ArgKind::Str, "Whether they are to be there, or what to do with them.")
            .default("present")
            .choices(&["absent", "dump", "import", "present"]),
        ArgSpec::new("encoding", ArgKind::Str, "The encoding of texts.").default(""),
        ArgSpec::new("collation", ArgKind::Str, "The order of texts.").default(""),
        ArgSpec::new("target", ArgKind::Path, "The file of a copy."),
        ArgSpec::new("single_transaction", ArgKind::Bool, "Copy in one transaction.").default("no"),
        ArgSpec::new("quick", ArgKind::Bool, "Copy large tables row by row.").default("yes"),
        ArgSpec::new("ignore_tables", ArgKind::StrList, "Tables that are not copied."),
        ArgSpec::new("hex_blob", ArgKind::Bool, "Copy binary columns in hexadecimal.").default("no"),
        ArgSpec::new("force", ArgKind::Bool, "Go on after errors.").default("no"),
        ArgSpec::new("master_data", ArgKind::Int, "Note the place in the log: 1, or 2 as a comment.")
            .default("0"),
        ArgSpec::new("skip_lock_tables", ArgKind::Bool, "Copy without locks.").default("no"),
        ArgSpec::new("dump_extra_args", ArgKind::Str, "More options for the copy."),
        ArgSpec::new("use_shell", ArgKind::Bool, "Taken for compatibility.").default("no"),
        ArgSpec::new("unsafe_login_password", ArgKind::Bool, "Taken for compatibility.").default("no"),
        ArgSpec::new("restrict_config_file", ArgKind::Bool, "Taken for compatibility.").default("no"),
        ArgSpec::new("check_implicit_admin", ArgKind::Bool, "Taken for compatibility.").default("no"),
        ArgSpec::new("config_overrides_defaults", ArgKind::Bool, "Taken for compatibility.").default("no"),
        ArgSpec::new("chdir", ArgKind::Path, "The folder to work in."),
        ArgSpec::new("pipefail", ArgKind::Bool, "Taken for compatibility: failures in pipes always count.")
            .default("no"),
        ArgSpec::new("sql_log_bin", ArgKind::Bool, "Changes are written to the binary log.").default("yes"),
    ],
    shared: LOGIN_ARGS,
    rules: &[
        Rule::If { arg: "state", value: "dump", needs: &["target"] },
        Rule::If { arg: "state", value: "import", needs: &["target"] },
    ],
    returns: &[
        ("db", "the names"),
        ("db_list", "the names as a list"),
        ("executed_commands", "the statements and commands"),
    ],
    ..ModuleSpec::BASE
};

const KIND: &str = "mysql_db";

pub struct MysqlDb;

impl Module for MysqlDb {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let copies = matches!(args.str("state"), Some("dump" | "import"));
        let names = names(args);
        if is_all(&names) && !copies {
            return Err(Failure::new(
                "name is not allowed to equal 'all' unless state equals import, or dump.",
            ));
        }
        if names.len() > 1 && args.str("state") == Some("import") {
            return Err(Failure::new("Multiple databases are not supported with state=import"));
        }
        let quoted: Vec<String> = names.iter().map(|name| text(name)).collect();
        let statement = format!(
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ({})",
            quoted.join(", ")
        );
        let mut lines = format!("xp_ask there {}\n", q(&statement));
        if args.str("state") == Some("import") {
            let target = expand_path(call, args.str("target").unwrap_or_default())?;
            add!(lines, "[ ! -e {} ] || printf 'target yes\\n'\n", q(&target));
        }
        login::look(call, &lines).map(Some)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let names = names(args);
        for name in &names {
            call.needs_same(&thing(KIND, name))?;
        }
        let report = login::found(call, seen)?;
        let there: Vec<String> = report.all("there").map(login::unescape).collect();
        let (existing, absent): (Vec<String>, Vec<String>) =
            names.iter().cloned().partition(|n| there.contains(n));
        match args.str("state").unwrap_or_default() {
            "absent" => {
                let drops = existing.iter().map(|db| format!("DROP DATABASE {}", name(db))).collect();
                changed(call, drops, &existing, false)
            }
            "dump" => {
                if !absent.is_empty() && !is_all(&names) {
                    return Err(Failure::new(format!(
                        "Cannot dump database(s) {} - not found",
                        absent.join(", ")
                    )));
                }
                dump(call, &names)
            }
            "import" => {
                let target = expand_path(call, args.str("target").unwrap_or_default())?;
                if report.get("target").is_none() && call.foreseen_file(&target)?.is_none() {
                    return Err(Failure::new(format!("target {target} does not exist on the host")));
                }
                import(call, &names, &target, if is_all(&names) { &[] } else { &absent })
            }
            _ => changed(call, absent.iter().map(|db| create(args, db)).collect(), &absent, true),
        }
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if let Some(failed) = ran.iter().find(|output| output.rc != 0) {
            return Err(Failure::from_output(failed));
        }
        Ok(prediction.into_outcome())
    }
}

fn names(args: &Args) -> Vec<String> {
    args.texts("name").iter().map(|name| name.trim().to_string()).filter(|name| !name.is_empty()).collect()
}

fn is_all(names: &[String]) -> bool {
    names == ["all"]
}

fn create(args: &Args, db: &str) -> String {
    let mut statement = format!("CREATE DATABASE {}", name(db));
    if let Some(encoding) = args.str("encoding").filter(|e| !e.is_empty()) {
        add!(statement, " CHARACTER SET {}", text(encoding));
    }
    if let Some(collation) = args.str("collation").filter(|c| !c.is_empty()) {
        add!(statement, " COLLATE {}", text(collation));
    }
    statement
}

fn result(args: &Args, commands: &[String]) -> Map {
    let names = names(args);
    let mut result = Map::from_iter([("db", Value::from(names.join(" ")))]);
    result.insert("db_list", Value::from(names));
    result.insert("executed_commands", Value::from(commands.to_vec()));
    result
}

fn changed(
    call: &Call,
    statements: Vec<String>,
    which: &[String],
    present: bool,
) -> Result<Prediction, Failure> {
    let result = result(&call.args, &statements);
    if statements.is_empty() {
        return Ok(Prediction::same(result));
    }
    let all: Vec<String> = unlogged(&call.args).into_iter().chain(statements).collect();
    let mut prediction = Prediction::change(result, vec![Action::run(login::change(call, &all)?)]);
    for db in which {
        let side = || Some(Map::from_iter([("state", "present")]));
        let (before, after) = if present { (None, side()) } else { (side(), None) };
        prediction = prediction.touch(Touch::Thing(thing(KIND, db))).diff(named_diff(
            &format!("mysql database {db}"),
            before,
            after,
        ));
    }
    Ok(prediction)
}

/// Returns the program that packs or unpacks a file with this name.
fn packer(target: &str) -> Option<&'static str> {
    match target.rsplit_once('.')?.1 {
        "gz" => Some("gzip"),
        "bz2" => Some("bzip2"),
        "xz" => Some("xz"),
        "zst" => Some("zstd"),
        _ => None,
    }
}

/// Returns the lines before a copy: where to work.
fn start(call: &Call) -> Result<String, Failure> {
    let mut script = login::function(call)?;
    if let Some(folder) = call.args.str("chdir") {
        add!(script, "cd -- {} || exit 1\n", q(&expand_path(call, folder)?));
    }
    Ok(script)
}

fn dump(call: &Call, names: &[String]) -> Result<Prediction, Failure> {
    let args = &call.args;
    let target = expand_path(call, args.str("target").unwrap_or_default())?;
    let mut words = String::new();
    match names {
        _ if is_all(names) => words += " --all-databases",
        [one] => add!(words, " {}", q(one)),
        several => add!(words, " --databases {}", several.iter().map(|n| q(n)).collect::<Vec<_>>().join(" ")),
    }
    for (arg, word) in [
        ("force", " --force"),
        ("skip_lock_tables", " --skip-lock-tables"),
        ("single_transaction", " --single-transaction=true"),
        ("quick", " --quick"),
        ("hex_blob", " --hex-blob"),
    ] {
        if args.flag(arg) {
            words += word;
        }
    }
    if let Some(encoding) = args.str("encoding").filter(|e| !e.is_empty()) {
        add!(words, " --default-character-set={}", q(encoding));
    }
    for table in args.texts("ignore_tables") {
        if table.is_empty() {
            return Err(Failure::new("Name of ignored table cannot be empty"));
        }
        add!(words, " --ignore-table={}", q(&table));
    }
    if let Some(data) = args.int("master_data").filter(|data| *data > 0) {
        add!(words, " --master-data={data}");
    }
    if let Some(more) = args.str("dump_extra_args") {
        add!(words, " {more}");
    }
    let command = format!("\"$xp_dump\" --defaults-file=\"$xp_dir/my.cnf\"{words}");
    let file = q(&target);
    let mut script = start(call)?;
    script += "xp_dump=mariadb-dump\ncommand -v mariadb-dump >/dev/null 2>&1 || xp_dump=mysqldump\n";
    match packer(&target) {
        // The exit code of the first program in a pipe would be lost.
        Some(packer) => add!(
            script,
            "{{ {{ {command} || echo $? >&3; }} | {packer} >{file}; }} 3>&1 | {{ read -r xp_rc || exit 0; exit \"$xp_rc\"; }}\n"
        ),
        None => add!(script, "{command} >{file}\n"),
    }
    let shown = format!("mysqldump{words} > {target}");
    let side = |content: Option<String>| {
        Some(content.iter().map(|text| ("content", text.as_str())).collect::<Map>())
    };
    let diff = named_diff(&target, side(None), side(Some(format!("a copy of {}", names.join(", ")))));
    Ok(Prediction::change(result(args, &[shown]), vec![Action::run(script)])
        .diff(diff)
        .touch(Touch::Tree { path: target }))
}

fn import(call: &Call, names: &[String], target: &str, absent: &[String]) -> Result<Prediction, Failure> {
    let args = &call.args;
    let mut words = String::new();
    if args.flag("force") {
        words += " -f";
    }
    if let Some(encoding) = args.str("encoding").filter(|e| !e.is_empty()) {
        add!(words, " --default-character-set={}", q(encoding));
    }
    if let (false, Some(one)) = (is_all(names), names.first()) {
        add!(words, " --one-database {}", q(one));
    }
    let creates: Vec<String> = absent.iter().map(|db| create(args, db)).collect();
    let mut script = start(call)?;
    for statement in &creates {
        add!(script, "printf '%s\\n' {} | xp_mysql >/dev/null || exit $?\n", q(statement));
    }
    let file = q(target);
    match packer(target) {
        Some(packer) => add!(
            script,
            "[ -r {file} ] || xp_fail 'cannot read '{file}\n{packer} -dc {file} | xp_mysql{words}\n"
        ),
        None => add!(script, "xp_mysql{words} <{file}\n"),
    }
    let commands: Vec<String> = creates.into_iter().chain([format!("mysql{words} < {target}")]).collect();
    let mut prediction = Prediction::change(result(args, &commands), vec![Action::run(script)]);
    for db in names {
        let before = (!absent.contains(db)).then(Map::new);
        let after = Map::from_iter([("content", format!("that of {target}"))]);
        prediction = prediction.touch(Touch::Thing(thing(KIND, db))).diff(named_diff(
            &format!("mysql database {db}"),
            before,
            Some(after),
        ));
    }
    Ok(prediction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    fn check(given: &[(&str, &str)], seen: &str, commands: &[&str]) {
        let prediction = Case::new(&MysqlDb, args(given)).plan(format!("version 8.0.1\n{seen}")).unwrap();
        let found = prediction.result.get("executed_commands").and_then(Value::as_list).unwrap();
        assert_eq!(found.iter().map(Value::to_text).collect::<Vec<_>>(), commands, "{given:?}");
        assert_eq!(prediction.changes(), !commands.is_empty());
    }

    #[test]
    fn makes_and_removes() {
        check(
            &[("name", "a,b"), ("encoding", "utf8mb4"), ("collation", "utf8mb4_bin")],
            "there b\n",
            &["CREATE DATABASE `a` CHARACTER SET 'utf8mb4' COLLATE 'utf8mb4_bin'"],
        );
        check(&[("name", "b")], "there b\n", &[]);
        check(&[("name", "b"), ("state", "absent")], "", &[]);
        check(&[("name", "b"), ("state", "absent")], "there b\n", &["DROP DATABASE `b`"]);
    }

    #[test]
    fn copies() {
        check(
            &[("name", "b"), ("state", "dump"), ("target", "/x.sql.gz"), ("single_transaction", "yes")],
            "there b\n",
            &["mysqldump 'b' --single-transaction=true --quick > /x.sql.gz"],
        );
        check(
            &[("name", "all"), ("state", "dump"), ("target", "/x.sql"), ("quick", "no")],
            "",
            &["mysqldump --all-databases > /x.sql"],
        );
        check(
            &[("name", "b"), ("state", "import"), ("target", "/x.sql")],
            "target yes\n",
            &["CREATE DATABASE `b`", "mysql --one-database 'b' < /x.sql"],
        );
        let case = Case::new(&MysqlDb, args(&[("name", "b"), ("state", "dump"), ("target", "/x.sql")]));
        let prediction = case.plan("version 8.0.1\nthere b\n").unwrap();
        let script = scripts(&prediction).concat();
        assert_eq!(
            script.lines().last(),
            Some("\"$xp_dump\" --defaults-file=\"$xp_dir/my.cnf\" 'b' --quick >'/x.sql'")
        );
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], expect: &str| {
            assert_eq!(Case::new(&MysqlDb, args(given)).plan("version 8.0.1\n").unwrap_err().msg, expect);
        };
        fails(&[("name", "all")], "name is not allowed to equal 'all' unless state equals import, or dump.");
        fails(
            &[("name", "b"), ("state", "import"), ("target", "/x.sql")],
            "target /x.sql does not exist on the host",
        );
        fails(&[("name", "b"), ("state", "dump"), ("target", "/x")], "Cannot dump database(s) b - not found");
    }
}
