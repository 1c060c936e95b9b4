//! Accounts of a MySQL server: what the server tells about one, and the statements that make and change it.

use sha1::{Digest, Sha1};

use super::login::{Version, text};
use crate::modules::{Args, Failure, hex};
use crate::value::Value;

/// An account as the server's table of users has it.
pub struct Account {
    pub host: String,
    columns: Vec<(String, String)>,
}

impl Account {
    pub fn of(columns: Vec<(String, String)>) -> Account {
        let mut account = Account { host: String::new(), columns };
        account.host = account.column("host").to_string();
        account
    }

    /// Returns a column, empty where there is none.
    pub fn column(&self, name: &str) -> &str {
        self.columns.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, value)| {
            match value.as_str() {
                "NULL" => "",
                value => value,
            }
        })
    }

    /// Returns what the server keeps of the password.
    pub fn hash(&self) -> &str {
        match self.column("Password") {
            "" => self.column("authentication_string"),
            hash => hash,
        }
    }

    /// Returns what the account demands of the connection's encryption.
    pub fn requires(&self) -> Requires {
        match self.column("ssl_type") {
            "ANY" => Requires::Ssl,
            "X509" => Requires::X509,
            "SPECIFIED" => {
                let pairs =
                    [("CIPHER", "ssl_cipher"), ("ISSUER", "x509_issuer"), ("SUBJECT", "x509_subject")];
                let given =
                    pairs.iter().map(|(word, column)| ((*word).to_string(), self.column(column).to_string()));
                Requires::These(given.filter(|(_, value)| !value.is_empty()).collect())
            }
            _ => Requires::Nothing,
        }
    }
}

/// What an account demands of the connection's encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requires {
    Nothing,
    Ssl,
    X509,
    /// By word, sorted.
    These(Vec<(String, String)>),
}

impl Requires {
    pub fn wanted(args: &Args) -> Requires {
        let Some(map) = args.get("tls_requires").and_then(Value::as_map).filter(|map| map.iter().count() > 0)
        else {
            return Requires::Nothing;
        };
        let all: Vec<(String, String)> =
            map.iter().map(|(k, v)| (k.json_name().to_uppercase(), v.to_text())).collect();
        let mut these: Vec<(String, String)> = all
            .iter()
            .filter(|(word, _)| matches!(word.as_str(), "CIPHER" | "ISSUER" | "SUBJECT"))
            .cloned()
            .collect();
        if !these.is_empty() {
            these.sort();
            return Requires::These(these);
        }
        if all.iter().any(|(word, _)| word == "X509") { Requires::X509 } else { Requires::Ssl }
    }

    pub fn clause(&self) -> String {
        match self {
            Requires::Nothing => " REQUIRE NONE".to_string(),
            Requires::Ssl => " REQUIRE SSL".to_string(),
            Requires::X509 => " REQUIRE X509".to_string(),
            Requires::These(pairs) => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(word, value)| format!("{word} {}", text(value))).collect();
                format!(" REQUIRE {}", pairs.join(" AND "))
            }
        }
    }
}

/// Returns a password as the native method keeps it.
pub fn native_hash(password: &str) -> String {
    format!("*{}", hex(&Sha1::digest(Sha1::digest(password.as_bytes()))).to_uppercase())
}

fn is_hash(text: &str) -> bool {
    text.len() == 41 && text.starts_with('*') && text[1..].bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether accounts have to be changed by the statements of old servers.
pub fn is_old(version: Version) -> bool {
    version.is_before((5, 7, 0), (10, 2, 0))
}

/// How an account proves who it is.
pub enum Proof {
    /// The native method, with what the server is to keep.
    Native(String),
    Plugin {
        name: String,
        clause: String,
    },
    Nothing,
}

impl Proof {
    /// Returns what the task asks for; an empty password is none.
    pub fn wanted(args: &Args) -> Result<Proof, Failure> {
        let given = |name: &str| args.str(name).filter(|value| !value.is_empty());
        if let Some(password) = given("password") {
            if !args.flag("encrypted") {
                return Ok(Proof::Native(native_hash(password)));
            }
            if !is_hash(password) {
                return Err(Failure::new(
                    "encrypted was specified however it does not appear to be a valid hash expecting: *SHA1(SHA1(your_password))",
                ));
            }
            return Ok(Proof::Native(password.to_string()));
        }
        let Some(plugin) = given("plugin") else { return Ok(Proof::Nothing) };
        let clause = match (given("plugin_hash_string"), given("plugin_auth_string"), plugin) {
            (Some(hash), ..) => format!(" AS {}", text(hash)),
            (None, Some(word), "pam") => format!(" USING {}", text(word)),
            (None, Some(word), "ed25519") => format!(" USING PASSWORD({})", text(word)),
            (None, Some(word), _) => format!(" BY {}", text(word)),
            (None, None, _) => String::new(),
        };
        Ok(Proof::Plugin { name: plugin.to_string(), clause })
    }

    /// Returns the end of a statement that makes an account.
    pub fn identified(&self, version: Version) -> String {
        match self {
            Proof::Nothing => String::new(),
            Proof::Plugin { name, clause } => format!(" IDENTIFIED WITH {name}{clause}"),
            Proof::Native(hash) if is_old(version) => format!(" IDENTIFIED BY PASSWORD {}", text(hash)),
            Proof::Native(hash) => format!(" IDENTIFIED WITH mysql_native_password AS {}", text(hash)),
        }
    }

    /// Returns the statement that gives it to an account that exists, when that has another one.
    pub fn change(&self, args: &Args, account: &Account, who: &str, version: Version) -> Option<String> {
        match self {
            Proof::Nothing => None,
            Proof::Native(hash) if account.hash() == hash => None,
            Proof::Native(hash) if is_old(version) => {
                Some(format!("SET PASSWORD FOR {who} = {}", text(hash)))
            }
            Proof::Native(_) => Some(format!("ALTER USER {who}{}", self.identified(version))),
            Proof::Plugin { name, .. } => {
                let kept = account.column("authentication_string");
                let word = args.str("plugin_hash_string").or(args.str("plugin_auth_string"));
                let differs = account.column("plugin") != name
                    || word.is_some_and(|word| !word.is_empty() && word != kept);
                differs.then(|| format!("ALTER USER {who}{}", self.identified(version)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords() {
        assert_eq!(native_hash("secret"), "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7");
        assert!(is_hash(&native_hash("")));
        assert!(!is_hash("*14E"));
    }

    #[test]
    fn demands() {
        let account = |ssl_type: &str| {
            Account::of(vec![("ssl_type".into(), ssl_type.into()), ("x509_issuer".into(), "/CN=it's".into())])
        };
        assert_eq!(account("").requires().clause(), " REQUIRE NONE");
        assert_eq!(account("ANY").requires().clause(), " REQUIRE SSL");
        assert_eq!(account("SPECIFIED").requires().clause(), " REQUIRE ISSUER '/CN=it''s'");
    }
}
