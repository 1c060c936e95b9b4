//! What the engine does itself, without a script on a target: variables, conditions, includes, waiting.

mod assert;
mod facts;
mod include;
mod include_vars;
mod inventory;
mod message;
mod package;
mod reboot;
mod spec;
mod wait;

pub use include::{include_role, include_tasks};

use super::item::ItemRun;
use super::result::{TaskResult, Trouble};
use crate::modules;
use crate::modules::Failure;
use crate::playbook::Action as TaskAction;
use crate::value::{Map, Unknown, Value};

/// An action of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    AddHost,
    AsyncStatus,
    Assert,
    Debug,
    Fail,
    GroupBy,
    IncludeVars,
    Package,
    Pause,
    Reboot,
    SetFact,
    SetStats,
    ValidateArgumentSpec,
    WaitForConnection,
}

/// Finds the action that a module's name stands for.
pub fn find(name: &str) -> Option<Action> {
    let spec = modules::controller_spec(name)?;
    Some(match spec.name {
        "add_host" => Action::AddHost,
        "async_status" => Action::AsyncStatus,
        "assert" => Action::Assert,
        "debug" => Action::Debug,
        "fail" => Action::Fail,
        "group_by" => Action::GroupBy,
        "include_vars" => Action::IncludeVars,
        "package" => Action::Package,
        "pause" => Action::Pause,
        "reboot" => Action::Reboot,
        "set_fact" => Action::SetFact,
        "set_stats" => Action::SetStats,
        "validate_argument_spec" => Action::ValidateArgumentSpec,
        "wait_for_connection" => Action::WaitForConnection,
        _ => return None,
    })
}

/// Tells whether a task is done by the engine alone, at once.
pub fn is_immediate(task: &crate::playbook::Task) -> bool {
    match &task.action {
        TaskAction::Module { name, .. } => {
            let waits = task.delay.is_some() || !task.until.is_empty();
            let slow = [
                Action::AsyncStatus,
                Action::Package,
                Action::Pause,
                Action::Reboot,
                Action::WaitForConnection,
            ];
            find(name).is_some_and(|a| !slow.contains(&a)) && !waits
        }
        TaskAction::Mistake { .. }
        | TaskAction::IncludeTasks(_)
        | TaskAction::IncludeRole(_)
        | TaskAction::Meta(_) => true,
    }
}

/// Actions that Ansible runs once for all hosts.
pub fn bypasses_hosts(task: &crate::playbook::Task) -> bool {
    matches!(&task.action, TaskAction::Module { name, .. } if matches!(crate::modules::short_name(name), Some("add_host" | "pause")))
}

impl Action {
    pub async fn run(
        self,
        item: &ItemRun,
        name: &str,
        attempt: u32,
        doubt: Option<&Unknown>,
    ) -> Result<TaskResult, Trouble> {
        self.refuse_unknown(item, name)?;
        if self == Action::Assert {
            return assert::run(item);
        }
        if self == Action::Debug {
            return message::debug(item);
        }
        let TaskAction::Module { args, free_form, template_args, .. } = &item.task.action else {
            return Err(Trouble::msg(format!("{name} is no module")));
        };
        let given = item.given(name, args, free_form.as_ref(), template_args.as_ref())?;
        let waits = matches!(self, Action::Pause | Action::WaitForConnection);
        if let Some(spec) = crate::modules::controller_spec(name).filter(|_| waits || self == Action::Fail) {
            spec.check(&given)?;
        }
        if item.shared.options.planning {
            // Facts may be unknown; what decides about files, hosts and groups must not be.
            let needs_all = !matches!(self, Action::SetFact | Action::SetStats | Action::Fail);
            if let Some(unknown) = given.values().find_map(Value::find_unknown).filter(|_| needs_all || waits)
            {
                return Err(Failure::unknown(unknown.clone()).into());
            }
            if self == Action::Reboot {
                return Ok(item.will_change(&given));
            }
            if waits {
                return Ok(item.on_this_side(TaskResult::ok(Map::new()), &given));
            }
        }
        let result = match self {
            Action::AddHost => inventory::add_host(item, &given),
            Action::AsyncStatus => crate::engine::jobs::status(item, &given).await,
            Action::Fail => message::fail(&given),
            Action::GroupBy => inventory::group_by(item, &given),
            Action::IncludeVars => include_vars::include_vars(item, &given),
            Action::Package => package::run(item, given.clone(), attempt, doubt).await,
            Action::Pause => wait::pause(item, &given).await,
            Action::Reboot => Box::pin(reboot::reboot(item, &given)).await,
            Action::SetFact => facts::set_fact(item, given.clone()),
            Action::SetStats => facts::set_stats(&given),
            Action::ValidateArgumentSpec => spec::validate(item, &given),
            Action::WaitForConnection => tokio::select! {
                result = Box::pin(wait::wait_for_connection(item, &given)) => result,
                () = item.shared.halt.asked() => Ok(TaskResult::halted()),
            },
            Action::Assert | Action::Debug => Ok(TaskResult::ok(Map::new())),
        };
        result.map(|result| item.on_this_side(result, &given))
    }
}

impl Action {
    /// Refuses arguments that there are not, in the words that Ansible has for those of its own actions.
    fn refuse_unknown(self, item: &ItemRun, name: &str) -> Result<(), Trouble> {
        let own = matches!(
            self,
            Action::Assert
                | Action::Debug
                | Action::Fail
                | Action::GroupBy
                | Action::Reboot
                | Action::SetStats
                | Action::WaitForConnection
        );
        let Some(spec) = crate::modules::controller_spec(name).filter(|_| own) else { return Ok(()) };
        let TaskAction::Module { args, .. } = &item.task.action else { return Ok(()) };
        let crate::template::TreeKind::Map(members) = &args.kind else { return Ok(()) };
        let names = members.iter().filter_map(|(key, _)| key.as_text());
        let unknown: Vec<&str> = names.filter(|name| spec.arg(name).is_none()).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Trouble::msg(format!("Invalid options for {name}: {}", unknown.join(","))))
    }
}

/// Returns the members of a module's own argument map by name, without rendering.
fn raw_arg<'a>(item: &'a ItemRun, name: &str) -> Option<&'a crate::template::Tree> {
    use crate::template::TreeKind;
    let TaskAction::Module { args, .. } = &item.task.action else { return None };
    let TreeKind::Map(members) = &args.kind else { return None };
    members.iter().find(|(k, _)| k.as_value().and_then(|v| v.as_str()) == Some(name)).map(|(_, v)| v)
}
