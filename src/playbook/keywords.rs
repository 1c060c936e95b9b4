//! The keywords of playbooks as one table: where each may stand, what it takes, and who inherits it.

/// A place where keywords stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Play,
    /// An entry of `roles:` or of a role's dependencies.
    Role,
    Block,
    Task,
    Handler,
    /// `import_playbook`.
    Import,
    LoopControl,
}

/// What a keyword takes. Text may be a template wherever the keyword is not about structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Float,
    /// A number, or a number with `%`.
    Percent,
    Text,
    /// A text or a list of texts.
    TextList,
    /// Anything; one value counts as a list of one.
    List,
    Map,
    /// A map, or a list of maps.
    MapList,
    /// A map with variable names as keys.
    Vars,
    /// A bare expression or a list of them.
    Conditions,
    Tags,
    /// Tasks and blocks.
    Tasks,
    /// Taken as written.
    Any,
}

/// What tasks inside take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inherit {
    No,
    /// The innermost one wins.
    Replace,
    /// All levels add up, outer first.
    Extend,
}

/// One keyword.
#[derive(Debug)]
pub struct Keyword {
    pub name: &'static str,
    pub levels: &'static [Level],
    pub kind: Kind,
    pub inherit: Inherit,
}

use Inherit::{Extend, No, Replace};
use Level::{Block, Handler, Import, LoopControl, Play, Role, Task};

const ALL: &[Level] = &[Play, Role, Block, Task, Handler, Import];
const BELOW_PLAY: &[Level] = &[Role, Block, Task, Handler];
const PLAY: &[Level] = &[Play];
const BLOCK: &[Level] = &[Block];
const TASK: &[Level] = &[Task, Handler];
const LOOP: &[Level] = &[LoopControl];

const fn k(name: &'static str, levels: &'static [Level], kind: Kind, inherit: Inherit) -> Keyword {
    Keyword { name, levels, kind, inherit }
}

/// All keywords, by name.
pub static KEYWORDS: &[Keyword] = &[
    k("action", TASK, Kind::Any, No),
    k("always", BLOCK, Kind::Tasks, No),
    k("any_errors_fatal", ALL, Kind::Bool, Replace),
    k("args", TASK, Kind::Any, No),
    k("async", TASK, Kind::Int, No),
    k("become", ALL, Kind::Bool, Replace),
    k("become_exe", ALL, Kind::Text, Replace),
    k("become_flags", ALL, Kind::Text, Replace),
    k("become_method", ALL, Kind::Text, Replace),
    k("become_user", ALL, Kind::Text, Replace),
    k("block", BLOCK, Kind::Tasks, No),
    k("break_when", LOOP, Kind::Conditions, No),
    k("changed_when", TASK, Kind::Conditions, No),
    k("check_mode", ALL, Kind::Bool, Replace),
    k("collections", &[Play, Role, Block, Task, Handler], Kind::TextList, Replace),
    k("connection", ALL, Kind::Text, Replace),
    k("debugger", ALL, Kind::Text, Replace),
    k("delay", TASK, Kind::Float, No),
    k("delegate_facts", BELOW_PLAY, Kind::Bool, Replace),
    k("delegate_to", BELOW_PLAY, Kind::Text, Replace),
    k("diff", ALL, Kind::Bool, Replace),
    k("environment", ALL, Kind::MapList, Extend),
    k("extended", LOOP, Kind::Bool, No),
    k("extended_allitems", LOOP, Kind::Bool, No),
    k("fact_path", PLAY, Kind::Text, No),
    k("failed_when", TASK, Kind::Conditions, No),
    k("force_handlers", PLAY, Kind::Bool, No),
    k("gather_facts", PLAY, Kind::Bool, No),
    k("gather_subset", PLAY, Kind::TextList, No),
    k("gather_timeout", PLAY, Kind::Int, No),
    k("handlers", PLAY, Kind::Tasks, No),
    k("hosts", PLAY, Kind::TextList, No),
    k("ignore_errors", ALL, Kind::Bool, Replace),
    k("ignore_unreachable", ALL, Kind::Bool, Replace),
    k("import_playbook", &[Import], Kind::Text, No),
    k("index_var", LOOP, Kind::Text, No),
    k("label", LOOP, Kind::Any, No),
    k("listen", &[Handler], Kind::TextList, No),
    k("local_action", TASK, Kind::Any, No),
    k("loop", TASK, Kind::Any, No),
    k("loop_control", TASK, Kind::Map, No),
    k("loop_var", LOOP, Kind::Text, No),
    k("max_fail_percentage", PLAY, Kind::Percent, No),
    k("module_defaults", ALL, Kind::MapList, Extend),
    k("name", ALL, Kind::Text, No),
    k("no_log", ALL, Kind::Bool, Replace),
    k("notify", &[Block, Task, Handler], Kind::TextList, Replace),
    k("order", PLAY, Kind::Text, No),
    k("pause", LOOP, Kind::Float, No),
    k("poll", TASK, Kind::Int, No),
    k("port", ALL, Kind::Int, Replace),
    k("post_tasks", PLAY, Kind::Tasks, No),
    k("pre_tasks", PLAY, Kind::Tasks, No),
    k("register", TASK, Kind::Text, No),
    k("remote_user", ALL, Kind::Text, Replace),
    k("rescue", BLOCK, Kind::Tasks, No),
    k("retries", TASK, Kind::Int, No),
    k("role", &[Role], Kind::Text, No),
    k("roles", PLAY, Kind::Any, No),
    k("run_once", ALL, Kind::Bool, Replace),
    k("serial", PLAY, Kind::List, No),
    k("strategy", PLAY, Kind::Text, No),
    k("tags", ALL, Kind::Tags, Extend),
    k("tasks", PLAY, Kind::Tasks, No),
    k("throttle", ALL, Kind::Int, Replace),
    k("timeout", ALL, Kind::Int, Replace),
    k("until", TASK, Kind::Conditions, No),
    k("user", PLAY, Kind::Text, No),
    k("vars", ALL, Kind::Vars, No),
    k("vars_files", PLAY, Kind::List, No),
    k("vars_prompt", PLAY, Kind::Any, No),
    k("when", &[Role, Block, Task, Handler, Import], Kind::Conditions, Extend),
];

/// Returns the keyword of that name, wherever it may stand.
pub fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|k| k.name == name)
}

/// Whether a variable of this name is easily taken for a keyword of plays, blocks and tasks.
pub fn is_reserved(name: &str) -> bool {
    const MORE: [&str; 2] = ["local_action", "with_"];
    let keyword = |k: &Keyword| k.levels.iter().any(|level| matches!(level, Play | Block | Task));
    // `user` is what plays once called `remote_user`; Ansible does not count it.
    !["vars", "user"].contains(&name) && (MORE.contains(&name) || find(name).is_some_and(keyword))
}

/// Returns the names that may stand at a level.
pub fn names_at(level: Level) -> impl Iterator<Item = &'static str> {
    KEYWORDS.iter().filter(move |k| k.levels.contains(&level)).map(|k| k.name)
}

impl Level {
    /// Returns the word that Ansible's messages have for it.
    pub fn word(self) -> &'static str {
        match self {
            Play => "Play",
            Role => "RoleDefinition",
            Block => "Block",
            Task => "Task",
            Handler => "Handler",
            Import => "PlaybookInclude",
            LoopControl => "LoopControl",
        }
    }

    /// Returns the level with its article, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Play => "a play",
            Role => "a role",
            Block => "a block",
            Task => "a task",
            Handler => "a handler",
            Import => "an import of a playbook",
            LoopControl => "`loop_control`",
        }
    }
}

impl Keyword {
    /// Returns the places where it may stand, for messages.
    pub fn places(&self) -> String {
        let names: Vec<&str> = self.levels.iter().map(|l| l.name()).collect();
        match names.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
            None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_unique() {
        assert!(KEYWORDS.windows(2).all(|w| w[0].name < w[1].name));
    }

    #[test]
    fn places_read_well() {
        let places = |name| find(name).map(Keyword::places);
        assert_eq!(places("hosts").as_deref(), Some("a play"));
        assert_eq!(places("register").as_deref(), Some("a task or a handler"));
        assert_eq!(places("notify").as_deref(), Some("a block, a task or a handler"));
    }
}
