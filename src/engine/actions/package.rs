//! `package`: chooses the module of the target's package manager and hands the arguments on.

use std::sync::Arc;

use crate::engine::item::ItemRun;
use crate::engine::result::{TaskResult, Trouble};
use crate::modules;
use crate::template::Var;
use crate::value::{Map, Unknown, Value};

/// The variable that names the manager for hosts or groups.
const VARIABLE: &str = "ansible_package_use";

/// Runs the module that `use`, the variable, the facts or the target itself name, in this order.
pub async fn run(
    item: &ItemRun,
    mut given: Map,
    attempt: u32,
    doubt: Option<&Unknown>,
) -> Result<TaskResult, Trouble> {
    let asked = given.remove("use").map(|v| v.to_text()).filter(|name| name != "auto");
    let named = match asked {
        Some(name) => Some(name),
        None => variable(item)?,
    };
    let manager = match named {
        Some(name) => modules::find(&name).map(|_| name.clone()).ok_or(name),
        None => {
            let found = match fact(item)? {
                Some(found) => found,
                None => gathered(item, attempt, doubt).await?,
            };
            // A host chooses among package managers only.
            if modules::PACKAGE_MANAGERS.contains(&found.as_str()) { Ok(found) } else { Err(found) }
        }
    };
    let module = manager.map_err(|name| {
        Trouble::msg(format!("Could not find a matching action for the \"{name}\" package manager."))
    })?;
    let mut arguments = item.defaults(&module)?;
    arguments.extend(given);
    Box::pin(item.module(&module, arguments, attempt, doubt)).await
}

fn variable(item: &ItemRun) -> Result<Option<String>, Trouble> {
    let value = match item.vars.get(VARIABLE) {
        None => return Ok(None),
        Some(Var::Value(value)) => value,
        Some(Var::Tree(tree)) => item.render(&tree)?,
        Some(Var::Lazy(_)) => return Ok(None),
    };
    Ok(Some(value.to_text()).filter(|name| !name.is_empty() && name != "auto"))
}

/// Returns what is known of the host that the task runs on.
fn fact(item: &ItemRun) -> Result<Option<String>, Trouble> {
    let facts = match item.delegate()? {
        None => item.vars.get("ansible_facts"),
        Some(host) => item.scope.on_host(&Arc::from(host.as_str())).boxed().get("ansible_facts"),
    };
    let Some(Var::Value(facts)) = facts else { return Ok(None) };
    Ok(facts.get("pkg_mgr").map(Value::to_text).filter(|name| !name.is_empty()))
}

/// Asks the target.
async fn gathered(item: &ItemRun, attempt: u32, doubt: Option<&Unknown>) -> Result<String, Trouble> {
    let asked = Map::from_iter([("gather_subset", "!all"), ("filter", "ansible_pkg_mgr")]);
    let told = Box::pin(item.module("setup", asked, attempt, doubt)).await?;
    let found = told.result.get("ansible_facts").and_then(|facts| facts.get("ansible_pkg_mgr"));
    found
        .map(Value::to_text)
        .ok_or_else(|| Trouble::msg("Could not detect a package manager. Try using the \"use\" option."))
}
