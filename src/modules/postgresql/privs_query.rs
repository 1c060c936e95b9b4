//! The statements that tell which privileges on which objects are granted to whom.

use super::login::text;

/// Where the privileges of a kind of objects are kept.
struct Catalog {
    kind: &'static str,
    /// What `acldefault` calls the kind.
    letter: &'static str,
    table: &'static str,
    name: &'static str,
    acl: &'static str,
    owner: &'static str,
    /// The column of the schema, for objects that have one.
    schema: Option<&'static str>,
    only: &'static str,
}

const CATALOGS: [Catalog; 11] = [
    Catalog {
        kind: "table",
        letter: "r",
        table: "pg_class",
        name: "relname",
        acl: "relacl",
        owner: "relowner",
        schema: Some("relnamespace"),
        only: "relkind IN ('r', 'v', 'm', 'p', 'f')",
    },
    Catalog {
        kind: "sequence",
        letter: "s",
        table: "pg_class",
        name: "relname",
        acl: "relacl",
        owner: "relowner",
        schema: Some("relnamespace"),
        only: "relkind = 'S'",
    },
    Catalog {
        kind: "function",
        letter: "f",
        table: "pg_proc",
        name: "proname || '(' || oidvectortypes(proargtypes) || ')'",
        acl: "proacl",
        owner: "proowner",
        schema: Some("pronamespace"),
        only: "prokind IN ('f', 'w')",
    },
    Catalog {
        kind: "procedure",
        letter: "f",
        table: "pg_proc",
        name: "proname || '(' || oidvectortypes(proargtypes) || ')'",
        acl: "proacl",
        owner: "proowner",
        schema: Some("pronamespace"),
        only: "prokind = 'p'",
    },
    Catalog {
        kind: "type",
        letter: "T",
        table: "pg_type",
        name: "typname",
        acl: "typacl",
        owner: "typowner",
        schema: Some("typnamespace"),
        only: "true",
    },
    global("database", "d", "pg_database", "datname", "datacl", "datdba"),
    global("schema", "n", "pg_namespace", "nspname", "nspacl", "nspowner"),
    global("language", "l", "pg_language", "lanname", "lanacl", "lanowner"),
    global("tablespace", "t", "pg_tablespace", "spcname", "spcacl", "spcowner"),
    global("foreign_data_wrapper", "F", "pg_foreign_data_wrapper", "fdwname", "fdwacl", "fdwowner"),
    global("foreign_server", "S", "pg_foreign_server", "srvname", "srvacl", "srvowner"),
];

const fn global(
    kind: &'static str,
    letter: &'static str,
    table: &'static str,
    name: &'static str,
    acl: &'static str,
    owner: &'static str,
) -> Catalog {
    Catalog { kind, letter, table, name, acl, owner, schema: None, only: "true" }
}

/// Returns statements that answer `object NAME-AND-ALL-ITS-PRIVILEGES` and `grant NAME-WHO-WHICH` as JSON. `names` limits
/// the objects; without it all of the schema count.
pub fn objects(kind: &str, schema: Option<&str>, names: Option<&[String]>) -> Option<String> {
    let catalog = CATALOGS.iter().find(|catalog| catalog.kind == kind)?;
    let Catalog { letter, table, name, acl, owner, only, .. } = catalog;
    let mut wheres = vec![(*only).to_string()];
    if let (Some(column), Some(schema)) = (catalog.schema, schema) {
        wheres.push(format!("{column} = (SELECT oid FROM pg_namespace WHERE nspname = {})", text(schema)));
    }
    let place = if catalog.name.contains("proname") {
        format!("replace({name}, ' ', '')")
    } else {
        (*name).to_string()
    };
    if let Some(names) = names {
        let quoted: Vec<String> = names.iter().map(|n| text(n)).collect();
        wheres.push(format!("{place} IN ({})", quoted.join(", ")));
    }
    let from = format!(
        "(SELECT {place} AS name, {acl} AS acl, {owner} AS owner, '{letter}'::\"char\" AS letter FROM {table} WHERE {}) o",
        wheres.join(" AND ")
    );
    Some(explode(&from))
}

/// Returns statements about default privileges: an object is a role and a kind such as `ada TABLES`.
pub fn defaults(schema: Option<&str>, kinds: &[String], owners: &[String]) -> String {
    let namespace = match schema {
        Some(schema) => format!("(SELECT oid FROM pg_namespace WHERE nspname = {})", text(schema)),
        None => "0".to_string(),
    };
    let letters: Vec<String> = kinds
        .iter()
        .map(|kind| {
            let letter = match kind.as_str() {
                "TABLES" => "r",
                "SEQUENCES" => "S",
                "FUNCTIONS" => "f",
                "TYPES" => "T",
                _ => "n",
            };
            // The catalogue's letter of sequences is another one than that of acldefault.
            let general = if letter == "S" { "s" } else { letter };
            format!("({}, '{letter}'::\"char\", '{general}'::\"char\")", text(kind))
        })
        .collect();
    let who = match owners {
        [] => "current_user".to_string(),
        owners => owners.iter().map(|o| text(o)).collect::<Vec<_>>().join(", "),
    };
    // Within a schema nothing is granted by default.
    let unset = if schema.is_some() { "'{}'::aclitem[]" } else { "NULL::aclitem[]" };
    explode(&format!(
        "(SELECT r.rolname || ' ' || k.kind AS name, coalesce(d.defaclacl, {unset}) AS acl, r.oid AS owner, k.general AS letter \
         FROM pg_roles r CROSS JOIN (VALUES {}) k (kind, letter, general) \
         LEFT JOIN pg_default_acl d ON d.defaclrole = r.oid AND d.defaclobjtype = k.letter AND d.defaclnamespace = {namespace} \
         WHERE r.rolname IN ({who})) o",
        letters.join(", ")
    ))
}

fn explode(from: &str) -> String {
    format!(
        "SELECT 'object ' || json_build_object('name', name, 'all', \
         (SELECT json_agg(privilege_type) FROM aclexplode(acldefault(letter, owner)) WHERE grantee = owner)) FROM {from};\n\
         SELECT 'grant ' || json_build_object('name', name, 'who', coalesce(r.rolname, 'PUBLIC'), \
         'privilege', x.privilege_type, 'option', x.is_grantable) FROM {from} \
         CROSS JOIN LATERAL aclexplode(coalesce(acl, acldefault(letter, owner))) x LEFT JOIN pg_roles r ON r.oid = x.grantee;\n"
    )
}

/// Returns statements about members of groups: an object is the group, the privilege is to be a member.
pub fn groups(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| text(n)).collect();
    let groups = quoted.join(", ");
    format!(
        "SELECT 'object ' || json_build_object('name', rolname, 'all', json_build_array('MEMBER')) FROM pg_roles WHERE rolname IN ({groups});\n\
         SELECT 'grant ' || json_build_object('name', g.rolname, 'who', m.rolname, 'privilege', 'MEMBER', 'option', a.admin_option) \
         FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member WHERE g.rolname IN ({groups});\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_the_right_objects() {
        let check = |statements: Option<String>, expect: &str| {
            let statements = statements.unwrap();
            let (_, from) = statements.lines().next().unwrap().split_once(" FROM (SELECT ").unwrap();
            let from = from.split_once("FROM (SELECT ").map_or(from, |(_, rest)| rest);
            assert_eq!(from, expect);
        };
        check(
            objects("database", None, Some(&["a'b".to_string()])),
            "datname AS name, datacl AS acl, datdba AS owner, 'd'::\"char\" AS letter FROM pg_database WHERE true AND datname IN ('a''b')) o;",
        );
        check(
            objects("sequence", Some("public"), None),
            "relname AS name, relacl AS acl, relowner AS owner, 's'::\"char\" AS letter FROM pg_class WHERE relkind = 'S' \
             AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'public')) o;",
        );
        assert_eq!(objects("cloud", None, None), None);
    }
}
