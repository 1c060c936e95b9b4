//! ssh_config compared with what the system's own client makes of it (`ssh -G`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use xplay::transport::ssh_config::{
    Arguments, ConfigText, Files, Person, Query, Settings, Trust, World, assemble, evaluate, resolve,
};

use crate::support::{find_program, skip};

/// The files of this machine.
struct Disk;

impl World for Disk {
    fn file(&self, path: &Path, _trust: Trust) -> Result<Option<Arc<ConfigText>>, String> {
        Ok(std::fs::read_to_string(path).ok().map(|text| Arc::new(ConfigText::parse(&text))))
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        xplay::template::glob(pattern)
    }

    fn succeeds(&self, command: &str) -> bool {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        shell.status().unwrap().success()
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

type Values = BTreeMap<String, Vec<String>>;

/// The keywords that are compared.
const COMPARED: [&str; 27] = [
    "addkeystoagent",
    "addressfamily",
    "certificatefile",
    "ciphers",
    "connecttimeout",
    "forwardagent",
    "globalknownhostsfile",
    "hashknownhosts",
    "hostkeyalgorithms",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "kbdinteractiveauthentication",
    "kexalgorithms",
    "macs",
    "passwordauthentication",
    "port",
    "preferredauthentications",
    "proxycommand",
    "proxyjump",
    "serveralivecountmax",
    "serveraliveinterval",
    "stricthostkeychecking",
    "user",
    "userknownhostsfile",
];

struct Client {
    person: Person,
    usual: Values,
    folder: tempfile::TempDir,
}

impl Client {
    fn new(test: &str) -> Option<Self> {
        if find_program("ssh").is_none() {
            skip(test, "there is no ssh");
            return None;
        }
        let said = |program: &str, args: &[&str]| {
            let output = Command::new(program).args(args).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let user = said("id", &["-un"]);
        // OpenSSH takes the home of the account, not of the environment.
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
        let home = passwd.lines().find_map(|l| {
            let fields: Vec<&str> = l.split(':').collect();
            (fields.first() == Some(&&*user)).then(|| PathBuf::from(fields[5]))
        });
        let uid = said("id", &["-u"]).parse().unwrap();
        let person = Person { user, uid, home, machine: said("uname", &["-n"]) };
        let mut client = Self { person, usual: Values::new(), folder: tempfile::tempdir().unwrap() };
        client.usual = client.theirs("", "plain", &[]).unwrap();
        Some(client)
    }

    fn theirs(&self, text: &str, host: &str, args: &[&str]) -> Option<Values> {
        let file = self.folder.path().join("config");
        std::fs::write(&file, text).unwrap();
        let mut ssh = Command::new("ssh");
        ssh.arg("-G").arg("-F").arg(&file).args(args).arg(host).stdin(Stdio::null());
        let output = ssh.output().unwrap();
        if !output.status.success() {
            return None;
        }
        let mut values = Values::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
            let keyword = keyword.to_ascii_lowercase();
            if COMPARED.contains(&&*keyword) {
                values.entry(keyword).or_default().push(value.to_owned());
            }
        }
        Some(values)
    }

    fn ours(&self, host: &str, args: &[&str]) -> Result<Values, String> {
        let arguments = Arguments::parse(args.iter().map(ToString::to_string))?;
        let query = Query {
            name: host,
            person: &self.person,
            world: &Disk,
            options: &arguments.options,
            files: &Files::Only(self.folder.path().join("config")),
            system: None,
            fallback: &[],
        };
        let settings = evaluate(&query)?;
        let resolved = resolve(&settings, &query)?;
        let mut values = self.usual.clone();
        for keyword in COMPARED {
            let found = settings.all(keyword);
            if !found.is_empty() {
                values.insert(keyword.to_owned(), self.written(keyword, &settings, found));
            }
        }
        values.insert("hostname".into(), vec![settings.address.clone()]);
        if settings.get("userknownhostsfile").is_some_and(|f| f != "none") {
            let own = resolved.known_hosts.len() - global_files(&settings);
            let files: Vec<String> =
                resolved.known_hosts[..own].iter().map(|f| f.display().to_string()).collect();
            values.insert("userknownhostsfile".into(), vec![files.join(" ")]);
        }
        if let (Some(_), Some(agent)) = (settings.get("identityagent"), &resolved.agent) {
            values.insert("identityagent".into(), vec![agent.display().to_string()]);
        }
        for keyword in ["proxyjump", "proxycommand"] {
            values.retain(|k, v| k != keyword || v != &["none"]);
        }
        Ok(values)
    }

    /// Returns values as the client prints them.
    fn written(&self, keyword: &str, settings: &Settings, found: &[String]) -> Vec<String> {
        let first = &found[0];
        let one = |text: &str| vec![text.to_owned()];
        let seconds = |time: &str| {
            let units = [("1m", "60"), ("1h30m", "5400"), ("2", "2"), ("15", "15"), ("none", "none")];
            units.iter().find(|(text, _)| *text == time).map_or(time, |(_, secs)| secs).to_owned()
        };
        match keyword {
            "ciphers" | "kexalgorithms" | "macs" | "hostkeyalgorithms" => {
                let query = if keyword == "kexalgorithms" { "kex" } else { keyword };
                let query = match query {
                    "ciphers" => "cipher",
                    "macs" => "mac",
                    "hostkeyalgorithms" => "HostKeyAlgorithms",
                    other => other,
                };
                let all = Command::new("ssh").args(["-Q", query]).output().unwrap();
                let all = String::from_utf8(all.stdout).unwrap();
                let all: Vec<&str> = all.lines().collect();
                let usual: Vec<&str> = self.usual[keyword][0].split(',').collect();
                vec![assemble(first, &usual, &all).unwrap().join(",")]
            }
            "stricthostkeychecking" => one(match &**first {
                "yes" => "true",
                "no" => "false",
                other => other,
            }),
            "addkeystoagent" => one(match &**first {
                "yes" => "true",
                "no" => "false",
                "confirm 1m" => "confirm 60",
                other => other,
            }),
            "connecttimeout" | "serveraliveinterval" => vec![seconds(first)],
            // The client shows an address in its short form.
            "proxyjump" => one(first.trim_start_matches("ssh://")),
            "hostkeyalias" => vec![first.to_ascii_lowercase()],
            "globalknownhostsfile" | "userknownhostsfile" => vec![found.join(" ")],
            "identityfile" | "certificatefile" => found.to_vec(),
            "proxycommand" if settings.get("proxyjump").is_some_and(|j| j != "none") => one("none"),
            _ => vec![first.clone()],
        }
    }

    /// Compares both on a configuration; a mistake for one is a mistake for the other.
    fn compare(&self, text: &str, host: &str, args: &[&str]) {
        let theirs = self.theirs(text, host, args);
        let ours = self.ours(host, args);
        match (theirs, ours) {
            (Some(theirs), Ok(ours)) => assert_eq!(ours, theirs, "{host} {args:?} with\n{text}"),
            (None, Err(_)) => {}
            (Some(_), Err(e)) => panic!("only we refuse {host} {args:?}: {e}\n{text}"),
            (None, Ok(_)) => panic!("only ssh refuses {host} {args:?} with\n{text}"),
        }
    }
}

fn global_files(settings: &Settings) -> usize {
    match settings.all("globalknownhostsfile") {
        [] => 2,
        [none] if none == "none" => 0,
        files => files.len(),
    }
}

#[test]
fn written_configurations() {
    let Some(client) = Client::new("ssh_config::written_configurations") else { return };
    let extra = client.folder.path().join("extra");
    std::fs::create_dir(&extra).unwrap();
    std::fs::write(extra.join("a"), "Port 5\nHost mn1\n User fromextra\n").unwrap();
    std::fs::write(extra.join("b"), "Host *\n HostKeyAlias Alias\nMatch host mn1\n Port 99\n").unwrap();
    let include = format!("Host mn*\n Include {}/[ab]\n Port 7\nHost *\n User last\n", extra.display());
    let texts = [
        "",
        "Port 22\nHost mn1\n Port 23\n User bob\n",
        "Host mn1 sn?\n Port 23\nHost *\n Port 24\n User \"a b\"\n",
        "Host * !mn1\n User x\nHost !mn1 *\n Port 5\n",
        "HostName=%h.Cluster\nPort = 2222\n",
        "Host mn1\n HostName MN1.Cluster\nHost *.cluster\n User second\nMatch host *.cluster\n Port 5\n",
        "Host mn1\n HostName mn1.cluster\nMatch final host *.cluster\n Port 5\nHost *.cluster\n User second\n",
        "Match originalhost mn1 user root\n Port 5\nMatch !originalhost mn1\n Port 6\n",
        "Match host mn1 exec \"test %h = mn1\"\n Port 5\nMatch exec \"test %n = sn1\"\n Port 6\n",
        "Match exec false\n Port 5\nMatch !exec false\n Port 6\n",
        "Match all\n Port 5\n",
        "Match canonical\n Port 5\nMatch all\n Port 6\n",
        "Match localuser root,nobody\n User local\nMatch localuser !root,*\n Port 3\n",
        "Match host MN1\n Port 4\n",
        "IdentityFile ~/.ssh/a\nHost mn1\n IdentityFile b\n IdentityFile \"c d\"\nHost *\n IdentityFile ~/.ssh/a\n",
        "IdentityFile none\nIdentitiesOnly yes\nCertificateFile x\nCertificateFile y\n",
        "IdentityAgent ~/agent.%h\nForwardAgent yes\n",
        "IdentityAgent /a/%r-%p\nForwardAgent no\n",
        "UserKnownHostsFile ~/kh_%h /b\nGlobalKnownHostsFile /x /y\n",
        "UserKnownHostsFile /dev/null\nStrictHostKeyChecking off\n",
        "StrictHostKeyChecking accept-new\nHashKnownHosts yes\nHostKeyAlias KEYS\n",
        "StrictHostKeyChecking ask\nStrictHostKeyChecking no\n",
        "ProxyJump ann@gate:23,inner\n",
        "ProxyJump none\nProxyCommand nc %h %p\n",
        "ProxyCommand nc \"%h\" %p # no comment\nProxyJump gate\n",
        "ProxyJump ssh://ann@gate:23\n",
        "Ciphers +aes128-cbc\nMACs -*sha1*\nKexAlgorithms ^curve25519-sha256\n",
        "Ciphers aes256-ctr\nHostKeyAlgorithms ssh-ed25519,rsa-sha2-*\nKexAlgorithms -*nistp*,*group*\n",
        "HostKeyAlgorithms +ssh-rsa\nMACs hmac-sha2-256\n",
        "ConnectTimeout 1h30m\nServerAliveInterval 1m\nServerAliveCountMax 7\n",
        "ConnectTimeout none\nServerAliveInterval 15\nAddKeysToAgent confirm 1m\n",
        "AddKeysToAgent yes\nAddressFamily inet6\nPreferredAuthentications publickey,password\n",
        "PasswordAuthentication no\nChallengeResponseAuthentication no\n",
        "port 5 # comment\nuser\tann\r\n\n   # more\n",
        "User 'it''s'\nHostKeyAlias a\\\"b\n",
        "IgnoreUnknown frob*\nFrobnicate yes\nPort 3\n",
        "Tag big\nPort 3\n",
        &include,
        // Mistakes.
        "Port 0\n",
        "Port many\n",
        "Port\n",
        "User \"x\n",
        "IdentitiesOnly perhaps\n",
        "Match\n",
        "Match host\n",
        "Match all host x\n",
        "Match moon full\n",
        "ConnectTimeout x\n",
        "ProxyJump a:b\n",
        "StrictHostKeyChecking never\n",
        "AddKeysToAgent yes 5m\n",
        "Host x\n Port 0\n",
    ];
    // Newer keywords are mistakes for older clients.
    let knows_tags = client.theirs("Tag x\n", "mn1", &[]).is_some();
    for text in texts.iter().filter(|t| knows_tags || !t.starts_with("Tag")) {
        for host in ["mn1", "sn1", "MN1"] {
            client.compare(text, host, &[]);
        }
    }
    let arguments: [&[&str]; 8] = [
        &["-p", "99", "-l", "cmd"],
        &["-oPort=98", "-o", "User cmd", "-o", "Port=97"],
        &["-oIdentityFile=/k1", "-o", "IdentityFile=/k2", "-A", "-4"],
        &["-J", "j1,ann@j2:5"],
        &["-o", "ProxyCommand=nc %h", "-o", "ProxyJump=x"],
        &["-o", "UserKnownHostsFile=/a /b", "-o", "StrictHostKeyChecking=no"],
        &["-o", "Port=none"],
        &["-o", "Frob=1"],
    ];
    for args in arguments {
        client.compare(texts[1], "mn1", args);
    }
}

/// Lines that a generated configuration is made of.
const PIECES: [&str; 24] = [
    "Host mn1",
    "Host *",
    "Host sn? !sn2 mn*",
    "Match host mn1",
    "Match user bob",
    "Match originalhost sn1,mn1 !user bob",
    "Match final",
    "Match !final host *.c",
    "Match exec true",
    "Match all",
    "Port 1",
    "Port 2",
    "User bob",
    "User carol",
    "HostName %h.c",
    "HostName other",
    "IdentityFile a",
    "IdentityFile b",
    "ProxyJump gate",
    "ProxyCommand nc %h",
    "UserKnownHostsFile /a /b",
    "StrictHostKeyChecking no",
    "ServerAliveInterval 15",
    "Ciphers ^aes128-ctr",
];

#[test]
fn generated_configurations() {
    let Some(client) = Client::new("ssh_config::generated_configurations") else { return };
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % limit
    };
    for _ in 0..150 {
        let count = 3 + next(12);
        let lines: Vec<&str> = (0..count).map(|_| PIECES[next(PIECES.len())]).collect();
        client.compare(&(lines.join("\n") + "\n"), ["mn1", "sn1", "sn2"][next(3)], &[]);
    }
}
