//! Modules of the project in the place of those that an action of Ansible calls by name: `slurp`, by which `fetch` reads
//! as another user.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::event::Status;
use super::execute::save;
use super::item::ItemRun;
use super::result::{TaskResult, Trouble};
use crate::diag::Style;
use crate::modules::{self, Failure};
use crate::value::{Map, Unknown, Value};

/// Runs `fetch`. As another user what the project calls `slurp` reads the file, as with Ansible.
pub async fn fetch(
    item: &ItemRun,
    name: &str,
    given: Map,
    attempt: u32,
    doubt: Option<&Unknown>,
) -> Result<TaskResult, Trouble> {
    let options = &item.shared.options;
    let skipped = !options.planning && options.style == Style::Ansible && item.check()?;
    let file = match item.module_file("slurp") {
        Some(file) if !skipped && item.reach()?.0.r#become.is_some() => file,
        _ => return item.module(name, given, attempt, doubt).await,
    };
    if options.planning || item.check()? {
        // Nobody can know what it would return.
        return item.foreign(name, &file, given, attempt, doubt).await;
    }
    let Some(module) = modules::find(name) else { return Err(Trouble::msg("fetch is not built in")) };
    let args = module.spec().check(&given)?;
    let src = args.str("src").unwrap_or_default();
    let asked = Map::from_iter([("src", Value::str(src))]);
    let mut result = match item.foreign("slurp", &file, asked, attempt, doubt).await {
        Ok(result) => result,
        Err(Trouble::Failed { failure, .. }) if !args.flag("fail_on_missing") => {
            let said = [("file", Value::str(src)), ("msg", missing(&failure.msg).into())];
            return Ok(TaskResult::ok(Map::from_iter(said)));
        }
        Err(Trouble::Failed { failure, explanation }) => {
            let msg = missing(&failure.msg).to_string();
            return Err(Trouble::Failed { failure: Box::new(Failure { msg, ..*failure }), explanation });
        }
        Err(trouble) => return Err(trouble),
    };
    let content = content(&result.result)?;
    let host = item.scope.host();
    let files = item.files();
    let (path, said) = modules::fetch::received(&args, &files, host, &content)?;
    result.status = if path.is_some() { Status::Changed } else { Status::Ok };
    result.result = said;
    result.result.insert("changed", path.is_some());
    if let Some(path) = path {
        save(&path, &content, None)?;
    }
    Ok(result)
}

/// What Ansible's `fetch` makes of the reader's complaint.
fn missing(msg: &str) -> &str {
    if msg.contains("not found") {
        "the remote file does not exist, not transferring, ignored"
    } else if msg.starts_with("source is a directory") {
        "remote file is a directory, fetch cannot work on directories"
    } else {
        msg
    }
}

/// Returns what was read. The module's other words, such as which file it says that it read, count for nothing.
fn content(result: &Map) -> Result<Vec<u8>, Trouble> {
    let bad = |what: &str| Trouble::msg(format!("the project's module slurp returned {what}"));
    let encoding = result.get("encoding").and_then(Value::as_str);
    if encoding != Some("base64") {
        return Err(bad("no content in base64"));
    }
    let text = result.get("content").and_then(Value::as_str).ok_or_else(|| bad("no content"))?;
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(text).map_err(|e| bad(&format!("content that is not base64: {e}")))
}
