//! Recorded cases from `ansible-inventory`, mistakes with their exact text, and size.

use std::path::{Path, PathBuf};

use super::*;
use crate::diag::{self, Diagnostic, SourceMap, Style};
use crate::template::{Templar, TemplarSettings};
use crate::yaml::to_nice_yaml;

fn templar(sources: &SourceMap) -> Templar {
    Templar::new(sources.clone(), TemplarSettings::default())
}

fn load_all(given: &[Source], sources: &SourceMap) -> Result<(Inventory, Vec<Diagnostic>), Vec<Diagnostic>> {
    load(given, &templar(sources), sources, &LoadOptions::default())
}

fn loaded(given: &[Source]) -> (Inventory, VarFiles) {
    let sources = SourceMap::new();
    let (inventory, _) = load_all(given, &sources).expect("valid sources");
    (inventory, VarFiles::new(templar(&sources), sources))
}

/// Loads one text as a file of this name.
fn loaded_text(name: &str, text: &str) -> (Inventory, VarFiles) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(name);
    std::fs::write(&path, text).expect("written");
    loaded(&[Source::Path(path)])
}

fn names(inventory: &Inventory, hosts: &[HostId]) -> Vec<String> {
    hosts.iter().map(|h| inventory.host(*h).name.to_string()).collect()
}

fn strings(json: &serde_json::Value) -> Vec<String> {
    json.as_array().into_iter().flatten().filter_map(|v| v.as_str()).map(str::to_owned).collect()
}

#[test]
fn recorded_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/inventory");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(root).expect("cases").map(|e| e.expect("an entry").path()).collect();
    cases.sort();
    assert!(cases.len() >= 10);
    for case in cases {
        recorded_case(&case);
    }
}

fn recorded_case(case: &Path) {
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(case.join(name)).expect(name)).expect("JSON")
    };
    let (input, expected) = (read("case.json"), read("expected.json"));
    let given: Vec<Source> = strings(&input["sources"])
        .iter()
        .map(|s| if case.join(s).exists() { Source::Path(case.join(s)) } else { Source::parse(s) })
        .collect();
    let (inventory, files) = loaded(&given);
    let at = case.file_name().expect("a name").to_string_lossy().into_owned();
    let none = ListOptions { profile: true, ..ListOptions::default() };
    let all = inventory.find_group("all").expect("all");
    let text = |key: &str| expected[key].as_str().expect(key).to_owned();
    assert_eq!(list_json(&inventory, &files, none).expect("list"), text("list"), "{at} --list");
    let export = ListOptions { export: true, ..none };
    assert_eq!(list_json(&inventory, &files, export).expect("export"), text("export"), "{at} --export");
    assert_eq!(graph_text(&inventory, all, &files, none).expect("graph"), text("graph"), "{at} --graph");
    let vars = ListOptions { vars: true, ..none };
    assert_eq!(graph_text(&inventory, all, &files, vars).expect("graph"), text("graph_vars"), "{at} --vars");
    for (key, export) in [("", false), ("_export", true)] {
        let options = ListOptions { export, ..none };
        let form = |name: &str| expected[format!("{name}{key}")].as_str().map(str::to_owned);
        let tree = list_nested(&inventory, &files, options).expect("a tree");
        assert_eq!(Some(to_nice_yaml(&tree, 2)), form("yaml"), "{at} --yaml {export}");
        let flat = list_flat(&inventory, &files, options).expect("groups");
        assert_eq!(to_toml(&flat).ok(), form("toml"), "{at} --toml {export}");
    }
    assert_eq!(expected["file"], expected["list"], "{at}: a file ends without a newline");
    let limit = &expected["limit"];
    let limited = inventory.matching(limit["pattern"].as_str().expect("a pattern")).expect("hosts").hosts;
    let options = ListOptions { hosts: Some(&limited), ..none };
    let json = list_json(&inventory, &files, options).expect("list");
    assert_eq!(Some(json.as_str()), limit["json"].as_str(), "{at} --limit");
    let yaml = to_nice_yaml(&list_nested(&inventory, &files, options).expect("a tree"), 2);
    assert_eq!(Some(yaml.as_str()), limit["yaml"].as_str(), "{at} --limit --yaml");
    let toml = to_toml(&list_flat(&inventory, &files, options).expect("groups")).ok();
    assert_eq!(toml.as_deref(), limit["toml"].as_str(), "{at} --limit --toml");
    let graph = &expected["graph_group"];
    let group = inventory.find_group(graph["group"].as_str().expect("a group")).expect("a group");
    let drawn = graph_text(&inventory, group, &files, none).expect("graph");
    assert_eq!(Some(drawn.as_str()), graph["text"].as_str(), "{at} --graph GROUP");
    for (pattern, hosts) in expected["patterns"].as_object().expect("patterns") {
        let matched = inventory.matching(pattern).expect(pattern);
        assert_eq!(names(&inventory, &matched.hosts), strings(hosts), "{at} {pattern}");
    }
    for (order, hosts) in expected["orders"].as_object().expect("orders") {
        let matched = inventory.matching("all").expect("all").hosts;
        let ordered = inventory.ordered(matched, Order::parse(order).expect("an order"));
        assert_eq!(names(&inventory, &ordered), strings(hosts), "{at} {order}");
    }
    for (host, groups) in expected["groups"].as_object().expect("groups") {
        let id = inventory.find_host(host).expect(host);
        let got: Vec<String> = inventory.group_names(id).iter().map(|n| n.to_string()).collect();
        assert_eq!(got, strings(groups), "{at} {host}");
    }
}

/// Case files: an inventory, and its mistakes or warnings as they are printed. `XPLAY_RECORD_CASES=1` writes them anew.
#[test]
fn mistakes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/inventory");
    let mut failed = Vec::new();
    for entry in std::fs::read_dir(root).expect("cases") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("readable");
        let (input, expected) = text.split_once("\n--- expected\n").unwrap_or((text.as_str(), ""));
        let got = mistakes_of(input);
        if std::env::var_os("XPLAY_RECORD_CASES").is_some() {
            std::fs::write(&path, format!("{}\n--- expected\n{got}", input.trim_end())).expect("written");
        } else if got.trim_end() != expected.trim_end() {
            failed.push(format!("{}\n--- expected\n{expected}\n--- got\n{got}", path.display()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn mistakes_of(input: &str) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let mut first = None;
    for part in format!("\n{input}").split("\n--- ").skip(1) {
        let (name, body) = part.split_once('\n').unwrap_or((part, ""));
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below the directory")).expect("made");
        std::fs::write(&path, format!("{body}\n")).expect("written");
        first.get_or_insert(path);
    }
    let sources = SourceMap::new();
    let given = [Source::Path(first.expect("a file"))];
    let mut found = Vec::new();
    match load_all(&given, &sources) {
        Ok((inventory, warnings)) => {
            found.extend(warnings);
            let files = VarFiles::new(templar(&sources), sources.clone());
            let dirs = inventory.source_dirs();
            found.extend(files.group(&dirs[0], &"all".into()).err().unwrap_or_default());
            found.extend(files.host(&dirs[0], &"h1".into()).err().unwrap_or_default());
        }
        Err(errors) => found.extend(errors),
    }
    let shown: Vec<String> = found.iter().map(|d| diag::render(&sources, d, Style::Plain)).collect();
    shown.join("").replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn adds_hosts_and_groups_while_running() {
    let (mut inventory, _) = loaded_text("hosts", "[web]\nw1\n");
    let vars = std::sync::Arc::new([("a".into(), crate::template::Tree::value(1))].into_iter().collect());
    let (id, changed) = inventory.add_dynamic_host("new", &["fresh", "web"], &vars);
    assert!(changed);
    assert_eq!(inventory.group_names(id).join(" "), "fresh web");
    assert!(!inventory.add_dynamic_host("new", &["fresh"], &vars).1);
    let before = inventory.clone();
    let w1 = inventory.find_host("w1").expect("w1");
    assert!(inventory.add_dynamic_group(w1, "os_linux", &["os"]).expect("no circle"));
    assert!(!inventory.add_dynamic_group(w1, "os_linux", &["os"]).expect("no circle"));
    assert_eq!(inventory.group_names(w1).join(" "), "os os_linux web");
    assert_eq!(names(&inventory, &inventory.matching("os").expect("os").hosts), ["w1"]);
    assert_eq!(before.group_names(w1).join(" "), "web");
    let local = inventory.find_host("localhost").expect("always there");
    assert!(inventory.host(local).implicit);
    assert_eq!(names(&inventory, &inventory.matching("all").expect("all").hosts), ["new", "w1"]);
}

#[test]
fn splits_patterns() {
    for (pattern, expect) in [
        ("a:b", "a b"),
        ("a,b[1:2], c", "a b[1:2] c"),
        ("a[1:2]:b", "a[1:2] b"),
        ("web:&prod:!old", "web &prod !old"),
        ("fe80::1", "fe80::1"),
        ("h:22", "h:22"),
        ("a b", "a b"),
        ("", ""),
    ] {
        assert_eq!(split_pattern(pattern).join(" "), expect, "{pattern}");
    }
}

#[test]
fn limits_come_from_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("retry");
    std::fs::write(&path, "w1\n\nw2 \n").expect("written");
    let limit = read_limit(&format!("x,@{}", path.display())).expect("readable");
    assert_eq!(limit, ["x", "w1", "w2"]);
    let missing = read_limit("@/does/not/exist").expect_err("missing");
    assert_eq!(
        missing.message,
        "cannot read the limit file `/does/not/exist`: No such file or directory (os error 2)"
    );
}

#[test]
fn patterns_that_select_nothing() {
    let (inventory, _) = loaded_text("hosts", "[web]\nw1\nw2\n");
    let matched = inventory.matching("wbe").expect("a warning only");
    assert!(matched.hosts.is_empty());
    let warning = &matched.warnings[0];
    assert_eq!(warning.message, "could not match supplied host pattern, ignoring: wbe");
    assert_eq!(warning.help.as_deref(), Some("did you mean `web`?"));
    let error = inventory.matching("web[5]").expect_err("out of range");
    assert_eq!(error.message, "the pattern `web[5]` selects nothing: `web` has 2 hosts");
    assert_eq!(inventory.matching("~(").expect_err("no regex").code, "XP0516");
}

#[test]
fn ten_thousand_hosts_load_fast() {
    use std::fmt::Write;
    let mut text = String::new();
    for group in 0..250 {
        let _ = writeln!(text, "[g{group}]");
        for host in 0..40 {
            let _ = writeln!(
                text,
                "n{group}x{host} ansible_host=10.0.{group}.{host} rack={group} slot=\"{host}\""
            );
        }
        let _ = writeln!(text, "[g{group}:vars]\nimage=compute\nnumber={group}");
        let _ = writeln!(text, "[top{}:children]\ng{group}", group % 10);
    }
    let start = std::time::Instant::now();
    let (inventory, files) = loaded_text("hosts.ini", &text);
    assert_eq!(inventory.hosts().len(), 10_000);
    let mut layers = 0;
    for (id, _) in inventory.hosts() {
        layers += inventory.layers(id, &files, None).expect("layers").len();
    }
    assert_eq!(layers, 20_000);
    assert_eq!(inventory.matching("n1*:!g10").expect("hosts").hosts.len(), 4_400);
    // Ten times what an unoptimised build needs on a busy machine; catches anything quadratic.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

proptest::proptest! {
    #[test]
    fn ini_never_panics(text in "[\\[\\]a-c:=#; '\"0-9\n{}é-]{0,120}") {
        let sources = SourceMap::new();
        let file = sources.add("hosts", text);
        let templar = templar(&sources);
        let mut builder = builder::Builder::new(&templar, &sources, &LoadOptions::default());
        ini::read(&mut builder, file);
        builder.inventory.reconcile();
        for diagnostic in builder.errors.iter().chain(&builder.warnings) {
            let _ = diag::render(&sources, diagnostic, Style::Plain);
        }
    }

    #[test]
    fn patterns_never_panic(pattern in "[a-c0-9:,!&~*?\\[\\]().@ é-]{0,30}") {
        let mut inventory = Inventory::new();
        inventory.add_dynamic_host("a1", &["b"], &Default::default());
        inventory.add_dynamic_host("c", &["b", "c"], &Default::default());
        let _ = inventory.matching(&pattern);
    }
}

/// All ranges of an inventory together have a limit; the line that goes over it is named, once.
#[test]
fn ranges_have_a_limit_together() {
    let check = |text: &str, expect: &[&str]| {
        let sources = SourceMap::new();
        let file = sources.add("hosts", text);
        let templar = templar(&sources);
        let mut builder = builder::Builder::new(&templar, &sources, &LoadOptions::default());
        builder.limits = builder::Limits { hosts: 10, names: 25 };
        ini::read(&mut builder, file);
        let told: Vec<String> = builder
            .errors
            .iter()
            .map(|e| diag::render(&sources, e, Style::Plain).lines().take(2).collect::<Vec<_>>().join(""))
            .collect();
        assert_eq!(told, expect, "{text}");
        assert!(builder.inventory.hosts().len() <= 10, "{text}");
    };
    check(
        "a[1:10]\n[g]\na[1:10]\nalone\n",
        &["error[XP0502]: the inventory has more than 10 hosts --> hosts:4:1"],
    );
    check("a[1:4]\nb[1:9]\nc[1:9]\n", &["error[XP0502]: the inventory has more than 10 hosts --> hosts:2:1"]);
    check(
        "[g]\na[1:10]\n[h]\na[1:10]\n[i]\na[1:9]\n[j]\na[1:9]\n",
        &["error[XP0502]: cannot expand `a[1:9]`: all ranges together give more than 25 names --> hosts:6:1"],
    );
}

#[test]
fn toml_means_what_yaml_means() {
    let (inventory, files) = loaded_text(
        "hosts.toml",
        "[web]\nchildren = [\"front\"]\nvars = { port = 80 }\n\n[front.hosts]\nb = { rack = \"r1\" }\na = {}\n\
         \"c[1:2]\" = { load = 1.5 }\n\n[all.vars]\nready = true\n",
    );
    let web = inventory.matching("web").expect("a pattern").hosts;
    assert_eq!(names(&inventory, &web), ["b", "a", "c1", "c2"]);
    let all = inventory.find_group("all").expect("all");
    let vars = ListOptions { vars: true, ..ListOptions::default() };
    assert_eq!(
        graph_text(&inventory, all, &files, vars).expect("graph"),
        "@all:\n  |--@ungrouped:\n  |--@web:\n  |  |--@front:\n  |  |  |--b\n  |  |  |  |--{port = 80}\n\
         \u{20} |  |  |  |--{rack = r1}\n  |  |  |  |--{ready = True}\n  |  |  |--a\n  |  |  |  |--{port = 80}\n\
         \u{20} |  |  |  |--{ready = True}\n  |  |  |--c1\n  |  |  |  |--{load = 1.5}\n  |  |  |  |--{port = 80}\n\
         \u{20} |  |  |  |--{ready = True}\n  |  |  |--c2\n  |  |  |  |--{load = 1.5}\n  |  |  |  |--{port = 80}\n\
         \u{20} |  |  |  |--{ready = True}\n  |  |--{port = 80}\n  |--{ready = True}"
    );
}

#[test]
fn mistakes_in_toml_have_a_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("hosts.toml");
    std::fs::write(&path, "[web\n").expect("written");
    let sources = SourceMap::new();
    let errors = load_all(&[Source::Path(path.clone())], &sources).expect_err("no TOML");
    assert_eq!(errors[0].message, format!("the inventory `{}` is not valid TOML", path.display()));
    assert_eq!(errors[0].labels.len(), 1);
}

/// Loads several texts, each a source of its own, and says what the variable `v` is on host `h` and group `g`.
fn both(options: &LoadOptions, texts: [&str; 2]) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let given = [0, 1].map(|i| {
        let path = dir.path().join(format!("{i}.yml"));
        std::fs::write(&path, texts[i]).expect("written");
        Source::Path(path)
    });
    let sources = SourceMap::new();
    let (inventory, _) = load(&given, &templar(&sources), &sources, options).expect("valid sources");
    let host = inventory.find_host("h").expect("a host");
    let group = inventory.find_group("g").expect("a group");
    let shown = |vars: &crate::template::VarMap| crate::value::to_json_text(&vars["v"].written());
    format!("{} {}", shown(&inventory.host(host).vars), shown(&inventory.group(group).vars))
}

#[test]
fn a_later_inventory_replaces_or_extends_a_mapping() {
    let texts = [
        "g: {hosts: {h: {v: {a: 1, b: {c: 1}}}}, vars: {v: {a: 1}}}",
        "g: {hosts: {h: {v: {b: {d: 2}}}}, vars: {v: {b: 2}}}",
    ];
    assert_eq!(both(&LoadOptions::default(), texts), r#"{"b":{"d":2}} {"b":2}"#);
    let merging = LoadOptions { merge_dicts: true, ..LoadOptions::default() };
    assert_eq!(both(&merging, texts), r#"{"a":1,"b":{"c":1,"d":2}} {"a":1,"b":2}"#);
}

#[test]
fn names_of_groups_become_names_of_variables_where_a_setting_says_so() {
    let check = |group_names: GroupNames, name: &str, warnings: usize| {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hosts");
        std::fs::write(&path, "[web-1.x]\na\n").expect("written");
        let sources = SourceMap::new();
        let options = LoadOptions { group_names, ..LoadOptions::default() };
        let given = [Source::Path(path)];
        let (inventory, found) = load(&given, &templar(&sources), &sources, &options).expect("valid sources");
        assert!(inventory.find_group(name).is_some(), "{name}");
        assert_eq!(found.len(), warnings, "{group_names:?}");
    };
    check(GroupNames::Kept, "web-1.x", 1);
    check(GroupNames::KeptSilently, "web-1.x", 0);
    check(GroupNames::Replaced, "web_1_x", 1);
    check(GroupNames::ReplacedSilently, "web_1_x", 0);
}

#[test]
fn files_of_a_directory_that_are_no_inventories() {
    let check = |ignored: Ignored, expect: &[&str]| {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, host) in [("hosts", "plain"), ("b.ini", "ini"), ("c.bak", "bak"), ("d", "other")] {
            std::fs::write(dir.path().join(name), format!("{host}\n")).expect("written");
        }
        let sources = SourceMap::new();
        let options = LoadOptions { ignored, ..LoadOptions::default() };
        let given = [Source::Path(dir.path().to_owned())];
        let (inventory, _) = load(&given, &templar(&sources), &sources, &options).expect("valid sources");
        let hosts: Vec<String> = inventory.hosts().map(|(_, host)| host.name.to_string()).collect();
        assert_eq!(hosts, expect);
    };
    check(Ignored::default(), &["ini", "other", "plain"]);
    check(Ignored { endings: Some(vec![".bak".into()]), patterns: Vec::new() }, &["ini", "other", "plain"]);
    check(Ignored { endings: None, patterns: vec!["ho".into()] }, &["ini", "other"]);
}

#[test]
fn encrypted_inventories_need_the_password() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("hosts.inventory");
    std::fs::write(&path, "$ANSIBLE_VAULT;1.1;AES256\n6162\n").expect("written");
    let sources = SourceMap::new();
    let given = [Source::Path(path)];
    let errors = load(&given, &templar(&sources), &sources, &LoadOptions::default()).expect_err("locked");
    assert_eq!(errors[0].code, "XP0511", "{errors:?}");
}
