//! Case files: a small project and what loading it gives, either its tasks or its mistakes as they are printed.
//!
//! `tests/cases/playbook/*.case` holds the files, each after a line `--- NAME`; what is expected stands after
//! `--- expected`. `XPLAY_RECORD_CASES=1` writes it anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::diag::{self, SourceMap, Style};
use crate::playbook::{Action, Block, LiteralArgs, LoopKind, ModuleCatalog, ModuleKnown, Play};
use crate::template::{SearchPath, Templar, TemplarSettings, Tree, Var};

/// A few modules.
struct Catalog;

const MODULES: [(&str, bool, &[&str]); 14] = [
    ("add_host", false, &["name", "groups"]),
    ("command", true, &["cmd", "creates", "removes", "chdir", "argv"]),
    ("copy", false, &["src", "dest", "mode", "owner", "content"]),
    ("debug", false, &["msg", "var", "verbosity"]),
    ("fail", false, &["msg"]),
    ("file", false, &["path", "state", "mode"]),
    ("group_by", false, &["key", "parents"]),
    ("include_vars", false, &["file", "name", "dir"]),
    ("lineinfile", false, &["path", "line", "regexp"]),
    ("ping", false, &["data"]),
    ("service", false, &["name", "state", "enabled"]),
    ("set_fact", false, &["cacheable"]),
    ("shell", true, &["cmd", "creates", "removes", "chdir"]),
    ("template", false, &["src", "dest", "mode"]),
];

fn module(name: &str) -> Option<&'static (&'static str, bool, &'static [&'static str])> {
    let short = name.strip_prefix("ansible.builtin.").unwrap_or(name);
    MODULES.iter().find(|(n, _, _)| *n == short)
}

impl ModuleCatalog for Catalog {
    fn find(&self, name: &str) -> ModuleKnown {
        match module(name) {
            Some((_, free_form, _)) => ModuleKnown::Yes { free_form: *free_form },
            None if name == "win_copy" => ModuleKnown::Refused("it is for Windows".into()),
            None => ModuleKnown::No,
        }
    }

    fn names(&self) -> Vec<String> {
        MODULES.iter().map(|(n, _, _)| (*n).to_owned()).collect()
    }

    fn arguments(&self, name: &str) -> Vec<String> {
        module(name).map(|(_, _, args)| args.iter().map(|a| (*a).to_owned()).collect()).unwrap_or_default()
    }

    fn check(&self, name: &str, literal: &LiteralArgs, _complete: bool) -> Vec<Diagnostic> {
        if module(name).is_none_or(|(n, _, _)| matches!(*n, "set_fact" | "add_host")) {
            return Vec::new();
        }
        let known = self.arguments(name);
        let unknown = literal.args.iter().filter(|(arg, _, _)| !known.iter().any(|k| **k == **arg));
        unknown
            .map(|(arg, span, _)| {
                let diagnostic = Diagnostic::error("XP1001", format!("`{name}` has no argument `{arg}`"));
                scope::at(diagnostic, *span, "unknown argument")
                    .suggest(arg, known.iter().map(String::as_str))
            })
            .collect()
    }
}

fn options(sources: &SourceMap, dir: &Path) -> LoadOptions {
    LoadOptions {
        templar: Arc::new(Templar::new(sources.clone(), TemplarSettings::default())),
        sources: sources.clone(),
        roles_path: vec![dir.join("shared-roles")],
        collections_path: Vec::new(),
        catalog: Arc::new(Catalog),
        extra_vars: VarMap::default(),
        private_role_vars: None,
        base: Directives::default(),
        library: Vec::new(),
    }
}

/// The files of a case, and what is expected.
fn unpack(text: &str, dir: &Path) -> String {
    let mut expected = String::new();
    for part in format!("\n{text}").split("\n--- ").skip(1) {
        let (name, body) = part.split_once('\n').unwrap_or((part, ""));
        if name.trim() == "expected" {
            body.clone_into(&mut expected);
            continue;
        }
        let path = dir.join(name.trim());
        std::fs::create_dir_all(path.parent().expect("below the directory")).expect("made");
        std::fs::write(path, format!("{body}\n")).expect("written");
    }
    expected
}

#[test]
fn cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/playbook");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(root).expect("cases").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut failed = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("readable");
        let dir = tempfile::tempdir().expect("a directory");
        let expected = unpack(&text, dir.path());
        let got = outcome(dir.path());
        if std::env::var_os("XPLAY_RECORD_CASES").is_some() {
            let input = text.split("\n--- expected").next().unwrap_or("");
            std::fs::write(&path, format!("{}\n--- expected\n{got}", input.trim_end())).expect("written");
        } else if got.trim_end() != expected.trim_end() {
            failed.push(format!("{}\n--- expected\n{expected}\n--- got\n{got}", path.display()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn outcome(dir: &Path) -> String {
    let sources = SourceMap::new();
    let loader = Loader::new(options(&sources, dir));
    let mut out = String::new();
    let found = match loader.load_playbook(&dir.join("site.yml")) {
        Ok((playbook, warnings)) => {
            playbook.plays.iter().for_each(|play| show_play(play, &mut out));
            warnings
        }
        Err(errors) => errors,
    };
    for diagnostic in &found {
        out.push_str(&diag::render(&sources, diagnostic, Style::Plain));
    }
    out.replace(&dir.display().to_string(), "DIR")
}

fn text(tree: &Tree) -> String {
    tree.written().to_text()
}

fn show_play(play: &Play, out: &mut String) {
    let _ = writeln!(out, "play {} hosts={}", play.id_path, text(&play.hosts));
    if !play.vars.is_empty() {
        let _ = writeln!(out, "  vars {}", vars(&play.vars));
    }
    let sections = [
        ("pre_tasks", &play.pre_tasks),
        ("roles", &play.roles),
        ("tasks", &play.tasks),
        ("post_tasks", &play.post_tasks),
    ];
    for (name, entries) in sections {
        if !entries.is_empty() {
            let _ = writeln!(out, "  {name}");
            entries.iter().for_each(|e| show_entry(e, 2, out));
        }
    }
    if !play.handlers.is_empty() {
        let _ = writeln!(out, "  handlers");
        play.handlers.iter().for_each(|t| show_task(t, 2, out));
    }
    for usage in &play.role_uses {
        let layers = |list: Vec<VarMap>| list.iter().map(vars).collect::<Vec<_>>().join(" < ");
        let _ = writeln!(
            out,
            "  role {} defaults {} vars {} params {}",
            usage.name,
            layers(usage.default_layers()),
            layers(usage.var_layers()),
            layers(usage.param_layers())
        );
    }
}

fn show_entry(entry: &Entry, depth: usize, out: &mut String) {
    match entry {
        Entry::Task(task) => show_task(task, depth, out),
        Entry::Block(block) => show_block(block, depth, out),
    }
}

fn show_block(block: &Block, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    let role = block.role.as_ref().map(|r| format!(" role={}", r.name)).unwrap_or_default();
    let name = block.name.as_ref().map(|n| format!(" {}", text(n))).unwrap_or_default();
    let _ = writeln!(out, "{pad}block{name}{role}");
    block.body.iter().for_each(|e| show_entry(e, depth + 1, out));
    for (name, entries) in [("rescue", &block.rescue), ("always", &block.always)] {
        if !entries.is_empty() {
            let _ = writeln!(out, "{pad}{name}");
            entries.iter().for_each(|e| show_entry(e, depth + 1, out));
        }
    }
}

fn show_task(task: &Task, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    let name = task.name.as_ref().map(|n| format!(" \"{}\"", text(n))).unwrap_or_default();
    let _ = write!(out, "{pad}{}{name}", task.action_name());
    let mut word = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(out, " {key}={value}");
        }
    };
    let list =
        |trees: &[Tree]| (!trees.is_empty()).then(|| trees.iter().map(text).collect::<Vec<_>>().join(","));
    let d = &task.directives;
    if let Action::Module { args, free_form, template_args, .. } = &task.action {
        let args = args.written();
        word("args", (args.is_truthy()).then(|| args.to_text()));
        word("free_form", free_form.as_ref().map(text));
        word("template_args", template_args.as_ref().map(text));
    }
    let inherited = match &task.action {
        Action::IncludeTasks(include) => {
            word("file", Some(text(&include.file)));
            Some(&include.inherited)
        }
        Action::IncludeRole(include) => {
            word("role", Some(text(&include.name)));
            word("tasks_from", include.tasks_from.as_ref().map(text));
            Some(&include.inherited)
        }
        Action::Meta(kind) => {
            word("meta", Some(kind.name().to_owned()));
            None
        }
        Action::Module { .. } | Action::Mistake { .. } => None,
    };
    if let Some(loop_) = &task.loop_ {
        let kind = match &loop_.kind {
            LoopKind::Loop => "loop".to_owned(),
            LoopKind::With(lookup) => format!("with_{lookup}"),
        };
        word(&kind, Some(text(&loop_.expr)));
        word("loop_var", loop_.control.loop_var.as_ref().map(text));
    }
    word("become", d.r#become.as_ref().map(text));
    word("delegate_to", d.delegate_to.as_ref().map(text));
    word("ignore_errors", d.ignore_errors.as_ref().map(text));
    word("when", exprs(&d.when));
    word("tags", list(&d.tags));
    word("environment", list(&d.environment));
    word("vars", layers(&d.vars));
    word("include_params", layers(&d.include_params));
    word("notify", list(&task.notify));
    word("listen", list(&task.listen));
    word("register", task.register.as_ref().map(|r| r.to_string()));
    word("until", exprs(&task.until));
    word("changed_when", exprs(&task.changed_when));
    word("async", task.async_.as_ref().map(text));
    word("inherits.become", inherited.and_then(|i| i.r#become.as_ref().map(text)));
    word("inherits.tags", inherited.and_then(|i| list(&i.tags)));
    word("inherits.when", inherited.and_then(|i| exprs(&i.when)));
    word("inherits.vars", inherited.and_then(|i| layers(&i.vars)));
    out.push('\n');
}

fn exprs(list: &[crate::template::Expr]) -> Option<String> {
    (!list.is_empty()).then(|| list.iter().map(|e| format!("({})", e.text)).collect::<Vec<_>>().join(""))
}

fn layers(list: &[VarMap]) -> Option<String> {
    (!list.is_empty()).then(|| list.iter().map(vars).collect::<Vec<_>>().join(" < "))
}

fn vars(map: &VarMap) -> String {
    let members: Vec<String> = map.iter().map(|(k, v)| format!("{k}: {}", text(v))).collect();
    format!("{{{}}}", members.join(", "))
}

/// A running play that knows one variable.
struct Running(SearchPath);

impl Scope for Running {
    fn get(&self, name: &str) -> Option<Var> {
        (name == "known").then(|| Var::Value("inner".into()))
    }
    fn names(&self) -> Vec<Arc<str>> {
        vec!["known".into()]
    }
    fn search(&self) -> &SearchPath {
        &self.0
    }
}

#[test]
fn dynamic_includes() {
    let dir = tempfile::tempdir().expect("a directory");
    unpack(
        "--- site.yml\n- hosts: all\n  become: true\n  tasks:\n    - include_tasks: {file: more.yml, apply: {tags: x}}\n      \
         tags: own\n      vars: {a: 1}\n\
         --- more.yml\n- ping:\n- import_tasks: \"{{ known }}.yml\"\n\
         --- inner.yml\n- debug: msg=hi\n\
         --- roles/r/tasks/main.yml\n- ping:\n- include_tasks: sub/a.yml\n\
         --- roles/r/tasks/other.yml\n- debug:\n\
         --- roles/r/handlers/main.yml\n- name: restart\n  service: name=x\n\
         --- roles/r/defaults/main.yml\nd: 1\n",
        dir.path(),
    );
    let sources = SourceMap::new();
    let loader = Loader::new(options(&sources, dir.path()));
    let (playbook, _) = loader.load_playbook(&dir.path().join("site.yml")).expect("loads");
    let task = playbook.plays[0].tasks[0].tasks()[0].clone();
    let Action::IncludeTasks(include) = &task.action else { panic!("an include") };
    let mut context = IncludeContext {
        rescued: false,
        inherited: include.inherited.clone(),
        vars: VarMap::default(),
        role: None,
        dir: task.dir.clone(),
        playbook_dir: dir.path().to_owned(),
        id_path: task.id.path.clone(),
        handlers: false,
        scope: Arc::new(Running(SearchPath::default())),
        span: Some(task.span),
    };
    let tasks = loader.load_tasks("more.yml", &context).expect("loads");
    let mut out = String::new();
    tasks.entries.iter().for_each(|e| show_entry(e, 0, &mut out));
    assert_eq!(
        out,
        "ping become=True tags=x vars={a: 1} include_params={a: 1}\nblock\n  debug args={'msg': 'hi'} become=True \
         tags=x vars={a: 1} include_params={a: 1}\n"
    );
    assert!(Arc::ptr_eq(&tasks, &loader.load_tasks("more.yml", &context).expect("loads")), "cached");
    context.vars = Arc::new([("item".into(), Tree::value(1))].into_iter().collect());
    let with_item = loader.load_tasks("more.yml", &context).expect("loads");
    assert_eq!(
        layers(&with_item.entries[0].tasks()[0].directives.vars).as_deref(),
        Some("{a: 1} < {item: 1}")
    );
    let errors = loader.load_tasks("moer.yml", &context).expect_err("missing");
    assert_eq!(errors[0].message, "the task file `moer.yml` does not exist");
    assert_eq!(errors[0].help.as_deref(), Some("did you mean `more.yml`?"));

    let options = RoleOptions { tasks_from: Some("other".into()), validate: true, ..RoleOptions::default() };
    let role = loader.load_role("r", &options, &context).expect("loads");
    assert_eq!(role.entries[0].tasks()[0].action_name(), "debug");
    assert_eq!(role.handlers[0].name.as_ref().map(text).as_deref(), Some("restart"));
    assert_eq!(role.uses.len(), 1);
    assert!(!role.role.public && role.role.allow_duplicates);
    let missing = RoleOptions { tasks_from: Some("../x".into()), ..RoleOptions::default() };
    assert_eq!(loader.load_role("r", &missing, &context).expect_err("missing")[0].code, "XP0621");
}

#[test]
fn step_ids_are_stable() {
    let ids = |site: &str| -> Vec<String> {
        let dir = tempfile::tempdir().expect("a directory");
        unpack(&format!("--- site.yml\n{site}"), dir.path());
        let sources = SourceMap::new();
        let loader = Loader::new(options(&sources, dir.path()));
        let (playbook, _) = loader.load_playbook(&dir.path().join("site.yml")).expect("loads");
        playbook.plays[0].tasks.iter().flat_map(Entry::tasks).map(|t| t.id.to_string()).collect()
    };
    let first =
        ids("- hosts: all\n  name: P\n  tasks:\n    - name: one\n      ping:\n    - ping:\n    - ping:\n");
    assert_eq!(first.len(), 3);
    assert!(first[0].starts_with("site.yml/P/one#") && first[0].len() == "site.yml/P/one#".len() + 12);
    assert_eq!(first[2], format!("{}.2", first[1]));
    let moved = ids(
        "- hosts: all\n  name: P\n  tasks:\n    - debug:\n    # a comment\n    - ping:\n    - {name: one, ping: }\n",
    );
    assert_eq!((&moved[1], &moved[2]), (&first[1], &first[0]));
}

proptest::proptest! {
    #[test]
    fn odd_playbooks_never_panic(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "hosts", "tasks", "block", "when", "ping", "copy", "vars", "roles", "loop", "with_items", "action",
                "tags", "- ", "  ", "\n", "\n  ", "\n    - ", ": ", "[", "]", "{", "}", "{{ a }}", "\"", "'", "x=1",
                "import_tasks", "include_role", "meta", "name", "args", "1", "yes", "null",
            ]),
            0..40,
        )
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("site.yml"), format!("- hosts: all\n  tasks:\n    - {}", words.concat()))
            .expect("written");
        let _ = outcome(dir.path());
    }
}
