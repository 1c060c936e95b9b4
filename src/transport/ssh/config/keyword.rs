//! The keywords of ssh_config: how each is written, and what we make of it.

/// How the arguments of a keyword are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One word; the first one counts.
    Word,
    /// One of these words, with the word that it stands for.
    Choice(&'static [(&'static str, &'static str)]),
    Time,
    Number,
    Port,
    /// Words; the first line counts.
    List,
    /// One word; every line counts.
    Each,
    /// The rest of the line, for a shell.
    Command,
    Jump,
    /// `yes`, `no`, or where an agent is.
    Agent,
    /// `yes`, `no`, `ask`, `confirm`, each with a time or a time alone.
    AddKeys,
    Host,
    Match,
    Include,
    IgnoreUnknown,
}

/// What becomes of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Honoured,
    /// It makes no difference to what we do.
    Harmless,
    /// It would make a difference unless it has one of these values: there is a warning.
    Missing(&'static [&'static str]),
}

/// One keyword.
#[derive(Debug)]
pub(super) struct Keyword {
    pub name: &'static str,
    pub shape: Shape,
    pub r#use: Use,
}

const FLAG: Shape = Shape::Choice(&[("true", "yes"), ("false", "no"), ("yes", "yes"), ("no", "no")]);
const STRICT: Shape = Shape::Choice(&[
    ("true", "yes"),
    ("false", "no"),
    ("yes", "yes"),
    ("no", "no"),
    ("ask", "ask"),
    ("off", "no"),
    ("accept-new", "accept-new"),
]);
const FAMILY: Shape = Shape::Choice(&[("inet", "inet"), ("inet6", "inet6"), ("any", "any")]);
const PUBLIC_KEY: Shape = Shape::Choice(&[
    ("true", "yes"),
    ("false", "no"),
    ("yes", "yes"),
    ("no", "no"),
    ("unbound", "yes"),
    ("host-bound", "yes"),
]);

const OFF: Use = Use::Missing(&["no", "none", "false"]);
const SET: Use = Use::Missing(&["none"]);

const fn honoured(name: &'static str, shape: Shape) -> Keyword {
    Keyword { name, shape, r#use: Use::Honoured }
}

const fn harmless(name: &'static str) -> Keyword {
    Keyword { name, shape: Shape::Command, r#use: Use::Harmless }
}

const fn missing(name: &'static str, r#use: Use) -> Keyword {
    Keyword { name, shape: Shape::List, r#use }
}

static KEYWORDS: &[Keyword] = &[
    honoured("host", Shape::Host),
    honoured("match", Shape::Match),
    honoured("include", Shape::Include),
    honoured("ignoreunknown", Shape::IgnoreUnknown),
    honoured("tag", Shape::Word),
    honoured("hostname", Shape::Word),
    honoured("port", Shape::Port),
    honoured("user", Shape::Word),
    honoured("identityfile", Shape::Each),
    honoured("identitiesonly", FLAG),
    honoured("identityagent", Shape::Word),
    honoured("certificatefile", Shape::Each),
    honoured("proxyjump", Shape::Jump),
    honoured("proxycommand", Shape::Command),
    honoured("userknownhostsfile", Shape::List),
    honoured("globalknownhostsfile", Shape::List),
    honoured("stricthostkeychecking", STRICT),
    honoured("hostkeyalias", Shape::Word),
    honoured("hashknownhosts", FLAG),
    honoured("hostkeyalgorithms", Shape::Word),
    honoured("kexalgorithms", Shape::Word),
    honoured("ciphers", Shape::Word),
    honoured("macs", Shape::Word),
    honoured("pubkeyacceptedalgorithms", Shape::Word),
    honoured("connecttimeout", Shape::Time),
    honoured("serveraliveinterval", Shape::Time),
    honoured("serveralivecountmax", Shape::Number),
    honoured("forwardagent", Shape::Agent),
    honoured("addkeystoagent", Shape::AddKeys),
    honoured("pubkeyauthentication", PUBLIC_KEY),
    honoured("passwordauthentication", FLAG),
    honoured("kbdinteractiveauthentication", FLAG),
    honoured("preferredauthentications", Shape::Word),
    honoured("addressfamily", FAMILY),
    // One connection per host is shared and kept, nobody is asked, no terminal is taken, nothing is shown.
    harmless("batchmode"),
    harmless("canonicaldomains"),
    harmless("canonicalizefallbacklocal"),
    harmless("canonicalizemaxdots"),
    harmless("canonicalizepermittedcnames"),
    harmless("channeltimeout"),
    harmless("checkhostip"),
    harmless("clearallforwardings"),
    harmless("compression"),
    harmless("compressionlevel"),
    harmless("connectionattempts"),
    harmless("controlmaster"),
    harmless("controlpath"),
    harmless("controlpersist"),
    harmless("enableescapecommandline"),
    harmless("enablesshkeysign"),
    harmless("escapechar"),
    harmless("exitonforwardfailure"),
    harmless("fingerprinthash"),
    harmless("forkafterauthentication"),
    harmless("forwardx11timeout"),
    harmless("gatewayports"),
    // Other ways of logging in are tried as well; a host that takes nothing else says so.
    harmless("gssapiauthentication"),
    harmless("gssapidelegatecredentials"),
    harmless("gssapikeyexchange"),
    harmless("gssapirenewalforcesrekey"),
    harmless("gssapitrustdns"),
    harmless("gssapiclientidentity"),
    harmless("gssapiserveridentity"),
    harmless("gssapikexalgorithms"),
    harmless("hostbasedacceptedalgorithms"),
    harmless("hostbasedauthentication"),
    harmless("ipqos"),
    harmless("kbdinteractivedevices"),
    harmless("localcommand"),
    harmless("loglevel"),
    harmless("logverbose"),
    harmless("nohostauthenticationforlocalhost"),
    harmless("numberofpasswordprompts"),
    harmless("obscurekeystroketiming"),
    harmless("permitremoteopen"),
    harmless("proxyusefdpass"),
    harmless("protocol"),
    harmless("rekeylimit"),
    harmless("requesttty"),
    harmless("requiredrsasize"),
    harmless("securitykeyprovider"),
    harmless("sendenv"),
    harmless("sessiontype"),
    harmless("stdinnull"),
    harmless("streamlocalbindmask"),
    harmless("streamlocalbindunlink"),
    harmless("syslogfacility"),
    harmless("tcpkeepalive"),
    harmless("tunneldevice"),
    harmless("updatehostkeys"),
    harmless("versionaddendum"),
    harmless("visualhostkey"),
    harmless("warnweakcrypto"),
    harmless("xauthlocation"),
    harmless("forwardx11trusted"),
    missing("bindaddress", SET),
    missing("bindinterface", SET),
    missing("canonicalizehostname", OFF),
    missing("casignaturealgorithms", SET),
    missing("dynamicforward", SET),
    missing("forwardx11", OFF),
    missing("knownhostscommand", SET),
    missing("localforward", SET),
    missing("permitlocalcommand", OFF),
    missing("pkcs11provider", SET),
    missing("refuseconnection", SET),
    missing("remotecommand", SET),
    missing("remoteforward", SET),
    missing("revokedhostkeys", SET),
    missing("setenv", SET),
    missing("tunnel", OFF),
    missing("verifyhostkeydns", OFF),
];

/// Other names of keywords.
const ALIASES: [(&str, &str); 9] = [
    ("challengeresponseauthentication", "kbdinteractiveauthentication"),
    ("skeyauthentication", "kbdinteractiveauthentication"),
    ("tisauthentication", "kbdinteractiveauthentication"),
    ("dsaauthentication", "pubkeyauthentication"),
    ("identityfile2", "identityfile"),
    ("keepalive", "tcpkeepalive"),
    ("hostbasedkeytypes", "hostbasedacceptedalgorithms"),
    ("pubkeyacceptedkeytypes", "pubkeyacceptedalgorithms"),
    ("smartcarddevice", "pkcs11provider"),
];

/// Finds a keyword by its name in lower case.
pub(super) fn find(name: &str) -> Option<&'static Keyword> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    KEYWORDS.iter().find(|k| k.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_lower_case_and_stand_once() {
        let mut names: Vec<&str> = KEYWORDS.iter().map(|k| k.name).collect();
        assert!(names.iter().all(|n| n.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())));
        names.sort_unstable();
        assert!(names.windows(2).all(|w| w[0] != w[1]), "{names:?}");
        for (alias, name) in ALIASES {
            assert!(!names.contains(&alias) && find(alias).is_some_and(|k| k.name == name), "{alias}");
        }
    }
}
