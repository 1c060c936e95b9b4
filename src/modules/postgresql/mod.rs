//! Modules for PostgreSQL: they ask and tell the server through psql on the target.

mod db;
mod login;
mod password;
mod privs;
mod privs_query;
mod user;

use super::Module;

pub static MODULES: &[&dyn Module] = &[&db::PostgresqlDb, &privs::PostgresqlPrivs, &user::PostgresqlUser];
