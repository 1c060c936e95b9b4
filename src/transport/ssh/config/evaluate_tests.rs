//! Files and options in, settings out; no file of this machine is read.

use std::collections::HashMap;
use std::sync::Mutex;

use super::*;
use crate::transport::ssh::config::{Arguments, resolve};

#[derive(Default)]
struct Fake {
    files: HashMap<PathBuf, Arc<ConfigText>>,
    ran: Mutex<Vec<String>>,
}

impl Fake {
    fn new(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| (PathBuf::from(path), Arc::new(ConfigText::parse(text))));
        Self { files: files.collect(), ..Self::default() }
    }
}

impl World for Fake {
    fn file(&self, path: &Path, _trust: Trust) -> Result<Option<Arc<ConfigText>>, String> {
        Ok(self.files.get(path).cloned())
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let fits = |p: &&PathBuf| crate::template::fnmatch(&pattern.to_string_lossy(), &p.to_string_lossy());
        let mut found: Vec<PathBuf> = self.files.keys().filter(fits).cloned().collect();
        found.sort();
        found
    }

    fn succeeds(&self, command: &str) -> bool {
        self.ran.lock().unwrap().push(command.to_owned());
        command.starts_with("true")
    }

    fn env(&self, name: &str) -> Option<String> {
        (name == "SITE").then(|| "berlin".into())
    }
}

fn person() -> Person {
    Person { user: "ann".into(), uid: 1000, home: Some("/home/ann".into()), machine: "desk.example".into() }
}

fn settings(world: &Fake, name: &str, args: &str) -> Result<(Settings, Resolvedly), String> {
    let person = person();
    let arguments = Arguments::parse(args.split_whitespace().map(str::to_owned))?;
    let usual = Files::Usual;
    let query = Query {
        name,
        person: &person,
        world,
        options: &arguments.options,
        files: arguments.files.as_ref().unwrap_or(&usual),
        system: Some(Path::new("/etc/ssh/ssh_config")),
        fallback: &[],
    };
    let settings = evaluate(&query)?;
    let resolved = resolve(&settings, &query)?;
    Ok((settings, resolved))
}

type Resolvedly = crate::transport::ssh::config::Resolved;

const OWN: &str = "/home/ann/.ssh/config";
const SYSTEM: &str = "/etc/ssh/ssh_config";

/// Checks the named keywords for a host, with only the user's own file.
fn check(text: &str, name: &str, expect: &str) {
    check_with(&[(OWN, text)], name, "", expect);
}

fn check_with(files: &[(&str, &str)], name: &str, args: &str, expect: &str) {
    let world = Fake::new(files);
    let shown = match settings(&world, name, args) {
        Ok((settings, _)) => {
            let values = settings.values.iter().filter(|(k, _)| **k != "hostname");
            let mut parts: Vec<String> = values.map(|(k, v)| format!("{k}={}", v.join("|"))).collect();
            if settings.address != name {
                parts.insert(0, format!("@{}", settings.address));
            }
            parts.extend(settings.warnings);
            parts.join(" ")
        }
        Err(e) => e,
    };
    assert_eq!(shown, expect, "{name} {args} with {files:?}");
}

#[test]
fn the_first_value_counts() {
    check("Port 22\nHost mn1\n Port 23\n User bob", "mn1", "port=22 user=bob");
    check("Host mn1\n Port 23\nHost *\n Port 22\n User bob", "mn1", "port=23 user=bob");
    check("Host mn1\n Port 23\nHost *\n Port 22", "mn2", "port=22");
    check("IdentityFile a\nHost *\nIdentityFile b\nIdentityFile a", "mn1", "identityfile=a|b");
    check_with(&[(OWN, "Port 1\n"), (SYSTEM, "Port 2\nUser sys")], "mn1", "", "port=1 user=sys");
    check_with(&[(OWN, "Port 1\nUser x")], "mn1", "-p 3 -o User=me", "port=3 user=me");
    check_with(&[(OWN, "Port 1"), ("/cfg", "User x")], "mn1", "-F /cfg", "user=x");
    check_with(&[(OWN, "Port 1")], "mn1", "-F none", "");
    check_with(&[], "mn1", "-F /cfg", "there is no ssh configuration file /cfg");
    check("ProxyJump a\nProxyCommand b %h", "mn1", "proxycommand=none proxyjump=a");
    check("ProxyCommand b %h\nProxyJump a", "mn1", "proxycommand=b %h");
    check("ProxyJump none\nProxyCommand b", "mn1", "proxycommand=b proxyjump=none");
}

#[test]
fn hosts_are_chosen_by_patterns() {
    let text = "Host node* !node17 [x]\n Port 5\nHost ?n1\n Port 6";
    check(text, "node1", "port=5");
    check(text, "node17", "");
    check(text, "mn1", "port=6");
    check(text, "Mn1", "@mn1 port=6");
    check("Host MN1\n Port 6", "mn1", "");
    check("Host !mn1\n Port 6", "mn2", "");
    check("Host \"\"", "mn1", "/home/ann/.ssh/config:1: a host pattern is empty");
}

#[test]
fn addresses() {
    check("Host sn1\n HostName %h.Cluster", "sn1", "@sn1.cluster");
    check("Host sn1\n HostName 10.0.0.1", "sn1", "@10.0.0.1");
    check("HostName 100%%", "sn1", "@100%");
    let world = Fake::new(&[(OWN, "HostName a;b")]);
    assert_eq!(settings(&world, "sn1", "").unwrap_err(), "\"a;b\" is no name of a host");
}

#[test]
fn criteria() {
    check("Match host mn1\n Port 5", "mn1", "port=5");
    check("Match host MN*,!mn2\n Port 5", "mn1", "port=5");
    check("Match host mn*,!mn2\n Port 5", "mn2", "");
    check("HostName x\nMatch host mn1\n Port 5\nMatch originalhost mn1\n User o", "mn1", "@x user=o");
    check("Match user ann localuser ann\n Port 5", "mn1", "port=5");
    check("User bob\nMatch user ann\n Port 5\nMatch !user ann\n Port 6", "mn1", "port=6 user=bob");
    check("Match all\n Port 5", "mn1", "port=5");
    check("Match !all\n Port 5", "mn1", "");
    check("Match host=mn1 user=ann\n Port 5", "mn1", "port=5");
    check("Tag big\nMatch tagged b*\n Port 5", "mn1", "port=5 tag=big");
    check("Match canonical\n Port 5\nMatch !canonical\n User n", "mn1", "user=n");
    let wrong = |text: &str, why: &str| check(text, "mn1", &format!("/home/ann/.ssh/config:1: {why}"));
    wrong("Match host a all", "\"all\" stands alone in a Match line");
    wrong("Match all host a", "\"all\" stands alone in a Match line");
    wrong("Match host", "Match host needs an argument");
    wrong("Match moon full", "\"moon\" is no criterion of Match");
    wrong("Match localnetwork 10.0.0.0/8", "Match localnetwork is not supported; use \"Match exec\" instead");
    wrong("Match # x", "Match needs a criterion");
}

#[test]
fn a_last_pass_sees_the_final_address() {
    let text =
        "Match final host *.cluster\n Port 5\nHost sn1\n HostName sn1.cluster\nHost *.cluster\n User c";
    check(text, "sn1", "@sn1.cluster port=5 user=c");
    check("Match !final\n Port 5\nMatch final\n Port 6\n User f", "sn1", "port=5 user=f");
}

#[test]
fn commands_decide_only_what_is_open() {
    let world = Fake::new(&[(
        OWN,
        "Match host sn1 exec \"true %h %n %p %r %u %L\"\n User yes\nMatch host other exec true\n Port 1\n\
         Match !exec false\n Port 7\nMatch exec false exec true\n Port 8\nInclude /never\n",
    )]);
    let (found, _) = settings(&world, "sn1", "").unwrap();
    assert_eq!((found.get("user"), found.get("port")), (Some("yes"), Some("7")));
    assert_eq!(*world.ran.lock().unwrap(), ["true sn1 sn1 22 ann ann desk", "false", "false"]);
}

#[test]
fn files_include_others() {
    let files = [
        (OWN, "Host sn*\n Include site.d/* ~/more\nHost *\n User last"),
        ("/home/ann/.ssh/site.d/1", "Port 5\nHost mn1\n Port 6"),
        ("/home/ann/.ssh/site.d/2", "User two\nPort 7"),
        ("/home/ann/more", "HostKeyAlias m"),
        (SYSTEM, "Include sys.d/*.conf\nCompression yes"),
        ("/etc/ssh/sys.d/a.conf", "Include /etc/ssh/sys.d/b.conf\nIdentitiesOnly yes"),
        ("/etc/ssh/sys.d/b.conf", "ConnectTimeout 1m"),
    ];
    check_with(&files, "sn1", "", "connecttimeout=1m hostkeyalias=m identitiesonly=yes port=5 user=two");
    check_with(&files, "mn1", "", "connecttimeout=1m identitiesonly=yes user=last");
    check_with(&[(OWN, "Include ${SITE}"), ("/home/ann/.ssh/berlin", "Port 9")], "x", "", "port=9");
    check_with(
        &[(SYSTEM, "Include ~/x")],
        "x",
        "",
        "/etc/ssh/ssh_config:1: \"~/x\" begins with a home directory in a system's file",
    );
    check_with(
        &[(OWN, "Include ${NONE}")],
        "x",
        "",
        "/home/ann/.ssh/config:1: environment variable \"NONE\" has no value",
    );
    let circle = settings(&Fake::new(&[(OWN, "Include config")]), "x", "").unwrap_err();
    assert_eq!(
        circle,
        "/home/ann/.ssh/config:1: ssh configuration files include one another too often at /home/ann/.ssh/config"
    );
}

#[test]
fn mistakes_are_named_with_their_place() {
    let wrong = |text: &str, why: &str| check(text, "mn1", &format!("/home/ann/.ssh/config:2: {why}"));
    wrong("\nPort 0", "\"0\" is no value of port");
    wrong("\nPort", "\"port\" needs an argument");
    wrong("#\nPort \"1", "a quotation mark is missing");
    wrong("\nIdentitiesOnly maybe", "\"maybe\" is no value of identitiesonly");
    wrong("\nConnectTimeout soon", "\"soon\" is no value of connecttimeout");
    wrong("\nProxyJump a:b", "\"a:b\" is no value of proxyjump");
    wrong("\nUserKnownHostsFile a none", "\"none\" stands alone in userknownhostsfile");
    check_with(&[], "mn1", "-o Prot=1", "-o \"Prot=1\": OpenSSH knows no such option");
    check_with(&[], "mn1", "-o Host=1", "ssh option host=1: \"host\" is only for files");
    // A line that does not count is read all the same.
    wrong("Host x\nPort 0", "\"0\" is no value of port");
}

#[test]
fn what_we_do_not_honour_is_told_where_it_counts() {
    let text = "Host a\n LocalForward 1 x:2\nHost b\n Tunnel no\n Frobnicate yes\nHost c\n IgnoreUnknown fro*\n Frobnicate x";
    check(text, "b", "tunnel=no /home/ann/.ssh/config:5: frobnicate is no known keyword and ignored");
    check(
        "Host a\n LocalForward 1 x:2",
        "a",
        "localforward=1|x:2 /home/ann/.ssh/config:2: localforward is not supported and ignored",
    );
    check("IgnoreUnknown fro*\nFrobnicate yes", "c", "ignoreunknown=fro*");
    check("ControlMaster auto\nSendEnv LANG LC_*\nGSSAPIAuthentication yes\nProtocol 2", "c", "");
}

#[test]
fn values_become_what_a_connection_needs() {
    let check = |text: &str, shown: fn(&Resolvedly) -> String, expect: &str| {
        let world = Fake::new(&[(OWN, text)]);
        let found = settings(&world, "sn1", "").map_or_else(|e| e, |(_, resolved)| shown(&resolved));
        assert_eq!(found, expect, "{text}");
    };
    let keys: fn(&Resolvedly) -> String = |r| {
        let one = |k: &crate::transport::ssh::config::KeyFile| k.path.display().to_string();
        r.keys.iter().map(one).collect::<Vec<_>>().join(" ")
    };
    check("", keys, "/home/ann/.ssh/id_ed25519 /home/ann/.ssh/id_ecdsa /home/ann/.ssh/id_rsa");
    check("IdentityFile ~/k_%h_%r_${SITE}", keys, "/home/ann/k_sn1_ann_berlin");
    check("IdentityFile none", keys, "");
    check("IdentityFile %z", keys, "\"%z\" in \"%z\" is unknown");
    let known: fn(&Resolvedly) -> String = |r| format!("{:?}", r.known_hosts);
    check("UserKnownHostsFile ~/a /b\nGlobalKnownHostsFile none", known, "[\"/home/ann/a\", \"/b\"]");
    check("UserKnownHostsFile none\nGlobalKnownHostsFile /g /h", known, "[\"/g\", \"/h\"]");
    let agent: fn(&Resolvedly) -> String = |r| format!("{:?} {:?}", r.agent, r.forward_agent);
    check("IdentityAgent ~/sock", agent, "Some(\"/home/ann/sock\") No");
    check("IdentityAgent $SITE\nForwardAgent yes", agent, "Some(\"berlin\") Yes(\"berlin\")");
    check("IdentityAgent none\nForwardAgent yes", agent, "None No");
    check("ForwardAgent /sock", agent, "None Yes(\"/sock\")");
    let proxy: fn(&Resolvedly) -> String = |r| format!("{:?}", r.proxy);
    check("ProxyCommand nc %h %p # x", proxy, "Command(\"nc sn1 22 # x\")");
    check("ProxyJump none", proxy, "Direct");
    let times: fn(&Resolvedly) -> String =
        |r| format!("{:?} {:?} {}", r.connect_timeout, r.alive, r.alive_count);
    check("", times, "10s Some(15s) 4");
    check("ConnectTimeout 1m30\nServerAliveInterval 0\nServerAliveCountMax 2", times, "90s None 2");
    let methods: fn(&Resolvedly) -> String = |r| format!("{:?}", r.methods);
    check(
        "PreferredAuthentications publickey,keyboard-interactive\nPubkeyAuthentication no",
        methods,
        "Methods { public_key: false, password: false, keyboard: true }",
    );
    let added: fn(&Resolvedly) -> String = |r| format!("{:?}", r.add_keys);
    check("AddKeysToAgent confirm 5m", added, "Yes { confirm: true, lifetime: Some(300) }");
    check("AddKeysToAgent 1h", added, "Yes { confirm: false, lifetime: Some(3600) }");
    check("AddKeysToAgent ask", added, "No");
    check("AddKeysToAgent yes 5m", added, "/home/ann/.ssh/config:1: \"5m\" is no value of addkeystoagent");
}

#[test]
fn times() {
    for (text, expect) in
        [("0", Some(0.0)), ("1h30m", Some(5400.0)), ("1w2d3s", Some(777_603.0)), ("0.5", Some(0.5))]
    {
        assert_eq!(seconds(text), expect, "{text}");
    }
    for text in ["", "x", "-1", "m", "1y", "99999999999"] {
        assert_eq!(seconds(text), None, "{text}");
    }
}
