//! Modules for MySQL and MariaDB: they ask and tell the server through its client on the target.

mod db;
mod grants;
mod login;
mod replication;
mod user;
mod user_sql;
mod variables;

use super::Module;

pub static MODULES: &[&dyn Module] =
    &[&db::MysqlDb, &replication::MysqlReplication, &user::MysqlUser, &variables::MysqlVariables];
