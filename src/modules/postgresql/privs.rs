//! `postgresql_privs`: what roles may do with objects of a PostgreSQL database.

use std::collections::BTreeSet;

use super::login::{self, LOGIN_ARGS, name, needs_untouched, text, thing};
use super::privs_query;
use crate::modules::sh::Report;
use crate::modules::tool::missing;
use crate::modules::write::named_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Prediction, Seen, Touch,
};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "postgresql_privs",
    namespaces: &["community.postgresql", "community.general"],
    about: "Grants and revokes privileges on objects of a PostgreSQL database.",
    args: &[
        ArgSpec::new("login_db", ArgKind::Str, "The database of the objects.")
            .required()
            .aliases(&["db", "database"]),
        ArgSpec::new("state", ArgKind::Str, "Whether they are to be granted.")
            .default("present")
            .choices(&["present", "absent"]),
        ArgSpec::new("privs", ArgKind::Str, "The privileges, such as SELECT,INSERT.").aliases(&["priv"]),
        ArgSpec::new("type", ArgKind::Str, "What kind of objects.").default("table").choices(&[
            "table",
            "sequence",
            "function",
            "procedure",
            "database",
            "schema",
            "language",
            "tablespace",
            "group",
            "default_privs",
            "foreign_data_wrapper",
            "foreign_server",
            "type",
        ]),
        ArgSpec::new("objs", ArgKind::Str, "The objects, or ALL_IN_SCHEMA.").aliases(&["obj"]),
        ArgSpec::new("schema", ArgKind::Str, "The schema that holds the objects."),
        ArgSpec::new("roles", ArgKind::Str, "To whom they are granted; PUBLIC is everybody.")
            .required()
            .aliases(&["role"]),
        ArgSpec::new("target_roles", ArgKind::Str, "Whose new objects the default privileges are for."),
        ArgSpec::new("grant_option", ArgKind::Bool, "Whether they may grant them to others.")
            .aliases(&["admin_option"]),
        ArgSpec::new("fail_on_role", ArgKind::Bool, "Fail when a role does not exist.").default("yes"),
    ],
    shared: LOGIN_ARGS,
    returns: &[("queries", "the statements")],
    ..ModuleSpec::BASE
};

const PRIVILEGES: [&str; 17] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "REFERENCES",
    "TRIGGER",
    "CREATE",
    "CONNECT",
    "TEMPORARY",
    "TEMP",
    "EXECUTE",
    "USAGE",
    "ALL",
    "SET",
    "ALTER_SYSTEM",
    "MAINTAIN",
];

const DEFAULT_KINDS: [&str; 5] = ["TABLES", "SEQUENCES", "FUNCTIONS", "TYPES", "SCHEMAS"];
const IMPLICIT: [&str; 4] = ["PUBLIC", "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE"];
const KIND: &str = "postgresql_privs";

pub struct PostgresqlPrivs;

/// What a task asks for, as far as the arguments tell.
struct Wanted<'a> {
    args: &'a Args,
    kind: &'a str,
    schema: Option<&'a str>,
    /// Upper case, without doubles.
    privileges: Vec<String>,
    /// Nothing for all in the schema.
    objects: Option<Vec<String>>,
    roles: Vec<&'a str>,
    targets: Vec<String>,
    present: bool,
}

/// Roles: as a statement names them, and as the catalogue does.
type Roles = Vec<(String, String)>;

/// A granted privilege.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    object: String,
    who: String,
    privilege: String,
    option: bool,
}

impl Module for PostgresqlPrivs {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let wanted = Wanted::of(&call.args)?;
        let mut statements = "SELECT 'me ' || to_json(current_user::text);\n".to_string();
        for role in wanted.roles.iter().filter(|role| !is_implicit(role)) {
            let role = text(role);
            add!(
                statements,
                "SELECT 'role ' || to_json(rolname::text) FROM pg_roles WHERE rolname = {role};\n"
            );
        }
        statements += &match (wanted.kind, &wanted.objects) {
            ("group", Some(groups)) => privs_query::groups(groups),
            ("default_privs", Some(kinds)) => privs_query::defaults(wanted.schema, kinds, &wanted.targets),
            (kind, objects) => privs_query::objects(kind, wanted.schema, objects.as_deref())
                .ok_or_else(|| Failure::new(format!("Unsupported database object type \"{kind}\".")))?,
        };
        Ok(Some(login::look(&call.args, wanted.database(), &statements)))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let wanted = Wanted::of(&call.args)?;
        let db = wanted.database();
        needs_untouched(call, "postgresql_db", db)?;
        needs_untouched(call, KIND, db)?;
        for role in &wanted.roles {
            needs_untouched(call, "postgresql_user", role)?;
        }
        let report = login::found(call, seen)?;
        let (roles, warnings) = wanted.known_roles(call, &report)?;
        let mut result = Map::from_iter([("queries", Value::list(Vec::new()))]);
        let lacking = if roles.is_empty() { Vec::new() } else { wanted.compare(call, &report, &roles)? };
        if lacking.is_empty() {
            let mut prediction = Prediction::same(result);
            prediction.warnings = warnings;
            return Ok(prediction);
        }
        let statements = wanted.statements(&roles);
        let query = statements.iter().map(|s| format!("{s};")).collect::<Vec<_>>().join("\n");
        result.insert("queries", Value::from(vec![query.clone()]));
        let sides =
            |there: bool| lacking.iter().map(move |what| (what.as_str(), Value::Bool(there))).collect();
        let (before, after): (Map, Map) = (sides(!wanted.present), sides(wanted.present));
        let script = login::change(&call.args, db, &[format!("BEGIN;\n{query}\nCOMMIT;")]);
        let mut prediction = Prediction::change(result, vec![Action::run(script)])
            .touch(Touch::Thing(thing(KIND, db)))
            .diff(named_diff(&format!("postgresql privileges in {db}"), Some(before), Some(after)));
        prediction.warnings = warnings;
        Ok(prediction)
    }
}

fn is_implicit(role: &str) -> bool {
    IMPLICIT.contains(&role.to_uppercase().as_str())
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

impl<'a> Wanted<'a> {
    fn of(args: &'a Args) -> Result<Self, Failure> {
        let kind = args.str("type").unwrap_or("table");
        let given = |name: &str| args.str(name).filter(|value| !value.is_empty());
        let in_schema =
            matches!(kind, "table" | "sequence" | "function" | "procedure" | "type" | "default_privs");
        let objects = given("objs").or(if kind == "database" { given("login_db") } else { None });
        let schema = match given("schema") {
            Some(_) if !in_schema => {
                return Err(Failure::new(format!("Argument \"schema\" is not allowed for type \"{kind}\".")));
            }
            _ if !in_schema => None,
            Some("not-specified") => None,
            _ if objects == Some("schemas") => None,
            schema => schema.or(Some("public")),
        };
        let Some(objects) = objects else {
            return Err(Failure::new(format!("Argument \"objs\" is required for type \"{kind}\".")));
        };
        let mut privileges: Vec<String> = Vec::new();
        for privilege in split(args.str("privs").unwrap_or_default()).map(str::to_uppercase) {
            if !PRIVILEGES.contains(&privilege.as_str()) {
                return Err(Failure::new(format!("Invalid privileges specified: {privilege}")));
            }
            if !privileges.contains(&privilege) {
                privileges.push(privilege);
            }
        }
        match (kind == "group", privileges.is_empty()) {
            (true, false) => {
                return Err(Failure::new("Argument \"privs\" is not allowed for type \"group\"."));
            }
            (false, true) => {
                return Err(Failure::new(format!("Argument \"privs\" is required for type \"{kind}\".")));
            }
            _ => {}
        }
        let all = objects == "ALL_IN_SCHEMA";
        if all && !matches!(kind, "table" | "sequence" | "function" | "procedure") {
            return Err(Failure::new(format!(
                "Argument \"objs\": ALL_IN_SCHEMA can be used only for type: table, sequence, function or procedure, {kind} was passed."
            )));
        }
        let objects: Vec<String> = match kind {
            "default_privs" if objects == "ALL_DEFAULT" => {
                DEFAULT_KINDS[..4].iter().map(ToString::to_string).collect()
            }
            "default_privs" => split(objects).map(str::to_uppercase).collect(),
            "function" | "procedure" => {
                split(objects).map(|o| o.replace(':', ",").replace(' ', "")).collect()
            }
            _ => split(objects).map(str::to_string).collect(),
        };
        if kind == "default_privs"
            && let Some(wrong) = objects.iter().find(|o| !DEFAULT_KINDS.contains(&o.as_str()))
        {
            return Err(Failure::new(format!("Invalid Object set specified: {wrong}")));
        }
        let signature = |object: &&String| !object.contains('(');
        if let ("function" | "procedure", false, Some(wrong)) = (kind, all, objects.iter().find(signature)) {
            return Err(Failure::new(format!("Illegal function / procedure signature: \"{wrong}\".")));
        }
        Ok(Wanted {
            args,
            kind,
            schema,
            privileges,
            objects: (!all).then_some(objects),
            roles: split(args.str("roles").unwrap_or_default()).collect(),
            targets: split(args.str("target_roles").unwrap_or_default()).map(str::to_string).collect(),
            present: args.str("state") != Some("absent"),
        })
    }

    fn database(&self) -> &'a str {
        self.args.str("login_db").unwrap_or_default()
    }

    /// Returns the roles that exist, and warnings about others.
    fn known_roles(&self, call: &Call, report: &Report) -> Result<(Roles, Vec<String>), Failure> {
        let there: Vec<String> = login::all_json(report, "role")?.iter().map(Value::to_text).collect();
        let me = login::json(report, "me")?.map(|me| me.to_text()).unwrap_or_default();
        let (mut roles, mut warnings) = (Vec::new(), Vec::new());
        for role in &self.roles {
            if is_implicit(role) {
                let role = role.to_uppercase();
                let who = if role == "PUBLIC" { role.clone() } else { me.clone() };
                roles.push((role, who));
            } else if there.iter().any(|t| t == role) {
                roles.push((name(role), (*role).to_string()));
            } else if self.args.flag("fail_on_role") {
                return Err(missing(call, format!("Role '{role}' does not exist")));
            } else {
                warnings.push(format!("Role '{role}' does not exist, pass it"));
            }
        }
        if roles.is_empty() {
            warnings.push("No valid roles provided, nothing to do".to_string());
        }
        Ok((roles, warnings))
    }

    /// Returns in words what is to be granted or revoked.
    fn compare(
        &self,
        call: &Call,
        report: &Report,
        roles: &[(String, String)],
    ) -> Result<Vec<String>, Failure> {
        let get = |value: &Value, key: &str| value.get(key).map(Value::to_text).unwrap_or_default();
        let grants: BTreeSet<Grant> = login::all_json(report, "grant")?
            .iter()
            .map(|grant| Grant {
                object: get(grant, "name"),
                who: get(grant, "who"),
                privilege: get(grant, "privilege"),
                option: grant.get("option").and_then(Value::as_bool).unwrap_or(false),
            })
            .collect();
        let objects = login::all_json(report, "object")?;
        if let (Some(wanted), false) = (&self.objects, self.kind == "default_privs") {
            let there: Vec<String> = objects.iter().map(|object| get(object, "name")).collect();
            if let Some(absent) = wanted.iter().find(|object| !there.contains(object)) {
                return Err(missing(call, format!("{} \"{absent}\" does not exist", self.kind)));
            }
        }
        let mut found = Vec::new();
        for object in &objects {
            let object_name = get(object, "name");
            let all: Vec<String> = object
                .get("all")
                .and_then(Value::as_list)
                .unwrap_or_default()
                .iter()
                .map(Value::to_text)
                .collect();
            for (_, who) in roles {
                let held = |privilege: &str, option: bool| {
                    grants.contains(&Grant {
                        object: object_name.clone(),
                        who: who.clone(),
                        privilege: privilege.to_string(),
                        option,
                    })
                };
                let wanted = self.wanted_of(&all);
                for privilege in &all {
                    let (plain, with_option) = (held(privilege, false), held(privilege, true));
                    let has = plain || with_option;
                    let differs =
                        match (self.present, wanted.contains(privilege), self.args.bool("grant_option")) {
                            (true, true, Some(true)) => !with_option,
                            (true, true, Some(false)) => !has || with_option,
                            // Defaults are revoked before they are granted, so the option goes with them.
                            (true, true, None) => !has || self.kind == "default_privs" && with_option,
                            (true, false, _) => has && self.kind == "default_privs",
                            (false, true, _) => has,
                            (false, false, _) => has && self.kind == "default_privs",
                        };
                    if differs {
                        found.push(format!("{privilege} on {} {object_name} to {who}", self.kind));
                    }
                }
            }
        }
        Ok(found)
    }

    /// Returns the wanted privileges as the catalogue writes them.
    fn wanted_of(&self, all: &[String]) -> Vec<String> {
        if self.kind == "group" || self.privileges.iter().any(|p| p == "ALL") {
            return all.to_vec();
        }
        let long = |privilege: &String| match privilege.as_str() {
            "TEMP" => "TEMPORARY".to_string(),
            other => other.replace('_', " "),
        };
        self.privileges.iter().map(long).collect()
    }

    fn statements(&self, roles: &[(String, String)]) -> Vec<String> {
        let whom = roles.iter().map(|(role, _)| role.as_str()).collect::<Vec<_>>().join(",");
        let objects = self.objects.as_deref().unwrap_or_default();
        if self.kind == "default_privs" {
            return self.default_statements(objects, &whom);
        }
        let privileges = self.privileges.join(",").replace('_', " ");
        let what = match (self.kind, &self.objects) {
            ("group", _) => objects.iter().map(|o| name(o)).collect::<Vec<_>>().join(","),
            (kind, None) => {
                let schema = name(self.schema.unwrap_or("public"));
                format!("{privileges} ON ALL {}S IN SCHEMA {schema}", kind.to_uppercase())
            }
            (kind, Some(objects)) => {
                let objects: Vec<String> = objects.iter().map(|object| self.object(object)).collect();
                format!("{privileges} ON {} {}", kind.replace('_', " "), objects.join(","))
            }
        };
        if !self.present {
            return vec![format!("REVOKE {what} FROM {whom}")];
        }
        let option = if self.kind == "group" { "ADMIN" } else { "GRANT" };
        match self.args.bool("grant_option") {
            Some(true) => vec![format!("GRANT {what} TO {whom} WITH {option} OPTION")],
            Some(false) => vec![
                format!("GRANT {what} TO {whom}"),
                format!("REVOKE {option} OPTION FOR {what} FROM {whom}"),
            ],
            None => vec![format!("GRANT {what} TO {whom}")],
        }
    }

    /// Returns an object as a statement names it.
    fn object(&self, object: &str) -> String {
        let (plain, signature) = match object.split_once('(') {
            Some((plain, rest)) if matches!(self.kind, "function" | "procedure") => {
                (plain, format!("({rest}"))
            }
            _ => (object, String::new()),
        };
        match self.schema {
            Some(schema) => format!("{}.{}{signature}", name(schema), name(plain)),
            None => name(plain),
        }
    }

    fn default_statements(&self, kinds: &[String], whom: &str) -> Vec<String> {
        let targets: Vec<String> = self.targets.iter().map(|target| name(target)).collect();
        let mut begin = "ALTER DEFAULT PRIVILEGES".to_string();
        if !targets.is_empty() {
            add!(begin, " FOR ROLE {}", targets.join(","));
        }
        if let Some(schema) = self.schema {
            add!(begin, " IN SCHEMA {}", name(schema));
        }
        let revoke = kinds.iter().map(|kind| format!("{begin} REVOKE ALL ON {kind} FROM {whom}"));
        if !self.present {
            return revoke.collect();
        }
        let option = if self.args.bool("grant_option") == Some(true) { " WITH GRANT OPTION" } else { "" };
        let privileges = self.privileges.join(",");
        let grant =
            kinds.iter().map(|kind| format!("{begin} GRANT {privileges} ON {kind} TO {whom}{option}"));
        revoke.chain(grant).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    fn planned(given: &[(&str, &str)], seen: &str) -> Result<String, String> {
        let mut given = given.to_vec();
        given.push(("db", "shop"));
        let prediction = Case::new(&PostgresqlPrivs, args(&given)).plan(seen).map_err(|f| f.msg)?;
        let queries = prediction.result.get("queries").and_then(Value::as_list).unwrap();
        Ok(queries.iter().map(Value::to_text).collect())
    }

    fn check(given: &[(&str, &str)], seen: &str, query: &str) {
        assert_eq!(planned(given, seen).unwrap(), query, "{given:?}");
    }

    const DB: &str = "me \"postgres\"\nrole \"ada\"\n\
        object {\"name\": \"shop\", \"all\": [\"CREATE\", \"TEMPORARY\", \"CONNECT\"]}\n\
        grant {\"name\": \"shop\", \"who\": \"PUBLIC\", \"privilege\": \"CONNECT\", \"option\": false}\n";
    const CREATE: &str =
        "grant {\"name\": \"shop\", \"who\": \"ada\", \"privilege\": \"CREATE\", \"option\": false}\n";

    #[test]
    fn databases() {
        let on = |privs: &'static str| vec![("type", "database"), ("roles", "ada"), ("privs", privs)];
        check(&on("ALL"), DB, "GRANT ALL ON database \"shop\" TO \"ada\";");
        check(&on("create"), DB, "GRANT CREATE ON database \"shop\" TO \"ada\";");
        let has = format!("{DB}{CREATE}");
        check(&on("CREATE"), &has, "");
        check(&on("CREATE,TEMP"), &has, "GRANT CREATE,TEMP ON database \"shop\" TO \"ada\";");
        let absent = [on("CREATE"), vec![("state", "absent")]].concat();
        check(&absent, &has, "REVOKE CREATE ON database \"shop\" FROM \"ada\";");
        check(&absent, DB, "");
        check(&[("type", "database"), ("roles", "public"), ("privs", "CONNECT")], DB, "");
        let option = [on("CREATE"), vec![("grant_option", "yes")]].concat();
        check(&option, &has, "GRANT CREATE ON database \"shop\" TO \"ada\" WITH GRANT OPTION;");
        check(&option, &has.replace("\"CREATE\", \"option\": false", "\"CREATE\", \"option\": true"), "");
    }

    #[test]
    fn objects_in_schemas() {
        let none = "me \"postgres\"\nrole \"ada\"\n";
        let all = [("roles", "ada"), ("privs", "ALL"), ("objs", "ALL_IN_SCHEMA")];
        check(&all, none, "");
        let table = format!("{none}object {{\"name\": \"t\", \"all\": [\"SELECT\", \"INSERT\"]}}\n");
        check(&all, &table, "GRANT ALL ON ALL TABLES IN SCHEMA \"public\" TO \"ada\";");
        check(
            &[("roles", "ada,PUBLIC"), ("privs", "SELECT"), ("objs", "t"), ("schema", "s")],
            &table,
            "GRANT SELECT ON table \"s\".\"t\" TO \"ada\",PUBLIC;",
        );
        let function = format!("{none}object {{\"name\": \"f(integer,text)\", \"all\": [\"EXECUTE\"]}}\n");
        check(
            &[("roles", "ada"), ("privs", "EXECUTE"), ("type", "function"), ("objs", "f(integer:text)")],
            &function,
            "GRANT EXECUTE ON function \"public\".\"f\"(integer,text) TO \"ada\";",
        );
    }

    #[test]
    fn groups_and_defaults() {
        let group = "me \"postgres\"\nrole \"ada\"\nobject {\"name\": \"staff\", \"all\": [\"MEMBER\"]}\n";
        check(
            &[("type", "group"), ("roles", "ada"), ("objs", "staff")],
            group,
            "GRANT \"staff\" TO \"ada\";",
        );
        let defaults = "me \"postgres\"\nrole \"ada\"\nobject {\"name\": \"postgres TABLES\", \"all\": [\"SELECT\", \"INSERT\"]}\n\
            grant {\"name\": \"postgres TABLES\", \"who\": \"ada\", \"privilege\": \"SELECT\", \"option\": false}\n";
        let of = |privs: &'static str| {
            vec![("type", "default_privs"), ("roles", "ada"), ("objs", "TABLES"), ("privs", privs)]
        };
        check(&of("SELECT"), defaults, "");
        check(
            &of("INSERT"),
            defaults,
            "ALTER DEFAULT PRIVILEGES IN SCHEMA \"public\" REVOKE ALL ON TABLES FROM \"ada\";\n\
             ALTER DEFAULT PRIVILEGES IN SCHEMA \"public\" GRANT INSERT ON TABLES TO \"ada\";",
        );
        check(
            &[of("SELECT"), vec![("state", "absent"), ("schema", "not-specified"), ("target_roles", "eve")]]
                .concat(),
            defaults,
            "ALTER DEFAULT PRIVILEGES FOR ROLE \"eve\" REVOKE ALL ON TABLES FROM \"ada\";",
        );
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], expect: &str| {
            assert_eq!(planned(given, "me \"postgres\"\n").unwrap_err(), expect, "{given:?}");
        };
        fails(&[("roles", "ada"), ("type", "database"), ("privs", "ALL")], "Role 'ada' does not exist");
        fails(&[("roles", "a"), ("privs", "FLY"), ("objs", "t")], "Invalid privileges specified: FLY");
        fails(&[("roles", "a"), ("objs", "t")], "Argument \"privs\" is required for type \"table\".");
        fails(&[("roles", "a"), ("privs", "ALL")], "Argument \"objs\" is required for type \"table\".");
        fails(&[("roles", "PUBLIC"), ("privs", "ALL"), ("objs", "t")], "table \"t\" does not exist");
    }
}
