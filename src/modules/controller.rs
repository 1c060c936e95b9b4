//! What the engine executes itself, without a target: argument tables for checks and documentation.

use super::{ArgKind, ArgSpec, ModuleSpec, Rule};

const STR: ArgKind = ArgKind::Str;
const PATH: ArgKind = ArgKind::Path;
const BOOL: ArgKind = ArgKind::Bool;
const INT: ArgKind = ArgKind::Int;
const RAW: ArgKind = ArgKind::Raw;

const fn arg(name: &'static str, kind: ArgKind, about: &'static str) -> ArgSpec {
    ArgSpec::new(name, kind, about)
}

const FILE: ArgSpec = arg("file", STR, "The file, relative to the including one or the role's tasks folder.");
const ROLE: &[ArgSpec] = &[
    arg("name", STR, "The role.").required().aliases(&["role"]),
    arg("tasks_from", STR, "Another file of the role's tasks folder than main."),
    arg("vars_from", STR, "Another file of the role's vars folder than main."),
    arg("defaults_from", STR, "Another file of the role's defaults folder than main."),
    arg("handlers_from", STR, "Another file of the role's handlers folder than main."),
    arg("allow_duplicates", BOOL, "Run the role again when it ran before.").default("yes"),
    arg("public", BOOL, "Show the role's variables and defaults to the tasks that follow."),
    arg("rolespec_validate", BOOL, "Check the role's arguments against its argument specs.").default("yes"),
];

/// The argument tables, in the order of names.
pub static SPECS: &[ModuleSpec] = &[
    ModuleSpec {
        name: "add_host",
        about: "Adds a host to the inventory of this run.",
        args: &[
            arg("name", STR, "The host.").required().aliases(&["host", "hostname"]),
            arg("groups", ArgKind::StrList, "Groups that it joins.").aliases(&["group", "groupname"]),
        ],
        any_args: true,
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "assert",
        about: "Fails unless every given condition holds.",
        args: &[
            arg("that", RAW, "A condition or a list of them.").required(),
            arg("fail_msg", RAW, "Said when one does not hold.").aliases(&["msg"]),
            arg("success_msg", RAW, "Said when all hold."),
            arg("quiet", BOOL, "Say little.").default("no"),
        ],
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "async_status",
        about: "Tells how a task stands that runs in the background.",
        args: &[
            arg("jid", STR, "The job, as the task's result named it.").required(),
            arg("mode", STR, "Look at it, or remove what is known of it.")
                .default("status")
                .choices(&["status", "cleanup"]),
        ],
        returns: &[
            ("ansible_job_id", "the job"),
            ("started", "1 when it began"),
            ("finished", "1 when it ended"),
            ("results_file", "the file that says so on the target"),
        ],
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "debug",
        about: "Prints a message or a variable.",
        args: &[
            arg("msg", RAW, "The message.").default("Hello world!"),
            arg("var", RAW, "The name of a variable, or an expression, to print."),
            arg("verbosity", INT, "Print only at this verbosity and above.").default("0"),
        ],
        rules: &[Rule::Exclusive(&["msg", "var"])],
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "fail",
        about: "Fails with a message.",
        args: &[arg("msg", STR, "The message.").default("Failed as requested from task")],
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "gather_facts",
        about: "Gathers facts of the host.",
        args: &[arg("parallel", BOOL, "Accepted; facts are gathered in one round trip.")],
        any_args: true,
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "group_by",
        about: "Puts the host into a group named by a variable, for this run.",
        args: &[
            arg("key", STR, "The group.").required(),
            arg("parents", ArgKind::StrList, "Groups that the group belongs to.").default("all"),
        ],
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "import_playbook",
        about: "Takes in another playbook at load.",
        args: &[FILE],
        free_form: Some("file"),
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "import_role",
        about: "Takes in a role's tasks at load.",
        args: ROLE,
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "import_tasks",
        about: "Takes in a file of tasks at load.",
        args: &[FILE],
        free_form: Some("file"),
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "include_role",
        about: "Runs a role's tasks here.",
        args: ROLE,
        shared: &[arg("apply", ArgKind::Dict, "Keywords for the role's tasks.")],
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "include_tasks",
        about: "Runs a file of tasks here.",
        args: &[FILE, arg("apply", ArgKind::Dict, "Keywords for the tasks.")],
        free_form: Some("file"),
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "include_vars",
        about: "Loads variables from a file or a folder.",
        args: &[
            arg("file", PATH, "The file."),
            arg("dir", PATH, "A folder whose files are loaded in the order of names."),
            arg("name", STR, "Put them into a variable of this name."),
            arg("depth", INT, "How deep to look below the folder; 0 means all the way.").default("0"),
            arg("files_matching", STR, "A regular expression that file names must match."),
            arg("ignore_files", RAW, "File names to leave out."),
            arg("extensions", ArgKind::StrList, "File name endings to load.").default("json,yaml,yml"),
            arg("ignore_unknown_extensions", BOOL, "Pass over files with other endings.").default("no"),
            arg("hash_behaviour", STR, "How to treat variables that exist.").choices(&["replace", "merge"]),
        ],
        free_form: Some("file"),
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "meta",
        about: "Influences the run itself.",
        args: &[arg("action", STR, "What to do.").required().choices(&[
            "clear_facts",
            "clear_host_errors",
            "end_batch",
            "end_host",
            "end_play",
            "end_role",
            "flush_handlers",
            "noop",
            "refresh_inventory",
            "reset_connection",
        ])],
        free_form: Some("action"),
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "package",
        about: "Installs and removes packages with the target's own package manager.",
        args: &[
            arg("name", RAW, "Names of packages.").aliases(&["pkg"]),
            arg("state", STR, "present, absent, or what else the manager's module knows."),
            arg("use", STR, "The manager's module; found out by default.").default("auto"),
        ],
        also: super::packaging::SPECS,
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "pause",
        about: "Waits for some time or for the user.",
        args: &[
            arg("seconds", ArgKind::Raw, "How long."),
            arg("minutes", ArgKind::Raw, "How long."),
            arg("prompt", STR, "What to ask."),
            arg("echo", BOOL, "Show what is typed.").default("yes"),
        ],
        rules: &[Rule::Exclusive(&["minutes", "seconds"])],
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "reboot",
        about: "Restarts the host and waits until it is there again.",
        args: &[
            arg("pre_reboot_delay", INT, "Seconds before it goes down; counted in whole minutes.")
                .default("0"),
            arg("post_reboot_delay", ArgKind::Float, "Seconds before the first look.").default("0"),
            arg("reboot_timeout", INT, "Seconds until it is a failure.").default("600"),
            arg("connect_timeout", INT, "Seconds for one try."),
            arg("test_command", STR, "A command that must succeed in the end.").default("whoami"),
            arg("msg", STR, "What logged-in users are told.").default("Reboot initiated by Ansible"),
            arg("search_paths", ArgKind::StrList, "Where the command is looked for.")
                .default("/sbin,/bin,/usr/sbin,/usr/bin,/usr/local/sbin"),
            arg("boot_time_command", STR, "Prints what tells one boot from another.")
                .default("cat /proc/sys/kernel/random/boot_id"),
            arg("reboot_command", STR, "The command that reboots, instead of shutdown."),
        ],
        returns: &[("rebooted", "whether it was restarted"), ("elapsed", "seconds that it took")],
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "set_fact",
        about: "Sets variables of the host for the rest of the run.",
        args: &[arg("cacheable", BOOL, "Keep them among the facts too.").default("no")],
        any_args: true,
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "set_stats",
        about: "Adds numbers and texts to the statistics of the run.",
        args: &[
            // Raw: what is no map, and words that are no booleans, are judged when the task runs, as in Ansible.
            arg("data", RAW, "Names and values, a mapping.").required(),
            arg("per_host", RAW, "Keep them host by host.").default("no"),
            arg("aggregate", RAW, "Add to what is there.").default("yes"),
        ],
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "validate_argument_spec",
        about: "Checks variables against an argument specification.",
        args: &[
            arg("argument_spec", ArgKind::Dict, "The specification.").required(),
            arg("provided_arguments", ArgKind::Dict, "The values; the task's variables by default."),
            arg("validate_args_context", ArgKind::Dict, "Where the specification comes from, for messages."),
        ],
        ..ModuleSpec::BASE
    },
    ModuleSpec {
        name: "wait_for_connection",
        about: "Waits until the host can be reached and runs scripts.",
        args: &[
            arg("timeout", INT, "Seconds until it is a failure.").default("600"),
            arg("delay", INT, "Seconds before the first try.").default("0"),
            arg("sleep", INT, "Seconds between tries.").default("1"),
            arg("connect_timeout", INT, "Seconds for one try.").default("5"),
        ],
        ..ModuleSpec::BASE
    },
];
